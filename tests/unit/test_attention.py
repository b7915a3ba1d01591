"""Who faces the screen: heads that turn at known times, seats aside of the camera, and what nobody can tell."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from seeing import recording, shares

from mien.config import checked
from mien.reports.audience.report import AudienceRequest, report_audience
from mien.reports.base.recordings import Inputs
from mien.reports.base.report import Report
from mien.reports.check import check_report

SECONDS = 40
Head = Callable[[float], tuple[float | None, float | None]]


def write(path: Path, head: Head | None, people: int = 1) -> str:
    def faces(at: float) -> list[object]:
        return [(n, (60 + 150 * n, 60, 90, 90), shares(happy=0.1)) for n in range(people)]

    table = recording([n / 4 for n in range(4 * SECONDS)], faces, name=path.stem).faces.drop("yaw", "pitch")  # type: ignore[arg-type]
    table = table.with_columns(pl.col("at").alias("offset_s"), pl.lit(path.stem).alias("source"))
    if head is not None:
        angles = [head(at) for at in table["at"]]
        yaws, pitches = zip(*angles, strict=True)
        table = table.with_columns(pl.Series("yaw", yaws, pl.Float64), pl.Series("pitch", pitches, pl.Float64))
    table.write_parquet(path)
    return str(path)


def away(start: float, end: float, usual: float = 0.0) -> Head:
    return lambda at: (usual + (35 if start <= at < end else 0), 9.0)


def report(folder: Path, heads: dict[str, Head | None], anonymous: int | None = None, people: int = 1) -> Report:
    paths = tuple(write(folder / f"{name}.parquet", head, people) for name, head in heads.items())
    return report_audience(AudienceRequest(Inputs(paths), anonymous=anonymous), checked({}, "the test"))


@pytest.fixture
def heads() -> dict[str, Head | None]:
    """One looks away for 10 s, one sits aside, one looks down, of one nothing is known for 10 s."""
    return {
        "away": away(10, 20),
        "aside": away(90, 99, usual=-32),
        "down": lambda at: (0.0, 45.0 if at >= 30 else 9.0),
        "lost": lambda at: (None, None) if at >= 30 else (3.0, 9.0),
    }


def test_who_faces_the_screen_is_told_by_the_own_usual_direction(tmp_path: Path, heads: dict[str, Head | None]) -> None:
    made = report(tmp_path, heads)
    viewers = {row["viewer"]: row for row in made.tables["heads"].to_dicts()}
    assert [viewers[name]["facing"] for name in heads] == [0.75, 1.0, 0.75, 1.0]
    assert (viewers["aside"]["usual_yaw"], viewers["lost"]["known_s"]) == (-32, 30)
    seconds = {row["second"]: row for row in made.tables["attention"].to_dicts()}
    assert [seconds[at]["facing"] for at in (5, 15)] == [1.0, 0.75]
    assert (seconds[35]["facing"], seconds[35]["viewers"], seconds[35]["unknown"]) == (pytest.approx(2 / 3), 3, 1)
    assert seconds[35]["low"] < 2 / 3 < seconds[35]["high"]
    assert made["Faced the screen"].value == pytest.approx(0.875)
    made.write(tmp_path / "out.html")
    figures = check_report(tmp_path / "out.json")
    assert [figure for figure in figures if not figure.agrees] == []
    assert {"share in which aside faces the screen", "faced the screen, of the facts"} <= {f.name for f in figures}
    for table, column in (("heads", "facing"), ("heads", "usual_yaw"), ("attention", "facing"), ("attention", "high"),
                          ("attention", "unknown"), ("turned", "pitch")):  # fmt: skip
        path = tmp_path / f"out.{table}.parquet"
        whole = pl.read_parquet(path)
        whole.with_columns(pl.col(column) * 3 + 1).write_parquet(path)
        assert not all(figure.agrees for figure in check_report(tmp_path / "out.json")), (table, column)
        whole.write_parquet(path)
    assert "engage" not in made["Faced the screen"].name + made["Faced the screen"].detail
    assert "not being interested" in made.html()


def test_few_stay_unnamed(tmp_path: Path, heads: dict[str, Head | None]) -> None:
    hidden = report(tmp_path, heads, anonymous=4)
    assert "heads" not in hidden.tables
    assert hidden.tables["attention"]["second"].max() == 29  # later it is known of three
    assert "aside.parquet" not in hidden.html()


def test_what_nobody_can_tell_is_said_so(tmp_path: Path) -> None:
    nothing = report(tmp_path, {"a": None, "b": None})
    assert "attention" not in nothing.tables
    assert any("heads" in note for note in nothing.notes)
    several = report(tmp_path, {"a": away(0, 5), "b": away(5, 9)}, people=2)
    assert any("--seats" in note and "a, b" in note for note in several.notes)
    assert "attention" not in several.tables
