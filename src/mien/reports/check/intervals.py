"""A ratio of sums over units, and its interval, drawn anew: the ends may differ by a tenth of the interval's width."""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Iterator

from mien.reports.check.figure import Figure

__all__ = ["estimated"]

DRAWS, MOST_DRAWN = 4000, 2000


def estimated(
    name: str,
    units: list[tuple[float, float]],
    value: float | None,
    low: float | None,
    high: float | None,
    apart: float = 1e-6,
) -> Iterator[Figure]:
    """Yield a ratio of sums and its interval: a symmetric studentized bootstrap over the units."""
    ratio, error = _ratio(units)
    yield Figure(name, value, ratio, apart)
    reach = _reach(units, ratio, error) if len(units) >= 5 and error else math.inf
    if math.isfinite(reach):
        yield Figure(f"{name}, lower end", low, ratio - reach, 0.2 * reach)
        yield Figure(f"{name}, upper end", high, ratio + reach, 0.2 * reach)
    else:
        yield Figure(f"{name}, lower end", low, None)
        yield Figure(f"{name}, upper end", high, None)


def _reach(units: list[tuple[float, float]], ratio: float, error: float) -> float:
    """Return how far the interval reaches to both sides."""
    if len(units) > MOST_DRAWN:  # of so many the draws are as the normal distribution
        return statistics.NormalDist().inv_cdf(0.975) * error
    rng, far = random.Random(7), []  # noqa: S311 - nothing secret
    draws = max(500, min(DRAWS, 1_000_000 // len(units)))
    for _ in range(draws):
        drawn, spread = _ratio(rng.choices(units, k=len(units)))
        far.append(abs(drawn - ratio) / spread if spread else math.inf)
    return sorted(far)[math.ceil(0.95 * draws) - 1] * error


def _ratio(units: list[tuple[float, float]]) -> tuple[float, float]:
    """Return the ratio of the sums, and its standard error by the delta method."""
    n, total, count = len(units), sum(happy for happy, _ in units), sum(faces for _, faces in units)
    ratio = total / count
    squares = sum((happy - ratio * faces) ** 2 for happy, faces in units)
    return ratio, math.sqrt(squares * n / (n - 1)) / count if n > 1 and squares > 1e-12 else 0.0
