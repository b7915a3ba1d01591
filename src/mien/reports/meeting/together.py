"""A meeting's recordings on one time line: recordings and what their pictures show go in, one recording comes out.

Where each begins is told by the clocks in their pictures, or else by their sound. Recordings that show the same time
stand side by side in one picture, in the order in which they were named; those that follow each other take turns in one
place.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from mien.charts.svg import clock
from mien.config import Settings
from mien.errors import InputError
from mien.reports.base.job import Job
from mien.reports.base.pictures import SIDE, Part, moments, to_jpeg
from mien.reports.base.recordings import Inputs, Recording
from mien.reports.meeting.names.places import Highlight, NamedPlace, ScreenReading, Tile
from mien.reports.meeting.offset import find_shift
from mien.words import counted, listed

if TYPE_CHECKING:
    import polars as pl

__all__ = ["Piece", "Together", "together"]

FURTHEST_S = 24 * 3600.0
"""Recordings that lie farther apart are not of one meeting."""

WHEN = "%d %B %Y at %H:%M:%S"

SLACK_S = 2.0
"""Two that overlap by no more, in seconds, follow each other: a clock in a picture tells no more closely."""

NEAR = 0.75
"""A frame of one recording is taken for that of another that is no farther away than this share of their distance."""

Array = NDArray[np.float64]

HiddenParts = Callable[[float], Sequence[Part]]

Shown = TypeVar("Shown", NamedPlace, Highlight, Tile)


@dataclass(frozen=True)
class Piece:
    """A recording in a meeting's time.

    Attributes:
        recording: What was seen in it.
        reading: What its picture shows, at its own times and places.
        start: When it begins, in seconds of the meeting; below 0 where what is asked for begins later.
        column: Its place in the picture of all, from the left.
        by: What told when it begins: `clock`, `sound` or `store`; empty of the first.
    """

    recording: Recording
    reading: ScreenReading
    start: float = 0.0
    column: int = 0
    by: str = ""

    @property
    def end(self) -> float:
        """When it ends, in seconds of the meeting."""
        return self.start + self.recording.seconds


@dataclass(frozen=True)
class Together:
    """All recordings of a meeting on one time line.

    Attributes:
        recording: What was seen in all of them.
        reading: What their pictures show, at the meeting's times and places.
        pieces: The recordings, as they were named.
        notes: What is to be said of this.
        cut: Whether only a part of them is asked for,
        length: which ends after so many seconds.
    """

    recording: Recording
    reading: ScreenReading
    pieces: tuple[Piece, ...]
    notes: tuple[str, ...] = ()
    cut: bool = False
    length: float = math.inf

    @property
    def alone(self) -> bool:
        """Whether it is one recording as it is."""
        return len(self.pieces) == 1 and not self.cut

    def pictures(
        self, times: Sequence[float], settings: Settings, job: Job, *, blur: bool, hidden_parts: HiddenParts | None
    ) -> dict[float, bytes]:
        """Return pictures at some times of the meeting, as `mien.reports.base.pictures.moments` does."""
        if self.alone:
            return moments(self.recording, times, settings, job, blur=blur, hidden_parts=hidden_parts)
        shown: dict[float, dict[int, bytes]] = {}
        for piece in self.pieces:
            inside = {at - piece.start: at for at in times if piece.start <= at < piece.end}
            hidden = _own_parts(hidden_parts, piece, self._columns) if hidden_parts else None
            taken = moments(piece.recording, list(inside), settings, job, blur=blur, hidden_parts=hidden)
            for own, jpeg in taken.items():
                shown.setdefault(inside[own], {})[piece.column] = jpeg
        return {at: _side_by_side(jpegs, self._columns) for at, jpegs in shown.items()}

    def asked(self) -> dict[str, Any]:
        """Return where each of several recordings begins, as the report tells what it was made of."""
        if len(self.pieces) == 1:
            return {}
        laid = [{"recording": piece.recording.name, "begins_s": piece.start, "by": piece.by} for piece in self.pieces]
        return {"recordings": laid}

    def read_again(self, read: Callable[[Piece], ScreenReading]) -> Together:
        """Return it with what a function finds in each recording's picture."""
        pieces = tuple(replace(piece, reading=read(piece)) for piece in self.pieces)
        reading = pieces[0].reading if self.alone else _reading(pieces, self._columns, self.length)
        return replace(self, pieces=pieces, reading=reading)

    @property
    def _columns(self) -> int:
        return 1 + max(piece.column for piece in self.pieces)


def together(recordings: Sequence[Recording], readings: Sequence[ScreenReading], inputs: Inputs) -> Together:
    """Lay the recordings of a meeting on one time line.

    Args:
        recordings: What was seen in each.
        readings: What the picture of each shows.
        inputs: What was asked for: of files, `since` and `until` are times of the clock in the picture.

    Raises:
        InputError: Nothing tells when one of them began, they are of different meetings, or nothing is left of them.
    """
    pieces = _laid(recordings, readings, in_store=inputs.store is not None)
    first = min(pieces, key=lambda piece: piece.start)
    pieces = [replace(piece, start=piece.start - first.start) for piece in pieces]
    _check_apart(pieces)
    length, cut, notes = math.inf, False, _how(pieces)
    if not inputs.store and (inputs.since or inputs.until):
        began = _began(pieces)
        if began is None:
            raise InputError(
                f"cannot take the part of {_named(recordings)} that --from and --to ask for: no clock was read in the "
                "picture (a date and a time, as Zoom stamps recordings; none is looked for with --no-names, --blur and "
                "--anonymous)"
            )
        aware = inputs.with_zone(began)
        skipped = max(0.0, (inputs.since - aware).total_seconds()) if inputs.since else 0.0
        length = (inputs.until - aware).total_seconds() - skipped if inputs.until else length
        pieces, cut = [replace(piece, start=piece.start - skipped) for piece in pieces], True
        end = max(piece.end for piece in pieces)
        if length <= 0 or end <= 0:
            raise InputError(
                f"nothing is left of {_named(recordings)} between --from and --to: by the clock in the picture it "
                f"lasts from {began:%Y-%m-%dT%H:%M:%S} to {began + timedelta(seconds=skipped + end):%Y-%m-%dT%H:%M:%S}"
            )
        asked = f"{began + timedelta(seconds=skipped):{WHEN}}"
        notes.append(f"By the clock in the picture, the part was taken that begins on {asked} and lasts "
                     f"{clock(min(length, end))}; times are counted from there.")  # fmt: skip
    if len(pieces) == 1 and not cut:
        recording = replace(recordings[0], began=_began(pieces))
        return Together(recording, readings[0], tuple(pieces), tuple(notes))
    pieces = _in_columns(pieces)
    columns = 1 + max(piece.column for piece in pieces)
    if columns > 1:
        notes.append(
            "They show the same time in part and stand side by side in one picture of "
            f"{counted(columns, 'column', 'columns')}: places are told of it as a whole. Who is to be seen in several "
            "counts in each of them in the figures of the room; of a speaker's own face, the largest counts."
        )
    faces = _faces(pieces, columns, length)
    name = recordings[0].name if len(pieces) == 1 else listed([recording.name for recording in recordings], most=3)
    said = [note for recording in recordings for note in recording.notes]
    recording = Recording(name, None, faces, None, _began(pieces), said)
    return Together(recording, _reading(pieces, columns, length), tuple(pieces), tuple(notes), cut, length)


def _laid(recordings: Sequence[Recording], readings: Sequence[ScreenReading], *, in_store: bool) -> list[Piece]:
    """Return each recording where it begins, in seconds of the first."""
    laid = [Piece(recordings[0], readings[0])]
    for recording, reading in zip(recordings[1:], readings[1:], strict=True):
        start, by = (0.0, "store") if in_store else _start(recording, reading, laid)
        laid.append(Piece(recording, reading, start, by=by))
    return laid


def _start(recording: Recording, reading: ScreenReading, laid: Sequence[Piece]) -> tuple[float, str]:
    """Return when a recording begins, and what tells so."""
    for piece in laid:
        if reading.clock is not None and piece.reading.clock is not None:
            return piece.start + (reading.clock - piece.reading.clock).total_seconds(), "clock"
    for piece in laid:
        if recording.medium is not None and piece.recording.medium is not None:
            shift = find_shift(piece.recording.medium, recording.medium)
            if shift is not None:
                return piece.start + shift.seconds, "sound"
    first = laid[0].recording.name
    raise InputError(
        f"cannot tell when '{recording.name}' began, beside '{first}': a clock in the pictures of both (a date and a "
        "time, as Zoom stamps recordings), or sound that fits, was expected; name one recording alone"
    )


def _check_apart(pieces: Sequence[Piece]) -> None:
    last = max(pieces, key=lambda piece: piece.start)
    if last.start > FURTHEST_S:
        first = min(pieces, key=lambda piece: piece.start)
        raise InputError(
            f"'{last.recording.name}' began {last.start / 3600:,.0f} hours after '{first.recording.name}', by the "
            "clocks in their pictures: recordings of one meeting were expected"
        )


def _how(pieces: Sequence[Piece]) -> list[str]:
    """Return what is to be said of when each recording begins."""
    if len(pieces) == 1:
        clocks = [piece.reading.clock for piece in pieces if piece.reading.clock is not None]
        return [f"By the clock in the picture the recording began on {shown:{WHEN}}." for shown in clocks]
    ways = {"clock": "the clocks in both pictures", "sound": "their sound", "store": "the store's times"}
    notes = []
    for piece in pieces[1:]:
        if piece.by == "store":
            continue
        apart = piece.start - pieces[0].start
        close = "to about a second" if piece.by == "clock" else "to a tenth of a second"
        notes.append(
            f"'{piece.recording.name}' was laid to '{pieces[0].recording.name}' by {ways[piece.by]}: it begins "
            f"{abs(apart):.1f} s {'later' if apart >= 0 else 'earlier'}, {close}."
        )
    begins = listed([f"{piece.recording.name} at {clock(piece.start)}" for piece in pieces], most=6)
    if (began := _began(pieces)) is not None and any(piece.reading.clock for piece in pieces):
        notes.append(f"By the clock in the picture the earliest began on {began:{WHEN}}.")
    return [*notes, f"Times are counted from the beginning of the earliest: {begins}."]


def _began(pieces: Sequence[Piece]) -> datetime | None:
    """Return the time of day at second 0, where a clock or the store tells it."""
    for piece in pieces:
        began = piece.recording.began or piece.reading.clock
        if began is not None:
            return began - timedelta(seconds=0.0 if piece.by == "store" else piece.start)
    return None


def _named(recordings: Sequence[Recording]) -> str:
    return listed([f"'{recording.name}'" for recording in recordings], most=3)


def _in_columns(pieces: Sequence[Piece]) -> list[Piece]:
    """Return the recordings, each in the first column in which none shows the same time."""
    placed: list[Piece] = []
    for piece in pieces:
        column = 0
        while any(other.column == column and _shared_s(other, piece) > SLACK_S for other in placed):
            column += 1
        placed.append(replace(piece, column=column))
    return placed


def _shared_s(piece: Piece, other: Piece) -> float:
    return min(piece.end, other.end) - max(piece.start, other.start)


def _faces(pieces: Sequence[Piece], columns: int, length: float) -> pl.DataFrame:
    """Return the faces of all recordings: those that were seen at the same time, within a frame, are of one frame.

    Raises:
        InputError: None of their frames lies in the part that is asked for.
    """
    import polars as pl

    grid, tables = np.empty(0), []
    for number, piece in enumerate(pieces):
        faces = piece.recording.faces.drop("span")
        times = faces["at"].unique().sort().to_numpy() + piece.start
        moved = _on_grid(times, grid, piece.recording.step_s)
        grid = np.unique(np.concatenate((grid, moved[np.isfinite(moved)])))
        wide = pl.col("frame_width")
        tables.append(
            faces.with_columns(
                pl.Series("at", moved[np.searchsorted(times, faces["at"].to_numpy() + piece.start)], pl.Float64),
                (pl.lit(f"{number} ") + pl.col("session").fill_null("")).alias("session"),
                (pl.col("x") + piece.column * wide.fill_null(0)).alias("x"),
                (wide * columns).alias("frame_width"),
            ).filter(pl.col("at").is_finite())
        )
    alone = pl.int_range(pl.len()).over("at") == 0
    somebody = pl.col("x").is_not_null()
    faces = (
        pl.concat(tables, how="diagonal_relaxed")
        .filter((pl.col("at") >= 0) & (pl.col("at") < length))
        .sort("at", maintain_order=True)
        .filter(somebody | (alone & ~somebody.any().over("at")))
        .with_columns(pl.col("at").rank("dense").cast(pl.Int64).alias("frame") - 1)
    )
    if faces.is_empty():
        raise InputError("nothing was recorded in the part that --from and --to ask for")
    return faces


def _on_grid(times: Array, grid: Array, step: float) -> Array:
    """Return times, each moved to a time of a grid near it that no earlier one has; NaN where there is none left.

    Args:
        times: In seconds, growing.
        grid: In seconds, growing.
        step: How far apart the times usually are, in seconds.
    """
    moved: Array = times.copy()
    free = 0
    nearest = np.searchsorted((grid[1:] + grid[:-1]) / 2, times) if len(grid) else np.empty(0, int)
    for number, place in enumerate(nearest):
        if abs(grid[place] - times[number]) > NEAR * step:
            continue
        other = max(int(place), free)
        near = other < len(grid) and abs(grid[other] - times[number]) <= NEAR * step
        moved[number], free = (grid[other], other + 1) if near else (math.nan, free)
    return moved


def _reading(pieces: Sequence[Piece], columns: int, length: float) -> ScreenReading:
    """Return what the pictures show, at the meeting's times and at places in the picture of all."""
    places = [kept for piece in pieces for kept in _moved(piece.reading.places, piece, columns, length)]
    spoken = [kept for piece in pieces for kept in _moved(piece.reading.spoken, piece, columns, length)]
    tiles = [kept for piece in pieces for kept in _moved(piece.reading.tiles, piece, columns, length)]
    by_name = len(pieces) > 1
    notes = [f"{piece.recording.name}: {note}" if by_name else note for piece in pieces for note in piece.reading.notes]
    places.sort(key=lambda place: (place.start, place.speaker, place.y, place.x))
    spoken.sort(key=lambda lit: lit.start)
    return ScreenReading(tuple(places), tuple(spoken), tuple(tiles), (), _began(pieces), tuple(notes))


def _moved(shown: Sequence[Shown], piece: Piece, columns: int, length: float) -> list[Shown]:
    """Return what a picture shows where and when it is in that of all, without what is not asked for."""
    kept = []
    for part in shown:
        start, end = max(0.0, part.start + piece.start), min(part.end + piece.start, piece.end, length)
        if end > start:
            x, width = round((piece.column + part.x) / columns, 4), round(part.width / columns, 4)
            kept.append(replace(part, x=x, width=width, start=round(start, 3), end=round(end, 3)))
    return kept


def _own_parts(hidden_parts: HiddenParts, piece: Piece, columns: int) -> HiddenParts:
    """Return what is to be hidden in one recording's picture; all of it where nothing is known."""

    def own(at: float) -> list[Part]:
        parts = []
        for x, y, width, height in hidden_parts(at + piece.start):
            left = max(0.0, x * columns - piece.column)
            right = min(1.0, (x + width) * columns - piece.column)
            if right > left:
                parts.append((left, y, right - left, height))
        return parts or [(0.0, 0.0, 1.0, 1.0)]

    return own


def _side_by_side(jpegs: dict[int, bytes], columns: int) -> bytes:
    """Return one picture of the columns' pictures, as JPEG; a column of which there is none stays black."""
    if columns == 1:
        return next(iter(jpegs.values()))
    images = {column: np.asarray(Pillow.open(io.BytesIO(jpeg)).convert("RGB")) for column, jpeg in jpegs.items()}
    high = max(image.shape[0] for image in images.values())
    sheet = np.zeros((high, columns * SIDE, 3), np.uint8)
    for column, image in images.items():
        sheet[:, column * SIDE : (column + 1) * SIDE] = cv2.resize(image, (SIDE, high), interpolation=cv2.INTER_AREA)
    return to_jpeg(sheet[:, :, ::-1], columns * SIDE)
