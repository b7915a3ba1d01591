"""The preview of a source: frames and what they showed go in, a small JPEG comes out, once a second at most.

There is none unless `watch.preview` asks for it. It is made of the newest frame alone and written nowhere. Where faces
are to be hidden, those are that the pipeline found, those that it lost a moment ago, and those that a second, more
suspicious look at the small picture itself finds.
"""

from __future__ import annotations

import functools
import time as clock
from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from mien.config import Settings
from mien.media.base import Frame, Image
from mien.mqtt.messages import MAX_PREVIEW, PREVIEW_SIZE
from mien.observation import Observation
from mien.vision.blur import Box, FaceBlur, hide
from mien.vision.detector import FaceDetector, open_detector

__all__ = ["BlurredPreview", "Preview", "preview_of"]

EVERY_S = 1.0
FRESH_S = 2.0
"""A frame that is older is no preview any more, in seconds: so none is sent long after it was taken."""

SUSPICION = 0.3
"""The detector's confidence from which something is hidden. Measured: of the 28 faces in four photos, shrunk to
PREVIEW_SIZE, it finds 27 at 0.3 and 24 at the usual 0.7; and eight more places are hidden."""

QUALITIES = (75, 50, 25)
"""Of JPEG, tried in this order until the picture is small enough."""


class Newest(NamedTuple):
    """A frame, where faces are to be hidden in it, and when it came, on the monotonic clock in seconds."""

    image: Image
    places: Sequence[Box]
    at: float


class Preview:
    """What a source sees, as it is.

    `note` and `forget` may be called from one thread, `picture` from another.
    """

    kind = "plain"

    def __init__(self) -> None:
        self._newest: Newest | None = None
        self._due = 0.0

    def note(self, frame: Frame, observation: Observation) -> None:
        """Take a frame and what it showed for the newest."""
        self._newest = Newest(frame.image, self._places(observation), clock.monotonic())

    def forget(self) -> None:
        """Forget the newest frame: nobody is to see it."""
        self._newest = None

    def picture(self) -> bytes | None:
        """Return the newest frame as a small JPEG; None where there is none, or it is not time for one."""
        now, newest = clock.monotonic(), self._newest
        if newest is None or now < self._due or now - newest.at > FRESH_S:
            return None
        self._due = now + EVERY_S
        if self._newest is newest:
            self._newest = None  # each frame is sent once
        scale = min(1.0, *(most / side for most, side in zip(PREVIEW_SIZE, newest.image.shape[1::-1], strict=True)))
        return _jpeg(self._shown(_scaled(newest.image, scale), newest.places, scale))

    def _places(self, observation: Observation) -> Sequence[Box]:  # noqa: ARG002
        return ()

    def _shown(self, small: Image, places: Sequence[Box], scale: float) -> Image:  # noqa: ARG002
        return small


class BlurredPreview(Preview):
    """What a source sees, without the faces.

    Args:
        detector: The name of the detector, as in `vision.detector`.
    """

    kind = "blurred"

    def __init__(self, detector: str = "yunet") -> None:
        super().__init__()
        self._detector = detector
        self._hiding = FaceBlur()
        self._session = ""

    def _places(self, observation: Observation) -> Sequence[Box]:
        if observation.session != self._session:  # its tracks and times begin anew
            self._session, self._hiding = observation.session, FaceBlur()
        return self._hiding.places(observation)

    def _shown(self, small: Image, places: Sequence[Box], scale: float) -> Image:
        known = np.multiply(np.reshape(places, (-1, 4)), scale)
        hidden_places = np.concatenate([known, _suspicious(self._detector).detect(small).boxes])
        return hide(small, [(x, y, max(1, w), max(1, h)) for x, y, w, h in hidden_places.round().astype(int).tolist()])


def preview_of(settings: Settings) -> Preview | None:
    """Return the preview that the settings of a source ask for; None: they ask for none."""
    if settings.watch.preview == BlurredPreview.kind:
        return BlurredPreview(settings.vision.detector)
    return Preview() if settings.watch.preview == Preview.kind else None


@functools.cache
def _suspicious(name: str) -> FaceDetector:
    return open_detector(name, SUSPICION, max(PREVIEW_SIZE))


def _scaled(image: Image, scale: float) -> Image:
    size = [max(1, round(side * scale)) for side in image.shape[1::-1]]
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def _jpeg(image: Image) -> bytes | None:
    """Return a picture as a JPEG that is small enough; None where none is."""
    for quality in QUALITIES:
        _, written = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
        if written.size <= MAX_PREVIEW:
            return written.tobytes()
    return None
