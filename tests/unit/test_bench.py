"""`mien bench`: what is measured adds up, and describes this run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from making import grey_levels, write_video

from mien.config import VisionSettings
from mien.errors import InputError
from mien.run.bench import PARTS, WARM_UP, bench, machine


def test_the_parts_of_each_frame_add_up(tiny_model: Path) -> None:
    report = bench(VisionSettings(model=tiny_model), seconds=1.0)
    assert tuple(report.milliseconds) == PARTS
    frames = list(zip(*report.milliseconds.values(), strict=True))
    assert report.faces == len(frames) > 0
    assert 0.3 < report.read / report.faces < 0.7, "at 20 frames a second each second one, more where it changes"
    assert sum(part > 0 for part in report.milliseconds["classify"]) == report.read
    assert report.faces_per_second == pytest.approx(1000 / np.mean(report.milliseconds["total"]))
    for *parts, total in frames:
        assert all(part >= 0 for part in parts)
        assert sum(parts) == pytest.approx(total)
    assert report.size == (640, 360)
    assert 30 < report.peak_mb < 4000
    for _, rate, p50, p99 in report.rows():
        assert rate > 0
        assert p50 <= p99


def test_a_video_of_ones_own(tiny_model: Path, video: Path, tmp_path: Path) -> None:
    report = bench(VisionSettings(model=tiny_model), video)
    assert len(report.milliseconds["total"]) == 40 - WARM_UP
    assert (report.faces, report.size) == (0, (64, 48))
    short = write_video(tmp_path / "short.mp4", grey_levels(3), range(0, 120, 40))
    with pytest.raises(InputError, match="too few frames, expected more than 5"):
        bench(VisionSettings(model=tiny_model), short)


def test_a_machine_that_is_slow_measures_a_frame_all_the_same(tiny_model: Path, video: Path) -> None:
    assert len(bench(VisionSettings(model=tiny_model), video, seconds=0.0).milliseconds["total"]) == 1


def test_the_machine_is_named() -> None:
    assert "cores" in machine()
    assert "\n" not in machine()
