"""What lies above a person's usual face while it is watched: probabilities of tracks go in, differences come out.

As in reports: the usual face is the median, over the first seconds in which a face is to be seen, of the mean of each
emotion in each second. Of a track as many means are kept as there are seconds, and after that one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mien.observation import EMOTIONS

__all__ = ["UsualFaces"]

Array = NDArray[np.float64]


@dataclass
class _Track:
    """What is known of a track.

    Attributes:
        second: The one that is being added up.
        total: The sum of its probabilities, shape (7,).
        count: Of how many readings.
        means: Those of the seconds before, each of shape (7,); none once the usual face is known.
        usual: The usual face, shape (7,); None: not yet known.
    """

    second: int
    total: Array = field(default_factory=lambda: np.zeros(len(EMOTIONS)))
    count: int = 0
    means: list[Array] = field(default_factory=list)
    usual: Array | None = None

    def add(self, second: int, shares: NDArray[np.float32], wanted: int) -> None:
        if second != self.second and self.count:
            self.means.append(self.total / self.count)
            self.total, self.count = np.zeros(len(EMOTIONS)), 0
        if len(self.means) == wanted:
            self.usual, self.means = np.median(self.means, axis=0), []
        self.second, self.total, self.count = second, self.total + shares, self.count + 1


class UsualFaces:
    """Knows the usual face of each track, and what lies above it.

    Args:
        seconds: The usual face is that of so many first seconds in which the face is to be seen.
    """

    def __init__(self, seconds: int) -> None:
        self.seconds = seconds
        self._tracks: dict[int, _Track] = {}

    def note(self, tracks: Sequence[int], shares: NDArray[np.float32], at_s: float) -> None:
        """Take note of what was read.

        Args:
            tracks: n numbers, each once.
            shares: The probabilities of each, shape (n, 7), float32.
            at_s: The time in seconds.
        """
        second = int(at_s)
        for track, own in zip(tracks, shares, strict=True):
            known = self._tracks.setdefault(track, _Track(second))
            if known.usual is None:
                known.add(second, own, self.seconds)

    def above(self, track: int, shares: NDArray[np.float32]) -> Array | None:
        """Return the probabilities less the usual face's, shape (7,); None while that is not known."""
        known = self._tracks.get(track)
        return None if known is None or known.usual is None else shares - known.usual

    def forget(self, alive: frozenset[int]) -> None:
        """Drop the tracks that are not among these."""
        self._tracks = {track: known for track, known in self._tracks.items() if track in alive}

    def restart(self) -> None:
        """Take every usual face anew, as another model reads the faces from now on."""
        self._tracks = {}
