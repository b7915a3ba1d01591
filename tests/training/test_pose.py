"""The third head: its labels, what augmentation does to them, how it is taught and written into a model's file."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("pyarrow")
import numpy as np
import onnx
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from mien.errors import InputError, ModelError
from mien.models.classifier import Classifier
from mien.training import data
from mien.training.augmentation import augment_and_tell
from mien.training.config import TrainConfig
from mien.training.pose import bars, labels
from mien.training.pose.fit import answers, fit
from mien.training.pose.graft import TAUGHT, carry, geometry, graft, without_head
from mien.training.pose.head import MIRRORED, UNITS, GeometryHead, loss
from mien.training.pose.trunk import Trunk, tap_of

pytestmark = [pytest.mark.training, pytest.mark.timeout(300)]

COLUMNS = ("yaw", "pitch", "roll", "eye_right", "eye_left", "mouth_open")


def write_mesh(path: Path, count: int, **over: np.ndarray) -> Path:
    random = np.random.default_rng(0)
    columns = {name: random.normal(0, 10, count) for name in ("yaw", "pitch", "roll")}
    columns |= {name: random.uniform(0.1, 0.4, count) for name in ("eye_right", "eye_left", "mouth_open")}
    columns |= {f"{name}_apart": np.full(count, 0.01) for name in COLUMNS}
    columns |= {"score": np.ones(count)} | over
    pq.write_table(pa.table(columns), path)
    return path


@pytest.fixture(scope="module")
def faces(voted: Path) -> data.Faces:
    return data.load(voted)


@pytest.fixture(scope="module")
def trunk() -> Trunk:
    return Trunk("fer2013")


def test_labels_are_degrees_and_shares_and_count_by_how_sure_the_mesh_was(tmp_path: Path) -> None:
    eyes = np.array([0.05, 0.12, 0.26, 0.40, 0.9])
    path = write_mesh(
        tmp_path / "mesh.parquet",
        5,
        yaw=np.array([-20.0, 0, 5, 10, 20]),
        eye_right=eyes,
        eye_left=eyes,
        mouth_open=np.array([0, 0.15, 0.3, 0.6, 0.9]),
        roll_apart=np.array([0, 0, 0, 2.9, 50]),
        score=np.array([1.0, 1, 0, 1, 1]),
    )
    known = labels.load(path, 5)
    assert known.values[:, 0].tolist() == [-20, 0, 5, 10, 20]
    assert known.values[:, 3] == pytest.approx([0, 0, 0.5, 1, 1])
    assert known.values[:, 4] == pytest.approx([0, 0.25, 0.5, 1, 1])
    assert known.weights[:, 2] == pytest.approx([1, 1, labels.LEAST, (1 + labels.LEAST) / 2, labels.LEAST], abs=0.01)
    assert len(known.take(known.scores > 0.5)) == 4


def test_labels_that_do_not_fit_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no mesh labels at"):
        labels.load(tmp_path / "none.parquet", 3)
    path = write_mesh(tmp_path / "mesh.parquet", 3)
    with pytest.raises(InputError, match="has 3 rows, the data set 4 faces"):
        labels.load(path, 4)
    with pytest.raises(InputError, match="row 1: expected a number as yaw, found nan"):
        labels.load(write_mesh(tmp_path / "mesh.parquet", 3, yaw=np.array([1.0, np.nan, 2])), 3)
    pq.write_table(pa.table({"yaw": [1.0]}), path)
    with pytest.raises(InputError, match="has no column eye_right"):
        labels.load(path, 1)
    path.write_bytes(b"PAR1")
    with pytest.raises(InputError, match="cannot be read as Parquet"):
        labels.load(path, 1)


def test_a_clockwise_turn_brings_down_what_was_on_the_right() -> None:
    face = np.zeros((48, 48), np.uint8)
    face[23:25, 40:44] = 255
    low = bars.turned(face, 30)
    rows, columns = np.nonzero(low > 100)
    assert rows.mean() > 30
    assert columns.mean() > 36


def test_augmentation_tells_how_it_turned_and_mirrored_a_face() -> None:
    random = np.random.default_rng(0)
    face = np.kron(random.integers(40, 200, (6, 6)), np.ones((8, 8))).astype(np.uint8)
    config = TrainConfig("d", "o", rotate=30, zoom=0, shift=0, erase=0)
    pixels = torch.from_numpy(face).float().expand(40, 1, 48, 48)
    changed, turned, flipped = augment_and_tell(pixels, 48, config, torch.Generator().manual_seed(1))
    assert turned.abs().max() > 20
    assert set(flipped.tolist()) == {-1.0, 1.0}
    inside = slice(10, 38)
    for number in range(len(changed)):
        expected = bars.turned(face, -float(turned[number]))[:, :: int(flipped[number])]
        given = changed[number, 0].numpy()
        assert np.corrcoef(given[inside, inside].ravel(), expected[inside, inside].ravel())[0, 1] > 0.97


def test_the_area_under_the_curve_is_what_pairs_say() -> None:
    values = np.array([1.0, 2, 2, 3])
    high, low = np.array([False, True, False, True]), np.array([True, False, True, False])
    assert bars.area(values, high, low) == pytest.approx((1 + 0.5 + 1 + 1) / 4)


def test_the_loss_is_least_where_the_expected_error_is_the_error() -> None:
    values, weights = torch.zeros(1, 5), torch.ones(1, 5)

    def of(expected: float) -> float:
        units = torch.tensor(UNITS)
        return float(loss(torch.cat([0.5 * units, expected * units])[None], values, weights))

    assert of(0.5) < min(of(0.4), of(0.6))


def test_the_mean_of_both_looks_is_opposite_for_the_mirror_image(trunk: Trunk, faces: data.Faces) -> None:
    torch.manual_seed(0)
    head = GeometryHead(trunk.shape, mirror=trunk.mirror).eval()
    with torch.no_grad():
        head.linear2.weight.mul_(5)
    straight = answers(trunk, head, faces.pixels[:8])
    mirrored = answers(trunk, head, np.ascontiguousarray(faces.pixels[:8, :, ::-1]))
    centred = straight[:, :3] * np.array(MIRRORED[:3])
    assert mirrored[:, :3] == pytest.approx(centred, abs=1e-3)
    assert mirrored[:, 3:] == pytest.approx(straight[:, 3:], abs=1e-4)


def test_a_run_that_was_interrupted_ends_with_the_same_head(trunk: Trunk, faces: data.Faces, tmp_path: Path) -> None:
    known = labels.load(write_mesh(tmp_path / "mesh.parquet", len(faces)), len(faces))
    pixels, known, keep = faces.pixels[:40], known.take(np.arange(40)), tmp_path / "head.state"
    whole = fit(trunk, pixels, known, epochs=5, seed=3)

    class StoppedError(Exception):
        pass

    looks = trunk.features
    seen = 0

    def features(given: torch.Tensor) -> torch.Tensor:
        nonlocal seen
        seen += 1
        if seen > 1:
            raise StoppedError
        return looks(given)

    trunk.features = features  # type: ignore[method-assign]
    with pytest.raises(StoppedError):
        fit(trunk, pixels, known, epochs=5, seed=3, keep=keep)
    trunk.features = looks  # type: ignore[method-assign]
    resumed = fit(trunk, pixels, known, epochs=5, seed=3, keep=keep)
    for name, value in whole.state_dict().items():
        assert torch.allclose(value, resumed.state_dict()[name], atol=1e-6), name


def test_models_that_come_with_mien_get_a_head_and_name_the_same_emotions(
    voted: Path, faces: data.Faces, tmp_path: Path
) -> None:
    mesh = write_mesh(tmp_path / "mesh.parquet", len(faces))
    command = [sys.executable, "-m", "mien.training.pose", "--data", str(voted), "--mesh", str(mesh)]
    command += ["--out", str(tmp_path / "models"), "--epochs", "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "roll: median distance from the mesh, degrees" in done.stdout
    for name in ("fer2013", "ferplus"):
        before, after = Classifier.load(name), Classifier.load(tmp_path / "models" / f"{name}.onnx")
        assert np.array_equal(before.classify(faces.pixels[:40]), after.classify(faces.pixels[:40]))
        assert after.sees_geometry
        assert after.contract.trained_on.endswith(TAUGHT)
        assert after.contract.name == before.contract.name
        _, geometry = after.read(faces.pixels[:40])
        assert geometry is not None
        assert geometry.pose.shape == (40, 3)
        assert geometry.openness.shape == (40, 2)
    twice = graft(
        Trunk(tmp_path / "models" / "fer2013.onnx"),
        GeometryHead(Trunk("fer2013").shape, mirror=True),
        faces.pixels[:4],
        tmp_path / "twice.onnx",
    )
    grown = abs(twice.stat().st_size - (tmp_path / "models" / "fer2013.onnx").stat().st_size)
    assert grown < 1000, "a head that a model has already is replaced"


def test_a_head_is_carried_to_a_model_that_sees_alike_and_to_no_other(faces: data.Faces, tmp_path: Path) -> None:
    shipped, pixels = Classifier.load("fer2013"), faces.pixels[:16]
    bare = without_head(onnx.load(shipped.file))
    (tmp_path / "bare.onnx").write_bytes(bare.SerializeToString())
    after = carry(tmp_path / "bare.onnx", "fer2013", pixels, tmp_path / "carried.onnx")
    assert np.allclose(geometry(after, pixels), geometry(shipped.file, pixels), atol=1e-4)
    assert Classifier.load(after).contract == shipped.contract
    with pytest.raises(ModelError, match="no third head"):
        carry("fer2013", tmp_path / "bare.onnx", pixels, tmp_path / "none.onnx")
    for tensor in bare.graph.initializer:
        if tensor.data_type == onnx.TensorProto.INT8:  # other lower layers
            tensor.CopyFrom(onnx.numpy_helper.from_array(-onnx.numpy_helper.to_array(tensor), tensor.name))
    (tmp_path / "other.onnx").write_bytes(bare.SerializeToString())
    with pytest.raises(ModelError, match="not written"):
        carry(tmp_path / "other.onnx", "fer2013", pixels, tmp_path / "none.onnx")
    assert not (tmp_path / "none.onnx").exists()


def test_a_model_of_another_make_is_refused(tmp_path: Path) -> None:
    empty = onnx.helper.make_model(onnx.helper.make_graph([], "empty", [], []))
    with pytest.raises(ModelError, match="not laid out as Mien's networks are"):
        tap_of(empty)
