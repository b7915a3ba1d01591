"""How an audience reacts: what viewers showed and the events go in; for each event and emotion the reaction comes out.

The viewer is the unit. A viewer's rise is what lies above the mean of the seconds before the event. The height of a
reaction is the highest point of the viewers' mean rise. Chance alone makes it a little higher than 0, so what it is
worth is told by its interval, which allows for the choice of the moment.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.observation import EMOTIONS
from mien.reports.audience.events import Event
from mien.reports.audience.seats import Watching
from mien.reports.base.bootstrap import MIN_UNITS, Estimates, expanded, peaks

__all__ = ["LEAST_RISE", "Interval", "Reaction", "Reactions", "react"]

LEAST_RISE = 0.1
"""A viewer who reacts rises at least so much, in probability, and more than 95 % of that viewer's own rises at times
without an event."""

DRAWS = 1000
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """A figure with the ends of its 95 % interval; NaN where there is none."""

    value: float
    low: float = math.nan
    high: float = math.nan


@dataclass(frozen=True)
class Reaction:
    """The reaction to an event, by its clearest emotion.

    Attributes:
        event: To what.
        viewers: How many could be judged: with a face before and after.
        emotion: The index of the emotion that rises most clearly.
        height: By how much, in probability; the interval holds for all events and emotions at once.
        p: That there is no reaction, corrected for all events and emotions; NaN with too few viewers.
        latency: From the event to the peak of the viewers' mean, in seconds.
        duration: How long that mean stays above half its peak, in seconds.
        open_end: Whether it still did when the window ended.
        reacted: How many viewers reacted by themselves, with Wilson's interval for their share.
    """

    event: Event
    viewers: int
    emotion: int
    height: Interval
    p: float
    latency: Interval
    duration: Interval
    open_end: bool
    reacted: tuple[int, Interval]

    @property
    def landed(self) -> bool:
        """Whether it is beyond chance."""
        return self.p < 0.05 and self.height.value > 0


@dataclass(frozen=True)
class Reactions:
    """The reactions to all events.

    Attributes:
        each: One per event that could be judged, in order of time.
        heights: Each viewer's rise when the mean of all is highest, shape (viewers, events, 7); NaN: not judged.
        estimates: Of these, in the order (event, emotion), shape (events x 7,).
        unseen: Events during which too few viewers were to be seen.
    """

    each: list[Reaction]
    heights: Array
    estimates: Estimates
    unseen: list[Event]


def react(
    watched: Watching,
    events: Sequence[Event],
    baseline_s: float = 5.0,
    window_s: float = 10.0,
    anonymous: int | None = None,
) -> Reactions:
    """Return how the viewers reacted.

    Args:
        watched: What they showed.
        events: In order of time.
        baseline_s: The seconds before an event that a rise is measured from.
        window_s: The seconds from an event (or, where it has a length, from its end) in which a reaction is looked for.
        anonymous: Say nothing of fewer than so many viewers.
    """
    usual = _usual_rises(watched, events, baseline_s, window_s)
    rises = [_rises(watched.shares, watched.step_s, one, baseline_s, window_s) for one in events]
    least = max(1, anonymous or 1)
    judged = [n for n, rise in enumerate(rises) if int(np.isfinite(rise[:, 0, 0]).sum()) >= least]
    unseen = [one for n, one in enumerate(events) if n not in judged]
    heights = np.full((len(watched.names), len(judged), len(EMOTIONS)), np.nan)
    points = max((rises[n].shape[1] for n in judged), default=1)
    curves = np.full((len(watched.names), len(judged), len(EMOTIONS), points), np.nan)
    for place, n in enumerate(judged):
        heights[:, place] = _heights(rises[n])
        curves[:, place, :, : rises[n].shape[1]] = rises[n].transpose(0, 2, 1)
    found = peaks(curves)
    each = [
        _reaction(events[n], rises[n], usual, found, slice(7 * place, 7 * place + 7), watched.step_s)
        for place, n in enumerate(judged)
    ]
    return Reactions(each, heights, found, unseen)


def _rises(shares: NDArray[np.float32], step: float, event: Event, baseline_s: float, window_s: float) -> Array:
    """Return each viewer's rise over the baseline at each point of the window, shape (viewers, points, 7).

    NaN for viewers who are not to be seen in half of the baseline and half of the window.
    """
    half = round(0.5 / step)  # a point holds half a second before and after it
    at = round(event.at / step)
    first, last = at - round(baseline_s / step), at + round((event.duration + window_s) / step)
    before = shares[:, max(0, first + half) : max(0, at - half)].astype(np.float64)
    after = shares[:, max(0, at) : max(0, last)].astype(np.float64)
    points = max(1, last - at)
    if after.shape[1] < points:
        gap = np.full((len(shares), points - after.shape[1], shares.shape[2]), np.nan)
        after = np.concatenate([after, gap], axis=1)
    expected = max(1, at - half - (first + half))
    enough = 2 * np.isfinite(before[:, :, 0]).sum(1) >= expected
    enough &= 2 * np.isfinite(after[:, :, 0]).sum(1) >= points
    base = np.full((len(shares), shares.shape[2]), np.nan)
    base[enough] = np.nanmean(before[enough], axis=1)
    return np.asarray(after - base[:, None])


def _heights(rises: Array) -> Array:
    """Return each viewer's rise when the mean of all is highest, shape (viewers, 7)."""
    best = _mean(rises).argmax(0)  # (7,)
    return np.asarray(rises[:, best, np.arange(len(best))])


def _mean(rises: Array) -> Array:
    """Return the viewers' mean rise at each point where most of them are to be seen, shape (points, 7); else -inf."""
    there = np.isfinite(rises[:, :, 0])
    count = there.sum(0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(there[:, :, None], rises, 0.0).sum(0) / count[:, None]
    good = (count >= 0.8 * count.max()) & (count > 0)
    return np.asarray(np.where(good[:, None], mean, -np.inf))


def _usual_rises(watched: Watching, events: Sequence[Event], baseline_s: float, window_s: float) -> Array:
    """Return the height that 95 % of each viewer's rises at times without an event stay below, shape (viewers, 7)."""
    busy = [(one.at - window_s, one.at + one.duration + window_s + baseline_s) for one in events]
    times = np.arange(baseline_s, watched.seconds - window_s, 1.0)
    free = [at for at in times if not any(start <= at <= end for start, end in busy)]
    quiet = free[:: max(1, len(free) // 200)]
    if len(quiet) < 20:
        return np.full((len(watched.names), len(EMOTIONS)), LEAST_RISE)
    highest = [_highest(_rises(watched.shares, watched.step_s, Event(at, ""), baseline_s, window_s)) for at in quiet]
    stacked = np.array(highest)
    usual = np.full(stacked.shape[1:], LEAST_RISE)
    seen = np.isfinite(stacked).sum(0) >= 20
    usual[seen] = np.nanquantile(stacked[:, seen], 0.95, axis=0)
    return np.asarray(np.maximum(usual, LEAST_RISE))


def _highest(rises: Array) -> Array:
    highest = np.where(np.isfinite(rises), rises, -np.inf).max(1)
    found: Array = np.where(np.isfinite(highest), highest, np.nan)
    return found


def _reaction(event: Event, rises: Array, usual: Array, found: Estimates, here: slice, step: float) -> Reaction:
    value, p = found.value[here], found.all_p[here]
    # The clearest: of those beyond chance, or else of all, the one that rises most.
    beyond = (p < 0.05) & (value > 0)
    best = int(np.argmax(np.where(beyond | ~beyond.any(), np.nan_to_num(value, nan=-1.0), -1.0)))
    own = rises[:, :, best]
    seen = np.isfinite(own).any(1)
    own = own[seen]
    height = Interval(float(value[best]), float(found.all_low[here][best]), float(found.all_high[here][best]))
    latency, duration, open_end = _shape(own, step)
    hits = int((_highest(own[:, :, None])[:, 0] >= usual[seen, best]).sum())
    return Reaction(
        event, len(own), best, height, float(p[best]), latency, duration, open_end, (hits, _wilson(hits, len(own)))
    )


def _shape(own: Array, step: float) -> tuple[Interval, Interval, bool]:
    """Return when the viewers' mean peaks, how long it stays above half of that, and whether it did so at the end."""
    there = np.isfinite(own)
    filled = np.where(there, own, 0.0)
    peak, length, open_end = _peaks(np.ones((1, len(own))), filled, there)
    latency, duration = float(peak[0]) * step, float(length[0]) * step
    if len(own) < MIN_UNITS:
        return Interval(latency), Interval(duration), bool(open_end[0])
    rng = np.random.default_rng(0)
    weights = rng.multinomial(len(own), np.full(len(own), 1 / len(own)), DRAWS).astype(np.float64)
    peaks, lengths, _ = _peaks(weights, filled, there)
    ends = [np.quantile(drawn * step, expanded(len(own))) for drawn in (peaks, lengths)]
    return (
        Interval(latency, float(ends[0][0]), float(ends[0][1])),
        Interval(duration, float(ends[1][0]), float(ends[1][1])),
        bool(open_end[0]),
    )


def _peaks(weights: Array, filled: Array, there: NDArray[np.bool_]) -> tuple[Array, Array, NDArray[np.bool_]]:
    """Return of each weighted mean curve the point of its peak and how many points around lie above half of it."""
    with np.errstate(invalid="ignore", divide="ignore"):
        means = (weights @ filled) / (weights @ there)
    means = np.nan_to_num(means, nan=-1.0)
    peak = means.argmax(1)
    rows = np.arange(len(means))
    above = means >= np.maximum(means[rows, peak] / 2, 0)[:, None]
    points = np.arange(means.shape[1])
    left = np.where(~above & (points < peak[:, None]), points, -1).max(1)
    right = np.where(~above & (points > peak[:, None]), points, means.shape[1]).min(1)
    return peak.astype(np.float64), (right - left - 1).astype(np.float64), right == means.shape[1]


def _wilson(hits: int, count: int) -> Interval:
    """Return a share with Wilson's 95 % interval (1927)."""
    if not count:
        return Interval(math.nan)
    z, share = 1.959963984540054, hits / count
    middle = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z / (1 + z * z / count) * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    return Interval(share, max(0.0, middle - half), min(1.0, middle + half))
