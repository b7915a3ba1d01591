"""What transcripts are made of: pieces as they stand in a file, and utterances in order of time, made from them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

from mien.words import counted

__all__ = ["Piece", "Transcript", "Utterance", "estimated_s", "in_order", "laid_out", "word_count"]

WORD_S, SHORTEST_S, LONGEST_S = 0.4, 1.0, 20.0
"""Where a transcript tells no end, an utterance takes so long a word, within these bounds, in seconds."""


@dataclass(frozen=True)
class Piece:
    """Some lines of a transcript that have one time.

    Attributes:
        start: In seconds of the transcript.
        end: Likewise; None where the file does not tell it.
        speaker: The name that the form sets apart from the words; None where there is none, or only within the words.
        lines: The words, without markup, a line each.
    """

    start: float
    end: float | None
    speaker: str | None
    lines: tuple[str, ...]


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


def word_count(text: str) -> int:
    """Return how many words a text has: what stands between spaces and has a letter or a digit."""
    return sum(any(letter.isalnum() for letter in word) for word in text.split())


def estimated_s(text: str) -> float:
    """Return how long it takes to say a text, in seconds."""
    return min(max(len(text.split()) * WORD_S, SHORTEST_S), LONGEST_S)


def laid_out(utterances: Sequence[Utterance], *, until_next: bool) -> list[Utterance]:
    """Lay those of one time without an end, which end where they start, behind each other, by their numbers of words.

    Args:
        utterances: In the file's order.
        until_next: Fill the whole time until the next one that the file gives; else they only end by then.
    """
    groups = [list(group) for _, group in itertools.groupby(utterances, key=lambda utterance: utterance.start)]
    nexts = [group[0].start for group in groups[1:]]
    laid = []
    for group, after in itertools.zip_longest(groups, nexts):
        at = group[0].start
        total = sum(estimated_s(utterance.text) for utterance in group)
        scale = (after - at) / total if after is not None and after > at else 1.0
        for utterance in group:
            if utterance.end > utterance.start:
                laid.append(utterance)
                continue
            end = at + estimated_s(utterance.text) * (scale if until_next else min(scale, 1.0))
            laid.append(replace(utterance, start=at, end=end))
            at = end
    return laid


def in_order(utterances: Sequence[Utterance], notes: list[str]) -> list[Utterance]:
    """Return utterances in order of time, and note where they were in another or overlap."""
    unordered = sum(after.start < before.start for before, after in itertools.pairwise(utterances))
    ordered = sorted(utterances, key=lambda utterance: (utterance.start, utterance.end))
    overlapping = sum(after.start < before.end - 1e-6 for before, after in itertools.pairwise(ordered))
    if unordered:
        begin = counted(unordered, "utterance begins", "utterances begin")
        notes.append(f"{begin} before the one above in the transcript; they were sorted.")
    if overlapping:
        begin = counted(overlapping, "utterance begins", "utterances begin")
        notes.append(f"{begin} before the one before has ended; each is read for itself.")
    return ordered
