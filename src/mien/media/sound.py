"""The sound of a video: packets are taken from its file as they are and put beside the pictures of another."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mien.errors import MienError
from mien.masking import without_password
from mien.media.seeking import begin_of
from mien.media.video import open_container

__all__ = ["Sound"]

log = logging.getLogger(__name__)

KEPT = frozenset({"aac", "ac3", "alac", "eac3", "flac", "mp3", "opus"})
"""What an MP4 holds; browsers play all but ac3, alac and eac3."""


class Sound:
    """The first sound track of a video, if there is one that an MP4 can hold.

    A line in the log says so where there is one that it cannot hold, or that cannot be read to its end.

    Args:
        path: The video, or its URL.
    """

    def __init__(self, path: Path | str) -> None:
        self._shown = without_password(str(path))
        self._container: Any = None
        self._stream: Any = None
        self._copy: Any = None
        self._packets: Iterator[Any] = iter(())
        self._next: Any = None
        try:
            container, video = open_container(str(path))
        except MienError:  # no video: then there is no sound of one
            return
        if not container.streams.audio:
            container.close()
            return
        self._container, self._stream = container, container.streams.audio[0]
        name = self._stream.codec_context.codec.canonical_name if self._stream.codec_context else "of an unknown kind"
        if name not in KEPT:
            log.warning("the sound of '%s' (%s) is left out: an MP4 cannot hold it as it is", self._shown, name)
            self.close()
            return
        first_s = float(video.start_time * video.time_base) if video.start_time is not None else 0.0
        self._start_s = begin_of(container, first_s)

    def join(self, container: Any, from_s: float) -> None:
        """Add a sound track to an MP4 that nothing was written to so far.

        Args:
            container: PyAV's, open for writing.
            from_s: Which position in the video is the beginning of the MP4, in seconds.
        """
        if self._stream is None:
            return
        self._copy = container.add_stream_from_template(self._stream)
        self._start_s += from_s
        self._packets = self._demuxed()
        self._next = next(self._packets, None)

    def write(self, container: Any, until_s: float) -> None:
        """Write what is to be heard before this time in the MP4, in seconds."""
        import av

        while self._next is not None and self._time(self._next) < until_s:
            packet, shift = self._next, round(self._start_s / self._stream.time_base)
            self._next = next(self._packets, None)
            if packet.pts < shift:
                continue
            packet.pts -= shift
            packet.dts = packet.pts
            packet.stream = self._copy
            try:
                container.mux(packet)
            except (av.FFmpegError, ValueError):
                self._stop()

    def _time(self, packet: Any) -> float:
        return float(packet.pts * self._stream.time_base) - self._start_s

    def _demuxed(self) -> Iterator[Any]:
        import av

        last = None
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets, None)
            except (av.FFmpegError, ValueError):
                self._stop()
                return
            if packet is None:
                return
            # The empty packet at the end has no time; where times run backwards, the MP4 could not be written.
            if packet.pts is not None and packet.size and (last is None or packet.pts > last):
                last = packet.pts
                yield packet

    def _stop(self) -> None:
        log.warning("the sound of '%s' is damaged and ends early", self._shown)
        self._next, self._packets = None, iter(())

    def close(self) -> None:
        """Close the file."""
        if self._container is not None:
            self._container.close()
        self._container = self._stream = self._next = None
