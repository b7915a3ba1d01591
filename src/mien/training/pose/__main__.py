"""Teach finished models their third head: `python -m mien.training.pose --data … --mesh … --out models/`.

Of several models, which one checkpoint was exported to, the first one's features are learned from. The figures are
those of PublicTest; a value that misses its bar there is never said by the models written.
"""

from __future__ import annotations

import argparse
import functools
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from mien.errors import InputError, MienError, ModelError
from mien.training import data as faces_data
from mien.training.bounded import EPOCHS, SEED
from mien.training.pose import bars, labels
from mien.training.pose.fit import answers, fit
from mien.training.pose.graft import carry, geometry, graft
from mien.training.pose.head import NAMES, WITHHELD
from mien.training.pose.trunk import Trunk


def teach(
    models: Sequence[str | Path],
    data: str | Path,
    mesh: str | Path,
    out: str | Path,
    *,
    epochs: int = 12,
    seed: int = 1,
    keep: str | Path | None = None,
) -> tuple[list[Path], list[bars.Bar]]:
    """Write each model with a third head, and return the files and the head's figures on PublicTest.

    Args:
        models: ONNX files that one checkpoint was exported to, or names of models that come with Mien.
        data: The data set.
        mesh: The mesh labels of its faces.
        out: The folder to write to.
        epochs: Passes over Training.
        seed: Of everything that is drawn by chance.
        keep: A file from which an interrupted run goes on.

    Raises:
        InputError: The data set or the labels cannot be used, the models do not see alike, or a file cannot be written.
        ModelError: A model cannot be read.
    """
    trunks = [Trunk(model) for model in models]
    faces = faces_data.load(data)
    known = labels.load(mesh, len(faces))
    training, public = faces.usage == "Training", faces.usage == "PublicTest"
    if not training.any() or not public.any():
        raise InputError(f"'{data}' holds no faces of Training or none of PublicTest: expected some of both")
    few = torch.from_numpy(faces.pixels[public][:64]).float()[:, None]
    seen = [trunk.features(few) for trunk in trunks]
    for model, features in zip(models, seen, strict=True):
        if features.shape != seen[0].shape or not torch.equal(features, seen[0]):
            raise InputError(f"'{model}' sees faces otherwise than '{models[0]}': give files of one checkpoint")
    head = fit(trunks[0], faces.pixels[training], known.take(training), epochs=epochs, seed=seed, keep=keep)

    def answer(pixels: np.ndarray) -> np.ndarray:
        return answers(trunks[0], head, pixels)

    figures = bars.measure(answer, faces.pixels[public], known.take(public))
    head.withhold({bar.about for bar in figures if not bar.held})
    shown = faces.pixels[public][:512]
    return [graft(trunk, head, shown, Path(out) / trunk.file.name) for trunk in trunks], figures


def carry_over(
    models: Sequence[str | Path], taught: str | Path, data: str | Path, mesh: str | Path, out: str | Path
) -> tuple[list[Path], list[bars.Bar]]:
    """Write each model with the third head of another one, and return the files and the head's figures on PublicTest.

    Args:
        models: ONNX files of a run whose first two stages were frozen.
        taught: The model with the head, or its name.
        data: The data set.
        mesh: The mesh labels of its faces.
        out: The folder to write to.

    Raises:
        InputError: The data set or the labels cannot be used, or a file cannot be written.
        ModelError: A model cannot be read, the models do not see alike, or a figure misses its bar that the head says.
    """
    faces = faces_data.load(data)
    known, public = labels.load(mesh, len(faces)), faces.usage == "PublicTest"
    if not public.any():
        raise InputError(f"'{data}' holds no faces of PublicTest: expected some")
    shown = faces.pixels[public][:512]
    written = [carry(model, taught, shown, Path(out) / Path(model).name) for model in models]
    figures = bars.measure(functools.partial(geometry, written[0]), faces.pixels[public], known.take(public))
    withheld = geometry(written[0], shown)[:, len(NAMES) :].min(0) >= WITHHELD
    if missed := {bar.about for bar in figures if not bar.held and not withheld[NAMES.index(bar.about)]}:
        raise ModelError(f"with the head of '{taught}', {', '.join(missed)} miss their bar: teach a head anew")
    return written, figures


def main() -> None:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(
        prog="python -m mien.training.pose", description="Teach finished models where a face looks."
    )
    parser.add_argument(
        "models", nargs="*", default=["fer2013", "ferplus"], metavar="MODEL", help="none: those that come with Mien"
    )
    parser.add_argument("--data", required=True, help="the data set")
    parser.add_argument("--mesh", required=True, help="the mesh labels of its faces, a .parquet")
    parser.add_argument("--out", required=True, help="the folder for the models")
    parser.add_argument("--epochs", type=EPOCHS, default=12, help="passes over Training [default: 12]")
    parser.add_argument("--seed", type=SEED, default=1, help="of all that is drawn by chance [default: 1]")
    parser.add_argument("--keep", help="a file from which an interrupted run goes on")
    parser.add_argument("--head-of", metavar="MODEL", help="take the head of this model, whose first stages they have")
    given = parser.parse_args()
    logging.basicConfig(format="%(asctime)s  %(message)s", datefmt="%H:%M:%S", level=logging.INFO)
    try:
        if given.head_of:
            written, figures = carry_over(given.models, given.head_of, given.data, given.mesh, given.out)
        else:
            written, figures = teach(
                given.models, given.data, given.mesh, given.out, epochs=given.epochs, seed=given.seed, keep=given.keep
            )
    except MienError as error:
        parser.error(str(error))
    lines = [*(bar.line() for bar in figures), *(f"wrote {path}" for path in written)]
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
