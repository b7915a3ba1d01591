"""Who is in a recording: tracks and the beginnings of scenes go in, people come out.

A person is one only within a scene: the tracks of a face that was lost for a moment are joined there, never over a cut,
because nothing is known of how anybody looks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import polars as pl

__all__ = ["people"]


LOST_S = 3.0
"""A face that is lost for so long, in seconds, and found again at the same place is the same person."""

Array = NDArray[np.float64]


def people(faces: pl.DataFrame, starts: Array) -> pl.DataFrame:
    """Return the rows with the columns `scene` (from 1) and `person` (from 1 within a scene; null without a face).

    Args:
        faces: The rows of a recording.
        starts: When scenes begin, but for the first, in seconds.
    """
    import polars as pl

    scene = np.searchsorted(starts, faces["at"].to_numpy() + 1e-6, side="right") + 1
    placed = faces.with_columns(pl.Series("scene", scene, pl.Int64))
    pieces = (
        placed.filter(pl.col("track").is_not_null())
        .with_columns(
            (pl.col("x") + pl.col("width") / 2).alias("middle_x"),
            (pl.col("y") + pl.col("height") / 2).alias("middle_y"),
            pl.max_horizontal("width", "height").alias("side"),
        )
        .group_by("scene", "session", "track")
        .agg(
            pl.col("at").min().alias("first"),
            pl.col("at").max().alias("last"),
            *(pl.col(name).first().alias(f"{name}_first") for name in ("middle_x", "middle_y", "side")),
            *(pl.col(name).last().alias(f"{name}_last") for name in ("middle_x", "middle_y", "side")),
        )
        .sort("scene", "first", "session", "track")
    )
    rows = pieces.to_dicts()
    numbers: list[int] = []
    known: list[dict[str, float]] = []  # the newest piece of each person of the scene
    current = None
    for row in rows:
        if row["scene"] != current:
            current, known = row["scene"], []
        same = next((n for n, before in enumerate(known) if _continues(before, row)), None)
        if same is None:
            known.append(row)
            numbers.append(len(known))
        else:
            known[same] = row
            numbers.append(same + 1)
    named = pieces.select("scene", "session", "track").with_columns(pl.Series("person", numbers, pl.Int64))
    return placed.join(named, on=["scene", "session", "track"], how="left", maintain_order="left")


def _continues(before: dict[str, float], after: dict[str, float]) -> bool:
    """Return whether a piece of a track is of the same person as one that ended before it."""
    gap = after["first"] - before["last"]
    if not 0 < gap <= LOST_S:
        return False
    size = (before["side_last"] * after["side_first"]) ** 0.5
    apart = np.hypot(
        after["middle_x_first"] - before["middle_x_last"], after["middle_y_first"] - before["middle_y_last"]
    )
    return bool(apart <= size and 0.5 <= after["side_first"] / before["side_last"] <= 2)
