"""Intervals and tests by the bootstrap: what each unit showed goes in, estimates with what they are worth come out.

A unit is whatever varies independently: a stretch of a film, one viewer's recording, a seat. It gives a sum and a
count (a mean is a count of 1), and an estimate is the ratio of the sums of both over the units. Units are drawn with
replacement; each draw's distance from the estimate is measured in its own standard error (the studentized bootstrap,
symmetric). The largest distance over several estimates at once gives the correction for their number (max-T, Westfall
and Young 1993).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["MIN_UNITS", "Estimates", "compare", "estimate", "hedges_g"]

MIN_UNITS = 5
"""Of fewer units nothing is said but the estimate."""

REPLICATES = 4000
LEVEL = 0.95
CHUNK = 250

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Estimates:
    """Estimates with their 95 % intervals, all of shape (e,); NaN where nothing can be said.

    Attributes:
        value: The estimates.
        low: The lower ends of the intervals, each for itself.
        high: The upper ends.
        all_low: The lower ends of intervals that hold all at once.
        all_high: The upper ends.
        p: For the hypothesis that the true value is 0, each for itself.
        all_p: The same, corrected for their number.
        units: How many units each rests on.
    """

    value: Array
    low: Array
    high: Array
    all_low: Array
    all_high: Array
    p: Array
    all_p: Array
    units: NDArray[np.int64]


def estimate(sums: Array, counts: Array | None = None, seed: int = 0) -> Estimates:
    """Return the ratio of the sums to the counts over all units, with intervals.

    Args:
        sums: What each unit showed, shape (n, e); NaN where it showed nothing.
        counts: Over how many, shape (n, e); None: 1 where the sum is a number.
        seed: The bootstrap's.
    """
    unit = _Units(sums, counts)
    rng = np.random.default_rng(seed)
    distances = [(unit.drawn(rng) if unit.n else None) for _ in range(0, REPLICATES, CHUNK)]
    parts = [(ratio - unit.ratio, error) for ratio, error in filter(None, distances)]
    return _judged(unit.ratio, unit.error, parts, unit.units, unit.units >= MIN_UNITS)


def compare(sums: Array, counts: Array | None, other: Array, other_counts: Array | None, seed: int = 0) -> Estimates:
    """Return by how much the ratios of one group exceed those of another, with intervals; see `estimate`.

    The groups' units are drawn independently. `units` is that of the smaller group.
    """
    one, two = _Units(sums, counts), _Units(other, other_counts)
    rng = np.random.default_rng(seed)
    difference, error = one.ratio - two.ratio, np.hypot(one.error, two.error)
    parts = []
    for _ in range(0, REPLICATES if one.n and two.n else 0, CHUNK):
        (a, a_error), (b, b_error) = one.drawn(rng), two.drawn(rng)
        parts.append((a - b - difference, np.hypot(a_error, b_error)))
    units = np.minimum(one.units, two.units)
    return _judged(difference, error, parts, units, units >= MIN_UNITS)


def hedges_g(one: Array, other: Array) -> Array:
    """Return the difference of two groups' means in standard deviations (Hedges 1981), shape (e,).

    Args:
        one: What each unit of a group showed, shape (n, e); NaN where it showed nothing.
        other: The same of the other group.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        a, b = (~np.isnan(one)).sum(0), (~np.isnan(other)).sum(0)
        means = [np.nansum(x, 0) / n for x, n in ((one, a), (other, b))]
        squares = np.nansum((one - means[0]) ** 2, 0) + np.nansum((other - means[1]) ** 2, 0)
        freedom = a + b - 2
        g = (means[0] - means[1]) / np.sqrt(squares / freedom) * (1 - 3 / (4 * freedom - 1))
    return np.where((a >= 2) & (b >= 2) & np.isfinite(g), g, np.nan)


class _Units:
    """Units and the ratio over all of them."""

    def __init__(self, sums: Array, counts: Array | None) -> None:
        given = np.asarray(sums, np.float64)
        there = np.isfinite(given)
        self.counts = np.where(there, 1.0 if counts is None else np.asarray(counts, np.float64), 0.0)
        self.sums = np.where(there, given, 0.0)
        self.n = len(given)
        self.units = (self.counts > 0).sum(0)
        self.ratio, self.error = (part[0] for part in self._ratio(np.ones((1, self.n))))

    def drawn(self, rng: np.random.Generator) -> tuple[Array, Array]:
        """Return ratios and standard errors of CHUNK draws of n units, shape (CHUNK, e)."""
        weights = rng.multinomial(self.n, np.full(self.n, 1 / self.n), CHUNK).astype(np.float64)
        return self._ratio(weights)

    def _ratio(self, weights: Array) -> tuple[Array, Array]:
        sums, counts = weights @ self.sums, weights @ self.counts
        n = weights @ (self.counts > 0)
        with np.errstate(invalid="ignore", divide="ignore"):
            ratio = sums / counts
            squares = weights @ self.sums**2 - 2 * ratio * (weights @ (self.sums * self.counts))
            squares += ratio**2 * (weights @ self.counts**2)
            error = np.sqrt(np.maximum(squares, 0) * n / (n - 1)) / counts
        return ratio, np.where(n > 1, error, np.nan)


def _judged(
    value: Array, error: Array, parts: list[tuple[Array, Array]], units: NDArray[np.int64], enough: NDArray[np.bool_]
) -> Estimates:
    """Return estimates with the intervals that the draws' distances from them give."""
    nothing = np.full(len(value), np.nan)
    if not parts or not enough.any():
        return Estimates(value, nothing, nothing, nothing, nothing, nothing, nothing, units)
    with np.errstate(invalid="ignore", divide="ignore"):
        draws = np.concatenate([np.abs(away) / spread for away, spread in parts])
        # A draw of one unit alone has no error to measure with: it may lie anywhere.
        draws = np.where(np.isfinite(draws), draws, np.inf)
        reached = np.abs(value) / error
    most = draws[:, enough].max(1)
    own = np.quantile(draws, LEVEL, axis=0, method="higher")
    common = np.quantile(most, LEVEL, method="higher")
    p = (1 + (draws >= reached).sum(0)) / (1 + len(draws))
    all_p = (1 + (most[:, None] >= reached).sum(0)) / (1 + len(draws))
    with np.errstate(invalid="ignore"):
        ends = [value - own * error, value + own * error, value - common * error, value + common * error, p, all_p]
    low, high, all_low, all_high, p, all_p = (np.where(enough & np.isfinite(end), end, np.nan) for end in ends)
    return Estimates(value, low, high, all_low, all_high, p, all_p, units)
