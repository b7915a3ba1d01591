"""Clips whose truth is known, built from photos: who is where in each frame.

People are cut out of photos, with what surrounds their faces, and moved over a plain background.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.media.base import Frame, Image
from mien.media.open import open_source
from mien.vision.detector import Detector

FPS = 25
WIDTH, HEIGHT = 640, 360

Truth = dict[int, NDArray[np.float64]]
"""The face of each person in view: x, y, width, height in pixels."""


class Person(NamedTuple):
    """A cut-out: its picture, what of it is opaque, 0 to 1, and where its face is, in pixels of the picture."""

    picture: Image
    opaque: NDArray[np.float32]
    face: NDArray[np.float64]


class Place(NamedTuple):
    """Where a person's face is: its centre and the longer side of its box, in pixels."""

    x: float
    y: float
    side: float


def read(photo: Path) -> Image:
    """Return a photo."""
    image = cv2.imread(str(photo))
    assert image is not None, photo
    return image.astype(np.uint8, copy=False)


def people(photos: Sequence[Path]) -> list[Person]:
    """Return the people in photos who can be cut out without an edge of the photo or part of another's face."""
    detector, found = Detector(confidence=0.5, max_side=1280), []
    for photo in photos:
        image = read(photo)
        for x, y, width, height in detector.detect(image).boxes.astype(float):
            side = max(width, height)
            left, top = round(x + width / 2 - 0.9 * side), round(y + height / 2 - 0.9 * side)
            size = round(1.8 * side)
            if side < 40 or left < 0 or top < 0 or left + size > image.shape[1] or top + size > image.shape[0]:
                continue
            picture = image[top : top + size, left : left + size]
            if len(detector.detect(picture)) != 1:
                continue
            distance = np.hypot(*np.meshgrid(*[np.linspace(-1, 1, size)] * 2))
            opaque = np.clip((1 - distance) / 0.1, 0, 1).astype(np.float32)
            face = np.array([x - left, y - top, width, height])
            found.append(Person(picture, opaque, face))
    return found


def scene(
    cast: Sequence[Person],
    where: Callable[[int, float], Place | None],
    seconds: float,
    size: tuple[int, int] = (WIDTH, HEIGHT),
) -> Iterator[tuple[Frame, Truth]]:
    """Yield frames and who is in them.

    Args:
        cast: Who may be in view; later ones stand in front of earlier ones.
        where: Says of a person's number and a time where they are; None: out of view.
        seconds: How long.
        size: Width and height of the frames, in pixels.
    """
    noise = np.random.default_rng(7)
    backdrop = np.repeat(np.linspace(90, 150, size[0], dtype=np.float32)[None, :, None], size[1], 0).repeat(3, 2)
    for number in range(round(seconds * FPS)):
        at = number / FPS
        canvas, truth = backdrop.copy(), Truth()
        for who, person in enumerate(cast):
            place = where(who, at)
            if place is None:
                continue
            box = _paste(canvas, person, place, size)
            if box is None:
                continue
            for other in list(truth):
                if _covered(truth[other], box) > 0.4:
                    del truth[other]  # nobody could say who stands behind
            truth[who] = box
        image = np.clip(canvas + noise.normal(0, 3, canvas.shape), 0, 255).astype(np.uint8)
        yield Frame(image, number, at, None), truth


def _paste(
    canvas: NDArray[np.float32], person: Person, place: Place, size: tuple[int, int]
) -> NDArray[np.float64] | None:
    """Draw a person and return the face's box where at least two thirds of it are in view."""
    scale = place.side / float(person.face[2:].max())
    middle = (person.face[:2] + person.face[2:] / 2) * scale
    shift = np.array([place.x, place.y]) - middle
    matrix = np.array([[scale, 0, shift[0]], [0, scale, shift[1]]])
    picture = cv2.warpAffine(person.picture, matrix, size, flags=cv2.INTER_AREA).astype(np.float32)
    opaque = cv2.warpAffine(person.opaque, matrix, size)[..., None]
    canvas += opaque * (picture - canvas)
    box = np.concatenate([person.face[:2] * scale + shift, person.face[2:] * scale])
    return box if _covered(box, np.array([0, 0, *size])) > 0.66 else None


def _covered(box: NDArray[np.float64], by: NDArray[np.float64]) -> float:
    """Return which share of a box lies in another."""
    low, high = np.maximum(box[:2], by[:2]), np.minimum(box[:2] + box[2:], by[:2] + by[2:])
    return float(np.clip(high - low, 0, None).prod() / box[2:].prod())


def single(samples: Path) -> Iterator[tuple[Frame, Truth]]:
    """One person on a real video; where their face is, nobody has drawn: its truth is what is found in it."""
    detector = Detector()
    with open_source(str(samples / "one-face.mp4")) as source:
        for frame in source:
            (box,) = detector.detect(frame.image).boxes.astype(float)
            yield frame, {0: box}


def crossing(cast: Sequence[Person]) -> Iterator[tuple[Frame, Truth]]:
    """Two people of about one size pass each other three times, one behind the other, out of sight for about 0.5 s."""

    def where(who: int, at: float) -> Place:
        along = 0.5 - 0.38 * math.cos(math.pi * at / 3)
        return Place(WIDTH * (along if who else 1 - along), 180 + 12 * who, 90 + 8 * who)

    return scene(cast[:2], where, 9)


def passing(cast: Sequence[Person]) -> Iterator[tuple[Frame, Truth]]:
    """Two people pass each other three times, one higher than the other, so that both can be seen all the time."""

    def where(who: int, at: float) -> Place:
        along = 0.5 - 0.38 * math.cos(math.pi * at / 3)
        return Place(WIDTH * (along if who else 1 - along), 120 + 115 * who, 90)

    return scene(cast[:2], where, 9)


def leaving(cast: Sequence[Person]) -> Iterator[tuple[Frame, Truth]]:
    """One person stays; another walks out of the picture at 3 s and comes back at 6 s."""

    def where(who: int, at: float) -> Place | None:
        if who == 0:
            return Place(160 + 10 * math.sin(at), 180, 100)
        away = min(max(0.0, (at - 2) * 250), max(0.0, (7 - at) * 250))
        return Place(480 + away, 180, 100)

    return scene(cast[:2], where, 9)


def gallery(cast: Sequence[Person]) -> Iterator[tuple[Frame, Truth]]:
    """Nine people in the tiles of a meeting, each of whom moves a little; two tiles swap places after 4 s."""

    def where(who: int, at: float) -> Place:
        tile = {1: 7, 7: 1}.get(who, who) if at >= 4 else who
        x, y = WIDTH / 3 * (tile % 3 + 0.5), HEIGHT / 3 * (tile // 3 + 0.5)
        return Place(x + 8 * math.sin(at * 1.3 + who), y + 5 * math.sin(at * 2.1 + 2 * who), 58)

    return scene(cast[:9], where, 8)


def crowd(cast: Sequence[Person]) -> Iterator[tuple[Frame, Truth]]:
    """Fifteen people in three rows walk slowly to one side."""

    def where(who: int, at: float) -> Place:
        return Place(60 + 125 * (who % 5) + 12 * at, 70 + 110 * (who // 5) + 4 * math.sin(3 * at + who), 46)

    return scene([cast[n % len(cast)] for n in range(15)], where, 5)


def hall(cast: Sequence[Person], seconds: float = 6) -> Iterator[tuple[Frame, Truth]]:
    """Twenty-nine people in four rows at 1280x720, as in a comedy club: they sway, and one walks past in front."""

    def where(who: int, at: float) -> Place | None:
        if who == 28:
            return Place(200 * at, 560, 90) if at > 1 else None
        row, seat = divmod(who, 7)
        x, y = 100 + 175 * seat + 20 * (row % 2), 110 + 155 * row
        return Place(x + 6 * math.sin(1.1 * at + who), y + 4 * math.sin(1.7 * at + 2 * who), 58 + 6 * row)

    return scene([cast[n % len(cast)] for n in range(29)], where, seconds, (1280, 720))
