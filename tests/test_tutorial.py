"""The tutorial, from its first line to its last, as a reader follows it; and what the makers' page lets listen."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from doc_blocks import ROOT, Block, arguments, blocks
from mien.cli.app import app
from running import Up, kill_leftovers

pytestmark = pytest.mark.timeout(300)

TUTORIAL, MAKER = ROOT / "docs" / "tutorial.md", ROOT / "docs" / "how-to" / "maker.md"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    for name in [name for name in os.environ if name.startswith("MIEN_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MIEN_HOME", str(tmp_path / "home"))
    yield tmp_path / "home"
    kill_leftovers(tmp_path / "home")


def test_the_tutorial_from_its_first_line_to_its_last(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = TUTORIAL.read_text(encoding="utf-8").split("\n")
    up, done, printed = None, 0, ""
    answer: dict[str, Any] = {}
    for block in blocks(TUTORIAL):
        if up is not None and any("Press Ctrl-C" in line for line in text[done : block.line]):
            assert up.stop() == 0, up.log.read_text()
            assert up.processes() == {}
        done = block.line
        if "make run" in block.text:  # which installs, and then does this:
            assert "mien up $(SOURCE)" in (ROOT / "Makefile").read_text()
            up = Up(home, "demo")
            up.wait_for_rows(150)
        elif block.language == "json":  # the answer to what was asked before
            assert json.loads(block.text).keys() == answer.keys()
        elif block.text.startswith("shape"):  # what was printed before, of another day
            heads = (re.sub("─+", "─", table.partition("╞")[0]).split() for table in (block.text, printed))
            assert next(heads) == next(heads)  # a column is as wide as that day's figures
        elif block.language == "text":
            told = re.sub(r"\d", r"\\d", re.escape(block.text.strip())).replace(r"\d" * 4, r"\d+")
            told = re.sub("─+", "─+", told)  # the frame is as wide as the address needs
            assert up is not None
            up.wait_for(told)
        elif "curl" in block.text:
            assert up is not None
            answer = summary(block, up)
            assert answer["faces"] > 100
            assert answer["happiness"] > 0
        elif block.language == "python":
            exec(compile(block.text, str(block), "exec"), {})  # noqa: S102
            printed = capsys.readouterr().out
            assert "shape: (5, 3)" in printed
        else:
            for command in block.commands():
                run(block, command)
    assert up is not None
    assert up.rows() == 0  # the last step has erased all of it
    assert (home.parent / "me.html").stat().st_size > 10_000


def summary(block: Block, up: Up) -> dict[str, Any]:
    """Return the answer to what the block asks, at the address that this dashboard has."""
    address = re.findall(r"curl (http://\S+)", block.text)[0]
    here = up.wait_for(r"dashboard is at (http://127\.0\.0\.1:\d+)")[1]
    with urllib.request.urlopen(address.replace("http://127.0.0.1:8080", here), timeout=60) as answer:  # noqa: S310
        told: dict[str, Any] = json.load(answer)
    return told


def run(block: Block, command: str) -> None:
    given = arguments(command.replace("camera-0", "demo"))
    assert given is not None, f"{block}: {command}"
    done = CliRunner().invoke(app, [*given, *(["--yes"] if "erase" in given else [])])
    assert done.exit_code == 0, f"{block}: {command}\n{done.output}\n{done.exception!r}"


def test_what_listens_hears_of_every_face(home: Path, mosquitto: str) -> None:
    secrets = CliRunner().invoke(app, ["secrets"])
    (home.parent / "broker.env").write_text(secrets.stdout)
    user, password = (line.split("=", 1)[1] for line in secrets.stdout.split())
    up = Up(home, "demo")
    up.wait_for_rows(5)
    port = up.wait_for(r"broker listens on 127\.0\.0\.1:(\d+)")[1]
    script = next(block for block in blocks(MAKER) if "on_message" in block.text)
    heard = first_line([sys.executable, "-c", script.text.replace("1883", port)])
    assert re.fullmatch(r"demo \d+ smiles?", heard), heard
    line = next(block for block in blocks(MAKER) if "mosquitto_sub" in block.text).commands()[0]
    line = line.replace("USERNAME", user).replace("PASSWORD", password).replace("1883", port)
    assert json.loads(first_line(["bash", "-c", f"exec {line}"]))["state"] == "ok"
    assert up.stop() == 0, up.log.read_text()


def first_line(command: list[str]) -> str:
    """Return the first line that a program without end prints."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline().strip()
        if not line:
            pytest.fail(process.communicate(timeout=60)[1])
        return line
    finally:
        process.kill()
        process.communicate()
