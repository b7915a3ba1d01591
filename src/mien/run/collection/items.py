"""What a collection holds and what has become of it: paths and URLs go in, items come out; and the manifest of both.

An item is a film, or the photos of one folder, and becomes one Parquet file. The manifest has a row for each, so that
another run knows what is there, what has changed and what failed.
"""

from __future__ import annotations

import hashlib
import logging
import time as clock
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

import msgspec

from mien.errors import InputError, UsageError
from mien.masking import without_password
from mien.media.folder import contents_behind, is_photo_name
from mien.media.photos import is_there
from mien.media.photos import matching as files_matching
from mien.system import remote
from mien.system.remote import FileEntry, Folder
from mien.words import counted

__all__ = ["MANIFEST", "Item", "Manifest", "Row", "items_of", "part_of"]

MANIFEST = "manifest.jsonl"

REST = 20.0
"""For so many times as long as it took to write the manifest, it is not written again."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Item:
    """A film, or the photos of a folder.

    Attributes:
        name: Its path in the collection; that of a folder's photos ends in a slash.
        files: Paths or URLs: the film, or the photos.
        size: In bytes.
        version: What changes with the content, without its being read.
        known: The content's hash, where its table is there already; nothing is to be done if it is still the same.
    """

    name: str
    files: tuple[str, ...]
    size: int
    version: str
    known: str | None = None

    @property
    def is_photos(self) -> bool:
        """Whether these are photos."""
        return self.name.endswith("/")

    @property
    def part(self) -> str:
        """The name of its table in the output."""
        return part_of(self.name)


class Row(msgspec.Struct, omit_defaults=True):
    """A line of the manifest.

    Attributes:
        name: The item's.
        file: Its path or URL.
        part: Its table; None where there is none.
        state: "done", or "failed": another run tries it again.
        sha256: Of its content.
        size: In bytes.
        version: See `Item`.
        how: What tells one way of analysing from another: settings, model and options.
        frames: How many were analysed.
        faces: How many were in them.
        seconds: Where its last frame stands; None for photos.
        sections: In how many sections it was read.
        model: The model that read it.
        notes: What is to be said of it.
        problem: What could not be read; a film that is damaged was read as far as it goes.
    """

    name: str
    file: str
    state: Literal["done", "failed"]
    size: int
    version: str
    how: str
    part: str | None = None
    sha256: str | None = None
    frames: int = 0
    faces: int = 0
    seconds: float | None = None
    sections: int = 1
    model: str | None = None
    notes: list[str] = []
    problem: str | None = None


class Manifest:
    """The rows of an output folder, by name.

    Args:
        folder: The output.
    """

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self.rows: dict[str, Row] = {}
        self._due = 0.0
        decoder = msgspec.json.Decoder(Row)
        wrong = 0
        for line in (folder.read(MANIFEST) or b"").splitlines():
            try:
                row = decoder.decode(line)
                self.rows[row.name] = row
            except (msgspec.MsgspecError, UnicodeDecodeError):  # noqa: PERF203 - a damaged line costs its item only
                wrong += 1
        if wrong:
            lines = counted(wrong, "line", "lines")
            log.warning("%s of '%s' cannot be read; what it told is done again", lines, folder.of(MANIFEST))

    def left(self, items: Iterable[Item], how: str, parts: frozenset[str]) -> list[Item]:
        """Return what is still to be done: what is missing, has changed, failed, or was done in another way.

        Args:
            items: What the collection holds.
            how: See `Row`.
            parts: The tables that are there.
        """
        left = []
        for item in items:
            row = self.rows.get(item.name)
            if row is None or row.state != "done" or row.how != how or row.part not in parts:
                left.append(item)
            elif (row.size, row.version) != (item.size, item.version):
                left.append(Item(item.name, item.files, item.size, item.version, row.sha256))
        return left

    def keep(self, row: Row) -> None:
        """Take a row; the manifest is written now and then, so that writing it takes a small part of the time.

        Raises:
            MienError: It cannot be written.
        """
        before = self.rows.get(row.name)
        if row.part is None and before is not None and before.part is not None:
            self._folder.remove(part_of(row.name))  # it is of a film that is no more
        self.rows[row.name] = row
        began = clock.monotonic()
        if began >= self._due:
            self.write()
            self._due = clock.monotonic() + REST * (clock.monotonic() - began)

    def write(self) -> None:
        """Write it, in order of names.

        Raises:
            MienError: It cannot be written.
        """
        lines = (msgspec.json.encode(self.rows[name]) + b"\n" for name in sorted(self.rows))
        self._folder.write(MANIFEST, b"".join(lines))


def part_of(name: str) -> str:
    """Return the name of an item's table in the output."""
    return f"{name.removeprefix('./')}photos.parquet" if name.endswith("/") else f"{name}.parquet"


def items_of(paths: Sequence[str]) -> list[Item]:
    """Return what paths and URLs of films, photos and folders of both name.

    Raises:
        InputError: There is nothing of that name, or nothing in it.
        UsageError: Two of them would become the same table.
    """
    items: dict[str, Item] = {}
    for path in paths:
        several = _expanded(path)
        entries: list[FileEntry] = []
        for address in several:
            if _is_folder(address):
                photos, videos, others = contents_behind(address)
                entries += photos + videos
                if others:
                    left = counted(others, "file that is neither photo nor video", "files that are neither")
                    log.info("left out of '%s': %s", without_password(address), left)
            else:
                entry = remote.entry_of(address)
                if entry is None:
                    shown = without_password(address)
                    raise InputError(f"cannot analyse '{shown}': there is no such file or folder")
                entries.append(entry)
        for item in _grouped(entries):
            if item.name in items and items[item.name].files != item.files:
                both = f"'{_shown(items[item.name])}' and '{_shown(item)}'"
                raise UsageError(
                    f"{both} would both become '{item.part}': give the folder that holds them, or one at a time"
                )
            items[item.name] = item
    if not items:
        raise InputError(f"cannot analyse '{without_password(paths[0])}': it holds neither photo nor video")
    return [items[name] for name in sorted(items)]


def _shown(item: Item) -> str:
    return without_password(item.files[0])


def _expanded(path: str) -> list[str]:
    if remote.is_url(path) and not is_there(path):
        return remote.matching(path)
    return [str(match) for match in files_matching(Path(path)) or [Path(path)]]


def _is_folder(address: str) -> bool:
    if remote.is_url(address) and not is_there(address):
        return remote.is_folder(address)
    return Path(address).is_dir()


def _grouped(entries: Iterable[FileEntry]) -> Iterable[Item]:
    """Return films one by one, photos by their folder."""
    folders: dict[str, list[FileEntry]] = {}
    for entry in entries:
        if is_photo_name(entry.name):
            parent = str(PurePosixPath(entry.name).parent)
            folders.setdefault("./" if parent == "." else f"{parent}/", []).append(entry)
        else:
            yield Item(entry.name, (entry.address,), entry.size, entry.version)
    for name, photos in folders.items():
        told = msgspec.json.encode([[photo.name, photo.size, photo.version] for photo in photos])
        version = hashlib.sha256(told).hexdigest()[:16]
        yield Item(name, tuple(photo.address for photo in photos), sum(photo.size for photo in photos), version)
