"""The built-in MQTT broker: a NATS server, which comes with a wheel, as a child process that is looked after.

It listens on 127.0.0.1 alone, with a password made anew at each start; with `broker.listen` also elsewhere, but never
without a password of its own (`mien secrets`). `broker.json` in the state folder, readable by its owner alone, tells
watch, forward and dashboard where it is; with `broker.host` set they use that broker instead.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import secrets
import socket
import ssl
import threading
import time
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path

from mien.config import Settings
from mien.errors import BrokerError, ConfigError
from mien.mqtt import credentials
from mien.mqtt.connection import BrokerAddress
from mien.mqtt.nats import NatsServer, server_program
from mien.system.files import write_private
from mien.system.locks import alone
from mien.system.retry import Backoff

__all__ = ["DEFAULT_PORT", "BrokerAddress", "find_broker", "run_broker"]

log = logging.getLogger(__name__)

DEFAULT_PORT = 1883
HOST = "127.0.0.1"
TLS_PORT = 8883
QUEUES = "2GB"
"""So much may wait in the built-in broker; when that is full it is emptied, for the outboxes have it all."""

RESTART_AFTER_S = (0.1, 10.0)
"""The first and the longest wait before the server is started again, in seconds; a wait is twice the one before."""

STEADY_S = 60.0
"""After so many seconds without trouble the next wait is the first one again."""

CONFIG = """# Written by Mien at each start of its broker; changes are lost.
server_name: mien
max_payload: 2MB
max_connections: 1000
write_deadline: "10s"           # who does not read so long is disconnected
log_file: {log}
log_size_limit: 1MB
logfile_max_num: 2
authorization {{ users: [ {{ user: "{username}", password: "{password}" }} ] }}
accounts {{ $SYS {{ users: [ {{ user: "{health_user}", password: "{health_password}" }} ] }} }}
jetstream {{ store_dir: {jetstream}, max_memory_store: 64MB, max_file_store: {room} }}
mqtt {{
  host: "{listen}"
  port: {port}
  ack_wait: "30s"            # what a subscriber has not acknowledged so long is sent to it again
  max_ack_pending: 5000      # what a subscriber may hold unacknowledged
{tls}}}
"""


def find_broker(settings: Settings) -> BrokerAddress:
    """Return the broker to use: the one that the settings name, else the built-in one that runs.

    Raises:
        BrokerError: None is named and none runs.
        ConfigError: The certificates that the settings name cannot be used.
    """
    named = settings.broker
    if named.host is not None:
        tls = _tls(settings)
        port = named.port or (8883 if tls else DEFAULT_PORT)
        password = named.password.get_secret_value() if named.password else None
        return BrokerAddress(named.host, port, named.username, password, tls)
    try:
        content = json.loads((settings.home / "broker.json").read_text(encoding="utf-8"))
        tls = _pinned(content["tls"]) if content.get("tls") else None
        return BrokerAddress(content["host"], int(content["port"]), content["username"], content["password"], tls)
    except FileNotFoundError as error:
        raise BrokerError("no broker runs here: start `mien broker`, or name one by broker.host") from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BrokerError(f"cannot read '{settings.home / 'broker.json'}': restart `mien broker`") from error


def run_broker(
    settings: Settings, stop: threading.Event, ready: Callable[[BrokerAddress], None] = lambda _: None
) -> None:
    """Run the built-in broker until `stop` is set, and start it again when it dies.

    Args:
        settings: Where its state lies and which port it gets.
        stop: Ends it.
        ready: Called once when clients may connect.

    Raises:
        ConfigError: The settings name an outside broker, or have it listen for others without a password.
        BrokerError: It runs already, its port is in use, or it does not start.
        MienError: Its files cannot be written.
    """
    if settings.broker.host is not None:
        raise ConfigError(
            f"the settings name an outside broker, '{settings.broker.host}': without broker.host the built-in one runs"
        )
    server_program()  # which says so first where there is none
    folder = settings.ensure_home() / "broker"
    folder.mkdir(mode=0o700, exist_ok=True)
    refusal = BrokerError(f"a broker runs already for '{settings.home}': use that one, or another MIEN_HOME")
    with alone(folder / "lock", refusal):
        listen = settings.broker.listen
        paths = {name: _quoted(folder / name) for name in ("nats.log", "jetstream")}
        values = {
            "log": paths["nats.log"],
            "jetstream": paths["jetstream"],
            "room": QUEUES,
            "tls": _server_tls(settings),
        }
        config = folder / "nats.conf"
        health = "mien-health", secrets.token_urlsafe(24)

        def start() -> NatsServer:
            return NatsServer(config, *health)

        server: NatsServer | None
        for left in reversed(range(10)):
            address = _address(settings, listen)
            values |= {"health_user": health[0], "health_password": health[1]}
            content = CONFIG.format(listen=listen, **(address._asdict() | values))
            write_private(config, content.encode(errors="surrogateescape"))
            try:
                server = start()
                break
            except BrokerError:  # another program may have taken the port since it was found to be free
                if settings.broker.port is not None or not left or _is_free(listen, address.port):
                    raise
        try:
            write_private(settings.home / "broker.json", _rendezvous(settings, address))
            log.info("the broker listens on %s%s", address, ", with TLS" if settings.broker.server_certificate else "")
            ready(address)
            wait_s, started = 0.0, time.monotonic() - STEADY_S
            while not stop.wait(0.1):
                if server and (trouble := server.trouble()):
                    log.warning("%s and is started again", trouble)
                    server.stop()
                    soon = time.monotonic() - started < STEADY_S
                    wait_s = min(max(2 * wait_s, RESTART_AFTER_S[0]), RESTART_AFTER_S[1]) if soon else 0.0
                    server = None if stop.wait(wait_s) else _restart(start, stop)
                    started = time.monotonic()
        finally:
            (settings.home / "broker.json").unlink(missing_ok=True)
            if server:
                server.stop()


def _restart(start: Callable[[], NatsServer], stop: threading.Event) -> NatsServer | None:
    """Start the server again, however long that takes; None where stopping is asked for before."""
    backoff = Backoff(stop, *RESTART_AFTER_S)
    while not stop.is_set():
        try:
            return start()
        except BrokerError as error:  # noqa: PERF203
            if backoff.is_news(error):
                log.warning("%s; trying again", error)
            backoff.wait()
    return None


def _address(settings: Settings, listen: str) -> BrokerAddress:
    """Return what clients on this machine need to reach the broker that is to start."""
    try:
        place = ip_address(listen)
    except ValueError:
        raise ConfigError(
            f"setting 'broker.listen' is '{listen}': expected an address of this machine, 127.0.0.1 or 0.0.0.0"
        ) from None
    known = credentials.read(settings.home)
    if known is None and not place.is_loopback:
        raise ConfigError(
            f"the broker does not listen on {listen} without a password: make one with `mien secrets`, or leave "
            "broker.listen at 127.0.0.1"
        )
    if not place.is_loopback and not settings.broker.server_certificate:
        log.warning("the broker listens on %s, unencrypted: let it be reached in a network that you trust only", listen)
    host = {"0.0.0.0": HOST, "::": "::1"}.get(str(place), str(place))  # noqa: S104 - it is told apart, not bound to
    username, password = (known.username, known.password) if known else ("mien", secrets.token_urlsafe(24))
    port = _port(listen, settings.broker.port, TLS_PORT if settings.broker.server_certificate else DEFAULT_PORT)
    return BrokerAddress(host, port, username, password)


def _port(host: str, named: int | None, default: int) -> int:
    if named is not None:
        if not _is_free(host, named, patience_s=2.0):
            raise BrokerError(f"port {named} is in use: end what listens there, or name another by broker.port")
        return named
    for port in range(default, default + 100):
        if _is_free(host, port):
            if port != default:
                log.warning("port %d is in use: the broker takes %d", default, port)
            return port
    raise BrokerError(f"the ports {default} to {default + 99} are in use: name a free one by broker.port")


def _is_free(host: str, port: int, patience_s: float = 0.0) -> bool:
    """Say whether a port can be listened on; a broker that was just killed may need a moment to leave it.

    Raises:
        ConfigError: The address is none of this machine's.
    """
    end = time.monotonic() + patience_s
    while True:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            if os.name == "posix":  # Windows would then let a port that is in use be bound again
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError as error:
                if error.errno == errno.EADDRNOTAVAIL:
                    raise ConfigError(f"setting 'broker.listen': this machine has no address {host}") from error
                if time.monotonic() >= end:
                    return False
            else:
                return True
        time.sleep(0.1)


def _tls(settings: Settings) -> ssl.SSLContext | None:
    named = settings.broker
    if not (named.tls or named.ca or named.certificate):
        return None
    try:
        context = ssl.create_default_context(cafile=named.ca)
        if named.certificate:
            context.load_cert_chain(named.certificate, named.key)
    except (OSError, ValueError) as error:
        files = ", ".join(f"'{path}'" for path in (named.ca, named.certificate, named.key) if path)
        raise ConfigError(f"cannot use the certificates {files}: {error}") from error
    return context


def _rendezvous(settings: Settings, address: BrokerAddress) -> bytes:
    """Return what `find_broker` needs on this machine, as JSON; with TLS where the broker's certificate lies."""
    certificate = settings.broker.server_certificate
    tls = str(certificate.absolute()) if certificate else None
    return json.dumps({**address._asdict(), "tls": tls, "pid": os.getpid()}).encode()


def _server_tls(settings: Settings) -> str:
    """Return the lines that have the built-in broker encrypt what it sends.

    Raises:
        ConfigError: Certificate and key are not both named, or do not belong together.
    """
    certificate, key = settings.broker.server_certificate, settings.broker.server_key
    if certificate is None and key is None:
        return ""
    if certificate is None or key is None:
        raise ConfigError("broker.server_certificate and broker.server_key belong together: name both, or none")
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password="")
    except (OSError, ValueError) as error:
        raise ConfigError(f"cannot use the certificate '{certificate}' with the key '{key}': {error}") from error
    return f"  tls {{ cert_file: {_quoted(certificate)}, key_file: {_quoted(key)}, timeout: 5 }}\n"


def _quoted(path: Path) -> str:
    """Return a path as the server's configuration has it, which knows no escapes for letters beyond ASCII."""
    return json.dumps(str(path.absolute()), ensure_ascii=False)


def _pinned(certificate: str) -> ssl.SSLContext:
    """Return what trusts this one certificate, whatever name it bears: it is this machine's own broker."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.load_verify_locations(certificate)
    return context
