"""What the routes of the API are asked with: sources, a period, a page."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Annotated

from fastapi import Query

from mien.dashboard.api.schemas import SOURCE
from mien.dashboard.errors import ApiError

__all__ = ["From", "Sources", "To", "in_utc", "period"]

Sources = Annotated[
    list[Annotated[str, Query(pattern=SOURCE)]],
    Query(alias="source", description="A source's name; may be given several times. Default: all.", max_length=100),
]
From = Annotated[datetime | None, Query(alias="from", description="The beginning, ISO 8601; without a zone: UTC.")]
To = Annotated[datetime | None, Query(alias="to", description="The end, not included, ISO 8601. Default: now.")]


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


def in_utc(time: datetime) -> datetime:
    """Return a time in UTC, which it is taken for where it names no zone.

    Raises:
        ApiError: It is of no year that a clock shows.
    """
    if not 1971 <= time.year <= 2199:
        raise ApiError(422, f"a time between the years 1971 and 2199 is expected, but it is {time.isoformat()}")
    return time.replace(tzinfo=timezone.utc) if time.tzinfo is None else time.astimezone(timezone.utc)
