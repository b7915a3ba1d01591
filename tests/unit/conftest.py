"""What several files of unit tests share."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from making import grey_levels, write_model, write_video

from mien.models.classifier import Classifier
from mien.observation import EMOTIONS
from mien.vision.detector import Detector


@pytest.fixture
def nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No setting of the machine's own: neither a variable nor a `mien.toml` in the working directory."""
    for name in list(os.environ):
        if name.startswith("MIEN_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model file with random weights, the same each time."""
    weights = np.random.default_rng(1).normal(0, 2e-4, (48 * 48, len(EMOTIONS)))
    return write_model(tmp_path_factory.mktemp("models") / "tiny.onnx", weights, np.zeros(len(EMOTIONS)))


@pytest.fixture
def tiny_by_default(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let the API, which takes the shipped model, take the tiny one, so that the tests pass with any weights."""
    from mien.models import classifier as emotions
    from mien.vision import pipeline

    monkeypatch.setattr(emotions, "_file", lambda path: Path(path) if path else tiny_model)
    pipeline.shared_models.cache_clear()
    yield
    pipeline.shared_models.cache_clear()  # what comes after reads with the model that ships


@pytest.fixture(scope="session")
def always(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, float], Classifier]:
    """Makes a model that gives one emotion the same probability whatever it sees, and the others the rest."""

    def make(emotion: str, probability: float) -> Classifier:
        shares = np.full(len(EMOTIONS), (1 - probability) / (len(EMOTIONS) - 1))
        shares[EMOTIONS.index(emotion)] = probability
        path = tmp_path_factory.mktemp("always") / "model.onnx"
        return Classifier.load(write_model(path, np.zeros((48 * 48, len(EMOTIONS))), np.log(shares)))

    return make


@pytest.fixture(scope="session")
def detector() -> Detector:
    return Detector()


@pytest.fixture
def video(tmp_path: Path) -> Path:
    """Forty frames of 64x48, 25 a second."""
    return write_video(tmp_path / "forty.mp4", grey_levels(40), range(0, 40 * 40, 40))
