"""Who gets in, as what, and who does not: tokens, passwords, sessions, roles, throttling, foreign pages."""

from __future__ import annotations

import json
import re
import socket
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from asking import Client, serving
from mien.config import Settings
from mien.dashboard.security import accounts as access_module
from mien.dashboard.security.accounts import Access, entries, make_token, revoke, set_password
from mien.dashboard.security.guard import Guard
from mien.dashboard.security.login import Login
from mien.dashboard.security.rate_limits import Attempts, Rate, network
from mien.dashboard.security.roles import LOCAL, ROLES, Caller
from mien.dashboard.security.sessions import Sessions
from mien.dashboard.security.startup_checks import checked_access, tls_options
from mien.errors import ConfigError, UsageError

PASSWORD = "correct horse battery"  # noqa: S105
ORIGIN = {"origin": "http://localhost"}
STRENGTH = dict(access_module.SCRYPT)


class Door:
    """A dashboard's login and API behind a guard that lets nobody in without."""

    def __init__(self, home: Path, client: Client, **options: Any) -> None:
        self.home, self.client = home, client
        self.access = Access(home)
        self.sessions = Sessions(self.access, home / "sessions.json", 60)
        self.login = Login(self.access, self.sessions, "mien", 60)
        app = FastAPI(openapi_url=None)
        app.include_router(self.login.router)
        app.add_api_route("/", lambda: "the page")
        app.add_api_route("/assets/mien.js", lambda: "a script")
        app.mount("/", client.inner)
        self.guard = Guard(
            app, "127.0.0.1", access=self.access, sessions=self.sessions, always=True, per_s=1e6, **options
        )
        self.outside = Client(self.guard, client.loop)

    def log_in(self, name: str, password: str = PASSWORD, **form: str) -> httpx.Response:
        return self.outside.post("/login", data={"name": name, "password": password, **form}, headers=ORIGIN)

    def cookie(self, name: str) -> dict[str, str]:
        answer = self.log_in(name)
        assert answer.status_code == 303, answer.text
        return {"cookie": answer.headers["set-cookie"].partition(";")[0], **ORIGIN}


@pytest.fixture(scope="module", autouse=True)
def no_demo() -> Iterator[None]:
    """A demo that really plays would make a store in the door's folder, whenever it gets to it."""
    patch = pytest.MonkeyPatch()
    patch.setattr("mien.dashboard.jobs.demo.DemoPlayer.start", lambda _: None)
    yield
    patch.undo()


@pytest.fixture(scope="module", autouse=True)
def quick_hashes() -> Iterator[None]:
    """Let hashes take no time; how strong they are is a test of its own."""
    patch = pytest.MonkeyPatch()
    patch.setitem(access_module.SCRYPT, "n", 16)
    yield
    patch.undo()


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    home = tmp_path_factory.mktemp("door")
    with serving(home) as client:
        door = Door(home, client)
        set_password(home, "ada", "editor", PASSWORD)
        yield door
        door.login.close()


@pytest.fixture(scope="module")
def tokens(door: Door) -> dict[str, dict[str, str]]:
    """The header of a token for each role, of none, and of a wrong one."""
    made = {role: {"authorization": f"Bearer {make_token(door.home, f'the-{role}', role)}"} for role in ROLES}
    return {"nobody": {}, "wrong": {"authorization": "Bearer mien_" + "x" * 43}, **made}


def test_what_is_kept_is_hashed_and_its_owners_alone(door: Door, tokens: dict[str, dict[str, str]]) -> None:
    door.cookie("ada")
    for name in ("access.json", "sessions.json"):
        file = door.home / name
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        text = file.read_text()
        assert PASSWORD not in text
        assert not any(header and header["authorization"].split()[1] in text for header in tokens.values())
    assert len(entries(door.home)) == 4


MARKER = "/api/v1/markers/01970000-0000-7000-8000-000000000000"
REPORT = f"/api/v1/reports/{'0' * 32}"
VIDEO = f"/api/v1/videos/{'0' * 32}"
MATRIX: list[tuple[str, str, dict[str, int]]] = [
    # 422, 503 and 404: let in, and found nothing asked for, no store, preview, marker or report
    ("GET", "/api/v1/health", {"nobody": 200, "wrong": 200, "viewer": 200, "editor": 200, "admin": 200}),
    ("GET", "/api/v1/openapi.json", {"viewer": 200, "editor": 200, "admin": 200}),
    ("GET", "/api/v1/me", {"viewer": 200, "editor": 200, "admin": 200}),
    ("GET", "/api/v1/sources", {"viewer": 200, "editor": 200, "admin": 200}),
    ("GET", "/api/v1/sources/lobby/preview", {"viewer": 404, "editor": 404, "admin": 404}),
    ("POST", "/api/v1/sources/lobby/preview", {"viewer": 403, "editor": 403, "admin": 422}),
    ("GET", "/api/v1/metrics", {"viewer": 200, "editor": 200, "admin": 200}),
    ("GET", "/api/v1/summary", {"viewer": 503, "editor": 503, "admin": 503}),
    ("GET", "/api/v1/timeline", {"viewer": 503, "editor": 503, "admin": 503}),
    ("GET", "/api/v1/observations", {"viewer": 503, "editor": 503, "admin": 503}),
    ("GET", "/api/v1/export", {"viewer": 503, "editor": 503, "admin": 503}),
    ("GET", "/api/v1/live", {}),  # it does not end: see test_dashboard_served.py
    ("GET", "/api/v1/markers", {"viewer": 503, "editor": 503, "admin": 503}),
    ("POST", "/api/v1/analyze", {"viewer": 422, "editor": 422, "admin": 422}),
    ("POST", "/api/v1/videos", {"viewer": 403, "editor": 422, "admin": 422}),
    ("GET", VIDEO, {"viewer": 403, "editor": 404, "admin": 404}),
    ("GET", f"{VIDEO}/csv", {"viewer": 403, "editor": 404, "admin": 404}),
    ("DELETE", VIDEO, {"viewer": 403, "editor": 404, "admin": 404}),
    ("DELETE", MARKER, {"viewer": 403, "editor": 503, "admin": 503}),
    ("POST", "/api/v1/markers", {"viewer": 403, "editor": 422, "admin": 422}),
    ("POST", "/api/v1/uploads", {"viewer": 403, "editor": 422, "admin": 422}),
    ("GET", "/api/v1/reports", {"viewer": 200, "editor": 200, "admin": 200}),
    ("POST", "/api/v1/reports", {"viewer": 403, "editor": 422, "admin": 422}),
    ("POST", "/api/v1/examples/x", {"viewer": 403, "editor": 422, "admin": 422}),
    ("GET", "/api/v1/alerts", {"viewer": 403, "editor": 403, "admin": 200}),
    ("POST", "/api/v1/alerts", {"viewer": 403, "editor": 403, "admin": 422}),
    ("POST", "/api/v1/alert-test", {"viewer": 403, "editor": 403, "admin": 422}),
    ("DELETE", "/api/v1/alerts/x", {"viewer": 403, "editor": 403, "admin": 404}),
    ("GET", "/api/v1/demo", {"viewer": 200, "editor": 200, "admin": 200}),
    ("POST", "/api/v1/demo", {"viewer": 403, "editor": 202, "admin": 202}),
    ("DELETE", "/api/v1/demo", {"viewer": 403, "editor": 202, "admin": 202}),
    ("GET", REPORT, {"viewer": 404, "editor": 404, "admin": 404}),
    ("GET", f"{REPORT}/names", {"viewer": 403, "editor": 404, "admin": 404}),
    ("POST", f"{REPORT}/names", {"viewer": 403, "editor": 422, "admin": 422}),
    ("DELETE", REPORT, {"viewer": 403, "editor": 404, "admin": 404}),
]


@pytest.mark.parametrize(("method", "path", "expected"), MATRIX, ids=[f"{one[0]} {one[1]}" for one in MATRIX])
def test_each_role_may_what_it_may_and_no_more(
    door: Door, tokens: dict[str, dict[str, str]], method: str, path: str, expected: dict[str, int]
) -> None:
    for role, headers in tokens.items():
        if path.endswith("/live") and role in ROLES:
            continue
        answer = door.outside.request(method, path, headers=headers)
        assert answer.status_code == expected.get(role, 401), f"{role}: {answer.text}"
        if answer.status_code >= 400:
            assert set(answer.json()["error"]) == {"code", "message"}


def test_the_matrix_has_every_route(door: Door) -> None:
    document = door.client.get("/v1/openapi.json").json()
    routes = {(method.upper(), f"/api{path}") for path, methods in document["paths"].items() for method in methods}
    tried = {(method, re.sub(r"/[0-9a-f-]{32,}", "/{key}", path)) for method, path, _ in MATRIX}
    tried = {
        (
            method,
            path.replace("/csv", "/{kind}")
            .replace("examples/x", "examples/{kind}")
            .replace("alerts/x", "alerts/{name}"),
        )
        for method, path in tried
    }
    tried = {(method, path.replace("/lobby/", "/{source}/")) for method, path in tried}
    assert routes == tried - {("GET", "/api/v1/openapi.json")}


@pytest.mark.parametrize("path", sorted({path for _, path, _ in MATRIX}))
def test_strangers_may_use_no_method(door: Door, path: str) -> None:
    for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "FOO"):
        answer = door.outside.request(method, path)
        assert answer.status_code in ((200, 405) if path.endswith("/health") else (401,)), method


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/assets/mien.js",
        "/events/live",
        "/LOGIN",
        "//login",
        "/login/",
        "/assets/login.css/..",
        "/%6cogin/x",
    ],
)
def test_strangers_are_sent_to_the_login(door: Door, path: str) -> None:
    answer = door.outside.get(path)
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/login?next=/")
    assert "the page" not in answer.text


def test_editors_delete_their_own_markers_and_admins_all(door: Door, tokens: dict[str, dict[str, str]]) -> None:
    keys = []
    for role in ("editor", "admin", "admin"):
        made = door.outside.post("/api/v1/markers", json={"label": role}, headers=tokens[role]).json()
        assert made["created_by"] == f"the-{role}"
        keys.append(made["id"])
    refused = door.outside.request("DELETE", f"/api/v1/markers/{keys[1]}", headers=tokens["editor"])
    assert (refused.status_code, "the-admin" in refused.text) == (403, True)
    for key, role in ((keys[0], "editor"), (keys[1], "admin"), (keys[2], "admin")):
        assert door.outside.request("DELETE", f"/api/v1/markers/{key}", headers=tokens[role]).status_code == 204
    (door.home / "mien.db").unlink()  # the matrix is of no store


def test_a_login_begins_a_session_and_logout_ends_it(door: Door) -> None:
    answer = door.log_in("ada", next="/history?period=7d")
    assert (answer.status_code, answer.headers["location"]) == (303, "/history?period=7d")
    cookie = answer.headers["set-cookie"]
    for part in ("HttpOnly", "SameSite=strict", "Path=/", "Max-Age=60"):
        assert part in cookie
    assert "Secure" not in cookie
    headers = {"cookie": cookie.partition(";")[0], **ORIGIN}
    assert door.outside.get("/api/v1/me", headers=headers).json() == {"name": "ada", "role": "editor", "login": True}
    assert door.outside.get("/login?next=/x", headers=headers).headers["location"] == "/x"
    out = door.outside.post("/logout", headers=headers)
    assert (out.status_code, out.headers["location"]) == (303, "/login")
    assert door.outside.get("/api/v1/me", headers=headers).status_code == 401


def test_behind_a_proxy_with_https_the_cookie_is_for_https(door: Door) -> None:
    form = {"name": "ada", "password": PASSWORD}
    answer = door.outside.post("/login", data=form, headers={"origin": "https://localhost"})
    assert "Secure" in answer.headers["set-cookie"]


@pytest.mark.parametrize(
    "onward",
    [
        "//evil.example",
        "/\\evil.example",
        "https://evil.example",
        "javascript:alert(1)",
        "/\r\nx: y",
        "evil",
        "",
        "/login",
        "/\t/evil.example",
        "/ /evil.example",
    ],
)
def test_a_login_leads_to_no_other_site(door: Door, onward: str) -> None:
    assert door.log_in("ada", next=onward).headers["location"] == "/"
    shown = door.outside.get("/login", params={"next": onward}).text
    assert 'name="next" value="/"' in shown


def test_nothing_of_the_request_becomes_html(door: Door) -> None:
    text = door.outside.get("/login", params={"next": '/"><script>alert(1)</script>'}).text
    assert "<script" not in text


def test_a_token_logs_in_too(door: Door, tokens: dict[str, dict[str, str]]) -> None:
    token = tokens["viewer"]["authorization"].split()[1]
    assert door.log_in("the-viewer", token).status_code == 303
    assert door.log_in("the-viewer", token + "x").status_code == 401
    assert door.log_in("the-editor", token).status_code == 401


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"name=ada",
        b"password=x",
        b"\xff\xfe",
        b"name=ada&password=" + b"x" * 5000,
        b"&" * 5000,
        b"name=%00&password=%00",
        b"name=nobody&password=x",
        b"name=ada&password=",
    ],
)
def test_what_is_no_login_is_refused(door: Door, content: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    fresh = Login(door.access, door.sessions, "mien", 60)
    monkeypatch.setattr(door.login, "_by_address", fresh._by_address)
    monkeypatch.setattr(door.login, "_by_name", fresh._by_name)
    fresh.close()
    headers = {"content-type": "application/x-www-form-urlencoded", **ORIGIN}
    assert door.outside.post("/login", content=content, headers=headers).status_code == 401


def test_a_revoked_access_ends_its_sessions_and_tokens_at_once(door: Door) -> None:
    set_password(door.home, "eve", "admin", PASSWORD)
    headers = door.cookie("eve")
    assert door.outside.get("/api/v1/me", headers=headers).status_code == 200
    revoke(door.home, "eve")
    assert door.outside.get("/api/v1/me", headers=headers).status_code == 401
    set_password(door.home, "eve", "admin", PASSWORD)
    assert door.outside.get("/api/v1/me", headers=headers).status_code == 401, "the old session stays ended"
    revoke(door.home, "eve")


def test_sessions_expire_outlive_a_restart_and_are_bounded(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    path = door.home / "others.json"
    sessions = Sessions(door.access, path, 60)
    entry = door.access.entry("ada")
    assert entry
    key = sessions.begin(entry)
    assert Sessions(door.access, path, 60).who(key) == Caller("ada", "editor", login=True)
    for wrong in ("", key[:-1], key + "x", "\ud800"):
        assert sessions.who(wrong) is None
    monkeypatch.setattr("mien.dashboard.security.sessions.MOST", 5)
    newer = [sessions.begin(entry) for _ in range(5)]
    assert sessions.who(key) is None
    assert all(sessions.who(one) for one in newer)
    now = time.time()
    monkeypatch.setattr("mien.dashboard.security.sessions.clock.time", lambda: now + 61)
    assert not any(sessions.who(one) for one in newer)
    path.write_text("[broken")
    assert Sessions(door.access, path, 60).who(newer[0]) is None
    path.chmod(0o644)
    assert Sessions(door.access, path, 60).who(newer[0]) is None


def test_guessing_is_slowed_down(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    looked_at = []
    monkeypatch.setattr(door.access, "check", lambda name, _: looked_at.append(name))
    now = [1000.0]
    monkeypatch.setattr(door.login, "_by_address", Attempts(10, 300, lambda: now[0]))
    monkeypatch.setattr(door.login, "_by_name", Attempts(30, 300, lambda: now[0]))
    codes = [door.log_in("ada", f"guess {n}").status_code for n in range(15)]
    assert codes == [401] * 10 + [429] * 5
    assert len(looked_at) == 10
    refused = door.log_in("bob", PASSWORD)
    assert refused.status_code == 429
    assert 0 < int(refused.headers["retry-after"]) <= 300
    now[0] += 301
    assert door.log_in("ada", "again").status_code == 401


def test_guessing_from_many_addresses_is_slowed_down_too() -> None:
    now = [0.0]
    attempts = Attempts(30, 300, lambda: now[0])
    for _ in range(30):
        assert attempts.wait("ada") == 0
        attempts.count("ada")
        now[0] += 1
    assert attempts.wait("ada") == 270
    assert attempts.wait("bob") == 0
    attempts.forgive("ada")
    assert attempts.wait("ada") == 0


def test_a_right_password_does_not_forgive_the_wrong_ones_before() -> None:
    attempts = Attempts(3, 300, lambda: 0.0)
    for _ in range(3):
        attempts.count("address")
    attempts.forgive("address")
    attempts.count("address")
    assert attempts.wait("address") > 0


def test_rates() -> None:
    now = [0.0]
    rate = Rate(10, lambda: now[0])
    assert [rate.wait("a") for _ in range(50)] == [0.0] * 50
    assert rate.wait("a") == pytest.approx(0.1)
    assert rate.wait("b") == 0
    now[0] += 0.5
    assert [rate.wait("a") == 0 for _ in range(6)] == [True] * 5 + [False]
    now[0] += 3600
    assert [rate.wait("a") == 0 for _ in range(51)] == [True] * 50 + [False], "however long nobody asked"


def test_the_memory_of_limits_is_bounded() -> None:
    rate, attempts = Rate(1), Attempts(1, 1e9)
    for n in range(12_000):
        rate.wait(str(n))
        attempts.count(str(n))
    assert len(rate._left) == len(attempts._failed) == 10_000


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("10.0.0.7", "10.0.0.7"),
        ("2001:db8::1:2:3:4", "2001:db8::/64"),
        ("::ffff:10.0.0.7", "10.0.0.7"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("testclient", "testclient"),
    ],
)
def test_an_ipv6_network_counts_as_one(address: str, expected: str) -> None:
    assert network(address) == expected


def test_too_many_requests_are_refused(door: Door, tokens: dict[str, dict[str, str]]) -> None:
    guard = Guard(door.client.inner, "127.0.0.1", access=door.access, per_s=1)
    guard._rate = Rate(1, lambda: 0.0)
    client = Client(guard, door.client.loop)
    answers = [client.get("/api/v1/none").status_code for _ in range(8)]
    assert answers == [404] * 5 + [429] * 3
    refused = client.get("/api/v1/none")
    assert refused.json()["error"]["code"] == "too_many"
    assert refused.headers["retry-after"] == "1"
    assert client.get("/api/v1/none", headers=tokens["viewer"]).status_code == 404, "another caller"


FORGED: list[tuple[dict[str, str], int]] = [
    ({}, 403),
    ({"origin": "http://evil.example"}, 403),
    ({"origin": "null"}, 403),
    ({"origin": "http://localhost:1"}, 403),
    ({"origin": "http://localhost.evil.example"}, 403),
    ({"origin": "http://localhost", "sec-fetch-site": "cross-site"}, 403),
    ({"origin": "http://localhost", "sec-fetch-site": "same-site"}, 403),
    ({"origin": "http://localhost", "host": "evil.example"}, 403),
    ({"origin": "http://localhost"}, 201),
    ({"origin": "http://localhost", "sec-fetch-site": "same-origin"}, 201),
]


@pytest.mark.parametrize(("headers", "status"), FORGED)
def test_a_foreign_page_cannot_use_a_session(door: Door, headers: dict[str, str], status: int) -> None:
    entry = door.access.entry("ada")
    assert entry
    sent = {"cookie": f"mien={door.sessions.begin(entry)}", **headers}
    assert door.outside.post("/api/v1/markers", json={"label": "x"}, headers=sent).status_code == status
    (door.home / "mien.db").unlink(missing_ok=True)


@pytest.mark.parametrize(
    ("headers", "status"), [(headers, status) for headers, status in FORGED if headers] + [({}, 201)]
)
def test_nor_can_it_use_that_this_machine_needs_no_login(
    tmp_path: Path, door: Door, headers: dict[str, str], status: int
) -> None:
    with serving(tmp_path) as client:
        assert client.post("/v1/markers", json={"label": "x"}, headers=headers).status_code == status


@pytest.mark.parametrize("header", ["x-forwarded-for", "forwarded", "via", "x-real-ip", "x-forwarded-host"])
def test_what_comes_through_a_proxy_is_not_of_this_machine(tmp_path: Path, header: str) -> None:
    with serving(tmp_path) as client:
        assert client.get("/v1/me").status_code == 200
        assert client.get("/v1/me", headers={header: "10.0.0.7"}).status_code == 401


def test_another_name_takes_a_login(tmp_path: Path) -> None:
    with serving(tmp_path) as client:
        named = client.behind(Guard(client.inner, "127.0.0.1", ["mien.example"]))
        assert named.get("/v1/me", headers={"host": "mien.example"}).status_code == 401
        assert named.get("/v1/me", headers={"host": "localhost:8080"}).status_code == 200


def test_two_hosts_are_none(tmp_path: Path) -> None:
    with serving(tmp_path) as client:
        answer = client.get("/v1/me", headers=[("host", "localhost"), ("host", "evil.example")])
        assert answer.status_code == 403


def test_a_large_body_is_refused_before_it_is_read(door: Door, tokens: dict[str, dict[str, str]]) -> None:
    headers = {**tokens["editor"], "content-type": "application/json"}
    told = door.outside.post("/api/v1/markers", content=b"x" * 70_000, headers=headers)
    assert (told.status_code, told.json()["error"]["code"]) == (413, "too_large")
    sent = 0

    async def endless() -> Any:
        nonlocal sent
        while sent < 1 << 24:
            sent += 1 << 14
            yield b" " * (1 << 14)

    try:
        status = door.outside.post("/api/v1/markers", content=endless(), headers=headers).status_code
    except httpx.HTTPError:
        status = 0
    assert status in (0, 400, 413, 422, 500)
    assert sent < 1 << 18


@pytest.mark.parametrize("name", ["", "a b", "../x", "x" * 65, "ü", "a\n", "a\0"])
def test_names_that_cannot_be(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="is no name"):
        make_token(tmp_path, name, "viewer")
    assert entries(tmp_path) == []


def test_names_are_given_once(tmp_path: Path) -> None:
    first = make_token(tmp_path, "ada", "viewer")
    with pytest.raises(UsageError, match="mien access revoke ada"):
        set_password(tmp_path, "ada", "admin", PASSWORD)
    assert Access(tmp_path).bearer(first) == Caller("ada", "viewer", login=True)
    with pytest.raises(UsageError, match=r"'bob'.*ada"):
        revoke(tmp_path, "bob")
    with pytest.raises(UsageError, match="10 to 1,024"):
        set_password(tmp_path, "bob", "admin", "short")
    revoke(tmp_path, "ada")
    assert Access(tmp_path).bearer(first) is None
    assert make_token(tmp_path, "ada", "viewer") != first


def test_a_password_is_no_token_and_its_hash_opens_nothing(tmp_path: Path) -> None:
    set_password(tmp_path, "ada", "admin", PASSWORD)
    access = Access(tmp_path)
    kept = json.loads((tmp_path / "access.json").read_text())[0]
    for shown in (PASSWORD, kept["digest"], kept["salt"], ""):
        assert access.bearer(shown) is None
    for shown in (kept["digest"], PASSWORD.upper(), PASSWORD + " ", "x" * 2000, ""):
        assert access.check("ada", shown) is None
    assert access.check("ada", PASSWORD)
    assert access.check("nobody", PASSWORD) is None


@pytest.mark.parametrize("content", ["", "{}", "[1]", '[{"name": "x"}]', "\ud800".encode("utf-8", "surrogatepass")])
def test_a_broken_file_lets_nobody_in(tmp_path: Path, content: str | bytes) -> None:
    token = make_token(tmp_path, "ada", "viewer")
    access = Access(tmp_path)
    assert access.bearer(token)
    file = tmp_path / "access.json"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert access.bearer(token) is None
    with pytest.raises(ConfigError, match="who has access"):
        entries(tmp_path)


def test_a_file_that_others_may_read_lets_nobody_in(tmp_path: Path) -> None:
    token = make_token(tmp_path, "ada", "viewer")
    (tmp_path / "access.json").chmod(0o640)
    assert Access(tmp_path).bearer(token) is None
    with pytest.raises(ConfigError, match="chmod 600"):
        entries(tmp_path)


@pytest.mark.parametrize(
    ("host", "login", "refused"),
    [
        ("127.0.0.1", False, False),
        ("localhost", False, False),
        ("::1", False, False),
        ("127.0.0.1", True, True),
        ("0.0.0.0", False, True),  # noqa: S104
        ("192.168.1.5", False, True),
        ("::", False, True),
    ],
)
def test_beyond_this_machine_somebody_must_have_access(tmp_path: Path, host: str, login: bool, refused: bool) -> None:
    settings = Settings(home=tmp_path, dashboard={"host": host, "login": login})  # type: ignore[arg-type]
    if refused:
        with pytest.raises(ConfigError, match="mien access password NAME"):
            checked_access(settings)
        make_token(tmp_path, "grafana", "viewer")
    assert checked_access(settings) is not None


@pytest.mark.parametrize(
    ("tls", "told"),
    [
        ({"tls_key": "key.pem"}, "name the certificate too"),
        ({"tls_cert": "none.pem"}, "cannot read 'none.pem' for HTTPS: no such file"),
        ({"tls_cert": __file__}, "expected PEM files that belong together"),
        ({"tls_cert": "/"}, "cannot read '/'"),
    ],
)
def test_a_certificate_that_cannot_be_used(tmp_path: Path, tls: dict[str, str], told: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(told)):
        tls_options(Settings(home=tmp_path, dashboard=tls))  # type: ignore[arg-type]


def test_guessing_a_hash_takes_memory_and_time() -> None:
    options = STRENGTH
    assert (options["n"], options["r"], options["p"]) == (2**15, 8, 3)


def test_who_sits_at_the_machine_may_everything() -> None:
    assert (LOCAL.role, LOCAL.login) == ("admin", False)


FORMS = (
    "postgresql://keeper:hunter2@127.0.0.1:{port}/sensors?connect_timeout=2",
    "postgresql://127.0.0.1:{port}/sensors?user=keeper&password=hunter2&connect_timeout=2",
    "postgresql://127.0.0.1:{port}/sensors?user=keeper&%70assword=hunter2&sslpassword=hunter2",
    "postgresql://keeper:hun@ter2hunter2@127.0.0.1:{port}x/sensors",
    "sqlite:////nowhere/sensors/keeper.db?password=hunter2",
    "keeper://sensors:hunter2@127.0.0.1/",
)


@pytest.mark.parametrize("form", FORMS)
def test_viewers_are_not_told_where_the_store_is_and_nobody_its_password(
    form: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with serving(tmp_path, form.format(port=port)) as client:
        door = Door(tmp_path, client)
        header = {role: {"authorization": f"Bearer {make_token(tmp_path, role, role)}"} for role in ROLES}
        for path in ("health", "summary", "timeline", "observations", "markers", "export", "sources"):
            for role in ROLES:
                told = door.outside.get(f"/api/v1/{path}", headers=header[role]).text
                assert "hunter2" not in told
                hidden = role != "admin"
                assert not hidden or not any(secret in told for secret in ("keeper", "sensors", str(port))), told
        told = door.outside.get("/api/v1/health", headers=header["admin"]).json()
        assert told["store"] is False
        assert "an admin sees why" not in told["message"]
        door.login.close()
    assert "hunter2" not in caplog.text
    logged = {record.getMessage() for record in caplog.records if record.name.endswith(".queries")}
    count = sum(record.name.endswith(".queries") for record in caplog.records)
    assert count == len(logged) > 0, "it is logged once, and not at each question"
