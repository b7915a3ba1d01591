"""Who watched: recordings and a list of them go in, what each viewer showed over time comes out.

A viewer is the unit of all statistics: a whole recording or, where the list names seats, a part of its picture. The
list is a CSV with the columns `recording` (its name), and if wanted `group`, `offset` (at what second of the recording
the treatment begins), and `seat`, `x`, `y`, `width`, `height` (0 to 1 of the frame).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mien.errors import InputError
from mien.observation import EMOTIONS
from mien.reports.base.csv_lists import Line, number, read_list, tile
from mien.reports.base.places import faces_in
from mien.reports.base.recordings import Recording
from mien.reports.base.usual_face import Calibration, usual_face, usual_seconds
from mien.words import listed

if TYPE_CHECKING:
    import polars as pl

__all__ = ["STEP_S", "Seat", "Watching", "read_seats", "watching"]

ALONE = 0.9
"""A viewer whose rows show several faces in more than the rest of the frames is several people."""

STEP_S = 0.25
"""The time from one point of a viewer's curve to the next, in seconds."""

KNOWN = ("recording", "group", "offset", "seat", "x", "y", "width", "height")


@dataclass(frozen=True)
class Seat:
    """A viewer.

    Attributes:
        recording: The name of the recording.
        group: Which group or treatment.
        offset: At what second of the recording the treatment begins.
        seat: The seat's name; empty: the whole recording.
        tile: Where in the frame: x, y, width, height, 0 to 1.
    """

    recording: str
    group: str = ""
    offset: float = 0.0
    seat: str = ""
    tile: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 1.0)

    @property
    def name(self) -> str:
        """What the viewer is called."""
        return f"{self.recording}/{self.seat}" if self.seat else self.recording


@dataclass(frozen=True)
class Watching:
    """What all viewers showed, at the treatment's times.

    Attributes:
        names: The viewers'.
        groups: The group of each; empty where there are none.
        shares: Mean probability of each emotion over a viewer's readable faces at each point, a moving mean over a
            second, shape (viewers, points, 7), float32; NaN without a face. Point p is at p x STEP_S seconds.
        step_s: The time from one point to the next.
        heads: Where each viewer's head was turned in each second, in degrees, the mean yaw and pitch, shape (viewers,
            seconds, 2), float32; NaN where the model does not say, or a picture shows several faces; None: nowhere.
        usual: Of each viewer, where the own level was asked for: of how many seconds the usual face is, and its
            probabilities, shape (7,); None: it cannot be told.
        used: Of each viewer, where it was asked for: the seconds that the usual face is taken from.
    """

    names: list[str]
    groups: list[str]
    shares: NDArray[np.float32]
    step_s: float = STEP_S
    usual: list[tuple[int, NDArray[np.float64]] | None] = field(default_factory=list)
    heads: NDArray[np.float32] | None = None
    used: list[pl.DataFrame] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """How long the treatment was watched."""
        return float(self.shares.shape[1] * self.step_s)


def read_seats(path: Path) -> list[Seat]:
    """Return the viewers in a list.

    Raises:
        InputError: It cannot be read, or says something else.
    """
    names, lines = read_list(path, [])
    if "recording" not in names:
        raise InputError(
            f"cannot read '{path}': a CSV with a column recording was expected; others: {', '.join(KNOWN[1:])}"
        )
    if unknown := [name for name in names if name not in KNOWN]:
        raise InputError(f"cannot read '{path}': it has a column '{unknown[0][:80]}'; expected {', '.join(KNOWN)}")
    seats: list[Seat] = []
    known: set[tuple[str, str, str]] = set()
    for line in lines:
        try:
            seat = _seat(line)
            if (key := (seat.recording, seat.seat, seat.group)) in known:
                raise ValueError(f"'{seat.name[:80]}' is there twice, and would count as two viewers")
            known.add(key)
            seats.append(seat)
        except ValueError as error:  # noqa: PERF203
            raise InputError(f"cannot read '{path}', line {line.number}: {str(error)[:200]}") from error
    return seats


def _seat(line: Line) -> Seat:
    recording = line.get("recording")
    if not recording:
        raise ValueError("it names no recording")
    offset = number(line.get("offset", "0"))
    if not line.get("seat"):
        return Seat(recording, line.get("group"), offset)
    return Seat(
        recording,
        line.get("group"),
        offset,
        line.get("seat"),
        tile(line, "a seat needs x, y, width, height from 0 to 1 of the frame"),
    )


def watching(
    recordings: Sequence[Recording], seats: Sequence[Seat], notes: list[str], calibration: Calibration | None = None
) -> Watching:
    """Return what the viewers showed.

    Args:
        recordings: Of people watching.
        seats: Who they are; a recording that none names is one viewer.
        notes: Takes what is to be said of them.
        calibration: From which time each viewer's usual face is taken; None: it is not asked for.
    """
    import polars as pl

    by_name = {recording.name: recording for recording in recordings}
    stems = {seat.recording: Path(seat.recording).stem for seat in seats if seat.recording not in by_name}
    seats = [
        replace(seat, recording=stem) if (stem := stems.get(seat.recording)) in by_name else seat for seat in seats
    ]
    strangers = sorted({seat.recording for seat in seats} - set(by_name))
    if strangers:
        notes.append(f"The list names {listed(strangers)}, of which there is no recording; left out.")
    named = {seat.recording for seat in seats}
    unnamed = [Seat(name) for name in by_name if name not in named]
    if seats and unnamed:
        notes.append(
            f"The list does not name {listed([entry.recording for entry in unnamed])}: taken without an offset."
        )
    viewers = [seat for seat in seats if seat.recording in by_name] + unnamed
    ends = [by_name[seat.recording].seconds - seat.offset for seat in viewers]
    points = max(1, int(np.ceil(max(ends) / STEP_S)))
    shares = np.full((len(viewers), points, len(EMOTIONS)), np.nan, np.float32)
    heads = np.full((len(viewers), int(np.ceil(points * STEP_S)), 2), np.nan, np.float32)
    empty, unclear, carried, crowded = [], [], {}, []
    usual: list[tuple[int, NDArray[np.float64]] | None] = []
    used: list[pl.DataFrame] = []
    for row, seat in enumerate(viewers):
        here = _faces(by_name[seat.recording], seat)
        if calibration:
            rows = here.with_columns(pl.lit(seat.name).alias("person"))
            used.append(usual_seconds(rows, calibration, seat.offset))
            usual.append(usual_face(used[-1]))
        if not len(here):
            empty.append(seat.name)
            continue
        if here["emotion"].null_count() == len(here):
            unclear.append(seat.name)
        if not here["read"].all():
            carried[seat.name] = 1 - int(here["read"].sum()) / len(here)
            here = here.filter("read")  # what was carried on is no new evidence
        shares[row] = _course(here, seat.offset, points)
        if here["frame"].n_unique() < ALONE * len(here):
            crowded.append(seat.name)
        else:
            heads[row] = _heads(here, seat.offset, heads.shape[1])
    if empty:
        notes.append(f"No readable face was seen of {listed(empty)}.")
    if unclear:
        notes.append(
            f"Of {listed(unclear)} no emotion could be named at any time (unclear throughout); their probabilities "
            "count all the same."
        )
    if carried:
        shares_of = listed([f"{name} ({100 * share:.0f} %)" for name, share in carried.items()])
        notes.append(
            f"Emotions that were carried on from the frame before are no new evidence; left out, of {shares_of}; "
            "what is read more seldom than once a second leaves gaps."
        )
    if crowded and any(recording.faces["yaw"].is_not_null().any() for recording in recordings):
        notes.append(
            f"{listed(crowded)} shows several faces at once: whether one faces the screen is told of seats (--seats), "
            "or of recordings of one person."
        )
    names, groups = [seat.name for seat in viewers], [seat.group for seat in viewers]
    return Watching(names, groups, shares, STEP_S, usual, heads, used)


def _faces(recording: Recording, seat: Seat) -> pl.DataFrame:
    import polars as pl

    readable = recording.faces.filter(pl.col("readable"))
    return faces_in(readable, seat.tile) if seat.seat else readable


def _heads(faces: pl.DataFrame, offset: float, seconds: int) -> NDArray[np.float32]:
    """Return the mean yaw and pitch in each second, shape (seconds, 2); NaN where the model never says them."""
    import polars as pl

    turned = faces.filter(pl.col("yaw").is_not_null() & pl.col("pitch").is_not_null())
    at = np.floor(turned["at"].to_numpy() - offset + 1e-6).astype(np.int64)
    inside = (at >= 0) & (at < seconds)
    sums = np.zeros((seconds, 3))
    angles = turned.select("yaw", "pitch").to_numpy()[inside]
    np.add.at(sums, at[inside], np.column_stack([angles, np.ones(len(angles))]))
    with np.errstate(invalid="ignore"):
        return np.asarray(sums[:, :2] / sums[:, 2:], np.float32)


def _course(faces: pl.DataFrame, offset: float, points: int) -> NDArray[np.float32]:
    """Return the mean of each emotion at each point, a moving mean over a second."""
    at = np.floor((faces["at"].to_numpy() - offset) / STEP_S + 1e-6).astype(np.int64)
    inside = (at >= 0) & (at < points)
    values = faces.select(EMOTIONS).to_numpy()[inside]
    sums = np.zeros((points, len(EMOTIONS) + 1))
    np.add.at(sums, at[inside], np.column_stack([values, np.ones(len(values))]))
    window = round(1 / STEP_S)
    total = np.cumsum(np.vstack([np.zeros((1, sums.shape[1])), sums]), axis=0)
    first = np.clip(np.arange(points) - window // 2, 0, points)
    last = np.clip(first + window, 0, points)
    wide = total[last] - total[first]
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(wide[:, :-1] / wide[:, -1:], np.float32)
