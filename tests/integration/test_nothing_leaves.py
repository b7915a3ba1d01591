"""Nothing leaves: no command asks a name server, connects beyond this machine, or writes outside state and output."""

from __future__ import annotations

import csv
import importlib.util
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import httpx
import numpy as np
import pytest

from mien.media.demo import PORTRAIT
from ports import unused_port
from running import kill_leftovers
from traced import Traced, Tracing

pytestmark = pytest.mark.timeout(700)

TRANSCRIPT = "WEBVTT\n\n00:00.000 --> 00:01.000\n<v Ada>Good news\n\n00:01.000 --> 00:02.000\n<v Bob>Splendid\n"
EVENTS = "time,label,duration\n1,joke,1\n"
NETWORK = 'name = "tiny"\nepochs = 1\nbatch_size = 35\nwidth = 0.5\ndepths = [1, 1, 1]\nema_decay = 0.5\n'
API = """
import mien
from pathlib import Path
assert mien.analyze("photo.jpg")
assert sum(1 for _ in mien.watch("film.mp4")) == 20
assert mien.analyze_video("film.mp4", every=5)
"""
TRAINING = """
from mien.cli.app import app  # the processes of a training meet, and this one, which loads torch once, evaluates
app("train --config network.toml --data faces.csv --out run --devices 2".split(), standalone_mode=False)
app("evaluate fer2013 --data faces.csv --out report".split(), standalone_mode=False)
"""
TRAINS = all(importlib.util.find_spec(name) for name in ("torch", "lightning"))


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Tracing]:
    """A new user of a new machine, in whose folder lie a photo, a film and what the reports ask for."""
    place = Tracing(tmp_path)
    portrait = cv2.resize(cv2.imread(str(PORTRAIT)), (320, 288))
    cv2.imwrite(str(place.out / "photo.jpg"), portrait)
    film = cv2.VideoWriter(str(place.out / "film.mp4"), cv2.VideoWriter.fourcc(*"mp4v"), 10, (320, 288))
    for _ in range(20):
        film.write(portrait)
    film.release()
    (place.out / "words.vtt").write_text(TRANSCRIPT)
    (place.out / "events.csv").write_text(EVENTS)
    (place.out / "network.toml").write_text(NETWORK)
    yield place
    kill_leftovers(tmp_path)


def check(done: Traced, *codes: int) -> None:
    """Fail unless a command ended as it should, and nothing left."""
    assert done.code in (codes or (0,)), done.output
    assert not done.sent, done.output
    assert not done.listened
    assert not done.written
    assert not done.left


def draw_faces(path: Path) -> None:
    """Write a data set that a network can be trained on and judged by, in FER-2013's form."""
    random = np.random.default_rng(0)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["emotion", "pixels", "Usage"])
        for number in range(105):
            pixels = " ".join(map(str, random.integers(0, 256, 48 * 48)))
            writer.writerow([number % 7, pixels, "Training" if number < 70 else "PublicTest"])


@pytest.mark.parametrize(
    "command",
    [
        "analyze photo.jpg -o photo.csv",
        "analyze film.mp4 -o film.eaf --export film.TextGrid --export film_events.tsv --export film.boris.csv",
        "analyze film.mp4 -o film.parquet --annotate seen.mp4 --blur",
        "bench --seconds 0.2 film.mp4",
        "doctor",
        "model show",
        "report film film.mp4 --export elan --export bids",
        "report meeting film.mp4 --transcript words.vtt --offset 0",
        "report audience film.mp4 --events events.csv",
        "report album . --best 1",
    ],
)
def test_a_command_leaves_nothing(place: Tracing, command: str) -> None:
    check(place.run("-m", "mien", *command.split()), 0, 1)  # 1: the doctor, where there is no camera


@pytest.mark.training
@pytest.mark.skipif(not TRAINS, reason="the extra `train` is not installed")
def test_training_and_evaluation_leave_nothing(place: Tracing) -> None:
    draw_faces(place.out / "faces.csv")
    check(place.run("-c", TRAINING))


def test_the_python_api_leaves_nothing(place: Tracing) -> None:
    check(place.run("-c", API))


def test_everything_on_this_machine_leaves_nothing(place: Tracing) -> None:
    """Broker, watch, forward and dashboard; and a report that the dashboard's own worker makes."""
    port = unused_port()
    with (
        up(place, "up", "demo", "--port", str(port)) as output,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client,
    ):
        wait_for(lambda: client.get("/api/v1/health").status_code == 200, output)
        wait_for(lambda: client.get("/api/v1/sources").json(), output)
        film = client.post(
            "/api/v1/uploads", params={"name": "film.mp4"}, content=(place.out / "film.mp4").read_bytes()
        )
        report = client.post("/api/v1/reports", json={"kind": "film", "files": [film.json()["id"]]})
        assert report.status_code == 202, report.text
        state = f"/api/v1/reports/{report.json()['id']}"
        wait_for(lambda: client.get(state).json()["state"] not in ("waiting", "working"), output)
        assert client.get(state).json()["state"] == "done"
    check(place.read(0, output.read_text()))


def test_each_part_by_itself_leaves_nothing(place: Tracing) -> None:
    with up(place, "broker", "--port", str(unused_port())) as output:
        wait_for((place.state / "broker.json").exists, output)
        with up(place, "dashboard", "--port", str(unused_port())):
            check(place.run("-m", "mien", "watch", "demo", seconds=4), 124)
        check(place.run("-m", "mien", "forward", "--once"))
        check(place.run("-m", "mien", "fleet", "list", "--wait", "0.5"))
    check(place.read(0, output.read_text()))
    assert (place.state / "mien.db").exists()


def test_a_playlist_fetches_nothing_from_elsewhere(place: Tracing) -> None:
    lines = "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nhttp://192.0.2.1/film.ts\n#EXT-X-ENDLIST\n"
    (place.out / "list.mp4").write_text(lines)
    check(place.run("-m", "mien", "analyze", "list.mp4", "-o", "list.csv"), 2)


def test_what_leaves_is_noticed(place: Tracing) -> None:
    """The tests above see what they are to see."""
    code = """
import pathlib, socket
try: socket.getaddrinfo("example.invalid", 80)
except OSError: pass
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender: sender.connect(("192.0.2.1", 9))
with socket.create_server(("0.0.0.0", 0)): pass
(pathlib.Path.home() / ".trace").write_text("")
pathlib.Path("../beside").write_text("")
pathlib.Path("../beside").unlink()
"""
    done = place.run("-c", code)
    assert any("htons(53)" in line for line in done.sent), done
    assert any("192.0.2.1" in line for line in done.sent)
    assert len(done.listened) == 1
    assert done.listened[0].startswith("0.0.0.0:")
    assert done.written == [str(place.out.parent / "beside"), str(place.home / ".trace")]
    assert done.left == [str(place.home / ".trace")]


class up:  # noqa: N801 - reads as what it does
    """A command that runs, traced, until the block ends; then it is interrupted, as by Ctrl-C, and ends in order."""

    def __init__(self, place: Tracing, *words: str) -> None:
        self.output = place.out.parent / f"{words[0]}.log"
        with self.output.open("wb") as file:
            self.process = subprocess.Popen(
                place.command(sys.executable, "-m", "mien", *words), cwd=place.out, env=place.environment(),
                stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT,
            )  # fmt: skip

    def __enter__(self) -> Path:
        return self.output

    def __exit__(self, *_: object) -> None:
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        for child in children:
            os.kill(int(child), signal.SIGINT)
        assert self.process.wait(90) == 0, self.output.read_text()


def wait_for(condition: Callable[[], object], output: Path) -> None:
    """Wait until a condition holds; a busy machine is slow to start four processes."""
    until = time.monotonic() + 120
    while time.monotonic() < until:
        try:
            if condition():
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.05)
    pytest.fail(f"it did not come; the log:\n{output.read_text()}")
