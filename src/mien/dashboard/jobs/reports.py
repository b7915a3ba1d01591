"""Reports that are asked for over the dashboard: orders go in, made one after another in a process of their own.

What was made lies in `reports/made/` of the state folder, one folder a report, until it is deleted.
"""

from __future__ import annotations

import contextlib
import logging
import shutil
import subprocess
import sys
import threading
import time as clock
from collections import deque
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Literal

import msgspec
from msgspec.structs import replace as replace_order

from mien.config import Settings
from mien.dashboard.jobs.uploads import WAIT_S, Uploads
from mien.errors import MienError
from mien.reports.worker import Kind, Order, WorkerEvent, out_of_memory
from mien.system.processes import APART, ran_out

__all__ = ["MAX_WAITING", "MadeReport", "ReportQueue"]

log = logging.getLogger(__name__)

MAX_WAITING = 8
"""So many reports may wait for the one that is being made."""

MAX_ENDED = 20
"""So many reports that failed or were stopped are told of."""

PATIENCE_S = 10.0
"""So long a report may take to end after it was stopped."""

RECORD = "record.json"

NAMES, CORRECTED = ".names.csv", "corrected names.csv"
"""The ending of a meeting's file of names, and the name of the one that people corrected."""

State = Literal["waiting", "working", "done", "stopped", "failed"]


@dataclass(frozen=True)
class MadeReport:
    """A report that was asked for.

    Attributes:
        key: Its folder's name, which nobody can guess.
        kind: Which.
        by: Who asked.
        asked: When, UTC.
        title: What the page is called, or what it is to be made of.
        state: How far it is.
        message: What it found, or one line on why there is none.
        files: What was written, the page first.
        step: What is under way.
        share: How much of the step is done, 0 to 1, where that is known.
        left_s: How long the step will take, in seconds, where that is known.
        of: What it is made of: names of files, or sources.
        example: Whether it is made of the demo, to show what such a report is.
        score: The first of its figures.
        thumb: A small picture of it, among its files.
        curve: The course of a film, among its files, for the page beside the video.
        video: The video, among its files, where it is kept.
    """

    key: str
    kind: Kind
    by: str
    asked: datetime
    title: str
    state: State = "waiting"
    message: str = ""
    files: tuple[str, ...] = ()
    step: str = ""
    share: float | None = None
    left_s: float | None = None
    of: str = ""
    example: bool = False
    score: str = ""
    thumb: str = ""
    curve: str = ""
    video: str = ""


@dataclass
class _Pace:
    """When a step began, and how much of it was done by then."""

    step: str = ""
    began: float = 0.0
    share: float = 0.0


@dataclass
class _Running:
    """The report that is being made; it has no process before that was started, and may be stopped before it has."""

    key: str
    process: subprocess.Popen[bytes] | None = None
    stopped: bool = False
    pace: _Pace = field(default_factory=_Pace)


class ReportQueue:
    """Makes reports and keeps them.

    Args:
        settings: Where the state folder is, and how faces are read.

    Attributes:
        uploads: The files that reports are made of.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.folder = settings.home / "reports" / "made"
        self.uploads = Uploads(settings.home / "reports" / "uploads", settings.dashboard.upload_mb << 20)
        self._known: dict[str, MadeReport] | None = None
        self._orders: deque[tuple[str, Order]] = deque()
        self._running: _Running | None = None
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closed = False
        self._correctable: dict[str, Order] = {}

    def all(self) -> list[MadeReport]:
        """Return every report, the newest first."""
        with self._changed:
            return sorted(self._all().values(), key=lambda report: report.asked, reverse=True)

    def find(self, key: str) -> MadeReport | None:
        """Return a report."""
        with self._changed:
            return self._all().get(key)

    @property
    def full(self) -> bool:
        """Whether no more can be asked for just now."""
        return len(self._orders) >= MAX_WAITING

    def add(self, made: MadeReport, order: Order) -> MadeReport:
        """Make a report when those before it are done."""
        with self._changed:
            self._all()[made.key] = made
            self._orders.append((made.key, order))
            self._changed.notify()
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="dashboard-reports", daemon=True)
                self._thread.start()
        return made

    def drop(self, key: str) -> None:
        """End a report that waits or is being made; delete one that has ended, with its files."""
        with self._changed:
            waiting = [order for order_key, order in self._orders if order_key == key]
            if waiting:
                self._orders = deque((order_key, order) for order_key, order in self._orders if order_key != key)
                self._ended(key, WorkerEvent(ended="stopped", message="it was stopped before it began"))
                self.uploads.forget(Path(waiting[0].folder))
            elif self._running and self._running.key == key:
                self._running.stopped = True
                if self._running.process:
                    _end(self._running.process)
            elif self._all().pop(key, None):
                self._forget_recording(key)
                shutil.rmtree(self.folder / key, ignore_errors=True)

    def names(self, made: MadeReport) -> Path | None:
        """Return the file of names of a meeting, as long as its recording is kept so that they can be corrected."""
        order = self._correctable.get(made.key)
        if order is None or made.state != "done" or not Path(order.folder).is_dir():
            return None
        return next((self.folder / made.key / name for name in made.files if name.endswith(NAMES)), None)

    def correct(self, made: MadeReport, content: str) -> MadeReport:
        """Make a meeting's report anew with a corrected file of names.

        Raises:
            OSError: It cannot be written.
        """
        order = self._correctable[made.key]
        (Path(order.folder) / CORRECTED).write_text(content, encoding="utf-8")
        return self.add(replace(made, state="waiting", message="", score=""), replace_order(order, speakers=CORRECTED))

    def _keep_for_names(self, key: str, order: Order, ended: WorkerEvent) -> bool:
        """Say whether a recording is kept, for an hour at most, as the names that were found may need correction."""
        if order.kind != "meeting" or not order.paths or self._closed:
            return False
        if ended.ended != "done" or not any(name.endswith(NAMES) for name in ended.files):
            return False
        if key not in self._correctable:
            timer = threading.Timer(WAIT_S, self._forget_recording, (key,))
            timer.daemon = True
            timer.start()
        self._correctable[key] = order
        self.uploads.spare(Path(order.folder))
        return True

    def _forget_recording(self, key: str) -> None:
        if order := self._correctable.pop(key, None):
            self.uploads.forget(Path(order.folder))

    def path(self, made: MadeReport, name: str) -> Path | None:
        """Return one of a report's files; None: it has none of that name."""
        known = {*made.files, made.thumb, made.curve, made.video} - {""}
        return self.folder / made.key / name if name in known else None

    def close(self) -> None:
        """End what is being made, and delete what was uploaded."""
        with self._changed:
            self._closed = True
            self._changed.notify()
            if self._running and self._running.process:
                self._running.process.kill()
        if self._thread:
            self._thread.join(5)
        self.uploads.close()

    def _all(self) -> dict[str, MadeReport]:
        """Return what is known, at first what earlier runs made."""
        if self._known is None:
            self._known = {}
            for record in self.folder.glob(f"*/{RECORD}"):
                try:
                    made = msgspec.json.decode(record.read_bytes(), type=MadeReport)
                except (OSError, msgspec.MsgspecError, ValueError) as error:
                    log.warning("the report in '%s' cannot be shown: %s", record.parent, error)
                    continue
                if made.key == record.parent.name:
                    self._known[made.key] = made
        return self._known

    def _work(self) -> None:
        while True:
            with self._changed:
                while not self._orders and not self._closed:
                    self._changed.wait()
                if self._closed:
                    return
                key, order = self._orders.popleft()
                self._all()[key] = replace(self._all()[key], state="working", step="starting")
                self._running = running = _Running(key)
            try:
                ended = self._make(running, order)
            except Exception as error:  # the next report must be made all the same
                log.exception("a report cannot be made")
                ended = WorkerEvent(ended="failed", message=f"the report cannot be made: {error}")
            if running.stopped or not self._keep_for_names(key, order, ended):
                self._correctable.pop(key, None)
                self.uploads.forget(Path(order.folder))  # before anybody hears that it ended
            try:
                self._made(running, ended)
            except OSError as error:  # a full disk takes no record
                self._made(running, WorkerEvent(ended="failed", message=f"the report cannot be kept: {error}"))

    def _make(self, running: _Running, order: Order) -> WorkerEvent:
        """Make a report and return how that ended."""
        try:
            self.settings.ensure_home()
            Path(order.output).mkdir(mode=0o700, parents=True, exist_ok=True)
            # A session of its own: Ctrl-C at the terminal is for the dashboard, which ends it.
            process = subprocess.Popen(
                [sys.executable, "-m", "mien.reports.worker"],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, **APART,
            )  # fmt: skip
        except (OSError, MienError) as error:
            return WorkerEvent(ended="failed", message=f"the report cannot be made: {error}")
        with process:
            with contextlib.suppress(OSError):
                process.stdin.write(msgspec.json.encode(order) + b"\n")  # type: ignore[union-attr]
                process.stdin.flush()  # type: ignore[union-attr]
            with self._changed:
                running.process = process
                if self._closed:
                    process.kill()
                elif running.stopped:
                    _end(process)
            ended = None
            for line in process.stdout or ():
                event = msgspec.json.decode(line, type=WorkerEvent)
                if event.ended:
                    ended = event
                else:
                    self._on_event(running, event)
        if ended is not None:
            return ended
        if ran_out(process.returncode):
            return WorkerEvent(ended="failed", message=out_of_memory(order.memory_mb))
        return WorkerEvent(ended="failed", message="the report's process ended too early; the dashboard's log says why")

    def _made(self, running: _Running, event: WorkerEvent) -> None:
        with self._changed:
            self._running = None
            # also one that was done by then: whoever stopped it does not look for it
            if running.stopped and event.ended != "stopped":
                event = WorkerEvent(ended="stopped", message="it was stopped")
            self._ended(running.key, event)

    def _on_event(self, running: _Running, event: WorkerEvent) -> None:
        """Take note of how far a report is."""
        share = min(max(event.done / event.total, 0.0), 1.0) if event.total else None
        now = clock.monotonic()
        pace = running.pace
        if event.step != pace.step:
            running.pace = pace = _Pace(event.step, now, share or 0.0)
        left = None
        if share is not None and share > pace.share and now - pace.began > 1:
            left = (now - pace.began) * (1 - share) / (share - pace.share)
        with self._changed:
            known = self._all()
            known[running.key] = replace(known[running.key], step=event.step, share=share, left_s=left)

    def _ended(self, key: str, event: WorkerEvent) -> None:
        """Take note of how a report ended; what was made is kept on disk."""
        with self._changed:
            made = self._all()[key]
            made = replace(
                made, state=event.ended or "failed", title=event.title or made.title, message=event.message,
                files=tuple(event.files), step="", share=None, left_s=None, score=event.score, thumb=event.thumb,
                curve=event.curve, video=event.video,
            )  # fmt: skip
            self._all()[key] = made
            if made.state == "done":
                (self.folder / key / RECORD).write_bytes(msgspec.json.encode(made))
                return
            shutil.rmtree(self.folder / key, ignore_errors=True)
            over = [report.key for report in self.all() if report.state in ("stopped", "failed")][MAX_ENDED:]
            for ended_key in over:
                self._all().pop(ended_key)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Let a report's process know that nobody waits for it; end it if that takes too long."""
    with contextlib.suppress(OSError):
        process.stdin.close()  # type: ignore[union-attr]
    timer = threading.Timer(PATIENCE_S, process.kill)
    timer.daemon = True
    timer.start()
