"""What reports are made of: videos, tables of `mien analyze` or a part of a store go in, `Recording`s come out.

A recording is one row per face, and one with nulls for a frame without, in order of time; the seconds are counted from
the recording's beginning. Nothing later cares where it came from.
"""

from __future__ import annotations

import shutil
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone, tzinfo
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from mien.charts.svg import clock
from mien.config import Settings
from mien.errors import InputError, MissingExtraError
from mien.masking import as_text, without_password
from mien.media.folder import VIDEOS
from mien.media.shots import boundaries
from mien.observation import EMOTIONS, MAX_PAYLOAD, MAX_SPAN_S, Observation, decode, zone_name
from mien.reports.base.job import Job
from mien.reports.base.read_table import MAX_ROWS, read_table, too_many
from mien.reports.base.video_cache import Watch, analysed
from mien.stores.base import open_store
from mien.system.remote import entries, entry_of, is_url, open_url
from mien.words import by_number, counted, listed

if TYPE_CHECKING:
    import polars as pl

__all__ = ["READABLE", "TABLES", "Inputs", "Recording", "read_recordings"]

READABLE = 20
"""Faces whose longer side has fewer pixels are not read: the model abstains there, and so do reports."""

TABLES = (".parquet", ".csv", ".jsonl")

MANIFEST = "manifest.jsonl"
"""In a folder that `mien analyze` has filled; the tables there may lie in folders, as the films did."""

NEEDED = ("offset_s", "track", "x", "y", "width", "height", "emotion", *EMOTIONS)
"""A table without these columns cannot be reported on."""

LOOKS = ("yaw", "pitch")
"""Where a head is turned, in degrees; null where the model does not say."""

READ = frozenset(
    {
        *NEEDED,
        *("file", "source", "session", "seq", "time", "model", "frame_width", "frame_height", "confidence", "read"),
        *LOOKS,
    }
)

LONGEST_LINE = 2 * MAX_PAYLOAD
"""So many bytes of a line are read at once; no observation is longer."""

WHOLE = ("track", "x", "y", "width", "height", "frame_width", "frame_height")

LATEST_S = 1e9
"""No recording is longer."""

SHORTEST_SPAN_S = 0.001
"""A frame stands for so long at least, in seconds, also where two are of one time."""

GAP_S = 60.0
"""From this many seconds without a frame on a recording has a gap."""

CHUNK = 20_000
"""So many rows are Python objects at a time."""


@dataclass(frozen=True)
class Inputs:
    """What a report is to be made of: files, or a part of a store.

    Attributes:
        paths: Videos, folders of videos, or tables of `mien analyze` (.parquet, .csv, .jsonl).
        store: The URL of a store, in place of paths.
        sources: Which of the store's sources; none named: all.
        since: From when on, in the store; times are counted from then, or else from the first frame of any source.
        until: Until when, in the store.
        fps: Videos are looked at so many times a second.
        stream: The number of the stream of videos that is looked at, as ffprobe counts them; None: the film's.
        fps_in: How many frames a second videos have that don't say when they are shown.
        folder: Videos that tables name are looked for in this folder alone; None: where the tables say.
        zone: That of `since` and `until` where they have none, and of the times that the report tells of a store; None:
            this machine's.
    """

    paths: tuple[str, ...] = ()
    store: str | None = None
    sources: tuple[str, ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    fps: float = 5.0
    folder: Path | None = None
    stream: int | None = None
    fps_in: float | None = None
    zone: tzinfo | None = None

    def __post_init__(self) -> None:
        for name in ("since", "until"):
            time: datetime | None = getattr(self, name)
            if time is not None and time.tzinfo is None:
                time = self.with_zone(time)
                object.__setattr__(self, name, time)

    def with_zone(self, time: datetime) -> datetime:
        """Return a time that has no zone as one of the zone that was asked for, or else of this machine's."""
        return time.replace(tzinfo=self.zone) if self.zone else time.astimezone()

    def asked(self) -> dict[str, Any]:
        """Return what was asked for, as the report tells it."""
        request: dict[str, Any] = {"of": list(self.paths or self.sources), "fps": None if self.store else self.fps}
        request |= {"stream": self.stream} if self.stream is not None else {}
        request |= {"fps_in": self.fps_in} if self.fps_in else {}
        if self.store:
            request["store"] = without_password(self.store)
            request["zone"] = zone_name(self.zone, self.since or self.until or datetime.now(timezone.utc))
        for name, time in (("since", self.since), ("until", self.until)):
            request |= {name: time.astimezone(self.zone).isoformat()} if time else {}
        return request


@dataclass(frozen=True)
class Recording:
    """What was seen in one medium.

    Attributes:
        name: The file's stem, or the source's name.
        medium: The video, for pictures of it; None where it is not at hand.
        faces: One row per face, one with nulls for a frame without; columns `frame` (a number from 0), `at` (seconds),
            `session`, `track`, `x`, `y`, `width`, `height` (pixels), `frame_width`, `frame_height`, `confidence`,
            `emotion`, one per emotion, `readable` (large enough to be read), `read` (in this frame; else it was carried
            on, weighs its time and is no new evidence), `yaw` and `pitch` (degrees; null where the model does not say),
            `model`, and `span` (see `with_spans`).
        cuts: When shots begin, but for the first, in seconds; None: not known.
        began: When it began, where that is known; in the zone in which its times are told.
        notes: What is to be said of it.
        how: Which stream of the video was looked at and at which rate, as `mien.media.open.open_source` takes them.
    """

    name: str
    medium: Path | None
    faces: pl.DataFrame
    cuts: NDArray[np.float64] | None = None
    began: datetime | None = None
    notes: list[str] = field(default_factory=list)
    how: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if "read" not in self.faces.columns:
            object.__setattr__(self, "faces", self.faces.with_columns(_was_read(self.faces)))
        if missing := [name for name in LOOKS if name not in self.faces.columns]:
            object.__setattr__(self, "faces", self.faces.with_columns(_without(missing)))
        if "span" not in self.faces.columns:
            object.__setattr__(self, "faces", with_spans(self.faces))

    @property
    def frames(self) -> int:
        """How many frames were looked at."""
        return int(self.faces["frame"].n_unique())

    def when(self, at: float, *, fine: bool = False) -> str:
        """Return a time in it as people write it; of a live source the clock's with it."""
        if self.began is None:
            return clock(at, fine=fine)
        time = self.began + timedelta(seconds=at)
        return f"{time:%d %b %Y, %H:%M:%S} ({clock(at, fine=fine)})"

    @property
    def step_s(self) -> float:
        """The usual time from one frame to the next, in seconds."""
        times = self.faces["at"].unique().sort()
        middle = times.diff().drop_nulls().median() if len(times) > 1 else None
        return float(middle) if isinstance(middle, int | float) else 0.2

    @property
    def seconds(self) -> float:
        """How long it is, in seconds."""
        last = self.faces["at"].max()
        return (float(last) if isinstance(last, int | float) else 0.0) + self.step_s


def read_recordings(inputs: Inputs, settings: Settings, job: Job, watch: Watch | None = None) -> list[Recording]:
    """Return what was seen in each medium, those that cannot be read left out and named in the notes of the others.

    Args:
        inputs: What is read.
        settings: The effective settings.
        job: Hears how far it is, and can end it.
        watch: Is shown the frames of a video while they are analysed, if they are now and it is the only one.

    Raises:
        InputError: Nothing can be read.
        MissingExtraError: It needs the extra `analyze`.
        PartialError: The job was stopped.
    """
    if find_spec("polars") is None:
        raise MissingExtraError("a report", "analyze")
    recordings: list[Recording] = list(_from_store(inputs, job)) if inputs.store else []
    failed: list[str] = []
    with ExitStack() as held:
        files = [] if inputs.store else list(_files(inputs.paths, held))
        for path in files:
            try:
                if Path(path).suffix.lower() in TABLES:
                    recordings += _from_table(Path(path), inputs.folder, job)
                else:
                    recordings.append(_from_video(path, inputs, settings, job, watch if len(files) == 1 else None))
            except InputError as error:  # noqa: PERF203
                failed.append(str(error))
    if not recordings:
        raise InputError(
            "; ".join(failed) or "nothing to report on: name a video, a table of `mien analyze` or a store"
        )
    recordings[0].notes.extend(f"Left out: {reason}." for reason in failed)
    for recording in recordings:
        recording.notes.extend((*_shapes(recording), *_gaps(recording)))
    return _named_apart(recordings)


def with_spans(faces: pl.DataFrame) -> pl.DataFrame:
    """Return the rows with the column `span`: the seconds that each row's frame stands for, which its faces weigh.

    That is the time since the frame before, at most MAX_SPAN_S, as at the edge; of the first frame the usual time.
    """
    import polars as pl

    gap = pl.col("at").diff()
    spans = (
        faces.select("frame", "at")
        .unique("frame")
        .sort("at", "frame")
        .select("frame", gap.fill_null(gap.median()).fill_null(0.2).clip(SHORTEST_SPAN_S, MAX_SPAN_S).alias("span"))
    )
    return faces.join(spans, on="frame", how="left", maintain_order="left")


def _was_read(faces: pl.DataFrame) -> pl.Expr:
    """Return the column `read`: whether an emotion was read in its frame, and not carried on from the one before."""
    import polars as pl

    given = pl.col("read").cast(pl.Int64) != 0 if "read" in faces.columns else pl.lit(None, pl.Boolean)
    return given.fill_null(value=True).alias("read")


def _without(names: Iterable[str]) -> list[pl.Expr]:
    """Return columns of numbers that nothing tells."""
    import polars as pl

    return [pl.lit(None, pl.Float64).alias(name) for name in names]


def _shapes(recording: Recording) -> list[str]:
    """Return what is to be said where frames have different sizes."""
    sizes = recording.faces.select("frame_width", "frame_height").drop_nulls().unique(maintain_order=True).rows()
    if len(sizes) < 2:
        return []
    named = listed([f"{width} x {height}" for width, height in sizes], most=3)
    return [f"{recording.name}: its frames have {len(sizes)} different sizes ({named}); each was read as it is."]


def _gaps(recording: Recording) -> list[str]:
    """Return what is to be said where for long nothing was recorded, at the beginning or between."""
    times = recording.faces["at"].drop_nulls().unique().sort().to_list()
    gaps = [after - before for before, after in pairwise([0.0, *times]) if after - before >= GAP_S]
    if not gaps:
        return []
    lacking = (
        f"in {clock(sum(gaps))} of its {clock(recording.seconds)} nothing was recorded, "
        f"for {clock(max(gaps))} at a time"
    )
    return [f"{recording.name}: {lacking}; length and times count that in, shares do not."]


def _files(paths: Iterable[str], held: ExitStack) -> Iterator[str]:
    for path in paths:
        if is_url(path) and not Path(path).exists():
            yield from _fetched(path, Path(held.enter_context(TemporaryDirectory(prefix="mien-"))))
            continue
        folder = Path(path)
        if not folder.is_dir():
            yield path
            continue
        files = folder.rglob("*.parquet") if (folder / MANIFEST).is_file() else folder.iterdir()
        fit = (file for file in files if file.suffix.lower() in (*VIDEOS, *TABLES))
        inside = sorted(fit, key=lambda file: by_number(str(file)))
        if not inside:
            raise InputError(f"cannot report on folder '{path}': it holds no video and no table of `mien analyze`")
        yield from map(str, inside)


def _fetched(url: str, folder: Path) -> Iterator[str]:
    """Yield the tables behind a URL, one or a folder of them, copied to a folder of this machine."""
    entry = entry_of(url)
    tables = [entry] if entry else [entry for entry in entries(url) if entry.name.endswith(".parquet")]
    if (entry and Path(entry.name).suffix.lower() not in TABLES) or not tables:
        shown = without_password(url)
        raise InputError(
            f"cannot report on '{shown}': a table of `mien analyze`, or a folder of them, was expected there"
        )
    for number, table in enumerate(tables):
        path = folder / str(number) / Path(table.name).name
        path.parent.mkdir()
        with open_url(table.address) as source, path.open("wb") as copy:
            shutil.copyfileobj(source, copy)
        yield str(path)


def _from_video(path: str, inputs: Inputs, settings: Settings, job: Job, watch: Watch | None) -> Recording:
    rows, notes, shot, cuts, began = _FaceRows(), [], 0, [], None
    how: dict[str, Any] = {"stream": inputs.stream, "fps_in": inputs.fps_in}
    for seen in analysed(path, settings, inputs.fps, job, **how, watch=watch):
        if isinstance(seen, str):
            notes.append(f"{seen[0].upper()}{seen[1:]}.")
            continue
        at = seen.observation.offset_s or 0.0
        rows.add(seen.observation, at)
        if seen.shot != shot:
            shot = seen.shot
            cuts.append(at)
        began = began or (seen.observation.time if path == "demo" else None)
    begins = np.array(boundaries(cuts), np.float64)
    return Recording(as_text(Path(path).stem), Path(path), rows.table(), begins, began, notes, how)


def _from_store(inputs: Inputs, job: Job) -> Iterator[Recording]:
    with closing(open_store(str(inputs.store), read_only=True)) as store:
        known = [info.source for info in store.sources()]
        if wrong := [source for source in inputs.sources if source not in known]:
            raise InputError(
                f"the store has no source '{wrong[0]}': expected one of {', '.join(known) or 'none, it is empty'}"
            )
        collected: dict[str, _FaceRows] = defaultdict(_FaceRows)
        first: datetime | None = inputs.since
        read = 0
        pages = store.observations(start=inputs.since, end=inputs.until, sources=inputs.sources or None)
        for page in pages:
            for observation in page:
                if observation.time is not None:
                    first = first or observation.time
                    collected[observation.source].add(observation, (observation.time - first).total_seconds())
            read += len(page)
            job.tell("reading the store", read)
    if not collected:
        raise InputError("the store has no raw observations of that period")
    began = (first or datetime.now(timezone.utc)).astimezone(inputs.zone)
    for source, rows in sorted(collected.items(), key=lambda item: by_number(item[0])):
        yield Recording(source, None, rows.table(), None, began)


def _from_table(path: Path, folder: Path | None, job: Job) -> list[Recording]:
    job.tell(f"reading {path.name}", 0)
    if not path.exists():
        raise InputError(f"cannot read '{path}': there is no such file")
    return _from_lines(path) if path.suffix.lower() == ".jsonl" else _from_columns(path, folder)


def _from_lines(path: Path) -> list[Recording]:
    collected: dict[tuple[str, str], _FaceRows] = defaultdict(_FaceRows)
    wrong = rows = 0
    try:
        with path.open("rb") as file:
            while line := file.readline(LONGEST_LINE):
                try:
                    observation = decode(line)
                except (ValueError, msgspec.MsgspecError):
                    wrong += 1
                    continue
                if observation.offset_s is not None:
                    collected[observation.source, observation.session].add(observation, observation.offset_s)
                    rows += max(1, len(observation.faces))
                    if rows > MAX_ROWS:
                        raise too_many(path)
    except OSError as error:
        raise InputError(f"cannot read table '{path}': {(error.strerror or str(error)).lower()}") from error
    if not collected:
        raise InputError(f"cannot report on '{path}': it holds no observation of a video")
    several = len({session for _, session in collected}) > len({source for source, _ in collected})
    recordings = [
        Recording(f"{source}-{number}" if several else source, None, rows.table())
        for number, ((source, _), rows) in enumerate(collected.items(), 1)
    ]
    if wrong:
        recordings[0].notes.append(
            f"{counted(wrong, 'line', 'lines')} of '{path.name}' left out: no observation stands there."
        )
    return recordings


def _from_columns(path: Path, folder: Path | None) -> list[Recording]:
    import polars as pl

    table = read_table(path, READ)
    if missing := [name for name in NEEDED if name not in table.columns]:
        raise InputError(f"cannot report on '{path}': a table of `mien analyze` was expected, it lacks {missing[0]}")
    if table["offset_s"].null_count() == len(table):
        raise InputError(f"cannot report on '{path}': it holds photos, which have no time; a video was expected")
    for name, kind in (
        ("file", ""),
        ("source", path.stem),
        ("session", ""),
        ("seq", None),
        ("time", None),
        ("model", ""),
    ):
        table = table if name in table.columns else table.with_columns(pl.lit(kind).alias(name))
    for name in ("frame_width", "frame_height", "confidence"):
        table = table if name in table.columns else table.with_columns(pl.lit(None, pl.Int64).alias(name))
    recordings = []
    try:
        table = table.with_columns(pl.col("file", "source", "session", "model").cast(pl.String).fill_null(""))
        timed = table.filter(pl.col("offset_s").cast(pl.Float64).is_between(0, LATEST_S))
        for (file, source), part in timed.group_by(["file", "source"], maintain_order=True):
            recordings.append(_of_part(path, folder, str(file), str(source), part))
    except pl.exceptions.PolarsError as error:
        raise InputError(f"cannot report on '{path}': {str(error).splitlines()[0]}") from error
    if not recordings:
        raise InputError(f"cannot report on '{path}': none of its rows has an offset_s, in seconds from 0 on")
    if wrong := len(table) - len(timed):
        recordings[0].notes.append(
            f"{counted(wrong, 'row', 'rows')} of '{path.name}' left out: without a time that a video could have."
        )
    return recordings


def _of_part(path: Path, folder: Path | None, file: str, source: str, part: pl.DataFrame) -> Recording:
    import polars as pl

    notes: list[str] = []
    at = pl.col("offset_s")
    if part["session"].n_unique() > 1 and not part["time"].null_count():
        at = (pl.col("time").cast(pl.Datetime("us", "UTC")) - part["time"].min()).dt.total_microseconds() / 1e6
        notes.append(f"{source or path.stem}: its sessions were put together by their times.")
    faces = part.select(
        pl.struct("session", pl.col("seq").fill_null(0), "offset_s").rank("dense").cast(pl.Int64).alias("frame") - 1,
        at.cast(pl.Float64).alias("at"),
        *(pl.col(name) for name in ("session", "model")),
        *(
            pl.col(name).cast(pl.Int64)
            for name in ("track", "x", "y", "width", "height", "frame_width", "frame_height")
        ),
        pl.col("confidence").cast(pl.Float64),
        pl.col("emotion").cast(pl.String),
        *(pl.col(name).cast(pl.Float64).fill_nan(None) for name in EMOTIONS),
        _was_read(part),
        *(pl.col(name).cast(pl.Float64).fill_nan(None) for name in LOOKS if name in part.columns),
    )
    places = (Path(file), path.parent / file) if folder is None else (folder / Path(file).name,)
    medium = next((there for there in places if file and there.is_file()), None)
    return Recording(source or path.stem, medium, _finished(faces), None, None, notes)


def _named_apart(recordings: list[Recording]) -> list[Recording]:
    """Return the recordings, those of one name numbered."""
    seen: dict[str, int] = defaultdict(int)
    apart = []
    for recording in recordings:
        seen[recording.name] += 1
        number = seen[recording.name]
        apart.append(recording if number == 1 else _renamed(recording, f"{recording.name}-{number}"))
    return apart


def _renamed(recording: Recording, name: str) -> Recording:
    return Recording(
        name, recording.medium, recording.faces, recording.cuts, recording.began, recording.notes, recording.how
    )


class _FaceRows:
    """Collects observations as rows, few of them as Python objects at a time."""

    def __init__(self) -> None:
        self._rows: list[tuple[Any, ...]] = []
        self._parts: list[Any] = []
        self._frame = 0

    def add(self, observation: Observation, at: float) -> None:
        of = (self._frame, at, observation.session, observation.model)
        size = (observation.width, observation.height)
        for face in observation.faces:
            shares = msgspec.structs.astuple(face.probabilities)
            looks = (face.pose.yaw, face.pose.pitch) if face.pose else (None, None)
            shown = (face.confidence, face.emotion, *shares, face.read, *looks)
            self._rows.append((*of, face.track, *face.box, *size, *shown))
        if not observation.faces:
            self._rows.append((*of, *(None,) * 5, *size, *(None,) * (2 + len(EMOTIONS)), True, None, None))
        self._frame += 1
        if len(self._rows) >= CHUNK:
            self._pack()

    def _pack(self) -> None:
        import polars as pl

        schema: dict[str, Any] = {"frame": pl.Int64, "at": pl.Float64, "session": pl.String, "model": pl.String}
        schema |= dict.fromkeys(WHOLE, pl.Int64)
        schema |= {"confidence": pl.Float64, "emotion": pl.String, **{str(emotion): pl.Float64 for emotion in EMOTIONS}}
        schema |= {"read": pl.Boolean, **dict.fromkeys(LOOKS, pl.Float64)}
        self._parts.append(pl.DataFrame(self._rows, schema=schema, orient="row"))
        self._rows = []

    def table(self) -> pl.DataFrame:
        import polars as pl

        self._pack()
        return _finished(pl.concat(self._parts))


def _finished(faces: pl.DataFrame) -> pl.DataFrame:
    """Return the rows in order of time, each face marked as readable or not."""
    import polars as pl

    side = pl.max_horizontal("width", "height")
    return faces.sort("at", "frame", maintain_order=True).with_columns(
        pl.when(pl.col("track").is_not_null() | pl.col("x").is_not_null())
        .then((side >= READABLE) & pl.col("happy").is_not_null())
        .otherwise(None)
        .alias("readable"),
        *(pl.col(emotion).clip(0, 1) for emotion in EMOTIONS),
    )
