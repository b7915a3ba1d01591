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
from mien.observation import EMOTIONS, Emotion, Face, Observation
from mien.vision.sources import Image

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["COLOURS", "UNSURE", "VideoWriter", "annotate", "write_picture"]

COLOURS: dict[Emotion, str] = {
    "angry": "#d55e00",
    "disgust": "#009e73",
    "fear": "#cc79a7",
    "happy": "#f0e442",
    "sad": "#0072b2",
    "surprise": "#56b4e9",
    "neutral": "#bbbbbb",
}
"""One colour per emotion: Okabe and Ito's, which colour-blind people tell apart, and grey."""

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
    drawn = image.copy()
    # The largest last: what is in front is drawn over what is behind.
    for face in sorted(observation.faces, key=lambda face: face.box[2] * face.box[3]):
        _draw(drawn, face)
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

    Raises:
        InputError: It cannot be written.
    """

    TICKS = 90_000

    def __init__(self, path: Path) -> None:
        self.path = path
        self._part = path.with_name(f".{path.name}.part")
        self._container: Any = None
        self._stream: Any = None
        self._last = -1
        if path.is_dir() or not path.parent.is_dir():
            raise InputError(
                f"cannot write video '{path}': there is no folder '{path.parent}', or it is a folder itself"
            )

    def write(self, image: Image, offset_s: float) -> None:
        """Add a picture, BGR, shape (h, w, 3), uint8, that is shown from this time on, in seconds.

        The first picture decides the size; others are scaled to it. Times must grow.
        """
        import av

        if self._container is None:
            self._open(image.shape[1] // 2 * 2 or 2, image.shape[0] // 2 * 2 or 2)
        size = self._stream.width, self._stream.height
        if image.shape[1::-1] != size:
            same = abs(image.shape[1] - size[0]) < 2 and abs(image.shape[0] - size[1]) < 2
            way = cv2.INTER_AREA if image.shape[1] > size[0] else cv2.INTER_LINEAR
            image = image[: size[1], : size[0]] if same else np.asarray(cv2.resize(image, size, interpolation=way))
        if image.shape[1::-1] != size:  # a frame of a single row or column has no even size
            image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_NEAREST), np.uint8)
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="bgr24")
        self._last = max(self._last + 1, round(offset_s * self.TICKS))
        frame.pts, frame.time_base = self._last, Fraction(1, self.TICKS)
        self._container.mux(self._stream.encode(frame))

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

    def _finish(self) -> None:
        import av

        if self._container is None:
            return
        try:
            self._container.mux(self._stream.encode(None))
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
            self._part.unlink(missing_ok=True)


def _draw(image: Image, face: Face) -> None:
    unit = max(1.0, max(image.shape[:2]) / 640)
    x, y, width, height = face.box
    colour = _bgr(COLOURS[face.emotion] if face.emotion else UNSURE)
    _corners(image, (x, y, x + width, y + height), colour, max(1, round(1.6 * unit)))
    panel = _panel(face, unit, roomy=width >= 56 * unit)
    # Beside the face where there is room, else below or above it, never outside the picture.
    left = x + width + round(6 * unit)
    top = y
    if not (width >= 56 * unit and left + panel.shape[1] <= image.shape[1]):
        left = x if width < 56 * unit else x - round(6 * unit) - panel.shape[1]
        if width < 56 * unit:
            top = y + height + round(3 * unit)
    _paste(image, panel, left, top)


def _corners(image: Image, box: tuple[int, int, int, int], colour: tuple[int, int, int], line: int) -> None:
    """Draw a thin frame with heavy corners over a dark edge, so that it shows on any ground."""
    x1, y1, x2, y2 = box
    arm = max(3, min(x2 - x1, y2 - y1) // 5)
    for shade, extra in (((20, 20, 20), 2), (colour, 0)):
        cv2.rectangle(image, (x1, y1), (x2, y2), shade, max(1, line // 2) + extra, cv2.LINE_AA)
        for x, y, along, down in ((x1, y1, 1, 1), (x2, y1, -1, 1), (x1, y2, 1, -1), (x2, y2, -1, -1)):
            cv2.line(image, (x, y), (x + along * arm, y), shade, 2 * line + extra, cv2.LINE_AA)
            cv2.line(image, (x, y), (x, y + down * arm), shade, 2 * line + extra, cv2.LINE_AA)


def _panel(face: Face, unit: float, *, roomy: bool) -> NDArray[np.float32]:
    """Return the label, and where there is room a bar per emotion, as BGR and opacity, shape (h, w, 4), 0-255."""
    pad, text = round(4 * unit), round(11 * unit)
    row, width = round(11.5 * unit), round(104 * unit)
    label = f"{face.emotion or 'unsure'} {100 * max(_values(face)):.0f} %"
    heading = _text(label, text)
    height = heading.shape[0] + 2 * pad + (len(EMOTIONS) * row + pad // 2 if roomy else 0)
    if not roomy:
        width = heading.shape[1] + 2 * pad
    panel = np.empty((height, width, 4), np.float32)
    panel[..., :3], panel[..., 3] = PANEL, 255 * PANEL_OPACITY
    _write(panel, heading, pad, pad, _bgr(COLOURS[face.emotion] if face.emotion else UNSURE))
    if not roomy:
        return panel
    start, full = round(49 * unit), width - round(49 * unit) - pad
    for number, (emotion, value) in enumerate(zip(EMOTIONS, _values(face), strict=True)):
        top = heading.shape[0] + 2 * pad + number * row
        _write(panel, _text(emotion, round(9 * unit)), pad, top, (225, 225, 225))
        bar = slice(top + round(1.5 * unit), top + row - round(3 * unit))
        panel[bar, start : start + full] = (70, 66, 62, 255 * PANEL_OPACITY)
        panel[bar, start : start + max(1, round(full * value))] = (*_bgr(COLOURS[emotion]), 255)
    return panel


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
    """Return how much of each pixel the text covers, 0 to 1, its height that of a capital."""
    font = ImageFont.load_default(max(8, size))
    left, top, right, bottom = font.getbbox("Hg" + text)
    width = font.getlength(text)
    mask = Pillow.new("L", (max(1, round(width) + 1), max(1, round(bottom - top))))
    ImageDraw.Draw(mask).text((0, -top), text, font=font, fill=255)
    del left, right
    return np.asarray(mask, np.float32) / 255


def _values(face: Face) -> tuple[float, ...]:
    return msgspec.structs.astuple(face.probabilities)


def _bgr(colour: str) -> tuple[int, int, int]:
    return int(colour[5:7], 16), int(colour[3:5], 16), int(colour[1:3], 16)
