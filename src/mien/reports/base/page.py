"""The page of a report: its content goes in, one HTML text comes out that opens offline, prints, and runs no script."""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Sequence
from pathlib import Path

from mien.reports.base.parts import Chart, Content, Data, Fact, Part, Pictures, Section, Shares, Table
from mien.version import __version__

__all__ = ["page"]

STYLE = Path(__file__).with_name("page.css")

KINDS = {"film": "Film", "meeting": "Meeting", "audience": "Audience", "album": "Album"}

KNOW = """An expression is not a feeling: the figures say how faces looked to a model that learned from labelled
pictures, not what anybody felt. The model does not read all people equally well."""


def page(report: Content) -> str:
    """Return the page of a report."""
    sections = [
        *map(_section, report.sections),
        _notes(report.notes),
        _terms("What the figures mean", report.definitions),
        _data(report.data),
    ]
    body = "\n".join(part for part in sections if part)
    facts = "".join(map(_fact, report.facts))
    notices = "".join(f'<section class="notice"><p>{html.escape(notice)}</p></section>' for notice in report.notices)
    made = report.made.strftime("%d %b %Y, %H:%M UTC")
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>{html.escape(report.title)}</title>
<style>{STYLE.read_text(encoding="utf-8")}</style>
</head>
<body>
<main>
<header>
<p class="kind">{KINDS.get(report.kind, report.kind)}</p>
<h1>{html.escape(report.title)}</h1>
<p class="lead">{html.escape(report.lead)}</p>
</header>
{notices}<dl class="facts">{facts}</dl>
{body}
<footer><p>{KNOW}</p><p>Made by Mien {__version__} on {made}.</p></footer>
</main>
</body>
</html>
"""


def _fact(fact: Fact) -> str:
    words = " words" if fact.value is None or len(fact.shown) > 16 else ""
    detail = f'<dd class="detail">{html.escape(fact.detail)}</dd>' if fact.detail else ""
    return (
        f'<div class="fact{words}"><dt>{html.escape(fact.name)}</dt>'
        f'<dd class="shown">{html.escape(fact.shown)}</dd>{detail}</div>'
    )


def _section(section: Section) -> str:
    inside = "\n".join(map(_part, section.parts))
    return f"<section><h2>{html.escape(section.title)}</h2>\n{inside}</section>"


def _part(part: Part) -> str:
    if isinstance(part, str):
        return f"<p>{html.escape(part)}</p>"
    if isinstance(part, Chart):
        return f'<div class="scroll" tabindex="0">{part.svg}</div>' + _caption(part.caption)
    return _table(part) if isinstance(part, Table) else _pictures(part)


def _caption(text: str) -> str:
    return f'<p class="caption">{html.escape(text)}</p>' if text else ""


def _table(table: Table) -> str:
    kinds = [' class="n"' if name.startswith("#") else "" for name in table.head]
    head = "".join(
        f"<th{kind}>{html.escape(name.removeprefix('#'))}</th>" for name, kind in zip(table.head, kinds, strict=True)
    )
    rows = "".join(
        "<tr>" + "".join(f"<td{kind}>{_cell(cell)}</td>" for cell, kind in zip(row, kinds, strict=True)) + "</tr>"
        for row in table.rows
    )
    return (
        f'<div class="scroll" tabindex="0"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'
        + _caption(table.caption)
    )


def _cell(cell: str | Shares) -> str:
    if isinstance(cell, str):
        return html.escape(cell)
    said = ", ".join(f"{name} {100 * share:.0f} %" for name, _, share in cell.parts if share >= 0.005)
    parts = "".join(
        f'<i style="width:{100 * share:.2f}%;background:{colour}"></i>' for _, colour, share in cell.parts if share > 0
    )
    return (
        f'<span class="shares" role="img" aria-label="{html.escape(said)}" title="{html.escape(said)}">{parts}</span>'
    )


def _pictures(pictures: Pictures) -> str:
    figures = []
    for one in pictures.pictures:
        data = base64.b64encode(one.jpeg).decode()
        detail = f"<span>{html.escape(one.detail)}</span>" if one.detail else ""
        figures.append(
            f'<figure><img alt="{html.escape(one.title)}" src="data:image/jpeg;base64,{data}">'
            f"<figcaption>{html.escape(one.title)}{detail}</figcaption></figure>"
        )
    return f'<div class="pictures">{"".join(figures)}</div>' + _caption(pictures.caption)


def _notes(notes: Sequence[str]) -> str:
    items = "".join(f"<li>{html.escape(note)}</li>" for note in notes)
    return f"<section><h2>Notes</h2><ul>{items}</ul></section>" if notes else ""


def _terms(title: str, terms: Sequence[tuple[str, str]]) -> str:
    items = "".join(f"<dt>{html.escape(term)}</dt><dd>{_with_code(meaning)}</dd>" for term, meaning in terms)
    return f'<section><h2>{title}</h2><dl class="terms">{items}</dl></section>' if terms else ""


def _data(data: Sequence[Data]) -> str:
    parts = []
    for one in data:
        terms = "".join(
            f"<dt><code>{name}</code></dt><dd>{_with_code(text)}</dd>" for name, text in one.columns.items()
        )
        rows = f"{len(one.table):,} {'row' if len(one.table) == 1 else 'rows'}"
        parts.append(
            f"<details><summary><b>{html.escape(one.name)}</b> ({rows})</summary>"
            f'<dl class="terms">{terms}</dl></details>'
        )
    return f"<section><h2>The tables beside this page</h2>{''.join(parts)}</section>" if parts else ""


def _with_code(text: str) -> str:
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(text))
