"""Telling what was asked to be told: what sources publish goes in, alerts on MQTT and to webhooks come out.

It has a connection and a thread of its own, so that nothing here can hold up what is being stored.
"""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec

from mien.config import Settings
from mien.errors import BrokerError, MienError
from mien.forward.alerts import Watcher
from mien.forward.webhook import Webhook
from mien.mqtt.broker import find_broker
from mien.mqtt.connection import Connection
from mien.observation import TopicKind, decode, new_id, topic

__all__ = ["alerting"]

log = logging.getLogger(__name__)

TICK_S = 0.5
BACKOFF_S = (0.2, 10.0)
SOURCE = re.compile("[a-z0-9_-]{1,64}")


class Stats(msgspec.Struct):
    """What alerts need of a source's statistics."""

    class Outbox(msgspec.Struct):
        """The outbox's part."""

        dropped: int

    outbox: Outbox


@contextmanager
def alerting(settings: Settings, store_works: Callable[[], bool]) -> Iterator[None]:
    """Heed the alerts of the settings as long as the block runs; without any, do nothing."""
    if not settings.alert:
        yield
        return
    stop = threading.Event()
    thread = threading.Thread(target=_run, args=(settings, store_works, stop), name="alerts", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(5.0)


def _run(settings: Settings, store_works: Callable[[], bool], stop: threading.Event) -> None:
    watcher, lock = Watcher(settings.alert, time.monotonic()), threading.Lock()
    hooks = {alert.name: Webhook(alert.webhook.get_secret_value()) for alert in settings.alert if alert.webhook}
    wait_s = BACKOFF_S[0]

    def tell(connection: Connection | None) -> None:
        at = time.monotonic()
        with lock:
            watcher.store(at, store_works())
            found = list(watcher.notices(at))
        for alert, notice in found:
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
            except (
                MienError
            ):  # also an account's file that is being replaced; the forwarder says so; webhooks are told all the same
                end = time.monotonic() + wait_s
                while time.monotonic() < end and not stop.is_set():
                    tell(None)
                    stop.wait(TICK_S)
                wait_s = min(wait_s * 2, BACKOFF_S[1])
                continue
            wait_s = BACKOFF_S[0]
            while not stop.is_set() and not connection.lost.is_set():
                tell(connection)
                stop.wait(TICK_S)
            connection.close()
    finally:
        for hook in hooks.values():
            hook.close()


def _connect(settings: Settings, watcher: Watcher, lock: threading.Lock) -> Connection:
    holder: list[Connection] = []
    prefix = settings.broker.prefix

    def take(message: Any) -> None:
        source, _, kind = message.topic.removeprefix(f"{prefix}/").partition("/")
        if SOURCE.fullmatch(source):
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


def _note(watcher: Watcher, source: str, kind: str, payload: bytes) -> None:
    at = time.monotonic()
    try:
        if kind == "available":
            watcher.available(at, source, payload == b"online")
        elif kind == "stats":
            watcher.dropped(at, source, msgspec.json.decode(payload, type=Stats).outbox.dropped)
        else:
            one = decode(payload)
            if one.source == source:
                watcher.observation(at, one)
    except (ValueError, RecursionError):
        pass  # the forwarder sets aside what is no observation
