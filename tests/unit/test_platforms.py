"""Systems that this was not written on: nothing of Mien needs what only POSIX has."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

import mien
from mien.system import processes
from mien.system.machine import peak_bytes, temperature_c

SRC = Path(mien.__file__).parent
LACKING = {
    "os": "O_CLOEXEC O_NOFOLLOW O_DIRECTORY chown chroot fchmod fchown fork forkpty geteuid getgid getloadavg getpgid "
    "getuid killpg mkfifo nice openpty pipe2 posix_fadvise setsid statvfs sync sysconf uname wait3 wait4",
    "signal": "SIGALRM SIGCHLD SIGCONT SIGHUP SIGKILL SIGPIPE SIGQUIT SIGSTOP SIGUSR1 SIGUSR2 alarm pause setitimer",
}
"""What Windows has not, by the documentation of Python's library."""

# Our own imports of these modules fail as they do on Windows, and the one succeeds that Windows has in their place.
ELSEWHERE = """
import builtins, fcntl, subprocess, sys, types  # subprocess takes msvcrt for a sign of Windows
found = builtins.__import__
LACKING = ("fcntl", "resource", "pwd", "grp", "termios", "tty", "pty", "syslog", "posix")
def locking(handle, mode, count):
    fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB, count)
sys.modules["msvcrt"] = types.SimpleNamespace(LK_NBLCK=2, locking=locking)
def imported(name, globals=None, locals=None, fromlist=(), level=0):
    ours = (globals or {}).get("__name__", "").startswith("mien")
    if ours and name in LACKING:
        raise ModuleNotFoundError(f"No module named '{name}'", name=name)
    return found(name, globals, locals, fromlist, level)
builtins.__import__ = imported
"""


def elsewhere(script: str, *arguments: str | Path) -> str:
    """Run a script where our own modules find no POSIX module, and return what it prints."""
    google = "ignore:You are using a non-supported Python version:FutureWarning"  # of 3.10
    command = [sys.executable, "-W", "error", "-W", google, "-c", ELSEWHERE + script, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=110)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_module_can_be_imported() -> None:
    script = (
        "import importlib, pkgutil, mien\n"
        "from mien.errors import MissingExtraError\n"
        "for one in pkgutil.walk_packages(mien.__path__, 'mien.'):\n"
        "    if not one.name.endswith('__main__') and not one.name.startswith('mien.training'):\n"
        "        try:\n"
        "            importlib.import_module(one.name)\n"
        "        except MissingExtraError:\n"
        "            pass\n"
        "        except ModuleNotFoundError as error:\n"  # of an extra that is not installed here
        "            assert error.name not in LACKING, error\n"
        "from mien.system.machine import peak_bytes\n"
        "print('mien.edge.outbox' in sys.modules, 'mien.dashboard.app' in sys.modules, peak_bytes())\n"
    )
    assert elsewhere(script) == "True True None\n"


def test_a_lock_is_held_by_one_process_at_a_time(tmp_path: Path) -> None:
    script = (
        "import subprocess\n"
        "from pathlib import Path\n"
        "from mien.system.locks import alone\n"
        "from mien.errors import MienError\n"
        "path, depth = Path(sys.argv[1]), int(sys.argv[2])\n"
        "try:\n"
        "    with alone(path, MienError('held')):\n"
        "        print('mine', flush=True)\n"
        "        if depth:\n"
        "            subprocess.run([sys.executable, '-c', sys.argv[3], path, '0', ''], check=True)\n"
        "except MienError as error:\n"
        "    print(error)\n"
        "if depth:\n"
        "    with alone(path, MienError('never'), 30.0):\n"
        "        print('mine again')\n"
    )
    whole = ELSEWHERE + script
    assert elsewhere(script, tmp_path / "lock", "1", whole).split("\n")[:3] == ["mine", "held", "mine again"]


def test_nothing_is_used_that_windows_lacks() -> None:
    lacking = {(module, name) for module, names in LACKING.items() for name in names.split()}
    for path in SRC.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        used = {
            (node.value.id, node.attr)
            for node in ast.walk(ast.parse(text))
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
        }
        unasked = {(module, name) for module, name in used & lacking if f'hasattr({module}, "{name}")' not in text}
        assert not unasked, path


def test_the_hottest_sensor_counts_and_a_mad_one_does_not(tmp_path: Path) -> None:
    assert temperature_c(tmp_path) is None
    for n, told in enumerate((b"41000\n", b"52350\n", b"", b"hot", b"-274000", b"2147483647", b"9" * 9999, b"\xff")):
        (tmp_path / f"thermal_zone{n}").mkdir()
        (tmp_path / f"thermal_zone{n}" / "temp").write_bytes(told)
    (tmp_path / "thermal_zone9").mkdir()  # listed, and cannot be read
    (tmp_path / "cooling_device0").mkdir()
    assert temperature_c(tmp_path) == pytest.approx(52.35, abs=0.06)


def test_the_memory_of_this_process_is_known_here() -> None:
    peak = peak_bytes()
    assert peak is not None
    assert 20e6 < peak < 20e9


@pytest.mark.skipif(os.name != "posix", reason="it plays Windows, which is not played on Windows")
def test_a_child_ends_in_order_where_to_terminate_is_to_kill(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    script = (
        "import os, signal, sys, threading\n"
        "from mien.cli.app import _stop_with_parent\n"
        "from mien.cli.common import stop_on_signals\n"
        "from mien.system import processes\n"
        "stop = stop_on_signals()\n"
        "os.name = 'nt'\n"
        "threading.Thread(target=_stop_with_parent, daemon=True).start()\n"
        "print('ready', flush=True)\n"
        "while not stop.wait(0.1): pass\n"
        "print('in order')\n"
    )
    child = subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        monkeypatch.setattr(processes.os, "name", "nt")
        processes.ask_to_end(child)
        monkeypatch.undo()
        assert child.stdout.read() == b"in order\n"
    assert child.returncode == 0


def test_a_report_has_its_media_where_symbolic_links_are_not_allowed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    reporting = pytest.importorskip("mien.dashboard.api.reports")

    def refused(*_: object) -> None:
        raise OSError(22, "A required privilege is not held by the client")

    monkeypatch.setattr(Path, "symlink_to", refused)
    (tmp_path / "film.mp4").write_bytes(b"film")
    name = reporting._linked(tmp_path / "film.mp4", tmp_path / "report")
    assert (tmp_path / "report" / name).read_bytes() == b"film"
