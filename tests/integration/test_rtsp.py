"""A camera behind a real RTSP server that stalls, goes away and comes back."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mien.media.base import Frame, Source
from mien.media.open import open_source

PYTHON = "/usr/bin/python3"
"""The system's own, which has GStreamer's bindings."""


@pytest.fixture
def serve(free_port: int) -> Iterator[Callable[[], subprocess.Popen[str]]]:
    """Starts the camera; what is still running at the end is stopped."""
    asked = "import gi; gi.require_version('GstRtspServer', '1.0')"
    if subprocess.run([PYTHON, "-c", asked], capture_output=True, check=False).returncode:
        message = "GStreamer's RTSP server is not installed (gir1.2-gst-rtsp-server-1.0, python3-gi)"
        pytest.fail(message) if os.environ.get("CI") == "true" else pytest.skip(message)
    started: list[subprocess.Popen[str]] = []

    def start() -> subprocess.Popen[str]:
        script = Path(__file__).with_name("rtsp_server.py")
        server = subprocess.Popen(
            [PYTHON, str(script), str(free_port)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        started.append(server)
        assert server.stdout
        assert server.stdout.readline() == "ready\n"
        return server

    yield start
    for server in started:
        server.kill()
        server.communicate()


def until(source: Source, frames: Iterator[Frame], state: str) -> Frame:
    """Take frames until the source is in a state; return the first one then."""
    end = time.monotonic() + 90
    while source.state != state:
        assert time.monotonic() < end, f"the source is {source.state}, not {state}"
        if state == "away":
            time.sleep(0.05)
        else:
            next(frames)
    return next(frames) if state == "ok" else Frame(None, 0, 0.0, None)  # type: ignore[arg-type]


def test_a_camera_that_stalls_and_goes_away_comes_back(
    serve: Callable[[], subprocess.Popen[str]],
    free_port: int,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    server = serve()
    with open_source(f"rtsp://127.0.0.1:{free_port}/live", "hall") as source:
        frames = iter(source)
        seen = [next(frames) for _ in range(20)]
        assert seen[0].image.shape == (240, 320, 3)
        assert len({frame.image.tobytes() for frame in seen}) > 10, "the ball moves"
        steps = [(b.offset_s or 0) - (a.offset_s or 0) for a, b in itertools.pairwise(seen)]
        assert min(steps) > 0
        server.send_signal(signal.SIGSTOP)
        until(source, frames, "away")
        server.send_signal(signal.SIGCONT)
        back = until(source, frames, "ok")
        server.kill()
        server.wait()
        until(source, frames, "away")
        serve()
        again = until(source, frames, "ok")
        assert seen[-1].index < back.index < again.index
        assert (seen[-1].offset_s or 0) < (back.offset_s or 0) < (again.offset_s or 0)
    gone, back = (sum(sign in line for line in caplog.messages) for sign in ("gives no picture", "is back"))
    assert gone == back >= 2, "one line for each time, not for each try"
