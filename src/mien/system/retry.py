"""Trying again: how long to wait after each failure, and which failures are news."""

from __future__ import annotations

import random
import threading

__all__ = ["Backoff"]


class Backoff:
    """Pauses that double from failure to failure, and begin anew once something worked.

    Args:
        stop: Ends a pause at once.
        first_s: The first pause, in seconds.
        longest_s: The longest.
        spread: Each pause is shortened by a random share of up to this, so that many that lost the same peer do not
            come back in step; 0: none is.
    """

    def __init__(self, stop: threading.Event, first_s: float, longest_s: float, spread: float = 0.0) -> None:
        self._stop, self._first_s, self._longest_s, self._spread = stop, first_s, longest_s, spread
        self._reason = ""
        self.pause_s = first_s

    def worked(self) -> None:
        """Begin anew with the first pause; the next failure is news."""
        self.pause_s, self._reason = self._first_s, ""

    def is_news(self, error: object) -> bool:
        """Return whether a failure is another one than the last, and remember it."""
        reason, before = str(error), self._reason
        self._reason = reason
        return reason != before

    def next_s(self) -> float:
        """Return how long to wait now, in seconds, and double it for the next time."""
        pause_s = self.pause_s * random.uniform(1 - self._spread, 1)  # noqa: S311 - no secret
        self.pause_s = min(2 * self.pause_s, self._longest_s)
        return pause_s

    def wait(self) -> bool:
        """Wait; return whether stopping was asked for."""
        return self._stop.wait(self.next_s())
