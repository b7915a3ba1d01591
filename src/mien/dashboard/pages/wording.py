"""Numbers and times as people read them: always with a unit, always in the viewer's zone."""

from __future__ import annotations

from datetime import datetime, tzinfo

from mien.dashboard.data.periods import Window

__all__ = ["amount", "counted", "moment", "size", "span", "stretch"]


def amount(number: float) -> str:
    """Return a count, short above 100,000: 1,204 or 12.4 M."""
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e5, "k")):
        if number >= limit:
            return f"{number / (1e3 if unit == 'k' else limit):,.1f}\u202f{unit}"
    return f"{number:,.0f}"


def counted(number: float, singular: str, many: str) -> str:
    """Return a count with what it counts: 1 face, 1,204 faces."""
    return f"{amount(number)} {singular if number == 1 else many}"


def moment(time: datetime, zone: tzinfo, now: datetime) -> str:
    """Return a time of day, with the day if it is not today's."""
    local, today = time.astimezone(zone), now.astimezone(zone)
    if local.date() == today.date():
        return local.strftime("%H:%M:%S")
    near = abs((today.date() - local.date()).days) < 7
    return local.strftime("%a %H:%M" if near else "%d %b %Y, %H:%M")


def stretch(seconds: float) -> str:
    """Return a length of time in its two largest units: 42 s, 3 min 5 s, 2 days 4 h."""
    whole = max(0, int(seconds))
    if whole < 60:
        return f"{whole}\u202fs"
    for size_s, unit, part_s, part in ((86400, "days", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size_s:
            count, rest = divmod(whole, size_s)
            unit = "day" if unit == "days" and count == 1 else unit
            return f"{count}\u202f{unit}" + (f" {rest // part_s}\u202f{part}" if rest // part_s else "")
    return ""


def size(count: float) -> str:
    """Return a number of bytes: 12.4 MB."""
    for limit, unit in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if count >= limit:
            return f"{count / limit:,.1f}\u202f{unit}"
    return f"{count:.0f}\u202fbytes"


def span(window: Window, zone: tzinfo) -> str:
    """Return a window as text: its beginning and its end, with the year where it is not this year's."""
    start, end = window.start.astimezone(zone), window.end.astimezone(zone)
    clock = "%H:%M:%S" if window.width < 60 else "%H:%M"
    day = "%d %b" if start.year == end.year == datetime.now(zone).year else "%d %b %Y"
    first = start.strftime(f"{day}, {clock}")
    last = end.strftime(clock if start.date() == end.date() else f"{day}, {clock}")
    return f"{first} – {last}"
