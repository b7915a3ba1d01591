"""The command line as a user meets it: help, errors, exit codes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer.main
from making import grey_levels, write_video
from PIL import Image as Pillow

import mien
from mien.cli.app import app
from mien.cli.common import address_of
from mien.cli.help_text import help_text

COMMANDS = [
    "up",
    "watch",
    "markers",
    "broker",
    "secrets",
    "forward",
    "dashboard",
    "analyze",
    "report",
    "plan",
    "train",
    "evaluate",
    "export",
    "model",
    "store",
    "access",
    "fleet",
    "doctor",
    "bench",
    "config",
]


def run(*arguments: str, home: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mien", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=home,
        env={**os.environ, "MIEN_HOME": str(home / "state"), **environment},
    )


def test_the_version(tmp_path: Path) -> None:
    done = run("--version", home=tmp_path)
    assert (done.returncode, done.stdout) == (0, f"mien {mien.__version__}\n")


def test_every_command_is_there() -> None:
    group = typer.main.get_command(app)
    assert set(COMMANDS) == set(group.commands)  # type: ignore[attr-defined]


@pytest.mark.parametrize("command", COMMANDS)
def test_help_says_what_it_does_with_an_example(command: str) -> None:
    group = typer.main.get_command(app)
    chosen = group.commands[command]  # type: ignore[attr-defined]
    assert chosen.help
    for one in getattr(chosen, "commands", {"": chosen}).values():
        assert one.help
        assert (one.epilog or "").startswith(f"Example: mien {command}")
        for parameter in one.params:
            told = getattr(parameter, "help", None) or getattr(parameter, "hidden", False)
            assert told, f"{command} {one.name}: {parameter.name}"


def groups() -> dict[str, dict[str, Any]]:
    program = typer.main.get_command(app)
    return {"": program.commands} | {  # type: ignore[attr-defined]
        name: command.commands
        for name, command in program.commands.items()  # type: ignore[attr-defined]
        if hasattr(command, "commands")
    }


@pytest.mark.parametrize("group", groups())
def test_each_command_is_listed_on_one_line_of_80_columns_under_a_head(group: str) -> None:
    told = help_text(typer.main.get_command(app), group)
    assert "..." not in told.partition("\n")[2], "no line is cut"
    body = re.split(r"  -h, --help .*\n|  --help .*\n", told)[1].splitlines()
    assert max(map(len, body)) <= 80
    listed = [line.split()[0] for line in body if line.startswith("  ") and not line.startswith("  Start here")]
    assert sorted(listed) == sorted(groups()[group])
    assert "More:" not in body, "each command has a section"


@pytest.mark.parametrize("group", ["", "report", "store"])
def test_a_group_alone_prints_its_help(group: str, tmp_path: Path) -> None:
    done = run(*group.split(), home=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"Usage: {f'mien {group}'.strip()} [OPTIONS] COMMAND")


@pytest.mark.parametrize("command", [f"{group} {name}".strip() for group, names in groups().items() for name in names])
def test_help_names_values_as_people_do(command: str) -> None:
    told = help_text(typer.main.get_command(app), command)
    assert not re.search(r"<[a-z]|\{", told)
    assert max(map(len, told.splitlines())) <= 80
    if command in ("analyze", "report film", "report album"):
        assert "PATH..." in told
        assert "--output PATH" in told


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["frobnicate"], 2, "No such command 'frobnicate'"),
        (["watch"], 2, "mien watch --help"),
        (["watch", "none.mp4"], 2, "none.mp4"),
        (["watch", "/dev/video93"], 2, "/dev/video93"),
        (["analyze", "none.jpg"], 2, "none.jpg"),
        (["analyze", "empty"], 2, "empty"),
        (["analyze", "text.mp4"], 2, "text.mp4"),
        (["analyze", "text.jpg"], 2, "text.jpg"),
        (["analyze", "text.mp4", "-o", "out.xyz"], 2, "out.xyz"),
        (["analyze", "demo", "--start", "1:x"], 2, "'1:x' is no time"),
        (["analyze", "demo", "--blur"], 2, "add --annotate"),
        (["bench", "text.mp4"], 2, "text.mp4"),
        (["--config", "none.toml", "config"], 2, "none.toml"),
        (["forward", "--store", "oracle://x", "--once"], 1, "oracle"),
        (["forward", "--store", "sqlite:////proc/none/mien.db", "--once"], 1, "/proc/none"),
        (["forward", "--store", "sqlite:///text.mp4", "--once"], 1, "text.mp4"),
        (["watch", "demo", "--broker", "localhost:99999"], 2, "broker.port"),
        (["watch", ""], 2, "cannot open ''"),
        (["up", "dmeo"], 2, "did you mean demo?"),
        (["up", "test.mp4"], 2, "did you mean text.mp4?"),
        (["up", "text.mp4"], 2, "text.mp4"),
        (["up", "text.jpg"], 2, "mien analyze"),
        (["--config", "hall.toml", "up", "hal"], 2, "did you mean the source hall?"),
        (["forward", "--broker", ":1883", "--once"], 2, "setting 'broker.host'"),
        (["watch", "demo", "--preview", "soft"], 2, "input should be 'off', 'blurred' or 'plain', but it is 'soft'"),
        (["dashboard", "--port", "x"], 2, "--port"),
        (["--config", "open.toml", "broker"], 2, "mien secrets"),
        (["fleet", "list"], 1, "no broker runs here"),
        (["fleet", "set", "lobby", "fps"], 2, "'fps' is no setting: expected NAME=VALUE"),
        (["fleet", "set", "lobby", "speed=5"], 2, "unknown field `speed`"),
        (["fleet", "set", "lobby", "threshold=high"], 2, "$.threshold"),
        (["fleet", "set", "lobby", "fps=0"], 2, "$.fps"),
        (["fleet", "set", "Lobby/#", "fps=5"], 2, "'Lobby/#' is no name of a source"),
    ],
)
def test_bad_input_gets_one_line_and_its_exit_code(tmp_path: Path, arguments: list[str], code: int, said: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.mp4").write_text("this is no video\n" * 100)
    (tmp_path / "open.toml").write_text('[broker]\nlisten = "0.0.0.0"\n')
    (tmp_path / "hall.toml").write_text('[[source]]\nurl = "rtsp://camera.example/hall"\nname = "hall"\n')
    (tmp_path / "text.jpg").write_text("this is no picture\n" * 100)
    done = run(*arguments, home=tmp_path)
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    assert done.stderr.startswith("mien: ")
    assert done.stderr.count("\n") == 1, done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("given", "host", "port"),
    [
        ("broker.local", "broker.local", None),
        ("broker.local:1884", "broker.local", "1884"),
        ("[fe80::1]:1884", "fe80::1", "1884"),
        ("[fe80::1]", "fe80::1", None),
        ("fe80::1", "fe80::1", None),
    ],
)
def test_a_broker_is_named_by_host_and_port(given: str, host: str, port: str | None) -> None:
    assert address_of(given) == {"host": host, **({"port": port} if port else {})}


def test_a_taken_port_asked_for_by_name_is_refused(tmp_path: Path) -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        for command in ("dashboard", "broker"):
            done = run(command, "--port", port, home=tmp_path)
            assert done.returncode == 1, done.stderr
            assert port in done.stderr.splitlines()[-1]
            assert "Traceback" not in done.stderr


def test_secrets_are_made_once_and_anew_when_asked(tmp_path: Path) -> None:
    first = run("secrets", home=tmp_path).stdout
    assert [line.split("=")[0] for line in first.splitlines()] == ["MIEN_BROKER__USERNAME", "MIEN_BROKER__PASSWORD"]
    assert run("secrets", home=tmp_path).stdout == first
    assert run("secrets", "--new", home=tmp_path).stdout != first
    assert (tmp_path / "state" / "secrets.json").stat().st_mode & 0o777 == 0o600


def test_doctor_finds_nothing_that_fails(tmp_path: Path) -> None:
    done = run("doctor", home=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "emotion model" in done.stdout


HOMELESS = """
import pwd
def unknown(_):
    raise KeyError("no such user")
pwd.getpwuid = unknown
from mien.cli.app import main
main()
"""


def homeless(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a command as a user whom the system doesn't know and who has no HOME, as in containers."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("HOME", "MIEN_", "XDG_"))}
    asked = [sys.executable, "-c", HOMELESS, *arguments]
    return subprocess.run(asked, capture_output=True, text=True, timeout=100, cwd=folder, env=environment, check=False)


def test_without_a_home_folder_analyze_report_and_doctor_work(tmp_path: Path) -> None:
    film = write_video(tmp_path / "film.mp4", grey_levels(25), range(0, 1000, 40))
    Pillow.new("RGB", (64, 48)).save(tmp_path / "photo.jpg")
    analysed = homeless("analyze", str(film), "-o", "out.csv", folder=tmp_path)
    assert analysed.returncode == 0, analysed.stderr
    for arguments in (("film", str(film)), ("album", "photo.jpg")):
        done = homeless("report", *arguments, "-o", f"{arguments[0]}.html", folder=tmp_path)
        assert done.returncode == 0, done.stderr
        assert "is not kept for other reports: there is no state folder" in done.stderr
        assert (tmp_path / f"{arguments[0]}.html").is_file()
    done = homeless("doctor", folder=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "MIEN_HOME" in done.stdout
    assert homeless("config", folder=tmp_path).returncode == 0


@pytest.mark.parametrize(
    "arguments", [("watch", "demo"), ("up", "demo"), ("forward",), ("broker",), ("secrets",), ("dashboard",)]
)
def test_without_a_home_folder_the_others_say_which_variable_to_set(arguments: tuple[str, ...], tmp_path: Path) -> None:
    done = homeless(*arguments, folder=tmp_path)
    assert done.returncode == 2, done.stderr
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("mien: ")]
    assert "MIEN_HOME" in line


def test_config_shows_where_the_state_is(tmp_path: Path) -> None:
    done = run("config", home=tmp_path)
    assert f'home = "{tmp_path / "state"}"' in done.stdout


def test_up_hands_its_flags_on_to_its_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    handed: list[dict[str, str]] = []
    monkeypatch.setenv("MIEN_HOME", str(tmp_path))
    monkeypatch.setattr("mien.cli.services.stop_on_signals", lambda: None)
    monkeypatch.setattr("mien.cli.common.log_as", lambda _: None)
    monkeypatch.setattr("mien.cli.common.keep_log", lambda *_: None)
    monkeypatch.setattr("mien.run.up.run_up", lambda _settings, _source, _stop, flags, **_: handed.append(flags))
    given = ["--port", "8123", "--broker", "mqtt.example:1884", "--preview", "blurred", "--device", "cpu"]
    app(["up", "demo", *given], standalone_mode=False)
    assert handed == [
        {
            "MIEN_VISION__DEVICE": "cpu",
            "MIEN_DASHBOARD__PORT": "8123",
            "MIEN_WATCH__PREVIEW": "blurred",
            "MIEN_BROKER__HOST": "mqtt.example",
            "MIEN_BROKER__PORT": "1884",
        }
    ]
