"""A checkpoint in, the same averaged network in half precision out: small enough to be kept, or handed on.

    python -m mien.training.teachers.keep runs/lite0-1/015.ckpt docs/model/teachers/lite0.ckpt

What comes out starts or teaches a run like any other checkpoint, but no run can be resumed from it. Of the data's
file and the run's folder it names the last part alone.
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

import torch

from mien.training.checkpoints import load_checkpoint

__all__ = ["keep"]


def keep(checkpoint: str | Path, out: str | Path) -> Path:
    """Write a checkpoint's averaged network in half precision and return where.

    Args:
        checkpoint: What `mien train` wrote.
        out: The file to write; its folder is made if need be.

    Raises:
        InputError: The file is missing or is no checkpoint of Mien's.
    """
    net, config = load_checkpoint(checkpoint)
    state = {
        f"net.{name}": value.half() if value.is_floating_point() and value.ndim > 1 else value
        for name, value in net.state_dict().items()
    }
    config = dataclasses.replace(config, data=Path(config.data).name, out=Path(config.out).name)
    Path(out).parent.mkdir(parents=True, exist_ok=True)
    torch.save({"state_dict": state, "hyper_parameters": {"config": dataclasses.asdict(config)}}, out)
    return Path(out)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("checkpoint")
    parser.add_argument("out")
    given = parser.parse_args()
    keep(given.checkpoint, given.out)
