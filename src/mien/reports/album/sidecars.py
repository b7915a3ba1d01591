"""Sidecars of photos: what was measured goes in, XMP files beside the photos come out; no photo is ever written to.

A sidecar is called `photo.jpg.xmp`, as darktable, digiKam, PhotoPrism and Immich do; beside a camera's raw photo stands
`photo.xmp` too, the only name that Adobe's programs read. What is there already under either name is changed in its
place.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mien.errors import InputError
from mien.masking import as_text
from mien.media.decoding import RAW_ENDINGS
from mien.media.folder import PHOTOS
from mien.reports.album.selection import Filter, Photo, keywords, losers, stars
from mien.reports.album.xmp import MAX_BYTES, Rating, renewed
from mien.reports.base.job import Job
from mien.system.files import replacing

__all__ = ["Written", "judgements", "sidecars_of", "write_sidecars"]


@dataclass
class Written:
    """What became of the sidecars.

    Attributes:
        sidecars: How many hold now what they should.
        rejected: How many photos are flagged as rejected.
        kept: How many photos keep a rating or flag that somebody else gave.
        failed: Why others could not be written, a line each.
    """

    sidecars: int = 0
    rejected: int = 0
    kept: int = 0
    failed: list[str] = field(default_factory=list)


def judgements(photos: Sequence[Photo], only: Sequence[Filter] = ()) -> dict[Path, Rating]:
    """Return how each photo at hand is judged: its stars, or that another of its burst is better, and its keywords."""
    lost = losers(photos, only)
    return {
        photo.file: Rating(stars(photo), photo.file in lost, keywords(photo))
        for photo in photos
        if photo.measured.key and photo.score is not None
    }


def write_sidecars(judged: dict[Path, Rating], job: Job, *, replace: bool = False) -> Written:
    """Write what is to be said of photos into their sidecars, and return what became of them.

    Args:
        judged: The photos, and how they are judged.
        job: Hears how far it is.
        replace: Whether ratings and flags that somebody else gave are replaced too.
    """
    written = Written()
    names: dict[Path, frozenset[str]] = {}
    for photo, judgement in job.follow("writing sidecars", list(judged.items()), len(judged)):
        if photo.parent not in names:
            names[photo.parent] = _names(photo.parent)
        kept = False
        for path in sidecars_of(photo, names[photo.parent]):
            try:
                kept |= _renew(path, photo, judgement, replace=replace)
                written.sidecars += 1
            except InputError as error:  # noqa: PERF203 - of each sidecar is said what became of it
                written.failed.append(f"'{as_text(path)}' stays as it is: {error}")
            except OSError as error:
                written.failed.append(f"cannot write '{as_text(path)}': {(error.strerror or str(error)).lower()}")
        written.kept += kept
        written.rejected += judgement.rejected and not kept
    return written


def sidecars_of(photo: Path, names: frozenset[str]) -> list[Path]:
    """Return the sidecars that a photo has, or is to get.

    Args:
        photo: Where it is.
        names: Of all that is in its folder.
    """
    lower = {name.lower(): name for name in sorted(names, reverse=True)}
    is_raw = photo.suffix.lower() in RAW_ENDINGS
    own = [photo.name + ".xmp"]
    if _owns_short_name(photo, names, is_raw=is_raw):
        own.append(photo.stem + ".xmp")
    there = [name if name in names else lower[name.lower()] for name in own if name.lower() in lower]
    return [photo.with_name(name) for name in there or own[: 2 if is_raw else 1]]


def _owns_short_name(photo: Path, names: frozenset[str], *, is_raw: bool) -> bool:
    """Return whether `photo.xmp` can be no other photo's: a raw photo has it before others of the same name."""
    others = [
        Path(name).suffix.lower()
        for name in names
        if name != photo.name and Path(name).stem.lower() == photo.stem.lower()
    ]
    rivals = RAW_ENDINGS if is_raw else PHOTOS
    return not any(ending in rivals for ending in others)


def _names(folder: Path) -> frozenset[str]:
    try:
        return frozenset(os.listdir(folder))  # noqa: PTH208 - the names alone
    except OSError:
        return frozenset()


def _renew(path: Path, photo: Path, judgement: Rating, *, replace: bool) -> bool:
    """Write a sidecar if it is not yet as it should be, and return whether a rating of somebody else's stays.

    Raises:
        InputError: What is there cannot be changed safely.
        OSError: It cannot be read or written.
    """
    old, mode = _read(path)
    new, kept = renewed(old, judgement, replace=replace)
    if new != old:
        _write(path, new, (photo.stat().st_mode & 0o666) | 0o200 if mode is None else mode)
    return kept


def _read(path: Path) -> tuple[bytes | None, int | None]:
    """Return what a sidecar holds, and its mode; None where there is none."""
    try:
        status = path.lstat()
    except FileNotFoundError:
        return None, None
    if not stat.S_ISREG(status.st_mode):
        raise InputError("it is no file of its own, but a link or something else")
    if not os.access(path, os.W_OK):
        raise InputError("it is read-only")
    with os.fdopen(os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0)), "rb") as file:
        return file.read(MAX_BYTES + 1), stat.S_IMODE(status.st_mode)


def _write(path: Path, content: bytes, mode: int) -> None:
    """Put a whole file in the place of another, or of none: who reads it meanwhile finds the old or the new."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_NOFOLLOW", 0)
    with replacing(path) as part:
        with os.fdopen(os.open(part, flags, 0o600), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.chmod(mode)
