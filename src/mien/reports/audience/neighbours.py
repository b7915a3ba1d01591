"""Whether neighbours move together more than others: what each seat showed goes in, pairs of seats come out.

Oakes et al. (2024) saw theatre audiences' faces agree more the closer people sat. Here seats of one picture are
neighbours where the middles of their tiles lie no further apart than one and a half times the way to the nearest seat
that is usual in that picture. The test exchanges who sits where.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.reports.audience.seats import Seat, Watching
from mien.reports.audience.synchrony import CONSTANT, SIGNALS, signals_of

__all__ = ["NEAR", "NeighbourPair", "Neighbours", "neighbours"]

NEAR = 1.5
"""Seats are neighbours up to so many times the usual way to the nearest seat."""

LEAST_S = 30.0
"""Two viewers must be seen together for so many seconds."""

DRAWS = 2000
VALENCE = SIGNALS.index("valence")

Array = NDArray[np.float64]


@dataclass(frozen=True)
class NeighbourPair:
    """Two seats of one picture.

    Attributes:
        first: The first viewer.
        second: The second viewer.
        near: Whether they are neighbours.
        synchrony: How far their valence correlates over all that both were seen.
    """

    first: str
    second: str
    near: bool
    synchrony: float


@dataclass(frozen=True)
class Neighbours:
    """Whether neighbours move together more than others of the same picture.

    Attributes:
        pairs: All pairs that can be judged.
        near: The neighbours' mean synchrony.
        others: That of all other pairs.
        p: That their difference, or a larger one, is chance: who sits where was exchanged.
    """

    pairs: list[NeighbourPair]
    near: float
    others: float
    p: float


def neighbours(watched: Watching, seats: Sequence[Seat]) -> Neighbours | None:
    """Return how neighbours and others agree; None where there are not both.

    Args:
        watched: What the viewers showed.
        seats: The seating plan.
    """
    signals = signals_of(watched.shares)[:, :, VALENCE]
    places = {name: place for place, name in enumerate(watched.names)}
    placed = [seat for seat in seats if seat.seat and seat.name in places]
    pictures: list[tuple[list[str], Array, NDArray[np.bool_]]] = []
    for recording in sorted({seat.recording for seat in placed}):
        inside = [seat for seat in placed if seat.recording == recording]
        names = [seat.name for seat in inside]
        if len(names) > 2:
            curves = signals[[places[name] for name in names]]
            pictures.append((names, _agreement(curves, watched.step_s), _near(inside)))
    pairs = [
        NeighbourPair(names[a], names[b], bool(beside[a, b]), float(r[a, b]))
        for names, r, beside in pictures
        for a, b in itertools.combinations(range(len(names)), 2)
        if np.isfinite(r[a, b])
    ]
    if not any(pair.near for pair in pairs) or all(pair.near for pair in pairs):
        return None
    near, others = (float(np.mean([pair.synchrony for pair in pairs if pair.near is kind])) for kind in (True, False))
    rng = np.random.default_rng(0)
    drawn = [_difference([(_exchanged(r, rng), beside) for _, r, beside in pictures]) for _ in range(DRAWS)]
    reached = np.count_nonzero(np.array(drawn) >= near - others - 1e-9)
    return Neighbours(pairs, near, others, (1 + reached) / (1 + DRAWS))


def _agreement(curves: Array, step_s: float) -> Array:
    """Return each two curves' correlation where both are known, shape (n, n); NaN where there is none."""
    r = np.full((len(curves), len(curves)), np.nan)
    for a, b in itertools.combinations(range(len(curves)), 2):
        there = np.isfinite(curves[a]) & np.isfinite(curves[b])
        if there.sum() * step_s < LEAST_S:
            continue
        first, second = curves[a][there], curves[b][there]
        if min(first.std(), second.std()) > CONSTANT:
            r[a, b] = r[b, a] = np.corrcoef(first, second)[0, 1]
    return r


def _near(seats: Sequence[Seat]) -> NDArray[np.bool_]:
    middles = np.array([(x + width / 2, y + height / 2) for x, y, width, height in (seat.tile for seat in seats)])
    apart = np.hypot(*(middles[:, None] - middles[None]).transpose(2, 0, 1))
    nearest = np.where(np.eye(len(apart), dtype=bool), np.inf, apart).min(1)
    return np.asarray((apart <= NEAR * np.median(nearest) + 1e-9) & ~np.eye(len(apart), dtype=bool))


def _exchanged(r: Array, rng: np.random.Generator) -> Array:
    order = rng.permutation(len(r))
    return np.asarray(r[np.ix_(order, order)])


def _difference(pictures: Sequence[tuple[Array, NDArray[np.bool_]]]) -> float:
    near, others = [], []
    for r, beside in pictures:
        upper = np.triu_indices(len(r), 1)
        values, kind = r[upper], beside[upper]
        there = np.isfinite(values)
        near.append(values[there & kind])
        others.append(values[there & ~kind])
    first, second = np.concatenate(near), np.concatenate(others)
    return float(first.mean() - second.mean()) if len(first) and len(second) else -np.inf
