"""How a tag looks: a frame and a line that was read in it go in, how much it is still the same comes out."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.reports.meeting.names.tags import Box, TextLine

__all__ = ["Grey", "Tag"]

APPEARANCES = 6
"""A tag is compared with so many pictures of itself."""

FLAT = 2.0
"""Where pixels vary by less, 0 to 255, there are no letters."""

Grey = NDArray[np.uint8]
"""Shape (h, w)."""

Look = NDArray[np.float32]
"""Letters less their mean, over their norm, shape (h, w): the sum of two looks' products is their correlation."""


@dataclass
class Tag:
    """A tag where it was read.

    Attributes:
        line: What was read.
        looks: How its letters looked when it was read, the latest last.
    """

    line: TextLine
    looks: list[Look]

    @classmethod
    def at(cls, line: TextLine, grey: Grey) -> Tag:
        """Return the tag that was read in a frame."""
        return cls(line, [_letters(grey, line.box)])

    def likeness(self, grey: Grey) -> float:
        """Return how much its letters still look as they did, -1 to 1."""
        now = _letters(grey, self.line.box)
        alike = (float(np.vdot(now, look)) for look in self.looks if look.shape == now.shape)
        return max(alike, default=-1.0) if now.any() else -1.0

    def renew(self, grey: Grey) -> None:
        """Take note of how it looks now that it was read again."""
        self.looks = [*self.looks, _letters(grey, self.line.box)][-APPEARANCES:]


def _letters(grey: Grey, box: Box) -> Look:
    """Return a part of a frame without what is wider than a stroke, as the face behind a tag is (white top-hat).

    Zeros where there are no letters.
    """
    x, y, wide, high = box
    stroke = max(3, high // 3)
    kernel = cv2.getStructuringElement(cv2.MORPH_RECT, (stroke, stroke))
    part = grey[y : y + high, x : x + wide + high]  # a longer name goes on behind a shorter one
    letters = np.asarray(cv2.morphologyEx(part, cv2.MORPH_TOPHAT, kernel), np.float32)
    letters -= letters.mean()
    norm = float(cv2.norm(letters))
    return letters / norm if norm >= FLAT * math.sqrt(letters.size) else np.zeros_like(letters)
