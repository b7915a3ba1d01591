"""Whether curves rise, tested by exchanging signs: what each unit showed goes in, probabilities come out.

If units show nothing but chance around 0, each might as well have shown the opposite. So the signs of whole units are
exchanged, all of a unit's curves at once: in every way with few units, else in thousands of random ways. How often the
mean of the units then rises as high somewhere is the probability of such a rise by chance. It is exact for any number
of units, needs no standard error, and allows for the choice of the moment. The correction for many curves steps down
(Romano and Wolf 2005): what is found does not stand in the way of what is smaller.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["rising"]

EXACT = 12
"""With up to so many units all ways are tried, 4,096."""

DRAWS = 4000
CHUNK = 50

Array = NDArray[np.float64]


def rising(
    filled: Array, there: NDArray[np.bool_], good: NDArray[np.bool_], rng: np.random.Generator
) -> tuple[Array, Array]:
    """Return the probability of so high a rise by chance for each curve, for itself and corrected for their number.

    Args:
        filled: Curves of units, places and kinds, shape (n, a, b, points); 0 where a unit shows nothing.
        there: Where it shows something, shape (n, a, points).
        good: Which points of the mean are to be looked at, shape (a, b, points).
        rng: Draws the signs.

    Returns:
        Two of shape (a x b,); NaN for a curve without a point to be looked at.
    """
    n, a, b, _ = filled.shape
    usual = np.sqrt((filled**2).sum((0, 1, 3)) / np.maximum(1, there.sum()))  # the same whatever the signs are
    counts = np.maximum(1, there.sum(0))[:, None] * np.where(usual > 0, usual, 1.0)[:, None]  # (a, b, points)
    usable = good.any(2).reshape(-1)
    highest = [_highest(signs, filled, counts, good) for signs in _signs(n, rng)]
    drawn = np.concatenate(highest)[:, usable]  # the first row: the signs as they are
    own, together = np.full((2, a * b), np.nan)
    reached = drawn[0]
    own[usable] = (drawn >= reached - 1e-9).mean(0)
    order = np.argsort(reached, kind="stable")
    stepped = np.maximum.accumulate(drawn[:, order], axis=1)
    common = (stepped >= reached[order] - 1e-9).mean(0)
    corrected = np.empty(len(order))
    corrected[order] = np.maximum.accumulate(common[::-1])[::-1]
    together[usable] = corrected
    return own, together


def _signs(n: int, rng: np.random.Generator) -> list[Array]:
    """Return ways to exchange the signs of n units, the first row as they are, some rows at a time."""
    if n <= EXACT:
        bits = (np.arange(1 << n)[:, None] >> np.arange(n)) & 1
    else:
        bits = rng.integers(0, 2, (DRAWS, n))
        bits[0] = 0
    ways: Array = 1.0 - 2.0 * bits.astype(np.float64)
    return [ways[first : first + CHUNK] for first in range(0, len(ways), CHUNK)]


def _highest(signs: Array, filled: Array, counts: Array, good: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return the highest point of each curve's mean, shape (ways, a x b)."""
    means = (signs @ filled.reshape(len(filled), -1)).reshape(len(signs), *filled.shape[1:]) / counts
    return np.asarray(np.where(good, means, -np.inf).max(3).reshape(len(signs), -1), np.float32)
