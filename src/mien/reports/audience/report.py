"""The audience report: recordings of people watching and what they watched go in; how they reacted comes out."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from mien.config import Settings, checked
from mien.errors import InputError, UsageError
from mien.reports.audience.attention import attention
from mien.reports.audience.clusters import compared_courses
from mien.reports.audience.events import Event, read_events, read_markers
from mien.reports.audience.groups import compared, courses
from mien.reports.audience.headline import contrasts, headlines
from mien.reports.audience.neighbours import neighbours
from mien.reports.audience.own_level import look_above
from mien.reports.audience.page import Shown, audience_report
from mien.reports.audience.reactions import TAKES_S, Reactions, joined, react
from mien.reports.audience.seats import Seat, Watching, read_seats, watching
from mien.reports.audience.synchrony import SIGNALS, Moment, Null, Synchrony, most_synchronous, synchronies
from mien.reports.base.job import Job
from mien.reports.base.methods import methods_for
from mien.reports.base.pictures import moments as pictures_at
from mien.reports.base.recordings import Inputs, Recording, read_recordings
from mien.reports.base.report import Report
from mien.reports.base.usual_face import Calibration, calibration_of, in_store, marked
from mien.words import counted, listed

if TYPE_CHECKING:
    import polars as pl

__all__ = ["AudienceRequest", "report_audience"]

PICTURES = 12
"""Pictures of the treatment are shown of so many moments, the clearest."""

BEFORE_S = 1.0
"""A face takes about so long to show something: so much earlier the picture is taken."""


@dataclass(frozen=True)
class AudienceRequest:
    """What is asked of an audience.

    Attributes:
        inputs: The recordings of people watching.
        events: What they watched: a CSV, SRT or WebVTT; "markers": those of the store; None: nothing is known of it,
            and the moments that moved people together are looked for.
        seats: A CSV that says which recording (and which part of its picture) is of which group, and where the
            treatment begins in it.
        baseline_s: The seconds before an event that a rise is measured from.
        window_s: The seconds after it in which a reaction is looked for; so long is a window of the synchrony, too.
        anonymous: Show no single viewer, and nothing that fewer than so many viewers stand behind; None: all.
        treatment: The video that they watched, for pictures of its moments.
        null: What chance is for the synchrony: curves turned around, or of random phases.
        calibrate: From which time each viewer's usual face is taken: seconds, `median`, a stretch such as 0:10-0:40, or
            the text of an event or marker; None: what lies above it is not told.
    """

    inputs: Inputs
    events: Path | Literal["markers"] | None = None
    seats: Path | None = None
    baseline_s: float = 5.0
    window_s: float = 10.0
    anonymous: int | None = None
    treatment: Path | None = None
    null: Null = "shift"
    calibrate: str | None = None


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
    if request.treatment and not request.treatment.is_file():
        raise InputError(f"cannot take pictures of '{request.treatment}': there is no such file")
    notes: list[str] = []
    calibration = calibration_of(request.calibrate)
    of_store = request.events == "markers"
    seats = read_seats(request.seats) if request.seats else []
    if of_store and not request.inputs.store:
        raise UsageError("markers are those of a store: name its part with --source, --from and --to")
    if of_store and any(seat.offset for seat in seats):
        raise UsageError("markers have the store's own times: leave the offsets out of the list of seats")
    events = read_events(request.events, notes) if isinstance(request.events, Path) else []
    recordings = read_recordings(request.inputs, settings, job)
    events = read_markers(request.inputs, recordings) if of_store else events
    single = [note for recording in recordings for note in recording.notes]
    if calibration:
        calibration = _stretch(calibration, request.inputs, recordings, events)
    watched = watching(recordings, seats, single, calibration)
    if request.anonymous and single:
        single = [
            f"{counted(len(single), 'note', 'notes')} that may name a recording left out; --anonymous hides names."
        ]
    notes += single
    reactions = _reactions(request, watched, events, notes, job) if request.events else None
    shown = _shown(request, settings, job, watched, reactions, seats, calibration)
    notes += _on_synchrony(request, shown)
    job.tell("writing the page", 1, 1)
    asked = request.inputs.asked() | {
        "events": str(request.events) if request.events else None,
        "seats": str(request.seats) if request.seats else None,
        "baseline_s": request.baseline_s,
        "window_s": request.window_s,
        "anonymous": request.anonymous,
        "treatment": str(request.treatment) if request.treatment else None,
        "null": request.null,
        "calibrate": request.calibrate,
    }
    if request.anonymous:
        del asked["of"]
    report = audience_report(shown, notes, asked)
    report.methods = methods_for("audience", request.inputs, settings.vision.detector, recordings, calibration)
    given = (None if of_store else request.events, request.seats, request.treatment)
    report.read = [Path(path) for path in (*request.inputs.paths, *given) if path]
    return report


def _reactions(
    request: AudienceRequest, watched: Watching, events: list[Event], notes: list[str], job: Job
) -> Reactions:
    """Return the reactions to the events; what is to be said of them is noted."""
    job.tell("weighing the reactions", 0)
    inside = [event for event in events if event.at < watched.seconds]
    if len(inside) < len(events):
        notes.append(
            f"{counted(len(events) - len(inside), 'event lies', 'events lie')} beyond the end of every recording "
            f"({watched.seconds:,.0f} s); left out.{'' if inside else ' Their times are read as seconds.'}"
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
    return reactions


def _shown(
    request: AudienceRequest,
    settings: Settings,
    job: Job,
    watched: Watching,
    reactions: Reactions | None,
    seats: list[Seat],
    calibration: Calibration | None,
) -> Shown:
    """Return all that the page shows."""
    hidden = request.anonymous

    def tell(done: float, total: float) -> None:
        job.tell("looking for what moved people together", done, total)

    measured = synchronies(watched, request.window_s, hidden, request.null, tell)
    moments = [moment for synchrony in measured for moment in most_synchronous(synchrony, watched)]
    moments.sort(key=_rank)
    told = headlines(watched, measured, hidden)
    return Shown(
        watched,
        reactions,
        courses(watched, hidden),
        compared(watched, reactions, hidden),
        measured,
        moments,
        told,
        contrasts(told),
        compared_courses(watched, hidden),
        None if hidden else neighbours(watched, seats),
        _pictures(request, settings, job, moments),
        look_above(watched, calibration, hidden) if calibration else None,
        attention(watched, hidden),
    )


def _stretch(calibration: Calibration, inputs: Inputs, recordings: list[Recording], events: list[Event]) -> Calibration:
    """Return a calibration with the stretch that its text names, of an event or of a marker of the store."""
    if events or not inputs.store:
        return marked(calibration, [(event.at, event.label, event.duration) for event in events])
    return in_store(calibration, inputs, recordings)


def _pictures(request: AudienceRequest, settings: Settings, job: Job, moments: list[Moment]) -> dict[float, bytes]:
    """Return pictures of the treatment by the moments' times."""
    if request.treatment is None or request.anonymous:
        return {}
    chosen = [moment.at for moment in moments if moment.beyond_chance][:PICTURES]
    film = Recording("the treatment", request.treatment, _no_faces())
    taken = pictures_at(film, [max(0.0, at - BEFORE_S) for at in chosen], settings, job, blur=False)
    return {at: taken[before] for at in chosen if (before := max(0.0, at - BEFORE_S)) in taken}


def _no_faces() -> pl.DataFrame:
    import polars as pl

    return pl.DataFrame(schema={"frame": pl.Int64, "at": pl.Float64})


def _rank(moment: Moment) -> tuple[float, float]:
    return moment.p, -moment.synchrony.value


def _on_synchrony(request: AudienceRequest, shown: Shown) -> list[str]:
    """Return what is to be said of moving together: why there is no synchrony, or of whom."""
    watched, notes = shown.watched, []
    window = round(request.window_s)
    if len(watched.names) < 2:
        notes.append("Moving together takes two viewers or more; there is one recording or seat.")
    elif watched.seconds < window:
        notes.append(f"The treatment is shorter than a window of {window} s: nothing can be said of moving together.")
    elif request.anonymous and not shown.synchronies:
        notes.append(f"No group has {request.anonymous} viewers, as --anonymous asks for: no synchrony is told.")
    elif not shown.synchronies:
        notes.append("No group has two viewers who were seen: nothing can be said of moving together.")
    for synchrony in shown.synchronies:
        notes += _left_out(synchrony, watched, anonymous=bool(request.anonymous))
    groups = {group for group in watched.groups if group}
    if len(groups) > 1 and len(shown.compared) < math.comb(len(groups), 2):
        notes.append("Courses are compared where both groups have at least five viewers; some have not.")
    if shown.attention is None:
        notes.append(
            "Nothing tells where heads were turned (the model, or what made the tables, does not say), so nothing is "
            "said of who faced the screen."
        )
    if request.treatment and request.anonymous:
        notes.append("No pictures of the treatment are shown, as --anonymous asks for.")
    elif request.treatment and not shown.pictures and any(moment.beyond_chance for moment in shown.moments):
        notes.append(f"No picture could be taken of '{request.treatment.name}' at these moments: is it shorter?")
    return notes


def _left_out(synchrony: Synchrony, watched: Watching, *, anonymous: bool) -> list[str]:
    """Return who never counts, and why: not seen for long enough, or a face that never moves."""
    group = f" of {synchrony.group}" if synchrony.group else ""
    names = [watched.names[member] for member in synchrony.members]
    away = [name for name, each in zip(names, synchrony.each, strict=True) if not np.isfinite(each).any()]
    still = [f"{emotion}" for k, emotion in enumerate(SIGNALS) if not np.isfinite(synchrony.each[:, :, k]).any()]
    notes = []
    if away:
        who = counted(len(away), "viewer", "viewers") if anonymous else listed(away)
        notes.append(
            f"Of {who}{group} no window counts for the synchrony: seen for too little of each, or constant throughout."
        )
    if still and len(still) < len(SIGNALS):
        notes.append(f"{listed(still, 8)} did not move in anybody's face{group}: there is no synchrony in it.")
    return notes
