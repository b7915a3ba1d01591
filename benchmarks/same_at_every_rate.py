"""Whether a face reads the same whichever look found it: one clip at several frame rates, and still videos of photos.

    python benchmarks/same_at_every_rate.py

The demo is looked at 1, 5, 10 and 20 times a second, and its happiness is printed; and pictures of it, each shown for a
second as if on video with a little noise, are held against the photo.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from datetime import datetime

import numpy as np

from mien.media.base import Frame
from mien.media.demo import FPS, SECONDS, Demo
from mien.models.classifier import Classifier
from mien.observation import EMOTIONS
from mien.vision.detector import Detector
from mien.vision.pipeline import Pipeline, read_pictures

HAPPY = EMOTIONS.index("happy")


def readings(pipeline: Pipeline, frames: Iterator[Frame]) -> np.ndarray:
    """Return what the model says of each frame's face by itself, shape (n, 7)."""
    rows = []
    for frame in frames:
        pipeline.observe(frame)
        rows += [pipeline.raw[0]] if len(pipeline.raw) else []
    return np.stack(rows)


def main() -> None:
    """Print the figures."""
    argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0]).parse_args()
    detector, classifier, demo = Detector(), Classifier.load(), Demo()
    print(f"{datetime.now().astimezone():%Y-%m-%d}")
    for fps in (1, 5, 10, FPS):
        frames = (Frame(demo.image(n / fps), n, n / fps, None) for n in range(SECONDS * fps))
        rows = readings(Pipeline(detector, classifier, "clip", smoothing_s=0), frames)
        print(f"{fps} frames/s: happiness {100 * rows[:, HAPPY].mean():.2f}")
    dice, apart = np.random.default_rng(1), []
    for at in range(SECONDS):
        image = demo.image(at)
        (photo,) = read_pictures(detector, classifier, [image])[0][:1]
        shares = np.array([getattr(photo.probabilities, name) for name in EMOTIONS])
        noisy = (np.clip(image + dice.normal(0, 2, image.shape), 0, 255).astype(np.uint8) for _ in range(10))
        still = (Frame(picture, n, n / 10, None) for n, picture in enumerate(noisy))
        rows = readings(Pipeline(detector, classifier, "still", smoothing_s=0), still)
        apart.append(np.abs(rows.mean(0) - shares).max())
    print(f"still videos from their photos: {np.mean(apart):.3f} on average, {max(apart):.3f} at most")


if __name__ == "__main__":
    main()
