"""The command line: flags and settings in, exit codes out.

The one place where an error becomes an exit code, and where signals become a stop. Each command imports what it needs
when it runs, so that `mien --help` stays quick.
"""

from __future__ import annotations

import io
import logging
import os
import signal
import sys
import tempfile
import threading
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from mien import __version__, cli_access, cli_fleet, cli_model, cli_report, cli_store, cli_training
from mien.errors import MienError

if TYPE_CHECKING:
    from mien.config import Settings

__all__ = ["app", "main"]

log = logging.getLogger(__name__)

app = typer.Typer(
    name="mien",
    help="How the faces in front of a camera, in a video, a meeting or a photo album react.",
    epilog="Start here: mien up",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    pretty_exceptions_enable=False,
)
app.add_typer(cli_model.app, name="model")
app.add_typer(cli_training.app)
app.add_typer(cli_store.app, name="store")
app.add_typer(cli_access.app, name="access")
app.add_typer(cli_fleet.app, name="fleet")
app.add_typer(cli_report.app, name="report")

Store = Annotated[
    str | None, typer.Option(metavar="URL", help="The store: sqlite:////path/mien.db, … [default: in the state folder]")
]
Broker = Annotated[
    str | None, typer.Option(metavar="HOST[:PORT]", help="An outside MQTT broker [default: the built-in one]")
]
Model = Annotated[
    Path | None,
    typer.Option(metavar="MODEL", help="fer2013, ferplus, or an ONNX file with Mien's contract [default: fer2013]"),
]
Device = Annotated[
    str | None,
    typer.Option(help="What the emotion model computes on: cpu, cuda, tensorrt, openvino or coreml [default: auto]"),
]
Preview = Annotated[
    str | None,
    typer.Option(metavar="off|blurred|plain", help="Send a small picture each second, its faces hidden or as it is."),
]
Port = Annotated[int | None, typer.Option(help="The port; without it, the default one or the next that is free.")]


class Session:
    """What the options before the command say."""

    config: Path | None = None


session = Session()


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"mien {__version__}")
        raise typer.Exit


@app.callback()
def root(
    config: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Settings [default: mien.toml if it is here]")
    ] = None,
    lifeline: Annotated[bool, typer.Option("--lifeline", hidden=True)] = False,
    _: Annotated[
        bool, typer.Option("--version", help="Print the version and leave.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    """Take the options that stand before the command."""
    session.config = config
    if lifeline:
        threading.Thread(target=_stop_with_parent, name="lifeline", daemon=True).start()


@app.command(epilog="Example: mien up demo")
def up(
    source: Annotated[
        str | None,
        typer.Argument(
            help="A camera's number, a video, a stream's URL, or 'demo' "
            "[default: the sources in mien.toml, or camera 0, or demo]"
        ),
    ] = None,
    port: Port = None,
    store: Store = None,
    broker: Broker = None,
    device: Device = None,
    preview: Preview = None,
) -> None:
    """Run everything on this machine: broker, watch, forward and dashboard. Ctrl-C stops it all."""
    from mien.up import run_up

    given: dict[str, dict[str, Any]] = {"store": {"url": store}, "vision": {"device": device}}
    given |= {"dashboard": {"port": port}, "watch": {"preview": preview}, "broker": _address(broker)}
    settings = _settings("up", given)
    handed = {f"MIEN_{table}__{key}".upper(): value for table, values in given.items() for key, value in values.items()}
    flags = {**handed, "MIEN_CONFIG": session.config}
    run_up(settings, source, _stop_on_signals(), {key: str(value) for key, value in flags.items() if value is not None})


@app.command(epilog="Example: mien watch 0 --name lobby --window")
def watch(
    sources: Annotated[
        list[str] | None,
        typer.Argument(
            help="Cameras' numbers, videos, streams' URLs, 'demo', names of sources in mien.toml "
            "[default: all sources in mien.toml]"
        ),
    ] = None,
    name: Annotated[str | None, typer.Option(help="What the source is called [default: made from the source]")] = None,
    window: Annotated[bool, typer.Option("--window", help="Show the live picture; q closes it.")] = False,
    loop: Annotated[bool, typer.Option("--loop", help="Play videos again and again.")] = False,
    fps: Annotated[float | None, typer.Option(help="Analyse at most so many frames a second.")] = None,
    model: Model = None,
    broker: Broker = None,
    device: Device = None,
    preview: Preview = None,
) -> None:
    """Watch cameras, streams and videos, and publish what their faces show."""
    from mien.edge.watch import run_watch

    vision = {"model": model, "device": device}
    watched = {"fps": fps, "preview": preview}
    settings = _settings("watch", {"watch": watched, "vision": vision, "broker": _address(broker)})
    run_watch(settings, sources or [], _stop_on_signals(), name=name, loop=loop, window=window)


@app.command(epilog="Example: mien broker --port 1884")
def broker(
    port: Port = None,
    tls_cert: Annotated[Path | None, typer.Option(metavar="FILE", help="Speak TLS with this certificate.")] = None,
    tls_key: Annotated[Path | None, typer.Option(metavar="FILE", help="The certificate's private key.")] = None,
) -> None:
    """Run the built-in MQTT broker, on this machine only unless the settings say otherwise."""
    from mien.edge.broker import run_broker

    named = {"port": port, "server_certificate": tls_cert, "server_key": tls_key}
    settings = _settings("broker", {"broker": named})
    run_broker(settings, stop=_stop_on_signals(), ready=lambda _: None)


@app.command("secrets", epilog="Example: mien secrets > broker.env")
def show_secrets(
    new: Annotated[bool, typer.Option("--new", help="Make new ones; the old end when the broker restarts.")] = False,
) -> None:
    """Print the built-in broker's user and password for other machines, made at the first time."""
    from mien.edge import credentials

    home = _settings("secrets", {}).ensure_home()
    known = (None if new else credentials.read(home)) or credentials.make(home)
    typer.echo(f"MIEN_BROKER__USERNAME={known.username}\nMIEN_BROKER__PASSWORD={known.password}")
    typer.echo(
        "Set these on the other machines, with this one's address as MIEN_BROKER__HOST; here set broker.listen and "
        "restart the broker.",
        err=True,
    )


@app.command(epilog="Example: mien forward --store sqlite:////var/lib/mien/mien.db")
def forward(
    store: Store = None,
    broker: Broker = None,
    once: Annotated[bool, typer.Option("--once", help="Store what is waiting, then end.")] = False,
    source: Annotated[list[str] | None, typer.Option(help="Forward this source alone; may be repeated.")] = None,
    group: Annotated[
        str | None, typer.Option(metavar="NAME", help="Share the work with the other forwarders of this group.")
    ] = None,
) -> None:
    """Take observations from the broker to the store, losing and doubling nothing."""
    from mien.forward.forwarder import run_forwarder

    chosen = {"group": group, "sources": ",".join(source) if source else None}
    settings = _settings("forward", {"store": {"url": store}, "broker": _address(broker), "forward": chosen})
    run_forwarder(settings, _stop_on_signals(), once=once)


@app.command(epilog="Example: mien dashboard --port 8090")
def dashboard(
    host: Annotated[str | None, typer.Option(help="The address to listen on [default: 127.0.0.1]")] = None,
    port: Port = None,
    tls_cert: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Serve HTTPS with this certificate, PEM.")
    ] = None,
    tls_key: Annotated[Path | None, typer.Option(metavar="FILE", help="The certificate's private key, PEM.")] = None,
    store: Store = None,
    broker: Broker = None,
    looker: Annotated[
        bool, typer.Option("--looker", help="Print the link that opens a BigQuery store in Looker Studio, and leave.")
    ] = False,
) -> None:
    """Serve the dashboard and the REST API."""
    from mien.dashboard.app import run_dashboard
    from mien.dashboard.looker import looker_link
    from mien.doctor import diagnose

    served = {"host": host, "port": port, "tls_cert": tls_cert, "tls_key": tls_key}
    flags = {"dashboard": served, "store": {"url": store}, "broker": _address(broker)}
    settings = _settings("dashboard", flags)
    if looker:
        typer.echo(looker_link(settings.store_url))
        return
    run_dashboard(settings, _stop_on_signals(), lambda url: log.info("the dashboard is at %s", url), diagnose)


@app.command(epilog="Example: mien analyze holiday/ -o faces.csv")
def analyze(
    paths: Annotated[list[str], typer.Argument(help="Photos, folders of photos, videos, URLs of videos.")],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="A .csv, .jsonl or .parquet [default: a table on the terminal]"),
    ] = None,
    annotate: Annotated[
        Path | None,
        typer.Option(help="Also write the picture (.jpg, .png) or video (.mp4) with what was found drawn in."),
    ] = None,
    blur: Annotated[bool, typer.Option("--blur", help="Hide the faces in what --annotate writes.")] = False,
    every: Annotated[int, typer.Option(metavar="N", help="Look only at each Nth frame of a video.")] = 1,
    fps: Annotated[float | None, typer.Option(help="Look at most at so many frames of a video's second.")] = None,
    start: Annotated[str, typer.Option(metavar="TIME", help="Begin videos at: seconds, mm:ss or hh:mm:ss.")] = "0",
    end: Annotated[str | None, typer.Option(metavar="TIME", help="Stop videos before this time.")] = None,
    model: Model = None,
    device: Device = None,
) -> None:
    """Analyse photos and videos as fast as this machine can, into a table."""
    from mien.batch import analyze_paths
    from mien.vision.selection import parse_seconds

    settings = _settings("analyze", {"vision": {"model": model, "device": device}})
    begin, stop = parse_seconds(start), None if end is None else parse_seconds(end)
    analyze_paths(
        settings, paths, output=output, annotate=annotate, blur=blur, every=every, fps=fps, start=begin, end=stop
    )


@app.command(epilog="Example: mien doctor")
def doctor(device: Device = None) -> None:
    """Say what works on this machine, and what to do about what doesn't."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from mien.doctor import diagnose

    signs = {"ok": "[green]✓[/]", "note": "[yellow]![/]", "fail": "[red]✗[/]"}
    table = Table(box=None, show_header=False, pad_edge=False)
    findings = list(diagnose(_settings("doctor", {"vision": {"device": device}})))
    for name, state, text in findings:
        table.add_row(signs[state], escape(name), escape(text))
    Console(soft_wrap=not sys.stdout.isatty()).print(table)
    failed = [finding.name for finding in findings if finding.state == "fail"]
    if failed:
        raise MienError(f"{len(failed)} of {len(findings)} checks failed: {', '.join(failed)}")


@app.command(epilog="Example: mien bench film.mp4")
def bench(
    video: Annotated[Path | None, typer.Argument(help="What to measure with [default: the demo clip]")] = None,
    seconds: Annotated[float, typer.Option(min=0.1, help="End after so many seconds at the latest.")] = 10.0,
    model: Model = None,
    device: Device = None,
) -> None:
    """Measure how fast this machine reads faces: decode, detect, classify, track, total."""
    from rich.console import Console
    from rich.table import Table

    from mien.bench import bench as measure
    from mien.bench import machine
    from mien.edge import model_store

    settings = _settings("bench", {"vision": {"model": model, "device": device}})
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
        f"{frames:,} frames of {report.size[0]}x{report.size[1]}, {report.faces:,} faces, "
        f"{report.peak_mb:,.0f} MiB at most",
        f"all at once, as mien analyze does it: {report.together:,.0f} frames/s",
        f"{report.model_id} {report.runs_on}",
        machine(),
        sep="\n",
    )


@app.command("config", epilog="Example: mien config")
def show_config() -> None:
    """Print the effective settings, secrets masked, with what each means."""
    from mien.config import effective

    typer.echo(effective(_settings("config", {})), nl=False)


def main() -> NoReturn:
    """Run the command line and leave with its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # some consoles have no ✓ and no …
    try:
        code = app(standalone_mode=False)
    except MienError as error:
        typer.echo(f"mien: {error}", err=True)
        code = error.exit_code
    except typer.Exit as leave:
        code = leave.exit_code
    except typer.Abort:
        code = 1
    except BrokenPipeError:  # the reader of our output has left, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except KeyboardInterrupt:
        code = 130
    except Exception as error:  # noqa: BLE001 - click's own errors, and our bugs
        code = _explain(error)
    sys.exit(code if isinstance(code, int) else 0)


def _explain(error: Exception) -> int:
    """Print one line for an error that is no MienError and return its exit code."""
    if hasattr(error, "format_message"):  # click's: a bad option, a missing argument
        context = getattr(error, "ctx", None)
        hint = f"; see {context.command_path} --help" if context else ""
        typer.echo(f"mien: {error.format_message().rstrip('.')}{hint}", err=True)
        return int(getattr(error, "exit_code", 2))
    with tempfile.NamedTemporaryFile("w", prefix="mien-", suffix=".txt", delete=False) as file:
        traceback.print_exception(error, file=file)
    typer.echo(f"mien: this is a bug: {error!r}. Its details are in {file.name}; please report them.", err=True)
    return 1


def _settings(component: str, flags: dict[str, Any]) -> Settings:
    """Set up the log of a command and return its effective settings."""
    from mien.config import load
    from mien.logs import keep_log

    cli_training.log_as(component)
    settings = load(flags, session.config)
    keep_log(component, settings)
    return settings


def _address(broker: str | None) -> dict[str, Any]:
    if broker is None:
        return {}
    host, _, port = broker.rpartition(":") if ":" in broker else (broker, "", "")
    if ":" in host and not host.endswith("]"):  # an IPv6 address alone
        host, port = broker, ""
    return {"host": host.strip("[]"), **({"port": port} if port else {})}


def _stop_on_signals() -> threading.Event:
    """Return an event that Ctrl-C and SIGTERM set; a second Ctrl-C ends at once."""
    stop = threading.Event()

    def on_signal(number: int, _: object) -> None:
        stop.set()
        signal.signal(number, signal.SIG_DFL)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, on_signal)
    return stop


def _stop_with_parent() -> None:
    """Stop this process when the standard input closes: the parent that holds its other end has gone."""
    from mien.edge.children import end_in_order

    while os.read(0, 1):  # not sys.stdin: its lock would be held when the process ends
        pass
    end_in_order()
