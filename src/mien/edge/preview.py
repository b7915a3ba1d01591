"""The preview of a source: frames and what they showed go in, a small JPEG comes out, once a second at most.

There is none unless `watch.preview` asks for it, or somebody who may: as far as `watch.remote_preview` allows, for an
hour. It is made of the newest frame alone and written nowhere. Where faces
are to be hidden, those are that the pipeline found, those that it lost a moment ago, and those that a second, more
suspicious look at the small picture itself finds.
"""

from __future__ import annotations

import functools
import time as clock
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple, get_args

import cv2
import numpy as np

from mien.config import Settings
from mien.errors import UsageError
from mien.media.base import Frame, Image
from mien.mqtt.messages import MAX_PREVIEW, PREVIEW_SIZE, PreviewKind, captioned
from mien.observation import Observation
from mien.observation import now as utc
from mien.vision.blur import Box, FaceBlur, hide
from mien.vision.detector import FaceDetector, open_detector

__all__ = ["ASKED_S", "BlurredPreview", "Preview", "PreviewSwitch", "preview_kind"]

EVERY_S = 1.0
FRESH_S = 2.0
"""A frame that is older is no preview any more, in seconds: so none is sent long after it was taken."""

SUSPICION = 0.3
"""The detector's confidence from which something is hidden. Measured: of the 28 faces in four photos, shrunk to
PREVIEW_SIZE, it finds 27 at 0.3 and 24 at the usual 0.7; and eight more places are hidden."""

ASKED_S = 3600.0
"""So long pictures are sent that somebody asked for, in seconds."""

KINDS: tuple[PreviewKind, ...] = get_args(PreviewKind)
"""From what shows least to what shows most."""

CAPTION_BYTES = 45
"""What the name of the observation adds to a picture."""

QUALITIES = (75, 50, 25)
"""Of JPEG, tried in this order until the picture is small enough."""


class Newest(NamedTuple):
    """A frame, its observation's id, where faces are to be hidden, and when it came (monotonic, in seconds)."""

    image: Image
    observation: str
    places: Sequence[Box]
    at: float


class Preview:
    """What a source sees, as it is.

    `note` and `forget` may be called from one thread, `picture` from another.
    """

    kind: PreviewKind = "plain"

    def __init__(self) -> None:
        self._newest: Newest | None = None
        self._due = 0.0

    def note(self, frame: Frame, observation: Observation) -> None:
        """Take a frame and what it showed for the newest."""
        self._newest = Newest(frame.image, observation.id, self._places(observation), clock.monotonic())

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
        jpeg = _jpeg(self._shown(_scaled(newest.image, scale), newest.places, scale))
        return captioned(jpeg, newest.observation) if jpeg else None

    def _places(self, observation: Observation) -> Sequence[Box]:  # noqa: ARG002
        return ()

    def _shown(self, small: Image, places: Sequence[Box], scale: float) -> Image:  # noqa: ARG002
        return small


class BlurredPreview(Preview):
    """What a source sees, without the faces.

    Args:
        detector: The name of the detector, as in `vision.detector`.
    """

    kind: PreviewKind = "blurred"

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


class PreviewSwitch:
    """The preview that a source sends: the one of its settings, or for an hour another that somebody asked for.

    `note` and `forget` may be called from one thread, all else from another.

    Args:
        settings: As they are for this source.
        demo: Whether it is the clip that comes with Mien, which is shown as it is unless the settings say otherwise.
    """

    def __init__(self, settings: Settings, *, demo: bool = False) -> None:
        self.most: PreviewKind = settings.watch.remote_preview
        self.until: datetime | None = None
        self._detector = settings.vision.detector
        self._own = preview_kind(settings, demo=demo)
        self._end = 0.0
        self._sent = self._made(self._own)

    @property
    def kind(self) -> PreviewKind:
        """What is sent: off, blurred or plain."""
        return self._sent.kind if self._sent else "off"

    def ask(self, kind: PreviewKind | None) -> None:
        """Send pictures of a kind for an hour; off or None: what the settings say.

        Raises:
            UsageError: `watch.remote_preview` does not allow so much.
        """
        wanted: PreviewKind = kind or "off"
        if wanted != "off" and KINDS.index(wanted) > KINDS.index(self.most):
            raise UsageError(
                f"the request is refused: watch.remote_preview is {self.most} where this source is watched, so no "
                f"{wanted} preview can be asked for"
            )
        asked = KINDS.index(wanted) > KINDS.index(self._own)
        self.until = utc() + timedelta(seconds=ASKED_S) if asked else None
        self._end = clock.monotonic() + ASKED_S
        self._switch(wanted if asked else self._own)

    def ends(self) -> bool:
        """Return whether what was asked for ends now; what the settings say goes on."""
        if self.until is None or clock.monotonic() < self._end:
            return False
        self.until = None
        self._switch(self._own)
        return True

    def note(self, frame: Frame, observation: Observation) -> None:
        """Take a frame and what it showed for the newest."""
        if sent := self._sent:
            sent.note(frame, observation)

    def forget(self) -> None:
        """Forget the newest frame: nobody is to see it."""
        if sent := self._sent:
            sent.forget()

    def picture(self) -> bytes | None:
        """Return the newest frame as a small JPEG; None where there is none, or it is not time for one."""
        sent = self._sent
        return sent.picture() if sent else None

    def _switch(self, kind: PreviewKind) -> None:
        if kind != self.kind:
            before, self._sent = self._sent, self._made(kind)
            if before:
                before.forget()

    def _made(self, kind: PreviewKind) -> Preview | None:
        if kind == "blurred":
            return BlurredPreview(self._detector)
        return Preview() if kind == "plain" else None


def preview_kind(settings: Settings, *, demo: bool = False) -> PreviewKind:
    """Return what pictures a source sends by its settings; of the demo clip plain ones, unless something is set."""
    return "plain" if demo and "preview" not in settings.watch.model_fields_set else settings.watch.preview


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
        if written.size <= MAX_PREVIEW - CAPTION_BYTES:
            return written.tobytes()
    return None
