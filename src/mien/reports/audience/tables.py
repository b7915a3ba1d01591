"""The tables beside an audience's page: how viewers reacted goes in, tables and what their columns mean come out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mien.observation import EMOTIONS
from mien.reports.audience.groups import Course, Difference
from mien.reports.audience.reactions import Reaction, Reactions
from mien.reports.audience.seats import Watching
from mien.reports.base.parts import Data

if TYPE_CHECKING:
    import polars as pl

__all__ = ["COLUMNS", "Shown", "audience_tables"]

HAPPY = EMOTIONS.index("happy")

COLUMNS: dict[str, dict[str, str]] = {
    "events": {
        "event": "what it was; those judged as one are one",
        "at": "when it began, in seconds of the treatment",
        "length": "how long it was, in seconds",
        "judged": "whether enough viewers were to be seen",
    },
    "reactions": {
        "event": "what it was",
        "at": "when it began, in seconds of the treatment",
        "length": "how long it was, in seconds",
        "emotion": "the emotion that rose most clearly",
        "viewers": "viewers with a face before and after it",
        "height": "the highest point of the viewers' mean rise over the baseline, in probability",
        "low": "the lower end of the 95 % interval that holds for all events and emotions at once",
        "high": "the upper end",
        "p": "probability of so clear a rise of any event and emotion if there were no reaction at all",
        "latency": "from the event to the peak of the viewers' mean, in seconds",
        "latency_low": "the lower end of its 95 % interval",
        "latency_high": "the upper end",
        "duration": "how long that mean stays above half its peak, in seconds",
        "duration_low": "the lower end of its 95 % interval",
        "duration_high": "the upper end",
        "reacted": "viewers who reacted by themselves; empty where that cannot be told",
        "reacted_share": "their share",
        "reacted_low": "the lower end of its 95 % interval (Wilson)",
        "reacted_high": "the upper end",
        "window": "how long a reaction was looked for, from the event's beginning, in seconds",
        "cut": "whether the next event ended that",
    },
    "emotions": {
        "event": "what it was",
        "at": "when it began, in seconds of the treatment",
        "emotion": "the emotion",
        "viewers": "viewers who could be judged",
        "height": "the highest point of its mean rise, in probability",
        "low": "the lower end of its 95 % interval, for itself",
        "high": "the upper end",
        "all_low": "the lower end of the interval that holds for all rows at once",
        "all_high": "the upper end",
        "p": "of no rise, for itself",
        "all_p": "of no rise, corrected for all rows",
    },
    "viewers": {
        "viewer": "the recording, or recording/seat",
        "group": "the group; empty where there is none",
        "event": "what it was",
        "at": "when it began, in seconds of the treatment",
        **{emotion: f"the viewer's rise of {emotion} when the mean of all viewers is highest" for emotion in EMOTIONS},
    },
    "courses": {
        "viewer": "the recording, or recording/seat",
        "group": "the group; empty where there is none",
        "at": "a moment, in seconds of the treatment, four a second; there is no row where no face was readable",
        **{emotion: f"mean probability of {emotion} over the second around it" for emotion in EMOTIONS},
    },
    "curve": {
        "second": "of the treatment, from 0",
        "group": "the group; empty: all viewers",
        "viewers": "viewers to be seen in that second",
        **{emotion: f"mean of the viewers' probabilities of {emotion}" for emotion in EMOTIONS},
        "happy_low": "the lower end of the 95 % interval of happy, for itself",
        "happy_high": "the upper end",
    },
    "groups": {
        "what": "the mean over all that was watched, or the event",
        "emotion": "the emotion",
        "first_group": "the first group",
        "second_group": "the second group",
        "difference": "the first less the second, in probability",
        "low": "the lower end of the 95 % interval that holds for all rows of the two groups at once",
        "high": "the upper end",
        "p": "of no difference, corrected likewise",
        "hedges_g": "the difference in standard deviations of the viewers (Hedges's g)",
        "viewers_first": "viewers of the first group",
        "viewers_second": "viewers of the second group",
    },
}


@dataclass(frozen=True)
class Shown:
    """What there is to show.

    Attributes:
        watched: What the viewers showed.
        reactions: How they reacted.
        courses: The mean curves: all viewers, then each group.
        differences: How groups differ.
    """

    watched: Watching
    reactions: Reactions
    courses: list[Course]
    differences: list[Difference]


def audience_tables(shown: Shown, *, anonymous: bool) -> list[Data]:
    """Return the tables; anonymous: those of single viewers left out."""
    import polars as pl

    reactions, watched = shown.reactions, shown.watched
    judged = [(reaction.event, True) for reaction in reactions.each] + [(event, False) for event in reactions.unseen]
    events = [(event.label, event.at, event.duration, seen) for event, seen in sorted(judged, key=lambda e: e[0].at)]
    reaction_rows = [
        (
            *(
                reaction.event.label,
                reaction.event.at,
                reaction.event.duration,
                EMOTIONS[reaction.emotion],
                reaction.viewers,
            ),
            *(reaction.height.value, reaction.height.low, reaction.height.high, reaction.p),
            *(reaction.latency.value, reaction.latency.low, reaction.latency.high),
            *(reaction.duration.value, reaction.duration.low, reaction.duration.high),
            *_reacted(reaction),
            *(reaction.window, reaction.cut),
        )
        for reaction in reactions.each
    ]
    of = reactions.estimates
    emotions = [
        (
            *(reaction.event.label, reaction.event.at, emotion, int(of.units[7 * n + m])),
            *(float(end[7 * n + m]) for end in (of.value, of.low, of.high, of.all_low, of.all_high, of.p, of.all_p)),
        )
        for n, reaction in enumerate(reactions.each)
        for m, emotion in enumerate(EMOTIONS)
    ]
    viewers = [
        (name, group, reaction.event.label, reaction.event.at, *map(float, reactions.heights[v, n]))
        for n, reaction in enumerate(reactions.each)
        for v, (name, group) in enumerate(zip(watched.names, watched.groups, strict=True))
        if np.isfinite(reactions.heights[v, n]).any()
    ]
    curve = [
        (
            *(second, course.group, int(course.viewers[second]), *map(float, course.shares[second])),
            *(float(course.low[second, HAPPY]), float(course.high[second, HAPPY])),
        )
        for course in shown.courses
        for second in range(len(course.viewers))
    ]
    groups = [
        (
            *(
                difference.what,
                difference.emotion,
                difference.first_group,
                difference.second_group,
                difference.value,
                difference.low,
                difference.high,
                difference.p,
                difference.g,
            ),
            *difference.viewers,
        )
        for difference in shown.differences
    ]
    rows: dict[str, list[Any]] = {
        "events": events,
        "reactions": reaction_rows,
        "emotions": emotions,
        "viewers": viewers,
        "curve": curve,
    }
    rows |= {"groups": groups} if groups else {}
    if anonymous:
        rows.pop("viewers")
    else:
        rows["courses"] = []
    text = {"event", "emotion", "viewer", "group", "what", "first_group", "second_group"}
    whole = {"viewers", "reacted", "second", "viewers_first", "viewers_second"}
    tables = []
    for name, values in rows.items():
        kinds = {
            c: pl.String
            if c in text
            else pl.Int64
            if c in whole
            else pl.Boolean
            if c in ("cut", "judged")
            else pl.Float64
            for c in COLUMNS[name]
        }
        made = _courses(watched) if name == "courses" else pl.DataFrame(values, schema=kinds, orient="row")
        table = made.with_columns(pl.col(pl.Float64).fill_nan(None))
        tables.append(Data(name, table, COLUMNS[name]))
    return tables


def _reacted(reaction: Reaction) -> tuple[float | None, ...]:
    if reaction.reacted is None:
        return (None,) * 4
    share = reaction.reacted.share
    return reaction.reacted.hits, share.value, share.low, share.high


def _courses(watched: Watching) -> pl.DataFrame:
    """Return what each viewer showed at each point."""
    import polars as pl

    parts = []
    for name, group, shares in zip(watched.names, watched.groups, watched.shares, strict=True):
        points = np.nonzero(np.isfinite(shares[:, 0]))[0]
        emotions: dict[str, Any] = {str(emotion): shares[points, n] for n, emotion in enumerate(EMOTIONS)}
        seen = pl.DataFrame({"at": points * watched.step_s, **emotions})
        parts.append(seen.select(pl.lit(name).alias("viewer"), pl.lit(group).alias("group"), pl.all()))
    return pl.concat(parts)
