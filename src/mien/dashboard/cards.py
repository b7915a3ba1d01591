"""The parts of the page as HTML: figures, shares, sources with the faces in view.

Answers of `queries` go in, strings of HTML come out. Whatever did not arise here is escaped.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, tzinfo
from html import escape
from typing import Any

from mien.dashboard.charts import SHOWN
from mien.dashboard.queries import SourceState
from mien.dashboard.wording import amount, counted, moment
from mien.observation import EMOTIONS, Face, Observation
from mien.stores.base import Summary
from mien.vision.colours import COLOURS

__all__ = [
    "figures",
    "in_words",
    "none",
    "palette",
    "people",
    "share_list",
    "source_foot",
    "source_head",
    "stage",
    "status",
    "text",
]

SHOWN_FACES = 8
"""So many faces of a source are listed one by one."""


def palette() -> str:
    """Return the emotions' colours as CSS variables."""
    return ":root{" + "".join(f"--{emotion}:{color};" for emotion, color in COLOURS.items()) + "}"


def figures(total: Summary, states: Sequence[SourceState]) -> dict[str, tuple[str, str]]:
    """Return the four figures above the chart: by title, the value with its unit and a note.

    Args:
        total: The sum over the period.
        states: The sources chosen.
    """
    faces = sum(len(state.newest.faces) for state in states if state.newest)
    online = sum(state.online for state in states)
    happiness = total.happiness
    top = max(EMOTIONS, key=lambda emotion: total.sums[EMOTIONS.index(emotion)]) if total.faces else None
    share = 100 * max(total.sums) / total.faces if total.faces else 0.0
    frames = counted(total.frames, "frame", "frames")
    return {
        "Faces in view": (
            _value(amount(faces), "face" if faces == 1 else "faces"),
            f"now · {online} of {counted(len(states), 'source', 'sources')} online",
        ),
        "Happiness index": (_value("–" if happiness is None else f"{happiness:.0f}", "of 100"), _meter(happiness)),
        "Most shown": (
            _value(top.capitalize() if top else "–", f"{share:.0f}\u202f%" if top else ""),
            f"{_dot(top)}mean over all faces" if top else "no face in this period",
        ),
        "Analysed": (
            _value(amount(total.faces), "face" if total.faces == 1 else "faces"),
            f"in {frames} · {total.faces / total.frames:.2f} a frame" if total.frames else "no frame in this period",
        ),
    }


def share_list(total: Summary) -> str:
    """Return the share of each emotion as a list of bars."""
    rows = []
    for emotion in SHOWN:
        index = EMOTIONS.index(emotion)
        share = 100 * total.sums[index] / total.faces if total.faces else 0.0
        rows.append(
            f'<li>{_dot(emotion)}<span class="name">{emotion.capitalize()}</span>'
            f'<span class="value">{share:.1f}\u202f%</span>'
            f'<span class="count">{amount(total.counts[index])} named</span>'
            f'<span class="track" aria-hidden="true"><i style="width:{share:.2f}%;background:var(--{emotion})"></i>'
            "</span></li>"
        )
    left = f"{counted(total.abstained, 'face', 'faces')} too unclear to name" if total.abstained else ""
    return f'<ul class="shares">{"".join(rows)}</ul><p class="fine">{left}</p>'


def source_head(state: SourceState, zone: tzinfo, now: datetime) -> str:
    """Return a source's name and its availability."""
    word = "Online" if state.online else "Offline"
    since = f" since {moment(state.since, zone, now)}" if state.since else ""
    return (
        f'<h3 title="{escape(state.source)}">{escape(state.source)}</h3>'
        f'<span class="state {word.lower()}"><i aria-hidden="true"></i>{word}{since}</span>'
    )


def source_foot(state: SourceState, zone: tzinfo, now: datetime) -> str:
    """Return a source's speed, delay and size, or when it was last seen."""
    if not state.online:
        return f"<span>Last seen {moment(state.last, zone, now)}</span>" if state.last else "<span>Never seen</span>"
    stats, parts = state.stats, []
    if stats and stats.fps is not None:
        parts.append(f"{stats.fps:.1f} frames/s")
    if stats and stats.delay_ms and stats.delay_ms.p50 is not None:
        parts.append(f"{stats.delay_ms.p50:.0f} ms delay")
    if stats and stats.dropped:
        parts.append(f"{amount(stats.dropped)} dropped")
    if state.newest:
        parts.append(f"{state.newest.width} × {state.newest.height} px")
    return "".join(f"<span>{part}</span>" for part in parts) or "<span>Waiting for a frame</span>"


def people(state: SourceState) -> str:
    """Return the faces in view of a source, one a row, with the share of each emotion."""
    if not state.newest:
        return '<p class="nobody">Nothing to see while it is offline</p>' if not state.online else ""
    faces = state.newest.faces
    if not faces:
        return '<p class="nobody">No face in view</p>'
    rows = "".join(_person(face) for face in _largest(faces)[:SHOWN_FACES])
    more = len(faces) - SHOWN_FACES
    rest = f'<p class="fine">and {counted(more, "face", "faces")} more</p>' if more > 0 else ""
    return f'<ul class="people">{rows}</ul>{rest}'


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
                "key": f"{face.track}" if face.track is not None else f"n{number}",
                "box": [round(100 * part / whole, 2) for part, whole in zip(face.box, sides, strict=True)],
                "emotion": face.emotion or "unclear",
                "label": _label(face),
            }
            for number, face in enumerate(_largest(observation.faces)[:40])
        ],
    }


def status(kind: str, words: str, reason: str = "") -> str:
    """Return the word on the connection in the page's head; kind: live, calm or away."""
    return f'<span class="{kind}" title="{text(reason)}"><i aria-hidden="true"></i>{text(words)}</span>'


def none(states: Sequence[SourceState], zone: tzinfo, now: datetime) -> str:
    """Return what stands in the chart's place in a period without a frame."""
    last = max((state.last for state in states if state.last), default=None)
    seen = f"The newest is of {moment(last, zone, now)}: choose a longer period." if last else "Nothing has come yet."
    return f"<p><b>No frame in this period</b><br>{seen}</p>"


def in_words(total: Summary, period: str) -> str:
    """Return the chart's content as a sentence, for those who do not see it."""
    if not total.faces:
        return f"Emotions over time, {period}: no face"
    parts = ", ".join(f"{emotion} {100 * total.sums[EMOTIONS.index(emotion)] / total.faces:.0f} %" for emotion in SHOWN)
    return f"Emotions over time, {period}. On average {parts}"


def text(words: str) -> str:
    """Return words as HTML shows them literally."""
    return escape(words, quote=True)


def _largest(faces: list[Face]) -> list[Face]:
    order = sorted(faces, key=lambda face: face.box[2] * face.box[3], reverse=True)
    return sorted(order[:SHOWN_FACES], key=lambda face: face.track or 0) + order[SHOWN_FACES:]


def _person(face: Face) -> str:
    name = "Face" if face.track is None else f"Face {face.track}"
    bars = "".join(
        f'<i style="flex-grow:{getattr(face.probabilities, emotion):.3f};background:var(--{emotion})"></i>'
        for emotion in SHOWN
    )
    return (
        f'<li><span class="who">{name}</span><span class="mix" aria-hidden="true">{bars}</span>'
        f'<span class="what">{_label(face)}</span></li>'
    )


def _label(face: Face) -> str:
    if face.emotion is None:
        return "Unclear"
    return f"{face.emotion.capitalize()} {100 * getattr(face.probabilities, face.emotion):.0f}\u202f%"


def _value(number: str, unit: str) -> str:
    return f"{number}<small>{unit}</small>"


def _meter(happiness: float | None) -> str:
    if happiness is None:
        return "no face in this period"
    bar = f'<i style="width:{happiness:.1f}%;background:var(--happy)"></i>'
    return f'<span class="track meter" aria-hidden="true">{bar}</span>'


def _dot(emotion: str | None) -> str:
    return f'<i class="dot" aria-hidden="true" style="background:var(--{emotion})"></i>'
