"""What the page says of viewers above their own usual face: figures go in, a fact and a section come out."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from mien.charts.palette import COLOURS
from mien.charts.svg import Curve, lines
from mien.observation import EMOTIONS
from mien.reports.audience.own_level import OwnLevel
from mien.reports.audience.reactions import Interval
from mien.reports.audience.together import GROUP_COLOURS, POINTS, thinned
from mien.reports.base.parts import Chart, Fact, Part, Section, Table
from mien.reports.base.usual_face import people_table
from mien.words import signed

__all__ = ["own_facts", "own_section"]

HAPPY = EMOTIONS.index("happy")


def own_facts(own: OwnLevel) -> list[Fact]:
    """Return the figure on top."""
    name, from_when = "Happy above the usual face", f"usual: {own.calibration.words}"
    if not own.levels:
        return [Fact(name, "cannot be told", from_when)]
    level = next((level for level in own.levels if not level.group), own.levels[0])
    of = level.above[HAPPY]
    sure = np.isfinite(of.low)
    between = f"95 %: {signed(100 * of.low)} to {signed(100 * of.high)}" if sure else "too few viewers for an interval"
    detail = f"{between}; {from_when}"
    return [
        Fact(name, f"{signed(100 * of.value)} points", detail, of.value, *((of.low, of.high) if sure else (None, None)))
    ]


def own_section(own: OwnLevel, seconds: float, *, anonymous: bool) -> Section:
    """Return the curve above the usual face, what groups and viewers show above it, and from when it was taken."""
    everybody, *groups = own.courses
    drawn = groups or [everybody]
    step = math.ceil(len(everybody.viewers) / POINTS)
    curves = [
        Curve(
            course.group or "all viewers",
            GROUP_COLOURS[place % len(GROUP_COLOURS)] if groups else COLOURS["happy"],
            *(thinned(100 * end[:, HAPPY], step) for end in (course.shares, course.low, course.high)),
        )
        for place, course in enumerate(drawn)
    ]
    reach = max(float(np.nanmax(np.abs(_of(curve)), initial=10)) for curve in curves)
    top = 10.0 * np.ceil(reach / 10)
    times = np.arange(0.5, len(curves[0].values)).astype(np.float64) * step
    legend = [(curve.name, curve.colour) for curve in curves] if groups else []
    parts: list[Part] = [
        Chart(
            lines(times, curves, seconds, unit="", low=-top, high=top),
            "Happy, in points above each viewer's usual face, mean of the viewers, with 95 % intervals. The usual face "
            f"is taken from {own.calibration.words}.",
            legend,
        )
    ]
    rows = [
        (
            level.group or "all viewers",
            f"{level.viewers}",
            *(_cell(level.above[EMOTIONS.index(emotion)]) for emotion in ("happy", "surprise", "sad", "neutral")),
        )
        for level in own.levels
    ]
    if rows:
        parts.append(
            Table(
                ("who", "#viewers", "#happy, 95 %", "#surprise", "#sad", "#neutral"),
                rows,
                "Over all that was watched, in points above the usual face; the other emotions are in the table "
                "above_usual.",
            )
        )
    if not anonymous:
        parts.append(people_table(own.people, own.calibration))
    return Section("Above each viewer's usual face", parts)


def _of(curve: Curve) -> NDArray[np.float64]:
    ends = [end for end in (curve.values, curve.low, curve.high) if end is not None]
    return np.concatenate(ends)


def _cell(of: Interval) -> str:
    between = f" ({signed(100 * of.low)} to {signed(100 * of.high)})" if np.isfinite(of.low) else ""
    return f"{signed(100 * of.value)}{between}"
