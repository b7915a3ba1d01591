"""The meeting report: transcripts of every form, the offset, who looked how, and what the page says of consent."""

from __future__ import annotations

import dataclasses
import zipfile
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import polars as pl
import pytest
from seeing import recording, shares

from mien.config import Settings, checked
from mien.errors import InputError
from mien.observation import EMOTIONS
from mien.reports.base.places import Place, read_places
from mien.reports.base.recordings import Inputs, Recording
from mien.reports.base.transcripts import Utterance, read_transcript
from mien.reports.check import check_report
from mien.reports.meeting.figures import heard, moods
from mien.reports.meeting.offset import find_offset
from mien.reports.meeting.report import MeetingRequest, report_meeting
from mien.reports.meeting.words import judge, read_lexicon

FORMS = {
    "zoom.vtt": "WEBVTT\n\n1\n00:00:03.000 --> 00:00:05.500\nAnn Lee: Hello: all\n\n"
    "2\n00:00:06.000 --> 00:00:08.000\nBob: Hi\n",
    "teams.vtt": "WEBVTT\n\n"
    "ab/1-0\n00:00:03.000 --> 00:00:05.500\n<v Ann Lee>Hello: all</v>\n\n00:00:06.000 --> 00:00:08.000\n"
    "<v.loud Bob>Hi</v>\n",
    "zoom.srt": "1\n00:00:03,000 --> 00:00:05,500\nAnn Lee: Hello: all\n2\n00:00:06,000 --> 00:00:08,000\nBob: Hi\n",
    "chat.txt": "00:00:03\t From Ann Lee to Everyone:\n\tHello: all\n00:00:06\t Bob:\tHi\n",
    "teams.txt": "Transcript\nAnn Lee   0:03\nHello: all\n\nBob   0:06\nHi\n",
    "meet.txt": "Weekly\nAttendees\nAnn Lee, Bob\n00:00:03\n\nAnn Lee: Hello: all\n00:00:06\n\nBob: Hi\n",
}


@pytest.mark.parametrize("name", FORMS)
def test_every_form_of_transcript_is_read(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(FORMS[name])
    found = read_transcript(tmp_path / name).utterances
    assert [(one.start, one.speaker, one.text) for one in found] == [(3.0, "Ann Lee", "Hello: all"), (6.0, "Bob", "Hi")]
    assert all(one.end > one.start for one in found)


def test_a_word_file_is_read(tmp_path: Path) -> None:
    paragraphs = "".join(f"<w:p><w:r><w:t>{line}</w:t></w:r></w:p>" for line in FORMS["teams.txt"].split("\n"))
    space = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
    with zipfile.ZipFile(tmp_path / "t.docx", "w") as archive:
        archive.writestr(
            "word/document.xml", f'<w:document xmlns:w="{space}"><w:body>{paragraphs}</w:body></w:document>'
        )
    assert [utterance.speaker for utterance in read_transcript(tmp_path / "t.docx").utterances] == ["Ann Lee", "Bob"]
    with zipfile.ZipFile(tmp_path / "bad.docx", "w") as archive:
        archive.writestr("word/document.xml", '<!DOCTYPE x [<!ENTITY a "aaaa">]><w:document/>')
    with pytest.raises(InputError, match="document type"):
        read_transcript(tmp_path / "bad.docx")


def test_words_before_a_colon_are_no_speaker_where_that_is_rare(tmp_path: Path) -> None:
    cues = [f"00:{n:02d}.000 --> 00:{n:02d}.900\n{'Note: this' if n == 4 else 'plain words'}\n" for n in range(9)]
    (tmp_path / "a.vtt").write_text("WEBVTT\n\n" + "\n".join(cues))
    assert not [utterance.speaker for utterance in read_transcript(tmp_path / "a.vtt").utterances if utterance.speaker]


def test_cues_of_older_teams_begin_with_the_name(tmp_path: Path) -> None:
    file = tmp_path / "teams.vtt"
    said = [("Lee, Ann", "Good morning"), ("Bob", "Hi\nall"), ("Lee, Ann", "So"), ("Bob", "Yes")]
    cues = "".join(f"0:0:{n}.0 --> 0:0:{n}.900\n{name}\n{words}\n\n" for n, (name, words) in enumerate(said))
    file.write_text(f"WEBVTT\n\n{cues}")
    found = [(utterance.speaker, utterance.text) for utterance in read_transcript(file).utterances]
    assert found == [(name, words.replace("\n", " ")) for name, words in said]
    lines = "".join(f"0:0:{n}.0 --> 0:0:{n}.900\nLine {n} of a\nsubtitle\n\n" for n in range(4))
    file.write_text(f"WEBVTT\n\n{lines}")
    assert {utterance.speaker for utterance in read_transcript(file).utterances} == {None}


def test_what_is_wrong_with_a_transcript_is_noted(tmp_path: Path) -> None:
    text = (
        "WEBVTT\n\n00:10.000 --> 00:12.000\nsp\u00e4ter\n\n00:01.000 --> 00:05.000\nfirst\n\n"
        "00:08.000 --> 00:04.000\nreversed\n"
    )
    (tmp_path / "odd.vtt").write_bytes(text.encode("cp1252"))
    found = read_transcript(tmp_path / "odd.vtt")
    assert [utterance.text for utterance in found.utterances] == ["first", "reversed", "sp\u00e4ter"]
    said = " ".join(found.notes)
    assert "Windows-1252" in said
    assert "1 cue ends before" in said
    assert "were sorted" in said
    assert "before has ended" in said


@pytest.mark.parametrize("content", [b"\x00\x01\x02" * 50, b"only words", b"PK\x03\x04 no zip"])
def test_a_transcript_without_times_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "t.vtt").write_bytes(content)
    with pytest.raises(InputError, match=r"t\.vtt"):
        read_transcript(tmp_path / "t.vtt")


def write_sound(path: Path, spoken: list[tuple[float, float]], length: float) -> Path:
    """Write a sound file with noise while somebody speaks."""
    rng, rate = np.random.default_rng(0), 8000
    times = np.arange(int(length * rate)) / rate
    loud = np.zeros(len(times))
    for start, end in spoken:
        loud[(times >= start) & (times < end)] = 0.3
    samples = (rng.normal(0, 1, len(times)) * (loud + 0.01) * 9000).clip(-32768, 32767).astype(np.int16)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=rate, layout="mono")
        for first in range(0, len(samples), 8000):
            frame = av.AudioFrame.from_ndarray(samples[None, first : first + 8000], format="s16", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = rate, first, Fraction(1, rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def conversation(length: float, seed: int = 2) -> list[tuple[float, float]]:
    rng, at, turns = np.random.default_rng(seed), 0.0, []
    while at < length - 12:
        at += float(rng.uniform(0.5, 6))
        end = at + float(rng.uniform(1, 5))
        turns.append((at, end))
        at = end
    return turns


@pytest.mark.parametrize("moved", [-42.0, 0.0, 17.3])
def test_the_offset_is_found_from_the_sound(tmp_path: Path, moved: float) -> None:
    spoken = [(start, end) for start, end in conversation(240) if start + min(0, moved) > 0]
    said = [Utterance(start - moved, end - moved, None, "words") for start, end in spoken if start - moved >= 0]
    found = find_offset(write_sound(tmp_path / "a.wav", spoken, 240), said)
    assert found is not None
    assert found.seconds == pytest.approx(moved, abs=0.3)


def test_no_offset_is_made_up(tmp_path: Path) -> None:
    sound = write_sound(tmp_path / "a.wav", conversation(240, seed=5), 240)
    assert find_offset(sound, [Utterance(start, end, None, "") for start, end in conversation(240, seed=6)]) is None
    assert find_offset(tmp_path / "none.wav", [Utterance(0, 1, None, "")]) is None


def meeting() -> Recording:
    """Ann smiles on the left while she speaks, Bob is sad on the right."""

    def faces(at: float) -> list:
        ann = shares(happy=0.9) if at % 20 < 10 else shares(happy=0.1)
        return [(1, (100, 100, 80, 80), ann), (2, (400, 100, 80, 80), shares(sad=0.6, happy=0.1))]

    return recording(np.arange(0, 100, 0.2), faces)


SAID = [
    Utterance(20.0 * n + part, 20.0 * n + part + 8, name, words)
    for n in range(5)
    for part, name, words in ((1.0, "Ann", "We will see."), (11.0, "Bob", "What a wonderful, lovely, great success!"))
]


def test_each_utterance_has_the_emotions_of_the_faces_during_it() -> None:
    places = [Place("Ann", tile=(0, 0, 0.5, 1)), Place("Bob", track=2)]
    found = heard(meeting(), SAID, 0.0, places)
    happy = EMOTIONS.index("happy")
    ann, bob = found[0], found[1]
    assert ann.room.shares is not None
    assert ann.room.shares[happy] == pytest.approx(0.5)
    assert ann.speaker is not None
    assert ann.speaker.shares is not None
    assert ann.speaker.shares[happy] == pytest.approx(0.9)
    assert bob.speaker is not None
    assert bob.speaker.emotion == "sad"
    assert [one.disagrees for one in found] == [False, True] * 5
    everybody, first, _ = moods(found)
    assert (everybody.utterances, everybody.own, first.utterances) == (10, None, 5)
    assert everybody.room is not None
    assert everybody.room.value[0] == pytest.approx(30)


def test_the_transcript_is_moved_by_the_offset() -> None:
    late = [Utterance(one.start + 7, one.end + 7, one.speaker, one.text) for one in SAID]
    assert [one.room for one in heard(meeting(), late, -7.0, [])] == [
        one.room for one in heard(meeting(), SAID, 0.0, [])
    ]


def test_nothing_is_said_of_too_few_people() -> None:
    assert all(one.room.shares is None for one in heard(meeting(), SAID, 0.0, [], anonymous=3))
    assert all(one.room.shares for one in heard(meeting(), SAID, 0.0, [], anonymous=2))


def test_a_mapping_file_is_checked(tmp_path: Path) -> None:
    file = tmp_path / "who.csv"
    file.write_text("speaker,track,x,y,width,height\nAnn,3,,,,\nBob,,0,0,0.5,1\n")
    assert read_places(file) == [Place("Ann", 3), Place("Bob", None, (0.0, 0.0, 0.5, 1.0))]
    for content, said in (("name,track\nA,1\n", "columns"), ("speaker,x,y,width,height\nA,0,0,7,1\n", "line 2")):
        file.write_text(content)
        with pytest.raises(InputError, match=said):
            read_places(file)


def test_the_page_tells_of_consent_and_the_ban(tmp_path: Path) -> None:
    settings: Settings = checked({"home": tmp_path / "home"}, "the test")
    table, transcript = tmp_path / "call.parquet", tmp_path / "call.vtt"
    meeting().faces.with_columns(pl.col("at").alias("offset_s"), pl.lit("call").alias("source")).write_parquet(table)
    cues = [
        f"{i}\n00:01:{s:02d}.000 --> 00:01:{s + 4:02d}.000\n{who}: great <b>work</b>\n"
        for i, s, who in ((1, 1, "Ann"), (2, 11, "Bob"))
    ]
    transcript.write_text("WEBVTT\n\n" + "\n".join(cues) + "\n3\n00:09:00.000 --> 00:09:01.000\nAnn: beyond\n")
    request = MeetingRequest(Inputs((str(table),)), transcript, consent="all five, 22 November")
    made = report_meeting(request, settings)
    html = made.html()
    assert "all five, 22 November" in html
    assert "Article 5(1)(f)" in html
    assert "Consent does not lift this prohibition" in html
    assert any("outside the recording" in note for note in made.notes)
    assert any("not known which of the faces" in note for note in made.notes)
    made.write(tmp_path / "call.html")
    assert "great work" in (tmp_path / "call.notes.vtt").read_text()
    assert [utterance.text for utterance in read_transcript(tmp_path / "call.notes.vtt").utterances] == [
        "great work",
        "great work",
        "beyond",
    ]
    rows = pl.read_parquet(tmp_path / "call.utterances.parquet")
    assert list(rows.columns) == list(made.data[0].columns)
    faces = meeting().faces.filter(pl.col("at").is_between(61, 65, closed="left"))
    assert rows["happy"][0] == pytest.approx(faces["happy"].mean())
    hidden = report_meeting(MeetingRequest(Inputs((str(table),)), transcript, anonymous=2), settings)
    assert "No consent is recorded" in hidden.html()
    assert "Ann" not in hidden.html()
    assert "great work" not in hidden.html()
    (tmp_path / "who.csv").write_text("speaker,track\nCarla,1\n")
    request = MeetingRequest(Inputs((str(table),)), transcript, tmp_path / "who.csv", anonymous=2)
    unknown = report_meeting(request, settings)
    assert any("names 1 speaker, whom the transcript does not" in note for note in unknown.notes)
    assert "Carla" not in unknown.html()


GERMAN = (
    "Guten Morgen, ich freue mich, dass ihr alle da seid. Die Zahlen sind gut, aber die Kosten waren zu hoch.",
    "Das war eine schlechte Entscheidung, und ich habe Angst, dass wir das Ziel nicht erreichen.",
    "Die Idee ist toll, wirklich toll. Die Frage ist nur, wer die Arbeit macht.",
)
ENGLISH = (
    "Good morning, I am glad that you are all here. The numbers are good, but costs were too high.",
    "That was a bad decision, and I am afraid that we will not reach the goal.",
    "The idea is great, really great. The question is just who does the work.",
)


def test_words_of_other_languages_than_english_are_not_judged_by_english_ones() -> None:
    english = judge(ENGLISH)
    assert english.by == "VADER"
    assert [(score or 0) > 0 for score in english.scores] == [True, False, True]
    german = judge(GERMAN)  # whose article `die` is among VADER's unpleasant words
    assert german.scores == (None, None, None)
    assert "not English" in german.reason


def test_english_without_a_word_that_is_pleasant_or_not_is_neutral() -> None:
    tame = judge(("We will see what comes of it.", "Then the third page, which is about the dates from May to June."))
    assert (tame.by, tame.scores) == ("VADER", (0.0, 0.0))
    few = judge(("We will see what comes of it.",))  # German of seven words looks no other
    assert few.scores == (None,)
    assert "few" in few.reason
    assert "not English" not in few.reason


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("word,weight\ngut,0.5\nnicht erreichen,-0.6\nAngst,-0.8\ntoll,1\n", [True, False, True]),
        ("language;word;weight\nde;gut;0,5\nde;Angst;-0,8\nde;toll;1\nfr;peur;-1\nen;war;-1\n", [True, False, True]),
    ],
)
def test_a_lexicon_of_ones_own_judges_words(tmp_path: Path, content: str, expected: list[bool]) -> None:
    (tmp_path / "words.csv").write_text(content)
    judged = judge(GERMAN, read_lexicon(tmp_path / "words.csv"))
    assert [(score or 0) > 0 for score in judged.scores] == expected
    assert all(-1 <= (score or 0) <= 1 for score in judged.scores)
    assert "words.csv" in judged.by
    assert ("(de)" in judged.by) == ("language" in content)


def test_phrases_go_before_their_words_and_scripts_without_spaces_are_read(tmp_path: Path) -> None:
    file = tmp_path / "words.csv"
    file.write_text("word,weight\ngut,0.8\nnicht gut,-0.8\n高兴,0.9\n不高兴,-0.9\nhöchste,0.5\n", encoding="utf-8")
    scores = judge(
        ("Gut!", "Das ist NICHT gut.", "我很高兴", "他不高兴", "HÖCHSTE", "nur das"), read_lexicon(file)
    ).scores
    assert [score and score > 0 for score in scores] == [True, False, True, False, True, 0.0]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("wort,gewicht\ngut,1\n", "columns word and weight"),
        ("word,weight\ngut,4\n", "line 2: the weight 4 is not from -1 to 1"),
        ("word,weight\ngut,viel\n", "line 2"),
        ("word,weight\n,1\n", "line 2"),
        ("word,weight,stem\ngut,1,x\n", "column 'stem'"),
        ("word,weight\n", "holds no word"),
    ],
)
def test_a_lexicon_that_is_none_is_refused(tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "words.csv").write_text(content)
    with pytest.raises(InputError, match=said):
        read_lexicon(tmp_path / "words.csv")


def test_the_lead_says_where_words_are_not_known_and_the_settings_may_name_a_lexicon(tmp_path: Path) -> None:
    table, transcript, words = tmp_path / "call.parquet", tmp_path / "call.vtt", tmp_path / "words.csv"
    meeting().faces.with_columns(pl.col("at").alias("offset_s"), pl.lit("call").alias("source")).write_parquet(table)
    cues = [f"00:00:{20 * n + 1:02d}.000 --> 00:00:{20 * n + 9:02d}.000\nAnn: {GERMAN[n]}\n" for n in range(3)]
    transcript.write_text("WEBVTT\n\n" + "\n".join(cues))
    words.write_text("word,weight\ngut,0.5\nschlechte,-0.6\ntoll,1\n")
    request = MeetingRequest(Inputs((str(table),)), transcript)
    without: Settings = checked({"home": tmp_path / "home"}, "the test")
    made = report_meeting(request, without)
    assert "How pleasant the words are is not known" in made.lead
    assert made["Words and faces disagree"].value is None
    made.write(tmp_path / "out.html")
    assert all(figure.agrees for figure in check_report(tmp_path / "out.html"))
    for asked, settings in (
        (dataclasses.replace(request, lexicon=words), without),
        (request, checked({"home": tmp_path / "home", "meeting": {"lexicon": str(words)}}, "the test")),
    ):
        made = report_meeting(asked, settings)
        assert "not known" not in made.lead
        assert made["Words and faces disagree"].value is not None
        assert any("words.csv" in note for note in made.notes)
        assert made.tables["utterances"]["words"].null_count() == 0


def test_what_it_was_made_of_is_never_written_over(tmp_path: Path) -> None:
    settings = checked({"home": tmp_path / "home"}, "the test")
    table, transcript = tmp_path / "call.curve.parquet", tmp_path / "call.vtt"
    meeting().faces.with_columns(pl.col("at").alias("offset_s")).write_parquet(table)
    transcript.write_text(FORMS["zoom.vtt"])
    before = table.read_bytes()
    with pytest.raises(InputError, match="made of it"):
        report_meeting(MeetingRequest(Inputs((str(table),)), transcript), settings).write(tmp_path / "call.html")
    assert table.read_bytes() == before


def test_a_transcript_with_the_time_of_day_is_laid_to_the_recording(tmp_path: Path) -> None:
    settings = checked({"home": tmp_path}, "the test")
    table, transcript = tmp_path / "call.parquet", tmp_path / "call.txt"
    made = recording(np.arange(0, 60, 0.25), lambda _: [(1, (9, 9, 90, 90), shares(happy=0.4))]).faces
    made.with_columns(pl.col("at").alias("offset_s")).write_parquet(table)
    transcript.write_text("[Ann Lee] 10:05:12\nHello all\n\n[Bob] 10:05:20\nHi\n")
    report = report_meeting(MeetingRequest(Inputs((str(table),)), transcript), settings)
    (utterances,) = [data.table for data in report.data if data.name == "utterances"]
    assert utterances["start"].to_list() == [0, 8]
    assert any("it has the time of day" in note for note in report.notes)
    transcript.write_text("[1000:00:01.000 --> 1000:00:02.000] Hello\n")
    said = [Utterance(3.6e6, 3.6e6 + 1, None, "Hello")]
    assert find_offset(write_sound(tmp_path / "a.wav", [(1, 2)], 20), said) is None
