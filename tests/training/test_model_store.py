"""Models travel from a run to a machine without torch: over folders, HTTP and a real S3 server."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import http.client
import http.server
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("torch")
import numpy as np
import torch
from PIL import Image
from typer.testing import CliRunner

import mien
from buckets import s3_server
from mien.cli.app import app
from mien.config import Settings, load
from mien.edge.live_model import LiveModel
from mien.errors import InputError, MienError, MissingExtraError, ModelError
from mien.models import store as model_store
from mien.models.classifier import Classifier
from mien.run.batch import analyze_paths
from mien.run.doctor import diagnose
from mien.training import export
from mien.training.checkpoints import RunFolder
from mien.training.model import EmotionNet, fold

pytestmark = [pytest.mark.training, pytest.mark.timeout(300)]  # imports torch in new processes


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two epochs, the first of which is the better."""
    folder = tmp_path_factory.mktemp("published")
    nets = []
    for epoch in (0, 1):
        torch.manual_seed(epoch)
        nets.append(export.round_weights(fold(EmotionNet())))

    def write(epoch: int, accuracy: float, head: str, suffix: str) -> dict[str, object]:
        name, calibration = f"epoch-{epoch}{suffix}", export.Calibration(1.0, 0.3)
        model = export.to_onnx(nets[epoch], head, calibration, name=name, trained_on="noise")
        (folder / f"{epoch:03d}{suffix}.onnx").write_bytes(model)
        digest = hashlib.sha256(model).hexdigest()
        return {"epoch": epoch, "accuracy": accuracy, "model": f"{epoch:03d}{suffix}.onnx", "sha256": digest}

    labels = {"best": write(0, 0.7, "fer2013", ""), "latest": write(1, 0.6, "fer2013", "")}
    votes = {"latest": write(1, 0.85, "ferplus", "-ferplus")}
    votes["best"] = votes["latest"]
    (folder / "latest.json").write_text(json.dumps({"format": 1, **labels, "ferplus": votes}))
    return folder


@pytest.fixture
def copy(published: Path, tmp_path: Path) -> Path:
    """The run, to be spoiled."""
    return Path(shutil.copytree(published, tmp_path / "copy"))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def model_in_use(home: Path, head: model_store.Head = "fer2013") -> str:
    found = model_store.current(home, head)
    assert found is not None
    classifier = Classifier.load(found[0])
    assert classifier.model_id == found[1].model_id
    assert classifier.classify(np.zeros((2, 48, 48), np.uint8)).shape == (2, 7)
    return classifier.contract.name


def test_best_model_is_pulled_unless_the_latest_is_asked_for(published: Path, home: Path) -> None:
    assert model_store.current(home) is None
    installed = model_store.pull(str(published), home)
    assert (installed.epoch, installed.accuracy) == (0, 0.7)
    assert model_in_use(home) == "epoch-0"
    model_store.pull(f"{published}/latest.json", home, which="latest")
    assert model_in_use(home) == "epoch-1"


def test_rollback_brings_the_model_before_back_and_can_be_undone(published: Path, home: Path) -> None:
    with pytest.raises(InputError, match="no earlier model"):
        model_store.rollback(home)
    first = model_store.pull(str(published), home)
    newest = model_store.pull(str(published), home, which="latest")
    model_store.pull(str(published), home, which="latest")  # again: nothing to replace
    assert model_store.rollback(home) == first
    assert model_in_use(home) == "epoch-0"
    assert model_store.rollback(home) == newest
    assert len(list((home / "models").iterdir())) == 3


def test_rollback_of_the_first_model_brings_back_the_one_that_comes_with_mien(published: Path, home: Path) -> None:
    installed = model_store.pull(str(published), home)
    assert model_store.rollback(home) is None
    assert model_store.current(home) is None
    assert model_store.in_use(Settings(home=home)).model is None
    assert model_store.rollback(home) == installed
    assert model_in_use(home) == "epoch-0"


def test_each_head_has_a_model_and_a_rollback_of_its_own(published: Path, home: Path) -> None:
    model_store.pull(str(published), home)
    model_store.pull(str(published), home, head="ferplus")
    assert (model_in_use(home), model_in_use(home, "ferplus")) == ("epoch-0", "epoch-1-ferplus")
    model_store.pull(str(published), home, which="latest")
    model_store.rollback(home, "ferplus")
    assert model_store.current(home, "ferplus") is None
    assert model_in_use(home) == "epoch-1"
    model_store.rollback(home)
    model_store.rollback(home, "ferplus")
    assert (model_in_use(home), model_in_use(home, "ferplus")) == ("epoch-0", "epoch-1-ferplus")


def test_head_that_the_run_has_not(copy: Path, home: Path) -> None:
    run = json.loads((copy / "latest.json").read_text())
    del run["ferplus"]
    (copy / "latest.json").write_text(json.dumps(run))
    with pytest.raises(InputError, match=r"has no model of the FER\+ votes"):
        model_store.pull(str(copy), home, head="ferplus")
    assert model_store.pull(str(copy), home).epoch == 0


def test_all_that_reads_faces_takes_the_pulled_model(
    published: Path, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python, `mien analyze`, a watch and the doctor."""
    model_store.pull(str(published), home)
    votes = model_store.pull(str(published), home, head="ferplus").model_id
    monkeypatch.setenv("MIEN_HOME", str(home))
    assert mien.Analyzer().model_id.startswith("epoch-0@")
    assert mien.Analyzer("ferplus").model_id == LiveModel(load({"vision": {"model": "ferplus"}})).classifier.model_id
    assert mien.Analyzer("ferplus").model_id == votes
    Image.new("RGB", (64, 64)).save(tmp_path / "grey.png")
    for flags, expected in (({}, "epoch-0@"), ({"vision": {"model": "ferplus"}}, votes)):
        analyze_paths(load(flags), [tmp_path / "grey.png"], output=tmp_path / "out.jsonl")
        assert json.loads((tmp_path / "out.jsonl").read_text())["model"].startswith(expected)
    findings = {finding.name: finding.text for finding in diagnose(load())}
    assert any("epoch-0@" in text for text in findings.values())
    model_store.rollback(home)
    assert mien.Analyzer().model_id == Classifier.load().model_id


@pytest.mark.parametrize("spoil", ["damaged", "foreign", "gone", "pointer"])
def test_pulled_model_that_cannot_be_used_is_told_of_and_passed_over(
    published: Path, home: Path, spoil: str, caplog: pytest.LogCaptureFixture
) -> None:
    installed = model_store.pull(str(published), home)
    file, pointer = home / "models" / f"{installed.sha256}.onnx", home / "models" / "fer2013.json"
    if spoil == "damaged":
        file.write_bytes(file.read_bytes()[:-1])
    elif spoil == "gone":
        file.unlink()
    elif spoil == "pointer":
        pointer.write_text("{")
    else:  # whole, but of a contract that this version cannot read
        import onnx

        model = onnx.load(file)
        next(entry for entry in model.metadata_props if entry.key == "mien.contract").value = "9"
        digest = hashlib.sha256(model.SerializeToString()).hexdigest()
        (home / "models" / f"{digest}.onnx").write_bytes(model.SerializeToString())
        pointer.write_text(pointer.read_text().replace(installed.sha256, digest))
    analyzer = mien.Analyzer()  # the folder is not this one
    assert model_store.in_use(Settings(home=home)).model is None
    assert LiveModel(Settings(home=home)).classifier.model_id == analyzer.model_id == Classifier.load().model_id
    lines = {record.getMessage() for record in caplog.records}
    assert len(lines) == 1
    assert re.search(r"(pull it again|pull the model again).*; until then the model that comes with Mien", lines.pop())
    with pytest.raises(ModelError):
        model_store.current(home)
    if spoil != "pointer":
        model_store.pull(str(published), home)
        assert model_in_use(home) == "epoch-0"


def test_commands(published: Path, home: Path) -> None:
    def run(*arguments: str) -> tuple[int, str]:
        done = CliRunner().invoke(app, ["model", *arguments], env={"MIEN_HOME": str(home)}, catch_exceptions=False)
        return done.exit_code, done.output

    shipped = Classifier.load("ferplus").model_id
    assert f"{shipped}, comes with Mien" in run("show")[1]
    code, said = run("pull", str(published), "--head", "ferplus")
    assert code == 0
    assert "this machine's ferplus model is now epoch-1-ferplus@" in said
    assert "use it with vision.model" in said
    assert "epoch 1 of" in run("show")[1]
    assert "comes with Mien again" in run("rollback", "--head", "ferplus")[1]
    assert f"{shipped}, comes with Mien" in run("show")[1]


def test_damaged_model_is_refused_and_the_old_one_stays(copy: Path, home: Path) -> None:
    model_store.pull(str(copy), home)
    (copy / "001.onnx").write_bytes((copy / "001.onnx").read_bytes()[:-100])
    with pytest.raises(ModelError, match=r"sha256.*stays"):
        model_store.pull(str(copy), home, which="latest")
    assert model_in_use(home) == "epoch-0"


def test_model_without_contract_is_refused_and_the_old_one_stays(copy: Path, home: Path) -> None:
    import onnx

    model_store.pull(str(copy), home)
    model = onnx.load(copy / "001.onnx")
    del model.metadata_props[:]
    content = model.SerializeToString()
    (copy / "001.onnx").write_bytes(content)
    run = json.loads((copy / "latest.json").read_text())
    run["latest"]["sha256"] = hashlib.sha256(content).hexdigest()
    (copy / "latest.json").write_text(json.dumps(run))
    with pytest.raises(ModelError, match=r"001\.onnx.* no contract .* stays as it was"):
        model_store.pull(str(copy), home, which="latest")
    assert model_in_use(home) == "epoch-0"
    assert sorted(file.suffix for file in (home / "models").iterdir()) == [".json", ".onnx"]


@pytest.mark.parametrize("name", ["../000.onnx", "/etc/passwd", ".onnx", "a/b.onnx"])
def test_run_that_names_a_file_elsewhere_is_refused(copy: Path, home: Path, name: str) -> None:
    run = json.loads((copy / "latest.json").read_text())
    run["best"]["model"] = name
    (copy / "latest.json").write_text(json.dumps(run))
    with pytest.raises(InputError, match=r"not what `mien train` writes.*best\.model"):
        model_store.pull(str(copy), home)


def test_installed_model_that_was_damaged_since_is_named(published: Path, home: Path) -> None:
    installed = model_store.pull(str(published), home)
    (home / "models" / f"{installed.sha256}.onnx").write_bytes(b"")
    with pytest.raises(ModelError, match="is damaged: pull it again"):
        model_store.current(home)
    assert model_store.pull(str(published), home) == installed
    assert model_in_use(home) == "epoch-0"


def test_nothing_there(tmp_path: Path, home: Path, free_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match=r"there is no '.*/latest\.json'"):
        model_store.pull(str(tmp_path), home)
    with pytest.raises(MienError, match="cannot read 'http://127"):
        model_store.pull(f"http://127.0.0.1:{free_port}/run", home)
    with pytest.raises(InputError, match="cannot read 'nosuch://run"):
        model_store.pull("nosuch://run", home)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"there is no '\./latest\.json'"):
        model_store.pull("latest.json", home)
    for nothing in ("", " ", "/", "http://"):
        with pytest.raises(InputError, match="no run at"):
            model_store.pull(nothing, home)
    with pytest.raises(InputError, match="it names no host"):
        model_store.pull("http:///run", home)
    with pytest.raises(InputError, match=r"no 'FILE:///nowhere/latest\.json'"):
        model_store.pull("FILE:///nowhere", home)
    with pytest.raises(InputError, match=r"cannot read 'nosuch://\*\*\*@run"):
        model_store.pull("nosuch://joe:s3cret@run", home)
    with pytest.raises(InputError, match=r"cannot read 'http://\[bad/latest.json'"):
        model_store.pull("http://[bad", home)
    with pytest.raises(MienError, match=r"cannot read 'http://127.*/läufe/latest\.json'"):
        model_store.pull(f"http://127.0.0.1:{free_port}/läufe", home)
    with pytest.raises(MienError, match=r"cannot read 'http://\*\*\*@127") as caught:
        model_store.pull(f"http://joe:s3cret@127.0.0.1:{free_port}/run", home)
    assert "s3cret" not in str(caught.value)


@contextlib.contextmanager
def web(folder: Path) -> Iterator[str]:
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None: ...

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_over_http(published: Path, home: Path) -> None:
    with web(published.parent) as address:
        assert model_store.pull(f"{address}/{published.name}/", home).epoch == 0
        with pytest.raises(InputError, match="there is no"):
            model_store.pull(f"{address}/elsewhere", home)
    assert model_in_use(home) == "epoch-0"


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """A real S3 HTTP server with one bucket, and the environment that leads to it."""
    with s3_server("runs") as address:
        yield address


def test_from_s3_without_torch(s3: str, published: Path, home: Path) -> None:
    folder = RunFolder(f"{s3}/first")
    for file in published.iterdir():
        folder.write(file.name, file.read_bytes())
    assert folder.read("latest.json") == (published / "latest.json").read_bytes()
    assert folder.read("nothing.json") is None

    code = f"""
import sys
from pathlib import Path
from mien.models import store as model_store
print(model_store.pull("{s3}/first", Path("{home}")).epoch)
assert "torch" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=os.environ)
    assert (done.stdout, done.returncode) == ("0\n", 0), done.stderr
    assert model_in_use(home) == "epoch-0"
    with pytest.raises(InputError, match="there is no 's3://runs/nothing"):
        model_store.pull(f"{s3}/nothing", home)


def test_training_writes_to_s3_and_resumes_there(s3: str, dataset: Path, home: Path, tmp_path: Path) -> None:
    from mien.training.config import TrainConfig
    from mien.training.train import train

    config = TrainConfig(str(dataset), f"{s3}/trained", "tiny", epochs=1, batch_size=35, ema_decay=0.5)
    assert train(config, accelerator="cpu") == f"{s3}/trained/000.ckpt"
    with pytest.raises(InputError, match="already holds a run"):
        train(config, accelerator="cpu")
    assert train(config, resume=True, accelerator="cpu") == f"{s3}/trained/000.ckpt"
    assert model_store.pull(f"{s3}/trained", home).origin == f"{s3}/trained/000.onnx"
    assert model_in_use(home) == "tiny"
    assert RunFolder(f"{s3}/trained").read("curves.png") is not None


def test_training_to_s3_without_credentials(
    s3: str, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mien.training.config import TrainConfig
    from mien.training.train import train

    s3fs = pytest.importorskip("s3fs")
    s3fs.S3FileSystem.clear_instance_cache()  # which keeps the credentials of the tests before
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    with pytest.raises(MienError, match=r"'runs/first'.*address.*credentials"):
        train(TrainConfig(str(dataset), f"{s3}/first"), accelerator="cpu")
    s3fs.S3FileSystem.clear_instance_cache()


def test_s3_without_its_package(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    registry = pytest.importorskip("fsspec.registry")
    monkeypatch.delitem(registry._registry, "s3", raising=False)  # where fsspec keeps what it has imported
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'mien\[s3\]'"):
        model_store.pull("s3://bucket/run", home)
    with pytest.raises(MissingExtraError, match=r"pip install 'mien\[s3\]'"):
        RunFolder("s3://bucket/run")
