"""How the built-in broker is: asked of the NATS server itself, in its own protocol; its answers come out as facts.

The server's log is no source for a decision: who may not even log in writes user names and client ids into it. The
questions go to the server's system account, which has a user and a password of its own, known to this process alone.
"""

from __future__ import annotations

import json
import socket
import time
from contextlib import suppress

import msgspec

__all__ = ["Probe", "ServerHealth"]

ANSWER_S = 2.0
"""So long the server may take to answer, in seconds; one that takes longer has told nothing."""

LINE_BYTES = 1 << 16
"""So long a line of the server may be, and an answer."""

INBOX = b"mien.health"


class ServerHealth(msgspec.Struct, frozen=True):
    """What the server says of itself.

    Attributes:
        writes: Whether what it is sent can still be written to its disk.
        full: Whether what waits in it has reached the bound that it was given.
    """

    writes: bool
    full: bool


class _Status(msgspec.Struct):
    status: str


class _Bounds(msgspec.Struct):
    max_memory: int
    max_storage: int


class _Use(msgspec.Struct):
    memory: int = 0
    storage: int = 0
    config: _Bounds | None = None
    disabled: bool = False


class _StatusAnswer(msgspec.Struct):
    data: _Status


class _UseAnswer(msgspec.Struct):
    data: _Use


class _Info(msgspec.Struct):
    server_id: str


class Probe:
    """Asks a server how it is; the connection stays open, so that others who fill the server do not shut it out.

    Args:
        port: Where the server listens for its own protocol, on 127.0.0.1.
        username: The system account's user.
        password: Its password.
    """

    def __init__(self, port: int, username: str, password: str) -> None:
        self._port, self._username, self._password = port, username, password
        self._socket: socket.socket | None = None
        self._kept = b""
        self._server = ""
        self._asked = 0

    def ask(self) -> ServerHealth | None:
        """Return how the server is; None: it does not answer."""
        try:
            if self._socket is None:
                self._connect()
            status = msgspec.json.decode(self._answer("HEALTHZ"), type=_StatusAnswer).data
            use = msgspec.json.decode(self._answer("JSZ"), type=_UseAnswer).data
        except (OSError, ValueError, msgspec.MsgspecError):
            self.close()
            return None
        writes = status.status == "ok" and not use.disabled
        if use.config is None:
            return ServerHealth(writes=writes, full=False)
        full = use.storage > use.config.max_storage or use.memory > use.config.max_memory
        return ServerHealth(writes=writes, full=full)

    def close(self) -> None:
        """End the connection."""
        if self._socket is not None:
            with suppress(OSError):
                self._socket.close()
        self._socket = None

    def _connect(self) -> None:
        self._kept = b""
        self._socket = socket.create_connection(("127.0.0.1", self._port), timeout=ANSWER_S)
        end = time.monotonic() + ANSWER_S
        greeting = self._line(end)
        if not greeting.startswith(b"INFO "):
            raise ValueError("this is no NATS server")
        self._server = msgspec.json.decode(greeting[5:], type=_Info).server_id
        login = {"user": self._username, "pass": self._password, "verbose": False, "pedantic": False, "protocol": 1,
                 "lang": "python", "version": "1", "name": "mien broker"}  # fmt: skip
        self._send(b"CONNECT " + json.dumps(login).encode() + b"\r\nSUB " + INBOX + b".* 1\r\n")

    def _answer(self, question: str) -> bytes:
        """Return what the server answers to one question of its system account."""
        self._asked += 1
        inbox = b"%s.%d" % (INBOX, self._asked)
        self._send(b"PUB $SYS.REQ.SERVER.%s.%s %s 0\r\n\r\n" % (self._server.encode(), question.encode(), inbox))
        end = time.monotonic() + ANSWER_S
        while True:
            line = self._line(end)
            if line == b"PING":
                self._send(b"PONG\r\n")
            elif line.startswith(b"-ERR"):
                raise ValueError("the server refuses")
            elif line.startswith(b"MSG "):
                fields = line.split()
                size = int(fields[-1])
                if not 0 <= size <= LINE_BYTES:
                    raise ValueError("an answer is too long")
                payload = self._bytes(size + 2, end)[:size]
                if fields[1] == inbox:  # not one that came too late
                    return payload

    def _send(self, data: bytes) -> None:
        self._open().sendall(data)

    def _line(self, end: float) -> bytes:
        while b"\r\n" not in self._kept:
            if len(self._kept) > LINE_BYTES:
                raise ValueError("a line is too long")
            self._receive(end)
        line, _, self._kept = self._kept.partition(b"\r\n")
        return line.strip()

    def _bytes(self, size: int, end: float) -> bytes:
        while len(self._kept) < size:
            self._receive(end)
        data, self._kept = self._kept[:size], self._kept[size:]
        return data

    def _receive(self, end: float) -> None:
        opened = self._open()
        opened.settimeout(max(0.01, end - time.monotonic()))
        if time.monotonic() > end or not (data := opened.recv(LINE_BYTES)):
            raise OSError("the server does not answer")
        self._kept += data

    def _open(self) -> socket.socket:
        if self._socket is None:
            raise OSError("there is no connection")
        return self._socket
