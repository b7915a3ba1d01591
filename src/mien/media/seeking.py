"""Finding a time in a video without decoding what lies before: a container and a time go in, a place comes out.

The packets before it are counted, so that a frame keeps its number in the whole, but only those from a key frame on
need to be decoded: counting takes a small part of the time that decoding does.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Place", "begin_of", "find"]

LEAD_S = 0.2
"""A picture that begins so much after its sound keeps its place in the medium; else the first frame stands at 0."""


class Place(NamedTuple):
    """Where to decode from.

    Attributes:
        key: The time of a key frame before the time looked for, in the stream's unit.
        times: The times of the frames up to the one looked for, in the stream's unit, in order, shape (n,).
    """

    key: int
    times: NDArray[np.int64]

    def number_of(self, time: int | None) -> int | None:
        """Return which frame of the video is shown at this time, counted from 0; None where none of `times` is it."""
        number = len(self.times) if time is None else int(np.searchsorted(self.times, time))
        return number if number < len(self.times) and self.times[number] == time else None


def begin_of(container: Any, first_s: float) -> float:
    """Return which time of a file is its offset 0, in seconds.

    Args:
        container: PyAV's.
        first_s: The time of the first frame.
    """
    begin = first_s if container.start_time is None else container.start_time / 1e6
    return begin if first_s - begin > LEAD_S else first_s


def find(container: Any, stream: Any, offset_s: float, is_closed: Callable[[], bool]) -> Place | None:
    """Return the place of a time, or None where the file tells too little and must be decoded from its beginning.

    Args:
        container: PyAV's, at its beginning; it is read up to the place.
        stream: Its video stream.
        offset_s: The time in seconds, counted as frames' `offset_s` are.
        is_closed: Whether nobody waits for the answer any more.
    """
    import av

    times = array("q")
    keys: list[int] = []
    wanted: float | None = None
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
            if packet.dts >= wanted:
                break
            if not packet.is_discard:
                times.append(packet.pts)
            if packet.is_keyframe and packet.pts < wanted:
                keys.append(packet.pts)
    except (av.FFmpegError, ValueError, OverflowError):
        return None
    # A key frame more than needed: some containers find a time only roughly, and frames may refer to what is before.
    return Place(keys[-2], np.sort(times)) if len(keys) > 1 and times else None
