"""Figures and sources as HTML: what stands in the cards of the pages.

Answers of `queries` go in, strings of HTML come out. Whatever did not arise here is escaped.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, tzinfo
from html import escape
from typing import Any

from mien.charts.palette import COLOURS
from mien.dashboard.data.listener import Picture
from mien.dashboard.data.queries import SourceState
from mien.dashboard.pages.charts import SHOWN
from mien.dashboard.pages.wording import amount, counted, moment
from mien.observation import Emotion, Face, Observation
from mien.stores.base import Sums

__all__ = [
    "dot",
    "figures",
    "headline",
    "in_words",
    "none",
    "palette",
    "people",
    "preview",
    "share_list",
    "signed",
    "source_card",
    "source_foot",
    "source_head",
    "source_now",
    "stage",
    "status",
    "strongest",
    "text",
]

SHOWN_FACES = 8
"""So many faces of a source are listed one by one."""

PREVIEW_S = 8.0
"""An older preview is not shown: a little shorter than it is kept, so that who is told of one also gets it."""

WHY = '<button class="why" type="button" popovertarget="definition" aria-label="What is this index?">?</button>'


def palette() -> str:
    """Return the emotions' colours as CSS variables."""
    return ":root{" + "".join(f"--{emotion}:{color};" for emotion, color in COLOURS.items()) + "}"


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
    top, happiness = strongest(minute), minute.happiness
    return "".join(
        (
            _figure("Faces in view", amount(faces), "face" if faces == 1 else "faces", "now"),
            _figure(
                "Most shown", *((top[0].capitalize(), f"{top[1]:.0f}\u202f%") if top else ("–", "")),
                f"{dot(top[0])}in the last minute" if top else "no face in the last minute",
            ),
            _figure("Happiness index", "–" if happiness is None else f"{happiness:.0f}", "of 100",
                    _meter(happiness, "no face in the last minute"), WHY),
            _figure("Sources", f"{online}", f"of {len(states)} online", _delays(states)),
        )
    )  # fmt: skip


def figures(total: Sums, other: Sums | None) -> str:
    """Return the figures of a period.

    Args:
        total: The sum over it.
        other: What it is compared with.
    """
    top, happiness = strongest(total), total.happiness
    frames = counted(total.frames, "frame", "frames")
    mean = total.faces / total.frames if total.frames else None
    before = other.faces / other.frames if other and other.frames else None
    return "".join(
        (
            _figure("Happiness index", "–" if happiness is None else f"{happiness:.0f}", "of 100",
                    _change(happiness, other.happiness if other else None, "{:.0f}", "points")
                    or _meter(happiness, "no face in this period"), WHY),
            _figure(
                "Most shown", *((top[0].capitalize(), f"{top[1]:.0f}\u202f%") if top else ("–", "")),
                _rival_top(other) or (f"{dot(top[0])}mean over all faces" if top else "no face in this period"),
            ),
            _figure("Faces in view", "–" if mean is None else f"{mean:.2f}", "a frame",
                    _change(mean, before, "{:.2f}", "a frame") or "on average"),
            _figure("Analysed", amount(total.faces), "face" if total.faces == 1 else "faces",
                    (f"against {counted(other.faces, 'face', 'faces')}" if other else "")
                    or (f"in {frames}" if total.frames else "no frame in this period")),
        )
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
        count = f"{amount(total.counts[emotion])} named"
        second = ""
        if other is not None:
            rival = other.share(emotion) or 0.0
            count = f"{signed(share - rival)} points" if total.faces and other.faces else "nothing to compare"
            second = _bar(emotion, rival, "track thin")
        faint = "" if not emotions or emotion in emotions else ' class="faint"'
        rows.append(
            f'<li{faint}>{dot(emotion)}<span class="name">{emotion.capitalize()}</span>'
            f'<span class="value">{share:.1f}\u202f%</span><span class="count">{count}</span>'
            f"{_bar(emotion, share, 'track')}{second}</li>"
        )
    left = f"{counted(total.unclear, 'face', 'faces')} too unclear to name" if total.unclear else ""
    return f'<ul class="shares">{"".join(rows)}</ul><p class="fine">{left}</p>'


def source_card(name: str) -> str:
    """Return the frame of a source's card; its parts come by their ids."""
    return (
        f'<article class="card source" id="source-{name}" data-own><header id="head-{name}"></header>'
        f'<div class="stage" data-stage="{name}"></div>'
        f'<div class="now" id="now-{name}"></div>'
        f'<figure class="stream"><svg data-stream="{name}" viewBox="0 0 600 100" preserveAspectRatio="none" '
        f'role="img" aria-label="Emotions in the last minute"></svg>'
        f"<figcaption><span>60 s ago</span><span>now</span></figcaption></figure>"
        f'<div class="faces" id="people-{name}"></div><footer id="foot-{name}"></footer></article>'
    )


def source_head(state: SourceState, zone: tzinfo, now: datetime) -> str:
    """Return a source's name and its availability."""
    word = "Online" if state.online else "Offline"
    since = f" since {moment(state.since, zone, now)}" if state.since else ""
    name = escape(state.source)
    return (
        f'<h2 title="{name}"><a href="/history?source={name}">{name}</a></h2>'
        f'<span class="state {word.lower()}"><i aria-hidden="true"></i>{word}{since}</span>'
    )


def source_now(state: SourceState) -> str:
    """Return the emotion that the faces in view show most, and how many they are."""
    if not state.newest:
        words = "Waiting for a frame" if state.online else "Offline"
        return f'<p class="most none">{words}</p>'
    faces = state.newest.faces
    if not faces:
        return '<p class="most none">No face in view</p><p class="many">0 faces</p>'
    total = Sums()
    total.count(state.newest)
    top = strongest(total)
    if top is None or total.unclear == total.faces:
        most = '<p class="most none">Unclear</p>'
    else:
        most = f'<p class="most">{dot(top[0])}{top[0].capitalize()} <small>{top[1]:.0f}\u202f%</small></p>'
    return f'{most}<p class="many">{counted(len(faces), "face", "faces")}</p>'


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
    if not state.newest or not state.newest.faces:
        return ""
    faces = state.newest.faces
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


def preview(state: SourceState, picture: Picture | None) -> dict[str, Any] | None:
    """Return the number of a source's newest picture and what is said of it; None where there is none to show."""
    if picture is None or picture.age_s > PREVIEW_S or not state.online:
        return None
    faces = "blurred" if picture.kind == "blurred" else "visible"
    return {"number": picture.number, "words": f"Preview, faces {faces}"}


def status(kind: str, words: str, reason: str = "") -> str:
    """Return the word on the connection in the page's head; kind: live, calm or away."""
    return f'<span class="{kind}" title="{text(reason)}"><i aria-hidden="true"></i>{text(words)}</span>'


def none(states: Sequence[SourceState], zone: tzinfo, now: datetime) -> str:
    """Return what stands in the chart's place in a period without a frame."""
    last = max((state.last for state in states if state.last), default=None)
    seen = f"The newest is of {moment(last, zone, now)}: choose another period." if last else "Nothing has come yet."
    return f"<p><b>No frame in this period</b><br>{seen}</p>"


def in_words(total: Sums, period: str) -> str:
    """Return the chart's content as a sentence, for those who do not see it."""
    if not total.faces:
        return f"Emotions over time, {period}: no face"
    parts = ", ".join(f"{emotion} {total.share(emotion):.0f} %" for emotion in SHOWN)
    return f"Emotions over time, {period}. On average {parts}"


def text(words: str) -> str:
    """Return words as HTML shows them literally."""
    return escape(words, quote=True)


def dot(emotion: str) -> str:
    """Return a dot in an emotion's colour."""
    return f'<i class="dot" aria-hidden="true" style="background:var(--{emotion})"></i>'


def signed(change: float, form: str = "{:+.1f}") -> str:
    """Return a change with its sign; what rounds to nothing has none."""
    said = form.format(change).replace("-", "−")
    return said if any(digit in said for digit in "123456789") else said[1:]


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


def _figure(title: str, number: str, unit: str, note: str, why: str = "") -> str:
    return (
        f'<section class="card figure"><h2>{title}</h2>{why}<p class="big">{number} <small>{unit}</small></p>'
        f'<div class="note">{note}</div></section>'
    )


def _meter(happiness: float | None, otherwise: str) -> str:
    return otherwise if happiness is None else _bar("happy", happiness, "track meter")


def _bar(emotion: Emotion, percent: float, classes: str) -> str:
    return (
        f'<span class="{classes}" aria-hidden="true"><i style="width:{percent:.2f}%;background:var(--{emotion})"></i>'
        "</span>"
    )


def _change(value: float | None, other: float | None, form: str, unit: str) -> str:
    if value is None or other is None:
        return ""
    shown, against = form.format(value), form.format(other)
    if shown == against:
        return f"the same: {against}"
    change = form.format(abs(float(shown) - float(against)))  # of what is shown, so that the three agree
    return f"{'▲' if value > other else '▼'} {change} {unit} against {against}"


def _rival_top(other: Sums | None) -> str:
    top = strongest(other) if other else None
    return f"{dot(top[0])}against {top[0].capitalize()} {top[1]:.0f}\u202f%" if top else ""


def _delays(states: Sequence[SourceState]) -> str:
    waits = [state.stats.delay_ms.p99 for state in states if state.online and state.stats and state.stats.delay_ms]
    known = [wait for wait in waits if wait is not None]
    return f"at most {max(known):,.0f} ms behind (p99)" if known else "their delay is not known"
