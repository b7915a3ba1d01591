"""What the page says of who faces the screen: figures go in; a fact, a section and a definition come out."""

from __future__ import annotations

import math

import numpy as np

from mien.charts.palette import COLOURS
from mien.charts.svg import Curve, lines
from mien.reports.audience.attention import ASIDE, LEAST_S, Attention, Faced
from mien.reports.audience.together import GROUP_COLOURS, POINTS, thinned
from mien.reports.base.parts import Chart, Fact, Part, Section, Table
from mien.words import counted

__all__ = ["ATTENTION_IS", "attention_facts", "attention_section"]

ATTENTION_IS = (
    "A viewer faces the screen in a second in which yaw and pitch of the head, as the model sees them, lie within "
    f"{ASIDE:g} degrees of where that viewer's head is usually turned: the median over all that was watched, since "
    "cameras and seats stand aside. It is told of viewers whose head's direction is known in at least "
    f"{LEAST_S} seconds; who is not to be seen, or turned so far that the model does not say, counts neither as facing "
    "nor as turned away (`unknown`). Who looked elsewhere most of the time is taken to face the screen. A head is not "
    "a gaze, and facing a screen is not being interested, moved or engaged."
)


def attention_facts(of: Attention) -> list[Fact]:
    """Return the figure on top."""
    everybody = of.groups[0]
    share = everybody.share
    if not math.isfinite(share.value):
        return [Fact("Faced the screen", "cannot be told", "of too few viewers the head's direction is known")]
    sure = math.isfinite(share.low)
    between = f"; 95 %: {_percent(share.low)} to {_percent(share.high)}" if sure else ""
    whose = counted(everybody.viewers, "viewer", "viewers")
    detail = f"of the time, in the mean of {whose}; heads, not gaze{between}"
    ends = (share.low, share.high) if sure else (None, None)
    return [Fact("Faced the screen", _percent(share.value), detail, share.value, *ends)]


def attention_section(of: Attention, seconds: float) -> Section:
    """Return the share of the viewers who face the screen, over time, and the mean of each group."""
    groups = [faced for faced in (of.groups[1:] or of.groups[:1]) if faced.known.any()]
    if not groups:
        return Section("Facing the screen", ["Of too few viewers it is known where their heads were turned."])
    step = math.ceil(len(of.groups[0].known) / POINTS)
    curves = [
        Curve(
            faced.group or "all viewers",
            GROUP_COLOURS[place % len(GROUP_COLOURS)] if len(of.groups) > 1 else COLOURS["neutral"],
            thinned(_shares(faced), step),
        )
        for place, faced in enumerate(groups)
    ]
    times = np.arange(0.5, len(curves[0].values)).astype(np.float64) * step
    legend = [(curve.name, curve.colour) for curve in curves] if len(curves) > 1 else []
    rows = [
        (
            faced.group or "all viewers",
            f"{faced.viewers}",
            _percent(faced.share.value),
            f"{_percent(faced.share.low)} to {_percent(faced.share.high)}" if math.isfinite(faced.share.low) else "–",
        )
        for faced in of.groups
        if math.isfinite(faced.share.value)
    ]
    parts: list[Part] = [
        Chart(
            lines(times, curves, seconds),
            "Share of the viewers whose head is turned as it usually is, of those of whom that is known. Heads, not "
            "gaze, and not engagement.",
            legend,
        )
    ]
    if rows:
        parts.append(Table(("who", "#viewers", "#of the time", "#95 %"), rows, "The mean of the viewers' shares."))
    return Section("Facing the screen", parts)


def _shares(faced: Faced) -> np.ndarray:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(faced.known > 0, 100 * faced.facing / faced.known, np.nan))


def _percent(share: float) -> str:
    return f"{100 * min(1.0, max(0.0, share)):.0f} %" if math.isfinite(share) else "–"
