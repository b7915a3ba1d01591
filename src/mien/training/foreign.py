"""Models of others: any ONNX network that scores faces by emotion, made to answer as Mien's own do."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnxruntime

from mien.errors import InputError, ModelError
from mien.observation import EMOTIONS

__all__ = ["RANGES", "ForeignModel"]

RANGES = {"0-255": (255.0, 0.0), "0-1": (1.0, 0.0), "-1-1": (2.0, -1.0)}
SYNONYMS = {
    "anger": "angry",
    "disgusted": "disgust",
    "fearful": "fear",
    "afraid": "fear",
    "happiness": "happy",
    "sadness": "sad",
    "surprised": "surprise",
}
TYPES = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
    "tensor(uint8)": np.uint8,
}
BATCH = 64


class ForeignModel:
    """An ONNX network without Mien's contract.

    Args:
        path: The file: one input of shape (n, 1 or 3, h, w) or (n, h, w, 1 or 3), one output of scores or
            probabilities per class.
        labels: What its outputs mean, in their order; those that are none of the seven emotions are left out.
            None: the seven in EMOTIONS order.
        input_range: What its pixels are: `0-255`, `0-1` or `-1-1`.
        mean: What is then taken off them, for all channels or for each; they are divided by `std` afterwards.
        std: Likewise.

    Raises:
        ModelError: The file cannot be run, or has another form.
        InputError: The labels do not fit the output, the range is unknown, or mean and std do not fit the input.
    """

    def __init__(
        self,
        path: str | Path,
        labels: Sequence[str] | None = None,
        input_range: str = "0-255",
        mean: Sequence[float] = (0.0,),
        std: Sequence[float] = (1.0,),
    ) -> None:
        try:
            content = Path(path).read_bytes()
        except OSError as error:
            raise ModelError(f"cannot read model '{path}': {error.strerror}") from error
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads, options.log_severity_level = 1, 1, 4
        try:
            self._session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        except Exception as error:
            raise ModelError(f"cannot read model '{path}': it is no ONNX model that can be run here") from error
        if input_range not in RANGES:
            raise InputError(f"unknown input range '{input_range}': expected one of {', '.join(RANGES)}")
        self.model_id = f"{Path(path).stem}@{hashlib.sha256(content).hexdigest()[:8]}"
        self._scale, self._offset = RANGES[input_range]
        self._input, self._last, self._channels, self._size = self._layout(path)
        self._mean = self._of_each_channel("mean", mean, path)
        self._std = self._of_each_channel("std", std, path)
        if not self._std.all():
            raise InputError(f"the std of '{path}' has a 0: the pixels cannot be divided by it")
        self._batch = BATCH if not isinstance(self._input.shape[0], int) else self._input.shape[0]
        known = [SYNONYMS.get(label.lower(), label.lower()) for label in labels or EMOTIONS]
        if missing := [emotion for emotion in EMOTIONS if known.count(emotion) != 1]:
            raise InputError(f"the labels of '{path}' must name each emotion once; look at {', '.join(missing)}")
        self._columns = [known.index(emotion) for emotion in EMOTIONS]
        self._outputs = len(known)

    def _layout(self, path: str | Path) -> tuple[Any, bool, int, tuple[int, int]]:
        """Return the input, whether its channels stand last, how many there are, and its (height, width)."""
        given = self._session.get_inputs()[0]
        shape = given.shape
        if given.type not in TYPES:
            raise ModelError(f"cannot use model '{path}': its input is {given.type}, expected {' or '.join(TYPES)}")
        if len(self._session.get_inputs()) == 1 and len(shape) == 4 and _positive(shape[0], open_ended=True):
            if shape[1] in (1, 3) and _positive(shape[2]) and _positive(shape[3]):
                return given, False, shape[1], (shape[2], shape[3])
            if shape[3] in (1, 3) and _positive(shape[1]) and _positive(shape[2]):
                return given, True, shape[3], (shape[1], shape[2])
        raise ModelError(
            f"cannot use model '{path}': its input has shape {shape}, expected (n, 1 or 3, h, w) or (n, h, w, 1 or 3)"
        )

    def _of_each_channel(self, name: str, values: Sequence[float], path: str | Path) -> np.ndarray:
        numbers = np.array(values, np.float32)
        if numbers.shape not in ((1,), (self._channels,)) or not np.isfinite(numbers).all():
            raise InputError(
                f"the {name} of '{path}' is {', '.join(map(str, values))}: expected one number, or one for each of its "
                f"channels ({self._channels})"
            )
        return numbers

    def classify(self, crops: np.ndarray) -> np.ndarray:
        """Return one probability per emotion, shape (n, 7), for grey face crops, shape (n, h, w), uint8.

        Raises:
            ModelError: The model cannot be run, or its outputs do not fit the labels.
        """
        answers = [self._run(crops[start : start + self._batch]) for start in range(0, len(crops), self._batch)]
        return np.concatenate(answers) if answers else np.zeros((0, len(EMOTIONS)), np.float32)

    def _run(self, crops: np.ndarray) -> np.ndarray:
        height, width = self._size
        faces = np.stack([cv2.resize(crop, (width, height), interpolation=cv2.INTER_LINEAR) for crop in crops])
        filling = self._batch - len(faces) if isinstance(self._input.shape[0], int) else 0
        faces = np.concatenate([faces, np.repeat(faces[-1:], filling, 0)])
        grey = faces.astype(np.float32) / 255 * self._scale + self._offset
        pixels = (np.repeat(grey[..., None], self._channels, -1) - self._mean) / self._std
        pixels = pixels if self._last else np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))
        kind = TYPES[self._input.type]
        given = np.rint(pixels).astype(kind) if kind is np.uint8 else pixels.astype(kind)
        try:
            scores = np.asarray(self._session.run(None, {self._input.name: given})[0], np.float32)
        except Exception as error:
            raise ModelError(f"model {self.model_id} cannot be run: {str(error).strip().splitlines()[0]}") from error
        scores = scores.reshape(len(pixels), -1)[: len(crops)]
        if scores.shape[1] != self._outputs:
            raise ModelError(
                f"model {self.model_id} gives {scores.shape[1]} scores a face for {self._outputs} labels: name what "
                "they mean with --labels"
            )
        if not np.isfinite(scores).all():
            raise ModelError(
                f"model {self.model_id} gives scores that are no finite numbers: are its pixels the --input-range, "
                "--mean and --std that it was trained with?"
            )
        if (scores < 0).any() or not np.allclose(scores.sum(1), 1, atol=1e-2):
            scores = np.exp(scores - scores.max(1, keepdims=True))
        seven = scores[:, self._columns]
        chosen: np.ndarray = seven / np.maximum(seven.sum(1, keepdims=True), 1e-12)
        return chosen


def _positive(side: object, *, open_ended: bool = False) -> bool:
    """Return whether a dimension of an input is a size, or, where it may be open-ended, none in particular."""
    return side > 0 if isinstance(side, int) else open_ended
