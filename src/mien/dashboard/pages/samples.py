"""What newcomers can try: the demo's portrait, its clip, lists to begin one's own with; made when first asked for."""

from __future__ import annotations

import asyncio
import tempfile
import threading
from functools import cache
from pathlib import Path

from fastapi import APIRouter, Depends
from fastapi.responses import Response

from mien.dashboard.errors import ApiError
from mien.dashboard.security.roles import needs
from mien.reports.examples import LISTS, SAMPLES, sample_picture, write_clip

__all__ = ["CLIP", "WORDS", "samples"]

CLIP = "demo.mp4"

WORDS = {f"{name}.jpg": name.capitalize() for name in SAMPLES} | {CLIP: "A clip of 20 s"}
"""What the page Try it offers: the samples' names, and what they are called."""

DRAWING = threading.Lock()
KINDS = {
    ".jpg": "image/jpeg",
    ".mp4": "video/mp4",
    ".csv": "text/csv; charset=utf-8",
    ".vtt": "text/vtt; charset=utf-8",
}


def samples() -> APIRouter:
    """Return the route /samples."""
    router = APIRouter(include_in_schema=False)

    @router.get("/samples/{name}", dependencies=[Depends(needs("viewer"))])
    async def serve(name: str) -> Response:
        if name not in WORDS and name not in LISTS and name != "demo.jpg":
            raise ApiError(404, f"there is no sample {name[:80]!a}: expected one of {', '.join([*WORDS, *LISTS])}")
        content = await asyncio.to_thread(_content, name)
        return Response(
            content, media_type=KINDS[Path(name).suffix], headers={"cache-control": "private, max-age=3600"}
        )

    return router


def _content(name: str) -> bytes:
    if name in LISTS:
        return LISTS[name].encode()
    with DRAWING:
        return _clip() if name == CLIP else sample_picture("smiling" if name == "demo.jpg" else Path(name).stem)


@cache
def _clip() -> bytes:
    with tempfile.TemporaryDirectory(prefix="mien-") as folder:
        path = Path(folder) / CLIP
        write_clip(path)
        return path.read_bytes()
