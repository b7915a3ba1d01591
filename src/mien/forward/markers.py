"""Markers that come by MQTT: a message and its topic go in, a marker for the store comes out, or a reason why not.

Off unless `forward.markers` allows it: whoever may publish there writes into the store. So each message is checked,
and each source has a bounded rate, which a stimulus player never reaches and a flood does at once.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable
from datetime import datetime, timedelta

from mien.mqtt.messages import NewMarker, decode_message
from mien.observation import is_source_name, new_id
from mien.stores.base import Marker
from mien.stores.rows import EPOCH, LATEST

__all__ = ["BURST", "PER_S", "MarkerReader"]

log = logging.getLogger(__name__)

PER_S, BURST = 5.0, 100.0
"""Each source may have so many markers a second, and so many at once after a pause."""

MAX_SOURCES = 1000
"""So many sources have a rate of their own; those beyond share one."""

SAY_EVERY_S = 60.0
AHEAD = timedelta(days=1)
CREATED_BY = "mqtt"


class MarkerReader:
    """Reads messages on the topic `marker`, and counts what it lets in and what not.

    Args:
        present: Returns the time, UTC, which a marker without one gets.
        tick: Returns seconds that only grow.

    Attributes:
        taken: So many were markers.
        refused: So many were none, or too many.
    """

    def __init__(self, present: Callable[[], datetime], tick: Callable[[], float] = time.monotonic) -> None:
        self.taken = self.refused = 0
        self._present, self._tick = present, tick
        self._left: dict[str, tuple[float, float]] = {}
        self._say_at, self._unsaid = 0.0, 0

    def read(self, source: str, payload: bytes, *, retained: bool) -> Marker | None:
        """Return the marker that a message holds, or None, which the log explains once a minute.

        Args:
            source: As the topic names it.
            payload: As it came.
            retained: Whether the broker had kept it: such a one would come again at each start.
        """
        try:
            marker = self._marker(source, payload, retained)
        except ValueError as error:
            self._refuse(source, str(error))
            return None
        self.taken += 1
        return marker

    def _marker(self, source: str, payload: bytes, retained: bool) -> Marker:
        if not is_source_name(source):
            raise ValueError("the topic names no source")
        if retained:
            raise ValueError("it was retained, and would come again at each start: publish it without")
        if not self._may(source):
            raise ValueError(f"more than {PER_S:g} a second came, after {BURST:g} at once")
        asked = decode_message(payload, NewMarker)
        at, key = asked.time or self._present(), asked.id
        if not EPOCH <= at < min(LATEST, self._present() + AHEAD):
            raise ValueError(f"its time {at.isoformat()} is before 1970, or over a day from now")
        if key is None:
            key = new_id() if asked.time is None else _key(source, at, asked.label)
        return Marker(key, at, asked.label, None if asked.everywhere else source, CREATED_BY)

    def _may(self, source: str) -> bool:
        if source not in self._left and len(self._left) >= MAX_SOURCES:
            source = ""
        now = self._tick()
        left, since = self._left.get(source, (BURST, now))
        left = min(BURST, left + PER_S * (now - since))
        self._left[source] = max(0.0, left - 1) if left >= 1 else left, now
        return left >= 1

    def _refuse(self, source: str, reason: str) -> None:
        self.refused += 1
        self._unsaid += 1
        if self._tick() >= self._say_at:
            shown = source if is_source_name(source) else "?"
            log.warning(
                "%d messages were no markers that can be kept; the newest, of '%s': %s", self._unsaid, shown, reason
            )
            self._say_at, self._unsaid = self._tick() + SAY_EVERY_S, 0


def _key(source: str, at: datetime, label: str) -> str:
    """Return an id that is the same for the same marker, so that one that comes twice is kept once."""
    digits = hashlib.sha256(f"{source}\n{at.timestamp():.6f}\n{label}".encode()).hexdigest()
    return f"{digits[:8]}-{digits[8:12]}-8{digits[13:16]}-8{digits[17:20]}-{digits[20:32]}"
