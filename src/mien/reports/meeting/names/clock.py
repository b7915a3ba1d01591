"""The clock in the picture: text that was read at known times goes in, the wall-clock time of second 0 comes out."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime, timedelta

__all__ = ["begin_of", "clock_in"]

STAMP = re.compile(r"(20\d\d)\D?([01]\d)\D?([0-3]\d)\s*(\d\d)\D?(\d\d)\D?(\d\d)\s*(?:[A-Z]{2,5}|[+-]\d\d:?\d\d)?")
"""A date and a time to the second, as Zoom stamps recordings; signs between may be lost in reading."""

APART_S = 3.0
"""Readings that agree give the same beginning, within so many seconds."""


def clock_in(text: str) -> datetime | None:
    """Return the time that a line of text shows, if it is a time stamp and nothing else.

    >>> clock_in("2020-04-08 14:36:27")
    datetime.datetime(2020, 4, 8, 14, 36, 27)
    """
    stamp = STAMP.fullmatch(text.strip())
    if stamp is None:
        return None
    try:
        return datetime(*(int(part) for part in stamp.groups()))  # type: ignore[arg-type]  # noqa: DTZ001
    except ValueError:
        return None


def begin_of(readings: Iterable[tuple[float, datetime]]) -> datetime | None:
    """Return the time of a recording's second 0; None where too few readings agree.

    A clock shows whole seconds, so that second 0 lies up to a second later than each reading less its position: the
    middle of what fits all that agree is the closest.

    Args:
        readings: Position in the recording in seconds, and the time shown there.
    """
    begins = sorted(shown - timedelta(seconds=at) for at, shown in readings)
    best: list[datetime] = []
    for first in begins:
        agreeing = [begin for begin in begins if 0 <= (begin - first).total_seconds() <= APART_S]
        best = max(best, agreeing, key=len)
    if len(best) < 2 or 2 * len(best) <= len(begins):
        return None
    return best[-1] + max(timedelta(0), best[0] + timedelta(seconds=1) - best[-1]) / 2
