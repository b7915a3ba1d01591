"""Child processes that our own commands start: kept apart from the terminal, bounded, and asked to end in order."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from typing import Any

__all__ = ["APART", "READY", "ask_to_end", "end_in_order", "limit_memory", "ran_out"]

READY = "ready: "
"""How the line begins by which a part tells its supervisor, on the standard output, that it is ready."""

APART: dict[str, Any] = (
    {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}  # type: ignore[attr-defined]
    if os.name == "nt"
    else {"start_new_session": True}
)
"""Options of `subprocess.Popen` with which Ctrl-C in the terminal does not reach the child."""


def ask_to_end(child: subprocess.Popen[bytes]) -> None:
    """Ask one of our own commands, started with `--lifeline` and a pipe as its standard input, to end in order."""
    if os.name == "nt":  # where to terminate is to kill
        with suppress(OSError):
            child.stdin.close()  # type: ignore[union-attr]
    else:
        child.terminate()


def end_in_order() -> None:
    """End this process as SIGTERM would, from any thread; what the process does at SIGTERM, it does."""
    if os.name == "nt":  # where os.kill kills
        signal.raise_signal(signal.SIGTERM)
    else:
        os.kill(os.getpid(), signal.SIGTERM)


def limit_memory(mib: int) -> None:
    """Let this process, and each that it starts, have so much memory at most, in MiB; only Linux knows how.

    What asks for more gets a MemoryError, or ends where its library does not expect to be refused.
    """
    if sys.platform == "linux":
        import resource

        most = mib << 20
        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        if hard != resource.RLIM_INFINITY:
            most = min(most, hard)
        resource.setrlimit(resource.RLIMIT_DATA, (most, most))


def ran_out(code: int | None) -> bool:
    """Say by a process's exit code whether it gave itself up, as most libraries do that are refused memory."""
    return code is not None and code == -getattr(signal, "SIGABRT", 0)
