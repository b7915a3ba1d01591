"""The commands that give and take access to the dashboard: token, password, list and revoke."""

from __future__ import annotations

import sys
from enum import Enum
from typing import Annotated

import typer

from mien.cli.common import settings_of
from mien.cli.help_text import Commands
from mien.errors import UsageError

__all__ = ["app"]

app = Commands()


class Role(str, Enum):
    """What somebody may do."""

    viewer = "viewer"
    editor = "editor"
    admin = "admin"


Name = Annotated[str, typer.Argument(help="What they are called: letters, digits and _ . @ -")]
Allowed = Annotated[
    Role, typer.Option(help="viewer looks and tries pictures, editor also adds markers, admin may everything.")
]


@app.callback()
def give_access() -> None:
    """Say who may use the dashboard from other machines, and as what."""


@app.command(epilog="Example: mien access token grafana --role viewer")
def token(name: Name, role: Allowed = Role.viewer) -> None:
    """Print a new token for a program; it is shown this once."""
    from mien.dashboard.security.accounts import make_token

    typer.echo(make_token(settings_of("access").ensure_home(), name, role.value))
    typer.echo(f"Send it as 'Authorization: Bearer …'; `mien access revoke {name}` ends it.", err=True)


@app.command(epilog="Example: mien access password ada --role editor")
def password(name: Name, role: Allowed = Role.viewer) -> None:
    """Let a person log in with a password. It is asked for, or read from the standard input."""
    from mien.dashboard.security.accounts import set_password

    home = settings_of("access").ensure_home()
    secret = (
        str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))
        if sys.stdin.isatty()
        else sys.stdin.readline().rstrip("\r\n")
    )
    if not secret:
        raise UsageError("no password came: type it at the prompt, or pipe it in as one line")
    set_password(home, name, role.value, secret)
    typer.echo(f"{name} can log in as {role.value}")


@app.command("list", epilog="Example: mien access list")
def show() -> None:
    """List who has access."""
    from mien.dashboard.security.accounts import entries

    known = entries(settings_of("access").ensure_home())
    for entry in known:
        typer.echo(f"{entry.name}  {entry.role}  {entry.kind}  since {entry.created.astimezone():%Y-%m-%d %H:%M}")
    if not known:
        typer.echo("nobody has access; on this machine none is needed unless dashboard.login asks for it")


@app.command(epilog="Example: mien access revoke grafana")
def revoke(name: Annotated[str, typer.Argument(help="Whose token or password.")]) -> None:
    """End somebody's access at once, also where they are logged in."""
    from mien.dashboard.security.accounts import revoke as end

    end(settings_of("access").ensure_home(), name)
    typer.echo(f"{name} has no access any more")
