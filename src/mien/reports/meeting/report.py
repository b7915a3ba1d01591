"""The meeting report: a recording and its transcript go in; what the faces showed during what was said comes out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path

from mien.config import Settings, checked
from mien.errors import UsageError
from mien.reports.base.job import Job
from mien.reports.base.methods import methods_for
from mien.reports.base.places import Place, read_places
from mien.reports.base.recordings import Inputs, Recording, read_recordings
from mien.reports.base.report import Report
from mien.reports.base.transcripts import Transcript, Utterance, read_transcript
from mien.reports.base.usual_face import calibration_of, in_store
from mien.reports.meeting.figures import heard
from mien.reports.meeting.names.csv_file import as_csv, as_places, by_hand
from mien.reports.meeting.names.highlight_names import agreement, with_highlights
from mien.reports.meeting.names.mouth_names import with_mouths
from mien.reports.meeting.names.places import ScreenReading
from mien.reports.meeting.names.search import NameSearch, with_speakers
from mien.reports.meeting.names.strips import tag_strips
from mien.reports.meeting.offset import REACH_S, find_offset
from mien.reports.meeting.own_level import by_clock, look_above
from mien.reports.meeting.page import MeetingPage, meeting_report
from mien.reports.meeting.speaker_page import layout_time
from mien.reports.meeting.speakers import look_at_speakers
from mien.reports.meeting.together import Piece, together
from mien.reports.meeting.words import judge, read_lexicon
from mien.words import counted

__all__ = ["MeetingRequest", "report_meeting"]

PICTURES = 8
"""So many pictures of moments where words and faces disagree."""


@dataclass(frozen=True)
class MeetingRequest:
    """What is asked of a meeting.

    Attributes:
        inputs: The recording: a video, table or source of a store; several are laid on one time line. Of files, `since`
            and `until` are times of the clock in the picture.
        transcript: What was said.
        speakers: A CSV that says which face is whose.
        offset: What is to be added to the transcript's times, in seconds; None: found from the sound.
        consent: Who agreed to this, and when, as the report tells it.
        blur: Hide the faces in pictures.
        anonymous: Name nobody, show no picture and no words, and nothing of fewer than so many people; None: all.
        names: Read off the picture which face is whose, where `speakers` doesn't say, nothing is anonymous or blurred.
        ocr_model: Another PP-OCR recogniser (ONNX) than the built-in one, for names in other scripts.
        lexicon: A CSV of words and their weights, for other languages than English; None: the settings' own.
        calibrate: From which time usual faces are taken: seconds, `median`, a stretch such as 0:10-0:40, or the text of
            a marker of the store; None: what lies above them is not told.
    """

    inputs: Inputs
    transcript: Path
    speakers: Path | None = None
    offset: float | None = None
    consent: str | None = None
    blur: bool = False
    anonymous: int | None = None
    names: bool = True
    ocr_model: Path | None = None
    lexicon: Path | None = None
    calibrate: str | None = None

    @property
    def reads_picture(self) -> bool:
        """Whether text is read off the picture: names and the clock."""
        return self.names and not self.blur and self.anonymous is None

    @property
    def reads_names(self) -> bool:
        """Whether names are looked for in the picture."""
        return self.reads_picture and self.speakers is None


def report_meeting(request: MeetingRequest, settings: Settings | None = None, job: Job | None = None) -> Report:
    """Return the report on a meeting.

    Args:
        request: What is asked.
        settings: The effective settings; None: the defaults.
        job: Hears how far the work is, and can end it.

    Raises:
        InputError: The recording, the transcript or the mapping file cannot be read, or nothing tells when one of
            several recordings began.
        UsageError: An argument is out of range.
        PartialError: The job was stopped.
        MissingExtraError: It needs the extra `analyze`, or with another recogniser `names`.
        ModelError: The recogniser is none.
    """
    settings, job = settings or checked({}, "the arguments"), job or Job()
    if request.anonymous is not None and request.anonymous < 2:
        raise UsageError(f"--anonymous with --k {request.anonymous} hides nobody: expected 2 or more")
    calibration = calibration_of(request.calibrate)
    transcript = read_transcript(request.transcript)
    lexicon = request.lexicon or settings.meeting.lexicon
    words = read_lexicon(lexicon) if lexicon else None
    given = read_places(request.speakers) if request.speakers else []
    search = NameSearch(request.inputs, settings, request.ocr_model) if request.reads_picture else None
    recordings = read_recordings(request.inputs, settings, job, search.watch if search else None)
    readings = [search.read(part, transcript.utterances, job) if search else ScreenReading() for part in recordings]
    if request.speakers:
        readings = [_clock_alone(reading) for reading in readings]
    job.tell("finding the offset", 0)
    offset, notes = _offset(request.offset, recordings[0], transcript, readings[0].clock)
    whole = together(recordings, readings, request.inputs)
    recording, reading, start = whole.recording, whole.reading, whole.pieces[0].start
    offset += start
    notes += whole.notes
    if request.speakers:
        reading = replace(reading, places=tuple(by_hand(given)))
    transcript = _part_of(transcript, offset, recording) if whole.cut else transcript
    transcript = replace(transcript, utterances=with_speakers(transcript.utterances, offset, reading))
    if not request.speakers:
        whole = whole.read_again(lambda piece: _named_by_sight(piece, transcript, offset))
        reading = whole.reading
    notes += reading.notes
    places = [*as_places(reading), *(place for place in given if place.track is not None)]
    own = None
    if calibration:
        calibration = by_clock(calibration, recording, request.inputs, settings)
        calibration = in_store(calibration, request.inputs, recordings)
        recording, own = look_above(recording, [] if request.anonymous else places, calibration)
    judged = judge([utterance.text for utterance in transcript.utterances], words)
    utterances = heard(recording, transcript.utterances, offset, places, request.anonymous, judged.scores)
    speakers = (
        None
        if request.anonymous
        else look_at_speakers(recording, [figures.utterance for figures in utterances], places)
    )
    notes += _beyond(recording, transcript, offset) + _unknown(transcript, given, request.anonymous)
    odd = [figures for figures in utterances if figures.disagrees][:PICTURES]
    times = [min((figures.utterance.start + figures.utterance.end) / 2, recording.seconds) for figures in odd]
    at = layout_time(reading.places, recording.seconds)
    hidden = partial(tag_strips, reading) if request.blur else None
    shots: dict[float, bytes] = {}
    if not request.anonymous:
        wanted = [*times, *([] if at is None else [at])]
        shots = whole.pictures(wanted, settings, job, blur=request.blur, hidden_parts=hidden)
    job.tell("writing the page", 1, 1)
    asked = (
        request.inputs.asked()
        | whole.asked()
        | {
            "transcript": str(request.transcript),
            "speakers": str(request.speakers) if request.speakers else None,
            "lexicon": str(lexicon) if lexicon else None,
            "names": request.reads_names,
            "offset": offset,
            "consent": request.consent,
            "calibrate": request.calibrate,
            "anonymous": request.anonymous,
        }
    )
    notes = [*transcript.notes, *notes]
    page = MeetingPage(recording, transcript, utterances, notes, asked, shots, speakers, reading, judged, own)
    report = meeting_report(page)
    if reading.places and not request.anonymous:
        report.files[".names.csv"] = as_csv(reading.places)
        report.corrected = frozenset({".names.csv"})
    read = (*request.inputs.paths, request.transcript, request.speakers, lexicon)
    report.methods = methods_for("meeting", request.inputs, settings.vision.detector, recordings, calibration)
    report.read = [Path(path) for path in read if path]
    return report


def _clock_alone(reading: ScreenReading) -> ScreenReading:
    """Return what a picture shows besides names: the clock, and who is framed as the speaker."""
    return ScreenReading(spoken=reading.spoken, clock=reading.clock)


def _named_by_sight(piece: Piece, transcript: Transcript, offset: float) -> ScreenReading:
    """Return what a recording's picture shows, with the names that frames and mouths tell."""
    utterances = _at(transcript, offset - piece.start)
    notes = agreement(piece.reading, utterances)
    reading = with_mouths(with_highlights(piece.reading, utterances), utterances)
    return replace(reading, notes=(*reading.notes, *notes))


def _at(transcript: Transcript, offset: float) -> list[Utterance]:
    """Return what was said, its times moved."""
    return [replace(part, start=part.start + offset, end=part.end + offset) for part in transcript.utterances]


def _part_of(transcript: Transcript, offset: float, recording: Recording) -> Transcript:
    """Return a transcript without what was said outside of the part that is asked for."""
    length = recording.seconds
    inside = [part for part in transcript.utterances if part.start + offset < length and part.end + offset > 0]
    return replace(transcript, utterances=inside)


def _offset(
    given: float | None, recording: Recording, transcript: Transcript, shown: datetime | None
) -> tuple[float, list[str]]:
    if given is not None:
        return given, [f"The transcript was moved by {given:+.1f} s, as asked."]
    if not transcript.utterances:
        return 0.0, []
    first = transcript.utterances[0].start
    clock = first if first > recording.seconds + REACH_S else 0.0
    if clock and shown is not None:
        began = (shown - shown.replace(hour=0, minute=0, second=0, microsecond=0)).total_seconds()
        if -REACH_S <= first - began <= recording.seconds:
            return -began, ["The transcript has the time of day; it was laid to the clock in the picture."]
    from_start = [replace(part, start=part.start - clock, end=part.end - clock) for part in transcript.utterances]
    notes = []
    if clock:
        notes.append(
            f"The transcript begins at {clock:,.0f} s, long after the recording's end: it has the time of day. Its "
            "first words were laid to the recording's beginning; --offset gives another place."
        )
    if recording.medium is None or str(recording.medium) == "demo":
        return -clock, [
            *notes,
            "There is no sound to find the transcript's offset by; its times were taken as they are (--offset).",
        ]
    fit = find_offset(recording.medium, from_start)
    if fit is None:
        return -clock, [
            *notes,
            "The sound does not show the transcript's offset; its times were taken as they are (--offset).",
        ]
    if abs(fit.seconds) < 1:
        return -clock, [*notes, f"Sound and transcript fit as they are (correlation {fit.agreement:.2f})."]
    moved = fit.seconds - clock
    return moved, [
        *notes,
        (
            f"The transcript was moved by {moved:+.1f} s, which fits the sound best (correlation "
            f"{fit.agreement:.2f}); --offset gives another."
        ),
    ]


def _beyond(recording: Recording, transcript: Transcript, offset: float) -> list[str]:
    """Return what is to be said where recording and transcript are not of one length."""
    length = recording.seconds
    outside = [
        utterance
        for utterance in transcript.utterances
        if utterance.start + offset >= length or utterance.end + offset <= 0
    ]
    if not transcript.utterances:
        return []
    last = transcript.utterances[-1].end + offset
    notes = []
    if outside:
        notes.append(
            f"{counted(len(outside), 'utterance lies', 'utterances lie')} outside the recording, which lasts "
            f"{length:,.0f} s; of them nothing is known."
        )
    elif length - last > max(60.0, 0.2 * length):
        notes.append(f"The transcript ends {length - last:,.0f} s before the recording; nothing was said after that.")
    return notes


def _unknown(transcript: Transcript, places: list[Place], anonymous: int | None) -> list[str]:
    names = {utterance.speaker for utterance in transcript.utterances}
    strangers = sorted({place.speaker for place in places} - {name for name in names if name})
    if not strangers:
        return []
    named = counted(len(strangers), "speaker", "speakers") if anonymous else ", ".join(strangers)
    return [f"The mapping file names {named}, whom the transcript does not: names must be the same."]
