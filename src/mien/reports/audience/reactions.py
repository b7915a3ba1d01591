"""How an audience reacts: what viewers showed and the events go in; for each event and emotion the reaction comes out.

The viewer is the unit. A viewer's rise is what lies above the mean of the seconds before the event. The height of a
reaction is the highest point of the viewers' mean rise. Chance alone makes it a little higher than 0, so what it is
worth is told by its interval, which allows for the choice of the moment.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mien.observation import EMOTIONS
from mien.reports.audience.events import Event
from mien.reports.audience.seats import Watching
from mien.reports.base.bootstrap import MIN_UNITS, Estimates, expanded, peaks

__all__ = ["LEAST_RISE", "TAKES_S", "Interval", "Reaction", "Reactions", "joined", "react", "wilson"]

LEAST_RISE = 0.1
"""A viewer who reacts rises at least so much, in probability, and more than in 95 % of stretches without an event."""

TAKES_S = 5.0
"""A reaction takes about so long, in seconds: events that follow each other faster are judged as one."""

QUIET_STRETCHES = 3
"""Of a viewer at least so many stretches without an event must be known to say whether that viewer reacted."""

QUIET_SAMPLES = 20
"""And of all viewers together at least so many."""

DRAWS = 1000
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """A figure with the ends of its 95 % interval; NaN where there is none."""

    value: float
    low: float = math.nan
    high: float = math.nan


class Reacted(NamedTuple):
    """How many viewers reacted by themselves.

    Attributes:
        hits: So many.
        share: Their share of the judged, with Wilson's interval.
        viewers: How many could be judged by what they show without an event.
    """

    hits: int
    share: Interval
    viewers: int


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
        reacted: How many viewers reacted by themselves; None where too little is known of how they look without an
            event.
        window: How long was looked for it, in seconds from the event's beginning.
        cut: Whether the next event ended that.
    """

    event: Event
    viewers: int
    emotion: int
    height: Interval
    p: float
    latency: Interval
    duration: Interval
    open_end: bool
    reacted: Reacted | None
    window: float
    cut: bool

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
        events: In order of time, with those that are too close joined; see `joined`.
        baseline_s: The seconds before an event that a rise is measured from.
        window_s: The seconds from an event (or, where it has a length, from its end) in which a reaction is looked for;
            the next event ends them.
        anonymous: Say nothing of fewer than so many viewers.
    """
    looks = _windows(events, baseline_s, window_s)
    rises = [_rises(watched.shares, watched.step_s, look) for look in looks]
    quiet = _quiet(watched, events, baseline_s, window_s)
    least = max(1, anonymous or 1)
    judged = [n for n, rise in enumerate(rises) if int(np.isfinite(rise[:, 0, 0]).sum()) >= least]
    unseen = [event for n, event in enumerate(events) if n not in judged]
    heights = np.full((len(watched.names), len(judged), len(EMOTIONS)), np.nan)
    points = max((rises[n].shape[1] for n in judged), default=1)
    curves = np.full((len(watched.names), len(judged), len(EMOTIONS), points), np.nan)
    for place, n in enumerate(judged):
        heights[:, place] = _heights(rises[n])
        curves[:, place, :, : rises[n].shape[1]] = rises[n].transpose(0, 2, 1)
    estimates = peaks(curves)
    usual: dict[float, Array | None] = {}
    each = []
    for place, n in enumerate(judged):
        length = looks[n].length
        if length not in usual:
            usual[length] = _usual_rises(watched, quiet, baseline_s, length)
        here = slice(7 * place, 7 * place + 7)
        each.append(_reaction(events[n], rises[n], usual[length], estimates, here, looks[n], watched.step_s))
    return Reactions(each, heights, estimates, unseen)


def joined(events: Sequence[Event], window_s: float = 10.0) -> list[Event]:
    """Return the events with those joined that follow each other faster than a reaction takes.

    What belongs to which of them cannot be told apart, so they are judged together, over `window_s` at most.
    """
    groups: list[list[Event]] = []
    for event in sorted(events, key=lambda event: event.at):
        if groups:
            first, end = groups[-1][0], max(before.at + before.duration for before in groups[-1])
            if event.at < end + TAKES_S and event.at - first.at <= window_s:
                groups[-1].append(event)
                continue
        groups.append([event])
    return [group[0] if len(group) == 1 else _together(group) for group in groups]


def _together(group: Sequence[Event]) -> Event:
    labels = [event.label for event in group]
    between = f" + {len(labels) - 2} more" if len(labels) > 2 else ""
    end = max(event.at + event.duration for event in group)
    return Event(group[0].at, f"{labels[0]}{between} + {labels[-1]}", end - group[0].at)


@dataclass(frozen=True)
class _Search:
    """Where a reaction is looked for, and what it is measured from, in seconds: a moment, and the lengths around it."""

    at: float
    baseline: float
    length: float
    cut: bool = False


def _windows(events: Sequence[Event], baseline_s: float, window_s: float) -> list[_Search]:
    """Return where the reaction to each event is looked for: until the next, from after the one before."""
    windows = []
    over, nexts = 0.0, [*(event.at for event in events[1:]), math.inf][: len(events)]
    for event, following in zip(events, nexts, strict=True):
        length = event.duration + window_s
        quiet = max(1.0, event.at - over)
        windows.append(
            _Search(event.at, min(baseline_s, quiet), min(length, following - event.at), event.at + length > following)
        )
        over = event.at + event.duration + TAKES_S
    return windows


def _rises(shares: NDArray[np.float32], step: float, window: _Search) -> Array:
    """Return each viewer's rise over the baseline at each point of the window, shape (viewers, points, 7).

    NaN for viewers who are not to be seen in half of the baseline and half of the window.
    """
    half = round(0.5 / step)  # a point holds half a second before and after it
    at = round(window.at / step)
    last = at + round(window.length / step)
    start = min(at - round(window.baseline / step) + half, at - half - 1)
    before = shares[:, max(0, start) : max(0, at - half)].astype(np.float64)
    after = shares[:, max(0, at) : max(0, last)].astype(np.float64)
    points = max(1, last - at)
    if after.shape[1] < points:
        gap = np.full((len(shares), points - after.shape[1], shares.shape[2]), np.nan)
        after = np.concatenate([after, gap], axis=1)
    expected = max(1, at - half - start)
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
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(there[:, :, None], rises, 0.0).sum(0) / there.sum(0)[:, None]
    return np.asarray(np.where(_good(there)[:, None], mean, -np.inf))


def _good(there: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return at which points at most a fifth of the viewers is away, and five are there if they ever are.

    These are the points that `peaks` looks for the height at, shape (points,).
    """
    count = there.sum(0)
    most = int(count.max(initial=0))
    return np.asarray((count >= 0.8 * most) & (count >= min(MIN_UNITS, max(1, most))))


def _quiet(watched: Watching, events: Sequence[Event], baseline_s: float, window_s: float) -> list[tuple[float, float]]:
    """Return the stretches that no event and no reaction to one touches, from when until when, in seconds."""
    free, since = [], 0.0
    for event in events:
        free.append((since, event.at))
        since = max(since, event.at + event.duration + window_s)
    return [(start, end) for start, end in [*free, (since, watched.seconds)] if end - start > baseline_s]


def _usual_rises(
    watched: Watching, quiet: Sequence[tuple[float, float]], baseline_s: float, length: float
) -> Array | None:
    """Return how high each viewer rises in 5 % of the stretches without an event, shape (viewers, 7).

    Few viewers have enough such stretches of their own, so those of all are taken together, each in the viewer's own
    spread; that is measured in the viewer's other stretches, as it is for the events.

    Args:
        watched: What the viewers showed.
        quiet: Where there is no event.
        baseline_s: The seconds that a rise is measured from.
        length: How long a stretch is, in seconds.

    Returns:
        None where there are too few stretches to tell; NaN for a viewer of whom there are too few.
    """
    moments = [at for start, end in quiet for at in np.arange(start + baseline_s, end - length + 1e-9, length)]
    if len(moments) < QUIET_STRETCHES:
        return None
    moments = moments[:: max(1, len(moments) // 200)]
    rises = np.array([_rises(watched.shares, watched.step_s, _Search(at, baseline_s, length)) for at in moments])
    there = np.isfinite(rises)
    highest = np.where(there, rises, -np.inf).max(2)  # (stretches, viewers, 7)
    known = there.any(2)
    squares, counts = np.where(there, rises**2, 0).sum(2), there.sum(2)
    with np.errstate(invalid="ignore", divide="ignore"):
        others = np.sqrt((squares.sum(0) - squares) / (counts.sum(0) - counts))
        ratios = np.where(known, highest / others, np.nan)
        spread = np.sqrt(squares.sum(0) / counts.sum(0))
    enough = known.sum(0) >= QUIET_STRETCHES  # (viewers, 7)
    usual = np.full(spread.shape, np.nan)
    for emotion in range(len(EMOTIONS)):
        ours = ratios[:, enough[:, emotion], emotion]
        ours = ours[np.isfinite(ours)]
        if len(ours) < QUIET_SAMPLES:
            continue
        # the k-th highest of n, so that one more would be above it in at most 5 % of all cases
        rank = min(len(ours) - 1, math.ceil(0.95 * (len(ours) + 1)) - 1)
        high = float(np.sort(ours)[rank])
        own = enough[:, emotion]
        usual[own, emotion] = np.maximum(high * spread[own, emotion], LEAST_RISE)
    return usual if np.isfinite(usual).any() else None


def _highest(rises: Array) -> Array:
    highest = np.where(np.isfinite(rises), rises, -np.inf).max(1)
    heights: Array = np.where(np.isfinite(highest), highest, np.nan)
    return heights


def _reaction(
    event: Event,
    rises: Array,
    usual: Array | None,
    estimates: Estimates,
    here: slice,
    window: _Search,
    step: float,
) -> Reaction:
    value, p = estimates.value[here], estimates.all_p[here]
    # The clearest: of those beyond chance, or else of all, the one that rises most.
    beyond = (p < 0.05) & (value > 0)
    best = int(np.argmax(np.where(beyond | ~beyond.any(), np.nan_to_num(value, nan=-1.0), -1.0)))
    own = rises[:, :, best]
    seen = np.isfinite(own).any(1)
    own = own[seen]
    height = Interval(float(value[best]), float(estimates.all_low[here][best]), float(estimates.all_high[here][best]))
    latency, duration, open_end = _shape(own, step)
    reacted = None
    if usual is not None and (known := np.isfinite(usual[seen, best])).sum() > len(own) / 2:
        hits = int((_highest(own[known, :, None])[:, 0] >= usual[seen, best][known]).sum())
        reacted = Reacted(hits, wilson(hits, int(known.sum())), int(known.sum()))
    shape = latency, duration, open_end
    return Reaction(event, len(own), best, height, float(p[best]), *shape, reacted, window.length, window.cut)


def _shape(own: Array, step: float) -> tuple[Interval, Interval, bool]:
    """Return when the viewers' mean peaks, how long it stays above half of that, and whether it did so at the end."""
    there = np.isfinite(own)
    filled = np.where(there, own, 0.0)
    good = _good(there)
    peak, length, open_end = _peaks(np.ones((1, len(own))), filled, there, good)
    latency, duration = float(peak[0]) * step, float(length[0]) * step
    if len(own) < MIN_UNITS:
        return Interval(latency), Interval(duration), bool(open_end[0])
    rng = np.random.default_rng(0)
    weights = rng.multinomial(len(own), np.full(len(own), 1 / len(own)), DRAWS).astype(np.float64)
    peaks, lengths, _ = _peaks(weights, filled, there, good)
    ends = [np.quantile(drawn * step, expanded(len(own))) for drawn in (peaks, lengths)]
    return (
        Interval(latency, float(ends[0][0]), float(ends[0][1])),
        Interval(duration, float(ends[1][0]), float(ends[1][1])),
        bool(open_end[0]),
    )


def _peaks(
    weights: Array, filled: Array, there: NDArray[np.bool_], good: NDArray[np.bool_]
) -> tuple[Array, Array, NDArray[np.bool_]]:
    """Return of each weighted mean curve the good point of its peak and how many points around lie above half of it."""
    with np.errstate(invalid="ignore", divide="ignore"):
        means = (weights @ filled) / (weights @ there)
    means = np.nan_to_num(means, nan=-1.0)
    peak = np.where(good, means, -np.inf).argmax(1)
    rows = np.arange(len(means))
    above = means >= np.maximum(means[rows, peak] / 2, 0)[:, None]
    points = np.arange(means.shape[1])
    left = np.where(~above & (points < peak[:, None]), points, -1).max(1)
    right = np.where(~above & (points > peak[:, None]), points, means.shape[1]).min(1)
    return peak.astype(np.float64), (right - left - 1).astype(np.float64), right == means.shape[1]


def wilson(hits: int, count: int) -> Interval:
    """Return a share with Wilson's 95 % interval (1927)."""
    if not count:
        return Interval(math.nan)
    z, share = 1.959963984540054, hits / count
    middle = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z / (1 + z * z / count) * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    return Interval(share, max(0.0, middle - half), min(1.0, middle + half))
