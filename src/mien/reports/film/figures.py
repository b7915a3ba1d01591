"""The figures of a film: a recording goes in; its score, curve, key moments and people come out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mien.observation import EMOTIONS, Emotion
from mien.reports.base.blocks import block_length, persistence
from mien.reports.base.bootstrap import Estimates, estimate
from mien.reports.base.curve import curve
from mien.reports.base.people import people
from mien.reports.base.places import Place
from mien.reports.base.recordings import Recording
from mien.reports.base.usual_face import Calibration
from mien.reports.film.cast import Actor, Stretches, look_at_actor, with_actors
from mien.reports.film.own_level import OwnLevel, look_above

if TYPE_CHECKING:
    import polars as pl

__all__ = ["CLEAR", "ENOUGH_FACES", "KINDS", "FilmFigures", "Highlight", "look_at"]

ENOUGH_FACES = 20
"""With fewer readable faces there is no score."""

STRETCHES = 16
"""A film is cut into so many stretches for the bootstrap, or fewer where it varies slowly."""

FEWEST = 6
"""But never into fewer, where there is a face in each."""

SHORTEST_S = 5.0
"""No stretch is shorter, in seconds."""

WIDEST = 2.0
"""An interval that had to be widened by more for the correlation of neighbouring stretches is not told."""

BINS = 240
"""The course is looked at in about so many bins, of a second or more."""

CLEAR = 0.25
"""A moment is one of an emotion where that has at least this mean probability over a second."""

KINDS: dict[Emotion, str] = {"happy": "happiest", "sad": "saddest", "surprise": "most startled"}

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Highlight:
    """A second that stands out.

    Attributes:
        emotion: By which emotion.
        rank: 1 for the strongest.
        at: When its clearest frame is shown, in seconds.
        value: The mean probability of the emotion over that second's readable faces.
    """

    emotion: Emotion
    rank: int
    at: float
    value: float


@dataclass(frozen=True)
class FilmFigures:
    """What a film showed.

    Attributes:
        recording: Where it comes from.
        faces: Its rows, with `scene` and `person`.
        cuts: When scenes begin, but for the first, in seconds.
        score: 100 x the mean probability of happy over the readable faces and time, with its interval; None: too few.
        stretches: Sum of happy x seconds, and face-seconds, over the readable faces of each stretch, shape (n, 2).
        units: The same for the bootstrap: the sums' distances from what the score would give are widened; all of it is
            one where the film is too short to tell.
        stretch_s: How long stretches are, in seconds.
        widened: By how much, as neighbouring stretches correlate.
        curve: One row per bin of the running time.
        people: One row per person of a scene.
        moments: The key moments.
        on_screen: The share of the frames with a face.
        readable: How many faces were large enough to be read.
        read: How many of these were, in the frame in which they stand; what was only carried on is no new evidence.
        small: How many were not.
        cast: Its actors, in the order of the cast list; empty without one.
        own: What lies above the actors' usual faces, or the only person's; None: it was not asked for.
    """

    recording: Recording
    faces: pl.DataFrame
    cuts: Array | None
    score: Estimates | None
    stretches: Array
    units: Array
    stretch_s: float
    widened: float
    curve: pl.DataFrame
    people: pl.DataFrame
    moments: list[Highlight]
    on_screen: float
    readable: int
    read: int
    small: int
    cast: list[Actor]
    own: OwnLevel | None = None


def cut(read: pl.DataFrame, seconds: float) -> Stretches:
    """Return the stretches of the readable faces of a film of so many seconds."""
    length, widened = _stretch(read, seconds)
    sums = sums_by(read, length, seconds)
    return Stretches(sums, _units(sums, widened), length, widened)


def look_at(
    recording: Recording,
    count: int = 3,
    anonymous: int | None = None,
    places: Sequence[Place] = (),
    calibration: Calibration | None = None,
) -> FilmFigures:
    """Return what a film showed.

    Args:
        recording: The film.
        count: So many key moments of each kind.
        anonymous: Blank what fewer than so many people stand behind.
        places: Where actors are to be seen.
        calibration: From which time usual faces are taken; None: they are not asked for.
    """
    import polars as pl

    placed = with_actors(recording.faces, places)
    faces = people(placed, np.array([]) if recording.cuts is None else recording.cuts)
    read = faces.filter(pl.col("readable"))
    stretches = cut(read, recording.seconds)
    # Somebody of one scene may be somebody of another: only those of one scene are surely different people.
    behind = max(read.group_by("scene").agg(pl.col("person").n_unique())["person"].to_list(), default=0)
    evidence = int(read["read"].sum())
    enough = evidence >= ENOUGH_FACES and behind >= (anonymous or 0)
    units = stretches.units
    names = dict.fromkeys(place.speaker for place in places)
    with_face = faces.filter(pl.col("x").is_not_null())
    return FilmFigures(
        recording,
        faces,
        recording.cuts,
        estimate(100 * units[:, :1], units[:, 1:]) if enough else None,
        stretches.sums,
        units,
        stretches.length,
        stretches.widened,
        curve(faces, recording.seconds, anonymous),
        _people(read),
        _moments(faces, count),
        with_face["frame"].n_unique() / max(1, recording.frames),
        len(read),
        evidence,
        len(with_face) - len(read),
        [look_at_actor(name, faces, recording.seconds, ENOUGH_FACES, cut) for name in names],
        look_above(faces, recording.seconds, list(names), behind, calibration) if calibration else None,
    )


def sums_by(read: pl.DataFrame, length: float, seconds: float) -> Array:
    """Return the sum of happy x seconds, and the face-seconds, of each stretch with a readable face, shape (n, 2).

    Args:
        read: The readable faces.
        length: How long a stretch is, in seconds; what is left over at the end belongs to the last.
        seconds: How long the film is.
    """
    import polars as pl

    last = max(0, int(seconds / length + 1e-9) - 1)
    return (
        read.group_by((pl.col("at") / length).floor().clip(0, last).alias("stretch"))
        .agg((pl.col("happy") * pl.col("span")).sum(), pl.col("span").sum())
        .sort("stretch")
        .select("happy", "span")
        .to_numpy()
        .astype(np.float64)
        .reshape(-1, 2)
    )


def _units(stretches: Array, widened: float) -> Array:
    """Return stretches as units of the bootstrap, their distances from the common ratio widened."""
    total = stretches.sum(0, keepdims=True)
    if widened > WIDEST or not total[0, 1]:
        return np.asarray(total)
    even = stretches[:, 1] * total[0, 0] / total[0, 1]
    return np.column_stack([even + widened * (stretches[:, 0] - even), stretches[:, 1]])


def _stretch(read: pl.DataFrame, seconds: float) -> tuple[float, float]:
    """Return how long stretches are that vary nearly independently, and how much of a correlation is left to allow for.

    A sixteenth of the film, longer where its course varies slowly (see `blocks`), at most a sixth.
    """
    step = max(1.0, round(seconds / BINS))
    at = np.minimum((read["at"].to_numpy() / step).astype(np.int64), max(0, int(seconds / step) - 1))
    spans = read["span"].to_numpy()
    sums, weights = np.bincount(at, read["happy"].to_numpy() * spans), np.bincount(at, spans)
    course = sums - weights * sums.sum() / (weights.sum() or 1.0)
    slow = persistence(course, step)
    wanted = max(seconds / STRETCHES, 3 * slow.time, step * block_length(course))
    length = max(SHORTEST_S, min(wanted, seconds / FEWEST))
    return length, slow.widening(length, max(2, int(seconds / length + 1e-9)))


def _people(read: pl.DataFrame) -> pl.DataFrame:
    import polars as pl

    return (
        read.group_by("scene", "person")
        .agg(
            pl.col("at").min().alias("first"),
            pl.col("at").max().alias("last"),
            pl.col("span").sum().round(3).alias("seconds"),
            pl.len().alias("faces"),
            pl.col("track").drop_nulls().unique(maintain_order=True).cast(pl.String).str.join(" ").alias("tracks"),
            *((pl.col(emotion) * pl.col("span")).sum() / pl.col("span").sum() for emotion in EMOTIONS),
        )
        .sort(["seconds", "scene", "person"], descending=[True, False, False])
    )


def _moments(faces: pl.DataFrame, count: int) -> list[Highlight]:
    """Return the seconds of the highest mean probabilities, at least five seconds apart."""
    import polars as pl

    readable = pl.col("readable").fill_null(value=False)
    read = readable & pl.col("read")
    seconds = (
        faces.group_by(pl.col("at").floor().alias("second"))
        .agg(
            pl.col("frame").n_unique().alias("frames"),
            pl.col("frame").filter(readable).n_unique().alias("seen"),
            read.any().alias("read"),
            *(pl.col(kind).filter(read).mean() for kind in KINDS),
        )
        .filter(pl.col("read") & (2 * pl.col("seen") >= pl.col("frames")))
        .sort("second")
    )
    moments: list[Highlight] = []
    for emotion in KINDS:
        taken: list[float] = []
        for row in seconds.sort([emotion, "second"], descending=[True, False]).iter_rows(named=True):
            if len(taken) >= count or row[emotion] < CLEAR:
                break
            if any(abs(row["second"] - other) < 5 for other in taken):
                continue
            taken.append(row["second"])
            inside = faces.filter(read & (pl.col("at").floor() == row["second"]))
            frames = inside.group_by("at").agg(pl.col(emotion).mean()).sort([emotion, "at"], descending=[True, False])
            moments.append(Highlight(emotion, len(taken), float(frames["at"][0]), float(row[emotion])))
    return moments
