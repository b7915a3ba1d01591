"""The command `mien analyze`: photos, folders and videos in, a table and a drawn picture or video out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mien.cli.common import Device, Model, settings_of
from mien.cli.help_text import Commands

__all__ = ["app"]

app = Commands()


@app.command(epilog="Example: mien analyze holiday/ -o faces.csv")
def analyze(
    paths: Annotated[
        list[str], typer.Argument(help="Photos, videos, folders of both; paths, or URLs such as s3://bucket/films/.")
    ],
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            metavar="PATH",
            help="A .csv, .jsonl or .parquet, one of those of --export, or a folder/ for a table a film "
            "[default: a summary alone]",
        ),
    ] = None,
    export: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            help="Also write a time line: .eaf (ELAN), .TextGrid (Praat), .tsv (BIDS), .boris.csv; may be given again.",
        ),
    ] = None,
    annotate: Annotated[
        str | None,
        typer.Option(
            metavar="PATH", help="Also write the picture (.jpg, .png) or video (.mp4) with what was found drawn in."
        ),
    ] = None,
    blur: Annotated[bool, typer.Option("--blur", help="Hide the faces in what --annotate writes.")] = False,
    every: Annotated[int, typer.Option(metavar="N", help="Look at every Nth frame of a video only.")] = 1,
    fps: Annotated[
        float | None, typer.Option(help="Look at this many frames of each second of a video at most.")
    ] = None,
    start: Annotated[str, typer.Option(metavar="TIME", help="Begin videos at: seconds, mm:ss or hh:mm:ss.")] = "0",
    end: Annotated[str | None, typer.Option(metavar="TIME", help="Stop videos before this time.")] = None,
    stream: Annotated[
        int | None,
        typer.Option(metavar="N", help="Take this stream of videos, as ffprobe counts [default: the film]"),
    ] = None,
    fps_in: Annotated[
        float | None, typer.Option(metavar="RATE", help="Frames a second of videos without times, such as raw .h264.")
    ] = None,
    sets: Annotated[
        float | None,
        typer.Option(metavar="LEVEL", help="Also say which emotions are plausible: at 0.8, 0.9 or 0.95."),
    ] = None,
    on: Annotated[
        str | None,
        typer.Option(
            metavar="ENGINE",
            help="Where a folder/ is filled: ray (RAY_ADDRESS, or else this machine's cores) or ray://head:10001 "
            "[default: here]",
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say how much a folder/ would take, and analyse next to nothing.")
    ] = False,
    model: Model = None,
    device: Device = None,
) -> None:
    """Read photos and videos: a summary, or a table of all faces."""
    from mien.cli.ending import Ending
    from mien.cli.terminal import progress, show_estimate
    from mien.errors import UsageError
    from mien.exports.files import format_of
    from mien.media.selection import parse_seconds
    from mien.run.batch import analyze_paths
    from mien.run.collection.collection import analyze_collection, estimate_collection, is_collection
    from mien.run.options import AnalyzeOptions

    settings = settings_of("analyze", {"vision": {"model": model, "device": device}})
    options = AnalyzeOptions(
        every, fps, parse_seconds(start), None if end is None else parse_seconds(end), stream, fps_in, sets
    )
    exports = list(export or ())
    if output is not None and is_collection(output):
        if annotate or blur or exports:
            raise UsageError(f"--annotate, --blur and --export are for single files, not for the folder '{output}'")
        if dry_run:
            show_estimate(estimate_collection(settings, paths, output, options, on=on))
        else:
            analyze_collection(settings, paths, output, options, on=on, progress=progress("films"))
        return
    if on or dry_run:
        option = "--on" if on else "--dry-run"
        raise UsageError(f"{option} goes with a folder of tables: give it with -o, as in -o faces/")
    if output and format_of(Path(output)):
        exports, output = [Path(output), *exports], None
    analyze_paths(
        settings,
        paths,
        output=output,
        exports=exports,
        annotate=annotate,
        blur=blur,
        options=options,
        shown=Ending(paths, output, annotate, exports),
        progress=progress(),
    )
