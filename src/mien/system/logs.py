"""The logs that the parts which run for long keep in the state folder: what each says, dated, bounded in size."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from logging.handlers import RotatingFileHandler
from pathlib import Path

from mien.errors import MienError

__all__ = ["PARTS", "keep_log", "log_as"]

PARTS = frozenset({"up", "watch", "broker", "forward", "dashboard"})
"""Who keeps a log."""

MAX_BYTES = 512 << 10


def keep_log(component: str, home: Callable[[], Path]) -> None:
    """Write this process's log to `logs/` in the state folder too, if it is one of PARTS and the folder can be written.

    Two files of 512 KiB at most are kept of each.

    Args:
        component: Which part this is.
        home: Returns the state folder, made where it is not there; not asked for parts that keep no log.
    """
    if component not in PARTS:
        return
    with suppress(MienError, OSError):  # the command itself says what is wrong with the folder, if it needs it
        folder = home() / "logs"
        folder.mkdir(mode=0o700, exist_ok=True)
        handler = _Log(folder / f"{component}.log", maxBytes=MAX_BYTES, backupCount=1, encoding="utf-8", delay=True)
        handler.setFormatter(_OneLine(f"%(asctime)s  {component:<9}  %(message)s", "%Y-%m-%d %H:%M:%S"))
        logging.getLogger().addHandler(handler)


class _OneLine(logging.Formatter):
    """A message is one line, whatever stands in it: what others sent can neither add a line nor steer a terminal."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the base class's name
        """Return a record's line; a traceback follows on lines of its own."""
        record.message = "".join(letter if letter.isprintable() else "?" for letter in record.message)
        return super().formatMessage(record)


class _Log(RotatingFileHandler):
    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the base class's name
        """Say nothing: the line has gone to the standard error, and a full disk must not fill that too."""


def log_as(component: str) -> None:
    """Send this process's log to the standard error, a line each, under the component's name."""
    handler = logging.StreamHandler()
    handler.setFormatter(_OneLine(f"%(asctime)s  {component:<9}  %(message)s", "%H:%M:%S"))
    logging.basicConfig(handlers=[handler], level=logging.INFO)
