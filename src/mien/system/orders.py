"""A worker process and who started it: orders come in on standard input, events go out on standard output, as JSON.

When standard input ends, nobody waits for the work any more.
"""

from __future__ import annotations

import io
import os
import sys
import threading
import time as clock
from typing import Any, BinaryIO

import msgspec

__all__ = ["end_when_left", "send", "send_or_end", "take_over"]


def take_over() -> tuple[io.FileIO, BinaryIO]:
    """Return where orders come from and events go to; what libraries print goes to standard error from now on."""
    out = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return io.FileIO(sys.stdin.fileno(), closefd=False), out  # it has no lock that a thread could hold to the end


def send(out: BinaryIO, event: Any) -> None:
    """Send an event, a msgspec struct.

    Raises:
        BrokenPipeError: Nobody listens.
    """
    out.write(msgspec.json.encode(event) + b"\n")
    out.flush()


def send_or_end(out: BinaryIO, event: Any) -> None:
    """Send an event, a msgspec struct; end the process where nobody waits for the work any more."""
    try:
        send(out, event)
    except BrokenPipeError:
        os._exit(1)


def end_when_left(orders: io.FileIO, stop: threading.Event, patience_s: float) -> None:
    """Set `stop`, on a thread of its own, once nobody waits for the work; end the process so many seconds later."""

    def listen() -> None:
        while orders.read(1):
            pass
        stop.set()
        clock.sleep(patience_s)
        os._exit(1)

    threading.Thread(target=listen, daemon=True).start()
