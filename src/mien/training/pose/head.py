"""The network of the third head: features in, five values and how far each is likely to be off out."""

from __future__ import annotations

from collections.abc import Collection

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["CENTRES", "LEAST_ERROR", "MIRRORED", "NAMES", "UNITS", "WITHHELD", "GeometryHead", "loss"]

NAMES = ("yaw", "pitch", "roll", "eyes", "mouth")
"""What the head says, in the order of its answers."""

CENTRES = (0.0, 8.5, 0.0, 0.58, 0.2)
UNITS = (15.0, 11.0, 10.0, 0.22, 0.18)
"""Mean and spread of yaw, pitch, roll, eyes and mouth in the labels."""
MIRRORED = (-1.0, 1.0, -1.0, 1.0, 1.0)
"""What a mirror does to them."""
WITHHELD = 1000.0
"""The expected error of a value that is not to be said."""
LEAST_ERROR = 0.02
"""The smallest error that the head may expect, in units."""


class GeometryHead(nn.Module):
    """Two convolutions and two linear layers.

    Args:
        shape: Of the features: channels, height, width.
        mirror: Whether the features are those of faces and, after them, of their mirror images, and the answer is the
            mean of both when not training.
        channels: Of the two convolutions.
        hidden: Of the linear layer before the last.
    """

    def __init__(
        self, shape: tuple[int, ...], *, mirror: bool, channels: tuple[int, int] = (64, 48), hidden: int = 64
    ) -> None:
        super().__init__()
        self.mirror = mirror
        self.conv1 = nn.Conv2d(shape[0], channels[0], 3, 2, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(channels[0])
        self.conv2 = nn.Conv2d(channels[0], channels[1], 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels[1])
        cells = ((shape[1] + 1) // 2) * ((shape[2] + 1) // 2)
        self.dropout = nn.Dropout(0.1)
        self.linear1 = nn.Linear(channels[1] * cells, hidden)
        self.linear2 = nn.Linear(hidden, 2 * len(UNITS))
        self.centres: Tensor
        self.units: Tensor
        self.mirrored: Tensor
        for name, values in (("centres", CENTRES), ("units", UNITS), ("mirrored", MIRRORED)):
            self.register_buffer(name, torch.tensor(values), persistent=False)
        self.error_factors: Tensor
        self.withheld: Tensor
        self.register_buffer("error_factors", torch.ones(len(UNITS)))
        self.register_buffer("withheld", torch.zeros(len(UNITS)))

    def withhold(self, names: Collection[str]) -> None:
        """Never be sure of these values, of NAMES."""
        for index, name in enumerate(NAMES):
            self.withheld[index] = WITHHELD if name in names else 0.0

    def hidden(self, features: Tensor) -> Tensor:
        """Return what the last layer reads, (B, hidden)."""
        x = functional.relu(self.norm1(self.conv1(features)))
        x = functional.relu(self.norm2(self.conv2(x))).flatten(1)
        return functional.relu(self.linear1(self.dropout(x)))

    def forward(self, features: Tensor) -> Tensor:
        """Return yaw, pitch, roll (degrees), eyes, mouth (0 to 1), and the expected errors of the five, (B, 10)."""
        x = self.linear2(self.hidden(features))
        values, spread = x[:, : len(UNITS)], x[:, len(UNITS) :]
        if self.mirror and not self.training:
            both = values.reshape(2, -1, len(UNITS))
            values = (both[0] + both[1] * self.mirrored) / 2
            spread = spread.reshape(2, -1, len(UNITS)).mean(0)
        values = values * self.units + self.centres
        values = torch.cat([values[:, :3], values[:, 3:].clamp(0, 1)], 1) if not self.training else values
        errors = (functional.softplus(spread) + LEAST_ERROR) * self.units * self.error_factors + self.withheld
        return torch.cat([values, errors], 1)


def loss(answers: Tensor, values: Tensor, weights: Tensor) -> Tensor:
    """Return the mean negative log-likelihood under a Laplace distribution about each answer.

    Args:
        answers: What the head said, shape (B, 10).
        values: What is right, shape (B, 5).
        weights: How much each counts, shape (B, 5).
    """
    count = len(UNITS)
    units = torch.tensor(UNITS)
    errors, expected = (answers[:, :count] - values).abs() / units, answers[:, count:] / units
    # The mean error of a Laplace distribution is its scale.
    return ((errors / expected + expected.log()) * weights).sum() / weights.sum()
