"""Opening videos with FFmpeg: a path or URL goes in, a container and the stream to be looked at come out.

A path is opened as the file that it names, whatever its name looks like to FFmpeg. Of several streams that is taken
which is the film: a cover picture or thumbnail beside it is none.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import os
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

from mien.errors import InputError, MienError
from mien.masking import without_password
from mien.media.seeking import Clock
from mien.system.remote import is_url, open_url

__all__ = ["MAX_PIXELS", "Opened", "length_of", "open_container", "open_file", "reason_of", "restarts"]

MAX_PIXELS = 40_000_000
"""Frames larger than this are refused: 8K has 33 million pixels."""

NO_TIMES = 0x0080
"""FFmpeg's flag of formats that hold pictures but not when they are shown, such as raw H.264."""

RESTARTS = 0x0200
"""FFmpeg's flag of formats whose clock may begin anew in the middle of a file: MPEG transport and program streams."""

NOMINAL = Fraction(25)
"""The rate of a file that tells none."""

DEFAULT, ATTACHED, STILL, THUMBNAILS = 0x0001, 0x0400, 0x100000, 0x0800
"""FFmpeg's dispositions of a stream: to be shown by default, a cover, a still picture, thumbnails."""

PEEK_PACKETS = 2000
"""So many packets tell which streams move, where the file doesn't say."""

SAME_S = 1.0
"""Streams whose lengths differ by less are equally long."""


class Opened(NamedTuple):
    """A video that is open.

    Attributes:
        container: PyAV's.
        stream: Its video stream that is to be looked at.
        rate: How many frames a second it has, as far as can be told.
        timed: Whether the file says when its frames are shown; otherwise they are counted, at `rate`.
        may_restart: Whether its clock may begin anew in the middle.
        notes: Lines on what was chosen and what else there is.
    """

    container: Any
    stream: Any
    rate: Fraction
    timed: bool
    may_restart: bool
    notes: tuple[str, ...]


def open_container(
    path: str,
    *,
    stream: int | None = None,
    fps_in: float | None = None,
    timeout_s: float = 10.0,
    options: dict[str, str] | None = None,
) -> Opened:
    """Open a video.

    Args:
        path: A file, or the URL of one (also such as `s3://bucket/film.mp4`) or of a stream.
        stream: The number of the stream to look at, as ffprobe counts them; None: the film's.
        fps_in: How many frames a second a file has that doesn't say when they are shown.
        timeout_s: What doesn't answer for so long cannot be reached.
        options: FFmpeg's.

    Raises:
        InputError: FFmpeg cannot read it, it shows no video, has no such stream, or its frames are too large.
        MienError: A URL cannot be reached.
    """
    shown = without_password(path)
    container = open_file(path, timeout_s=timeout_s, options=options)
    try:
        chosen, notes = _chosen(container, path, shown, stream)
        if chosen.codec_context is None:
            raise InputError(f"cannot open video '{shown}': FFmpeg here has no decoder for it")
        if chosen.width * chosen.height > MAX_PIXELS:
            raise InputError(
                f"cannot open video '{shown}': its frames have {chosen.width}x{chosen.height} pixels, "
                f"more than the {MAX_PIXELS:,} allowed"
            )
        # What is a chain of pictures and no more ("jpeg_pipe") has times in FFmpeg, but none of its own.
        timed = not (container.format.flags & NO_TIMES or container.format.name.endswith("_pipe"))
        rate, of_rate = _rate(chosen, timed, fps_in, shown)
    except BaseException:
        container.close()
        raise
    chosen.thread_type = "SLICE"
    may_restart = bool(container.format.flags & RESTARTS)
    return Opened(container, chosen, rate, timed, may_restart, (*notes, *of_rate))


def open_file(path: str, *, timeout_s: float = 10.0, options: dict[str, str] | None = None) -> Any:
    """Return PyAV's container of a file or URL, of which nothing is known yet; see `open_container`."""
    import av

    av.logging.set_level(av.logging.PANIC)  # what FFmpeg has to say comes as an error; stderr is the user's
    shown = without_password(path)
    try:
        with contextlib.ExitStack() as held:
            if is_url(path) and not os.path.exists(path):  # noqa: PTH110 - of a name that is too long there is none
                # what a playlist in a bucket names is not fetched
                return av.open(open_url(path), options={**(options or {}), "protocol_whitelist": "data"})
            return av.open(_address(path, held), timeout=timeout_s, options=options or {})
    except (av.FFmpegError, OSError, ValueError) as error:
        reason = reason_of(error)
        if path.lower().startswith("rtsp") and isinstance(error, av.error.InvalidDataError):
            raise MienError(f"cannot read stream {shown}: nothing came that FFmpeg can read as a picture") from error
        if "://" in path and not is_url(path) and not isinstance(error, ValueError) and not Path(path).exists():
            raise MienError(f"cannot reach stream {shown}: {reason}") from error
        if isinstance(error, av.error.InvalidDataError):
            reason = "it is no video that FFmpeg can read, or its end is missing"
        raise InputError(f"cannot open video '{shown}': {reason}") from error


def restarts(path: str, stream: int | None = None) -> bool:
    """Return whether a video's clock begins anew somewhere; all of the file is read for that, but nothing decoded."""
    import av

    opened = open_container(path, stream=stream)
    with opened.container, contextlib.suppress(av.FFmpegError, ValueError):
        clock = Clock(0.0, 0.0, may_restart=opened.may_restart)
        for packet in opened.container.demux(opened.stream):
            if packet.dts is not None:
                clock.offset(float(packet.dts * packet.time_base))
            if clock.restarts:
                return True
    return False


def length_of(container: Any, stream: Any) -> float | None:
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


def reason_of(error: BaseException) -> str:
    """Return why FFmpeg or the system refused, in lower case."""
    text = getattr(error, "strerror", None) or str(error)
    return str(text).strip().lower() or type(error).__name__


def _address(path: str, held: contextlib.ExitStack) -> str:
    """Return what FFmpeg is to open: a file by its own protocol, so that no other takes it for one of its names."""
    if "://" in path and not os.path.exists(path):  # noqa: PTH110 - of a name that is too long there is none
        return path
    try:
        path.encode()
    except UnicodeEncodeError:  # a name that PyAV cannot hand on
        number = os.open(path, os.O_RDONLY)
        held.callback(os.close, number)
        path = f"/dev/fd/{number}"
    return f"file:{path}"


def _rate(stream: Any, timed: bool, fps_in: float | None, shown: str) -> tuple[Fraction, tuple[str, ...]]:
    """Return the frames of a second, and a line on it where that decides their times."""
    if timed:
        rate = stream.average_rate or stream.guessed_rate or NOMINAL
        unused = f"'{shown}' says itself when its frames are shown: the frames a second that were given are not used"
        return rate, (unused,) if fps_in else ()
    own = stream.codec_context.framerate
    if fps_in:
        rate, why = Fraction(fps_in).limit_denominator(100_000), "as was asked for"
    elif own:
        rate, why = own, "as its pictures say; if that is wrong, name the rate with --fps-in"
    else:
        rate, why = NOMINAL, "for want of a better: name the right rate with --fps-in"
    return rate, (f"'{shown}' does not say when its frames are shown: {float(rate):g} a second were taken, {why}",)


def _chosen(container: Any, path: str, shown: str, number: int | None) -> tuple[Any, tuple[str, ...]]:
    """Return the stream to look at, and a line on it where there are others."""
    videos = list(container.streams.video)
    if number is not None:
        for stream in videos:
            if stream.index == number:
                return stream, ()
        there = "; ".join(_described(container, stream) for stream in videos) or "no video at all"
        raise InputError(f"cannot open video '{shown}': it has no video stream {number}; there is {there}")
    films = [stream for stream in videos if not _is_picture(stream)]
    if not films:
        raise InputError(f"cannot open video '{shown}': it holds no picture, only {_kinds(container)}")
    if len(films) > 1:
        lengths = _measured(container, path, films)
        moving = [stream for stream in films if lengths[stream.index] > 0] or films
        default = [stream for stream in moving if int(stream.disposition) & DEFAULT] or moving
        longest = max(lengths[stream.index] for stream in default)
        longest_ones = [stream for stream in default if longest - lengths[stream.index] < SAME_S]
        film = max(longest_ones, key=lambda stream: (stream.width * stream.height, -stream.index))
    else:
        film = films[0]
    others = [stream for stream in videos if stream is not film]
    if not others:
        return film, ()
    rest = "; ".join(_described(container, stream) for stream in others)
    taken = f"'{shown}' holds {len(videos)} video streams: {_described(container, film)} was taken"
    return film, (f"{taken}; there is also {rest} (--stream takes another)",)


def _is_picture(stream: Any) -> bool:
    return bool(int(stream.disposition) & (ATTACHED | STILL | THUMBNAILS))


def _described(container: Any, stream: Any) -> str:
    codec = stream.codec_context.name if stream.codec_context else "unknown"
    length = length_of(container, stream)
    kind = "a still picture" if _is_picture(stream) or stream.frames == 1 else f"{length:,.1f} s" if length else ""
    size = f"{codec}, {stream.width}x{stream.height}" + (f", {kind}" if kind else "")
    return f"stream {stream.index} ({size})"


def _kinds(container: Any) -> str:
    kinds = sorted({stream.type for stream in container.streams})
    return " and ".join(kinds) if kinds else "an empty container"


def _measured(container: Any, path: str, streams: Sequence[Any]) -> dict[int, float]:
    """Return how long each stream is in seconds; 0 for one of a single picture."""
    lengths_declared = {stream.index: length_of(container, stream) for stream in streams}
    peeked = {} if all(stream.frames for stream in streams) else _peeked(path, streams)
    lengths: dict[int, float] = {}
    for stream in streams:
        count, last_s = peeked.get(stream.index, (stream.frames, 0.0))
        lengths[stream.index] = 0.0 if count == 1 else lengths_declared[stream.index] or last_s
    return lengths


def _peeked(path: str, streams: Sequence[Any]) -> dict[int, tuple[int, float]]:
    """Return how many packets of each stream come first, and how far they reach in seconds."""
    import av

    counts = dict.fromkeys((stream.index for stream in streams), 0)
    reach = dict.fromkeys(counts, 0.0)
    with contextlib.suppress(av.FFmpegError, ValueError, MienError), open_file(path) as container:
        begins: dict[int, float] = {}
        for packet in itertools.islice(container.demux(), PEEK_PACKETS):
            index = packet.stream.index
            if index not in counts or not packet.size:
                continue
            counts[index] += 1
            if packet.dts is not None:
                at = float(packet.dts * packet.time_base)
                reach[index] = max(reach[index], at - begins.setdefault(index, at))
            if min(counts.values()) > 1:
                break
    return {index: (count, reach[index]) for index, count in counts.items()}
