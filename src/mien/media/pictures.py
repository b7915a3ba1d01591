"""Pictures as Python has them: a path, bytes, an array or a picture of Pillow's goes in, a BGR image comes out."""

from __future__ import annotations

import os
import re
import warnings
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from mien.errors import PictureError
from mien.masking import without_password
from mien.media.base import Image
from mien.media.decoding import decode_photo, from_pillow, moves, read_photo
from mien.media.folder import VIDEOS

__all__ = ["Colour", "Picture", "as_picture"]

Picture = str | os.PathLike[str] | bytes | bytearray | memoryview | NDArray[np.uint8] | Pillow.Image
"""A photo's path, its bytes, a picture of Pillow's, or an array of shape (h, w), (h, w, 3) or (h, w, 4), uint8."""

Colour = Literal["bgr", "rgb"]
"""The order of an array's channels: OpenCV's is BGR, that of Pillow and most others RGB."""

SMILE_S = 19.0
"""Where in the demo clip the portrait smiles."""


def as_picture(picture: Picture, colour: Colour = "bgr") -> tuple[Image, datetime | None]:
    """Return a picture as BGR, shape (h, w, 3), uint8, and when it was taken, UTC, where its EXIF data tell.

    Args:
        picture: A photo's path, or `demo` for the portrait that comes with Mien; a photo's bytes; a picture of
            Pillow's; or an array of shape (h, w), (h, w, 1), (h, w, 3) or (h, w, 4), uint8; the fourth is opacity.
        colour: The order of the array's channels; of all others it says nothing.

    Raises:
        InputError: The photo cannot be read.
        PictureError: It is something else; the line says what to call for it.
        ValueError: There is no such order.
    """
    if colour not in ("bgr", "rgb"):
        raise ValueError(f"colour must be 'bgr' or 'rgb', not {colour!r}")
    if isinstance(picture, Pillow.Image):
        return from_pillow(picture)
    if isinstance(picture, bytes | bytearray | memoryview):
        return decode_photo(bytes(picture), _warn)
    if isinstance(picture, str | os.PathLike):
        return _from_path(os.fspath(picture))
    if hasattr(picture, "__array__"):  # NumPy's, and tensors that lie in this memory
        return _from_array(np.asarray(picture), colour), None
    raise PictureError(_why_not(picture))


def _from_path(path: str) -> tuple[Image, datetime | None]:
    if path == "demo" and not Path(path).exists():
        from mien.media.demo import Demo

        return Demo().image(SMILE_S), None
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", path):
        raise PictureError(
            f"cannot read photo '{without_password(path)}': Mien fetches no picture from the internet by itself; "
            "load it first, for example with urllib.request.urlopen(URL).read(), and hand over the bytes"
        )
    file = Path(path)
    if file.is_dir():
        raise PictureError(
            f"cannot read photo '{path}': it is a folder; mien.analyze_video(FOLDER) reads all photos in it"
        )
    if file.suffix.lower() in VIDEOS or (file.suffix.lower() == ".gif" and moves(file)):
        raise PictureError(f"cannot read photo '{path}': it is a video; mien.analyze_video(VIDEO) reads its frames")
    return read_photo(file, _warn)


def _from_array(array: NDArray[Any], colour: Colour) -> Image:
    shape = array.shape
    if array.dtype != np.uint8:
        raise PictureError(
            f"a picture must be uint8 of shape (h, w, 3), not {array.dtype} of shape {shape}; values from 0 to 1 "
            "become one by (255 * picture).astype('uint8')"
        )
    if array.ndim == 4:
        raise PictureError(
            f"a picture must be uint8 of shape (h, w, 3), and this array of shape {shape} holds {shape[0]:,} of them: "
            "mien.Analyzer().analyze_batch(pictures) reads several"
        )
    if array.ndim not in (2, 3) or 0 in shape or (array.ndim == 3 and shape[2] not in (1, 3, 4)):
        turned = "; picture.transpose(1, 2, 0) puts its channels last" if array.ndim == 3 and shape[0] == 3 else ""
        raise PictureError(f"a picture must be uint8 of shape (h, w, 3), not {array.dtype} of shape {shape}{turned}")
    array = np.ascontiguousarray(array)
    if array.ndim == 2 or shape[2] == 1:
        return np.asarray(cv2.cvtColor(array, cv2.COLOR_GRAY2BGR), np.uint8)
    if shape[2] == 4:  # on white, as photos with transparent parts are read
        opacity = array[..., 3:].astype(np.uint16)
        array = ((array[..., :3] * opacity + 255 * (255 - opacity) + 127) // 255).astype(np.uint8)
    return array if colour == "bgr" else np.ascontiguousarray(array[..., ::-1])


def _why_not(picture: object) -> str:
    if isinstance(picture, list | tuple) or hasattr(picture, "__next__"):
        return (
            f"expected one picture, but got a {type(picture).__name__}: mien.Analyzer().analyze_batch(pictures) reads "
            "several, mien.analyze_video(path) a video"
        )
    if isinstance(picture, int):
        return f"expected a picture, but got {picture}: mien.watch({picture}) watches a camera"
    return (
        f"expected a picture, but got {type(picture).__name__}: hand over a path, a photo's bytes, a picture of "
        "Pillow's, or an array of shape (h, w, 3), uint8"
    )


def _warn(line: str) -> None:
    warnings.warn(line, stacklevel=6)
