"""What the documentation takes from the code when it is built: tables of settings, help texts; and its drawings."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import typer.main
from click import Context
from pydantic import SecretStr
from pydantic_core import PydanticUndefined

from mien.cli.app import app
from mien.config import TABLES, fields

ICON = Path(__file__).parents[1] / "src" / "mien" / "dashboard" / "static" / "icon.svg"


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Fill the places that a page marks with `<!-- settings -->`, `<!-- source -->` and `<!-- help COMMAND -->`."""
    markdown = markdown.replace("<!-- settings -->", settings_table())
    for name in TABLES:
        markdown = markdown.replace(f"<!-- {name} -->", rows_of(name))
    return re.sub(r"<!-- help ([a-z -]+?) -->", lambda found: f"```text\n{help_text(found[1])}\n```", markdown)


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


def settings_table() -> str:
    """Return one row per setting: its name in mien.toml, its variable, its default and what it means."""
    rows = ["| in `mien.toml` | in the environment | default | what it is |", "|---|---|---|---|"]
    for name, field in fields():
        default = (
            ""
            if field.default in (None, PydanticUndefined) or isinstance(field.default, SecretStr)
            else f"`{field.default}`"
        )
        variable = "MIEN_" + name.upper().replace(".", "__")
        rows.append(f"| `{name}` | `{variable}` | {default} | {field.description} |")
    return "\n".join(rows)


def rows_of(table: str) -> str:
    """Return one row per setting of a `[[source]]` or `[[alert]]`."""
    rows = [f"| in `[[{table}]]` | what it is |", "|---|---|"]
    return "\n".join([*rows, *(f"| `{name}` | {field.description} |" for name, field in fields(TABLES[table]))])


def help_text(command: str) -> str:
    """Return what `mien COMMAND --help` prints."""
    found: Any = typer.main.get_command(app)
    context = Context(found, info_name="mien")
    for part in command.split():
        found = found.commands[part]
        context = Context(found, info_name=part, parent=context)
    return str(found.get_help(context))
