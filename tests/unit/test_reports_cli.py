"""`mien report` as a user meets it: one line for what is wrong, a summary and files for what is right."""

from __future__ import annotations

import html
import os
import re
import subprocess
import sys
from contextlib import closing
from datetime import datetime, timedelta, timezone
from pathlib import Path

import polars as pl
import pytest
from seeing import recording, shares

from mien.observation import Face, Observation, Probabilities, new_id
from mien.stores.base import open_store


def run(*arguments: str, home: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mien", "report", *arguments],
        capture_output=True,
        text=True,
        timeout=100,
        cwd=home,
        env={**os.environ, "MIEN_HOME": str(home / "state"), "COLUMNS": "200"},
    )


@pytest.fixture
def table(tmp_path: Path) -> Path:
    made = recording([n / 5 for n in range(400)], lambda at: [(1, (9, 9, 90, 90), shares(happy=0.4 + at / 400))]).faces
    made.with_columns(pl.col("at").alias("offset_s"), pl.lit("film").alias("source")).write_parquet(
        tmp_path / "t.parquet"
    )
    return tmp_path / "t.parquet"


def test_a_summary_and_the_files_are_named(tmp_path: Path, table: Path) -> None:
    done = run("film", str(table), "-o", "out.html", "--data", "csv", home=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "50 of 100" in done.stdout
    assert "out.faces.csv" in done.stdout
    assert {"out.html", "out.json", "out.faces.csv", "out.curve.csv"} <= {file.name for file in tmp_path.iterdir()}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["film"], "nothing to report on"),
        (["film", "none.mp4"], "none.mp4"),
        (["film", "t.parquet", "--source", "lobby"], "of files or of a store"),
        (["film", "t.parquet", "-o", "out.pdf"], "must end in .html"),
        (["film", "t.parquet", "-o", "nowhere/out.html"], "nowhere"),
        (["meeting", "t.parquet", "--transcript", "none.vtt"], "none.vtt"),
        (["audience", "t.parquet", "--events", "none.csv"], "none.csv"),
        (["album", "nowhere"], "nowhere"),
    ],
)
def test_bad_input_gets_one_line(tmp_path: Path, table: Path, arguments: list[str], said: str) -> None:
    done = run(*arguments, home=tmp_path)
    assert done.returncode == 2, done.stderr
    assert said in done.stderr
    assert done.stderr.startswith("mien: ")
    assert done.stderr.count("\n") == 1, done.stderr


def test_a_part_of_a_store_is_reported_on(tmp_path: Path) -> None:
    from datetime import datetime, timedelta, timezone

    from mien.observation import Face, Observation, Probabilities, new_id
    from mien.stores.base import open_store

    url, session = f"sqlite:///{tmp_path / 'mien.db'}", new_id()
    began = datetime(2026, 11, 22, 20, tzinfo=timezone.utc)
    face = Face(1, (10, 10, 80, 80), 0.9, "happy", Probabilities(0, 0, 0, 0.75, 0, 0, 0.25))
    store = open_store(url)
    store.add(
        [
            Observation(
                new_id(), "lobby", session, n, began + timedelta(seconds=n), n, n, 640, 360, "tiny@1", 1.0, [face]
            )
            for n in range(100)
        ]
    )
    store.close()
    period = ["--from", "2026-11-22T20:00:10Z", "--to", "2026-11-22T20:01:10Z"]
    done = run("film", "--store", url, "--source", "lobby", *period, "-o", "lobby.html", home=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "75 of 100" in done.stdout
    rows = pl.read_parquet(tmp_path / "lobby.faces.parquet")
    assert (len(rows), rows["at"].min(), rows["at"].max()) == (60, 0.0, 59.0)


@pytest.mark.parametrize("kind", ["film", "meeting", "audience", "album"])
def test_every_column_is_documented(kind: str) -> None:
    from importlib import import_module

    from mien.observation import EMOTIONS

    page = (Path(__file__).parents[2] / "docs/guide/reports" / f"{kind}.md").read_text(encoding="utf-8")
    tables = import_module(f"mien.reports.{kind}.page").COLUMNS
    for table, meanings in tables.items():
        assert f"`{table}`" in page
        for name in meanings:
            emotion = re.sub("^(speaker_)?((above|usual)_)?", "", name)
            assert emotion in EMOTIONS or f"`{name}`" in page, f"{table}.{name}"


@pytest.mark.parametrize(("zone", "told"), [("Asia/Tokyo", "+09:00"), ("UTC", "+00:00"), (None, "+01:00")])
def test_a_report_of_a_store_takes_and_tells_a_zone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, zone: str | None, told: str
) -> None:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    shown = Probabilities(0, 0, 0, 0.8, 0, 0, 0.2)
    begin = datetime.fromisoformat(f"2026-11-22T20:00:05{told}")
    with closing(open_store(f"sqlite:///{tmp_path / 'm.db'}")) as store:
        face = Face(1, (9, 9, 90, 90), 0.9, "happy", shown)
        times = [(begin + timedelta(seconds=n / 5)).astimezone(timezone.utc) for n in range(200)]
        shape = (640, 360, "m@00000000", 5.0, [face])
        store.add([Observation(new_id(), "hall", new_id(), n, at, None, 0, *shape) for n, at in enumerate(times)])
    period = ("--store", f"sqlite:///{tmp_path / 'm.db'}", "--from", "2026-11-22T20:00", "--to", "2026-11-22T21:00")
    done = run("film", *period, "-o", "f.html", *(("--zone", zone) if zone else ()), home=tmp_path)
    assert done.returncode == 0, done.stderr
    name = zone or "CET"
    period = f"Of the store from 2026-11-22T20:00:00{told} to 2026-11-22T21:00:00{told} with times in the zone {name}."
    assert period in done.stdout
    page = (tmp_path / "f.html").read_text(encoding="utf-8")
    assert period in html.unescape(page)
    assert "22 Nov 2026, 20:00:05 (0:05" in page
