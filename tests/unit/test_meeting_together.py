"""Several recordings of a meeting on one time line, and parts and markers by the clock in the picture."""

from __future__ import annotations

import wave
from collections.abc import Sequence
from contextlib import closing
from datetime import datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest
from seeing import recording, shares

from meetings import Meeting, Person
from mien.config import Settings, checked
from mien.errors import InputError
from mien.observation import EMOTIONS, new_id
from mien.reports.base.recordings import Inputs, Recording
from mien.reports.base.usual_face import Calibration
from mien.reports.meeting.names import scan
from mien.reports.meeting.names.naming import Camera, Seen
from mien.reports.meeting.names.places import NamedPlace, ScreenReading
from mien.reports.meeting.own_level import by_clock
from mien.reports.meeting.report import MeetingRequest, report_meeting
from mien.reports.meeting.together import together
from mien.stores.base import Marker, open_store

BEGAN = datetime(2026, 4, 8, 14, 36, 27)  # noqa: DTZ001 - a picture's clock has no zone
NOTHING = ScreenReading()


def seen_for(seconds: float, name: str = "a", medium: Path | None = None) -> Recording:
    """One face in the middle of the left half, five times a second."""
    times = np.arange(0, seconds, 0.2).round(3).tolist()
    return recording(times, lambda _: [(1, (120, 100, 80, 80), shares(happy=0.5))], name=name, medium=medium)


def clocked(after_s: float) -> ScreenReading:
    return ScreenReading(clock=BEGAN + timedelta(seconds=after_s))


def test_recordings_that_follow_each_other_take_turns_in_one_picture() -> None:
    whole = together([seen_for(10, "late"), seen_for(20, "early")], [clocked(30), clocked(0)], Inputs())
    assert [(piece.start, piece.column, piece.by) for piece in whole.pieces] == [(30, 0, ""), (0, 0, "clock")]
    faces = whole.recording.faces
    assert whole.recording.began == BEGAN
    assert (faces["at"].min(), faces["at"].max()) == (0.0, 39.8)
    assert faces["frame"].to_list() == list(range(150))
    assert faces["frame_width"].unique().to_list() == [640]
    assert any("clocks" in note and "30.0 s earlier" in note for note in whole.notes)


def test_recordings_of_the_same_time_stand_side_by_side_and_a_frame_of_both_is_one() -> None:
    place = NamedPlace("Ann", 0.25, 0.0, 0.5, 1.0, 0.0, 20.0, "tag", 1.0)
    readings = [clocked(0), ScreenReading((place,), clock=BEGAN + timedelta(seconds=5.1))]
    whole = together([seen_for(20), seen_for(20, "b")], readings, Inputs())
    assert [(piece.start, piece.column) for piece in whole.pieces] == [(0, 0), (5.1, 1)]
    faces = whole.recording.faces
    both = faces.filter(faces["at"].is_between(6, 19))
    assert both.group_by("frame").len()["len"].unique().to_list() == [2]
    assert sorted(both["x"].unique().to_list()) == [120, 760]
    assert both["frame_width"].unique().to_list() == [1280]
    assert both["session"].n_unique() == 2
    frames = faces.unique("frame")
    assert float(frames["span"].sum()) == pytest.approx(25.1, abs=0.5)  # time is counted once
    moved = whole.reading.places[0]
    assert (moved.x, moved.width, moved.start, moved.end) == (0.625, 0.25, 5.1, 25.1)


def test_nothing_is_laid_together_by_guess() -> None:
    with pytest.raises(InputError, match=r"'b'.*clock.*sound"):
        together([seen_for(5), seen_for(5, "b")], [clocked(0), NOTHING], Inputs())
    with pytest.raises(InputError, match="48 hours"):
        together([seen_for(5), seen_for(5, "b")], [clocked(0), clocked(48 * 3600)], Inputs())


def test_without_clocks_the_sound_tells(tmp_path: Path) -> None:
    rng, rate = np.random.default_rng(3), 8000
    loud = np.repeat(rng.random(1200) < 0.5, rate // 10)
    samples = (rng.normal(0, 3000, len(loud)) * loud).astype(np.int16)
    sounds = [write(tmp_path / "a.wav", samples[: 80 * rate]), write(tmp_path / "b.wav", samples[25 * rate :])]
    recordings = [seen_for(80, "a", sounds[0]), seen_for(95, "b", sounds[1])]
    whole = together(recordings, [clocked(0), NOTHING], Inputs())
    assert whole.pieces[1].by == "sound"
    assert whole.pieces[1].start == pytest.approx(25, abs=0.11)
    assert any("sound" in note for note in whole.notes)
    strange = rng.normal(0, 3000, 90 * rate) * np.repeat(rng.random(900) < 0.5, rate // 10)
    recordings[1] = seen_for(90, "b", write(tmp_path / "c.wav", strange.astype(np.int16)))
    with pytest.raises(InputError, match="clock"):
        together(recordings, [clocked(0), NOTHING], Inputs())


def write(path: Path, samples: np.ndarray) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(samples.tobytes())
    return path


def test_a_part_is_taken_by_the_clock_in_the_picture() -> None:
    utc = timezone.utc
    since, until = BEGAN.replace(tzinfo=utc) + timedelta(seconds=5), BEGAN.replace(tzinfo=utc) + timedelta(seconds=12)
    place = NamedPlace("Ann", 0.25, 0.0, 0.5, 1.0, 0.0, 20.0, "tag", 1.0)
    reading = ScreenReading((place,), clock=BEGAN)
    whole = together([seen_for(20)], [reading], Inputs(since=since, until=until, zone=utc))
    assert whole.cut
    assert whole.recording.began == BEGAN + timedelta(seconds=5)
    assert whole.recording.faces["at"].min() == pytest.approx(0, abs=1e-9)
    assert whole.recording.faces["at"].max() == pytest.approx(6.8)
    assert [(kept.x, kept.start, kept.end) for kept in whole.reading.places] == [(0.25, 0.0, 7.0)]
    with pytest.raises(InputError, match=r"--from.*2026-04-08T14:36:27 to 2026-04-08T14:36:47"):
        together([seen_for(20)], [reading], Inputs(since=until + timedelta(hours=1), zone=utc))
    with pytest.raises(InputError, match="no clock"):
        together([seen_for(20)], [NOTHING], Inputs(since=since, zone=utc))


def test_usual_faces_are_taken_by_the_clock_in_the_picture(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'store.db'}"
    settings = checked({"store": {"url": url}, "home": tmp_path}, "the test")
    inputs = Inputs(("a.mp4",), zone=timezone.utc)
    whole = together([seen_for(60)], [clocked(0)], inputs).recording
    daytime = Calibration(stretch=(14 * 3600 + 36 * 60 + 30, 14 * 3600 + 36 * 60 + 50))
    assert by_clock(daytime, whole, inputs, settings).stretch == (3, 23)
    assert by_clock(Calibration(stretch=(3.0, 9.0)), whole, inputs, settings).stretch == (3.0, 9.0)
    at = BEGAN.replace(tzinfo=timezone.utc)
    marked = ((10, "quiet"), (25, "talk"), (-90, "early"))
    with closing(open_store(url)) as store:
        store.add_markers(
            [Marker(new_id(), at + timedelta(seconds=after), label, None, "me") for after, label in marked]
        )
    assert by_clock(Calibration(marker="Quiet"), whole, inputs, settings).stretch == (10, 25)
    assert by_clock(Calibration(marker="Quiet"), seen_for(60), inputs, settings).stretch is None  # no clock


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return checked({"home": tmp_path / "home"}, "the test")


def kept_table(folder: Path, name: str, people: Sequence[str], began: float, settings: Settings) -> Path:
    """Write a table of a recording whose picture was read before: two tiles with tags, and a clock."""
    meeting = Meeting([Person(person) for person in people], (640, 180), seconds=1, fps=5, turns=[(0.0, 0.1, 0)])
    path = meeting.write(folder / f"{name}.mp4")
    boxes = [(0, 0, 320, 180), (320, 0, 320, 180)]
    cameras = [
        Camera(box, 0.0, 30.0, {person: 0.99}, False, 300.0, 100) for box, person in zip(boxes, people, strict=True)
    ]
    clocks = [(at, BEGAN + timedelta(seconds=began + at)) for at in (0.0, 6.0, 12.0)]
    how = {"stream": None, "fps_in": None}
    scan._keep(scan._kept(str(path), settings, None, how), Seen((640, 180), cameras, [], clocks, 0.0, 30.0))
    table = folder / f"{name}.csv"
    columns = ["file", "offset_s", "track", "x", "y", "width", "height", "frame_width", "frame_height", "emotion"]
    rows = [
        [path, round(at, 3), track, x, 12, 104, 132, 640, 180, "happy", *shares(happy=0.2 + 0.5 * track)]
        for at in np.arange(0, 30, 0.2).tolist()
        for track, x in enumerate((108, 428))
    ]
    table.write_text("\n".join(",".join(map(str, line)) for line in ([*columns, *EMOTIONS], *rows)))
    return table


def test_a_report_on_two_recordings_has_each_speakers_own_face(tmp_path: Path, settings: Settings) -> None:
    tables = [
        kept_table(tmp_path, "first", ("Ann Lee", "Bob Marsh"), 0, settings),
        kept_table(tmp_path, "second", ("Eve Roy", "Bob Marsh"), 20, settings),
    ]
    transcript = tmp_path / "call.vtt"
    turns = ((2, "Ann Lee"), (10, "Bob Marsh"), (25, "Eve Roy"), (35, "Eve Roy"), (44, "Bob Marsh"))
    cues = [f"00:00:{at:02d}.000 --> 00:00:{at + 4:02d}.000\n{name}: We will see.\n" for at, name in turns]
    transcript.write_text("WEBVTT\n\n" + "\n".join(cues))
    request = MeetingRequest(Inputs(tuple(map(str, tables))), transcript, offset=0.0)
    report = report_meeting(request, settings)
    rows = report.tables["utterances"]
    assert all(count > 15 for count in rows["speaker_faces"])
    assert [round(value, 1) for value in rows["speaker_happy"]] == [0.2, 0.7, 0.2, 0.2, 0.7]
    assert [text[:19] for text in rows["clock"][:2]] == ["2026-04-08T14:36:29", "2026-04-08T14:36:37"]
    assert report.asked["recordings"] == [
        {"recording": "first", "begins_s": 0.0, "by": ""},
        {"recording": "second", "begins_s": 20.0, "by": "clock"},
    ]
    views = {row["speaker"]: row["in_view"] for row in report.tables["speakers"].rows(named=True)}
    assert views["Bob Marsh"] == pytest.approx(1, abs=0.02)
    names = tmp_path / "names.csv"  # what is given back says the same
    names.write_text(str(report.files[".names.csv"]))
    again = report_meeting(MeetingRequest(request.inputs, transcript, names, 0.0), settings)
    assert again.tables["utterances"].drop("text").equals(rows.drop("text"))
    since = BEGAN.replace(tzinfo=timezone.utc) + timedelta(seconds=22)
    inputs = Inputs((str(tables[1]),), since=since, until=since + timedelta(seconds=10), zone=timezone.utc)
    part = report_meeting(MeetingRequest(inputs, transcript, offset=-20.0), settings).tables["utterances"]
    assert part["speaker"].to_list() == ["Eve Roy"]
    assert part["start"].to_list() == pytest.approx([3.0], abs=1)
    assert part["speaker_faces"][0] > 15
