"""The page System: how every part is doing, the model, what was set aside, the doctor's findings, the last lines."""

from __future__ import annotations

import asyncio
import logging
import time as clock
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from mien.config import Settings
from mien.dashboard.data.queries import Queries, SourceState
from mien.dashboard.pages import checks
from mien.dashboard.pages.cards import rate
from mien.dashboard.pages.model import model_card
from mien.dashboard.pages.refresh import Parts, Refresh, ViewKey
from mien.dashboard.pages.status import status
from mien.dashboard.pages.wording import amount, moment, stretch
from mien.dashboard.rendering import part
from mien.errors import MienError, StoreError
from mien.models import store as model_store
from mien.models.classifier import Classifier
from mien.models.evaluation import evaluation_of
from mien.mqtt.messages import Delay, OutboxCounts, Stats
from mien.observation import now as began
from mien.stores.base import Arrivals, DeadLetter

__all__ = ["Diagnose", "System"]

log = logging.getLogger(__name__)

Diagnose = Callable[[Settings], Iterable[tuple[str, str, str]]]
"""The doctor: yields name, state (ok, note, fail) and text of each finding."""

LINES = 40
TAIL = 16_384
PREVIEWS = ("off", "blurred", "plain")

HEADS = {
    "Frames/s": "frames-a-second", "Delay, ms": "delay-and-p99", "p99, ms": "delay-and-p99",
    "Dropped frames": "dropped-frames", "In outbox": "outbox", "Runs for": "", "Last seen": "", "Stored": "",
    "Late": "late-and-refused", "Refused": "late-and-refused", "Preview": "", "Model": "",
}  # fmt: skip
"""What is told of each source besides its name and whether it is there, and which section of the page on figures says
what it is."""


class Row(NamedTuple):
    """A source: its name, whether it is there, and a cell for each of HEADS."""

    source: str
    word: str
    cells: list[str]


class Letter(NamedTuple):
    """A message that was no observation."""

    time: str
    topic: str
    reason: str


class System:
    """What fills the page.

    Args:
        queries: Answers what it shows.
        settings: Where things are.
        refresh: Knows how many pages are open.
        diagnose: The doctor.
    """

    def __init__(self, queries: Queries, settings: Settings, refresh: Refresh, diagnose: Diagnose) -> None:
        self._queries, self._settings, self._refresh, self._diagnose = queries, settings, refresh, diagnose
        self._began = began()
        self._findings: list[tuple[str, str, str]] = []
        self._looking = self._looked = False
        self._model = ""
        self._lines: tuple[float, str] = (0.0, "")

    async def parts(self, look: ViewKey, now: datetime) -> Parts:
        """Return everything that the page shows at this moment."""
        if not self._looked:
            await self.check(wait=False)
        queries, zone = self._queries, look.zone
        states = await queries.sources()
        failed = await queries.store_error()
        arrivals = [] if failed else await self._arrivals()
        of = {counts.source: counts for counts in arrivals}
        lines = (
            checks.broker(queries.listener, zone, now),
            checks.outboxes(states),
            checks.forwarder(states, queries.listener, failed),
            checks.store(
                queries.url if look.role == "admin" else "", states, await queries.size(), failed, zone, arrivals
            ),
            checks.dashboard(self._refresh.viewers, self._began, now),
        )
        parts = await status(queries, look, now) | {
            "html:parts": part("system.parts", lines),
            "html:source-table": part("system.sources", HEADS, [_row(state, of, look, now) for state in states]),
            "html:model": self._model,
        }
        return parts | await self._inside(look, now) if look.role == "admin" else parts

    async def _inside(self, look: ViewKey, now: datetime) -> Parts:
        """Return what is no business of everybody who may look: files, messages, addresses."""
        try:
            letters = await self._queries.dead_letters()
        except StoreError:
            letters = []
        return {
            "html:letters": part("system.dead_letters", [_letter(letter, look, now) for letter in letters]),
            "html:findings": part("system.findings", self._findings),
            "call:looking": self._looking,
            "text:lines": self._tail(),
        }

    async def _arrivals(self) -> list[Arrivals]:
        try:
            return await self._queries.arrivals()
        except StoreError:
            return []

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
            self._lines = clock.monotonic(), "\n".join(last_lines(self._settings.home / "logs"))
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


def _row(state: SourceState, arrivals: Mapping[str, Arrivals], look: ViewKey, now: datetime) -> Row:
    stats = state.stats or Stats()
    delay, outbox = stats.delay_ms or Delay(), stats.outbox or OutboxCounts()
    counts = arrivals.get(state.source, Arrivals(state.source, 0, 0))
    cells = [
        rate(stats), _number(delay.p50, "{:,.0f}"), _number(delay.p99, "{:,.0f}"),
        _number(stats.dropped, "{:,}"), _number(outbox.depth, "{:,}"),
        stretch(stats.uptime_s) if stats.uptime_s else "–",
        moment(state.last, look.zone, now) if state.last else "never", amount(state.frames),
        amount(counts.late), amount(counts.refused),
        stats.preview if stats.preview in PREVIEWS else "–", stats.model or "–",
    ]  # fmt: skip
    return Row(state.source, "online" if state.online else "offline", cells)


def _letter(letter: DeadLetter, look: ViewKey, now: datetime) -> Letter:
    return Letter(moment(letter.time, look.zone, now), letter.topic[:120], letter.reason[:300])


def _number(value: float | None, form: str) -> str:
    return "–" if value is None else form.format(value)
