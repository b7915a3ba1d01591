"""Train the network: a data set in, a run's folder out, with a checkpoint and a model for each epoch and the curves.

Lightning does the loop, the devices and the checkpoints. Several processes on one machine meet in a file: torchrun
would have them meet at a port that is open to the network. Under a torchrun of the user's own, over several machines,
`train` joins it.
"""

from __future__ import annotations

import dataclasses
import io
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, Literal

import lightning
import numpy as np
import torch
from lightning.pytorch import callbacks

from mien.errors import InputError, MienError
from mien.training import data
from mien.training.checkpoints import RunFolder, load_checkpoint, load_mean
from mien.training.config import TrainConfig, validated
from mien.training.curves import Curves, tracker
from mien.training.loop import Training
from mien.training.model import INPUT_SIZE, EmotionNet, deepen
from mien.training.publish import ModelPublisher
from mien.training.teachers.lite import LiteNet
from mien.training.teachers.soft_labels import soft_labels

__all__ = ["TrainConfig", "cut_faces", "train"]

ACCELERATORS = ("auto", "cpu", "gpu")
MAY_DIFFER = {"data", "out", "name", "log_to", "patience"}
"""What a run may be resumed with another value of."""

END_WITHIN_S = 10.0


def train(config: TrainConfig, *, resume: bool = False, devices: int = 1, accelerator: str = "auto") -> str:
    """Train a network and return the path of its last checkpoint.

    Args:
        config: The run's.
        resume: Go on from the newest checkpoint in `config.out`, if there is one.
        devices: How many GPUs, or CPU processes, of this machine work together (DDP).
        accelerator: `auto`, `cpu` or `gpu`.

    Raises:
        ConfigError: A value is out of range.
        InputError: The data set, the accelerator or a checkpoint that is named cannot be used, or `config.out` holds
            another run.
        MissingExtraError: The configuration asks for a tracker or a place whose package is not installed.
        MienError: The run's folder cannot be written, or one of several processes failed.
    """
    config = validated(dataclasses.asdict(config))
    folder = RunFolder(config.out)
    local = config.out if not folder.remote else str(Path("runs") / config.out.rstrip("/").rpartition("/")[2])
    logger = tracker(config, local)
    if accelerator not in ACCELERATORS:
        raise InputError(f"unknown accelerator '{accelerator}': expected one of {', '.join(ACCELERATORS)}")
    if devices < 1:
        raise InputError(f"cannot train on {devices} devices: expected 1 or more")
    if accelerator == "gpu" and not torch.cuda.is_available():
        raise InputError("accelerator 'gpu' was asked for, but torch finds none here: use auto or cpu")
    faces = data.load(config.data, ("Training", "PublicTest"), skip_bad=config.skip_bad, split=config.split)
    for usage in ("Training", "PublicTest"):
        if not (faces.usage == usage).any():
            raise InputError(f"'{config.data}' holds no {usage} faces: expected some, to train on and to choose by")
    if not faces.votes.any():
        config = dataclasses.replace(config, ferplus_weight=0.0)
    found = folder.checkpoints()
    _check_run(config, found, resume)

    launched = torch.distributed.is_torchelastic_launched()
    if devices > 1 and not launched:
        _launch(config, resume, devices, accelerator)
        return folder.checkpoints()[-1]
    if int(os.environ.get("RANK", 0)) == 0 or not launched:
        folder.write("config.json", json.dumps(dataclasses.asdict(config), indent=2).encode())
    local_processes = int(os.environ["LOCAL_WORLD_SIZE"]) if launched else 1
    nodes = int(os.environ["WORLD_SIZE"]) // local_processes if launched else 1
    with _quiet():
        lightning.seed_everything(config.seed, verbose=False)
        trainer = lightning.Trainer(
            accelerator=accelerator,
            devices=local_processes,
            num_nodes=nodes,
            strategy="ddp" if launched else "auto",
            max_epochs=config.epochs,
            precision=precision_for(config.precision, accelerator),
            use_distributed_sampler=False,
            num_sanity_val_steps=0,
            logger=logger,
            callbacks=_callbacks(config, folder),
            enable_model_summary=False,
            enable_progress_bar=sys.stderr.isatty(),
        )
        training = _training(config, faces, folder)
        torch.set_flush_denormal(True)  # else averages that die away take the optimiser most of its time on a CPU
        try:
            trainer.fit(training, ckpt_path=found[-1] if found else None, weights_only=True)
        except OSError as error:
            raise MienError(
                f"training stopped: cannot write to '{config.out}' ({error}); check the place and your rights to it, "
                "then go on with --resume"
            ) from error
        finally:
            torch.set_flush_denormal(False)  # it holds for the thread, which goes on with other work
    return folder.checkpoints()[-1]


def _training(config: TrainConfig, faces: data.Faces, folder: RunFolder) -> Training:
    """Return the network that the run begins with, and the soft labels, which a resumed run finds in its folder."""
    training = Training(config, faces)
    if config.start_from:
        start, before = load_mean(config.start_from)
        if before.network != config.network:
            raise InputError(
                f"cannot start from '{config.start_from}': its network is {before.network}, the run's "
                f"{config.network}; give a checkpoint of the same network"
            )
        if before.width != config.width or any(np.array(before.depths) > config.depths):
            raise InputError(
                f"cannot start from '{config.start_from}': its width is {before.width} and its depths are "
                f"{list(before.depths)}, the run's {config.width} and {list(config.depths)}; give the run the same "
                "width and no smaller depth"
            )
        if isinstance(start, EmotionNet) and isinstance(training.net, EmotionNet):
            deepen(start, training.net)
        else:
            training.net.load_state_dict(start.state_dict())
    elif isinstance(training.net, LiteNet):
        training.net.load_pretrained()
    count = len(training.splits["Training"])
    training.recut = cut_faces(config.recut, count) if config.recut else None
    training.covered = cut_faces(config.covered, count) if config.covered else None
    if not config.teachers:
        return training
    kept = folder.read("soft_labels.npy")
    if kept is None:
        teachers = [load_checkpoint(path)[0] for path in config.teachers if path != "votes"]
        buffer = io.BytesIO()
        np.save(buffer, soft_labels(teachers, faces.split("Training"), config.seed))
        kept = buffer.getvalue()
        if int(os.environ.get("RANK", 0)) == 0:
            folder.write("soft_labels.npy", kept)
    training.soft = np.load(io.BytesIO(kept), allow_pickle=False)
    return training


def cut_faces(path: str, count: int) -> np.ndarray:
    """Return Training's faces as `mien.run.recut` cuts them, shape (n, cuts, 48, 48), uint8."""
    try:
        crops: np.ndarray = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(
            f"cannot read the cut faces '{path}': {error}; `python -m mien.run.recut` writes them"
        ) from error
    side = INPUT_SIZE
    if (
        crops.dtype != np.uint8
        or crops.ndim != 4
        or not crops.shape[1]
        or crops.shape != (count, crops.shape[1], side, side)
    ):
        raise InputError(
            f"'{path}' holds {crops.dtype} of shape {crops.shape}: expected uint8 of shape ({count}, cuts, {side}, "
            f"{side}), all faces of Training; `python -m mien.run.recut` writes them"
        )
    return crops


def precision_for(setting: str, accelerator: str) -> Literal["32-true", "bf16-mixed"]:
    """Return the precision to compute in; `auto` is bfloat16 where the hardware does it: a GPU, or a CPU with AMX."""
    if setting != "auto":
        return "bf16-mixed" if setting == "bf16-mixed" else "32-true"
    if accelerator != "cpu" and torch.cuda.is_available():
        return "bf16-mixed" if torch.cuda.is_bf16_supported(including_emulation=False) else "32-true"
    cpu = Path("/proc/cpuinfo")
    return "bf16-mixed" if cpu.is_file() and "amx_bf16" in cpu.read_text(encoding="utf-8") else "32-true"


def _callbacks(config: TrainConfig, folder: RunFolder) -> list[callbacks.Callback]:
    checkpoint = callbacks.ModelCheckpoint(
        dirpath=config.out,
        filename="{epoch:03d}",
        auto_insert_metric_name=False,
        save_top_k=-1,
        every_n_epochs=1,
        save_on_train_epoch_end=True,
    )
    chosen: list[callbacks.Callback] = [Curves(folder)]
    if config.network == "mien":  # a teacher is no model for a device
        chosen.append(ModelPublisher(folder))
    chosen += [callbacks.EMAWeightAveraging(decay=config.ema_decay), checkpoint]
    if config.patience:
        chosen.append(callbacks.EarlyStopping("val_acc1", mode="max", patience=config.patience, verbose=False))
    return chosen


def _check_run(config: TrainConfig, found: list[str], resume: bool) -> None:
    """Refuse to mix two runs in one folder."""
    if not found:
        return
    if not resume:
        raise InputError(f"'{config.out}' already holds a run: go on with it (--resume) or give another --out")
    before = dataclasses.asdict(load_checkpoint(found[-1])[1])
    now = dataclasses.asdict(config)
    if other := [name for name in now if now[name] != before[name] and name not in MAY_DIFFER]:
        name = other[0]
        raise InputError(
            f"'{config.out}' holds a run with {name} = {before[name]}, not {now[name]}: resume it with the same "
            "settings (its config.json) or give another --out"
        )


def _launch(config: TrainConfig, resume: bool, devices: int, accelerator: str) -> None:
    """Run this module in several processes, which all end when one of them fails, or this one does.

    Raises:
        MienError: One of them failed.
    """
    shared = {"OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // devices)), **os.environ}
    shared |= {"WORLD_SIZE": str(devices), "LOCAL_WORLD_SIZE": str(devices), "TORCHELASTIC_RUN_ID": "mien"}
    work: dict[str, Any] = {"config": dataclasses.asdict(config), "resume": resume, "accelerator": accelerator}
    with tempfile.TemporaryDirectory(prefix="mien-train-") as folder:
        work["meeting"] = str(Path(folder, "meeting"))
        command = [sys.executable, "-m", "mien.training.train", json.dumps(work)]
        ranks = [shared | {"RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(devices)]
        workers = [subprocess.Popen(command, env=environment, stdin=subprocess.PIPE) for environment in ranks]
        try:
            while not (failed := [code for worker in workers if (code := worker.poll())]):
                if all(worker.returncode == 0 for worker in workers):
                    return
                time.sleep(0.1)
        finally:
            for worker in workers:
                _end(worker)
    raise MienError(
        f"training with {devices} processes stopped with exit code {failed[0]}; the lines above say why. "
        "--resume goes on from the last complete epoch"
    )


def _end(worker: subprocess.Popen[bytes]) -> None:
    worker.terminate()
    try:
        worker.wait(END_WITHIN_S)
    except subprocess.TimeoutExpired:  # it waits for one that has gone
        worker.kill()
        worker.wait()
    if worker.stdin is not None:
        worker.stdin.close()


@contextmanager
def _together(meeting: str, accelerator: str) -> Iterator[None]:
    """Join the other processes of this machine, over loopback alone."""
    loopback = next((name for _, name in socket.if_nameindex() if name in ("lo", "lo0")), None)
    if loopback is not None:
        os.environ.setdefault("GLOO_SOCKET_IFNAME", loopback)
        os.environ.setdefault("NCCL_SOCKET_IFNAME", loopback)
    rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    backend = "nccl" if accelerator != "cpu" and torch.cuda.is_available() else "gloo"
    torch.distributed.init_process_group(backend, f"file://{meeting}", rank=rank, world_size=size)
    try:
        yield
    finally:
        torch.distributed.destroy_process_group()


def _end_with_parent() -> None:
    """End this process when its standard input closes: the parent that holds its other end has gone."""
    while os.read(0, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep back what Lightning and torch tell developers about themselves; errors still come through."""
    quiet = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric", "lightning", "torch")]
    levels = [logger.level for logger in quiet]
    for logger in quiet:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(quiet, levels, strict=True):
            logger.setLevel(level)


if __name__ == "__main__":
    given = json.loads(sys.argv[1])
    together: AbstractContextManager[None] = nullcontext()
    if "meeting" in given:
        threading.Thread(target=_end_with_parent, name="lifeline", daemon=True).start()
        together = _together(given["meeting"], given["accelerator"])
    with together:
        train(TrainConfig(**given["config"]), resume=given["resume"], accelerator=given["accelerator"])
