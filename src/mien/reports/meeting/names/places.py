"""What was read off a recording's picture: tiles, the names in them, the highlighted tile over time and the clock."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

__all__ = ["Highlight", "Mouth", "NamedPlace", "ScreenReading", "Tile", "inside"]


@dataclass(frozen=True, slots=True)
class NamedPlace:
    """A part of the picture that shows one speaker for a while.

    Attributes:
        speaker: The name, as the transcript writes it.
        x: Left edge, as a share of the picture's width, 0 to 1.
        y: Upper edge, as a share of the picture's height, 0 to 1.
        width: As a share of the picture's width.
        height: As a share of the picture's height.
        start: When the place begins to show the speaker, in seconds of the recording.
        end: When it ends to, in seconds of the recording.
        found_by: `tag`, `highlight`, `mouth` or `hand`.
        certainty: 0 to 1.
    """

    speaker: str
    x: float
    y: float
    width: float
    height: float
    start: float
    end: float
    found_by: str
    certainty: float


@dataclass(frozen=True, slots=True)
class Tile:
    """One camera's rectangle in the picture for a while; edges as shares of the picture, times in seconds.

    Attributes:
        tag: The text read in it, as it was read; empty where none was.
    """

    x: float
    y: float
    width: float
    height: float
    start: float
    end: float
    tag: str = ""


@dataclass(frozen=True, slots=True)
class Highlight:
    """The tile that was framed as the speaker's from `start` to `end`; edges as shares of the picture."""

    start: float
    end: float
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Mouth:
    """How the mouth of one face without a tag moved; its edges as shares of the picture.

    Attributes:
        times: When, in seconds of the recording.
        motion: How much more it moved than the face, at each of them.
    """

    x: float
    y: float
    width: float
    height: float
    times: tuple[float, ...]
    motion: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class ScreenReading:
    """All that was read off a recording's picture.

    Attributes:
        places: Where and when each speaker of the transcript is seen.
        spoken: Which tile was highlighted when, in order of time.
        tiles: All tiles, with their tags.
        mouths: How the mouths of faces moved that have no tag.
        clock: The wall-clock time of the recording's second 0, without a zone, as the picture shows it; None: no clock.
        notes: What the report is to say of this, a sentence each.
    """

    places: tuple[NamedPlace, ...] = ()
    spoken: tuple[Highlight, ...] = ()
    tiles: tuple[Tile, ...] = ()
    mouths: tuple[Mouth, ...] = ()
    clock: datetime | None = None
    notes: tuple[str, ...] = ()


def inside(shown: NamedPlace | Tile | Highlight | Mouth, around: NamedPlace | Tile) -> bool:
    """Return whether the middle of something in the picture lies within a rectangle; edges count."""
    across, down = shown.x + shown.width / 2, shown.y + shown.height / 2
    return around.x <= across <= around.x + around.width and around.y <= down <= around.y + around.height
