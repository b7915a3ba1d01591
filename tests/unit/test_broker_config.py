"""Where the broker is: settings, broker.json, and the lines when neither helps."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest

from mien.config import Settings, load
from mien.errors import BrokerError, ConfigError, MienError
from mien.mqtt import credentials
from mien.mqtt.broker import find_broker, run_broker


def settings(home: Path, **broker: Any) -> Settings:
    return load({"home": home, "broker": broker})


def test_an_outside_broker_is_the_one_named(tmp_path: Path) -> None:
    address = find_broker(settings(tmp_path, host="mq.example", username="u", password="sec" + "ret"))
    assert address[:4] == ("mq.example", 1883, "u", "secret")
    assert address.tls is None
    assert "secret" not in str(address)


def test_tls_changes_the_default_port(tmp_path: Path) -> None:
    address = find_broker(settings(tmp_path, host="mq.example", tls=True))
    assert address.port == 8883
    assert address.tls is not None
    assert find_broker(settings(tmp_path, host="mq.example", tls=True, port=1)).port == 1


def test_certificates_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot use the certificates '.*none\.pem'"):
        find_broker(settings(tmp_path, host="mq.example", ca=tmp_path / "none.pem"))
    (tmp_path / "odd.pem").write_text("no certificate")
    with pytest.raises(ConfigError, match=r"odd\.pem"):
        find_broker(settings(tmp_path, host="mq.example", certificate=tmp_path / "odd.pem"))


def test_without_a_broker_the_line_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(BrokerError, match="no broker runs here: start `mien broker`"):
        find_broker(settings(tmp_path))


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"host": "x", "port": "y"}'])
def test_a_damaged_rendezvous_is_told(tmp_path: Path, text: str) -> None:
    (tmp_path / "broker.json").write_text(text)
    with pytest.raises(BrokerError, match="cannot read"):
        find_broker(settings(tmp_path))


def test_the_built_in_broker_is_found_by_its_file(tmp_path: Path) -> None:
    found = {"host": "127.0.0.1", "port": 1885, "username": "mien", "password": "x"}
    (tmp_path / "broker.json").write_text(json.dumps(found))
    assert find_broker(settings(tmp_path))[:4] == ("127.0.0.1", 1885, "mien", "x")


def test_the_built_in_broker_does_not_run_beside_a_named_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"outside broker, 'mq\.example'"):
        run_broker(settings(tmp_path, host="mq.example"), threading.Event())


@pytest.mark.parametrize("listen", ["0.0.0.0", "::", "192.0.2.1"])  # noqa: S104
def test_it_listens_for_nobody_else_without_a_password(tmp_path: Path, listen: str) -> None:
    with pytest.raises(ConfigError, match=r"password.*`mien secrets`"):
        run_broker(settings(tmp_path, listen=listen), threading.Event())
    assert not (tmp_path / "broker.json").exists()


def test_it_listens_on_addresses_of_this_machine_only(tmp_path: Path) -> None:
    credentials.make(tmp_path)
    with pytest.raises(ConfigError, match=r"this machine has no address 192\.0\.2\.1"):
        run_broker(settings(tmp_path, listen="192.0.2.1"), threading.Event())
    with pytest.raises(ConfigError, match="'everywhere': expected an address"):
        run_broker(settings(tmp_path, listen="everywhere"), threading.Event())


def test_credentials_that_others_may_read_or_that_are_damaged_are_refused(tmp_path: Path) -> None:
    assert credentials.read(tmp_path) is None
    made = credentials.make(tmp_path)
    assert credentials.read(tmp_path) == made
    path = tmp_path / "secrets.json"
    path.chmod(0o640)
    with pytest.raises(ConfigError, match="others may read"):
        credentials.read(tmp_path)
    path.chmod(0o600)
    for text in (
        "",
        "[]",
        '{"username": "mien", "password": "short"}',
        '{"username": "a\\"}", "password": "0123456789abcdef"}',
    ):
        path.write_text(text)
        with pytest.raises(ConfigError, match=r"cannot read .* --new"):
            credentials.read(tmp_path)


def test_a_configuration_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "broker" / "nats.conf").mkdir(parents=True)
    with pytest.raises(MienError, match=r"cannot write '.*nats\.conf': Is a directory"):
        run_broker(settings(tmp_path), threading.Event())
    assert {path.name for path in (tmp_path / "broker").iterdir()} == {"nats.conf", "lock"}


def test_a_client_id_stays_and_only_its_state_folder_makes_it(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    first = credentials.client_id(here, "watch", "lobby")
    assert first == credentials.client_id(here, "watch", "lobby")
    assert first.startswith("mien-watch-")
    others = [(there, "watch", "lobby"), (here, "watch", "door"), (here, "forward", "lobby")]
    assert len({first, *(credentials.client_id(*other) for other in others)}) == 4
    secret = here / "client-ids.secret"
    assert secret.stat().st_mode & 0o777 == 0o600
    for content in (b"", b"short", b"0" * 63 + b"\n"):
        secret.write_bytes(content)
        assert credentials.client_id(here, "watch", "lobby") != first
    kept = credentials.client_id(here, "watch", "lobby")
    secret.chmod(0o644)  # who could read it may have
    assert credentials.client_id(here, "watch", "lobby") != kept
