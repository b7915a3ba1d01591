"""How often each face is read, and what is said of it between."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from mien.media.base import Frame, Image
from mien.media.demo import Demo
from mien.models.classifier import Classifier, Geometry
from mien.observation import Observation, decode, encode
from mien.vision.detector import Detector, Faces
from mien.vision.pipeline import Pipeline
from mien.vision.readings import EVERY_S, LONGEST_S, LoadGauge, ReadingSchedule

Always = Callable[[str, float], Classifier]


def read_at(schedule: ReadingSchedule, faces: int, fps: float, seconds: float) -> list[list[float]]:
    """Return when each of some steady faces is read."""
    times: list[list[float]] = [[] for _ in range(faces)]
    for n in range(round(seconds * fps)):
        for row in schedule.due(range(faces), np.ones(faces, bool), n / fps):
            schedule.note(row, n / fps, 0.05)
            times[row].append(n / fps)
    return times


@pytest.mark.parametrize(("fps", "step_s"), [(5, 0.2), (10, 0.1), (25, 0.08), (30, 0.1), (60, 0.083)])
def test_a_face_is_read_as_often_as_the_smoothing_needs(fps: float, step_s: float) -> None:
    (times,) = read_at(ReadingSchedule(0.25), 1, fps, 3)
    assert times[0] == 0, "a new face at once"
    assert np.diff(times) == pytest.approx(step_s, abs=0.2 / fps)


def test_faces_take_turns_and_none_waits_much_longer_than_others() -> None:
    times = read_at(ReadingSchedule(0.25), 29, 25, 3)
    on_frame = np.bincount([round(25 * at) for face in times for at in face], minlength=75)
    assert on_frame[0] == 29
    assert on_frame[10:].max() <= 15
    assert max(np.diff(face).max() for face in times) <= 0.2 + 1e-9
    assert np.mean([len(face) for face in times]) == pytest.approx(3 / 0.08, rel=0.15)


def test_a_face_whose_reading_changes_is_read_on_the_next_frame_until_it_is_followed() -> None:
    schedule = ReadingSchedule(0.25)
    every = np.ones(2, bool)
    assert schedule.due([1, 2], every, 0.0) == [0, 1]
    schedule.note(1, 0.0, 0.6)
    schedule.note(2, 0.0, 0.0)
    assert schedule.due([1, 2], every, 0.04) == [0]
    schedule.note(1, 0.04, 0.1)
    assert schedule.due([1, 2], every, 0.07) == []
    assert schedule.due([1, 2, 3], np.zeros(3, bool), 1.0) == [2], "only new ones where nobody was looked for"


def test_without_smoothing_each_face_is_read_on_each_frame() -> None:
    for schedule in (ReadingSchedule(0.0), ReadingSchedule(0.25, every_s=0.0)):
        assert all(len(face) == 50 for face in read_at(schedule, 30, 25, 2))
        schedule.slow_down(4)
        assert schedule.every_s == 0


def test_under_load_all_faces_are_read_less_often_and_later_as_before() -> None:
    schedule = ReadingSchedule(0.25)
    gauge, at, changes = LoadGauge(schedule), 0.0, []

    def work(seconds: float, busy: float, reading: float) -> None:
        nonlocal at
        for _ in range(round(seconds * 20)):
            at += 0.05
            changes.append(gauge.note(at, 0.05 * busy, 0.05 * busy * reading))

    work(5, 0.8, 0.6)
    assert (schedule.every_s, any(changes)) == (EVERY_S, False)
    work(4, 0.99, 0.1)
    assert schedule.every_s == EVERY_S, "reading less would not help"
    work(3.1, 0.99, 0.6)
    assert any(changes)
    assert schedule.every_s > 1.5 * EVERY_S
    work(30, 0.99, 0.6)
    assert schedule.every_s == LONGEST_S
    work(30, 0.3, 0.6)
    assert schedule.every_s == EVERY_S


@pytest.fixture(scope="module")
def frames() -> list[Frame]:
    demo = Demo()
    return [Frame(demo.image(n / 25), n, n / 25, None) for n in range(25)]


class Counting(Classifier):
    """The model that reads what it is told to, and counts the faces that it read."""

    def __init__(self, shares: list[np.ndarray], model: Classifier) -> None:
        self.__dict__.update(model.__dict__)
        self.shares, self.count = shares, 0

    def read(self, crops: np.ndarray) -> tuple[np.ndarray, Geometry | None]:
        self.count += len(crops)
        return np.stack([self.shares[0]] * len(crops)).astype(np.float32), None


def shares_of(happy: float, neutral: float) -> np.ndarray:
    shares = np.full(7, (1 - happy - neutral) / 5)
    shares[3], shares[6] = happy, neutral
    return shares


def test_what_was_read_is_carried_on_and_the_record_says_so(
    detector: Detector, always: Always, frames: list[Frame]
) -> None:
    model = Counting([shares_of(0.9, 0.02)], always("happy", 0.9))
    observations = list(Pipeline(detector, model, "stage").run(frames))
    read = [observation.faces[0].read for observation in observations]
    assert read[0]
    assert sum(read) == model.count
    assert 8 <= model.count <= 13
    for before, observation in itertools.pairwise(observations):
        (face,), (last,) = observation.faces, before.faces
        assert face.read or (face.probabilities, face.emotion) == (last.probabilities, last.emotion)
        assert decode(encode(observation)) == observation
    each = list(Pipeline(detector, model, "stage", read_every_s=0).run(frames))
    assert all(observation.faces[0].read for observation in each)


def test_another_model_reads_every_face_anew(detector: Detector, always: Always, frames: list[Frame]) -> None:
    pipeline = Pipeline(detector, always("happy", 0.9), "stage")
    observations: list[Observation] = [pipeline.observe(frames[0])]
    pipeline.use(always("happy", 0.9))
    observations += [pipeline.observe(frame) for frame in frames[1:3]]
    assert [observation.faces[0].read for observation in observations] == [True, True, False]


@pytest.mark.parametrize("fps", [10, 25, 60])
@pytest.mark.parametrize("late", [0.0, 0.3, 0.7])
def test_a_step_is_named_as_soon_as_if_each_frame_were_read(
    detector: Detector, always: Always, frames: list[Frame], fps: int, late: float
) -> None:
    """The step comes at different times after a reading."""

    def response(read_every_s: float) -> float:
        model = Counting([shares_of(0.02, 0.9)], always("neutral", 0.9))
        pipeline = Pipeline(Still(detector.detect(frames[0].image)), model, "stage", read_every_s=read_every_s)
        step_s = 0.5 + 0.12 * late
        for n in range(round(1.5 * fps)):
            model.shares[0] = shares_of(0.9, 0.05) if n / fps >= step_s else shares_of(0.02, 0.9)
            face = pipeline.observe(replace(frames[0], index=n, offset_s=n / fps)).faces[0]
            if face.emotion == "happy":
                return n / fps - step_s
        return np.inf

    usual, each = response(EVERY_S), response(0.0)
    assert usual <= 0.3 + 1e-6
    assert usual <= each + 0.05 + 1e-6


class Still:
    """A detector that always finds the same faces."""

    def __init__(self, faces: Faces) -> None:
        self.faces = faces

    def detect(self, frame: Image) -> Faces:
        assert frame.ndim == 3
        return self.faces
