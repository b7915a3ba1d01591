"""Connections that say little or too much, against a real server on real sockets."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import uvicorn

from mien.dashboard.security import http_limits as connections
from mien.dashboard.security.http_limits import HEAD_BYTES, bounded
from mien.dashboard.security.proxies import Proxies

ASK = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
UPGRADE = (
    b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
HEAD_S = 3.0
BODY_S = 2.0


gone: list[str] = []
"""The paths of requests whose body never came whole."""


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Answer; /slow after twice as long as a head may take."""
    assert scope["type"] == "http"
    if scope["path"] == "/slow":
        await asyncio.sleep(2 * HEAD_S)
    if scope["method"] == "POST":
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                gone.append(scope["path"])
                return
            if not message.get("more_body"):
                break
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


class Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@pytest.fixture
def connect() -> Iterator[Callable[[], socket.socket]]:
    """Connect to a server that waits three seconds for a head, and lets one address hold three connections."""
    config = uvicorn.Config(
        app,
        log_config=None,
        http=bounded(Proxies(), HEAD_S, 3, BODY_S),
        lifespan="off",
        timeout_keep_alive=60,
        ws="none",
        timeout_graceful_shutdown=1,
    )
    opened: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = Server(config)
        thread = threading.Thread(target=lambda: asyncio.run(server.serve([listening])))
        thread.start()

        def connection() -> socket.socket:
            opened.append(socket.create_connection(listening.getsockname(), timeout=60))
            return opened[-1]

        yield connection
        for one in opened:
            one.close()
        server.should_exit = True
        thread.join(60)


def to_the_end(connection: socket.socket) -> bytes:
    """Return what comes until the other side closes."""
    parts = []
    try:
        while part := connection.recv(4096):
            parts.append(part)
    except ConnectionResetError:
        pass
    return b"".join(parts)


def answered(connection: socket.socket) -> bool:
    """Return whether an answer came whole."""
    answer = b""
    while not answer.endswith(b"ok") and (part := connection.recv(4096)):
        answer += part
    return answer.startswith(b"HTTP/1.1 200 ") and answer.endswith(b"ok")


def test_a_head_that_trickles_is_refused_and_silence_is_closed(connect: Callable[[], socket.socket]) -> None:
    began = time.monotonic()
    silent, slow = connect(), connect()
    slow.settimeout(0.1)
    answer = b""
    slow.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n")
    while not answer and time.monotonic() - began < 60:
        slow.sendall(b"X-Slow: 1\r\n")
        try:
            answer = slow.recv(4096)
        except TimeoutError:
            continue
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert to_the_end(silent) == b""
    assert time.monotonic() - began >= HEAD_S


def test_answers_may_take_longer_and_each_head_has_its_own_time(connect: Callable[[], socket.socket]) -> None:
    patient = connect()
    for _ in range(2):
        patient.sendall(ASK.replace(b"/ ", b"/slow "))
        assert answered(patient)
    patient.settimeout(60)
    patient.sendall(ASK[:20])
    assert b" 408 " in to_the_end(patient)


def test_who_asks_for_a_websocket_gets_an_answer_and_no_word_in_the_log(
    connect: Callable[[], socket.socket], caplog: pytest.LogCaptureFixture
) -> None:
    asking = connect()
    asking.sendall(UPGRADE)
    assert answered(asking)
    assert not caplog.records


def test_a_head_without_end_is_refused(connect: Callable[[], socket.socket]) -> None:
    endless = connect()
    began = time.monotonic()
    endless.sendall(b"GET / HTTP/1.1\r\n" + b"X-Long: " + b"x" * HEAD_BYTES)
    answer = to_the_end(endless)
    if answer:  # on a busy machine what was sent last may meet a closed door, which takes the answer away
        assert b" 431 " in answer or time.monotonic() - began >= HEAD_S


def test_one_address_holds_so_many(connect: Callable[[], socket.socket], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "is_loopback", lambda _: False)

    def answers(connection: socket.socket) -> bool:
        try:
            connection.sendall(ASK)
            return answered(connection)
        except OSError:
            return False

    held = [connect() for _ in range(3)]
    assert all(answers(one) for one in held)
    assert not answers(connect())
    held[0].close()
    end = time.monotonic() + 60
    while not answers(connect()):
        assert time.monotonic() < end


def post(path: str, length: int) -> bytes:
    return f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n".encode()


def test_a_body_that_does_not_come_or_trickles_is_refused(connect: Callable[[], socket.socket]) -> None:
    began = time.monotonic()
    silent, slow = connect(), connect()
    silent.sendall(post("/silent", 10))
    slow.sendall(post("/trickle", 1000))
    slow.settimeout(0.1)
    answer = b""
    while not answer and time.monotonic() - began < 60:
        slow.sendall(b"x")
        try:
            answer = slow.recv(4096)
        except TimeoutError:
            continue
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert to_the_end(silent).startswith(b"HTTP/1.1 408 ")
    assert time.monotonic() - began >= BODY_S
    end = time.monotonic() + 60
    while not {"/silent", "/trickle"} <= set(gone):  # the application hears of it
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_body_that_comes_on_may_take_longer_and_the_next_has_its_own_time(
    connect: Callable[[], socket.socket],
) -> None:
    steady = connect()
    for _ in range(2):
        began = time.monotonic()
        steady.sendall(post("/steady", 20 * 4096))
        for _ in range(20):
            steady.sendall(b"x" * 4096)
            time.sleep(1.5 * BODY_S / 20)
        assert answered(steady)
        assert time.monotonic() - began > BODY_S
        steady.sendall(ASK)
        assert answered(steady)


def test_stopping_waits_for_no_body_and_logs_no_error(caplog: pytest.LogCaptureFixture) -> None:
    config = uvicorn.Config(app, log_config=None, http=bounded(Proxies()), lifespan="off", timeout_graceful_shutdown=60)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = Server(config)
        thread = threading.Thread(target=lambda: asyncio.run(server.serve([listening])))
        thread.start()
        with socket.create_connection(listening.getsockname(), timeout=60) as unfinished:
            unfinished.sendall(post("/unfinished", 10) + b"half")
            while not server.server_state.tasks:
                time.sleep(0.01)
            began = time.monotonic()
            server.should_exit = True
            thread.join(60)
            assert time.monotonic() - began < 30
    assert "/unfinished" in gone
    assert not [record for record in caplog.records if record.levelname == "ERROR"]
