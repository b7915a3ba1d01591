"""What was set aside of each topic last, so that what the broker has retained is set aside once, not at each start.

A broker sends what it has retained to whoever subscribes. An observation is known by its id then, but what is none has
no id: its topic and a digest of it are remembered in the forwarder's state folder instead.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable
from pathlib import Path

import msgspec

from mien.errors import MienError
from mien.system.files import write_private

__all__ = ["FILE", "SetAside"]

log = logging.getLogger(__name__)

FILE = "forward-set-aside.json"
MAX_TOPICS = 10_000
"""So many topics are remembered, those of the newest dead letters."""


class SetAside:
    """The dead letters that each topic gave last: a broker retains one message of each topic.

    Args:
        path: Where they are remembered across restarts.
        store: Which store they were set aside in; another one has not had them.
    """

    def __init__(self, path: Path, store: str) -> None:
        self._path, self._store = path, store
        self._digests = self._read()
        self._changed = False

    def has(self, topic: str, payload: bytes) -> bool:
        """Say whether this is what was set aside of the topic last."""
        return self._digests.get(topic) == self._digest(payload)

    def add(self, letters: Iterable[tuple[str, str, bytes]]) -> None:
        """Remember letters (topic, reason, payload) that the store has by now."""
        for topic, _, payload in letters:
            self._digests.pop(topic, None)
            self._digests[topic] = self._digest(payload)
            self._changed = True
        while len(self._digests) > MAX_TOPICS:
            del self._digests[next(iter(self._digests))]

    def note(self) -> None:
        """Write down what is new; where that fails, the log says so, and they are set aside again after a restart."""
        if not self._changed:
            return
        try:
            write_private(self._path, msgspec.json.encode(self._digests))
            self._changed = False
        except MienError as error:
            log.warning("%s", error)

    def _digest(self, payload: bytes) -> str:
        return hashlib.blake2b(payload, digest_size=16, key=hashlib.sha256(self._store.encode()).digest()).hexdigest()

    def _read(self) -> dict[str, str]:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=dict[str, str])
        except (OSError, ValueError):
            return {}
