"""The notebook of the first look runs from its first cell to its last, and the documentation shows that one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from doc_blocks import ROOT, blocks

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")
pytest.importorskip("ipykernel")

pytestmark = pytest.mark.timeout(300)

NOTEBOOK = ROOT / "notebooks" / "first_look.ipynb"
PAGE = ROOT / "docs" / "how-to" / "notebook.md"


def test_every_cell_runs_and_shows_what_the_text_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIEN_HOME", str(tmp_path))
    notebook = nbformat.read(NOTEBOOK, 4)
    assert not any(cell.get("outputs") for cell in notebook.cells), "outputs are shown by the page, not kept here"
    nbclient.NotebookClient(notebook, timeout=200, kernel_name="python3").execute()
    shown = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert not [output for output in shown if output.get("name") == "stderr"], "nothing is complained of"
    pages = [output["data"].get("text/html", "") for output in shown if "data" in output]
    assert any("data:image/jpeg;base64," in page for page in pages), "the annotated picture"
    assert any("<svg" in page for page in pages), "the emotion curve"
    assert any("<table" in page for page in pages), "the table"
    assert any("application/vnd.plotly.v1+json" in output.get("data", {}) for output in shown), "the chart"
    text = "".join(output.get("text", "") for output in shown)
    assert re.search(r"happiest at 0:\d\d", text)
    assert "out of 100" in text


def test_the_page_is_the_notebook() -> None:
    cells = [cell.source for cell in nbformat.read(NOTEBOOK, 4).cells]
    page = PAGE.read_text(encoding="utf-8")
    shown = [block.text.strip() for block in blocks(PAGE) if block.language == "python"]
    again = "run: python docs/notebook.py"
    assert shown == [cell.source for cell in nbformat.read(NOTEBOOK, 4).cells if cell.cell_type == "code"], again
    assert all(cell in page for cell in cells), again
    pictures = re.findall(r"\(\.\./(img/notebook-\d+\.webp)\)", page)
    assert len(pictures) >= 3
    assert all((ROOT / "docs" / picture).is_file() for picture in pictures), again
