"""A folder or bucket of films into a folder of tables: what is missing is done, here or on a cluster, and told.

paths -> items -> those that are missing, changed or failed -> tables, one each -> the manifest
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util
import itertools
import logging
import time as clock
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path

import msgspec
import numpy as np
from rich.markup import escape
from rich.progress import Progress

from mien.config import Settings
from mien.errors import InputError, MienError, MissingExtraError, PartialError
from mien.masking import without_password
from mien.media.containers import length_of, open_container
from mien.models import store as model_store
from mien.observation import EMOTIONS
from mien.run.collection.here import Result, run_here
from mien.run.collection.items import MANIFEST, Item, Manifest, Row, items_of
from mien.run.collection.on_ray import cluster, is_local, run_on_ray
from mien.run.collection.sections import CollectionAnalysis, ItemOutcome, opened
from mien.run.options import AnalyzeOptions
from mien.system.remote import FileEntry, Folder, entries, is_url
from mien.table import KINDS
from mien.vision.parallel import cores, observe_all
from mien.vision.pipeline import shared_models
from mien.words import counted

__all__ = ["Estimate", "analyze_collection", "estimate_collection", "is_collection"]

log = logging.getLogger(__name__)

EVERYTHING = AnalyzeOptions()
PROBE_FRAMES = 150
"""So many frames of a film are analysed for an estimate."""

NAMED = 3


class Estimate(msgspec.Struct, frozen=True):
    """What a run would take.

    Attributes:
        items: How many films and folders of photos there are.
        left: How many of them are to be done.
        hours: How long those are that say so, in hours.
        unknown: How many do not.
        unreadable: How many cannot be opened.
        frames_per_s: How many frames one core here takes, in one film; None: none could be tried.
        cores: How many cores would work.
        seconds: About how long it would take; None: nothing is known.
    """

    items: int
    left: int
    hours: float
    unknown: int
    unreadable: int
    frames_per_s: float | None
    cores: int
    seconds: float | None


def is_collection(output: str) -> bool:
    """Return whether an output is a folder of tables and no single one: by its end, or since it is there."""
    if output.endswith("/"):
        return True
    if not is_url(output) and Path(output).is_dir():
        return True
    return is_url(output) and Path(output).suffix.lower() not in KINDS


def analyze_collection(
    settings: Settings,
    paths: Sequence[str],
    output: str,
    options: AnalyzeOptions = EVERYTHING,
    *,
    on: str | None = None,
    progress: Progress | None = None,
) -> list[Row]:
    """Analyse films and photos into a folder with a Parquet file for each, and a manifest; see `mien analyze`.

    What the manifest has as done, and has not changed, is not done again.

    Args:
        settings: The effective settings.
        paths: Films, photos and folders of both; paths, or URLs that fsspec knows.
        output: A folder, or the URL of one.
        options: Which frames of films are looked at, and what else is said of faces.
        on: Where: None: here; "ray", or the address of a Ray cluster.
        progress: A bar that is shown meanwhile.

    Returns:
        The rows of what was done now.

    Raises:
        UsageError: A number is out of range, or two films would become the same table.
        InputError: There is nothing to analyse.
        MissingExtraError: It needs an extra.
        PartialError: Something could not be read; the manifest says what.
    """
    analysis = _analysis(settings, output, options)
    items, left, manifest = _what_is_left(paths, analysis)
    log.info("%s, %s to be done", counted(len(items), "item", "items"), f"{len(left):,}")
    rows: list[Row] = []
    with contextlib.ExitStack() as held:
        bar = held.enter_context(progress or Progress(disable=True))
        task = bar.add_task("films", total=len(left))
        results = held.enter_context(contextlib.closing(_results(left, analysis, on, bar)))
        for result in results:
            rows.append(_row(result, analysis, manifest.rows.get(result[0].name)))
            manifest.keep(rows[-1])
            bar.advance(task)
    if rows:
        manifest.write()
    _tell(rows, len(items), output)
    return rows


def estimate_collection(
    settings: Settings,
    paths: Sequence[str],
    output: str,
    options: AnalyzeOptions = EVERYTHING,
    *,
    on: str | None = None,
) -> Estimate:
    """Return how much `analyze_collection` would have to do, and about how long that takes, by trying some frames here.

    Args:
        settings: The effective settings.
        paths: As of `analyze_collection`.
        output: As of `analyze_collection`; nothing is written.
        options: As of `analyze_collection`.
        on: As of `analyze_collection`; a cluster that runs already is asked for its cores, none is started.

    Raises:
        MienError: As `analyze_collection` does.
    """
    analysis = _analysis(settings, output, options)
    items, left, _ = _what_is_left(paths, analysis)
    there = cores()
    if on is not None and not is_local(on):
        with cluster(on) as there:
            pass
    hours, frames, unknown, unreadable = 0.0, 0.0, 0, 0
    tried: tuple[float, float] | None = None
    for item in left:
        if item.is_photos:
            frames += len(item.files)
            continue
        try:
            with open_container(item.files[0]).container as container:
                (stream,) = container.streams.video[:1]
                length = length_of(container, stream) or (container.duration or 0) / 1e6
                rate = float(stream.average_rate or 25)
            if tried is None:
                tried = _tried(item, analysis)
        except (InputError, MienError, ValueError):
            unreadable += 1
            continue
        unknown += not length
        hours += length / 3600
        frames += length * min(rate / options.every, options.fps or rate)
    speed = tried[0] / tried[1] if tried and tried[1] else None
    seconds = frames / speed / there if speed else None
    return Estimate(len(items), len(left), hours, unknown, unreadable, speed, there, seconds)


def _analysis(settings: Settings, output: str, options: AnalyzeOptions) -> CollectionAnalysis:
    if not is_url(output) and Path(output).is_file():
        raise InputError(f"cannot write into '{output}': it is a file; a folder was expected")
    if importlib.util.find_spec("polars") is None:
        raise MissingExtraError("a folder of tables", "analyze")
    vision = model_store.in_use(settings)
    _, classifier = shared_models(vision)
    if options.sets is not None:
        classifier.plausible(np.empty((0, len(EMOTIONS)), np.float32), options.sets)  # before any work
    known = model_store.head_of(vision.model) is not None
    content = None if known or vision.model is None else vision.model.read_bytes()
    return CollectionAnalysis(vision, output, options, content, classifier.model_id, cores())


def _what_is_left(paths: Sequence[str], analysis: CollectionAnalysis) -> tuple[list[Item], list[Item], Manifest]:
    folder = Folder(analysis.output)
    manifest = Manifest(folder)
    items = items_of(paths)
    parts = frozenset(entry.name for entry in _parts(analysis.output))
    return items, manifest.left(items, analysis.how, parts), manifest


def _parts(output: str) -> Iterator[FileEntry]:
    if is_url(output) or Path(output).is_dir():
        with contextlib.suppress(InputError):
            yield from (entry for entry in entries(output) if entry.name.endswith(".parquet"))


def _results(items: Sequence[Item], analysis: CollectionAnalysis, on: str | None, bar: Progress) -> Generator[Result]:
    frames = bar.add_task("", total=None, visible=False)

    def begin(item: Item) -> None:
        bar.update(frames, description=escape(item.name), visible=True)

    if on is None:
        yield from run_here(items, analysis, begin)
    elif items:
        with cluster(on) as there:
            divided = dataclasses.replace(analysis, cores=there)
            yield from run_on_ray(items, divided, begin, lambda: bar.advance(frames))


def _row(result: Result, analysis: CollectionAnalysis, before: Row | None) -> Row:
    item, sha256, sections, outcome = result
    file = without_password(item.files[0])
    if outcome is None and before is not None:
        return msgspec.structs.replace(before, size=item.size, version=item.version)
    row = Row(item.name, file, "failed", item.size, item.version, analysis.how, sha256=sha256)
    if not isinstance(outcome, ItemOutcome):
        return msgspec.structs.replace(row, problem=outcome or "nothing came of it")
    return msgspec.structs.replace(
        row,
        state="done",
        part=item.part,
        frames=outcome.frames,
        faces=outcome.faces,
        seconds=outcome.seconds,
        sections=sections,
        model=outcome.model,
        notes=list(outcome.notes),
        problem=outcome.problem,
    )


def _tell(rows: Sequence[Row], items: int, output: str) -> None:
    """Say what was done.

    Raises:
        PartialError: Something could not be read.
    """
    shown = without_password(output)
    problems = [row for row in rows if row.problem]
    frames = counted(sum(row.frames for row in rows), "frame", "frames")
    done = sum(row.state == "done" for row in rows)
    if not problems:
        log.info("%s of %s done now, %s; written to %s", f"{done:,}", f"{items:,}", frames, shown)
        return
    named = "; ".join(f"{row.name}: {row.problem}" for row in problems[:NAMED])
    more = f" (and {len(problems) - NAMED:,} more)" if len(problems) > NAMED else ""
    raise PartialError(
        f"{counted(len(problems), 'item has', 'items have')} a problem: {named}{more}. {done:,} of {len(rows):,} done "
        f"now, {frames}; '{Folder(output).of(MANIFEST)}' tells of each, and running it again tries what failed"
    )


def _tried(item: Item, analysis: CollectionAnalysis) -> tuple[float, float]:
    """Return how many frames of a film were analysed on one core, and how long that took, in seconds."""
    pipeline = analysis.pipeline(item)
    with opened(item, analysis) as source:
        began = clock.perf_counter()
        with contextlib.closing(observe_all(pipeline, analysis.options.choose(source), 1)) as seen:
            count = sum(1 for _ in itertools.islice(seen, PROBE_FRAMES))
    return count, clock.perf_counter() - began
