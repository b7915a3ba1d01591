"""Small videos, made on the spot."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from mien.media.demo import Demo

__all__ = ["write_long_film", "write_video"]


def write_video(path: Path, images: Iterable[np.ndarray], times_ms: Iterable[int], codec: str = "libx264") -> Path:
    """Write images, BGR, shape (h, w, 3), to be shown at these times."""
    images = list(images)
    with av.open(str(path), "w", options={"movflags": "+faststart"} if path.suffix == ".mp4" else {}) as container:
        stream = container.add_stream(codec, rate=25)
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        stream.codec_context.time_base = stream.time_base = Fraction(1, 1000)
        stream.codec_context.thread_count = 1
        if codec == "libx264":
            stream.options = {"bf": "0", "g": "5", "crf": "12", "preset": "ultrafast"}
        for image, time in zip(images, times_ms, strict=False):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="bgr24")
            frame.pts, frame.time_base = time, stream.codec_context.time_base
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def write_long_film(path: Path) -> Path:
    """Write two minutes: few frames, but many where a film can be divided, with cuts near and a face through."""
    times = [float(second) for second in range(0, 52, 4)]
    for mark in (60, 120):
        times += [mark - 7 + n / 8 for n in range(88 if mark == 60 else 72)]
    times = sorted({*times, *map(float, range(68, 112, 4))})
    demo = Demo()
    face = [cv2.resize(demo.image(n / 8), (320, 180), interpolation=cv2.INTER_AREA) for n in range(24)]
    other = cv2.resize(np.random.default_rng(3).integers(0, 255, (9, 16, 3), np.uint8), (320, 180))
    images = []
    for at in times:
        image = face[abs(round(at * 8) % 46 - 23)]
        image = other if 55.5 < at < 57.2 or 121.5 < at < 123 else image
        images.append(image[:, ::-1] if at < 56 or at > 122 else image)
    return write_video(path, images, [round(1000 * at) for at in times])
