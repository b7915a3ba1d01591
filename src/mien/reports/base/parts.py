"""What a page is made of: facts, and sections of charts, tables and pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from mien.observation import now

if TYPE_CHECKING:
    import polars as pl

__all__ = [
    "Chart",
    "Content",
    "Data",
    "Fact",
    "Methods",
    "Part",
    "Picture",
    "Pictures",
    "Section",
    "Shares",
    "Table",
]


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
        svg: The drawing, as `mien.charts` makes it; empty: the legend alone.
        caption: One or two sentences.
        legend: What each colour is: name and colour.
    """

    svg: str
    caption: str = ""
    legend: Sequence[tuple[str, str]] = ()


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
    """A part of the page under a heading; text stands as a paragraph.

    Attributes:
        title: The heading.
        parts: What stands under it.
        folded: Whether only the heading is shown until it is chosen.
    """

    title: str
    parts: Sequence[Part]
    folded: bool = False


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


@dataclass(frozen=True)
class Methods:
    """What a methods section may say.

    Attributes:
        text: Sentences.
        references: What they cite, in the order of their being cited.
    """

    text: str
    references: list[str]


@dataclass
class Content:
    """What a page shows.

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
        methods: What a methods section may say of it.
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
    methods: Methods | None = None
    made: datetime = field(default_factory=now)
