"""From a source's outbox to the broker: rows go out in order, and leave the outbox when a `stored` message covers them.

One thread does it all; what comes from the connection is only noted. The broker is trusted with nothing:

- across a reconnection all that is unconfirmed is sent again, and so it is when a forwarder greets (a `stored`
  message without ranges) because the broker kept nothing for it;
- what is older than `resend_after_s` is sent again if something sent after it was confirmed, so it must be lost;
- if nothing is confirmed at all, only the oldest row is, as a probe: a forwarder that was away must not find its
  queue filled with copies.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, get_args

import msgspec

from mien.config import Settings
from mien.edge.home_assistant import discovery
from mien.edge.outbox import Outbox, OutboxRow
from mien.edge.remote import Remote
from mien.errors import BrokerError, ConfigError, MienError
from mien.mqtt.broker import find_broker
from mien.mqtt.connection import MAX_PACKET, Connection
from mien.mqtt.credentials import client_id
from mien.mqtt.messages import (
    OFFLINE,
    ONLINE,
    Accepts,
    Delay,
    OutboxCounts,
    Stats,
    Stored,
    TopicKind,
    decode_message,
    encode_message,
    topic,
)
from mien.observation import RECORD, decode, first_form
from mien.system.retry import Backoff

if TYPE_CHECKING:
    from mien.edge.preview import PreviewSwitch

__all__ = ["WINDOW", "Publisher"]

log = logging.getLogger(__name__)

WINDOW = 10_000
"""How many rows may be sent and not yet confirmed."""

BACKOFF_S = (0.5, 15.0)
UNHEARD_S = 60.0
"""When the broker takes everything and nothing is confirmed for so long, in seconds, the log says what may be wrong."""

GREETED_S = 1.0
"""However many forwarders greet, sending begins anew at most so often, in seconds."""

FIRST_S = 2.0
"""So long after the first message of statistics the next is sent, in seconds."""

DELAYS_KEPT = 1000


class Sent(NamedTuple):
    """When a row was last sent: its place in the queue, its number among all sent, the monotonic clock in seconds."""

    n: int
    turn: int
    at: float


class Publisher:
    """Publishes what is in an outbox until it is stopped.

    Args:
        outbox: The source's.
        source: The source's name.
        settings: Where the broker is, and how long to wait.
        stats: Called every `stats_every_s` for figures to publish. Without it the source is not announced as online:
            only what an earlier run left behind is delivered.
        remote: Answers the requests that come for the source.
        preview: Gives pictures, which are sent only at once, while the broker is there, and are never kept.
    """

    def __init__(
        self,
        outbox: Outbox,
        source: str,
        settings: Settings,
        stats: Callable[[], Stats] | None = None,
        remote: Remote | None = None,
        preview: PreviewSwitch | None = None,
    ) -> None:
        self._outbox, self._source, self._settings, self._stats = outbox, source, settings, stats
        self._remote, self._preview = remote, preview
        self._resend_after = settings.outbox.resend_after_s
        self._topics = {kind: topic(settings.broker.prefix, source, kind) for kind in get_args(TopicKind)}
        self._client_id = _client_id(settings, source)
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._messages: deque[Any] = deque(maxlen=10_000)
        self._acknowledged: deque[int] = deque()
        self._refused: deque[int] = deque()
        self._delays: deque[float] = deque(maxlen=DELAYS_KEPT)
        self._record = 1  # the form of the record that is sent: the first, until a forwarder says that it reads more
        self._confirmed_at = 0.0
        self._newest = outbox.inherited
        self.connected = False
        self._reachable = True  # until an attempt to connect has failed
        outbox.changed = self._wake.set
        self._thread = threading.Thread(target=self._run, name=f"publisher-{source}", daemon=True)
        self._thread.start()

    def drain(self, timeout: float) -> bool:
        """Wait until the outbox is empty, at most so many seconds and not without a broker; say whether it is."""
        end = time.monotonic() + timeout
        self._outbox.flush(timeout)
        while self._outbox.counts.depth and self._reachable and time.monotonic() < end:
            time.sleep(0.02)
        return self._outbox.counts.depth == 0

    def close(self) -> None:
        """Say offline, disconnect and end; what is unconfirmed stays in the outbox."""
        self._stop.set()
        self._wake.set()
        self._thread.join()

    def _run(self) -> None:
        backoff = Backoff(self._stop, *BACKOFF_S, spread=0.5)
        while not self._stop.is_set():
            try:
                connection = self._connect()
            except (BrokerError, ConfigError) as error:
                if backoff.is_news(error):
                    log.warning("%s; '%s' keeps its observations in the outbox and tries again", error, self._source)
                self._reachable = False
            else:
                log.info("'%s' publishes to the broker at %s", self._source, connection.address)
                backoff.worked()
                try:
                    self._serve(connection)
                except Exception:  # this thread must live as long as the source does
                    log.exception("publishing '%s' failed and is begun anew", self._source)
                finally:
                    self.connected = False
                    self._outbox.set_window(0)
                    connection.close()
                if not self._stop.is_set():
                    log.warning(
                        "the broker at %s is gone%s; '%s' tries again",
                        *(connection.address, connection.farewell, self._source),
                    )
            backoff.wait()

    def _connect(self) -> Connection:
        # new ones, for what a connection that hung may still say is of no concern to the next
        self._messages, self._acknowledged, self._refused = deque(maxlen=10_000), deque(), deque()
        connection = Connection(
            find_broker(self._settings),
            self._client_id,
            will=(self._topics["available"], OFFLINE) if self._stats else None,
            in_flight=self._settings.outbox.in_flight,
            keepalive_s=self._settings.broker.keepalive_s,
            on_message=self._note(self._messages),
            on_acknowledged=self._note(self._acknowledged),
            on_refused=self._note(self._refused),
            on_lost=self._wake.set,
        )
        try:
            self._hear_what_is_accepted(connection)
            connection.subscribe(self._topics["stored"])
            if self._remote and self._remote.listens:
                connection.subscribe(self._topics["set"])
        except BrokerError:
            connection.close()
            raise
        return connection

    def _hear_what_is_accepted(self, connection: Connection) -> None:
        self._record = 1
        try:
            connection.subscribe(self._topics["accepts"], qos=0)  # it is retained, and needs no queue
        except BrokerError as error:  # a broker's list of rights from before there was this topic
            if connection.lost.is_set():
                raise
            log.info("'%s' sends records of the first form: %s", self._source, error)

    def _note(self, notes: deque[Any]) -> Callable[[Any], None]:
        def note(what: Any) -> None:
            notes.append(what)
            self._wake.set()

        return note

    def _serve(self, connection: Connection) -> None:
        self._restart()
        self._began_at, self._too_large = time.monotonic(), False
        self._outbox.set_window(WINDOW)
        self.connected = self._reachable = True
        if self._stats and (announced := self._settings.watch.home_assistant):
            for where, payload in discovery(announced, self._settings.broker.prefix, self._source):
                connection.publish(where, payload, retain=True)
        if self._remote:
            connection.publish(self._topics["state"], self._remote.state(), retain=True)
        self._doubt = False
        self._stats_at, first = 0.0, True
        stuck_s = 2 * self._settings.broker.keepalive_s
        while not self._stop.is_set() and not connection.lost.is_set():
            self._take_messages(connection)
            if self._remote and self._remote.ends():
                connection.publish(self._topics["state"], self._remote.state(), retain=True)
                self._stats_at = 0.0
            self._take_acknowledgements()
            self._send_new(connection)
            self._send_again(connection)
            if self._stats and time.monotonic() >= self._stats_at:
                every_s = self._settings.watch.stats_every_s
                # at first nothing is measured yet: what is comes a little later
                self._stats_at, first = time.monotonic() + (min(every_s, FIRST_S) if first else every_s), False
                connection.publish(self._topics["available"], ONLINE, retain=True)
                connection.publish(self._topics["stats"], self._figures(self._stats()), retain=True)
            self._show(connection)
            self._say_if_unheard(connection)
            if self._in_flight and time.monotonic() - self._moved_at > stuck_s:
                log.warning("the broker at %s has acknowledged nothing for %d s", connection.address, stuck_s)
                break
            self._wake.wait(min(0.5, self._resend_after / 2))
            self._wake.clear()
        if self._stats and not connection.lost.is_set():
            self._say_offline(connection)

    def _say_if_unheard(self, connection: Connection) -> None:
        """Say once what may be wrong where the broker takes everything and no confirmation comes."""
        since = max(self._confirmed_at, self._began_at)
        wait_s = max(UNHEARD_S, 3 * self._resend_after)
        if not self._sent:
            self._began_at = time.monotonic()
        elif not self._doubt and time.monotonic() - since > wait_s:
            self._doubt = True
            log.warning(
                "the broker at %s takes what '%s' sends, but nothing was confirmed for %.0f s: does `mien forward` "
                "run, does its store work, and may %s read '%s' there? Observations wait in the outbox",
                *(connection.address, self._source, wait_s),
                *(connection.user, self._topics["stored"]),
            )

    def _show(self, connection: Connection) -> None:
        try:
            picture = self._preview.picture() if self._preview else None
        except Exception:  # whatever becomes of pictures, observations must go on
            log.exception("'%s' sends no preview any more", self._source)
            self._preview = picture = None
        if picture:
            connection.offer(self._topics["preview"], picture)

    def _restart(self) -> None:
        """Begin anew with the oldest row that is unconfirmed."""
        self._cursor = 0
        self._turn = 0
        self._frontier = 0
        self._sent: dict[tuple[str, int], Sent] = {}
        self._in_flight: dict[int, OutboxRow] = {}
        self._greeted = False
        self._restarted_at = self._probed_at = self._moved_at = time.monotonic()

    def _take_messages(self, connection: Connection) -> None:
        while self._messages:
            message = self._messages.popleft()
            connection.acknowledge(message.mid)
            if message.topic == self._topics["accepts"]:
                self._accept(message.payload)
                continue
            if message.topic != self._topics["stored"]:
                self._answer(connection, message)
                continue
            try:
                stored = decode_message(message.payload, Stored)
            except ValueError as error:
                log.warning("a message on %s is no confirmation and is ignored: %s", self._topics["stored"], error)
                continue
            if stored.ranges:
                self._confirm(stored)
            else:
                self._greeted = True
        if self._greeted and time.monotonic() - self._restarted_at > GREETED_S:
            self._restart()

    def _accept(self, payload: bytes) -> None:
        try:
            self._record = decode_message(payload, Accepts).record
        except ValueError as error:
            log.warning("a message on %s tells nothing and is ignored: %s", self._topics["accepts"], error)

    def _answer(self, connection: Connection, request: Any) -> None:
        if self._remote and (state := self._remote.answer(request.payload, retained=request.retain)):
            connection.publish(self._topics["state"], state, retain=True)
            self._stats_at = 0.0  # they say too what pictures are sent

    def _confirm(self, stored: Stored) -> None:
        self._outbox.confirm(stored.session, stored.ranges)
        self._confirmed_at, self._doubt = time.monotonic(), False
        for first, last in stored.ranges:
            if last - first < len(self._sent):
                covered = [(stored.session, seq) for seq in range(first, last + 1)]
            else:
                covered = [key for key in self._sent if key[0] == stored.session and first <= key[1] <= last]
            for key in covered:
                if sent := self._sent.pop(key, None):
                    self._frontier = max(self._frontier, sent.turn)

    def _take_acknowledgements(self) -> None:
        while self._refused:  # these stay in the outbox, and are tried again
            self._in_flight.pop(self._refused.popleft(), None)
            self._moved_at = time.monotonic()
        while self._acknowledged:
            row = self._in_flight.pop(self._acknowledged.popleft(), None)
            if row is None:
                continue
            self._moved_at = time.monotonic()
            if row.time is not None and row.n > self._newest:
                self._newest = row.n
                self._delays.append(round((time.time() - row.time) * 1000, 1))
            if self._settings.outbox.delivery == "published":
                self._confirm(Stored(row.session, [(row.seq, row.seq)]))

    def _send_new(self, connection: Connection) -> None:
        room = self._settings.outbox.in_flight - len(self._in_flight)
        if room <= 0:
            return
        for row in self._outbox.released(self._cursor, room):
            self._send(connection, row)
            self._cursor = row.n

    def _send_again(self, connection: Connection) -> None:
        now = time.monotonic()
        while self._sent and len(self._in_flight) < self._settings.outbox.in_flight:
            key, sent = next(iter(self._sent.items()))
            if now - sent.at < self._resend_after:
                return
            probing = sent.turn > self._frontier
            if probing and now - max(self._confirmed_at, self._probed_at) < self._resend_after:
                return
            if probing:
                self._probed_at = now
            del self._sent[key]
            for row in self._outbox.released(sent.n - 1, 1):
                if row.n == sent.n:
                    self._send(connection, row)

    def _as_read(self, row: OutboxRow) -> bytes:
        """Return a row's payload in the form that the forwarder reads.

        Raises:
            ValueError: It lay on the disk while nothing ran, and is no observation any more.
        """
        if self._record < RECORD:
            return first_form(row.payload)
        if row.n <= self._outbox.inherited:
            decode(row.payload)
        return row.payload

    def _send(self, connection: Connection, row: OutboxRow) -> None:
        try:
            payload = self._as_read(row)
        except ValueError as error:
            log.warning("an observation of '%s' was damaged on disk and is counted as dropped: %s", self._source, error)
            self._outbox.discard(row.n)
            return
        if not connection.fits(self._topics["observations"], payload):
            self._keep_back(connection, len(payload))
            return
        number = connection.publish(self._topics["observations"], payload)
        self._turn += 1
        if not self._in_flight:
            self._moved_at = time.monotonic()
        self._in_flight[number] = row
        self._sent[row.session, row.seq] = Sent(row.n, self._turn, time.monotonic())

    def _keep_back(self, connection: Connection, size: int) -> None:
        """Leave in the outbox what is too large for the broker, which would end the connection; say so once."""
        if not self._too_large:
            log.warning(
                "an observation of '%s' has %d bytes, and the broker at %s takes packets of %d at most: it and "
                "what else is as large stay in the outbox; raise the broker's limit (mosquitto: max_packet_size) to %d",
                *(self._source, size, connection.address, connection.max_packet, MAX_PACKET),
            )
        self._too_large = True

    def _figures(self, stats: Stats) -> bytes:
        """Return the statistics with what the publisher adds, as JSON."""
        delays = sorted(self._delays) or [0.0]
        p50, p99 = (delays[int(share * (len(delays) - 1))] for share in (0.5, 0.99))
        counts = self._outbox.counts
        outbox = OutboxCounts(counts.depth, counts.dropped, self._outbox.damaged)
        return encode_message(msgspec.structs.replace(stats, delay_ms=Delay(p50, p99), outbox=outbox))

    def _say_offline(self, connection: Connection) -> None:
        number = connection.publish(self._topics["available"], OFFLINE, retain=True)
        end = time.monotonic() + 1.0
        while number not in self._acknowledged and time.monotonic() < end and not connection.lost.is_set():
            time.sleep(0.01)


def _client_id(settings: Settings, source: str) -> str:
    """Return a client id that nobody else can know; after a restart the same, which ends the one before."""
    try:
        return client_id(settings.ensure_home(), "watch", f"{settings.broker.prefix}:{source}")
    except MienError as error:  # a full disk stops no camera
        log.warning("%s; '%s' calls itself another name until then", error, source)
        return f"mien-watch-{secrets.token_hex(12)}"
