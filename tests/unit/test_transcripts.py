"""Transcripts of every form: each kind of input that people have, with its right times, names and words."""

# ruff: noqa: E501, ISC004, W293 - a transcript is a line of a table here, and some have spaces at the ends of lines

from __future__ import annotations

import contextlib
import json
import re
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.errors import InputError
from mien.reports.audience.events import read_events
from mien.reports.audience.seats import read_seats
from mien.reports.base.places import read_places
from mien.reports.base.transcripts import Transcript, read_transcript

Spoken = list[tuple[float, str | None, str]]


def read(tmp_path: Path, name: str, content: str) -> Transcript:
    (tmp_path / name).write_text(content, encoding="utf-8")
    return read_transcript(tmp_path / name)


def spoken(transcript: Transcript) -> Spoken:
    return [(round(part.start, 3), part.speaker, part.text) for part in transcript.utterances]


def clock(seconds: float) -> str:
    return f"{int(seconds) // 3600:02d}:{int(seconds) // 60 % 60:02d}:{seconds % 60:06.3f}"


def vtt(*cues: str, head: str = "WEBVTT") -> str:
    """A cue every five seconds, from 0 on."""
    timed = (f"{clock(5 * at)} --> {clock(5 * at + 4)}\n{text}\n" for at, text in enumerate(cues))
    return "\n".join([f"{head}\n", *timed])


# What stands in a cue, and what is said there: (speaker, words) for each utterance.
IN_A_CUE: dict[str, tuple[str, list[tuple[str | None, str]]]] = {
    "less than": ("x < 5 and y > 3", [(None, "x < 5 and y > 3")]),
    "heart": ("I <3 this and that -> fine", [(None, "I <3 this and that -> fine")]),
    "less than, tight": ("if a<b then c>d", [(None, "if a<b then c>d")]),
    "unknown tag": ("and <laughter> he said <unk>", [(None, "and <laughter> he said <unk>")]),
    "markup": ("<i>so</i> <b>be</b> <c.yellow.bg_blue>it</c> <u>now</u>", [(None, "so be it now")]),
    "fonts": ('<font color="#ffff00">yellow</font> words', [(None, "yellow words")]),
    "language": ("<lang en-GB>colour</lang> here", [(None, "colour here")]),
    "ruby": ("<ruby>漢<rt>kan</rt></ruby>", [(None, "漢kan")]),
    "positions": (r"{\an8}at the top {\i1}here{\i0}", [(None, "at the top here")]),
    "entities": (
        "Q&amp;A &lt;v Ann&gt; AT&T &copyright R&D; 1 &lt; 2",
        [(None, "Q&A <v Ann> AT&T &copyright R&D; 1 < 2")],
    ),
    "karaoke": ("one <00:00:01.000>two <00:00:02.500><c>three</c>", [(None, "one two three")]),
    "before a voice": ("I see. <v Ann>Yes", [(None, "I see."), ("Ann", "Yes")]),
    "after a voice": ("<v Ann>Yes</v> I see", [("Ann", "Yes I see")]),
    "two voices": ("<v Ann>Yes</v><v Bob>No</v>", [("Ann", "Yes"), ("Bob", "No")]),
    "two voices unclosed": ("<v Ann>Yes\n<v.loud.first Bob Ray>No", [("Ann", "Yes"), ("Bob Ray", "No")]),
    "voice with entity": ("<v Ann &amp; Bob>We do", [("Ann & Bob", "We do")]),
    "markup in a voice": ("<v Ann>I <b>do</b> think</v>", [("Ann", "I do think")]),
    "voice over lines": ("<v Ann>I do\nthink so</v>", [("Ann", "I do think so")]),
    "blank in the middle": ("first\n \nsecond\n\t\nthird", [(None, "first second third")]),
    "empty in the middle": ("first\n\nsecond", [(None, "first second")]),
    "blank before": ("\n \nfirst", [(None, "first")]),
    "number as words": ("first\n42", [(None, "first 42")]),
    "arrow as words": ("press File --> Save as", [(None, "press File --> Save as")]),
    "break": ("first<br>second<br/>third", [(None, "first second third")]),
    "tag never closed": ("<v Ann and then", [(None, "<v Ann and then")]),
}


@pytest.mark.parametrize("case", IN_A_CUE)
@pytest.mark.parametrize("form", ["vtt", "srt", "srt without empty lines"])
def test_no_word_of_a_cue_is_lost(tmp_path: Path, case: str, form: str) -> None:
    words, expected = IN_A_CUE[case]
    cues = ["so it begins", words, "so it ends"]
    text = vtt(*cues)
    if form != "vtt":
        text = re.sub(r"\.(\d{3})( -->|\n)", r",\1\2", text.removeprefix("WEBVTT\n\n"))
        stamps = re.split(r"(?m)^(?=\d\d:\d\d:\d\d,)", text)[1:]
        text = ("" if "without" in form else "\n").join(f"{n}\n{cue.rstrip()}\n" for n, cue in enumerate(stamps, 1))
    transcript = read(tmp_path, f"a.{form[:3]}", text)
    assert [(who, words) for start, who, words in spoken(transcript) if start == 5] == expected
    assert len(transcript.utterances) == len(expected) + 2
    assert transcript.kind == ("WebVTT" if form == "vtt" else "SRT")


TIMES: dict[str, tuple[float, float]] = {
    "00:00:01.000 --> 00:00:04.000": (1, 4),
    "00:01.000 --> 00:04.000": (1, 4),
    "0:0:1.5 --> 0:0:4.25": (1.5, 4.25),
    "00:00:01,000 --> 00:00:04,000 X1:100 X2:200 Y1:1 Y2:2": (1, 4),
    "00:00:01.000 --> 00:00:04.000 align:start position:0%": (1, 4),
    "00:00:01, 000 --> 00:00:03, 500": (1, 3.5),
    "00: 00: 01,000 --> 00: 00: 03,500": (1, 3.5),
    "00:00:01.000 -> 00:00:04.000": (1, 4),
    "00:00:01.000 – > 00:00:04.000": (1, 4),
    "00:00:01.000 -- > 00:00:04.000": (1, 4),
    "00:00:01.000 —> 00:00:04.000": (1, 4),
    "00:00:01.000 → 00:00:04.000": (1, 4),
    "00:00:01.000 --&gt; 00:00:04.000": (1, 4),
    "00:00:01.000==>00:00:04.000": (1, 4),
    "00:00:01,000-->00:00:04,000": (1, 4),
    "  00:00:01.000   -->   00:00:04.000  ": (1, 4),
    "00：00：01，000 --> 00：00：04，000": (1, 4),
    "٠٠:٠٠:٠١٫٠٠٠ --> ٠٠:٠٠:٠٤٫٠٠٠": (1, 4),
    "००:००:०१.००० --> ००:००:०४.०००": (1, 4),
    "\u200e00:00:01.000 --> 00:00:04.000\u200f": (1, 4),
    "00:00:01:500 --> 00:00:04:250": (1.5, 4.25),
    "00:00:01:05 --> 00:00:04:10": (1.2, 4.4),
    "00.00.01,500 --> 00.00.04,250": (1.5, 4.25),
    "00:00:01 --> 00:00:04": (1, 4),
    "1.5 --> 4.25": (1.5, 4.25),
    "1.5s --> 4s": (1.5, 4),
    "00:00:61.000 --> 00:00:71.000": (61, 71),
    "00:75:00.000 --> 00:76:00.000": (4500, 4560),
    "1000:00:01.000 --> 1000:00:02.000": (3_600_001, 3_600_002),
    "00:00:00.-004 --> 00:00:04.300": (0, 4.3),
    "-00:00:01.000 --> 00:00:05.000": (0, 5),
    "00:00:04.000 --> 00:00:01.000": (1, 4),
    "[00:01.000 --> 00:04.000]": (1, 4),
    "(00:00:01.000 --> 00:00:04.000)": (1, 4),
}


@pytest.mark.parametrize("line", TIMES)
@pytest.mark.parametrize("head", ["WEBVTT\n\n", ""])
def test_every_way_to_write_the_times_of_a_cue(tmp_path: Path, line: str, head: str) -> None:
    transcript = read(tmp_path, "t.vtt" if head else "t.srt", f"{head}1\n{line}\nhello all\n")
    (utterance,) = transcript.utterances
    assert (utterance.start, utterance.end) == pytest.approx(TIMES[line])
    assert utterance.text == "hello all"


@pytest.mark.parametrize(
    ("line", "start", "end"),
    [
        ("NaN:NaN:NaN,NaN --> NaN:NaN:NaN,NaN", 2, 3),
        ("00:00:xx,000 --> 00:00:03,000", 2, 3),
        ("00:00:02,500 --> never", 2.5, 3.5),
        ("0O:00:02,000 --> O0:00:03,000", 2, 3),
        ("::: --> :::", 2, 3),
    ],
)
def test_a_time_line_that_cannot_be_read_keeps_its_words_and_is_counted(
    tmp_path: Path, line: str, start: float, end: float
) -> None:
    cues = f"1\n00:00:01,000 --> 00:00:02,000\nbefore\n\n2\n{line}\nin between\n\n3\n00:00:09,000 --> 00:00:10,000\nafter\n"
    transcript = read(tmp_path, "t.srt", cues)
    assert [part.text for part in transcript.utterances] == ["before", "in between", "after"]
    assert (transcript.utterances[1].start, transcript.utterances[1].end) == (start, end)
    assert "The times of 1 cue could not be read (the first in line 6)" in " ".join(transcript.notes)


NAMES = [
    "Ann",
    "Ann Lee",
    "Maria del Carmen de la Cruz Garcia (she/her)",
    "Prof. Dr. Ann-Kathrin Müller-Schmidt, Fraunhofer-Institut für Integrierte Schaltungen IIS",
    "Ludwig van der Berg de la Motte y Vega",
    "Johann Sebastian Friedrich Maria Otto Graf von Hohenberg",
    "Lee, Ann (Extern) [Acme]",
    "O'Brien, Conor | Legal",
    "+1 555 123 4567",
    "+49 (0)171 555-0123",
    "1555*****67",
    "Speaker 1",
    "SPEAKER_00",
    "Ann's iPhone",
    "iPhone 12",
    "Galaxy S21 Ultra",
    "ann_lee99",
    "Room 3",
    "Will Smith",
    "J. R. R. Tolkien",
    "MODERATOR",
    "Dr. Anna Weiß",
    "Иван Петров",
    "Спикер 2",
    "Екатерина Сергеевна Смирнова-Иванова",
    "أحمد علي",
    "محمد بن عبد الله",
    "المتحدث 1",
    "अनिल कुमार",
    "वक्ता 2",
    "김민수",
    "한국 지사 김민수 팀장",
    "화자 1",
    "张三",
    "山田太郎",
    "アレクサンダー",
    "דנה כהן",
    "สมชาย ใจดี",
    "Γιώργος Παπαδόπουλος",
    "Nguyễn Văn A",
    "王 (Ann)",
]


@pytest.mark.parametrize("mark", [": ", ":", "：", " : ", ":\n", "\u00a0: "])
@pytest.mark.parametrize("name", NAMES)
def test_names_of_every_kind(tmp_path: Path, name: str, mark: str) -> None:
    transcript = read(tmp_path, "t.vtt", vtt(f"{name}{mark}good morning", f"Zoë{mark}yes", f"{name}{mark}so we begin"))
    assert spoken(transcript) == [(0, name, "good morning"), (5, "Zoë", "yes"), (10, name, "so we begin")]
    assert not transcript.notes


@pytest.mark.parametrize("name", NAMES)
def test_names_once_and_only_where_the_speaker_changes(tmp_path: Path, name: str) -> None:
    cues = ["Zoë: hello", "and so on", "and on", f"{name}: yes", "it is so", "Zoë: no", "not at all"]
    transcript = read(tmp_path, "t.vtt", vtt(*cues))
    assert [who for _, who, _ in spoken(transcript)] == ["Zoë"] * 3 + [name] * 2 + ["Zoë"] * 2
    assert "4 of 7 cues or lines name nobody" in " ".join(transcript.notes)


NO_NAMES = [
    "Note: this is important",
    "NOTE: this too",
    "Warning: the floor is wet",
    "Important note: read it",
    "Question: who was it?",
    "Step 2: turn left",
    "Chapter 3: the end",
    "at 10:30 we go on",
    "10:30: we go on",
    "10:30 works for me",
    "see https://example.org/a: it is there",
    "https://example.org",
    "mailto:ann@example.org",
    "it was 3:2 for us",
    "John 3:16 says so",
    "so: that is it",
    "So: that is it",
    "The thing is: we are late",
    "What I mean: go home",
    "and he said: no",
    "He told me: no",
    "I said to him: go",
    "My question: why?",
    "std::vector is a class",
    "C:\\temp is full",
    "really? yes: no",
    "First: we eat. Second: we sleep",
    "ratio 1:2: that is it",
    "P.S.: bring cake",
    "Breaking News: a fire",
    "www.example.org: look there",
    "Tomorrow: the sea",
    "Hinweis: das ist wichtig",
    "Meine Frage: warum?",
    "Das Problem: es regnet",
    "Remarque : c'est important",
    "Nota: es importante",
    "Примечание: это важно",
    "Вопрос: кто это?",
    "ملاحظة: هذا مهم",
    "सवाल: यह क्या है",
    "ध्यान दें: यह है",
    "참고: 이것은 중요합니다",
    "질문: 뭐예요",
    "注意：这很重要",
    "问题：为什么",
    "他说：不",
]


@pytest.mark.parametrize("words", NO_NAMES)
def test_what_is_no_name_in_the_words_of_a_known_speaker(tmp_path: Path, words: str) -> None:
    transcript = read(tmp_path, "t.vtt", vtt("Ann: hello all", words, "Bob: hi", f"Ann: {words}", "go on"))
    assert spoken(transcript) == [
        (0, "Ann", "hello all"),
        (5, "Ann", words),
        (10, "Bob", "hi"),
        (15, "Ann", words),
        (20, "Ann", "go on"),
    ]
    alone = read(tmp_path, "alone.vtt", vtt(*(["plain words"] * 3), words, *(["plain words"] * 5)))
    assert {who for _, who, _ in spoken(alone)} == {None}


@pytest.mark.parametrize("words", NO_NAMES)
def test_what_is_no_name_after_one_in_a_voice_tag_or_a_heading(tmp_path: Path, words: str) -> None:
    transcript = read(tmp_path, "t.vtt", vtt("<v Ann>hello all</v>", f"<v Ann>{words}</v>", "<v Bob>hi</v>"))
    assert [(who, text) for _, who, text in spoken(transcript)] == [("Ann", "hello all"), ("Ann", words), ("Bob", "hi")]
    text = f"Ann Lee  0:05\n{words}\n\nBob Ray  0:20\nhi\n\nAnn Lee  0:25\nhi\n{words}\n"
    transcript = read(tmp_path, "t.txt", text)
    assert [(who, text) for _, who, text in spoken(transcript)] == [
        ("Ann Lee", words), ("Bob Ray", "hi"), ("Ann Lee", "hi"), ("Ann Lee", words)
    ]  # fmt: skip


def test_a_name_with_a_colon_in_it(tmp_path: Path) -> None:
    transcript = read(
        tmp_path, "t.vtt", vtt("Room 3: Ann: hello", "Bob: hi: all", "Room 3: Cy: yes", "会议室：张三：你好")
    )
    assert [(who, text) for _, who, text in spoken(transcript)] == [
        ("Room 3: Ann", "hello"), ("Bob", "hi: all"), ("Room 3: Cy", "yes"), ("会议室: 张三", "你好")
    ]  # fmt: skip
    transcript = read(tmp_path, "t.vtt", vtt("Room 3: hello", "Bob: hi", "Room 3: well: yes"))
    assert [(who, text) for _, who, text in spoken(transcript)] == [
        ("Room 3", "hello"),
        ("Bob", "hi"),
        ("Room 3", "well: yes"),
    ]


def test_marks_of_broadcast_captions(tmp_path: Path) -> None:
    transcript = read(
        tmp_path,
        "t.vtt",
        vtt("&gt;&gt; ANN: Good evening.", "Here is the news.", ">> Thank you.", ">>BOB: Yes.", "- ANN: No."),
    )
    assert [(who, text) for _, who, text in spoken(transcript)] == [
        ("ANN", "Good evening."), ("ANN", "Here is the news."), (None, "Thank you."), ("BOB", "Yes."), ("ANN", "No.")
    ]  # fmt: skip
    transcript = read(
        tmp_path, "t.vtt", vtt("[Ann]: hi", "[SPEAKER_01] yes", "(Bob Ray): no", "**Cy:** so", "**Dee**: and")
    )
    assert [who for _, who, _ in spoken(transcript)] == ["Ann", "SPEAKER_01", "Bob Ray", "Cy", "Dee"]


def test_two_speakers_in_one_cue(tmp_path: Path) -> None:
    transcript = read(tmp_path, "t.vtt", vtt("Ann: hi\nthere\nBob: hello\nall", "Bob: yes\nNote: no name", "Ann: no"))
    assert spoken(transcript) == [
        (0, "Ann", "hi there"), (0, "Bob", "hello all"), (5, "Bob", "yes Note: no name"), (10, "Ann", "no")
    ]  # fmt: skip


def test_questions_and_answers(tmp_path: Path) -> None:
    transcript = read(tmp_path, "t.vtt", vtt("Q: why?", "A: because", "Q: how?", "A: so"))
    assert [who for _, who, _ in spoken(transcript)] == ["Q", "A", "Q", "A"]


def test_comments_styles_and_names_of_cues(tmp_path: Path) -> None:
    text = (
        "WEBVTT - a title: of it\nKind: captions\nLanguage: en\n\nSTYLE\n::cue { color: red }\n\nNOTE one\ntwo lines\n\n"
        "intro part one\n00:01.000 --> 00:02.000\nAnn: hello\n\nNOTE\nAnn: a comment\n\nmiddle part\n"
        "00:03.000 --> 00:04.000\nNOTE to self\n\nlast part\n00:05.000 --> 00:06.000\nBob: STYLE\nREGION\n"
    )
    assert spoken(read(tmp_path, "t.vtt", text)) == [
        (1, "Ann", "hello"),
        (3, "Ann", "NOTE to self"),
        (5, "Bob", "STYLE REGION"),
    ]
    older = (
        'WEBVTT\n\n1 "Ann Lee" (12345)\n00:01.000 --> 00:02.000\nhello\n\n2 "Bob" (678)\n00:03.000 --> 00:04.000\nhi\n'
    )
    assert spoken(read(tmp_path, "t.vtt", older)) == [(1, "Ann Lee", "hello"), (3, "Bob", "hi")]


def test_numbers_of_cues_are_no_words_and_numbers_that_are_said_are(tmp_path: Path) -> None:
    numbered = "1\n00:00:01,000 --> 00:00:02,000\nthe answer is\n42\n2\n00:00:03,000 --> 00:00:04,000\n7\n\n3\n"
    transcript = read(tmp_path, "t.srt", numbered)
    assert spoken(transcript) == [(1, None, "the answer is 42"), (3, None, "7")]
    assert "It ends with the number of a cue that is not there (3): it may be cut off." in transcript.notes
    plain = "00:01.000 --> 00:02.000\nthe answer is\n42\n00:03.000 --> 00:04.000\n7\n"
    assert spoken(read(tmp_path, "t.vtt", f"WEBVTT\n\n{plain}")) == [(1, None, "the answer is 42"), (3, None, "7")]


def test_words_before_the_first_time_are_counted(tmp_path: Path) -> None:
    transcript = read(tmp_path, "t.srt", "A title of four\n\n1\n00:00:01,000 --> 00:00:02,000\nhello\n")
    assert spoken(transcript) == [(1, None, "hello")]
    assert "4 words before the first time were left out: 'A title of four'." in transcript.notes


ROLLING = """WEBVTT
Kind: captions
Language: en

00:00:00.160 --> 00:00:02.389 align:start position:0%
 
hello<00:00:00.400><c> everybody</c><00:00:00.800><c> and</c>

00:00:02.389 --> 00:00:02.399 align:start position:0%
hello everybody and
 

00:00:02.399 --> 00:00:04.000 align:start position:0%
hello everybody and
welcome<00:00:02.600><c> to</c><00:00:02.900><c> this</c>

00:00:04.000 --> 00:00:04.010 align:start position:0%
welcome to this
 

00:00:04.010 --> 00:00:06.000 align:start position:0%
welcome to this
this<00:00:05.000><c> talk</c>
"""


def test_rolling_captions_are_said_once(tmp_path: Path) -> None:
    expected = [(0.16, None, "hello everybody and"), (2.399, None, "welcome to this"), (4.01, None, "this talk")]
    transcript = read(tmp_path, "t.vtt", ROLLING)
    assert spoken(transcript) == expected
    assert "The captions roll: 12 words that are shown again" in " ".join(transcript.notes)
    plain = re.sub(r"<[^>]*>|align.*", "", ROLLING.partition("en\n\n")[2]).replace(".", ",")
    assert [text for _, _, text in spoken(read(tmp_path, "t.srt", plain))] == [text for _, _, text in expected]
    grows = vtt("hello", "hello all", "hello all of you", "hello all of you there")
    assert [text for _, _, text in spoken(read(tmp_path, "t.vtt", grows))] == ["hello", "all", "of you", "there"]


def test_what_is_said_again_is_no_rolling_caption(tmp_path: Path) -> None:
    cues = ["thank you", "thank you", "thank you", "yes", "yes", "yes indeed", "and so on", "we go"]
    assert [text for _, _, text in spoken(read(tmp_path, "t.vtt", vtt(*cues)))] == cues


FORMS: dict[str, tuple[str, str, str, Spoken]] = {
    "Whisper's text": (
        "t.txt", "[00:00.000 --> 00:04.000]  Hello everybody.\n[00:04.000 --> 00:09.000]  We begin now.\n", "Whisper's text",
        [(0, None, "Hello everybody."), (4, None, "We begin now.")],
    ),
    "whisper.cpp's text": (
        "t.txt", "[00:00:00.000 --> 00:00:04.000]   Hello\n[00:00:04.000 --> 00:00:09.000] [SPEAKER_01]: We\n", "Whisper's text",
        [(0, None, "Hello"), (4, "SPEAKER_01", "We")],
    ),
    "SBV": (
        "t.sbv", "0:00:01.000,0:00:04.000\nAnn: Hello\nthere\n\n0:00:05.000,0:00:09.000\nWe begin\n", "SBV",
        [(1, "Ann", "Hello there"), (5, "Ann", "We begin")],
    ),
    "ASS": (
        "t.ass",
        "[Script Info]\nTitle: x\n\n[Events]\nFormat: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text\n"
        "Comment: 0,0:00:00.00,0:00:01.00,Default,,0,0,0,,no\nDialogue: 0,0:00:01.50,0:00:04.00,Default,Ann,0,0,0,,Hello, {\\i1}all\\Nof you\n"
        "Dialogue: 0,0:00:05.00,0:00:06.00,Default,,0,0,0,,{\\p1}m 0 0 l 1 1{\\p0}\nDialogue: 0,0:00:05.00,0:00:06.00,Default,,0,0,0,,Bob: Hi\n",
        "ASS", [(1.5, "Ann", "Hello, all of you"), (5, "Bob", "Hi")],
    ),
    "a time in brackets and a name": (
        "t.txt", "[00:00:01] Ann: Hello\n[00:00:05] Bob Ray: Hi\nand more\n[00:01:09] Ann: Yes: so\n", "a text with times",
        [(1, "Ann", "Hello"), (5, "Bob Ray", "Hi"), (None, "Bob Ray", "and more"), (69, "Ann", "Yes: so")],
    ),
    "a time in brackets and a name above": (
        "t.txt", "[00:00:01] Ann:\nHello all\n\n[00:00:05] Bob Ray:\nHi\n", "a text with times",
        [(1, "Ann", "Hello all"), (5, "Bob Ray", "Hi")],
    ),
    "a time in brackets and a name without a colon": (
        "t.txt", "[0:01] Ann Lee\nHello all\n\n[0:05] Bob Ray\nHi there\n", "a text with times",
        [(1, "Ann Lee", "Hello all"), (5, "Bob Ray", "Hi there")],
    ),
    "times in brackets alone": (
        "t.txt", "(0:01) Hello all\n(0:05) Hi there\n", "a text with times", [(1, None, "Hello all"), (5, None, "Hi there")],
    ),
    "a stretch in brackets": (
        "t.txt", "[00:01 - 00:04] Ann: Hello all\n[00:05 - 00:09] Bob: Hi there\n", "a text with times",
        [(1, "Ann", "Hello all"), (5, "Bob", "Hi there")],
    ),
    "a bare time and a name": (
        "t.txt", "00:00:01 Ann: Hello all\n00:00:05 Bob: Hi there\n", "a text with times",
        [(1, "Ann", "Hello all"), (5, "Bob", "Hi there")],
    ),
    "a bare time, a dash and a name": (
        "t.txt", "00:01 - Ann: Hello all\n00:05 - Bob: Hi there\n", "a text with times",
        [(1, "Ann", "Hello all"), (5, "Bob", "Hi there")],
    ),
    "a name and a time in brackets above": (
        "t.txt", "Speaker 1 (00:01):\nHello all\n\nSpeaker 2 (00:05):\nHi there\n\nSpeaker 1 (01:09):\nYes\n",
        "a text with speakers and times",
        [(1, "Speaker 1", "Hello all"), (5, "Speaker 2", "Hi there"), (69, "Speaker 1", "Yes")],
    ),
    "a name and a time in brackets, then words": (
        "t.txt", "Ann Lee (00:01): Hello all\nBob (00:05): Hi there (at 10:30)\n", "a text with speakers and times",
        [(1, "Ann Lee", "Hello all"), (5, "Bob", "Hi there (at 10:30)")],
    ),
    "a name and a time in square brackets": (
        "t.txt", "Ann Lee [00:00:01]\nHello all\n\nBob [00:00:05]\nHi there\n", "a text with speakers and times",
        [(1, "Ann Lee", "Hello all"), (5, "Bob", "Hi there")],
    ),
    "a name, a time and a colon": (
        "t.txt", "Ann Lee 00:01: Hello all\nBob 00:05: Hi there\n", "a text with speakers and times",
        [(1, "Ann Lee", "Hello all"), (5, "Bob", "Hi there")],
    ),
    "Zoom's saved captions": (
        "t.txt", "[Ann Lee] 10:05:12\nHello all\n\n[Room 3: Bob] 10:05:20\nHi there\nand more\n", "a text with speakers and times",
        [(36312, "Ann Lee", "Hello all"), (36320, "Room 3: Bob", "Hi there"), (None, "Room 3: Bob", "and more")],
    ),
    "Zoom's chat": (
        "t.txt", "10:05:12\t From Ann Lee to Everyone:\n\tHello: all\n10:05:20\t From Bob to Ann Lee(Direct Message):\tHi\n", "Zoom chat",
        [(36312, "Ann Lee", "Hello: all"), (36320, "Bob", "Hi")],
    ),
    "Zoom's older chat": (
        "t.txt", "00:00:12\t From  Ann Lee : Hello: all\n00:00:20\t From  Bob : Hi\n", "Zoom chat",
        [(12, "Ann Lee", "Hello: all"), (20, "Bob", "Hi")],
    ),
    "Zoom's newer chat": (
        "t.txt", "00:00:12\tRoom 3: Ann:\tHello: all\n00:00:20\tBob:\tHi\n", "Zoom chat",
        [(12, "Room 3: Ann", "Hello: all"), (20, "Bob", "Hi")],
    ),
    "Teams as copied from the browser": (
        "t.txt",
        "Transcript. Use arrow keys\n\nAI-generated content may be incorrect\n\nAnn Lee started transcription\n\nAL\nAnn Lee\n"
        "0 minutes 3 seconds0:03\nAnn Lee 0 minutes 3 seconds\nHello all.\nAnn Lee 0 minutes 7 seconds\nIt took 3 minutes 20 seconds.\n\nBR\n\nRay, Bob\n"
        "1 minute 6 seconds1:06\nRay, Bob 1 minute 6 seconds\nI drop at 8:30\nAnn Lee\n1 hour 2 minutes 3 seconds1:02:03\n"
        "Ann Lee 1 hour 2 minutes 3 seconds\nBye.\nAnn Lee stopped transcription\n", "a text with speakers and times",
        [(3, "Ann Lee", "Hello all."), (7, "Ann Lee", "It took 3 minutes 20 seconds."), (66, "Ray, Bob", "I drop at 8:30"), (3723, "Ann Lee", "Bye.")],
    ),
    "Teams as copied, shorter": (
        "t.txt", "Ann Lee\n0 minutes 3 seconds\n0:03\nHello all.\nBob Ray\n0 minutes 6 seconds\n0:06\nHi there\nBob Ray\n0 minutes 9 seconds\n0:09\nWell\n",
        "a text with times", [(3, "Ann Lee", "Hello all."), (6, "Bob Ray", "Hi there"), (9, "Bob Ray", "Well")],
    ),
    "Teams as copied, with times alone": (
        "t.txt", "AL\nAnn Lee\n0:03\nHello all.\nBR\nBob Ray\n0:06\nHi there\n", "a text with times",
        [(3, "Ann Lee", "Hello all."), (6, "Bob Ray", "Hi there")],
    ),
    "Teams as copied in German": (
        "t.txt", "Ann Lee 0 Minuten 3 Sekunden\nHallo\nBob 1 Stunde 0 Minuten 6 Sekunden\nJa\n", "a text with speakers and times",
        [(3, "Ann Lee", "Hallo"), (3606, "Bob", "Ja")],
    ),
    "Teams as copied, one turn": (
        "t.txt", "Lee, Ann\n0 Minuten 3 Sekunden0:03\nLee, Ann 0 Minuten 3 Sekunden\nHallo.\n", "a text with speakers and times",
        [(3, "Lee, Ann", "Hallo.")],
    ),
    "YouTube's page": (
        "t.txt", "0:00\nhello all of you\n0:04\nand welcome\n1:02:03\nbye\n", "a text with times",
        [(0, None, "hello all of you"), (4, None, "and welcome"), (3723, None, "bye")],
    ),
    "Meet": (
        "t.txt", "Weekly\nAttendees\nAnn Lee, Bob\n00:00:03\n\nAnn Lee: Hello: all\n00:00:06\n\nBob: Hi\n", "a text with times",
        [(3, "Ann Lee", "Hello: all"), (6, "Bob", "Hi")],
    ),
    "Otter": (
        "t.txt",
        "Weekly call\nMon, Jan 5, 2026 10:00AM • 30:12\nSPEAKERS\nAnn Lee, Bob Ray\n\nAnn Lee  00:05\nOur reading today is John 3:16\nfor God so loved.\n\n"
        "Bob Ray  00:20\nThe final score was 3:11\nPsalm 23:1\nwe won 3:2\n\nAnn Lee  1:02:03\nThank you.\n", "a text with speakers and times",
        [(5, "Ann Lee", "Our reading today is John 3:16"), (None, "Ann Lee", "for God so loved."), (20, "Bob Ray", "The final score was 3:11"),
         (None, "Bob Ray", "Psalm 23:1"), (None, "Bob Ray", "we won 3:2"), (3723, "Ann Lee", "Thank you.")],
    ),
    "Otter without empty lines": (
        "t.txt", "Ann Lee  0:05\nRead Psalm 23:10\nnow\nBob Ray  0:20\nThe final score was 3:11\nAnn Lee  0:40\nThank you.\n", "a text with speakers and times",
        [(5, "Ann Lee", "Read Psalm 23:10"), (None, "Ann Lee", "now"), (20, "Bob Ray", "The final score was 3:11"), (40, "Ann Lee", "Thank you.")],
    ),
    "one space before the time": (
        "t.txt", "Ann Lee 0:05\nGenesis 12:10\n\nBob Ray 0:20\nWe saw it at 9:41\nPsalm 23:10\nnow\n\nAnn Lee 0:40\nThank you.\n", "a text with speakers and times",
        [(5, "Ann Lee", "Genesis 12:10"), (20, "Bob Ray", "We saw it at 9:41"), (None, "Bob Ray", "Psalm 23:10"), (None, "Bob Ray", "now"), (40, "Ann Lee", "Thank you.")],
    ),
    "names of other scripts with times": (
        "t.txt", "김민수  0:05\n안녕하세요\n\nأحمد علي  0:20\nمرحبا\n\nअनिल कुमार  0:40\nनमस्ते\n\n张三  0:50\n你好\n", "a text with speakers and times",
        [(5, "김민수", "안녕하세요"), (20, "أحمد علي", "مرحبا"), (40, "अनिल कुमार", "नमस्ते"), (50, "张三", "你好")],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", FORMS)
def test_every_form(tmp_path: Path, case: str) -> None:
    name, content, kind, expected = FORMS[case]
    transcript = read(tmp_path, name, content)
    assert transcript.kind == kind
    assert [(who, text) for _, who, text in spoken(transcript)] == [(who, text) for _, who, text in expected]
    for utterance, (start, _, _) in zip(transcript.utterances, expected, strict=True):
        assert start is None or utterance.start == pytest.approx(start)
        assert utterance.end > utterance.start
    assert not any("has ended" in note for note in transcript.notes)


WHISPER = {"text": "all", "language": "en", "segments": [
    {"id": 0, "start": 0.0, "end": 4.0, "text": " Hello all."}, {"id": 1, "start": 4.5, "end": 9.0, "text": " We begin.", "speaker": "SPEAKER_01"}
]}  # fmt: skip
WORDS = [
    {"word": "hello", "punctuated_word": "Hello", "start": 0.5, "end": 0.9, "speaker": 0},
    {"word": "all", "punctuated_word": "all.", "start": 1.0, "end": 1.4, "speaker": 0},
    {"word": "so", "punctuated_word": "So", "start": 1.5, "end": 1.9, "speaker": 1},
    {"word": "we", "punctuated_word": "we", "start": 5.0, "end": 5.4, "speaker": 1},
]
SENTENCES = [
    {"speaker": 0, "sentences": [{"text": "Hello all.", "start": 0.5, "end": 1.4}]},
    {"speaker": 1, "sentences": [{"text": "So", "start": 1.5, "end": 1.9}, {"text": "we", "start": 5.0, "end": 5.4}]},
]
OF_WORDS: Spoken = [(0.5, "Speaker 0", "Hello all."), (1.5, "Speaker 1", "So"), (5, "Speaker 1", "we")]
JSONS: dict[str, tuple[Any, Spoken]] = {
    "Whisper": (WHISPER, [(0, None, "Hello all."), (4.5, "SPEAKER_01", "We begin.")]),
    "bare segments": (WHISPER["segments"], [(0, None, "Hello all."), (4.5, "SPEAKER_01", "We begin.")]),
    "whisper.cpp": (
        {"transcription": [
            {"timestamps": {"from": "00:00:01,500", "to": "00:00:04,000"}, "offsets": {"from": 1500, "to": 4000}, "text": " Hello"},
            {"timestamps": {"from": "00:00:05,000", "to": "00:00:06,000"}, "text": " We"}]},
        [(1.5, None, "Hello"), (5, None, "We")],
    ),
    "transformers": ({"text": "x", "chunks": [{"timestamp": [0.5, 4.0], "text": " Hello"}, {"timestamp": [4.0, None], "text": "We"}]}, [(0.5, None, "Hello"), (4, None, "We")]),
    "Deepgram's utterances": (
        {"results": {"channels": [], "utterances": [{"start": 0.5, "end": 2, "transcript": "Hello all.", "speaker": 0}, {"start": 3, "end": 4, "transcript": "Hi", "speaker": 1}]}},
        [(0.5, "Speaker 0", "Hello all."), (3, "Speaker 1", "Hi")],
    ),
    "Deepgram's words": ({"metadata": {}, "results": {"channels": [{"alternatives": [{"transcript": "x", "words": WORDS}]}]}}, OF_WORDS),
    "Deepgram's paragraphs": (
        {"results": {"channels": [{"alternatives": [{"transcript": "x", "words": WORDS, "paragraphs": {"paragraphs": SENTENCES}}]}]}}, OF_WORDS,
    ),
    "Deepgram's paragraphs, cut": (
        {"results": {"channels": [{"alternatives": [{"transcript": "x", "words": WORDS, "paragraphs": {"paragraphs": SENTENCES[:1]}}]}]}}, OF_WORDS,
    ),
    "Deepgram's channels": (
        {"results": {"channels": [{"alternatives": [{"words": WORDS[:2]}]}, {"alternatives": [{"words": WORDS[3:]}]}]}},
        [(0.5, "Channel 1", "Hello all."), (5, "Channel 2", "we")],
    ),
    "times as texts": ([{"start": "0:01.5", "end": "4s", "text": "Ann: Hello"}, {"start": "5", "end": "6", "text": "Bob: Hi"}], [(1.5, "Ann", "Hello"), (5, "Bob", "Hi")]),
}  # fmt: skip


@pytest.mark.parametrize("case", JSONS)
def test_every_json(tmp_path: Path, case: str) -> None:
    content, expected = JSONS[case]
    transcript = read(tmp_path, "t.json", json.dumps(content))
    assert spoken(transcript) == expected
    assert "JSON" in transcript.kind
    assert not transcript.notes


def test_segments_without_a_time_keep_their_words(tmp_path: Path) -> None:
    segments = [
        {"start": 1, "end": 2, "text": "one"},
        {"start": None, "end": float("nan"), "text": "two"},
        {"start": 9, "end": 10, "text": "three"},
    ]
    transcript = read(tmp_path, "t.json", json.dumps({"segments": segments}))
    assert spoken(transcript) == [(1, None, "one"), (2, None, "two"), (9, None, "three")]
    assert "1 segment has no time that can be read" in transcript.notes[0]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.txt", "Dear all\nthanks for coming\n", r"nothing in it has a time that is understood, from the first line on \('Dear all'\)"),
        ("t.json", '{"a": 1, "b": []}', "it is JSON with a, b, of which no list of segments"),
        ("t.json", "[1, 2]", "it is JSON with no names"),
        ("t.json", '{"segments": [{"start": 1', "it is no valid JSON, from the first line on"),
        ("t.json", "[" * 100_000, "it is no valid JSON"),
        ("t.txt", "\x1b[31mred\x07 words", r"'\?\[31mred\? words'"),
        ("t.rtf", "{\\rtf1 Ann: hello}", r"'{\\rtf1 Ann: hello}'"),
    ],
)  # fmt: skip
def test_what_is_not_known_is_said_with_its_first_line(tmp_path: Path, name: str, content: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        read(tmp_path, name, content)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600


def test_events_of_captions_keep_what_stands_before_a_colon(tmp_path: Path) -> None:
    (tmp_path / "e.srt").write_text(
        "1\n00:00:01,000 --> 00:00:02,000\nJoke: the dog\n\n2\n00:00:05,000 --> 00:00:06,000\nthe cat\n"
    )
    assert [(event.at, event.label) for event in read_events(tmp_path / "e.srt", [])] == [
        (1, "Joke: the dog"),
        (5, "the cat"),
    ]


EXCEL = {
    "semicolons and decimal commas": "time;label;duration\r\n0:10;Witz eins;2,5\r\n0:30,5;Witz, zwei;1,0\r\n",
    "tabs": "time\tlabel\tduration\n0:10\tWitz eins\t2,5\n30,5\tWitz, zwei\t1\n",
    "commas in quotes": 'time,label,duration\n0:10,Witz eins,"2,5"\n"30,5","Witz, zwei",1.0\n',
    "what Excel writes above": "sep=;\ntime;label;duration\n0:10;Witz eins;2,5\n30,5;Witz, zwei;1,0\n",
    "empty lines": "time;label;duration\n;;\n\n0:10;Witz eins;2,5\n;;\n30,5;Witz, zwei;1\n",
}


@pytest.mark.parametrize("case", EXCEL)
def test_events_as_spreadsheets_save_them(tmp_path: Path, case: str) -> None:
    (tmp_path / "e.csv").write_bytes(EXCEL[case].encode("cp1252"))
    notes: list[str] = []
    events = [(event.at, event.label, event.duration) for event in read_events(tmp_path / "e.csv", notes)]
    assert events == [(10, "Witz eins", 2.5), (30.5, "Witz, zwei", 1)]
    assert not notes


def test_places_and_seats_with_decimal_commas(tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text(
        "speaker;track;x;y;width;height;from;to\r\nAnn;;0,0;0,25;0,5;0,5;1:00,5;\r\nBob;3,0;;;;;;9,5\r\n"
    )
    ann, bob = read_places(tmp_path / "s.csv")
    assert (ann.tile, ann.since) == ((0, 0.25, 0.5, 0.5), 60.5)
    assert (bob.track, bob.until) == (3, 9.5)
    (tmp_path / "z.csv").write_text("recording;group;offset;seat;x;y;width;height\nhall;a;-1 234,5;left;0,5;0;0,5;1\n")
    (seat,) = read_seats(tmp_path / "z.csv")
    assert (seat.offset, seat.tile) == (-1234.5, (0.5, 0, 0.5, 1))


@pytest.mark.parametrize(
    ("read_from", "content", "message"),
    [
        (
            lambda path: read_events(path, []),
            "time;label\nsoon;x\nlater;y\n",
            "none of its 2 lines can be read \\(line 2: 'soon' is no time",
        ),
        (
            lambda path: read_events(path, []),
            "a;b\n1;2\n",
            "columns time, label and duration was expected, but its first line has a, b",
        ),
        (lambda path: read_events(path, []), "\n\n", "its first line has nothing"),
        (
            read_places,
            "speaker;x;y;width;height\n\nAnn;0,5;0;half;1\n",
            "line 3: 'half' is no number: expected one such as 2.5 or 2,5",
        ),
        (read_places, "speaker;track\nAnn;1,5\n", "line 2: a track is a whole number"),
        (read_seats, "recording;offset\nhall;1,2,3\n", "line 2: '1,2,3' is no number"),
    ],
)
def test_lists_that_cannot_be_read_say_where_and_why(
    tmp_path: Path, read_from: Any, content: str, message: str
) -> None:
    (tmp_path / "l.csv").write_text(content)
    with pytest.raises(InputError, match=message):
        read_from(tmp_path / "l.csv")


HOSTILE_LINES = {
    "spaces": "Ann" + " " * 300_000 + "x",
    "arrows": "-->" * 100_000,
    "turns": ">" * 200_000,
    "colons": "a:" * 150_000 + " b",
    "settings": "00:01 --> 00:02 " + "a:b" * 50_000 + " c",
    "brackets": "[" * 200_000,
    "tags": "<v " * 100_000,
    "entities": "&amp" * 80_000,
    "digits": "1" * 300_000,
    "times": "0:01 " * 80_000,
    "name": "Ann " * 80_000 + "0:05",
    "dots": "a." * 150_000 + ": b",
}


@pytest.mark.parametrize("case", HOSTILE_LINES)
@pytest.mark.parametrize("frame", ["WEBVTT\n\n00:01.000 --> 00:02.000\n{}\n{}\n", "Ann  0:05\n{}\n\n{}\n", "{}\n"])
def test_no_line_takes_long(tmp_path: Path, case: str, frame: str) -> None:
    (tmp_path / "t.txt").write_text(frame.replace("{}", HOSTILE_LINES[case]))
    began = time.process_time()
    with contextlib.suppress(InputError):
        read_transcript(tmp_path / "t.txt")
    assert time.process_time() - began < 5


def test_many_lines_do_not_take_long(tmp_path: Path) -> None:
    cues = "".join(f"{clock(n)} --> {clock(n + 1)}\nAnn: words number {n}\nand more\n\n" for n in range(20_000))
    one_cue = "00:01.000 --> 00:02.000\n" + "word\n" * 50_000
    texts = "".join(f"Ann Lee  {n // 60}:{n % 60:02d}\nwords of {n}\n\n" for n in range(20_000))
    for content in (f"WEBVTT\n\n{cues}", f"WEBVTT\n\n{one_cue}\n{one_cue}\n{one_cue}", texts):
        began = time.process_time()
        assert read(tmp_path, "t.txt", content).utterances
        assert time.process_time() - began < 20


WORD = st.from_regex(r"\A[A-Za-zäéжلक김张0-9]{1,8}[,.!?:;)<>&-]?\Z")
LINE = st.one_of(
    st.lists(WORD, min_size=1, max_size=8).map(" ".join),
    st.sampled_from(
        [
            "",
            " ",
            "\t",
            "NOTE that",
            "Ann: hi",
            "Room 3: Ann: yes",
            "7",
            "x < 5 and y > 3",
            "<v Ann>hi</v> so",
            "a --> b",
        ]
    ),
)
TIME_LINE = st.one_of(
    st.tuples(st.integers(0, 400), st.integers(0, 400)).map(lambda t: f"{clock(t[0] / 4)} --> {clock(t[1] / 4)}"),
    st.sampled_from([*TIMES, "NaN:NaN --> NaN:NaN", "00:xx --> 00:04"]),
)


def tokens(text: str) -> list[str]:
    return sorted(re.findall(r"\w+", text))


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(TIME_LINE, st.lists(LINE, max_size=5)), min_size=1, max_size=8), st.sampled_from(["vtt", "srt"])
)
def test_words_in_are_words_out(
    tmp_path_factory: pytest.TempPathFactory, cues: list[tuple[str, list[str]]], kind: str
) -> None:
    """Every word of every cue is in an utterance, as speaker or text, but for markup and rolling captions."""
    text = "".join(
        f"{n}\n{times}\n" + "".join(f"{line}\n" for line in lines) + "\n" for n, (times, lines) in enumerate(cues, 1)
    )
    transcript = read(tmp_path_factory.mktemp("t"), f"t.{kind}", f"WEBVTT\n\n{text}" if kind == "vtt" else text)
    if any("captions roll" in note or "without words" in note or "cut off" in note for note in transcript.notes):
        return
    wanted_text = "\n".join(line.replace("<v ", " ").replace("</v>", " ") for _, lines in cues for line in lines)
    comments = re.findall(r"(?m)^\s*\n(NOTE that(?:\n.+)*)", "\n" + wanted_text) if kind == "vtt" else []
    if comments:
        return
    out = [word for part in transcript.utterances for word in tokens(part.text)]
    wanted = tokens(wanted_text)
    missing = [word for word in set(wanted) if wanted.count(word) > out.count(word)]
    names = {word for part in transcript.utterances for word in tokens(part.speaker or "")}
    assert not set(missing) - names
    assert not set(out) - set(wanted)
