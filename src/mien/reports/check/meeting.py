"""The figures of a report on a meeting: the room with each speaker, what each showed, and reactions to turns."""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Iterator

from mien.observation import EMOTIONS
from mien.reports.check.figure import Figure, Row
from mien.reports.check.files import ReportFiles
from mien.reports.check.intervals import estimated
from mien.reports.check.own_level import above_of_meeting

__all__ = ["meeting_figures"]

BIN_S, AFTER_S = 0.5, 5.0
MAX_SHIFTED = 8_000_000
"""So many bins of shifted turns are looked at in a meeting, at most; of more shifts only some are taken."""


def meeting_figures(report: ReportFiles) -> Iterator[Figure]:
    """The room's happiness while anybody, and while each, spoke: utterances weighed by their face-seconds."""
    import polars as pl

    number = pl.Float64
    utterances = report.table(
        "utterances",
        {"speaker": pl.String, "disagrees": pl.Boolean}
        | dict.fromkeys(
            ("start", "end", "face_seconds", "happy", "speaker_face_seconds", "speaker_happy", "words"), number
        ),
    ).to_dicts()
    speakers = report.table(
        "speakers",
        {"speaker": pl.String}
        | dict.fromkeys(("utterances", "seconds", "room_happiness", "low", "high", "own_happiness"), number)
        | dict.fromkeys(("in_view", "screen_seconds", "screen_share"), number),
    ).to_dicts()
    by_speaker: dict[str | None, list[Row]] = defaultdict(list)
    for row in utterances:
        if row["speaker"] is not None:
            by_speaker[row["speaker"]].append(row)
    by_speaker[None] = utterances
    for mood in speakers:
        own, name = by_speaker[mood["speaker"]], mood["speaker"] or "everybody"
        units = [
            (100 * row["happy"] * row["face_seconds"], row["face_seconds"]) for row in own if row["happy"] is not None
        ]
        yield Figure(f"utterances of {name}", mood["utterances"], len(own))
        yield Figure(f"seconds of {name}", mood["seconds"], sum(row["end"] - row["start"] for row in own), 0.01)
        if units:
            yield from estimated(f"the room with {name}", units, mood["room_happiness"], mood["low"], mood["high"])
        else:
            yield Figure(f"the room with {name}", mood["room_happiness"], None)
        mine = [(row["speaker_happy"], row["speaker_face_seconds"]) for row in own if row["speaker_happy"] is not None]
        if mine and mood["speaker"]:
            happy = 100 * sum(share * faces for share, faces in mine) / sum(faces for _, faces in mine)
            yield Figure(f"own happiness of {name}", mood["own_happiness"], happy, 1e-6)
    everybody = next(mood for mood in speakers if mood["speaker"] is None)
    fact = report.figures.fact("Happiness of the room")
    yield Figure("happiness of the room", fact.value, everybody["room_happiness"], 1e-9)
    if fact.value is not None and everybody["room_happiness"] is not None:
        yield Figure("happiness of the room, in words", fact.shown, f"{everybody['room_happiness']:.0f} of 100")
    yield Figure("utterances", report.figures.fact("Utterances").value, len(utterances))
    judged = not utterances or any(row["words"] is not None for row in utterances)
    odd = sum(bool(row["disagrees"]) for row in utterances) if judged else None
    yield Figure("words and faces disagree", report.figures.fact("Words and faces disagree").value, odd)
    if report.has("courses"):
        yield from _speakers(report, speakers, utterances)
    if report.figures.asked.get("calibrate"):
        yield from above_of_meeting(report)


def _speakers(report: ReportFiles, speakers: list[Row], utterances: list[Row]) -> Iterator[Figure]:
    """What single speakers showed: states and screen time from bins of half a second, reactions from shifted turns."""
    import polars as pl

    number, flag = pl.Float64, pl.Boolean
    kinds = {
        "speaker": pl.String,
        "start": number,
        "looked": number,
        "seconds": number,
        "speaks": flag,
        "listens": flag,
    }
    bins: dict[str, list[Row]] = defaultdict(list)
    for row in report.table("courses", kinds | dict.fromkeys(EMOTIONS, number)).iter_rows(named=True):
        bins[row["speaker"]].append(row)
    states = report.table(
        "states",
        {"speaker": pl.String, "state": pl.String} | dict.fromkeys(("looked", "seconds", "in_view", *EMOTIONS), number),
    )
    for row in states.iter_rows(named=True):
        flagged = "speaks" if row["state"] == "speaking" else "listens"
        own = [part for part in bins[row["speaker"]] if part[flagged]]
        looked, seen = sum(part["looked"] for part in own), sum(part["seconds"] for part in own)
        name = f"{row['speaker']}, {row['state']}"
        yield Figure(f"{name}: own face in view", row["in_view"], seen / looked if looked > 0 else None, 1e-9)
        for emotion in EMOTIONS:
            mean = sum((part[emotion] or 0.0) * part["seconds"] for part in own) / seen if seen >= 2 else None
            yield Figure(f"{name}: {emotion}", row[emotion], mean, 1e-6)
    for row in speakers:
        if there := bins.get(row["speaker"] or ""):
            looked, seen = sum(part["looked"] for part in there), sum(part["seconds"] for part in there)
            yield Figure(f"screen time of {row['speaker']}", row["screen_seconds"], seen, 1e-6 * (1 + seen))
            yield Figure(f"share of screen time of {row['speaker']}", row["screen_share"], seen / looked, 1e-9)
    yield from _reactions(report, bins, utterances)


def _reactions(report: ReportFiles, bins: dict[str, list[Row]], utterances: list[Row]) -> Iterator[Figure]:
    """Each listener's mean after each speaker's turns, and where 95 % of it lie when the turns are shifted along."""
    import polars as pl

    rows = report.table(
        "reactions",
        {"listener": pl.String, "speaker": pl.String} | dict.fromkeys(("turns", "reaction", "low", "high"), pl.Float64),
    ).to_dicts()
    length = report.figures.fact("Length").value or 0.0
    if not 0 <= length <= 10_000_000:
        raise ValueError("its length is none that a recording has")
    count = max(1, math.ceil(length / BIN_S - 1e-9))
    ends = _turns(utterances)
    lags = range(round(AFTER_S / BIN_S), count - round(AFTER_S / BIN_S) + 1)
    total = sum(len(_after(ends[row["speaker"]], count)) for row in rows)
    step = max(1, len(lags) * total // MAX_SHIFTED)
    for row in rows:
        silent = [part for part in bins[row["listener"]] if not part["speaks"] and part["seconds"] > 0]
        weights = {round(part["start"] / BIN_S): part["seconds"] for part in silent}
        sums = {round(part["start"] / BIN_S): part["happy"] * part["seconds"] for part in silent}
        if not weights:
            raise ValueError(f"{row['listener']} is never silent and in view")
        usual = sum(sums.values()) / sum(weights.values())
        after = _after(ends[row["speaker"]], count)
        seen = sum(weights.get(place, 0.0) for place in after)
        if seen <= 0:
            raise ValueError(f"{row['listener']} is not in view after any turn of {row['speaker']}")
        name = f"{row['listener']} after {row['speaker']}"
        value = 100 * (sum(sums.get(place, 0.0) for place in after) / seen - usual)
        yield Figure(f"{name}: reaction", row["reaction"], value, 1e-6)
        if row["low"] is None:
            continue
        shifted = []
        for lag in lags[::step]:
            moved = [(place + lag) % count for place in after]
            kept = sum(weights.get(place, 0.0) for place in moved)
            if kept >= seen / 2:
                shifted.append(100 * (sum(sums.get(place, 0.0) for place in moved) / kept - usual))
        if len(shifted) < 2:
            raise ValueError(f"too little is known of {name}")
        cuts = statistics.quantiles(shifted, n=40, method="inclusive")
        apart = (0.02 if step == 1 else 0.25) * (row["high"] - row["low"]) + 1e-6
        yield Figure(f"{name}: by chance, lower end", row["low"], cuts[0], apart)
        yield Figure(f"{name}: by chance, upper end", row["high"], cuts[-1], apart)


def _turns(utterances: list[Row]) -> dict[str, list[float]]:
    """Return when each speaker's turns end: what one says with at most 5 s and nobody else between is one."""
    turns: list[tuple[str | None, float]] = []
    for row in utterances:
        if turns and turns[-1][0] == row["speaker"] and row["start"] - turns[-1][1] <= 5.0:
            turns[-1] = row["speaker"], max(turns[-1][1], row["end"])
        else:
            turns.append((row["speaker"], row["end"]))
    ends: dict[str, list[float]] = defaultdict(list)
    for speaker, end in turns:
        if speaker is not None:
            ends[speaker].append(end)
    return ends


def _after(ends: list[float], count: int) -> list[int]:
    """Return the bins whose middle lies in the seconds after a turn, each once."""
    inside: set[int] = set()
    for end in ends:
        first = max(0, math.ceil(end / BIN_S - 0.5))
        last = min(count, math.ceil((end + AFTER_S) / BIN_S - 0.5))
        inside.update(range(first, last))
    return sorted(inside)
