"""More sources than the dashboard follows at once, at a real broker: who makes room, and what is said of the others."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

import pytest
from parts import observation, settings, start, stop_all, wait_for

from mien.config import Settings
from mien.dashboard.data import listener as live
from mien.dashboard.data.listener import Listener
from mien.dashboard.pages import checks
from mien.mqtt.broker import find_broker
from mien.mqtt.connection import Connection
from mien.mqtt.messages import OFFLINE, ONLINE
from mien.observation import encode, new_id

ROOM = 4


@pytest.fixture
def home(tmp_path: Path, free_port: int) -> Iterator[Settings]:
    start("broker", tmp_path, free_port)
    wait_for((tmp_path / "broker.json").exists)
    yield settings(tmp_path)
    stop_all()


@pytest.fixture
def listener(home: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Listener]:
    monkeypatch.setattr(live, "MAX_SOURCES", ROOM)
    listener = Listener(home)
    listener.start()
    wait_for(lambda: listener.connected)
    yield listener
    listener.stop()


@pytest.fixture
def edge(home: Settings) -> Iterator[Connection]:
    connection = Connection(find_broker(home), "edge")
    yield connection
    connection.close()


def test_the_one_offline_for_longest_makes_room_and_who_finds_none_is_counted(
    listener: Listener, edge: Connection, caplog: pytest.LogCaptureFixture
) -> None:
    def say(source: str, payload: bytes) -> None:
        edge.publish(f"mien/{source}/available", payload, retain=True)

    def followed() -> list[str]:
        return sorted(listener.sources())

    for n in range(ROOM):
        say(f"cam-{n}", ONLINE)
    wait_for(lambda: len(followed()) == ROOM)
    edge.publish("mien/cam-4/observations", encode(observation("cam-4", new_id(), 0)))
    wait_for(lambda: listener.left_out() == 1)
    edge.publish("mien/cam-4/observations", encode(observation("cam-4", new_id(), 1)))
    say("cam-5", ONLINE)
    wait_for(lambda: listener.left_out() == 2)
    assert followed() == [f"cam-{n}" for n in range(ROOM)]
    assert "more than 4 sources are online: 'cam-4'" in caplog.text
    line = checks.broker(listener, timezone.utc, datetime.now(timezone.utc))
    assert line.state == "note"
    assert "2 sources beyond" in line.text

    say("cam-2", OFFLINE)
    say("cam-1", OFFLINE)
    say("cam-9", OFFLINE)  # of one that is away itself: nobody's place
    wait_for(
        lambda: [name for name, state in listener.sources().items() if state.online is False] == ["cam-1", "cam-2"]
    )
    say("cam-5", ONLINE)
    wait_for(lambda: "cam-5" in followed())
    assert listener.made_room == 1
    say("cam-4", ONLINE)
    wait_for(lambda: followed() == ["cam-0", "cam-3", "cam-4", "cam-5"])
    assert listener.left_out() == 0
    assert listener.made_room == 2
    assert checks.broker(listener, timezone.utc, datetime.now(timezone.utc)).state == "ok"
