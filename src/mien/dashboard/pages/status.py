"""What several pages tell: the word on the connection in the head, which sources there are, whether the demo plays."""

from __future__ import annotations

from datetime import datetime

from mien.dashboard.data.queries import Queries, SourceState
from mien.dashboard.jobs.demo import DemoPlayer
from mien.dashboard.pages import cards
from mien.dashboard.pages.refresh import Parts, ViewKey
from mien.dashboard.pages.wording import moment

__all__ = ["StatusOnly", "sources", "status"]


class StatusOnly:
    """What fills a page of which only the word in the head changes: Try it, and the documentation.

    Args:
        queries: Answers what it shows.
    """

    def __init__(self, queries: Queries) -> None:
        self._queries = queries

    async def parts(self, look: ViewKey, now: datetime) -> Parts:
        """Return everything that the page shows at this moment."""
        return await status(self._queries, look, now)


async def status(queries: Queries, look: ViewKey, now: datetime) -> Parts:
    """Return the word on the connection in the head."""
    listener = queries.listener
    if not listener.connected:
        words = f"Broker away since {moment(listener.changed, look.zone, now)}" if listener.met else "No broker"
        return {"html:status": cards.status("away", words, f"{listener.reason}. What is shown comes from the store.")}
    live = any(state.online for state in await queries.sources())
    return {"html:status": cards.status("live", "Connected") if live else cards.status("calm", "Waiting for a source")}


async def sources(queries: Queries, demo: DemoPlayer, look: ViewKey, now: datetime) -> tuple[list[SourceState], Parts]:
    """Return the sources, and the parts that tell of them: the word in the head, what to choose from, the first use."""
    states = await queries.sources()
    parts = await status(queries, look, now)
    return states, parts | {
        "call:filled": bool(states), "call:sources": [state.source for state in states],
        "call:demo": {"state": demo.state, "message": demo.message},
    }  # fmt: skip
