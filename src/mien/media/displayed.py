"""Decoded frames as they are to be displayed: upright, and with square pixels.

FFmpeg's frames go in, BGR images come out. Whatever comes later, boxes above all, counts in displayed pixels.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Mapping
from typing import Any, cast

import cv2
import numpy as np

from mien.media.base import Image
from mien.media.containers import MAX_PIXELS

__all__ = ["Converter", "aspects"]

WIDEST = 16.0
"""Pixels that are said to be wider or higher than so many times are taken to be square."""


class Converter:
    """Turns FFmpeg's frames into BGR images as they are to be displayed."""

    def __init__(self) -> None:
        from av.sidedata.sidedata import SideDataContainer, Type
        from av.video.reformatter import VideoReformatter

        # `frame.side_data` makes frame and side data hold each other, so that hundreds of frames stay until Python's
        # garbage collection comes by: each would take its picture along.
        self._side_data: Callable[[Any], Mapping[Any, Any]] = cast("Any", SideDataContainer)
        self._matrix = Type.DISPLAYMATRIX
        self._reformatter = VideoReformatter()

    def __call__(self, frame: Any, aspect: float = 1.0) -> Image:
        """Return the frame as BGR, shape (h, w, 3), uint8, turned and mirrored as its metadata say.

        Args:
            frame: PyAV's.
            aspect: How many times as wide as high its pixels are; see `aspects`.
        """
        image: Image
        plain = frame.format.name == "yuv420p" and frame.width % 2 == 0 and frame.height % 2 == 0
        if plain and frame.colorspace in (2, 5, 6) and frame.color_range != 2:
            # OpenCV turns the commonest format into BGR in less than half of swscale's time.
            image = np.asarray(cv2.cvtColor(frame.to_ndarray(), cv2.COLOR_YUV2BGR_I420), np.uint8)
        else:
            image = np.asarray(self._reformatter.reformat(frame, format="bgr24").to_ndarray(), np.uint8)
        return _turned(_squared(image, aspect), self._display_matrix(frame))

    def _display_matrix(self, frame: Any) -> bytes | None:
        """Return how a frame is to be turned and mirrored, as FFmpeg's display matrix."""
        try:
            matrix = self._side_data(frame).get(self._matrix)
        except ValueError:  # PyAV refuses them all for one whose kind it has no name for, such as EXIF
            angle = math.radians(frame.rotation)
            sin, cos = round(65536 * math.sin(angle)), round(65536 * math.cos(angle))
            return struct.pack("=9i", cos, -sin, 0, sin, cos, 0, 0, 0, 1 << 30) if angle else None
        return None if matrix is None else bytes(matrix)


def aspects(stream: Any) -> Callable[[], float]:
    """Return what tells how many times as wide as high a stream's pixels are at present.

    The container's word holds; where it says what the stream says, a stream that changes its mind is followed.

    Args:
        stream: PyAV's video stream.
    """
    declared, own = stream.sample_aspect_ratio, stream.codec_context.sample_aspect_ratio
    follows = not declared or declared == own

    def aspect() -> float:
        ratio = stream.codec_context.sample_aspect_ratio if follows else declared
        return float(ratio) if ratio and 1 / WIDEST <= ratio <= WIDEST else 1.0

    return aspect


def _squared(image: Image, aspect: float) -> Image:
    """Return an image scaled so that its pixels are square: one side grows, as in browsers, and nothing is lost."""
    height, width = image.shape[:2]
    size = (round(width * aspect), height) if aspect > 1 else (width, round(height / aspect))
    if size[0] * size[1] > MAX_PIXELS:
        size = (width, max(1, round(height / aspect))) if aspect > 1 else (max(1, round(width * aspect)), height)
    if size == (width, height):
        return image
    way = cv2.INTER_AREA if size[0] * size[1] < width * height else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, size, interpolation=way), np.uint8)


def _turned(image: Image, matrix: bytes | None) -> Image:
    """Return an image turned and mirrored as a display matrix says; of other angles than right ones, to the nearest.

    Args:
        image: BGR, shape (h, w, 3), uint8.
        matrix: FFmpeg's nine numbers: a point (x, y) is shown at (a x + c y, b x + d y) from some corner.
    """
    if matrix is None or len(matrix) < 20:
        return image
    a, b, _, c, d = struct.unpack("=5i", matrix[:20])
    if abs(a) + abs(d) >= abs(b) + abs(c):
        shown, mirrored, upset = image, a < 0, d < 0
    else:
        shown, mirrored, upset = image.transpose(1, 0, 2), c < 0, b < 0
    return np.ascontiguousarray(shown[:: -1 if upset else 1, :: -1 if mirrored else 1])
