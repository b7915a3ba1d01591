"""The search for names in a report's recording: the recording and its utterances go in, who is where comes out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from mien.config import Settings
from mien.media.base import Image
from mien.reports.base.job import Job
from mien.reports.base.recordings import TABLES, Inputs, Recording
from mien.reports.base.transcripts import Utterance
from mien.reports.meeting.names.matching import is_generic
from mien.reports.meeting.names.places import Highlight, NamedPlace, ScreenReading, inside
from mien.reports.meeting.names.scan import Faces, ScreenWatch, read_screen, screen_watch
from mien.reports.meeting.names.tags import Box, can_read

__all__ = ["NameSearch", "with_speakers"]

OFTEN = 2.0
"""Frames that are analysed so many times a second are often enough to read names off them on the way."""

MOST_OF = 0.5
"""A tile that is framed for more of an utterance than this is its speaker's."""


class NameSearch:
    """Looks for names in a recording, while its frames are analysed where that is still to be done.

    Args:
        inputs: What the report is made of.
        settings: The effective settings.
        model: Another PP-OCR recogniser; None: the built-in one.

    Raises:
        MissingExtraError: A recogniser was given, but the extra `names` is not installed.
        ModelError: The file is no PP-OCR recogniser.
    """

    def __init__(self, inputs: Inputs, settings: Settings, model: Path | None) -> None:
        self._settings, self._model = settings, model
        self._how = {"stream": inputs.stream, "fps_in": inputs.fps_in}
        self._watch: ScreenWatch | None = None
        if model is None and not can_read():
            return
        video = len(inputs.paths) == 1 and Path(inputs.paths[0]).is_file() and not inputs.store
        if video and Path(inputs.paths[0]).suffix.lower() not in TABLES and inputs.fps >= OFTEN:
            self._watch = screen_watch(inputs.paths[0], settings, model=model, how=self._how)

    def watch(self, image: Image, at: float, faces: Sequence[Box]) -> None:
        """Take a frame that is being analysed; see `ScreenWatch.see`."""
        if self._watch is not None:
            self._watch.see(image, at, faces)

    def read(self, recording: Recording, utterances: Sequence[Utterance], job: Job) -> ScreenReading:
        """Return what the picture shows of the utterances' speakers; a note where it cannot be looked at.

        Raises:
            PartialError: The job was stopped.
        """
        if recording.medium is None or str(recording.medium) == "demo":
            return ScreenReading()
        if self._model is None and not can_read():
            note = "Names in the picture were not looked for: that needs the extra names (pip install 'mien[names]')."
            return ScreenReading(notes=(note,))
        speakers = list(dict.fromkeys(part.speaker for part in utterances if part.speaker))
        known = [name for name in speakers if not is_generic(name)]
        return read_screen(
            str(recording.medium),
            known,
            self._settings,
            job,
            model=self._model,
            how=recording.how or self._how,
            watch=self._watch,
            faces=None if self._watch else _boxes(recording),
        )


def _boxes(recording: Recording) -> Faces:
    """Return the boxes of a recording's faces by time."""
    faces: dict[float, list[Box]] = defaultdict(list)
    for at, *box in recording.faces.select("at", "x", "y", "width", "height").drop_nulls().iter_rows():
        faces[round(at, 3)].append((box[0], box[1], box[2], box[3]))
    return faces


def with_speakers(utterances: Sequence[Utterance], offset: float, reading: ScreenReading) -> list[Utterance]:
    """Return the utterances, those without a name given that of the tile that was framed as the speaker's meanwhile.

    Args:
        utterances: What was said.
        offset: What is to be added to their times, in seconds of the recording.
        reading: What the picture shows.
    """
    return [
        replace(part, speaker=name)
        if is_generic(part.speaker) and (name := _framed(part.start + offset, part.end + offset, reading))
        else part
        for part in utterances
    ]


def _framed(start: float, end: float, reading: ScreenReading) -> str | None:
    """Return whose tile was framed for most of a time; None where that is nobody's or several people's."""
    seconds: dict[str, float] = {}
    for lit in reading.spoken:
        shared = min(end, lit.end) - max(start, lit.start)
        if shared > 0 and (name := _owner(lit, reading.places)):
            seconds[name] = seconds.get(name, 0.0) + shared
    name = max(seconds, key=lambda name: seconds[name], default=None)
    clear = name is not None and seconds[name] > MOST_OF * max(end - start, sum(seconds.values()))
    return name if clear else None


def _owner(lit: Highlight, places: Sequence[NamedPlace]) -> str | None:
    middle = (lit.start + lit.end) / 2
    names = {
        place.speaker
        for place in places
        if inside(lit, place) and place.start <= middle <= place.end and not is_generic(place.speaker)
    }
    return names.pop() if len(names) == 1 else None
