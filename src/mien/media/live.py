"""Live sources: cameras and streams, the newest frame always first.

A connection that yields images goes in, frames come out. A thread reads as fast as the medium gives and keeps only
the newest image, so a slow reader drops frames and never falls behind. A connection that breaks is made again, with
growing pauses, for as long as the source is open. One that shows the same picture again and again is reported.
"""

from __future__ import annotations

import functools
import logging
import os
import re
import sys
import threading
import time as clock
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import numpy as np

from mien.errors import InputError, MienError
from mien.masking import without_password
from mien.media.base import Frame, Image, Source
from mien.media.containers import open_container, reason_of
from mien.media.displayed import Converter, aspects
from mien.observation import now
from mien.system.retry import Backoff

__all__ = ["Connection", "Live", "camera", "device_of", "is_file_behind", "stream"]

Connection = Iterator[Callable[[], Image]]
"""What a connected medium gives: for each frame, as it comes, a function that returns its image."""

log = logging.getLogger(__name__)

TIMEOUT_S = 10.0
"""A connection that gives nothing for so long is broken."""

BACKOFF_S = (0.5, 30.0)

FROZEN_S = 10.0
"""A picture that doesn't change for so long stands still: no sensor is without noise."""

EACH = 8
"""Every EACH-th pixel of every EACH-th row is compared for that."""

BROKEN = (MienError, OSError, ValueError)

JETSON = (
    "nvarguscamerasrc sensor-id={sensor} ! video/x-raw(memory:NVMM),width=1280,height=720,framerate=30/1 ! nvvidconv ! "
    "video/x-raw,format=BGRx ! videoconvert ! video/x-raw,format=BGR ! appsink drop=true max-buffers=1 sync=false"
)
"""What reads a camera on a Jetson's CSI port through its image processor."""


class Live(Source):
    """A camera or stream; see `mien.media.open.Source`.

    Args:
        name: What the source is called.
        connect: Makes the connection; called again whenever it broke.
        rests: Whether it is nothing of note that the picture doesn't change, as on a screen.

    Raises:
        MienError: The first connection fails, or gives no frame.
    """

    live = True

    def __init__(self, name: str, connect: Callable[[], Connection], *, rests: bool = False) -> None:
        self.name = name
        self._rests = rests
        self.dropped = 0
        self.problem: str | None = None
        self.state = "ok"
        self._came_back = 0.0
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
        still = _Still()
        while True:
            with self._fresh:
                self._fresh.wait_for(lambda: self._newest is not None or self._closed.is_set())
                if self._closed.is_set() or self._newest is None:
                    return
                (image, time, at), self._newest = self._newest, None
            start = at if start is None else start
            picture = image()
            if not self._rests:
                self._note(at - max(still.since(picture, at), self._came_back))
            yield Frame(picture, count + self.dropped, at - start, time)
            count += 1

    def _note(self, still_s: float) -> None:
        """Take note of a picture that doesn't change, and of one that moves again; while away, neither is news."""
        if self.state == "ok" and still_s >= FROZEN_S:
            log.warning("'%s' has shown the very same picture for %.0f seconds: is it stuck?", self.name, still_s)
            self.state = "frozen"
        elif self.state == "frozen" and still_s < FROZEN_S:
            log.info("the picture of '%s' moves again", self.name)
            self.state = "ok"

    def _read(self, connection: Connection) -> None:
        backoff = Backoff(self._closed, *BACKOFF_S)
        while not self._closed.is_set():
            reason = "it ended"
            try:
                for image in connection:
                    if self.state == "away":
                        log.info("'%s' is back", self.name)
                        self.state, self._came_back = "ok", clock.monotonic()
                    backoff.worked()
                    self._put(image)
                    if self._closed.is_set():
                        return
            except BROKEN as error:
                reason = str(error)
            if self.state != "away" and not self._closed.is_set():
                log.warning("'%s' gives no picture (%s); it is connected to again and again", self.name, reason)
                self.state = "away"
            connection = iter(())
            if backoff.wait():
                return
            try:
                connection = self._connect()
            except BROKEN as error:
                log.debug("'%s': %s", self.name, error)

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


class _Still:
    """Tells since when a picture has not changed."""

    def __init__(self) -> None:
        self._shown: Image | None = None
        self._since = 0.0

    def since(self, image: Image, at: float) -> float:
        """Return the time from which on this picture, shown now, has been shown."""
        some = image[::EACH, ::EACH]
        if self._shown is None or not np.array_equal(some, self._shown):
            self._shown, self._since = some.copy(), at
        return self._since


def device_of(spec: str) -> int | str:
    """Return the number, path or URL of a camera that a spec such as `0`, `v4l2:/dev/video0` or `csi://0` names.

    Raises:
        InputError: It names none.
    """
    if spec.lower().startswith("csi:"):
        if not re.fullmatch(r"csi://\d+", spec.lower()):
            raise InputError(f"cannot open camera '{spec}': expected csi:// and the sensor's number, such as csi://0")
        return spec.lower()
    device = re.sub(r"^v4l2:(//(?=/|\d))?", "", spec, flags=re.IGNORECASE)
    number = device.removeprefix("/dev/video")
    if number.isdecimal():
        return int(number)
    if not device.startswith("/dev/"):
        raise InputError(f"cannot open camera '{spec}': expected a number or device, such as v4l2:/dev/video0")
    return device


def camera(device: int | str) -> Callable[[], Connection]:
    """Return what connects to a camera by its number, device file, or `csi://` and the number of a Jetson's sensor."""
    if isinstance(device, str) and device.startswith("csi://"):
        return lambda: _grab(_on_jetson(device), f"camera {device}")
    path = f"/dev/video{device}" if isinstance(device, int) else device
    return lambda: _grab(_on_linux(device, path), f"camera {device}")


def _on_linux(device: int | str, path: str) -> Any:
    import cv2

    if sys.platform == "linux" and not os.path.exists(path):  # noqa: PTH110 - a device, not a file
        raise InputError(f"cannot open camera {device}: there is no {path}; `ls /dev/video*` lists the cameras here")
    cv2.utils.logging.setLogLevel(0)  # cv2.setLogLevel is not in every OpenCV
    capture = cv2.VideoCapture(device)
    if not capture.isOpened():
        capture.release()
        raise InputError(
            f"cannot open camera {device}: {path} is no camera, is in use by another program, or may not be read "
            "by this user (group video)"
        )
    capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
    return capture


def _on_jetson(device: str) -> Any:
    import cv2

    if not cv2.videoio_registry.hasBackend(cv2.CAP_GSTREAMER):
        raise InputError(
            f"cannot open camera {device}: this OpenCV was built without GStreamer, through which a Jetson's CSI "
            "cameras are read; use the OpenCV that comes with JetPack in place of opencv-python-headless"
        )
    cv2.utils.logging.setLogLevel(0)  # cv2.setLogLevel is not in every OpenCV
    capture = cv2.VideoCapture(JETSON.format(sensor=device.removeprefix("csi://")), cv2.CAP_GSTREAMER)
    if not capture.isOpened():
        capture.release()
        raise InputError(
            f"cannot open camera {device}: GStreamer finds no such sensor; `gst-launch-1.0 nvarguscamerasrc sensor-id="
            f"{device.removeprefix('csi://')} ! fakesink` says why"
        )
    return capture


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
    """Return PyAV's container and video stream of a URL."""
    options = {"fflags": "nobuffer", "flags": "low_delay"}
    if url.lower().startswith("rtsp"):
        options["rtsp_flags"] = "prefer_tcp"  # over UDP, pictures arrive damaged
    opened = open_container(url, timeout_s=TIMEOUT_S, options=options)
    return opened.container, opened.stream


def _receive(container: Any, video: Any, url: str) -> Connection:
    import av

    convert, aspect = Converter(), aspects(video)
    try:
        for decoded in container.decode(video):
            # Asked here and now: when the image is, the stream may be closed.
            yield functools.partial(convert, decoded, aspect())
    except (av.FFmpegError, OSError, ValueError) as error:
        raise MienError(f"stream {without_password(url)} broke: {reason_of(error)}") from error
    finally:
        container.close()
