"""Photos: one, or a folder of them, upright and as BGR whatever they were stored as.

A path goes in, frames come out, sorted by name, each with the time that its EXIF data tell. A photo in a folder that
cannot be read is passed over; `problem` then says so.
"""

from __future__ import annotations

import io
import re
import struct
import warnings
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import IO, Any, Literal

import cv2
import numpy as np
from PIL import Image as Pillow
from PIL import ImageOps, UnidentifiedImageError

from mien.errors import InputError
from mien.vision.sources import Frame, Image, Source

__all__ = ["ENDINGS", "MAX_PIXELS", "Colour", "Photos", "Picture", "as_image", "decode_photo", "is_photo", "read_photo"]

Picture = str | Path | Image
"""A photo's path, or an array of shape (h, w, 3), uint8."""

Colour = Literal["bgr", "rgb"]
"""The order of an array's channels: OpenCV's is BGR, that of Pillow and most others RGB."""

BEGINNINGS = (
    ("JPEG", rb"\xff\xd8\xff"),
    ("PNG", rb"\x89PNG\r\n\x1a\n"),
    ("WEBP", rb"RIFF....WEBP"),
    ("TIFF", rb"II[*+]\x00|MM\x00[*+]"),
    ("GIF", rb"GIF8[79]a"),
    ("AVIF", rb"....ftypavi[fs]"),
    ("BMP", rb"BM"),
    ("PPM", rb"P[1-6]\s"),
)
"""How files of each kind begin. Only the kind found is handed to Pillow, whose other decoders are never tried."""

ENDINGS = frozenset({".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".gif", ".bmp", ".avif", ".ppm", ".pgm"})
"""Which files of a folder are taken for photos."""

MAX_PIXELS = 40_000_000
"""Larger JPEGs are decoded at a half, a quarter or an eighth of their size; others are refused."""

MAX_SIDE = 65_535

EXIF, ORIGINAL, OFFSET, MODIFIED = 0x8769, 0x9003, 0x9011, 0x0132
UNREADABLE = (
    *(OSError, ValueError, SyntaxError, TypeError, KeyError, IndexError, EOFError, OverflowError, MemoryError),
    *(RuntimeError, struct.error),
)
"""What Pillow's decoders raise over damaged files."""


class Photos(Source):
    """A photo or a folder of photos; see `mien.vision.sources.Source`.

    Args:
        path: A photo, or a folder whose photos, also those in its folders, are taken in order of their paths.
        name: What the source is called.

    Raises:
        InputError: There is no such file, or no photo in the folder.
    """

    live = False
    dropped = 0

    def __init__(self, path: Path, name: str) -> None:
        self.path, self.name = path, name
        self.problem: str | None = None
        self._closed = False
        self._files = _in_folder(path) if path.is_dir() else [path]
        if not self._files:
            kinds = ", ".join(sorted(ending[1:] for ending in ENDINGS))
            raise InputError(f"cannot open folder '{path}': it and its folders hold no photo ({kinds})")
        self.expected = len(self._files)

    def __iter__(self) -> Iterator[Frame]:
        failed: list[str] = []
        for index, file in enumerate(self._files):
            if self._closed:
                return
            try:
                image, time = read_photo(file)
            except InputError as error:
                if len(self._files) == 1:
                    raise
                failed.append(str(error))
                continue
            yield Frame(image, index, None, time, file)
        if len(failed) == len(self._files):
            raise InputError(f"none of the {len(failed):,} photos in '{self.path}' can be read: {failed[0]}")
        if failed:
            rest = f" (and {len(failed) - 1:,} more like it)" if len(failed) > 1 else ""
            self.problem = f"{failed[0]}{rest}"

    def close(self) -> None:
        """End the iteration."""
        self._closed = True


def is_photo(path: Path) -> bool:
    """Return whether a file is a photo by its beginning or, failing that, by its ending."""
    try:
        with path.open("rb") as file:
            return _kind(file) is not None or path.suffix.lower() in ENDINGS
    except OSError:
        return path.suffix.lower() in ENDINGS


def as_image(picture: Picture, colour: Colour = "bgr") -> Image:
    """Return a picture as BGR, shape (h, w, 3), uint8.

    Args:
        picture: A photo's path, or an array of shape (h, w, 3), uint8.
        colour: The order of the array's channels; of a path it says nothing.

    Raises:
        InputError: The photo cannot be read.
        ValueError: The array has another shape or type, or there is no such order.
    """
    if colour not in ("bgr", "rgb"):
        raise ValueError(f"colour must be 'bgr' or 'rgb', not {colour!r}")
    if not isinstance(picture, np.ndarray):
        return read_photo(Path(picture))[0]
    if picture.ndim != 3 or picture.shape[2] != 3 or picture.dtype != np.uint8 or 0 in picture.shape:
        raise ValueError(f"a picture must be uint8 of shape (h, w, 3), not {picture.dtype} of shape {picture.shape}")
    return picture if colour == "bgr" else np.ascontiguousarray(picture[..., ::-1])


def read_photo(path: Path) -> tuple[Image, datetime | None]:
    """Return a photo as BGR, shape (h, w, 3), uint8, upright, and the time that it was taken, UTC.

    Raises:
        InputError: The file cannot be read, is no photo, or has too many pixels.
    """
    name = f"photo '{path}'"
    try:
        with path.open("rb") as file:
            return _decode(file, name)
    except OSError as error:
        raise InputError(f"cannot read {name}: {(error.strerror or str(error)).lower()}") from error


def decode_photo(content: bytes) -> tuple[Image, datetime | None]:
    """Return a photo that is in memory; see `read_photo`.

    Raises:
        InputError: It is damaged, is no photo, or has too many pixels.
    """
    return _decode(io.BytesIO(content), "the picture")


def _decode(file: IO[bytes], name: str) -> tuple[Image, datetime | None]:
    kind = _kind(file)
    if kind is None:
        raise InputError(f"cannot read {name}: it is no picture of a kind known here")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of odd metadata and large pictures; both are dealt with here
            with Pillow.open(file, formats=[kind]) as photo:
                _bound(photo, name)
                time = _taken(photo)
                return _to_bgr(ImageOps.exif_transpose(photo)), time
    except Pillow.DecompressionBombError as error:
        raise InputError(f"cannot read {name}: it has far more than {MAX_PIXELS:,} pixels") from error
    except UnidentifiedImageError as error:
        raise InputError(f"cannot read {name}: it begins as {kind} does, but goes on as none") from error
    except UNREADABLE as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise InputError(f"cannot read {name}: {reason[0].lower()}{reason[1:]}") from error


def _kind(file: IO[bytes]) -> str | None:
    """Return the kind of picture that a file begins as; it is then at its beginning again."""
    beginning = file.read(16)
    file.seek(0)
    return next((kind for kind, pattern in BEGINNINGS if re.match(pattern, beginning, re.DOTALL)), None)


def _in_folder(folder: Path) -> list[Path]:
    try:
        return sorted(
            file
            for file in folder.rglob("*")
            if file.suffix.lower() in ENDINGS and not file.name.startswith(".") and file.is_file()
        )
    except OSError as error:
        raise InputError(f"cannot open folder '{folder}': {error.strerror}") from error


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
    pixels = np.array(photo.convert("RGB"))
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
