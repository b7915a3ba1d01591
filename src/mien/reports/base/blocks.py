"""How long the stretches of a recording must be to vary independently: a course goes in, a length comes out.

Politis and White (2004), with the correction of Patton, Politis and White (2009), for blocks that do not overlap the
series' ends in a circle: the length that makes the error of the bootstrap's variance least, from the autocorrelation
under a flat-top lag window.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

__all__ = ["block_length"]

SIGNIFICANT = 2.0
"""An autocorrelation of more than so many standard errors (times the root of the logarithm) counts."""

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
            abs(away[: n - lag] @ away[lag:]) / math.sqrt((away[: n - lag] @ away[: n - lag]) * (away[lag:] @ away[lag:]))
            for lag in range(1, lags + 1)
        ]
    )
    bound = SIGNIFICANT * math.sqrt(math.log10(n) / n)
    small = correlation < bound
    # One lag more than the paper asks for, and all lags where none is quiet, as the package `arch` does: the careful side.
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
