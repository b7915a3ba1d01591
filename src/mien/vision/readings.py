"""How often the emotion of each face is read: tracks and times go in, the faces that are due come out.

The reading schedule: what a face shows is smoothed over time, so it need not be read on each frame. A face is read
when it is new, then each EVERY_S or as often as the smoothing needs, and at each look for it while its reading
changes. Faces take turns, so that no frame has to read all of them. Between, what was read is carried on. Where a live
source gives frames faster than they are worked through, all faces are read less often, evenly.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["EVERY_S", "LoadGauge", "ReadingSchedule"]

EVERY_S = 0.1
"""So long after its last reading a face is read again, in seconds."""

OF_SMOOTHING = 0.4
"""Or after this share of the smoothing's time constant, where that is less."""

CHANGED, CONTESTED = 0.3, 0.2
"""A reading that differs by so much from what was smoothed before it, 0 to 1, or by so much where another emotion leads
in it than is named, has changed: the face is read again at the next look for it."""

EARLY = 0.2
"""A face is due this share of its interval earlier, as frames, and looks for it, don't come evenly."""

FEW, ROOM = 4, 1.25
"""So many faces may be read on any frame; of more, so many times their even share of the interval."""

BUSY, IDLE = 0.9, 0.7
"""Live sources are read less often while more of the time than BUSY goes by with work, more often below IDLE."""

STEP, LONGEST_S, MEASURED_S = 1.25, 0.5, 1.0
"""By which factor, up to which interval in seconds, and after how many seconds of measuring."""

WORTHWHILE = 0.25
"""Where reading takes less than this share of the work, reading less would help little."""


@dataclass
class _Turn:
    """When a face was last read, and whether that reading was another than before."""

    read_s: float
    changed: bool


class ReadingSchedule:
    """Says which faces of a frame are read.

    Args:
        smoothing_s: The time constant of the smoothing, in seconds; 0: each face is read on each frame.
        every_s: The interval at most, in seconds.

    Attributes:
        every_s: After how many seconds a face is read again at present.
    """

    def __init__(self, smoothing_s: float, every_s: float = EVERY_S) -> None:
        self.shortest_s = self.every_s = min(every_s, OF_SMOOTHING * smoothing_s)
        self._turns: dict[int, _Turn] = {}
        self._before_s = -math.inf

    def due(self, tracks: Sequence[int], looked: NDArray[np.bool_], at_s: float) -> list[int]:
        """Return which faces are read in a frame, in order.

        Args:
            tracks: n numbers, each once.
            looked: Of each face whether it was looked for in this frame, shape (n,).
            at_s: The frame's time in seconds.
        """
        passed, self._before_s = at_s - self._before_s, at_s
        due: list[int] = []
        waiting: list[tuple[float, int]] = []
        for row, track in enumerate(tracks):
            turn = self._turns.get(track)
            if turn is None:
                due.append(row)
            elif looked[row]:
                since = max(0.0, at_s - turn.read_s)
                interval = 0.0 if turn.changed else (1 - EARLY) * self.every_s
                if since >= interval - 1e-6:
                    waiting.append((-since / max(interval, min(passed, self.every_s), 1e-6), row))
        even = len(tracks) * passed / self.every_s if self.every_s else math.inf
        most = max(FEW, math.ceil(ROOM * even)) if math.isfinite(even) else len(tracks)
        due += [row for _, row in sorted(waiting)[:most]]
        return sorted(due)

    def note(self, track: int, at_s: float, difference: float, *, is_contested: bool = False) -> None:
        """Take note of a reading.

        Args:
            track: Of which face.
            at_s: The frame's time in seconds.
            difference: From what was smoothed before it: half the sum of all differences, 0 to 1.
            is_contested: Whether another emotion leads in it than is named.
        """
        self._turns[track] = _Turn(at_s, difference >= (CONTESTED if is_contested else CHANGED))

    def slow_down(self, factor: float) -> None:
        """Make the interval so many times as long, between what the smoothing needs and LONGEST_S."""
        longest = max(self.shortest_s, LONGEST_S if self.shortest_s else 0.0)
        self.every_s = min(max(self.every_s * factor, self.shortest_s), longest)

    def forget(self, alive: frozenset[int]) -> None:
        """Drop the tracks that are not among these."""
        self._turns = {track: turn for track, turn in self._turns.items() if track in alive}

    def restart(self) -> None:
        """Have every face read anew, as another model does it from now on."""
        self._turns = {}


class LoadGauge:
    """Has a live source's faces be read less often where its frames come faster than they are worked through.

    Args:
        schedule: Its schedule.
    """

    def __init__(self, schedule: ReadingSchedule) -> None:
        self._schedule = schedule
        self._began_s: float | None = None
        self._busy_s = self._reading_s = 0.0

    def note(self, ended_s: float, busy_s: float, reading_s: float) -> bool:
        """Take note of a frame; return whether faces are read at another interval from now on.

        Args:
            ended_s: When its work ended, on the monotonic clock.
            busy_s: How long that took.
            reading_s: How long of that emotions were read.
        """
        if self._began_s is None:
            self._began_s = ended_s
            return False
        self._busy_s += busy_s
        self._reading_s += reading_s
        passed = ended_s - self._began_s
        if passed < MEASURED_S:
            return False
        busy, worthwhile = self._busy_s / passed, self._reading_s >= WORTHWHILE * self._busy_s
        self._began_s, self._busy_s, self._reading_s = ended_s, 0.0, 0.0
        before = self._schedule.every_s
        if busy > BUSY and worthwhile:
            self._schedule.slow_down(STEP)
        elif busy < IDLE:
            self._schedule.slow_down(1 / STEP)
        return self._schedule.every_s != before
