"""The folder of media on this machine: its files and folders to choose from; nothing outside it can be named."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

from mien.dashboard.errors import ApiError
from mien.dashboard.jobs.uploads import PLACES
from mien.words import by_number

__all__ = ["find_media", "list_media"]

MOST = 500
"""So many files and folders are offered."""


def list_media(folder: Path | None) -> dict[str, list[str]]:
    """Return what can be chosen for `recording` and for `photo`: names of files, and of folders that hold some."""
    offered: dict[str, list[str]] = {"recording": [], "photo": []}
    if folder is None:
        return offered
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for kind, names in offered.items():
            fit = [name for name in sorted(files, key=by_number) if _fits(name, PLACES[kind])]
            inside = Path(place).relative_to(folder)
            if fit and inside.parts:
                names.append(f"{inside.as_posix()}/")
            names += [(inside / name).as_posix() for name in fit]
        if max(map(len, offered.values())) > MOST:
            break
    return {kind: sorted(names, key=by_number)[:MOST] for kind, names in offered.items()}


def find_media(folder: Path | None, name: str, endings: Collection[str]) -> Path:
    """Return a file or folder in the folder of media.

    Raises:
        ApiError: There is none of that name, or it leads elsewhere.
    """
    if folder is not None and "\0" not in name:
        root = folder.resolve()
        path = (root / name).resolve()
        if path != root and path.is_relative_to(root) and (path.is_dir() or (path.is_file() and _fits(name, endings))):
            return path
    raise ApiError(422, f"there is no '{name[:100]}' in the folder of media (dashboard.media)")


def _fits(name: str, endings: Collection[str]) -> bool:
    return not name.startswith(".") and Path(name).suffix.lower() in endings
