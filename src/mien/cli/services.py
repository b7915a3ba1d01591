"""The commands of the parts that run for long: up, watch, broker, secrets, forward and dashboard."""

from __future__ import annotations

import logging
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from mien.cli.common import (
    Broker,
    Device,
    Model,
    Port,
    Preview,
    Store,
    address_of,
    session,
    settings_of,
    stop_on_signals,
)
from mien.cli.help_text import Commands, help_text

__all__ = ["app"]

log = logging.getLogger(__name__)

app = Commands()

Loop = Annotated[bool, typer.Option("--loop", help="Play videos again and again.")]


@app.command(epilog="Example: mien up demo")
def up(
    source: Annotated[
        str | None,
        typer.Argument(
            help="A camera's number, a video, a stream's URL, 'screen:', or 'demo' "
            "[default: the sources in mien.toml, or camera 0, or demo]"
        ),
    ] = None,
    loop: Loop = False,
    port: Port = None,
    store: Store = None,
    broker: Broker = None,
    device: Device = None,
    preview: Preview = None,
) -> None:
    """Run it all on this machine: broker, watch, forward, dashboard. Ctrl-C stops it."""
    from mien.cli.terminal import framed
    from mien.run.up import run_up

    given: dict[str, dict[str, Any]] = {"store": {"url": store}, "vision": {"device": device}}
    given |= {"dashboard": {"port": port}, "watch": {"preview": preview}, "broker": address_of(broker)}
    settings = settings_of("up", given)
    handed = {f"MIEN_{table}__{key}".upper(): value for table, values in given.items() for key, value in values.items()}
    flags = {**handed, "MIEN_CONFIG": session.config}
    run_up(
        settings,
        source,
        stop_on_signals(),
        {key: str(value) for key, value in flags.items() if value is not None},
        loop=loop,
        ready=lambda address: framed(f"Mien runs: open {address}    Ctrl-C stops it"),
    )


@app.command(epilog="Example: mien watch 0 --name lobby --window")
def watch(
    sources: Annotated[
        list[str] | None,
        typer.Argument(
            help="Cameras' numbers, videos, streams' URLs, 'screen:', 'demo', names of sources in mien.toml "
            "[default: all sources in mien.toml]"
        ),
    ] = None,
    name: Annotated[str | None, typer.Option(help="What the source is called [default: made from the source]")] = None,
    window: Annotated[bool, typer.Option("--window", help="Show the live picture; q closes it.")] = False,
    loop: Loop = False,
    fps: Annotated[float | None, typer.Option(help="The most frames to analyse a second.")] = None,
    model: Model = None,
    broker: Broker = None,
    device: Device = None,
    preview: Preview = None,
    calibrate: Annotated[
        int | None,
        typer.Option(
            metavar="SECONDS", help="Also tell what lies above each face's usual look, that of its first seconds."
        ),
    ] = None,
    lsl: Annotated[
        bool, typer.Option("--lsl", help="Also send to the Lab Streaming Layer on this machine (extra lsl).")
    ] = False,
) -> None:
    """Watch cameras, streams and videos, and publish what faces show."""
    from mien.edge.watch import run_watch

    vision = {"model": model, "device": device}
    watched = {"fps": fps, "preview": preview, "lsl": lsl or None, "calibrate_s": calibrate}
    settings = settings_of("watch", {"watch": watched, "vision": vision, "broker": address_of(broker)})
    run_watch(
        settings,
        sources or [],
        stop_on_signals(),
        name=name,
        loop=loop,
        window=window,
        ready=lambda: session.tell_ready("watching"),
    )


@app.command(epilog="Example: mien markers --source hall --stream Stimuli")
def markers(
    source: Annotated[str, typer.Option(help="The source that the moments are about.")],
    stream: Annotated[
        str | None, typer.Option(help="The LSL stream's name [default: the first one of the type Markers]")
    ] = None,
    everywhere: Annotated[bool, typer.Option("--everywhere", help="They are about all sources.")] = False,
    broker: Broker = None,
) -> None:
    """Take a stimulus player's LSL events as markers."""
    from mien.edge.lsl_markers import run_markers
    from mien.errors import UsageError
    from mien.observation import SOURCE_NAME, is_source_name

    if not is_source_name(source):
        raise UsageError(f"'{source[:80]}' is no source's name: expected {SOURCE_NAME}")
    settings = settings_of("markers", {"broker": address_of(broker)})
    run_markers(settings, source, stop_on_signals(), stream=stream, everywhere=everywhere)


@app.command(epilog="Example: mien broker --port 1884")
def broker(
    port: Port = None,
    tls_cert: Annotated[Path | None, typer.Option(metavar="FILE", help="Speak TLS with this certificate.")] = None,
    tls_key: Annotated[Path | None, typer.Option(metavar="FILE", help="The certificate's private key.")] = None,
) -> None:
    """Run the built-in MQTT broker. Others reach it only if the settings say so."""
    from mien.mqtt.broker import run_broker

    named = {"port": port, "server_certificate": tls_cert, "server_key": tls_key}
    settings = settings_of("broker", {"broker": named})
    run_broker(settings, stop=stop_on_signals(), ready=lambda _: None)


@app.command("secrets", epilog="Example: mien secrets > broker.env")
def show_secrets(
    new: Annotated[bool, typer.Option("--new", help="Make new ones; the old end when the broker restarts.")] = False,
) -> None:
    """Print the broker's user and password for other machines. The first call makes them."""
    from mien.mqtt import credentials

    home = settings_of("secrets", {}).ensure_home()
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
    source: Annotated[list[str] | None, typer.Option(help="Forward only this source; may be repeated.")] = None,
    group: Annotated[
        str | None, typer.Option(metavar="NAME", help="Share the work with the other forwarders of this group.")
    ] = None,
) -> None:
    """Take observations from the broker to the store, each just once."""
    from mien.forward.forwarder import run_forwarder

    chosen = {"group": group, "sources": ",".join(source) if source else None}
    settings = settings_of("forward", {"store": {"url": store}, "broker": address_of(broker), "forward": chosen})
    run_forwarder(settings, stop_on_signals(), once=once)


@app.command(epilog="Example: mien dashboard --port 8090")
def dashboard(
    context: typer.Context,
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
    from mien.run.doctor import diagnose
    from mien.stores.looker import looker_link

    served = {"host": host, "port": port, "tls_cert": tls_cert, "tls_key": tls_key}
    flags = {"dashboard": served, "store": {"url": store}, "broker": address_of(broker)}
    settings = settings_of("dashboard", flags)
    if looker:
        typer.echo(looker_link(settings.store_url))
        return
    helping = partial(help_text, context.find_root().command)

    def ready(url: str) -> None:
        log.info("the dashboard is at %s", url)
        session.tell_ready(url)

    run_dashboard(settings, stop_on_signals(), ready, diagnose, helping)
