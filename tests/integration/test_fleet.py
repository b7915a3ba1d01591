"""Sources set from afar: real brokers, and the demo clip really watched."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from parts import Part, kill, settings, start, stop, stop_all, wait_for

from mien.config import Settings
from mien.edge.fleet import Member, _Listener, listen, set_remotely
from mien.edge.outbox import Outbox
from mien.edge.publisher import Publisher
from mien.edge.remote import Remote
from mien.edge.watch import run_watch
from mien.errors import MienError, UsageError
from mien.mqtt.broker import find_broker
from mien.mqtt.connection import Connection
from mien.mqtt.messages import RemoteState, Stats, TopicKind, decode_message, topic
from mien.observation import Observation, new_id
from mien.run.doctor import LOOKS
from ports import unused_port

WITHIN_S = 60.0
NAMED = ("host", "port", "username", "password")


@pytest.fixture(scope="module", params=["built-in", pytest.param("mosquitto", marks=pytest.mark.mosquitto)])
def broker(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """How the settings name a broker that runs, one of each kind for all these tests."""
    folder = tmp_path_factory.mktemp("broker")
    if request.param == "built-in":
        start("broker", folder)
        wait_for((folder / "broker.json").exists)
        yield {name: value for name, value in json.loads((folder / "broker.json").read_text()).items() if name in NAMED}
        stop_all()
        return
    port = unused_port()
    program = request.getfixturevalue("mosquitto")
    process = subprocess.Popen([program, "-p", str(port)], stderr=subprocess.DEVNULL)
    named = {"host": "127.0.0.1", "port": port}
    wait_for(lambda: _reachable(settings(folder, broker=named)))
    yield named
    process.kill()
    process.wait()


@pytest.fixture
def home(broker: dict[str, Any], tmp_path: Path) -> Settings:
    """The settings of a machine whose sources may be set from afar, with topics of its own."""
    prefix = f"mien/{new_id()}"
    return settings(tmp_path, watch={"remote": True, "stats_every_s": 1}, broker={**broker, "prefix": prefix})


def _reachable(named: Settings) -> bool:
    try:
        Connection(find_broker(named), "probe").close()
    except MienError:
        return False
    return True


@contextmanager
def source(home: Settings, name: str = "cam", **stats: Any) -> Iterator[Remote]:
    """A source without frames: an outbox and a publisher, as `mien watch` has them, and what it says besides."""
    outbox, remote = Outbox(home.home / "outbox", name), Remote(home, name)
    publisher = Publisher(outbox, name, home, lambda: Stats(version="0.1.0", uptime_s=5.0, **stats), remote)
    try:
        wait_for(lambda: publisher.connected)
        yield remote
    finally:
        publisher.close()
        outbox.close()


@contextmanager
def hearing(home: Settings, kind: TopicKind) -> Iterator[list[bytes]]:
    """What comes on a topic of the source."""
    heard: list[bytes] = []

    def note(message: Any) -> None:
        connection.acknowledge(message.mid)
        heard.append(message.payload)

    connection = Connection(find_broker(home), f"hearing-{kind}", on_message=note)
    connection.subscribe(topic(home.broker.prefix, "cam", kind))
    yield heard
    connection.close()


def publish(home: Settings, *payloads: bytes, retain: bool = False) -> None:
    done: list[int] = []
    sender = Connection(find_broker(home), "sender", on_acknowledged=done.append)
    for payload in payloads:
        sender.publish(topic(home.broker.prefix, "cam", "set"), payload, retain=retain)
    wait_for(lambda: len(done) == len(payloads))
    sender.close()


def member(home: Settings, name: str, like: Callable[[Member], object]) -> Member:
    """Return what the broker tells of a source, once it is like that."""
    found: list[Member] = []

    def there() -> bool:
        found[:] = [one for one in listen(home, 0.5) if one.source == name and like(one)]
        return bool(found)

    wait_for(there, WITHIN_S, f"{name} as wanted")
    return found[0]


def preview_finding(home: Settings) -> tuple[str, str]:
    """Return the doctor's word on previews."""
    return LOOKS["preview"](home)


def test_the_doctor_asks_the_sources_what_pictures_they_send(home: Settings) -> None:
    assert home.watch.preview == "off", "what the settings here say"
    assert preview_finding(home) == ("ok", "no source is online; watch.preview here says off")
    with source(home, "hall", preview="off"):
        member(home, "hall", lambda one: one.stats.preview)
        assert preview_finding(home) == ("ok", "off at the 1 source that is online; watch.preview here says off")
        with source(home, "lobby", preview="plain"), source(home, "old"):
            for name, said in (("lobby", "plain"), ("old", None)):
                member(home, name, lambda one, said=said: one.stats.version and one.stats.preview == said)
            state, text = preview_finding(home)
            assert state == "note"
            assert "sent to the broker by lobby: plain, old: unsaid; " in text
        member(home, "lobby", lambda one: one.online is False)
        assert preview_finding(home)[0] == "ok", "one that has gone sends nothing"
        with source(home, "show", preview="plain", demo=True):
            member(home, "show", lambda one: one.stats.demo)
            state, text = preview_finding(home)
            assert state == "ok"
            assert "demo clip" in text
            assert "(show)" in text
            assert "1 source" in text
            with sending(home, "hall"):
                assert preview_finding(home)[0] == "note", "the demo excuses no other"
        with sending(home, "hall"):
            assert "by hall: unsaid; " in preview_finding(home)[1], "it says off, and sends"


def test_the_doctor_cannot_tell_of_previews_where_the_broker_does_not_answer(home: Settings) -> None:
    away = home.model_copy(update={"broker": home.broker.model_copy(update={"host": "127.0.0.1", "port": 1})})
    state, text = preview_finding(away)
    assert state == "note"
    assert text.startswith("the sources cannot be asked whether they send pictures: ")


@contextmanager
def sending(home: Settings, name: str) -> Iterator[None]:
    """Pictures under a source's name, ten a second."""
    connection, end = Connection(find_broker(home), "pictures"), threading.Event()

    def send() -> None:
        while not end.wait(0.1):
            connection.offer(topic(home.broker.prefix, name, "preview"), b"a picture")

    thread = threading.Thread(target=send)
    thread.start()
    yield
    end.set()
    thread.join()
    connection.close()


def test_a_source_is_set_answers_once_and_is_still_so_after_a_reconnection(home: Settings) -> None:
    with source(home) as remote, hearing(home, "state") as states:
        first = member(home, "cam", lambda one: one.online and one.state and one.stats.version)
        assert first.state is not None
        assert first.state.remote
        wait_for(lambda: states)
        states.clear()
        state = set_remotely(home, "cam", {"threshold": 0.6, "fps": 5, "pause": True}, WITHIN_S)
        assert (state.threshold, state.fps, state.pause, state.error) == (0.6, 5, True, None)
        assert (remote.threshold, remote.fps, remote.paused) == (0.6, 5, True)
        publish(home, b'{"fps": 6, "id": "x"}', b'{"fps": 6, "id": "x"}', b"nonsense", b'{"speed": 9, "pause": false}')
        wait_for(lambda: len(states) == 4)
        assert [decode_message(one, RemoteState).id for one in states][1:] == ["x", None, None], (
            "twice the same: answered once"
        )
        assert "unknown field `speed`" in (decode_message(states[3], RemoteState).error or "")
        assert remote.paused
    offline = member(home, "cam", lambda one: one.online is False)
    assert offline.state is not None
    assert offline.state.pause
    with pytest.raises(MienError, match="'cam' is offline: nothing was set"):
        set_remotely(home, "cam", {"pause": False}, WITHIN_S)
    with source(home) as remote:
        assert (remote.fps, remote.paused) == (6, True)


def test_a_retained_request_is_refused_at_the_next_connection(home: Settings) -> None:
    publish(home, b'{"pause": true}', retain=True)
    with source(home) as remote:
        state = member(home, "cam", lambda one: one.state and one.state.error).state
        assert state is not None
        assert "had retained it" in (state.error or "")
        assert not remote.paused
        assert set_remotely(home, "cam", {"fps": 3}, WITHIN_S).error is None


def test_a_request_of_qos_0_is_answered_on_the_connection_that_it_came_on(home: Settings) -> None:
    with source(home) as remote, hearing(home, "available") as heard, hearing(home, "state") as states:
        wait_for(lambda: heard[-1:] == [b"online"] and states)
        sender = Connection(find_broker(home), "sender")
        sender.offer(topic(home.broker.prefix, "cam", "set"), b'{"pause": true}')
        wait_for(lambda: remote.paused and len(states) == 2)
        sender.publish(topic(home.broker.prefix, "cam", "set"), b'{"pause": false, "id": "second"}')
        wait_for(lambda: decode_message(states[-1], RemoteState).id == "second", WITHIN_S)
        sender.close()
        assert b"offline" not in heard
        assert len(states) == 3, "each connection begins with the state"


def test_a_source_that_may_not_be_set_says_so(home: Settings) -> None:
    closed = home.model_copy(update={"watch": home.watch.model_copy(update={"remote": False})})
    with source(closed) as remote:
        publish(home, b'{"pause": true}')
        with pytest.raises(MienError, match=r"'cam'.*watch\.remote"):
            set_remotely(home, "cam", {"pause": True}, WITHIN_S)
        assert not remote.paused
    with pytest.raises(MienError, match="nothing is known of a source 'nowhere'"):
        set_remotely(home, "nowhere", {"pause": True}, 1)
    with pytest.raises(UsageError, match="unknown field `speed`"):
        set_remotely(home, "cam", {"speed": 5})


def test_the_list_stands_what_others_say(home: Settings) -> None:
    sender = Connection(find_broker(home), "hostile")
    said = {"version": "\x1b[31m", "model": 5, "uptime_s": -1}
    for place, payload in {
        "cam/stats": json.dumps(said).encode(),
        "cam/state": b"[" * 5000,
        "UPPER/available": b"online",
        "door/stats": b'{"uptime_s": 10, "temperature_c": 1e300}',
        "hall/stats": b'{"uptime_s": 10, "temperature_c": null, "more": [1]}',
        "hall/state": b" " * 5000,
    }.items():
        sender.publish(f"{home.broker.prefix}/{place}", payload, retain=True)
    hall = member(home, "hall", lambda one: one.stats.uptime_s == 10)
    sender.close()
    assert hall == Member("hall", None, hall.stats, None)
    assert [one.source for one in listen(home, 1)] == ["cam", "door", "hall"]


@pytest.mark.parametrize("broker", ["built-in"], indirect=True)
def test_the_demo_is_watched_as_it_is_set(home: Settings) -> None:
    stop, seen = threading.Event(), list[Observation]()
    watching = threading.Thread(
        target=run_watch, args=(home, ["demo"], stop), kwargs={"frame_callback": lambda _, one: seen.append(one)}
    )
    watching.start()
    try:
        wait_for(lambda: seen, WITHIN_S)
        told = member(home, "demo", lambda one: one.online and one.stats.time and one.stats.model).stats
        assert told.model == seen[0].model
        assert told.uptime_s is not None

        assert set_remotely(home, "demo", {"threshold": 1.0}, WITHIN_S).threshold == 1.0
        count = len(seen)
        wait_for(lambda: len(seen) > count + 5, WITHIN_S)
        assert {face.emotion for one in seen[count + 2 :] for face in one.faces} == {None}, "nothing is sure enough"

        assert set_remotely(home, "demo", {"fps": 2, "threshold": None}, WITHIN_S).fps == 2
        count = len(seen)
        wait_for(lambda: len(seen) > count + 4, WITHIN_S)
        slow = [one.offset_s or 0.0 for one in seen[count + 2 : count + 5] if one.session == seen[count + 2].session]
        assert all(later - earlier > 0.4 for earlier, later in pairwise(slow))

        assert set_remotely(home, "demo", {"pause": True, "fps": None}, WITHIN_S).pause
        count = len(seen)
        assert set_remotely(home, "demo", {"pause": True}, WITHIN_S).pause
        threading.Event().wait(0.5)
        assert len(seen) <= count + 1, "but for the one that was under way"
        assert not set_remotely(home, "demo", {"pause": False}, WITHIN_S).pause
        wait_for(lambda: len(seen) > count + 5, WITHIN_S)
    finally:
        stop.set()
        watching.join(30)
    numbers = {one.session: [other.seq for other in seen if other.session == one.session] for one in seen}
    assert all(seqs == list(range(len(seqs))) for seqs in numbers.values()), "a pause leaves no gap in the numbers"


def test_a_broker_that_dies_leaves_a_line(tmp_path: Path, free_port: int) -> None:
    process: Part = start("broker", tmp_path, free_port)
    wait_for((tmp_path / "broker.json").exists)
    try:
        with _Listener(settings(tmp_path), "+", ("state",)) as listener:
            kill(process)
            with pytest.raises(MienError, match=r"the connection to the broker at .* was lost"):
                listener.wait_for(lambda: False, WITHIN_S)
    finally:
        stop(process)
