"""Who may talk to the dashboard: requests and WebSockets under a foreign name are refused, answers carry headers.

A page elsewhere can make a browser send requests here under its own name (DNS rebinding) or from its own origin. Names
that are not the dashboard's are refused, and so are origins other than the page itself.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, MutableMapping
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Receive, Scope, Send

from mien.dashboard.problems import error_response
from mien.dashboard.who import KEY, LOCAL

__all__ = ["Guard"]

PAGE_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; object-src 'none'; base-uri 'self'; "
    "form-action 'self'; frame-ancestors 'none'"
)
"""NiceGUI compiles its templates in the browser, which takes 'unsafe-inline' and 'unsafe-eval'."""

API_POLICY = "default-src 'none'; frame-ancestors 'none'"

HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
}


class Guard:
    """ASGI middleware around the whole application.

    Args:
        app: What it guards.
        host: The address that the server is bound to.
        names: Other names under which it may be called.
    """

    def __init__(self, app: ASGIApp, host: str, names: Iterable[str] = ()) -> None:
        self._app = app
        self._names = {"localhost", "127.0.0.1", "::1", host.lower(), *(name.lower() for name in names)}
        self._open = not _is_loopback(host)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, its answer with headers, or refuse it."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        refusal = self._refusal(headers.get(b"host", ""), headers.get(b"origin"))
        if refusal and scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": "foreign host or origin"})
            return
        if refusal:
            await error_response(403, refusal)(scope, receive, send)
            return
        scope[KEY] = LOCAL
        policy = API_POLICY if scope["path"].startswith("/api/") else PAGE_POLICY

        async def send_with_headers(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update({**HEADERS, "content-security-policy": policy})
            await send(message)

        await self._app(scope, receive, send_with_headers)

    def _refusal(self, host: str, origin: str | None) -> str:
        if not self._knows(host):
            return "the dashboard has another name: use the address that it printed, or set dashboard.allowed_hosts"
        if origin is not None and origin.partition("://")[2].lower() != host.lower():
            return "requests from other origins are refused"
        return ""

    def _knows(self, host: str) -> bool:
        name = _name(host)
        # An address cannot be rebound as a name can, and a server on all interfaces has several.
        return name in self._names or (self._open and _is_address(name))


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


def _is_loopback(host: str) -> bool:
    return host == "localhost" or (_is_address(host) and ipaddress.ip_address(host).is_loopback)
