"""The page System: how every part is doing, the model, what was set aside, the doctor's findings, the last lines."""

from __future__ import annotations

import asyncio
import logging
import time as clock
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from pathlib import Path

from mien.config import Settings
from mien.dashboard.data.queries import Queries, SourceState
from mien.dashboard.pages import checks
from mien.dashboard.pages.cards import text
from mien.dashboard.pages.checks import Part
from mien.dashboard.pages.model import model_card
from mien.dashboard.pages.refresh import Look, Parts, Pulse
from mien.dashboard.pages.shell import status
from mien.dashboard.pages.wording import amount, moment, stretch
from mien.errors import MienError, StoreError
from mien.models import store as model_store
from mien.models.classifier import Classifier
from mien.models.evaluation import evaluation_of
from mien.mqtt.messages import Delay, OutboxCounts, Stats
from mien.stores.base import DeadLetter

__all__ = ["Diagnose", "System"]

log = logging.getLogger(__name__)

Diagnose = Callable[[Settings], Iterable[tuple[str, str, str]]]
"""The doctor: yields name, state (ok, note, fail) and text of each finding."""

LINES = 40
TAIL = 16_384
PREVIEWS = ("off", "blurred", "plain")
SIGNS = {"ok": "✓", "note": "!", "fail": "✕"}


class System:
    """What fills the page.

    Args:
        queries: Answers what it shows.
        settings: Where things are.
        pulse: Knows how many pages are open.
        diagnose: The doctor.
    """

    def __init__(self, queries: Queries, settings: Settings, pulse: Pulse, diagnose: Diagnose) -> None:
        self._queries, self._settings, self._pulse, self._diagnose = queries, settings, pulse, diagnose
        self._began: datetime | None = None
        self._findings: list[tuple[str, str, str]] = []
        self._looking = self._looked = False
        self._model = ""
        self._lines: tuple[float, str] = (0.0, "")

    async def parts(self, look: Look, now: datetime) -> Parts:
        """Return everything that the page shows at this moment."""
        self._began = self._began or now
        if not self._looked:
            await self.check(wait=False)
        queries, zone = self._queries, look.zone
        states = await queries.sources()
        failed = await queries.store_error()
        lines = (
            checks.broker(queries.listener, zone, now),
            checks.outboxes(states),
            checks.forwarder(states, queries.listener, failed),
            checks.store(queries.url if look.role == "admin" else "", states, await queries.size(), failed, zone),
            checks.dashboard(self._pulse.viewers, self._began, now),
        )
        parts = await status(queries, look, now) | {
            "html:parts": "".join(_part(line) for line in lines),
            "html:source-table": _sources(states, look, now),
            "html:model": self._model,
        }
        return parts | await self._inside(look, now) if look.role == "admin" else parts

    async def _inside(self, look: Look, now: datetime) -> Parts:
        """Return what is no business of everybody who may look: files, messages, addresses."""
        try:
            letters = await self._queries.dead_letters()
        except StoreError:
            letters = []
        return {
            "html:letters": _letters(letters, look, now),
            "html:findings": "".join(_finding(*finding) for finding in self._findings),
            "call:looking": self._looking,
            "html:lines": self._tail(),
        }

    async def check(self, *, wait: bool = True) -> None:
        """Have the doctor look again, unless it is looking already."""
        if self._looking:
            return
        self._looking = self._looked = True
        work = asyncio.get_running_loop().run_in_executor(None, self._look)
        if wait:
            await work

    def _look(self) -> None:
        try:
            self._findings = list(self._diagnose(self._settings))
            classifier = Classifier.load(model_store.in_use(self._settings).model)
            measured = evaluation_of(classifier.file, classifier.model_id)
            self._model = model_card(classifier.model_id, classifier.contract, measured)
        except MienError as error:
            log.warning("the doctor could not look at everything: %s", error)
        except Exception:  # of a library; the page must say what was found until then
            log.exception("the doctor failed")
        finally:
            self._looking = False

    def _tail(self) -> str:
        if clock.monotonic() - self._lines[0] > 1:
            self._lines = clock.monotonic(), text("\n".join(last_lines(self._settings.home / "logs")))
        return self._lines[1]


def last_lines(folder: Path) -> list[str]:
    """Return the last lines of all logs in a folder in the order of their times, which they begin with."""
    lines: list[str] = []
    for path in folder.glob("*.log"):
        try:
            with path.open("rb") as file:
                file.seek(max(0, path.stat().st_size - TAIL))
                whole = file.tell() == 0
                tail = file.read(TAIL).decode("utf-8", "replace").splitlines()
        except OSError:
            continue
        lines += tail if whole else tail[1:]
    return sorted(line[:500] for line in lines if line[:2] == "20")[-LINES:]


def _part(part: Part) -> str:
    return (
        f'<li class="{part.state}"><span class="sign" aria-hidden="true">{SIGNS[part.state]}</span>'
        f"<h3>{part.name}</h3><b>{text(part.word)}</b><p>{_coded(part.text)}</p></li>"
    )


def _sources(states: Sequence[SourceState], look: Look, now: datetime) -> str:
    rows = []
    for state in states:
        stats = state.stats or Stats()
        delay, outbox = stats.delay_ms or Delay(), stats.outbox or OutboxCounts()
        cells = (
            _number(stats.fps, "{:.1f}"), _number(delay.p50, "{:,.0f}"), _number(delay.p99, "{:,.0f}"),
            _number(stats.dropped, "{:,}"), _number(outbox.depth, "{:,}"),
            stretch(stats.uptime_s) if stats.uptime_s else "–",
            moment(state.last, look.zone, now) if state.last else "never", amount(state.frames),
            stats.preview if stats.preview in PREVIEWS else "–", text(stats.model or "–"),
        )  # fmt: skip
        word = "online" if state.online else "offline"
        said = f'<span class="state {word}"><i aria-hidden="true"></i>{word}</span>'
        rows.append(
            f'<tr><th scope="row">{text(state.source)}</th><td class="word">{said}</td>'
            f"{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"
        )
    heads = (
        "Source", "State", "Frames/s", "Delay, ms", "p99, ms", "Dropped frames", "In outbox", "Runs for", "Last seen",
        "Stored", "Preview", "Model",
    )  # fmt: skip
    head = "".join(f'<th scope="col"{" class=word" if word == "State" else ""}>{word}</th>' for word in heads)
    empty = f'<tr><td colspan="{len(heads)}">No source yet.</td></tr>'
    return (
        f'<caption class="unseen">Sources</caption><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(rows) or empty}</tbody>"
    )


def _letters(letters: Sequence[DeadLetter], look: Look, now: datetime) -> str:
    if not letters:
        return "<p class='fine'>None: everything that came was a valid observation.</p>"
    return "<ul>{}</ul><p class='fine'>The newest; <code>mien store dead-letters</code> shows all.</p>".format(
        "".join(
            f"<li><time>{moment(letter.time, look.zone, now)}</time><code>{text(letter.topic[:120])}</code>"
            f"<span>{text(letter.reason[:300])}</span></li>"
            for letter in letters
        )
    )


def _finding(name: str, state: str, words: str) -> str:
    return (
        f'<li class="{state}"><span class="sign" aria-hidden="true">{SIGNS[state]}</span><h3>{text(name)}</h3>'
        f"<p>{_coded(words)}</p></li>"
    )


def _coded(words: str) -> str:
    """Return words with what stands between backticks as code."""
    pieces = text(words).split("`")
    return "".join(f"<code>{piece}</code>" if place % 2 else piece for place, piece in enumerate(pieces))


def _number(value: float | None, form: str) -> str:
    return "–" if value is None else form.format(value)
