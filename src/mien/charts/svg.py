"""Drawings for the page: numbers go in, SVG comes out, which needs no script and takes its colours from the page.

All are 960 units wide and scale with the page.
"""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.charts.palette import COLOURS
from mien.observation import EMOTIONS, Emotion

__all__ = ["SHOWN", "Curve", "Mark", "clock", "intervals", "legend", "lines", "stacked"]

SHOWN: tuple[Emotion, ...] = ("happy", "surprise", "neutral", "sad", "fear", "disgust", "angry")
"""The order in which people read them: from pleasant to unpleasant."""

WIDTH, LEFT, RIGHT, TOP = 960, 46, 12, 26
LEAST_SPAN = 10.0
"""A narrower axis of estimates would make differences look large that are not."""

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Mark:
    """A moment that is pointed out.

    Attributes:
        at: When, in seconds.
        sign: One or two characters.
        text: What it is, shown where the pointer rests.
        until: Its end, in seconds, where it has a length.
    """

    at: float
    sign: str
    text: str
    until: float | None = None


@dataclass(frozen=True)
class Curve:
    """A curve.

    Attributes:
        name: What it is called.
        colour: How it is drawn.
        values: One per time; NaN where there is none.
        low: The lower edge of a band around it.
        high: The upper edge.
    """

    name: str
    colour: str
    values: Array
    low: Array | None = None
    high: Array | None = None


def clock(seconds: float, *, fine: bool = False) -> str:
    """Return a time as people write it: 0:07, 12:31 or 1:02:03; fine: with tenths."""
    tenths = round(max(0.0, seconds) * 10) if fine else round(max(0.0, seconds)) * 10
    whole, tenth = divmod(tenths, 10)
    minutes, second = divmod(whole, 60)
    hours, minute = divmod(minutes, 60)
    text = f"{hours}:{minute:02d}:{second:02d}" if hours else f"{minute}:{second:02d}"
    return f"{text}.{tenth}" if fine else text


def legend(emotions: Sequence[Emotion] = SHOWN) -> list[tuple[str, str]]:
    """Return which emotion has which colour."""
    return [(emotion, COLOURS[emotion]) for emotion in emotions]


def stacked(
    times: Array,
    shares: Array,
    duration: float,
    *,
    cuts: Sequence[float] = (),
    marks: Sequence[Mark] = (),
    height: int = 240,
) -> str:
    """Return the shares of the emotions over time as stacked areas; nothing is drawn where there is no face.

    Args:
        times: The middle of each bin, in seconds, evenly apart, shape (n,).
        shares: Shape (n, 7), EMOTIONS order, each row 1 or NaN.
        duration: Where the time axis ends, in seconds.
        cuts: Scene cuts, in seconds.
        marks: Moments to point out.
        height: Of the drawing.
    """
    frame = _Frame(duration, 0, 100, height)
    parts = [frame.grid("%", [0, 25, 50, 75, 100])]
    half = (times[1] - times[0]) / 2 if len(times) > 1 else duration / 2
    for first, last in _runs(np.isfinite(shares[:, 0])):
        at = np.concatenate([[times[first] - half], times[first:last], [times[last - 1] + half]])
        rows = np.vstack([shares[first], shares[first:last], shares[last - 1]])
        below = np.zeros(len(rows))
        for emotion in SHOWN:  # happy stands on the axis, as in every chart of Mien
            above = below + 100 * rows[:, EMOTIONS.index(emotion)]
            outline = [*zip(at, above, strict=True), *zip(at[::-1], below[::-1], strict=True)]
            path = "M" + "L".join(frame.point(x, min(y, 100)) for x, y in outline) + "Z"
            parts.append(f'<path d="{path}" fill="{COLOURS[emotion]}"><title>{emotion}</title></path>')
            below = above
    parts.append(frame.cuts(cuts))
    parts.append(frame.marks(marks))
    return frame.svg("".join(parts), "Shares of the emotions over time, stacked")


def lines(
    times: Array,
    curves: Sequence[Curve],
    duration: float,
    *,
    unit: str = "%",
    low: float = 0.0,
    high: float = 100.0,
    cuts: Sequence[float] = (),
    marks: Sequence[Mark] = (),
    bars: Sequence[tuple[float, float, str, str]] = (),
    height: int = 220,
) -> str:
    """Return curves over time, with bands where they have some.

    Args:
        times: In seconds, shape (n,).
        curves: Their values on the axis from low to high.
        duration: Where the time axis ends, in seconds.
        unit: Of the values.
        low: The axis's lower end.
        high: Its upper end.
        cuts: Scene cuts, in seconds.
        marks: Moments to point out.
        bars: Stretches to mark under the curves: when they begin and end, in seconds, their colour, and what they are.
        height: Of the drawing.
    """
    frame = _Frame(duration, low, high, height)
    parts = [frame.grid(unit, _ticks(low, high)), frame.cuts(cuts), frame.bars(bars), frame.marks(marks)]
    for curve in curves:
        if curve.low is not None and curve.high is not None:
            for first, last in _runs(np.isfinite(curve.low) & np.isfinite(curve.high)):
                outline = [
                    *zip(times[first:last], curve.high[first:last], strict=True),
                    *zip(times[first:last][::-1], curve.low[first:last][::-1], strict=True),
                ]
                path = "M" + "L".join(frame.point(x, y) for x, y in outline) + "Z"
                parts.append(f'<path d="{path}" fill="{curve.colour}" opacity=".22"/>')
        for first, last in _runs(np.isfinite(curve.values)):
            points = [frame.point(x, y) for x, y in zip(times[first:last], curve.values[first:last], strict=True)]
            points = points * 2 if len(points) == 1 else points
            parts.append(
                f'<path d="M{"L".join(points)}" fill="none" stroke="{curve.colour}" stroke-width="2" '
                f'stroke-linejoin="round" stroke-linecap="round"><title>{html.escape(curve.name)}</title></path>'
            )
    return frame.svg("".join(parts), ", ".join(curve.name for curve in curves) + " over time")


def intervals(rows: Sequence[tuple[str, float, float, float, str]], unit: str, *, zero: bool = False) -> str:
    """Return estimates as dots with their intervals as bars, a row each.

    Args:
        rows: Label, estimate, lower end, upper end (NaN: no interval), colour.
        unit: Of the values.
        zero: Whether the axis must show 0.
    """
    values = [value for _, *numbers, _ in rows for value in numbers if math.isfinite(value)] + ([0.0] if zero else [])
    if not values:
        return ""
    least, most = min(values), max(values)
    room = max((most - least) * 0.06, (LEAST_SPAN - (most - least)) / 2)
    low, high = least - room, most + room
    step, left = 30, 300
    height = step * len(rows) + 34

    def x(value: float) -> float:
        return left + (value - low) / (high - low) * (WIDTH - left - 80)

    parts = []
    for tick in _ticks(low, high):
        strong = ' class="zero"' if zero and tick == 0 else ' class="grid"'
        parts.append(f'<line{strong} x1="{x(tick):.1f}" x2="{x(tick):.1f}" y1="4" y2="{height - 26}"/>')
        parts.append(f'<text x="{x(tick):.1f}" y="{height - 8}" text-anchor="middle">{tick:g}{_spaced(unit)}</text>')
    for number, (label, value, start, end, colour) in enumerate(rows):
        y = step * number + 18
        short = label if len(label) <= 42 else label[:41] + "…"
        parts.append(f'<text class="label" x="{left - 14}" y="{y + 4}" text-anchor="end">{html.escape(short)}</text>')
        if math.isfinite(start) and math.isfinite(end):
            parts.append(
                f'<line x1="{x(start):.1f}" x2="{x(end):.1f}" y1="{y}" y2="{y}" stroke="{colour}" stroke-width="5" '
                'stroke-linecap="round" opacity=".45"/>'
            )
        if math.isfinite(value):
            parts.append(
                f'<circle cx="{x(value):.1f}" cy="{y}" r="6" fill="{colour}"><title>{html.escape(label)}: {value:.1f}'
                f"{_spaced(unit)}</title></circle>"
            )
            parts.append(f'<text class="label" x="{WIDTH - 4}" y="{y + 4}" text-anchor="end">{value:.1f}</text>')
    return _svg(height, "".join(parts), "Estimates with their intervals")


class _Frame:
    """The axes of a drawing over time."""

    def __init__(self, duration: float, low: float, high: float, height: int) -> None:
        self.duration, self.low, self.high, self.height = max(duration, 1e-6), low, high, height
        self.bottom = height - 24

    def x(self, at: float) -> float:
        return LEFT + min(max(at / self.duration, 0.0), 1.0) * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        share = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return self.bottom - share * (self.bottom - TOP)

    def point(self, at: float, value: float) -> str:
        return f"{self.x(at):.1f} {self.y(value):.1f}"

    def grid(self, unit: str, ticks: Sequence[float]) -> str:
        parts = []
        for tick in ticks:
            y = self.y(tick)
            kind = "zero" if tick == 0 and self.low < 0 else "grid"
            parts.append(f'<line class="{kind}" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
            parts.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{tick:g}{_spaced(unit)}</text>')
        for tick in _time_ticks(self.duration):
            x = self.x(tick)
            fine = self.duration < 5
            parts.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{self.bottom}" y2="{self.bottom + 5}"/>')
            parts.append(
                f'<text x="{x:.1f}" y="{self.height - 5}" text-anchor="middle">{clock(tick, fine=fine)}</text>'
            )
        return "".join(parts)

    def cuts(self, cuts: Sequence[float]) -> str:
        ticks = "".join(f"M{self.x(cut):.1f} {self.bottom + 1}v7" for cut in cuts)
        return f'<path class="cuts" d="{ticks}"><title>scene cuts</title></path>' if ticks else ""

    def bars(self, bars: Sequence[tuple[float, float, str, str]]) -> str:
        return "".join(
            f'<rect x="{self.x(start):.1f}" y="{self.bottom - 7}" width="{max(2.0, self.x(end) - self.x(start)):.1f}" '
            f'height="7" fill="{colour}"><title>{html.escape(text)}</title></rect>'
            for start, end, colour, text in bars
        )

    def marks(self, marks: Sequence[Mark]) -> str:
        parts = []
        before, row = -math.inf, 0
        for mark in sorted(marks, key=lambda entry: entry.at):
            x = self.x(mark.at)
            row = 1 - row if x - before < 19 else 0
            before = x
            if mark.until is not None:
                wide = max(1.0, self.x(mark.until) - x)
                parts.append(
                    f'<rect class="span" x="{x:.1f}" y="{TOP}" width="{wide:.1f}" height="{self.bottom - TOP}"/>'
                )
            parts.append(
                f'<g class="mark"><line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP - 4}" y2="{self.bottom}"/>'
                f'<rect x="{x - 9:.1f}" y="{3 + 6 * row}" width="18" height="17" rx="8.5"/>'
                f'<text x="{x:.1f}" y="{15.5 + 6 * row}" text-anchor="middle">{html.escape(mark.sign)}</text>'
                f"<title>{html.escape(mark.text)}</title></g>"
            )
        return "".join(parts)

    def svg(self, content: str, label: str) -> str:
        return _svg(self.height, content, label)


def _svg(height: int, content: str, label: str) -> str:
    return f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{html.escape(label)}">{content}</svg>'


def _spaced(unit: str) -> str:
    return f" {unit}" if unit else ""


def _runs(there: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Return first and one past the last of each run of true values."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], there, [False]]).astype(np.int8)))
    return [(int(first), int(last)) for first, last in edges.reshape(-1, 2)]


def _ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Return round numbers in [low, high]."""
    span = high - low
    raw = span / count
    size = 10 ** math.floor(math.log10(raw))
    step = next(size * factor for factor in (1, 2, 2.5, 5, 10) if size * factor >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [round(number * step, 10) for number in range(first, math.floor(high / step + 1e-9) + 1)]


def _time_ticks(duration: float) -> list[float]:
    steps = (0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400)
    step = next(
        (candidate for candidate in steps if duration / candidate <= 11), 86400 * math.ceil(duration / 86400 / 10)
    )
    return [number * step for number in range(int(duration / step + 1e-9) + 1)]
