"""Time lines for other tools: opened again by ELAN's, Praat's and table readers, hostile ones as well."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from praatio import textgrid
from pympi.Elan import Eaf
from seeing import recording, shares

import mien
from mien.config import checked
from mien.errors import InputError, UsageError
from mien.exports.boris import COLUMNS
from mien.exports.files import ENDINGS, FORMATS, export_texts, format_of, write_export
from mien.exports.runs import ObservationTiers, Reading, Runs
from mien.exports.timeline import Annotation, Tier, Timeline, apart, tidy
from mien.observation import EMOTIONS, Face, Observation, Probabilities, new_id
from mien.reports.audience.report import AudienceRequest, report_audience
from mien.reports.base.recordings import Inputs
from mien.reports.base.report import Report
from mien.reports.film.report import FilmRequest, report_film
from mien.reports.meeting.report import MeetingRequest, report_meeting
from mien.run.options import AnalyzeOptions

HOSTILE = 'A "joke"\t<b>&amp;\x00\x1b\n=1+1 \udcff ]]> 𝄞\u2028'
Intervals = list[tuple[int, int, str]]


def opened(
    timeline: Timeline, folder: Path
) -> tuple[Eaf, textgrid.Textgrid, list[dict[str, str]], list[dict[str, str]]]:
    """Write a time line for all tools, and open it with each one's reader."""
    for name in ("x.eaf", "x.TextGrid", "x_events.tsv", "x.boris.csv"):
        write_export(folder / name, timeline)
    grid = textgrid.openTextgrid(str(folder / "x.TextGrid"), includeEmptyIntervals=False)
    with (folder / "x_events.tsv").open(newline="", encoding="utf-8") as file:
        events = list(csv.DictReader(file, delimiter="\t"))
    with (folder / "x.boris.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return Eaf(str(folder / "x.eaf")), grid, events, rows


def in_eaf(eaf: Eaf, tier: str) -> Intervals:
    return sorted(tuple(row[:3]) for row in eaf.get_annotation_data_for_tier(tier))


def in_grid(grid: textgrid.Textgrid, tier: str) -> Intervals:
    return [(round(1000 * e.start), round(1000 * e.end), e.label) for e in grid.getTier(tier).entries]


LINE = Timeline(
    "talk",
    4.0,
    [
        Tier("Ada: face", "expression", "Ada", [Annotation(0, 1.2004, "happy", 0.8), Annotation(1.2004, 3, "unclear")]),
        Tier("moments", "moment", "", [Annotation(0.5, 0.5, "happy", 0.9)]),
        Tier("Ada: words", "utterance", "Ada", [Annotation(0.1, 2, "Good news"), Annotation(1.5, 2.5, "all of you")]),
        Tier("Bob: words", "utterance", "Bob", []),
    ],
    ("talk.mp4",),
)


def test_each_tool_opens_the_same_time_line(tmp_path: Path) -> None:
    eaf, grid, events, rows = opened(LINE, tmp_path)
    assert in_eaf(eaf, "Ada: face") == in_grid(grid, "Ada: face") == [(0, 1200, "happy"), (1200, 3000, "unclear")]
    assert in_eaf(eaf, "moments") == [(500, 501, "happy")]
    assert [(e.time, e.label) for e in grid.getTier("moments").entries] == [(0.5, "happy")]
    assert in_eaf(eaf, "Ada: words") == in_grid(grid, "Ada: words") == [(100, 2000, "Good news")]
    assert in_eaf(eaf, "Ada: words (2)") == in_grid(grid, "Ada: words (2)") == [(1500, 2500, "all of you")]
    assert in_eaf(eaf, "Bob: words") == []
    assert grid.maxTimestamp == 4.0
    assert [m["RELATIVE_MEDIA_URL"] for m in eaf.media_descriptors] == ["./talk.mp4"]
    assert [row["trial_type"] for row in events] == ["happy", "utterance", "happy", "unclear", "utterance"]
    assert (events[1]["text"], events[1]["duration"], events[1]["probability"]) == ("Good news", "1.900", "n/a")
    assert tuple(rows[0]) == COLUMNS
    assert [(r["Subject"], r["Behavior"], r["Behavior type"], r["Start (s)"], r["Stop (s)"]) for r in rows[2:4]] == [
        ("No focal subject", "happy", "POINT", "0.500", "0.500"),
        ("Ada", "unclear", "STATE", "1.200", "3.000"),
    ]


def test_the_sidecar_describes_every_column_and_type(tmp_path: Path) -> None:
    _, _, events, _ = opened(LINE, tmp_path)
    described = json.loads((tmp_path / "x_events.json").read_text())
    assert set(events[0]) - {"onset", "duration"} <= set(described)
    assert {row["trial_type"] for row in events} == set(described["trial_type"]["Levels"])
    assert described["onset"]["Units"] == described["duration"]["Units"] == "s"


def test_hostile_names_and_times_are_opened_as_one_line_each(tmp_path: Path) -> None:
    marks = [
        Annotation(-3, 0.5, HOSTILE),
        Annotation(float("nan"), 2, "nan"),
        Annotation(2, 1, "back"),
        Annotation(5, float("inf"), "inf"),
    ]
    marks += [Annotation(9, 12, "late"), Annotation(10, 10, "end"), Annotation(40, 50, "beyond")]
    tiers = [
        Tier(HOSTILE, "utterance", HOSTILE, marks),
        Tier(HOSTILE, "moment", "", marks[:1]),
        Tier("", "event", "", []),
    ]
    eaf, grid, events, rows = opened(Timeline(HOSTILE, 10, tiers, (HOSTILE, "")), tmp_path)
    plain = 'A "joke" <b>&amp; =1+1 ]]> 𝄞'
    assert in_eaf(eaf, plain) == [(0, 500, plain), (9000, 10000, "late")]
    assert in_eaf(eaf, f"{plain} (2)") == in_grid(grid, f"{plain} (2)") == [(0, 500, plain)]
    assert len(set(grid.tierNames)) == len(grid.tierNames) == len(eaf.get_tier_names()) == 4
    assert [row["text"] for row in events if row["kind"] == "utterance"] == [plain, "late", "end"]
    assert rows[0]["Comment start"] == rows[0]["Subject"] == plain


def test_what_a_spreadsheet_would_run_has_an_apostrophe(tmp_path: Path) -> None:
    line = Timeline("=cmd()", 3, [Tier("=1+1", "event", "@SUM(1)", [Annotation(0, 1, "=HYPERLINK(1)")])])
    _, _, events, rows = opened(line, tmp_path)
    assert (events[0]["subject"], events[0]["text"]) == ("'@SUM(1)", "'=HYPERLINK(1)")
    assert (rows[0]["Observation id"], rows[0]["Comment start"]) == ("'=cmd()", "'=HYPERLINK(1)")


@pytest.mark.parametrize("tiers", [[], [Tier("track 1", "expression", "track 1", [])]])
def test_an_empty_time_line_is_opened(tmp_path: Path, tiers: list[Tier]) -> None:
    eaf, grid, events, rows = opened(Timeline("", 0, tiers), tmp_path)
    assert len(grid.tierNames) == 1  # Praat opens none without
    assert list(eaf.get_tier_names()) == [tier.name for tier in tiers]
    assert events == rows == []


times = st.floats(-1, 6, allow_nan=False) | st.sampled_from([0.0004, 0.0005, 0.0016, 2.0005, 2.0015])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(times, st.floats(0, 2) | st.just(0.0), st.text(max_size=8)), max_size=12))
def test_no_marks_overlap_and_none_is_lost(spans: list[tuple[float, float, str]]) -> None:
    marks = [Annotation(start, start + length, label) for start, length, label in spans]
    (whole,) = tidy(Timeline("x", 5, [Tier("t", "utterance", "", marks)])).tiers
    lanes = apart([whole])
    assert sum(len(lane.marks) for lane in lanes) == len(whole.marks)
    assert len({lane.name for lane in lanes}) == len(lanes)
    for lane in lanes:
        for before, after in zip(lane.marks, lane.marks[1:], strict=False):
            assert max(before.end, before.start + 1) <= after.start
    assert all(0 <= mark.start <= mark.end <= 5000 for mark in whole.marks)
    texts = export_texts(Timeline("x", 5, [Tier("t", "utterance", "", marks)]), FORMATS, datetime.now(timezone.utc))
    grid = texts[".TextGrid"]
    assert grid.count("text = ") + grid.count("mark = ") >= len(whole.marks)


def test_a_run_ends_with_the_next_frame_or_where_nothing_was_seen() -> None:
    runs: Runs[int] = Runs()
    happy, sad = Reading("happy", 0.5), Reading("sad", 0.9)
    for at, looks in [
        (0, {1: happy}),
        (0.5, {1: happy._replace(probability=0.7), 2: sad}),
        (1, {2: sad}),
        (9, {2: sad}),
    ]:
        runs.frame(at, looks)
    marks = runs.close()
    assert marks[1] == [Annotation(0, 1, "happy", pytest.approx(0.6))]
    assert marks[2] == [Annotation(0.5, 3, "sad", pytest.approx(0.9)), Annotation(9, 11, "sad", pytest.approx(0.9))]


def seen(at: float | None, *emotions: str | None, session: str = "s", tracks: bool = True) -> Observation:
    faces = [
        Face(
            track=number if tracks else None, box=(9, 9, 90, 90), confidence=0.9, emotion=emotion,  # type: ignore[arg-type]
            probabilities=Probabilities(*np.eye(7)[EMOTIONS.index(emotion) if emotion else 6]),  # type: ignore[arg-type]
        )
        for number, emotion in enumerate(emotions, 1)
    ]  # fmt: skip
    of = {"width": 320, "height": 180, "model": "tiny@00000000", "elapsed_ms": 1.0, "time": None, "frame": 0, "seq": 0}
    return Observation(id=new_id(), source="x", session=session, offset_s=at, faces=faces, **of)  # type: ignore[arg-type]


def test_observations_become_a_tier_for_each_track() -> None:
    tiers = ObservationTiers()
    for at, emotions in enumerate([("happy", None), ("happy", None), ("sad",), ()]):
        tiers.add(seen(at / 10, *emotions), Path("/somewhere/film.mp4"))
    line = tiers.timeline()
    assert (line.title, line.media, round(line.seconds, 3)) == ("film.mp4", ("film.mp4",), 0.4)
    assert [(tier.name, [mark.label for mark in tier.marks]) for tier in line.tiers] == [
        ("track 1", ["happy", "sad"]),
        ("track 2", ["unclear"]),
    ]
    tiers.add(seen(0.0, "fear", session="other"), "other.mp4")
    assert [tier.subject for tier in tiers.timeline().tiers][-1] == "other.mp4: track 1"


def test_photos_have_no_time_line() -> None:
    tiers = ObservationTiers()
    tiers.add(seen(None, "happy", tracks=False), "photo.jpg")
    assert tiers.untimed == 1
    with pytest.raises(InputError, match="no running time"):
        tiers.timeline()


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        *[("a.eaf", "elan"), ("a.EAF", "elan"), ("a.TextGrid", "praat"), ("a.textgrid", "praat"), ("a.tsv", "bids")],
        *[("a.boris.csv", "boris"), ("a.csv", None), ("eaf", None), ("a.eaf.gz", None)],
    ],
)
def test_the_ending_says_the_format(name: str, kind: str | None, tmp_path: Path) -> None:
    assert format_of(Path(name)) == kind
    if kind is None:
        with pytest.raises(InputError, match=r"must end in \.eaf"):
            write_export(tmp_path / name, LINE)


def test_what_cannot_be_written_is_said_before(tmp_path: Path) -> None:
    (tmp_path / "x.eaf").mkdir()
    for wrong, said in (("x.eaf", "folder"), ("nowhere/x.eaf", "nowhere")):
        with pytest.raises(InputError, match=said):
            write_export(tmp_path / wrong, LINE)
    with pytest.raises(UsageError, match="elan, praat, bids, boris"):
        export_texts(LINE, ["excel"], datetime.now(timezone.utc))  # type: ignore[list-item]


def test_analyze_writes_them_and_a_table_at_once(tmp_path: Path, tiny_by_default: None, video: Path) -> None:
    from mien.run.batch import analyze_paths

    settings = checked({"home": tmp_path / "home"}, "the test")
    outputs = [tmp_path / f"film{ending}" for ending in ENDINGS.values()]
    analyze_paths(settings, [video], output=tmp_path / "film.csv", exports=outputs, options=AnalyzeOptions(every=3))
    assert (tmp_path / "film.csv").exists()
    assert (tmp_path / "film_events.json").exists()
    assert [m["RELATIVE_MEDIA_URL"] for m in Eaf(str(tmp_path / "film.eaf")).media_descriptors] == [f"./{video.name}"]
    mien.analyze_video(video, every=3).write(tmp_path / "again.eaf")
    first, again = (Eaf(str(tmp_path / name)) for name in ("film.eaf", "again.eaf"))
    for tier in first.get_tier_names():
        assert in_eaf(first, tier) == in_eaf(again, tier)
    for given_as, error in ((tmp_path / "x.pdf", "must end in .csv"), (video, "is what is to be analysed")):
        with pytest.raises(InputError, match=error):
            analyze_paths(settings, [video], output=given_as)


def write_table(path: Path, shown: Callable[[float], float], step: float = 0.2) -> str:
    """Write a table of one face whose happiness changes."""
    faces = recording([n * step for n in range(400)], lambda at: [(1, (9, 9, 90, 90), shares(happy=shown(at)))]).faces
    faces.with_columns(pl.col("at").alias("offset_s"), pl.lit(path.stem).alias("source")).write_parquet(path)
    return str(path)


def in_a_minute(at: float) -> float:
    return 0.9 if 20 <= at < 24 else 0.1


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Report]:
    """A report of each kind that has a time line."""
    folder = tmp_path_factory.mktemp("made")
    film = write_table(folder / "film.parquet", in_a_minute)
    seats = [
        write_table(folder / f"seat-{n}.parquet", lambda at, n=n: in_a_minute(at) + 0.05 * np.sin(at * (n + 1)))
        for n in range(10)
    ]
    (folder / "call.vtt").write_text(
        "WEBVTT\n\n00:01.000 --> 00:03.000\n<v Ada>Hello\n\n00:02.500 --> 00:05.000\n<v Bob>Hi\n"
    )
    (folder / "who.csv").write_text("speaker,track\nAda,1\n")
    (folder / "events.csv").write_text("time,label,duration\n19.5,joke,1\n60,nothing,0\n")
    spoken: dict[str, Any] = {"transcript": folder / "call.vtt", "speakers": folder / "who.csv", "offset": 0.0}
    return {
        "film": report_film(FilmRequest(Inputs((film,)))),
        "meeting": report_meeting(MeetingRequest(Inputs((film,)), **spoken)),
        "audience": report_audience(AudienceRequest(Inputs(tuple(seats)), folder / "events.csv")),
        "hidden film": report_film(FilmRequest(Inputs((film,)), anonymous=2)),
        "hidden meeting": report_meeting(MeetingRequest(Inputs((film,)), **spoken, anonymous=2)),
        "hidden audience": report_audience(AudienceRequest(Inputs(tuple(seats)), folder / "events.csv", anonymous=2)),
    }


@pytest.mark.parametrize("kind", ["film", "meeting", "audience"])
def test_a_report_writes_its_time_line_beside_its_page(kind: str, made: dict[str, Report], tmp_path: Path) -> None:
    files = made[kind].write(tmp_path / "x.html", exports=FORMATS)
    names = {file.name for file in files}
    assert {f"x{ending}" for ending in ENDINGS.values()} | {"x_events.json"} <= names
    eaf, grid, events, _ = opened(made[kind].timeline(), tmp_path)
    tiers = {tier: in_eaf(eaf, tier) for tier in eaf.get_tier_names()}
    if kind == "film":
        assert tiers["person 1"] == [(0, 20000, "neutral"), (20000, 24000, "happy"), (24000, 80000, "neutral")]
        assert [(start, label) for start, _, label in tiers["all faces"]][1:] == [(20000, "happy"), (24000, "neutral")]
        assert tiers["moments"][0][2] == "happy"
    elif kind == "meeting":
        assert tiers["Ada: words"] == [(1000, 3000, "Hello")]
        assert tiers["Bob: words"] == [(2500, 5000, "Hi")]
        assert (20000, 24000, "happy") in tiers["Ada: face"]
    else:
        assert tiers["events"] == [(19500, 20500, "joke"), (60000, 60001, "nothing")]
        assert [label for _, _, label in tiers["reactions"]] == ["happy after joke"]
        assert len([tier for tier in tiers if tier.startswith("seat-")]) == 10
    assert len(grid.tierNames) == len(tiers)
    assert len(events) == sum(map(len, tiers.values()))


@pytest.mark.parametrize("kind", ["film", "meeting", "audience"])
def test_an_anonymous_report_tells_no_more_in_other_forms(kind: str, made: dict[str, Report], tmp_path: Path) -> None:
    texts = export_texts(made[f"hidden {kind}"].timeline(), FORMATS, datetime.now(timezone.utc))
    whole = "\n".join(texts.values())
    for secret in ("seat-", "Ada", "Bob", "Hello", "person 1", "film.parquet"):
        assert secret not in whole


def test_an_album_has_none(tmp_path: Path) -> None:
    album = Report("album", "photos", "", [], [])
    with pytest.raises(UsageError, match="album"):
        album.write(tmp_path / "x.html", exports=("elan",))
    assert not (tmp_path / "x.html").exists()


def test_csv_readers_of_pandas_and_polars_agree(tmp_path: Path) -> None:
    write_export(tmp_path / "x_events.tsv", LINE)
    text = (tmp_path / "x_events.tsv").read_text()
    frame = pl.read_csv(io.StringIO(text), separator="\t", null_values="n/a")
    assert frame["onset"].is_sorted()
    assert frame["probability"].null_count() == 3
