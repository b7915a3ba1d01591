"""A TCP proxy that stands for distance: what comes in goes on some milliseconds later, in order and at any rate."""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
from typing import Any

__all__ = ["Distance"]

PIECE = 1 << 18


class Distance:
    """A proxy on a free port of this machine, in a process of its own; `close` ends it.

    Args:
        target: The port on this machine that it leads to.
        delay_s: How much later everything arrives, one way, in seconds; an answer comes twice as late.

    Attributes:
        port: Where it listens.
    """

    def __init__(self, target: int, delay_s: float) -> None:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        self._process = context.Process(target=_run, args=(target, delay_s, theirs), daemon=True)
        self._process.start()
        self.port: int = ours.recv()

    def close(self) -> None:
        """End all that goes through."""
        self._process.terminate()
        self._process.join()


def _run(target: int, delay_s: float, port: Any) -> None:
    asyncio.run(_serve(target, delay_s, port))


async def _serve(target: int, delay_s: float, port: Any) -> None:
    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there = await asyncio.open_connection("127.0.0.1", target, limit=PIECE)
        await asyncio.gather(_pump(reader, there[1], delay_s), _pump(there[0], writer, delay_s))

    server = await asyncio.start_server(accept, "127.0.0.1", 0, limit=PIECE)
    port.send(server.sockets[0].getsockname()[1])
    await server.serve_forever()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay_s: float) -> None:
    """Pass pieces on, each so much later than it came; what comes meanwhile is on its way too."""
    loop = asyncio.get_running_loop()
    under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(1000)

    async def deliver() -> None:
        while True:
            due, piece = await under_way.get()
            await asyncio.sleep(due - loop.time())
            if not piece:
                writer.close()
                return
            writer.write(piece)
            await writer.drain()

    delivering = asyncio.create_task(deliver())
    with contextlib.suppress(OSError):
        while piece := await reader.read(PIECE):
            await under_way.put((loop.time() + delay_s, piece))
    with contextlib.suppress(OSError):
        await under_way.put((loop.time() + delay_s, b""))
        await delivering
