"""How open pages are kept up to date: once for all who see the same, what changed alone, and nothing piles up."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncGenerator, Awaitable, Callable
from datetime import datetime
from typing import Any

import pytest

from mien.charts.palette import COLOURS
from mien.dashboard.data.periods import Choice
from mien.dashboard.pages import refresh as module
from mien.dashboard.pages.refresh import Parts, Refresh, ViewKey
from mien.dashboard.rendering import STATIC, file_of, part, plotly_styles


class Counting:
    """A page whose parts say how often it was made."""

    def __init__(self) -> None:
        self.made = 0
        self.shown: Parts = {}
        self.fails = False

    async def parts(self, look: ViewKey, now: datetime) -> Parts:  # noqa: ARG002
        self.made += 1
        if self.fails:
            raise RuntimeError("the store is strange")
        return {"text:who": look.role, **self.shown}


async def read(stream: AsyncGenerator[bytes, None]) -> dict[str, Any]:
    """Return the next update of a stream."""
    async for event in stream:
        if event.startswith(b"data: "):
            body: dict[str, Any] = json.loads(event[6:])
            return body
    raise AssertionError("the stream ended")


def run(test: Callable[[], Awaitable[None]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TICK_S", 0.02)
    monkeypatch.setattr(module, "STILL_S", 0.1)
    asyncio.run(asyncio.wait_for(test(), 60))  # type: ignore[arg-type]


def test_what_is_new_is_sent_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        page, refresh = Counting(), Refresh()
        stream = refresh.follow(page, ViewKey(), lambda: True)
        assert await read(stream) == {"text:who": "viewer"}
        page.shown = {"text:a": 1}
        assert await read(stream) == {"text:a": 1}
        page.shown = {"text:a": 2, "call:b.c": [3]}
        assert await read(stream) == {"text:a": 2, "call:b.c": [3]}
        page.shown = {"html:cards": "<p>", "text:a": 2}
        assert await read(stream) == {"text:who": "viewer", "html:cards": "<p>", "text:a": 2}, "a frame brings all"
        await stream.aclose()

    run(test, monkeypatch)


def test_those_who_see_the_same_cost_one_and_nobody_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        page, refresh = Counting(), Refresh()
        streams = [refresh.follow(page, ViewKey(Choice(), role="admin"), lambda: True) for _ in range(20)]
        await asyncio.gather(*map(read, streams))
        assert refresh.viewers == 20
        before = page.made
        page.shown = {"text:a": 1}
        await asyncio.gather(*map(read, streams))
        assert page.made - before < 5
        for stream in streams:
            await stream.aclose()
        assert refresh.viewers == 0
        await asyncio.sleep(0.1)
        before = page.made
        await asyncio.sleep(0.2)
        assert page.made == before

    run(test, monkeypatch)


def test_who_takes_long_gets_the_newest_and_nothing_piles_up(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        page, refresh = Counting(), Refresh()
        stream = refresh.follow(page, ViewKey(), lambda: True)
        await read(stream)
        for number in range(20):
            page.shown = {"text:a": number}
            await asyncio.sleep(0.05)
        updates = [await read(stream)]
        while updates[-1] != {"text:a": 19}:
            updates.append(await read(stream))
        assert len(updates) <= 2
        await stream.aclose()

    run(test, monkeypatch)


def test_a_stream_ends_with_its_viewers_access_and_with_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        page, refresh = Counting(), Refresh()
        known = True
        stream = refresh.follow(page, ViewKey(), lambda: known)
        await read(stream)
        known = False
        page.shown = {"text:a": 1}
        rest = [event async for event in stream]
        assert len(rest) <= 1
        other = refresh.follow(page, ViewKey(), lambda: True)
        await read(other)
        refresh.close()
        assert len([event async for event in other]) <= 1
        assert refresh.viewers == 0

    run(test, monkeypatch)


def test_a_page_that_fails_is_tried_again_and_stops_no_other(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def test() -> None:
        page, broken, refresh = Counting(), Counting(), Refresh()
        broken.fails = True
        streams = [refresh.follow(one, ViewKey(), lambda: True) for one in (broken, page)]
        waiting = asyncio.create_task(read(streams[0]))
        assert await read(streams[1])
        broken.fails = False
        assert await waiting
        for stream in streams:
            await stream.aclose()

    run(test, monkeypatch)
    assert "cannot be brought up to date" in caplog.text


def test_the_style_sheet_has_the_colours_of_the_charts() -> None:
    sheet = (STATIC / "mien.css").read_text()
    for emotion, colour in COLOURS.items():
        assert re.findall(rf"--{emotion}: (#\w+)", sheet) == [colour]
        assert f".{emotion} {{ --emotion: var(--{emotion}); }}" in sheet


def test_values_are_escaped_and_take_no_style() -> None:
    name = '<img src=x onerror="alert(1)">'
    for piece in (
        part("cards.source_head", name, "Online", name), part("tables.comparison", (name, name), []),
        part("system.findings", [(name, "ok", f"{name}`{name}`")]), part("cards.words", [name]),
    ):  # fmt: skip
        assert "<img" not in piece
        assert 'onerror="' not in piece
    assert "style=" not in part("marks.bar", "happy", 33.3)


def test_plotlys_script_is_there_with_what_we_keep_it_from() -> None:
    assert file_of("plotly.min.js").stat().st_size > 1_000_000
    assert plotly_styles(), "the browser tests tell whether these are all"
