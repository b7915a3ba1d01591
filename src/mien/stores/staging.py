"""How observations come into PostgreSQL: copied into tables of the connection's own, and from there into the store.

A database is some milliseconds away, so what counts is how often its answer is waited for: rows go over by COPY, and
one message then has the sources locked, what is known or refused taken out, and the rest put into `frames` and
`faces`. Locks come after the copying, so that two writers of the same sources wait for each other's commit alone.

Who adds, erases or takes over sums holds the store's lock together with others, and alone the lock of each source that
it changes; who prunes, or changes what belongs to no source, holds the store's lock alone. All are held until the end
of the transaction, and are taken in one order, so that nobody waits in a circle.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from mien.stores.tables import faces, frames

__all__ = ["Staged", "add", "at_once", "lock"]

STORE_LOCK = 0x6D69656E
"""The advisory lock of the store as a whole; earlier versions hold it alone whenever they write."""


class Staged(NamedTuple):
    """What became of rows that were copied.

    Attributes:
        known: The ids of those that the store had, or that were there and have gone.
        refused: The ids of those that are of a time that was erased.
        mark: The time before which raw rows may have been pruned, in microseconds since 1970; 0: nothing was.
    """

    known: set[bytes]
    refused: set[bytes]
    mark: int


def lock(connection: sa.Connection, source: str | None) -> None:
    """Keep other writers of a source, or with None all other writers, out until the transaction ends."""
    raw: Any = connection.connection.cursor()
    raw.execute(f"SELECT pg_advisory_xact_lock({STORE_LOCK})" if source is None else _locking([source]))
    raw.close()


def add(connection: sa.Connection, frame_rows: Sequence[dict[str, Any]], face_rows: Sequence[dict[str, Any]]) -> Staged:
    """Lock the sources of these rows, and add what the store neither knows nor refuses.

    Args:
        connection: In a transaction that holds no lock yet.
        frame_rows: Rows of `frames`, of each id one.
        face_rows: Rows of `faces`, all of these frames.
    """
    raw: Any = connection.connection.cursor()
    try:
        raw.execute(TABLES)
        for table, rows in ((frames, frame_rows), (faces, face_rows)):
            columns = table.c.keys()
            with raw.copy(f"COPY staged_{table.name} ({_listed(columns)}) FROM STDIN") as target:
                for row in rows:
                    target.write_row([row[name] for name in columns])
        names = {row["source"] for row in frame_rows}
        raw.execute(f"{_locking(names)}; {SORTING}; {INSERTING}")  # one message, one answer to wait for
        results = []
        while True:
            if raw.description:
                results.append(raw.fetchall())
            if not raw.nextset():
                break
    finally:
        raw.close()
    here, gone, refused, mark = results[-4:]
    known = {bytes(key) for (key,) in [*here, *gone]}
    return Staged(known, {bytes(key) for (key,) in refused}, int(mark[0][0]))


@contextmanager
def at_once(connection: sa.Connection) -> Iterator[None]:
    """Send the statements of this block, which return nothing, without waiting for the answer to each."""
    driver: Any = connection.connection.driver_connection
    with driver.pipeline():
        yield


def _locking(names: Iterable[str]) -> str:
    # 256 locks for all sources together: a server has room for a limited number of them
    slots = sorted({hashlib.sha256(name.encode()).digest()[0] for name in names})
    each = ", ".join(f"pg_advisory_xact_lock({STORE_LOCK}, {slot})" for slot in slots)
    return f"SELECT pg_advisory_xact_lock_shared({STORE_LOCK}); SELECT {each}"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


def _table(table: sa.Table) -> str:
    dialect: sa.Dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    columns = ", ".join(f'"{column.name}" {column.type.compile(dialect)}' for column in table.c)
    return f"CREATE TEMPORARY TABLE IF NOT EXISTS staged_{table.name} ({columns}) ON COMMIT DELETE ROWS"


TABLES = "; ".join(_table(table) for table in (frames, faces))
"""They are the connection's own and empty after each transaction."""

SORTING = """
SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off; -- a few rows against very many: by their index
DELETE FROM staged_frames s WHERE EXISTS (SELECT FROM frames f WHERE f.id = s.id) RETURNING s.id;
DELETE FROM staged_frames s
    WHERE EXISTS (SELECT FROM gone g WHERE g.session = s.session AND g.first <= s.seq AND g.last >= s.seq)
    RETURNING s.id;
DELETE FROM staged_frames s
    WHERE EXISTS (SELECT FROM erased e WHERE e.source = s.source AND e.start <= s.time AND s.time < e.until)
    RETURNING s.id;
SET LOCAL enable_hashjoin = on; SET LOCAL enable_mergejoin = on;
SELECT coalesce(max(value), 0) FROM state WHERE name = 'prune_mark'
"""

INSERTING = "; ".join(
    f"INSERT INTO {table.name} ({_listed(table.c.keys())}) SELECT {_listed(table.c.keys())} "
    f"FROM staged_{table.name} {which}"
    for table, which in (
        (frames, "ORDER BY id"),
        (faces, "WHERE frame IN (SELECT id FROM staged_frames) ORDER BY frame, n"),
    )
)
