"""Video files: any container and codec that FFmpeg reads, frame by frame, with their true times.

A path goes in, frames come out: as they are to be displayed, at the times that the file gives them, counted from where
the file begins. What the header says of length and count is never trusted. A damaged or truncated file is read as far
as it goes; `problem` then says so.
"""

from __future__ import annotations

import itertools
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator
from typing import Any

from mien.errors import InputError
from mien.masking import without_password
from mien.media.base import Frame, Need, Source, later
from mien.media.containers import MAX_PIXELS, length_of, open_container, reason_of
from mien.media.displayed import Converter, aspects
from mien.media.seeking import Clock, SeekPoint, Survey, begin_of, find, survey
from mien.media.sparing import SparingDecoder, UnsureError, is_spared
from mien.observation import now
from mien.words import counted

__all__ = ["Video"]

MAX_DAMAGED = 500
"""So many packets in a row that do not decode end a file."""

STOOD = 0.01
"""Where the clock stands still in more than this share of the frames, it is noted."""

WORTH_SEEKING_S = 2.0
"""What lies before an earlier time is simply decoded."""


class Video(Source):
    """A video file; see `mien.media.open.Source`.

    Args:
        path: The file, or the URL of one.
        name: What the source is called.
        stream: The number of the stream to look at, as ffprobe counts them; None: the film's.
        fps_in: How many frames a second the file has, if it doesn't say when they are shown.

    Attributes:
        count: How many frames there are up to the last that was seen, those that were left out too.

    Raises:
        InputError: It is no video that FFmpeg can read, has no such stream, or its frames are too large.
    """

    live = False
    dropped = 0

    def __init__(self, path: str, name: str, *, stream: int | None = None, fps_in: float | None = None) -> None:
        self.path, self.name = path, name
        self._shown = without_password(path)
        self._how: dict[str, Any] = {"stream": stream, "fps_in": fps_in}
        self.problem: str | None = None
        self._from_s = 0.0
        self._place: SeekPoint | None = None
        self._needs: Callable[[], Need] | None = None
        self._clock: Clock | None = None
        self.count, self._last_s = 0, 0.0
        self._closed = False
        self._lock = threading.Lock()
        self._landed: int | None = None
        opened = open_container(path, **self._how)
        self._container, self._stream, self._rate, self._timed, self._may_restart, self.notes = opened
        self._aspect = aspects(self._stream)
        length = length_of(self._container, self._stream)
        self.expected = round(length * self._rate) if length else None

    def skip_to(self, offset_s: float) -> None:
        """Decode little of what lies before this time; see `mien.media.open.Source`."""
        self._from_s = offset_s

    def need_only(self, needs: Callable[[], Need]) -> None:
        """Yield no other frames than these; others are decoded only where the codec wants it."""
        self._needs = needs

    def begin_at(self, place: SeekPoint) -> None:
        """Say, before iterating, that nobody wants the frames before a place that is known from `survey`."""
        self._place = place

    def survey(self) -> Survey | None:
        """Return when all of the frames are shown, in place of iterating; None where the file tells too little."""
        if not self._timed:
            return None
        with self._lock:
            return survey(self._container, self._stream, float(self._rate), may_restart=self._may_restart)

    def __iter__(self) -> Iterator[Frame]:
        try:
            yield from self._frames()
        except AssertionError:  # of a container that was closed meanwhile, from PyAV 19 on
            if not self._closed:
                raise

    def _frames(self) -> Iterator[Frame]:
        start, convert = now(), Converter()
        for index, offset, decoded in self._needed(self._find()):
            yield Frame(convert(decoded, self._aspect()), index, offset, later(start, offset))
        if self._closed:
            return
        clock = self._clock
        if clock is None:
            raise InputError(f"cannot read video '{self._shown}': none of its frames can be decoded; is it damaged?")
        if clock.stood > max(2, STOOD * self.count):
            whose = f"{clock.stood:,} of the {self.count:,} frames of '{self._shown}'"
            same = "they count as shown at the same moment, so the figures say little of them"
            self.notes += (f"{whose} bear no later time than the one before: {same}",)
        if clock.restarts:
            times = "once" if clock.restarts == 1 else f"{clock.restarts:,} times"
            joined = f"the clock of '{self._shown}' begins anew {times}, as in recordings that were joined"
            self.notes += (f"{joined}: each part was put right after the one before it",)
            return
        # Some containers tell the length, some the time of the end.
        self._note_what_is_missing(self.count, self._last_s + float(1 / self._rate) + max(0.0, clock.begin_s))

    def _needed(self, place: SeekPoint | None) -> Iterator[tuple[int, float, Any]]:
        """Yield the number, the offset in seconds and what is decoded of each frame that is needed."""
        after, needs = -1, self._needs() if self._needs else None
        if self._needs and needs and self._timed and is_spared(self._stream):
            after = yield from self._sparingly(place, needs)
            if self.count or self._closed:
                return
            self._rewind()
            needs = self._needs()
        step_s = float(1 / self._rate)
        self._clock = self._clock_from(place.first) if place is not None else None
        for index, decoded in self._numbered(place):
            if self._clock is None:
                self._clock = self._clock_from(decoded.pts, decoded.time)
            offset = self._clock.offset(decoded.time) if self._timed else index * step_s
            self.count, self._last_s = index + 1, offset
            is_needed = needs is None or needs(index, offset)
            if is_needed and index > after:
                yield index, offset, decoded

    def _sparingly(self, place: SeekPoint | None, needs: Need) -> Generator[tuple[int, float, Any], None, int]:
        """Yield the frames that are needed, decoding little else, and return the number of the last of them.

        Where the file turns out to tell too little for that, `count` stays 0, and it is to be decoded as a whole.
        """
        import av

        after = -1
        if place is not None and not self._seek(place):
            return after
        decoder = SparingDecoder(self._stream, self._clock_from, needs, place)
        packets = self._container.demux(self._stream)
        self._landed = None
        while not decoder.is_over:
            with self._lock:
                if self._closed:
                    return after
                try:
                    frames = decoder.take(next(packets, None))
                except (UnsureError, av.FFmpegError, ValueError):
                    return after
            for index, offset, frame in frames:
                after = index
                yield index, offset, frame
        self._clock, self.count, self._last_s = decoder.clock, decoder.count, decoder.last_s
        return after

    def _clock_from(self, first: int | None, first_s: float | None = None) -> Clock:
        """Return a clock for a video whose first frame is shown at this time, in the stream's unit, or in seconds."""
        if first is not None and first_s is None:
            first_s = float(first * self._stream.time_base)
        begin_s = begin_of(self._container, first_s or 0.0)
        return Clock(begin_s, float(1 / self._rate), may_restart=self._may_restart)

    def _find(self) -> SeekPoint | None:
        if self._place is not None:
            return self._place
        if self._from_s < WORTH_SEEKING_S or not self._timed:
            return None
        opened = open_container(self.path, **self._how)
        with opened.container:
            return find(
                opened.container, opened.stream, self._from_s, lambda: self._closed, may_restart=self._may_restart
            )

    def _numbered(self, place: SeekPoint | None) -> Iterator[tuple[int, Any]]:
        """Yield decoded frames, from a place on if that can be reached, each with its number in the whole."""
        if place is not None:
            frames = self._decode() if self._seek(place) else iter(())
            first = next(frames, None)
            number = None if first is None or self._overshot(place) else place.number_of(first.pts)
            if number is not None:
                yield from enumerate(itertools.chain([first], frames), number)
                return
            self._rewind()
        yield from enumerate(self._decode())

    def _seek(self, place: SeekPoint) -> bool:
        import av

        with self._lock:
            try:
                self._container.seek(place.key, stream=self._stream)
            except (av.FFmpegError, ValueError):  # cannot, or closed meanwhile
                return False
        return True

    def _overshot(self, place: SeekPoint) -> bool:
        """Return whether seeking led to a later part of the file, where the clock runs through the same times again."""
        return None not in (place.position, self._landed) and self._landed > place.position  # type: ignore[operator]

    def _rewind(self) -> None:
        with self._lock:
            if self._closed:
                return
            self.problem = None
            self._container.close()
            self._container, self._stream, *_ = open_container(self.path, **self._how)
            self._aspect = aspects(self._stream)

    def _decode(self) -> Iterator[Any]:
        """Yield decoded frames, passing over packets that are damaged."""
        import av

        damaged = in_a_row = 0
        packets = self._container.demux(self._stream)
        self._landed = None
        seam = _Seam(self._may_restart)
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
                if self._landed is None:
                    self._landed = packet.pos
                damaged += packet.is_corrupt - seam.marked(packet)
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
            parts = counted(damaged, "part", "parts")
            self.problem = f"video '{self._shown}' is damaged: {parts} of it could not be decoded"

    def _note_what_is_missing(self, count: int, end: float) -> None:
        length = length_of(self._container, self._stream)
        if length is None or length - end <= max(0.5, 0.02 * length):
            return
        self.problem = (
            f"video '{self._shown}' ends early: {end:,.1f} of {length:,.1f} seconds "
            f"({counted(count, 'frame', 'frames')}) could be read; repair it "
            f"(for example with ffmpeg -i {self._shown} -c copy fixed.mkv) and run it again"
        )

    def close(self) -> None:
        """Close the file."""
        self._closed = True
        with self._lock:
            self._container.close()


class _Seam:
    """Tells how many packets were marked as damaged only because recordings were joined there."""

    NEAR = 4

    def __init__(self, may_restart: bool) -> None:
        self._may_restart = may_restart
        self._clock = Clock(0.0, 0.0, may_restart=True)
        self._marks: deque[bool] = deque(maxlen=self.NEAR)

    def marked(self, packet: Any) -> int:
        """Return how many of the latest packets were, now that this one comes."""
        if not self._may_restart or packet.dts is None:
            return 0
        before = self._clock.restarts
        self._clock.offset(float(packet.dts * packet.time_base))
        self._marks.append(packet.is_corrupt)
        if self._clock.restarts == before:
            return 0
        count = sum(self._marks)
        self._marks.clear()
        return count
