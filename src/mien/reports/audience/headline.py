"""One figure per treatment: what its viewers showed goes in; how far together, how many smiled, how often, come out."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.observation import EMOTIONS
from mien.reports.audience.groups import by_seconds
from mien.reports.audience.reactions import Interval, wilson
from mien.reports.audience.seats import Watching
from mien.reports.audience.synchrony import SIGNALS, Synchrony
from mien.reports.base.bootstrap import compare, estimate, hedges_g

__all__ = ["LAUGH_S", "SHOWS", "Contrast", "Headline", "contrasts", "headlines"]

HAPPY = EMOTIONS.index("happy")
VALENCE = SIGNALS.index("valence")

SHOWS = 0.5
"""Who shows *happy* does so with at least this probability."""

LAUGH_S = 1.0
"""A laugh lasts so long at least, and so long at least lies between two, in seconds."""

LEAST_SEEN_S = 10.0
"""Of a viewer who is seen for less, laughs are not counted."""

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Headline:
    """What is said of a treatment first.

    Attributes:
        group: The treatment; empty: all viewers.
        viewers: How many were seen.
        synchrony: The mean synchrony of the valence; NaN where there is none.
        synchrony_p: That it is chance.
        peak: The highest share of viewers who showed *happy* in one second, with Wilson's interval of that second.
        peak_at: Which second; NaN: there is none.
        peak_viewers: Of how many.
        laughs: How often a viewer laughed, per minute.
        by_viewer: Synchrony and laughs of each viewer, shape (viewers, 2); NaN: unknown.
    """

    group: str
    viewers: int
    synchrony: Interval
    synchrony_p: float
    peak: Interval
    peak_at: float
    peak_viewers: int
    laughs: Interval
    by_viewer: Array


@dataclass(frozen=True)
class Contrast:
    """By how much a figure of one treatment exceeds that of another.

    Attributes:
        what: `synchrony`, `laughs` or `peak`.
        first_group: What the first is called.
        second_group: What the second is called.
        difference: The first less the second; NaN ends: no interval.
        p: That there is none, corrected for both figures that have one.
        effect: Hedges's g, of the peak Cohen's h.
    """

    what: str
    first_group: str
    second_group: str
    difference: Interval
    p: float
    effect: float


def headlines(watched: Watching, measured: Sequence[Synchrony], anonymous: int | None = None) -> list[Headline]:
    """Return what is said of each treatment first, or of all viewers where there are no groups.

    Args:
        watched: What the viewers showed.
        measured: How far each group moves together.
        anonymous: Say nothing of fewer than so many viewers.
    """
    by_group = {synchrony.group: synchrony for synchrony in measured}
    named = sorted({group for group in watched.groups if group}) or [""]
    seconds = by_seconds(watched)[:, :, HAPPY]
    every = [_laughs(curve, watched.step_s) for curve in watched.shares[:, :, HAPPY]]
    told = []
    for name in named:
        rows = np.flatnonzero([not name or group == name for group in watched.groups])
        rows = rows[np.isfinite(seconds[rows]).any(1)]
        if len(rows) < max(1, anonymous or 1):
            continue
        by_viewer = np.column_stack([np.full(len(rows), np.nan), [every[row] for row in rows]])
        synchrony, p = Interval(math.nan), math.nan
        if name in by_group:
            of = by_group[name]
            synchrony, p = of.mean[VALENCE], float(of.mean_p[VALENCE])
            own = of.by_viewer
            places = {int(member): place for place, member in enumerate(of.members)}
            by_viewer[:, 0] = [own[places[row], VALENCE] if row in places else math.nan for row in rows.tolist()]
        ends = estimate(by_viewer[:, 1:])
        laughs = Interval(float(ends.value[0]), float(ends.low[0]), float(ends.high[0]))
        peak, at, count = _peak(seconds[rows], anonymous)
        told.append(Headline(name, len(rows), synchrony, p, peak, at, count, laughs, by_viewer))
    return told


def contrasts(told: Sequence[Headline]) -> list[Contrast]:
    """Return how the figures of each two treatments differ, and how large that is among their viewers."""
    pairs = []
    for first, second in itertools.combinations(told, 2):
        names = first.group, second.group
        between = compare(first.by_viewer, None, second.by_viewer, None)
        size = hedges_g(first.by_viewer, second.by_viewer)
        for place, what in enumerate(("synchrony", "laughs")):
            ends = (float(end[place]) for end in (between.value, between.all_low, between.all_high))
            pairs.append(Contrast(what, *names, Interval(*ends), float(between.all_p[place]), float(size[place])))
        shares = first.peak.value, second.peak.value
        turned = [2 * math.asin(math.sqrt(share)) if math.isfinite(share) else math.nan for share in shares]
        pairs.append(Contrast("peak", *names, Interval(shares[0] - shares[1]), math.nan, turned[0] - turned[1]))
    return pairs


def _peak(seconds: Array, anonymous: int | None) -> tuple[Interval, float, int]:
    """Return the highest share of viewers who showed happy in a second in which half of all were seen, and when."""
    there = np.isfinite(seconds)
    count = there.sum(0)
    enough = (count >= max(1, anonymous or 1)) & (2 * count >= count.max(initial=0))
    hits = (there & (np.nan_to_num(seconds) >= SHOWS)).sum(0)
    share = np.where(enough, hits / np.maximum(count, 1), -1.0)
    if not enough.any():
        return Interval(math.nan), math.nan, 0
    at = int(share.argmax())
    return wilson(int(hits[at]), int(count[at])), float(at), int(count[at])


def _laughs(curve: NDArray[np.floating], step_s: float) -> float:
    """Return how many laughs a minute a viewer's curve of happy has; a face that is lost meanwhile ends none."""
    seen = curve[np.isfinite(curve)]
    if len(seen) * step_s < LEAST_SEEN_S:
        return math.nan
    least = round(LAUGH_S / step_s)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], seen >= SHOWS, [False]]).astype(np.int8))).reshape(-1, 2)
    stretches: list[list[int]] = []
    for start, end in edges.tolist():
        if stretches and start - stretches[-1][1] < least:
            stretches[-1][1] = end
        else:
            stretches.append([start, end])
    return sum(end - start >= least for start, end in stretches) / (len(seen) * step_s / 60)
