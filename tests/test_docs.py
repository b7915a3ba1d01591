"""The documentation names everything that users can name, and what it shows is true."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import pytest
import typer.main

import mien
from mien.cli.app import app
from mien.config import TABLES, fields
from mien.mqtt.messages import Stored, TopicKind, decode_message
from mien.observation import Observation, decode, encode

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"


def read(page: str) -> str:
    return (DOCS / page).read_text(encoding="utf-8")


def commands() -> list[str]:
    group = typer.main.get_command(app)
    return sorted(group.commands)  # type: ignore[attr-defined]


@pytest.mark.parametrize("command", commands())
def test_every_command_has_a_section(command: str) -> None:
    text = read("reference/commands.md")
    assert f"\n## mien {command}\n" in text
    assert f"<!-- help {command} -->" in text


def test_no_section_for_a_command_that_is_not_there() -> None:
    assert sorted(re.findall(r"\n## mien (\w+)\n", read("reference/commands.md"))) == commands()


def test_every_setting_is_in_the_table() -> None:
    sys.path.insert(0, str(DOCS))
    try:
        import hooks
    finally:
        sys.path.pop(0)
    page = hooks.on_page_markdown(read("reference/settings.md"))
    for name, field in (*fields(), *(one for table in TABLES.values() for one in fields(table))):
        assert f"| `{name}` |" in page
        assert field.description in page


@pytest.mark.parametrize("kind", get_args(TopicKind))
def test_every_topic_is_documented(kind: str) -> None:
    assert f"`<prefix>/<source>/{kind}`" in read("reference/topics.md")


def test_the_sample_payloads_are_valid() -> None:
    blocks = re.findall(r"```json\n(.*?)```", read("reference/record.md"), re.DOTALL)
    observation = decode(blocks[0].encode())
    assert json.loads(encode(observation)) == json.loads(blocks[0])
    stored = re.findall(r"```json\n(.*?)```", read("reference/topics.md"), re.DOTALL)[0]
    assert decode_message(stored.encode(), Stored).ranges == [(0, 511)]


def test_every_field_of_the_record_is_documented() -> None:
    text = read("reference/record.md")
    for name in Observation.__struct_fields__:
        assert f"`{name}`" in text


def test_every_column_of_the_analysis_table_is_documented() -> None:
    from mien.table import COLUMNS

    assert ", ".join(COLUMNS) in re.sub(r"\s+", " ", read("reference/record.md"))


def test_every_column_of_the_store_is_documented() -> None:
    from mien.stores.tables import metadata

    text = read("reference/tables.md")
    for table in metadata.sorted_tables:
        assert f"\n## {table.name}\n" in text
        section = text.split(f"\n## {table.name}\n")[1].split("\n## ")[0]
        for column in table.columns:
            assert f"`{column.name}`" in section, f"{table.name}.{column.name}"


def test_every_route_is_documented() -> None:
    text = read("reference/rest.md")
    sys.path.insert(0, str(DOCS))
    try:
        from openapi import described
    finally:
        sys.path.pop(0)
    document = described()
    for route in document["paths"]:
        assert f"`{route}`" in text
    kept = json.loads(read("reference/openapi.json"))
    assert outline(kept) == outline(document), "run: python docs/openapi.py"


def outline(document: dict[str, Any]) -> Any:
    """Return what of an OpenAPI document does not depend on the version of the library that made it."""
    routes = {
        (path, method): (sorted(one["name"] for one in told.get("parameters", [])), sorted(told["responses"]))
        for path, methods in document["paths"].items()
        for method, told in methods.items()
    }
    schemas = document["components"]["schemas"]
    return routes, {name: sorted(schema.get("properties", {})) for name, schema in schemas.items()}


def test_every_public_name_is_documented() -> None:
    text = read("reference/python.md")
    for name in mien.__all__:
        assert f"`{name}" in text or f"mien.{name}" in text


def test_the_changelog_knows_the_version() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert "## [Unreleased]" in text
    released = re.findall(r"## \[(\d+\.\d+\.\d+)\]", text)
    assert not released or released[0] == mien.__version__


def test_the_readme_names_commands_that_exist() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for command in set(re.findall(r"^mien (\w+)", text, re.MULTILINE)):
        assert command in commands()
    for target in set(re.findall(r"^make (\w+)", text, re.MULTILINE)):
        assert f"\n{target}:" in (ROOT / "Makefile").read_text()


def test_links_in_the_readme_lead_somewhere() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!https?://|#)([^)#]+)", text):
        assert (ROOT / target).exists(), target


def test_the_figures_in_the_readme_are_those_of_the_pages() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"(?m)^\| .*\*\*.* \| \[.*?\]\((\S+?)\) \|$", text)
    measured = [line for line in text.split("\n") if line.startswith("| ") and "**" in line]
    assert len(rows) == len(measured) > 3
    for page, line in zip(rows, measured, strict=True):
        known = re.sub(r"\s+", " ", (ROOT / page).read_text(encoding="utf-8"))
        for figure in re.findall(r"\*\*(.+?)\*\*", line):
            assert figure in known, f"{page} does not say {figure} any more"


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) < 120


def test_the_documentation_builds_without_warnings(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path / "site")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=110,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "site" / "index.html").exists()
