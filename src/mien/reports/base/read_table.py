"""Tables of `mien analyze`: a file goes in, and the columns asked for come out, once it is known to fit into memory.

What a file says of its size is looked at before any of it is read; the columns that nobody asked for are never read.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from mien.errors import InputError
from mien.system.parquet_size import rows_and_bytes
from mien.table import TEXT, unguarded

if TYPE_CHECKING:
    import polars as pl

__all__ = ["MAX_COLUMNS", "MAX_ROWS", "read_table", "too_many"]

MAX_ROWS = 5_000_000
"""One row is one face: five hours of a film at 30 frames a second with nine faces."""

MAX_COLUMNS = 1000
MAX_BYTES = 4 << 30
"""So large a file may be, and its data uncompressed."""

CHUNK = 1 << 20
WIDEST_HEAD = 1 << 20
"""So long a CSV's first line may be, in bytes."""


def read_table(path: Path, columns: Collection[str]) -> pl.DataFrame:
    """Return those of these columns that a table has, of a .csv or .parquet file.

    Raises:
        InputError: It cannot be read, or has more rows, columns or bytes than fit into memory.
    """
    import polars as pl

    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise _too_large(path, f"{size >> 20:,} MiB")
        if path.suffix.lower() == ".csv":
            return _read_csv(path, columns)
        rows, held = rows_and_bytes(path)
        _check_rows(path, rows)
        if held > MAX_BYTES:
            raise _too_large(path, f"{held >> 20:,} MiB uncompressed")
        schema = pl.read_parquet_schema(path)
        _check_columns(path, len(schema))
        chosen = [name for name in schema if name in columns]
        for name in chosen:
            if schema[name].is_nested() or isinstance(schema[name], pl.Object):
                raise InputError(
                    f"cannot read table '{path}': its column {name} holds lists; single values were expected"
                )
        return pl.scan_parquet(path).select(chosen).head(MAX_ROWS + 1).collect()
    except (OSError, ValueError, pl.exceptions.PolarsError) as error:
        raise InputError(f"cannot read table '{path}': {(str(error).splitlines() or ['it is damaged'])[0]}") from error


def too_many(path: Path, rows: int | None = None) -> InputError:
    """Return the error that a table has too many rows."""
    size = f"{rows:,} rows" if rows else "more rows than that"
    return InputError(
        f"cannot read table '{path}': it has {size}, at most {MAX_ROWS:,} were expected; report on it in parts"
    )


def _read_csv(path: Path, columns: Collection[str]) -> pl.DataFrame:
    import polars as pl

    with path.open("rb") as file:
        head = file.readline(WIDEST_HEAD)
        _check_columns(path, head.count(b",") + 1)
        rows = 0
        while chunk := file.read(CHUNK):
            rows += chunk.count(b"\n")
        _check_rows(path, rows)
    names = pl.read_csv(path, n_rows=0).columns
    chosen = [name for name in names if name in columns]
    text = {name: pl.String for name in chosen if name in TEXT}  # also where all of it looks like numbers or dates
    table = pl.read_csv(path, columns=chosen, schema_overrides=text, infer_schema_length=None, try_parse_dates=True)
    return unguarded(table)


def _check_rows(path: Path, rows: int) -> None:
    if rows > MAX_ROWS:
        raise too_many(path, rows)


def _check_columns(path: Path, columns: int) -> None:
    if columns > MAX_COLUMNS:
        raise InputError(
            f"cannot read table '{path}': it has {columns:,} columns, a table of `mien analyze` was expected"
        )


def _too_large(path: Path, size: str) -> InputError:
    return InputError(
        f"cannot read table '{path}': it has {size}, at most {MAX_BYTES >> 20:,} MiB were expected; report on it in "
        "parts"
    )
