"""For whom a model fails: faces and what it got right go in, its accuracy in groups of them comes out.

FER-2013 says nothing of who its people are; what can be told is how the picture is, and whether people agree on it.
What else is known of the pictures, such as age, sex or skin colour, comes from a list of the user's.
"""

from __future__ import annotations

import csv
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from mien.errors import InputError
from mien.training import figures
from mien.training.data import Faces

__all__ = ["attributes", "groups", "lines", "read", "seen", "worst"]

FACE = "face"
"""The column of a list that says which face of the data set a row is about, from 0."""
MOST = 20
"""Numbers of which there are more are cut into quarters; of words there may be no more."""
QUARTERS = ("1 (least)", "2", "3", "4 (most)")
YAWS = (10.0, 25.0, 40.0)
"""Faces are grouped by how far they are turned aside, in degrees, with these bounds."""
DRAWS = 10_000
"""So often are the faces dealt out anew for a test."""


def groups(faces: Faces, right: np.ndarray) -> list[dict[str, Any]]:
    """Return the accuracy in each group, with its 95 % interval; groups without faces are left out.

    Args:
        faces: Shape (n,).
        right: Which of them the model gets right, shape (n,), bool.
    """
    masks: dict[str, np.ndarray] = {}
    if (faces.majority >= 0).any():
        masks["FER+'s majority sees what the label says"] = faces.majority == faces.labels
        masks["FER+'s majority sees another emotion"] = (faces.majority >= 0) & (faces.majority != faces.labels)
        masks["those who voted for FER+ are divided"] = (faces.majority < 0) & (faces.votes.sum(1) > 0)
    looks = _looks(faces.pixels)
    quarters = {
        "the darkest quarter": looks["light"],
        "the brightest quarter": -looks["light"],
        "the quarter of least contrast": looks["contrast"],
        "the quarter of least detail (blurred)": looks["sharpness"],
    }
    for name, values in quarters.items():
        masks[name] = values <= np.quantile(values, 0.25)
    return [{"group": name, **figures.accuracy(right[mask])} for name, mask in masks.items() if mask.any()]


def seen(pixels: np.ndarray, yaw: np.ndarray | None) -> dict[str, np.ndarray]:
    """Return what can be told of faces by their pictures: light, contrast and sharpness by quarters, and yaw.

    Args:
        pixels: Shape (n, 48, 48), uint8.
        yaw: How far each is turned aside in degrees, shape (n,), NaN where that is unknown; None: of all.

    Returns:
        For each attribute the group of each face, shape (n,), str; empty where it is unknown.
    """
    columns = {}
    for name, values in _looks(pixels).items():
        quarter = np.searchsorted(np.quantile(values, (0.25, 0.5, 0.75)), values, "right")
        columns[name] = np.array([QUARTERS[part] for part in quarter])
    if yaw is not None:
        bounds = [0.0, *YAWS]
        names = [f"{low:g} to {high:g}°" for low, high in pairwise(bounds)] + [f"over {YAWS[-1]:g}°"]
        sides = np.array(names)[np.searchsorted(YAWS, np.abs(yaw))]
        columns["yaw"] = np.where(np.isnan(yaw), "", sides)
    return columns


def _looks(pixels: np.ndarray) -> dict[str, np.ndarray]:
    """Return light, contrast and sharpness of each face, shape (n,) each."""
    contrast = pixels.astype(np.float32).std((1, 2))
    detail = np.array([cv2.Laplacian(face, cv2.CV_32F).var() for face in pixels])
    return {"light": pixels.mean((1, 2)), "contrast": contrast, "sharpness": detail / np.maximum(contrast, 1) ** 2}


def read(path: str | Path, count: int) -> dict[str, np.ndarray]:
    """Return what a list says of the faces of a data set.

    Args:
        path: A CSV with a column `face`, the face's number in the data set from 0, and one column for each attribute.
            Faces may be left out, and values be empty.
        count: How many faces the data set has.

    Returns:
        For each attribute the group of each face, shape (n,), str; empty where it is unknown.

    Raises:
        InputError: The list cannot be read or used; the message names the line.
    """
    try:
        with Path(path).open(newline="", encoding="utf-8-sig") as file:
            rows = csv.DictReader(file, strict=True)
            names = [name for name in rows.fieldnames or [] if name != FACE]
            if FACE not in (rows.fieldnames or []) or not names:
                columns = ", ".join(rows.fieldnames or ["none"])
                raise InputError(
                    f"'{path}' has the columns {columns}: expected face, the number of a face in the data set from 0, "
                    "and one for each attribute"
                )
            values = {name: np.full(count, "", object) for name in names}
            seen = np.zeros(count, bool)
            for row in rows:
                where = f"'{path}', line {rows.line_num}"
                text = row[FACE] or ""
                face = int(text) if text.strip().isdecimal() else -1
                if not 0 <= face < count:
                    raise InputError(f"{where}: expected a face from 0 to {count - 1}, found '{text[:40]}'")
                if seen[face]:
                    raise InputError(f"{where}: face {face} stands in the list twice")
                if None in row or None in row.values():
                    raise InputError(f"{where}: expected {len(names) + 1} columns; the file may be cut off")
                seen[face] = True
                for name in names:
                    values[name][face] = row[name].strip()
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"cannot read the groups '{path}': {error}; expected a CSV with the column face") from error
    return {name: _grouped(f"'{path}', column {name}", column) for name, column in values.items()}


def _grouped(where: str, column: np.ndarray) -> np.ndarray:
    """Return a column's values as groups: numbers, if there are many, by the quarter in which they lie."""
    known = column != ""
    different = sorted(set(column[known]))
    if not different:
        raise InputError(f"{where}: it is empty; expected a value for some of the faces")
    if len(different) <= MOST:
        return column.astype(str)
    try:
        numbers = column[known].astype(float)
        if not np.isfinite(numbers).all():
            raise ValueError
    except ValueError:
        raise InputError(
            f"{where}: it holds {len(different)} different words; expected at most {MOST} groups, or numbers"
        ) from None
    edges = np.quantile(numbers, [0, 0.25, 0.5, 0.75, 1])
    names = [f"{low:.4g} to {high:.4g}" for low, high in pairwise(edges)]
    grouped = np.full(len(column), "", object)
    grouped[known] = np.array(names, object)[np.searchsorted(edges[1:-1], numbers, "right")]
    return grouped.astype(str)


def attributes(values: dict[str, np.ndarray], right: np.ndarray) -> list[dict[str, Any]]:
    """Return the accuracy in the groups of each attribute, and whether the groups differ by more than chance.

    The test deals the faces out to groups of the same sizes again and again and asks how often they differ as much
    (chi-squared) as the real ones; for several attributes p is corrected by Holm's method.

    Args:
        values: For each attribute the group of each face, shape (n,), str; empty where it is unknown.
        right: Which faces the model gets right, shape (n,), bool.
    """
    rows: list[dict[str, Any]] = []
    for name, column in values.items():
        known = column != ""
        names, index = np.unique(column[known], return_inverse=True)
        table = [{"group": str(group), **figures.accuracy(right[column == group])} for group in names]
        shares = [group["value"] for group in table]
        rows.append(
            {
                "attribute": name,
                "groups": table,
                "gap": float(max(shares) - min(shares)) if table else None,
                "p": _p(index, right[known]) if len(names) > 1 else None,
                "unknown": int((~known).sum()),
            }
        )
    tested = sorted((row["p"], number) for number, row in enumerate(rows) if row["p"] is not None)
    largest = 0.0
    for rank, (p, number) in enumerate(tested):
        largest = max(largest, min(1.0, p * (len(tested) - rank)))
        rows[number]["p_corrected"] = largest
    return [{"p_corrected": None} | row for row in rows]


def lines(attribute: dict[str, Any]) -> list[str]:
    """Return what was found of an attribute, for a terminal: a line for it, and one for each of its groups."""
    groups = attribute["groups"]
    if not groups:
        return [f"by {attribute['attribute']}: unknown of all these faces"]
    head = f"by {attribute['attribute']}: {attribute['gap']:.1%} between the best and the worst group"
    if attribute["p"] is not None:
        head += f", p = {attribute['p_corrected']:.2g} after correction"
    width = max(len(group["group"]) for group in groups)
    return [
        head,
        *(
            f"  {group['group']:<{width}}  {group['value']:.1%} ({group['low']:.1%} to {group['high']:.1%} at 95 %, "
            f"{group['faces']:,} faces)"
            for group in groups
        ),
    ]


def _p(index: np.ndarray, right: np.ndarray) -> float:
    """Return how likely it is that groups dealt out by chance differ as much in the share that is right."""
    sizes = np.bincount(index)
    order = np.argsort(index, kind="stable")
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])

    def apart(dealt: np.ndarray) -> float:
        hits = np.add.reduceat(dealt, starts)
        return float((hits**2 / sizes).sum())  # grows with chi-squared, all else being the same

    dealt = right[order].astype(np.float64)
    real = apart(dealt) - 1e-9
    random = np.random.default_rng(0)
    more = sum(apart(random.permutation(dealt)) >= real for _ in range(DRAWS))
    return float((more + 1) / (DRAWS + 1))


def worst(confusion: list[list[int]], names: tuple[str, ...], count: int = 5) -> list[tuple[str, str, float, int]]:
    """Return the confusions that meet the largest share of their faces: label, answer, share, number of faces."""
    pairs = []
    for row, asked in enumerate(names):
        total = sum(confusion[row])
        pairs += [
            (asked, told, faces / total, faces)
            for column, told in enumerate(names)
            if row != column and (faces := confusion[row][column])
        ]
    return sorted(pairs, key=lambda pair: -pair[2])[:count]
