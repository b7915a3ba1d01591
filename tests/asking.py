"""An application in this process, its guard around it, and a client that sends it requests."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI
from starlette.types import ASGIApp

from mien.config import Settings
from mien.dashboard.api.app import Api
from mien.dashboard.data.listener import Listener
from mien.dashboard.data.queries import Queries
from mien.dashboard.security.guard import Guard

__all__ = ["Client", "serving"]


class Client:
    """Sends requests to an application in this process, all in one event loop."""

    def __init__(
        self, app: ASGIApp, loop: asyncio.AbstractEventLoop, inner: ASGIApp | None = None, prefix: str = ""
    ) -> None:
        self.app, self.loop, self.inner, self.prefix = app, loop, inner or app, prefix

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        return self.loop.run_until_complete(self._send(method, path, options))

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.request("GET", path, **options)

    def post(self, path: str, **options: Any) -> httpx.Response:
        return self.request("POST", path, **options)

    def behind(self, guard: Guard) -> Client:
        return Client(guard, self.loop, self.inner, self.prefix)

    async def _send(self, method: str, path: str, options: dict[str, Any]) -> httpx.Response:
        transport = httpx.ASGITransport(app=self.app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return await client.request(method, self.prefix + path, **options)


@contextmanager
def serving(home: Path, url: str | None = None, **options: Any) -> Iterator[Client]:
    """Yield a client of the API over the store in a folder, or at an URL, as on loopback; there is no broker."""
    settings = Settings(home=home, store={"url": url}, **options)  # type: ignore[arg-type]
    queries = Queries(settings.store_url, Listener(settings))
    api = Api(queries, settings)
    loop = asyncio.new_event_loop()
    try:
        inner = FastAPI(openapi_url=None)
        inner.mount("/api", api.app)
        yield Client(Guard(inner, "127.0.0.1"), loop, inner, "/api")
    finally:
        api.close()
        queries.close()
        loop.run_until_complete(loop.shutdown_asyncgens())  # httpx leaves its own of a body that was refused half-way
        loop.close()
