"""Numbers as HTML tables: a period point by point, its busiest hours, two periods side by side.

Timelines and hours go in, strings of HTML come out. Whatever did not arise here is escaped.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta, tzinfo

from mien.dashboard.data.periods import Window
from mien.dashboard.data.queries import Timeline
from mien.dashboard.data.second_sums import summed
from mien.dashboard.data.timelines import HOURS_S
from mien.dashboard.pages.cards import dot, signed, text
from mien.dashboard.pages.charts import SHOWN
from mien.dashboard.pages.wording import amount
from mien.stores.base import Bucket, Marker, Sums

__all__ = ["busiest", "comparison", "marker_list", "numbers"]

ROWS = 60
"""So many rows a table has at most; finer points are added up."""

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def numbers(timeline: Timeline, zone: tzinfo) -> str:
    """Return a period as a table, newest first, without the stretches in which there was no frame."""
    window, rows = timeline
    step = -(-window.points // ROWS)
    sums = [summed(rows[at : at + step]) for at in range(0, len(rows), step)]
    shown = window._replace(width=window.width * step)
    clock = shown.clock(zone)
    named = [start.astimezone(zone).strftime(clock) for start in shown.starts]
    lines = [_line(name, total) for name, total in zip(named, sums, strict=True) if total.frames]
    head = "".join(f'<th scope="col">{dot(emotion)}{emotion.capitalize()}</th>' for emotion in SHOWN)
    return (
        f"<caption>Each row: {_length(shown.width)} from the time named. Emotions: mean probability over the "
        f'faces, in %.</caption><thead><tr><th scope="col">Time</th><th scope="col">Frames</th>'
        f'<th scope="col">Faces</th>{head}</tr></thead><tbody>{"".join(reversed(lines))}</tbody>'
    )


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
        return '<p class="fine">No frame in this period.</p>'
    top = max(means.values())
    best = max(means, key=lambda place: means[place])
    days = range(7) if window.end - window.start > timedelta(days=2) else sorted({day for day, _ in means})
    cells = {day: "".join(_cell(means.get((day, hour)), top, day, hour) for hour in range(24)) for day in days}
    lines = "".join(f'<tr><th scope="row">{DAYS[day]}</th>{cells[day]}</tr>' for day in days)
    head = "".join(f'<th scope="col">{hour if hour % 3 == 0 else ""}</th>' for hour in range(24))
    said = (
        f"<b>{DAYS[best[0]]}, {best[1]}:00 to {best[1] + 1}:00</b> with {top:.2f} faces a frame" if top else "No face"
    )
    if (window.end - window.start).total_seconds() > HOURS_S:
        said += (window.end - timedelta(seconds=1)).astimezone(zone).strftime(", in the five weeks up to %d %b %Y")
    few = " few" if len(days) < 3 else ""
    return (
        f'<p class="best">{said}</p><div class="wide" tabindex="0" role="group" aria-label="Faces a frame by hour">'
        f'<table class="hours{few}"><caption class="unseen">Faces a frame by day and hour</caption>'
        f"<thead><tr><td></td>{head}</tr></thead><tbody>{lines}</tbody></table></div>"
    )


def comparison(total: Sums, other: Sums, names: tuple[str, str]) -> str:
    """Return two periods, or two sources, side by side.

    Args:
        total: The sum over what is shown.
        other: The sum over what it is compared with.
        names: What both are called.
    """
    lines = [
        _pair("Frames", total.frames, other.frames, "{:,.0f}"),
        _pair("Faces", total.faces, other.faces, "{:,.0f}"),
        _pair("Faces a frame", _ratio(total.faces, total.frames), _ratio(other.faces, other.frames), "{:.2f}"),
        _pair("Happiness index", total.happiness, other.happiness, "{:.1f}"),
        *(
            _pair(f"{dot(emotion)}{emotion.capitalize()}, %", total.share(emotion), other.share(emotion), "{:.1f}")
            for emotion in SHOWN
        ),
    ]
    return (
        f'<caption class="unseen">Comparison</caption><thead><tr><td></td><th scope="col">{text(names[0])}</th>'
        f'<th scope="col">{text(names[1])}</th><th scope="col">Difference</th></tr></thead>'
        f"<tbody>{''.join(lines)}</tbody>"
    )


def marker_list(markers: Sequence[Marker], zone: tzinfo) -> str:
    """Return the markers of a period, newest first, each with a button that deletes it."""
    return "".join(
        f'<li id="marker-{text(one.id)}">'
        f"<time>{one.time.astimezone(zone).strftime('%d %b, %H:%M:%S')}</time><span>{text(one.label)}</span>"
        f"<small>{text(one.source or 'all sources')}</small>"
        f'<button type="button" data-drop="{text(one.id)}" aria-label="Delete the marker {text(one.label)}">✕</button>'
        "</li>"
        for one in reversed(markers)
    )


def _line(name: str, total: Sums) -> str:
    shares = "".join(f"<td>{'–' if (share := total.share(name)) is None else f'{share:.1f}'}</td>" for name in SHOWN)
    return f'<tr><th scope="row">{name}</th><td>{total.frames:,}</td><td>{total.faces:,}</td>{shares}</tr>'


def _cell(mean: float | None, top: float, day: int, hour: int) -> str:
    if mean is None:
        return "<td></td>"
    words = f"{mean:.2f} faces a frame"
    share = mean / top if top else 0.0
    told = f'<span class="unseen">{words}</span>'
    return f'<td title="{DAYS[day]} {hour}:00, {words}" style="--share:{share:.3f}">{told}</td>'


def _pair(title: str, value: float | None, other: float | None, form: str) -> str:
    cells = "".join(f"<td>{'–' if one is None else form.format(one)}</td>" for one in (value, other))
    change = "–" if value is None or other is None else signed(value - other, form.replace("{:", "{:+"))
    return f'<tr><th scope="row">{title}</th>{cells}<td>{change}</td></tr>'


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def _length(seconds: int) -> str:
    for size, one in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds % size == 0:
            return f"{amount(seconds // size)} {one}{'s' if seconds > size else ''}"
    return f"{seconds} second{'s' if seconds > 1 else ''}"
