"""A checkpoint rebuilt from exported files answers as they do, and a run can begin with it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("lightning")
import numpy as np
import onnx
import torch

import mien
from mien.errors import InputError, MienError
from mien.models.classifier import Classifier
from mien.training import data
from mien.training.checkpoints import load_checkpoint
from mien.training.config import TrainConfig
from mien.training.export import Calibration, export, round_weights, to_onnx
from mien.training.hidden import without_gate
from mien.training.model import HEADS, EmotionNet, fold, predict
from mien.training.rebuild import rebuild
from mien.training.train import train

pytestmark = [pytest.mark.training, pytest.mark.timeout(300)]

SHIPPED = {head: Path(mien.__file__).parent / "models" / "weights" / f"{head}.onnx" for head in HEADS}


def exported(folder: Path, config: TrainConfig, seed: int) -> dict[str, Path]:
    """The files of a network whose norms have seen something, as after training."""
    torch.manual_seed(seed)
    net = EmotionNet.of(config)
    faces = torch.rand(32, 1, 48, 48) * 255
    with torch.no_grad():
        for _ in range(5):
            net.train()(faces)
    net = round_weights(fold(net.eval()))
    written = {}
    for head in HEADS:
        written[head] = folder / f"{seed}-{head}.onnx"
        written[head].write_bytes(to_onnx(net, head, Calibration(0.1, 0.4), name="tried", trained_on="noise"))
    return written


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The files of a network of the usual make."""
    return exported(tmp_path_factory.mktemp("usual"), TrainConfig("d", "o"), seed=1)


def test_the_models_that_come_with_mien_become_a_checkpoint_that_a_run_begins_with(voted: Path, tmp_path: Path) -> None:
    checkpoint = tmp_path / "shipped.ckpt"
    command = [sys.executable, "-m", "mien.training.rebuild", "--data", str(voted), "--out", str(checkpoint)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"wrote {checkpoint}: its answers are 0.0")
    faces = data.load(voted, ("PublicTest",))
    net, config = load_checkpoint(checkpoint)
    assert (config.size, config.mirror, config.depths, config.width) == (56, True, (1, 2, 2), 1.0)
    name = Classifier.load(SHIPPED["fer2013"]).contract.name
    assert config.teachers == (f"those of {name}", "efficientnet-lite0"), "an export of it says what taught it"
    for head, path in SHIPPED.items():
        bare = tmp_path / "bare.onnx"  # the gate for hidden faces, which these are to it, is no part of the network
        onnx.save(without_gate(onnx.load(path)), bare)
        file = Classifier.load(bare)
        scores = torch.from_numpy(predict(net, faces.pixels)[head]) / file.contract.temperature
        assert np.abs(torch.softmax(scores, 1).numpy() - file.classify(faces.pixels)).mean() < 0.02

    start = TrainConfig(
        str(voted),
        str(tmp_path / "run"),
        epochs=1,
        batch_size=35,
        learning_rate=1e-9,
        ema_decay=0.0,
        start_from=str(checkpoint),
        size=56,
        mirror=True,
    )
    again, _ = load_checkpoint(train(start, accelerator="cpu"))
    for name, weight in net.named_parameters():
        assert torch.allclose(again.get_parameter(name), weight, atol=1e-4), name


@pytest.mark.parametrize(
    "made", [{}, {"size": 52, "mirror": True}, {"width": 0.5, "depths": (2, 1, 3), "size": 64}], ids=str
)
def test_a_network_of_any_make_comes_back(
    made: dict[str, object], usual: dict[str, Path], dataset: Path, tmp_path: Path
) -> None:
    config = TrainConfig("d", "o", **made)
    files = exported(tmp_path, config, seed=1) if made else usual
    assert rebuild(files, dataset, tmp_path / "back.ckpt") < 1e-3
    _, found = load_checkpoint(tmp_path / "back.ckpt")
    assert (found.width, found.depths, found.size, found.mirror) == (
        config.width,
        config.depths,
        config.size,
        config.mirror,
    )


def test_one_file_is_enough_where_nobody_voted(usual: dict[str, Path], dataset: Path, tmp_path: Path) -> None:
    rebuild({"fer2013": usual["fer2013"]}, dataset, tmp_path / "back.ckpt")
    assert load_checkpoint(tmp_path / "back.ckpt")[1].ferplus_weight == 0
    written = export(tmp_path / "back.ckpt", dataset, tmp_path / "models")
    assert [path.name for path in written] == ["fer2013.onnx"]


def test_files_that_do_not_belong_together_are_refused(usual: dict[str, Path], dataset: Path, tmp_path: Path) -> None:
    second = exported(tmp_path, TrainConfig("d", "o"), seed=2)
    with pytest.raises(InputError, match=r"one checkpoint"):
        rebuild({"fer2013": usual["fer2013"], "ferplus": second["ferplus"]}, dataset, tmp_path / "back.ckpt")
    larger = exported(tmp_path, TrainConfig("d", "o", size=56), seed=3)
    with pytest.raises(InputError, match="different makes"):
        rebuild({"fer2013": usual["fer2013"], "ferplus": larger["ferplus"]}, dataset, tmp_path / "back.ckpt")
    assert not (tmp_path / "back.ckpt").exists()


def test_what_is_no_network_of_miens_is_named(dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(MienError, match=r"missing\.onnx"):
        rebuild({"fer2013": tmp_path / "missing.onnx"}, dataset, tmp_path / "back.ckpt")
    model = onnx.load(SHIPPED["fer2013"])
    for node in model.graph.node:  # the same network under other names
        for names in (node.input, node.output):
            for index, name in enumerate(names):
                names[index] = name.replace("net.", "other.")
    for tensor in model.graph.initializer:
        tensor.name = tensor.name.replace("net.", "other.")
    onnx.save(model, tmp_path / "other.onnx")
    with pytest.raises(InputError, match=r"other\.onnx'"):
        rebuild({"fer2013": tmp_path / "other.onnx"}, dataset, tmp_path / "back.ckpt")
