"""Whose mouth moves when who speaks: mouths' motion and the turns of names go in, the names of untagged faces come out.

A mouth moves more while its owner speaks. Each face's motion is correlated with each name's turns; what chance gives is
what the same turns give when they are shifted along the time that the face is in view, its end joined to its beginning.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mien.reports.base.transcripts import Utterance
from mien.reports.meeting.names.matching import is_generic
from mien.reports.meeting.names.places import Mouth, NamedPlace, ScreenReading
from mien.words import listed

__all__ = ["Evidence", "evidence", "with_mouths"]

CLEAR, LEAD = 5.0, 3.0
"""A face is a name's if their correlation lies so many standard deviations above chance, and so many above that of each
other name with the face and of each other face with the name; `python benchmarks/meeting.py --mouths` tells how often
that is right."""

CERTAINTY = 0.95
"""So sure is a name that was found by its owner's mouth, 0 to 1."""

LEAST_S, FEWEST_TURNS = 4.0, 3
"""A name is looked for where it speaks for so long, and as long does not, in so many turns, the face in view."""

SHORTEST_S = 20.0
"""A face that is in view for less, in seconds, is nobody's."""

LASTS_S = 0.6
"""A place lasts for so long after its face was last seen, in seconds."""

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Evidence:
    """How much a face's mouth moves while a name speaks.

    Attributes:
        mouth: Which face it is, a number.
        speaker: The name.
        clear: How many standard deviations above chance their correlation lies.
        lead: How many above the next best name for the face, or face for the name.
    """

    mouth: int
    speaker: str
    clear: float
    lead: float


def with_mouths(reading: ScreenReading, utterances: Sequence[Utterance]) -> ScreenReading:
    """Return a reading with the places of names that no tag gave, where the mouth of a face without a tag says whose.

    Args:
        reading: What the picture shows.
        utterances: What was said, at the recording's times.
    """
    mouths = [mouth for mouth in reading.mouths if not _is_tagged(mouth, reading)]
    given = {place.speaker for place in reading.places}
    places = []
    for row in evidence(mouths, utterances):
        if row.speaker in given or row.clear < CLEAR or row.lead < LEAD:
            continue
        mouth = mouths[row.mouth]
        end = mouth.times[-1] + LASTS_S
        tile = (mouth.x, mouth.y, mouth.width, mouth.height)
        places.append(NamedPlace(row.speaker, *tile, mouth.times[0] - LASTS_S, end, "mouth", CERTAINTY))
    if not places:
        return reading
    names = sorted({place.speaker for place in places})
    note = (
        f"Without a name tag, the {'face' if len(names) == 1 else 'faces'} of {listed(names, most=12)} "
        f"{'was' if len(names) == 1 else 'were'} told from whose mouth moves while who speaks: a proposal, to be "
        "checked in the file of names."
    )
    places = [replace(place, start=max(0.0, round(place.start, 3)), end=round(place.end, 3)) for place in places]
    return replace(reading, places=(*reading.places, *places), notes=(*reading.notes, note))


def evidence(mouths: Sequence[Mouth], utterances: Sequence[Utterance]) -> list[Evidence]:
    """Return for each face the name that its mouth fits best, where there is enough of both to tell.

    Args:
        mouths: The motion of faces' mouths.
        utterances: What was said, at the recording's times.
    """
    names = list(dict.fromkeys(part.speaker for part in utterances if part.speaker and not is_generic(part.speaker)))
    turns = {name: [(part.start, part.end) for part in utterances if part.speaker == name] for name in names}
    scores = np.full((len(mouths), len(names)), -np.inf)
    for number, mouth in enumerate(mouths):
        if mouth.times and mouth.times[-1] - mouth.times[0] >= SHORTEST_S:
            scores[number] = [_above_chance(mouth, turns[name]) for name in names]
    rows = []
    for number, mouth in enumerate(mouths):
        if not len(names) or not np.isfinite(scores[number].max()):
            continue
        best = int(scores[number].argmax())
        clear = float(scores[number, best])
        rivals = [0.0, *np.delete(scores[number], best)]
        rivals += [scores[other, best] for other in range(len(mouths)) if other != number and _meet(mouth, mouths[other])]
        rows.append(Evidence(number, names[best], clear, clear - float(max(rivals))))
    return rows


def _is_tagged(mouth: Mouth, reading: ScreenReading) -> bool:
    """Return whether a tag stood in a face's tile while the face was there."""
    across, down = mouth.x + mouth.width / 2, mouth.y + mouth.height / 2
    return any(
        tile.x <= across <= tile.x + tile.width
        and tile.y <= down <= tile.y + tile.height
        and tile.start < mouth.times[-1]
        and tile.end > mouth.times[0]
        for tile in (*(tile for tile in reading.tiles if tile.tag), *reading.places)
        if mouth.times
    )


def _meet(mouth: Mouth, other: Mouth) -> bool:
    """Return whether two faces were in view at one time."""
    return bool(other.times) and other.times[0] < mouth.times[-1] and mouth.times[0] < other.times[-1]


def _above_chance(mouth: Mouth, turns: Sequence[tuple[float, float]]) -> float:
    """Return how many standard deviations above those of shifted turns a correlation lies; -inf where too little was said.

    The correlations with all shifts come from one Fourier transform.
    """
    times, motion = np.array(mouth.times), np.array(mouth.motion)
    step = float(np.median(np.diff(times)))
    bins = np.round((times - times[0]) / step).astype(np.int64)
    count = int(bins[-1]) + 1
    grid = times[0] + step * (np.arange(count) - 0.5)  # a sample tells of the time before it
    speaks = np.zeros(count)
    heard = 0
    for start, end in turns:
        inside = (grid >= start) & (grid < end)
        speaks[inside] = 1
        heard += bool(inside[bins].any())
    seen = speaks[bins].sum() * step
    if heard < FEWEST_TURNS or seen < LEAST_S or len(bins) * step - seen < LEAST_S:
        return -np.inf
    course = np.zeros(count)
    course[bins] = (motion - motion.mean()) / max(float(motion.std()), 1e-9)
    shifted = np.fft.irfft(np.fft.rfft(course) * np.conj(np.fft.rfft(speaks - speaks.mean())), count)
    spread = float(shifted[1:].std())
    return float((shifted[0] - shifted[1:].mean()) / spread) if spread > 0 else -np.inf
