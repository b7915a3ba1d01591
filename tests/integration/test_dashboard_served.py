"""`mien dashboard` in a process of its own: its pages, its streams, its metrics, and all of its API at random."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from mien.config import Settings
from mien.dashboard.security.accounts import make_token, revoke, set_password
from mien.observation import Face, Observation, Probabilities, new_id
from mien.run.doctor import LOOKS
from mien.stores.base import open_store
from ports import unused_port

pytestmark = pytest.mark.timeout(300)
SESSION = new_id()
HAPPY = Face(1, (10, 10, 90, 90), 0.9, "happy", Probabilities(0.1, 0.0, 0.0, 0.6, 0.0, 0.1, 0.2))


def observe(source: str, time: datetime, seq: int = 0) -> Observation:
    return Observation(new_id(), source, SESSION, seq, time, None, seq, 640, 360, "mien-1@00000000", 5.0, [HAPPY])


@contextmanager
def dashboard(home: Path, *options: str, **environment: str) -> Iterator[str]:
    """Run it on a free port; yield its address."""
    port = unused_port()
    scheme = "https" if "--tls-cert" in options else "http"
    process = subprocess.Popen(
        [sys.executable, "-m", "mien", "dashboard", "--port", str(port), *options],
        env={**os.environ, "MIEN_HOME": str(home), **environment}, cwd=home,
    )  # fmt: skip
    address = f"{scheme}://127.0.0.1:{port}"
    try:
        end = time.monotonic() + 200  # machines may be busy
        while True:
            assert process.poll() is None, "the dashboard ended before it was ready"
            try:
                httpx.get(f"{address}/api/v1/health", verify=False, timeout=5)  # noqa: S501 - its own certificate
                break
            except httpx.HTTPError:
                assert time.monotonic() < end
                time.sleep(0.1)
        yield address
        process.terminate()
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("home")
    store = open_store(f"sqlite:///{home / 'mien.db'}")
    now = datetime.now(timezone.utc)
    store.add([observe("lobby", now - timedelta(seconds=30 * n), n) for n in range(100)])
    store.close()
    return home


@pytest.fixture(scope="module")
def address(home: Path) -> Iterator[str]:
    """The address of a dashboard that is open to this machine."""
    with dashboard(home, MIEN_DASHBOARD__REQUESTS_PER_S="100000") as address:
        yield address


def events(lines: Iterator[str]) -> Iterator[tuple[str, object]]:
    kind = ""
    for line in lines:
        if line.startswith("event: "):
            kind = line[7:]
        elif line.startswith("data: "):
            yield kind, json.loads(line[6:])


def test_the_stream_tells_of_what_arrives(address: str, home: Path) -> None:
    store = open_store(f"sqlite:///{home / 'mien.db'}")
    asked = {"source": ["lobby", "stage"]}
    with httpx.stream("GET", f"{address}/api/v1/live", params=asked, timeout=30) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        told = events(stream.iter_lines())
        kind, sources = next(told)
        assert kind == "sources"
        assert [source["source"] for source in sources] == ["lobby"]  # type: ignore[attr-defined]
        new = observe("stage", datetime.now(timezone.utc))
        store.add([observe("elsewhere", datetime.now(timezone.utc)), new])
        store.close()
        seen = set()
        for kind, body in told:
            if kind == "observation":
                seen.add(body["id"])  # type: ignore[index]
                assert body["source"] != "elsewhere"  # type: ignore[index]
            if new.id in seen:
                break


def test_the_doctor_warns_of_strangers_at_our_ports_alone(address: str, home: Path) -> None:
    port = int(address.rpartition(":")[2])
    with socket.socket() as stranger:
        stranger.bind(("127.0.0.1", 0))
        stranger.listen()
        for taken, state in ((port, "ok"), (stranger.getsockname()[1], "note")):
            settings = Settings(home=home, dashboard={"port": taken}, broker={"port": unused_port()})  # type: ignore[arg-type]
            assert LOOKS["ports"](settings)[0] == state


def test_metrics_are_prometheus_text(address: str) -> None:
    answer = httpx.get(f"{address}/api/v1/metrics", timeout=60)
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    lines = answer.text.splitlines()
    assert "mien_store_up 1.0" in lines
    assert "mien_broker_up 0.0" in lines
    assert 'mien_source_frames_total{source="lobby"} 100.0' in lines
    assert "# TYPE mien_source_frames_total counter" in lines


def test_a_random_walk_finds_no_server_error(address: str, home: Path, tmp_path: Path) -> None:
    """Schemathesis reads the OpenAPI document and asks, as an admin, what it allows, and what it does not."""
    header = f"Authorization: Bearer {make_token(home, 'walker', 'admin')}"
    checks = [
        "not_a_server_error", "status_code_conformance", "content_type_conformance", "response_schema_conformance",
        "unsupported_method",
    ]  # fmt: skip
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "run", f"{address}/api/v1/openapi.json", "--url", f"{address}/api"),
        *("--exclude-path", "/v1/live", "--phases", "coverage,fuzzing", "--max-examples", "3", "--max-time", "30"),
        *("--seed", "7", "--checks", ",".join(checks), "--generation-database", "none", "--no-color"),
        *("--header", header, "--report", "har", "--report-har-path", str(tmp_path / "walk.har")),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, cwd=tmp_path)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    walked = json.loads((tmp_path / "walk.har").read_text())["log"]["entries"]
    went_in = {operation(one["request"]) for one in walked if one["response"]["status"] not in (401, 403, 404, 405)}
    document = httpx.get(f"{address}/api/v1/openapi.json", timeout=60).json()
    routes = {(method.upper(), f"/api{path}") for path, methods in document["paths"].items() for method in methods}
    assert went_in >= {route for route in routes if "{" not in route[1]} - {("GET", "/api/v1/live")}


def operation(request: dict[str, Any]) -> tuple[str, str]:
    return request["method"], urlsplit(request["url"]).path


def updates(lines: Iterator[str]) -> Iterator[dict[str, Any]]:
    """Yield what a page's stream brings, update by update."""
    return (json.loads(line[6:]) for line in lines if line.startswith("data: "))


def test_a_pages_stream_brings_all_of_it_and_then_what_changes(address: str, home: Path) -> None:
    asked = {"period": "1h", "source": "lobby", "zone": "Europe/Berlin"}
    with httpx.stream("GET", f"{address}/events/history", params=asked, timeout=60) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        assert stream.headers["content-encoding"] == "gzip"
        coming = updates(stream.iter_lines())
        whole = next(coming)
        assert {"html:figures", "html:numbers", "text:chart-about", "call:plot", "call:sources"} <= set(whole)
        assert "Europe/Berlin" in whole["text:chart-about"]
        assert "lobby" in whole["call:sources"]
        marked = httpx.post(f"{address}/api/v1/markers", json={"label": "<b>now</b>"}, timeout=60).json()
        changed = next(update for update in coming if "html:markers" in update)
        assert "&lt;b&gt;now&lt;/b&gt;" in changed["html:markers"]
        assert "call:sources" not in changed
    httpx.delete(f"{address}/api/v1/markers/{marked['id']}", timeout=60)


@pytest.mark.parametrize("name", ["live", "history", "try", "reports", "system"])
def test_no_page_has_a_script_or_a_style_of_its_own(address: str, name: str) -> None:
    page = httpx.get(f"{address}/{name if name != 'live' else ''}", timeout=60)
    policy = dict(part.strip().split(" ", 1) for part in page.headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["connect-src"] == "'self'"
    empty = base64.b64encode(hashlib.sha256(b"").digest()).decode()
    assert policy["style-src"] == f"'self' 'sha256-{empty}'"
    assert "unsafe" not in page.headers["content-security-policy"]
    assert not re.search(r"<style|<script(?![^>]* src=)|\sstyle=|\son\w+=|javascript:", page.text)
    with httpx.stream("GET", f"{address}/events/{name}", timeout=60) as stream:
        parts = next(updates(stream.iter_lines()))
    assert "html:status" in parts
    filled = "".join(value for part, value in parts.items() if part.startswith("html:"))
    assert not re.search(r"<style|<script|\sstyle=|\son\w+=|javascript:", filled)


def test_pages_and_their_streams_refuse_foreign_pages(address: str) -> None:
    host = address.partition("://")[2]
    for headers, status in (
        ({}, 200), ({"origin": f"http://{host}"}, 200), ({"origin": "http://evil.example"}, 403),
        ({"host": "evil.example"}, 403), ({"origin": "null"}, 403), ({"x-forwarded-for": "10.0.0.7"}, 303),
    ):  # fmt: skip
        for path in ("/", "/events/live"):
            with httpx.stream("GET", address + path, headers=headers, timeout=60) as answer:
                assert answer.status_code == status, (path, headers)
    assert httpx.post(f"{address}/system/check", headers={"origin": "http://evil.example"}).status_code == 403
    assert httpx.post(f"{address}/system/check", headers={"origin": address}).status_code == 204


def test_there_are_no_websockets(address: str) -> None:
    host, port = address.partition("://")[2].split(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        lines = [
            "GET /events/none HTTP/1.1", f"Host: {host}:{port}", "Upgrade: websocket", "Connection: Upgrade",
            "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        ]  # fmt: skip
        connection.sendall("\r\n".join([*lines, "", ""]).encode())
        assert int(connection.recv(100).split()[1]) == 404


def test_what_is_not_there_is_a_page_for_people_and_an_error_for_programs(address: str) -> None:
    page = httpx.get(f"{address}/histories", headers={"accept": "text/html"}, timeout=60)
    assert (page.status_code, "There is no /histories" in page.text) == (404, True)
    gone = httpx.get(f"{address}/reports/{'0' * 32}/film.html", headers={"accept": "text/html"}, timeout=60)
    assert (gone.status_code, "it was deleted" in gone.text) == (404, True)
    assert "script-src 'self'" in gone.headers["content-security-policy"]
    assert httpx.get(f"{address}/histories", timeout=60).json()["error"]["code"] == "not_found"
    assert httpx.get(f"{address}/assets/../app.py", timeout=60).status_code == 404


def test_what_pages_load_is_kept_by_browsers_and_packed(address: str) -> None:
    page = httpx.get(f"{address}/history", timeout=60).text
    for name in ("mien.css", "mien.js", "history.js", "plotly.min.js", "roboto.woff2"):
        (place,) = set(re.findall(rf"/assets/{re.escape(name)}\?[0-9a-f]{{12}}", page))
        answer = httpx.get(address + place, timeout=60)
        assert (answer.status_code, "immutable" in answer.headers["cache-control"]) == (200, True)
        assert ("content-encoding" in answer.headers) == (name != "roboto.woff2")
        known = {"if-none-match": answer.headers["etag"]}
        assert httpx.get(address + place.partition("?")[0], headers=known, timeout=60).status_code == 304
        assert "no-cache" in httpx.get(f"{address}/assets/{name}?000000000000", timeout=60).headers["cache-control"]


def test_beyond_this_machine_it_asks_for_a_login_over_https(home: Path, tmp_path: Path) -> None:
    made = "openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 2 -subj /CN=localhost"
    subprocess.run(made.split(), cwd=tmp_path, check=True, capture_output=True)
    token = make_token(tmp_path, "grafana", "viewer")
    set_password(tmp_path, "ada", "editor", "correct horse battery")
    tls = ("--tls-cert", str(tmp_path / "cert.pem"), "--tls-key", str(tmp_path / "key.pem"))
    store = {"MIEN_STORE__URL": f"sqlite:///{home / 'mien.db'}"}
    with (
        dashboard(tmp_path, "--host", "0.0.0.0", *tls, **store) as address,  # noqa: S104
        httpx.Client(base_url=address, verify=False, timeout=30) as browser,  # noqa: S501
    ):
        assert browser.get("/api/v1/sources").status_code == 401
        assert browser.get("/history").headers["location"] == "/login?next=/history"
        assert "<form" in browser.get("/login").text
        bearer = {"authorization": f"Bearer {token}"}
        assert browser.get("/api/v1/sources", headers=bearer).status_code == 200
        form = {"name": "ada", "password": "correct horse battery"}
        cookie = browser.post("/login", data=form, headers={"origin": address}).headers["set-cookie"]
        assert cookie.startswith("__Host-mien-")
        assert "Secure" in cookie
        assert browser.get("/api/v1/me").json()["name"] == "ada"
        with browser.stream("GET", "/api/v1/live") as stream:
            told = stream.iter_lines()
            next(told)
            revoke(tmp_path, "ada")
            assert sum(1 for _ in told) < 1000, "the stream ends with the access"
        assert browser.get("/api/v1/me").status_code == 401


def test_a_login_whose_body_never_comes_does_not_hold_it_up_when_it_stops(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with dashboard(tmp_path) as address:
        host, _, port = address.partition("://")[2].partition(":")
        unfinished = []
        for path in ("/login", "/api/v1/markers", "/api/v1/uploads?name=a.mp4"):
            unfinished.append(socket.create_connection((host, int(port)), timeout=60))
            head = f"POST {path} HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Type: application/json\r\n"
            unfinished[-1].sendall(f"{head}Content-Length: 100\r\n\r\nname=".encode())
        time.sleep(1)
    for connection in unfinished:
        connection.close()
    said = "".join(capfd.readouterr())
    assert "Traceback" not in said
    assert "ERROR" not in said


def test_it_refuses_to_start_for_strangers(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mien", "dashboard", "--host", "0.0.0.0"],  # noqa: S104
        env={**os.environ, "MIEN_HOME": str(tmp_path)}, capture_output=True, text=True, timeout=200,
    )  # fmt: skip
    assert done.returncode == 2
    assert "nobody has access: make it with `mien access password NAME`" in done.stderr
