"""Train a finished network on as eight bits will compute it, by what networks in single precision answer.

Weights and activations are rounded as onnxruntime will round them, while gradients pass as if nothing had been rounded
(Jacob et al. 2018, arXiv:1712.05877). No label is looked at: of a face as it is, turned, moved, relit, coarsened or cut
out by the pipeline, the network is to say what its teachers say of the face as it is (Hinton et al. 2015,
arXiv:1503.02531). So it loses as little as can be by its eight bits, and small changes of a face change less.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrize
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from mien.training import checkpoints
from mien.training.augmentation import augment
from mien.training.config import TrainConfig
from mien.training.model import Block, EmotionNet, FaceNet, fold, predict

__all__ = ["answers", "settle"]

log = logging.getLogger("mien.training")

CHANGES = TrainConfig(
    data="-", out="-", rotate=8.0, zoom=0.15, shift=0.06, erase=0.0, coarse=0.35, dark=0.2, jpeg=0.35
)  # fmt: skip
AS_IT_IS = 0.25
"""The share of faces that are seen as they are, or mirrored."""
RECUT = 0.6
"""The share of the others that are seen as the pipeline cuts them."""
MEASURED = 512
"""So many faces give the ranges of the activations."""
BATCH = 128
RATE = 3e-4
"""The height of the learning rate."""
RISE = 0.101
"""The share of the steps in which it rises; a tenth of ten steps would have torch divide by 0."""
WEIGHT_MOST = 64
"""Weights are whole numbers from -64 to 64: processors without VNNI would overflow at eight bits."""


class RoundedWeight(nn.Module):
    """A convolution's weights, rounded for each channel to whole numbers of its step."""

    def forward(self, weight: Tensor) -> Tensor:
        """Return the weights rounded, (C, ...)."""
        step = weight.detach().abs().flatten(1).amax(1).clamp(min=1e-12) / WEIGHT_MOST
        none = torch.zeros(len(weight), dtype=torch.int32)
        return torch.fake_quantize_per_channel_affine(weight, step, none, 0, -WEIGHT_MOST, WEIGHT_MOST)


class RoundedValues(nn.Module):
    """Activations, rounded to 256 steps of the range that they were seen in."""

    def __init__(self) -> None:
        super().__init__()
        self.low: Tensor
        self.high: Tensor
        for name in ("low", "high"):
            self.register_buffer(name, torch.zeros(()))
        self.measures = True

    def forward(self, values: Tensor) -> Tensor:
        """Return the values, rounded once the range is measured."""
        if self.measures:
            self.low, self.high = torch.minimum(self.low, values.min()), torch.maximum(self.high, values.max())
            return values
        step = max(float(self.high - self.low) / 255, 1e-12)
        return torch.fake_quantize_per_tensor_affine(values, step, round(-float(self.low) / step), 0, 255)


class Rounding:
    """Rounds within a folded network, from `begin` until `end`; before that it measures ranges.

    Args:
        net: Changed in place.
    """

    def __init__(self, net: EmotionNet) -> None:
        self.convolutions = [module for module in net.modules() if isinstance(module, nn.Conv2d)]
        self.values: list[RoundedValues] = []
        self.hooks: list[Any] = []
        self._round_input(net.stem[0])
        self._round_output(net.stem)
        for block in net.blocks:
            assert isinstance(block, Block)  # noqa: S101
            for convolution in (block.conv2, block.squeeze, block.excite):
                self._round_input(convolution)
            # what stands in the norm's place passes on the convolution before it, in which it lies
            outputs: list[nn.Module] = [block.norm2, block.excite, block]
            if not isinstance(block.shortcut, nn.Identity):
                outputs.append(block.shortcut)
            for layer in outputs:
                self._round_output(layer)

    def _round_input(self, layer: nn.Module) -> None:
        rounded = self._new()
        self.hooks.append(layer.register_forward_pre_hook(lambda _, given: (rounded(given[0]),)))

    def _round_output(self, layer: nn.Module) -> None:
        rounded = self._new()
        self.hooks.append(layer.register_forward_hook(lambda _, __, given: rounded(given)))

    def _new(self) -> RoundedValues:
        self.values.append(RoundedValues())
        return self.values[-1]

    def begin(self) -> None:
        """Round from now on."""
        for rounded in self.values:
            rounded.measures = False
        for convolution in self.convolutions:
            parametrize.register_parametrization(convolution, "weight", RoundedWeight())

    def end(self) -> None:
        """Leave the weights as they are rounded, and the network as it was made."""
        for convolution in self.convolutions:
            parametrize.remove_parametrizations(convolution, "weight", leave_parametrized=True)
        for hook in self.hooks:
            hook.remove()


def answers(nets: Sequence[FaceNet], pixels: np.ndarray, counts: Sequence[int] | None = None) -> dict[str, np.ndarray]:
    """Return the mean probabilities that networks answer for faces, of each head, shape (n, 7), float32.

    Args:
        nets: One or more.
        pixels: The faces, shape (n, 48, 48), uint8.
        counts: How often each network counts; None: once.
    """
    logits = [predict(fold(net) if isinstance(net, EmotionNet) else net, pixels) for net in nets]
    return {
        head: np.average(
            [torch.softmax(torch.from_numpy(given[head]), 1).numpy() for given in logits], axis=0, weights=counts
        ).astype(np.float32)
        for head in logits[0]
    }


def settle(
    net: EmotionNet,
    pixels: np.ndarray,
    wanted: Mapping[str, np.ndarray],
    *,
    recut: np.ndarray | None = None,
    epochs: int = 4,
    rate: float = RATE,
    ema_decay: float = 0.0,
    seed: int = 1,
    keep: str | Path | None = None,
    half: bool = False,
) -> EmotionNet:
    """Train a network on in eight bits, and return it with weights that eight bits hold.

    Args:
        net: Folded; changed in place.
        pixels: Faces of Training, shape (n, 48, 48), uint8.
        wanted: What is to be answered for them: the probabilities for each head that is trained, shape (n, 7).
        recut: The same faces as the pipeline cuts them, shape (n, cuts, 48, 48), uint8; None: none.
        epochs: Passes over the faces.
        rate: The height of the learning rate (Adam, one cycle).
        ema_decay: Of the weights averaged over the steps, which are the ones returned; 0: the last ones are.
        seed: Of everything that is drawn by chance.
        keep: A file to which the state is written after each epoch, and from which it goes on; None: none.
        half: Whether convolutions are computed in bfloat16, which is faster where the processor does it.
    """
    rounding = Rounding(net)
    net.dropout.p = 0.0
    rows = np.random.default_rng(seed).permutation(len(pixels))[:MEASURED]
    predict(net.eval(), pixels[rows])
    rounding.begin()
    net.train().requires_grad_(requires_grad=True)
    targets = {head: torch.from_numpy(given) for head, given in wanted.items()}
    steps = len(pixels) // BATCH or 1
    optimizer = torch.optim.Adam(net.parameters(), rate, betas=(0.9, 0.99))
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, rate, total_steps=epochs * steps, pct_start=RISE, final_div_factor=100, cycle_momentum=False
    )
    averaged = AveragedModel(net, multi_avg_fn=get_ema_multi_avg_fn(ema_decay))  # type: ignore[no-untyped-call]
    parts = {"net": net, "averaged": averaged, "optimizer": optimizer, "schedule": schedule}
    for epoch in range(checkpoints.resumed(keep, parts), epochs):
        began, losses = time.monotonic(), []
        generator = torch.Generator().manual_seed(1000 * seed + epoch)
        order = torch.randperm(len(pixels), generator=generator)
        for chosen in torch.split(order, BATCH)[:steps]:
            looks = _looks(pixels, recut, chosen.numpy(), net.size, generator)
            with torch.autocast("cpu", torch.bfloat16, enabled=half):
                logits = net(looks)
            likely = {head: torch.log_softmax(logits[head].float(), 1) for head in targets}
            loss = sum(
                (functional.kl_div(likely[head], targets[head][chosen], reduction="batchmean") for head in targets),
                torch.zeros(()),
            )
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
            averaged.update_parameters(net)
            losses.append(loss.item())
        log.info("epoch %d of %d: loss %.4f, %.0f s", epoch + 1, epochs, np.mean(losses), time.monotonic() - began)
        checkpoints.keep(keep, parts, epoch + 1)
    net.load_state_dict(averaged.module.state_dict())
    rounding.end()
    return net.eval()


def _looks(
    pixels: np.ndarray, recut: np.ndarray | None, chosen: np.ndarray, size: int, generator: torch.Generator
) -> Tensor:
    """Return faces as a step sees them, (B, 1, size, size): some as they are or mirrored, the others changed."""
    faces = torch.from_numpy(pixels[chosen]).float()[:, None]
    plain = functional.interpolate(faces, (size, size), mode="bilinear", align_corners=False)
    draws = torch.rand((3, len(faces), 1, 1, 1), generator=generator)
    plain = torch.where(draws[0] < 0.5, plain, plain.flip(3))
    if recut is not None:
        cut = torch.randint(recut.shape[1], (len(faces),), generator=generator).numpy()
        others = torch.from_numpy(recut[chosen, cut]).float()[:, None]  # all black where no face was found
        faces = torch.where((draws[1] < RECUT) & (others.amax((1, 2, 3), keepdim=True) > 0), others, faces)
    return torch.where(draws[2] < AS_IT_IS, plain, augment(faces, size, CHANGES, generator))
