"""`mien report check`: the figures of each report, computed again from its tables, and what is refused."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from seeing import recording, shares

from mien.config import Settings, checked
from mien.errors import InputError, UsageError
from mien.observation import EMOTIONS
from mien.reports.album.measure import Measured, PhotoFace
from mien.reports.album.page import album_report
from mien.reports.album.report import AlbumRequest, report_album
from mien.reports.album.selection import FILTERS, WEIGHTS, choose, grouped, rated
from mien.reports.album.taste import Taste
from mien.reports.audience.report import AudienceRequest, report_audience
from mien.reports.base.recordings import Inputs
from mien.reports.check import check_report
from mien.reports.check.figure import Value
from mien.reports.film.report import FilmRequest, report_film
from mien.reports.meeting.report import MeetingRequest, report_meeting

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
import audience as simulated


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return checked({"home": tmp_path / "home"}, "the test")


def agreed(page: Path) -> dict[str, Value]:
    """Return the figures of a report, all of which are those that follow from its tables."""
    figures = check_report(page)
    assert [figure for figure in figures if not figure.agrees] == []
    return {figure.name: figure.printed for figure in figures}


def differing(page: Path) -> set[str]:
    return {figure.name for figure in check_report(page) if not figure.agrees}


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
    assert {f"happiness of film-{seed}{end}" for seed in (1, 2) for end in ("", ", lower end")} <= set(found)
    report_film(FilmRequest(Inputs((films[0],))), settings).write(tmp_path / "film.html")
    assert {
        *("happiness of film-1", "happiness of film-1, lower end", "happiness of film-1, in words"),
        *("stretch 1 of film-1, sum of happy", "frames with a face", "faces read", "Happiness, on the page"),
    } <= set(agreed(tmp_path / "film.html"))
    report_film(FilmRequest(Inputs((films[0],)), anonymous=2), settings).write(tmp_path / "hidden.html")
    with pytest.raises(InputError, match="none of its tables"):
        check_report(tmp_path / "hidden.json")


def test_the_cast_of_a_film(tmp_path: Path, settings: Settings) -> None:
    def faces(at: float) -> list[Any]:
        """Two people who swap places after 60 s; the second is away for the last 50 s."""
        left, right = (60, 60, 90, 90), (400, 60, 90, 90)
        ann, bob = (left, right) if at < 60 else (right, left)
        both = [(1, ann, shares(happy=0.5 + 0.3 * np.sin(3 * at))), (2, bob, shares(happy=0.1 + 0.05 * np.cos(at)))]
        return both if at < 100 else both[:1]

    film = write(tmp_path / "film.parquet", faces)
    cast = tmp_path / "cast.csv"
    cast.write_text("actor;track;x;y;width;height;from;to\nAnn;1;;;;;;\nBob;;0,5;0;0,5;1;0;60\nBob;;0;0;0,5;1;60;\n")
    made = report_film(FilmRequest(Inputs((film,)), cast=cast), settings)
    made.write(tmp_path / "film.html")
    found = agreed(tmp_path / "film.html")
    assert {"time on screen of Ann", "happiness of Bob", "happiness of Ann, lower end", "faces of Bob"} <= set(found)
    actors = {row["actor"]: row for row in made.tables["actors"].to_dicts()}
    assert (actors["Ann"]["seconds"], actors["Bob"]["seconds"]) == (pytest.approx(150), pytest.approx(100))
    assert actors["Bob"]["share"] == pytest.approx(100 / 150)
    assert actors["Ann"]["happiness"] == pytest.approx(50, abs=2)
    assert actors["Bob"]["happiness"] == pytest.approx(10, abs=1)
    assert made["Bob: happiness"].value == actors["Bob"]["happiness"]
    course = made.tables["actor_curves"].filter(pl.col("actor") == "Bob")
    assert course.filter(pl.col("start") >= 100)["happy"].null_count() == len(course.filter(pl.col("start") >= 100))
    assert "Nobody is recognised" in made.html()
    page = tmp_path / "film.actors.parquet"
    pl.read_parquet(page).with_columns(pl.col("happiness") + 1).write_parquet(page)
    assert differing(tmp_path / "film.html") >= {"happiness of Ann", "happiness of Bob"}


def test_a_cast_that_fits_nothing_is_said_so(tmp_path: Path, settings: Settings) -> None:
    films = [write(tmp_path / f"film-{seed}.parquet", smiling(seed), 20) for seed in (1, 2)]
    cast = tmp_path / "cast.csv"
    cast.write_text("actor,track\nAnn,77\n")
    made = report_film(FilmRequest(Inputs((films[0],)), cast=cast), settings)
    assert any("no face was seen where the cast list has Ann" in note for note in made.notes)
    made.write(tmp_path / "film.html")
    agreed(tmp_path / "film.html")
    with pytest.raises(UsageError, match="of one film, but here are 2"):
        report_film(FilmRequest(Inputs(tuple(films)), cast=cast), settings)
    with pytest.raises(UsageError, match="leave out one"):
        report_film(FilmRequest(Inputs((films[0],)), anonymous=2, cast=cast), settings)


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
    assert "Speaker's face in view, on the page" in found
    assert {"the room with everybody, lower end", "the room with Bob", "own happiness of Ann"} <= set(found)


def watch(folder: Path, viewers: int, events: str, anonymous: int | None = None) -> Path:
    """Write the report on simulated viewers and these events, and return its page."""
    watched = simulated.audience(viewers, np.random.default_rng(4))
    tables = []
    for name, seen in zip(watched.names, watched.shares, strict=True):

        def faces(at: float, seen: np.ndarray = seen) -> list[Any]:
            values = seen[min(int(at / simulated.STEP_S), len(seen) - 1)].astype(float).tolist()
            return [] if np.isnan(values[0]) else [(1, (60, 60, 90, 90), values)]

        made = recording(np.arange(0.1, watched.seconds, 0.25), faces).faces
        tables.append(made.with_columns(pl.col("at").alias("offset_s"), pl.lit(name).alias("source")))
    pl.concat(tables).write_parquet(folder / "seats.parquet")
    (folder / "events.csv").write_text(events)
    request = AudienceRequest(Inputs((str(folder / "seats.parquet"),)), folder / "events.csv", anonymous=anonymous)
    report_audience(request, checked({"home": folder / "home"}, "the test")).write(folder / "audience.html")
    return folder / "audience.html"


def test_the_audience(tmp_path: Path) -> None:
    lines = [f"{event.at},{event.label},{event.duration}" for event in simulated.events()[:4]]
    found = agreed(watch(tmp_path, 9, "\n".join(["time,label,duration", *lines])))
    assert len([name for name in found if name.startswith("event ")]) == 4 * 7
    assert all(isinstance(found[name], float | int) for name in found if name.endswith((": reacted", ": share")))


def test_an_audience_whose_events_are_close(tmp_path: Path) -> None:
    lines = [
        "time,label,duration",
        "20,first,2",
        "29,soon,1",
        "38,joined,1",
        "41,to it,2",
        "80,later,2",
        "400,unseen,0",
    ]
    found = agreed(watch(tmp_path, 9, "\n".join(lines)))
    cut = {name.partition(" (")[0]: found[name] for name in found if name.endswith(": cut by the next event")}
    assert cut == {"first": 1.0, "soon": 1.0, "joined + to it": 0.0, "later": 0.0}
    assert found["rows of the table events"] == 4


def test_an_audience_without_quiet_stretches(tmp_path: Path) -> None:
    lines = ["time,label,duration", *(f"{at},event {at},1" for at in range(10, 250, 13))]
    found = agreed(watch(tmp_path, 6, "\n".join(lines)))
    reacted = [found[name] for name in found if name.endswith(": reacted")]
    assert None in reacted


def test_an_audience_that_names_nobody(tmp_path: Path) -> None:
    found = agreed(watch(tmp_path, 6, "time,label\n20,first\n50,second", anonymous=3))
    assert "events with a reaction" in found


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


def test_an_album_by_filters_and_by_taste(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    own = dict(zip(WEIGHTS, (0.1, 0.0, 0.2, 0.1, 0.1, 0.3, 0.2), strict=True))
    photos = []
    for number in range(30):
        looks = [
            PhotoFace(
                (9, 9, int(rng.integers(18, 90)), 19),
                [0.0, 0.0, 0.0, share, 0.0, 0.0, 1 - share],
                *rng.uniform(0.2, 1, 3),
                *(None if rng.random() < 0.1 else float(rng.uniform(low, high)) for low, high in ((0.2, 1), (-25, 25))),
                9.0,
            )
            for share in rng.uniform(0.2, 1, rng.integers(1, 3))
        ]
        code = f"{int(rng.integers(0, 1 << 62)) if number % 3 else 7:016x}"
        told = Measured(
            f"{number}", 800, 600, None, code, looks, float(rng.uniform(0.5, 1)), float(rng.uniform(0.7, 1))
        )
        photos.append(rated(Path(f"{number}.jpg"), told, weights=own))
    photos = [replace(photo, group=group) for photo, group in zip(photos, grouped(photos), strict=True)]
    asked = {"best": 5, "emotion": "happy", "anonymous": None, "only": ["all_eyes_open", "everyone_looks"]}
    chosen = choose(photos, 5, FILTERS[1:])
    report = album_report(photos, chosen, {}, [], asked, (), Taste(own, 40, 60, 0.6, 0.8, used=True))
    report.write(tmp_path / "album.html")
    found = agreed(tmp_path / "album.html")
    assert found["chosen"] == len(chosen) > 1
    assert found["rejected"] > 1
    assert any(name.startswith("eyes of") for name in found)
    for table, column in (
        ("faces", "eyes"),
        ("faces", "yaw"),
        ("photos", "clean"),
        ("photos", "stars"),
        ("weights", "used"),
    ):
        path = tmp_path / f"album.{table}.parquet"
        whole = pl.read_parquet(path)
        whole.with_columns((pl.col(column) * 0.4 + 1).cast(whole[column].dtype)).write_parquet(path)
        assert not all(figure.agrees for figure in check_report(tmp_path / "album.json")), column
        whole.write_parquet(path)


@pytest.fixture
def film(tmp_path: Path, settings: Settings) -> Path:
    write(tmp_path / "film.parquet", smiling(1))
    report_film(FilmRequest(Inputs((str(tmp_path / "film.parquet"),))), settings).write(tmp_path / "page.html")
    return tmp_path / "page.html"


def test_what_was_changed_differs(film: Path) -> None:
    faces = film.with_name("page.faces.parquet")
    whole = pl.read_parquet(faces)
    whole.with_columns(pl.col("happy") * 0.9).write_parquet(faces)
    assert {"happiness of film", "happiness of film, lower end", "stretch 1 of film, sum of happy"} <= differing(film)
    whole.head(600).write_parquet(faces)
    assert {"rows of the table faces", "faces read", "happiness of film"} <= differing(film)
    whole.write_parquet(faces)
    film.write_text(film.read_text().replace('<dd class="shown">5', '<dd class="shown">9'))
    assert differing(film) == {"Happiness, on the page"}


def test_the_tables_may_be_written_anew_as_csv(film: Path) -> None:
    for table in film.parent.glob("page.*.parquet"):
        pl.read_parquet(table).write_csv(table.with_suffix(".csv"))
        table.unlink()
    agreed(film)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda page: page.with_suffix(".json").unlink(), "should stand beside"),
        (lambda page: page.with_suffix(".json").write_bytes(b""), "not the JSON file of a report"),
        (lambda page: page.with_suffix(".json").write_bytes(b"[" * 100_000), "not the JSON file of a report"),
        (lambda page: page.with_suffix(".json").write_bytes(b'{"report": "film"}'), "not the JSON file of a report"),
        (lambda page: page.with_suffix(".json").write_bytes(b'{"report": "\xff"}'), "not the JSON file of a report"),
        (lambda page: page.with_name("page.faces.parquet").unlink(), "page.faces.parquet"),
        (lambda page: page.with_name("page.faces.parquet").write_bytes(b"PAR1"), "no Parquet file"),
        (lambda page: pl.DataFrame({"film": ["x"]}).write_parquet(page.with_name("page.faces.parquet")), "lacks"),
        (lambda page: retyped(page, pl.lit("a lot").alias("happy")), "page.faces.parquet"),
        (lambda page: retyped(page, pl.lit([0.5]).alias("happy")), "lists"),
        (lambda page: retyped(page, pl.lit(None).alias("at")), "do not belong together"),
        (lambda page: retyped(page, pl.col("at") * 1e300), "do not belong together"),
        (lambda page: stretched(page, seconds=0.0), "no stretches"),
        (lambda page: stretched(page, seconds=None), "do not belong together"),
    ],
)
def test_what_is_no_report_is_refused_in_one_line(film: Path, change: Callable[[Path], object], said: str) -> None:
    change(film)
    with pytest.raises(InputError, match=said) as refused:
        check_report(film)
    assert "\n" not in str(refused.value)


def retyped(page: Path, column: pl.Expr) -> None:
    faces = page.with_name("page.faces.parquet")
    pl.read_parquet(faces).with_columns(column).write_parquet(faces)


def stretched(page: Path, seconds: float | None) -> None:
    table = page.with_name("page.stretches.parquet")
    pl.read_parquet(table).with_columns(pl.lit(seconds, pl.Float64).alias("seconds")).write_parquet(table)


def test_the_command_says_which_figures_agree(film: Path) -> None:
    def run(*names: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "mien", "report", "check", *names]
        return subprocess.run(command, capture_output=True, text=True, cwd=film.parent, timeout=100)

    right = run("page.html", "page.json")
    assert (right.returncode, right.stderr) == (0, "")
    assert right.stdout.count("happiness of film, lower end") == 2
    assert "differs" not in right.stdout
    retyped(film, pl.col("happy") * 0.9)
    wrong = run("page.html")
    assert wrong.returncode == 1
    assert "differs" in wrong.stdout
    assert wrong.stderr.startswith("mien: ")
    assert wrong.stderr.count("\n") == 1
    for name in ("none.json", "film.parquet", "page.faces.parquet"):
        refused = run(name)
        assert (refused.returncode, refused.stderr.count("\n")) == (2, 1), refused.stderr
        assert name in refused.stderr
