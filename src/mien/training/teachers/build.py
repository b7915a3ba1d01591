"""A run's settings in, the network that it trains out."""

from __future__ import annotations

from mien.training.config import TrainConfig
from mien.training.model import EmotionNet, FaceNet
from mien.training.teachers.lite import LiteNet

__all__ = ["build"]


def build(config: TrainConfig) -> FaceNet:
    """Return the untrained network that a run asks for."""
    return LiteNet.of(config) if config.network == "efficientnet-lite0" else EmotionNet.of(config)
