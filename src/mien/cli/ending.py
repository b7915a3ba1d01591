"""How `mien analyze` ends: observations go in; the faces of photos, a summary and what to do next come out."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from mien.api.html import COLOUR_OF
from mien.api.summary import Summary, Summing
from mien.masking import as_text, without_password
from mien.observation import EMOTIONS, Observation
from mien.words import counted

if TYPE_CHECKING:
    from mien.run.batch import Outcome

__all__ = ["Ending"]

SHOWN = 40
"""So many faces of photos are shown."""

NAMED = 3
"""So many paths are written into the commands that go on from here."""

BAR = 40
"""The longest bar, in columns."""

BLOCKS = " ▏▎▍▌▋▊▉"


class Ending:
    """Sums up an analysis, and shows it at the end: of photos without a file also each face.

    Args:
        paths: What is analysed, as it was named.
        output: The table that is written, if one is.
        annotate: The picture or video that is drawn, if one is.
        exports: The time lines that are written.
    """

    def __init__(
        self, paths: Sequence[str], output: str | None, annotate: str | None, exports: Sequence[Path] = ()
    ) -> None:
        self._paths, self._output, self._annotate = [without_password(path) for path in paths], output, annotate
        self._exports = exports
        self._summing = Summing()
        self._first: list[tuple[Observation, str]] = []
        self._photos = self._rows = 0

    def add(self, observation: Observation, file: Path | str) -> None:
        """Take an observation of a frame of this file."""
        self._summing.add(observation, file)
        if observation.offset_s is None:
            self._photos += 1
            if self._output is None and self._rows < SHOWN:
                self._rows += len(observation.faces) or 1
                self._first.append((observation, str(file)))

    def end(self, outcome: Outcome) -> None:
        """Show all of it."""
        console = Console(highlight=False)
        if self._first:
            console.print(_faces(self._first))
            if hidden := self._photos - len(self._first):
                console.print(
                    f"{counted(hidden, 'more photo is', 'more photos are')} not shown, -o faces.csv writes all"
                )
            console.print()
        summary = self._summing.result()
        console.print(_read(summary, outcome), style="bold", soft_wrap=True)
        if summary.faces:
            console.print(_bars(summary))
        if summary.happiest and summary.frames > 1:
            console.print(_happiest(summary, outcome), soft_wrap=True)
        for line in outcome.left_out:
            console.print(f"[yellow]![/] {escape(as_text(line))}", soft_wrap=True)
        for path in (self._output, self._annotate, *self._exports):
            if path:
                console.print(f"written: {escape(as_text(str(path)))}", soft_wrap=True)
        for line in self._next(summary, outcome):
            console.print(f"[dim]next:[/] {escape(as_text(line))}", soft_wrap=True)

    def _next(self, summary: Summary, outcome: Outcome) -> Iterator[str]:
        """Yield commands that go on from here."""
        named = " ".join(shlex.quote(path) for path in self._paths[:NAMED])
        named += " …" if len(self._paths) > NAMED else ""
        if not summary.faces:
            if not self._annotate and outcome.photos + outcome.videos == 1:
                drawn = "seen.mp4" if outcome.videos else "seen.jpg"
                yield f"mien analyze {named} --annotate {drawn} shows what was looked at"
            return
        if self._output:
            if outcome.videos:
                yield f"mien report film {shlex.quote(str(self._output))} answers how happy it is, on a page"
            return
        yield f"mien analyze {named} -o faces.csv writes a row for each face"
        if outcome.videos:
            yield f"mien report film {named} answers how happy it is, on a page"
        elif outcome.photos > 1:
            yield f"mien report album {named} chooses the best"


def _faces(seen: Sequence[tuple[Observation, str]]) -> Table:
    """Return a row for each face of photos."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("photo", "x y width height", "emotion", "probability"):
        table.add_column(column, justify="left" if column in ("photo", "emotion") else "right")
    for observation, file in seen:
        name = escape(as_text(Path(file).name))
        for face in observation.faces:
            share = max(getattr(face.probabilities, emotion) for emotion in EMOTIONS)
            emotion = Text(face.emotion or "unclear", style=COLOUR_OF[face.emotion or "unclear"])
            table.add_row(name, " ".join(map(str, face.box)), emotion, f"{100 * share:.0f} %")
        if not observation.faces:
            table.add_row(name, "", "no face")
    return table


def _read(summary: Summary, outcome: Outcome) -> str:
    """Return the line on what was read, and how fast."""
    kinds = [
        counted(number, *words)
        for number, words in ((outcome.photos, ("photo", "photos")), (outcome.videos, ("video", "videos")))
        if number
    ]
    frames = f" ({counted(summary.frames - outcome.photos, 'frame', 'frames')})" if outcome.videos else ""
    empty = f", none in {summary.empty:,}" if summary.empty and summary.faces else ""
    rate = f"{summary.frames / outcome.seconds:.0f} frames/s" if outcome.videos else f"{outcome.seconds:.1f} s"
    return f"{counted(summary.faces, 'face', 'faces')} in {' and '.join(kinds)}{frames}{empty}; {rate}"


def _bars(summary: Summary) -> Table:
    """Return a coloured bar for each emotion, and one for the faces that none was named for."""
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 1))
    for justify in ("left", "left", "right", "right"):
        table.add_column(justify=justify, no_wrap=True)
    longest = max(share for _, _, share in summary.shares())
    for name, count, share in summary.shares():
        eighths = round(8 * BAR * share / longest)
        bar = "█" * (eighths // 8) + BLOCKS[eighths % 8].strip()
        table.add_row(name, Text(bar.ljust(BAR), style=COLOUR_OF[name]), f"{100 * share:.0f} %", f"{count:,}")
    return table


def _happiest(summary: Summary, outcome: Outcome) -> str:
    best = summary.happiest
    if best is None:
        return ""
    where = f" of {Path(best.file).name}" if best.at_s is not None and outcome.photos + outcome.videos > 1 else ""
    word = "happiest at" if best.at_s is not None else "happiest:"
    return escape(as_text(f"{word} {best}{where}, where *happy* is {100 * best.happy:.0f} % probable"))
