"""The curves of a run: one row an epoch in `metrics.csv`, the same as pictures in `curves.png`, and other trackers."""

from __future__ import annotations

import csv
import importlib.util
import io
import logging
import time

import lightning
from lightning.pytorch import callbacks, loggers
from lightning.pytorch.utilities import rank_zero_only
from matplotlib.figure import Figure

from mien.errors import MissingExtraError
from mien.observation import EMOTIONS
from mien.training.checkpoints import RunFolder
from mien.training.config import TrainConfig

__all__ = ["Curves", "plot", "tracker"]

log = logging.getLogger("mien.training")

COLUMNS = (
    "epoch",
    "learning_rate",
    "train_loss",
    "val_loss",
    "val_acc1",
    "val_acc5",
    "val_ferplus",
    *(f"recall_{emotion}" for emotion in EMOTIONS),
    "seconds",
)
PANELS = {
    "loss": ("train_loss", "val_loss"),
    "accuracy on PublicTest": ("val_acc1", "val_acc5", "val_ferplus"),
    "recall on PublicTest": tuple(f"recall_{emotion}" for emotion in EMOTIONS),
    "learning rate": ("learning_rate",),
}


class Curves(callbacks.Callback):
    """After each epoch, add its row to `metrics.csv` and draw `curves.png` anew.

    Args:
        folder: The run's; the rows of a run that is resumed are kept, except those of epochs that come again.
    """

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder
        self.started = time.monotonic()

    def on_train_epoch_start(self, *_: object) -> None:
        """Start the epoch's clock."""
        self.started = time.monotonic()

    @rank_zero_only
    def on_train_epoch_end(self, trainer: lightning.Trainer, _: lightning.LightningModule) -> None:
        """Write row and picture."""
        figures = {name: f"{float(value):.6g}" for name, value in trainer.callback_metrics.items() if name in COLUMNS}
        figures |= {"epoch": str(trainer.current_epoch), "seconds": f"{time.monotonic() - self.started:.1f}"}
        text = (self.folder.read("metrics.csv") or b"").decode()
        rows = [row for row in csv.DictReader(io.StringIO(text)) if int(row["epoch"]) < trainer.current_epoch]
        rows.append({name: figures.get(name, "") for name in COLUMNS})
        table = io.StringIO()
        writer = csv.DictWriter(table, COLUMNS, lineterminator="\n", extrasaction="ignore", restval="")
        writer.writeheader()
        writer.writerows(rows)
        self.folder.write("metrics.csv", table.getvalue().encode())
        self.folder.write("curves.png", plot(rows))
        log.info(
            "epoch %s of %s: loss %s, accuracy on PublicTest %.1f %%, %s s",
            trainer.current_epoch + 1,
            trainer.max_epochs,
            figures.get("train_loss"),
            100 * float(figures["val_acc1"]),
            figures["seconds"],
        )


def plot(rows: list[dict[str, str]]) -> bytes:
    """Return a PNG of the curves.

    Args:
        rows: Those of metrics.csv; a value may be empty.
    """
    figure = Figure(figsize=(11, 7), layout="constrained")
    for axes, (title, names) in zip(figure.subplots(2, 2).flat, PANELS.items(), strict=True):
        for name in names:
            points = [(int(row["epoch"]) + 1, float(row[name])) for row in rows if row.get(name)]
            if points:
                axes.plot(*zip(*points, strict=True), label=name.partition("_")[2], marker=".")
        axes.set(title=title, xlabel="epoch")
        axes.grid(alpha=0.3)
        if axes.lines:
            axes.legend(fontsize="small")
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=100)
    return picture.getvalue()


def tracker(config: TrainConfig, local: str) -> loggers.Logger | bool:
    """Return the Lightning logger that the configuration asks for besides the files, or False.

    Args:
        config: The run's.
        local: A folder on this machine for what the tracker keeps.

    Raises:
        MissingExtraError: Its package is not installed.
    """
    if config.log_to == "csv":
        return False
    package = config.log_to.partition("-")[0]
    if importlib.util.find_spec(package) is None:
        raise MissingExtraError(f"log_to = {config.log_to}", package)
    if package == "tensorboard":
        return loggers.TensorBoardLogger(local, name="", version="tensorboard", default_hp_metric=False)
    return loggers.WandbLogger(project="mien", save_dir=local, offline=config.log_to == "wandb-offline")
