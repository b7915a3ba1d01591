"""Previews from a real video through a real broker: who gets them, and that nothing keeps them."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from parts import outbox_counts, settings, start, stop_all, wait_for

from mien.config import Settings, checked
from mien.dashboard.data import listener as live
from mien.dashboard.data.listener import Listener
from mien.edge import watch
from mien.edge.watch import run_watch
from mien.errors import BrokerError
from mien.media.base import Frame
from mien.mqtt.broker import find_broker
from mien.mqtt.connection import Connection
from mien.mqtt.messages import MAX_PREVIEW
from ports import unused_port

JPEG = b"\xff\xd8\xff"
SMALL = cv2.imencode(".jpg", np.full((24, 32, 3), 128, np.uint8))[1].tobytes()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    folder = tmp_path_factory.mktemp("home")
    start("broker", folder, unused_port())
    start("forward", folder)
    wait_for((folder / "broker.json").exists)
    yield settings(folder)
    stop_all()


class Ear:
    """A client that hears of the source whatever anybody does, and can say things."""

    def __init__(self, home: Settings) -> None:
        self.heard: list[tuple[str, bytes, int, bool]] = []
        self.connection = Connection(find_broker(home), "ear", on_message=self._note)
        self.connection.subscribe("mien/+/preview")

    def _note(self, message: Any) -> None:
        self.heard.append((message.topic, bytes(message.payload), message.qos, message.retain))
        if message.qos:
            self.connection.acknowledge(message.mid)


@pytest.mark.data
def test_only_a_source_that_is_told_to_sends_pictures_and_none_is_kept(
    home: Settings, samples: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    film = str(samples / "one-face.mp4")
    listed = [{"url": film, "name": "lobby", "preview": "blurred"}, {"url": film, "name": "hall"}]
    several = checked(home.model_dump() | {"source": listed}, "a test")
    monkeypatch.setattr(live, "PICTURE_EVERY_S", 0.0)
    monkeypatch.setattr(live, "PICTURE_S", 1000.0)
    monkeypatch.setattr(watch, "DRAIN_S", 60.0)
    ear, listener = Ear(home), Listener(home)
    listener.start()
    wait_for(lambda: listener.connected)
    frames: dict[str, Frame] = {}
    began = time.monotonic()
    run_watch(several, [], threading.Event(), frame_callback=lambda frame, seen: frames.setdefault(seen.source, frame))
    try:
        assert sorted(frames) == ["hall", "lobby"]
        assert {topic for topic, *_ in ear.heard} == {"mien/lobby/preview"}
        assert len(ear.heard) <= 1 + time.monotonic() - began, "one a second"
        for _, payload, qos, retained in ear.heard:
            assert payload.startswith(JPEG)
            assert (qos, retained) == (0, False)
            assert cv2.imdecode(np.frombuffer(payload, np.uint8), cv2.IMREAD_COLOR).shape == (180, 320, 3)
        newest = ear.heard[-1][1]
        wait_for(lambda: (picture := listener.picture("lobby")) and picture.jpeg == newest)
        assert listener.picture("lobby").kind == "blurred"  # type: ignore[union-attr]
        assert listener.picture("hall") is None

        monkeypatch.setattr(live, "PICTURE_S", 0.5)
        wait_for(lambda: listener.sources()["lobby"].picture is None, what="an old picture is forgotten")

        assert outbox_counts(home.home, "lobby") == (72, 72, 0, 0)
        assert keeping_pictures(home.home) == []
        with sqlite3.connect(home.home / "mien.db", timeout=10) as store:
            assert store.execute("SELECT count(*) FROM dead_letters").fetchone() == (0,)
    finally:
        listener.stop()
        ear.connection.close()


def keeping_pictures(home: Path) -> list[Path]:
    """Return the files, of store, outboxes, broker and all, in which there is a JPEG."""
    files = [path for path in home.rglob("*") if path.is_file()]
    assert any(path.name == "mien.db" for path in files)
    return [path for path in files if JPEG in path.read_bytes()]


def test_what_is_no_preview_of_a_source_that_sends_some_is_ignored(
    home: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "PICTURE_EVERY_S", 0.0)
    taken: list[int] = []
    said = Connection(find_broker(home), "anybody", on_acknowledged=taken.append)
    said.publish("other/old/stats", b'{"preview": "blurred"}', retain=True)
    said.publish("other/old/preview", SMALL, retain=True)
    wait_for(lambda: len(taken) == 2)
    listener = Listener(settings(home.home, broker={"prefix": "other"}))
    listener.start()
    try:
        wait_for(lambda: listener.connected and "old" in listener.sources())
        told = {"lobby": "blurred", "hall": "off", "door": "<b>", "<b>": "plain", "Hall": "plain"}
        for source, kind in told.items():
            said.publish(f"other/{source}/stats", b'{"preview": "%s"}' % kind.encode())
            said.publish(f"other/{source}/available", b"online")
        # the broker keeps the order within a subscription, not among several; what the door says of itself is refused
        wait_for(lambda: all((state := listener.sources().get(name)) and state.stats for name in ("lobby", "hall")))
        for source in told:
            said.publish(f"other/{source}/preview", SMALL)
        wait_for(lambda: listener.picture("lobby"))
        first = listener.picture("lobby")
        for payload in (b"", b"none", SMALL + bytes(MAX_PREVIEW), cv2.imencode(".png", np.zeros((9, 9)))[1].tobytes()):
            said.publish("other/lobby/preview", payload)
        said.publish("other/nobody/preview", SMALL)
        other = cv2.imencode(".jpg", np.zeros((24, 32, 3), np.uint8))[1].tobytes()
        said.publish("other/lobby/preview", other)
        wait_for(lambda: (picture := listener.picture("lobby")) and picture.jpeg == other)
        newest = listener.picture("lobby")
        assert first
        assert newest
        assert newest.number == first.number + 1, "nothing in between was taken for one"
        assert set(listener.sources()) == {"old", "lobby", "hall", "door", "nobody"}
        assert [name for name in listener.sources() if listener.picture(name)] == ["lobby"]
    finally:
        listener.stop()
        said.close()


def test_a_broker_that_refuses_the_topic_takes_nothing_else_away(
    home: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    subscribe = Connection.subscribe

    def refusing(self: Connection, topic: str) -> None:
        if topic.endswith("/preview"):
            raise BrokerError("the broker does not let this be subscribed to")
        subscribe(self, topic)

    monkeypatch.setattr(Connection, "subscribe", refusing)
    listener = Listener(home)
    listener.start()
    try:
        wait_for(lambda: listener.connected)
    finally:
        listener.stop()
