"""What happens now over the API, as one stream of events (SSE): the sources' states and their newest observations.

Each viewer's stream looks at the answers that all share, so that many of them cost little more than one.
"""

from __future__ import annotations

import asyncio
import time as clock
from collections.abc import AsyncIterator, Callable, Iterator, Sequence

import msgspec
from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response, StreamingResponse

from mien.dashboard.api.figures import source_body
from mien.dashboard.api.parameters import Sources
from mien.dashboard.data.queries import Queries, SourceState
from mien.dashboard.errors import ApiError
from mien.dashboard.security.roles import STILL, needs

__all__ = ["Streams", "streaming"]

TICK_S = 0.25
SOURCES_S = 1.0
"""At most so often the sources are told; their newest observations at each tick."""

BEAT_S = 15.0
"""After so long without an event a comment is sent, so that nobody on the way takes the stream for dead."""

STILL_S = 5.0
MAX_STREAMS = 500


class Streams:
    """The streams that are open.

    Args:
        queries: Answers what they tell.

    Attributes:
        open: How many there are.
        closed: Whether all are to end.
    """

    def __init__(self, queries: Queries) -> None:
        self.open, self.closed = 0, False
        self._queries = queries
        self._of: Sequence[SourceState] = ()
        self._states: dict[str, tuple[bytes, bytes]] = {}

    async def follow(self, sources: Sequence[str], still: Callable[[], bool]) -> AsyncIterator[bytes]:
        """Yield events until the caller may not know them any more."""
        self.open += 1
        try:
            yield b"retry: 2000\n\n"
            states: list[bytes] | None = None
            sent: dict[str, bytes] = {}
            sources_at = checked = beat = clock.monotonic() - SOURCES_S
            while not self.closed:
                now = clock.monotonic()
                if now - checked > STILL_S:
                    checked = now
                    if not still():
                        return
                states_now = await self._newest_states()
                chosen = [name for name in states_now if not sources or name in sources]
                events: list[bytes] = []
                if now - sources_at >= SOURCES_S and (all_of := [states_now[name][0] for name in chosen]) != states:
                    states, sources_at = all_of, now
                    events.append(b"event: sources\ndata: [" + b",".join(all_of) + b"]\n\n")
                for name in chosen:
                    if (newest := states_now[name][1]) and sent.get(name) != newest:
                        sent[name] = newest
                        events.append(b"event: observation\ndata: " + newest + b"\n\n")
                if not events and now - beat > BEAT_S:
                    events = [b": nothing new\n\n"]
                if events:
                    beat = now
                    yield b"".join(events)
                await asyncio.sleep(TICK_S)
        finally:
            self.open -= 1

    async def _newest_states(self) -> dict[str, tuple[bytes, bytes]]:
        """Return each source's state and newest observation as JSON, made once for all streams."""
        states = await self._queries.sources()
        if states is not self._of:
            self._of, self._states = states, dict(_encoded(states))
        return self._states


def streaming(streams: Streams) -> APIRouter:
    """Return the route /v1/live."""
    router = APIRouter(tags=["live"])

    @router.get(
        "/v1/live", response_class=Response, dependencies=[Depends(needs("viewer"))],
        responses={200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}},
    )  # fmt: skip
    async def live(request: Request, source: Sources = []) -> Response:  # noqa: B006
        """Follow what happens: events `sources`, as /v1/sources gives them, and `observation`, a source's newest."""
        if streams.open >= MAX_STREAMS:
            raise ApiError(429, f"{MAX_STREAMS} streams are open: try again later", {"retry-after": "30"})
        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        events = streams.follow(source, request.scope.get(STILL, lambda: False))
        return StreamingResponse(events, media_type="text/event-stream", headers=headers)

    return router


def _encoded(states: Sequence[SourceState]) -> Iterator[tuple[str, tuple[bytes, bytes]]]:
    for state in states:
        newest = msgspec.json.encode(state.newest) if state.newest else b""
        yield state.source, (source_body(state).model_dump_json().encode(), newest)
