"""Analysis of files, as fast as this machine can: photos, folders and videos go in, a table comes out.

`analyze` and `watch` are the Python API; `analyze_paths` is the command `mien analyze`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mien.config import Settings, VisionSettings
from mien.errors import InputError, MienError, PartialError
from mien.observation import EMOTIONS, Face, Observation
from mien.table import TableWriter

if TYPE_CHECKING:
    from types import TracebackType

    from rich.progress import Progress
    from typing_extensions import Self

    from mien.vision.pipeline import Pipeline
    from mien.vision.sources import Image, Source

__all__ = ["analyze", "analyze_paths", "watch"]

PICTURES = (".jpg", ".jpeg", ".png", ".webp")
SHOWN = 40
"""So many rows are shown on the terminal."""


def analyze(picture: str | Path | Image) -> list[Face]:
    """Return the faces in a picture, the surest first.

    Args:
        picture: A photo's path, or an array, BGR, shape (h, w, 3), uint8.

    Raises:
        InputError: The photo cannot be read.
        ValueError: The array has another shape or type.
    """
    import numpy as np

    from mien.vision.photos import read_photo
    from mien.vision.sources import Frame

    if not isinstance(picture, np.ndarray):
        image, _ = read_photo(Path(picture))
    elif picture.ndim != 3 or picture.shape[2] != 3 or picture.dtype != np.uint8 or 0 in picture.shape:
        raise ValueError(f"a picture must be BGR, uint8, of shape (h, w, 3), not {picture.dtype} of {picture.shape}")
    else:
        image = picture
    return _pipeline("picture", Settings().vision).observe(Frame(image, 0, None, None)).faces


def watch(source: str | Path, *, name: str | None = None) -> Iterator[Observation]:
    """Yield what each frame of a source shows, as fast as this machine can.

    Args:
        source: `demo`, a camera's number or device, a URL, or the path of a video, a photo or a folder of photos.
        name: What observations call it; default: made from the source.

    Raises:
        InputError: There is no such source, or it cannot be read.
        PartialError: It could be read in part only; the observations of that part were yielded.
    """
    from mien.vision.sources import open_source, raise_problem

    with open_source(str(source), name) as opened:
        yield from _pipeline(opened.name, Settings().vision).run(opened)
        raise_problem(opened, "what could be read was analysed")


def analyze_paths(
    settings: Settings, paths: Sequence[Path], *, output: Path | None = None, annotate: Path | None = None
) -> None:
    """Analyse photos, folders of photos and videos into one table.

    Args:
        settings: The effective settings.
        paths: What to analyse.
        output: A .csv, .jsonl or .parquet file; None: a table on the terminal.
        annotate: Also write the one photo (.jpg, .png, .webp) or video (.mp4) with what was found drawn in.

    Raises:
        InputError: A path cannot be read at all, or an output cannot be written.
        PartialError: Part of it could not be read; what could be was written.
    """
    _check(paths, output, annotate)
    problems: list[str] = []
    with contextlib.ExitStack() as stack:
        records: TableWriter | _Terminal = TableWriter(output) if output else _Terminal()
        stack.enter_context(records)
        drawing = stack.enter_context(_Drawing(annotate)) if annotate else None
        progress = stack.enter_context(_progress())
        for path in paths:
            task = progress.add_task(path.name, total=None)
            try:
                with _open(path) as source:
                    progress.update(task, total=source.expected)
                    if drawing:
                        drawing.check(source)
                    pipeline = _pipeline(source.name, settings.vision)
                    for frame in source:
                        observation = pipeline.observe(frame)
                        records.add(observation, frame.path or path)
                        if drawing:
                            drawing.add(frame.image, observation)
                        progress.advance(task)
                problems += [source.problem] if source.problem else []
            except InputError as error:
                if len(paths) == 1 and not records.count:
                    raise
                problems.append(str(error))
    if problems and not records.count:
        raise InputError("; ".join(problems))
    if problems:
        frames = "1 frame was" if records.count == 1 else f"{records.count:,} frames were"
        kept = f"written to {output}" if output else "shown"
        raise PartialError(f"{'; '.join(problems)}. {frames} analysed and {kept}")


def _pipeline(source: str, settings: VisionSettings) -> Pipeline:
    from mien.vision.pipeline import Pipeline, shared_models

    return Pipeline(
        *shared_models(settings), source, abstain_below=settings.abstain_below, smoothing_s=settings.smoothing_s
    )


def _open(path: Path) -> Source:
    from mien.vision.sources import open_source

    source = open_source(str(path))
    if source.live:
        source.close()
        raise InputError(f"cannot analyse '{path}': it is live and has no end; mien watch watches such sources")
    return source


def _check(paths: Sequence[Path], output: Path | None, annotate: Path | None) -> None:
    """Refuse before any work what is bound to fail after it.

    Raises:
        InputError: An input is missing, or an output would overwrite one or cannot hold what is to go into it.
    """
    for path in paths:
        if str(path) != "demo" and not path.exists():
            raise InputError(f"cannot analyse '{path}': there is no such file or folder")
        for out in (output, annotate):
            if out and out.exists() and path.exists() and out.samefile(path):
                raise InputError(f"cannot write '{out}': it is what is to be analysed")
    if not annotate:
        return
    if annotate.suffix.lower() not in (*PICTURES, ".mp4"):
        raise InputError(f"cannot write '{annotate}': its name must end in .mp4 or {', '.join(PICTURES)}")
    if len(paths) != 1 or paths[0].is_dir():
        raise InputError(f"cannot write '{annotate}': only one photo or one video can be drawn at a time")


class _Terminal:
    """Collects the first rows and shows them as a table at the end."""

    def __init__(self) -> None:
        self.count = 0
        self._faces = 0
        self._first: list[tuple[Observation, str]] = []

    def add(self, observation: Observation, file: Path | str) -> None:
        self.count += 1
        self._faces += len(observation.faces)
        if sum(len(seen.faces) or 1 for seen, _ in self._first) < SHOWN:
            self._first.append((observation, str(file)))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self.count:
            return
        from rich.console import Console
        from rich.table import Table

        table = Table(box=None, pad_edge=False, header_style="bold")
        for column in ("file", "frame", "time s", "track", "x y width height", "emotion", "probability"):
            table.add_column(column, justify="left" if column in ("file", "emotion") else "right")
        for observation, file in self._first:
            offset = "" if observation.offset_s is None else f"{observation.offset_s:.2f}"
            start = (Path(file).name, str(observation.frame), offset)
            for face in observation.faces:
                share = max(getattr(face.probabilities, emotion) for emotion in EMOTIONS)
                track = "" if face.track is None else str(face.track)
                box = " ".join(map(str, face.box))
                table.add_row(*start, track, box, face.emotion or "unsure", f"{100 * share:.0f} %")
            if not observation.faces:
                table.add_row(*start, "", "", "no face")
        console = Console()
        console.print(table)
        faces = "1 face" if self._faces == 1 else f"{self._faces:,} faces"
        frames = "1 frame" if self.count == 1 else f"{self.count:,} frames"
        hidden = self.count - len(self._first)
        more = f"; {hidden:,} more frames are not shown, -o FILE writes all" if hidden else ""
        console.print(f"{faces} in {frames}{more}", highlight=False)


class _Drawing:
    """Writes the annotated photo or video."""

    def __init__(self, path: Path) -> None:
        from mien.vision.annotate import VideoWriter

        self.path = path
        self._video = VideoWriter(path) if path.suffix.lower() == ".mp4" else None

    def check(self, source: Source) -> None:
        """Refuse a source that does not fit the file.

        Raises:
            InputError: A picture is to hold a video.
        """
        if not self._video and source.expected != 1:
            raise InputError(f"cannot write '{self.path}': a video is drawn into a file that ends in .mp4")

    def add(self, image: Image, observation: Observation) -> None:
        from mien.vision.annotate import annotate, write_picture

        drawn = annotate(image, observation)
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


def _progress() -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("frames"))
    console = Console(stderr=True)
    return Progress(*columns, TimeElapsedColumn(), console=console, transient=True, disable=not console.is_terminal)
