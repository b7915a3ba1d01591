"""Soft labels: what a face's label was likely to be, given what teachers see in it and how people voted for it.

FER-2013 has one label a face, from one person, and people disagree. Trained networks (the teachers) and the FER+ votes
each know something of how likely every label was; a small network that reads both is fitted to Training's labels, and
its answers stand beside the labels as targets (Hinton et al. 2015, arXiv:1503.02531). Only Training is looked at.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from mien.observation import EMOTIONS
from mien.training.data import Faces
from mien.training.model import FaceNet, predict

__all__ = ["soft_labels"]

FITTING_EPOCHS = 12
HIDDEN = 64


def soft_labels(teachers: Sequence[FaceNet], faces: Faces, seed: int) -> np.ndarray:
    """Return the probability of each label for each face.

    Args:
        teachers: Trained networks; each sees a face and its mirror image. None: the votes alone speak.
        faces: Those of Training, with votes where there are some.
        seed: Of the fit.

    Returns:
        Shape (n, 7), float32; each row sums to 1.
    """
    clues = torch.cat([*(_seen(teacher, faces.pixels) for teacher in teachers), _voted(faces.votes)], 1)
    clues = (clues - clues.mean(0)) / clues.std(0).clamp(min=1e-6)
    labels = torch.from_numpy(faces.labels)
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        reader = nn.Sequential(nn.Linear(clues.shape[1], HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, len(EMOTIONS)))
    optimizer = torch.optim.Adam(reader.parameters(), 1e-3, weight_decay=1e-4)
    for _ in range(FITTING_EPOCHS):
        for batch in torch.split(torch.randperm(len(clues), generator=generator), 128):
            loss = functional.cross_entropy(reader(clues[batch]), labels[batch])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    with torch.inference_mode():
        answers: np.ndarray = torch.softmax(reader(clues), 1).numpy()
    return answers


def _seen(teacher: FaceNet, pixels: np.ndarray) -> Tensor:
    """Return the log-probabilities of both heads, (n, 14), averaged over a face and its mirror image."""
    views = [predict(teacher, pixels)]
    if not teacher.mirror:  # else it has seen both
        views.append(predict(teacher, np.ascontiguousarray(pixels[:, :, ::-1])))
    heads = [torch.stack([torch.from_numpy(view[head]).log_softmax(1) for view in views]).mean(0) for head in views[0]]
    return torch.cat(heads, 1)


def _voted(votes: np.ndarray) -> Tensor:
    """Return the logarithm of each emotion's share of the votes, smoothed, and whether there were none, (n, 8)."""
    counts = torch.from_numpy(votes)
    total = counts.sum(1, keepdim=True)
    return torch.cat([torch.log((counts + 0.3) / (total + 0.3 * len(EMOTIONS))), (total == 0).float()], 1)
