"""Figures for Prometheus: the state of store, broker and sources goes in, its text format comes out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fastapi import APIRouter, Depends
from fastapi.responses import Response

from mien.dashboard.api.events import Streams
from mien.dashboard.data.queries import Queries, SourceState
from mien.dashboard.security.roles import needs
from mien.errors import StoreError
from mien.observation import EMOTIONS
from mien.system.prometheus import CONTENT_TYPE, Kind, Sample, exposition
from mien.version import __version__

__all__ = ["METRICS", "measuring"]

METRICS: dict[str, tuple[Kind, str]] = {
    "mien_info": ("gauge", "The version of the dashboard."),
    "mien_store_up": ("gauge", "Whether the store can be read."),
    "mien_store_bytes": ("gauge", "How many bytes the store takes up."),
    "mien_broker_up": ("gauge", "Whether the broker is there."),
    "mien_dashboard_streams": ("gauge", "Streams of events that are open."),
    "mien_dashboard_sources_left_out": ("gauge", "Sources that send and are not followed live, for want of room."),
    "mien_dashboard_sources_made_room_total": ("counter", "Sources offline that made room for others."),
    "mien_source_online": ("gauge", "Whether a source is there."),
    "mien_source_frames_total": ("counter", "Observations that the store has had of a source."),
    "mien_source_late_total": ("counter", "Observations stored after raw rows of their time had been deleted."),
    "mien_source_refused_total": ("counter", "Observations not stored, since they are of a time that was erased."),
    "mien_source_last_timestamp_seconds": ("gauge", "The time of a source's newest observation."),
    "mien_source_faces": ("gauge", "Faces in a source's newest frame by emotion; 'unclear' where none is named."),
    "mien_source_fps": ("gauge", "Frames that a source analyses in a second."),
    "mien_source_dropped_total": ("counter", "Frames that a source had no time for."),
    "mien_source_outbox_depth": ("gauge", "Observations of a source that wait to be confirmed."),
    "mien_source_outbox_dropped_total": ("counter", "Observations that a source's full outbox has dropped."),
    "mien_source_delay_seconds": ("gauge", "From the camera to the broker, by quantile."),
}


def measuring(queries: Queries, streams: Streams) -> APIRouter:
    """Return the route /v1/metrics."""
    router = APIRouter(tags=["figures"])

    @router.get(
        "/v1/metrics", response_class=Response, dependencies=[Depends(needs("viewer"))],
        responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
    )  # fmt: skip
    async def metrics() -> Response:
        """Return the figures that Prometheus scrapes."""
        states = await queries.sources()
        parts: list[Sample] = [
            ("mien_info", {"version": __version__}, 1),
            ("mien_store_up", {}, await queries.store_error() is None),
            *([("mien_store_bytes", {}, size)] if (size := await queries.size()) is not None else []),
            ("mien_broker_up", {}, queries.listener.connected),
            ("mien_dashboard_streams", {}, streams.open),
            ("mien_dashboard_sources_left_out", {}, queries.listener.left_out()),
            ("mien_dashboard_sources_made_room_total", {}, queries.listener.made_room),
        ]
        samples = [*parts, *_samples(states), *await _arrivals(queries)]
        return Response(exposition(METRICS, samples), media_type=CONTENT_TYPE)

    return router


async def _arrivals(queries: Queries) -> list[Sample]:
    try:
        arrivals = await queries.arrivals()
    except StoreError:
        return []
    late: list[Sample] = [("mien_source_late_total", {"source": counts.source}, counts.late) for counts in arrivals]
    return late + [("mien_source_refused_total", {"source": counts.source}, counts.refused) for counts in arrivals]


def _samples(states: Sequence[SourceState]) -> Iterator[Sample]:
    for state in states:
        of = {"source": state.source}
        yield "mien_source_online", of, state.online
        yield "mien_source_frames_total", of, state.frames
        if state.last:
            yield "mien_source_last_timestamp_seconds", of, state.last.timestamp()
        if state.newest:
            named: list[str] = [face.emotion or "unclear" for face in state.newest.faces]
            for emotion in (*EMOTIONS, "unclear"):
                yield "mien_source_faces", {**of, "emotion": emotion}, named.count(emotion)
        stats = state.stats
        if stats and stats.fps is not None:
            yield "mien_source_fps", of, stats.fps
        if stats and stats.dropped is not None:
            yield "mien_source_dropped_total", of, stats.dropped
        if stats and stats.outbox and stats.outbox.depth is not None:
            yield "mien_source_outbox_depth", of, stats.outbox.depth
        if stats and stats.outbox and stats.outbox.dropped is not None:
            yield "mien_source_outbox_dropped_total", of, stats.outbox.dropped
        if stats and stats.delay_ms:
            for quantile, delay in (("0.5", stats.delay_ms.p50), ("0.99", stats.delay_ms.p99)):
                if delay is not None:
                    yield "mien_source_delay_seconds", {**of, "quantile": quantile}, delay / 1000
