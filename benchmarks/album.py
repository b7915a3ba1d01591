"""An album of many photos: how long `mien report album` takes for each, its memory, and that a kill costs nothing.

    python benchmarks/album.py [--photos 10000] [--from FOLDER]
    python benchmarks/album.py --copies [--from FOLDER] [--seed 1] [--data fer2013.parquet]
    python benchmarks/album.py --eyes --data fer2013.parquet --mesh fer2013_mesh.parquet

With --copies: whether a copy that was made worse (darkened, burnt out, blurred, shaken, noisy, strongly compressed) is
ever chosen in place of the photo it is of, for each of the seven emotions, alone beside it and among all others; the
photos are those in FOLDER and their single faces. With --seed the strengths are drawn anew. With --data also what
bringing faces into the light does to the accuracy on FER-2013's PublicTest.

With --eyes: how many closed eyes, and faces that look aside, are told on PublicTest, against what a face mesh saw.

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
from mien.reports.album.selection import ASIDE, OPEN, UPRIGHT, choose, grouped, rated
from mien.reports.base.job import Job
from mien.vision.detector import Detector, lit

Worsening = Callable[[NDArray[np.uint8]], NDArray[np.uint8]]


def main() -> None:
    """Print a table."""
    options = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    options.add_argument("--photos", type=int, default=10_000)
    options.add_argument("--from", dest="given", type=Path, metavar="FOLDER")
    options.add_argument("--copies", action="store_true")
    options.add_argument("--seed", type=int, help="draw other strengths")
    options.add_argument("--eyes", action="store_true")
    options.add_argument("--data", type=Path, metavar="PARQUET")
    options.add_argument("--mesh", type=Path, metavar="PARQUET")
    asked = options.parse_args()
    if asked.eyes:
        compare_eyes(asked.data, asked.mesh)
        return
    if asked.copies:
        compare_copies(asked.given, WORSE if asked.seed is None else drawn(asked.seed))
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


def _times(by: float) -> Worsening:
    return _levels(lambda light: by * light)


def _plus(by: float) -> Worsening:
    return _levels(lambda light: light + by)


def _powered(by: float) -> Worsening:
    return _levels(lambda light: light**by)


def _blurred(width: float) -> Worsening:
    return lambda photo: np.asarray(cv2.GaussianBlur(photo, (0, 0), width * max(photo.shape) / 480), np.uint8)


def _shaken(width: float, *, down: bool = False) -> Worsening:
    def shake(photo: NDArray[np.uint8]) -> NDArray[np.uint8]:
        length = max(3, round(width * max(photo.shape) / 480))
        shape = (length, 1) if down else (1, length)
        return np.asarray(cv2.filter2D(photo, -1, np.full(shape, 1 / length)), np.uint8)

    return shake


def _noisy(spread: float, seed: int = 0) -> Worsening:
    def add(photo: NDArray[np.uint8]) -> NDArray[np.uint8]:
        noise = np.random.default_rng(seed).normal(0, spread, photo.shape)
        return np.clip(np.round(photo + noise), 0, 255).astype(np.uint8)

    return add


def _compressed(quality: float) -> Worsening:
    def compress(photo: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return np.asarray(cv2.imdecode(cv2.imencode(".jpg", photo, [cv2.IMWRITE_JPEG_QUALITY, round(quality)])[1], 1))

    return compress


def _after(first: Worsening, second: Worsening) -> Worsening:
    return lambda photo: second(first(photo))


WORSE: dict[str, Worsening] = {
    "dark, x 0.5": _times(0.5),
    "dark, x 0.3": _times(0.3),
    "dark, x 0.15": _times(0.15),
    "dark, - 0.35": _plus(-0.35),
    "dark, gamma 2.2": _powered(2.2),
    "dark, gamma 3.5": _powered(3.5),
    "burnt, x 1.6": _times(1.6),
    "burnt, x 2.2": _times(2.2),
    "burnt, + 0.2": _plus(0.2),
    "burnt, + 0.35": _plus(0.35),
    "pale, gamma 0.45": _powered(0.45),
    "pale, gamma 0.3": _powered(0.3),
    "flat, x 0.25": _levels(lambda light: 0.5 + 0.25 * (light - 0.5)),
    "blurred, 1": _blurred(1),
    "blurred, 2": _blurred(2),
    "blurred, 4": _blurred(4),
    "blurred, 8": _blurred(8),
    "shaken, 6": _shaken(6),
    "shaken, 12": _shaken(12),
    "shaken, 25": _shaken(25),
    "shaken down, 8": _shaken(8, down=True),
    "noisy, 15": _noisy(15),
    "noisy, 30": _noisy(30),
    "noisy, 60": _noisy(60),
    "JPEG 10": _compressed(10),
    "JPEG 5": _compressed(5),
    "dark and noisy": _after(_times(0.3), _noisy(12)),
    "blurred and noisy": _after(_blurred(2), _noisy(12)),
    "blurred, JPEG 10": _after(_blurred(2), _compressed(10)),
}
"""Ways to make a photo worse; widths are in pixels of a photo whose longer side has 480."""


def drawn(seed: int) -> dict[str, Worsening]:
    """Return as many ways of the same kinds, each as strong as chance has it."""
    rng = np.random.default_rng(seed)
    ways: dict[str, Worsening] = {}
    for number in range(4):
        for words, least, most, make_way in (
            ("dark, x {:.2f}", 0.12, 0.6, _times),
            ("dark, gamma {:.2f}", 1.8, 4.0, _powered),
            ("burnt, x {:.2f}", 1.5, 3.0, _times),
            ("burnt, + {:.2f}", 0.2, 0.5, _plus),
            ("pale, gamma {:.2f}", 0.25, 0.5, _powered),
            ("blurred, {:.1f}", 1.0, 9.0, _blurred),
            ("shaken, {:.0f}", 5.0, 30.0, _shaken),
            ("noisy, {:.0f}", 8.0, 60.0, _noisy),
            ("JPEG {:.0f}", 3.0, 12.0, _compressed),
        ):
            strength = rng.uniform(least, most)
            ways[f"{words.format(strength)}, {number + 1}"] = make_way(strength)
    return ways


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


def beaten(
    photos: dict[str, NDArray[np.uint8]], folder: Path, ways: dict[str, Worsening]
) -> list[tuple[str, str, Emotion]]:
    """Return which photo is beaten by which copy of it, alone or among all copies, asked for which emotion."""
    settings = checked({"home": folder / "state"}, "the benchmark")
    wins = []
    for name, photo in photos.items():
        files = [folder / "as it is.png", *(folder / f"{way}.png" for way in ways)]
        for file, picture in zip(files, [photo, *(worsen(photo) for worsen in ways.values())], strict=True):
            cv2.imwrite(str(file), picture)
        looks = [look for _, look in measured(files, settings, Job()) if isinstance(look, Measured)]
        for emotion in EMOTIONS:
            first, *copies = (rated(file, look, emotion) for file, look in zip(files, looks, strict=True))
            if first.score is None:
                continue
            for several in ([first, *copies], *([first, copy] for copy in copies)):
                each = [replace(look, group=group) for look, group in zip(several, grouped(several), strict=True)]
                if (best := choose(each, 1)[0]) is not each[0]:
                    wins.append((name, best.file.stem + (", of all" if len(each) > 2 else ""), emotion))
    return wins


def compare_copies(given: Path | None, ways: dict[str, Worsening]) -> None:
    """Print how many photos are beaten by copies that were made worse."""
    photos = photos_of([PORTRAIT, *(sorted(given.glob("*.jpg")) if given else [])])
    with tempfile.TemporaryDirectory(prefix="mien-album-") as folder:
        wins = beaten(photos, Path(folder), ways)
    names = {name for name, _, emotion in wins if emotion == "happy"}
    single = sum(not way.endswith(", of all") for _, way, _ in wins)
    print(f"asked for happy, a worse copy beats {len(names)} of {len(photos)} photos")
    print(f"asked for each emotion, {single:,} of {len(photos) * len(ways) * len(EMOTIONS):,} worse copies win")
    for line in wins:
        print("  " + ", ".join(line))


def compare_eyes(data: Path, mesh: Path) -> None:
    """Print how often open and closed eyes, and faces that look here or aside, are told as a face mesh saw them."""
    import polars as pl

    rows = pl.concat(
        [pl.read_parquet(data, columns=["image", "usage"]), pl.read_parquet(mesh)], how="horizontal"
    ).filter((pl.col("usage") == "PublicTest") & (pl.col("score") > 0.9))
    faces = np.stack([np.asarray(Image.open(io.BytesIO(image["bytes"])).convert("L")) for image in rows["image"]])
    _, geometry = Classifier.load().read(faces)
    if geometry is None:
        sys.exit("the model has no third head")
    opening = ((rows["eye_right"] + rows["eye_left"]) / 2).to_numpy()
    eyes, (yaw, pitch) = geometry.openness[:, 0], geometry.pose[:, :2].T
    known, saw = ~np.isnan(eyes), ~np.isnan(yaw)
    closed, opened = known & (opening < 0.18), known & (opening > 0.22)
    away = np.maximum(np.abs(rows["yaw"].to_numpy()), np.abs(rows["pitch"].to_numpy() - UPRIGHT))
    here = np.maximum(np.abs(yaw), np.abs(pitch - UPRIGHT)) <= ASIDE
    shares = 100 * known.mean(), 100 * saw.mean()
    print(f"{len(rows):,} faces; eyes are told of {shares[0]:.1f} %, the direction of {shares[1]:.1f} %")
    print(f"closed eyes (below 0.18): {100 * (eyes[closed] < OPEN).mean():.1f} % of {closed.sum():,} are told")
    print(f"open eyes (above 0.22): {100 * (eyes[opened] >= OPEN).mean():.1f} % of {opened.sum():,} count as open")
    for words, which in (("within 15°", away <= 15), ("beyond 25°", away > 25)):
        told = saw & which
        print(f"directions {words}: {100 * here[told].mean():.1f} % of {told.sum():,} count as looking here")


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
    killed_s = time.perf_counter() - began
    rest_s = run(home, command)
    measured = kept(home)
    again_s = run(home, command)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(f"page {(home / 'album.html').stat().st_size / 1e6:.1f} MB, "
          f"contact sheet {(home / 'album.sheet.jpg').stat().st_size / 1e6:.1f} MB")  # fmt: skip
    more, further = measured - before, kept(home) - measured
    print(f"{photos:,} photos: killed after {before:,} in {killed_s:.0f} s, then {more:,} more in {rest_s:.0f} s, then "
          f"{further:,} more in {again_s:.0f} s; {photos - measured:,} missing; at most {peak:.0f} MB")  # fmt: skip
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
