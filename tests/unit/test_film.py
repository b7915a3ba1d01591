"""The film report: its statistics on simulated truth, its page and its data on a real clip."""

from __future__ import annotations

import json
import sys
import threading
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import polars as pl
import pytest
from making import write_video
from seeing import recording, shares

from mien.config import Settings, checked
from mien.errors import InputError, MienError, PartialError, UsageError
from mien.media.demo import PORTRAIT
from mien.observation import EMOTIONS
from mien.reports.base import bootstrap
from mien.reports.base.blocks import block_length
from mien.reports.base.curve import curve
from mien.reports.base.job import Job
from mien.reports.base.people import people
from mien.reports.base.recordings import Inputs
from mien.reports.film.figures import look_at
from mien.reports.film.page import film_report
from mien.reports.film.report import FilmRequest, report_film

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
import film_intervals


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """One state folder, so that the clip is analysed once."""
    return checked({"home": tmp_path_factory.mktemp("home")}, "the test")


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Eight seconds, ten frames each, of the demo's portrait, which moves a little."""
    portrait = cv2.imread(str(PORTRAIT))
    images = [portrait[: 360 // 2 * 2, step : step + 400] for step in range(40)]
    images = [cv2.resize(image, (320, 288)) for image in images * 2]
    return str(write_video(tmp_path_factory.mktemp("clip") / "portrait.mp4", images, range(0, 8000, 100)))


def test_intervals_cover_the_truth_as_often_as_they_say() -> None:
    """Skewed units, few of them; single intervals and those that hold for all estimates at once."""
    rng = np.random.default_rng(3)
    truth = np.linspace(0, 0.3, 8)
    single, together, runs = 0.0, 0.0, 120
    for run in range(runs):
        units = truth + rng.normal(0, 0.05, (9, 1)) + rng.gamma(2, 0.08, (9, 8)) - 0.16
        found = bootstrap.estimate(units, seed=run)
        single += float(((found.low <= truth) & (truth <= found.high)).mean())
        together += float(((found.all_low <= truth) & (truth <= found.all_high)).all())
    assert 0.92 <= single / runs <= 0.985
    assert 0.90 <= together / runs <= 1


def test_a_ratio_weighs_units_by_their_counts() -> None:
    found = bootstrap.estimate(np.array([[9.0], [0.0], [3.0], [2.0], [1.0]]), np.array([[10], [10], [5], [5], [5]]))
    assert found.value[0] == pytest.approx(15 / 35)
    assert found.low[0] < 15 / 35 < found.high[0]


def test_of_few_units_nothing_is_said_but_the_estimate() -> None:
    found = bootstrap.estimate(np.array([[0.1], [0.2], [0.3], [0.4]]))
    assert found.value[0] == pytest.approx(0.25)
    assert np.isnan([found.low[0], found.high[0], found.p[0], found.all_p[0]]).all()


def test_units_without_a_value_are_left_out() -> None:
    units = np.array([[0.1], [0.2], [np.nan], [0.3], [0.4], [0.5]])
    assert bootstrap.estimate(units).value[0] == pytest.approx(0.3)
    assert bootstrap.estimate(units).units[0] == 5


def test_a_difference_and_its_size() -> None:
    rng = np.random.default_rng(0)
    one, other = rng.normal(0.5, 0.1, (40, 1)), rng.normal(0.3, 0.1, (40, 1))
    found = bootstrap.compare(one, None, other, None)
    assert found.low[0] < one.mean() - other.mean() < found.high[0]
    assert found.p[0] < 0.01
    assert bootstrap.hedges_g(one, other)[0] == pytest.approx(2.0, abs=0.5)
    assert bootstrap.compare(one, None, one, None).p[0] > 0.9


def test_the_interval_of_a_difference_of_few_units_is_as_wide_as_students() -> None:
    rng = np.random.default_rng(7)
    one, other = rng.normal(0.5, 0.1, (6, 200)), rng.normal(0.3, 0.1, (6, 200))
    difference = bootstrap.compare(one, None, other, None)
    error = np.sqrt(one.var(0, ddof=1) / 6 + other.var(0, ddof=1) / 6)
    half = (difference.high - difference.low) / 2
    assert float(np.median(half / error)) == pytest.approx(2.228, rel=0.04)  # of t with ten degrees of freedom


def test_a_person_is_one_within_a_scene_only() -> None:
    def faces(at: float) -> list:
        if 2.0 < at < 3.0:  # lost for a second, and found again as another track
            return []
        return [(1 if at < 2.5 else 2, (100, 100, 80, 80), shares(happy=0.5)), (9, (400, 100, 80, 80), shares())]

    made = recording(np.arange(0, 8, 0.2), faces)
    whole = people(made.faces, np.array([])).drop_nulls("person")
    assert sorted(whole["person"].unique()) == [1, 2]
    cut = people(made.faces, np.array([5.0])).drop_nulls("person")
    assert sorted(cut.select(pl.struct("scene", "person")).unique().to_series().to_list(), key=str) == [
        {"scene": scene, "person": person} for scene in (1, 2) for person in (1, 2)
    ]


def test_the_score_is_the_mean_over_readable_faces() -> None:
    def faces(at: float) -> list:
        happy = 0.8 if at % 4 < 2 else 0.2
        return [(1, (100, 100, 80, 80), shares(happy=happy)), (2, (10, 10, 12, 12), shares(happy=1.0))]

    film = look_at(recording(np.arange(0, 100, 0.5), faces, cuts=[]))
    assert film.score is not None
    assert film.score.value[0] == pytest.approx(50)
    assert film.score.low[0] < 50 < film.score.high[0]
    assert (film.readable, film.small, film.on_screen) == (200, 200, 1.0)


def test_a_film_that_changes_once_is_too_short_to_say() -> None:
    film = look_at(
        recording(np.arange(0, 100, 0.5), lambda at: [(1, (9, 9, 80, 80), shares(happy=0.8 if at < 50 else 0.2))])
    )
    assert film.score is not None
    assert film.score.value[0] == pytest.approx(50)
    assert np.isnan(film.score.low[0])


@pytest.mark.parametrize(("minutes", "slow_s", "said"), [(10, 2, 0.95), (10, 12, 0.8), (90, 60, 0.9), (2, 60, 0.0)])
def test_intervals_hold_the_truth_or_are_not_told(minutes: float, slow_s: float, said: float) -> None:
    """The benchmark measures this at length; a short form of it must not be far off."""
    told, held = film_intervals.coverage(minutes, slow_s, 60, seed=3)
    assert told >= said if said else told <= 0.15
    assert not said or held >= 0.88


def test_block_lengths_are_those_of_arch() -> None:
    arch = pytest.importorskip("arch.bootstrap")
    for n in (60, 240, 1000):
        for share in (0.3, 0.6, 0.9, 0.97):
            rng = np.random.default_rng(n)
            series = np.zeros(n)
            for at in range(1, n):
                series[at] = share * series[at - 1] + rng.normal()
            expected = float(arch.optimal_block_length(series)["circular"].iloc[0])
            assert block_length(series) == pytest.approx(max(1.0, expected), rel=0.05)


def test_moments_are_found_where_they_are() -> None:
    def faces(at: float) -> list:
        if 20 <= at < 22:
            return [(1, (100, 100, 80, 80), shares(surprise=0.9))]
        return [(1, (100, 100, 80, 80), shares(happy=0.6 if 40 <= at < 42 else 0.3, sad=0.1))]

    found = {
        (moment.emotion, moment.rank): moment for moment in look_at(recording(np.arange(0, 60, 0.2), faces)).moments
    }
    assert 20 <= found["surprise", 1].at < 22
    assert 40 <= found["happy", 1].at < 42
    assert ("surprise", 2) not in found  # nothing else is clear enough
    assert ("sad", 1) not in found


def test_too_few_or_too_small_faces_give_no_number() -> None:
    few = look_at(recording(np.arange(0, 3, 0.2), lambda _: [(1, (9, 9, 90, 90), shares(happy=1.0))]))
    small = look_at(recording(np.arange(0, 90, 0.2), lambda _: [(1, (9, 9, 12, 15), shares(happy=1.0))]))
    assert few.score is None
    assert small.score is None


def test_what_was_carried_on_weighs_its_time_and_is_no_evidence() -> None:
    whole = recording(np.arange(0, 12, 0.1), lambda at: [(1, (9, 9, 90, 90), shares(happy=float(at % 1 > 0.45)))])
    read = pl.col("at") % 0.5 < 0.05
    some = replace(whole, faces=whole.faces.with_columns(read.alias("read")))
    figures, every = look_at(some), look_at(whole)
    assert figures.score is not None
    assert every.score is not None
    assert figures.score.value == every.score.value
    assert (figures.readable, figures.read, every.read) == (120, 24, 120)
    assert figures.moments[0].value == pytest.approx(0.5, abs=0.01), "of the second's two readings, one is happy"
    few = replace(whole, faces=whole.faces.with_columns((pl.col("at") % 1 < 0.05).alias("read")))
    assert look_at(few).score is None, "twelve readings, of however many faces"


def test_a_clip_becomes_a_page_and_data_that_agree(clip: str, tmp_path: Path, settings: Settings) -> None:
    made = report_film(FilmRequest(Inputs((clip,), fps=4)), settings)
    files = made.write(tmp_path / "film.html", "csv")
    html = (tmp_path / "film.html").read_text(encoding="utf-8")
    assert "<script" not in html
    assert "http" not in html.replace("http-equiv", "")
    assert html.count("data:image/jpeg;base64,") == len(pl.read_csv(tmp_path / "film.moments.csv"))
    figures = json.loads((tmp_path / "film.json").read_text(encoding="utf-8"))
    read = pl.read_csv(tmp_path / "film.faces.csv").filter("readable")
    assert figures["facts"][0]["value"] == pytest.approx(100 * np.average(read["happy"], weights=read["span"]))
    assert {file.name for file in files} == {
        "film.html", "film.json", "film.faces.csv", "film.curve.csv", "film.people.csv", "film.moments.csv",
        "film.stretches.csv",
    }  # fmt: skip
    for one in made.data:
        assert list(one.columns) == one.table.columns


def test_a_table_says_the_same_as_the_clip_it_was_made_of(clip: str, tmp_path: Path, settings: Settings) -> None:
    import mien

    table = tmp_path / "portrait.parquet"
    mien.analyze_video(clip, fps=4).write(table)
    clip = report_film(FilmRequest(Inputs((clip,), fps=4)), settings)
    read = report_film(FilmRequest(Inputs((str(table),))), settings)
    assert read.facts[0].value == pytest.approx(clip.facts[0].value, abs=0.01)
    assert any("scene cuts" in note for note in read.notes)
    assert "data:image/jpeg" in read.html()  # the table tells where the video is


def test_stopped_work_goes_on_where_it_ended(clip: str, tmp_path: Path) -> None:
    settings = checked({"home": tmp_path / "home"}, "the test")
    cancel = threading.Event()
    told: list[float] = []

    def stop_at_half(step: str, done: float, _: float | None) -> None:
        told.append(done)
        if step.startswith("analysing") and done >= 40:
            cancel.set()

    request = FilmRequest(Inputs((clip,), fps=4), moments=0)
    with pytest.raises(PartialError, match="goes on from there"):
        report_film(request, settings, Job(stop_at_half, cancel))
    (kept,) = (settings.home / "reports").glob("*.jsonl")
    before = kept.read_bytes()
    lines = before.count(b"\n")
    assert 10 <= lines <= 22
    kept.write_bytes(before + b'[{"id": "cut off')
    whole = report_film(request, settings)
    assert kept.read_bytes().startswith(before)
    (course,) = [one.table for one in whole.data if one.name == "curve"]
    assert int(course["frames"].sum()) == 32
    again: list[str] = []
    report_film(request, settings, Job(lambda step, *_: again.append(step)))
    assert not [step for step in again if step.startswith("analysing")]

    written = kept.read_bytes().splitlines(keepends=True)
    beside = [line for one in written[:-1] for line in (one, one)]  # by two processes at a time
    kept.write_bytes(b"".join([*beside, written[-1], *beside[-3:], written[-1]]))
    (course,) = [one.table for one in report_film(request, settings).data if one.name == "curve"]
    assert int(course["frames"].sum()) == 32


def test_one_person_of_many_scenes_is_not_many_people() -> None:
    faces = pl.DataFrame(
        {
            "frame": range(40), "at": [n / 4 for n in range(40)], "scene": [n // 4 for n in range(40)],
            "person": [n // 4 for n in range(40)], "x": [1] * 40, "readable": [True] * 40, "span": [0.25] * 40,
            **dict.fromkeys(EMOTIONS, [1 / 7] * 40),
        }
    )  # fmt: skip
    assert curve(faces, 10, None)["happy"].null_count() == 0
    assert curve(faces, 10, 2)["happy"].null_count() == 20
    two = pl.concat([faces, faces.with_columns(pl.col("person") + 100)])
    assert curve(two, 10, 2)["happy"].null_count() == 0
    assert curve(two, 10, 3)["happy"].null_count() == 20


def test_nobody_is_shown_where_the_report_is_anonymous(clip: str, tmp_path: Path, settings: Settings) -> None:
    made = report_film(FilmRequest(Inputs((clip,), fps=4), anonymous=3), settings)
    assert made.facts[0].value is None  # there is but one person
    assert [one.name for one in made.data] == ["curve"]
    assert made.data[0].table["happy"].null_count() == len(made.data[0].table)
    assert "data:image" not in made.html()


def test_several_films_are_compared_and_bad_ones_named(clip: str, tmp_path: Path, settings: Settings) -> None:
    (tmp_path / "text.mp4").write_text("this is no video\n" * 50)
    made = report_film(FilmRequest(Inputs((clip, str(tmp_path / "text.mp4"), clip), fps=4), moments=1), settings)
    assert made.sections[0].title == "The films compared"
    assert made.facts[0].value == pytest.approx(made.facts[1].value)
    assert any("text.mp4" in note for note in made.notes)


@pytest.mark.parametrize(
    ("paths", "error", "said"),
    [
        (("none.mp4",), InputError, "none.mp4"),
        (("none.parquet",), InputError, "no such file"),
        (("text.csv",), InputError, "it lacks offset_s"),
        (("empty",), InputError, "holds no video"),
    ],
)
def test_what_cannot_be_read_is_named(
    tmp_path: Path, settings: Settings, paths: tuple[str, ...], error: type[MienError], said: str
) -> None:
    (tmp_path / "text.csv").write_text("a,b\n1,2\n")
    (tmp_path / "empty").mkdir()
    with pytest.raises(error, match=said):
        report_film(FilmRequest(Inputs(tuple(str(tmp_path / path) for path in paths))), settings)


def test_odd_numbers_are_refused(clip: str, settings: Settings) -> None:
    with pytest.raises(UsageError, match="expected 0 to 20"):
        report_film(FilmRequest(Inputs((clip,)), moments=99), settings)
    with pytest.raises(UsageError, match="hides nobody"):
        report_film(FilmRequest(Inputs((clip,)), anonymous=1), settings)


def test_a_film_is_weighed_by_time_and_nobody_is_longer_on_screen_than_it_lasts() -> None:
    times = [*(n / 20 for n in range(200)), *(10 + n / 2 for n in range(20))]  # 20 looks a second, then 2

    def seen(at: float) -> list[tuple[int, tuple[int, int, int, int], list[float]]]:
        return [(1, (9, 9, 90, 90), shares(happy=0.9 if at < 10 else 0.1))]

    film = look_at(recording(times, seen))
    assert film.score is not None
    assert float(film.score.value[0]) == pytest.approx(50, abs=1)  # by looks it would be 83
    assert film.people["seconds"].sum() <= film.recording.seconds + 1e-6
    assert film.people["happy"][0] == pytest.approx(0.5, abs=0.01)
    assert film.people["seconds"][0] == pytest.approx(19.55)
    gap = look_at(recording([n / 5 for n in range(100)] + [60 + n / 5 for n in range(100)], seen))
    assert gap.people["seconds"].sum() == pytest.approx(20 + 19.8 + 2), "nobody is known to be there while nobody looks"


def test_rates_do_not_decide_a_films_figure() -> None:
    scores = []
    for rate in (17, 3, 3, 1.3):
        times = [n / rate for n in range(round(120 * rate))]
        made = recording(times, lambda at: [(1, (9, 9, 90, 90), shares(happy=0.2 if at < 60 else 0.6))])
        score = look_at(made).score
        assert score is not None
        scores.append(float(score.value[0]))
    assert scores == pytest.approx([40] * 4, abs=0.3)


def test_an_anonymous_film_without_a_score_gives_the_true_reason() -> None:
    alone = recording(np.arange(0, 60, 0.2), lambda _: [(1, (9, 9, 90, 90), shares(happy=0.8))])
    made = film_report([look_at(alone, anonymous=3)], [{}], [], {}, 3)
    assert "fewer people are surely different ones than --anonymous asks for" in made.lead
    assert "large enough" not in made.lead
    few = recording(np.arange(0, 3, 0.2), lambda _: [(1, (9, 9, 90, 90), shares(happy=0.8))])
    assert "15 faces are large enough to be read, at least 20" in film_report([look_at(few)], [{}], [], {}, None).lead
