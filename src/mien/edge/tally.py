"""An outbox's counts beside its file: what was taken, confirmed and dropped goes in, and is there when the file is not.

A line of fixed length is written over in place, so that it needs no room on a full disk. It follows the file's own
counts, which hold wherever the file is whole; it tells what was lost where the file is not, or could not be written.
"""

from __future__ import annotations

import os
import zlib
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

__all__ = ["Tally", "TallyFile"]


class Tally(NamedTuple):
    """What an outbox has seen since it was made; what is not among these lies in it."""

    taken: int
    confirmed: int
    dropped: int


class TallyFile:
    """The line beside an outbox. What goes wrong with it is passed over: the outbox has its counts.

    Args:
        path: Where it lies; made if need be.
    """

    def __init__(self, path: Path) -> None:
        self._handle: int | None = None
        with suppress(OSError):
            flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
            self._handle = os.open(path, flags, 0o600)

    def read(self) -> Tally | None:
        """Return what is written there; None where that is nothing, or nonsense."""
        if self._handle is None:
            return None
        try:
            os.lseek(self._handle, 0, os.SEEK_SET)
            words = os.read(self._handle, 200).decode("ascii").split()
            numbers = [int(word) for word in words[:3]]
        except (OSError, ValueError):
            return None
        whole = len(words) == 4 and words[3] == _check(numbers) and min(numbers) >= 0
        return Tally(*numbers) if whole else None

    def write(self, tally: Tally) -> None:
        """Write the counts over those before."""
        if self._handle is not None:
            with suppress(OSError):
                os.lseek(self._handle, 0, os.SEEK_SET)
                os.write(self._handle, f"{' '.join(f'{n:020d}' for n in tally)} {_check(tally)}\n".encode("ascii"))

    def sync(self) -> None:
        """Have what was written last a power cut."""
        if self._handle is not None:
            with suppress(OSError):
                os.fsync(self._handle)

    def close(self) -> None:
        """Give the file back."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None


def _check(numbers: list[int] | Tally) -> str:
    return f"{zlib.crc32(' '.join(map(str, numbers)).encode('ascii')):08x}"
