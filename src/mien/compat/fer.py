"""fer's `FER`, read by Mien: a picture goes in, boxes and emotions come out, in fer's shape.

from mien.compat.fer import FER

FER().detect_emotions(image)
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mien.config import Settings
from mien.edge import model_store
from mien.observation import EMOTIONS
from mien.vision.faces import crop
from mien.vision.photos import Picture, as_image
from mien.vision.pipeline import load_models

__all__ = ["FER"]


class FER:
    """What fer's users call their detector.

    Args:
        mtcnn: Has no effect: YuNet looks for the faces.
        min_face_size: Smaller faces are left out, in pixels.
        of_haar: fer's settings of its Haar cascade (`cascade_file`, `scale_factor`, `min_neighbors`, `offsets`) and of
            its runtime (`tfserving`, `compile`); they have no effect.

    Raises:
        TypeError: Neither fer nor this has such a setting.
        ModelError: A model is missing or cannot be used.
    """

    IGNORED = frozenset({"cascade_file", "scale_factor", "min_neighbors", "offsets", "tfserving", "compile"})

    def __init__(self, *, mtcnn: bool = False, min_face_size: int = 50, **of_haar: object) -> None:  # noqa: ARG002
        if unknown := sorted(of_haar.keys() - self.IGNORED):
            raise TypeError(f"FER has no setting {', '.join(unknown)}")
        self._smallest = min_face_size
        self._detector, self._classifier = load_models(model_store.in_use(Settings()))

    def find_faces(self, img: Picture) -> list[list[int]]:
        """Return the faces' boxes, [x, y, w, h] in pixels, the surest first; see `detect_emotions`."""
        boxes = self._detector.detect(as_image(img)).boxes
        return [[round(float(value)) for value in box] for box in boxes if max(box[2:]) >= self._smallest]

    def detect_emotions(self, img: Picture, face_rectangles: list[list[int]] | None = None) -> list[dict[str, Any]]:
        """Return a dictionary per face, the surest first: `box`, [x, y, w, h] in pixels; `emotions`, seven shares.

        Args:
            img: A photo's path, or an array, BGR, shape (h, w, 3), uint8.
            face_rectangles: Boxes of faces known already, which are then not looked for.

        Raises:
            InputError: The photo cannot be read.
            ValueError: The array has another shape or type, or a box has no size.
        """
        image = as_image(img)
        boxes = self.find_faces(image) if face_rectangles is None else [list(map(int, box)) for box in face_rectangles]
        if any(len(box) != 4 or min(box[2:]) < 1 for box in boxes):
            raise ValueError(f"face_rectangles must be of [x, y, w, h] with w and h over 0, not {boxes}")
        crops = crop(image, np.array(boxes, np.float32).reshape(-1, 4))
        return [
            {
                "box": box,
                "emotions": {name: round(float(share), 2) for name, share in zip(EMOTIONS, shares, strict=True)},
            }
            for box, shares in zip(boxes, self._classifier.classify(crops), strict=True)
        ]

    def top_emotion(self, img: Picture) -> tuple[str | None, float | None]:
        """Return the likeliest emotion of the surest face and its share, or (None, None) where there is no face.

        Args:
            img: A photo's path, or an array, BGR, shape (h, w, 3), uint8.

        Raises:
            InputError: The photo cannot be read.
            ValueError: The array has another shape or type.
        """
        for face in self.detect_emotions(img):
            shares = face["emotions"]
            name = max(shares, key=shares.__getitem__)
            return name, shares[name]
        return None, None
