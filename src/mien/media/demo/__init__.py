"""The clip that comes with Mien: a portrait that looks about and changes its expression, drawn frame by frame.

Nothing goes in but the picture beside this file; 20 seconds of 640x360 frames come out, 20 a second, the same each
time. `python -m mien.media.demo clip.mp4` writes them to a file.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.media.base import Frame, Image, Source
from mien.observation import now

__all__ = ["FPS", "SECONDS", "SIZE", "Demo"]

SIZE = (640, 360)
FPS = 20
SECONDS = 20

PORTRAIT = Path(__file__).parent / "portrait.jpg"
ENLARGED = 2
FACE = (150, 50, 140, 140)
"""The part of the portrait in which the face moves: x, y, width, height, in its pixels, as are all measures below."""


class _Pull(NamedTuple):
    """Moves what lies around a point, less and less with distance."""

    x: float
    y: float
    by_x: float
    by_y: float
    wide: float
    high: float


class _Spread(NamedTuple):
    """Opens (or, where negative, shuts) what lies above and below a point."""

    x: float
    y: float
    by: float
    wide: float
    high: float


class _Tint(NamedTuple):
    """Colours what lies around a point, where the lips meet or part."""

    x: float
    y: float
    by: float
    wide: float
    high: float


class _Soften(NamedTuple):
    """Smooths the skin around a point, where a smile folds it."""

    x: float
    y: float
    by: float
    wide: float
    high: float


_MOUTH = (46, 38, 78)
"""The colour between the lips, BGR."""

_RELAXED = (
    _Soften(203, 131, 0.9, 6, 11),
    _Soften(241, 131, 0.9, 6, 11),
    _Soften(197, 140, 0.9, 6, 9),
    _Soften(248, 140, 0.9, 6, 9),
)
_SHUT = (
    *_RELAXED,
    _Spread(222, 145.5, -6, 17, 4),
    _Pull(203, 141, 6, 7, 9, 8),
    _Pull(243, 141, -6, 7, 9, 8),
    _Tint(222, 145.9, 0.8, 13, 1.5),
)

EXPRESSIONS: dict[str, tuple[_Pull | _Spread | _Tint | _Soften, ...]] = {
    "smiling": (),
    "calm": _SHUT,
    "surprised": (
        *_RELAXED,
        _Pull(204, 141, 10, 2, 9, 9),
        _Pull(242, 141, -10, 2, 9, 9),
        _Spread(222, 147, 6, 12, 8),
        _Pull(222, 172, 0, 5, 26, 12),
        _Tint(222.5, 147.3, 1, 11.5, 6.2),
        _Pull(201, 88, 0, -5, 16, 5),
        _Pull(251, 91, 0, -5, 16, 5),
        _Spread(201, 101, 1, 11, 5),
        _Spread(247, 102, 1, 11, 5),
    ),
    "sad": (
        *_SHUT,
        _Pull(206, 144, 0, 5, 7, 7),
        _Pull(240, 144, 0, 5, 7, 7),
        _Pull(222, 142, 0, -2, 9, 7),
        _Tint(209, 149, 0.5, 4, 1.5),
        _Tint(236, 149, 0.5, 4, 1.5),
        _Pull(211, 90, 1, -4, 8, 6),
        _Pull(238, 92, -1, -4, 8, 6),
        _Pull(189, 92, 0, 3, 9, 6),
        _Pull(263, 95, 0, 3, 9, 6),
        _Spread(201, 101, -1.6, 11, 5),
        _Spread(247, 102, -1.6, 11, 5),
    ),
    "cross": (
        *_SHUT,
        _Pull(207, 145, 2, 3.5, 8, 7),
        _Pull(239, 145, -2, 3.5, 8, 7),
        _Pull(211, 90, 3, 6, 10, 8),
        _Pull(238, 92, -3, 6, 10, 8),
        _Pull(195, 90, 0, 2, 12, 7),
        _Pull(256, 93, 0, 2, 12, 7),
        _Spread(201, 102, -1.8, 11, 5),
        _Spread(247, 103, -1.8, 11, 5),
    ),
}

SCRIPT = (
    (0.0, "smiling"),
    (3.5, "calm"),
    (6.5, "surprised"),
    (9.5, "calm"),
    (11.0, "sad"),
    (14.0, "cross"),
    (16.5, "calm"),
    (18.0, "smiling"),
)
"""From which second on which expression is taken; each takes CHANGE_S to come."""

CHANGE_S = 0.7


class Demo(Source):
    """The clip; see `mien.media.open.Source`."""

    live = False
    expected = FPS * SECONDS

    def __init__(self, name: str = "demo") -> None:
        self.name = name
        self.dropped = 0
        self.problem: str | None = None
        self._closed = False
        portrait = np.asarray(cv2.imread(str(PORTRAIT)), np.uint8)
        size = portrait.shape[1] * ENLARGED, portrait.shape[0] * ENLARGED
        large = cv2.resize(portrait, size, interpolation=cv2.INTER_CUBIC)
        blurred = cv2.GaussianBlur(large, (0, 0), 2)
        self._portrait = np.asarray(cv2.addWeighted(large, 1.5, blurred, -0.5, 0), np.uint8)
        self._mouth = np.full((FACE[3] * ENLARGED, FACE[2] * ENLARGED, 3), _MOUTH, np.uint8)
        self._warps = {name: _Warp(parts) for name, parts in EXPRESSIONS.items()}
        self._drawn: tuple[dict[str, float], Image] | None = None

    def __iter__(self) -> Iterator[Frame]:
        start = now()
        for index in range(FPS * SECONDS):
            if self._closed:
                return
            offset = index / FPS
            yield Frame(self.image(offset), index, offset, start + timedelta(seconds=offset))

    def image(self, at_s: float) -> Image:
        """Return the picture at a time of the clip, BGR, shape (360, 640, 3), uint8."""
        scene = self._portrait.copy()
        x, y, width, height = (ENLARGED * value for value in FACE)
        scene[y : y + height, x : x + width] = self._face(at_s, scene[y : y + height, x : x + width])
        view = cv2.warpAffine(scene, _camera(at_s), SIZE, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
        light = 0.92 + 0.13 * math.sin(2 * math.pi * at_s / SECONDS + 1) + 0.03 * math.sin(2 * math.pi * at_s / 3.3)
        return np.asarray(cv2.convertScaleAbs(view, alpha=light), np.uint8)

    def _face(self, at_s: float, face: Image) -> Image:
        shares = _shares(at_s)
        if self._drawn is not None and self._drawn[0] == shares:  # an expression that is held is drawn once
            return self._drawn[1]
        total = _Warp(())
        for name, share in shares.items():
            total.add(self._warps[name], share)
        moved = cv2.remap(face, total.x, total.y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        smooth = cv2.blur(cv2.blur(moved, (27, 27)), (27, 27))
        moved = cv2.blendLinear(moved, smooth, total.crisp, 1 - total.crisp)
        drawn: Image = np.asarray(cv2.blendLinear(moved, self._mouth, total.own, 1 - total.own), np.uint8)
        self._drawn = shares, drawn
        return drawn

    def close(self) -> None:
        """End the iteration."""
        self._closed = True


class _Warp:
    """Where each pixel of the face comes from, in pixels of the enlarged portrait, and how much it keeps."""

    def __init__(self, parts: tuple[_Pull | _Spread | _Tint | _Soften, ...]) -> None:
        left, top, width, height = FACE
        rows, columns = np.mgrid[0 : height * ENLARGED, 0 : width * ENLARGED].astype(np.float32)
        self.x, self.y = columns.copy(), rows.copy()
        self.own, self.crisp = np.ones_like(rows), np.ones_like(rows)
        # The border stays where it is, so that the face fits its surroundings.
        edge = np.minimum.reduce([rows, columns, rows[::-1], columns[:, ::-1]]) / (8 * ENLARGED)
        hold = np.clip(edge, 0, 1)
        for part in parts:
            across = (columns / ENLARGED + left - part.x) / part.wide
            down = (rows / ENLARGED + top - part.y) / part.high
            near = np.exp(-(across**2 + down**2) / 2) * hold
            if isinstance(part, _Tint):
                self.own *= 1 - part.by * np.exp(-((across**2 + down**2) ** 2)) * hold
            elif isinstance(part, _Soften):
                self.crisp *= 1 - part.by * near
            elif isinstance(part, _Spread):
                self.y -= ENLARGED * part.by * down * near
            else:
                self.x -= ENLARGED * part.by_x * near
                self.y -= ENLARGED * part.by_y * near
        self._rest = columns, rows

    def add(self, other: _Warp, share: float) -> None:
        """Take on a share of another's."""
        columns, rows = self._rest
        self.x += np.float32(share) * (other.x - columns)
        self.y += np.float32(share) * (other.y - rows)
        self.own += np.float32(share) * (other.own - 1)
        self.crisp += np.float32(share) * (other.crisp - 1)


def _shares(at_s: float) -> dict[str, float]:
    """Return how much of which expression is shown."""
    index = max(i for i, (start, _) in enumerate(SCRIPT) if start <= at_s % SECONDS)
    start, name = SCRIPT[index]
    before = SCRIPT[index - 1][1]
    passed = min(1.0, (at_s % SECONDS - start) / CHANGE_S)
    come = passed * passed * (3 - 2 * passed)
    return {name: 1.0} if before == name else {before: 1 - come, name: come}


def _camera(at_s: float) -> NDArray[np.float64]:
    """Return the affine map from the enlarged portrait to the frame: a slow pan, zoom and tilt that close the loop."""
    turn = 2 * math.pi * at_s / SECONDS
    zoom = SIZE[0] / (ENLARGED * (345 - 75 * math.cos(turn)))
    centre = ENLARGED * (222 + 30 * math.sin(turn)), ENLARGED * (122 + 10 * math.sin(2 * turn))
    view = np.asarray(cv2.getRotationMatrix2D(centre, 3.5 * math.sin(2 * turn + 0.5), zoom), np.float64)
    view[:, 2] += np.subtract((SIZE[0] / 2, SIZE[1] / 2), centre)
    return view
