"""Questions asked in Python: plain arguments go in, a request's inputs come out, and the report with its progress."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

from mien.config import Settings, checked
from mien.errors import UsageError
from mien.reports.base.job import Job
from mien.reports.base.recordings import Inputs
from mien.reports.base.report import Report
from mien.system.notebook import NotebookBar

__all__ = ["Paths", "answered", "inputs_of", "paths_of"]

Paths = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]
"""One path, or several."""


def paths_of(paths: Paths) -> tuple[str, ...]:
    """Return one path or several as a row of them."""
    return (os.fspath(paths),) if isinstance(paths, str | os.PathLike) else tuple(os.fspath(path) for path in paths)


def inputs_of(
    paths: Paths,
    store: str | None,
    sources: Sequence[str],
    since: datetime | None,
    until: datetime | None,
    fps: float,
) -> Inputs:
    """Return what a report is to be made of.

    Raises:
        UsageError: It is nothing, or both files and a store.
    """
    files = paths_of(paths)
    if bool(files) == bool(store):
        raise UsageError("a report is made of files or of a store: give the paths of files, or store=URL")
    return Inputs(files, store, (sources,) if isinstance(sources, str) else tuple(sources), since, until, fps)


def answered(make: Callable[[Settings, Job], Report], model: str | Path | None = None) -> Report:
    """Return a report; in a notebook a bar shows how far it is."""
    settings = checked({"vision": {"model": model}}, "the arguments")
    with NotebookBar("report") as bar:
        return make(settings, Job(bar.tell))
