"""What is known of observations beyond their raw rows: those that have gone, those that came late or were refused.

A raw row's id tells that an observation is here. When the row goes, its session and `seq` stay, as runs of numbers:
sessions count without gaps, so a whole one takes a row or two. What comes again after that is still known, and neither
stored nor counted a second time. Everything here happens in the transaction of whoever calls.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa

from mien.stores.base import Arrivals
from mien.stores.rollups import insert
from mien.stores.tables import arrivals, frames, gone

__all__ = ["count", "keep", "keep_rows", "known", "totals"]

SESSIONS = 500
"""So many sessions are asked for at once."""


def known(connection: sa.Connection, given: Iterable[tuple[bytes, int]]) -> set[tuple[bytes, int]]:
    """Return those of these sessions and `seq` that were here once and have no raw row any more."""
    wanted: dict[bytes, list[int]] = defaultdict(list)
    for session, seq in given:
        wanted[session].append(seq)
    known_ids: set[tuple[bytes, int]] = set()
    sessions = list(wanted)
    for at in range(0, len(sessions), SESSIONS):
        some = sessions[at : at + SESSIONS]
        within = (
            gone.c.session.in_(some),
            gone.c.first <= max(max(wanted[session]) for session in some),
            gone.c.last >= min(min(wanted[session]) for session in some),
        )
        for row in connection.execute(sa.select(gone).where(*within)):
            session = bytes(row.session)
            known_ids.update((session, seq) for seq in wanted[session] if row.first <= seq <= row.last)
    return known_ids


def keep_rows(connection: sa.Connection, where: Sequence[Any], table: sa.TableClause = frames) -> None:
    """Take note of raw rows that are about to go."""
    turn = sa.func.row_number().over(partition_by=table.c.session, order_by=table.c.seq)
    runs = sa.select(table.c.session, table.c.seq, (table.c.seq - turn).label("run")).where(*where).subquery()
    query = sa.select(runs.c.session, sa.func.min(runs.c.seq), sa.func.max(runs.c.seq))
    rows = connection.execute(query.group_by(runs.c.session, runs.c.run)).all()
    keep(connection, [(bytes(session), first, last) for session, first, last in rows])


def keep(connection: sa.Connection, runs: Iterable[tuple[bytes, int, int]]) -> None:
    """Take note of runs of `seq` of sessions, both ends included; those that touch become one."""
    for session, first, last in sorted(runs):
        touching = (gone.c.session == session, gone.c.first <= last + 1, gone.c.last >= first - 1)
        for row in connection.execute(sa.select(gone).where(*touching)).all():
            first, last = min(first, row.first), max(last, row.last)
        connection.execute(sa.delete(gone).where(*touching))
        connection.execute(sa.insert(gone).values(session=session, first=first, last=last))


def count(connection: sa.Connection, late: Iterable[str], refused: Iterable[str]) -> None:
    """Count observations, of each the source, that came late or were refused."""
    behind, out = Counter(late), Counter(refused)
    values = [{"source": name, "late": behind[name], "refused": out[name]} for name in sorted(behind | out)]
    if values:
        upsert = insert(connection, arrivals)
        grown = {name: arrivals.c[name] + upsert.excluded[name] for name in ("late", "refused")}
        connection.execute(upsert.on_conflict_do_update(index_elements=["source"], set_=grown), values)


def totals(connection: sa.Connection) -> list[Arrivals]:
    """Return what came late or was refused, by source."""
    return [Arrivals(*row) for row in connection.execute(sa.select(arrivals).order_by(arrivals.c.source))]
