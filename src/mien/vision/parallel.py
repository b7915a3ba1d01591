"""A video's frames on all cores: frames go in, their observations come out in order, the same as one by one.

    source -> stretches of frames -> as many workers as cores -> tracks, reading, smoothing, in order -> observations

Finding the faces of a stretch (see `mien.vision.schedule`) needs nothing of those before it. Tracks go through all of
them, and which faces are read rests on what was read before; where many are, they are read in parts at the same time.
Threads are enough: decoding, nets and picture work run outside
of Python's lock. Frames in memory are bounded by their bytes, so a long or large video needs no more than a short
one.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from mien.media.base import Frame
from mien.observation import Observation
from mien.vision.detector import Faces
from mien.vision.pipeline import Found, Pipeline, Read
from mien.vision.schedule import Look

__all__ = ["WINDOW", "cores", "observe_all", "read_all"]

WINDOW = 12 << 20
"""So many bytes of frames are in memory per worker, or one frame where that is larger."""

FEWEST = 4
"""Faces are read in parts of at least so many."""

Searched: TypeAlias = "tuple[Frame, Found] | BaseException | None"


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
    work = _Work(pipeline, frames, workers or cores())
    try:
        for frame, found in work.results():
            yield frame, pipeline.record(frame, found, work.share)
    finally:
        work.stop()


def read_all(pipeline: Pipeline, frames: Iterable[Frame], workers: int | None = None) -> Generator[tuple[Frame, Found]]:
    """Yield each frame with its faces, all of them read, in order; the pipeline's session stays as it is.

    Args:
        pipeline: As of `observe_all`.
        frames: As of `observe_all`.
        workers: As of `observe_all`.
    """
    work = _Work(pipeline, frames, workers or cores(), reads_all=True)
    try:
        yield from work.results()
    finally:
        work.stop()


class _Stretch:
    """Frames on their way to a worker, and what it found on the way back; None ends either."""

    def __init__(self) -> None:
        self.frames: SimpleQueue[tuple[Frame, Look] | None] = SimpleQueue()
        self.searched: SimpleQueue[Searched] = SimpleQueue()


class _Work:
    def __init__(self, pipeline: Pipeline, frames: Iterable[Frame], workers: int, *, reads_all: bool = False) -> None:
        self._pipeline, self._frames, self._workers, self._reads_all = pipeline, frames, workers, reads_all
        self._window = _ByteBudget(WINDOW * workers)
        self._to_search: SimpleQueue[_Stretch | None] = SimpleQueue()
        self._in_order: SimpleQueue[_Stretch | None] = SimpleQueue()
        self._error: BaseException | None = None
        self._readers = ThreadPoolExecutor(workers, "observe") if workers > 1 else None
        targets = [self._feed, *[self._work] * workers]
        self._threads = [threading.Thread(target=target, name="observe", daemon=True) for target in targets]
        for thread in self._threads:
            thread.start()

    def results(self) -> Iterator[tuple[Frame, Found]]:
        while (stretch := self._in_order.get()) is not None:
            while (searched := stretch.searched.get()) is not None:
                if isinstance(searched, BaseException):
                    raise searched
                yield searched
                self._window.give(searched[0].image.nbytes)
        if self._error is not None:
            raise self._error

    def stop(self) -> None:
        """End all threads; those of a stretch that nobody waits for any more leave it as it is."""
        self._window.close()
        for thread in self._threads:
            thread.join()
        if self._readers is not None:
            self._readers.shutdown()

    def share(self, read: Callable[[NDArray[np.uint8]], Read], crops: NDArray[np.uint8]) -> list[Read]:
        """Read crops in as many parts as there are workers, see `mien.vision.pipeline.Share`."""
        parts = min(self._workers, len(crops) // FEWEST)
        if self._readers is None or parts < 2:
            return [read(crops)]
        return list(self._readers.map(read, np.array_split(crops, parts)))

    def _feed(self) -> None:
        """Cut the frames into stretches, as many as the window holds."""
        schedule, stretch = self._pipeline.looks(), _Stretch()
        try:
            for frame in self._frames:
                if not self._window.take(frame.image.nbytes):
                    break
                look = schedule.look(frame.offset_s, frame.shot)
                if look.begins:
                    stretch.frames.put(None)
                    stretch = _Stretch()
                    self._in_order.put(stretch)
                    self._to_search.put(stretch)
                stretch.frames.put((frame, look))
        except BaseException as error:  # noqa: BLE001 - raised where the results are taken
            self._error = error
        stretch.frames.put(None)
        self._in_order.put(None)
        for _ in range(self._workers):
            self._to_search.put(None)

    def _work(self) -> None:
        for stretch in iter(self._to_search.get, None):
            stretch.searched.put(self._attempt(stretch))

    def _attempt(self, stretch: _Stretch) -> BaseException | None:
        try:
            self._search(stretch)
        except BaseException as error:  # noqa: BLE001 - raised where the results are taken
            return error
        return None

    def _search(self, stretch: _Stretch) -> None:
        before: Faces | None = None
        while (searched := stretch.frames.get()) is not None and not self._window.closed:
            frame, look = searched
            found = self._pipeline.find(frame.image, before, look)
            before = found.faces
            if self._reads_all:
                found = self._pipeline.read_all(frame.image, found)
            stretch.searched.put((frame, found))


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
