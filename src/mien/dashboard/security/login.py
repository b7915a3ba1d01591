"""Logging in and out: a name and a password (or a token) in, a session's cookie out. The page needs no script."""

from __future__ import annotations

import asyncio
import logging
import math
import re
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import parse_qs

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from mien.dashboard.base_path import base_of
from mien.dashboard.rendering import render
from mien.dashboard.security.accounts import Access
from mien.dashboard.security.rate_limits import Attempts, network
from mien.dashboard.security.roles import who_asks
from mien.dashboard.security.sessions import Sessions, cookie_name

__all__ = ["Login"]

log = logging.getLogger(__name__)

BY_ADDRESS = (10, 300.0)
BY_NAME = (30, 300.0)
"""So many wrong passwords are looked at within so many seconds, from one address, and for one name."""

MAX_WAITING = 8
ENDED = "Your login has ended, or your access was taken away. Log in again to go on."
NOBODY = "Nobody has access yet: mien access password NAME makes it."
INSIDE = re.compile(r"/(?![/\\])[^\\\x00-\x20\x7f]{0,2000}")


class Login:
    """The pages /login and /logout.

    Args:
        access: Who may log in.
        sessions: Who is.
        cookie: The name of the cookie, which begins otherwise over HTTPS.
        lasting_s: How long a login lasts, in seconds.

    Attributes:
        router: Their routes.
    """

    def __init__(self, access: Access, sessions: Sessions, cookie: str, lasting_s: float) -> None:
        self._access, self._sessions, self._cookie, self._lasting_s = access, sessions, cookie, lasting_s
        self._by_address, self._by_name = Attempts(*BY_ADDRESS), Attempts(*BY_NAME)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="dashboard-login")
        self._waiting = 0
        self.router = APIRouter(include_in_schema=False)
        self.router.add_api_route("/login", self.show, methods=["GET", "HEAD"])
        self.router.add_api_route("/login", self.log_in, methods=["POST"])
        self.router.add_api_route("/logout", self.log_out, methods=["POST"])

    def close(self) -> None:
        """End the thread."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def show(self, request: Request) -> Response:
        """Show the form, or go on where somebody is let in already."""
        onward = _inside(request.query_params.get("next"))
        if who_asks(request.scope) is not None:
            return RedirectResponse(base_of(request.scope) + onward, 303)
        message = ENDED if "ended" in request.query_params else ""
        return _page(request, onward, message if self._access else NOBODY, 200)

    async def log_in(self, request: Request) -> Response:
        """Begin a session for who shows the right password."""
        try:
            form = parse_qs((await request.body()).decode("utf-8"), max_num_fields=10, keep_blank_values=True)
        except ValueError:
            form = {}
        name, secret, onward = (form.get(field, [""])[-1] for field in ("name", "password", "next"))
        onward = _inside(onward)
        address = network(request.client.host if request.client else "")
        wait = max(self._by_address.wait(address), self._by_name.wait(name))
        if wait or self._waiting >= MAX_WAITING:
            page = _page(request, onward, "Too many attempts. Wait a few minutes and try again.", 429)
            page.headers["retry-after"] = str(math.ceil(wait) or 5)
            return page
        # Counted before the answer is known, or many at once would all be looked at.
        for attempts, key in ((self._by_address, address), (self._by_name, name)):
            attempts.count(key)
        self._waiting += 1
        try:
            entry = await asyncio.get_running_loop().run_in_executor(self._thread, self._access.check, name, secret)
        finally:
            self._waiting -= 1
        if entry is None:
            log.warning("the login of %s from %s was refused", ascii(name[:64]), address)
            return _page(request, onward, "Name and password do not belong together.", 401)
        for attempts, key in ((self._by_address, address), (self._by_name, name)):
            attempts.forgive(key)
        log.info("%s logged in from %s", entry.name, address)
        base = base_of(request.scope)
        answer = RedirectResponse(base + onward, 303)
        # A proxy in front may speak HTTPS where this server does not: the form's origin tells.
        secure = request.url.scheme == "https" or request.headers.get("origin", "").startswith("https://")
        answer.set_cookie(
            cookie_name(self._cookie, request.scope), self._sessions.begin(entry), max_age=int(self._lasting_s),
            path=f"{base}/", secure=secure, httponly=True, samesite="strict",
        )  # fmt: skip
        return answer

    async def log_out(self, request: Request) -> Response:
        """End the session."""
        base, cookie = base_of(request.scope), cookie_name(self._cookie, request.scope)
        self._sessions.end(request.cookies.get(cookie, ""))
        answer = RedirectResponse(f"{base}/login", 303)
        answer.delete_cookie(cookie, path=f"{base}/", secure=request.url.scheme == "https", httponly=True)
        if not base:  # else other pages stand beside it, whose storage is not ours to clear
            answer.headers["clear-site-data"] = '"cache", "storage"'
        return answer


def _inside(path: str | None) -> str:
    """Return a path of this server, which is all that one is sent on to."""
    return path if path and INSIDE.fullmatch(path) and not path.startswith(("/login", "/logout")) else "/"


def _page(request: Request, onward: str, message: str, status: int) -> HTMLResponse:
    page = render("login", base=base_of(request.scope), onward=onward, message=message)
    return HTMLResponse(page, status, {"cache-control": "no-store"})
