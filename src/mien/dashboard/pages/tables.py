"""Numbers as HTML tables: a period point by point, its busiest hours, two periods side by side.

Timelines and hours go in, HTML comes out of the macros of `templates/parts/tables.html`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta, tzinfo
from typing import NamedTuple

from mien.dashboard.data.periods import Window
from mien.dashboard.data.queries import Timeline
from mien.dashboard.data.second_sums import summed
from mien.dashboard.data.timelines import HOURS_S
from mien.dashboard.pages.cards import signed
from mien.dashboard.pages.charts import SHOWN
from mien.dashboard.pages.wording import amount, moment
from mien.dashboard.rendering import part
from mien.observation import Emotion
from mien.stores.base import Bucket, Marker, Sums

__all__ = ["busiest", "comparison", "latest_markers", "marker_list", "numbers"]

ROWS = 60
"""So many rows a table has at most; finer points are added up."""

SECOND = timedelta(seconds=1)

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


class Cell(NamedTuple):
    """An hour of a day: how many faces a frame showed, in words and as a share of the busiest hour's."""

    words: str
    share: float


class Comparison(NamedTuple):
    """A row of a comparison: what is compared, of which emotion if of one, both values and their difference."""

    title: str
    value: str
    other: str
    change: str
    emotion: Emotion | None = None


def numbers(timeline: Timeline, zone: tzinfo) -> str:
    """Return a period as a table, newest first, without the stretches in which there was no frame."""
    window, rows = timeline
    step = -(-window.points // ROWS)
    sums = [summed(rows[at : at + step]) for at in range(0, len(rows), step)]
    shown = window._replace(width=window.width * step)
    clock = shown.clock(zone)
    named = [start.astimezone(zone).strftime(clock) for start in shown.starts]
    if shown.width > 86400:  # several days: a row is called by its first and its last
        last = [min(start + timedelta(seconds=shown.width), window.end) - SECOND for start in shown.starts]
        named = [f"{name} – {end.astimezone(zone):{clock}}" for name, end in zip(named, last, strict=True)]
    lines = [(name, _cells(total)) for name, total in zip(named, sums, strict=True) if total.frames]
    return part("tables.numbers", _length(shown.width), SHOWN, lines[::-1])


def busiest(hours: Sequence[Bucket], window: Window, zone: tzinfo) -> str:
    """Return how many faces a frame showed on average in each hour: of the day, and over longer periods of the week."""
    sums: dict[tuple[int, int], list[int]] = {}
    for hour in hours:
        local = (hour.start + timedelta(minutes=30)).astimezone(zone)  # an hour of UTC may straddle two of the viewer's
        cell = sums.setdefault((local.weekday(), local.hour), [0, 0])
        cell[0] += hour.sums.faces
        cell[1] += hour.sums.frames
    means = {place: faces / frames for place, (faces, frames) in sums.items() if frames}
    if not means:
        return part("tables.no_hours")
    top = max(means.values())
    best = max(means, key=lambda place: means[place])
    days = range(7) if window.end - window.start > timedelta(days=2) else sorted({day for day, _ in means})
    cells = [(DAYS[day], [_cell(means.get((day, hour)), top) for hour in range(24)]) for day in days]
    busy = (f"{DAYS[best[0]]}, {best[1]}:00 to {best[1] + 1}:00", f" with {top:.2f} faces a frame") if top else None
    rest = ""
    if (window.end - window.start).total_seconds() > HOURS_S:
        rest = (window.end - timedelta(seconds=1)).astimezone(zone).strftime(", in the five weeks up to %d %b %Y")
    return part("tables.busiest", busy, rest, cells, few=len(days) < 3)


def comparison(total: Sums, other: Sums, names: tuple[str, str]) -> str:
    """Return two periods, or two sources, side by side.

    Args:
        total: The sum over what is shown.
        other: The sum over what it is compared with.
        names: What both are called.
    """
    lines = [
        _pair("Frames", total.frames, other.frames, ",.0f"),
        _pair("Faces", total.faces, other.faces, ",.0f"),
        _pair("Faces a frame", _ratio(total.faces, total.frames), _ratio(other.faces, other.frames), ".2f"),
        _pair("Happiness index", total.happiness, other.happiness, ".1f"),
        *(
            _pair(f"{emotion.capitalize()}, %", total.share(emotion), other.share(emotion), ".1f", emotion)
            for emotion in SHOWN
        ),
    ]
    return part("tables.comparison", names, lines)


def marker_list(markers: Sequence[Marker], zone: tzinfo) -> str:
    """Return the markers of a period, newest first, each with a button that deletes it."""
    rows = [(marker, marker.time.astimezone(zone).strftime("%d %b, %H:%M:%S")) for marker in reversed(markers)]
    return part("tables.markers", rows)


def latest_markers(markers: Sequence[Marker], zone: tzinfo, now: datetime) -> str:
    """Return markers, newest first."""
    return part("tables.latest", [(marker, moment(marker.time, zone, now)) for marker in reversed(markers)])


def _cells(total: Sums) -> list[str]:
    shares = ["–" if (share := total.share(emotion)) is None else f"{share:.1f}" for emotion in SHOWN]
    return [f"{total.frames:,}", f"{total.faces:,}", *shares]


def _cell(mean: float | None, top: float) -> Cell | None:
    return None if mean is None else Cell(f"{mean:.2f} faces a frame", mean / top if top else 0.0)


def _pair(
    title: str, value: float | None, other: float | None, form: str, emotion: Emotion | None = None
) -> Comparison:
    shown, against = ("–" if number is None else format(number, form) for number in (value, other))
    change = "–" if value is None or other is None else signed(value - other, "+" + form)
    return Comparison(title, shown, against, change, emotion)


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def _length(seconds: int) -> str:
    for size, unit in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds % size == 0:
            return f"{amount(seconds // size)} {unit}{'s' if seconds > size else ''}"
    return f"{seconds} second{'s' if seconds > 1 else ''}"
