"""A time line: tiers of marks go in as they are, and come out as other tools can hold them.

Other tools want whole milliseconds, names that differ, text of one line without control characters, and tiers in which
no two intervals overlap. Whatever comes in, a film's name or a transcript's words, is made so here.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

__all__ = ["LONGEST_S", "UNCLEAR", "Annotation", "Kind", "Tier", "Timeline", "apart", "tidy"]

Kind = Literal["expression", "moment", "event", "utterance"]

UNCLEAR = "unclear"
"""The label of a face of which no emotion is named."""

LONGEST_S = 1e9
"""A time line is no longer, in seconds, as no recording is."""

MOST_NAME = 100
MOST_LABEL = 10_000
"""So many characters of a tier's name and of a label are kept."""

NOT_TEXT = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufffe\uffff]+")
"""What XML cannot hold, and what would break a line."""


class Annotation(NamedTuple):
    """A label from one time to another.

    Attributes:
        start: When it begins, in seconds.
        end: When it ends; the same: a moment.
        label: What it says.
        probability: The mean probability of the emotion that it names, where it names one.
    """

    start: float
    end: float
    label: str
    probability: float | None = None


@dataclass(frozen=True)
class Tier:
    """Marks of one kind, of one person or thing.

    Attributes:
        name: What it is called.
        kind: What its marks are.
        subject: Whose they are, such as `track 1` or a speaker; empty: everybody's.
        marks: In any order.
    """

    name: str
    kind: Kind
    subject: str
    marks: Sequence[Annotation]


@dataclass(frozen=True)
class Timeline:
    """What was to be seen over time.

    Attributes:
        title: What it is of.
        seconds: How long it is.
        tiers: Its tiers, in the order in which they are shown.
        media: The names of the videos that it is of, without folders.
    """

    title: str
    seconds: float
    tiers: Sequence[Tier]
    media: Sequence[str] = ()


def tidy(timeline: Timeline) -> Timeline:
    """Return a time line that any tool can hold: times in milliseconds as whole numbers, clean and different names.

    A mark that is no moment lasts a millisecond at least. What lies outside the time line is cut or left out.
    """
    seconds = timeline.seconds if math.isfinite(timeline.seconds) else 0.0
    length = max(1, round(1000 * min(max(seconds, 0.0), LONGEST_S)))
    names: set[str] = set()
    tiers = []
    for tier in timeline.tiers:
        name = _unlike(_line(tier.name, MOST_NAME) or "tier", names)
        placed = [mark for mark in (_in_ms(mark, length) for mark in tier.marks) if mark is not None]
        marks = sorted(placed, key=lambda mark: mark[:3])
        tiers.append(replace(tier, name=name, subject=_line(tier.subject, MOST_NAME), marks=marks))
    media = [line for name in timeline.media if (line := _line(name, MOST_NAME))]
    return Timeline(_line(timeline.title, MOST_NAME), length, tiers, media)


def apart(tiers: Iterable[Tier]) -> list[Tier]:
    """Return tidy tiers in which no two marks overlap: those that would go to further tiers beside, `NAME (2)` and on.

    Where two marks overlap by one millisecond alone, as rounding makes them, the second begins as the first ends. A
    moment takes a millisecond; it becomes an interval of that length in a tier that has intervals too.
    """
    tiers = list(tiers)
    names = {tier.name for tier in tiers}
    split = []
    for tier in tiers:
        moments = all(mark.end == mark.start for mark in tier.marks)
        lanes: list[list[Annotation]] = [[]]
        ends = [0.0]
        for mark in tier.marks:
            end = max(mark.end, mark.start + 1)
            latest = max(mark.start, min(mark.start + 1, end - 1))  # it may lose its first millisecond, not all of it
            free = next((number for number, taken in enumerate(ends) if taken <= latest), None)
            if free is None:
                free = len(lanes)
                lanes.append([])
                ends.append(0.0)
            start = max(mark.start, ends[free])
            lanes[free].append(mark if moments else mark._replace(start=start, end=end))
            ends[free] = end
        split += [
            replace(tier, name=tier.name if number == 0 else _unlike(tier.name, names), marks=lane)
            for number, lane in enumerate(lanes)
        ]
    return split


def _in_ms(mark: Annotation, length: int) -> Annotation | None:
    if not (math.isfinite(mark.start) and math.isfinite(mark.end)) or mark.end < mark.start:
        return None
    start, end = round(1000 * min(mark.start, LONGEST_S)), round(1000 * min(mark.end, LONGEST_S))
    moment = mark.end == mark.start
    if start > length or end < 0 or (not moment and (start == length or end <= 0 > start)):
        return None
    start = min(max(0, start), length - 1)
    end = start if moment else max(min(end, length), start + 1)
    probability = mark.probability
    if probability is not None and not math.isfinite(probability):
        probability = None
    return Annotation(start, end, _line(mark.label, MOST_LABEL), probability)


def _line(text: str, most: int) -> str:
    """Return text as one line without control characters."""
    line = " ".join(NOT_TEXT.sub(" ", text).split())
    return line if len(line) <= most else f"{line[: most - 1]}…"


def _unlike(name: str, taken: set[str]) -> str:
    """Return a name that is not taken, and take it."""
    number, unlike = 1, name
    while unlike in taken:
        number += 1
        unlike = f"{name} ({number})"
    taken.add(unlike)
    return unlike
