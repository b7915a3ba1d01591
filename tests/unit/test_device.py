"""On what the emotion model is computed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from mien.config import load
from mien.errors import ConfigError, ModelError
from mien.models.classifier import Classifier
from mien.models.device import DEVICES

HERE = [name for name, provider in DEVICES.items() if provider in onnxruntime.get_available_providers()]


def test_auto_takes_the_best_that_is_there_and_says_why_nothing_better(tiny_model: Path) -> None:
    classifier = Classifier.load(tiny_model, device="auto")
    expected = Classifier.load(tiny_model, device="cpu").classify(np.full((2, 48, 48), 90, np.uint8))
    assert classifier.classify(np.full((2, 48, 48), 90, np.uint8)) == pytest.approx(expected, abs=1e-2)
    used = classifier.runs_on.split()[2]
    assert used in HERE
    for name in list(DEVICES)[: list(DEVICES).index(used)]:
        assert name in classifier.runs_on
    assert "\n" not in classifier.runs_on


def test_cpu_is_always_there(tiny_model: Path) -> None:
    assert Classifier.load(tiny_model, device="cpu").runs_on == "runs on cpu"


@pytest.mark.parametrize("device", [name for name in DEVICES if name not in HERE])
def test_a_device_that_is_not_there_is_refused_in_one_line(tiny_model: Path, device: str) -> None:
    with pytest.raises(
        ModelError, match=rf"cannot compute on '{device}'.*it comes with .*usable here: .*cpu"
    ) as caught:
        Classifier.load(tiny_model, device=device)
    assert "\n" not in str(caught.value)


def test_a_device_whose_libraries_are_missing_is_left_or_refused(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An onnxruntime that was built for CUDA, on a machine without: it falls back by itself, and Mien notices."""
    built = [DEVICES["cuda"], *onnxruntime.get_available_providers()]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: built)
    with pytest.warns(UserWarning, match="CUDAExecutionProvider"):
        classifier = Classifier.load(tiny_model, device="auto")
    assert "missing: cuda" in classifier.runs_on
    with (
        pytest.warns(UserWarning, match="CUDAExecutionProvider"),
        pytest.raises(ModelError, match=r"'cuda'.*usable"),
    ):
        Classifier.load(tiny_model, device="cuda")


def test_another_word_is_no_device() -> None:
    with pytest.raises(ConfigError, match=r"vision\.device"):
        load({"vision": {"device": "gpu"}})
