"""The dashboard as people meet it: Chromium against a server of its own with a real store."""

from __future__ import annotations

import http.client
import json
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import paho.mqtt.client as mqtt
import pytest
from feeding import Camera
from paho.mqtt.enums import CallbackAPIVersion
from playwright.sync_api import Page, expect
from visits import Served, Visit

from mien.observation import encode
from mien.stores.base import open_store

pytestmark = [pytest.mark.browser, pytest.mark.timeout(400)]

Serve = Callable[..., str]
Open = Callable[..., Visit]

BANDS = ".plot .scatterlayer .trace"


def number(page: Page, title: str) -> int:
    """Return the number of a figure, once it has one."""
    value = page.locator(".figure", has=page.get_by_role("heading", name=title)).locator(".big")
    expect(value).to_contain_text("face")
    return int("".join(filter(str.isdigit, value.inner_text().split("face")[0])))


def until(question: Callable[[], bool], seconds: float = 40) -> None:
    """Wait until the answer is yes."""
    end = time.monotonic() + seconds
    while not question():
        assert time.monotonic() < end, "it did not come true in time"
        time.sleep(0.1)


def test_first_use_explains_itself_and_the_first_face_arrives(serve: Serve, visit: Open, home: Path) -> None:
    home.mkdir()
    page = visit(serve()).page
    expect(page.get_by_role("heading", name="No faces yet")).to_be_visible()
    expect(page.get_by_text("mien up demo", exact=True)).to_be_visible()
    store = open_store(f"sqlite:///{home / 'mien.db'}")
    camera = Camera("hall", 2)
    store.add([camera.observe(datetime.now(timezone.utc))])
    expect(page.locator("article.source")).to_contain_text("hall", timeout=30_000)
    expect(page.get_by_role("heading", name="No faces yet")).to_be_hidden()
    store.add([camera.observe(datetime.now(timezone.utc))])
    expect(page.locator(".stage .face")).to_have_count(2, timeout=30_000)
    store.close()


def test_figures_chart_and_sources_are_shown(seeded: Served, visit: Open) -> None:
    page = visit(seeded.address).page
    expect(page.locator(BANDS).first).to_be_visible()
    assert page.locator(BANDS).count() == 8
    assert page.locator("article.source h3").all_inner_texts() == ["lobby", "stage"]
    shares = [float(text.split("\u202f")[0]) for text in page.locator(".shares .value").all_inner_texts()]
    assert len(shares) == 7
    assert sum(shares) == pytest.approx(100, abs=0.5)
    now = datetime.now(timezone.utc)
    total = seeded.store.summary(now - timedelta(days=8), now + timedelta(days=1))
    page.get_by_role("button", name="7 days").click()
    until(lambda: total.faces <= number(page, "Analysed") <= total.faces + 400)  # four more a second
    page.get_by_role("button", name="What is this index?").click()
    expect(page.get_by_text("100 × the mean probability of happy")).to_be_visible()


def test_source_and_period_are_chosen_kept_in_the_url_and_shared(seeded: Served, visit: Open) -> None:
    page = visit(seeded.address).page
    expect(page.locator(BANDS).first).to_be_visible()
    both = number(page, "Analysed")
    page.get_by_label("Sources", exact=True).first.click()
    page.get_by_role("checkbox", name="stage").uncheck()
    expect(page.locator("article.source")).to_have_count(1)
    until(lambda: 0 < number(page, "Analysed") < both)
    page.get_by_role("button", name="1 hour").click()
    assert parse_qs(urlsplit(page.url).query) == {"source": ["lobby"], "period": ["1h"]}
    again = visit(page.url).page
    expect(again.locator("article.source")).to_have_count(1)
    expect(again.get_by_role("button", name="1 hour")).to_have_attribute("aria-pressed", "true")
    expect(again.locator("#picker summary")).to_contain_text("lobby")
    page.go_back()
    expect(page.get_by_role("button", name="5 min")).to_have_attribute("aria-pressed", "true")


def test_a_custom_period_is_in_the_viewers_zone_in_the_fields_and_in_utc_in_the_url(
    seeded: Served, visit: Open
) -> None:
    page = visit(seeded.address).page
    page.get_by_role("button", name="Custom").click()
    page.locator("#from").fill("2026-01-01T10:00")
    page.locator("#to").fill("2026-01-02T10:00")
    page.get_by_role("button", name="Show").click()
    query = parse_qs(urlsplit(page.url).query)
    assert query == {"period": ["custom"], "from": ["2026-01-01T00:00:00Z"], "to": ["2026-01-02T00:00:00Z"]}
    expect(page.locator(".none")).to_contain_text("No frame in this period")
    expect(page.locator(".chart header")).to_contain_text("01 Jan, 10:00 – 02 Jan, 10:00 · Australia/Brisbane")


def test_a_period_being_entered_survives_a_new_source(seeded: Served, visit: Open) -> None:
    page = visit(seeded.address).page
    expect(page.locator("#picker .options label")).to_have_count(2)
    page.get_by_role("button", name="Custom").click()
    page.locator("#from").fill("2026-01-01T10:00")
    page.evaluate("mien.sources(['lobby', 'stage', 'yard'])")  # what the page is sent when a source appears
    expect(page.locator("#picker .options label")).to_have_count(3)
    expect(page.locator("#from")).to_be_visible()
    expect(page.locator("#from")).to_have_value("2026-01-01T10:00")


def test_phone_has_no_sideways_scroll_and_dark_is_dark(seeded: Served, visit: Open) -> None:
    options = {"viewport": {"width": 360, "height": 740}, "color_scheme": "dark", "has_touch": True}
    page = visit(seeded.address, **options).page
    expect(page.locator(BANDS).first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert brightness(page) < 60
    page.get_by_role("button", name="Theme: Automatic").click()
    assert brightness(page) > 200
    page.reload()
    expect(page.get_by_role("button", name="Theme: Light")).to_be_visible()
    assert brightness(page) > 200


def test_the_page_works_with_the_keyboard(seeded: Served, visit: Open) -> None:
    page = visit(seeded.address).page
    expect(page.locator(BANDS).first).to_be_visible()
    page.get_by_role("button", name="7 days").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="7 days")).to_have_attribute("aria-pressed", "true")
    page.locator("#picker summary").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    expect(page.locator("article.source")).to_have_count(1)
    page.keyboard.press("Escape")
    expect(page.locator("#picker .panel")).to_be_hidden()


def test_foreign_hosts_and_origins_are_refused(seeded: Served) -> None:
    place = urlsplit(seeded.address)

    def status(path: str, **headers: str) -> int:
        connection = http.client.HTTPConnection(place.hostname or "", place.port or 0, timeout=30)
        connection.request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        answer.read()
        connection.close()
        return answer.status

    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec_WebSocket_Version": "13"}
    socket = "/_nicegui_ws/socket.io/?EIO=4&transport=websocket"
    key = {"Sec_WebSocket_Key": "dGhlIHNhbXBsZSBub25jZQ=="}
    assert status("/") == 200
    assert status("/", Host=f"localhost:{place.port}") == 200
    assert status("/", Host="mien.example") == 200
    assert status("/", Host="evil.example") == 403
    assert status("/api/v1/health", Host="evil.example:80") == 403
    assert status("/api/v1/health", Origin="http://evil.example") == 403
    assert status(socket, Host="evil.example", **upgrade, **key) == 403
    assert status(socket, Origin="http://evil.example", **upgrade, **key) == 403
    assert status(socket, Origin=f"http://{place.netloc}", **upgrade, **key) == 101


@contextmanager
def broker(program: str, port: int) -> Iterator[None]:
    process = subprocess.Popen([program, "-p", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        process.wait(10)


@contextmanager
def publishing(port: int, camera: Camera) -> Iterator[None]:
    """A camera that is online and publishes five frames a second, and says offline at the end."""
    client = mqtt.Client(CallbackAPIVersion.VERSION2)
    until(lambda: connects(client, port))
    client.loop_start()
    stop = threading.Event()
    stats = {"fps": 5.0, "dropped": 0, "delay_ms": {"p50": 31.4, "p99": 80.0}, "uptime_s": 3.0}

    def work() -> None:
        client.publish(f"mien/{camera.source}/available", "online", 1, retain=True)
        while not stop.wait(0.2):
            client.publish(f"mien/{camera.source}/stats", json.dumps(stats), 1, retain=True)
            client.publish(f"mien/{camera.source}/observations", encode(camera.observe(datetime.now(timezone.utc))), 1)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        client.publish(f"mien/{camera.source}/available", "offline", 1, retain=True).wait_for_publish(5)
        client.disconnect()
        client.loop_stop()


def connects(client: mqtt.Client, port: int) -> bool:
    try:
        return client.connect("127.0.0.1", port) == 0
    except OSError:
        return False


@pytest.mark.mosquitto
def test_live_faces_arrive_and_the_page_says_when_the_broker_goes_and_comes_back(
    serve: Serve, visit: Open, home: Path, mosquitto: str, broker_port: int
) -> None:
    home.mkdir()
    address = serve(MIEN_BROKER__HOST="127.0.0.1", MIEN_BROKER__PORT=str(broker_port))
    page = visit(address).page
    status = page.get_by_role("status").first
    expect(status).to_contain_text("No broker")
    camera = Camera("gate", 2)
    with broker(mosquitto, broker_port):
        with publishing(broker_port, camera):
            expect(status).to_contain_text("Live", timeout=60_000)
            expect(page.locator(".stage .face")).to_have_count(2)
            expect(page.locator("article.source")).to_contain_text("Online since")
            expect(page.locator("article.source footer")).to_contain_text("5.0 frames/s")
            expect(page.locator("article.source footer")).to_contain_text("31 ms delay")
            expect(page.locator(BANDS).first).to_be_visible()
        expect(page.locator("article.source")).to_contain_text("Offline since")
        expect(page.locator(".stage .face")).to_have_count(0)
    expect(status).to_contain_text("Broker away since", timeout=30_000)
    with broker(mosquitto, broker_port), publishing(broker_port, camera):
        expect(status).to_contain_text("Live", timeout=60_000)
        expect(page.locator("article.source")).to_contain_text("Online")


def brightness(page: Page) -> float:
    color = page.evaluate("getComputedStyle(document.body).backgroundColor")
    red, green, blue = (int(part) for part in color[color.index("(") + 1 : -1].split(",")[:3])
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
