"""What pages load: style sheets, scripts, the font, the icons, and Plotly's script, packed once and kept by browsers.

The address of a file goes in, with the digest of its content where a template made it; the file comes out, for good
where the digest is right, to be asked for again where there is none.
"""

from __future__ import annotations

import asyncio
import gzip
import threading
from functools import cache

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, Response

from mien.dashboard.errors import ApiError
from mien.dashboard.rendering import PLOTLY, STATIC, digest, file_of

__all__ = ["assets", "prepare"]

NAMES = frozenset({path.name for path in STATIC.iterdir()} | {PLOTLY})
TYPES = {
    ".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml",
    ".woff2": "font/woff2", ".txt": "text/plain; charset=utf-8",
}  # fmt: skip
PACKED = {".css", ".js", ".svg", ".txt"}
PACKING = threading.Lock()
FOREVER = "private, max-age=31536000, immutable"


def assets() -> APIRouter:
    """Return the route /assets."""
    router = APIRouter(include_in_schema=False)

    @router.api_route("/assets/{name}", methods=["GET", "HEAD"])
    async def serve(name: str, request: Request) -> Response:
        if name not in NAMES:
            raise ApiError(404, f"there is no {name[:100]!a} among the files that pages load")
        path = file_of(name)
        stamp = digest(name)
        headers = {
            "cache-control": FOREVER if request.url.query == stamp else "private, no-cache",
            "etag": f'"{stamp}"',
            "vary": "accept-encoding",
        }
        if f'"{stamp}"' in request.headers.get("if-none-match", ""):
            return Response(None, 304, headers)
        kind = TYPES[path.suffix]
        if path.suffix in PACKED and "gzip" in request.headers.get("accept-encoding", ""):
            content = await asyncio.to_thread(packed, name)
            return Response(content, 200, {**headers, "content-encoding": "gzip"}, kind)
        return FileResponse(path, 200, headers, kind)

    @router.api_route("/favicon.ico", methods=["GET", "HEAD"])
    async def icon() -> Response:
        return FileResponse(STATIC / "icon.svg", media_type=TYPES[".svg"])

    return router


@cache
def prepare() -> None:
    """Begin to pack Plotly's script, which takes a moment: somebody has a page open, and History may be next."""
    threading.Thread(target=packed, args=(PLOTLY,), name="dashboard-packing", daemon=True).start()


def packed(name: str) -> bytes:
    """Return a file as gzip packs it, which is done once."""
    with PACKING:
        return _packed(name)


@cache
def _packed(name: str) -> bytes:
    return gzip.compress(file_of(name).read_bytes(), 6)
