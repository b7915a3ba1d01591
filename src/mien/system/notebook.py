"""Whether this is a notebook, and a progress bar in it: how far the work is goes in, a line comes out."""

from __future__ import annotations

import html
import sys
import time as clock
from typing import TYPE_CHECKING, Any

from mien.words import counted

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

__all__ = ["NotebookBar", "in_notebook"]

AFTER_S = 0.7
"""Work that is shorter shows no bar."""

EVERY_S = 0.25
"""So often a bar is drawn anew, in seconds."""


def in_notebook() -> bool:
    """Return whether a notebook, which can show pictures, runs this code."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    return shell is not None and hasattr(shell, "kernel")


class NotebookBar:
    """Shows how far long work is, in a notebook only; to be used in a `with` block, after which it is gone.

    Args:
        label: What is worked on.
        total: How many steps there will be; None: nobody knows.
    """

    def __init__(self, label: str, total: float | None = None) -> None:
        self.label, self.total = label, total
        self._begun = self._drawn = clock.monotonic()
        self._done = 0.0
        self._display: Any = None
        self._shows = in_notebook()

    def advance(self, steps: float = 1) -> None:
        """Say that so many more steps are done."""
        self.tell(self.label, self._done + steps, self.total)

    def tell(self, label: str, done: float, total: float | None = None) -> None:
        """Say what is worked on now, how many of its steps are done, and of how many."""
        self.label, self._done, self.total = label, done, total
        now = clock.monotonic()
        if self._shows and now - self._begun >= AFTER_S and now - self._drawn >= EVERY_S:
            self._drawn = now
            self._draw(self._html(now))

    def _html(self, now: float) -> str:
        rate = self._done / (now - self._begun)
        known = f' max="{self.total:g}" value="{min(self._done, self.total):g}"' if self.total else ""
        left = f", {max(0.0, self.total - self._done) / rate:,.0f} s left" if self.total and rate > 0 else ""
        done = counted(round(self._done), "step", "steps")
        return f"<progress{known}></progress> {html.escape(self.label)}: {done}, {rate:,.1f} a second{left}"

    def _draw(self, text: str) -> None:
        from IPython.display import HTML, display

        if self._display is None:
            self._display = display(HTML(text), display_id=True)  # type: ignore[no-untyped-call]
        else:
            self._display.update(HTML(text))  # type: ignore[no-untyped-call]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._display is not None:
            self._draw("")
