"""Faces as the pipeline cuts them: a data set goes in, its Training faces come out as detector and crop give them.

Each face is enlarged to some size and set into a frame, as in `mien.run.pipeline_accuracy`, found and cut out. A
network that trains on such crops beside the data set's own learns to read what it will get. With --covered, faces come
out that were hidden before they were cut out, behind a mask, sunglasses or a hand, or drawn; it learns to name nothing.

    python -m mien.run.recut --data fer2013.parquet --out runs/recut.npy
    python -m mien.run.recut --data fer2013.parquet --out runs/covered.npy --covered --cuts 1 --share 0.4
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.errors import InputError, MienError
from mien.media.base import Image
from mien.run.pipeline_accuracy import GROUNDS, framed, nearest
from mien.training import data
from mien.training.bounded import SEED, number, whole
from mien.vision.detector import FaceDetector, crop, open_detector
from mien.vision.schedule import PhotoDetector

__all__ = ["COVERS", "recut"]

SMALLEST, LARGEST = 64, 192
"""The sides to which faces are enlarged, in pixels: boxes vary with them."""

COVERS = ("mask", "sunglasses", "hand", "drawing")


def recut(
    pixels: NDArray[np.uint8],
    detector: FaceDetector,
    *,
    cuts: int = 2,
    seed: int = 1,
    is_covered: bool = False,
    share: float = 1.0,
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Return faces as the pipeline cuts them out, and which of them it found.

    Args:
        pixels: Faces of a data set, shape (n, 48, 48), uint8.
        detector: Finds them.
        cuts: How often each is set into a frame: at another size each time, by turns on each of GROUNDS.
        seed: Of all that is drawn by chance.
        is_covered: Whether they are hidden, each by one of COVERS, once they were found.
        share: Of the faces that are looked for; the others count as not found.

    Returns:
        Shape (n, cuts, 48, 48), uint8, a face that was not found as it stands in the data set, or, where faces are to
        be covered, all black; and (n, cuts), bool.
    """
    random = np.random.default_rng(seed)
    sides = np.round(np.exp(random.uniform(np.log(SMALLEST), np.log(LARGEST), (len(pixels), cuts)))).astype(int)
    first = random.integers(len(GROUNDS), size=len(pixels))
    crops = np.repeat(np.zeros_like(pixels)[:, None] if is_covered else pixels[:, None], cuts, 1)
    seen = np.zeros((len(pixels), cuts), bool)
    asked = random.random(len(pixels)) < share
    for row in np.flatnonzero(asked):
        face = pixels[row]
        for cut in range(cuts):
            frame = framed(face, GROUNDS[(first[row] + cut) % len(GROUNDS)], int(sides[row, cut]) // 2 * 2)
            found = detector.detect(frame)
            if len(found):
                part = slice(nearest(found, frame), nearest(found, frame) + 1)
                if is_covered:
                    frame = covered(frame, found.landmarks[part][0], COVERS[random.integers(len(COVERS))], random)
                crops[row, cut] = crop(frame, found.boxes[part], found.landmarks[part])[0]
                seen[row, cut] = True
    return crops, seen


def covered(frame: Image, landmarks: NDArray[np.float32], cover: str, random: np.random.Generator) -> Image:
    """Return a BGR frame with its face hidden by one of COVERS, whose shade and size are drawn by chance.

    Args:
        frame: Shape (h, w, 3), uint8.
        landmarks: Eyes, nose and corners of the mouth, shape (5, 2).
        cover: One of COVERS.
        random: Decides.
    """
    if cover == "drawing":
        return _drawn(frame, random)
    right, left, nose, corner, other = landmarks.astype(float)
    across, mouth = left - right, (corner + other) / 2
    down = mouth - (right + left) / 2
    height, width = frame.shape[:2]
    mask = np.zeros((height, width), np.uint8)
    if cover == "mask":
        wide, low, high = random.uniform(0.2, 0.45), random.uniform(0.6, 0.95), random.uniform(0.05, 0.5)
        points = [
            nose - high * down,
            left + wide * across + 0.45 * down,
            left + (wide - 0.05) * across + 1.1 * down,
            mouth + 0.3 * across + low * down,
            mouth - 0.3 * across + low * down,
            right - (wide - 0.05) * across + 1.1 * down,
            right - wide * across + 0.45 * down,
        ]
        cv2.fillConvexPoly(mask, cv2.convexHull(np.round(points).astype(np.int32)), 255, cv2.LINE_AA)
        shade = random.uniform(20, 245)
    elif cover == "sunglasses":
        apart = float(np.linalg.norm(across))
        angle = float(np.degrees(np.arctan2(across[1], across[0])))
        size = (round(random.uniform(0.3, 0.46) * apart), round(random.uniform(0.2, 0.36) * apart))
        sunk = random.uniform(0, 0.12)
        for eye in (right, left):
            cv2.ellipse(mask, _at(eye + sunk * down), size, angle, 0, 360, 255, -1, cv2.LINE_AA)
        cv2.line(mask, _at(right), _at(left), 255, max(1, round(random.uniform(0.03, 0.1) * apart)), cv2.LINE_AA)
        shade = random.uniform(0, 70)
    else:
        thick = max(2, round(random.uniform(0.2, 0.34) * float(np.linalg.norm(down))))
        lean = random.uniform(-0.4, 0.4) * down
        for finger in range(4):
            lower = (finger - 1.5) * 1.02 * thick * down / max(float(np.linalg.norm(down)), 1.0)
            start = mouth - random.uniform(0.7, 1.0) * across + lower - lean
            cv2.line(mask, _at(start), _at(mouth + random.uniform(0.3, 0.7) * across + lower), 255, thick, cv2.LINE_AA)
        mask[cv2.dilate(mask, np.ones((3, 3), np.uint8)) != mask] //= 2
        x, y = np.clip(_at(nose), 2, np.array(frame.shape[1::-1]) - 3)
        shade = float(frame[y - 2 : y + 3, x - 2 : x + 3].mean()) * random.uniform(0.8, 1.2)
    rows, columns = np.linspace(-0.5, 0.5, height)[:, None], np.linspace(-0.5, 0.5, width)
    surface = shade + random.uniform(-80, 80) * rows + random.uniform(-80, 80) * columns
    if cover == "mask" and random.random() < 0.6:  # its folds
        surface = surface - random.uniform(10, 40) * (np.sin(rows * random.uniform(60, 140)) > 0.8)
    surface = surface + random.normal(0, random.uniform(0, 6), (height, width))
    share = mask[..., None] / 255
    return np.clip(frame * (1 - share) + surface[..., None] * share, 0, 255).astype(np.uint8)


def _drawn(frame: Image, random: np.random.Generator) -> Image:
    """Return a frame as a drawing: few shades, and lines where it changes."""
    flat = frame
    for _ in range(random.integers(2, 5)):
        flat = np.asarray(cv2.bilateralFilter(flat, 7, 40, 7), np.uint8)
    step = int(random.integers(40, 90))
    flat = np.minimum(flat // step * step + step // 2, 255).astype(np.uint8)
    grey = cv2.medianBlur(cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY), 5)
    block, offset = (7, 9, 11, 15)[random.integers(4)], float(random.uniform(2, 6))
    lines = cv2.adaptiveThreshold(grey, 255, cv2.ADAPTIVE_THRESH_MEAN_C, cv2.THRESH_BINARY, block, offset)
    return np.asarray(np.where(lines[..., None] > 0, flat, random.integers(0, 60)), np.uint8)


def _at(place: NDArray[np.float64]) -> tuple[int, int]:
    return round(float(place[0])), round(float(place[1]))


def main() -> None:
    """Read the command line and write the crops."""
    parser = argparse.ArgumentParser(prog="python -m mien.run.recut", description="Cut faces as the pipeline does.")
    parser.add_argument("--data", required=True, help="the data set")
    parser.add_argument("--out", required=True, type=Path, help="the crops of its Training faces, a .npy")
    parser.add_argument("--cuts", type=whole(1, 100), default=2, help="crops of each face [default: 2]")
    parser.add_argument("--covered", action="store_true", help="hide the faces")
    parser.add_argument("--share", type=number(0, 1), default=1.0, help="of the faces that are cut so [default: 1]")
    parser.add_argument("--seed", type=SEED, default=1, help="of all that is drawn by chance [default: 1]")
    given = parser.parse_args()
    try:
        training = data.load(given.data, ("Training",))
        detector = PhotoDetector(open_detector("yunet", 0.7, 640))
        crops, seen = recut(
            training.pixels, detector, cuts=given.cuts, seed=given.seed, is_covered=given.covered, share=given.share
        )
        try:
            given.out.parent.mkdir(parents=True, exist_ok=True)
            np.save(given.out, crops)
        except OSError as error:
            raise InputError(f"cannot write '{given.out}': {error.strerror}; give another file with --out") from error
    except MienError as error:
        parser.error(str(error))
    sys.stdout.write(f"wrote {given.out}: {seen.mean():.1%} of {seen.size:,} were found\n")


if __name__ == "__main__":
    main()
