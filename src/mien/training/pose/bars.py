"""How good the third head is: what it answers and what the mesh says in, figures beside their bars out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from mien.training.pose.head import NAMES
from mien.training.pose.labels import Labels

__all__ = ["SURE", "Bar", "area", "measure", "turned"]

SURE = 0.9
"""Faces count whose mesh scored more than this."""
ANGLES = (-15.0, -8.0, 8.0, 15.0)
TURNED = 500
"""So many faces are turned by known angles."""

Answer = Callable[[np.ndarray], np.ndarray]
"""Faces of shape (n, 48, 48), uint8, in; yaw, pitch, roll, eyes and mouth, shape (n, 5) or more, out."""


@dataclass(frozen=True)
class Bar:
    """A figure and what it has to reach.

    Attributes:
        about: Which value, of `mien.training.pose.head.NAMES`.
        name: What was measured of it.
        value: What came out.
        bar: What it has to reach; None: the figure is for information.
        most: Whether the bar is the most that is allowed, instead of the least.
    """

    about: str
    name: str
    value: float
    bar: float | None
    most: bool

    @property
    def held(self) -> bool:
        """Whether the bar is reached."""
        return self.bar is None or (self.value <= self.bar if self.most else self.value >= self.bar)

    def line(self) -> str:
        """Return the figure in a line."""
        name = f"{self.about}: {self.name}"
        if self.bar is None:
            return f"{name:<58} {self.value:6.3f}"
        verdict = "holds" if self.held else "MISSED"
        return f"{name:<58} {self.value:6.3f}  {'at most' if self.most else 'at least'} {self.bar:g}: {verdict}"


def measure(answer: Answer, pixels: np.ndarray, labels: Labels) -> list[Bar]:
    """Return the figures of a head on faces that it did not learn from.

    Args:
        answer: The head.
        pixels: Shape (n, 48, 48), uint8.
        labels: The mesh's of the same faces.
    """
    known = labels.scores > SURE
    pixels, values = pixels[known], labels.values[known]
    given = answer(pixels)
    bars = [
        Bar(name, "median distance from the mesh, degrees", float(np.median(np.abs(apart))), most, True)
        for name, most, apart in zip(("yaw", "pitch", "roll"), (6, 6, 3), (given[:, :3] - values[:, :3]).T, strict=True)
    ]
    for name, column, least in (("eyes", 3, 0.95), ("mouth", 4, 0.97)):
        seen, true = given[:, column], values[:, column]
        low, half, high = np.quantile(true, [0.1, 0.5, 0.9])
        bars.append(
            Bar(
                name,
                "AUC, most closed tenth against most open half",
                area(-seen, true <= low, true >= half),
                least,
                False,
            )
        )
        bars.append(
            Bar(
                name,
                "AUC, most open tenth against most closed half",
                area(seen, true >= high, true <= half),
                None,
                False,
            )
        )
    bars += [
        Bar(
            name,
            "correlation with the mesh",
            float(np.corrcoef(given[:, column], values[:, column])[0, 1]),
            None,
            False,
        )
        for column, name in enumerate(NAMES)
    ]
    few = slice(0, TURNED)
    changes = [
        answer(np.stack([turned(face, angle) for face in pixels[few]]))[:, 2] - given[few, 2] - angle
        for angle in ANGLES
    ]
    bars.append(
        Bar("roll", "median error of a known turn of 8 or 15 degrees", float(np.median(np.abs(changes))), 3, True)
    )
    looking = np.abs(values[few, 0]) > 15
    mirrored = answer(np.ascontiguousarray(pixels[few][looking][:, :, ::-1]))[:, 0]
    opposite = np.sign(mirrored) == -np.sign(values[few][looking, 0])
    bars.append(Bar("yaw", "sign of mirrored faces that look aside", float(opposite.mean()), 0.95, False))
    return bars


def turned(face: np.ndarray, angle: float) -> np.ndarray:
    """Return a face, shape (48, 48), turned clockwise by an angle in degrees; what comes in repeats the edge."""
    middle = (face.shape[1] - 1) / 2
    matrix = cv2.getRotationMatrix2D((middle, middle), -angle, 1)
    return np.asarray(
        cv2.warpAffine(face, matrix, face.shape[::-1], flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    )


def area(values: np.ndarray, positive: np.ndarray, negative: np.ndarray) -> float:
    """Return the area under the ROC curve: how often a positive face has the larger value than a negative one.

    Args:
        values: Shape (n,).
        positive: Which faces are positive, shape (n,), bool.
        negative: Which are negative.
    """
    lower = np.sort(values[negative])
    below, not_above = (np.searchsorted(lower, values[positive], side) for side in ("left", "right"))
    return float((below + not_above).mean() / 2 / len(lower))
