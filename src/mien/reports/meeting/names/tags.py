"""Text in a picture: parts of a frame go in, the lines of text in them come out, read by RapidOCR's own models.

The models lie in RapidOCR's package and are named by their paths, so nothing is ever downloaded.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from mien.errors import MissingExtraError, ModelError
from mien.media.base import Image

__all__ = ["Box", "TextLine", "TextReader", "can_read"]

Box = tuple[int, int, int, int]
"""x, y, width, height in pixels."""

GAP = 16
"""So many black pixels stand between the parts that are looked at together."""

ROW = 1400
"""Parts stand side by side up to so many pixels."""

LARGE_ENOUGH = 22
"""A line of so many pixels in height is found and read well; lower ones are enlarged."""


@dataclass(frozen=True, slots=True)
class TextLine:
    """A line of text in a frame.

    Attributes:
        box: Where it stands.
        text: What was read, without spaces at its ends; may be empty.
        score: How sure its reader is, 0 to 1.
    """

    box: Box
    text: str
    score: float


def can_read() -> bool:
    """Return whether the packages of the extra `names` are installed."""
    return find_spec("rapidocr") is not None and find_spec("rapidfuzz") is not None


class TextReader:
    """Finds and reads lines of text.

    Args:
        model: Another PP-OCR recogniser (ONNX), for scripts that the built-in one does not know; None: the built-in.
        threads: How many threads it computes on.

    Raises:
        MissingExtraError: The extra `names` is not installed.
        ModelError: The file is no PP-OCR recogniser.
    """

    def __init__(self, model: Path | None = None, threads: int = 1) -> None:
        if not can_read():
            raise MissingExtraError("reading names off the picture", "names")
        if model is not None:
            _check(model)
        logging.getLogger("RapidOCR").setLevel(logging.CRITICAL + 1)
        import rapidocr

        own = Path(rapidocr.__file__).parent / "models"
        self._engine: Any = rapidocr.RapidOCR(
            params={
                "Global.log_level": "critical",
                "Global.use_cls": False,
                "EngineConfig.onnxruntime.intra_op_num_threads": threads,
                "EngineConfig.onnxruntime.inter_op_num_threads": 1,
                "Det.model_path": str(_only(own, "*det*.onnx")),
                "Det.limit_side_len": 32,
                "Rec.model_path": str(model or _only(own, "*rec*.onnx")),
            }
        )

    def lines(self, image: Image, parts: Sequence[Box], *, enlarge: float = 1.0) -> list[TextLine]:
        """Return the lines of text in parts of a frame.

        Args:
            image: BGR, shape (h, w, 3), uint8.
            parts: Where to look; other places are not seen.
            enlarge: By how much the parts are enlarged before text is looked for.
        """
        boxes = self.find(image, parts, enlarge=enlarge)
        return self.read(image, boxes)

    def find(self, image: Image, parts: Sequence[Box], *, enlarge: float = 1.0) -> list[Box]:
        """Return where lines of text stand in parts of a frame."""
        if not parts:
            return []
        sheet, places = _sheet(image, parts, enlarge)
        boxes = self._engine(sheet, use_det=True, use_rec=False, use_cls=False).boxes
        if boxes is None:
            return []
        high, wide = image.shape[:2]
        lines = []
        for corners in boxes:
            left, top = corners.min(0)
            right, bottom = corners.max(0)
            for (x, y), (part_x, part_y, part_wide, part_high) in zip(places, parts, strict=True):
                if (
                    x <= (left + right) / 2 < x + part_wide * enlarge
                    and y <= (top + bottom) / 2 < y + part_high * enlarge
                ):
                    x0, x1 = (max(0, round(part_x + (side - x) / enlarge)) for side in (left, right))
                    y0, y1 = (max(0, round(part_y + (side - y) / enlarge)) for side in (top, bottom))
                    if (box := (x0, y0, min(wide, x1) - x0, min(high, y1) - y0))[2] > 3 and box[3] > 3:
                        lines.append(box)
                    break
        return lines

    def read(self, image: Image, boxes: Sequence[Box]) -> list[TextLine]:
        """Return what stands in boxes of a frame, a line each."""
        if not boxes:
            return []
        crops = [_crop(image, box) for box in boxes]
        result = self._engine.recognize_txt(crops)
        return [
            TextLine(box, text.strip(), float(score))
            for box, text, score in zip(boxes, result.txts, result.scores, strict=True)
        ]


def _crop(image: Image, box: Box) -> Image:
    x, y, wide, high = box
    crop = image[y : y + high, x : x + wide]
    if high < LARGE_ENOUGH:
        by = 48 / high
        return np.asarray(cv2.resize(crop, None, fx=by, fy=by, interpolation=cv2.INTER_CUBIC), np.uint8)
    return np.ascontiguousarray(crop)


def _sheet(image: Image, parts: Sequence[Box], enlarge: float) -> tuple[Image, list[tuple[int, int]]]:
    """Return a picture with all parts side by side, and where each begins in it."""
    places, x, y, row_high, widest = [], 0, 0, 0, 0
    sizes = [(round(wide * enlarge), round(high * enlarge)) for _, _, wide, high in parts]
    for wide, high in sizes:
        if x and x + wide > ROW:
            x, y, row_high = 0, y + row_high + GAP, 0
        places.append((x, y))
        x, row_high = x + wide + GAP, max(row_high, high)
        widest = max(widest, x)
    sheet = np.zeros((y + row_high, widest, 3), np.uint8)
    for (x, y), (part_x, part_y, part_wide, part_high), (wide, high) in zip(places, parts, sizes, strict=True):
        part = image[part_y : part_y + part_high, part_x : part_x + part_wide]
        if (wide, high) != (part_wide, part_high):
            part = np.asarray(cv2.resize(part, (wide, high), interpolation=cv2.INTER_CUBIC), np.uint8)
        sheet[y : y + high, x : x + wide] = part
    return sheet, places


def _only(folder: Path, pattern: str) -> Path:
    files = sorted(folder.glob(pattern))
    if not files:
        raise ModelError(
            f"cannot read names: the package rapidocr has no model '{pattern}' in '{folder}'; "
            "install it anew (pip install 'mien[names]')"
        )
    return files[0]


def _check(model: Path) -> None:
    """Raise ModelError where a file is no PP-OCR recogniser that carries its own alphabet."""
    import onnxruntime

    try:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        session = onnxruntime.InferenceSession(model.read_bytes(), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # noqa: BLE001 - onnxruntime has a class of its own for each kind of damage
        reason = (error.strerror or str(error)).lower() if isinstance(error, OSError) else "it is no ONNX model"
        raise ModelError(
            f"cannot read names with '{model}': {reason}; a PP-OCR recogniser (.onnx) was expected"
        ) from None
    shape = session.get_inputs()[0].shape
    if len(shape) != 4 or "character" not in session.get_modelmeta().custom_metadata_map:
        raise ModelError(
            f"cannot read names with '{model}': a PP-OCR recogniser was expected that has its alphabet ('character') "
            "in its metadata, as RapidOCR publishes them"
        )
