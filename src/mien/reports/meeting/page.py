"""The wording and layout of the meeting report: what was said and shown goes in, a `Report` comes out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np

from mien.charts.palette import COLOURS
from mien.charts.svg import SHOWN, Mark, clock, intervals, legend, stacked
from mien.observation import EMOTIONS
from mien.reports.base.bootstrap import Estimates
from mien.reports.base.curve import bin_length, curve
from mien.reports.base.parts import Chart, Data, Fact, Part, Picture, Pictures, Section, Shares, Table
from mien.reports.base.people import people
from mien.reports.base.recordings import READABLE, Recording
from mien.reports.base.report import Report
from mien.reports.base.transcripts import Transcript
from mien.reports.base.usual_face import OWN_LEVEL, USUAL_SECONDS, missing, own_level, people_table, used_seconds
from mien.reports.base.usual_face import definition as usual_definition
from mien.reports.meeting.exports import as_docx, as_markdown, as_vtt, most
from mien.reports.meeting.figures import (
    CLEAR_FACES,
    CLEAR_WORDS,
    ENOUGH_FACES,
    MeanExpression,
    Mood,
    UtteranceFigures,
    moods,
    utterance_table,
)
from mien.reports.meeting.names.places import ScreenReading
from mien.reports.meeting.own_level import OwnLevel
from mien.reports.meeting.speaker_page import COLUMNS as SPEAKER_COLUMNS
from mien.reports.meeting.speaker_page import NAMES_NOTICE, definitions, layout_time, speaker_sections
from mien.reports.meeting.speakers import SpeakerFigures
from mien.reports.meeting.words import Judgement
from mien.words import counted, signed

__all__ = ["COLUMNS", "MeetingPage", "meeting_report"]

BAN = (
    "In the European Union it is prohibited to use AI systems to infer the emotions of people at work and in "
    "educational institutions, except for medical or safety reasons (AI Act, Regulation (EU) 2024/1689, Article "
    "5(1)(f)). "
    "Consent does not lift this prohibition. Do not make or use this report of a meeting of employees or students "
    "there."
)
NO_CONSENT = (
    "No consent is recorded. Everyone who is to be seen has to be told that their faces are read, and in many places "
    "has to "
    "agree. If they did, record who and when with --consent."
)

KNOWN = 0.95
"""Where the usual face is known of a smaller share of the faces' time, the page says so."""

COLUMNS: dict[str, dict[str, str]] = {
    "utterances": {
        "utterance": "its number, from 1, in order of time",
        "start": "when it begins, in seconds of the recording",
        "end": "when it ends",
        "speaker": "who speaks, as the transcript has it; empty where it does not tell",
        "text": "the words",
        "faces": f"readable faces during it (longer side at least {READABLE} pixels), in all frames looked at; it is "
        f"widened "
        "to half a second where it is shorter",
        "people": "different tracks among these",
        "face_seconds": "the time that the frames of these stand for, added up over the faces",
        **{
            emotion: f"mean probability of {emotion} over these and time; empty under {ENOUGH_FACES} faces"
            for emotion in EMOTIONS
        },
        "speaker_faces": "of the speaker's own face; empty where it is not known which that is",
        "speaker_face_seconds": "the same of the speaker's own face",
        **{f"speaker_{emotion}": f"mean probability of {emotion} over these" for emotion in EMOTIONS},
        "words": "how pleasant the words are, -1 to 1: VADER's compound score of English, or by the lexicon that was "
        "given; empty where they cannot be judged",
        "disagrees": "whether words and faces are clearly of opposite kinds",
        "clock": "the time of day when it begins (ISO 8601), by the clock in the picture or the store; empty where "
        "neither tells",
        **{
            f"above_{emotion}": f"mean of {emotion} above the usual face of each, over faces whose usual face is known"
            for emotion in EMOTIONS
        },
        **{f"speaker_above_{emotion}": "the same of the speaker's own face" for emotion in EMOTIONS},
        "above_seconds": "the time of the faces whose usual face is known, added up",
        "speaker_above_seconds": "the same of the speaker's own face",
    },
    "speakers": {
        "speaker": "who; empty: all that was said",
        "utterances": "how often",
        "seconds": "how long, in seconds",
        "room_happiness": "100 x the mean probability of happy over all readable faces and time meanwhile",
        "low": "the lower end of its 95 % interval",
        "high": "the upper end",
        "own_happiness": "100 x the mean probability of happy of the speaker's own face while speaking",
        "in_view": "in how much of the speaking time the own face was in view, 0 to 1; empty where it is not known",
        "screen_seconds": "how long the own face was on screen, in seconds",
        "screen_share": "the share of the recording that this is",
        "room_above": "100 x the mean of happy above the usual face of each, over faces whose usual face is known",
        "room_above_low": "the lower end of its 95 % interval",
        "room_above_high": "the upper end",
        "own_above": "100 x the mean of happy above the speaker's usual face, while speaking",
    },
    "own_level": OWN_LEVEL,
    "usual_seconds": USUAL_SECONDS,
    "curve": {
        "start": "where the bin begins, in seconds",
        "frames": "frames looked at in it",
        "faces": "faces in these",
        "readable": "faces of these that are large enough to be read",
        "face_seconds": "the time that the frames of these stand for, added up over the faces",
        **{emotion: f"mean probability of {emotion} over the readable faces" for emotion in EMOTIONS},
    },
}


@dataclass(frozen=True)
class MeetingPage:
    """What a meeting's page is made of.

    Attributes:
        recording: The meeting's.
        transcript: Of it.
        utterances: Its utterances with what the faces showed.
        notes: What was wrong with the input.
        asked: The request.
        shots: Pictures by their times.
        speakers: What single speakers showed; None: it is not known which face is whose, or nobody is to be named.
        reading: What is known of who is where.
        judged: How pleasant the words are, and what judged them.
        own: The usual faces; None: what lies above them was not asked for.
    """

    recording: Recording
    transcript: Transcript
    utterances: Sequence[UtteranceFigures]
    notes: Sequence[str]
    asked: dict[str, Any]
    shots: dict[float, bytes]
    speakers: SpeakerFigures | None
    reading: ScreenReading
    judged: Judgement
    own: OwnLevel | None = None


def meeting_report(page: MeetingPage) -> Report:
    """Return the report on a meeting."""
    recording, utterances, asked, shots = page.recording, page.utterances, page.asked, page.shots
    mapped = page.speakers is not None
    anonymous: int | None = asked["anonymous"]
    speakers = list(dict.fromkeys(figures.utterance.speaker for figures in utterances if figures.utterance.speaker))
    names = {name: f"Speaker {number}" if anonymous else name for number, name in enumerate(speakers, 1)}
    by_speaker = moods(utterances)
    course = curve(people(recording.faces, np.array([])), recording.seconds, anonymous)
    consent = asked["consent"]
    notice = f"Consent, as whoever made this report recorded it: “{consent}”." if consent else NO_CONSENT
    notes = [*recording.notes, *page.notes]
    if not mapped:
        notes.append(
            "It is not known which of the faces is the speaker's; the figures are those of all faces in view. A "
            "mapping file "
            "(--speakers) ties names to tiles or tracks."
        )
    if page.judged.by not in ("", "VADER"):
        notes.append(f"How pleasant words are was judged by {page.judged.by}.")
    if page.own:
        notes += [] if anonymous else missing(page.own.people, page.own.calibration)
        if page.own.known < KNOWN:
            notes.append(
                f"Of {100 * (1 - page.own.known):.0f} % of the faces' time no usual face is known (too little of "
                f"{page.own.calibration.words}); figures above the usual face are those of the others."
            )
    quiet = sum(figures.room.shares is None for figures in utterances)
    if quiet:
        few = f"fewer than {anonymous} people, as --anonymous asks for, or " if anonymous else ""
        notes.append(f"Of {counted(quiet, 'utterance', 'utterances')} nothing is said: {few}too few readable faces.")
    first = (notice, BAN, *([NAMES_NOTICE] if page.speakers else []))
    files: dict[str, str | bytes] = {
        ".notes.vtt": as_vtt(utterances),
        ".notes.md": as_markdown(recording.name, utterances, first),
        ".notes.docx": as_docx(recording.name, utterances, first),
    }
    odd = [figures for figures in utterances if figures.disagrees]
    sections = [
        _course(recording, course, [] if anonymous else odd),
        _by_speaker(by_speaker, names, page.speakers),
        *([_above(by_speaker, names, page.own, anonymous)] if page.own else []),
    ]
    data: list[Data] = []
    if page.speakers:
        at = layout_time(page.reading.places, recording.seconds)
        frame = (at, shots[at]) if at in shots else None
        sections += speaker_sections(recording, page.speakers, page.reading.places, frame)
        data = [Data(name, getattr(page.speakers, name), columns) for name, columns in SPEAKER_COLUMNS.items()]
    if not anonymous:
        sections.append(_disagreements(odd, shots, page.judged))
        sections.append(_utterances(recording, utterances, names, mapped=mapped))
    return Report(
        kind="meeting",
        title=recording.name,
        lead=_lead(by_speaker[0], odd, page.judged),
        facts=_facts(by_speaker, recording, page, odd),
        sections=sections,
        notes=notes,
        notices=list(first),
        definitions=[
            *_definitions(page.judged),
            *(definitions() if page.speakers else []),
            *([usual_definition(page.own.calibration)] if page.own else []),
        ],
        data=[
            _table(
                "utterances",
                utterance_table(
                    utterances, names, words=not anonymous, above=page.own is not None, began=recording.began
                ),
            ),
            _table("speakers", _speaker_table(by_speaker, names, page)),
            *(_own_data(page.own) if page.own and not anonymous else []),
            Data("curve", course, COLUMNS["curve"]),
            *data,
        ],
        files={} if anonymous else files,
        asked=asked,
    )


def _own_data(own: OwnLevel) -> list[Data]:
    return [own_level(own.people), used_seconds(own.used, [person.name for person in own.people])]


def _lead(room: Mood, odd: Sequence[UtteranceFigures], judged: Judgement) -> str:
    if not room.utterances:
        return "Nothing can be said of what was said: the transcript holds no words."
    if room.room is None:
        return "Nobody can say how the room looked: too few faces were readable while somebody spoke."
    first = f"While somebody spoke, faces looked happy to {room.room.value[0]:.0f} out of 100."
    if judged.reason:
        return f"{first} How pleasant the words are is not known: {judged.reason}."
    if not odd:
        return f"{first} Nowhere did words and faces clearly disagree."
    return f"{first} During {counted(len(odd), 'utterance', 'utterances')} words and faces clearly disagreed."


def _facts(
    by_speaker: Sequence[Mood], recording: Recording, page: MeetingPage, odd: Sequence[UtteranceFigures]
) -> list[Fact]:
    utterances, seen = page.utterances, page.speakers.seen_speaking() if page.speakers else None
    value, low, high = _ends(by_speaker[0])
    facts = [Fact("Happiness of the room", "cannot be told", "too few readable faces")]
    if value is not None:
        detail = "too few utterances for an interval"
        if low is not None and high is not None:
            detail = f"95 %: {max(0, low):.0f} to {min(100, high):.0f}"
        facts = [Fact("Happiness of the room", f"{value:.0f} of 100", detail, value, low, high)]
    if page.own:
        above, least, most = _estimated(by_speaker[0].room_above)
        shown = "cannot be told" if above is None else f"{signed(above)} points"
        ends = "" if least is None or most is None else f"95 %: {signed(least)} to {signed(most)}; "
        detail = f"{ends}usual: {page.own.calibration.words}"
        facts.append(Fact("Happy above the usual face", shown, detail, above, least, most))
    return [
        *facts,
        Fact(
            "Utterances",
            f"{len(utterances):,}",
            f"by {counted(len(by_speaker) - 1, 'speaker', 'speakers')}; {page.transcript.kind}",
            len(utterances),
        ),
        Fact("Words and faces disagree", "cannot be told", "the words could not be judged")
        if page.judged.reason and utterances
        else Fact(
            "Words and faces disagree", f"{len(odd):,}", "utterance" if len(odd) == 1 else "utterances", len(odd)
        ),
        *(
            [Fact("Speaker's face in view", f"{100 * seen:.0f} %", "of the time in which they speak", seen)]
            if seen is not None
            else []
        ),
        Fact(
            "Length",
            clock(recording.seconds),
            f"{counted(recording.frames, 'frame', 'frames')} looked at"
            + (f"; from {recording.began:%d %B %Y, %H:%M:%S}" if recording.began else ""),
            recording.seconds,
        ),
    ]


def _course(recording: Recording, course: Any, odd: Sequence[UtteranceFigures]) -> Section:
    shares = course.select(EMOTIONS).to_numpy().astype(np.float64)
    width = bin_length(recording.seconds)
    marks = [
        Mark(figures.utterance.start, str(number), f"{clock(figures.utterance.start)}: {figures.utterance.text}")
        for number, figures in enumerate(odd[:40], 1)
    ]
    drawn = stacked(
        course["start"].to_numpy() + width / 2,
        shares / shares.sum(1, keepdims=True),
        recording.seconds,
        marks=marks,
    )
    text = f"Mean probability of each emotion over the readable faces, in bins of {width:g} s; blank without one."
    more = " The numbers are the utterances where words and faces disagree." if marks else ""
    return Section("The room", [Chart(drawn, text + more, legend())])


def _by_speaker(by_speaker: Sequence[Mood], names: dict[str, str], speakers: SpeakerFigures | None) -> Section:
    rows = []
    for mood in by_speaker:
        value, low, high = _ends(mood)
        row: tuple[str, ...] = (
            _called(mood, names),
            f"{mood.utterances:,}",
            clock(mood.seconds),
            "–" if value is None else f"{value:.0f}",
            "–" if low is None or high is None else f"{max(0, low):.0f} to {min(100, high):.0f}",
        )
        if speakers is not None:
            view = speakers.in_view(mood.speaker) if mood.speaker else None
            own = "–" if mood.own is None else f"{mood.own:.0f}"
            row = (*row, own, "–" if view is None else f"{100 * view:.0f} %")
        rows.append(row)
    head: tuple[str, ...] = ("who speaks", "#utterances", "#time", "#happiness of the room", "#95 % interval")
    parts: list[Part] = []
    drawn = [
        (_called(mood, names), *_drawn(mood), COLOURS["happy"]) for mood in by_speaker[:12] if mood.room is not None
    ]
    if len(drawn) > 1:
        parts.append(Chart(intervals(drawn, "")))
    parts.append(
        Table(
            (*head, "#own happiness", "#own face in view") if speakers is not None else head,
            rows[:25],
            "How the faces in view looked while each spoke, which need not be because of them.",
        )
    )
    return Section("While they spoke", parts)


def _ends(mood: Mood) -> tuple[float | None, float | None, float | None]:
    """Return the room's happiness and its interval; None where there is none."""
    return _estimated(mood.room)


def _estimated(of: Estimates | None) -> tuple[float | None, float | None, float | None]:
    if of is None:
        return None, None, None
    value, low, high = (float(end[0]) for end in (of.value, of.low, of.high))
    return value, low if math.isfinite(low) else None, high if math.isfinite(high) else None


def _above(by_speaker: Sequence[Mood], names: dict[str, str], own: OwnLevel, anonymous: int | None) -> Section:
    rows = []
    for mood in by_speaker[:25]:
        value, low, high = _estimated(mood.room_above)
        rows.append(
            (
                _called(mood, names),
                "–" if value is None else signed(value),
                "–" if low is None or high is None else f"{signed(low)} to {signed(high)}",
                "–" if mood.own_above is None else signed(mood.own_above),
            )
        )
    caption = (
        "Happy, in points above the usual face of each in view, while each spoke. The usual face is taken from "
        f"{own.calibration.words}."
    )
    parts: list[Part] = [Table(("who speaks", "#the room", "#95 % interval", "#own face"), rows, caption)]
    if own.people and not anonymous:
        parts.append(people_table(own.people, own.calibration))
    return Section("Above the usual face", parts)


def _drawn(mood: Mood) -> tuple[float, float, float]:
    value, low, high = (math.nan if end is None else end for end in _ends(mood))
    return value, low, high


def _called(mood: Mood, names: dict[str, str]) -> str:
    return "everybody" if mood.speaker is None else names.get(mood.speaker, mood.speaker)


def _disagreements(odd: Sequence[UtteranceFigures], shots: dict[float, bytes], judged: Judgement) -> Section:
    if judged.reason:
        return Section("Where words and faces disagree", [f"How pleasant the words are is not known: {judged.reason}."])
    if not odd:
        return Section(
            "Where words and faces disagree",
            ["Nowhere: no clearly pleasant words with unpleasant faces, nor the reverse."],
        )
    rows: list[tuple[str | Shares, ...]] = [
        (
            str(number),
            clock(figures.utterance.start),
            figures.utterance.speaker or "–",
            figures.utterance.text,
            "pleasant" if (figures.words or 0) > 0 else "unpleasant",
            _shares(figures.speaker if figures.speaker and figures.speaker.shares else figures.room),
        )
        for number, figures in enumerate(odd[:40], 1)
    ]
    hidden = len(odd) - len(rows)
    more = f" {hidden:,} more are in the table beside this page." if hidden > 0 else ""
    table = Table(
        ("", "#time", "speaker", "words", "which are", "faces"),
        rows,
        "Clearly pleasant words while faces look clearly unpleasant, or the reverse. "
        "Irony, quoting and concentration look the same." + more,
    )
    pictures = [
        Picture(shots[at], f"{clock(at)} · {figures.utterance.speaker or 'somebody'}", figures.utterance.text[:90])
        for figures in odd
        for at in sorted(shots)
        if figures.utterance.start - 1e-6 <= at <= figures.utterance.end + 1e-6
    ]
    return Section("Where words and faces disagree", [*([Pictures(pictures[:8])] if pictures else []), table])


def _utterances(
    recording: Recording, utterances: Sequence[UtteranceFigures], names: dict[str, str], *, mapped: bool
) -> Section:
    head: tuple[str, ...] = ("#time", "speaker", "words", "faces", "mostly")
    rows: list[tuple[str | Shares, ...]] = []
    for figures in utterances[:400]:
        of = figures.utterance
        row: tuple[str | Shares, ...] = (
            _time(recording, of.start),
            names.get(of.speaker or "", "–"),
            of.text,
            _shares(figures.room),
            most(figures.room),
        )
        rows.append((*row, most(figures.speaker)) if mapped else row)
    hidden = len(utterances) - len(rows)
    more = f"{hidden:,} more are in the table beside this page." if hidden > 0 else ""
    return Section(
        "What was said", [Chart("", legend=legend()), Table((*head, "speaker's face") if mapped else head, rows, more)]
    )


def _time(recording: Recording, at: float) -> str:
    """Return a time in a recording, with that of the day where it is known."""
    if recording.began is None:
        return clock(at)
    return f"{clock(at)} ({recording.began + timedelta(seconds=at):%H:%M:%S})"


def _shares(look: MeanExpression) -> str | Shares:
    if look.shares is None:
        return "too few faces"
    by_name = dict(zip(EMOTIONS, look.shares, strict=True))
    return Shares(tuple((emotion, COLOURS[emotion], by_name[emotion]) for emotion in SHOWN))


def _table(name: str, table: Any) -> Data:
    """Return a table with what its columns mean, of those that it has."""
    return Data(name, table, {column: COLUMNS[name][column] for column in table.columns or COLUMNS[name]})


def _speaker_table(by_speaker: Sequence[Mood], names: dict[str, str], page: MeetingPage) -> Any:
    import polars as pl

    speakers = page.speakers
    screen = {} if speakers is None else {row[0]: row[1:] for row in speakers.screen.iter_rows()}
    rows = [
        (
            names.get(mood.speaker or "", mood.speaker),
            mood.utterances,
            round(mood.seconds, 3),
            *_ends(mood),
            mood.own,
            speakers.in_view(mood.speaker) if speakers and mood.speaker else None,
            *screen.get(mood.speaker or "", (None, None)),
            *(*_estimated(mood.room_above), mood.own_above),
        )
        for mood in by_speaker
    ]
    kinds = [pl.String, pl.Int64, *[pl.Float64] * 12]
    table = pl.DataFrame(rows, schema=dict(zip(COLUMNS["speakers"], kinds, strict=True)), orient="row")
    return table if page.own else table.drop(name for name in table.columns if "above" in name)


def _definitions(judged: Judgement) -> list[tuple[str, str]]:
    room = (
        "100 x the mean probability of `happy` over all readable faces during the utterances: in the table "
        "`utterances` "
        "the sum of `happy` x `faces` over the sum of `faces`, of rows with a `happy`."
    )
    interval = (
        "If other utterances like these had been made: they are drawn with replacement 4,000 times (studentized "
        "bootstrap). It says nothing of the model's own errors."
    )
    disagreement = (
        "Words are clearly pleasant or unpleasant, and the valence of the faces (`happy` less `angry`, `disgust`, "
        "`fear` "
        f"and `sad`) is clearly the opposite: at least {CLEAR_FACES} on the other side of 0, and further than its "
        f"median "
        "over the meeting's utterances. Where the speaker's face is known, that face is taken."
    )
    return [
        ("Happiness of the room", room),
        ("95 % interval", interval),
        (
            "Pleasant words",
            (
                "VADER's compound score"
                if judged.by in ("", "VADER")
                else f"The sum s of 4 x the weights in {judged.by}, as s / sqrt(s² + 15),"
            )
            + f" of at least {CLEAR_WORDS}; unpleasant: at most -{CLEAR_WORDS}.",
        ),
        ("Disagreement", disagreement),
    ]
