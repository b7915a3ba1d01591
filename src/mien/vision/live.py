"""Live sources: cameras and streams, the newest frame always first.

A connection that yields images goes in, frames come out. A thread reads as fast as the medium gives and keeps only
the newest image, so a slow reader drops frames and never falls behind. A connection that breaks is made again, with
growing pauses, for as long as the source is open.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time as clock
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import numpy as np

from mien.config import without_password
from mien.errors import InputError, MienError
from mien.observation import now
from mien.vision.sources import Frame, Image, Source
from mien.vision.video import Converter, open_container, reason_of

__all__ = ["Connection", "Live", "camera", "is_file_behind", "stream"]

Connection = Iterator[Callable[[], Image]]
"""What a connected medium gives: for each frame, as it comes, a function that returns its image."""

TIMEOUT_S = 10.0
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 30.0


class Live(Source):
    """A camera or stream; see `mien.vision.sources.Source`.

    Args:
        name: What the source is called.
        connect: Makes the connection; called again whenever it broke.

    Attributes:
        connected: Whether frames are coming at present.

    Raises:
        MienError: The first connection fails, or gives no frame.
    """

    live = True

    def __init__(self, name: str, connect: Callable[[], Connection]) -> None:
        self.name = name
        self.dropped = 0
        self.problem: str | None = None
        self.connected = True
        self._connect = connect
        self._newest: tuple[Callable[[], Image], datetime, float] | None = None
        self._fresh = threading.Condition()
        self._closed = threading.Event()
        connection = connect()
        first = next(connection, None)
        if first is None:
            raise MienError(f"source '{name}' gives no picture")
        self._put(first)
        self._thread = threading.Thread(target=self._read, args=(connection,), name=f"source {name}", daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[Frame]:
        start: float | None = None
        count = 0
        while True:
            with self._fresh:
                self._fresh.wait_for(lambda: self._newest is not None or self._closed.is_set())
                if self._closed.is_set() or self._newest is None:
                    return
                (image, time, at), self._newest = self._newest, None
            start = at if start is None else start
            yield Frame(image(), count + self.dropped, at - start, time)
            count += 1

    def _read(self, connection: Connection) -> None:
        pause = FIRST_PAUSE_S
        while not self._closed.is_set():
            with contextlib.suppress(MienError, OSError, ValueError):  # broken: connected again below
                for image in connection:
                    self._put(image)
                    self.connected, pause = True, FIRST_PAUSE_S
                    if self._closed.is_set():
                        break
            self.connected = False
            connection = iter(())
            if self._closed.wait(pause):
                return
            pause = min(2 * pause, LONGEST_PAUSE_S)
            with contextlib.suppress(MienError):
                connection = self._connect()

    def _put(self, image: Callable[[], Image]) -> None:
        with self._fresh:
            self.dropped += self._newest is not None
            self._newest = image, now(), clock.monotonic()
            self._fresh.notify()

    def close(self) -> None:
        """End the iteration and let the medium go."""
        self._closed.set()
        with self._fresh:
            self._fresh.notify_all()
        if self._thread is not threading.current_thread():
            self._thread.join(timeout=2)


def camera(device: int | str) -> Callable[[], Connection]:
    """Return what connects to the camera with this number or device file."""

    def connect() -> Connection:
        import cv2

        path = f"/dev/video{device}" if isinstance(device, int) else device
        if os.name == "posix" and not os.path.exists(path):  # noqa: PTH110 - a device, not a file
            raise InputError(f"cannot open camera {device}: there is no {path}; `mien doctor` lists the cameras here")
        cv2.setLogLevel(0)  # type: ignore[attr-defined]
        capture = cv2.VideoCapture(device)
        if not capture.isOpened():
            capture.release()
            raise InputError(
                f"cannot open camera {device}: {path} is no camera, is in use by another program, or may not be read "
                "by this user (group video)"
            )
        capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
        return _grab(capture, f"camera {device}")

    return connect


def _grab(capture: Any, what: str) -> Connection:
    try:
        while True:
            came, image = capture.read()
            if not came:
                raise MienError(f"{what} gives no picture any more")
            yield lambda image=image: np.asarray(image, np.uint8)  # type: ignore[misc]
    finally:
        capture.release()


def stream(url: str) -> Callable[[], Connection]:
    """Return what connects to the RTSP, RTMP or HTTP stream at a URL."""

    def connect() -> Connection:
        container, video = _open(url)
        return _receive(container, video, url)

    return connect


def is_file_behind(url: str) -> bool:
    """Return whether the URL leads to a whole file, which has a length, and not to a stream.

    Raises:
        MienError: It cannot be reached.
        InputError: What is there is no video.
    """
    if not url.lower().startswith("http"):
        return False
    container, _ = _open(url)
    try:
        return bool(container.duration)
    finally:
        container.close()


def _open(url: str) -> tuple[Any, Any]:
    options = {"fflags": "nobuffer", "flags": "low_delay"}
    if url.lower().startswith("rtsp"):
        options["rtsp_transport"] = "tcp"
    return open_container(url, timeout_s=TIMEOUT_S, options=options)


def _receive(container: Any, video: Any, url: str) -> Connection:
    import av

    convert = Converter()
    try:
        for decoded in container.decode(video):
            yield lambda decoded=decoded: convert(decoded)  # type: ignore[misc]
    except (av.FFmpegError, OSError, ValueError) as error:
        raise MienError(f"stream {without_password(url)} broke: {reason_of(error)}") from error
    finally:
        container.close()
