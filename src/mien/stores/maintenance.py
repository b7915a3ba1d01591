"""Work on whole stores: a copy into another one, a table of all observations, a backup of a running one."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import NamedTuple

import sqlalchemy as sa

from mien.errors import StoreError, UsageError
from mien.stores.base import Store
from mien.system.files import part_of

__all__ = ["Copied", "backup", "copy"]

BEGINNING = datetime(1970, 1, 1, tzinfo=timezone.utc)
END = datetime(2200, 1, 1, tzinfo=timezone.utc)
MARKERS = 1_000_000
LETTERS = 100


class Copied(NamedTuple):
    """What a copy brought.

    Attributes:
        observations: Those that the other store did not have.
        known: Those that it had, or refuses because they were pruned or erased there.
        minutes: Minutes of which there were sums alone, and are now.
        letters: Dead letters that the other store did not have.
    """

    observations: int
    known: int
    minutes: int
    letters: int


def copy(origin: Store, target: Store, progress: Callable[[int], None] = lambda _: None) -> Copied:
    """Bring into a store what another one has; begun again, it goes on where it was.

    Observations keep their ids, so what is there already stays as it is; dead letters are known by time and payload. Of
    minutes of which there are sums alone those are copied, where the target has none and has not erased them.

    Args:
        origin: It is only read.
        target: What it gets is committed in batches.
        progress: Called with the number of observations of each batch.
    """
    target.add_markers(origin.markers(BEGINNING, END, limit=MARKERS))
    new = total = minutes = 0
    for day in origin.timeline(BEGINNING, END, "day"):
        until = day.start + timedelta(days=1)
        # read ahead of the rows: so what is stored meanwhile never counts as a minute without rows
        sums = [
            (one.source, origin.timeline(day.start, until, "minute", [one.source]))
            for one in origin.sources()
            if one.first < until and one.last >= day.start
        ]
        for batch in origin.observations(start=day.start, end=until):
            new += target.add(batch)
            total += len(batch)
            progress(len(batch))
        minutes += sum(target.add_minutes(source, line) for source, line in sums)
    return Copied(new, total - new, minutes, _copy_letters(origin, target))


def _copy_letters(origin: Store, target: Store) -> int:
    """Bring over the dead letters, the oldest first, as they came."""
    pages: list[int | None] = [None]
    while page := origin.dead_letters(LETTERS, pages[-1]):
        pages.append(page[-1].id)
    return sum(target.take_dead_letters(origin.dead_letters(LETTERS, before)[::-1]) for before in reversed(pages))


def backup(url: str, path: Path) -> int:
    """Write what a SQLite store holds at this moment to a file, while others read and write it; return its bytes.

    Raises:
        UsageError: The store is no SQLite file, or the file is there already.
        StoreError: The store cannot be read, or the file not be written.
    """
    parsed = sa.make_url(url)
    if parsed.get_backend_name() != "sqlite" or not parsed.database:
        raise UsageError("only a SQLite store is backed up by Mien: use the database's own tools, such as pg_dump")
    part = part_of(path)
    try:
        if path.exists():
            raise UsageError(f"'{path}' is there already: name another file, or delete it")
        os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600))
        with closing(_read_only(Path(parsed.database))) as origin, closing(sqlite3.connect(part)) as target:
            origin.backup(target)  # in one step: it reads one state, and does not begin anew when others write
            target.execute("PRAGMA journal_mode = DELETE")
            (found,) = target.execute("PRAGMA quick_check(1)").fetchone()
        if found != "ok":
            raise StoreError(
                f"the store '{parsed.database}' is damaged ({found}): there is no good copy of it to be had"
            )
        part.replace(path)
    except OSError as error:
        raise StoreError(f"cannot write '{path}': {error.strerror}") from error
    except sqlite3.Error as error:
        raise StoreError(f"cannot back up '{parsed.database}' to '{path}': {error}") from error
    finally:
        with suppress(OSError):  # where nothing can be written there is nothing left over
            for left in _parts(part):
                left.unlink(missing_ok=True)
    return path.stat().st_size


def _read_only(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=10)


def _parts(part: Path) -> Iterator[Path]:
    yield part
    for ending in ("-journal", "-wal", "-shm"):
        yield part.with_name(part.name + ending)
