"""What long work shows on a terminal: how far it is goes in, a bar comes out; and a line in a frame."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.panel import Panel
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, TextColumn, TimeRemainingColumn
from rich.text import Text

from mien.words import counted

if TYPE_CHECKING:
    from rich.progress import Task

    from mien.run.collection.collection import Estimate

__all__ = ["framed", "progress", "show_estimate"]


def framed(line: str) -> None:
    """Write a line in a frame to the standard error, whole, however narrow the terminal."""
    width = max(Console(stderr=True).width, len(line) + 6)
    Console(stderr=True, highlight=False, width=width).print(Panel.fit(escape(line), padding=(0, 2), style="bold"))


class _Rate(ProgressColumn):
    """How many a second."""

    def render(self, task: Task) -> Text:
        """Return it as text."""
        return Text(f"{task.speed:,.0f}/s" if task.speed else "", style="progress.data.speed")


def show_estimate(estimate: Estimate) -> None:
    """Print how much is to be done and how long that would take."""
    of = estimate
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"{counted(of.items, 'item', 'items')}, {of.left:,} to be done: films of {of.hours:,.2f} hours")
    if of.unknown:
        console.print(f"{counted(of.unknown, 'film does', 'films do')} not say how long it is")
    if of.unreadable:
        console.print(f"{counted(of.unreadable, 'film', 'films')} cannot be opened")
    if of.seconds is not None and of.frames_per_s is not None:
        hours = f"{of.seconds / 3600:,.1f} hours" if of.seconds >= 3600 else f"{of.seconds / 60:,.1f} minutes"
        console.print(
            f"about {hours} on {counted(of.cores, 'core', 'cores')}, at the {of.frames_per_s:,.0f} frames a second "
            "that one core here took in the first film"
        )


def progress(unit: str = "frames") -> Progress:
    """Return a progress bar on the standard error, which shows nothing where that is no terminal."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn(unit), _Rate())
    console = Console(stderr=True)
    left = TimeRemainingColumn(compact=True, elapsed_when_finished=True)
    return Progress(*columns, left, console=console, transient=True, disable=not console.is_terminal)
