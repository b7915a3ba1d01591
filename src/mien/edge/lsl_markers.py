"""Markers out of the Lab Streaming Layer: a stream of events goes in, markers on a source's topic come out.

A stimulus player that speaks LSL says when something was shown; the time of each event is carried over from LSL's clock
to UTC. A forwarder with `forward.markers` keeps what is published.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from mien.config import Settings
from mien.edge.lsl import lsl_library, peers
from mien.errors import BrokerError
from mien.mqtt.broker import find_broker
from mien.mqtt.connection import Connection
from mien.mqtt.markers import publish_marker
from mien.observation import new_id, now

__all__ = ["STREAM_TYPE", "run_markers"]

log = logging.getLogger(__name__)

STREAM_TYPE = "Markers"
"""The content type of such streams, as XDF has it."""

WAITING = 1000
"""So many markers wait for a broker that is away; then the oldest are dropped."""

LONGEST = 200
"""So many characters a label has at most."""

SEARCH_S, WAIT_S = 1.0, 0.2


def run_markers(
    settings: Settings, source: str, stop: threading.Event, *, stream: str | None = None, everywhere: bool = False
) -> None:
    """Publish the events of an LSL stream of markers until `stop` is set.

    Args:
        settings: Where the broker is, and whether LSL may look beyond this machine.
        source: Which source the moments are about.
        stop: Ends it.
        stream: The stream's name; None: the first of the type `Markers`.
        everywhere: The moments are about all sources.

    Raises:
        MissingExtraError: pylsl is not installed.
        MienError: liblsl is not.
    """
    pylsl = lsl_library(network=settings.watch.lsl_network)
    sender = _Sender(settings, source, everywhere=everywhere)
    try:
        while not stop.is_set():
            offered = [info for info in pylsl.resolve_streams(SEARCH_S) if info.type() == STREAM_TYPE]
            chosen = next((info for info in offered if stream in (None, info.name())), None)
            if chosen is None:
                continue
            with suppress(pylsl.util.LostError, pylsl.util.TimeoutError, TimeoutError):
                _take(pylsl, chosen, sender, stop, network=settings.watch.lsl_network)
                continue
            log.warning("the LSL stream '%s' is lost; it is looked for again", _label([chosen.name()]))
    finally:
        sender.close()


def _take(pylsl: Any, info: Any, sender: _Sender, stop: threading.Event, *, network: bool) -> None:
    before = peers()
    inlet = pylsl.StreamInlet(info, recover=False)
    try:
        inlet.open_stream(timeout=10)
        name = _label([info.name()])
        if not network and any(not host.startswith("127.") for key, host in peers().items() if key not in before):
            log.warning("the LSL stream '%s' is none of this machine's and is left alone; see watch.lsl_network", name)
            stop.wait(SEARCH_S)
            return
        log.info("taking markers from the LSL stream '%s' of %s", name, _label([info.hostname()]))
        ahead = inlet.time_correction(timeout=10) if network else 0.0
        while not stop.is_set():
            sample, at = inlet.pull_sample(timeout=WAIT_S)
            if sample is not None and (label := _label(sample)):
                sender.send(label, now() - timedelta(seconds=pylsl.local_clock() - at - ahead))
            sender.flush()
    finally:
        inlet.close_stream()


def _label(values: list[Any]) -> str:
    """Return a sample's values as one printable line."""
    line = " ".join(" ".join(str(value) for value in values).split())
    return "".join(letter if letter.isprintable() else "?" for letter in line)[:LONGEST]


class _Sender:
    """Publishes markers, and holds those that come while the broker is away."""

    def __init__(self, settings: Settings, source: str, *, everywhere: bool) -> None:
        self._settings, self._source, self._everywhere = settings, source, everywhere
        self._waiting: deque[tuple[str, datetime]] = deque(maxlen=WAITING)
        self._connection: Connection | None = None
        self._told = False

    def send(self, label: str, time: datetime) -> None:
        self._waiting.append((label, time))

    def flush(self) -> None:
        if not self._waiting:
            return
        connection = self._connected()
        while connection and self._waiting and not connection.lost.is_set():
            label, time = self._waiting.popleft()
            prefix = self._settings.broker.prefix
            publish_marker(connection, prefix, self._source, label, time=time, everywhere=self._everywhere)

    def close(self) -> None:
        self.flush()
        if self._connection:
            self._connection.close()

    def _connected(self) -> Connection | None:
        """Return the connection, made anew where there is none; None: there is no broker now."""
        if self._connection is None or self._connection.lost.is_set():
            self._connection = None
            try:
                self._connection = Connection(find_broker(self._settings), f"mien-markers-{new_id()}")
                self._told = False
            except BrokerError as error:
                if not self._told:
                    log.warning("markers wait for the broker: %s", error)
                self._told = True
        return self._connection
