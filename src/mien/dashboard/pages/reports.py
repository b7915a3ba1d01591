"""The page Reports: what can be reported on, what is being made, and what was made, to open and to download."""

from __future__ import annotations

import asyncio
import time as clock
from datetime import datetime

from mien.dashboard.data.queries import Queries
from mien.dashboard.jobs.media_folder import list_media
from mien.dashboard.jobs.reports import MadeReport, ReportQueue
from mien.dashboard.pages.refresh import Parts, ViewKey
from mien.dashboard.pages.status import status
from mien.dashboard.pages.wording import moment, stretch
from mien.dashboard.rendering import part

__all__ = ["Reports"]

SHOWN = 100
"""So many of the finished reports are shown, the newest."""

FRESH_S = 5.0
"""So often the folder of media is looked at."""

KINDS = {"film": "Film", "meeting": "Meeting", "audience": "Audience", "album": "Album"}


class Reports:
    """What fills the page.

    Args:
        queries: Answers what it shows.
        making: Makes and keeps reports.
    """

    def __init__(self, queries: Queries, making: ReportQueue) -> None:
        self._queries, self._making = queries, making
        self._media: tuple[float, dict[str, list[str]]] = (-FRESH_S, {})

    async def parts(self, look: ViewKey, now: datetime) -> Parts:
        """Return everything that the page shows at this moment."""
        known = self._making.all()
        under_way = [report for report in reversed(known) if report.state in ("waiting", "working")]
        ended = [report for report in known if report.state not in ("waiting", "working")]
        parts = await status(self._queries, look, now) | {
            "html:under-way": part(
                "reports.under_way", [(made, f"{KINDS[made.kind]} of {made.title}") for made in under_way]
            ),
            "html:ended": part(
                "reports.ended",
                [(made, _when(made, look, now), self._making.names(made) is not None) for made in ended[:SHOWN]],
            ),
            "call:progress": {report.key: _progress(report) for report in under_way},
        }
        if look.role == "viewer":
            return parts
        states = await self._queries.sources()
        return parts | {"call:storeSources": [state.source for state in states], "call:media": await self._offered()}

    async def _offered(self) -> dict[str, list[str]]:
        if clock.monotonic() - self._media[0] >= FRESH_S:
            folder = self._making.settings.dashboard.media
            offered = await asyncio.to_thread(list_media, folder)
            self._media = clock.monotonic(), offered
        return self._media[1]


def _progress(report: MadeReport) -> tuple[float | None, str]:
    """Return how much is done, in percent, and the words for it."""
    if report.state == "waiting":
        return None, "Waits for those before it"
    words = [
        report.step.capitalize()
        if report.share is None
        else f"{report.step.capitalize()}: {100 * report.share:.0f}\u202f%"
    ]
    if report.left_s is not None and report.left_s >= 1:
        words.append(f"about {stretch(_rounded(report.left_s))} left")
    return (None if report.share is None else round(100 * report.share, 1)), " · ".join(words)


def _rounded(seconds: float) -> float:
    """Return a time that is no more exact than it can be known."""
    part = 5 if seconds < 60 else 60
    return max(5, part * round(seconds / part))


def _when(made: MadeReport, look: ViewKey, now: datetime) -> str:
    """Return what it is, when it was asked for, and by whom."""
    return f"{KINDS[made.kind]} · {moment(made.asked, look.zone, now)} · {made.by}"
