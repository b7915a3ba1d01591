"""What the whole pipeline costs: faces that are known go in, and what of them comes through."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest

pytest.importorskip("onnxruntime")

from mien.media.demo import Demo
from mien.run.pipeline_accuracy import ENLARGED, GROUNDS, framed, measure
from mien.run.recut import COVERS, covered, recut
from mien.training.data import Faces
from mien.vision.detector import Detector


class Bright:
    """Calls what is bright happy, and what is dark sad."""

    def classify(self, crops: Any) -> np.ndarray:
        return np.eye(7, dtype=np.float32)[[3 if crop.mean() > 100 else 4 for crop in crops]]


@pytest.fixture(scope="module")
def face() -> np.ndarray:
    """A face as FER-2013 frames them."""
    image = Demo().image(0)
    (x, y, _, height) = Detector().detect(image).boxes[0].astype(int)
    grey = cv2.cvtColor(image[y : y + height, x - 20 : x - 20 + height], cv2.COLOR_BGR2GRAY)
    return np.asarray(cv2.resize(grey, (48, 48), interpolation=cv2.INTER_AREA))


def test_faces_are_counted_as_missed_or_read_by_ground(face: np.ndarray) -> None:
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
    assert framed(face, "grey").shape == (2 * ENLARGED, 2 * ENLARGED, 3)
    assert framed(face, "grey", 60).shape == (120, 120, 3)
    assert framed(face, "grey")[0, 0, 0] == 128
    assert framed(face, "repeated edges")[0, 0, 0] == 200


def test_faces_are_cut_as_the_pipeline_does_and_differently_each_time(face: np.ndarray) -> None:
    blank = np.full_like(face, 90)
    crops, seen = recut(np.stack([face, blank]), Detector(), cuts=3)
    assert seen.tolist() == [[True] * 3, [False] * 3]
    assert (crops[1] == blank).all(), "what is not found stays as it is"
    assert len({crop.tobytes() for crop in crops[0]}) == 3
    apart = np.abs(crops[0].astype(int) - face).mean((1, 2))
    assert ((apart > 1) & (apart < 60)).all(), "another framing of the same face"
    again, _ = recut(np.stack([face, blank]), Detector(), cuts=3)
    assert (again == crops).all()


def test_hidden_faces_hide_what_they_should_and_nothing_else(face: np.ndarray) -> None:
    crops, seen = recut(np.stack([face, np.full_like(face, 90)]), Detector(), cuts=1, is_covered=True)
    assert seen.tolist() == [[True], [False]]
    assert [bool(those.any()) for those in crops] == [True, False], "what is not found is all black"
    frame = framed(face, "grey")
    landmarks = Detector().detect(frame).landmarks[0]
    eyes, mouth = landmarks[:2].mean(0), landmarks[3:].mean(0)
    for cover, hidden, shown in (("mask", mouth, eyes), ("hand", mouth, eyes), ("sunglasses", landmarks[0], mouth)):
        assert cover in COVERS
        changed = (covered(frame, landmarks, cover, np.random.default_rng(2)) != frame).any(2)
        assert changed[round(hidden[1]), round(hidden[0])], cover
        assert not changed[round(shown[1]), round(shown[0])], cover
        assert changed.mean() < 0.25, cover
    drawn = covered(frame, landmarks, "drawing", np.random.default_rng(2))
    assert len(np.unique(drawn)) <= 8


def test_only_a_share_of_the_faces_is_cut_where_that_is_asked(face: np.ndarray) -> None:
    _, seen = recut(np.stack([face] * 8), Detector(), cuts=1, share=0.5)
    assert 0 < int(seen.sum()) < 8
