"""From the broker to the store: observations are committed, then confirmed to their edge, then acknowledged.

    broker -> inbox (bounded) -> batch -> store's commit -> `stored` messages -> acknowledgements

What is no valid observation is set aside as a dead letter, and confirmed too where it tells which one it is, so that
no edge sends it for ever. While the store is out nothing is acknowledged and the inbox fills; then nothing more is
read, and the broker waits. A connection that breaks costs nothing: what was not acknowledged comes again.
"""

from __future__ import annotations

import hashlib
import logging
import math
import socket
import threading
import time
from collections import defaultdict
from collections.abc import Iterable
from datetime import timedelta
from typing import Any, NamedTuple

import msgspec

from mien.config import Settings
from mien.errors import BrokerError, ConfigError, StoreError, UsageError
from mien.forward.alerts import alerting
from mien.forward.inbox import IN_FLIGHT, Inbox, Message
from mien.forward.markers import MarkerReader
from mien.forward.metrics import State, serve
from mien.forward.replay import read
from mien.forward.retained import FILE, SetAside
from mien.masking import without_password
from mien.mqtt.broker import find_broker
from mien.mqtt.connection import MAX_PACKET
from mien.mqtt.credentials import client_id
from mien.mqtt.messages import ONLINE, Accepts, Stored, encode_message, split_topic, topic
from mien.mqtt.sessions import Sessions
from mien.observation import RECORD, Count, Id, Observation, decode_json, encode, is_source_name, new_id
from mien.stores.base import Marker, Store, open_store
from mien.system.clock import FORWARDERS_CLOCK, SteadyClock, is_synchronised
from mien.system.locks import alone
from mien.system.retry import Backoff

__all__ = ["Forwarded", "merge", "run_forwarder"]

log = logging.getLogger(__name__)

ONCE_IDLE_S = 2.0
BACKOFF_S = (0.2, 10.0)
PRUNE_EVERY_S = 3600.0
COUNT_EVERY_S = 60.0
MAX_RANGES = 1000
RANGE_BYTES = 48
"""So many bytes a range takes in a message at most."""

SILENCE_S = 60.0
"""When nothing at all has come from a broker for so long, the log says what may be wrong."""

AGREE_WAIT_S = 0.2
"""So long a turn waits for the broker to agree to the subscriptions, in seconds, before it works off what has come."""

MAX_GREETED = 10_000


class Forwarded(NamedTuple):
    """What a run of the forwarder did.

    Attributes:
        stored: Observations that the store did not have.
        known: Observations that it had, or that are of a time that was erased.
        dead: Messages set aside as dead letters.
    """

    stored: int
    known: int
    dead: int


class Trace(msgspec.Struct):
    """What of a message that is no observation still tells which one it should have been."""

    session: Id
    seq: Count


_trace_decoder = msgspec.json.Decoder(Trace)


def run_forwarder(settings: Settings, stop: threading.Event, *, once: bool = False) -> Forwarded:
    """Forward until `stop` is set.

    Args:
        settings: Where broker and store are, and how large a batch is.
        stop: Ends it, after the batch in hand.
        once: End also when nothing has come for two seconds; a broker out of reach is an error then.

    Raises:
        StoreError: The store cannot be opened.
        BrokerError: With `once`: there is no broker.
        ConfigError: A group was named, and the broker has no shared subscriptions.
        UsageError: A forwarder runs already for this state folder.
    """
    home = settings.ensure_home()
    refusal = UsageError(f"a forwarder runs already for '{home}': one is enough for each MIEN_HOME")
    with alone(home / "forward.lock", refusal):
        store = open_store(settings.store_url)
        try:
            forwarder = _Forwarder(settings, store, stop)
            with (
                serve(settings.forward.metrics_port, forwarder.state),
                alerting(settings, lambda: forwarder.state().store_works),
            ):
                forwarder.run(ONCE_IDLE_S if once else None)
            forwarder.end()
            return Forwarded(forwarder.stored, forwarder.known, forwarder.dead)
        finally:
            store.close()


def merge(numbers: Iterable[int]) -> list[tuple[int, int]]:
    """Return the numbers as ranges, both ends included, in order."""
    ranges: list[tuple[int, int]] = []
    for number in sorted(set(numbers)):
        if ranges and number == ranges[-1][1] + 1:
            ranges[-1] = (ranges[-1][0], number)
        else:
            ranges.append((number, number))
    return ranges


class _Forwarder:
    def __init__(self, settings: Settings, store: Store, stop: threading.Event) -> None:
        self._settings, self._store, self._stop = settings, store, stop
        self._prefix = settings.broker.prefix
        chosen = settings.forward
        self._group, self._sources = chosen.group, chosen.sources.split(",") if chosen.sources else ["+"]
        # A broker keeps one queue for each client id: the same one after a restart, another one for another machine.
        # The built-in broker's clients all share one password, and its queues never lapse: the id is as it always was.
        place = f"{socket.gethostname()}:{settings.home.absolute()}:{self._prefix}:{chosen.sources}:{chosen.group}"
        self._client_id = (
            client_id(settings.ensure_home(), "forward", place)
            if settings.broker.host is not None
            else f"mien-forward-{hashlib.sha256(place.encode()).hexdigest()[:12]}"
        )
        self._inbox = Inbox()
        self._greeted: set[str] = set()
        self._set_aside = SetAside(settings.home / FILE, without_password(settings.store_url))
        self._again: set[str] = set()
        self._reason = "looking for the broker"
        self._clock = SteadyClock(settings.home / FORWARDERS_CLOCK)
        self._markers = MarkerReader(self._clock.now)
        self._prune_at = self._count_at = 0.0
        self.stored = self.known = self.dead = self._dropped = self._late = self._refused = 0
        self._connected, self._store_works, self._committed_at, self._counted = False, True, 0.0, False

    def state(self) -> State:
        return State(
            stored=self.stored,
            known=self.known,
            late=self._late,
            refused=self._refused,
            dead=self.dead,
            dropped=self._dropped,
            markers=self._markers.taken,
            markers_refused=self._markers.refused,
            waiting=self._inbox.depth,
            connected=self._connected,
            store_works=self._store_works,
            committed_at=self._committed_at,
            clock_is_wrong=self._clock.is_wrong,
            reason=self._reason,
        )

    def end(self) -> None:
        """Note how late it is, and what was set aside."""
        self._clock.note()
        self._set_aside.note()

    def run(self, until_idle_s: float | None) -> None:
        backoff = Backoff(self._stop, *BACKOFF_S)
        while not self._stop.is_set():
            try:
                connection = self._connect()
                try:
                    idle = self._serve(connection, until_idle_s, backoff)
                finally:
                    self._connected = False
                    self._inbox.open_to(None)
                    connection.close()
            except BrokerError as error:
                if until_idle_s is not None:
                    raise
                self._reason = str(error)
                if backoff.is_news(error):
                    log.warning("%s; trying again", error)
                backoff.wait()
                continue
            if idle:
                return
            if not self._stop.is_set():
                self._reason = f"the broker at {connection.address} is gone{connection.farewell}"
                log.warning("%s; trying again", self._reason)
                backoff.wait()

    def _connect(self) -> Sessions:
        holder: list[Sessions] = []
        self._greeted = set()
        connected = threading.Event()

        def take(message: Any) -> None:
            connected.wait()
            for connection in holder:
                self._inbox.put(connection, message)

        try:
            connection = Sessions(
                find_broker(self._settings),
                self._client_id,
                persistent=self._group is None,  # what one of a group leaves behind is for the others
                in_flight=IN_FLIGHT,
                keepalive_s=self._settings.broker.keepalive_s,
                on_message=take,
                on_lost=self._inbox.wake,
            )
            holder.append(connection)
            self._inbox.open_to(connection)
        finally:
            connected.set()
        return connection

    def _ask(self, connection: Sessions) -> None:
        """Ask for all that is to be forwarded."""
        if self._group and not connection.shares:
            raise ConfigError(
                f"the broker at {connection.address} has no shared subscriptions: leave forward.group out, and divide "
                "the work by forward.sources"
            )
        shared = f"$share/{self._group}/" if self._group else ""
        wanted = []
        for source in self._sources:
            wanted += [shared + topic(self._prefix, source, "observations"), topic(self._prefix, source, "available")]
            if self._settings.forward.markers:
                wanted.append(shared + topic(self._prefix, source, "marker"))
        connection.ask(wanted)

    def _serve(self, connection: Sessions, until_idle_s: float | None, backoff: Backoff) -> bool:
        """Work until the connection is lost or stopping is asked for; say whether it ended for idleness.

        What comes is worked off before the broker has agreed to every subscription: it may bring more than fits into
        the inbox first, and its answer lies behind that.

        Raises:
            BrokerError: It refuses a subscription, or does not answer.
            ConfigError: A group was named, and the broker has no shared subscriptions.
        """
        self._ask(connection)
        heard_at, heard = time.monotonic(), False
        while not self._stop.is_set():
            if not self._connected and connection.agreed(AGREE_WAIT_S):
                self._connected, self._reason = True, ""
                backoff.worked()
                log.info("forwarding from the broker at %s", connection.address)
                heard_at = time.monotonic()
            self._prune()
            self._count_lost()
            batch = self._inbox.take(self._settings.forward.batch_rows, self._settings.forward.batch_s)
            if batch:
                self._work_off(batch, connection)
                heard_at, heard, self._reason = time.monotonic(), True, ""
            elif connection.lost.is_set():
                return False
            elif not self._connected:
                continue
            elif not heard and time.monotonic() - heard_at > SILENCE_S:
                heard = True
                self._reason = self._silence(connection)
                log.warning("%s", self._reason)
            elif until_idle_s is not None and time.monotonic() - heard_at > until_idle_s:
                return True
        return False

    def _silence(self, connection: Sessions) -> str:
        where = topic(self._prefix, self._sources[0], "observations")
        return (
            f"nothing has come from the broker at {connection.address}, not even whether a source is there: does `mien "
            f"watch` run, and may {connection.user} read '{where}' there?"
        )

    def _work_off(self, batch: list[Message], connection: Sessions) -> None:
        good: dict[str, Observation] = {}
        letters: list[tuple[str, str, bytes]] = []
        fresh: set[tuple[str, bytes]] = set()
        done: dict[tuple[str, str], list[int]] = defaultdict(list)
        markers: list[Marker] = []
        for message in batch:
            source, kind = split_topic(self._prefix, message.topic)
            if kind == "available":
                self._greet(message, source)
                continue
            if kind == "marker":  # a broker may bring them for a subscription of earlier settings
                if self._settings.forward.markers and (marker := self._read_marker(message, source)):
                    markers.append(marker)
                continue
            try:
                observation = read(message.payload, source)
            except ValueError as error:
                here = message.topic, message.payload
                if message.retained and (self._set_aside.has(*here) or here in fresh):
                    self._say_again(message.topic)
                else:
                    letters.append((message.topic, str(error), message.payload))
                    fresh.add(here)
                if is_source_name(source) and (trace := _trace(message.payload)):
                    done[source, trace.session].append(trace.seq)
            else:
                good[observation.id] = observation
                done[source, observation.session].append(observation.seq)

        if not self._commit(list(good.values()), letters, markers):
            return
        self._set_aside.add(letters)
        if any(message.retained for message in batch):
            self._set_aside.note()
        if connection.lost.is_set():
            return  # the messages come again on the next connection, and are confirmed then
        fit = min(MAX_RANGES, max(1, (connection.max_packet - 512) // RANGE_BYTES))
        for (source, session), numbers in done.items():
            ranges = merge(numbers)
            for at in range(0, len(ranges), fit):
                stored = Stored(session, ranges[at : at + fit])
                connection.publish(topic(self._prefix, source, "stored"), encode_message(stored))
        self._inbox.acknowledge(batch, connection)

    def _read_marker(self, message: Message, source: str) -> Marker | None:
        return self._markers.read(source, message.payload, retained=message.retained)

    def _commit(self, good: list[Observation], letters: list[tuple[str, str, bytes]], markers: list[Marker]) -> bool:
        """Commit a batch, however long the store is out; say whether it was done before stopping."""
        new, backoff, failed_at = 0, Backoff(self._stop, *BACKOFF_S), 0.0
        while True:
            try:
                new += self._add(good, letters)
                self._store.add_dead_letters(letters)
                self._add_markers(markers)
            except StoreError as error:
                self._store_works = False
                if not failed_at:
                    log.warning("%s; observations wait at the broker and in the outboxes", error)
                    failed_at = time.monotonic()
                if backoff.wait():
                    return False
                continue
            if failed_at:
                log.warning("the store works again after %.0f s", time.monotonic() - failed_at)
            self._store_works, self._committed_at = True, time.time()
            self._ask_at(good, letters, new)
            self.stored += new
            self.known += len(good) - new
            self.dead += len(letters)
            return True

    def _add(self, good: list[Observation], letters: list[tuple[str, str, bytes]]) -> int:
        try:
            return self._add_now(good)
        except ValueError:
            pass
        new = 0
        for observation in list(good):  # one of them is what the store cannot take: find it, and keep the others
            try:
                new += self._add_now([observation])
            except ValueError as error:  # noqa: PERF203
                good.remove(observation)
                letters.append(
                    (topic(self._prefix, observation.source, "observations"), str(error), encode(observation))
                )
        return new

    def _add_markers(self, markers: list[Marker]) -> None:
        if not markers:
            return
        try:
            self._store.add_markers(markers)
        except ValueError as error:
            log.warning("%d markers that came by MQTT are not kept: %s", len(markers), error)

    def _add_now(self, good: list[Observation]) -> int:
        now = self._clock.now()
        return self._store.add(good, arrived=now) if self._clock.is_wrong else self._store.add(good)

    def _say_again(self, where: str) -> None:
        """Say once what the broker sends at each start, and is set aside already."""
        if where in self._again or len(self._again) >= MAX_GREETED:
            return
        if not self._again:
            log.warning(
                "the broker has retained what is no valid observation on '%s', maybe elsewhere too: it was set aside "
                "before and is not again; `mosquitto_pub -r -n -t TOPIC` takes it away",
                where,
            )
        self._again.add(where)

    def _greet(self, message: Message, source: str) -> None:
        """Tell a source which records are read here, and one that was online before us to send again.

        What it published while nobody listened the broker did not keep for us.
        """
        connection = message.connection
        if not is_source_name(source) or connection.lost.is_set():
            return
        if source not in self._greeted and len(self._greeted) < MAX_GREETED:
            self._greeted.add(source)
            connection.publish(topic(self._prefix, source, "accepts"), encode_message(Accepts(RECORD)), retain=True)
        before_us = message.retained and message.payload == ONLINE
        if before_us and not connection.resumed:
            connection.publish(topic(self._prefix, source, "stored"), encode_message(Stored(new_id(), [])))

    def _prune(self) -> None:
        if time.monotonic() < self._prune_at:
            return
        self._prune_at = time.monotonic() + PRUNE_EVERY_S
        keep = self._settings.store
        days, forget = keep.keep_raw_days, keep.keep_rollups_days
        try:
            self._begin_clock()
            now = self._clock.now()
            self._clock.note()
            pruned = self._store.prune(now - timedelta(days=days))
            minutes = self._store.prune_rollups(now - timedelta(days=forget)) if forget else 0
        except StoreError as error:
            log.warning("%s; what is older than %d days stays for now", error, days)
        else:
            if pruned:
                log.info("deleted %d raw observations that came over %d days ago; their sums stay", pruned, days)
            if minutes:
                log.info("deleted the sums of %d minutes older than %d days", minutes, forget)

    def _begin_clock(self) -> None:
        """Let a clock of which nothing was noted begin no later than the newest that is stored, unless it is known."""
        if self._clock.is_new and is_synchronised() is False:
            newest = max((info.last for info in self._store.sources()), default=None)
            if newest is not None and newest < self._clock.now():
                self._clock.set(newest)

    def _ask_at(self, good: list[Observation], letters: list[tuple[str, str, bytes]], new: int) -> None:
        """Have the store asked a minute after something came that it may count."""
        day_ago = self._clock.now() - timedelta(days=1)
        if (
            letters
            or new < len(good)
            or any(observation.time is not None and observation.time < day_ago for observation in good)
        ):
            self._count_at = min(self._count_at, time.monotonic() + COUNT_EVERY_S)

    def _count_lost(self) -> None:
        """Ask the store what was refused, came late, or made room for newer dead letters; say if some did."""
        if time.monotonic() < self._count_at:
            return
        self._count_at = time.monotonic() + COUNT_EVERY_S
        try:
            dropped = self._store.dropped_dead_letters()
            arrivals = self._store.arrivals()
        except StoreError:
            return
        if dropped > self._dropped:
            log.warning("%d dead letters made room for newer ones and are gone; look at what publishes them", dropped)
        late, refused = sum(arrival.late for arrival in arrivals), sum(arrival.refused for arrival in arrivals)
        if self._counted and refused > self._refused:
            of = ", ".join(arrival.source for arrival in arrivals if arrival.refused)
            log.warning("%d observations refused by now, of times that were erased (%s)", refused, of)
        if self._counted and late > self._late:
            log.info("%d observations came by now after raw rows of their time had been deleted; they count", late)
        self._dropped, self._late, self._refused, self._counted = dropped, late, refused, True
        self._count_at = math.inf


def _trace(payload: bytes) -> Trace | None:
    try:
        return decode_json(payload, _trace_decoder, MAX_PACKET)
    except ValueError:
        return None
