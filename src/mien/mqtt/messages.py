"""Every message that travels by MQTT beside the observations, and the topics of all: payloads go in, structs come out.

Each message is defined here once, for its writer and all its readers. What comes from the wire is hostile until it is
decoded: sizes and values are bounded, and what is wrong is refused in one printable line. Fields that a newer version
adds are ignored, but for a request: one that is not understood in every part must change nothing.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, NamedTuple, TypeVar

import msgspec

from mien.observation import MAX_PAYLOAD, Count, Id, Model, Utc, decode_json

__all__ = [
    "MAX_MESSAGE",
    "MAX_PREVIEW",
    "OFFLINE",
    "ONLINE",
    "PREVIEW_SIZE",
    "Accepts",
    "Delay",
    "NewMarker",
    "OutboxCounts",
    "PreviewKind",
    "RemoteState",
    "SetRequest",
    "Stats",
    "Stored",
    "TopicKind",
    "TopicParts",
    "captioned",
    "checked_preview",
    "decode_available",
    "decode_message",
    "encode_message",
    "observation_shown",
    "split_topic",
    "topic",
]

TopicKind = Literal["observations", "stored", "accepts", "available", "stats", "set", "state", "preview", "marker"]

ONLINE, OFFLINE = b"online", b"offline"
"""What a source's `available` topic says; the last will says the second."""

PREVIEW_SIZE = 320, 480
"""The largest width and height of a preview, in pixels."""

MAX_PREVIEW = 1 << 16
"""The largest preview, in bytes."""

MAX_ERROR = 600
"""The longest reason why a request was refused, in characters."""

JPEG_BASELINE = 0xC0
JPEG_TABLES = {0xC4, 0xDB, 0xDD, 0xFE, *range(0xE0, 0xF0)}
"""What may stand before the size in a baseline JPEG: tables, restarts, comments, applications' own."""

CAPTION = re.compile(rb"\xff\xd8\xff\xfe\x00\x2bmien:([0-9a-f-]{36})")
"""The comment at the beginning of a preview: which observation tells what the picture shows."""

Version = Annotated[str, msgspec.Meta(pattern=r"^[0-9A-Za-z.+!-]{1,40}\Z")]
Word = Annotated[str, msgspec.Meta(pattern=r"^[a-z]{1,20}\Z")]
Key = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_-]{1,64}\Z")]
Rate = Annotated[float, msgspec.Meta(ge=0, lt=100_000)]
Duration = Annotated[float, msgspec.Meta(ge=0, lt=1e10)]
Milliseconds = Annotated[float, msgspec.Meta(gt=-1e13, lt=1e13)]
Celsius = Annotated[float, msgspec.Meta(gt=-300, lt=10_000)]
Percentage = Annotated[float, msgspec.Meta(ge=0, le=100)]
Threshold = Annotated[float, msgspec.Meta(ge=0, le=1)]
Fps = Annotated[float, msgspec.Meta(gt=0, le=240)]
PreviewKind = Literal["off", "blurred", "plain"]
Label = Annotated[str, msgspec.Meta(pattern=r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]{1,200}\Z")]


class Delay(msgspec.Struct, frozen=True):
    """From the frame to the broker's acknowledgement, in milliseconds; below 0 where a clock was set back."""

    p50: Milliseconds | None = None
    p99: Milliseconds | None = None


class OutboxCounts(msgspec.Struct, frozen=True):
    """What waits on a source's disk for its confirmation, and what was lost from there, in observations.

    Attributes:
        depth: Those that wait.
        dropped: Those that were dropped and counted since the outbox was made.
        damaged: How many of these could not be read any more, in this run.
    """

    depth: Count | None = None
    dropped: Count | None = None
    damaged: Count | None = None


class Stats(msgspec.Struct, frozen=True):
    """How a source is doing, in its own words, each `watch.stats_every_s`; what it leaves out is None.

    Attributes:
        fps: Frames analysed a second.
        state: `ok`, `frozen`, `away` or `paused`; newer versions may know more.
        dropped: Frames that the source gave and nobody looked at.
        delay_ms: From the frame to the broker.
        faces: In the newest frame.
        emotion: The one that was strongest on average in all faces since the message before.
        happiness: 100 x the mean probability of happy in them.
        outbox: What waits there.
        preview: `off`, `blurred` or `plain`.
        uptime_s: For how long the source has been watched, in seconds.
        model: The emotion model that it uses.
        version: Of Mien.
        temperature_c: The machine's hottest sensor, in degrees Celsius.
        time: When all this was measured, UTC.
        clock: `ok`, `unsynchronised` where nothing keeps the machine's clock right, or `stepped back` where it was set
            back within the last hour.
        read_every_s: After how many seconds a face is read again, where that is longer than it should be, as frames
            come faster than they are worked through.
        demo: Whether it is the clip that comes with Mien, whose pictures show nobody else.
    """

    fps: Rate | None = None
    state: Word | None = None
    dropped: Count | None = None
    delay_ms: Delay | None = None
    faces: Count | None = None
    emotion: Word | None = None
    happiness: Percentage | None = None
    outbox: OutboxCounts | None = None
    preview: Word | None = None
    uptime_s: Duration | None = None
    model: Model | None = None
    version: Version | None = None
    temperature_c: Celsius | None = None
    time: Utc | None = None
    clock: Annotated[str, msgspec.Meta(pattern=r"^[a-z ]{1,20}\Z")] | None = None
    read_every_s: Duration | None = None
    demo: bool | None = None


class Stored(msgspec.Struct, frozen=True):
    """The forwarder's word that it has committed, or set aside, these observations of a session.

    Attributes:
        session: The session they belong to.
        ranges: First and last `seq` of each run, both included; none at all: the forwarder greets the source.
    """

    session: Id
    ranges: Annotated[list[tuple[Count, Count]], msgspec.Meta(max_length=10_000)]


class Accepts(msgspec.Struct, frozen=True):
    """The forwarder's word, retained, on what it reads; an edge sends the first form until it has heard it.

    Attributes:
        record: The newest form of the record that it reads, see `observation.RECORD`.
    """

    record: Count


class SetRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What somebody wants to be set at a source; what is left out stays as it is.

    Attributes:
        threshold: No emotion is named below this probability; None: as the settings or the model say.
        fps: At most so many frames a second; None: as the settings say.
        pause: Look at no frame.
        preview: Send pictures for an hour; off or None: no longer than the settings say.
        id: The answer bears it too.
    """

    threshold: Threshold | msgspec.UnsetType | None = msgspec.UNSET
    fps: Fps | msgspec.UnsetType | None = msgspec.UNSET
    pause: bool | msgspec.UnsetType = msgspec.UNSET
    preview: PreviewKind | msgspec.UnsetType | None = msgspec.UNSET
    id: Key | None = None


class NewMarker(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A moment that somebody names, for the store: a joke of the show, the beginning of a stimulus.

    Attributes:
        label: What it is called, 1 to 200 characters, in one line.
        time: The moment, with its time zone; None: when the forwarder has it.
        everywhere: It is about all sources, and not only about that of its topic.
        id: An id like an observation's; one that comes twice is kept once. None: one is made of source, time and label.
    """

    label: Label
    time: Utc | None = None
    everywhere: bool = False
    id: Id | None = None


class RemoteState(msgspec.Struct, frozen=True):
    """What is set at a source, and how the newest request fared.

    Attributes:
        remote: Whether it takes requests at all.
        threshold: No emotion is named below this probability; None: the model's own threshold.
        fps: At most so many frames a second; None: all.
        pause: Whether it looks at no frame.
        id: The newest request's.
        error: Why that was refused, in one line; None: it was not.
        preview: What pictures it sends: `off`, `blurred` or `plain`; newer versions may know more.
        remote_preview: The most that may be asked for.
        preview_until: When pictures that were asked for end, UTC; None: none were.
    """

    remote: bool
    threshold: Threshold | None
    fps: Rate | None
    pause: bool
    id: Key | None = None
    error: Annotated[str, msgspec.Meta(max_length=MAX_ERROR)] | None = None
    preview: Word = "off"
    remote_preview: Word = "off"
    preview_until: Utc | None = None


Message = TypeVar("Message", Stats, Stored, Accepts, SetRequest, RemoteState, NewMarker)

MAX_MESSAGE: dict[type, int] = {
    Stats: 16_384,
    Stored: MAX_PAYLOAD,
    Accepts: 4096,
    SetRequest: 4096,
    RemoteState: 4096,
    NewMarker: 4096,
}
"""The largest message of each kind that is read, in bytes."""

_encoder = msgspec.json.Encoder()
_decoders: dict[type, msgspec.json.Decoder[Any]] = {kind: msgspec.json.Decoder(kind) for kind in MAX_MESSAGE}


def encode_message(message: Stats | Stored | Accepts | SetRequest | RemoteState | NewMarker) -> bytes:
    """Return the message as one line of JSON."""
    return _encoder.encode(message)


def decode_message(payload: bytes, kind: type[Message]) -> Message:
    """Return the message that a payload holds.

    Args:
        payload: As it came from the wire.
        kind: What it should be.

    Raises:
        ValueError: It is too large, no JSON, or no such message; the reason is one printable line.
    """
    message: Message = decode_json(payload, _decoders[kind], MAX_MESSAGE[kind])
    return message


def decode_available(payload: bytes) -> bool:
    """Return whether an `available` message says that its source is online.

    Raises:
        ValueError: It says neither that nor the opposite.
    """
    if payload not in (ONLINE, OFFLINE):
        raise ValueError("neither online nor offline")
    return payload == ONLINE


def checked_preview(payload: bytes) -> bytes:
    """Return a preview if it is one: a baseline JPEG of no more than PREVIEW_SIZE and MAX_PREVIEW.

    Raises:
        ValueError: It is none.
    """
    if len(payload) > MAX_PREVIEW or not payload.startswith(b"\xff\xd8\xff"):
        raise ValueError("a preview that is no JPEG, or too large a one")
    at = 2
    while at + 9 <= len(payload) and payload[at] == 0xFF and payload[at + 1] in {*JPEG_TABLES, JPEG_BASELINE}:
        if payload[at + 1] == JPEG_BASELINE:
            height, width = (int.from_bytes(payload[at + n : at + n + 2], "big") for n in (5, 7))
            if 0 < width <= PREVIEW_SIZE[0] and 0 < height <= PREVIEW_SIZE[1]:
                return payload
            break
        at += 2 + int.from_bytes(payload[at + 2 : at + 4], "big")
    raise ValueError("a preview whose size cannot be read, or is too large")


def captioned(jpeg: bytes, observation: str) -> bytes:
    """Return a JPEG with a comment that names the observation of its frame, by its id."""
    words = b"mien:" + observation.encode("ascii")
    return jpeg[:2] + b"\xff\xfe" + (len(words) + 2).to_bytes(2, "big") + words + jpeg[2:]


def observation_shown(preview: bytes) -> str | None:
    """Return the id of the observation that a preview names; None: it names none."""
    named = CAPTION.match(preview)
    return named[1].decode("ascii") if named else None


class TopicParts(NamedTuple):
    """The source that a topic belongs to and the kind of its messages, both as they came."""

    source: str
    kind: str


def topic(prefix: str, source: str, kind: TopicKind) -> str:
    """Return the MQTT topic for one kind of message of a source; `+` as the source stands for all of them."""
    return f"{prefix}/{source}/{kind}"


def split_topic(prefix: str, name: str) -> TopicParts:
    """Return what a topic under the prefix says of its messages; whether that is a source's name is not checked."""
    source, _, kind = name.removeprefix(f"{prefix}/").rpartition("/")
    return TopicParts(source, kind)
