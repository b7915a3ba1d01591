"""How several sources share one machine: frames analysed of each in one `mien watch`, small ones beside huge ones.

    python benchmarks/several.py [--seconds 20]

Small clips (320x180) and huge ones (3840x2160), all of the demo, are played in loops at 25 frames a second, first each
kind alone, then together. No broker runs: what is analysed goes to the outbox of each source.
"""

from __future__ import annotations

import argparse
import logging
import tempfile
import threading
import time
from collections import Counter
from datetime import date
from itertools import islice
from pathlib import Path

import cv2
import numpy as np

from mien.config import Settings, checked
from mien.edge.watch import run_watch
from mien.media.demo import Demo
from mien.media.encode import VideoWriter
from mien.observation import Observation
from mien.run.bench import machine

SIZES = {"small": (320, 180), "huge": (3840, 2160)}
MIXES = (("small",), ("huge",), ("small", "huge"), ("small", "small", "huge", "huge"), ("small",) * 4)


def write_clips(folder: Path) -> None:
    """Write two seconds of the demo in each size."""
    for name, size in SIZES.items():
        with Demo() as demo, VideoWriter(folder / f"{name}.mp4") as video:
            for frame in islice(demo, 50):
                video.write(np.asarray(cv2.resize(frame.image, size), np.uint8), frame.offset_s or 0.0)


def rates(folder: Path, mix: tuple[str, ...], seconds: float) -> dict[str, float]:
    """Return how many frames a second are analysed of each source, from the first frame of any on."""
    began, counts, stop = 0.0, Counter[str](), threading.Event()

    def note(_: object, observation: Observation) -> None:
        nonlocal began
        if not counts:
            began = time.monotonic()
            threading.Timer(seconds, stop.set).start()
        counts[observation.source] += 1

    listed = [{"url": str(folder / f"{kind}.mp4"), "name": f"{kind}-{n}"} for n, kind in enumerate(mix, 1)]
    with tempfile.TemporaryDirectory() as home:
        settings = checked(Settings(home=Path(home)).model_dump() | {"source": listed}, "this benchmark")
        run_watch(settings, [], stop, loop=True, frame_callback=note)
    passed = time.monotonic() - began
    return {name: counts[name] / min(passed, seconds) for name in (str(one["name"]) for one in listed)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20)
    seconds = parser.parse_args().seconds
    logging.disable(logging.WARNING)
    print(f"{date.today()}, {machine()}\n\n| sources | frames/s of each |\n|---|---|")  # noqa: DTZ011
    with tempfile.TemporaryDirectory() as folder:
        write_clips(Path(folder))
        for mix in MIXES:
            found = rates(Path(folder), mix, seconds)
            cells = ", ".join(f"{name.partition('-')[0]} {rate:.1f}" for name, rate in found.items())
            print(f"| {' + '.join(mix)} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
