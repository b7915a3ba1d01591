"""What a run publishes after each epoch: the averaged network goes in, ONNX files and `latest.json` come out."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import lightning
from lightning.pytorch import callbacks
from lightning.pytorch.utilities import rank_zero_only

from mien.training import export
from mien.training.checkpoints import RunFolder
from mien.training.loop import Training
from mien.training.model import EmotionNet, SingleHead, fold

__all__ = ["ModelPublisher"]


class ModelPublisher(callbacks.Callback):
    """After each epoch, write the averaged network as ONNX, a file for each head, and bring `latest.json` up to date.

    It must stand before the callback that averages the weights, which swaps them in for validation alone; and it
    comes before the checkpoint is written, so that an epoch that has its checkpoint has been published.

    Args:
        folder: The run's.
    """

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder
        self.net: EmotionNet | None = None

    def on_validation_epoch_end(self, _: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Keep the averaged network."""
        assert isinstance(pl_module, Training)  # noqa: S101
        self.net = fold(pl_module.net).cpu()

    @rank_zero_only
    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Write the ONNX file of each head that was trained, and latest.json."""
        assert isinstance(pl_module, Training)  # noqa: S101
        assert self.net is not None  # noqa: S101
        public = pl_module.splits["PublicTest"]
        net = export.round_weights(self.net)
        logits = pl_module.public_logits
        targets = export.named(public)
        known = json.loads(self.folder.read("latest.json") or b"{}")
        latest: dict[str, Any] = {"format": 1}
        for head, figure in (("fer2013", "val_acc1"), ("ferplus", "val_ferplus")):
            if head == "ferplus" and not (pl_module.config.ferplus_weight and figure in trainer.callback_metrics):
                continue
            calibration = export.calibrate(logits[head], targets[head])
            name, taught = export.NAMES[head].format(pl_module.config.name), export.taught(head, pl_module.config)
            model = export.to_onnx(net, head, calibration, name=name, trained_on=taught)
            export.check(model, SingleHead(net, head, calibration.temperature), public.pixels[:64])
            stem = f"{trainer.current_epoch:03d}"
            file = f"{export.NAMES[head].format(stem)}.onnx"
            self.folder.write(file, model)
            entry = {
                "epoch": trainer.current_epoch,
                "accuracy": round(float(trainer.callback_metrics[figure]), 6),
                "model": file,
                "sha256": hashlib.sha256(model).hexdigest(),
                "checkpoint": f"{stem}.ckpt",
            }
            if head == "fer2013":
                latest |= _newest_and_best(entry, known.get("best"))
            else:
                latest[head] = _newest_and_best(entry, known.get(head, {}).get("best"))
        self.folder.write("latest.json", json.dumps(latest, indent=2).encode())


def _newest_and_best(entry: dict[str, Any], best: dict[str, Any] | None) -> dict[str, Any]:
    better = best is None or best["epoch"] >= entry["epoch"] or entry["accuracy"] > best["accuracy"]
    return {"latest": entry, "best": entry if better else best}
