"""deepface's `analyze`, read by Mien: a picture goes in, one dictionary per face comes out, in deepface's shape.

from mien.compat import deepface as DeepFace

DeepFace.analyze("photo.jpg", actions=["emotion"])
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mien.config import load
from mien.media.base import Image
from mien.media.pictures import Picture, as_picture
from mien.models import store as model_store
from mien.observation import EMOTIONS
from mien.vision.detector import Faces, crop
from mien.vision.pipeline import shared_models

__all__ = ["DeepFace", "analyze"]

GUESSES = {"age", "gender", "race"}


def analyze(
    img_path: Picture | Sequence[Picture],
    actions: str | Iterable[str] = ("emotion",),
    enforce_detection: bool = True,
    detector_backend: str = "yunet",
    align: bool = True,  # noqa: ARG001 - what has no meaning here is taken, so that calls need no change
    expand_percentage: int = 0,
    silent: bool = True,  # noqa: ARG001
    anti_spoofing: bool = False,
) -> list[dict[str, Any]] | list[list[dict[str, Any]]]:
    """Return what the faces in a picture show, the surest face first.

    Args:
        img_path: A photo's path, or an array, BGR, shape (h, w, 3), uint8; or a list of them, or an array of shape
            (n, h, w, 3).
        actions: Only `emotion`: Mien guesses nobody's age, gender or race.
        enforce_detection: Raise where there is no face; otherwise the whole picture is then read as one.
        detector_backend: `skip` takes the whole picture for a face; under any other name YuNet looks for faces.
        align: Has no effect: the model reads faces as they stand.
        expand_percentage: Only 0.
        silent: Has no effect: nothing is printed.
        anti_spoofing: Only False.

    Returns:
        A dictionary per face: `emotion`, seven percentages; `dominant_emotion`; `region`: x, y, w, h, left_eye and
        right_eye as the person's own, in pixels; `face_confidence`, 0 to 1, 0 where no face was looked for or found.
        For several pictures a list of such lists.

    Raises:
        ValueError: There is no face, or something is asked for that is not done here.
        InputError: A photo cannot be read.
    """
    _refuse(actions, expand_percentage, anti_spoofing)
    if isinstance(img_path, list | tuple) or (isinstance(img_path, np.ndarray) and img_path.ndim == 4):
        return [_analyze(picture, enforce_detection, detector_backend) for picture in img_path]
    return _analyze(img_path, enforce_detection, detector_backend)  # type: ignore[arg-type]


class DeepFace:
    """What `from deepface import DeepFace` gives, for those who import it by that name."""

    analyze = staticmethod(analyze)


def _analyze(picture: Picture, enforce_detection: bool, detector_backend: str) -> list[dict[str, Any]]:
    image = as_picture(picture)[0]
    detector, classifier = shared_models(model_store.in_use(load()))
    faces = None if detector_backend == "skip" else detector.detect(image)
    if faces is not None and not len(faces) and enforce_detection:
        what = f"'{picture!s}'" if isinstance(picture, str | Path) else "the array"
        raise ValueError(
            f"Face could not be detected in {what}: give a photo of a face, or set enforce_detection to False to have "
            "the whole picture read as one"
        )
    if faces is None or not len(faces):
        boxes = np.array([[0, 0, image.shape[1], image.shape[0]]], np.float32)
        return [
            _face(_region(image, boxes[0], None), 0.0, shares) for shares in classifier.classify(crop(image, boxes))
        ]
    probabilities = classifier.classify(crop(image, faces.boxes, faces.landmarks))
    return [
        _face(_region_of(image, faces, row), float(faces.confidences[row]), probabilities[row])
        for row in range(len(faces))
    ]


def _region_of(image: Image, faces: Faces, row: int) -> dict[str, Any]:
    return _region(image, faces.boxes[row], faces.landmarks[row])


def _region(image: Image, box: Any, landmarks: Any) -> dict[str, Any]:
    height, width = image.shape[:2]
    x1, y1 = (min(max(0, round(float(at))), size - 1) for at, size in zip(box[:2], (width, height), strict=True))
    x2, y2 = round(float(box[0] + box[2])), round(float(box[1] + box[3]))
    eyes = (None, None) if landmarks is None else [tuple(round(float(at)) for at in eye) for eye in landmarks[:2]]
    return {
        "x": x1,
        "y": y1,
        "w": max(1, min(x2, width) - x1),
        "h": max(1, min(y2, height) - y1),
        "left_eye": eyes[1],
        "right_eye": eyes[0],
    }


def _face(region: dict[str, Any], confidence: float, shares: Any) -> dict[str, Any]:
    percentages = {emotion: 100 * float(share) for emotion, share in zip(EMOTIONS, shares, strict=True)}
    return {
        "emotion": percentages,
        "dominant_emotion": max(percentages, key=percentages.__getitem__),
        "region": region,
        "face_confidence": confidence,
    }


def _refuse(actions: str | Iterable[str], expand_percentage: int, anti_spoofing: bool) -> None:
    asked = {actions} if isinstance(actions, str) else set(actions)
    if guesses := sorted(asked & GUESSES):
        raise ValueError(f"actions asks for {', '.join(guesses)}: Mien guesses none of these; use actions=['emotion']")
    if unknown := sorted(asked - {"emotion"}):
        raise ValueError(f"actions asks for {', '.join(map(repr, unknown))}; the one action here is 'emotion'")
    if not asked:
        raise ValueError("actions is empty; the one action here is 'emotion'")
    if expand_percentage:
        raise ValueError(
            f"expand_percentage is {expand_percentage}, but faces are framed as the model needs them; use 0"
        )
    if anti_spoofing:
        raise ValueError("anti_spoofing is True, but Mien cannot tell a face from a picture of one; use False")
