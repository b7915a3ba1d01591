"""The forwarder against a real broker and store: what it stores, confirms, sets aside and survives."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from parts import observation, settings, start, stop_all, wait_for

from mien.config import Settings, load
from mien.errors import BrokerError, MienError, StoreError, UsageError
from mien.forward import forwarder as forwarder_module
from mien.forward import inbox
from mien.forward.forwarder import merge, run_forwarder
from mien.mqtt.broker import find_broker
from mien.mqtt.connection import Connection
from mien.mqtt.markers import publish_marker
from mien.mqtt.messages import Stored, decode_message
from mien.observation import Observation, encode, new_id, now
from mien.stores.base import DeadLetter, Marker, open_store
from mien.stores.sql import SqlStore
from ports import unused_port


class Edge:
    """A client that publishes what it likes and notes the confirmations."""

    def __init__(self, home: Settings) -> None:
        self.stored: list[tuple[str, Stored]] = []
        self._connection = Connection(find_broker(home), "edge", on_message=self._note)
        self._connection.subscribe("mien/+/stored")

    def publish(self, payload: bytes | Observation, topic: str = "mien/cam/observations") -> None:
        self._connection.publish(topic, payload if isinstance(payload, bytes) else encode(payload))

    def confirmed(self, source: str, session: str) -> list[int]:
        ranges = [
            one for name, stored in self.stored if (name, stored.session) == (source, session) for one in stored.ranges
        ]
        return sorted({seq for first, last in ranges for seq in range(first, last + 1)})

    def close(self) -> None:
        self._connection.close()

    def _note(self, message: Any) -> None:
        stored = decode_message(message.payload, Stored)
        self.stored.append((message.topic.split("/")[1], stored))
        self._connection.acknowledge(message.mid)


@pytest.fixture
def home(tmp_path: Path, free_port: int) -> Iterator[Settings]:
    start("broker", tmp_path, free_port)
    wait_for((tmp_path / "broker.json").exists)
    yield settings(tmp_path)
    stop_all()


@pytest.fixture
def forwarding(home: Settings, caplog: pytest.LogCaptureFixture) -> Iterator[threading.Event]:
    caplog.set_level("INFO", "mien.forward.forwarder")
    stopping = threading.Event()
    thread = threading.Thread(target=run_forwarder, args=(home, stopping))
    thread.start()
    wait_for(lambda: "forwarding from" in caplog.text)  # it has subscribed
    yield stopping
    stopping.set()
    thread.join()


@pytest.fixture
def edge(home: Settings, forwarding: object) -> Iterator[Edge]:
    edge = Edge(home)
    yield edge
    edge.close()


def stored(home: Settings, source: str = "cam") -> int:
    store = open_store(home.store_url, read_only=True)
    try:
        return sum(one.frames for one in store.sources() if one.source == source)
    finally:
        store.close()


def letters(home: Settings) -> list[DeadLetter]:
    store = open_store(home.store_url, read_only=True)
    try:
        return store.dead_letters()
    finally:
        store.close()


def test_stores_and_confirms_each_once(home: Settings, edge: Edge) -> None:
    session = new_id()
    given = [observation("cam", session, seq) for seq in range(120)]
    for one in given + given[:50]:
        edge.publish(one)
    wait_for(lambda: edge.confirmed("cam", session) == list(range(120)))
    assert stored(home) == 120


HOSTILE: list[tuple[bytes, str]] = [
    (b"", "truncated"),
    (b"\xff" * 100, "malformed"),
    (b"[" * 50_000, "Expected `object`"),
    (b"{}", "missing"),
    (b"x" * (1 << 20) + b"x", "more than"),
    (b'{"session": "1", "seq": -1}', "$.session"),
]


def test_hostile_payloads_are_set_aside_and_stop_nothing(home: Settings, edge: Edge) -> None:
    session = new_id()
    for payload, _ in HOSTILE:
        edge.publish(payload)
    edge.publish(observation("cam", session, 0), "mien/lobby/observations")
    edge.publish(encode(observation("cam", session, 1)).replace(b'"cam"', b'"../../x"'))
    edge.publish(observation("cam", session, 2))
    wait_for(lambda: len(letters(home)) == len(HOSTILE) + 2)
    wait_for(lambda: stored(home) == 1)
    found = letters(home)[::-1]
    for letter, (payload, reason) in zip(found, HOSTILE, strict=False):
        assert reason in letter.reason
        assert letter.payload == payload[: 64 << 10]
    assert "came on the topic of 'lobby'" in found[-2].reason


def test_what_is_set_aside_is_confirmed_where_it_tells_what_it_is(home: Settings, edge: Edge) -> None:
    session = new_id()
    timeless = json.loads(encode(observation("cam", session, 0)))
    edge.publish(json.dumps(timeless | {"time": None}).encode())
    edge.publish(json.dumps(timeless | {"seq": 1, "faces": "none"}).encode())
    edge.publish(json.dumps(timeless | {"seq": 2, "time": "1969-01-01T00:00:00Z"}).encode())
    edge.publish(observation("cam", session, 3))
    wait_for(lambda: edge.confirmed("cam", session) == [0, 1, 2, 3])
    assert stored(home) == 1
    assert {reason[:11] for _, _, _, reason, _ in letters(home)} == {"it has no t", "Expected `a", "its time 19"}


def test_waits_while_the_store_is_out(
    home: Settings, edge: Edge, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    whole = SqlStore.add
    out = threading.Event()
    out.set()

    def failing(self: SqlStore, observations: Any) -> int:
        if out.is_set():
            raise StoreError("cannot write the store: unplugged")
        return whole(self, observations)

    monkeypatch.setattr(SqlStore, "add", failing)
    session = new_id()
    for seq in range(50):
        edge.publish(observation("cam", session, seq))
    wait_for(lambda: "unplugged" in caplog.text)
    time.sleep(1)
    assert edge.stored == []
    out.clear()
    wait_for(lambda: edge.confirmed("cam", session) == list(range(50)))
    assert caplog.text.count("unplugged") == 1
    assert "the store works again" in caplog.text


def ask(port: int, path: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def test_says_over_http_how_it_is_doing(home: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, out = SqlStore.add, threading.Event()

    def failing(self: SqlStore, observations: Any) -> int:
        if out.is_set():
            raise StoreError("cannot write the store: unplugged")
        return whole(self, observations)

    def metrics() -> dict[str, float]:
        lines = [line.split() for line in ask(port, "/metrics")[1].splitlines() if not line.startswith("#")]
        return {name.removeprefix("mien_forwarder_"): float(value) for name, value in lines}

    def health() -> tuple[int, str, int, int]:
        code, text = ask(port, "/health")
        said = json.loads(text)
        return code, said["status"], said["dead_letters"], said["dropped_dead_letters"]

    monkeypatch.setattr(SqlStore, "add", failing)
    monkeypatch.setattr("mien.stores.dead_letters.KEPT", 2)
    monkeypatch.setattr("mien.forward.forwarder.COUNT_EVERY_S", 0)
    port = unused_port()
    config = settings(tmp_path, forward={"metrics_port": port})
    stopping = threading.Event()
    thread = threading.Thread(target=run_forwarder, args=(config, stopping))
    thread.start()
    try:
        wait_for(lambda: (tmp_path / "mien.db").exists())
        wait_for(lambda: _reachable(port))
        wait_for(lambda: health() == (200, "ok", 0, 0))
        edge, session = Edge(home), new_id()
        for seq in range(20):
            edge.publish(observation("cam", session, seq))
        for _ in range(5):
            edge.publish(b"?")
        wait_for(lambda: edge.confirmed("cam", session) == list(range(20)))
        wait_for(lambda: metrics()["dead_letters_total"] == 5)
        wait_for(lambda: metrics()["dead_letters_dropped_total"] == 3)
        assert metrics()["stored_total"] == 20
        assert abs(metrics()["committed_timestamp_seconds"] - time.time()) < 60
        out.set()
        edge.publish(observation("cam", session, 20))
        wait_for(lambda: health() == (503, "no store", 5, 3))
        out.clear()
        wait_for(lambda: health()[0] == 200)
        wait_for(lambda: metrics()["stored_total"] == 21)
        assert ask(port, "/etc/passwd")[0] == 404
        edge.close()
        with pytest.raises(MienError, match=r"name another port by forward\.metrics_port"):
            run_forwarder(settings(tmp_path / "other", forward={"metrics_port": port}), threading.Event(), once=True)
        stop_all()
        wait_for(lambda: health() == (503, "no broker", 5, 3))
    finally:
        stopping.set()
        thread.join()
    assert not _reachable(port)


def _reachable(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def test_once_drains_and_ends(home: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    stopping = threading.Event()
    assert run_forwarder(home, stopping, once=True) == (0, 0, 0)
    monkeypatch.setattr(forwarder_module, "ONCE_IDLE_S", 6.0)
    edge = Edge(home)
    session = new_id()
    for seq in range(700):
        edge.publish(observation("cam", session, seq))
    edge.publish(b"?")
    assert run_forwarder(home, stopping, once=True) == (700, 0, 1)
    wait_for(lambda: edge.confirmed("cam", session) == list(range(700)))
    edge.close()


def test_once_without_a_broker_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BrokerError, match="no broker runs here"):
        run_forwarder(settings(tmp_path), threading.Event(), once=True)


def test_one_forwarder_for_each_state_folder(home: Settings, forwarding: object) -> None:
    with pytest.raises(UsageError, match="a forwarder runs already"):
        run_forwarder(home, threading.Event())


def test_a_store_that_cannot_be_opened_is_told_at_once(home: Settings) -> None:
    (home.home / "mien.db").write_bytes(b"a letter" * 1000)
    with pytest.raises(StoreError, match="not a database"):
        run_forwarder(home, threading.Event())


def test_merges_numbers_to_ranges() -> None:
    assert merge([5, 3, 4, 9, 3, 1]) == [(1, 1), (3, 5), (9, 9)]
    assert merge([]) == []


@pytest.mark.parametrize("days", [-60, 90, 400])
def test_an_edge_whose_clock_is_wrong_loses_nothing(home: Settings, edge: Edge, days: int) -> None:
    """Nor one that was offline for longer than raw rows are kept."""
    session, taken = new_id(), now() + timedelta(days=days)
    given = [observation("cam", session, seq, at=taken + timedelta(seconds=seq)) for seq in range(40)]
    for one in given + given[:7]:
        edge.publish(one)
    wait_for(lambda: edge.confirmed("cam", session) == list(range(40)))
    with closing(open_store(home.store_url)) as store:
        assert store.prune(now() - timedelta(days=30)) == 0
        assert sorted(one.seq for batch in store.observations() for one in batch) == list(range(40))
        assert store.summary(taken - timedelta(minutes=2), taken + timedelta(minutes=5)).frames == 40
        assert store.sources()[0].last <= now()


def test_a_forwarder_whose_clock_jumps_deletes_nothing(
    home: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    began, session = time.time(), new_id()
    clock = {"ahead_s": 0.0}
    real = time.time
    monkeypatch.setattr("mien.system.clock.time.time", lambda: real() + clock["ahead_s"])
    edge = Edge(home)

    def bring(first: int) -> None:
        stopping = threading.Event()
        caplog.clear()
        thread = threading.Thread(target=run_forwarder, args=(home, stopping))
        thread.start()
        wait_for(lambda: "forwarding from" in caplog.text)
        for seq in range(first, first + 20):
            edge.publish(observation("cam", session, seq))
        wait_for(lambda: edge.confirmed("cam", session) == list(range(first + 20)))
        stopping.set()
        thread.join()
        told.append(caplog.text)

    told: list[str] = []
    caplog.set_level("INFO", "mien.forward.forwarder")
    bring(0)
    for n, days in enumerate((90, -60, 0), 1):
        clock["ahead_s"] = days * 86400.0
        bring(20 * n)
    edge.close()
    assert ["the machine's clock shows" in text for text in told] == [False, True, True, False]
    with closing(open_store(home.store_url)) as store:
        assert sorted(one.seq for batch in store.observations() for one in batch) == list(range(80))
        assert store.sources()[0].frames == 80
        mark = store.pruned_before()
        assert mark is not None
        assert mark.timestamp() <= began
        assert store.prune(now() - timedelta(days=1)) == 0, "what came while the clock was wrong came just now"


def test_what_is_refused_is_told(
    home: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("mien.forward.forwarder.COUNT_EVERY_S", 0.2)
    with closing(open_store(home.store_url)) as store:
        store.add([observation("cam", new_id(), 0)])
        store.erase("cam", now() - timedelta(hours=1), now() + timedelta(hours=1))
    port, stopping = unused_port(), threading.Event()
    config = settings(home.home, forward={"metrics_port": port})
    thread = threading.Thread(target=run_forwarder, args=(config, stopping))
    thread.start()
    edge, session = Edge(home), new_id()
    wait_for(lambda: _reachable(port) and ask(port, "/health")[0] == 200)  # it has subscribed
    for seq in range(5):
        edge.publish(observation("cam", session, seq))
    wait_for(lambda: edge.confirmed("cam", session) == list(range(5)))
    wait_for(lambda: "mien_forwarder_refused_total 5" in ask(port, "/metrics")[1])
    wait_for(lambda: "5 observations refused by now, of times that were erased (cam)" in caplog.text)
    stopping.set()
    thread.join()
    edge.close()


def test_says_which_records_it_reads(home: Settings, edge: Edge) -> None:
    heard: list[tuple[str, bytes, bool]] = []
    listener = Connection(
        find_broker(home), "listener", on_message=lambda m: heard.append((m.topic, m.payload, m.retain))
    )
    edge.publish(b"online", "mien/cam/available")
    listener.subscribe("mien/+/accepts")
    wait_for(lambda: ("mien/cam/accepts", b'{"record":2}') in [one[:2] for one in heard])
    late = Connection(find_broker(home), "late", on_message=lambda m: heard.append((m.topic, m.payload, m.retain)))
    late.subscribe("mien/+/accepts")
    wait_for(lambda: ("mien/cam/accepts", b'{"record":2}', True) in heard)
    late.close()
    listener.close()


def test_what_the_broker_retained_is_set_aside_once_however_often_it_starts(
    home: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    client = Connection(find_broker(home), "noisy")
    session = new_id()
    try:
        client.publish("mien/cam/observations", b"no JSON", retain=True)
        client.publish("mien/lobby/observations", b"neither", retain=True)
        client.publish("mien/door/observations", encode(observation("door", session, 0)), retain=True)
        both = ["mien/cam/observations", "mien/lobby/observations"]
        run_forwarder(home, threading.Event(), once=True)
        assert sorted(letter.topic for letter in letters(home)) == both
        for _ in range(2):
            assert run_forwarder(home, threading.Event(), once=True).dead == 0
        assert "retained what is no valid observation on 'mien/" in caplog.text
        assert len(letters(home)) == 2
        client.publish("mien/cam/observations", b"other nonsense", retain=True)
        assert run_forwarder(home, threading.Event(), once=True).dead >= 1, "from the queue, maybe retained before it"
        assert run_forwarder(home, threading.Event(), once=True).dead == 0
        client.publish("mien/cam/observations", b"other nonsense")
        assert run_forwarder(home, threading.Event(), once=True).dead >= 1, "what comes anew is set aside anew"
        assert stored(home, "door") == 1
    finally:
        client.close()


def markers_of(home: Settings) -> list[Marker]:
    with closing(open_store(home.store_url)) as store:
        return store.markers(now() - timedelta(days=2), now() + timedelta(days=2))


def test_markers_are_not_listened_to_unasked(home: Settings, edge: Edge) -> None:
    edge.publish(b'{"label": "the show begins"}', "mien/cam/marker")
    session = new_id()
    edge.publish(observation("cam", session, 0))
    wait_for(lambda: edge.confirmed("cam", session) == [0])
    assert markers_of(home) == []
    assert letters(home) == []


def test_markers_land_in_the_store_with_their_own_time_once(home: Settings) -> None:
    allowed = home.model_copy(update={"forward": home.forward.model_copy(update={"markers": True})})
    stopping = threading.Event()
    forwarding = threading.Thread(target=run_forwarder, args=(allowed, stopping))
    forwarding.start()
    began = now().replace(microsecond=250_000) - timedelta(hours=1)
    connection = Connection(find_broker(home), "player")
    try:
        wait_for((home.home / "mien.db").exists)
        session = new_id()
        edge = Edge(home)

        def listens() -> bool:
            edge.publish(observation("cam", session, 0))
            return edge.confirmed("cam", session) == [0]

        wait_for(listens)
        key = publish_marker(connection, "mien", "cam", "the show begins", time=began)
        shown = {"label": "slide 2", "time": began.isoformat(), "everywhere": True}
        for payload in (json.dumps(shown).encode(), json.dumps(shown).encode(), b'{"label": ""}', b"\xff"):
            connection.publish("mien/cam/marker", payload)
        publish_marker(connection, "mien", "cam", "now")
        wait_for(lambda: len(markers_of(home)) == 3)
        *earlier, last = markers_of(home)
        assert {(marker.label, marker.source, marker.time, marker.created_by) for marker in earlier} == {
            ("the show begins", "cam", began, "mqtt"),
            ("slide 2", None, began, "mqtt"),
        }
        assert key in {marker.id for marker in earlier}
        assert abs((last.time - now()).total_seconds()) < 60
        assert letters(home) == [], "what is no marker is counted, not kept"
        edge.close()
    finally:
        connection.close()
        stopping.set()
        forwarding.join()


def test_more_than_fits_may_wait_before_the_broker_has_agreed_to_all_sources(
    home: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The broker's answer to a later subscription lies behind what the earlier ones bring at once."""
    monkeypatch.setattr(inbox, "IN_FLIGHT", 20)
    monkeypatch.setattr(forwarder_module, "ONCE_IDLE_S", 0.0)
    divided = load({**home.model_dump(exclude_unset=True), "forward": {"sources": "cam,dam,eve"}})
    run_forwarder(divided, threading.Event(), once=True)  # from now on the broker keeps what comes for it
    taken: list[int] = []
    sender, stopping = Connection(find_broker(home), "sender", on_acknowledged=taken.append), threading.Event()
    thread = threading.Thread(target=run_forwarder, args=(divided, stopping))
    try:
        for name in ("cam", "dam", "eve"):
            session = new_id()
            for seq in range(60):
                sender.publish(f"mien/{name}/observations", encode(observation(name, session, seq)))
        wait_for(lambda: len(taken) == 180)
        thread.start()
        wait_for(lambda: [stored(home, name) for name in ("cam", "dam", "eve")] == [60, 60, 60])
    finally:
        stopping.set()
        thread.join()
        sender.close()


def test_more_sources_are_forwarded_than_a_session_of_the_broker_has_room_for(
    home: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """NATS with `max_ack_pending: 5000` has room for 13 subscriptions in a session, and does not say why it refuses."""
    monkeypatch.setattr(forwarder_module, "ONCE_IDLE_S", 0.5)
    names, session = [f"cam-{n}" for n in range(10)], new_id()

    def forward(markers: bool) -> None:
        chosen = {"sources": ",".join(names), "markers": markers}
        run_forwarder(load({**home.model_dump(exclude_unset=True), "forward": chosen}), threading.Event(), once=True)

    def film(seq: int) -> None:
        for name in names:
            sender.publish(observation(name, session, seq), f"mien/{name}/observations")
            sender.publish(json.dumps({"label": "now"}).encode(), f"mien/{name}/marker")

    forward(markers=False)  # from now on the broker keeps what comes for it
    sender = Edge(home)
    try:
        film(0)
        forward(markers=True)  # for which there is no room where the other topics are subscribed to
        film(1)
        forward(markers=True)
        assert [stored(home, name) for name in names] == [2] * 10
        wait_for(lambda: all(sender.confirmed(name, session) == [0, 1] for name in names))
        assert sorted(str(marker.source) for marker in markers_of(home)) == names
        assert not caplog.messages
    finally:
        sender.close()
