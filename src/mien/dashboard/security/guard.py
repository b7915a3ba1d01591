"""Who may talk to the dashboard: foreign pages and strangers are refused, answers carry headers.

A page elsewhere can make a browser send requests here under its own name (DNS rebinding) or from its own origin (CSRF):
names that are not the dashboard's are refused, and so are origins other than the page itself. Whoever asks is then
known by a token, by a session's cookie or, where the dashboard listens to this machine alone, by being on it; strangers
see the login page and nothing else. The answer is written into the request's scope.
"""

from __future__ import annotations

import ipaddress
import math
import re
from collections.abc import Iterable, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import quote

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mien.dashboard.base_path import base_of, path_below
from mien.dashboard.errors import error_response
from mien.dashboard.security.accounts import Access
from mien.dashboard.security.proxies import PROXIED, Proxies
from mien.dashboard.security.rate_limits import Rate, network
from mien.dashboard.security.roles import KEY, LOCAL, STILL, Caller
from mien.dashboard.security.sessions import Sessions, cookie_name

__all__ = ["PAGE_POLICY", "Guard", "is_loopback", "report_policy"]

PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='; "
    "img-src 'self' data: blob:; media-src 'self' blob:; font-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
"""The hash is that of an empty style element, which Plotly makes and fills by script."""

PLAIN_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)

REPORT_POLICY = (
    "sandbox; default-src 'none'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""What a report was made of is strangers' names and pictures: its page has no script and no origin, and of styles that
alone whose hash `report_policy` names."""

REPORT = re.compile(r"/reports/.")
"""Where finished reports are."""

PLAIN = re.compile(r"/(api|assets|events|login|logout)(/|$)")
"""Where there is no page with scripts."""

PUBLIC = re.compile(r"/login|/assets/(login\.css|icon\.svg)|/favicon\.ico|/api/v1/health")
"""What strangers may see."""

SAFE = {"GET", "HEAD", "OPTIONS"}
LARGEST_BODY = 1 << 16
UNBOUNDED = {"/api/v1/analyze", "/api/v1/uploads"}
"""They bound their bodies themselves, at more."""

HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(self), microphone=(), geolocation=()",
}


class Guard:
    """ASGI middleware around the whole application.

    Args:
        app: What it guards.
        host: The address that the server is bound to.
        names: Other names under which it may be called.
        access: Who may come from elsewhere; None: nobody.
        sessions: Who is logged in.
        cookie: The name of the session's cookie, which begins otherwise over HTTPS.
        proxies: Who may say for whom they ask; None: nobody.
        always: Ask for a login on this machine too.
        per_s: How many requests to the API one caller may make in a second.
    """

    def __init__(
        self,
        app: ASGIApp,
        host: str,
        names: Iterable[str] = (),
        *,
        access: Access | None = None,
        sessions: Sessions | None = None,
        cookie: str = "mien",
        proxies: Proxies | None = None,
        always: bool = False,
        per_s: float = 100.0,
    ) -> None:
        self._app, self._access, self._sessions, self._cookie = app, access, sessions, cookie
        self._proxies = proxies or Proxies()
        self._own = {"localhost", "127.0.0.1", "::1"} | ({host.lower()} if is_loopback(host) else set())
        self._names = {*self._own, host.lower(), *(name.lower() for name in names)}
        self._open = not is_loopback(host)
        self._local = is_loopback(host) and not always
        self._rate = Rate(per_s)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, its answer with headers, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        wrong = self._proxies.read(scope)
        headers, path = Headers(scope=scope), path_below(scope)
        who = self._who(scope, headers)
        scope[KEY] = who
        scope[STILL] = lambda: self._who(scope, headers) == who
        refusal = error_response(400, wrong) if wrong else self._foreign(scope, headers) or _slashless(scope)
        refusal = refusal or self._unknown(scope, headers, who) or self._too_often(scope, who)
        answer = refusal or self._too_large(path, headers)
        policy = _policy(path)

        async def send_with_headers(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                sent = MutableHeaders(scope=message)
                sent.update(HEADERS)
                sent.setdefault("content-security-policy", policy)
                private = path.startswith("/api/") or policy is REPORT_POLICY
                if private or (who != LOCAL and policy is PAGE_POLICY and _is_page(sent)):
                    sent.setdefault("cache-control", "no-store")
            await send(message)

        if answer is None and path not in UNBOUNDED:
            receive = _bounded(receive)
        await (answer or self._app)(scope, receive, send_with_headers)

    def _who(self, scope: Scope, headers: Headers) -> Caller | None:
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return self._access.bearer(token.strip()) if self._access else None
        if self._sessions and (key := self._key(scope, headers)) and (who := self._sessions.who(key)):
            return who
        # A proxy on this machine lets in whomever it likes: what came through one is not of this machine.
        local = self._local and not scope[PROXIED] and _name(headers.get("host", "")) in self._own
        return LOCAL if local else None

    def _key(self, scope: Scope, headers: Headers) -> str:
        return _cookie(headers, cookie_name(self._cookie, scope))

    def _foreign(self, scope: Scope, headers: Headers) -> Response | None:
        host, origin = headers.get("host", ""), headers.get("origin")
        if not self._knows(host) or len(headers.getlist("host")) != 1:
            message = "the dashboard has another name: use the address that it printed, or set dashboard.allowed_hosts"
            return error_response(403, message)
        site = headers.get("sec-fetch-site", "none")
        changes = scope["method"] not in SAFE
        if origin is not None and origin.partition("://")[2].lower() != host.lower():
            return error_response(403, "requests from other origins are refused")
        if changes and site not in ("none", "same-origin"):
            return error_response(403, "requests from other sites are refused")
        # Browsers name the origin of whatever may change something, so what carries a cookie and none is forged.
        if changes and origin is None and self._key(scope, headers) and "authorization" not in headers:
            return error_response(403, "a request with a session's cookie must name its origin")
        return None

    def _unknown(self, scope: Scope, headers: Headers, who: Caller | None) -> Response | None:
        path, base = path_below(scope), base_of(scope)
        if who is not None or PUBLIC.fullmatch(path):
            return None
        if not path.startswith("/api/") and "authorization" not in headers:
            query = scope["query_string"].decode("latin-1")
            onward = quote(path + (f"?{query}" if query else ""), safe="/")
            return RedirectResponse(f"{base}/login?next={onward}", 303, {"cache-control": "no-store"})
        message = f"log in at {base}/login, or send a token as 'Authorization: Bearer …'; `mien access` makes both"
        return error_response(401, message, {"www-authenticate": "Bearer"})

    def _too_often(self, scope: Scope, who: Caller | None) -> Response | None:
        if not path_below(scope).startswith("/api/"):
            return None
        client = scope.get("client")
        wait = self._rate.wait(f"{who.name if who else ''}@{network(client[0]) if client else ''}")
        if not wait:
            return None
        return error_response(429, "too many requests: ask less often", {"retry-after": str(math.ceil(wait))})

    def _too_large(self, path: str, headers: Headers) -> Response | None:
        length = headers.get("content-length", "0")
        if path in UNBOUNDED or (length.isdecimal() and int(length) <= LARGEST_BODY):
            return None
        return error_response(413, f"a body may have {LARGEST_BODY:,} bytes at most", {"connection": "close"})

    def _knows(self, host: str) -> bool:
        name = _name(host)
        # An address cannot be rebound as a name can, and a server on all interfaces has several.
        return name in self._names or (self._open and _is_address(name))


def _slashless(scope: Scope) -> Response | None:
    """Send on who names the dashboard's path without its slash: links on pages are relative to it."""
    if path_below(scope):
        return None
    query = scope["query_string"].decode("latin-1")
    return RedirectResponse(f"{base_of(scope)}/" + (f"?{query}" if query else ""), 307)


def is_loopback(host: str) -> bool:
    """Return whether an address is this machine's own, which no other machine reaches."""
    return host == "localhost" or (_is_address(host) and ipaddress.ip_address(host).is_loopback)


def report_policy(style: str) -> str:
    """Return the policy of a report whose one style has a hash, such as `sha256-…`."""
    return f"{REPORT_POLICY}; style-src '{style}'"


def _bounded(receive: Receive) -> Receive:
    """Return a receive that takes whoever sends a larger body than is allowed for gone."""
    size = 0

    async def bounded() -> Message:
        nonlocal size
        message = await receive()
        size += len(message.get("body", b""))
        return message if size <= LARGEST_BODY else {"type": "http.disconnect"}

    return bounded


def _policy(path: str) -> str:
    if REPORT.match(path):
        return REPORT_POLICY
    return PLAIN_POLICY if PLAIN.match(path) else PAGE_POLICY


def _is_page(headers: Headers) -> bool:
    return headers.get("content-type", "").startswith("text/html")


def _cookie(headers: Headers, name: str) -> str:
    try:
        cookie = SimpleCookie(headers.get("cookie", "")).get(name)
    except CookieError:
        return ""
    return cookie.value if cookie else ""


def _name(host: str) -> str:
    host = host.strip().lower()
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.rpartition(":")[0] if host.count(":") == 1 else host


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
