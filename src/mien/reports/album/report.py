"""The album report: photos go in; the best of them come out, as a page and, if asked, as copies."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

from mien.config import Settings, checked
from mien.errors import InputError, MienError, MissingExtraError, UsageError
from mien.media.folder import contents_of
from mien.media.photos import read_photo
from mien.models import store as model_store
from mien.observation import EMOTIONS, Emotion
from mien.reports.album.from_table import photos_named
from mien.reports.album.measure import Measured, measured
from mien.reports.album.page import album_report, bursts_of
from mien.reports.album.selection import FILTERS, Filter, Photo, choose, grouped, rated
from mien.reports.album.sidecars import judgements, write_sidecars
from mien.reports.album.taste import Taste, learned
from mien.reports.base.job import Job
from mien.reports.base.methods import methods_of
from mien.reports.base.pictures import hidden, to_jpeg
from mien.reports.base.recordings import TABLES
from mien.reports.base.report import Report
from mien.vision.pipeline import shared_models
from mien.words import counted

__all__ = ["AlbumRequest", "report_album"]


@dataclass(frozen=True)
class AlbumRequest:
    """What is asked of an album.

    Attributes:
        paths: Photos, folders of photos (and the folders in them), or tables of `mien analyze` that name photos.
        best: So many are chosen.
        emotion: Which expression is asked for.
        copy_to: A folder for copies of the chosen; the originals are never touched.
        blur: Hide the faces on the page.
        anonymous: Show no picture, and rate no photo of fewer than so many people; None: all.
        only: What has to hold of all readable faces of a photo that is chosen.
        like: Photos that were chosen before, or folders of them: what they have in common weighs more.
        xmp: Write stars, flags and keywords into sidecars beside the photos.
        xmp_replace: Also in place of ratings and flags that somebody else gave.
    """

    paths: tuple[Path, ...]
    best: int = 20
    emotion: Emotion = "happy"
    copy_to: Path | None = None
    blur: bool = False
    anonymous: int | None = None
    only: tuple[Filter, ...] = ()
    like: tuple[Path, ...] = ()
    xmp: bool = False
    xmp_replace: bool = False


def report_album(request: AlbumRequest, settings: Settings | None = None, job: Job | None = None) -> Report:
    """Return the report on an album.

    Args:
        request: What is asked.
        settings: The effective settings; None: the defaults.
        job: Hears how far the work is, and can end it.

    Raises:
        InputError: No photo can be read.
        UsageError: A number is out of range, or the copies would lie among the originals.
        PartialError: The job was stopped.
        MissingExtraError: It needs the extra `analyze`.
    """
    settings, job = settings or checked({}, "the arguments"), job or Job()
    _check(request)
    named, notes = _named(request.paths)
    files = [file for file, measured_photo in named.items() if measured_photo is None]
    seen = {file: measured_photo for file, measured_photo in named.items() if measured_photo is not None}
    failed: list[str] = []
    for file, outcome in measured(files, settings, job):
        if isinstance(outcome, InputError):
            failed.append(str(outcome))
        else:
            seen[file] = outcome
    least = request.anonymous or 1
    photos = [rated(file, photo, request.emotion, least) for file, photo in seen.items()]
    taste = _taste(request, photos, settings, job, notes) if request.like else None
    if taste and taste.used:
        photos = [rated(file, photo, request.emotion, least, taste.weights) for file, photo in seen.items()]
    if not photos:
        raise InputError(failed[0] if failed else "no photo was found")
    notes += [f"Left out: {reason}." for reason in failed[:20]]
    cut = [photo.file.name for photo in photos if photo.measured.cut]
    if cut:
        names = ", ".join(cut[:3]) + (", …" if len(cut) > 3 else "")
        notes.append(f"The end of {counted(len(cut), 'photo', 'photos')} is missing; read as far as it goes: {names}.")
    if len(failed) > 20:
        notes.append(f"{counted(len(failed) - 20, 'more photo', 'more photos')} could not be read.")
    job.tell("choosing", 0, 1)
    photos = [replace(photo, group=group) for photo, group in zip(photos, grouped(photos), strict=True)]
    chosen = choose(photos, request.best, request.only)
    bursts = [] if request.anonymous else bursts_of(photos)
    there = [] if request.anonymous else [photo for photo in chosen if photo.measured.key]
    members = [photo for burst in bursts for photo in burst if photo.measured.key]
    wanted = {photo.file: photo for photo in (*there, *members)}.values()
    shown = {
        photo.file: _picture(photo, settings, blur=request.blur)
        for photo in job.follow("pictures", list(wanted), len(wanted))
    }
    if request.copy_to:
        copied = [photo for photo in chosen if photo.measured.key]
        _copy(copied, request.copy_to)
        notes.append(f"{counted(len(copied), 'photo was', 'photos were')} copied to {request.copy_to}, byte by byte.")
    if request.xmp:
        notes += _sidecars(photos, request, job)
    asked = {
        "of": [str(path) for path in request.paths],
        "best": request.best,
        "emotion": request.emotion,
        "copy_to": str(request.copy_to) if request.copy_to else None,
        "anonymous": request.anonymous,
        "only": list(request.only),
        "like": [str(path) for path in request.like],
        "xmp": request.xmp,
    }
    report = album_report(photos, chosen, shown, notes, asked, bursts, taste)
    models = [shared_models(model_store.in_use(settings))[1].model_id] if files else []
    report.methods = methods_of("album", models, settings.vision.detector, len(photos), None)
    report.read = files
    return report


def _check(request: AlbumRequest) -> None:
    if find_spec("polars") is None:
        raise MissingExtraError("a report", "analyze")
    if not 1 <= request.best <= 500:
        raise UsageError(f"cannot choose {request.best} photos: expected 1 to 500")
    if request.emotion not in EMOTIONS:
        raise UsageError(f"there is no emotion '{request.emotion}': expected one of {', '.join(EMOTIONS)}")
    if request.anonymous is not None and request.anonymous < 2:
        raise UsageError(f"--anonymous with --k {request.anonymous} hides nobody: expected 2 or more")
    if unknown := [name for name in request.only if name not in FILTERS]:
        raise UsageError(f"there is no filter '{unknown[0]}': expected one of {', '.join(FILTERS)}")
    if request.xmp_replace and not request.xmp:
        raise UsageError("--xmp-replace says what --xmp may replace: give both")
    for path in request.paths:
        if request.copy_to and path.is_dir() and request.copy_to.resolve().is_relative_to(path.resolve()):
            raise UsageError(f"cannot copy to '{request.copy_to}': it lies in '{path}', among the originals")


def _named(paths: tuple[Path, ...]) -> tuple[dict[Path, Measured | None], list[str]]:
    """Return the photos, with what is known of those that are not at hand, and what is to be said of them."""
    photos: dict[Path, Measured | None] = {}
    notes: list[str] = []
    for path in paths:
        if not path.exists():
            raise InputError(f"cannot read '{path}': there is no such file or folder")
        if path.is_dir():
            contents = contents_of(path)
            photos |= dict.fromkeys(contents.photos)
            if line := contents.left_out(path, videos=True):
                notes.append(f"{line[0].upper()}{line[1:]}.")
        elif path.suffix.lower() in TABLES:
            photos |= photos_named(path, notes)
        else:
            photos[path] = None
    if not photos:
        raise InputError(f"no photo was found in {', '.join(map(str, paths))}")
    return photos, notes


def _taste(request: AlbumRequest, photos: list[Photo], settings: Settings, job: Job, notes: list[str]) -> Taste:
    """Return the weights that photos chosen before speak for."""
    before: dict[Path, None] = {}
    for path in request.like:
        if not path.exists():
            raise InputError(f"cannot read '{path}': there is no such file or folder")
        before |= dict.fromkeys(contents_of(path).photos if path.is_dir() else [path])
    liked: list[Photo] = []
    failed = 0
    for file, outcome in measured(list(before), settings, job):
        if isinstance(outcome, InputError):
            failed += 1
        else:
            liked.append(rated(file, outcome, request.emotion, request.anonymous or 1))
    if failed:
        notes.append(f"{counted(failed, 'photo', 'photos')} chosen before cannot be read.")
    liked = [photo for photo in liked if photo.score is not None]
    same = {print_ for photo in liked for print_ in (photo.measured.key, photo.measured.fingerprint)}
    others = [
        photo
        for photo in photos
        if photo.score is not None
        and photo.measured.key
        and not same & {photo.measured.key, photo.measured.fingerprint}
    ]
    return learned(liked, others)


def _sidecars(photos: list[Photo], request: AlbumRequest, job: Job) -> list[str]:
    """Write the sidecars, and return what is to be said of them.

    Raises:
        MienError: None could be written.
    """
    written = write_sidecars(judgements(photos, request.only), job, replace=request.xmp_replace)
    if written.failed and not written.sidecars:
        more = f" (and {len(written.failed) - 1:,} more like it)" if len(written.failed) > 1 else ""
        raise MienError(f"no sidecar was written: {written.failed[0]}{more}")
    rejected = counted(written.rejected, "photo is", "photos are")
    line = f"{counted(written.sidecars, 'sidecar holds', 'sidecars hold')} stars and keywords; {rejected} flagged as "
    notes = [line + "rejected, as a near-duplicate is better."]
    if written.kept:
        notes.append(
            f"{counted(written.kept, 'photo keeps', 'photos keep')} a rating or flag that somebody else gave; "
            "--xmp-replace replaces them."
        )
    notes += [f"{reason[0].upper()}{reason[1:]}." for reason in written.failed[:20]]
    if len(written.failed) > 20:
        notes.append(f"{counted(len(written.failed) - 20, 'more sidecar', 'more sidecars')} could not be written.")
    return notes


def _picture(photo: Photo, settings: Settings, *, blur: bool) -> bytes:
    image, _ = read_photo(photo.file)
    return to_jpeg(hidden(image, [look.box for look in photo.measured.looks], settings) if blur else image)


def _copy(chosen: list[Photo], folder: Path) -> None:
    """Copy the files as they are, with their times; what is in the folder is never written over."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for photo in chosen:
            target, number = folder / photo.file.name, 2
            while target.exists():
                target = folder / f"{photo.file.stem}-{number}{photo.file.suffix}"
                number += 1
            shutil.copy2(photo.file, target)
    except OSError as error:
        raise MienError(f"cannot copy to '{folder}': {(error.strerror or str(error)).lower()}") from error
