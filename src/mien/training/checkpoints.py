"""A run's folder: checkpoints, the models of each epoch, and `latest.json`, which says which is newest and best.

The folder is a path or any fsspec URL. `mien.models.store` reads `latest.json` on devices that have no torch.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import fsspec
import torch

from mien.errors import InputError, MienError, MissingExtraError
from mien.training.config import TrainConfig
from mien.training.model import FaceNet, mean
from mien.training.teachers.build import build

__all__ = ["RunFolder", "keep", "load_checkpoint", "load_mean", "resumed"]


class RunFolder:
    """A run's folder.

    Args:
        out: A path or an fsspec URL.

    Raises:
        MissingExtraError: The URL's protocol needs a package that is not installed.
        InputError: The URL's protocol is unknown.
    """

    def __init__(self, out: str) -> None:
        try:
            self.files, self.path = fsspec.core.url_to_fs(out)
        except ImportError as error:
            protocol = out.partition("://")[0]
            if protocol == "s3":
                raise MissingExtraError(f"'{out}'", "s3") from error
            raise InputError(f"cannot use '{out}': {error}") from error
        except ValueError as error:
            raise InputError(f"cannot use '{out}': {error}; give a folder or a URL such as s3://bucket/run") from error
        self.remote = "://" in out

    def write(self, name: str, content: bytes) -> None:
        """Write a file so that a reader sees the old content or the new, never a part.

        Raises:
            MienError: It cannot be written.
        """
        target = f"{self.path}/{name}"
        try:
            if self.remote:  # object stores show a file when it is complete
                self.files.pipe_file(target, content)
                return
            Path(self.path).mkdir(parents=True, exist_ok=True)
            Path(f"{target}.part").write_bytes(content)
            Path(f"{target}.part").replace(target)
        except Exception as error:  # each file system has its own
            raise MienError(f"cannot write '{target}': {error}; check the place and your rights to it") from error

    def read(self, name: str) -> bytes | None:
        """Return a file's content, or None where there is none."""
        try:
            content: bytes = self.files.cat_file(f"{self.path}/{name}")
        except FileNotFoundError:
            return None
        except Exception as error:  # each file system has its own
            raise MienError(f"cannot read '{self.path}/{name}': {error}; check the place and your rights") from error
        return content

    def checkpoints(self) -> list[str]:
        """Return the checkpoints, oldest first.

        Raises:
            MienError: The place cannot be looked into.
        """
        self.files.invalidate_cache()
        try:
            found = sorted(self.files.glob(f"{self.path}/*.ckpt"))
        except Exception as error:  # each file system has its own
            raise MienError(
                f"cannot look into '{self.path}': {error}; check the address, the credentials and your rights"
            ) from error
        return [self.files.unstrip_protocol(file) if self.remote else file for file in found]


def load_checkpoint(path: str | Path) -> tuple[FaceNet, TrainConfig]:
    """Return the averaged network of a checkpoint, ready to evaluate, and the configuration of its run.

    Raises:
        InputError: The file is missing or is no checkpoint of Mien's.
    """
    try:
        with fsspec.open(str(path)) as file:
            kept = torch.load(file, map_location="cpu", weights_only=True)
        config = _config(kept["hyper_parameters"]["config"])
        net = build(config)
        net.load_state_dict(
            {key.removeprefix("net."): value for key, value in kept["state_dict"].items() if key.startswith("net.")}
        )
        return net.to(memory_format=torch.channels_last).eval(), config  # type: ignore[call-overload]
    except FileNotFoundError as error:
        raise InputError(f"no checkpoint at '{path}': give a .ckpt that `mien train` wrote") from error
    except Exception as error:  # torch.load raises whatever the bytes lead it to
        reason = str(error).partition("\n")[0]
        raise InputError(
            f"'{path}' is no checkpoint of Mien's ({reason}); give a .ckpt that `mien train` wrote"
        ) from error


def load_mean(paths: str | Path | Sequence[str | Path]) -> tuple[FaceNet, TrainConfig]:
    """Return the mean of the networks of checkpoints, ready to evaluate, and how they were trained.

    Args:
        paths: One, or several of networks of one make.

    Returns:
        The network, and the configuration of the first one's run with what holds for the mean: the teachers of all,
        and FER+ votes only if all learned them.

    Raises:
        InputError: As `load_checkpoint`, or their widths or depths differ.
    """
    paths = [paths] if isinstance(paths, str | Path) else paths
    found = [load_checkpoint(path) for path in paths]
    first = found[0][1]
    for path, (_, other) in zip(paths, found, strict=True):
        if other.network != first.network:
            raise InputError(
                f"cannot take the mean of '{paths[0]}' and '{path}': their networks are {first.network} and "
                f"{other.network}; give some of one make"
            )
        if (other.width, other.depths) != (first.width, first.depths):
            raise InputError(
                f"cannot take the mean of '{paths[0]}' and '{path}': their widths are {first.width} and {other.width}, "
                f"their depths {list(first.depths)} and {list(other.depths)}; give some of one make"
            )
    runs = [config for _, config in found]
    return mean([net for net, _ in found]), dataclasses.replace(
        first,
        teachers=tuple(dict.fromkeys(teacher for run in runs for teacher in run.teachers)),
        ferplus_weight=min(run.ferplus_weight for run in runs),
    )


def resumed(path: str | Path | None, parts: Mapping[str, Any]) -> int:
    """Give the parts of a run the state that `keep` wrote; return after how many epochs that was, 0 if there is none.

    Args:
        path: The file; None: nothing was kept.
        parts: What has a `load_state_dict`, by name; changed in place.

    Raises:
        InputError: The file holds another run's state, or none.
    """
    if path is None or not Path(path).exists():
        return 0
    try:
        kept = torch.load(path, weights_only=True)
        for name, part in parts.items():
            part.load_state_dict(kept[name])
        return int(kept["epochs"])
    except Exception as error:  # torch.load raises whatever the bytes lead it to
        raise InputError(
            f"cannot go on from '{path}': it holds no state of such a run; delete it, or name another file"
        ) from error


def keep(path: str | Path | None, parts: Mapping[str, Any], epochs: int) -> None:
    """Write the state of the parts of a run, from which `resumed` goes on; a kill leaves the file before as it was.

    Args:
        path: The file; None: nothing is kept.
        parts: What has a `state_dict`, by name.
        epochs: So many are complete.

    Raises:
        InputError: The file cannot be written.
    """
    if path is None:
        return
    try:
        torch.save({name: part.state_dict() for name, part in parts.items()} | {"epochs": epochs}, f"{path}.part")
        Path(f"{path}.part").replace(path)
    except (OSError, RuntimeError) as error:
        raise InputError(f"cannot write '{path}': {error}; name another file") from error


def _config(values: dict[str, Any]) -> TrainConfig:
    known = {field.name for field in dataclasses.fields(TrainConfig)}
    return TrainConfig(**{name: value for name, value in values.items() if name in known})
