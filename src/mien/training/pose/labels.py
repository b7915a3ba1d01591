"""The mesh labels in, what the third head is to answer out: a Parquet file of one row for each face of the data set."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mien.errors import InputError

__all__ = ["EYES", "MOUTH", "Labels", "load"]

EYES = (0.12, 0.40)
"""The height of an eye's opening over its width, closed and wide open; 0.29 is usual."""
MOUTH = (0.0, 0.6)
"""The same of the inner mouth."""

COLUMNS = ("eye_right", "eye_left", "mouth_open", "yaw", "pitch", "roll", "score")
TYPICAL = (4.0, 2.4, 2.9, 0.10, 0.05)
"""How far a face and its mirror image usually are apart, in the units of `Labels.values`."""
LEAST = 0.2
"""The share of its weight that a label keeps of which the mesh was unsure, so that the head learns to be unsure too."""


@dataclass(frozen=True)
class Labels:
    """What the mesh saw in each face.

    Attributes:
        values: Yaw, pitch and roll in degrees, openness of eyes and mouth from 0 to 1; shape (n, 5), float32.
        weights: How much each of them counts, 0 to 1; shape (n, 5), float32.
        scores: The mesh's own confidence that there is a face, 0 to 1; shape (n,), float32.
    """

    values: np.ndarray
    weights: np.ndarray
    scores: np.ndarray

    def take(self, chosen: np.ndarray) -> Labels:
        """Return the labels that a mask or indices choose."""
        return Labels(self.values[chosen], self.weights[chosen], self.scores[chosen])

    def __len__(self) -> int:
        return len(self.values)


def load(path: str | Path, count: int) -> Labels:
    """Return the mesh labels of a data set.

    Args:
        path: A `.parquet` with the columns yaw, pitch, roll, eye_right, eye_left, mouth_open, each also with the
            ending `_apart`, and score.
        count: How many faces the data set has; the rows stand in its order.

    Raises:
        InputError: The file is missing, lacks a column or has another number of rows, or a value is no number.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = [*COLUMNS, *(f"{name}_apart" for name in COLUMNS[:-1])]
    try:
        table = pq.read_table(path)
    except FileNotFoundError as error:
        raise InputError(f"no mesh labels at '{path}': give the Parquet file with --mesh") from error
    except (pa.ArrowException, OSError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"'{path}' cannot be read as Parquet ({reason})") from error
    if missing := [name for name in names if name not in table.column_names]:
        raise InputError(f"'{path}' has no column {', '.join(missing)}; it has {', '.join(table.column_names)[:200]}")
    if table.num_rows != count:
        raise InputError(
            f"'{path}' has {table.num_rows:,} rows, the data set {count:,} faces: expected as many of both"
        )
    try:
        columns = {name: table[name].to_numpy().astype(np.float64) for name in names}
    except (ValueError, TypeError) as error:
        raise InputError(f"'{path}' holds something other than numbers ({error})") from error
    for name, column in columns.items():
        if not np.isfinite(column).all():
            row = int(np.flatnonzero(~np.isfinite(column))[0])
            raise InputError(f"'{path}', row {row}: expected a number as {name}, found {column[row]}")
    eyes, mouth = (columns["eye_right"] + columns["eye_left"]) / 2, columns["mouth_open"]
    values = [columns["yaw"], columns["pitch"], columns["roll"], _share(eyes, EYES), _share(mouth, MOUTH)]
    yaw_apart = columns["yaw_apart"]
    eyes_apart = np.maximum(columns["eye_right_apart"], columns["eye_left_apart"])
    apart = [
        np.abs(yaw_apart - np.median(yaw_apart)),  # much the same in every face, so no error of any
        columns["pitch_apart"],
        columns["roll_apart"],
        eyes_apart / (EYES[1] - EYES[0]),
        columns["mouth_open_apart"] / (MOUTH[1] - MOUTH[0]),
    ]
    agreed = [1 / (1 + (value / usual) ** 2) for value, usual in zip(apart, TYPICAL, strict=True)]
    trusted = np.column_stack(agreed) * columns["score"][:, None]
    return Labels(
        np.column_stack(values).astype(np.float32),
        (LEAST + (1 - LEAST) * trusted).astype(np.float32),
        columns["score"].astype(np.float32),
    )


def _share(ratio: np.ndarray, ends: tuple[float, float]) -> np.ndarray:
    """Return a ratio as a share of the way from closed to wide open."""
    closed, wide = ends
    share: np.ndarray = np.clip((ratio - closed) / (wide - closed), 0, 1)
    return share
