"""One connection to an MQTT broker: an address goes in, messages come and go until the connection is lost.

A connection is made once and thrown away when it is lost; whoever needs another one makes it. So acknowledgements and
message numbers never reach a connection that they do not belong to. MQTT 5 is spoken where the broker takes it,
else 3.1.1.
"""

from __future__ import annotations

import logging
import ssl
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from mien.errors import BrokerError
from mien.observation import MAX_PAYLOAD

__all__ = ["Asked", "BrokerAddress", "Connection"]

log = logging.getLogger(__name__)

ANSWER_S = 10.0
"""How long a broker may take to let somebody in, in seconds."""

AGREE_S = 60.0
"""How long it may take to agree to a subscription, in seconds. A cluster that is busy makes a place for each on several
servers, and takes its time; a broker that hangs is lost before that, as it answers no ping."""

MAX_PACKET = 2 * MAX_PAYLOAD
SESSION_S = 7 * 86400
OVERHEAD = 64
"""So many bytes a message has beside its topic and payload at most."""

REFUSED_LOGINS = {134, 135}
FULL = {128, 151}
"""Reasons why a subscription is refused that may be its session's: none is named, or a quota is used up."""

ADVICE = {
    142: ": another one came with the same client id, such as a second machine that watches under the same name",
    149: f": raise its limit (mosquitto: max_packet_size) to {MAX_PACKET}",
}
"""What to do about what a broker says as it ends a connection, by the reason's number."""


class _Socket(ssl.SSLSocket):
    """One that does not stay open when the other end is not who it should be."""

    def do_handshake(self, block: bool = False) -> None:
        try:
            super().do_handshake(block)
        except OSError:
            self.close()
            raise


class BrokerAddress(NamedTuple):
    """Where a broker is and how it is entered.

    Attributes:
        host: Its name or address.
        port: Its TCP port.
        username: None where anybody may enter.
        password: The user's.
        tls: What the connection is encrypted with; None: it is not.
    """

    host: str
    port: int
    username: str | None = None
    password: str | None = None
    tls: ssl.SSLContext | None = None

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Asked(NamedTuple):
    """Subscriptions that a broker was asked for: the topics by the numbers of the packets, and when."""

    topics: dict[int, str]
    at: float


class Connection:
    """A connection, made on construction.

    The callbacks run on the connection's own thread; they should only take note and return.

    Args:
        address: The broker's.
        client_id: A broker keeps one connection for each; a second one ends the first.
        persistent: Let the broker keep messages for this client while it is away.
        will: Topic and payload of the retained message that the broker publishes when the connection breaks.
        in_flight: How many messages may be unacknowledged, in each direction.
        keepalive_s: A connection that is silent for twice as long, in seconds, is lost.
        on_message: Called with each message that comes; it is acknowledged by `acknowledge` alone.
        on_acknowledged: Called with the number of a message that the broker has acknowledged.
        on_refused: Called with the number of a message that the broker did not take; the log says so once.
        on_lost: Called once when the connection is lost.

    Attributes:
        address: The broker's.
        lost: Set when the connection is lost.
        resumed: Whether the broker kept what this client had subscribed to, and messages with it.
        shares: Whether the broker can share a subscription out among several clients.
        max_packet: How many bytes a packet may have that the broker takes; MAX_PACKET where it does not say.

    Raises:
        BrokerError: There is no broker, or it refuses.
    """

    def __init__(
        self,
        address: BrokerAddress,
        client_id: str,
        *,
        persistent: bool = False,
        will: tuple[str, bytes] | None = None,
        in_flight: int = 500,
        keepalive_s: int = 15,
        on_message: Callable[[paho.MQTTMessage], None] = lambda _: None,
        on_acknowledged: Callable[[int], None] = lambda _: None,
        on_refused: Callable[[int], None] = lambda _: None,
        on_lost: Callable[[], None] = lambda: None,
    ) -> None:
        self.address = address
        self.lost = threading.Event()
        self.resumed = self.shares = False
        self.max_packet = MAX_PACKET
        self._farewell = ""
        self._client_id, self._persistent, self._will = client_id, persistent, will
        self._in_flight, self._keepalive_s = in_flight, keepalive_s
        self._on_message, self._on_lost = on_message, on_lost
        self._on_acknowledged, self._on_refused, self._refusing = on_acknowledged, on_refused, False
        self._subscribed: dict[int, list[ReasonCode]] = {}
        self._offered: paho.MQTTMessageInfo | None = None
        self._answered = threading.Condition()
        answer = self._connect(MQTTProtocolVersion.MQTTv5)
        if answer is None or (answer.is_failure and answer.value not in REFUSED_LOGINS):
            answer = self._connect(MQTTProtocolVersion.MQTTv311)
        if answer is None or answer.is_failure:
            raise BrokerError(self._refusal(answer))

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> int:
        """Send a message (QoS 1) and return its number."""
        return self._client.publish(topic, payload, qos=1, retain=retain).mid

    def offer(self, topic: str, payload: bytes) -> None:
        """Send a message at most once (QoS 0), unless the one offered before is still on its way out."""
        if self._offered is None or self._offered.is_published():
            self._offered = self._client.publish(topic, payload, qos=0)

    def subscribe(self, topic: str, qos: int = 1) -> None:
        """Subscribe and wait until the broker has agreed.

        With QoS 0 a broker keeps no queue, which a cluster needs time and room for.

        Raises:
            BrokerError: It refuses, or the connection is lost.
        """
        asked = self.ask([topic], qos)
        while (refused := self.refused(asked, 1.0)) is None:
            pass
        if refused:
            raise self.refusal(asked)

    def ask(self, topics: Iterable[str], qos: int = 1) -> Asked:
        """Ask for subscriptions, and do not wait; messages may come before the broker has agreed to all.

        Who takes only so many messages at a time takes them until `refused` knows: the broker's answer comes behind
        them.
        """
        numbers: dict[int, str] = {}
        for topic in topics:
            _, number = self._client.subscribe(topic, qos)
            numbers[-len(numbers) if number is None else number] = topic
        return Asked(numbers, time.monotonic())

    def refused(self, asked: Asked, wait_s: float = 0.0) -> list[str] | None:
        """Return the topics for which the broker may have no room in this session; it has agreed to the others.

        None as long as it has not answered to all that was asked for, after up to so many seconds.

        Raises:
            BrokerError: It refuses for another reason, the connection is lost, or it has not answered within AGREE_S.
        """
        with self._answered:
            self._answered.wait_for(lambda: self.lost.is_set() or not self._open(asked), wait_s)
            refused = [topic for number, topic in asked.topics.items() if self._refusals(number)]
            if any(reason.value not in FULL for number in asked.topics for reason in self._refusals(number)):
                raise self.refusal(asked)
            waiting = self._open(asked)
            if not waiting:
                return refused
            if self.lost.is_set():
                raise self._no_subscription(waiting[0], f"the connection was lost{self._farewell}")
            if time.monotonic() - asked.at >= AGREE_S:
                raise self._no_subscription(waiting[0], f"it has not answered within {AGREE_S:.0f} s")
            return None

    def refusal(self, asked: Asked) -> BrokerError:
        """Return the error that says which subscription is refused, and why."""
        refusals = [(self._refusals(number), topic) for number, topic in asked.topics.items()]
        reasons, topic = max(refusals, key=lambda refusal: max((reason.value for reason in refusal[0]), default=0))
        why = ", ".join(str(reason).lower() for reason in reasons)
        return self._no_subscription(topic, f"{why}; check what {self.user} may read")

    def _open(self, asked: Asked) -> list[str]:
        return [topic for number, topic in asked.topics.items() if number not in self._subscribed]

    def _refusals(self, number: int) -> list[ReasonCode]:
        return [reason for reason in self._subscribed.get(number, ()) if reason.is_failure]

    def _no_subscription(self, topic: str, why: str) -> BrokerError:
        return BrokerError(f"the broker at {self.address} does not let '{topic}' be subscribed to: {why}")

    @property
    def farewell(self) -> str:
        """What the broker said as it ended the connection, to be put behind "is gone"; empty if it said nothing."""
        return self._farewell

    @property
    def user(self) -> str:
        """Who this client is to the broker, in words."""
        return f"user '{self.address.username}'" if self.address.username else "who has no user name"

    def fits(self, topic: str, payload: bytes) -> bool:
        """Say whether the broker takes a message of this size; one that does not fit ends the connection."""
        return len(topic.encode()) + len(payload) + OVERHEAD <= self.max_packet

    def acknowledge(self, number: int) -> None:
        """Tell the broker that a message is done with."""
        if number:  # one of QoS 0 has none, and brokers throw out who answers it
            self._client.ack(number, 1)

    def close(self) -> None:
        """Say goodbye, so that the will stays unpublished, and end the thread."""
        self._client.disconnect()
        self._end()

    def _end(self) -> None:
        ending = threading.Thread(target=self._client.loop_stop, daemon=True)  # a broker that hangs holds it up
        ending.start()
        ending.join(2.0)

    def _connect(self, protocol: MQTTProtocolVersion) -> ReasonCode | None:
        """Try to connect and return the broker's answer; None if it gave none."""
        self._client = client = self._make(protocol)
        self.lost.clear()
        answers: list[ReasonCode] = []

        def connected(_client: Any, _data: Any, flags: Any, reason: ReasonCode, properties: Any) -> None:
            with self._answered:
                self.resumed = flags.session_present
                able = getattr(properties, "SharedSubscriptionAvailable", 1)  # without a word it is able to
                self.shares = protocol == MQTTProtocolVersion.MQTTv5 and bool(able)
                self.max_packet = min(MAX_PACKET, getattr(properties, "MaximumPacketSize", MAX_PACKET))
                answers.append(reason)
                self._answered.notify_all()

        def disconnected(_client: Any, _data: Any, flags: Any, reason: ReasonCode, _: Any) -> None:
            with self._answered:
                if flags.is_disconnect_packet_from_server:
                    self._farewell = f": it said '{str(reason).lower()}'{ADVICE.get(reason.value, '')}"
                self.lost.set()
                self._answered.notify_all()
            if answers and not answers[0].is_failure:
                self._on_lost()

        client.on_connect = connected
        client.on_disconnect = disconnected
        options: dict[str, Any] = {}
        if protocol == MQTTProtocolVersion.MQTTv5:
            properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
            properties.ReceiveMaximum = self._in_flight
            properties.MaximumPacketSize = MAX_PACKET
            properties.SessionExpiryInterval = SESSION_S if self._persistent else 0
            options = {"clean_start": not self._persistent, "properties": properties}
        try:
            client.connect(self.address.host, self.address.port, self._keepalive_s, **options)
        except ssl.SSLError as error:
            raise BrokerError(f"no TLS with the broker at {self.address}: {error.reason or error}") from error
        except OSError as error:
            why = error.strerror or str(error)
            raise BrokerError(f"no broker at {self.address}: {why[:1].lower()}{why[1:]}") from error
        except ValueError as error:
            raise BrokerError(f"no broker at {self.address}: that is no host's name") from error
        client.loop_start()
        with self._answered:
            self._answered.wait_for(lambda: answers or self.lost.is_set(), ANSWER_S)
        if not answers or answers[0].is_failure:
            client.disconnect()
            self._end()
        return answers[0] if answers else None

    def _make(self, protocol: MQTTProtocolVersion) -> paho.Client:
        clean = None if protocol == MQTTProtocolVersion.MQTTv5 else not self._persistent
        client = paho.Client(
            CallbackAPIVersion.VERSION2,
            self._client_id,
            clean_session=clean,
            protocol=protocol,
            reconnect_on_failure=False,
            manual_ack=True,
        )
        client.connect_timeout = ANSWER_S / 2
        client.max_inflight_messages_set(self._in_flight)
        if self.address.username is not None:
            client.username_pw_set(self.address.username, self.address.password)
        if self.address.tls is not None:
            self.address.tls.sslsocket_class = _Socket
            client.tls_set_context(self.address.tls)
        if self._will is not None:
            client.will_set(self._will[0], self._will[1], qos=1, retain=True)
        client.on_message = lambda _client, _data, message: self._on_message(message)
        client.on_publish = self._note_answer
        client.on_subscribe = self._note_subscription
        return client

    def _note_answer(self, _client: Any, _data: Any, number: int, reason: ReasonCode, _: Any) -> None:
        """Take note of what became of a message; only brokers that speak MQTT 5 can say that they refuse one."""
        if not reason.is_failure:
            self._on_acknowledged(number)
            return
        if not self._refusing:
            self._refusing = True
            log.warning("the broker at %s refuses a message (%s): check what %s may publish there",
                        self.address, str(reason).lower(), self.user)  # fmt: skip
        self._on_refused(number)

    def _note_subscription(self, _client: Any, _data: Any, number: int, reasons: list[ReasonCode], _: Any) -> None:
        with self._answered:
            self._subscribed[number] = reasons
            self._answered.notify_all()

    def _refusal(self, answer: ReasonCode | None) -> str:
        if answer is None:
            return f"what listens at {self.address} does not answer as an MQTT broker does: check host, port and TLS"
        if answer.value in REFUSED_LOGINS:
            return f"the broker at {self.address} refuses user and password: set broker.username and broker.password"
        return f"the broker at {self.address} refuses the connection: {str(answer).lower()}"
