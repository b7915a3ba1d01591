"""Groups of viewers: what they showed goes in; their mean curves, and how far the groups differ, come out."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.observation import EMOTIONS
from mien.reports.audience.reactions import Reactions
from mien.reports.audience.seats import Watching
from mien.reports.base.bootstrap import compare, estimate, hedges_g

__all__ = ["Course", "Difference", "by_seconds", "compared", "courses"]

HAPPY = EMOTIONS.index("happy")
BLOCK = 300
REPLICATES = 1000
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Course:
    """The mean curve of a group, second by second.

    Attributes:
        group: Its name; empty: all viewers.
        viewers: How many were to be seen in each second, shape (seconds,).
        shares: The mean of each emotion over them, shape (seconds, 7); NaN without any.
        low: The lower ends of the 95 % intervals of `shares`, each for itself; NaN with too few viewers.
        high: The upper ends.
    """

    group: str
    viewers: NDArray[np.int64]
    shares: Array
    low: Array
    high: Array


@dataclass(frozen=True)
class Difference:
    """By how much one group exceeds another.

    Attributes:
        what: In what: the mean happiness over all that was watched, or the reaction to an event.
        emotion: Which emotion.
        first_group: What the first is called.
        second_group: What the second is called.
        value: The first less the second, in probability.
        low: The lower end of the interval that holds for all differences of the two groups at once.
        high: The upper end.
        p: That there is none, corrected likewise.
        g: Hedges's g: the difference in standard deviations of the viewers.
        viewers: How many viewers of each group.
    """

    what: str
    emotion: str
    first_group: str
    second_group: str
    value: float
    low: float
    high: float
    p: float
    g: float
    viewers: tuple[int, int]


def courses(watched: Watching, anonymous: int | None = None) -> list[Course]:
    """Return the curve of all viewers, then that of each group.

    Args:
        watched: What the viewers showed.
        anonymous: Blank the seconds of fewer than so many viewers.
    """
    means = by_seconds(watched)
    groups = sorted({group for group in watched.groups if group})
    chosen = [("", np.ones(len(means), bool))]
    chosen += [(group, np.array([wanted == group for wanted in watched.groups])) for group in groups]
    return [_course(group, means[members], anonymous) for group, members in chosen]


def by_seconds(watched: Watching) -> Array:
    """Return the mean of each emotion in each second, shape (viewers, seconds, 7); NaN where a viewer is not seen."""
    per_second = round(1 / watched.step_s)
    seconds = math.ceil(watched.shares.shape[1] / per_second)
    padded = np.full((len(watched.names), seconds * per_second, len(EMOTIONS)), np.nan)
    padded[:, : watched.shares.shape[1]] = watched.shares
    parts = padded.reshape(len(watched.names), seconds, per_second, len(EMOTIONS))
    there = np.isfinite(parts)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(there, parts, 0).sum(2) / there.sum(2))


def _course(group: str, means: Array, anonymous: int | None) -> Course:
    viewers = np.isfinite(means[:, :, 0]).sum(0)
    flat = means.reshape(len(means), -1)
    parts = [estimate(flat[:, at : at + BLOCK], replicates=REPLICATES) for at in range(0, flat.shape[1], BLOCK)]
    ends = [np.concatenate([getattr(part, name) for part in parts]) for name in ("value", "low", "high")]
    few = np.repeat(viewers < (anonymous or 1), len(EMOTIONS))
    shares, low, high = (np.where(few, np.nan, end).reshape(means.shape[1:]) for end in ends)
    return Course(group, viewers.astype(np.int64), shares, low, high)


def compared(watched: Watching, reactions: Reactions | None, anonymous: int | None = None) -> list[Difference]:
    """Return how each two groups differ: in happiness over all, and in the reaction to each event.

    Args:
        watched: What the viewers showed.
        reactions: How they reacted; None: there were no events.
        anonymous: Say nothing of groups of fewer than so many viewers.
    """
    groups = sorted({group for group in watched.groups if group})
    there = np.isfinite(watched.shares[:, :, HAPPY])
    with np.errstate(invalid="ignore"):
        level = np.where(there, watched.shares[:, :, HAPPY], 0).sum(1) / there.sum(1)
    each = reactions.each if reactions else []
    rises = [] if reactions is None else [reactions.heights[:, n, reaction.emotion] for n, reaction in enumerate(each)]
    figures = np.column_stack([level, *rises])
    named = [
        ("all of it, mean", "happy"),
        *((reaction.event.label, EMOTIONS[reaction.emotion]) for reaction in each),
    ]
    differences = []
    for first_group, second_group in itertools.combinations(groups, 2):
        first, second = (figures[[name == group for name in watched.groups]] for group in (first_group, second_group))
        if min(len(first), len(second)) < (anonymous or 1):
            continue
        between, size = compare(first, None, second, None), hedges_g(first, second)
        counts = np.isfinite(first).sum(0), np.isfinite(second).sum(0)
        for n, (what, emotion) in enumerate(named):
            value, low, high, p, g = (
                float(end[n]) for end in (between.value, between.all_low, between.all_high, between.all_p, size)
            )
            viewers = int(counts[0][n]), int(counts[1][n])
            differences.append(Difference(what, emotion, first_group, second_group, value, low, high, p, g, viewers))
    return differences
