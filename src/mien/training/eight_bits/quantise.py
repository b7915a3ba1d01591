"""Eight bits: an exported model in, a variant of it out that computes with whole numbers and is a quarter of the size.

Static quantisation by onnxruntime: the ranges of the activations are those that faces of Training give. The variant is
kept only if it loses little on PublicTest and is faster on one thread of this machine.
"""

from __future__ import annotations

import dataclasses
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnxruntime import quantization

from mien.errors import InputError, ModelError
from mien.models.classifier import INPUT, Classifier
from mien.training import data as faces_data
from mien.training.export import teach

__all__ = ["ALLOWED", "NotKeptError", "Variant", "quantise"]

ALLOWED = 0.003
"""The largest loss of accuracy on PublicTest, as a share."""

FACES = 512
"""So many faces of Training give the ranges of the activations."""

KINDS = ["Conv", "Add", "Mul", "Relu", "AveragePool", "GlobalAveragePool"]
"""The operators that are quantised; the few others cost next to nothing."""


class NotKeptError(ModelError):
    """A variant that is not worth having."""


@dataclass(frozen=True)
class Variant:
    """What was written.

    Attributes:
        path: The file.
        loss: How much less of PublicTest it gets right, as a share; negative: it gets more right.
        speedup: How many times as fast it is, for one face on one thread.
    """

    path: Path
    loss: float
    speedup: float


def quantise(model: Path, data: str | Path, *, held_out: float | None = None, skip_bad: bool = False) -> Variant:
    """Write a model's int8 variant beside it, as `<name>-int8.onnx`.

    Args:
        model: What `export` wrote: `ferplus.onnx` is judged by the FER+ majority, any other by FER-2013's labels.
        data: The data set.
        held_out: The share of faces that is PublicTest, for data that does not tell what each is for.
        skip_bad: Leave out rows of the data that cannot be used.

    Raises:
        InputError: The data set cannot be used.
        NotKeptError: The variant loses too much or is no faster; nothing is then written.
        ModelError: The model cannot be read.
    """
    whole = Classifier.load(model)
    faces = faces_data.load(data, ("Training", "PublicTest"), skip_bad=skip_bad, split=held_out)
    training, public = faces.split("Training"), faces.split("PublicTest")
    chosen = np.random.default_rng(0).permutation(len(training))[:FACES]
    path = model.with_name(f"{model.stem}-int8.onnx")
    part = path.with_suffix(".part")
    asked = public.majority if model.stem == "ferplus" else public.labels
    if not len(training) or not (asked >= 0).any():
        raise InputError(
            f"'{data}' cannot serve for eight bits: expected faces of Training, for the ranges, and of PublicTest, to "
            f"judge the loss by, found {len(training)} and {(asked >= 0).sum()}"
        )
    try:
        part.write_bytes(_quantised(model, training.pixels[chosen], whole))
        teach(part, public)
        variant = Classifier.load(part)
        answers = [one.classify(public.pixels).argmax(1)[asked >= 0] for one in (whole, variant)]
        loss = float(np.subtract(*((answer == asked[asked >= 0]).mean() for answer in answers)))
        speedup = _milliseconds(whole, public.pixels[:1]) / _milliseconds(variant, public.pixels[:1])
        if loss >= ALLOWED or speedup <= 1:
            raise NotKeptError(
                f"the int8 variant of '{model}' gets {100 * loss:.2f} points less of PublicTest right (under "
                f"{100 * ALLOWED:g} is allowed) and is {speedup:.1f} times as fast: it was not kept"
            )
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return Variant(path, loss, speedup)


def _quantised(model: Path, pixels: np.ndarray, whole: Classifier) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        folded, quantised = Path(folder) / "folded.onnx", Path(folder) / "quantised.onnx"
        quantization.quant_pre_process(model, folded, skip_symbolic_shape=True)  # all shapes are known but the batch's
        quantization.quantize_static(
            folded,
            quantised,
            _Reader(pixels),
            op_types_to_quantize=KINDS,
            per_channel=True,
            reduce_range=True,  # processors without VNNI would overflow at eight bits
            weight_type=quantization.QuantType.QInt8,
            activation_type=quantization.QuantType.QUInt8,
        )
        network = onnx.load(quantised)
    contract = dataclasses.replace(whole.contract, name=f"{whole.contract.name}-int8")
    onnx.helper.set_model_props(network, contract.to_metadata())
    content: bytes = network.SerializeToString()
    return content


class _Reader(quantization.CalibrationDataReader):  # type: ignore[misc]
    """Hands the faces to onnxruntime, some at a time."""

    def __init__(self, pixels: np.ndarray, batch: int = 32) -> None:
        self._batches: Iterator[np.ndarray] = (pixels[at : at + batch] for at in range(0, len(pixels), batch))

    def get_next(self) -> dict[str, np.ndarray] | None:
        """Return the next faces, or None after the last."""
        batch = next(self._batches, None)
        return None if batch is None else {INPUT: batch[:, None].astype(np.float32)}


def _milliseconds(model: Classifier, pixels: np.ndarray) -> float:
    """Return the time of this thread alone for one call, so that what else the machine does counts little."""
    took = []
    for _ in range(50):
        began = time.thread_time()
        model.classify(pixels)
        took.append(time.thread_time() - began)
    return 1000 * min(took)
