"""The figures of each report, computed again from its tables by a script that shares no code with Mien."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from seeing import recording, shares

from mien.config import Settings, checked
from mien.observation import EMOTIONS
from mien.reports.album.report import AlbumRequest, report_album
from mien.reports.audience.report import AudienceRequest, report_audience
from mien.reports.base.recordings import Inputs
from mien.reports.film.report import FilmRequest, report_film
from mien.reports.meeting.report import MeetingRequest, report_meeting

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
import audience as simulated
import recompute


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return checked({"home": tmp_path / "home"}, "the test")


def agreed(page: Path) -> dict[str, float | None]:
    """Return the figures of a report, all of which are those that the script computes."""
    found = list(recompute.checks(page))
    wrong = [
        (name, told, here)
        for name, told, here, apart in found
        if (told != here if told is None or here is None else abs(told - here) > apart)
    ]
    assert not wrong
    return {name: told for name, told, _, _ in found}


def smiling(seed: int) -> Callable[[float], list[Any]]:
    """A face whose smile wanders, gone for some time, and a second one that is too small."""
    rng = np.random.default_rng(seed)

    def faces(at: float) -> list[Any]:
        happy = float(np.clip(0.5 + 0.3 * np.sin(at + seed) + rng.normal(0, 0.05), 0, 1))
        return [] if 40 < at < 47 else [(1, (60, 60, 90, 90), shares(happy=happy)), (2, (400, 60, 9, 9), shares())]

    return faces


def write(path: Path, faces: Callable[[float], list[Any]], seconds: float = 150) -> str:
    made = recording(np.arange(0, seconds, 0.2), faces).faces
    made.with_columns(pl.col("at").alias("offset_s"), pl.lit(path.stem).alias("source")).write_parquet(path)
    return str(path)


def test_the_films(tmp_path: Path, settings: Settings) -> None:
    films = [write(tmp_path / f"film-{seed}.parquet", smiling(seed)) for seed in (1, 2)]
    report_film(FilmRequest(Inputs(tuple(films))), settings).write(tmp_path / "films.html", "csv")
    found = agreed(tmp_path / "films.html")
    assert len([name for name in found if not name.startswith("stretch")]) == 6
    report_film(FilmRequest(Inputs((films[0],))), settings).write(tmp_path / "film.html")
    assert {"happiness of film-1", "happiness of film-1, lower end", "stretch 0 of film-1"} <= set(
        agreed(tmp_path / "film.html")
    )


def test_the_meeting(tmp_path: Path, settings: Settings) -> None:
    call = write(tmp_path / "call.parquet", smiling(3))
    cues = [
        f"00:00:{s:02d}.000 --> 00:00:{s + 4:02d}.000\n{'Ann' if s % 3 else 'Bob'}: great!\n" for s in range(1, 55, 4)
    ]
    (tmp_path / "call.vtt").write_text("WEBVTT\n\n" + "\n".join(cues))
    (tmp_path / "who.csv").write_text("speaker,x,y,width,height\nAnn,0,0,0.5,1\n")
    request = MeetingRequest(Inputs((call,)), tmp_path / "call.vtt", tmp_path / "who.csv")
    report_meeting(request, settings).write(tmp_path / "room.html")
    found = agreed(tmp_path / "room.html")
    assert {"the room with everybody, lower end", "the room with Bob", "own happiness of Ann"} <= set(found)


def test_the_audience(tmp_path: Path, settings: Settings) -> None:
    watched = simulated.audience(9, np.random.default_rng(4))
    tables = []
    for name, seen in zip(watched.names, watched.shares, strict=True):

        def faces(at: float, seen: np.ndarray = seen) -> list[Any]:
            values = seen[min(int(at / simulated.STEP_S), len(seen) - 1)].astype(float).tolist()
            return [] if np.isnan(values[0]) else [(1, (60, 60, 90, 90), values)]

        made = recording(np.arange(0.1, watched.seconds, 0.25), faces).faces
        tables.append(made.with_columns(pl.col("at").alias("offset_s"), pl.lit(name).alias("source")))
    pl.concat(tables).write_parquet(tmp_path / "seats.parquet")
    lines = [f"{one.at},{one.label},{one.duration}" for one in simulated.events()[:4]]
    (tmp_path / "events.csv").write_text("\n".join(["time,label,duration", *lines]))
    request = AudienceRequest(Inputs((str(tmp_path / "seats.parquet"),)), tmp_path / "events.csv")
    report_audience(request, settings).write(tmp_path / "audience.html")
    assert len(agreed(tmp_path / "audience.html")) == 5 * 4


def test_the_album(tmp_path: Path, settings: Settings) -> None:
    from mien.media.demo import PORTRAIT

    rng, rows = np.random.default_rng(0), []
    for number in range(12):
        values = dict(zip(EMOTIONS, shares(happy=float(rng.uniform(0.1, 1))), strict=True))
        place = {"x": 9, "y": 9, "width": int(rng.integers(15, 300)), "height": 20}
        rows.append({"file": f"{number}.jpg", "frame_width": 900, "frame_height": 800, **place, **values})
    table = pl.DataFrame(rows).with_columns(pl.lit(None, pl.Datetime("us", "UTC")).alias("time"))
    table.write_parquet(tmp_path / "gone.parquet")
    for name in ("a", "b"):
        (tmp_path / f"{name}.jpg").write_bytes(PORTRAIT.read_bytes())
    paths = (tmp_path / "gone.parquet", tmp_path / "a.jpg", tmp_path / "b.jpg")
    report_album(AlbumRequest(paths, best=6), settings).write(tmp_path / "album.html")
    found = agreed(tmp_path / "album.html")
    assert found["chosen"] == 6
    assert found["groups"] == 13


def test_a_wrong_figure_is_told(tmp_path: Path, settings: Settings) -> None:
    write(tmp_path / "film.parquet", smiling(1))
    report_film(FilmRequest(Inputs((str(tmp_path / "film.parquet"),))), settings).write(tmp_path / "page.html")
    faces = tmp_path / "page.faces.parquet"
    pl.read_parquet(faces).with_columns(pl.col("happy") * 0.9).write_parquet(faces)
    assert any(
        abs((told or 0) - (here or 0)) > apart for _, told, here, apart in recompute.checks(tmp_path / "page.html")
    )
