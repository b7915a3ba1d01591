"""Whose tile is framed when who speaks: frames and the turns of names go in, the names of untagged tiles come out.

It also says how well the frames and the transcript agree. Programs frame a speaker about a second late, so that the
first second of a turn says nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from mien.reports.base.transcripts import Utterance
from mien.reports.meeting.names.mouth_names import FEWEST_TURNS, LEAST_S, Evidence, evidence
from mien.reports.meeting.names.places import Highlight, Mouth, NamedPlace, ScreenReading, Tile, inside
from mien.words import listed

__all__ = ["agreement", "with_highlights"]

LATE_S = 1.0
"""The first second of a turn says nothing: the frame is still the last speaker's."""

OWN = 0.85
"""A tile is a name's if so much of the time in which the name speaks and some tile is framed it is that one, and if so
much of the time in which it is framed and somebody speaks it is that name; and if of all turns so much shows the tile
that their name mostly shows, without which the transcript is of another meeting."""

CLEAR, LEAD, LEAST_CORRELATION = 2.0, 1.5, 0.5
"""Besides, frames and turns are correlated so much, and that lies so many standard deviations above what shifted turns
give, and so many above that of other names and tiles."""

CERTAINTY = 0.95

STEP_S = 0.4
"""Frames around speakers are looked at so often."""

COMPARED_S, DOUBTFUL = 10.0, 0.5
"""Frames and transcript are compared where there is so much of both, in seconds; where less than this share agrees,
they may be of two meetings."""


@dataclass(frozen=True)
class _Turn:
    """What was framed during a turn: seconds by tile."""

    start: float
    end: float
    speaker: str
    framed: dict[int, float]

    @property
    def seconds(self) -> float:
        return sum(self.framed.values())

    @property
    def tile(self) -> int | None:
        """Which tile was framed for most of it."""
        best = max(self.framed, key=lambda tile: self.framed[tile], default=None)
        return best if best is not None and 2 * self.framed[best] > self.seconds else None


def with_highlights(reading: ScreenReading, utterances: Sequence[Utterance]) -> ScreenReading:
    """Return a reading with the places of names that no tag gave, where the framed tile says whose it is.

    Args:
        reading: What the picture shows.
        utterances: What was said, at the recording's times; their speakers may be numbered.
    """
    framed = _framed(reading)
    turns = _turns(framed, utterances)
    given = {place.speaker for place in reading.places}
    bare = [number for number, tile in enumerate(reading.tiles) if not tile.tag and tile.end > tile.start]
    courses = [_course(number, reading.tiles[number], framed) for number in bare]
    places = []
    for row in evidence(courses, utterances, numbered=True) if _fits(turns) else []:
        tile = bare[row.mouth]
        if row.speaker not in given and _is_clear(row) and _is_own(turns, tile, row.speaker):
            places.append(_place(reading.tiles[tile], tile, row.speaker, turns))
    if not places:
        return reading
    names = listed(sorted({place.speaker for place in places}), most=12)
    note = (
        f"No tag says which face is that of {names}: it was told from whose tile is framed as the speaker's while who "
        "speaks, a proposal to be checked in the file of names."
    )
    return replace(reading, places=(*reading.places, *places), notes=(*reading.notes, note))


def agreement(reading: ScreenReading, utterances: Sequence[Utterance]) -> list[str]:
    """Return what is to be said of how well framed tiles and the transcript agree on who speaks.

    Args:
        reading: What the picture shows, with the places of names.
        utterances: What was said, at the recording's times.
    """
    owners: dict[int, str | None] = {}
    same = total = 0.0
    for turn in _turns(_framed(reading), utterances):
        for number, seconds in turn.framed.items():
            if number not in owners:
                owners[number] = _tagged(reading.tiles[number], reading.places)
            if owners[number] is not None:
                total += seconds
                same += seconds if owners[number] == turn.speaker else 0.0
    if total < COMPARED_S:
        return []
    note = (
        f"For {total:,.0f} s in which the transcript names a speaker, a tile with a speaker's tag was framed: for "
        f"{100 * same / total:.0f} % of that time it was the same one's."
    )
    doubt = " The transcript may be of another meeting, or lie at another time (--offset)."
    return [note + doubt if same < DOUBTFUL * total else note]


def _framed(reading: ScreenReading) -> list[tuple[float, float, int]]:
    """Return from when until when which tile was framed."""
    tiles = [_tile_of(lit, reading.tiles) for lit in reading.spoken]
    return [(lit.start, lit.end, tile) for lit, tile in zip(reading.spoken, tiles, strict=True) if tile is not None]


def _turns(framed: Sequence[tuple[float, float, int]], utterances: Sequence[Utterance]) -> list[_Turn]:
    """Return the turns of names without their first second, with what was framed meanwhile, in order of time."""
    turns, first = [], 0
    for part in sorted(utterances, key=lambda part: part.start):
        start = part.start + LATE_S
        if not part.speaker or part.end <= start:
            continue
        while first < len(framed) and framed[first][1] < part.start:
            first += 1
        seconds: dict[int, float] = {}
        for since, until, tile in framed[first:]:
            if since > part.end:
                break
            shared = min(part.end, until) - max(start, since)
            if shared > 0:
                seconds[tile] = seconds.get(tile, 0.0) + shared
        if seconds:
            turns.append(_Turn(start, part.end, part.speaker, seconds))
    return turns


def _tile_of(lit: Highlight, tiles: Sequence[Tile]) -> int | None:
    """Return which tile was framed: the smallest in whose middle the frame's is."""
    middle = (lit.start + lit.end) / 2
    here = [number for number, tile in enumerate(tiles) if inside(lit, tile) and tile.start <= middle <= tile.end]
    return min(here, key=lambda number: tiles[number].width * tiles[number].height, default=None)


def _course(number: int, tile: Tile, framed: Sequence[tuple[float, float, int]]) -> Mouth:
    """Return when a tile was framed, as the course of a mouth that moves then."""
    times = np.arange(tile.start, tile.end + STEP_S, STEP_S)
    lit = np.zeros(len(times))
    for start, end, other in framed:
        if other == number:
            lit[(times >= start) & (times <= end + STEP_S)] = 1.0
    return Mouth(tile.x, tile.y, tile.width, tile.height, tuple(times.tolist()), tuple(lit.tolist()))


def _fits(turns: Sequence[_Turn]) -> bool:
    """Return whether one tile is framed while a name speaks, as in no transcript of another meeting."""
    seconds: dict[str, dict[int, float]] = {}
    for turn in turns:
        mine = seconds.setdefault(turn.speaker, {})
        for tile, framed in turn.framed.items():
            mine[tile] = mine.get(tile, 0.0) + framed
    total = sum(sum(mine.values()) for mine in seconds.values())
    return sum(max(mine.values()) for mine in seconds.values()) >= OWN * total


def _is_clear(row: Evidence) -> bool:
    return row.clear >= CLEAR and row.lead >= LEAD and row.correlation >= LEAST_CORRELATION


def _is_own(turns: Sequence[_Turn], tile: int, speaker: str) -> bool:
    """Return whether a tile is framed while a name speaks, and no other is, and while nobody else does."""
    kept = _agreeing(turns, tile, speaker)
    here = [turn for turn in kept if turn.speaker == speaker]
    own = sum(turn.framed.get(tile, 0.0) for turn in here)
    spoken, framed = sum(turn.seconds for turn in here), sum(turn.framed.get(tile, 0.0) for turn in kept)
    enough = own >= LEAST_S and sum(turn.tile == tile for turn in here) >= FEWEST_TURNS
    return enough and own >= OWN * spoken and own >= OWN * framed


def _agreeing(turns: Sequence[_Turn], tile: int, speaker: str) -> Sequence[_Turn]:
    """Return the turns from the first to the last that shows the name in the tile; before and after, people move."""
    inside = [number for number, turn in enumerate(turns) if turn.speaker == speaker and turn.tile == tile]
    return turns[inside[0] : inside[-1] + 1] if inside else []


def _place(tile: Tile, number: int, speaker: str, turns: Sequence[_Turn]) -> NamedPlace:
    """Return the place of a name: as long as its tile, but for what lies beyond turns that show somebody else there."""
    agreeing = _agreeing(turns, number, speaker)
    others = [turn for turn in turns if (turn.speaker == speaker) != (turn.tile == number) and turn.tile is not None]
    start = max([tile.start, *(turn.end for turn in others if turn.end <= agreeing[0].start)])
    end = min([tile.end, *(turn.start - LATE_S for turn in others if turn.start >= agreeing[-1].end)])
    where = (tile.x, tile.y, tile.width, tile.height)
    return NamedPlace(speaker, *where, round(start, 3), round(end, 3), "highlight", CERTAINTY)


def _tagged(tile: Tile, places: Sequence[NamedPlace]) -> str | None:
    """Return whose tag a tile has; None: nobody's, or that of several one after the other."""
    names = {
        place.speaker
        for place in places
        if place.found_by in ("tag", "hand")
        and inside(tile, place)
        and min(place.end, tile.end) > max(place.start, tile.start)
    }
    return names.pop() if len(names) == 1 else None
