"""Who of the faces is who: a mapping file goes in, the rows of a recording that are a speaker's come out.

The file is a CSV with a row per place: `speaker` (of films also `actor`), and either `track` or the tile `x`, `y`,
`width`, `height` from 0 to 1 of the frame; where someone moves, `from` and `to` say when, in seconds of the recording.
A report writes it with `found_by` and `certainty` as well, which are for whoever corrects it: what stands in the file
holds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mien.errors import InputError, UsageError
from mien.reports.base.csv_lists import Line, number, read_list, seconds, tile

if TYPE_CHECKING:
    import polars as pl

__all__ = ["Place", "faces_in", "named_faces", "read_places"]

KNOWN = ("speaker", "track", "x", "y", "width", "height", "from", "to", "found_by", "certainty")

NOBODYS = 1.3
"""A tile that is nobody's counts as so much larger: it takes no face from a speaker's tile of about its size."""


@dataclass(frozen=True)
class Place:
    """Where someone is to be seen.

    Attributes:
        speaker: The name, as the transcript has it.
        track: The track; None: the tile.
        tile: x, y, width, height, from 0 to 1 of the frame.
        since: From when on, in seconds.
        until: Until when.
    """

    speaker: str
    track: int | None = None
    tile: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 1.0)
    since: float = 0.0
    until: float = math.inf


def read_places(path: Path) -> list[Place]:
    """Return the places in a mapping file.

    Raises:
        InputError: It cannot be read, or says something else.
    """
    names, lines = read_list(path, [])
    if "actor" in names and "speaker" not in names:
        names = ["speaker" if name == "actor" else name for name in names]
        lines = [Line(line.number, {**line.cells, "speaker": line.get("actor")}) for line in lines]
    if "speaker" not in names or not ({"track"} & set(names) or {"x", "y", "width", "height"} <= set(names)):
        raise InputError(
            f"cannot read '{path}': a CSV with the columns speaker and track, or speaker, x, y, width, height was "
            f"expected"
        )
    if unknown := [name for name in names if name not in KNOWN]:
        raise InputError(f"cannot read '{path}': it has a column '{unknown[0][:80]}'; expected {', '.join(KNOWN)}")
    places = []
    for line in lines:
        try:
            places.append(_place(line))
        except (ValueError, UsageError) as error:  # noqa: PERF203
            raise InputError(f"cannot read '{path}', line {line.number}: {str(error)[:200]}") from error
    return places


def _place(line: Line) -> Place:
    speaker = line.get("speaker")
    if not speaker:
        raise ValueError("it names nobody")
    since = seconds(line.get("from", "0"))
    until = seconds(line.get("to")) if line.get("to") else math.inf
    if line.get("track"):
        track = number(line.get("track"))
        if not 0 <= track < 2**53 or not track.is_integer():
            raise ValueError("a track is a whole number from 0 on")
        return Place(speaker, int(track), since=since, until=until)
    return Place(
        speaker, None, tile(line, "expected a track, or x, y, width, height from 0 to 1 of the frame"), since, until
    )


def faces_in(faces: pl.DataFrame, tile: tuple[float, float, float, float]) -> pl.DataFrame:
    """Return the rows of the faces whose middle lies in a tile: x, y, width, height as shares of the frame."""
    import polars as pl

    x, y, width, height = tile
    across = (pl.col("x") + pl.col("width") / 2) / pl.col("frame_width")
    down = (pl.col("y") + pl.col("height") / 2) / pl.col("frame_height")
    inside = across.is_between(x, x + width) & down.is_between(y, y + height)
    return faces.filter(pl.col("x").is_not_null() & inside.fill_null(value=False))


def named_faces(faces: pl.DataFrame, places: Sequence[Place]) -> pl.DataFrame:
    """Return the rows of the faces in a place, in their order, with the column `speaker`; one per frame and speaker.

    A face is in a place if it is of its track, or if its middle lies in its tile. Where places overlap, as small tiles
    in a large one, the smallest has it, and a track goes before all. Of several faces in a speaker's place in one
    frame, such as a portrait on the wall, the largest counts.

    Args:
        faces: The rows of a recording.
        places: Of speakers; one whose speaker is empty is nobody's: a face there is left out.
    """
    import numpy as np
    import polars as pl

    owners = np.full(len(faces), -1)
    speakers = list(dict.fromkeys(place.speaker for place in places))
    boxes = faces.select(pl.col("x", "y", "width", "height", "frame_width", "frame_height").cast(pl.Float64))
    x, y, width, height, frame_width, frame_height = boxes.to_numpy().T if len(faces) else np.empty((6, 0))
    across, down = (x + width / 2) / frame_width, (y + height / 2) / frame_height
    at, tracks = faces["at"].to_numpy(), faces["track"].cast(pl.Float64).to_numpy()
    for place in sorted(places, key=_last_wins):
        left, top, wide, high = place.tile
        tile = (across >= left) & (across <= left + wide) & (down >= top) & (down <= top + high)
        here = (tile if place.track is None else tracks == place.track) & (at >= place.since) & (at < place.until)
        owners[here & np.isfinite(x)] = speakers.index(place.speaker)
    names = pl.Series("speaker", [speakers[owner] if owner >= 0 else "" for owner in owners], pl.String)
    return (
        faces.with_columns(names)
        .with_row_index("row")
        .filter(pl.col("speaker") != "")
        .sort(pl.col("width") * pl.col("height"), descending=True, maintain_order=True)
        .unique(["frame", "speaker"], keep="first", maintain_order=True)
        .sort("row")
        .drop("row")
    )


def _last_wins(place: Place) -> tuple[bool, float]:
    """Return what places are sorted by: later ones take a face from those before."""
    _, _, width, height = place.tile
    area = width * height * (1.0 if place.speaker else NOBODYS)
    return place.track is not None, -area
