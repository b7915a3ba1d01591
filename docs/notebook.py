"""Make `how-to/notebook.md` from `notebooks/first_look.ipynb`: `python docs/notebook.py`, with Chromium at hand.

The notebook is run from its first cell to its last; its text and code become the page's, what its cells print becomes
text, and what they show becomes pictures in `img/`.
"""

from __future__ import annotations

import asyncio
import io
import os
import tempfile
from pathlib import Path
from typing import Any

import nbformat
import plotly.io
from nbclient import NotebookClient
from PIL import Image

DOCS = Path(__file__).parent
NOTEBOOK = DOCS.parent / "notebooks" / "first_look.ipynb"
PAGE = DOCS / "how-to" / "notebook.md"
CHROMIUM = "/usr/bin/chromium"
CHART = "application/vnd.plotly.v1+json"
WIDTH = 900
INTRODUCTION = (
    "This page is the notebook `notebooks/first_look.ipynb`, with what its cells show. Open it in Jupyter to run it "
    "yourself."
)


def main() -> None:
    """Run the notebook and write the page and its pictures."""
    notebook = executed(NOTEBOOK)
    parts, shown = [], []
    for cell in notebook.cells:
        parts.append(cell.source if cell.cell_type == "markdown" else f"```python\n{cell.source}\n```")
        for output in cell.get("outputs", []):
            if output.output_type == "stream":
                parts.append(f"```text\n{output.text.rstrip()}\n```")
            elif output.data.get("text/html") == "":  # a progress bar that has gone
                continue
            elif {"text/html", CHART} & set(output.data):
                shown.append(output.data.get("text/html") or plotly.io.to_html(output.data[CHART]))
                parts.append(f"![What the cell shows](../img/notebook-{len(shown)}.webp)")
            elif "text/plain" in output.data:
                parts.append(f"```text\n{output.data['text/plain']}\n```")
    parts.insert(1, INTRODUCTION)
    PAGE.write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    for number, picture in enumerate(pictures(shown), 1):
        picture.save(DOCS / "img" / f"notebook-{number}.webp", quality=80, method=6)


def executed(path: Path) -> Any:
    """Return a notebook with the outputs of its cells."""
    notebook = nbformat.read(path, 4)
    with tempfile.TemporaryDirectory() as home:
        os.environ["MIEN_HOME"] = home
        NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
    return notebook


def pictures(shown: list[str]) -> list[Image.Image]:
    """Return pictures of what cells show."""
    return asyncio.run(_pictures(shown))


async def _pictures(shown: list[str]) -> list[Image.Image]:
    from playwright.async_api import async_playwright

    made = []
    async with async_playwright() as play:
        browser = await play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = await browser.new_page(viewport={"width": WIDTH, "height": 600})
        for text in shown:
            style = "<style>body{margin:12px;width:720px;font:13px system-ui,sans-serif;background:#fff}</style>"
            await page.set_content(f"<!doctype html>{style}<body>{text}</body>")
            await page.wait_for_timeout(1500)  # a chart draws itself
            made.append(Image.open(io.BytesIO(await page.locator("body").screenshot())).convert("RGB"))
        await browser.close()
    return made


if __name__ == "__main__":
    main()
