"""The network: 48x48 grey faces in, one score per emotion out, twice.

A small residual network (He et al. 2016, arXiv:1512.03385) with squeeze-and-excitation (Hu et al. 2018,
arXiv:1709.01507). One trunk carries two heads: `fer2013` answers as FER-2013's labels do, `ferplus` as the people who
voted for FER+. Each is exported as a model of its own.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from itertools import pairwise
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from mien.observation import EMOTIONS
from mien.training.config import TrainConfig

__all__ = ["HEADS", "INPUT_SIZE", "EmotionNet", "FaceNet", "SingleHead", "deepen", "fold", "mean", "predict"]

HEADS = ("fer2013", "ferplus")
INPUT_SIZE = 48
WIDTHS = (48, 96, 192)
MEAN, STD = 0.5076, 0.2550
"""Of the Training pixels, scaled to 0-1."""
BATCH = 32
"""Faces a call: with more, what the layers pass on is so large that the system hands out new memory each time."""

Net = TypeVar("Net", bound="FaceNet")


class Block(nn.Module):
    """Two 3x3 convolutions, squeeze-and-excitation and a shortcut."""

    def __init__(self, channels_in: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels)
        self.squeeze = nn.Conv2d(channels, channels // 8, 1)
        self.excite = nn.Conv2d(channels // 8, channels, 1)
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1 or channels_in != channels:
            self.shortcut = nn.Sequential(
                nn.AvgPool2d(stride, ceil_mode=True) if stride > 1 else nn.Identity(),
                nn.Conv2d(channels_in, channels, 1, bias=False),
                nn.BatchNorm2d(channels),
            )

    def forward(self, x: Tensor) -> Tensor:
        """Return the features, (B, C, H/stride, W/stride)."""
        y = functional.relu(self.norm1(self.conv1(x)))
        y = self.norm2(self.conv2(y))
        gate = functional.adaptive_avg_pool2d(y, 1)  # (B, C, 1, 1)
        gate = torch.sigmoid(self.excite(functional.relu(self.squeeze(gate))))
        return functional.relu(y * gate + self.shortcut(x))


class FaceNet(nn.Module):
    """What every network does with a face: it sees it at its own size, and its mirror image where it was told to.

    Args:
        size: The side in pixels to which faces are enlarged when not training; training takes them as they come.
        mirror: Whether, when not training, it answers for a face and its mirror image together.
    """

    heads: nn.ModuleDict
    dropout: nn.Dropout

    def __init__(self, *, size: int = INPUT_SIZE, mirror: bool = False) -> None:
        super().__init__()
        self.size, self.mirror = size, mirror

    def looks(self) -> str:
        """Return how it looks at a face, in words."""
        size = "as it is" if self.size == INPUT_SIZE else f"enlarged to {self.size}x{self.size}"
        return f"the face {size}, and its mirror image" if self.mirror else f"the face {size}"

    def forward(self, pixels: Tensor) -> dict[str, Tensor]:
        """Return the logits of each head, (B, 7), for pixels (B, 1, H, W), 0-255."""
        if self.training:
            return self._scores(pixels)
        if self.size != INPUT_SIZE:
            pixels = functional.interpolate(pixels, (self.size, self.size), mode="bilinear", align_corners=False)
        if not self.mirror:
            return self._scores(pixels)
        both = self._scores(torch.cat([pixels, pixels.flip(3)]))
        return {head: scores.reshape(2, -1, len(EMOTIONS)).mean(0) for head, scores in both.items()}

    def scores_and_maps(self, pixels: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """Return the logits of each head, and where the first one sees each emotion.

        Args:
            pixels: The faces at the size they are to be seen in, (B, 1, H, W), 0-255.

        Returns:
            The logits, (B, 7); and the maps, (B, 7, h, w), whose means are the first head's logits without their biases
            (class activation maps, Zhou et al. 2016, arXiv:1512.04150).
        """
        features = self._features(pixels)
        maps = functional.conv2d(features, self.heads[HEADS[0]].get_parameter("weight")[:, :, None, None])
        return self._answers(features), maps

    def _scores(self, pixels: Tensor) -> dict[str, Tensor]:
        return self._answers(self._features(pixels))

    def _features(self, pixels: Tensor) -> Tensor:
        raise NotImplementedError

    def _answers(self, features: Tensor) -> dict[str, Tensor]:
        seen = self.dropout(functional.adaptive_avg_pool2d(features, 1).flatten(1))  # (B, C)
        return {head: layer(seen) for head, layer in self.heads.items()}


class EmotionNet(FaceNet):
    """The trunk and its two heads.

    Args:
        widths: Channels of each stage; a stage after the first halves the resolution.
        depths: Blocks in each stage.
        dropout: Before the heads.
        size: As `FaceNet` has it.
        mirror: As `FaceNet` has it.
    """

    def __init__(
        self,
        widths: tuple[int, ...] = WIDTHS,
        depths: tuple[int, ...] = (1, 2, 2),
        dropout: float = 0.2,
        *,
        size: int = INPUT_SIZE,
        mirror: bool = False,
    ) -> None:
        super().__init__(size=size, mirror=mirror)
        self.depths = depths
        self.stem = nn.Sequential(
            nn.Conv2d(1, widths[0], 5, 2, 2, bias=False), nn.BatchNorm2d(widths[0]), nn.ReLU(inplace=True)
        )
        blocks: list[nn.Module] = []
        channels = widths[0]
        for stage, (width, depth) in enumerate(zip(widths, depths, strict=True)):
            for index in range(depth):
                blocks.append(Block(channels, width, 2 if stage and not index else 1))
                channels = width
        self.blocks = nn.Sequential(*blocks)
        self.dropout = nn.Dropout(dropout)
        self.heads = nn.ModuleDict({head: nn.Linear(channels, len(EMOTIONS)) for head in HEADS})

    @classmethod
    def of(cls, config: TrainConfig) -> EmotionNet:
        """Return the untrained network that a run asks for: its channels are those of `WIDTHS` in steps of 8."""
        widths = tuple(max(8, round(channels * config.width / 8) * 8) for channels in WIDTHS)
        return cls(widths, config.depths, size=config.size, mirror=config.mirror)

    def _features(self, pixels: Tensor) -> Tensor:
        x: Tensor = self.blocks(self.stem((pixels / 255 - MEAN) / STD))  # (B, C, H/8, W/8)
        return x


class SingleHead(nn.Module):
    """One head of an `EmotionNet` with its temperature: what is exported, probabilities out."""

    def __init__(self, net: EmotionNet, head: str, temperature: float) -> None:
        super().__init__()
        self.net, self.head = net, head
        self.temperature: Tensor
        self.register_buffer("temperature", torch.tensor(temperature))

    def forward(self, pixels: Tensor) -> Tensor:
        """Return the probabilities, (B, 7), for pixels (B, 1, H, W), 0-255."""
        logits: Tensor = self.net(pixels)[self.head]
        return torch.softmax(logits / self.temperature, dim=1)


def mean(nets: Sequence[Net]) -> Net:
    """Return a network whose weights are the mean of several, which began alike (Wortsman et al. 2022,
    arXiv:2203.05482).

    Args:
        nets: One or more, of one make.
    """
    averaged = copy.deepcopy(nets[0])
    states = [net.state_dict() for net in nets]
    averaged.load_state_dict(
        {
            name: torch.stack([state[name] for state in states]).mean(0) if value.is_floating_point() else value
            for name, value in states[0].items()
        }
    )
    return averaged


def deepen(net: EmotionNet, deeper: EmotionNet) -> None:
    """Give a deeper network what a trained one knows, so that both answer alike.

    The blocks that a stage has beyond the trained one's stand at its end and add nothing to what they get, as their
    last norm begins at 0 (so in Goyal et al. 2017, arXiv:1706.02677); what they add is for training to find.

    Args:
        net: The trained one, of the same widths.
        deeper: With at least as many blocks in each stage; changed in place.
    """
    known, blocks = iter(net.blocks), iter(deeper.blocks)
    for depth, given in zip(deeper.depths, net.depths, strict=True):
        for index in range(depth):
            block = next(blocks)
            assert isinstance(block, Block)  # noqa: S101
            if index < given:
                block.load_state_dict(next(known).state_dict())
            else:
                nn.init.zeros_(block.norm2.weight)
    deeper.stem.load_state_dict(net.stem.state_dict())
    deeper.heads.load_state_dict(net.heads.state_dict())


def fold(net: EmotionNet) -> EmotionNet:
    """Return a copy, ready to evaluate, in which each convolution has taken in the norm or mean beside it."""
    folded = copy.deepcopy(net).eval()
    for module in list(folded.modules()):
        for (conv_name, conv), (norm_name, norm) in pairwise(list(module.named_children())):
            if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                setattr(module, conv_name, fuse_conv_bn_eval(conv, norm))
                setattr(module, norm_name, nn.Identity())
    if net.size % 8 == 0:  # else a shortcut pools an odd number of rows
        for block in folded.blocks:
            if isinstance(block, Block) and isinstance(block.shortcut, nn.Sequential):
                block.shortcut = _with_its_pool(block.shortcut)
    return folded


def _with_its_pool(shortcut: nn.Sequential) -> nn.Module:
    """Return the mean over 2x2 and the 1x1 convolution after it as one convolution, which eight bits do faster."""
    pool, conv = shortcut[0], shortcut[1]
    if not isinstance(pool, nn.AvgPool2d) or not isinstance(conv, nn.Conv2d):
        return shortcut
    one = nn.Conv2d(conv.in_channels, conv.out_channels, 2, 2)
    one.weight = nn.Parameter((conv.weight / 4).repeat(1, 1, 2, 2))
    one.bias = conv.bias
    return one


def predict(net: FaceNet, pixels: np.ndarray) -> dict[str, np.ndarray]:
    """Return the logits of each head, shape (n, 7), for faces of shape (n, 48, 48), uint8."""
    collected: dict[str, list[np.ndarray]] = {head: [] for head in HEADS}
    with torch.inference_mode():
        for start in range(0, len(pixels), BATCH):
            for head, logits in net(torch.from_numpy(pixels[start : start + BATCH]).float()[:, None]).items():
                collected[head].append(logits.float().numpy())
    return {head: np.concatenate(parts) for head, parts in collected.items()}
