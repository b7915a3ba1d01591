"""The command line: flags and settings in, exit codes out.

The one place where an error becomes an exit code. Each command imports what it needs
when it runs, so that `mien --help` stays quick.
"""

from __future__ import annotations

import io
import os
import sys
import tempfile
import threading
import traceback
from pathlib import Path
from typing import Annotated, ClassVar, NoReturn

import typer

from mien.cli import access, analyze, bench, doctor, fleet, model, plan, report, services, store, training
from mien.cli.common import session, settings_of
from mien.cli.help_text import Commands, HelpGroup
from mien.errors import MienError
from mien.version import __version__

__all__ = ["app", "main"]


class Sections(HelpGroup):
    """All commands, in the sections of the help."""

    sections: ClassVar[dict[str, tuple[str, ...]]] = {
        "Begin here": ("up", "doctor", "config"),
        "Ask files": ("analyze", "report", "plan"),
        "Watch, keep and show": (
            *("watch", "markers", "broker", "secrets", "forward", "store", "dashboard", "access", "fleet"),
        ),
        "Models": ("model", "bench", "train", "evaluate", "export"),
    }


app = Commands(
    name="mien",
    cls=Sections,
    help="How the faces in front of a camera, in a video, a meeting or a photo album react.",
    epilog="Start here: mien up demo",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    pretty_exceptions_enable=False,
)
for group in (services, analyze, doctor, bench, training):
    app.add_typer(group.app)
app.add_typer(model.app, name="model")
app.add_typer(store.app, name="store")
app.add_typer(access.app, name="access")
app.add_typer(fleet.app, name="fleet")
app.add_typer(report.app, name="report")
app.add_typer(plan.app, name="plan")


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
    session.supervised = lifeline
    if lifeline:
        threading.Thread(target=_stop_with_parent, name="lifeline", daemon=True).start()


@app.command("config", epilog="Example: mien config")
def show_config() -> None:
    """Print the settings in force, secrets masked, and what each means."""
    from mien.config import effective

    typer.echo(effective(settings_of("config")), nl=False)


def main() -> NoReturn:
    """Run the command line and leave with its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # some consoles have no ✓ and no …
    try:
        code = app(standalone_mode=False, prog_name="mien")
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
    typer.echo(
        f"mien: this is a bug: {repr(error)[:300]}. Its details are in {file.name}; please report them.", err=True
    )
    return 1


def _stop_with_parent() -> None:
    """Stop this process when the standard input closes: the parent that holds its other end has gone."""
    from mien.system.processes import end_in_order

    while os.read(0, 1):  # not sys.stdin: its lock would be held when the process ends
        pass
    end_in_order()
