"""What a full hall costs: 29 faces at 1280x720, one face at 640x360, and twelve cameras, each on so many cores.

    python benchmarks/hall.py SAMPLES [--seconds 6] [--cores 1]

SAMPLES is a folder with one-face.mp4 and photos of groups (group-1.jpg, group-5.jpg, five-faces.jpg, one-face.jpg), of
whose people the hall is made. For each part of the way of a frame its milliseconds are told, and how many times reading
all faces once the frame costs as a whole; then the frames a second of `mien.analyze_video` on a face, and how many of
twelve cameras' five frames a second are analysed in one `mien watch` on one core.
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

import clips
from mien.api import Analyzer
from mien.config import Settings
from mien.edge.watch import run_watch
from mien.media.demo import Demo
from mien.media.encode import VideoWriter
from mien.media.open import open_source
from mien.observation import Observation
from mien.run.bench import bench
from mien.system.machine import peak_bytes
from mien.vision.pipeline import load_models

CAMERAS, EACH_FPS = 12, 5


def on(cores: int) -> None:
    """Let this process run on so many cores."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(ALL)[:cores])


ALL = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set(range(os.cpu_count() or 1))


def write(path: Path, frames: Iterator[tuple[np.ndarray, float]]) -> Path:
    """Write a clip and return its path."""
    with VideoWriter(path) as writer:
        for image, at in frames:
            writer.write(image, at)
    return path


def read_once(count: int = 29) -> float:
    """Return how many milliseconds it takes to read so many faces once."""
    classifier = load_models(Settings().vision)[1]
    faces = np.random.default_rng(1).integers(0, 256, (count, 48, 48), np.uint8)
    times = []
    for _ in range(12):
        began = time.perf_counter()
        classifier.read(faces)
        times.append(1000 * (time.perf_counter() - began))
    return float(np.median(times))


def hall(clip: Path, seconds: float, cores: int) -> None:
    """Print what each part of the way costs a frame of the hall."""
    on(1)
    once = read_once()
    report = bench(Settings().vision, clip, seconds)
    total = float(np.mean(report.milliseconds["total"]))
    frames = len(report.milliseconds["total"])
    for part, values in report.milliseconds.items():
        print(f"  {part:<9} {np.mean(values):6.1f} ms  p99 {np.percentile(values, 99):6.1f} ms")
    print(f"  {report.faces / frames:.1f} faces a frame, {1000 / total:.1f} frames/s in turn on one core")
    print(f"  reading all faces once takes {once:.1f} ms: a frame costs {total / once:.2f} of that")
    on(cores)
    began = time.perf_counter()
    count = len(Analyzer().analyze_video(clip))
    print(f"  analyze_video on {cores} cores: {count / (time.perf_counter() - began):.1f} frames/s")


def one_face(clip: Path, cores: int, rounds: int = 3) -> None:
    """Print how fast `analyze_video` is on one face."""
    on(cores)
    analyzer, rates = Analyzer(), []
    for _ in range(rounds):
        began = time.perf_counter()
        count = len(analyzer.analyze_video(clip))
        rates.append(count / (time.perf_counter() - began))
    memory = (peak_bytes() or 0) / 2**20
    print(f"  {', '.join(f'{rate:.0f}' for rate in rates)} frames/s on {cores} cores, {memory:.0f} MiB at most")


def cameras(clip: Path, seconds: float) -> None:
    """Print how many frames of twelve cameras are analysed, of those that they give."""
    on(1)
    seen: Counter[str] = Counter()
    stop = threading.Event()

    def count(_: object, observation: Observation) -> None:
        seen[observation.source] += 1

    with tempfile.TemporaryDirectory() as folder:
        sources = [{"name": f"camera-{n}", "url": str(clip), "loop": True} for n in range(CAMERAS)]
        settings = Settings.model_validate(
            {"home": folder, "mqtt": {"url": "mqtt://127.0.0.1:1"}, "watch": {"fps": EACH_FPS}, "source": sources}
        )
        thread = threading.Thread(target=run_watch, args=(settings, [], stop), kwargs={"frame_callback": count})
        thread.start()
        time.sleep(3)  # the models and connections are being opened
        seen.clear()
        began, burnt = time.perf_counter(), time.process_time()
        time.sleep(seconds)
        rates = sorted(value / (time.perf_counter() - began) for value in list(seen.values()))
        busy = (time.process_time() - burnt) / (time.perf_counter() - began)
        stop.set()
        thread.join()
    print(f"  {len(rates)} cameras: {rates[0]:.2f} to {rates[-1]:.2f} frames/s each, {busy:.0%} of one core")


def main() -> None:
    """Print the figures."""
    options = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    options.add_argument("samples", type=Path)
    options.add_argument("--seconds", type=float, default=6)
    options.add_argument("--cores", type=int, default=len(ALL))
    asked = options.parse_args()
    logging.disable(logging.WARNING)
    photos = [asked.samples / f"{name}.jpg" for name in ("group-1", "group-5", "five-faces", "one-face")]
    print(f"{datetime.now().astimezone():%Y-%m-%d %H:%M}, load {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory() as folder:
        frames = clips.hall(clips.people(photos), asked.seconds)
        full = write(Path(folder) / "hall.mp4", ((frame.image, frame.offset_s or 0.0) for frame, _ in frames))
        print("a hall, 29 faces, 1280x720, 25 frames/s")
        hall(full, 3 * asked.seconds, asked.cores)
        print("one face, 640x360, 24 frames/s")
        one_face(asked.samples / "one-face.mp4", asked.cores)
        with Demo() as demo:
            shown = ((frame.image, frame.offset_s or 0.0) for frame in islice(demo, 300))
            face = write(Path(folder) / "face.mp4", shown)
        one_face(face, asked.cores)
        print(f"{CAMERAS} cameras of a face, 640x360, at {EACH_FPS} frames/s each, in one watch on one core")
        cameras(face, asked.seconds)


if __name__ == "__main__":
    main()
