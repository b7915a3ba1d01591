"""What a full hall costs: 29 faces at 1280x720, a face at 640x360, and twelve cameras in one watch.

    python benchmarks/hall.py SAMPLES [--seconds 6]

SAMPLES is a folder with one-face.mp4 and photos of groups (group-1.jpg, group-5.jpg, five-faces.jpg, one-face.jpg), of
whose people the hall is made. Milliseconds are those of the processor, so that a busy machine changes them little; the
hall and the cameras run on one core. Frames a second are what those milliseconds allow, and what the clock showed.
"""

from __future__ import annotations

import argparse
import logging
import os
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from itertools import islice
from pathlib import Path

import numpy as np
from msgspec.structs import astuple

import clips
import flicker
from mien.api import Analyzer
from mien.config import Settings, VisionSettings, checked
from mien.edge.watch import run_watch
from mien.media.base import Frame, Image
from mien.media.demo import Demo
from mien.media.encode import VideoWriter
from mien.media.open import open_source
from mien.observation import Observation
from mien.system.machine import peak_bytes
from mien.vision.pipeline import Pipeline, load_models
from tracking import overlaps

CAMERAS, EACH_FPS = 12, 5

ALL = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []


def on(cores: int) -> None:
    """Let this process run on so many cores."""
    if ALL:
        os.sched_setaffinity(0, ALL[:cores])


def write(path: Path, frames: Iterator[tuple[Image, float]]) -> Path:
    """Write a clip and return its path."""
    with VideoWriter(path) as writer:
        for image, at in frames:
            writer.write(image, at)
    return path


def reading_once(faces: int) -> float:
    """Return how many milliseconds it takes to read so many faces once."""
    classifier, times = load_models(VisionSettings())[1], []
    crops = np.random.default_rng(1).integers(0, 256, (faces, 48, 48), np.uint8)
    for _ in range(8):
        began = time.process_time()
        classifier.read(crops)
        times.append(1000 * (time.process_time() - began))
    return float(np.median(times))


def in_turn(clip: Path) -> None:
    """Print what a frame of a clip costs on its way to an observation, one after the other on one core."""
    on(1)
    decode: list[float] = []
    observe: list[float] = []
    faces = read = 0
    with open_source(str(clip)) as source:
        pipeline = Pipeline(*load_models(VisionSettings()), source.name)
        before, began = time.process_time(), time.perf_counter()
        for frame in source:
            decoded = time.process_time()
            observation = pipeline.observe(frame)
            decode.append(1000 * (decoded - before))
            before = time.process_time()
            observe.append(1000 * (before - decoded))
            faces += len(observation.faces)
            read += sum(face.read for face in observation.faces)
    passed = time.perf_counter() - began
    total = float(np.mean(decode) + np.mean(observe))
    once = reading_once(round(faces / len(decode)))
    print(f"  {faces / len(decode):.1f} faces a frame, of which {read / len(decode):.1f} are read")
    print(f"  decode {np.mean(decode):.1f} ms, observe {np.mean(observe):.1f} (p99 {np.percentile(observe, 99):.1f})")
    print(f"  reading all faces once {once:.1f} ms: a frame costs {total / once:.2f} of it")
    print(f"  {1000 / total:.1f} frames/s on one core that is free, {len(decode) / passed:.1f} by the clock")


def together(clip: Path, rounds: int = 2) -> None:
    """Print how fast `analyze_video` is on all cores."""
    on(len(ALL))
    analyzer = Analyzer()
    count = len(analyzer.analyze_video(clip, end=0.5))
    for _ in range(rounds):
        began, burnt = time.perf_counter(), time.process_time()
        count = len(analyzer.analyze_video(clip))
        passed, burnt = time.perf_counter() - began, time.process_time() - burnt
        allowed = len(ALL) * count / burnt
        print(
            f"  analyze_video {1000 * burnt / count:.2f} ms a frame: {allowed:.0f} frames/s on {len(ALL)} free cores,"
        )
        print(f"    {count / passed:.0f} by the clock; {(peak_bytes() or 0) / 2**20:.0f} MiB at most")


def recall(clip: Path) -> None:
    """Print how many faces that a look at each whole frame finds are found by need too, and the other way round."""
    detector, classifier = load_models(VisionSettings())
    whole = shared = by_need = 0
    with open_source(str(clip)) as source:
        pipeline = Pipeline(detector, classifier, source.name)
        for frame in source:
            there = detector.detect(frame.image).boxes
            boxes = np.array([face.box for face in pipeline.observe(frame).faces], np.float32).reshape(-1, 4)
            alike = overlaps(there, boxes) > 0.3
            whole, by_need = whole + len(there), by_need + len(boxes)
            shared += min(int(alike.any(1).sum()), int(alike.any(0).sum()))
    print(f"  of {whole} faces in whole frames {shared / whole:.1%} are found by need")
    print(f"  of {by_need} found by need {shared / by_need:.1%} are in whole frames")


def means(name: str, frames: list[Frame]) -> None:
    """Print how far the mean probabilities lie from those of reading each frame."""
    rows = []
    for every in (0.0, VisionSettings().read_every_s):
        pipeline = Pipeline(*load_models(VisionSettings()), "clip", read_every_s=every)
        faces = [face for frame in frames for face in pipeline.observe(frame).faces]
        rows.append(100 * np.mean([astuple(face.probabilities) for face in faces], 0))
    print(f"  {name}: {np.abs(rows[0] - rows[1]).max():.2f} points at most from reading each frame")


def cameras(clip: Path, seconds: float) -> None:
    """Print how many frames of twelve cameras are analysed, of those that they give."""
    on(1)
    seen: Counter[str] = Counter()
    stop = threading.Event()

    def note(_: object, observation: Observation) -> None:
        seen[observation.source] += 1

    with tempfile.TemporaryDirectory() as home:
        listed = [{"name": f"camera-{n}", "url": str(clip), "loop": True} for n in range(CAMERAS)]
        given = {"source": listed, "watch": {"fps": EACH_FPS}}
        settings = checked(Settings(home=Path(home)).model_dump() | given, "this benchmark")
        thread = threading.Thread(target=run_watch, args=(settings, [], stop), kwargs={"frame_callback": note})
        thread.start()
        while len(seen) < CAMERAS:
            time.sleep(0.1)
        time.sleep(1)
        seen.clear()
        began, burnt = time.perf_counter(), time.process_time()
        time.sleep(seconds)
        passed, burnt = time.perf_counter() - began, time.process_time() - burnt
        counted = sorted(seen.values())
        stop.set()
        thread.join()
    print(f"  {counted[0] / passed:.2f} to {counted[-1] / passed:.2f} frames/s each of {len(counted)} cameras")
    print(f"  {1000 * burnt / sum(counted):.1f} ms a frame: {burnt / passed:.0%} of one core")


def main() -> None:
    """Print the figures."""
    options = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    options.add_argument("samples", type=Path)
    options.add_argument("--seconds", type=float, default=6)
    asked = options.parse_args()
    logging.disable(logging.WARNING)
    photos = [asked.samples / f"{name}.jpg" for name in ("group-1", "group-5", "five-faces", "one-face")]
    print(f"{datetime.now().astimezone():%Y-%m-%d %H:%M}, load {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory() as folder:
        frames = clips.hall(clips.people(photos), asked.seconds)
        hall = write(Path(folder) / "hall.mp4", ((frame.image, frame.offset_s or 0.0) for frame, _ in frames))
        with Demo() as demo:
            shown = ((frame.image, frame.offset_s or 0.0) for frame in islice(demo, 200))
            face = write(Path(folder) / "face.mp4", shown)
        print("a hall, 1280x720, 25 frames/s")
        in_turn(hall)
        recall(hall)
        together(hall, 1)
        for name, clip in (("one-face.mp4", asked.samples / "one-face.mp4"), ("the demo", face)):
            print(f"one face, 640x360, {name}")
            in_turn(clip)
            together(clip)
        print("mean probabilities")
        with open_source(str(asked.samples / "one-face.mp4")) as source:
            means("one-face.mp4", list(source))
        means("a face that talks for 12 s", list(flicker.talking(12)))
        print(f"{CAMERAS} cameras of a face, 640x360, at {EACH_FPS} frames/s each, in one watch on one core")
        cameras(face, asked.seconds)


if __name__ == "__main__":
    main()
