"""Name a moment by MQTT: label and time go out on a source's topic `marker`, and the forwarder keeps them."""

from __future__ import annotations

from datetime import datetime, timezone

from mien.mqtt.connection import Connection
from mien.mqtt.messages import NewMarker, encode_message, topic
from mien.observation import new_id

__all__ = ["publish_marker"]


def publish_marker(
    connection: Connection,
    prefix: str,
    source: str,
    label: str,
    *,
    time: datetime | None = None,
    everywhere: bool = False,
) -> str:
    """Publish a marker with QoS 1, and return its id; a forwarder with `forward.markers` keeps it, once.

    Args:
        connection: To the broker.
        prefix: What topics begin with (`broker.prefix`).
        source: On whose topic, and which it is about.
        label: What the moment is called, 1 to 200 characters, in one line.
        time: The moment, with a time zone; None: now.
        everywhere: It is about all sources.

    Raises:
        ValueError: The label is empty, too long, or of several lines, or the time has no time zone.
    """
    at = datetime.now(timezone.utc) if time is None else time
    if not (0 < len(label) <= 200 and label.isprintable()):
        raise ValueError(f"a marker's label has 1 to 200 printable characters, in one line; it is {label[:200]!r}")
    if at.tzinfo is None:
        raise ValueError(f"a marker's time needs a time zone; it is {at.isoformat()}")
    marker = NewMarker(label, time=at.astimezone(timezone.utc), everywhere=everywhere, id=new_id())
    connection.publish(topic(prefix, source, "marker"), encode_message(marker))
    return marker.id or ""
