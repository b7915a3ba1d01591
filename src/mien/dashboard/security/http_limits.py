"""Connections that take their time: a request's head and body have to be there soon, and one address may hold so many.

Uvicorn waits for a head as long as it takes to come, of any size, and for a body likewise, and a connection that says
nothing may stay. Here each has a deadline and a bound, so that who opens many and says little (a slow-loris attack)
keeps nobody else out, nor the server from stopping.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from mien.dashboard.security.guard import is_loopback
from mien.dashboard.security.proxies import Proxies
from mien.dashboard.security.rate_limits import network

__all__ = ["WithoutCancelled", "bounded"]

HEAD_S = 10.0
"""So long a request's head may take, from the connection's beginning or its own first byte."""

HEAD_BYTES = 1 << 16
"""So long it may be."""

BODY_S = 30.0
"""So long a body may take, from its head's end, …"""

BODY_BYTES_S = 4096
"""… and longer by a second for each so many bytes that have come: an upload may be large, but not trickle."""

LOOKS = 20
"""So often within that time it is looked whether a body goes on."""

MOST_OF_ONE = 250
"""So many connections an address may hold, each open page one; this machine and trusted proxies any number."""

ANSWERS = {408: b"408 Request Timeout", 431: b"431 Request Header Fields Too Large"}


class WithoutCancelled(logging.Filter):
    """Keeps requests that a stopping server gave up out of its log: they are no errors."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether a record is to be logged."""
        kind = record.exc_info[0] if record.exc_info else None
        return kind is None or not issubclass(kind, asyncio.CancelledError)


def bounded(
    proxies: Proxies, head_s: float = HEAD_S, most: int = MOST_OF_ONE, body_s: float = BODY_S
) -> type[asyncio.Protocol]:
    """Return the protocol of a server's connections.

    Args:
        proxies: Who may hold any number of them, for others.
        head_s: How long a request's head may take, in seconds.
        most: How many connections an address that is not this machine's may hold.
        body_s: How long a request's body may take, in seconds; longer where much of it comes.
    """
    held: Counter[str] = Counter()

    class Bounded(HttpToolsProtocol):
        _deadline: asyncio.TimerHandle | None = None
        _received = 0
        _address = ""
        _body: asyncio.TimerHandle | None = None
        _body_began = 0.0
        _body_received = 0

        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(transport)  # type: ignore[arg-type]
            address = self.client[0] if self.client else ""
            if address and not is_loopback(address) and not proxies.trusts(address):
                self._address = network(address)
                held[self._address] += 1
            if held[self._address] > most:
                self.transport.abort()
                return
            self._expect()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self._received += len(data)
            if self._deadline is not None and self._received > HEAD_BYTES:
                self._refuse(431)

        def on_message_begin(self) -> None:
            super().on_message_begin()
            if self._deadline is None:
                self._expect()

        def on_headers_complete(self) -> None:
            self._met()
            super().on_headers_complete()
            self._body_began, self._body_received = self.loop.time(), 0
            self._body = self.loop.call_later(body_s / LOOKS, self._look)

        def on_body(self, body: bytes) -> None:
            super().on_body(body)
            self._body_received += len(body)

        def on_message_complete(self) -> None:
            self._whole()
            super().on_message_complete()

        def shutdown(self) -> None:
            if self._body is not None:  # nobody knows whether the rest will ever come
                self._whole()
                self.transport.close()
            else:
                super().shutdown()

        def _unsupported_upgrade_warning(self) -> None:
            """Say nothing: there are no WebSockets here, and who asks for one is no business of the log."""

        def connection_lost(self, exc: Exception | None) -> None:
            self._met()
            self._whole()
            self._release()
            super().connection_lost(exc)

        def _expect(self) -> None:
            self._received = 0
            self._deadline = self.loop.call_later(head_s, self._refuse, 408)

        def _met(self) -> None:
            if self._deadline is not None:
                self._deadline.cancel()
            self._deadline = None

        def _look(self) -> None:
            """Refuse a body that does not come on; while nobody takes what came, that is not its sender's fault."""
            if self.flow.read_paused:
                self._body_began += body_s / LOOKS
            if self.loop.time() > self._body_began + body_s + self._body_received / BODY_BYTES_S:
                self._refuse(408)
            else:
                self._body = self.loop.call_later(body_s / LOOKS, self._look)

        def _whole(self) -> None:
            if self._body is not None:
                self._body.cancel()
            self._body = None

        def _refuse(self, status: int) -> None:
            in_answer = self._body is not None and (self.pipeline or self.cycle.response_started)
            self._met()
            self._whole()
            if self._received and not in_answer:  # who said nothing is told nothing
                self.transport.write(
                    b"HTTP/1.1 " + ANSWERS[status] + b"\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
                )
            self.transport.close()

        def _release(self) -> None:
            if self._address:
                held[self._address] -= 1
                if held[self._address] <= 0:
                    del held[self._address]
            self._address = ""

    return Bounded
