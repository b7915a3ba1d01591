"""Which stretch of time is shown, and how finely: the choice in the page's URL becomes a window."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone, tzinfo
from typing import NamedTuple
from zoneinfo import ZoneInfo

from mien.stores.base import utc

__all__ = ["PERIODS", "Choice", "Window", "parse_choice", "resolve", "zone_named"]

PERIODS = {"5m": "5 min", "1h": "1 hour", "today": "Today", "7d": "7 days", "custom": "Custom"}
"""The periods by their name in the URL."""

FINEST_S = 600
"""Up to so long a period is shown by the second, from raw observations; the rings keep a little more."""

POINTS = 400
"""At most so many points are drawn."""

SOURCE = re.compile("[a-z0-9_-]{1,64}")

STEPS = (60, 300, 900, 3600, 3 * 3600, 6 * 3600, 12 * 3600, 86400, 7 * 86400, 28 * 86400)


class Window(NamedTuple):
    """A stretch of time and its division.

    Attributes:
        start: Its beginning, UTC, at a multiple of `width`.
        end: Its end, UTC, not included.
        width: The length of one point, in seconds.
    """

    start: datetime
    end: datetime
    width: int

    @property
    def points(self) -> int:
        """How many points it takes."""
        return -(-int((self.end - self.start).total_seconds()) // self.width)


class Choice(NamedTuple):
    """What a viewer chose; the URL holds exactly this.

    Attributes:
        sources: The sources' names, sorted; empty: all.
        period: A name of PERIODS.
        start: Of a custom period, UTC.
        end: Of a custom period, UTC.
    """

    sources: tuple[str, ...] = ()
    period: str = "5m"
    start: datetime | None = None
    end: datetime | None = None

    def pairs(self) -> list[tuple[str, str]]:
        """Return the query of the URL, as pairs of name and value."""
        pairs = [("source", source) for source in self.sources] + [("period", self.period)]
        if self.start and self.end:
            pairs += [("from", _stamp(self.start)), ("to", _stamp(self.end))]
        return pairs


def parse_choice(query: Mapping[str, str], sources: list[str]) -> Choice:
    """Return the choice that a URL's query holds; what is unknown or malformed falls back to the default."""
    named = tuple(sorted({name for name in sources if SOURCE.fullmatch(name)})[:100])
    period = query.get("period", "5m")
    if period not in PERIODS:
        return Choice(named)
    if period != "custom":
        return Choice(named, period)
    try:
        start, end = (_parse(query[name]) for name in ("from", "to"))
    except (KeyError, ValueError):
        return Choice(named)
    return Choice(named, period, start, end) if start < end else Choice(named)


def resolve(choice: Choice, zone: tzinfo, now: datetime) -> Window:
    """Return the window that a choice means at this moment.

    Args:
        choice: What the viewer chose.
        zone: The viewer's: "today" begins at their midnight.
        now: UTC.
    """
    start, end = _span(choice, zone, now)
    seconds = (end - start).total_seconds()
    if seconds <= FINEST_S and (now - start).total_seconds() <= FINEST_S:
        width = 1 if seconds <= 300 else 2
    else:
        width = next((step for step in STEPS if seconds / step <= POINTS), STEPS[-1])
    first = int(start.timestamp()) // width * width
    last = math.ceil(end.timestamp() / width) * width
    return Window(utc(first), utc(max(last, first + width)), width)


def zone_named(name: object) -> tzinfo:
    """Return the time zone that a browser names, or UTC for one that is not known here."""
    try:
        return ZoneInfo(str(name))
    except (ValueError, OSError, KeyError):
        return timezone.utc


def _span(choice: Choice, zone: tzinfo, now: datetime) -> tuple[datetime, datetime]:
    if choice.start and choice.end:
        return choice.start, choice.end
    if choice.period == "today":
        return now.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0).astimezone(timezone.utc), now
    length = {"1h": timedelta(hours=1), "7d": timedelta(days=7)}.get(choice.period, timedelta(minutes=5))
    return now - length, now


def _parse(text: str) -> datetime:
    time = datetime.fromisoformat(text.replace("Z", "+00:00"))
    time = time.replace(tzinfo=timezone.utc) if time.tzinfo is None else time.astimezone(timezone.utc)
    if not 1971 <= time.year <= 9000:
        raise ValueError(f"the year {time.year} is out of range")
    return time


def _stamp(time: datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")
