"""Child processes that our own commands start: kept apart from the terminal, and asked to end in order."""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import suppress
from typing import Any

__all__ = ["APART", "ask_to_end", "end_in_order"]

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
