"""Ports for what tests start: below those that outgoing connections take, so that none of these is there first."""

from __future__ import annotations

import random
import socket

__all__ = ["unused_port"]


def unused_port() -> int:
    """Return a port of this machine that nothing listens on."""
    while True:
        port = random.SystemRandom().randrange(10_000, 32_000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
