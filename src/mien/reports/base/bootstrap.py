"""Intervals and tests by the bootstrap: what each unit showed goes in, estimates with what they are worth come out.

A unit is whatever varies independently: a stretch of a film, one viewer's recording, a seat. It gives a sum and a
count (a mean is a count of 1), and an estimate is the ratio of the sums of both over the units. Units are drawn with
replacement; each draw's distance from the estimate is measured in its own standard error (the studentized bootstrap,
symmetric). The largest distance over several estimates at once gives the correction for their number (max-T, Westfall
and Young 1993).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from mien.reports.base.sign_flips import rising

__all__ = ["MIN_UNITS", "Estimates", "compare", "estimate", "expanded", "hedges_g", "peaks", "student"]

MIN_UNITS = 5
"""Of fewer units nothing is said but the estimate."""

REPLICATES = 4000
LEVEL = 0.95
CHUNK = 250
PEAK_CHUNK = 50

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


def estimate(sums: Array, counts: Array | None = None, seed: int = 0, replicates: int = REPLICATES) -> Estimates:
    """Return the ratio of the sums to the counts over all units, with intervals.

    Args:
        sums: What each unit showed, shape (n, e); NaN where it showed nothing.
        counts: Over how many, shape (n, e); None: 1 where the sum is a number.
        seed: The bootstrap's.
        replicates: So many draws.
    """
    unit = _Units(sums, counts)
    rng = np.random.default_rng(seed)
    distances = [(unit.drawn(rng) if unit.n else None) for _ in range(0, replicates, CHUNK)]
    parts = [(ratio - unit.ratio, error) for ratio, error in filter(None, distances)]
    return _judged(unit.ratio, unit.error, parts, unit.units, unit.units >= MIN_UNITS)


def compare(sums: Array, counts: Array | None, other: Array, other_counts: Array | None, seed: int = 0) -> Estimates:
    """Return by how much the ratios of one group exceed those of another, with intervals; see `estimate`.

    The groups' units are drawn independently. `units` is that of the smaller group.
    """
    group, others = _Units(sums, counts), _Units(other, other_counts)
    rng = np.random.default_rng(seed)
    value, error = group.ratio - others.ratio, np.hypot(group.error, others.error)
    units = np.minimum(group.units, others.units)
    with np.errstate(invalid="ignore"):
        enough = (units >= MIN_UNITS) & (error > 1e-7 * (1 + np.abs(value)))
    nothing = np.full(len(value), np.nan)
    if not enough.any():
        return Estimates(value, nothing, nothing, nothing, nothing, nothing, nothing, units)
    freedom: Array = 2.0 * units - 2
    drawn = []
    for _ in range(0, REPLICATES, CHUNK):
        away = group.drawn(rng)[0] - others.drawn(rng)[0] - value
        with np.errstate(invalid="ignore", divide="ignore"):
            drawn.append(np.nan_to_num(np.abs(away) / error * np.sqrt(units / (units - 1)), posinf=0.0))
    draws = np.concatenate(drawn)
    highest = draws[:, enough].max(1)
    own = _to_student(np.quantile(draws, LEVEL, axis=0, method="higher"), freedom)
    common = _to_student(np.full(len(value), np.quantile(highest, LEVEL, method="higher")), freedom)
    with np.errstate(invalid="ignore", divide="ignore"):
        far = _from_student(np.nan_to_num(np.abs(value) / error), freedom)
    p = (1 + (draws >= far).sum(0)) / (1 + len(draws))
    all_p = (1 + (highest[:, None] >= far).sum(0)) / (1 + len(draws))
    ends = (value - own * error, value + own * error, value - common * error, value + common * error, p, all_p)
    low, high, all_low, all_high, p, all_p = (np.where(enough & np.isfinite(end), end, np.nan) for end in ends)
    return Estimates(value, low, high, all_low, all_high, p, all_p, units)


def peaks(curves: Array, seed: int = 0, replicates: int = REPLICATES) -> Estimates:
    """Return how high the mean curve of the units rises, for several curves, with intervals.

    The moment of the highest point is not known beforehand, so the intervals come from bands that hold for all points
    at once: the highest point of the lower band, and of the upper one, enclose the true peak.

    Args:
        curves: One per unit, place and kind, shape (n, a, b, points); NaN, in all kinds alike, where a unit
            shows nothing.
        seed: The bootstrap's.
        replicates: So many draws.

    Returns:
        Estimates of shape (a x b,). `p` is for the hypothesis that the true curve nowhere rises above 0, by exchanging
        signs; with few units that tells more than whether the interval reaches 0.
    """
    n, a, b, _points = curves.shape
    there = np.isfinite(curves[:, :, 0])
    filled = np.where(there[:, :, None], curves, 0.0)
    mean, error, count = _means(np.ones((1, n)), filled, there)
    most = count.max(3, keepdims=True)
    good = (count >= MIN_UNITS) & (count >= 0.8 * most) & (error > 1e-7)
    mean, error, good = mean[0], np.where(good[0], error[0], np.nan), good[0]
    usable = np.where(good.any(2, keepdims=True), good, count[0] > 0)
    value = np.where(usable, mean, -np.inf).max(2)
    units = np.broadcast_to(most[0, :, :, 0], (a, b)).reshape(-1).astype(np.int64)
    value = np.where(np.isfinite(value), value, np.nan).reshape(-1)
    enough = good.any(2).reshape(-1)
    nothing = np.full(a * b, np.nan)
    if not enough.any():
        return Estimates(value, nothing, nothing, nothing, nothing, nothing, nothing, units)
    rng = np.random.default_rng(seed)
    freedom: Array = units.reshape(a, b, 1).astype(np.float64) - 1
    drawn = []
    for _ in range(0, replicates, PEAK_CHUNK):
        weights = rng.multinomial(n, np.full(n, 1 / n), PEAK_CHUNK).astype(np.float64)
        again, _, _ = _means(weights, filled, there)
        with np.errstate(invalid="ignore", divide="ignore"):
            away = np.abs(again - mean) / error * np.sqrt((freedom + 1) / freedom)
        drawn.append(np.where(good & np.isfinite(away), away, 0.0).max(3).reshape(PEAK_CHUNK, -1))
    draws = np.concatenate(drawn)
    highest = draws[:, enough].max(1)
    own = np.quantile(draws, LEVEL, axis=0, method="higher").reshape(a, b, 1)
    common = np.full((a, b, 1), np.quantile(highest, LEVEL, method="higher"))
    # Errors that are themselves estimated from few units need Student's t where the draws tell the normal's quantiles.
    own, common = (_to_student(quantile, freedom) for quantile in (own, common))
    bands = [mean - own * error, mean + own * error, mean - common * error, mean + common * error]
    low, high, all_low, all_high = (np.where(good, band, -np.inf).max(2).reshape(-1) for band in bands)
    p, all_p = rising(filled, there, good, rng)
    ends = (np.where(enough & np.isfinite(end), end, np.nan) for end in (low, high, all_low, all_high, p, all_p))
    low, high, all_low, all_high, p, all_p = ends
    return Estimates(value, low, high, all_low, all_high, p, all_p, units)


def expanded(units: int) -> tuple[float, float]:
    """Return between which shares of the bootstrap's draws a 95 % interval lies (Hesterberg 2015).

    Those of few units are too narrow: units drawn from n vary less than others like them would, and the normal's
    quantiles leave out that the variance is estimated. 2.5 and 97.5 % are moved outwards by as much.
    """
    far = _to_student(np.array([NormalDist().inv_cdf((1 + LEVEL) / 2)]), np.array([units - 1.0]))
    below = NormalDist().cdf(-math.sqrt(units / (units - 1)) * float(far[0]))
    return below, 1 - below


def student(share: float, freedom: int) -> float:
    """Return what Student's t stays under in so large a share of all cases."""
    t, z = _student(freedom)
    return float(np.interp(NormalDist().inv_cdf(share), z, t))


@lru_cache(256)
def _student(freedom: int) -> tuple[Array, Array]:
    """Return quantiles of Student's t and the normal quantiles of the same probability, both growing."""
    angle: Array = np.linspace(0, np.pi / 2, 40_001)  # t = sqrt(freedom) tan(angle)
    density = np.cos(angle) ** (freedom - 1)
    above = np.cumsum(density[::-1])[::-1]
    tail = above / above[0] / 2
    kept = (tail > 1e-9) & (angle < np.pi / 2)
    normal = np.array([-NormalDist().inv_cdf(min(0.5, share)) for share in tail[kept][::20]])
    return np.asarray(math.sqrt(freedom) * np.tan(angle[kept][::20])), normal


def _to_student(normal: Array, freedom: Array) -> Array:
    """Return the quantiles of Student's t where the normal distribution has these."""
    wide: Array = np.broadcast_to(normal, freedom.shape).copy()
    for degrees in np.unique(freedom[freedom >= MIN_UNITS - 1]):
        t, z = _student(int(degrees))
        wide[freedom == degrees] = np.interp(wide[freedom == degrees], z, t)
    return wide


def _from_student(reached: Array, freedom: Array) -> Array:
    """Return the quantiles of the normal distribution where Student's t has these."""
    narrow = np.maximum(reached, 0.0)
    for degrees in np.unique(freedom[freedom >= MIN_UNITS - 1]):
        t, z = _student(int(degrees))
        narrow[freedom == degrees] = np.interp(narrow[freedom == degrees], t, z)
    return narrow


def _means(weights: Array, filled: Array, there: NDArray[np.bool_]) -> tuple[Array, Array, Array]:
    """Return weighted means over the units, their standard errors and counts, shape (draws, a, b or 1, points)."""
    n, a, b, points = filled.shape
    shape = (len(weights), a, b, points)
    count = (weights @ there.reshape(n, -1)).reshape(len(weights), a, 1, points)
    sums = (weights @ filled.reshape(n, -1)).reshape(shape)
    squares = (weights @ (filled**2).reshape(n, -1)).reshape(shape)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = sums / count
        variance = np.maximum(squares - count * mean**2, 0) / (count - 1)
        error = np.sqrt(variance / count)
    return mean, np.where(count > 1, error, np.nan), count


def hedges_g(group: Array, other: Array) -> Array:
    """Return the difference of two groups' means in standard deviations (Hedges 1981), shape (e,).

    Args:
        group: What each unit of a group showed, shape (n, e); NaN where it showed nothing.
        other: The same of the other group.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        a, b = (~np.isnan(group)).sum(0), (~np.isnan(other)).sum(0)
        means = [np.nansum(x, 0) / n for x, n in ((group, a), (other, b))]
        squares = np.nansum((group - means[0]) ** 2, 0) + np.nansum((other - means[1]) ** 2, 0)
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
    with np.errstate(invalid="ignore"):  # where all units agree there is nothing to measure a distance in
        enough = enough & (error > 1e-7 * (1 + np.abs(value)))
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
