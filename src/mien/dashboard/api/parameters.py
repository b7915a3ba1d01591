"""What the routes of the API are asked with: sources, a period; and the refusal of what they do not know."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone, tzinfo
from difflib import get_close_matches
from typing import Annotated

from fastapi import Query, Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from mien.dashboard.api.schemas import SOURCE
from mien.dashboard.errors import ApiError
from mien.dashboard.security.roles import who_asks

__all__ = ["From", "Sources", "To", "in_utc", "known_parameters", "period"]

Sources = Annotated[
    list[Annotated[str, Query(pattern=SOURCE)]],
    Query(alias="source", description="A source's name; may be given several times. Default: all.", max_length=100),
]
From = Annotated[datetime | None, Query(alias="from", description="The beginning, ISO 8601; without a zone: UTC.")]
To = Annotated[
    datetime | None, Query(alias="to", description="The end, not included; without a zone: UTC. Default: now.")
]


def known_parameters(request: Request) -> None:
    """Refuse a query with a parameter that the route does not know: a misspelt one would quietly select all.

    Raises:
        ApiError: There is one; the nearest name is named. Who has to log in first is told that instead, by the route.
    """
    route = request.scope.get("route")
    if not isinstance(route, APIRoute) or who_asks(request.scope) is None:
        return
    known = sorted(set(_names(route.dependant)))
    for name in request.query_params:
        if name not in known:
            near = get_close_matches(name.lower(), known, 1, 0.5)
            meant = f": did you mean '{near[0]}'?" if near else ":"
            takes = f"takes {', '.join(known)}" if known else "takes none"
            raise ApiError(422, f"no parameter '{name[:64]}' is known{meant} {request.url.path} {takes}")


def _names(dependant: Dependant) -> Iterator[str]:
    yield from (field.alias for field in dependant.query_params)
    for part in dependant.dependencies:
        yield from _names(part)


def period(start: datetime | None, end: datetime | None) -> tuple[datetime, datetime]:
    """Return the period asked for, UTC; default: the last hour.

    Raises:
        ApiError: It does not begin before it ends, or is of no year that a clock shows.
    """
    last = in_utc(end) if end else datetime.now(timezone.utc).replace(microsecond=0)
    first = in_utc(start) if start else last - timedelta(hours=1)
    if not first < last:
        raise ApiError(422, f"'from' must be before 'to', but it is {first.isoformat()} and {last.isoformat()}")
    return first, last


def in_utc(time: datetime, zone: tzinfo = timezone.utc) -> datetime:
    """Return a time in UTC; one that names no zone is of the one given.

    Raises:
        ApiError: It is of no year that a clock shows.
    """
    if not 1971 <= time.year <= 2199:
        raise ApiError(422, f"a time between the years 1971 and 2199 is expected, but it is {time.isoformat()}")
    return (time.replace(tzinfo=zone) if time.tzinfo is None else time).astimezone(timezone.utc)
