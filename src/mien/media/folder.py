"""What a folder holds: its path goes in; photos, videos and what is neither come out, in order of their paths."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from mien.errors import InputError
from mien.media.decoding import RAW_ENDINGS, moves
from mien.system.remote import FileEntry, entries
from mien.words import by_number

__all__ = ["PHOTOS", "VIDEOS", "Contents", "contents_behind", "contents_of", "is_photo_name"]

PHOTOS = frozenset({".jpg", ".jpeg", ".jfif", ".jpe", ".jp2", ".png", ".webp", ".tif", ".tiff", ".gif", ".bmp"})
PHOTOS |= {".avif", ".heic", ".heif", ".ppm", ".pgm", *RAW_ENDINGS}
"""Which files of a folder are taken for photos."""

VIDEOS = frozenset({".mp4", ".mkv", ".mov", ".avi", ".webm", ".m4v", ".mpg", ".mpeg", ".ts", ".m2ts", ".mts", ".vob"})
VIDEOS |= {".wmv", ".asf", ".mxf", ".flv", ".3gp", ".3g2", ".ogv", ".dv", ".h264", ".264", ".h265", ".265", ".hevc"}
VIDEOS |= {".mjpeg", ".mjpg", ".m2v", ".y4m"}
"""Which are taken for videos."""

ASIDE = frozenset({"@eadir", "#recycle", "#snapshot", "$recycle.bin", "system volume information", "__macosx"})
"""Folders of thumbnails and deleted files, in lower case; hidden folders are passed over as well."""

NOTHING = frozenset({"thumbs.db", "ehthumbs.db", "desktop.ini"})
"""Files that systems leave in folders; nobody misses them."""

SIDECARS = frozenset({".xmp", ".pp3", ".aae", ".thm"})
"""Files in which programs and cameras keep what belongs to the photo or video beside them."""

NAMED = 3
"""So many names are given of what was left out."""


class Contents(NamedTuple):
    """What a folder and the folders in it hold.

    Attributes:
        photos: By their endings.
        videos: By their endings, and GIFs that move.
        others: Files that are neither, nor sidecars.
        aside: Folders that were passed over: of thumbnails, of deleted files, and hidden ones.
        closed: Why folders in it cannot be read.
        links: Links to files that are not there.
    """

    photos: list[Path]
    videos: list[Path]
    others: list[Path]
    aside: list[Path]
    closed: list[str]
    links: list[Path]

    def left_out(self, folder: Path, *, videos: bool) -> str | None:
        """Return a line on what of the folder is not taken and why; None: there is nothing to be said.

        Args:
            folder: The folder.
            videos: Whether its videos are not taken either.
        """
        parts = [
            _named(self.others, "file that is neither photo nor video", "files that are neither photo nor video"),
            _named(self.videos, "video", "videos") if videos else "",
            _named(self.aside, "folder of thumbnails or deleted or hidden files", "such folders"),
            _named(self.links, "link to a file that is not there", "links to files that are not there"),
            *self.closed,
        ]
        left = ", ".join(part for part in parts if part)
        return f"left out of '{folder}': {left}" if left else None


def contents_of(folder: Path) -> Contents:
    """Return what a folder holds.

    Raises:
        InputError: It cannot be read.
    """
    contents = Contents([], [], [], [], [], [])

    def closed(error: OSError) -> None:
        if error.filename is None or Path(error.filename) == folder:
            raise InputError(f"cannot open folder '{folder}': {(error.strerror or str(error)).lower()}") from error
        contents.closed.append(f"folder '{error.filename}' ({(error.strerror or str(error)).lower()})")

    for path, inner, names in os.walk(folder, onerror=closed):
        here = Path(path)
        contents.aside.extend(here / name for name in inner if _is_aside(name))
        inner[:] = [name for name in inner if not _is_aside(name)]
        for name in names:
            file = here / name
            if name.startswith(".") or name.lower() in NOTHING:
                continue
            if not file.is_file():
                if file.is_symlink() and not file.exists():
                    contents.links.append(file)
                continue
            ending = file.suffix.lower()
            if ending in SIDECARS:
                continue
            if ending == ".gif":
                (contents.videos if moves(file) else contents.photos).append(file)
            elif ending in PHOTOS:
                contents.photos.append(file)
            else:
                (contents.videos if ending in VIDEOS else contents.others).append(file)
    for files in (*contents[:4], contents.links):
        files.sort(key=lambda file: by_number(str(file)))
    return contents


def contents_behind(address: str) -> tuple[list[FileEntry], list[FileEntry], int]:
    """Return the photos and the videos in the folder that a path or URL names, by their endings, and how many others.

    Raises:
        InputError: There is no such folder.
        MienError: It cannot be reached.
    """
    photos: list[FileEntry] = []
    videos: list[FileEntry] = []
    others = 0
    for entry in entries(address):
        path = PurePosixPath(entry.name)
        if any(map(_is_aside, path.parts)) or path.name.lower() in NOTHING:
            continue
        if is_photo_name(entry.name):
            photos.append(entry)
        elif path.suffix.lower() in VIDEOS:
            videos.append(entry)
        else:
            others += 1
    return photos, videos, others


def is_photo_name(name: str) -> bool:
    """Return whether a file is taken for a photo by its ending."""
    return PurePosixPath(name).suffix.lower() in PHOTOS


def _is_aside(name: str) -> bool:
    return name.startswith(".") or name.lower() in ASIDE


def _named(paths: Sequence[Path], single: str, several: str) -> str:
    if not paths:
        return ""
    names = ", ".join(path.name for path in paths[:NAMED]) + (", …" if len(paths) > NAMED else "")
    return f"{len(paths):,} {single if len(paths) == 1 else several} ({names})"
