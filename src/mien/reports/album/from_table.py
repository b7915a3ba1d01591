"""Photos that tables of `mien analyze` name: a table goes in, the photos come out, and what it says of those not there.

A photo that is at hand is looked at; of one that is not, the table's rows tell the faces, their size and expression.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mien.errors import InputError
from mien.observation import EMOTIONS
from mien.reports.album.measure import Measured, PhotoFace
from mien.reports.base.read_table import read_table
from mien.words import counted

if TYPE_CHECKING:
    import polars as pl

__all__ = ["photos_named"]

NEEDED = ("file", "time", "frame_width", "frame_height", "x", "y", "width", "height", *EMOTIONS)
"""A table without these columns tells nothing of photos that are not at hand."""


def photos_named(table: Path, notes: list[str]) -> dict[Path, Measured | None]:
    """Return the photos that a table names, with what it says of those that are not at hand.

    Args:
        table: A .parquet or .csv of `mien analyze`.
        notes: Told of photos that are not at hand.

    Raises:
        InputError: It cannot be read, or is another table.
    """
    import polars as pl

    if table.suffix.lower() == ".jsonl":
        raise InputError(f"cannot report on '{table}': its lines do not name photos; a .parquet or .csv was expected")
    try:
        rows = read_table(table, {*NEEDED, "offset_s"})
        if missing := [name for name in NEEDED if name not in rows.columns]:
            raise InputError(
                f"cannot report on '{table}': a table of `mien analyze` was expected, it lacks {missing[0]}"
            )
        if "offset_s" in rows.columns and rows["offset_s"].null_count() < len(rows):
            raise InputError(f"cannot report on '{table}': it holds a video; photos were expected")
        rows = rows.select(
            pl.col("file").cast(pl.String),
            pl.col("time").cast(pl.Datetime("us", "UTC")),
            *(pl.col(name).cast(pl.Int64) for name in ("frame_width", "frame_height", "x", "y", "width", "height")),
            *(pl.col(name).cast(pl.Float64) for name in EMOTIONS),
        ).drop_nulls("file")
        photos = dict(_photo(str(name), part, table) for (name,), part in rows.group_by("file", maintain_order=True))
    except (OSError, pl.exceptions.PolarsError) as error:
        raise InputError(f"cannot read table '{table}': {str(error).splitlines()[0]}") from error
    if gone := sum(photo is not None for photo in photos.values()):
        what = counted(gone, "photo", "photos")
        notes.append(
            f"{what} that '{table.name}' names cannot be looked at any more: rated by expression and size alone, "
            "as the table tells them."
        )
    return photos


def _photo(name: str, rows: pl.DataFrame, table: Path) -> tuple[Path, Measured | None]:
    for place in (Path(name), table.parent / name):
        if place.is_file():
            return place, None
    first = rows.row(0, named=True)
    looks = [
        PhotoFace((row["x"], row["y"], row["width"], row["height"]), [row[emotion] for emotion in EMOTIONS])
        for row in rows.drop_nulls(["x", "happy"]).iter_rows(named=True)
    ]
    return Path(name), Measured("", first["frame_width"] or 1, first["frame_height"] or 1, first["time"], "", looks)
