"""Where shots begin, and that nothing of one shot runs into the next."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
from making import write_video

from mien import Analyzer
from mien.config import Settings
from mien.media.base import Frame, Image
from mien.media.demo import Demo
from mien.media.shots import ShotDetector, boundaries
from mien.models.classifier import Classifier
from mien.observation import EMOTIONS, Face
from mien.reports.base.job import Job
from mien.reports.base.recordings import Inputs, read_recordings
from mien.reports.film.figures import look_at
from mien.vision.detector import Detector
from mien.vision.pipeline import Pipeline

FPS = 20


@pytest.fixture(scope="module")
def smiling() -> list[Image]:
    """A second of the demo's smile."""
    demo = Demo()
    return [demo.image(0.5 + n / FPS) for n in range(FPS)]


@pytest.fixture(scope="module")
def sad(smiling: list[Image], detector: Detector) -> list[Image]:
    """A second of somebody else: the demo's sad face, mirrored, where the smile is."""
    demo = Demo()
    mirrored = [np.ascontiguousarray(demo.image(12.5 + n / FPS)[:, ::-1]) for n in range(FPS)]
    here, there = (detector.detect(images[0]).boxes[0] for images in (smiling, mirrored))
    by = here[:2] + here[2:] / 2 - there[:2] - there[2:] / 2
    matrix = np.array([[1, 0, by[0]], [0, 1, by[1]]])
    return [cv2.warpAffine(image, matrix, (640, 360), borderMode=cv2.BORDER_REFLECT) for image in mirrored]


def starts(images: Sequence[Image], fps: float = FPS) -> list[int]:
    """Return with which images a shot begins."""
    detector = ShotDetector()
    return [number for number, image in enumerate(images) if detector.begins(image, number / fps)]


def mixed(first: Image, second: Image, share: float) -> Image:
    return cv2.addWeighted(first, 1 - share, second, share, 0)


def test_a_cut_begins_a_shot(smiling: list[Image], sad: list[Image]) -> None:
    assert starts(smiling + sad + smiling) == [20, 40]
    assert starts([*smiling, *(cv2.resize(image, (320, 180)) for image in smiling)]) == []
    assert starts((smiling + sad + smiling)[::4], FPS / 4) == [5, 10], "also where only some frames are looked at"


@pytest.mark.parametrize("length", [8, 12, 20, 30])
def test_a_dissolve_begins_one_shot_once_it_is_over(smiling: list[Image], sad: list[Image], length: int) -> None:
    between = [mixed(smiling[-1], sad[0], (n + 1) / (length + 1)) for n in range(length)]
    (start,) = starts([*smiling[::-1], *smiling, *between, *sad, *sad[::-1]])
    assert 40 + 0.6 * length <= start <= 40 + length + 8


@pytest.mark.parametrize("length", [10, 16, 24])
def test_a_dissolve_between_moving_pictures_begins_one_shot(
    smiling: list[Image], sad: list[Image], length: int
) -> None:
    count = 24 + length
    wide = np.concatenate([smiling[0], smiling[0][:, ::-1]], axis=1)
    pan = [wide[:, 8 * n : 8 * n + 640] for n in range(count)]
    zoom = [cv2.resize(sad[0][n : 360 - n, 2 * n : 640 - 2 * n], (640, 360)) for n in range(count)]
    for first, second in ((pan, zoom), (zoom, pan[::-1])):
        between = [
            mixed(a, b, (n + 1) / (length + 1)) for n, (a, b) in enumerate(zip(first[24:], second, strict=False))
        ]
        (start,) = starts([*first[:24], *between, *second[length:]])
        assert 24 + 0.5 * length <= start <= 24 + length + 10


@pytest.mark.parametrize("ground", [0, 255])
def test_a_fade_begins_one_shot_with_the_new_picture(smiling: list[Image], sad: list[Image], ground: int) -> None:
    blank = np.full_like(smiling[0], ground)
    down = [mixed(image, blank, (n + 1) / 20) for n, image in enumerate(smiling)]
    up = [mixed(blank, image, n / 20) for n, image in enumerate(sad)]
    (start,) = starts([*smiling, *down, *up, *sad])
    assert 40 <= start <= 48
    again = [mixed(blank, image, n / 20) for n, image in enumerate(smiling)]
    assert starts([*smiling, *down, *again, *smiling]) == [], "the same picture came back"


def test_light_flashes_and_a_moving_camera_begin_none(smiling: list[Image]) -> None:
    dark = [cv2.convertScaleAbs(image, alpha=0.35, beta=5) for image in smiling]
    assert starts([*smiling, *dark, *smiling]) == [], "a lamp"
    white = [cv2.convertScaleAbs(image, alpha=1.5, beta=140) for image in smiling[:2]]
    assert starts([*smiling, *white, *smiling]) == [], "a flash"
    flicker = [cv2.convertScaleAbs(image, alpha=1 + 0.2 * (-1) ** n) for n, image in enumerate(smiling)]
    assert starts(flicker * 3) == []
    wide = np.tile(np.concatenate([smiling[0], smiling[0][:, ::-1]], axis=1), (1, 3, 1))
    assert starts([wide[:, x : x + 640] for x in range(0, 3000, 35)]) == [], "a pan, 1.1 pictures a second"
    zoomed = [smiling[0][2 * n : 360 - 2 * n, 3 * n : 640 - 3 * n] for n in range(40)]
    assert starts([cv2.resize(image, (640, 360)) for image in zoomed]) == []


def test_the_demo_is_one_shot_at_any_rate() -> None:
    demo, detectors = Demo(), {every: ShotDetector() for every in (1, 2, 10)}
    for n in range(500):
        image = demo.image(n / 50)
        for every, detector in detectors.items():
            assert n % every or not detector.begins(image, n / 50)


@pytest.fixture(scope="module")
def turns(smiling: list[Image], sad: list[Image], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video of two people by turns, a second each, at the same place."""
    path = tmp_path_factory.mktemp("turns") / "turns.mp4"
    return write_video(path, [*smiling, *sad] * 3, range(0, 6000, 1000 // FPS))


def alone(path: Path, images: Sequence[Image]) -> Face:
    """Return the face of a video of nothing else, at its beginning."""
    analysis = Analyzer().analyze_video(write_video(path, images, range(0, 1000, 1000 // FPS)))
    return next(iter(analysis)).faces[0]


@pytest.mark.parametrize("fps", [None, 3, 1.4])
def test_nothing_runs_over_a_cut(
    turns: Path, smiling: list[Image], sad: list[Image], tmp_path: Path, fps: float | None
) -> None:
    happy = [alone(tmp_path / f"{n}.mp4", images).probabilities.happy for n, images in enumerate((smiling, sad))]
    assert happy[0] - happy[1] > 0.3
    shown = {}
    for observation in Analyzer().analyze_video(turns, fps=fps):
        (face,) = observation.faces
        turn = int(observation.offset_s or 0.0)
        before = shown.setdefault(turn, face)
        assert before.track == face.track == turn + 1
        assert face.probabilities.happy == pytest.approx(happy[turn % 2], abs=0.08)
    assert len(shown) == 6


def test_a_boundary_that_is_seen_twice_is_told_once() -> None:
    """A fade between moving pictures may be seen to begin and to end; shots of a second each stay as they are."""
    assert boundaries([3.1, 8.0, 8.36, 8.9, 20.0]) == [3.1, 8.9, 20.0]
    assert boundaries([1, 2, 3, 4]) == [1, 2, 3, 4]
    assert boundaries([]) == []


def test_watching_knows_of_cuts(turns: Path) -> None:
    tracks = [observation.faces[0].track for observation in Analyzer().watch(turns)]
    assert tracks == [1 + n // FPS for n in range(6 * FPS)]


def test_a_lamp_is_no_new_track(smiling: list[Image], tmp_path: Path) -> None:
    dark = [cv2.convertScaleAbs(image, alpha=0.5) for image in smiling]
    path = write_video(tmp_path / "lamp.mp4", [*smiling, *dark] * 2, range(0, 4000, 1000 // FPS))
    assert {face.track for observation in Analyzer().analyze_video(path) for face in observation.faces} == {1}


def test_a_film_has_the_same_cuts(turns: Path, tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    (recording,) = read_recordings(Inputs(paths=(str(turns),), fps=5), settings, Job())
    film = look_at(recording)
    assert film.cuts is not None
    assert film.cuts.tolist() == pytest.approx([1, 2, 3, 4, 5])
    means = film.faces.group_by("scene", maintain_order=True).agg(happy="happy").to_dicts()
    values = [np.mean(row["happy"]) for row in means]
    assert all(abs(values[n] - values[n % 2]) < 0.02 for n in range(6))
    (again,) = read_recordings(Inputs(paths=(str(turns),), fps=5), settings, Job())
    assert again.cuts is not None
    assert again.cuts.tolist() == film.cuts.tolist(), "read from what was kept"


def test_a_face_reads_the_same_whichever_look_finds_it(detector: Detector) -> None:
    classifier, demo = Classifier.load(), Demo()
    for at in (0.5, 7.5, 12.5):  # still pictures: near looks frame the face as the first look did
        pipeline = Pipeline(detector, classifier, "still")
        raw = []
        for n in range(5):
            pipeline.observe(Frame(demo.image(at), n, n / FPS, None))
            raw.append(pipeline.raw[0])
        assert np.abs(np.stack(raw) - raw[0]).max() < 0.05
    happy = []
    for fps in (2, 20):
        pipeline, values = Pipeline(detector, classifier, "clip"), []
        for n in range(8 * fps):
            pipeline.observe(Frame(demo.image(n / fps), n, n / fps, None))
            values.append(100 * pipeline.raw[0, EMOTIONS.index("happy")])
        happy.append(np.mean(values))
    assert abs(happy[0] - happy[1]) < 2.5  # 16 frames against 160: more is chance
