"""Figures: labels and probabilities in, what may be said of a model out. Plain arrays and numbers, no files."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from mien.observation import EMOTIONS

__all__ = [
    "LEVELS",
    "accuracy",
    "brier",
    "calibration",
    "class_calibration",
    "classes",
    "compare",
    "confusion",
    "coverage",
    "plausible_from",
    "risk_coverage",
]

BINS = 15
LEVELS = (0.8, 0.9, 0.95)
"""Of sets of plausible emotions."""

DIGITS = 5
"""So many decimals of their thresholds are kept."""

DRAWS = 500
"""So many samples make a floor."""

NORMAL_DRAWS = 2000
"""So many make an interval."""

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
    """Return how far the top probabilities are from how often they are right, and how far that says anything.

    Args:
        probabilities: Shape (n, 7).
        right: Whether the top answer is, shape (n,), bool.

    Returns:
        `ece`: the expected calibration error over 15 bins of equal width; `low`, `high`: the 95 % interval of the true
        one, those errors that make so high an ECE no surprise (`_interval`; 0 is in it for a model that may be
        perfect); `floor`, `floor_high`: what a perfect model would get on so few faces on average, and at most in 95 %,
        by simulation;
        `equal_mass`: the error over 15 bins of as many faces each; `bins`: of the first.
    """
    top = probabilities.max(1)
    where = _bins(top)
    bins = [
        {"said": float(top[inside].mean()), "was": float(right[inside].mean()), "faces": int(inside.sum())}
        for inside in (where == index for index in range(BINS))
        if inside.any()
    ]
    return _calibration_error(top, right) | {"equal_mass": _error(top - right, _ranks(top)), "bins": bins}


def class_calibration(probabilities: np.ndarray, labels: np.ndarray) -> dict[str, dict[str, float]]:
    """Return of each emotion's probability what `calibration` does of the top one, without bins, and the Brier score.

    Args:
        probabilities: Shape (n, 7).
        labels: In EMOTIONS order, shape (n,).
    """
    table: dict[str, dict[str, float]] = {}
    for index, emotion in enumerate(EMOTIONS):
        shares, shown = probabilities[:, index], labels == index
        table[emotion] = _calibration_error(shares, shown) | {"brier": float(np.square(shares - shown).mean())}
    return table


def brier(probabilities: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Return the Brier score, 0 to 2 (Brier 1950), and what it would be if the probabilities were true: `floor`.

    Args:
        probabilities: Shape (n, 7).
        labels: In EMOTIONS order, shape (n,).
    """
    shown = np.eye(len(EMOTIONS))[labels]
    expected = (probabilities * (1 - probabilities)).sum(1).mean()
    return {"value": float(np.square(probabilities - shown).sum(1).mean()), "floor": float(expected)}


def _calibration_error(said: np.ndarray, happened: np.ndarray) -> dict[str, float]:
    """Return the error over bins of equal width with its interval and floor, see `calibration`."""
    said, where, dice = said.astype(np.float64), _bins(said), np.random.default_rng(0)
    error = _error(said - happened, where)
    perfect = [_error(said - (dice.random(len(said)) < said), where) for _ in range(DRAWS)]
    low, high = _interval(error, said, happened, where)
    floor = {"floor": float(np.mean(perfect)), "floor_high": float(np.quantile(perfect, 0.95))}
    return {"ece": error, "low": low, "high": high, **floor}


def _interval(error: float, said: np.ndarray, happened: np.ndarray, where: np.ndarray) -> tuple[float, float]:
    """Return the 95 % interval of a true calibration error, given the one of a sample, by inverting its test.

    What samples would give is drawn from the normal distribution. How far noise lifts their error depends on how the
    true one is spread: most where one bin has all of it, least where each bin is off by the same number of its standard
    errors. The lower end is where in 2.5 % samples of the first kind exceed the error that was seen, the upper one
    where in 2.5 % those of the second stay below it. The bootstrap does not do here: it adds its own noise to that of
    the faces, and held a perfect model's 0 in half of the cases (`benchmarks/calibration.py`).
    """
    faces, hits = np.bincount(where, minlength=BINS), np.bincount(where, happened, BINS)
    there = faces > 0
    sure = np.bincount(where, said, BINS)[there] / faces[there]
    was = (hits[there] + 2 * sure) / (faces[there] + 2)  # few faces that all or never happened are no certainty
    weights = faces[there] / len(said)
    spread = weights * np.sqrt(np.maximum(was * (1 - was), 1e-12) / faces[there])
    noise = np.random.default_rng(0).normal(size=(NORMAL_DRAWS, len(spread))) * spread
    even, alone = spread / spread.sum(), np.arange(len(spread)) == spread.argmax()

    def until(share: float, parts: np.ndarray) -> float:
        """Return the true error, spread over the bins in these parts, at which so many samples lie below the seen."""
        low, high = 0.0, 1.0
        for _ in range(20):
            middle = (low + high) / 2
            below = (np.abs(middle * parts + noise).sum(1) < error).mean() > share
            low, high = (middle, high) if below else (low, middle)
        return low

    return until(0.975, alone), until(0.025, even)


def _error(apart: np.ndarray, where: np.ndarray) -> float:
    """Return the mean over faces of how far each bin's mean lies from 0."""
    return float(np.abs(np.bincount(where, apart, BINS)).sum() / len(apart))


def _bins(shares: np.ndarray) -> np.ndarray:
    return np.asarray(np.minimum((shares * BINS).astype(int), BINS - 1))


def _ranks(shares: np.ndarray) -> np.ndarray:
    """Return bins that hold as many faces each, as far as equal shares allow."""
    edges = np.quantile(shares, np.arange(1, BINS) / BINS)
    return np.asarray(np.searchsorted(edges, shares, side="right"))


def plausible_from(
    probabilities: np.ndarray, labels: np.ndarray, levels: Sequence[float] = LEVELS
) -> tuple[tuple[float, tuple[float, ...]], ...]:
    """Return from which probability on each emotion is plausible, at each level: conformal sets by class.

    That is the probability that all but a tenth, say, of the faces of this emotion get, so each emotion is among the
    plausible ones in nine tenths of its faces, rare ones too (Sadinle, Lei and Wasserman 2019, "Least ambiguous
    set-valued classifiers with bounded error levels", arXiv:1609.00451).

    Args:
        probabilities: Shape (n, 7).
        labels: What the faces show, in EMOTIONS order, shape (n,).
        levels: In what share of its faces each emotion is to be plausible.

    Returns:
        Pairs of a level and seven probabilities: 0, so that it always is, where there are too few faces of an emotion.
    """
    table = []
    for level in levels:
        least = []
        for emotion in range(len(EMOTIONS)):
            shares = np.sort(probabilities[labels == emotion, emotion])
            rank = math.floor((1 - level) * (len(shares) + 1) + 1e-9)
            least.append(math.floor(float(shares[rank - 1]) * 10**DIGITS) / 10**DIGITS if rank else 0.0)
        table.append((level, tuple(least)))
    return tuple(table)


def coverage(sets: dict[float, np.ndarray], labels: np.ndarray) -> list[dict[str, Any]]:
    """Return how often what a face shows is among the plausible emotions, and how many those are, at each level.

    Args:
        sets: By level, which emotions are plausible, shape (n, 7), bool.
        labels: What the faces show, shape (n,).
    """
    rows = []
    for level, inside in sets.items():
        covered = inside[np.arange(len(labels)), labels]
        classes = {name: accuracy(covered[labels == index]) for index, name in enumerate(EMOTIONS)}
        size = float(inside.sum(1).mean())
        rows.append({"level": level, "covered": accuracy(covered), "mean_size": size, "classes": classes})
    return rows


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
