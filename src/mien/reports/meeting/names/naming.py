"""Who is where: what was seen in a recording's picture and the transcript's names go in, named places come out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

import msgspec

from mien.reports.meeting.names.clock import begin_of
from mien.reports.meeting.names.matching import Match, match, same_name, shown_name
from mien.reports.meeting.names.mouths import MouthRun
from mien.reports.meeting.names.places import Highlight, Mouth, NamedPlace, ScreenReading, Tile
from mien.reports.meeting.names.tags import Box
from mien.reports.meeting.names.tiles import ASPECT
from mien.words import counted, listed

__all__ = ["Camera", "Seen", "named"]

MOVES = 0.15
"""A camera's picture changes by so much from one look to the next, on average, 0 to 255; a photograph does not."""

WHOLE = 0.8
"""A tile that fills so much of the picture is one camera alone, or a film."""

SUBTITLES = 3
"""Where so many lines stood that name nobody, and no fewer than those that do, tags are no tags."""

PART_OF = 0.6
"""A tile within another that has its width or height is one of several if it is no more than so much of the rest."""

TOGETHER_S = 2.0
"""Two tiles that are seen together for longer, in seconds, are two feeds."""

LARGER = 2.5
"""A tile that has so many times the area of another is the speaker's view beside the same person's small tile."""

BRIDGED_S = 1.0
"""A highlight, or a place, that is gone for no longer is the same, in seconds."""

TOO_LOW = 64
"""Tags in tiles of fewer pixels in height were not read in the tests."""

SHORTEST_S = 0.8
"""A highlight that lasts less is none, in seconds."""


class Camera(msgspec.Struct, frozen=True, array_like=True):
    """A tile from when it came until it went or its tag changed.

    Attributes:
        box: Its rectangle in pixels.
        start: When it came, in seconds.
        end: When it was last seen.
        readings: All texts that were read in its tag, with the best score of each.
        unreadable: Whether there was text that could not be read.
        motion: The sum of its changes from look to look.
        looks: How many those were.
    """

    box: Box
    start: float
    end: float
    readings: dict[str, float]
    unreadable: bool
    motion: float
    looks: float

    @property
    def text(self) -> str:
        """What was read in its tag with the best score."""
        return max(self.readings, key=lambda text: self.readings[text]) if self.readings else ""

    @property
    def moves(self) -> bool:
        """Whether it shows a camera's picture, not a photograph."""
        return self.looks < 2 or self.motion / self.looks >= MOVES

    @property
    def area(self) -> int:
        """In pixels."""
        return self.box[2] * self.box[3]


class Seen(msgspec.Struct, frozen=True):
    """What was seen in a recording's picture.

    Attributes:
        size: Width and height in pixels.
        cameras: All tiles.
        lit: When which tile was framed as the speaker's.
        clocks: When which time was shown.
        begin: When the first frame was seen, in seconds.
        end: When the last was.
        mouths: How the mouths of faces moved that have no tag.
    """

    size: tuple[int, int]
    cameras: list[Camera]
    lit: list[tuple[float, Box]]
    clocks: list[tuple[float, datetime]]
    begin: float
    end: float
    mouths: list[MouthRun] = []


def named(seen: Seen, speakers: Sequence[str]) -> ScreenReading:
    """Return who of the speakers is where and when.

    Args:
        seen: What was seen.
        speakers: The names of the transcript; none: the tags' own names are taken.
    """
    cameras = [
        _lasting(camera, seen.end)
        for camera in seen.cameras
        if camera.end > camera.start and not _is_several(camera, seen.cameras)
    ]
    texts = {camera.text: max(camera.readings.values()) for camera in cameras if camera.text}
    names = list(dict.fromkeys(speakers)) or list(dict.fromkeys(shown_name(text) for text in texts))
    matches = {text: fit for text, score in texts.items() if (fit := match(text, score, names))}
    matches |= _by_other_readings(cameras, matches, names)
    notes: list[str] = []
    owners = {
        number: matches[camera.text]
        for number, camera in enumerate(cameras)
        if camera.text in matches and camera.moves and not _is_subtitled(camera, cameras, matches, seen.size)
    }
    lit = _runs(seen.lit)
    twice = _settle(cameras, owners)
    places = [place for number, fit in owners.items() for place in _places(cameras[number], fit, cameras, seen.size)]
    for number, fit in twice.items():
        places += _while_lit(cameras[number], fit, lit, seen.size)
    notes += _notes(cameras, owners, twice, matches, list(speakers))
    clock = begin_of(seen.clocks)
    return ScreenReading(
        tuple(_joined(places)),
        tuple(Highlight(start, end, *_shares(box, seen.size)) for start, end, box in lit),
        tuple(Tile(*_shares(camera.box, seen.size), camera.start, camera.end, camera.text) for camera in cameras),
        tuple(Mouth(*_shares(run.box, seen.size), tuple(run.times), tuple(run.motion)) for run in seen.mouths),
        clock,
        tuple(notes),
    )


def _is_several(camera: Camera, cameras: Sequence[Camera]) -> bool:
    """Return whether a tile is several that could not be cut apart: as wide or high as one within it, but longer."""
    x, y, wide, high = camera.box
    if not ASPECT[0] <= wide / high <= ASPECT[1]:
        return True
    for other in cameras:
        left, top, across, down = other.box
        inside = min(x + wide, left + across) - max(x, left) > 0.9 * across and (
            min(y + high, top + down) - max(y, top) > 0.9 * down
        )
        alike = across > 0.9 * wide, down > 0.9 * high
        longer = across < PART_OF * wide, down < PART_OF * high
        if inside and ((alike[0] and longer[1]) or (alike[1] and longer[0])):
            return True
    return False


def _by_other_readings(cameras: Sequence[Camera], matches: dict[str, Match], names: Sequence[str]) -> dict[str, Match]:
    """Return whose those tags are whose best reading is nobody's name, where their other readings agree on one."""
    agreed = {}
    for camera in cameras:
        if camera.text in matches or len(camera.readings) < 2:
            continue
        fits = [fit for text, score in camera.readings.items() if (fit := match(text, score, names))]
        if fits and len({fit.speaker for fit in fits}) == 1 and 2 * len(fits) >= len(camera.readings):
            agreed[camera.text] = max(fits, key=lambda fit: fit.certainty)
    return agreed


def _lasting(camera: Camera, end: float) -> Camera:
    """Return a tile that was there to the end with what comes after the last frame that was looked at."""
    return msgspec.structs.replace(camera, end=camera.end + BRIDGED_S) if camera.end >= end else camera


def _is_subtitled(camera: Camera, cameras: Sequence[Camera], matches: dict[str, Match], size: tuple[int, int]) -> bool:
    """Return whether a tile that fills the picture shows many lines that name nobody, as films do."""
    whole = WHOLE * size[0] * size[1]
    if camera.area < whole:
        return False
    texts = {other.text for other in cameras if other.area >= whole and other.text}
    strangers = [text for text in texts if text not in matches]
    return len(strangers) >= SUBTITLES and 2 * len(strangers) >= len(texts)


def _settle(cameras: Sequence[Camera], owners: dict[int, Match]) -> dict[int, Match]:
    """Take from the owners what cannot be one speaker's; return the tiles of names that two people bear."""
    by_name: dict[str, list[int]] = defaultdict(list)
    for number, fit in owners.items():
        by_name[fit.speaker].append(number)
    twice: dict[int, Match] = {}
    for numbers in by_name.values():
        doubled = False
        for number in numbers:
            for other in numbers:
                if number >= other or number not in owners or other not in owners:
                    continue
                first, second = cameras[number], cameras[other]
                if min(first.end, second.end) - max(first.start, second.start) <= TOGETHER_S:
                    continue
                if not same_name(first.text, second.text):
                    del owners[min(number, other, key=lambda one: owners[one].certainty)]
                elif max(first.area, second.area) < LARGER * min(first.area, second.area):
                    doubled = True
        if doubled:
            twice |= {number: owners.pop(number) for number in numbers if number in owners}
    return twice


def _places(camera: Camera, fit: Match, cameras: Sequence[Camera], size: tuple[int, int]) -> Iterable[NamedPlace]:
    """Yield the parts of a tile that no other tile covers."""
    parts = [camera.box]
    for other in cameras:
        if other.area < camera.area and min(other.end, camera.end) > max(other.start, camera.start):
            parts = [rest for part in parts for rest in _without(part, other.box)]
    for part in parts:
        yield NamedPlace(fit.speaker, *_shares(part, size), camera.start, camera.end, "tag", fit.certainty)


def _without(part: Box, hole: Box) -> list[Box]:
    """Return what is left of a box around another: at most four boxes."""
    x0, y0 = max(part[0], hole[0]), max(part[1], hole[1])
    x1, y1 = min(part[0] + part[2], hole[0] + hole[2]), min(part[1] + part[3], hole[1] + hole[3])
    if x0 >= x1 or y0 >= y1:
        return [part]
    x, y, wide, high = part
    rests = [
        (x, y, wide, y0 - y),
        (x, y1, wide, y + high - y1),
        (x, y0, x0 - x, y1 - y0),
        (x1, y0, x + wide - x1, y1 - y0),
    ]
    return [rest for rest in rests if rest[2] > 2 and rest[3] > 2]


def _while_lit(
    camera: Camera, fit: Match, lit: Sequence[tuple[float, float, Box]], size: tuple[int, int]
) -> Iterable[NamedPlace]:
    """Yield the times at which a tile was framed as the speaker's: of two of one name it is then that one."""
    for start, end, box in lit:
        since, until = max(start, camera.start), min(end, camera.end)
        if box == camera.box and until > since:
            certainty = round(0.95 * fit.certainty, 3)
            yield NamedPlace(fit.speaker, *_shares(camera.box, size), since, until, "highlight", certainty)


def _runs(lit: Sequence[tuple[float, Box]]) -> list[tuple[float, float, Box]]:
    """Return from when until when which tile was framed."""
    runs: list[tuple[float, float, Box]] = []
    for at, box in lit:
        if runs and runs[-1][2] == box and at - runs[-1][1] <= BRIDGED_S:
            runs[-1] = (runs[-1][0], at, box)
        else:
            runs.append((at, at, box))
    return [run for run in runs if run[1] - run[0] >= SHORTEST_S]


def _joined(places: Iterable[NamedPlace]) -> list[NamedPlace]:
    """Return the places in order, those that only went away for a moment joined."""
    last: dict[tuple[object, ...], NamedPlace] = {}
    done: list[NamedPlace] = []
    for place in sorted(places, key=lambda one: (one.start, one.speaker, one.y, one.x)):
        key = (place.speaker, place.found_by, place.x, place.y, place.width, place.height)
        before = last.get(key)
        if before is not None and place.start - before.end <= BRIDGED_S:
            certainty = max(before.certainty, place.certainty)
            last[key] = replace(before, end=max(before.end, place.end), certainty=certainty)
            continue
        if before is not None:
            done.append(before)
        last[key] = place
    return sorted((*done, *last.values()), key=lambda one: (one.start, one.speaker, one.y, one.x))


def _shares(box: Box, size: tuple[int, int]) -> tuple[float, float, float, float]:
    x, y, wide, high = box
    return (
        round(x / size[0], 4),
        round(y / size[1], 4),
        min(round(wide / size[0], 4), round(1 - round(x / size[0], 4), 4)),
        min(round(high / size[1], 4), round(1 - round(y / size[1], 4), 4)),
    )


def _tiles_seen(cameras: Sequence[Camera]) -> str:
    """Return how many tiles were seen at once, the end of a sentence; empty where there were not several."""
    together = [sum(other.start <= camera.start < other.end for other in cameras) for camera in cameras]
    if max(together, default=0) < 2:
        return ""
    lowest = min(camera.box[3] for camera in cameras)
    small = ", too small for tags that can be read" if lowest < TOO_LOW else ""
    return f", in which up to {max(together)} tiles were seen at once, the lowest {lowest} pixels high{small}"


def _notes(
    cameras: Sequence[Camera],
    owners: dict[int, Match],
    twice: dict[int, Match],
    matches: dict[str, Match],
    speakers: Sequence[str],
) -> list[str]:
    """Return what is to be said of the names."""
    texts = sorted({shown_name(camera.text) for camera in cameras if camera.text} - {""})
    unreadable = sum(camera.unreadable for camera in cameras)
    notes = []
    if not texts:
        notes.append(f"No name tags were read in the picture{_tiles_seen(cameras)}.")
    by_tag = sorted({fit.speaker for fit in owners.values()})
    doubled = sorted({fit.speaker for fit in twice.values()})
    if speakers and texts:
        notes.append(
            f"Name tags of {len(by_tag)} of the transcript's {counted(len(speakers), 'speaker', 'speakers')} were read "
            f"in the picture{': ' + listed(by_tag, most=12) if by_tag else ''}."
        )
        unnamed = [name for name in speakers if name not in by_tag and name not in doubled]
        if unnamed:
            notes.append(f"No tag in the picture is surely that of {listed(unnamed, most=12)}.")
        strangers = [text for text in texts if all(shown_name(known) != text for known in matches)]
        if strangers:
            notes.append(f"Tags that are no speaker's name: {listed(strangers, most=12)}.")
    if doubled:
        notes.append(
            f"Two tiles bear the name {listed(doubled, most=6)}: which of them spoke is known only while one is "
            "framed as the speaker's."
        )
    if unreadable:
        notes.append(
            f"{counted(unreadable, 'tile has', 'tiles have')} a tag that is not readable: too small, or in a script "
            "that the reader does not know (--ocr-model brings another)."
        )
    return notes
