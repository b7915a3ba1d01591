"""Where in a video's frames faces are looked for: a frame and the faces of the one before go in, its faces come out.

The detection schedule: the whole frame is searched in keyframes, one each KEYFRAME_EVERY_S. From one keyframe to the
next is a stretch. Within it, faces are looked for where they just were, which costs a few per cent, and the whole frame
is searched again only where that finds fewer. A stretch rests on nothing before it, so stretches can be searched at the
same time.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TypeGuard

from mien.media.base import Image, mark_before
from mien.vision.detector import CloseDetector, Detector, FaceDetector, Faces, NearDetector

__all__ = ["KEYFRAME_EVERY_S", "KeyframeSchedule", "PhotoDetector", "WholeFrameDetector", "detect_after"]

KEYFRAME_EVERY_S = 0.25
"""Who comes into view is seen this much later at most, in seconds."""


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


class KeyframeSchedule:
    """Says which frames are keyframes: the first of a shot, and each KEYFRAME_EVERY_S or more after the newest.

    So is the first from each mark on (see `mien.media.base.MARK_S`): what comes then rests on nothing before it.
    """

    def __init__(self) -> None:
        self._newest_s: float | None = None
        self._shot = self._mark = 0

    def is_due(self, at_s: float | None, shot: int = 0) -> bool:
        """Return whether the next frame is a keyframe.

        Args:
            at_s: Its position in the medium in seconds; None for photos, each of which stands alone.
            shot: The number of its shot.
        """
        mark = self._mark if at_s is None else mark_before(at_s)
        if (shot, mark) != (self._shot, self._mark):
            self._shot, self._mark, self._newest_s = shot, mark, None
        if at_s is not None and self._newest_s is not None and 0 <= at_s - self._newest_s < KEYFRAME_EVERY_S - 1e-6:
            return False
        self._newest_s = at_s
        return True


def detect_after(detector: FaceDetector, image: Image, before: Faces | None) -> Faces:
    """Return the faces in a frame.

    Args:
        detector: Finds them; one that cannot look near or coarsely always searches the whole frame.
        image: BGR, shape (h, w, 3), uint8.
        before: The faces in the frame before; None for a keyframe.
    """
    if before is None or not _looks_near(detector):
        return _whole(detector, image)
    if not len(before):
        return before if not len(detector.detect_coarsely(image)) else _whole(detector, image)
    if detector.is_near_cheaper(image, len(before)):
        if _knows_offsets(detector):
            if before.frame is not None:
                before = detector.with_offsets(before.frame, before)
            faces = detector.detect_near(image, before.boxes, before.offsets)
        else:
            faces = detector.detect_near(image, before.boxes)
        if len(faces) >= len(before):
            return faces
    return _whole(detector, image)


def _whole(detector: FaceDetector, image: Image) -> Faces:
    """Return the faces of a look at the whole frame.

    Mien's own detector can also say how looks near them differ. It is asked to at the first of those, as keyframes
    that follow one upon the other have none.
    """
    faces = detector.detect(image)
    return replace(faces, frame=image) if _knows_offsets(detector) else faces


def _knows_offsets(detector: FaceDetector) -> TypeGuard[Detector]:
    return hasattr(detector, "with_offsets")


def _looks_closely(detector: FaceDetector) -> TypeGuard[CloseDetector]:
    return hasattr(detector, "detect_closely")


def _looks_near(detector: FaceDetector) -> TypeGuard[NearDetector]:
    return all(hasattr(detector, name) for name in ("detect_near", "detect_coarsely", "is_near_cheaper"))
