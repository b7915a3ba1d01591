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
        everyone_smiles: bool = False,
        all_eyes_open: bool = False,
        everyone_looks: bool = False,
        like: Paths = (),
        xmp: bool = False,
        xmp_replace: bool = False,
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
            everyone_smiles: Choose only photos on which all readable faces smile.
            all_eyes_open: Choose only photos on which all eyes are known to be open.
            everyone_looks: Choose only photos on which all faces are known to face the camera.
            like: Photos that were chosen before, or folders of them: what they have in common weighs more.
            xmp: Write stars, flags and keywords into XMP sidecars beside the photos.
            xmp_replace: Also in place of ratings and flags that somebody else gave.
            model: An ONNX file with Mien's contract, or `ferplus`; None: the one of this machine.

        Raises:
            InputError: Something cannot be read.
            UsageError: An argument is out of range.
            MissingExtraError: It needs the extra `analyze`.
        """
        from mien.reports.album.report import AlbumRequest, report_album
        from mien.reports.album.selection import filters_of
        from mien.reports.asking import answered, paths_of

        folder = None if copy_to is None else Path(copy_to)
        asked = {
            "everyone_smiles": everyone_smiles,
            "all_eyes_open": all_eyes_open,
            "everyone_looks": everyone_looks,
        }
        request = AlbumRequest(
            tuple(map(Path, paths_of(paths))),
            best,
            emotion,
            folder,
            blur,
            anonymous,
            filters_of(asked),
            tuple(map(Path, paths_of(like))),
            xmp,
            xmp_replace,
        )
        return answered(lambda settings, job: report_album(request, settings, job), model)


sys.modules[__name__].__class__ = Album
