"""What a whole analysis comes to: observations go in one by one, counts, shares and the happiest second come out."""

from __future__ import annotations

import html
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from mien.api.html import bars, framed
from mien.charts.svg import SHOWN, clock
from mien.observation import Emotion, Observation
from mien.words import counted

__all__ = ["Peak", "Summary", "Summing", "summary_html"]


@dataclass(frozen=True)
class Peak:
    """Where the faces looked happiest.

    Attributes:
        file: The video or photo.
        at_s: The whole second in the video; None: a photo.
        happy: The mean probability of *happy* over the faces in it, 0 to 1.
    """

    file: str
    at_s: int | None
    happy: float

    def __str__(self) -> str:
        return clock(self.at_s) if self.at_s is not None else Path(self.file).name


@dataclass(frozen=True)
class Summary:
    """Counts and shares of an analysis; a notebook shows it as bars, `print` as lines.

    Attributes:
        frames: How many frames, or photos, were looked at.
        faces: How many faces they showed, in all frames together.
        empty: How many frames showed none.
        named: How many faces each emotion was named for, the pleasant first.
        unclear: For how many faces none was.
        happiness: 100 times the mean probability of *happy* over all faces; None without a face.
        happiest: The second of a video, or the photo, in which the faces looked happiest; None without a face.
    """

    frames: int
    faces: int
    empty: int
    named: dict[Emotion, int]
    unclear: int
    happiness: float | None
    happiest: Peak | None

    def shares(self) -> list[tuple[str, int, float]]:
        """Return what the faces divide into: emotion (`unclear` last), how many faces, and their share, 0 to 1."""
        whole = max(1, self.faces)
        counts = [*self.named.items(), ("unclear", self.unclear)]
        return [(name, count, count / whole) for name, count in counts]

    def __str__(self) -> str:
        lines = [f"{counted(self.faces, 'face', 'faces')} in {counted(self.frames, 'frame', 'frames')}"]
        lines += [
            f"{name:<9}{count:>8,} {100 * share:>4.0f} %  {'█' * round(30 * share)}".rstrip()
            for name, count, share in self.shares()
            if count
        ]
        if self.happiest:
            lines.append(f"happiest at {self.happiest}: {100 * self.happiest.happy:.0f} of 100")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        return summary_html(self)


class Summing:
    """Adds up observations; those of one file come one after the other."""

    def __init__(self) -> None:
        self._frames = self._faces = self._empty = self._unclear = 0
        self._named: dict[Emotion, int] = dict.fromkeys(SHOWN, 0)
        self._happy = 0.0
        self._best: Peak | None = None
        self._place: tuple[str, int | None] | None = None
        self._shares: list[float] = []

    def add(self, observation: Observation, file: Path | str) -> None:
        """Take an observation of a frame of this file."""
        self._frames += 1
        self._faces += len(observation.faces)
        self._empty += not observation.faces
        offset = observation.offset_s
        place = (str(file), None if offset is None else int(offset))
        if place != self._place or offset is None:
            self._best, self._shares, self._place = self._peak(), [], place
        for face in observation.faces:
            if face.emotion is None:
                self._unclear += 1
            else:
                self._named[face.emotion] += 1
            self._happy += face.probabilities.happy
            self._shares.append(face.probabilities.happy)

    def result(self) -> Summary:
        """Return what was added up so far."""
        happiness = 100 * self._happy / self._faces if self._faces else None
        return Summary(
            self._frames, self._faces, self._empty, dict(self._named), self._unclear, happiness, self._peak()
        )

    def _peak(self) -> Peak | None:
        """Return the happier of the best second so far and the one under way."""
        if not self._shares or self._place is None:
            return self._best
        mean = sum(self._shares) / len(self._shares)
        return Peak(*self._place, mean) if self._best is None or mean > self._best.happy else self._best


def summary_html(summary: Summary, curve: str = "", title: str = "", notes: Iterable[str] = ()) -> str:
    """Return a summary as bars, with the drawing that goes before it."""
    text = f"{counted(summary.faces, 'face', 'faces')} in {counted(summary.frames, 'frame', 'frames')}"
    if summary.happiest:
        text += f"; happiest at {html.escape(str(summary.happiest))}"
    head = f"<p><b>{html.escape(title)}</b></p>" if title else ""
    lines = "".join(f"<p>{html.escape(note)}</p>" for note in notes)
    return framed(f"{head}{curve}<p>{text}</p>{bars(summary.shares())}{lines}")
