"""Who is framed as the speaker: a frame and its tiles go in, the tile with the coloured frame comes out.

Zoom frames the speaker's tile in yellow-green, Teams in purple, Meet in blue.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.media.base import Image
from mien.reports.meeting.names.tags import Box

__all__ = ["frame_coloured", "highlighted"]

HUES = ((24, 76, 90, 100), (97, 112, 90, 120), (113, 150, 60, 110))
"""Yellow-green, blue and purple in OpenCV's hue, 0 to 179: from, to, the least saturation and the least value."""

FRAMED = 0.7
"""So much of a side is coloured, of three sides at least,"""

INSIDE = 0.5
"""and less of what lies within has that colour."""

Mask = NDArray[np.bool_]


def frame_coloured(image: Image) -> Mask:
    """Return which points have a colour in which programs frame a speaker, shape (h, w).

    Args:
        image: BGR, shape (h, w, 3), uint8.
    """
    hsv = cv2.cvtColor(image, cv2.COLOR_BGR2HSV)
    coloured = np.zeros(image.shape[:2], np.uint8)
    for low, high, saturation, value in HUES:
        coloured |= np.asarray(cv2.inRange(hsv, (low, saturation, value), (high, 255, 255)), np.uint8)
    return coloured > 0


def highlighted(image: Image, tiles: Sequence[Box]) -> int | None:
    """Return which tile is framed as the speaker's; None where none or several are."""
    framed = [number for number, tile in enumerate(tiles) if _framed(image, tile)]
    return framed[0] if len(framed) == 1 else None


def _framed(image: Image, tile: Box) -> bool:
    x, y, wide, high = tile
    band = max(2, round(image.shape[0] / 180))
    if min(wide, high) < 8 * band:
        return False
    missing = 0
    for side, axis in _sides(image, x - band, y - band, wide + 2 * band, high + 2 * band, 2 * band + 1):
        missing += _share(side, axis) < FRAMED
        if missing > 1:
            return False
    inner = _sides(image, x + 2 * band, y + 2 * band, wide - 4 * band, high - 4 * band, band)
    return sum(_share(side, axis) for side, axis in inner) / 4 < INSIDE


def _sides(image: Image, x: int, y: int, wide: int, high: int, band: int) -> Iterable[tuple[Image, int]]:
    """Yield the four sides of a rectangle, each with the axis across it."""
    x0, y0, x1, y1 = max(0, x), max(0, y), x + wide, y + high
    yield image[y0 : max(0, y + band), x0:x1], 0
    yield image[max(0, y1 - band) : y1, x0:x1], 0
    yield image[y0:y1, x0 : max(0, x + band)], 1
    yield image[y0:y1, max(0, x1 - band) : x1], 1


def _share(side: Image, axis: int) -> float:
    """Return along how much of a side there is a frame's colour."""
    return float(frame_coloured(side).any(axis).mean()) if side.size else 0.0
