"""What the charts draw: the Plotly figure of the emotions over time, the stream of a minute.

A timeline goes in, plain dictionaries and lists come out. Text, grid and background take their colours from the page's
style sheet, and the script sets the size of the text, so one figure serves every screen and both themes.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta, tzinfo
from html import escape
from typing import Any

import numpy as np

from mien.charts.palette import COLOURS
from mien.dashboard.data.periods import Window
from mien.dashboard.data.queries import Timeline
from mien.observation import EMOTIONS, Emotion
from mien.stores.base import Marker

__all__ = ["SHOWN", "shares", "stream", "timeline_figure"]

SHOWN: tuple[Emotion, ...] = ("happy", "surprise", "neutral", "sad", "fear", "disgust", "angry")
"""The order in which people read them: from pleasant to unpleasant. Data keep the order of EMOTIONS."""

EDGE = timedelta(milliseconds=1)

UNCLEAR = "#e3e6ea"
"""Faces that no emotion was named of: lighter than neutral."""

LABEL = 24
"""So many characters of a marker's label stand in the chart."""

BRIDGED_S = 2
"""A second of the stream takes what it shows from the nearest with a frame, if that is so near."""

APART = 0.12
"""Labels of markers stand at least this part of the period apart."""


def shares(rows: np.ndarray) -> np.ndarray:
    """Return each emotion's share in percent, over faces and time as in `Sums.share`; NaN without a face.

    Args:
        rows: Sums, shape (n,), dtype `second_sums.ROW`.

    Returns:
        Shape (n, 7), EMOTIONS order.
    """
    timed = rows["face_seconds"] > 0
    totals = [np.where(timed, rows[f"seconds_{emotion}"], rows[f"sum_{emotion}"]) for emotion in EMOTIONS]
    weights = np.where(timed, rows["face_seconds"], rows["faces"])[:, None]
    every = np.stack(totals, axis=1)
    result: np.ndarray = np.divide(100 * every, weights, out=np.full(every.shape, np.nan), where=weights > 0)
    return result


def stream(rows: np.ndarray) -> list[list[int]]:
    """Return a minute as a stream: how many faces in a frame showed each emotion, in hundredths of a face.

    Args:
        rows: Seconds, shape (n,), dtype `second_sums.ROW`.

    Returns:
        A list of n numbers per emotion, in the order of SHOWN. Of a few seconds without a frame the neighbours tell; a
        longer gap is empty.
    """
    (known,) = np.nonzero(rows["frames"])
    if not len(known):
        return [[0] * len(rows) for _ in SHOWN]
    seconds = np.arange(len(rows))
    near = np.abs(seconds[:, None] - known).min(axis=1) <= BRIDGED_S
    bands = []
    for emotion in SHOWN:
        even = np.interp(seconds, known, 100 * rows[f"sum_{emotion}"][known] / rows["frames"][known])
        smooth = np.convolve(np.pad(even, 1, "edge"), np.ones(3) / 3, "valid")
        bands.append(np.where(near, smooth, 0).round().astype(int).tolist())
    return bands


def timeline_figure(
    timeline: Timeline,
    zone: tzinfo,
    *,
    emotions: Sequence[Emotion] = (),
    form: str = "share",
    markers: Sequence[Marker] = (),
    other: Timeline | None = None,
) -> dict[str, Any]:
    """Return the emotions over time above the faces in view.

    Args:
        timeline: What to draw.
        zone: The viewer's: Plotly draws the times as they are written.
        emotions: Those to draw; empty: all.
        form: `share` stacks mean probabilities in percent, `count` the faces named; `lines` draws the shares as lines.
        markers: Moments to draw as lines.
        other: As lines, also what it is compared with: dashed, moved to the same time.
    """
    window, rows = timeline
    starts = window.starts
    drawn = [emotion for emotion in SHOWN if not emotions or emotion in emotions]
    bands, top = {"count": _counts, "lines": _lines}.get(form, _shares)(timeline, starts, drawn, zone)
    if form == "lines" and other is not None:
        bands += _dashed(other, window.start, drawn, zone)
    mean_faces = np.divide(rows["faces"], rows["frames"], out=np.zeros(len(rows)), where=rows["frames"] > 0)
    count = {
        "type": "scatter", "mode": "lines", "fill": "tozeroy", "name": "Faces a frame", "yaxis": "y2",
        "x": [_local(start, zone) for start in [*starts, window.end]], "y": [*mean_faces.round(2).tolist(), 0],
        "line": {"shape": "hv", "width": 1.2, "color": "#7b8794"}, "fillcolor": "rgba(123,135,148,.22)",
        "hovertemplate": "%{y:.2~f}",
    }  # fmt: skip
    layout = _layout(window, zone, max(1.0, float(mean_faces.max(initial=0)) * 1.25))
    layout["yaxis"] |= {"range": [0, top]} | ({"tickformat": ",~s"} if form == "count" else {"ticksuffix": " %"})
    named = window.start - APART * (window.end - window.start)
    for marker in markers:
        # Labels that would cover each other are left out; the list of markers has them all.
        room = marker.time - named >= APART * (window.end - window.start)
        named = marker.time if room else named
        at = (marker.time - window.start) / (window.end - window.start)
        anchor = "left" if at < APART else "right" if at > 1 - APART else "center"  # so that none is cut at the edge
        _mark(layout, marker, zone, marker.label if room else "", anchor)
    return {"data": [*bands, count], "layout": layout, "config": CONFIG}


CONFIG = {"displayModeBar": False, "responsive": True, "showTips": False, "doubleClick": False}


def _shares(
    timeline: Timeline, starts: list[datetime], drawn: Sequence[Emotion], zone: tzinfo
) -> tuple[list[dict[str, Any]], float]:
    """Return a band per emotion, and the top of the axis."""
    times, picks = _outline(starts, timeline.rows["faces"] > 0, timeline.window)
    values = np.nan_to_num(shares(timeline.rows))[picks]
    values[np.array(picks, dtype=int) < 0] = 0
    stamps = [_local(time, zone) for time in times]
    skips = ["skip" if pick < 0 else "y" for pick in picks]
    hover = ["" if pick < 0 else "%{y:.0f} %" for pick in picks]
    bands = [
        {
            "type": "scatter", "mode": "lines", "stackgroup": "share", "name": emotion.capitalize(), "x": stamps,
            "y": values[:, EMOTIONS.index(emotion)].round(2).tolist(),
            "line": {"width": 0.8, "color": COLOURS[emotion]}, "fillcolor": COLOURS[emotion],
            "hovertemplate": hover, "hoverinfo": skips,
        }
        for emotion in drawn
    ]  # fmt: skip
    return bands, 100.0


def _lines(
    timeline: Timeline, starts: list[datetime], drawn: Sequence[Emotion], zone: tzinfo
) -> tuple[list[dict[str, Any]], float]:
    """Return a line per emotion with a gap where there is no face, and the top of the axis."""
    middle = timedelta(seconds=timeline.window.width / 2)
    stamps = [_local(start + middle, zone) for start in starts]
    values = shares(timeline.rows)
    bands = [
        {
            "type": "scatter", "mode": "lines", "name": emotion.capitalize(), "x": stamps,
            "y": [None if np.isnan(value) else round(float(value), 2) for value in values[:, EMOTIONS.index(emotion)]],
            "line": {"width": 2, "color": COLOURS[emotion]}, "hovertemplate": "%{y:.0f} %",
        }
        for emotion in drawn
    ]  # fmt: skip
    return bands, 100.0


def _dashed(other: Timeline, start: datetime, drawn: Sequence[Emotion], zone: tzinfo) -> list[dict[str, Any]]:
    """Return the lines of what is compared with, moved so that they begin at a time."""
    moved = [time + (start - other.window.start) for time in other.window.starts]
    bands, _ = _lines(other, moved, drawn, zone)
    for band in bands:
        band["name"] += ", compared"
        band["line"] = band["line"] | {"dash": "dash", "width": 1.5}
    return bands


def _counts(
    timeline: Timeline, starts: list[datetime], drawn: Sequence[Emotion], zone: tzinfo
) -> tuple[list[dict[str, Any]], float]:
    """Return steps per emotion, with those too unclear to name on top if all are drawn, and the top of the axis."""
    rows = timeline.rows
    layers = [(emotion.capitalize(), COLOURS[emotion], rows[f"count_{emotion}"]) for emotion in drawn]
    if len(drawn) == len(SHOWN):
        layers.append(("Unclear", UNCLEAR, rows["unclear"]))
    stamps = [_local(start, zone) for start in [*starts, timeline.window.end]]
    bands = [
        {
            "type": "scatter", "mode": "lines", "stackgroup": "count", "name": name, "x": stamps,
            "y": [*values.astype(int).tolist(), 0], "line": {"width": 0.8, "color": color, "shape": "hv"},
            "fillcolor": color, "hovertemplate": "%{y:,.0f} faces",
        }
        for name, color, values in layers
    ]  # fmt: skip
    total = np.sum([values for _, _, values in layers], axis=0)
    return bands, max(1.0, 1.06 * float(total.max(initial=0)))


def _mark(layout: dict[str, Any], marker: Marker, zone: tzinfo, label: str, anchor: str) -> None:
    time = _local(marker.time, zone)
    layout["shapes"].append(
        {
            "type": "line", "x0": time, "x1": time, "xref": "x", "y0": 0, "y1": 1, "yref": "paper",
            "line": {"width": 1.5, "dash": "dot", "color": "#7b8794"},
        }
    )  # fmt: skip
    label = label if len(label) <= LABEL else f"{label[: LABEL - 1]}…"
    layout["annotations"].append(
        {
            "text": escape(label), "x": time, "xref": "x", "y": 1, "yref": "paper", "yanchor": "bottom",
            "xanchor": anchor, "showarrow": False, "hovertext": escape(marker.label), "captureevents": bool(label),
        }
    )  # fmt: skip
    layout["margin"]["t"] = 26


def _layout(window: Window, zone: tzinfo, top: float) -> dict[str, Any]:
    axis = {"fixedrange": True, "zeroline": False, "showline": False, "automargin": True}
    return {
        "margin": {"l": 8, "r": 8, "t": 8, "b": 8},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": "inherit"},
        "showlegend": False,
        "dragmode": "zoom",
        "shapes": [],
        "hovermode": "x unified",
        "hoverlabel": {"namelength": -1},
        "uirevision": "stays",
        "annotations": [
            {
                "text": "Faces a frame", "xref": "paper", "yref": "paper", "x": 0, "y": 0.185,
                "xanchor": "left", "yanchor": "bottom", "showarrow": False,
            }
        ],
        "xaxis": axis | {
            "fixedrange": False, "type": "date", "anchor": "y2",
            "range": [_local(window.start, zone), _local(window.end, zone)],
            "hoverformat": window.clock(zone), "nticks": 8, "showgrid": False, "ticks": "outside", "ticklen": 5,
            "tickformatstops": [
                {"dtickrange": [None, 59_999], "value": "%H:%M:%S"},
                {"dtickrange": [60_000, 43_199_999], "value": "%H:%M"},
                {"dtickrange": [43_200_000, None], "value": "%d %b"},
            ],
        },
        "yaxis": axis | {"domain": [0.32, 1], "nticks": 5},
        "yaxis2": axis | {"range": [0, top], "domain": [0, 0.17], "nticks": 3, "tickformat": ",~r"},
    }  # fmt: skip


def _outline(starts: list[datetime], filled: np.ndarray, window: Window) -> tuple[list[datetime], list[int]]:
    """Return where to draw which point, -1 for nothing, so that stretches without a face end sharply.

    A stretch with faces reaches from the start of its first point to the end of its last; each value between stands in
    the middle of its point.
    """
    times: list[datetime] = []
    picks: list[int] = []
    width = timedelta(seconds=window.width)
    for index, start in enumerate(starts):
        if not filled[index]:
            continue
        if index == 0 or not filled[index - 1]:
            times += [start - EDGE, start]
            picks += [-1, index]
        times.append(start + width / 2)
        picks.append(index)
        if index + 1 == len(starts) or not filled[index + 1]:
            times += [start + width, start + width + EDGE]
            picks += [index, -1]
    return times, picks


def _local(time: datetime, zone: tzinfo) -> str:
    return time.astimezone(zone).isoformat(" ", "milliseconds")[:23]
