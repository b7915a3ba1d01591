"""What the whole pipeline costs: labelled faces go in, set into frames, found, cut out and read; shares come out.

Each face is enlarged and set into a frame, once on a grey ground and once with its edges repeated around it, and goes
through detector and crop as a photo's faces do. It is measured how many are not found, and of those that are, how many
are read rightly, beside how many the model reads rightly as they stand in the data set.
"""

from __future__ import annotations

from typing import Any, Protocol

import cv2
import numpy as np

from mien.media.base import Image
from mien.training import figures
from mien.training.data import Faces as Labelled
from mien.vision.detector import Detector, Faces, crop
from mien.vision.schedule import PhotoDetector

__all__ = ["GROUNDS", "framed", "measure"]

ENLARGED = 160
"""The side of the face in pixels; the frame around it has twice that."""

GROUNDS = ("grey", "repeated edges")
GREY = 128


class Reader(Protocol):
    """A model of emotions."""

    def classify(self, crops: Any) -> Any:
        """Return probabilities, shape (n, 7), for grey face crops, shape (n, h, w), uint8."""


def measure(model: Reader, faces: Labelled) -> list[dict[str, Any]]:
    """Return what comes of the faces on each ground.

    Args:
        model: Reads emotions.
        faces: With the labels that count as right.

    Returns:
        For each of GROUNDS: the share that was `missed`, and over the others the accuracy as `raw` crops and `through`
        the pipeline, with the `difference` of the two; intervals of 95 %.
    """
    detector = PhotoDetector(Detector())
    right = np.asarray(model.classify(faces.pixels)).argmax(1) == faces.labels
    rows = []
    for ground in GROUNDS:
        crops, seen = [], np.zeros(len(faces), bool)
        for number, pixels in enumerate(faces.pixels):
            frame = framed(pixels, ground)
            found = detector.detect(frame)
            if len(found):
                face = slice(nearest(found, frame), nearest(found, frame) + 1)
                crops.append(crop(frame, found.boxes[face], found.landmarks[face])[0])
                seen[number] = True
        read = np.asarray(model.classify(np.stack(crops))).argmax(1) if crops else np.empty(0, np.int64)
        hits = read == faces.labels[seen]
        rows.append(
            {
                "ground": ground,
                "missed": figures.accuracy(~seen),
                "raw": figures.accuracy(right[seen]),
                "through": figures.accuracy(hits),
                "difference": figures.compare(hits, right[seen]) if crops else None,
            }
        )
    return rows


def framed(face: Any, ground: str, side: int = ENLARGED) -> Image:
    """Return a BGR frame of twice a side that holds a face, shape (48, 48), uint8, enlarged to it on one of GROUNDS."""
    border = side // 2
    large = cv2.resize(face, (side, side), interpolation=cv2.INTER_CUBIC)
    way = cv2.BORDER_REPLICATE if ground == "repeated edges" else cv2.BORDER_CONSTANT
    wide = cv2.copyMakeBorder(large, border, border, border, border, way, value=(GREY,))
    return np.asarray(cv2.cvtColor(wide, cv2.COLOR_GRAY2BGR), np.uint8)


def nearest(found: Faces, frame: Image) -> int:
    """Return which face lies nearest to the frame's middle."""
    middle = found.boxes[:, :2] + found.boxes[:, 2:] / 2
    return int(np.abs(middle - np.array(frame.shape[1::-1]) / 2).sum(1).argmin())
