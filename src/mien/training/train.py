"""Train the network: a data set in, one checkpoint an epoch and the curves out.

Everything that a run draws by chance follows from its seed, the epoch and the step, so that a run resumed from its
last complete epoch goes on as if it had never stopped. Lightning does the loop, the devices and the checkpoints.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fsspec
import lightning
import numpy as np
import torch
from lightning.pytorch import callbacks, loggers
from torch import Tensor
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset, DistributedSampler

from mien.errors import InputError
from mien.observation import EMOTIONS
from mien.training import data
from mien.training.model import HEADS, INPUT_SIZE, EmotionNet

__all__ = ["TrainConfig", "augment", "last_checkpoint", "load_checkpoint", "train"]


@dataclass(frozen=True)
class TrainConfig:
    """Everything that shapes a run; saved beside its checkpoints as `config.json`.

    Attributes:
        data: The data set, as `mien.training.data.load` reads it.
        out: The run's folder: a path or an fsspec URL such as `s3://bucket/run`.
        epochs: Passes over the Training faces.
        batch_size: Faces a step, on each device.
        learning_rate: The peak of the one-cycle schedule.
        weight_decay: On convolutions and heads, not on norms and biases.
        label_smoothing: On FER-2013's labels.
        ferplus_weight: The weight of the head that learns the FER+ votes; 0 where there are no votes.
        ema_decay: Of the averaged weights, which are the ones kept.
        small_size: The side in pixels of the faces in the first half of the run (progressive resizing).
        rotate: The largest rotation, in degrees.
        zoom: The largest change of size, as a share.
        shift: The largest shift, as a share of the side.
        erase: The share of faces of which a rectangle is blanked.
        seed: Of everything that is drawn by chance.
        precision: As Lightning names it: `32-true`, `bf16-mixed`.
    """

    data: str
    out: str
    epochs: int = 30
    batch_size: int = 128
    learning_rate: float = 0.1
    weight_decay: float = 5e-4
    label_smoothing: float = 0.1
    ferplus_weight: float = 1.0
    ema_decay: float = 0.998
    small_size: int = 36
    rotate: float = 12.0
    zoom: float = 0.12
    shift: float = 0.08
    erase: float = 0.25
    seed: int = 1
    precision: str = "32-true"


def augment(pixels: Tensor, size: int, config: TrainConfig, generator: torch.Generator) -> Tensor:
    """Return the faces flipped, rotated, zoomed, shifted, relit and partly erased.

    Args:
        pixels: Shape (B, 1, 48, 48), float32, 0-255.
        size: The side of the faces returned, in pixels.
        config: The run's.
        generator: Decides; on the CPU, so that every device draws the same.

    Returns:
        Shape (B, 1, size, size), float32, 0-255.
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
    grid = functional.affine_grid(torch.stack(rows, 1).to(device), [count, 1, size, size], align_corners=False)
    faces = functional.grid_sample(pixels, grid, padding_mode="border", align_corners=False)
    contrast, brightness = draw(0.2, 1.0).to(device), draw(25.0).to(device)
    faces = ((faces - 128) * contrast[:, None, None, None] + 128 + brightness[:, None, None, None]).clamp(0, 255)

    # Random erasing (Zhong et al. 2020, arXiv:1708.04896) with the data set's mean grey.
    erased = torch.rand(count, generator=generator) < config.erase
    side = draw(0.1, 0.3) * size
    top, left = (torch.rand(count, generator=generator) * (size - side) for _ in range(2))
    at = torch.arange(size)
    inside_rows = (at >= top[:, None]) & (at < (top + side)[:, None])
    inside_columns = (at >= left[:, None]) & (at < (left + side)[:, None])
    mask = inside_rows[:, None, :, None] & inside_columns[:, None, None, :] & erased[:, None, None, None]
    return faces.masked_fill(mask.to(device), 129.0)


class Indices(Dataset[int]):
    """The numbers of the faces; the faces themselves lie in memory."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> int:
        return index


class Training(lightning.LightningModule):
    """The network with its losses, schedule and figures."""

    def __init__(self, config: TrainConfig, faces: data.Faces) -> None:
        super().__init__()
        self.save_hyperparameters({"config": dataclasses.asdict(config)})
        self.config = config
        self.net = EmotionNet().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.splits = {usage: faces.split(usage) for usage in ("Training", "PublicTest")}
        self.outputs: list[tuple[Tensor, Tensor]] = []

    def _batch(self, usage: str, indices: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        chosen = indices.cpu().numpy()
        faces = self.splits[usage]
        pixels = torch.from_numpy(faces.pixels[chosen]).to(self.device, torch.float32)[:, None]
        labels = torch.from_numpy(faces.labels[chosen]).to(self.device)
        return pixels, labels, torch.from_numpy(faces.votes[chosen]).to(self.device)

    def _sampler(self, usage: str, shuffle: bool) -> DistributedSampler[int]:
        return DistributedSampler(
            Indices(len(self.splits[usage])),
            num_replicas=self.trainer.world_size,
            rank=self.trainer.global_rank,
            shuffle=shuffle,
            seed=self.config.seed,
        )

    def train_dataloader(self) -> DataLoader[int]:
        sampler = self._sampler("Training", shuffle=True)
        return DataLoader(sampler.dataset, self.config.batch_size, sampler=sampler, drop_last=len(sampler) >= 512)

    def val_dataloader(self) -> DataLoader[int]:
        sampler = self._sampler("PublicTest", shuffle=False)
        return DataLoader(sampler.dataset, 256, sampler=sampler)

    def on_train_epoch_start(self) -> None:
        torch.manual_seed(self.config.seed * 1_000_003 + self.current_epoch)  # dropout

    def training_step(self, indices: Tensor, step: int) -> Tensor:
        config = self.config
        pixels, labels, votes = self._batch("Training", indices)
        generator = torch.Generator().manual_seed(hash((config.seed, self.current_epoch, step, self.global_rank)))
        small = self.current_epoch < config.epochs // 2
        faces = augment(pixels, config.small_size if small else INPUT_SIZE, config, generator)
        logits = self.net(faces.contiguous(memory_format=torch.channels_last))
        loss = functional.cross_entropy(logits["fer2013"].float(), labels, label_smoothing=config.label_smoothing)
        voted = votes.sum(1) > 0
        if config.ferplus_weight and voted.any():
            shares = votes[voted] / votes[voted].sum(1, keepdim=True)
            loss = loss + config.ferplus_weight * functional.cross_entropy(logits["ferplus"][voted].float(), shares)
        self.log("train_loss", loss, on_step=False, on_epoch=True, prog_bar=True, sync_dist=True)
        return loss

    def validation_step(self, indices: Tensor, _: int) -> None:
        pixels, labels, votes = self._batch("PublicTest", indices)
        logits = self.net(pixels)
        self.outputs.append((logits["fer2013"].float(), labels))
        voted = votes.max(1).values > 0
        if voted.any():
            hits = logits["ferplus"][voted].argmax(1) == votes[voted].argmax(1)
            self.log("val_ferplus", hits.float().mean(), batch_size=int(voted.sum()), sync_dist=True)

    def on_validation_epoch_end(self) -> None:
        logits = self.all_gather(torch.cat([a for a, _ in self.outputs])).reshape(-1, len(EMOTIONS))
        labels = self.all_gather(torch.cat([b for _, b in self.outputs])).reshape(-1)
        self.outputs.clear()
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

    def configure_optimizers(self) -> dict[str, Any]:
        config = self.config
        decayed = [p for p in self.net.parameters() if p.ndim > 1]
        plain = [p for p in self.net.parameters() if p.ndim <= 1]
        groups = [{"params": decayed, "weight_decay": config.weight_decay}, {"params": plain, "weight_decay": 0.0}]
        optimizer = torch.optim.SGD(groups, config.learning_rate, momentum=0.9, nesterov=True)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer,
            config.learning_rate,
            total_steps=int(self.trainer.estimated_stepping_batches),
            pct_start=0.2,
            final_div_factor=1e3,
            cycle_momentum=False,
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def train(config: TrainConfig, *, resume: bool = False, devices: int = 1, accelerator: str = "auto") -> Path | str:
    """Train a network and return the path of its last checkpoint.

    Args:
        config: The run's.
        resume: Go on from the newest checkpoint in `config.out`, if there is one.
        devices: How many GPUs, or CPU processes, work together (DDP).
        accelerator: `auto`, `cpu` or `gpu`.

    Raises:
        InputError: The data set cannot be used, or `config.out` holds another run.
    """
    faces = data.load(config.data)
    for usage in ("Training", "PublicTest"):
        if not (faces.usage == usage).any():
            raise InputError(f"'{config.data}' holds no {usage} faces: expected some, to train on and to choose by")
    if not faces.votes.any():
        config = dataclasses.replace(config, ferplus_weight=0.0)
    found = last_checkpoint(config.out)
    if found and not resume:
        raise InputError(f"'{config.out}' already holds a run: go on with it (--resume) or give another --out")
    _save_config(config)

    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    lightning.seed_everything(config.seed, verbose=False)
    local = config.out if "://" not in config.out else str(Path("runs") / config.out.rpartition("/")[2])
    trainer = lightning.Trainer(
        accelerator=accelerator,
        devices=devices,
        strategy="ddp" if devices > 1 else "auto",
        max_epochs=config.epochs,
        precision=config.precision,  # type: ignore[arg-type]
        use_distributed_sampler=False,
        num_sanity_val_steps=0,
        logger=loggers.CSVLogger(local, name="", version=""),
        callbacks=[
            callbacks.EMAWeightAveraging(decay=config.ema_decay),
            callbacks.LearningRateMonitor("epoch"),
            callbacks.ModelCheckpoint(
                dirpath=config.out, filename="{epoch:03d}", save_top_k=-1, every_n_epochs=1, auto_insert_metric_name=False
            ),
        ],
        enable_model_summary=False,
    )
    trainer.fit(Training(config, faces), ckpt_path=found if resume else None)
    return last_checkpoint(config.out) or config.out


def last_checkpoint(out: str) -> str | None:
    """Return the newest checkpoint of a run, or None."""
    files, path = fsspec.core.url_to_fs(out)
    found = sorted(files.glob(f"{path}/*.ckpt"))
    return files.unstrip_protocol(found[-1]) if found and "://" in out else found[-1] if found else None


def load_checkpoint(path: str | Path) -> tuple[EmotionNet, TrainConfig]:
    """Return the averaged network of a checkpoint, ready to evaluate, and the configuration of its run.

    Raises:
        InputError: The file is missing or is no checkpoint of Mien's.
    """
    try:
        with fsspec.open(str(path)) as file:
            kept = torch.load(file, map_location="cpu", weights_only=True)
        net = EmotionNet()
        net.load_state_dict(
            {key.removeprefix("net."): value for key, value in kept["state_dict"].items() if key.startswith("net.")}
        )
        return net.eval(), TrainConfig(**kept["hyper_parameters"]["config"])
    except FileNotFoundError as error:
        raise InputError(f"no checkpoint at '{path}': give a .ckpt that `mien train` wrote") from error
    except Exception as error:  # torch.load raises whatever the bytes lead it to
        raise InputError(f"'{path}' is no checkpoint of Mien's ({error}); give a .ckpt that `mien train` wrote") from error


def predict(net: EmotionNet, pixels: np.ndarray, batch: int = 256) -> dict[str, np.ndarray]:
    """Return the logits of each head, shape (n, 7), for faces of shape (n, 48, 48), uint8."""
    collected: dict[str, list[np.ndarray]] = {head: [] for head in HEADS}
    with torch.inference_mode():
        for chunk in _chunks(pixels, batch):
            for head, logits in net(torch.from_numpy(chunk).float()[:, None]).items():
                collected[head].append(logits.float().numpy())
    return {head: np.concatenate(parts) for head, parts in collected.items()}


def _chunks(array: np.ndarray, size: int) -> Iterator[np.ndarray]:
    for start in range(0, len(array), size):
        yield array[start : start + size]


def _save_config(config: TrainConfig) -> None:
    files, path = fsspec.core.url_to_fs(config.out)
    files.makedirs(path, exist_ok=True)
    with files.open(f"{path}/config.json", "w") as file:
        json.dump(dataclasses.asdict(config), file, indent=2)
