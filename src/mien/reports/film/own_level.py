"""Above the usual face in a film: its faces go in; what lies above that of each actor or the only person comes out.

Who is who from scene to scene only a cast list says. Without one a film has an own level where no scene shows two
people; all its faces are then taken for one person's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mien.charts.palette import COLOURS
from mien.charts.svg import Curve, lines
from mien.observation import EMOTIONS
from mien.reports.base.curve import bin_length, curve
from mien.reports.base.parts import Chart, Part
from mien.reports.base.usual_face import (
    ABOVE,
    Calibration,
    Person,
    above_usual,
    people_of,
    people_table,
    usual_seconds,
)

if TYPE_CHECKING:
    import polars as pl

__all__ = ["OwnLevel", "look_above", "own_parts"]

DRAWN = 6
"""So many people have a curve on the page."""


@dataclass(frozen=True)
class OwnLevel:
    """What lies above the usual faces of a film's people.

    Attributes:
        calibration: From which time these are taken.
        people: Each person's own level; the only person has no name. Empty: there are several, and no cast list.
        curves: Of each person a row per bin: `person`, `start`, and `above_` of each emotion.
        used: The seconds that the usual faces are taken from.
    """

    calibration: Calibration
    people: list[Person]
    curves: pl.DataFrame
    used: pl.DataFrame


def look_above(
    faces: pl.DataFrame, seconds: float, actors: Sequence[str], together: int, calibration: Calibration
) -> OwnLevel:
    """Return what lies above the usual faces.

    Args:
        faces: The film's rows, with `actor`.
        seconds: How long it is.
        actors: Those of the cast list; none: there is no list.
        together: How many people a scene shows, at most.
        calibration: From which time usual faces are taken.
    """
    import polars as pl

    whose = pl.col("actor") if actors else pl.when(pl.col("track").is_not_null()).then(pl.lit(""))
    names = list(actors) or ([""] if together == 1 else [])
    faces = faces.drop("person").with_columns(whose.cast(pl.String).alias("person"))
    used = usual_seconds(faces, calibration)
    above = above_usual(faces, used)
    people = people_of(above, names)
    curves = [
        _course(above.filter(pl.col("person") == person.name), seconds).select(
            pl.lit(person.name).alias("person"), "start", *ABOVE
        )
        for person in people
    ]
    empty = pl.DataFrame(schema={"person": pl.String, "start": pl.Float64} | dict.fromkeys(ABOVE, pl.Float64))
    return OwnLevel(calibration, people, pl.concat([empty, *curves]), used)


def _course(own: pl.DataFrame, seconds: float) -> pl.DataFrame:
    """Return the curve of somebody's rows, of what lies above the usual face."""
    import polars as pl

    shown = own.select(
        *("frame", "at", "x", "readable", "span", "scene"),
        pl.lit(1).alias("person"),
        *(pl.col(f"above_{emotion}").alias(emotion) for emotion in EMOTIONS),
    )
    return curve(shown, seconds, None).rename({emotion: f"above_{emotion}" for emotion in EMOTIONS})


def own_parts(own: OwnLevel, seconds: float) -> list[Part]:
    """Return what the page shows: a curve and a row for each person."""
    import polars as pl

    parts: list[Part] = []
    for person in own.people[:DRAWN]:
        if person.usual is None:
            continue
        course = own.curves.filter(pl.col("person") == person.name)
        values = 100 * course["above_happy"].cast(pl.Float64).fill_null(float("nan")).to_numpy()
        top = 10.0 * np.ceil(float(np.nanmax(np.abs(values), initial=10)) / 10)
        times = course["start"].to_numpy() + bin_length(seconds) / 2
        drawn = lines(times, [Curve("happy", COLOURS["happy"], values)], seconds, unit="", low=-top, high=top)
        name = f"{person.name}: happy" if person.name else "Happy"
        parts.append(Chart(drawn, f"{name}, in points above the usual face of {own.calibration.words}."))
    return [*parts, people_table(own.people, own.calibration)]
