"""What moves viewers together: known synchrony is found, none is not, and the page says of whom nothing can be said."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from seeing import recording, shares

from mien.config import Settings, checked
from mien.errors import InputError, UsageError
from mien.media.encode import VideoWriter
from mien.observation import EMOTIONS
from mien.reports.audience.clusters import clusters, compared_courses
from mien.reports.audience.headline import contrasts, headlines
from mien.reports.audience.neighbours import neighbours
from mien.reports.audience.report import AudienceRequest, report_audience
from mien.reports.audience.seats import Seat, Watching, watching
from mien.reports.audience.synchrony import SIGNALS, most_synchronous, synchronies, synchrony
from mien.reports.base.recordings import Inputs
from mien.reports.base.report import Report
from mien.reports.check import check_report

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
import synchrony as simulated

HAPPY = EMOTIONS.index("happy")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return checked({"home": tmp_path / "home"}, "the test")


def seen(happy: np.ndarray, groups: list[str] | None = None, names: list[str] | None = None) -> Watching:
    """What viewers show, of whom only happiness and neutral move; shape (viewers, points)."""
    values = np.full((*happy.shape, 7), 0.01, np.float32)
    values[:, :, HAPPY] = happy
    values[:, :, EMOTIONS.index("neutral")] = 0.9 - happy
    values[np.isnan(happy)] = np.nan
    return Watching(names or [f"v{n}" for n in range(len(happy))], groups or [""] * len(happy), values)


def smiling(viewers: int, seed: int = 0, height: float = 0.4) -> np.ndarray:
    """The curves of viewers who smile at five events, and now and then by themselves."""
    return np.clip(simulated.audience(viewers, np.random.default_rng(seed), height, kinds=1)[:, :, 0], 0, 0.9)


def test_correlations_are_those_of_numpy() -> None:
    """The benchmark compares them with brainiak's, too."""
    assert simulated.apart_from_corrcoef(6) < 1e-9


def test_without_synchrony_little_is_said_to_move_together() -> None:
    """The benchmark measures this at length; here many small audiences must not be far off the 5 %."""
    false = simulated.moments(6, 12, 0.0, draws=59)["anything is said to move together that does not"]
    assert false <= 3 / 12


@pytest.mark.parametrize("null", ["shift", "phase"])
def test_known_synchrony_is_found_where_it_is(null: str) -> None:
    found = simulated.moments(12, 2, 0.3, draws=99, null=null, many=0)
    assert found[simulated.FOUND] >= 0.7
    assert found["the mean synchrony is beyond chance"] == 1.0
    assert found["anything is said to move together that does not"] == 0.0


def test_a_laugh_is_one_moment_named_by_its_emotion() -> None:
    watched = seen(smiling(16, height=0.6))
    (measured,) = synchronies(watched)
    moments = [moment for moment in most_synchronous(measured, watched) if moment.beyond_chance]
    assert {SIGNALS[moment.signal] for moment in moments} == {"happy"}
    times = sorted(moment.at for moment in moments)
    assert len(times) == len(simulated.EVENTS)
    for at, event in zip(times, simulated.EVENTS, strict=True):
        assert event <= at <= event + 8
    for moment in moments:
        assert moment.synchrony.low < moment.synchrony.value < moment.synchrony.high
        assert moment.start <= moment.at <= moment.end


def test_gaps_ends_and_still_faces_do_not_count() -> None:
    curves = smiling(10)
    curves[0] = 0.3  # never moves
    curves[1] = np.nan  # never seen
    curves[2, 200:] = np.nan  # leaves
    curves[3, 100:300] = np.nan  # is away
    (measured,) = synchronies(seen(curves))
    assert measured.members.tolist() == [0, *range(2, 10)]
    each = measured.each[:, :, HAPPY]
    assert not np.isfinite(each[0]).any()
    assert not np.isfinite(each[1, 45:]).any()
    assert not np.isfinite(each[2, 25:62]).any()
    assert np.isfinite(each[2, 80:]).mean() > 0.7
    assert np.isfinite(measured.value[:, HAPPY]).mean() > 0.9
    alone = np.full((2, 200), 0.3)
    (nothing,) = synchronies(seen(alone))
    assert not np.isfinite(nothing.value).any()
    assert not np.isfinite([nothing.mean[HAPPY].value, *nothing.mean_p]).any()
    assert most_synchronous(nothing, seen(alone)) == []


def test_autocorrelation_alone_is_no_synchrony() -> None:
    """Slow curves correlate with each other by chance: no fixed threshold of r would do."""
    rng = np.random.default_rng(2)
    slow = np.cumsum(rng.normal(0, 0.02, (6, 600)), axis=1)[:, :, None]
    measured = synchrony(slow, draws=99)
    assert np.nanmax(measured.value) > 0.3
    assert np.nanmin(measured.p) >= 0.05


def test_courses_of_two_groups_differ_where_they_differ() -> None:
    false = simulated.courses(6, 12, 0.0, draws=99)["courses are said to differ where they do not"]
    assert false <= 3 / 12
    curves = smiling(16, 5)
    curves[:8, 400:480] += 0.3
    (compared,) = compared_courses(seen(curves, ["a"] * 8 + ["b"] * 8))
    (stretch,) = [part for part in compared.clusters if part.beyond_chance and SIGNALS[part.signal] == "happy"]
    assert 98 <= stretch.start <= 106
    assert 112 <= stretch.end <= 122
    assert stretch.difference > 0.15
    assert compared_courses(seen(curves, ["a"] * 4 + ["b"] * 12)) == []


def test_all_ways_to_divide_few_viewers_are_tried() -> None:
    values = np.random.default_rng(0).normal(0, 0.01, (10, 12, 1))
    values[:5, 3:9] += 1.0
    (stretch,) = [part for part in clusters(values[:5], values[5:]) if part.beyond_chance]
    assert (stretch.start, stretch.end) == (3, 9)
    assert stretch.p == pytest.approx(2 / 252)  # these, and the same two groups exchanged


def test_the_headline_counts_laughs_and_the_most_who_smiled() -> None:
    curves = np.full((6, 480), 0.2)  # two minutes
    for begin in (40, 200, 360):
        curves[:, begin : begin + 12] = 0.8
    curves[:3, 400:402] = 0.9  # too short
    curves[:, 206] = 0.3  # too short to end it
    curves[5, 200:212] = np.nan
    curves[5, 360:372] = 0.2
    (told,) = headlines(seen(curves), [])
    assert told.peak.value == 1.0
    assert told.peak_at == 10
    assert told.by_viewer[:, 1] == pytest.approx([1.5] * 5 + [0.5 * 480 / 468])
    assert told.laughs.value == pytest.approx(np.mean(told.by_viewer[:, 1]))


def test_treatments_stand_side_by_side_with_the_size_of_their_difference() -> None:
    both = np.concatenate([smiling(8, 1, 0.6), smiling(8, 2, 0.0)])
    watched = seen(both, ["a"] * 8 + ["b"] * 8)
    told = headlines(watched, synchronies(watched))
    by_what = {contrast.what: contrast for contrast in contrasts(told)}
    assert [headline.group for headline in told] == ["a", "b"]
    assert by_what["synchrony"].difference.value > 0.1
    assert by_what["synchrony"].p < 0.05
    assert by_what["synchrony"].effect > 1
    assert by_what["synchrony"].difference.value == pytest.approx(told[0].synchrony.value - told[1].synchrony.value)
    assert by_what["peak"].effect > 0


def test_neighbours_who_move_together_are_told_from_others() -> None:
    rng = np.random.default_rng(1)
    pairs = simulated.noise(5, 600, rng)
    happy = 0.4 + np.repeat(pairs, 2, axis=0) + 0.5 * simulated.noise(10, 600, rng)
    seats = [Seat("hall", "", 0, f"{n}", (n // 2 / 5 + (n % 2) * 0.06, 0.4, 0.06, 0.2)) for n in range(10)]
    watched = seen(happy, names=[seat.name for seat in seats])
    told = neighbours(watched, seats)
    assert told is not None
    assert sum(pair.near for pair in told.pairs) == 5
    assert told.near > told.others + 0.3
    assert told.p < 0.05
    still = neighbours(seen(0.4 + simulated.noise(10, 600, rng), names=watched.names), seats)
    assert still is not None
    assert still.p >= 0.05
    assert neighbours(watched, seats[:2]) is None


def table(path: Path, happy: np.ndarray, **columns: pl.Expr) -> str:
    """Write a table of `mien analyze` of viewers with these curves, four rows a second."""
    parts = []
    for viewer, curve in enumerate(happy):
        times = np.arange(len(curve)) / 4 + 0.1

        def faces(at: float, curve: np.ndarray = curve) -> list:
            value = curve[int(at * 4)]
            return [] if np.isnan(value) else [(1, (100, 100, 80, 80), shares(happy=float(value)))]

        made = recording(times, faces).faces.with_columns(
            pl.col("at").alias("offset_s"), pl.lit(f"seat-{viewer}").alias("source")
        )
        parts.append(made.with_columns(**columns))
    pl.concat(parts).write_parquet(path)
    return str(path)


def noted(report: Report, *words: str) -> bool:
    return any(all(word in note for word in words) for note in report.notes)


def test_without_events_the_page_names_the_moments(tmp_path: Path, settings: Settings) -> None:
    curves = smiling(9, 3)
    watched = table(tmp_path / "seats.parquet", np.clip(curves, 0, 0.9))
    film = tmp_path / "film.mp4"
    with VideoWriter(film) as writer:
        for n in range(480):
            writer.write(np.full((120, 160, 3), n % 256, np.uint8), n / 2)
    request = AudienceRequest(Inputs((watched,)), treatment=film)
    made = report_audience(request, settings)
    beyond = made.tables["moments"].filter(pl.col("p") < 0.05)
    assert made.title == "What moved them together?"
    assert made["Moments that moved people together"].value == len(beyond) >= 4
    assert "events" not in made.tables
    assert made.html().count("data:image/jpeg") == len(beyond)
    assert "<details><summary><h2>The statistics" in made.html()
    made.write(tmp_path / "one.html")
    assert [figure for figure in check_report(tmp_path / "one.html") if not figure.agrees] == []
    moments = pl.read_parquet(tmp_path / "one.moments.parquet")
    moments.with_columns(pl.col("synchrony") - 0.01).write_parquet(tmp_path / "one.moments.parquet")
    wrong = {figure.name for figure in check_report(tmp_path / "one.html") if not figure.agrees}
    assert len(wrong) == len(moments)
    assert all(name.endswith(": synchrony") for name in wrong)
    hidden = report_audience(AudienceRequest(request.inputs, treatment=film, anonymous=3), settings)
    assert "data:image/jpeg" not in hidden.html()
    assert not {"courses", "pairs"} & set(hidden.tables)
    with pytest.raises(InputError, match=r"none\.mp4"):
        report_audience(AudienceRequest(request.inputs, treatment=tmp_path / "none.mp4"), settings)
    with pytest.raises(UsageError, match="those of a store"):
        report_audience(AudienceRequest(request.inputs, "markers"), settings)


def test_groups_and_seats_without_events(tmp_path: Path, settings: Settings) -> None:
    curves = smiling(12, 4)
    curves[:6, 400:480] += 0.3
    watched = table(tmp_path / "seats.parquet", np.clip(curves, 0, 0.9))
    (tmp_path / "who.csv").write_text("recording,group\n" + "".join(f"seat-{n},{'ab'[n // 6]}\n" for n in range(12)))
    made = report_audience(AudienceRequest(Inputs((watched,)), seats=tmp_path / "who.csv"), settings)
    made.write(tmp_path / "two.html", "csv")
    figures = check_report(tmp_path / "two.html")
    assert [figure for figure in figures if not figure.agrees] == []
    assert {"synchrony, a less b", "peak, a less b", "laughs of b"} <= {figure.name for figure in figures}
    assert any("a less b in happy" in figure.name for figure in figures)
    assert made["a: mean synchrony"].low < made["a: mean synchrony"].value
    for data in made.data:
        assert list(data.columns) == data.table.columns


@pytest.mark.parametrize(
    ("curves", "columns", "words"),
    [
        (smiling(1), {}, ("one recording or seat",)),
        (np.full((3, 240), 0.3), {}, ("constant throughout", "seat-0")),
        (smiling(3)[:, :28], {}, ("shorter than a window",)),
        (smiling(3)[:, :240], {"emotion": pl.lit(None, pl.String)}, ("unclear throughout", "seat-0")),
        (smiling(3)[:, :240], {"read": pl.col("frame") % 2}, ("carried on", "seat-0 (50 %)")),
        (np.full((2, 240), np.nan), {}, ("No readable face",)),
    ],
    ids=["alone", "constant", "short", "unclear", "carried", "unseen"],
)
def test_what_cannot_be_told_is_said(
    tmp_path: Path, settings: Settings, curves: np.ndarray, columns: dict[str, pl.Expr], words: tuple[str, ...]
) -> None:
    made = report_audience(AudienceRequest(Inputs((table(tmp_path / "t.parquet", curves, **columns),))), settings)
    assert noted(made, *words), made.notes
    assert not any(fact.shown.startswith("nan") for fact in made.facts)
    made.write(tmp_path / "t.html")
    if "No readable face" not in words:  # then there is nothing to compute from
        assert [figure for figure in check_report(tmp_path / "t.html") if not figure.agrees] == []


def test_what_was_carried_on_is_no_evidence() -> None:
    faces = recording(
        np.arange(0, 60, 0.25), lambda at: [(1, (9, 9, 80, 80), shares(happy=0.2 + 0.6 * (at % 1 > 0.3)))]
    )
    some = faces.faces.with_columns((pl.col("at") % 1 <= 0.3).alias("read"))
    made = recording([0.0], lambda _: [], name="seat")
    object.__setattr__(made, "faces", some)
    assert watching([made], [], []).shares[0, 8:-8, HAPPY] == pytest.approx(0.2)
