"""Pictures in files and in memory: bytes of any kind of photo go in, an upright BGR image comes out.

Only the decoder of the kind that a file begins as is tried, and what is larger than memory allows is refused, or
decoded at a part of its size.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import io
import re
import struct
import warnings
from collections.abc import Generator, Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import IO, Any

import cv2
import numpy as np
from PIL import Image as Pillow
from PIL import ImageOps, UnidentifiedImageError, _imaging, features

from mien.errors import InputError, MissingExtraError
from mien.media.base import Image

__all__ = ["MAX_PIXELS", "decode_photo", "kind_of", "moves", "pages_of", "read_photo"]

BEGINNINGS = (
    ("JPEG", rb"\xff\xd8\xff"),
    ("PNG", rb"\x89PNG\r\n\x1a\n"),
    ("WEBP", rb"RIFF....WEBP"),
    ("TIFF", rb"II[*+]\x00|MM\x00[*+]"),
    ("GIF", rb"GIF8[79]a"),
    ("AVIF", rb"....ftyp(avi[fs]|.{8,40}avif)"),
    ("HEIF", rb"....ftyp(hei[cxms]|hev[cx]|mif1|msf1)"),
    ("BMP", rb"BM"),
    ("PPM", rb"P[1-6]\s"),
)
"""How files of each kind begin. Only the kind found is handed to Pillow, whose other decoders are never tried."""

MAX_PIXELS = 40_000_000
"""Larger JPEGs are decoded at a half, a quarter or an eighth of their size; others are refused."""

MAX_SIDE = 65_535

MAX_PAGES = 1000
"""So many pages of a TIFF are taken."""

EXIF, ORIGINAL, OFFSET, MODIFIED = 0x8769, 0x9003, 0x9011, 0x0132
UNREADABLE = (
    *(OSError, ValueError, SyntaxError, TypeError, KeyError, IndexError, EOFError, OverflowError, MemoryError),
    *(RuntimeError, struct.error),
)
"""What Pillow's decoders raise over damaged files."""


Decoded = tuple[Image, "datetime | None"]
"""BGR, shape (h, w, 3), uint8, upright, and the time that the photo was taken, UTC, where its EXIF data tell."""


def read_photo(path: Path) -> Decoded:
    """Return a photo as BGR, shape (h, w, 3), uint8, upright, and the time that it was taken, UTC.

    Raises:
        InputError: The file cannot be read, is no photo, or has too many pixels.
        MissingExtraError: A HEIC photo needs the extra `heic`.
    """
    with contextlib.closing(pages_of(path)) as pages:
        return next(pages)


def decode_photo(content: bytes) -> Decoded:
    """Return a photo that is in memory; see `read_photo`.

    Raises:
        InputError: It is damaged, is no photo, or has too many pixels.
        MissingExtraError: A HEIC photo needs the extra `heic`.
    """
    with contextlib.closing(_decode(io.BytesIO(content), "the picture")) as pages:
        return next(pages)


def pages_of(path: Path) -> Generator[Decoded]:
    """Yield what `read_photo` returns, of a TIFF for each of its pages."""
    name = f"photo '{path}'"
    try:
        with path.open("rb") as file:
            yield from _decode(file, name)
    except OSError as error:
        raise InputError(f"cannot read {name}: {(error.strerror or str(error)).lower()}") from error


def kind_of(file: IO[bytes]) -> str | None:
    """Return the kind of picture that a file begins as; it is then at its beginning again."""
    beginning = file.read(64)
    file.seek(0)
    return next((kind for kind, pattern in BEGINNINGS if re.match(pattern, beginning, re.DOTALL)), None)


def moves(path: Path) -> bool:
    """Return whether a GIF holds more than one picture."""
    try:
        with _quiet(), Pillow.open(path, formats=["GIF"]) as photo:
            return bool(getattr(photo, "is_animated", False))
    except (UnidentifiedImageError, Pillow.DecompressionBombError, *UNREADABLE):
        return False


def _decode(file: IO[bytes], name: str) -> Generator[Decoded]:
    kind = kind_of(file)
    if kind is None:
        raise InputError(f"cannot read {name}: it is no picture of a kind known here")
    _prepare(kind, name)
    page, pages = 0, 1
    while page < pages:
        try:
            with _quiet(), Pillow.open(file, formats=[kind]) as photo:
                if kind == "TIFF":
                    pages = min(getattr(photo, "n_frames", 1), MAX_PAGES)
                    photo.seek(page)
                decoded = _one(photo, name)
        except Pillow.DecompressionBombError as error:
            raise InputError(
                f"cannot read {name}: it has far more than {MAX_PIXELS:,} pixels; make it smaller"
            ) from error
        except UnidentifiedImageError as error:
            raise InputError(f"cannot read {name}: it begins as {kind} does, but goes on as none") from error
        except UNREADABLE as error:
            said = getattr(error, "strerror", None) or str(error)
            reason = " ".join(str(said).split()) or type(error).__name__
            raise InputError(f"cannot read {name}: {reason[0].lower()}{reason[1:200]}") from error
        yield decoded
        page += 1
        file.seek(0)


def _one(photo: Any, name: str) -> Decoded:
    _bound(photo, name)
    time = _taken(photo)
    ImageOps.exif_transpose(photo, in_place=True)
    return _to_bgr(photo), time


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep to ourselves what Pillow warns of: odd metadata and large pictures, both dealt with here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@functools.cache
def _silence_libtiff() -> None:
    """Keep libtiff from writing its own lines to stderr; Pillow's errors say the same, and one line is enough."""
    with contextlib.suppress(OSError, AttributeError):  # a Pillow that is linked another way
        linked = ctypes.CDLL(_imaging.__file__)
        linked.TIFFSetErrorHandler(None)
        linked.TIFFSetWarningHandler(None)


def _prepare(kind: str, name: str) -> None:
    """Make Pillow read a kind that it doesn't read by itself.

    Raises:
        InputError: This Pillow cannot.
        MissingExtraError: It could with an extra.
    """
    if kind == "AVIF" and not features.check("avif"):
        raise InputError(f"cannot read {name}: the Pillow installed here reads no AVIF")
    if kind == "TIFF":
        _silence_libtiff()
    if kind != "HEIF":
        return
    try:
        import pillow_heif
    except ImportError:
        raise MissingExtraError(f"{name}, a HEIC file,", "heic") from None
    pillow_heif.register_heif_opener(thumbnails=False)


def _bound(photo: Any, name: str) -> None:
    width, height = photo.size
    if max(width, height) > MAX_SIDE:
        raise InputError(f"cannot read {name}: {width:,}x{height:,} pixels is the shape of no photo")
    if width * height <= MAX_PIXELS:
        return
    if photo.format in ("JPEG", "MPO"):
        shrink = next((n for n in (2, 4, 8) if width * height <= MAX_PIXELS * n * n), 8)
        photo.draft(None, (width // shrink, height // shrink))
    if photo.size[0] * photo.size[1] > MAX_PIXELS:
        raise InputError(
            f"cannot read {name}: it has {width:,}x{height:,} pixels, more than the {MAX_PIXELS:,} allowed; "
            "make it smaller"
        )


def _to_bgr(photo: Any) -> Image:
    if photo.mode in ("I", "F") or photo.mode.startswith("I;16"):
        grey = np.asarray(photo).astype(np.float32)
        if photo.mode == "F":
            grey = np.nan_to_num(grey) * (255 if np.nanmax(grey, initial=0) <= 1 else 1)
        elif photo.mode != "I" or grey.max(initial=0) > 255:  # 16 bits, which Pillow may hold in 32
            grey /= 257
        return np.asarray(cv2.cvtColor(np.clip(grey, 0, 255).astype(np.uint8), cv2.COLOR_GRAY2BGR), np.uint8)
    if photo.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in photo.info:
        cut_out = photo.convert("RGBA")
        photo = Pillow.new("RGBA", cut_out.size, "white")
        photo.alpha_composite(cut_out)
    pixels = np.array(photo if photo.mode == "RGB" else photo.convert("RGB"))
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR, dst=pixels), np.uint8)


def _taken(photo: Any) -> datetime | None:
    """Return the time in the EXIF data; where they tell no zone, the clock is taken to be this machine's."""
    try:
        exif = photo.getexif()
        details = exif.get_ifd(EXIF)
        text = str(details.get(ORIGINAL) or exif.get(MODIFIED) or "").strip("\x00 ")
        zone = str(details.get(OFFSET) or "").strip("\x00 ").replace("Z", "+00:00")
        local = datetime.strptime(text[:19] + zone, "%Y:%m:%d %H:%M:%S" + ("%z" if zone else ""))  # noqa: DTZ007
        return local.astimezone(timezone.utc)
    except UNREADABLE:
        return None
