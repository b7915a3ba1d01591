"""The commands below `python -m`: numbers out of bounds and files of other runs get one line."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("torch")
import torch

from mien.errors import InputError
from mien.run import recut
from mien.training import checkpoints
from mien.training.eight_bits.__main__ import main as eight_bits
from mien.training.pose.__main__ import main as pose

pytestmark = [pytest.mark.training]

RECUT = ["--data", "faces.parquet", "--out", "cut.npy"]
EIGHT = ["run.ckpt", "--data", "faces.parquet", "--out", "models"]
POSE = ["--data", "faces.parquet", "--mesh", "mesh.parquet", "--out", "models"]


@pytest.mark.parametrize(
    ("main", "given", "said"),
    [
        (eight_bits, [*EIGHT, "--epochs", "0"], "--epochs: '0' is not a whole number from 1 to 10000"),
        (eight_bits, [*EIGHT, "--epochs", "many"], "--epochs: 'many' is not a whole number from 1 to 10000"),
        (eight_bits, [*EIGHT, "--rate", "nan"], "--rate: 'nan' is not a number from 1e-09 to 1"),
        (eight_bits, [*EIGHT, "--ema-decay", "1"], "--ema-decay: '1' is not a number from 0 to 0.99999"),
        (pose, [*POSE, "--epochs", "-3"], "--epochs: '-3' is not a whole number from 1 to 10000"),
        (pose, [*POSE, "--seed", "-1"], "--seed: '-1' is not a whole number from 0 to 2147483647"),
        (recut.main, [*RECUT, "--cuts", "0"], "--cuts: '0' is not a whole number from 1 to 100"),
        (recut.main, [*RECUT, "--share", "1.5"], "--share: '1.5' is not a number from 0 to 1"),
    ],
)
def test_numbers_out_of_bounds_are_named(
    main: Callable[[], None],
    given: list[str],
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "argv", ["it", *given])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert capsys.readouterr().err.splitlines()[-1].endswith(said)


@pytest.mark.parametrize("holds", [b"", b"no state", None], ids=["nothing", "text", "another run's"])
def test_a_file_to_go_on_from_has_to_be_this_runs(tmp_path: Path, holds: bytes | None) -> None:
    path = tmp_path / "state"
    checkpoints.keep(path, {"head": torch.nn.Linear(3, 2)}, 4)
    parts = {"head": torch.nn.Linear(3, 2)}
    assert checkpoints.resumed(path, parts) == 4
    if holds is None:
        parts["average"] = torch.nn.Linear(3, 2)
    else:
        path.write_bytes(holds)
    with pytest.raises(InputError, match="holds no state of such a run"):
        checkpoints.resumed(path, parts)


def test_a_state_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot write"):
        checkpoints.keep(tmp_path / "none" / "state", {"head": torch.nn.Linear(3, 2)}, 1)
