"""Who is who in a film: its faces and a cast list go in; each actor's own score, curve and screen time come out.

The list is the mapping file of meetings: it ties names to tracks, or to places and times, by hand. Nobody
is recognised.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from mien.observation import EMOTIONS
from mien.reports.base.bootstrap import Estimates, estimate
from mien.reports.base.curve import curve
from mien.reports.base.places import Place, named_faces

if TYPE_CHECKING:
    import polars as pl

__all__ = ["Actor", "Stretches", "look_at_actor", "with_actors"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Stretches:
    """A film cut into stretches that vary nearly independently.

    Attributes:
        sums: Sum of happy x seconds, and face-seconds, over the readable faces of each, shape (n, 2).
        units: The same for the bootstrap; see `Film`.
        length: How long they are, in seconds.
        widened: By how much the units are widened, as neighbours correlate.
    """

    sums: Array
    units: Array
    length: float
    widened: float


class Cutting(Protocol):
    """Cuts the readable faces of a film, or of one actor in it, into stretches."""

    def __call__(self, read: pl.DataFrame, seconds: float) -> Stretches:
        """Return the stretches of a film of so many seconds."""


@dataclass(frozen=True)
class Actor:
    """What one actor's face showed over the whole film.

    Attributes:
        name: As the list has it.
        seconds: Time on screen: the time that the frames with this face stand for.
        share: The share of the film that this is.
        readable: How many of these faces were large enough to be read.
        score: 100 x the mean probability of happy over these and time, with its interval; None: too few.
        stretch_s: How long the stretches are that the interval is made of, in seconds; None without a score.
        widened: By how much they are widened.
        means: The mean of each emotion over the readable faces and time, in EMOTIONS order; None without one.
        curve: One row per bin of the running time: `start`, `face_seconds`, and the mean of each emotion.
    """

    name: str
    seconds: float
    share: float
    readable: int
    score: Estimates | None
    stretch_s: float | None
    widened: float | None
    means: tuple[float, ...] | None
    curve: pl.DataFrame


def with_actors(faces: pl.DataFrame, places: Sequence[Place]) -> pl.DataFrame:
    """Return the rows of a film with the column `actor`: whose face each is; null where the list does not say."""
    import polars as pl

    lines = faces.with_row_index("line")
    named = named_faces(lines, places).select("line", pl.col("speaker").alias("actor"))
    return lines.join(named, on="line", how="left", maintain_order="left").drop("line")


def look_at_actor(name: str, faces: pl.DataFrame, seconds: float, enough: int, cut: Cutting) -> Actor:
    """Return what one actor's face showed.

    Args:
        name: Whose face.
        faces: All rows of the film, with `actor`.
        seconds: How long the film is.
        enough: With fewer readable faces that were read there is no score.
        cut: Cuts readable faces into stretches.
    """
    import polars as pl

    own = faces.filter(pl.col("actor") == name)
    read = own.filter(pl.col("readable"))
    shown = float(own["span"].sum())
    stretches = cut(read, seconds) if read["read"].sum() >= enough else None
    means = read.select((pl.col(emotion) * pl.col("span")).sum() / pl.col("span").sum() for emotion in EMOTIONS)
    return Actor(
        name,
        shown,
        shown / seconds,
        len(read),
        estimate(100 * stretches.units[:, :1], stretches.units[:, 1:]) if stretches else None,
        stretches.length if stretches else None,
        stretches.widened if stretches else None,
        means.row(0) if len(read) else None,
        curve(own, seconds, None).select("start", "face_seconds", *EMOTIONS),
    )
