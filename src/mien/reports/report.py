"""What every report is: facts, sections of charts, tables and pictures, notes, definitions, and the data behind them.

A `Report` goes in; one HTML page, one JSON file of all figures, and one table a file come out.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mien import __version__
from mien.errors import InputError, MienError
from mien.observation import now

if TYPE_CHECKING:
    import polars as pl

__all__ = [
    "Chart",
    "Data",
    "DataKind",
    "Fact",
    "Part",
    "Picture",
    "Pictures",
    "Report",
    "Section",
    "Shares",
    "Table",
    "counted",
]

DataKind = Literal["parquet", "csv"]


@dataclass(frozen=True)
class Fact:
    """One figure, as it stands on top of the page and in the terminal.

    Attributes:
        name: What it is.
        shown: The figure with its unit, or why there is none.
        detail: What more is to be said, such as its interval.
        value: The figure itself.
        low: The lower end of its 95 % interval.
        high: The upper end.
    """

    name: str
    shown: str
    detail: str = ""
    value: float | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Chart:
    """A drawing, with what it shows in words.

    Attributes:
        svg: The drawing.
        caption: One or two sentences.
    """

    svg: str
    caption: str = ""


@dataclass(frozen=True)
class Shares:
    """A cell that shows how a whole divides.

    Attributes:
        parts: Name, colour and share of each part; the shares together make 1.
    """

    parts: tuple[tuple[str, str, float], ...]


@dataclass(frozen=True)
class Table:
    """Rows under a head.

    Attributes:
        head: The columns' names; one that begins with "#" holds numbers.
        rows: The cells.
        caption: One or two sentences.
    """

    head: tuple[str, ...]
    rows: Sequence[tuple[str | Shares, ...]]
    caption: str = ""


@dataclass(frozen=True)
class Picture:
    """A small picture.

    Attributes:
        jpeg: Its bytes.
        title: What it is, in a few words.
        detail: What more is to be said.
    """

    jpeg: bytes
    title: str
    detail: str = ""


@dataclass(frozen=True)
class Pictures:
    """Pictures side by side.

    Attributes:
        pictures: In the order in which they are shown.
        caption: One or two sentences.
    """

    pictures: Sequence[Picture]
    caption: str = ""


Part = Chart | Table | Pictures | str


@dataclass(frozen=True)
class Section:
    """A part of the page under a heading; text stands as a paragraph."""

    title: str
    parts: Sequence[Part]


@dataclass(frozen=True)
class Data:
    """A table that is written beside the page.

    Attributes:
        name: The ending of the file's stem, such as `faces`.
        table: The rows.
        columns: What each column means, in their order.
    """

    name: str
    table: pl.DataFrame
    columns: dict[str, str]


@dataclass
class Report:
    """A whole report.

    Attributes:
        kind: `film`, `meeting`, `audience` or `album`.
        title: The page's.
        lead: The answer in one or two sentences.
        facts: The figures on top; the first is the answer.
        sections: The page.
        notes: What was wrong with the input, and what was done about it.
        notices: What must be read first.
        definitions: Term and meaning.
        data: Tables that are written beside the page.
        files: What else is written beside the page: ending of the name, content.
        asked: What was asked for: the request.
        read: The files that it was made of, which are never written over.
        made: When, UTC.
    """

    kind: str
    title: str
    lead: str
    facts: list[Fact]
    sections: list[Section]
    notes: list[str] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    definitions: list[tuple[str, str]] = field(default_factory=list)
    data: list[Data] = field(default_factory=list)
    files: dict[str, str | bytes] = field(default_factory=dict)
    asked: dict[str, Any] = field(default_factory=dict)
    read: list[Path] = field(default_factory=list)
    made: datetime = field(default_factory=now)

    def html(self) -> str:
        """Return the page, which needs no other file."""
        from mien.reports.page import page

        return page(self)

    def figures(self) -> dict[str, Any]:
        """Return all figures but the tables' rows, as they stand in the JSON file."""
        return {
            "report": self.kind,
            "title": self.title,
            "lead": self.lead,
            "mien": __version__,
            "made": self.made.isoformat(timespec="seconds"),
            "asked": self.asked,
            "facts": [_plain(vars(fact)) for fact in self.facts],
            "notes": self.notes,
            "notices": self.notices,
            "definitions": dict(self.definitions),
            "tables": {one.name: {"rows": len(one.table), "columns": one.columns} for one in self.data},
        }

    def write(self, path: Path, data: DataKind = "parquet") -> list[Path]:
        """Write the page and, beside it, the figures and the tables; return the files.

        Args:
            path: The page: a name that ends in .html.
            data: What the tables are written as.

        Raises:
            InputError: The name is another, its folder is not there, or a file is one that the report was made of.
            MienError: The disk is full or fails.
        """
        if path.suffix.lower() not in (".html", ".htm"):
            raise InputError(f"cannot write '{path}': the name of a report must end in .html")
        contents: dict[Path, str | bytes] = {
            path: self.html(),
            path.with_suffix(".json"): json.dumps(self.figures(), indent=1, ensure_ascii=False) + "\n",
        }
        contents |= {path.with_name(f"{path.stem}{ending}"): content for ending, content in self.files.items()}
        tables = {path.with_name(f"{path.stem}.{one.name}.{data}"): one.table for one in self.data}
        for file in (*contents, *tables):
            if any(file.exists() and one.exists() and file.samefile(one) for one in self.read):
                raise InputError(f"cannot write '{file}': the report is made of it; name the page differently")
        written: list[Path] = []
        try:
            for file, content in contents.items():
                part = file.with_name(f".{file.name}.part")
                part.write_bytes(content.encode() if isinstance(content, str) else content)
                part.replace(file)
                written.append(file)
            for file, table in tables.items():
                table.write_csv(file) if data == "csv" else table.write_parquet(file)
                written.append(file)
        except OSError as error:
            kind = InputError if not written else MienError
            raise kind(f"cannot write '{path}': {(error.strerror or str(error)).lower()}") from error
        return written


def counted(number: int, one: str, many: str) -> str:
    """Return a number with what it counts: 1 face, 1,204 faces."""
    return f"{number:,} {one if number == 1 else many}"


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    """Return values as JSON has them: no NaN."""
    return {name: None if isinstance(v, float) and not math.isfinite(v) else v for name, v in values.items()}
