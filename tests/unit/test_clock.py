"""Clocks that go wrong: what passes counts, not what is set."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from mien.system import clock
from mien.system.clock import ClockWatch, SteadyClock

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=timezone.utc)


class Machine:
    """A machine whose clock can be set; its time since the start cannot."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.wall, self.up_s, self.boot, self.synchronised = NOON, 1000.0, "one", False
        monkeypatch.setattr(clock.time, "time", lambda: self.wall.timestamp())
        monkeypatch.setattr(clock, "_up_s", lambda: self.up_s)
        monkeypatch.setattr(clock, "_boot", lambda: self.boot)
        monkeypatch.setattr(clock, "is_synchronised", lambda: self.synchronised)

    def wait(self, passed: timedelta) -> None:
        self.wall, self.up_s = self.wall + passed, self.up_s + passed.total_seconds()

    def start_again(self, off: timedelta) -> None:
        self.wall, self.up_s, self.boot = self.wall + off, 20.0, self.boot + "!"


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(monkeypatch)


def test_a_clock_that_is_set_moves_nothing(machine: Machine, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    steady = SteadyClock(tmp_path / "clock.json")
    assert steady.now() == NOON
    for step in (timedelta(days=90), timedelta(days=-150), timedelta(days=60)):
        machine.wall += step
        machine.wait(timedelta(hours=1))
        steady.now()
    assert steady.now() == NOON + timedelta(hours=3)
    assert not steady.is_wrong
    assert len([text for text in caplog.messages if "the machine's clock shows" in text]) == 1
    steady.note()
    machine.wall += timedelta(days=90)
    machine.wait(timedelta(days=2))
    again = SteadyClock(tmp_path / "clock.json")
    assert again.now() == NOON + timedelta(days=2, hours=3), "nor while nobody looked"
    assert again.is_wrong


def test_after_the_machine_was_off_a_synchronised_clock_is_right(machine: Machine, tmp_path: Path) -> None:
    steady = SteadyClock(tmp_path / "clock.json")
    steady.now()
    steady.note()
    machine.start_again(timedelta(days=7))
    assert SteadyClock(tmp_path / "clock.json").now() == NOON + timedelta(seconds=20), "nothing keeps it right"
    machine.synchronised = True
    assert SteadyClock(tmp_path / "clock.json").now() == machine.wall


def test_a_clock_that_becomes_synchronised_is_believed(machine: Machine, tmp_path: Path) -> None:
    machine.wall = datetime(2026, 2, 1, tzinfo=timezone.utc)
    steady = SteadyClock(tmp_path / "clock.json")
    steady.now()
    machine.wall, machine.synchronised = NOON, True
    assert steady.now() == NOON
    machine.wall += timedelta(days=90)
    assert steady.now() == NOON, "but no step of one that was synchronised all the time"


def test_what_somebody_set_counts(machine: Machine, tmp_path: Path) -> None:
    steady = SteadyClock(tmp_path / "clock.json")
    steady.now()
    steady.note()
    machine.wall += timedelta(days=9)
    by_hand = SteadyClock(tmp_path / "clock.json")
    by_hand.set(machine.wall)
    by_hand.note()
    steady.note()
    assert steady.now() == machine.wall


def test_a_file_that_is_none_is_begun_anew(machine: Machine, tmp_path: Path) -> None:
    (tmp_path / "clock.json").write_bytes(b"\xff{")
    assert SteadyClock(tmp_path / "clock.json").is_new


def test_an_edge_says_when_its_clock_is_not_to_be_trusted(machine: Machine, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    machine.synchronised = True
    watch = ClockWatch()
    assert watch.state() == "ok"
    machine.wall -= timedelta(hours=2)
    assert watch.state() == "stepped back"
    assert "was set back by 7200 s" in caplog.text
    machine.wait(timedelta(hours=2))
    assert watch.state() == "ok"
    machine.synchronised = False
    assert watch.state() == "unsynchronised"
    machine.synchronised, machine.wall = True, datetime(1970, 1, 1, tzinfo=timezone.utc)
    early = ClockWatch()
    assert early.state() == "unsynchronised"
    assert "it shows 1970" in caplog.text
