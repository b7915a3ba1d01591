"""How often somebody may ask, and how often somebody may be wrong about a password."""

from __future__ import annotations

import ipaddress
import time as clock
from collections import OrderedDict, deque
from collections.abc import Callable

__all__ = ["Attempts", "Rate", "network"]

MOST_KEYS = 10_000
"""So many callers are remembered at most; who was there longest ago is forgotten first."""


class Rate:
    """A bound on requests: so many a second, and as many again as five seconds bring at once.

    Args:
        per_s: How many a second.
        now: The time in seconds.
    """

    def __init__(self, per_s: float, now: Callable[[], float] = clock.monotonic) -> None:
        self._per_s, self._most, self._now = per_s, max(5 * per_s, 1.0), now
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait(self, key: str) -> float:
        """Count a request, and return how long to wait with it, in seconds; 0: not at all."""
        now = self._now()
        left, at = self._left.pop(key, (self._most, now))
        left = min(self._most, left + (now - at) * self._per_s)
        allowed = left >= 1
        self._left[key] = (left - 1 if allowed else left, now)
        while len(self._left) > MOST_KEYS:
            self._left.popitem(last=False)
        return 0.0 if allowed else (1 - left) / self._per_s


class Attempts:
    """A bound on failures: so many within a time.

    Args:
        most: How many.
        within_s: The time in seconds.
        now: The time in seconds.
    """

    def __init__(self, most: int, within_s: float, now: Callable[[], float] = clock.monotonic) -> None:
        self._most, self._within_s, self._now = most, within_s, now
        self._failed: OrderedDict[str, deque[float]] = OrderedDict()

    def wait(self, key: str) -> float:
        """Return how long nothing may be tried, in seconds; 0: it may be."""
        failed = self._failed.get(key)
        while failed and failed[0] <= self._now() - self._within_s:
            failed.popleft()
        return failed[0] + self._within_s - self._now() if failed and len(failed) >= self._most else 0.0

    def count(self, key: str) -> None:
        """Count an attempt, before it is known how it ends."""
        self._failed.setdefault(key, deque(maxlen=self._most)).append(self._now())
        self._failed.move_to_end(key)
        while len(self._failed) > MOST_KEYS:
            self._failed.popitem(last=False)

    def forgive(self, key: str) -> None:
        """Take the newest attempt back: it was none to guess."""
        if failed := self._failed.get(key):
            failed.pop()


def network(address: str) -> str:
    """Return what stands for an address when its requests are counted: itself, or the /64 network of an IPv6 one."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is None:
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(getattr(parsed, "ipv4_mapped", None) or parsed)
