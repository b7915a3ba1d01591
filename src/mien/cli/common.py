"""What the commands share: options that several of them have, their settings, their log, and what ends them."""

from __future__ import annotations

import signal
import threading
from datetime import datetime, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from zoneinfo import ZoneInfo

import typer

from mien.errors import UsageError
from mien.observation import parse_time
from mien.system.logs import keep_log, log_as
from mien.system.processes import READY

if TYPE_CHECKING:
    from mien.config import Settings

__all__ = [
    "Broker",
    "Device",
    "Model",
    "Port",
    "Preview",
    "Store",
    "Zone",
    "address_of",
    "session",
    "settings_of",
    "stop_on_signals",
    "time_of",
    "zone_of",
]

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
Zone = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="The zone of times without an offset and of those shown, as Europe/Berlin [default: this machine's]",
    ),
]
Port = Annotated[int | None, typer.Option(help="The port; without it, the default one or the next that is free.")]


class GlobalOptions:
    """What the options before the command say.

    Attributes:
        config: The file of settings; None: `mien.toml` if it is here.
        supervised: Whether `mien up` started this, and hears on the standard output when it is ready.
    """

    config: Path | None = None
    supervised = False

    def tell_ready(self, line: str) -> None:
        """Tell `mien up` that this part is ready."""
        if self.supervised:
            typer.echo(f"{READY}{line}")


session = GlobalOptions()


def settings_of(component: str, flags: dict[str, Any] | None = None) -> Settings:
    """Set up the log of a command and return its effective settings.

    Args:
        component: Which command it is.
        flags: What its flags say, nested as the settings are; None is what was not given.
    """
    from mien.config import load

    log_as(component)
    settings = load(flags or {}, session.config)
    keep_log(component, settings.ensure_home)
    return settings


def address_of(broker: str | None) -> dict[str, Any]:
    """Return the broker settings that HOST[:PORT] stands for."""
    if broker is None:
        return {}
    host, _, port = broker.rpartition(":") if ":" in broker else (broker, "", "")
    if ":" in host and not host.endswith("]"):  # an IPv6 address alone
        host, port = broker, ""
    return {"host": host.strip("[]"), **({"port": port} if port else {})}


def stop_on_signals() -> threading.Event:
    """Return an event that Ctrl-C and SIGTERM set; a second Ctrl-C ends at once."""
    stop = threading.Event()

    def on_signal(number: int, _: object) -> None:
        stop.set()
        signal.signal(number, signal.SIG_DFL)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, on_signal)
    return stop


def zone_of(name: str | None) -> tzinfo | None:
    """Return the zone that `--zone` names; None: this machine's.

    Raises:
        UsageError: There is none of that name.
    """
    if name is None:
        return None
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, KeyError) as error:
        raise UsageError(
            f"--zone '{name}' is no time zone: expected a name such as Europe/Berlin, America/New_York or UTC"
        ) from error


def time_of(text: str, option: str, zone: tzinfo | None = None) -> datetime:
    """Return the time that the text of an option means; one without an offset is of that zone, or this machine's.

    Raises:
        UsageError: It is no time.
    """
    try:
        return parse_time(text, zone)
    except ValueError as error:
        raise UsageError(
            f"{option} '{text}' is no time: expected one such as 2026-11-22, 2026-11-22T09:00 or 2026-11-22T09:00:00Z"
        ) from error
