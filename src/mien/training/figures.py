"""Figures: labels and probabilities in, what may be said of a model out. Plain arrays and numbers, no files."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np

from mien.observation import EMOTIONS

__all__ = ["accuracy", "calibration", "classes", "compare", "confusion", "risk_coverage"]

BINS = 15
Z = 1.959963984540054
"""Of the normal distribution, for an interval of 95 %."""


def accuracy(right: np.ndarray) -> dict[str, Any]:
    """Return the share of faces that are right, with its 95 % interval (Wilson 1927).

    Args:
        right: Shape (n,), bool.
    """
    count, hits = len(right), int(right.sum())
    if not count:
        return {"value": None, "low": None, "high": None, "right": 0, "faces": 0}
    share = hits / count
    middle = (share + Z**2 / (2 * count)) / (1 + Z**2 / count)
    half = Z / (1 + Z**2 / count) * math.sqrt(share * (1 - share) / count + Z**2 / (4 * count**2))
    return {"value": share, "low": middle - half, "high": middle + half, "right": hits, "faces": count}


def confusion(labels: np.ndarray, answers: np.ndarray) -> np.ndarray:
    """Return how many faces of each label (rows) got each answer (columns), shape (7, 7)."""
    size = len(EMOTIONS)
    return np.bincount(labels * size + answers, minlength=size * size).reshape(size, size)


def classes(matrix: np.ndarray) -> dict[str, dict[str, Any]]:
    """Return precision, recall, F1 and number of faces of each emotion; None where there is nothing to divide by."""
    hits, asked, told = matrix.diagonal(), matrix.sum(1), matrix.sum(0)
    table: dict[str, dict[str, Any]] = {}
    for index, emotion in enumerate(EMOTIONS):
        table[emotion] = {
            "precision": float(hits[index] / told[index]) if told[index] else None,
            "recall": float(hits[index] / asked[index]) if asked[index] else None,
            "f1": float(2 * hits[index] / (told[index] + asked[index])) if told[index] + asked[index] else None,
            "faces": int(asked[index]),
        }
    return table


def calibration(probabilities: np.ndarray, right: np.ndarray) -> dict[str, Any]:
    """Return the expected calibration error over 15 equal-width bins of the top probability, and the bins.

    Args:
        probabilities: Shape (n, 7).
        right: Whether the top answer is, shape (n,), bool.
    """
    top = probabilities.max(1)
    where = np.minimum((top * BINS).astype(int), BINS - 1)
    bins: list[dict[str, Any]] = []
    error = 0.0
    for index in range(BINS):
        inside = where == index
        if inside.any():
            said, was = float(top[inside].mean()), float(right[inside].mean())
            error += inside.mean() * abs(said - was)
            bins.append({"said": said, "was": was, "faces": int(inside.sum())})
    return {"ece": float(error), "bins": bins}


def risk_coverage(probabilities: np.ndarray, right: np.ndarray) -> list[tuple[float, float]]:
    """Return the share of wrong answers (second) when only so large a share of the faces (first) is answered.

    The faces with the highest top probability are answered first.
    """
    order = np.argsort(-probabilities.max(1), kind="stable")
    wrong = np.cumsum(~right[order])
    fewest = max(1, len(right) // 50)  # of one face or two the share says nothing
    counts = np.unique(np.linspace(fewest, len(right), 100).astype(int))
    return [(float(count / len(right)), float(wrong[count - 1] / count)) for count in counts]


def compare(right: np.ndarray, other: np.ndarray) -> dict[str, Any]:
    """Return how a model does against another on the same faces: the exact McNemar test, and the difference.

    Args:
        right: Which faces the model gets right, shape (n,), bool.
        other: Which the other does.
    """
    gained, lost = int((right & ~other).sum()), int((~right & other).sum())
    differing, count = gained + lost, len(right)
    tail = sum(math.comb(differing, k) for k in range(min(gained, lost) + 1))
    p = min(1.0, float(Fraction(2 * tail, 2**differing)))
    difference = (gained - lost) / count
    half = Z * math.sqrt(max(differing - (gained - lost) ** 2 / count, 0)) / count
    return {
        "gained": gained,
        "lost": lost,
        "p": p,
        "difference": difference,
        "low": difference - half,
        "high": difference + half,
    }
