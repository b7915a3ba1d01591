"""`mien up` in a process of its own, for the tests that look at the whole."""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

WITHIN_S = 120
"""A busy machine is slow to start four processes."""


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
        return self.process.wait(90)


def kill_leftovers(home: Path) -> None:
    """Kill whatever a failed test left running on a state folder."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if str(home).encode() in (folder / "environ").read_bytes() and int(folder.name) != os.getpid():
                os.kill(int(folder.name), signal.SIGKILL)
        except OSError:
            continue
