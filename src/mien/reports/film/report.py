"""The film report: how happy is this film? Videos go in; one page with a score, its curve and key moments comes out."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.config import Settings, checked
from mien.errors import UsageError
from mien.reports.base.bootstrap import compare
from mien.reports.base.job import Job
from mien.reports.base.methods import methods_for
from mien.reports.base.pictures import moments as pictures_of
from mien.reports.base.places import read_places
from mien.reports.base.recordings import Inputs, read_recordings
from mien.reports.base.report import Report
from mien.reports.base.usual_face import calibration_of, in_store
from mien.reports.film.figures import FilmFigures, look_at
from mien.reports.film.page import film_report

__all__ = ["FilmRequest", "report_film"]


@dataclass(frozen=True)
class FilmRequest:
    """What is asked of a film.

    Attributes:
        inputs: The films.
        moments: So many key moments of each kind.
        blur: Hide the faces in pictures.
        anonymous: Show no person and no picture, and nothing that fewer than so many people stand behind; None: all.
        cast: A CSV that says which track or place is which actor's; of one film.
        calibrate: From which time usual faces are taken: seconds, `median`, a stretch such as 0:10-0:40, or the text of
            a marker of the store; None: what lies above them is not told.
    """

    inputs: Inputs
    moments: int = 3
    blur: bool = False
    anonymous: int | None = None
    cast: Path | None = None
    calibrate: str | None = None


def report_film(request: FilmRequest, settings: Settings | None = None, job: Job | None = None) -> Report:
    """Return the report on one or several films.

    Args:
        request: What is asked.
        settings: The effective settings; None: the defaults.
        job: Hears how far the work is, and can end it.

    Raises:
        InputError: Nothing can be read, or the cast list is none.
        UsageError: A number is out of range, or a cast is given where none can be used.
        PartialError: The job was stopped.
        MissingExtraError: It needs the extra `analyze`.
    """
    settings, job = settings or checked({}, "the arguments"), job or Job()
    if not 0 <= request.moments <= 20:
        raise UsageError(f"cannot show {request.moments} moments of each kind: expected 0 to 20")
    if request.anonymous is not None and request.anonymous < 2:
        raise UsageError(f"--anonymous {request.anonymous} hides nobody: expected 2 or more")
    if request.cast and request.anonymous is not None:
        raise UsageError("--cast names people and --anonymous none: leave out one of them")
    calibration = calibration_of(request.calibrate)
    if calibration and request.anonymous is not None:
        raise UsageError("--calibrate is of one person's face and --anonymous of nobody's: leave out one of them")
    places = read_places(request.cast) if request.cast else []
    recordings = read_recordings(request.inputs, settings, job)
    if places and len(recordings) > 1:
        names = ", ".join(recording.name for recording in recordings)
        raise UsageError(f"--cast is of one film, but here are {len(recordings)} ({names}): name one")
    calibration = in_store(calibration, request.inputs, recordings) if calibration else None
    films = [look_at(recording, request.moments, request.anonymous, places, calibration) for recording in recordings]
    shots = [
        {}
        if request.anonymous
        else pictures_of(film.recording, [moment.at for moment in film.moments], settings, job, blur=request.blur)
        for film in films
    ]
    pairs = [
        (leader, follower, compare(*_columns(leader), *_columns(follower)))
        for leader, follower in itertools.combinations(films, 2)
        if leader.score is not None and follower.score is not None
    ]
    job.tell("writing the page", 1, 1)
    asked = request.inputs.asked() | ({"cast": str(request.cast)} if request.cast else {})
    asked |= {"calibrate": request.calibrate} if calibration else {}
    report = film_report(films, shots, pairs, asked, request.anonymous)
    report.methods = methods_for("film", request.inputs, settings.vision.detector, recordings, calibration)
    report.read = [Path(path) for path in (*request.inputs.paths, request.cast) if path]
    return report


def _columns(film: FilmFigures) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return 100 * film.units[:, :1], film.units[:, 1:]
