"""The promise: what was taken is stored exactly once or counted as dropped, whatever is killed in between.

Camera, broker and forwarder are processes; the clients of the outside broker are ours too, the broker is mosquitto.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from parts import Part, assert_complete, kill, outbox_counts, start, stop_all, stored_seqs, wait_for

COUNT = 1500
RATE = 500


class Mosquitto:
    """The outside broker, to be killed like a part of ours."""

    def __init__(self, program: str, home: Path, port: int) -> None:
        config = home / "mosquitto.conf"
        config.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\n")
        self._process = subprocess.Popen([program, "-c", str(config)], stderr=subprocess.DEVNULL)

    def kill(self) -> None:
        self._process.kill()

    def join(self) -> None:
        self._process.wait()


@pytest.fixture
def processes() -> Iterator[list[Part]]:
    yield []
    stop_all()


def stored(home: Path) -> int:
    return sum(len(seqs) for seqs in stored_seqs(home, "cam").values())


@pytest.fixture(params=["built-in", pytest.param("mosquitto", marks=pytest.mark.mosquitto)])
def start_broker(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    free_port: int,
    monkeypatch: pytest.MonkeyPatch,
    processes: list[Part],
) -> Iterator[Callable[[], Part | Mosquitto]]:
    """A function that starts the broker (anew); parts started after it was asked for use that one."""
    if request.param == "built-in":
        yield lambda: start("broker", tmp_path, free_port)
        return
    program = request.getfixturevalue("mosquitto")
    monkeypatch.setenv("MIEN_BROKER__HOST", "127.0.0.1")
    monkeypatch.setenv("MIEN_BROKER__PORT", str(free_port))
    started: list[Mosquitto] = []

    def start_anew() -> Mosquitto:
        started.append(Mosquitto(program, tmp_path, free_port))
        return started[-1]

    yield start_anew
    for one in started:
        one.kill()
        one.join()


def test_kill_9_of_the_forwarder_loses_and_doubles_nothing(
    tmp_path: Path, processes: list[Part], start_broker: Callable[[], Part | Mosquitto]
) -> None:
    processes.append(start_broker())
    forwarder = start("forward", tmp_path)
    processes.append(start("camera", tmp_path, "cam", COUNT, RATE))
    for share in (0.05, 0.3, 0.6):
        wait_for(lambda share=share: stored(tmp_path) >= COUNT * share)
        kill(forwarder)
        forwarder = start("forward", tmp_path)
    processes.append(forwarder)
    wait_for(lambda: stored(tmp_path) == COUNT)
    assert processes[-2].end() == 0, "the camera ends when all is confirmed"
    assert_complete(tmp_path, "cam")


def test_kill_9_of_the_camera_loses_nothing_that_was_taken(
    tmp_path: Path, processes: list[Part], start_broker: Callable[[], Part | Mosquitto]
) -> None:
    processes += [start_broker(), start("forward", tmp_path)]
    before = 0
    for _ in range(2):
        camera = start("camera", tmp_path, "cam", 10**6, RATE)
        wait_for(lambda before=before: outbox_counts(tmp_path, "cam")[0] > before + 100)
        kill(camera)
        before = outbox_counts(tmp_path, "cam")[0]
    processes.append(start("camera", tmp_path, "cam", 50, RATE))
    assert processes[-1].end() == 0
    assert_complete(tmp_path, "cam")
    assert len(stored_seqs(tmp_path, "cam")) == 3


def test_kill_9_of_the_broker_loses_nothing(
    tmp_path: Path, processes: list[Part], start_broker: Callable[[], Part | Mosquitto]
) -> None:
    broker = start_broker()
    processes += [start("forward", tmp_path), start("camera", tmp_path, "cam", COUNT, RATE)]
    for share in (0.1, 0.5):
        wait_for(lambda share=share: stored(tmp_path) >= COUNT * share)
        kill(broker)
        broker = start_broker()
    processes.append(broker)
    assert processes[1].end() == 0
    assert_complete(tmp_path, "cam")


def test_a_frozen_forwarder_is_waited_for(
    tmp_path: Path, processes: list[Part], start_broker: Callable[[], Part | Mosquitto]
) -> None:
    processes += [start_broker(), start("forward", tmp_path), start("camera", tmp_path, "cam", COUNT, RATE)]
    wait_for(lambda: stored(tmp_path) >= 100)
    processes[1].freeze()
    time.sleep(2.5)
    processes[1].thaw()
    assert processes[2].end() == 0
    assert_complete(tmp_path, "cam")


def test_a_forwarder_that_comes_late_gets_all(
    tmp_path: Path, processes: list[Part], start_broker: Callable[[], Part | Mosquitto]
) -> None:
    processes += [start_broker(), start("camera", tmp_path, "cam", 300, 1000, MIEN_OUTBOX__RESEND_AFTER_S="60")]
    wait_for(lambda: outbox_counts(tmp_path, "cam")[0] == 300)
    processes.append(start("forward", tmp_path))
    wait_for(lambda: stored(tmp_path) == 300, what="that the forwarder's greeting has all sent again")
    assert processes[1].end() == 0
    assert_complete(tmp_path, "cam")


def test_a_full_outbox_counts_what_it_drops(tmp_path: Path, processes: list[Part]) -> None:
    camera = start("camera", tmp_path, "cam", 1000, 2000, MIEN_OUTBOX__MAX_ROWS="200")
    processes.append(camera)
    wait_for(lambda: outbox_counts(tmp_path, "cam")[0] == 1000)
    assert outbox_counts(tmp_path, "cam") == (1000, 0, 800, 200), "no broker: the oldest go"
    processes += [start("broker", tmp_path), start("forward", tmp_path)]
    assert camera.end() == 0
    assert_complete(tmp_path, "cam")
    ((_, seqs),) = stored_seqs(tmp_path, "cam").items()
    assert seqs == list(range(800, 1000))


def test_a_full_outbox_before_a_dead_forwarder_keeps_the_sum(tmp_path: Path, processes: list[Part]) -> None:
    processes += [start("broker", tmp_path), start("forward", tmp_path)]
    camera = start("camera", tmp_path, "cam", 2000, 1000, MIEN_OUTBOX__MAX_ROWS="200")
    processes.append(camera)
    wait_for(lambda: stored(tmp_path) > 50)
    processes[1].freeze()
    wait_for(lambda: outbox_counts(tmp_path, "cam")[2] > 100, what="dropping")
    processes[1].thaw()
    assert camera.end() == 0
    assert_complete(tmp_path, "cam")
