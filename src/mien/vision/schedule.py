"""Where in a video's frames faces are looked for: a frame and the faces of the one before go in, its faces come out.

A look at the whole frame is taken each LOOK_AGAIN_S. What lies from one such look to the next is a stretch. Within it,
faces are looked for where they just were, which costs a few per cent, and the whole frame is searched again only where
that finds fewer. A stretch rests on nothing before it, so stretches can be searched at the same time.
"""

from __future__ import annotations

from mien.media.base import Image
from mien.vision.detector import Detector, FaceDetector, Faces

__all__ = ["LOOK_AGAIN_S", "Always", "Beat", "Closely", "look"]

LOOK_AGAIN_S = 0.25
"""Who comes into view is seen this much later at most, in seconds."""


class Always:
    """Has a detector look at each whole frame, for those who must not miss a face for even LOOK_AGAIN_S.

    Args:
        detector: Finds faces.
    """

    def __init__(self, detector: FaceDetector) -> None:
        self._detector = detector

    def detect(self, frame: Image) -> Faces:
        """Return the faces in a BGR frame, shape (h, w, 3), uint8."""
        return self._detector.detect(frame)


class Closely:
    """Has a detector look at each picture as at one that stands alone; one that is not Mien's own looks as it does.

    Args:
        detector: Finds faces.
    """

    def __init__(self, detector: FaceDetector) -> None:
        self._detector = detector

    def detect(self, frame: Image) -> Faces:
        """Return the faces in a BGR picture, shape (h, w, 3), uint8."""
        if isinstance(self._detector, Detector):
            return self._detector.detect_closely(frame)
        return self._detector.detect(frame)


class Beat:
    """Says which frames begin a stretch: the first of a shot, and each LOOK_AGAIN_S or more after the last that did."""

    def __init__(self) -> None:
        self._began_s: float | None = None
        self._shot = 0

    def begins(self, at_s: float | None, shot: int = 0) -> bool:
        """Return whether the next frame begins a stretch.

        Args:
            at_s: Its position in the medium in seconds; None for photos, each of which stands alone.
            shot: The number of its shot.
        """
        same, self._shot = shot == self._shot, shot
        if same and at_s is not None and self._began_s is not None and 0 <= at_s - self._began_s < LOOK_AGAIN_S - 1e-6:
            return False
        self._began_s = at_s
        return True


def look(detector: FaceDetector, image: Image, before: Faces | None) -> Faces:
    """Return the faces in a frame.

    Args:
        detector: Finds them; one that is not Mien's own always looks at the whole frame.
        image: BGR, shape (h, w, 3), uint8.
        before: The faces in the frame before; None where a stretch begins.
    """
    if not isinstance(detector, Detector):
        return detector.detect(image)
    if before is None:
        return detector.with_offsets(image, detector.detect(image))
    if not len(before):
        # Nobody is there: a coarse look at a quarter of the cost sees all but the smallest who come.
        return (
            before
            if not len(detector.detect(image, detector.max_side // 2))
            else detector.with_offsets(image, detector.detect(image))
        )
    if detector.is_near_cheaper(image, len(before)):
        found = detector.detect_near(image, before.boxes, before.offsets)
        if len(found) >= len(before):
            return found
    return detector.with_offsets(image, detector.detect(image))
