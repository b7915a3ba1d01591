"""A clock that jumps while a process runs: how far it is ahead stands in a file, and a file can be rewritten.

Only this process's own idea of the time of day changes: what has passed since the machine's start stays true, as it
does where somebody sets a machine's clock.
"""

from __future__ import annotations

import sys
import time
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any

__all__ = ["follow", "step"]

LOOK_S = 0.02


def step(file: Path, days: float) -> None:
    """Let the clocks of all who follow the file be so many days ahead; 0: right."""
    part = file.with_name(f"{file.name}.part")
    part.write_text(str(days * 86400))
    part.replace(file)


def follow(file: Path) -> None:
    """Let this process's clock follow the file from now on."""
    real, real_ns, looked = time.time, time.time_ns, [0.0, 0.0]

    def ahead_s() -> float:
        if time.monotonic() - looked[0] > LOOK_S:
            looked[:] = time.monotonic(), float(file.read_text()) if file.exists() else 0.0
        return looked[1]

    class AnyDatetime(type):
        def __instancecheck__(cls, value: object) -> bool:
            return isinstance(value, datetime)

    class Stepped(datetime, metaclass=AnyDatetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Any:
            return datetime.now(tz) + timedelta(seconds=ahead_s())

    time.time = lambda: real() + ahead_s()
    time.time_ns = lambda: real_ns() + int(ahead_s() * 1e9)
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] in ("mien", "parts") and getattr(module, "datetime", None) is datetime:
            module.datetime = Stepped  # type: ignore[attr-defined]
