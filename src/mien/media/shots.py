"""Where shots begin: a video's frames go in, one after the other; the number of the shot of each comes out.

A frame is reduced to small blocks of brightness. Two frames are alike as far as the blocks that show something are
correlated, which a change of light hardly touches: a lamp that is switched on is no cut. A frame that shows nothing, as
in a flash or a fade through black, is passed over, and the next that shows something is held against the last one.
A cut is a frame that is unlike the one before while both are like their other neighbours. A dissolve is told from a
pan by its middle, which is a mixture of its ends.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.media.base import Frame, Image, Source, Wrapper

__all__ = ["ShotDetector", "Shots", "numbered"]

COLUMNS, ROWS = 8, 6
"""A frame is divided into so many blocks,"""

SIDE = 8
"""each of so many by so many points."""

FLAT = 4.0
"""A block whose brightness varies less shows nothing, 0 to 255."""

EMPTY = 0.12
"""A frame shows nothing where fewer of its blocks show something, as a share."""

UNLIKE = 0.5
"""A shot begins where frames are less alike than this, from -1 to 1."""

STANDS_OUT = 0.3
"""And less by so much than frames have been on the average, as in a fast pan they are all unlike."""

LOOK_BACK_S = (0.5, 1.0, 2.0)
"""Over such times a dissolve is looked for, in seconds."""

MIXED = 0.85
"""The middle of a dissolve is explained by its ends to this share of its variance."""

CALM = 0.75
"""What is dissolved was so much alike before, so that it is no picture that always changes."""

SHORTEST_S = 0.2
"""No shot is shorter, in seconds."""

Array = NDArray[np.float32]


@dataclass(frozen=True)
class _Sight:
    """What is kept of a frame.

    Attributes:
        at_s: Its position in the medium in seconds.
        blocks: Its brightness, shape (ROWS x COLUMNS, SIDE x SIDE), the mean of each block taken out.
        spread: How much each block varies, shape (ROWS x COLUMNS,).
        points: Its brightness as it is, shape (n,).
    """

    at_s: float
    blocks: Array
    spread: Array
    points: Array

    @property
    def empty(self) -> bool:
        return float((self.spread >= FLAT).mean()) < EMPTY


def _sight(image: Image, at_s: float) -> _Sight:
    step = max(1, max(image.shape[:2]) // 192)
    grey = cv2.cvtColor(np.ascontiguousarray(image[::step, ::step]), cv2.COLOR_BGR2GRAY)
    small = cv2.resize(grey, (COLUMNS * SIDE, ROWS * SIDE), interpolation=cv2.INTER_AREA).astype(np.float32)
    blocks = small.reshape(ROWS, SIDE, COLUMNS, SIDE).transpose(0, 2, 1, 3).reshape(ROWS * COLUMNS, SIDE * SIDE)
    centred = blocks - blocks.mean(1, keepdims=True)
    return _Sight(at_s, centred, np.sqrt((centred**2).mean(1)), small.reshape(-1))


def _alike(one: _Sight, two: _Sight) -> float:
    """Return how alike two frames are, -1 to 1: the mean correlation of the blocks that show something in either."""
    shows = np.maximum(one.spread, two.spread) >= FLAT
    if not shows.any():
        return 1.0
    a, b = one.blocks[shows], two.blocks[shows]
    # A block that shows nothing in one of the two frames is unlike one that does.
    norm = np.maximum(one.spread[shows], FLAT / 2) * np.maximum(two.spread[shows], FLAT / 2)
    return float(((a * b).mean(1) / norm).mean())


def _mixture(first: _Sight, middle: _Sight, last: _Sight) -> float:
    """Return how much of the last frame is in one between, 0 to 1; NaN where that is no mixture of the two."""
    ends = np.stack([first.points - first.points.mean(), last.points - last.points.mean()], 1)
    target = middle.points - middle.points.mean()
    weights, *_ = np.linalg.lstsq(ends, target, rcond=None)
    left = target - ends @ weights
    if (weights < -0.1).any() or float(left @ left) > (1 - MIXED) * float(target @ target):
        return float("nan")
    return float(weights[1] / max(1e-6, weights.sum()))


class ShotDetector:
    """Says of each frame of a video whether a shot begins with it."""

    def __init__(self) -> None:
        self._seen: deque[_Sight] = deque()
        self._began_s = 0.0
        self._usual = 1.0

    def begins(self, image: Image, at_s: float) -> bool:
        """Return whether a shot begins with the next frame.

        Args:
            image: BGR, shape (h, w, 3), uint8; all of one size.
            at_s: Its position in the medium in seconds.
        """
        now = _sight(image, at_s)
        if not self._seen:
            if not now.empty:
                self._seen.append(now)
            return False
        if now.empty:
            return False
        before = self._seen[-1]
        alike = _alike(before, now)
        cut = alike < UNLIKE and alike < self._usual - STANDS_OUT and at_s - self._began_s >= SHORTEST_S
        if not cut:
            weight = 0.2
            self._usual += weight * (alike - self._usual)
            cut = self._dissolved(now)
        if cut:
            self._seen.clear()
            self._began_s, self._usual = at_s, 1.0
        self._seen.append(now)
        while now.at_s - self._seen[0].at_s > 1.5 * LOOK_BACK_S[-1]:
            self._seen.popleft()
        return cut

    def _dissolved(self, now: _Sight) -> bool:
        """Return whether the last frame of a dissolve has come: all between is a mixture, ever more of what comes."""
        for length in LOOK_BACK_S:
            if now.at_s - self._seen[0].at_s < length:
                return False
            first = self._at(now.at_s - length)
            if _alike(first, now) >= UNLIKE or _alike(self._at(first.at_s - length / 2), first) < CALM:
                continue
            shares = [_mixture(first, self._at(now.at_s - length * left), now) for left in (0.75, 0.5, 0.25)]
            if shares == sorted(shares) and 0.1 < shares[1] < 0.9:
                return True
        return False

    def _at(self, at_s: float) -> _Sight:
        return min(self._seen, key=lambda sight: abs(sight.at_s - at_s))


class Shots(Wrapper):
    """Hands on the frames of a video, each with the number of its shot."""

    def __iter__(self) -> Iterator[Frame]:
        detector, number = ShotDetector(), 0
        for frame in self.frames():
            if frame.offset_s is not None and detector.begins(frame.image, frame.offset_s):
                number += 1
            yield replace(frame, shot=number)


def numbered(source: Source) -> Source:
    """Return a source whose frames bear the number of their shot."""
    return Shots(source)
