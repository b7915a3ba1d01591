"""How much memory `mien analyze` needs for a video, whatever its length: the demo's clip, played again and again.

    python benchmarks/memory.py [--frames 400 1600 4800] [--size 640x360 1920x1080]

Prints the peak of the whole process (VmHWM) for each size of picture and number of frames.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np

from mien.media.demo import Demo
from mien.media.encode import VideoWriter

ANALYZE = """
import sys
from pathlib import Path
from mien.config import load
from mien.run.batch import analyze_paths
analyze_paths(load({}), [Path(sys.argv[1])], output=Path(sys.argv[2]))
print(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])
"""
FPS = 25


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, nargs="+", default=[400, 1600, 4800])
    parser.add_argument("--size", nargs="+", default=["640x360", "1920x1080"], metavar="WIDTHxHEIGHT")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for size in chosen.size:
            width, height = map(int, size.split("x"))
            peaks = [f"{peak_mb(Path(folder), width, height, count):.0f} MB of {count:,}" for count in chosen.frames]
            print(f"{size}: {', '.join(peaks)} frames", flush=True)


def peak_mb(folder: Path, width: int, height: int, count: int) -> float:
    """Return what an analysis of a video of so many frames needs at its peak, in MB."""
    film, demo = folder / "film.mp4", Demo()
    images = [np.asarray(cv2.resize(demo.image(n / FPS), (width, height)), np.uint8) for n in range(2 * FPS)]
    with VideoWriter(film) as writer:
        for n in range(count):
            writer.write(images[n % len(images)], n / FPS)
    command = [sys.executable, "-c", ANALYZE, str(film), str(folder / "film.jsonl")]
    ran = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return int(ran.stdout) / 1024


if __name__ == "__main__":
    main()
