"""One session over one source: frames go in, one observation for each comes out.

    frame -> faces -> tracks -> crops -> probabilities -> smoothing -> abstention -> observation

Detector and classifier are shared between sessions; what a session remembers lies here.
"""

from __future__ import annotations

import functools
import time as clock
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.config import VisionSettings
from mien.observation import EMOTIONS, Emotion, Face, Observation, Probabilities, new_id
from mien.vision.emotions import Classifier
from mien.vision.faces import Detector, FaceDetector, Faces, crop, sharpness
from mien.vision.sources import Frame, Image
from mien.vision.tracks import Smoother, Tracker

__all__ = ["MIN_SHARPNESS", "MIN_SIDE", "Pipeline", "load_models", "read_pictures", "shared_models"]

MIN_SIDE = 20
"""No emotion is named of a face that is smaller, in pixels."""

MIN_SHARPNESS = 0.02
"""Nor of one that is more blurred. Measured: 99.5 % of FER-2013's faces lie above 0.17, the 26 faces of three group
photos shrunk to 24 pixels above 0.023; of FER-2013's faces blurred by 2 pixels, 89 % lie below."""

LOOK_AGAIN_S = 0.4
QUICK_SIDE = 320
QUICK_FACE = 40
"""Between two thorough looks, LOOK_AGAIN_S apart, frames are searched at QUICK_SIDE if faces are this large there."""


class Pipeline:
    """What a session does with each frame.

    Args:
        detector: Finds faces.
        classifier: Reads emotions.
        source: The source's name.
        abstain_below: No emotion is named below this probability; None: the model's own threshold.
        smoothing_s: The time constant of the smoothing per track, in seconds.
        session: Its id; default: a new one.

    Attributes:
        raw: What the model said of each face of the newest frame, before smoothing, shape (n, 7), float32.
    """

    def __init__(
        self,
        detector: FaceDetector,
        classifier: Classifier,
        source: str,
        *,
        abstain_below: float | None = None,
        smoothing_s: float = 0.25,
        session: str | None = None,
    ) -> None:
        self.source = source
        self.session = session or new_id()
        self.raw: NDArray[np.float32] = np.empty((0, len(EMOTIONS)), np.float32)
        self._detect = _Search(detector)
        self._abstain_below = abstain_below
        self.use(classifier)
        self._tracker = Tracker()
        self._smoother = Smoother(smoothing_s)
        self._seq = 0

    def use(self, classifier: Classifier) -> None:
        """Read emotions with this model from the next frame on."""
        self._classifier = classifier
        self._threshold = classifier.threshold if self._abstain_below is None else self._abstain_below

    def run(self, frames: Iterable[Frame]) -> Iterator[Observation]:
        """Yield the observation of each frame."""
        for frame in frames:
            yield self.observe(frame)

    def observe(self, frame: Frame) -> Observation:
        """Return what the next frame of the session shows."""
        began = clock.perf_counter()
        found = self._detect(frame)
        crops = crop(frame.image, found.boxes)
        self.raw = self._classifier.classify(crops)
        tracks, probabilities = self._follow(found, frame)
        faces = _faces(tracks, found, crops, probabilities, self._threshold)
        height, width = frame.image.shape[:2]
        observation = Observation(
            id=new_id(),
            source=self.source,
            session=self.session,
            seq=self._seq,
            time=frame.time,
            offset_s=None if frame.offset_s is None else round(frame.offset_s, 6),
            frame=frame.index,
            width=width,
            height=height,
            model=self._classifier.model_id,
            elapsed_ms=round((clock.perf_counter() - began) * 1000, 2),
            faces=faces,
        )
        self._seq += 1
        return observation

    def _follow(self, found: Faces, frame: Frame) -> tuple[list[int] | list[None], NDArray[np.float32]]:
        """Return the tracks and the smoothed probabilities; photos, which stand alone, have neither."""
        if frame.offset_s is None:
            return [None] * len(found), self.raw
        tracks = self._tracker.update(found.boxes, frame.offset_s)
        smoothed = self._smoother.smooth(tracks, self.raw, frame.offset_s)
        self._smoother.forget(self._tracker.alive)
        return tracks, smoothed


class _Search:
    """Finds the faces of a video's frames, quickly where the last thorough look allows it.

    A thorough look costs three times a quick one. It is taken at the start, each LOOK_AGAIN_S, whenever a quick one
    finds fewer faces than the frame before, and always where faces are small.
    """

    def __init__(self, detector: FaceDetector) -> None:
        self._detector = detector
        self._looked_s: float | None = None
        self._quick_allowed = False
        self._before = 0

    def __call__(self, frame: Frame) -> Faces:
        found = self._quick(frame.image, frame.offset_s) or self._thorough(frame.image, frame.offset_s)
        self._before = len(found)
        return found

    def _quick(self, image: Image, at_s: float | None) -> Faces | None:
        """Return the faces if a quick look is enough to find as many as before."""
        fresh = at_s is not None and self._looked_s is not None and 0 <= at_s - self._looked_s < LOOK_AGAIN_S
        if not (fresh and self._quick_allowed and isinstance(self._detector, Detector)):
            return None
        found = self._detector.detect(image, QUICK_SIDE)
        return found if len(found) and len(found) >= self._before else None

    def _thorough(self, image: Image, at_s: float | None) -> Faces:
        found = self._detector.detect(image)
        scale = min(1.0, QUICK_SIDE / max(image.shape[:2]))
        self._quick_allowed = bool(len(found)) and float(found.boxes[:, 2:].max(1).min()) * scale >= QUICK_FACE
        self._looked_s = at_s
        return found


def load_models(settings: VisionSettings) -> tuple[Detector, Classifier]:
    """Return the detector and the classifier that the settings name.

    Raises:
        ModelError: A model is missing or cannot be used.
    """
    return Detector(settings.confidence, settings.max_side), Classifier.load(settings.model)


@functools.lru_cache(maxsize=1)
def shared_models(settings: VisionSettings) -> tuple[Detector, Classifier]:
    """Return what `load_models` does, the same each time: for callers that keep no model of their own."""
    return load_models(settings)


def read_pictures(
    detector: FaceDetector, classifier: Classifier, images: Sequence[Image], abstain_below: float | None = None
) -> list[list[Face]]:
    """Return the faces of each picture, the surest first; the emotions of all of them are read in one go.

    Args:
        detector: Finds faces.
        classifier: Reads emotions.
        images: BGR, shape (h, w, 3), uint8; they may differ in size.
        abstain_below: No emotion is named below this probability; None: the model's own threshold.
    """
    threshold = classifier.threshold if abstain_below is None else abstain_below
    found = [detector.detect(image) for image in images]
    crops = [crop(image, faces.boxes) for image, faces in zip(images, found, strict=True)]
    ends = np.cumsum([len(faces) for faces in found])
    probabilities = np.split(classifier.classify(np.concatenate(crops)), ends[:-1])
    return [
        _faces([None] * len(faces), faces, cut, shares, threshold)
        for faces, cut, shares in zip(found, crops, probabilities, strict=True)
    ]


def _faces(
    tracks: Sequence[int | None],
    found: Faces,
    crops: NDArray[np.uint8],
    probabilities: NDArray[np.float32],
    threshold: float,
) -> list[Face]:
    """Return the record of each face, without an emotion where the model should not say."""
    clear = (
        (probabilities.max(1, initial=0) >= threshold)
        & (found.boxes[:, 2:].max(1, initial=0) >= MIN_SIDE)
        & (sharpness(crops) >= MIN_SHARPNESS)
    )
    best = probabilities.argmax(1)
    return [
        _face(track, found.boxes[n], found.confidences[n], EMOTIONS[best[n]] if clear[n] else None, probabilities[n])
        for n, track in enumerate(tracks)
    ]


def _face(track: int | None, box: Any, confidence: Any, emotion: Emotion | None, probabilities: Any) -> Face:
    x, y, width, height = (round(float(value)) for value in box)
    # Four decimals keep the record short; seven errors of 0.00005 leave the sum well within what is valid.
    shares = np.round(probabilities.astype(np.float64), 4).clip(0, 1).tolist()
    return Face(
        track=track,
        box=(x, y, max(1, width), max(1, height)),
        confidence=round(float(confidence), 4),
        emotion=emotion,
        probabilities=Probabilities(*shares),
    )
