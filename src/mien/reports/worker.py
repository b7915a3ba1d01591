"""A report made in a process of its own: an `Order` goes in as a line of JSON, `Event`s come out as lines of JSON.

So what is uploaded is decoded apart from the server that took it, at low priority, and can be ended at any moment. The
process ends when its standard input does: nobody waits for the report any more.
"""

from __future__ import annotations

import io
import logging
import os
import shutil
import time as clock
import zipfile
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, Literal
from zoneinfo import ZoneInfo

import msgspec
from PIL import Image

from mien.config import checked
from mien.errors import MienError, PartialError, StoreError
from mien.exports.files import Format
from mien.observation import EMOTIONS, Emotion
from mien.reports.album.report import AlbumRequest, report_album
from mien.reports.album.selection import Filter
from mien.reports.audience.report import AudienceRequest, report_audience
from mien.reports.base.job import Job
from mien.reports.base.parts import Pictures
from mien.reports.base.recordings import Inputs
from mien.reports.base.report import Report
from mien.reports.examples import example
from mien.reports.film.report import FilmRequest, report_film
from mien.reports.form_words import as_asked_by_form, in_form_words
from mien.reports.meeting.report import MeetingRequest, report_meeting
from mien.system.machine import peak_bytes
from mien.system.orders import end_when_left, send_or_end, take_over
from mien.system.processes import limit_memory

__all__ = ["KINDS", "Kind", "Order", "WorkerEvent", "out_of_memory"]

log = logging.getLogger(__name__)

Kind = Literal["film", "meeting", "audience", "album"]

KINDS: tuple[Kind, ...] = ("film", "meeting", "audience", "album")

TELL_S = 0.25
"""So often it says how far it is."""

THUMB = (320, 180)
BEST_BYTES = 2 << 30
"""So many bytes of chosen photos are kept to be downloaded."""

PATIENCE_S = 10.0
"""So long the work may take to end once nobody waits for it."""


class Order(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is to be made, of what, and where to.

    Attributes:
        kind: Which report.
        settings: The settings that it needs, nested: `home`, `store`, `vision` and `meeting`.
        folder: The folder that file names are relative to; nothing outside it is read.
        output: The folder for the page and its data.
        paths: Videos, tables or photos.
        like: Photos that were chosen before.
        store: The URL of a store in place of paths, with `sources`, `since` and `until`.
        zone: That of the clock in a meeting's picture.
        events: What an audience watched; empty: nothing is known of it.
        markers: What it watched are the store's markers.
        treatment: The video that an audience watched.
        null: What chance is for an audience's synchrony.
        calibrate: From which time usual faces are taken; None: what lies above them is not told.
        exports: For which other tools its time line is written.
        memory_mb: So many MiB of memory the process may have.
        example: Make what it is to be made of from the demo.
    """

    kind: Kind
    settings: dict[str, Any]
    folder: str
    output: str
    paths: tuple[str, ...] = ()
    store: str | None = None
    sources: tuple[str, ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    zone: str = "UTC"
    fps: float = 5.0
    moments: int = 3
    blur: bool = False
    anonymous: int | None = None
    cast: str | None = None
    transcript: str = ""
    speakers: str | None = None
    lexicon: str | None = None
    offset: float | None = None
    consent: str | None = None
    events: str = ""
    markers: bool = False
    seats: str | None = None
    treatment: str | None = None
    null: Literal["shift", "phase"] = "shift"
    baseline_s: float = 5.0
    window_s: float = 10.0
    best: int = 20
    emotion: Emotion = "happy"
    calibrate: str | None = None
    exports: tuple[Format, ...] = ()
    only: tuple[Filter, ...] = ()
    like: tuple[str, ...] = ()
    memory_mb: int = 4096
    example: bool = False


class WorkerEvent(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the process says: how far a step is, or how it ended.

    Attributes:
        step: What is under way.
        done: How much of it is done.
        total: Of how much, where that is known.
        ended: How the work ended, at the end.
        title: Of the report that was made.
        message: What the report found, or one line on why there is none.
        files: The names of the files that were written, the page first.
        score: The first of the report's figures.
        thumb: The name of a small picture of it; empty: there is none.
        curve: The name of the course of a film, for the page beside the video; empty: there is none.
        video: The name of the video, where it is kept.
    """

    step: str = ""
    done: float = 0.0
    total: float | None = None
    ended: Literal["", "done", "stopped", "failed"] = ""
    title: str = ""
    message: str = ""
    files: list[str] = []
    score: str = ""
    thumb: str = ""
    curve: str = ""
    video: str = ""


def out_of_memory(mib: int) -> str:
    """Return the line on a report that took too much memory."""
    return (
        f"the report takes more than the {mib:,} MiB of memory that it may have: report on less at once, or set "
        "dashboard.report_mb"
    )


def main() -> None:
    """Make the report that standard input orders; what libraries print goes to standard error."""
    orders, out = take_over()
    order = msgspec.json.decode(orders.readline(), type=Order)
    limit_memory(order.memory_mb)
    os.chdir(order.folder)
    if hasattr(os, "nice"):
        os.nice(10)
    job = Job(_ProgressSender(out))
    end_when_left(orders, job.cancel, PATIENCE_S)
    try:
        ended = _made(order, job)
    except PartialError as error:
        ended = WorkerEvent(ended="stopped", message=str(error))
    except StoreError as error:
        log.warning("a report failed: %s", error)  # whoever asked for it may not be told where the store is
        ended = WorkerEvent(ended="failed", message=error.public)
    except MienError as error:
        ended = WorkerEvent(ended="failed", message=in_form_words(str(error)))
    except MemoryError:
        log.exception("a report failed")
        ended = WorkerEvent(ended="failed", message=out_of_memory(order.memory_mb))
    except Exception:  # of a library, over a hostile file: whoever waits must hear that it ended
        log.exception("a report failed")
        short = (peak_bytes() or 0) > order.memory_mb << 19  # many libraries have an error of their own for that
        why = out_of_memory(order.memory_mb) if short else "the report failed unforeseen; the dashboard's log says why"
        ended = WorkerEvent(ended="failed", message=why)
    send_or_end(out, ended)


def _made(order: Order, job: Job) -> WorkerEvent:
    if order.example:
        job.tell("drawing the example", 0)
        of = example(order.kind, Path(order.folder))
        order = msgspec.structs.replace(order, paths=of.paths, **of.asked)
    report = as_asked_by_form(_report(order, job))
    if order.store:
        report.asked["store"] = "the dashboard's"  # where it is, is no business of everybody who may look
    folder = Path(order.output)
    page = folder / f"{order.kind}.html"
    files = report.write(page, exports=order.exports)
    packed = page.with_suffix(".zip")
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in files:
            archive.write(file, file.name)
    best = _best(report, folder) if order.kind == "album" and not (order.blur or order.anonymous) else []
    names = [file.name for file in (*files, *best, packed)]
    video = ""
    if order.example and order.kind == "film":
        video = Path(order.paths[0]).name
        shutil.copyfile(order.paths[0], folder / video)
    return WorkerEvent(
        ended="done", title=report.title, message=report.lead, files=names, score=_score(report),
        thumb=_thumb(report, folder), curve=_curve(report, folder), video=video,
    )  # fmt: skip


def _score(report: Report) -> str:
    """Return the report's first figure with its name, where there is one."""
    named = {fact.name: fact for fact in report.facts}
    fact = named.get("Best score") or next(iter(named.values()), None)
    return f"{fact.name}: {fact.shown}" if fact and fact.value is not None else ""


def _thumb(report: Report, folder: Path) -> str:
    """Write the first of the report's pictures as a small one; return its name."""
    parts = (part for section in report.sections for part in section.parts)
    picture = next((part.pictures[0] for part in parts if isinstance(part, Pictures) and part.pictures), None)
    if picture is None:
        return ""
    with Image.open(io.BytesIO(picture.jpeg)) as image:
        image.thumbnail(THUMB)
        image.convert("RGB").save(folder / "thumb.jpg", "jpeg", quality=85)
    return "thumb.jpg"


def _curve(report: Report, folder: Path) -> str:
    """Write a film's course and its moments as the page beside the video reads them; return the file's name."""
    tables = report.tables
    if report.kind != "film" or not {"curve", "moments"} <= set(tables):
        return ""
    films = []
    for name in dict.fromkeys(tables["curve"]["film"]):
        rows = [row for row in tables["curve"].rows(named=True) if row["film"] == name]
        times = [row["start"] for row in rows]
        step = times[1] - times[0] if len(times) > 1 else 1.0
        moments = [row for row in tables["moments"].rows(named=True) if row["film"] == name]
        films.append({
            "name": name, "seconds": times[-1] + step,
            "bands": {emotion: [row[emotion] for row in rows] for emotion in EMOTIONS},
            "moments": [{key: row[key] for key in ("emotion", "at", "value")} for row in moments],
        })  # fmt: skip
    (folder / "course.json").write_bytes(msgspec.json.encode({"title": report.title, "films": films}))
    return "course.json"


def _best(report: Report, folder: Path) -> list[Path]:
    """Pack the chosen photos as they are, the best first; of very many as many as BEST_BYTES holds."""
    chosen = sorted((row["rank"], row["file"]) for row in report.tables["photos"].rows(named=True) if row["rank"])
    there = [(rank, Path(file)) for rank, file in chosen if Path(file).is_file()]
    packed, total = folder / "best.zip", 0
    if not there:
        return []
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
        for rank, file in there:
            total += file.stat().st_size
            if total > BEST_BYTES:
                break
            archive.write(file, f"{rank:03d} {file.name}")
    return [packed]


def _report(order: Order, job: Job) -> Report:
    settings = checked(order.settings, "the order")
    since, until = order.since, order.until
    folder, zone = Path(order.folder), ZoneInfo(order.zone)
    inputs = Inputs(order.paths, order.store, order.sources, since, until, order.fps, folder, zone=zone)
    if order.kind == "film":
        cast = Path(order.cast) if order.cast else None
        return report_film(
            FilmRequest(inputs, order.moments, order.blur, order.anonymous, cast, order.calibrate), settings, job
        )
    if order.kind == "meeting":
        speakers = Path(order.speakers) if order.speakers else None
        meeting = MeetingRequest(
            inputs, Path(order.transcript), speakers, order.offset, order.consent, order.blur, order.anonymous,
            lexicon=Path(order.lexicon) if order.lexicon else None, calibrate=order.calibrate,
        )  # fmt: skip
        return report_meeting(meeting, settings, job)
    if order.kind == "audience":
        seats = Path(order.seats) if order.seats else None
        events = Path(order.events) if order.events else None
        treatment = Path(order.treatment) if order.treatment else None
        audience = AudienceRequest(
            inputs,
            "markers" if order.markers else events,
            seats,
            order.baseline_s,
            order.window_s,
            order.anonymous,
            treatment,
            order.null,
            order.calibrate,
        )
        return report_audience(audience, settings, job)
    photos = tuple(Path(path) for path in order.paths)
    liked = tuple(Path(path) for path in order.like)
    album = AlbumRequest(
        photos, order.best, order.emotion, None, order.blur, order.anonymous, only=order.only, like=liked
    )
    return report_album(album, settings, job)


class _ProgressSender:
    """Says how far a job is, not more often than anybody wants to hear it."""

    def __init__(self, out: BinaryIO) -> None:
        self._out, self._step, self._at = out, "", 0.0

    def __call__(self, step: str, done: float, total: float | None) -> None:
        now = clock.monotonic()
        if step != self._step or now - self._at >= TELL_S:
            self._step, self._at = step, now
            send_or_end(self._out, WorkerEvent(step, done, total))


if __name__ == "__main__":
    main()
