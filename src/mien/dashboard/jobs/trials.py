"""Videos that are tried on the page Try it: uploads go in, each read in a process of its own, one after another.

What was read lies beside the video, in a folder that its sender's page, an hour, or the dashboard's end deletes.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from mien.config import Settings
from mien.dashboard.errors import ApiError
from mien.dashboard.jobs.uploads import WAIT_S, Upload, Uploads
from mien.run.trial import ANNOTATED, FRAMES, ROWS, TrialEvent, TrialOrder
from mien.system.processes import APART, ran_out

__all__ = ["Trial", "Trials"]

log = logging.getLogger(__name__)

MOST = 4
"""So many are kept; for a further one the oldest that is read goes."""

PIECE = 1 << 18
"""So many bytes of frames are given at once."""

FILES = {"csv": ROWS, "annotated": ANNOTATED}


@dataclass
class Trial:
    """A video that is tried.

    Attributes:
        key: Its folder's name, which nobody can guess.
        name: What its sender calls it.
        by: Who sent it.
        folder: Where it lies.
        event: How far it is.
        process: What reads it, once it has begun.
    """

    key: str
    name: str
    by: str
    folder: Path
    event: TrialEvent = field(default_factory=TrialEvent)
    process: subprocess.Popen[bytes] | None = None

    def frames(self, start: int) -> tuple[bytes, int]:
        """Return a piece of the sampled frames, JSON objects between commas, from a byte on, and where it ends."""
        try:
            with (self.folder / FRAMES).open("rb") as file:
                file.seek(start)
                piece = file.read(PIECE)
        except OSError:
            return b"", start
        whole = piece[: piece.rfind(b"\n") + 1]
        return whole.rstrip(b"\n").replace(b"\n", b","), start + len(whole)

    def file(self, kind: str) -> Path | None:
        """Return what was written of a kind, `csv` or `annotated`, once all of it was."""
        path = self.folder / FILES[kind]
        return path if self.event.ended and path.is_file() else None


class Trials:
    """Reads videos and keeps what they showed for a while.

    Args:
        settings: How faces are read.
        uploads: Where the videos come from.
    """

    def __init__(self, settings: Settings, uploads: Uploads) -> None:
        self._settings, self._uploads = settings, uploads
        self._known: dict[str, Trial] = {}
        self._turn = threading.Lock()

    def add(self, upload: Upload) -> Trial:
        """Read a video when those before it are read.

        Raises:
            ApiError: Too many wait.
        """
        if len(self._known) >= MOST:
            ended = next((trial for trial in self._known.values() if trial.event.ended), None)
            if ended is None:
                raise ApiError(429, f"{MOST} videos are being read: try again", {"retry-after": "10"})
            self.drop(ended)
        key = secrets.token_hex(16)
        folder = self._uploads.folder / f"trial-{key}"
        (name,) = self._uploads.hand_over([upload], folder).values()
        self._known[key] = trial = Trial(key, name, upload.by, folder)
        threading.Thread(target=self._work, args=(trial,), name="dashboard-trial", daemon=True).start()
        asyncio.get_running_loop().call_later(WAIT_S, self.drop, trial)
        return trial

    def find(self, key: str, by: str) -> Trial:
        """Return a video that somebody tries.

        Raises:
            ApiError: There is none, or it is somebody else's.
        """
        trial = self._known.get(key)
        if trial is None or trial.by != by:
            raise ApiError(404, f"there is no video {key}: it was deleted, or never sent")
        return trial

    def drop(self, trial: Trial) -> None:
        """Stop reading a video, and delete it with what was read."""
        self._known.pop(trial.key, None)
        if trial.process is not None:
            with contextlib.suppress(OSError):
                trial.process.kill()
        self._uploads.forget(trial.folder)

    def close(self) -> None:
        """Stop and delete all."""
        for trial in list(self._known.values()):
            self.drop(trial)

    def _work(self, trial: Trial) -> None:
        with self._turn:
            if trial.key not in self._known:
                return
            try:
                ended = self._read(trial)
            except (OSError, msgspec.MsgspecError) as error:
                ended = TrialEvent(ended=True, failed=f"the video cannot be read: {error}")
            trial.event = ended
            if trial.key not in self._known:
                self._uploads.forget(trial.folder)

    def _read(self, trial: Trial) -> TrialEvent:
        settings = self._settings
        memory = settings.dashboard.report_mb
        needed = {"home": str(settings.home.resolve()), "vision": settings.vision.model_dump(mode="json")}
        order = TrialOrder(needed, str(trial.folder.resolve()), trial.name, memory)
        process = subprocess.Popen(
            [sys.executable, "-m", "mien.run.trial"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, **APART
        )
        trial.process = process
        if trial.key not in self._known:  # it was dropped meanwhile
            process.kill()
        with process:
            with contextlib.suppress(OSError):
                process.stdin.write(msgspec.json.encode(order) + b"\n")  # type: ignore[union-attr]
                process.stdin.flush()  # type: ignore[union-attr]
            for line in process.stdout or ():
                event = msgspec.json.decode(line, type=TrialEvent)
                if event.ended:
                    return event
                trial.event = event
        if ran_out(process.returncode):
            why = f"the video takes more than the {memory:,} MiB of memory that it may have (dashboard.report_mb)"
        else:
            why = "the process that read the video ended too early; the dashboard's log says why"
        return TrialEvent(ended=True, failed=why)
