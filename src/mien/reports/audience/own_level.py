"""Viewers above their own usual face: what they showed goes in; how far it lies above that comes out.

Everything is told beside the figures of what was shown, and each says from which time the usual face was taken.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mien.observation import EMOTIONS
from mien.reports.audience.groups import Course, courses
from mien.reports.audience.reactions import Interval
from mien.reports.audience.seats import Watching
from mien.reports.base.bootstrap import estimate
from mien.reports.base.usual_face import Calibration, Person

__all__ = ["Level", "OwnLevel", "look_above"]


@dataclass(frozen=True)
class Level:
    """How far a group lies above its viewers' usual faces, over all that was watched.

    Attributes:
        group: The group; empty: all viewers.
        viewers: Of how many the usual face is known.
        above: The mean over them of each emotion's mean less the usual face's, with its interval, in EMOTIONS order.
    """

    group: str
    viewers: int
    above: tuple[Interval, ...]


@dataclass(frozen=True)
class OwnLevel:
    """What lies above the viewers' usual faces.

    Attributes:
        calibration: From which time these are taken.
        people: Each viewer's own level.
        shares: What was shown less the usual face, shape (viewers, points, 7), float32; NaN where either is not known.
        courses: The mean of that, second by second: of all viewers, then of each group.
        levels: The same over all that was watched.
    """

    calibration: Calibration
    people: list[Person]
    shares: NDArray[np.float32]
    courses: list[Course]
    levels: list[Level]


def look_above(watched: Watching, calibration: Calibration, anonymous: int | None = None) -> OwnLevel:
    """Return what lies above the viewers' usual faces.

    Args:
        watched: What they showed, with their usual faces.
        calibration: From which time these are taken.
        anonymous: Say nothing of fewer than so many viewers.
    """
    unknown = np.full(len(EMOTIONS), np.nan)
    usual = np.stack([unknown if face is None else face[1] for face in watched.usual])
    above = replace(watched, shares=(watched.shares - usual[:, None, :]).astype(np.float32))
    there = np.isfinite(above.shares)
    with np.errstate(invalid="ignore"):
        means = np.where(there, above.shares, 0).sum(1, dtype=np.float64) / there.sum(1)
    people = [
        Person(name) if face is None else Person(name, face[0], tuple(face[1].tolist()), tuple(mean.tolist()))
        for name, face, mean in zip(watched.names, watched.usual, means, strict=True)
    ]
    curves = courses(above, anonymous)
    levels = []
    for course in curves:
        members = np.array([not course.group or group == course.group for group in watched.groups])
        own = means[members & np.isfinite(means[:, 0])]
        if len(own) < max(1, anonymous or 1):
            continue
        ends = estimate(own)
        intervals = zip(ends.value.tolist(), ends.low.tolist(), ends.high.tolist(), strict=True)
        levels.append(Level(course.group, len(own), tuple(Interval(*each) for each in intervals)))
    return OwnLevel(calibration, people, above.shares, curves, levels)
