"""Where two groups' courses differ: what their viewers showed goes in, the stretches in which they differ come out.

In each second Student's t compares the two groups' viewers; seconds in a row in which it is beyond its own 5 % form a
cluster, whose mass is the sum of their t. The largest mass of any cluster and emotion is then looked at with the
viewers exchanged between the groups, in every way or in thousands of random ways (Maris and Oostenveld 2007). That
needs no list of events, allows for all seconds and emotions at once, and for courses that change slowly: whole
viewers are exchanged. A cluster says that the courses differ around there, not that they begin to differ in exactly
that second.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.reports.audience.groups import by_seconds
from mien.reports.audience.seats import Watching
from mien.reports.audience.synchrony import signals_of
from mien.reports.base.bootstrap import MIN_UNITS, student

__all__ = ["Cluster", "Compared", "clusters", "compared_courses"]

LEVEL = 0.05
"""A second belongs to a cluster where t is rarer than that by chance, looked at for itself, in both directions."""

EXACT, DRAWS = 4096, 2000
"""With up to so many ways to divide the viewers all are tried; else so many random ones."""

CHUNK = 64
MOST = 60
"""So many clusters are named at most, those of the largest mass."""

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Cluster:
    """A stretch in which two groups differ.

    Attributes:
        start: When it begins, in seconds of the treatment.
        end: When it ends.
        signal: The index in SIGNALS.
        difference: The mean over it of the first group's mean less the second's, in probability.
        mass: The sum of t over its seconds; negative where the second group's mean is higher.
        p: That so large a mass is chance, corrected for all seconds and emotions.
    """

    start: float
    end: float
    signal: int
    difference: float
    mass: float
    p: float

    @property
    def beyond_chance(self) -> bool:
        """Whether it is."""
        return self.p < 0.05


@dataclass(frozen=True)
class Compared:
    """Two groups, compared over the whole course.

    Attributes:
        first_group: What the first is called.
        second_group: What the second is called.
        viewers: How many viewers each has.
        seconds: In how many seconds both could be compared.
        clusters: In order of time.
    """

    first_group: str
    second_group: str
    viewers: tuple[int, int]
    seconds: int
    clusters: list[Cluster]


def compared_courses(
    watched: Watching, anonymous: int | None = None, tell: Callable[[float, float], None] | None = None
) -> list[Compared]:
    """Return where each two groups of enough viewers differ.

    Args:
        watched: What the viewers showed.
        anonymous: Compare no groups of fewer than so many viewers.
        tell: Hears how far it is: done, total.
    """
    seconds = signals_of(by_seconds(watched))
    there = np.asarray(np.isfinite(seconds[:, :, 0]).any(1))
    groups = sorted({group for group in watched.groups if group})
    rows = {group: _members(watched, group, there) for group in groups}
    least = max(MIN_UNITS, anonymous or 0)
    pairs = [pair for pair in itertools.combinations(groups, 2) if min(len(rows[name]) for name in pair) >= least]
    compared = []
    for number, (first, second) in enumerate(pairs):
        a, b = seconds[rows[first]], seconds[rows[second]]
        seen = [np.isfinite(group[:, :, 0]).sum(0) for group in (a, b)]
        looked = int(((seen[0] >= least) & (seen[1] >= least)).sum())
        compared.append(Compared(first, second, (len(a), len(b)), looked, clusters(a, b, least)))
        if tell:
            tell(number + 1, len(pairs))
    return compared


def _members(watched: Watching, group: str, there: NDArray[np.bool_]) -> NDArray[np.int64]:
    return np.flatnonzero(there & np.array([name == group for name in watched.groups], bool))


def clusters(first: Array, second: Array, least: int = MIN_UNITS, draws: int = DRAWS, seed: int = 0) -> list[Cluster]:
    """Return where two groups differ, in order of time; the largest where there are very many.

    Args:
        first: What the first group's viewers showed, shape (viewers, seconds, k); NaN where one was not seen, in all k
            alike.
        second: The same of the second group.
        least: A second counts where so many viewers of both are to be seen.
        draws: How many random ways of dividing the viewers are tried.
        seed: Of these.
    """
    values = np.concatenate([first, second])
    whole = np.zeros(len(values), bool)
    whole[: len(first)] = True
    exchange = _Exchange(values, least)
    t = exchange.t(whole[None])[0]
    observed = [
        piece for signal in range(t.shape[1]) for piece in _pieces(t[:, signal], exchange.limits(whole), signal)
    ]
    if not observed:
        return []
    largest = np.concatenate(
        [_largest(exchange.t(part), exchange.limits_of(part)) for part in _ways(len(first), len(values), draws, seed)]
    )
    order = np.sort(largest)
    observed.sort(key=lambda piece: -abs(piece[3]))
    named = []
    for start, end, signal, mass in sorted(observed[:MOST]):
        with np.errstate(invalid="ignore"):
            means = [np.nanmean(group[:, start:end, signal], 0) for group in (first, second)]
        reached = len(order) - int(np.searchsorted(order, abs(mass) - 1e-6 * abs(mass), side="left"))
        p = reached / len(order)
        named.append(Cluster(float(start), float(end), signal, float((means[0] - means[1]).mean()), mass, p))
    return named


def _ways(first: int, viewers: int, draws: int, seed: int) -> list[NDArray[np.bool_]]:
    """Return ways to choose the first group's viewers, some at a time; the first is the one that was observed."""
    number = math.comb(viewers, first)
    if number <= EXACT:
        ways = np.zeros((number, viewers), bool)
        for row, chosen in enumerate(itertools.combinations(range(viewers), first)):
            ways[row, list(chosen)] = True
    else:
        rng = np.random.default_rng(seed)
        ways = rng.permuted(np.tile(np.arange(viewers) < first, (draws, 1)), axis=1)
        ways[0] = np.arange(viewers) < first
    return [ways[start : start + CHUNK] for start in range(0, len(ways), CHUNK)]


class _Exchange:
    """Compares the viewers of one group with those of another, however they are divided."""

    def __init__(self, values: Array, least: int) -> None:
        self._least = least
        n, self._seconds, self._k = values.shape
        self._there = np.isfinite(values[:, :, 0]).astype(np.float64)
        # Means are taken off, so that sums of squares are exact enough.
        filled = np.where(np.isfinite(values), values - np.nanmean(values, (0, 1), keepdims=True), 0.0)
        self._filled, self._squares = filled.reshape(n, -1), (filled**2).reshape(n, -1)

    def _counts(self, first: NDArray[np.bool_]) -> tuple[Array, Array]:
        inside = first.astype(np.float64) @ self._there
        return inside, self._there.sum(0) - inside

    def t(self, first: NDArray[np.bool_]) -> Array:
        """Return Student's t in each second, shape (ways, seconds, k); 0 where too few were seen."""
        ways, shape = first.astype(np.float64), (len(first), self._seconds, self._k)
        a, b = self._counts(first)
        sums = (ways @ self._filled).reshape(shape)
        others = self._filled.sum(0).reshape(shape[1:]) - sums
        squares = self._squares.sum(0).reshape(shape[1:])
        enough = (a >= self._least) & (b >= self._least)
        with np.errstate(invalid="ignore", divide="ignore"):
            mean, other = sums / a[:, :, None], others / b[:, :, None]
            within = squares - a[:, :, None] * mean**2 - b[:, :, None] * other**2
            error = np.sqrt(np.maximum(within, 0) / (a + b - 2)[:, :, None] * (1 / a + 1 / b)[:, :, None])
            t = (mean - other) / error
        return np.where(enough[:, :, None] & (error > 1e-9), np.nan_to_num(t, posinf=0.0, neginf=0.0), 0.0)

    def limits(self, first: NDArray[np.bool_]) -> Array:
        """Return beyond what t a second belongs to a cluster, shape (seconds,)."""
        return np.asarray(self.limits_of(first[None])[0])

    def limits_of(self, first: NDArray[np.bool_]) -> Array:
        """Return the same for several ways, shape (ways, seconds)."""
        a, b = self._counts(first)
        return _limit(np.maximum(a + b - 2, 1))


def _limit(freedom: Array) -> Array:
    """Return what Student's t reaches by chance in 5 % of all cases, in both directions."""
    kinds, where = np.unique(freedom, return_inverse=True)
    limits = np.array([student(1 - LEVEL / 2, int(kind)) for kind in kinds], np.float64)
    shaped: Array = limits[where].reshape(freedom.shape)
    return shaped


def _pieces(t: Array, limits: Array, signal: int) -> list[tuple[int, int, int, float]]:
    """Return first second, one past the last, signal and mass of each cluster."""
    kind = np.where(t > limits, 1, np.where(t < -limits, -1, 0))
    edges = np.flatnonzero(np.diff(np.concatenate([[0], kind, [0]])))
    pieces = [(int(start), int(end)) for start, end in itertools.pairwise(edges) if kind[start]]
    return [(start, end, signal, float(t[start:end].sum())) for start, end in pieces]


def _largest(t: Array, limits: Array) -> Array:
    """Return the largest mass of any cluster, shape (ways,); 0 where there is none."""
    ways, seconds, k = t.shape
    rows = np.zeros((ways, k, seconds + 1))  # a last second in which nothing differs keeps the rows apart
    rows[:, :, :seconds] = t.transpose(0, 2, 1)
    beyond = np.zeros((ways, k, seconds + 1), np.int8)
    wide = limits[:, None]
    beyond[:, :, :seconds] = np.sign(rows[:, :, :seconds]) * (np.abs(rows[:, :, :seconds]) > wide)
    flat, kind = rows.reshape(-1), beyond.reshape(-1)
    starts = np.concatenate([[0], np.flatnonzero(np.diff(kind)) + 1])
    masses = np.abs(np.add.reduceat(np.where(kind != 0, flat, 0.0), starts))
    largest = np.zeros(ways)
    np.maximum.at(largest, starts // (k * (seconds + 1)), masses)
    return largest
