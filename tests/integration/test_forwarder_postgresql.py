"""The delivery with PostgreSQL as the store: several forwarders at once, each of which may be killed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from parts import kill, outbox_counts, start, stop_all, wait_for

from postgres import Server

COUNT = 1500


@pytest.fixture
def database(postgresql: Server) -> Iterator[str]:
    name = postgresql.new_database()
    yield name
    stop_all()
    postgresql.drop(name)


def test_two_forwarders_double_and_lose_nothing(
    postgresql: Server, database: str, tmp_path: Path, free_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stored() -> int:
        there = "SELECT count(*) FROM pg_tables WHERE tablename = 'frames'"
        if postgresql.query(database, there) == [(0,)]:
            return 0
        return int(postgresql.query(database, "SELECT count(*) FROM frames")[0][0])

    home, elsewhere = tmp_path / "home", tmp_path / "elsewhere"
    monkeypatch.setenv("MIEN_STORE__URL", postgresql.url(database))
    start("broker", home, free_port)
    wait_for((home / "broker.json").exists)
    broker = json.loads((home / "broker.json").read_text())
    address = {f"MIEN_BROKER__{key.upper()}": str(broker[key]) for key in ("host", "port", "username", "password")}
    forwarder = start("forward", home)
    start("forward", elsewhere, **address)
    camera = start("camera", home, "cam", COUNT, 300)
    for share in (0.2, 0.5):
        wait_for(lambda share=share: stored() >= COUNT * share)
        kill(forwarder)
        forwarder = start("forward", home)
    assert camera.end() == 0, "the camera ends when all is confirmed"
    assert outbox_counts(home, "cam") == (COUNT, COUNT, 0, 0)
    assert postgresql.query(database, "SELECT count(*), count(DISTINCT seq), max(seq) FROM frames") == [
        (COUNT, COUNT, COUNT - 1)
    ]
    sums = (
        "SELECT seconds, sum(frames), sum(faces), round(sum(sum_happy)::numeric, 6) FROM rollups GROUP BY 1 ORDER BY 1"
    )
    happy = round(0.88 * COUNT, 6)
    assert [
        (seconds, frames, faces, float(total)) for seconds, frames, faces, total in postgresql.query(database, sums)
    ] == [(seconds, COUNT, COUNT, happy) for seconds in (60, 3600, 86400)]


def test_a_store_that_is_away_is_waited_for(
    postgresql: Server, database: str, tmp_path: Path, free_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MIEN_STORE__URL", postgresql.url(database))
    start("broker", tmp_path, free_port)
    start("forward", tmp_path)
    camera = start("camera", tmp_path, "cam", 600, 60)
    wait_for(lambda: outbox_counts(tmp_path, "cam")[1] > 50, what="the first confirmations")
    postgresql.stop()
    try:
        wait_for(lambda: outbox_counts(tmp_path, "cam")[0] == 600)
        assert outbox_counts(tmp_path, "cam")[1] < 600
    finally:
        postgresql.start()
    assert camera.end() == 0
    assert outbox_counts(tmp_path, "cam") == (600, 600, 0, 0)
    assert postgresql.query(database, "SELECT count(*), sum(seq) FROM frames") == [(600, 600 * 599 // 2)]
