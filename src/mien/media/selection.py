"""What of a source is looked at: its frames go in, those that are wanted come out, and of them the parts that are.

Times and frame numbers stay those of the medium.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from mien.config import Shape
from mien.errors import InputError, UsageError
from mien.media.base import Frame, Need, Source, Wrapper
from mien.media.shots import SEEN_S

__all__ = ["Sampling", "limited", "masked", "parse_seconds", "selected"]

SHOTS_FROM_FPS = 1.0
"""Of frames that are further apart than this, no face is followed from one to the next, so shots need not be told."""


class RateLimit:
    """Takes at most so many frames a second, evenly."""

    def __init__(self) -> None:
        self._at_s: float | None = None

    def takes(self, at_s: float | None, fps: float | None) -> bool:
        """Return whether the next frame is taken.

        Args:
            at_s: Its position in seconds; None: photos, all of which are.
            fps: How many frames a second; None: all are.
        """
        if at_s is None or fps is None:
            self._at_s = at_s
            return True
        due = 0.0 if self._at_s is None else self._at_s + 1 / fps
        if at_s < due - 1e-6:
            return False
        # A late frame moves the beat, so that no burst follows it.
        self._at_s = due if due + 1 / fps > at_s else at_s
        return True


class _ForShots:
    """Takes the frames that are needed to tell shots apart, besides those that are wanted."""

    def __init__(self) -> None:
        self._latest_s = -math.inf

    def takes(self, at_s: float, fps: float | None, *, is_wanted: bool) -> bool:
        """Return whether the next frame is needed.

        Args:
            at_s: Its position in seconds.
            fps: How many frames a second are wanted; None: all are.
            is_wanted: Whether it is needed anyway.
        """
        tells_shots = fps is None or fps >= SHOTS_FROM_FPS
        if is_wanted or (tells_shots and at_s >= self._latest_s + SEEN_S - 1e-6):
            self._latest_s = at_s
            return True
        return False


@dataclass(frozen=True)
class Sampling:
    """Which frames of a medium are wanted; see `selected`."""

    every: int = 1
    fps: float | None = None
    start: float = 0.0
    end: float | None = None

    def __post_init__(self) -> None:
        if self.every < 1:
            raise UsageError(f"cannot take every {self.every}th frame: expected 1 or more")
        if self.fps is not None and not 0 < self.fps < math.inf:
            raise UsageError(f"cannot take {self.fps:g} frames a second: expected a number over 0")
        if not 0 <= self.start < math.inf:
            raise UsageError(f"cannot start at {self.start:g} seconds: expected 0 or more")
        if self.end is not None and not self.end > self.start:
            raise UsageError(f"cannot end at {self.end:g} seconds: expected a time after the start at {self.start:g}")

    @property
    def is_sparse(self) -> bool:
        """Whether frames between others are left out."""
        return self.every > 1 or self.fps is not None

    def choose(self, source: Source) -> Source:
        """Return a source of the frames of another that are wanted; see `selected`."""
        takes_all = not self.is_sparse and self.start == 0 and self.end is None
        return source if takes_all else _Selected(source, self)

    def is_over(self, at_s: float) -> bool:
        """Return whether nothing is wanted from this time on."""
        return self.end is not None and at_s >= self.end - 1e-6

    def wants(self) -> Need:
        """Return what says of each frame whether it is wanted, also where those that nobody needs are left out."""
        first: int | None = None
        beat = RateLimit()

        def wanted(number: int, at_s: float) -> bool:
            nonlocal first
            if at_s < self.start - 1e-6 or self.is_over(at_s):
                return False
            first = number if first is None else first
            return (number - first) % self.every == 0 and beat.takes(at_s, self.fps)

        return wanted

    def needs(self) -> Need:
        """Return what says of each frame whether it is wanted, or else needed to tell shots apart."""
        wanted, for_shots = self.wants(), _ForShots()

        def needed(number: int, at_s: float) -> bool:
            is_outside = at_s < self.start - 1e-6 or self.is_over(at_s)
            return for_shots.takes(at_s, self.fps, is_wanted=wanted(number, at_s) or is_outside)

        return needed


def selected(
    source: Source, *, every: int = 1, fps: float | None = None, start: float = 0.0, end: float | None = None
) -> Source:
    """Return a source of those frames of another that are wanted; photos, which have no times, are all wanted.

    What lies between them is not even decoded, where the medium allows.

    Args:
        source: The source; closing the returned one closes it.
        every: Yield every Nth frame only.
        fps: At most so many frames a second of the medium's time, evenly.
        start: From this time on, in seconds.
        end: Up to this time, in seconds, which is left out itself; None: to the medium's end.

    Raises:
        UsageError: A number is out of range.
    """
    return Sampling(every, fps, start, end).choose(source)


def limited(source: Source, fps: Callable[[], float | None]) -> Source:
    """Return at most so many frames a second of the medium's time, evenly.

    Of files what lies between is not even decoded, where the medium allows.

    Args:
        source: The source; closing the returned one closes it.
        fps: Asked at each frame, so that it may change; None: all frames.
    """
    return _Limited(source, fps)


def masked(source: Source, shapes: Sequence[Shape]) -> Source:
    """Return the frames of a source with parts of them black, so that nothing later sees what is there.

    Args:
        source: The source; closing the returned one closes it.
        shapes: The parts, each by its corners: x, y, from 0 to 1 of the frame's width and height.
    """
    return _Masked(source, shapes) if shapes else source


def parse_seconds(text: str) -> float:
    """Return the seconds that a time such as `90`, `1:30` or `00:01:30.5` means.

        >>> parse_seconds("1:02:03.5")
        3723.5

    Raises:
        UsageError: It is no such time.
    """
    parts = text.split(":")
    try:
        numbers = [float(part) for part in parts]
    except ValueError:
        numbers = [math.nan]
    leading, last = numbers[:-1], numbers[-1]
    fits = all(number.is_integer() for number in leading) and all(0 <= number < 60 for number in numbers[1:])
    if len(parts) > 3 or not fits or not 0 <= numbers[0] < math.inf:
        raise UsageError(f"'{text}' is no time: expected seconds, mm:ss or hh:mm:ss")
    return last + sum(number * 60.0**power for power, number in enumerate(reversed(leading), 1))


class _Selected(Wrapper):
    def __init__(self, source: Source, sampling: Sampling) -> None:
        super().__init__(source)
        self._sampling = sampling
        if sampling.start:
            source.skip_to(sampling.start)
        if sampling.is_sparse:
            super().need_only(sampling.needs)
        if sampling.start > 0 or sampling.end is not None:
            self.expected = None
        elif source.expected is not None:
            self.expected = math.ceil(source.expected / sampling.every)

    def __iter__(self) -> Iterator[Frame]:
        of, at, count = self._sampling, 0.0, 0
        wanted = of.wants()
        for frame in self.frames():
            if frame.offset_s is None:
                yield frame
                count += 1
                continue
            if of.is_over(frame.offset_s):
                break
            at = frame.offset_s
            if wanted(frame.index, at):
                count += 1
                yield frame
        if not count and of.start and not self._closed.is_set():
            raise InputError(
                f"nothing of '{self.name}' is left: its last frame is at {at:.2f} s, the start at {of.start:g} s"
            )


class _Limited(Wrapper):
    def __init__(self, source: Source, fps: Callable[[], float | None]) -> None:
        super().__init__(source)
        self._fps = fps
        if fps() is not None:
            super().need_only(self._needs)

    def _needs(self) -> Need:
        beat, for_shots = RateLimit(), _ForShots()

        def needed(_: int, at_s: float) -> bool:
            fps = self._fps()
            return for_shots.takes(at_s, fps, is_wanted=beat.takes(at_s, fps))

        return needed

    def __iter__(self) -> Iterator[Frame]:
        beat = RateLimit()
        for frame in self.frames():
            if beat.takes(frame.offset_s, self._fps()):
                yield frame


class _Masked(Wrapper):
    def __init__(self, source: Source, shapes: Sequence[Shape]) -> None:
        super().__init__(source)
        self._shapes = [np.array(shape) for shape in shapes]

    def __iter__(self) -> Iterator[Frame]:
        for frame in self.frames():
            image = frame.image.copy()
            size = np.array(image.shape[1::-1])
            # What a shape touches is covered, the pixels under its edges too.
            corners = [np.round(shape * size).astype(np.int32) for shape in self._shapes]
            cv2.fillPoly(image, corners, (0, 0, 0))
            yield dataclasses.replace(frame, image=image)
