"""How long the stretches of a recording must be to vary independently: a course goes in, lengths come out.

Two ways look at it. `block_length` is that of Politis and White (2004), with the correction of Patton, Politis and
White (2009): the length that makes the error of the circular bootstrap's variance least, from the autocorrelation under
a flat-top lag window. `persistence` takes the course for an autoregression of the first order, allows for the bias that
its estimate has in short courses (Kendall 1954), and says how slow it may be: a short recording cannot show that it
varies slowly.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Persistence", "block_length", "persistence"]

SIGNIFICANT = 2.0
"""An autocorrelation of more than so many standard errors (times the root of the logarithm) counts."""

UPPER = 1.645
"""The end of a one-sided 95 % interval, in standard errors."""

Array = NDArray[np.float64]


def block_length(series: Array) -> float:
    """Return how many values of a series a block of the circular bootstrap should hold.

    Args:
        series: Evenly spaced values, shape (n,).

    Returns:
        At least 1, at most about three times the root of n or a third of n; 1 for a series that does not vary.
    """
    n = len(series)
    if n < 8 or not np.ptp(series) > 1e-12:
        return 1.0
    away = series - series.mean()
    run = max(5, int(math.log10(n)))
    lags = min(n - 1, math.ceil(math.sqrt(n)) + run)
    covariance = np.array([away[: n - lag] @ away[lag:] / n for lag in range(lags + 1)])
    correlation = np.array(
        [
            abs(away[: n - lag] @ away[lag:])
            / math.sqrt((away[: n - lag] @ away[: n - lag]) * (away[lag:] @ away[lag:]))
            for lag in range(1, lags + 1)
        ]
    )
    bound = SIGNIFICANT * math.sqrt(math.log10(n) / n)
    small = correlation < bound
    # One lag more than the paper asks for, all lags where none is quiet: as the package `arch` does, the careful side.
    quiet = next((lag + 1 for lag in range(len(small) - run + 1) if small[lag : lag + run].all()), lags)
    width = min(2 * max(quiet, 1), lags)
    lag = np.arange(1, width + 1)
    window = np.minimum(1.0, 2 * (1 - lag / width))  # flat, then falling to 0
    slope = 2 * float(window @ (lag * covariance[1 : width + 1]))
    level = float(covariance[0] + 2 * window @ covariance[1 : width + 1])
    if level == 0:
        return 1.0
    best = (2 * slope**2 / (4 / 3 * level**2)) ** (1 / 3) * n ** (1 / 3)
    return float(min(max(1.0, best), math.ceil(min(3 * math.sqrt(n), n / 3))))


@dataclass(frozen=True)
class Persistence:
    """How slowly a course may vary.

    Attributes:
        time: After which its correlation has fallen to 1/e, the upper end of a one-sided 95 % interval; in the unit of
            the steps.
    """

    time: float

    def widening(self, length: float, count: int) -> float:
        """Return by how much an interval from the means of stretches must be widened, as neighbours still correlate.

        Args:
            length: How long each stretch is, in the unit of `time`.
            count: How many there are.
        """
        if self.time <= 0:
            return 1.0
        if not math.isfinite(self.time):
            return math.inf
        whole = self._variance(length * count)
        between = self._variance(length) - whole
        return math.inf if between < 1e-9 else math.sqrt(max(1.0, whole * (count - 1) / between))

    def _variance(self, length: float) -> float:
        """Return the variance of the mean over a stretch, of a course whose variance is 1."""
        ratio = length / self.time
        return 2 / ratio * (1 - (1 - math.exp(-ratio)) / ratio)


def persistence(series: Array, step: float) -> Persistence:
    """Return how slowly a series may vary, judged by its steps and by four of them at once.

    Args:
        series: Evenly spaced values, shape (n,).
        step: How far apart they are.
    """
    coarse = series[: len(series) // 4 * 4].reshape(-1, 4).mean(1)
    return Persistence(max(_upper(series, step), _upper(coarse, 4 * step)))


def _upper(series: Array, step: float) -> float:
    n = len(series)
    if n < 8 or not np.ptp(series) > 1e-12:
        return 0.0
    away = series - series.mean()
    share = float(away[1:] @ away[:-1] / (away[:-1] @ away[:-1]))
    share += (1 + 3 * share) / n
    share += UPPER * math.sqrt(max(1 - share**2, 1 / n) / n)
    if share <= 0.01:
        return 0.0
    return math.inf if share >= 0.999 else -step / math.log(share)
