"""Small pictures for the page: a video and a time go in, a JPEG comes out, with the faces hidden if asked."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from PIL import Image as Pillow

from mien.config import Settings
from mien.errors import MienError
from mien.media.base import Image
from mien.media.containers import open_container, restarts
from mien.media.displayed import Converter, aspects
from mien.media.open import open_source
from mien.media.seeking import begin_of
from mien.models import store as model_store
from mien.reports.base.job import Job
from mien.reports.base.recordings import Recording
from mien.vision.blur import hide
from mien.vision.pipeline import shared_models
from mien.vision.schedule import PhotoDetector

if TYPE_CHECKING:
    import polars as pl

__all__ = ["SIDE", "Part", "coarse", "hidden", "moments", "to_jpeg"]

SIDE = 480
"""The longer side of a picture, in pixels."""

SQUARES = 40
"""Where text is hidden, so many squares are left across a picture."""

Part = tuple[float, float, float, float]
"""x, y, width, height as shares of the picture."""

NEAR_S = 1.0
"""Faces that were seen so near in time to a picture are hidden in it, in seconds."""


def moments(
    recording: Recording,
    times: Sequence[float],
    settings: Settings,
    job: Job,
    *,
    blur: bool,
    hidden_parts: Callable[[float], Sequence[Part]] | None = None,
) -> dict[float, bytes]:
    """Return the pictures of a recording at some times, as JPEG; those that cannot be read are left out.

    Args:
        recording: Of a video that is at hand; without one there are no pictures.
        times: In seconds of the medium.
        settings: Whose detector looks for faces to hide.
        job: Hears how far it is.
        blur: Hide the faces.
        hidden_parts: Returns what else is hidden at a time: x, y, width, height as shares of the picture.
    """
    taken: dict[float, bytes] = {}
    if recording.medium is None or not times:
        return taken
    wanted = sorted(set(times))
    for at, image in job.follow("taking pictures", _frames(str(recording.medium), wanted, recording.how), len(wanted)):
        picture = hidden(image, _near(recording.faces, at), settings) if blur else image
        picture = coarse(picture, hidden_parts(at)) if hidden_parts else picture
        taken[at] = to_jpeg(picture)
    return taken


def hidden(image: Image, boxes: Sequence[tuple[int, int, int, int]], settings: Settings) -> Image:
    """Return a picture without the faces at these places, and without those that the detector finds in it.

    Args:
        image: BGR, shape (h, w, 3), uint8.
        boxes: x, y, width, height in pixels.
        settings: Whose detector looks for faces.
    """
    detector, _ = shared_models(model_store.in_use(settings))
    more = PhotoDetector(detector).detect(image).boxes.round().astype(int).tolist()
    return hide(image, [*boxes, *(tuple(box) for box in more)])


def coarse(image: Image, parts: Sequence[Part]) -> Image:
    """Return a copy of a picture, BGR, in whose parts no text can be read: squares of one colour stand there."""
    drawn: Image = image.copy()
    height, width = image.shape[:2]
    side = max(8, round(width / SQUARES))
    for x, y, wide, high in parts:
        left, top = max(0, int(x * width)), max(0, int(y * height))
        right, bottom = min(width, math.ceil((x + wide) * width)), min(height, math.ceil((y + high) * height))
        ground = drawn[top:bottom, left:right]
        if not ground.size:
            continue
        few = max(1, round((right - left) / side)), max(1, round((bottom - top) / side))
        means = cv2.resize(ground, few, interpolation=cv2.INTER_AREA)
        ground[:] = cv2.resize(means, (right - left, bottom - top), interpolation=cv2.INTER_NEAREST)
    return drawn


def to_jpeg(image: Image, side: int = SIDE) -> bytes:
    """Return a picture, BGR, as a JPEG whose longer side has at most so many pixels."""
    scale = side / max(image.shape[:2])
    if scale < 1:
        size = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    out = io.BytesIO()
    Pillow.fromarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB)).save(out, "jpeg", quality=80)
    return out.getvalue()


def _near(faces: pl.DataFrame, at: float) -> list[tuple[int, int, int, int]]:
    import polars as pl

    near = faces.filter(((pl.col("at") - at).abs() <= NEAR_S) & pl.col("x").is_not_null())
    return list(near.select("x", "y", "width", "height").iter_rows())


def _frames(path: str, times: Sequence[float], how: dict[str, Any]) -> Iterator[tuple[float, Image]]:
    """Yield the frame shown at each time; times must grow."""
    try:
        opened = None if path == "demo" else open_container(path, **how)
    except MienError:
        return
    if opened is None:
        yield from _by_walking(path, times, how)
        return
    with opened.container:
        sought = opened.timed and not (opened.may_restart and restarts(path, how.get("stream")))
        if sought:
            convert, aspect = Converter(), aspects(opened.stream)
            begin = begin_of(opened.container, _first(opened.container, opened.stream))
            for at in times:
                if (frame := _seek(opened.container, opened.stream, begin + at)) is not None:
                    yield at, convert(frame, aspect())
    if not sought:
        yield from _by_walking(path, times, how)


def _by_walking(path: str, times: Sequence[float], how: dict[str, Any]) -> Iterator[tuple[float, Image]]:
    """Yield the frame shown at each time by looking at all frames: of a drawn clip, or where a clock begins anew."""
    waiting, last = list(times), None
    with suppress(MienError), open_source(path, **how) as source:
        for frame in source:
            while waiting and (frame.offset_s or 0.0) > waiting[0] + 1e-3:
                yield waiting.pop(0), (last or frame).image
            if not waiting:
                return
            last = frame
    if last is not None:
        yield from ((at, last.image) for at in waiting)


def _first(container: Any, stream: Any) -> float:
    import av

    try:
        return float(next(container.decode(stream)).time or 0.0)
    except (StopIteration, av.FFmpegError, ValueError):
        return 0.0


def _seek(container: Any, stream: Any, at: float) -> Any:
    """Return the frame shown at a time of the stream, or None where nothing can be decoded there."""
    import av

    shown = None
    try:
        container.seek(round(at / stream.time_base), stream=stream)
        for frame in container.decode(stream):
            if frame.time is not None and frame.time > at + 1e-3:
                return shown or frame
            shown = frame
    except (av.FFmpegError, ValueError):
        return shown
    return shown
