"""An album of many photos: how long `mien report album` takes for each, its memory, and that a kill costs nothing.

    python benchmarks/album.py [--photos 10000] [--from FOLDER]

The photos are crops, turns, and lighter and darker copies of a few: those in FOLDER, or the demo's portrait. All are
different files of 0.2 to 1.6 megapixels. The report is killed (SIGKILL) when a third of them is measured, run again to
its end, and run a third time, when everything is known.
"""

from __future__ import annotations

import argparse
import io
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageEnhance

from mien.media.demo import PORTRAIT


def main() -> None:
    """Print a table."""
    options = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    options.add_argument("--photos", type=int, default=10_000)
    options.add_argument("--from", dest="given", type=Path, metavar="FOLDER")
    asked = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="mien-album-") as folder:
        home = Path(folder)
        began = time.perf_counter()
        size = make(home / "photos", asked.photos, asked.given)
        print(
            f"{asked.photos:,} photos of {size / asked.photos / 1000:.0f} kB, "
            f"made in {time.perf_counter() - began:.0f} s"
        )
        measure(home, asked.photos)


def make(folder: Path, count: int, given: Path | None) -> int:
    """Write so many different photos, and return how many bytes they have."""
    folder.mkdir()
    files = sorted(given.glob("*.jpg")) if given else [PORTRAIT]
    originals = [Image.open(file).convert("RGB") for file in files]
    rng, total = random.Random(3), 0
    for number in range(count):
        photo = originals[number % len(originals)]
        width, height = photo.size
        share = rng.uniform(0.7, 1.0)
        left, top = rng.uniform(0, 1 - share) * width, rng.uniform(0, 1 - share) * height
        photo = photo.crop((int(left), int(top), int(left + share * width), int(top + share * height)))
        side = rng.choice((480, 800, 1280))
        photo = photo.resize((side, max(1, round(side * photo.height / photo.width)))).rotate(rng.uniform(-8, 8))
        packed = io.BytesIO()
        ImageEnhance.Brightness(photo).enhance(rng.uniform(0.6, 1.3)).save(packed, "jpeg", quality=rng.randint(70, 92))
        (folder / f"{number:05d}.jpg").write_bytes(packed.getvalue())
        total += packed.tell()
    return total


def measure(home: Path, photos: int) -> None:
    """Kill a report, run it to its end, run it again; print what each took."""
    command = [sys.executable, "-m", "mien", "report", "album", "photos", "--best", "100", "-o", "album.html"]
    began = time.perf_counter()
    process = subprocess.Popen(command, cwd=home, env=os.environ | {"MIEN_HOME": str(home / "state")})
    while process.poll() is None and kept(home) < photos // 3:
        time.sleep(0.2)
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = kept(home)
    print(f"killed after {before:,} photos, {time.perf_counter() - began:.0f} s")
    rest = run(home, command)
    measured = kept(home)
    again = run(home, command)
    print(
        f"run again: {measured - before:,} more in {rest:.0f} s, {1000 * rest / max(1, measured - before):.0f} ms each"
    )
    print(f"run a third time: {kept(home) - measured} more in {again:.1f} s")
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(
        f"memory: at most {peak:.0f} MB; page {(home / 'album.html').stat().st_size / 1e6:.1f} MB, "
        f"contact sheet {(home / 'album.sheet.jpg').stat().st_size / 1e6:.1f} MB"
    )
    if measured != photos or kept(home) != measured:
        sys.exit(f"{photos:,} photos, but {measured:,} measurements")


def run(home: Path, command: Sequence[str]) -> float:
    """Run a command to its end and return how long it took, in seconds."""
    began = time.perf_counter()
    subprocess.run(command, cwd=home, env=os.environ | {"MIEN_HOME": str(home / "state")}, check=True)
    return time.perf_counter() - began


def kept(home: Path) -> int:
    """Return how many photos were measured so far."""
    files = list((home / "state" / "reports").glob("photos-*.jsonl"))
    return sum(file.read_bytes().count(b"\n") for file in files)


if __name__ == "__main__":
    main()
