"""Measuring photos: files go in, what there is to say of each comes out, kept by the content of the file.

A photo is decoded once, whatever it is called and however often it is reported on; of it are kept numbers alone.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import cv2
import msgspec
import numpy as np
from numpy.typing import NDArray

from mien.config import Settings
from mien.errors import InputError, MissingExtraError
from mien.media.base import Image
from mien.media.photos import read_photo
from mien.models import store as model_store
from mien.models.classifier import Geometry
from mien.reports.base.job import Job
from mien.reports.base.video_cache import kept_folder
from mien.vision.detector import crop, sharpness
from mien.vision.pipeline import MIN_SIDE, shared_models
from mien.vision.schedule import PhotoDetector

__all__ = ["Measured", "PhotoFace", "measured"]

PATCH = 96
"""The side to which a face is scaled before its sharpness and exposure are measured, in pixels."""

VERSION = 5

TILE = 2048
"""Noise and blocks are looked for in at most so many pixels squared, in the middle of the photo, as they are."""

NOISE, BLOCKS, BLOCKS_FROM = 4.0, 0.7, 1.3
"""Noise of NOISE of 255 levels leaves half of the marks; so do blocks of 8 x 8 pixels whose borders are BLOCKS_FROM +
BLOCKS times as steep as what lies between; up to BLOCKS_FROM costs nothing."""


DARK, BRIGHT, SPREAD, FALL = 0.25, 0.68, 100, 0.15
"""A face's mean brightness is well between DARK and BRIGHT, of 0 to 1, with SPREAD of 255 levels from its darkest to
its brightest twentieth; how far beyond, of 0 to 1, leaves 61 % of the marks."""

LOST = 8
"""What share of a face is neither black nor burnt out counts to this power: nothing is left to be seen in the rest."""


class PhotoFace(msgspec.Struct, frozen=True):
    """One face in a photo.

    Attributes:
        box: x, y, width, height in pixels of the upright photo.
        shares: The probability of each emotion, in EMOTIONS order.
        sharpness: Of the face: its Laplacian's variance over its own; None: not known.
        exposure: 1 where it is neither dark nor burnt out, down to 0; None: not known.
        pose: 1 for a face that looks straight at the camera, down to 0; None: not known.
        eyes: How open they are, 0 to 1, usually near 0.6; None: the model does not say.
        yaw: Where the head turns, in degrees as in `mien.observation.Pose`; None: the model does not say.
        pitch: The same.
    """

    box: tuple[int, int, int, int]
    shares: list[float]
    sharpness: float | None = None
    exposure: float | None = None
    pose: float | None = None
    eyes: float | None = None
    yaw: float | None = None
    pitch: float | None = None


class Measured(msgspec.Struct, frozen=True):
    """What there is to say of a photo.

    Attributes:
        key: The sha256 of the file; empty: it is not at hand.
        width: Of the upright photo, in pixels.
        height: Of the upright photo, in pixels.
        time: When it was taken, UTC; None where its EXIF data do not tell.
        fingerprint: 64 bits that photos of the same scene share for the most part (difference hash), in hex; empty: not
            known.
        looks: Its faces.
        clean: 1 for a photo without noise and without the blocks of strong compression, down to 0; None: not known.
        levels: How many levels of light it makes use of, as a share of all: 2 to the entropy of its three histograms,
            on average, over 256. None: not known.
        cut: Whether the end of the file is missing.
    """

    key: str
    width: int
    height: int
    time: datetime | None
    fingerprint: str
    looks: list[PhotoFace]
    clean: float | None = None
    levels: float | None = None
    cut: bool = False


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Measured).decode


def measured(files: Sequence[Path], settings: Settings, job: Job) -> Iterator[tuple[Path, Measured | InputError]]:
    """Yield what there is to say of each photo, or why it cannot be read.

    Args:
        files: The photos.
        settings: The effective settings.
        job: Hears how far it is.
    """
    vision = model_store.in_use(settings)
    models = shared_models(vision)
    folder = kept_folder(settings)
    how = f"{VERSION} {models[1].model_id} {vision!r}"
    name = f"photos-{hashlib.sha256(how.encode()).hexdigest()[:16]}.jsonl"
    path = folder / name if folder else Path(os.devnull)
    known = _known(path)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as kept:
        for file in job.follow("looking at photos", files, len(files)):
            try:
                key = hashlib.sha256(file.read_bytes()).hexdigest()
                if key not in known:
                    known[key] = _measure(file, key, models)
                    kept.write(_encode(known[key]) + b"\n")
                    kept.flush()
                yield file, known[key]
            except InputError as error:  # noqa: PERF203
                yield file, error
            except MissingExtraError as error:
                yield file, InputError(str(error))
            except OSError as error:
                yield file, InputError(f"cannot read photo '{file}': {(error.strerror or str(error)).lower()}")


def _known(path: Path) -> dict[str, Measured]:
    """Return the photos that were measured before; a line that was written in part is cut off."""
    known: dict[str, Measured] = {}
    if not path.exists():
        return known
    good = 0
    with path.open("rb") as file:
        for line in file:
            try:
                photo = _decode(line)
            except msgspec.MsgspecError:
                break
            if not line.endswith(b"\n"):
                break
            known[photo.key] = photo
            good += len(line)
    if good < path.stat().st_size:
        os.truncate(path, good)
    return known


def _measure(file: Path, key: str, models: tuple[Any, Any]) -> Measured:
    cut: list[str] = []
    image, time = read_photo(file, cut.append)
    detector, classifier = models
    faces = PhotoDetector(detector).detect(image)
    shares, geometry = classifier.read(crop(image, faces.boxes, faces.landmarks))
    patches = np.array([_patch(image, _box(sides)) for sides in faces.boxes], np.uint8).reshape(-1, PATCH, PATCH)
    sharp = sharpness(patches)
    looks = [
        PhotoFace(
            _box(faces.boxes[n]),
            [round(float(share), 4) for share in shares[n]],
            round(float(sharp[n]), 4),
            round(_exposure(patches[n]), 4),
            round(_pose(faces.landmarks[n]), 4),
            *((None, None, None) if geometry is None else _look(_box(faces.boxes[n]), geometry, n)),
        )
        for n in range(len(faces))
    ]
    height, width = image.shape[:2]
    clean, levels = round(_clean(image), 4), round(_levels(image), 4)
    return Measured(key, width, height, time, _fingerprint(image), looks, clean, levels, bool(cut))


def _look(
    box: tuple[int, int, int, int], geometry: Geometry, n: int
) -> tuple[float | None, float | None, float | None]:
    """Return how open a face's eyes are, its yaw and its pitch; None where the model does not say."""
    if max(box[2:]) < MIN_SIDE:
        return None, None, None
    eyes, yaw, pitch = float(geometry.openness[n, 0]), float(geometry.pose[n, 0]), float(geometry.pose[n, 1])
    return (
        None if np.isnan(eyes) else round(eyes, 2),
        None if np.isnan(yaw) else round(yaw, 1),
        None if np.isnan(pitch) else round(pitch, 1),
    )


def _box(sides: NDArray[np.float32]) -> tuple[int, int, int, int]:
    x, y, width, height = (round(float(side)) for side in sides)
    return x, y, max(1, width), max(1, height)


def _patch(image: Image, box: tuple[int, int, int, int]) -> NDArray[np.uint8]:
    """Return what lies in a box, grey."""
    x, y, width, height = box
    inside = image[max(0, y) : max(1, y + height), max(0, x) : max(1, x + width)]
    grey = cv2.cvtColor(np.ascontiguousarray(inside), cv2.COLOR_BGR2GRAY)
    return np.asarray(cv2.resize(grey, (PATCH, PATCH), interpolation=cv2.INTER_AREA), np.uint8)


def _exposure(face: NDArray[np.uint8]) -> float:
    """Return 1 for a face of middling brightness and enough contrast without burnt or black parts."""
    lost = float(((face < 8) | (face > 247)).mean())
    mean = float(face.mean()) / 255
    away = max(DARK - mean, mean - BRIGHT, 0.0) / FALL
    low, high = np.percentile(face, (5, 95))
    return float((1 - lost) ** LOST * np.exp(-(away**2) / 2) * min(1.0, (high - low) / SPREAD))


def _pose(landmarks: NDArray[np.float32]) -> float:
    """Return 1 for a face whose nose is in the middle between level eyes."""
    right, left, nose = (landmarks[n].astype(float) for n in range(3))
    apart = max(1.0, float(np.hypot(*(left - right))))
    turned = abs(float(np.dot(nose - (left + right) / 2, (left - right) / apart))) / apart
    tilted = abs(float(np.degrees(np.arctan2(left[1] - right[1], left[0] - right[0]))))
    return float(np.exp(-((turned / 0.4) ** 2) - (tilted / 45) ** 2))


def _clean(image: Image) -> float:
    """Return 1 for a picture without noise and without the borders of compressed blocks."""
    top, left = (max(0, side - TILE) // 2 for side in image.shape[:2])
    tile = cv2.cvtColor(np.ascontiguousarray(image[top : top + TILE, left : left + TILE]), cv2.COLOR_BGR2GRAY)
    grey = tile.astype(np.float32)
    if min(grey.shape) < 24:
        return 1.0
    steep = min(_blocks(np.abs(np.diff(grey, axis=axis)).mean(1 - axis)) for axis in (0, 1))
    noise, blocks = _noise(np.asarray(tile, np.uint8)) / NOISE, max(0.0, steep - BLOCKS_FROM) / BLOCKS
    return float(1 / (1 + noise**2) / (1 + blocks**2))


def _noise(grey: NDArray[np.uint8]) -> float:
    """Return the standard deviation of what no edge or slope explains, where it is neither black nor burnt out.

    The mask is that of Immerkaer 1996, "Fast noise variance estimation"; the median of what it leaves is taken, so that
    hair and grass weigh little.
    """
    mask = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
    left = np.abs(cv2.filter2D(grey, cv2.CV_32F, mask))[1:-1, 1:-1]
    inside = grey[1:-1, 1:-1]
    there = left[(inside > 8) & (inside < 247)]
    return float(np.median(there)) / 0.6745 / 6 if there.size > 100 else 0.0


def _blocks(steps: NDArray[np.float32]) -> float:
    """Return how many times as steep as the others every eighth step is, from wherever they are counted."""
    eighths = np.array([steps[first::8].mean() for first in range(8)])
    most = int(eighths.argmax())
    return float(eighths[most] / max(0.3, float(np.delete(eighths, most).mean())))


def _levels(image: Image) -> float:
    """Return how many levels of light a picture makes use of: no change of its levels adds one."""
    step = max(1, round((image.shape[0] * image.shape[1] / 1e6) ** 0.5))
    few = image[::step, ::step]
    bits = []
    for channel in range(3):
        shares = np.bincount(few[..., channel].ravel(), minlength=256) / few[..., channel].size
        bits.append(-float((shares[shares > 0] * np.log2(shares[shares > 0])).sum()))
    return float(2 ** np.mean(bits) / 256)


def _fingerprint(image: Image) -> str:
    """Return which of 8 x 8 pixels are darker than their right neighbour."""
    few = cv2.resize(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), (9, 8), interpolation=cv2.INTER_AREA).astype(int)
    return np.packbits(few[:, :-1] < few[:, 1:]).tobytes().hex()
