"""Where faces are looked for between two looks at the whole frame."""

from __future__ import annotations

import itertools

import cv2
import numpy as np
import pytest

from mien.media.base import Image
from mien.media.demo import Demo
from mien.vision.detector import Detector, Faces
from mien.vision.schedule import KEYFRAME_EVERY_S, STRETCH_S, DetectionSchedule, Look, PhotoDetector, detect_after


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

    def detect_in_tile(self, frame: Image, before: Faces, tiles: int) -> Faces:
        faces = super().detect_in_tile(frame, before, tiles)
        self.looks[-1] = "tile"
        return faces


BEGIN = Look(begins=True, is_keyframe=True, tiles=1)
NEAR = Look(begins=False, is_keyframe=False, tiles=3)
KEYFRAME = Look(begins=False, is_keyframe=True, tiles=3)


@pytest.fixture
def noting() -> Noting:
    return Noting()


@pytest.fixture(scope="module")
def images() -> list[Image]:
    demo = Demo()
    return [demo.image(n / 25) for n in range(12)]


def follow(detector: Noting, images: list[Image], keyframes: tuple[int, ...] = ()) -> list[Faces]:
    found: list[Faces] = []
    for n, image in enumerate(images):
        before = found[-1] if found else None
        found.append(detect_after(detector, image, before, KEYFRAME if n in keyframes else NEAR if found else BEGIN))
    return found


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    low, high = np.maximum(one[:2], other[:2]), np.minimum(one[:2] + one[2:], other[:2] + other[2:])
    shared = float(np.clip(high - low, 0, None).prod())
    return shared / (float(one[2:].prod()) + float(other[2:].prod()) - shared)


@pytest.mark.parametrize("fps", [1, 4, 10, 25, 60])
def test_stretches_and_keyframes_are_as_long_at_every_frame_rate(fps: int) -> None:
    schedule = DetectionSchedule()
    looks = [schedule.look(n / fps) for n in range(5 * fps)]
    begun = [n / fps for n, look in enumerate(looks) if look.begins]
    keyframes = [n / fps for n, look in enumerate(looks) if look.is_keyframe]
    assert looks[0].begins
    assert all(STRETCH_S - 1e-6 <= b - a <= STRETCH_S + 1 / fps + 1e-6 for a, b in itertools.pairwise(begun))
    assert set(begun) <= set(keyframes)
    assert all(b - a <= KEYFRAME_EVERY_S + 1 / fps + 1e-6 for a, b in itertools.pairwise(keyframes))
    assert {look.tiles for look in looks if not look.begins} <= {1: set(), 4: {1}, 10: {1}, 25: {3}, 60: {4}}[fps]
    assert schedule.look(0.0).begins, "a clip that starts anew"
    assert schedule.look(0.05, shot=1).begins
    assert schedule.look(None).begins
    assert schedule.look(None).begins, "each photo stands alone"


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


def test_between_two_looks_a_face_moves_on_as_before(noting: Noting, images: list[Image]) -> None:
    looks = [DetectionSchedule().look(0.0), *(Look(False, False, 3, is_between=n % 2 > 0) for n in range(1, 7))]
    found: list[Faces] = []
    for image, look in zip(images, looks, strict=False):
        found.append(detect_after(noting, image, found[-1] if found else None, look))
    assert noting.looks == ["whole", "near", "near", "near"]
    assert [faces.looked is None or bool(faces.looked.all()) for faces in found] == [n % 2 == 0 for n in range(7)]
    for fps, apart_s in ((10, 0.1), (15, 0.067), (25, 0.08), (30, 0.067), (60, 0.067)):
        schedule = DetectionSchedule()
        at = [n / fps for n in range(fps // 5) if not schedule.look(n / fps).is_between]
        assert np.diff(at) == pytest.approx(apart_s, abs=1e-3)
    each = DetectionSchedule(near_every_s=0.0)
    assert not any(each.look(n / 60).is_between for n in range(60))


def test_a_face_that_has_gone_is_looked_for_once_and_then_coarsely(noting: Noting, images: list[Image]) -> None:
    wall = np.full_like(images[0], 80)
    assert [len(faces) for faces in follow(noting, [images[0], images[1], wall, wall])] == [1, 1, 0, 0]
    assert noting.looks == ["whole", "near", "near", "whole", "coarse"]


def test_who_comes_into_an_empty_view_is_seen_at_once(noting: Noting, images: list[Image]) -> None:
    wall = np.full_like(images[0], 80)
    assert [len(faces) for faces in follow(noting, [wall, wall, images[0], images[1]])] == [0, 0, 1, 1]
    assert noting.looks == ["whole", "coarse", "coarse", "whole", "near"]


@pytest.fixture(scope="module")
def crowd(images: list[Image]) -> Image:
    """Sixteen faces in four rows, 1280x720."""
    return np.tile(cv2.resize(images[0], (320, 180), interpolation=cv2.INTER_AREA), (4, 4, 1))


def test_a_crowd_is_looked_for_in_tiles_by_turns(noting: Noting, crowd: Image) -> None:
    found = follow(noting, [crowd] * 7)
    assert [len(faces) for faces in found] == [16] * 7
    assert noting.looks == ["whole", *["tile"] * 6]
    (whole,) = {len(faces) for faces in found[:1]}
    for begin in (1, 4):
        looked = [faces.looked for faces in found[begin : begin + 3]]
        assert all(some is not None and 0 < some.sum() < whole for some in looked)
        assert sum(int(some.sum()) for some in looked if some is not None) == whole, "each face once in a turn"
    for box in found[-1].boxes:
        assert max(overlap(box, other) for other in found[0].boxes) > 0.85


def test_in_tiles_a_face_that_crosses_their_border_stays_one_and_newcomers_are_seen(
    noting: Noting, crowd: Image
) -> None:
    wider = crowd.copy()
    wider[:180, :320] = 128
    moving = follow(noting, [np.roll(wider, 12 * n, 1).astype(np.uint8) for n in range(8)])
    assert {len(faces) for faces in moving} == {15}
    back = follow(noting, [wider, crowd, crowd, crowd])
    assert [len(faces) for faces in back][-1] == 16
    gone = follow(noting, [crowd, wider, wider, wider])
    assert [len(faces) for faces in gone][-1] == 15


def test_where_all_faces_are_large_others_are_looked_for_at_half_the_size(noting: Noting, images: list[Image]) -> None:
    follow(noting, images[:5], keyframes=(2, 4))
    assert noting.looks == ["whole", "near", "near", "coarse", "near", "near", "coarse"]
    noting.looks.clear()
    two = images[0].copy()
    two[:180, :160] = cv2.resize(images[0], (320, 180), interpolation=cv2.INTER_AREA)[:, 80:240]
    assert [len(faces) for faces in follow(noting, [images[0], two, two], keyframes=(2,))] == [1, 1, 2]
    assert noting.looks == ["whole", "near", "near", "coarse", "whole"], "who is new is then found at the whole size"
    noting.looks.clear()
    small = cv2.resize(images[0], (160, 90), interpolation=cv2.INTER_AREA)
    little = np.full_like(images[0], 90)
    little[100:190, 200:360] = small
    follow(noting, [little, little, little], keyframes=(2,))
    assert noting.looks == ["whole", "near", "whole"]


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
    keyframes = [detect_after(detector, image, None, BEGIN) for image in images]
    assert measured == [], "a keyframe that another follows needs none"
    near = detect_after(detector, images[1], keyframes[0], NEAR)
    detect_after(detector, images[2], near, NEAR)
    assert [image is images[0] for image in measured] == [True], "in the keyframe, once"
    assert near.offsets is not None
