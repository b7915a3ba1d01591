"""Where faces are looked for between two looks at the whole frame."""

from __future__ import annotations

import itertools

import cv2
import numpy as np
import pytest

from mien.media.base import Image
from mien.media.demo import Demo
from mien.vision.detector import Detector, Faces
from mien.vision.schedule import KEYFRAME_EVERY_S, KeyframeSchedule, PhotoDetector, detect_after


class Noting(Detector):
    """The real detector, which also notes how it was asked to look."""

    def __init__(self) -> None:
        super().__init__()
        self.looks: list[str] = []

    def detect(self, frame: Image, max_side: int | None = None) -> Faces:
        self.looks.append("whole" if not max_side else "coarse" if max_side < self.max_side else "fine")
        return super().detect(frame, max_side)

    def detect_near(self, frame: Image, boxes: np.ndarray, offsets: np.ndarray | None = None) -> Faces:
        self.looks.append("near")
        return super().detect_near(frame, boxes, offsets)


@pytest.fixture
def noting() -> Noting:
    return Noting()


@pytest.fixture(scope="module")
def images() -> list[Image]:
    demo = Demo()
    return [demo.image(n / 25) for n in range(12)]


def follow(detector: Noting, images: list[Image]) -> list[Faces]:
    found: list[Faces] = []
    for image in images:
        found.append(detect_after(detector, image, found[-1] if found else None))
    return found


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    low, high = np.maximum(one[:2], other[:2]), np.minimum(one[:2] + one[2:], other[:2] + other[2:])
    shared = float(np.clip(high - low, 0, None).prod())
    return shared / (float(one[2:].prod()) + float(other[2:].prod()) - shared)


@pytest.mark.parametrize("fps", [1, 4, 10, 25, 60])
def test_a_stretch_is_as_long_as_the_beat_at_every_frame_rate(fps: int) -> None:
    keyframes = KeyframeSchedule()
    begun = [n / fps for n in range(5 * fps) if keyframes.is_due(n / fps)]
    assert begun[0] == 0
    assert all(
        KEYFRAME_EVERY_S - 1e-6 <= b - a <= KEYFRAME_EVERY_S + 1 / fps + 1e-6 for a, b in itertools.pairwise(begun)
    )
    assert keyframes.is_due(0.0), "a clip that starts anew"
    assert keyframes.is_due(None)
    assert keyframes.is_due(None), "each photo stands alone"


def test_a_face_is_followed_near_where_it_was(noting: Noting, images: list[Image]) -> None:
    found = follow(noting, images)
    assert noting.looks == ["whole"] + ["near"] * 11
    for faces, image in zip(found, images, strict=True):
        (box,) = faces.boxes
        (whole,) = Detector().detect(image).boxes
        assert overlap(box, whole) > 0.75
        x, y, width, height = box
        assert (faces.landmarks[0] > (x, y)).all()
        assert (faces.landmarks[0] < (x + width, y + height)).all()


def test_a_face_that_has_gone_is_looked_for_once_and_then_coarsely(noting: Noting, images: list[Image]) -> None:
    wall = np.full_like(images[0], 80)
    assert [len(faces) for faces in follow(noting, [images[0], images[1], wall, wall])] == [1, 1, 0, 0]
    assert noting.looks == ["whole", "near", "near", "whole", "coarse"]


def test_who_comes_into_an_empty_view_is_seen_at_once(noting: Noting, images: list[Image]) -> None:
    wall = np.full_like(images[0], 80)
    assert [len(faces) for faces in follow(noting, [wall, wall, images[0], images[1]])] == [0, 0, 1, 1]
    assert noting.looks == ["whole", "coarse", "coarse", "whole", "near"]


def test_a_crowd_is_always_looked_for_in_the_whole_frame(noting: Noting, images: list[Image]) -> None:
    tile = cv2.resize(images[0], (320, 180), interpolation=cv2.INTER_AREA)
    crowd = np.tile(tile, (4, 4, 1))
    assert [len(faces) for faces in follow(noting, [crowd, crowd])] == [16, 16]
    assert noting.looks == ["whole", "whole"]


def test_two_faces_side_by_side_are_not_taken_for_one(noting: Noting, images: list[Image]) -> None:
    (x, y, width, height) = noting.detect(images[0]).boxes[0].astype(int)
    face = images[0][y - 10 : y + height + 10, x - 10 : x + width + 10]
    pair = np.full((360, 640, 3), 120, np.uint8)
    pair[40 : 40 + len(face), 60 : 60 + face.shape[1]] = face
    pair[40 : 40 + len(face), 62 + face.shape[1] : 62 + 2 * face.shape[1]] = face
    noting.looks.clear()
    found = follow(noting, [pair, pair, pair])
    assert [len(faces) for faces in found] == [2, 2, 2]
    assert noting.looks == ["whole", "near", "near"]


def test_a_place_beyond_the_frame_is_empty(images: list[Image]) -> None:
    detector = Detector()
    boxes = np.array([[-900, -900, 50, 50], [5000, 10, 80, 60], [600, 300, 300, 300]], np.float32)
    assert len(detector.detect_near(images[0], boxes)) == 0
    assert len(detector.detect_near(images[0], boxes[:0])) == 0


@pytest.mark.parametrize(
    ("share", "faces", "looks"), [(0.0, 0, ["whole", "fine"]), (0.12, 1, ["whole", "fine"]), (0.5, 1, ["whole"])]
)
def test_a_photo_with_small_faces_or_none_is_looked_at_twice(
    noting: Noting, images: list[Image], share: float, faces: int, looks: list[str]
) -> None:
    photo = np.full((960, 1280, 3), 120, np.uint8)
    if share:
        small = cv2.resize(images[0], None, fx=share, fy=share, interpolation=cv2.INTER_AREA)
        photo[300 : 300 + len(small), 500 : 500 + small.shape[1]] = small
    assert len(PhotoDetector(noting).detect(photo)) == faces
    assert noting.looks == looks


def test_what_both_looks_at_a_photo_find_counts_once(images: list[Image]) -> None:
    photo = np.full((960, 1280, 3), 120, np.uint8)
    for share, top in ((0.12, 20), (0.2, 300), (1.0, 500)):
        small = cv2.resize(images[0], None, fx=share, fy=share, interpolation=cv2.INTER_AREA)
        photo[top : top + len(small), 500 : 500 + small.shape[1]] = small
    found = Detector().detect_closely(photo)
    assert len(found) == 3
    assert (np.diff(found.confidences) <= 0).all()
    for (x, y, width, height), marks in zip(found.boxes, found.landmarks, strict=True):
        assert ((marks > (x, y)) & (marks < (x + width, y + height))).all()


def test_how_near_looks_differ_is_measured_at_the_first_of_them_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    detector, images, measured = Detector(), [Demo().image(n / 25) for n in range(3)], []
    real = detector.with_offsets
    monkeypatch.setattr(
        detector, "with_offsets", lambda image, faces: measured.append(image) or real(image, faces), raising=True
    )
    keyframes = [detect_after(detector, image, None) for image in images]
    assert measured == [], "a keyframe that another follows needs none"
    near = detect_after(detector, images[1], keyframes[0])
    detect_after(detector, images[2], near)
    assert [image is images[0] for image in measured] == [True], "in the keyframe, once"
    assert near.offsets is not None
