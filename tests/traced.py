"""Commands under `strace` with an empty home: what they sent beyond this machine, where they listened and wrote."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from programs import program

__all__ = ["Traced", "Tracing"]

CALLS = "connect,sendto,sendmsg,sendmmsg,listen,open,openat,creat,mkdir,mkdirat,rename,renameat,renameat2,link,symlink"
ADDRESS = re.compile(r'sa_family=AF_INET6?, sin6?_port=htons\((\d+)\).*?(?:inet_addr\(|AF_INET6, )"([^"]+)"')
LISTENS = re.compile(r"^listen\(\d+<[A-Za-z0-9]+:\[(.*)\]>")
OPENED = re.compile(r"^(?:openat|open|creat)\(.*(?:O_WRONLY|O_RDWR|O_CREAT|^creat).* = \d+<(/.*)>$")
NAMED = re.compile(r'^(?:mkdir|mkdirat|rename|renameat|renameat2|link|symlink)\(.*"(/[^"]*)"[^"]*\) += 0$')
OURS = re.compile(r"^(::ffff:)?127\.|^::1$|^\[::1\]|^\[::ffff:127\.")
NAME_SERVER = 53


class Traced(NamedTuple):
    """What a command did.

    Attributes:
        code: Its exit code.
        output: Its standard output and error.
        sent: The calls that sent something beyond this machine, or asked a name server, even one on this machine.
        listened: The addresses beyond loopback on which it listened.
        written: The files and folders that it wrote outside its state folder, output and temporary folder.
        left: What it left in its home but outside the state folder, and the files left in the temporary folder.
    """

    code: int
    output: str
    sent: list[str]
    listened: list[str]
    written: list[str]
    left: list[str]


class Tracing:
    """A place with an empty home, an output folder, in which commands run, and a temporary folder.

    Args:
        folder: Where these are made.
    """

    def __init__(self, folder: Path) -> None:
        self.home, self.out, self.temporary, self._calls = (folder / name for name in ("home", "out", "tmp", "calls"))
        for made in (self.home, self.out, self.temporary, self._calls):
            made.mkdir(parents=True)
        self.state = self.home / ".local" / "share" / "mien"
        self._traces = 0

    def command(self, *words: str) -> list[str]:
        """Return the words that run a command traced, its calls in a folder of their own."""
        self._traces += 1
        trace = self._calls / str(self._traces)
        trace.mkdir()
        return [
            program("strace"), "-ff", "-qq", "-yy", "--seccomp-bpf", "-e", f"trace={CALLS}", "-o", str(trace / "of"),
            *words,
        ]  # fmt: skip

    def environment(self) -> dict[str, str]:
        """Return the variables of somebody who has just logged in for the first time."""
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "TMPDIR": str(self.temporary),
            "LANG": "C.UTF-8",
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    def run(self, *words: str, seconds: float | None = None) -> Traced:
        """Run a Python command to its end, or interrupt it, as Ctrl-C does, after so many seconds."""
        stopped = ["timeout", "-s", "INT", "-k", "60", str(seconds)] if seconds else []
        done = subprocess.run(
            self.command(*stopped, sys.executable, *words), cwd=self.out, env=self.environment(),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
            timeout=600,
        )  # fmt: skip
        return self.read(done.returncode, done.stdout)

    def read(self, code: int, output: str) -> Traced:
        """Return what the commands of this place did until now."""
        sent, listened, written = [], [], set()
        for trace in sorted(self._calls.rglob("of.*")):
            for line in trace.read_text(errors="replace").splitlines():
                if line.startswith(("connect", "send")):
                    sent += [line for port, host in ADDRESS.findall(line) if not _stays(host, int(port))]
                elif match := LISTENS.match(line):
                    listened += [match[1]] if not OURS.match(match[1]) else []
                elif match := OPENED.match(line) or NAMED.match(line):
                    written |= {match[1]} if not self._allowed(match[1]) else set()
        return Traced(code, output, sent, listened, sorted(written), self._left())

    def _allowed(self, path: str) -> bool:
        ours = (self.state, self.out, self.temporary)
        parents = {str(parent) for parent in self.state.parents if self.home in parent.parents}
        return path.startswith(("/dev/", "/proc/", *map(str, ours))) or path in parents

    def _left(self) -> list[str]:
        home = [path for path in self.home.rglob("*") if self.state not in (path, *path.parents)]
        beside = [path for path in home if path not in self.state.parents]
        return sorted(map(str, beside + [path for path in self.temporary.rglob("*") if path.is_file()]))


def _stays(host: str, port: int) -> bool:
    return port != NAME_SERVER and bool(OURS.match(host))
