"""What an analysis looks at and says: the options that `mien analyze` has for single files and for whole folders."""

from __future__ import annotations

from dataclasses import dataclass

from mien.media.selection import Sampling

__all__ = ["AnalyzeOptions"]


@dataclass(frozen=True)
class AnalyzeOptions(Sampling):
    """What of films an analysis looks at, and what else it says of a face.

    Attributes:
        every: Look at every Nth frame only.
        fps: At most so many frames of each second.
        start: Only at what comes from this time on, in seconds.
        end: Only at what comes before this time, in seconds; None: to the end.
        stream: The number of the stream that is looked at, as ffprobe counts them; None: the film's.
        fps_in: How many frames a second films have that do not say when their frames are shown.
        sets: Also say which emotions are plausible at this level, such as 0.9; None: not.

    Raises:
        UsageError: A number is out of range.
    """

    stream: int | None = None
    fps_in: float | None = None
    sets: float | None = None
