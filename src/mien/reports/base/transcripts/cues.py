"""Forms with a time line above or before the words of each cue: WebVTT, SRT, SBV and what Whisper prints.

Lines go in, pieces in the file's order come out. Whatever stands between two time lines belongs to the first of them,
also behind empty lines, except numbers and names of cues and WebVTT's comments.
"""

from __future__ import annotations

import html
import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from mien.reports.base.transcripts.times import Timing, timing
from mien.reports.base.transcripts.utterances import Piece, estimated_s, word_count
from mien.words import counted

__all__ = ["cue_pieces"]

NUMBER = re.compile(r"\s*#?\d{1,7}[.)]?\s*")
NUMBERED_NAME = re.compile(r'\s*\d+\s+"(.{1,120})"(?:\s+\(\d+\))?\s*')
SPOKEN_BY = re.compile(r"<v(?:\.[^\s<>]*)?(?:\s+([^<>]*))?>|</v\s*>", re.IGNORECASE)
MARKUP = re.compile(
    r"</?(?:c|i|b|u|s|em|strong|ruby|rt|lang|span|font|p|div)(?:\.[^\s<>]*)?(?:\s+(?:[\w-]+=[^<>]*|[a-z]{2,3}(?:-\w+)*))?\s*>"
    r"|</?v(?:\.[^\s<>]*)?>|<\d[\d:.,]{3,14}>|\{\\[^{}]*\}",
    re.IGNORECASE,
)
BREAK = re.compile(r"<br\s*/?>", re.IGNORECASE)
ENTITY = re.compile(r"&(?:\w{2,31}|#\d{1,7}|#[xX][0-9a-fA-F]{1,6});")
LINES_SHOWN = 8
"""Captions show at most so many lines."""

OVERLAPS_AT_LEAST = 0.6
"""Captions roll where in so many of two cues that follow each other the second repeats lines of the first."""


@dataclass
class _Cue:
    """A time line and the lines that belong to it."""

    line: int
    timing: Timing
    speaker: str | None = None
    lines: list[str] = field(default_factory=list)


def cue_pieces(lines: Sequence[str], notes: list[str]) -> list[Piece]:
    """Return the pieces of all cues, one for each voice in them; what is left out or guessed is noted."""
    cues = _cues(lines, notes)
    timed = _with_times(cues, notes)
    voices = [_voices(cue) for cue in cues]
    if silent := sum(not parts for parts in voices):
        notes.append(f"{counted(silent, 'cue has', 'cues have')} no words.")
    pieces = [
        Piece(start, end, speaker, words)
        for (start, end), parts in zip(timed, voices, strict=True)
        for speaker, words in parts
    ]
    return _without_repeats(pieces, notes)


def _cues(lines: Sequence[str], notes: list[str]) -> list[_Cue]:
    """Lay each line to the cue that it belongs to."""
    timings = [timing(line) for line in lines]
    is_vtt = next((line for line in lines if line.strip()), "").lstrip("\ufeff").startswith("WEBVTT")
    labels = _labels(lines, timings, is_vtt=is_vtt)
    aside = _aside(lines, timings) if is_vtt else set()
    cues: list[_Cue] = []
    before: list[str] = []
    speaker = None
    for at, (line, times) in enumerate(zip(lines, timings, strict=True)):
        if at in labels:
            named = NUMBERED_NAME.fullmatch(line)
            speaker = named[1].strip() if named else None
        elif times:
            cues.append(_Cue(at + 1, times, speaker, [times.words] if times.words else []))
            speaker = None
        elif line.strip() and at not in aside:
            (cues[-1].lines if cues else before).append(line.strip())
    last = max((at for at, line in enumerate(lines) if line.strip()), default=-1)
    if last in labels:
        notes.append(f"It ends with the number of a cue that is not there ({lines[last].strip()}): it may be cut off.")
    if words := word_count(" ".join(before)):
        stand = counted(words, "word before the first time was", "words before the first time were")
        notes.append(f"{stand} left out: '{before[0][:60]}'.")
    return cues


def _labels(lines: Sequence[str], timings: Sequence[Timing | None], *, is_vtt: bool) -> set[int]:
    """Return which lines are the number or the name of the cue below them, and no words of the one above."""
    above = [at - 1 for at, times in enumerate(timings) if times and at > 0 and not timings[at - 1]]
    cues = sum(times is not None for times in timings)
    numbers = [at for at in above if NUMBER.fullmatch(lines[at])]
    values = [int(re.sub(r"\D", "", lines[at])) for at in numbers]
    rising = sum(after == before + 1 for before, after in itertools.pairwise(values))
    is_numbered = 2 * len(numbers) >= cues and (above[:1] == numbers[:1] or 2 * rising >= cues - 1)
    labels = set(numbers) if is_numbered else set()
    if (
        is_numbered
        and numbers
        and NUMBER.fullmatch(last := next((line for line in reversed(lines) if line.strip()), ""))
    ):
        at = max(at for at, line in enumerate(lines) if line is last)
        if at not in labels and int(re.sub(r"\D", "", last)) == values[-1] + 1 and not lines[at - 1].strip():
            labels.add(at)  # of a cue that the file's end has cut off
    if is_vtt:
        names = [
            at for at in above if at not in labels and lines[at].strip() and (at == 0 or not lines[at - 1].strip())
        ]
        usual = 2 * len(names) >= cues
        labels |= {at for at in names if usual or len(lines[at].split()) == 1 or NUMBERED_NAME.fullmatch(lines[at])}
    return labels


def _aside(lines: Sequence[str], timings: Sequence[Timing | None]) -> set[int]:
    """Return which lines of a WebVTT file are its head, its comments, its styles and its regions."""
    aside: set[int] = set()
    inside, had_cue, empty_above = True, False, False
    for at, (line, times) in enumerate(zip(lines, timings, strict=True)):
        if times or (not line.strip() and aside):
            inside = False
        elif empty_above and not inside:
            comment = re.match(r"NOTE(?:\s|$)", line)
            inside = bool(comment) or (not had_cue and line.strip() in ("STYLE", "REGION"))
        had_cue = had_cue or times is not None
        empty_above = not line.strip()
        if inside:
            aside.add(at)
    return aside


def _with_times(cues: Sequence[_Cue], notes: list[str]) -> list[tuple[float, float]]:
    """Return the times of each cue: exchanged where they run back, estimated where they cannot be read."""
    unread = [cue for cue in cues if cue.timing.start is None or cue.timing.end is None]
    turned = negative = 0
    timed: list[tuple[float, float]] = []
    known = [cue.timing.start for cue in cues]
    for at, cue in enumerate(cues):
        start, end = cue.timing.start, cue.timing.end
        length = estimated_s(" ".join(cue.lines))
        if start is None:
            start = timed[-1][1] if timed else max(0.0, (end or 0.0) - length)
            end = end if end is not None and end > start else None
        if end is None:
            after = next((later for later in known[at + 1 : at + 2] if later is not None and later > start), None)
            end = min(start + length, after) if after is not None else start + length
        if end < start:
            start, end, turned = end, start, turned + 1
        if start < 0:
            start, end, negative = 0.0, max(0.0, end), negative + 1
        timed.append((start, end))
    if turned:
        notes.append(f"{counted(turned, 'cue ends', 'cues end')} before the beginning; the two times were exchanged.")
    if negative:
        notes.append(f"{counted(negative, 'cue begins', 'cues begin')} before 0 s; they were taken from 0 s on.")
    if unread:
        notes.append(
            f"The times of {counted(len(unread), 'cue', 'cues')} could not be read (the first in line "
            f"{unread[0].line}); the words were kept and laid behind the cue before."
        )
    return timed


def _voices(cue: _Cue) -> list[tuple[str | None, tuple[str, ...]]]:
    """Return who says what in a cue: the words before, in and after its voice tags, without other markup."""
    parts: list[tuple[str | None, tuple[str, ...]]] = []
    text = "\n".join(cue.lines)
    at, speaker = 0, cue.speaker
    for tag in [*SPOKEN_BY.finditer(text), None]:
        words = tuple(filter(None, map(_plain, BREAK.sub("\n", text[at : tag.start() if tag else None]).split("\n"))))
        if words and parts and parts[-1][0] == speaker:
            parts[-1] = (speaker, parts[-1][1] + words)
        elif words:
            parts.append((speaker, words))
        if tag:
            at, speaker = tag.end(), _plain(tag[1] or "") or speaker
    return parts


def _plain(text: str) -> str:
    unmarked = ENTITY.sub(lambda entity: html.unescape(entity[0]), MARKUP.sub("", text))
    return re.sub(r"\s+", " ", unmarked).strip()


def _without_repeats(pieces: list[Piece], notes: list[str]) -> list[Piece]:
    """Return pieces without the words that rolling captions show a second time, where the captions do roll."""
    if len(pieces) < 3:
        return pieces
    shown = [" ".join(piece.lines).split() for piece in pieces]
    again = [0, *(_overlap(before, words) for before, words in zip(pieces, shown[1:], strict=False))]
    repeats = sum(count >= min(2, len(words)) > 0 for count, words in zip(again, shown, strict=True))
    grows = sum(0 < count < len(words) for count, words in zip(again, shown, strict=True))
    if repeats < OVERLAPS_AT_LEAST * (len(pieces) - 1) or 4 * grows < len(pieces):
        return pieces
    fresh = [
        replace(piece, lines=(" ".join(words[count:]),)) if count else piece
        for piece, words, count in zip(pieces, shown, again, strict=True)
    ]
    notes.append(
        f"The captions roll: {counted(sum(again), 'word that is', 'words that are')} shown again in a later cue "
        f"{'was' if sum(again) == 1 else 'were'} taken once."
    )
    return [piece for piece in fresh if any(piece.lines)]


def _overlap(before: Piece, shown: Sequence[str]) -> int:
    """Return with how many words a text repeats whole last lines of the piece before."""
    words = " ".join(before.lines).split()
    starts = list(itertools.accumulate((len(line.split()) for line in before.lines[:-1]), initial=0))
    for start in starts[:1] + starts[1:][-LINES_SHOWN:]:
        if list(shown[: len(words) - start]) == words[start:]:
            return len(words) - start
    return 0
