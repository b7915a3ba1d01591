"""The duplicate audit: which pictures stand in more than one split, pixel for pixel or nearly so."""

from __future__ import annotations

import csv
from dataclasses import astuple, dataclass, fields
from pathlib import Path

import numpy as np

from mien.errors import InputError
from mien.observation import EMOTIONS
from mien.training import data as faces_data
from mien.training.data import SIZE, USAGES

__all__ = ["Leak", "audit", "duplicates", "leaks", "summary"]

ALIKE = 0.999
"""The correlation over which two pictures count as the same."""
BLOCK = 4
CHUNK = 512


@dataclass(frozen=True)
class Leak:
    """Two pictures of different splits that are the same.

    Attributes:
        split: Of the first.
        face: Its number in the data set, from 0.
        label: Its emotion.
        other_split: Of the second.
        other_face: Its number in the data set.
        other_label: Its emotion.
        correlation: Of their pixels; 1 where they are equal.
    """

    split: str
    face: int
    label: str
    other_split: str
    other_face: int
    other_label: str
    correlation: float


def audit(
    data: str | Path, out: str | Path | None = None, *, held_out: float | None = None, skip_bad: bool = False
) -> list[Leak]:
    """Return every picture that stands in more than one split, and write the list as CSV.

    Args:
        data: The data set.
        out: The CSV file to write; None: none.
        held_out: The share of faces that is PublicTest, for data that does not tell what each is for.
        skip_bad: Leave out rows of the data that cannot be used.

    Raises:
        InputError: The data set cannot be read or the file not be written.
    """
    found = leaks(faces_data.load(data, skip_bad=skip_bad, split=held_out))
    if out is not None:
        try:
            Path(out).parent.mkdir(parents=True, exist_ok=True)
            with Path(out).open("w", newline="", encoding="utf-8") as file:
                writer = csv.writer(file)
                writer.writerow(field.name for field in fields(Leak))
                writer.writerows(astuple(leak) for leak in found)
        except OSError as error:
            raise InputError(f"cannot write '{out}': {error.strerror}; give another file with --audit") from error
    return found


def summary(found: list[Leak]) -> str:
    """Return in a line how many pictures of which splits stand also in another."""
    if not found:
        return "no picture stands in two splits"
    counts = {
        f"of {second} stand in {first}": len(
            {leak.face for leak in found if (leak.split, leak.other_split) == (second, first)}
        )
        for second, first in {(leak.split, leak.other_split): None for leak in found}
    }
    lines = [f"{count:,} {which}" for which, count in counts.items()]
    return f"pictures in two splits: {', '.join(lines)} ({len(found):,} pairs)"


def leaks(faces: faces_data.Faces) -> list[Leak]:
    """Return the pairs of equal pictures in different splits."""
    found = []
    for index, first in enumerate(USAGES):
        for second in USAGES[index + 1 :]:
            mine, others = np.flatnonzero(faces.usage == second), np.flatnonzero(faces.usage == first)
            for a, b, correlation in duplicates(faces.pixels[mine], faces.pixels[others]):
                here, there = int(mine[a]), int(others[b])
                labels = EMOTIONS[faces.labels[here]], EMOTIONS[faces.labels[there]]
                found.append(Leak(second, here, labels[0], first, there, labels[1], round(correlation, 6)))
    return found


def duplicates(pixels: np.ndarray, others: np.ndarray) -> list[tuple[int, int, float]]:
    """Return the pairs of pictures, by their numbers, that are equal or correlate over 0.999, and the correlation.

    Args:
        pixels: Shape (n, 48, 48), uint8.
        others: Shape (m, 48, 48), uint8.
    """
    first, second = _normalised(pixels), _normalised(others)
    coarse, others_coarse = _coarse(first), _coarse(second)
    squares, others_squares = (coarse**2).sum(1), (others_coarse**2).sum(1)
    # A projection never lengthens a difference, so pairs that differ more in the coarse pictures need no closer look.
    limit = 2 * (1 - ALIKE) + 1e-4
    found = []
    for start in range(0, len(first), CHUNK):
        part = slice(start, start + CHUNK)
        distances = squares[part, None] + others_squares[None] - 2 * coarse[part] @ others_coarse.T
        for a, b in zip(*np.nonzero(distances <= limit), strict=True):
            here = int(a) + start
            if np.array_equal(pixels[here], others[b]):
                found.append((here, int(b), 1.0))
            elif (correlation := float(first[here] @ second[b])) > ALIKE:
                found.append((here, int(b), correlation))
    return found


def _normalised(pixels: np.ndarray) -> np.ndarray:
    """Return the pictures as vectors of mean 0 and length 1, shape (n, 2304); a blank one as zeros."""
    vectors = pixels.reshape(len(pixels), SIZE * SIZE).astype(np.float32)
    vectors -= vectors.mean(1, keepdims=True)
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-6)
    return vectors


def _coarse(vectors: np.ndarray) -> np.ndarray:
    """Return the vectors projected onto blocks of 4x4 pixels, shape (n, 144)."""
    side = SIZE // BLOCK
    blocks: np.ndarray = vectors.reshape(-1, side, BLOCK, side, BLOCK).sum((2, 4)) / BLOCK
    return blocks.reshape(len(vectors), side * side)
