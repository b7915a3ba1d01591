"""A TCP link that can be made bad: what comes in at its port goes on to another, unless told otherwise."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import Any

MODES = ("pass", "delay", "swallow", "refuse")


class Link:
    """A proxy on a free port of this machine.

    Attributes:
        port: Where it listens.
        mode: `pass`; `delay`: each piece comes late; `swallow`: nothing goes through, and nobody is told;
            `refuse`: connections are reset.
    """

    def __init__(self, target: int) -> None:
        self._target = target
        self.mode = "pass"
        self.delay_s = 0.3
        self._cut_in_packet = False
        self._writers: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        server = self._do(asyncio.start_server, self._accept, "127.0.0.1", 0)
        self.port = int(server.sockets[0].getsockname()[1])

    def set(self, mode: str) -> None:
        """Change the mode; what was swallowed is lost, so its connections are reset when that ends."""
        assert mode in MODES
        before, self.mode = self.mode, mode
        if mode == "refuse" or before == "swallow":
            self._loop.call_soon_threadsafe(self._reset)

    def cut(self) -> None:
        """Reset all connections now."""
        self._loop.call_soon_threadsafe(self._reset)

    def cut_in_packet(self) -> None:
        """Let half of the next piece through and reset all connections then."""
        self._cut_in_packet = True

    def _do(self, call: Callable[..., Any], *arguments: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(call(*arguments), self._loop).result()

    def _reset(self) -> None:
        for writer in list(self._writers):
            writer.transport.abort()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.mode == "refuse":
            writer.transport.abort()
            return
        try:
            there = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            return
        both = {writer, there[1]}
        self._writers |= both
        await asyncio.gather(self._pump(reader, there[1]), self._pump(there[0], writer))
        self._writers -= both

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while piece := await reader.read(65536):
                if self.mode == "swallow":
                    continue
                if self.mode == "delay":
                    await asyncio.sleep(self.delay_s)
                if self._cut_in_packet and len(piece) > 1:
                    self._cut_in_packet = False
                    writer.write(piece[: len(piece) // 2])
                    await writer.drain()
                    await asyncio.sleep(0.05)
                    self._reset()
                    break
                writer.write(piece)
                await writer.drain()
        with contextlib.suppress(OSError):
            writer.close()
