"""What the broker says right now: a listener in a thread of its own.

Observations, availability and statistics go in; the state per source comes out, bounded in size. The listener never
publishes. It looks for the broker again, with growing pauses, for as long as it runs, so a broker may go, come back
and change its port.
"""

from __future__ import annotations

import itertools
import logging
import math
import threading
import time as clock
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from typing import NamedTuple

import numpy as np
from paho.mqtt.client import MQTTMessage

from mien.config import Settings
from mien.dashboard.data.second_sums import KEPT, Ring
from mien.errors import BrokerError, MienError
from mien.mqtt.broker import find_broker
from mien.mqtt.connection import BrokerAddress, Connection
from mien.mqtt.messages import (
    RemoteState,
    Stats,
    TopicKind,
    checked_preview,
    decode_available,
    decode_message,
    observation_shown,
    split_topic,
    topic,
)
from mien.observation import Observation, decode, is_source_name, new_id
from mien.system.retry import Backoff

__all__ = ["MAX_SOURCES", "Listener", "LiveSource", "Picture"]

log = logging.getLogger(__name__)

MAX_SOURCES = 256
"""So many sources are followed at once; beyond that the one offline for longest makes room for one that sends."""

MAX_LEFT_OUT = 10_000
"""So many names of sources without room are counted at most."""

SILENT_S = 15.0
"""A source that has not said whether it is there counts as away when nothing has come of it for so long."""

LEFT_OUT_S = 60.0
"""So long after its last message a source without room is counted."""

BACKOFF_S = (0.5, 10.0)
KINDS: tuple[TopicKind, ...] = ("available", "stats", "observations")

OPTIONAL: tuple[TopicKind, ...] = ("state", "preview")
"""What a broker may keep to itself."""

PICTURE_S = 10.0
"""So long a preview is kept, in memory alone."""

ALONE_S = 2.0
"""After so long without the observation that it names, a preview is shown without, in seconds."""

RECENT = 128
"""So many observations of a source that sends previews are kept, for the one that the next will name."""

MOST_FACES = 500
"""Observations of more are not kept for that."""

PICTURE_EVERY_S = 0.5
"""Previews that come faster are not looked at: a source sends one a second."""

SHOWN = ("blurred", "plain")
"""What a source may say that its previews are."""


class Picture(NamedTuple):
    """A preview as a source sent it.

    Attributes:
        number: Another one for each picture.
        at: When it came, on the monotonic clock in seconds.
        kind: What the source itself says of it: `blurred`, its faces are hidden, or `plain`.
        jpeg: The picture.
        seen: What its frame showed; None: it is not known.
    """

    number: int
    at: float
    kind: str
    jpeg: bytes
    seen: Observation | None = None

    @property
    def age_s(self) -> float:
        """How long ago it came, in seconds."""
        return clock.monotonic() - self.at


@dataclass
class LiveSource:
    """The state of one source.

    Attributes:
        online: What its retained availability says; None before it said anything.
        since: When the listener saw that change, UTC; None if it was so before.
        stats: The newest statistics.
        last: The newest observation.
        state: How it is set, in its own words.
        picture: Its newest preview whose observation is known too, for PICTURE_S.
        earlier: The one before, which somebody may just be fetching.
        waiting: A newer one that names an observation which has not come yet, and that name.
        recent: Its newest observations by id, where it sends previews.
        ring: Its sums per second.
        session: The session that `seq` belongs to.
        seq: The highest number seen in that session: what is sent again is not counted again.
        heard: When anything came of it last, on the monotonic clock in seconds.
    """

    online: bool | None = None
    since: datetime | None = None
    stats: Stats | None = None
    last: Observation | None = None
    state: RemoteState | None = None
    picture: Picture | None = None
    earlier: Picture | None = None
    waiting: tuple[Picture, str] | None = None
    recent: OrderedDict[str, Observation] = field(default_factory=OrderedDict)
    ring: Ring = field(default_factory=Ring)
    session: str = ""
    seq: int = -1
    heard: float = field(default_factory=clock.monotonic)


class Listener:
    """Listens to every source of a prefix.

    Args:
        settings: They say where the broker is, and the prefix.

    Attributes:
        connected: Whether the broker is there.
        met: Whether it ever was.
        changed: When `connected` last changed, UTC.
        reason: Why it is not there.
        made_room: How many sources that were offline have made room for others.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._prefix = settings.broker.prefix
        self._sources: dict[str, LiveSource] = {}
        self._left_out: dict[str, float] = {}
        self._lock = threading.Lock()
        self._numbers = itertools.count()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="dashboard-listener", daemon=True)
        self.connected = False
        self.met = False
        self.changed = datetime.now(timezone.utc)
        self.reason = "looking for the broker"
        self.made_room = 0

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()

    def stop(self) -> None:
        """Stop listening and wait until the thread has ended, at most a second."""
        self._stop.set()
        self._thread.join(1.0)

    def sources(self) -> dict[str, LiveSource]:
        """Return a copy of the state per source; the rings in it are the listener's own."""
        with self._lock:
            return {name: replace(state) for name, state in self._sources.items()}

    def left_out(self) -> int:
        """Return how many sources send and are not followed, since all MAX_SOURCES others are online too."""
        with self._lock:
            self._forget_left_out()
            return len(self._left_out)

    def rows(self, sources: Sequence[str], first: int, count: int) -> dict[str, np.ndarray]:
        """Return the sums of `count` seconds from `first` (a Unix time) on, per source, shape (count,), dtype ROW."""
        with self._lock:
            names = [name for name in (sources or self._sources) if name in self._sources]
            return {name: self._sources[name].ring.rows(first, count) for name in names}

    def picture(self, source: str, number: int | None = None) -> Picture | None:
        """Return the newest preview of a source, if it sends any and one came within PICTURE_S.

        Args:
            source: Its name.
            number: The one before, rather, if that is the number of it.
        """
        with self._lock:
            state = self._sources.get(source)
            if state is None:
                return None
            if state.waiting and state.waiting[0].age_s > ALONE_S:
                _show(state, state.waiting[0])
            wanted = state.earlier if state.earlier and state.earlier.number == number else state.picture
        return wanted if wanted and wanted.age_s <= PICTURE_S else None

    def _run(self) -> None:
        backoff = Backoff(self._stop, *BACKOFF_S, spread=0.3)
        while not self._stop.is_set():
            try:
                self._listen(find_broker(self._settings))
                backoff.worked()
            except MienError as error:
                self._note(connected=False, reason=str(error))
            backoff.wait()

    def _listen(self, address: BrokerAddress) -> None:
        """Listen until the connection is lost or nobody listens any more."""

        def take(message: MQTTMessage) -> None:
            self._on_message(message)
            if message.qos:
                connection.acknowledge(message.mid)

        connection = Connection(address, f"mien-dashboard-{new_id()}", on_message=take)
        try:
            for kind in KINDS:
                connection.subscribe(topic(self._prefix, "+", kind))
            for kind in OPTIONAL:
                self._subscribe_if_allowed(connection, kind)
            self._note(connected=True, reason="")
            while not connection.lost.wait(0.2) and not self._stop.is_set():
                self._forget_pictures(PICTURE_S)
        finally:
            self._forget_pictures(0.0)
            if not self._stop.is_set():
                self._note(connected=False, reason=f"the broker at {address} went away{connection.farewell}")
            connection.close()

    def _subscribe_if_allowed(self, connection: Connection, kind: TopicKind) -> None:
        try:
            connection.subscribe(topic(self._prefix, "+", kind))
        except BrokerError as error:
            if connection.lost.is_set():
                raise
            log.info("no %s of any source is known: %s", kind, error)

    def _forget_pictures(self, older_s: float) -> None:
        with self._lock:
            for state in self._sources.values():
                pictures = (state.picture, state.earlier, state.waiting[0] if state.waiting else None)
                if all(picture is None or picture.age_s > older_s for picture in pictures):
                    _clear(state)

    def _note(self, *, connected: bool, reason: str) -> None:
        if connected != self.connected:
            self.changed = datetime.now(timezone.utc)
            log.info("%s", reason or "connected to the broker")
        self.connected, self.reason, self.met = connected, reason, self.met or connected

    def _on_message(self, message: MQTTMessage) -> None:
        source, kind = split_topic(self._prefix, message.topic)
        try:
            if kind == "observations":
                self._take_observation(source, bytes(message.payload))
            elif kind == "available":
                self._take_availability(source, bytes(message.payload), retained=message.retain)
            elif kind == "stats":
                self._take_stats(source, decode_message(bytes(message.payload), Stats), retained=message.retain)
            elif kind == "state":
                self._take_state(source, decode_message(bytes(message.payload), RemoteState))
            elif kind == "preview" and not message.retain:  # one that was kept is old
                self._take_picture(source, bytes(message.payload))
        except ValueError as error:
            log.debug("ignored a message on %s: %s", message.topic, error)

    def _take_observation(self, source: str, payload: bytes) -> None:
        seen = decode(payload)
        if not isinstance(seen, Observation) or seen.source != source or seen.time is None:
            raise ValueError("an observation under another source's name, or without a time")
        age = clock.time() - seen.time.timestamp()
        if not -60 <= age < KEPT - 60:
            return
        with self._lock:
            state = self._state(source)
            if state.session == seen.session and seen.seq <= state.seq:
                return
            state.session, state.seq, state.last = seen.session, seen.seq, seen
            state.ring.add(seen)
            if state.stats and state.stats.preview in SHOWN and len(seen.faces) <= MOST_FACES:
                state.recent[seen.id] = seen
                while len(state.recent) > RECENT:
                    state.recent.popitem(last=False)
            if state.waiting and state.waiting[1] == seen.id:
                _show(state, state.waiting[0]._replace(seen=seen))

    def _take_availability(self, source: str, payload: bytes, *, retained: bool) -> None:
        online = decode_available(payload)
        with self._lock:
            state = self._state(source, sends=online)
            if state.online == online:
                return
            first = state.online is None and retained
            state.online, state.since = online, None if first else datetime.now(timezone.utc)

    def _take_stats(self, source: str, stats: Stats, *, retained: bool) -> None:
        with self._lock:
            state = self._state(source, sends=not retained)
            state.stats = stats
            if stats.preview not in SHOWN:
                _clear(state)
            uptime = stats.uptime_s
            if state.online and state.since is None and not retained and uptime is not None and math.isfinite(uptime):
                state.since = datetime.now(timezone.utc) - timedelta(seconds=min(max(uptime, 0.0), 1e8))

    def _take_picture(self, source: str, payload: bytes) -> None:
        with self._lock:
            state = self._state(source)
            kind = state.stats.preview if state.stats else None
            newest = state.waiting[0] if state.waiting else state.picture
            if kind not in SHOWN or (newest and newest.age_s < PICTURE_EVERY_S):
                return
            jpeg = checked_preview(payload)
            named = observation_shown(jpeg)
            seen = state.recent.get(named or "")
            picture = Picture(next(self._numbers), clock.monotonic(), kind, jpeg, seen)
            if named and seen is None:
                state.waiting = picture, named
            else:
                _show(state, picture)

    def _take_state(self, source: str, told: RemoteState) -> None:
        with self._lock:
            state = self._state(source, sends=False)
            state.state = told
            if told.preview not in SHOWN and told.remote_preview in SHOWN:  # the older say nothing of pictures here
                _clear(state)

    def _state(self, source: str, *, sends: bool = True) -> LiveSource:
        """Return the state of a source, a new one where there is room or room can be made.

        Args:
            source: Its name.
            sends: Whether it is there now; one of which the broker kept a word alone takes nobody's place.

        Raises:
            ValueError: There is no room for it, or the name cannot be one.
        """
        state = self._sources.get(source)
        if state is None:
            if not is_source_name(source):
                raise ValueError("a name that cannot be a source's")
            if len(self._sources) >= MAX_SOURCES:
                self._make_room(source, sends=sends)
            state = self._sources[source] = LiveSource()
            self._left_out.pop(source, None)
        if sends:
            state.heard = clock.monotonic()
        return state

    def _make_room(self, source: str, *, sends: bool) -> None:
        now = clock.monotonic()
        away = [
            (state.heard, name)
            for name, state in self._sources.items()
            if state.online is False or (state.online is None and now - state.heard > SILENT_S)
        ]
        if sends and away:
            del self._sources[min(away)[1]]
            self.made_room += 1
            return
        if sends:
            if not self._left_out:
                log.warning("more than %d sources are online: '%s' and what else comes is not followed live, its "
                            "figures come from the store", MAX_SOURCES, source)  # fmt: skip
            if source in self._left_out or len(self._left_out) < MAX_LEFT_OUT:
                self._left_out[source] = now
        raise ValueError(f"there is no room for it beside {MAX_SOURCES} others")

    def _forget_left_out(self) -> None:
        now = clock.monotonic()
        self._left_out = {name: at for name, at in self._left_out.items() if now - at <= LEFT_OUT_S}


def _show(state: LiveSource, picture: Picture) -> None:
    state.earlier, state.picture, state.waiting = state.picture, picture, None


def _clear(state: LiveSource) -> None:
    state.picture = state.earlier = state.waiting = None
    state.recent.clear()
