"""Which stretch of time is shown, how finely, and against what: the choice in the page's URL becomes windows."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone, tzinfo
from typing import NamedTuple
from zoneinfo import ZoneInfo

from mien.observation import EMOTIONS, Emotion, is_source_name, parse_time
from mien.stores.base import utc

__all__ = [
    "FORMS",
    "PERIODS",
    "VERSUS",
    "Choice",
    "Window",
    "by_the_minute",
    "parse_choice",
    "resolve",
    "rival",
    "zone_named",
]

PERIODS = {
    "5m": "5 min", "1h": "1 hour", "today": "Today", "7d": "7 days", "30d": "30 days", "1y": "1 year",
    "custom": "Custom",
}  # fmt: skip
"""The periods by their name in the URL."""

LENGTHS = {
    "5m": timedelta(minutes=5), "1h": timedelta(hours=1), "7d": timedelta(days=7), "30d": timedelta(days=30),
    "1y": timedelta(days=365),
}  # fmt: skip

FORMS = {"share": "Share", "count": "Faces", "lines": "Lines"}
"""What the chart shows, by its name in the URL: shares in percent or faces named, stacked; or shares as lines, which
those of a period compared with can stand among."""

VERSUS = {"before": "The period before", "day": "A day earlier", "week": "A week earlier", "year": "A year earlier"}
"""What a period can be compared with, by its name in the URL; a year is 52 weeks, so that weekdays agree."""

SHIFTS = {"day": timedelta(days=1), "week": timedelta(days=7), "year": timedelta(days=364)}

FINEST_S = 600
"""Up to so long a period is shown by the second, from raw observations; the rings keep a little more."""

POINTS = 400
"""At most so many points are drawn."""


STEPS = (60, 300, 900, 3600, 3 * 3600, 6 * 3600, 12 * 3600, 86400, 7 * 86400, 28 * 86400)
"""How long a point may be, in seconds."""

QUICK = (60, 300, 3600, 3 * 3600, 86400, 7 * 86400, 28 * 86400)
"""Those that take at most 2,000 minutes or hours of each source: the store adds up so many in no time."""


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

    @property
    def starts(self) -> list[datetime]:
        """When each point begins, UTC."""
        return [self.start + timedelta(seconds=self.width * point) for point in range(self.points)]

    def clock(self, zone: tzinfo) -> str:
        """Return how the points' beginnings are written, for `strftime`; days are UTC's, so the hour may be needed."""
        if self.width < 60:
            return "%H:%M:%S"
        if self.width >= 86400 and all(start.astimezone(zone).hour == 0 for start in self.starts):
            return "%d %b %Y"
        return "%a %d %b %Y, %H:%M"


class Choice(NamedTuple):
    """What a viewer chose; the URL holds exactly this.

    Attributes:
        sources: The sources' names, sorted; empty: all.
        period: A name of PERIODS.
        start: Of a custom period, UTC.
        end: Of a custom period, UTC.
        emotions: Those that the chart draws, in EMOTIONS order; empty: all.
        form: A name of FORMS.
        versus: What to compare with: a name of VERSUS, `@` and a source's name, or a time at which a period of the
            same length begins; empty: nothing.
    """

    sources: tuple[str, ...] = ()
    period: str = "5m"
    start: datetime | None = None
    end: datetime | None = None
    emotions: tuple[Emotion, ...] = ()
    form: str = "share"
    versus: str = ""

    def pairs(self) -> list[tuple[str, str]]:
        """Return the query of the URL, as pairs of name and value."""
        pairs = [("source", source) for source in self.sources] + [("period", self.period)]
        if self.start and self.end:
            pairs += [("from", _stamp(self.start)), ("to", _stamp(self.end))]
        pairs += [("emotion", emotion) for emotion in self.emotions]
        if self.form != "share":
            pairs.append(("as", self.form))
        if self.versus:
            pairs.append(("vs", self.versus))
        return pairs


def parse_choice(query: Mapping[str, str], sources: Sequence[str], emotions: Sequence[str] = ()) -> Choice:
    """Return the choice that a URL's query holds; what is unknown or malformed falls back to the default.

    Args:
        query: The query's last value by name.
        sources: Every value of `source`.
        emotions: Every value of `emotion`.
    """
    named = tuple(sorted({name for name in sources if is_source_name(name)})[:100])
    drawn = tuple(emotion for emotion in EMOTIONS if emotion in emotions)
    choice = Choice(
        named,
        emotions=drawn if len(drawn) < len(EMOTIONS) else (),
        form=query.get("as", "share") if query.get("as") in FORMS else "share",
        versus=_versus(query.get("vs", "")),
    )
    period = query.get("period", "5m")
    if period not in PERIODS:
        return choice
    if period != "custom":
        return choice._replace(period=period)
    try:
        start, end = (_parse(query[name]) for name in ("from", "to"))
    except (KeyError, ValueError):
        return choice
    return choice._replace(period=period, start=start, end=end) if start < end else choice


def resolve(choice: Choice, zone: tzinfo, now: datetime) -> Window:
    """Return the window that a choice means at this moment.

    Args:
        choice: What the viewer chose.
        zone: The viewer's: "today" begins at their midnight.
        now: UTC.
    """
    start, end = _span(choice, zone, now)
    seconds = (end - start).total_seconds()
    if seconds <= FINEST_S:
        width = 1 if seconds <= 300 else 2
    else:
        several = QUICK[-1] * math.ceil(seconds / (QUICK[-1] * POINTS))  # an address may name thousands of years
        width = next((step for step in QUICK if seconds / step <= POINTS), several)
    first = int(start.timestamp()) // width * width
    last = math.ceil(end.timestamp() / width) * width
    return Window(utc(first), utc(max(last, first + width)), width)


def by_the_minute(window: Window) -> Window:
    """Return the window with points of a minute, for what is not kept more finely."""
    first = int(window.start.timestamp()) // 60 * 60
    return Window(utc(first), utc(math.ceil(window.end.timestamp() / 60) * 60), 60)


def rival(choice: Choice, zone: tzinfo, now: datetime) -> tuple[Window, tuple[str, ...]]:
    """Return the window and the sources that a choice is compared with; `choice.versus` names something."""
    if choice.versus.startswith("@"):
        return resolve(choice, zone, now), (choice.versus[1:],)
    start, end = _span(choice, zone, now)
    shift = SHIFTS.get(choice.versus, end - start) if choice.versus in VERSUS else start - _parse(choice.versus)
    earlier = choice._replace(period="custom", start=_within(start - shift), end=_within(end - shift))
    return resolve(earlier, zone, now), choice.sources


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
    return now - LENGTHS[choice.period], now


def _versus(text: str) -> str:
    if text in VERSUS or (text.startswith("@") and is_source_name(text[1:])):
        return text
    try:
        return _stamp(_parse(text))
    except ValueError:
        return ""


def _within(time: datetime) -> datetime:
    """Return the time, or the nearest one that stores know how to keep."""
    return min(max(time, datetime(1971, 1, 1, tzinfo=timezone.utc)), datetime(9000, 1, 1, tzinfo=timezone.utc))


def _parse(text: str) -> datetime:
    time = parse_time(text, timezone.utc)
    if not 1971 <= time.year <= 9000:
        raise ValueError(f"the year {time.year} is out of range")
    return time


def _stamp(time: datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")
