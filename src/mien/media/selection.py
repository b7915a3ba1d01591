"""What of a source is looked at: its frames go in, those that are wanted come out, and of them the parts that are.

Times and frame numbers stay those of the medium.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence

import cv2
import numpy as np

from mien.config import Shape
from mien.errors import InputError, UsageError
from mien.media.base import Frame, Source, Wrapper, limited

__all__ = ["masked", "parse_seconds", "selected"]


def selected(
    source: Source, *, every: int = 1, fps: float | None = None, start: float = 0.0, end: float | None = None
) -> Source:
    """Return a source of those frames of another that are wanted; photos, which have no times, are all wanted.

    Args:
        source: The source; closing the returned one closes it.
        every: Yield every Nth frame only.
        fps: At most so many frames a second of the medium's time, evenly.
        start: From this time on, in seconds.
        end: Up to this time, in seconds, which is left out itself; None: to the medium's end.

    Raises:
        UsageError: A number is out of range.
    """
    if every < 1:
        raise UsageError(f"cannot take every {every}th frame: expected 1 or more")
    if fps is not None and not 0 < fps < math.inf:
        raise UsageError(f"cannot take {fps:g} frames a second: expected a number over 0")
    if not 0 <= start < math.inf:
        raise UsageError(f"cannot start at {start:g} seconds: expected 0 or more")
    if end is not None and not end > start:
        raise UsageError(f"cannot end at {end:g} seconds: expected a time after the start at {start:g}")
    if every > 1 or start > 0 or end is not None:
        source = _Selected(source, every, start, end)
    return limited(source, lambda: fps) if fps else source


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
    def __init__(self, source: Source, every: int, start: float, end: float | None) -> None:
        super().__init__(source)
        self._every, self._start, self._end = every, start, end
        source.skip_to(start)
        bounded = start > 0 or end is not None
        self.expected = None if bounded or source.expected is None else math.ceil(source.expected / every)

    def __iter__(self) -> Iterator[Frame]:
        at, count = 0.0, 0
        for frame in self.frames():
            if frame.offset_s is None:
                yield frame
                count += 1
                continue
            if self._end is not None and frame.offset_s >= self._end - 1e-6:
                break
            at = frame.offset_s
            if at < self._start - 1e-6:
                continue
            if count % self._every == 0:
                yield frame
            count += 1
        if not count and self._start and not self._closed.is_set():
            raise InputError(
                f"nothing of '{self.name}' is left: its last frame is at {at:.2f} s, the start at {self._start:g} s"
            )


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
