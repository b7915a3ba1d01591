"""The dashboard as people meet it: Chromium against a server of its own with a real store and a real broker."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path

import pytest
from feeding import Camera, broker, publishing
from playwright.sync_api import expect
from serving import dashboard
from visits import Visit, serious

from mien.config import load
from mien.edge.watch import run_watch
from mien.stores.base import open_store
from ports import unused_port

pytestmark = [pytest.mark.browser, pytest.mark.mosquitto, pytest.mark.timeout(400)]

Serve = Callable[..., str]
Open = Callable[..., Visit]


def test_first_use_explains_itself_and_the_first_face_arrives(serve: Serve, visit: Open, home: Path) -> None:
    home.mkdir()
    address = serve()
    page = visit(address).page
    expect(page.get_by_role("heading", name="No faces yet")).to_be_visible()
    expect(page.get_by_role("button", name="Play the demo")).to_be_visible()
    expect(page.get_by_text("mien up demo", exact=True)).to_be_hidden()
    expect(page.get_by_role("link", name="Try it now")).to_have_attribute("href", "/try")
    expect(page.locator(".board")).to_be_hidden()
    store = open_store(f"sqlite:///{home / 'mien.db'}")
    camera = Camera("hall", 2)
    store.add([camera.observe(datetime.now(timezone.utc))])
    expect(page.locator("article.source")).to_contain_text("hall")
    expect(page.get_by_role("heading", name="No faces yet")).to_be_hidden()
    store.add([camera.observe(datetime.now(timezone.utc))])
    expect(page.locator(".stage .face")).to_have_count(2)
    store.close()


def test_the_demo_is_played_and_stopped_by_a_button(serve: Serve, visit: Open, home: Path) -> None:
    home.mkdir()
    page = visit(serve(), viewport={"width": 1200, "height": 900}).page
    page.get_by_role("button", name="Play the demo").click()
    expect(page.locator("#demo-said")).to_contain_text(re.compile("The demo (is starting|plays)"))
    expect(page.locator("article.source .face")).to_have_count(1)
    expect(page.locator("#demo-plays")).to_contain_text("The demo plays")
    expect(page.get_by_role("status").first).to_contain_text("Connected")  # the face may have come from the store
    page.get_by_role("link", name="History").click()
    page.get_by_role("button", name="Stop the demo").click()
    expect(page.locator(".demo")).to_contain_text("The demo has stopped")
    expect(page.get_by_role("button", name="Play it again")).to_be_visible()
    expect(page.get_by_role("status").first).to_contain_text("Broker away")


def test_live_faces_arrive_and_the_page_says_when_the_broker_goes_and_comes_back(
    serve: Serve, visit: Open, home: Path, mosquitto: str, broker_port: int
) -> None:
    home.mkdir()
    address = serve(MIEN_BROKER__HOST="127.0.0.1", MIEN_BROKER__PORT=str(broker_port))
    page = visit(address).page
    status = page.get_by_role("status").first
    expect(status).to_contain_text("No broker")
    camera = Camera("gate", 2)
    card = page.locator("article.source")
    with broker(mosquitto, broker_port):
        with publishing(broker_port, [camera]):
            expect(status).to_contain_text("Connected")
            expect(card.locator(".stage .face")).to_have_count(2)
            expect(card.locator("header")).to_contain_text("Online since")
            expect(card.locator(".now")).to_contain_text("2 faces")
            expect(card.locator("footer")).to_contain_text("5.0 frames/s")
            expect(card.locator("footer")).to_contain_text("31 ms delay")
            expect(card.locator("[data-stream] path").first).to_have_attribute("d", re.compile("^M.+Z$"))
        expect(card).to_contain_text("Offline since")
        expect(card.locator(".stage .face")).to_have_count(0)
    expect(status).to_contain_text("Broker away since")
    with broker(mosquitto, broker_port), publishing(broker_port, [camera]):
        expect(status).to_contain_text("Connected")
        expect(card).to_contain_text("Online")


def test_a_page_goes_on_by_itself_when_the_server_comes_back(visit: Open, home: Path) -> None:
    home.mkdir()
    store = open_store(f"sqlite:///{home / 'mien.db'}")
    camera, port = Camera("hall", 2), unused_port()
    store.add([camera.observe(datetime.now(timezone.utc))])
    with dashboard(home, port) as address:
        visited = visit(address, viewport={"width": 900, "height": 700})
        expect(visited.page.locator("article.source")).to_have_count(1)
    store.add([Camera("stage", 1).observe(datetime.now(timezone.utc))])
    with dashboard(home, port):
        expect(visited.page.locator("article.source")).to_have_count(2)
    store.close()
    visited.page.close()
    visited.errors.clear()  # the browser reports that nobody answered meanwhile


def test_a_hidden_page_is_sent_nothing_and_goes_on_where_it_is_seen_again(
    serve: Serve, visit: Open, home: Path
) -> None:
    home.mkdir()
    store = open_store(f"sqlite:///{home / 'mien.db'}")
    store.add([Camera("hall", 2).observe(datetime.now(timezone.utc))])
    address = serve()
    page, system = visit(address).page, visit(f"{address}/system").page
    expect(page.locator("article.source")).to_have_count(1)
    expect(system.locator("#parts")).to_contain_text("2 open pages")
    page.evaluate(HIDDEN, True)
    expect(system.locator("#parts")).to_contain_text("1 open page")
    store.add([Camera("stage", 1).observe(datetime.now(timezone.utc))])
    page.evaluate(HIDDEN, False)
    expect(page.locator("article.source")).to_have_count(2)
    expect(system.locator("#parts")).to_contain_text("2 open pages")
    store.close()


HIDDEN = """(hidden) => {
    Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
    document.dispatchEvent(new Event("visibilitychange"));
}"""


@pytest.mark.data
def test_a_preview_is_shown_where_it_is_switched_on_and_goes_with_its_source(
    serve: Serve, visit: Open, home: Path, mosquitto: str, broker_port: int, samples: Path
) -> None:
    home.mkdir()
    film = {"url": str(samples / "one-face.mp4"), "loop": True}
    listed = [{**film, "name": "lobby", "preview": "blurred"}, {**film, "name": "hall", "remote_preview": "blurred"}]
    broker_at = {"host": "127.0.0.1", "port": broker_port}
    settings = load({"home": home.parent / "edge", "broker": broker_at, "source": listed, "watch": {"fps": 5}})
    stop = threading.Event()
    watching = threading.Thread(target=run_watch, args=(settings, [], stop))
    with broker(mosquitto, broker_port):
        watching.start()
        try:
            address = serve(MIEN_BROKER__HOST="127.0.0.1", MIEN_BROKER__PORT=str(broker_port))
            page = visit(address).page
            card, other = page.locator("#source-lobby"), page.locator("#source-hall")
            image = card.locator(".stage > img")
            expect(image).to_be_visible()
            expect(image).to_have_attribute("alt", "What lobby sees. Preview, faces blurred")
            expect(card.locator(".sight")).to_have_text("Preview, faces blurred")
            assert image.evaluate("image => [image.naturalWidth, image.naturalHeight]") == [320, 180]
            expect(image).not_to_have_attribute("src", image.get_attribute("src") or "")
            expect(card.locator(".stage .face")).to_have_count(1)
            assert serious(page) == []
            expect(other).to_contain_text("1 face")
            expect(other.locator("img")).to_have_count(0)
            expect(other.locator(".sight")).to_contain_text("No picture leaves the camera")
            kept = page.request.get(f"{address}/api/v1/sources/lobby/preview")
            assert (kept.headers["content-type"], kept.headers["cache-control"]) == ("image/jpeg", "no-store")
            assert kept.body().startswith(b"\xff\xd8\xff")
            assert page.request.get(f"{address}/api/v1/sources/hall/preview").status == 404
            told = {one["source"]: one["preview"] for one in page.request.get(f"{address}/api/v1/sources").json()}
            assert told == {"lobby": "blurred", "hall": "off"}
            other.get_by_role("button", name="Show a preview here").click()
            expect(other.locator(".stage > img")).to_be_visible()
            expect(other.locator(".sight")).to_contain_text("Preview, faces blurred, until")
            refused = page.request.post(f"{address}/api/v1/sources/hall/preview", data={"preview": "plain"})
            assert refused.status == 422
            assert "watch.remote_preview is blurred" in refused.json()["error"]["message"]
            other.get_by_role("button", name="End it").click()
            expect(other.locator(".stage > img")).to_have_count(0)
            expect(other.locator(".sight")).to_contain_text("No picture leaves the camera")
            never = page.request.post(f"{address}/api/v1/sources/lobby/preview", data={"preview": "blurred"})
            assert never.status == 422
            assert "watch.remote_preview" in never.json()["error"]["message"]
            assert page.request.get(f"{address}/api/v1/sources/hall/preview").status == 404
        finally:
            stop.set()
            watching.join()
        expect(card).to_contain_text("Offline")
        expect(image).to_have_count(0)
