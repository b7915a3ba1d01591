"""Files written in one step: content goes in, a whole file lies there or the one before it still does."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mien.errors import MienError

__all__ = ["others_may_read", "part_of", "replacing", "write_private"]


def part_of(path: Path) -> Path:
    """Return the hidden file beside another in which that one is written before it replaces it."""
    return path.with_name(f".{path.name}.part")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a file to write to, which replaces the one at a path as the block ends; where it fails, that one stays.

    Raises:
        OSError: The file cannot be replaced.
    """
    part = part_of(path)
    part = part.with_name(f"{part.name}.{os.getpid()}")  # two processes may write the same file
    try:
        yield part
        part.replace(path)
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def write_private(path: Path, content: bytes) -> None:
    """Write a file that its owner alone may read, in one step.

    Raises:
        MienError: It cannot be written.
    """
    try:
        with replacing(path) as part:
            # what somebody else may have put there, a link even, is not written through
            handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_NOFOLLOW", 0), 0o600)
            with os.fdopen(handle, "wb") as file:
                file.write(content)
    except OSError as error:
        raise MienError(f"cannot write '{path}': {error.strerror}; check the space and your rights") from error


def others_may_read(path: Path) -> bool:
    """Say whether a file is open to others than its owner; on Windows its folder's rights count, which are the user's.

    Raises:
        OSError: There is no such file.
    """
    return bool(path.stat().st_mode & 0o077) and os.name == "posix"
