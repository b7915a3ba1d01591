"""Who faces the screen: where viewers' heads are turned goes in; the share of them that face it, over time, comes out.

Cameras stand beside screens and seats aside of both, so what is in front of a viewer is where the viewer's head is
usually turned. A head is no gaze, and turning to the screen is not being engaged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.reports.audience.reactions import Interval, wilson
from mien.reports.audience.seats import Watching
from mien.reports.base.bootstrap import estimate

__all__ = ["ASIDE", "LEAST_S", "Attention", "Faced", "Turned", "attention"]

ASIDE = 20.0
"""A head faces the screen whose yaw and pitch are at most so many degrees from where they usually are."""

LEAST_S = 20
"""A viewer whose head's direction is known in fewer seconds is not judged."""

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Turned:
    """A viewer's head.

    Attributes:
        name: The viewer.
        group: The group; empty where there is none.
        seconds: In how many seconds its direction is known.
        yaw: Where it is usually turned, the median, in degrees; NaN: not known.
        pitch: The same.
        facing: In what share of these seconds it faces the screen; NaN: too few.
    """

    name: str
    group: str
    seconds: int
    yaw: float
    pitch: float
    facing: float


@dataclass(frozen=True)
class Faced:
    """How a group faces the screen.

    Attributes:
        group: Its name; empty: all viewers.
        known: Of how many viewers it is known in each second, shape (seconds,).
        facing: How many of these face the screen, shape (seconds,).
        share: The mean of the viewers' shares, with its interval; NaN: nothing is known.
        viewers: How many viewers that is.
    """

    group: str
    known: NDArray[np.int64]
    facing: NDArray[np.int64]
    share: Interval
    viewers: int

    def in_second(self, second: int) -> Interval:
        """Return the share of the viewers who face the screen in a second, with Wilson's interval."""
        known = int(self.known[second])
        return wilson(int(self.facing[second]), known) if known else Interval(np.nan)


@dataclass(frozen=True)
class Attention:
    """Who faced the screen.

    Attributes:
        viewers: Each of them.
        groups: All viewers, then each group.
    """

    viewers: list[Turned]
    groups: list[Faced]


def attention(watched: Watching, anonymous: int | None = None) -> Attention | None:
    """Return who faced the screen; None where nothing tells where any head was turned.

    Args:
        watched: What the viewers showed.
        anonymous: Say nothing of fewer than so many viewers.
    """
    heads = watched.heads
    if heads is None or not np.isfinite(heads).any():
        return None
    known = np.asarray(np.isfinite(heads).all(2), np.bool_)
    facing = np.zeros(known.shape, bool)
    viewers = []
    for place, (name, group) in enumerate(zip(watched.names, watched.groups, strict=True)):
        seconds = int(known[place].sum())
        if seconds < LEAST_S:
            known[place] = False
            viewers.append(Turned(name, group, seconds, np.nan, np.nan, np.nan))
            continue
        usual = np.median(heads[place][known[place]].astype(np.float64), axis=0)
        with np.errstate(invalid="ignore"):
            facing[place] = known[place] & (np.abs(heads[place] - usual) <= ASIDE).all(1)
        share = float(facing[place].sum() / seconds)
        viewers.append(Turned(name, group, seconds, float(usual[0]), float(usual[1]), share))
    groups = sorted({group for group in watched.groups if group})
    chosen = [("", np.ones(len(viewers), bool))]
    chosen += [(group, np.array([wanted == group for wanted in watched.groups])) for group in groups]
    least = max(1, anonymous or 1)
    return Attention(viewers, [_faced(name, members, viewers, known, facing, least) for name, members in chosen])


def _faced(
    name: str,
    members: NDArray[np.bool_],
    viewers: Sequence[Turned],
    known: NDArray[np.bool_],
    facing: NDArray[np.bool_],
    least: int,
) -> Faced:
    shares = np.array([viewer.facing for viewer, is_in in zip(viewers, members, strict=True) if is_in])
    shares = shares[np.isfinite(shares)]
    count, hits = known[members].sum(0), facing[members].sum(0)
    enough = count >= least
    share = Interval(np.nan)
    if len(shares) >= least:
        ends = estimate(shares[:, None])
        share = Interval(float(ends.value[0]), float(ends.low[0]), float(ends.high[0]))
    return Faced(name, np.where(enough, count, 0), np.where(enough, hits, 0), share, len(shares))
