"""`mien up` as people run it: one command, real processes, Ctrl-C at the end."""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

WITHIN_S = 60


class Up:
    """A running `mien up` with a state folder of its own."""

    def __init__(self, home: Path, *arguments: str) -> None:
        self.home = home
        self.log = home / "up.log"
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "mien", "up", *arguments],
                env={**os.environ, "MIEN_HOME": str(home)},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def wait_for(self, pattern: str) -> re.Match[str]:
        until = time.monotonic() + WITHIN_S
        while time.monotonic() < until:
            if match := re.search(pattern, self.log.read_text()):
                return match
            if self.process.poll() is not None:
                break
            time.sleep(0.05)
        pytest.fail(f"'{pattern}' did not come within {WITHIN_S} s; the log:\n{self.log.read_text()}")

    def wait_for_rows(self, more_than: int) -> int:
        until = time.monotonic() + WITHIN_S
        while time.monotonic() < until:
            if (rows := self.rows()) > more_than:
                return rows
            time.sleep(0.1)
        pytest.fail(f"no more than {self.rows()} rows came within {WITHIN_S} s; the log:\n{self.log.read_text()}")

    def rows(self) -> int:
        if not (self.home / "mien.db").exists():
            return 0
        with sqlite3.connect(self.home / "mien.db", timeout=30) as store:
            if not store.execute("SELECT 1 FROM sqlite_master WHERE name = 'frames'").fetchone():
                return 0
            return int(store.execute("SELECT count(*) FROM frames").fetchone()[0])

    def processes(self) -> dict[int, str]:
        """Every process of this tree: those whose environment or command line names the state folder."""
        found = {}
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if folder.name == str(os.getpid()) or (folder / "stat").read_text().split()[2] == "Z":
                    continue
                text = (folder / "environ").read_bytes() + (folder / "cmdline").read_bytes()
                if str(self.home).encode() in text:
                    found[int(folder.name)] = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
        return found

    def stop(self) -> int:
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(40)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    home = tmp_path / "home"
    yield home
    for folder in Path("/proc").glob("[0-9]*"):  # whatever a failed test left
        try:
            if str(home).encode() in (folder / "environ").read_bytes() and int(folder.name) != os.getpid():
                os.kill(int(folder.name), signal.SIGKILL)
        except OSError:
            continue


def test_ctrl_c_stops_all_and_loses_nothing(home: Path) -> None:
    up = Up(home, "demo")
    up.wait_for(r"dashboard is at http://127\.0\.0\.1:\d+")
    up.wait_for_rows(10)
    assert up.stop() == 0, up.log.read_text()
    assert up.processes() == {}
    assert "Traceback" not in up.log.read_text()
    with sqlite3.connect(home / "mien.db") as store:
        (sessions,) = store.execute("SELECT count(DISTINCT session) FROM frames").fetchone()
        gaps = store.execute(
            "SELECT session FROM frames GROUP BY session HAVING min(seq) != 0 OR max(seq) + 1 != count(*)"
        ).fetchall()
    assert sessions >= 1
    assert gaps == []


def test_a_killed_forwarder_loses_and_doubles_nothing(home: Path) -> None:
    up = Up(home, "demo")
    for _ in range(3):
        up.wait_for_rows(up.rows() + 10)
        (forwarder,) = [pid for pid, command in up.processes().items() if " forward" in command]
        os.kill(forwarder, signal.SIGKILL)
        up.wait_for(r"forward ended with code -9")
    up.wait_for_rows(up.rows() + 10)
    assert up.stop() == 0, up.log.read_text()
    with sqlite3.connect(home / "mien.db") as store:
        gaps = store.execute(
            "SELECT session FROM frames GROUP BY session HAVING min(seq) != 0 OR max(seq) + 1 != count(*)"
        ).fetchall()
    assert gaps == []


def test_nothing_is_orphaned_when_up_itself_is_killed(home: Path) -> None:
    up = Up(home, "demo")
    up.wait_for_rows(0)
    up.process.kill()
    up.process.wait()
    until = time.monotonic() + 30
    while up.processes() and time.monotonic() < until:
        time.sleep(0.1)
    assert up.processes() == {}


def test_a_bad_source_ends_it_with_one_line(home: Path) -> None:
    up = Up(home, str(home / "none.mp4"))
    assert up.process.wait(WITHIN_S) == 2
    text = up.log.read_text()
    assert "none.mp4" in text
    assert "Traceback" not in text
    assert up.processes() == {}
