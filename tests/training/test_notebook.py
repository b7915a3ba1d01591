"""The notebook runs from its first cell to its last."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

for package in ("torch", "nbclient", "ipykernel", "matplotlib"):
    pytest.importorskip(package)

pytestmark = [pytest.mark.training, pytest.mark.timeout(600)]  # imports torch in new processes

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "train_fer2013.ipynb"
EXECUTE = """
import sys
import nbformat
from nbclient import NotebookClient
notebook = nbformat.read(sys.argv[1], 4)
NotebookClient(notebook, timeout=500, kernel_name="python3").execute()
print("\\n".join(o.get("text", "") for cell in notebook.cells for o in cell.get("outputs", [])))
"""


def test_notebook_ends_with_a_model_that_answers(dataset: Path, tmp_path: Path) -> None:
    environment = os.environ | {"FER2013": str(dataset), "RUN": str(tmp_path / "run"), "EPOCHS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", EXECUTE, str(NOTEBOOK)], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "0 PublicTest pictures also stand in Training" in done.stdout
    assert "epoch 1 of 1: loss" in done.stdout
    assert "fer2013.onnx 3.2 MB" in done.stdout
    assert "on PublicTest, 35 faces" in done.stdout
    assert (tmp_path / "run" / "report" / "evaluation.html").exists()
