"""A person's own level: what lies above the usual face, in reports on audiences, films and meetings."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from seeing import recording, shares

from mien.config import checked
from mien.errors import UsageError
from mien.observation import EMOTIONS, Face, Observation, Probabilities, new_id
from mien.reports.audience.report import AudienceRequest, report_audience
from mien.reports.base.recordings import Inputs
from mien.reports.base.report import Report
from mien.reports.base.usual_face import Calibration, calibration_of, marked, usual_face, usual_seconds
from mien.reports.check import check_report
from mien.reports.check.figure import Value
from mien.reports.film.report import FilmRequest, report_film
from mien.reports.meeting.report import MeetingRequest, report_meeting
from mien.stores.base import Marker, open_store
from mien.vision.usual import UsualFaces

TIMES = [n / 4 for n in range(4 * 60)]
MARKS = ((25, "neutral"), (40, "film"))
BOX = (60, 60, 90, 90)


def rising(rest: float, rise: float = 0.3) -> Callable[[float], list[Any]]:
    """A face that rests at a level for 30 s and is happier by `rise` from then on."""
    return lambda at: [(1, BOX, shares(happy=rest + (rise if at >= 30 else 0)))]


def write(path: Path, faces: Callable[[float], list[Any]]) -> str:
    table = recording(TIMES, faces, name=path.stem).faces
    table.with_columns(pl.col("at").alias("offset_s"), pl.lit(path.stem).alias("source")).write_parquet(path)
    return str(path)


def happy(text: str | None, faces: Callable[[float], list[Any]]) -> float | None:
    calibration = calibration_of(text)
    assert calibration is not None
    rows = recording(TIMES, faces).faces.with_columns(pl.lit("").alias("person"))
    usual = usual_face(usual_seconds(rows, calibration))
    return None if usual is None else float(usual[1][EMOTIONS.index("happy")])


@pytest.mark.parametrize(
    ("text", "expected"), [("20", 0.2), ("median", 0.35), ("0:35-0:50", 0.5), ("10 - 20", 0.2), ("2:00-2:20", None)]
)
def test_the_usual_face_is_that_of_the_time_that_was_chosen(text: str, expected: float | None) -> None:
    assert happy(text, rising(0.2)) == (expected if expected is None else pytest.approx(expected))


def test_a_passing_smile_is_not_the_usual_face() -> None:
    """The median over seconds, so that a laugh of 8 of the 20 seconds does not count."""
    assert happy("20", lambda at: [(1, BOX, shares(happy=0.9 if 3 <= at < 11 else 0.1))]) == pytest.approx(0.1)


def test_the_first_seconds_are_those_in_which_the_person_is_to_be_seen() -> None:
    late = rising(0.2)
    assert happy("10", lambda at: late(at) if at >= 20 else []) == pytest.approx(0.2)
    assert happy("40", lambda at: late(at) if at >= 50 else []) is None  # ten of forty are too few


@pytest.mark.parametrize("wrong", ["2", "-5", "nan", "4000", "0:10-0:12", "1:00-0:30", " "])
def test_what_nobody_can_be_calibrated_on_is_refused(wrong: str) -> None:
    if wrong == "nan":
        assert calibration_of(wrong) == Calibration(marker="nan")
        return
    with pytest.raises(UsageError, match="cannot calibrate"):
        calibration_of(wrong)


def test_a_marker_lasts_until_it_ends_or_the_next() -> None:
    events = [(5.0, "start", 0.0), (10.0, "Neutral ", 0.0), (22.0, "film", 0.0), (40.0, "pause", 8.0), (90.0, "x", 0.0)]
    for text, stretch in (("neutral", (10.0, 22.0)), ("pause", (40.0, 48.0)), ("x", (90.0, 120.0))):
        assert marked(Calibration(marker=text), events).stretch == stretch
    with pytest.raises(UsageError, match="“film”"):
        marked(Calibration(marker="rest"), events)


def audience(folder: Path, calibrate: str | None, anonymous: int | None = None) -> Report:
    """Viewers who look happy at rest to different degrees, all of whom smile by the same."""
    paths = [write(folder / f"v{n}.parquet", rising(0.1 * n, 0.28 + 0.01 * n)) for n in range(1, 6)]
    paths.append(write(folder / "zoe.parquet", lambda at: rising(0.1)(at) if at >= 57 else []))
    request = AudienceRequest(Inputs(tuple(paths)), anonymous=anonymous, calibrate=calibrate)
    return report_audience(request, checked({}, "the test"))


def all_agree(report: Report, folder: Path) -> dict[str, Value]:
    """Return the figures of a report, all of which are those that follow from its tables."""
    report.write(folder / "out.html")
    figures = check_report(folder / "out.json")
    assert [figure for figure in figures if not figure.agrees] == []
    return {figure.name: figure.printed for figure in figures}


def changes_are_noticed(folder: Path, **columns: tuple[str, ...]) -> None:
    """Change a value in each of these columns of the tables beside the page in turn, and find that it is noticed."""
    for table, names in columns.items():
        path = folder / f"out.{table}.parquet"
        whole = pl.read_parquet(path)
        for name in names:
            values = whole[name].to_list()
            row = next(place for place, value in enumerate(values) if value is not None)
            values[row] += 1
            if table == "usual_seconds":  # of which the median counts
                values = [value + 1 for value in whole[name]]
            whole.with_columns(pl.Series(name, values, whole[name].dtype)).write_parquet(path)
            assert not all(figure.agrees for figure in check_report(folder / "out.json")), (table, name)
        whole.write_parquet(path)


def test_an_audience_above_its_usual_faces(tmp_path: Path) -> None:
    report, raw = audience(tmp_path, "20"), audience(tmp_path, None)
    levels = report.tables["own_level"]
    assert levels["usual_happy"].to_list()[:5] == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5])
    assert levels["above_happy"].to_list()[:5] == pytest.approx([0.15] * 5, abs=0.02)
    assert levels.row(5)[1:] == (0, *[None] * 14)
    assert any("zoe" in note for note in report.notes)
    above = report.tables["above_usual"].filter(pl.col("emotion") == "happy").row(0, named=True)
    assert (above["viewers"], above["above"]) == (5, pytest.approx(0.15, abs=0.01))
    assert above["high"] - above["low"] < 0.05  # raw, viewers differ by up to 0.4
    curve = report.tables["curve"]
    assert curve["above_happy"].to_list()[10:12] == pytest.approx([0.0, 0.0], abs=1e-6)
    assert curve["above_happy"].to_list()[50] == pytest.approx(0.31, abs=1e-6)
    for name, table in raw.tables.items():  # beside the raw figures, never in their place
        assert report.tables[name].select(table.columns).equals(table), name
        assert not any("above" in column for column in table.columns)
    assert report["Happy above the usual face"].value == pytest.approx(0.15, abs=0.01)
    assert "first 20 s" in report["Happy above the usual face"].detail
    page = report.html()
    assert page.count("the first 20 s in which each is to be seen") >= 4
    agreed = all_agree(report, tmp_path)
    assert {"usual happy of v1", "happy of all viewers above usual, lower end", "sad of v2 above usual"} <= set(agreed)
    changes_are_noticed(
        tmp_path,
        own_level=("usual_happy", "above_sad", "seconds"),
        above_usual=("above", "low"),
        curve=("above_happy",),
        courses=("above_surprise",),
        usual_seconds=("neutral",),
    )
    hidden = audience(tmp_path, "20", anonymous=3)
    assert "own_level" not in hidden.tables
    assert "above_usual" in hidden.tables
    assert not any(name in hidden.html() for name in ("v1", "zoe"))


def test_an_audience_by_the_text_of_an_event(tmp_path: Path) -> None:
    (tmp_path / "events.csv").write_text("time,label,duration\n35,rest,20\n")
    paths = tuple(write(tmp_path / f"v{n}.parquet", rising(0.1 * n)) for n in range(1, 3))
    request = AudienceRequest(Inputs(paths), tmp_path / "events.csv", calibrate="rest")
    usual = report_audience(request, checked({}, "the test")).tables["own_level"]["usual_happy"]
    assert usual.to_list() == pytest.approx([0.4, 0.5])
    with pytest.raises(UsageError, match="“rest”"):
        report_audience(
            AudienceRequest(Inputs(paths), tmp_path / "events.csv", calibrate="calm"), checked({}, "the test")
        )


def two(at: float) -> list[Any]:
    smile = 0.3 if at >= 30 else 0.0
    return [(1, BOX, shares(happy=0.4 + smile)), (2, (400, 60, 90, 90), shares(happy=0.1))]


def test_a_film_of_one_and_a_cast(tmp_path: Path) -> None:
    settings = checked({"home": tmp_path / "home"}, "the test")
    alone = report_film(FilmRequest(Inputs((write(tmp_path / "one.parquet", rising(0.4)),)), calibrate="20"), settings)
    assert alone["Happy above the usual face"].value == pytest.approx(0.15, abs=0.01)
    assert alone.tables["own_curves"]["above_happy"].max() == pytest.approx(0.3)
    assert "happy of one above usual" in all_agree(alone, tmp_path)
    table = write(tmp_path / "two.parquet", two)
    nobody = report_film(FilmRequest(Inputs((table,)), calibrate="20"), settings)
    assert nobody["Happy above the usual face"].value is None
    assert any("--cast" in note for note in nobody.notes)
    (tmp_path / "cast.csv").write_text("actor,track\nAnn,1\nBob,2\n")
    request = FilmRequest(Inputs((table,)), cast=tmp_path / "cast.csv", calibrate="20")
    cast = report_film(request, settings)
    assert cast["Ann: happy above the usual face"].value == pytest.approx(0.15, abs=0.01)
    assert cast["Bob: happy above the usual face"].value == pytest.approx(0.0, abs=1e-9)
    assert cast.tables["own_level"]["usual_happy"].to_list() == pytest.approx([0.4, 0.1])
    assert {"usual neutral of Ann", "curve of happy of Bob above usual"} <= set(all_agree(cast, tmp_path))
    changes_are_noticed(
        tmp_path,
        own_level=("usual_happy", "above_sad", "seconds"),
        own_curves=("above_happy",),
        usual_seconds=("second",),
    )
    with pytest.raises(UsageError, match="0:10-0:40"):
        report_film(FilmRequest(Inputs((table,)), calibrate="neutral"), settings)


def test_a_film_of_a_store_by_a_marker(tmp_path: Path) -> None:
    url, begin = f"sqlite:///{tmp_path / 'mien.db'}", datetime(2026, 11, 22, 20, tzinfo=timezone.utc)
    with closing(open_store(url)) as store:
        store.add([
            Observation(
                new_id(), "desk", new_id(), n, begin + timedelta(seconds=n), float(n), n, 640, 360, "m@00000000", 1.0,
                [Face(1, BOX, 0.9, None, Probabilities(*shares(happy=0.6 if n < 20 else 0.2)))],
            )
            for n in range(60)
        ])  # fmt: skip
        marks = [Marker(new_id(), begin + timedelta(seconds=at), label, None, "test") for at, label in MARKS]
        store.add_markers(marks)
    request = FilmRequest(Inputs(store=url), calibrate="neutral")
    report = report_film(request, checked({}, "the test"))
    assert report.tables["own_level"].row(0)[2:3] == (15,)
    assert report.tables["own_level"]["usual_happy"][0] == pytest.approx(0.2)


def test_a_meeting_above_its_usual_faces(tmp_path: Path) -> None:
    settings = checked({"home": tmp_path / "home"}, "the test")
    table, transcript = write(tmp_path / "call.parquet", two), tmp_path / "call.vtt"
    cues = [f"00:00:{at:02d}.000 --> 00:00:{at + 5:02d}.000\n<v {who}>words</v>\n" for at, who in (
        (2, "Bob"), (10, "Ann"), (31, "Ann"), (40, "Bob"), (50, "Ann")
    )]  # fmt: skip
    transcript.write_text("WEBVTT\n\n" + "\n".join(cues))
    (tmp_path / "who.csv").write_text("speaker,track\nAnn,1\nBob,2\n")
    request = MeetingRequest(Inputs((table,)), transcript, tmp_path / "who.csv", offset=0, calibrate="20")
    report = report_meeting(request, settings)
    spoken = report.tables["utterances"]
    assert spoken["above_happy"].to_list() == pytest.approx([0, 0, 0.15, 0.15, 0.15])
    assert spoken["speaker_above_happy"].to_list() == pytest.approx([0, 0, 0.3, 0, 0.3])
    by_name = {row["speaker"]: row for row in report.tables["speakers"].to_dicts()}
    assert (by_name["Ann"]["own_above"], by_name["Bob"]["own_above"]) == (pytest.approx(20), pytest.approx(0))
    assert report["Happy above the usual face"].value == pytest.approx(9)
    agreed = all_agree(report, tmp_path)
    assert {"usual happy of Ann", "happy of Bob above usual", "the room above usual with everybody"} <= set(agreed)
    changes_are_noticed(
        tmp_path,
        own_level=("usual_happy", "above_sad", "seconds"),
        usual_seconds=("happy",),
        speakers=("room_above", "own_above"),
        utterances=("above_happy",),
    )
    hidden = report_meeting(
        MeetingRequest(Inputs((table,)), transcript, offset=0, anonymous=2, calibrate="20"), settings
    )
    assert hidden["Happy above the usual face"].value == pytest.approx(9)  # each track by itself
    assert "own_level" not in hidden.tables
    raw = report_meeting(MeetingRequest(Inputs((table,)), transcript, tmp_path / "who.csv", offset=0), settings)
    for name, rows in raw.tables.items():
        assert report.tables[name].select(rows.columns).equals(rows), name
    assert np.isfinite(raw["Happiness of the room"].value)


def test_watching_finds_the_usual_face_that_reports_find() -> None:
    """Uneven frames, a gap, and a track that comes later; of what is kept there is a bound."""
    rng = np.random.default_rng(2)
    times = np.sort(rng.uniform(0, 30, 300))
    times = times[(times < 5) | (times > 9)]
    values = {at: shares(happy=float(rng.uniform(0, 0.8))) for at in times}
    seen = recording(times.tolist(), lambda at: [(1, BOX, values[at])]).faces.with_columns(
        pl.lit(1.0).alias("span"), pl.lit("").alias("person")
    )
    reported = usual_face(usual_seconds(seen, Calibration(first_s=12)))
    live = UsualFaces(12)
    for at in times:
        row = np.array([values[at]], np.float32)
        live.note([1] if at < 20 else [1, 2], np.repeat(row, 1 if at < 20 else 2, axis=0), at)
        assert all(len(track.means) <= 12 for track in live._tracks.values())
        assert (live.above(1, row[0]) is None) == (at < 16), at
    assert reported is not None
    above = live.above(1, row[0])
    assert above is not None
    assert row[0] - above == pytest.approx(reported[1], abs=1e-6)
    assert live.above(2, row[0]) is None
    live.forget(frozenset({2}))
    assert live.above(1, row[0]) is None
