"""The dashboard's server: the page, the REST API and their guard, run until told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import socket
import threading
from collections.abc import Callable, Iterator

import uvicorn
from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import RedirectResponse, Response
from starlette.middleware.gzip import GZipMiddleware

from mien.config import NOWHERE, Settings
from mien.dashboard.api.app import Api
from mien.dashboard.api.reports import finished
from mien.dashboard.assets import assets
from mien.dashboard.base_path import base_of
from mien.dashboard.data.listener import Listener
from mien.dashboard.data.queries import Queries
from mien.dashboard.errors import ApiError, answer_errors, error_response
from mien.dashboard.manual.filling import HelpText
from mien.dashboard.manual.pages import Manual
from mien.dashboard.pages.refresh import Refresh
from mien.dashboard.pages.router import missing, showing
from mien.dashboard.pages.samples import samples
from mien.dashboard.pages.system import Diagnose
from mien.dashboard.security.guard import Guard
from mien.dashboard.security.http_limits import WithoutCancelled, bounded
from mien.dashboard.security.login import Login
from mien.dashboard.security.proxies import Proxies
from mien.dashboard.security.sessions import Sessions
from mien.dashboard.security.startup_checks import checked_access, tls_options
from mien.errors import MienError

__all__ = ["run_dashboard"]

log = logging.getLogger(__name__)

DEFAULT_PORT = 8080
PORTS_TRIED = 50

MAX_CONNECTIONS = 1000
"""Beyond so many at once, further ones are refused."""


class DashboardServer(uvicorn.Server):
    """A server that ends when an event is set and leaves signals to the command that runs it.

    Args:
        config: Uvicorn's.
        stop: Ends it.
        ready: Called once when it can be reached.
        ending: Called when it ends: closes what would stay open.
    """

    def __init__(
        self, config: uvicorn.Config, stop: threading.Event, ready: Callable[[], None], ending: Callable[[], None]
    ) -> None:
        super().__init__(config)
        self._stop, self._ready, self._ending = stop, ready, ending

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Install no handler."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then say so."""
        await super().startup(sockets)
        self._ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the streams, then all else."""
        self._ending()
        await super().shutdown(sockets)

    async def on_tick(self, counter: int) -> bool:
        """Return whether to end; asked ten times a second."""
        return self._stop.is_set() or await super().on_tick(counter)


def run_dashboard(
    settings: Settings, stop: threading.Event, ready: Callable[[str], None], diagnose: Diagnose, help_text: HelpText
) -> None:
    """Serve the dashboard until `stop` is set; then it ends within 2 seconds, or once the demo that it plays has.

    Args:
        settings: Where to listen, and where store and broker are.
        stop: Ends it.
        ready: Called once with the page's address, when it can be opened.
        diagnose: The doctor, whose findings the page System shows.
        help_text: Returns the help of a command, which the documentation shows.

    Raises:
        MienError: The port is in use, or the address is not this machine's.
        ConfigError: Other machines may come, but nobody has access; or the certificate cannot be used.
    """
    if settings.home == NOWHERE:
        settings.ensure_home()
    host = settings.dashboard.host
    tls = tls_options(settings)
    access = checked_access(settings)
    listening = _bind(host, settings.dashboard.port)
    listener = Listener(settings)
    queries = Queries(settings.store_url, listener)
    api = Api(queries, settings)
    api.making.uploads.tidy()
    refresh = Refresh()
    manual = Manual(help_text)
    pages = showing(queries, settings, diagnose, api.making, api.demo, refresh, manual, api.app.openapi)
    address = _address(host, listening, "https" if tls else "http")
    cookie = f"mien-{listening.getsockname()[1]}"
    lasting_s = settings.dashboard.login_hours * 3600
    sessions = Sessions(access, settings.home / "sessions.json", lasting_s)
    login = Login(access, sessions, cookie, lasting_s)
    names = [name.strip() for name in settings.dashboard.allowed_hosts.split(",") if name.strip()]
    proxies = Proxies(settings.dashboard.trusted_proxies, settings.dashboard.root_path)
    guard = Guard(
        _build(api, login, pages), host, names, access=access, sessions=sessions, cookie=cookie,
        proxies=proxies, always=settings.dashboard.login, per_s=settings.dashboard.requests_per_s,
    )  # fmt: skip
    config = uvicorn.Config(
        guard, log_config=None, access_log=False, timeout_graceful_shutdown=1, lifespan="off", ws="none",
        server_header=False, proxy_headers=False, limit_concurrency=MAX_CONNECTIONS, http=bounded(proxies), **tls,
    )  # fmt: skip
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    logging.getLogger("uvicorn.error").addFilter(WithoutCancelled())

    def ending() -> None:
        refresh.close()
        api.streams.closed = True

    listener.start()
    try:
        asyncio.run(DashboardServer(config, stop, lambda: ready(address), ending).serve(sockets=[listening]))
    finally:
        listener.stop()
        login.close()
        api.close()
        queries.close()
        listening.close()


def _build(api: Api, login: Login, pages: APIRouter) -> FastAPI:
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    answer_errors(app)
    app.add_exception_handler(404, _on_missing)
    app.include_router(login.router)
    app.include_router(pages)
    app.include_router(finished(api.making))
    app.include_router(assets())
    app.include_router(samples())
    app.add_api_route("/api", _no_version)
    app.mount("/api", api.app)
    app.add_middleware(GZipMiddleware, minimum_size=1000, compresslevel=1)
    return app


async def _no_version(request: Request) -> Response:
    base = base_of(request.scope)
    if "text/html" in request.headers.get("accept", ""):
        return RedirectResponse(f"{base}/docs/api", 307)
    return error_response(404, f"there is no {base}/api: see {base}/api/v1/openapi.json")


async def _on_missing(request: Request, error: Exception) -> Response:
    """Answer a browser with a page, a program as the API does."""
    message = error.detail if isinstance(error, ApiError) else f"there is no {request.url.path}"
    if "text/html" in request.headers.get("accept", ""):
        return missing(request, f"{message[:1].upper()}{message[1:]}.")
    return error_response(404, message)


def _bind(host: str, port: int | None) -> socket.socket:
    """Return a listening socket at the port named, or at the default one or the next that is free."""
    wanted = [port] if port is not None else range(DEFAULT_PORT, DEFAULT_PORT + PORTS_TRIED)
    for candidate in wanted:
        try:
            listening = _listen(host, candidate)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                continue
            raise MienError(f"the dashboard cannot listen on {host}:{candidate} ({error.strerror or error})") from error
        if port is None and candidate != DEFAULT_PORT:
            log.warning("port %d is in use; the dashboard takes %d", DEFAULT_PORT, candidate)
        return listening
    free = "name another with --port, or stop what uses it" if port is not None else "name one with --port"
    tried = f"port {port} is" if port is not None else f"the ports {wanted[0]} to {wanted[-1]} are"
    raise MienError(f"the dashboard cannot listen on {host}: {tried} in use; {free}")


def _listen(host: str, port: int) -> socket.socket:
    family, kind, protocol, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    listening = socket.socket(family, kind, protocol)
    if os.name == "posix":  # Windows would let a port in use be bound again
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind(place)
        listening.listen(128)
    except OSError:
        listening.close()
        raise
    return listening


def _address(host: str, listening: socket.socket, scheme: str) -> str:
    port = listening.getsockname()[1]
    shown = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    return f"{scheme}://[{shown}]:{port}/" if ":" in shown else f"{scheme}://{shown}:{port}/"
