"""What the documentation takes from the code: tables of settings and help texts, put where a page marks their place."""

from __future__ import annotations

import re
from collections.abc import Callable

from pydantic import SecretStr
from pydantic_core import PydanticUndefined

from mien.config import TABLES, fields

__all__ = ["HelpText", "filled"]

HelpText = Callable[[str], str]
"""Returns what `mien COMMAND --help` prints."""


def filled(markdown: str, help_text: HelpText) -> str:
    """Fill the places that a page marks with `<!-- settings -->`, `<!-- source -->` and `<!-- help COMMAND -->`.

    Args:
        markdown: The page.
        help_text: Returns the help of a command.
    """
    markdown = markdown.replace("<!-- settings -->", settings_table())
    for name in TABLES:
        markdown = markdown.replace(f"<!-- {name} -->", rows_of(name))
    return re.sub(r"<!-- help ([a-z -]+?) -->", lambda place: f"```text\n{help_text(place[1])}\n```", markdown)


def settings_table() -> str:
    """Return one row per setting: its name in mien.toml, its variable, its default and what it means."""
    rows = ["| in `mien.toml` | in the environment | default | what it is |", "|---|---|---|---|"]
    for name, field in fields():
        unsaid = field.default in (None, PydanticUndefined) or isinstance(field.default, SecretStr)
        default = "" if unsaid else f"`{field.default}`"
        variable = "MIEN_" + name.upper().replace(".", "__")
        rows.append(f"| `{name}` | `{variable}` | {default} | {field.description} |")
    return "\n".join(rows)


def rows_of(table: str) -> str:
    """Return one row per setting of a `[[source]]` or `[[alert]]`."""
    rows = [f"| in `[[{table}]]` | what it is |", "|---|---|"]
    return "\n".join([*rows, *(f"| `{name}` | {field.description} |" for name, field in fields(TABLES[table]))])
