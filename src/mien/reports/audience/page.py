"""The wording and layout of the audience report: how viewers reacted goes in, a `Report` comes out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from mien.charts.palette import COLOURS
from mien.charts.svg import Curve, Mark, clock, intervals, lines
from mien.observation import EMOTIONS
from mien.reports.audience.attention_page import ATTENTION_IS, attention_facts, attention_section
from mien.reports.audience.groups import Difference
from mien.reports.audience.own_page import own_facts, own_section
from mien.reports.audience.reactions import LEAST_RISE, TAKES_S, Reaction, Reactions
from mien.reports.audience.synchrony import SIGNALS
from mien.reports.audience.tables import COLUMNS, Shown, audience_tables
from mien.reports.audience.together import (
    GROUP_COLOURS,
    POINTS,
    course_sections,
    definitions,
    glance,
    headline_facts,
    lead,
    moments_section,
    statistics,
    thinned,
)
from mien.reports.base.bootstrap import MIN_UNITS
from mien.reports.base.parts import Chart, Fact, Part, Section, Table
from mien.reports.base.recordings import READABLE
from mien.reports.base.report import Report
from mien.reports.base.usual_face import definition as usual_definition
from mien.reports.base.usual_face import missing
from mien.words import counted, in_points, listed, signed

__all__ = ["COLUMNS", "Shown", "audience_report"]

HAPPY = EMOTIONS.index("happy")


def audience_report(shown: Shown, notes: list[str], asked: dict[str, Any]) -> Report:
    """Return the report on an audience.

    Args:
        shown: What there is to show.
        notes: What was wrong with the input.
        asked: The request.
    """
    reactions, viewers = shown.reactions, len(shown.watched.names)
    each = reactions.each if reactions else []
    ranked = sorted(each, key=lambda reaction: (not reaction.landed, -reaction.height.value))
    notes = [*notes, *_notes(reactions, viewers, asked["anonymous"])]
    if shown.own:
        notes += missing(shown.own.people, shown.own.calibration, named=not asked["anonymous"])
    sections = [*glance(shown), *([_curve(shown), _ranking(ranked)] if reactions else []), moments_section(shown)]
    sections += [*([] if reactions else [_curve(shown)]), *course_sections(shown)]
    if shown.attention:
        sections.append(attention_section(shown.attention, shown.watched.seconds))
    if shown.own:
        sections.append(own_section(shown.own, shown.watched.seconds, anonymous=bool(asked["anonymous"])))
    if shown.differences:
        sections.append(_groups(shown.differences, folded=not reactions))
    sections += statistics(shown)
    return Report(
        kind="audience",
        title="What did they react to?" if reactions else "What moved them together?",
        lead=_lead(ranked, viewers) if reactions else lead(shown),
        facts=_facts(shown, ranked),
        sections=sections,
        notes=notes,
        definitions=[
            *_definitions(asked, shown),
            *definitions(asked, shown),
            *([("Faced the screen", ATTENTION_IS)] if shown.attention else []),
            *([usual_definition(shown.own.calibration)] if shown.own else []),
        ],
        data=audience_tables(shown, anonymous=bool(asked["anonymous"])),
        asked=asked,
    )


def _lead(ranked: Sequence[Reaction], viewers: int) -> str:
    if not ranked:
        return "Nobody can say: at no event were enough faces to be seen before and after it."
    landed = [reaction for reaction in ranked if reaction.landed]
    if viewers < MIN_UNITS:
        best = ranked[0]
        return (
            f"{counted(viewers, 'viewer is', 'viewers are')} too few to tell reactions from chance (at least "
            f"{MIN_UNITS} "
            f"are needed). The largest rise is that of {EMOTIONS[best.emotion]} after “{best.event.label}” at "
            f"{clock(best.event.at)}."
        )
    if not landed:
        return f"None of {counted(len(ranked), 'event', 'events')} had a reaction that stands out from chance."
    best = landed[0]
    return (
        f"“{best.event.label}” at {clock(best.event.at)} landed best: {EMOTIONS[best.emotion]} rose by "
        f"{in_points(best.height.value)}, with its peak {best.latency.value:.1f} s later, and "
        f"{_reacted(best)}{len(landed)} of {counted(len(ranked), 'event', 'events')} had a reaction."
    )


def _reacted(reaction: Reaction) -> str:
    if reaction.reacted is None:
        return "how many viewers reacted cannot be told. "
    return f"{reaction.reacted.hits} of {reaction.reacted.viewers} viewers reacted. "


def _facts(shown: Shown, ranked: Sequence[Reaction]) -> list[Fact]:
    viewers = len(shown.watched.names)
    groups = {group for group in shown.watched.groups if group}
    facts = []
    if shown.reactions:
        landed = sum(reaction.landed for reaction in ranked)
        fact = Fact("Events with a reaction", f"{landed} of {len(ranked)}", "corrected for their number", landed)
        if viewers < MIN_UNITS:
            fact = Fact("Events with a reaction", "cannot be told", f"{MIN_UNITS} viewers are needed")
        facts.append(fact)
    return [
        *facts,
        *headline_facts(shown),
        *(attention_facts(shown.attention) if shown.attention else []),
        *(own_facts(shown.own) if shown.own else []),
        Fact("Viewers", f"{viewers:,}", f"{counted(len(groups), 'group', 'groups')}" if groups else "", viewers),
        Fact("Watched", clock(shown.watched.seconds), "", shown.watched.seconds),
    ]


def _curve(shown: Shown) -> Section:
    marks = [
        Mark(
            reaction.event.at,
            str(n),
            f"{clock(reaction.event.at)}: {reaction.event.label}",
            reaction.event.at + reaction.event.duration,
        )
        for n, reaction in enumerate(shown.reactions.each[:60] if shown.reactions else [], 1)
    ]
    what = "Numbers: the events, in order of time."
    if not shown.reactions:
        what = "Numbers: the moments that moved people together, as ranked."
        beyond = [moment for moment in shown.moments if moment.beyond_chance]
        marks = [
            Mark(moment.at, str(n), f"{clock(moment.at)}: {SIGNALS[moment.signal]}")
            for n, moment in enumerate(beyond[:60], 1)
        ]
    everybody, *groups = shown.courses
    drawn = groups or [everybody]
    colours = GROUP_COLOURS if groups else (COLOURS["happy"],)
    parts: list[Part] = []
    chosen = [HAPPY]
    chosen += [reaction.emotion for reaction in shown.reactions.each if reaction.landed] if shown.reactions else []
    chosen += [moment.signal for moment in shown.moments if moment.beyond_chance and moment.signal < len(EMOTIONS)]
    for emotion in list(dict.fromkeys(chosen))[:3]:
        step = math.ceil(len(everybody.viewers) / POINTS)
        curves = [
            Curve(
                course.group or "all viewers",
                COLOURS[EMOTIONS[emotion]] if not groups else colours[n % len(colours)],
                *(thinned(100 * end[:, emotion], step) for end in (course.shares, course.low, course.high)),
            )
            for n, course in enumerate(drawn)
        ]
        times = np.arange(0.5, len(curves[0].values)).astype(np.float64) * step
        values = np.concatenate(
            [np.concatenate([curve.values, curve.high]) for curve in curves if curve.high is not None]
        )
        top = float(min(100, 10 * math.ceil(1.05 * np.nanmax(values, initial=10) / 10)))
        caption = f"{EMOTIONS[emotion].capitalize()}: mean of the viewers' probabilities, with 95 % intervals. "
        caption += what if emotion == HAPPY and marks else ""
        parts.append(Chart(lines(times, curves, shown.watched.seconds, high=top, marks=marks), caption))
    if groups:
        parts.insert(
            0, Chart("", legend=[(course.group or "", colours[n % len(colours)]) for n, course in enumerate(drawn)])
        )
    return Section("Second by second", parts)


def _ranking(ranked: Sequence[Reaction]) -> Section:
    if not ranked:
        return Section("The moments, ranked", ["No event could be judged."])
    drawn: list[tuple[str, float, float, float, str]] = [
        (
            f"{clock(reaction.event.at)} {reaction.event.label}",
            100 * reaction.height.value,
            100 * reaction.height.low,
            100 * reaction.height.high,
            COLOURS[EMOTIONS[reaction.emotion]],
        )
        for reaction in ranked[:20]
    ]
    rows = [
        (
            clock(reaction.event.at),
            reaction.event.label,
            EMOTIONS[reaction.emotion],
            signed(100 * reaction.height.value, "+.0f"),
            _between(100 * reaction.height.low, 100 * reaction.height.high, "+.0f"),
            f"{reaction.latency.value:.1f} s",
            f"{'over ' if reaction.open_end else ''}{reaction.duration.value:.1f} s",
            f"{reaction.reacted.hits} of {reaction.reacted.viewers}" if reaction.reacted else "cannot be told",
            _verdict(reaction),
        )
        for reaction in ranked[:60]
    ]
    head = ("#time", "event", "emotion", "#height", "#95 %", "#latency", "#duration", "#reacted", "")
    caption = (
        "Height: the rise over the seconds before, in percentage points, with the interval that holds for all events "
        "and "
        "emotions at once. A height without an interval rests on too few viewers."
    )
    return Section("The moments, ranked", [Chart(intervals(drawn, "", zero=True)), Table(head, rows, caption)])


def _verdict(reaction: Reaction) -> str:
    if not math.isfinite(reaction.p):
        return "too few viewers"
    cut = f", looked at for {reaction.window:.1f} s only" if reaction.cut else ""
    return f"{'landed' if reaction.landed else 'not beyond chance'}{cut}"


def _between(low: float, high: float, form: str) -> str:
    return f"{low:{form}} to {high:{form}}" if math.isfinite(low) and math.isfinite(high) else "–"


def _groups(differences: Sequence[Difference], *, folded: bool) -> Section:
    rows = [
        (
            f"{difference.first_group} – {difference.second_group}",
            difference.what,
            difference.emotion,
            signed(100 * difference.value),
            _between(100 * difference.low, 100 * difference.high, "+.1f"),
            signed(difference.g, "+.2f") if math.isfinite(difference.g) else "–",
            f"{difference.viewers[0]}, {difference.viewers[1]}",
            ("–" if not math.isfinite(difference.p) else "differ" if difference.p < 0.05 else "not beyond chance"),
        )
        for difference in differences[:80]
    ]
    return Section(
        "The groups compared",
        [
            Table(
                ("groups", "in what", "emotion", "#difference", "#95 %", "#Hedges's g", "#viewers", ""),
                rows,
                "Differences in percentage points; the intervals hold for all rows of two groups at once. By the "
                "usual rule of "
                "thumb a g of 0.2 is small, 0.5 middling, 0.8 large.",
            )
        ],
        folded,
    )


def _notes(reactions: Reactions | None, viewers: int, anonymous: int | None) -> list[str]:
    notes = []
    if reactions and reactions.unseen:
        names = listed([f"“{event.label}” at {clock(event.at)}" for event in reactions.unseen])
        few = f"Fewer than {anonymous} viewers, as --anonymous asks for," if anonymous else "Too few viewers"
        notes.append(f"{few} were to be seen before and after {names}; nothing is said of them.")
    if viewers < MIN_UNITS:
        notes.append(
            f"Each recording (or seat) counts as one viewer, however many faces it shows: with {viewers} there are no "
            f"intervals; {MIN_UNITS} are needed. If a picture shows several people, name their seats (--seats)."
        )
    return notes


def _definitions(asked: dict[str, Any], shown: Shown) -> list[tuple[str, str]]:
    viewer = (
        "Viewer",
        f"A recording or a seat: the mean of its readable faces (at least {READABLE} pixels), over a second.",
    )
    if not shown.reactions:
        return [viewer]
    baseline, window = asked["baseline_s"], asked["window_s"]
    height = (
        f"The highest point, within {window:g} s after the event (and its duration) or until the next event, of the "
        f"mean rise of the viewers over the mean of the {baseline:g} s before it (fewer where the event before was "
        f"less than {TAKES_S:g} s earlier than these). Events that follow each other within {TAKES_S:g} s are judged "
        "as one. Moments at which more than a fifth of the judged viewers is away, or fewer than five are there, do "
        "not count. In the table `viewers` it is the mean of the emotion's column over an event's rows. Chance alone "
        "makes it a little higher than 0: look at its interval."
    )
    interval = (
        "Viewers are drawn with replacement 4,000 times. The largest deviation over all moments, events and emotions "
        "gives intervals that hold for all of them at once (max-T), and so allow for the choice of the moment; few "
        "viewers widen them by Student's t."
    )
    landed = (
        "The p is under 0.05: the signs of whole viewers' rises are exchanged, and so high a rise of any event and "
        "emotion is rarer than that by chance. That these viewers reacted may be certain while the interval, which is "
        "for others like them, still reaches 0."
    )
    reacted = (
        f"A viewer whose highest rise in the window is at least {LEAST_RISE:g} and more than in 95 % of equally long "
        "stretches without an event: those of all viewers together, each in units of the root mean square of the "
        "viewer's rises in the other stretches. It cannot be told where there are fewer than three such stretches of "
        "half of the viewers, or 20 in all."
    )
    return [
        viewer,
        ("Height", height),
        ("95 % interval", interval),
        ("Landed", landed),
        ("Latency and duration", "Of the viewers' mean curve: until its peak, and while it is above half of that."),
        ("Reacted", reacted),
    ]
