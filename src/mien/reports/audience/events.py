"""What an audience was shown: a file of events goes in, the events in order of time come out.

A CSV with the columns `time` (seconds, mm:ss or hh:mm:ss), `label` and, if wanted, `duration`; or SRT, WebVTT, SBV,
ASS or JSON, whose cues are the events. Or the markers of a store.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

from mien.errors import InputError, UsageError
from mien.reports.base.csv_lists import read_list, seconds
from mien.reports.base.recordings import Inputs, Recording
from mien.reports.base.transcripts import read_captions
from mien.stores.base import open_store

__all__ = ["Event", "read_events", "read_markers"]

MAX_EVENTS = 2000
CAPTIONS = (".srt", ".vtt", ".sbv", ".ass", ".ssa", ".json")


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
    if path.suffix.lower() in CAPTIONS:
        transcript = read_captions(path)
        notes += transcript.notes
        events = [
            Event(
                utterance.start,
                f"{utterance.speaker}: {utterance.text}" if utterance.speaker else utterance.text,
                utterance.end - utterance.start,
            )
            for utterance in transcript.utterances
        ]
    else:
        events = _from_csv(path, notes)
    if not events:
        raise InputError(f"cannot read events '{path}': it holds none")
    if len(events) > MAX_EVENTS:
        raise InputError(f"cannot read events '{path}': it holds {len(events):,}, more than the {MAX_EVENTS:,} allowed")
    return sorted(events, key=lambda event: event.at)


def read_markers(inputs: Inputs, recordings: Sequence[Recording]) -> list[Event]:
    """Return the markers of a part of a store as events, those of its sources and those of all.

    Args:
        inputs: Which store and period.
        recordings: What was read of it; they begin at one time.

    Raises:
        InputError: There is none in that period.
    """
    began = recordings[0].began or datetime.fromtimestamp(0, timezone.utc)
    until = inputs.until or began + timedelta(seconds=max(recording.seconds for recording in recordings))
    with closing(open_store(str(inputs.store), read_only=True)) as store:
        markers = store.markers(began, until, [recording.name for recording in recordings], MAX_EVENTS)
    if not markers:
        raise InputError(
            "the store has no markers of that period: add some on the dashboard's page History, or give "
            "a file of events"
        )
    return [Event((marker.time - began).total_seconds(), marker.label) for marker in markers]


def _from_csv(path: Path, notes: list[str]) -> list[Event]:
    names, lines = read_list(path, notes)
    if not {"time", "label"} <= set(names):
        raise InputError(
            f"cannot read events '{path}': a CSV with the columns time, label and duration was expected, but its first "
            f"line has {', '.join(names)[:80] or 'nothing'}"
        )
    events: list[Event] = []
    wrong: list[str] = []
    before = 0.0
    unordered = False
    for line in lines:
        try:
            at = seconds(line.get("time"))
            duration = seconds(line.get("duration", "0"))
        except UsageError as error:
            wrong.append(f"line {line.number}: {str(error)[:200]}")
            continue
        unordered |= at < before
        before = at
        events.append(Event(at, line.get("label", f"event at {at:g} s"), duration))
    if wrong and not events:
        which = "its only line cannot" if len(wrong) == 1 else f"none of its {len(wrong):,} lines can"
        raise InputError(f"cannot read events '{path}': {which} be read ({wrong[0]})")
    if wrong:
        notes.append(f"{len(wrong):,} of the events in '{path.name}' could not be read and were left out ({wrong[0]}).")
    if unordered:
        notes.append(f"The events in '{path.name}' are not in order of time; they were sorted.")
    return events
