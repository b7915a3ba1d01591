"""A video's frames on all cores: frames go in, their observations come out in order, the same as one by one.

    source -> stretches of frames -> as many workers as cores -> tracks and smoothing, in order -> observations

Finding and reading the faces of a stretch (see `mien.vision.schedule`) needs nothing of those before it; only tracks
and smoothing go through all of them, and cost little. Threads are enough: decoding, nets and picture work run outside
of Python's lock. Frames in memory are bounded by their bytes, so a long or large video needs no more than a short
one.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from queue import Empty, SimpleQueue
from typing import TypeAlias

from mien.media.base import Frame
from mien.observation import Observation
from mien.vision.detector import Faces
from mien.vision.pipeline import Pipeline, Reading
from mien.vision.schedule import KeyframeSchedule

__all__ = ["WINDOW", "cores", "observe_all", "read_all"]

WINDOW = 12 << 20
"""So many bytes of frames are in memory per worker, or one frame where that is larger."""

TOGETHER = 8
"""The faces of so many frames at most are read in one go."""

Read: TypeAlias = "tuple[Frame, Reading] | BaseException | None"


def cores() -> int:
    """Return on how many cores this process may run."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def observe_all(
    pipeline: Pipeline, frames: Iterable[Frame], workers: int | None = None
) -> Generator[tuple[Frame, Observation]]:
    """Yield each frame with its observation, in order.

    Args:
        pipeline: A session's; nothing else may use it meanwhile.
        frames: Iterated on a thread of its own, some frames ahead; an error there is raised after what came before it.
        workers: How many threads find and read faces; default: one per core.
    """
    with closing(read_all(pipeline, frames, workers)) as readings:
        for frame, reading in readings:
            yield frame, pipeline.record(frame, reading)


def read_all(
    pipeline: Pipeline, frames: Iterable[Frame], workers: int | None = None
) -> Generator[tuple[Frame, Reading]]:
    """Yield each frame with what it says by itself, in order; the pipeline's session stays as it is.

    Args:
        pipeline: As of `observe_all`.
        frames: As of `observe_all`.
        workers: As of `observe_all`.
    """
    work = _Work(pipeline, frames, workers or cores())
    try:
        yield from work.results()
    finally:
        work.stop()


class _Stretch:
    """Frames on their way to a worker, and what it read on the way back; None ends either."""

    def __init__(self) -> None:
        self.frames: SimpleQueue[Frame | None] = SimpleQueue()
        self.read: SimpleQueue[Read] = SimpleQueue()


class _Work:
    def __init__(self, pipeline: Pipeline, frames: Iterable[Frame], workers: int) -> None:
        self._pipeline, self._frames, self._workers = pipeline, frames, workers
        self._window = _ByteBudget(WINDOW * workers)
        self._to_read: SimpleQueue[_Stretch | None] = SimpleQueue()
        self._in_order: SimpleQueue[_Stretch | None] = SimpleQueue()
        self._error: BaseException | None = None
        targets = [self._feed, *[self._work] * workers]
        self._threads = [threading.Thread(target=target, name="observe", daemon=True) for target in targets]
        for thread in self._threads:
            thread.start()

    def results(self) -> Iterator[tuple[Frame, Reading]]:
        while (stretch := self._in_order.get()) is not None:
            while (read := stretch.read.get()) is not None:
                if isinstance(read, BaseException):
                    raise read
                yield read
                self._window.give(read[0].image.nbytes)
        if self._error is not None:
            raise self._error

    def stop(self) -> None:
        """End all threads; those of a stretch that nobody waits for any more leave it as it is."""
        self._window.close()
        for thread in self._threads:
            thread.join()

    def _feed(self) -> None:
        """Cut the frames into stretches, as many as the window holds."""
        keyframes, stretch = KeyframeSchedule(), _Stretch()
        try:
            for frame in self._frames:
                if not self._window.take(frame.image.nbytes):
                    break
                if keyframes.is_due(frame.offset_s, frame.shot):
                    stretch.frames.put(None)
                    stretch = _Stretch()
                    self._in_order.put(stretch)
                    self._to_read.put(stretch)
                stretch.frames.put(frame)
        except BaseException as error:  # noqa: BLE001 - raised where the results are taken
            self._error = error
        stretch.frames.put(None)
        self._in_order.put(None)
        for _ in range(self._workers):
            self._to_read.put(None)

    def _work(self) -> None:
        for stretch in iter(self._to_read.get, None):
            stretch.read.put(self._attempt(stretch))

    def _attempt(self, stretch: _Stretch) -> BaseException | None:
        try:
            self._read(stretch)
        except BaseException as error:  # noqa: BLE001 - raised where the results are taken
            return error
        return None

    def _read(self, stretch: _Stretch) -> None:
        """Read what frames are there, and never wait for more: the window may be full of just these."""
        before: Faces | None = None
        while (frame := stretch.frames.get()) is not None and not self._window.closed:
            frames = [frame, *_waiting(stretch.frames, TOGETHER - 1)]
            ends = frames[-1] is None
            taken = [one for one in frames if one is not None]
            readings = self._pipeline.read([one.image for one in taken], before)
            before = readings[-1].found
            for one, reading in zip(taken, readings, strict=True):
                stretch.read.put((one, reading))
            if ends:
                return


def _waiting(queue: SimpleQueue[Frame | None], most: int) -> list[Frame | None]:
    """Return what a queue holds at the moment, up to its end."""
    found: list[Frame | None] = []
    try:
        while len(found) < most:
            found.append(queue.get_nowait())
            if found[-1] is None:
                break
    except Empty:
        pass
    return found


class _ByteBudget:
    """So many bytes may be taken at a time; who wants more waits until some are given back."""

    def __init__(self, size: int) -> None:
        self._size, self._taken = size, 0
        self._changed = threading.Condition()
        self.closed = False

    def take(self, count: int) -> bool:
        """Wait until there is room, and take it; return False once the window is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self.closed or not self._taken or self._taken + count <= self._size)
            self._taken += count
            return not self.closed

    def give(self, count: int) -> None:
        with self._changed:
            self._taken -= count
            self._changed.notify()

    def close(self) -> None:
        with self._changed:
            self.closed = True
            self._changed.notify()
