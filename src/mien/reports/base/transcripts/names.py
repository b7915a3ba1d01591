"""Who speaks, where transcripts write names into the words (`Ann: hello`): pieces go in, utterances come out.

What stands before a colon is a name where the transcript as a whole names speakers, and where it looks like a name and
not like a label (`Note:`), the beginning of a sentence, a time or an address. A name holds until the next.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

from mien.reports.base.transcripts.name_shapes import Shape, is_room, shape_of
from mien.reports.base.transcripts.utterances import Piece, Utterance
from mien.words import counted

__all__ = ["named", "names_above", "split_name"]

MAX_NAME = 120
COLON = re.compile(r"[:：﹕]")
LEAD = re.compile(r"^[\s>»•–—-]+(?:\*\s+)?|^\*\s+")
TURN = re.compile(r"^(?:>>+|»+)")
ADDRESS = frozenset(
    {"http", "https", "ftp", "sftp", "mailto", "tel", "file", "data", "urn", "doi", "isbn", "rtsp", "ssh"}
)
SMILE = re.compile(r"['-]?[()\[\]DPp|/*]+(?=\s|$|[.,!?])")
IN_BRACKETS = re.compile(r"^[\[(<]([^\[\]()<>]{1,120})[\])>]\s*[:：]\s*(.*)$")
SPEAKER_TAG = re.compile(r"^\[((?:speaker|sprecher|locuteur|hablante)[ _-]?\w{1,4})\]\s*[:：]?\s*(.*)$", re.IGNORECASE)
MARKED = re.compile(r"^(\*\*|__)(.{1,120}?)(?:\s*[:：]\s*\1|\1\s*[:：])\s*(.*)$")
SOUND = re.compile(r"^[\[(♪*].*[\])♪*]$")
ALONE = re.compile(r"^[^\W\d][^<>:!?]{0,59}(?<![.,;])$")


@dataclass(frozen=True)
class _Split:
    """A line that may begin with a name."""

    name: str
    rest: str


def named(pieces: Sequence[Piece], notes: list[str]) -> list[Utterance]:
    """Return an utterance for each stretch of a piece that one speaker says, in the file's order.

    Args:
        pieces: Of a transcript, in the file's order; one without an end gives utterances that end where they start.
        notes: Told how many were laid to whoever spoke before.
    """
    splits = [[split_name(line) for line in piece.lines] if piece.speaker is None else [] for piece in pieces]
    names = _speakers(pieces, splits)
    rooms = _rooms(splits, names)
    utterances: list[Utterance] = []
    current: str | None = None
    carried = silent = 0
    spoke = True
    for piece, parts in zip(pieces, splits, strict=True):
        if piece.speaker is not None:
            silent += not spoke
            current, spoke = piece.speaker, True
            utterances += _utterance(piece, current, piece.lines)
            continue
        words: list[str] = []
        fresh = False
        for at, (line, split) in enumerate(zip(piece.lines, parts, strict=True)):
            if split and split.name in names and (at == 0 or fresh or split.name in names.first):
                utterances += _utterance(piece, current, words)
                silent += not spoke and not any(words)
                current, words, fresh, spoke = split.name, [split.rest], True, False
                if split.name in rooms and (inner := split_name(split.rest)):
                    current, words = f"{split.name}: {inner.name}", [inner.rest]
            elif TURN.match(line):
                utterances += _utterance(piece, current, words)
                current, words = None, [TURN.sub("", line).strip()]
            else:
                words.append(line)
            spoke = spoke or any(words)
        carried += current is not None and not fresh and any(words)
        utterances += _utterance(piece, current, words)
    if silent + (not spoke):
        notes.append(f"{counted(silent + (not spoke), 'name stands', 'names stand')} without words.")
    if carried:
        notes.append(
            f"{carried:,} of {len(pieces):,} cues or lines name nobody; they were taken for the words of whoever spoke "
            "before."
        )
    return utterances


def _utterance(piece: Piece, speaker: str | None, lines: Sequence[str]) -> list[Utterance]:
    text = " ".join(filter(None, (line.strip() for line in lines)))
    end = piece.start if piece.end is None else piece.end
    return [Utterance(piece.start, end, speaker or None, text)] if text else []


def split_name(line: str) -> _Split | None:
    """Return what may be a speaker's name at a line's beginning, and the rest of the line."""
    text = LEAD.sub("", line).strip()
    if special := SPEAKER_TAG.match(text) or IN_BRACKETS.match(text):
        return _Split(special[1].strip(), special[2].strip())
    if marked := MARKED.match(text):
        return _Split(marked[2].strip(), marked[3].strip())
    colon = COLON.search(text[: MAX_NAME + 2])
    if not colon:
        return None
    name, rest = text[: colon.start()], text[colon.end() :]
    if name[-1:].isdigit() and rest[:1].isdigit():
        return None  # a time, a score, a verse
    if rest[:1] in ("/", "\\", ":", "=") or SMILE.match(rest) or name.casefold().strip() in ADDRESS:
        return None
    name = name.strip().strip('"“”„«»')
    return _Split(name, rest.strip()) if name else None


@dataclass(frozen=True)
class _Names:
    """The names of speakers: all, and those that stand on a piece's first line."""

    every: frozenset[str]
    first: frozenset[str]

    def __contains__(self, name: str) -> bool:
        return name in self.every


def _speakers(pieces: Sequence[Piece], splits: Sequence[Sequence[_Split | None]]) -> _Names:
    """Return which of the words before a colon are names of speakers in this transcript."""
    units = [parts for piece, parts in zip(pieces, splits, strict=True) if piece.speaker is None]
    counts = Counter(split.name for parts in units for split in parts if split)
    shapes = {name: shape_of(name) for name in counts}
    if not units or not counts:
        return _Names(frozenset(), frozenset())
    firsts = [parts[0] for parts in units if parts]
    spoken = [
        parts[0] for piece, parts in zip((p for p in pieces if p.speaker is None), units, strict=True)
        if parts and not SOUND.match(piece.lines[0])
    ]  # fmt: skip
    share = sum(bool(split) for split in firsts) / len(units)
    likely = {
        name for name, shape in shapes.items()
        if shape is Shape.NAME
        or (shape is Shape.LOWER and (counts[name] > 1 or share >= 0.8))
        or (shape is Shape.SENTENCE and share >= 0.8 and (counts[name] > 1 or (share >= 0.95 and len(units) >= 4)))
    }  # fmt: skip
    if {"question", "answer"} <= {name.casefold() for name in counts} or counts["Q"] + counts["q"]:
        likely |= {name for name in counts if name.casefold() in ("question", "answer", "q", "a")}
    by_name = [split.name for split in firsts if split and split.name in likely]
    recurring = [name for name, count in Counter(by_name).items() if count > 1]
    begins = bool(spoken and spoken[0] and spoken[0].name in likely)
    usual = 3 * len(by_name) >= len(units)
    if not (usual or begins or len(recurring) > 1 or (recurring and 10 * len(by_name) >= len(units))):
        return _Names(frozenset(), frozenset())
    return _Names(frozenset(likely), frozenset(by_name))


def _rooms(splits: Sequence[Sequence[_Split | None]], names: _Names) -> set[str]:
    """Return the names that are only the first half of one with a colon in it, such as `Room 3: Ann`."""
    inner: dict[str, list[str | None]] = defaultdict(list)
    for split in (split for parts in splits for split in parts if split and split.name in names):
        further = split_name(split.rest)
        fits = further and shape_of(further.name) is Shape.NAME and len(further.name.split()) <= 4
        inner[split.name].append(further.name if further and fits else None)
    rooms = set()
    for name, within in inner.items():
        counts = Counter(filter(None, within))
        again = sum(count for count in counts.values() if count > 1)
        known = sum(count for other, count in counts.items() if other in names)
        whole = None not in within
        if whole and (is_room(name) or (len(within) > 2 and 2 * max(again, known) >= len(within))):
            rooms.add(name)
    return rooms


def names_above(pieces: Sequence[Piece]) -> list[Piece]:
    """Return pieces with who speaks taken from a line of its own above the words, where all are made so.

    Older transcripts of Teams are: the same few names again and again.
    """
    longer = [piece for piece in pieces if len(piece.lines) > 1 and piece.speaker is None]
    firsts = Counter(piece.lines[0] for piece in longer)
    if not (10 * len(longer) >= 9 * len(pieces) > 0 and 2 * len(firsts) <= len(longer)):
        return list(pieces)
    if not all(map(ALONE.match, firsts)):
        return list(pieces)
    return [
        replace(piece, speaker=piece.lines[0], lines=piece.lines[1:]) if len(piece.lines) > 1 else piece
        for piece in pieces
    ]
