"""A person's usual face: rows of faces and a choice of time go in; what that person usually shows comes out.

Some look happy or cross when they rest. What lies above the own usual face tells an expression from that
(baseline correction). It stands beside the probabilities, never in their place, and a report
that has it says from which time the usual face was taken.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mien.charts.svg import clock
from mien.errors import UsageError
from mien.observation import EMOTIONS
from mien.reports.base.csv_lists import seconds as seconds_of
from mien.reports.base.parts import Data, Table
from mien.reports.base.recordings import Inputs, Recording
from mien.stores.base import open_store
from mien.words import counted, listed, signed

if TYPE_CHECKING:
    import polars as pl

__all__ = [
    "ABOVE",
    "MOST_MARKERS",
    "OWN_LEVEL",
    "USUAL_SECONDS",
    "Calibration",
    "Person",
    "above_usual",
    "calibration_of",
    "definition",
    "in_store",
    "marked",
    "missing",
    "own_level",
    "people_of",
    "people_table",
    "used_seconds",
    "usual_face",
    "usual_seconds",
]

LEAST_S = 3
"""A usual face takes so many seconds in which the person is to be seen."""

LONGEST_S = 3600
UNENDED_S = 30.0
"""A marker that no other follows stands for a stretch of so many seconds."""

MOST_MARKERS = 2000
STRETCH = re.compile(r"([\d:.]+)\s*(?:-|–|to)\s*([\d:.]+)")

OWN_LEVEL: dict[str, str] = {
    "person": "who: a viewer, a speaker or an actor; empty: the only person",
    "seconds": "how many seconds the usual face was taken from",
    **{
        f"usual_{emotion}": f"{emotion} of the usual face: the median of its mean in each second"
        for emotion in EMOTIONS
    },
    **{f"above_{emotion}": f"mean of {emotion} over all that was seen, less the usual face's" for emotion in EMOTIONS},
}
"""The columns of the table `own_level`."""

USUAL_SECONDS: dict[str, str] = {
    "person": "who: a viewer, a speaker or an actor; empty: the only person",
    "second": "a second that the usual face was taken from; of an audience counted from the treatment's beginning",
    **{emotion: f"mean of {emotion} in it" for emotion in EMOTIONS},
}
"""The columns of the table `usual_seconds`."""

ABOVE: dict[str, str] = {
    f"above_{emotion}": f"{emotion} less that of the person's usual face; empty where that is not known"
    for emotion in EMOTIONS
}
"""The columns of what lies above the usual face, where that was asked for."""

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Calibration:
    """From which time a person's usual face is taken; without any of these from all that was seen.

    Attributes:
        first_s: The first seconds in which the person is to be seen, so many.
        stretch: From when until when, in seconds of the recording, or of what an audience watched.
        marker: The text of the marker or event at which that stretch begins.
    """

    first_s: int | None = None
    stretch: tuple[float, float] | None = None
    marker: str | None = None

    @property
    def words(self) -> str:
        """From which time, in words."""
        if self.first_s is not None:
            return f"the first {self.first_s} s in which each is to be seen"
        if self.stretch is not None:
            named = f"“{self.marker}”, " if self.marker else ""
            return f"{named}{clock(self.stretch[0])} to {clock(self.stretch[1])}"
        return "all in which each is to be seen"


@dataclass(frozen=True)
class Person:
    """Somebody and the own level.

    Attributes:
        name: Who.
        seconds: So many seconds the usual face was taken from.
        usual: The usual face, one value per emotion, in EMOTIONS order; None: it cannot be told.
        above: By how much the mean of each emotion lies above it.
    """

    name: str
    seconds: int = 0
    usual: tuple[float, ...] | None = None
    above: tuple[float, ...] | None = None


def calibration_of(text: str | float | None) -> Calibration | None:
    """Return what a choice of time means: seconds, `median`, a stretch such as 0:10-0:40, or the text of a marker.

    >>> calibration_of("30").first_s, calibration_of("1:00-1:30").stretch, calibration_of("neutral").marker
    (30, (60.0, 90.0), 'neutral')

    Raises:
        UsageError: It is out of range, or empty.
    """
    if text is None:
        return None
    words = str(text).strip()
    try:
        first = float(words)
    except ValueError:
        first = math.nan
    if not math.isnan(first):
        if not LEAST_S <= first <= LONGEST_S:
            raise UsageError(f"cannot calibrate on {words} s: expected {LEAST_S} to {LONGEST_S:,}")
        return Calibration(first_s=round(first))
    if words.lower() == "median":
        return Calibration()
    if between := STRETCH.fullmatch(words):
        start, end = (seconds_of(part) for part in between.groups())
        if end - start < LEAST_S:
            raise UsageError(f"cannot calibrate on {words}: at least {LEAST_S} s are needed, the earlier time first")
        return Calibration(stretch=(start, end))
    if not words:
        raise UsageError("cannot calibrate: expected seconds, median, a stretch such as 0:10-0:40, or a marker's text")
    return Calibration(marker=words)


def marked(calibration: Calibration, events: Iterable[tuple[float, str, float]]) -> Calibration:
    """Return a calibration with the stretch that its marker names: until its end, or else the next marker.

    Args:
        calibration: The choice of time.
        events: When each begins, what it is, and how long it lasts, 0 where that is not known; in order of time.

    Raises:
        UsageError: None has that text.
    """
    if calibration.marker is None:
        return calibration
    known = list(events)
    wanted = calibration.marker.casefold()
    number = next((n for n, (_, label, _) in enumerate(known) if label.strip().casefold() == wanted), None)
    if number is None:
        named = listed([f"“{label}”" for label in dict.fromkeys(label for _, label, _ in known)], most=5)
        raise UsageError(f"cannot calibrate on “{calibration.marker}”: the markers are {named or 'none'}")
    at, _, length = known[number]
    following = next((other for other, _, _ in known[number + 1 :] if other > at), at + UNENDED_S)
    return replace(calibration, stretch=(at, at + length if length > 0 else following))


def in_store(calibration: Calibration, inputs: Inputs, recordings: Sequence[Recording]) -> Calibration:
    """Return a calibration with the stretch that a marker of the store names.

    Raises:
        UsageError: There is no such marker, or the report is made of files, which have none.
    """
    if calibration.marker is None or calibration.stretch is not None:
        return calibration
    if not inputs.store:
        raise UsageError(
            f"cannot calibrate on “{calibration.marker}”: files have no markers; name the stretch by its times, such "
            "as 0:10-0:40"
        )
    began = recordings[0].began or datetime.fromtimestamp(0, timezone.utc)
    until = inputs.until or began + timedelta(seconds=max(recording.seconds for recording in recordings))
    with closing(open_store(str(inputs.store), read_only=True)) as store:
        markers = store.markers(began, until, [recording.name for recording in recordings], MOST_MARKERS)
    return marked(calibration, [((marker.time - began).total_seconds(), marker.label, 0.0) for marker in markers])


def usual_seconds(faces: pl.DataFrame, calibration: Calibration, offset: float = 0.0) -> pl.DataFrame:
    """Return the seconds that usual faces are taken from: `person`, `second`, and the mean of each emotion in it.

    Who is seen in too few of the seconds that count has none: in fewer than 3, or than half of the first ones.

    Args:
        faces: The rows of a recording, with the column `person`.
        calibration: From which time the usual face is taken.
        offset: At what second of the recording begins what the stretch's times are counted from.
    """
    import polars as pl

    span, second = pl.col("span"), pl.col("second")
    by_second = (
        faces.filter(pl.col("readable") & pl.col("read") & pl.col("person").is_not_null())
        .group_by("person", (pl.col("at") - offset).floor().alias("second"))
        .agg((pl.col(emotion) * span).sum() / span.sum() for emotion in EMOTIONS)
    )
    least = LEAST_S
    if calibration.first_s is not None:
        by_second = by_second.filter(second.rank("ordinal").over("person") <= calibration.first_s)
        least = max(LEAST_S, calibration.first_s // 2)
    elif calibration.stretch is not None:
        start, end = calibration.stretch
        by_second = by_second.filter((second >= start) & (second + 1 <= end + 1e-9))
    return by_second.filter(pl.len().over("person") >= least).sort("person", "second")


def _medians(used: pl.DataFrame) -> pl.DataFrame:
    """Return a row per person whose usual face can be told: `person`, `seconds`, and `usual_` of each emotion.

    Args:
        used: The seconds that it is taken from, as `usual_seconds` returns them.
    """
    import polars as pl

    return (
        used.group_by("person")
        .agg(
            pl.len().cast(pl.Int64).alias("seconds"),
            *(pl.col(name).median().alias(f"usual_{name}") for name in EMOTIONS),
        )
        .sort("person")
    )


def usual_face(used: pl.DataFrame) -> tuple[int, Array] | None:
    """Return the usual face of somebody: of how many seconds it is, and its probabilities.

    Args:
        used: The seconds that it is taken from, as `usual_seconds` returns them, all of one person.
    """
    return next(((int(row[1]), np.array(row[2:], np.float64)) for row in _medians(used).iter_rows()), None)


def above_usual(faces: pl.DataFrame, used: pl.DataFrame) -> pl.DataFrame:
    """Return the rows, in their order, with `above_` of each emotion: what lies above the usual face of their `person`.

    It is null where that cannot be told.

    Args:
        faces: The rows of a recording, with the column `person`.
        used: The seconds that usual faces are taken from, as `usual_seconds` returns them.
    """
    import polars as pl

    joined = faces.join(_medians(used), on="person", how="left", maintain_order="left")
    above = [(pl.col(name) - pl.col(f"usual_{name}")).alias(f"above_{name}") for name in EMOTIONS]
    return joined.with_columns(above)


def people_of(faces: pl.DataFrame, names: Sequence[str]) -> list[Person]:
    """Return the own level of people: their usual face, and the mean over all that was seen less that.

    Args:
        faces: The rows of a recording, as `above_usual` returns them.
        names: Whose.
    """
    import polars as pl

    span = pl.col("span")
    known = faces.filter(pl.col("readable") & pl.col("above_happy").is_not_null())
    rows = known.group_by("person").agg(
        pl.col("seconds").first(),
        *(pl.col(f"usual_{name}").first() for name in EMOTIONS),
        *((pl.col(f"above_{name}") * span).sum() / span.sum() for name in EMOTIONS),
    )
    by_name = {row[0]: row[1:] for row in rows.iter_rows()}
    count = 1 + len(EMOTIONS)
    return [
        Person(name, int(row[0]), tuple(row[1:count]), tuple(row[count:]))
        if (row := by_name.get(name))
        else Person(name)
        for name in names
    ]


def own_level(people: Sequence[Person]) -> Data:
    """Return the table of people and their own level."""
    import polars as pl

    nothing = (None,) * len(EMOTIONS)
    rows = [(person.name, person.seconds, *(person.usual or nothing), *(person.above or nothing)) for person in people]
    kinds = [pl.String, pl.Int64, *[pl.Float64] * (2 * len(EMOTIONS))]
    return Data("own_level", pl.DataFrame(rows, dict(zip(OWN_LEVEL, kinds, strict=True)), orient="row"), OWN_LEVEL)


def used_seconds(used: pl.DataFrame, names: Iterable[str]) -> Data:
    """Return the table of the seconds that these people's usual faces were taken from."""
    import polars as pl

    table = used.filter(pl.col("person").is_in(list(names))).select(
        "person", pl.col("second").cast(pl.Int64), pl.col(EMOTIONS).cast(pl.Float64)
    )
    return Data("usual_seconds", table, USUAL_SECONDS)


def people_table(people: Sequence[Person], calibration: Calibration, most: int = 25) -> Table:
    """Return what the page shows of people and their own level."""
    happy, rest = EMOTIONS.index("happy"), EMOTIONS.index("neutral")
    rows = [
        (
            person.name or "the only person",
            *(f"{100 * person.usual[place]:.0f}" for place in (happy, rest)),
            signed(100 * person.above[happy]),
            ", ".join(
                f"{emotion} {signed(100 * value)}"
                for emotion, value in sorted(zip(EMOTIONS, person.above, strict=True), key=lambda pair: -abs(pair[1]))[
                    :2
                ]
            ),
        )
        if person.usual and person.above
        else (person.name or "the only person", "–", "–", "–", "seen for too short a time")
        for person in people[:most]
    ]
    more = f" {len(people) - most:,} more are in the table beside this page." if len(people) > most else ""
    return Table(
        ("who", "#usual happy", "#usual neutral", "#happy above it", "what moves most"),
        rows,
        f"In points of 100. The usual face is taken from {calibration.words}.{more}",
    )


def missing(people: Iterable[Person], calibration: Calibration, *, named: bool = True) -> list[str]:
    """Return what is to be said of people whose usual face cannot be told, or of how many there are."""
    names = [person.name or "the only person" for person in people if person.usual is None]
    if not names:
        return []
    whose = listed(names) if named else counted(len(names), "person", "people")
    few = f"too few readable faces in {calibration.words}"
    return [f"The usual face of {whose} cannot be told: {few}; nothing is said of what lies above it."]


def definition(calibration: Calibration) -> tuple[str, str]:
    """Return what the usual face is."""
    meaning = (
        f"Of each person the median, over {calibration.words}, of the mean of each emotion in each second "
        "(--calibrate). What lies above it is the probability less that, so that who looks happy or cross at rest "
        "starts from 0 like everybody. It stands beside the figures, which are not changed by it. The usual face "
        "counts as known: no interval allows for its own error, and where somebody was moved in that time, it is too "
        "high."
    )
    return "Usual face", meaning
