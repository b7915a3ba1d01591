"""The commands `mien plan …`: what a study is to find goes in, how large it has to be comes out."""

from __future__ import annotations

from typing import Annotated

import typer

from mien.cli.help_text import Commands

__all__ = ["app"]

app = Commands()


@app.callback()
def plan() -> None:
    """Say how large a study has to be, before it is made."""


@app.command(epilog="Example: mien plan audience --effect 0.1")
def audience(
    effect: Annotated[float, typer.Option(help="The mean height of the reaction to be found, in probability.")],
    power: Annotated[float, typer.Option(help="The chance to find it.")] = 0.8,
    events: Annotated[int, typer.Option(help="How many events there are in all.")] = 8,
    window: Annotated[float, typer.Option(help="Seconds after an event in which a reaction is looked for.")] = 10.0,
    noise: Annotated[
        float, typer.Option(help="The standard deviation of a viewer's curve where nothing happens, in probability.")
    ] = 0.055,
    spread: Annotated[
        float, typer.Option(help="How differently strong reactions are: standard deviation over mean.")
    ] = 0.5,
    cold: Annotated[float, typer.Option(help="The share of viewers who do not react at all.")] = 0.2,
    lost: Annotated[float, typer.Option(help="The share of recordings that will be of no use.")] = 0.1,
) -> None:
    """How many viewers find a reaction of this height?"""
    from mien.reports.audience.plan import plan_audience

    made = plan_audience(
        effect, power=power, events=events, window_s=window, noise=noise, spread=spread, cold=cold, lost=lost
    )
    typer.echo(f"{made.viewers} viewers find a reaction of {effect:g} with a chance of {100 * power:.0f} %.")
    typer.echo(f"Invite {made.invited}, if {100 * lost:.0f} % of the recordings are lost.")
    typer.echo(
        f"Assumed: {events} events with windows of {window:g} s; curves that fluctuate by {noise:g}; "
        f"{100 * cold:.0f} % of the viewers do not react, the others by a strength that varies by {100 * spread:.0f} % "
        "of its mean; p under 0.05, corrected for all events, emotions and moments."
    )
