"""Hiding faces: a frame and where its faces are go in, a picture in which nobody can be recognised comes out."""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np

from mien.media.base import Image
from mien.observation import Observation

__all__ = ["Box", "FaceBlur", "hide"]

BLOCKS = 5
"""Of a face so many pixels remain, across and down."""

REACH = 1.5
"""An oval of so many sides of the face's box is hidden: it covers the box, corners and all."""

Box = tuple[int, int, int, int]
"""x, y, width, height in pixels."""


def hide(image: Image, boxes: Iterable[Box]) -> Image:
    """Return a copy of a picture, BGR, shape (h, w, 3), uint8, without what lies in these boxes and close around."""
    hidden: Image = image.copy()
    for box in boxes:
        _hide(hidden, box)
    return hidden


class FaceBlur:
    """Hides the faces of one medium.

    Where the detector loses a face for a moment, the place where it was last seen stays hidden.

    Args:
        keep_s: For so long, in seconds.
    """

    def __init__(self, keep_s: float = 1.0) -> None:
        self.keep_s = keep_s
        self._seen: dict[int, tuple[Box, float]] = {}

    def hide(self, image: Image, observation: Observation) -> Image:
        """Return a copy of a frame without its faces.

        Args:
            image: BGR, shape (h, w, 3), uint8: the frame that was observed.
            observation: What it showed; a face that was not found is not hidden.
        """
        return hide(image, self.places(observation))

    def places(self, observation: Observation) -> list[Box]:
        """Return where faces are to be hidden in a frame; to be asked of each frame, in their order."""
        boxes = [face.box for face in observation.faces if face.track is None]
        at = observation.offset_s or 0.0
        self._seen |= {face.track: (face.box, at) for face in observation.faces if face.track is not None}
        self._seen = {track: (box, seen) for track, (box, seen) in self._seen.items() if at - seen <= self.keep_s}
        return [*boxes, *(box for box, _ in self._seen.values())]


def _hide(image: Image, box: Box) -> None:
    height, width = image.shape[:2]
    x, y, w, h = box
    more_x, more_y = round(w * (REACH - 1) / 2), round(h * (REACH - 1) / 2)
    left, top, right, bottom = x - more_x, y - more_y, x + w + more_x, y + h + more_y
    x1, y1, x2, y2 = max(0, left), max(0, top), min(width, right), min(height, bottom)
    if x1 >= x2 or y1 >= y2:
        return
    ground = image[y1:y2, x1:x2]
    few = cv2.resize(ground, (BLOCKS, BLOCKS), interpolation=cv2.INTER_AREA)
    soft = cv2.resize(few, (x2 - x1, y2 - y1), interpolation=cv2.INTER_LINEAR)
    oval = np.zeros(ground.shape[:2], np.uint8)
    centre = (left + right) // 2 - x1, (top + bottom) // 2 - y1
    cv2.ellipse(oval, centre, ((right - left + 1) // 2, (bottom - top + 1) // 2), 0, 0, 360, 255, cv2.FILLED)
    ground[oval > 0] = soft[oval > 0]
