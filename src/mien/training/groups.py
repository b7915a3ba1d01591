"""For whom a model fails: faces and what it got right go in, its accuracy in groups of them comes out.

FER-2013 says nothing of who its people are; what can be told is how the picture is, and whether people agree on it.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from mien.training import figures
from mien.training.data import Faces

__all__ = ["groups", "worst"]


def groups(faces: Faces, right: np.ndarray) -> list[dict[str, Any]]:
    """Return the accuracy in each group, with its 95 % interval; groups without faces are left out.

    Args:
        faces: Shape (n,).
        right: Which of them the model gets right, shape (n,), bool.
    """
    masks: dict[str, np.ndarray] = {}
    if (faces.majority >= 0).any():
        masks["FER+'s majority sees what the label says"] = faces.majority == faces.labels
        masks["FER+'s majority sees another emotion"] = (faces.majority >= 0) & (faces.majority != faces.labels)
        masks["those who voted for FER+ are divided"] = (faces.majority < 0) & (faces.votes.sum(1) > 0)
    pixels = faces.pixels.astype(np.float32)
    contrast = pixels.std((1, 2))
    detail = np.array([cv2.Laplacian(face, cv2.CV_32F).var() for face in faces.pixels]) / np.maximum(contrast, 1) ** 2
    quarters = {
        "the darkest quarter": pixels.mean((1, 2)),
        "the brightest quarter": -pixels.mean((1, 2)),
        "the quarter of least contrast": contrast,
        "the quarter of least detail (blurred)": detail,
    }
    for name, values in quarters.items():
        masks[name] = values <= np.quantile(values, 0.25)
    return [{"group": name, **figures.accuracy(right[mask])} for name, mask in masks.items() if mask.any()]


def worst(confusion: list[list[int]], names: tuple[str, ...], count: int = 5) -> list[tuple[str, str, float, int]]:
    """Return the confusions that meet the largest share of their faces: label, answer, share, number of faces."""
    pairs = []
    for row, asked in enumerate(names):
        total = sum(confusion[row])
        pairs += [
            (asked, told, faces / total, faces)
            for column, told in enumerate(names)
            if row != column and (faces := confusion[row][column])
        ]
    return sorted(pairs, key=lambda pair: -pair[2])[:count]
