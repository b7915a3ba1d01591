"""What the frames of a section say by themselves: frames and their faces go in, a file comes out, and back again."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import InputError
from mien.media.base import Frame, Image, later
from mien.observation import Openness, Pose
from mien.vision.detector import Faces
from mien.vision.pipeline import Found, Reading

__all__ = ["Piece"]


class Piece:
    """What the frames of a section say, in columns; only arrays, so that nothing in a file is run.

    Attributes:
        shots: How many begin in the section.
        problem: What could not be read at its end.
    """

    FRAMES = ("index", "offset", "shot", "height", "width", "elapsed", "count")
    FACES = ("boxes", "confidences", "looked", "raw", "sharp", "looks")

    def __init__(self) -> None:
        self._frames: list[tuple[float, ...]] = []
        self._faces: list[tuple[NDArray[np.generic], ...]] = []
        self.shots = 0
        self.problem: str | None = None

    def add(self, frame: Frame, found: Found, shot: int) -> None:
        """Add a frame, its faces, all of them read, and the number of its shot in the section."""
        height, width = frame.image.shape[:2]
        faces, readings = found.faces, found.readings or []
        self._frames.append((frame.index, frame.offset_s or 0.0, shot, height, width, found.elapsed_ms, len(faces)))
        if len(faces):
            looked = np.ones(len(faces), bool) if faces.looked is None else faces.looked
            raw = np.stack([reading.raw for reading in readings])
            sharp = np.array([reading.sharp for reading in readings])
            looks = np.array([_numbers(reading.pose, reading.openness) for reading in readings], np.float64)
            self._faces.append((faces.boxes, faces.confidences, looked, raw, sharp, looks))

    def content(self, shots: int, problem: str | None) -> bytes:
        """Return the file: how many shots begin in the section, and what could not be read, stand in it too."""
        file = io.BytesIO()
        columns = np.array(self._frames, np.float64).reshape(-1, len(self.FRAMES)).T
        faces = {
            name: np.concatenate(arrays)
            for name, arrays in zip(self.FACES, zip(*self._faces, strict=True), strict=False)
        }
        told = {"shots": np.array(shots), "problem": np.array(problem or "")}
        arrays: dict[str, Any] = {**dict(zip(self.FRAMES, columns, strict=True)), **faces, **told}
        np.savez_compressed(file, **arrays)
        return file.getvalue()

    @classmethod
    def of(cls, content: bytes) -> Piece:
        """Return the piece that a file holds.

        Raises:
            InputError: It is damaged.
        """
        piece = cls()
        try:
            with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
                piece._columns = {name: arrays[name] for name in arrays.files}
            piece.problem = str(piece._columns["problem"]) or None
            piece.shots = int(piece._columns["shots"])
        except Exception as error:
            raise InputError(f"a piece is damaged ({type(error).__name__}): run it again") from error
        return piece

    _columns: dict[str, NDArray[np.generic]]

    def frames(self, shots: int, began: datetime) -> Iterator[tuple[Frame, Found]]:
        """Yield its frames, without their pixels, and what each says; so many shots begin before it."""
        columns = self._columns
        at = 0
        for index, offset, shot, height, width, elapsed, count in zip(
            *(columns[name].tolist() for name in self.FRAMES), strict=True
        ):
            image: Image = np.broadcast_to(np.uint8(0), (int(height), int(width), 3))
            faces = slice(at, at + int(count))
            at += int(count)
            frame = Frame(image, int(index), offset, later(began, offset), shot=shots + int(shot))
            yield frame, self._found(faces if count else None, elapsed)

    def _found(self, rows: slice | None, elapsed_ms: float) -> Found:
        if rows is None:
            none = np.empty(0, np.float32)
            return Found(Faces(none.reshape(0, 4), none.reshape(0, 5, 2), none), elapsed_ms, [])
        boxes, confidences, looked, raw, sharp, looks = (self._columns[name][rows] for name in self.FACES)
        faces = Faces(boxes, np.zeros((len(boxes), 5, 2), np.float32), confidences, looked=looked)  # type: ignore[arg-type]
        readings = [
            Reading(probabilities, bool(is_sharp), *_looks(*numbers))
            for probabilities, is_sharp, numbers in zip(raw, sharp, looks.tolist(), strict=True)
        ]
        return Found(faces, elapsed_ms, readings)


def _numbers(pose: Pose | None, openness: Openness | None) -> tuple[float, ...]:
    """Return the looks of a face as numbers, NaN for what is not told."""
    values = (
        *((pose.yaw, pose.pitch, pose.roll) if pose else (None,) * 3),
        *((openness.eyes, openness.mouth) if openness else (None,) * 2),
    )
    return tuple(math.nan if value is None else value for value in values)


def _looks(*numbers: float) -> tuple[Pose | None, Openness | None]:
    yaw, pitch, roll, eyes, mouth = (None if math.isnan(number) else number for number in numbers)
    pose = None if yaw is None and pitch is None and roll is None else Pose(yaw, pitch, roll)
    return pose, None if eyes is None and mouth is None else Openness(eyes, mouth)
