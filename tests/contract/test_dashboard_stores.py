"""The dashboard's API and its page History say the same over every store."""

from __future__ import annotations

import re
from contextlib import closing
from datetime import datetime, timedelta, timezone
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from test_store import NOON, observation, url

from asking import serving
from mien.config import Settings
from mien.dashboard.data.listener import Listener
from mien.dashboard.data.periods import Choice
from mien.dashboard.data.queries import Queries
from mien.dashboard.jobs.demo import DemoPlayer
from mien.dashboard.pages.history import History
from mien.dashboard.pages.refresh import Refresh, ViewKey
from mien.dashboard.pages.system import System
from mien.stores.base import open_store

__all__ = ["url"]

pytestmark = pytest.mark.timeout(600)


def test_the_same_page_and_api_over_every_store(url: str, tmp_path: Path) -> None:
    with closing(open_store(url)) as store:
        store.add([observation(NOON + timedelta(seconds=20 * n), n, "ab"[n % 2], faces=n % 3) for n in range(30)])
    asked = {"from": NOON.isoformat(), "to": (NOON + timedelta(hours=1)).isoformat()}
    with serving(tmp_path, url) as client:
        assert [(one["source"], one["frames"]) for one in client.get("/v1/sources").json()] == [("a", 15), ("b", 15)]
        total = client.get("/v1/summary", params=asked).json()
        assert (total["frames"], total["faces"], total["unclear"]) == (30, 30, 10)
        line = client.get("/v1/timeline", params=asked).json()
        assert [point["frames"] for point in line["points"]] == [3] * 10
        short = asked | {"to": (NOON + timedelta(minutes=3)).isoformat(), "source": "a"}
        line = client.get("/v1/timeline", params=short).json()
        assert (line["width_s"], [point["faces"] for point in line["points"]]) == (1, [0, 2, 1, 0, 2])
        assert len(client.get("/v1/observations", params=short).json()["observations"]) == 5
        marked = {"label": "The show begins", "time": NOON.isoformat()}
        assert client.post("/v1/markers", json=marked, headers={"origin": "http://localhost"}).status_code == 201
        assert [one["label"] for one in client.get("/v1/markers", params=asked).json()] == ["The show begins"]
        assert client.get("/v1/export", params=asked | {"table": "faces"}).text.count("\n") == 41
        figures = client.get("/v1/metrics").text
        assert "mien_store_up 1" in figures
        told = re.search(r"^mien_store_bytes ([\d.e+]+)$", figures, re.MULTILINE)
        assert told
        assert float(told[1]) > 1000 or url.startswith("bigquery:")  # whose emulator counts none
        parts = client.loop.run_until_complete(page(url, tmp_path, NOON, NOON + timedelta(hours=1)))
    assert "30 <small>faces</small>" in parts["html:figures"]
    assert "The show begins" in parts["html:markers"]
    assert parts["text:notice"] == ""


def test_system_and_metrics_tell_what_came_late_or_was_refused(url: str, tmp_path: Path) -> None:
    late = [observation(NOON + timedelta(seconds=n), n, "a") for n in range(5)]
    with closing(open_store(url)) as store:
        store.add([*late[:2], observation(NOON, 9, "b")])
        store.prune(datetime.now(timezone.utc) + timedelta(seconds=1))
        store.erase("b", NOON, NOON + timedelta(minutes=1))
        store.add([*late, observation(NOON, 10, "b")])
    with serving(tmp_path, url) as client:
        figures = client.get("/v1/metrics").text
        assert 'mien_source_late_total{source="a"} 3' in figures
        assert 'mien_source_refused_total{source="b"} 1' in figures
        parts = client.loop.run_until_complete(system(url, tmp_path))
    assert "3 came late · 1 refused, of times that were erased" in parts["html:parts"]
    table = parts["html:source-table"]
    assert re.search(r'<th scope="col">Late\b.*?</th>\s*<th scope="col">Refused\b', table)
    assert "<td>3</td><td>0</td>" in table


async def system(url: str, home: Path) -> dict[str, str]:
    """Return what System shows to a viewer."""
    queries = Queries(url, Listener(Settings(home=home)))
    try:
        page = System(queries, Settings(home=home), Refresh(), lambda _: [])
        now = datetime.now(timezone.utc)
        return await page.parts(ViewKey(Choice((), "1h"), ZoneInfo("Asia/Kolkata")), now)
    finally:
        queries.close()


async def page(url: str, home: Path, start: datetime, end: datetime) -> dict[str, str]:
    """Return what History shows of a period."""
    queries = Queries(url, Listener(Settings(home=home)))
    try:
        look = ViewKey(Choice((), "custom", start, end), ZoneInfo("Asia/Kolkata"))
        return await History(queries, DemoPlayer(Settings(home=home))).parts(look, end)
    finally:
        queries.close()
