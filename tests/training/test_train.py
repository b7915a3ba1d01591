"""A run: what it writes, how it goes on after kill -9, several processes, and what it refuses."""

from __future__ import annotations

import csv
import hashlib
import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("lightning")
import torch

from mien.errors import ConfigError, InputError, MienError, MissingExtraError
from mien.models import store as model_store
from mien.models.classifier import Classifier
from mien.training import curves, data
from mien.training.checkpoints import RunFolder, load_checkpoint
from mien.training.config import TrainConfig, read, validated
from mien.training.loop import Training, divergence
from mien.training.model import HEADS
from mien.training.train import train

pytestmark = [pytest.mark.training, pytest.mark.timeout(300)]  # imports torch in new processes

TINY = {"name": "tiny", "epochs": 3, "batch_size": 35, "ema_decay": 0.5, "erase": 0.0, "mixup": 0.2, "sharpness": 0.05}
TINY |= {"width": 0.5, "depths": (1, 1, 1)}  # so that an epoch takes no second


def metrics(out: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((out / "metrics.csv").read_text().splitlines()))


def start(config: TrainConfig, **environment: str) -> subprocess.Popen[bytes]:
    work = json.dumps({"config": asdict(config), "resume": False, "accelerator": "cpu"})
    return subprocess.Popen(
        [sys.executable, "-m", "mien.training.train", work], env=os.environ | {"OMP_NUM_THREADS": "1"} | environment
    )


def wait_for(path: Path, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 100
    while not path.exists():
        assert process.poll() is None, f"training ended with {process.returncode} before it wrote {path}"
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture(scope="module")
def run(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of three epochs."""
    torch.set_num_threads(1)
    out = tmp_path_factory.mktemp("run")
    train(TrainConfig(str(dataset), str(out), **TINY), accelerator="cpu")
    return out


def test_run_writes_a_checkpoint_a_model_and_a_row_for_each_epoch(run: Path) -> None:
    stems = ["000", "001", "002"]
    assert sorted(file.name for file in run.iterdir()) == sorted(
        [f"{stem}.{kind}" for stem in stems for kind in ("ckpt", "onnx")]
        + ["config.json", "curves.png", "latest.json", "metrics.csv"]
    )
    rows = metrics(run)
    assert [row["epoch"] for row in rows] == ["0", "1", "2"]
    assert float(rows[2]["train_loss"]) < float(rows[0]["train_loss"])
    assert (run / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert read(run / "config.json").epochs == 3


def test_latest_names_the_newest_and_the_best_epoch(run: Path) -> None:
    latest = json.loads((run / "latest.json").read_text())
    accuracies = [float(row["val_acc1"]) for row in metrics(run)]
    assert latest["latest"]["epoch"] == 2
    assert latest["best"]["accuracy"] == pytest.approx(max(accuracies), abs=1e-5)
    for entry in (latest["latest"], latest["best"]):
        assert hashlib.sha256((run / entry["model"]).read_bytes()).hexdigest() == entry["sha256"]
        assert (run / entry["checkpoint"]).exists()


def test_sharpness_takes_the_gradient_uphill_and_comes_back(dataset: Path) -> None:
    faces = data.load(dataset, ("Training", "PublicTest"))
    training = Training(TrainConfig(str(dataset), "out", sharpness=0.5), faces)
    before = {name: value.clone() for name, value in training.net.state_dict().items()}
    looked = torch.rand(8, 1, 48, 48, generator=torch.Generator().manual_seed(1)) * 255
    lengths, answers = [], []

    def gradient() -> torch.Tensor:
        training.net.zero_grad()
        loss = sum((parameter**2).sum() for parameter in training.net.parameters()) / 2
        loss.backward()
        lengths.append(float(2 * loss.detach()) ** 0.5)
        answers.append(training.net(looked)["fer2013"].detach())
        return loss

    loss = training._steepest(gradient)

    assert loss.item() == pytest.approx(lengths[0] ** 2 / 2)
    assert lengths[1] == pytest.approx(lengths[0] + 0.5, rel=1e-4)  # of half the sum of squares, uphill is outwards
    assert not torch.equal(answers[0], answers[1])
    for name, parameter in training.net.named_parameters():
        assert torch.equal(parameter, before[name])
        assert parameter.grad is not None
        assert torch.allclose(parameter.grad, parameter * (lengths[1] / lengths[0]), atol=1e-5)
    once = Training(TrainConfig(str(dataset), "out"), faces).net
    once.load_state_dict(before)
    once(looked)
    for name, value in once.named_buffers():
        if "running" in name:
            assert torch.equal(training.net.get_buffer(name), value)
    assert {norm.momentum for norm in training.net.modules() if isinstance(norm, torch.nn.BatchNorm2d)} == {0.1}


def test_a_run_of_five_steps_ends(dataset: Path, tmp_path: Path) -> None:
    config = TrainConfig(str(dataset), str(tmp_path / "run"), **TINY | {"epochs": 1, "batch_size": 28, "sharpness": 0})
    train(config, accelerator="cpu")
    assert len(metrics(tmp_path / "run")) == 1


def test_answers_that_are_alike_are_not_apart_and_opposite_ones_by_the_most() -> None:
    answer = torch.log_softmax(torch.randn(5, 7, generator=torch.Generator().manual_seed(0)), 1)
    assert float(divergence(answer, answer)) == pytest.approx(0, abs=1e-6)
    first, second = (torch.log_softmax(torch.eye(7)[[index]] * 50, 1) for index in (0, 1))
    assert float(divergence(first, second)) == pytest.approx(math.log(2), abs=1e-4)


def test_consistency_costs_a_network_that_wobbles(dataset: Path) -> None:
    faces = data.load(dataset, ("Training", "PublicTest"))
    losses = {}
    for consistency in (0.0, 1e-9, 5.0):
        training = Training(TrainConfig(str(dataset), "out", consistency=consistency, ferplus_weight=0.0), faces)
        training.log = lambda *_, **__: None
        torch.manual_seed(3)
        for parameter in training.net.parameters():
            torch.nn.init.normal_(parameter, 0, 0.1)
        losses[consistency] = training.training_step(torch.arange(70), 0).item()
    assert losses[5.0] > losses[1e-9] + 0.001
    assert losses[1e-9] != losses[0.0], "two looks, not one"


def test_attention_costs_a_network_that_answers_a_mirror_image_from_other_places(dataset: Path) -> None:
    faces = data.load(dataset, ("Training", "PublicTest"))
    losses = {}
    for attention in (0.0, 1e-9, 50.0):
        training = Training(TrainConfig(str(dataset), "out", attention=attention, ferplus_weight=0.0), faces)
        training.log = lambda *_, **__: None
        losses[attention] = training.training_step(torch.arange(70), 0).item()
    assert losses[50.0] > losses[1e-9] + 0.001
    assert losses[1e-9] != losses[0.0], "the norms see the mirror images too"

    net = training.net.eval()
    lit = torch.zeros(2, 1, 48, 48)
    lit[0, :, :, :20], lit[1, :, :, -20:] = 255, 255  # a face and its mirror image
    with torch.inference_mode():
        logits, places = training._mirrored(lit, 1)
        scores, (left, right) = net.scores_and_maps(lit)
        means = torch.stack([left, right]).mean((2, 3)) + net.heads["fer2013"].bias
    assert {head: tuple(scores.shape) for head, scores in logits.items()} == dict.fromkeys(HEADS, (2, 7))
    assert float(places) == pytest.approx(float((left - right.flip(2)).square().mean()))
    assert float(places) < float((left - right).square().mean()), "the maps are turned back"
    assert torch.allclose(means, scores["fer2013"], atol=1e-5)


def test_run_with_votes_publishes_both_heads(voted: Path, tmp_path: Path) -> None:
    train(TrainConfig(str(voted), str(tmp_path / "run"), **TINY | {"epochs": 2}), accelerator="cpu")
    run = json.loads((tmp_path / "run" / "latest.json").read_text())
    rows = metrics(tmp_path / "run")
    agreement = [float(row["val_ferplus"]) for row in rows]
    assert run["latest"]["model"] == "001.onnx"
    assert run["ferplus"]["latest"]["model"] == "001-ferplus.onnx"
    assert run["ferplus"]["latest"]["accuracy"] == pytest.approx(agreement[1], abs=1e-5)
    assert run["ferplus"]["best"]["accuracy"] == pytest.approx(max(agreement), abs=1e-5)
    assert run["best"]["accuracy"] == pytest.approx(max(float(row["val_acc1"]) for row in rows), abs=1e-5)
    labels, votes = (
        model_store.pull(str(tmp_path / "run"), tmp_path),
        model_store.pull(str(tmp_path / "run"), tmp_path, head="ferplus"),
    )
    assert (labels.model_id.split("@")[0], votes.model_id.split("@")[0]) == ("tiny", "tiny-ferplus")


def test_run_resumed_after_kill_ends_with_the_same_weights(dataset: Path, run: Path, tmp_path: Path) -> None:
    config = TrainConfig(str(dataset), str(tmp_path / "killed"), **TINY)
    process = start(config)
    wait_for(tmp_path / "killed" / "000.ckpt", process)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "killed" / "002.ckpt").exists()

    last = train(config, resume=True, accelerator="cpu")

    resumed, whole = (torch.load(path, weights_only=True) for path in (last, run / "002.ckpt"))
    for part in ("state_dict", "current_model_state", "averaging_state"):
        assert resumed[part].keys() == whole[part].keys()
        for name, weight in whole[part].items():
            assert torch.equal(resumed[part][name], weight), f"{part} {name}"
    assert (tmp_path / "killed" / "002.onnx").read_bytes() == (run / "002.onnx").read_bytes()
    rows = [metrics(out) for out in (tmp_path / "killed", run)]
    assert [{**row, "seconds": ""} for row in rows[0]] == [{**row, "seconds": ""} for row in rows[1]]


def test_resuming_a_finished_run_changes_nothing(run: Path, dataset: Path) -> None:
    before = {file.name: file.read_bytes() for file in run.glob("*.ckpt")}
    train(TrainConfig(str(dataset), str(run), **TINY), resume=True, accelerator="cpu")
    assert {file.name: file.read_bytes() for file in run.glob("*.ckpt")} == before


def test_two_processes_train_together_and_quietly(
    dataset: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    config = TrainConfig(str(dataset), str(tmp_path), **TINY | {"epochs": 1})
    last = train(config, devices=2, accelerator="cpu")
    assert last == str(tmp_path / "000.ckpt")
    assert capfd.readouterr() == ("", "")
    kept = torch.load(last, weights_only=True)
    assert kept["global_step"] == 2  # 140 faces, two processes, 35 faces a step: four without the other's half


def test_bfloat16_computes_otherwise_and_keeps_weights_in_single_precision(
    run: Path, dataset: Path, tmp_path: Path
) -> None:
    config = TrainConfig(str(dataset), str(tmp_path), **TINY | {"precision": "bf16-mixed"})
    last = train(config, accelerator="cpu")
    losses, single = ([float(row["train_loss"]) for row in metrics(folder)] for folder in (tmp_path, run))
    assert losses != single
    assert losses == pytest.approx(single, rel=0.2)
    assert losses[2] < losses[0]
    weights = torch.load(last, weights_only=True)["state_dict"].values()
    assert {weight.dtype for weight in weights if weight.is_floating_point()} == {torch.float32}
    assert Classifier.load(tmp_path / "002.onnx").contract.name == "tiny"


def test_folder_that_cannot_be_written(dataset: Path, tmp_path: Path) -> None:
    config = TrainConfig(str(dataset), str(tmp_path / "out"), **TINY)
    (tmp_path / "out").write_text("a file where the folder should be")
    with pytest.raises(MienError, match=r"cannot (read|write)"):
        train(config, accelerator="cpu")


def test_folder_of_another_run_is_refused(run: Path, dataset: Path) -> None:
    config = TrainConfig(str(dataset), str(run), **TINY)
    with pytest.raises(InputError, match="already holds a run"):
        train(config, accelerator="cpu")
    with pytest.raises(InputError, match=r"holds a run with epochs = 3, not 9"):
        train(replace(config, epochs=9), resume=True, accelerator="cpu")


def test_early_stop(dataset: Path, tmp_path: Path) -> None:
    config = TrainConfig(str(dataset), str(tmp_path), **TINY | {"epochs": 30, "patience": 1, "learning_rate": 1e-9})
    last = train(config, accelerator="cpu")
    assert Path(last).name < "029.ckpt"


def test_tensorboard_gets_the_curves(dataset: Path, tmp_path: Path) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    train(TrainConfig(str(dataset), str(tmp_path), **TINY | {"epochs": 1, "log_to": "tensorboard"}), accelerator="cpu")
    events = accumulator.EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert {"train_loss", "val_acc1", "val_acc5", "learning_rate", "recall_happy"} <= set(events.Tags()["scalars"])


def test_wandb_offline_keeps_the_curves_on_this_machine(dataset: Path, tmp_path: Path) -> None:
    pytest.importorskip("wandb")
    folders = {name: str(tmp_path / name) for name in ("WANDB_CONFIG_DIR", "WANDB_CACHE_DIR", "WANDB_DATA_DIR")}
    config = TrainConfig(str(dataset), str(tmp_path), **TINY | {"epochs": 1, "log_to": "wandb-offline"})
    # in a process of its own: the tracker writes in the background and has written all when the process ends
    assert start(config, WANDB_SILENT="true", **folders).wait(200) == 0
    (log,) = (tmp_path / "wandb").glob("offline-run-*/run-*.wandb")
    kept = log.read_bytes()
    for name in (b"train_loss", b"val_acc1", b"val_acc5", b"learning_rate", b"recall_happy"):
        assert name in kept


def test_tracker_that_is_not_installed(dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(curves.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match=r"pip install 'mien\[wandb\]'"):
        train(TrainConfig(str(dataset), str(tmp_path), log_to="wandb"), accelerator="cpu")


def test_data_without_public_test_is_refused(write_csv: Callable[..., Path], tmp_path: Path) -> None:
    data = write_csv(tmp_path / "some.csv", {"Training": 14})
    with pytest.raises(InputError, match="holds no PublicTest faces"):
        train(TrainConfig(str(data), str(tmp_path / "out")), accelerator="cpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_gpu_that_is_not_there(dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="'gpu' was asked for"):
        train(TrainConfig(str(dataset), str(tmp_path)), accelerator="gpu")


def test_devices_that_cannot_be(dataset: Path, tmp_path: Path) -> None:
    config = TrainConfig(str(dataset), str(tmp_path / "out"))
    with pytest.raises(InputError, match=r"'abacus'.*auto, cpu, gpu"):
        train(config, accelerator="abacus")
    with pytest.raises(InputError, match="cannot train on 0 devices"):
        train(config, devices=0)


def test_disk_that_takes_no_more(dataset: Path, tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    config = TrainConfig(str(dataset), str(tmp_path / "out"), **TINY | {"width": 1.0})
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8 << 20, before[1]))  # room for a model, not for a checkpoint
    try:
        with pytest.raises(MienError, match=r"training stopped: cannot write to '.*out' \(.*File too large.*--resume"):
            train(config, accelerator="cpu")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("epochs = 0\ndata='x'\nout='y'", r"'epochs': .*greater than or equal to 1.*it is 0"),
        ("epoch = 3\ndata='x'\nout='y'", r"unknown training setting 'epoch': did you mean epochs\?"),
        ("data='x'", r"'out'.*it is missing"),
        ("data=''\nout='y'", r"'data': .*at least 1 character.*it is ''"),
        ("epochs =", "neither valid TOML"),
    ],
)
def test_wrong_configuration(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "run.toml").write_text(content)
    with pytest.raises(ConfigError, match=message):
        read(tmp_path / "run.toml")


def test_configuration_is_read_back_as_it_was_saved(tmp_path: Path) -> None:
    config = TrainConfig("faces.csv", "out", epochs=7, learning_rate=0.05, patience=3)
    (tmp_path / "config.json").write_text(json.dumps(asdict(config)))
    assert read(tmp_path / "config.json") == config
    assert read(tmp_path / "config.json", epochs=9, seed=None) == replace(config, epochs=9)
    assert validated(asdict(config)) == config


def test_checkpoint_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no checkpoint at"):
        load_checkpoint(tmp_path / "no.ckpt")
    (tmp_path / "text.ckpt").write_text("hello")
    with pytest.raises(InputError, match="is no checkpoint of Mien's"):
        load_checkpoint(tmp_path / "text.ckpt")
    assert RunFolder(str(tmp_path / "nowhere")).checkpoints() == []


def test_a_share_of_the_faces_is_seen_as_the_pipeline_cuts_them_and_nothing_is_to_be_said_of_hidden_ones(
    dataset: Path, tmp_path: Path
) -> None:
    faces = data.load(dataset, ("Training", "PublicTest"))
    count = len(faces.split("Training"))
    config = TrainConfig(str(dataset), str(tmp_path), **TINY, recut="-", covered="-", recut_share=0.5, covered_share=1)
    training = Training(config, faces)
    indices, pixels = torch.arange(count), torch.zeros(count, 1, 48, 48)
    training.recut = np.full((count, 2, 48, 48), 200, np.uint8)
    seen, chosen = training._in_place(training.recut, 0.5, indices, pixels, torch.Generator().manual_seed(1))
    assert 0.3 * count < int(chosen.sum()) < 0.7 * count
    assert ((seen[:, 0, 0, 0] == 200) == chosen).all()
    covers = np.zeros((count, 1, 48, 48), np.uint8)
    covers[::2] = 9
    _, chosen = training._in_place(covers, 1.0, indices, pixels, torch.Generator().manual_seed(1))
    assert chosen.tolist() == [not index % 2 for index in range(count)], "all black: there is none"


def test_a_network_learns_to_name_nothing_of_hidden_faces(dataset: Path, tmp_path: Path) -> None:
    faces = data.load(dataset, ("Training", "PublicTest"))
    count = len(faces.split("Training"))
    covers = np.random.default_rng(1).integers(150, 250, (count, 1, 48, 48)).astype(np.uint8)
    np.save(tmp_path / "covered.npy", covers)
    np.save(tmp_path / "recut.npy", faces.split("Training").pixels[:, None])
    config = TrainConfig(
        str(dataset),
        str(tmp_path / "run"),
        **TINY | {"epochs": 4, "mixup": 0.0, "sharpness": 0.0},
        recut=str(tmp_path / "recut.npy"),
        covered=str(tmp_path / "covered.npy"),
        covered_share=0.5,
        consistency=1.0,
    )
    train(config, accelerator="cpu")
    model = Classifier.load(tmp_path / "run" / "003.onnx")
    hidden, shown = (
        model.classify(crops).max(1).mean() for crops in (covers[:35, 0], faces.split("PublicTest").pixels)
    )
    assert hidden < shown


@pytest.mark.parametrize("crops", [np.zeros((3, 1, 48, 48), np.uint8), np.zeros((140, 48, 48), np.uint8), None])
def test_cut_faces_of_another_data_set_are_refused(dataset: Path, tmp_path: Path, crops: np.ndarray | None) -> None:
    path = tmp_path / "recut.npy"
    if crops is not None:
        np.save(path, crops)
    with pytest.raises(InputError, match="recut"):
        train(TrainConfig(str(dataset), str(tmp_path / "run"), **TINY, recut=str(path)), accelerator="cpu")
