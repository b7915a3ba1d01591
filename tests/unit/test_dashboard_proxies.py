"""Behind a proxy: who may say for whom it asks, where links then lead, and that nobody forwarded is taken for local."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request
from starlette.types import ASGIApp, Receive, Scope, Send

from asking import Client, serving
from mien.config import OWN_PATHS, load, parse_networks
from mien.dashboard.base_path import base_of, path_below
from mien.dashboard.pages.router import NAVIGATION
from mien.dashboard.rendering import STATIC
from mien.dashboard.security import accounts as access_module
from mien.dashboard.security.accounts import Access, set_password
from mien.dashboard.security.guard import Guard
from mien.dashboard.security.login import Login
from mien.dashboard.security.proxies import FORWARDING, Proxies
from mien.dashboard.security.roles import who_asks
from mien.dashboard.security.sessions import Sessions
from mien.errors import ConfigError

PASSWORD = "correct horse battery"  # noqa: S105
PROXY = "10.1.2.3"
SAID = {
    "x-forwarded-for": "203.0.113.9",
    "x-forwarded-host": "mien.example",
    "x-forwarded-proto": "https",
    "x-forwarded-prefix": "/mien",
}


class Peer:
    """An application whose requests come from an address."""

    def __init__(self, app: ASGIApp) -> None:
        self.app, self.address, self.version = app, "127.0.0.1", "1.1"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app({**scope, "client": (self.address, 5), "http_version": self.version}, receive, send)


class Behind:
    """Login, API and an application that tells what it sees, behind a guard with proxies."""

    def __init__(self, home: Path, client: Client, root_path: str = "", **options: Any) -> None:
        self.access = Access(home)
        sessions = Sessions(self.access, home / "sessions.json", 60)
        self.login = Login(self.access, sessions, "mien", 60)
        app = FastAPI(openapi_url=None)
        app.include_router(self.login.router)
        app.add_api_route("/", self.tell)
        app.add_api_route("/history", self.tell)
        app.mount("/", client.inner)
        proxies = Proxies(f"{PROXY}, 2001:db8::/64, 127.0.0.9", root_path)
        guard = Guard(
            app, "127.0.0.1", ["mien.example"], access=self.access, sessions=sessions, proxies=proxies, per_s=1e6,
            **options,
        )  # fmt: skip
        self.peer = Peer(guard)
        self.client = Client(self.peer, client.loop)

    async def tell(self, request: Request) -> dict[str, Any]:
        who = who_asks(request.scope)
        return {
            "base": base_of(request.scope), "path": path_below(request.scope), "url": str(request.url),
            "client": request.client.host if request.client else None, "who": who.name if who else None,
        }  # fmt: skip

    def ask(self, path: str = "/", address: str = PROXY, method: str = "GET", **options: Any) -> httpx.Response:
        self.peer.address = address
        return self.client.request(method, path, **options)


@pytest.fixture(scope="module", autouse=True)
def quick_hashes() -> Iterator[None]:
    patch = pytest.MonkeyPatch()
    patch.setitem(access_module.SCRYPT, "n", 16)
    yield
    patch.undo()


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with serving(tmp_path_factory.mktemp("proxies")) as client:
        yield client


@pytest.fixture(scope="module")
def behind(tmp_path_factory: pytest.TempPathFactory, client: Client) -> Iterator[Behind]:
    home = tmp_path_factory.mktemp("behind")
    set_password(home, "ada", "editor", PASSWORD)
    behind = Behind(home, client)
    yield behind
    behind.login.close()


@pytest.fixture(scope="module")
def rooted(tmp_path_factory: pytest.TempPathFactory, client: Client) -> Iterator[Behind]:
    behind = Behind(tmp_path_factory.mktemp("rooted"), client, "/mien/")
    yield behind
    behind.login.close()


@pytest.fixture(scope="module")
def session(behind: Behind) -> dict[str, str]:
    """The headers of ada's requests through the proxy."""
    origin = {"origin": "https://mien.example", **SAID}
    form = {"name": "ada", "password": PASSWORD, "next": "/history?period=1h"}
    answer = behind.ask("/login", method="POST", data=form, headers=origin)
    assert answer.status_code == 303, answer.text
    assert answer.headers["location"] == "/mien/history?period=1h"
    cookie, *flags = answer.headers["set-cookie"].split("; ")
    assert cookie.startswith("__Secure-mien=")
    assert {"Path=/mien/", "Secure", "HttpOnly"} <= set(flags)
    return {"cookie": cookie, **origin}


def test_a_trusted_proxy_is_believed(behind: Behind, session: dict[str, str]) -> None:
    answer = behind.ask("/history?period=1h", headers=session)
    assert answer.json() == {
        "base": "/mien", "path": "/history", "url": "https://mien.example/mien/history?period=1h",
        "client": "203.0.113.9", "who": "ada",
    }  # fmt: skip


def test_whoever_came_through_it_logs_in_under_the_path(behind: Behind) -> None:
    answer = behind.ask("/history?period=1h", headers=SAID)
    assert answer.status_code == 303
    assert answer.headers["location"] == "/mien/login?next=/history%3Fperiod%3D1h"
    page = behind.ask("/login?next=/history", headers=SAID).text
    assert 'action="/mien/login"' in page
    assert 'name="next" value="/history"' in page
    assert 'href="/mien/assets/login.css?' in page
    assert '="/login' not in page
    assert "/mien/login" in behind.ask("/api/v1/sources", headers=SAID).json()["error"]["message"]


def test_who_knows_the_path_without_its_slash_is_sent_on(rooted: Behind) -> None:
    answer = rooted.ask("/mien?kiosk=1", "127.0.0.1")
    assert (answer.status_code, answer.headers["location"]) == (307, "/mien/?kiosk=1")


def test_the_path_may_be_a_setting_and_be_passed_on_or_taken_away(rooted: Behind) -> None:
    for path in ("/mien/history", "/history"):
        told = rooted.ask(path, "127.0.0.1").json()
        assert (told["base"], told["path"], told["who"]) == ("/mien", "/history", "local")
    assert rooted.ask("/mienhistory", "127.0.0.1").status_code == 404
    document = rooted.ask("/mien/api/v1/openapi.json", "127.0.0.1").json()
    assert document["servers"] == [{"url": "/mien/api"}]
    lost = rooted.ask("/mien/api/v1/lost", "127.0.0.1").json()["error"]["message"]
    assert lost == "there is no /mien/api/v1/lost: see /mien/api/v1/openapi.json"


def test_the_document_of_the_api_stands_under_the_path(behind: Behind, session: dict[str, str]) -> None:
    document = behind.ask("/api/v1/openapi.json", headers=session).json()
    assert document["servers"] == [{"url": "/mien/api"}]


def test_logging_out_ends_the_cookie_of_the_path_and_clears_nothing_beside_it(behind: Behind) -> None:
    origin = {"origin": "https://mien.example", **SAID}
    made = behind.ask("/login", method="POST", data={"name": "ada", "password": PASSWORD}, headers=origin)
    cookie = made.headers["set-cookie"].partition(";")[0]
    answer = behind.ask("/logout", method="POST", headers={"cookie": cookie, **origin})
    assert (answer.status_code, answer.headers["location"]) == (303, "/mien/login")
    assert "Path=/mien/" in answer.headers["set-cookie"]
    assert "clear-site-data" not in answer.headers
    assert behind.ask("/", headers={"cookie": cookie, **SAID}).status_code == 303


def test_at_the_root_over_https_the_cookie_is_bound_to_its_host(behind: Behind) -> None:
    said = {**SAID, "x-forwarded-prefix": "/", "origin": "https://mien.example"}
    answer = behind.ask("/login", method="POST", data={"name": "ada", "password": PASSWORD}, headers=said)
    assert answer.headers["set-cookie"].startswith("__Host-mien=")
    assert "Path=/;" in answer.headers["set-cookie"]
    assert answer.headers["location"] == "/"


@pytest.mark.parametrize("address", ["203.0.113.5", "127.0.0.1", "::1", "10.1.2.4"])
def test_of_strangers_nothing_is_believed(behind: Behind, address: str) -> None:
    answer = behind.ask("/login", address, headers=SAID)
    assert 'action="/login"' in answer.text
    assert "/mien" not in answer.text
    told = behind.ask("/history", address, headers=SAID)
    assert (told.status_code, told.headers["location"]) == (303, "/login?next=/history")
    forged = {**SAID, "host": "evil.example", "x-forwarded-host": "localhost"}
    assert behind.ask("/login", address, headers=forged).status_code == 403


@pytest.mark.parametrize("name", sorted({*FORWARDING, *SAID, "x-forwarded-port", "cf-ray", "x-original-url"}))
@pytest.mark.parametrize("value", ["127.0.0.1", "", "localhost"])
def test_a_request_that_bears_a_header_of_proxies_is_not_local(behind: Behind, name: str, value: str) -> None:
    assert behind.ask("/", "127.0.0.1").json()["who"] == "local"
    assert behind.ask("/", "127.0.0.1", headers={name: value}).status_code == 303
    assert behind.ask("/api/v1/me", "127.0.0.1", headers={name: value}).status_code == 401


def test_what_came_by_http_1_0_is_not_local(behind: Behind) -> None:
    """So nginx speaks to a server, and under that server's own name, where it is not told anything else."""
    behind.peer.version = "1.0"
    try:
        assert behind.ask("/api/v1/me", "127.0.0.1").status_code == 401
    finally:
        behind.peer.version = "1.1"


@pytest.mark.parametrize("headers", [{}, {"x-forwarded-for": "127.0.0.1"}, {**SAID, "x-forwarded-host": "localhost"}])
def test_a_trusted_proxy_on_this_machine_is_not_local_whatever_it_says(behind: Behind, headers: dict[str, str]) -> None:
    assert behind.ask("/api/v1/me", "127.0.0.9", headers=headers).status_code == 401


@pytest.mark.parametrize(
    ("said", "viewer"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("198.51.100.1, 203.0.113.9", "203.0.113.9"),  # what stands before the last is its sender's word
        ("127.0.0.1, 203.0.113.9, 10.1.2.3, 2001:db8::5", "203.0.113.9"),
        ("<script>, 203.0.113.9:4711", "203.0.113.9"),
        ("[2001:db9::1]:443", "2001:db9::1"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("10.1.2.3", "10.1.2.3"),
        ("", PROXY),
        ("203.0.113.9,", PROXY),
    ],
)
def test_whose_a_request_is_is_read_from_the_end(
    behind: Behind, session: dict[str, str], said: str, viewer: str
) -> None:
    assert behind.ask(headers={**session, "x-forwarded-for": said}).json()["client"] == viewer


def test_the_lines_of_a_header_are_read_as_one(behind: Behind, session: dict[str, str]) -> None:
    lines = [*session.items(), ("x-forwarded-for", "10.1.2.3")]
    assert behind.ask(headers=lines).json()["client"] == "203.0.113.9"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[
            ("x-forwarded-prefix", value)
            for value in (
                "//evil.example", "/mien//evil", "/\\evil.example", "\\\\evil", "javascript:alert(1)",
                "https://evil.example", "/mien, /evil", "/../admin", "/mien/..", "/./", "mien", "/a b", '/"><script>',
                "/%2f%2fevil", "/mien%0d%0aX: y", "/mien?x", "/mien#x", "/mien;x", "/" + "a" * 200, "/a" * 101,
                "/mién", "//",
            )
        ],
        *[
            ("x-forwarded-host", value)
            for value in (
                "a.example, mien.example", "mien.example/evil", "user@mien.example", "mien.example:99999999", "a" * 300,
                "http://mien.example", "mien.example:", "[::1", "mien .example",
            )
        ],
        *[("x-forwarded-proto", value) for value in ("https, http", "javascript", "ftp", "https:", "wss", "h" * 5000)],
        *[("x-forwarded-for", value) for value in ("unknown", "203.0.113", "javascript:1", "a" * 5000, "x, 10.1.2.3")],
    ],
)  # fmt: skip
def test_what_a_trusted_proxy_lets_through_is_checked(
    behind: Behind, session: dict[str, str], name: str, value: str
) -> None:
    headers = {**session, name: value}.items()
    answer = behind.ask("/history", headers=[(key, text.encode()) for key, text in headers])
    assert answer.status_code == 400, answer.text
    message = answer.json()["error"]["message"]
    assert message.startswith(f"a proxy sent {name} with ")
    assert len(message) < 400
    assert "location" not in answer.headers
    assert "content-security-policy" in answer.headers


@pytest.mark.parametrize("name", ["x-forwarded-prefix", "x-forwarded-host", "x-forwarded-proto"])
def test_a_header_that_comes_twice_is_refused(behind: Behind, session: dict[str, str], name: str) -> None:
    answer = behind.ask(headers=[*session.items(), (name, SAID[name])])
    assert answer.status_code == 400
    assert name in answer.json()["error"]["message"]


def test_a_proxy_names_no_host_that_is_not_the_dashboards(behind: Behind) -> None:
    answer = behind.ask("/login", headers={**SAID, "x-forwarded-host": "evil.example"})
    assert answer.status_code == 403
    assert "allowed_hosts" in answer.text


def test_pages_of_other_origins_are_refused_behind_it_too(behind: Behind, session: dict[str, str]) -> None:
    answer = behind.ask("/api/v1/markers", method="POST", headers={**session, "origin": "https://evil.example"})
    assert answer.status_code == 403


def test_wrong_passwords_are_counted_for_the_viewer_not_the_proxy(tmp_path: Path, client: Client) -> None:
    set_password(tmp_path, "ada", "editor", PASSWORD)
    behind = Behind(tmp_path, client)

    def enter(viewer: str, password: str) -> int:
        headers = {**SAID, "x-forwarded-for": viewer, "origin": "https://mien.example"}
        form = {"name": "ada", "password": password}
        return behind.ask("/login", method="POST", data=form, headers=headers).status_code

    try:
        assert [enter("203.0.113.1", "wrong") for _ in range(11)] == [401] * 10 + [429]
        assert enter("203.0.113.2", PASSWORD) == 303
    finally:
        behind.login.close()


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("trusted_proxies", "10.0.0.300", "expected addresses or networks"),
        ("trusted_proxies", "10.0.0.1/8", "expected addresses or networks"),
        ("trusted_proxies", "proxy.example", "expected addresses or networks"),
        ("trusted_proxies", "0.0.0.0/0", "is everybody"),
        ("trusted_proxies", "::/0", "is everybody"),
        ("root_path", "mien", "expected a path such as /mien"),
        ("root_path", "//mien", "expected a path such as /mien"),
        ("root_path", "/reports", "paths of its own that begin with /reports"),
        ("root_path", "/api/mien/", "paths of its own that begin with /api"),
    ],
)
def test_settings_that_cannot_be_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str, expected: str
) -> None:
    (tmp_path / "mien.toml").write_text(f"[dashboard]\n{name} = {json.dumps(value)}\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=expected):
        load()


def test_no_page_and_no_script_names_an_address_from_the_root() -> None:
    """A page has its base before it, a piece that streams bring is relative to the page, a script has `base`."""
    folder = STATIC.parent
    texts = [*(folder / "templates").rglob("*.html"), *STATIC.glob("*.js"), *STATIC.glob("*.css")]
    assert len(texts) > 20
    for path in texts:
        text = path.read_text(encoding="utf-8")
        assert re.findall(r"""(?:(?:href|src|action)=["']|url\(["']?)/.*""", text) == [], path
        assert re.findall(rf"""["'`]/(?:{"|".join(sorted(OWN_PATHS))})\b.*""", text) == [], path


def test_the_paths_that_a_base_may_not_have_are_those_of_the_dashboard() -> None:
    firsts = {path.strip("/").partition("/")[0] for path, _ in NAVIGATION.values()} - {""}
    assert firsts | {"api", "assets", "events", "favicon.ico", "login", "logout"} == OWN_PATHS


def test_networks_and_addresses_are_parsed() -> None:
    assert [str(network) for network in parse_networks(" 127.0.0.1, 10.0.0.0/8 ,,2001:db8::/64")] == [
        "127.0.0.1/32", "10.0.0.0/8", "2001:db8::/64",
    ]  # fmt: skip
    assert parse_networks("") == ()
