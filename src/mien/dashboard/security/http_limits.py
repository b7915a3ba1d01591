"""Connections that take their time: a request's head has to be there soon, and one address may hold so many.

Uvicorn waits for a head as long as it takes to come, of any size, and a connection that says nothing may stay. Here
each has a deadline and a bound, so that who opens many and says little (a slow-loris attack) keeps nobody else out.
"""

from __future__ import annotations

import asyncio
from collections import Counter

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from mien.dashboard.security.guard import is_loopback
from mien.dashboard.security.rate_limits import network

__all__ = ["bounded"]

HEAD_S = 10.0
"""So long a request's head may take, from the connection's beginning or its own first byte."""

HEAD_BYTES = 1 << 16
"""So long it may be."""

MOST_OF_ONE = 250
"""So many connections an address may hold, each open page one; this machine, where a proxy may be, any number."""

ANSWERS = {408: b"408 Request Timeout", 431: b"431 Request Header Fields Too Large"}


def bounded(head_s: float = HEAD_S, most: int = MOST_OF_ONE) -> type[asyncio.Protocol]:
    """Return the protocol of a server's connections.

    Args:
        head_s: How long a request's head may take, in seconds.
        most: How many connections an address that is not this machine's may hold.
    """
    held: Counter[str] = Counter()

    class Bounded(HttpToolsProtocol):
        _deadline: asyncio.TimerHandle | None = None
        _received = 0
        _address = ""

        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(transport)  # type: ignore[arg-type]
            address = self.client[0] if self.client else ""
            if address and not is_loopback(address):
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

        def _unsupported_upgrade_warning(self) -> None:
            """Say nothing: there are no WebSockets here, and who asks for one is no business of the log."""

        def connection_lost(self, exc: Exception | None) -> None:
            self._met()
            self._release()
            super().connection_lost(exc)

        def _expect(self) -> None:
            self._received = 0
            self._deadline = self.loop.call_later(head_s, self._refuse, 408)

        def _met(self) -> None:
            if self._deadline is not None:
                self._deadline.cancel()
            self._deadline = None

        def _refuse(self, status: int) -> None:
            self._met()
            if self._received:  # who said nothing is told nothing
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
