"""The Plotly figure of the emotions over time, and the colours that every part of the page shares.

A timeline goes in, a plain dictionary in Plotly's format comes out. Text, grid and background take their colours from
the page's style sheet, so one figure serves the light and the dark theme.
"""

from __future__ import annotations

from datetime import datetime, timedelta, tzinfo
from typing import Any

import numpy as np

from mien.dashboard.periods import Window
from mien.dashboard.queries import Timeline
from mien.observation import EMOTIONS, Emotion
from mien.vision.colours import COLOURS

__all__ = ["SHOWN", "shares", "timeline_figure"]

SHOWN: tuple[Emotion, ...] = ("happy", "surprise", "neutral", "sad", "fear", "disgust", "angry")
"""The order in which people read them: from pleasant to unpleasant. Data keep the order of EMOTIONS."""

EDGE = timedelta(milliseconds=1)


def shares(rows: np.ndarray) -> np.ndarray:
    """Return the mean probability of each emotion in percent, shape (n, 7), EMOTIONS order; NaN without a face."""
    faces = rows[:, 1:2]
    result: np.ndarray = np.divide(100 * rows[:, 10:], faces, out=np.full((len(rows), 7), np.nan), where=faces > 0)
    return result


def timeline_figure(timeline: Timeline, zone: tzinfo, text_px: float = 12.0) -> dict[str, Any]:
    """Return the stacked shares of the emotions over time above the faces in view.

    Args:
        timeline: What to draw.
        zone: The viewer's: Plotly draws the times as they are written.
        text_px: The height of the text in CSS pixels.
    """
    window, rows = timeline
    starts = [window.start + timedelta(seconds=window.width * point) for point in range(window.points)]
    mean_faces = np.divide(rows[:, 1], rows[:, 0], out=np.zeros(len(rows)), where=rows[:, 0] > 0)
    times, picks = _outline(starts, rows[:, 1] > 0, window)
    values = np.nan_to_num(shares(rows))[picks]
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
        for emotion in SHOWN
    ]  # fmt: skip
    count = {
        "type": "scatter", "mode": "lines", "fill": "tozeroy", "name": "Faces", "yaxis": "y2",
        "x": [_local(start, zone) for start in [*starts, window.end]], "y": [*mean_faces.round(2).tolist(), 0],
        "line": {"shape": "hv", "width": 1.2, "color": "#7b8794"}, "fillcolor": "rgba(123,135,148,.22)",
        "hovertemplate": "%{y:.2~f} faces a frame",
    }  # fmt: skip
    top = max(1.0, float(mean_faces.max(initial=0)) * 1.25)
    return {"data": [*bands, count], "layout": _layout(window, zone, top, text_px), "config": CONFIG}


CONFIG = {"displayModeBar": False, "responsive": True, "showTips": False, "doubleClick": False}


def _layout(window: Window, zone: tzinfo, top: float, text_px: float) -> dict[str, Any]:
    axis = {"fixedrange": True, "zeroline": False, "showline": False, "automargin": True}
    clock = "%H:%M:%S" if window.width < 60 else "%a %d %b, %H:%M" if window.width < 86400 else "%d %b %Y"
    return {
        "margin": {"l": 8, "r": 8, "t": 8, "b": 8},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": "inherit", "size": text_px},
        "showlegend": False,
        "dragmode": False,
        "hovermode": "x unified",
        "hoverlabel": {"namelength": -1},
        "uirevision": "stays",
        "annotations": [
            {
                "text": "Faces per frame", "xref": "paper", "yref": "paper", "x": 0, "y": 0.185,
                "xanchor": "left", "yanchor": "bottom", "showarrow": False,
            }
        ],
        "xaxis": axis | {
            "type": "date", "range": [_local(window.start, zone), _local(window.end, zone)], "anchor": "y2",
            "hoverformat": clock, "nticks": 8, "showgrid": False, "ticks": "outside", "ticklen": 5,
            "tickformatstops": [
                {"dtickrange": [None, 59_999], "value": "%H:%M:%S"},
                {"dtickrange": [60_000, 43_199_999], "value": "%H:%M"},
                {"dtickrange": [43_200_000, None], "value": "%d %b"},
            ],
        },
        "yaxis": axis | {"range": [0, 100], "domain": [0.32, 1], "ticksuffix": " %", "nticks": 5},
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
    return time.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
