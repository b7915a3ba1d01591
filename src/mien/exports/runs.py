"""Frames in order of time go in; for how long each face went on looking the same comes out, as marks."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Generic, NamedTuple, TypeVar

from mien.errors import InputError
from mien.exports.timeline import UNCLEAR, Annotation, Tier, Timeline
from mien.masking import as_text
from mien.observation import MAX_SPAN_S, UNTOLD_SPAN_S, Observation

__all__ = ["ObservationTiers", "Reading", "Runs"]

Key = TypeVar("Key", bound=Hashable)


class Reading(NamedTuple):
    """What a face showed in a frame: the label, and the probability of the emotion that it names."""

    label: str
    probability: float | None


@dataclass
class _Run:
    start: float
    label: str
    total: float = 0.0
    count: int = 0

    def add(self, probability: float | None) -> None:
        if probability is not None:
            self.total += probability
            self.count += 1

    def until(self, end: float) -> Annotation:
        return Annotation(self.start, end, self.label, self.total / self.count if self.count else None)


@dataclass
class Runs(Generic[Key]):
    """Collects for how long each face went on looking the same, one medium's frames after another.

    A look lasts from the frame that shows it to the next frame of the medium, whatever that shows, but not longer than
    a frame may stand for; the last one as long as a frame usually does.

    Attributes:
        longest_s: A frame stands for so many seconds at most.
        step_s: For so many seconds the newest frame stands, as those before it did.
        marks: What is over, by face.
        end: When the medium ends as far as it was seen, in seconds.
    """

    longest_s: float = MAX_SPAN_S
    step_s: float = UNTOLD_SPAN_S
    marks: dict[Key, list[Annotation]] = field(default_factory=dict)
    end: float = 0.0
    _at: float | None = None
    _open: dict[Key, _Run] = field(default_factory=dict)

    def frame(self, at: float, looks: Mapping[Key, Reading]) -> None:
        """Take what the faces of a frame showed; a frame that lies before the one before it is left out."""
        if self._at is not None:
            if at < self._at:
                return
            if at > self._at:
                self.step_s = min(at - self._at, self.longest_s)
            if at - self._at > self.longest_s:
                self._close(list(self._open), self._at + self.longest_s)
        over = [key for key, run in self._open.items() if key not in looks or looks[key].label != run.label]
        self._close(over, at)
        for key, look in looks.items():
            self.marks.setdefault(key, [])  # so that faces stand in the order in which they came
            run = self._open.setdefault(key, _Run(at, look.label))
            run.add(look.probability)
        self._at, self.end = at, at + self.step_s

    def close(self) -> dict[Key, list[Annotation]]:
        """End what is open, and return all marks by face, in the order in which the faces first came."""
        self._close(list(self._open), self.end)
        return self.marks

    def _close(self, keys: Iterable[Key], end: float) -> None:
        for key in keys:
            run = self._open.pop(key)
            if end > run.start:
                self.marks[key].append(run.until(end))


class ObservationTiers:
    """Makes a time line of observations: a tier for each track, whose intervals are labelled with emotions.

    Attributes:
        count: How many observations it took.
        untimed: How many of them have no time, for they are of photos.
    """

    def __init__(self) -> None:
        self.count = self.untimed = 0
        self._runs: dict[tuple[str, str], Runs[int]] = {}
        self._last = 0

    def add(self, observation: Observation, file: Path | str) -> None:
        """Take an observation of a frame of this file."""
        self.count += 1
        if observation.offset_s is None:
            self.untimed += 1
            return
        runs = self._runs.setdefault((as_text(file), observation.session), Runs())
        runs.frame(
            observation.offset_s,
            {
                -number if face.track is None else face.track: Reading(
                    face.emotion or UNCLEAR, face.probabilities[face.emotion] if face.emotion else None
                )
                for number, face in enumerate(observation.faces, 1)
            },
        )

    def timeline(self) -> Timeline:
        """Return the time line; with several files each tier names its own.

        Raises:
            InputError: No observation has a time.
        """
        if not self._runs:
            raise InputError("there is no time line: photos have no running time, a video was expected")
        names = [Path(file).name or file for file, _ in self._runs]
        several = len(names) > 1
        tiers = []
        for name, runs in zip(names, self._runs.values(), strict=True):
            before = f"{name}: " if several else ""
            tiers += [
                Tier(f"{before}{_called(track)}", "expression", f"{before}{_called(track)}", marks)
                for track, marks in runs.close().items()
            ]
        seconds = max(chain((runs.end for runs in self._runs.values()), [0.0]))
        return Timeline(
            names[0] if not several else f"{len(names)} videos", seconds, tiers, tuple(dict.fromkeys(names))
        )


def _called(track: int) -> str:
    return f"track {track}" if track >= 0 else f"face {-track}"
