"""The loop's body: what a step, an epoch and a validation do, in Lightning's terms.

Everything that is drawn by chance follows from the run's seed, the epoch and the step, so that a run resumed from its
last complete epoch goes on as if it had never stopped.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from functools import partial
from typing import Any

import lightning
import numpy as np
import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset, DistributedSampler

from mien.observation import EMOTIONS
from mien.training.augmentation import augment, mixed
from mien.training.config import TrainConfig
from mien.training.data import Faces
from mien.training.model import BATCH, HEADS, EmotionNet
from mien.training.teachers.build import build

__all__ = ["Training"]

RISE = 0.201
"""The share of the steps in which the learning rate rises; a fifth of five steps would have torch divide by 0."""


def divergence(first: Tensor, second: Tensor) -> Tensor:
    """Return how far two answers are apart, from 0 to log 2: the mean Jensen-Shannon divergence.

    Args:
        first: Log-probabilities, shape (B, 7).
        second: Those of the same faces.
    """
    middle = torch.logaddexp(first, second) - math.log(2)
    parts = [(answer.exp() * (answer - middle)).sum(1).mean() for answer in (first, second)]
    return (parts[0] + parts[1]) / 2


class Indices(Dataset[int]):
    """The numbers of the faces; the faces themselves lie in memory."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> int:
        return index


class Training(lightning.LightningModule):
    """The network with its losses, schedule and figures.

    Attributes:
        net: The network.
        splits: The faces of Training and PublicTest.
        frozen: The parts of the network that stay as they are.
        soft: The soft labels of Training's faces, shape (n, 7), or None.
        recut: Training's faces as the pipeline cuts them, shape (n, cuts, 48, 48), uint8, or None.
        covered: The same, hidden; all black where there is none.
        weights: Of each label's loss, shape (7,).
        public_logits: What each head answered on PublicTest at the last validation, shape (n, 7).
    """

    def __init__(self, config: TrainConfig, faces: Faces) -> None:
        super().__init__()
        self.save_hyperparameters({"config": dataclasses.asdict(config)})
        self.config = config
        net = build(config)
        self.net = net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.frozen: list[nn.Module] = []
        if config.frozen and isinstance(net, EmotionNet):
            self.frozen = [net.stem, *list(net.blocks)[: sum(config.depths[: config.frozen])]]
            for part in self.frozen:
                part.requires_grad_(requires_grad=False)
        self.soft: np.ndarray | None = None
        self.recut: np.ndarray | None = None
        self.covered: np.ndarray | None = None
        self.splits = {usage: faces.split(usage) for usage in ("Training", "PublicTest")}
        self.weights: Tensor
        self.register_buffer("weights", self._label_weights(), persistent=False)
        self.outputs: list[tuple[dict[str, Tensor], Tensor]] = []
        self.public_logits: dict[str, np.ndarray] = {}

    def _label_weights(self) -> Tensor:
        """Return the weight of each label's loss, (7,); they average 1 over the faces."""
        counts = np.bincount(self.splits["Training"].labels, minlength=len(EMOTIONS))
        factors = [self.config.label_weights.get(emotion, 1.0) for emotion in EMOTIONS]
        weights = counts.clip(min=1) ** -self.config.class_balance * factors
        return torch.from_numpy(weights * counts.sum() / (weights * counts).sum()).float()

    def _targets(self, indices: Tensor, labels: Tensor) -> Tensor:
        """Return what the first head should answer, (B, 7): the label, smoothed, and its share of the soft label."""
        smoothing = self.config.label_smoothing
        targets = functional.one_hot(labels, len(EMOTIONS)).float() * (1 - smoothing) + smoothing / len(EMOTIONS)
        if self.soft is None:
            return targets
        soft = torch.from_numpy(self.soft[indices.cpu().numpy()]).to(self.device)
        return torch.lerp(targets, soft, self.config.teacher_share)

    def _batch(self, usage: str, indices: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        chosen = indices.cpu().numpy()
        faces = self.splits[usage]
        pixels = torch.from_numpy(faces.pixels[chosen]).to(self.device, torch.float32)[:, None]
        labels = torch.from_numpy(faces.labels[chosen]).to(self.device)
        return pixels, labels, torch.from_numpy(faces.votes[chosen]).to(self.device)

    def _in_place(
        self, crops: np.ndarray | None, share: float, indices: Tensor, pixels: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Return the faces, (B, 1, 48, 48), with others in place of a share of them, and in whose place, (B,), bool."""
        if crops is None:
            return pixels, torch.zeros(len(pixels), dtype=torch.bool, device=pixels.device)
        chosen = torch.rand(len(pixels), generator=generator) < share
        cut = torch.randint(crops.shape[1], (len(pixels),), generator=generator).numpy()
        others = torch.from_numpy(crops[indices.cpu().numpy(), cut])
        chosen = (chosen & (others > 0).flatten(1).any(1)).to(pixels.device)
        return torch.where(chosen[:, None, None, None], others.to(pixels)[:, None], pixels), chosen

    def _sampler(self, usage: str, shuffle: bool) -> DistributedSampler[int]:
        return DistributedSampler(
            Indices(len(self.splits[usage])),
            num_replicas=self.trainer.world_size,
            rank=self.trainer.global_rank,
            shuffle=shuffle,
            seed=self.config.seed,
        )

    def train_dataloader(self) -> DataLoader[int]:
        """Return the numbers of the Training faces, shuffled anew each epoch."""
        sampler = self._sampler("Training", shuffle=True)
        return DataLoader(sampler.dataset, self.config.batch_size, sampler=sampler, drop_last=len(sampler) >= 512)

    def val_dataloader(self) -> DataLoader[int]:
        """Return the numbers of the PublicTest faces in their order."""
        sampler = self._sampler("PublicTest", shuffle=False)
        return DataLoader(sampler.dataset, BATCH, sampler=sampler)

    def on_train_epoch_start(self) -> None:
        """Keep what is frozen from taking new statistics; log the learning rate that the epoch begins with."""
        for part in self.frozen:
            part.eval()
        rate = self.trainer.optimizers[0].param_groups[0]["lr"]
        self.log("learning_rate", rate, on_step=False, on_epoch=True, sync_dist=True)

    def training_step(self, indices: Tensor, step: int) -> Tensor:
        """Return the loss of both heads on augmented faces."""
        config = self.config
        pixels, labels, votes = self._batch("Training", indices)
        drawn = np.random.SeedSequence([config.seed, self.current_epoch, step, self.global_rank]).generate_state(2)
        torch.manual_seed(int(drawn[0]))  # for dropout
        generator = torch.Generator().manual_seed(int(drawn[1]))
        small = self.current_epoch < config.epochs // 2
        size = config.small_size if small else config.size
        count = 2 if config.consistency else 1
        seen = [self._in_place(self.recut, config.recut_share, indices, pixels, generator)[0] for _ in range(count)]
        targets = self._targets(indices, labels)
        shares = votes / votes.sum(1, keepdim=True).clamp(min=1)
        if self.covered is not None:
            seen[0], hidden = self._in_place(self.covered, config.covered_share, indices, seen[0], generator)
            seen = [torch.where(hidden[:, None, None, None], seen[0], faces) for faces in seen]
            targets, shares = (rows.masked_fill(hidden[:, None], 1 / len(EMOTIONS)) for rows in (targets, shares))
        looks = [augment(faces, size, config, generator) for faces in seen]
        if config.mixup:
            targets, shares, *looks = mixed(config.mixup, generator, targets, shares, *looks)
        faces, targets, shares = torch.cat(looks), targets.repeat(len(looks), 1), shares.repeat(len(looks), 1)
        if config.attention:
            logits, places = self._mirrored(faces, len(looks[0]))
        else:
            logits = self.net(faces.contiguous(memory_format=torch.channels_last))
        likely = torch.log_softmax(logits["fer2013"].float(), 1)
        loss = -(targets * self.weights * likely).sum(1).mean()
        # Faces without votes have no part in this, but the head always has: DDP waits for every gradient.
        likely_votes = torch.log_softmax(logits["ferplus"].float(), 1)
        loss = loss - config.ferplus_weight * (shares * likely_votes).sum() / shares.sum().clamp(min=1)
        if len(looks) > 1:
            apart = divergence(*likely.chunk(2)) + config.ferplus_weight * divergence(*likely_votes.chunk(2))
            loss = loss + config.consistency * apart
        if config.attention:
            loss = loss + config.attention * places
        self.log("train_loss", loss, on_step=False, on_epoch=True, prog_bar=True, sync_dist=True)
        return loss

    def _mirrored(self, faces: Tensor, count: int) -> tuple[dict[str, Tensor], Tensor]:
        """Return the logits for faces, and how far the first `count` are answered from other places than mirrored."""
        seen = torch.cat([faces, faces[:count].flip(3)]).contiguous(memory_format=torch.channels_last)
        logits, maps = self.net.scores_and_maps(seen)
        places = functional.mse_loss(maps[:count].float(), maps[-count:].flip(3).float())
        return {head: scores[: len(faces)] for head, scores in logits.items()}, places

    def validation_step(self, indices: Tensor, _batch: int) -> None:
        """Keep what the first head answers; log how far the second agrees with the FER+ majority."""
        pixels, labels, _ = self._batch("PublicTest", indices)
        logits = self.net(pixels)
        self.outputs.append(({head: scores.float() for head, scores in logits.items()}, labels))
        majority = torch.from_numpy(self.splits["PublicTest"].majority[indices.cpu().numpy()]).to(self.device)
        voted = majority >= 0
        if voted.any():
            hits = logits["ferplus"][voted].argmax(1) == majority[voted]
            self.log("val_ferplus", hits.float().mean(), batch_size=int(voted.sum()), sync_dist=True)

    def on_validation_epoch_end(self) -> None:
        """Log loss, accuracy and recalls over all of PublicTest."""
        answers = {head: self._gathered([logits[head] for logits, _ in self.outputs]) for head in HEADS}
        logits = answers["fer2013"]
        labels = self._gathered([labels for _, labels in self.outputs])
        self.outputs.clear()
        self.public_logits = {head: scores.cpu().numpy() for head, scores in answers.items()}
        top = logits.topk(5, dim=1).indices == labels[:, None]
        figures = {
            "val_loss": functional.cross_entropy(logits, labels),
            "val_acc5": top.any(1).float().mean(),
        }
        for index, emotion in enumerate(EMOTIONS):
            if (labels == index).any():
                figures[f"recall_{emotion}"] = top[labels == index, 0].float().mean()
        self.log_dict(figures)
        self.log("val_acc1", top[:, 0].float().mean(), prog_bar=True)

    def _gathered(self, parts: list[Tensor]) -> Tensor:
        """Return the parts of all processes in the order of the faces, without those that fill up the last batch."""
        mine = torch.cat(parts)
        gathered = self.all_gather(mine)
        assert isinstance(gathered, Tensor)  # noqa: S101
        if gathered.ndim > mine.ndim:  # (processes, n, …), dealt out like cards
            gathered = gathered.transpose(0, 1).flatten(0, 1)
        return gathered[: len(self.splits["PublicTest"])]

    def optimizer_step(
        self, _epoch: int, _step: int, optimizer: Any, optimizer_closure: Callable[[], Any] | None = None
    ) -> None:
        """Take a step; with `sharpness`, by the gradient at a worse point nearby."""
        closure = optimizer_closure
        if self.config.sharpness and optimizer_closure is not None:
            closure = partial(self._steepest, optimizer_closure)
        optimizer.step(closure=closure)

    def _steepest(self, gradient: Callable[[], Any]) -> Any:
        """Leave in the parameters the gradient at the point `sharpness` uphill, and return the loss at this one.

        Sharpness-aware minimisation (Foret et al. 2021, arXiv:2010.01412): what is flat around the weights that it
        finds holds for other faces too. The norms keep the statistics of the first look alone.
        """
        loss = gradient()
        norms = [module for module in self.net.modules() if isinstance(module, nn.BatchNorm2d)]
        momenta = [norm.momentum for norm in norms]
        with torch.no_grad():
            moved = [parameter for parameter in self.net.parameters() if parameter.grad is not None]
            before = [parameter.clone() for parameter in moved]
            slopes = [parameter.grad for parameter in moved]
            length = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(slope) for slope in slopes]))
            for parameter, slope in zip(moved, slopes, strict=True):
                parameter.add_(slope * (self.config.sharpness / (length + 1e-12)))
        for norm in norms:
            norm.momentum = 0.0
        gradient()
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        with torch.no_grad():
            for parameter, value in zip(moved, before, strict=True):
                parameter.copy_(value)
        return loss

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Return SGD with Nesterov momentum, or AdamW, under a one-cycle schedule."""
        config = self.config
        learning = [p for p in self.net.parameters() if p.requires_grad]
        decayed = [p for p in learning if p.ndim > 1]
        plain = [p for p in learning if p.ndim <= 1]
        groups = [{"params": decayed, "weight_decay": config.weight_decay}, {"params": plain, "weight_decay": 0.0}]
        optimizer: torch.optim.Optimizer
        if config.optimizer == "adamw":
            optimizer = torch.optim.AdamW(groups, config.learning_rate, fused=True)
        else:
            optimizer = torch.optim.SGD(groups, config.learning_rate, momentum=0.9, nesterov=True)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer,
            config.learning_rate,
            total_steps=int(self.trainer.estimated_stepping_batches),
            pct_start=RISE,
            final_div_factor=1e3,
            cycle_momentum=False,
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}
