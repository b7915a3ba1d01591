"""Files that are sent to be reported on: bytes go in, bounded and told by their content; files in one folder come out.

The folder is its owner's alone. A file lies there until a report takes it, for an hour at most; the report's end
deletes it.
"""

from __future__ import annotations

import asyncio
import re
import secrets
import shutil
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from pathlib import Path

from mien.dashboard.errors import ApiError
from mien.media.folder import PHOTOS as PICTURES
from mien.media.folder import VIDEOS

__all__ = ["PLACES", "WAIT_S", "Upload", "Uploads", "clean_name", "kind_of"]

WAIT_S = 3600.0
"""So long a file waits for its report."""

MOST = 5000
"""So many files may wait."""

CHUNK = 1 << 20
HEAD = 4096
PATIENCE_S = 60.0
"""So long the next bytes of a file may take."""

PHOTOS = PICTURES - {".gif"}
TABLES = frozenset({".parquet", ".csv", ".jsonl"})

PLACES: dict[str, frozenset[str]] = {
    "recording": VIDEOS | TABLES,
    "photo": PHOTOS,
    "transcript": frozenset({".vtt", ".srt", ".sbv", ".ass", ".ssa", ".json", ".txt", ".docx"}),
    "events": frozenset({".csv", ".srt", ".vtt", ".sbv", ".ass", ".ssa", ".json"}),
    "list": frozenset({".csv"}),
    "film": frozenset(VIDEOS),
}
"""What a file may be taken for, by the ending of its name."""

VIDEO = re.compile(
    rb".{4}(ftyp(?!avi[fs]|hei|mif1|msf1)|moov|mdat|wide|free|skip)|\x1aE\xdf\xa3|RIFF.{4}AVI |\0\0\1[\xb3\xba]|"
    rb"G.{187}G|.{4}G.{191}G|0&\xb2u\x8ef\xcf\x11|FLV\1|\x06\x0e\x2b\x34|OggS",
    re.DOTALL,
)
PHOTO = re.compile(
    rb"\xff\xd8\xff|\x89PNG\r\n|RIFF.{4}WEBP|II\*\0|MM\0\*|BM|P[2356]\s|.{4}ftyp(avi[fs]|hei|mif1|msf1)", re.DOTALL
)
UTF16 = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True)
class Upload:
    """A file that waits for its report.

    Attributes:
        key: What it is asked for by.
        name: What its sender calls it, without what could be a path.
        size: In bytes.
        by: Who sent it.
        path: Where it lies.
    """

    key: str
    name: str
    size: int
    by: str
    path: Path


class Uploads:
    """Takes files in and hands them to reports.

    Args:
        folder: Where they lie.
        most: How many bytes all of them may have together, also those that a report is made of.
    """

    def __init__(self, folder: Path, most: int) -> None:
        self.folder, self._most = folder, most
        self._waiting: dict[str, Upload] = {}
        self._taken: dict[Path, int] = {}
        self._coming = 0
        self._spare: list[Path] = []

    @property
    def held(self) -> int:
        """How many bytes there are."""
        return self._coming + sum(upload.size for upload in self._waiting.values()) + sum(self._taken.values())

    async def take(self, name: str, parts: AsyncIterator[bytes], by: str) -> Upload:
        """Keep a file that is being sent.

        Raises:
            ApiError: It is of no kind that reports are made of, is too large, stops coming or cannot be written.
        """
        name = clean_name(name)
        if len(self._waiting) >= MOST:
            raise ApiError(429, f"{MOST:,} files wait for a report: make it, or wait an hour", {"retry-after": "60"})
        key = secrets.token_hex(16)
        path = self.folder / key
        size = 0
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with path.open("xb") as file:
                async for piece in _pieces(parts, name):
                    if not size:
                        _check(name, piece[:HEAD])
                    while self.held + len(piece) > self._most and self._spare:
                        self.forget(self._spare[0])
                    if self.held + len(piece) > self._most:
                        raise _too_large(self._most)
                    self._coming += len(piece)
                    size += len(piece)
                    await asyncio.to_thread(file.write, piece)
            if not size:
                raise ApiError(422, f"'{name}' is empty")
            self._waiting[key] = kept = Upload(key, name, size, by, path)
        except OSError as error:
            path.unlink(missing_ok=True)
            raise ApiError(503, f"cannot keep '{name}': {(error.strerror or str(error)).lower()}") from error
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        finally:
            self._coming -= size
        asyncio.get_running_loop().call_later(WAIT_S, self.drop, key)
        return kept

    def find(self, key: str, by: str) -> Upload:
        """Return a file that somebody has sent.

        Raises:
            ApiError: There is none, or it is somebody else's.
        """
        upload = self._waiting.get(key)
        if upload is None or upload.by != by:
            raise ApiError(422, f"there is no uploaded file '{key[:40]}': send it again")
        return upload

    def hand_over(self, chosen: Iterable[Upload], folder: Path) -> dict[str, str]:
        """Move files to a report's folder; return the names that they have there, by their keys."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        place = folder.resolve()
        names: dict[str, str] = {}
        for upload in chosen:
            if upload.key not in names:
                names[upload.key] = free_name(folder, upload.name)
                upload.path.replace(folder / names[upload.key])
                self._taken[place] = self._taken.get(place, 0) + upload.size
                self._waiting.pop(upload.key, None)
        return names

    def forget(self, folder: Path) -> None:
        """Delete a report's folder and what is in it."""
        self._taken.pop(folder.resolve(), None)  # whatever name it is called by
        self._spare = [kept for kept in self._spare if kept.resolve() != folder.resolve()]
        shutil.rmtree(folder, ignore_errors=True)

    def spare(self, folder: Path) -> None:
        """Keep a report's folder for now, but no longer than its room is needed."""
        if folder not in self._spare:
            self._spare.append(folder)

    def drop(self, key: str) -> None:
        """Delete a file that no report has taken."""
        if upload := self._waiting.pop(key, None):
            upload.path.unlink(missing_ok=True)

    def tidy(self) -> None:
        """Delete what an earlier run left."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def close(self) -> None:
        """Delete what no report has taken."""
        for key in list(self._waiting):
            self.drop(key)


def clean_name(name: str) -> str:
    """Return a file's name without what could be a path, a pattern, an option or a spec of a source."""
    bare = re.split(r"[/\\]", name)[-1]
    stem, dot, ending = re.sub(r"[^\w .()+-]", "_", bare).strip(" .").rpartition(".")
    return f"{(stem if dot else ending).strip(' .-')[:80] or 'file'}{f'.{ending[:10]}' if dot else ''}"


def free_name(folder: Path, name: str) -> str:
    """Return a name that no file of a folder has."""
    path, number = Path(name), 2
    free = name
    while (folder / free).exists() or (folder / free).is_symlink():
        free, number = f"{path.stem}-{number}{path.suffix}", number + 1
    return free


def kind_of(name: str, head: bytes) -> str | None:
    """Return what a file is by its first bytes, where its name's ending says the same; None: nothing known."""
    ending = Path(name).suffix.lower()
    if ending in VIDEOS:
        return "video" if VIDEO.match(head) else None
    if ending in PHOTOS:
        return "photo" if PHOTO.match(head) else None
    if ending == ".parquet":
        return "table" if head.startswith(b"PAR1") else None
    if ending == ".docx":
        return "document" if head.startswith(b"PK\x03\x04") else None
    if any(ending in endings for endings in PLACES.values()):
        return "text" if head.startswith(UTF16) or b"\0" not in head else None
    return None


def _check(name: str, head: bytes) -> None:
    if kind_of(name, head) is not None:
        return
    ending = Path(name).suffix.lower()
    if any(ending in endings for endings in PLACES.values()):
        raise ApiError(415, f"'{name}' is damaged or of another kind: its first bytes are not those of a {ending} file")
    raise ApiError(
        415, f"'{name}' is of no kind that reports are made of: videos, photos, tables of mien analyze, transcripts"
    )


async def _pieces(parts: AsyncIterator[bytes], name: str) -> AsyncIterator[bytes]:
    """Yield what comes in larger pieces; the first has the file's head."""
    kept = bytearray()
    coming = parts.__aiter__()
    while True:
        try:
            kept += await asyncio.wait_for(coming.__anext__(), PATIENCE_S)
        except StopAsyncIteration:
            break
        except asyncio.TimeoutError:
            raise ApiError(408, f"nothing more of '{name}' came for {PATIENCE_S:g} s") from None
        if len(kept) >= CHUNK:
            yield bytes(kept)
            kept.clear()
    if kept:
        yield bytes(kept)


def _too_large(most: int) -> ApiError:
    limit = f"files that wait to be reported on may have {most >> 20:,} MiB together (dashboard.upload_mb)"
    return ApiError(413, f"{limit}: report on a table of mien analyze instead", {"connection": "close"})
