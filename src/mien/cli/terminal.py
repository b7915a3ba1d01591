"""What long work shows on a terminal: how far it is goes in, a bar comes out; and a line in a frame."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.panel import Panel
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, TextColumn, TimeRemainingColumn
from rich.text import Text

if TYPE_CHECKING:
    from rich.progress import Task

__all__ = ["framed", "progress"]


def framed(line: str) -> None:
    """Write a line in a frame to the standard error, whole, however narrow the terminal."""
    width = max(Console(stderr=True).width, len(line) + 6)
    Console(stderr=True, highlight=False, width=width).print(Panel.fit(escape(line), padding=(0, 2), style="bold"))


class _Rate(ProgressColumn):
    """How many a second."""

    def render(self, task: Task) -> Text:
        """Return it as text."""
        return Text(f"{task.speed:,.0f}/s" if task.speed else "", style="progress.data.speed")


def progress() -> Progress:
    """Return a progress bar on the standard error, which shows nothing where that is no terminal."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("frames"), _Rate())
    console = Console(stderr=True)
    left = TimeRemainingColumn(compact=True, elapsed_when_finished=True)
    return Progress(*columns, left, console=console, transient=True, disable=not console.is_terminal)
