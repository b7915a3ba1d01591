"""What `mien analyze` shows on a terminal: observations go in, a table and a progress bar come out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from mien.masking import as_text
from mien.observation import EMOTIONS, Observation
from mien.words import counted

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

__all__ = ["ShownTable", "progress"]

SHOWN = 40
"""So many rows are shown."""


class ShownTable:
    """Collects the first rows and shows them as a table at the end; to be used in a `with` block."""

    def __init__(self) -> None:
        self.count = 0
        self._faces = 0
        self._first: list[tuple[Observation, str]] = []

    def add(self, observation: Observation, file: Path | str) -> None:
        """Take an observation of a frame of this file."""
        self.count += 1
        self._faces += len(observation.faces)
        if sum(len(seen.faces) or 1 for seen, _ in self._first) < SHOWN:
            self._first.append((observation, str(file)))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self.count:
            return
        table = Table(box=None, pad_edge=False, header_style="bold")
        for column in ("file", "frame", "time s", "track", "x y width height", "emotion", "probability"):
            table.add_column(column, justify="left" if column in ("file", "emotion") else "right")
        for observation, file in self._first:
            offset = "" if observation.offset_s is None else f"{observation.offset_s:.2f}"
            start = (escape(as_text(Path(file).name)), str(observation.frame), offset)
            for face in observation.faces:
                share = max(getattr(face.probabilities, emotion) for emotion in EMOTIONS)
                track = "" if face.track is None else str(face.track)
                box = " ".join(map(str, face.box))
                table.add_row(*start, track, box, face.emotion or "unclear", f"{100 * share:.0f} %")
            if not observation.faces:
                table.add_row(*start, "", "", "no face")
        console = Console()
        console.print(table)
        faces = counted(self._faces, "face", "faces")
        frames = counted(self.count, "frame", "frames")
        hidden = self.count - len(self._first)
        more = (
            f"; {counted(hidden, 'more frame is', 'more frames are')} not shown, -o FILE writes all" if hidden else ""
        )
        console.print(f"{faces} in {frames}{more}", highlight=False)


def progress() -> Progress:
    """Return a progress bar on the standard error, which shows nothing where that is no terminal."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("frames"))
    console = Console(stderr=True)
    return Progress(*columns, TimeElapsedColumn(), console=console, transient=True, disable=not console.is_terminal)
