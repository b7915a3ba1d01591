"""The figures over the API: health, who asks, sources, summary, timeline and raw observations, read-only."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from typing import Annotated, Any, get_args

import msgspec
from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response

from mien.config import Preview
from mien.dashboard.api.parameters import From, Sources, To, period
from mien.dashboard.api.schemas import Health, Identity, ObservationsBody, Point, SourceBody, SummaryBody, TimelineBody
from mien.dashboard.data.periods import STEPS, Choice, Window, resolve
from mien.dashboard.data.queries import Queries, SourceState
from mien.dashboard.data.records import RecordReader
from mien.dashboard.errors import ApiError, message_for
from mien.dashboard.security.roles import Viewer, needs, who_asks
from mien.observation import EMOTIONS, Observation
from mien.stores.base import Sums, utc
from mien.version import __version__

__all__ = ["figures", "reading", "source_body", "window_of"]

MAX_OBSERVATIONS = 5000
MAX_POINTS = 5000
CURSOR = re.compile(r"(\d{1,16})\.([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})")

Width = Annotated[
    int | None,
    Query(
        json_schema_extra={"enum": list(STEPS)},
        description="The length of a point in seconds, one of the values listed. Default: so that there are up to 400.",
    ),
]


def reading(queries: Queries, records: RecordReader) -> APIRouter:
    """Return the routes that only read."""
    router = APIRouter(prefix="/v1", tags=["figures"])
    viewer = [Depends(needs("viewer"))]

    @router.get("/health")
    async def health(request: Request) -> Health:
        """Say whether store and broker are there; always answers, and in full to those who are let in."""
        error = await queries.store_error()
        broker = queries.listener.connected
        error_text = message_for(request.scope, error) if error else ""
        message = "; ".join(part for part in (error_text, "" if broker else queries.listener.reason) if part)
        status = "ok" if broker and not error else "degraded"
        if who_asks(request.scope) is None:
            return Health(status=status, store=error is None, broker=broker, message="", version="")
        return Health(status=status, store=error is None, broker=broker, message=message, version=__version__)

    @router.get("/me")
    async def me(who: Viewer) -> Identity:
        """Say who asks, and what they may."""
        return Identity(**who._asdict())

    @router.get("/sources", dependencies=viewer)
    async def sources() -> list[SourceBody]:
        """List every source that the store or the broker knows."""
        return [source_body(state) for state in await queries.sources()]

    @router.get("/summary", dependencies=viewer)
    async def summary(source: Sources = [], start: From = None, end: To = None) -> SummaryBody:  # noqa: B006
        """Sum a period up, to the frame while its raw rows are there; default: the last hour."""
        total = await queries.summary(*period(start, end), source)
        return SummaryBody(start=total.start, end=total.end, **figures(total))

    @router.get("/timeline", dependencies=viewer)
    async def timeline(
        source: Sources = [],  # noqa: B006
        start: From = None,
        end: To = None,
        width: Width = None,
    ) -> TimelineBody:
        """Divide a period into points; default: the last hour."""
        line = await queries.timeline(window_of(start, end, width), source)
        window = line.window
        points = [
            Point(start=window.start + timedelta(seconds=index * window.width), **figures(Sums.of_row(row)))
            for index, row in enumerate(line.rows)
            if row["frames"]
        ]
        return TimelineBody(start=window.start, end=window.end, width_s=window.width, points=points)

    @router.get(
        "/observations", response_class=Response, dependencies=viewer, responses={200: {"model": ObservationsBody}}
    )
    async def observations(
        source: Sources = [],  # noqa: B006
        start: From = None,
        end: To = None,
        limit: Annotated[int, Query(ge=1, le=MAX_OBSERVATIONS, description="At most so many on a page.")] = 100,
        cursor: Annotated[
            str | None, Query(max_length=64, description="The `next` of the page before; the other parameters stay.")
        ] = None,
    ) -> Response:
        """Return the raw observations of a period, oldest first, in pages; default: the last hour."""
        first, last = period(start, end)
        observations = await records.page(first, last, source, limit, _place(cursor))
        following = _cursor(observations[-1]) if len(observations) == limit else None
        page = {"observations": observations, "next": following}
        return Response(msgspec.json.encode(page), media_type="application/json")

    return router


def window_of(start: datetime | None, end: datetime | None, width: int | None) -> Window:
    """Return the window of a period, divided as asked.

    Raises:
        ApiError: There is no such width, or it makes too many points.
    """
    first, last = period(start, end)
    if width is None:
        return resolve(Choice((), "custom", first, last), timezone.utc, datetime.now(timezone.utc))
    if width not in STEPS:
        raise ApiError(422, f"parameter 'width': {width} is none of {', '.join(map(str, STEPS))}")
    begin = first.timestamp() // width * width
    window = Window(utc(begin), utc(-(-last.timestamp() // width) * width), width)
    if window.points > MAX_POINTS:
        raise ApiError(422, f"that makes {window.points:,} points, more than {MAX_POINTS:,}: choose a larger 'width'")
    return window


def source_body(state: SourceState) -> SourceBody:
    """Return a source as the API tells it."""
    return SourceBody(
        source=state.source, online=state.online, since=state.since, first=state.first, last=state.last,
        frames=state.frames, faces=len(state.newest.faces) if state.newest else None,
        fps=state.stats.fps if state.stats else None, preview=_preview(state),
    )  # fmt: skip


def _preview(state: SourceState) -> Preview | None:
    offered = state.stats.preview if state.stats else None
    return next((kind for kind in get_args(Preview) if kind == offered), None)


def figures(total: Sums) -> dict[str, Any]:
    """Return sums as the API tells them."""
    return {
        "frames": total.frames, "faces": total.faces, "unclear": total.unclear, "happiness": total.happiness,
        "counts": total.counts,
        "shares": {name: round(total.share(name) or 0.0, 3) for name in EMOTIONS} if total.faces else None,
    }  # fmt: skip


def _place(cursor: str | None) -> tuple[datetime, str] | None:
    if cursor is None:
        return None
    match = CURSOR.fullmatch(cursor)
    if not match or int(match[1]) >= 10**16:
        raise ApiError(422, "parameter 'cursor': expected the 'next' of a page, as it came")
    return utc(0) + timedelta(microseconds=int(match[1])), match[2]


def _cursor(last: Observation) -> str | None:
    return None if last.time is None else f"{(last.time - utc(0)) // timedelta(microseconds=1)}.{last.id}"
