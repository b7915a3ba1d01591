"""What keeps open pages up to date: one task for the whole server, however many look.

Each open page holds a stream of server-sent events. Twice a second every different view is made once, and what changed
goes to those who look at it and have been sent all of the last. A view that takes long, because the store does, holds
up nobody else; a slow connection gets fewer updates, and nothing piles up. When nobody looks, nothing runs.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time as clock
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable
from datetime import datetime, timezone, tzinfo
from typing import Any, NamedTuple, Protocol

from mien.dashboard.data.periods import Choice
from mien.dashboard.security.roles import Role

__all__ = ["Page", "Parts", "Refresh", "ViewKey"]

log = logging.getLogger(__name__)

TICK_S = 0.5

STILL_S = 5.0
"""So often it is asked whether the viewer may still look."""

QUIET_S = 15.0
"""After so long without an update a comment is sent, so that nobody on the way takes the stream for dead."""

FRAME = "html:cards"
"""The part that holds others: when it changes, they have to be sent again."""

Parts = dict[str, Any]
"""What a page shows: `html:ID` is the content of an element, `call:NAME` the argument of a function of the script."""


class ViewKey(NamedTuple):
    """What makes two views of a page the same.

    Attributes:
        choice: What the viewer chose.
        zone: The viewer's.
        role: What the viewer may.
    """

    choice: Choice = Choice()
    zone: tzinfo = timezone.utc
    role: Role = "viewer"


class Page(Protocol):
    """What fills a page."""

    async def parts(self, look: ViewKey, now: datetime) -> Parts:
        """Return everything that the page shows at this moment."""


class View:
    """A page that somebody has open.

    Args:
        page: What fills it.
        look: How it is looked at.
    """

    def __init__(self, page: Page, look: ViewKey) -> None:
        self.page, self.look = page, look
        self.ended = False
        self._sent: dict[str, str] = {}
        self._next: dict[str, str] = {}
        self._come = asyncio.Event()

    @property
    def waits(self) -> bool:
        """Whether all that was offered is on its way."""
        return not self._come.is_set()

    def offer(self, parts: dict[str, str]) -> None:
        """Let the stream send those parts, encoded as JSON, that are not what was sent before."""
        known = {} if self._sent.get(FRAME) != parts.get(FRAME) else self._sent
        # The texts are shared by all who see the same: a viewer costs references, not copies.
        self._next = {name: text for name, text in parts.items() if known.get(name) != text}
        if self._next:
            self._come.set()

    def end(self) -> None:
        """Let the stream end."""
        self.ended = True
        self._come.set()

    async def next(self, patience_s: float) -> str:
        """Return what is to be sent as a JSON object, empty if nothing comes in time."""
        try:
            await asyncio.wait_for(self._come.wait(), patience_s)
        except asyncio.TimeoutError:
            return ""
        self._come.clear()
        self._sent |= self._next
        body = ",".join(f"{json.dumps(name)}:{text}" for name, text in self._next.items())
        return f"{{{body}}}"


class Refresh:
    """Brings all views up to date."""

    def __init__(self) -> None:
        self._views: set[View] = set()
        self._busy: set[tuple[Page, ViewKey]] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._turning: asyncio.Task[None] | None = None

    @property
    def viewers(self) -> int:
        """How many pages are open."""
        return len(self._views)

    async def follow(self, page: Page, look: ViewKey, still: Callable[[], bool]) -> AsyncGenerator[bytes, None]:
        """Yield a page's updates, as server-sent events, until its viewer leaves or may not look any more."""
        view = View(page, look)
        self._views.add(view)
        try:
            self._start(self._bring(page, look, [view]))
            if self._turning is None or self._turning.done():
                self._turning = self._start(self._turn())
            yield b"retry: 2000\n\n"
            checked = quiet = clock.monotonic()
            while True:
                body = await view.next(STILL_S)
                now = clock.monotonic()
                if now - checked >= STILL_S:
                    checked = now
                    view.ended = view.ended or not still()
                if view.ended:
                    return
                if body:
                    quiet = now
                    yield b"data: " + body.encode() + b"\n\n"
                elif now - quiet >= QUIET_S:
                    quiet = now
                    yield b": nothing new\n\n"
        finally:
            self._views.discard(view)

    def close(self) -> None:
        """End all streams."""
        for view in self._views:
            view.end()

    async def _turn(self) -> None:
        while self._views:
            groups: dict[tuple[Page, ViewKey], list[View]] = {}
            for view in self._views:
                if view.waits:
                    groups.setdefault((view.page, view.look), []).append(view)
            for (page, look), views in groups.items():
                if (page, look) not in self._busy:
                    self._start(self._bring(page, look, views))
            await asyncio.sleep(TICK_S)

    async def _bring(self, page: Page, look: ViewKey, views: Iterable[View]) -> None:
        self._busy.add((page, look))
        try:
            parts = await page.parts(look, datetime.now(timezone.utc))
            texts = {name: json.dumps(value) for name, value in parts.items()}
        except Exception:  # one page's failure must not stop the others
            log.exception("a page of the dashboard cannot be brought up to date")
            return
        finally:
            self._busy.discard((page, look))
        for view in views:
            if view.waits:
                view.offer(texts)

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)  # a task that nobody holds may be collected before it is done
        task.add_done_callback(self._tasks.discard)
        return task
