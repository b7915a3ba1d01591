"""What did an audience react to, what moved it together? `mien.reports.audience(…)` answers."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Literal

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
        events: str | Path | None = None,
        seats: str | Path | None = None,
        baseline_s: float = 5.0,
        window_s: float = 10.0,
        fps: float = 10.0,
        store: str | None = None,
        sources: Sequence[str] = (),
        since: datetime | None = None,
        until: datetime | None = None,
        anonymous: int | None = None,
        treatment: str | Path | None = None,
        null: Literal["shift", "phase"] = "shift",
        calibrate: float | str | None = None,
        model: str | Path | None = None,
    ) -> Report:
        """Return what an audience reacted to, or what moved people together.

            >>> report = audience("film.mp4", events="events.csv")
            >>> report.kind, report.facts[0].name
            ('audience', 'Events with a reaction')

        Args:
            paths: Videos, folders of them, or tables of `mien analyze` (.parquet, .csv, .jsonl); one or several.
            events: What they watched: a CSV (time, label, duration), SRT or WebVTT; "markers": the store's; None:
                nothing is known of it, and the moments that moved people together are looked for.
            seats: A CSV: recording, and if wanted group, offset, seat, x, y, width, height.
            baseline_s: Seconds before an event that a rise is measured from.
            window_s: Seconds after it in which a reaction is looked for; so long is a window of the synchrony, too.
            fps: Videos are looked at so many times a second.
            store: The URL of a store, in place of paths.
            sources: Which of the store's sources; none named: all.
            since: From when on, in the store.
            until: Until when, in the store.
            anonymous: Show no person and nothing that fewer than so many people stand behind; None: all.
            treatment: The video that they watched, for pictures of its moments.
            null: What chance is for the synchrony: curves turned around, or of random phases.
            calibrate: Also tell what lies above each viewer's usual face, taken from so many first seconds, "median"
                (all that was seen), a stretch such as "0:10-0:40", or the text of an event or marker; None: not.
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
            "markers" if events == "markers" else None if events is None else Path(events),
            None if seats is None else Path(seats),
            baseline_s,
            window_s,
            anonymous,
            None if treatment is None else Path(treatment),
            null,
            None if calibrate is None else str(calibrate),
        )
        return answered(lambda settings, job: report_audience(request, settings, job), model)


sys.modules[__name__].__class__ = Audience
