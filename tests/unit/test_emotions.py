"""The model's contract and the classifier."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from making import CONTRACT, with_third_head, write_model

from mien.errors import InputError, ModelError
from mien.models.classifier import SHIPPED, Classifier, Contract
from mien.observation import EMOTIONS


def test_a_contract_survives_its_metadata() -> None:
    contract = Contract("mien-9", 64, 1.375, 0.4321, "FER-2013", "Apache-2.0", looks="the face as it is")
    metadata = contract.to_metadata()
    assert metadata["mien.contract"] == "1"
    assert metadata["mien.labels"] == "angry,disgust,fear,happy,sad,surprise,neutral"
    assert all(key.startswith("mien.") for key in metadata)
    assert Contract.from_metadata({"framework": "other", **metadata}) == contract
    del metadata["mien.looks"]  # models of earlier versions do not say it
    assert Contract.from_metadata(metadata).looks == ""


def test_thresholds_of_plausible_emotions_survive_a_contract() -> None:
    table = ((0.8, (0.5,) * 7), (0.95, (0.0, 0.01, 0.02, 0.03, 0.04, 0.05, 1.0)))
    metadata = dataclasses.replace(CONTRACT, plausible=table).to_metadata()
    assert Contract.from_metadata(metadata).plausible == table
    del metadata["mien.plausible"]
    assert Contract.from_metadata(metadata).plausible == ()


def test_plausible_emotions_are_those_over_their_own_threshold(tmp_path: Path) -> None:
    contract = dataclasses.replace(CONTRACT, plausible=((0.9, (0.1, 0.05, 0.3, 0.9, 0.9, 0.9, 0.9)),))
    path = write_model(tmp_path / "sets.onnx", np.zeros((2304, 7)), np.zeros(7), contract.to_metadata())
    model = Classifier.load(path)
    shares = np.array([[0.1, 0.04, 0.26, 0.3, 0.1, 0.1, 0.1], [0, 0, 0, 0.95, 0.05, 0, 0]], np.float32)
    sets = [[EMOTIONS[n] for n in np.flatnonzero(row)] for row in model.plausible(shares, 0.9)]
    assert sets == [["angry", "happy"], ["happy"]], "the likeliest is always among them"
    assert model.plausible(shares[:0], 0.9).shape == (0, 7)
    for unknown in (0.8, 0.95):
        with pytest.raises(InputError, match=f"at {unknown}.*expected one of 0.9"):
            model.plausible(shares, unknown)


def test_the_models_that_come_with_mien_know_three_levels() -> None:
    for name in SHIPPED:
        assert [level for level, _ in Classifier.load(name).contract.plausible] == [0.8, 0.9, 0.95]


@pytest.mark.parametrize(
    ("key", "text", "said"),
    [
        ("contract", None, "carries no contract"),
        ("contract", "2", "version '2'"),
        ("temperature", None, "lacks mien.temperature"),
        ("temperature", "warm", "'warm', expected a number"),
        ("temperature", "nan", "expected a number"),
        ("abstain_below", "1.5", "expected a number from 0 to 1"),
        ("input_size", "0", "expected a number from 8"),
        ("labels", "happy,sad", "its labels are happy,sad"),
        ("input_range", "0-1", "input range"),
        ("name", "", "its name"),
        ("plausible", "0.9:0.1,0.2", "its mien.plausible is"),
        ("plausible", "0.9:0,0,0,0,0,0,nan", "its mien.plausible is"),
        ("plausible", "0.9:0,0,0,0,0,0,1.5", "its mien.plausible is"),
        ("plausible", "9:0,0,0,0,0,0,0", "its mien.plausible is"),
        ("plausible", "often", "its mien.plausible is"),
    ],
)
def test_a_contract_that_cannot_be_kept_is_refused(key: str, text: str | None, said: str) -> None:
    metadata = CONTRACT.to_metadata()
    metadata.pop(f"mien.{key}")
    if text is not None:
        metadata[f"mien.{key}"] = text
    with pytest.raises(ModelError, match=said) as caught:
        Contract.from_metadata(metadata)
    assert "\n" not in str(caught.value)


def test_a_model_without_contract_or_with_another_graph_is_refused(tmp_path: Path) -> None:
    weights, bias = np.zeros((2304, 7)), np.zeros(7)
    bare = write_model(tmp_path / "bare.onnx", weights, bias, {})
    other = write_model(tmp_path / "other.onnx", weights, bias, pixels="input_1")
    text = tmp_path / "text.onnx"
    text.write_text("no model")
    for path, said in (
        (bare, "no contract"),
        (other, "takes input_1"),
        (text, "no ONNX model"),
        (tmp_path / "missing.onnx", "cannot read model"),
        (tmp_path, "cannot read model"),
    ):
        with pytest.raises(ModelError, match=said) as caught:
            Classifier.load(path)
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)


def test_a_model_that_gives_no_probabilities_is_refused(tmp_path: Path) -> None:
    scores = Classifier.load(write_model(tmp_path / "scores.onnx", np.zeros((2304, 7)), np.ones(7), last="Identity"))
    with pytest.raises(ModelError, match="no probabilities"):
        scores.classify(np.zeros((1, 48, 48), np.uint8))
    eight = Classifier.load(write_model(tmp_path / "eight.onnx", np.zeros((2304, 8)), np.zeros(8)))
    with pytest.raises(ModelError, match=r"gives shape \(2, 8\)"):
        eight.classify(np.zeros((2, 48, 48), np.uint8))


def test_third_head_says_where_a_face_looks_and_nothing_where_it_is_unsure(tmp_path: Path) -> None:
    values, sure = [20.0, 9.0, -5.0, 0.6, 0.1], [1.0, 1.0, 1.0, 0.02, 0.02]
    crops = np.zeros((3, 48, 48), np.uint8)
    classifier = Classifier.load(with_third_head(tmp_path / "sure.onnx", values + sure))
    assert classifier.sees_geometry
    probabilities, geometry = classifier.read(crops)
    assert probabilities.shape == (3, 7)
    assert geometry is not None
    assert geometry.pose.tolist() == [[20, 9, -5]] * 3
    assert geometry.openness == pytest.approx(np.tile([0.6, 0.1], (3, 1)))
    assert np.array_equal(classifier.classify(crops), probabilities)
    for column in range(5):
        errors = list(sure)
        errors[column] = 90.0
        _, geometry = Classifier.load(with_third_head(tmp_path / "unsure.onnx", values + errors)).read(crops)
        assert geometry is not None
        assert np.isnan(geometry.pose).all() == (column < 3)
        assert np.isnan(geometry.openness).all(0).tolist() == [column == 3, column == 4]
    _, geometry = Classifier.load(with_third_head(tmp_path / "nan.onnx", [np.nan] * 10)).read(crops)
    assert geometry is not None
    assert np.isnan(geometry.pose).all()
    _, none = classifier.read(crops[:0])
    assert none is not None
    assert none.pose.shape == (0, 3)
    with pytest.raises(ModelError, match=r"\(3, 4\).*\(3, 10\)"):
        Classifier.load(with_third_head(tmp_path / "four.onnx", [0.0] * 4)).read(crops)


def test_model_without_a_third_head_says_nothing_of_where_faces_look(tiny_model: Path) -> None:
    classifier = Classifier.load(tiny_model)
    assert not classifier.sees_geometry
    assert classifier.read(np.zeros((2, 48, 48), np.uint8))[1] is None


def test_probabilities_come_in_the_shape_promised(tiny_model: Path) -> None:
    classifier = Classifier.load(tiny_model)
    crops = np.random.default_rng(5).integers(0, 256, (70, 48, 48), np.uint8)
    probabilities = classifier.classify(crops)
    assert (probabilities.shape, probabilities.dtype) == ((70, 7), np.float32)
    assert probabilities.sum(1) == pytest.approx(np.ones(70), abs=1e-5)
    assert probabilities.std(0).min() > 0
    one_by_one = np.vstack([classifier.classify(face[None]) for face in crops])
    assert probabilities == pytest.approx(one_by_one, abs=1e-5)
    assert classifier.classify(crops[:0]).shape == (0, 7)


def test_crops_of_another_size_are_scaled(tiny_model: Path) -> None:
    classifier = Classifier.load(tiny_model)
    small = np.kron(np.arange(36, dtype=np.uint8).reshape(6, 6) * 7, np.ones((8, 8), np.uint8))[None]
    large = np.kron(small[0], np.ones((3, 3), np.uint8))[None]
    assert classifier.classify(large) == pytest.approx(classifier.classify(small), abs=1e-3)


@pytest.mark.parametrize(
    "crops",
    [
        np.zeros((48, 48), np.uint8),
        np.zeros((1, 48, 48), np.float32),
        np.zeros((1, 0, 4), np.uint8),
        np.zeros((48, 48, 3), np.uint8),
        None,
        [[1]],
    ],
)
def test_crops_of_another_kind_are_refused(tiny_model: Path, crops: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"of shape \(n, h, w\)"):
        Classifier.load(tiny_model).classify(crops)


def test_crops_may_come_as_a_list(tiny_model: Path) -> None:
    classifier = Classifier.load(tiny_model)
    faces = np.random.default_rng(6).integers(0, 256, (3, 48, 48), np.uint8)
    assert np.array_equal(classifier.classify(list(faces)), classifier.classify(faces))  # type: ignore[arg-type]


def test_a_device_or_path_that_cannot_be(tiny_model: Path) -> None:
    with pytest.raises(ModelError, match=r"'abacus'.*auto, tensorrt"):
        Classifier.load(tiny_model, device="abacus")
    with pytest.raises(ModelError, match="cannot read model 'a\0b': embedded null"):
        Classifier.load("a\0b")


def test_the_id_is_the_name_and_the_files_digest(tiny_model: Path, always: Callable[[str, float], Classifier]) -> None:
    digest = hashlib.sha256(tiny_model.read_bytes()).hexdigest()
    classifier = Classifier.load(str(tiny_model))
    assert classifier.model_id == f"tiny@{digest[:8]}"
    assert classifier.threshold == 0.4
    probabilities = always("sad", 0.7).classify(np.zeros((1, 48, 48), np.uint8))
    assert probabilities[0, EMOTIONS.index("sad")] == pytest.approx(0.7, abs=1e-5)


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_model_can_be_loaded_by_name(name: str) -> None:
    try:
        classifier = Classifier.load(name)
    except ModelError as error:
        assert "does not come with this version" in str(error)  # noqa: PT017
        pytest.skip(str(error))
    assert classifier.classify(np.zeros((1, 48, 48), np.uint8)).shape == (1, 7)
