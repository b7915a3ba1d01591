"""How often the interval of a film's score holds the truth, by length and by how slowly its faces change.

    python benchmarks/film_intervals.py --runs 400 --seed 1

Films are simulated whose happiness wanders (an autoregression, put between 0 and 1) with a known mean. A film may be
too short to say; then it has no interval. The truth is the mean that all such films have.
"""

from __future__ import annotations

import argparse
from datetime import datetime

import numpy as np
import polars as pl
from numpy.typing import NDArray

from mien.reports.base.bootstrap import estimate
from mien.reports.film import figures

MINUTES = (2.0, 10.0, 90.0)
SLOW_S = (1.0, 2.0, 5.0, 10.0, 20.0, 60.0, 120.0)

Array = NDArray[np.float64]


def happiness(level: Array) -> Array:
    """Return probabilities from a course around 0."""
    return np.asarray(1 / (1 + np.exp(1.0 - level)))


TRUTH = float(happiness(np.sqrt(2) * np.polynomial.hermite.hermgauss(60)[0]) @ np.polynomial.hermite.hermgauss(60)[1])
TRUTH /= float(np.sqrt(np.pi))


def course(seconds: int, slow_s: float, rng: np.random.Generator) -> Array:
    """Return a film's happiness, one value a second."""
    keep = float(np.exp(-1 / slow_s))
    level = rng.normal(size=seconds)
    for second in range(1, seconds):
        level[second] = keep * level[second - 1] + np.sqrt(1 - keep**2) * level[second]
    return happiness(level)


def coverage(minutes: float, slow_s: float, runs: int, seed: int = 1) -> tuple[float, float]:
    """Return how many films get an interval, and how many of these intervals hold the truth, as shares."""
    rng = np.random.default_rng(seed)
    seconds, held = round(60 * minutes), []
    for _ in range(runs):
        read = pl.DataFrame({"at": np.arange(seconds) + 0.5, "happy": course(seconds, slow_s, rng), "span": 1.0})
        length, widened = figures._stretch(read, seconds)  # noqa: SLF001
        units = figures._units(figures.sums_by(read, length, seconds), widened)  # noqa: SLF001
        score = estimate(units[:, :1], units[:, 1:], replicates=1000)
        if np.isfinite(score.low[0]):
            held.append(score.low[0] <= TRUTH <= score.high[0])
    return len(held) / runs, float(np.mean(held)) if held else float("nan")


def main() -> None:
    """Print a table."""
    options = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    options.add_argument("--runs", type=int, default=400, help="films of each kind")
    options.add_argument("--seed", type=int, default=1)
    asked = options.parse_args()
    print(f"{datetime.now().astimezone():%Y-%m-%d}, {asked.runs} films each, seed {asked.seed}")
    print("of each kind, how many get an interval, and how many of these intervals hold the truth")
    print("minutes".ljust(8), *(f"{slow:>12.0f} s" for slow in SLOW_S))
    for minutes in MINUTES:
        cells = [coverage(minutes, slow, asked.runs, asked.seed) for slow in SLOW_S]
        print(f"{minutes:<8.0f}", *(f"{told:>7.0%} {held:>6.1%}" for told, held in cells))


if __name__ == "__main__":
    main()
