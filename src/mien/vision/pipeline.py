"""One session over one source: frames go in, one observation for each comes out.

    frame -> faces -> tracks -> those that are due -> crops -> probabilities -> smoothing -> abstention -> observation

Detector and classifier are shared between sessions; what a session remembers lies here. Where faces are looked for says
`mien.vision.schedule`, how often each is read `mien.vision.readings`.
"""

from __future__ import annotations

import functools
import time as clock
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import NamedTuple, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from mien.config import VisionSettings
from mien.media.base import Frame, Image
from mien.models.classifier import Classifier, Geometry
from mien.observation import (
    EMOTIONS,
    MAX_SPAN_S,
    UNTOLD_SPAN_S,
    AboveUsual,
    Emotion,
    Face,
    Observation,
    Openness,
    Pose,
    Probabilities,
    new_id,
)
from mien.vision.detector import FaceDetector, Faces, crop, open_detector, sharpness, turns
from mien.vision.readings import EVERY_S, ReadingSchedule
from mien.vision.schedule import NEAR_EVERY_S, DetectionSchedule, Look, PhotoDetector, detect_after
from mien.vision.tracker import LabelHold, Smoother, Tracker
from mien.vision.usual import UsualFaces

__all__ = [
    "MIN_SHARPNESS",
    "MIN_SIDE",
    "MOST_YAW",
    "Found",
    "Pipeline",
    "Reading",
    "Share",
    "load_models",
    "read_faces",
    "read_pictures",
    "shared_models",
]

MIN_SIDE = 20
"""No emotion is named of a face that is smaller, in pixels."""

MIN_SHARPNESS = 0.02
"""Nor of one that is more blurred. Measured: 99.5 % of FER-2013's faces lie above 0.17, the 26 faces of three group
photos shrunk to 24 pixels above 0.023; of FER-2013's faces blurred by 2 pixels, 89 % lie below."""

MOST_YAW = 40.0
"""Nor of one that is turned further aside, in degrees, where the model says so. Measured by benchmarks/rejects.py: of
profiles 60 % are then named in place of 75 %, of other faces as many as before."""


Read: TypeAlias = tuple[NDArray[np.float32], "Geometry | None"]
"""What a model says of crops; see `Classifier.read`."""

Share: TypeAlias = Callable[[Callable[[NDArray[np.uint8]], Read], NDArray[np.uint8]], "list[Read]"]
"""Reads crops in parts at the same time and returns what is said of each part, in order."""


def nothing_shared(read: Callable[[NDArray[np.uint8]], Read], crops: NDArray[np.uint8]) -> list[Read]:
    """Read all crops as one part."""
    return [read(crops)]


class Reading(NamedTuple):
    """What the model says of a face in one frame by itself.

    Attributes:
        raw: The probabilities, shape (7,), float32.
        sharp: Whether the face is sharp enough to be read.
        pose: Where the head is turned; None where the model does not say.
        openness: How open eyes and mouth are; None where the model does not say.
    """

    raw: NDArray[np.float32]
    sharp: bool
    pose: Pose | None
    openness: Openness | None


class Found(NamedTuple):
    """The faces of a frame.

    Attributes:
        faces: As the detector gives them.
        elapsed_ms: How long that took, in milliseconds.
        readings: What the model says of each, where all were read at once; None: those that are due are yet to be read.
    """

    faces: Faces
    elapsed_ms: float
    readings: list[Reading] | None = None


class _Shown(NamedTuple):
    """What is said of a face: what was read last, smoothed, and the emotion that is held, in EMOTIONS order."""

    reading: Reading
    smoothed: NDArray[np.float32]
    best: int


class Pipeline:
    """What a session does with each frame.

    Args:
        detector: Finds faces.
        classifier: Reads emotions.
        source: The source's name.
        abstain_below: No emotion is named below this probability; None: the model's own threshold.
        smoothing_s: The time constant of the smoothing per track, in seconds.
        read_every_s: A face that was read is read again after this time, or earlier where its reading changes or the
            smoothing needs it, in seconds; 0: on each frame.
        session: Its id; default: a new one.
        sets: Also say which emotions are plausible at this level, such as 0.9; None: not.
        calibrate_s: Also say what lies above each track's usual face, that of so many first seconds; None: not.

    Attributes:
        abstain_below: As given; it may be changed between two frames.
        raw: What the model said of each face of the newest frame, before smoothing, or when it was last read, shape
            (n, 7), float32.
        schedule: How often each face is read.
        reading_s: How long the newest frame's faces were read, in seconds.
    """

    def __init__(
        self,
        detector: FaceDetector,
        classifier: Classifier,
        source: str,
        *,
        abstain_below: float | None = None,
        smoothing_s: float = 0.25,
        read_every_s: float = EVERY_S,
        session: str | None = None,
        sets: float | None = None,
        calibrate_s: int | None = None,
    ) -> None:
        self.source = source
        self.session = session or new_id()
        self.raw: NDArray[np.float32] = np.empty((0, len(EMOTIONS)), np.float32)
        self.schedule = ReadingSchedule(smoothing_s, read_every_s)
        self.reading_s = 0.0
        self._detector = detector
        self._looks = self.looks()
        self._before: Faces | None = None
        self.abstain_below = abstain_below
        self._sets = sets
        self._classifier = classifier
        self._tracker = Tracker()
        self._smoother = Smoother(smoothing_s)
        self._labels = LabelHold()
        self._usual = UsualFaces(calibrate_s) if calibrate_s else None
        self._shown: dict[int, _Shown] = {}
        self._shot = 0
        self._seq = 0
        self._before_s: float | None = None

    def looks(self) -> DetectionSchedule:
        """Return what says how each frame is searched: faces are looked for at least as often as they are read."""
        return DetectionSchedule(min(NEAR_EVERY_S, self.schedule.shortest_s))

    def use(self, classifier: Classifier) -> None:
        """Read emotions with this model from the next frame on."""
        if classifier is not self._classifier:
            self._classifier = classifier
            self.schedule.restart()
            if self._usual:
                self._usual.restart()

    def run(self, frames: Iterable[Frame]) -> Iterator[Observation]:
        """Yield the observation of each frame."""
        for frame in frames:
            yield self.observe(frame)

    def observe(self, frame: Frame) -> Observation:
        """Return what the next frame of the session shows."""
        found = self.find(frame.image, self._before, self._looks.look(frame.offset_s, frame.shot))
        self._before = found.faces
        return self.record(frame, found)

    def find(self, image: Image, before: Faces | None, look: Look) -> Found:
        """Return the faces of a frame; may be called from several threads at a time.

        Args:
            image: BGR, shape (h, w, 3), uint8.
            before: The faces in the frame before; None where a stretch begins, see `mien.vision.schedule`.
            look: How the frame is searched.
        """
        began = clock.perf_counter()
        faces = detect_after(self._detector, image, before, look)
        return Found(faces, (clock.perf_counter() - began) * 1000)

    def read_all(self, image: Image, found: Found) -> Found:
        """Return the faces of a frame with what the model says of each; may be called from several threads at a time.

        Args:
            image: As of `find`.
            found: The faces in it.
        """
        began = clock.perf_counter()
        (readings,) = read_faces(self._classifier, [(image, found.faces)])
        return Found(found.faces, found.elapsed_ms + (clock.perf_counter() - began) * 1000, readings)

    def record(self, frame: Frame, found: Found, share: Share = nothing_shared) -> Observation:
        """Return the observation of the session's next frame: its faces followed, read where they are due, smoothed.

        Args:
            frame: The frame.
            found: Its faces.
            share: Reads a part of the faces on another thread, see `read_faces`.
        """
        began = clock.perf_counter()
        tracks, faces, due = self._follow(found.faces, frame)
        if found.readings is None:
            (readings,) = read_faces(self._classifier, [(frame.image, _part(faces, due))], share)
        else:
            readings = [found.readings[row] for row in due]
        self.reading_s = clock.perf_counter() - began
        shown = self._show(tracks, due, readings, frame.offset_s)
        self.raw = np.stack([each.reading.raw for each in shown]) if shown else np.empty((0, len(EMOTIONS)), np.float32)
        threshold = self._classifier.threshold if self.abstain_below is None else self.abstain_below
        height, width = frame.image.shape[:2]
        record = _faces(self._classifier, tracks, faces, shown, threshold, self._sets, frozenset(due))
        if self._usual and frame.offset_s is not None:
            record = self._with_level(self._usual, record, shown, frame.offset_s)
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
            elapsed_ms=round(found.elapsed_ms + (clock.perf_counter() - began) * 1000, 2),
            faces=record,
            span_s=self._span_of(frame),
        )
        self._seq += 1
        return observation

    @staticmethod
    def _with_level(usual: UsualFaces, record: list[Face], shown: Sequence[_Shown], at_s: float) -> list[Face]:
        """Return the faces with what lies above their usual ones; those too small to be read have none."""
        rows = [row for row, face in enumerate(record) if max(face.box[2:]) >= MIN_SIDE and face.track is not None]
        read = [row for row in rows if record[row].read]
        if read:
            usual.note([record[row].track or 0 for row in read], np.stack([shown[row].smoothed for row in read]), at_s)
        for row in rows:
            above = usual.above(record[row].track or 0, shown[row].smoothed)
            if above is not None:
                level = AboveUsual(*np.round(above, 4).clip(-1, 1).tolist())
                record[row] = msgspec.structs.replace(record[row], above_usual=level)
        return record

    def _span_of(self, frame: Frame) -> float | None:
        """Return the seconds that a frame stands for: since the one before it; photos stand for none."""
        before, self._before_s = self._before_s, frame.offset_s
        if frame.offset_s is None:
            return None
        if before is None:
            return UNTOLD_SPAN_S
        return round(min(max(frame.offset_s - before, 0.0), MAX_SPAN_S), 4)

    def _follow(self, faces: Faces, frame: Frame) -> tuple[list[int] | list[None], Faces, list[int]]:
        """Return the tracks of the faces, the faces, and which of them are due; photos stand alone and are all read."""
        if frame.offset_s is None:
            return [None] * len(faces), faces, list(range(len(faces)))
        if frame.shot != self._shot:
            self._shot = frame.shot
            self._tracker.restart()
        looked = np.ones(len(faces), bool) if faces.looked is None else faces.looked
        tracks = self._tracker.update(faces.boxes, frame.offset_s, looked)
        if not looked.all():
            faces = self._moved_on(tracks, faces, looked, frame.offset_s)
        for memory in (self._smoother, self._labels, self.schedule):
            memory.forget(self._tracker.alive)
        if self._usual:
            self._usual.forget(self._tracker.alive)
        self._shown = {track: shown for track, shown in self._shown.items() if track in self._tracker.alive}
        return tracks, faces, self.schedule.due(tracks, looked, frame.offset_s)

    def _moved_on(self, tracks: list[int], faces: Faces, looked: NDArray[np.bool_], at_s: float) -> Faces:
        """Return the faces, those that were not looked for where their tracks lead."""
        boxes, landmarks = faces.boxes.copy(), faces.landmarks.copy()
        for row in np.flatnonzero(~looked):
            boxes[row] = self._tracker.expected(tracks[row], at_s)
            landmarks[row] += boxes[row, :2] + boxes[row, 2:] / 2 - faces.boxes[row, :2] - faces.boxes[row, 2:] / 2
        return replace(faces, boxes=boxes, landmarks=landmarks)

    def _show(
        self, tracks: Sequence[int | None], due: list[int], readings: list[Reading], at_s: float | None
    ) -> list[_Shown]:
        """Return what is said of each face: of those that were read now it is smoothed, of the others carried on."""
        if at_s is None:
            return [_Shown(reading, reading.raw, int(reading.raw.argmax())) for reading in readings]
        read = [track for track in (tracks[row] for row in due) if track is not None]
        raw = np.stack([reading.raw for reading in readings]) if readings else np.empty((0, len(EMOTIONS)), np.float32)
        smoothed = self._smoother.smooth(read, raw, at_s)
        held = self._labels.hold(read, smoothed, at_s)
        for n, track in enumerate(read):
            before = self._shown[track].smoothed if track in self._shown else raw[n]
            difference = float(np.abs(raw[n] - before).sum() / 2)
            self.schedule.note(track, at_s, difference, is_contested=raw[n].argmax() != held[n])
            self._shown[track] = _Shown(readings[n], smoothed[n], int(held[n]))
        return [self._shown[track] for track in tracks if track is not None]


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
    records = []
    for faces, readings in zip(found, read_faces(classifier, list(zip(images, found, strict=True))), strict=True):
        shown = [_Shown(reading, reading.raw, int(reading.raw.argmax())) for reading in readings]
        records.append(_faces(classifier, [None] * len(faces), faces, shown, threshold, sets, range(len(faces))))
    return records


def read_faces(
    classifier: Classifier, pictures: Sequence[tuple[Image, Faces]], share: Share = nothing_shared
) -> list[list[Reading]]:
    """Return what the model says of the faces of each picture, read in one go.

    Args:
        classifier: Reads them.
        pictures: BGR, shape (h, w, 3), uint8, and the faces in each.
        share: Runs a function over parts of many faces at the same time, and returns their results in order.
    """
    if not any(len(faces) for _, faces in pictures):
        return [[] for _ in pictures]
    crops = np.concatenate([crop(image, faces.boxes, faces.landmarks) for image, faces in pictures])
    parts = share(classifier.read, crops)
    raw = np.concatenate([probabilities for probabilities, _ in parts])
    sharp = sharpness(crops) >= MIN_SHARPNESS
    looks: list[tuple[Pose | None, Openness | None]] = [(None, None)] * len(crops)
    geometries = [geometry for _, geometry in parts if geometry is not None]
    if geometries:
        turned = np.concatenate(
            [turns(faces.landmarks) for _, faces in pictures]
        )  # `crop` has taken that of their roll
        heads = np.concatenate([geometry.pose for geometry in geometries])
        heads[:, 2] += turned
        opened = np.concatenate([geometry.openness for geometry in geometries])
        looks = [(_pose(*head), _openness(*shares)) for head, shares in zip(heads, opened, strict=True)]
    readings = iter([Reading(raw[n], bool(sharp[n]), *looks[n]) for n in range(len(crops))])
    return [list(islice(readings, len(faces))) for _, faces in pictures]


def _part(faces: Faces, rows: list[int]) -> Faces:
    return Faces(faces.boxes[rows], faces.landmarks[rows], faces.confidences[rows])


def _pose(yaw: float, pitch: float, roll: float) -> Pose | None:
    if np.isnan((yaw, pitch, roll)).any():
        return None
    return Pose(*(round(float(angle), 1) for angle in (yaw, pitch, roll)))


def _openness(eyes: float, mouth: float) -> Openness | None:
    shares = [None if np.isnan(share) else round(float(share), 2) for share in (eyes, mouth)]
    return None if shares == [None, None] else Openness(*shares)


def _faces(
    classifier: Classifier,
    tracks: Sequence[int | None],
    faces: Faces,
    shown: Sequence[_Shown],
    threshold: float,
    level: float | None,
    read: Collection[int],
) -> list[Face]:
    """Return the record of each face, without an emotion where the model should not say."""
    sets: list[tuple[Emotion, ...] | None] = [None] * len(shown)
    if level is not None and shown:
        rows = classifier.plausible(np.stack([each.smoothed for each in shown]), level)
        sets = [tuple(emotion for emotion, is_in in zip(EMOTIONS, row, strict=True) if is_in) for row in rows]
    return [
        _face(track, faces, n, each, threshold, sets[n], is_read=n in read)
        for n, (track, each) in enumerate(zip(tracks, shown, strict=True))
    ]


def _face(
    track: int | None,
    faces: Faces,
    n: int,
    shown: _Shown,
    threshold: float,
    plausible: tuple[Emotion, ...] | None,
    *,
    is_read: bool,
) -> Face:
    x, y, width, height = (round(value) for value in faces.boxes[n].tolist())
    large = max(faces.boxes[n, 2:].tolist()) >= MIN_SIDE
    pose = shown.reading.pose
    faces_here = pose is None or pose.yaw is None or abs(pose.yaw) <= MOST_YAW
    clear = large and faces_here and shown.reading.sharp and shown.smoothed.max() >= threshold
    # Four decimals keep the record short; seven errors of 0.00005 leave the sum well within what is valid.
    shares = np.round(shown.smoothed.astype(np.float64), 4).clip(0, 1).tolist()
    told = max(width, height) >= MIN_SIDE
    return Face(
        track=track,
        box=(x, y, max(1, width), max(1, height)),
        confidence=round(float(faces.confidences[n]), 4),
        emotion=EMOTIONS[shown.best] if clear else None,
        probabilities=Probabilities(*shares),
        read=is_read,
        pose=shown.reading.pose if told else None,
        openness=shown.reading.openness if told else None,
        plausible=plausible,
    )
