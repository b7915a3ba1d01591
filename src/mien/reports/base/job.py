"""How a report's work is followed and stopped: whoever starts one hands in a `Job` and hears how far it is."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

from mien.errors import PartialError

__all__ = ["Job"]

Item = TypeVar("Item")


def _nobody(step: str, done: float, total: float | None) -> None:
    """Take a step that nobody wants to hear of."""


@dataclass(frozen=True)
class Job:
    """One run of a report.

    Attributes:
        progress: Is told the step that is under way, how much of it is done, and of how much, where that is known.
        cancel: Set, from any thread, to end the work.
    """

    progress: Callable[[str, float, float | None], None] = _nobody
    cancel: threading.Event = field(default_factory=threading.Event)

    def tell(self, step: str, done: float, total: float | None = None) -> None:
        """Say how far a step is.

        Raises:
            PartialError: The work is to end.
        """
        if self.cancel.is_set():
            raise PartialError(
                "the report was stopped; what was analysed so far is kept, and run again it goes on from there"
            )
        self.progress(step, done, total)

    def follow(self, step: str, items: Iterable[Item], total: int) -> Iterator[Item]:
        """Yield items and say how far through them the work is."""
        for number, item in enumerate(items):
            self.tell(step, number, total)
            yield item
        self.tell(step, total, total)
