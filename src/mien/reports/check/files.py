"""Reading a report that is checked: its JSON file and the tables beside it go in, columns of known kinds come out.

The files may be anybody's: their sizes are bounded, and what is no table of a report is refused.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from mien.errors import InputError
from mien.reports.check.figure import Figure
from mien.system.parquet_size import rows_and_bytes
from mien.table import unguarded

if TYPE_CHECKING:
    import polars as pl

__all__ = ["Figures", "ReportFiles", "read_figures"]

MAX_JSON, MAX_TABLE, MAX_ROWS = 64 << 20, 4 << 30, 5_000_000


class Fact(msgspec.Struct):
    name: str
    shown: str = ""
    value: float | None = None
    low: float | None = None
    high: float | None = None


class Table(msgspec.Struct):
    rows: int


class Figures(msgspec.Struct):
    """What of a report's JSON file is read."""

    report: Literal["film", "meeting", "audience", "album"]
    facts: list[Fact]
    asked: dict[str, Any]
    tables: dict[str, Table]

    def fact(self, name: str) -> Fact:
        """Return the fact of this name; an empty one where the report has none."""
        return next((fact for fact in self.facts if fact.name == name), Fact(name))


class ReportFiles:
    """A report's JSON file and the tables beside it."""

    def __init__(self, file: Path, figures: Figures) -> None:
        self.file, self.figures = file, figures
        self._counts: list[Figure] = []

    def has(self, name: str) -> bool:
        """Return whether the report was written with this table."""
        return name in self.figures.tables

    def rows(self) -> list[Figure]:
        """Return how many rows each table that was read has."""
        return self._counts

    def table(self, name: str, columns: dict[str, Any]) -> pl.DataFrame:
        """Return columns of a table beside the page, as these kinds; what is no finite number is null."""
        import polars as pl

        if not self.has(name):
            raise InputError(f"cannot check '{self.file}': it names no table '{name}', which a whole report has")
        forms = [self.file.with_name(f"{self.file.stem}.{name}{ending}") for ending in (".parquet", ".csv")]
        there = [form for form in forms if form.is_file()]
        if not there:
            raise InputError(f"cannot check '{self.file}': beside it stands neither '{forms[0].name}' nor a .csv of it")
        path = max(there, key=lambda form: form.stat().st_mtime)
        try:
            read = _read_csv(path, columns) if path.suffix == ".csv" else _read_parquet(path, columns)
        except (OSError, ValueError, pl.exceptions.PolarsError) as error:
            reason = (str(error).splitlines() or ["it is damaged"])[0][:200]
            raise InputError(f"cannot read table '{path}': {reason}") from error
        self._counts.append(Figure(f"rows of the table {name}", self.figures.tables[name].rows, len(read)))
        number = pl.col(pl.Float64)
        return read.with_columns(pl.when(number.is_finite()).then(number).name.keep())


def read_figures(path: Path, file: Path) -> Figures:
    """Return what a report's JSON file holds.

    Args:
        path: What was asked for, the JSON file or the page beside it.
        file: The JSON file.

    Raises:
        InputError: It cannot be read, or is not the JSON file of a report.
    """
    try:
        if file.stat().st_size > MAX_JSON:
            raise InputError(
                f"cannot check '{file}': it is larger than {MAX_JSON >> 20} MiB, which no report's JSON is"
            )
        content = file.read_bytes()
    except OSError as error:
        beside = "" if path == file else f", which should stand beside '{path.name}'"
        raise InputError(f"cannot check '{file}'{beside}: {(error.strerror or str(error)).lower()}") from error
    try:
        return msgspec.json.decode(content, type=Figures)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"cannot check '{file}': it is not the JSON file of a report ({error})") from error


def _read_parquet(path: Path, columns: dict[str, Any]) -> pl.DataFrame:
    import polars as pl

    rows, held = rows_and_bytes(path)
    if rows > MAX_ROWS or held > MAX_TABLE:
        raise ValueError(f"it has {rows:,} rows and {held >> 20:,} MiB, more than a report's table has")
    schema = pl.read_parquet_schema(path)
    _check_names(schema, columns)
    if nested := [name for name in columns if schema[name].is_nested() or isinstance(schema[name], pl.Object)]:
        raise ValueError(f"its column {nested[0]} holds lists; single values were expected")
    chosen = [pl.col(name).cast(kind) for name, kind in columns.items()]
    return pl.scan_parquet(path).select(chosen).head(MAX_ROWS).collect()


def _read_csv(path: Path, columns: dict[str, Any]) -> pl.DataFrame:
    import polars as pl

    if (size := path.stat().st_size) > MAX_TABLE // 4:
        raise ValueError(f"it has {size >> 20:,} MiB, more than a report's table has")
    with path.open("rb") as file:
        if len(file.readline(1 << 20)) == 1 << 20:
            raise ValueError("its first line does not end")
    _check_names(pl.read_csv(path, n_rows=0).columns, columns)
    times = [name for name, kind in columns.items() if isinstance(kind, pl.Datetime)]
    kinds = {name: pl.String if name in times else kind for name, kind in columns.items()}
    read = pl.read_csv(path, columns=list(columns), schema_overrides=kinds, n_rows=MAX_ROWS).select(list(columns))
    read = read.with_columns(pl.col(times).str.slice(0, 26).str.to_datetime(time_unit="us", time_zone="UTC"))
    return unguarded(read)


def _check_names(there: Iterable[str], columns: Iterable[str]) -> None:
    if missing := set(columns) - set(there):
        raise ValueError(f"it lacks the column {min(missing)}; is it of another report?")
