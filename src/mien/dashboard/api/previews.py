"""Previews over the API: the picture that a source sent last, and the request for more, which it grants itself."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query
from fastapi.responses import Response

from mien.config import Settings
from mien.dashboard.api.schemas import SOURCE, NewPreview, PreviewBody, refusals
from mien.dashboard.data.queries import Queries
from mien.dashboard.errors import ApiError
from mien.dashboard.security.roles import needs
from mien.edge.fleet import set_remotely
from mien.errors import MienError, UsageError

__all__ = ["showing_previews"]

ANSWER_S = 5.0
"""So long a source may take to answer, in seconds."""

ASKING = 4
"""So many sources are asked at once at most."""

PICTURE: dict[int | str, dict[str, Any]] = {
    200: {"content": {"image/jpeg": {"schema": {"type": "string", "format": "binary"}}}}
}

Name = Annotated[str, Path(pattern=SOURCE, description="The source's name.")]
Number = Annotated[
    int | None,
    Query(description="Which one a page was told of; where it is gone, or none is named, the newest comes."),
]


def showing_previews(queries: Queries, settings: Settings) -> APIRouter:
    """Return the routes /v1/sources/{source}/preview."""
    router = APIRouter(prefix="/v1/sources/{source}/preview", tags=["figures"])
    asking = asyncio.Semaphore(ASKING)

    @router.get("", response_class=Response, dependencies=[Depends(needs("viewer"))], responses=PICTURE)
    async def preview(source: str, number: Number = None) -> Response:
        """Return the picture that a source sent last, a JPEG; it sends them where `watch.preview` says so."""
        picture = queries.listener.picture(source, number)
        if picture is None:
            raise ApiError(404, "this source sent no preview in the last 10 seconds: see its setting watch.preview")
        return Response(picture.jpeg, media_type="image/jpeg", headers={"cache-control": "no-store"})

    @router.post("", dependencies=[Depends(needs("admin"))], responses=refusals(409))
    async def ask_for_previews(source: Name, wanted: NewPreview) -> PreviewBody:
        """Ask a source to send pictures for an hour, as far as its `watch.remote_preview` allows, or to end that.

        409: no broker runs, or the source is unknown, offline, takes no such request or does not answer.
        """
        async with asking:
            try:
                state = await asyncio.to_thread(set_remotely, settings, source, {"preview": wanted.preview}, ANSWER_S)
            except UsageError as error:
                raise ApiError(422, str(error)) from error
            except MienError as error:
                raise ApiError(409, str(error)) from error
        return PreviewBody(preview=state.preview, until=state.preview_until)

    return router
