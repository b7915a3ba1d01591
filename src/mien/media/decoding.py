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
import threading
import warnings
from collections.abc import Callable, Generator, Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import IO, Any

import cv2
import numpy as np
from PIL import Image as Pillow
from PIL import ImageFile, ImageOps, TiffImagePlugin, UnidentifiedImageError, _imaging, features

from mien.errors import InputError, MissingExtraError
from mien.masking import without_password
from mien.media.base import Image
from mien.system.remote import open_url

__all__ = ["MAX_PIXELS", "RAW_ENDINGS", "decode_photo", "from_pillow", "kind_of", "moves", "pages_of", "read_photo"]

BEGINNINGS = (
    ("JPEG", rb"\xff\xd8\xff"),
    ("PNG", rb"\x89PNG\r\n\x1a\n"),
    ("WEBP", rb"RIFF....WEBP"),
    ("RAW", rb"II\*\x00.{4}CR|FUJIFILMCCD-RAW|....ftypcrx|IIR[OS]\x08\x00|MMOR|IIU\x00"),
    ("TIFF", rb"II[*+]\x00|MM\x00[*+]"),
    ("GIF", rb"GIF8[79]a"),
    ("AVIF", rb"....ftyp(avi[fs]|.{8,40}avif)"),
    ("HEIF", rb"....ftyp(hei[cxms]|hev[cx]|mif1|msf1)"),
    ("JPEG2000", rb"\x00\x00\x00\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51"),
    ("BMP", rb"BM"),
    ("PPM", rb"P[1-6]\s"),
)
"""How files of each kind begin. Only the kind found is handed to Pillow, whose other decoders are never tried."""

RAW_ENDINGS = frozenset({".cr2", ".cr3", ".nef", ".arw", ".dng", ".raf", ".orf", ".rw2", ".pef", ".srw"})
"""Photos as cameras' sensors took them; that in them is read which the camera made for its display."""

DNG_VERSION, SUBFILE, SUB_IFDS = 50706, 254, 330
"""Tags that tell a raw photo from another TIFF."""

QUARTERS = {3: 2, 5: 1, 6: 3}
"""How many quarters to the left a preview is turned upright, by LibRaw's numbers."""

MAX_PIXELS = 40_000_000
"""Larger JPEGs are decoded at a half, a quarter or an eighth of their size; others are refused."""

MAX_SIDE = 65_535

MAX_PAGES = 1000
"""So many pages of a TIFF are taken."""

EXIF, ORIGINAL, OFFSET, MODIFIED, ORIENTATION = 0x8769, 0x9003, 0x9011, 0x0132, 0x0112
UNREADABLE = (
    *(OSError, ValueError, SyntaxError, TypeError, KeyError, IndexError, EOFError, OverflowError, MemoryError),
    *(RuntimeError, struct.error),
)
"""What Pillow's decoders raise over damaged files."""

MAX_MISSING, LEAST = 64 << 20, 9
"""A picture of which more bytes, or so many times as many as are there, are missing is not read."""

Note = Callable[[str], None]
"""Takes a line on a photo that was read in part."""


Decoded = tuple[Image, "datetime | None"]
"""BGR, shape (h, w, 3), uint8, upright, and the time that the photo was taken, UTC, where its EXIF data tell."""


def read_photo(path: Path, note: Note | None = None) -> Decoded:
    """Return a photo as BGR, shape (h, w, 3), uint8, upright, and the time that it was taken, UTC.

    Args:
        path: The photo.
        note: Told where its end is missing; what there is of it is returned.

    Raises:
        InputError: The file cannot be read, is no photo, or has too many pixels.
        MissingExtraError: A HEIC photo needs the extra `heic`, a camera's raw photo `rawpy`.
    """
    with contextlib.closing(pages_of(path, note)) as pages:
        return next(pages)


def decode_photo(content: bytes, note: Note | None = None) -> Decoded:
    """Return a photo that is in memory; see `read_photo`.

    Raises:
        InputError: It is damaged, is no photo, or has too many pixels.
        MissingExtraError: A HEIC photo needs the extra `heic`, a camera's raw photo `rawpy`.
    """
    with contextlib.closing(_decode(io.BytesIO(content), "the picture", note)) as pages:
        return next(pages)


def from_pillow(photo: Pillow.Image) -> Decoded:
    """Return a picture of Pillow's, of any mode; see `read_photo`. The picture itself stays as it is.

    Raises:
        InputError: It is damaged, or has too many pixels.
    """
    name = "the picture"
    with _errors(photo.format or "a picture", name), _quiet():
        return _upright(photo.copy(), name)


def pages_of(path: Path | str, note: Note | None = None) -> Generator[Decoded]:
    """Yield what `read_photo` returns, of a TIFF for each of its pages; a text is the URL of a photo."""
    name = f"photo '{without_password(str(path)) if isinstance(path, str) else path}'"
    try:
        with open_url(path) if isinstance(path, str) else path.open("rb") as file:
            yield from _decode(file, name, note, raw=Path(path).suffix.lower() in RAW_ENDINGS)
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


def _decode(file: IO[bytes], name: str, note: Note | None, *, raw: bool = False) -> Generator[Decoded]:
    kind = kind_of(file)
    if kind is None and not raw:
        raise InputError(f"cannot read {name}: it is no picture of a kind known here")
    if kind == "RAW" or (kind in ("TIFF", None) and (raw or _is_raw(file))):
        yield _preview(file, name)
        return
    _prepare(str(kind), name)
    page, pages = 0, 1
    while page < pages:
        try:
            with _errors(str(kind), name):
                decoded, pages = _page(file, str(kind), page, name)
        except InputError as error:
            rest = _cut(file, str(kind), page, str(error))
            if rest is None:
                raise
            decoded = rest
            if note:
                note(f"{name} is cut: its end is missing, and it was read as far as it goes")
        yield decoded
        page += 1
        file.seek(0)


def _page(file: IO[bytes], kind: str, page: int, name: str) -> tuple[Decoded, int]:
    """Return one page of a picture, and how many it has."""
    pages = 1
    with _quiet(), Pillow.open(file, formats=[kind]) as photo:
        if kind == "TIFF":
            pages = min(getattr(photo, "n_frames", 1), MAX_PAGES)
            photo.seek(page)
        return _upright(photo, name), pages


@contextlib.contextmanager
def _errors(kind: str, name: str) -> Iterator[None]:
    """Turn what Pillow raises into one line.

    Raises:
        InputError: In place of it.
    """
    try:
        yield
    except Pillow.DecompressionBombError as error:
        raise InputError(f"cannot read {name}: it has far more than {MAX_PIXELS:,} pixels; make it smaller") from error
    except UnidentifiedImageError as error:
        raise InputError(f"cannot read {name}: it begins as {kind} does, but goes on as none") from error
    except UNREADABLE as error:
        text = getattr(error, "strerror", None) or str(error)
        reason = " ".join(str(text).split()) or type(error).__name__
        raise InputError(f"cannot read {name}: {reason[0].lower()}{reason[1:200]}") from error


def _cut(file: IO[bytes], kind: str, page: int, problem: str) -> Decoded | None:
    """Return what there is of a picture whose end is missing; None: its end is there, or there is nothing of it."""
    file.seek(0, io.SEEK_END)
    length = file.tell()
    file.seek(0)
    begins = file.read(12)
    file.seek(max(0, length - 1024))
    ends = file.read()
    file.seek(0)
    missing = int.from_bytes(begins[4:8], "little") + 8 - length if kind == "WEBP" else 0
    if kind == "WEBP":
        is_cut = 0 < missing <= min(MAX_MISSING, LEAST * length)
    else:
        is_cut = b"IEND" not in ends if kind == "PNG" else "truncated" in problem
    if not is_cut:
        return None
    # Pillow's WebP takes only what is whole; what comes after the cut is then read as if nothing moved any more.
    whole = io.BytesIO(file.read() + bytes(missing)) if kind == "WEBP" else file
    with _lenient, contextlib.suppress(InputError), _errors(kind, ""):
        ImageFile.LOAD_TRUNCATED_IMAGES = True
        try:
            (image, time), _ = _page(whole, kind, page, "")
        finally:
            ImageFile.LOAD_TRUNCATED_IMAGES = False
        return (image, time) if image.min() != image.max() else None
    return None


_lenient = threading.Lock()
"""Held while Pillow, which knows no other way, takes cut pictures everywhere."""


def _upright(photo: Any, name: str) -> Decoded:
    _bound(photo, name)
    time = _taken(photo.getexif())
    ImageOps.exif_transpose(photo, in_place=True)
    return _to_bgr(photo), time


def _is_raw(file: IO[bytes]) -> bool:
    """Return whether a TIFF is a camera's raw photo: its first picture is small, the sensor's lies deeper."""
    try:
        with _quiet():
            directory = TiffImagePlugin.ImageFileDirectory_v2(file.read(8))
            file.seek(directory.next)
            directory.load(file)
        return DNG_VERSION in directory or (directory.get(SUBFILE) == 1 and SUB_IFDS in directory)
    except UNREADABLE:
        return False
    finally:
        file.seek(0)


def _preview(file: Any, name: str) -> Decoded:
    """Return the preview in a camera's raw photo, upright."""
    try:
        import rawpy
    except ImportError:
        raise MissingExtraError(f"{name}, a camera's raw photo,", "rawpy") from None
    try:
        with rawpy.imread(file) as raw:
            preview, flip = raw.extract_thumb(), raw.sizes.flip
            wide = raw.sizes.raw_width >= raw.sizes.raw_height
    except (rawpy.LibRawError, *UNREADABLE) as error:
        reason = " ".join(str(error.args[0] if error.args else error).strip("b'").split()).lower()
        raise InputError(
            f"cannot read {name}: no preview was found in it ({reason or type(error).__name__})"
        ) from error
    data: Any = preview.data
    with _errors("JPEG", name), _quiet():
        photo: Pillow.Image
        if preview.format == rawpy.ThumbFormat.JPEG:
            photo = Pillow.open(io.BytesIO(data), formats=["JPEG"])
        else:
            photo = Pillow.fromarray(np.ascontiguousarray(data))
        orientation = photo.getexif().get(ORIENTATION)
        image, time = _upright(photo, name)
    lies = (image.shape[1] >= image.shape[0]) == wide
    if not orientation and flip in QUARTERS and (lies or flip == 3):
        image = np.ascontiguousarray(np.rot90(image, QUARTERS[flip]))
    return image, time or _taken(_exif_of(file))


def _exif_of(file: IO[bytes]) -> Pillow.Exif:
    """Return the EXIF data of a file that is built as TIFF is."""
    exif = Pillow.Exif()
    with contextlib.suppress(*UNREADABLE), _quiet():
        file.seek(0)
        exif.load_from_fp(file)
    return exif


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
    if kind == "JPEG2000" and not features.check("jpg_2000"):
        raise InputError(f"cannot read {name}: the Pillow installed here reads no JPEG 2000")
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


def _taken(exif: Any) -> datetime | None:
    """Return the time in the EXIF data; where they tell no zone, the clock is taken to be this machine's."""
    try:
        details = exif.get_ifd(EXIF)
        text = str(details.get(ORIGINAL) or exif.get(MODIFIED) or "").strip("\x00 ")
        zone = str(details.get(OFFSET) or "").strip("\x00 ").replace("Z", "+00:00")
        local = datetime.strptime(text[:19] + zone, "%Y:%m:%d %H:%M:%S" + ("%z" if zone else ""))  # noqa: DTZ007
        return local.astimezone(timezone.utc)
    except UNREADABLE:
        return None
