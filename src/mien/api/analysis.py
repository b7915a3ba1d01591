"""The observations of a whole video: a sequence that shows, sums up and draws itself, and can be made a table."""

from __future__ import annotations

import tempfile
import weakref
from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, overload

import numpy as np
from numpy.typing import NDArray

from mien.api.summary import Summary, Summing, summary_html
from mien.charts.figures import emotion_curve
from mien.charts.svg import stacked
from mien.exports.files import format_of, write_export
from mien.exports.runs import ObservationTiers
from mien.observation import EMOTIONS, Observation, decode, encode
from mien.table import TableWriter, to_pandas, to_polars
from mien.words import counted

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go
    import polars as pl

__all__ = ["Analysis"]

IN_MEMORY = 8 << 20
"""So many bytes of an analysis are held in memory; what is more lies in a temporary file."""

STEP = 64
"""Where every so many lines begins is kept, so that any can be found quickly."""

BINS = 240
"""A curve has so many points at most."""


class Analysis(Sequence[Observation]):
    """The observations of a video, in order: a sequence, which a notebook shows as its emotion curve and bars.

    However long the video, they take a bounded part of memory; the rest lies in a temporary file that goes with them.

        >>> analysis = analyze_video("demo", fps=5, end=3)
        >>> analysis[0].frame, analysis[-1].offset_s, len(analysis[4:8])
        (0, 2.8, 4)

    Attributes:
        path: What was analysed.
        problem: One line where it could be read in part only.
        notes: Lines on what was chosen or assumed, such as one of several streams.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.problem: str | None = None
        self.notes: tuple[str, ...] = ()
        self._count = 0
        self._size = 0
        self._starts = array("Q")
        self._lines = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115 - closed with this object
        weakref.finalize(self, self._lines.close)

    def _add(self, observation: Observation) -> None:
        line = encode(observation) + b"\n"
        if self._count % STEP == 0:
            self._starts.append(self._size)
        self._lines.seek(self._size)
        self._lines.write(line)
        self._size += len(line)
        self._count += 1

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Observation]:
        yield from self._from(0, self._count)

    @overload
    def __getitem__(self, index: int) -> Observation: ...
    @overload
    def __getitem__(self, index: slice) -> Analysis: ...
    def __getitem__(self, index: int | slice) -> Observation | Analysis:
        numbers = range(self._count)[index]
        if isinstance(numbers, int):
            return next(self._from(numbers, numbers + 1))
        part = Analysis(self.path)
        part.problem, part.notes = self.problem, self.notes
        chosen = self._from(numbers.start, numbers.stop) if numbers.step == 1 else map(self.__getitem__, numbers)
        for observation in chosen:
            part._add(observation)
        return part

    def _from(self, first: int, end: int) -> Iterator[Observation]:
        """Yield the observations from one number to before another."""
        at, number = self._starts[first // STEP] if first < end else 0, first - first % STEP
        while number < end:
            self._lines.seek(at)  # another iteration may have moved it
            line = self._lines.readline()
            at += len(line)
            if number >= first:
                yield decode(line)
            number += 1

    def __repr__(self) -> str:
        return f"<Analysis of {self.path}: {counted(self._count, 'frame', 'frames')}>"

    def summary(self) -> Summary:
        """Return what it comes to: faces, emotions, the happiest second.

        >>> summary = analyze_video("demo", fps=2, end=3).summary()
        >>> summary.frames, summary.faces, summary.empty
        (6, 6, 0)
        """
        summing = Summing()
        for observation in self:
            summing.add(observation, self.path)
        return summing.result()

    def plot(self) -> go.Figure:
        """Return the emotion curve, a Plotly figure: mean probabilities over the faces in view, over time.

            >>> len(analyze_video("demo", fps=2, end=3).plot().data)
            7

        Raises:
            MissingExtraError: It needs the extra `dashboard`.
        """
        times, shares, _, axis = self._curve()
        return emotion_curve(times, shares, title=self.path, axis=axis)

    def to_polars(self) -> pl.DataFrame:
        """Return a polars DataFrame: a row per face, one with nulls for a frame without; columns as in files.

            >>> analyze_video("demo", fps=2, end=3).to_polars()["offset_s"].to_list()
            [0.0, 0.5, 1.0, 1.5, 2.0, 2.5]

        Raises:
            MissingExtraError: It needs the extra `analyze`.
        """
        table: pl.DataFrame = to_polars((observation, self.path) for observation in self)
        return table

    def to_pandas(self) -> pd.DataFrame:
        """Return a pandas DataFrame; see `to_polars`.

        Raises:
            MissingExtraError: It needs the extra `pandas`.
        """
        return to_pandas((observation, self.path) for observation in self)

    def write(self, path: str | Path) -> None:
        """Write a .csv, .jsonl (whole observations, one a line) or .parquet file, or a time line for other tools.

        Those are .eaf (ELAN), .TextGrid (Praat), .tsv (BIDS, with a .json beside it) and .boris.csv (BORIS).

        Raises:
            InputError: The ending is another, or nothing can be written there.
            MissingExtraError: Parquet needs the extra `analyze`.
        """
        if format_of(Path(path)):
            tiers = ObservationTiers()
            for observation in self:
                tiers.add(observation, self.path)
            write_export(Path(path), tiers.timeline())
            return
        with TableWriter(Path(path)) as table:
            for observation in self:
                table.add(observation, self.path)

    def _repr_html_(self) -> str:
        times, shares, duration, _ = self._curve()
        drawn = stacked(times, shares, duration, height=180) if self._count > 1 else ""
        notes = [*self.notes, *([self.problem] if self.problem else [])]
        return summary_html(self.summary(), drawn, self.path, notes)

    def _curve(self) -> tuple[NDArray[np.float64], NDArray[np.float64], float, str]:
        """Return the middles of the bins, mean probabilities (NaN: no face), the axis's end and unit."""
        if not self._count:
            return np.zeros(0), np.zeros((0, len(EMOTIONS))), 1.0, "seconds"
        first, last = self[0].offset_s, self[-1].offset_s
        timed = first is not None and last is not None
        begin, end = (first, last) if first is not None and last is not None else (0.0, self._count - 1.0)
        step = max((end - begin) / max(1, self._count - 1), 1e-6)
        bins = min(BINS, self._count)
        width = (end - begin + step) / bins
        sums, faces = np.zeros((bins, len(EMOTIONS))), np.zeros(bins)
        for number, observation in enumerate(self):
            at = observation.offset_s if timed and observation.offset_s is not None else float(number)
            place = min(bins - 1, max(0, int((at - begin) / width + 1e-9)))
            for face in observation.faces:
                sums[place] += [share for _, share in face.probabilities]
                faces[place] += 1
        shares: NDArray[np.float64] = np.where(faces[:, None] > 0, sums / np.maximum(faces, 1)[:, None], np.nan)
        times: NDArray[np.float64] = begin + width * (np.arange(bins, dtype=np.float64) + 0.5)
        return times, shares, end + step, "seconds" if timed else "photo"
