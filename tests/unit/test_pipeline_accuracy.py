"""What the whole pipeline costs: faces that are known go in, and what of them comes through."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest

pytest.importorskip("onnxruntime")

from mien.media.demo import Demo
from mien.run.pipeline_accuracy import FRAME, GROUNDS, framed, measure
from mien.training.data import Faces
from mien.vision.detector import Detector


class Bright:
    """Calls what is bright happy, and what is dark sad."""

    def classify(self, crops: Any) -> np.ndarray:
        return np.eye(7, dtype=np.float32)[[3 if crop.mean() > 100 else 4 for crop in crops]]


def test_faces_are_counted_as_missed_or_read_by_ground() -> None:
    image = Demo().image(0)
    (x, y, _, height) = Detector().detect(image).boxes[0].astype(int)
    grey = cv2.cvtColor(image[y : y + height, x - 20 : x - 20 + height], cv2.COLOR_BGR2GRAY)
    face = cv2.resize(grey, (48, 48), interpolation=cv2.INTER_AREA)
    faces = np.stack([face, face, np.full_like(face, 90)])
    bright = Bright().classify(faces[:1]).argmax(1)[0]
    labels = np.array([bright, 0, 3])
    labelled = Faces(faces, labels, np.zeros((3, 7)), labels, np.full(3, "PublicTest"))
    rows = measure(Bright(), labelled)
    assert [row["ground"] for row in rows] == list(GROUNDS)
    for row in rows:
        assert (row["missed"]["right"], row["missed"]["faces"]) == (1, 3), "the grey field holds no face"
        assert (row["raw"]["right"], row["raw"]["faces"]) == (1, 2)
        assert row["through"]["faces"] == 2
        assert row["difference"]["gained"] - row["difference"]["lost"] == row["through"]["right"] - 1


def test_a_ground_is_grey_or_repeats_the_edges() -> None:
    face = np.full((48, 48), 200, np.uint8)
    assert framed(face, "grey").shape == (FRAME, FRAME, 3)
    assert framed(face, "grey")[0, 0, 0] == 128
    assert framed(face, "repeated edges")[0, 0, 0] == 200
