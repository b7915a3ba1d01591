"""What did an audience react to, and how? `mien.reports.audience(…)` answers."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from mien.reports.asking import Paths
    from mien.reports.base.report import Report


class Audience(ModuleType):
    """This package, which can be called."""

    def __call__(
        self,
        paths: Paths = (),
        *,
        events: str | Path | None,
        seats: str | Path | None = None,
        baseline_s: float = 5.0,
        window_s: float = 10.0,
        fps: float = 10.0,
        store: str | None = None,
        sources: Sequence[str] = (),
        since: datetime | None = None,
        until: datetime | None = None,
        anonymous: int | None = None,
        model: str | Path | None = None,
    ) -> Report:
        """Return what an audience reacted to.

            >>> report = audience("film.mp4", events="events.csv")
            >>> report.kind, report.facts[0].name
            ('audience', 'Events with a reaction')

        Args:
            paths: Videos, folders of them, or tables of `mien analyze` (.parquet, .csv, .jsonl); one or several.
            events: What they watched: a CSV (time, label, duration), SRT or WebVTT; None: the markers of the store.
            seats: A CSV: recording, and if wanted group, offset, seat, x, y, width, height.
            baseline_s: Seconds before an event that a rise is measured from.
            window_s: Seconds after it in which a reaction is looked for.
            fps: Videos are looked at so many times a second.
            store: The URL of a store, in place of paths.
            sources: Which of the store's sources; none named: all.
            since: From when on, in the store.
            until: Until when, in the store.
            anonymous: Show no person and nothing that fewer than so many people stand behind; None: all.
            model: An ONNX file with Mien's contract, or `ferplus`; None: the one of this machine.

        Raises:
            InputError: Something cannot be read.
            UsageError: An argument is out of range.
            MissingExtraError: It needs the extra `analyze`.
        """
        from mien.reports.asking import answered, inputs_of
        from mien.reports.audience.report import AudienceRequest, report_audience

        request = AudienceRequest(
            inputs_of(paths, store, sources, since, until, fps),
            None if events is None else Path(events),
            None if seats is None else Path(seats),
            baseline_s,
            window_s,
            anonymous,
        )
        return answered(lambda settings, job: report_audience(request, settings, job), model)


sys.modules[__name__].__class__ = Audience
