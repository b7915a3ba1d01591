"""The clip that comes with Mien."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import av
import numpy as np

from mien.media.demo import EXPRESSIONS, FPS, SCRIPT, SECONDS, Demo, _shares
from mien.media.open import open_source
from mien.models.classifier import Classifier
from mien.observation import EMOTIONS
from mien.vision.detector import Detector, crop


def test_the_clip_is_the_same_each_time_and_has_its_length() -> None:
    with open_source("demo") as first, open_source("demo", "stage") as second:
        frames = list(first)
        assert (first.name, second.name, first.live) == ("demo", "stage", False)
        assert len(frames) == FPS * SECONDS == first.expected
        assert all((a.image == b.image).all() for a, b in zip(frames[:3], second, strict=False))
    assert frames[0].image.shape == (360, 640, 3)
    assert [frame.offset_s for frame in frames[:3]] == [0, 1 / FPS, 2 / FPS]
    assert all(frame.time is not None for frame in frames)


def test_the_loop_closes() -> None:
    demo = Demo()
    step = np.abs(demo.image(0.0).astype(int) - demo.image(1 / FPS)).mean()
    seam = np.abs(demo.image(0.0).astype(int) - demo.image(SECONDS - 1 / FPS)).mean()
    assert seam < 2 * step


def test_its_face_is_found_in_every_frame(detector: Detector) -> None:
    demo = Demo()
    times = np.arange(0, SECONDS, 0.25)
    found = [len(detector.detect(demo.image(at))) for at in times]
    assert found.count(1) >= 0.95 * len(times)
    assert max(found) == 1


def test_every_expression_is_taken_and_changes_the_face_alone() -> None:
    assert {name for _, name in SCRIPT} == set(EXPRESSIONS)
    for at in np.arange(0, 2 * SECONDS, 0.1):
        assert abs(sum(_shares(at).values()) - 1) < 1e-9
    demo = Demo()
    portrait = demo._portrait[100:380, 300:580]
    for name, warp in demo._warps.items():
        moved = demo._face(next(start for start, taken in SCRIPT if taken == name) + 1.5, portrait)
        change = np.abs(moved.astype(int) - portrait)
        assert change[:4].max() <= 2, "the border of the face must fit its surroundings"
        assert change[:, :4].max() <= 2
        assert (change.max() > 40) == (name != "smiling")
        assert warp.own.min() >= 0


def test_it_can_be_written_to_a_file(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    subprocess.run([sys.executable, "-m", "mien.media.demo", path], check=True, timeout=100)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.width, stream.height) == ("h264", 640, 360)
        assert sum(1 for _ in container.decode(stream)) == FPS * SECONDS


def test_the_shipped_model_sees_more_than_one_emotion() -> None:
    classifier, detector, demo = Classifier.load(), Detector(), Demo()
    seen = set()
    for at_s in (1, 8.5, 15.5):  # smiling, surprised, cross
        image = demo.image(at_s)
        probabilities = classifier.classify(crop(image, detector.detect(image).boxes))
        seen.add(EMOTIONS[int(probabilities[0].argmax())])
    assert len(seen) >= 3, seen
