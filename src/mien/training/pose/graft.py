"""Write a third head into the file of the model whose layers it reads: a model and a head in, an ONNX file out.

The rest of the graph stays as it is, so that the emotions do too; that is checked before the file is written.
"""

from __future__ import annotations

import copy
import dataclasses
import tempfile
import warnings
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import numpy_helper
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from mien.errors import InputError, ModelError
from mien.models.classifier import GEOMETRY, INPUT, OUTPUT, Classifier, Contract
from mien.training.export import answered
from mien.training.pose.fit import answers
from mien.training.pose.head import UNITS, GeometryHead
from mien.training.pose.trunk import Trunk, tap_of

__all__ = ["TAUGHT", "carry", "geometry", "graft"]

TAUGHT = "; pose and openness: what MediaPipe's face mesh saw in FER-2013 Training"
PREFIX = "geometry/"
TAUGHT_HERE = (0.05, 1.0)
"""How far the file's answers may be from torch's, in degrees and hundredths, and in which share of them."""
CARRIED = (2.0, 0.99)
"""The same, from those of the model that the head was taught on, whose eight bits round otherwise."""
HALVED_FROM = 256  # smaller tensors stay in single precision: they save nothing


def graft(trunk: Trunk, head: GeometryHead, pixels: np.ndarray, out: str | Path) -> Path:
    """Write the model of a trunk with a head, and return the file's path.

    Args:
        trunk: The model; a head that it has already is replaced.
        head: What was taught on its features.
        pixels: Faces to compare the answers on, shape (n, 48, 48), uint8.
        out: The file.

    Raises:
        ModelError: The file answers otherwise than torch or the model did.
        InputError: The file cannot be written.
    """
    before = without_head(onnx.load(trunk.file))
    head = _halved(head)
    network = onnx.ModelProto()
    network.CopyFrom(before)
    _append(network, _exported(head, trunk), tap_of(network))
    return _write(before, network, pixels, answers(trunk, head, pixels), TAUGHT_HERE, out)


def carry(model: str | Path, taught: str | Path, pixels: np.ndarray, out: str | Path) -> Path:
    """Write a model with the third head of another one whose lower layers it has, and return the file's path.

    Args:
        model: An ONNX file that `mien export` wrote, of a run whose first two stages were `frozen`.
        taught: The model that the run began with, or the name of one that comes with Mien.
        pixels: Faces to compare the answers on, shape (n, 48, 48), uint8.
        out: The file.

    Raises:
        ModelError: The other model has no third head, or the models do not see alike.
        InputError: The file cannot be written.
    """
    known = Classifier.load(taught)
    if not known.sees_geometry:
        raise ModelError(f"'{taught}' has no third head that '{model}' could take over")
    given = onnx.load(known.file)
    before = without_head(onnx.load(Classifier.load(model).file))
    network = onnx.ModelProto()
    network.CopyFrom(before)
    taps = {tap_of(without_head(given)): tap_of(before)}
    network.graph.initializer.extend(part for part in given.graph.initializer if part.name.startswith(PREFIX))
    for node in given.graph.node:
        if node.name.startswith(PREFIX):
            copied = network.graph.node.add()
            copied.CopyFrom(node)
            copied.input[:] = [taps.get(name, name) for name in node.input]
    network.graph.output.extend(output for output in given.graph.output if output.name == GEOMETRY)
    return _write(before, network, pixels, geometry(known.file, pixels), CARRIED, out)


def geometry(model: Path, pixels: np.ndarray) -> np.ndarray:
    """Return all that the third head of a model file says of faces, shape (n, 10), also where it is unsure.

    Args:
        model: An ONNX file.
        pixels: Shape (n, 48, 48), uint8.
    """
    return answered(str(model), GEOMETRY, pixels)


def _write(
    before: onnx.ModelProto,
    network: onnx.ModelProto,
    pixels: np.ndarray,
    expected: np.ndarray,
    allowed: tuple[float, float],
    out: str | Path,
) -> Path:
    """Write a model that has got a head, if it answers as it should."""
    contract = Contract.from_metadata({entry.key: entry.value for entry in network.metadata_props})
    taught = contract.trained_on.partition(TAUGHT)[0] + TAUGHT
    onnx.helper.set_model_props(network, dataclasses.replace(contract, trained_on=taught).to_metadata())
    onnx.checker.check_model(network, full_check=True)
    content: bytes = network.SerializeToString()
    _check(before.SerializeToString(), content, pixels, expected, *allowed)
    try:
        Path(out).parent.mkdir(parents=True, exist_ok=True)
        Path(out).write_bytes(content)
    except OSError as error:
        raise InputError(f"cannot write '{out}': {error.strerror}; give another file with --out") from error
    return Path(out)


def without_head(network: onnx.ModelProto) -> onnx.ModelProto:
    """Return a model without its third head, if it has one."""
    bare = onnx.ModelProto()
    bare.CopyFrom(network)
    for parts in (bare.graph.node, bare.graph.initializer, bare.graph.output):
        kept = [part for part in parts if not part.name.startswith(PREFIX) and part.name != GEOMETRY]
        del parts[:]
        parts.extend(kept)
    return bare


def _halved(head: GeometryHead) -> GeometryHead:
    """Return a copy with its norms folded in and its large weights rounded to half precision, as they are stored."""
    folded = copy.deepcopy(head).eval()
    for number in ("1", "2"):
        conv, norm = getattr(folded, f"conv{number}"), getattr(folded, f"norm{number}")
        setattr(folded, f"conv{number}", fuse_conv_bn_eval(conv, norm))
        setattr(folded, f"norm{number}", nn.Identity())
    with torch.no_grad():
        for weight in folded.parameters():
            if weight.numel() >= HALVED_FROM:
                weight.copy_(weight.half().float())
    return folded


def _exported(head: GeometryHead, trunk: Trunk) -> onnx.ModelProto:
    """Return torch's ONNX file of the head."""
    looks = 2 if trunk.mirror else 1
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        file = Path(folder) / "head.onnx"
        torch.onnx.export(
            head,
            (torch.zeros(2 * looks, *trunk.shape),),
            file,
            dynamo=False,
            input_names=["features"],
            output_names=[GEOMETRY],
            dynamic_axes={"features": {0: "looks"}, GEOMETRY: {0: "n"}},
            opset_version=17,
        )
        return onnx.load(file)


def _append(network: onnx.ModelProto, head: onnx.ModelProto, tap: str) -> None:
    """Add a head's nodes to a network, under names of their own."""
    names = {"features": tap, GEOMETRY: GEOMETRY, "": ""}

    def own(name: str) -> str:
        return names.get(name, PREFIX + name)

    for tensor in head.graph.initializer:
        values = numpy_helper.to_array(tensor)
        name = own(tensor.name)
        if values.dtype == np.float32 and values.size >= HALVED_FROM:
            network.graph.initializer.append(numpy_helper.from_array(values.astype(np.float16), f"{name}.half"))
            network.graph.node.append(
                onnx.helper.make_node("Cast", [f"{name}.half"], [name], name=f"{name}.cast", to=onnx.TensorProto.FLOAT)
            )
        else:
            network.graph.initializer.append(numpy_helper.from_array(values, name))
    for node in head.graph.node:
        copied = network.graph.node.add()
        copied.CopyFrom(node)
        copied.name = PREFIX + node.name
        copied.input[:] = [own(name) for name in node.input]
        copied.output[:] = [own(name) for name in node.output]
    shape: list[str | int | None] = ["n", 2 * len(UNITS)]
    network.graph.output.append(onnx.helper.make_tensor_value_info(GEOMETRY, onnx.TensorProto.FLOAT, shape))


def _check(
    before: bytes, after: bytes, pixels: np.ndarray, expected: np.ndarray, tolerance: float, share: float
) -> None:
    faces = pixels[:, None].astype(np.float32)
    was, now = (
        onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"]) for content in (before, after)
    )
    if not np.array_equal(was.run([OUTPUT], {INPUT: faces})[0], now.run([OUTPUT], {INPUT: faces})[0]):
        raise ModelError("with its third head the model names other emotions than without: it was not written")
    apart = np.abs(now.run([GEOMETRY], {INPUT: faces})[0] - expected)
    apart[:, 3:5] *= 100
    largest = float(np.quantile(apart, share))
    if not largest <= tolerance:
        raise ModelError(
            f"the head's answers differ by up to {largest:.2g} from what they should be (at most {tolerance:g} is "
            "allowed): it was not written"
        )
