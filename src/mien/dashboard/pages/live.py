"""The page Live: each source as a card, and what is so right now over all of them."""

from __future__ import annotations

from datetime import datetime, timedelta

from mien.dashboard.data.periods import Window
from mien.dashboard.data.queries import Queries
from mien.dashboard.data.second_sums import blank, numbers, summed
from mien.dashboard.jobs.demo import DemoPlayer
from mien.dashboard.pages import cards, tables
from mien.dashboard.pages.charts import stream
from mien.dashboard.pages.refresh import Parts, ViewKey
from mien.dashboard.pages.status import sources
from mien.errors import StoreError

__all__ = ["Live"]

MAX_CARDS = 48
"""So many sources are drawn at once."""

MAX_LATEST = 6
MARKED = timedelta(days=365)
"""Where there is one source alone, so many of its markers are listed, if they are no older."""


class Live:
    """What fills the page.

    Args:
        queries: Answers what it shows.
        demo: Plays the demo.
    """

    def __init__(self, queries: Queries, demo: DemoPlayer) -> None:
        self._queries, self._demo = queries, demo

    async def parts(self, look: ViewKey, now: datetime) -> Parts:
        """Return everything that the page shows at this moment."""
        states, parts = await sources(self._queries, self._demo, look, now)
        if not states:
            return parts
        wanted = look.choice.sources
        chosen = [state for state in states if not wanted or state.source in wanted]
        minutes = await self._queries.last_minute()
        none, total = blank(60), blank(60)
        shown = sorted(chosen, key=lambda state: not state.online)[:MAX_CARDS]
        for state in chosen:
            numbers(total)[:] += numbers(minutes.get(state.source, none))
        left = len(chosen) - len(shown)
        parts["html:headline"] = cards.headline(chosen, summed(total))
        parts["html:cards"] = "".join(cards.source_card(state.source) for state in shown)
        parts["text:more"] = f"and {left} more: choose some by name" if left else ""
        for state in shown:
            parts[f"html:head-{state.source}"] = cards.source_head(state, look.zone, now)
            parts[f"html:now-{state.source}"] = cards.source_now(state)
            parts[f"html:people-{state.source}"] = cards.people(state)
            parts[f"html:foot-{state.source}"] = cards.source_foot(state, look.zone, now)
            parts[f"call:stage.{state.source}"] = cards.stage(state.newest)
            parts[f"call:preview.{state.source}"] = cards.preview(state)
            parts[f"html:sight-{state.source}"] = cards.sight(state, look.zone, now, look.role)
            parts[f"call:stream.{state.source}"] = stream(minutes.get(state.source, none))
        parts["call:alone"] = shown[0].source if len(shown) == 1 and not left else ""
        return parts | await self._past(shown[0].source, look, now) if parts["call:alone"] else parts

    async def _past(self, source: str, look: ViewKey, now: datetime) -> Parts:
        """Return the last hour of a source and its latest markers."""
        minute = now.replace(second=0, microsecond=0) + timedelta(minutes=1)
        window = Window(minute - timedelta(hours=1), minute, 60)
        try:
            hour = await self._queries.timeline(window, [source])
            latest = await self._queries.markers(minute - MARKED, minute, [source], MAX_LATEST)
        except StoreError:
            return {}
        return {
            "call:stream..hour": stream(hour.rows),
            "html:latest": tables.latest_markers(latest, look.zone, now),
        }
