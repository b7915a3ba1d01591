"""Training in eight bits: what it computes is what onnxruntime computes, and it learns to answer as its teachers do."""

from __future__ import annotations

import copy
import logging
from pathlib import Path

import pytest

pytest.importorskip("torch")
import numpy as np
import torch

from mien.errors import InputError
from mien.models.classifier import Classifier
from mien.training import data
from mien.training.config import TrainConfig
from mien.training.eight_bits import quantise, settle
from mien.training.eight_bits.__main__ import train
from mien.training.eight_bits.settle import WEIGHT_MOST, Rounding, answers
from mien.training.export import write
from mien.training.model import EmotionNet, fold, predict

pytestmark = [pytest.mark.training, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def faces(dataset: Path) -> data.Faces:
    return data.load(dataset)


@pytest.fixture
def net(faces: data.Faces) -> EmotionNet:
    """A small network whose norms have seen the faces; its answers differ from face to face."""
    torch.manual_seed(0)
    net = EmotionNet((8, 16, 32), (1, 1, 1))
    with torch.no_grad():
        for _ in range(20):
            net.train()(torch.from_numpy(faces.pixels[:64]).float()[:, None])
        for layer in net.heads.values():
            layer.weight.mul_(8)
    return net.eval()


def checkpoint(net: EmotionNet, path: Path, width: float = 1 / 6) -> Path:
    config = {
        "data": "faces",
        "out": "run",
        "name": "tried",
        "width": width,
        "depths": (1, 1, 1),
        "ferplus_weight": 0.0,
    }
    weights = {f"net.{name}": value for name, value in net.state_dict().items()}
    torch.save({"state_dict": weights, "hyper_parameters": {"config": config}}, path)
    return path


def test_rounding_answers_as_the_converted_file_does_and_leaves_weights_that_it_keeps(
    net: EmotionNet, faces: data.Faces, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = faces.split("PublicTest")
    folded = fold(net)
    plain = predict(folded, shown.pixels)["fer2013"]
    rounding = Rounding(folded)
    predict(folded, faces.split("Training").pixels)
    rounding.begin()
    rounded = predict(folded, shown.pixels)["fer2013"]
    rounding.end()
    for convolution in rounding.convolutions:
        weight = convolution.weight.detach().flatten(1)
        wholes = weight / (weight.abs().amax(1, keepdim=True) / WEIGHT_MOST)
        np.testing.assert_allclose(wholes, wholes.round(), atol=1e-3)
    weights_alone = predict(folded, shown.pixels)["fer2013"]
    monkeypatch.setattr(quantise, "ALLOWED", 1.0)
    monkeypatch.setattr(quantise, "_milliseconds", lambda model, _: -1.0 if "int8" in model.file.name else 1.0)
    config = TrainConfig(data="-", out="-", name="tried", ferplus_weight=0.0)
    (path,) = write(folded, config, shown, tmp_path)
    whole = Classifier.load(path)
    converted = Classifier.load(
        _converted(path, faces, whole, tmp_path / "converted.onnx")
    ).classify(shown.pixels)  # fmt: skip
    apart = [np.abs(_scores(converted) - _centred(logits, whole)).mean() for logits in (rounded, plain)]
    assert apart[0] < 0.6 * apart[1]
    np.testing.assert_allclose(_scores(whole.classify(shown.pixels)), _centred(weights_alone, whole), atol=1e-2)


def _converted(path: Path, faces: data.Faces, whole: Classifier, out: Path) -> Path:
    out.write_bytes(quantise._quantised(path, faces.split("Training").pixels, whole))
    return out


def _scores(probabilities: np.ndarray) -> np.ndarray:
    scores = np.log(probabilities)
    return np.asarray(scores - scores.mean(1, keepdims=True))


def _centred(logits: np.ndarray, model: Classifier) -> np.ndarray:
    return np.asarray((logits - logits.mean(1, keepdims=True)) / model.contract.temperature)


def test_it_learns_what_its_teachers_say_also_of_faces_that_the_pipeline_cut(
    net: EmotionNet,
    faces: data.Faces,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(settle, "BATCH", 14)
    training = faces.split("Training")
    wanted = answers([fold(net)], training.pixels)
    recut = np.roll(training.pixels, 4, axis=1)[:, None].copy()
    recut[::3] = 0
    seen = settle._looks(training.pixels, recut, np.arange(140), 48, torch.Generator().manual_seed(0))
    assert seen.shape == (140, 1, 48, 48)
    assert (seen.amax((1, 2, 3)) > 0).all(), "a face that was not found is seen as it is"
    other = copy.deepcopy(net)
    with torch.no_grad():
        other.heads["fer2013"].bias.add_(torch.tensor([2.0, 0, 0, 0, 0, 0, -2]))
    before = _apart(fold(other), wanted, recut[1::3, 0], 1)
    keep = tmp_path / "state"
    arguments = {"recut": recut, "seed": 3, "rate": 3e-3}
    with caplog.at_level(logging.INFO):
        settled = settle.settle(fold(other), training.pixels, wanted, epochs=4, keep=keep, **arguments)
    assert _apart(settled, wanted, recut[1::3, 0], 1) < before / 2
    assert caplog.text.count("loss") == 4
    caplog.clear()
    again = settle.settle(fold(other), training.pixels, wanted, epochs=4, keep=keep, **arguments)
    assert "loss" not in caplog.text, "it went on from its end"
    for name, value in settled.state_dict().items():
        assert torch.equal(value, again.state_dict()[name]), name


def test_the_weights_averaged_over_the_steps_are_what_remains(
    net: EmotionNet, faces: data.Faces, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settle, "BATCH", 14)
    training = faces.split("Training")
    wanted = answers([fold(net)], np.roll(training.pixels, 1, axis=0))
    for decay, are_alike in ((0.0, True), (0.9, False)):
        keep = tmp_path / f"{decay}"
        settled = settle.settle(
            fold(net), training.pixels, wanted, epochs=1, rate=3e-3, ema_decay=decay, keep=keep
        )  # fmt: skip
        kept = torch.load(keep, weights_only=True)
        last = {f"module.{name}": value for name, value in kept["net"].items()}
        averaged = {name: value for name, value in kept["averaged"].items() if name in last}
        assert averaged.keys() == last.keys()
        assert all(torch.equal(averaged[name], last[name]) for name in last) == are_alike
        bias = settled.heads["fer2013"].bias
        assert torch.equal(bias, averaged["module.heads.fer2013.bias"])


def _apart(net: EmotionNet, wanted: dict[str, np.ndarray], pixels: np.ndarray, offset: int) -> float:
    given = answers([net], pixels)["fer2013"]
    return float(np.abs(given - wanted["fer2013"][offset::3]).mean())


def test_checkpoints_become_models_and_one_named_twice_counts_twice(
    net: EmotionNet, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quantise, "ALLOWED", 1.0)
    monkeypatch.setattr(quantise, "_milliseconds", lambda model, _: 1.0 if model.file.suffix == ".part" else 2.0)
    asked: list[tuple[int, list[int]]] = []

    def noted(nets: list[EmotionNet], pixels: np.ndarray, counts: list[int]) -> dict[str, np.ndarray]:
        asked.append((len(nets), counts))
        return answers(nets, pixels, counts)

    monkeypatch.setattr("mien.training.eight_bits.__main__.answers", noted)
    first, second = (checkpoint(net, tmp_path / f"{name}.ckpt") for name in "ab")
    (variant,) = train([first, second, first], dataset, tmp_path / "models", epochs=1)
    assert asked == [(2, [2, 1])]
    assert Classifier.load(variant.path).contract.name == "tried-int8"
    np.save(tmp_path / "cut.npy", np.zeros((3, 1, 48, 48), np.uint8))
    with pytest.raises(InputError, match=r"140, cuts, 48"):
        train([first], dataset, tmp_path / "models", recut=tmp_path / "cut.npy")


def test_teachers_of_another_make_say_what_is_learned(
    net: EmotionNet, faces: data.Faces, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quantise, "ALLOWED", 1.0)
    monkeypatch.setattr(quantise, "_milliseconds", lambda model, _: 1.0 if model.file.suffix == ".part" else 2.0)
    monkeypatch.setattr(settle, "BATCH", 14)
    wide = EmotionNet((16, 32, 64), (1, 1, 1)).eval()
    with torch.no_grad():
        wide.heads["fer2013"].weight.zero_()
        wide.heads["fer2013"].bias.copy_(torch.tensor([0, 0, 0, 4.0, 0, 0, 0]))
    start = checkpoint(net, tmp_path / "start.ckpt")
    teacher = checkpoint(wide, tmp_path / "wide.ckpt", 1 / 3)
    (alone,) = train([start], dataset, tmp_path / "alone", epochs=2, rate=3e-3)
    (taught,) = train([start], dataset, tmp_path / "taught", teachers=[teacher], epochs=2, rate=3e-3)
    shown = faces.split("PublicTest").pixels
    happy = [_likeliest(variant.path.with_stem("fer2013"), shown) for variant in (alone, taught)]
    assert happy[0] < 0.9 <= happy[1]


def test_a_model_says_that_its_teacher_began_with_weights_of_others(
    net: EmotionNet, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quantise, "ALLOWED", 1.0)
    monkeypatch.setattr(quantise, "_milliseconds", lambda model, _: 1.0 if model.file.suffix == ".part" else 2.0)
    start = checkpoint(net, tmp_path / "start.ckpt")
    teacher = Path(__file__).parents[2] / "docs/model/teachers/lite0.ckpt"
    (variant,) = train([start], dataset, tmp_path / "models", teachers=[start, teacher], epochs=1)
    assert Classifier.load(variant.path).contract.trained_on.endswith(
        "EfficientNet-Lite0, began with ImageNet's weights"
    )


def _likeliest(path: Path, pixels: np.ndarray) -> float:
    return float((Classifier.load(path).classify(pixels).argmax(1) == 3).mean())


def test_what_is_evened_answers_each_emotion_as_often_as_people_named_it(
    net: EmotionNet, faces: data.Faces, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quantise, "ALLOWED", 1.0)
    monkeypatch.setattr(quantise, "_milliseconds", lambda model, _: 1.0 if model.file.suffix == ".part" else 2.0)
    with torch.no_grad():
        net.heads["fer2013"].bias[3] += 30  # a temperature of 20, the most, leaves it 1.5
    start = checkpoint(net, tmp_path / "start.ckpt")
    wanted = np.bincount(faces.split("Training").labels, minlength=7) / len(faces.split("Training"))
    off = []
    for name, evens in (("as-it-is", False), ("even", True)):
        (variant,) = train([start], dataset, tmp_path / name, epochs=1, evens=evens)
        answered = Classifier.load(variant.path).classify(faces.split("PublicTest").pixels).mean(0)
        off.append(float(np.abs(answered - wanted).max()))
    assert off[1] < 0.02
    assert off[0] > 0.05
