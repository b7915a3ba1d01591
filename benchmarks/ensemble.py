"""Whether teachers know what the shipped model does not: each alone, with it, and all together, on PublicTest.

    python benchmarks/ensemble.py runs/lite0-1/015.ckpt … --data fer2013.parquet [--model fer2013]

Teachers see a face and its mirror image; probabilities are averaged, each calibrated on PublicTest beforehand.
PrivateTest is never read.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path

import numpy as np

from mien.models.classifier import Classifier
from mien.observation import EMOTIONS
from mien.run.bench import machine
from mien.training import data
from mien.training.checkpoints import load_checkpoint
from mien.training.export import calibrate
from mien.training.model import predict


def answers(path: str, faces: data.Faces) -> np.ndarray:
    """Return a checkpoint's calibrated probabilities, shape (n, 7)."""
    net = load_checkpoint(path)[0]
    net.mirror = True
    logits = predict(net, faces.pixels)["fer2013"]
    scores = logits / calibrate(logits, np.eye(len(EMOTIONS))[faces.labels]).temperature
    shares = np.exp(scores - scores.max(1, keepdims=True))
    return np.asarray(shares / shares.sum(1, keepdims=True))


def row(name: str, shares: Sequence[np.ndarray], faces: data.Faces) -> str:
    labels, majority = faces.labels, faces.majority
    mean = np.mean(shares, 0)
    right = mean.argmax(1) == labels
    agreed = (mean.argmax(1) == majority)[majority >= 0].mean()
    loss = -np.log(mean[np.arange(len(labels)), labels].clip(1e-7)).mean()
    lowest = min(right[labels == emotion].mean() for emotion in range(len(EMOTIONS)))
    any_right = np.any([each.argmax(1) == labels for each in shares], 0)
    shown = (right.mean(), agreed, lowest, any_right.mean())
    return f"| {name} | {loss:.3f} | {' | '.join(f'{100 * share:.1f}' for share in shown)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("teachers", nargs="+", metavar="CHECKPOINT")
    parser.add_argument("--data", required=True)
    parser.add_argument("--model", default="fer2013", help="what they are compared with")
    given = parser.parse_args()
    faces = data.load(given.data, ("PublicTest",))
    shipped = Classifier.load(given.model)
    known = shipped.classify(faces.pixels)
    print(f"{datetime.now(timezone.utc).date()}, {machine()}; {len(faces)} faces of PublicTest\n")
    print(
        "| who | loss | right % | FER+ majority % | lowest recall % | one of them right % |\n|---|---|---|---|---|---|"
    )
    print(row(shipped.contract.name, [known], faces))
    taught = {f"{Path(path).parent.name}/{Path(path).name}": answers(path, faces) for path in given.teachers}
    for name, shares in taught.items():
        print(row(name, [shares], faces))
        print(row(f"{name} with {shipped.contract.name}", [shares, known], faces))
    if len(taught) > 1:
        print(row("all", [known, *taught.values()], faces))


if __name__ == "__main__":
    main()
