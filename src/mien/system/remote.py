"""Files and folders on this machine or behind a URL that fsspec knows, such as `s3://bucket/films/`.

An address goes in; what lies there comes out, and what is written there is there as a whole or not at all: in object
stores an upload counts once it is complete, elsewhere it is written beside its place and renamed. Each file system's
package has errors of its own; all of them come out as one of Mien's.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import posixpath
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple, cast

from mien.errors import InputError, MienError, MissingExtraError
from mien.masking import without_password
from mien.system.files import replacing

__all__ = ["FileEntry", "Folder", "entries", "entry_of", "is_folder", "is_url", "matching", "open_url", "sending"]

OTHERS = frozenset({"rtsp", "rtsps", "rtmp", "http", "https", "udp", "tcp"})
"""What FFmpeg reads itself."""

COMMIT = frozenset({"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "oci", "oss", "memory"})
"""Where an upload is there once it is complete, and not before."""

MARKS = ("ETag", "etag", "md5Hash", "content_md5", "LastModified", "last_modified", "mtime", "created")
"""What file systems tell of a file that changes with its content, the best first."""

URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")


class FileEntry(NamedTuple):
    """A file in a folder.

    Attributes:
        name: Its path from there.
        address: Its whole path or URL.
        size: In bytes.
        version: What changes with its content: its time or the store's own mark.
    """

    name: str
    address: str
    size: int
    version: str


def is_url(address: str) -> bool:
    """Return whether an address is a URL that fsspec is to read."""
    scheme = URL.match(address)
    return bool(scheme) and scheme[1].lower() not in OTHERS  # type: ignore[index]


def is_folder(address: str) -> bool:
    """Return whether a folder stands at a URL.

    Raises:
        MienError: It cannot be reached.
    """
    files, path = _files(address)
    with _errors(address):
        return bool(files.isdir(path))


def entry_of(address: str) -> FileEntry | None:
    """Return the file at a path or URL, by its name; None: there is none.

    Raises:
        MienError: It cannot be reached.
    """
    if not is_url(address):
        path = Path(address)
        if not path.is_file():
            return None
        state = path.stat()
        return FileEntry(path.name, address, state.st_size, str(state.st_mtime_ns))
    files, place = _files(address)
    with _errors(address), contextlib.suppress(FileNotFoundError):
        info: dict[str, Any] = files.info(place)
        return _entry(posixpath.basename(place), address, info) if info.get("type") == "file" else None
    return None


def _entry(name: str, address: str, info: dict[str, Any]) -> FileEntry:
    mark = next((info[kind] for kind in MARKS if info.get(kind)), "")
    return FileEntry(name, address, int(info.get("size") or 0), str(mark).strip('"'))


def open_url(address: str) -> IO[bytes]:
    """Return the file at a path or URL, open for reading and seeking.

    Raises:
        InputError: There is none.
        MissingExtraError: Its protocol needs a package that is not installed.
        MienError: It cannot be reached.
    """
    if not is_url(address):
        try:
            return Path(address).open("rb")
        except OSError as error:
            raise InputError(f"cannot read '{address}': {(error.strerror or str(error)).lower()}") from error
    files, path = _files(address)
    with _errors(address):
        return cast("IO[bytes]", _Remote(files.open(path, "rb"), address))


class _Remote(io.RawIOBase):
    """A file behind a URL, whose errors are Mien's."""

    def __init__(self, file: Any, address: str) -> None:
        self._file, self._address = file, address

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def read(self, size: int | None = -1, /) -> bytes:
        with _errors(self._address):
            content: bytes = self._file.read(-1 if size is None else size)
            return content

    def readinto(self, buffer: Any, /) -> int:
        content = self.read(len(buffer))
        buffer[: len(content)] = content
        return len(content)

    def seek(self, offset: int, whence: int = 0, /) -> int:
        with _errors(self._address):
            return int(self._file.seek(offset, whence))

    def tell(self) -> int:
        return int(self._file.tell())

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()


def entries(address: str) -> Iterator[FileEntry]:
    """Yield the files below a folder that a path or URL names, in order of their names.

    Raises:
        InputError: There is no such folder.
        MienError: It cannot be reached.
    """
    if not is_url(address):
        root = Path(address)
        for path in sorted(path for path in root.rglob("*") if path.is_file()):
            state = path.stat()
            yield FileEntry(path.relative_to(root).as_posix(), str(path), state.st_size, str(state.st_mtime_ns))
        return
    files, place = _files(address)
    with _errors(address):
        infos: dict[str, dict[str, Any]] = files.find(place, detail=True)
    if not infos and not is_folder(address):
        raise InputError(f"cannot read '{without_password(address)}': there is no such folder")
    base = files._strip_protocol(place).rstrip("/")  # noqa: SLF001 - fsspec's way to compare two paths
    for key, info in sorted(infos.items()):
        name = key[len(base) :].lstrip("/")
        if name and info.get("type") == "file" and ".." not in name.split("/"):  # such a key is no path to write to
            yield _entry(name, files.unstrip_protocol(key), info)


def matching(address: str) -> list[str]:
    """Return the URLs that one with * in it stands for, in order; of another itself.

    Raises:
        MienError: It cannot be reached.
    """
    if not re.search(r"[*?\[]", address):
        return [address]
    files, path = _files(address)
    with _errors(address):
        return sorted(files.unstrip_protocol(match) for match in files.glob(path)) or [address]


@contextlib.contextmanager
def sending(address: str) -> Iterator[Path]:
    """Yield a path to write a file to, which is sent to a URL as the block ends without an error; a path is itself.

    Raises:
        MienError: It cannot be sent.
    """
    if not is_url(address):
        yield Path(address)
        return
    folder, _, name = address.rpartition("/")
    with tempfile.TemporaryDirectory(prefix="mien-") as made:
        path = Path(made, name)
        yield path
        if path.exists():
            Folder(folder).put(name, path)


class Folder:
    """A folder on this machine or behind a URL, which is made as something is written there.

    Args:
        address: Its path or URL.

    Raises:
        InputError: Its protocol is unknown.
        MissingExtraError: It needs a package that is not installed.
    """

    def __init__(self, address: str) -> None:
        self.address = address.rstrip("/") if is_url(address) else address
        self._local = None if is_url(address) else Path(address)
        self._files: Any = None
        self._root = ""
        if not self._local:
            self._files, root = _files(address)
            self._root = root.rstrip("/")

    def of(self, name: str) -> str:
        """Return the whole path or URL of a file in it."""
        return str(self._local / name) if self._local else f"{self.address}/{name}"

    def has(self, name: str) -> bool:
        """Return whether there is such a file."""
        return entry_of(self.of(name)) is not None

    def read(self, name: str) -> bytes | None:
        """Return the content of a file; None: there is none.

        Raises:
            MienError: It cannot be read.
        """
        if self._local:
            try:
                return (self._local / name).read_bytes()
            except FileNotFoundError:
                return None
            except OSError as error:
                raise MienError(f"cannot read '{self.of(name)}': {error.strerror}") from error
        with _errors(self.of(name)), contextlib.suppress(FileNotFoundError):
            content: bytes = self._files.cat_file(f"{self._root}/{name}")
            return content
        return None

    def write(self, name: str, content: bytes) -> None:
        """Write a file as a whole.

        Raises:
            MienError: It cannot be written.
        """
        with tempfile.TemporaryDirectory(prefix="mien-") as made:
            path = Path(made, "content")
            path.write_bytes(content)
            self.put(name, path)

    def put(self, name: str, path: Path) -> None:
        """Copy a file of this machine there, as a whole.

        Raises:
            MienError: It cannot be written.
        """
        if self._local:
            place = self._local / name
            try:
                place.parent.mkdir(parents=True, exist_ok=True)
                with replacing(place) as part:
                    part.write_bytes(path.read_bytes())
            except OSError as error:
                raise MienError(f"cannot write '{place}': {error.strerror}; check the space and your rights") from error
            return
        place_there = f"{self._root}/{name}"
        scheme = str(URL.match(self.address)[1]).lower()  # type: ignore[index]
        with _errors(self.of(name)):
            self._files.makedirs(posixpath.dirname(place_there), exist_ok=True)
            if scheme in COMMIT:
                self._files.put_file(str(path), place_there)
                return
            part_there = posixpath.join(
                posixpath.dirname(place_there), f".{posixpath.basename(name)}.part.{os.getpid()}"
            )
            self._files.put_file(str(path), part_there)
            self._files.mv(part_there, place_there)

    def names(self, below: str) -> list[str]:
        """Return the files below a folder in it, in order."""
        if self._local:
            return [f"{below}/{entry.name}" for entry in entries(str(self._local / below))]
        with _errors(self.of(below)), contextlib.suppress(FileNotFoundError):
            base = f"{self._root}/{below}"
            root = self._files._strip_protocol(base)  # noqa: SLF001
            return [f"{below}/{path[len(root) :].lstrip('/')}" for path in sorted(self._files.find(base))]
        return []

    def remove(self, below: str) -> None:
        """Remove a file, or a folder and what is in it; what is not there is no error.

        Raises:
            MienError: It cannot be removed.
        """
        if self._local:
            import shutil

            place = self._local / below
            try:
                shutil.rmtree(place) if place.is_dir() else place.unlink(missing_ok=True)
            except OSError as error:
                raise MienError(f"cannot remove '{place}': {error.strerror}") from error
            return
        with _errors(self.of(below)), contextlib.suppress(FileNotFoundError):
            self._files.invalidate_cache()
            self._files.rm(f"{self._root}/{below}", recursive=True)


def _files(address: str) -> tuple[Any, str]:
    """Return fsspec's file system and the path in it."""
    scheme, shown = str(URL.match(address)[1]).lower(), without_password(address)  # type: ignore[index]
    for name in ("botocore", "aiobotocore"):  # what they have to say is where they found credentials
        logging.getLogger(name).setLevel(logging.WARNING)
    try:
        import fsspec

        files, path = fsspec.core.url_to_fs(address, use_listings_cache=False)
    except ImportError as error:
        if scheme in ("s3", "s3a"):
            raise MissingExtraError(f"'{shown}'", "s3") from error
        raise InputError(f"cannot open '{shown}': {error}; install fsspec and its package for {scheme}://") from error
    except ValueError as error:
        raise InputError(f"cannot open '{shown}': nothing here reads '{scheme}' sources ({error})") from error
    except Exception as error:
        raise MienError(f"cannot reach '{shown}': {_reason(error)}; check the address and your rights to it") from error
    return files, str(path)


@contextlib.contextmanager
def _errors(address: str) -> Iterator[None]:
    shown = without_password(address)
    try:
        yield
    except FileNotFoundError as error:
        raise InputError(f"cannot read '{shown}': there is no such file or folder") from error
    except MienError:
        raise
    except Exception as error:  # each protocol's package has its own
        raise MienError(f"cannot reach '{shown}': {_reason(error)}; check the address and your rights to it") from error


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
