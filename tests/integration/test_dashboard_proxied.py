"""A dashboard under a path behind a real nginx, as deploy/nginx.conf has it: pages, login, stream, upload."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from datetime import datetime, timezone
from html import unescape
from pathlib import Path
from urllib.parse import urljoin

import httpx
import pytest
from test_dashboard_served import dashboard, observe

from mien.dashboard.security.accounts import make_token, set_password
from mien.stores.base import open_store
from proxying import nginx

pytestmark = pytest.mark.timeout(300)
PASSWORD = "correct horse battery"  # noqa: S105
PAGES = ("/", "/history", "/try", "/reports", "/system")
LINK = re.compile(r'(?<![\w-])(?:href|src|action)="([^"]*)"')
HEADER_LINES = (
    "proxy_http_version 1.1;", 'proxy_set_header Connection "";', "proxy_set_header Host $http_host;",
    "proxy_set_header X-Forwarded-For $remote_addr;", "proxy_set_header X-Forwarded-Host $http_host;",
    "proxy_set_header X-Forwarded-Proto $scheme;", "proxy_set_header X-Forwarded-Prefix /mien;",
)  # fmt: skip
"""What a proxy lacks that was set up without care: it then speaks HTTP/1.0, under the dashboard's own name."""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("proxied")
    store = open_store(f"sqlite:///{home / 'mien.db'}")
    store.add([observe("lobby", datetime.now(timezone.utc))])
    store.close()
    set_password(home, "ada", "admin", PASSWORD)
    return home


@pytest.fixture(scope="module")
def inside(home: Path) -> Iterator[str]:
    """The address of a dashboard that trusts proxies on this machine."""
    with dashboard(home, MIEN_DASHBOARD__TRUSTED_PROXIES="127.0.0.1") as address:
        yield address


@pytest.fixture(scope="module")
def address(inside: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of nginx before it."""
    with nginx(tmp_path_factory.mktemp("nginx"), inside) as address:
        yield address


@pytest.fixture
def stranger(address: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=address, verify=False, timeout=60) as client:  # noqa: S501 - its own certificate
        yield client


@pytest.fixture
def visitor(stranger: httpx.Client, address: str) -> httpx.Client:
    """A client that has logged in as ada."""
    form = {"name": "ada", "password": PASSWORD, "next": "/history?period=1h"}
    answer = stranger.post("/mien/login", data=form, headers={"origin": address})
    assert (answer.status_code, answer.headers["location"]) == (303, "/mien/history?period=1h")
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("__Secure-mien-")
    assert {"Path=/mien/", "Secure", "HttpOnly"} <= set(cookie.split("; "))
    return stranger


def test_a_stranger_gets_the_login_alone(stranger: httpx.Client) -> None:
    assert stranger.get("/mien").headers["location"] == "/mien/"
    for page in PAGES:
        answer = stranger.get(f"/mien{page}")
        assert answer.status_code == 303
        assert answer.headers["location"].startswith("/mien/login?next=/")
    assert stranger.get("/mien/api/v1/me").status_code == 401
    assert stranger.get("/mien/api/v1/health").status_code == 200


def test_every_link_of_every_page_leads_below_the_path(visitor: httpx.Client, address: str) -> None:
    places = {f"{address}/mien{page}" for page in PAGES}
    for page in (*PAGES, "/login", "/reports/gone/film.html"):
        answer = visitor.get(f"/mien{page}", headers={"accept": "text/html"})
        links = [unescape(link) for link in LINK.findall(answer.text) if link[0] != "#"]
        assert links or page == "/login"
        places |= {urljoin(f"{address}/mien{page}", link) for link in links}
    for place in sorted(places):
        assert place.startswith(f"{address}/mien/"), place
        answer = visitor.get(place)
        assert answer.status_code in ({405} if place.endswith("/logout") else {200}), place
    assert visitor.get("/mien/history/").headers["location"] == f"{address}/mien/history"
    assert visitor.get("/mien/api/v1/openapi.json").json()["servers"] == [{"url": "/mien/api"}]


def test_the_pieces_that_streams_bring_have_no_link_from_the_root(visitor: httpx.Client) -> None:
    with visitor.stream("GET", "/mien/events/live?zone=UTC") as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        lines = stream.iter_lines()
        text = ""
        while "history?source=lobby" not in text:
            text += next(lines)
    assert re.search(r'(?:href|src|action)=\\"/', text) is None


def test_events_come_at_once(visitor: httpx.Client) -> None:
    began = time.monotonic()
    with visitor.stream("GET", "/mien/api/v1/live") as stream:
        lines = (line for line in stream.iter_lines() if line)
        assert next(lines) == "retry: 2000"
        assert next(lines) == "event: sources"
    assert time.monotonic() - began < 15  # a proxy that buffers would hold these for a minute


def test_a_file_is_sent_past_the_bounds_of_a_usual_proxy(visitor: httpx.Client, address: str) -> None:
    content = b"RIFF\0\0\0\0AVI LIST" + bytes(12 << 20)
    answer = visitor.post(
        "/mien/api/v1/uploads?name=film.avi", content=content,
        headers={"origin": address, "content-type": "application/octet-stream"},
    )  # fmt: skip
    assert answer.status_code == 201, answer.text
    assert answer.json()["bytes"] == len(content)


@pytest.mark.parametrize(
    "lie",
    [
        {"x-forwarded-prefix": "//evil.example"},
        {"x-forwarded-host": "evil.example"},
        {"x-forwarded-for": "127.0.0.1"},
        {"x-forwarded-proto": "javascript"},
        {"forwarded": "for=127.0.0.1;host=evil.example;proto=http"},
        {"x-real-ip": "127.0.0.1"},
    ],
)
def test_lies_of_a_visitor_do_not_get_through(stranger: httpx.Client, lie: dict[str, str]) -> None:
    answer = stranger.get("/mien/history", headers=lie)
    assert (answer.status_code, answer.headers["location"]) == (303, "/mien/login?next=/history")
    assert "evil" not in stranger.get("/mien/login", headers=lie).text


def test_who_comes_from_a_trusted_address_is_not_local(inside: str) -> None:
    assert httpx.get(f"{inside}/api/v1/me", timeout=60).status_code == 401
    assert httpx.get(f"{inside}/login", headers={"x-forwarded-prefix": "/a, /b"}, timeout=60).status_code == 400


@pytest.mark.parametrize("left_out", [(), HEADER_LINES], ids=["as in deploy", "nothing set"])
def test_a_proxy_that_is_not_listed_makes_nobody_local(tmp_path: Path, left_out: tuple[str, ...]) -> None:
    """Neither as deploy/nginx.conf has it, nor as nginx is where nobody tells it to set a header."""
    home = tmp_path / "home"
    home.mkdir()
    with dashboard(home) as inside, nginx(tmp_path / "nginx", inside, tls=False, left_out=left_out) as address:
        assert httpx.get(f"{inside}/api/v1/me", timeout=60).json()["role"] == "admin"
        answer = httpx.get(f"{address}/mien/api/v1/me", timeout=60)
        assert answer.status_code == 401, answer.text
        token = make_token(home, "grafana", "viewer")
        bearer = {"authorization": f"Bearer {token}"}
        assert httpx.get(f"{address}/mien/api/v1/me", headers=bearer, timeout=60).json()["role"] == "viewer"
