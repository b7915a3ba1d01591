"""Analysing videos for reports: a file goes in, its observations come out, each with the number of its shot.

Each observation is on disk as soon as it is made, in a file named after the video's content, the model and the
settings. So a video is analysed once for any number of reports, and interrupted work goes on where it ended. Pictures
are not kept.
"""

from __future__ import annotations

import hashlib
import logging
import math
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from mien.config import Settings
from mien.errors import ConfigError, InputError, MienError
from mien.masking import without_password
from mien.media.base import Image, Source
from mien.media.open import open_source
from mien.media.selection import selected
from mien.models import store as model_store
from mien.observation import Observation
from mien.reports.base.job import Job
from mien.vision.pipeline import Pipeline, shared_models

__all__ = ["AnalysedFrame", "Watch", "analysed", "content_key", "kept_folder"]

log = logging.getLogger(__name__)

Watch = Callable[[Image, float, Sequence[tuple[int, int, int, int]]], None]
"""Takes a frame, its time in seconds and the boxes of its faces in pixels."""

KEPT_BYTES = 2 << 30
"""So much of what was analysed is kept, the newest."""

EDGE = 1 << 20
"""So many bytes at the beginning, in the middle and at the end of a file, with its size, tell it from others."""

VERSION = 4


@dataclass(frozen=True)
class AnalysedFrame:
    """What one sampled frame showed.

    Attributes:
        observation: The record.
        shot: The number of its shot, from 0.
    """

    observation: Observation
    shot: int


class _CacheEnd(msgspec.Struct):
    """The last line: the video was read to its end.

    Attributes:
        problem: One line where it could be read in part only.
        notes: Lines on what was chosen or assumed.
    """

    problem: str | None
    notes: tuple[str, ...] = ()


_encode = msgspec.json.Encoder().encode
_line = msgspec.json.Decoder(tuple[Observation, int])
_end = msgspec.json.Decoder(_CacheEnd)


def analysed(
    path: str,
    settings: Settings,
    fps: float,
    job: Job,
    *,
    stream: int | None = None,
    fps_in: float | None = None,
    watch: Watch | None = None,
) -> Iterator[AnalysedFrame | str]:
    """Yield what the frames of a video show, and at the end, as text, what was chosen and what could not be read.

    Args:
        path: A video, or `demo`.
        settings: The effective settings.
        fps: Look at so many frames of a second.
        job: Hears how far it is.
        stream: The number of the video stream to look at; None: the film's.
        fps_in: How many frames a second a file has that doesn't say when they are shown.
        watch: Is shown each frame with its time and its faces, if all of them are decoded now.

    Raises:
        InputError: It is no video, or it is live.
        PartialError: The job was stopped.
    """
    source, shown = open_source(path, stream=stream, fps_in=fps_in), without_password(path)
    with source:
        if source.live:
            raise InputError(f"cannot report on '{shown}': it is live and has no end; report on a store that it fills")
        if "://" in path:
            raise InputError(f"cannot report on '{shown}': a file was expected; download it first")
        kept = _CacheFile(path, settings, f"{fps}" if stream is None and fps_in is None else f"{fps} {stream} {fps_in}")
        last, shot = -math.inf, 0
        for line in kept.read():
            if isinstance(line, AnalysedFrame):
                last, shot = line.observation.offset_s or 0.0, line.shot
                yield line
            else:
                yield from (*line.notes, *([line.problem] if line.problem else []))
        if not kept.complete:
            whole = watch if last == -math.inf else None
            yield from _analyse(source, path, settings, fps, last, shot, kept, job, whole)


def _analyse(
    source: Source,
    path: str,
    settings: Settings,
    fps: float,
    last: float,
    shot: int,
    kept: _CacheFile,
    job: Job,
    watch: Watch | None,
) -> Iterator[AnalysedFrame | str]:
    """Analyse what comes after a time, which lies in a shot, and keep it."""
    vision = model_store.in_use(settings)
    models = shared_models(vision)
    pipeline = Pipeline(
        *models,
        source.name,
        abstain_below=vision.abstain_below,
        smoothing_s=vision.smoothing_s,
        read_every_s=vision.read_every_s,
    )
    source.skip_to(max(0.0, last))
    chosen = selected(source, fps=fps)
    skipped = 0  # the source counts its shots from where it begins to read
    step = f"analysing {Path(path).name}"
    with kept:
        for frame in chosen:
            job.tell(step, frame.index, source.expected)
            if frame.offset_s is None:
                raise InputError(f"cannot report on '{path}': it is a photo; a video was expected")
            if frame.offset_s <= last:
                skipped = frame.shot
                continue
            seen = AnalysedFrame(pipeline.observe(frame), shot + frame.shot - skipped)
            if watch is not None:
                watch(frame.image, frame.offset_s, [face.box for face in seen.observation.faces])
            kept.add(seen)
            yield seen
        kept.end(chosen.problem, chosen.notes)
    yield from (*chosen.notes, *([chosen.problem] if chosen.problem else []))


class _CacheFile:
    """The file that holds what was analysed of a video."""

    def __init__(self, path: str, settings: Settings, looked: str) -> None:
        folder = kept_folder(settings)
        _, classifier = shared_models(model_store.in_use(settings))
        how = f"{VERSION} {classifier.model_id} {settings.vision!r} {looked}"
        key = hashlib.sha256(f"{content_key(path)} {how}".encode()).hexdigest()[:32]
        self.path = folder / f"{key}.jsonl" if folder else None
        self.complete = False
        self._file: Any = None

    def read(self) -> Iterator[AnalysedFrame | _CacheEnd]:
        """Yield what is there, and cut off what was written in part.

        Where two processes have written what they saw of the same video, each frame counts once.
        """
        if self.path is None or not self.path.exists():
            return
        good, last, broken = 0, -math.inf, False
        with self.path.open("rb") as file:
            for line in file:
                try:
                    if not line.endswith(b"\n"):
                        raise ValueError("it was written in part")
                    if line.startswith(b"{"):
                        end = _end.decode(line)
                        self.complete = True
                        yield end
                        break
                    seen = AnalysedFrame(*_line.decode(line))
                except (msgspec.MsgspecError, ValueError):
                    broken = True
                    break
                good += len(line)
                if (at := seen.observation.offset_s or 0.0) > last:
                    last = at
                    yield seen
        if broken:
            os.truncate(self.path, good)
        os.utime(self.path)

    def add(self, seen: AnalysedFrame) -> None:
        self._write(_encode((seen.observation, seen.shot)))

    def end(self, problem: str | None, notes: tuple[str, ...]) -> None:
        self._write(_encode(_CacheEnd(problem, notes)))

    def _write(self, line: bytes) -> None:
        if self._file is None:
            return
        try:
            self._file.write(line + b"\n")
            self._file.flush()
        except OSError as error:
            raise MienError(f"cannot keep what was analysed in '{self.path}': {error.strerror}") from error

    def __enter__(self) -> None:
        if self.path is None:
            return
        _make_room(self.path.parent)
        self._file = os.fdopen(os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab")

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()


def kept_folder(settings: Settings) -> Path | None:
    """Return where what was analysed is kept for other reports; None where there is no state folder: a line says so."""
    try:
        folder = settings.ensure_home() / "reports"
        folder.mkdir(mode=0o700, exist_ok=True)
    except (ConfigError, OSError) as error:
        log.warning("what is analysed is not kept for other reports: %s", error)
        return None
    return folder


def content_key(path: str) -> str:
    """Return what tells a file from others: a digest of its size and of parts of its bytes."""
    if path == "demo":
        return "demo"
    file = Path(path)
    try:
        size = file.stat().st_size
        digest = hashlib.sha256(str(size).encode())
        with file.open("rb") as content:
            for start in (0, size // 2, max(0, size - EDGE)):
                content.seek(start)
                digest.update(content.read(EDGE))
    except OSError as error:
        raise InputError(f"cannot read '{path}': {(error.strerror or str(error)).lower()}") from error
    return digest.hexdigest()


def _make_room(folder: Path) -> None:
    files = sorted(folder.glob("*.jsonl"), key=lambda file: file.stat().st_mtime, reverse=True)
    total = 0
    for file in files:
        total += file.stat().st_size
        if total > KEPT_BYTES:
            file.unlink(missing_ok=True)
