"""Files that are their owner's alone: content goes in, a whole file lies there or the one before it still does."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from mien.errors import MienError

__all__ = ["others_may_read", "write_private"]


def write_private(path: Path, content: bytes) -> None:
    """Write a file that its owner alone may read, in one step.

    Raises:
        MienError: It cannot be written.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        # what somebody else may have put there, a link even, is not written through
        handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_NOFOLLOW", 0), 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        part.replace(path)
    except OSError as error:
        with suppress(OSError):
            part.unlink()
        raise MienError(f"cannot write '{path}': {error.strerror}; check the space and your rights") from error


def others_may_read(path: Path) -> bool:
    """Say whether a file is open to others than its owner; on Windows its folder's rights count, which are the user's.

    Raises:
        OSError: There is no such file.
    """
    return bool(path.stat().st_mode & 0o077) and os.name == "posix"
