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
from mien.stores.base import Bucket, Store, Sums
from mien.system.files import part_of

__all__ = ["Copied", "backup", "copy", "restore"]

BEGINNING = datetime(1970, 1, 1, tzinfo=timezone.utc)
END = datetime(2200, 1, 1, tzinfo=timezone.utc)
MARKERS = 1_000_000
LETTERS = 100
NONE = Sums()


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
        # minutes go ahead of the rows: what came late into one that was pruned is added to it
        minutes += sum(target.add_minutes(name, line) for name, line in _without_rows(origin, day.start, until))
        for batch in origin.observations(start=day.start, end=until):
            new += target.add(batch)
            total += len(batch)
            progress(len(batch))
    return Copied(new, total - new, minutes, _copy_letters(origin, target))


def _without_rows(origin: Store, start: datetime, end: datetime) -> Iterator[tuple[str, list[Bucket]]]:
    """Yield by source the minutes of [start, end) that miss raw rows, with the figures of what is missing."""
    # read ahead of the rows: so what is stored meanwhile never counts as a minute without rows
    lines = [(info.source, origin.timeline(start, end, "minute", [info.source])) for info in origin.sources()]
    rows: dict[tuple[str, datetime], Sums] = {}
    for batch in origin.observations(start=start, end=end):
        for observation in batch:
            if observation.time is not None:
                minute = observation.time.replace(second=0, microsecond=0)
                rows.setdefault((observation.source, minute), Sums()).count(observation)
    for source, line in lines:
        missing = [Bucket(at, sums.without(rows.get((source, at), NONE))) for at, sums in line]
        yield source, [minute for minute in missing if minute.sums.frames > 0]


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
            (verdict,) = target.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            raise StoreError(
                f"the store '{parsed.database}' is damaged ({verdict}): there is no good copy of it to be had"
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


def restore(url: str, path: Path) -> int:
    """Put what a backup holds in a SQLite store's place, while others read and write it; return its bytes.

    The store stays the same file, and changes in one step: whoever has it open goes on with what is in it then.

    Raises:
        UsageError: The store is no SQLite file.
        StoreError: The backup is none or damaged, or the store cannot be written.
    """
    parsed = sa.make_url(url)
    if parsed.get_backend_name() != "sqlite" or not parsed.database:
        raise UsageError("only a SQLite store is restored by Mien: use the database's own tools, such as pg_restore")
    if not path.is_file():
        raise StoreError(f"there is no backup '{path}': name the file that `mien store backup` wrote")
    store = Path(parsed.database)
    try:
        with closing(_read_only(path)) as origin:
            tables = {name for (name,) in origin.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            (verdict,) = origin.execute("PRAGMA quick_check(1)").fetchone()
            if verdict != "ok" or not {"state", "frames", "rollups"} <= tables:
                why = "it is damaged" if verdict != "ok" else "it holds no store"
                raise StoreError(f"'{path}' is no backup that can be restored: {why}; the store stays as it is")
            with suppress(FileExistsError):
                os.close(os.open(store, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
            with closing(sqlite3.connect(store, timeout=30)) as target:
                target.execute("PRAGMA journal_mode = WAL")
                origin.backup(target)
    except OSError as error:
        raise StoreError(f"cannot write the store '{store}': {error.strerror}") from error
    except sqlite3.Error as error:
        raise StoreError(f"cannot restore '{path}' to '{store}': {error}; the store stays as it is") from error
    return store.stat().st_size


def _read_only(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=10)


def _parts(part: Path) -> Iterator[Path]:
    yield part
    for ending in ("-journal", "-wal", "-shm"):
        yield part.with_name(part.name + ending)
