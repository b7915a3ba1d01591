"""Names read off a meeting's picture: tags, tiles, the speaker's frame, the clock, and what is never made up."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from msgspec.structs import replace

from meetings import SIZES, Meeting, Person, attributed, irregular
from mien.config import Settings, checked
from mien.errors import ModelError
from mien.observation import EMOTIONS
from mien.reports.base.job import Job
from mien.reports.base.recordings import Inputs
from mien.reports.base.transcripts import Utterance
from mien.reports.meeting.names import scan, search
from mien.reports.meeting.names.clock import begin_of, clock_in
from mien.reports.meeting.names.highlight import highlighted
from mien.reports.meeting.names.highlight_names import agreement, with_highlights
from mien.reports.meeting.names.matching import alike, is_generic, match
from mien.reports.meeting.names.mouth_names import with_mouths
from mien.reports.meeting.names.mouths import MouthWatch
from mien.reports.meeting.names.naming import Camera, Seen, named
from mien.reports.meeting.names.places import Highlight, NamedPlace, ScreenReading
from mien.reports.meeting.names.search import with_speakers
from mien.reports.meeting.names.tags import TextReader, can_read
from mien.reports.meeting.names.tiles import cut, overlap
from mien.reports.meeting.report import MeetingRequest, report_meeting

SPEAKERS = ["Ann Lee", "Bob Smith", "Zoë Müller-Lang", "李小龙", "Orlov, Dmitri", "Grace O'Neill", "Ann Kim", "Ian Roy"]
SPEAKERS += ["Amir", "José Ruiz", "たけだ", "राम"]

if not can_read():
    if os.environ.get("CI"):
        pytest.fail("the packages of the extra names are not installed", pytrace=False)
    pytest.skip("needs the extra names", allow_module_level=True)


@pytest.mark.parametrize(
    ("tag", "score", "name"),
    [
        ("Ann Lee", 0.99, "Ann Lee"),
        ("  ANN   LEE ", 0.99, "Ann Lee"),
        ("Ann Lee (Host, me)", 0.99, "Ann Lee"),
        ("Zoe Müller-Lang (she/her)", 0.98, "Zoë Müller-Lang"),
        ("Bob Smith | Contoso", 0.99, "Bob Smith"),
        ("Bob Smi…", 0.99, "Bob Smith"),
        ("Grac...", 0.99, "Grace O'Neill"),
        ("Dmitri Orlov", 0.99, "Orlov, Dmitri"),
        ("Bob", 0.99, "Bob Smith"),
        ("李小龙", 0.9, "李小龙"),
        ("OBob Smith", 0.9, "Bob Smith"),  # a microphone, read as a letter
        ("Bob Smlth", 0.85, "Bob Smith"),
        ("B0b Smith", 0.99, "Bob Smith"),
        ("lan Roy", 0.99, "Ian Roy"),
        ("Zo Müller-Lang", 0.99, "Zoë Müller-Lang"),
        ("Anna Lee", 0.99, None),
        ("Jos Ruiz", 0.99, "José Ruiz"),
        ("Josef Ruiz", 0.99, None),
        ("たけた", 0.99, None),
        ("रीमा", 0.99, None),
        ("Zoey Müller-Lang", 0.99, None),
        ("Ann Lee / Bob Smith", 0.99, None),  # both before one camera
        ("Rima", 0.99, None),  # Amir, backwards
        ("Lan Roy", 0.99, None),
        ("Bob Smyth", 0.99, None),
        ("Rob Smith", 0.8, None),
        ("Ann", 0.99, None),  # two of them
        ("Ann…", 0.99, None),
        ("Ann's iPad", 0.99, None),
        ("Ann Lee's iPhone", 0.99, None),
        ("Bob Smith is sharing", 0.99, None),
        ("Where is Bob Smith?", 0.99, None),
        ("", 0.99, None),
    ],
)
def test_a_tag_is_its_speakers_or_nobodys(tag: str, score: float, name: str | None) -> None:
    fit = match(tag, score, SPEAKERS)
    assert (fit.speaker if fit else None) == name


def test_a_clear_reading_is_of_the_same_tag_but_for_letters_that_are_confused() -> None:
    assert all(alike(text, 0.99, "Farid Müller") for text in ("Farld Müller", "Farid Muller (Host)", "Farid Mller"))
    assert not any(alike(text, 0.99, "Tim Cole") for text in ("Tom Cole", "Tim Cale", "Jim Cole", "Tim", ""))
    assert alike("Tom Cale", 0.8, "Tim Cole")


def test_numbered_speakers_have_no_name() -> None:
    assert [is_generic(name) for name in (None, "", "Speaker 1", "SPEAKER_02", "Sprecher 3", "Ann")] == [True] * 5 + [
        False
    ]


def test_the_clock_gives_the_beginning() -> None:
    begin = datetime(2020, 4, 8, 14, 36, 27)  # noqa: DTZ001
    readings = [(at, clock_in(text)) for at, text in ((0.4, "2020-04-08 14:36:27"), (7.9, "2020-04-08 14:36:34"))]
    found = begin_of((at, shown) for at, shown in readings if shown)
    assert found is not None
    assert abs((found - begin).total_seconds()) < 1
    assert clock_in("2020-04-08 14:36:27 UTC") == begin
    assert [clock_in(text) for text in ("14:36", "2020-13-08 14:36:27", "Ann 2020-04-08 14:36:27")] == [None] * 3
    assert begin_of([(0.0, begin)]) is None
    assert begin_of([(0.0, begin), (5.0, begin.replace(hour=3)), (9.0, begin.replace(day=2))]) is None


@pytest.mark.parametrize("look", ["zoom", "teams", "meet", "webex"])
@pytest.mark.parametrize(("layout", "count"), [("gallery", 2), ("gallery", 7), ("speaker", 5), ("share", 4)])
def test_every_tile_is_found_and_the_speakers_is_the_framed_one(look: str, layout: str, count: int) -> None:
    people = [Person(f"Person {number}") for number in range(count)]
    meeting = Meeting(people, look=look, layout=layout, seconds=4, turns=[(0.0, 2.0, 1)])
    picture = meeting.picture(1.0)
    tiles = cut(picture)
    truth = [rect for _, rect in meeting.tiles(1.0)]
    assert all(max(overlap(rect, tile) for tile in tiles) > 0.85 for rect in truth)
    lit = highlighted(picture, tiles)
    if layout == "speaker":  # the speaker is framed in the strip and large
        assert lit is None
    else:
        assert lit is not None
        assert overlap(tiles[lit], truth[1]) > 0.85
    assert highlighted(meeting.picture(3.0), tiles) is None


def test_a_gallery_of_49_is_cut_and_a_picture_without_background_is_not() -> None:
    people = [Person(f"P{number}") for number in range(49)]
    assert len(cut(Meeting(people, seconds=1, tags=False, turns=[(0.0, 0.1, 0)]).picture(0.5))) == 49
    alone = Meeting(people[:1], layout="alone", seconds=1, tags=False, turns=[(0.0, 0.1, 0)]).picture(0.5)
    assert cut(alone) == [(0, 0, 1280, 720)]


@pytest.fixture(scope="module")
def call(tmp_path_factory: pytest.TempPathFactory) -> tuple[Meeting, Path]:
    """Four people at 360p: two swap their tiles as somebody leaves; one is no speaker, one has an iPad's tag."""
    people = [
        Person("Ann Lee", "Ann Lee (Host)"),
        Person("Bob Marsh", goes=4.6),
        Person("Dmitri Orlov", "Dmitri's iPad"),
        Person("Carla Mond"),
    ]
    turns = [(0.2, 1.6, 0), (1.8, 3.2, 1), (3.4, 4.4, 2), (5.0, 6.4, 3), (6.6, 7.8, 0)]
    clock = datetime(2020, 4, 8, 14, 36, 27)  # noqa: DTZ001
    meeting = Meeting(people, SIZES["360p"], seconds=8, swap=4.6, fps=5, turns=turns, clock=clock)
    return meeting, meeting.write(tmp_path_factory.mktemp("call") / "call.mp4")


@pytest.fixture(scope="module")
def reader() -> TextReader:
    return TextReader()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return checked({"home": tmp_path / "home"}, "the test")


def test_a_recording_names_its_speakers_once_and_without_a_network(
    call: tuple[Meeting, Path], settings: Settings, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: Any) -> None:
        raise AssertionError("it asked the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    meeting, path = call
    steps: list[str] = []
    names = [person.name for person in meeting.people]
    reading = scan.read_screen(str(path), names, settings, Job(lambda step, _done, _total: steps.append(step)))
    seconds = attributed(meeting, reading.places)
    assert seconds["wrong"] == 0
    assert {place.speaker for place in reading.places} == {"Ann Lee", "Bob Marsh", "Carla Mond"}  # not the iPad's
    others = sum(seconds.values()) - 1.0  # what Dmitri says stays open
    assert seconds["right"] >= 0.95 * others
    assert reading.clock is not None
    assert abs((reading.clock - meeting.clock).total_seconds()) <= 1  # type: ignore[operator]
    assert any("Dmitri Orlov" in note for note in reading.notes)
    assert steps
    assert capfd.readouterr() == ("", "")
    steps.clear()
    monkeypatch.setattr(scan, "TextReader", refuse)  # it is read once for any transcript
    again = scan.read_screen(
        str(path), ["Somebody Else"], settings, Job(lambda step, _done, _total: steps.append(step))
    )
    assert not again.places
    assert not steps
    assert any("Ann Lee" in note for note in again.notes)  # what was seen is told


def test_a_report_knows_whose_face_it_is(
    call: tuple[Meeting, Path], tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    meeting, path = call
    inputs, transcript = Inputs((str(path),)), meeting.transcript(tmp_path / "call.vtt")
    for hidden in ({"blur": True}, {"anonymous": 2}, {"names": False}):
        request = MeetingRequest(inputs, transcript, offset=0.0, **hidden)
        assert not request.reads_names
    report = report_meeting(MeetingRequest(inputs, transcript, offset=0.0), settings)
    rows = next(part.table for part in report.data if part.name == "utterances")
    own = dict(zip(rows["utterance"], rows["speaker_faces"], strict=True))
    assert all(own[number] for number in (1, 2, 4, 5))
    assert not own[3]
    assert meeting.clock is not None
    begins = [datetime.fromisoformat(text) for text in rows["clock"]]
    expected = [meeting.clock + timedelta(seconds=start) for start, *_ in meeting.turns]
    assert all(abs(begin - time) <= timedelta(seconds=1) for begin, time in zip(begins, expected, strict=True))
    assert f"{begins[0]:%H:%M:%S}" in str(report.sections)
    plain = report_meeting(MeetingRequest(inputs, transcript, offset=0.0, names=False), settings)
    assert not any("tag" in note for note in plain.notes)
    words = next(part.table for part in plain.data if part.name == "utterances")
    assert words["clock"].null_count() == len(words)
    monkeypatch.setattr(search, "can_read", lambda: False)
    without = report_meeting(MeetingRequest(inputs, transcript, offset=0.0), settings)
    assert any("extra names" in note for note in without.notes)


def test_who_comes_in_place_of_somebody_of_a_similar_name_is_not_that_one(reader: TextReader) -> None:
    people, turns = [Person("Tim Cole"), Person("Tom Cole")], [(0.2, 1.4, 0), (1.5, 3.1, 1)]
    meeting = Meeting(people, SIZES["360p"], layout="alone", seconds=3.2, fps=5, turns=turns)
    watch = scan.ScreenWatch(reader)
    for number in range(16):
        watch.see(meeting.picture(number / 5), number / 5)
    places = named(watch.seen(), ["Tim Cole", "Tom Cole"]).places
    assert [place.speaker for place in places] == ["Tim Cole", "Tom Cole"]
    assert places[0].end < 1.8


def test_short_turns_are_named_from_their_first_frame_to_their_last(reader: TextReader) -> None:
    people = [Person("Ann Lee"), Person("Bob Marsh"), Person("Ann Leeman")]
    turns = [(0.0, 1.7, 0), (1.7, 2.9, 1), (2.9, 4.1, 2), (4.1, 5.0, 0)]
    meeting = Meeting(people, SIZES["360p"], layout="alone", seconds=5, turns=turns)
    watch = scan.ScreenWatch(reader)
    for at in np.arange(0, 5, 0.2).tolist():
        watch.see(meeting.picture(at), at)
    reading = named(watch.seen(), [person.name for person in people])
    seconds = attributed(meeting, reading.places)
    assert seconds["wrong"] == 0
    assert seconds["right"] >= 0.95 * sum(seconds.values())


def slide(size: tuple[int, int]) -> Callable[[float], np.ndarray]:
    """People without tags beside a slide with names."""
    people, lines = (
        [Person(f"Guest {number}") for number in range(3)],
        tuple(SPEAKERS[number] for number in (0, 1, 6, 7)),
    )
    return Meeting(people, size, layout="share", seconds=2, tags=False, slide=lines).picture


def grid(size: tuple[int, int]) -> Callable[[float], np.ndarray]:
    """Somebody without a tag over a slide whose names stand in rows and columns, as tags do."""
    meeting = Meeting([Person("Guest")], size, layout="overlay", seconds=2, tags=False, slide=())

    def picture(at: float) -> np.ndarray:
        shown, (x, y, wide, high) = meeting.picture(at), meeting.tiles(at)[0][1]
        face = shown[y : y + high, x : x + wide].copy()
        for number, name in enumerate((SPEAKERS[0], SPEAKERS[1], "Ann Kim", "Ian Roy", "Kim Ode", "Eve Roy") * 2):
            where = 30 + number % 3 * size[0] // 3, 60 + number // 3 * size[1] // 4
            cv2.putText(shown, name, where, cv2.FONT_HERSHEY_SIMPLEX, 0.6, (60, 30, 20), 1, cv2.LINE_AA)
        shown[y : y + high, x : x + wide] = face
        return shown

    return picture


def film(size: tuple[int, int]) -> Callable[[float], np.ndarray]:
    """Somebody who fills the picture, with subtitles, some of which are a name."""
    meeting = Meeting([Person("Guest")], size, layout="alone", seconds=6, tags=False)
    lines = ("Where is Bob Smith?", "Ann Lee!", "I do not know.", "Bob Smith", "He went home.", "Then we go, too.")

    def picture(at: float) -> np.ndarray:
        shown, line = meeting.picture(at), lines[int(at) % len(lines)]
        (wide, _), _ = cv2.getTextSize(line, cv2.FONT_HERSHEY_SIMPLEX, 0.7, 2)
        for colour, thick in (((0, 0, 0), 5), ((255, 255, 255), 2)):
            where = (size[0] - wide) // 2, size[1] - 16
            cv2.putText(shown, line, where, cv2.FONT_HERSHEY_SIMPLEX, 0.7, colour, thick, cv2.LINE_AA)
        return shown

    return picture


def crowd(size: tuple[int, int]) -> Callable[[float], np.ndarray]:
    """Forty-nine people with tags that are too small."""
    return Meeting([Person(f"{SPEAKERS[k % 8]} {k}") for k in range(49)], size, seconds=2).picture


@pytest.mark.parametrize(
    ("drawn", "seconds", "fact"), [(slide, 1.6, "tiles"), (grid, 1.6, ""), (film, 6, ""), (crowd, 1.7, "49 tiles")]
)
def test_what_is_no_name_tag_gives_nobody_a_face(
    drawn: Callable[[tuple[int, int]], Callable[[float], np.ndarray]], seconds: float, fact: str, reader: TextReader
) -> None:
    watch, picture = scan.ScreenWatch(reader), drawn(SIZES["360p"])
    for at in np.arange(0, seconds, 0.4).tolist():
        watch.see(picture(at), at)
    reading = named(watch.seen(), SPEAKERS)
    assert not reading.places
    assert any(fact in note for note in reading.notes), reading.notes


def test_another_recogniser_is_checked(tmp_path: Path) -> None:
    model = tmp_path / "model.onnx"
    with pytest.raises(ModelError, match=r"model\.onnx.*no such file"):
        TextReader(model)
    model.write_bytes(b"no model")
    with pytest.raises(ModelError, match=r"model\.onnx.*no ONNX"):
        TextReader(model)


TILES = [(0, 0, 320, 180), (320, 0, 320, 180), (0, 180, 320, 180)]


def camera(
    box: tuple[int, int, int, int], text: str, start: float = 0.0, end: float = 60.0, motion: float = 3.0
) -> Camera:
    return Camera(box, start, end, {text: 0.99} if text else {}, False, 100 * motion, 100)


def seen(*cameras: Camera, lit: list[tuple[float, tuple[int, int, int, int]]] | None = None) -> Seen:
    return Seen((640, 360), list(cameras), lit or [], [], 0.0, 61.0)


def test_two_tiles_that_were_not_cut_apart_are_nobodys() -> None:
    both, above = (0, 0, 640, 180), (0, 0, 320, 360)
    for merged in (both, above):
        reading = named(seen(camera(merged, "Ann Lee"), camera(TILES[0], "Bob Smith", 70.0, 90.0)), SPEAKERS)
        assert [place.speaker for place in reading.places] == ["Bob Smith"]


def test_a_photograph_with_a_name_is_nobodys_face() -> None:
    reading = named(seen(camera(TILES[0], "Ann Lee", motion=0.02), camera(TILES[1], "Bob Smith")), SPEAKERS)
    assert [place.speaker for place in reading.places] == ["Bob Smith"]


def test_two_of_a_name_are_told_apart_by_the_frame_alone() -> None:
    lit = [(at, TILES[1]) for at in np.arange(10, 12, 0.4).tolist()]
    reading = named(seen(camera(TILES[0], "Ann Lee"), camera(TILES[1], "Ann Lee (Guest)"), lit=lit), SPEAKERS)
    assert [(place.x, place.start, place.found_by) for place in reading.places] == [(0.5, 10.0, "highlight")]
    assert any("Two tiles" in note for note in reading.notes)


def test_one_person_large_and_small_is_one_and_the_small_tile_is_no_part_of_another() -> None:
    large, small = (0, 0, 640, 360), (480, 0, 160, 90)
    reading = named(seen(camera(large, "Ann Lee"), camera(small, "Bob Smith")), SPEAKERS)
    for place in reading.places:
        if place.speaker == "Ann Lee":
            assert place.x + place.width <= 0.75 or place.y >= 0.25
    both = named(seen(camera(large, "Ann Lee"), camera(small, "Ann Lee")), SPEAKERS)
    assert {place.speaker for place in both.places} == {"Ann Lee"}


def test_subtitles_are_no_tags() -> None:
    texts = ("Bob Smith", "Where is he?", "I do not know.", "Ann Lee", "He went home.")
    film = [camera((0, 0, 640, 360), text, 3.0 * number, 3.0 * number + 2) for number, text in enumerate(texts)]
    assert not named(seen(*film), SPEAKERS).places


def test_numbered_speakers_take_the_name_of_the_framed_tile() -> None:
    places = (NamedPlace("Ann", 0, 0, 0.5, 1, 0, 99, "tag", 1.0), NamedPlace("Bob", 0.5, 0, 0.5, 1, 0, 99, "tag", 1.0))
    reading = ScreenReading(places, (Highlight(10, 20, 0, 0, 0.5, 1), Highlight(20, 22, 0.5, 0, 0.5, 1)))
    parts = [
        Utterance(1, 8, "Speaker 1", "a"),
        Utterance(9.4, 11.4, None, "b"),
        Utterance(3, 5, "Eve", "c"),
        Utterance(60, 62, None, "d"),
    ]
    assert [part.speaker for part in with_speakers(parts, 10.0, reading)] == ["Ann", "Bob", "Eve", None]
    numbered = (NamedPlace("Speaker 2", 0, 0, 0.5, 1, 0, 99, "hand", 1.0), places[1])
    assert with_speakers(parts, 10.0, ScreenReading(numbered, reading.spoken))[0].speaker == "Speaker 1"
    apart = (*reading.spoken, Highlight(11, 18, 0.5, 0, 0.5, 1))  # two pictures that do not agree
    assert with_speakers(parts, 10.0, ScreenReading(places, apart))[0].speaker == "Speaker 1"


FACES = [(108, 12, 104, 132), (428, 12, 104, 132)]


def two_without_tags(turns: list[tuple[float, float, int]], seconds: float) -> Meeting:
    people = [Person(name) for name in SPEAKERS[:2]]
    drawn = {"tags": False, "highlight": False, "talk": True}
    return Meeting(people, (640, 180), seconds=seconds, fps=5, turns=turns, **drawn)


def spoken(turns: list[tuple[float, float, int]]) -> list[Utterance]:
    return [Utterance(start, end, SPEAKERS[who], "We will see.") for start, end, who in turns]


@pytest.fixture(scope="module")
def untagged() -> tuple[Meeting, Seen]:
    """Two people without tags, who speak in turn and move their mouths then."""
    meeting = two_without_tags(irregular(21, 2, 70), 70)
    return meeting, watched([meeting.picture(at) for at in np.arange(0, 70, 0.2).tolist()])


def watched(pictures: list[np.ndarray]) -> Seen:
    """Return what is seen of a meeting of two whose faces are known, five pictures a second."""
    watch = MouthWatch()
    for number, picture in enumerate(pictures):
        watch.see(picture, number / 5, FACES)
    end = len(pictures) / 5
    return Seen((640, 180), [camera(tile, "", 0.0, end) for tile in TILES[:2]], [], [], 0.0, end, watch.runs)


def test_mouths_name_faces_without_a_tag_and_a_tag_wins(untagged: tuple[Meeting, Seen]) -> None:
    meeting, seen = untagged
    reading = with_mouths(named(seen, SPEAKERS[:2]), spoken(meeting.turns))
    assert [(place.speaker, place.x, place.found_by) for place in reading.places] == [
        ("Ann Lee", 0.0, "mouth"),
        ("Bob Smith", 0.5, "mouth"),
    ]
    assert all(0.5 < place.certainty < 1 for place in reading.places)
    assert "Ann Lee" in reading.notes[-1]
    assert "mouth" in reading.notes[-1]
    backwards = [(70 - end, 70 - start, who) for start, end, who in meeting.turns]
    for others in (backwards, *(irregular(seed, 2, 70) for seed in range(22, 62))):
        assert not with_mouths(named(seen, SPEAKERS[:2]), spoken(others)).places
    tagged = replace(seen, cameras=[camera(TILES[0], "Ann Kim"), camera(TILES[1], "", 0.0, 70.0)])
    reading = with_mouths(named(tagged, SPEAKERS), spoken(meeting.turns))
    assert [(place.speaker, place.x, place.found_by) for place in reading.places] == [
        ("Ann Kim", 0.0, "tag"),
        ("Bob Smith", 0.5, "mouth"),
    ]


def test_where_nothing_moves_nobody_is_named(untagged: tuple[Meeting, Seen]) -> None:
    meeting, _ = untagged
    seen = watched([meeting.picture(0.0)] * 350)
    assert [len(run.times) for run in seen.mouths] == [349, 349]
    assert not with_mouths(named(seen, SPEAKERS[:2]), spoken(meeting.turns)).places


def test_another_face_in_a_place_is_measured_by_itself(untagged: tuple[Meeting, Seen]) -> None:
    meeting, _ = untagged
    pictures = [meeting.picture(at) for at in (0.0, 0.2, 0.4)]
    turned = [np.ascontiguousarray(picture[::-1]) for picture in pictures]
    runs = watched([*pictures, *turned]).mouths
    assert [len(run.times) for run in runs] == [2, 2, 2, 2]


def test_a_report_proposes_names_by_mouths(untagged: tuple[Meeting, Seen], tmp_path: Path, settings: Settings) -> None:
    meeting, seen = untagged
    path = two_without_tags(meeting.turns, 2).write(tmp_path / "call.mp4")
    how = {"stream": None, "fps_in": None}
    times = np.arange(0, 2, 0.2).round(3).tolist()
    reading = scan.read_screen(str(path), SPEAKERS, settings, how=how, faces=dict.fromkeys(times, FACES))
    assert [len(mouth.times) for mouth in reading.mouths] == [9, 9]
    table = tmp_path / "call.csv"
    columns = ["file", "offset_s", "track", "x", "y", "width", "height", "frame_width", "frame_height", "emotion"]
    rows = [
        [path, round(at, 3), track, *box, 640, 180, "neutral", *[1 / 7] * 7]
        for at in np.arange(0, 70, 0.2).tolist()
        for track, box in enumerate(FACES)
    ]
    table.write_text("\n".join(",".join(map(str, line)) for line in ([*columns, *EMOTIONS], *rows)))
    transcript = meeting.transcript(tmp_path / "call.vtt")
    scan._keep(scan._kept(str(path), settings, None, how), seen)
    inputs = Inputs((str(table),))
    report = report_meeting(MeetingRequest(inputs, transcript, offset=0.0), settings)
    lines = [line.split(",") for line in str(report.files[".names.csv"]).splitlines()]
    assert [(line[0], line[-2]) for line in lines[1:]] == [("Ann Lee", "mouth"), ("Bob Smith", "mouth")]
    assert any("mouth" in note for note in report.notes)
    plain = report_meeting(MeetingRequest(inputs, transcript, offset=0.0, names=False), settings)
    assert ".names.csv" not in plain.files
    assert not any("mouth" in note for note in plain.notes)


@pytest.fixture(scope="module")
def framed() -> tuple[Meeting, Seen]:
    """Three people without tags, framed 0.6 s late as they speak."""
    people, turns = [Person(name) for name in SPEAKERS[:3]], irregular(7, 3, 90)
    meeting = Meeting(people, (640, 360), seconds=90, turns=turns, tags=False, late=0.6)
    boxes = dict(meeting.tiles(0.0))
    lit = [(at, boxes[who]) for at in np.arange(0, 90, 0.4).tolist() if (who := meeting.speaker(at - 0.6)) is not None]
    return meeting, Seen((640, 360), [camera(box, "", 0.0, 90.0) for box in boxes.values()], lit, [], 0.0, 90.0)


def test_tiles_without_a_tag_are_named_by_the_frame_around_the_speaker(framed: tuple[Meeting, Seen]) -> None:
    meeting, seen = framed
    reading = with_highlights(named(seen, SPEAKERS[:3]), spoken(meeting.turns))
    seconds = attributed(meeting, reading.places)
    assert seconds["wrong"] == 0
    assert seconds["right"] > 0.95 * sum(seconds.values())
    assert {place.found_by for place in reading.places} == {"highlight"}
    assert "framed" in reading.notes[-1]
    numbered = [
        replace_speaker(part, f"Speaker {1 + SPEAKERS.index(part.speaker or '')}") for part in spoken(meeting.turns)
    ]
    places = with_highlights(named(seen, []), numbered).places
    assert {place.speaker for place in places} == {"Speaker 1", "Speaker 2", "Speaker 3"}
    as_one = [replace_speaker(part, "Speaker 1") for part in numbered]
    assert not with_highlights(named(seen, []), as_one).places
    for seed in range(30, 60):
        others = with_highlights(named(seen, SPEAKERS[:3]), spoken(irregular(seed, 3, 90)))
        assert not others.places


def test_a_tag_goes_before_the_frame_and_who_moves_is_named_where_it_holds(framed: tuple[Meeting, Seen]) -> None:
    meeting, seen = framed
    tagged = replace(seen, cameras=[camera(seen.cameras[0].box, "Bob Smith", 0.0, 90.0), *seen.cameras[1:]])
    places = with_highlights(named(tagged, SPEAKERS[:3]), spoken(meeting.turns)).places
    assert sorted((place.speaker, place.found_by) for place in places) == [
        ("Bob Smith", "tag"),
        (SPEAKERS[2], "highlight"),
    ]
    swapped = [(start, end, (who + 1) % 3 if start > 70 else who) for start, end, who in meeting.turns]
    for place in with_highlights(named(seen, SPEAKERS[:3]), spoken(swapped)).places:
        assert place.end < 80
        assert place.x == pytest.approx(meeting.tiles(0.0)[SPEAKERS.index(place.speaker)][1][0] / 640, abs=0.01)


def test_the_notes_tell_whether_frames_and_transcript_agree(framed: tuple[Meeting, Seen]) -> None:
    meeting, seen = framed
    cameras = [camera(tile.box, name, 0.0, 90.0) for tile, name in zip(seen.cameras, SPEAKERS, strict=False)]
    reading = named(replace(seen, cameras=cameras), SPEAKERS[:3])
    assert ["100 %" in note for note in agreement(reading, spoken(meeting.turns))] == [True]
    (note,) = agreement(reading, spoken(irregular(31, 3, 90)))
    assert "another meeting" in note
    assert not agreement(named(seen, SPEAKERS[:3]), spoken(meeting.turns))


def replace_speaker(part: Utterance, speaker: str) -> Utterance:
    return Utterance(part.start, part.end, speaker, part.text)
