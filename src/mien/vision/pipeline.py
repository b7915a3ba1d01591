"""One session over one source: frames go in, one observation for each comes out.

    frame -> faces -> tracks -> crops -> probabilities -> smoothing -> abstention -> observation

Detector and classifier are shared between sessions; what a session remembers lies here.
"""

from __future__ import annotations

import functools
import time as clock
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mien.config import VisionSettings
from mien.media.base import Frame, Image
from mien.models.classifier import Classifier
from mien.observation import (
    EMOTIONS,
    MAX_SPAN_S,
    UNTOLD_SPAN_S,
    Emotion,
    Face,
    Observation,
    Openness,
    Pose,
    Probabilities,
    new_id,
)
from mien.vision.detector import FaceDetector, Faces, crop, open_detector, sharpness, turns
from mien.vision.schedule import KeyframeSchedule, PhotoDetector, detect_after
from mien.vision.tracker import LabelHold, Smoother, Tracker

__all__ = ["MIN_SHARPNESS", "MIN_SIDE", "Pipeline", "Reading", "load_models", "read_pictures", "shared_models"]

MIN_SIDE = 20
"""No emotion is named of a face that is smaller, in pixels."""

MIN_SHARPNESS = 0.02
"""Nor of one that is more blurred. Measured: 99.5 % of FER-2013's faces lie above 0.17, the 26 faces of three group
photos shrunk to 24 pixels above 0.023; of FER-2013's faces blurred by 2 pixels, 89 % lie below."""


Looks = tuple[Pose | None, Openness | None]
"""Where a head is turned, and how open its eyes and mouth are; None where the model does not say."""


class Reading(NamedTuple):
    """What one frame says by itself.

    Attributes:
        found: Its faces.
        sharpness: How sharp each is, shape (n,); see `mien.vision.detector.sharpness`.
        raw: What the model says of each, shape (n, 7), float32.
        looks: Where the heads are turned, and how open eyes and mouths are, of each face.
        model: The model's id.
        elapsed_ms: How long that took, in milliseconds.
    """

    found: Faces
    sharpness: NDArray[np.float32]
    raw: NDArray[np.float32]
    looks: list[Looks]
    model: str
    elapsed_ms: float


class Pipeline:
    """What a session does with each frame.

    Args:
        detector: Finds faces.
        classifier: Reads emotions.
        source: The source's name.
        abstain_below: No emotion is named below this probability; None: the model's own threshold.
        smoothing_s: The time constant of the smoothing per track, in seconds.
        session: Its id; default: a new one.
        sets: Also say which emotions are plausible at this level, such as 0.9; None: not.

    Attributes:
        abstain_below: As given; it may be changed between two frames.
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
        sets: float | None = None,
    ) -> None:
        self.source = source
        self.session = session or new_id()
        self.raw: NDArray[np.float32] = np.empty((0, len(EMOTIONS)), np.float32)
        self._detector = detector
        self._keyframes = KeyframeSchedule()
        self._before: Faces | None = None
        self.abstain_below = abstain_below
        self._sets = sets
        self.use(classifier)
        self._tracker = Tracker()
        self._smoother = Smoother(smoothing_s)
        self._labels = LabelHold()
        self._shot = 0
        self._seq = 0
        self._before_s: float | None = None

    def use(self, classifier: Classifier) -> None:
        """Read emotions with this model from the next frame on."""
        self._classifier = classifier

    def run(self, frames: Iterable[Frame]) -> Iterator[Observation]:
        """Yield the observation of each frame."""
        for frame in frames:
            yield self.observe(frame)

    def observe(self, frame: Frame) -> Observation:
        """Return what the next frame of the session shows."""
        (reading,) = self.read(
            [frame.image], None if self._keyframes.is_due(frame.offset_s, frame.shot) else self._before
        )
        self._before = reading.found
        return self.record(frame, reading)

    def read(self, images: Sequence[Image], before: Faces | None) -> list[Reading]:
        """Return what frames that follow each other say by themselves; may be called from several threads at a time.

        Args:
            images: BGR, shape (h, w, 3), uint8; at least one.
            before: The faces in the frame before the first; None where a stretch begins, see `mien.vision.schedule`.
        """
        began = clock.perf_counter()
        classifier = self._classifier
        found: list[Faces] = []
        for image in images:
            before = detect_after(self._detector, image, before)
            found.append(before)
        crops = [crop(image, faces.boxes, faces.landmarks) for image, faces in zip(images, found, strict=True)]
        raw, looks = _read(classifier, crops, found)
        sharp = [sharpness(cut) for cut in crops]
        elapsed_ms = (clock.perf_counter() - began) * 1000 / len(images)
        return [
            Reading(faces, detail, shares, seen, classifier.model_id, elapsed_ms)
            for faces, detail, shares, seen in zip(found, sharp, raw, looks, strict=True)
        ]

    def record(self, frame: Frame, reading: Reading) -> Observation:
        """Return the observation of the session's next frame: the reading, followed and smoothed over time."""
        began = clock.perf_counter()
        self.raw = reading.raw
        tracks, probabilities, best = self._follow(reading.found, frame)
        threshold = self._classifier.threshold if self.abstain_below is None else self.abstain_below
        sets = _sets(self._classifier, probabilities, self._sets)
        faces = _faces(tracks, reading, probabilities, best, threshold, sets)
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
            model=reading.model,
            elapsed_ms=round(reading.elapsed_ms + (clock.perf_counter() - began) * 1000, 2),
            faces=faces,
            span_s=self._span_of(frame),
        )
        self._seq += 1
        return observation

    def _span_of(self, frame: Frame) -> float | None:
        """Return the seconds that a frame stands for: since the one before it; photos stand for none."""
        before, self._before_s = self._before_s, frame.offset_s
        if frame.offset_s is None:
            return None
        if before is None:
            return UNTOLD_SPAN_S
        return round(min(max(frame.offset_s - before, 0.0), MAX_SPAN_S), 4)

    def _follow(
        self, found: Faces, frame: Frame
    ) -> tuple[list[int] | list[None], NDArray[np.float32], NDArray[np.intp]]:
        """Return tracks, smoothed probabilities and held emotions; photos, which stand alone, have none of them."""
        if frame.offset_s is None:
            return [None] * len(found), self.raw, self.raw.argmax(1)
        if frame.shot != self._shot:
            self._shot = frame.shot
            self._tracker.restart()
        tracks = self._tracker.update(found.boxes, frame.offset_s)
        smoothed = self._smoother.smooth(tracks, self.raw, frame.offset_s)
        held = self._labels.hold(tracks, smoothed, frame.offset_s)
        self._smoother.forget(self._tracker.alive)
        self._labels.forget(self._tracker.alive)
        return tracks, smoothed, held


def load_models(settings: VisionSettings) -> tuple[FaceDetector, Classifier]:
    """Return the detector and the classifier that the settings name.

    Raises:
        ConfigError: There is no such detector.
        ModelError: A model is missing or cannot be used.
    """
    detector = open_detector(settings.detector, settings.confidence, settings.max_side)
    return detector, Classifier.load(settings.model, device=settings.device)


@functools.lru_cache(maxsize=1)
def shared_models(settings: VisionSettings) -> tuple[FaceDetector, Classifier]:
    """Return what `load_models` does, the same each time: for callers that keep no model of their own."""
    return load_models(settings)


def read_pictures(
    detector: FaceDetector,
    classifier: Classifier,
    images: Sequence[Image],
    abstain_below: float | None = None,
    sets: float | None = None,
) -> list[list[Face]]:
    """Return the faces of each picture, the surest first; the emotions of all of them are read in one go.

    Args:
        detector: Finds faces.
        classifier: Reads emotions.
        images: BGR, shape (h, w, 3), uint8; they may differ in size.
        abstain_below: No emotion is named below this probability; None: the model's own threshold.
        sets: Also say which emotions are plausible at this level, such as 0.9; None: not.

    Raises:
        InputError: The model does not know the level.
    """
    threshold = classifier.threshold if abstain_below is None else abstain_below
    closely = PhotoDetector(detector)
    found = [closely.detect(image) for image in images]
    crops = [crop(image, faces.boxes, faces.landmarks) for image, faces in zip(images, found, strict=True)]
    probabilities, looks = _read(classifier, crops, found)
    return [
        _faces(
            [None] * len(faces),
            Reading(faces, sharpness(cut), shares, seen, classifier.model_id, 0.0),
            shares,
            shares.argmax(1),
            threshold,
            _sets(classifier, shares, sets),
        )
        for faces, cut, shares, seen in zip(found, crops, probabilities, looks, strict=True)
    ]


def _read(
    classifier: Classifier, crops: Sequence[NDArray[np.uint8]], found: Sequence[Faces]
) -> tuple[list[NDArray[np.float32]], list[list[Looks]]]:
    """Return what the model says of the faces of each frame, read in one go."""
    probabilities, geometry = classifier.read(np.concatenate(crops))
    if geometry is None:
        return _split(probabilities, found), [[(None, None)] * len(faces) for faces in found]
    turned = np.concatenate([turns(faces.landmarks) for faces in found])  # `crop` has taken that much of their roll
    poses = geometry.pose + np.stack([np.zeros_like(turned), np.zeros_like(turned), turned], 1)
    looks: list[list[Looks]] = []
    for pose, openness in zip(_split(poses, found), _split(geometry.openness, found), strict=True):
        looks.append([(_pose(*head), _openness(*parts)) for head, parts in zip(pose, openness, strict=True)])
    return _split(probabilities, found), looks


def _pose(yaw: float, pitch: float, roll: float) -> Pose | None:
    if np.isnan((yaw, pitch, roll)).any():
        return None
    return Pose(*(round(float(angle), 1) for angle in (yaw, pitch, roll)))


def _openness(eyes: float, mouth: float) -> Openness | None:
    shares = [None if np.isnan(share) else round(float(share), 2) for share in (eyes, mouth)]
    return None if shares == [None, None] else Openness(*shares)


def _split(rows: NDArray[np.float32], found: Sequence[Faces]) -> list[NDArray[np.float32]]:
    """Return the rows of each frame's faces, from those of all of them."""
    return np.split(rows, np.cumsum([len(faces) for faces in found])[:-1])


def _faces(
    tracks: Sequence[int | None],
    reading: Reading,
    probabilities: NDArray[np.float32],
    best: NDArray[np.intp],
    threshold: float,
    sets: Sequence[tuple[Emotion, ...] | None],
) -> list[Face]:
    """Return the record of each face, without an emotion where the model should not say."""
    found = reading.found
    clear = (
        (probabilities.max(1, initial=0) >= threshold)
        & (found.boxes[:, 2:].max(1, initial=0) >= MIN_SIDE)
        & (reading.sharpness >= MIN_SHARPNESS)
    )
    return [
        _face(track, reading, n, EMOTIONS[best[n]] if clear[n] else None, probabilities[n], sets[n])
        for n, track in enumerate(tracks)
    ]


def _sets(
    classifier: Classifier, probabilities: NDArray[np.float32], level: float | None
) -> list[tuple[Emotion, ...] | None]:
    """Return the emotions that are plausible of each face, or None for each where no level is given."""
    if level is None:
        return [None] * len(probabilities)
    return [
        tuple(emotion for emotion, is_in in zip(EMOTIONS, row, strict=True) if is_in)
        for row in classifier.plausible(probabilities, level)
    ]


def _face(
    track: int | None,
    reading: Reading,
    n: int,
    emotion: Emotion | None,
    probabilities: Any,
    plausible: tuple[Emotion, ...] | None,
) -> Face:
    x, y, width, height = (round(float(value)) for value in reading.found.boxes[n])
    # Four decimals keep the record short; seven errors of 0.00005 leave the sum well within what is valid.
    shares = np.round(probabilities.astype(np.float64), 4).clip(0, 1).tolist()
    pose, openness = reading.looks[n] if max(width, height) >= MIN_SIDE else (None, None)
    return Face(
        track=track,
        box=(x, y, max(1, width), max(1, height)),
        confidence=round(float(reading.found.confidences[n]), 4),
        emotion=emotion,
        probabilities=Probabilities(*shares),
        pose=pose,
        openness=openness,
        plausible=plausible,
    )
