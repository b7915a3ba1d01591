"""The demo at the press of a button: a real process that plays it, one at a time, and never longer than it may."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

from asking import Client, serving
from mien.config import Settings
from mien.dashboard.jobs import demo as demo_module
from mien.dashboard.jobs.demo import DemoPlayer
from mien.edge.outbox import open_outbox
from mien.errors import StoreError
from mien.stores.base import open_store

pytestmark = pytest.mark.timeout(300)


def until(question: Callable[[], Any], seconds: float = 100) -> Any:
    """Wait until the answer is true, and return it."""
    end = time.monotonic() + seconds
    while not (answer := question()):
        assert time.monotonic() < end, "it did not come true in time"
        time.sleep(0.05)
    return answer


def processes(home: Path) -> list[str]:
    """Return the command lines of those who have a file open in a folder, or are told of it."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            files = [os.path.realpath(file) for file in (folder / "fd").iterdir()]  # also where one is just closed
            line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
        except OSError:
            continue
        if int(folder.name) != os.getpid() and (str(home) in line or any(str(home) in file for file in files)):
            found.append(line)
    return found


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def client(home: Path) -> Iterator[Client]:
    with serving(home) as client:
        yield client


def state(client: Client) -> str:
    return str(client.get("/v1/demo").json()["state"])


def test_it_plays_into_the_store_once_at_a_time_and_ends_with_all_its_parts(
    client: Client, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo_module, "PAUSE_S", 1000.0)
    assert client.get("/v1/demo").json() == {"state": "off", "since": None, "message": ""}
    began = client.post("/v1/demo")
    assert began.status_code == 202
    assert began.json()["state"] == "starting"
    until(lambda: state(client) == "playing")
    again = client.post("/v1/demo")
    assert (again.status_code, again.json()["since"]) == (202, began.json()["since"])
    assert len([line for line in processes(home) if "run.demo" in line]) == 1

    def stored() -> bool:
        with suppress(StoreError), closing(open_store(f"sqlite:///{home / 'mien.db'}", read_only=True)) as store:
            return [(source.source, source.frames > 0) for source in store.sources()] == [("demo", True)]
        return False  # it is not made yet

    until(stored)
    assert client.request("DELETE", "/v1/demo").json()["state"] == "ending"
    until(lambda: state(client) == "off")
    assert client.get("/v1/demo").json()["message"] == ""
    until(lambda: processes(home) == [])
    soon = client.post("/v1/demo")
    assert soon.status_code == 429
    assert "try again" in soon.json()["error"]["message"]
    assert client.request("DELETE", "/v1/demo").json()["state"] == "off"


def test_why_it_cannot_play_is_said_in_one_line(client: Client, home: Path) -> None:
    home.mkdir()
    outbox = open_outbox(Settings(home=home), "demo")  # as another `mien watch demo` holds it
    client.post("/v1/demo")
    until(lambda: state(client) == "off")
    outbox.close()
    message = client.get("/v1/demo").json()["message"]
    assert "demo" in message
    assert "\n" not in message
    until(lambda: processes(home) == [])


def test_a_store_that_cannot_be_used_ends_it(tmp_path: Path) -> None:
    (tmp_path / "mien.db").write_bytes(b"no database at all" * 100)
    demo = DemoPlayer(Settings(home=tmp_path, store={"url": f"sqlite:///{tmp_path / 'mien.db'}"}))  # type: ignore[arg-type]
    demo.start()
    until(lambda: demo.state == "off")
    assert "it is a file of another kind" in demo.message
    demo.close()


ALONE = """
import sys, time
from pathlib import Path
from mien.config import Settings
from mien.dashboard.jobs.demo import DemoPlayer
demo = DemoPlayer(Settings(home=Path(sys.argv[1])))
demo.start()
while demo.state != "playing":
    assert not demo.message, demo.message
    time.sleep(0.05)
print("playing", flush=True)
time.sleep(1000)
"""


def test_nothing_is_left_when_the_dashboard_is_killed(home: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", ALONE, str(home)], stdout=subprocess.PIPE) as dashboard:
        assert dashboard.stdout is not None
        assert dashboard.stdout.readline() == b"playing\n"
        assert any("nats-server" in line for line in processes(home))
        dashboard.send_signal(signal.SIGKILL)
    until(lambda: processes(home) == [])
    assert not (home / "broker.json").exists()  # it ended in order
