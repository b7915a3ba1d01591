"""How long the dashboard repeats what it read: a moment for many viewers, then what the store holds by now."""

from __future__ import annotations

import asyncio
import time
from contextlib import closing
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace

import pytest

from mien.config import Settings
from mien.dashboard.data.listener import Listener
from mien.dashboard.data.periods import Window
from mien.dashboard.data.queries import Queries
from mien.observation import Observation, new_id
from mien.stores.base import open_store

SESSION = new_id()


def observed(seq: int, at: datetime) -> Observation:
    return Observation(new_id(), "lobby", SESSION, seq, at, 0.0, seq, 640, 360, "mien-1@3f9c2a1b", 7.9, [])


@pytest.mark.parametrize(("width", "ago_s"), [(60, 86_400), (1, 10)], ids=["of the store", "of the last seconds"])
def test_a_timeline_is_kept_for_a_moment_and_no_longer(
    tmp_path: Path, width: int, ago_s: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, passed = Settings(home=tmp_path), [0.0]
    clock = SimpleNamespace(time=time.time, monotonic=lambda: 100 + passed[0])
    for module in ("queries", "timelines"):
        monkeypatch.setattr(f"mien.dashboard.data.{module}.clock", clock)
    now = datetime.now(timezone.utc).replace(microsecond=0)
    at = now - timedelta(seconds=ago_s)
    start = at - timedelta(seconds=at.second + 60 if width == 60 else 30)
    window = Window(start, start + timedelta(seconds=60 * width), width)
    with closing(open_store(settings.store_url)) as store:
        store.add([observed(0, at)])
        queries = Queries(settings.store_url, Listener(settings))

        async def frames() -> int:
            return (await queries.timeline(window)).total.frames

        async def over_time() -> list[int]:
            first = await frames()
            store.add([observed(1, at), observed(2, at)])
            again = await frames()
            passed[0] = 1.2
            return [first, again, await frames()]

        try:
            assert asyncio.run(over_time()) == [1, 1, 3]
        finally:
            queries.close()
