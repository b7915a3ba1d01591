"""The names of a meeting's tiles over the API: what was read off the picture goes out, corrected names come in.

A report whose names are corrected is made anew with them; its recording is kept for that, an hour at most.
"""

from __future__ import annotations

import asyncio
import csv
import io
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Request
from fastapi import Path as InPath

from mien.dashboard.api.reports import body_of
from mien.dashboard.api.schemas import CorrectedNames, NamedTile, NamesBody, ReportBody
from mien.dashboard.errors import ApiError
from mien.dashboard.jobs.reports import MAX_WAITING, MadeReport, ReportQueue
from mien.dashboard.security.roles import Caller, Editor, may
from mien.reports.base.csv_lists import Line, read_list
from mien.reports.meeting.names.csv_file import COLUMNS
from mien.table import cells

__all__ = ["naming"]

Key = Annotated[str, InPath(pattern="^[0-9a-f]{32}$", description="The report's id.")]


def naming(making: ReportQueue) -> APIRouter:
    """Return the routes /v1/reports/{key}/names."""
    router = APIRouter(prefix="/v1/reports/{key}/names", tags=["reports"])

    @router.get("")
    async def get_names(key: Key, who: Editor) -> NamesBody:
        """List the tiles that names were found for, and the speakers of the transcript."""
        made, path = _names_of(making, key, who)
        rows = await asyncio.to_thread(_rows, path)
        speakers = await asyncio.to_thread(_speakers, making, made)
        named = {row.get("speaker") for row in rows} | set(speakers)
        return NamesBody(rows=[_tile(row) for row in rows], speakers=sorted(named - {""}))

    @router.post("", status_code=202)
    async def correct_names(key: Key, corrected: CorrectedNames, request: Request, who: Editor) -> ReportBody:
        """Make the report anew with these names, one for each row in its order; an empty one leaves the row out."""
        made, path = _names_of(making, key, who)
        if making.full:
            raise ApiError(429, f"{MAX_WAITING} reports wait already: try again later", {"retry-after": "60"})
        rows = await asyncio.to_thread(_rows, path)
        if len(rows) != len(corrected.names):
            raise ApiError(422, f"there are {len(rows)} rows, but {len(corrected.names)} names came: read them again")
        content = _written(rows, corrected.names)
        if not content:
            raise ApiError(422, "no row has a name: leave the report as it is, or name at least one")
        try:
            return body_of(making.correct(made, content), request)
        except OSError as error:
            raise ApiError(503, f"the names cannot be kept: {(error.strerror or str(error)).lower()}") from error

    return router


def _names_of(making: ReportQueue, key: str, who: Caller) -> tuple[MadeReport, Path]:
    made = making.find(key)
    path = making.names(made) if made else None
    if made is None or path is None:
        raise ApiError(404, "of this report there are no names to correct: its recording is kept for an hour at most")
    if made.by != who.name and not may(who, "admin"):
        raise ApiError(403, f"the report is of '{made.by}': others' take the role admin")
    return made, path


def _rows(path: Path) -> list[Line]:
    return read_list(path, [])[1]


def _speakers(making: ReportQueue, made: MadeReport) -> list[str]:
    import polars as pl

    name = next((name for name in made.files if name.endswith(".utterances.parquet")), None)
    if name is None:
        return []
    table = pl.read_parquet(making.folder / made.key / name, columns=["speaker"])
    return [speaker for speaker in table["speaker"].unique() if speaker]


def _tile(row: Line) -> NamedTile:
    edges = [float(row.get(name, "0")) for name in ("x", "y", "width", "height")]
    end = row.get("to")
    return NamedTile(
        speaker=row.get("speaker"), x=edges[0], y=edges[1], width=edges[2], height=edges[3],
        start=float(row.get("from", "0")), end=float(end) if end else None, found_by=row.get("found_by"),
        certainty=float(row.get("certainty", "0")),
    )  # fmt: skip


def _written(rows: list[Line], names: list[str]) -> str:
    """Return the corrected file; empty: no row has a name."""
    text = io.StringIO()
    out = csv.writer(text, lineterminator="\n")
    out.writerow(COLUMNS)
    kept = 0
    for row, name in zip(rows, names, strict=True):
        if name:
            out.writerow(cells((name, *(row.get(column) for column in COLUMNS[1:]))))
            kept += 1
    return text.getvalue() if kept else ""
