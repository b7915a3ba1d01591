"""The commands `mien report …`: flags in; a page, its data and a summary out; `check` computes it again.

`cli` takes them in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import typer

from mien.cli.common import Zone, settings_of, time_of, zone_of
from mien.cli.help_text import Commands
from mien.cli.options import taking
from mien.errors import MienError, PartialError, UsageError
from mien.words import counted

if TYPE_CHECKING:
    from mien.config import Settings
    from mien.reports.base.job import Job
    from mien.reports.base.recordings import Inputs
    from mien.reports.base.report import Report
    from mien.reports.check.figure import Figure, Value

__all__ = ["app"]

app = Commands()

SHOWN = 40
"""So many figures of a report are shown by `check`, those that differ first."""

DataKind = Literal["parquet", "csv"]
Null = Literal["shift", "phase"]
Emotion = Literal["angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"]

Paths = Annotated[
    list[str] | None,
    typer.Argument(help="Videos, folders, or tables of mien analyze (.parquet, .csv, .jsonl)."),
]
Fps = Annotated[float, typer.Option(min=0.2, max=60, help="How many frames of each second of a video are looked at.")]
Blur = Annotated[bool, typer.Option("--blur", help="Hide the faces in pictures.")]


@dataclass(frozen=True)
class PageOptions:
    """What all reports take."""

    anonymous: Annotated[
        bool,
        typer.Option("--anonymous", help="No pictures, no single people, only aggregates over at least K of them."),
    ] = False
    k: Annotated[
        int, typer.Option("--k", metavar="K", min=2, help="The fewest people behind a figure, with --anonymous.")
    ] = 3
    data: Annotated[DataKind, typer.Option(help="What the tables beside the page are written as.")] = "parquet"
    model: Annotated[
        Path | None, typer.Option(metavar="FILE", help="An ONNX model with Mien's contract [default: the shipped one]")
    ] = None

    @property
    def hidden(self) -> int | None:
        """The fewest people behind a figure; None: people are shown."""
        return self.k if self.anonymous else None

    def settings(self) -> Settings:
        """Return the effective settings."""
        return settings_of("report", {"vision": {"model": self.model}})


@dataclass(frozen=True)
class AlbumOptions(PageOptions):
    """What an album is asked for besides, and what is written beside its photos."""

    everyone_smiles: Annotated[bool, typer.Option("--everyone-smiles", help="Only if each readable face smiles.")] = (
        False
    )
    all_eyes_open: Annotated[bool, typer.Option("--all-eyes-open", help="Only if all eyes are known to be open.")] = (
        False
    )
    everyone_looks: Annotated[
        bool, typer.Option("--everyone-looks", help="Only if each face is known to face the camera.")
    ] = False
    like: Annotated[
        list[Path] | None,
        typer.Option(metavar="FOLDER", help="Photos chosen before: what they have in common weighs more."),
    ] = None
    xmp: Annotated[
        bool, typer.Option("--xmp", help="Write stars, flags and keywords into XMP sidecars beside the photos.")
    ] = False
    xmp_replace: Annotated[
        bool, typer.Option("--xmp-replace", help="Also in place of ratings and flags that somebody else gave.")
    ] = False


@dataclass(frozen=True)
class RecordingOptions(PageOptions):
    """What reports on recordings take: how videos are looked at, or which part of a store."""

    export: Annotated[
        list[str] | None,
        typer.Option(
            metavar="elan|praat|bids|boris", help="Also write its time line for this tool; may be given again."
        ),
    ] = None
    calibrate: Annotated[
        str | None,
        typer.Option(
            metavar="SECONDS|median|FROM-TO|TEXT",
            help="Also tell what lies above each one's usual face: that of the first seconds, of all, of a stretch "
            "(0:10-0:40), or of a marker's text.",
        ),
    ] = None
    fps: Fps = 5.0
    stream: Annotated[
        int | None, typer.Option(metavar="N", help="Take this stream of videos, as ffprobe counts [default: the film]")
    ] = None
    fps_in: Annotated[
        float | None, typer.Option(metavar="RATE", help="Frames a second of videos without times, such as raw .h264.")
    ] = None
    store: Annotated[
        str | None, typer.Option(metavar="URL", help="Report on a store, not on files [default: the settings' own]")
    ] = None
    source: Annotated[list[str] | None, typer.Option(help="A source of the store; may be given again.")] = None
    since: Annotated[
        str | None, typer.Option("--from", metavar="TIME", help="Of the store: from when on; see --zone.")
    ] = None
    until: Annotated[str | None, typer.Option("--to", metavar="TIME", help="Of the store: until when; see --zone.")] = (
        None
    )
    zone: Zone = None

    clocked: ClassVar[bool] = False
    """Whether files may tell the time of day, so that --from and --to can be of them."""

    def inputs(self, settings: Settings, paths: list[str] | None) -> Inputs:
        """Return what the report is to be made of.

        Raises:
            UsageError: It is nothing, or both files and a store.
        """
        from mien.reports.base.recordings import Inputs

        timed = bool(self.since or self.until) and not (paths and self.clocked)
        of_store, where = bool(self.store or self.source or timed), zone_of(self.zone)
        if of_store and paths:
            raise UsageError(
                "a report is made of files or of a store: leave out the paths, or --store, --source, --from, --to"
            )
        if not of_store and not paths:
            raise UsageError("nothing to report on: name files, or a store's part with --source, --from and --to")
        return Inputs(
            tuple(paths or ()),
            (self.store or settings.store_url) if of_store else None,
            tuple(self.source or ()),
            time_of(self.since, "--from", where) if self.since else None,
            time_of(self.until, "--to", where) if self.until else None,
            self.fps,
            stream=self.stream,
            fps_in=self.fps_in,
            zone=where,
        )


@dataclass(frozen=True)
class MeetingOptions(RecordingOptions):
    """The same for meetings, whose pictures may show a clock."""

    since: Annotated[
        str | None,
        typer.Option(
            "--from", metavar="TIME", help="From when on, by the clock of the store or in the picture; see --zone."
        ),
    ] = None
    until: Annotated[
        str | None, typer.Option("--to", metavar="TIME", help="Until when, by the same clock; see --zone.")
    ] = None

    clocked: ClassVar[bool] = True


@dataclass(frozen=True)
class AudienceOptions(RecordingOptions):
    """The same for audiences, whose reactions are quick."""

    fps: Fps = 10.0


@app.callback()
def report() -> None:
    """Answer a question with a page: film, meeting, audience, album."""


@app.command(epilog="Example: mien report film film.mp4 -o film.html")
@taking(RecordingOptions)
def film(
    paths: Paths = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="The page, a .html.")] = Path("film.html"),
    moments: Annotated[int, typer.Option(help="How many key moments of each kind are shown.")] = 3,
    cast: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A CSV that says which track or place is which actor's.")
    ] = None,
    blur: Blur = False,
    *,
    options: RecordingOptions,
) -> None:
    """How happy is this film? Several are compared."""
    from mien.reports.film.report import FilmRequest, report_film

    settings = options.settings()
    inputs = options.inputs(settings, paths)
    request = FilmRequest(inputs, moments, blur, options.hidden, cast, options.calibrate)
    _run(lambda job: report_film(request, settings, job), output, options.data, options.export)


@app.command(epilog="Example: mien report meeting call.mp4 --transcript call.vtt -o call.html")
@taking(MeetingOptions)
def meeting(
    transcript: Annotated[
        Path, typer.Option(metavar="FILE", help="WebVTT, SRT, a Zoom chat, or a text or .docx of Teams or Meet.")
    ],
    paths: Paths = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="The page, a .html.")] = Path("meeting.html"),
    speakers: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A CSV that says which tile or track is whose.")
    ] = None,
    names: Annotated[
        bool, typer.Option("--names/--no-names", help="Read off the picture which face is whose (extra names).")
    ] = True,
    ocr_model: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A PP-OCR recogniser (.onnx) for names in other scripts.")
    ] = None,
    lexicon: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A CSV of words and weights: how pleasant words are [default: English]"),
    ] = None,
    offset: Annotated[
        float | None, typer.Option(help="Seconds to add to the transcript's times [default: found from the sound]")
    ] = None,
    consent: Annotated[str | None, typer.Option(metavar="TEXT", help="Who agreed, and when; the page says so.")] = None,
    blur: Blur = False,
    *,
    options: MeetingOptions,
) -> None:
    """How was what was said taken? A recording and its transcript."""
    from mien.reports.meeting.report import MeetingRequest, report_meeting

    settings = options.settings()
    inputs = options.inputs(settings, paths)
    request = MeetingRequest(
        inputs,
        transcript,
        speakers,
        offset,
        consent,
        blur,
        options.hidden,
        names,
        ocr_model,
        lexicon,
        options.calibrate,
    )
    _run(lambda job: report_meeting(request, settings, job), output, options.data, options.export)


@app.command(epilog="Example: mien report audience seat-*.mp4 --treatment film.mp4 -o audience.html")
@taking(AudienceOptions)
def audience(
    paths: Paths = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="The page, a .html.")] = Path("audience.html"),
    events: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="What they watched: a CSV (time, label, duration), SRT or WebVTT; or the word markers: a store's "
            "[default: find what moved people together]",
        ),
    ] = None,
    treatment: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The video they watched, for pictures of its moments.")
    ] = None,
    seats: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A CSV: recording, and if wanted group, offset, seat, x, y, width, height."),
    ] = None,
    baseline: Annotated[float, typer.Option(help="Seconds before an event that a rise is measured from.")] = 5.0,
    window: Annotated[
        float,
        typer.Option(help="Seconds after it in which a reaction is looked for; so long is a window of synchrony."),
    ] = 10.0,
    null: Annotated[
        Null, typer.Option(help="What chance is for synchrony: curves turned around (shift), or of random phases.")
    ] = "shift",
    *,
    options: AudienceOptions,
) -> None:
    """What moved viewers together, and what did they react to?"""
    from mien.reports.audience.report import AudienceRequest, report_audience

    settings = options.settings()
    inputs = options.inputs(settings, paths)
    known: Path | Literal["markers"] | None = "markers" if str(events) == "markers" else events
    request = AudienceRequest(
        inputs, known, seats, baseline, window, options.hidden, treatment, null, options.calibrate
    )
    _run(lambda job: report_audience(request, settings, job), output, options.data, options.export)


@app.command(epilog="Example: mien report album holiday/ --best 30 --copy-to best/ -o album.html")
@taking(AlbumOptions)
def album(
    paths: Annotated[
        list[Path], typer.Argument(help="Photos, folders of photos, or tables of mien analyze that name photos.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="The page, a .html.")] = Path("album.html"),
    best: Annotated[int, typer.Option(metavar="N", help="How many to choose.")] = 20,
    emotion: Annotated[Emotion, typer.Option(help="Which expression is asked for.")] = "happy",
    copy_to: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Copy the chosen there; the originals stay as they are.")
    ] = None,
    blur: Blur = False,
    *,
    options: AlbumOptions,
) -> None:
    """Which are the best photos? Happy, sharp, well lit; no doubles."""
    from mien.reports.album.report import AlbumRequest, report_album
    from mien.reports.album.selection import filters_of

    settings = options.settings()
    request = AlbumRequest(
        tuple(paths),
        best,
        emotion,
        copy_to,
        blur,
        options.hidden,
        filters_of(vars(options)),
        tuple(options.like or ()),
        options.xmp,
        options.xmp_replace,
    )
    _run(lambda job: report_album(request, settings, job), output, options.data)


@app.command(epilog="Example: mien report check call.json")
def check(
    reports: Annotated[
        list[Path], typer.Argument(help="Reports: their .json, or the .html beside it; the tables stand beside them.")
    ],
) -> None:
    """Compute a report's figures again from its tables. Other means are used; code 1 if any differs."""
    from mien.reports.check import check_report

    wrong = 0
    for path in reports:
        figures = check_report(path)
        _compare(path, figures)
        wrong += sum(not figure.agrees for figure in figures)
    if wrong:
        raise MienError(
            f"{counted(wrong, 'figure differs', 'figures differ')} from what the tables give: the report or a table "
            "was changed, or another version of Mien made them"
        )


def _compare(path: Path, figures: list[Figure]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console(highlight=False)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for head in ("figure", "printed", "computed", ""):
        table.add_column(head, justify="right" if head in ("printed", "computed") else "left")
    for figure in sorted(figures, key=lambda figure: figure.agrees)[:SHOWN]:
        name, printed, computed = (escape(_plain(text)) for text in (figure.name, figure.printed, figure.computed))
        table.add_row(name, printed, computed, "agrees" if figure.agrees else "[red]differs[/]")
    console.print(table)
    right = sum(figure.agrees for figure in figures)
    more = f"; {counted(len(figures) - SHOWN, 'more is', 'more are')} not shown" if len(figures) > SHOWN else ""
    console.print(f"{path.name}: {right:,} of {counted(len(figures), 'figure agrees', 'figures agree')}{more}")


def _plain(value: Value) -> str:
    """Return a figure as text that does nothing to a terminal."""
    if value is None:
        return "none"
    text = f"{value:.6g}" if isinstance(value, int | float) else value[:100]
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def _run(make: Callable[[Job], Report], output: Path, data: DataKind, exports: Sequence[str] | None = None) -> None:
    """Make a report, write it, and say what it found."""
    from mien.exports.files import formats_named

    kinds = formats_named(exports or ())
    if output.suffix.lower() not in (".html", ".htm"):
        raise UsageError(f"cannot write '{output}': the name of a report must end in .html")
    if not output.parent.is_dir():
        raise UsageError(f"cannot write '{output}': there is no folder '{output.parent}'")
    try:
        with _followed() as job:
            made = make(job)
    except KeyboardInterrupt:
        raise PartialError(
            "the report was stopped; what was analysed so far is kept, and run again it goes on from there"
        ) from None
    _summarise(made, made.write(output, data, kinds))


@contextmanager
def _followed() -> Iterator[Job]:
    """Yield a job whose progress is shown on the terminal, with the time that is left."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeRemainingColumn

    from mien.reports.base.job import Job

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        tasks: dict[str, TaskID] = {}

        def show(step: str, done: float, total: float | None) -> None:
            if step not in tasks:
                tasks[step] = bar.add_task(step, total=total)
            bar.update(tasks[step], completed=done, total=total)

        yield Job(show)


def _summarise(made: Report, files: list[Path]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console(highlight=False)
    for notice in made.notices:
        console.print(f"[yellow]{escape(notice)}[/]")
    console.print(f"[bold]{escape(made.lead)}[/]")
    if made.period:
        console.print(escape(made.period), soft_wrap=True)
    table = Table(box=None, show_header=False, pad_edge=False)
    for fact in made.facts[:12]:
        table.add_row(escape(fact.name), f"[bold]{escape(fact.shown)}[/]", escape(fact.detail))
    console.print(table)
    for note in made.notes[:5]:
        console.print(f"[yellow]![/] {escape(note)}")
    if len(made.notes) > 5:
        console.print(f"[yellow]![/] {counted(len(made.notes) - 5, 'more note is', 'more notes are')} on the page")
    console.print(f"{files[0]} is the page; beside it: {', '.join(file.name for file in files[1:])}", soft_wrap=True)
