"""`mien up`: every part on this machine, as one tree of processes.

The broker's supervisor runs in this process; watch, forward and dashboard are children, each with the read end of a
pipe as its standard input. The pipe closes when this process goes, however it goes, and a child whose pipe closes
stops as if told to: so nothing is ever orphaned. They stop in the order in which the data flows, so that what is
under way still arrives.
"""

from __future__ import annotations

import difflib
import importlib.util
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import IO

from mien.config import Settings
from mien.errors import InputError, MienError, MissingExtraError
from mien.media.open import kind_of, open_source
from mien.mqtt.broker import run_broker
from mien.system.processes import APART, READY, ask_to_end

__all__ = ["default_source", "run_up"]

log = logging.getLogger(__name__)

STOP_WITHIN_S = 15.0
RESTART_AFTER_S = (0.5, 1.0, 2.0, 5.0, 10.0)
LOOPBACK = {"127.0.0.1", "::1", "localhost"}


@dataclass
class ChildProcess:
    """A child process that is started again when it dies.

    Attributes:
        ready: What it said once it was ready: a line on its standard output, without its beginning.
    """

    name: str
    arguments: list[str]
    environment: Mapping[str, str]
    restarts: int = 0
    due: float = 0.0
    finished: bool = False
    ready: str | None = None
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def start(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "mien", "--lifeline", self.name, *self.arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=self.environment,
            **APART,  # Ctrl-C in the terminal reaches this process alone, which stops all in order
        )
        threading.Thread(target=self._hear, args=(self.process.stdout,), daemon=True).start()

    def _hear(self, output: IO[bytes]) -> None:
        for line in output:  # what libraries print there is read, so that the pipe never fills, and passed over
            text = line.decode("utf-8", "replace").strip()
            if text.startswith(READY):
                self.ready = text.removeprefix(READY)

    def check(self) -> None:
        """Start the part when it is due; take note when it has ended.

        Raises:
            MienError: It refused what it was given at its first start; its own line says why.
        """
        if self.finished:
            return
        if self.process is None:
            if time.monotonic() >= self.due:
                self.start()
            return
        code = self.process.poll()
        if code is None:
            return
        self.process = None
        if code == 0:
            self.finished = True
            log.info("%s has finished; the rest goes on until Ctrl-C", self.name)
        elif code == 2 and not self.restarts:
            raise RefusedError(f"{self.name} cannot run with what it was given (see its line above)")
        else:
            wait = RESTART_AFTER_S[min(self.restarts, len(RESTART_AFTER_S) - 1)]
            self.restarts += 1
            self.due = time.monotonic() + wait
            log.warning("%s ended with code %d; starting it again in %g s", self.name, code, wait)

    def stop(self) -> None:
        if self.process is None:
            return
        ask_to_end(self.process)
        try:
            self.process.wait(STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            log.warning("%s did not stop within %g s and is ended", self.name, STOP_WITHIN_S)
            self.process.kill()
            self.process.wait()
        self.process = None


class RefusedError(MienError):
    """A part ended with exit code 2, and so does `mien up`."""

    exit_code = 2


def default_source() -> str:
    """Return the first camera if there is one, else the demo clip."""
    try:
        with open_source("0"):
            return "0"
    except MienError:
        return "demo"


def run_up(
    settings: Settings,
    source: str | None,
    stop: threading.Event,
    flags: Mapping[str, str],
    *,
    loop: bool = False,
    ready: Callable[[str], None] = lambda _: None,
) -> None:
    """Run broker, watch, forward and dashboard until `stop` is set.

    Args:
        settings: The effective settings.
        source: What to watch; None: the sources that the settings list, or the first camera, or the demo clip.
        stop: Ends everything when set.
        flags: MIEN_* variables that hand this command's own flags on to the parts.
        loop: Play videos again and again.
        ready: Called once with the dashboard's address, when all parts have started.

    Raises:
        InputError: The source is none that can be watched.
        MissingExtraError: The dashboard is not installed.
        MienError: The broker cannot start, or a part refused what it was given.
    """
    if importlib.util.find_spec("uvicorn") is None:
        raise MissingExtraError("mien up", "dashboard")
    if source is not None:
        _check_source(settings, source)
    if source is None and not settings.source:
        source = default_source()
        log.info(
            "no source was named and there is no camera: the demo clip plays in a loop"
            if source == "demo"
            else "no source was named: the first camera is watched"
        )
    environment = {**os.environ, **flags, "MIEN_HOME": str(settings.ensure_home())}
    if _stays_here(settings) and "remote_preview" not in settings.watch.model_fields_set:
        environment["MIEN_WATCH__REMOTE_PREVIEW"] = "blurred"
        log.info("the page may show a preview, its faces blurred, for an hour after a click (watch.remote_preview)")
    parts = [
        dashboard := ChildProcess("dashboard", [], environment),
        ChildProcess("forward", [], environment),
        watch := ChildProcess("watch", [*([source] if source else []), *(["--loop"] if loop else [])], environment),
    ]
    announced = False
    broker = _Broker(settings) if settings.broker.host is None else None
    try:
        while not stop.wait(0.2):
            for part in parts:
                part.check()
            if broker is not None:
                broker.check()
            if not announced and dashboard.ready and watch.ready:
                ready(dashboard.ready)
                announced = True
    finally:
        log.info("stopping")
        for part in reversed(parts):
            part.stop()
        if broker is not None:
            broker.stop(STOP_WITHIN_S)


def _check_source(settings: Settings, source: str) -> None:
    """Refuse, before anything is started, a source that cannot be watched; cameras and streams may still come.

    Raises:
        InputError: It is neither a source of the settings nor something that can be watched.
    """
    names = [listed.name for listed in settings.source if listed.name]
    if source in names:
        return
    try:
        kind = kind_of(source)
        if kind == "video":
            open_source(source).close()
    except InputError as error:
        alike = difflib.get_close_matches(source, names, n=1)
        if not alike:
            raise
        raise InputError(f"{error}; did you mean the source {alike[0]}?") from error
    if kind == "photo":
        raise InputError(f"'{source}' is no camera, stream or video: for photos there is `mien analyze`")


def _stays_here(settings: Settings) -> bool:
    """Return whether nobody outside this machine can reach the broker or the dashboard."""
    broker, page = settings.broker, settings.dashboard
    return (
        broker.host is None
        and all(host in LOOPBACK for host in (broker.listen, page.host))
        and not (page.trusted_proxies or page.allowed_hosts or page.root_path)
    )


class _Broker:
    """The built-in broker's supervisor, on a thread of this process; clients may connect once it is made.

    Raises:
        MienError: The broker cannot start.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._stop, self._ready = threading.Event(), threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="broker", daemon=True)
        self._thread.start()
        self._ready.wait()
        self.check()

    def check(self) -> None:
        """Raise what ended the broker, if anything did."""
        if self._error is not None:
            raise self._error

    def stop(self, timeout: float) -> None:
        """End the broker and wait for that, at most so many seconds."""
        self._stop.set()
        self._thread.join(timeout)

    def _run(self) -> None:
        try:
            run_broker(self._settings, stop=self._stop, ready=lambda _: self._ready.set())
        except BaseException as error:  # noqa: BLE001 - handed to the main thread by check()
            self._error = error
        self._ready.set()
