"""The page Try it: all of it happens in the browser and in `/api/v1/analyze`; the server sends the status alone."""

from __future__ import annotations

from datetime import datetime

from mien.dashboard.data.queries import Queries
from mien.dashboard.pages.refresh import Look, Parts
from mien.dashboard.pages.status import status

__all__ = ["TryIt"]


class TryIt:
    """What fills the page.

    Args:
        queries: Answers what it shows.
    """

    def __init__(self, queries: Queries) -> None:
        self._queries = queries

    async def parts(self, look: Look, now: datetime) -> Parts:
        """Return everything that the page shows at this moment."""
        return await status(self._queries, look, now)
