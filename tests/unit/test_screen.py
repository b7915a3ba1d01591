"""A screen as a source, under a real X server, and the notice that comes before it is read."""

from __future__ import annotations

import itertools
import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec

import numpy as np
import pytest

from mien.errors import InputError, MienError
from mien.media import screen
from mien.media.base import Frame
from mien.media.open import open_source
from mien.reports.meeting import page


@pytest.fixture(scope="module")
def display() -> Iterator[str]:
    program = shutil.which("Xvfb")
    if not program or find_spec("mss") is None:
        pytest.skip("Xvfb or mss is not installed")
    told, tell = os.pipe()
    server = subprocess.Popen(
        [program, "-displayfd", str(tell), "-screen", "0", "320x240x24", "-nolisten", "tcp", "-noreset"],
        pass_fds=[tell],
        stderr=subprocess.DEVNULL,
    )
    os.close(tell)
    with os.fdopen(told) as number:
        yield f":{number.readline().strip()}"
    server.terminate()
    server.wait()


def frames_of(spec: str) -> list[Frame]:
    with open_source(spec) as source:
        assert source.live
        return list(itertools.islice(source, 3))


@pytest.mark.parametrize(
    ("spec", "shape"), [("screen:", (240, 320)), ("Screen:1", (240, 320)), ("screen:20,30,100,50", (50, 100))]
)
def test_a_screen_or_a_part_of_it_is_seen(
    display: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    spec: str,
    shape: tuple[int, int],
) -> None:
    monkeypatch.setenv("DISPLAY", display)
    frames = frames_of(spec)
    assert [frame.image.shape for frame in frames] == [(*shape, 3)] * 3
    assert all(frame.image.dtype == np.uint8 and frame.time is not None for frame in frames)
    assert [record.message for record in caplog.records if record.levelno == logging.WARNING] == [screen.NOTICE]


WINDOW = """
import sys, tkinter
window = tkinter.Tk()
window.overrideredirect(True)
window.geometry("320x240+0+0")
window.configure(background="#c86432")
window.update()
print(flush=True)
sys.stdin.read()
"""


def test_what_is_on_the_screen_is_what_is_seen(display: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if find_spec("tkinter") is None:
        pytest.skip("tkinter is not installed")
    monkeypatch.setenv("DISPLAY", display)
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", WINDOW], **pipes) as window:  # type: ignore[call-overload]
        assert window.stdout.readline() == b"\n"
        assert frames_of("screen:")[-1].image[5, 5].tolist() == [0x32, 0x64, 0xC8]
        window.stdin.close()


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ("screen:7", "this machine has 1 screen"),
        ("screen:300,0,100,100", "all screens together are 320x240 pixels"),
        ("screen:left", "expected screen:, screen: and the number of one"),
        ("screen:0", "expected screen:"),
        ("screen:1,2,3", "expected screen:"),
        ("screen:0,0,0,10", "expected screen:"),
    ],
)
def test_a_screen_that_is_not_there_says_what_is(
    display: str, monkeypatch: pytest.MonkeyPatch, spec: str, reason: str
) -> None:
    monkeypatch.setenv("DISPLAY", display)
    with pytest.raises(InputError, match=reason) as caught:
        open_source(spec)
    assert spec in str(caught.value)


def test_without_a_screen_one_line_says_so(display: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    with pytest.raises(MienError, match=r"cannot see the screen 'screen:': .*DISPLAY"):
        open_source("screen:")


def test_the_notice_is_that_of_the_meeting_report() -> None:
    for sentence in (*page.BAN.split(". ")[:2], "Everyone who is to be seen has to be told that their faces are read"):
        assert sentence.rstrip(".") in screen.NOTICE
    assert "Everyone who is to be seen has to be told that their faces are read" in page.NO_CONSENT
