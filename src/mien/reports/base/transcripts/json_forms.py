"""Transcripts as JSON: Whisper's (and whisper.cpp's, WhisperX's), Deepgram's and lists of segments like theirs."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator, Sequence
from typing import Any

from mien.reports.base.transcripts.times import cue_time
from mien.reports.base.transcripts.utterances import Piece, estimated_s, word_count
from mien.words import counted

__all__ = ["json_pieces"]

TEXTS = ("text", "transcript", "punctuated_word", "word", "sentence", "content", "value")
STARTS = ("start", "start_time", "startTime", "begin", "from", "offset")
ENDS = ("end", "end_time", "endTime", "to")
SPEAKERS = ("speaker", "speaker_name", "speakerName", "speaker_label", "speaker_id", "name", "channel")
PAUSE_S = 1.0
"""Single words are one utterance up to a pause so long, or a sentence's end."""


def json_pieces(content: object, notes: list[str]) -> tuple[str, list[Piece]] | None:
    """Return what a JSON transcript was taken for and its pieces; None for other JSON."""
    if isinstance(content, dict):
        results = content.get("results")
        if isinstance(results, dict) and ("channels" in results or "utterances" in results):
            return "Deepgram's JSON", _pieces(_deepgram(results), notes)
        if _segments(content.get("transcription")):
            return "whisper.cpp's JSON", _pieces(content["transcription"], notes)
        for key, kind in (("segments", "Whisper's JSON"), ("utterances", "a JSON of utterances")):
            if _segments(content.get(key)):
                scale = 0.001 if "audio_duration" in content else 1.0  # AssemblyAI counts in milliseconds
                return kind, _pieces(content[key], notes, scale)
        for key in ("words", "chunks", "results", "monologues", "captions"):
            if _segments(content.get(key)):
                return "a JSON of segments", _pieces(content[key], notes)
    if _segments(content):
        return "a JSON of segments", _pieces(content, notes)
    return None


def _segments(content: object) -> bool:
    """Return whether something is a list of parts with a text; an empty list is one too."""
    return isinstance(content, list) and all(isinstance(part, dict) and _text(part) is not None for part in content)


def _deepgram(results: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the parts of Deepgram's results: its utterances, else its paragraphs' sentences, else its words."""
    if isinstance(results.get("utterances"), list) and results["utterances"]:
        return _dicts(results["utterances"])
    parts: list[dict[str, Any]] = []
    channels = _dicts(results.get("channels"))
    for number, channel in enumerate(channels):
        best: dict[str, Any] = next(iter(_dicts(channel.get("alternatives"))), {})
        own = {"speaker": f"Channel {number + 1}"} if len(channels) > 1 else {}
        block = best.get("paragraphs")
        sentences = [
            {"speaker": paragraph.get("speaker")} | sentence | own
            for paragraph in _dicts(block.get("paragraphs") if isinstance(block, dict) else None)
            for sentence in _dicts(paragraph.get("sentences"))
        ]
        words = [word | own for word in _dicts(best.get("words"))]
        spoken = [_text(part) or "" for part in words]
        whole = word_count(" ".join(spoken)) <= word_count(" ".join(_text(part) or "" for part in sentences))
        parts += sentences if sentences and whole else list(_sentences(words))
    return parts


def _dicts(content: object) -> list[dict[str, Any]]:
    return [part for part in content if isinstance(part, dict)] if isinstance(content, list) else []


def _sentences(words: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield single words put together: until the speaker changes, a sentence ends, or a pause comes."""
    group: list[dict[str, Any]] = []
    for word, after in itertools.zip_longest(words, words[1:]):
        group.append(word)
        end, start = _seconds(word, ENDS), _seconds(after or {}, STARTS)
        pause = end is not None and start is not None and start - end >= PAUSE_S
        if after is None or _speaker(after) != _speaker(word) or pause or (_text(word) or "").endswith((".", "?", "!")):
            spoken = " ".join(filter(None, map(_text, group)))
            yield {
                "start": group[0].get("start"),
                "end": group[-1].get("end"),
                "text": spoken,
                "speaker": word.get("speaker"),
            }
            group = []


def _pieces(parts: Any, notes: list[str], scale: float = 1.0) -> list[Piece]:
    pieces: list[Piece] = []
    untimed = 0
    if parts and all(len((_text(part) or "").split()) < 2 for part in parts) and len(parts) > 3:
        parts = list(_sentences(parts))
    for part in parts:
        text = re.sub(r"\s+", " ", _text(part) or "").strip()
        if not text:
            continue
        start, end = _seconds(part, STARTS), _seconds(part, ENDS)
        if start is None or start < 0:
            untimed += 1
            start = (pieces[-1].end or 0.0) / scale if pieces else 0.0
        if end is None or end < start:
            end = start + estimated_s(text) / scale
        pieces.append(Piece(start * scale, end * scale, _speaker(part), (text,)))
    if untimed:
        have = counted(untimed, "segment has", "segments have")
        notes.append(f"{have} no time that can be read; the words were kept and laid behind the segment before.")
    return pieces


def _text(part: dict[str, Any]) -> str | None:
    return next((part[name] for name in TEXTS if isinstance(part.get(name), str)), None)


def _speaker(part: dict[str, Any]) -> str | None:
    value = next((part[name] for name in SPEAKERS if part.get(name) is not None and name in part), None)
    if isinstance(value, dict):
        value = value.get("name")
    if isinstance(value, bool) or not isinstance(value, int | str):
        return None
    return f"Speaker {value}" if isinstance(value, int) else value.strip()[:120] or None


def _seconds(part: dict[str, Any], names: Sequence[str]) -> float | None:
    """Return a segment's time in seconds; None where it has none that can be read."""
    offsets, stamps = part.get("offsets"), part.get("timestamp", part.get("timestamps"))
    if isinstance(offsets, dict):
        value = next((offsets[name] for name in names if name in offsets), None)
        return value / 1000 if isinstance(value, int | float) and math.isfinite(value) else None
    if isinstance(stamps, dict):
        part = stamps
    elif isinstance(stamps, list) and len(stamps) == 2:
        part = {"start": stamps[0], "end": stamps[1]}
    value = next((part[name] for name in names if part.get(name) is not None), None)
    if isinstance(value, str):
        parsed = cue_time(value.strip())
        value = parsed[0] if parsed and not parsed[1].strip() else None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value) if abs(value) < 1e10 else None
