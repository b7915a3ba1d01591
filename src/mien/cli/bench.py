"""The command `mien bench`: how fast this machine reads faces."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mien.cli.common import Device, Model, settings_of
from mien.cli.help_text import Commands
from mien.words import counted

__all__ = ["app"]

app = Commands()


@app.command(epilog="Example: mien bench film.mp4")
def bench(
    video: Annotated[Path | None, typer.Argument(help="What to measure with [default: the demo clip]")] = None,
    seconds: Annotated[float, typer.Option(min=0.1, help="The most seconds it may take.")] = 10.0,
    model: Model = None,
    device: Device = None,
) -> None:
    """Measure how fast this machine reads faces. It times decoding, detector, classifier, tracker and all together."""
    from rich.console import Console
    from rich.table import Table

    from mien.models import store as model_store
    from mien.run.bench import bench as measure
    from mien.run.bench import machine

    settings = settings_of("bench", {"vision": {"model": model, "device": device}})
    report = measure(model_store.in_use(settings), video, seconds)
    table = Table("part", box=None, pad_edge=False, header_style="bold")
    for column in ("frames/s", "ms p50", "ms p99"):
        table.add_column(column, justify="right")
    for part, rate, p50, p99 in report.rows():
        table.add_row(part, f"{rate:,.0f}", f"{p50:.2f}", f"{p99:.2f}")
    frames = len(report.milliseconds["total"])
    console = Console(soft_wrap=True, highlight=False)
    console.print(table)
    console.print(
        f"{counted(frames, 'frame', 'frames')} of {report.size[0]}x{report.size[1]}, "
        f"{counted(report.faces, 'face', 'faces')}, {report.peak_mb:,.0f} MiB at most",
        f"{report.faces_per_second:,.0f} faces/s, each read on {report.read / max(1, report.faces):.0%} of its frames",
        f"all at once, as mien analyze does it: {report.together:,.0f} frames/s",
        f"{report.model_id} {report.runs_on}",
        machine(),
        sep="\n",
    )
