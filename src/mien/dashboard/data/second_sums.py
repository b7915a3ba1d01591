"""Per-second sums over the last twelve minutes, one ring per source.

Observations go in; an array of one row per second comes out. A ring takes 50 kB whatever the frame rate and the number
of faces, so the finest view of the dashboard has a fixed price.
"""

from __future__ import annotations

import numpy as np

from mien.observation import EMOTIONS, Observation
from mien.stores.base import Bucket

__all__ = ["COLUMNS", "KEPT", "Ring", "row_for", "row_of"]

KEPT = 720
"""How many seconds a ring remembers."""

COLUMNS = 3 + 2 * len(EMOTIONS)
"""A row: frames, faces, abstained, the count per emotion, the sum of probabilities per emotion."""


class Ring:
    """The sums of one source per second."""

    def __init__(self) -> None:
        self._stamps = np.full(KEPT, -1, dtype=np.int64)
        self._rows = np.zeros((KEPT, COLUMNS), dtype=np.float32)

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
            self._rows[slot] = 0
        self._rows[slot] += row_for(observation)

    def put(self, second: int, row: np.ndarray) -> None:
        """Set the sums of a second (a Unix time), shape (COLUMNS,)."""
        self._stamps[second % KEPT], self._rows[second % KEPT] = second, row

    def before(self, first: int) -> Ring:
        """Return a copy that knows nothing of the seconds from `first` (a Unix time) on."""
        copy = Ring()
        copy._stamps = np.where(self._stamps < first, self._stamps, -1)
        copy._rows = self._rows.copy()
        return copy

    def rows(self, first: int, count: int) -> np.ndarray:
        """Return the sums of `count` seconds from `first` (a Unix time) on, shape (count, COLUMNS), float32."""
        wanted = np.arange(first, first + count)
        slots = wanted % KEPT
        known = self._stamps[slots] == wanted
        return np.where(known[:, None], self._rows[slots], np.float32(0))


def row_of(bucket: Bucket) -> np.ndarray:
    """Return a store's bucket as a row, shape (COLUMNS,), float64."""
    return np.array([bucket.frames, bucket.faces, bucket.abstained, *bucket.counts, *bucket.sums], dtype=np.float64)


def row_for(observation: Observation) -> np.ndarray:
    """Return an observation as a row, shape (COLUMNS,), float32."""
    row = np.zeros(COLUMNS, dtype=np.float32)
    row[0] = 1
    row[1] = len(observation.faces)
    for face in observation.faces:
        if face.emotion is None:
            row[2] += 1
        else:
            row[3 + EMOTIONS.index(face.emotion)] += 1
        row[10:] += [getattr(face.probabilities, emotion) for emotion in EMOTIONS]
    return row
