"""A whole report: what its page shows, and the data behind it.

A `Report` goes in; one HTML page, one JSON file of all figures, and one table a file come out.
"""

from __future__ import annotations

import hashlib
import html
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mien.errors import InputError, MienError
from mien.exports.files import Format, export_texts
from mien.exports.timeline import Timeline
from mien.masking import as_text
from mien.media.folder import VIDEOS
from mien.reports.base.page import page
from mien.reports.base.parts import Content, Fact
from mien.reports.base.timelines import timeline_of
from mien.system.files import replacing
from mien.table import guarded
from mien.version import __version__

if TYPE_CHECKING:
    import polars as pl

__all__ = ["DataKind", "Report"]

DataKind = Literal["parquet", "csv"]


@dataclass(repr=False)
class Report(Content):
    """A whole report: its page, and what is written beside it.

    Attributes:
        files: What else is written beside the page: ending of the name, content.
        asked: What was asked for: the request.
        read: The files that it was made of, which are never written over.
        corrected: Endings of files that people correct: one that was changed since it was written stays as it is.
    """

    files: dict[str, str | bytes] = field(default_factory=dict)
    asked: dict[str, Any] = field(default_factory=dict)
    read: list[Path] = field(default_factory=list)
    corrected: frozenset[str] = frozenset()

    @property
    def period(self) -> str:
        """The part of a store that it is made of, and the zone of its times, in words; empty for files."""
        if "zone" not in self.asked:
            return ""
        ends = [
            f"{word} {self.asked[name]}" for word, name in (("from", "since"), ("to", "until")) if name in self.asked
        ]
        return f"Of the store {' '.join([*ends, ''])}with times in the zone {self.asked['zone']}."

    @property
    def tables(self) -> dict[str, pl.DataFrame]:
        """The tables that are written beside the page, as polars DataFrames, by name."""
        return {data.name: data.table for data in self.data}

    def __getitem__(self, name: str) -> Fact:
        """Return the figure of this name, such as "Length"."""
        for fact in self.facts:
            if fact.name == name:
                return fact
        raise KeyError(
            f"the report has no figure '{name}': expected one of {', '.join(fact.name for fact in self.facts)}"
        )

    def __repr__(self) -> str:
        return f"<Report {self.kind}: {self.lead}>"

    def _repr_html_(self) -> str:
        page = html.escape(self.html())
        return (
            f'<iframe title="the report" sandbox="" style="width:100%;height:640px;border:0" srcdoc="{page}"></iframe>'
        )

    def html(self) -> str:
        """Return the page, which needs no other file."""
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
            "methods": vars(self.methods) if self.methods else None,
            "corrected": {ending: _digest(self.files[ending]) for ending in sorted(self.corrected & set(self.files))},
            "tables": {part.name: {"rows": len(part.table), "columns": part.columns} for part in self.data},
        }

    def timeline(self) -> Timeline:
        """Return what the report tells over time, as tiers that other tools open.

        Raises:
            UsageError: It is of photos, which have no time.
        """
        read = [] if self.asked.get("anonymous") else self.read  # a file's name may be a person's
        media = tuple(as_text(file.name) for file in read if file.suffix.lower() in VIDEOS)
        return timeline_of(self.kind, self.title, self.tables, media)

    def write(self, path: str | Path, data: DataKind = "parquet", exports: Sequence[Format] = ()) -> list[Path]:
        """Write the page and, beside it, the figures and the tables; return the files.

        Args:
            path: The page: a name that ends in .html.
            data: What the tables are written as.
            exports: Also write its time line for these: `elan`, `praat`, `bids`, `boris`.

        Raises:
            InputError: The name is another, its folder is not there, or a file is one that the report was made of.
            UsageError: A time line is asked for, but the report is of photos.
            MienError: The disk is full or fails.
        """
        path = Path(path)
        if path.suffix.lower() not in (".html", ".htm"):
            raise InputError(f"cannot write '{path}': the name of a report must end in .html")
        kept = [ending for ending in self.corrected & set(self.files) if self._is_changed(path, ending)]
        for ending in sorted(kept):
            self.notes.append(
                f"'{path.stem}{ending}' was changed since a report wrote it, and stays as it is; to report with it, "
                "name it (--speakers)."
                if self._given(path, ending) is None
                else f"'{path.stem}{ending}' was read, and stays as it is."
            )
        contents: dict[Path, str | bytes] = {
            path: self.html(),
            path.with_suffix(".json"): json.dumps(self.figures(), indent=1, ensure_ascii=False) + "\n",
        }
        contents |= {
            path.with_name(f"{path.stem}{ending}"): content
            for ending, content in self.files.items()
            if ending not in kept
        }
        lines = export_texts(self.timeline(), exports, self.made) if exports else {}
        contents |= {path.with_name(f"{path.stem}{ending}"): text for ending, text in lines.items()}
        tables = {path.with_name(f"{path.stem}.{part.name}.{data}"): part.table for part in self.data}
        for file in (*contents, *tables):
            if any(file.exists() and written_to.exists() and file.samefile(written_to) for written_to in self.read):
                raise InputError(f"cannot write '{file}': the report is made of it; name the page differently")
        written: list[Path] = []
        try:
            for file, content in contents.items():
                with replacing(file) as part:
                    part.write_bytes(as_text(content).encode() if isinstance(content, str) else content)
                written.append(file)
            for file, table in tables.items():
                with replacing(file) as part:
                    guarded(table).write_csv(part) if data == "csv" else table.write_parquet(part)
                written.append(file)
        except OSError as error:
            kind = InputError if not written else MienError
            raise kind(f"cannot write '{path}': {(error.strerror or str(error)).lower()}") from error
        return written

    def _given(self, path: Path, ending: str) -> Path | None:
        """Return the file that the report was made of where it is the one beside the page with this ending."""
        file = path.with_name(f"{path.stem}{ending}")
        return next((read for read in self.read if read.exists() and file.exists() and file.samefile(read)), None)

    def _is_changed(self, path: Path, ending: str) -> bool:
        """Return whether a file that people correct is there, and not as the report before this wrote it."""
        file = path.with_name(f"{path.stem}{ending}")
        if not file.exists():
            return False
        if self._given(path, ending) is not None:
            return True
        try:
            before = json.loads(path.with_suffix(".json").read_bytes())["corrected"][ending]
            return bool(before != _digest(file.read_bytes()))
        except (OSError, ValueError, LookupError, TypeError, RecursionError):
            return True  # nothing tells who wrote it


def _digest(content: str | bytes) -> str:
    """Return what tells a file's content from another."""
    return hashlib.sha256(as_text(content).encode() if isinstance(content, str) else content).hexdigest()


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    """Return values as JSON has them: no NaN."""
    return {name: None if isinstance(v, float) and not math.isfinite(v) else v for name, v in values.items()}
