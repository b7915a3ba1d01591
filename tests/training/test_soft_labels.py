"""Soft labels: what teachers and votes say of a label, and a run that learns from them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("lightning")
import torch

from mien.errors import InputError
from mien.training import data
from mien.training.checkpoints import load_checkpoint
from mien.training.config import TrainConfig
from mien.training.loop import Training
from mien.training.model import EmotionNet, deepen
from mien.training.teachers.soft_labels import soft_labels
from mien.training.train import train

pytestmark = [pytest.mark.training, pytest.mark.timeout(300)]

COUNT = 2100


def voted(wrong: float) -> data.Faces:
    """Faces of noise alone: the votes know the emotion, the label is another one in a share of them."""
    random = np.random.default_rng(0)
    truth = np.arange(COUNT) % 7
    labels = np.where(random.random(COUNT) < wrong, (truth + 3) % 7, truth)
    votes = (10 * np.eye(7)[truth]).astype(np.float32)
    pixels = random.integers(0, 255, (COUNT, 16, 16)).astype(np.uint8)
    return data.Faces(pixels, labels, votes, truth, np.full(COUNT, "Training"))


def test_the_votes_tell_how_often_a_label_is_wrong() -> None:
    faces = voted(wrong=0.3)
    soft = soft_labels([EmotionNet().eval()], faces, seed=1)
    assert soft.shape == (COUNT, 7)
    assert np.allclose(soft.sum(1), 1, atol=1e-5)
    rows = np.arange(COUNT)
    assert soft[rows, faces.majority].mean() == pytest.approx(0.7, abs=0.06)
    assert soft[rows, (faces.majority + 3) % 7].mean() == pytest.approx(0.3, abs=0.06)


def test_a_rare_label_weighs_more_and_faces_weigh_one_on_average() -> None:
    faces = voted(wrong=0.3)
    labels = np.where(np.arange(COUNT) < 20, 1, 3)
    faces = data.Faces(faces.pixels, labels, faces.votes, faces.majority, faces.usage)
    weights = Training(TrainConfig("d", "o", class_balance=0.5), faces).weights.numpy()
    assert weights[1] / weights[3] == pytest.approx(((COUNT - 20) / 20) ** 0.5)
    assert weights[labels].mean() == pytest.approx(1, abs=1e-5)


def test_the_loss_of_a_label_that_is_missed_too_often_can_be_raised() -> None:
    faces = voted(wrong=0.3)
    weights = Training(TrainConfig("d", "o", label_weights={"fear": 1.5}), faces).weights.numpy()
    assert weights[2] / weights[0] == pytest.approx(1.5)
    assert weights[faces.labels].mean() == pytest.approx(1, abs=1e-5)


def test_a_teacher_that_sees_the_mirror_image_by_itself_says_the_same() -> None:
    faces = voted(wrong=0.3)
    torch.manual_seed(4)
    teacher = EmotionNet().eval()
    alone = soft_labels([teacher], faces, seed=1)
    teacher.mirror = True
    assert np.abs(soft_labels([teacher], faces, seed=1) - alone).mean() < 1e-3


def test_a_run_starts_from_another_and_learns_from_it(dataset: Path, tmp_path: Path) -> None:
    torch.set_num_threads(1)
    tiny = {"data": str(dataset), "batch_size": 35, "ema_decay": 0.5, "small_size": 16}
    first = train(TrainConfig(out=str(tmp_path / "1"), epochs=2, **tiny), accelerator="cpu")
    before = first.replace("001.ckpt", "000.ckpt")
    again = TrainConfig(
        out=str(tmp_path / "2"), epochs=1, learning_rate=1e-9, start_from=first, teachers=(first,), **tiny
    )
    second = train(again, accelerator="cpu")
    soft = np.load(tmp_path / "2" / "soft_labels.npy")
    assert soft.shape == (140, 7)
    weights = [dict(load_checkpoint(path)[0].named_parameters()) for path in (first, second)]
    assert all(torch.allclose(weights[0][name], weights[1][name], atol=1e-5) for name in weights[0])

    both = TrainConfig(out=str(tmp_path / "5"), epochs=1, learning_rate=1e-9, start_from=(before, first), **tiny)
    middle = dict(load_checkpoint(train(both, accelerator="cpu"))[0].named_parameters())
    early = dict(load_checkpoint(before)[0].named_parameters())
    assert not torch.allclose(early["stem.0.weight"], weights[0]["stem.0.weight"], atol=1e-4)
    assert all(torch.allclose((early[name] + weights[0][name]) / 2, middle[name], atol=1e-5) for name in middle)
    narrow = train(TrainConfig(out=str(tmp_path / "6"), epochs=1, width=0.5, **tiny), accelerator="cpu")
    with pytest.raises(InputError, match=r"the mean of '.*' and '.*': their widths are 1\.0 and 0\.5"):
        train(replace(both, out=str(tmp_path / "7"), start_from=(first, narrow)), accelerator="cpu")

    wider = TrainConfig(out=str(tmp_path / "3"), start_from=first, width=1.5, **tiny)
    with pytest.raises(InputError, match=r"cannot start from .* its width is 1\.0 .* the run's 1\.5 and \[1, 2, 2\];"):
        train(wider, accelerator="cpu")
    with pytest.raises(InputError, match="no checkpoint at"):
        train(TrainConfig(out=str(tmp_path / "4"), teachers=("none.ckpt",), **tiny), accelerator="cpu")


def test_a_deeper_network_begins_with_what_a_trained_one_knows() -> None:
    torch.manual_seed(3)
    trained, deeper = EmotionNet().eval(), EmotionNet(depths=(2, 3, 4)).eval()
    for norm in (module for module in trained.modules() if isinstance(module, torch.nn.BatchNorm2d)):
        torch.nn.init.normal_(norm.running_mean)  # as after training
        torch.nn.init.uniform_(norm.running_var, 0.5, 2.0)
    faces = torch.rand(4, 1, 48, 48) * 255
    deepen(trained, deeper)
    with torch.no_grad():
        for head, logits in trained(faces).items():
            assert torch.allclose(deeper(faces)[head], logits, atol=1e-5)
    deeper.train()
    deeper(faces)["fer2013"].sum().backward()
    added = deeper.blocks[1]
    assert added.norm2.weight.grad.abs().max() > 0, "training can make the new blocks add something"
