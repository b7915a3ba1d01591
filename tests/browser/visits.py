"""What the browser tests hold: an open page, a dashboard that runs."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from pathlib import Path

from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import BrowserContext, Page

from mien.stores.base import Store


@dataclass
class Visit:
    """A page, the requests that left the machine, and the errors that the browser reported."""

    page: Page
    context: BrowserContext
    foreign: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


@dataclass
class Served:
    """A dashboard that runs: its address, its state folder, a writer of its store."""

    address: str
    home: Path
    store: Store


def serious(page: Page, *rules: str) -> list[str]:
    """Return what axe finds on the page that is serious or worse, by these rules or by all."""
    # the thousands of elements that pass are not told of, which would take longer than all the rest
    options = {"resultTypes": ["violations"]} | ({"runOnly": list(rules)} if rules else {})
    return [
        f"{one['id']}: {one['help']} {[node['html'][:160] for node in one['nodes'][:3]]}"
        for one in Axe().run(page, options=options).response["violations"]
        if one["impact"] in ("serious", "critical")
    ]


def keep(page: Page, path: Path, home: Path | None = None) -> None:
    """Write a picture of the page, small enough to travel with the documentation, without this machine's paths."""
    page.evaluate(HIDE, str(home or "/none"))
    path.parent.mkdir(parents=True, exist_ok=True)
    with Image.open(io.BytesIO(page.screenshot(full_page=True))) as picture:
        picture.convert("RGB").save(path, quality=80, method=6)


HIDE = """(home) => {
    window.mien.take = () => {};  // what it shows must stay as it is
    const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    for (let text; (text = texts.nextNode()); ) text.nodeValue = text.nodeValue.replaceAll(home, "/var/lib/mien");
}"""
