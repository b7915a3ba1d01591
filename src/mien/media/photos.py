"""Photos: one, a folder of them, or those that a pattern names.

A path goes in, frames come out, sorted by name, each with the time that its EXIF data tell; a TIFF with several pages
gives a frame for each. A photo among others that cannot be read is passed over; `problem` then says so.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from mien.errors import InputError, MissingExtraError
from mien.media.base import Frame, Source
from mien.media.decoding import decode_photo, kind_of, moves, pages_of, read_photo
from mien.media.folder import PHOTOS, contents_behind, contents_of
from mien.system.remote import is_folder
from mien.words import by_number

__all__ = [
    "Photos",
    "decode_photo",
    "is_photo",
    "is_there",
    "matching",
    "read_photo",
]

CHAINS = frozenset({".mjpeg", ".mjpg"})
"""Which files begin as a photo does, but are a chain of them: a video."""


class Photos(Source):
    """A photo, or many; see `mien.media.open.Source`.

    Args:
        path: A photo; a folder whose photos, also those in its folders, are taken in order of their paths; or a pattern
            of photos' names, such as `2024/*.jpg`. A text is the URL of a photo or folder.
        name: What the source is called.

    Raises:
        InputError: There is no such file, or no photo in the folder.
    """

    live = False
    dropped = 0

    def __init__(self, path: Path | str, name: str) -> None:
        self.path, self.name = path, name
        self.problem: str | None = None
        self._closed = False
        self._files: Sequence[Path | str]
        if isinstance(path, str):
            self._files = [entry.address for entry in contents_behind(path)[0]] if is_folder(path) else [path]
        elif path.is_dir():
            contents = contents_of(path)
            self._files = contents.photos
            line = contents.left_out(path, videos=True)
            self.notes = (line,) if line else ()
        else:
            self._files = [file for file in matching(path) if is_photo(file)]
        if not self._files:
            kinds = ", ".join(sorted(ending[1:] for ending in PHOTOS))
            raise InputError(f"cannot open folder '{path}': it and its folders hold no photo ({kinds})")
        self.expected = len(self._files)

    def __iter__(self) -> Iterator[Frame]:
        failed: list[str] = []
        cut: list[str] = []
        count = 0
        for file in self._files:
            try:
                for image, time in pages_of(file, cut.append):
                    if self._closed:
                        return
                    yield Frame(image, count, None, time, file)
                    count += 1
            except (InputError, MissingExtraError) as error:  # noqa: PERF203 - one bad photo costs only itself
                if len(self._files) == 1 and not count:
                    raise
                failed.append(str(error))
        if failed and not count:
            raise InputError(f"none of the {len(failed):,} photos in '{self.path}' can be read: {failed[0]}")
        lines = [
            f"{lines[0]} (and {len(lines) - 1:,} more like it)" if len(lines) > 1 else lines[0]
            for lines in (failed, cut)
            if lines
        ]
        self.problem = "; ".join(lines) or None

    @classmethod
    def of(cls, files: Sequence[Path | str], name: str) -> Photos:
        """Return these photos, paths or URLs, as a source; there must be one at least."""
        photos = cls(str(files[0]) if isinstance(files[0], str) else files[0], name)
        photos._files, photos.expected, photos.notes = files, len(files), ()
        return photos

    def close(self) -> None:
        """End the iteration."""
        self._closed = True


def is_photo(path: Path) -> bool:
    """Return whether a file is a photo by its beginning or, failing that, by its ending; one that moves is none."""
    if path.suffix.lower() in CHAINS:
        return False
    try:
        with path.open("rb") as file:
            kind = kind_of(file)
    except OSError:
        kind = None
    return not moves(path) if kind == "GIF" else kind is not None or path.suffix.lower() in PHOTOS


def is_there(path: str | Path) -> bool:
    """Return whether there is such a file or folder; of a name that is too long, or out of reach, there is none."""
    return os.path.exists(path)  # noqa: PTH110 - that of Path raises an error then


def matching(path: Path) -> list[Path]:
    """Return the path, or the files that it names where it is a pattern such as `2024/*.jpg`, in order."""
    if not glob.has_magic(str(path)) or is_there(path):
        return [path]
    names = glob.glob(str(path), recursive=True)  # noqa: PTH207 - the pattern may be absolute
    return [Path(name) for name in sorted(names, key=by_number)]
