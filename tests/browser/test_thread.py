"""The whole thread: `mien up demo`, and the demo's face on the dashboard in a real browser."""

from __future__ import annotations

import time
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


def test_the_demos_face_arrives(up: Up, visit: Callable[..., Visit], screenshots: Path | None) -> None:
    address = up.wait_for(r"dashboard is at (http://127\.0\.0\.1:\d+)")[1]
    page = visit(address).page
    source = page.locator("article.source", has_text="demo")
    expect(source).to_contain_text("Online", timeout=60_000)
    expect(source.locator(".stage .face")).to_have_count(1, timeout=60_000)
    expect(page.locator(".plot .scatterlayer .trace").first).to_be_visible()
    if screenshots:
        time.sleep(200)  # so that the chart has something to show
        page.screenshot(path=screenshots / "dashboard.png", full_page=True)
        dark = visit(address, color_scheme="dark").page
        expect(dark.locator(".plot .scatterlayer .trace").first).to_be_visible()
        dark.screenshot(path=screenshots / "dashboard-dark.png", full_page=True)
