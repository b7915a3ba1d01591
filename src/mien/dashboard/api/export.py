"""A selection as a file over the API: what the chart shows, or every face behind it, as CSV or Parquet."""

from __future__ import annotations

import asyncio
import csv
import io
import tempfile
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from fastapi import APIRouter, Depends, Query
from fastapi.responses import Response, StreamingResponse

from mien.dashboard.api.figures import window_of
from mien.dashboard.api.parameters import From, Sources, To, period
from mien.dashboard.api.schemas import refusals
from mien.dashboard.data.queries import Queries, Timeline
from mien.dashboard.data.records import RecordReader
from mien.dashboard.errors import ApiError
from mien.dashboard.security.roles import needs
from mien.errors import MissingExtraError
from mien.observation import EMOTIONS, Observation
from mien.stores.base import Sums
from mien.table import COLUMNS, TableWriter, cells, rows, to_polars

__all__ = ["Exports", "exporting"]

MAX_ROWS = 5_000_000
MAX_AT_ONCE = 2
KINDS = {"csv": "text/csv; charset=utf-8", "parquet": "application/vnd.apache.parquet"}
FILES: dict[int | str, dict[str, Any]] = {
    200: {"content": {kind: {"schema": {"type": "string", "format": "binary"}} for kind in KINDS.values()}},
    **refusals(501),
}
TIMELINE = (
    *("start", "width_s", "frames", "faces", "unclear", "happiness"),
    *(f"count_{emotion}" for emotion in EMOTIONS),
    *(f"share_{emotion}" for emotion in EMOTIONS),
)
"""The columns of what the chart shows; shares are mean probabilities in percent."""

Kind = Annotated[Literal["csv", "parquet"], Query(alias="format", description="The kind of file.")]
Table = Annotated[
    Literal["timeline", "faces"],
    Query(description="What the chart shows, or one row per face of the raw observations."),
]
Batches = Iterator[list[Observation]]
Answer = TypeVar("Answer")


class Exports:
    """The threads that write files; few at a time, since each reads much."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(MAX_AT_ONCE, thread_name_prefix="dashboard-export")
        self._free = threading.BoundedSemaphore(MAX_AT_ONCE)

    async def start(self, parts: Iterator[bytes]) -> AsyncIterator[bytes]:
        """Return the parts of a file, of which the first has been made: what fails, fails before the answer begins.

        Raises:
            ApiError: Others are being written.
        """
        if not self._free.acquire(blocking=False):
            raise ApiError(429, f"{MAX_AT_ONCE} exports are being written: try again", {"retry-after": "5"})
        held = self._held(parts)
        opening = await self.run(lambda: next(held))

        async def streamed() -> AsyncIterator[bytes]:
            part: bytes | None = opening
            while part is not None:
                yield part
                part = await self.run(lambda: next(held, None))

        return streamed()

    async def run(self, work: Callable[[], Answer]) -> Answer:
        """Return what the work gives, done in a thread."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def close(self) -> None:
        """End the threads."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _held(self, parts: Iterator[bytes]) -> Iterator[bytes]:
        """Yield the parts; the place is free again when they end, or when nobody holds them any more."""
        try:
            yield from parts
        finally:
            self._free.release()


def exporting(queries: Queries, records: RecordReader, exports: Exports) -> APIRouter:
    """Return the route /v1/export."""
    router = APIRouter(tags=["figures"])

    @router.get("/v1/export", response_class=Response, responses=FILES, dependencies=[Depends(needs("viewer"))])
    async def export(
        table: Table = "timeline",
        kind: Kind = "csv",
        source: Sources = [],  # noqa: B006
        start: From = None,
        end: To = None,
    ) -> Response:
        """Return a selection as a file; default: the last hour."""
        first, last = period(start, end)
        headers = {"content-disposition": f'attachment; filename="mien-{first:%Y%m%dT%H%M%S}-{table}.{kind}"'}
        if table == "timeline":
            line = await queries.timeline(window_of(start, end, None), source)
            content = (_timeline_csv if kind == "csv" else _timeline_parquet)(line)
            return Response(content, media_type=KINDS[kind], headers=headers)

        total = await queries.summary(first, last, source)
        if total.frames + total.faces > MAX_ROWS:
            many = f"{total.frames + total.faces:,} rows, more than {MAX_ROWS:,}"
            raise ApiError(413, f"that may be {many}: choose a shorter period, or use `mien store export`")
        parts = (_csv if kind == "csv" else _parquet)(records.batches(first, last, source))
        return StreamingResponse(await exports.start(parts), media_type=KINDS[kind], headers=headers)

    return router


def _csv(batches: Batches) -> Iterator[bytes]:
    first = next(batches, [])
    yield _csv_lines([COLUMNS]) + _csv_lines(row for observation in first for row in rows(observation, ""))
    for batch in batches:
        yield _csv_lines(row for observation in batch for row in rows(observation, ""))


def _parquet(batches: Batches) -> Iterator[bytes]:
    """Yield a Parquet file, written to a temporary folder first since its index stands at its end."""
    with tempfile.TemporaryDirectory(prefix="mien-export-") as folder:
        path = Path(folder) / "observations.parquet"
        with TableWriter(path) as table:
            for batch in batches:
                for observation in batch:
                    table.add(observation, "")
        if not table.count:
            to_polars([]).write_parquet(path)
        with path.open("rb") as file:
            while part := file.read(1 << 18):
                yield part


def _timeline_csv(line: Timeline) -> bytes:
    return _csv_lines([TIMELINE, *((_stamp(row[0]), *row[1:]) for row in _timeline_rows(line))])


def _timeline_parquet(line: Timeline) -> bytes:
    try:
        import polars as pl
    except ImportError as error:
        raise MissingExtraError("an export as Parquet", "analyze") from error
    kinds: dict[str, Any] = dict.fromkeys(TIMELINE, pl.Float64) | {"start": pl.Datetime("us", "UTC")}
    kinds |= {name: pl.Int64 for name in TIMELINE if name.startswith(("count_", "width", "frames", "faces", "unclear"))}
    made = io.BytesIO()
    pl.DataFrame(list(_timeline_rows(line)), schema=kinds, orient="row").write_parquet(made)
    return made.getvalue()


def _timeline_rows(line: Timeline) -> Iterator[tuple[Any, ...]]:
    for index, row in enumerate(line.rows):
        total = Sums.of_row(row)
        if total.frames:
            start = line.window.start + timedelta(seconds=index * line.window.width)
            shares = [total.share(emotion) for emotion in EMOTIONS]
            seen = total.frames, total.faces, total.unclear, total.happiness
            yield start, line.window.width, *seen, *total.counts.values(), *shares


def _csv_lines(lines: Iterable[Iterable[Any]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text).writerows(map(cells, lines))
    return text.getvalue().encode()


def _stamp(time: Any) -> str:
    return f"{time:%Y-%m-%dT%H:%M:%SZ}"
