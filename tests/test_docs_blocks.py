"""Every block of code in README and documentation holds: each command's options exist, all data can be read.

What can be run is run by `test_docs_run.py`; here the rest is held against what it names.
"""

from __future__ import annotations

import configparser
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml

import mien
from doc_blocks import PAGES, ROOT, Block, arguments, blocks, mentioned, prose, words
from mien.cli.app import app
from mien.config import load
from mien.training.config import read

OTHERS = {
    ".", "aws", "cd", "createdb", "createuser", "curl", "docker", "gcloud", "git", "jq", "kubectl", "mosquitto_pub",
    "mosquitto_sub", "openssl", "pipx", "psql", "systemd-sysusers", "torchrun", "uv",
}  # fmt: skip
"""Programs of others that the documentation may name; a new one is added here on purpose."""

OF_OTHERS = {"--build-arg", "--cafile", "--compile-bytecode", "--extra"}
"""Options of theirs that the text mentions: docker's, mosquitto_sub's, uv's."""

ALL = [block for page in PAGES for block in blocks(page)]
SHELL = [(block, command) for block in ALL if block.language == "bash" for command in block.commands()]
COMMAND: Any = typer.main.get_command(app)
MENTIONED = [(page, text) for page in PAGES for text in mentioned(page)]


def options(command: Any) -> set[str]:
    names = [option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)]
    return {name for name in names if name.startswith("--")}.union(
        *(options(one) for one in getattr(command, "commands", {}).values()), {"--help"}
    )


KNOWN = options(COMMAND)
SCRIPTS = "".join(
    file.read_text() for place in ("benchmarks/*.py", "src/**/*.py", "tests/**/*.py") for file in ROOT.glob(place)
)


def named(value: Any) -> str:
    return str(value) if not isinstance(value, Path) else str(value.relative_to(ROOT))


def refusal(given: list[str]) -> tuple[str, str]:
    """Let the command line take a command apart without running it; return the sort of its refusal and its words."""
    command = COMMAND
    context = command.context_class(command, info_name="mien")
    if given[:1] == ["--config"]:
        given = given[2:]
    if given in (["COMMAND"], ["--version"], []):
        return "", ""
    while hasattr(command, "commands") and given:
        if given[0] not in command.commands:
            return "NoSuchCommand", f"{context.info_name} has no command '{given[0]}'"
        command, (name, *given) = command.commands[given[0]], given
        context = command.context_class(command, info_name=name, parent=context)
    if hasattr(command, "commands"):
        return "", ""
    try:
        command.make_context(context.info_name, list(given), parent=context.parent)
    except Exception as error:
        if not hasattr(error, "format_message"):  # typer brings a click of its own, whose classes have no public name
            raise
        return type(error).__name__, error.format_message()
    return "", ""


@pytest.mark.parametrize(("block", "command"), SHELL, ids=named)
def test_every_command_that_is_shown_can_be_given(block: Block, command: str) -> None:
    given = arguments(command)
    if given is None:
        check_other(words(command), command)
        return
    assert refusal(given) == ("", ""), f"{block}: {command}"


def check_other(found: list[str], command: str) -> None:
    """Hold the command of another program against the files, targets and extras that it names."""
    if not found or found[0].startswith(("-", "$")) or found[0] in ("export", "until", "for", "while", "done"):
        return  # an assignment or the shell's own
    if found[0] in ("sudo", "nice"):
        found = found[1:]
    program = Path(found[0]).name or found[0]
    for path in (word for word in found if re.match(r"(benchmarks|deploy|docs|tests|notebooks)/", word)):
        assert list(ROOT.glob(path)) or path == "deploy/secrets", f"{command}: there is no {path}"
    if program == "make":
        assert f"\n{found[1]}:" in (ROOT / "Makefile").read_text(), command
    elif program in ("pip", "uv"):
        check_extras(command)
    elif program in ("python", "python3"):
        check_script(found[1:], command)
    elif program in ("cp", "install", "systemctl"):
        assert command.startswith("sudo") or not any(word.startswith("/") for word in found), f"{command}: as root"
    else:
        assert program in OTHERS, f"{command}: what is {program}? Add it to OTHERS if it is meant"


def check_extras(command: str) -> None:
    known = re.findall(r"(?m)^(\w+) = \[", (ROOT / "pyproject.toml").read_text().split("[project.optional-dep")[1])
    for extras in re.findall(r"(?:mien|\.|\.whl)\[([\w,]+)\]|--extra (\w+)", command):
        assert set("".join(extras).split(",")) <= set(known), f"{command}: there is no such extra"
    for version in re.findall(r"mien-([\d.]+)-py3-none-any\.whl", command):
        assert version == mien.__version__, f"{command}: this is Mien {mien.__version__}"


def check_script(given: list[str], command: str) -> None:
    """A script of this project knows the options that it is given."""
    script = ROOT / given[0]
    if given[0] == "-m":
        script = ROOT / "src" / given[1].replace(".", "/")
        script = script / "__main__.py" if script.is_dir() else script.with_suffix(".py")
        if given[1] in ("venv", "mien", "http.server", "pytest"):
            return
    assert script.is_file(), f"{command}: there is no {script}"
    text = "".join(file.read_text() for file in script.parent.glob("*.py"))
    for option in (word for word in given if word.startswith("--")):
        assert f'"{option}"' in text, f"{command}: there is no {option}"


@pytest.mark.parametrize(("page", "command"), MENTIONED, ids=named)
def test_every_command_in_the_text_has_the_options_that_it_is_said_to_have(page: Path, command: str) -> None:
    sort, message = refusal(arguments(command) or [])  # in the text it may be cut short
    assert sort in ("", "MissingParameter", "BadOptionUsage"), (
        f"{page}: {command}: {message}"
    )  # cut short is no mistake


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_option_in_the_text_is_one(page: Path) -> None:
    for option in re.findall(r"`(--[a-z][a-z0-9-]*)", prose(page)):
        assert option in OF_OTHERS or option in KNOWN or f'"{option}"' in SCRIPTS, f"{page}: {option}"


def test_the_sink_that_is_shown_is_the_one_that_is_tried() -> None:
    shown = [block for block in blocks(ROOT / "docs" / "explanation" / "delivery.md") if block.language == "python"]
    assert [block.text for block in shown] == [(ROOT / "deploy" / "sink.py").read_text(encoding="utf-8")]


@pytest.mark.parametrize("block", ALL, ids=named)
def test_every_block_says_what_it_is_and_can_be_read(block: Block, tmp_path: Path, bare: None) -> None:
    match block.language:
        case "bash" | "sql":
            assert block.text.strip()
        case "text":
            command = re.search(r"(?<![\w/.-])mien ", block.text)
            assert not command, f"{block}: a command that no test reads: call the block bash"
        case "python":
            compile(block.text, str(block), "exec")
        case "json":
            assert json.loads(block.text)
        case "yaml":
            assert yaml.safe_load(block.text)
        case "ini":
            configparser.ConfigParser().read_string(block.text)
        case "toml":
            file = tmp_path / "mien.toml"
            file.write_text(block.text, encoding="utf-8")
            if "epochs" not in block.text:  # the settings of a training run
                load(None, file)
        case other:
            pytest.fail(f"{block}: expected one of bash, python, toml, json, yaml, sql, ini, text; came '{other}'")


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment without settings."""
    for name in [name for name in os.environ if name.startswith("MIEN_")]:
        monkeypatch.delenv(name)


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_no_command_hides_in_a_block_without_a_fence(page: Path) -> None:
    assert not re.findall(r"(?m)^ {4,}(?:mien|python|make|pip|git) .*", prose(page)), "put it between fences"


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_recipe_that_a_page_names_holds(page: Path) -> None:
    for name in set(re.findall(r"docs/model/recipes/\w+\.toml", page.read_text(encoding="utf-8"))):
        recipe = read(ROOT / name)
        assert recipe.epochs, name
        assert f"mien train --config {name}\n" in (ROOT / name).read_text(encoding="utf-8")
