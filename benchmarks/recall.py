"""Which faces are found: small, leaning, dark, in a crowd; and how far leaning eyes are found to lean.

    python benchmarks/recall.py SAMPLES

SAMPLES is a folder with photos of groups (group-1.jpg, group-5.jpg, five-faces.jpg, one-face.jpg). Their people are
cut out and set on a plain ground with a camera's noise, so that it is known who is where. Found is a face whose box
overlaps the true one by 0.3 (IoU) or more.
"""

from __future__ import annotations

import argparse
import timeit
from collections.abc import Callable, Iterable, Sequence
from datetime import date
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

import clips
from mien.media.base import Image
from mien.run.bench import machine
from mien.vision.detector import Detector, FaceDetector, Faces
from mien.vision.schedule import PhotoDetector
from tracking import pairs

VGA, HD = (640, 360), (1280, 720)
NOISE = 3
"""The camera's, standard deviation of 255."""


def group(
    cast: Sequence[clips.Person], size: tuple[int, int], columns: int, rows: int, side: float, angle: float = 0.0
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Return a picture of people in a grid, every other turned the other way, and the faces' boxes."""
    width, height = size
    canvas = np.tile(np.linspace(90, 150, width, dtype=np.float32)[None, :, None], (height, 1, 3))
    boxes = []
    for number in range(columns * rows):
        person = cast[number % len(cast)]
        scale = side / float(person.face[2:].max())
        middle = person.face[:2] + person.face[2:] / 2
        place = np.array([(number % columns + 0.5) * width / columns, (number // columns + 0.5) * height / rows])
        centre = (float(middle[0]), float(middle[1]))
        turn = np.asarray(cv2.getRotationMatrix2D(centre, angle * (-1) ** number, scale), np.float64)
        turn[:, 2] += place - middle
        # Blurred as much as it is shrunk, or single pixels would be picked out of it.
        soft = cv2.GaussianBlur(person.picture, (0, 0), max(0.3, 0.4 / scale))
        shown = cv2.warpAffine(soft, turn, size, flags=cv2.INTER_LINEAR).astype(np.float32)
        opaque = cv2.warpAffine(person.opaque, turn, size).astype(np.float32)[..., None]
        canvas += opaque * (shown - canvas)
        boxes.append(np.concatenate([place - person.face[2:] * scale / 2, person.face[2:] * scale]))
    return canvas, np.array(boxes)


def camera(canvas: NDArray[np.float32], light: float = 1.0) -> Image:
    """Return what a camera makes of a picture in so much light."""
    noise = np.random.default_rng(7).normal(0, NOISE, canvas.shape)
    return np.clip(light * canvas + noise, 0, 255).astype(np.uint8)


def found(detector: FaceDetector, image: Image, truth: NDArray[np.float64]) -> tuple[int, int, int]:
    """Return how many people there are, how many of them were found, and how many others."""
    boxes = detector.detect(image).boxes.astype(float)
    seen = len(pairs(boxes, truth, 0.3)) if len(boxes) else 0
    return len(truth), seen, len(boxes) - seen


def recalls(cast: Sequence[clips.Person]) -> Iterable[tuple[str, tuple[int, int, int]]]:
    """Yield what was asked for, and what was found."""
    usual, fine = Detector(), Detector(max_side=1280)
    for side in (12, 16, 20, 24, 32, 48):
        yield f"{side} px, 640x360", found(usual, *_shown(cast, VGA, 8, 4, side))
    for side in (24, 32, 48):
        picture = _shown(cast, HD, 8, 4, side)
        yield f"{side} px, 1280x720", found(usual, *picture)
        yield f"{side} px, 1280x720, as a photo", found(PhotoDetector(usual), *picture)
        yield f"{side} px, 1280x720, `max_side` 1280", found(fine, *picture)
    for side in (24, 48):
        for angle in (15, 30, 45):
            yield f"{side} px, turned by ±{angle}°", found(usual, *_shown(cast, VGA, 8, 4, side, angle))
    for share in (0.5, 0.25, 0.12, 0.06):
        canvas, truth = group(cast, VGA, 8, 4, 48)
        yield f"48 px, {share:.0%} of the light", found(usual, camera(canvas, share), truth)
    yield "30 people, 24 px, 640x360", found(usual, *_shown(cast, VGA, 6, 5, 24))
    yield "30 people, 40 px, 640x360", found(usual, *_shown(cast, VGA, 6, 5, 40))
    yield "30 people, 60 px, 1280x720", found(usual, *_shown(cast, HD, 6, 5, 60))


def _shown(cast: Sequence[clips.Person], size: tuple[int, int], *how: float) -> tuple[Image, NDArray[np.float64]]:
    canvas, truth = group(cast, size, *how)  # type: ignore[arg-type]
    return camera(canvas), truth


def twice(photos: Sequence[Path]) -> Iterable[tuple[str, ...]]:
    """Yield of each photo, at some sizes: how many faces one look finds, how many two, and what one and both take."""
    detector = Detector()
    for photo in photos:
        whole = clips.read(photo)
        for width in sorted({640, 1280, whole.shape[1]}):
            scale = width / whole.shape[1]
            image = np.asarray(cv2.resize(whole, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)
            once, closely = detector.detect(image), detector.detect_closely(image)
            took = [min(timeit.repeat(look, number=1, repeat=5)) * 1000 for look in _looks(detector, image)]
            smallest = f"{closely.boxes[:, 2:].max(1).min():.0f} px" if len(closely) else ""
            size = f"{image.shape[1]}x{image.shape[0]}"
            yield photo.stem, size, smallest, str(len(once)), str(len(closely)), *(f"{ms:.0f} ms" for ms in took)


def _looks(detector: Detector, image: Image) -> list[Callable[[], Faces]]:
    return [lambda: detector.detect(image), lambda: detector.detect_closely(image)]


def rolls(cast: Sequence[clips.Person], angle: float, side: float) -> list[float]:
    """Return how far each person's eyes are found to lean in degrees; those who are not found are left out."""
    detector, wide = Detector(confidence=0.5), round(2.5 * side)
    leaning = []
    for person in cast:
        canvas, truth = group([person], (wide, wide), 1, 1, side, -angle)
        faces = detector.detect(camera(canvas))
        if len(faces) and (match := pairs(faces.boxes.astype(float), truth, 0.3)):
            right, left = faces.landmarks[match[0][0], :2]
            leaning.append(float(np.degrees(np.arctan2(*(left - right)[::-1]))))
    return leaning


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("samples", type=Path)
    samples = parser.parse_args().samples
    cast = clips.people([samples / f"{name}.jpg" for name in ("five-faces", "group-5", "group-1", "one-face")])
    print(f"{len(cast)} people; {date.today()}, {machine()}\n")  # noqa: DTZ011
    print("| faces | people | found | others |\n|---|---|---|---|")
    for name, (people, seen, others) in recalls(cast):
        print(f"| {name} | {people} | {seen} | {others} |")
    print("\nPhotos, looked at once and closely:\n")
    print("| photo | size | smallest face | found by one look | closely | one look | closely |\n" + "|---" * 7 + "|")
    for line in twice([samples / f"{name}.jpg" for name in ("one-face", "five-faces", "group-5", "group-1")]):
        print("| " + " | ".join(line) + " |")
    sides = (64, 96, 128, 160, 192, 224)
    print("\nMedian of the roll that was found, by the face's side:\n")
    print("| turned by | " + " | ".join(f"{side} px" for side in sides) + " |\n" + "|---" * (len(sides) + 1) + "|")
    for angle in (0, -20, -30, 20, 30):
        medians = " | ".join(f"{np.median(rolls(cast, angle, side)):.0f}°" for side in sides)
        print(f"| {angle}° | {medians} |")


if __name__ == "__main__":
    main()
