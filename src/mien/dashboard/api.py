"""The REST API under /api/v1: what the page shows, for programs. Read-only.

Every error, also a wrong parameter or an unknown path, has one shape: {"error": {"code": …, "message": …}}.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Annotated, Any

import msgspec
from fastapi import FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from mien import __version__
from mien.dashboard.periods import Choice, resolve
from mien.dashboard.queries import Queries
from mien.errors import StoreError
from mien.observation import EMOTIONS
from mien.stores.base import Summary

__all__ = ["build_api", "error_response"]

MAX_OBSERVATIONS = 5000

Sources = Annotated[
    list[Annotated[str, Query(pattern="^[a-z0-9_-]{1,64}$")]],
    Query(alias="source", description="A source's name; may be given several times. Default: all.", max_length=100),
]
From = Annotated[datetime | None, Query(alias="from", description="The beginning, ISO 8601; without a zone: UTC.")]
To = Annotated[datetime | None, Query(alias="to", description="The end, not included, ISO 8601. Default: now.")]


class Problem(BaseModel):
    """What went wrong."""

    code: str
    message: str


class ErrorBody(BaseModel):
    """The shape of every error."""

    error: Problem


class Health(BaseModel):
    """Whether the parts that the dashboard reads are there."""

    status: str
    store: bool
    broker: bool
    message: str
    version: str


class SourceBody(BaseModel):
    """A source; `since` is null where nobody saw it come or go, `faces` is null while it is offline."""

    source: str
    online: bool
    since: datetime | None
    first: datetime | None
    last: datetime | None
    frames: int
    faces: int | None
    fps: float | None


class Figures(BaseModel):
    """Sums over a stretch of time.

    `counts` are the faces named per emotion, `shares` the mean probability of each in percent, `happiness` is 100 x the
    mean probability of happy; the last two are null without faces.
    """

    frames: int
    faces: int
    abstained: int
    counts: dict[str, int]
    shares: dict[str, float] | None
    happiness: float | None


class SummaryBody(Figures):
    """The sums over the minutes that begin in [start, end)."""

    start: datetime
    end: datetime


class Point(Figures):
    """The sums over `width_s` seconds from `start` on."""

    start: datetime


class TimelineBody(BaseModel):
    """The points of a period that hold a frame, oldest first."""

    start: datetime
    end: datetime
    width_s: int
    points: list[Point]


def build_api(queries: Queries) -> FastAPI:
    """Return the application to mount under /api."""
    problems: dict[int | str, dict[str, Any]] = {code: {"model": ErrorBody} for code in (400, 404, 405, 422, 503)}
    api = FastAPI(
        title="Mien", version=__version__, docs_url=None, redoc_url=None, openapi_url="/v1/openapi.json",
        description="What the faces in view showed.", responses=problems,
    )  # fmt: skip
    api.add_exception_handler(HTTPException, _on_http_error)
    api.add_exception_handler(RequestValidationError, _on_invalid)
    api.add_exception_handler(StoreError, _on_store_error)
    api.add_exception_handler(Exception, _on_crash)

    @api.get("/v1/health")
    async def health() -> Health:
        """Say whether store and broker are there; always answers."""
        error = await queries.store_error()
        broker = queries.listener.connected
        message = "; ".join(part for part in (str(error or ""), "" if broker else queries.listener.reason) if part)
        status = "ok" if broker and not error else "degraded"
        return Health(status=status, store=error is None, broker=broker, message=message, version=__version__)

    @api.get("/v1/sources")
    async def sources() -> list[SourceBody]:
        """List every source that the store or the broker knows."""
        return [
            SourceBody(
                source=state.source, online=state.online, since=state.since, first=state.first, last=state.last,
                frames=state.frames, faces=len(state.newest.faces) if state.newest else None,
                fps=state.stats.fps if state.stats else None,
            )
            for state in await queries.sources()
        ]  # fmt: skip

    @api.get("/v1/summary")
    async def summary(source: Sources = [], start: From = None, end: To = None) -> SummaryBody:  # noqa: B006
        """Sum a period up; default: the last hour."""
        first, last = _period(start, end)
        total = await queries.summary(first, last, source)
        return SummaryBody(start=first, end=last, **_figures(total))

    @api.get("/v1/timeline")
    async def timeline(source: Sources = [], start: From = None, end: To = None) -> TimelineBody:  # noqa: B006
        """Divide a period into at most 400 points; default: the last hour."""
        first, last = _period(start, end)
        window = resolve(Choice((), "custom", first, last), timezone.utc, datetime.now(timezone.utc))
        line = await queries.timeline(window, source)
        points = [
            Point(start=window.start + timedelta(seconds=index * window.width), **_figures(_summed(row)))
            for index, row in enumerate(line.rows)
            if row[0]
        ]
        return TimelineBody(start=window.start, end=window.end, width_s=window.width, points=points)

    @api.get("/v1/observations", response_class=Response, responses={200: {"content": {"application/json": {}}}})
    async def observations(
        source: Sources = [],  # noqa: B006
        start: From = None,
        limit: Annotated[int, Query(ge=1, le=MAX_OBSERVATIONS, description="At most so many.")] = 100,
    ) -> Response:
        """Return the newest raw observations since `from`, oldest first; default: of the last hour."""
        first, _ = _period(start, None)
        seen = await queries.recent(first, source, limit)
        return Response(msgspec.json.encode(seen), media_type="application/json")

    return api


def error_response(status: int, code: str, message: str) -> JSONResponse:
    """Return an error in the one shape that the API has."""
    return JSONResponse({"error": {"code": code, "message": message}}, status)


def _period(start: datetime | None, end: datetime | None) -> tuple[datetime, datetime]:
    last = _utc(end) if end else datetime.now(timezone.utc).replace(microsecond=0)
    first = _utc(start) if start else last - timedelta(hours=1)
    if not first < last:
        raise HTTPException(422, f"'from' must be before 'to', but it is {first.isoformat()} and {last.isoformat()}")
    return first, last


def _utc(time: datetime) -> datetime:
    if not 1971 <= time.year <= 9000:
        raise HTTPException(422, f"a time between the years 1971 and 9000 is expected, but it is {time.isoformat()}")
    return time.replace(tzinfo=timezone.utc) if time.tzinfo is None else time.astimezone(timezone.utc)


def _summed(row: Any) -> Summary:
    counts = tuple(int(count) for count in row[3:10])
    return Summary(int(row[0]), int(row[1]), int(row[2]), counts, tuple(float(value) for value in row[10:]))


def _figures(total: Summary) -> dict[str, Any]:
    shares = [round(100 * value / total.faces, 3) for value in total.sums] if total.faces else None
    return {
        "frames": total.frames, "faces": total.faces, "abstained": total.abstained, "happiness": total.happiness,
        "counts": dict(zip(EMOTIONS, total.counts, strict=True)),
        "shares": dict(zip(EMOTIONS, shares, strict=True)) if shares else None,
    }  # fmt: skip


async def _on_http_error(request: Request, error: Exception) -> JSONResponse:
    status = error.status_code if isinstance(error, HTTPException) else 500
    if status == 404:
        return error_response(404, "not_found", f"there is no {request.url.path}: see /api/v1/openapi.json")
    if status == 405:
        return error_response(405, "method_not_allowed", f"{request.url.path} is read-only: use GET")
    return error_response(status, "invalid", str(getattr(error, "detail", error)))


async def _on_invalid(_request: Request, error: Exception) -> JSONResponse:
    problem = error.errors()[0] if isinstance(error, RequestValidationError) else {"loc": (), "msg": str(error)}
    name = ".".join(str(part) for part in problem["loc"][1:])
    return error_response(422, "invalid", f"parameter '{name}': {problem['msg']}")


async def _on_store_error(_request: Request, error: Exception) -> JSONResponse:
    return error_response(503, "store_unavailable", str(error))


async def _on_crash(_request: Request, _error: Exception) -> JSONResponse:
    return error_response(500, "internal", "the dashboard failed to answer; its log says why")
