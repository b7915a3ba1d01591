r"""Teach finished models to name nothing of hidden faces: models and cut faces in, the same models with a gate out.

A face behind a mask, sunglasses or a hand, and a drawing, are told from faces as they are by the layers that the third
head reads too, by one weighted sum. As far as it speaks for a hidden face, the probabilities are drawn towards all
being as likely, so that none reaches the threshold; of all other faces they stay as they are to the last bit.

    python -m mien.training.hidden models/fer2013-int8.onnx models/ferplus-int8.onnx --data fer2013.parquet \
        --recut runs/recut.npy --covered runs/covered.npy --out taught/
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper
from torch.nn import functional

from mien.errors import InputError, MienError, ModelError
from mien.models.classifier import INPUT, OUTPUT, Contract
from mien.observation import EMOTIONS
from mien.training import data as faces_data
from mien.training.export import teach as teach_sets
from mien.training.pose.graft import TAUGHT as GEOMETRY_TAUGHT
from mien.training.pose.trunk import Trunk, tap_of
from mien.training.train import cut_faces

__all__ = ["TAUGHT", "Gate", "fit", "gated", "teach", "without_gate"]

TAUGHT = "; hidden faces: Training's own, covered by code"
PREFIX = "hidden/"
READ = f"{PREFIX}{OUTPUT}"
"""The name of the probabilities before the gate."""

FACES = 5000
"""So many hidden faces, and of each kind of others, are learned from at most."""
HELD_OUT = 0.25
"""The share of the people that choose where the gate begins, and say what it catches."""
RIDGE = 0.03
ALLOWED = 0.01
"""The share of faces as they are that the gate may touch."""
RAMP, MOST = 0.15, 0.9
"""From where it begins, the gate opens within so much of the score, and so far: the likeliest emotion stays so."""
BATCH = 64
TOLERANCE = 2e-3

Step = tuple[str, list[str], str, dict[str, Any]]
"""A node of the graph: its operator, what it takes, what it gives, and its settings."""


@dataclass(frozen=True)
class Gate:
    """A weighted sum over pooled features, and from where it speaks for a hidden face.

    Attributes:
        weights: Shape (m,), float32, half precision in size.
        bias: Added to the sum.
        begins: The sum from which probabilities are drawn towards each other.
    """

    weights: np.ndarray
    bias: float
    begins: float

    def shares(self, pooled: np.ndarray) -> np.ndarray:
        """Return how far the probabilities are drawn, 0 to MOST, shape (n,), for pooled features (n, m)."""
        return np.asarray(MOST * np.clip((pooled @ self.weights + self.bias - self.begins) / RAMP, 0, 1))


def pooled(trunk: Trunk, pixels: np.ndarray) -> np.ndarray:
    """Return the features of faces, each the mean over 2x2 cells and over both looks, shape (n, m), float32."""
    looks, parts = 2 if trunk.mirror else 1, []
    for start in range(0, len(pixels), BATCH):
        features = trunk.features(torch.from_numpy(pixels[start : start + BATCH]).float()[:, None])
        small = functional.avg_pool2d(features, 2).flatten(1)
        parts.append(small.reshape(looks, -1, small.shape[1]).mean(0).numpy())
    return np.concatenate(parts)


def fit(hidden: np.ndarray, shown: np.ndarray, others: Sequence[np.ndarray]) -> Gate:
    """Return the gate that tells hidden faces from others best, by least squares.

    Args:
        hidden: Pooled features of hidden faces, shape (n, m).
        shown: Of faces as they are, shape (k, m).
        others: Of further faces as they are, which it did not learn from; of each of these it may touch ALLOWED.
    """
    known = np.concatenate([hidden, shown])
    middle, spread = known.mean(0), known.std(0) + 1e-3
    scaled = torch.from_numpy((known - middle) / spread)
    # Both sides weigh the same, however many faces they have.
    weight = torch.from_numpy(np.repeat([0.5 / len(hidden), 0.5 / len(shown)], [len(hidden), len(shown)])).float()
    side = torch.from_numpy(np.repeat([1.0, -1.0], [len(hidden), len(shown)])).float()
    centre = (scaled * weight[:, None]).sum(0)
    weighted = (scaled - centre) * weight[:, None]
    matrix = weighted.T @ (scaled - centre) + RIDGE * torch.eye(scaled.shape[1])
    solved = torch.linalg.solve(matrix, weighted.T @ side).numpy()
    weights = (solved / spread).astype(np.float16).astype(np.float32)
    bias = -float(weights @ (middle + spread * centre.numpy()))
    begins = max(float(np.quantile(those @ weights + bias, 1 - ALLOWED)) for those in others)
    return Gate(weights, bias, begins)


def gated(model: Path, trunk: Trunk, gate: Gate, pixels: np.ndarray, out: Path) -> Path:
    """Write a model with a gate, in place of one that it has, and return the file's path.

    Args:
        model: The ONNX file.
        trunk: Its lower layers.
        gate: What was fitted on them.
        pixels: Faces to compare the answers on, shape (n, 48, 48), uint8.
        out: The file.

    Raises:
        ModelError: The file answers otherwise than it should.
        InputError: It cannot be written.
    """
    before = without_gate(onnx.load(model))
    network = onnx.ModelProto()
    network.CopyFrom(before)
    for node in network.graph.node:
        node.output[:] = [READ if name == OUTPUT else name for name in node.output]
    network.graph.initializer.extend(
        numpy_helper.from_array(np.asarray(values), PREFIX + name)
        for name, values in {
            "weights": gate.weights.astype(np.float16)[:, None],
            "bias": np.array([gate.bias - gate.begins], np.float32),
            "shape": np.array([2, -1, 1], np.int64),
            "ramp": np.array(RAMP, np.float32),
            "none": np.array(0, np.float32),
            "one": np.array(1, np.float32),
            "most": np.array(MOST, np.float32),
            "even": np.array(1 / len(EMOTIONS), np.float32),
        }.items()
    )
    both: list[Step] = [
        ("Reshape", ["sum", "shape"], "looks", {}),
        ("ReduceMean", ["looks"], "mean", {"axes": [0], "keepdims": 0}),
    ]
    steps: list[Step] = [
        ("AveragePool", [tap_of(before)], "pooled", {"kernel_shape": [2, 2], "strides": [2, 2]}),
        ("Flatten", ["pooled"], "flat", {"axis": 1}),
        ("Cast", ["weights"], "wide", {"to": TensorProto.FLOAT}),
        ("MatMul", ["flat", "wide"], "sum", {}),
        *(both if trunk.mirror else []),
        ("Add", ["mean" if trunk.mirror else "sum", "bias"], "score", {}),
        ("Div", ["score", "ramp"], "way", {}),
        ("Clip", ["way", "none", "one"], "part", {}),
        ("Mul", ["part", "most"], "share", {}),
        ("Sub", ["one", "share"], "rest", {}),
        ("Mul", [OUTPUT, "rest"], "kept", {}),
        ("Mul", ["share", "even"], "spread", {}),
        ("Add", ["kept", "spread"], "", {}),
    ]
    for number, (kind, inputs, output, settings) in enumerate(steps):
        names = [name if name == tap_of(before) else PREFIX + name for name in inputs]
        result = PREFIX + output if output else OUTPUT
        network.graph.node.append(helper.make_node(kind, names, [result], name=f"{PREFIX}{number}", **settings))
    contract = Contract.from_metadata({entry.key: entry.value for entry in network.metadata_props})
    first, geometry, rest = contract.trained_on.partition(GEOMETRY_TAUGHT)
    taught = first.partition(TAUGHT)[0] + TAUGHT + geometry + rest
    helper.set_model_props(network, dataclasses.replace(contract, trained_on=taught).to_metadata())
    onnx.checker.check_model(network, full_check=True)
    content: bytes = network.SerializeToString()
    _check(before.SerializeToString(), content, pixels, gate.shares(pooled(trunk, pixels)))
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_bytes(content)
    except OSError as error:
        raise InputError(f"cannot write to '{out}': {error.strerror}; give another folder with --out") from error
    return out


def without_gate(network: onnx.ModelProto) -> onnx.ModelProto:
    """Return a model without its gate, if it has one."""
    bare = onnx.ModelProto()
    bare.CopyFrom(network)
    for parts in (bare.graph.node, bare.graph.initializer):
        kept = [part for part in parts if not part.name.startswith(PREFIX)]
        del parts[:]
        parts.extend(kept)
    for node in bare.graph.node:
        node.output[:] = [OUTPUT if name == READ else name for name in node.output]
    return bare


def _check(before: bytes, after: bytes, pixels: np.ndarray, shares: np.ndarray) -> None:
    faces = pixels[:, None].astype(np.float32)
    was, now = (
        onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"]).run([OUTPUT], {INPUT: faces})[0]
        for content in (before, after)
    )
    shown = shares == 0
    expected = was * (1 - shares[:, None]) + shares[:, None] / len(EMOTIONS)
    if not np.array_equal(was.argmax(1), now.argmax(1)) or not np.abs(now - expected).max() <= TOLERANCE:
        raise ModelError("with its gate the model answers otherwise than it should: it was not written")
    same = (was[shown] == now[shown]).all(1)
    if len(same) and same.mean() < 1 - ALLOWED:
        raise ModelError("the gate changes faces that are not hidden: it was not written")


def teach(
    models: Sequence[str | Path], data: str | Path, recut: str | Path, covered: str | Path, out: str | Path
) -> tuple[list[Path], dict[str, float]]:
    """Write each model with a gate; return the files and which share of each kind of faces the gate touches.

    Args:
        models: ONNX files that one checkpoint was exported to, or names of models that come with Mien.
        data: The data set.
        recut: Training's faces as the pipeline cuts them, which `mien.run.recut` writes.
        covered: The same, hidden.
        out: The folder to write to.

    Raises:
        InputError: The data set or the cut faces cannot be used, the models do not see alike, or a file cannot be
            written.
        ModelError: A model cannot be read.
    """
    trunks = [Trunk(model) for model in models]
    faces = faces_data.load(data, ("Training", "PublicTest"))
    training, public = faces.split("Training").pixels, faces.split("PublicTest")
    cut, hidden = (cut_faces(str(path), len(training)) for path in (recut, covered))
    random = np.random.default_rng(1)
    apart = random.random(len(training)) < HELD_OUT
    has = hidden[:, 0].any((1, 2))
    if min((has & apart).sum(), (has & ~apart).sum(), (~has & apart).sum(), (~has & ~apart).sum(), len(public)) < 1:
        raise InputError(f"'{covered}' hides too few of the faces of '{data}', or all: expected a share such as 0.33")
    chosen = {
        "hidden": hidden[_some(has & ~apart, random), 0],
        "shown": training[_some(~has & ~apart, random)],
        "cut": cut[_some(~has & ~apart, random), 0],
        "hidden, other people": hidden[_some(has & apart, random), 0],
        "as the pipeline cuts them, other people": cut[_some(~has & apart, random), -1],
        "PublicTest": public.pixels,
    }
    few = torch.from_numpy(public.pixels[:64]).float()[:, None]
    for model, trunk in zip(models, trunks, strict=True):
        if not torch.equal(trunk.features(few), trunks[0].features(few)):
            raise InputError(f"'{model}' sees faces otherwise than '{models[0]}': give files of one checkpoint")
    seen = {name: pooled(trunks[0], pixels) for name, pixels in chosen.items()}
    others = [seen["as the pipeline cuts them, other people"], seen["PublicTest"]]
    gate = fit(seen["hidden"], np.concatenate([seen["shown"], seen["cut"]]), others)
    shown = np.concatenate([public.pixels[:512], chosen["hidden, other people"][:128]])
    written = [gated(trunk.file, trunk, gate, shown, Path(out) / trunk.file.name) for trunk in trunks]
    touched = {name: float((gate.shares(values) > 0).mean()) for name, values in seen.items()}
    return [teach_sets(path, public) for path in written], touched


def _some(mask: np.ndarray, random: np.random.Generator) -> np.ndarray:
    return np.sort(random.permutation(np.flatnonzero(mask))[:FACES])


def main() -> None:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(
        prog="python -m mien.training.hidden", description="Teach finished models to name nothing of hidden faces."
    )
    parser.add_argument(
        "models", nargs="*", default=["fer2013", "ferplus"], metavar="MODEL", help="none: those that come with Mien"
    )
    parser.add_argument("--data", required=True, help="the data set")
    parser.add_argument("--recut", required=True, help="Training's faces as the pipeline cuts them, a .npy")
    parser.add_argument("--covered", required=True, help="the same, hidden, a .npy")
    parser.add_argument("--out", required=True, help="the folder for the models")
    given = parser.parse_args()
    try:
        written, touched = teach(given.models, given.data, given.recut, given.covered, given.out)
    except MienError as error:
        parser.error(str(error))
    lines = [*(f"{name:<42} {share:6.1%} touched" for name, share in touched.items())]
    sys.stdout.write("\n".join([*lines, *(f"wrote {path}" for path in written)]) + "\n")


if __name__ == "__main__":
    main()
