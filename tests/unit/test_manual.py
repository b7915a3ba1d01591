"""The documentation inside the dashboard: all its pages, their links and anchors, what is searched, the REST API."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest
import typer.main
import yaml

from mien.cli.app import app
from mien.cli.help_text import help_text
from mien.config import Settings
from mien.dashboard.api.app import Api
from mien.dashboard.manual.chapters import chapters, docs_folder
from mien.dashboard.manual.markdown import rendered
from mien.dashboard.manual.pages import Manual
from mien.dashboard.manual.rest import described
from mien.dashboard.pages.system import HEADS

ROOT = Path(__file__).parents[2]
TEMPLATES = ROOT / "src" / "mien" / "dashboard" / "templates"


@pytest.fixture(scope="module")
def manual() -> Manual:
    return Manual(partial(help_text, typer.main.get_command(app)))


def entries(nav: list[dict[str, Any]], depth: int = 1) -> list[tuple[str, str, int]]:
    rows: list[tuple[str, str, int]] = []
    for title, content in (pair for entry in nav for pair in entry.items()):
        rows += [(title, content if isinstance(content, str) else "", depth)]
        if not isinstance(content, str):
            rows += entries(content, depth + 1 + (depth == 1))
    return rows


def test_the_chapters_are_those_of_the_site() -> None:
    nav = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:")[2])
    assert [(row.title, row.file) for row in chapters()] == [row[:2] for row in entries(nav)]
    assert docs_folder() == ROOT / "docs"


def test_every_link_leads_somewhere_and_no_page_has_a_style_or_script(manual: Manual) -> None:
    assert len(manual.addresses) > 40
    for address in manual.addresses:
        page = manual.page(address)
        assert page is not None
        assert not re.search(r"<(script|style|iframe|object)|\sstyle=|\son\w+=|<!--", page.html), address
        for kind, target in re.findall(r'(href|src)="([^"]+)"', page.html):
            url = urlsplit(urljoin(f"http://manual/docs/{address}", target))
            if url.netloc != "manual":
                assert url.scheme in ("http", "https"), (address, target)
                continue
            other = url.path.removeprefix("/docs/")
            there = manual.page(other)
            assert there or (kind in ("src", "href") and manual.file(other)), (address, target)
            if there and url.fragment:
                assert url.fragment in {heading.anchor for heading in there.headings}, (address, target)


def test_settings_and_help_are_filled_in(manual: Manual) -> None:
    settings, commands = manual.page("reference/settings"), manual.page("reference/commands")
    assert settings is not None
    assert commands is not None
    assert "<code>MIEN_DASHBOARD__PORT</code>" in settings.html
    assert "Usage: mien report film" in commands.html


def test_html_in_markdown_is_text_and_addresses_that_run_something_are_no_links() -> None:
    page = rendered(
        "# <script>x</script> & [a](javascript:alert(1)) <img src=x onerror=y>\n\n"
        "| a |\n|--:|\n| `<b>` |\n\n# A\n# A\n",
        lambda _: False,
    )
    assert "<script" not in page.html
    assert "<img" not in page.html
    assert 'href="javascript' not in page.html
    assert "style=" not in page.html
    assert '<td class="right"><code>&lt;b&gt;</code></td>' in page.html
    assert [heading.anchor for heading in page.headings][1:] == ["a", "a_1"]


@pytest.mark.parametrize(
    "path", ["hooks.py", "../pyproject.toml", "../mkdocs.yml", "/etc/passwd", "", "img", "img/\0.svg", "x" * 300]
)
def test_nothing_but_what_pages_show_is_a_file_of_the_documentation(manual: Manual, path: str) -> None:
    assert manual.file(path) is None
    assert manual.file("img/live.webp") is not None


def test_a_search_finds_the_section_about_it_first(manual: Manual) -> None:
    first = manual.search("happiness ind")[0]
    assert (first.address, first.anchor) == ("reference/figures", "happiness-index")
    assert "mean probability" in first.text
    assert manual.search("qwertzuiop") == []
    assert manual.search("  ") == []
    assert manual.search("(*[") == []


def test_every_question_mark_leads_to_a_section(manual: Manual) -> None:
    page = manual.page("reference/figures")
    assert page is not None
    text = "".join(path.read_text(encoding="utf-8") for path in TEMPLATES.rglob("*.html"))
    text += (ROOT / "src/mien/dashboard/pages/cards.py").read_text(encoding="utf-8")
    titles = re.findall(r'Card\(\s*"([^"]+)"', text)
    asked = {title.lower().replace(" ", "-") for title in titles}
    asked |= set(re.findall(r'why\("([^"]+)"', text)) | {anchor for anchor in HEADS.values() if anchor}
    assert len(asked) > 10
    assert asked <= {heading.anchor for heading in page.headings}


def test_the_readable_api_has_every_request_of_the_document() -> None:
    api = Api(None, Settings())  # type: ignore[arg-type]
    try:
        document = api.app.openapi()
    finally:
        api.close()
    groups, shapes = described(document, "http://127.0.0.1:8080/api")
    asked = {(request.method.lower(), request.path) for group in groups for request in group.requests}
    assert asked == {(method, path) for path, methods in document["paths"].items() for method in methods}
    assert {shape.name for shape in shapes} == set(document["components"]["schemas"])
    report = next(request for group in groups for request in group.requests if request.anchor == "post-v1-reports")
    assert report.body == ("NewReport", "NewReport")
    assert report.example == "curl --json '{…}' http://127.0.0.1:8080/api/v1/reports"
    summary = next(request for group in groups for request in group.requests if request.path == "/v1/summary")
    assert ("from", "time or null") in [(field.name, field.kind) for field in summary.fields]
