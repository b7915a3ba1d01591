"""A video read for the page Try it, in a process of its own: an order goes in, `TrialEvent`s come out, lines of JSON.

Beside the video three files are written: every frame as `mien analyze` writes it (CSV), a sample of the frames for the
page (JSON lines), and the video with what was found drawn in (MP4). The process ends when its standard input does.
"""

from __future__ import annotations

import logging
import os
import threading
import time as clock
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec

from mien.api.summary import Summing
from mien.config import checked
from mien.errors import InputError, MienError
from mien.media.encode import VideoWriter
from mien.media.open import open_source
from mien.models import store as model_store
from mien.observation import Face
from mien.system.orders import end_when_left, send_or_end, take_over
from mien.system.processes import limit_memory
from mien.table import TableWriter
from mien.vision.annotate import annotate
from mien.vision.parallel import observe_all
from mien.vision.pipeline import Pipeline, shared_models

__all__ = ["ANNOTATED", "FRAMES", "ROWS", "Sample", "TrialEvent", "TrialOrder", "read_video"]

log = logging.getLogger(__name__)

ROWS, FRAMES, ANNOTATED = "rows.csv", "frames.jsonl", "annotated.mp4"
"""What is written beside the video."""

STEP_S = 1 / 12
"""The page is given so many frames: one each time so many seconds of the video have passed."""

TELL_S = 0.2
"""So often it says how far it is."""

PATIENCE_S = 10.0


class TrialOrder(msgspec.Struct, frozen=True):
    """What is to be read.

    Attributes:
        settings: The settings that it needs, nested: `home` and `vision`.
        folder: The folder that the video lies in, and that is written to.
        name: The video's name there.
        memory_mb: So many MiB of memory the process may have.
    """

    settings: dict[str, Any]
    folder: str
    name: str
    memory_mb: int


class Sample(msgspec.Struct, frozen=True):
    """A frame as the page is given it: when it is shown, in seconds, and its faces."""

    at: float
    faces: list[Face]


class TrialEvent(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the process says: how far it is, or how it ended.

    Attributes:
        frames: How many frames were read.
        expected: About how many there are, where that is known.
        seconds: How long what was read lasts.
        width: Of the frames, in pixels.
        height: Of the frames, in pixels.
        ended: Whether this is the end.
        failed: Why there is none, or only a part.
        notes: What was chosen or assumed.
        faces: How many faces there were, at the end.
        happiest_s: The second in which they looked happiest.
        happy: The mean probability of *happy* in it.
        model: What read them.
    """

    frames: int = 0
    expected: int | None = None
    seconds: float = 0.0
    width: int = 0
    height: int = 0
    ended: bool = False
    failed: str = ""
    notes: list[str] = []
    faces: int = 0
    happiest_s: int | None = None
    happy: float = 0.0
    model: str = ""


def main() -> None:
    """Read the video that standard input names; what libraries print goes to standard error."""
    orders, out = take_over()
    order = msgspec.json.decode(orders.readline(), type=TrialOrder)
    limit_memory(order.memory_mb)
    os.chdir(order.folder)
    if hasattr(os, "nice"):
        os.nice(5)
    stop = threading.Event()
    end_when_left(orders, stop, PATIENCE_S)
    try:
        read_video(order, stop, lambda event: send_or_end(out, event))
    except MienError as error:
        send_or_end(out, TrialEvent(ended=True, failed=str(error)))
    except Exception:  # of a library, over a hostile file: whoever waits must hear that it ended
        log.exception("a video cannot be read")
        send_or_end(out, TrialEvent(ended=True, failed="the video cannot be read; the dashboard's log says why"))


def read_video(order: TrialOrder, stop: threading.Event, tell: Callable[[TrialEvent], None]) -> None:
    """Read a video and write what it showed beside it.

    Args:
        order: Which; its folder is the working directory.
        stop: Ends it.
        tell: Hears of each TrialEvent.

    Raises:
        InputError: It is no video, or cannot be read at all.
        MienError: The disk is full, or the model cannot be used.
    """
    vision = model_store.in_use(checked(order.settings, "the order"))
    detector, classifier = shared_models(vision)
    summing, event, told = Summing(), TrialEvent(), 0.0
    path = Path(order.name)
    with ExitStack() as stack:
        source = stack.enter_context(open_source(order.name))
        pipeline = Pipeline(
            detector, classifier, source.name, abstain_below=vision.abstain_below, smoothing_s=vision.smoothing_s
        )
        table = stack.enter_context(TableWriter(Path(ROWS)))
        drawn = stack.enter_context(VideoWriter(Path(ANNOTATED), sound=path))
        samples = stack.enter_context(Path(FRAMES).open("wb"))
        due = -1.0
        for frame, observation in observe_all(pipeline, source):
            at = observation.offset_s
            if at is None:
                raise InputError(f"'{order.name}' is a photo: a video was expected")
            if stop.is_set():
                return
            summing.add(observation, path)
            table.add(observation, path)
            drawn.write(annotate(frame.image, observation), at)
            if at >= due:
                samples.write(msgspec.json.encode(Sample(round(at, 3), observation.faces)) + b"\n")
                due = at + STEP_S - 1e-3
            event = TrialEvent(event.frames + 1, source.expected, at, observation.width, observation.height)
            if (now := clock.monotonic()) - told >= TELL_S:
                samples.flush()
                tell(event)
                told = now
        notes, problem = list(source.notes), source.problem or ""
    if not event.frames:
        raise InputError(problem or f"'{order.name}' has no frame that can be read")
    total = summing.result()
    best = total.happiest
    tell(
        msgspec.structs.replace(
            event, ended=True, failed=problem, notes=notes, faces=total.faces, model=classifier.model_id,
            happiest_s=best.at_s if best else None, happy=round(best.happy, 3) if best else 0.0,
        )
    )  # fmt: skip


if __name__ == "__main__":
    main()
