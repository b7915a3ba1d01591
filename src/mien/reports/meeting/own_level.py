"""Above the usual face in a meeting: its faces go in; what lies above each one's usual face comes out, by speakers.

A face is a speaker's where that is known, and else a track's by itself, so that the room has an own level, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from mien.reports.base.places import Place, named_faces
from mien.reports.base.recordings import Recording
from mien.reports.base.usual_face import Calibration, Person, above_usual, people_of

__all__ = ["OwnLevel", "look_above"]


@dataclass(frozen=True)
class OwnLevel:
    """The usual faces of a meeting.

    Attributes:
        calibration: From which time they are taken.
        people: The speakers whose face is known, each with the own level.
        known: The share of the readable faces' time of which the usual face is known, 0 to 1.
    """

    calibration: Calibration
    people: list[Person]
    known: float


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
    above = above_usual(faces, calibration)
    names = list(dict.fromkeys(place.speaker for place in places if place.speaker))
    people = [
        replace(person, name=person.name.removeprefix("speaker "))
        for person in people_of(above, [f"speaker {name}" for name in names])
    ]
    shown = pl.col("span").filter("readable").sum()
    known = above.select(pl.col("span").filter(pl.col("readable") & pl.col("above_happy").is_not_null()).sum() / shown)
    return replace(recording, faces=above), OwnLevel(calibration, people, float(known.item() or 0.0))
