"""A picture in, its faces out, over the API: analysed on this machine, in memory, and forgotten."""

from __future__ import annotations

import asyncio
import time as clock
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response

from mien.config import VisionSettings
from mien.dashboard.api.schemas import Analysed, refusals
from mien.dashboard.errors import ApiError
from mien.dashboard.security.roles import needs
from mien.media.photos import decode_photo
from mien.observation import Face
from mien.vision.pipeline import read_pictures, shared_models

__all__ = ["MAX_PICTURE", "PhotoReader", "analysing"]

MAX_PICTURE = 16 << 20
"""So many bytes a picture may have: 16 MiB."""

MAX_AT_ONCE = 8
"""So many pictures may be on their way at once; they are analysed one by one."""

PATIENCE_S = 30.0
"""So long a picture may take to arrive."""

PICTURE = {
    "requestBody": {
        "required": True,
        "description": "The picture itself: JPEG, PNG, WebP, AVIF, TIFF, GIF, BMP or PPM, told by its first bytes.",
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}


Sets = Annotated[
    float | None,
    Query(gt=0, lt=1, description="Also say which emotions are plausible of each face at this level, such as 0.9."),
]


class Result(msgspec.Struct, frozen=True):
    """What a picture showed, in the words of `bodies.Analysed`."""

    width: int
    height: int
    model: str
    elapsed_ms: float
    faces: list[Face]


class PhotoReader:
    """Reads pictures, one at a time, in a thread of its own.

    Args:
        settings: How faces are found and read.
    """

    def __init__(self, settings: VisionSettings) -> None:
        self._settings = settings
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="dashboard-analyst")
        self.busy = 0

    async def read(self, content: bytes, sets: float | None = None) -> Result:
        """Return what a picture shows; with `sets` also which emotions are plausible at that level.

        Raises:
            InputError: It is no picture, is damaged, or has too many pixels, or the model does not know the level.
            ModelError: A model is missing or cannot be used.
        """
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._read, content, sets)

    def close(self) -> None:
        """End the thread."""
        self._thread.shutdown(wait=True, cancel_futures=True)

    def _read(self, content: bytes, sets: float | None) -> Result:
        detector, classifier = shared_models(self._settings)
        began = clock.perf_counter()
        image, _ = decode_photo(content)
        (faces,) = read_pictures(detector, classifier, [image], self._settings.abstain_below, sets)
        height, width = image.shape[:2]
        return Result(width, height, classifier.model_id, round((clock.perf_counter() - began) * 1000, 2), faces)


def analysing(analyst: PhotoReader) -> APIRouter:
    """Return the route /v1/analyze."""
    router = APIRouter(tags=["pictures"])

    @router.post(
        "/v1/analyze", response_class=Response, dependencies=[Depends(needs("viewer"))], openapi_extra=PICTURE,
        responses={200: {"model": Analysed}, **refusals(408)},
    )  # fmt: skip
    async def analyze(request: Request, sets: Sets = None) -> Response:
        """Return the faces in a picture, the surest first. Nothing of it is kept."""
        if analyst.busy >= MAX_AT_ONCE:
            raise ApiError(429, f"{MAX_AT_ONCE} pictures are being read: try again", {"retry-after": "1"})
        analyst.busy += 1
        try:
            result = await analyst.read(await _body(request), sets)
        finally:
            analyst.busy -= 1
        return Response(
            msgspec.json.encode(result), media_type="application/json", headers={"cache-control": "no-store"}
        )

    return router


async def _body(request: Request) -> bytes:
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > MAX_PICTURE:
        raise _too_large()
    content = bytearray()

    async def read() -> None:
        async with aclosing(request.stream()) as parts:
            async for part in parts:
                content.extend(part)
                if len(content) > MAX_PICTURE:
                    raise _too_large()

    try:
        await asyncio.wait_for(read(), PATIENCE_S)
    except asyncio.TimeoutError:
        raise ApiError(408, f"the picture did not arrive within {PATIENCE_S:g} s") from None
    if not content:
        raise ApiError(422, "the body is empty: send the picture itself, as curl --data-binary @photo.jpg does")
    return bytes(content)


def _too_large() -> ApiError:
    return ApiError(
        413, f"a picture may have {MAX_PICTURE >> 20} MiB at most: make it smaller", {"connection": "close"}
    )
