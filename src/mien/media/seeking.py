"""Times in a video: what a file says of its frames' times goes in, offsets that only grow come out.

`find` finds a time without decoding what lies before: a container and a time go in, a place comes out. The packets
before it are counted, so that a frame keeps its number in the whole, but only those from a key frame on need to be
decoded: counting takes a small part of the time that decoding does. `survey` counts all of them, for many places.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Clock", "SeekPoint", "Survey", "begin_of", "find", "survey"]

LEAD_S = 0.2
"""A picture that begins so much after its sound keeps its place in the medium; else the first frame stands at 0."""

KNOWN_KEYS = 8
"""From so many key frames before a place on its frames are known by their times, as some containers land early."""

BACK_S = 1.0
"""A clock that falls back by more has begun anew."""

AHEAD_S, FAR_AHEAD_S = 10.0, 3600.0
"""One that jumps ahead by more has, too: in formats whose clock may begin anew, and in others, whose gaps are real."""


class Clock:
    """Turns the times that a file gives into offsets that only grow.

    Where the clock begins anew, as in files that were joined, the frame follows the one before it. A clock that ran
    over at 33 bits goes on as it was: FFmpeg has seen to that.

    Args:
        begin_s: Which time of the file is the offset 0.
        step_s: After how long a frame follows that has no time, or a new clock.
        may_restart: Whether the format is one whose clock may begin anew.

    Attributes:
        restarts: How often it began anew so far.
        stood: How many frames bore no later time than the one before them.
        begin_s: Which time of the file would be the offset 0, by the clock as it runs now.
    """

    def __init__(self, begin_s: float, step_s: float, *, may_restart: bool) -> None:
        self.restarts = self.stood = 0
        self.begin_s = begin_s
        self._step_s = step_s
        self._ahead_s = AHEAD_S if may_restart else FAR_AHEAD_S
        self._last_s: float | None = None

    def offset(self, time_s: float | None) -> float:
        """Return the offset of the next frame, in seconds; None: the file gives it no time."""
        last = self._last_s
        after = 0.0 if last is None else last + self._step_s
        at = after if time_s is None else time_s - self.begin_s
        if last is not None and not last - BACK_S <= at <= last + self._ahead_s:
            self.restarts += 1
            self.begin_s += at - after
            at = after
        self.stood += last is not None and at <= last
        self._last_s = at if last is None else max(last, at)
        return self._last_s


class SeekPoint(NamedTuple):
    """Where to decode from.

    Attributes:
        key: The time of a key frame before the time looked for, in the stream's unit.
        position: Up to where in the file the times are, in bytes; None: not known.
        times: The times of the frames up to the one looked for, in the stream's unit, in order, shape (n,).
        first: The time of the video's first frame.
        before: How many frames there are before `times`.
    """

    key: int
    position: int | None
    times: NDArray[np.int64]
    first: int
    before: int = 0

    def number_of(self, time: int | None) -> int | None:
        """Return which frame of the video is shown at this time, counted from 0; None where none of `times` is it."""
        number = len(self.times) if time is None else int(np.searchsorted(self.times, time))
        return self.before + number if number < len(self.times) and self.times[number] == time else None


class Survey(NamedTuple):
    """When all frames of a video are shown, told by its packets.

    Attributes:
        times: In the stream's unit, in order, shape (n,).
        keys: Those of the key frames, in order.
        offsets: Where they stand in the medium, in seconds, shape (n,).
    """

    times: NDArray[np.int64]
    keys: NDArray[np.int64]
    offsets: NDArray[np.float64]

    def place_of(self, frame: int) -> SeekPoint | None:
        """Return where to decode from to reach a frame of this number; None: from the beginning."""
        keys = self.keys[: np.searchsorted(self.keys, self.times[frame])]
        if len(keys) < 2:
            return None
        known = int(np.searchsorted(self.times, keys[max(0, len(keys) - KNOWN_KEYS)]))
        return SeekPoint(int(keys[-2]), None, self.times[known : frame + 1], int(self.times[0]), known)


def begin_of(container: Any, first_s: float) -> float:
    """Return which time of a file is its offset 0, in seconds.

    Args:
        container: PyAV's.
        first_s: The time of the first frame.
    """
    begin = first_s if container.start_time is None else container.start_time / 1e6
    return begin if first_s - begin > LEAD_S else first_s


def find(
    container: Any, stream: Any, offset_s: float, is_closed: Callable[[], bool], *, may_restart: bool = False
) -> SeekPoint | None:
    """Return the place of a time, or None where the file tells too little and must be decoded from its beginning.

    So it must where its clock begins anew before that time.

    Args:
        container: PyAV's, at its beginning; it is read up to the place.
        stream: Its video stream.
        offset_s: The time in seconds, counted as frames' `offset_s` are.
        is_closed: Whether nobody waits for the answer any more.
        may_restart: Whether the format is one whose clock may begin anew.
    """
    import av

    times = array("q")
    keys: list[int] = []
    position: int | None = None
    wanted: float | None = None
    clock = Clock(0.0, 0.0, may_restart=may_restart)
    try:
        for packet in container.demux(stream):
            if is_closed() or packet.is_corrupt:
                return None
            if not packet.size:  # the end
                break
            if packet.pts is None or packet.dts is None:
                return None
            if wanted is None:
                wanted = (offset_s + begin_of(container, float(packet.pts * stream.time_base))) / stream.time_base
            clock.offset(float(packet.dts * stream.time_base))
            if clock.restarts:
                return None
            if packet.dts >= wanted:
                break
            if not packet.is_discard:
                times.append(packet.pts)
            if packet.is_keyframe and packet.pts < wanted:
                keys.append(packet.pts)
            position = packet.pos
    except (av.FFmpegError, ValueError, OverflowError):
        return None
    # A key frame more than needed: some containers find a time only roughly, and frames may refer to what is before.
    if len(keys) < 2 or not times:
        return None
    ordered = np.sort(times)
    return SeekPoint(keys[-2], position, ordered, int(ordered[0]))


def survey(container: Any, stream: Any, rate: float, *, may_restart: bool = False) -> Survey | None:
    """Return when all frames of a video are shown, or None where its packets tell too little: see `find`.

    Args:
        container: PyAV's, at its beginning; it is read to its end, and nothing of it is decoded.
        stream: Its video stream.
        rate: How many frames a second it has, as far as can be told.
        may_restart: Whether the format is one whose clock may begin anew.
    """
    import av

    times, keys = array("q"), array("q")
    clock = Clock(0.0, 0.0, may_restart=may_restart)
    try:
        for packet in container.demux(stream):
            if not packet.size:  # the end
                break
            if packet.is_corrupt or packet.pts is None or packet.dts is None:
                return None
            clock.offset(float(packet.dts * stream.time_base))
            if clock.restarts:
                return None
            if not packet.is_discard:
                times.append(packet.pts)
            if packet.is_keyframe:
                keys.append(packet.pts)
    except (av.FFmpegError, ValueError, OverflowError):
        return None
    if not times:
        return None
    ordered, unit = np.sort(times), float(stream.time_base)
    clock = Clock(begin_of(container, float(ordered[0]) * unit), 1 / rate, may_restart=may_restart)
    offsets = np.array([clock.offset(time * unit) for time in ordered.tolist()])
    return None if clock.restarts else Survey(ordered, np.sort(keys), offsets)
