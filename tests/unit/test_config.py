from __future__ import annotations

from pathlib import Path

import pytest

from mien.config import Settings, SourceSettings, effective, fields, load
from mien.errors import ConfigError

pytestmark = pytest.mark.usefixtures("nothing_set")


def test_flags_win_over_environment_over_file_over_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load().dashboard.port is None
    Path("mien.toml").write_text('[dashboard]\nport = 1001\nhost = "::1"\n[broker]\nprefix = "shop"\n')
    assert load().dashboard.port == 1001
    monkeypatch.setenv("MIEN_DASHBOARD__PORT", "1002")
    assert load().dashboard.port == 1002
    settings = load({"dashboard": {"port": 1003, "host": None}})
    assert (settings.dashboard.port, settings.dashboard.host, settings.broker.prefix) == (1003, "::1", "shop")


def test_the_file_can_be_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = tmp_path / "other.toml"
    other.write_text("[watch]\nfps = 5\n")
    assert load(file=other).watch.fps == 5
    monkeypatch.setenv("MIEN_CONFIG", str(other))
    assert load().watch.fps == 5


@pytest.mark.parametrize(
    ("toml", "expected"),
    [
        ("[dashbord]\nport = 1", "unknown setting 'dashbord' in 'mien.toml': did you mean dashboard?"),
        ("[dashboard]\nprot = 1", "unknown setting 'dashboard.prot' in 'mien.toml': did you mean dashboard.port?"),
        ("[dashboard]\nport = 70000", "setting 'dashboard.port' (MIEN_DASHBOARD__PORT): input should be less than"),
        ("[dashboard\n", "'mien.toml' is not valid TOML"),
        ("dashboard = 3", "setting 'dashboard'"),
        ("[[source]]\nname = 'hall'", "setting 'source.url' of [[source]] 1 is missing in 'mien.toml'"),
        ("[[source]]\nurl = '0'\nfsp = 1", "unknown setting 'source.fsp' in 'mien.toml': did you mean source.fps?"),
        ("[[source]]\nurl = '0'\n[[source]]\nurl = '1'\nfps = 0", "setting 'source.fps' of [[source]] 2: input should"),
        ("[[source]]\nurl = '0'\nname = 'The hall'", "setting 'source.name' of [[source]] 1: string should match"),
        ("[[source]]\nurl = '0'\nmask = [[0, 0, 2, 1]]", "setting 'source.mask' of [[source]] 1: expected a rectangle"),
        (
            "[[source]]\nurl = '0'\nmask = [[[0, 0], [1, 1]]]",
            "a polygon of at least three [x, y], all from 0 to 1, but",
        ),
        ("[[source]]\nurl = '0'\nmask = ['left']", "setting 'source.mask' of [[source]] 1: expected a rectangle"),
        ("[[source]]\nurl = '0'\nmask = 0.5", "setting 'source.mask' of [[source]] 1: input should be a valid tuple"),
        ("[source]\nurl = '0'", "setting 'source': input should be a valid tuple"),
        (
            "[[source]]\nurl = '0'\nname = 'a'\n[[source]]\nurl = '1'\nname = 'a'",
            "setting 'source': two sources are called 'a'",
        ),
    ],
)
def test_a_bad_file_gets_one_line(toml: str, expected: str) -> None:
    Path("mien.toml").write_text(toml)
    with pytest.raises(ConfigError) as caught:
        load()
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unknown_variable_suggests_the_nearest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIEN_DASHBOARD_PORT", "1")
    with pytest.raises(ConfigError, match=r"MIEN_DASHBOARD_PORT.*MIEN_DASHBOARD__PORT"):
        load()


def test_a_missing_named_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read the settings file"):
        load(file=tmp_path / "none.toml")


def test_secrets_are_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIEN_BROKER__PASSWORD", "hunter2")
    settings = load({"store": {"url": "postgresql://me:hunter2@db/mien"}})
    assert settings.store_url.startswith("postgresql://me:hunter2@")
    assert "hunter2" not in effective(settings) + repr(settings)
    with pytest.raises(ConfigError) as caught:
        load({"broker": {"password": ["hunter2"]}})
    assert "hunter2" not in str(caught.value)


def test_sources_are_listed_as_tables() -> None:
    Path("mien.toml").write_text(
        "[watch]\nfps = 10\npreview = 'blurred'\n[[source]]\nurl = 'rtsp://me:hunter2@cam/1'\nname = 'hall'\nfps = 5\n"
        "mask = [[0.5, 0, 0.25, 1], [[0, 0], [0.5, 0], [0, 0.5]]]\n[[source]]\nurl = 'demo'\nloop = true\n"
        "preview = 'off'\n"
    )
    hall, demo = load().source
    assert (hall.name, hall.fps, demo.name, demo.fps, demo.loop) == ("hall", 5, None, None, True)
    assert hall.mask == (((0.5, 0), (0.75, 0), (0.75, 1), (0.5, 1)), ((0, 0), (0.5, 0), (0, 0.5)))
    assert [load().overridden(one).watch.preview for one in (hall, demo)] == ["blurred", "off"]
    assert "rtsp://***@cam/1" in effective(load())
    assert "hunter2" not in effective(load())


def test_what_is_shown_can_be_read_back() -> None:
    sources = [{"url": "demo", "mask": [[0, 0, 0.5, 0.5]], "loop": True}, {"url": "0", "fps": 2}]
    settings = load({"broker": {"prefix": "a/b"}, "watch": {"fps": 2.5}, "source": sources})
    Path("mien.toml").write_text(effective(settings))
    assert load() == settings


def test_what_is_shown_sets_no_masked_secret_when_it_is_read_back() -> None:
    hook = {"name": "full", "on": "drops", "webhook": "https://example.org/hunter2"}
    settings = load({"store": {"url": "postgresql://me:hunter2@db/mien"}, "alert": [hook]})
    Path("mien.toml").write_text(effective(settings))
    assert '# url = "********"' in effective(settings)
    assert load().store.url is None
    assert load().alert[0].webhook is None


def test_a_file_as_windows_editors_write_it_is_read() -> None:
    Path("mien.toml").write_bytes(b"\xef\xbb\xbf[watch]\r\nfps = 5\r\n")
    assert load().watch.fps == 5


def test_every_setting_has_a_description() -> None:
    assert all(field.description for _, field in (*fields(), *fields(SourceSettings, "source.")))


def test_the_state_folder_is_private(tmp_path: Path) -> None:
    home = Settings(home=tmp_path / "a" / "state").ensure_home()
    assert home.stat().st_mode & 0o777 == 0o700


def test_a_state_folder_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="name another with MIEN_HOME"):
        Settings(home=tmp_path / "file" / "state").ensure_home()
