"""A lock that one process at a time can hold; it goes with the process, so none is ever stale."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mien.errors import MienError

try:
    import fcntl
except ImportError:  # Windows
    import msvcrt

    def _take(handle: int) -> None:
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
else:

    def _take(handle: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


__all__ = ["alone", "in_turn", "lock"]


def lock(path: Path) -> int:
    """Take a lock file and return its handle, whose closing gives it back.

    Raises:
        BlockingIOError: Another process holds it.
        OSError: The file cannot be written.
    """
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        _take(handle)
    except OSError as error:
        os.close(handle)
        raise BlockingIOError(error.errno, "another process holds it") from error
    return handle


@contextmanager
def alone(path: Path, refusal: MienError) -> Iterator[None]:
    """Hold the lock file, or raise `refusal` where another process holds it."""
    try:
        handle = lock(path)
    except BlockingIOError as error:
        raise refusal from error
    except OSError as error:
        raise _unwritable(path, error) from error
    try:
        yield
    finally:
        os.close(handle)


@contextmanager
def in_turn(path: Path, refusal: MienError, patience_s: float = 30.0) -> Iterator[None]:
    """Hold the lock file once those before have left it, or raise `refusal` where that takes too long, in seconds."""
    end = time.monotonic() + patience_s
    while True:
        try:
            handle = lock(path)
        except BlockingIOError as error:  # noqa: PERF203
            if time.monotonic() > end:
                raise refusal from error
            time.sleep(0.02)
        except OSError as error:
            raise _unwritable(path, error) from error
        else:
            break
    try:
        yield
    finally:
        os.close(handle)


def _unwritable(path: Path, error: OSError) -> MienError:
    return MienError(f"cannot write '{path}': {(error.strerror or str(error)).lower()}; whose is it?")
