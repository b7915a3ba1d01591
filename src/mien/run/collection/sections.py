"""A film in sections that machines read apart from each other, and that become the same table as on one machine.

    film -> plan -> sections -> read, each on any machine -> pieces -> join: tracks, smoothing, one table

A section begins at a mark (see `mien.media.base.MARK_S`). Finding and reading faces there rests on nothing before it
but what its machine decodes too, so a piece holds what each frame says by itself; tracks and smoothing go through all
pieces in order as a film is put together, and cost little. The plan tells by the film's packets which frame stands
where. A film that turns out otherwise when it is decoded, as damaged ones do, is read as a whole.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import math
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import astuple, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from mien.config import VisionSettings
from mien.errors import InputError
from mien.masking import without_password
from mien.media.base import MARK_S, Frame, Need, Source
from mien.media.photos import Photos
from mien.media.seeking import SeekPoint, Survey
from mien.media.shots import LEAD_S, numbered
from mien.media.video import Video
from mien.observation import Observation, now, slug
from mien.run.collection.items import Item
from mien.run.collection.pieces import Piece
from mien.run.options import AnalyzeOptions
from mien.system.remote import Folder, open_url
from mien.table import TableWriter
from mien.vision.detector import FaceDetector
from mien.vision.parallel import observe_all, read_all
from mien.vision.pipeline import Found, Pipeline, shared_models
from mien.vision.schedule import PhotoDetector

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = [
    "CollectionAnalysis",
    "FilmSection",
    "ItemOutcome",
    "Read",
    "ReadingPlan",
    "analyse_whole",
    "join",
    "make_plan",
    "opened",
    "read_section",
]

PIECES = ".pieces"
"""The folder of the output in which pieces lie until their film is whole."""

LONGEST_MARKS = 10
"""No section is longer, in marks: what a lost worker costs."""

CHUNK = 4 << 20


@dataclass(frozen=True)
class CollectionAnalysis:
    """How films are analysed, and where to.

    Attributes:
        vision: How faces are found and read.
        output: The folder or URL in which the tables are written.
        options: What of them is looked at, and what else is said of faces.
        model: The content of the model's file, where it is one that other machines need not have.
        model_id: The model's.
        cores: On so many cores films are read at the same time.
    """

    vision: VisionSettings
    output: str
    options: AnalyzeOptions = field(default_factory=AnalyzeOptions)
    model: bytes | None = field(default=None, repr=False)
    model_id: str = ""
    cores: int = 1

    @property
    def how(self) -> str:
        """What tells one way of analysing from another, in short."""
        vision = self.vision.model_dump(mode="json", exclude={"model", "device"})
        chosen = astuple(self.options)
        return hashlib.sha256(msgspec.json.encode([self.model_id, vision, chosen])).hexdigest()[:12]

    def pipeline(self, item: Item) -> Pipeline:
        """Return a session over an item, with the models of this process."""
        vision = self.vision
        if self.model is not None:
            vision = vision.model_copy(update={"model": _model_file(vision.model, self.model)})
        detector: FaceDetector
        detector, classifier = shared_models(vision)
        return Pipeline(
            PhotoDetector(detector) if item.is_photos else detector,
            classifier,
            _source_name(item),
            abstain_below=vision.abstain_below,
            smoothing_s=vision.smoothing_s,
            read_every_s=vision.read_every_s,
            sets=self.options.sets,
        )


class FilmSection(NamedTuple):
    """A part of a film.

    Attributes:
        first: The number of its first frame in the medium.
        end: That of the first frame after it; None: it goes on to the film's end.
        place: From where it is decoded; None: from where the analysis begins.
        base: The number of the first frame whose offset is known.
        offsets: Where the frames from there on stand in the medium, in seconds, shape (n,).
        wanted: The numbers of the frames that are looked at, in order, shape (n,).
        needed: Those of the frames from `base` on that are decoded for it, in order, shape (n,); None: all.
    """

    first: int
    end: int | None
    place: SeekPoint | None
    base: int
    offsets: NDArray[np.float64]
    wanted: NDArray[np.int64]
    needed: NDArray[np.int64] | None = None

    def needs(self) -> Need:
        """Return what says which frames are decoded for it; the first after it ends it."""
        last, needed = self.base + len(self.offsets), frozenset([] if self.needed is None else self.needed.tolist())
        return lambda number, _: number >= last or number in needed

    def from_first(self) -> Iterable[int]:
        """Return the numbers of the frames in it that are decoded, in order."""
        if self.needed is None:
            return range(self.first, self.base + len(self.offsets))
        numbers: list[int] = self.needed[np.searchsorted(self.needed, self.first) :].tolist()
        return numbers


class ReadingPlan(NamedTuple):
    """How an item is read.

    Attributes:
        sha256: Of its content.
        began: From when on the frames' times count, UTC.
        sections: In which sections; none: as a whole.
        notes: Of the film.
    """

    sha256: str
    began: datetime
    sections: tuple[FilmSection, ...] = ()
    notes: tuple[str, ...] = ()


class Read(NamedTuple):
    """What has become of a section.

    Attributes:
        as_planned: Whether its frames were where the plan had them; otherwise the film is to be read as a whole.
        problem: What could not be read at its end.
    """

    as_planned: bool
    problem: str | None = None


class ItemOutcome(NamedTuple):
    """What has become of an item; see `mien.run.collection.items.Row`."""

    frames: int
    faces: int
    seconds: float | None
    model: str | None
    notes: tuple[str, ...] = ()
    problem: str | None = None


def make_plan(item: Item, analysis: CollectionAnalysis, *, divide: bool = True) -> ReadingPlan:
    """Return how an item is read; its content is read for the hash, and not a frame is decoded.

    Args:
        item: A film, or photos.
        analysis: How.
        divide: Whether to make sections of a film that is long enough.

    Raises:
        InputError: It cannot be read.
        MienError: It cannot be reached.
    """
    digest = _sha256(item.files)
    plan = ReadingPlan(digest, now())
    if item.is_photos or not divide or digest == item.known:
        return plan
    try:
        with _video(item, analysis) as video:
            told = video.survey()
            notes = video.notes
    except InputError:  # as will be told when it is read
        return plan
    return plan._replace(sections=_cut(told, analysis), notes=notes) if told else plan


def read_section(item: Item, plan: ReadingPlan, number: int, analysis: CollectionAnalysis) -> Read:
    """Read a section of a film into a piece in the output, if it does not lie there yet.

    Args:
        item: The film.
        plan: Its plan.
        number: Which section.
        analysis: How.

    Raises:
        InputError: The film cannot be read.
        MienError: It, or the output, cannot be reached.
    """
    section, output = plan.sections[number], Folder(analysis.output)
    name = f"{_pieces(item, plan, analysis)}/{_piece(section)}"
    if output.has(name):
        return Read(as_planned=True)
    video = _video(item, analysis)
    if section.place is not None:
        video.begin_at(section.place)
    elif section.first:
        video.skip_to(analysis.options.start)
    if section.needed is not None:
        video.need_only(section.needs)
    pipeline = analysis.pipeline(item)
    piece = Piece()
    with numbered(video) as source:
        chosen = _InSection(source, section)
        with closing(read_all(pipeline, chosen, workers=1)) as readings:
            for frame, found in readings:
                piece.add(frame, found, frame.shot - chosen.shot_before)
        if not chosen.is_as_planned:
            return Read(as_planned=False)
        problem = source.problem if section.end is None else None
        output.write(name, piece.content(chosen.shots, problem))
    return Read(as_planned=True, problem=problem)


def join(item: Item, plan: ReadingPlan, analysis: CollectionAnalysis) -> ItemOutcome:
    """Put a film together from its pieces, and remove them.

    Raises:
        InputError: A piece is missing or damaged.
        MienError: The output cannot be reached.
    """
    output, pipeline = Folder(analysis.output), analysis.pipeline(item)
    pieces = _pieces(item, plan, analysis)
    problem: str | None = None

    def records() -> Iterator[tuple[Frame, Found]]:
        nonlocal problem
        shots = 0
        for section in plan.sections:
            content = output.read(f"{pieces}/{_piece(section)}")
            if content is None:
                raise InputError(f"a piece of '{item.name}' is missing in '{output.of(pieces)}': run it again")
            piece = Piece.of(content)
            yield from piece.frames(shots, plan.began)
            shots += piece.shots
            problem = piece.problem

    with _Table(item, output) as table:
        for frame, found in records():
            table.add(pipeline.record(frame, found), frame)
    output.remove(pieces)
    return table.outcome(plan.notes, problem)


def analyse_whole(
    item: Item, plan: ReadingPlan, analysis: CollectionAnalysis, workers: int | None = None
) -> ItemOutcome:
    """Analyse an item on this machine.

    Args:
        item: A film, or photos.
        plan: Its plan, whose sections do not matter.
        analysis: How.
        workers: On how many cores; None: on all.

    Raises:
        InputError: It cannot be read.
        MissingExtraError: It needs an extra.
        MienError: It, or the output, cannot be reached.
    """
    output, pipeline = Folder(analysis.output), analysis.pipeline(item)
    with opened(item, analysis) as source, _Table(item, output) as table:
        chosen = analysis.options.choose(source)
        for frame, observation in observe_all(pipeline, chosen, workers):
            table.add(observation, frame)
    if plan.sections:
        output.remove(_pieces(item, plan, analysis))
    return table.outcome(chosen.notes, chosen.problem)


def _cut(told: Survey, analysis: CollectionAnalysis) -> tuple[FilmSection, ...]:
    """Return the sections of a film; none, where it is too short to be divided."""
    chosen = analysis.options.choose(_Times(told.offsets))
    wanted = np.fromiter((frame.index for frame in chosen), np.int64)
    if not len(wanted):
        return ()
    marks = np.floor((told.offsets + 1e-6) / MARK_S).astype(np.int64)
    start, last = int(marks[wanted[0]]), int(marks[wanted[-1]])
    length = min(max(1, math.ceil((last - start + 1) / (2 * analysis.cores))), LONGEST_MARKS)
    begins = [
        int(np.searchsorted(marks, mark))
        for mark in range(start + length, last + 1, length)
        if mark * MARK_S - LEAD_S >= analysis.options.start  # what a shot rests on there is seen from the start on, too
    ]
    begins = sorted(set(begins))
    if not begins:
        return ()
    stop = None if analysis.options.end is None else int(wanted[-1]) + 1
    edges: list[int | None] = [int(wanted[0]), *begins, stop]
    needed = None
    if analysis.options.is_sparse:
        needs = analysis.options.needs()
        needed = np.array([number for number, at_s in enumerate(told.offsets.tolist()) if needs(number, at_s)])
    return tuple(
        _section(told, int(edges[n] or 0), edges[n + 1], wanted, needed, is_first=n == 0) for n in range(len(edges) - 1)
    )


def _section(
    told: Survey,
    first: int,
    end: int | None,
    wanted: NDArray[np.int64],
    needed: NDArray[np.int64] | None,
    *,
    is_first: bool,
) -> FilmSection:
    place = None
    if not is_first:
        lead = int(np.searchsorted(told.offsets, float(told.offsets[first]) // MARK_S * MARK_S - LEAD_S - 1e-6))
        place = told.place_of(min(lead, first))
    base = place.before if place else 0
    last = len(told.offsets) if end is None else end
    inside = wanted[np.searchsorted(wanted, first) : np.searchsorted(wanted, last)]
    if needed is not None:
        needed = needed[np.searchsorted(needed, base) : np.searchsorted(needed, last)]
    return FilmSection(first, end, place, base, told.offsets[base:last], inside, needed)


class _Times(Source):
    """The times of a film's frames, without pictures."""

    name, live, dropped, problem = "", False, 0, None
    NONE = np.empty((0, 0, 3), np.uint8)

    def __init__(self, offsets: NDArray[np.float64]) -> None:
        self._offsets = offsets
        self.expected = len(offsets)

    def __iter__(self) -> Iterator[Frame]:
        for index, offset in enumerate(self._offsets.tolist()):
            yield Frame(self.NONE, index, offset, None)

    def close(self) -> None:
        """There is nothing to close."""


class _InSection:
    """The frames of a section that are wanted, held against the plan.

    Attributes:
        shot_before: The number of the shot before the section, as its machine counts.
        shots: How many begin in the section.
        is_as_planned: Whether each frame stood where the plan has it.
    """

    def __init__(self, source: Source, section: FilmSection) -> None:
        self._source, self._section = source, section
        self._wanted = frozenset(section.wanted.tolist())
        self.shot_before = self.shots = 0
        self.is_as_planned = True

    def __iter__(self) -> Iterator[Frame]:
        section = self._section
        following = iter(section.from_first())
        for frame in self._source:
            if frame.index < section.base:
                continue
            if section.end is not None and frame.index >= section.end:
                break
            if not self._stands(frame):
                self.is_as_planned = False
                return
            if frame.index < section.first:
                self.shot_before = frame.shot
                continue
            if frame.index != next(following, None):
                self.is_as_planned = False
                return
            self.shots = frame.shot - self.shot_before
            if frame.index in self._wanted:
                yield frame
        self.is_as_planned = section.end is None or next(following, None) is None

    def _stands(self, frame: Frame) -> bool:
        number = frame.index - self._section.base
        offsets = self._section.offsets
        return number < len(offsets) and abs(float(offsets[number]) - (frame.offset_s or 0.0)) < 1e-6


class _Table:
    """The table of an item: written beside everything, and in its place in the output as a whole at the end."""

    def __init__(self, item: Item, output: Folder) -> None:
        self._item, self._output = item, output
        self._file = without_password(item.files[0])
        self._faces = 0
        self._seconds: float | None = None
        self._model: str | None = None

    def __enter__(self) -> Self:
        self._folder = tempfile.TemporaryDirectory(prefix="mien-")
        self._writer = TableWriter(Path(self._folder.name, "table.parquet"))
        return self

    def add(self, observation: Observation, frame: Frame) -> None:
        path = frame.path
        self._writer.add(observation, self._file if path is None else without_password(str(path)))
        self._faces += len(observation.faces)
        self._seconds, self._model = observation.offset_s, observation.model

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        try:
            self._writer.__exit__(None, None, None)
            if kind is None and self._writer.count:
                self._output.put(self._item.part, self._writer.path)
        finally:
            self._folder.cleanup()

    def outcome(self, notes: Sequence[str], problem: str | None) -> ItemOutcome:
        return ItemOutcome(self._writer.count, self._faces, self._seconds, self._model, tuple(notes), problem)


def _sha256(files: Sequence[str]) -> str:
    digest = hashlib.sha256()
    for file in files:
        with open_url(file) as content:
            while chunk := content.read(CHUNK):
                digest.update(chunk)
    return digest.hexdigest()


def _video(item: Item, analysis: CollectionAnalysis) -> Video:
    return Video(item.files[0], _source_name(item), stream=analysis.options.stream, fps_in=analysis.options.fps_in)


def opened(item: Item, analysis: CollectionAnalysis) -> Source:
    """Return all frames of an item."""
    if not item.is_photos:
        return numbered(_video(item, analysis))
    files = [Path(file) if Path(file).exists() else file for file in item.files]
    return Photos.of(files, _source_name(item))


def _source_name(item: Item) -> str:
    return slug(Path(item.files[0]).parent.name if item.is_photos else Path(item.files[0]).stem)


def _pieces(item: Item, plan: ReadingPlan, analysis: CollectionAnalysis) -> str:
    """Return where the pieces of a film lie: in a folder of its name, its content and the way it is analysed."""
    name = hashlib.sha256(item.name.encode("utf-8", "surrogateescape")).hexdigest()[:16]
    return f"{PIECES}/{name}-{plan.sha256[:16]}-{analysis.how}"


def _piece(section: FilmSection) -> str:
    return f"{section.first:09d}-{'end' if section.end is None else format(section.end, '09d')}.npz"


def _model_file(named: Path | None, content: bytes) -> Path:
    """Return a file of this machine with a model's content."""
    with contextlib.suppress(OSError):
        if named is not None and named.read_bytes() == content:
            return named
    path = Path(_models().name, f"{hashlib.sha256(content).hexdigest()}.onnx")
    if not path.exists():
        path.write_bytes(content)
    return path


@functools.cache
def _models() -> tempfile.TemporaryDirectory[str]:
    """Return the folder of this process for models that came with the work; it goes as the process ends."""
    return tempfile.TemporaryDirectory(prefix="mien-")
