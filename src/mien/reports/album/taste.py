"""One's own taste: photos that were chosen before and those that were not go in, weights of the score's parts come out.

A logistic regression tells the chosen from the rest by the logarithms of the parts, no part may count against a photo,
and a ridge holds the weights near the standing ones, the more so the fewer photos there are. They are used only where
they tell photos apart that they were not fitted on, better than the standing ones do.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.reports.album.selection import WEIGHTS, Photo

__all__ = ["FEWEST", "FOLDS", "Taste", "learned"]

FEWEST = 10
"""Of fewer chosen photos, or fewer others, nothing is learned."""

FOLDS, RIDGE, STEPS = 5, 4.0, 400

GAIN, BEYOND = 0.01, 2.0
"""The weights must put the chosen photo first in so much more of the pairs than the standing ones do, and in more than
half of them by BEYOND of the standard errors that the share has by chance (Mann and Whitney 1947)."""

Rows = NDArray[np.float64]


@dataclass(frozen=True)
class Taste:
    """What was learned.

    Attributes:
        weights: How much each part of the score weighs; the standing weights where nothing better was learned.
        chosen: How many rated photos were chosen before.
        others: How many rated photos of the album were not.
        standing: Of pairs of a chosen photo and another the share in which the standing score is higher for the chosen;
            None: there were too few.
        own: The same of the weights that were learned, for photos that they were not fitted on.
        used: Whether the learned weights are used.
    """

    weights: Mapping[str, float]
    chosen: int
    others: int
    standing: float | None = None
    own: float | None = None
    used: bool = False


def learned(chosen: Sequence[Photo], others: Sequence[Photo]) -> Taste:
    """Return the weights by which chosen photos differ from others; all of them rated."""
    if min(len(chosen), len(others)) < FEWEST:
        return Taste(WEIGHTS, len(chosen), len(others))
    rows = _logs([*chosen, *others])
    is_chosen = np.arange(len(rows)) < len(chosen)
    folds = np.concatenate([np.arange(len(chosen)) % FOLDS, np.arange(len(others)) % FOLDS])
    before = np.array(list(WEIGHTS.values()))
    shares, pairs = 0.0, 0
    for fold in range(FOLDS):
        held = folds == fold
        weights = _fitted(rows[~held], is_chosen[~held], before)
        count = int(is_chosen[held].sum()) * int((~is_chosen[held]).sum())
        shares, pairs = shares + count * _apart(rows[held] @ weights, is_chosen[held]), pairs + count
    own, standing = shares / pairs, _apart(rows @ before, is_chosen)
    many, more = len(chosen), len(others)
    by_chance = math.sqrt((many + more + 1) / (12 * many * more))
    if own < max(standing + GAIN, 0.5 + BEYOND * by_chance):
        return Taste(WEIGHTS, len(chosen), len(others), standing, own)
    weights = _fitted(rows, is_chosen, before)
    rounded = {name: round(float(weight), 3) for name, weight in zip(WEIGHTS, weights, strict=True)}
    return Taste(rounded, len(chosen), len(others), standing, own, used=True)


def _logs(photos: Sequence[Photo]) -> Rows:
    """Return the logarithms of the parts, shape (n, parts); for one that is not known the mean of the others."""
    rows = np.array(
        [[math.log(max(photo.parts[name], 0.01)) if name in photo.parts else math.nan for name in WEIGHTS]
         for photo in photos]
    )  # fmt: skip
    known = ~np.isnan(rows)
    means = np.where(known, rows, 0.0).sum(0) / np.maximum(1, known.sum(0))
    return np.where(known, rows, means)


def _fitted(rows: Rows, is_chosen: NDArray[np.bool_], before: Rows) -> Rows:
    """Return weights, none below 0, that sum to 1, by projected gradient descent; both classes count as much."""
    spread = rows.std(0) + 1e-9
    centred = (rows - rows.mean(0)) / spread
    signs = np.where(is_chosen, 1.0, -1.0)
    counts = np.where(is_chosen, 0.5 / is_chosen.mean(), 0.5 / (~is_chosen).mean())
    prior = before * spread
    along = centred @ prior
    scale = max(0.0, _descended(along[:, None], signs, counts, np.zeros(1), 1e-3)[0])
    found = _descended(centred, signs, counts, scale * prior, RIDGE)
    weights = found / spread
    total = float(weights.sum())
    return np.asarray(weights / total) if total > 1e-9 else before


def _descended(rows: Rows, signs: Rows, counts: Rows, prior: Rows, ridge: float) -> Rows:
    """Return what minimises the logistic loss and a ridge around what was known before; none is below 0."""
    step = 1 / (0.25 * float(np.linalg.norm(rows * np.sqrt(counts)[:, None], 2)) ** 2 + ridge + 0.25 * counts.sum())
    factors, constant = prior.copy(), 0.0
    for _ in range(STEPS):
        pull = -signs * counts / (1 + np.exp(np.clip(signs * (rows @ factors + constant), -30, 30)))
        factors = np.maximum(0.0, factors - step * (rows.T @ pull + ridge * (factors - prior)))
        constant -= step * float(pull.sum())
    return np.asarray(factors)


def _apart(scores: Rows, is_chosen: NDArray[np.bool_]) -> float:
    """Return in which share of pairs the chosen one has the higher score (the area under the ROC curve)."""
    ahead = scores[is_chosen][:, None] - scores[~is_chosen][None]
    return float((ahead > 0).mean() + (ahead == 0).mean() / 2)
