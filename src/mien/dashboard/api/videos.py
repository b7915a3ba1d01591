"""A video in, what its faces showed out, over the API: read on this machine from the uploaded file, and forgotten.

What comes is what `mien analyze` gives for the same file; it is deleted when its sender says so, or after an hour.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import msgspec
from fastapi import APIRouter, Query
from fastapi import Path as InPath
from fastapi.responses import FileResponse, Response

from mien.dashboard.api.schemas import NewVideo, VideoBody, VideoId, refusals
from mien.dashboard.errors import ApiError
from mien.dashboard.jobs.trials import Trials
from mien.dashboard.jobs.uploads import Uploads
from mien.dashboard.security.roles import Editor
from mien.media.folder import VIDEOS

__all__ = ["trying"]

Key = Annotated[str, InPath(pattern="^[0-9a-f]{32}$", description="The video's id.")]
Start = Annotated[int, Query(ge=0, le=1 << 40, description="Where the answer before ended: its `next`.")]

KINDS = {"csv": ("text/csv; charset=utf-8", ".csv"), "annotated": ("video/mp4", ".annotated.mp4")}
FILES = {200: {"content": {kind: {"schema": {"type": "string", "format": "binary"}} for kind, _ in KINDS.values()}}}


def trying(trials: Trials, uploads: Uploads) -> APIRouter:
    """Return the routes under /v1/videos."""
    router = APIRouter(prefix="/v1/videos", tags=["pictures"])

    @router.post("", status_code=202, responses=refusals(415))
    async def read_video(asked: NewVideo, who: Editor) -> VideoId:
        """Read an uploaded video when those before it are read."""
        upload = uploads.find(asked.file, who.name)
        if Path(upload.name).suffix.lower() not in VIDEOS:
            raise ApiError(415, f"'{upload.name}' is no video: send photos to /v1/analyze")
        return VideoId(id=trials.add(upload).key)

    @router.get("/{key}", response_class=Response, responses={200: {"model": VideoBody}})
    async def get_video(key: Key, who: Editor, start: Start = 0) -> Response:
        """Tell how far a video is read, and give a piece of what its frames showed, about twelve a second."""
        trial = trials.find(key, who.name)
        event = trial.event  # before the frames: what ended has all of them
        frames, end = trial.frames(start)
        facts = msgspec.json.encode({"name": trial.name, "next": end} | msgspec.structs.asdict(event))
        body = facts[:-1] + b',"samples":[' + frames + b"]}"
        return Response(body, media_type="application/json", headers={"cache-control": "no-store"})

    @router.get("/{key}/{kind}", response_class=Response, responses=FILES)  # type: ignore[arg-type]
    async def get_file(key: Key, kind: Literal["csv", "annotated"], who: Editor) -> Response:
        """Return what `mien analyze` writes: a row per face (CSV), or the video with what was found drawn in (MP4)."""
        trial = trials.find(key, who.name)
        path = trial.file(kind)
        if path is None:
            raise ApiError(404, f"of '{trial.name}' there is no such file yet: see whether it was read to its end")
        media_type, ending = KINDS[kind]
        headers = {"cache-control": "no-store"}
        return FileResponse(path, media_type=media_type, filename=Path(trial.name).stem + ending, headers=headers)

    @router.delete("/{key}", status_code=204)
    async def delete_video(key: Key, who: Editor) -> None:
        """Stop reading a video, and delete it with what was read."""
        trials.drop(trials.find(key, who.name))

    return router
