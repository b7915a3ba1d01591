"""The sdist and the wheel: what is in them; that they work in an empty environment without extras or a network."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import mien

ROOT = Path(__file__).parents[2]
TIMEOUT_S = 240
BUDGET_MB = 550
"""Of an installation without extras, by benchmarks/installed_size.py; docs/deploy/platforms.md says what weighs."""

HELD_BY = {
    "analyze": ("polars", "vaderSentiment"),
    "dashboard": ("fastapi", "jinja2", "plotly", "uvicorn"),
    "postgres": ("psycopg",),
    "bigquery": ("google",),
    "train": ("torch", "lightning", "onnx", "pyarrow", "matplotlib", "fsspec"),
}
"""What must not be there where an extra was not asked for."""


def run(*command: str | Path, folder: Path | None = None, **more: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MIEN_", "PYTHON"))}
    return subprocess.run(
        [*map(str, command)],
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        cwd=folder,
        env={**environment, **more},
        check=False,
    )


pytestmark = pytest.mark.timeout(500)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The sdist, and the wheel made from it as for a stranger."""
    folder = tmp_path_factory.mktemp("dist")
    # with the build system that is here, which is checked to be what pyproject.toml asks for
    done = run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    return next(folder.glob("*.tar.gz")), next(folder.glob("*.whl"))


def required(name: str, extras: frozenset[str] = frozenset()) -> set[str]:
    """Return the distributions that one needs, by name: by what the installed ones say of themselves."""
    found: set[str] = set()
    for line in metadata.requires(name) or ():
        one = Requirement(line)
        wanted = one.marker is None or any(one.marker.evaluate({"extra": extra}) for extra in extras | {""})
        if wanted and canonicalize_name(one.name) not in found:
            found |= {canonicalize_name(one.name)} | required(one.name, frozenset(one.extras))
    return found


class Installed:
    """A virtual environment that holds the wheel and what it depends on, and nothing else.

    The dependencies' files are links to those of the environment of these tests, so nothing is fetched and compiled
    anew; that they are all that the wheel asks for, `pip check` says.
    """

    def __init__(self, folder: Path, wheel: Path) -> None:
        self.folder = folder
        self.environment = folder / "venv"
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", self.environment], check=True, timeout=120)
        here, there = Path(sysconfig.get_path("purelib")), next(self.environment.glob("lib/python*/site-packages"))
        for name in required("mien"):
            for file in {Path(str(one.locate())).resolve() for one in metadata.distribution(name).files or ()}:
                if file.is_relative_to(here):
                    self._link(file, there / file.relative_to(here))
                elif file.is_relative_to(Path(sys.prefix).resolve()):
                    self._link(file, self.environment / file.relative_to(Path(sys.prefix).resolve()))
        pip = (sys.executable, "-m", "pip", "--python", self.environment, "--disable-pip-version-check")
        done = run(*pip, "install", "--quiet", "--no-deps", "--no-index", wheel)
        assert done.returncode == 0, done.stdout + done.stderr
        checked = run(*pip, "check")
        assert checked.returncode == 0, checked.stdout

    def _link(self, file: Path, place: Path) -> None:
        if not file.exists():
            return
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            place.hardlink_to(file)
        except OSError:  # on another disk
            shutil.copy2(file, place)

    def mien(self, *arguments: str | Path, before: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
        command = (*before, self.environment / "bin/mien", *arguments)
        return run(*command, MIEN_HOME=str(self.folder / "state"))

    def python(self, script: str, *arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
        command = (self.environment / "bin/python", "-c", script, *arguments)
        return run(*command, folder=folder, MIEN_HOME=str(self.folder / "state"))


@pytest.fixture(scope="module")
def installed(built: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    folder = tmp_path_factory.mktemp("installed")
    yield Installed(folder, built[1])
    shutil.rmtree(folder / "venv")


@pytest.fixture(scope="module")
def offline() -> tuple[str, ...]:
    """What runs a command where there is no network but this machine itself."""
    command = ("unshare", "--map-root-user", "--net", "sh", "-c", 'ip link set lo up 2>/dev/null; exec "$@"', "sh")
    reach = "import socket; socket.create_server(('127.0.0.1', 0)); socket.create_connection(('192.0.2.1', 9), 1)"
    if not shutil.which("unshare") or run("unshare", "--map-root-user", "--net", "true").returncode:
        pytest.skip("unshare may not make a network namespace here")
    assert "unreachable" in run(*command, sys.executable, "-c", reach).stderr, "there is no network in there"
    return command


def test_the_wheel_holds_the_package_and_nothing_else(built: tuple[Path, Path]) -> None:
    with zipfile.ZipFile(built[1]) as wheel:
        names = wheel.namelist()
    meta = f"mien-{mien.__version__}.dist-info/"
    assert {name.split("/")[0] for name in names} == {"mien", meta.rstrip("/")}
    assert {f"{meta}licenses/LICENSE", f"{meta}licenses/NOTICES.md", "mien/py.typed"} < set(names)
    expected = {str(path.relative_to(ROOT / "src")) for path in tracked("src") if path.exists()}
    assert {name for name in names if name.startswith("mien/")} >= expected
    pages = {path.relative_to(ROOT) for path in tracked("docs") if path.suffix in (".md", ".webp", ".svg", ".toml")}
    assert {f"mien/{page}" for page in pages} | {"mien/docs/mkdocs.yml"} <= set(names)
    assert not [name for name in names if name.startswith("mien/docs/") and name.endswith(".py")]
    strays = [name for name in names if "test" in name or name.endswith((".pyc", ".ckpt", ".orig", "~"))]
    assert not strays


def test_the_sdist_holds_all_that_is_needed_to_build_test_and_read_it(built: tuple[Path, Path]) -> None:
    with tarfile.open(built[0]) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
    for name in ("LICENSE", "NOTICES.md", "README.md", "CHANGELOG.md", "CONTRIBUTING.md", "pyproject.toml", "Makefile"):
        assert name in names
    for folder in ("docs", "tests", "deploy", "benchmarks", "src", "notebooks"):
        assert {str(path.relative_to(ROOT)) for path in tracked(folder) if path.exists()} <= names, folder
    strays = [name for name in names if name.endswith(".pyc") or name.startswith((".venv", "deploy/secrets", "runs/"))]
    assert not strays


def tracked(folder: str) -> list[Path]:
    listed = run("git", "-C", ROOT, "ls-files", folder)
    if listed.returncode:
        pytest.skip("this is no git checkout")
    return [ROOT / line for line in listed.stdout.splitlines()]


def test_without_extras_it_is_light(installed: Installed) -> None:
    done = run(installed.environment / "bin/python", ROOT / "benchmarks" / "installed_size.py")
    sizes = {line.split()[-1]: float(line.split()[0]) for line in done.stdout.splitlines()}
    assert not {name.lower() for name in sizes} & {name.lower() for held in HELD_BY.values() for name in held}
    assert sizes["opencv-python-headless"] > 100, "they are counted"
    assert sizes["together"] <= BUDGET_MB, done.stdout


def test_it_analyses_without_extras_and_without_a_network(
    installed: Installed, offline: tuple[str, ...], tmp_path: Path
) -> None:
    from mien.media.demo import Demo

    assert "Usage: mien" in installed.mien("--help", before=offline).stdout
    doctor = installed.mien("doctor", before=offline)
    assert doctor.returncode == 0, doctor.stdout + doctor.stderr
    assert "not installed: pip install 'mien[dashboard]'" in doctor.stdout

    import cv2

    with Demo() as demo:
        cv2.imwrite(str(tmp_path / "face.png"), next(iter(demo)).image)
    done = installed.mien("analyze", tmp_path / "face.png", "-o", tmp_path / "faces.csv", before=offline)
    assert done.returncode == 0, done.stderr
    assert len((tmp_path / "faces.csv").read_text().splitlines()) == 2, "a header, and one row for the one face"


def test_everything_runs_without_a_network(offline: tuple[str, ...], tmp_path: Path) -> None:
    """With the extras of these tests: broker, watch, forward and dashboard, and no host to be found."""
    script = (
        "import pathlib, sys; sys.path.insert(0, sys.argv[1]); from running import Up\n"
        "import urllib.request\n"
        "up = Up(pathlib.Path(sys.argv[2]), 'demo')\n"
        "url = up.wait_for(r'the dashboard is at (\\S+)')[1]\n"
        "page = urllib.request.urlopen(url, timeout=60).read().decode()\n"
        "assert 'Mien' in page and '//cdn' not in page, page[:500]\n"
        "print(up.wait_for_rows(20), up.stop())\n"
    )
    done = run(*offline, sys.executable, "-c", script, ROOT / "tests", tmp_path / "home")
    assert done.returncode == 0, done.stdout + done.stderr
    rows, code = done.stdout.split()
    assert int(rows) > 20
    assert code == "0"


MISSING = [
    ("analyze", ["analyze", "demo.png", "-o", "faces.parquet"]),
    ("analyze", ["report", "album", "demo.png", "-o", "album.html"]),
    ("dashboard", ["dashboard"]),
    ("dashboard", ["up", "demo"]),
    ("postgres", ["forward", "--once", "--store", "postgresql://nobody@127.0.0.1:9/none"]),
    ("bigquery", ["forward", "--once", "--store", "bigquery://project/dataset"]),
    ("s3", ["model", "pull", "s3://bucket/run"]),
    ("train", ["train", "--data", "none.csv", "--out", "run"]),
    ("train", ["evaluate", "fer2013", "--data", "demo.png"]),
    ("train", ["export", "none.ckpt", "--data", "none.csv", "--out", "models"]),
    ("dashboard", ["access", "password", "ada"]),
    ("heic", ["analyze", "photo.heic"]),
]
"""Which extra each command asks for."""

TRIED = """
import contextlib, io, json, sys
from mien.cli.app import main
told = []
for arguments in json.loads(sys.argv[1]):
    sys.argv[1:], said = arguments, io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            main()
    except SystemExit as left:
        told.append([left.code, said.getvalue()])
print(json.dumps(told))
"""


def test_a_missing_extra_is_named_in_one_line(installed: Installed, tmp_path: Path) -> None:
    import cv2
    import numpy as np

    cv2.imwrite(str(tmp_path / "demo.png"), np.zeros((200, 200, 3), np.uint8))
    (tmp_path / "photo.heic").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0heicmif1" + bytes(100))
    done = installed.python(TRIED, json.dumps([arguments for _, arguments in MISSING]), folder=tmp_path)
    assert done.returncode == 0, done.stderr
    for (extra, arguments), (code, said) in zip(MISSING, json.loads(done.stdout.splitlines()[-1]), strict=True):
        assert f"pip install 'mien[{extra}]'" in said, (arguments, said)
        assert said.strip().splitlines()[-1].startswith("mien: "), (arguments, said)
        assert "bug" not in said
        assert code == 1, arguments
