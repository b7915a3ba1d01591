"""What single speakers showed: their own faces and the utterances go in; states, screen time and reactions come out.

The recording is cut into bins of half a second. In each a speaker speaks, listens (somebody else speaks) or neither,
and the own face is to be seen or not; every figure follows from these bins, which are written beside the page.

How a listener reacts to a speaker is the mean of `happy` over the listener's own face in the seconds after that
speaker's turns, less its mean over all the time in which the listener is silent. What chance gives is what the same
turns give when all of them are shifted along the recording, its end joined to its beginning: what depends on when the
turns were is lost, what either course is like in itself stays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mien.observation import EMOTIONS
from mien.reports.base.places import Place, named_faces
from mien.reports.base.recordings import Recording
from mien.reports.base.transcripts import Utterance

if TYPE_CHECKING:
    import polars as pl

__all__ = ["AFTER_S", "BIN_S", "ENOUGH_S", "FEWEST_SHIFTS", "SpeakerFigures", "look_at_speakers", "turns_of"]

BIN_S = 0.5
"""How long a bin is, in seconds."""

AFTER_S = 5.0
"""A reaction is looked for so long after a turn, in seconds."""

JOINED_S = 5.0
"""Utterances of one speaker, with nobody else between, are one turn where no more lies between them, in seconds."""

ENOUGH_S = 2.0
"""Of a face that is to be seen for less nothing is said, in seconds."""

FEWEST_TURNS = 3
"""After fewer turns in which the listener is to be seen, nothing is said of reactions."""

FEWEST_SHIFTS = 100
"""Of fewer shifts no interval is told."""

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class SpeakerFigures:
    """What single speakers showed.

    Attributes:
        courses: A row per speaker and bin with a frame: `speaker`, `start`, `looked` (seconds that its frames stand
            for), `seconds` (those of them with the own face, readable), `speaks`, `listens`, and the mean of each
            emotion; null without the face.
        states: A row per speaker and state (`speaking`, `listening`): `speaker`, `state`, `looked`, `seconds`,
            `in_view` (the share that the two make), and the mean of each emotion; null where too little was seen.
        screen: A row per speaker: `speaker`, `screen_seconds`, `screen_share`.
        reactions: A row per listener and speaker: `listener`, `speaker`, `turns`, `seconds`, `reaction` (points of
            100), and the ends of what chance gives in 95 %, `low` and `high`.
    """

    courses: pl.DataFrame
    states: pl.DataFrame
    screen: pl.DataFrame
    reactions: pl.DataFrame

    def in_view(self, speaker: str) -> float | None:
        """Return in how much of the speaking time a speaker's own face was in view; None where nothing tells."""
        import polars as pl

        rows = self.states.filter((pl.col("speaker") == speaker) & (pl.col("state") == "speaking"))
        return rows["in_view"][0] if len(rows) else None

    def seen_speaking(self) -> float | None:
        """Return in how much of the time in which they speak the speakers' own faces were in view."""
        import polars as pl

        rows = self.states.filter(pl.col("state") == "speaking")
        looked = float(rows["looked"].sum())
        return float(rows["seconds"].sum()) / looked if looked else None


def look_at_speakers(
    recording: Recording, utterances: Sequence[Utterance], places: Sequence[Place]
) -> SpeakerFigures | None:
    """Return what single speakers showed; None where no place is known.

    Args:
        recording: The meeting's.
        utterances: What was said, at the recording's times.
        places: Where speakers are to be seen.
    """
    import polars as pl

    names = list(dict.fromkeys(place.speaker for place in places if place.speaker))
    if not names:
        return None
    count = max(1, int(np.ceil(recording.seconds / BIN_S - 1e-9)))
    middles = BIN_S * np.arange(0.5, count, dtype=np.float64)
    spoken = {name: _within(middles, [part for part in utterances if part.speaker == name]) for name in names}
    others = {name: _within(middles, [part for part in utterances if part.speaker != name]) for name in names}
    bins = (pl.col("at") / BIN_S + 1e-9).floor().cast(pl.Int64).clip(0, count - 1).alias("bin")
    looked = (
        recording.faces.select("frame", "at", "span")
        .unique("frame")
        .group_by(bins)
        .agg(pl.col("span").sum().alias("looked"))
    )
    weighed = ((pl.col(emotion) * pl.col("span")).sum() / pl.col("span").sum() for emotion in EMOTIONS)
    own = (
        named_faces(recording.faces.filter(pl.col("readable")), places)
        .group_by("speaker", bins)
        .agg(pl.col("span").sum().alias("seconds"), *weighed)
    )
    flags = [
        pl.DataFrame({"bin": np.arange(count), "speaks": spoken[name], "listens": others[name] & ~spoken[name]})
        .with_columns(pl.lit(name).alias("speaker"), pl.col("bin").cast(pl.Int64))
        .join(looked, on="bin", how="inner")
        for name in names
    ]
    courses = (
        pl.concat(flags)
        .join(own, on=["speaker", "bin"], how="left", maintain_order="left")
        .select(
            "speaker",
            (pl.col("bin") * BIN_S).alias("start"),
            "looked",
            pl.min_horizontal(pl.col("seconds").fill_null(0.0), "looked"),
            "speaks",
            "listens",
            *EMOTIONS,
        )
        .sort("speaker", "start", maintain_order=True)
    )
    states = pl.concat([_state(courses, "speaks", "speaking"), _state(courses, "listens", "listening")])
    share = (pl.col("seconds").sum() / pl.col("looked").sum()).alias("screen_share")
    screen = courses.group_by("speaker", maintain_order=True).agg(
        pl.col("seconds").sum().alias("screen_seconds"), share
    )
    return SpeakerFigures(
        courses,
        states.sort("speaker", "state", descending=[False, True]),
        screen,
        _reactions(courses, utterances, count),
    )


def _within(times: Array, utterances: Sequence[Utterance]) -> Flags:
    """Return which times lie in one of the utterances."""
    inside = np.zeros(len(times), bool)
    for utterance in utterances:
        first, last = np.searchsorted(times, (utterance.start, utterance.end), side="left")
        inside[first:last] = True
    return inside


def _state(courses: pl.DataFrame, flag: str, state: str) -> pl.DataFrame:
    import polars as pl

    seen = pl.col("seconds").filter(flag).sum()
    means = [
        pl.when(seen >= ENOUGH_S)
        .then((pl.col(emotion) * pl.col("seconds")).filter(flag).sum() / seen)
        .otherwise(None)
        .alias(emotion)
        for emotion in EMOTIONS
    ]
    looked = pl.col("looked").filter(flag).sum()
    share = pl.when(looked > 0).then(seen / looked).otherwise(None).alias("in_view")
    return courses.group_by("speaker", maintain_order=True).agg(
        pl.lit(state).alias("state"), looked, seen, share, *means
    )


def turns_of(utterances: Sequence[Utterance]) -> list[tuple[str, float]]:
    """Return who ended a turn when, in order of time; utterances without a speaker end the turn before them."""
    turns: list[tuple[str, float]] = []
    before: str | None = None
    for utterance in utterances:
        same = utterance.speaker is not None and utterance.speaker == before
        if same and utterance.start - turns[-1][1] <= JOINED_S:
            turns[-1] = turns[-1][0], max(turns[-1][1], utterance.end)
        elif utterance.speaker is not None:
            turns.append((utterance.speaker, utterance.end))
        before = utterance.speaker
    return turns


def _reactions(courses: pl.DataFrame, utterances: Sequence[Utterance], count: int) -> pl.DataFrame:
    import polars as pl

    middles = BIN_S * np.arange(0.5, count, dtype=np.float64)
    after: dict[str, list[Flags]] = {}
    for name, end in turns_of(utterances):
        after.setdefault(name, []).append((middles >= end) & (middles < end + AFTER_S))
    windows = {name: np.any(flags, axis=0) for name, flags in after.items()}
    turned = {name: np.conj(np.fft.rfft(window.astype(np.float64))) for name, window in windows.items()}
    rows = []
    for part in courses.partition_by("speaker", maintain_order=True):
        listener = part["speaker"][0]
        silent = part.filter(~pl.col("speaks") & (pl.col("seconds") > 0))
        at = (silent["start"].to_numpy() / BIN_S + 0.5).astype(np.int64)
        weights, sums = np.zeros(count), np.zeros(count)
        weights[at] = silent["seconds"].to_numpy()
        sums[at] = (silent["happy"] * silent["seconds"]).to_numpy()
        if not weights.sum() > 0:
            continue
        usual = sums.sum() / weights.sum()
        waves = np.fft.rfft(sums), np.fft.rfft(weights)
        for speaker, window in windows.items():
            seen = float(weights[window].sum())
            turns = sum(bool(weights[flags].sum() > 0) for flags in after[speaker])
            if speaker == listener or turns < FEWEST_TURNS or seen < ENOUGH_S:
                continue
            value = 100 * (float(sums[window].sum()) / seen - usual)
            shifted, kept = (np.fft.irfft(wave * turned[speaker], count) for wave in waves)
            rows.append((listener, speaker, turns, seen, value, *_by_chance(shifted, kept, usual, seen)))
    names = ("listener", "speaker", "turns", "seconds", "reaction", "low", "high")
    kinds = (pl.String, pl.String, pl.Int64, *[pl.Float64] * 4)
    return pl.DataFrame(rows, schema=dict(zip(names, kinds, strict=True)), orient="row")


def _by_chance(sums: Array, weights: Array, usual: float, seen: float) -> tuple[float | None, float | None]:
    """Return the ends between which 95 % of the shifts lie that are longer than a window and see half as much."""
    near = round(AFTER_S / BIN_S)
    far = np.zeros(len(sums), bool)
    far[near : len(sums) - near + 1] = True
    told = far & (weights >= seen / 2)
    if told.sum() < FEWEST_SHIFTS:
        return None, None
    low, high = np.percentile(100 * (sums[told] / weights[told] - usual), (2.5, 97.5))
    return float(low), float(high)
