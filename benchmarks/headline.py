"""Whether intervals of an audience's headline hold what they are of: simulated audiences of known synchrony and laughs.

    python benchmarks/headline.py [--runs 100] [--seed 1] [--viewers 8 20]

Audiences are drawn as in `synchrony.py`, with five events in four minutes that move all but a fifth. What the figures
would be of very many viewers like these is the mean over all audiences of a size; an interval of 95 % should hold it in
95 % of them. The share of who smiled at the peak is of these viewers in the second that was picked as the highest, and
is left out.
"""

from __future__ import annotations

import argparse
import warnings
from datetime import datetime

import numpy as np

import mien.reports.audience.synchrony as moving
from mien.observation import EMOTIONS
from mien.reports.audience import groups
from mien.reports.audience.headline import headlines
from mien.reports.audience.own_level import look_above
from mien.reports.audience.seats import Watching
from mien.reports.base.usual_face import Calibration
from synchrony import audience

HAPPY, NEUTRAL = EMOTIONS.index("happy"), EMOTIONS.index("neutral")


def watching(viewers: int, rng: np.random.Generator) -> Watching:
    """Return a simulated audience that smiles after some events; the usual face is that of the first 30 seconds."""
    happy = np.clip(audience(viewers, rng, 0.35, kinds=1)[:, :, 0], 0, 1)
    shares = np.zeros((*happy.shape, len(EMOTIONS)), np.float32)
    shares[:, :, HAPPY], shares[:, :, NEUTRAL] = happy, 1 - happy
    shares[np.isnan(happy)] = np.nan
    usual = np.nanmedian(shares[:, :120], axis=1).astype(np.float64)
    names = [f"v{number}" for number in range(viewers)]
    return Watching(names, [""] * viewers, shares, usual=[(30, face) for face in usual])


def figures(viewers: int, rng: np.random.Generator) -> np.ndarray:
    """Return the three figures of an audience, each with the ends of its interval, shape (3, 3)."""
    watched = watching(viewers, rng)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        (headline,) = headlines(watched, moving.synchronies(watched))
        level = look_above(watched, Calibration(first_s=30)).levels[0].above[HAPPY]
    return np.array([list(vars(of).values()) for of in (headline.synchrony, headline.laughs, level)])


def main() -> None:
    """Print a table."""
    options = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    options.add_argument("--runs", type=int, default=100)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--viewers", type=int, nargs="+", default=[8, 20])
    asked = options.parse_args()
    groups.REPLICATES = 2  # curves are not looked at here
    moving.DRAWS = moving.FEWEST_DRAWS = moving.FIRST = 2  # they are for the p alone
    print(f"{datetime.now().astimezone():%Y-%m-%d}, {asked.runs} audiences of each size, seed {asked.seed}")
    for viewers in asked.viewers:
        rng = np.random.default_rng((asked.seed, viewers))
        all_of = np.stack([figures(viewers, rng) for _ in range(asked.runs)])
        truth = all_of[:, :, 0].mean(0)
        for place, name in enumerate(("mean synchrony", "laughs a minute", "happy above the usual face")):
            low, high = all_of[:, place, 1], all_of[:, place, 2]
            held = float(((low <= truth[place]) & (truth[place] <= high)).mean())
            wide = float((high - low).mean())
            print(f"{viewers:>3} viewers: {name:<28} {truth[place]:.3f}, held in {100 * held:.0f} %, {wide:.3f} wide")


if __name__ == "__main__":
    main()
