"""`mien up` as people run it: one command, real processes, Ctrl-C at the end."""

from __future__ import annotations

import itertools
import os
import signal
import sqlite3
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from mien.errors import MienError
from mien.run.up import ChildProcess
from running import Up, kill_leftovers

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "home"
    kill_leftovers(tmp_path / "home")


def check_nothing_is_lost_or_doubled(home: Path, source: str = "demo") -> None:
    """What was taken is in the store once, or still in the outbox; of each session without a gap."""
    with sqlite3.connect(home / "mien.db") as store:
        rows = store.execute("SELECT session, seq FROM frames WHERE source = ?", (source,))
        stored = [(uuid.UUID(bytes=one), seq) for one, seq in rows]
    with sqlite3.connect(home / "outbox" / f"{source}.db") as outbox:
        waiting = {(uuid.UUID(one), seq) for one, seq in outbox.execute("SELECT session, seq FROM rows")}
        taken, confirmed, dropped = outbox.execute("SELECT taken, confirmed, dropped FROM counts").fetchone()
    assert len(set(stored)) == len(stored)
    assert len(set(stored) | waiting) == taken
    assert (confirmed + len(waiting), dropped) == (taken, 0)
    for session in {session for session, _ in stored}:
        numbers = sorted(seq for one, seq in set(stored) | waiting if one == session)
        assert numbers == list(range(len(numbers)))


def test_ctrl_c_stops_all_and_loses_nothing(home: Path) -> None:
    up = Up(home, "demo", "--loop")
    address = up.wait_for(r"dashboard is at (http://127\.0\.0\.1:\d+)")[1]
    up.wait_for(rf"╭─+╮\n│.*{address}/.*│\n╰─+╯")
    assert any(" watch demo --loop" in command for command in up.processes().values())
    up.wait_for_rows(10)
    assert up.stop() == 0, up.log.read_text()
    assert up.processes() == {}
    assert "Traceback" not in up.log.read_text()
    assert "Fatal" not in up.log.read_text()
    check_nothing_is_lost_or_doubled(home)
    with sqlite3.connect(home / "outbox" / "demo.db") as outbox:
        assert outbox.execute("SELECT count(*) FROM rows").fetchone() == (0,)  # all was confirmed before the end


def test_a_killed_part_is_started_again_and_nothing_is_lost_or_doubled(home: Path) -> None:
    up = Up(home, "demo")
    for part, count in itertools.product(("forward", "watch"), range(1, 3)):
        up.wait_for_rows(up.rows() + 10)
        (victim,) = [pid for pid, command in up.processes().items() if f" {part}" in command]
        os.kill(victim, signal.SIGKILL)
        up.wait_for(rf"(?s)({part} ended with code -9.*){{{count}}}")
    up.wait_for_rows(up.rows() + 10)
    assert up.stop() == 0, up.log.read_text()
    check_nothing_is_lost_or_doubled(home)


def test_nothing_is_orphaned_when_up_itself_is_killed(home: Path) -> None:
    up = Up(home, "demo")
    up.wait_for_rows(0)
    up.process.kill()
    up.process.wait()
    until = time.monotonic() + 60
    while up.processes() and time.monotonic() < until:
        time.sleep(0.1)
    assert up.processes() == {}


def test_a_video_that_ends_leaves_the_rest_running(home: Path, samples: Path) -> None:
    up = Up(home, str(samples / "one-face.mp4"))
    up.wait_for("watch has finished")
    up.wait_for_rows(71)
    assert up.rows() == 72
    assert up.stop() == 0, up.log.read_text()
    with sqlite3.connect(home / "mien.db") as store:
        assert store.execute("SELECT count(*), count(DISTINCT track) FROM faces").fetchone() == (72, 1)
    check_nothing_is_lost_or_doubled(home, "one-face")


def test_a_bad_source_ends_it_with_one_line(home: Path) -> None:
    up = Up(home, str(home / "none.mp4"))
    assert up.process.wait(120) == 2
    text = up.log.read_text()
    assert "none.mp4" in text
    assert "Traceback" not in text
    assert "broker" not in text, "it is refused before anything starts"
    assert up.processes() == {}


def test_a_part_that_ran_before_may_be_refused_what_it_needs_for_a_while() -> None:
    def ended() -> ChildProcess:
        part = ChildProcess("watch", [], {}, process=subprocess.Popen([sys.executable, "-c", "raise SystemExit(2)"]))
        part.process.wait()
        return part

    with pytest.raises(MienError, match="watch cannot run with what it was given"):
        ended().check()
    again = ended()
    again.restarts = 1  # it ran and died; now its camera is in use, or gone
    again.check()
    assert again.restarts == 2


def test_an_outside_broker_is_used_and_the_end_is_as_clean(
    home: Path, mosquitto: str, free_port: int, tmp_path: Path
) -> None:
    settings = tmp_path / "mosquitto.conf"
    settings.write_text(f"listener {free_port} 127.0.0.1\nallow_anonymous true\n")
    outside = subprocess.Popen([mosquitto, "-c", str(settings)], stderr=subprocess.DEVNULL)
    try:
        up = Up(home, "demo", "--broker", f"127.0.0.1:{free_port}")
        up.wait_for_rows(10)
        assert up.stop() == 0, up.log.read_text()
    finally:
        outside.terminate()
        outside.wait(10)
    assert not (home / "broker.json").exists()
    assert "bug" not in up.log.read_text()
    check_nothing_is_lost_or_doubled(home)


@pytest.mark.data
def test_all_sources_of_the_settings_are_watched(home: Path, samples: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home.mkdir(mode=0o700)
    hall, wall = (samples / f"{name}.mp4" for name in ("one-face", "no-face"))
    settings = home / "mien.toml"
    settings.write_text(
        f'[[source]]\nurl = "{hall}"\nname = "hall"\n\n[[source]]\nurl = "{wall}"\nname = "wall"\nfps = 5\n'
    )
    monkeypatch.setenv("MIEN_CONFIG", str(settings))
    up = Up(home)
    up.wait_for("watch has finished")
    up.wait_for_rows(72 + 10)
    assert up.stop() == 0, up.log.read_text()
    with sqlite3.connect(home / "mien.db") as store:
        counts = dict(store.execute("SELECT source, count(*) FROM frames GROUP BY source"))
        of_faces = "SELECT source, count(*) FROM faces JOIN frames ON faces.frame = frames.id GROUP BY source"
        seen = dict(store.execute(of_faces))
    assert counts["hall"] == 72
    assert 10 <= counts["wall"] <= 21, "its 95 frames, 5 a second"
    assert seen == {"hall": 72}
    for source in ("hall", "wall"):
        check_nothing_is_lost_or_doubled(home, source)
