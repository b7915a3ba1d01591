"""The time line of a report: the tables beside its page go in, the tiers that other tools open come out.

What a table does not tell, as where a report is anonymous, is in no tier either.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import groupby, pairwise
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from mien.errors import UsageError
from mien.exports.runs import Reading, Runs
from mien.exports.timeline import UNCLEAR, Annotation, Tier, Timeline
from mien.observation import EMOTIONS

if TYPE_CHECKING:
    import polars as pl

__all__ = ["timeline_of"]

CLEAR_P = 0.05
"""A reaction is among the moments where its corrected p is lower."""


def timeline_of(kind: str, title: str, tables: Mapping[str, pl.DataFrame], media: tuple[str, ...]) -> Timeline:
    """Return the time line of a report.

    Args:
        kind: `film`, `meeting` or `audience`.
        title: What it is of.
        tables: Those that are written beside its page, by name.
        media: The names of the videos that it is of.

    Raises:
        UsageError: It is of photos, which have no time.
    """
    tiers: list[Tier] = []
    if kind == "film":
        tiers = list(_of_films(tables))
    elif kind == "meeting":
        tiers = list(_of_meeting(tables))
    elif kind == "audience":
        tiers = list(_of_audience(tables))
    else:
        raise UsageError(f"a report on an {kind} has no time line: photos have no running time; leave out --export")
    ends = [mark.end for tier in tiers for mark in tier.marks]
    return Timeline(title, max(ends, default=0.0), tiers, media)


def _of_films(tables: Mapping[str, pl.DataFrame]) -> Iterator[Tier]:
    several = tables["curve"]["film"].n_unique() > 1
    for curve in tables["curve"].partition_by("film", maintain_order=True):
        film = str(curve["film"][0])
        before = f"{film}: " if several else ""
        yield Tier(f"{before}all faces", "expression", before + "all faces", _strongest(curve, "start", 0.5))
        if "moments" in tables:
            yield Tier(f"{before}moments", "moment", film, _moments(tables["moments"], ("film", film), "value"))
        if "faces" in tables:
            for person, marks in _looks(tables["faces"], film).items():
                yield Tier(before + person, "expression", before + person, marks)


def _of_meeting(tables: Mapping[str, pl.DataFrame]) -> Iterator[Tier]:
    utterances = tables["utterances"]
    rows = utterances.to_dicts()
    for speaker in dict.fromkeys(row["speaker"] for row in rows):
        marks = [
            Annotation(row["start"], row["end"], row["text"] or "speaks") for row in rows if row["speaker"] == speaker
        ]
        yield Tier(f"{speaker or 'unknown'}: words", "utterance", speaker or "unknown", marks)
    if "courses" in tables:
        for course in tables["courses"].partition_by("speaker", maintain_order=True):
            speaker = str(course["speaker"][0])
            yield Tier(f"{speaker}: face", "expression", speaker, _strongest(course, "start", 0.5))
    yield Tier("all faces", "expression", "all faces", _strongest(tables["curve"], "start", 0.5))
    disagree = [Annotation(row["start"], row["end"], "words and faces disagree") for row in rows if row["disagrees"]]
    yield Tier("disagreements", "moment", "", disagree)


def _of_audience(tables: Mapping[str, pl.DataFrame]) -> Iterator[Tier]:
    events = tables.get("events")
    if events is not None:
        marks = [Annotation(row["at"], row["at"] + (row["length"] or 0.0), row["event"]) for row in events.to_dicts()]
        yield Tier("events", "event", "", marks)
    reactions = tables.get("reactions")
    if reactions is not None:
        landed = [row for row in reactions.to_dicts() if row["p"] is not None and row["p"] < CLEAR_P]
        yield Tier("reactions", "moment", "audience", [_reaction(row) for row in landed])
    if "moments" in tables:
        clear = tables["moments"].filter(tables["moments"]["p"] < CLEAR_P)
        yield Tier("moments", "moment", "audience", _moments(clear))
    everybody = tables["curve"].filter(tables["curve"]["group"].fill_null("") == "")
    yield Tier("audience", "expression", "audience", _strongest(everybody, "second", 1.0))
    if "courses" in tables:
        for course in tables["courses"].partition_by("viewer", maintain_order=True):
            viewer = str(course["viewer"][0])
            yield Tier(viewer, "expression", viewer, _strongest(course, "at", 0.25))


def _reaction(row: dict[str, Any]) -> Annotation:
    """Return a reaction as an interval around its peak, as long as it lasts; a moment where that is not known."""
    peak = row["at"] + (row["latency"] or 0.0)
    half = (row["duration"] or 0.0) / 2
    return Annotation(max(row["at"], peak - half), peak + half, f"{row['emotion']} after {row['event']}")


def _moments(
    table: pl.DataFrame, only: tuple[str, str] | None = None, probability: str | None = None
) -> list[Annotation]:
    rows = table.to_dicts() if only is None else table.filter(table[only[0]] == only[1]).to_dicts()
    return [Annotation(row["at"], row["at"], row["emotion"], row[probability] if probability else None) for row in rows]


def _strongest(course: pl.DataFrame, at: str, usual_s: float) -> list[Annotation]:
    """Return for how long which emotion had the highest mean, of a table with a row per bin; none where none is known.

    Args:
        course: The bins; where a bin is missing, nothing was seen.
        at: The column that says when a bin begins.
        usual_s: How long a bin is where there is but one.
    """
    rows = course.sort(at).select(at, *EMOTIONS).rows()
    width = min((after[0] - before[0] for before, after in pairwise(rows) if after[0] > before[0]), default=usual_s)
    runs: Runs[str] = Runs(width * (1 + 1e-6), width)
    for time, *shares in rows:
        looks = {}
        if all(share is not None for share in shares):
            best = max(range(len(EMOTIONS)), key=lambda number: float(shares[number]))
            looks[""] = Reading(EMOTIONS[best], float(shares[best]))
        runs.frame(float(time), looks)
    return runs.close().get("", [])


def _looks(faces: pl.DataFrame, film: str) -> dict[str, list[Annotation]]:
    """Return for how long each person of a film went on looking the same."""
    of_film = faces.filter(faces["film"] == film)
    scenes = of_film["scene"].n_unique() > 1
    runs: Runs[str] = Runs()
    rows = of_film.select("at", "scene", "person", "emotion", *EMOTIONS).iter_rows(named=True)
    for at, frame in groupby(rows, key=itemgetter("at")):
        looks = {}
        for row in frame:
            if row["person"] is not None:
                name = f"person {row['scene']}.{row['person']}" if scenes else f"person {row['person']}"
                emotion = row["emotion"]
                looks[name] = Reading(emotion or UNCLEAR, row[emotion] if emotion else None)
        runs.frame(float(at), looks)
    return runs.close()
