"""The demo over REST: whether it plays, its start and its end."""

from __future__ import annotations

from fastapi import APIRouter, Depends

from mien.dashboard.api.schemas import DemoBody, refusals
from mien.dashboard.errors import ApiError
from mien.dashboard.jobs.demo import DemoPlayer
from mien.dashboard.security.roles import needs

__all__ = ["demonstrating"]


def demonstrating(demo: DemoPlayer) -> APIRouter:
    """Return the routes under /v1/demo."""
    router = APIRouter(prefix="/v1/demo", tags=["demo"])

    @router.get("", dependencies=[Depends(needs("viewer"))])
    async def get_demo() -> DemoBody:
        """Tell whether the demo clip plays."""
        return _body(demo)

    @router.post("", status_code=202, dependencies=[Depends(needs("editor"))], responses=refusals(429))
    async def start_demo() -> DemoBody:
        """Play the demo clip in a loop as the source `demo`, on the machine that runs the dashboard."""
        if demo.state in ("off", "ending") and demo.wait_s:
            message = "the demo was started or stopped only just now: try again in a few seconds"
            raise ApiError(429, message, {"retry-after": "5"})
        demo.start()
        return _body(demo)

    @router.delete("", status_code=202, dependencies=[Depends(needs("editor"))])
    async def stop_demo() -> DemoBody:
        """Stop the demo; what it showed stays in the store."""
        demo.stop()
        return _body(demo)

    return router


def _body(demo: DemoPlayer) -> DemoBody:
    return DemoBody(state=demo.state, since=demo.since, message=demo.message)
