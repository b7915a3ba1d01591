"""A broker that lets somebody read nothing, or takes small packets alone: mosquitto, and what is said of it."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from parts import observation, settings, stored_seqs, wait_for

from mien.config import Settings
from mien.edge import publisher as publisher_module
from mien.edge.outbox import Outbox
from mien.edge.publisher import Publisher
from mien.forward import forwarder as forwarder_module
from mien.forward.forwarder import run_forwarder
from mien.mqtt.broker import find_broker
from mien.mqtt.connection import BrokerAddress, Connection
from mien.mqtt.markers import publish_marker
from mien.observation import new_id
from ports import unused_port
from programs import program

pytestmark = pytest.mark.mosquitto


@pytest.fixture
def broker(mosquitto: str, tmp_path: Path) -> Iterator[Callable[..., int]]:
    """Start mosquitto with some lines more in its settings, and return its port."""
    started: list[subprocess.Popen[bytes]] = []

    def start(*lines: str) -> int:
        port = unused_port()
        user = ["user root"] if os.geteuid() == 0 else []
        config = tmp_path / "mosquitto.conf"
        config.write_text("\n".join([f"listener {port} 127.0.0.1", "allow_anonymous true", *user, *lines]))
        started.append(subprocess.Popen([mosquitto, "-c", str(config)], stderr=subprocess.DEVNULL))
        wait_for(lambda: _listens(port))
        return port

    yield start
    for process in started:
        process.kill()
        process.wait()


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def at(port: int, home: Path, **sections: object) -> Settings:
    return settings(home, broker={"host": "127.0.0.1", "port": port}, **sections)


def test_who_may_read_nothing_is_told_so(
    broker: Callable[..., int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """mosquitto agrees to a subscription that its list of rights forbids, and sends nothing then."""
    monkeypatch.setattr(publisher_module, "UNHEARD_S", 2.0)
    monkeypatch.setattr(forwarder_module, "SILENCE_S", 2.0)
    rights = tmp_path / "rights"
    rights.write_text("topic write mien/#\n")
    rights.chmod(0o600)
    metrics, stopping = unused_port(), threading.Event()
    here = at(broker(f"acl_file {rights}"), tmp_path / "hub", forward={"metrics_port": metrics})
    forwarding = threading.Thread(target=run_forwarder, args=(here, stopping))
    forwarding.start()

    def health() -> dict[str, str]:
        with closing(http.client.HTTPConnection("127.0.0.1", metrics, timeout=5)) as connection:
            connection.request("GET", "/health")
            answer: dict[str, str] = json.loads(connection.getresponse().read())
            return answer

    outbox = Outbox(tmp_path / "outbox", "cam")
    publisher = Publisher(outbox, "cam", here)
    try:
        outbox.append(observation("cam", new_id(), 0))
        wait_for(lambda: "takes what 'cam' sends, but nothing was confirmed" in caplog.text)
        assert "may who has no user name read 'mien/cam/stored' there?" in caplog.text
        wait_for(lambda: "nothing has come from the broker" in caplog.text)
        assert "read 'mien/+/observations' there?" in health()["reason"]
        assert outbox.counts.depth == 1
    finally:
        publisher.close()
        outbox.close()
        stopping.set()
        forwarding.join()


def test_what_is_too_large_for_the_broker_waits_and_stops_nothing(
    broker: Callable[..., int], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    here = at(broker("max_packet_size 3000"), tmp_path / "hub")
    stopping = threading.Event()
    forwarding = threading.Thread(target=run_forwarder, args=(here, stopping))
    outbox, session = Outbox(tmp_path / "outbox", "cam"), new_id()
    for seq in range(400):  # of which every other one is confirmed, in ranges that no single message may hold
        outbox.append(observation("cam", session, seq, faces=20 if seq % 2 else 1))
    publisher = Publisher(outbox, "cam", here)
    forwarding.start()
    try:
        wait_for(lambda: outbox.counts.depth == 200)
        assert "stay in the outbox; raise the broker's limit (mosquitto: max_packet_size)" in caplog.text
        assert stored_seqs(here.home, "cam") == {session.replace("-", "").upper(): list(range(0, 400, 2))}
        assert "is gone" not in caplog.text
    finally:
        publisher.close()
        outbox.close()
        stopping.set()
        forwarding.join()


def test_why_a_broker_ends_a_connection_is_told(broker: Callable[..., int], tmp_path: Path) -> None:
    here = at(broker("max_packet_size 3000"), tmp_path)
    connection = Connection(find_broker(here), "large")
    assert connection.max_packet == 3000
    connection.publish("mien/cam/observations", bytes(4000))
    assert connection.lost.wait(10)
    assert ": it said 'packet too large': raise its limit" in connection.farewell
    connection.close()


def test_the_deployed_rights_let_a_player_name_moments_and_no_source(
    broker: Callable[..., int], tmp_path: Path
) -> None:
    passwords, rights = tmp_path / "passwords", tmp_path / "mosquitto.acl"
    rights.write_text((Path(__file__).parents[2] / "deploy" / "mosquitto.acl").read_text("utf-8"))
    rights.chmod(0o600)
    passwords.touch(0o600)
    users = ("forwarder", "player", "lobby")
    for user in users:
        subprocess.run([program("mosquitto_passwd"), "-b", str(passwords), user, "secret"], check=True)
    port = broker(f"acl_file {rights}", f"password_file {passwords}")
    heard: list[tuple[str, bytes]] = []
    entered = [
        Connection(
            BrokerAddress("127.0.0.1", port, user, "secret"),
            user,
            on_message=lambda message: heard.append((message.topic, message.payload)),
        )
        for user in users
    ]
    forwarder, player, lobby = entered
    try:
        forwarder.subscribe("mien/+/marker")
        forwarder.subscribe("mien/+/available")
        publish_marker(lobby, "mien", "lobby", "by a source")
        publish_marker(player, "mien", "lobby", "by the player")
        player.publish("mien/lobby/available", b"online")
        lobby.publish("mien/lobby/available", b"offline")
        wait_for(lambda: len(heard) >= 2)
        topics = [topic for topic, _ in heard]
        assert sorted(topics) == ["mien/lobby/available", "mien/lobby/marker"]
        assert b"by the player" in dict(heard)["mien/lobby/marker"]
        assert dict(heard)["mien/lobby/available"] == b"offline"
    finally:
        for connection in entered:
            connection.close()
