"""What an audience was shown: a file of events goes in, the events in order of time come out.

A CSV with the columns `time` (seconds, mm:ss or hh:mm:ss), `label` and, if wanted, `duration`; or SRT or WebVTT, whose
cues are the events.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path

from mien.errors import InputError, UsageError
from mien.reports.transcripts import read_text, read_transcript
from mien.vision.selection import parse_seconds

__all__ = ["Event", "read_events"]

MAX_EVENTS = 2000


@dataclass(frozen=True)
class Event:
    """Something that the audience may react to.

    Attributes:
        at: When it begins, in seconds of the treatment.
        label: What it is.
        duration: How long it lasts, in seconds.
    """

    at: float
    label: str
    duration: float = 0.0


def read_events(path: Path, notes: list[str]) -> list[Event]:
    """Return the events in a file, in order of time; what is wrong with it is noted.

    Raises:
        InputError: It cannot be read, holds no event, or more than 2,000.
    """
    if path.suffix.lower() in (".srt", ".vtt"):
        transcript = read_transcript(path)
        notes += transcript.notes
        found = [
            Event(one.start, f"{one.speaker}: {one.text}" if one.speaker else one.text, one.end - one.start)
            for one in transcript.utterances
        ]
    else:
        found = _from_csv(path, notes)
    if not found:
        raise InputError(f"cannot read events '{path}': it holds none")
    if len(found) > MAX_EVENTS:
        raise InputError(f"cannot read events '{path}': it holds {len(found):,}, more than the {MAX_EVENTS:,} allowed")
    return sorted(found, key=lambda one: one.at)


def _from_csv(path: Path, notes: list[str]) -> list[Event]:
    text = read_text(path, notes)
    first = text.partition("\n")[0]
    rows = csv.DictReader(io.StringIO(text), delimiter=max(",;\t", key=first.count))
    names = [(name or "").strip().lower() for name in rows.fieldnames or []]
    if not {"time", "label"} <= set(names):
        raise InputError(f"cannot read events '{path}': a CSV with the columns time, label and duration was expected")
    rows.fieldnames = names
    found: list[Event] = []
    wrong: list[str] = []
    before = 0.0
    unordered = False
    for number, row in enumerate(rows, 2):
        try:
            at = parse_seconds((row["time"] or "").strip())
            duration = parse_seconds((row.get("duration") or "0").strip() or "0")
        except UsageError as error:
            wrong.append(f"line {number}: {error}")
            continue
        unordered |= at < before
        before = at
        found.append(Event(at, (row["label"] or "").strip() or f"event at {at:g} s", duration))
    if wrong:
        notes.append(f"{len(wrong):,} of the events in '{path.name}' could not be read and were left out ({wrong[0]}).")
    if unordered:
        notes.append(f"The events in '{path.name}' are not in order of time; they were sorted.")
    return found
