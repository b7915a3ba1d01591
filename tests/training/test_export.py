"""A checkpoint becomes files that answer as torch does, and that say truly how sure they are."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("torch")
import numpy as np
import onnx
import torch
from torch.nn import functional
from typer.testing import CliRunner

from mien.cli.app import app
from mien.errors import InputError, ModelError
from mien.models.classifier import Classifier
from mien.training import data
from mien.training import export as exporting
from mien.training.checkpoints import load_checkpoint
from mien.training.config import TrainConfig
from mien.training.eight_bits import quantise
from mien.training.export import Calibration, calibrate, check, even, export, round_weights, to_onnx
from mien.training.model import EmotionNet, SingleHead, fold, predict

pytestmark = pytest.mark.training

RANDOM = np.random.default_rng(0)
FACES = RANDOM.integers(0, 256, (40, 48, 48)).astype(np.uint8)


@pytest.fixture(scope="module")
def net() -> EmotionNet:
    """A network whose norms have seen something, as after training."""
    torch.manual_seed(0)
    net = EmotionNet()
    with torch.no_grad():
        for _ in range(3):
            net.train()(torch.from_numpy(FACES).float()[:, None])
    return net.eval()


def kept(net: EmotionNet, path: Path, **settings: object) -> Path:
    """Write a network as the checkpoint of a run with these settings."""
    config = {"data": "faces", "out": "run", **settings}
    weights = {f"net.{name}": value for name, value in net.state_dict().items()}
    torch.save({"state_dict": weights, "hyper_parameters": {"config": config}}, path)
    return path


def test_network_keeps_to_the_budget(net: EmotionNet) -> None:
    products = []

    def count(module: torch.nn.Module, _: object, output: torch.Tensor) -> None:
        products.append(output[0].numel() * module.weight[0].numel())

    hooks = [
        one.register_forward_hook(count) for one in net.modules() if isinstance(one, torch.nn.Conv2d | torch.nn.Linear)
    ]
    predict(net, FACES[:1])
    for hook in hooks:
        hook.remove()
    assert 10e6 < sum(products) < 120e6, "multiplications a face"


@pytest.mark.parametrize(("size", "pools"), [(48, 0), (56, 0), (52, 2)])  # 52 px are 13 rows at the second pool
def test_folding_norms_and_means_changes_no_answer(net: EmotionNet, size: int, pools: int) -> None:
    net = copy.deepcopy(net)
    net.size = size
    folded = fold(net)
    kinds = [type(module) for module in folded.modules()]
    assert torch.nn.BatchNorm2d not in kinds
    assert kinds.count(torch.nn.AvgPool2d) == pools
    assert any(isinstance(module, torch.nn.BatchNorm2d) for module in net.modules())
    for head, logits in predict(net, FACES).items():
        np.testing.assert_allclose(predict(folded, FACES)[head], logits, atol=1e-4)


@pytest.mark.parametrize("head", ["fer2013", "ferplus"])
def test_file_answers_as_torch_does(net: EmotionNet, head: str, tmp_path: Path) -> None:
    rounded = round_weights(fold(net))
    model = to_onnx(rounded, head, Calibration(0.7, 0.4), name="tried", trained_on="noise")
    assert check(model, SingleHead(rounded, head, 0.7), FACES) <= 1e-4
    assert len(model) < 4e6
    (tmp_path / "model.onnx").write_bytes(model)
    classifier = Classifier.load(tmp_path / "model.onnx")
    expected = torch.softmax(torch.from_numpy(predict(rounded, FACES)[head]) / 0.7, 1).numpy()
    np.testing.assert_allclose(classifier.classify(FACES), expected, atol=1e-4)
    contract = classifier.contract
    assert (contract.name, contract.temperature, contract.abstain_below) == ("tried", 0.7, 0.4)
    assert (contract.trained_on, contract.licence, contract.input_size) == ("noise", "Apache-2.0", 48)


def test_a_model_that_looks_twice_averages_a_larger_face_and_its_mirror_image(net: EmotionNet, tmp_path: Path) -> None:
    twice = round_weights(fold(load_checkpoint(kept(net, tmp_path / "000.ckpt", size=56, mirror=True))[0]))
    model = to_onnx(twice, "fer2013", Calibration(0.7, 0.4), name="tried", trained_on="noise")
    assert check(model, SingleHead(twice, "fer2013", 0.7), FACES) <= 1e-4
    (tmp_path / "model.onnx").write_bytes(model)
    classifier = Classifier.load(tmp_path / "model.onnx")
    mirrored = np.ascontiguousarray(FACES[:, :, ::-1])
    answers = classifier.classify(FACES)
    np.testing.assert_allclose(classifier.classify(mirrored), answers, atol=1e-4)
    np.testing.assert_allclose(classifier.classify(FACES[:1]), answers[:1], atol=1e-4)

    once = round_weights(fold(net))
    larger = [
        functional.interpolate(torch.from_numpy(view).float()[:, None], (56, 56), mode="bilinear")
        for view in (FACES, mirrored)
    ]
    with torch.no_grad():
        logits = sum(once(view)["fer2013"] for view in larger) / 2
    np.testing.assert_allclose(answers, torch.softmax(logits / 0.7, 1).numpy(), atol=1e-4)
    assert classifier.contract.input_size == 48, "who uses the model need not know"


def test_file_that_answers_otherwise_is_refused(net: EmotionNet) -> None:
    rounded = round_weights(fold(net))
    model = to_onnx(rounded, "fer2013", Calibration(1.0, 0.4), name="tried", trained_on="noise")
    with pytest.raises(ModelError, match="differs from torch by up to"):
        check(model, SingleHead(rounded, "fer2013", 1.05), FACES)


def test_weights_of_the_file_are_those_of_the_rounded_network(net: EmotionNet) -> None:
    rounded = round_weights(fold(net))
    model = onnx.ModelProto.FromString(to_onnx(rounded, "fer2013", Calibration(1.0, 0.4), name="x", trained_on="y"))
    halves = [t for t in model.graph.initializer if t.data_type == onnx.TensorProto.FLOAT16]
    stored = {float(abs(onnx.numpy_helper.to_array(t).astype(np.float32)).sum()) for t in halves}
    weights = [p for n, p in rounded.named_parameters() if p.numel() >= exporting.HALVED_FROM and "ferplus" not in n]
    assert len(halves) == len(weights)
    for weight in weights:
        total = float(weight.detach().abs().numpy().sum())
        assert min(abs(total - other) for other in stored) < 1e-3 * total


def test_temperature_is_found_again() -> None:
    """Labels drawn from known probabilities; logits three times too large."""
    logits = RANDOM.normal(0, 2, (20_000, 7)).astype(np.float32)
    shares = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    labels = np.array([RANDOM.choice(7, p=row / row.sum()) for row in shares])
    found = calibrate(3 * logits, np.eye(7, dtype=np.float32)[labels])
    assert found.temperature == pytest.approx(3, rel=0.05)
    assert (shares.max(1) >= found.abstain_below).mean() == pytest.approx(0.9, abs=0.01)


def test_faces_without_votes_do_not_count_for_the_temperature() -> None:
    logits = RANDOM.normal(0, 2, (500, 7)).astype(np.float32)
    votes = np.eye(7, dtype=np.float32)[logits.argmax(1)] * 10
    votes[::2] = np.eye(7, dtype=np.float32)[logits[::2].argmin(1)]
    contradicted = calibrate(logits, votes).temperature
    votes[::2] = 0
    assert calibrate(logits, votes).temperature < 0.1 < contradicted


def test_evened_biases_answer_each_emotion_as_often_as_wanted_and_change_nothing_else(net: EmotionNet) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (200, 48, 48), dtype=np.uint8)
    named = np.eye(7, dtype=np.float32)[np.arange(200) % 7]
    named[:40] = 0  # faces that nobody named do not count
    folded = fold(net)
    before = {name: value.clone() for name, value in folded.state_dict().items()}
    wanted = np.array([0.3, 0.0, 0.1, 0.2, 0.1, 0.1, 0.2])
    shift = even(folded, "fer2013", pixels, named, wanted)
    assert abs(float(shift.mean())) < 1e-5
    scores = predict(folded, pixels[40:])["fer2013"]
    temperature = calibrate(scores, named[40:]).temperature
    answered = torch.softmax(torch.from_numpy(scores) / temperature, 1).numpy().mean(0)
    np.testing.assert_allclose(answered, wanted, atol=2e-3)
    changed = [name for name, value in folded.state_dict().items() if not torch.equal(value, before[name])]
    assert changed == ["heads.fer2013.bias"]


def test_export_of_a_run(net: EmotionNet, dataset: Path, tmp_path: Path) -> None:
    kept(net, tmp_path / "000.ckpt", ferplus_weight=0.0)
    written = export(tmp_path / "000.ckpt", dataset, tmp_path / "out", name="mien-9")
    assert written == [tmp_path / "out" / "fer2013.onnx"]  # the votes were not learned
    assert Classifier.load(written[0]).contract.name == "mien-9"
    with pytest.raises(InputError, match=r"'=1'.*1 to 80"):
        export(tmp_path / "000.ckpt", dataset, tmp_path / "out", name="=1")
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot write to"):
        export(tmp_path / "000.ckpt", dataset, tmp_path / "file")


def test_int8_variant_answers_nearly_alike_and_is_smaller_and_faster(
    net: EmotionNet,
    dataset: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    rounded = round_weights(fold(net))
    model = tmp_path / "fer2013.onnx"
    model.write_bytes(to_onnx(rounded, "fer2013", Calibration(0.7, 0.4), name="tried", trained_on="noise"))
    monkeypatch.setattr(quantise, "FACES", 64)
    monkeypatch.setattr(quantise, "ALLOWED", 1.0)  # an untrained network's answers are a toss-up
    variant = quantise.quantise(model, dataset)
    assert variant.path == tmp_path / "fer2013-int8.onnx"
    assert not caplog.records
    assert variant.path.stat().st_size < 0.6 * model.stat().st_size
    assert variant.speedup > 1
    whole, eighth = Classifier.load(model), Classifier.load(variant.path)
    faces = data.load(dataset, ("PublicTest",)).pixels
    np.testing.assert_allclose(eighth.classify(faces), whole.classify(faces), atol=0.1)
    assert replace(eighth.contract, plausible=()) == replace(whole.contract, name="tried-int8")
    assert [level for level, _ in eighth.contract.plausible] == [0.8, 0.9, 0.95], "fitted on its own answers"


def test_int8_variant_that_loses_too_much_is_not_kept(
    net: EmotionNet, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tmp_path / "fer2013.onnx"
    model.write_bytes(to_onnx(round_weights(fold(net)), "fer2013", Calibration(1, 0.4), name="x", trained_on="y"))
    monkeypatch.setattr(quantise, "FACES", 32)
    monkeypatch.setattr(quantise, "ALLOWED", -1.0)
    with pytest.raises(ModelError, match=r"PublicTest.*not kept"):
        quantise.quantise(model, dataset)
    assert list(tmp_path.iterdir()) == [model]


def test_several_checkpoints_are_exported_as_the_mean_of_their_weights(
    net: EmotionNet, voted: Path, tmp_path: Path
) -> None:
    torch.manual_seed(1)
    other = copy.deepcopy(net)
    with torch.no_grad():
        for weight in other.parameters():
            weight.add_(0.1 * torch.randn_like(weight))
    kept(net, tmp_path / "0.ckpt", ferplus_weight=1.0, teachers=("older.ckpt",))
    kept(other, tmp_path / "1.ckpt", ferplus_weight=1.0, mirror=True)
    kept(other, tmp_path / "2.ckpt", ferplus_weight=0.0)
    kept(EmotionNet.of(TrainConfig("faces", "run", width=0.5)), tmp_path / "3.ckpt", width=0.5)
    command = ["export", "--data", str(voted), "--out", str(tmp_path / "out")]
    written = CliRunner().invoke(
        app, [*command, *(str(tmp_path / f"{k}.ckpt") for k in (1, 0))], catch_exceptions=False
    )
    assert [Path(line).name for line in written.output.split()] == ["fer2013.onnx", "ferplus.onnx"]
    expected = copy.deepcopy(net)
    for weight, one, two in zip(expected.parameters(), net.parameters(), other.parameters(), strict=True):
        weight.data = (one.data + two.data) / 2
    expected.mirror = True  # as the first of them
    model = Classifier.load(tmp_path / "out" / "fer2013.onnx")
    assert "soft labels" in model.contract.trained_on, "one of them learned some"
    found = np.log(model.classify(list(FACES))) * model.contract.temperature
    of_mean, of_one = (predict(one, FACES)["fer2013"] for one in (expected, net))
    found, of_mean, of_one = (scores - scores.mean(1, keepdims=True) for scores in (found, of_mean, of_one))
    np.testing.assert_allclose(found, of_mean, atol=5e-3)
    assert np.abs(found - of_one).max() > 0.05
    assert len(export([tmp_path / "0.ckpt", tmp_path / "2.ckpt"], voted, tmp_path / "two")) == 1, "one knows no votes"
    with pytest.raises(InputError, match=r"0\.ckpt' and '.*3\.ckpt'.*widths"):
        export([tmp_path / "0.ckpt", tmp_path / "3.ckpt"], voted, tmp_path / "none")


def test_variants_that_are_not_kept_do_not_spoil_an_export(
    net: EmotionNet, voted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(quantise, "FACES", 32)
    monkeypatch.setattr(quantise, "ALLOWED", -1.0)
    kept(net, tmp_path / "0.ckpt", ferplus_weight=1.0)
    command = ["export", str(tmp_path / "0.ckpt"), "--data", str(voted), "--out", str(tmp_path / "out"), "--int8"]
    done = CliRunner().invoke(app, command, catch_exceptions=False)
    assert done.exit_code == 0
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == ["fer2013.onnx", "ferplus.onnx"]
    assert [record.message.partition("'")[2].partition("'")[0] for record in caplog.records] == [
        str(tmp_path / "out" / f"{head}.onnx") for head in ("fer2013", "ferplus")
    ]


def test_eight_bits_need_faces_of_both_splits(net: EmotionNet, tmp_path: Path, write_csv: Callable[..., Path]) -> None:
    model = tmp_path / "fer2013.onnx"
    model.write_bytes(to_onnx(round_weights(fold(net)), "fer2013", Calibration(1, 0.4), name="x", trained_on="y"))
    for splits, found in (({"PublicTest": 7}, "0 and 7"), ({"Training": 7}, "7 and 0")):
        with pytest.raises(InputError, match=f"cannot serve for eight bits: .* found {found}"):
            quantise.quantise(model, write_csv(tmp_path / "some.csv", splits))
    (tmp_path / "ferplus.onnx").write_bytes(model.read_bytes())
    with pytest.raises(InputError, match="found 7 and 0"):  # nobody voted
        quantise.quantise(tmp_path / "ferplus.onnx", write_csv(tmp_path / "some.csv", {"Training": 7, "PublicTest": 7}))
