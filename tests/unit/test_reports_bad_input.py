"""Bad input of every kind: each is named in the notes of a report that is made all the same."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import cv2
import numpy as np
import polars as pl
import pytest
from making import write_video
from PIL import Image
from seeing import recording, shares

from mien.config import Settings, checked
from mien.errors import InputError, MienError, UsageError
from mien.media.demo import PORTRAIT
from mien.observation import EMOTIONS, Face, Observation, Probabilities, new_id
from mien.reports.album.report import AlbumRequest, report_album
from mien.reports.audience.events import read_events
from mien.reports.audience.report import AudienceRequest, report_audience
from mien.reports.audience.seats import read_seats
from mien.reports.base.job import Job
from mien.reports.base.places import read_places
from mien.reports.base.recordings import Inputs, read_recordings
from mien.reports.base.report import Report
from mien.reports.base.transcripts import read_transcript
from mien.reports.film.report import FilmRequest, report_film
from mien.reports.meeting.report import MeetingRequest, report_meeting
from mien.stores.base import Marker, open_store

BEGAN = datetime(2026, 11, 22, 20, tzinfo=timezone.utc)
GOOD = "WEBVTT\n\n00:00:03.000 --> 00:00:05.500\nAnn: Grüße\n\n00:00:06.000 --> 00:00:08.000\nBob: Hi\n"


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """One state folder, so that what is analysed is analysed once."""
    return checked({"home": tmp_path_factory.mktemp("home")}, "the test")


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A minute of three faces; half of its frames are of another size."""
    places = [(40 + 200 * n, 60, 90, 90) for n in range(3)]
    made = recording(
        np.arange(0, 60, 0.25), lambda at: [(n, places[n], shares(happy=0.2 + at / 100)) for n in range(3)]
    ).faces
    half = pl.when(pl.col("at") < 30).then(640)
    path = tmp_path_factory.mktemp("table") / "minute.parquet"
    made.with_columns(
        half.otherwise(320).alias("frame_width"), pl.col("at").alias("offset_s"), pl.lit("minute").alias("source")
    ).write_parquet(path)
    return path


@pytest.fixture(scope="module")
def cut(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first half of the file of a video of a portrait, twelve seconds long."""
    portrait = cv2.resize(cv2.imread(str(PORTRAIT)), (320, 240))
    path = tmp_path_factory.mktemp("cut") / "cut.mp4"
    write_video(path, (np.roll(portrait, n % 7, 1) for n in range(120)), range(0, 12_000, 100))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path


def noted(report: Report, *words: str) -> bool:
    """Whether a note holds all of these words, and the page the note."""
    notes = [note for note in report.notes if all(word in note for word in words)]
    return bool(notes) and "<h2>Notes</h2>" in report.html()


def written(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_a_truncated_video_is_read_as_far_as_it_goes(cut: Path, tmp_path: Path, settings: Settings) -> None:
    inputs = Inputs((str(cut),), fps=4)
    events = written(tmp_path / "e.csv", "time,label\n1,early\n")
    for report in (
        report_film(FilmRequest(inputs, moments=0), settings),
        report_meeting(MeetingRequest(inputs, written(tmp_path / "t.vtt", GOOD)), settings),
        report_audience(AudienceRequest(inputs, events), settings),
    ):
        assert noted(report, "cut.mp4", "frames"), report.notes
        assert report.facts


def test_truncated_photos_and_mixed_sizes(tmp_path: Path, settings: Settings) -> None:
    whole = PORTRAIT.read_bytes()
    folder = tmp_path / "album"
    folder.mkdir()
    written(folder / "half.jpg", whole[: len(whole) // 2])
    written(folder / "empty.jpg", b"")
    written(folder / "fine.jpg", whole)
    Image.open(PORTRAIT).resize((200, 160)).save(folder / "small.png")
    report = report_album(AlbumRequest((folder,)), settings)
    assert noted(report, "half.jpg")
    assert noted(report, "empty.jpg")
    assert noted(report, "different sizes", "200 x 160")
    assert report.facts[0].value in (1, 2)


def test_frames_of_mixed_sizes(table: Path, settings: Settings) -> None:
    assert noted(report_film(FilmRequest(Inputs((str(table),))), settings), "640 x 360, 320 x 360")


@pytest.mark.parametrize("content", ["", "\n \n", "WEBVTT\n\nNOTE nothing\n", "WEBVTT\n\n00:01.000 --> 00:02.000\n\n"])
def test_an_empty_transcript_leaves_the_room(table: Path, tmp_path: Path, settings: Settings, content: str) -> None:
    report = report_meeting(MeetingRequest(Inputs((str(table),)), written(tmp_path / "t.vtt", content)), settings)
    assert noted(report, "t.vtt", "no words")
    (curve,) = [one.table for one in report.data if one.name == "curve"]
    assert curve["happy"].drop_nulls().len() > 0


def test_unordered_overlapping_reversed_and_late_cues(table: Path, tmp_path: Path, settings: Settings) -> None:
    cues = ((20, 24, "b"), (10, 14, "a"), (12, 16, "o"), (34, 30, "r"), (500, 505, "late"))
    told = "".join(f"\n{clock(start)} --> {clock(end)}\nAnn: {words}\n" for start, end, words in cues)
    report = report_meeting(
        MeetingRequest(Inputs((str(table),)), written(tmp_path / "t.vtt", "WEBVTT\n" + told)), settings
    )
    assert noted(report, "were sorted")
    assert noted(report, "before the one before has ended")
    assert noted(report, "the two times were exchanged")
    assert noted(report, "1 utterance lies outside the recording")
    (said,) = [one.table for one in report.data if one.name == "utterances"]
    assert said["start"].to_list() == [10, 12, 20, 30, 500]
    assert said["faces"].to_list()[-1] == 0


def clock(seconds: int) -> str:
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}.000"


def test_a_transcript_that_ends_early(table: Path, tmp_path: Path, settings: Settings) -> None:
    long = recording(np.arange(0, 300, 0.5), lambda _: [(1, (9, 9, 90, 90), shares(happy=0.4))]).faces
    long.with_columns(pl.col("at").alias("offset_s")).write_parquet(tmp_path / "long.parquet")
    request = MeetingRequest(Inputs((str(tmp_path / "long.parquet"),)), written(tmp_path / "t.vtt", GOOD))
    assert noted(report_meeting(request, settings), "The transcript ends", "before the recording")


@pytest.mark.parametrize("encoding", ["cp1252", "utf-16-le", "utf-16-be"])
def test_an_encoding_that_is_not_told(tmp_path: Path, encoding: str) -> None:
    made = read_transcript(written(tmp_path / "t.vtt", GOOD.encode(encoding)))
    assert [utterance.text for utterance in made.utterances] == ["Grüße", "Hi"]
    assert any("it was read as" in note for note in made.notes)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_an_encoding_that_is_told(tmp_path: Path, encoding: str) -> None:
    made = read_transcript(written(tmp_path / "t.vtt", GOOD.encode(encoding)))
    assert [utterance.text for utterance in made.utterances] == ["Grüße", "Hi"]
    assert not made.notes


def test_events_beyond_the_end_out_of_order_and_unreadable(table: Path, tmp_path: Path, settings: Settings) -> None:
    events = written(tmp_path / "e.csv", "time,label\n40,two\n20,Prélude\n900,late\nsoon,bad\n".encode("cp1252"))
    report = report_audience(AudienceRequest(Inputs((str(table),)), events), settings)
    assert noted(report, "not UTF-8")
    assert noted(report, "not in order of time")
    assert noted(report, "1 of the events", "line 5")
    assert noted(report, "1 event lies beyond the end")
    (reactions,) = [one.table for one in report.data if one.name == "reactions"]
    assert reactions["event"].to_list() == ["Prélude", "two"]
    late = written(tmp_path / "late.csv", "time,label\n900,late\n")
    assert noted(report_audience(AudienceRequest(Inputs((str(table),)), late), settings), "beyond the end")


def test_what_cannot_be_read_among_others(table: Path, tmp_path: Path, settings: Settings) -> None:
    bad = written(tmp_path / "bad.mp4", b"no video at all" * 99)
    inputs = Inputs((str(bad), str(table)))
    events = written(tmp_path / "e.csv", "time,label\n20,one\n")
    assert noted(report_film(FilmRequest(inputs), settings), "Left out", "bad.mp4")
    assert noted(report_audience(AudienceRequest(inputs, events), settings), "Left out", "bad.mp4")


@pytest.fixture
def photos(tmp_path: Path) -> tuple[Path, Path]:
    """A table of three photos of which one is at hand: four smiling, one smiling, four neutral; and the photo."""
    here = tmp_path / "here.jpg"
    here.write_bytes(PORTRAIT.read_bytes())
    rows = []
    for name, count, happy in (
        ("many.jpg", 4, 0.9),
        ("alone.jpg", 1, 0.95),
        ("calm.jpg", 4, 0.1),
        ("here.jpg", 1, 0.5),
    ):
        for n in range(count):
            values = dict(zip(EMOTIONS, shares(happy=happy), strict=True))
            where = {"x": 200 * n, "y": 100, "width": 150, "height": 150}
            rows.append({"file": name, "time": BEGAN, "frame_width": 1000, "frame_height": 800, **where, **values})
    table = tmp_path / "photos.parquet"
    pl.DataFrame(rows).write_parquet(table)
    return table, here


def test_photos_that_are_gone_are_rated_by_their_table(photos: tuple[Path, Path], settings: Settings) -> None:
    report = report_album(AlbumRequest((photos[0],), best=9), settings)
    assert noted(report, "3 photos", "expression and size alone")
    rows = {Path(row["file"]).name: row for row in report.data[0].table.iter_rows(named=True)}
    assert rows["alone.jpg"]["expression"] == pytest.approx(0.95)
    assert rows["alone.jpg"]["sharpness"] is None
    assert rows["alone.jpg"]["score"] == pytest.approx(100 * (0.95**0.4 * 0.75**0.1) ** (1 / 0.5))
    assert rows["here.jpg"]["sharpness"] is not None  # looked at anew
    assert [row["rank"] for row in rows.values()].count(None) == 0
    assert len({row["group"] for row in rows.values()}) == 4
    assert report.html().count("data:image/jpeg") == 1
    assert "many.jpg" in report.html()
    assert report.files[".sheet.jpg"][:2] == b"\xff\xd8"


def test_an_anonymous_album_rates_groups_alone(photos: tuple[Path, Path], settings: Settings) -> None:
    report = report_album(AlbumRequest((photos[0],), best=9, anonymous=3), settings)
    assert "data:image" not in report.html()
    assert not report.files
    ranked = report.data[0].table.filter(pl.col("rank").is_not_null())["file"].to_list()
    assert ranked == ["many.jpg", "calm.jpg"]
    assert noted(report, "2 photos show fewer than 3 faces")
    with pytest.raises(UsageError, match="hides nobody"):
        report_album(AlbumRequest((photos[0],), anonymous=1), settings)


def test_tables_that_name_no_photos_are_refused(table: Path, tmp_path: Path, settings: Settings) -> None:
    lines = written(tmp_path / "t.jsonl", "{}\n")
    other = written(tmp_path / "t.csv", "a,b\n1,2\n")
    for path, said in ((lines, "do not name photos"), (other, "it lacks file"), (table, "it lacks")):
        with pytest.raises(InputError, match=said):
            report_album(AlbumRequest((path,)), settings)


@pytest.fixture
def watched(tmp_path: Path) -> Callable[..., Inputs]:
    """Makes a store in which a viewer smiles from second 30 to 34, with these markers."""

    def make(*markers: tuple[float, str, str | None]) -> Inputs:
        url, session = f"sqlite:///{tmp_path / 'mien.db'}", new_id()
        store = open_store(url)
        rows = []
        for n in range(480):
            happy = 0.9 if 30 <= n / 8 < 34 else 0.1
            face = Face(1, (10, 10, 80, 80), 0.9, "happy", Probabilities(0, 0, 0, happy, 0, 0, 1 - happy))
            at = BEGAN + timedelta(seconds=n / 8)
            rows.append(Observation(new_id(), "hall", session, n, at, n / 8, n, 640, 360, "tiny@1", 1.0, [face]))
        store.add(rows)
        store.add_markers(
            [Marker(new_id(), BEGAN + timedelta(seconds=at), label, of, "Ann") for at, label, of in markers]
        )
        store.close()
        return Inputs(store=url, sources=("hall",), since=BEGAN + timedelta(seconds=5))

    return make


def test_a_stores_markers_are_events(watched: Callable[..., Inputs], tmp_path: Path, settings: Settings) -> None:
    inputs = watched((30, "The joke", None), (45, "applause", "hall"), (50, "elsewhere", "door"), (999, "later", None))
    report = report_audience(AudienceRequest(inputs, "markers"), settings)
    (found,) = [one.table for one in report.data if one.name == "reactions"]
    assert found["event"].to_list() == ["The joke", "applause"]
    assert found["at"].to_list() == [25.0, 40.0]
    assert found["height"][0] == pytest.approx(0.8, abs=0.02)
    seats = written(tmp_path / "seats.csv", "recording,offset\nhall,3\n")
    with pytest.raises(UsageError, match="leave the offsets out"):
        report_audience(AudienceRequest(inputs, "markers", seats), settings)


@pytest.mark.parametrize(
    ("before_s", "said"), [(59, None), (1800, r"hall: in 30:00 of its 31:00 nothing was recorded, for 30:00 at a time")]
)
def test_times_count_from_the_beginning_asked_for_and_what_is_empty_is_named(
    watched: Callable[..., Inputs], settings: Settings, before_s: int, said: str | None
) -> None:
    inputs = replace(watched(), since=BEGAN - timedelta(seconds=before_s))
    (hall,) = read_recordings(inputs, settings, Job())
    assert (hall.faces["at"].min(), hall.seconds) == (before_s, pytest.approx(before_s + 60))
    assert [bool(re.match(said or "", note)) for note in hall.notes] == ([True] if said else [])


def test_without_markers_or_a_store_there_are_no_events(
    watched: Callable[..., Inputs], table: Path, settings: Settings
) -> None:
    with pytest.raises(InputError, match="no markers of that period"):
        report_audience(AudienceRequest(watched(), "markers"), settings)
    with pytest.raises(UsageError, match="those of a store"):
        report_audience(AudienceRequest(Inputs((str(table),)), "markers"), settings)


@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("between", [",", ";", "\t"])
def test_lists_are_read_however_a_spreadsheet_saved_them(tmp_path: Path, ends: str, between: str) -> None:
    def saved(name: str, *lines: tuple[str, ...]) -> Path:
        path = tmp_path / name
        path.write_bytes(ends.join(between.join(line) for line in lines).encode("utf-16"))
        return path

    events = read_events(saved("e.csv", (" Time", "LABEL"), ("0:05", "joke"), ("1:00", "turn")), [])
    assert [(event.at, event.label) for event in events] == [(5.0, "joke"), (60.0, "turn")]
    (ann,) = read_places(saved("s.csv", ("speaker", "track"), ("Ann", "3")))
    assert (ann.speaker, ann.track) == ("Ann", 3)
    (seat,) = read_seats(saved("z.csv", ("recording", "offset"), ("hall", "2.5")))
    assert (seat.recording, seat.offset) == ("hall", 2.5)


def test_lists_that_can_be_read_in_two_ways_say_so(tmp_path: Path) -> None:
    path, notes = tmp_path / "events.csv", list[str]()
    for text, word in (("time,time,label\n1,2,x\n", "'time'"), ('time,label\n"1,020",x\n', "1020 or 1.020")):
        path.write_text(text)
        with pytest.raises(InputError, match=word):
            read_events(path, notes)
    path.write_text("time;label\n1,020;1,020\n")
    assert [(event.at, event.label) for event in read_events(path, notes)] == [(1.02, "1,020")]
    path.write_text("time,label,\n1,a joke, a song,\n2,b\n")
    assert [event.label for event in read_events(path, notes)] == ["a joke", "b"]
    assert "line 2" in notes.pop()
    path.write_text("time,label\n1,b\n2,a joke, a song\n3,c,,\n")
    assert [event.label for event in read_events(path, notes)] == ["b", "a joke", "c"]
    assert "1 line, first in line 3" in notes.pop()


def test_a_viewer_counts_once_and_may_be_named_as_the_file(tmp_path: Path, settings: Settings) -> None:
    for n in (1, 2):
        made = recording(np.arange(0, 30, 0.5), lambda _: [(1, (60, 60, 90, 90), shares(happy=0.5))]).faces
        columns = pl.col("at").alias("offset_s"), pl.lit(f"v{n}").alias("source")
        made.with_columns(columns).write_parquet(tmp_path / f"v{n}.parquet")
    inputs, seats = Inputs(tuple(str(tmp_path / f"v{n}.parquet") for n in (1, 2))), tmp_path / "seats.csv"
    seats.write_text("recording,group\nv1,A\nv1,A\n")
    with pytest.raises(InputError, match="line 3: 'v1' is there twice"):
        report_audience(AudienceRequest(inputs, seats=seats), settings)
    seats.write_text("recording,group\nv1.parquet,A\nv2.mp4,A\n")
    report = report_audience(AudienceRequest(inputs, seats=seats), settings)
    assert not any("no recording" in note for note in report.notes)
    assert report["Viewers"].value == 2


def test_a_zero_byte_makes_no_other_alphabet_of_a_text(tmp_path: Path) -> None:
    path, notes = tmp_path / "events.csv", list[str]()
    path.write_bytes(b"time,label\n20,a\0b\n")
    assert [event.label for event in read_events(path, notes)] == ["ab"]
    assert "1 zero byte" in notes.pop()
    path.write_bytes("time,label\n20,ab\n".encode("utf-16-le"))
    assert [event.label for event in read_events(path, notes)] == ["ab"]
    assert "UTF-16-LE" in notes.pop()


@pytest.mark.parametrize("time", ["inf", "nan", "-5", "1e300", ""])
def test_rows_without_a_possible_time_are_left_out(table: Path, tmp_path: Path, settings: Settings, time: str) -> None:
    rows = pl.read_parquet(table).with_columns(pl.col("offset_s").cast(pl.String))
    first = pl.int_range(pl.len()) == 0
    bad = rows.with_columns(
        pl.when(first).then(pl.lit(time)).otherwise(pl.col("offset_s")).alias("offset_s"),
        pl.when(first).then(pl.lit("NaN")).otherwise(pl.col("happy").cast(pl.String)).alias("happy"),
    )
    bad.write_csv(tmp_path / "t.csv", quote_style="never")
    report = report_film(FilmRequest(Inputs((str(tmp_path / "t.csv"),))), settings)
    assert "1 row of 't.csv' left out: without a time that a video could have." in report.notes
    assert "nothing was recorded" not in report.html()


SEEDS: list[tuple[str, bytes, Callable[[Path], object]]] = [
    ("t.vtt", GOOD.encode(), read_transcript),
    ("c.txt", b"00:00:10\t Ann : Hello\n00:01:10\t Bob : Bye\n", read_transcript),
    ("m.txt", b"Ann Smith   0:03\nHello there\nBob   0:10\nHi\n", read_transcript),
    ("e.csv", b"time,label,duration\n0:30,joke,3\n12:31,turn,\n", lambda path: read_events(path, [])),
    ("s.csv", b"speaker,x,y,width,height,track\nAnn,0,0,.5,.5,\nBob,,,,,3\n", read_places),
    ("z.csv", b"recording,group,offset,seat,x,y,width,height\nhall,a,3,1,0,0,.5,.5\n", read_seats),
]
HOSTILE = (
    *(
        b"\0",
        b"\xff\xfe",
        b"-->",
        b"99:99:99.999",
        b"9" * 30,
        b"nan",
        b"inf",
        b"1e400",
        b"-1",
        b'"',
        b"\t",
        b"<v ",
        b"\r",
    ),
    *(b"\x85", b"\xe2\x80\xa8", b"\xd9\xa3", b"A" * 3000, b'"' + b"A" * 140_000, b",", b";", b":", b"\n\n", b"PK"),
)


@pytest.mark.parametrize("seed", range(6))
def test_mutated_transcripts_and_lists_end_in_a_result_or_one_line(tmp_path: Path, seed: int) -> None:
    name, good, read = SEEDS[seed]
    rng = np.random.default_rng(seed)
    for _ in range(200):
        content = bytearray(good)
        for _ in range(rng.integers(1, 6)):
            at = int(rng.integers(len(content) + 1))
            content[at : at + int(rng.integers(4))] = HOSTILE[rng.integers(len(HOSTILE))]
        path = tmp_path / name
        path.write_bytes(content)
        said = ""
        try:
            read(path)
        except MienError as error:
            said = str(error)
        assert "\n" not in said
        assert len(said) < 1000


def test_a_folder_with_the_name_of_a_table_gives_one_line(tmp_path: Path, settings: Settings) -> None:
    (tmp_path / "in" / "night.jsonl").mkdir(parents=True)
    with pytest.raises(InputError, match=r"night\.jsonl'.*directory"):
        read_recordings(Inputs((str(tmp_path / "in"),)), settings, Job())
