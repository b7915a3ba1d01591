"""The messages that wait for their commit: they come from a connection's thread and go to the forwarder's, in batches.

Bounded in number and bytes: when it is full, nothing more is read from the connection, and the broker waits.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import Any, NamedTuple

from mien.mqtt.sessions import Sessions

__all__ = ["IN_FLIGHT", "Inbox", "Message"]

IN_FLIGHT = 5000
"""So many messages may wait."""

INBOX_BYTES = 64 << 20
IDLE_S = 0.02
"""A batch is closed when nothing has come for so long, in seconds."""


class Message(NamedTuple):
    """A message that waits, and the connection on which alone it can be acknowledged."""

    connection: Sessions
    number: int
    topic: str
    payload: bytes
    retained: bool


class Inbox:
    """Messages on their way from a connection's thread to the forwarder's; bounded in number and bytes."""

    def __init__(self) -> None:
        self._waiting: deque[Message] = deque()
        self._bytes = 0
        self._wanted = 1
        self._numbers: set[int] = set()
        self._connection: Sessions | None = None
        self._changed = threading.Condition()

    @property
    def depth(self) -> int:
        """How many messages wait."""
        return len(self._waiting)

    def open_to(self, connection: Sessions | None) -> None:
        """Take messages of this connection alone."""
        with self._changed:
            self._connection = connection
            self._numbers.clear()
            self._changed.notify_all()

    def wake(self) -> None:
        """Let `take` look whether the connection is still there."""
        with self._changed:
            self._changed.notify_all()

    def put(self, connection: Sessions, message: Any) -> None:
        """Take a message in; wait while the inbox is full, so that the broker's side fills up instead."""
        with self._changed:
            if self._is_full():
                self._changed.wait_for(lambda: not self._is_full() or self._connection is not connection)
            if self._connection is not connection or message.mid in self._numbers:
                return  # of a connection that is gone, or sent once more while it waits here
            if message.qos:
                self._numbers.add(message.mid)
            number = message.mid if message.qos else 0
            self._waiting.append(Message(connection, number, _topic(message), message.payload, message.retain))
            self._bytes += len(message.payload)
            if len(self._waiting) == 1 or len(self._waiting) >= self._wanted:
                self._changed.notify_all()

    def take(self, limit: int, wait_s: float) -> list[Message]:
        """Return up to `limit` messages; wait for more until none has come for IDLE_S, at most `wait_s`."""
        with self._changed:
            self._wanted = limit
            self._changed.wait_for(lambda: self._waiting or self._connection is None, 0.2)
            end = time.monotonic() + wait_s
            while 0 < len(self._waiting) < limit and time.monotonic() < end:
                before = len(self._waiting)
                self._changed.wait_for(lambda: len(self._waiting) >= limit, IDLE_S)
                if len(self._waiting) == before:
                    break
            taken = [self._waiting.popleft() for _ in range(min(limit, len(self._waiting)))]
            self._bytes -= sum(len(message.payload) for message in taken)
            self._changed.notify_all()
        return taken

    def _is_full(self) -> bool:
        return len(self._waiting) >= IN_FLIGHT or self._bytes >= INBOX_BYTES

    def acknowledge(self, messages: list[Message], connection: Sessions) -> None:
        """Acknowledge those messages that came on this connection."""
        mine = [message.number for message in messages if message.connection is connection and message.number]
        with self._changed:
            self._numbers.difference_update(mine)
        for number in mine:
            connection.acknowledge(number)


def _topic(message: Any) -> str:
    try:
        return str(message.topic)
    except UnicodeDecodeError:
        return "no UTF-8"
