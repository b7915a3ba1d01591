"""Reports over the API: files are sent, reports asked for, followed, stopped, deleted, and opened.

Making and deleting takes the role editor; who looks may open what was made. A finished report is served outside the
API, at `/reports/ID/FILE`, with a policy that lets it run no script.
"""

from __future__ import annotations

import re
import secrets
from base64 import b64encode
from collections.abc import AsyncIterator, Iterable
from datetime import datetime, timezone
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Query, Request
from fastapi import Path as InPath
from fastapi.responses import FileResponse, Response
from starlette.requests import ClientDisconnect

from mien.config import Settings
from mien.dashboard.api.parameters import in_utc, period
from mien.dashboard.api.schemas import NewReport, ReportBody, UploadBody, refusals
from mien.dashboard.base_path import base_of
from mien.dashboard.data.queries import Queries
from mien.dashboard.errors import ApiError
from mien.dashboard.jobs.media_folder import find_media
from mien.dashboard.jobs.reports import MAX_WAITING, MadeReport, ReportQueue
from mien.dashboard.jobs.uploads import PLACES, Upload, free_name
from mien.dashboard.security.guard import report_policy
from mien.dashboard.security.roles import Caller, Editor, may, needs
from mien.errors import UsageError
from mien.reports.album.selection import FILTERS, filters_of
from mien.reports.base.usual_face import calibration_of
from mien.reports.worker import Kind, Order

__all__ = ["body_of", "finished", "reporting"]

MAX_ROWS = 5_000_000
"""So many faces of the store a report may be made of."""

HEAD = 1 << 16
"""The head of a report's page, with its style, ends within so many bytes."""

FILE = {
    "requestBody": {
        "required": True,
        "description": "The file itself: a video, a table of mien analyze, a photo, a transcript, events or a list.",
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}
TYPES = {
    ".html": "text/html; charset=utf-8", ".json": "application/json", ".zip": "application/zip",
    ".parquet": "application/vnd.apache.parquet", ".vtt": "text/vtt; charset=utf-8", ".csv": "text/csv; charset=utf-8",
    ".md": "text/markdown; charset=utf-8", ".jpg": "image/jpeg", ".tsv": "text/tab-separated-values; charset=utf-8",
    ".eaf": "application/xml", ".TextGrid": "text/plain; charset=utf-8",
    ".mp4": "video/mp4",
    ".docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
}  # fmt: skip

Key = Annotated[str, InPath(pattern="^[0-9a-f]{32}$", description="The report's id.")]
Name = Annotated[str, Query(min_length=1, max_length=300, description="What the file is called, with its ending.")]


def reporting(making: ReportQueue, queries: Queries) -> APIRouter:
    """Return the routes under /v1/uploads and /v1/reports."""
    router = APIRouter(prefix="/v1", tags=["reports"])

    @router.post("/uploads", status_code=201, openapi_extra=FILE, responses=refusals(408, 415))
    async def upload(request: Request, name: Name, who: Editor) -> UploadBody:
        """Send a file for a report; it is deleted when that is done, or after an hour."""
        making.settings.ensure_home()
        kept = await making.uploads.take(name, _stream(request), who.name)
        return UploadBody(id=kept.key, name=kept.name, bytes=kept.size)

    @router.get("/reports", dependencies=[Depends(needs("viewer"))])
    async def list_reports(request: Request) -> list[ReportBody]:
        """List the reports: what waits, is being made, was made, and what became of the rest; the newest first."""
        return [body_of(made, request) for made in making.all()]

    @router.post("/reports", status_code=202, responses=refusals(415))
    async def make_report(asked: NewReport, request: Request, who: Editor) -> ReportBody:
        """Make a report when those before it are done."""
        if making.full:
            raise ApiError(429, f"{MAX_WAITING} reports wait already: try again later", {"retry-after": "60"})
        return body_of(await _add(making, queries, asked, who), request)

    @router.post("/examples/{kind}", status_code=202)
    async def make_example(kind: Kind, request: Request, who: Editor) -> ReportBody:
        """Make the example of a report from the demo, once; where it is made already, tell of that."""
        making.settings.ensure_home()
        if making.full:
            raise ApiError(429, f"{MAX_WAITING} reports wait already: try again later", {"retry-after": "60"})
        return body_of(_add_example(making, kind, who), request)

    @router.get("/reports/{key}", dependencies=[Depends(needs("viewer"))])
    async def get_report(key: Key, request: Request) -> ReportBody:
        """Tell how far a report is."""
        return body_of(_report_of(making, key), request)

    @router.delete("/reports/{key}", status_code=204)
    async def delete_report(key: Key, who: Editor) -> None:
        """Stop a report that is not done, delete one that is; others' take the role admin."""
        made = _report_of(making, key)
        if made.by != who.name and not may(who, "admin"):
            raise ApiError(403, f"the report is of '{made.by}': others' take the role admin")
        making.drop(key)

    return router


def finished(making: ReportQueue) -> APIRouter:
    """Return the route that serves the files of finished reports."""
    router = APIRouter()

    @router.get("/reports/{key}/{name}", dependencies=[Depends(needs("viewer"))])
    async def serve(key: str, name: str) -> Response:
        made = making.find(key)
        path = making.path(made, name) if made else None
        if path is None or not path.is_file():
            raise ApiError(404, "there is no such report: it was deleted, or never made")
        kind = TYPES.get(path.suffix, "application/octet-stream")
        shown = "inline" if path.suffix == ".html" else "attachment"
        headers = {"content-security-policy": report_policy(_style(path))} if shown == "inline" else {}
        return FileResponse(path, media_type=kind, filename=name, content_disposition_type=shown, headers=headers)

    return router


def _style(path: Path) -> str:
    """Return the hash of a report's style, which stands in its head."""
    with path.open("rb") as file:
        style = re.search(rb"<style>(.*?)</style>", file.read(HEAD), re.DOTALL)
    return f"sha256-{b64encode(sha256(style[1] if style else b'').digest()).decode()}"


async def _add(making: ReportQueue, queries: Queries, asked: NewReport, who: Caller) -> MadeReport:
    uploads, calibrate = making.uploads, _calibration(asked)
    kinds = PLACES["photo" if asked.kind == "album" else "recording"]
    files = [_taken_for(uploads.find(key, who.name), kinds) for key in asked.files]
    media = [find_media(making.settings.dashboard.media, name, kinds) for name in asked.media]
    extra = {
        name: _taken_for(uploads.find(key, who.name), PLACES[place])
        for name, place in EXTRA[asked.kind].items()
        if (key := getattr(asked, name))
    }
    by_picture = asked.kind == "meeting" and bool(files or media)  # whose clock `from` and `to` are of
    of_store = bool(asked.source) or (bool(asked.start or asked.end) and not by_picture)
    like = [_taken_for(uploads.find(key, who.name), PLACES["photo"]) for key in asked.like]
    for name in EXTRA[asked.kind].keys() & NEEDED.keys() - extra.keys():
        raise ApiError(422, f"'{name}' is missing: {NEEDED[name]}")
    if of_store == bool(files or media) or (of_store and asked.kind == "album"):
        raise ApiError(422, "name either files or sources of the store that the report is to be made of")
    if asked.exports and asked.kind == "album":
        raise ApiError(422, "'exports' are of what has a time line: photos have none")
    if asked.markers and (asked.events or not of_store):
        raise ApiError(422, "'markers' are those of a store: name its sources or period, and no events")
    since, until = await _part(queries, asked) if of_store else _period(asked)

    key = secrets.token_hex(16)
    folder = uploads.folder / f"of-{key}"
    names = uploads.hand_over([*files, *extra.values(), *like], folder)
    paths = [names[upload.key] for upload in files] + [_linked(path, folder) for path in media]
    order = Order(
        asked.kind,
        _handed(making.settings),
        str(folder.resolve()),
        str((making.folder / key).resolve()),
        tuple(paths),
        queries.url if of_store else None,
        tuple(asked.source),
        since,
        until,
        asked.zone,
        asked.fps or (10.0 if asked.kind == "audience" else 5.0),
        blur=asked.blur,
        anonymous=asked.anonymous,
        moments=asked.moments,
        offset=asked.offset,
        consent=asked.consent or None,
        baseline_s=asked.baseline_s,
        window_s=asked.window_s,
        markers=asked.markers,
        null=asked.null,
        calibrate=calibrate,
        best=asked.best,
        emotion=asked.emotion,
        exports=tuple(asked.exports),
        only=filters_of({name: getattr(asked, name) for name in FILTERS}),
        like=tuple(names[upload.key] for upload in like),
        memory_mb=making.settings.dashboard.report_mb,
        **{name: names[upload.key] for name, upload in extra.items()},  # type: ignore[arg-type]
    )
    of = _listed(paths or asked.source or ["all sources"])
    return making.add(MadeReport(key, asked.kind, who.name, datetime.now(timezone.utc), of, of=of), order)


def _add_example(making: ReportQueue, kind: Kind, who: Caller) -> MadeReport:
    """Make the example of a report, unless it is made already."""
    key = sha256(f"example {kind}".encode()).hexdigest()[:32]
    made = making.find(key)
    if made is not None and made.state not in ("failed", "stopped"):
        return made
    settings = {"home": str(making.settings.home.resolve()), "vision": making.settings.vision.model_dump(mode="json")}
    folder = making.uploads.folder / f"of-{key}"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    order = Order(
        kind, settings, str(folder.resolve()), str((making.folder / key).resolve()),
        memory_mb=making.settings.dashboard.report_mb, example=True,
    )  # fmt: skip
    new = MadeReport(key, kind, who.name, datetime.now(timezone.utc), "the demo", of="the demo", example=True)
    return making.add(new, order)


def _handed(settings: Settings) -> dict[str, Any]:
    """Return the settings that a report needs, for a process that runs in another folder."""
    lexicon, store = settings.meeting.lexicon, settings.store.url
    return {
        "store": {"url": store.get_secret_value() if store else None},
        "home": str(settings.home.resolve()),
        "vision": settings.vision.model_dump(mode="json"),
        "meeting": {"lexicon": str(lexicon.resolve()) if lexicon else None},
    }


EXTRA: dict[str, dict[str, str]] = {
    "film": {"cast": "list"},
    "meeting": {"transcript": "transcript", "speakers": "list", "lexicon": "list"},
    "audience": {"events": "events", "seats": "list", "treatment": "film"},
    "album": {},
}
"""Which further files a report takes, and what for."""

NEEDED = {
    "transcript": "a report on a meeting takes its transcript",
}


def _calibration(asked: NewReport) -> str | None:
    """Return from which time usual faces are to be taken."""
    text = (asked.calibrate or "").strip()
    if text and asked.kind == "album":
        raise ApiError(422, "'calibrate' is of faces over time: photos have none")
    try:
        calibration_of(text or None)
    except UsageError as error:
        raise ApiError(422, f"'calibrate': {error}") from error
    return text or None


def _taken_for(upload: Upload, endings: Iterable[str]) -> Upload:
    if Path(upload.name).suffix.lower() not in endings:
        raise ApiError(415, f"'{upload.name}' cannot be used there: expected {', '.join(sorted(endings))}")
    return upload


def _period(asked: NewReport) -> tuple[datetime | None, datetime | None]:
    """Return from when until when the report is to be, where that is asked for."""
    try:
        zone = ZoneInfo(asked.zone)
    except (ValueError, OSError, KeyError) as error:
        raise ApiError(
            422, f"'zone' '{asked.zone}' is no time zone: expected a name such as Europe/Berlin or UTC"
        ) from error
    since, until = (in_utc(time, zone) if time else None for time in (asked.start, asked.end))
    return period(since, until) if since and until else (since, until)


async def _part(queries: Queries, asked: NewReport) -> tuple[datetime | None, datetime | None]:
    """Return the period of the store that is asked for, if it is not too much."""
    since, until = _period(asked)
    first, last = period(since or datetime(1971, 1, 2, tzinfo=timezone.utc), until)
    total = await queries.summary(first, last, asked.source)
    if total.frames + total.faces > MAX_ROWS:
        raise ApiError(
            413, f"that may be {total.frames + total.faces:,} rows, more than {MAX_ROWS:,}: choose a shorter period"
        )
    return since, until


def _linked(path: Path, folder: Path) -> str:
    """Return the name under which a report's folder has a file that lies elsewhere."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    name = free_name(folder, path.name)
    try:
        (folder / name).symlink_to(path)
    except OSError:  # Windows lets few users make one
        (folder / name).hardlink_to(path)
    return name


def _listed(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _report_of(making: ReportQueue, key: str) -> MadeReport:
    made = making.find(key)
    if made is None:
        raise ApiError(404, f"there is no report {key}: it was deleted, or never made")
    return made


def body_of(made: MadeReport, request: Request) -> ReportBody:
    """Return a report as the API tells of it."""
    return ReportBody(
        id=made.key, kind=made.kind, by=made.by, asked=made.asked, title=made.title, state=made.state,
        message=made.message, step=made.step, share=made.share, left_s=made.left_s,
        files=[f"{base_of(request.scope)}/reports/{made.key}/{name}" for name in made.files], of=made.of,
        example=made.example, score=made.score,
    )  # fmt: skip


async def _stream(request: Request) -> AsyncIterator[bytes]:
    try:
        async for part in request.stream():
            yield part
    except ClientDisconnect:
        raise ApiError(400, "the file did not arrive whole: send it again") from None
