"""How happy is a film, on the faces of its actors? `mien.reports.film(…)` answers."""

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


class Film(ModuleType):
    """This package, which can be called."""

    def __call__(
        self,
        paths: Paths = (),
        *,
        moments: int = 3,
        cast: str | Path | None = None,
        calibrate: float | str | None = None,
        fps: float = 5.0,
        store: str | None = None,
        sources: Sequence[str] = (),
        since: datetime | None = None,
        until: datetime | None = None,
        blur: bool = False,
        anonymous: int | None = None,
        model: str | Path | None = None,
    ) -> Report:
        """Return how happy a film is; several are compared.

            >>> report = film("film.mp4")
            >>> report.kind, report.facts[0].name
            ('film', 'Happiness')

        Args:
            paths: Videos, folders of them, or tables of `mien analyze` (.parquet, .csv, .jsonl); one or several.
            moments: So many key moments of each kind.
            cast: A CSV that says which track or place is which actor's: of each the own curve, score and screen time.
            calibrate: Also tell what lies above the usual face of each actor, or of the film's only person, taken from
                so many first seconds, "median" (all that was seen), a stretch such as "0:10-0:40", or the text of a
                marker of the store; None: not.
            fps: Videos are looked at so many times a second.
            store: The URL of a store, in place of paths.
            sources: Which of the store's sources; none named: all.
            since: From when on, in the store.
            until: Until when, in the store.
            blur: Hide the faces in pictures.
            anonymous: Show no person and nothing that fewer than so many people stand behind; None: all.
            model: An ONNX file with Mien's contract, or `ferplus`; None: the one of this machine.

        Raises:
            InputError: Something cannot be read.
            UsageError: An argument is out of range.
            MissingExtraError: It needs the extra `analyze`.
        """
        from mien.reports.asking import answered, inputs_of
        from mien.reports.film.report import FilmRequest, report_film

        inputs = inputs_of(paths, store, sources, since, until, fps)
        level = None if calibrate is None else str(calibrate)
        request = FilmRequest(inputs, moments, blur, anonymous, None if cast is None else Path(cast), level)
        return answered(lambda settings, job: report_film(request, settings, job), model)


sys.modules[__name__].__class__ = Film
