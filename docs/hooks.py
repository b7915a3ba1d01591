"""What the documentation takes from the code when it is built: tables of settings, help texts; and its drawings."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import Any

import typer.main

from mien.cli.app import app
from mien.cli.help_text import help_text
from mien.dashboard.manual.filling import filled

ICON = Path(__file__).parents[1] / "src" / "mien" / "dashboard" / "static" / "icon.svg"


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Fill the places that a page marks for tables of settings and for help texts."""
    return filled(markdown, partial(help_text, typer.main.get_command(app)))


def on_files(files: Any, config: Any) -> Any:
    """Take the dashboard's icon for the documentation's."""
    from mkdocs.structure.files import File

    files.append(File.generated(config, "img/icon.svg", abs_src_path=str(ICON)))
    return files


def on_page_content(html: str, **_: Any) -> str:
    """Put the drawings themselves into the page, so that they take its colours, light or dark."""
    return re.sub(r'<img [^>]*src="[./]*img/(\w+)\.svg"[^>]*>', lambda found: drawing(found[1]), html)


def drawing(name: str) -> str:
    """Return the SVG of this name as a part of an HTML page."""
    return (Path(__file__).parent / "img" / f"{name}.svg").read_text(encoding="utf-8")
