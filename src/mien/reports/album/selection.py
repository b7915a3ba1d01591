"""Choosing photos: what was measured goes in; scores, groups of near-duplicates and the best photos come out."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.observation import EMOTIONS, Emotion
from mien.reports.album.measure import Measured
from mien.reports.base.recordings import READABLE

__all__ = ["WEIGHTS", "Photo", "best_of_groups", "choose", "grouped", "rated"]

WEIGHTS = {"expression": 0.4, "sharpness": 0.2, "pose": 0.1, "exposure": 0.2, "size": 0.1}
"""How much each part weighs in the score: a weighted geometric mean."""

SAME_BITS = 6
"""Photos whose fingerprints differ in at most so many of 64 bits are near-duplicates."""

BURST_BITS, BURST_S = 14, 3.0
"""And so are those that were taken within so many seconds and differ in at most so many bits."""

FAINT = 0.05
"""A lower probability counts as this: such faces do not show the expression, one no more than another."""

SHARP = 0.1
"""A face of this sharpness gets half of the marks."""

SOUND = 0.9
"""Of a group of near-duplicates those whose sharpness x exposure is less than this share of the group's highest are not
chosen, whatever they seem to show: a face that is dark, burnt or blurred cannot be read."""

ALIKE = 0.3
"""A photo loses at most this share of its score for being like one that is chosen already."""


@dataclass(frozen=True)
class Photo:
    """A photo and what it is worth.

    Attributes:
        file: Where it is.
        measured: What there is to say of it.
        readable: How many of its faces are large enough to be read.
        parts: The parts of the score that are known, 0 to 1, by the names in WEIGHTS; empty with too few faces.
        score: 0 to 100; None with too few readable faces.
        group: The number of its group of near-duplicates.
    """

    file: Path
    measured: Measured
    readable: int
    parts: dict[str, float]
    score: float | None
    group: int = 0


def rated(file: Path, photo: Measured, emotion: Emotion = "happy", least: int = 1) -> Photo:
    """Return a photo with its score.

    Args:
        file: Where it is.
        photo: What there is to say of it.
        emotion: Which expression is asked for; of several faces all have to show it (geometric mean).
        least: Nothing is said of fewer readable faces.
    """
    looks = [look for look in photo.looks if max(look.box[2:]) >= READABLE]
    if len(looks) < max(1, least):
        return Photo(file, photo, len(looks), {}, None)
    asked = EMOTIONS.index(emotion)
    side = float(np.median([max(look.box[2:]) for look in looks]))
    parts = {
        "expression": math.exp(float(np.mean([math.log(max(look.shares[asked], FAINT)) for look in looks]))),
        "size": min(1.0, side / (0.25 * min(photo.width, photo.height))),
    }
    if sharpness := [look.sharpness for look in looks if look.sharpness is not None]:
        sharp = float(np.median(sharpness))
        parts["sharpness"] = sharp / (sharp + SHARP)
        parts["pose"] = float(np.mean([look.pose for look in looks if look.pose is not None]))
        parts["exposure"] = float(np.mean([look.exposure for look in looks if look.exposure is not None]))
    weights = sum(WEIGHTS[name] for name in parts)
    logs = sum(WEIGHTS[name] * math.log(max(share, 0.01)) for name, share in parts.items())
    return Photo(file, photo, len(looks), parts, 100 * math.exp(logs / weights))


def grouped(photos: Sequence[Photo]) -> list[int]:
    """Return the group of near-duplicates of each photo, from 1 in order of first appearance."""
    parent = list(range(len(photos)))

    def root(number: int) -> int:
        while parent[number] != number:
            parent[number] = parent[parent[number]]
            number = parent[number]
        return number

    def join(earlier: int, later: int) -> None:
        earlier, later = root(earlier), root(later)
        parent[max(earlier, later)] = min(earlier, later)

    first: dict[str, int] = {}
    for number, photo in enumerate(photos):
        if photo.measured.fingerprint:
            join(number, first.setdefault(photo.measured.fingerprint, number))
    different = np.array(list(first.values()))
    signs = _signs([photos[number] for number in different])
    for start in range(0, len(different), 500):
        apart = (64 - signs[start : start + 500] @ signs.T) / 2
        for row, column in zip(*np.nonzero(apart <= SAME_BITS), strict=True):
            join(int(different[row + start]), int(different[column]))
    for earlier, later in _bursts(photos):
        join(earlier, later)
    numbers: dict[int, int] = {}
    return [numbers.setdefault(root(n), len(numbers) + 1) for n in range(len(photos))]


def choose(photos: Sequence[Photo], best: int) -> list[Photo]:
    """Return the best photos, the best first: at most one of each group, and rather unlike each other."""
    waiting = sorted(best_of_groups(photos).values(), key=lambda photo: (-_score(photo), str(photo.file)))
    signs = _signs(waiting)
    scores = np.array([_score(photo) for photo in waiting])
    alike = np.zeros(len(waiting))
    left = np.ones(len(waiting), bool)
    chosen: list[Photo] = []
    while left.any() and len(chosen) < best:
        now = int(np.where(left, scores * (1 - ALIKE * alike), -1.0).argmax())
        left[now] = False
        chosen.append(waiting[now])
        alike = np.maximum(alike, np.clip(signs @ signs[now] / 64, 0, 1))  # 1: the same bits; 0: as by chance
    return chosen


def best_of_groups(photos: Sequence[Photo]) -> dict[int, Photo]:
    """Return the best photo of each group that has one: of those that are not clearly damaged beside another."""
    soundest: dict[int, float] = {}
    for photo in photos:
        soundest[photo.group] = max(soundest.get(photo.group, 0.0), _soundness(photo))
    of_group: dict[int, Photo] = {}
    for photo in photos:
        if photo.score is None or _soundness(photo) < SOUND * soundest[photo.group]:
            continue
        if photo.group not in of_group or photo.score > _score(of_group[photo.group]):
            of_group[photo.group] = photo
    return of_group


def _soundness(photo: Photo) -> float:
    """Return how little a photo is damaged, 0 to 1; 0 for one that is not at hand, of which that is not known."""
    return photo.parts.get("sharpness", 0.0) * photo.parts.get("exposure", 0.0)


def _score(photo: Photo) -> float:
    return photo.score if photo.score is not None else -1.0


def _bursts(photos: Sequence[Photo]) -> Iterator[tuple[int, int]]:
    """Yield pairs of photos that were taken one soon after the other and look alike."""
    timed = [
        (photo.measured.time.timestamp(), number)
        for number, photo in enumerate(photos)
        if photo.measured.time and photo.measured.fingerprint
    ]
    timed.sort()
    for place, (at, number) in enumerate(timed):
        for later, other in timed[place + 1 : place + 31]:
            if later - at > BURST_S:
                break
            codes = (int(photos[photo].measured.fingerprint, 16) for photo in (number, other))
            if (next(codes) ^ next(codes)).bit_count() <= BURST_BITS:
                yield number, other


def _signs(photos: Sequence[Photo]) -> NDArray[np.float32]:
    """Return the bits of the fingerprints as -1 and 1, shape (n, 64); 0 where there is no fingerprint."""
    codes = b"".join(bytes.fromhex(photo.measured.fingerprint or "0" * 16) for photo in photos)
    signs = np.unpackbits(np.frombuffer(codes, np.uint8)).reshape(-1, 64).astype(np.float32) * 2 - 1
    signs[[not photo.measured.fingerprint for photo in photos]] = 0
    return signs
