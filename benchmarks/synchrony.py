"""Simulated audiences with known synchrony and none: false alarms and power of what `mien report audience` finds.

    python benchmarks/synchrony.py [--runs 200] [--seed 0] [--draws 199] [--only moments|courses|brainiak]

Each viewer has a resting face, slow noise (autoregressive, a time constant of 1.5 s) and smiles of their own at times
of their own, some seconds long; faces are lost now and then, and some viewers leave early. With synchrony all but a
fifth of them smile after some events, too, each with a latency and a strength of their own. In the second part two
groups watch, one of which smiles more in one stretch.

The third part compares the correlations with those of brainiak's `isc` (leave-one-out) where that is installed, and
with a computation by numpy's `corrcoef` everywhere.
"""

from __future__ import annotations

import argparse
import warnings
from importlib import import_module

import numpy as np
from numpy.typing import NDArray

from audience import smoothed
from mien.reports.audience.clusters import clusters
from mien.reports.audience.synchrony import Null, synchrony

STEP_S = 0.25
SECONDS = 240
EVENTS = (40.0, 80.0, 120.0, 160.0, 200.0)
WINDOW_S = 10
FOUND = "events found"

Array = NDArray[np.float64]


def noise(viewers: int, points: int, rng: np.random.Generator, *, keep_s: float = 1.5, spread: float = 0.06) -> Array:
    """Return slow noise, shape (viewers, points)."""
    keep = np.exp(-STEP_S / keep_s)
    steps = rng.normal(0, spread, (viewers, points))
    for point in range(1, points):
        steps[:, point] = keep * steps[:, point - 1] + np.sqrt(1 - keep**2) * steps[:, point]
    return steps


def smile(at: Array, begin: Array, strength: Array) -> Array:
    """Return smiles that begin then, and last some seconds."""
    since = at[None] - begin[:, None]
    return strength[:, None] * np.clip(since / 0.8, 0, 1) * np.exp(-np.clip(since - 2.5, 0, None) / 1.5)


def audience(
    viewers: int, rng: np.random.Generator, height: float = 0.0, *, kinds: int = 2, keep_s: float = 1.5
) -> Array:
    """Return what simulated viewers show, shape (viewers, points, kinds); NaN where a face is lost.

    Args:
        viewers: So many.
        rng: Draws them.
        height: By how much the first kind rises in the mean after each event.
        kinds: So many signals; all but the first are noise and smiles alone.
        keep_s: How slow the noise is, its time constant in seconds.
    """
    at = np.arange(0, SECONDS, STEP_S)
    shown = np.empty((viewers, len(at), kinds))
    for kind in range(kinds):
        shown[:, :, kind] = 0.2 + 0.1 * rng.random((viewers, 1)) + noise(viewers, len(at), rng, keep_s=keep_s)
        for _ in range(4):
            shown[:, :, kind] += smile(at, rng.uniform(0, SECONDS, viewers), rng.gamma(4, 0.08, viewers))
    if height:
        for event in EVENTS:
            strength = height / 0.8 * rng.gamma(4, 0.25, viewers) * (rng.random(viewers) > 0.2)
            shown[:, :, 0] += smile(at, event + rng.gamma(9, 0.12, viewers), strength)
    for kind in range(kinds):
        shown[:, :, kind] = smoothed(shown[:, :, kind])
    for viewer in range(viewers):
        for start in rng.integers(0, len(at), 4):
            shown[viewer, start : start + 12] = np.nan
        if viewer % 5 == 4:
            shown[viewer, int(rng.uniform(0.6, 1) * len(at)) :] = np.nan
    return shown


def moments(
    viewers: int,
    runs: int,
    height: float,
    *,
    draws: int = 199,
    seed: int = 0,
    null: Null = "shift",
    keep_s: float = 1.5,
    many: int = 60,
) -> dict[str, float]:
    """Return how often anything is said to move people together, and how many of the events are found."""
    false, hits, means, held, level = [], [], [], [], []
    if height and many:
        level = [
            synchrony(audience(viewers, np.random.default_rng(7 + n), height), WINDOW_S, draws=1).mean[0].value
            for n in range(many)
        ]
    for run in range(runs):
        shown = audience(viewers, np.random.default_rng([seed, run]), height, keep_s=keep_s)
        measured = synchrony(shown, WINDOW_S, draws=draws, seed=run, null=null)
        beyond = measured.p < 0.05
        near = np.zeros(len(beyond), bool)
        for event in EVENTS if height else ():
            around = (measured.at > event - WINDOW_S / 2) & (measured.at < event + 12 + WINDOW_S / 2)
            near |= around
            hits.append(bool(beyond[around, 0].any()))
        false.append(bool(beyond[~near].any() or beyond[:, 1:].any()))
        means.append(bool(measured.mean_p[0] < 0.05))
        if level:
            held.append(measured.mean[0].low <= np.mean(level) <= measured.mean[0].high)
    figures = {"anything is said to move together that does not": float(np.mean(false))}
    figures["the mean synchrony is beyond chance"] = float(np.mean(means))
    if height:
        figures[FOUND] = float(np.mean(hits))
    if level:
        figures["the interval of the mean holds that of many audiences"] = float(np.mean(held))
    return figures


def courses(viewers: int, runs: int, height: float, *, draws: int = 500, seed: int = 0) -> dict[str, float]:
    """Return how often two groups of so many viewers each are said to differ: in a stretch of 20 s, and elsewhere."""
    false, found = [], []
    for run in range(runs):
        rng = np.random.default_rng([seed, run])
        shown = audience(2 * viewers, rng, 0.15)  # both smile at the same events
        seconds = _by_seconds(shown)
        seconds[:viewers, 100:120, 0] += height
        beyond = [
            part for part in clusters(seconds[:viewers], seconds[viewers:], draws=draws, seed=run) if part.beyond_chance
        ]
        inside = [part for part in beyond if part.signal == 0 and part.start < 120 and part.end > 100]
        found.append(bool(inside))
        false.append(len(beyond) > len(inside) if height else bool(beyond))
    figures = {"courses are said to differ where they do not": float(np.mean(false))}
    return figures | ({"the stretch is found": float(np.mean(found))} if height else {})


def _by_seconds(shown: Array) -> Array:
    per_second = round(1 / STEP_S)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a second without a face has no mean
        return np.asarray(np.nanmean(shown.reshape(len(shown), -1, per_second, shown.shape[2]), 2))


def apart_from_corrcoef(viewers: int = 9, seed: int = 0) -> float:
    """Return the largest difference of any viewer's correlation from numpy's, without gaps."""
    shown = _whole(viewers, seed)
    each = np.tanh(synchrony(shown, WINDOW_S, draws=1).each[:, :, 0])
    width = round(WINDOW_S / STEP_S)
    worst = 0.0
    for window in range(each.shape[1]):
        part = shown[:, 4 * window : 4 * window + width, 0]
        others = (part.sum(0) - part) / (viewers - 1)
        own = [np.corrcoef(part[viewer], others[viewer])[0, 1] for viewer in range(viewers)]
        worst = max(worst, float(np.abs(own - each[:, window]).max()))
    return worst


def apart_from_brainiak(viewers: int = 9, seed: int = 0) -> float | None:
    """Return the largest difference of any window's mean correlation from brainiak's; None: it is not installed."""
    try:
        theirs = import_module("brainiak.isc")
    except ImportError:
        return None
    shown = _whole(viewers, seed)
    value = synchrony(shown, WINDOW_S, draws=1).value[:, 0]
    width = round(WINDOW_S / STEP_S)
    means = []
    for window in range(len(value)):
        part = shown[:, 4 * window : 4 * window + width, 0].T[:, None]  # (points, 1, viewers)
        each = theirs.isc(part, pairwise=False)
        means.append(float(np.ravel(theirs.compute_summary_statistic(each, "mean", axis=0))[0]))
    return float(np.abs(value - means).max())


def _whole(viewers: int, seed: int) -> Array:
    shown = audience(viewers, np.random.default_rng(seed), 0.2)
    return np.where(np.isfinite(shown), shown, 0.2 + 0.01 * np.random.default_rng(1).normal(size=shown.shape))


def _print(title: str, rows: dict[str, dict[str, float]]) -> None:
    print(title)
    names = list(dict.fromkeys(name for row in rows.values() for name in row))
    print("".ljust(60), *(f"{head:>14}" for head in rows))
    for name in names:
        print(name.ljust(60), *(f"{row[name]:>14.3f}" if name in row else " " * 14 for row in rows.values()))


def main() -> None:
    """Print tables."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    options.add_argument("--runs", type=int, default=200, help="audiences of each size")
    options.add_argument("--draws", type=int, default=199, help="how often curves are turned around")
    options.add_argument("--seed", type=int, default=0, help="other audiences")
    options.add_argument("--only", choices=["moments", "courses", "brainiak"], help="one of the three parts")
    asked = options.parse_args()
    sizes, how = (6, 12, 20), {"draws": asked.draws, "seed": asked.seed}
    summary = []
    if asked.only in (None, "moments"):
        rows = {f"{n}": moments(n, asked.runs, 0.0, **how) for n in sizes}
        rows |= {"12, slow": moments(12, asked.runs, 0.0, keep_s=5.0, **how)}
        rows |= {"12, phases": moments(12, asked.runs, 0.0, null="phase", **how)}
        _print("No synchrony, by viewers", rows)
        summary.append(f"false alarms {' '.join(f'{next(iter(row.values())):.3f}' for row in rows.values())}")
        rows = {f"{n}, {height:g}": moments(n, asked.runs, height, **how) for n in sizes for height in (0.1, 0.2)}
        _print("Five events that move all but a fifth, by viewers and height", rows)
        summary.append(f"events found {' '.join(f'{row[FOUND]:.3f}' for row in rows.values())}")
    if asked.only in (None, "courses"):
        rows = {
            f"{n}, {height:g}": courses(n, asked.runs, height, seed=asked.seed)
            for n in (6, 12, 20)
            for height in (0.0, 0.05, 0.1)
        }
        _print("Two groups, by viewers of each and difference over 20 s", rows)
        summary.append(f"courses {' '.join(f'{next(iter(row.values())):.3f}' for row in rows.values())}")
    if asked.only in (None, "brainiak"):
        theirs = apart_from_brainiak()
        print(f"largest difference from numpy's corrcoef: {apart_from_corrcoef():.1e}")
        print(f"largest difference from brainiak's isc:   {'not installed' if theirs is None else f'{theirs:.1e}'}")
    print(f"{asked.runs} audiences of each kind, seed {asked.seed}: {'; '.join(summary)}")


if __name__ == "__main__":
    main()
