"""Observations as tables: records go in one by one, a CSV, JSON lines or Parquet file, or a DataFrame comes out.

As a table an observation is one row per face, and one row with nulls where it shows none. Rows go to disk as they
come, beside the file that they are for, and take its place at the end; so memory stays bounded and no half-written
file is ever taken for a whole one.

Spreadsheets run what a cell of a CSV begins with = + - or @ for. In every CSV of Mien such text has an apostrophe
before it, which Mien's own readers take away again; numbers stay as they are.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, TextIO

import msgspec

from mien.errors import InputError, MienError, MissingExtraError
from mien.masking import as_text
from mien.observation import EMOTIONS, Observation, Openness, Pose, encode
from mien.system.files import part_of, replacing

if TYPE_CHECKING:
    import polars as pl
    from typing_extensions import Self

__all__ = [
    "COLUMNS",
    "KINDS",
    "TEXT",
    "TableWriter",
    "cells",
    "guarded",
    "read_cell",
    "rows",
    "to_pandas",
    "to_polars",
    "unguarded",
]

COLUMNS = (
    *("file", "source", "session", "seq", "frame", "offset_s", "time", "frame_width", "frame_height"),
    *("track", "x", "y", "width", "height", "confidence", "emotion"),
    *EMOTIONS,
    *("model", "elapsed_ms", "id"),
    *("span_s", "read", "yaw", "pitch", "roll", "eyes", "mouth", "plausible"),
    *(f"above_{emotion}" for emotion in EMOTIONS),
)
"""In the order in which files have them; pixels, seconds, UTC."""

WHOLE = {"seq", "frame", "frame_width", "frame_height", "track", "x", "y", "width", "height", "read"}
TEXT = {"file", "source", "session", "emotion", "model", "id", "plausible"}
REAL = {"offset_s", "confidence", "elapsed_ms", *EMOTIONS, "span_s", "yaw", "pitch", "roll", "eyes", "mouth"}
REAL |= {f"above_{emotion}" for emotion in EMOTIONS}
NOTHING = (None,) * len(EMOTIONS)
KINDS = (".csv", ".jsonl", ".parquet")
"""How the names of tables end."""

RUNS = "^'*[=+\\-@\t\r\n＝＋－＠]"
"""What a spreadsheet runs begins so; with apostrophes before it, so that one more can be told from those it had."""

RUN_CELL = re.compile(RUNS)


def rows(observation: Observation, file: Path | str) -> Iterator[tuple[Any, ...]]:
    """Yield an observation's rows, values in the order of COLUMNS.

    Args:
        observation: What a frame showed.
        file: The photo or video that the frame is from.
    """
    of = observation
    time = of.time.isoformat(timespec="microseconds").replace("+00:00", "Z") if of.time else None
    frame = (as_text(file), of.source, of.session, of.seq, of.frame, of.offset_s, time, of.width, of.height)
    last = (of.model, of.elapsed_ms, of.id, of.span_s)
    for face in of.faces:
        shares = msgspec.structs.astuple(face.probabilities)
        pose, openness = face.pose or Pose(), face.openness or Openness()
        looks = (pose.yaw, pose.pitch, pose.roll, openness.eyes, openness.mouth)
        plausible = None if face.plausible is None else " ".join(face.plausible)
        above = msgspec.structs.astuple(face.above_usual) if face.above_usual else NOTHING
        more = (int(face.read), *looks, plausible, *above)
        yield (*frame, face.track, *face.box, face.confidence, face.emotion, *shares, *last, *more)
    if not of.faces:
        yield (*frame, *(None,) * (7 + len(EMOTIONS)), *last, *(None,) * 7, *NOTHING)


def cells(row: Iterable[Any]) -> list[Any]:
    """Return a row's values as the cells of a CSV: what a spreadsheet would run has an apostrophe before it."""
    return [f"'{value}" if isinstance(value, str) and RUN_CELL.match(value) else value for value in row]


def read_cell(cell: str) -> str:
    """Return the text that a cell of a CSV was made of."""
    return cell[1:] if cell.startswith("'") and RUN_CELL.match(cell) else cell


def guarded(table: pl.DataFrame) -> pl.DataFrame:
    """Return a table as it is written to a CSV: what a spreadsheet would run has an apostrophe before it."""
    import polars as pl

    text = pl.col(pl.String)
    return table.with_columns(pl.when(text.str.contains(RUNS)).then(pl.lit("'") + text).otherwise(text).name.keep())


def unguarded(table: pl.DataFrame) -> pl.DataFrame:
    """Return the table that was written to a CSV."""
    import polars as pl

    text = pl.col(pl.String)
    marked = text.str.starts_with("'") & text.str.contains(RUNS)
    return table.with_columns(pl.when(marked).then(text.str.slice(1)).otherwise(text).name.keep())


def to_polars(records: Iterable[tuple[Observation, Path | str]]) -> Any:
    """Return observations, each with the file that it is of, as a polars DataFrame.

    Raises:
        MissingExtraError: It needs the extra `analyze`.
    """
    pl = _polars("a polars DataFrame")
    lines = (row for observation, file in records for row in rows(observation, file))
    return pl.DataFrame(lines, schema=_polars_schema(pl), orient="row").with_columns(_polars_time(pl))


def to_pandas(records: Iterable[tuple[Observation, Path | str]]) -> Any:
    """Return observations, each with the file that it is of, as a pandas DataFrame.

    Raises:
        MissingExtraError: It needs the extra `pandas`.
    """
    try:
        import pandas as pd
    except ImportError as error:
        raise MissingExtraError("a pandas DataFrame", "pandas") from error
    lines = (row for observation, file in records for row in rows(observation, file))
    kinds = {name: "Int64" if name in WHOLE else "float64" if name in REAL else "string" for name in COLUMNS}
    table = pd.DataFrame(lines, columns=list(COLUMNS)).astype(kinds)
    return table.assign(time=pd.to_datetime(table["time"], utc=True, format="ISO8601"))


class TableWriter:
    """Writes observations to a file of the kind that its ending names; to be used in a `with` block.

    What was added is in the file after the block, also where an error ended it.

    Args:
        path: A .csv, .jsonl (whole observations, one a line) or .parquet file.

    Raises:
        InputError: The ending is another, or nothing can be written there.
        MissingExtraError: Parquet needs the extra `analyze`.
    """

    def __init__(self, path: Path) -> None:
        self.path: Path = path
        self.kind: str = path.suffix.lower()
        self.count: int = 0
        if self.kind not in KINDS:
            raise InputError(f"cannot write '{path}': its name must end in {', '.join(KINDS)}")
        if self.kind == ".parquet":
            _polars("writing Parquet")
        self._part = part_of(path)
        try:
            if path.is_dir():
                raise IsADirectoryError(21, "it is a folder")
            self._file: TextIO = self._part.open("w", encoding="utf-8", newline="")
        except OSError as error:
            raise InputError(f"cannot write '{path}': {(error.strerror or str(error)).lower()}") from error
        self._csv = csv.writer(self._file)
        if self.kind != ".jsonl":
            self._csv.writerow(COLUMNS)

    def add(self, observation: Observation, file: Path | str) -> None:
        """Write an observation of a frame of this file.

        Raises:
            MienError: The disk is full or fails.
        """
        try:
            if self.kind == ".jsonl":
                self._file.write(encode(observation).decode() + "\n")
            else:
                lines = rows(observation, file)
                self._csv.writerows(lines if self.kind == ".parquet" else map(cells, lines))
        except OSError as error:
            raise MienError(f"cannot go on writing '{self.path}': {error.strerror}") from error
        self.count += 1

    def _finish(self) -> None:
        try:
            self._file.close()
            if self.count and self.kind == ".parquet":
                _to_parquet(self._part, self.path)
            elif self.count:
                self._part.replace(self.path)
        except OSError as error:
            raise MienError(f"cannot finish '{self.path}': {error.strerror}") from error
        finally:
            self._part.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._finish()


def _to_parquet(part: Path, path: Path) -> None:
    pl = _polars("writing Parquet")
    with replacing(path) as whole:
        pl.scan_csv(part, schema=_polars_schema(pl)).with_columns(_polars_time(pl)).sink_parquet(whole)


def _polars_schema(pl: Any) -> dict[str, Any]:
    return {name: pl.Int64 if name in WHOLE else pl.Float64 if name in REAL else pl.String for name in COLUMNS}


def _polars_time(pl: Any) -> Any:
    return pl.col("time").str.to_datetime("%Y-%m-%dT%H:%M:%S%.6fZ", time_unit="us", time_zone="UTC")


def _polars(feature: str) -> Any:
    try:
        import polars as pl
    except ImportError as error:
        raise MissingExtraError(feature, "analyze") from error
    return pl
