"""How often the emotion of a talking face changes, and how soon a new one is told.

    python benchmarks/flicker.py [--seconds 40]

The demo's portrait talks: its mouth and brows go to and fro between two expressions one to three times a second, never
the same way, with noise, as the camera moves a little. The changes of the emotion in a minute are counted as read,
smoothed, and held (what observations say); and how long after a step from one emotion to another the new one is named.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from datetime import datetime

import numpy as np

from mien.media.base import Frame
from mien.media.demo import SCRIPT, Demo
from mien.models.classifier import Classifier
from mien.vision.detector import Detector
from mien.vision.pipeline import Pipeline
from mien.vision.tracker import LabelHold, Smoother

FPS = 25


def talking(seconds: float, seed: int = 1) -> Iterator[Frame]:
    """Yield the frames of a clip in which the portrait talks."""
    dice, demo = np.random.default_rng(seed), Demo()
    starts = [at for at, _ in SCRIPT[1:]]
    number = 0
    while number < seconds * FPS:
        start, often, reach = dice.choice(starts), dice.uniform(1, 3), dice.uniform(0.2, 0.6)
        for _ in range(dice.integers(FPS, 3 * FPS)):
            at = number / FPS
            opened = 0.5 + reach * np.sin(2 * np.pi * often * at) + 0.1 * np.sin(2 * np.pi * 0.4 * at)
            image = demo.image(float(start + 0.7 * opened))
            noisy = np.clip(image + dice.normal(0, 6, image.shape), 0, 255).astype(np.uint8)
            yield Frame(noisy, number, at, None)
            number += 1


def read(seconds: float, seed: int = 1) -> np.ndarray:
    """Return what the model says of each frame by itself, shape (n, 7)."""
    pipeline, rows = Pipeline(Detector(), Classifier.load(), "talking"), []
    for frame in talking(seconds, seed):
        pipeline.observe(frame)
        if len(pipeline.raw) == 1:
            rows.append(pipeline.raw[0])
    return np.stack(rows)


def labels(raw: np.ndarray, hold: LabelHold, fps: float = FPS) -> tuple[list[int], list[int]]:
    """Return the emotions smoothed, and smoothed and held."""
    smoother = Smoother()
    smoothed = [smoother.smooth([1], row[None], n / fps) for n, row in enumerate(raw)]
    held = [int(hold.hold([1], shares, n / fps)[0]) for n, shares in enumerate(smoothed)]
    return [int(shares.argmax()) for shares in smoothed], held


def changes(values: list[int], fps: float = FPS) -> float:
    """Return how often the emotion changes in a minute."""
    return float(np.count_nonzero(np.diff(values)) * 60 * fps / len(values))


def response(fps: float, top: float, rest: float) -> float:
    """Return how long after a step from one emotion to another the new one is named, in seconds."""
    rows = np.full((round(4 * fps), 7), (1 - top - rest) / 5)
    rows[:, :2] = (top, rest)
    rows[round(2 * fps) :, :2] = (rest, top)
    return (labels(rows.astype(np.float32), LabelHold(), fps)[1].index(1) - round(2 * fps)) / fps


def main() -> None:
    """Print the figures."""
    options = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    options.add_argument("--seconds", type=float, default=40)
    options.add_argument("--seed", type=int, default=1)
    asked = options.parse_args()
    raw = read(asked.seconds, asked.seed)
    smoothed, held = labels(raw, LabelHold())
    print(f"{datetime.now().astimezone():%Y-%m-%d}, {asked.seconds:g} s at {FPS} frames/s, seed {asked.seed}")
    for name, values in (("as read", raw.argmax(1).tolist()), ("smoothed", smoothed), ("held", held)):
        print(f"{name:<10} {changes(values):.0f} changes a minute")
    for fps in (5, 10, 25, 60):
        print(f"{fps} frames/s: a step is named after {response(fps, 0.9, 0.05):.2f} s")


if __name__ == "__main__":
    main()
