"""Recordings of which the truth is known, made on the spot."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import polars as pl

from mien.observation import EMOTIONS
from mien.reports.base.recordings import Recording

Box = tuple[int, int, int, int]
NEUTRAL = EMOTIONS.index("neutral")


def shares(**given: float) -> list[float]:
    """Seven probabilities: those given, and neutral the rest."""
    row = [given.get(emotion, 0.0) for emotion in EMOTIONS]
    row[NEUTRAL] = 1 - sum(row)
    return row


def recording(
    times: Sequence[float],
    faces: Callable[[float], list[tuple[int, Box, list[float]]]],
    *,
    name: str = "made",
    cuts: Sequence[float] | None = None,
    medium: Path | None = None,
) -> Recording:
    """Return a recording.

    Args:
        times: When its frames are.
        faces: Track, box and probabilities of the faces at a time.
        name: The recording's.
        cuts: When shots begin, but for the first.
        medium: The video.
    """
    rows = []
    for frame, at in enumerate(times):
        seen = faces(at) or [(None, (None,) * 4, [None] * 7)]
        for track, box, values in seen:
            best = None if track is None else EMOTIONS[int(np.argmax(values))]
            readable = None if track is None else max(box[2:]) >= 20
            rows.append((frame, float(at), "s", "tiny", track, *box, 640, 360, 0.9, best, *values, readable))
    names = ["frame", "at", "session", "model", "track", "x", "y", "width", "height", "frame_width", "frame_height"]
    kinds = dict.fromkeys(names, pl.Int64) | {"at": pl.Float64, "session": pl.String, "model": pl.String}
    kinds |= {"confidence": pl.Float64, "emotion": pl.String, **dict.fromkeys(EMOTIONS, pl.Float64)}
    table = pl.DataFrame(rows, schema={**kinds, "readable": pl.Boolean}, orient="row")
    return Recording(name, medium, table, None if cuts is None else np.array(cuts, float))
