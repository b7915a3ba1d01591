"""One client's subscriptions, spread over as many sessions as a broker needs for them: to its user a single connection.

A broker may hold only so many subscriptions in a session. NATS adds up what each may keep unacknowledged and refuses,
without a reason, the one that would bring the sum over 65,535: the 14th with `max_ack_pending: 5000`. What the first
session has no room for goes to a second connection with an id of its own, and so on. The order is always the same, so
that each session finds its own again when it is resumed.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from typing import Any

from mien.mqtt.connection import Asked, BrokerAddress, Connection

__all__ = ["Sessions"]

log = logging.getLogger(__name__)

NUMBERS = 1 << 16
"""So many numbers a session has for its messages; those of the next session are higher by as many."""


class Sessions:
    """Connections to one broker that are made, used and lost together; messages go out by the first.

    Args:
        address: The broker's.
        client_id: The first session's; the others' are made of it.
        persistent: Let the broker keep messages for this client while it is away.
        in_flight: How many messages may be unacknowledged in a session, in each direction.
        keepalive_s: A connection that is silent for twice as long, in seconds, is lost.
        on_message: Called with each message that comes; it is acknowledged by `acknowledge` alone.
        on_lost: Called when a connection is lost.

    Attributes:
        address: The broker's.
        lost: Set when any of the connections is lost.

    Raises:
        BrokerError: There is no broker, or it refuses.
    """

    def __init__(
        self,
        address: BrokerAddress,
        client_id: str,
        *,
        persistent: bool,
        in_flight: int,
        keepalive_s: int,
        on_message: Callable[[Any], None],
        on_lost: Callable[[], None],
    ) -> None:
        self.address = address
        self.lost = threading.Event()
        self._client_id, self._persistent = client_id, persistent
        self._in_flight, self._keepalive_s = in_flight, keepalive_s
        self._on_message, self._on_lost = on_message, on_lost
        self._asked = Asked({}, 0.0)
        self._connections: list[Connection] = []
        self._add()

    @property
    def resumed(self) -> bool:
        """Whether the broker kept what this client had subscribed to, and messages with it."""
        return all(connection.resumed for connection in self._connections)

    @property
    def shares(self) -> bool:
        """Whether the broker can share a subscription out among several clients."""
        return self._connections[0].shares

    @property
    def max_packet(self) -> int:
        """How many bytes a packet may have that the broker takes."""
        return self._connections[0].max_packet

    @property
    def farewell(self) -> str:
        """What the broker said as it ended a connection, to be put behind "is gone"; empty if it said nothing."""
        return next((connection.farewell for connection in self._connections if connection.farewell), "")

    @property
    def user(self) -> str:
        """Who this client is to the broker, in words."""
        return self._connections[0].user

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Send a message (QoS 1)."""
        self._connections[0].publish(topic, payload, retain=retain)

    def ask(self, topics: Iterable[str]) -> None:
        """Ask for subscriptions with QoS 1, and do not wait; messages may come before the broker has agreed to all.

        Who takes only so many messages at a time takes them while `agreed` says no: the broker's answer comes behind
        them.
        """
        self._asked = self._connections[-1].ask(topics)

    def agreed(self, wait_s: float = 0.0) -> bool:
        """Say whether the broker has agreed to all that was asked for, waiting up to so many seconds.

        Raises:
            BrokerError: It refuses, a connection is lost, or it has not answered within AGREE_S.
        """
        newest = self._connections[-1]
        refused = newest.refused(self._asked, wait_s)
        if refused is None or self.lost.is_set():
            return False
        if not refused:
            return True
        if len(refused) == len(self._asked.topics) and not newest.resumed:  # a session that is empty has room
            self._forget_newest()
            raise newest.refusal(self._asked)
        log.info("the broker at %s has room for %d of %d subscriptions in a session: the others go to another one",
                 self.address, len(self._asked.topics) - len(refused), len(self._asked.topics))  # fmt: skip
        self._add()
        self.ask(refused)
        return False

    def acknowledge(self, number: int) -> None:
        """Tell the broker that a message is done with."""
        session, own = divmod(number, NUMBERS)
        self._connections[session].acknowledge(own)

    def close(self) -> None:
        """Say goodbye, and end the threads."""
        for connection in self._connections:
            connection.close()

    def _forget_newest(self) -> None:
        """Have the broker drop the newest session, which nothing was subscribed to."""
        self._connections[-1].close()
        Connection(self.address, self._id(len(self._connections) - 1)).close()

    def _id(self, session: int) -> str:
        return f"{self._client_id}-{session + 1}" if session else self._client_id

    def _add(self) -> None:
        """Connect once more, with an empty session or the one that was this one's before."""
        first = NUMBERS * len(self._connections)

        def take(message: Any) -> None:
            if message.qos:
                message.mid += first
            self._on_message(message)

        self._connections.append(
            Connection(
                self.address,
                self._id(len(self._connections)),
                persistent=self._persistent,
                in_flight=self._in_flight,
                keepalive_s=self._keepalive_s,
                on_message=take,
                on_lost=self._lose,
            )
        )

    def _lose(self) -> None:
        self.lost.set()
        self._on_lost()
