"""How a forwarder is doing: its state goes in, HTTP answers on this machine come out.

`/metrics` is for Prometheus, `/health` for whoever restarts what does not work.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

from mien.errors import MienError
from mien.system.prometheus import CONTENT_TYPE, Kind, Sample, exposition

__all__ = ["State", "serve"]

HOST = "127.0.0.1"
PATIENCE_S = 5.0


class State(NamedTuple):
    """What a forwarder says of itself.

    Attributes:
        stored: Observations that the store did not have.
        known: Observations that it had, or that it refuses.
        late: Observations in this store that came after raw rows of their time had been deleted, within a minute.
        refused: Observations that this store did not take, since they are of a time that was erased, within a minute.
        dead: Messages set aside as dead letters.
        dropped: Dead letters that have made room for newer ones in this store, within a minute.
        markers: Markers that came by MQTT and were kept.
        markers_refused: Messages on that topic that were none, or too many.
        waiting: Messages that came and wait for their commit.
        connected: Whether there is a broker.
        store_works: Whether the newest commit was done.
        committed_at: When that was, in seconds since 1970; 0: not yet.
        clock_is_wrong: Whether the machine's clock shows another time than what has passed tells.
        reason: Why there is no broker, or what may be wrong when nothing comes from it; else empty.
    """

    stored: int
    known: int
    late: int
    refused: int
    dead: int
    dropped: int
    markers: int
    markers_refused: int
    waiting: int
    connected: bool
    store_works: bool
    committed_at: float
    clock_is_wrong: bool
    reason: str


METRICS: dict[str, tuple[str, Kind, str]] = {
    "stored": ("mien_forwarder_stored_total", "counter", "Observations that the store did not have."),
    "known": ("mien_forwarder_known_total", "counter", "Observations that the store had, or that it refuses."),
    "late": (
        *("mien_forwarder_late_total", "counter"),
        "Observations in the store that came after raw rows of their time had been deleted, counted once a minute.",
    ),
    "refused": (
        *("mien_forwarder_refused_total", "counter"),
        "Observations that the store did not take, of times that were erased, counted once a minute.",
    ),
    "dead": ("mien_forwarder_dead_letters_total", "counter", "Messages set aside as dead letters."),
    "dropped": (
        *("mien_forwarder_dead_letters_dropped_total", "counter"),
        "Dead letters that made room for newer ones in the store, counted once a minute.",
    ),
    "markers": ("mien_forwarder_markers_total", "counter", "Markers that came by MQTT and were kept."),
    "markers_refused": (
        *("mien_forwarder_markers_refused_total", "counter"),
        "Messages on the topics of markers that were none, or too many.",
    ),
    "waiting": ("mien_forwarder_waiting_messages", "gauge", "Messages that wait for their commit."),
    "connected": ("mien_forwarder_broker_connected", "gauge", "Whether there is a broker."),
    "store_works": ("mien_forwarder_store_works", "gauge", "Whether the newest commit was done."),
    "committed_at": ("mien_forwarder_committed_timestamp_seconds", "gauge", "When the newest commit was done."),
    "clock_is_wrong": (
        *("mien_forwarder_clock_wrong", "gauge"),
        "Whether the machine's clock shows another time than what has passed tells.",
    ),
}


@contextmanager
def serve(port: int | None, state: Callable[[], State]) -> Iterator[None]:
    """Answer on a port of this machine as long as the block runs; without a port do nothing.

    Raises:
        MienError: The port is in use.
    """
    if port is None:
        yield
        return
    handler = type("Handler", (_Handler,), {"state": staticmethod(state)})
    try:
        server = ThreadingHTTPServer((HOST, port), handler)
    except OSError as error:
        raise MienError(
            f"cannot listen on {HOST}:{port} ({error.strerror}): name another port by forward.metrics_port"
        ) from error
    thread = threading.Thread(target=server.serve_forever, args=(0.1,), name="metrics", daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    state: Callable[[], State]
    timeout = PATIENCE_S
    server_version, sys_version = "mien", ""

    def do_GET(self) -> None:
        now = self.state()
        if self.path == "/metrics":
            metrics = {name: (kind, text) for name, kind, text in METRICS.values()}
            samples: list[Sample] = [(name, {}, getattr(now, field)) for field, (name, *_) in METRICS.items()]
            self._answer(HTTPStatus.OK, CONTENT_TYPE, exposition(metrics, samples))
        elif self.path == "/health":
            wrong = [text for text, well in (("no broker", now.connected), ("no store", now.store_works)) if not well]
            code = HTTPStatus.SERVICE_UNAVAILABLE if wrong else HTTPStatus.OK
            lost = {"dead_letters": now.dead, "dropped_dead_letters": now.dropped, "refused": now.refused}
            health = {"status": ", ".join(wrong) or "ok", "reason": now.reason, **lost}
            self._answer(code, "application/json", json.dumps(health).encode())
        else:
            self._answer(HTTPStatus.NOT_FOUND, "text/plain; charset=utf-8", b"there are /metrics and /health\n")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Say nothing of requests."""

    def _answer(self, code: HTTPStatus, kind: str, payload: bytes) -> None:
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)
