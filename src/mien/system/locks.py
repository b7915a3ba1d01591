"""A file that one process at a time holds; the lock goes with the process, so none is ever stale."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import BaseFileLock, FileLock, Timeout

from mien.errors import MienError

__all__ = ["PATIENCE_S", "alone", "lock"]

PATIENCE_S = 30.0
"""How long to wait for a lock that others hold for a moment only, in seconds."""


def lock(path: Path, patience_s: float = 0.0) -> BaseFileLock:
    """Take a lock file, which `release` gives back from any thread.

    Args:
        path: The file, in a folder that is made where there is none.
        patience_s: How long to wait for who holds it, in seconds.

    Raises:
        BlockingIOError: Another process holds it.
        OSError: The file cannot be written.
    """
    taken = FileLock(path, mode=0o600, thread_local=False)
    try:
        taken.acquire(timeout=patience_s, poll_interval=0.02)
    except Timeout as error:
        raise BlockingIOError(errno.EWOULDBLOCK, "another process holds it") from error
    return taken


@contextmanager
def alone(path: Path, refusal: MienError, patience_s: float = 0.0) -> Iterator[None]:
    """Hold the lock file, or raise `refusal` where another process holds it for longer than `patience_s`."""
    try:
        taken = lock(path, patience_s)
    except BlockingIOError as error:
        raise refusal from error
    except OSError as error:
        raise MienError(f"cannot write '{path}': {(error.strerror or str(error)).lower()}; whose is it?") from error
    try:
        yield
    finally:
        taken.release()
