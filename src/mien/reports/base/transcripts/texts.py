"""Texts that name a time with each speaker, with each line, or now and then: Otter, Teams, Meet, chats and others.

Lines go in, pieces in the file's order come out. Which lines are headings is decided for the whole file: they are
written alike, stand at the beginning of a paragraph where the text has paragraphs, and their times do not run back.
"""

from __future__ import annotations

import bisect
import itertools
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from mien.reports.base.transcripts.name_shapes import Shape, shape_of
from mien.reports.base.transcripts.times import CLOCK, SPELLED, clock_s, spelled_s
from mien.reports.base.transcripts.utterances import Piece, word_count
from mien.words import counted

__all__ = ["Text", "heading_count", "text_pieces"]

RANGE = rf"{CLOCK}(?:\s*[-–—]\s*{CLOCK})?"
NAME_IN_BRACKETS = re.compile(rf"^[\[(]([^\[\]()]{{1,120}})[\])]\s*[-–,]?\s*{RANGE}\s*:?\s*$")
NAME_THEN_BRACKETS = re.compile(rf"^(.{{1,120}}?)\s*([\[(])\s*{RANGE}\s*[\])]\s*([:：]?)\s*(.*)$")
NAME_THEN_TIME = re.compile(rf"^(.{{1,120}}?)(\s{{2,}}|\t|\s*[,|·•–—-]\s*|:\s+|\s+){RANGE}\s*[:：]?\s*$")
NAME_TIME_WORDS = re.compile(rf"^(.{{1,120}}?)(\s+){CLOCK}\s*[:：]\s+(\S.*)$")
NAME_THEN_SPELLED = re.compile(rf"^(.{{1,120}}?)[\s,]+{SPELLED}\s*$", re.IGNORECASE)
TIME_IN_BRACKETS = re.compile(rf"^[\[(]\s*{RANGE}\s*[\])]\s*[-–—:]?\s*(.*)$")
TIME_FIRST = re.compile(rf"^{RANGE}(?:\s*[-–—|]\s+|\s*[:：]?(?:\s+|$))(.*)$")
SPELLED_ALONE = re.compile(rf"^{SPELLED}\s*(?:\d{{1,3}}(?::\d\d){{1,2}})?$", re.IGNORECASE)
SENT = re.compile(r"^From\s+(.+?)(?:\s+to\s+.+?)?\s*:(?:\s+(.*)|)$", re.IGNORECASE)
SENT_TO = re.compile(r"^(.+?)\s+to\s+(?:Everyone|Everybody|Alle|Tout le monde|Todos)\b.*?:\s*(.*)$", re.IGNORECASE)
RECORDER = re.compile(r"^.{1,80} (?:started|stopped) transcription\.?$")
SPELLED_HEADING = "name spelled"
INITIALS = re.compile(r"^\w{1,3}$")


@dataclass(frozen=True)
class Text:
    """What was read of a text.

    Attributes:
        kind: What it was taken for.
        pieces: In the file's order.
        until_next: Whether its times are those of stretches, each of which lasts until the next.
    """

    kind: str
    pieces: list[Piece]
    until_next: bool


class _Heading(NamedTuple):
    """A line that gives a time."""

    line: int
    style: str
    start: float
    end: float | None
    name: str | None
    rest: str


def text_pieces(raw: Sequence[str], notes: list[str]) -> Text:
    """Return what is said in a text, and note what of it is left out; no pieces where nothing has a time."""
    lines = _plain(raw)
    headings = _headings(lines)
    if not headings:
        return Text("", [], until_next=False)
    skipped = _decorations(lines, headings)
    headings = [heading for heading in headings if heading.line not in skipped]
    by_name = headings[0].name is not None
    if not by_name:
        headings, skipped = _with_names(lines, headings, skipped)
    is_chat = not by_name and _is_chat([raw[heading.line] for heading in headings])
    if is_chat:
        headings = [_sent(heading) for heading in headings]
    _note_left_out(lines, headings, skipped, notes)
    pieces = []
    for heading, following in zip(headings, [*headings[1:], None], strict=True):
        if heading.rest:
            pieces.append(Piece(heading.start, heading.end, heading.name, (heading.rest,)))
        inside = range(heading.line + 1, following.line if following else len(lines))
        words = [lines[at] for at in inside if lines[at] and at not in skipped]
        if is_chat and pieces and words:
            before = pieces.pop() if heading.rest else Piece(heading.start, heading.end, heading.name, ())
            pieces.append(replace(before, lines=(*before.lines, *words)))
        else:
            pieces += [Piece(heading.start, heading.end, heading.name, (line,)) for line in words]
    alone = sum(not heading.rest for heading in headings)
    kind = "Zoom chat" if is_chat else "a text with speakers and times" if by_name else "a text with times"
    return Text(kind, pieces, until_next=not is_chat and headings[0].name is None and 2 * alone > len(headings))


def heading_count(raw: Sequence[str]) -> int:
    """Return how many lines of a text give a time."""
    return len(_headings(_plain(raw)))


def _plain(raw: Sequence[str]) -> list[str]:
    """Return lines without Markdown's bold marks and without wide gaps, of which two spaces are left."""
    return [re.sub(r"\s{3,}", "  ", line.strip()).replace("**", "").strip() for line in raw]


def _headings(lines: Sequence[str]) -> list[_Heading]:
    """Return the lines that give a time, all written in one way: the one of most, else of the first."""
    at_start = [bool(line) and (at == 0 or not lines[at - 1]) for at, line in enumerate(lines)]
    candidates = [
        heading
        for at, line in enumerate(lines)
        if line
        for read in (_name_first, _time_first)
        if (heading := read(at, line))
    ]
    again = Counter(heading.name for heading in candidates if heading.name)
    candidates = [
        heading for heading in candidates
        if heading.name is None
        or shape_of(heading.name) in (Shape.NAME, Shape.LOWER)
        or (again[heading.name] > 1 and shape_of(heading.name) is not Shape.LABEL)
    ]  # fmt: skip
    styles = Counter(heading.style for heading in candidates)
    if not styles:
        return []
    first = {heading.style: heading.line for heading in reversed(candidates)}
    style = max(styles, key=lambda name: (styles[name], name == SPELLED_HEADING, -first[name]))
    alike = {style, "name  time"} if style == "name time" else {style}
    chosen = [heading for heading in candidates if heading.style in alike]
    if chosen[0].name is None:
        return chosen
    return _not_run_back(_at_paragraphs(chosen, lines, at_start), again)


def _name_first(at: int, line: str) -> _Heading | None:
    """Return the heading that a line is if it has a name and then a time."""
    if match := NAME_THEN_SPELLED.match(line):
        return _Heading(at, SPELLED_HEADING, spelled_s(match.groups()[1:4]), None, _clean(match[1]), "")
    if match := NAME_IN_BRACKETS.match(line):
        return _of(at, "[name] time", match.groups()[1:], match[1], "")
    if match := NAME_THEN_BRACKETS.match(line):
        return _of(at, f"name {match[2]}time", match.groups()[2:12], match[1], match[14].strip())
    if match := NAME_THEN_TIME.match(line):
        wide = (len(match[2]) > 1 and match[2].isspace()) or match[2] == "\t"
        style = "name  time" if wide else "name time" if match[2].isspace() else f"name{match[2].strip()}time"
        return _of(at, style, match.groups()[2:12], match[1], "")
    if match := NAME_TIME_WORDS.match(line):
        return _of(at, "name time:", (*match.groups()[2:7], *(None,) * 5), match[1], match[8].strip())
    return None


def _of(at: int, style: str, groups: tuple[str | None, ...], name: str, rest: str) -> _Heading | None:
    cleaned = _clean(name)
    if not cleaned or re.search(r"\d:\d\d", cleaned):
        return None
    return _Heading(at, style, clock_s(groups[:5]), _end(groups[5:10]), cleaned, rest)


def _end(groups: tuple[str | None, ...]) -> float | None:
    return clock_s(groups) if groups and groups[1] is not None else None


def _clean(name: str) -> str:
    return name.strip().strip("[]*_|").strip().rstrip(":：,").strip()


def _time_first(at: int, line: str) -> _Heading | None:
    """Return the heading that a line is if it begins with a time."""
    if match := SPELLED_ALONE.match(line):
        return _Heading(at, "time", spelled_s(match.groups()[:3]), None, None, "")
    for style, pattern in (("[time]", TIME_IN_BRACKETS), ("time", TIME_FIRST)):
        if match := pattern.match(line):
            groups = match.groups()
            return _Heading(at, style, clock_s(groups[:5]), _end(groups[5:10]), None, groups[10].strip())
    return None


def _at_paragraphs(headings: list[_Heading], lines: Sequence[str], at_start: Sequence[bool]) -> list[_Heading]:
    """Leave out lines amid a paragraph that end in a time, where the paragraphs of a text begin with headings."""
    first = headings[0].line
    begin = {heading.line for heading in headings if at_start[heading.line]}
    paragraphs = sum(at_start[at] for at in range(first, len(lines)))
    if len(begin) < 2 or 2 * len(begin) < paragraphs:
        return headings
    names = {heading.name for heading in headings if heading.line in begin}
    return [heading for heading in headings if heading.line in begin or heading.name in names]


def _not_run_back(headings: list[_Heading], again: Counter[str]) -> list[_Heading]:
    """Leave out lines whose time runs back or too far ahead and whose name stands nowhere else."""
    ends: list[float] = []  # the longest row of times that do not run back: its last time, by its length
    best: list[int] = []
    before: list[int | None] = []
    for at, heading in enumerate(headings):
        length = bisect.bisect_right(ends, heading.start)
        ends[length : length + 1] = [heading.start]
        best[length : length + 1] = [at]
        before.append(best[length - 1] if length else None)
    at_last: int | None = best[-1] if best else None
    kept = set()
    while at_last is not None:
        kept.add(at_last)
        at_last = before[at_last]
    return [heading for at, heading in enumerate(headings) if at in kept or again[heading.name or ""] > 1]


def _decorations(lines: Sequence[str], headings: Sequence[_Heading]) -> set[int]:
    """Return which lines a browser's copy of Teams has beside the words: names and times again, initials."""
    skipped = {
        after.line for before, after in itertools.pairwise(headings)
        if (before.style, before.start, before.rest, after.rest) == ("time", after.start, "", "")
        and not any(lines[before.line + 1 : after.line])
    }  # fmt: skip
    if headings[0].style != SPELLED_HEADING:
        return skipped
    names = {heading.name for heading in headings}
    for at, line in enumerate(lines):
        after = next((later for later in lines[at + 1 : at + 3] if later), "")
        if (
            SPELLED_ALONE.match(line)
            or RECORDER.match(line)
            or (line in names and SPELLED_ALONE.match(after))
            or (INITIALS.match(line) and line.isupper() and after in names)
        ):
            skipped.add(at)
    return skipped


def _with_names(lines: Sequence[str], headings: list[_Heading], skipped: set[int]) -> tuple[list[_Heading], set[int]]:
    """Take the names from lines of their own above the times, or from behind them, where all are made so."""
    ends = [heading.line for heading in headings[1:]] + [len(lines)]
    bodies = [
        [at for at in range(heading.line + 1, end) if lines[at]] for heading, end in zip(headings, ends, strict=True)
    ]
    if all(heading.rest for heading in headings):
        rests = [heading.rest for heading in headings]
        if all(bodies) and all(map(_alone, rests)):
            return [heading._replace(name=_clean(heading.rest), rest="") for heading in headings], skipped
        return headings, skipped
    above = [next((at for at in range(heading.line - 1, -1, -1) if lines[at]), None) for heading in headings]
    paired = above[0] is not None and all(len(body) > 1 for body in bodies[:-1]) and not any(h.rest for h in headings)
    if not paired or not all(at is not None and at not in skipped and _alone(lines[at]) for at in above):
        return headings, skipped
    taken = {at for at in above if at is not None}
    initials = {
        at - 1 for at in taken if at and INITIALS.match(lines[at - 1]) and lines[at - 1].isupper()
        and all(letter in lines[at] for letter in lines[at - 1])
    }  # fmt: skip
    return [
        heading._replace(name=_clean(lines[at])) for heading, at in zip(headings, above, strict=True) if at is not None
    ], skipped | taken | initials


def _alone(line: str) -> bool:
    """Return whether a line looks like a name with nothing else."""
    name = _clean(line)
    fits: Callable[[str], bool] = lambda name: shape_of(name) is Shape.NAME and len(name.split()) <= 8  # noqa: E731
    return 0 < len(name) <= 60 and name[-1] not in ".!?。！？" and ":" not in name and fits(name)


def _is_chat(lines: Sequence[str]) -> bool:
    """Return whether lines are a chat's, as Zoom saves it: `From Ann to Everyone:`, or tabs around the name."""
    sent = sum(
        bool(re.match(rf"^\s*{CLOCK}(?:\s+From\s.+:|\s*\t\s*[^\t]+:\s*(?:\t|$|\S))", line, re.IGNORECASE))
        for line in lines
    )
    return 2 * sent > len(lines)


def _sent(heading: _Heading) -> _Heading:
    """Return a line of a chat with its sender's name set apart."""
    if match := SENT.match(heading.rest) or SENT_TO.match(heading.rest):
        return heading._replace(name=match[1].strip(), rest=(match[2] or "").strip())
    name, mark, rest = heading.rest.partition(":\t")
    if not mark:
        name, mark, rest = heading.rest.partition(":")
    return heading._replace(name=name.strip(), rest=rest.strip()) if mark else heading


def _note_left_out(lines: Sequence[str], headings: Sequence[_Heading], skipped: set[int], notes: list[str]) -> None:
    before = [line for at, line in enumerate(lines[: headings[0].line]) if line and at not in skipped]
    if words := word_count(" ".join(before)):
        were = counted(words, "word before the first time was", "words before the first time were")
        notes.append(f"{were} left out: '{before[0][:60]}'.")
    if skipped:
        were = counted(len(skipped), "line", "lines")
        notes.append(f"{were} that only repeat names and times, or tell of the recording, were left out.")
