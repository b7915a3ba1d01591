"""What the documentation takes from the code when it is built: the tables of settings and the help texts."""

from __future__ import annotations

import re
from typing import Any

import typer.main
from click import Context
from pydantic import SecretStr
from pydantic_core import PydanticUndefined

from mien.cli import app
from mien.config import TABLES, fields


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Fill the places that a page marks with `<!-- settings -->`, `<!-- source -->` and `<!-- help COMMAND -->`."""
    markdown = markdown.replace("<!-- settings -->", settings_table())
    for name in TABLES:
        markdown = markdown.replace(f"<!-- {name} -->", rows_of(name))
    return re.sub(r"<!-- help ([a-z -]+?) -->", lambda found: f"```text\n{help_text(found[1])}\n```", markdown)


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
