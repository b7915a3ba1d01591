"""Markers over the API: list, create, delete. Who looks may list them; who edits may add some and delete their own."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query

from mien.dashboard.api.parameters import From, Sources, To, in_utc, period
from mien.dashboard.api.schemas import MarkerBody, NewMarker
from mien.dashboard.data.records import RecordReader
from mien.dashboard.errors import ApiError
from mien.dashboard.security.roles import Editor, may, needs
from mien.observation import new_id
from mien.stores.base import Marker

__all__ = ["marking"]

MAX_MARKERS = 1000

Key = Annotated[str, Path(pattern="^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", description="The marker's id.")]


def marking(records: RecordReader) -> APIRouter:
    """Return the routes under /v1/markers."""
    router = APIRouter(prefix="/v1/markers", tags=["markers"])

    @router.get("", dependencies=[Depends(needs("viewer"))])
    async def list_markers(
        source: Sources = [],  # noqa: B006
        start: From = None,
        end: To = None,
        limit: Annotated[int, Query(ge=1, le=MAX_MARKERS, description="At most so many, the newest.")] = MAX_MARKERS,
    ) -> list[MarkerBody]:
        """List the markers of a period, oldest first: those of the sources named, and those that are about all."""
        first, last = period(start, end)
        return [_body(marker) for marker in await records.markers(first, last, source, limit)]

    @router.post("", status_code=201)
    async def create_marker(marker: NewMarker, who: Editor) -> MarkerBody:
        """Name a moment."""
        time = in_utc(marker.time) if marker.time else datetime.now(timezone.utc)
        made = Marker(new_id(), time, marker.label, marker.source, who.name)
        await records.add_marker(made)
        return _body(made)

    @router.delete("/{key}", status_code=204)
    async def delete_marker(key: Key, who: Editor) -> None:
        """Delete a marker; others' take the role admin."""
        marker = await records.marker(key)
        if marker is None:
            raise ApiError(404, f"there is no marker {key}: it was deleted, or never made")
        if marker.created_by != who.name and not may(who, "admin"):
            raise ApiError(403, f"the marker is of '{marker.created_by}': deleting others' takes the role admin")
        await records.drop_marker(key)

    return router


def _body(marker: Marker) -> MarkerBody:
    return MarkerBody(**marker._asdict())
