"""The tables beside an audience's page: how viewers reacted goes in, tables and what their columns mean come out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from mien.observation import EMOTIONS
from mien.reports.audience.attention import Attention
from mien.reports.audience.clusters import Compared
from mien.reports.audience.groups import Course, Difference
from mien.reports.audience.headline import Contrast, Headline
from mien.reports.audience.neighbours import Neighbours
from mien.reports.audience.own_level import OwnLevel
from mien.reports.audience.reactions import Reaction, Reactions
from mien.reports.audience.seats import Watching
from mien.reports.audience.synchrony import SIGNALS, Moment, Synchrony
from mien.reports.base.parts import Data
from mien.reports.base.usual_face import ABOVE, OWN_LEVEL, USUAL_SECONDS, used_seconds
from mien.reports.base.usual_face import own_level as own_level_table

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
        **ABOVE,
    },
    "curve": {
        "second": "of the treatment, from 0",
        "group": "the group; empty: all viewers",
        "viewers": "viewers to be seen in that second",
        **{emotion: f"mean of the viewers' probabilities of {emotion}" for emotion in EMOTIONS},
        "happy_low": "the lower end of the 95 % interval of happy, for itself",
        "happy_high": "the upper end",
        **ABOVE,
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
    "moments": {
        "group": "the group; empty: all viewers",
        "at": "when the viewers' mean changes fastest in the window, in seconds of the treatment",
        "emotion": "what moved most clearly together: an emotion, or valence (happy less angry, disgust, fear, sad)",
        "synchrony": "the viewers' mean correlation with the others in the window (leave-one-out)",
        "low": "the lower end of the 95 % interval that holds for all moments of the group at once",
        "high": "the upper end",
        "p": "that so high a correlation is chance, corrected for all moments and emotions",
        "start": "when the window begins, in seconds",
        "end": "when it ends",
        "change": "how far the viewers' mean moves in the window, in probability; negative where it falls then",
        "viewers": "viewers it rests on",
    },
    "synchrony": {
        "group": "the group; empty: all viewers",
        "at": "the middle of the window, in seconds of the treatment; one begins each second",
        "emotion": "an emotion, or the valence",
        "viewers": "viewers it rests on",
        "synchrony": "the viewers' mean correlation with the others in the window; empty: too few",
        "p": "that so high a correlation is chance, corrected for all moments and emotions",
    },
    "headline": {
        "group": "the treatment; empty: all viewers",
        "viewers": "viewers who were seen",
        "synchrony": "the mean synchrony of the valence over all windows",
        "synchrony_low": "the lower end of its 95 % interval",
        "synchrony_high": "the upper end",
        "synchrony_p": "that it is chance",
        "peak": "the highest share of viewers who showed happy (0.5 or more) in one second",
        "peak_low": "the lower end of its 95 % interval (Wilson), for that second",
        "peak_high": "the upper end",
        "peak_at": "which second",
        "peak_viewers": "viewers who were seen in it",
        "laughs": "laughs of a viewer per minute",
        "laughs_low": "the lower end of its 95 % interval",
        "laughs_high": "the upper end",
    },
    "contrasts": {
        "what": "synchrony, laughs or peak",
        "first_group": "the first treatment",
        "second_group": "the second treatment",
        "difference": "the first less the second",
        "low": "the lower end of the 95 % interval that holds for synchrony and laughs at once",
        "high": "the upper end",
        "p": "of no difference, corrected likewise",
        "effect": "Hedges's g; of the peak Cohen's h",
    },
    "clusters": {
        "first_group": "the first group",
        "second_group": "the second group",
        "emotion": "an emotion, or the valence",
        "start": "when the stretch begins, in seconds of the treatment",
        "end": "when it ends",
        "difference": "the mean over it of the first group's mean less the second's, in probability",
        "mass": "the sum of Student's t over its seconds",
        "p": "that so large a mass is chance, corrected for all seconds and emotions",
    },
    "attention": {
        "second": "of the treatment, from 0",
        "group": "the group; empty: all viewers",
        "viewers": "viewers of whom it is known where their head is turned",
        "unknown": "viewers of whom it is not: not to be seen, or the model does not say",
        "facing": "the share of the known who face the screen, 0 to 1",
        "low": "the lower end of its 95 % interval (Wilson)",
        "high": "the upper end",
    },
    "heads": {
        "viewer": "the recording, or recording/seat",
        "group": "the group; empty where there is none",
        "known_s": "seconds in which it is known where the head is turned",
        "usual_yaw": "where it is usually turned, to the picture's right, in degrees; empty: too little is known",
        "usual_pitch": "the same, down; about 9 for a head held upright before the camera",
        "facing": "the share of these seconds in which the viewer faces the screen, 0 to 1",
    },
    "turned": {
        "viewer": "the recording, or recording/seat",
        "second": "of the treatment, from 0; there is no row where nothing tells where the head is turned",
        "yaw": "where the head is turned, the mean in that second: to the picture's right, in degrees",
        "pitch": "the same, down",
    },
    "own_level": OWN_LEVEL,
    "usual_seconds": USUAL_SECONDS,
    "above_usual": {
        "group": "the group; empty: all viewers",
        "emotion": "the emotion",
        "viewers": "viewers whose usual face is known",
        "above": "the mean over them of the emotion's mean over all that was watched, less the usual face's",
        "low": "the lower end of its 95 % interval, for itself",
        "high": "the upper end",
    },
    "pairs": {
        "first": "a seat: recording/seat",
        "second": "another seat of the same picture",
        "neighbours": "whether they are neighbours",
        "synchrony": "how far their valence correlates over all that both were seen",
    },
}


@dataclass(frozen=True)
class Shown:
    """What there is to show.

    Attributes:
        watched: What the viewers showed.
        reactions: How they reacted to events; None: there were none.
        courses: The mean curves: all viewers, then each group.
        differences: How groups differ.
        synchronies: How far each group moves together.
        moments: The moments that moved people together, ranked.
        headlines: What is said of each treatment first.
        contrasts: How these figures differ.
        compared: Where groups differ over the whole course.
        neighbours: Whether neighbours move together more than others; None: there is no such plan.
        pictures: Of the treatment, by the moments' times.
        own: What lies above the viewers' usual faces; None: it was not asked for.
        attention: Who faced the screen; None: nothing tells where heads are turned.
    """

    watched: Watching
    reactions: Reactions | None
    courses: list[Course]
    differences: list[Difference]
    synchronies: list[Synchrony] = field(default_factory=list)
    moments: list[Moment] = field(default_factory=list)
    headlines: list[Headline] = field(default_factory=list)
    contrasts: list[Contrast] = field(default_factory=list)
    compared: list[Compared] = field(default_factory=list)
    neighbours: Neighbours | None = None
    pictures: dict[float, bytes] = field(default_factory=dict)
    own: OwnLevel | None = None
    attention: Attention | None = None


TEXT = {"event", "emotion", "viewer", "group", "what", "first_group", "second_group", "first"}
WHOLE = {"unknown", "viewers", "reacted", "second", "viewers_first", "viewers_second", "peak_viewers"}
TRUTHS = {"cut", "judged", "neighbours"}


def audience_tables(shown: Shown, *, anonymous: bool) -> list[Data]:
    """Return the tables; anonymous: those of single viewers left out."""
    import polars as pl

    rows = (_of_reactions(shown.reactions, shown.watched) if shown.reactions else {}) | _of_synchrony(shown)
    above = [course.shares for course in shown.own.courses] if shown.own else []
    rows["curve"] = [
        (
            *(second, course.group, int(course.viewers[second]), *map(float, course.shares[second])),
            *(float(course.low[second, HAPPY]), float(course.high[second, HAPPY])),
            *(map(float, above[place][second]) if above else ()),
        )
        for place, course in enumerate(shown.courses)
        for second in range(len(course.viewers))
    ]
    if shown.own:
        rows["above_usual"] = [
            (level.group, emotion, level.viewers, *vars(of).values())
            for level in shown.own.levels
            for emotion, of in zip(EMOTIONS, level.above, strict=True)
        ]
    if shown.attention:
        rows |= _of_attention(shown.attention, shown.watched)
    if shown.differences:
        rows["groups"] = [
            (
                *(of.what, of.emotion, of.first_group, of.second_group, of.value, of.low, of.high, of.p, of.g),
                *of.viewers,
            )
            for of in shown.differences
        ]
    if anonymous:
        rows.pop("viewers", None)
        rows.pop("pairs", None)
        rows.pop("heads", None)
        rows.pop("turned", None)
    tables = [_table(name, values, own=shown.own is not None) for name, values in rows.items()]
    if shown.synchronies:
        tables.append(Data("synchrony", _over_time(shown.synchronies), COLUMNS["synchrony"]))
    if anonymous:
        return tables
    if shown.own:
        used = pl.concat(shown.watched.used)
        tables += [own_level_table(shown.own.people), used_seconds(used, shown.watched.names)]
    courses = _courses(shown.watched, shown.own)
    return [*tables, Data("courses", courses, _columns("courses", own=shown.own is not None))]


def _columns(name: str, *, own: bool) -> dict[str, str]:
    return {column: what for column, what in COLUMNS[name].items() if own or column not in ABOVE}


def _table(name: str, rows: list[Any], *, own: bool) -> Data:
    import polars as pl

    columns, kinds = _columns(name, own=own), dict[str, Any]()
    for column in columns:
        text = column in TEXT or (name, column) == ("pairs", "second")
        kind = pl.String if text else pl.Int64 if column in WHOLE else pl.Float64
        kinds[column] = pl.Boolean if column in TRUTHS else kind
    table = pl.DataFrame(rows, schema=kinds, orient="row")
    return Data(name, table.with_columns(pl.col(pl.Float64).fill_nan(None)), columns)


def _of_reactions(reactions: Reactions, watched: Watching) -> dict[str, list[Any]]:
    judged = [(reaction.event, True) for reaction in reactions.each] + [(event, False) for event in reactions.unseen]
    of = reactions.estimates
    return {
        "events": [
            (event.label, event.at, event.duration, seen) for event, seen in sorted(judged, key=lambda row: row[0].at)
        ],
        "reactions": [
            (
                *(reaction.event.label, reaction.event.at, reaction.event.duration),
                *(EMOTIONS[reaction.emotion], reaction.viewers),
                *(reaction.height.value, reaction.height.low, reaction.height.high, reaction.p),
                *(reaction.latency.value, reaction.latency.low, reaction.latency.high),
                *(reaction.duration.value, reaction.duration.low, reaction.duration.high),
                *_reacted(reaction),
                *(reaction.window, reaction.cut),
            )
            for reaction in reactions.each
        ],
        "emotions": [
            (
                *(reaction.event.label, reaction.event.at, emotion, int(of.units[7 * n + m])),
                *(
                    float(end[7 * n + m])
                    for end in (of.value, of.low, of.high, of.all_low, of.all_high, of.p, of.all_p)
                ),
            )
            for n, reaction in enumerate(reactions.each)
            for m, emotion in enumerate(EMOTIONS)
        ],
        "viewers": [
            (name, group, reaction.event.label, reaction.event.at, *map(float, reactions.heights[v, n]))
            for n, reaction in enumerate(reactions.each)
            for v, (name, group) in enumerate(zip(watched.names, watched.groups, strict=True))
            if np.isfinite(reactions.heights[v, n]).any()
        ],
    }


def _of_attention(of: Attention, watched: Watching) -> dict[str, list[Any]]:
    sizes = {"": len(watched.names)} | {group: watched.groups.count(group) for group in watched.groups if group}
    return {
        "attention": [
            (second, faced.group, known, sizes[faced.group] - known, *vars(faced.in_second(second)).values())
            for faced in of.groups
            for second, known in enumerate(faced.known.tolist())
            if known
        ],
        "heads": [tuple(vars(viewer).values()) for viewer in of.viewers],
        "turned": _turned(watched),
    }


def _turned(watched: Watching) -> list[Any]:
    """Return a row for each viewer and second in which it is known where the head is turned."""
    if watched.heads is None:
        return []
    known = np.argwhere(np.isfinite(watched.heads).all(2))
    return [
        (watched.names[viewer], int(second), *map(float, watched.heads[viewer, second])) for viewer, second in known
    ]


def _of_synchrony(shown: Shown) -> dict[str, list[Any]]:
    """Return the rows of what needs no events."""
    rows: dict[str, list[Any]] = {
        "moments": [
            (
                *(moment.group, moment.at, SIGNALS[moment.signal], *vars(moment.synchrony).values(), moment.p),
                *(moment.start, moment.end, moment.change, moment.viewers),
            )
            for moment in shown.moments
        ],
        "headline": [
            (
                *(headline.group, headline.viewers, *vars(headline.synchrony).values(), headline.synchrony_p),
                *(*vars(headline.peak).values(), headline.peak_at, headline.peak_viewers),
                *vars(headline.laughs).values(),
            )
            for headline in shown.headlines
        ],
    }
    if shown.contrasts:
        rows["contrasts"] = [
            (of.what, of.first_group, of.second_group, *vars(of.difference).values(), of.p, of.effect)
            for of in shown.contrasts
        ]
    if shown.compared:
        rows["clusters"] = [
            (
                *(of.first_group, of.second_group, SIGNALS[cluster.signal], cluster.start, cluster.end),
                *(cluster.difference, cluster.mass, cluster.p),
            )
            for of in shown.compared
            for cluster in of.clusters
        ]
    if shown.neighbours:
        rows["pairs"] = [(pair.first, pair.second, pair.near, pair.synchrony) for pair in shown.neighbours.pairs]
    return rows


def _over_time(synchronies: Sequence[Synchrony]) -> pl.DataFrame:
    """Return the synchrony of each group, window and signal."""
    import polars as pl

    parts = []
    for synchrony in synchronies:
        windows, k = synchrony.value.shape
        columns: dict[str, Any] = {
            "at": np.repeat(synchrony.at, k),
            "emotion": list(SIGNALS[:k]) * windows,
            "viewers": synchrony.viewers.reshape(-1).astype(np.int64),
            "synchrony": synchrony.value.reshape(-1),
            "p": synchrony.p.reshape(-1),
        }
        part = pl.DataFrame(columns).with_columns(pl.col("synchrony", "p").fill_nan(None))
        parts.append(part.select(pl.lit(synchrony.group).alias("group"), pl.all()))
    return pl.concat(parts)


def _reacted(reaction: Reaction) -> tuple[float | None, ...]:
    if reaction.reacted is None:
        return (None,) * 4
    share = reaction.reacted.share
    return reaction.reacted.hits, share.value, share.low, share.high


def _courses(watched: Watching, own: OwnLevel | None) -> pl.DataFrame:
    """Return what each viewer showed at each point."""
    import polars as pl

    parts = []
    for viewer, (name, group, shares) in enumerate(zip(watched.names, watched.groups, watched.shares, strict=True)):
        points = np.nonzero(np.isfinite(shares[:, 0]))[0]
        emotions: dict[str, Any] = {str(emotion): shares[points, n] for n, emotion in enumerate(EMOTIONS)}
        emotions |= {column: own.shares[viewer, points, n] for n, column in enumerate(ABOVE)} if own else {}
        seen = pl.DataFrame({"at": points * watched.step_s, **emotions})
        parts.append(seen.select(pl.lit(name).alias("viewer"), pl.lit(group).alias("group"), pl.all()))
    return pl.concat(parts).with_columns(pl.col(pl.Float32).fill_nan(None))
