"""Where shots begin: how much the picture changes goes in, the times of cuts come out.

A cut is a jump in the picture that stands out from what is around it. A fade or a dissolve is none.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["cuts"]

Array = NDArray[np.float64]

LEAST_CHANGE = 12.0
"""A cut changes the picture at least so much: hue, saturation and value, 0 to 255, on average."""

STANDS_OUT = 3.0
"""And so many times as much as the frames around it."""

AROUND_S = 2.0

SHORTEST_S = 0.6
"""No scene is shorter, in seconds."""


def cuts(at: Array, change: Array) -> Array:
    """Return when scenes begin, but for the first, in seconds.

    Args:
        at: Times in seconds, shape (n,).
        change: How much the picture changed there, 0 to 255, shape (n,).
    """
    found: list[float] = []
    order = np.argsort(at, kind="stable")
    at, change = at[order], change[order]
    for index in np.flatnonzero(change >= LEAST_CHANGE):
        first, last = np.searchsorted(at, (at[index] - AROUND_S, at[index] + AROUND_S), side="left")
        others = np.delete(change[first:last], index - first)
        usual = float(others.mean()) if len(others) else 0.0
        if change[index] < STANDS_OUT * usual:
            continue
        if found and at[index] - found[-1] < SHORTEST_S:
            continue
        found.append(float(at[index]))
    return np.array(found)
