"""Where the documentation lies and in which order its pages stand: files go in, chapters come out.

A wheel carries the pages and `mkdocs.yml` in `mien/docs`; in a checkout, also one that is installed to be edited, they
are where everybody writes them. `mkdocs.yml` alone has the order.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

import mien

__all__ = ["Chapter", "chapters", "docs_folder"]

ENTRY = re.compile(r"^(?P<indent> +)- (?P<title>[^:]+):(?: (?P<file>\S+\.md))?$")
"""A line of the navigation: the title of a page with its file, or that of a group."""


class Chapter(NamedTuple):
    """A line of the navigation.

    Attributes:
        title: Of the page or group.
        file: The page, relative to the folder of the documentation; empty for a group.
        depth: How many groups it is in.
    """

    title: str
    file: str
    depth: int


@cache
def docs_folder() -> Path | None:
    """Return the folder with the pages; None: this installation has none."""
    package = Path(mien.__file__).parent
    places = (package / "docs", package.parents[1] / "docs")
    return next((place for place in places if (place / "index.md").is_file()), None)


@cache
def chapters() -> tuple[Chapter, ...]:
    """Return the navigation, line by line; empty where the installation has no documentation."""
    folder = docs_folder()
    if folder is None:
        return ()
    places = (folder / "mkdocs.yml", folder.parent / "mkdocs.yml")
    text = next(place for place in places if place.is_file()).read_text(encoding="utf-8")
    lines = text.partition("\nnav:\n")[2].splitlines()
    rows = []
    for line in lines:
        entry = ENTRY.match(line)
        if entry is None:
            break
        rows.append(Chapter(entry["title"].strip(" \"'"), entry["file"] or "", len(entry["indent"]) // 4))
    return tuple(rows)
