"""The queue on disk between a source and the broker: observations in, rows to send out, gone when confirmed.

What was appended is committed before it can be read, in groups, by one thread that does all the writing. Every row
goes one of two ways, and the counts of both are committed with it, so that at any moment, whatever is killed:

    taken = confirmed + dropped + rows

Only rows that were *released* may be sent, and only rows that were not may be dropped: what is counted as dropped was
never sent, so no store can have it. The publisher lets rows be released while it has a connection, a window of them
at a time; with no broker in reach a full outbox therefore drops its oldest row first. While the disk is full, what
came first of those that wait in memory is dropped, and counted as soon as a count can be written.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import NamedTuple

from filelock import BaseFileLock

from mien.config import Settings
from mien.edge.salvage import DamagedError, is_damage, salvaged_counts, salvaged_rows, set_aside
from mien.edge.tally import Tally, TallyFile
from mien.errors import MienError, StoreError, UsageError
from mien.observation import Observation, encode
from mien.system.locks import lock

__all__ = ["Counts", "Outbox", "OutboxRow", "open_outbox", "waiting_sources"]

log = logging.getLogger(__name__)

GROUP_S = 0.02
"""How long a commit waits for more, in seconds: at most 50 syncs a second, however many frames."""

UNCOMMITTED = 2000
"""So many observations may wait for their commit; then `append` waits, or the oldest go where the disk is full."""

AGES_EVERY_S = 60.0
"""So often an idle outbox looks for what is too old, in seconds."""

CONFIRMATIONS = 100_000
"""So many confirmed ranges may wait for their commit; more are not taken in."""

TABLES = """
CREATE TABLE IF NOT EXISTS rows (
    n INTEGER PRIMARY KEY AUTOINCREMENT, session TEXT NOT NULL, seq INTEGER NOT NULL, time REAL, payload BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS rows_seq ON rows (session, seq);
CREATE TABLE IF NOT EXISTS counts (
    one INTEGER PRIMARY KEY CHECK (one = 1), taken INTEGER NOT NULL, confirmed INTEGER NOT NULL,
    dropped INTEGER NOT NULL, released INTEGER NOT NULL);
INSERT OR IGNORE INTO counts VALUES (1, 0, 0, 0, 0);
"""


class OutboxRow(NamedTuple):
    """A row that may be sent.

    Attributes:
        n: Its place in the queue; later rows have higher ones.
        session: The observation's session.
        seq: The observation's number in it.
        time: When the frame was taken, in seconds since 1970, where that is known.
        payload: The observation as JSON.
    """

    n: int
    session: str
    seq: int
    time: float | None
    payload: bytes


class Counts(NamedTuple):
    """What an outbox has seen since it was made: taken = confirmed + dropped + depth."""

    taken: int
    confirmed: int
    dropped: int
    depth: int


class Outbox:
    """The outbox of one source; one producer appends, one publisher reads and confirms.

    Args:
        folder: Where outboxes lie, one file per source; made if need be.
        source: The source's name.
        max_rows: A full outbox drops the oldest row that was not released.
        max_age_s: Rows of frames that are older are dropped, if they were not released; None: at no age.
        changed: Called after each commit, from the writing thread.

    Attributes:
        inherited: The `n` of the last row that an earlier run left; 0 without one.
        damaged: How many observations could not be read from a file that was damaged; they are among the dropped.

    Raises:
        UsageError: Another process has this source's outbox.
        StoreError: The file cannot be opened.
    """

    def __init__(
        self,
        folder: Path,
        source: str,
        max_rows: int = 1_000_000,
        max_age_s: float | None = None,
        changed: Callable[[], None] | None = None,
    ) -> None:
        self.path = folder / f"{source}.db"
        self.damaged = 0
        self.changed = changed
        self._max_rows, self._max_age_s = max_rows, max_age_s
        self._lock = _lock(folder, source)
        self._tally = TallyFile(folder / f"{source}.counts")
        try:
            self._begin()
        except (sqlite3.Error, DamagedError, OSError) as error:
            self._tally.close()
            self._lock.release()
            raise StoreError(f"cannot open the outbox '{self.path}': {error}; make room, or move it away") from error
        self._reading = threading.Lock()
        self._state = threading.Condition()
        self._new: deque[tuple[str, int, float | None, bytes]] = deque()
        self._confirmations: list[tuple[str, int, int]] = []
        self._discarded: list[int] = []
        self._window = 0
        self._unwritten = 0
        self._full = self._aged = False
        self._damage: sqlite3.Error | None = None
        self._stirs, self._settled = int(max_age_s is not None), 0
        self._closing = False
        self._failure: MienError | None = None
        self._thread = threading.Thread(target=self._write_on, name=f"outbox-{source}", daemon=True)
        self._thread.start()

    def append(self, observation: Observation) -> None:
        """Take an observation; it is on disk about 20 ms later, and `changed` is called then.

        Raises:
            StoreError: The file is damaged.
        """
        time = observation.time.timestamp() if observation.time else None
        row = (observation.session, observation.seq, time, encode(observation))
        with self._state:
            self._state.wait_for(lambda: len(self._new) < UNCOMMITTED or self._failure is not None)
            self._check()
            self._new.append(row)
            self._state.notify_all()

    def flush(self, timeout: float = 10.0) -> bool:
        """Wait until all that was appended and confirmed is on disk, and say whether it is."""
        with self._state:
            done = self._state.wait_for(lambda: not self._has_work() or self._failure is not None, timeout)
            self._check()
            return done

    def set_window(self, rows: int) -> None:
        """Let so many rows be released and not yet confirmed; 0 while there is no connection."""
        with self._state:
            self._window, self._stirs = rows, self._stirs + 1
            self._state.notify_all()

    def released(self, after: int, limit: int) -> list[OutboxRow]:
        """Return rows that may be sent, in order, from the first one whose `n` is higher than `after`.

        Of a file that turns out to be damaged there are none: it is set aside, and what can be read of it taken over.

        Raises:
            StoreError: The file cannot be read.
        """
        query = "SELECT n, session, seq, time, payload FROM rows WHERE n > ? AND n <= ? ORDER BY n LIMIT ?"
        try:
            with self._reading:
                return [OutboxRow(*row) for row in self._reader.execute(query, (after, self._released, limit))]
        except sqlite3.Error as error:
            if not is_damage(error):
                raise StoreError(f"cannot read the outbox '{self.path}': {error}") from error
            with self._state:
                self._check()
                self._damage = error
                self._state.notify_all()
            return []

    def confirm(self, session: str, ranges: Sequence[tuple[int, int]]) -> None:
        """Let go of the released rows of a session in these ranges of `seq`, both ends included."""
        with self._state:
            room = CONFIRMATIONS - len(self._confirmations)  # what is left out is sent, and confirmed, again
            self._confirmations += [(session, first, last) for first, last in ranges[: max(0, room)]]
            self._state.notify_all()

    def discard(self, n: int) -> None:
        """Let go of a row that is damaged, and count it as dropped."""
        with self._state:
            self._discarded.append(n)
            self._state.notify_all()

    @property
    def counts(self) -> Counts:
        """The figures as of the last commit."""
        return self._counts

    def close(self) -> None:
        """Commit what is left and let go of the file."""
        with self._state:
            self._closing = True
            self._state.notify_all()
        self._thread.join()
        with self._reading:
            self._reader.close()
        self._writer.close()
        self._tally.close()
        self._lock.release()

    def _check(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _has_work(self) -> bool:
        waits = self._new or self._confirmations or self._discarded or self._damage
        return bool(waits or self._stirs != self._settled)

    def _begin(self) -> None:
        """Open the file; of one that is damaged take over what can be read, and count the rest as dropped."""
        try:
            self._open()
        except (sqlite3.Error, DamagedError) as error:
            if not is_damage(error):
                raise
            self._take_over(error)

    def _open(self) -> None:
        with ExitStack() as opened:
            self._writer, self._reader = (opened.enter_context(closing(_open(self.path))) for _ in range(2))
            self._load()
            opened.pop_all()

    def _load(self) -> None:
        self._writer.executescript(TABLES)
        counts = self._writer.execute("SELECT taken, confirmed, dropped, released FROM counts").fetchone()
        depth, newest = self._writer.execute("SELECT count(*), coalesce(max(n), 0) FROM rows").fetchone()
        if counts is None or not all(type(number) is int and number >= 0 for number in counts):
            raise DamagedError(f"its counts are {counts}")
        taken, confirmed, dropped, released = counts
        if taken != confirmed + dropped + depth:
            raise DamagedError(f"{taken} taken are not {confirmed} confirmed, {dropped} dropped and {depth} rows")
        self._counts = Counts(taken, confirmed, dropped, depth)
        self._released: int = released
        self.inherited: int = newest
        self._out: int = self._writer.execute("SELECT count(*) FROM rows WHERE n <= ?", (released,)).fetchone()[0]
        self._heed_tally()

    def _heed_tally(self) -> None:
        """Count as dropped what the counts beside the file tell of and the file does not.

        That is what could not be written when the disk was full at the end, or was in a log that is gone.
        """
        tally, (taken, confirmed, dropped, depth) = self._tally.read(), self._counts
        if tally is None or tally.taken <= taken:
            return
        left = tally.taken - tally.confirmed - tally.dropped
        still = max(0, depth - (tally.confirmed - confirmed))  # rows are confirmed in order: these were not yet
        lost = max(0, tally.dropped - dropped + left - still)
        if lost:
            log.warning(
                "the outbox '%s' lacks %d observations that were taken; they are counted as dropped", self.path, lost
            )
        confirmed, dropped = max(0, tally.taken - dropped - lost - depth), dropped + lost
        taken = confirmed + dropped + depth
        self._counts = Counts(taken, confirmed, dropped, depth)
        self._writer.execute("UPDATE counts SET taken = ?, confirmed = ?, dropped = ?", (taken, confirmed, dropped))

    def _take_over(self, error: Exception) -> None:
        aside = set_aside(self.path)
        tally, counts = self._tally.read(), salvaged_counts(aside)
        self._open_new()
        writer = self._writer
        writer.execute("BEGIN IMMEDIATE")
        kept = newest = 0
        for row in salvaged_rows(aside):
            writer.execute("INSERT INTO rows (n, session, seq, time, payload) VALUES (?, ?, ?, ?, ?)", row)
            kept, newest = kept + 1, row[0]
        taken, confirmed, dropped = tally or (counts[:3] if counts else (newest, 0, 0))
        lost = max(0, taken - confirmed - dropped - kept)
        confirmed = max(0, taken - dropped - lost - kept)
        numbers = (confirmed + dropped + lost + kept, confirmed, dropped + lost, newest)  # each may have been sent
        writer.execute("UPDATE counts SET taken = ?, confirmed = ?, dropped = ?, released = ?", numbers)
        writer.execute("COMMIT")
        self._load()
        self.damaged += lost
        log.warning(
            "the outbox '%s' was damaged (%s) and is begun anew: %d observations were taken over, %d could not be read "
            "and are counted as dropped; the damaged file is '%s'",
            *(self.path, error, kept, lost, aside),
        )

    def _open_new(self) -> None:
        os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))
        with ExitStack() as opened:
            self._writer, self._reader = (opened.enter_context(closing(_open(self.path))) for _ in range(2))
            self._writer.executescript(TABLES)
            opened.pop_all()

    def _write_on(self) -> None:
        failing = False
        while True:
            with self._state:
                self._state.wait_for(
                    lambda: self._has_work() or self._closing, None if self._max_age_s is None else AGES_EVERY_S
                )
                if self._closing and not self._has_work():
                    return
                closing = self._closing
            if not closing:
                time.sleep(GROUP_S)
            with self._state:
                new, confirmations = list(self._new), list(self._confirmations)
                stirs, damage = self._stirs, self._damage
            try:
                if damage is not None:
                    raise damage
                error = self._try(new, confirmations)
                if error is not None:
                    drained = bool(new) and self._try([], confirmations) is None  # what is confirmed makes room
                    new, confirmations = [], confirmations if drained else []
            except sqlite3.Error as reason:
                if self._begin_anew(reason):
                    continue
                return
            if error is not None and not failing:
                log.warning("cannot write the outbox '%s': %s; trying again each second", self.path, error)
            if error is None and failing:
                log.warning("the outbox '%s' can be written again", self.path)
            failing = error is not None
            with self._state:
                for _ in new:
                    self._new.popleft()
                del self._confirmations[: len(confirmations)]
                self._settled = stirs
                self._state.notify_all()
            if self.changed is not None:
                self.changed()
            if failing and closing:
                self._count_unwritten()
                return
            if failing:
                self._note_unwritten()
                self._make_room()
                time.sleep(1.0)

    def _begin_anew(self, damage: sqlite3.Error) -> bool:
        """Take over what can be read of a file that turned out to be damaged; say whether that was done."""
        try:
            with self._reading:
                self._writer.close()
                self._reader.close()
                self._take_over(damage)
                self._damage = None
        except (sqlite3.Error, DamagedError, OSError) as error:
            with self._state:
                self._failure = StoreError(f"the outbox '{self.path}' is damaged: {error}; move it away")
                self._state.notify_all()
            return False
        return True

    def _note_unwritten(self) -> int:
        """Note beside the file what is lost if this ends before it can be written, and return how many those are."""
        taken, confirmed, dropped, _ = self._counts
        waiting = len(self._new) + self._unwritten
        self._tally.write(Tally(taken + waiting, confirmed, dropped + waiting))
        return waiting

    def _count_unwritten(self) -> None:
        """Count what is lost at the end, since it cannot be written; the next start finds that beside the file."""
        with self._state:
            lost = self._note_unwritten()
            self._new.clear()
            self._unwritten = 0
        self._tally.sync()
        taken, confirmed, dropped, depth = self._counts
        self._counts = Counts(taken + lost, confirmed, dropped + lost, depth)
        log.warning("%d observations could not be written to '%s'; they are counted as dropped", lost, self.path)

    def _try(
        self, new: list[tuple[str, int, float | None, bytes]], confirmations: list[tuple[str, int, int]]
    ) -> sqlite3.OperationalError | None:
        """Commit, and return why that cannot be: a full disk, an I/O error; what waits goes on waiting then."""
        try:
            self._commit(new, confirmations)
        except sqlite3.OperationalError as error:
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")
            return error
        return None

    def _make_room(self) -> None:
        """Drop the older half of what waits for a disk that is full, so that nobody waits for it."""
        with self._state:
            if len(self._new) < UNCOMMITTED:
                return
            if not self._unwritten:
                log.warning("the outbox '%s' drops, and counts, what its disk has no room for", self.path)
            for _ in range(UNCOMMITTED // 2):
                self._new.popleft()
            self._unwritten += UNCOMMITTED // 2
            self._state.notify_all()

    def _commit(
        self, new: list[tuple[str, int, float | None, bytes]], confirmations: list[tuple[str, int, int]]
    ) -> None:
        """Take, let go, release and drop in one transaction; memory follows when that is on disk."""
        taken, confirmed, dropped, depth = self._counts
        released, out = self._released, self._out
        writer = self._writer
        writer.execute("BEGIN IMMEDIATE")
        writer.executemany(
            "INSERT INTO rows (session, seq, time, payload) VALUES (?, ?, ?, ?)",
            new,
        )
        taken, depth = taken + len(new) + self._unwritten, depth + len(new)
        dropped += self._unwritten

        gone = 0
        for session, first, last in confirmations:
            gone += writer.execute(
                "DELETE FROM rows WHERE session = ? AND seq BETWEEN ? AND ? AND n <= ?",
                (session, first, last, released),
            ).rowcount
        confirmed, depth, out = confirmed + gone, depth - gone, out - gone

        discarded = list(self._discarded)
        for n in discarded:
            rows = writer.execute("DELETE FROM rows WHERE n = ?", (n,)).rowcount
            dropped, depth, out = dropped + rows, depth - rows, out - (rows if n <= released else 0)

        aged = self._drop_aged(released)
        dropped, depth = dropped + aged, depth - aged

        if out < min(self._window, self._max_rows // 2) and depth > out:
            room = min(self._window, self._max_rows // 2) - out
            fresh = writer.execute("SELECT n FROM rows WHERE n > ? ORDER BY n LIMIT ?", (released, room)).fetchall()
            if not fresh:
                raise sqlite3.DatabaseError(f"it lacks rows: {depth} are counted, {out} of them released")
            released, out = fresh[-1][0], out + len(fresh)

        excess = depth - max(self._max_rows, out + self._max_rows // 2)
        if excess > 0:
            lost = writer.execute(
                "DELETE FROM rows WHERE n IN (SELECT n FROM rows WHERE n > ? ORDER BY n LIMIT ?)", (released, excess)
            ).rowcount
            if not self._full:
                log.warning("the outbox '%s' is full: its oldest observations are dropped and counted", self.path)
            dropped, depth = dropped + lost, depth - lost

        writer.execute(
            "UPDATE counts SET taken = ?, confirmed = ?, dropped = ?, released = ?",
            (taken, confirmed, dropped, released),
        )
        writer.execute("COMMIT")
        with self._state:
            del self._discarded[: len(discarded)]
        self.damaged += len(discarded)
        self._aged = aged > 0 or (self._aged and depth > out)
        self._full = excess > 0 or (self._full and depth >= self._max_rows * 0.9)
        self._counts, self._released, self._out = Counts(taken, confirmed, dropped, depth), released, out
        self._unwritten = 0
        self._tally.write(Tally(taken, confirmed, dropped))

    def _drop_aged(self, released: int) -> int:
        """Delete what is too old and was not released, and return how many rows that were."""
        if self._max_age_s is None:
            return 0
        query = "SELECT n FROM rows WHERE n > ? AND (time IS NULL OR time >= ?) ORDER BY n LIMIT 1"
        young = self._writer.execute(query, (released, time.time() - self._max_age_s)).fetchone()
        before = (released, young[0]) if young else (released, 2**62)
        lost = self._writer.execute("DELETE FROM rows WHERE n > ? AND n < ?", before).rowcount
        if lost and not self._aged:
            days = self._max_age_s / 86400
            log.warning("the outbox '%s' drops, and counts, what waited longer than %g days", self.path, days)
        return lost


def open_outbox(settings: Settings, source: str) -> Outbox:
    """Return the outbox of a source in the state folder, bounded as the settings say.

    Raises:
        UsageError: Another process has this source's outbox.
        StoreError: The file cannot be opened.
    """
    days = settings.outbox.max_age_days
    return Outbox(settings.home / "outbox", source, settings.outbox.max_rows, days * 86400 if days else None)


def waiting_sources(folder: Path) -> list[str]:
    """Return the sources whose outbox holds rows, such as those of a run that was killed."""
    names = []
    for path in sorted(folder.glob("*.db")):
        try:
            reader = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=1)
            try:
                if reader.execute("SELECT 1 FROM rows LIMIT 1").fetchone():
                    names.append(path.stem)
            finally:
                reader.close()
        except sqlite3.Error as error:  # noqa: PERF203
            if is_damage(error):
                names.append(path.stem)  # whoever opens it takes over what can be read
            else:
                log.warning("cannot read the outbox '%s': %s", path, error)
    return names


def _lock(folder: Path, source: str) -> BaseFileLock:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(folder / f"{source}.db", os.O_RDWR | os.O_CREAT, 0o600))
        return lock(folder / f"{source}.lock")
    except BlockingIOError as error:
        raise UsageError(f"source '{source}' is being watched already: give this one another name") from error
    except OSError as error:
        raise StoreError(f"cannot write the outbox in '{folder}': {error.strerror}") from error


def _open(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=10, isolation_level=None, check_same_thread=False)
    try:
        for setting in ("journal_mode = WAL", "synchronous = FULL", "journal_size_limit = 16777216"):
            connection.execute(f"PRAGMA {setting}")
    except sqlite3.Error:
        connection.close()
        raise
    return connection
