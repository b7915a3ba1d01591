"""Who of the faces is who: a mapping file goes in, the rows of a recording that are a speaker's come out.

The file is a CSV with a row per place: `speaker`, and either `track` or the tile `x`, `y`, `width`, `height` from 0 to
1 of the frame; where someone moves, `from` and `to` say when, in seconds of the recording. A report writes it with
`found_by` and `certainty` as well, which are for whoever corrects it: what stands in the file holds.
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

__all__ = ["Place", "faces_of", "read_places"]

KNOWN = ("speaker", "track", "x", "y", "width", "height", "from", "to", "found_by", "certainty")


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
        raise ValueError("it names no speaker")
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


def faces_of(faces: pl.DataFrame, places: Sequence[Place]) -> pl.DataFrame:
    """Return the rows of the faces in one of the places: those of a track, or whose middle lies in a tile."""
    import polars as pl

    chosen = pl.lit(value=False)
    across = (pl.col("x") + pl.col("width") / 2) / pl.col("frame_width")
    down = (pl.col("y") + pl.col("height") / 2) / pl.col("frame_height")
    for place in places:
        x, y, width, height = place.tile
        inside = across.is_between(x, x + width) & down.is_between(y, y + height)
        here = inside if place.track is None else pl.col("track") == place.track
        chosen |= here & pl.col("at").is_between(place.since, place.until, closed="left")
    return faces.filter(pl.col("x").is_not_null() & chosen.fill_null(value=False))
