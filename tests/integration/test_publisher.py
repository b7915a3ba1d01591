"""The publisher against a real broker: what it announces, sends, and sends again."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from parts import Part, kill, observation, settings, start, stop_all, wait_for

from mien.config import Settings
from mien.edge.outbox import Outbox
from mien.edge.publisher import Publisher
from mien.forward.forwarder import run_forwarder
from mien.mqtt import broker as broker_module
from mien.mqtt.broker import find_broker, run_broker
from mien.mqtt.connection import Connection
from mien.mqtt.messages import Accepts, Stats, Stored, encode_message
from mien.observation import RECORD, Observation, Pose, decode, new_id, now
from mien.stores.base import open_store

SESSION = new_id()


class Listener:
    """A client that notes all messages, and confirms when told to."""

    def __init__(self, home: Settings) -> None:
        self.messages: list[tuple[str, bytes]] = []
        self._connection = Connection(find_broker(home), "listener", on_message=self._note)
        for kind in ("observations", "available", "stats"):
            self._connection.subscribe(f"mien/+/{kind}")

    def seqs(self) -> list[int]:
        ones = [decode(payload) for topic, payload in self.messages if topic.endswith("/observations")]
        return [one.seq for one in ones if isinstance(one, Observation)]

    def last(self, kind: str) -> bytes | None:
        return next((payload for topic, payload in self.messages[::-1] if topic == f"mien/cam/{kind}"), None)

    def confirm(self, *ranges: tuple[int, int]) -> None:
        self._connection.publish("mien/cam/stored", encode_message(Stored(SESSION, list(ranges))))

    def publish(self, topic: str, payload: bytes) -> None:
        self._connection.publish(topic, payload)

    def close(self) -> None:
        self._connection.close()

    def _note(self, message: Any) -> None:
        self.messages.append((message.topic, message.payload))
        self._connection.acknowledge(message.mid)


@pytest.fixture
def broker(tmp_path: Path, free_port: int) -> Iterator[Part]:
    process = start("broker", tmp_path, free_port)
    wait_for((tmp_path / "broker.json").exists)
    yield process
    stop_all()


@pytest.fixture
def home(tmp_path: Path, broker: object) -> Settings:
    return settings(tmp_path, outbox={"resend_after_s": 1}, watch={"stats_every_s": 1})


@pytest.fixture
def listener(home: Settings) -> Iterator[Listener]:
    listener = Listener(home)
    yield listener
    listener.close()


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    outbox = Outbox(tmp_path / "outbox", "cam")
    yield outbox
    outbox.close()


@pytest.fixture
def publisher(home: Settings, outbox: Outbox, listener: Listener) -> Iterator[Publisher]:
    publisher = Publisher(outbox, "cam", home, lambda: Stats(fps=15.0))
    yield publisher
    publisher.close()


def fill(outbox: Outbox, count: int, first: int = 0) -> None:
    for seq in range(first, first + count):
        outbox.append(observation("cam", SESSION, seq))
    assert outbox.flush()


def test_sends_in_order_and_lets_go_of_what_is_confirmed(
    publisher: Publisher, outbox: Outbox, listener: Listener
) -> None:
    fill(outbox, 100)
    wait_for(lambda: len(set(listener.seqs())) >= 100)
    assert list(dict.fromkeys(listener.seqs())) == list(range(100)), "the first may come once more: a probe"
    assert outbox.counts.depth == 100
    listener.confirm((0, 59))
    wait_for(lambda: outbox.counts.depth == 40)
    listener.confirm((60, 99))
    assert publisher.drain(60)
    assert outbox.counts.confirmed == 100


def test_sends_again_what_was_lost_between_confirmed_ones(
    publisher: Publisher, outbox: Outbox, listener: Listener
) -> None:
    fill(outbox, 10)
    wait_for(lambda: len(set(listener.seqs())) >= 10)
    listener.confirm((0, 3), (6, 9))
    wait_for(lambda: outbox.counts.depth == 2)
    sent = len(listener.seqs())
    wait_for(lambda: {4, 5} <= set(listener.seqs()[sent:]))
    listener.confirm((4, 5))
    assert publisher.drain(60)


def test_only_probes_while_nothing_is_confirmed(publisher: Publisher, outbox: Outbox, listener: Listener) -> None:
    fill(outbox, 50)
    wait_for(lambda: len(listener.seqs()) > 51)
    again = listener.seqs()[50:]
    assert len(again) < 10, "a forwarder that is away is not sent copies of everything"


def test_sends_all_again_when_a_forwarder_greets(publisher: Publisher, outbox: Outbox, listener: Listener) -> None:
    fill(outbox, 50)
    wait_for(lambda: len(listener.seqs()) >= 50)
    listener.confirm()
    wait_for(lambda: set(range(50)) <= set(listener.seqs()[50:]))


def test_draining_waits_for_a_broker_that_is_just_being_reached(home: Settings, outbox: Outbox, tmp_path: Path) -> None:
    start("forward", tmp_path)
    wait_for((tmp_path / "mien.db").exists)
    fill(outbox, 5)
    publisher = Publisher(outbox, "cam", home, Stats)
    assert publisher.drain(60)
    publisher.close()


def test_draining_does_not_wait_where_there_is_no_broker(tmp_path: Path, outbox: Outbox) -> None:
    fill(outbox, 5)
    publisher = Publisher(outbox, "cam", settings(tmp_path), Stats)
    began = time.monotonic()
    assert not publisher.drain(60)
    assert time.monotonic() - began < 20
    publisher.close()


def test_home_assistant_is_told_where_it_is_asked_for(tmp_path: Path, broker: object, outbox: Outbox) -> None:
    came: dict[str, Any] = {}
    home = settings(tmp_path, watch={"home_assistant": "homeassistant"}, broker={"prefix": "house/mien"})
    publisher = Publisher(outbox, "cam", home, lambda: Stats(faces=2, emotion="happy", happiness=81.5))
    wait_for(lambda: publisher.connected)

    def note(message: Any) -> None:
        came[message.topic] = json.loads(message.payload) if message.payload[:1] == b"{" else message.payload.decode()
        late.acknowledge(message.mid)

    late = Connection(find_broker(home), "homeassistant", on_message=note)
    late.subscribe("#")
    wait_for(lambda: len(came) >= 6)
    told = {where: said for where, said in came.items() if where.startswith("homeassistant/")}
    assert set(told) == {
        "homeassistant/sensor/house-mien_cam/emotion/config",
        "homeassistant/sensor/house-mien_cam/faces/config",
        "homeassistant/sensor/house-mien_cam/happiness/config",
        "homeassistant/binary_sensor/house-mien_cam/online/config",
    }
    assert len({said["unique_id"] for said in told.values()}) == 4
    assert len({json.dumps(said["device"]) for said in told.values()}) == 1
    for where, said in told.items():
        state = came[said["state_topic"]]
        if where.startswith("homeassistant/sensor"):
            key = said["value_template"].removeprefix("{{ value_json.").removesuffix(" }}")
            assert state[key] == {"faces": 2, "emotion": "happy", "happiness": 81.5}[key]
            assert came[said["availability_topic"]] == "online"
        else:
            assert state == said["payload_on"]
    late.close()
    publisher.close()


def test_nonsense_on_the_confirmations_topic_is_ignored(
    publisher: Publisher, outbox: Outbox, listener: Listener
) -> None:
    fill(outbox, 5)
    wait_for(lambda: len(listener.seqs()) >= 5)
    for payload in (b"", b"\xff", b"[" * 10_000, b'{"session": "x", "ranges": []}', b"0" * 100_000):
        listener.publish("mien/cam/stored", payload)
    listener.publish("mien/cam/stored", encode_message(Stored(new_id(), [(0, 2**53 - 1)] * 500)))
    listener.confirm((3, 2**53 - 1))
    wait_for(lambda: outbox.counts.depth == 3)


def test_announces_itself_and_its_figures(publisher: Publisher, outbox: Outbox, listener: Listener) -> None:
    fill(outbox, 20)
    wait_for(lambda: outbox.counts.depth == 20 and len(listener.seqs()) >= 20)
    wait_for(lambda: (json.loads(listener.last("stats") or b"{}").get("outbox") or {}).get("depth") == 20)
    wait_for(lambda: listener.last("available") == b"online")
    figures = json.loads(listener.last("stats") or b"")
    assert figures["fps"] == 15.0
    assert figures["outbox"] == {"depth": 20, "dropped": 0, "damaged": 0}
    assert 0 <= figures["delay_ms"]["p50"] <= figures["delay_ms"]["p99"]
    publisher.close()
    wait_for(lambda: listener.last("available") == b"offline")


def test_the_broker_says_offline_for_one_that_was_killed(home: Settings, listener: Listener) -> None:
    camera = start("camera", home.home, "cam", 10**6, 50)
    wait_for(lambda: listener.last("available") == b"online")
    kill(camera)
    wait_for(lambda: listener.last("available") == b"offline")


def test_takes_on_without_a_broker_and_says_one_line(
    tmp_path: Path, free_port: int, outbox: Outbox, caplog: pytest.LogCaptureFixture
) -> None:
    home = settings(tmp_path, broker={"host": "127.0.0.1", "port": free_port})
    publisher = Publisher(outbox, "cam", home, Stats)
    fill(outbox, 30)
    wait_for(lambda: "no broker at" in caplog.text)
    time.sleep(2)
    assert outbox.counts.depth == 30
    assert sum("no broker at" in record.message for record in caplog.records) == 1
    publisher.close()


def test_sends_all_again_after_the_broker_was_away(
    broker: Part, home: Settings, outbox: Outbox, free_port: int, tmp_path: Path
) -> None:
    publisher = Publisher(outbox, "cam", home, Stats)
    fill(outbox, 30)
    wait_for(lambda: publisher.connected)
    kill(broker)
    wait_for(lambda: not publisher.connected)
    fill(outbox, 10, first=30)
    start("broker", tmp_path, free_port)
    heard: list[Listener] = []

    def listens() -> bool:
        try:
            heard.append(Listener(home))
        except Exception:  # noqa: BLE001 - not yet
            return False
        return True

    wait_for(listens)
    fill(outbox, 1, first=40)
    wait_for(lambda: 40 in heard[0].seqs())
    heard[0].confirm()
    wait_for(lambda: set(heard[0].seqs()) == set(range(41)))
    heard[0].close()
    publisher.close()


def test_delivery_published_lets_go_at_the_brokers_word(tmp_path: Path, broker: object, outbox: Outbox) -> None:
    home = settings(tmp_path, outbox={"delivery": "published"})
    publisher = Publisher(outbox, "cam", home, Stats)
    fill(outbox, 40)
    wait_for(lambda: outbox.counts.confirmed == 40)
    assert publisher.drain(5)
    publisher.close()


def test_ends_at_once_however_often_it_is_told(publisher: Publisher, outbox: Outbox) -> None:
    fill(outbox, 10)
    began = time.monotonic()
    publisher.close()
    publisher.close()
    assert time.monotonic() - began < 20
    assert not any(thread.name == "publisher-cam" for thread in threading.enumerate())


def test_a_forwarder_of_the_first_release_gets_records_that_it_reads(
    publisher: Publisher, outbox: Outbox, listener: Listener
) -> None:
    """`releases/0.1.0/observation.json` holds what that version read; later ones say what they read."""
    first = json.loads((Path(__file__).parents[1] / "unit" / "releases" / "0.1.0" / "observation.json").read_bytes())
    face = msgspec.structs.replace(observation("cam", SESSION, 0).faces[0], read=False, pose=Pose(yaw=3.0))
    whole = msgspec.structs.replace(observation("cam", SESSION, 0), span_s=0.04, faces=[face])
    outbox.append(whole)
    wait_for(lambda: listener.seqs()[:1] == [0])  # and again, where nothing confirms it for a second
    sent = json.loads(listener.last("observations") or b"")
    assert sent.keys() == first.keys()
    assert sent["faces"][0].keys() == first["faces"][0].keys()
    listener.confirm((0, 0))
    listener.publish("mien/cam/accepts", encode_message(Accepts(RECORD)))
    wait_for(lambda: publisher._record == RECORD)
    outbox.append(msgspec.structs.replace(whole, seq=1))
    wait_for(lambda: listener.seqs()[-1:] == [1])
    assert decode(listener.last("observations") or b"") == msgspec.structs.replace(whole, seq=1)


def test_whole_records_go_to_a_broker_that_has_room_for_a_single_queue_in_a_session(
    tmp_path: Path, free_port: int, outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A busy cluster refuses a queue now and then: none is asked for but where messages must not be lost."""
    config = broker_module.CONFIG.replace("max_ack_pending: 5000", "max_ack_pending: 65535")
    monkeypatch.setattr(broker_module, "CONFIG", config)
    home = settings(tmp_path, broker={"port": free_port})
    stopping, ready = threading.Event(), threading.Event()
    running = [threading.Thread(target=run_broker, args=(home, stopping, lambda _: ready.set()))]
    running[0].start()
    try:
        assert ready.wait(60)
        running.append(threading.Thread(target=run_forwarder, args=(home, stopping)))
        running[1].start()
        acknowledged = threading.Event()
        earlier = Connection(find_broker(home), "earlier", on_acknowledged=lambda _: acknowledged.set())
        earlier.publish("mien/cam/accepts", encode_message(Accepts(RECORD)), retain=True)
        assert acknowledged.wait(60)
        earlier.close()
        outbox.append(msgspec.structs.replace(observation("cam", SESSION, 0), span_s=0.04))
        publisher = Publisher(outbox, "cam", home, Stats)
        wait_for(lambda: outbox.counts.confirmed)
        publisher.close()
    finally:
        stopping.set()
        for thread in running:
            thread.join()
    with closing(open_store(home.store_url, read_only=True)) as store:
        assert [row.span_s for row in store.recent(now() - timedelta(days=1))] == [0.04]
