"""What a source of frames is, and what slows one down: to its own pace, or to what a camera would give."""

from __future__ import annotations

import threading
import time as clock
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mien.errors import PartialError

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = [
    "MARK_S",
    "Frame",
    "Image",
    "Need",
    "Source",
    "Wrapper",
    "later",
    "mark_before",
    "notes_of",
    "paced",
    "performed",
    "raise_problem",
]

LATE_S = 0.1
"""A performed frame that is later than this is dropped, in seconds."""

SHOWN_EVERY_S = 0.25
"""However late, one is shown this often, so that a machine too slow even to decode still has something to say."""

MARK_S = 60.0
"""At each multiple of so many seconds what is told of a video rests on nothing long before, so that it can be divided
there between machines; see `mien.run.collection.sections`."""

Image = NDArray[np.uint8]
"""A picture, BGR, shape (h, w, 3), 0-255."""

Need: TypeAlias = Callable[[int, float], bool]
"""Says of each frame of a medium, asked once and in order, by number and offset in seconds, whether it is needed."""


@dataclass(frozen=True)
class Frame:
    """One picture of a source.

    Attributes:
        image: BGR, shape (h, w, 3), uint8.
        index: Its number in the medium, counted from 0.
        offset_s: Position in the medium in seconds, 0 at its first frame, or where its sound begins if that is well
            before; None for photos.
        time: UTC: of live sources the clock at capture, of files the session's start + offset_s, of photos what their
            EXIF data tell, else None.
        path: The photo's file or its URL; None elsewhere.
        shot: The number of its shot, from 0, as far as shots are told apart; see `mien.media.shots`.
    """

    image: Image
    index: int
    offset_s: float | None
    time: datetime | None
    path: Path | str | None = None
    shot: int = 0


class Source(Protocol):
    """A medium that is iterated once, from its beginning.

    Attributes:
        name: What it is called in observations.
        live: Whether frames come when they come, and those that nobody takes in time are dropped.
        dropped: How many frames were dropped so far.
        expected: About how many frames there will be, where that can be told; good for a progress bar only.
        state: How a live source does at present: "ok"; "frozen" where it shows the same picture again and again; "away"
            where it gives none.
        problem: One line once iteration has met something that could not be read; what could be read was yielded.
        notes: Lines on what was chosen or assumed where it could have been otherwise; more may come while iterating.
    """

    name: str
    live: bool
    dropped: int
    problem: str | None
    notes: tuple[str, ...] = ()
    expected: int | None = None
    state: str = "ok"

    def __iter__(self) -> Iterator[Frame]:
        """Yield frames until the medium ends or the source is closed."""

    def skip_to(self, offset_s: float) -> None:  # noqa: ARG002 - of use only where something can be skipped
        """Say, before iterating, that nobody wants the frames before a time, in seconds: some of them may be left out.

        Those that are not left out keep their number and offset.
        """
        return

    def need_only(self, needs: Callable[[], Need]) -> None:  # noqa: ARG002 - of use only where frames can be left out
        """Say, before iterating, which frames anybody needs: all others may be left out.

        Args:
            needs: Makes what is asked about each frame; may be called more than once.
        """
        return

    def close(self) -> None:
        """Give the medium back; may be called from any thread, more than once, and ends an iteration."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def later(began: datetime, offset_s: float) -> datetime | None:
    """Return when a frame is shown that comes so many seconds after a medium began; None: no calendar has that time."""
    try:
        return began + timedelta(seconds=offset_s)
    except OverflowError:  # a file that claims to begin or end in another age
        return None


def mark_before(offset_s: float) -> int:
    """Return how many of a video's marks lie behind its beginning, up to this time in seconds; see MARK_S."""
    return int((offset_s + 1e-6) // MARK_S)


def raise_problem(source: Source, kept: str) -> None:
    """Raise what iteration had to leave out, if anything.

    Args:
        source: A source that has been iterated.
        kept: What became of the frames that could be read, such as "the 12 frames before were written to out.csv".

    Raises:
        PartialError: The source has a problem.
    """
    if source.problem:
        raise PartialError(f"{source.problem}; {kept}")


def notes_of(source: Source) -> tuple[str, ...]:
    """Return what a source has to note; one of another package may know of no notes."""
    return getattr(source, "notes", ())


class Wrapper(Source):
    """A source that hands on the frames of another; what it does with them, its `__iter__` says."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.name, self.live, self.dropped, self.problem = source.name, source.live, source.dropped, source.problem
        self.expected = source.expected
        self._closed = threading.Event()

    def frames(self) -> Iterator[Frame]:
        """Yield the other's frames and take over what it says of itself."""
        for frame in self.source:
            self.dropped = self.source.dropped
            yield frame
        self.problem = self.source.problem

    @property
    def notes(self) -> tuple[str, ...]:  # type: ignore[override]
        """What the other has to say of what it chose."""
        return notes_of(self.source)

    @property
    def state(self) -> str:  # type: ignore[override]
        """How the other does at present."""
        return self.source.state

    def skip_to(self, offset_s: float) -> None:
        """Let the other leave out what nobody wants."""
        self.source.skip_to(offset_s)

    def need_only(self, needs: Callable[[], Need]) -> None:
        """Let the other leave out what nobody needs; one of another package may not be able to."""
        if hasattr(self.source, "need_only"):
            self.source.need_only(needs)

    def close(self) -> None:
        """Close the other."""
        self._closed.set()
        self.source.close()


class _Paced(Wrapper):
    def __iter__(self) -> Iterator[Frame]:
        start: float | None = None
        for frame in self.frames():
            start = clock.monotonic() if start is None else start
            due = start + (frame.offset_s or 0.0)
            if self._closed.wait(max(0.0, due - clock.monotonic())):
                return
            yield frame


class _Performed(Wrapper):
    def __iter__(self) -> Iterator[Frame]:
        start: float | None = None
        shown, late = 0.0, 0
        for frame in self.frames():
            time = clock.monotonic()
            start = time if start is None else start
            ahead = start + (frame.offset_s or 0.0) - time
            self.dropped = self.source.dropped + late
            if ahead < -LATE_S and time - shown < SHOWN_EVERY_S:
                late += 1
                continue
            if self._closed.wait(max(0.0, ahead)):
                return
            shown = clock.monotonic()
            yield frame


def paced(source: Source) -> Source:
    """Return a file's frames at the file's own pace, and a live source as it is; no frame is left out."""
    return source if source.live else _Paced(source)


def performed(source: Source) -> Source:
    """Return a file's frames as a camera would give them: at its pace, and those that would come late are dropped."""
    return source if source.live else _Performed(source)
