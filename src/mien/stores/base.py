"""What every store can do, and how one is opened.

A store takes observations and gives back figures. It ignores ids that it has, so whoever writes may always write
again. Readers (`dashboard`, `reports`) see stores through this module alone.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, NamedTuple, Protocol, runtime_checkable

from mien.errors import StoreError
from mien.observation import EMOTIONS, UNTOLD_SPAN_S, Emotion, Observation
from mien.system.plugins import load_plugin, plugin_names

if sys.version_info >= (3, 11):
    from typing import Self
else:
    from typing_extensions import Self

__all__ = [
    "BUCKETS",
    "SUM_COLUMNS",
    "WHOLE_COLUMNS",
    "Arrivals",
    "Bucket",
    "DeadLetter",
    "Marker",
    "SourceInfo",
    "Store",
    "Summary",
    "Sums",
    "open_store",
    "utc",
]

BUCKETS = {"minute": 60, "hour": 3600, "day": 86400}
"""The rollups and their length in seconds; days are those of UTC."""


SUM_COLUMNS = (
    *("frames", "faces", "unclear", "untimed"),
    *(f"count_{emotion}" for emotion in EMOTIONS),
    *(f"sum_{emotion}" for emotion in EMOTIONS),
    "face_seconds",
    *(f"seconds_{emotion}" for emotion in EMOTIONS),
)
"""The columns in which tables keep `Sums`."""

WHOLE_COLUMNS = {name for name in SUM_COLUMNS if not name.startswith(("sum_", "seconds_", "face_seconds"))}
"""Those that hold whole numbers."""


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


@dataclass(slots=True)
class Sums:
    """What was seen, added up: of a stretch of time, a period, a table.

    Attributes:
        frames: Analysed frames.
        faces: Faces in them, the unclear ones included.
        unclear: Faces of which no emotion was named.
        counts: Faces by the emotion named.
        probabilities: The sum of the probability over all faces, by emotion.
        face_seconds: The seconds that each face was seen, added up.
        seconds: The sum of the probability x seconds over all faces, by emotion.
        untimed: Faces in frames that do not say how long they stand for, as those of earlier versions: each of these
            weighs the same, UNTOLD_SPAN_S, as the old rule had it.
    """

    frames: int = 0
    faces: int = 0
    unclear: int = 0
    counts: dict[Emotion, int] = field(default_factory=lambda: dict.fromkeys(EMOTIONS, 0))
    probabilities: dict[Emotion, float] = field(default_factory=lambda: dict.fromkeys(EMOTIONS, 0.0))
    face_seconds: float = 0.0
    seconds: dict[Emotion, float] = field(default_factory=lambda: dict.fromkeys(EMOTIONS, 0.0))
    untimed: int = 0

    @classmethod
    def of_row(cls, row: Any) -> Sums:
        """Return the sums that a row of SUM_COLUMNS holds, asked for by name; what is None is 0."""
        return cls(
            int(row["frames"] or 0),
            int(row["faces"] or 0),
            int(row["unclear"] or 0),
            {emotion: int(row[f"count_{emotion}"] or 0) for emotion in EMOTIONS},
            {emotion: float(row[f"sum_{emotion}"] or 0) for emotion in EMOTIONS},
            float(row["face_seconds"] or 0),
            {emotion: float(row[f"seconds_{emotion}"] or 0) for emotion in EMOTIONS},
            int(row["untimed"] or 0),
        )

    def row(self) -> dict[str, int | float]:
        """Return the sums by SUM_COLUMNS."""
        return {
            "frames": self.frames,
            "faces": self.faces,
            "unclear": self.unclear,
            "untimed": self.untimed,
            **{f"count_{emotion}": count for emotion, count in self.counts.items()},
            **{f"sum_{emotion}": total for emotion, total in self.probabilities.items()},
            "face_seconds": self.face_seconds,
            **{f"seconds_{emotion}": total for emotion, total in self.seconds.items()},
        }

    def count(self, observation: Observation) -> None:
        """Add what an observation shows."""
        span_s, faces = observation.span_s, len(observation.faces)
        if span_s is None:
            span_s, self.untimed = UNTOLD_SPAN_S, self.untimed + faces
        self.frames += 1
        self.faces += faces
        self.face_seconds += faces * span_s
        probabilities, seconds = self.probabilities, self.seconds
        for face in observation.faces:
            if face.emotion is None:
                self.unclear += 1
            else:
                self.counts[face.emotion] += 1
            for emotion in EMOTIONS:
                probability = getattr(face.probabilities, emotion)
                probabilities[emotion] += probability
                seconds[emotion] += probability * span_s

    def __iadd__(self, other: Sums) -> Self:
        self.frames += other.frames
        self.faces += other.faces
        self.unclear += other.unclear
        self.untimed += other.untimed
        self.face_seconds += other.face_seconds
        for emotion in EMOTIONS:
            self.counts[emotion] += other.counts[emotion]
            self.probabilities[emotion] += other.probabilities[emotion]
            self.seconds[emotion] += other.seconds[emotion]
        return self

    def without(self, other: Sums) -> Sums:
        """Return these sums less others that are part of them."""
        mine, theirs = self.row(), other.row()
        return Sums.of_row({name: mine[name] - theirs[name] for name in SUM_COLUMNS})

    def share(self, emotion: Emotion) -> float | None:
        """Return 100 x the mean probability of an emotion over faces and time; None without faces.

        Each face weighs the seconds that its frame stands for, so that no source counts for more because it is
        analysed more often.
        """
        if self.face_seconds > 0:
            return 100 * self.seconds[emotion] / self.face_seconds
        return 100 * self.probabilities[emotion] / self.faces if self.faces else None

    @property
    def happiness(self) -> float | None:
        """The happiness index: the share of happy; None without faces."""
        return self.share("happy")

    @property
    def strongest(self) -> Emotion | None:
        """The emotion with the highest share; None without faces."""
        if not self.faces:
            return None
        return max(EMOTIONS, key=lambda emotion: self.share(emotion) or 0.0)


@dataclass(slots=True, kw_only=True)
class Summary(Sums):
    """What was seen in one period, added up.

    Attributes:
        start: The beginning of what was added up, UTC.
        end: Its end, UTC, not included.
    """

    start: datetime
    end: datetime


class Arrivals(NamedTuple):
    """What came of a source otherwise than most does; nothing of it is lost without being counted here.

    Attributes:
        source: Its name.
        late: Observations stored of minutes whose raw rows had been pruned before they came.
        refused: Observations not stored, since they are of a time that was erased.
    """

    source: str
    late: int
    refused: int


class Bucket(NamedTuple):
    """What one stretch of time showed, over the sources asked for.

    Attributes:
        start: Its beginning, UTC.
        sums: What was seen in it.
    """

    start: datetime
    sums: Sums


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

    def add(self, observations: Sequence[Observation], *, arrived: datetime | None = None) -> int:
        """Commit the observations that the store never had, with their rollups, and return how many were new.

        What is of a time that was erased is counted as refused instead, once. Whatever else comes is stored, however
        old its time is; what was pruned since is known by its session and `seq`.
        A store without keys, which removes doubles as it is read, may count what another writer brings just now.
        Observations without a time are refused with a ValueError: they belong to no minute.

        Args:
            observations: What came.
            arrived: When, UTC; None: now. Raw rows are pruned by it.
        """

    def arrivals(self) -> list[Arrivals]:
        """Return what came late, or was refused, by source; of sources without either there is nothing."""

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
        """Return the sum of what was seen in [start, end).

        A border within a minute is kept while all raw rows of that minute are there. Without them nothing smaller than
        the minute is known: then it counts whole, and `start` or `end` of the answer say so.
        """

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
        """Delete raw rows that arrived before `before`, and return how many went; rollups stay.

        What was deleted stays known, and is not added again when it comes again.
        """

    def prune_rollups(self, before: datetime) -> int:
        """Delete the rollups of days that ended before `before`, and return of how many minutes those were.

        Only days all of whose raw rows are gone: first they are pruned, then forgotten.
        """

    def pruned_before(self) -> datetime | None:
        """Return the time before which raw rows may be missing; None: nothing was pruned."""

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
