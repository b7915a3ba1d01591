"""The audience report: recordings of people watching and what they watched go in; how they reacted comes out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mien.config import Settings, checked
from mien.errors import UsageError
from mien.reports.audience.events import read_events, read_markers
from mien.reports.audience.groups import compared, courses
from mien.reports.audience.page import Shown, audience_report
from mien.reports.audience.reactions import TAKES_S, joined, react
from mien.reports.audience.seats import read_seats, watching
from mien.reports.base.job import Job
from mien.reports.base.methods import methods_for
from mien.reports.base.recordings import Inputs, read_recordings
from mien.reports.base.report import Report
from mien.words import counted

__all__ = ["AudienceRequest", "report_audience"]


@dataclass(frozen=True)
class AudienceRequest:
    """What is asked of an audience.

    Attributes:
        inputs: The recordings of people watching.
        events: What they watched: a CSV, SRT or WebVTT; None: the markers of the store.
        seats: A CSV that says which recording (and which part of its picture) is of which group, and where the
            treatment begins in it.
        baseline_s: The seconds before an event that a rise is measured from.
        window_s: The seconds after it in which a reaction is looked for.
        anonymous: Show no single viewer, and nothing that fewer than so many viewers stand behind; None: all.
    """

    inputs: Inputs
    events: Path | None
    seats: Path | None = None
    baseline_s: float = 5.0
    window_s: float = 10.0
    anonymous: int | None = None


def report_audience(request: AudienceRequest, settings: Settings | None = None, job: Job | None = None) -> Report:
    """Return the report on an audience.

    Args:
        request: What is asked.
        settings: The effective settings; None: the defaults.
        job: Hears how far the work is, and can end it.

    Raises:
        InputError: No recording, the events or the list cannot be read.
        UsageError: A number is out of range.
        PartialError: The job was stopped.
        MissingExtraError: It needs the extra `analyze`.
    """
    settings, job = settings or checked({}, "the arguments"), job or Job()
    if not 1 <= request.baseline_s <= 300:
        raise UsageError(f"a baseline of {request.baseline_s:g} s cannot be measured from: expected 1 to 300")
    if not 1 <= request.window_s <= 300:
        raise UsageError(f"a reaction cannot be looked for in {request.window_s:g} s: expected 1 to 300")
    if request.anonymous is not None and request.anonymous < 2:
        raise UsageError(f"--anonymous with --k {request.anonymous} hides nobody: expected 2 or more")
    notes: list[str] = []
    seats = read_seats(request.seats) if request.seats else []
    if request.events is None and not request.inputs.store:
        raise UsageError("markers are those of a store: name its part with --source, --from and --to")
    if request.events is None and any(seat.offset for seat in seats):
        raise UsageError("markers have the store's own times: leave the offsets out of the list of seats")
    events = read_events(request.events, notes) if request.events else []
    recordings = read_recordings(request.inputs, settings, job)
    events = events or read_markers(request.inputs, recordings)
    single = [note for recording in recordings for note in recording.notes]
    watched = watching(recordings, seats, single)
    if request.anonymous and single:
        single = [
            f"{counted(len(single), 'note', 'notes')} that may name a recording left out; --anonymous hides names."
        ]
    notes += single
    job.tell("weighing the reactions", 0)
    inside = [event for event in events if event.at < watched.seconds]
    if len(inside) < len(events):
        notes.append(
            f"{counted(len(events) - len(inside), 'event lies', 'events lie')} beyond the end of every recording "
            f"({watched.seconds:,.0f} s); left out."
        )
    apart = joined(inside, request.window_s)
    if len(apart) < len(inside):
        notes.append(
            f"{counted(len(inside), 'event', 'events')} follow each other within {TAKES_S:g} s in places, faster than "
            f"a reaction takes; those are judged as one, {len(apart):,} in all."
        )
    reactions = react(watched, apart, request.baseline_s, request.window_s, request.anonymous)
    cut = sum(reaction.cut for reaction in reactions.each)
    if cut:
        notes.append(
            f"{counted(cut, 'event is', 'events are')} followed by another before its reaction may be over: its window "
            "ends there, and its row says so."
        )
    untold = sum(reaction.reacted is None for reaction in reactions.each)
    if untold:
        notes.append(
            f"Of {counted(untold, 'event', 'events')} it cannot be told how many viewers reacted by themselves: the "
            "recordings hold too few stretches without an event that are as long."
        )
    job.tell("weighing the reactions", 1, 2)
    shown = Shown(
        watched, reactions, courses(watched, request.anonymous), compared(watched, reactions, request.anonymous)
    )
    job.tell("writing the page", 1, 1)
    asked = request.inputs.asked() | {
        "events": str(request.events) if request.events else "markers",
        "seats": str(request.seats) if request.seats else None,
        "baseline_s": request.baseline_s,
        "window_s": request.window_s,
        "anonymous": request.anonymous,
    }
    if request.anonymous:
        del asked["of"]
    report = audience_report(shown, notes, asked)
    report.methods = methods_for("audience", request.inputs, settings.vision.detector, recordings)
    report.read = [Path(path) for path in (*request.inputs.paths, request.events, request.seats) if path]
    return report
