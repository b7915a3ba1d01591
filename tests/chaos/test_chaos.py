"""Five schedules of disturbances, and the books balanced at the end of each; more of them: `make chaos N=500`."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from programs import program

RUN = Path(__file__).with_name("run.py")
SCHEDULES = 5


@pytest.mark.timeout(900)
@pytest.mark.mosquitto
def test_what_was_taken_is_stored_once_or_counted_as_dropped(tmp_path: Path) -> None:
    program("initdb")
    assert _played(tmp_path, "--schedules", str(SCHEDULES), "--together", "5", "--longest", "7") > 250


@pytest.mark.timeout(300)
@pytest.mark.mosquitto
def test_a_sink_of_ones_own_in_the_forwarders_place_loses_nothing_either(tmp_path: Path) -> None:
    assert _played(tmp_path, "--sink", "--schedules", "3", "--together", "3", "--longest", "6") > 100


def _played(logs: Path, *options: str) -> int:
    """Play schedules, check that none failed, and return how many observations were taken."""
    program("mosquitto")
    command = [sys.executable, str(RUN), *options]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MIEN_")}
    done = subprocess.run(
        command, env=environment | {"CHAOS_LOGS": str(logs)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    last = done.stdout.splitlines()[-1].replace(",", "")
    found = re.search(r"(\d+) observations taken = (\d+) stored once \+ (\d+) counted as dropped; 0 schedules", last)
    assert found, last
    taken, stored, dropped = map(int, found.groups())
    assert taken == stored + dropped
    return taken
