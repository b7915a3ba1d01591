"""Choosing photos: what was measured goes in; scores, groups of near-duplicates and the best photos come out."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from mien.observation import EMOTIONS, Emotion
from mien.reports.album.measure import Measured, PhotoFace
from mien.reports.base.recordings import READABLE

__all__ = [
    "FILTERS",
    "WEIGHTS",
    "Filter",
    "Photo",
    "best_of_groups",
    "choose",
    "filters_of",
    "grouped",
    "keywords",
    "losers",
    "passes",
    "rated",
    "stars",
]

Filter = Literal["everyone_smiles", "all_eyes_open", "everyone_looks"]
"""What can be asked of all readable faces of a photo."""

FILTERS: tuple[Filter, ...] = get_args(Filter)

WEIGHTS = {
    "expression": 0.32,
    "sharpness": 0.16,
    "pose": 0.08,
    "exposure": 0.16,
    "size": 0.08,
    "eyes": 0.1,
    "looks": 0.1,
}
"""How much each part weighs in the score: a weighted geometric mean."""

STAR = 20.0
"""A photo gets a star, and another for each so many points of its score, at most five."""

CLEAR = 0.5
"""A face smiles, or shows another emotion, that is at least so probable."""

OPEN, CLOSED, WIDE = 0.3, 0.1, 0.4
"""Eyes are open from OPEN on; they get no marks up to CLOSED and all of them from WIDE on."""

UPRIGHT, ASIDE, AWAY = 9.0, 20.0, 30.0
"""A face looks here whose yaw, and whose pitch from UPRIGHT, are at most ASIDE degrees; so far as AWAY leaves 37 % of
the marks."""

SAME_BITS = 9
"""Photos whose fingerprints differ in at most so many of 64 bits are near-duplicates."""

BURST_BITS, BURST_S = 14, 3.0
"""And so are those that were taken within so many seconds and differ in at most so many bits."""

FAINT = 0.05
"""A lower probability counts as this: such faces do not show the expression, one no more than another."""

SHARP = 0.1
"""A face of this sharpness gets half of the marks."""

SOUND, LEVELS = 0.9, 3
"""Of a group of near-duplicates those are not chosen whose sharpness x exposure x levels to the power of LEVELS is less
than SOUND of the group's highest, whatever they seem to show: a dark, burnt or blurred face cannot be read."""

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
        flags: Of each of FILTERS whether it holds; None: a face does not tell. Empty with too few faces.
        group: The number of its group of near-duplicates.
    """

    file: Path
    measured: Measured
    readable: int
    parts: dict[str, float]
    score: float | None
    flags: dict[Filter, bool | None] = field(default_factory=dict)
    group: int = 0


def rated(
    file: Path,
    photo: Measured,
    emotion: Emotion = "happy",
    least: int = 1,
    weights: Mapping[str, float] = WEIGHTS,
) -> Photo:
    """Return a photo with its score.

    Args:
        file: Where it is.
        photo: What there is to say of it.
        emotion: Which expression is asked for; of several faces all have to show it (geometric mean).
        least: Nothing is said of fewer readable faces.
        weights: How much each part weighs.
    """
    looks = _readable(photo)
    if len(looks) < max(1, least):
        return Photo(file, photo, len(looks), {}, None)
    asked = EMOTIONS.index(emotion)
    side = float(np.median([max(look.box[2:]) for look in looks]))
    parts = {
        "expression": _all_have([look.shares[asked] for look in looks]),
        "size": min(1.0, side / (0.25 * min(photo.width, photo.height))),
    }
    if sharpness := [look.sharpness for look in looks if look.sharpness is not None]:
        sharp = float(np.median(sharpness))
        parts["sharpness"] = sharp / (sharp + SHARP) * (1.0 if photo.clean is None else photo.clean)
        parts["pose"] = float(np.mean([look.pose for look in looks if look.pose is not None]))
        parts["exposure"] = float(np.mean([look.exposure for look in looks if look.exposure is not None]))
    if eyes := [min(1.0, (look.eyes - CLOSED) / (WIDE - CLOSED)) for look in looks if look.eyes is not None]:
        parts["eyes"] = _all_have(eyes)
    if aside := [_aside(look) for look in looks if look.yaw is not None]:
        parts["looks"] = _all_have([math.exp(-((angle / AWAY) ** 2)) for angle in aside])
    score = _scored(parts, weights)
    return Photo(file, photo, len(looks), parts, score, _flags(looks))


def keywords(photo: Photo) -> tuple[str, ...]:
    """Return what a photo is to be found by: emotions that half of its faces show, and the filters it passes."""
    looks = _readable(photo.measured)
    shown = [
        emotion
        for number, emotion in enumerate(EMOTIONS)
        if 2 * sum(look.shares[number] >= CLEAR for look in looks) >= max(1, len(looks))
    ]
    return (*shown, *(name.replace("_", " ") for name in FILTERS if photo.flags.get(name)))


def filters_of(asked: Mapping[str, bool]) -> tuple[Filter, ...]:
    """Return the filters that are asked for, of all by their names."""
    return tuple(name for name in FILTERS if asked.get(name))


def passes(photo: Photo, only: Sequence[Filter]) -> bool:
    """Return whether all that is asked of its faces is known to hold."""
    return all(photo.flags.get(name) for name in only)


def _readable(photo: Measured) -> list[PhotoFace]:
    return [look for look in photo.looks if max(look.box[2:]) >= READABLE]


def _all_have(shares: Sequence[float]) -> float:
    """Return the geometric mean: what a face lacks, the others do not make good."""
    return math.exp(float(np.mean([math.log(max(share, FAINT)) for share in shares])))


def _aside(look: PhotoFace) -> float:
    """Return by how many degrees a face is turned away from the camera."""
    return math.hypot(look.yaw or 0.0, (look.pitch or 0.0) - UPRIGHT)


def _scored(parts: Mapping[str, float], weights: Mapping[str, float]) -> float:
    total = sum(weights[name] for name in parts)
    if total <= 0:  # one's own taste may rest on parts of which nothing is known here
        weights, total = WEIGHTS, sum(WEIGHTS[name] for name in parts)
    return 100 * math.exp(sum(weights[name] * math.log(max(share, 0.01)) for name, share in parts.items()) / total)


def _flags(looks: Sequence[PhotoFace]) -> dict[Filter, bool | None]:
    happy = EMOTIONS.index("happy")
    return {
        "everyone_smiles": all(look.shares[happy] >= CLEAR for look in looks),
        "all_eyes_open": _of_all([None if look.eyes is None else look.eyes >= OPEN for look in looks]),
        "everyone_looks": _of_all(
            [
                None if look.yaw is None or look.pitch is None
                else abs(look.yaw) <= ASIDE and abs(look.pitch - UPRIGHT) <= ASIDE
                for look in looks
            ]
        ),
    }  # fmt: skip


def _of_all(answers: Sequence[bool | None]) -> bool | None:
    """Return whether all answers are yes; None where one is missing and none is no."""
    if False in answers:
        return False
    return None if None in answers else True


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


def choose(photos: Sequence[Photo], best: int, only: Sequence[Filter] = ()) -> list[Photo]:
    """Return the best photos, the best first: at most one of each group, and rather unlike each other.

    Args:
        photos: Rated, with their groups.
        best: At most so many.
        only: What has to hold of all faces of a photo.
    """
    waiting = sorted(best_of_groups(photos, only).values(), key=lambda photo: (-_score(photo), str(photo.file)))
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


def best_of_groups(photos: Sequence[Photo], only: Sequence[Filter] = ()) -> dict[int, Photo]:
    """Return the best photo of each group that has one: of those that are not clearly damaged beside another.

    Args:
        photos: Rated, with their groups.
        only: What has to hold of all faces of a photo.
    """
    fit = [photo for photo in photos if photo.score is not None and passes(photo, only)]
    soundest: dict[int, float] = {}
    for photo in fit:
        soundest[photo.group] = max(soundest.get(photo.group, 0.0), _soundness(photo))
    of_group: dict[int, Photo] = {}
    for photo in fit:
        if _soundness(photo) < SOUND * soundest[photo.group]:
            continue
        if photo.group not in of_group or _score(photo) > _score(of_group[photo.group]):
            of_group[photo.group] = photo
    return of_group


def losers(photos: Sequence[Photo], only: Sequence[Filter] = ()) -> frozenset[Path]:
    """Return the rated photos of which a near-duplicate is better."""
    best = best_of_groups(photos, only)
    return frozenset(
        photo.file for photo in photos if photo.score is not None and best.get(photo.group, photo) is not photo
    )


def stars(photo: Photo) -> int | None:
    """Return 1 to 5 by the score; None for a photo that is not rated."""
    return None if photo.score is None else min(5, 1 + int(photo.score // STAR))


def _soundness(photo: Photo) -> float:
    """Return how little a photo is damaged, 0 to 1; 0 for one that is not at hand, of which that is not known."""
    levels = 1.0 if photo.measured.levels is None else photo.measured.levels
    return photo.parts.get("sharpness", 0.0) * photo.parts.get("exposure", 0.0) * levels**LEVELS


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
