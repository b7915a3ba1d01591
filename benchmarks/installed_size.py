"""What an installation takes on the disk, by package: run with the Python of the environment to be measured.

    python benchmarks/installed_size.py

Counts each file of each distribution as the disk does, in blocks, with the compiled form of each module if it is there.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from contextlib import suppress
from importlib import metadata
from pathlib import Path


def sizes() -> dict[str, float]:
    """Return MiB by distribution, the largest first."""
    found = {
        distribution.name: sum(map(on_disk, files(distribution))) / 2**20 for distribution in metadata.distributions()
    }
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def files(distribution: metadata.Distribution) -> set[Path]:
    """Return the files of a distribution, and the compiled forms of its modules, whether or not it lists those."""
    listed = {Path(str(file.locate())) for file in distribution.files or ()}
    return listed | {Path(importlib.util.cache_from_source(str(path))) for path in listed if path.suffix == ".py"}


def on_disk(path: Path) -> int:
    """Return the bytes of the blocks that a file takes."""
    with suppress(OSError):
        status = os.stat(path)  # noqa: PTH116 - once for each of 10,000 files
        return getattr(status, "st_blocks", -(-status.st_size // 512)) * 512
    return 0


def lines() -> Iterator[str]:
    """Yield what is printed."""
    found = sizes()
    for name, size in found.items():
        if size >= 0.05:
            yield f"{size:8.1f} MiB  {name}"
    yield f"{sum(found.values()):8.1f} MiB  together"


if __name__ == "__main__":
    print("\n".join(lines()))
