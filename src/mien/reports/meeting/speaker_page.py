"""The parts of a meeting's page that name speakers: who is where, what each showed, and who reacts to whom."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from mien.charts.palette import COLOURS
from mien.charts.plan import plan
from mien.charts.svg import SHOWN, clock, legend
from mien.observation import EMOTIONS
from mien.reports.base.parts import Chart, Part, Section, Shares, Table
from mien.reports.base.recordings import Recording
from mien.reports.meeting.names.places import NamedPlace
from mien.reports.meeting.speakers import AFTER_S, SpeakerFigures
from mien.words import counted, signed

__all__ = ["COLUMNS", "NAMES_NOTICE", "definitions", "layout_time", "speaker_sections"]

SHOWN_LAYOUTS, SHOWN_SPEAKERS, SHOWN_REACTIONS = 3, 49, 40

NAMES_NOTICE = (
    "This page ties names to faces, which makes people identifiable: what it shows is personal data of each of them, "
    "and whoever is named may ask to see it and to have it deleted. Mien recognises nobody: the names come from the "
    "picture's name tags, from a file or from the transcript, and can be wrong."
)

COLUMNS: dict[str, dict[str, str]] = {
    "states": {
        "speaker": "who",
        "state": "`speaking`, or `listening`: somebody else speaks",
        "looked": "the time that frames meanwhile stand for, in seconds",
        "seconds": "of it, with the own face in view and readable",
        "in_view": "the share that this is",
        **{emotion: f"mean probability of {emotion} of the own face; empty under 2 seconds" for emotion in EMOTIONS},
    },
    "reactions": {
        "listener": "whose face",
        "speaker": "after whose turns",
        "turns": "turns after which the listener was silent and in view",
        "seconds": "so long together",
        "reaction": f"100 x (mean probability of happy in the {AFTER_S:g} seconds after the turns, less that in all "
        "the time in which the listener is silent)",
        "low": "the lower end of what chance gives in 95 %: the turns shifted along the recording",
        "high": "the upper end",
    },
    "courses": {
        "speaker": "who",
        "start": "where the bin of half a second begins, in seconds",
        "looked": "the time that its frames stand for",
        "seconds": "of it, with the own face in view and readable",
        "speaks": "whether the speaker speaks in its middle",
        "listens": "whether somebody else does, and the speaker does not",
        **{emotion: f"mean probability of {emotion} of the own face" for emotion in EMOTIONS},
    },
}


def layout_time(places: Sequence[NamedPlace], seconds: float) -> float | None:
    """Return a moment in the layout that lasts longest, in seconds; None where there is no place."""
    phases = _phases(places, seconds)
    if not phases:
        return None
    start, end, _ = max(phases, key=lambda phase: phase[1] - phase[0])
    return (start + end) / 2


def speaker_sections(
    recording: Recording, figures: SpeakerFigures, places: Sequence[NamedPlace], frame: tuple[float, bytes] | None
) -> list[Section]:
    """Return the sections on speakers.

    Args:
        recording: The meeting's.
        figures: What each speaker showed.
        places: Where they are to be seen.
        frame: A picture of the recording, with its time in seconds.
    """
    sections = [_layout(recording, places, frame)] if places else []
    return [*sections, _states(figures), _reactions(figures)]


def _phases(places: Sequence[NamedPlace], seconds: float) -> list[tuple[float, float, list[NamedPlace]]]:
    """Return from when until when which places hold, in order of time; those that look alike are one."""
    edges = {0.0, seconds} | {min(max(0.0, edge), seconds) for place in places for edge in (place.start, place.end)}
    phases: list[tuple[float, float, list[NamedPlace]]] = []
    for start, end in pairwise(sorted(edges)):
        here = [place for place in places if place.start <= start and place.end >= end]
        if not here:
            continue
        if phases and phases[-1][1] == start and _drawn(phases[-1][2]) == _drawn(here):
            phases[-1] = phases[-1][0], end, here
        else:
            phases.append((start, end, here))
    return phases


def _drawn(places: Sequence[NamedPlace]) -> list[tuple[str, float, float, float, float]]:
    tiles = [(place.speaker, *(round(edge, 2) for edge in _edges(place))) for place in places]
    return sorted(tiles)  # type: ignore[arg-type]


def _edges(place: NamedPlace) -> tuple[float, float, float, float]:
    return place.x, place.y, place.width, place.height


def _layout(recording: Recording, places: Sequence[NamedPlace], frame: tuple[float, bytes] | None) -> Section:
    sizes = recording.faces.select("frame_width", "frame_height").drop_nulls().row(0)
    phases = _phases(places, recording.seconds)
    longest = sorted(phases, key=lambda phase: phase[0] - phase[1])[:SHOWN_LAYOUTS]
    parts: list[Part] = []
    for start, end, here in sorted(longest, key=lambda phase: phase[0]):
        surest = min(place.certainty for place in here)
        ways = ", ".join(sorted({place.found_by for place in here}))
        picture = frame[1] if frame and start <= frame[0] <= end else None
        drawn = plan([(place.speaker, *_edges(place)) for place in here], sizes[0] / sizes[1], picture)
        behind = f", on the picture at {clock(frame[0])}" if frame and picture else ""
        caption = (
            f"From {clock(start)} to {clock(end)}{behind}; found by {ways}, the least sure place {100 * surest:.0f} %."
        )
        parts.append(Chart(drawn, caption))
    hidden = len(phases) - len(longest)
    more = f" {counted(hidden, 'other layout', 'other layouts')} lasted less long." if hidden > 0 else ""
    parts.append(
        "Names beside this page (`.names.csv`) can be corrected and given back with --speakers. Where a name is wrong, "
        f"so is everything below that is told of it.{more}"
    )
    return Section("Who is where", parts)


def _states(figures: SpeakerFigures) -> Section:
    rows: list[tuple[str | Shares, ...]] = []
    screen = {row["speaker"]: row for row in figures.screen.iter_rows(named=True)}
    by_state = {(row["speaker"], row["state"]): row for row in figures.states.iter_rows(named=True)}
    for name, row in list(screen.items())[:SHOWN_SPEAKERS]:
        speaking, listening = by_state[name, "speaking"], by_state[name, "listening"]
        rows.append(
            (
                name,
                _percent(speaking["in_view"]),
                clock(row["screen_seconds"]),
                _percent(row["screen_share"]),
                _shares(speaking),
                _happy(speaking),
                _shares(listening),
                _happy(listening),
            )
        )
    head = (
        *("who", "#face in view", "#on screen", "#of all"),
        *("speaking", "#happiness", "listening", "#happiness"),
    )
    caption = (
        "Of each own face; in view: of the time in which each speaks. Speaking moves the mouth, which the model may "
        "take for an expression: compare people in the same state. Where little of the speaking time had the face in "
        "view, the figures are those of that little."
    )
    return Section("Each speaker's own face", [Chart("", legend=legend()), Table(head, rows, caption)])


def _reactions(figures: SpeakerFigures) -> Section:
    rows = [row for row in figures.reactions.iter_rows(named=True) if row["low"] is not None]
    if not rows:
        return Section(
            "Who reacts to whom",
            ["Nothing can be said: it takes listeners in view after at least three turns, and more of the recording."],
        )
    beyond = [row for row in rows if not row["low"] <= row["reaction"] <= row["high"]]
    rows.sort(key=lambda row: -_far(row))
    shown = [
        (
            row["listener"],
            row["speaker"],
            f"{row['turns']:,}",
            signed(row["reaction"]),
            f"{signed(row['low'])} to {signed(row['high'])}",
            "beyond chance" if row in beyond else "as by chance",
        )
        for row in rows[:SHOWN_REACTIONS]
    ]
    hidden = len(rows) - len(shown)
    more = f" {hidden:,} more are in the table beside this page." if hidden > 0 else ""
    caption = (
        f"How much happier the listener's face looks in the {AFTER_S:g} seconds after the speaker's turns than in all "
        "its silence, and what the same turns give by chance. Of "
        f"{counted(len(rows), 'pair', 'pairs')} about {0.05 * len(rows):.1f} would lie beyond chance by chance alone; "
        f"here it is {len(beyond)}.{more}"
    )
    head = ("listener", "after turns of", "#turns", "#happiness", "#by chance, 95 %", "")
    return Section("Who reacts to whom", [Table(head, shown, caption)])


def _far(row: dict[str, Any]) -> float:
    """Return how far a reaction lies from the middle of what chance gives, in halves of its width."""
    middle, half = (row["low"] + row["high"]) / 2, (row["high"] - row["low"]) / 2
    return float(abs(row["reaction"] - middle) / max(half, 1e-9))


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.0f} %"


def _happy(row: dict[str, Any]) -> str:
    return "–" if row["happy"] is None else f"{100 * row['happy']:.0f}"


def _shares(row: dict[str, Any]) -> str | Shares:
    if row["happy"] is None:
        return "not seen long enough"
    return Shares(tuple((emotion, COLOURS[emotion], row[emotion]) for emotion in SHOWN))


def definitions() -> list[tuple[str, str]]:
    """Return the terms of these sections."""
    view = (
        "In the table `courses` the sum of `seconds` over that of `looked`, of the bins in which the speaker `speaks`."
    )
    states = (
        "The mean of each emotion over the bins of the table `courses` that have `speaks` or `listens`, each weighed "
        "by its `seconds`."
    )
    reaction = (
        f"Over the bins whose middle lies in the {AFTER_S:g} seconds after a turn of the speaker, and in which the "
        "listener is silent: 100 x the mean of `happy` of the listener, less the same over all bins in which the "
        "listener is silent. A turn is what one speaker says with no more than 5 seconds and nobody else between."
    )
    chance = (
        "Where 95 % of the reactions lie that come out when all turns are shifted along the recording by each number "
        "of bins, its end joined to its beginning."
    )
    return [
        ("Own face in view", view),
        ("Speaking, listening", states),
        ("Reaction", reaction),
        ("By chance", chance),
    ]
