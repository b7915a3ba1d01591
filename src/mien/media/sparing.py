"""Decoding no more of a video than is needed: its packets go in, the frames that somebody needs come out.

Each packet tells when its frame is shown, so what is needed is known before anything is decoded. Of the other frames
those are not decoded that no frame refers to, where the codec marks them, nor whole groups of pictures between two key
frames. Frames come out as if all had been decoded, or `UnsureError` says that the packets tell too little for that.
"""

from __future__ import annotations

import heapq
import math
from collections import deque
from collections.abc import Callable
from typing import Any

from mien.media.base import Need
from mien.media.containers import MAX_PIXELS
from mien.media.seeking import Clock, SeekPoint

__all__ = ["SparingDecoder", "UnsureError", "is_spared"]

CODECS = frozenset({"h264", "hevc", "mpeg4", "mpeg1video", "mpeg2video", "vp9", "av1"})
"""Codecs of which each packet is a frame that is shown, and whose decoders leave out those that others don't need."""

PROVEN = 12
"""The first so many frames are all decoded and must be those that the packets tell."""

MOST_HELD = 32 << 20
"""So many bytes of packets wait at most until it is known whether they are needed."""

Decoded = list[tuple[int, float, Any]]


class UnsureError(Exception):
    """The packets tell too little of the frames: the video is to be decoded as a whole."""


def is_spared(stream: Any) -> bool:
    """Return whether anything of a stream, PyAV's, may be left out."""
    codec = stream.codec_context.codec
    return codec.canonical_name in CODECS or codec.intra_only


class SparingDecoder:
    """Decodes what is needed.

    Args:
        stream: PyAV's, at its beginning or at a place.
        clock_from: Makes the clock of a video whose first frame is shown at a time in the stream's unit.
        needs: Asked once of each frame, by its number and its offset in seconds.
        place: Where the stream is.

    Attributes:
        clock: The clock; None before the first frame.
        count: How many frames the medium has up to the last that was seen.
        last_s: The offset of that one in seconds.
        is_over: Whether all packets were taken.
        decoded: How many frames were decoded.
    """

    def __init__(
        self, stream: Any, clock_from: Callable[[int], Clock], needs: Need, place: SeekPoint | None = None
    ) -> None:
        self.clock: Clock | None = None
        self.count, self.last_s, self.is_over, self.decoded = 0, 0.0, False, 0
        self._unit = stream.time_base
        self._context = stream.codec_context
        self._is_intra = self._context.codec.intra_only
        self._unneeded = "NONREF" if _is_of_one_layer(self._context) else "DEFAULT"
        self._clock_from, self._needs, self._place = clock_from, needs, place
        self._decoding_time: float | None = None
        self._times: list[int] = []  # a heap of those that are not decided
        self._decided_to: int | None = None
        self._waiting: deque[Any] = deque()
        self._needed: set[int] = set()
        self._held: list[Any] = []
        self._expected: deque[tuple[int, int, float]] = deque()  # time, number and offset of needed frames
        self._order: deque[int] = deque()
        self._proven = 0
        self._is_decoding = False

    def take(self, packet: Any) -> Decoded:
        """Return the number, the offset in seconds and what was decoded of needed frames, once the next packet came.

        Args:
            packet: PyAV's; None or an empty one: there is none left.

        Raises:
            UnsureError: It is not sure that these are the same frames as if everything were decoded.
        """
        import av

        try:
            if packet is None or not packet.size:
                return self._finish()
            self._queue(packet)
            return [each for ready in self._decide(self._decoding_time) for each in self._hold(ready)]
        except (av.FFmpegError, ValueError, OverflowError) as error:
            raise UnsureError from error

    def _queue(self, packet: Any) -> None:
        time, decoded_at = packet.pts, packet.dts
        if decoded_at is None and self._decoding_time is None and time is not None:
            decoded_at = -math.inf  # Matroska tells it only after some packets
        if packet.is_corrupt or time is None or decoded_at is None or time < decoded_at:
            raise UnsureError
        if self._decoding_time is None:
            self._check_place(packet)
        elif decoded_at < self._decoding_time:
            raise UnsureError
        self._decoding_time = None if packet.dts is None else decoded_at
        self._waiting.append(packet)
        if packet.is_discard:
            return
        if time in self._times or (self._decided_to is not None and time <= self._decided_to):
            raise UnsureError
        heapq.heappush(self._times, time)

    def _check_place(self, packet: Any) -> None:
        place = self._place
        if place is not None and None not in (place.position, packet.pos) and packet.pos > place.position:
            raise UnsureError

    def _decide(self, until: float | None) -> list[Any]:
        """Return the packets whose frames were decided on by now, as none follows that is shown earlier than this."""
        while self._times and until is not None and self._times[0] <= until:
            self._decide_on(heapq.heappop(self._times))
        ready = []
        while self._waiting and (self._waiting[0].is_discard or self._is_decided(self._waiting[0].pts)):
            ready.append(self._waiting.popleft())
        return ready

    def _is_decided(self, time: int) -> bool:
        return self._decided_to is not None and time <= self._decided_to

    def _decide_on(self, time: int) -> None:
        if self.clock is None:
            number = 0 if self._place is None else self._place.number_of(time)
            if number is None:
                raise UnsureError
            self.clock = self._clock_from(time if self._place is None else self._place.first)
            self.count = number
        self._decided_to = time
        number, self.last_s = self.count, self.clock.offset(time * self._unit.numerator / self._unit.denominator)
        if self.clock.restarts:
            raise UnsureError
        self.count += 1
        if self._proven < PROVEN:
            self._order.append(time)
        if self._needs(number, self.last_s):
            self._needed.add(time)
            self._expected.append((time, number, self.last_s))

    def _hold(self, packet: Any) -> Decoded:
        """Take the next packet in the order of decoding; where nothing needs it yet, it waits."""
        is_needed = packet.pts in self._needed and not packet.is_discard
        self._needed.discard(packet.pts)
        if self._is_intra and not is_needed and self._proven >= PROVEN:
            return []
        self._held.append(packet)
        frames = self._skip() if packet.is_keyframe and len(self._held) > 1 else []
        if is_needed or self._proven < PROVEN or sum(held.size for held in self._held) > MOST_HELD:
            held, self._held, self._is_decoding = self._held, [], True
            for number, waiting in enumerate(held, 1):
                all_needed = (is_needed and number == len(held)) or self._proven < PROVEN
                self._context.skip_frame = "DEFAULT" if all_needed else self._unneeded
                frames += self._checked(waiting.decode())
        return frames

    def _skip(self) -> Decoded:
        """Forget packets that lie before the last key frame but one: what follows the last refers to nothing there."""
        keys = [number for number, packet in enumerate(self._held) if packet.is_keyframe]
        if len(keys) < 2 or keys[-2] == 0:
            return []
        self._held = self._held[keys[-2] :]
        if not self._is_decoding:
            return []
        self._is_decoding = False
        frames = self._checked(self._context.decode(None))
        self._context.flush_buffers()
        return frames

    def _finish(self) -> Decoded:
        frames = [each for ready in self._decide(math.inf) for each in self._hold(ready)]
        self._context.skip_frame = "DEFAULT"
        frames += self._checked(self._context.decode(None))
        if self._expected or not self.count:
            raise UnsureError
        self.is_over = True
        return frames

    def _checked(self, decoded: list[Any]) -> Decoded:
        """Return those of some frames that are needed."""
        frames: Decoded = []
        self.decoded += len(decoded)
        for frame in decoded:
            if frame.pts is None or frame.width * frame.height > MAX_PIXELS:
                raise UnsureError
            if self._proven < PROVEN:
                if not self._order or frame.pts != self._order.popleft():
                    raise UnsureError
                self._proven += 1
            if not self._expected or frame.pts < self._expected[0][0]:
                continue
            time, number, offset = self._expected.popleft()
            if frame.pts != time:
                raise UnsureError
            frames.append((number, offset, frame))
        return frames


def _is_of_one_layer(context: Any) -> bool:
    """Return whether frames that none of their own layer refers to are referred to by none at all.

    Of HEVC its configuration record, or else its first parameter set, says how many temporal layers there are.
    """
    if context.codec.canonical_name != "hevc":
        return True
    told = bytes(context.extradata or b"")
    if len(told) > 21 and told[0] == 1:
        return (told[21] >> 3) & 7 == 1
    at = told.find(b"\0\0\1\x40\x01")
    return 0 <= at < len(told) - 7 and (told[at + 6] >> 1) & 7 == 0
