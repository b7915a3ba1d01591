"""Transcripts of meetings: a file goes in, utterances in order of time come out, with what was wrong with them.

Read are WebVTT (Zoom's with `Name: words`, Teams's with `<v Name>`, plain), SRT, Zoom's chat, and the texts and .docx
files of Teams and Google Meet, which name a speaker and a time.
"""

from __future__ import annotations

import html
import itertools
import re
import zipfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from xml.etree import ElementTree as ET

from mien.errors import InputError
from mien.reports.base.parts import counted

__all__ = ["Transcript", "Utterance", "read_text", "read_transcript"]

MAX_BYTES = 50_000_000
WORD_S, SHORTEST_S, LONGEST_S = 0.4, 1.0, 20.0
"""Where a transcript tells no end, an utterance takes so long a word, within these bounds, in seconds."""

TIME = r"(?:(\d{1,3}):)?(\d{1,2}):(\d{1,2})(?:[.,](\d{1,3}))?"
CUE = re.compile(rf"^\s*{TIME}\s*-->\s*{TIME}")
VOICE = re.compile(r"<v(?:\.[^ >]*)?\s+([^>]*)>(.*?)(?=<v[ .]|</v>|$)", re.DOTALL)
TAG = re.compile(r"<[^>]*>")
NAMED = re.compile(r"^\s*([^\s:][^:\n]{0,59}?)\s*:\s+(.*)", re.DOTALL)
CHAT = re.compile(rf"^{TIME}\s+(?:From\s+)?(.+?)(?:\s+to\s+.+?)?\s*:\s*(.*)$", re.IGNORECASE)
ALONE = re.compile(rf"^\s*\(?{TIME}\)?\s*$")
ALONE_NAME = re.compile(r"^[^\W\d][^<>:!?]{0,59}(?<![.,;])$")
SPEAKER_TIME = re.compile(rf"^\**([^\d\W].{{0,59}}?)\**[\s:,-]+\(?{TIME}\)?\s*$")


@dataclass(frozen=True)
class Utterance:
    """What somebody said in one go.

    Attributes:
        start: In seconds of the transcript.
        end: Likewise.
        speaker: The name that the transcript gives; None without one.
        text: The words.
    """

    start: float
    end: float
    speaker: str | None
    text: str


@dataclass(frozen=True)
class Transcript:
    """A whole transcript.

    Attributes:
        kind: What it was taken for.
        utterances: In order of time.
        notes: What was wrong with it, and what was done about that.
    """

    kind: str
    utterances: list[Utterance]
    notes: list[str]


def read_transcript(path: Path) -> Transcript:
    """Return the transcript in a file; one that holds no words is empty, which is noted.

    Raises:
        InputError: It cannot be read, or it has words and nothing in it has a time.
    """
    notes: list[str] = []
    text = read_text(path, notes)
    lines = text.splitlines()
    if any(CUE.match(line) for line in lines) or text.lstrip().startswith("WEBVTT") or not text.strip():
        kind = "WebVTT" if text.lstrip().startswith("WEBVTT") else "SRT"
        found = list(_cues(lines, notes))
    elif sum(bool(CHAT.match(line)) for line in lines) > sum(bool(SPEAKER_TIME.match(line)) for line in lines):
        kind, found = "Zoom chat", list(_chat(lines))
        notes.append("It is a chat: each line stands for the seconds after it was sent, 0.4 a word.")
    else:
        kind, found = "a text with speakers and times", list(_told(lines))
        if not found:
            raise InputError(
                f"cannot read transcript '{path}': nothing in it has a time; expected WebVTT, SRT, a Zoom chat, or a "
                "text or .docx of Teams or Google Meet"
            )
        notes.append("It does not tell when utterances end; their times were estimated from the number of words.")
    utterances = _in_order(_with_speakers(found), notes)
    if not utterances:
        notes.append(f"'{path.name}' holds no words: nothing is known of what was said.")
    return Transcript(kind, utterances, notes)


def read_text(path: Path, notes: list[str]) -> str:
    """Return a file's text, whatever its encoding; a guess is noted.

    Raises:
        InputError: It cannot be read, or is too large.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise InputError(f"cannot read '{path}': it has more than the {MAX_BYTES // 10**6} MB allowed")
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read '{path}': {(error.strerror or str(error)).lower()}") from error
    if content.startswith(b"PK"):
        return _of_docx(path)
    for encoding, mark in (("utf-8-sig", b"\xef\xbb\xbf"), ("utf-16", b"\xff\xfe"), ("utf-16", b"\xfe\xff")):
        if content.startswith(mark):
            return content.decode(encoding, "replace")
    if b"\0" in content[:4000]:
        order = "utf-16-le" if content[1:4000:2].count(0) >= content[0:4000:2].count(0) else "utf-16-be"
        notes.append(f"'{path.name}' does not tell its encoding; it was read as {order.upper()}.")
        return content.decode(order, "replace")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        notes.append(f"'{path.name}' is not UTF-8; it was read as Windows-1252, so letters with accents may be wrong.")
        return content.decode("cp1252", "replace")


def _of_docx(path: Path) -> str:
    """Return the paragraphs of a Word file, a line each."""
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.getinfo("word/document.xml").file_size > MAX_BYTES:
                raise InputError(f"cannot read '{path}': it unpacks to more than the {MAX_BYTES // 10**6} MB allowed")
            content = archive.read("word/document.xml")
        if b"<!DOCTYPE" in content[:2000]:
            raise InputError(f"cannot read '{path}': a Word file has no document type declaration")
        root = ET.fromstring(content)  # noqa: S314 - without declarations there is nothing to expand
    except (OSError, KeyError, zipfile.BadZipFile, ET.ParseError, RuntimeError, NotImplementedError) as error:
        raise InputError(f"cannot read '{path}': it is no Word file that can be read here") from error
    space = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
    written = {f"{space}br": "\n", f"{space}tab": "\t"}
    lines = [
        "".join(node.text or "" if node.tag == f"{space}t" else written.get(node.tag, "") for node in paragraph.iter())
        for paragraph in root.iter(f"{space}p")
    ]
    return "\n".join(lines)


def _seconds(groups: tuple[str | None, ...]) -> float:
    hours, minutes, seconds, fraction = groups
    return int(hours or 0) * 3600 + int(minutes or 0) * 60 + int(seconds or 0) + float(f"0.{fraction or 0}")


def _cues(lines: list[str], notes: list[str]) -> Iterator[Utterance]:
    """Yield the cues of WebVTT and SRT, one utterance per voice."""
    cues: list[tuple[float, float, list[str]]] = []
    reversed_cues = 0
    at = 0
    while at < len(lines):
        if not (times := CUE.match(lines[at])):
            at += 1
            continue
        start, end = _seconds(times.groups()[:4]), _seconds(times.groups()[4:])
        at += 1
        words = []
        while at < len(lines) and lines[at].strip() and not CUE.match(lines[at]):
            words.append(lines[at].strip())
            at += 1
        if at < len(lines) and CUE.match(lines[at]) and words and words[-1].isdecimal():
            words.pop()  # the next cue's number, where no empty line stands before it
        if end < start:
            start, end, reversed_cues = end, start, reversed_cues + 1
        cues.append((start, end, words))
    named = _begin_with_names([words for _, _, words in cues if words])
    for start, end, words in cues:
        text = "\n".join(words)
        voices = [(words[0], "\n".join(words[1:]))] if named and len(words) > 1 else VOICE.findall(text)
        for speaker, said in voices or [("", text)]:
            if plain := _plain(said):
                yield Utterance(start, end, _plain(speaker) or None, plain)
    if reversed_cues:
        notes.append(
            f"{counted(reversed_cues, 'cue ends', 'cues end')} before the beginning; the two times were exchanged."
        )


def _begin_with_names(cues: list[list[str]]) -> bool:
    """Return whether cues have who speaks on a line of its own, as older ones of Teams: the same few again."""
    firsts = Counter(words[0] for words in cues if len(words) > 1)
    times = sum(firsts.values())
    return 10 * times >= 9 * len(cues) > 0 and 2 * len(firsts) <= times and all(map(ALONE_NAME.match, firsts))


def _chat(lines: list[str]) -> Iterator[Utterance]:
    before: Utterance | None = None
    for line in lines:
        found = CHAT.match(line)
        if found:
            if before and before.text:
                yield before
            start = _seconds(found.groups()[:4])
            before = _estimated(start, found[5].strip(), found[6].strip())
        elif before and line.strip():
            before = _estimated(before.start, before.speaker, f"{before.text} {line.strip()}".strip())
    if before and before.text:
        yield before


def _told(lines: list[str]) -> Iterator[Utterance]:
    """Yield what texts say that give a time with each speaker, or now and then a time alone and speakers between."""
    start: float | None = None
    speaker: str | None = None
    waiting: list[Utterance] = []  # of one stretch between two times
    for line in (raw.strip() for raw in lines):
        if found := SPEAKER_TIME.match(line):
            yield from _spread(waiting, None)
            waiting, speaker, start = [], found[1].strip(), _seconds(found.groups()[1:])
        elif found := ALONE.match(line):
            now = _seconds(found.groups())
            yield from _spread(waiting, now)
            waiting, speaker, start = [], None, now
        elif line and start is not None:
            named = NAMED.match(line) if speaker is None else None
            said = named[2] if named else line
            waiting.append(_estimated(start, named[1].strip() if named else speaker, said))
    yield from _spread(waiting, None)


def _spread(waiting: list[Utterance], until: float | None) -> list[Utterance]:
    """Lay utterances of one time behind each other; where the next time is known, over the whole time until it."""
    if not waiting:
        return []
    start, length = waiting[0].start, sum(one.end - one.start for one in waiting)
    scale = (until - start) / length if until is not None and until > start else 1.0
    laid = []
    for one in waiting:
        end = start + (one.end - one.start) * scale
        laid.append(replace(one, start=start, end=end))
        start = end
    return laid


def _estimated(start: float, speaker: str | None, text: str) -> Utterance:
    length = min(max(len(text.split()) * WORD_S, SHORTEST_S), LONGEST_S)
    return Utterance(start, start + length, speaker or None, text)


def _plain(text: str) -> str:
    return re.sub(r"\s+", " ", html.unescape(TAG.sub("", text))).strip()


def _with_speakers(found: list[Utterance]) -> list[Utterance]:
    """Take the names in `Name: words` for speakers, where the transcript is written that way."""
    split = [None if one.speaker else NAMED.match(one.text) for one in found]
    names = Counter(match[1] for match in split if match)
    usual = 3 * sum(names.values()) >= len(found)
    named = []
    for one, match in zip(found, split, strict=True):
        name = match[1] if match else ""
        likely = usual and match and len(name.split()) <= 6 and any(letter.isalpha() for letter in name)
        named.append(replace(one, speaker=name, text=match[2].strip()) if match and likely else one)
    return [one for one in named if one.text]


def _in_order(found: list[Utterance], notes: list[str]) -> list[Utterance]:
    unordered = sum(two.start < one.start for one, two in itertools.pairwise(found))
    ordered = sorted(found, key=lambda one: (one.start, one.end))
    overlapping = sum(two.start < one.end - 1e-6 for one, two in itertools.pairwise(ordered))
    if unordered:
        begin = counted(unordered, "utterance begins", "utterances begin")
        notes.append(f"{begin} before the one above in the transcript; they were sorted.")
    if overlapping:
        begin = counted(overlapping, "utterance begins", "utterances begin")
        notes.append(f"{begin} before the one before has ended; each is read for itself.")
    return ordered
