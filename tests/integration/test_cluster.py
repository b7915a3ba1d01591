"""Films in an S3 bucket on a Ray cluster of two nodes: the same rows as on one machine, whoever dies meanwhile."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import polars as pl
import pytest

import mien.reports
from buckets import s3_server
from filming import write_long_film, write_video
from mien.config import load
from mien.errors import PartialError
from mien.media.demo import Demo
from mien.run.collection.collection import analyze_collection

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.skipif(not find_spec("ray"), reason="could not import ray"),
]

OF_THE_RUN = ("id", "session", "time", "elapsed_ms")
BUCKET = "films"
SCRIPT = Path(__file__).parents[1] / "two_nodes.py"


class Nodes(NamedTuple):
    """A cluster of two nodes.

    Attributes:
        running: Its process.
        raylet: The process of the second node.
    """

    running: subprocess.Popen[str]
    raylet: int

    def kill_a_worker(self) -> bool:
        """Kill a worker of the second node that reads a film just now; return whether there was one."""
        children = Path(f"/proc/{self.raylet}/task/{self.raylet}/children").read_text().split()
        for child in children:
            if Path(f"/proc/{child}/cmdline").read_bytes().startswith(b"ray::_run"):
                os.kill(int(child), signal.SIGKILL)
                return True
        return False

    def lose_the_second(self) -> None:
        """Take the second node away."""
        assert self.running.stdin is not None
        assert self.running.stdout is not None
        self.running.stdin.write("lose\n")
        self.running.stdin.flush()
        assert self.running.stdout.readline() == "lost\n"


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    with s3_server(BUCKET) as address:
        yield address


@pytest.fixture(scope="module")
def nodes(bucket: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    """The cluster, which sees the bucket; RAY_ADDRESS leads there."""
    with pytest.MonkeyPatch.context() as patch, (tmp_path_factory.mktemp("ray") / "log").open("w") as log:
        patch.setenv("RAY_AUTH_MODE", "token")
        patch.setenv("RAY_AUTH_TOKEN", secrets.token_hex(32))
        running = subprocess.Popen(
            [sys.executable, SCRIPT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True
        )
        with running:
            assert running.stdout is not None
            line = running.stdout.readline()
            assert line, Path(log.name).read_text()
            told = json.loads(line)
            patch.setenv("RAY_ADDRESS", told["address"])
            yield Nodes(running, told["process"])


@pytest.fixture(scope="module")
def films(bucket: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The bucket's file system: twice the same long film, a short one, one that is cut, and one that is none."""
    s3fs = pytest.importorskip("s3fs")
    s3fs.S3FileSystem.clear_instance_cache()
    files = s3fs.S3FileSystem(use_listings_cache=False)
    folder = tmp_path_factory.mktemp("films")
    long = write_long_film(folder / "long.mp4")
    faces = [cv2.resize(Demo().image(n / 5), (320, 180)) for n in range(8)]
    short = write_video(folder / "short.mkv", faces, range(0, 1600, 200))
    for name in ("a/first.mp4", "second.mp4"):
        files.put_file(str(long), f"{BUCKET}/films/{name}")
    files.put_file(str(short), f"{BUCKET}/films/short.mkv")
    files.pipe_file(f"{BUCKET}/films/cut.mkv", short.read_bytes()[: short.stat().st_size // 2])
    files.pipe_file(f"{BUCKET}/films/nothing.mp4", b"nothing")
    yield files
    s3fs.S3FileSystem.clear_instance_cache()


def rows(files: Any, folder: str) -> dict[str, dict[str, Any]]:
    lines = files.cat_file(f"{BUCKET}/{folder}/manifest.jsonl").splitlines()
    return {row["name"]: row for row in map(json.loads, lines)}


def tables(files: Any, folder: str) -> dict[str, tuple[str, pl.DataFrame]]:
    """Return the tables below a folder, each with when it was written and without what tells one run from another."""
    there = files.find(f"{BUCKET}/{folder}", detail=True)
    return {
        path.split(f"/{folder}/")[1]: (
            str(info["LastModified"]),
            pl.read_parquet(files.cat_file(path)).drop(OF_THE_RUN),
        )
        for path, info in there.items()
        if path.endswith(".parquet")
    }


def start(bucket: str, on: str) -> subprocess.Popen[str]:
    words = ["analyze", f"{bucket}/films/", "-o", f"{bucket}/together/", "--on", on]
    command = [sys.executable, "-m", "mien", *words]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def test_the_rows_are_those_of_one_machine_whoever_dies(nodes: Nodes, films: Any, bucket: str) -> None:
    with pytest.raises(PartialError, match="nothing"):
        analyze_collection(load({}), [f"{bucket}/films/"], f"{bucket}/alone/")

    running = start(bucket, "ray")
    killed = False
    while not killed and running.poll() is None:  # a worker in the middle of a section, and then all of its node
        killed = bool(films.find(f"{BUCKET}/together/.pieces")) and nodes.kill_a_worker()
        time.sleep(0.05)
    nodes.lose_the_second()
    output, _ = running.communicate(timeout=200)
    assert killed, output
    assert running.returncode == 1, output
    assert "nothing.mp4" in output

    alone, together = tables(films, "alone"), tables(films, "together")
    assert set(together) == {"a/first.mp4.parquet", "second.mp4.parquet", "short.mkv.parquet", "cut.mkv.parquet"}
    for name, (_, table) in alone.items():
        assert table.equals(together[name][1]), name
    manifest = rows(films, "together")
    told = ("state", "sha256", "frames", "faces", "seconds", "model", "problem", "notes")
    for name, row in rows(films, "alone").items():
        assert [row.get(key) for key in told] == [manifest[name].get(key) for key in told]
    assert {name for name, row in manifest.items() if row["state"] == "failed"} == {"nothing.mp4"}
    assert {name for name, row in manifest.items() if row.get("sections") == 3} == {"a/first.mp4", "second.mp4"}
    assert films.find(f"{BUCKET}/together/.pieces") == []

    films.pipe_file(f"{BUCKET}/films/nothing.mp4", films.cat_file(f"{BUCKET}/films/short.mkv"))
    again = start(bucket, "ray")
    output, _ = again.communicate(timeout=200)
    assert again.returncode == 0, output
    later = tables(films, "together")
    assert set(later) == {*together, "nothing.mp4.parquet"}
    assert {name: later[name][0] for name in together} == {name: when for name, (when, _) in together.items()}

    report = mien.reports.film([f"{bucket}/together/"])
    assert set(report.tables["curve"]["film"]) == {"first", "second", "short", "nothing", "cut"}
