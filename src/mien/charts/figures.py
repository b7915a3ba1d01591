"""Plotly figures: numbers go in, a figure that can be zoomed comes out, of a notebook or a page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mien.charts.palette import COLOURS
from mien.charts.svg import SHOWN
from mien.errors import MissingExtraError
from mien.observation import EMOTIONS

if TYPE_CHECKING:
    import plotly.graph_objects as go

__all__ = ["emotion_curve"]


def emotion_curve(
    times: Sequence[float] | NDArray[np.float64], shares: NDArray[np.float64], *, title: str = "", axis: str = "seconds"
) -> go.Figure:
    """Return the shares of the emotions over time as stacked areas; there is a gap where there is no face.

    Args:
        times: The middle of each bin, shape (n,).
        shares: Mean probabilities, 0 to 1, shape (n, 7), EMOTIONS order; a row of NaN where there is no face.
        title: What stands above it.
        axis: What the times are.

    Raises:
        MissingExtraError: It needs the extra `dashboard`, which brings Plotly.
    """
    try:
        import plotly.graph_objects as go
    except ImportError as error:
        raise MissingExtraError("a Plotly figure", "dashboard") from error
    figure = go.Figure()
    for emotion in SHOWN:
        column = 100 * shares[:, EMOTIONS.index(emotion)]
        figure.add_scatter(
            x=list(times), y=[None if np.isnan(value) else float(value) for value in column], name=emotion,
            stackgroup="emotions", stackgaps="infer zero", mode="none", fillcolor=COLOURS[emotion],
            hovertemplate="%{y:.0f} %",
        )  # fmt: skip
    figure.update_layout(
        title=title or None, hovermode="x unified", template="plotly_white", height=360,
        margin={"l": 50, "r": 10, "t": 50 if title else 20, "b": 40},
    )  # fmt: skip
    figure.update_xaxes(title_text=axis)
    figure.update_yaxes(title_text="mean probability, %", range=[0, 100])
    return figure
