"""How mouths move: frames and the boxes of their faces go in, the motion of each mouth over time comes out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import msgspec
import numpy as np
from numpy.typing import NDArray

from mien.media.base import Image
from mien.reports.meeting.names.tags import Box
from mien.reports.meeting.names.tiles import overlap

__all__ = ["MouthRun", "MouthWatch"]

APART_S = 0.6
"""Frames that are farther apart, in seconds, do not tell how a mouth moved between them."""

SAME_PLACE = 0.3
"""Faces whose boxes overlap so much, over their union, are one, if they look alike."""

GONE_S = 5.0
"""A face that is gone for longer, in seconds, may be another's when it comes again."""

SIDE = 48
"""Faces are compared at so many pixels a side."""

UPPER, MOUTH = (slice(4, 24), slice(8, 40)), (slice(29, 46), slice(12, 36))
"""Rows and columns of the eyes and the forehead, and of the mouth."""

FURTHEST = 4.0
"""A face moves by no more of these pixels between two frames."""

SAME_FACE = 0.5
"""A place shows the same face while the upper halves of two frames are correlated so much, -1 to 1."""

HANNING = cv2.createHanningWindow((32, 20), cv2.CV_32F)

NOISE = 1.0
"""So much differs between two frames, 0 to 255, where nothing moves."""

Patch = NDArray[np.float32]


class MouthRun(msgspec.Struct, array_like=True):
    """How the mouth of one face moved, from when the face came until it went or was another.

    Attributes:
        box: Where the face was last, in pixels.
        times: When, in seconds.
        motion: The logarithm of how much more the mouth changed than the upper half of the face.
    """

    box: Box
    times: list[float]
    motion: list[float]


@dataclass
class _Face:
    """A face where and when it was seen last, and the run that it belongs to."""

    box: Box
    at: float
    run: MouthRun | None = None


class MouthWatch:
    """Measures how mouths move in the frames that it is shown in order of time."""

    def __init__(self) -> None:
        self._runs: list[MouthRun] = []
        self._faces: list[_Face] = []
        self._before: Image | None = None
        self._at = -math.inf

    @property
    def runs(self) -> list[MouthRun]:
        """What was measured so far."""
        return [run for run in self._runs if run.times]

    def see(self, image: Image, at: float, faces: Sequence[Box]) -> None:
        """Take the next frame.

        Args:
            image: BGR, shape (h, w, 3), uint8.
            at: Its position in the recording in seconds.
            faces: The boxes of the faces that are looked at, in pixels.
        """
        before = self._before
        if before is None or before.shape != image.shape:
            self._faces = []
        recent = [face for face in self._faces if at - face.at <= GONE_S]
        now = []
        for box in faces:
            face = max(recent, key=lambda face: overlap(face.box, box), default=None)
            if face is None or overlap(face.box, box) < SAME_PLACE:
                now.append(_Face(box, at))
                continue
            recent.remove(face)
            if before is not None and face.at == self._at and at - self._at <= APART_S:
                self._measure(face, before, image, at)
            face.box, face.at = box, at
            now.append(face)
        self._faces = [*now, *recent]
        self._before, self._at = image, at

    def _measure(self, face: _Face, before: Image, after: Image, at: float) -> None:
        """Take note of how a mouth moved between two frames; another face begins another run."""
        moved = _motion(before, after, face.box)
        if moved is None:
            face.run = None
            return
        if face.run is None:
            face.run = MouthRun(face.box, [], [])
            self._runs.append(face.run)
        face.run.box = face.box
        face.run.times.append(round(at, 3))
        face.run.motion.append(round(moved, 3))


def _motion(before: Image, after: Image, box: Box) -> float | None:
    """Return how much more a mouth changed than the rest of its face; None where it is another face."""
    first, second = _patch(before, box), _patch(after, box)
    if first is None or second is None:
        return None
    (dx, dy), _ = cv2.phaseCorrelate(first[UPPER].copy(), second[UPPER].copy(), HANNING)
    if max(abs(dx), abs(dy)) <= FURTHEST:
        shift = np.array([[1, 0, -dx], [0, 1, -dy]], np.float32)
        second = np.asarray(cv2.warpAffine(second, shift, (SIDE, SIDE), borderMode=cv2.BORDER_REPLICATE), np.float32)
    likeness = cv2.matchTemplate(first[UPPER].copy(), second[UPPER].copy(), cv2.TM_CCOEFF_NORMED)
    if float(likeness[0, 0]) < SAME_FACE:
        return None
    change = cv2.absdiff(first, second)
    return math.log((float(change[MOUTH].mean()) + NOISE) / (float(change[UPPER].mean()) + NOISE))


def _patch(image: Image, box: Box) -> Patch | None:
    """Return a part of a frame in grey, shape (SIDE, SIDE); None where it lies outside."""
    x, y, wide, high = box
    part = image[max(0, y) : max(0, y + high), max(0, x) : max(0, x + wide)]
    if min(part.shape[:2]) < 8:
        return None
    grey = cv2.cvtColor(part, cv2.COLOR_BGR2GRAY)
    return np.asarray(cv2.resize(grey, (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.float32)
