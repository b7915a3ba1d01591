"""The sound of a video: packets are taken from its file as they are and put beside the pictures of another."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mien.errors import MienError
from mien.masking import without_password
from mien.media.containers import Opened, open_container
from mien.media.seeking import Clock, begin_of

__all__ = ["Sound"]

log = logging.getLogger(__name__)

KEPT = frozenset({"aac", "ac3", "alac", "eac3", "flac", "mp3", "opus"})
"""What an MP4 holds; browsers play all but ac3, alac and eac3."""

WAITING = 10_000
"""So many packets of sound wait at most for the picture that says where their part of the video begins."""


class Sound:
    """The first sound track of a video, if there is one that an MP4 can hold.

    A line in the log says so where there is one that it cannot hold, or that cannot be read to its end.

    Args:
        path: The video, or its URL.
        stream: The number of the video stream that it goes with; None: the film's.
    """

    def __init__(self, path: Path | str, stream: int | None = None) -> None:
        self._shown = without_password(str(path))
        self._opened: Opened | None = None
        self._copy: Any = None
        self._packets: Iterator[tuple[Any, float]] = iter(())
        self._next: tuple[Any, float] | None = None
        self._from_s = 0.0
        try:
            opened = open_container(str(path), stream=stream)
        except MienError:  # no video: then there is no sound of one
            return
        if not opened.container.streams.audio or not opened.timed:
            opened.container.close()
            return
        self._opened = opened
        self._stream = opened.container.streams.audio[0]
        name = self._stream.codec_context.codec.canonical_name if self._stream.codec_context else "of an unknown kind"
        if name not in KEPT:
            log.warning("the sound of '%s' (%s) is left out: an MP4 cannot hold it as it is", self._shown, name)
            self.close()

    def join(self, container: Any, from_s: float) -> None:
        """Add a sound track to an MP4 that nothing was written to so far.

        Args:
            container: PyAV's, open for writing.
            from_s: Which position in the video is the beginning of the MP4, in seconds.
        """
        if self._opened is None:
            return
        self._copy = container.add_stream_from_template(self._stream)
        self._from_s = from_s
        self._packets = self._demuxed(self._opened)
        self._next = next(self._packets, None)

    def write(self, container: Any, until_s: float) -> None:
        """Write what is to be heard before this time in the MP4, in seconds.

        Raises:
            OSError: It cannot be written; nothing more may be written to this MP4 then.
        """
        while self._next is not None and self._next[1] < until_s:
            packet, at = self._next
            self._next = next(self._packets, None)
            if at < 0:
                continue
            packet.pts = packet.dts = round(at / packet.time_base)
            packet.stream = self._copy
            try:
                container.mux(packet)
            except ValueError:
                self._stop()

    def _demuxed(self, opened: Opened) -> Iterator[tuple[Any, float]]:
        """Yield packets of sound and when each is to be heard, in seconds of the MP4; times grow."""
        last = None
        for packet, offset_s in self._timed(opened):
            ticks = round((offset_s - self._from_s) / packet.time_base)
            # Where times run backwards, the MP4 could not be written.
            if last is None or ticks > last:
                last = ticks
                yield packet, float(ticks * packet.time_base)

    def _timed(self, opened: Opened) -> Iterator[tuple[Any, float]]:
        """Yield packets of sound with their position in the video, in seconds.

        Where the clock begins anew, the picture says where that part of the video begins.
        """
        picture: Clock | None = None
        begins: list[float] = []
        own: Clock | None = None
        waiting: deque[tuple[int, Any]] = deque()
        for packet in self._read(opened):
            at = float(packet.pts * packet.time_base)
            if packet.stream is opened.stream:
                if picture is None:
                    begin_s = begin_of(opened.container, at)
                    picture = Clock(begin_s, float(1 / opened.rate), may_restart=opened.may_restart)
                picture.offset(at)
                begins += [picture.begin_s] * (picture.restarts + 1 - len(begins))
            else:
                own = own or Clock(at, 0.0, may_restart=opened.may_restart)
                own.offset(at)
                waiting.append((own.restarts, packet))
            while waiting and (waiting[0][0] < len(begins) or len(waiting) > WAITING):
                part, sound = waiting.popleft()
                if begins:
                    yield sound, float(sound.pts * sound.time_base) - begins[min(part, len(begins) - 1)]
        for part, sound in waiting if begins else ():
            yield sound, float(sound.pts * sound.time_base) - begins[min(part, len(begins) - 1)]

    def _read(self, opened: Opened) -> Iterator[Any]:
        """Yield the packets of picture and sound that have a time; the empty ones at the end have none."""
        import av

        packets = opened.container.demux(opened.stream, self._stream)
        while True:
            try:
                packet = next(packets, None)
            except (av.FFmpegError, ValueError):
                self._stop()
                return
            if packet is None:
                return
            if packet.pts is not None and packet.size:
                yield packet

    def _stop(self) -> None:
        log.warning("the sound of '%s' is damaged and ends early", self._shown)
        self._next, self._packets = None, iter(())

    def close(self) -> None:
        """Close the file."""
        if self._opened is not None:
            self._opened.container.close()
            self._opened = None
