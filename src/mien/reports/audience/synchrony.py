"""How far viewers' faces move together: what they showed goes in, their inter-subject correlation over time comes out.

In each window of some seconds a viewer's curve is correlated with the sum of the others' (leave-one-out; Hasson et al.
2004, Nastase et al. 2019), and Fisher's z of these is averaged over the viewers. Chance is what remains when each
viewer's curve is turned around in a circle by a time of its own: that keeps how slowly faces change, and takes away
that it happens at one time. The largest value over all moments and emotions of each such turn gives the correction for
their number (max statistic). The second choice for chance are curves of the same spectrum with random phases.

A face that is lost for a while is bridged by a straight line in the sum of the others; the viewer's own correlation
counts where three quarters of the window were seen, and where the curve there is not constant.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mien.observation import EMOTIONS
from mien.reports.audience.reactions import Interval
from mien.reports.audience.seats import Watching
from mien.reports.base.bootstrap import estimate

__all__ = [
    "SIGNALS",
    "SUMMARIES",
    "Moment",
    "Null",
    "Synchrony",
    "most_synchronous",
    "signals_of",
    "synchronies",
    "synchrony",
]

Null = Literal["shift", "phase"]

SIGNALS = (*EMOTIONS, "valence")
"""What is correlated: each emotion, and *happy* less *angry*, *disgust*, *fear* and *sad*."""

PLEASANT, UNPLEASANT = "happy", ("angry", "disgust", "fear", "sad")
SUMMARIES = (SIGNALS.index("neutral"), SIGNALS.index("valence"))
"""These say less of what was shown than an emotion does."""

SEEN = 0.75
"""So much of a window must be seen of a viewer."""

CONSTANT = 1e-3
"""A curve whose standard deviation in a window is smaller, in probability, is constant: it correlates with nothing."""

HIGHEST = 0.999
"""A correlation that is higher counts as this, for Fisher's z has no end."""

DRAWS, FEWEST_DRAWS, FIRST = 499, 199, 40
WORK = 1e9
"""So many points of all curves are turned around at most; of long recordings of many viewers less often."""

MOST, SHOWN_ANYWAY = 60, 5
"""So many moments are named at most, and so many also where none is beyond chance."""

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Moment:
    """A moment that moved people together.

    Attributes:
        group: Which group; empty: all viewers.
        at: When the viewers' mean changes fastest, in seconds of the treatment.
        start: When the window begins, in seconds.
        end: When it ends.
        signal: The index in SIGNALS of what moves most clearly together.
        change: How far the viewers' mean moves in the window, in probability; negative where it falls at `at`.
        synchrony: The correlation; its interval holds for all moments of the group at once.
        p: That so high a correlation is chance, corrected for all moments and emotions of the group.
        viewers: How many it rests on.
    """

    group: str
    at: float
    start: float
    end: float
    signal: int
    change: float
    synchrony: Interval
    p: float
    viewers: int

    @property
    def beyond_chance(self) -> bool:
        """Whether it is."""
        return self.p < 0.05


@dataclass(frozen=True)
class Synchrony:
    """How far a group's faces move together.

    Attributes:
        group: Its name; empty: all viewers.
        members: The places of its viewers in what was watched.
        window_s: How long a window is, in seconds; one begins each second.
        each: Fisher's z of each viewer's correlation with the others, shape (members, windows, 8); NaN: none.
        viewers: How many a mean rests on, shape (windows, 8).
        value: The correlation: the mean of z over the viewers, turned back, shape (windows, 8); NaN: too few.
        strength: That mean in units of its spread by chance, shape (windows, 8).
        p: For so high a value by chance, corrected for all windows and signals, shape (windows, 8).
        mean: Of each signal: the mean of z over a viewer's windows, turned back, and of these the mean over the
            viewers, with its interval.
        mean_p: For so high a mean by chance, each signal for itself, shape (8,).
        draws: How often the curves were turned around.
    """

    group: str
    members: NDArray[np.int64]
    window_s: int
    each: Array
    viewers: NDArray[np.int64]
    value: Array
    strength: Array
    p: Array
    mean: list[Interval]
    mean_p: Array
    draws: int

    @property
    def judged(self) -> bool:
        """Whether there is any window in which enough viewers count."""
        return bool(np.isfinite(self.value).any())

    @property
    def by_viewer(self) -> Array:
        """The mean over the windows of each viewer's correlation, shape (members, 8); NaN: none."""
        return np.tanh(_nanmean(np.where(np.isfinite(self.value), self.each, np.nan), 1))

    @property
    def at(self) -> Array:
        """The middle of each window, in seconds of the treatment."""
        return np.asarray(np.arange(len(self.value)) + self.window_s / 2, np.float64)


def signals_of(shares: NDArray[np.floating]) -> Array:
    """Return the seven probabilities with the valence as the eighth, shape (…, 8)."""
    shares = shares.astype(np.float64)
    minus = shares[..., [EMOTIONS.index(emotion) for emotion in UNPLEASANT]].sum(-1)
    return np.concatenate([shares, (shares[..., EMOTIONS.index(PLEASANT)] - minus)[..., None]], axis=-1)


def synchronies(
    watched: Watching,
    window_s: float = 10.0,
    anonymous: int | None = None,
    null: Null = "shift",
    tell: Callable[[float, float], None] | None = None,
) -> list[Synchrony]:
    """Return the synchrony of each group, or of all viewers where there are no groups.

    Groups may have watched different cuts, so that each is correlated with itself alone. Of groups of one viewer, or
    of fewer than `anonymous`, and of a treatment shorter than a window there is none.

    Args:
        watched: What the viewers showed.
        window_s: How long a window is, in seconds; whole ones are taken.
        anonymous: Say nothing of fewer than so many viewers.
        null: What chance is: curves turned around, or of random phases.
        tell: Hears how far it is: done, total.
    """
    named = sorted({group for group in watched.groups if group})
    members = [np.flatnonzero([group == name for group in watched.groups]) for name in named]
    groups = list(zip(named, members, strict=True)) or [("", np.arange(len(watched.names)))]
    measured = []
    for number, (name, rows) in enumerate(groups):
        least = max(2, anonymous or 2)
        seen = rows[np.isfinite(watched.shares[rows, :, 0]).any(1)]
        if len(seen) < least or watched.seconds < round(window_s):
            continue
        signals = signals_of(watched.shares[seen])
        follow = (lambda done, number=number: tell(number + done, len(groups))) if tell else None
        measured.append(synchrony(signals, round(window_s), watched.step_s, name, seen, least, null, follow))
    return measured


def synchrony(
    signals: Array,
    window_s: int = 10,
    step_s: float = 0.25,
    group: str = "",
    members: NDArray[np.int64] | None = None,
    least: int = 2,
    null: Null = "shift",
    tell: Callable[[float], None] | None = None,
    draws: int = DRAWS,
    seed: int = 0,
) -> Synchrony:
    """Return how far some viewers' curves move together.

    Args:
        signals: Shape (viewers, points, k); NaN where a viewer was not seen, in all k alike.
        window_s: How long a window is, in whole seconds.
        step_s: The time from one point to the next, in seconds.
        group: What the viewers are called.
        members: Which viewers of all they are.
        least: A window needs so many viewers, and half of the most that any has.
        null: What chance is.
        tell: Hears which share is done.
        draws: How often curves are turned around at most.
        seed: Of the turns.
    """
    curves = _Curves.of(signals, round(1 / step_s))
    each = curves.correlations(window_s)
    mean, count = _mean(each, least)
    turning = replace(curves, points=curves.points.astype(np.float32))
    rng = np.random.default_rng(seed)
    draws = max(min(draws, FEWEST_DRAWS), min(draws, int(WORK / max(1, curves.points.size))))
    spread = _spread([_mean(turning.by_chance(rng, null).correlations(window_s), least) for _ in range(FIRST)])
    strength = mean * np.sqrt(count) / spread
    highest, means = np.empty(draws), np.empty((draws, len(mean)))
    for draw in range(draws):
        drawn, drawn_count = _mean(turning.by_chance(rng, null).correlations(window_s), least)
        highest[draw] = np.nanmax(drawn * np.sqrt(drawn_count) / spread, initial=-np.inf)
        means[draw] = _nanmean(drawn, 1)
        if tell:
            tell((draw + 1) / draws)
    reached = draws - np.searchsorted(np.sort(highest), np.where(np.isfinite(strength), strength, np.inf), side="left")
    p = np.where(np.isfinite(strength), (1 + reached) / (1 + draws), np.nan)
    whole = _nanmean(mean, 1)
    mean_p = np.where(np.isfinite(whole), (1 + (means >= whole).sum(0)) / (1 + draws), np.nan)
    ends = estimate(np.tanh(_nanmean(np.where(np.isfinite(mean), each, np.nan), 2)))
    over_all = [Interval(*map(float, three)) for three in zip(ends.value, ends.low, ends.high, strict=True)]
    members = np.arange(len(signals)) if members is None else members
    return Synchrony(
        *(group, members, window_s, _last(each), count.T, _last(np.tanh(mean)), _last(strength), _last(p)),
        *(over_all, mean_p, draws),
    )


def _last(values: Array) -> Array:
    """Return values with the windows last but one, and the signals last."""
    return np.asarray(np.moveaxis(values, -1, -2))


def most_synchronous(measured: Synchrony, watched: Watching) -> list[Moment]:
    """Return the moments that moved people most clearly together, ranked, at least a window apart.

    Those that are beyond chance, and the clearest few also where they are not. Of several emotions that move at a
    moment it has the clearest.

    Args:
        measured: The synchrony of a group.
        watched: What all viewers showed.
    """
    left = np.where(np.isfinite(measured.strength) & (measured.strength > 0), measured.strength, -np.inf)
    signals = signals_of(watched.shares[measured.members])
    per_second = round(1 / watched.step_s)
    chosen: list[_Chosen] = []
    while left.size and len(chosen) < MOST:
        window, signal = divmod(int(left.argmax()), left.shape[1])
        beyond = bool(measured.p[window, signal] < 0.05)
        if not np.isfinite(left[window, signal]) or (not beyond and len(chosen) >= SHOWN_ANYWAY):
            break
        signal = _named(measured, window, signal)
        there = np.isfinite(measured.each[:, window, signal])
        inside = slice(window * per_second, (window + measured.window_s) * per_second)
        at, change = _movement(signals[there, inside, signal], per_second)
        if all(abs(window + at - before.at) >= measured.window_s for before in chosen):
            chosen.append(_Chosen(window, signal, window + at, change))
            left[max(0, window - measured.window_s + 1) : window + measured.window_s] = -np.inf
        else:  # the same movement, seen from a window beside
            left[window] = -np.inf
    if not chosen:
        return []
    ends = estimate(np.column_stack([measured.each[:, of.window, of.signal] for of in chosen]))
    return [
        Moment(
            group=measured.group,
            at=of.at,
            start=float(of.window),
            end=float(of.window + measured.window_s),
            signal=of.signal,
            change=of.change,
            synchrony=Interval(*(float(np.tanh(end[n])) for end in (ends.value, ends.all_low, ends.all_high))),
            p=float(measured.p[of.window, of.signal]),
            viewers=int(measured.viewers[of.window, of.signal]),
        )
        for n, of in enumerate(chosen)
    ]


class _Chosen(NamedTuple):
    window: int
    signal: int
    at: float
    change: float


def _named(measured: Synchrony, window: int, signal: int) -> int:
    """Return the clearest emotion of a window that is beyond chance; neutral and valence only where there is none."""
    if signal not in SUMMARIES:
        return signal
    strength = np.where(measured.p[window] < 0.05, measured.strength[window], -np.inf)
    strength[list(SUMMARIES)] = -np.inf
    return int(strength.argmax()) if np.isfinite(strength).any() else signal


def _movement(curves: Array, per_second: int) -> tuple[float, float]:
    """Return when the mean of some curves changes fastest, in seconds, and how far it moves in all."""
    mean = _nanmean(curves, 0)
    mean = np.interp(np.arange(len(mean)), np.flatnonzero(np.isfinite(mean)), mean[np.isfinite(mean)])
    steps = mean[per_second:] - mean[:-per_second]
    fastest = int(np.abs(steps).argmax())
    return fastest / per_second + 0.5, float(np.ptp(mean)) * (1 if steps[fastest] >= 0 else -1)


def _mean(each: Array, least: int) -> tuple[Array, NDArray[np.int64]]:
    """Return the mean over the viewers in windows where enough are there, shape (k, windows), and how many they are."""
    count = np.isfinite(each).sum(0)
    enough = (count >= least) & (2 * count >= count.max(1, initial=0, keepdims=True))
    return np.where(enough, _nanmean(each, 0), np.nan), count


def _spread(drawn: list[tuple[Array, NDArray[np.int64]]]) -> Array:
    """Return by how much a mean over one viewer varies by chance, shape (k, 1); over n it is 1/sqrt(n) of it."""
    squares = np.array([_nanmean(mean**2 * count, 1) for mean, count in drawn])
    spread = np.sqrt(_nanmean(squares, 0))[:, None]
    return np.where(spread > 0, spread, np.nan)


def _nanmean(values: Array, axis: int) -> Array:
    there = np.isfinite(values)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(there, values, 0.0).sum(axis) / there.sum(axis))


@dataclass(frozen=True)
class _Curves:
    """Curves by seconds; the last axis is the longest, so that sums along it are quick.

    Attributes:
        points: Without gaps, each viewer's mean taken off, shape (points of a second, viewers, k, seconds).
        sums: Over the points of each second, shape (viewers, k, seconds).
        squares: The same of the squares.
        seen: How many points of each second were seen, shape (viewers, 1, seconds).
        spans: First and one past the last second in which each viewer was seen.
    """

    points: NDArray[np.floating]
    sums: Array
    squares: Array
    seen: NDArray[np.floating]
    spans: list[tuple[int, int]]

    @classmethod
    def of(cls, signals: Array, per_second: int) -> _Curves:
        """Return the curves, gaps bridged by straight lines, and ends held; whole seconds are kept."""
        n, points, k = signals.shape
        seconds = points // per_second
        seen = np.isfinite(signals[:, : seconds * per_second, 0])
        filled = np.zeros((n, k, seconds * per_second))
        every = np.arange(seconds * per_second)
        spans = []
        for viewer in range(n):
            there = np.flatnonzero(seen[viewer])
            if not len(there):
                spans.append((0, seconds))
                continue
            for signal in range(k):
                filled[viewer, signal] = np.interp(every, there, signals[viewer, there, signal])
            spans.append((int(there[0]) // per_second, int(there[-1]) // per_second + 1))
        filled -= filled.mean(2, keepdims=True)
        counts = seen.reshape(n, 1, seconds, per_second).sum(3).astype(np.float64)
        return cls._summed(filled.reshape(n, k, seconds, per_second).transpose(3, 0, 1, 2).copy(), counts, spans)

    @classmethod
    def _summed(cls, points: NDArray[np.floating], seen: NDArray[np.floating], spans: list[tuple[int, int]]) -> _Curves:
        wide = points.astype(np.float64)
        return cls(points, wide.sum(0), (wide**2).sum(0), seen, spans)

    def by_chance(self, rng: np.random.Generator, null: Null) -> _Curves:
        """Return the curves each turned around in its span by a time of its own, or with random phases there."""
        return self._turned(rng) if null == "shift" else self._with_random_phases(rng)

    def _turned(self, rng: np.random.Generator) -> _Curves:
        points, sums, squares, seen = (part.copy() for part in (self.points, self.sums, self.squares, self.seen))
        for row, (first, end) in enumerate(self.spans):
            by = int(rng.integers(end - first))
            if by:
                points[:, row, :, first : first + by] = self.points[:, row, :, end - by : end]
                points[:, row, :, first + by : end] = self.points[:, row, :, first : end - by]
                for part, whole in ((sums, self.sums), (squares, self.squares), (seen, self.seen)):
                    part[row, :, first : first + by] = whole[row, :, end - by : end]
                    part[row, :, first + by : end] = whole[row, :, first : end - by]
        return _Curves(points, sums, squares, seen, self.spans)

    def _with_random_phases(self, rng: np.random.Generator) -> _Curves:
        per_second, _, k, _ = self.points.shape
        drawn = self.points.astype(np.float64)
        for row, (first, end) in enumerate(self.spans):
            flat = drawn[:, row, :, first:end].transpose(1, 2, 0).reshape(k, -1)
            spectrum = np.fft.rfft(flat, axis=1)
            turns: Array = rng.uniform(0, 2 * np.pi, (spectrum.shape[1],))
            turns[0] = 0  # the mean stays
            if flat.shape[1] % 2 == 0:
                turns[-1] = 0
            turned = np.fft.irfft(spectrum * np.exp(1j * turns), flat.shape[1], axis=1)
            drawn[:, row, :, first:end] = turned.reshape(k, end - first, per_second).transpose(2, 0, 1)
        return _Curves._summed(drawn, self.seen, self.spans)

    def correlations(self, window: int) -> Array:
        """Return Fisher's z of each viewer's correlation with the sum of the others, shape (viewers, k, windows)."""
        number = window * len(self.points)
        total = self.points.sum(1)  # (points, k, seconds)
        with_total = self.points[0] * total[0]
        for point, everybody in zip(self.points[1:], total[1:], strict=True):
            with_total += point * everybody
        own, squares, products = (_windows(part, window) for part in (self.sums, self.squares, with_total))
        whole = _windows(total.sum(0, dtype=np.float64), window)
        whole_squares = _windows((total.astype(np.float64) ** 2).sum(0), window)
        variance = squares - own**2 / number
        common = products - own * whole / number
        others = whole_squares - whole**2 / number - 2 * common + variance
        moving = number * CONSTANT**2
        usable = (_windows(self.seen, window) >= SEEN * number) & (variance > moving) & (others > moving)
        with np.errstate(invalid="ignore", divide="ignore"):
            r = np.clip((common - variance) / np.sqrt(variance * others), -HIGHEST, HIGHEST)
            z = np.log((1 + r) / (1 - r)) / 2
        return np.where(usable, z, np.nan)


def _windows(values: NDArray[np.floating], window: int) -> Array:
    """Return the sums over as many seconds in a row, shape (…, seconds - window + 1)."""
    total = np.zeros((*values.shape[:-1], values.shape[-1] + 1))
    np.cumsum(values, axis=-1, dtype=np.float64, out=total[..., 1:])
    return np.asarray(total[..., window:] - total[..., :-window])
