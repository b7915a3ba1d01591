"""The commands of this machine's emotion models: pull, rollback and show. `cli` takes them in."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from mien.cli.common import settings_of
from mien.cli.help_text import Commands

__all__ = ["app"]

app = Commands(help="Show, pull and roll back the emotion models of this machine.")

Head = Annotated[
    Literal["fer2013", "ferplus"],
    typer.Option(help="Whose answers: FER-2013's labels, or those who voted for FER+."),
]


@app.command(epilog="Example: mien model pull s3://bucket/run --head ferplus")
def pull(
    url: Annotated[str, typer.Argument(help="A run's folder: a path, https://…, s3://…")],
    latest: Annotated[bool, typer.Option("--latest", help="Take the newest epoch, not the best one.")] = False,
    head: Head = "fer2013",
) -> None:
    """Make a run's model the one of this machine. What was used before can be brought back."""
    from mien.models import store as model_store

    installed = model_store.pull(
        url, settings_of("model").ensure_home(), which="latest" if latest else "best", head=head
    )
    use = "" if head == "fer2013" else '; use it with vision.model = "ferplus"'
    typer.echo(f"this machine's {head} model is now {installed.model_id}{use}; `{_rollback(head)}` goes back")


@app.command(epilog="Example: mien model rollback")
def rollback(head: Head = "fer2013") -> None:
    """Go back to the model before the last pull."""
    from mien.models import store as model_store

    installed = model_store.rollback(settings_of("model").ensure_home(), head)
    which = installed.model_id if installed else "the one that comes with Mien"
    typer.echo(f"this machine's {head} model is {which} again")


@app.command(epilog="Example: mien model show")
def show() -> None:
    """Say which models this machine has, and where they are from."""
    from mien.models import store as model_store
    from mien.models.classifier import Classifier

    home = settings_of("model").ensure_home()
    for head in model_store.HEADS:
        pulled = model_store.current(home, head)
        if pulled is None:
            typer.echo(f"{head:<8}  {Classifier.load(head).model_id}, comes with Mien")
            continue
        known = pulled[1]
        typer.echo(
            f"{head:<8}  {known.model_id}, epoch {known.epoch} of {known.origin}, {known.accuracy:.1%} on PublicTest"
        )


def _rollback(head: str) -> str:
    return "mien model rollback" if head == "fer2013" else f"mien model rollback --head {head}"
