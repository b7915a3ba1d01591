"""A gate for hidden faces: what it touches, how far, and what stays to the last bit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

pytest.importorskip("torch")

from mien.errors import InputError
from mien.models.classifier import Classifier
from mien.training import data, hidden
from mien.training.hidden import ALLOWED, MOST, TAUGHT, Gate, fit, gated, pooled, without_gate
from mien.training.pose.trunk import Trunk

pytestmark = pytest.mark.training


@pytest.fixture(scope="module")
def trunk() -> Trunk:
    return Trunk("fer2013")


@pytest.fixture(scope="module")
def pixels(dataset: Path) -> np.ndarray:
    return data.load(dataset, ("PublicTest",)).pixels[:8]


def test_a_gate_tells_two_kinds_apart_and_touches_few_of_the_others() -> None:
    random = np.random.default_rng(0)
    features = random.normal(size=(6000, 20)).astype(np.float32)
    features[:2000, :3] += 3
    gate = fit(features[:1000], features[2000:4000], [features[4000:5000], features[5000:]])
    assert (gate.shares(features[1000:2000]) > 0).mean() > 0.9
    for others in (features[4000:5000], features[5000:]):
        assert (gate.shares(others) > 0).mean() <= ALLOWED
    assert gate.shares(features).max() <= MOST
    assert np.array_equal(gate.weights.astype(np.float16).astype(np.float32), gate.weights), "as it is stored"


def test_a_closed_gate_changes_no_bit_and_an_open_one_names_nothing(
    trunk: Trunk, pixels: np.ndarray, tmp_path: Path
) -> None:
    before = Classifier.load("fer2013")
    bare = without_gate(onnx.load(before.file))
    (tmp_path / "bare.onnx").write_bytes(bare.SerializeToString())
    plain = Classifier.load(tmp_path / "bare.onnx").classify(pixels)
    closed = Gate(np.zeros(pooled(trunk, pixels).shape[1], np.float32), -1.0, 0.0)
    path = gated(before.file, trunk, closed, pixels, tmp_path / "closed.onnx")
    assert np.array_equal(Classifier.load(path).classify(pixels), plain)
    opened = Classifier.load(gated(path, trunk, replace(closed, bias=1.0), pixels, tmp_path / "open.onnx"))
    even = opened.classify(pixels)
    assert even == pytest.approx(plain * (1 - MOST) + MOST / 7, abs=1e-5)
    assert (even.max(1) < opened.threshold).all()
    assert (even.argmax(1) == plain.argmax(1)).all()
    assert opened.contract.trained_on.count(TAUGHT) == 1
    assert opened.sees_geometry
    assert onnx.load(opened.file).graph.node[0] == bare.graph.node[0]
    assert without_gate(onnx.load(opened.file)).graph == bare.graph, "a gate that a model has already is replaced"


def test_cut_faces_that_hide_none_are_refused(dataset: Path, tmp_path: Path) -> None:
    count = len(data.load(dataset, ("Training",)))
    np.save(tmp_path / "none.npy", np.zeros((count, 1, 48, 48), np.uint8))
    paths = tmp_path / "none.npy", tmp_path / "none.npy"
    with pytest.raises(InputError, match="hides too few"):
        hidden.teach(["fer2013"], dataset, *paths, tmp_path / "out")
