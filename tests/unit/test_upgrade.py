"""What the first release wrote still opens: settings, records, outbox, accesses and secrets.

`releases/` holds the files as that release had them; stores have their own in `tests/contract/schemas`.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from mien.config import AlertSettings, SourceSettings, fields, load
from mien.edge.outbox import Outbox
from mien.edge.remote import Remote
from mien.mqtt import credentials
from mien.observation import AboveUsual, Openness, Pose, decode, encode, first_form

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FIRST = Path(__file__).parent / "releases" / "0.1.0"

pytestmark = pytest.mark.usefixtures("nothing_set")


def plain(value: Any) -> Any:
    """Return a setting's value as TOML has it."""
    if hasattr(value, "get_secret_value"):
        return value.get_secret_value()
    return str(value) if isinstance(value, Path) else value


def test_the_first_releases_settings_are_read_each_as_it_was(caplog: pytest.LogCaptureFixture) -> None:
    written = tomllib.loads((FIRST / "mien.toml").read_text(encoding="utf-8"))
    settings = load(file=FIRST / "mien.toml")
    for table, values in written.items():
        if isinstance(values, list):
            for one, given in zip(getattr(settings, table), values, strict=True):
                assert {name: plain(getattr(one, name)) for name in given if name != "mask"} == {
                    name: value for name, value in given.items() if name != "mask"
                }
        elif isinstance(values, dict):
            assert {name: plain(getattr(getattr(settings, table), name)) for name in values} == values
        else:
            assert plain(getattr(settings, table)) == values
    assert settings.source[0].mask[1] == ((0.8, 0), (1, 0), (1, 0.4))
    assert not caplog.messages, "none has another name now"


def test_the_file_of_the_first_release_names_every_setting_of_it() -> None:
    """Until there is a second release: one that is added before the first belongs into the file."""
    import mien

    if mien.__version__ != "0.1.0":
        pytest.skip("0.1.0 is out: its file stays as it is")
    written = tomllib.loads((FIRST / "mien.toml").read_text(encoding="utf-8"))
    named = {f"{table}.{name}" for table, values in written.items() if isinstance(values, dict) for name in values}
    assert {"home", *named} == {name for name, _ in fields()}
    for table, model in (("source", SourceSettings), ("alert", AlertSettings)):
        assert {name for one in written[table] for name in one} == set(model.model_fields)


def test_an_outbox_of_the_first_release_delivers_what_it_holds(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "lobby.db")) as raw:
        raw.executescript((FIRST / "outbox.sql").read_text(encoding="utf-8"))
    outbox = Outbox(tmp_path, "lobby")
    try:
        counts = outbox.counts
        assert (counts.taken, counts.confirmed, counts.dropped, counts.depth) == (5, 2, 0, 3)
        outbox.set_window(10)
        assert [row.seq for row in outbox.released(0, 10)] == [2, 3, 4]
    finally:
        outbox.close()


def test_a_record_of_the_first_release_is_read_and_written_as_it_was() -> None:
    payload = (FIRST / "observation.json").read_bytes()
    observation = decode(payload)
    assert observation.span_s is None
    assert all(face.read and face.pose is None and face.openness is None for face in observation.faces)
    assert json.loads(encode(observation)) == json.loads(payload)
    looks = {"read": False, "pose": Pose(yaw=-3.0), "openness": Openness(eyes=0.5)}
    looks["above_usual"] = AboveUsual(0, 0, 0, 0.25, 0, 0, -0.25)
    faces = [msgspec.structs.replace(face, **looks) for face in observation.faces]
    now = msgspec.structs.replace(observation, span_s=0.04, faces=faces)
    assert decode(encode(now)) == now
    assert json.loads(first_form(encode(now))) == json.loads(payload), "what forwarders of that release read"


def test_the_other_files_of_the_state_folder_are_read(tmp_path: Path) -> None:
    for name in ("access.json", "secrets.json"):
        shutil.copy(FIRST / name, tmp_path)
        (tmp_path / name).chmod(0o600)
    (tmp_path / "remote").mkdir()
    shutil.copy(FIRST / "remote.json", tmp_path / "remote" / "lobby.json")
    from mien.dashboard.security.accounts import entries

    assert [(entry.name, entry.role, entry.kind) for entry in entries(tmp_path)] == [
        ("ada", "editor", "password"),
        ("grafana", "viewer", "token"),
    ]
    known = credentials.read(tmp_path)
    assert known is not None
    assert known.password == "0123456789abcdefghijklmnopqrstuv"  # noqa: S105
    remote = Remote(load({"home": tmp_path, "watch": {"remote": True}}), "lobby")
    assert (remote.threshold, remote.fps, remote.paused) == (0.6, None, True)
