"""Many files at once: photos, folders and videos go in, one table comes out, and a drawn picture or video."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

import numpy as np
from rich.markup import escape
from rich.progress import Progress

from mien.config import Settings
from mien.errors import InputError, MienError, MissingExtraError, PartialError, UsageError
from mien.exports.files import BY_ENDING, check_export, write_export
from mien.exports.runs import ObservationTiers
from mien.masking import without_password
from mien.media.base import Image, Source
from mien.media.encode import VideoWriter
from mien.media.folder import contents_behind, contents_of
from mien.media.open import open_source
from mien.media.photos import Photos, is_there, matching
from mien.models import store as model_store
from mien.observation import EMOTIONS, Observation
from mien.run.options import AnalyzeOptions
from mien.system.plugins import plugin_names
from mien.system.remote import is_folder, is_url, sending
from mien.system.remote import matching as addresses
from mien.table import KINDS, TableWriter
from mien.vision.annotate import annotate, write_picture
from mien.vision.blur import FaceBlur
from mien.vision.parallel import observe_all
from mien.vision.pipeline import Pipeline, shared_models
from mien.vision.schedule import PhotoDetector, WholeFrameDetector
from mien.words import counted

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

__all__ = ["Listeners", "Outcome", "analyze_paths"]

log = logging.getLogger(__name__)

EVERYTHING = AnalyzeOptions()
NO_SHARES = np.empty((0, len(EMOTIONS)), np.float32)
PICTURES = (".jpg", ".jpeg", ".png", ".webp")


@dataclass(frozen=True)
class Outcome:
    """What an analysis came to, besides what its observations say.

    Attributes:
        photos: How many photos were read.
        videos: How many videos, at least in part.
        seconds: How long it took, in seconds, the loading of the models left out.
        left_out: Lines on what of folders was not taken, and what was chosen or assumed.
        problems: Lines on what could not be read, or in part only.
    """

    photos: int
    videos: int
    seconds: float
    left_out: tuple[str, ...]
    problems: tuple[str, ...]


class Listeners(Protocol):
    """Who is shown an analysis."""

    def add(self, observation: Observation, file: Path | str) -> None:
        """Take an observation of a frame of this file."""

    def end(self, outcome: Outcome) -> None:
        """Hear that these were all."""


def analyze_paths(
    settings: Settings,
    paths: Sequence[Path | str],
    *,
    output: Path | str | None = None,
    exports: Sequence[Path] = (),
    annotate: Path | str | None = None,
    blur: bool = False,
    options: AnalyzeOptions = EVERYTHING,
    shown: Listeners | None = None,
    progress: Progress | None = None,
) -> None:
    """Analyse photos, videos and folders of both into one table.

    Args:
        settings: The effective settings.
        paths: What to analyse; a pattern such as `*.jpg` stands for the files that it names; a URL is one of a video,
            or of whatever fsspec reaches, such as `s3://bucket/films/`.
        output: A .csv, .jsonl or .parquet file, or the URL of one.
        exports: Also write what each track showed as a time line for other tools: .eaf (ELAN), .TextGrid (Praat), .tsv
            (BIDS; a .json of the same name describes it), .boris.csv (BORIS).
        annotate: Also write the one photo (.jpg, .png, .webp) or video (.mp4) with what was found drawn in.
        blur: Hide the faces in it.
        options: Which frames of videos are looked at, and what else is said of faces.
        shown: Sees all observations, and what came of it; None: the log says it.
        progress: A bar that is shown meanwhile.

    Raises:
        UsageError: A number is out of range, or `blur` has no picture to act on.
        InputError: A path cannot be read at all, an output cannot be written, or the model does not know the level.
        PartialError: Part of it could not be read; what could be was written.
    """
    notes: list[str] = []
    specs = [spec for path in paths for spec in _expanded(str(path))]
    _check(specs, output, exports, annotate)
    specs = [spec for given in specs for spec in _inside(given, notes)]
    if blur and not annotate:
        raise UsageError("--blur hides the faces in what --annotate writes: add --annotate FILE")
    vision = model_store.in_use(settings)
    found, classifier = shared_models(vision)
    if options.sets is not None:
        classifier.plausible(NO_SHARES, options.sets)  # before any work, as it may not know them
    in_videos = (
        WholeFrameDetector(found) if blur else found
    )  # a face that comes into view is hidden from its first frame on
    problems: list[str] = []
    begun, frames, photos, videos = time.monotonic(), 0, 0, 0
    with contextlib.ExitStack() as stack:
        table = stack.enter_context(TableWriter(stack.enter_context(sending(str(output))))) if output else None
        tiers = ObservationTiers() if exports else None
        hiding = FaceBlur() if blur else None
        picture = stack.enter_context(sending(str(annotate))) if annotate else None
        drawing = stack.enter_context(_Drawing(picture, specs[0], hiding, options.stream)) if picture else None
        bar = stack.enter_context(progress or Progress(disable=True))
        for spec in specs:
            label = without_password(spec)
            task = bar.add_task(escape(label.rpartition("/")[2]), total=None)
            seen = False
            try:
                with _open(spec, options.stream, options.fps_in) as source:
                    if tiers and isinstance(source, Photos) and len(specs) == 1 and not output:
                        raise InputError(f"cannot write '{exports[0]}': photos have no running time, a video has")
                    if drawing:
                        drawing.check(source)
                    chosen = options.choose(source)
                    bar.update(task, total=chosen.expected)
                    pipeline = Pipeline(
                        PhotoDetector(found) if isinstance(source, Photos) else in_videos,
                        classifier,
                        source.name,
                        abstain_below=vision.abstain_below,
                        smoothing_s=vision.smoothing_s,
                        read_every_s=vision.read_every_s,
                        sets=options.sets,
                    )
                    for frame, observation in observe_all(pipeline, chosen):
                        frames += 1
                        photos += frame.path is not None
                        seen = frame.path is None
                        for taker in (table, tiers, shown):
                            if taker is not None:
                                taker.add(observation, frame.path or label)
                        if drawing:
                            drawing.add(frame.image, observation)
                        bar.advance(task)
                    if not Path(spec).is_dir():
                        notes += chosen.notes
                problems += [chosen.problem] if chosen.problem else []
            except (InputError, MissingExtraError) as error:
                if len(specs) == 1 and not frames:
                    raise
                problems.append(str(error))
            videos += seen
    if problems and not frames:
        raise InputError("; ".join(problems))
    if tiers and frames:
        if tiers.untimed:
            notes.append(f"{counted(tiers.untimed, 'photo', 'photos')} left out of the time line: they have no time")
        timeline = tiers.timeline()
        for path in exports:
            write_export(path, timeline)
    outputs = ", ".join(str(path) for path in (output, *exports) if path)
    if shown:
        shown.end(Outcome(photos, videos, time.monotonic() - begun, tuple(notes), tuple(problems)))
    else:
        for line in notes:
            log.info("%s", line)
        if outputs and not problems:
            log.info("%s analysed, written to %s", counted(frames, "frame", "frames"), outputs)
    if problems:
        kept = f"written to {outputs}" if outputs else "shown"
        raise PartialError(f"{'; '.join(problems)}. {counted(frames, 'frame was', 'frames were')} analysed and {kept}")


def _expanded(spec: str) -> list[str]:
    if is_url(spec):
        return addresses(spec)
    return [spec] if not spec or "://" in spec else [str(match) for match in matching(Path(spec)) or [Path(spec)]]


def _inside(spec: str, notes: list[str]) -> list[str]:
    """Return a folder, for its photos, and the videos in it; of anything else itself."""
    if is_url(spec) and not is_there(spec):
        return _inside_url(spec, notes)
    folder = Path(spec)
    if "://" in spec or not folder.is_dir():
        return [spec]
    contents = contents_of(folder)
    if line := contents.left_out(folder, videos=False):
        notes.append(line)
    photos = [spec] if contents.photos or not contents.videos else []
    return [*photos, *map(str, contents.videos)]


def _inside_url(spec: str, notes: list[str]) -> list[str]:
    if urlsplit(spec).scheme.lower() in plugin_names("mien.sources") or not is_folder(spec):
        return [spec]
    photos, videos, others = contents_behind(spec)
    if others:
        left = counted(others, "file that is neither photo nor video", "files that are neither photo nor video")
        notes.append(f"left out of '{without_password(spec)}': {left}")
    return [*([spec] if photos or not videos else []), *(video.address for video in videos)]


def _open(spec: str, stream: int | None, fps_in: float | None) -> Source:
    source = open_source(spec, stream=stream, fps_in=fps_in)
    if source.live:
        source.close()
        label = without_password(spec)
        raise InputError(f"cannot analyse '{label}': it is live and has no end; mien watch watches such sources")
    return source


def _check(
    specs: Sequence[str], output: Path | str | None, exports: Sequence[Path], annotate: Path | str | None
) -> None:
    """Refuse before any work what is bound to fail after it.

    Raises:
        InputError: An input is missing, or an output would overwrite one or cannot hold what is to go into it.
    """
    for spec in specs:
        if spec != "demo" and "://" not in spec and not is_there(spec):
            raise InputError(f"cannot analyse '{spec}': there is no such file or folder")
        for out in (output, *exports, annotate):
            if out and (str(out) == spec or (is_there(out) and is_there(spec) and Path(out).samefile(spec))):
                raise InputError(f"cannot write '{out}': it is what is to be analysed")
    for export in exports:
        check_export(export)
    if output and Path(output).suffix.lower() not in KINDS:
        raise InputError(f"cannot write '{output}': its name must end in {', '.join((*KINDS, *BY_ENDING))}")
    if not annotate:
        return
    if Path(annotate).suffix.lower() not in (*PICTURES, ".mp4"):
        raise InputError(f"cannot write '{annotate}': its name must end in .mp4 or {', '.join(PICTURES)}")
    if len(specs) != 1 or Path(specs[0]).is_dir():
        raise InputError(f"cannot write '{annotate}': only one photo or one video can be drawn at a time")


class _Drawing:
    """Writes the annotated photo or video."""

    def __init__(self, path: Path, source: str, hiding: FaceBlur | None, stream: int | None) -> None:
        self.path = path
        self._hiding = hiding
        self._video = VideoWriter(path, sound=source, stream=stream) if path.suffix.lower() == ".mp4" else None

    def check(self, source: Source) -> None:
        """Refuse a source that does not fit the file.

        Raises:
            InputError: A picture is to hold a video.
        """
        if not self._video and source.expected != 1:
            raise InputError(f"cannot write '{self.path}': a video is drawn into a file that ends in .mp4")

    def add(self, image: Image, observation: Observation) -> None:
        drawn = annotate(self._hiding.hide(image, observation) if self._hiding else image, observation)
        if self._video:
            self._video.write(drawn, observation.offset_s or 0.0)
        else:
            write_picture(self.path, drawn)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._video:
            self._video.__exit__(None if issubclass(kind or Exception, MienError) else kind, error, trace)
