"""Who gets in, and what they may do there: TLS, certificates, passwords and rights, with both brokers for real."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import socket
import stat
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from parts import kill, observation, outbox_counts, settings, start, stop, stop_all, stored_seqs, wait_for

from mien.config import Settings
from mien.edge.fleet import listen, set_remotely
from mien.edge.outbox import Outbox, open_outbox
from mien.edge.publisher import Publisher
from mien.edge.remote import Remote
from mien.errors import BrokerError, ConfigError
from mien.mqtt import credentials
from mien.mqtt.broker import find_broker, run_broker
from mien.mqtt.connection import Connection
from mien.mqtt.credentials import client_id
from mien.mqtt.messages import Stats, Stored, encode_message
from mien.observation import encode, new_id
from mien.run.doctor import diagnose
from programs import program

DEPLOY = Path(__file__).parents[2] / "deploy"
USERS = {user: f"{user}-pw" for user in ("lobby", "door", "forwarder", "fleet", "reader")}


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an authority (ca), and a server's and a client's certificate and key made by it."""
    folder = tmp_path_factory.mktemp("certificates")

    def openssl(*arguments: str) -> None:
        subprocess.run([program("openssl"), *arguments], cwd=folder, check=True, capture_output=True)

    new = ("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    openssl(*new, "-x509", "-days", "2", "-keyout", "ca.key", "-out", "ca.crt", "-subj", "/CN=Test authority")
    (folder / "names").write_text("subjectAltName=IP:127.0.0.1,DNS:localhost\n")
    for name in ("server", "client"):
        openssl(*new, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        signed = ("-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "names")
        openssl("x509", "-req", "-in", f"{name}.csr", *signed, "-out", f"{name}.crt")
    return folder


@pytest.fixture
def outside(
    mosquitto: str, certificates: Path, tmp_path: Path, free_port: int
) -> Iterator[Callable[..., dict[str, Any]]]:
    """Start mosquitto as `deploy/` has it, and return how to name it in the settings, as one of its users."""
    folder = tmp_path / "mosquitto"
    shutil.copytree(DEPLOY, folder)
    for name in ("server.crt", "server.key"):
        shutil.copy(certificates / name, folder)
    shutil.copy(certificates / "ca.crt", folder / "clients-ca.crt")
    (folder / "passwords").touch(0o600)
    for user, password in USERS.items():
        subprocess.run([program("mosquitto_passwd"), "-b", str(folder / "passwords"), user, password], check=True)
    started: list[subprocess.Popen[bytes]] = []

    def broker(user: str | None = None, *, certified: bool = False, **more: Any) -> dict[str, Any]:
        if not started:
            config = folder / "mosquitto.conf"
            text = config.read_text().replace("listener 8883", f"listener {free_port} 127.0.0.1")
            if certified:
                text = text.replace("#cafile", "cafile").replace("#require_certificate", "require_certificate")
            config.write_text(text + ("\nuser root\n" if os.geteuid() == 0 else ""))
            started.append(subprocess.Popen([mosquitto, "-c", str(config)], cwd=folder, stderr=subprocess.DEVNULL))
            wait_for(lambda: _listens(free_port))
        named = {"host": "127.0.0.1", "port": free_port, "ca": str(certificates / "ca.crt")}
        return named | ({"username": user, "password": USERS[user]} if user else {}) | more

    yield broker
    stop_all()
    for process in started:
        process.kill()
        process.wait()


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def _said(home: Path) -> str:
    log = home / "forward.log"
    return log.read_text() if log.exists() else ""


def environment(broker: dict[str, Any]) -> dict[str, str]:
    return {f"MIEN_BROKER__{name.upper()}": str(value) for name, value in broker.items()}


@pytest.mark.mosquitto
def test_a_source_delivers_with_its_own_rights_and_has_no_others(
    outside: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    edge, hub = tmp_path / "edge", tmp_path / "hub"
    start("forward", hub, **environment(outside("forwarder")))
    camera = start("camera", edge, "lobby", 50, 200, **environment(outside("lobby")))
    assert camera.end() == 0, "the camera ends when all is confirmed"
    assert outbox_counts(edge, "lobby") == (50, 50, 0, 0)

    door = start("camera", edge, "door", 20, 200, **environment(outside("door")))
    assert door.end() == 0
    session = new_id()
    lobby = Connection(find_broker(settings(edge, broker=outside("lobby"))), "intruder")
    for seq in range(5):
        lobby.publish("mien/door/observations", encode(observation("door", session, seq)))
        lobby.publish("mien/door/stored", encode_message(Stored(session, [(0, 5)])))
        lobby.publish("mien/lobby/observations", encode(observation("door", session, seq)))
    lobby.publish("mien/lobby/observations", encode(observation("lobby", session, 0)))
    wait_for(lambda: sum(map(len, stored_seqs(hub, "lobby").values())) == 51)
    assert sum(map(len, stored_seqs(hub, "door").values())) == 20

    pictures: list[str] = []
    reader = Connection(
        find_broker(settings(edge, broker=outside("reader"))), "eye", on_message=lambda one: pictures.append(one.topic)
    )
    reader.subscribe("mien/+/preview")
    for source in ("door", "lobby"):
        lobby.publish(f"mien/{source}/preview", b"a picture")
    wait_for(lambda: pictures)
    assert pictures == ["mien/lobby/preview"]
    reader.close()
    lobby.close()

    heard: list[str] = []
    spy = Connection(
        find_broker(settings(edge, broker=outside("lobby"))), "spy", on_message=lambda one: heard.append(one.topic)
    )
    for wanted in ("#", "mien/+/observations", "mien/+/stored", "mien/+/preview"):
        try:
            spy.subscribe(wanted)
        except BrokerError:
            continue
    assert start("camera", edge, "door", 20, 200, **environment(outside("door"))).end() == 0
    assert start("camera", edge, "lobby", 5, 200, **environment(outside("lobby"))).end() == 0
    wait_for(lambda: "mien/lobby/stored" in heard)
    assert not [topic for topic in heard if topic.startswith("mien/door")]
    spy.close()


@pytest.mark.mosquitto
def test_who_has_the_password_of_a_source_ends_no_other_connection(
    outside: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    """A broker ends a connection when somebody else comes with its client id, so none may be guessed."""
    edge, hub = tmp_path / "edge", tmp_path / "hub"
    forwarder = start("forward", hub, **environment(outside("forwarder")))
    camera = start("camera", edge, "lobby", 10_000, 20, **environment(outside("lobby")))
    wait_for(lambda: stored_seqs(hub, "lobby"))
    (tmp_path / "thief").mkdir()
    thief = settings(tmp_path / "thief", broker=outside("door"))
    ours = settings(hub, broker=outside("forwarder"))
    place = f"{socket.gethostname()}:{hub.absolute()}:{ours.broker.prefix}::None"  # what a thief may know or guess
    guesses = (
        "mien-watch-lobby",
        f"mien-forward-{hashlib.sha256(place.encode()).hexdigest()[:12]}",
        client_id(tmp_path / "thief", "watch", "mien:lobby"),
        client_id(tmp_path / "thief", "forward", place),
    )
    for _ in range(3):
        for guess in guesses:
            Connection(find_broker(thief), guess, persistent=True).close()
    before = sum(map(len, stored_seqs(hub, "lobby").values()))
    wait_for(lambda: sum(map(len, stored_seqs(hub, "lobby").values())) > before)
    assert "is gone" not in (edge / "camera.log").read_text() + _said(hub)

    stop(forwarder)  # what is published now waits for it, under the same client id
    published = Connection(find_broker(settings(edge, broker=outside("door"))), "published")
    published.publish("mien/door/observations", encode(observation("door", new_id(), 0)))
    published.close()
    start("forward", hub, **environment(outside("forwarder")))
    wait_for(lambda: stored_seqs(hub, "door"))
    stop(camera)


@pytest.mark.mosquitto
def test_only_who_may_sets_a_source_from_afar(outside: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    def as_user(user: str) -> Settings:
        return settings(tmp_path, broker=outside(user), watch={"remote": True, "stats_every_s": 1})

    sources = {}
    for source in ("lobby", "door"):
        outbox, remote = Outbox(tmp_path / "outbox", source), Remote(as_user(source), source)
        sources[source] = outbox, remote, Publisher(outbox, source, as_user(source), Stats, remote)
    try:
        wait_for(lambda: all(publisher.connected for _, _, publisher in sources.values()))
        assert set_remotely(as_user("fleet"), "lobby", {"fps": 5}, 60).fps == 5
        assert sorted(one.source for one in listen(as_user("fleet"), 1)) == ["door", "lobby"]
        intruder = Connection(find_broker(as_user("lobby")), "intruder")
        intruder.publish("mien/door/set", b'{"pause": true}')
        intruder.publish("mien/door/state", b"{}")
        intruder.publish("mien/lobby/set", b'{"fps": 1}')  # nor itself
        intruder.close()
        assert set_remotely(as_user("fleet"), "door", {"threshold": 0.5}, 60).pause is False
        assert (sources["lobby"][1].fps, sources["door"][1].paused) == (5, False)
    finally:
        for outbox, _, publisher in sources.values():
            publisher.close()
            outbox.close()


@pytest.mark.mosquitto
def test_who_cannot_show_who_they_are_is_refused(outside: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    def connect(**broker: Any) -> None:
        Connection(find_broker(settings(tmp_path, broker=broker)), "test").close()

    connect(**outside("lobby"))
    for wrong in (outside(), outside("lobby", password="guess"), outside("lobby", username="root")):  # noqa: S106
        with pytest.raises(BrokerError, match="refuses user and password"):
            connect(**wrong)
    stranger = outside("lobby") | {"ca": None, "tls": True}
    with pytest.raises(BrokerError, match="no TLS with the broker"):
        connect(**stranger)
    with pytest.raises(BrokerError, match=r"no TLS|hostname|no broker"):
        connect(**outside("lobby", host="localhost.localdomain"))
    unencrypted = outside("lobby") | {"ca": None}
    with pytest.raises(BrokerError, match="does not answer as an MQTT broker does"):
        connect(**unencrypted)


@pytest.mark.mosquitto
def test_a_broker_may_ask_for_certificates(
    outside: Callable[..., dict[str, Any]], certificates: Path, tmp_path: Path
) -> None:
    mine = {"certificate": str(certificates / "client.crt"), "key": str(certificates / "client.key")}
    named = settings(tmp_path, broker=outside("lobby", certified=True, **mine))
    Connection(find_broker(named), "test").close()
    assert {one.name: one.state for one in diagnose(named)}["broker"] == "ok"
    without = settings(tmp_path, broker=outside("lobby"))
    with pytest.raises(BrokerError):
        Connection(find_broker(without), "test")
    assert {one.name: one.state for one in diagnose(without)}["broker"] == "fail"


@pytest.fixture
def encrypted(certificates: Path, tmp_path: Path, free_port: int) -> Iterator[Settings]:
    """The settings of a built-in broker that speaks TLS."""
    credentials.make(tmp_path)
    named = {"server_certificate": str(certificates / "server.crt"), "server_key": str(certificates / "server.key")}
    start("broker", tmp_path, free_port, **environment(named))
    wait_for((tmp_path / "broker.json").exists)
    yield settings(tmp_path)
    stop_all()


def test_the_built_in_broker_speaks_tls(encrypted: Settings, certificates: Path, tmp_path: Path) -> None:
    assert find_broker(encrypted).tls is not None
    start("forward", tmp_path)
    assert start("camera", tmp_path, "cam", 30, 200).end() == 0
    assert outbox_counts(tmp_path, "cam") == (30, 30, 0, 0)
    address = find_broker(encrypted)
    with pytest.raises(BrokerError):
        Connection(address._replace(tls=None), "test")
    known = credentials.read(tmp_path)
    assert known is not None
    elsewhere = {"host": "localhost", "port": address.port, "ca": str(certificates / "ca.crt")}
    elsewhere |= {"username": known.username, "password": known.password}
    Connection(find_broker(settings(tmp_path / "elsewhere", broker=elsewhere)), "test").close()
    with pytest.raises(BrokerError, match="no TLS with the broker"):
        Connection(find_broker(settings(tmp_path, broker=elsewhere | {"ca": None, "tls": True})), "test")


@pytest.mark.mosquitto
def test_clients_that_are_not_ours_use_the_built_in_broker(encrypted: Settings, certificates: Path) -> None:
    address = find_broker(encrypted)
    common = ["-h", "localhost", "-p", str(address.port), "--cafile", str(certificates / "ca.crt"), "-V", "mqttv311"]
    mine = ["-u", str(address.username), "-P", str(address.password)]
    subscriber = subprocess.Popen(
        [program("mosquitto_sub"), *common, *mine, "-q", "1", "-t", "mien/+/observations", "-C", "2", "-W", "60"],
        stdout=subprocess.PIPE,
        text=True,
    )
    publish = [program("mosquitto_pub"), *common, "-q", "1", "-t", "mien/cam/observations"]

    def say(text: str) -> bool:
        subprocess.run([*publish, *mine, "-m", text], check=True, timeout=60)
        return subscriber.poll() is not None

    wait_for(lambda: say("hello"))
    assert subscriber.communicate(timeout=60)[0].splitlines() == ["hello", "hello"]
    refused = subprocess.run([*publish, "-u", "mien", "-P", "wrong", "-m", "x"], check=False, capture_output=True)
    assert refused.returncode != 0
    kept = [*publish[:-1], "mien/cam/available", "-r", "-m", "online", *mine]
    subprocess.run(kept, check=True, timeout=60)
    late = [program("mosquitto_sub"), *common, *mine, "-t", "mien/cam/available", "-C", "1", "-W", "60"]
    assert subprocess.run(late, check=True, capture_output=True, text=True).stdout == "online\n"


def test_the_built_in_broker_takes_no_larger_payload_than_it_should(encrypted: Settings) -> None:
    lost = threading.Event()
    client = Connection(find_broker(encrypted), "large", on_lost=lost.set)
    client.publish("mien/cam/observations", bytes(3 << 20))
    assert lost.wait(30)
    client.close()


def test_certificate_and_key_that_do_not_fit_are_told(certificates: Path, tmp_path: Path) -> None:
    for named, told in (
        ({"server_certificate": certificates / "server.crt"}, "name both"),
        ({"server_certificate": certificates / "server.crt", "server_key": certificates / "client.key"}, "cannot use"),
        ({"server_certificate": tmp_path / "none.crt", "server_key": certificates / "client.key"}, "cannot use"),
    ):
        with pytest.raises(ConfigError, match=told):
            run_broker(settings(tmp_path, broker=named), threading.Event())


def test_every_file_of_the_state_folder_is_its_owners_alone(tmp_path: Path, free_port: int) -> None:
    home = tmp_path / "made-by-mien"
    assert stat.S_IMODE(settings(home).ensure_home().stat().st_mode) == 0o700
    credentials.make(home)
    start("broker", home, free_port)
    wait_for((home / "broker.json").exists)
    forwarder = start("forward", home)
    camera = start("camera", home, "cam", 10**6, 200)
    wait_for(lambda: outbox_counts(home, "cam")[1] > 50)
    kill(camera)
    kill(forwarder)
    files = [path for path in home.rglob("*") if "jetstream" not in path.parts and path.suffix != ".log"]
    assert {path.name for path in files} >= {"mien.db", "mien.db-wal", "cam.db", "cam.db-wal", "secrets.json"}
    for path in files:
        allowed = 0o700 if path.is_dir() else 0o600
        assert stat.S_IMODE(path.stat().st_mode) & ~allowed == 0, path
    stop_all()


@pytest.mark.mosquitto
def test_a_group_of_forwarders_shares_the_work(outside: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    hub, second = tmp_path / "hub", tmp_path / "second"
    named = environment(outside("forwarder")) | {"MIEN_FORWARD__GROUP": "hub"}
    url = {"MIEN_STORE__URL": f"sqlite:///{hub / 'mien.db'}"}
    forwarders = [start("forward", home, **named, **url) for home in (hub, second)]
    wait_for(lambda: all("forwarding from" in _said(home) for home in (hub, second)))
    camera = start("camera", tmp_path / "edge", "lobby", 600, 200, **environment(outside("lobby")))
    wait_for(lambda: sum(map(len, stored_seqs(hub, "lobby").values())) > 200)
    kill(forwarders[0])
    assert camera.end() == 0
    assert outbox_counts(tmp_path / "edge", "lobby") == (600, 600, 0, 0)
    assert list(stored_seqs(hub, "lobby").values()) == [list(range(600))]


def test_a_group_needs_a_broker_that_can_share(tmp_path: Path, free_port: int) -> None:
    start("broker", tmp_path, free_port)
    wait_for((tmp_path / "broker.json").exists)
    forwarder = start("forward", tmp_path, MIEN_FORWARD__GROUP="hub")
    assert forwarder.end() == 2
    assert "has no shared subscriptions" in (tmp_path / "forward.log").read_text()
    stop_all()


def test_forwarders_divide_the_work_by_source(tmp_path: Path, free_port: int) -> None:
    start("broker", tmp_path, free_port)
    wait_for((tmp_path / "broker.json").exists)
    broker = json.loads((tmp_path / "broker.json").read_text())
    there = {name: broker[name] for name in ("host", "port", "username", "password")}
    start("forward", tmp_path, MIEN_FORWARD__SOURCES="lobby,door")
    start("forward", tmp_path / "second", MIEN_FORWARD__SOURCES="yard", **environment(there))
    cameras = [start("camera", tmp_path, source, 20, 100) for source in ("lobby", "door", "yard")]
    assert [camera.end() for camera in cameras] == [0, 0, 0]
    assert sum(map(len, stored_seqs(tmp_path, "door").values())) == 20
    assert stored_seqs(tmp_path, "yard") == {}
    assert sum(map(len, stored_seqs(tmp_path / "second", "yard").values())) == 20
    stop_all()


@pytest.mark.mosquitto
def test_what_the_broker_refuses_is_told_and_kept(
    outside: Callable[..., dict[str, Any]], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("WARNING")
    home = settings(tmp_path, outbox={"delivery": "published"}, broker=outside("door"))
    outbox = open_outbox(home, "lobby")
    publisher = Publisher(outbox, "lobby", home)
    session = new_id()
    for seq in range(3):
        outbox.append(observation("lobby", session, seq))
    wait_for(lambda: "not authorized" in caplog.text)
    publisher.close()
    outbox.flush()
    counts = outbox.counts
    outbox.close()
    assert (counts.taken, counts.confirmed, counts.depth) == (3, 0, 3)
    assert caplog.text.count("refuses a message (not authorized): check what user 'door' may publish there") == 1
