"""Tables that come in: what they say of their size is looked at before they are read."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mien.errors import InputError
from mien.reports.base import read_table as module
from mien.reports.base.read_table import read_table
from mien.system.parquet_size import rows_and_bytes


@pytest.mark.parametrize("rows", [0, 1, 1000, 30_000])
def test_a_footer_tells_rows_and_bytes(tmp_path: Path, rows: int) -> None:
    columns = {
        "whole": pl.Series(range(rows), dtype=pl.Int64), "real": pl.Series([0.5] * rows, dtype=pl.Float64),
        "text": pl.Series(["a word"] * rows, dtype=pl.String), "yes": pl.Series([True] * rows, dtype=pl.Boolean),
        "list": pl.Series([[1, 2]] * rows, dtype=pl.List(pl.Int64)),
        "map": pl.Series([{"a": 1}] * rows, dtype=pl.Struct({"a": pl.Int64})),
    }  # fmt: skip
    table = pl.DataFrame(columns)
    for compression in ("zstd", "uncompressed", "snappy"):
        table.write_parquet(tmp_path / "a.parquet", compression=compression, row_group_size=10_000)  # type: ignore[arg-type]
        told, size = rows_and_bytes(tmp_path / "a.parquet")
        assert told == rows
        assert size >= rows // 8


def test_rows_columns_and_bytes_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = pl.DataFrame({"offset_s": [0.5] * 200, "file": [f"{n}" + "x" * 1000 for n in range(200)]})
    for path in (tmp_path / "a.parquet", tmp_path / "a.csv"):
        table.write_parquet(path) if path.suffix == ".parquet" else table.write_csv(path)
        assert read_table(path, {"offset_s", "file", "none"}).equals(table)
        assert read_table(path, {"offset_s"}).columns == ["offset_s"]
        for bound, value, words in (
            ("MAX_ROWS", 199, "it has 200 rows, at most 199 were expected"),
            ("MAX_COLUMNS", 1, "it has 2 columns"),
            ("MAX_BYTES", 1 << 10, "MiB were expected"),
        ):
            with monkeypatch.context() as patch:
                patch.setattr(module, bound, value)
                with pytest.raises(InputError, match=words):
                    read_table(path, {"offset_s"})


def test_what_is_no_table_is_told(tmp_path: Path) -> None:
    for content in (b"", b"PAR1", b"PAR1" + bytes(20) + b"PAR1", b"PAR1\xff\xff\xff\xff\xff\xff\xff\x7fPAR1"):
        (tmp_path / "a.parquet").write_bytes(content)
        with pytest.raises(InputError, match=r"cannot read table '.*a\.parquet': "):
            read_table(tmp_path / "a.parquet", {"file"})
    pl.DataFrame({"file": [["a", "b"]]}).write_parquet(tmp_path / "a.parquet")
    with pytest.raises(InputError, match="its column file holds lists"):
        read_table(tmp_path / "a.parquet", {"file"})


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.binary(max_size=200))
def test_any_footer_is_read_or_refused(tmp_path: Path, footer: bytes) -> None:
    path = tmp_path / "any.parquet"
    path.write_bytes(b"PAR1" + footer + len(footer).to_bytes(4, "little") + b"PAR1")
    try:
        rows, size = rows_and_bytes(path)
    except ValueError:
        return
    assert rows >= 0
    assert size >= 0
