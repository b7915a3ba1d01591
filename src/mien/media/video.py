"""Video files: any container and codec that FFmpeg reads, frame by frame, with their true times.

A path goes in, frames come out: upright as the file's rotation says, at the times that the file gives them, counted
from where the file begins. What the header says of length and count is never trusted. A damaged or truncated file is
read as far as it goes; `problem` then says so.
"""

from __future__ import annotations

import itertools
import math
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import cv2
import numpy as np

from mien.errors import InputError, MienError
from mien.masking import without_password
from mien.media.base import Frame, Image, Source
from mien.media.seeking import Place, begin_of, find
from mien.observation import now

__all__ = ["MAX_PIXELS", "Converter", "Video", "open_container", "reason_of"]

MAX_PIXELS = 40_000_000
"""Frames larger than this are refused: 8K has 33 million pixels."""

MAX_DAMAGED = 500
"""So many packets in a row that do not decode end a file."""

WORTH_SEEKING_S = 2.0
"""What lies before an earlier time is simply decoded."""


class Video(Source):
    """A video file; see `mien.media.open.Source`.

    Args:
        path: The file, or the URL of one.
        name: What the source is called.

    Raises:
        InputError: It is no video that FFmpeg can read, or its frames are too large.
    """

    live = False
    dropped = 0

    def __init__(self, path: str, name: str) -> None:
        self.path, self.name = path, name
        self._shown = without_password(path)
        self.problem: str | None = None
        self._from_s = 0.0
        self._closed = False
        self._lock = threading.Lock()
        self._container, self._stream = open_container(path)
        rate, length = self._stream.average_rate, _length(self._container, self._stream)
        self.expected = round(length * rate) if rate and length else None

    def skip_to(self, offset_s: float) -> None:
        """Decode little of what lies before this time; see `mien.media.open.Source`."""
        self._from_s = offset_s

    def __iter__(self) -> Iterator[Frame]:
        try:
            yield from self._frames()
        except AssertionError:  # of a container that was closed meanwhile, from PyAV 19 on
            if not self._closed:
                raise

    def _frames(self) -> Iterator[Frame]:
        start = now()
        convert = Converter()
        rate = self._stream.average_rate or self._stream.guessed_rate or 25
        unit, place = self._stream.time_base, self._find()
        begin = None if place is None else begin_of(self._container, float(place.times[0]) * float(unit))
        index, offset = -1, 0.0
        for index, decoded in self._numbered(place):
            if begin is None:
                begin = begin_of(self._container, decoded.time or 0.0)
            # Times never run backwards, also where a file says so; a frame without one follows at the nominal rate.
            after = 0.0 if index == 0 else offset + float(1 / rate)
            offset = after if decoded.time is None else max(offset, decoded.time - begin)
            yield Frame(convert(decoded), index, offset, _later(start, offset))
        if self._closed:
            return
        if begin is None:
            raise InputError(f"cannot read video '{self._shown}': none of its frames can be decoded; is it damaged?")
        # Some containers tell the length, some the time of the end.
        self._note_what_is_missing(index + 1, offset + float(1 / rate) + max(0.0, begin))

    def _find(self) -> Place | None:
        if self._from_s < WORTH_SEEKING_S:
            return None
        container, stream = open_container(self.path)
        with container:
            return find(container, stream, self._from_s, lambda: self._closed)

    def _numbered(self, place: Place | None) -> Iterator[tuple[int, Any]]:
        """Yield decoded frames, from a place on if that can be reached, each with its number in the whole."""
        if place is not None:
            frames = self._decode() if self._seek(place) else iter(())
            first = next(frames, None)
            number = None if first is None else place.number_of(first.pts)
            if number is not None:
                yield from enumerate(itertools.chain([first], frames), number)
                return
            self._rewind()
        yield from enumerate(self._decode())

    def _seek(self, place: Place) -> bool:
        import av

        with self._lock:
            try:
                self._container.seek(place.key, stream=self._stream)
            except (av.FFmpegError, ValueError):  # cannot, or closed meanwhile
                return False
        return True

    def _rewind(self) -> None:
        with self._lock:
            if self._closed:
                return
            self.problem = None
            self._container.close()
            self._container, self._stream = open_container(self.path)

    def _decode(self) -> Iterator[Any]:
        """Yield decoded frames, passing over packets that are damaged."""
        import av

        damaged = in_a_row = 0
        packets = self._container.demux(self._stream)
        while in_a_row < MAX_DAMAGED:
            frames: list[Any] = []
            with self._lock:
                if self._closed:
                    return
                try:
                    packet = next(packets)
                except (StopIteration, av.error.EOFError):
                    break
                except (av.FFmpegError, ValueError) as error:
                    self.problem = f"video '{self._shown}' cannot be read to its end ({reason_of(error)})"
                    break
                damaged += packet.is_corrupt
                try:
                    frames = packet.decode()
                    in_a_row = 0
                except av.error.EOFError:
                    break
                except (av.FFmpegError, ValueError):
                    damaged += 1
                    in_a_row += 1
            for frame in frames:
                if frame.width * frame.height > MAX_PIXELS:
                    self.problem = (
                        f"video '{self._shown}' turns to frames of {frame.width}x{frame.height} pixels, too large"
                    )
                    return
                yield frame
        if damaged and not self.problem:
            parts = "1 part" if damaged == 1 else f"{damaged:,} parts"
            self.problem = f"video '{self._shown}' is damaged: {parts} of it could not be decoded"

    def _note_what_is_missing(self, count: int, end: float) -> None:
        length = _length(self._container, self._stream)
        if length is None or length - end <= max(0.5, 0.02 * length):
            return
        self.problem = (
            f"video '{self._shown}' ends early: {end:,.1f} of {length:,.1f} seconds ({count:,} frames) could be read; "
            f"repair it (for example with ffmpeg -i {self._shown} -c copy fixed.mkv) and run it again"
        )

    def close(self) -> None:
        """Close the file."""
        self._closed = True
        with self._lock:
            self._container.close()


class Converter:
    """Turns FFmpeg's frames into upright BGR images."""

    def __init__(self) -> None:
        from av.video.reformatter import VideoReformatter

        self._reformatter = VideoReformatter()

    def __call__(self, frame: Any) -> Image:
        """Return the frame as BGR, shape (h, w, 3), uint8, turned as its metadata say."""
        image: Image
        plain = frame.format.name == "yuv420p" and frame.width % 2 == 0 and frame.height % 2 == 0
        if plain and frame.colorspace in (2, 5, 6) and frame.color_range != 2:
            # OpenCV turns the commonest format into BGR in less than half of swscale's time.
            image = np.asarray(cv2.cvtColor(frame.to_ndarray(), cv2.COLOR_YUV2BGR_I420), np.uint8)
        else:
            image = np.asarray(self._reformatter.reformat(frame, format="bgr24").to_ndarray(), np.uint8)
        return _turn(image, frame.rotation)


def open_container(path: str, *, timeout_s: float = 10.0, options: dict[str, str] | None = None) -> tuple[Any, Any]:
    """Return FFmpeg's container and its first video stream.

    Raises:
        InputError: FFmpeg cannot read it, it shows no video, or its frames are too large.
        MienError: A URL cannot be reached.
    """
    import av

    av.logging.set_level(av.logging.PANIC)  # what FFmpeg has to say comes as an error; stderr is the user's
    what = without_password(path)
    try:
        container = av.open(path, timeout=timeout_s, options=options or {})
    except (av.FFmpegError, OSError, ValueError) as error:
        reason = reason_of(error)
        if path.lower().startswith("rtsp") and isinstance(error, av.error.InvalidDataError):
            raise MienError(f"cannot read stream {what}: nothing came that FFmpeg can read as a picture") from error
        if "://" in path and not isinstance(error, ValueError):
            raise MienError(f"cannot reach stream {what}: {reason}") from error
        if isinstance(error, av.error.InvalidDataError):
            reason = "it is no video that FFmpeg can read, or its end is missing"
        raise InputError(f"cannot open video '{what}': {reason}") from error
    try:
        streams = [s for s in container.streams.video if not s.disposition & av.stream.Disposition.attached_pic]
        if not streams:
            raise InputError(f"cannot open video '{what}': it holds no picture, only {_tracks(container)}")
        stream = streams[0]
        if stream.codec_context is None:
            raise InputError(f"cannot open video '{what}': FFmpeg here has no decoder for it")
        if stream.width * stream.height > MAX_PIXELS:
            raise InputError(
                f"cannot open video '{what}': its frames have {stream.width}x{stream.height} pixels, "
                f"more than the {MAX_PIXELS:,} allowed"
            )
    except BaseException:
        container.close()
        raise
    stream.thread_type = "SLICE"
    return container, stream


def _tracks(container: Any) -> str:
    kinds = sorted({stream.type for stream in container.streams})
    return " and ".join(kinds) if kinds else "an empty container"


def _length(container: Any, stream: Any) -> float | None:
    """Return how long the video should be in seconds, where the file tells it of the picture itself."""
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    if match := [value for key, value in stream.metadata.items() if key.upper() == "DURATION"]:
        parts = match[0].split(":")
        try:
            length = sum(float(part) * 60**power for power, part in enumerate(reversed(parts)))
        except ValueError:
            return None
        return length if math.isfinite(length) else None
    if container.duration and len(container.streams) == 1:
        return float(container.duration) / 1e6
    return None


def _later(start: datetime, offset: float) -> datetime | None:
    try:
        return start + timedelta(seconds=offset)
    except OverflowError:  # a file that claims to begin or end in another age
        return None


def _turn(image: Image, rotation: int) -> Image:
    quarters = round(rotation / 90) % 4
    return np.ascontiguousarray(np.rot90(image, quarters)) if quarters else image


def reason_of(error: BaseException) -> str:
    """Return why FFmpeg or the system refused, in lower case."""
    text = getattr(error, "strerror", None) or str(error)
    return str(text).strip().lower() or type(error).__name__
