"""Which pictures of an album are the best? `mien.reports.album(…)` answers."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mien.observation import Emotion
    from mien.reports.asking import Paths
    from mien.reports.base.report import Report


class Album(ModuleType):
    """This package, which can be called."""

    def __call__(
        self,
        paths: Paths,
        *,
        best: int = 20,
        emotion: Emotion = "happy",
        copy_to: str | Path | None = None,
        blur: bool = False,
        anonymous: int | None = None,
        model: str | Path | None = None,
    ) -> Report:
        """Return which photos are the best.

            >>> report = album("photos", best=1)
            >>> report.kind, report.facts[0].shown
            ('album', '1 of 2')

        Args:
            paths: Photos, folders of photos, or tables of `mien analyze` that name photos; one or several.
            best: So many are chosen.
            emotion: Which expression is asked for.
            copy_to: A folder for copies of the chosen; the originals are never touched.
            blur: Hide the faces in pictures.
            anonymous: Show no person and nothing that fewer than so many people stand behind; None: all.
            model: An ONNX file with Mien's contract, or `ferplus`; None: the one of this machine.

        Raises:
            InputError: Something cannot be read.
            UsageError: An argument is out of range.
            MissingExtraError: It needs the extra `analyze`.
        """
        from mien.reports.album.report import AlbumRequest, report_album
        from mien.reports.asking import answered, paths_of

        folder = None if copy_to is None else Path(copy_to)
        request = AlbumRequest(tuple(map(Path, paths_of(paths))), best, emotion, folder, blur, anonymous)
        return answered(lambda settings, job: report_album(request, settings, job), model)


sys.modules[__name__].__class__ = Album
