"""Drawing what was found: a frame and its observation go in, a picture with boxes, labels and bars comes out.

Everything scales with the frame, so that it can be read at 360p and at 4K. `VideoWriter` puts such pictures into an
MP4 that browsers play.
"""

from __future__ import annotations

import errno
import functools
import math
from collections.abc import Iterator
from pathlib import Path

import cv2
import msgspec
import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont

from mien.charts.palette import COLOURS
from mien.errors import InputError, MienError
from mien.media.base import Image
from mien.observation import EMOTIONS, Face, Observation
from mien.system.files import replacing

__all__ = ["UNSURE", "annotate", "write_picture"]

UNSURE = "#ffffff"
"""The colour of a face of which no emotion is named."""

PANEL = np.array((28, 24, 20), np.float32)
PANEL_OPACITY = 0.72

FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})
"""What the system says of a disk that takes no more."""

FAR = 8
"""So many labels' heights from its face one may stand, where others are in the way."""

Edges = tuple[int, int, int, int]
"""Left, top, right and bottom of a rectangle, in pixels."""

Panel = NDArray[np.float32]
Placed = tuple[Panel, int, int]
"""What stands beside a face, as BGR and opacity, shape (h, w, 4), 0-255; its left and top edge, in pixels."""


def annotate(image: Image, observation: Observation) -> Image:
    """Return a copy of a frame with what was found drawn in.

    Args:
        image: BGR, shape (h, w, 3), uint8: the frame that was observed.
        observation: What it showed.
    """
    drawn: Image = image.copy()
    unit = max(1.0, max(image.shape[:2]) / 640)
    line = max(1, round(1.6 * unit))
    panels = _layout(image, observation, unit)
    for face, (panel, left, top) in zip(observation.faces, panels, strict=True):
        _lead(drawn, _edges(face), (left, top, left + panel.shape[1], top + panel.shape[0]), _colour(face), line)
    for face in observation.faces:
        _corners(drawn, _edges(face), _colour(face), line)
    for panel, left, top in panels:
        _paste(drawn, panel, left, top)
    return drawn


def write_picture(path: Path, image: Image) -> None:
    """Write a picture, of the kind that the file's ending names.

    Raises:
        InputError: No picture can be written there, or not of that kind.
        MienError: The disk is full; nothing is left of the picture.
    """
    try:
        kind = Pillow.registered_extensions()[path.suffix.lower()]
        with replacing(path) as part:
            Pillow.fromarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB)).save(part, kind, quality=92)
    except (OSError, ValueError, KeyError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        full = isinstance(error, OSError) and error.errno in FULL
        raise (MienError if full else InputError)(f"cannot write picture '{path}': {reason.lower()}") from error


def _layout(image: Image, observation: Observation, unit: float) -> list[Placed]:
    """Return what stands beside each face and where: as much as there is room for without covering another."""
    taken = [_edges(face) for face in observation.faces]
    placed: list[Placed] = []
    for face in observation.faces:
        panel, left, top = _place(face, unit, image, taken)
        taken.append((left, top, left + panel.shape[1], top + panel.shape[0]))
        placed.append((panel, left, top))
    return placed


def _place(face: Face, unit: float, image: Image, taken: list[Edges]) -> Placed:
    """Return a panel and its place: with bars beside the face where nothing lies there, else a label.

    A label is long below or above the face, or short there, or short and farther away, or else where it covers least.
    """
    best: Placed | None = None
    least = math.inf
    for panel, left, top in _candidates(face, unit):
        covered = _covered((left, top, left + panel.shape[1], top + panel.shape[0]), image, taken)
        if covered == 0:
            return panel, left, top
        if covered < least and panel.shape[0] < 30 * unit:  # bars never cover anything
            best, least = (panel, left, top), covered
    return best or (_label(face, unit, ""), *_edges(face)[:2])


def _candidates(face: Face, unit: float) -> Iterator[Placed]:
    gap = round(5 * unit)
    x1, y1, x2, y2 = _edges(face)
    if x2 - x1 >= 40 * unit:
        panel = _panel(face, unit)
        yield from ((panel, left, y1) for left in (x2 + gap, x1 - gap - panel.shape[1]))
    for text, reach in ((f" {_percent(face)}", 1), ("", 1), ("", FAR)):
        label = _label(face, unit, text)
        height, width = label.shape[:2]
        for step in range(reach):
            away = gap + step * (height + gap)
            for top in (y2 + away, y1 - away - height):
                yield from ((label, left, top) for left in (x1, (x1 + x2 - width) // 2, x2 - width))


def _covered(edges: Edges, image: Image, taken: list[Edges]) -> int:
    """Return how many pixels of what is taken, and of what lies outside of the image, a rectangle covers."""
    x1, y1, x2, y2 = edges
    height, width = image.shape[:2]
    inside = max(0, min(x2, width) - max(x1, 0)) * max(0, min(y2, height) - max(y1, 0))
    covered: int = ((x2 - x1) * (y2 - y1) - inside) * 4  # what is outside cannot be read at all
    for left, top, right, bottom in taken:
        covered += max(0, min(x2, right) - max(x1, left)) * max(0, min(y2, bottom) - max(y1, top))
    return covered


def _edges(face: Face) -> Edges:
    x, y, width, height = face.box
    return x, y, x + width, y + height


def _lead(image: Image, box: Edges, label: Edges, colour: tuple[int, int, int], line: int) -> None:
    """Draw a line from a face to a label that doesn't stand beside it."""
    above = label[3] < box[1]
    start, end = (box[1], label[3]) if above else (box[3], label[1])
    if label[2] < box[0] or label[0] > box[2] or abs(end - start) <= 8 * line:
        return
    middle = (box[0] + box[2]) // 2
    foot = min(max(middle, label[0]), label[2])
    for shade, thickness in (((20, 20, 20), line + 2), (colour, line)):
        cv2.line(image, (middle, start), (foot, end), shade, thickness, cv2.LINE_AA)


def _corners(image: Image, box: Edges, colour: tuple[int, int, int], line: int) -> None:
    """Draw a thin frame with heavy corners over a dark edge, so that it shows on any ground."""
    x1, y1, x2, y2 = box
    arm = max(3, min(x2 - x1, y2 - y1) // 5)
    for shade, extra in (((20, 20, 20), 2), (colour, 0)):
        cv2.rectangle(image, (x1, y1), (x2, y2), shade, max(1, line // 2) + extra, cv2.LINE_AA)
        for x, y, along, down in ((x1, y1, 1, 1), (x2, y1, -1, 1), (x1, y2, 1, -1), (x2, y2, -1, -1)):
            cv2.line(image, (x, y), (x + along * arm, y), shade, 2 * line + extra, cv2.LINE_AA)
            cv2.line(image, (x, y), (x, y + down * arm), shade, 2 * line + extra, cv2.LINE_AA)


def _label(face: Face, unit: float, more: str) -> Panel:
    """Return the emotion and what more is said, as BGR and opacity, shape (h, w, 4), 0-255."""
    pad = round(4 * unit)
    text = _text(f"{face.emotion or 'unclear'}{more}", round(12 * unit))
    label = _ground(text.shape[0] + pad, text.shape[1] + 2 * pad)
    _write(label, text, pad, pad // 2, _colour(face))
    return label


def _percent(face: Face) -> str:
    return f"{100 * max(_values(face)):.0f} %"


def _panel(face: Face, unit: float) -> Panel:
    """Return the label and a bar per emotion, as BGR and opacity, shape (h, w, 4), 0-255."""
    pad, row, start, full = (round(value * unit) for value in (4, 13, 53, 52))
    heading = _label(face, unit, f" {_percent(face)}")
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
    _, top, _, bottom = font.getbbox("Hfgl")
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
