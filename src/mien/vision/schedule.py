"""Where in a video's frames faces are looked for: a frame and the faces of the one before go in, its faces come out.

The detection schedule: the whole frame is searched where a stretch begins, each STRETCH_S. Within it, faces are looked
for where they just were, each NEAR_EVERY_S, which costs a few per cent. Each KEYFRAME_EVERY_S others are looked for:
in the whole frame, or, where all faces are large, at half its size, a quarter of the cost. Where there are so many
faces that places cost more than the whole frame, it is searched in tiles by turns. The whole frame is searched also
where fewer are found than before. A stretch rests on nothing before it, so stretches can be searched at the same time.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeGuard

import numpy as np
from numpy.typing import NDArray

from mien.media.base import Image, mark_before
from mien.vision.detector import CloseDetector, Detector, FaceDetector, Faces, NearDetector

__all__ = [
    "KEYFRAME_EVERY_S",
    "NEAR_EVERY_S",
    "STRETCH_S",
    "DetectionSchedule",
    "Look",
    "PhotoDetector",
    "WholeFrameDetector",
    "detect_after",
]

KEYFRAME_EVERY_S = 0.25
"""Who comes into view is seen this much later at most, in seconds; who is small where all others are large,"""

STRETCH_S = 0.5
"""this much later."""

NEAR_EVERY_S = 0.06
"""Faces are looked for where they just were so often; on frames between they move on as before, in seconds."""

TURN_S, MOST_TILES = 0.13, 4
"""All tiles of a frame are searched within this time, in seconds; there are no more than so many."""

MOVED = 0.3
"""A face that is seen in half the size and whose centre lies within so much of its size of a known one is that one."""


class WholeFrameDetector:
    """Has a detector search each whole frame, for those who must not miss a face for even KEYFRAME_EVERY_S.

    Args:
        detector: Finds faces.
    """

    def __init__(self, detector: FaceDetector) -> None:
        self._detector = detector

    def detect(self, frame: Image) -> Faces:
        """Return the faces in a BGR frame, shape (h, w, 3), uint8."""
        return self._detector.detect(frame)


class PhotoDetector:
    """Has a detector look closely at each picture, as one that stands alone, if it can.

    Args:
        detector: Finds faces.
    """

    def __init__(self, detector: FaceDetector) -> None:
        self._detector = detector

    def detect(self, frame: Image) -> Faces:
        """Return the faces in a BGR picture, shape (h, w, 3), uint8."""
        if _looks_closely(self._detector):
            return self._detector.detect_closely(frame)
        return self._detector.detect(frame)


@dataclass(frozen=True)
class Look:
    """How a frame is searched.

    Attributes:
        begins: Whether a stretch begins with it: the whole frame is searched, and nothing rests on those before.
        is_keyframe: Whether faces are looked for that were not there before.
        tiles: In how many tiles it would be searched if there are many faces.
        is_between: Whether faces that are few are taken to move on as before.
    """

    begins: bool
    is_keyframe: bool
    tiles: int
    is_between: bool = False


class DetectionSchedule:
    """Says how each frame is searched: with a shot's first frame a stretch begins, and each STRETCH_S after that.

    So it does with the first from each mark on (see `mien.media.base.MARK_S`): what comes then rests on nothing before.

    Args:
        near_every_s: How often faces are looked for where they just were, in seconds; 0: on each frame.
    """

    def __init__(self, near_every_s: float = NEAR_EVERY_S) -> None:
        self._near_every_s = near_every_s
        self._began_s: float | None = None
        self._keyframe_s = self._looked_s = self._before_s = 0.0
        self._shot = self._mark = 0
        self._tiles: int | None = None

    def look(self, at_s: float | None, shot: int = 0) -> Look:
        """Return how the next frame is searched.

        Args:
            at_s: Its position in the medium in seconds; None for photos, each of which stands alone.
            shot: The number of its shot.
        """
        if at_s is None:
            return Look(begins=True, is_keyframe=True, tiles=1)
        passed, self._before_s = at_s - self._before_s, at_s
        mark = mark_before(at_s)
        is_elsewhere = (shot, mark) != (self._shot, self._mark)
        if is_elsewhere or self._began_s is None or not 0 <= at_s - self._began_s < STRETCH_S - 1e-6:
            self._shot, self._mark = shot, mark
            self._began_s, self._keyframe_s, self._looked_s, self._tiles = at_s, at_s, at_s, None
            return Look(begins=True, is_keyframe=True, tiles=1)
        if self._tiles is None:
            self._tiles = max(1, min(MOST_TILES, int(TURN_S / max(passed, 1e-6) + 1e-6)))
        is_keyframe = at_s - self._keyframe_s >= KEYFRAME_EVERY_S - 1e-6
        if is_keyframe:
            self._keyframe_s = at_s
        is_between = not is_keyframe and at_s - self._looked_s < self._near_every_s - 1e-6
        if not is_between:
            self._looked_s = at_s
        return Look(begins=False, is_keyframe=is_keyframe, tiles=self._tiles, is_between=is_between)


def detect_after(detector: FaceDetector, image: Image, before: Faces | None, look: Look) -> Faces:
    """Return the faces in a frame.

    Args:
        detector: Finds them; one that cannot look near or coarsely always searches the whole frame.
        image: BGR, shape (h, w, 3), uint8.
        before: The faces in the frame before; None where a stretch begins.
        look: How the frame is searched.
    """
    if before is None or look.begins or not _looks_near(detector):
        return _whole(detector, image)
    if not len(before):
        return before if not look.is_keyframe and not len(detector.detect_coarsely(image)) else _whole(detector, image)
    if not detector.is_near_cheaper(image, len(before)):
        if look.tiles > 1 and _is_own(detector):
            return detector.detect_in_tile(image, before, look.tiles)
        return _whole(detector, image)
    if look.is_between:
        return replace(before, looked=np.zeros(len(before), bool))
    if look.is_keyframe and not (_is_own(detector) and detector.are_large(image, before.boxes)):
        return _whole(detector, image)
    faces = _near(detector, image, before)
    if len(faces) < len(before) or (look.is_keyframe and _others(detector.detect_coarsely(image), faces)):
        return _whole(detector, image)
    return faces


def _near(detector: NearDetector, image: Image, before: Faces) -> Faces:
    if not _is_own(detector):
        return detector.detect_near(image, before.boxes)
    if before.frame is not None:
        before = detector.with_offsets(before.frame, before)
    return detector.detect_near(image, before.boxes, before.offsets)


def _others(seen: Faces, known: Faces) -> bool:
    """Return whether any of the faces seen is none of those known."""
    if not len(seen):
        return False
    apart = np.linalg.norm(_centres(seen)[:, None] - _centres(known)[None], axis=2)
    return bool((apart > MOVED * known.boxes[:, 2:].max(1)).all(1).any())


def _centres(faces: Faces) -> NDArray[np.float32]:
    return np.asarray(faces.boxes[:, :2] + faces.boxes[:, 2:] / 2, np.float32)


def _whole(detector: FaceDetector, image: Image) -> Faces:
    """Return the faces of a look at the whole frame.

    Mien's own detector can also say how looks near them differ. It is asked to at the first of those, as keyframes
    that follow one upon the other have none.
    """
    faces = detector.detect(image)
    return replace(faces, frame=image) if _is_own(detector) else faces


def _is_own(detector: FaceDetector) -> TypeGuard[Detector]:
    return hasattr(detector, "with_offsets")


def _looks_closely(detector: FaceDetector) -> TypeGuard[CloseDetector]:
    return hasattr(detector, "detect_closely")


def _looks_near(detector: FaceDetector) -> TypeGuard[NearDetector]:
    return all(hasattr(detector, name) for name in ("detect_near", "detect_coarsely", "is_near_cheaper"))
