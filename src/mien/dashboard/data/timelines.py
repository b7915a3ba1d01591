"""A window's points from the store: figures of seconds, minutes, hours or days in, one row per point out."""

from __future__ import annotations

import time as clock
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

import numpy as np

from mien.dashboard.data.periods import Window, by_the_minute
from mien.dashboard.data.second_sums import Ring, blank, numbers, row_of, summed
from mien.stores.base import Bucket, Store, Sums, utc

__all__ = ["HOURS_S", "Hours", "Timeline", "hours_of", "nothing", "read_rings", "read_timeline"]

HOURS_S = 35 * 86400
"""Of at most so long a period hours are told."""

MAX_COUNTED = 60_000
"""At most so many frames are counted by the second at once: 10 minutes of three cameras at 30 frames/s."""

FRESH_S = 2.0


class Hours(NamedTuple):
    """The hours read last: the chart and the busiest hours often take the same."""

    start: datetime
    end: datetime
    chosen: tuple[str, ...]
    read: float
    buckets: list[Bucket]


class Timeline(NamedTuple):
    """What a window showed, point by point.

    Attributes:
        window: The window.
        rows: One row per point, shape (window.points,), dtype `second_sums.ROW`.
    """

    window: Window
    rows: np.ndarray

    @property
    def total(self) -> Sums:
        """The sum of all points."""
        return summed(self.rows)

    @property
    def seen(self) -> Window:
        """The window up to the end of its last point with a frame; all of it if there is none."""
        (points,) = np.nonzero(self.rows["frames"])
        if not len(points):
            return self.window
        last = self.window.start + timedelta(seconds=self.window.width * (int(points[-1]) + 1))
        return self.window._replace(end=min(last, self.window.end))


def nothing(window: Window) -> Timeline:
    """Return the timeline of a window in which nothing was seen."""
    return Timeline(window, blank(window.points))


def read_timeline(store: Store, window: Window, chosen: tuple[str, ...], last: list[Hours]) -> Timeline:
    """Return what the store has of a window.

    Args:
        store: The store.
        window: The window.
        chosen: The sources; empty: all.
        last: The hours read last, if any.
    """
    start, end, names = window.start, window.end, chosen or None
    if window.width < 60:
        # Raw rows are gone after a while, or too many to be counted in no time: then there are minutes.
        minutes = by_the_minute(window)
        total = store.summary(start, end, names)
        if (total.start, total.end) == (start, end) and total.frames <= MAX_COUNTED:
            seconds = store.timeline(start, end, "second", names)
            if sum(second.sums.frames for second in seconds) >= total.frames:
                return _folded(window, seconds)
        return _folded(minutes, store.timeline(minutes.start, minutes.end, "minute", names))
    if window.width < 3600:
        return _folded(window, store.timeline(start, end, "minute", names))
    if window.width < 86400:
        return _folded(window, hours_of(store, start, end, chosen, last))
    return _folded(window, store.timeline(start, end, "day", names))


def hours_of(store: Store, start: datetime, end: datetime, chosen: tuple[str, ...], last: list[Hours]) -> list[Bucket]:
    """Return the hours that begin in [start, end), if they can be from those read last."""
    now = clock.monotonic()
    for held in last:
        if held.chosen == chosen and held.start <= start and end <= held.end and now - held.read < FRESH_S:
            return [hour for hour in held.buckets if start <= hour.start < end]
    last[:] = [Hours(start, end, chosen, now, store.timeline(start, end, "hour", chosen or None))]
    return last[0].buckets


def read_rings(store: Store, start: int, end: int) -> dict[str, Ring]:
    """Return the seconds of [start, end), Unix times, of each source that was seen in them."""
    rings: dict[str, Ring] = {}
    for info in store.sources():
        if info.last.timestamp() >= start:
            ring = rings.setdefault(info.source, Ring())
            for bucket in store.timeline(utc(start), utc(end), "second", [info.source]):
                ring.put(int(bucket.start.timestamp()), row_of(bucket.sums))
    return rings


def _folded(window: Window, buckets: Sequence[Bucket]) -> Timeline:
    rows = blank(window.points)
    if buckets:
        start = int(window.start.timestamp())
        places = [(int(bucket.start.timestamp()) - start) // window.width for bucket in buckets]
        np.add.at(numbers(rows), places, numbers(np.array([row_of(bucket.sums) for bucket in buckets])))
    return Timeline(window, rows)
