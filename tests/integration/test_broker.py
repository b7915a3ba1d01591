"""The built-in broker as a process: found, guarded, looked after, gone without a trace."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from parts import Part, kill, settings, start, stop, wait_for

from mien.errors import BrokerError, MienError
from mien.mqtt import broker as broker_module
from mien.mqtt import credentials
from mien.mqtt.broker import BrokerAddress, find_broker, run_broker
from mien.mqtt.connection import Connection


@pytest.fixture
def broker(tmp_path: Path, free_port: int) -> Iterator[Part]:
    process = start("broker", tmp_path, free_port)
    wait_for((tmp_path / "broker.json").exists)
    yield process
    stop(process)


def server(home: Path) -> list[int]:
    """Return the process ids of the servers that use a state folder."""
    wanted = str(home / "broker" / "nats.conf").encode()
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if wanted in words and words[0].endswith(b"nats-server"):
            found.append(int(path.parent.name))
    return found


def test_carries_messages_to_who_knows_the_password(broker: object, tmp_path: Path) -> None:
    address = find_broker(settings(tmp_path))
    assert address.host == "127.0.0.1"
    came: list[Any] = []
    connection = Connection(address, "test", on_message=came.append)
    connection.subscribe("mien/+/observations")
    connection.publish("mien/cam/observations", b"hello")
    wait_for(lambda: came)
    assert came[0].payload == b"hello"
    connection.close()
    for wrong in (address._replace(password="no" * 9), address._replace(username=None, password=None)):
        with pytest.raises(BrokerError, match="refuses user and password"):
            Connection(wrong, "test")


def test_others_come_in_with_the_secrets_and_still_do_after_a_restart(tmp_path: Path, free_port: int) -> None:
    known = credentials.make(tmp_path)
    elsewhere = BrokerAddress(
        "127.0.0.2", free_port, known.username, known.password
    )  # what only listens on .1 is deaf to it
    for _ in range(2):
        process = start("broker", tmp_path, free_port, MIEN_BROKER__LISTEN="0.0.0.0")  # noqa: S104
        wait_for((tmp_path / "broker.json").exists)
        for address in (find_broker(settings(tmp_path)), elsewhere):
            Connection(address, "test").close()
        with pytest.raises(BrokerError, match="refuses user and password"):
            Connection(elsewhere._replace(password="no" * 9), "test")
        stop(process)
    process = start("broker", tmp_path, free_port)
    wait_for((tmp_path / "broker.json").exists)
    with pytest.raises(BrokerError):
        Connection(elsewhere, "test")
    stop(process)


def test_its_files_are_its_owners_alone(broker: object, tmp_path: Path) -> None:
    for file in (tmp_path / "broker.json", tmp_path / "broker" / "nats.conf"):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "broker").stat().st_mode) == 0o700


def test_listens_on_this_machine_alone(broker: object, tmp_path: Path) -> None:
    (pid,) = server(tmp_path)
    inodes = {str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir() if link.is_symlink()}
    listening = []
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in inodes:
                listening.append(fields[1].partition(":")[0])
    assert listening
    assert set(listening) == {"0100007F"}


def test_is_started_again_when_it_dies(broker: object, tmp_path: Path) -> None:
    (first,) = server(tmp_path)
    os.kill(first, signal.SIGKILL)
    wait_for(lambda: server(tmp_path) not in ([], [first]))
    wait_for(lambda: _connects(find_broker(settings(tmp_path))))


def test_queues_that_nobody_fetches_are_emptied_before_they_stop_everybody(
    tmp_path: Path, free_port: int, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mien.mqtt.broker.QUEUES", "8MB")
    stopping, ready = threading.Event(), threading.Event()
    home = settings(tmp_path, broker={"port": free_port})
    thread = threading.Thread(target=run_broker, args=(home, stopping, lambda _: ready.set()))
    thread.start()
    try:
        assert ready.wait(60)
        abandoned = Connection(find_broker(home), "abandoned", persistent=True)
        abandoned.subscribe("mien/+/observations")
        abandoned.close()
        edge = Connection(find_broker(home), "edge", in_flight=20)
        wait_for(lambda: edge.lost.is_set() or not edge.publish("mien/cam/observations", bytes(100_000)))
        edge.close()
        wait_for(lambda: "they are emptied" in caplog.text)
        wait_for(lambda: _connects(find_broker(home)))
        acknowledged = threading.Event()
        edge = Connection(find_broker(home), "edge", on_acknowledged=lambda _: acknowledged.set())
        edge.subscribe("mien/+/observations")
        edge.publish("mien/cam/observations", b"hello")
        assert acknowledged.wait(30)
        edge.close()
    finally:
        stopping.set()
        thread.join()


PHRASES = (
    "resource limits exceeded",
    "JetStream file resource limits exceeded for server",
    "critical write error",
    "JetStream stream '$G > $MQTT_msgs' critical write error: no space left on device",
    "will be DISABLED",
    "failed to store a msg",
    "address already in use",
    "Listening for MQTT clients on",
)


@pytest.mark.parametrize("newline", ["", "\n[1] 2026/01/01 00:00:00.000000 [ERR] ", "\r\n[FTL] "])
def test_nothing_that_a_stranger_writes_into_its_log_restarts_it(broker: object, tmp_path: Path, newline: str) -> None:
    address = find_broker(settings(tmp_path))
    (first,) = server(tmp_path)
    jetstream = tmp_path / "broker" / "jetstream"
    for phrase in PHRASES:
        words = newline + phrase
        for username, client_id in ((words, "stranger"), ("stranger", words), (words, words)):
            with pytest.raises(BrokerError):
                Connection(address._replace(username=username, password="no" * 9), client_id)
    known = Connection(address, "known")  # nor what somebody writes who may come in
    known.publish(f"mien/{PHRASES[0]}/observations", PHRASES[3].encode())
    known.close()
    log = (tmp_path / "broker" / "nats.log").read_text()
    assert "resource limits exceeded" in log  # so this would have been seen by who reads the log
    time.sleep(3)
    assert server(tmp_path) == [first]
    assert jetstream.is_dir()


def test_a_server_that_could_not_write_is_started_again(tmp_path: Path, free_port: int) -> None:
    resource = pytest.importorskip("resource")
    stopping, ready = threading.Event(), threading.Event()
    home = settings(tmp_path, broker={"port": free_port})
    thread = threading.Thread(target=run_broker, args=(home, stopping, lambda _: ready.set()))
    thread.start()
    try:
        assert ready.wait(60)
        (first,) = server(tmp_path)
        waiting = Connection(find_broker(home), "waiting", persistent=True)
        waiting.subscribe("mien/+/observations")
        waiting.close()
        resource.prlimit(first, resource.RLIMIT_FSIZE, (1 << 16, 1 << 16))  # as if the disk were full
        edge = Connection(find_broker(home), "edge", in_flight=20)
        for _ in range(20):
            edge.publish("mien/cam/observations", bytes(10_000))
        wait_for(lambda: server(tmp_path) not in ([], [first]))
        edge.close()
        wait_for(lambda: _connects(find_broker(home)))
        acknowledged = threading.Event()
        edge = Connection(find_broker(home), "edge", on_acknowledged=lambda _: acknowledged.set())
        edge.publish("mien/cam/observations", b"hello")
        assert acknowledged.wait(30)
        edge.close()
    finally:
        stopping.set()
        thread.join()


def test_stops_cleanly(broker: Part, tmp_path: Path) -> None:
    broker.terminate()
    assert broker.end() == 0
    assert server(tmp_path) == []
    assert not (tmp_path / "broker.json").exists()


def test_leaves_no_orphan_at_kill_9(broker: Part, tmp_path: Path, free_port: int) -> None:
    assert len(server(tmp_path)) == 1
    kill(broker)
    wait_for(lambda: server(tmp_path) == [])
    before = (tmp_path / "broker.json").read_text()
    again = start("broker", tmp_path, free_port)
    wait_for(lambda: json.loads((tmp_path / "broker.json").read_text()) != json.loads(before))
    assert _connects(find_broker(settings(tmp_path)))
    stop(again)


def test_a_port_that_was_taken_since_it_was_found_free_is_left_to_its_owner(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other answers on it, so that only the server's own word tells that it listens."""
    stopping, ready = threading.Event(), threading.Event()
    asked: list[int] = []

    def is_free(host: str, port: int, patience_s: float = 0.0) -> bool:
        asked.append(port)
        return len(asked) == 1 or really(host, port, patience_s)

    really = broker_module._is_free
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        monkeypatch.setattr(broker_module, "DEFAULT_PORT", port)
        monkeypatch.setattr(broker_module, "_is_free", is_free)
        thread = threading.Thread(target=run_broker, args=(settings(tmp_path), stopping, lambda _: ready.set()))
        thread.start()
        try:
            assert ready.wait(60)
            address = find_broker(settings(tmp_path))
            assert address.port > port
            assert asked[0] == port
            assert port + 1 in asked
            assert _connects(address)
        finally:
            stopping.set()
            thread.join(60)


def test_a_second_one_on_the_same_folder_is_refused(broker: object, tmp_path: Path) -> None:
    with pytest.raises(BrokerError, match="a broker runs already"):
        run_broker(settings(tmp_path), threading.Event())


def test_a_lock_that_cannot_be_taken_is_told(tmp_path: Path) -> None:
    (tmp_path / "broker" / "lock").mkdir(parents=True)
    with pytest.raises(MienError, match=r"cannot write '.*lock': is a directory"):
        run_broker(settings(tmp_path), threading.Event())


def test_a_port_in_use_that_was_asked_for_is_an_error(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(BrokerError, match=f"port {port} is in use"):
            run_broker(settings(tmp_path, broker={"port": port}), threading.Event())
    assert not (tmp_path / "broker.json").exists()


def test_a_port_in_use_that_was_not_asked_for_is_passed_by(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopping = threading.Event()
    ready: list[BrokerAddress] = []
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setattr("mien.mqtt.broker.DEFAULT_PORT", port)

        def take(address: BrokerAddress) -> None:
            ready.append(address)
            stopping.set()

        run_broker(settings(tmp_path), stopping, take)
    assert ready[0].port > port
    assert f"port {port} is in use: the broker takes {ready[0].port}" in caplog.text


def test_the_state_folder_may_be_called_anything(tmp_path: Path, free_port: int) -> None:
    stopping = threading.Event()
    home = tmp_path / 'Zoë\'s "日本" $x'
    run_broker(settings(home, broker={"port": free_port}), stopping, lambda _: stopping.set())
    assert (home / "broker" / "jetstream").is_dir()


def test_a_server_that_does_not_start_tells_why(tmp_path: Path, free_port: int) -> None:
    (tmp_path / "broker").mkdir()
    (tmp_path / "broker" / "jetstream").write_text("a file where a folder should be")
    with pytest.raises(BrokerError, match=r"the broker does not start: .*nats\.log"):
        run_broker(settings(tmp_path, broker={"port": free_port}), threading.Event())


def test_what_is_no_broker_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        address = BrokerAddress(*deaf.getsockname())
    with pytest.raises(BrokerError, match=f"no broker at {address}: connection refused"):
        Connection(address, "test")
    with pytest.raises(BrokerError, match=r"a\.\.b:1883.*host"):
        Connection(BrokerAddress("a..b", 1883), "test")


def test_what_speaks_another_protocol_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as web:
        address = BrokerAddress(*web.getsockname())

        def answer() -> None:
            for _ in range(2):
                peer, _ = web.accept()
                with peer:
                    peer.recv(1000)
                    peer.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(BrokerError, match=r"MQTT|refuses"):
            Connection(address, "test")
        thread.join()


def _connects(address: BrokerAddress) -> bool:
    try:
        Connection(address, "probe").close()
    except BrokerError:
        return False
    return True
