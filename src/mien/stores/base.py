"""What every store can do, and how one is opened.

A store takes observations and gives back figures. It ignores ids that it has, so whoever writes may always write
again. Readers (`dashboard`, `reports`) see stores through this module alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timezone
from typing import NamedTuple, Protocol, runtime_checkable

from mien.errors import StoreError
from mien.observation import Observation
from mien.system.plugins import load_plugin, plugin_names

__all__ = ["BUCKETS", "Bucket", "DeadLetter", "Marker", "SourceInfo", "Store", "Summary", "open_store", "utc"]

BUCKETS = {"minute": 60, "hour": 3600, "day": 86400}
"""The rollups and their length in seconds; days are those of UTC."""


class SourceInfo(NamedTuple):
    """A source that the store has seen.

    Attributes:
        source: Its name.
        first: The time of its first observation.
        last: The time of its newest observation.
        frames: How many observations it has, of which raw rows may have been pruned.
    """

    source: str
    first: datetime
    last: datetime
    frames: int


class Bucket(NamedTuple):
    """What one stretch of time showed, over the sources asked for.

    Attributes:
        start: Its beginning, UTC.
        frames: Analysed frames.
        faces: Faces in them, abstentions included.
        abstained: Faces of which no emotion was named.
        counts: Faces per emotion named, in EMOTIONS order, 7 numbers.
        sums: Sum of the probability per emotion over all faces, in EMOTIONS order, 7 numbers.
    """

    start: datetime
    frames: int
    faces: int
    abstained: int
    counts: tuple[int, ...]
    sums: tuple[float, ...]


class Summary(NamedTuple):
    """What a whole period showed; the fields are those of `Bucket`."""

    frames: int
    faces: int
    abstained: int
    counts: tuple[int, ...]
    sums: tuple[float, ...]

    @property
    def happiness(self) -> float | None:
        """100 x the mean probability of happy over the faces in view; None without faces."""
        return 100 * self.sums[3] / self.faces if self.faces else None


class DeadLetter(NamedTuple):
    """A message that could not be stored as an observation.

    Attributes:
        id: Its number.
        time: When it came, UTC.
        topic: Where it came.
        reason: Why it was set aside.
        payload: Its bytes, of a large one the first 64 KiB.
    """

    id: int
    time: datetime
    topic: str
    reason: str
    payload: bytes


class Marker(NamedTuple):
    """A moment that somebody named, such as "the show begins".

    Attributes:
        id: A UUIDv7, the key.
        time: The moment, UTC.
        label: What it is called, 1 to 200 characters.
        source: The source that it is about; None: all of them.
        created_by: Who made it.
    """

    id: str
    time: datetime
    label: str
    source: str | None
    created_by: str


@runtime_checkable
class Store(Protocol):
    """A database of observations. Every method raises StoreError when the database fails."""

    def add(self, observations: Sequence[Observation]) -> int:
        """Commit the observations that the store does not have, with their rollups, and return how many were new.

        A store without keys, which removes doubles as it is read, may count what another writer brings just now.
        Observations without a time are refused with a ValueError: they belong to no minute.
        """

    def add_dead_letters(self, letters: Sequence[tuple[str, str, bytes]]) -> None:
        """Keep messages (topic, reason, payload) that are no valid observations; the newest 10,000 stay."""

    def take_dead_letters(self, letters: Sequence[DeadLetter]) -> int:
        """Keep another store's dead letters, with their times, that are not here yet; return how many those were."""

    def dead_letters(self, limit: int = 100, before: int | None = None) -> list[DeadLetter]:
        """Return the newest dead letters, newest first; with `before` those with a lower number."""

    def dropped_dead_letters(self) -> int:
        """Return how many dead letters made room for newer ones so far."""

    def drop_dead_letters(self, numbers: Sequence[int]) -> None:
        """Delete dead letters by number."""

    def sources(self) -> list[SourceInfo]:
        """Return every source by name."""

    def timeline(
        self, start: datetime, end: datetime, bucket: str, sources: Sequence[str] | None = None
    ) -> list[Bucket]:
        """Return the non-empty buckets that begin in [start, end), oldest first.

        They are 'minute', 'hour', 'day', which are kept, or 'second', counted from the raw rows that are there.
        """

    def summary(self, start: datetime, end: datetime, sources: Sequence[str] | None = None) -> Summary:
        """Return the sum of the minutes that begin in [start, end)."""

    def recent(self, start: datetime, sources: Sequence[str] | None = None, limit: int = 1000) -> list[Observation]:
        """Return the newest raw observations since `start`, oldest first."""

    def observations(
        self,
        batch: int = 1000,
        *,
        start: datetime | None = None,
        end: datetime | None = None,
        sources: Sequence[str] | None = None,
        after: tuple[datetime, str] | None = None,
    ) -> Iterator[list[Observation]]:
        """Yield the raw observations of [start, end) in batches, in order of time and id, each read as it is asked for.

        With `after`, the time and id of one of them, only what comes behind it.
        """

    def prune(self, before: datetime) -> int:
        """Delete raw rows of minutes before `before`, refuse such ones from now on, and return how many went.

        Rollups stay.
        """

    def pruned_before(self) -> datetime | None:
        """Return the time before which there are rollups alone; None: nothing was pruned."""

    def erase(self, source: str, start: datetime, end: datetime) -> int:
        """Delete what was seen in [start, end) with its figures, refuse it from now on, and return how many rows went.

        Of a minute whose raw rows were pruned nothing can be taken out in part: it goes whole. Its markers go too.
        """

    def add_minutes(self, source: str, minutes: Sequence[Bucket]) -> int:
        """Commit the figures of minutes of which there are none here, nor erased; return how many minutes that were."""

    def add_markers(self, markers: Sequence[Marker]) -> int:
        """Commit the markers whose ids the store does not have, and return how many that were."""

    def markers(
        self, start: datetime, end: datetime, sources: Sequence[str] | None = None, limit: int = 1000
    ) -> list[Marker]:
        """Return the newest markers of [start, end), oldest first: those of these sources, and those of all."""

    def marker(self, key: str) -> Marker | None:
        """Return the marker with this id."""

    def drop_marker(self, key: str) -> bool:
        """Delete the marker with this id, and return whether there was one."""

    def size(self) -> int:
        """Return how many bytes the store takes up; what was written last may not be counted yet."""

    def vacuum(self) -> None:
        """Give the room of what was deleted back, where the database does not do so by itself."""

    def close(self) -> None:
        """Give the connection back."""


def open_store(url: str, *, read_only: bool = False) -> Store:
    """Return the store at an URL, its tables made if need be.

    Backends are the entry points of the group `mien.stores`, named by the URL's scheme (`sqlite`, `postgresql`, …).

    Args:
        url: `sqlite:///relative.db`, `sqlite:////absolute.db`, `postgresql://user@host/database`, …
        read_only: Never write; the store must be there.

    Raises:
        StoreError: No backend has that scheme, or the database cannot be opened.
    """
    scheme = url.partition(":")[0].partition("+")[0]
    known = plugin_names("mien.stores")
    if scheme not in known:
        raise StoreError(f"no store for '{scheme}:' URLs: expected one of {', '.join(known)}")
    store: Store = load_plugin("mien.stores", scheme)(url, read_only=read_only)
    return store


def utc(seconds: float) -> datetime:
    """Return the time of a Unix timestamp."""
    return datetime.fromtimestamp(seconds, timezone.utc)
