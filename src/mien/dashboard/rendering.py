"""HTML from templates: a name and values go in, text comes out in which every value is escaped.

A template of `templates/` is a whole page; one of `templates/parts/` holds macros, each for a piece of a page that is
brought up to date on its own, and whose links are relative to the page. What pages load (`asset`) is named with its
content's digest, so browsers may keep it.
"""

from __future__ import annotations

import hashlib
import re
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, pass_context
from jinja2.runtime import Context

from mien.version import __version__

__all__ = ["PLOTLY", "STATIC", "digest", "file_of", "part", "render"]

STATIC = Path(__file__).with_name("static")
"""The folder with the style sheets, the scripts, the font and the icons."""

PLOTLY = "plotly.min.js"
"""The library that draws charts: it is not in STATIC but in the package of its own makers."""


def render(name: str, **values: Any) -> str:
    """Return a page.

    Args:
        name: The template's, without `.html`.
        values: What it shows.
    """
    return TEMPLATES.get_template(f"{name}.html").render(values)


def part(place: str, *values: Any, **named: Any) -> str:
    """Return a piece of a page.

    Args:
        place: A file of `templates/parts/` and a macro in it, such as `cards.figures`.
        values: The macro's arguments.
        named: Those given by name.
    """
    file, _, macro = place.partition(".")
    module = TEMPLATES.get_template(f"parts/{file}.html").module
    return str(getattr(module, macro)(*values, **named)).strip()


@pass_context
def asset(context: Context, name: str) -> str:
    """Return the address of a file of STATIC, or of Plotly's script, for a page whose values hold its `base`."""
    return f"{context['base']}/assets/{name}?{digest(name)}"


@cache
def digest(name: str) -> str:
    """Return what tells a file's content from another's."""
    return hashlib.sha256(file_of(name).read_bytes()).hexdigest()[:12]


def file_of(name: str) -> Path:
    """Return where a file that pages load lies."""
    if name != PLOTLY:
        return STATIC / name
    return Path(str(resources.files("plotly"))) / "package_data" / PLOTLY


@cache
def plotly_styles() -> tuple[str, ...]:
    """Return the ids of style elements that Plotly's script makes unless the page has them: those of its maps.

    They are filled as no policy without 'unsafe-inline' allows, and we draw no map.
    """
    script = file_of(PLOTLY).read_text(encoding="utf-8")
    return tuple(sorted(set(re.findall(r'getElementById\("([0-9a-f]{64})"\)', script))))


TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).with_name("templates")), autoescape=True, undefined=StrictUndefined,
    trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=False, auto_reload=False,
)  # fmt: skip
TEMPLATES.globals |= {"asset": asset, "plotly_styles": plotly_styles, "version": __version__}
