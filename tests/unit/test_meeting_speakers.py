"""Speakers in a meeting: whose face is whose, also after they swap tiles; what each showed; who reacts to whom."""

from __future__ import annotations

import re
from pathlib import Path

import cv2
import numpy as np
import polars as pl
import pytest
from seeing import recording, shares

from mien.config import Settings, checked
from mien.errors import InputError
from mien.observation import EMOTIONS
from mien.reports.base.pictures import coarse
from mien.reports.base.places import Place, named_faces, read_places
from mien.reports.base.recordings import Inputs, Recording
from mien.reports.base.transcripts import Utterance
from mien.reports.check import check_report
from mien.reports.meeting.names.csv_file import as_csv, as_places
from mien.reports.meeting.names.places import NamedPlace, ScreenReading, Tile
from mien.reports.meeting.names.strips import tag_strips
from mien.reports.meeting.report import MeetingRequest, report_meeting
from mien.reports.meeting.speaker_page import layout_time
from mien.reports.meeting.speakers import look_at_speakers, turns_of

LENGTH, SWAP = 300.0, 150.0
LEFT, RIGHT, BELOW = (0.0, 0.0, 0.5, 0.5), (0.5, 0.0, 0.5, 0.5), (0.0, 0.5, 0.5, 0.5)
NAMED = [
    NamedPlace("Ann", *LEFT, 0, SWAP, "tag", 0.99),
    NamedPlace("Bob", *RIGHT, 0, SWAP, "tag", 0.98),
    NamedPlace("Ann", *RIGHT, SWAP, LENGTH + 9, "tag", 0.97),
    NamedPlace("Bob", *LEFT, SWAP, LENGTH + 9, "tag", 0.96),
    NamedPlace("Eve", *BELOW, 0, LENGTH + 9, "mouth", 0.9),
]


def conversation() -> list[Utterance]:
    """Ann and Bob in turn, for times that do not repeat, with a pause after each."""
    rng, at, spoken = np.random.default_rng(4), 3.0, []
    while at < LENGTH - 20:
        name = ("Ann", "Bob")[len(spoken) % 2]
        end = at + float(rng.uniform(2, 5))
        spoken.append(Utterance(at, end, name, "We will see."))
        at = end + float(rng.uniform(6, 12))
    return spoken


SPOKEN = conversation()
AFTER_ANN = [(part.end, part.end + 3.0) for part in SPOKEN if part.speaker == "Ann"]


def meeting() -> Recording:
    """Ann is happy, Bob sad; they swap tiles; Eve smiles after Ann's turns; Ann is not to be seen for a minute."""

    def faces(at: float) -> list:
        left, right, below = (100, 50, 60, 60), (420, 50, 60, 60), (100, 230, 60, 60)
        first, second = (left, right) if at < SWAP else (right, left)
        smile = 0.8 if any(start <= at < end for start, end in AFTER_ANN) else 0.1
        eve = [(3, below, shares(happy=smile)), (4, (10, 200, 25, 25), shares(angry=0.9))]
        ann = [] if 200 <= at < 260 else [(1, first, shares(happy=0.7))]
        return [*ann, (2, second, shares(sad=0.6)), *eve]

    return recording(np.arange(0, LENGTH, 0.2), faces)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return checked({"home": tmp_path_factory.mktemp("home")}, "the test")


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A table of the meeting, and its transcript."""
    folder = tmp_path_factory.mktemp("call")
    table, transcript = folder / "call.parquet", folder / "call.vtt"
    meeting().faces.with_columns(pl.col("at").alias("offset_s"), pl.lit("call").alias("source")).write_parquet(table)

    def stamp(at: float) -> str:
        return f"00:{int(at) // 60:02d}:{at % 60:06.3f}"

    cues = [f"{stamp(part.start)} --> {stamp(part.end)}\n{part.speaker}: {part.text}\n" for part in SPOKEN]
    transcript.write_text("WEBVTT\n\n" + "\n".join(cues))
    return table, transcript


def test_people_who_swap_tiles_keep_their_faces() -> None:
    figures = look_at_speakers(meeting(), SPOKEN, as_places(ScreenReading(tuple(NAMED))))
    assert figures is not None
    rows = {(row["speaker"], row["state"]): row for row in figures.states.iter_rows(named=True)}
    assert rows["Ann", "speaking"]["happy"] == pytest.approx(0.7)
    assert rows["Bob", "speaking"]["sad"] == pytest.approx(0.6)
    assert rows["Bob", "listening"]["sad"] == pytest.approx(0.6)
    assert rows["Eve", "speaking"]["happy"] is None  # she never speaks
    assert rows["Eve", "listening"]["angry"] == pytest.approx(0)  # the small portrait in her tile is not she
    hidden = sum(max(0.0, min(part.end, 260) - max(part.start, 200)) for part in SPOKEN if part.speaker == "Ann")
    spoken = sum(part.end - part.start for part in SPOKEN if part.speaker == "Ann")
    assert hidden > 5
    assert figures.in_view("Ann") == pytest.approx(1 - hidden / spoken, abs=0.03)
    assert figures.in_view("Bob") == pytest.approx(1)
    screen = {row["speaker"]: row["screen_share"] for row in figures.screen.iter_rows(named=True)}
    assert screen["Ann"] == pytest.approx(0.8, abs=0.01)
    assert screen["Eve"] == pytest.approx(1)


def test_who_reacts_to_whom_is_told_with_what_chance_gives() -> None:
    figures = look_at_speakers(meeting(), SPOKEN, as_places(ScreenReading(tuple(NAMED))))
    assert figures is not None
    pairs = {(row["listener"], row["speaker"]): row for row in figures.reactions.iter_rows(named=True)}
    eve = pairs["Eve", "Ann"]
    assert eve["reaction"] > 20
    assert eve["reaction"] > eve["high"] > eve["low"]
    for listener, speaker in (("Ann", "Bob"), ("Bob", "Ann")):
        still = pairs[listener, speaker]
        assert still["reaction"] == pytest.approx(0, abs=1e-6)
    assert ("Ann", "Ann") not in pairs
    steady = [Place("Eve", None, BELOW)]
    (few,) = [look_at_speakers(meeting(), SPOKEN[:4], steady)]
    assert few is not None
    assert not len(few.reactions)  # two turns of each


def test_chance_is_no_reaction() -> None:
    """Where smiles know nothing of the turns, about 5 % of the reactions lie beyond what chance gives."""
    beyond = total = 0
    for seed in range(12):
        rng = np.random.default_rng(seed)
        smiles = np.convolve(rng.normal(0, 1, 1600), np.ones(10) / 10, "same") * 0.3 + 0.5
        made = recording(
            np.arange(0, 240, 0.5),
            lambda at, smiles=smiles: [
                (1, (100, 230, 60, 60), shares(happy=float(np.clip(smiles[int(2 * at)], 0, 1))))
            ],
        )
        at, spoken = 2.0, []
        while at < 230:
            spoken.append(Utterance(at, at + 3, ("Ann", "Bob", "Cid")[int(rng.integers(3))], ""))
            at += 3 + float(rng.uniform(3, 9))
        figures = look_at_speakers(made, spoken, [Place("Eve", None, BELOW)])
        assert figures is not None
        for row in figures.reactions.iter_rows(named=True):
            total += 1
            beyond += not row["low"] <= row["reaction"] <= row["high"]
    assert total > 25
    assert beyond <= 5


def test_utterances_of_one_speaker_are_one_turn() -> None:
    spoken = [Utterance(0, 1, "Ann", ""), Utterance(3, 4, "Ann", ""), Utterance(5, 6, "Bob", "")]
    assert turns_of(
        [*spoken, Utterance(7, 8, None, ""), Utterance(20, 21, "Bob", ""), Utterance(40, 41, "Bob", "")]
    ) == [
        ("Ann", 4),
        ("Bob", 6),
        ("Bob", 21),
        ("Bob", 41),
    ]


def test_a_small_tile_in_a_large_one_has_its_face_to_itself() -> None:
    made = recording([0.0], lambda _: [(1, (300, 200, 80, 80), shares()), (2, (20, 20, 40, 40), shares())])
    large, small = Place("Ann", None, (0, 0, 1, 1)), Place("Bob", None, (0, 0, 0.2, 0.2))
    for places in ([large, small], [small, large]):
        assert named_faces(made.faces, places)["speaker"].to_list() == ["Ann", "Bob"]
    nobody = Place("", None, (0, 0, 0.2, 0.2))
    assert named_faces(made.faces, [large, nobody])["track"].to_list() == [1]
    assert named_faces(made.faces, [small, nobody])["speaker"].to_list() == ["Bob"]
    assert named_faces(made.faces, [nobody, small, Place("Eve", 2)])["speaker"].to_list() == ["Eve"]
    assert not len(named_faces(made.faces, [Place("Ann", 1, since=1.0)]))


def test_the_file_of_names_is_read_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "call.names.csv"
    file.write_text(as_csv([*NAMED, NamedPlace("=Ann, Lee", 0.25, 0.25, 0.5, 0.5, 1, np.inf, "hand", 1.0)]))
    assert file.read_text().startswith("speaker,x,y,width,height,from,to,found_by,certainty\n")
    places = read_places(file)
    assert {(place.speaker, place.tile) for place in places} == {
        *((place.speaker, (place.x, place.y, place.width, place.height)) for place in NAMED),
        ("=Ann, Lee", (0.25, 0.25, 0.5, 0.5)),
    }
    assert next(place for place in places if place.speaker == "=Ann, Lee").until == np.inf


def test_a_corrected_file_of_names_is_kept(tmp_path: Path, inputs: tuple[Path, Path], settings: Settings) -> None:
    table, transcript = inputs
    given, page, file = tmp_path / "given.csv", tmp_path / "call.html", tmp_path / "call.names.csv"
    given.write_text(as_csv(NAMED))
    request = MeetingRequest(Inputs((str(table),)), transcript, given)
    assert file in report_meeting(request, settings).write(page)
    first = file.read_bytes()
    assert file in report_meeting(request, settings).write(page)  # as it was written: it is written again
    file.write_bytes(first.replace(b"Bob", b"Rob"))
    again = report_meeting(request, settings)
    assert file not in again.write(page)
    assert b"Rob" in file.read_bytes()
    assert any("call.names.csv" in note and "--speakers" in note for note in again.notes)
    assert file not in report_meeting(request, settings).write(page)  # and once more
    corrected = MeetingRequest(Inputs((str(table),)), transcript, file)
    report_meeting(corrected, settings).write(page)
    assert b"Rob" in file.read_bytes()
    page.with_suffix(".json").unlink()  # now nothing tells who wrote it
    assert file not in report_meeting(request, settings).write(page)
    notes = MeetingRequest(Inputs((str(table),)), tmp_path / "call.notes.vtt", given)
    with pytest.raises(InputError, match="made of it"):
        report_meeting(notes, settings).write(page)


def test_the_page_tells_who_is_where_and_how_sure(
    tmp_path: Path, inputs: tuple[Path, Path], settings: Settings
) -> None:
    table, transcript = inputs
    given = tmp_path / "given.csv"
    given.write_text(as_csv(NAMED))
    made = report_meeting(MeetingRequest(Inputs((str(table),)), transcript, given), settings)
    page = made.html()
    assert "makes people identifiable" in page
    assert page.count("Who is where: ") == 2  # before and after the swap
    assert "beyond chance" in page
    fact = next(fact for fact in made.facts if fact.name == "Speaker's face in view")
    assert fact.value is not None
    assert 0.7 < fact.value < 1
    made.write(tmp_path / "call.html")
    figures = check_report(tmp_path / "call.json")
    assert [figure for figure in figures if not figure.agrees] == []
    names = {figure.name for figure in figures}
    assert {"Ann, speaking: happy", "Eve after Ann: reaction", "Eve after Ann: by chance, upper end"} <= names
    assert "share of screen time of Ann" in names
    for data in made.data:
        assert list(data.table.columns) == list(data.columns)
    made.write(tmp_path / "csv.html", "csv")
    courses = pl.read_csv(tmp_path / "csv.courses.csv")
    courses.with_columns(happy=pl.lit(0.5)).write_csv(tmp_path / "csv.courses.csv")
    wrong = {figure.name for figure in check_report(tmp_path / "csv.json") if not figure.agrees}
    assert {"Ann, speaking: happy", "Eve after Ann: reaction"} <= wrong


def test_nobody_is_named_where_that_was_asked(tmp_path: Path, inputs: tuple[Path, Path], settings: Settings) -> None:
    table, transcript = inputs
    given = tmp_path / "given.csv"
    given.write_text(as_csv(NAMED))
    request = MeetingRequest(Inputs((str(table),)), transcript, given, anonymous=2)
    made = report_meeting(request, settings)
    written = made.write(tmp_path / "out.html")
    assert not [file for file in written if "names" in file.name]
    assert {data.name for data in made.data} == {"utterances", "speakers", "curve"}
    for file in written:
        content = file.read_bytes()
        assert not re.search(rb"\b(Ann|Bob|Eve)\b", content), file


def test_tags_are_hidden_where_faces_are() -> None:
    """No text can be read at the edges of tiles, and none at all where no tile is known."""
    image = np.full((360, 640, 3), 90, np.uint8)
    for x, y in ((8, 170), (330, 20), (8, 350)):
        cv2.putText(image, "Ann Lee", (x, y), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (255, 255, 255), 1)
    tile = Tile(*LEFT, 0, 10, "Ann Lee")
    reading = ScreenReading(tuple(place for place in NAMED if place.start == 0), (), (tile,))

    def contrast(drawn: np.ndarray, x: int, y: int) -> float:
        return float(np.abs(np.diff(drawn[y - 14 : y + 4, x : x + 90].astype(int), axis=1)).max())

    drawn = coarse(image, tag_strips(reading, 5.0))
    for x, y in ((8, 170), (330, 20), (8, 350)):
        assert contrast(image, x, y) > 120
        assert contrast(drawn, x, y) < 90
    middle = (slice(60, 120), slice(20, 300))
    assert (drawn[middle] == image[middle]).all()
    everything = coarse(image, tag_strips(ScreenReading(), 5.0))
    assert all(contrast(everything, x, y) < 90 for x, y in ((8, 170), (330, 20), (8, 350)))
    assert layout_time(NAMED, LENGTH) == pytest.approx(75, abs=0.2)
    assert layout_time([], LENGTH) is None


def test_emotions_are_all_told(inputs: tuple[Path, Path]) -> None:
    figures = look_at_speakers(meeting(), SPOKEN, as_places(ScreenReading(tuple(NAMED))))
    assert figures is not None
    told = figures.states.filter(pl.col("happy").is_not_null()).select(EMOTIONS).sum_horizontal()
    assert told.to_list() == pytest.approx([1.0] * len(told))
