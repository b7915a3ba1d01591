"""The commands for all the sources at a broker: list them, and set what can be set of one from afar."""

from __future__ import annotations

import json
import sys
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mien.cli.common import settings_of
from mien.cli.help_text import Commands
from mien.errors import UsageError
from mien.observation import is_source_name

if TYPE_CHECKING:
    from mien.edge.fleet import Member
    from mien.mqtt.messages import RemoteState

__all__ = ["app"]

app = Commands()


@app.callback()
def fleet() -> None:
    """List all the sources at the broker, and set one from afar."""


@app.command("list", epilog="Example: mien fleet list")
def show(
    wait: Annotated[float, typer.Option(min=0.1, max=600, help="How many seconds to listen.")] = 2.0,
) -> None:
    """List the sources that the broker knows, their state and settings."""
    from rich.console import Console
    from rich.table import Table

    from mien.edge.fleet import listen

    members = listen(settings_of("fleet"), wait)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("source", "", "version", "model", "uptime", "°C", "fps", "last seen", "set to"):
        table.add_column(column, justify="right" if column in ("uptime", "°C", "fps") else "left")
    for member in members:
        table.add_row(*_row(member))
    if members:
        Console(soft_wrap=not sys.stdout.isatty()).print(table, markup=False, highlight=False)
    else:
        typer.echo("the broker has word of no source: is `mien watch` running, and does it use this broker and prefix?")


@app.command("set", epilog="Example: mien fleet set lobby threshold=0.6 fps=5 pause=true")
def change(
    source: Annotated[str, typer.Argument(help="The source's name, as `mien fleet list` shows it.")],
    values: Annotated[
        list[str],
        typer.Argument(
            metavar="NAME=VALUE...",
            help="threshold (0 to 1), fps, pause (true or false), preview (off, blurred or plain); "
            "'default' is what the source's own settings say.",
        ),
    ],
    wait: Annotated[
        float, typer.Option(min=0.1, max=600, help="How many seconds the source may take to answer.")
    ] = 10.0,
) -> None:
    """Set a source's threshold, fps, pause or preview, and show its answer. The source needs watch.remote."""
    from mien.edge.fleet import set_remotely

    if not is_source_name(source):
        raise UsageError(f"{source!a} is no name of a source: expected 1 to 64 of a-z 0-9 _ -")
    asked = dict(_parsed(value) for value in values)
    settings = settings_of("fleet")
    typer.echo(f"{source} is now set to {_set_to(set_remotely(settings, source, asked, wait))}")


def _parsed(value: str) -> tuple[str, Any]:
    name, equals, text = value.partition("=")
    if not equals or not name:
        raise UsageError(f"{value!a} is no setting: expected NAME=VALUE, such as fps=5")
    if text == "default":
        return name, False if name == "pause" else None
    try:
        return name, json.loads(text)
    except (ValueError, RecursionError):
        return name, text


def _row(member: Member) -> tuple[str, ...]:
    stats = member.stats
    online = {True: "online", False: "offline", None: "?"}[member.online]
    return (
        member.source,
        "paused" if member.online and member.state and member.state.pause else online,
        stats.version or "?",
        stats.model or "?",
        "?" if stats.uptime_s is None else _lasting(stats.uptime_s),
        "" if stats.temperature_c is None else f"{stats.temperature_c:.0f}",
        ("" if stats.fps is None else f"{stats.fps:.1f}") + _less_often(stats.read_every_s),
        "?" if stats.time is None else _moment(stats.time),
        _set_to(member.state)
        if member.state and (member.state.remote or member.state.preview_until)
        else "not from afar",
    )


def _less_often(read_every_s: float | None) -> str:
    return "" if read_every_s is None else f", faces each {read_every_s:.2g} s"


def _set_to(state: RemoteState) -> str:
    threshold = "the model's" if state.threshold is None else f"{state.threshold:g}"
    fps = "all" if state.fps is None else f"{state.fps:g}"
    until = f", {state.preview} preview until {_moment(state.preview_until)}" if state.preview_until else ""
    return f"threshold {threshold}, fps {fps}{', paused' if state.pause else ''}{until}"


def _lasting(seconds: float) -> str:
    hours, rest = divmod(int(seconds), 3600)
    return f"{hours // 24} d {hours % 24} h" if hours >= 24 else f"{hours}:{rest // 60:02}:{rest % 60:02}"


def _moment(time: datetime) -> str:
    try:
        return f"{time.astimezone():%Y-%m-%d %H:%M:%S}"
    except (OverflowError, ValueError):  # of the year 1 or 9999, as nonsense may say
        return "?"
