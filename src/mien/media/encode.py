"""Writing video: pictures and their times go in, an MP4 that browsers play comes out."""

from __future__ import annotations

from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from mien.errors import InputError, MienError
from mien.media.base import Image
from mien.media.containers import reason_of
from mien.media.sound import Sound
from mien.system.files import part_of

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["VideoWriter"]


class VideoWriter:
    """Writes pictures into an MP4 (H.264) that browsers play; to be used in a `with` block.

    The file is complete only after the block; where that ends in an error, no file is left.

    Args:
        path: The file.
        sound: A video, or the URL of one, whose sound is to be heard with it, where an MP4 can hold that.
        stream: The number of the video stream that the sound goes with; None: the film's.

    Raises:
        InputError: It cannot be written.
    """

    TICKS = 90_000

    def __init__(self, path: Path, *, sound: Path | str | None = None, stream: int | None = None) -> None:
        self.path = path
        self._part = part_of(path)
        self._container: Any = None
        self._stream: Any = None
        self._failed = False
        self._last, self._step, self._first_s = -1, 0, 0.0
        try:
            if path.is_dir() or not path.parent.is_dir():
                raise InputError(f"cannot write video '{path}': it is a folder, or lies in none")
        except OSError as error:
            raise InputError(f"cannot write video '{path}': {(error.strerror or str(error)).lower()}") from error
        self._sound = Sound(sound, stream) if sound else None

    def write(self, image: Image, offset_s: float) -> None:
        """Add a picture, BGR, shape (h, w, 3), uint8, that is shown from this time on, in seconds.

        The first picture decides the size, and others are scaled to it; the MP4 begins at its time. Times must grow.

        Raises:
            InputError: The file cannot be made.
            MienError: The disk is full or fails.
        """
        import av

        if self._container is None:
            self._first_s = offset_s
            self._open(image.shape[1] // 2 * 2 or 2, image.shape[0] // 2 * 2 or 2)
        size = self._stream.width, self._stream.height
        if image.shape[1::-1] != size:
            same = abs(image.shape[1] - size[0]) < 2 and abs(image.shape[0] - size[1]) < 2
            way = cv2.INTER_AREA if image.shape[1] > size[0] else cv2.INTER_LINEAR
            image = image[: size[1], : size[0]] if same else np.asarray(cv2.resize(image, size, interpolation=way))
        if image.shape[1::-1] != size:  # a frame of a single row or column has no even size
            image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_NEAREST), np.uint8)
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="bgr24")
        before, self._last = self._last, max(self._last + 1, round((offset_s - self._first_s) * self.TICKS))
        self._step = self._last - max(0, before)
        frame.pts, frame.time_base = self._last, Fraction(1, self.TICKS)
        try:
            self._container.mux(self._stream.encode(frame))
            if self._sound:
                self._sound.write(self._container, self._last / self.TICKS)
        except (av.FFmpegError, OSError) as error:
            self._failed = True  # FFmpeg crashes where anything is written after that
            raise MienError(f"cannot go on writing video '{self.path}': {reason_of(error)}") from error

    def _open(self, width: int, height: int) -> None:
        import av

        av.logging.set_level(av.logging.PANIC)
        try:
            address = f"file:{self._part}"
            self._container = av.open(address, "w", format="mp4", options={"movflags": "+faststart"})
        except (av.FFmpegError, OSError) as error:
            raise InputError(f"cannot write video '{self.path}': {reason_of(error)}") from error
        self._stream = self._container.add_stream("libx264", rate=30, options={"preset": "veryfast", "crf": "21"})
        self._stream.width, self._stream.height, self._stream.pix_fmt = width, height, "yuv420p"
        self._stream.time_base = self._stream.codec_context.time_base = Fraction(1, self.TICKS)
        self._stream.codec_context.thread_count = 1
        if self._sound:
            self._sound.join(self._container, self._first_s)

    def _finish(self) -> None:
        import av

        if self._container is None or self._failed:
            return
        try:
            self._container.mux(self._stream.encode(None))
            if self._sound:
                self._sound.write(self._container, (self._last + self._step) / self.TICKS)
            self._container.close()
            self._part.replace(self.path)
        except (av.FFmpegError, OSError) as error:
            raise MienError(f"cannot finish video '{self.path}': {reason_of(error)}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._finish()
        finally:
            if self._container is not None:
                with suppress(OSError):  # a full disk, which has been told of
                    self._container.close()
            if self._sound:
                self._sound.close()
            self._part.unlink(missing_ok=True)
