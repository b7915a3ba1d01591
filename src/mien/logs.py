"""The logs that the parts which run for long keep in the state folder: what each says, dated, bounded in size."""

from __future__ import annotations

import logging
from contextlib import suppress
from logging.handlers import RotatingFileHandler

from mien.config import Settings
from mien.errors import MienError

__all__ = ["PARTS", "keep_log"]

PARTS = frozenset({"up", "watch", "broker", "forward", "dashboard"})
"""Who keeps a log."""

MAX_BYTES = 512 << 10


def keep_log(component: str, settings: Settings) -> None:
    """Write this process's log to `logs/` in the state folder too, if it is one of PARTS and the folder can be written.

    Two files of 512 KiB at most are kept of each.
    """
    if component not in PARTS:
        return
    with suppress(MienError, OSError):  # the command itself says what is wrong with the folder, if it needs it
        folder = settings.ensure_home() / "logs"
        folder.mkdir(mode=0o700, exist_ok=True)
        handler = _Log(folder / f"{component}.log", maxBytes=MAX_BYTES, backupCount=1, encoding="utf-8", delay=True)
        handler.setFormatter(logging.Formatter(f"%(asctime)s  {component:<9}  %(message)s", "%Y-%m-%d %H:%M:%S"))
        logging.getLogger().addHandler(handler)


class _Log(RotatingFileHandler):
    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the base class's name
        """Say nothing: the line has gone to the standard error, and a full disk must not fill that too."""
