"""Another package's detector, source and store: installed beside Mien, each is used by the commands."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

CODE = '''
import os
from datetime import datetime, timezone
from pathlib import Path

import numpy as np

from mien.media.base import Frame
from mien.stores.sql import SqlStore
from mien.vision.detector import Faces


def note(what):
    with open(os.environ["NOTES"], "a") as notes:
        notes.write(what + "\\n")


class Middle:
    """Sees one face in the middle of each frame."""

    def __init__(self, confidence, max_side):
        note(f"detector {confidence} {max_side}")

    def detect(self, frame):
        note("detect")
        height, width = frame.shape[:2]
        box = np.float32([[width / 4, height / 4, width / 2, height / 2]])
        return Faces(box, np.zeros((1, 5, 2), np.float32), np.float32([0.9]))


class Stripes:
    """Ten frames."""

    live, dropped, expected, state, problem = False, 0, 10, "ok", None

    def __init__(self, name):
        self.name = name

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def close(self):
        pass

    def skip_to(self, offset_s):
        pass

    def __iter__(self):
        began = datetime.now(timezone.utc)
        for number in range(10):
            yield Frame(np.full((120, 160, 3), 20 * number, np.uint8), number, number / 25, began)


def stripes(spec, name):
    note(f"source {spec}")
    return Stripes(name or "stripes")


class Noted(SqlStore):
    def __init__(self, url, *, read_only=False):
        note("store")
        super().__init__("sqlite" + url.removeprefix("noted"), read_only=read_only)
'''
POINTS = """
[mien.detectors]
middle = beside_mien:Middle
missing = beside_mien:NotThere

[mien.sources]
stripes = beside_mien:stripes

[mien.stores]
noted = beside_mien:Noted
"""
COMMANDS = """
import json, os, sys
from mien.cli.app import main

for arguments in json.loads(sys.argv[1]):
    with open(os.environ["NOTES"], "a") as notes:
        notes.write("> " + " ".join(arguments) + "\\n")
    sys.argv = ["mien", *arguments]
    try:
        main()
    except SystemExit as end:
        print(arguments, "ended with", end.code)
"""


@pytest.fixture
def beside(tmp_path: Path, tiny_model: Path) -> dict[str, str]:
    """The environment in which a package that adds to Mien is installed and chosen."""
    place = tmp_path / "site"
    folder = place / "beside_mien-1.0.dist-info"
    folder.mkdir(parents=True)
    (place / "beside_mien.py").write_text(CODE)
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: beside-mien\nVersion: 1.0\n")
    (folder / "entry_points.txt").write_text(POINTS)
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("MIEN_")},
        "PYTHONPATH": str(place),
        "NOTES": str(tmp_path / "notes"),
        "MIEN_HOME": str(tmp_path / "home"),
        "MIEN_VISION__DETECTOR": "middle",
        "MIEN_VISION__CONFIDENCE": "0.55",
        "MIEN_VISION__MODEL": str(tiny_model),
        "MIEN_STORE__URL": f"noted:///{tmp_path}/noted.db",
    }


def python(beside: dict[str, str], code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env=beside,
        cwd=Path(beside["MIEN_HOME"]).parent,
        capture_output=True,
        text=True,
        timeout=200,
    )


def noted_by_command(beside: dict[str, str], commands: list[list[str]]) -> dict[str, list[str]]:
    done = python(beside, COMMANDS, json.dumps(commands))
    assert done.returncode == 0, done.stderr
    notes: dict[str, list[str]] = {}
    for line in Path(beside["NOTES"]).read_text().splitlines():
        if line.startswith("> "):
            notes[line[2:].split()[0] + " " + line[2:].split()[1]] = newest = []
        else:
            newest.append(line)
    return notes


def test_each_command_uses_the_detector_the_source_and_the_store(beside: dict[str, str], tmp_path: Path) -> None:
    import cv2
    import numpy as np
    from making import grey_levels, write_video

    (tmp_path / "album").mkdir()
    cv2.imwrite(str(tmp_path / "album" / "photo.png"), np.full((120, 160, 3), 90, np.uint8))
    write_video(tmp_path / "forty.mp4", grey_levels(40), range(0, 40 * 40, 40))
    notes = noted_by_command(
        beside,
        [
            ["analyze", "stripes://ten", "-o", "ten.csv"],
            ["analyze", "album/photo.png", "--blur", "--annotate", "seen.png"],
            ["watch", "stripes://ten"],
            ["bench", "forty.mp4"],
            ["report", "film", "forty.mp4", "-o", "film.html"],
            ["report", "album", "album", "-o", "album.html"],
            ["store", "dead-letters"],
            ["doctor", "--device", "cpu"],
        ],
    )
    assert (tmp_path / "seen.png").exists()
    for command, seen in notes.items():
        if not command.startswith("store"):
            assert "detect" in seen, command
    assert {line for seen in notes.values() for line in seen if line.startswith("detector")} == {"detector 0.55 640"}
    assert "source stripes://ten" in notes["watch stripes://ten"]
    assert "store" in notes["store dead-letters"]
    rows = (tmp_path / "ten.csv").read_text().splitlines()
    assert len(rows) == 11


PYTHON = """
import numpy as np
from mien.compat import deepface, fer
from mien.config import load
from mien.edge.preview import PreviewSwitch
from mien.media.base import Frame
from mien.observation import Observation, new_id, now

picture = np.full((120, 160, 3), 90, np.uint8)
settings = load({"watch": {"preview": "blurred"}})
preview = PreviewSwitch(settings)
record = Observation(new_id(), "a", new_id(), 0, now(), 0.0, 0, 160, 120, "m@00000000", 1.0, [])
preview.note(Frame(picture, 0, 0.0, now()), record)
assert preview.picture()
assert deepface.analyze(picture)
assert fer.FER().detect_emotions(picture)
"""


def test_preview_and_compat_use_the_detector(beside: dict[str, str]) -> None:
    done = python(beside, PYTHON)
    assert done.returncode == 0, done.stderr
    notes = Path(beside["NOTES"]).read_text().splitlines()
    assert notes == ["detector 0.3 480", "detect", "detector 0.55 640", "detect", "detector 0.55 640", "detect"]


def test_the_page_uses_the_detector(
    beside: dict[str, str], tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import cv2
    import numpy as np

    from asking import serving
    from mien.system import plugins

    monkeypatch.syspath_prepend(beside["PYTHONPATH"])
    monkeypatch.setenv("NOTES", beside["NOTES"])
    plugins._registered.cache_clear()
    try:
        vision: dict[str, Any] = {"detector": "middle", "model": tiny_model}
        with serving(tmp_path, vision=vision) as client:
            content = cv2.imencode(".png", np.full((120, 160, 3), 90, np.uint8))[1].tobytes()
            answer = client.post("/v1/analyze", content=content)
        assert len(answer.json()["faces"]) == 1
        assert "detect" in Path(beside["NOTES"]).read_text()
    finally:
        plugins._registered.cache_clear()


@pytest.mark.parametrize(
    ("name", "facts"),
    [("nothing", ("vision.detector", "nothing", "middle", "yunet")), ("missing", ("NotThere", "beside-mien"))],
)
def test_a_detector_that_is_not_there_is_one_line(beside: dict[str, str], name: str, facts: tuple[str, ...]) -> None:
    beside["MIEN_VISION__DETECTOR"] = name
    done = python(beside, "from mien.cli.app import main; main()", "analyze", "demo", "-o", "demo.csv")
    assert done.returncode in (1, 2), done.stderr
    line = done.stderr.strip().splitlines()[-1]
    assert line.startswith("mien: ")
    assert all(fact in line for fact in facts), line
