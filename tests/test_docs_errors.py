"""The lines that the page on troubleshooting quotes are lines that the code says."""

from __future__ import annotations

import ast
import re
from functools import cache

import pytest

from doc_blocks import ROOT

PAGE = ROOT / "docs" / "guide" / "troubleshooting.md"
QUOTED = [
    (single or double).strip()
    for single, double in re.findall(r"(?m)^\| (?:`([^`]+)`|``(.+?)``) \|", PAGE.read_text(encoding="utf-8"))
]


@cache
def said() -> str:
    """Return every text of the code, a line each, with … where names and numbers go in."""
    texts = []
    for file in (ROOT / "src" / "mien").rglob("*.py"):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        texts += [text for node in ast.walk(tree) if (text := flat(node))]
    return "\n".join(re.sub(r"%[sdgr]|%\.0f", "…", text).replace("\n", " ") for text in texts)


def flat(node: ast.AST) -> str:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(flat(value) if isinstance(value, ast.Constant) else "…" for value in node.values)
    return ""


@pytest.mark.parametrize("line", QUOTED)
def test_a_quoted_line_is_one_that_is_said(line: str) -> None:
    parts = [re.escape(part) for part in line.split("…")]
    assert re.search("[^\n]*?".join(parts), said()), f"the code says no such thing any more: {line}"


def test_there_are_quoted_lines() -> None:
    assert len(QUOTED) > 40
