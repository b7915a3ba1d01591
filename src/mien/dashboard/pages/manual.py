"""The routes of the documentation: its pages, their pictures, the search in them, and the REST API to read.

They are for all who may look. Every page is drawn here, without a script of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import FileResponse, HTMLResponse, RedirectResponse, Response

from mien.dashboard.base_path import base_of
from mien.dashboard.errors import ApiError
from mien.dashboard.manual.chapters import chapters
from mien.dashboard.manual.pages import Manual, address_of
from mien.dashboard.manual.rest import described
from mien.dashboard.security.roles import needs

__all__ = ["reading"]

TYPES = {
    ".webp": "image/webp", ".jpg": "image/jpeg", ".png": "image/png", ".svg": "image/svg+xml",
    ".toml": "text/plain; charset=utf-8", ".json": "application/json",
}  # fmt: skip

Draw = Callable[..., str]
"""Draws a page: its template's name, the request, its values."""

Describe = Callable[[], dict[str, Any]]
"""Returns the OpenAPI document."""


def reading(manual: Manual, draw: Draw, describe: Describe) -> APIRouter:
    """Return the routes under /docs/.

    Args:
        manual: The documentation.
        draw: Draws a page.
        describe: Returns the OpenAPI document.
    """
    router = APIRouter(prefix="/docs", include_in_schema=False, dependencies=[Depends(needs("viewer"))])

    def page(request: Request, name: str, title: str, **values: Any) -> Response:
        rows = [(chapter, address_of(chapter.file)) for chapter in chapters()]
        return HTMLResponse(draw(name, request, title=f"{title} · Mien", chapters=rows, **values))

    @router.get("")
    async def slash(request: Request) -> Response:
        return RedirectResponse(f"{base_of(request.scope)}/docs/", 307)

    @router.get("/search")
    async def search(request: Request, q: str = Query("", max_length=200)) -> Response:
        hits = await asyncio.to_thread(manual.search, q)
        return page(request, "search", "Search", here="search", words=q, hits=hits)

    @router.get("/api")
    async def api(request: Request) -> Response:
        address = f"{request.url.scheme}://{request.url.netloc}{base_of(request.scope)}/api"
        groups, shapes = described(describe(), address)
        return page(request, "api", "REST API", here="api", groups=groups, shapes=shapes, address=address)

    @router.get("/{address:path}")
    async def show(request: Request, address: str) -> Response:
        if (text := await asyncio.to_thread(manual.page, address)) is not None:
            pages = manual.addresses
            at = pages.index(address)
            near = (("Before", pages[at - 1] if at else None), ("Next", pages[at + 1] if at + 1 < len(pages) else None))
            return page(
                request, "docs", manual.title(address), here=address, article=text.html,
                headings=[heading for heading in text.headings if heading.level == 2],
                turns=[(word, other, manual.title(other)) for word, other in near if other is not None],
            )  # fmt: skip
        for other in (address_of(address), address.rstrip("/"), f"{address}/"):  # a file's name, a slash too many
            if other != address and other in manual.addresses:
                return RedirectResponse(f"{base_of(request.scope)}/docs/{other}", 307)
        if (file := manual.file(address)) is not None:
            return FileResponse(file, media_type=TYPES[file.suffix], headers={"cache-control": "private, max-age=600"})
        raise ApiError(404, f"the documentation has no page {address[:100]!a}")

    return router
