"""The one record that every part shares, its JSON form and the topics it travels on.

An `Observation` is what one analysed frame showed, also when it showed no face. It is made in `vision`, travels as
JSON and ends in a store. Whatever comes from outside goes through `decode`, which accepts a valid observation and
nothing else.
"""

from __future__ import annotations

import os
import re
import time as clock
import unicodedata
from datetime import datetime, timezone
from typing import Annotated, Any, Literal, TypeVar, overload

import msgspec

__all__ = [
    "EMOTIONS",
    "MAX_PAYLOAD",
    "MODEL_NAME",
    "Emotion",
    "Face",
    "Observation",
    "Probabilities",
    "Stored",
    "TopicKind",
    "decode",
    "encode",
    "new_id",
    "now",
    "slug",
    "topic",
]

Emotion = Literal["angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"]
TopicKind = Literal["observations", "stored", "available", "stats", "set", "state", "preview"]

EMOTIONS: tuple[Emotion, ...] = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
"""The seven emotions, in the order that arrays, columns and files use everywhere."""

MAX_PAYLOAD = 1 << 20
"""The largest observation, in bytes of JSON, that is read from the wire: some 3,000 faces."""

MAX_REASON = 300
"""So many characters of the reason are given why a payload is no record."""

Source = Annotated[str, msgspec.Meta(pattern="^[a-z0-9_-]{1,64}\\Z")]
Id = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\\Z")]
Count = Annotated[int, msgspec.Meta(ge=0, lt=2**53)]
Side = Annotated[int, msgspec.Meta(ge=1, lt=2**20)]
Pixel = Annotated[int, msgspec.Meta(gt=-(2**20), lt=2**20)]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Seconds = Annotated[float, msgspec.Meta(ge=0, le=1e9)]
Utc = Annotated[datetime, msgspec.Meta(tz=True)]
MODEL_NAME = r"[A-Za-z0-9][A-Za-z0-9 ._+()-]{0,79}"
"""What a model may be called: nothing that a spreadsheet takes for a formula."""

Model = Annotated[str, msgspec.Meta(pattern=rf"\A{MODEL_NAME}@[0-9a-f]{{8}}\Z")]


class Probabilities(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One probability per emotion, in EMOTIONS order; together about 1."""

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


class Face(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One face in a frame.

    Attributes:
        track: A number that lives as long as one person's stay in a session; None in single photos.
        box: x, y, width, height in pixels of the frame.
        confidence: The detector's, 0 to 1.
        emotion: The emotion that leads, or None where the model should not say. On a track another is named
            once it leads by 0.3, or has led for a while (by 0.25 for 0.2 s, by 0.1 for half a second); in a photo it is
            the likeliest.
        probabilities: Calibrated and smoothed per track.
    """

    track: Count | None
    box: tuple[Pixel, Pixel, Side, Side]
    confidence: Share
    emotion: Emotion | None
    probabilities: Probabilities


class Observation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one analysed frame showed.

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


class Stored(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The forwarder's word that it has committed, or set aside, these observations of a session.

    Attributes:
        session: The session they belong to.
        ranges: First and last `seq` of each run, both included.
    """

    session: Id
    ranges: Annotated[list[tuple[Count, Count]], msgspec.Meta(max_length=10_000)]


Record = TypeVar("Record", Observation, Stored)

_encoder = msgspec.json.Encoder()
_decoders: dict[type, msgspec.json.Decoder[Any]] = {
    Observation: msgspec.json.Decoder(Observation),
    Stored: msgspec.json.Decoder(Stored),
}


def encode(record: Observation | Stored) -> bytes:
    """Return the record as one line of JSON."""
    return _encoder.encode(record)


@overload
def decode(payload: bytes) -> Observation: ...


@overload
def decode(payload: bytes, kind: type[Record]) -> Record: ...


def decode(payload: bytes, kind: type[Any] = Observation) -> Any:
    """Return the record that the JSON holds.

    Args:
        payload: As it came from the wire or a file.
        kind: `Observation` or `Stored`.

    Raises:
        ValueError: The payload is too large, is no JSON, or is not a valid record; the message says where.
    """
    if len(payload) > MAX_PAYLOAD:
        raise ValueError(f"{len(payload):,} bytes are more than the {MAX_PAYLOAD:,} allowed")
    try:
        return _decoders[kind].decode(payload)
    except RecursionError as error:
        raise ValueError("the JSON is nested too deeply") from error
    except ValueError as error:
        if len(reason := str(error)) <= MAX_REASON:
            raise
        raise ValueError(f"{reason[:MAX_REASON]}…") from error  # it quotes names that came, of any length


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


def slug(name: str) -> str:
    """Return the name as a source may be called: 1 to 64 of `a-z 0-9 _ -`."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9_-]+", "-", plain).strip("-")[:64] or "source"


def topic(prefix: str, source: str, kind: TopicKind) -> str:
    """Return the MQTT topic for one kind of message of a source; `+` as the source stands for all of them."""
    return f"{prefix}/{source}/{kind}"
