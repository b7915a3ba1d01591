"""What the first release wrote still opens: settings, outbox, accesses and secrets; former names are read with a line.

`releases/` holds the files as that release had them; stores have their own in `tests/contract/schemas`.
"""

from __future__ import annotations

import shutil
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from mien import config_renames
from mien.config import SourceSettings, fields, load
from mien.config_tables import AlertSettings
from mien.edge import credentials
from mien.edge.outbox import Outbox
from mien.edge.remote import Remote
from mien.errors import ConfigError

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


def test_the_other_files_of_the_state_folder_are_read(tmp_path: Path) -> None:
    for name in ("access.json", "secrets.json"):
        shutil.copy(FIRST / name, tmp_path)
        (tmp_path / name).chmod(0o600)
    (tmp_path / "remote").mkdir()
    shutil.copy(FIRST / "remote.json", tmp_path / "remote" / "lobby.json")
    from mien.dashboard.access import entries

    assert [(one.name, one.role, one.kind) for one in entries(tmp_path)] == [
        ("ada", "editor", "password"),
        ("grafana", "viewer", "token"),
    ]
    known = credentials.read(tmp_path)
    assert known is not None
    assert known.password == "0123456789abcdefghijklmnopqrstuv"  # noqa: S105
    remote = Remote(load({"home": tmp_path, "watch": {"remote": True}}), "lobby")
    assert (remote.threshold, remote.fps, remote.paused) == (0.6, None, True)


@pytest.fixture
def renamed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A version in which three settings have another name than before."""
    names = {"watch.rate": "watch.fps", "page.address": "dashboard.host", "source.rate": "source.fps"}
    for name, value in names.items():
        monkeypatch.setitem(config_renames.RENAMED, name, value)


@pytest.mark.usefixtures("renamed")
def test_a_former_name_is_read_and_told_in_one_line(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    Path("mien.toml").write_text(
        '[watch]\nrate = 5\n[page]\naddress = "::1"\n[[source]]\nurl = "0"\nrate = 3\n[[source]]\nurl = "1"\nrate = 4\n'
    )
    settings = load()
    assert (settings.watch.fps, settings.dashboard.host) == (5, "::1")
    assert [one.fps for one in settings.source] == [3, 4]
    assert caplog.messages == [
        f"setting '{old}' in 'mien.toml' is called '{new}' now: rename it, it is read for a while only"
        for old, new in config_renames.RENAMED.items()
    ]
    caplog.clear()
    monkeypatch.setenv("MIEN_WATCH__RATE", "7")
    assert load().watch.fps == 7, "the environment wins over the file, whatever the names"
    assert "setting 'watch.rate' in the environment is called 'watch.fps' now" in caplog.text
    assert load({"watch": {"fps": 9}}).watch.fps == 9


@pytest.mark.usefixtures("renamed")
def test_where_both_names_are_given_the_present_one_counts_and_nonsense_is_told_as_ever() -> None:
    Path("mien.toml").write_text("[watch]\nrate = 5\nfps = 6\n")
    assert load().watch.fps == 6
    for nonsense in (
        "watch = 3",
        "page = 3",
        "[page]\nother = 1",
        "source = [3]",
        "dashboard = 3\n[page]\naddress = '1'",
    ):
        Path("mien.toml").write_text(nonsense)
        with pytest.raises(ConfigError):
            load()


def test_every_former_name_leads_to_a_setting_that_there_is() -> None:
    known = {name for name, _ in fields()} | {f"source.{name}" for name in SourceSettings.model_fields}
    assert set(config_renames.RENAMED.values()) <= known
    assert not set(config_renames.RENAMED) & known
