"""Observations as rows of the tables, and back; times are whole microseconds since 1970, ids their 16 bytes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

import msgspec

from mien.observation import EMOTIONS, AboveUsual, Face, Observation, Openness, Pose, Probabilities

__all__ = [
    "EPOCH",
    "LATEST",
    "above",
    "cut",
    "face",
    "face_row",
    "frame_row",
    "looks",
    "observation",
    "plain",
    "present",
    "taken_at",
    "to_bytes",
    "to_microseconds",
    "to_time",
]

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
MICROSECOND = timedelta(microseconds=1)
LATEST = datetime(2200, 1, 1, tzinfo=timezone.utc)
LETTER_BYTES = 64 << 10
NO_POSE, NO_OPENNESS = Pose(), Openness()
ABOVE = {f"above_{emotion}": emotion for emotion in EMOTIONS}
"""The columns of what lies above the usual face."""


def to_microseconds(time: datetime) -> int:
    """Return a time as whole microseconds since 1970."""
    return (time - EPOCH) // MICROSECOND


def present() -> int:
    """Return the present, in microseconds since 1970."""
    return to_microseconds(datetime.now(timezone.utc))


def to_time(microseconds: int) -> datetime:
    """Return the time, UTC."""
    return EPOCH + timedelta(microseconds=microseconds)


def to_bytes(text: str) -> bytes:
    """Return the 16 bytes of an id."""
    return bytes.fromhex(text.replace("-", ""))


def plain(text: str) -> str:
    """Return the text without NUL, which PostgreSQL cannot hold."""
    return text.replace("\0", "\ufffd")


def cut(reason: str, payload: bytes) -> tuple[str, bytes]:
    """Return what is kept of a dead letter; of a long payload its beginning, and the reason says so."""
    if len(payload) > LETTER_BYTES:
        reason += f" (kept: the first {LETTER_BYTES:,} of {len(payload):,} bytes)"
    return reason, payload[:LETTER_BYTES]


def taken_at(observation: Observation) -> int:
    """Return when an observation was made, in microseconds since 1970.

    Raises:
        ValueError: It has no time, or one that no clock shows.
    """
    if observation.time is None:
        raise ValueError("it has no time, so it belongs to no minute")
    if not EPOCH <= observation.time < LATEST:
        raise ValueError(f"its time {observation.time.isoformat()} is not of the years 1970 to 2199")
    return to_microseconds(observation.time)


def frame_row(observation: Observation) -> dict[str, Any]:
    """Return the row of `frames`."""
    return {
        "id": to_bytes(observation.id),
        "time": taken_at(observation),
        "source": observation.source,
        "session": to_bytes(observation.session),
        "seq": observation.seq,
        "offset_s": observation.offset_s,
        "frame": observation.frame,
        "width": observation.width,
        "height": observation.height,
        "model": plain(observation.model),
        "elapsed_ms": observation.elapsed_ms,
        "span_s": observation.span_s,
    }


def face_row(frame: bytes, n: int, face: Face) -> dict[str, Any]:
    """Return the row of `faces` for the n-th face of a frame."""
    x, y, width, height = face.box
    row = {
        "frame": frame,
        "n": n,
        "track": face.track,
        "x": x,
        "y": y,
        "width": width,
        "height": height,
        "confidence": face.confidence,
        "emotion": face.emotion,
    }
    row.update(zip(EMOTIONS, msgspec.structs.astuple(face.probabilities), strict=True))
    pose, openness = face.pose or NO_POSE, face.openness or NO_OPENNESS
    row["read"] = face.read
    row |= {"yaw": pose.yaw, "pitch": pose.pitch, "roll": pose.roll, "eyes": openness.eyes, "mouth": openness.mouth}
    row |= {column: getattr(face.above_usual, emotion, None) for column, emotion in ABOVE.items()}
    return row


def face(row: Any) -> Face:
    """Return the face that a row of `faces` holds."""
    box = (row.x, row.y, row.width, row.height)
    shares = Probabilities(*(getattr(row, emotion) for emotion in EMOTIONS))
    told = (row.emotion, shares, bool(row.read), *looks(row))
    return Face(row.track, box, row.confidence, *told, None, above([getattr(row, column) for column in ABOVE]))


def above(values: Sequence[float | None]) -> AboveUsual | None:
    """Return what lies above the usual face, from its columns; None where one is empty."""
    known = [value for value in values if value is not None]
    return AboveUsual(*known) if len(known) == len(EMOTIONS) else None


def looks(row: Any) -> tuple[Pose | None, Openness | None]:
    """Return where the head is turned and how open eyes and mouth are, from a row's columns; None where all are."""
    pose, openness = Pose(row.yaw, row.pitch, row.roll), Openness(row.eyes, row.mouth)
    return None if pose == NO_POSE else pose, None if openness == NO_OPENNESS else openness


def observation(row: Any, faces: list[Face]) -> Observation:
    """Return the observation that a row of `frames` and its faces hold."""
    return Observation(
        id=_text(row.id),
        source=row.source,
        session=_text(row.session),
        seq=row.seq,
        time=to_time(row.time),
        offset_s=row.offset_s,
        frame=row.frame,
        width=row.width,
        height=row.height,
        model=row.model,
        elapsed_ms=row.elapsed_ms,
        faces=faces,
        span_s=row.span_s,
    )


def _text(value: bytes) -> str:
    digits = bytes(value).hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
