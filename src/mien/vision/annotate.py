"""Drawing what was found: a frame and its observation go in, a picture with boxes, labels and bars comes out.

Everything scales with the frame, so that it can be read at 360p and at 4K. `VideoWriter` puts such pictures into an
MP4 that browsers play.
"""

from __future__ import annotations

import functools
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import cv2
import msgspec
import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont

from mien.errors import InputError, MienError
from mien.observation import EMOTIONS, Face, Observation
from mien.vision.colours import COLOURS
from mien.vision.sound import Sound
from mien.vision.sources import Image

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["UNSURE", "VideoWriter", "annotate", "write_picture"]

UNSURE = "#ffffff"
"""The colour of a face of which no emotion is named."""

PANEL = np.array((28, 24, 20), np.float32)
PANEL_OPACITY = 0.72


def annotate(image: Image, observation: Observation) -> Image:
    """Return a copy of a frame with what was found drawn in.

    Args:
        image: BGR, shape (h, w, 3), uint8: the frame that was observed.
        observation: What it showed.
    """
    drawn: Image = image.copy()
    unit = max(1.0, max(image.shape[:2]) / 640)
    taken = [(x, y, x + width, y + height) for x, y, width, height in (face.box for face in observation.faces)]
    for face, box in zip(observation.faces, tuple(taken), strict=True):
        _corners(drawn, box, _colour(face), max(1, round(1.6 * unit)))
    for face, box in zip(observation.faces, tuple(taken), strict=True):
        panel, left, top = _place(face, box, unit, drawn, taken)
        _paste(drawn, panel, left, top)
        taken.append((left, top, left + panel.shape[1], top + panel.shape[0]))
    return drawn


def write_picture(path: Path, image: Image) -> None:
    """Write a picture, of the kind that the file's ending names.

    Raises:
        InputError: No picture can be written there, or not of that kind.
    """
    try:
        Pillow.fromarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB)).save(path, quality=92)
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"cannot write picture '{path}': {getattr(error, 'strerror', None) or error}") from error


class VideoWriter:
    """Writes pictures into an MP4 (H.264) that browsers play; to be used in a `with` block.

    The file is complete only after the block; where that ends in an error, no file is left.

    Args:
        path: The file.
        sound: A video whose sound is to be heard with it, where an MP4 can hold that.

    Raises:
        InputError: It cannot be written.
    """

    TICKS = 90_000

    def __init__(self, path: Path, *, sound: Path | None = None) -> None:
        self.path = path
        self._part = path.with_name(f".{path.name}.part")
        self._container: Any = None
        self._stream: Any = None
        self._last, self._step, self._first_s = -1, 0, 0.0
        if path.is_dir() or not path.parent.is_dir():
            raise InputError(f"cannot write video '{path}': it is a folder, or lies in none")
        self._sound = Sound(sound) if sound else None

    def write(self, image: Image, offset_s: float) -> None:
        """Add a picture, BGR, shape (h, w, 3), uint8, that is shown from this time on, in seconds.

        The first picture decides the size, and others are scaled to it; the MP4 begins at its time. Times must grow.
        """
        import av

        if self._container is None:
            self._first_s = offset_s
            self._open(image.shape[1] // 2 * 2 or 2, image.shape[0] // 2 * 2 or 2)
        size = self._stream.width, self._stream.height
        if image.shape[1::-1] != size:
            same = abs(image.shape[1] - size[0]) < 2 and abs(image.shape[0] - size[1]) < 2
            way = cv2.INTER_AREA if image.shape[1] > size[0] else cv2.INTER_LINEAR
            image = image[: size[1], : size[0]] if same else np.asarray(cv2.resize(image, size, interpolation=way))
        if image.shape[1::-1] != size:  # a frame of a single row or column has no even size
            image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_NEAREST), np.uint8)
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="bgr24")
        before, self._last = self._last, max(self._last + 1, round((offset_s - self._first_s) * self.TICKS))
        self._step = self._last - max(0, before)
        frame.pts, frame.time_base = self._last, Fraction(1, self.TICKS)
        self._container.mux(self._stream.encode(frame))
        if self._sound:
            self._sound.write(self._container, self._last / self.TICKS)

    def _open(self, width: int, height: int) -> None:
        import av

        av.logging.set_level(av.logging.PANIC)
        try:
            self._container = av.open(str(self._part), "w", format="mp4", options={"movflags": "+faststart"})
        except (av.FFmpegError, OSError) as error:
            raise InputError(f"cannot write video '{self.path}': {getattr(error, 'strerror', error)}") from error
        self._stream = self._container.add_stream("libx264", rate=30, options={"preset": "veryfast", "crf": "21"})
        self._stream.width, self._stream.height, self._stream.pix_fmt = width, height, "yuv420p"
        self._stream.time_base = self._stream.codec_context.time_base = Fraction(1, self.TICKS)
        self._stream.codec_context.thread_count = 1
        if self._sound:
            self._sound.join(self._container, self._first_s)

    def _finish(self) -> None:
        import av

        if self._container is None:
            return
        try:
            self._container.mux(self._stream.encode(None))
            if self._sound:
                self._sound.write(self._container, (self._last + self._step) / self.TICKS)
            self._container.close()
            self._part.replace(self.path)
        except (av.FFmpegError, OSError) as error:
            raise MienError(f"cannot finish video '{self.path}': {getattr(error, 'strerror', error)}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._finish()
        finally:
            if self._container is not None:
                self._container.close()
            if self._sound:
                self._sound.close()
            self._part.unlink(missing_ok=True)


def _place(
    face: Face, box: tuple[int, int, int, int], unit: float, image: Image, taken: list[tuple[int, int, int, int]]
) -> tuple[NDArray[np.float32], int, int]:
    """Return a panel and its place: with bars beside the face where nothing lies there, else a label below or above."""
    gap = round(5 * unit)
    x1, y1, x2, y2 = box
    if x2 - x1 >= 40 * unit:
        panel = _panel(face, unit)
        for left in (x2 + gap, x1 - gap - panel.shape[1]):
            if _is_free(left, y1, panel, image, taken):
                return panel, left, y1
    label = _label(face, unit)
    for top in (y2 + gap, y1 - gap - label.shape[0]):
        if _is_free(x1, top, label, image, taken):
            return label, x1, top
    return label, x1, y2 + gap


def _is_free(
    left: int, top: int, panel: NDArray[np.float32], image: Image, taken: list[tuple[int, int, int, int]]
) -> bool:
    right, bottom = left + panel.shape[1], top + panel.shape[0]
    if left < 0 or top < 0 or right > image.shape[1] or bottom > image.shape[0]:
        return False
    return not any(left < x2 and x1 < right and top < y2 and y1 < bottom for x1, y1, x2, y2 in taken)


def _corners(image: Image, box: tuple[int, int, int, int], colour: tuple[int, int, int], line: int) -> None:
    """Draw a thin frame with heavy corners over a dark edge, so that it shows on any ground."""
    x1, y1, x2, y2 = box
    arm = max(3, min(x2 - x1, y2 - y1) // 5)
    for shade, extra in (((20, 20, 20), 2), (colour, 0)):
        cv2.rectangle(image, (x1, y1), (x2, y2), shade, max(1, line // 2) + extra, cv2.LINE_AA)
        for x, y, along, down in ((x1, y1, 1, 1), (x2, y1, -1, 1), (x1, y2, 1, -1), (x2, y2, -1, -1)):
            cv2.line(image, (x, y), (x + along * arm, y), shade, 2 * line + extra, cv2.LINE_AA)
            cv2.line(image, (x, y), (x, y + down * arm), shade, 2 * line + extra, cv2.LINE_AA)


def _label(face: Face, unit: float) -> NDArray[np.float32]:
    """Return the emotion and its probability, as BGR and opacity, shape (h, w, 4), 0-255."""
    pad = round(4 * unit)
    text = _text(f"{face.emotion or 'unsure'} {100 * max(_values(face)):.0f} %", round(12 * unit))
    label = _ground(text.shape[0] + pad, text.shape[1] + 2 * pad)
    _write(label, text, pad, pad // 2, _colour(face))
    return label


def _panel(face: Face, unit: float) -> NDArray[np.float32]:
    """Return the label and a bar per emotion, as BGR and opacity, shape (h, w, 4), 0-255."""
    pad, row, start, full = (round(value * unit) for value in (4, 13, 53, 52))
    heading = _label(face, unit)
    panel = _ground(heading.shape[0] + len(EMOTIONS) * row + pad, max(start + full + 2 * pad, heading.shape[1]))
    panel[: heading.shape[0], : heading.shape[1]] = heading
    for number, (emotion, value) in enumerate(zip(EMOTIONS, _values(face), strict=True)):
        top = heading.shape[0] + number * row
        _write(panel, _text(emotion, round(10 * unit)), pad, top, (235, 235, 235))
        bar = slice(top + round(3 * unit), top + row - round(3 * unit))
        panel[bar, start : start + full] = (70, 66, 62, 255 * PANEL_OPACITY)
        panel[bar, start : start + max(1, round(full * value))] = (*_bgr(COLOURS[emotion]), 255)
    return panel


def _ground(height: int, width: int) -> NDArray[np.float32]:
    ground = np.empty((height, width, 4), np.float32)
    ground[..., :3], ground[..., 3] = PANEL, 255 * PANEL_OPACITY
    return ground


def _paste(image: Image, panel: NDArray[np.float32], left: int, top: int) -> None:
    height, width = min(panel.shape[0], image.shape[0]), min(panel.shape[1], image.shape[1])
    left = min(max(left, 0), image.shape[1] - width)
    top = min(max(top, 0), image.shape[0] - height)
    ground = image[top : top + height, left : left + width]
    opacity = panel[:height, :width, 3:] / 255
    ground[:] = (ground * (1 - opacity) + panel[:height, :width, :3] * opacity + 0.5).astype(np.uint8)


def _write(
    panel: NDArray[np.float32], text: NDArray[np.float32], left: int, top: int, colour: tuple[int, int, int]
) -> None:
    height, width = min(text.shape[0], panel.shape[0] - top), min(text.shape[1], panel.shape[1] - left)
    if height <= 0 or width <= 0:
        return
    ground = panel[top : top + height, left : left + width]
    share = text[:height, :width, None]
    ground[:] = ground * (1 - share) + np.array((*colour, 255), np.float32) * share


@functools.lru_cache(maxsize=1024)
def _text(text: str, size: int) -> NDArray[np.float32]:
    """Return how much of each pixel the text covers, 0 to 1; all texts of a size stand on the same line."""
    font = ImageFont.load_default(max(8, size))
    _, top, _, bottom = font.getbbox("Hg")
    mask = Pillow.new("L", (max(1, round(font.getlength(text)) + 1), max(1, round(bottom - top) + 1)))
    ImageDraw.Draw(mask).text((0, -top), text, font=font, fill=255)
    return np.asarray(np.asarray(mask, np.float32) / 255, np.float32)


def _values(face: Face) -> tuple[float, ...]:
    values: tuple[float, ...] = msgspec.structs.astuple(face.probabilities)
    return values


def _colour(face: Face) -> tuple[int, int, int]:
    return _bgr(COLOURS[face.emotion] if face.emotion else UNSURE)


def _bgr(colour: str) -> tuple[int, int, int]:
    return int(colour[5:7], 16), int(colour[3:5], 16), int(colour[1:3], 16)
