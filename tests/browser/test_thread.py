"""The whole thread: `mien up demo`, and the demo's face on the dashboard in a real browser."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect
from visits import Visit

from running import Up, kill_leftovers

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Up]:
    home = tmp_path / "home"
    running = Up(home, "demo")
    yield running
    assert running.stop() == 0, running.log.read_text()
    kill_leftovers(home)


def test_the_demos_face_arrives(up: Up, visit: Callable[..., Visit]) -> None:
    address = up.wait_for(r"dashboard is at (http://127\.0\.0\.1:\d+)")[1]
    page = visit(address).page
    source = page.locator("article.source", has_text="demo")
    expect(source).to_contain_text("Online")
    expect(source.locator(".stage .face")).to_have_count(1)
    expect(source.locator(".now")).to_contain_text("1 face")
    page.get_by_role("link", name="History").click()
    expect(page.locator("#plot .scatterlayer .trace").first).to_be_visible()
    page.get_by_role("link", name="System").click()
    for part in ("Broker", "Outboxes", "Forwarder", "Store"):
        expect(page.locator("#parts li.ok", has=page.get_by_role("heading", name=part))).to_be_visible()
    for part in ("watch", "forward", "dashboard"):
        expect(page.locator("#lines")).to_contain_text(f"  {part}")
