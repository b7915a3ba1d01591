"""What all pages have in common: head, navigation, the word on the connection, foot.

A page's static HTML goes in; a NiceGUI page comes out, whose view is brought up to date until its viewer leaves.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from nicegui import Client, ui
from nicegui.events import GenericEventArguments

from mien.dashboard.data.periods import FORMS, PERIODS, VERSUS, Choice, parse_choice, zone_named
from mien.dashboard.data.queries import Queries, SourceState
from mien.dashboard.jobs.demo import Demo
from mien.dashboard.pages import cards
from mien.dashboard.pages.charts import SHOWN
from mien.dashboard.pages.refresh import Look, Page, Parts, Pulse, View
from mien.dashboard.pages.wording import moment
from mien.dashboard.security.roles import Caller, Role, who_asks
from mien.version import __version__

__all__ = ["NAVIGATION", "STATIC", "build", "part", "sources", "status"]

STATIC = Path(__file__).parents[1] / "static"
"""The folder with the style sheet, the scripts and the parts of the pages that never change."""

NAVIGATION = {"/": "Live", "/history": "History", "/try": "Try it", "/reports": "Reports", "/system": "System"}
"""The pages by path, in the order of the navigation."""


def build(path: str, client: Client, page: Page, pulse: Pulse, *, scripts: tuple[str, ...] = ()) -> None:
    """Fill a NiceGUI page and keep it up to date while someone looks.

    Args:
        path: Its place in NAVIGATION; `/history` shows `static/history.html`.
        client: The viewer's connection.
        page: What fills it.
        pulse: Keeps it up to date.
        scripts: Further scripts of `static/` that it needs.
    """
    name = path.strip("/") or "live"
    sheets = "".join(f'<script src="/assets/{script}.js?{__version__}"></script>' for script in ("mien", *scripts))
    ui.page_title("Mien" if path == "/" else f"{NAVIGATION[path]} · Mien")
    ui.add_head_html(
        f'<meta name="description" content="How the faces in view react"><style>{cards.palette()}</style>'
        f'<link rel="stylesheet" href="/assets/mien.css?{__version__}">{sheets}'
    )
    ui.html('<a class="skip" href="#content">Skip to the content</a>', sanitize=False)
    who = who_asks(client.request.scope)
    role: Role = who.role if who else "viewer"
    ui.html(_head(path, who), sanitize=False, tag="header").classes("top")
    ui.html(_body(name), sanitize=False, tag="div").classes("content").props(
        f"id=content tabindex=-1 data-page={name} data-role={role}"
    )
    ui.html(part("foot").replace("{version}", __version__), sanitize=False, tag="footer")

    view = View(page, client, Look())

    async def greet() -> None:
        try:
            told = await client.run_javascript("mien.greet()", timeout=20)
        except TimeoutError:
            return
        view.look = _look(told)._replace(role=role)
        view.forget()
        pulse.join(view)
        await pulse.refresh(view)

    async def choose(event: GenericEventArguments) -> None:
        view.look = view.look._replace(choice=_choice(str(event.args)))
        view.shown()
        await pulse.refresh(view)

    ui.on("choose", choose)
    ui.on("shown", view.shown)
    client.on_connect(greet)
    client.on_delete(lambda: pulse.leave(view))


def part(name: str) -> str:
    """Return a part of the pages that never changes."""
    return (STATIC / f"{name}.html").read_text(encoding="utf-8")


async def status(queries: Queries, look: Look, now: datetime) -> Parts:
    """Return the word on the connection in the head."""
    listener = queries.listener
    if not listener.connected:
        words = f"Broker away since {moment(listener.changed, look.zone, now)}" if listener.met else "No broker"
        return {"html:status": cards.status("away", words, f"{listener.reason}. What is shown comes from the store.")}
    live = any(state.online for state in await queries.sources())
    return {"html:status": cards.status("live", "Live") if live else cards.status("calm", "Waiting for a source")}


async def sources(queries: Queries, demo: Demo, look: Look, now: datetime) -> tuple[list[SourceState], Parts]:
    """Return the sources, and the parts that tell of them: the word in the head, what to choose from, the first use."""
    states = await queries.sources()
    parts = await status(queries, look, now)
    return states, parts | {
        "call:filled": bool(states), "call:sources": [state.source for state in states],
        "call:demo": {"state": demo.state, "message": demo.message},
    }  # fmt: skip


def _body(name: str) -> str:
    """Return a page's static HTML, with what several pages have and what the code knows put in."""
    texts = {
        "{welcome}": part("empty"),
        "{demo}": part("demo"),
        "{picker}": part("picker"),
        "{definition}": part("definition"),
        "{periods}": _buttons("period-name", PERIODS),
        "{forms}": _buttons("form", FORMS),
        "{versus}": "".join(f'<option value="{value}">{words}</option>' for value, words in VERSUS.items()),
        "{emotions}": "".join(
            f'<button type="button" data-emotion="{emotion}" aria-pressed="true">{cards.dot(emotion)}'
            f"{emotion.capitalize()}</button>"
            for emotion in SHOWN
        ),
    }
    body = part(name)
    for place, text in texts.items():
        body = body.replace(place, text)
    return body


def _buttons(name: str, words: dict[str, str]) -> str:
    return "".join(
        f'<button type="button" data-{name}="{value}" aria-pressed="false">{word}</button>'
        for value, word in words.items()
    )


def _head(path: str, who: Caller | None) -> str:
    links = "".join(
        f'<a href="{place}"{" aria-current=page" if place == path else ""}>'
        f'<svg aria-hidden="true"><use href="/assets/icons.svg#{place.strip("/") or "live"}"/></svg>'
        f"<span>{word}</span></a>"
        for place, word in NAVIGATION.items()
    )
    said = '<p id="status" class="status" role="status"></p>'
    leave = ""
    if who is not None and who.login:
        name = cards.text(who.name)
        leave = (
            f'<form method="post" action="/logout"><button class="button" title="{name} ({who.role})">'
            f'Log out<span class="unseen"> {name}</span></button></form>'
        )
    return f'{part("brand")}<nav aria-label="Pages">{links}</nav>{said}{leave}{part("theme")}'


def _look(told: Any) -> Look:
    told = told if isinstance(told, dict) else {}
    size = told.get("size")
    text_px = 0.8 * min(max(size, 8.0), 64.0) if isinstance(size, int | float) else 12.0
    return Look(_choice(str(told.get("query", ""))), zone_named(told.get("zone")), text_px)


def _choice(query: str) -> Choice:
    try:
        values = parse_qs(query.lstrip("?")[:8192], max_num_fields=200)
    except ValueError:
        return Choice()
    last = {name: given[-1] for name, given in values.items()}
    return parse_choice(last, values.get("source", []), values.get("emotion", []))
