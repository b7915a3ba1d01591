"""Who asks, and what they may: viewers look and try pictures, editors add markers, admins may everything.

The guard finds out who a request is from and writes it into the request's scope; routes and pages read it there.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Annotated, Any, Literal, NamedTuple

from fastapi import Depends, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from mien.dashboard.errors import ApiError

__all__ = ["KEY", "LOCAL", "ROLES", "STILL", "Caller", "Editor", "Role", "Viewer", "may", "needs", "who_asks"]

Role = Literal["viewer", "editor", "admin"]

ROLES: tuple[Role, ...] = ("viewer", "editor", "admin")
"""Each may what those before it may."""

KEY, STILL = "mien.who", "mien.still"


Token = Annotated[
    HTTPAuthorizationCredentials | None,
    Security(HTTPBearer(auto_error=False, description="A token; needed from other machines.")),
]
"""What the OpenAPI document says of tokens; the guard reads them."""


class Caller(NamedTuple):
    """Somebody who is let in.

    Attributes:
        name: What they are called.
        role: What they may.
        login: Whether they had to show a password or a token.
    """

    name: str
    role: Role
    login: bool


LOCAL = Caller("local", "admin", login=False)
"""Who sits at this machine, where it listens to nobody else."""


def who_asks(scope: MutableMapping[str, Any]) -> Caller | None:
    """Return who a request is from; None: nobody who is known."""
    who: Caller | None = scope.get(KEY)
    return who


def may(who: Caller | None, role: Role) -> bool:
    """Return whether somebody may what a role may."""
    return who is not None and ROLES.index(who.role) >= ROLES.index(role)


def needs(role: Role) -> Callable[..., Awaitable[Caller]]:
    """Return a dependency for routes: it gives who asks, and refuses those who lack the role."""

    async def check(request: Request, _shown: Token = None) -> Caller:
        who = who_asks(request.scope)
        if who is None:
            raise ApiError(401, "log in, or send a token as 'Authorization: Bearer …'", {"www-authenticate": "Bearer"})
        if not may(who, role):
            raise ApiError(403, f"this takes the role {role}, but '{who.name}' has the role {who.role}")
        return who

    return check


Viewer = Annotated[Caller, Depends(needs("viewer"))]
Editor = Annotated[Caller, Depends(needs("editor"))]
"""Parameters of routes that take a role: they give who asks."""
