"""What README and documentation show is run: commands and Python, page by page, on the samples under the pages' names.

A command that cannot be run here stands in NOT_RUN with the reason; `test_docs_blocks.py` holds that its options exist.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import av
import msgspec
import numpy as np
import pytest
from typer.testing import CliRunner

import mien
from doc_blocks import PAGES, ROOT, Block, arguments, blocks
from mien.cli.app import app
from mien.observation import Observation, new_id
from mien.stores.base import Marker, open_store

sys.path[:0] = [str(ROOT / "tests" / "browser"), str(ROOT / "tests" / "unit")]
from making import write_video  # noqa: E402
from serving import dashboard  # noqa: E402

pytestmark = [pytest.mark.data, pytest.mark.timeout(300)]

NOT_RUN = {
    r"mien (up|broker|forward|watch|markers)\b": "runs until stopped; test_tutorial.py and tests/integration start it",
    r"mien fleet\b": "takes sources at a broker; tests/integration/test_fleet.py runs it",
    r"mien dashboard(?!.*--looker)": "runs until it is stopped; started where a page asks it something",
    r"mien (train|export|evaluate)\b": "takes FER-2013 and hours; tests/training runs them",
    r"mien model (pull|rollback)": "takes a bucket; tests/training runs them",
    r"mien store copy .*postgresql": "takes a server; tests/contract runs it",
    r"mien report meeting .*(part-1|--from|--calibrate (14:|'Before))": (
        "takes a recording with a clock in its picture; tests/unit/test_meeting_together.py builds one"
    ),
    r"mien analyze .*(s3://|--on ray)": "takes a bucket or a cluster; tests/integration/test_cluster.py runs it",
    r"mien analyze .*--sets": "takes a model that holds thresholds; tests/unit/test_api.py asks the shipped ones",
    r"mien doctor --device tensorrt": "takes an NVIDIA GPU",
    r"curl -N": "a stream without end",
    r"curl .*CALL_VTT": "takes a recording with a clock; tests/unit/test_dashboard_reports.py asks the same",
}
"""Commands that are not run here, and why."""

SHELL = r"\b(curl|openssl)\b|\$\("
"""What makes a block one for the shell, run as it stands, with a dashboard beside it."""

ANSWERS = {
    "mien store erase": ("--yes", ""),
    "mien store restore": ("--yes", ""),
    "mien access password": (None, "correct horse battery staple\n"),
}
"""What a person would be asked: an option that says it, or what is typed."""

TABLES = {
    "time,label": ("jokes.csv", "show.csv", "spots.csv"),
    "recording,group": ("seats.csv",),
    "speaker,track": ("who.csv",),
    "actor,track": ("cast.csv",),
    "word,weight": ("german.csv",),
}
"""The files that a page shows, by how they begin, and their names in the commands."""


def runnable(page: Path) -> list[Block]:
    sink = (ROOT / "deploy" / "sink.py").read_text(encoding="utf-8")  # tests/chaos runs it
    return [block for block in blocks(page) if block.language in ("bash", "python", "sql") and block.text != sink]


TRIED_ELSEWHERE = {
    "tutorial.md": "test_tutorial.py follows it",
    "maker.md": "test_tutorial.py listens as it does",
    "notebook.md": "test_first_look.py runs the notebook that it is",
}

RUN = [page for page in PAGES if runnable(page) and page.name not in TRIED_ELSEWHERE]


@pytest.fixture(scope="session")
def clip(samples: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first 36 frames of the sample clip: pages are run to see that they do, not to learn of faces."""
    with av.open(str(samples / "one-face.mp4")) as whole:
        images = [frame.to_ndarray(format="bgr24") for frame in islice(whole.decode(video=0), 36)]
    return write_video(tmp_path_factory.mktemp("clip") / "clip.mp4", images, range(0, 36 * 33, 33))


@pytest.fixture(scope="session")
def seen(clip: Path) -> list[Observation]:
    """What the clip shows."""
    return list(mien.analyze_video(clip))


@pytest.fixture(scope="session")
def media(samples: Path, clip: Path, seen: Sequence[Observation], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with every file that the pages' commands read, and a state folder with a store in it."""
    folder = tmp_path_factory.mktemp("pages")
    for video in (
        "film",
        "one",
        "two",
        "three",
        "call",
        "seat-1",
        "seat-2",
        "seat-3",
        "stands/anna",
        "stands/ben",
        "films/one",
    ):
        (folder / video).parent.mkdir(exist_ok=True)
        shutil.copy(clip, folder / f"{video}.mp4")
    write_video(folder / "show.mkv", [np.zeros((48, 64, 3), np.uint8)] * 250, range(0, 125_000, 500))
    shutil.copy(samples / "one-face.jpg", folder / "photo.jpg")
    shutil.copy(samples / "zoom-meeting.vtt", folder / "call.vtt")
    for album in ("holiday", "2024/june"):
        (folder / album).mkdir(parents=True)
        for photo in ("five-faces.jpg", "one-face.jpg"):
            shutil.copy(samples / photo, folder / album / photo)
    for page in PAGES:
        for block in blocks(page):
            for name in [name for start, names in TABLES.items() if block.text.startswith(start) for name in names]:
                (folder / name).write_text(block.text, encoding="utf-8")
    (folder / "home").mkdir(mode=0o700)
    fill(folder / "home" / "mien.db", seen)
    mien.analyze_video(folder / "film.mp4").write(folder / "film.parquet")
    return folder


def fill(file: Path, seen: Sequence[Observation]) -> None:
    """Put observations into a store, at the times and of the sources that the pages name."""
    with closing(open_store(f"sqlite:///{file}")) as store:
        for source, begun in (("lobby", "2026-11-22T09:10"), ("hall", "2026-11-22T20:00")):
            start, session = datetime.fromisoformat(begun).astimezone(), new_id()
            store.add_markers([Marker(new_id(), start + timedelta(seconds=20), "The show begins", source, "ada")])
            store.add(
                [
                    msgspec.structs.replace(
                        one, id=new_id(), source=source, session=session, seq=n, frame=n, offset_s=float(n),
                        time=start + timedelta(seconds=n),
                    )
                    for n, one in enumerate(seen)
                ]
            )  # fmt: skip


@pytest.fixture
def desk(media: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The files of the pages, and the working folder and environment of somebody who tries one."""
    folder = tmp_path / "desk"
    shutil.copytree(media, folder)
    for name in [name for name in os.environ if name.startswith("MIEN_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("MIEN_HOME", str(folder / "home"))
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.parametrize("page", RUN, ids=lambda page: str(page.relative_to(ROOT)))
def test_what_a_page_shows_runs(page: Path, desk: Path) -> None:
    names: dict[str, Any] = {}
    with ExitStack() as beside:
        for block in runnable(page):
            if block.language == "python":
                run_python(block, names)
            elif block.language == "sql":
                run_sql(block, desk / "home" / "mien.db")
            elif re.search(SHELL, block.text):
                run_shell(block, beside, desk)
            else:
                for command in block.commands():
                    run_command(block, command)


def run_python(block: Block, names: dict[str, Any]) -> None:
    """Run a block in the names that the page has made so far."""
    text = re.sub(r"(?m)^.*# before$", "", block.text)  # of another library, shown beside what takes its place
    exec(compile(text, str(block), "exec"), names)  # noqa: S102


def run_sql(block: Block, store: Path) -> None:
    with closing(sqlite3.connect(store)) as database:
        assert database.execute(block.text).fetchall(), f"{block}: no rows"


def run_command(block: Block, command: str) -> None:
    """Run a command of Mien in this process; others are left to `test_docs_blocks.py`."""
    given = arguments(command)
    if given is None:
        return
    shown = "mien " + shlex.join(given)
    if any(re.match(pattern, shown) for pattern in NOT_RUN):
        return
    given = [one for word in given for one in (sorted(map(str, Path().glob(word))) if "-*" in word else [word])]
    option, typed = next((told for start, told in ANSWERS.items() if shown.startswith(start)), (None, None))
    done = CliRunner().invoke(app, [*given, *([option] if option else [])], input=typed)
    assert done.exit_code == 0, f"{block}: {command}\n{done.output}\n{done.exception!r}"


def run_shell(block: Block, beside: ExitStack, desk: Path) -> None:
    """Run a block as a shell does, with a dashboard for what it asks."""
    text = "\n".join(
        command for command in block.commands() if not any(re.match(pattern, command) for pattern in NOT_RUN)
    )
    if "127.0.0.1:8080" in text:
        address = beside.enter_context(dashboard(desk / "home"))
        text = text.replace("http://127.0.0.1:8080", address)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", text.replace("curl ", "curl --fail-with-body ")],
        capture_output=True,
        text=True,
        timeout=200,
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
    )
    assert done.returncode == 0, f"{block}: {done.stdout}{done.stderr}"


def test_what_is_not_run_is_still_shown() -> None:
    shown = [
        command for page in PAGES for block in blocks(page) if block.language == "bash" for command in block.commands()
    ]
    known = ["mien " + shlex.join(given) for command in shown if (given := arguments(command))] + shown
    for pattern in NOT_RUN:
        assert any(re.match(pattern, command) for command in known), f"take '{pattern}' out: no page shows it"


@pytest.fixture(autouse=True)
def _log_to_nobody() -> Iterator[None]:
    """Commands in this process set up logs of their own; afterwards they are as before."""
    import logging

    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    for handler in [handler for handler in root.handlers if handler not in handlers]:
        root.removeHandler(handler)
        handler.close()
    root.setLevel(level)
