"""The page History: a period of some sources, drawn, counted and, if wanted, compared with another."""

from __future__ import annotations

from collections import OrderedDict
from datetime import datetime
from typing import Any, NamedTuple

from mien.dashboard.data.periods import VERSUS, resolve, rival
from mien.dashboard.data.queries import Queries, SourceState, Timeline, nothing
from mien.dashboard.jobs.demo import DemoPlayer
from mien.dashboard.pages import cards, tables
from mien.dashboard.pages.charts import timeline_figure
from mien.dashboard.pages.refresh import Parts, ViewKey
from mien.dashboard.pages.status import sources
from mien.dashboard.pages.wording import span
from mien.errors import StoreError
from mien.stores.base import Bucket, Marker

__all__ = ["History"]

MAX_MARKERS = 100
KEPT = 64
"""So many views are kept drawn, for those who look at the same and for what has not changed."""

COMMON = ("type", "mode", "stackgroup", "x", "hovertemplate", "hoverinfo")


class Answers(NamedTuple):
    """What the store says of a choice."""

    timeline: Timeline
    other: Timeline | None
    markers: list[Marker]
    hours: list[Bucket]
    problem: str = ""

    def same(self, other: Answers) -> bool:
        """Return whether what would be drawn is the same."""
        lists = (self.markers, self.hours, self.problem) == (other.markers, other.hours, other.problem)
        return lists and self.timeline is other.timeline and self.other is other.other


class History:
    """What fills the page.

    Args:
        queries: Answers what it shows.
        demo: Plays the demo.
    """

    def __init__(self, queries: Queries, demo: DemoPlayer) -> None:
        self._queries, self._demo = queries, demo
        self._drawn: OrderedDict[ViewKey, tuple[Answers, Parts]] = OrderedDict()

    async def parts(self, look: ViewKey, now: datetime) -> Parts:
        """Return everything that the page shows at this moment."""
        states, parts = await sources(self._queries, self._demo, look, now)
        if not states:
            return parts
        answers = await self.ask(look, now)
        kept = self._drawn.get(look)
        if kept is None or not kept[0].same(answers):
            self._drawn[look] = answers, _draw(look, answers, states, now)
            while len(self._drawn) > KEPT:
                self._drawn.popitem(last=False)
        self._drawn.move_to_end(look)
        return parts | self._drawn[look][1]

    async def ask(self, look: ViewKey, now: datetime) -> Answers:
        """Return what the store says of a choice at this moment."""
        choice, zone = look.choice, look.zone
        window = resolve(choice, zone, now)
        try:
            timeline = await self._queries.timeline(window, choice.sources)
            other = None
            if choice.versus:
                other = await self._queries.timeline(*rival(choice, zone, now))
            markers = await self._queries.markers(window.start, window.end, choice.sources, MAX_MARKERS)
            hours = await self._queries.hours(timeline.seen, choice.sources)
        except StoreError as error:
            kept = self._drawn.get(look)
            problem = f"{error.public[:1].upper()}{error.public[1:]}. This page tries again by itself."
            if kept and kept[0].problem == problem:
                return kept[0]
            return Answers(nothing(window), None, [], [], problem)
        return Answers(timeline, other, markers, hours)


def _draw(look: ViewKey, answers: Answers, states: list[SourceState], now: datetime) -> Parts:
    choice, zone, (timeline, other, markers, hours, problem) = look.choice, look.zone, answers
    window, total = timeline.window, timeline.total
    rest = other.total if other else None
    period = span(window, zone)
    chosen = [state for state in states if not choice.sources or state.source in choice.sources]
    what = "Faces named" if choice.form == "count" else "Mean probability"
    parts: Parts = {
        "text:notice": problem,
        "html:figures": cards.figures(total, rest),
        "text:chart-about": f"{what} · {period} · {zone}",
        "html:none": "" if total.frames else cards.none(chosen, zone, now),
        "html:shares": cards.share_list(total, rest, choice.emotions),
        "html:numbers": tables.numbers(timeline, zone),
        "html:hours": tables.busiest(hours, timeline.seen, zone),
        "html:markers": tables.marker_list(markers, zone),
        "text:marker-count": f"{len(markers)}",
        "call:plot": {
            "id": "plot",
            "words": cards.in_words(total, period),
            "figure": _figure(look, timeline, markers, other),
            "from": window.start.isoformat(),
            "to": window.end.isoformat(),
        },
        "call:compared": other is not None,
    }
    if other is not None and rest is not None:
        names = _names(look, other, period)
        parts["text:other-about"] = names[1]
        parts["html:comparison"] = tables.comparison(total, rest, names)
        if choice.form == "lines":
            parts["text:chart-about"] = f"{what} · {period} · dashed: {names[1]} · {zone}"
            return parts
        parts["call:plot.other"] = {
            "id": "other", "words": cards.in_words(rest, names[1]), "figure": _figure(look, other, []),
            "from": other.window.start.isoformat(), "to": other.window.end.isoformat(),
        }  # fmt: skip
    return parts


def _figure(look: ViewKey, timeline: Timeline, markers: list[Marker], other: Timeline | None = None) -> dict[str, Any]:
    """Return the chart, with what all bands have in common said once: it is most of what travels."""
    choice = look.choice
    figure = timeline_figure(
        timeline, look.zone, emotions=choice.emotions, form=choice.form, markers=markers, other=other
    )
    *bands, count = figure["data"]
    common = {key: bands[0][key] for key in COMMON if key in bands[0]}
    rest = [
        {key: value for key, value in band.items() if key not in common} if band["x"] == common["x"] else band
        for band in bands
    ]
    return figure | {"data": [*rest, count], "common": common}


def _names(look: ViewKey, other: Timeline, period: str) -> tuple[str, str]:
    """Return what is shown, and what it is compared with, as people call them."""
    versus = look.choice.versus
    if versus.startswith("@"):
        return ", ".join(look.choice.sources) or "All sources", versus[1:]
    return period, f"{VERSUS.get(versus, 'Another time')}: {span(other.window, look.zone)}"
