"""What Home Assistant needs to find a source by itself: a source goes in, retained messages that describe it come out.

Four entities of one device: dominant emotion, faces, happiness and whether the source is online. They read the topics
that the source publishes anyway.
"""

from __future__ import annotations

import json
from typing import Any

from mien.mqtt.messages import OFFLINE, ONLINE, topic
from mien.observation import EMOTIONS
from mien.version import __version__

__all__ = ["discovery"]


def discovery(discovery_prefix: str, prefix: str, source: str) -> list[tuple[str, bytes]]:
    """Return topic and payload of each message that announces a source; they are to be retained.

    Args:
        discovery_prefix: Home Assistant's, `homeassistant` unless it was changed there.
        prefix: What Mien's topics begin with.
        source: The source's name.
    """
    node = f"{prefix.replace('/', '-')}_{source}"
    device = {"identifiers": [node], "name": f"Mien {source}", "manufacturer": "Mien", "sw_version": __version__}
    stats = {
        "state_topic": topic(prefix, source, "stats"),
        "availability_topic": topic(prefix, source, "available"),
        "device": device,
    }
    happiness = {"unit_of_measurement": "%", "state_class": "measurement", "icon": "mdi:emoticon-happy-outline"}
    online = {
        "state_topic": topic(prefix, source, "available"),
        "payload_on": ONLINE.decode(),
        "payload_off": OFFLINE.decode(),
        "device_class": "connectivity",
        "entity_category": "diagnostic",
        "device": device,
    }
    entities: list[tuple[str, str, str, dict[str, Any]]] = [
        ("sensor", "emotion", "Dominant emotion", {**stats, "device_class": "enum", "options": list(EMOTIONS)}),
        ("sensor", "faces", "Faces", {**stats, "state_class": "measurement", "icon": "mdi:face-recognition"}),
        ("sensor", "happiness", "Happiness", {**stats, **happiness}),
        ("binary_sensor", "online", "Online", online),
    ]
    messages = []
    for kind, key, name, described in entities:
        entity = {"name": name, "unique_id": f"{node}_{key}", **described}
        if kind == "sensor":
            entity["value_template"] = f"{{{{ value_json.{key} }}}}"  # null is shown as unknown
        messages.append((f"{discovery_prefix}/{kind}/{node}/{key}/config", json.dumps(entity).encode()))
    return messages
