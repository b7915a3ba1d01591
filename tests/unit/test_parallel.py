"""Frames on all cores: the same as one by one, in order, and bounded."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mien.errors import InputError
from mien.media.base import Frame
from mien.media.demo import Demo
from mien.models.classifier import Classifier
from mien.observation import Observation
from mien.vision.detector import Detector
from mien.vision.parallel import WINDOW, cores, observe_all
from mien.vision.pipeline import Found, Pipeline


@pytest.fixture(scope="module")
def classifier(tiny_model: Path) -> Classifier:
    return Classifier.load(tiny_model)


@pytest.fixture(scope="module")
def frames() -> list[Frame]:
    """A second and a half with a face, half a second without, and again a second with one; then a photo."""
    demo = Demo()
    images = [demo.image(n / 20) for n in range(50)]
    images[30:40] = [np.full_like(images[0], 90)] * 10
    found = [Frame(image, n, n / 20, None) for n, image in enumerate(images)]
    return [*found, replace(found[0], index=50, offset_s=None)]


def said(observation: Observation) -> tuple[object, ...]:
    return observation.seq, observation.frame, observation.offset_s, observation.model, observation.faces


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_the_results_are_the_same_as_one_by_one(
    detector: Detector, classifier: Classifier, frames: list[Frame], workers: int
) -> None:
    one_by_one = [said(one) for one in Pipeline(detector, classifier, "a").run(frames)]
    together = list(observe_all(Pipeline(detector, classifier, "a"), iter(frames), workers))
    assert [said(observation) for _, observation in together] == one_by_one
    assert [frame for frame, _ in together] == frames
    assert len({observation.id for _, observation in together}) == len(frames)
    assert all(observation.elapsed_ms > 0 for _, observation in together)


def test_no_more_frames_are_in_memory_than_the_window_holds(
    detector: Detector, classifier: Classifier, frames: list[Frame]
) -> None:
    taken = most = given = 0

    def counted() -> Iterator[Frame]:
        nonlocal taken, most
        for n in range(120):
            taken, most = taken + 1, max(most, taken + 1 - given)
            yield replace(frames[n % 50], index=n, offset_s=n / 20)

    for _ in observe_all(Pipeline(detector, classifier, "a"), counted(), 2):
        given += 1
    room = 2 * WINDOW // frames[0].image.nbytes
    assert given == 120
    assert room // 2 < most <= room + 2, "one more is decoded and waits, one is in the hands of who takes them"


def test_a_frame_larger_than_the_window_passes(classifier: Classifier) -> None:
    large = np.full((3000, 4500, 3), 90, np.uint8)
    assert large.nbytes > WINDOW
    frames = [Frame(large, n, float(n), None) for n in range(3)]
    assert [one.seq for _, one in observe_all(Pipeline(Detector(), classifier, "a"), frames, 1)] == [0, 1, 2]


def test_what_came_before_an_error_comes_out_before_it(
    detector: Detector, classifier: Classifier, frames: list[Frame]
) -> None:
    def broken() -> Iterator[Frame]:
        yield from frames[:7]
        raise InputError("the disk has gone")

    observations = observe_all(Pipeline(detector, classifier, "a"), broken(), 2)
    assert [next(observations)[1].seq for _ in range(7)] == list(range(7))
    with pytest.raises(InputError, match="the disk has gone"):
        next(observations)


def test_an_error_of_the_model_ends_it(detector: Detector, classifier: Classifier, frames: list[Frame]) -> None:
    class Failing(Pipeline):
        def find(self, *_: object) -> Found:
            raise InputError("no")

    with pytest.raises(InputError, match="no"):
        list(observe_all(Failing(detector, classifier, "a"), frames, 2))


def test_who_leaves_early_leaves_no_thread_behind(
    detector: Detector, classifier: Classifier, frames: list[Frame]
) -> None:
    before = threading.active_count()
    endless = (replace(frames[0], index=n, offset_s=n / 20) for n in range(10**9))
    observations = observe_all(Pipeline(detector, classifier, "a"), endless, 3)
    assert next(observations)[1].seq == 0
    assert threading.active_count() > before
    observations.close()
    end = time.monotonic() + 20
    while threading.active_count() > before and time.monotonic() < end:
        time.sleep(0.01)
    assert threading.active_count() == before


def test_at_least_one_core_is_there() -> None:
    assert cores() >= 1
