"""Alerts: what sources publish and whether the store works goes in, notices go out by MQTT and to webhooks.

Each alert has one state for each source: it is raised once, resolved once, and then quiet for its cool-down. All this
has a connection and a thread of its own, so that nothing here can hold up what is being stored.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal, NamedTuple

import msgspec

from mien.config import AlertSettings, Settings
from mien.errors import BrokerError, MienError
from mien.forward.alert_rules import all_rules, stamp_of
from mien.forward.webhook import Webhook
from mien.mqtt.broker import find_broker
from mien.mqtt.connection import Connection
from mien.mqtt.messages import ONLINE, Stats, TopicKind, decode_message, split_topic, topic
from mien.observation import Emotion, Observation, decode, is_source_name, new_id, now
from mien.stores.base import Sums
from mien.system.retry import Backoff

__all__ = ["AlertMonitor", "Notice", "alerting", "describe"]

log = logging.getLogger(__name__)

TICK_S = 0.5
BACKOFF_S = (0.2, 10.0)

LOOK_S = 2.0
"""So often it is looked whether the rules made on the page have changed."""

SOURCES = 1000
"""So many sources are heeded; of more, those heard of longest ago are forgotten."""


@contextmanager
def alerting(settings: Settings, store_works: Callable[[], bool]) -> Iterator[None]:
    """Heed the alerts of the settings, and those made on the page as they come and go, as long as the block runs."""
    stop = threading.Event()
    thread = threading.Thread(target=_run, args=(settings, store_works, stop), name="alerts", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(5.0)


class Notice(msgspec.Struct):
    """What is sent when an alert is raised or resolved.

    Attributes:
        alert: Its name.
        state: What has happened; `test`: nothing, somebody tries the alert out.
        on: What it is about.
        source: The source that it is about; None: the store.
        value: The share, the seconds, or the observations dropped.
        time: When, UTC.
        text: The same for people, in one line.
    """

    alert: str
    state: Literal["raised", "resolved", "test"]
    on: str
    source: str | None
    value: float
    time: str
    text: str


class AlertReading(NamedTuple):
    """How an alert stands: whether there is something to tell, and the figure that says so."""

    wrong: bool
    value: float


class SourceActivity:
    """What was heard of one source.

    Args:
        at: The present, in seconds of a clock that only goes on.
        window_s: How many seconds of faces are remembered.
        online: Whether it is there.
    """

    def __init__(self, at: float, window_s: int, online: bool) -> None:
        self._window_s = window_s
        self._seconds: dict[int, Sums] = {}
        self._newest: tuple[str, int] = ("", -1)
        self.online = online
        self.offline_since = at
        self.dropped: int | None = None
        self.dropped_at = -1e9
        self.dropped_by = 0

    def add(self, at: float, observation: Observation) -> None:
        """Count an observation's faces when they were seen; what was sent before is not counted again."""
        if self._newest[0] == observation.session and observation.seq <= self._newest[1]:
            return
        self._newest = (observation.session, observation.seq)
        late_s = max(0.0, (now() - observation.time).total_seconds()) if observation.time else 0.0
        if late_s > self._window_s:
            return  # of a backlog
        self._seconds.setdefault(int(at - late_s), Sums()).count(observation)
        while len(self._seconds) > self._window_s + 1:
            del self._seconds[min(self._seconds)]

    def share(self, at: float, window_s: int, emotion: Emotion) -> tuple[int, float]:
        """Return how many faces there were in a window, and the share of them of which the emotion was named."""
        within = [sums for second, sums in self._seconds.items() if second > at - window_s]
        faces = sum(sums.faces for sums in within)
        return faces, sum(sums.counts[emotion] for sums in within) / faces if faces else 0.0


class AlertMonitor:
    """The alerts and how they stand: what is heard goes in, notices come out.

    Args:
        alerts: What to tell about.
        at: The present, in seconds of a clock that only goes on.
    """

    def __init__(self, alerts: tuple[AlertSettings, ...], at: float) -> None:
        self._alerts = alerts
        self._window_s = max((alert.window_s for alert in alerts), default=1)
        self._seen: OrderedDict[str, SourceActivity] = OrderedDict()
        self._named = {alert.source for alert in alerts if alert.source}
        for name in self._named:
            self._seen[name] = SourceActivity(at, self._window_s, online=False)
        self._store_lost_at: float | None = None
        self._raised: dict[tuple[str, str | None], float] = {}
        self._raised_at: dict[tuple[str, str | None], float] = {}

    def observation(self, at: float, observation: Observation) -> None:
        """Take note of an observation."""
        self._of(at, observation.source).add(at, observation)

    def available(self, at: float, source: str, online: bool) -> None:
        """Take note of whether a source is there; one that is not and never was here is none of ours."""
        if not online and source not in self._seen:
            return
        seen = self._of(at, source)
        if seen.online and not online:
            seen.offline_since = at
        seen.online = online

    def dropped(self, at: float, source: str, count: int) -> None:
        """Take note of how many observations a source's outbox has dropped in all."""
        seen = self._of(at, source)
        if seen.dropped is not None and count > seen.dropped:
            seen.dropped_at, seen.dropped_by = at, count - seen.dropped
        seen.dropped = count

    def store(self, at: float, works: bool) -> None:
        """Take note of whether the store takes what it is given."""
        if works:
            self._store_lost_at = None
        elif self._store_lost_at is None:
            self._store_lost_at = at

    def notices(self, at: float) -> Iterator[tuple[AlertSettings, Notice]]:
        """Yield what has to be told now."""
        for alert in self._alerts:
            about = [None] if alert.on == "store" else [alert.source] if alert.source else list(self._seen)
            for source in about:
                reading = self._read(alert, source, at)
                key = (alert.name, source)
                if reading.wrong and key not in self._raised:
                    if at - self._raised_at.get(key, -1e9) < alert.cooldown_s:
                        continue
                    self._raised[key] = self._raised_at[key] = at
                    yield alert, _notice(alert, "raised", source, reading.value)
                elif not reading.wrong and key in self._raised:
                    del self._raised[key]
                    yield alert, _notice(alert, "resolved", source, reading.value)

    def _read(self, alert: AlertSettings, source: str | None, at: float) -> AlertReading:
        if source is None:
            lasted = 0.0 if self._store_lost_at is None else at - self._store_lost_at
            return AlertReading(self._store_lost_at is not None and lasted >= alert.after_s, round(lasted, 1))
        seen = self._seen[source]
        if alert.on == "offline":
            lasted = 0.0 if seen.online else at - seen.offline_since
            return AlertReading(not seen.online and lasted >= alert.after_s, round(lasted, 1))
        if alert.on == "drops":
            return AlertReading(at - seen.dropped_at < alert.window_s, seen.dropped_by)
        faces, share = seen.share(at, alert.window_s, alert.emotion or "neutral")
        beyond = share > alert.above if alert.above is not None else share < (alert.below or 0)
        return AlertReading(faces >= alert.min_faces and beyond, round(share, 4))

    def _of(self, at: float, source: str) -> SourceActivity:
        if source not in self._seen:
            self._seen[source] = SourceActivity(at, self._window_s, online=True)
            if len(self._seen) > SOURCES:
                oldest = next(name for name in self._seen if name not in self._named)
                del self._seen[oldest]
                for gone in [key for key in (*self._raised, *self._raised_at) if key[1] == oldest]:
                    self._raised.pop(gone, None)
                    self._raised_at.pop(gone, None)
        self._seen.move_to_end(source)
        return self._seen[source]


def _notice(alert: AlertSettings, state: Literal["raised", "resolved"], source: str | None, value: float) -> Notice:
    if alert.on == "share":
        side = f"above {alert.above:.0%}" if alert.above is not None else f"below {alert.below:.0%}"
        what = f"{alert.emotion} is {value:.0%} of the faces of '{source}' in {alert.window_s} s ({side})"
        back = f"{alert.emotion} at '{source}' is not {side} any more"
    elif alert.on == "offline":
        what, back = f"'{source}' has been offline for {value:.0f} s", f"'{source}' is online again"
    elif alert.on == "drops":
        what, back = (
            f"the outbox of '{source}' is full: {value:,.0f} dropped",
            f"the outbox of '{source}' drops no more",
        )
    else:
        what, back = f"the store has been out for {value:.0f} s", "the store works again"
    text = f"{alert.name}: {what if state == 'raised' else back}"
    return Notice(alert.name, state, alert.on, source, value, now().isoformat(), text)


def describe(alert: AlertSettings) -> str:
    """Return what an alert is about, in a few words."""
    if alert.on == "share":
        side = f"above {alert.above:.0%}" if alert.above is not None else f"below {alert.below:.0%}"
        return f"{alert.emotion} {side}"
    return {"offline": f"offline for {alert.after_s:g} s", "drops": "a full outbox"}.get(
        alert.on, f"no store for {alert.after_s:g} s"
    )


def _run(settings: Settings, store_works: Callable[[], bool], stop: threading.Event) -> None:
    """Heed the alerts; where those made on the page change, forget how all stood and begin anew."""
    while not stop.is_set():
        stamp = stamp_of(settings)
        try:
            alerts = all_rules(settings)
        except MienError as error:
            log.warning("the alert rules made on the page are not heeded: %s", error)
            alerts = settings.alert
        changed = _Until(stop, lambda stamp=stamp: stamp_of(settings) != stamp)  # type: ignore[misc]
        if alerts:
            _heed(settings.model_copy(update={"alert": alerts}), store_works, changed)
        while not changed.is_set():
            changed.wait(LOOK_S)


class _Until(threading.Event):
    """An event that is also set once something has changed, which is looked at every LOOK_S.

    Args:
        stop: The other event.
        changed: Says whether something has.
    """

    def __init__(self, stop: threading.Event, changed: Callable[[], bool]) -> None:
        super().__init__()
        self._stop, self._changed, self._looked = stop, changed, time.monotonic()

    def is_set(self) -> bool:
        """Return whether to end."""
        at = time.monotonic()
        if at - self._looked >= LOOK_S and not super().is_set():
            self._looked = at
            if self._changed():
                self.set()
        return super().is_set() or self._stop.is_set()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it is set, and not longer than so many seconds."""
        return self.is_set() or self._stop.wait(timeout) or self.is_set()


def _heed(settings: Settings, store_works: Callable[[], bool], stop: threading.Event) -> None:
    watcher, lock = AlertMonitor(settings.alert, time.monotonic()), threading.Lock()
    hooks = {alert.name: Webhook(alert.webhook.get_secret_value()) for alert in settings.alert if alert.webhook}
    backoff = Backoff(stop, *BACKOFF_S)

    def tell(connection: Connection | None) -> None:
        at = time.monotonic()
        with lock:
            watcher.store(at, store_works())
            notices = list(watcher.notices(at))
        for alert, notice in notices:
            log.warning("%s", notice.text)
            payload = msgspec.json.encode(notice)
            if connection is not None:
                connection.publish(f"{settings.broker.prefix}/alerts/{alert.name}/{notice.source or 'store'}", payload)
            if alert.name in hooks:
                hooks[alert.name].send(payload)

    try:
        while not stop.is_set():
            try:
                connection = _connect(settings, watcher, lock)
            except MienError:  # the forwarder says so; webhooks are sent all the same
                end = time.monotonic() + backoff.next_s()
                while time.monotonic() < end and not stop.is_set():
                    tell(None)
                    stop.wait(TICK_S)
                continue
            backoff.worked()
            while not stop.is_set() and not connection.lost.is_set():
                tell(connection)
                stop.wait(TICK_S)
            connection.close()
    finally:
        for hook in hooks.values():
            hook.close()


def _connect(settings: Settings, watcher: AlertMonitor, lock: threading.Lock) -> Connection:
    holder: list[Connection] = []
    prefix = settings.broker.prefix

    def take(message: Any) -> None:
        source, kind = split_topic(prefix, message.topic)
        if is_source_name(source):
            with lock:
                _note(watcher, source, kind, message.payload)
        for connection in holder:
            connection.acknowledge(message.mid)

    connection = Connection(find_broker(settings), f"mien-alerts-{new_id()[-12:]}", on_message=take)
    holder.append(connection)
    shares = any(alert.on == "share" for alert in settings.alert)
    kinds: list[TopicKind] = ["available", "stats", *(["observations"] if shares else [])]  # type: ignore[list-item]
    try:
        for kind in kinds:
            connection.subscribe(topic(prefix, "+", kind))
    except BrokerError:
        connection.close()
        raise
    return connection


def _note(watcher: AlertMonitor, source: str, kind: str, payload: bytes) -> None:
    at = time.monotonic()
    try:
        if kind == "available":
            watcher.available(at, source, payload == ONLINE)
        elif kind == "stats":
            outbox = decode_message(payload, Stats).outbox
            if outbox is not None and outbox.dropped is not None:
                watcher.dropped(at, source, outbox.dropped)
        else:
            observation = decode(payload)
            if observation.source == source:
                watcher.observation(at, observation)
    except ValueError as error:  # the forwarder sets aside what is no observation
        log.debug("ignored a message of '%s' on %s: %s", source, kind, error)
