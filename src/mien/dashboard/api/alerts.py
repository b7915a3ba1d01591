"""Alert rules over the API, for admins: listed, made, tried out and deleted.

Rules that are made here lie in the state folder, where `mien forward` heeds them within seconds; those of `mien.toml`
are listed, and stay as they are.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends
from fastapi import Path as InPath

from mien.config import AlertSettings, Settings
from mien.dashboard.api.schemas import SOURCE, AlertBody, AlertReadingBody, AlertTrial
from mien.dashboard.data.queries import Queries, SourceState
from mien.dashboard.errors import ApiError
from mien.dashboard.security.roles import needs
from mien.errors import MienError, StoreError
from mien.forward.alert_rules import MOST, read_rules, write_rules
from mien.forward.alerts import Notice, describe
from mien.forward.webhook import deliver_once
from mien.observation import now

__all__ = ["alerting_rules"]

Name = Annotated[str, InPath(pattern=SOURCE, description="The rule's name.")]

MAX_TRIED = 100
"""So many sources a rule for each one is tried on."""


def alerting_rules(queries: Queries, settings: Settings) -> APIRouter:
    """Return the routes /v1/alerts and /v1/alert-test."""
    router = APIRouter(prefix="/v1", tags=["alerts"], dependencies=[Depends(needs("admin"))])
    writing = asyncio.Lock()

    def ours() -> tuple[AlertSettings, ...]:
        try:
            return read_rules(settings)
        except MienError as error:
            raise ApiError(503, str(error)) from error

    async def write(rules: list[AlertSettings]) -> None:
        try:
            await asyncio.to_thread(write_rules, settings, rules)
        except MienError as error:
            raise ApiError(503, str(error)) from error

    @router.get("/alerts")
    async def list_alerts() -> list[AlertBody]:
        """List the rules: those of mien.toml, which this dashboard was started with, and those made here."""
        return [_body(rule, "settings") for rule in settings.alert] + [_body(rule, "page") for rule in ours()]

    @router.post("/alerts", status_code=201)
    async def make_alert(rule: AlertSettings) -> AlertBody:
        """Make a rule; `mien forward` heeds it within seconds where it shares this dashboard's state folder."""
        async with writing:
            rules = list(ours())
            if rule.name in {known.name for known in (*settings.alert, *rules)}:
                raise ApiError(422, f"there is a rule '{rule.name}' already: delete it, or name this one differently")
            if len(rules) >= MOST:
                raise ApiError(429, f"there are {MOST} rules already: delete one", {"retry-after": "60"})
            await write([*rules, rule])
        return _body(rule, "page")

    @router.post("/alert-test")
    async def try_alert(rule: AlertSettings) -> AlertTrial:
        """Say how a rule stands right now, and send its web address a message that says that it is a test."""
        readings = await _readings(queries, rule)
        answer = ""
        if rule.webhook:
            text = f"{rule.name}: a test from the dashboard, nothing has happened"
            notice = Notice(rule.name, "test", rule.on, rule.source, 0.0, now().isoformat(), text)
            url = rule.webhook.get_secret_value()
            answer = await asyncio.to_thread(deliver_once, url, msgspec.json.encode(notice))
        return AlertTrial(readings=readings, webhook=answer)

    @router.delete("/alerts/{name}", status_code=204)
    async def delete_alert(name: Name) -> None:
        """Delete a rule that was made here."""
        async with writing:
            rules = ours()
            if name not in {rule.name for rule in rules}:
                where = " in mien.toml: delete it there" if name in {rule.name for rule in settings.alert} else ""
                raise ApiError(404, f"no rule '{name}' was made here" + (f", it stands{where}" if where else ""))
            await write([rule for rule in rules if rule.name != name])

    return router


def _body(rule: AlertSettings, origin: str) -> AlertBody:
    told = rule.model_dump(exclude={"webhook"})
    return AlertBody(**told, webhook=rule.webhook is not None, origin=origin)


async def _readings(queries: Queries, rule: AlertSettings) -> list[AlertReadingBody]:
    """Return how a rule stands for each source that it is about."""
    states = [state for state in await queries.sources() if rule.source in (None, state.source)]
    if rule.on == "store":
        failed = await queries.store_error()
        return [_reading(rule, None, failed is not None, 0.0, "cannot be read" if failed else "works")]
    if rule.source and not states:
        return [_reading(rule, rule.source, rule.on == "offline", 0.0, "is not known here")]
    return [await _read(queries, rule, state) for state in states[:MAX_TRIED]]


async def _read(queries: Queries, rule: AlertSettings, state: SourceState) -> AlertReadingBody:
    at = now()
    if rule.on == "offline":
        lasted = (at - state.since).total_seconds() if state.since and not state.online else 0.0
        words = "is online" if state.online else f"has been offline for {lasted:,.0f} s"
        return _reading(rule, state.source, not state.online and lasted >= rule.after_s, lasted, words)
    if rule.on == "drops":
        outbox = state.stats.outbox if state.stats else None
        lost = (outbox.dropped if outbox else None) or 0
        return _reading(rule, state.source, False, lost, f"has dropped {lost:,} in all; each further one is told of")
    try:
        total = await queries.summary(at - timedelta(seconds=rule.window_s), at, [state.source])
    except StoreError as error:
        return _reading(rule, state.source, False, 0.0, f"cannot be told: {error.public}")
    emotion = rule.emotion or "neutral"
    share = total.counts[emotion] / total.faces if total.faces else 0.0
    beyond = share > rule.above if rule.above is not None else share < (rule.below or 0)
    words = f"{emotion} is {share:.0%} of {total.faces:,} faces in {rule.window_s} s"
    if total.faces < rule.min_faces:
        words += f"; fewer than {rule.min_faces} say nothing"
    return _reading(rule, state.source, beyond and total.faces >= rule.min_faces, share, words)


def _reading(rule: AlertSettings, source: str | None, raised: bool, value: float, words: str) -> AlertReadingBody:
    return AlertReadingBody(
        source=source, raised=raised, value=round(value, 4), text=f"{source or 'the store'}: {words} ({describe(rule)})"
    )
