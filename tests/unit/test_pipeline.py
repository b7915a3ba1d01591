"""From frames to observations, with the real detector."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import polars as pl
import pytest
from making import with_third_head
from msgspec.structs import astuple

import mien
from mien.media.base import Frame, Image
from mien.media.demo import Demo
from mien.models.classifier import Classifier
from mien.observation import EMOTIONS, decode, encode
from mien.vision.detector import Detector, Faces
from mien.vision.pipeline import MOST_YAW, Pipeline, read_pictures

Always = Callable[[str, float], Classifier]


@pytest.fixture(scope="module")
def frames() -> list[Frame]:
    """The demo's first second."""
    with Demo() as demo:
        return [frame for frame, _ in zip(demo, range(20), strict=False)]


@pytest.fixture(scope="module")
def tiny(tiny_model: Path) -> Classifier:
    return Classifier.load(tiny_model)


def test_every_frame_becomes_one_valid_observation(detector: Detector, tiny: Classifier, frames: list[Frame]) -> None:
    observations = list(Pipeline(detector, tiny, "stage").run(frames))
    assert [observation.seq for observation in observations] == list(range(20))
    assert len({observation.id for observation in observations}) == 20
    made = [observation.id[:13] for observation in observations]
    assert made == sorted(made), "by the millisecond"
    assert {observation.session for observation in observations} == {observations[0].session}
    for observation, frame in zip(observations, frames, strict=True):
        assert decode(encode(observation)) == observation
        assert (observation.source, observation.model) == ("stage", tiny.model_id)
        assert (observation.time, observation.offset_s, observation.frame) == (frame.time, frame.offset_s, frame.index)
        assert (observation.width, observation.height) == (640, 360)
        assert observation.elapsed_ms > 0
        (face,) = observation.faces
        assert face.track == 1
        assert all(round(value, 4) == value for value in face.probabilities.__reduce__()[1])


def test_a_frame_without_a_face_is_an_observation_too(detector: Detector, tiny: Classifier) -> None:
    pipeline = Pipeline(detector, tiny, "wall")
    blank = Frame(np.full((120, 160, 3), 90, np.uint8), 0, 0.0, None)
    assert pipeline.observe(blank).faces == []
    assert pipeline.observe(replace(blank, index=1, offset_s=0.04)).seq == 1
    assert pipeline.raw.shape == (0, 7)


def test_two_sessions_share_models_and_nothing_else(detector: Detector, tiny: Classifier, frames: list[Frame]) -> None:
    first, second = Pipeline(detector, tiny, "a"), Pipeline(detector, tiny, "b")
    for frame in frames[:3]:
        first.observe(frame)
    observation = second.observe(frames[0])
    assert (observation.seq, observation.faces[0].track) == (0, 1)
    assert first.session != second.session


def test_the_raw_probabilities_are_there_and_the_reported_ones_smoothed(
    detector: Detector, always: Always, frames: list[Frame]
) -> None:
    happy, sad = always("happy", 0.9), always("sad", 0.9)
    pipeline = Pipeline(detector, happy, "stage", smoothing_s=0.5)
    pipeline.observe(frames[0])
    pipeline.use(sad)
    face = pipeline.observe(frames[1]).faces[0]
    assert pipeline.raw[0, EMOTIONS.index("sad")] == pytest.approx(0.9, abs=1e-4)
    assert face.emotion == "happy"
    assert 0.05 < face.probabilities.sad < 0.2


def test_photos_have_no_tracks_and_are_not_smoothed(detector: Detector, tiny: Classifier, frames: list[Frame]) -> None:
    pipeline = Pipeline(detector, tiny, "album")
    for number in range(2):
        face = pipeline.observe(replace(frames[number], offset_s=None, time=None)).faces[0]
        assert face.track is None
        assert face.probabilities.__reduce__()[1] == pytest.approx(pipeline.raw[0].tolist(), abs=1e-4)


def test_no_emotion_is_named_below_the_threshold(detector: Detector, always: Always, frames: list[Frame]) -> None:
    sure, unsure = always("fear", 0.45), always("fear", 0.35)
    assert Pipeline(detector, sure, "stage").observe(frames[0]).faces[0].emotion == "fear"
    face = Pipeline(detector, unsure, "stage").observe(frames[0]).faces[0]
    assert face.emotion is None
    assert face.probabilities.fear == pytest.approx(0.35, abs=1e-3)
    assert Pipeline(detector, unsure, "stage", abstain_below=0.3).observe(frames[0]).faces[0].emotion == "fear"
    assert Pipeline(detector, sure, "stage", abstain_below=0.5).observe(frames[0]).faces[0].emotion is None


def test_the_threshold_is_the_one_that_is_set(detector: Detector, always: Always, frames: list[Frame]) -> None:
    place = detector.detect(frames[0].image).boxes[0]

    def named(probability: float, abstain_below: float | None) -> str | None:
        pipeline = Pipeline(Fixed(place), always("fear", probability), "stage", abstain_below=abstain_below)
        return pipeline.observe(frames[0]).faces[0].emotion

    own = always("fear", 0.5).threshold
    for threshold, given in ((0.6, 0.6), (own, None)):
        assert named(threshold + 0.005, given) == "fear"
        assert named(threshold - 0.005, given) is None


def test_a_narrow_face_counts_by_its_longer_side(always: Always, frames: list[Frame]) -> None:
    noise = np.random.default_rng(1).integers(0, 256, frames[0].image.shape, np.uint8)  # sharp everywhere
    sure = always("happy", 0.95)
    for width, height, emotion in ((14, 21, "happy"), (21, 14, "happy"), (19, 19, None)):
        finder = Fixed(np.array([100, 100, width, height], np.float32))
        (face,) = Pipeline(finder, sure, "stage").observe(replace(frames[0], image=noise)).faces
        assert face.emotion == emotion, (width, height)


def test_what_a_face_showed_is_forgotten_with_its_track(always: Always, frames: list[Frame]) -> None:
    finder = Fixed(np.array([100, 100, 60, 60], np.float32))
    pipeline = Pipeline(finder, always("happy", 0.9), "stage")
    for number in range(8):
        finder.box = np.array([100 + 60 * (number % 2) * 5, 100, 60, 60], np.float32)
        pipeline.observe(replace(frames[0], index=number, offset_s=30.0 * number))
    assert len(pipeline._smoother._state) == 1, "one face at a time, each long after the one before"


def test_no_emotion_is_named_of_a_blurred_or_tiny_face(detector: Detector, always: Always, frames: list[Frame]) -> None:
    sure = always("happy", 0.95)
    box = detector.detect(frames[0].image).boxes[0]
    tiny_box = np.array([box[0], box[1], 12, 15], np.float32)
    blurred = replace(frames[0], image=np.asarray(cv2.GaussianBlur(frames[0].image, (0, 0), 24), np.uint8))
    for frame, place, emotion in ((frames[0], box, "happy"), (blurred, box, None), (frames[0], tiny_box, None)):
        (face,) = Pipeline(Fixed(place), sure, "stage").observe(frame).faces
        assert face.emotion == emotion
        assert face.probabilities.happy == pytest.approx(0.95, abs=1e-3)


def test_pose_and_openness_come_with_the_face_and_the_roll_that_the_crop_undid(
    frames: list[Frame], tmp_path: Path
) -> None:
    sure = [1.0, 1.0, 1.0, 0.02, 0.02]
    head = Classifier.load(with_third_head(tmp_path / "head.onnx", [20.0, 9.0, -5.0, 0.6, 0.125, *sure]))
    finder = Fixed(np.array([100, 100, 60, 60], np.float32))
    for lean in (0, 20, -30):
        turn = np.radians(lean)
        across, down = np.array([np.cos(turn), np.sin(turn)]), np.array([-np.sin(turn), np.cos(turn)])
        eyes = [-15 * across, 15 * across]
        points = [*eyes, 15 * down, -10 * across + 30 * down, 10 * across + 30 * down]
        finder.landmarks = np.array([np.array([130, 120]) + point for point in points], np.float32)
        (face,) = Pipeline(finder, head, "stage").observe(frames[0]).faces
        assert face.pose is not None
        assert (face.pose.yaw, face.pose.pitch) == (20, 9)
        assert face.pose.roll == pytest.approx(lean - 5, abs=0.2)
        assert face.openness is not None
        assert (face.openness.eyes, face.openness.mouth) == (0.6, 0.12)
        assert decode(encode(Pipeline(finder, head, "stage").observe(frames[0]))).faces[0].pose == face.pose
        ((same,),) = read_pictures(finder, head, [frames[0].image])
        assert (same.pose, same.openness) == (face.pose, face.openness)
    unsure = Classifier.load(with_third_head(tmp_path / "unsure.onnx", [20.0, 9.0, -5.0, 0.6, 0.1, 90, 1, 1, 1, 90]))
    (face,) = Pipeline(finder, unsure, "stage").observe(frames[0]).faces
    assert (face.pose, face.openness) == (None, None)
    finder.box = np.array([100, 100, 12, 15], np.float32)
    (face,) = Pipeline(finder, head, "stage").observe(frames[0]).faces
    assert (face.pose, face.openness) == (None, None), "too small to tell"


def test_what_lies_above_the_usual_face_is_told_once_that_is_known(tiny: Classifier, frames: list[Frame]) -> None:
    finder = Fixed(np.array([100, 100, 60, 60], np.float32))
    seen = [replace(frames[0], offset_s=n / 2, index=n) for n in range(12)]
    told = list(Pipeline(finder, tiny, "stage", calibrate_s=3).run(seen))
    raw = list(Pipeline(finder, tiny, "stage").run(seen))
    assert [observation.faces[0].above_usual is not None for observation in told] == [n >= 6 for n in range(12)]
    assert astuple(told[-1].faces[0].above_usual) == pytest.approx([0] * 7, abs=1e-3)  # its picture never changes
    assert [one.faces[0].probabilities for one in told] == [one.faces[0].probabilities for one in raw]
    assert decode(encode(told[-1])) == told[-1]
    small = Pipeline(Fixed(np.array([100, 100, 12, 15], np.float32)), tiny, "stage", calibrate_s=3)
    assert not any(observation.faces[0].above_usual for observation in small.run(seen))


def test_model_without_a_third_head_leaves_pose_and_openness_out(tiny: Classifier, frames: list[Frame]) -> None:
    finder = Fixed(np.array([100, 100, 60, 60], np.float32))
    observation = Pipeline(finder, tiny, "stage").observe(frames[0])
    assert (observation.faces[0].pose, observation.faces[0].openness) == (None, None)
    assert b"pose" not in encode(observation)


class Fixed:
    """A detector, as others may add theirs, that finds one face in one place."""

    def __init__(self, box: np.ndarray) -> None:
        self.box = box
        self.landmarks = np.zeros((5, 2), np.float32)

    def detect(self, frame: Image) -> Faces:
        assert frame.ndim == 3
        return Faces(self.box[None], self.landmarks[None], np.ones(1, np.float32))


@pytest.mark.data
def test_no_emotion_is_named_of_a_face_that_looks_far_aside(data: Path) -> None:
    """FER-2013's faces that MediaPipe's mesh saw turned by over 35 degrees, and others that look here."""
    yaw = pl.read_parquet(data / "fer2013_mesh.parquet", columns=["yaw", "score"]).with_row_index()
    faces = pl.read_parquet(data / "fer2013.parquet", columns=["image", "usage"])
    public = pl.concat([yaw, faces], how="horizontal").filter(pl.col("usage") == "PublicTest", pl.col("score") > 0.9)
    aside, ahead = public.filter(pl.col("yaw").abs() > 35).head(100), public.filter(pl.col("yaw").abs() < 5).head(60)
    named = {"aside": [0, 0], "ahead": [0, 0]}
    for way, rows in (("aside", aside), ("ahead", ahead)):
        for image in rows["image"]:
            face = cv2.imdecode(np.frombuffer(image["bytes"], np.uint8), cv2.IMREAD_GRAYSCALE)
            large = cv2.resize(face, (160, 160), interpolation=cv2.INTER_CUBIC)
            framed = cv2.copyMakeBorder(large, 80, 80, 80, 80, cv2.BORDER_REPLICATE)
            for seen in mien.analyze(cv2.cvtColor(framed, cv2.COLOR_GRAY2BGR))[:1]:
                turned = seen.pose is not None and seen.pose.yaw is not None and abs(seen.pose.yaw) > MOST_YAW
                if turned == (way == "aside"):
                    named[way][0] += 1
                    named[way][1] += seen.emotion is not None
    assert named["aside"][0] > 10
    assert named["aside"][1] == 0
    assert named["ahead"][1] > 40, "others are read as before"
