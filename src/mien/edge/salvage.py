"""What can be read of a damaged outbox: its file is set aside under a dated name, its rows and counts come out."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import NamedTuple

from mien.observation import decode

__all__ = ["DamagedError", "is_damage", "salvaged_counts", "salvaged_rows", "set_aside"]

PAGE = 500
MOST_FAILURES = 100_000
"""So many places in a row that cannot be read end the search."""

StoredRow = tuple[int, str, int, "float | None", bytes]
"""A row's `n`, session, seq, time and payload."""


class DamagedError(Exception):
    """An outbox's file can be opened, but what is in it cannot be right."""


class SalvagedCounts(NamedTuple):
    """What the counts of a damaged outbox say."""

    taken: int
    confirmed: int
    dropped: int
    released: int


SIGNS = ("no such table", "no such column", "malformed", "has no column", "Could not decode")
"""Words of SQLite that tell of damage in an error that else means that a file cannot be used just now."""


def is_damage(error: Exception) -> bool:
    """Say whether an error means that the file is damaged, and not that it cannot be used just now."""
    if isinstance(error, DamagedError):
        return True
    words = str(error)
    if isinstance(error, sqlite3.OperationalError):
        return any(sign in words for sign in SIGNS)
    return isinstance(error, sqlite3.DatabaseError)


def set_aside(path: Path) -> Path:
    """Rename an outbox's file, with its log, and return its new name.

    Raises:
        OSError: It cannot be renamed.
    """
    stamp = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%S")
    names = (path.with_name(f"{path.name}.damaged-{stamp}{n}") for n in ("", *(f"-{n}" for n in range(1, 1000))))
    aside = next(name for name in names if not name.exists())
    for ending in ("-wal", "-shm", ""):
        with suppress(FileNotFoundError):
            path.with_name(f"{path.name}{ending}").rename(aside.with_name(f"{aside.name}{ending}"))
    return aside


def salvaged_counts(path: Path) -> SalvagedCounts | None:
    """Return what the counts of a damaged outbox say, if that can be so; else None."""
    try:
        with closing(sqlite3.connect(path)) as connection:
            query = "SELECT taken, confirmed, dropped, released FROM counts"
            numbers = connection.execute(query).fetchone()
    except (sqlite3.Error, OverflowError, UnicodeDecodeError):
        return None
    if numbers is None or not all(type(number) is int and 0 <= number < 2**53 for number in numbers):
        return None
    counts = SalvagedCounts(*numbers)
    return counts if counts.taken >= counts.confirmed + counts.dropped else None


def salvaged_rows(path: Path) -> Iterator[StoredRow]:
    """Yield the rows of a damaged outbox that can be read and are whole, in order."""
    with closing(sqlite3.connect(path)) as connection:
        connection.text_factory = bytes
        after, failures = -1, 0
        while failures < MOST_FAILURES:
            try:
                query = "SELECT n, session, seq, time, payload FROM rows NOT INDEXED WHERE n > ? ORDER BY n LIMIT ?"
                some = 0
                for row in connection.execute(query, (after, PAGE if not failures else 1)):
                    some, after, failures = some + 1, int(row[0]), 0
                    if whole := _whole(row):
                        yield whole
                if not some:
                    return
            except (sqlite3.DatabaseError, OverflowError) as error:  # noqa: PERF203 - the next place may be whole
                if isinstance(error, sqlite3.OperationalError | OverflowError) or "not a database" in str(error):
                    return
                failures += 1
                after += 1 if failures < 1000 else 64


def _whole(row: tuple[object, ...]) -> StoredRow | None:
    n, session, seq, time, payload = row
    if not isinstance(n, int) or not isinstance(payload, bytes) or not isinstance(time, float | int | None):
        return None
    try:
        observation = decode(payload)
    except ValueError:
        return None
    if (observation.session.encode(), observation.seq) != (session, seq):
        return None
    return n, observation.session, observation.seq, time, payload
