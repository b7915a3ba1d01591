"""The demo at the press of a button: one process at a time that plays it, started, followed and ended from here.

The process is `mien.run.demo`. It lives no longer than the dashboard: its standard input is a pipe from here.
"""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
import time as clock
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Literal

import msgspec
from pydantic import SecretStr

from mien.config import Settings
from mien.run.demo import DemoStatus
from mien.system.processes import APART

__all__ = ["DemoPlayer"]

log = logging.getLogger(__name__)

PATIENCE_S = 8.0
"""So long it may take to end before it is killed."""

PAUSE_S = 5.0
"""It is started so often at most, for a start costs a second or two of a processor."""

PARTS = {"home", "broker", "vision", "outbox", "store"}
"""The settings that hold for the demo too; sources, alerts and what is forwarded are not its business."""

State = Literal["off", "starting", "playing", "ending"]


class DemoPlayer:
    """Plays the demo.

    Args:
        settings: Where broker and store are, and how faces are read.

    Attributes:
        state: How far it is.
        since: When it was last started, UTC.
        message: Why it ended by itself; empty: it did not.
    """

    def __init__(self, settings: Settings) -> None:
        self.state: State = "off"
        self.since: datetime | None = None
        self.message = ""
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._again = 0.0

    @property
    def wait_s(self) -> float:
        """How long to wait before it can be started, in seconds."""
        return max(self._again - clock.monotonic(), 1.0 if self.state == "ending" else 0.0)

    def start(self) -> None:
        """Start it, unless it plays."""
        with self._lock:
            if self._process is not None:
                return
            self.message, self._again = "", clock.monotonic() + PAUSE_S
            self.since = datetime.now(timezone.utc)
            try:
                self._process = subprocess.Popen(
                    [sys.executable, "-m", "mien.run.demo", str(self._settings.dashboard.report_mb)],
                    stdin=subprocess.PIPE, stdout=subprocess.PIPE, **APART,
                )  # fmt: skip
            except OSError as error:
                self.message = f"the demo cannot be started: {error}"
                return
            self.state = "starting"
            self._thread = threading.Thread(target=self._follow, args=(self._process,), name="dashboard-demo")
            self._thread.daemon = True
            self._thread.start()
        log.info("the demo is started")

    def stop(self) -> None:
        """Have it end, if it plays."""
        with self._lock:
            if self._process is None or self.state == "ending":
                return
            self.state = "ending"
            with suppress(OSError):
                self._process.stdin.close()  # type: ignore[union-attr]
            timer = threading.Timer(PATIENCE_S, self._process.kill)
            timer.daemon = True
            timer.start()

    def close(self) -> None:
        """End it, and wait until it has."""
        self.stop()
        if self._thread is not None:
            self._thread.join(PATIENCE_S + 2)

    def _follow(self, process: subprocess.Popen[bytes]) -> None:
        last = DemoStatus(failed="the demo's process ended too early; the dashboard's own output may say why")
        try:
            with suppress(OSError, ValueError):  # it is gone, or was stopped already
                process.stdin.write(_encoded(self._settings))  # type: ignore[union-attr]
                process.stdin.flush()  # type: ignore[union-attr]
            for line in process.stdout or ():
                status = msgspec.json.decode(line, type=DemoStatus)
                last = status if status.failed else last
                with self._lock:
                    if status.playing and self.state == "starting":
                        self.state = "playing"
        finally:
            with suppress(OSError), process:  # closes what leads to it, and waits for its end
                pass
            with self._lock:
                self.message = "" if self.state == "ending" else last.failed
                self._process, self.state = None, "off"
            log.info("the demo has ended%s", f": {self.message}" if self.message else "")


def _encoded(settings: Settings) -> bytes:
    """Return a line of JSON with what of the settings was set, secrets too: it goes to our own process alone."""
    return msgspec.json.encode(_plain(settings.model_dump(exclude_unset=True, include=PARTS))) + b"\n"


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    return str(value) if isinstance(value, Path) else value
