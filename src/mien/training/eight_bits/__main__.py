r"""Train a finished run on in eight bits, and export it.

    python -m mien.training.eight_bits runs/a.ckpt runs/b.ckpt --data fer2013.parquet --recut runs/recut.npy \
        --out models/

begins with the mean of the checkpoints' weights and learns the mean of their answers, or that of `--teachers`.
"""

from __future__ import annotations

import argparse
import dataclasses
import logging
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mien.errors import InputError, MienError
from mien.training import data as faces_data
from mien.training.bounded import EPOCHS, SEED, number
from mien.training.checkpoints import load_checkpoint, load_mean
from mien.training.eight_bits.quantise import Variant, quantise
from mien.training.eight_bits.settle import RATE, answers, settle
from mien.training.export import BEGUN, even, named, write
from mien.training.model import EmotionNet, fold
from mien.training.train import cut_faces, precision_for


def train(
    checkpoints: Sequence[str | Path],
    data: str | Path,
    out: str | Path,
    *,
    name: str | None = None,
    teachers: Sequence[str | Path] = (),
    recut: str | Path | None = None,
    epochs: int = 4,
    rate: float = RATE,
    ema_decay: float = 0.0,
    evens: bool = False,
    seed: int = 1,
    keep: str | Path | None = None,
) -> list[Variant]:
    """Write the models of a mean of checkpoints that is trained on in eight bits; return the variants of eight bits.

    Args:
        checkpoints: What `mien train` wrote, of networks of one make; one that is named twice counts twice.
        data: The data set.
        out: The folder to write to.
        name: The model's name; None: the first run's.
        teachers: Checkpoints whose mean answer is learned, of any make, where one that is named twice counts twice
            too; none: `checkpoints`.
        recut: Training's faces as the pipeline cuts them, which `mien.run.recut` writes; None: none.
        epochs: Passes over Training.
        rate: The height of the learning rate.
        ema_decay: Of the weights averaged over the steps, which are the ones kept; 0: the last ones are.
        evens: Whether at the end each head's biases are shifted, so that over PublicTest it answers each emotion as
            often as people named it in Training.
        seed: Of everything that is drawn by chance.
        keep: A file from which an interrupted run goes on.

    Raises:
        InputError: A checkpoint, the data set or the cut faces cannot be used, or the folder cannot be written.
        ModelError: A file answers otherwise than torch does.
        NotKeptError: A variant loses too much or is no faster.
    """
    net, config = load_mean(checkpoints)
    if not isinstance(net, EmotionNet):
        raise InputError(
            f"cannot train '{checkpoints[0]}' on in eight bits: its network is a teacher, give one of Mien's"
        )
    faces = faces_data.load(data, ("Training", "PublicTest"))
    training = faces.split("Training")
    crops = None if recut is None else cut_faces(str(recut), len(training))
    counts = Counter(map(str, teachers or checkpoints))
    taught = [load_checkpoint(path) for path in counts]
    wanted = answers([network for network, _ in taught], training.pixels, list(counts.values()))
    begun = [network for _, run in taught for network in (run.network, *run.teachers) if network in BEGUN]
    behind = dict.fromkeys([*config.teachers, *map(str, teachers), *begun])
    config = dataclasses.replace(config, teachers=tuple(behind))
    if not min(run.ferplus_weight for run in (config, *(run for _, run in taught))):
        del wanted["ferplus"]
    half = precision_for("auto", "cpu") == "bf16-mixed"
    settled = settle(
        fold(net), training.pixels, wanted, recut=crops, epochs=epochs, rate=rate, ema_decay=ema_decay, seed=seed,
        keep=keep, half=half,
    )  # fmt: skip
    public = faces.split("PublicTest")
    if evens:
        of_public, of_training = named(public), named(training)
        for head in wanted:
            if of_public[head].any():
                even(settled, head, public.pixels, of_public[head], _shares(of_training[head]))
    written = write(settled, config, public, out, name=name)
    return [quantise(path, data) for path in written]


def _shares(named: np.ndarray) -> np.ndarray:
    """Return how often each emotion is named, shape (7,), for votes or one-hot labels, shape (n, 7)."""
    known = named[named.sum(1) > 0]
    shares: np.ndarray = (known / known.sum(1, keepdims=True)).mean(0)
    return shares


def main() -> None:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(
        prog="python -m mien.training.eight_bits", description="Train a finished run on in eight bits, and export it."
    )
    parser.add_argument("checkpoints", nargs="+", metavar="CHECKPOINT", help="a .ckpt; of several of one make the mean")
    parser.add_argument("--data", required=True, help="the data set")
    parser.add_argument(
        "--teachers", nargs="+", default=(), metavar="CHECKPOINT", help="whose mean answer is learned; theirs"
    )
    parser.add_argument("--recut", help="Training's faces as the pipeline cuts them, a .npy")
    parser.add_argument("--out", required=True, help="the folder for the models")
    parser.add_argument("--name", help="what observations call the model; the run's own name")
    parser.add_argument("--epochs", type=EPOCHS, default=4, help="passes over Training [default: 4]")
    parser.add_argument(
        "--rate", type=number(1e-9, 1), default=RATE, help=f"height of the learning rate [default: {RATE:g}]"
    )
    parser.add_argument(
        "--ema-decay",
        type=number(0, 0.99999),
        default=0.0,
        help="of the weights averaged over the steps; 0: the last [default: 0]",
    )
    parser.add_argument(
        "--even",
        action="store_true",
        help="shift biases, so that emotions are answered as often as people named them",
    )
    parser.add_argument("--seed", type=SEED, default=1, help="of all that is drawn by chance [default: 1]")
    parser.add_argument("--keep", help="a file from which an interrupted run goes on")
    given = parser.parse_args()
    logging.basicConfig(format="%(asctime)s  %(message)s", datefmt="%H:%M:%S", level=logging.INFO)
    try:
        variants = train(
            given.checkpoints, given.data, given.out, name=given.name, teachers=given.teachers,
            recut=given.recut, epochs=given.epochs, rate=given.rate, ema_decay=given.ema_decay,
            evens=given.even, seed=given.seed, keep=given.keep,
        )  # fmt: skip
    except MienError as error:
        parser.error(str(error))
    for variant in variants:
        sys.stdout.write(f"{variant.path}: {-100 * variant.loss:+.2f} points on PublicTest by its eight bits\n")


if __name__ == "__main__":
    main()
