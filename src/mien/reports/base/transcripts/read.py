"""Transcripts of meetings: a file goes in, utterances in order of time come out, with what was wrong with them.

Which form a file has is told by what stands in it, not by its name. Each form has a reader of its own; who speaks,
where names stand within the words, is found for all of them alike.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mien.errors import InputError
from mien.reports.base.text_files import read_text
from mien.reports.base.transcripts.ass import ass_pieces, is_ass
from mien.reports.base.transcripts.cues import cue_pieces
from mien.reports.base.transcripts.json_forms import json_pieces
from mien.reports.base.transcripts.names import named, names_above
from mien.reports.base.transcripts.texts import heading_count, text_pieces
from mien.reports.base.transcripts.times import Timing, timing
from mien.reports.base.transcripts.utterances import Piece, Transcript, Utterance, in_order, laid_out

__all__ = ["read_captions", "read_transcript"]

UNSEEN = dict.fromkeys(map(ord, "\u200b\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff\0"))
"""Characters that say how text is laid out, and show nothing themselves; names are compared without them."""

FORMS = (
    "WebVTT, SRT, SBV, ASS, JSON of Whisper or Deepgram, a Zoom chat or captions, or a text or .docx with times, such "
    "as those of Teams, Google Meet and Otter"
)


@dataclass(frozen=True)
class _Form:
    """What a file was taken for, and what is in it."""

    kind: str
    pieces: list[Piece]
    ends: bool = True
    until_next: bool = False


def read_transcript(path: Path) -> Transcript:
    """Return the transcript in a file; one that holds no words is empty, which is noted.

    Raises:
        InputError: It cannot be read, or it has words and nothing in it has a time.
    """
    notes: list[str] = []
    form = _form(path, notes)
    utterances = named(names_above(form.pieces), notes)
    if not form.ends:
        utterances = laid_out(utterances, until_next=form.until_next)
    return _transcript(path, form, utterances, notes)


def read_captions(path: Path) -> Transcript:
    """Return the captions in a file as they are, one utterance each, with speakers only where the form sets them apart.

    Raises:
        InputError: As for a transcript.
    """
    notes: list[str] = []
    form = _form(path, notes)
    utterances = [
        Utterance(piece.start, piece.start if piece.end is None else piece.end, piece.speaker, " ".join(piece.lines))
        for piece in form.pieces
    ]
    return _transcript(path, form, utterances if form.ends else laid_out(utterances, until_next=False), notes)


def _transcript(path: Path, form: _Form, utterances: Sequence[Utterance], notes: list[str]) -> Transcript:
    ordered = in_order(utterances, notes)
    if not ordered:
        notes.append(f"'{path.name}' holds no words: nothing is known of what was said.")
    return Transcript(form.kind, ordered, notes)


def _form(path: Path, notes: list[str]) -> _Form:
    """Return what is in a file, by the first form that it has."""
    text = read_text(path, notes).translate(UNSEEN)
    lines = text.splitlines()
    if text.lstrip().startswith(("{", "[")) and (form := _of_json(path, text, notes)):
        return form
    if is_ass(lines):
        return _Form("ASS", ass_pieces(lines, notes))
    timings = [times for line in lines if (times := timing(line))]
    is_vtt = text.lstrip().startswith("WEBVTT")
    if is_vtt or not text.strip() or _are_cues(path, timings, lines):
        return _Form(_kind(timings, is_vtt=is_vtt), cue_pieces(lines, notes))
    read = text_pieces(lines, notes)
    if not read.pieces and not heading_count(lines):
        first = next(line for line in lines if line.strip()).strip()
        shown = "".join(letter if letter.isprintable() else "?" for letter in first[:80])
        what = (
            "it is no valid JSON" if path.suffix.lower() == ".json" else "nothing in it has a time that is understood"
        )
        raise InputError(
            f"cannot read transcript '{path}': {what}, from the first line on ('{shown}'); expected {FORMS}"
        )
    if read.kind == "Zoom chat":
        notes.append("It is a chat: each line stands for the seconds after it was sent, 0.4 a word.")
    elif any(piece.end is None for piece in read.pieces):
        notes.append("It does not tell when utterances end; their times were estimated from the number of words.")
    return _Form(read.kind, read.pieces, ends=False, until_next=read.until_next)


def _are_cues(path: Path, timings: Sequence[Timing], lines: Sequence[str]) -> bool:
    """Return whether a file without WebVTT's head is one of cues: by its name, or more of its lines say so than not."""
    readable = sum(times.start is not None and times.end is not None for times in timings)
    if path.suffix.lower() in (".srt", ".vtt", ".sbv") and timings:
        return True
    return readable > 0 and readable >= heading_count([line for line in lines if not timing(line)])


def _kind(timings: Sequence[Timing], *, is_vtt: bool) -> str:
    if is_vtt:
        return "WebVTT"
    if timings and all(times.kind == "comma" for times in timings):
        return "SBV"
    return "Whisper's text" if timings and all(times.kind == "brackets" for times in timings) else "SRT"


def _of_json(path: Path, text: str, notes: list[str]) -> _Form | None:
    """Return what is in a JSON file; None where it is no JSON."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return None
    read = json_pieces(content, notes)
    if read is None:
        names = (
            [re.sub(r"[^ -~]", "?", str(key)[:30]) for key in list(content)[:8]] if isinstance(content, dict) else []
        )
        keys = ", ".join(names) if isinstance(content, dict) else "no names"
        raise InputError(
            f"cannot read transcript '{path}': it is JSON with {keys or 'nothing in it'}, of "
            "which no list of segments with texts and times is known; expected Whisper's (segments) or Deepgram's "
            "(results)"
        )
    return _Form(read[0], read[1])
