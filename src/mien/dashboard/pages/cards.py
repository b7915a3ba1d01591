"""Figures and sources as HTML: what stands in the cards of the pages.

Answers of `queries` go in, HTML comes out of the macros of `templates/parts/cards.html`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, tzinfo
from typing import Any, NamedTuple

from mien.dashboard.data.queries import SourceState
from mien.dashboard.pages.charts import SHOWN
from mien.dashboard.pages.wording import amount, counted, moment
from mien.dashboard.rendering import part
from mien.dashboard.security.roles import Role
from mien.mqtt.messages import Stats
from mien.observation import Emotion, Face, Observation
from mien.stores.base import Sums
from mien.words import signed as plainly_signed

__all__ = [
    "figures",
    "headline",
    "in_words",
    "none",
    "people",
    "preview",
    "rate",
    "share_list",
    "sight",
    "signed",
    "source_card",
    "source_foot",
    "source_head",
    "source_now",
    "stage",
    "status",
    "strongest",
]

FEW_FACES = 8
"""So many faces at most have a number and a label on their boxes, and a bar in the list."""

FACES = {"blurred": "blurred", "plain": "visible"}
"""What is said of the faces in previews of each kind."""

STARTING_S = 10.0
"""So long a source that has analysed nothing yet is only starting, in seconds."""

LISTED_FACES, DRAWN_FACES = 60, 120
"""So many faces of a source are listed one by one, and drawn."""


class Card(NamedTuple):
    """A figure with what it is and what is said of it.

    Attributes:
        title: What it is.
        number: The figure.
        unit: Its unit.
        note: What is said of it.
        emotion: Whose dot stands before the note.
        percent: How full the bar is that stands in the note's place; None: there is none.
    """

    title: str
    number: str
    unit: str
    note: str
    emotion: Emotion | None = None
    percent: float | None = None


class EmotionShare(NamedTuple):
    """An emotion's share of a period: in percent, with a word on it, and that of the period compared with."""

    emotion: Emotion
    percent: float
    detail: str
    other: float | None
    faint: bool


class FaceInView(NamedTuple):
    """A face in view: its key among those of its source, its number, what it shows, and the share of each emotion."""

    key: str
    number: str
    emotion: str
    label: str
    shares: list[tuple[Emotion, float]]


def strongest(total: Sums) -> tuple[Emotion, float] | None:
    """Return the emotion with the highest mean probability, and that in percent; None without a face."""
    emotion = total.strongest
    return (emotion, total.share(emotion) or 0.0) if emotion else None


def headline(states: Sequence[SourceState], minute: Sums) -> str:
    """Return what is so right now, over all sources shown.

    Args:
        states: The sources.
        minute: The sum over their last minute.
    """
    faces = sum(len(state.newest.faces) for state in states if state.newest)
    online = sum(state.online for state in states)
    return part(
        "cards.figures",
        [
            Card("Faces in view", amount(faces), "face" if faces == 1 else "faces", "now"),
            _top(minute, "in the last minute", "no face in the last minute"),
            _index(minute, "no face in the last minute"),
            Card("Sources", f"{online}", f"of {len(states)} online", _delays(states)),
        ],
    )


def figures(total: Sums, other: Sums | None) -> str:
    """Return the figures of a period.

    Args:
        total: The sum over it.
        other: What it is compared with.
    """
    frames = counted(total.frames, "frame", "frames")
    mean = total.faces / total.frames if total.frames else None
    before = other.faces / other.frames if other and other.frames else None
    most = _top(total, "mean over all faces", "no face in this period")
    index = _index(total, "no face in this period")
    if other and (rival := strongest(other)):
        most = most._replace(emotion=rival[0], note=f"against {rival[0].capitalize()} {rival[1]:.0f}\u202f%")
    if change := _change(total.happiness, other.happiness if other else None, "{:.0f}", "point", "points"):
        index = index._replace(note=change, percent=None)
    analysed = (
        (f"against {counted(other.faces, 'face', 'faces')}" if other else "")
        or (f"in {frames}" if total.frames else "no frame in this period")
    )  # fmt: skip
    return part(
        "cards.figures",
        [
            index,
            most,
            Card("Faces in view", "–" if mean is None else f"{mean:.2f}", "a frame",
                 _change(mean, before, "{:.2f}", "a frame", "a frame") or "on average"),
            Card("Analysed", amount(total.faces), "face" if total.faces == 1 else "faces", analysed),
        ],
    )  # fmt: skip


def share_list(total: Sums, other: Sums | None = None, emotions: Sequence[Emotion] = ()) -> str:
    """Return the share of each emotion as a list of bars.

    Args:
        total: The sum over the period.
        other: What it is compared with: a second bar for each.
        emotions: Those chosen; empty: all.
    """
    rows = []
    for emotion in SHOWN:
        share = total.share(emotion) or 0.0
        count, rival = f"{amount(total.counts[emotion])} named", None
        if other is not None:
            rival = other.share(emotion) or 0.0
            count = f"{signed(share - rival)} points" if total.faces and other.faces else "nothing to compare"
        rows.append(EmotionShare(emotion, share, count, rival, bool(emotions) and emotion not in emotions))
    unclear = f"{counted(total.unclear, 'face', 'faces')} too unclear to name" if total.unclear else ""
    return part("cards.share_list", rows, unclear)


def source_card(name: str) -> str:
    """Return the frame of a source's card; its parts come by their ids."""
    return part("cards.source_card", name)


def source_head(state: SourceState, zone: tzinfo, now: datetime) -> str:
    """Return a source's name and its availability."""
    since = moment(state.since, zone, now) if state.since else ""
    return part("cards.source_head", state.source, "Online" if state.online else "Offline", since)


def source_now(state: SourceState) -> str:
    """Return the emotion that the faces in view show most, and how many they are."""
    if not state.newest:
        return part("cards.source_now", "Waiting for a frame" if state.online else "Offline", None, "", "")
    faces = state.newest.faces
    many = counted(len(faces), "face", "faces")
    if not faces:
        return part("cards.source_now", "No face in view", None, "", many)
    if len(faces) == 1:
        words = (faces[0].emotion or "unclear").capitalize()
        return part("cards.source_now", words, faces[0].emotion, _percent(faces[0]), many)
    total = Sums()
    total.count(state.newest)
    top = strongest(total)
    if top is None or total.unclear == total.faces:
        return part("cards.source_now", "Unclear", None, "", many)
    emotion, percent = top
    return part("cards.source_now", emotion.capitalize(), emotion, f"{percent:.0f}", many)


def source_foot(state: SourceState, zone: tzinfo, now: datetime) -> str:
    """Return a source's speed, delay and size, or when it was last seen."""
    if not state.online:
        return part("cards.words", [f"Last seen {moment(state.last, zone, now)}" if state.last else "Never seen"])
    stats, words = state.stats, []
    if stats:
        words.append(f"{rate(stats)} frames/s")
    if stats and stats.delay_ms and stats.delay_ms.p50 is not None:
        words.append(f"{stats.delay_ms.p50:.0f} ms delay")
    if stats and stats.dropped:
        words.append(f"{amount(stats.dropped)} dropped")
    if state.newest:
        words.append(f"{state.newest.width} × {state.newest.height} px")
    return part("cards.words", words or ["Waiting for a frame"])


def people(state: SourceState) -> str:
    """Return the faces in view of a source, one a row, with the share of each emotion."""
    if not state.newest or not state.newest.faces:
        return ""
    faces = state.newest.faces
    more = len(faces) - LISTED_FACES
    rows = [_person(numbered) for numbered in _largest(faces, LISTED_FACES)]
    return part(
        "cards.people", state.source, rows, len(faces) <= FEW_FACES, counted(more, "face", "faces") if more > 0 else ""
    )


def stage(observation: Observation | None) -> dict[str, Any] | None:
    """Return where the faces stand in the frame, in percent of it, for the drawing that replaces the picture."""
    if observation is None:
        return None
    width, height = observation.width, observation.height
    sides = (width, height, width, height)
    return {
        "ratio": round(min(max(width / height, 0.6), 2.4), 4),
        "faces": [
            {
                "key": key,
                "number": number,
                "box": [round(100 * part / whole, 2) for part, whole in zip(face.box, sides, strict=True)],
                "emotion": face.emotion or "unclear",
                "label": _label(face),
            }
            for key, number, face in _largest(observation.faces, DRAWN_FACES)
        ],
    }


def preview(state: SourceState) -> dict[str, Any] | None:
    """Return the number of a source's newest picture and what is said of it; None where there is none to show."""
    if state.picture is None:
        return None
    return {"number": state.picture.number, "words": f"Preview, faces {FACES[state.picture.kind]}"}


def sight(state: SourceState, zone: tzinfo, now: datetime, role: Role) -> str:
    """Return what is said of a source's pictures, and for admins what can be asked for as far as the source allows."""
    kind = state.stats.preview if state.online and state.stats else None
    if kind is None:
        return ""
    until = state.remote.preview_until if state.remote else None
    if kind in FACES:
        words = f"Preview, faces {FACES[kind]}"
        ends = f", until {moment(until, zone, now)}" if until else ""
        return part("cards.sight", state.source, words + ends, "off" if until and role == "admin" else "")
    allowed = state.remote.remote_preview if state.remote else ""
    asked = allowed if allowed in FACES and role == "admin" else ""
    return part("cards.sight", state.source, "No picture leaves the camera", asked)


def status(kind: str, words: str, reason: str = "") -> str:
    """Return the word on the connection in the page's head; kind: live, calm or away."""
    return part("cards.status", kind, words, reason)


def none(states: Sequence[SourceState], zone: tzinfo, now: datetime) -> str:
    """Return what stands in the chart's place in a period without a frame."""
    last = max((state.last for state in states if state.last), default=None)
    seen = f"The newest is of {moment(last, zone, now)}: choose another period." if last else "Nothing has come yet."
    return part("cards.no_frame", seen)


def in_words(total: Sums, period: str) -> str:
    """Return the chart's content as a sentence, for those who do not see it."""
    if not total.faces:
        return f"Emotions over time, {period}: no face"
    parts = ", ".join(f"{emotion} {total.share(emotion):.0f} %" for emotion in SHOWN)
    return f"Emotions over time, {period}. On average {parts}"


def signed(change: float, form: str = "+.1f") -> str:
    """Return a change with its sign, as the page writes it; what rounds to nothing has none."""
    return plainly_signed(change, form).replace("-", "−")


def rate(stats: Stats) -> str:
    """Return how many frames a source says to analyse a second; a dash in the first seconds, when none were counted."""
    starting = not stats.fps and stats.uptime_s is not None and stats.uptime_s < STARTING_S
    return "–" if stats.fps is None or starting else f"{stats.fps:.1f}"


class Numbered(NamedTuple):
    """A face with its key, which no other of its source has at this moment, and the number that people see."""

    key: str
    number: str
    face: Face


def _largest(faces: list[Face], most: int) -> list[Numbered]:
    """Return the largest faces by their numbers: their tracks', or else their places in the frame."""
    order = sorted(enumerate(faces), key=lambda item: item[1].box[2] * item[1].box[3], reverse=True)[:most]
    order.sort(key=lambda item: (item[1].track is None, item[1].track or item[0]))
    tracks = [face.track for _, face in order]
    return [
        Numbered(f"n{index}", f"{index + 1 if face.track is None else face.track}", face)
        if face.track is None or tracks.count(face.track) > 1
        else Numbered(f"{face.track}", f"{face.track}", face)
        for index, face in order
    ]


def _person(numbered: Numbered) -> FaceInView:
    key, number, face = numbered
    shares = [(emotion, getattr(face.probabilities, emotion)) for emotion in SHOWN]
    return FaceInView(key, number, face.emotion or "unclear", _label(face), shares)


def _label(face: Face) -> str:
    return f"{face.emotion.capitalize()} {_percent(face)}\u202f%" if face.emotion else "Unclear"


def _percent(face: Face) -> str:
    return f"{100 * getattr(face.probabilities, face.emotion):.0f}" if face.emotion else ""


def _top(total: Sums, note: str, otherwise: str) -> Card:
    """Return the emotion that is shown most."""
    top = strongest(total)
    if top is None:
        return Card("Most shown", "–", "", otherwise)
    return Card("Most shown", top[0].capitalize(), f"{top[1]:.0f}\u202f%", note, emotion=top[0])


def _index(total: Sums, otherwise: str) -> Card:
    """Return the happiness index."""
    value = total.happiness
    number = "–" if value is None else f"{value:.0f}"
    return Card("Happiness index", number, "of 100", otherwise, percent=value)


def _change(value: float | None, other: float | None, form: str, singular: str, many: str) -> str:
    if value is None or other is None:
        return ""
    shown, against = form.format(value), form.format(other)
    if shown == against:
        return f"the same: {against}"
    change = form.format(abs(float(shown) - float(against)))  # of what is shown, so that the three agree
    return f"{'▲' if value > other else '▼'} {change} {singular if float(change) == 1 else many} against {against}"


def _delays(states: Sequence[SourceState]) -> str:
    waits = [state.stats.delay_ms.p99 for state in states if state.online and state.stats and state.stats.delay_ms]
    known = [wait for wait in waits if wait is not None]
    return f"at most {max(known):,.0f} ms behind (p99)" if known else "their delay is not known"
