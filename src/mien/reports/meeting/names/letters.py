"""How a tag looks: a frame and a line that was read in it go in, how much it is still the same comes out."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.reports.meeting.names.tags import Box, TextLine

__all__ = ["Grey", "Tag"]

APPEARANCES = 3
"""A tag is compared with so many pictures of itself."""

Grey = NDArray[np.uint8]
"""Shape (h, w)."""


@dataclass
class Tag:
    """A tag where it was read.

    Attributes:
        line: What was read.
        looks: How its letters looked when it was read, the latest last.
    """

    line: TextLine
    looks: list[Grey]

    @classmethod
    def at(cls, line: TextLine, grey: Grey) -> Tag:
        """Return the tag that was read in a frame."""
        return cls(line, [_letters(grey, line.box)])

    def likeness(self, grey: Grey) -> float:
        """Return how much its letters still look as they did, -1 to 1."""
        now = _letters(grey, self.line.box)
        if now.std() < 2:
            return -1.0
        alike = (cv2.matchTemplate(now, look, cv2.TM_CCOEFF_NORMED) for look in self.looks if look.shape == now.shape)
        return max((float(value[0, 0]) for value in alike), default=-1.0)

    def renew(self, grey: Grey) -> None:
        """Take note of how it looks now that it was read again."""
        self.looks = [*self.looks, _letters(grey, self.line.box)][-APPEARANCES:]


def _letters(grey: Grey, box: Box) -> Grey:
    """Return a part of a frame without what is wider than a stroke, as the face behind a tag is (white top-hat)."""
    x, y, wide, high = box
    stroke = max(3, high // 3)
    kernel = cv2.getStructuringElement(cv2.MORPH_RECT, (stroke, stroke))
    part = grey[y : y + high, x : x + wide + high]  # a longer name goes on behind a shorter one
    return np.asarray(cv2.morphologyEx(part, cv2.MORPH_TOPHAT, kernel), np.uint8)
