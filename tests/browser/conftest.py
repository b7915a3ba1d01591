"""A dashboard in a process of its own, a store with a past, and Chromium to look at it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import datetime, timedelta, timezone
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from feeding import Camera, broker, publishing
from playwright.sync_api import Browser, BrowserContext, expect, sync_playwright
from serving import ARGS, dashboard
from visits import Served, Visit

from mien.stores.base import open_store
from ports import unused_port

USUAL = {"viewport": {"width": 1440, "height": 1000}, "timezone_id": "Australia/Brisbane"}


# Both end with their module: Playwright keeps an event loop, and the camera a thread, that other tests would meet.
@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        expect.set_options(timeout=90_000)  # CI machines are busy
        running = playwright.chromium.launch(executable_path=chromium, args=ARGS)
        yield running
        running.close()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture(scope="module")
def seeded(tmp_path_factory: pytest.TempPathFactory, mosquitto: str) -> Iterator[Served]:
    """A dashboard over six days of lobby, twenty hours of stage, the last minutes of both, and both going on."""
    home = tmp_path_factory.mktemp("seeded")
    store = open_store(f"sqlite:///{home / 'mien.db'}")
    now = datetime.now(timezone.utc)
    cameras = [Camera("lobby", 1), Camera("stage", 3, (1920, 1080))]
    store.add(cameras[0].span(now - timedelta(days=6), now - timedelta(hours=20), 300))
    for camera in cameras:
        store.add(camera.span(now - timedelta(hours=20), now - timedelta(minutes=6), 40))
        store.add(camera.span(now - timedelta(minutes=6), now, 1))
    store.add_dead_letters([("mien/lobby/observations", "the probabilities add up to 1.400, not 1", b"{}")])
    port = unused_port()
    with broker(mosquitto, port), publishing(port, cameras, store):
        place = {"MIEN_BROKER__HOST": "127.0.0.1", "MIEN_BROKER__PORT": str(port)}
        with dashboard(home, **place) as address:
            yield Served(address, home, store)
    store.close()


@pytest.fixture
def serve(home: Path) -> Iterator[Callable[..., str]]:
    """Start `mien dashboard` with further environment; return its address."""
    with ExitStack() as running:
        yield lambda **environment: running.enter_context(dashboard(home, **environment))


@pytest.fixture(scope="module")
def shared(browser: Browser) -> Iterator[BrowserContext]:
    """A context for pages without wishes of their own: what one has loaded the next has in its cache."""
    context = browser.new_context(**USUAL)  # type: ignore[arg-type]
    yield context
    context.close()


@pytest.fixture
def visit(browser: Browser, shared: BrowserContext) -> Iterator[Callable[..., Visit]]:
    """Open an address in the browser; at the end nothing may have left the machine or gone wrong."""
    visits: list[Visit] = []

    def open_page(address: str, **options: object) -> Visit:
        context = browser.new_context(**USUAL | options) if options else shared  # type: ignore[arg-type]
        visited = Visit(context.new_page(), context)
        visits.append(visited)
        host = urlsplit(address).netloc

        def check(url: str) -> None:
            if urlsplit(url).scheme not in ("data", "blob") and urlsplit(url).netloc != host:
                visited.foreign.append(url)

        visited.page.on("request", lambda request: check(request.url))
        visited.page.on("websocket", lambda socket: visited.foreign.append(socket.url))
        visited.page.on("console", lambda message: message.type == "error" and visited.errors.append(message.text))
        visited.page.on("pageerror", lambda error: visited.errors.append(str(error)))
        visited.page.set_default_timeout(90_000)
        visited.page.goto(address)
        return visited

    yield open_page
    for visited in visits:
        visited.page.close()
        if visited.context is not shared:
            visited.context.close()
        assert visited.foreign == []
        assert visited.errors == []


@pytest.fixture
def broker_port() -> int:
    return unused_port()
