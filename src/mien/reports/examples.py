"""What newcomers can try without anything of their own, made of the demo: pictures, a clip, the stuff of four reports.

Nothing goes in but the demo's own code; pictures, videos, transcripts and lists come out, the same each time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np

from mien.errors import MienError
from mien.media.base import Image
from mien.media.demo import FPS, SECONDS, Demo
from mien.media.encode import VideoWriter

__all__ = ["LISTS", "SAMPLES", "Example", "example", "sample_picture", "write_clip"]

Kind = Literal["film", "meeting", "audience", "album"]

SAMPLES = {"smiling": 1.0, "surprised": 8.5, "sad": 13.0, "cross": 16.0}
"""The expressions that the demo's portrait is shown with, and when in the clip it has them, in seconds."""

STEP = 2

TRANSCRIPT = """WEBVTT

00:00.500 --> 00:03.200
<v Ada>Good morning. We won the bid!</v>

00:04.000 --> 00:06.300
<v Ben>The numbers of last month are as we planned them.</v>

00:06.600 --> 00:09.300
<v Ada>And they want it in half the time. What a surprise!</v>

00:11.200 --> 00:13.800
<v Ben>I am sorry to say that the old team leaves us.</v>

00:14.200 --> 00:16.400
<v Ada>That is wonderful, we hire again.</v>

00:17.000 --> 00:19.600
<v Ben>Then let us begin. Thank you all.</v>
"""

EVENTS = """time,label,duration
2,A good joke,1.5
6.5,A loud bang,1
11,A sad scene,2.5
18,The happy end,1.5
"""

SEATS = """recording,seat,x,y,width,height,group
Audience,A1,0,0,0.3333,0.5,front
Audience,A2,0.3333,0,0.3333,0.5,front
Audience,A3,0.6666,0,0.3333,0.5,front
Audience,B1,0,0.5,0.3333,0.5,back
Audience,B2,0.3333,0.5,0.3333,0.5,back
Audience,B3,0.6666,0.5,0.3333,0.5,back
"""

SPEAKERS = """speaker,x,y,width,height
Ada,0,0,0.5,1
Ben,0.5,0,0.5,1
"""

LISTS = {"events.csv": EVENTS, "seats.csv": SEATS, "speakers.csv": SPEAKERS, "transcript.vtt": TRANSCRIPT}
"""Files to begin one's own with, by name."""


@dataclass(frozen=True)
class Example:
    """What a report is made of.

    Attributes:
        paths: Names of the videos or photos.
        asked: What else is asked for, by the names of `mien.reports.worker.Order`.
    """

    paths: tuple[str, ...]
    asked: dict[str, Any] = field(default_factory=dict)


@cache
def sample_picture(name: str) -> bytes:
    """Return the demo's portrait with an expression of SAMPLES, a JPEG."""
    with Demo() as demo:
        return _jpeg(demo.image(SAMPLES[name]))


def write_clip(path: Path) -> None:
    """Write the demo clip as an MP4, every second frame of it: drawing them takes a while."""
    with Demo() as demo, VideoWriter(path) as clip:
        for index in range(0, FPS * SECONDS, STEP):
            clip.write(demo.image(index / FPS), index / FPS)


def example(kind: Kind, folder: Path) -> Example:
    """Write what an example of a report is made of into a folder, and return what to ask for.

    Raises:
        MienError: It cannot be written.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return MAKERS[kind](folder)
    except OSError as error:
        raise MienError(f"cannot write the example: {(error.strerror or str(error)).lower()}") from error


def _film(folder: Path) -> Example:
    write_clip(folder / "Demo.mp4")
    return Example(("Demo.mp4",))


def _meeting(folder: Path) -> Example:
    """Two tiles side by side: the clip, and beside it itself half a turn later and mirrored."""
    _write_grid(folder / "Meeting.mp4", (360, 360), 2, (0.0, SECONDS / 2))
    (folder / "Meeting.vtt").write_text(TRANSCRIPT, encoding="utf-8")
    (folder / "speakers.csv").write_text(SPEAKERS, encoding="utf-8")
    asked = {"transcript": "Meeting.vtt", "speakers": "speakers.csv", "offset": 0.0}
    return Example(
        ("Meeting.mp4",), asked | {"consent": "Nobody had to be asked: the portrait is in the public domain"}
    )


def _audience(folder: Path) -> Example:
    """Six who watch, each a little slower than the one before."""
    _write_grid(folder / "Audience.mp4", (320, 240), 3, (0.0, 0.2, 0.4, 0.6, 0.8, 1.0))
    (folder / "events.csv").write_text(EVENTS, encoding="utf-8")
    (folder / "seats.csv").write_text(SEATS, encoding="utf-8")
    asked = {"events": "events.csv", "seats": "seats.csv", "baseline_s": 2.0, "window_s": 3.0, "fps": 10.0}
    return Example(("Audience.mp4",), asked)


def _album(folder: Path) -> Example:
    """The four expressions, and for each a worse copy: blurred, dark or burnt."""
    spoilt: tuple[Callable[[Image], Any], ...] = (
        lambda image: cv2.GaussianBlur(image, (0, 0), 4),
        lambda image: cv2.convertScaleAbs(image, alpha=0.35),
        lambda image: cv2.convertScaleAbs(image, alpha=2.4),
        lambda image: cv2.GaussianBlur(image, (0, 0), 3),
    )
    names = []
    with Demo() as demo:
        for (name, at_s), spoil in zip(SAMPLES.items(), spoilt, strict=True):
            image = demo.image(at_s)
            for ending, picture in (("", image), ("-2", spoil(image))):
                names.append(f"{name}{ending}.jpg")
                (folder / names[-1]).write_bytes(_jpeg(np.asarray(picture, np.uint8)))
    return Example(tuple(names), {"best": 4})


MAKERS: dict[Kind, Callable[[Path], Example]] = {
    "film": _film, "meeting": _meeting, "audience": _audience, "album": _album,
}  # fmt: skip


def _write_grid(path: Path, size: tuple[int, int], columns: int, lates_s: tuple[float, ...]) -> None:
    """Write a video of portraits in rows, each behind the first by so many seconds; every other one is mirrored.

    Args:
        path: The file.
        size: Width and height of a tile, in pixels.
        columns: So many stand side by side.
        lates_s: A time for each.
    """
    width, height = size
    with Demo() as demo:
        drawn = [_tile(demo.image(index / FPS), width, height) for index in range(0, FPS * SECONDS, STEP)]
    with VideoWriter(path) as video:
        for number in range(len(drawn)):
            tiles = [drawn[(number - round(late * FPS / STEP)) % len(drawn)] for late in lates_s]
            tiles = [tile[:, ::-1] if place % 2 else tile for place, tile in enumerate(tiles)]
            rows = [np.hstack(tiles[first : first + columns]) for first in range(0, len(tiles), columns)]
            video.write(np.vstack(rows), number * STEP / FPS)


def _tile(image: Image, width: int, height: int) -> Image:
    """Return the middle of a picture, as large as that."""
    high, wide = image.shape[:2]
    across = min(wide, high * width // height)
    left = (wide - across) // 2
    return np.asarray(cv2.resize(image[:, left : left + across], (width, height), interpolation=cv2.INTER_AREA))


def _jpeg(image: Image) -> bytes:
    return cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 92])[1].tobytes()
