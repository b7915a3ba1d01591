"""The page of a report: its content goes in, one HTML text comes out that opens offline, prints, and runs no script."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from mien.reports.base.parts import Chart, Content, Part, Pictures, Shares, Table
from mien.version import __version__

if TYPE_CHECKING:
    from jinja2 import Environment

__all__ = ["page"]

TEMPLATES = Path(__file__).with_name("templates")
KINDS = {"film": "Film", "meeting": "Meeting", "audience": "Audience", "album": "Album"}

KNOW = """An expression is not a feeling: the figures say how faces looked to a model that learned from labelled
pictures, not what anybody felt. The model does not read all people equally well."""


def page(report: Content) -> str:
    """Return the page of a report."""
    style = (TEMPLATES / "report.css").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return _templates().get_template("report.html").render(
        report=report, kind=KINDS.get(report.kind, report.kind), style=style, style_hash=f"sha256-{digest}",
        know=KNOW, made=report.made.strftime("%d %b %Y, %H:%M UTC"),
        period=getattr(report, "period", ""),
    )  # fmt: skip


@cache
def _templates() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    templates = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True, keep_trailing_newline=True, auto_reload=False,
    )  # fmt: skip
    templates.globals |= {
        "base64": _base64, "kind_of": _kind_of, "shares_drawn": _shares_drawn, "shares_in_words": _shares_in_words,
        "version": __version__,
    }  # fmt: skip
    return templates


def _kind_of(part: Part) -> str:
    """Return the macro that draws a part."""
    return {Chart: "chart", Table: "table", Pictures: "pictures"}.get(type(part), "text")


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _shares_in_words(shares: Shares) -> str:
    return ", ".join(f"{name} {100 * share:.0f} %" for name, _, share in shares.parts if share >= 0.005)


def _shares_drawn(shares: Shares) -> list[tuple[str, str, str]]:
    """Return where each part begins and how wide it is, in percent, with its colour."""
    drawn = []
    start = 0.0
    for _, colour, share in shares.parts:
        if share > 0:
            drawn.append((f"{100 * start:.2f}", f"{100 * share:.2f}", colour))
            start += share
    return drawn
