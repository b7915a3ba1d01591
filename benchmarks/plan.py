"""Do so many viewers find it? `mien plan audience`, held against simulated audiences and the report's own test.

    python benchmarks/plan.py [--runs 100] [--effects 0.05 0.1 0.2] [--seed 0]

Of eight events one moves the audience by the planned height; the others and six emotions are noise. Viewers are those
of benchmarks/audience.py: slow noise, a latency and strength of their own, a fifth that does not react, faces lost now
and then.
"""

from __future__ import annotations

import argparse

import numpy as np
from numpy.typing import NDArray

from audience import EVERY_S, HAPPY, STEP_S, smoothed
from mien.observation import EMOTIONS
from mien.reports.audience.events import Event
from mien.reports.audience.plan import plan_audience
from mien.reports.audience.reactions import _rises, _windows
from mien.reports.base import sign_flips

EVENTS = [Event(20 + EVERY_S * n, f"event {n + 1}", 2.0) for n in range(8)]
WARM = 3
NOISE, NOISE_S = 0.06, 1.5

Array = NDArray[np.float64]


def responses(viewers: int, height: float, rng: np.random.Generator) -> Array:
    """Return what each viewer's happiness does by itself, shape (viewers, points); `height`: the mean strength."""
    at = np.arange(0, 20 + EVERY_S * len(EVENTS), STEP_S)
    latency = rng.gamma(9, 0.12, viewers)[:, None]
    strength = (height / 0.8 * rng.gamma(4, 0.25, viewers) * (rng.random(viewers) > 0.2))[:, None]
    since = at[None] - EVENTS[WARM].at - latency
    return np.asarray(strength * np.clip(since / 0.8, 0, 1) * np.exp(-np.clip(since - 2.5, 0, None) / 1.5))


def strength_for(effect: float) -> float:
    """Return the mean strength that gives the mean curve this height: latencies differ, so it is a little more."""
    seen = smoothed(responses(4000, 1.0, np.random.default_rng(99)).mean(0, keepdims=True)).max()
    return effect / float(seen)


def found(viewers: int, height: float, rng: np.random.Generator) -> tuple[bool, bool]:
    """Return whether the reaction is found in an audience, and whether anything else is called one."""
    curve = responses(viewers, height, rng)
    keep = np.exp(-STEP_S / NOISE_S)
    noise = rng.normal(0, NOISE, (viewers, curve.shape[1], len(EMOTIONS)))
    for point in range(1, curve.shape[1]):
        noise[:, point] = keep * noise[:, point - 1] + np.sqrt(1 - keep**2) * noise[:, point]
    shares = np.stack([smoothed(noise[:, :, emotion]) for emotion in range(len(EMOTIONS))], axis=2)
    shares[:, :, HAPPY] += smoothed(curve)
    for viewer in range(viewers):
        for start in rng.integers(0, curve.shape[1], 4):
            shares[viewer, start : start + 12] = np.nan
    rises = [_rises(shares.astype(np.float32), STEP_S, window) for window in _windows(EVENTS, 5.0, 10.0)]
    curves = np.stack([rise.transpose(0, 2, 1) for rise in rises], 1)
    there = np.isfinite(curves[:, :, 0])
    count = there.sum(0)
    good = np.repeat(((count >= 5) & (count >= 0.8 * count.max(1, keepdims=True)))[:, None], len(EMOTIONS), 1)
    p = sign_flips.rising(np.where(there[:, :, None], curves, 0.0), there, good, rng)[1]
    landed = p.reshape(-1, len(EMOTIONS)) < 0.05
    hit = bool(landed[WARM, HAPPY])
    landed[WARM, HAPPY] = False
    return hit, bool(landed.any())


def main() -> None:
    """Print what was planned and what was found."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    options.add_argument("--runs", type=int, default=100)
    options.add_argument("--effects", type=float, nargs="*", default=[0.05, 0.1, 0.2])
    options.add_argument("--draws", type=int, default=1000, help="ways to exchange signs; the report takes 4,000")
    options.add_argument("--seed", type=int, default=0)
    asked = options.parse_args()
    sign_flips.DRAWS = asked.draws
    for effect in asked.effects:
        for power in (0.8, 0.95):
            viewers = plan_audience(effect, power=power).viewers
            height = strength_for(effect)
            runs = [found(viewers, height, np.random.default_rng([asked.seed, run])) for run in range(asked.runs)]
            hits, false = np.mean(runs, axis=0)
            print(
                f"effect {effect:g}, power {power:g}: {viewers} viewers; found in {hits:.2f}, anything else called a "
                f"reaction in {false:.2f} of {asked.runs} audiences",
                flush=True,
            )


if __name__ == "__main__":
    main()
