"""Cells of CSV files: no spreadsheet runs them, and what reads them gets back what was written."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.dashboard.api.export import _csv_lines
from mien.observation import (
    EMOTIONS,
    AboveUsual,
    Face,
    Observation,
    Openness,
    Pose,
    Probabilities,
    decode,
    encode,
    first_form,
    new_id,
)
from mien.reports.base.csv_lists import read_list
from mien.reports.base.read_table import read_table
from mien.table import COLUMNS, TEXT, TableWriter, cells, guarded, read_cell, to_pandas, to_polars, unguarded

RUN = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
WORDS = st.text(st.sampled_from("'=+-@\t\r\nab1 ;,\"＝"), max_size=12)
HOSTILE = [
    *("=1+1", "+1", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "'=1", "''=1", "'plain"),
    *("-cam", "plain", "2024-01-01", "007"),
]


@given(st.lists(WORDS, min_size=1, max_size=4))
def test_cells_do_not_run_and_come_back(words: list[str]) -> None:
    (written,) = csv.reader(io.StringIO(_csv_lines([["first", *words]]).decode(), newline=""))
    written = written[1:]
    assert not any(cell.startswith(RUN) for cell in written)
    assert [read_cell(cell) for cell in written] == words
    table = pl.DataFrame({"a": words, "b": [-1.5] * len(words)})
    assert guarded(table)["a"].to_list() == cells(words)
    assert guarded(table)["b"].equals(table["b"])
    assert unguarded(guarded(table)).equals(table)


def test_numbers_and_what_is_missing_stay() -> None:
    assert cells([-1, -0.5, None, True, "-1"]) == [-1, -0.5, None, True, "'-1"]
    assert guarded(pl.DataFrame({"a": [-1, None]})).equals(pl.DataFrame({"a": [-1, None]}))
    assert guarded(pl.DataFrame({"a": ["=1", None]}))["a"].to_list() == ["'=1", None]


def test_a_table_of_analyze_comes_back_unchanged(tmp_path: Path) -> None:
    face = Face(0, (-5, -6, 70, 80), 0.9, "happy", Probabilities(0, 0, 0, 1, 0, 0, 0))
    for kind in ("csv", "parquet"):
        with TableWriter(tmp_path / f"faces.{kind}") as table:
            for name in HOSTILE:
                table.add(Observation(new_id(), "lobby", new_id(), 0, None, 0.5, 0, 64, 48, "m@1", 1.0, [face]), name)
    with (tmp_path / "faces.csv").open(newline="") as file:
        for line in csv.reader(file):
            assert not any(cell.startswith(RUN) for name, cell in zip(COLUMNS, line, strict=True) if name in TEXT)
    text, whole = (read_table(tmp_path / f"faces.{kind}", COLUMNS) for kind in ("csv", "parquet"))
    assert text["file"].to_list() == HOSTILE
    assert text["x"].to_list() == [-5] * len(HOSTILE)
    shown = ("x", "y", "happy", "source", "emotion")
    assert text.select(shown).equals(whole.select(shown))
    assert whole["file"].to_list() == HOSTILE


def test_what_was_added_to_the_record_stands_in_tables_too(tmp_path: Path) -> None:
    shares = Probabilities(0.3, 0, 0.25, 0, 0, 0, 0.45)
    looks: dict[str, Any] = {
        "pose": Pose(-12.5, 9.0, 3.25),
        "openness": Openness(0.5, None),
        "plausible": ("angry", "neutral"),
        "above_usual": AboveUsual(0.1, 0, 0, -0.5, 0, 0, 0.4),
    }
    faces = [
        Face(1, (5, 6, 70, 80), 0.9, None, shares, **looks),
        Face(2, (90, 6, 70, 80), 0.9, None, shares, read=False),
        Face(3, (90, 6, 70, 80), 0.9, None, shares, plausible=()),
    ]
    empty = Observation(new_id(), "lobby", new_id(), 1, None, 0.6, 1, 640, 480, "m@00000000", 1.0, [], span_s=0.1)
    seen = Observation(new_id(), "lobby", new_id(), 0, None, 0.5, 0, 640, 480, "m@00000000", 1.0, faces)
    for kind in ("csv", "parquet"):
        with TableWriter(tmp_path / f"faces.{kind}") as table:
            table.add(seen, "film.mp4")
            table.add(empty, "film.mp4")
    names = ("span_s", "read", "yaw", "pitch", "roll", "eyes", "mouth", "plausible")
    expected = [
        (None, 1, -12.5, 9.0, 3.25, 0.5, None, "angry neutral"),
        (None, 0, None, None, None, None, None, None),
        (None, 1, None, None, None, None, None, ""),
        (0.1, None, None, None, None, None, None, None),
    ]
    for kind in ("csv", "parquet"):
        rows = read_table(tmp_path / f"faces.{kind}", COLUMNS).select(names).rows()
        assert [row[:-1] for row in rows] == [row[:-1] for row in expected]
        assert [row[-1] or "" for row in rows] == ["angry neutral", "", "", ""], "a CSV's empty cell holds nothing"
    assert to_polars([(seen, "film.mp4")]).select(names).rows() == expected[:3]
    above = [f"above_{emotion}" for emotion in EMOTIONS]
    assert to_polars([(seen, "film.mp4")]).select(above).rows() == [(0.1, 0, 0, -0.5, 0, 0, 0.4), *[(None,) * 7] * 2]
    assert to_pandas([(seen, "film.mp4")])["read"].tolist() == [1, 0, 1]
    with TableWriter(tmp_path / "faces.jsonl") as table:
        table.add(seen, "film.mp4")
    assert decode((tmp_path / "faces.jsonl").read_bytes()) == seen
    assert decode(first_form(encode(seen))).faces[0].plausible is None


@pytest.mark.parametrize("word", HOSTILE[:9])
def test_lists_that_were_written_so_are_read_as_they_were(tmp_path: Path, word: str) -> None:
    (tmp_path / "list.csv").write_bytes(_csv_lines([["time", "label"], ["3", word]]))
    _, lines = read_list(tmp_path / "list.csv", [])
    assert [line.cells for line in lines] == [{"time": "3", "label": " ".join(word.split())}]
