"""An album of many photos: how long `mien report album` takes for each, its memory, and that a kill costs nothing.

    python benchmarks/album.py [--photos 10000] [--from FOLDER]
    python benchmarks/album.py --copies [--from FOLDER] [--data fer2013.parquet]

With --copies: whether a copy that was made worse (darkened, burnt out, blurred, shaken) is ever chosen in place of the
photo it is of, for each of the seven emotions; the photos are those in FOLDER and
their single faces. With --data also what bringing faces into the light does to the accuracy on FER-2013's PublicTest.

Without it:

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
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance

from mien.config import checked
from mien.media.demo import PORTRAIT
from mien.media.photos import read_photo
from mien.models.classifier import SHIPPED, Classifier
from mien.observation import EMOTIONS, Emotion
from mien.reports.album.measure import Measured, measured
from mien.reports.album.selection import choose, grouped, rated
from mien.reports.base.job import Job
from mien.vision.detector import Detector, lit

Worsening = Callable[[NDArray[np.uint8]], NDArray[np.uint8]]


def main() -> None:
    """Print a table."""
    options = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    options.add_argument("--photos", type=int, default=10_000)
    options.add_argument("--from", dest="given", type=Path, metavar="FOLDER")
    options.add_argument("--copies", action="store_true")
    options.add_argument("--data", type=Path, metavar="PARQUET")
    asked = options.parse_args()
    if asked.copies:
        compare_copies(asked.given)
        if asked.data:
            compare_light(asked.data)
        return
    with tempfile.TemporaryDirectory(prefix="mien-album-") as folder:
        home = Path(folder)
        began = time.perf_counter()
        size = make(home / "photos", asked.photos, asked.given)
        print(
            f"{asked.photos:,} photos of {size / asked.photos / 1000:.0f} kB, "
            f"made in {time.perf_counter() - began:.0f} s"
        )
        measure(home, asked.photos)


def _levels(change: Callable[[NDArray[np.float64]], NDArray[np.float64]]) -> Worsening:
    table = np.clip(np.round(255 * change(np.arange(256) / 255)), 0, 255).astype(np.uint8)
    return lambda photo: np.asarray(cv2.LUT(photo, table), np.uint8)


def _blurred(width: float) -> Worsening:
    return lambda photo: np.asarray(cv2.GaussianBlur(photo, (0, 0), width * max(photo.shape) / 480), np.uint8)


def _shaken(width: float) -> Worsening:
    def shake(photo: NDArray[np.uint8]) -> NDArray[np.uint8]:
        length = max(3, round(width * max(photo.shape) / 480))
        return np.asarray(cv2.filter2D(photo, -1, np.full((1, length), 1 / length)), np.uint8)

    return shake


WORSE: dict[str, Worsening] = {
    "dark, x 0.3": _levels(lambda light: 0.3 * light),
    "dark, x 0.15": _levels(lambda light: 0.15 * light),
    "dark, - 0.35": _levels(lambda light: light - 0.35),
    "burnt, x 2.2": _levels(lambda light: 2.2 * light),
    "burnt, + 0.35": _levels(lambda light: light + 0.35),
    "blurred, 2": _blurred(2),
    "blurred, 4": _blurred(4),
    "blurred, 8": _blurred(8),
    "shaken, 12": _shaken(12),
    "shaken, 25": _shaken(25),
}
"""Ways to make a photo worse; widths are in pixels of a photo whose longer side has 480."""


def photos_of(files: Sequence[Path]) -> dict[str, NDArray[np.uint8]]:
    """Return photos by name, and of those with several faces each face with what is around it."""
    detector = Detector()
    photos: dict[str, NDArray[np.uint8]] = {}
    for file in files:
        photo, _ = read_photo(file)
        photos[file.stem] = np.asarray(photo, np.uint8)
        boxes = detector.detect_closely(photo).boxes
        for number, (x, y, width, height) in enumerate(boxes if len(boxes) > 1 else ()):
            around = 0.7 * max(width, height)
            top, left = max(0, int(y - around)), max(0, int(x - around))
            part = photo[top : int(y + height + around), left : int(x + width + around)]
            size = (480, round(480 * part.shape[0] / part.shape[1]))
            photos[f"{file.stem}, face {number + 1}"] = np.asarray(
                cv2.resize(part, size, interpolation=cv2.INTER_CUBIC)
            )
    return photos


def beaten(photos: dict[str, NDArray[np.uint8]], folder: Path) -> list[tuple[str, str, Emotion]]:
    """Return which photo is beaten by which copy of it, asked for which emotion."""
    settings = checked({"home": folder / "state"}, "the benchmark")
    found = []
    for name, photo in photos.items():
        files = [folder / "as it is.png", *(folder / f"{way}.png" for way in WORSE)]
        for file, picture in zip(files, [photo, *(worsen(photo) for worsen in WORSE.values())], strict=True):
            cv2.imwrite(str(file), picture)
        looks = [one for _, one in measured(files, settings, Job()) if isinstance(one, Measured)]
        for emotion in EMOTIONS:
            first, *copies = (rated(file, look, emotion) for file, look in zip(files, looks, strict=True))
            for copy in copies:
                pair = [first, copy]
                pair = [replace(one, group=group) for one, group in zip(pair, grouped(pair), strict=True)]
                if choose(pair, 1)[:1] == pair[1:] and first.score is not None:
                    found.append((name, copy.file.stem, emotion))
    return found


def compare_copies(given: Path | None) -> None:
    """Print how many photos are beaten by copies that were made worse."""
    photos = photos_of([PORTRAIT, *(sorted(given.glob("*.jpg")) if given else [])])
    with tempfile.TemporaryDirectory(prefix="mien-album-") as folder:
        found = beaten(photos, Path(folder))
    names = {name for name, _, emotion in found if emotion == "happy"}
    print(f"asked for happy, a worse copy beats {len(names)} of {len(photos)} photos")
    print(f"asked for each emotion, {len(found):,} of {len(photos) * len(WORSE) * len(EMOTIONS):,} worse copies win")
    for line in found:
        print("  " + ", ".join(line))


def compare_light(data: Path) -> None:
    """Print the accuracy on FER-2013's PublicTest, of its faces as they are and brought into the light."""
    import polars as pl

    test = pl.scan_parquet(data).filter(pl.col("usage") == "PublicTest").select("image", "label").collect()
    faces = np.stack([np.asarray(Image.open(io.BytesIO(image["bytes"])).convert("L")) for image in test["image"]])
    even = lit(faces)
    for model in SHIPPED:
        classifier = Classifier.load(model)
        right = [(classifier.classify(given).argmax(1) == test["label"].to_numpy()).mean() for given in (faces, even)]
        print(f"{model}: {100 * right[0]:.2f} % right as they are, {100 * right[1]:.2f} % in the light "
              f"({(faces != even).any((1, 2)).sum():,} of {len(faces):,} faces changed)")  # fmt: skip


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
