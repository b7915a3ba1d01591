"""Above the usual face in a meeting: its faces go in; what lies above each one's usual face comes out, by speakers.

A face is a speaker's where that is known, and else a track's by itself, so that the room has an own level, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from mien.config import Settings
from mien.reports.base.places import Place, named_faces
from mien.reports.base.recordings import Inputs, Recording
from mien.reports.base.usual_face import (
    MOST_MARKERS,
    Calibration,
    Person,
    above_usual,
    marked,
    people_of,
    usual_seconds,
)
from mien.stores.base import open_store

if TYPE_CHECKING:
    import polars as pl

__all__ = ["OwnLevel", "by_clock", "look_above"]

DAY_S = 86_400


@dataclass(frozen=True)
class OwnLevel:
    """The usual faces of a meeting.

    Attributes:
        calibration: From which time they are taken.
        people: The speakers whose face is known, each with the own level.
        known: The share of the readable faces' time of which the usual face is known, 0 to 1.
        used: The seconds that the speakers' are taken from.
    """

    calibration: Calibration
    people: list[Person]
    known: float
    used: pl.DataFrame


def by_clock(calibration: Calibration, recording: Recording, inputs: Inputs, settings: Settings) -> Calibration:
    """Return a calibration, its times those of the recording where they are the clock's.

    A stretch is of the clock where it lies behind the recording's end. Files have no markers; where the picture shows a
    clock, those of the settings' store are laid to it.

    Args:
        calibration: The choice of time.
        recording: The meeting's.
        inputs: What it was made of, and in which zone the clock runs.
        settings: The effective settings.

    Raises:
        UsageError: There is no such marker.
        StoreError: The settings' store cannot be read.
    """
    began = recording.began
    if began is None:
        return calibration
    if calibration.stretch is not None and calibration.stretch[0] > recording.seconds:
        midnight = began.replace(hour=0, minute=0, second=0, microsecond=0)
        start, end = (time - (began - midnight).total_seconds() for time in calibration.stretch)
        start, end = (start + DAY_S, end + DAY_S) if end < -DAY_S / 2 else (start, end)
        return replace(calibration, stretch=(max(0.0, start), end)) if end > 0 else calibration
    if calibration.marker is None or inputs.store:
        return calibration
    aware = inputs.with_zone(began)
    with closing(open_store(settings.store_url, read_only=True)) as store:
        markers = store.markers(aware, aware + timedelta(seconds=recording.seconds), None, MOST_MARKERS)
    events = [((marker.time - aware).total_seconds(), marker.label, 0.0) for marker in markers]
    return marked(calibration, events)


def look_above(recording: Recording, places: Sequence[Place], calibration: Calibration) -> tuple[Recording, OwnLevel]:
    """Return the recording, its faces with what lies above the usual face, and the usual faces.

    Args:
        recording: The meeting's.
        places: Where speakers are to be seen.
        calibration: From which time usual faces are taken.
    """
    import polars as pl

    lines = recording.faces.with_row_index("line")
    named = named_faces(lines.filter(pl.col("readable")), places).select("line", "speaker")
    alone = pl.format("{} {}", pl.col("session").fill_null("").rank("dense"), pl.col("track"))
    faces = (
        lines.join(named, on="line", how="left", maintain_order="left")
        .with_columns(pl.coalesce(pl.lit("speaker ") + pl.col("speaker"), pl.lit("track ") + alone).alias("person"))
        .drop("line", "speaker")
    )
    used = usual_seconds(faces, calibration)
    above = above_usual(faces, used)
    names = list(dict.fromkeys(place.speaker for place in places if place.speaker))
    people = [
        replace(person, name=person.name.removeprefix("speaker "))
        for person in people_of(above, [f"speaker {name}" for name in names])
    ]
    shown = pl.col("span").filter("readable").sum()
    known = above.select(pl.col("span").filter(pl.col("readable") & pl.col("above_happy").is_not_null()).sum() / shown)
    used = used.filter(pl.col("person").str.starts_with("speaker ")).with_columns(
        pl.col("person").str.strip_prefix("speaker ")
    )
    return replace(recording, faces=above), OwnLevel(calibration, people, float(known.item() or 0.0), used)
