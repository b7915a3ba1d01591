"""A lock that one process at a time can hold; it goes with the process, so none is ever stale."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mien.errors import MienError

__all__ = ["alone"]


@contextmanager
def alone(path: Path, refusal: MienError) -> Iterator[None]:
    """Hold the lock file, or raise `refusal` where another process holds it."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise refusal from error
        yield
