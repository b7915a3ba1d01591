"""The page: its layout, and the task that keeps it up to date while someone looks.

What the viewer chose comes from the URL (`static/mien.js` sends it whenever it changes); answers of `queries` become
HTML and figures, and only what changed goes to the browser.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timezone, tzinfo
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs

from nicegui import ui
from nicegui.events import GenericEventArguments

from mien import __version__
from mien.dashboard import cards
from mien.dashboard.charts import timeline_figure
from mien.dashboard.periods import PERIODS, Choice, Window, parse_choice, resolve, zone_named
from mien.dashboard.queries import Queries, SourceState, Timeline, nothing
from mien.dashboard.wording import moment, span
from mien.errors import StoreError
from mien.stores.base import Summary

__all__ = ["STATIC", "View"]

STATIC = Path(__file__).parent / "static"
"""The folder with the style sheet, the script and the parts of the page that never change."""

TICK_S = 0.5
"""So often the page is brought up to date; the chart at most once a second."""

MAX_CARDS = 48
"""So many sources are drawn at once."""

FIGURES = ("Faces in view", "Happiness index", "Most shown", "Analysed")

WHY = '<button class="why" type="button" popovertarget="definition" aria-label="What is this index?">?</button>'


class SourceCard(NamedTuple):
    """The elements of a source's card that change."""

    card: ui.element
    head: ui.html
    people: ui.html
    foot: ui.html


class View:
    """One viewer's page; made inside a NiceGUI page function.

    Args:
        queries: Answers what the page shows.
        query: The query of the URL it was opened with.
    """

    def __init__(self, queries: Queries, query: str) -> None:
        self._queries = queries
        self._choice = _choice(query)
        self._zone: tzinfo = timezone.utc
        self._text_px = 12.0
        self._greeted = False
        self._drawn: tuple[Timeline, tzinfo] | None = None
        self._sent: dict[str, str] = {}
        self._cards: dict[str, SourceCard] = {}
        self._build()
        ui.on("choose", self._choose)
        ui.timer(TICK_S, self._refresh)

    def _build(self) -> None:
        ui.page_title("Mien")
        ui.add_head_html(
            f'<meta name="description" content="How the faces in view react"><style>{cards.palette()}</style>'
            f'<link rel="stylesheet" href="/assets/mien.css?{__version__}">'
            f'<script src="/assets/mien.js?{__version__}"></script>'
        )
        ui.html('<a class="skip" href="#content">Skip to the figures</a>', sanitize=False)
        with ui.element("header").classes("top"):
            ui.html(_part("brand"), sanitize=False)
            self._status = ui.html("", sanitize=False, tag="p").classes("status").props("role=status")
            ui.html(_part("theme"), sanitize=False)
        with ui.element("div").classes("content").props("id=content tabindex=-1"):
            ui.html('<h1 class="unseen">How the faces in view react</h1>', sanitize=False)
            self._notice = _fill("p", "notice")
            self._empty = ui.html(_part("empty"), sanitize=False)
            self._empty.set_visibility(False)
            with ui.element("div").classes("board") as self._board:
                self._build_board()
        ui.html(_part("foot").replace("{version}", __version__), sanitize=False, tag="footer")

    def _build_board(self) -> None:
        periods = "".join(
            f'<button type="button" data-period-name="{name}" aria-pressed="false">{word}</button>'
            for name, word in PERIODS.items()
        )
        ui.html(_part("controls").replace("{periods}", periods), sanitize=False).classes("controls")
        self._values: dict[str, tuple[ui.html, ui.html]] = {}
        with ui.element("div").classes("figures"):
            for title in FIGURES:
                with ui.element("section").classes("card figure"):
                    ui.html(f"<h2>{title}</h2>{WHY if title == 'Happiness index' else ''}", sanitize=False)
                    self._values[title] = (_fill("p", "big"), _fill("div", "note"))
        with ui.element("div").classes("charts"):
            with ui.element("section").classes("card chart"):
                self._chart_head = _fill("header", "")
                with ui.element("div").classes("canvas"):
                    self._plot = ui.plotly({"data": [], "layout": {}}).classes("plot")
                    self._plot.props('role=img aria-label="Emotions over time"')
                    self._none = _fill("div", "none")
            with ui.element("section").classes("card share"):
                ui.html("<h2>Share by emotion</h2><p>Mean over all faces, and how many were named so</p>",
                        sanitize=False, tag="header")  # fmt: skip
                self._shares = _fill("div", "rest")
        self._sources_head = _fill("div", "sources-head")
        self._grid = ui.element("div").classes("sources")

    def _choose(self, event: GenericEventArguments) -> None:
        self._choice = _choice(str(event.args))
        self._drawn = None

    async def _refresh(self) -> None:
        if not self._greeted:
            await self._greet()
        now = datetime.now(timezone.utc)
        states = await self._queries.sources()
        self._show_status(states, now)
        self._empty.set_visibility(not states)
        self._board.set_visibility(bool(states))
        if not states:
            _set(self._notice, "")
            return
        choice = self._choice
        chosen = [state for state in states if not choice.sources or state.source in choice.sources]
        window = resolve(choice, self._zone, now)
        timeline = await self._timeline(window, choice.sources)
        total = timeline.total
        for title, texts in cards.figures(total, chosen).items():
            for element, text in zip(self._values[title], texts, strict=True):
                _set(element, text)
        self._show_chart(timeline, total, chosen, now)
        _set(self._shares, cards.share_list(total))
        self._show_sources(chosen, now)
        self._send("sources", [state.source for state in states])
        drawn = [state for state in chosen if state.source in self._cards]
        self._send("stages", {state.source: cards.stage(state.newest) for state in drawn})

    async def _greet(self) -> None:
        try:
            answer = await ui.run_javascript("mien.greet()", timeout=5)
        except TimeoutError:
            return
        told = answer if isinstance(answer, dict) else {}
        size = told.get("size")
        self._zone = zone_named(told.get("zone"))
        self._text_px = 0.8 * min(max(size, 8.0), 64.0) if isinstance(size, int | float) else 12.0
        self._greeted = True

    async def _timeline(self, window: Window, sources: Sequence[str]) -> Timeline:
        try:
            timeline = await self._queries.timeline(window, sources)
        except StoreError as error:
            _set(self._notice, cards.text(f"The store cannot be read: {error}. This page tries again by itself."))
            return nothing(window)
        _set(self._notice, "")
        return timeline

    def _show_status(self, states: Sequence[SourceState], now: datetime) -> None:
        listener = self._queries.listener
        if listener.connected:
            live = any(state.online for state in states)
            _set(self._status, cards.status("live", "Live") if live else cards.status("calm", "Waiting for a source"))
            return
        words = f"Broker away since {moment(listener.changed, self._zone, now)}" if listener.met else "No broker"
        _set(self._status, cards.status("away", words, f"{listener.reason}. What is shown comes from the store."))

    def _show_chart(self, timeline: Timeline, total: Summary, chosen: Sequence[SourceState], now: datetime) -> None:
        drawn = (timeline, self._zone)
        if self._drawn and self._drawn[0] is timeline and self._drawn[1] == self._zone:
            return
        self._drawn = drawn
        names = span(timeline.window, self._zone)
        about = f"Mean probability · {names} · {cards.text(str(self._zone))}"
        _set(self._chart_head, f"<h2>Emotions over time</h2><p>{about}</p>")
        _set(self._none, "" if total.frames else cards.none(chosen, self._zone, now))
        self._plot.props["aria-label"] = cards.in_words(total, names)
        self._plot.update_figure(timeline_figure(timeline, self._zone, self._text_px))

    def _show_sources(self, states: Sequence[SourceState], now: datetime) -> None:
        shown = sorted(states, key=lambda state: not state.online)[:MAX_CARDS]
        more = f" · {len(states) - MAX_CARDS} more: choose them above" if len(states) > MAX_CARDS else ""
        online = sum(state.online for state in states)
        _set(self._sources_head, f"<h2>Sources</h2><p>{online} of {len(states)} online{more}</p>")
        if list(self._cards) != [state.source for state in shown]:
            self._grid.clear()
            with self._grid:
                self._cards = {state.source: _source_card(state.source) for state in shown}
            self._sent.pop("stages", None)
        for state in shown:
            card = self._cards[state.source]
            card.card.classes(**({"remove": "gone"} if state.online else {"add": "gone"}))
            _set(card.head, cards.source_head(state, self._zone, now))
            _set(card.people, cards.people(state))
            _set(card.foot, cards.source_foot(state, self._zone, now))

    def _send(self, function: str, value: Any) -> None:
        text = json.dumps(value)
        if self._sent.get(function) != text:
            self._sent[function] = text
            ui.run_javascript(f"mien.{function}({text})")


def _source_card(name: str) -> SourceCard:
    with ui.element("article").classes("card source") as card:
        head = _fill("header", "")
        ui.element("div").classes("stage").props(f'data-stage="{name}" aria-hidden=true')
        return SourceCard(card, head, _fill("div", "faces"), _fill("footer", ""))


def _fill(tag: str, classes: str) -> ui.html:
    return ui.html("", sanitize=False, tag=tag).classes(classes)


def _set(element: ui.html, content: str) -> None:
    if element.content != content:
        element.set_content(content)


def _part(name: str) -> str:
    return (STATIC / f"{name}.html").read_text(encoding="utf-8")


def _choice(query: str) -> Choice:
    try:
        values = parse_qs(query.lstrip("?")[:8192], max_num_fields=200)
    except ValueError:
        return Choice()
    return parse_choice({name: given[-1] for name, given in values.items()}, values.get("source", []))
