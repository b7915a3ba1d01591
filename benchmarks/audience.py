"""Simulated audiences with known reactions: how often the intervals of `mien report audience` hold the truth.

    python benchmarks/audience.py --runs 200 [--seed 0] [--quick]

--quick leaves out the intervals of heights, which take most of the time.

Each viewer has a resting face, slow noise (autoregressive, a time constant of 1.5 s, 0.06 in probability), a latency of
their own and a strength of their own; a fifth does not react at all, and now and then a face is lost. The truth is what
4,000 such viewers without noise show.
"""

from __future__ import annotations

import argparse

import numpy as np
from numpy.typing import NDArray

from mien.observation import EMOTIONS
from mien.reports.audience.events import Event
from mien.reports.audience.reactions import _rises, _shape, _windows, react
from mien.reports.audience.seats import Watching
from mien.reports.base.sign_flips import rising

STEP_S = 0.25
HAPPY = EMOTIONS.index("happy")
SURPRISE = EMOTIONS.index("surprise")
HEIGHTS = (0.0, 0.1, 0.0, 0.25, 0.4, 0.0, 0.15, 0.3)
"""The mean strength of the reaction to each event, in probability of happy; three events leave the audience cold."""
EVERY_S = 30.0

Array = NDArray[np.float64]


def events() -> list[Event]:
    """The events, half a minute apart."""
    return [Event(20 + EVERY_S * n, f"event {n + 1}", 2.0) for n in range(len(HEIGHTS))]


def responses(viewers: int, rng: np.random.Generator) -> Array:
    """Return what each viewer's happiness does by itself after each event, shape (viewers, points)."""
    at = np.arange(0, 20 + EVERY_S * len(HEIGHTS), STEP_S)
    curve = np.zeros((viewers, len(at)))
    for event, height in zip(events(), HEIGHTS, strict=True):
        latency = rng.gamma(9, 0.12, viewers)[:, None]
        strength = (height / 0.8 * rng.gamma(4, 0.25, viewers) * (rng.random(viewers) > 0.2))[:, None]
        since = at[None] - event.at - latency
        rising = np.clip(since / 0.8, 0, 1)
        curve += strength * rising * np.exp(-np.clip(since - 2.5, 0, None) / 1.5)
    return curve


def smoothed(values: Array) -> Array:
    """Return the moving mean over a second that curves have."""
    window = round(1 / STEP_S)
    total = np.cumsum(np.pad(values, ((0, 0), (1, 0))), axis=1)
    first = np.clip(np.arange(values.shape[1]) - window // 2, 0, None)
    last = np.clip(first + window, 0, values.shape[1])
    return np.asarray((total[:, last] - total[:, first]) / (last - first))


def audience(viewers: int, rng: np.random.Generator) -> Watching:
    """Return what simulated viewers show."""
    happy = 0.25 + 0.1 * rng.random((viewers, 1)) + responses(viewers, rng)
    keep = np.exp(-STEP_S / 1.5)
    noise = np.zeros((2, *happy.shape))
    noise[:, :, 0] = rng.normal(0, 0.06, (2, viewers))
    for point in range(1, happy.shape[1]):
        step = rng.normal(0, 0.06 * np.sqrt(1 - keep**2), (2, viewers))
        noise[:, :, point] = keep * noise[:, :, point - 1] + step
    shares = np.full((*happy.shape, len(EMOTIONS)), 0.01)
    shares[:, :, HAPPY] = smoothed(happy + noise[0])
    shares[:, :, SURPRISE] = smoothed(0.1 + noise[1])
    for viewer in range(viewers):  # a face is lost for some seconds
        for start in rng.integers(0, happy.shape[1], 4):
            shares[viewer, start : start + 12] = np.nan
    return Watching([f"viewer {n}" for n in range(viewers)], [""] * viewers, shares.astype(np.float32), STEP_S)


def truth() -> tuple[Array, Array]:
    """Return the height and the latency of each reaction in the population."""
    mean = smoothed(responses(4_000, np.random.default_rng(99)).mean(0, keepdims=True))[0]
    heights, latencies = [], []
    for event in events():
        at = round(event.at / STEP_S)
        window = mean[at : at + round((event.duration + 10) / STEP_S)]
        heights.append(round(float(window.max()), 3))
        latencies.append(float(window.argmax()) * STEP_S)
    return np.array(heights), np.array(latencies)


def coverage(viewers: int, runs: int, seed: int = 0) -> dict[str, float]:
    """Return how often intervals hold the truth, and what is said of events that leave the audience cold."""
    heights, latencies = truth()
    cold, warm = heights == 0, heights > 0
    held, together, late, bias, false, found = [], [], [], [], [], []
    for run in range(runs):
        seen = react(audience(viewers, np.random.default_rng(seed + run)), events())
        value, low, high, all_low, all_high, p = (
            end.reshape(-1, len(EMOTIONS))[:, HAPPY]
            for end in (
                seen.estimates.value,
                seen.estimates.low,
                seen.estimates.high,
                seen.estimates.all_low,
                seen.estimates.all_high,
                seen.estimates.all_p,
            )
        )
        held.append((low <= heights) & (heights <= high))
        together.append(((all_low <= heights) & (heights <= all_high)).all())
        bias.append(value - heights)
        false.append((p[cold] < 0.05).any())
        found.append((p[heights >= 0.2] < 0.05).mean())
        late += [
            one.latency.low - STEP_S / 2 <= right <= one.latency.high + STEP_S / 2
            for one, right, is_warm in zip(seen.each, latencies, warm, strict=True)
            if is_warm and one.emotion == HAPPY
        ]
    return {
        "interval of a height holds it": float(np.mean(held)),
        "common intervals hold all heights": float(np.mean(together)),
        "mean error of a height": float(np.mean(bias)),
        "a cold event is called a reaction, per audience": float(np.mean(false)),
        "reactions of 0.2 or more are found": float(np.mean(found)),
        "interval of a latency holds it": float(np.mean(late)) if late else float("nan"),
    }


def quick(viewers: int, runs: int, seed: int = 0) -> dict[str, float]:
    """Return what is said of cold and warm events, and how often intervals of latencies hold the truth."""
    heights, latencies = truth()
    false, found, late = [], [], []
    for run in range(runs):
        watched = audience(viewers, np.random.default_rng(seed + run))
        rises = [_rises(watched.shares, STEP_S, window) for window in _windows(events(), 5.0, 10.0)]
        curves = np.stack([rise[:, :, [HAPPY, SURPRISE]].transpose(0, 2, 1) for rise in rises], 1)
        there = np.isfinite(curves[:, :, 0])
        count = there.sum(0)
        good = np.repeat(((count >= 5) & (count >= 0.8 * count.max(1, keepdims=True)))[:, None], 2, 1)
        filled = np.where(there[:, :, None], curves, 0.0)
        p = rising(filled, there, good, np.random.default_rng(run))[1].reshape(-1, 2)
        false.append(bool((p[heights == 0, 0] < 0.05).any() or (p[:, 1] < 0.05).any()))
        found.append((p[heights >= 0.2, 0] < 0.05).mean())
        for rise, right, height in zip(rises, latencies, heights, strict=True):
            own = rise[np.isfinite(rise[:, :, HAPPY]).any(1), :, HAPPY]
            if height and len(own) >= 5:
                latency = _shape(own, STEP_S)[0]
                late.append(latency.low - STEP_S / 2 <= right <= latency.high + STEP_S / 2)
    return {
        "anything is called a reaction that is none, per audience": float(np.mean(false)),
        "reactions of 0.2 or more are found": float(np.mean(found)),
        "interval of a latency holds it": float(np.mean(late)),
    }


def main() -> None:
    """Print a table."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    options.add_argument("--runs", type=int, default=200, help="audiences of each size")
    options.add_argument("--quick", action="store_true", help="leave out the intervals of heights")
    options.add_argument("--seed", type=int, default=0, help="other audiences")
    asked = options.parse_args()
    sizes = (8, 12, 20)
    rows = {size: (quick if asked.quick else coverage)(size, asked.runs, 10_000 * asked.seed) for size in sizes}
    print("viewers".ljust(60), *(f"{size:>8}" for size in sizes))
    for name in rows[sizes[0]]:
        print(name.ljust(60), *(f"{rows[size][name]:>8.3f}" for size in sizes))
    figures = (f"{name} {' '.join(f'{rows[size][name]:.3f}' for size in sizes)}" for name in rows[sizes[0]])
    print(f"{asked.runs} audiences of {', '.join(map(str, sizes))} viewers, seed {asked.seed}: {'; '.join(figures)}")


if __name__ == "__main__":
    main()
