"""What the page says of moving together: figures go in; facts, sections and definitions come out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from mien.charts.palette import COLOURS
from mien.charts.svg import Curve, clock, intervals, lines
from mien.observation import EMOTIONS
from mien.reports.audience.clusters import Compared
from mien.reports.audience.headline import LAUGH_S, SHOWS, Contrast, Headline
from mien.reports.audience.neighbours import NEAR
from mien.reports.audience.reactions import Interval
from mien.reports.audience.synchrony import SIGNALS, SUMMARIES, Moment
from mien.reports.audience.tables import Shown
from mien.reports.base.bootstrap import MIN_UNITS
from mien.reports.base.parts import Chart, Fact, Part, Picture, Pictures, Section, Table
from mien.words import counted, in_points, signed

__all__ = [
    "GROUP_COLOURS",
    "POINTS",
    "colour_of",
    "course_sections",
    "definitions",
    "glance",
    "headline_facts",
    "lead",
    "moments_section",
    "statistics",
    "thinned",
]

GROUP_COLOURS = ("#0b7285", "#d55e00", "#6a3d9a", "#2b8a3e", "#c2255c", "#7f5539")
VALENCE, NEUTRAL = SIGNALS.index("valence"), SIGNALS.index("neutral")
HAPPY = EMOTIONS.index("happy")
POINTS = 800
"""So many points of a curve are drawn at most."""

SHOWN = 12
"""So many moments are shown with a picture, or in the table above the statistics."""

CURVES = 3
"""So many emotions in which groups differ are drawn at most for two groups."""

VALENCE_IS = (
    "The probability of happy less those of angry, disgust, fear and sad. The mean synchrony is that of the "
    "valence over all windows, so that still stretches lower it."
)
PEAK_IS = (
    f"The highest share of viewers whose mean of happy in one second is at least {SHOWS:g}, among seconds in "
    "which half of all were seen. Its interval is for that second; that it is the highest of many is not "
    "allowed for."
)
LAUGHS_ARE = (
    f"How often a viewer's happy stays at {SHOWS:g} or more for {LAUGH_S:g} s, with less than {LAUGH_S:g} s "
    "below it joined, per minute seen; the mean over the viewers. A broad smile counts as well: nothing is "
    "heard."
)
CLUSTERS_ARE = (
    "Seconds in a row in which Student's t between the groups is beyond its own 5 % are a stretch; the sum of "
    "its t is compared with the largest of any stretch and emotion when viewers are exchanged between the "
    "groups (cluster-based permutation). It says that the courses differ around there, not that they begin to "
    "in exactly that second."
)
NEIGHBOURS_ARE = (
    f"Seats of one picture whose middles lie at most {NEAR:g} times as far apart as the nearest seats usually "
    "do. The valence of each two is correlated over all that both were seen; p: who sits where is exchanged. "
    "Neighbours may also look alike to the camera at the same time, as light or a head in front moves."
)


def colour_of(signal: int) -> str:
    """Return the colour of an emotion, or of the valence."""
    return "#0b7285" if signal == VALENCE else COLOURS[EMOTIONS[signal]]


def thinned(values: np.ndarray, step: int) -> np.ndarray:
    """Return the means of so many values in a row each."""
    padded = np.full(math.ceil(len(values) / step) * step, np.nan)
    padded[: len(values)] = values
    parts = padded.reshape(-1, step)
    there = np.isfinite(parts)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(there, parts, 0).sum(1) / there.sum(1))


def lead(shown: Shown) -> str:
    """Return the answer where there were no events."""
    viewers = len(shown.watched.names)
    if viewers < 2:
        return "One viewer alone cannot move together with anybody: record several, or name events (--events)."
    if not any(synchrony.judged for synchrony in shown.synchronies):
        return "Nobody can say what moved them together: too little of two viewers at the same time was to be seen."
    beyond = [moment for moment in shown.moments if moment.beyond_chance]
    if not beyond:
        return (
            f"No moment moved {counted(viewers, 'viewer', 'viewers')} together beyond chance. That does not say that "
            "nothing moved any of them."
        )
    best = beyond[0]
    group = f" of {best.group}" if best.group else ""
    return (
        f"{counted(len(beyond), 'moment', 'moments')} moved people together beyond chance. At {clock(best.at)} most: "
        f"{SIGNALS[best.signal]} {_moved(best.change)} by {in_points(abs(best.change))} in the mean of "
        f"{counted(best.viewers, 'viewer', 'viewers')}{group}, with a synchrony of {best.synchrony.value:.2f}."
    )


def _moved(change: float) -> str:
    return "rose" if change >= 0 else "fell"


def headline_facts(shown: Shown) -> list[Fact]:
    """Return the figures on top: of one treatment three, of several the first of each."""
    beyond = sum(moment.beyond_chance for moment in shown.moments)
    facts = [Fact("Moments that moved people together", f"{beyond}", "beyond chance, all seconds considered", beyond)]
    if not any(synchrony.judged for synchrony in shown.synchronies):
        detail = "two viewers whose faces move are needed"
        facts = [Fact("Moments that moved people together", "cannot be told", detail)]
    several = len(shown.headlines) > 1
    for headline in shown.headlines:
        facts.append(
            _fact(f"{headline.group}: mean synchrony" if several else "Mean synchrony", headline.synchrony, "", 2)
        )
        if not several:
            facts += [_peak(headline), _fact("Laughs a minute", headline.laughs, "a viewer", 1)]
    return facts


def _fact(name: str, of: Interval, detail: str, digits: int) -> Fact:
    if not math.isfinite(of.value):
        return Fact(name, "cannot be told", detail)
    between = _between(of, f".{digits}f", 1) or f"no interval: {MIN_UNITS} viewers are needed"
    detail = f"{detail}; {between}" if detail else between
    return Fact(name, f"{of.value:.{digits}f}", detail, of.value, *_ends(of))


def _peak(headline: Headline) -> Fact:
    of = headline.peak
    if not math.isfinite(of.value):
        return Fact("Most showed happy at once", "cannot be told")
    detail = f"at {clock(headline.peak_at)}, of {headline.peak_viewers}; {_between(of, '.0f', 100)} %"
    return Fact("Most showed happy at once", f"{100 * of.value:.0f} %", detail, of.value, *_ends(of))


def _ends(of: Interval) -> tuple[float | None, float | None]:
    return (of.low, of.high) if math.isfinite(of.low) and math.isfinite(of.high) else (None, None)


def _between(of: Interval, form: str, times: float) -> str:
    return f"{times * of.low:{form}} to {times * of.high:{form}}" if _ends(of)[0] is not None else ""


def glance(shown: Shown) -> list[Section]:
    """Return the treatments side by side, where there are several: a figure a row, and how large the difference is."""
    if len(shown.headlines) < 2:
        return []
    head = ("", *(f"#{headline.group} ({headline.viewers})" for headline in shown.headlines))
    rows = [
        ("mean synchrony", *(_cell(headline.synchrony, ".2f", 1) for headline in shown.headlines)),
        (
            "most showed happy at once, %",
            *(
                f"{_cell(headline.peak, '.0f', 100)} at {clock(headline.peak_at)}"
                if math.isfinite(headline.peak.value)
                else "–"
                for headline in shown.headlines
            ),
        ),
        ("laughs a minute", *(_cell(headline.laughs, ".1f", 1) for headline in shown.headlines)),
    ]
    names = {"synchrony": "mean synchrony", "laughs": "laughs a minute", "peak": "most showed happy at once"}
    sentences = [_contrast(contrast, names[contrast.what]) for contrast in shown.contrasts[:9]]
    return [Section("The treatments side by side", [Table(head, rows, "With 95 % intervals."), " ".join(sentences)])]


def _cell(of: Interval, form: str, times: float) -> str:
    between = _between(of, form, times)
    return f"{times * of.value:{form}}{f' ({between})' if between else ''}" if math.isfinite(of.value) else "–"


def _contrast(contrast: Contrast, name: str) -> str:
    times = 100 if contrast.what == "peak" else 1
    form = "+.0f" if contrast.what == "peak" else "+.2f"
    kind = "Cohen's h" if contrast.what == "peak" else "Hedges's g"
    if not math.isfinite(contrast.difference.value):
        return f"{name[0].upper()}{name[1:]}: cannot be compared."
    verdict = "" if not math.isfinite(contrast.p) else " Differ." if contrast.p < 0.05 else " Not beyond chance."
    effect = f", {kind} {signed(contrast.effect, '+.2f')}" if math.isfinite(contrast.effect) else ""
    value = f"{times * contrast.difference.value:{form}}"
    return (
        f"{name[0].upper()}{name[1:]}, {contrast.first_group} less {contrast.second_group}: {value}{effect}.{verdict}"
    )


def moments_section(shown: Shown) -> Section:
    """Return the moments that moved people together, ranked, with pictures of the treatment where there are some."""
    beyond = [moment for moment in shown.moments if moment.beyond_chance]
    title = "What moved them together"
    if not any(synchrony.judged for synchrony in shown.synchronies):
        return Section(title, ["There is no synchrony to speak of: the notes say why."])
    if not beyond:
        nearest = f" The clearest is {_named(shown.moments[0])}; it may be chance." if shown.moments else ""
        return Section(title, [f"No moment is beyond chance.{nearest}"])
    pictures = [
        Picture(shown.pictures[moment.at], f"{n}. {_named(moment)}", _detail(moment))
        for n, moment in enumerate(beyond[:SHOWN], 1)
        if moment.at in shown.pictures
    ]
    parts: list[Part] = []
    if pictures:
        parts.append(Pictures(pictures, "The treatment a second before faces changed fastest."))
    several = len({moment.group for moment in shown.moments}) > 1
    rows = [
        (
            *([moment.group] if several else []),
            clock(moment.at),
            SIGNALS[moment.signal],
            signed(100 * moment.change, "+.0f"),
            _cell(moment.synchrony, ".2f", 1),
            f"{moment.viewers}",
        )
        for moment in beyond[:SHOWN]
    ]
    head = (*(["group"] if several else []), "#time", "what", "#points", "#synchrony, 95 %", "#viewers")
    more = f" {counted(len(beyond) - SHOWN, 'more is', 'more are')} below." if len(beyond) > SHOWN else ""
    parts.append(
        Table(
            head,
            rows,
            "Ranked by p, then by synchrony. Points: how far the viewers' mean moves. A moment is chosen "
            f"for its high synchrony, so that others like these viewers would show somewhat less.{more}",
        )
    )
    return Section(title, parts)


def _named(moment: Moment) -> str:
    group = f"{moment.group}, " if moment.group else ""
    return f"{group}{clock(moment.at)} {SIGNALS[moment.signal]}"


def _detail(moment: Moment) -> str:
    return f"{_moved(moment.change)} by {in_points(abs(moment.change))}; synchrony {moment.synchrony.value:.2f}"


def course_sections(shown: Shown) -> list[Section]:
    """Return where each two groups differ, drawn under their curves."""
    by_name = {course.group: course for course in shown.courses}
    sections = []
    for of in shown.compared:
        beyond = [cluster for cluster in of.clusters if cluster.beyond_chance]
        title = f"Where {of.first_group} and {of.second_group} differ"
        if not beyond:
            sections.append(Section(title, ["Over the whole course, in no emotion, beyond chance."]))
            continue
        parts: list[Part] = [
            Chart("", legend=[(of.first_group, GROUP_COLOURS[0]), (of.second_group, GROUP_COLOURS[1])])
        ]
        ordered = list(dict.fromkeys(c.signal for c in sorted(beyond, key=lambda c: -abs(c.mass))))
        drawn = [signal for signal in ordered if signal not in SUMMARIES] or [NEUTRAL]
        for signal in drawn[:CURVES]:
            courses = [by_name[of.first_group], by_name[of.second_group]]
            step = math.ceil(len(courses[0].viewers) / POINTS)
            curves = [
                Curve(
                    course.group,
                    GROUP_COLOURS[place],
                    *(thinned(100 * end[:, signal], step) for end in (course.shares, course.low, course.high)),
                )
                for place, course in enumerate(courses)
            ]
            bars = [
                (c.start, c.end, GROUP_COLOURS[0 if c.mass > 0 else 1], _stretch(of, c.start, c.end, c.difference))
                for c in beyond
                if c.signal == signal
            ]
            top = 10 * math.ceil(1.05 * max(np.nanmax(curve.values, initial=10) for curve in curves) / 10)
            times = np.arange(0.5, len(curves[0].values)).astype(np.float64) * step
            chart = lines(times, curves, shown.watched.seconds, high=float(min(100, top)), bars=bars)
            parts.append(
                Chart(
                    chart,
                    f"{SIGNALS[signal].capitalize()}: mean of the viewers' probabilities. Bars underneath: where they "
                    "differ, in the colour of the group that shows more.",
                )
            )
        spoken = [
            f"{SIGNALS[c.signal]} {_stretch(of, c.start, c.end, c.difference)}"
            for c in beyond
            if c.signal in drawn[:CURVES]
        ]
        if spoken:
            parts.append(f"{'; '.join(spoken[:6])}.")
        sections.append(Section(title, parts))
    return sections


def _stretch(of: Compared, start: float, end: float, difference: float) -> str:
    more, less = (of.first_group, of.second_group) if difference > 0 else (of.second_group, of.first_group)
    return f"{clock(start)} to {clock(end)}: {more} {in_points(abs(difference))} above {less}"


def statistics(shown: Shown) -> list[Section]:
    """Return what stands folded below: synchrony over time, all moments, pairs, and stretches."""
    parts: list[Part] = []
    for synchrony in shown.synchronies:
        if not synchrony.value.size:
            continue
        step = math.ceil(len(synchrony.value) / POINTS)
        kinds = (HAPPY, VALENCE)
        curves = [
            Curve(SIGNALS[kind], colour_of(kind), thinned(synchrony.value[:, kind], step))
            for kind in kinds
            if np.isfinite(synchrony.value[:, kind]).any()
        ]
        times = synchrony.window_s / 2 + np.arange(len(curves[0].values) if curves else 0).astype(np.float64) * step
        group = f" of {synchrony.group}" if synchrony.group else ""
        means = ", ".join(
            f"{name} {of.value:.2f}{f' ({ends})' if (ends := _between(of, '.2f', 1)) else ''}"
            for name, of in zip(SIGNALS, synchrony.mean, strict=False)
            if math.isfinite(of.value)
        )
        if curves:
            parts.append(
                Chart(
                    lines(times, curves, shown.watched.seconds, unit="", low=-0.5, high=1.0),
                    f"Synchrony{group} in windows of {synchrony.window_s} s, by their middle. Means over all windows: "
                    f"{means or 'none'}. Chance: {synchrony.draws} draws.",
                    [(SIGNALS[kind], colour_of(kind)) for kind in kinds],
                )
            )
    if shown.moments:
        parts += _every_moment(shown.moments)
    if shown.neighbours:
        of = shown.neighbours
        near = sum(pair.near for pair in of.pairs)
        parts.append(
            f"Neighbours: a mean synchrony of {of.near:.2f} in {counted(near, 'pair', 'pairs')}, and {of.others:.2f} "
            f"in {counted(len(of.pairs) - near, 'other pair', 'other pairs')} of the same picture; p {of.p:.3f}."
        )
    for compared in shown.compared:
        rows = [
            (
                *(SIGNALS[c.signal], clock(c.start), clock(c.end), signed(100 * c.difference), signed(c.mass)),
                *(f"{c.p:.3f}", "differ" if c.beyond_chance else "not beyond chance"),
            )
            for c in sorted(compared.clusters, key=lambda c: -abs(c.mass))[:30]
        ]
        title = f"{compared.first_group} ({compared.viewers[0]}) less {compared.second_group} ({compared.viewers[1]})"
        parts.append(
            Table(
                ("what", "#from", "#to", "#points", "#mass of t", "#p", ""),
                rows,
                f"{title}, compared in {counted(compared.seconds, 'second', 'seconds')}.",
            )
        )
    return [Section("The statistics", parts, folded=True)] if parts else []


def _every_moment(moments: Sequence[Moment]) -> list[Part]:
    drawn = [
        (
            _named(moment),
            100 * moment.synchrony.value,
            100 * moment.synchrony.low,
            100 * moment.synchrony.high,
            colour_of(moment.signal),
        )
        for moment in moments[:20]
    ]
    rows = [
        (
            *(_named(moment), f"{clock(moment.start)} to {clock(moment.end)}", _cell(moment.synchrony, ".2f", 1)),
            *(f"{moment.p:.3f}", "beyond chance" if moment.beyond_chance else "may be chance"),
        )
        for moment in moments
    ]
    head = ("moment", "window", "#synchrony, 95 %", "#p", "")
    return [Chart(intervals(drawn, "", zero=True), "Synchrony x 100, with 95 % intervals."), Table(head, rows)]


def definitions(asked: dict[str, Any], shown: Shown) -> list[tuple[str, str]]:
    """Return what the figures of moving together mean."""
    window = round(asked["window_s"])
    null = "curve is turned around in a circle by a random time"
    null = null if asked["null"] == "shift" else "curve is given random phases, with the same spectrum"
    synchrony = (
        f"Inter-subject correlation: in each window of {window} s, of which one begins each second, a viewer's "
        "curve is correlated with the sum of the others' (leave-one-out), and Fisher's z averaged over the "
        "viewers. From -1 to 1; 0 is what people have who watch different films. It is about moving at the same "
        "time, not about how much, and not about engagement. A viewer counts where three quarters of the window "
        "were seen and the curve is not constant; gaps are bridged by straight lines. Groups are each "
        "correlated with themselves alone."
    )
    chance = (
        f"The p is under 0.05: each viewer's {null}, so that faces change as slowly as before but not at one "
        "time. So high a value at any second and in any emotion is rarer than that (max statistic)."
    )
    return [
        ("Synchrony", synchrony),
        ("Beyond chance", chance),
        ("Valence", VALENCE_IS),
        ("Most showed happy at once", PEAK_IS),
        ("Laughs a minute", LAUGHS_ARE),
        *([("Where groups differ", CLUSTERS_ARE)] if shown.compared else []),
        *([("Neighbours", NEIGHBOURS_ARE)] if shown.neighbours else []),
    ]
