"""The parts of the delivery as processes of their own, to be killed: `start(PART, HOME, ARGUMENT …)`.

broker [PORT]              the built-in broker
forward                    the forwarder
camera SOURCE COUNT RATE   a simulated camera: outbox and publisher, as `mien watch` has them
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import sqlite3
import sys
import threading
import time
from collections.abc import Callable
from datetime import datetime, timezone
from multiprocessing import forkserver
from pathlib import Path

import pytest

from mien.config import Settings, load
from mien.edge.outbox import open_outbox
from mien.edge.publisher import Publisher
from mien.errors import MienError
from mien.forward import forwarder
from mien.forward.forwarder import run_forwarder
from mien.mqtt.broker import run_broker
from mien.mqtt.messages import Stats
from mien.observation import EMOTIONS, Face, Observation, Probabilities, new_id
from stepped_clock import follow

STARTED: list[Part] = []
"""Every part started here; the fixture `parts` stops those that still run."""

_forks = multiprocessing.get_context("forkserver")  # real processes, without a second of imports for each
_forks.set_forkserver_preload([__name__])
_serving = threading.Lock()


def observation(source: str, session: str, seq: int, faces: int = 1, at: datetime | None = None) -> Observation:
    """Return an observation as a camera makes them."""
    shares = dict.fromkeys(EMOTIONS, 0.02) | {"happy": 0.88}
    found = [Face(n, (10, 20, 96, 96), 0.97, "happy", Probabilities(**shares)) for n in range(faces)]
    time = at or datetime.now(timezone.utc)
    return Observation(new_id(), source, session, seq, time, seq / 15, seq, 640, 360, "mien-1@3f9c2a1b", 7.9, found)


def settings(home: Path, **sections: object) -> Settings:
    """Return settings for a state folder, with waits that suit tests."""
    sections.setdefault("outbox", {"resend_after_s": 1})
    return load({"home": home, **sections})


class Part(_forks.Process):  # type: ignore[name-defined,misc]
    """A part as a process of its own, with the environment of who starts it.

    Attributes:
        log: What it says, where `start` started it.
    """

    log: Path | None = None

    def __init__(self, target: Callable[..., None], args: tuple[object, ...]) -> None:
        super().__init__(target=_in_environment, args=(dict(os.environ), target, args), daemon=True)

    def start(self) -> None:
        with _serving, pytest.MonkeyPatch.context() as patch:  # else the server does not find what it is to preload
            patch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
            forkserver.ensure_running()
        super().start()

    def freeze(self) -> None:
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def end(self, timeout: float = 60.0) -> int | None:
        """Wait for the end and return the exit code; None if it did not come."""
        self.join(timeout)
        return self.exitcode


def start(part: str, home: Path, *arguments: object, **environment: str) -> Part:
    """Start a part; what it says goes to HOME/PART.log."""
    home.mkdir(parents=True, exist_ok=True)
    environment = {"MIEN_OUTBOX__RESEND_AFTER_S": "1", "MIEN_HOME": str(home), **environment}
    process = Part(_run, (part, home, arguments, environment))
    process.log = home / f"{part}.log"
    process.start()
    STARTED.append(process)
    return process


def stop(*processes: Part) -> None:
    """Stop parts as Ctrl-C would, and insist."""
    for process in processes:
        if process.is_alive():
            process.terminate()
    for process in processes:
        if process.end(15) is None:
            process.kill()
            process.join()


def stop_all() -> None:
    """Stop every part that still runs."""
    stop(*STARTED)
    STARTED.clear()


def kill(process: Part) -> None:
    """Kill a part as kill -9 does."""
    process.kill()
    process.join()


def wait_for(condition: Callable[[], object], timeout: float = 60.0, what: str = "the condition") -> None:
    """Wait until a condition holds."""
    end = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > end:
            logs = [f"{part.log}, {'runs' if part.is_alive() else part.exitcode}:\n{part.log.read_text()[-2000:]}"
                    for part in STARTED if part.log and part.log.exists()]  # fmt: skip
            pytest.fail("\n".join([f"{what} did not come about within {timeout} s", *logs]))
        time.sleep(0.05)


def outbox_counts(home: Path, source: str) -> tuple[int, int, int, int]:
    """Return taken, confirmed, dropped and the rows left, as another process reads them from the disk."""
    path = home / "outbox" / f"{source}.db"
    if not path.exists():
        return 0, 0, 0, 0
    connection = sqlite3.connect(path, timeout=10)
    try:
        found = connection.execute(
            "SELECT taken, confirmed, dropped, (SELECT count(*) FROM rows) FROM counts"
        ).fetchone()
    except sqlite3.OperationalError:
        return 0, 0, 0, 0
    finally:
        connection.close()
    return found or (0, 0, 0, 0)


def stored_seqs(home: Path, source: str) -> dict[str, list[int]]:
    """Return the numbers in the store by session, sorted; the key of its table lets none be there twice."""
    if not (home / "mien.db").exists():
        return {}
    connection = sqlite3.connect(home / "mien.db", timeout=10)
    try:
        query = "SELECT hex(session), seq FROM frames WHERE source = ? ORDER BY session, seq"
        found: dict[str, list[int]] = {}
        for session, seq in connection.execute(query, (source,)):
            found.setdefault(session, []).append(seq)
    except sqlite3.OperationalError:
        return {}
    else:
        return found
    finally:
        connection.close()


def assert_complete(home: Path, source: str) -> None:
    """Check that all that was taken is stored once, with sums to match, and that nothing else is."""
    taken, confirmed, dropped, left = outbox_counts(home, source)
    sessions = stored_seqs(home, source)
    stored = sum(len(seqs) for seqs in sessions.values())
    assert left == 0
    assert taken == confirmed + dropped
    assert stored == confirmed, f"{taken} taken, {confirmed} confirmed, {dropped} dropped, {stored} stored"
    if not dropped:
        assert all(seqs == list(range(len(seqs))) for seqs in sessions.values())
    connection = sqlite3.connect(home / "mien.db")
    query = "SELECT sum(frames), sum(faces) FROM rollups WHERE source = ? AND seconds = ?"
    for seconds in (60, 3600, 86400):
        assert connection.execute(query, (source, seconds)).fetchone() == (stored, stored)
    connection.close()


def _camera(home: Path, source: str, count: int, rate: float, stopping: threading.Event) -> None:
    config = load()
    outbox = open_outbox(config, source)
    publisher = Publisher(outbox, source, config, lambda: Stats(fps=rate))
    session = new_id()
    began = time.monotonic()
    for seq in range(count):
        outbox.append(observation(source, session, seq))
        if (ahead := began + seq / rate - time.monotonic()) > 0:
            stopping.wait(ahead)
        if stopping.is_set():
            break
    while not publisher.drain(1.0) and not stopping.is_set():
        time.sleep(0.05)
    publisher.close()
    outbox.close()


def _in_environment(environment: dict[str, str], target: Callable[..., None], args: tuple[object, ...]) -> None:
    """Run a part in the environment of the test that started it, not of the one that had the first part started."""
    os.environ.clear()
    os.environ.update(environment)
    target(*args)


def prepare(home: Path, part: str, environment: dict[str, str]) -> threading.Event:
    """Set up a process that is to be a part, and return what SIGTERM sets."""
    with (home / f"{part}.log").open("a") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    os.environ.update(environment)
    if clock := environment.get("STEPPED_CLOCK"):
        forwarder.PRUNE_EVERY_S = 1.0  # so that a wrong clock has every chance
        follow(Path(clock))
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s: %(message)s", force=True)
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    return stopping


def _run(part: str, home: Path, arguments: tuple[object, ...], environment: dict[str, str]) -> None:
    stopping = prepare(home, part, environment)
    try:
        _play(part, home, arguments, stopping)
    except MienError as error:  # as the command line does
        logging.getLogger("mien").warning("%s", error)
        sys.exit(error.exit_code)


def _play(part: str, home: Path, arguments: tuple[object, ...], stopping: threading.Event) -> None:
    if part == "broker":
        run_broker(load({"broker": {"port": arguments[0]}} if arguments else None), stopping)
    elif part == "forward":
        run_forwarder(load(), stopping)
    elif part == "camera":
        source, count, rate = arguments
        _camera(home, str(source), int(str(count)), float(str(rate)), stopping)
