"""Lists that people write: a CSV goes in, its columns' names and its lines come out, however a spreadsheet saved it."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

from mien.errors import InputError
from mien.reports.base.transcripts import read_text
from mien.table import read_cell

__all__ = ["read_list"]


def read_list(path: Path, notes: list[str]) -> tuple[list[str], list[dict[str, str]]]:
    """Return the names of a list's columns, in small letters, and its lines by name; what a line lacks is left out.

    Args:
        path: A CSV with commas, semicolons or tabs between its columns, in any encoding and with any ends of lines.
        notes: Told of a guessed encoding.

    Raises:
        InputError: It cannot be read, or is no CSV.
    """
    text = re.sub("\r\n?", "\n", read_text(path, notes))
    reader = csv.reader(io.StringIO(text), delimiter=max(",;\t", key=text.partition("\n")[0].count))
    try:
        head, *lines = [[" ".join(read_cell(cell).split()) for cell in line] for line in reader if line] or [[]]
    except csv.Error as error:
        raise InputError(f"cannot read '{path}', line {reader.line_num}: {error}; a CSV was expected") from error
    names = [name.lower() for name in head]
    return names, [dict(zip(names, line)) for line in lines]  # noqa: B905 - lines may be shorter or longer
