"""Per-second sums over the last twelve minutes, one ring per source; and `Sums` as rows of an array.

Observations go in; an array of one row per second comes out. A ring takes 100 kB whatever the frame rate and the number
of faces, so the finest view of the dashboard has a fixed price.
"""

from __future__ import annotations

import numpy as np

from mien.observation import Observation
from mien.stores.base import SUM_COLUMNS, Sums

__all__ = ["KEPT", "ROW", "Ring", "blank", "numbers", "row_of", "summed"]

KEPT = 720
"""How many seconds a ring remembers."""

ROW = np.dtype([(name, np.float64) for name in SUM_COLUMNS])
"""A row of an array of sums; its columns have the names that they have in the store."""


class Ring:
    """The sums of one source per second."""

    def __init__(self) -> None:
        self._stamps = np.full(KEPT, -1, dtype=np.int64)
        self._rows = blank(KEPT)

    def add(self, observation: Observation) -> None:
        """Add an observation to its second; one without a time belongs to none."""
        if observation.time is None:
            return
        second = int(observation.time.timestamp())
        slot = second % KEPT
        if self._stamps[slot] > second:
            return
        if self._stamps[slot] < second:
            self._stamps[slot] = second
            self._rows[slot] = np.zeros((), ROW)
        sums = Sums()
        sums.count(observation)
        numbers(self._rows)[slot] += numbers(row_of(sums))

    def put(self, second: int, row: np.ndarray) -> None:
        """Set the sums of a second (a Unix time), shape (), dtype ROW."""
        self._stamps[second % KEPT], self._rows[second % KEPT] = second, row

    def before(self, first: int) -> Ring:
        """Return a copy that knows nothing of the seconds from `first` (a Unix time) on."""
        copy = Ring()
        copy._stamps = np.where(self._stamps < first, self._stamps, -1)
        copy._rows = self._rows.copy()
        return copy

    def rows(self, first: int, count: int) -> np.ndarray:
        """Return the sums of `count` seconds from `first` (a Unix time) on, shape (count,), dtype ROW."""
        wanted = np.arange(first, first + count)
        slots = wanted % KEPT
        return np.where(self._stamps[slots] == wanted, self._rows[slots], blank(count))


def blank(count: int) -> np.ndarray:
    """Return rows in which nothing was seen, shape (count,), dtype ROW."""
    return np.zeros(count, dtype=ROW)


def numbers(rows: np.ndarray) -> np.ndarray:
    """Return the same memory as plain numbers to add up, shape (..., columns), float64."""
    return rows.reshape(-1).view(np.float64).reshape(*rows.shape, len(SUM_COLUMNS))


def row_of(sums: Sums) -> np.ndarray:
    """Return sums as one row, shape (), dtype ROW."""
    columns = sums.row()
    return np.array(tuple(columns[name] for name in SUM_COLUMNS), dtype=ROW)


def summed(rows: np.ndarray) -> Sums:
    """Return the sum of rows, shape (n,), dtype ROW."""
    return Sums.of_row(numbers(rows).sum(axis=0).view(ROW)[0])
