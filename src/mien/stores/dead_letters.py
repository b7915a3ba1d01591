"""The dead letters in an SQL database: kept, taken over from another store, read, dropped, erased with their source.

Everything here happens in the transaction of whoever calls.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from mien.stores import rows
from mien.stores.base import DeadLetter
from mien.stores.rollups import insert
from mien.stores.tables import dead_letters, state

__all__ = ["add", "drop", "dropped", "erase", "newest", "take"]

KEPT = 10_000
FIELDS = ("time", "topic", "reason", "payload")
DROPPED = "dead_letters_dropped"


def add(connection: sa.Connection, time: int, letters: Sequence[tuple[str, str, bytes]]) -> None:
    """Keep messages (topic, reason, payload) that came at a time; the newest 10,000 stay."""
    _insert(connection, [(time, rows.plain(topic), *rows.cut(rows.plain(why), what)) for topic, why, what in letters])


def take(connection: sa.Connection, letters: Sequence[DeadLetter]) -> int:
    """Keep another store's letters that are not here yet, and return how many those were."""
    given = dict.fromkeys(
        (rows.to_microseconds(letter.time), letter.topic, letter.reason, letter.payload) for letter in letters
    )
    same = sa.select(*(dead_letters.c[name] for name in FIELDS)).where(
        dead_letters.c.time.in_(sorted({time for time, *_ in given}))
    )
    here = {(row.time, row.topic, row.reason, bytes(row.payload)) for row in connection.execute(same)}
    new = [letter for letter in given if letter not in here]
    _insert(connection, new)
    return len(new)


def newest(connection: sa.Connection, limit: int, before: int | None) -> list[DeadLetter]:
    """Return the newest letters, newest first; with `before` those with a lower number."""
    query = sa.select(dead_letters).order_by(dead_letters.c.id.desc()).limit(limit)
    if before is not None:
        query = query.where(dead_letters.c.id < before)
    rows_read = connection.execute(query).all()
    return [DeadLetter(row.id, rows.to_time(row.time), row.topic, row.reason, bytes(row.payload)) for row in rows_read]


def drop(connection: sa.Connection, numbers: Sequence[int]) -> None:
    """Delete letters by number."""
    connection.execute(sa.delete(dead_letters).where(dead_letters.c.id.in_(list(numbers))))


def dropped(connection: sa.Connection) -> int:
    """Return how many letters made room for newer ones so far."""
    return connection.scalar(sa.select(state.c.value).where(state.c.name == DROPPED)) or 0


def erase(connection: sa.Connection, source: str, start: int, end: int) -> None:
    """Delete the letters of a source that came in [start, end), microseconds since 1970."""
    came = (dead_letters.c.time >= start, dead_letters.c.time < end)
    of = dead_letters.c.topic.endswith(f"/{source}/observations", autoescape=True)
    connection.execute(sa.delete(dead_letters).where(of, *came))


def _insert(connection: sa.Connection, letters: Sequence[tuple[Any, ...]]) -> None:
    if not letters:
        return
    connection.execute(sa.insert(dead_letters), [dict(zip(FIELDS, letter, strict=True)) for letter in letters[-KEPT:]])
    oldest = sa.select(dead_letters.c.id).order_by(dead_letters.c.id.desc()).offset(KEPT).limit(1)
    gone = connection.execute(sa.delete(dead_letters).where(dead_letters.c.id <= oldest.scalar_subquery())).rowcount
    if gone := gone + len(letters[:-KEPT]):
        count = insert(connection, state).values(name=DROPPED, value=gone)
        grown = {"value": state.c.value + count.excluded.value}
        connection.execute(count.on_conflict_do_update(index_elements=["name"], set_=grown))
