"""A dashboard in a process of its own, and how Chromium is started."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ports import unused_port

ARGS = [
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--no-first-run",
]  # fmt: skip


@contextmanager
def dashboard(home: Path, port: int | None = None, **environment: str) -> Iterator[str]:
    """Run `mien dashboard`; at the end it must go cleanly at SIGTERM, whatever streams pages hold open for as long as
    they like."""
    port = port or unused_port()
    command = [sys.executable, "-m", "mien", "dashboard", "--port", str(port)]
    process = subprocess.Popen(command, env={**os.environ, "MIEN_HOME": str(home), **environment}, cwd=home.parent)
    try:
        yield answering(f"http://127.0.0.1:{port}", process)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0  # after 2 seconds and what a busy machine adds
    finally:
        process.kill()
        process.wait()


def answering(address: str, process: subprocess.Popen[bytes]) -> str:
    """Return the address once it answers."""
    end = time.monotonic() + 100
    while time.monotonic() < end:
        assert process.poll() is None, "the dashboard ended before it was ready"
        try:
            urllib.request.urlopen(f"{address}/api/v1/health", timeout=5).close()  # noqa: S310
        except OSError:
            time.sleep(0.1)
        else:
            return address
    pytest.fail("the dashboard did not answer in time")
