"""The one record that every part shares, and its JSON form.

An `Observation` is what one analysed frame showed, also when it showed no face. It is made in `vision`, travels as
JSON and ends in a store. Whatever comes from outside goes through `decode`, which accepts a valid observation and
nothing else.
"""

from __future__ import annotations

import os
import re
import time as clock
import unicodedata
from collections.abc import Iterator
from datetime import datetime, timezone, tzinfo
from typing import Annotated, Literal, TypeVar

import msgspec

__all__ = [
    "EMOTIONS",
    "MAX_PAYLOAD",
    "MAX_SPAN_S",
    "MODEL_NAME",
    "RECORD",
    "SOURCE_NAME",
    "UNTOLD_SPAN_S",
    "AboveUsual",
    "Emotion",
    "Face",
    "Observation",
    "Openness",
    "Pose",
    "Probabilities",
    "decode",
    "decode_json",
    "encode",
    "first_form",
    "is_source_name",
    "new_id",
    "now",
    "parse_time",
    "slug",
    "zone_name",
]

Emotion = Literal["angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"]

EMOTIONS: tuple[Emotion, ...] = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
"""The seven emotions, in the order that arrays, columns and files use everywhere."""

MAX_PAYLOAD = 1 << 20
"""The largest observation, in bytes of JSON, that is read from the wire: some 3,000 faces."""

RECORD = 2
"""The form of the record that this version writes; 1 had no `span_s`, and of a face no `read`, `pose`, `openness`,
`plausible`, `above_usual`."""

MAX_SPAN_S = 2.0
"""A frame stands for so many seconds at most, however long nothing was analysed before it."""

UNTOLD_SPAN_S = 0.1
"""A frame that does not say how long it stands for counts as so many seconds, also the first one of a session."""

MAX_REASON = 300
"""So many characters of the reason are given why a payload is no record."""

SOURCE_NAME = "[a-z0-9_-]{1,64}"
"""What a source may be called, as a regular expression without anchors."""

Source = Annotated[str, msgspec.Meta(pattern=rf"^{SOURCE_NAME}\Z")]
Id = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\\Z")]
Count = Annotated[int, msgspec.Meta(ge=0, lt=2**53)]
Side = Annotated[int, msgspec.Meta(ge=1, lt=2**20)]
Pixel = Annotated[int, msgspec.Meta(gt=-(2**20), lt=2**20)]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Seconds = Annotated[float, msgspec.Meta(ge=0, le=1e9)]
Span = Annotated[float, msgspec.Meta(ge=0, le=MAX_SPAN_S)]
Difference = Annotated[float, msgspec.Meta(ge=-1, le=1)]
Degrees = Annotated[float, msgspec.Meta(ge=-180, le=180)]
Utc = Annotated[datetime, msgspec.Meta(tz=True)]
MODEL_NAME = r"[A-Za-z0-9][A-Za-z0-9 ._+()-]{0,79}"
"""What a model may be called: nothing that a spreadsheet takes for a formula."""

Model = Annotated[str, msgspec.Meta(pattern=rf"\A{MODEL_NAME}@[0-9a-f]{{8}}\Z")]


Decoded = TypeVar("Decoded")


class Probabilities(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One probability per emotion, in EMOTIONS order; together about 1.

    >>> shares = Probabilities(0.02, 0.01, 0.02, 0.80, 0.05, 0.04, 0.06)
    >>> shares.happy, shares["happy"], shares.top
    (0.8, 0.8, 'happy')
    >>> [name for name, share in shares if share > 0.05]
    ['happy', 'neutral']
    """

    angry: Share
    disgust: Share
    fear: Share
    happy: Share
    sad: Share
    surprise: Share
    neutral: Share

    def __post_init__(self) -> None:
        total = sum(msgspec.structs.astuple(self))
        if not 0.98 <= total <= 1.02:
            raise ValueError(f"the probabilities add up to {total:.3f}, not 1")

    def __iter__(self) -> Iterator[tuple[Emotion, float]]:
        return zip(EMOTIONS, msgspec.structs.astuple(self), strict=True)

    def __len__(self) -> int:
        return len(EMOTIONS)

    def __getitem__(self, emotion: Emotion) -> float:
        if emotion not in EMOTIONS:
            raise KeyError(f"there is no emotion {emotion!r}: expected one of {', '.join(EMOTIONS)}")
        share: float = getattr(self, emotion)
        return share

    def as_dict(self) -> dict[Emotion, float]:
        """Return the probabilities by the emotion's name, in EMOTIONS order."""
        return dict(self)

    @property
    def top(self) -> Emotion:
        """The likeliest emotion, named or not."""
        return max(self, key=lambda pair: pair[1])[0]


class Pose(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Where a head is turned, in degrees; None where the model should not say.

    Attributes:
        yaw: To the side; positive: to the picture's right.
        pitch: Up and down; it grows as the chin comes down, and is about 9 for a head that is held upright.
        roll: Tilted; positive: clockwise in the picture.
    """

    yaw: Degrees | None = None
    pitch: Degrees | None = None
    roll: Degrees | None = None


class Openness(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How open eyes and mouth are, 0 to 1; None where the model should not say."""

    eyes: Share | None = None
    mouth: Share | None = None


class AboveUsual(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The probabilities less those of the track's usual face (baseline-corrected), in EMOTIONS order; -1 to 1 each."""

    angry: Difference
    disgust: Difference
    fear: Difference
    happy: Difference
    sad: Difference
    surprise: Difference
    neutral: Difference


class Face(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One face in a frame.

    >>> shares = Probabilities(0.02, 0.01, 0.02, 0.80, 0.05, 0.04, 0.06)
    >>> face = Face(track=None, box=(40, 30, 96, 120), confidence=0.98, emotion="happy", probabilities=shares)
    >>> face.emotion, face.box[2]
    ('happy', 96)

    Attributes:
        track: A number that lives as long as one person's stay in a session; None in single photos.
        box: x, y, width, height in pixels of the frame.
        confidence: The detector's, 0 to 1.
        emotion: The emotion that leads, or None where the model should not say. On a track another is named
            once it leads by 0.3, or has led for a while (by 0.25 for 0.2 s, by 0.1 for half a second); in a photo it is
            the likeliest.
        probabilities: Calibrated and smoothed per track.
        read: Whether the emotion was read in this frame; False: it was carried on from the frame before, and is no new
            evidence.
        pose: Where the head is turned; None where the model has no such head.
        openness: How open eyes and mouth are; None where the model has no such head.
        plausible: The emotions that are plausible, in EMOTIONS order, where sets were asked for. They stand in files
            and answers; stores don't keep them.
        above_usual: What lies above the track's usual face, that of its first seconds; None where that was not asked
            for, or is not known yet.
    """

    track: Count | None
    box: tuple[Pixel, Pixel, Side, Side]
    confidence: Share
    emotion: Emotion | None
    probabilities: Probabilities
    read: bool = True
    pose: Pose | None = None
    openness: Openness | None = None
    plausible: tuple[Emotion, ...] | None = None
    above_usual: AboveUsual | None = None


class Observation(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What one analysed frame showed.

    >>> shares = Probabilities(0.02, 0.01, 0.02, 0.80, 0.05, 0.04, 0.06)
    >>> face = Face(track=1, box=(40, 30, 96, 120), confidence=0.98, emotion="happy", probabilities=shares)
    >>> observation = Observation(
    ...     id=new_id(), source="lobby", session=new_id(), seq=0, time=now(), offset_s=0.0, frame=0,
    ...     width=640, height=360, model="fer2013@00000000", elapsed_ms=2.5, faces=[face],
    ... )
    >>> decode(encode(observation)) == observation
    True

    Attributes:
        id: A UUIDv7, unique: the key by which stores recognise what they already have.
        source: The camera's, file's or stream's name: 1 to 64 of `a-z 0-9 _ -`.
        session: A UUIDv7: one run over one source.
        seq: 0, 1, 2 … within the session, without gaps.
        time: UTC, to the microsecond; None for a photo that does not tell.
        offset_s: Position in the medium in seconds; None for photos.
        frame: The frame's number in the medium, counted from 0.
        width: Of the frame, in pixels.
        height: Of the frame, in pixels.
        model: The model's name @ the first 8 hex digits of its file's sha256.
        elapsed_ms: From the decoded frame to this record, in milliseconds.
        faces: The faces found; empty when there was none.
        span_s: The seconds that the frame stands for: since the source's frame before it that was analysed, at most
            MAX_SPAN_S. None: not told, as by earlier versions; it counts as UNTOLD_SPAN_S then.
    """

    id: Id
    source: Source
    session: Id
    seq: Count
    time: Utc | None
    offset_s: Seconds | None
    frame: Count
    width: Side
    height: Side
    model: Model
    elapsed_ms: Annotated[float, msgspec.Meta(ge=0, le=1e9)]
    faces: Annotated[list[Face], msgspec.Meta(max_length=5000)]
    span_s: Span | None = None


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Observation)


def encode(record: Observation) -> bytes:
    """Return the record as one line of JSON."""
    return _encoder.encode(record)


def decode(payload: bytes) -> Observation:
    """Return the record that the JSON holds.

    Args:
        payload: As it came from the wire or a file.

    Raises:
        ValueError: The payload is too large, is no JSON, or is not a valid record; the message says where.
    """
    return decode_json(payload, _decoder, MAX_PAYLOAD)


def decode_json(payload: bytes, decoder: msgspec.json.Decoder[Decoded], most: int) -> Decoded:
    """Return what a decoder makes of JSON that came from outside.

    Args:
        payload: As it came.
        decoder: Knows what it should be.
        most: The largest payload that is read, in bytes.

    Raises:
        ValueError: The payload is too large, no JSON, or not what it should be; the reason is one printable line.
    """
    if len(payload) > most:
        raise ValueError(f"{len(payload):,} bytes are more than the {most:,} allowed")
    try:
        return decoder.decode(payload)
    except RecursionError as error:
        raise ValueError("the JSON is nested too deeply") from error
    except ValueError as error:
        reason = str(error)
        if len(reason) <= MAX_REASON and reason.isprintable():
            raise
        short = reason if len(reason) <= MAX_REASON else f"{reason[:MAX_REASON]}…"  # it quotes names that came
        raise ValueError("".join(letter if letter.isprintable() else "?" for letter in short)) from error


def first_form(payload: bytes) -> bytes:
    """Return an observation as forwarders of the first release read it: without what was added since."""
    observation = decode(payload)
    faces = [
        msgspec.structs.replace(face, read=True, pose=None, openness=None, plausible=None, above_usual=None)
        if _is_of_now(face)
        else face
        for face in observation.faces
    ]
    return encode(msgspec.structs.replace(observation, faces=faces, span_s=None))


def new_id() -> str:
    """Return a new UUIDv7 (RFC 9562): ids made later sort later, to the millisecond."""
    value = clock.time_ns() // 1_000_000 << 80 | int.from_bytes(os.urandom(10), "big")
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    digits = f"{value:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def now() -> datetime:
    """Return the present time in UTC."""
    return datetime.now(timezone.utc)


def parse_time(text: str, zone: tzinfo | None = None) -> datetime:
    """Return the time, in UTC, that a text means.

    Args:
        text: As in ISO 8601, such as 2026-11-22, 2026-11-22T09:00 or 2026-11-22T09:00:00Z.
        zone: Where it holds if it names no zone; None: where this machine is.

    Raises:
        ValueError: It is no time.
    """
    try:
        time = datetime.fromisoformat(re.sub("[zZ]$", "+00:00", text))
        if time.tzinfo is None and zone is not None:
            time = time.replace(tzinfo=zone)
        return time.astimezone(timezone.utc)
    except OverflowError as error:
        raise ValueError(f"'{text}' is out of range") from error


def zone_name(zone: tzinfo | None, at: datetime) -> str:
    """Return what a zone is called: as the list of zones has it, or as this machine calls its own at a time."""
    key = getattr(zone, "key", None)
    if key or zone is timezone.utc:
        return str(key or "UTC")
    return at.astimezone(zone).tzname() or "this machine's"


def is_source_name(name: str) -> bool:
    """Return whether a source may be called so."""
    return re.fullmatch(SOURCE_NAME, name) is not None


def slug(name: str) -> str:
    """Return the name as a source may be called: 1 to 64 of `a-z 0-9 _ -`."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9_-]+", "-", plain).strip("-")[:64] or "source"


def _is_of_now(face: Face) -> bool:
    added = (face.pose, face.openness, face.plausible, face.above_usual)
    return not face.read or any(value is not None for value in added)
