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
from mien.reports.meeting.names.places import Mouth, NamedPlace, ScreenReading, Tile, inside
from mien.words import listed

__all__ = ["FEWEST_TURNS", "LEAST_S", "Evidence", "evidence", "with_mouths"]

CLEAR, LEAD = 3.5, 2.5
"""A face is a name's if their correlation lies so many standard deviations above chance, and so many above that of each
other name with the face and of each other face with the name; `python benchmarks/meeting.py --mouths` tells how often
that is right."""

LEAST_CORRELATION = 0.2
"""A listener who reacts to one speaker more than to others is that clear in a long meeting, but not so strongly."""

CERTAINTY = 0.9
"""So sure is a name that was found by its owner's mouth, 0 to 1. No drawn face was named wrong, but real ones move in
more ways."""

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
        correlation: Of the motion with the turns, -1 to 1.
        clear: How many standard deviations above chance that lies.
        lead: How many above the next best name for the face, or face for the name.
    """

    mouth: int
    speaker: str
    correlation: float
    clear: float
    lead: float

    @property
    def proposes(self) -> bool:
        """Whether that is enough to say that the face is the name's."""
        return self.clear >= CLEAR and self.lead >= LEAD and self.correlation >= LEAST_CORRELATION


def with_mouths(reading: ScreenReading, utterances: Sequence[Utterance]) -> ScreenReading:
    """Return a reading with the places of names that no tag gave, where the mouth of a face without a tag says whose.

    Args:
        reading: What the picture shows.
        utterances: What was said, at the recording's times.
    """
    given = {place.speaker for place in reading.places}
    places = []
    for row in evidence(reading.mouths, utterances):
        if row.proposes and row.speaker not in given:
            mouth = reading.mouths[row.mouth]
            if any(inside(mouth, place) and _shared_s(mouth, place) > 0 for place in reading.places):
                continue
            tile = _tile(mouth, reading.tiles, [other for other in reading.mouths if other is not mouth])
            if tile is not None:
                start, end = max(0.0, mouth.times[0] - LASTS_S), mouth.times[-1] + LASTS_S
                where = (tile.x, tile.y, tile.width, tile.height)
                places.append(NamedPlace(row.speaker, *where, round(start, 3), round(end, 3), "mouth", CERTAINTY))
    if not places:
        return reading
    names = sorted({place.speaker for place in places})
    note = (
        f"No tag says which face is that of {listed(names, most=12)}: it was told from whose mouth moves while who "
        "speaks, a proposal to be checked in the file of names."
    )
    return replace(reading, places=(*reading.places, *places), notes=(*reading.notes, note))


def evidence(mouths: Sequence[Mouth], utterances: Sequence[Utterance], *, numbered: bool = False) -> list[Evidence]:
    """Return for each face the name that its mouth fits best, where there is enough of both to tell.

    Args:
        mouths: The motion of faces' mouths.
        utterances: What was said, at the recording's times.
        numbered: Whether numbered speakers are taken for names.
    """
    speakers = dict.fromkeys(part.speaker for part in utterances if part.speaker)
    names = [name for name in speakers if numbered or not is_generic(name)]
    turns = {name: [(part.start, part.end) for part in utterances if part.speaker == name] for name in names}
    scores = np.full((len(mouths), len(names), 2), -np.inf)
    for number, mouth in enumerate(mouths):
        if names and mouth.times[-1] - mouth.times[0] >= SHORTEST_S:
            scores[number] = [_correlated(mouth, turns[name]) for name in names]
    rows = []
    for number, mouth in enumerate(mouths):
        best = int(scores[number, :, 1].argmax()) if names else 0
        if not names or not np.isfinite(scores[number, best, 1]):
            continue
        rivals = [0.0, *np.delete(scores[number, :, 1], best)]
        rivals += [
            scores[other, best, 1]
            for other in range(len(mouths))
            if other != number and _shared_s(mouth, mouths[other]) > 0
        ]
        correlation, clear = (float(value) for value in scores[number, best])
        rows.append(Evidence(number, names[best], correlation, clear, clear - float(max(rivals))))
    return rows


def _tile(mouth: Mouth, tiles: Sequence[Tile], others: Sequence[Mouth]) -> Tile | None:
    """Return the tile that is a face's own; None where there is none, a tag stood in it, or another face was there."""
    here = [tile for tile in tiles if inside(mouth, tile) and _shared_s(mouth, tile) > 0]
    if not here or any(tile.tag for tile in here):
        return None
    tile = max(here, key=lambda tile: _shared_s(mouth, tile))
    alone = all(_shared_s(mouth, other) < SHORTEST_S / 4 or not inside(other, tile) for other in others)
    return tile if alone else None


def _shared_s(mouth: Mouth, other: Mouth | Tile | NamedPlace) -> float:
    """Return for how long a face and another, or a tile, were in view together, in seconds."""
    start, end = (other.times[0], other.times[-1]) if isinstance(other, Mouth) else (other.start, other.end)
    return min(mouth.times[-1], end) - max(mouth.times[0], start)


def _correlated(mouth: Mouth, turns: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Return a correlation, and how many standard deviations above those of shifted turns it lies.

    Both are -inf where too little was said.
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
        return -np.inf, -np.inf
    course = np.zeros(count)
    course[bins] = (motion - motion.mean()) / max(float(motion.std()), 1e-9)
    shifted = np.fft.irfft(np.fft.rfft(course) * np.conj(np.fft.rfft(speaks - speaks.mean())), count)
    spread, own = float(shifted[1:].std()), float(speaks[bins].std())
    if not spread or not own:
        return -np.inf, -np.inf
    return float(shifted[0]) / (len(bins) * own), float((shifted[0] - shifted[1:].mean()) / spread)
