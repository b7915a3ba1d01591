"""The routes of the pages: each is HTML that never changes, and a stream of events that fills it and keeps it so."""

from __future__ import annotations

import asyncio
import difflib
import zlib
from collections.abc import AsyncGenerator
from contextlib import aclosing
from functools import partial
from urllib.parse import parse_qs

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse, Response, StreamingResponse
from starlette.requests import Request as AnyRequest

from mien.config import Settings
from mien.dashboard.assets import prepare
from mien.dashboard.base_path import base_of, path_below
from mien.dashboard.data.periods import FORMS, PERIODS, VERSUS, Choice, parse_choice, zone_named
from mien.dashboard.data.queries import Queries
from mien.dashboard.errors import ApiError
from mien.dashboard.jobs.demo import DemoPlayer
from mien.dashboard.jobs.reports import ReportQueue
from mien.dashboard.manual.chapters import chapters
from mien.dashboard.manual.pages import Manual, address_of
from mien.dashboard.pages.charts import SHOWN
from mien.dashboard.pages.history import History
from mien.dashboard.pages.live import Live
from mien.dashboard.pages.manual import Describe, reading
from mien.dashboard.pages.refresh import Page, Refresh, ViewKey
from mien.dashboard.pages.reports import Reports
from mien.dashboard.pages.samples import WORDS
from mien.dashboard.pages.status import StatusOnly
from mien.dashboard.pages.system import Diagnose, System
from mien.dashboard.rendering import render
from mien.dashboard.security.guard import PAGE_POLICY
from mien.dashboard.security.roles import STILL, Viewer, needs, who_asks

__all__ = ["NAVIGATION", "missing", "showing"]

NAVIGATION = {
    "live": ("/", "Live"),
    "history": ("/history", "History"),
    "try": ("/try", "Try it"),
    "reports": ("/reports", "Reports"),
    "system": ("/system", "System"),
    "docs": ("/docs/", "Help"),
}
"""Path and title of each page, in the order of the navigation; a page is the template of its name."""

MAX_OPEN = 400
"""So many pages may be open at once, with MAX_STREAMS of the API fewer than the server's connections."""

LARGE = 1 << 17
"""An update of so many bytes is compressed in a thread, so that it holds up nobody else."""


def showing(
    queries: Queries,
    settings: Settings,
    diagnose: Diagnose,
    making: ReportQueue,
    demo: DemoPlayer,
    refresh: Refresh,
    manual: Manual,
    describe: Describe,
) -> APIRouter:
    """Return the routes of the pages and of their streams.

    Args:
        queries: Answers what they show.
        settings: Where things are.
        diagnose: The doctor.
        making: Makes reports.
        demo: Plays the demo.
        refresh: Keeps them up to date.
        manual: The documentation.
        describe: Returns the OpenAPI document.
    """
    system = System(queries, settings, refresh, diagnose)
    pages: dict[str, Page] = {
        "live": Live(queries, demo),
        "history": History(queries, demo),
        "try": StatusOnly(queries),
        "reports": Reports(queries, making),
        "system": system,
        "docs": StatusOnly(queries),
    }
    router = APIRouter(include_in_schema=False)

    def add(name: str, path: str) -> None:
        @router.get(path, dependencies=[Depends(needs("viewer"))])
        async def show(request: Request) -> Response:
            prepare()
            return HTMLResponse(_page(name, request))

    for name, (path, _) in NAVIGATION.items():
        if name != "docs":
            add(name, path)
    router.include_router(reading(manual, partial(_page, of="docs"), describe))

    @router.get("/watch/{key}", dependencies=[Depends(needs("viewer"))])
    async def watch(key: str, request: Request) -> Response:
        """Return the page with a film beside the curve of its report."""
        made = making.find(key)
        if made is None or not made.curve:
            raise ApiError(404, "there is no such film: its report was deleted, or never made")
        title = f"{made.title} · Mien"
        return HTMLResponse(_page("watch", request, of="reports", title=title, heading=made.title, made=made))

    @router.get("/events/{name}")
    async def events(name: str, request: Request, who: Viewer) -> Response:
        """Fill a page, and keep it up to date with what its address chooses, in its viewer's time zone."""
        if name not in pages:
            raise ApiError(404, f"there is no page {name[:40]!a}")
        if refresh.viewers >= MAX_OPEN:
            raise ApiError(429, f"{MAX_OPEN} pages are open: close some", {"retry-after": "30"})
        look = _look(request.url.query)._replace(role=who.role)
        still = request.scope.get(STILL, lambda: False)
        events_of_page = refresh.follow(pages[name], look, still)
        headers = {"cache-control": "no-store", "x-accel-buffering": "no", "vary": "accept-encoding"}
        if "gzip" in request.headers.get("accept-encoding", ""):
            events_of_page, headers["content-encoding"] = _packed(events_of_page), "gzip"
        return StreamingResponse(events_of_page, media_type="text/event-stream", headers=headers)

    @router.post("/system/check", status_code=204, dependencies=[Depends(needs("admin"))])
    async def check() -> None:
        """Have the doctor look again."""
        await system.check(wait=False)

    return router


def missing(request: AnyRequest, message: str) -> Response:
    """Return the page that stands where there is none, also where there was a report."""
    headers = {"content-security-policy": PAGE_POLICY}
    known = dict(NAVIGATION.values())
    known |= {f"/docs/{address_of(chapter.file)}": chapter.title for chapter in chapters() if chapter.file}
    asked = path_below(request.scope)[:200].lower()
    near = [(path, known[path]) for path in difflib.get_close_matches(asked, known, 3, 0.7)]
    return HTMLResponse(_page("missing", request, message=message, near=near), 404, headers)


def _page(name: str, request: AnyRequest, of: str = "", title: str = "", **values: object) -> str:
    """Return a page.

    Args:
        name: Its template's.
        request: Who asks for it.
        of: The page of the navigation that it belongs to; empty: itself.
        title: What its tab is called; empty: as in the navigation.
        values: What else it shows.
    """
    who = who_asks(request.scope)
    _, word = NAVIGATION.get(name, ("", "Not here"))
    return render(
        name, base=base_of(request.scope), page=of or name,
        title=title or ("Mien" if name == "live" else f"{word} · Mien"), navigation=NAVIGATION, who=who,
        role=who.role if who else "viewer", periods=PERIODS, forms=FORMS, versus=VERSUS,
        emotions=SHOWN, samples=WORDS, **values,
    )  # fmt: skip


def _look(query: str) -> ViewKey:
    try:
        values = parse_qs(query[:8192], max_num_fields=200)
    except ValueError:
        return ViewKey(Choice())
    last = {name: given[-1] for name, given in values.items()}
    choice = parse_choice(last, values.get("source", []), values.get("emotion", []))
    return ViewKey(choice, zone_named(last.get("zone")))


async def _packed(events: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    """Yield events as gzip packs them, each at once; with little memory, since every open page has a packer."""
    packer = zlib.compressobj(level=1, wbits=16 + 13, memLevel=6)

    def pack(event: bytes) -> bytes:
        return packer.compress(event) + packer.flush(zlib.Z_SYNC_FLUSH)

    async with aclosing(events):
        async for event in events:
            yield await asyncio.to_thread(pack, event) if len(event) > LARGE else pack(event)
    yield packer.flush()
