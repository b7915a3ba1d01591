"""What keeps open pages up to date: one task for the whole server, however many look.

Views join and leave; each half second every different view is made once, and what changed goes to those who look at
it and have shown what they were sent before. A view that takes long, because the store does, holds up nobody else.
When nobody looks, nothing runs.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time as clock
from collections.abc import Iterable
from datetime import datetime, timezone, tzinfo
from typing import Any, NamedTuple, Protocol

from nicegui import Client, background_tasks

from mien.dashboard.data.periods import Choice
from mien.dashboard.security.roles import Role

__all__ = ["Look", "Page", "Parts", "Pulse", "View"]

log = logging.getLogger(__name__)

TICK_S = 0.5

PATIENCE_S = 10.0
"""A browser is sent no more until it has shown the last: a slow one, or a hidden page, gets less, and nothing piles up.
After so long it is tried again."""

FRAME = "html:cards"
"""The part that holds others: when it changes, they have to be sent again."""

Parts = dict[str, Any]
"""What a page shows: `html:ID` is the content of an element, `call:NAME` the argument of a function of the script."""


class Look(NamedTuple):
    """What makes two views of a page the same.

    Attributes:
        choice: What the viewer chose.
        zone: The viewer's.
        text_px: The height of the text in CSS pixels.
        role: What the viewer may.
    """

    choice: Choice = Choice()
    zone: tzinfo = timezone.utc
    text_px: float = 12.0
    role: Role = "viewer"


class Page(Protocol):
    """What fills a page."""

    async def parts(self, look: Look, now: datetime) -> Parts:
        """Return everything that the page shows at this moment."""


class View:
    """One viewer's page.

    Args:
        page: What fills it.
        client: The viewer's connection.
        look: How it is looked at.
    """

    def __init__(self, page: Page, client: Client, look: Look) -> None:
        self.page, self.look = page, look
        self._client = client
        self._sent: dict[str, str] = {}
        self._asked = -PATIENCE_S

    @property
    def connected(self) -> bool:
        """Whether the viewer is there just now."""
        return self._client.has_socket_connection

    @property
    def reachable(self) -> bool:
        """Whether the viewer is there, and has shown what was sent last."""
        return self.connected and clock.monotonic() - self._asked >= PATIENCE_S

    def send(self, parts: dict[str, str]) -> None:
        """Send those parts, encoded as JSON, that are not what was sent before."""
        known = {} if self._sent.get(FRAME) != parts.get(FRAME) else self._sent
        new = {name: text for name, text in parts.items() if known.get(name) != text}
        if not new:
            return
        self._asked = clock.monotonic()
        # The texts are shared by all who see the same: a viewer costs references, not copies.
        self._sent |= new
        body = ",".join(f"{json.dumps(name)}:{text}" for name, text in new.items())
        self._client.run_javascript(f"mien.take({{{body}}})")

    def shown(self) -> None:
        """Take note that the browser has shown what was sent, and is ready for more."""
        self._asked = -PATIENCE_S

    def forget(self) -> None:
        """Send everything again: the browser has begun anew."""
        self.shown()
        self._sent.clear()


class Pulse:
    """Brings all views up to date."""

    def __init__(self) -> None:
        self._views: set[View] = set()
        self._beating: asyncio.Task[None] | None = None
        self._busy: set[tuple[Page, Look]] = set()

    @property
    def viewers(self) -> int:
        """How many pages are open."""
        return sum(view.connected for view in self._views)

    def join(self, view: View) -> None:
        """Keep a view up to date from now on."""
        self._views.add(view)
        if self._beating is None or self._beating.done():
            self._beating = background_tasks.create(self._beat(), name="dashboard-pulse")

    def leave(self, view: View) -> None:
        """Forget a view."""
        self._views.discard(view)

    async def refresh(self, view: View) -> None:
        """Bring one view up to date at once."""
        await self._bring(view.page, view.look, [view])

    async def _beat(self) -> None:
        while self._views:
            groups: dict[tuple[Page, Look], list[View]] = {}
            for view in self._views:
                if view.reachable:
                    groups.setdefault((view.page, view.look), []).append(view)
            for (page, look), views in groups.items():
                if (page, look) not in self._busy:
                    background_tasks.create(self._bring(page, look, views), name="dashboard-view")
            await asyncio.sleep(TICK_S)

    async def _bring(self, page: Page, look: Look, views: Iterable[View]) -> None:
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
            if view.look == look and view.reachable:
                view.send(texts)
