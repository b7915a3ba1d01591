"""Augmentation: faces in, the same faces as another camera, pose and light might have shown them out."""

from __future__ import annotations

import math

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from mien.training.config import TrainConfig

__all__ = ["augment", "augment_and_tell", "mixed"]

GREY = 129.0
"""The mean of the Training pixels."""


def augment(pixels: Tensor, size: int, config: TrainConfig, generator: torch.Generator) -> Tensor:
    """Return the faces coarsened, compressed, flipped, rotated, zoomed, shifted, relit and partly erased.

    Args:
        pixels: Shape (B, 1, 48, 48), float32, 0-255.
        size: The side of the faces returned, in pixels.
        config: The run's.
        generator: Decides; on the CPU, so that every device draws the same.

    Returns:
        Shape (B, 1, size, size), float32, 0-255.
    """
    return augment_and_tell(pixels, size, config, generator)[0]


def augment_and_tell(
    pixels: Tensor, size: int, config: TrainConfig, generator: torch.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """Return what `augment` does, and how each face was moved.

    Returns:
        The faces; by how many degrees each was turned counter-clockwise in the picture, shape (B,); and -1 for those
        that were mirrored after that, else 1, shape (B,).
    """
    count, device = len(pixels), pixels.device

    def draw(spread: float, centre: float = 0.0) -> Tensor:
        return centre + spread * (2 * torch.rand(count, generator=generator) - 1)

    angle, scale = draw(math.radians(config.rotate)), 1 + draw(config.zoom)
    flip = torch.where(torch.rand(count, generator=generator) < 0.5, -1.0, 1.0)
    cos, sin = torch.cos(angle) * scale, torch.sin(angle) * scale
    rows = [
        torch.stack([cos * flip, -sin, draw(2 * config.shift)], 1),
        torch.stack([sin * flip, cos, draw(2 * config.shift)], 1),
    ]
    contrast, brightness = draw(0.2, 1.0).to(device), draw(25.0).to(device)
    if config.coarse:
        chosen = torch.rand(count, generator=generator) < config.coarse
        small = functional.interpolate(pixels, scale_factor=0.5, mode="area")
        small = functional.interpolate(small, pixels.shape[-2:], mode="bicubic", align_corners=False).clamp(0, 255)
        pixels = torch.where(chosen.to(device)[:, None, None, None], small, pixels)
    if config.jpeg:
        pixels = _compressed(pixels, config.jpeg, generator)
    grid = functional.affine_grid(torch.stack(rows, 1).to(device), [count, 1, size, size], align_corners=False)
    faces = functional.grid_sample(pixels, grid, padding_mode="border", align_corners=False)
    faces = ((faces - 128) * contrast[:, None, None, None] + 128 + brightness[:, None, None, None]).clamp(0, 255)
    if config.dark:
        less = 10 ** -torch.rand(count, generator=generator)  # from all of the light to a tenth of it
        chosen = torch.rand(count, generator=generator) < config.dark
        light = torch.where(chosen, less, torch.ones(count)).to(device)
        faces = (faces * light[:, None, None, None]).round()  # so few greys are left

    # Random erasing (Zhong et al. 2020, arXiv:1708.04896) with the data set's mean grey.
    erased = torch.rand(count, generator=generator) < config.erase
    side = draw(0.1, 0.3) * size
    top, left = (torch.rand(count, generator=generator) * (size - side) for _ in range(2))
    at = torch.arange(size)
    inside_rows = (at >= top[:, None]) & (at < (top + side)[:, None])
    inside_columns = (at >= left[:, None]) & (at < (left + side)[:, None])
    mask = inside_rows[:, None, :, None] & inside_columns[:, None, None, :] & erased[:, None, None, None]
    return faces.masked_fill(mask.to(device), GREY), torch.rad2deg(angle), flip


def _compressed(faces: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """Return the faces, a share of them as JPEG at a quality of 30 to 90 leaves them."""
    chosen = torch.rand(len(faces), generator=generator) < share
    qualities = torch.randint(30, 91, (len(faces),), generator=generator)
    compressed = faces.clone()
    for index in chosen.nonzero()[:, 0].tolist():
        pixels = faces[index, 0].round().clamp(0, 255).to("cpu", torch.uint8).numpy()
        _, content = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, int(qualities[index])])
        compressed[index, 0] = torch.from_numpy(cv2.imdecode(content, cv2.IMREAD_GRAYSCALE)).to(faces)
    return compressed


def mixed(alpha: float, generator: torch.Generator, *batch: Tensor) -> list[Tensor]:
    """Return what was given with each row blended with another one: mixup (Zhang et al. 2018, arXiv:1710.09412).

    Args:
        alpha: Both parameters of the Beta distribution that a row's share is drawn from; small: mostly one row.
        generator: Decides; on the CPU.
        batch: Faces and their targets, shape (B, ...) each; all are blended alike.
    """
    count, device = len(batch[0]), batch[0].device
    rng = np.random.default_rng(int(torch.randint(2**31, (1,), generator=generator)))
    share = torch.from_numpy(rng.beta(alpha, alpha, count)).float().to(device)
    other = torch.from_numpy(rng.permutation(count)).to(device)
    return [rows.lerp(rows[other], share.reshape(-1, *[1] * (rows.ndim - 1))) for rows in batch]
