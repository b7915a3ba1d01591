"""Frames and faces in PostgreSQL, a partition for each week of their ids, so that pruning drops tables, not rows.

Ids are UUIDv7: their first 48 bits are milliseconds since 1970, so a range of ids is a range of time, and the id stays
the key. What a clock far from now has made lies in the partition `rest`. Everything here happens in the transaction of
whoever calls, and is of PostgreSQL alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

import sqlalchemy as sa
from sqlalchemy import exc

__all__ = ["drop_old", "make", "missing", "moving", "prepare", "weeks_of"]

WEEK_MS = 7 * 86_400_000
BEHIND, AHEAD = 53, 1
"""So many weeks before and after the present one have partitions of their own."""

TABLES = {"frames": "id", "faces": "frame"}


def prepare(connection: sa.Connection) -> None:
    """Give new tables the partition that takes what no other does."""
    for table in TABLES:
        connection.exec_driver_sql(f"CREATE TABLE IF NOT EXISTS {table}_rest PARTITION OF {table} DEFAULT")


def weeks_of(ids: Iterable[bytes]) -> set[int]:
    """Return the weeks since 1970 that these ids are of and that get partitions."""
    present = int(time.time() * 1000) // WEEK_MS
    weeks = {int.from_bytes(key[:6], "big") // WEEK_MS for key in ids}
    return {week for week in weeks if present - BEHIND <= week <= present + AHEAD}


def missing(connection: sa.Connection, weeks: Iterable[int]) -> set[int]:
    """Return those of these weeks that have no partitions of their own."""
    names = {_name("frames", week): week for week in weeks}
    query = sa.text(
        "SELECT relname FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid WHERE inhparent = 'frames'::regclass"
    )
    return set(names.values()) - {names.get(name, -1) for name in connection.scalars(query)}


def make(connection: sa.Connection, weeks: Iterable[int]) -> None:
    """Make the partitions of these weeks, where they are missing and can be made.

    Args:
        connection: In a transaction that keeps all other writers out.
        weeks: As `weeks_of` returns them.
    """
    for week in sorted(weeks):
        try:
            with connection.begin_nested():
                for table in TABLES:
                    connection.exec_driver_sql(
                        f"CREATE TABLE IF NOT EXISTS {_name(table, week)} PARTITION OF {table} "
                        f"FOR VALUES FROM ({_bound(week)}) TO ({_bound(week + 1)})"
                    )
        except exc.DBAPIError:  # noqa: PERF203 - another partition has this week, or `rest` has rows of it: they are as well off there
            pass


def drop_old(connection: sa.Connection, mark: int, keep: Callable[[sa.TableClause], None]) -> int:
    """Drop the partitions that hold nothing that arrived at `mark` or later, and return how many frames went.

    Args:
        connection: In a transaction that writes.
        mark: Microseconds since 1970.
        keep: Called with each table of frames before it goes.
    """
    gone = 0
    for name in _partitions(connection):
        part = sa.table(name, *(sa.column(column) for column in ("id", "session", "seq", "time", "arrived")))
        newer = (part.c.arrived >= mark, sa.and_(part.c.arrived.is_(None), part.c.time >= mark))  # each has its index
        if any(connection.scalar(sa.select(part.c.seq).where(rows).limit(1)) is not None for rows in newer):
            continue
        connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
        gone += connection.scalar(sa.select(sa.func.count()).select_from(part)) or 0
        keep(part)
        connection.exec_driver_sql(f"DROP TABLE {name.replace('frames', 'faces', 1)}, {name}")
    return gone


def _partitions(connection: sa.Connection) -> list[str]:
    """Return the partitions of `frames` that lie wholly before the present week, without `rest`."""
    query = sa.text("SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'frames'::regclass ORDER BY 1")
    present = _name("frames", int(time.time() * 1000) // WEEK_MS)
    names = [name for name in connection.scalars(query) if name.startswith("frames_w") or name == "frames_before"]
    return [name for name in names if name == "frames_before" or name < present]


def _name(table: str, week: int) -> str:
    return f"{table}_w{week:05d}"


def _bound(week: int) -> str:
    return f"'\\x{max(0, week) * WEEK_MS:012x}{'0' * 20}'"


def _moved(table: str, key: str, week: int) -> tuple[str, ...]:
    """Return the statements that make a table of an earlier version the partition of all ids before a week."""
    columns = f"LIKE {table}_before INCLUDING DEFAULTS INCLUDING CONSTRAINTS"
    primary = key if table == "frames" else f"{key}, n"
    return (
        f"ALTER TABLE {table} RENAME TO {table}_before",
        f"ALTER INDEX {table}_pkey RENAME TO {table}_before_pkey",
        f"CREATE TABLE {table} ({columns}, PRIMARY KEY ({primary})) PARTITION BY RANGE ({key})",
        f"CREATE TABLE {table}_rest PARTITION OF {table} DEFAULT",
        f"INSERT INTO {table}_rest SELECT * FROM {table}_before WHERE {key} >= {_bound(week)}",
        f"DELETE FROM {table}_before WHERE {key} >= {_bound(week)}",
        f"ALTER TABLE {table} ATTACH PARTITION {table}_before FOR VALUES FROM (MINVALUE) TO ({_bound(week)})",
    )


def moving() -> tuple[str, ...]:
    """Return the statements that make partitioned tables of frames and faces, with all that is in them."""
    week = int(time.time() * 1000) // WEEK_MS + 1
    moved = [statement for table, key in TABLES.items() for statement in _moved(table, key, week)]
    indexes = [f"ALTER INDEX frames_{name} RENAME TO frames_before_{name}" for name in ("time", "arrived")]
    made = [f"CREATE INDEX frames_{name} ON frames ({name})" for name in ("time", "arrived")]
    return (*indexes, *moved, *made)
