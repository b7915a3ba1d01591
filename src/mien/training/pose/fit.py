"""Teach the third head: a model's features of augmented faces and the mesh labels in, the averaged head out."""

from __future__ import annotations

import copy
import logging
import math
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from mien.training import checkpoints
from mien.training.augmentation import augment_and_tell
from mien.training.config import TrainConfig
from mien.training.pose.head import LEAST_ERROR, MIRRORED, UNITS, GeometryHead, loss
from mien.training.pose.labels import Labels
from mien.training.pose.trunk import Trunk

__all__ = ["answers", "fit"]

log = logging.getLogger("mien.training")

MOVES = TrainConfig(data="-", out="-", rotate=32.0, zoom=0.22, shift=0.1, erase=0.1)
"""More than a detector's boxes vary, and as far as a face may lean that is not turned upright."""
BLURRED = 0.2
"""The share of faces that are shrunk to half their side and enlarged again."""
REUSED = 3
"""So many epochs look at the same augmented faces, as the trunk takes longer than the head."""
REFIT = 8000
"""So many faces fit the last layer in the end."""
RIDGE = 1e-4
BATCH = 128
RATE = 2e-3
WARMED_UP = 0.15
"""The share of the way on which the learning rate rises to RATE."""
DECAY = 0.998
"""Of the averaged weights, a step."""


Seen = tuple[Tensor, Tensor, Tensor]
"""Features (n, looks, channels, height, width), half precision, with values and weights (n, looks, 5)."""


def fit(
    trunk: Trunk, pixels: np.ndarray, labels: Labels, *, epochs: int, seed: int, keep: str | Path | None = None
) -> GeometryHead:
    """Return a head that was taught on a model's features: by gradients, and in the end its last layer in closed form.

    Args:
        trunk: The model.
        pixels: Faces of Training, shape (n, 48, 48), uint8.
        labels: Of the same faces.
        epochs: Passes over them. A run that goes on with fewer than it began with comes to its end sooner.
        seed: Of everything that is drawn by chance.
        keep: A file to which the state is written after each epoch, and from which it goes on; None: none.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        head = GeometryHead(trunk.shape, mirror=trunk.mirror)
    average = copy.deepcopy(head).eval()
    optimizer = torch.optim.AdamW(head.parameters(), RATE, weight_decay=1e-3)
    steps = math.ceil(len(pixels) / BATCH)
    parts = {"head": head, "average": average, "optimizer": optimizer}
    first = checkpoints.resumed(keep, parts)
    seen: Seen | None = None
    for epoch in range(first, epochs):
        began, losses = time.monotonic(), []
        if seen is None or epoch % REUSED == 0:
            seen = None  # frees what may be gigabytes before as much is made
            seen = _look(trunk, pixels, labels, seed + epoch // REUSED)
        torch.manual_seed(1000 * seed + epoch)  # of the order, and of dropout
        for step, chosen in enumerate(torch.split(torch.randperm(len(pixels)), BATCH)):
            for group in optimizer.param_groups:
                group["lr"] = _rate((epoch + step / steps) / epochs)
            features, values, weights = (part[chosen].flatten(0, 1).float() for part in seen)
            value = loss(head(features), values, weights)
            optimizer.zero_grad()
            value.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            losses.append(value.item())
            _towards(average, head)
        log.info("epoch %d of %d: loss %.3f, %.0f s", epoch + 1, epochs, np.mean(losses), time.monotonic() - began)
        checkpoints.keep(keep, parts, epoch + 1)
    seen = None
    sample = np.random.default_rng(seed).permutation(len(pixels))[:REFIT]
    refit(average, _look(trunk, pixels[sample], labels.take(sample), seed + epochs))
    return average


def refit(head: GeometryHead, seen: Seen) -> None:
    """Give the last layer the weights that fit best (least squares), which gradients come near to only slowly.

    Args:
        head: Changed in place; what errors it expects is brought to the size of those that it makes.
        seen: Features with values and weights.
    """
    features, values, weights = (part.flatten(0, 1) for part in seen)
    with torch.inference_mode():
        parts = [features[start : start + 2 * BATCH].float() for start in range(0, len(features), 2 * BATCH)]
        hidden = torch.cat([head.eval().hidden(part) for part in parts]).double()
        spread = (hidden.float() @ head.linear2.weight.T + head.linear2.bias)[:, len(UNITS) :]
        known = torch.cat([hidden, torch.ones(len(hidden), 1)], 1)
        wanted = (values - head.centres) / head.units
        ridge = RIDGE * len(hidden) * torch.diag(torch.cat([hidden.var(0) + 1e-6, torch.zeros(1)]))
        for column in range(len(UNITS)):
            weighted = known * weights[:, column : column + 1]
            solved = torch.linalg.solve(weighted.T @ known + ridge, weighted.T @ wanted[:, column].double())
            head.linear2.weight[column], head.linear2.bias[column] = solved[:-1].float(), solved[-1].float()
        answered = hidden.float() @ head.linear2.weight.T + head.linear2.bias
        errors = ((answered[:, : len(UNITS)] - wanted).abs() * weights).sum(0)
        expected = ((functional.softplus(spread) + LEAST_ERROR) * weights).sum(0)
        head.error_factors.copy_(errors / expected)


def answers(trunk: Trunk, head: GeometryHead, pixels: np.ndarray) -> np.ndarray:
    """Return what the head says of faces, shape (n, 10).

    Args:
        trunk: The model.
        head: The head.
        pixels: Shape (n, 48, 48), uint8.
    """
    with torch.inference_mode():
        parts = [
            head.eval()(trunk.features(torch.from_numpy(pixels[start : start + BATCH]).float()[:, None])).numpy()
            for start in range(0, len(pixels), BATCH)
        ]
    return np.concatenate(parts)


def _look(trunk: Trunk, pixels: np.ndarray, labels: Labels, seed: int) -> Seen:
    """Return the features of all faces, each augmented once, and their labels as the faces then look."""
    generator = torch.Generator().manual_seed(seed)
    mirrored = torch.tensor(MIRRORED)
    looks = 2 if trunk.mirror else 1
    seen = torch.empty(len(pixels), looks, *trunk.shape, dtype=torch.half)
    right, counts = (torch.empty(len(pixels), looks, labels.values.shape[1]) for _ in range(2))
    for start in range(0, len(pixels), BATCH):
        part = slice(start, start + BATCH)
        faces = torch.from_numpy(pixels[part]).float()[:, None]
        faces, turned, flipped = augment_and_tell(faces, faces.shape[-1], MOVES, generator)
        small = functional.interpolate(functional.avg_pool2d(faces, 2), scale_factor=2, mode="bilinear")
        blurred = torch.rand(len(faces), generator=generator) < BLURRED
        faces = torch.where(blurred[:, None, None, None], small, faces)
        values = torch.from_numpy(labels.values[part]).clone()
        values[:, 2] -= turned
        values = torch.where(flipped[:, None] < 0, values * mirrored, values)
        # After the features of the faces come those of their mirror images.
        for number, features in enumerate(trunk.features(faces).chunk(looks)):
            seen[part, number] = features.half()
            right[part, number] = values * mirrored if number else values
            counts[part, number] = torch.from_numpy(labels.weights[part])
    return seen, right, counts


def _rate(progress: float) -> float:
    """Return the learning rate at a share of the way: up in a straight line, down by a cosine."""
    if progress < WARMED_UP:
        return RATE * (0.04 + 0.96 * progress / WARMED_UP)
    return RATE * (1 + math.cos(math.pi * (progress - WARMED_UP) / (1 - WARMED_UP))) / 2


def _towards(average: GeometryHead, head: GeometryHead) -> None:
    with torch.no_grad():
        for mean, new in zip(average.state_dict().values(), head.state_dict().values(), strict=True):
            if mean.is_floating_point():
                mean.lerp_(new, 1 - DECAY)
            else:
                mean.copy_(new)
