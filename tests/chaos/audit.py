"""What an outbox took and dropped, written down by the database itself, and the comparison with what the store has.

Triggers note each id that comes in and each that goes without ever having been released to be sent, in the
transaction in which that happens. So the check rests on nothing that the outbox says of itself but its rule that only
released rows are sent; and its own counts are checked too.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import sqlalchemy as sa

from mien.edge.outbox import Outbox

TRIGGERS = """
CREATE TABLE audit_taken (id TEXT NOT NULL, session TEXT NOT NULL, seq INTEGER NOT NULL, faces INTEGER NOT NULL);
CREATE TABLE audit_dropped (id TEXT NOT NULL);
CREATE TRIGGER audit_take AFTER INSERT ON rows BEGIN
    INSERT INTO audit_taken VALUES (json_extract(CAST(new.payload AS TEXT), '$.id'), new.session, new.seq,
        json_array_length(CAST(new.payload AS TEXT), '$.faces'));
END;
CREATE TRIGGER audit_drop AFTER DELETE ON rows WHEN old.n > (SELECT released FROM counts) BEGIN
    INSERT INTO audit_dropped VALUES (json_extract(CAST(old.payload AS TEXT), '$.id'));
END;
"""


class Sum(NamedTuple):
    """What became of the observations of one schedule."""

    taken: int
    stored: int
    dropped: int


def install(folder: Path, source: str) -> None:
    """Make a source's outbox, with triggers that keep the books."""
    Outbox(folder, source).close()
    connection = sqlite3.connect(folder / f"{source}.db")
    connection.executescript(TRIGGERS)
    connection.close()


def rows_left(folder: Path, sources: Sequence[str]) -> int:
    """Return how many rows wait in the outboxes of these sources."""
    left = 0
    for source in sources:
        connection = sqlite3.connect(folder / f"{source}.db", timeout=30)
        left += int(connection.execute("SELECT count(*) FROM rows").fetchone()[0])
        connection.close()
    return left


def confirmed(folder: Path, source: str) -> int:
    """Return how many observations of a source are confirmed."""
    connection = sqlite3.connect(folder / f"{source}.db", timeout=30)
    found = int(connection.execute("SELECT confirmed FROM counts").fetchone()[0])
    connection.close()
    return found


def check(folder: Path, sources: Sequence[str], store_url: str, *, was_full: bool) -> tuple[Sum, list[str]]:
    """Compare outboxes and store, and return the sum and what is wrong, a line each.

    Args:
        folder: Where the outboxes are.
        sources: Whose.
        store_url: The store.
        was_full: Whether the outboxes' disk was full for a time, in which what came may have been dropped unwritten.
    """
    engine = sa.create_engine(store_url)
    is_sink = store_url.endswith("/sink.db")
    wrong: list[str] = []
    totals = [0, 0, 0]
    with engine.connect() as store:
        if store_url.startswith("sqlite"):
            wrong += [f"store: {row[0]}" for row in store.exec_driver_sql("PRAGMA integrity_check") if row[0] != "ok"]
        for source in sources:
            found, problems = _check_source(folder / f"{source}.db", source, store, is_sink, was_full)
            wrong += [f"{source}: {problem}" for problem in problems]
            totals = [before + now for before, now in zip(totals, found, strict=True)]
        aside = "SELECT topic FROM set_aside" if is_sink else "SELECT reason FROM dead_letters"
        wrong += [f"dead letter: {reason}" for reason in store.execute(sa.text(aside)).scalars().all()[:3]]
        counted = "SELECT count(*) FROM observations" if is_sink else "SELECT count(*) FROM frames"
        frames = store.execute(sa.text(counted)).scalar_one()
        if frames != totals[1]:
            wrong.append(f"{frames} frames in the store, {totals[1]} of them of sources that took part")
    engine.dispose()
    return Sum(*totals), wrong


def _check_source(
    path: Path, source: str, store: sa.Connection, is_sink: bool, was_full: bool
) -> tuple[Sum, list[str]]:
    outbox = sqlite3.connect(path, timeout=30)
    wrong = [f"outbox: {row[0]}" for row in outbox.execute("PRAGMA integrity_check") if row[0] != "ok"]
    taken_rows = outbox.execute("SELECT id, session, seq, faces FROM audit_taken").fetchall()
    dropped_rows = [row[0] for row in outbox.execute("SELECT id FROM audit_dropped")]
    counts = outbox.execute("SELECT taken, confirmed, dropped, (SELECT count(*) FROM rows) FROM counts").fetchone()
    outbox.close()

    def ask(query: str) -> list[Any]:
        return list(store.execute(sa.text(query), {"source": source}).all())

    if is_sink:
        stored_rows = [str(row[0]) for row in ask("SELECT id FROM observations WHERE source = :source")]
    else:
        stored_rows = [_text(row[0]) for row in ask("SELECT id FROM frames WHERE source = :source")]
    taken, dropped, stored = {row[0] for row in taken_rows}, set(dropped_rows), set(stored_rows)
    faces = sum(row[3] for row in taken_rows if row[0] in stored)
    sessions: dict[str, list[int]] = {}
    for _, session, seq, _ in taken_rows:
        sessions.setdefault(session, []).append(seq)

    unwritten = counts[0] - len(taken) if was_full else 0  # no trigger sees what never came into the file

    checks = {
        f"{len(taken_rows) - len(taken)} ids were taken twice": len(taken_rows) == len(taken),
        f"{len(taken - stored - dropped)} of {len(taken)} are lost": not taken - stored - dropped,
        f"{len(stored - taken)} are stored and were never taken": stored <= taken,
        f"{len(stored & dropped)} are stored and counted as dropped": not stored & dropped,
        f"{len(stored_rows) - len(stored)} are stored twice": len(stored_rows) == len(stored),
        f"counts {counts} are not those of {len(taken)} taken, {len(dropped_rows)} dropped": counts
        == (len(taken) + unwritten, len(taken) - len(dropped_rows), len(dropped_rows) + unwritten, 0),
        "a session has gaps": all(sorted(seqs) == list(range(len(seqs))) for seqs in sessions.values()),
    }
    if not is_sink:
        query = "SELECT seconds, sum(frames), sum(faces) FROM rollups WHERE source = :source GROUP BY seconds"
        sums = {int(row[0]): (int(row[1]), int(row[2])) for row in ask(query)}
        expected = dict.fromkeys((60, 3600, 86400), (len(stored), faces)) if stored else {}
        checks[f"sums are {sums}, expected {expected}"] = sums == expected
        query = "SELECT count(*) FROM faces JOIN frames ON frames.id = faces.frame WHERE source = :source"
        checks[f"{ask(query)[0][0]} faces are stored, expected {faces}"] = ask(query)[0][0] == faces
        total = [int(row[0]) for row in ask("SELECT frames FROM sources WHERE source = :source")]
        checks[f"the source's total is {total}"] = total == ([len(stored)] if stored else [])
    return Sum(len(taken) + unwritten, len(stored), len(dropped) + unwritten), wrong + [
        text for text, well in checks.items() if not well
    ]


def _text(value: bytes) -> str:
    digits = bytes(value).hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
