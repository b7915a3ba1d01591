"""The REST API under /api/v1: what the page shows, for programs.

Its routes stand in modules of their own; here they become one application, with one OpenAPI document and one shape of
errors: {"error": {"code": …, "message": …}}.
"""

from __future__ import annotations

from contextlib import suppress

from fastapi import Depends, FastAPI, Request
from fastapi.responses import JSONResponse

from mien.config import Settings
from mien.dashboard.api.alerts import alerting_rules
from mien.dashboard.api.analyze import PhotoReader, analysing
from mien.dashboard.api.demo import demonstrating
from mien.dashboard.api.events import Streams, streaming
from mien.dashboard.api.export import Exports, exporting
from mien.dashboard.api.figures import reading
from mien.dashboard.api.markers import marking
from mien.dashboard.api.metrics import measuring
from mien.dashboard.api.names import naming
from mien.dashboard.api.parameters import known_parameters
from mien.dashboard.api.previews import showing_previews
from mien.dashboard.api.reports import reporting
from mien.dashboard.api.schemas import refusals
from mien.dashboard.api.videos import trying
from mien.dashboard.base_path import base_of
from mien.dashboard.data.queries import Queries
from mien.dashboard.data.records import RecordReader
from mien.dashboard.errors import answer_errors
from mien.dashboard.jobs.demo import DemoPlayer
from mien.dashboard.jobs.reports import ReportQueue
from mien.dashboard.jobs.trials import Trials
from mien.models import store as model_store
from mien.version import __version__

__all__ = ["Api"]


class Api:
    """The API and what it keeps open.

    Args:
        queries: Answers what all viewers share.
        settings: Where the store is, and how faces are read.

    Attributes:
        app: The application to mount under /api.
        making: Makes reports.
        demo: Plays the demo.
        streams: The streams of events that are open.
    """

    def __init__(self, queries: Queries, settings: Settings) -> None:
        self._records = RecordReader(settings.store_url)
        self._analyst = PhotoReader(model_store.in_use(settings))
        self._exports = Exports()
        self.making = ReportQueue(settings)
        self.demo = DemoPlayer(settings)
        self._trials = Trials(settings, self.making.uploads)
        self.app = FastAPI(
            title="Mien", version=__version__, docs_url=None, redoc_url=None, openapi_url=None,
            description="What the faces in view showed.",
            responses=refusals(400, 401, 403, 404, 405, 413, 422, 429, 503),
            servers=[{"url": "/api"}], dependencies=[Depends(known_parameters)],
        )  # fmt: skip
        self.app.add_api_route("/v1/openapi.json", self._describe, include_in_schema=False)
        answer_errors(self.app)
        self.app.include_router(reading(queries, self._records))
        self.app.include_router(showing_previews(queries, settings))
        self.app.include_router(marking(self._records))
        self.app.include_router(analysing(self._analyst))
        self.app.include_router(trying(self._trials, self.making.uploads))
        self.app.include_router(exporting(queries, self._records, self._exports))
        self.app.include_router(reporting(self.making, queries))
        self.app.include_router(naming(self.making))
        self.app.include_router(alerting_rules(queries, settings))
        self.app.include_router(demonstrating(self.demo))
        self.streams = Streams(queries)
        self.app.include_router(streaming(self.streams))
        self.app.include_router(measuring(queries, self.streams))

    async def _describe(self, request: Request) -> JSONResponse:
        """Answer with the OpenAPI document, its paths where this viewer sees them."""
        return JSONResponse({**self.app.openapi(), "servers": [{"url": f"{base_of(request.scope)}/api"}]})

    def close(self) -> None:
        """Give back what it keeps open."""
        for part in (self.demo, self._trials, self.making, self._exports, self._analyst, self._records):
            with suppress(RuntimeError):
                part.close()
