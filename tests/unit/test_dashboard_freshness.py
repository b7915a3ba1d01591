"""How long the dashboard repeats what it read: a moment for many viewers, then what the store holds by now."""

from __future__ import annotations

import asyncio
from contextlib import closing
from datetime import datetime, timedelta, timezone
from pathlib import Path

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
def test_a_timeline_is_kept_for_a_moment_and_no_longer(tmp_path: Path, width: int, ago_s: int) -> None:
    settings = Settings(home=tmp_path)
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
            await asyncio.sleep(1.2)
            return [first, again, await frames()]

        try:
            assert asyncio.run(over_time()) == [1, 1, 3]
        finally:
            queries.close()
