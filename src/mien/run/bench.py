"""How fast this machine is: a video goes in, milliseconds per part and frame come out.

Each frame takes the way that it takes in `mien analyze`, one after the other, with clocks beside it; then all of them
once more on all cores, as `mien analyze` does it.
"""

from __future__ import annotations

import os
import platform
import tempfile
import time
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from mien.config import VisionSettings
from mien.errors import InputError
from mien.media.demo import Demo
from mien.media.encode import VideoWriter
from mien.media.open import open_source
from mien.system.machine import peak_bytes
from mien.vision.parallel import observe_all
from mien.vision.pipeline import Pipeline, load_models

__all__ = ["PARTS", "BenchReport", "bench", "machine"]

PARTS = ("decode", "detect", "classify", "track", "total")
"""What is measured; `track` holds all that is no other part: crops, tracks, smoothing, the record."""

WARM_UP = 5
"""So many frames go before the clock starts."""

DEMO_FRAMES = 200


@dataclass
class BenchReport:
    """What was measured.

    Attributes:
        milliseconds: Of each part, one number per frame.
        faces: How many faces there were.
        read: How many of them were read; the others were carried on, see `mien.vision.readings`.
        size: Width and height of the frames, in pixels.
        together: Frames a second where all cores work at once, as in `mien analyze`.
        model_id: The emotion model.
        runs_on: On what it is computed.
        peak_mb: The most memory that this process had, in MiB; 0 where the system does not tell.
    """

    milliseconds: dict[str, list[float]] = field(default_factory=lambda: {part: [] for part in PARTS})
    faces: int = 0
    read: int = 0
    size: tuple[int, int] = (0, 0)
    together: float = 0.0
    model_id: str = ""
    runs_on: str = ""
    peak_mb: float = 0.0

    @property
    def faces_per_second(self) -> float:
        """How many faces a second pass through, one frame after the other."""
        return 1000 * self.faces / max(1e-6, sum(self.milliseconds["total"]))

    def rows(self) -> list[tuple[str, float, float, float]]:
        """Return of each part its name, frames a second, and milliseconds a frame: median and 99th percentile."""
        rows = []
        for part, values in self.milliseconds.items():
            p50, p99 = np.percentile(values, (50, 99))
            rows.append((part, 1000 / max(1e-6, float(np.mean(values))), float(p50), float(p99)))
        return rows


def bench(settings: VisionSettings, video: Path | None = None, seconds: float = 10.0) -> BenchReport:
    """Measure how fast the faces of a video are read.

    Args:
        settings: How they are read.
        video: A video; None: the beginning of the demo clip, written to a temporary file first.
        seconds: End after this time, but not before a frame was measured.

    Raises:
        InputError: It cannot be read, has no end, or has too few frames.
        ModelError: A model is missing or cannot be used.
    """
    if video is not None:
        return _measure(settings, str(video), seconds)
    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder) / "demo.mp4"
        with Demo() as demo, VideoWriter(clip) as writer:
            for frame in islice(demo, DEMO_FRAMES):
                writer.write(frame.image, frame.offset_s or 0.0)
        return _measure(settings, str(clip), seconds)


def machine() -> str:
    """Return what this machine is, in a line."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    except OSError:
        model = platform.processor()
    system = f"{platform.system()}, Python {platform.python_version()}"
    return f"{model or platform.machine()}, {os.cpu_count()} cores, {system}"


class _Timed:
    """A detector or classifier with a clock beside it.

    Args:
        timed: Whose methods are called.
        methods: Those whose time is added up, in milliseconds, in `ms`.
    """

    def __init__(self, timed: Any, *methods: str) -> None:
        self.ms = 0.0
        self._timed, self._methods = timed, methods

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._timed, name)
        if name not in self._methods:
            return value

        def measured(*args: Any) -> Any:
            began = time.perf_counter()
            answer = value(*args)
            self.ms += (time.perf_counter() - began) * 1000
            return answer

        return measured


def _measure(settings: VisionSettings, video: str, seconds: float) -> BenchReport:
    models = load_models(settings)
    detector: Any = _Timed(models[0], "detect", "detect_coarsely", "detect_near", "with_offsets", "detect_in_tile")
    classifier: Any = _Timed(models[1], "classify", "read")
    report = BenchReport()
    with open_source(video) as source:
        if source.live:
            raise InputError(f"cannot measure with '{video}': it is live, and its own pace would be measured")
        pipeline = _pipeline(detector, classifier, settings)
        end, began = time.perf_counter() + seconds, time.perf_counter()
        for count, frame in enumerate(source):
            decoded = time.perf_counter()
            detector.ms = classifier.ms = 0.0
            observation = pipeline.observe(frame)
            now = time.perf_counter()
            decode, total = (decoded - began) * 1000, (now - began) * 1000
            track = total - decode - detector.ms - classifier.ms
            if count >= WARM_UP:
                values = (decode, detector.ms, classifier.ms, track, total)
                for part, value in zip(PARTS, values, strict=True):
                    report.milliseconds[part].append(value)
                report.faces += len(observation.faces)
                report.read += sum(face.read for face in observation.faces)
                report.size = observation.width, observation.height
            if now > end and count >= WARM_UP:
                break
            began = time.perf_counter()
    if not report.milliseconds["total"]:
        raise InputError(f"cannot measure with '{video}': it has too few frames, expected more than {WARM_UP}")
    report.together = _together(_pipeline(detector, classifier, settings), video, seconds)
    report.model_id, report.runs_on = classifier.model_id, classifier.runs_on
    report.peak_mb = (peak_bytes() or 0) / 2**20
    return report


def _pipeline(detector: Any, classifier: Any, settings: VisionSettings) -> Pipeline:
    return Pipeline(detector, classifier, "bench", smoothing_s=settings.smoothing_s, read_every_s=settings.read_every_s)


def _together(pipeline: Pipeline, video: str, seconds: float) -> float:
    """Return how many frames a second all cores read; end after so many seconds at the latest."""
    count, began = 0, time.perf_counter()
    with open_source(video) as source:
        for _ in observe_all(pipeline, source):
            count += 1
            if time.perf_counter() - began > seconds:
                break
    return count / (time.perf_counter() - began)
