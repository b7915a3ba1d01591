"""Which emotions are plausible: a model's answers to PublicTest go in, the least probability of each emotion comes out.

    python -m mien.training.conformal models/fer2013.onnx models/ferplus.onnx --data fer2013.parquet

These are conformal sets by class, as in Sadinle, Lei and Wasserman 2019 ("Least ambiguous set-valued classifiers with
bounded error levels", arXiv:1609.00451): an emotion is plausible from the probability on that all but a tenth of the
faces of this emotion get, so each emotion is among the plausible ones in nine tenths of its faces, rare ones too. The
thresholds go into the model's contract; the network stays as it is, to the last bit.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from mien.errors import InputError, MienError
from mien.models.classifier import Classifier
from mien.observation import EMOTIONS
from mien.training import data as faces_data
from mien.training import figures
from mien.training.data import Faces

__all__ = ["LEVELS", "coverage", "fit", "teach"]

LEVELS = (0.8, 0.9, 0.95)
DIGITS = 5


def fit(
    probabilities: np.ndarray, labels: np.ndarray, levels: Sequence[float] = LEVELS
) -> tuple[tuple[float, tuple[float, ...]], ...]:
    """Return from which probability on each emotion is plausible, at each level.

    Args:
        probabilities: Shape (n, 7).
        labels: What the faces show, in EMOTIONS order, shape (n,).
        levels: In what share of its faces each emotion is to be plausible.

    Returns:
        Pairs of a level and seven probabilities: 0, so that it always is, where there are too few faces of an emotion.
    """
    table = []
    for level in levels:
        least = []
        for emotion in range(len(EMOTIONS)):
            shares = np.sort(probabilities[labels == emotion, emotion])
            rank = math.floor((1 - level) * (len(shares) + 1) + 1e-9)
            least.append(math.floor(float(shares[rank - 1]) * 10**DIGITS) / 10**DIGITS if rank else 0.0)
        table.append((level, tuple(least)))
    return tuple(table)


def coverage(model: Classifier, probabilities: np.ndarray, labels: np.ndarray) -> list[dict[str, Any]]:
    """Return how often what a face shows is among the plausible emotions, and how many those are, at each level.

    Args:
        model: It answered so.
        probabilities: Shape (n, 7).
        labels: What the faces show, shape (n,).
    """
    rows = []
    for level, _ in model.contract.plausible:
        sets = model.plausible(probabilities, level)
        inside = sets[np.arange(len(labels)), labels]
        rows.append(
            {
                "level": level,
                "covered": figures.accuracy(inside),
                "mean_size": float(sets.sum(1).mean()),
                "classes": {name: figures.accuracy(inside[labels == n]) for n, name in enumerate(EMOTIONS)},
            }
        )
    return rows


def teach(model: Path, public: Faces) -> Path:
    """Write the thresholds into a model file's contract, and return its path.

    Args:
        model: An ONNX file with a contract; one whose name begins with `ferplus` is held against the FER+ majority.
        public: Faces of PublicTest.

    Raises:
        InputError: There is no face to fit them on, or the file cannot be written.
        ModelError: It cannot be read.
    """
    classifier = Classifier.load(model)
    truth = public.majority if model.name.startswith("ferplus") else public.labels
    if not (truth >= 0).any():
        raise InputError(f"no face of PublicTest says what '{model}' should answer: the sets of its contract need some")
    table = fit(classifier.classify(public.pixels[truth >= 0]), truth[truth >= 0])
    network = onnx.load(model)
    onnx.helper.set_model_props(network, dataclasses.replace(classifier.contract, plausible=table).to_metadata())
    try:
        model.write_bytes(network.SerializeToString())
    except OSError as error:
        raise InputError(f"cannot write '{model}': {error.strerror}") from error
    return model


def main() -> None:
    """Teach the models that are named."""
    parser = argparse.ArgumentParser(
        prog="python -m mien.training.conformal",
        description="Write into models from which probability on each emotion is plausible, fitted on PublicTest.",
    )
    parser.add_argument("models", nargs="+", type=Path, metavar="MODEL", help="ONNX files, which are changed")
    parser.add_argument("--data", required=True, type=Path, help="FER-2013")
    given = parser.parse_args()
    try:
        public = faces_data.load(given.data, ("PublicTest",))
        for model in given.models:
            print(f"{teach(model, public)}: {Classifier.load(model).model_id}")  # noqa: T201 - it is a command
    except MienError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
