"""Lists that people write: a CSV goes in, its columns' names and its lines come out, however a spreadsheet saved it."""

from __future__ import annotations

import csv
import io
import math
import re
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from mien.errors import InputError
from mien.media.selection import parse_seconds
from mien.reports.base.text_files import read_text
from mien.table import read_cell
from mien.words import counted

__all__ = ["Line", "number", "read_list", "seconds", "tile"]


THOUSANDS = re.compile(r"\d{1,3},\d{3}")
"""Where commas part the columns, this may be thousands or thousandths."""


@dataclass(frozen=True)
class Line:
    """A line of a list.

    Attributes:
        number: Which line of the file it is, from 1; its last, where a cell goes over several.
        cells: The text of each cell, by its column's name; what the line lacks is left out.
    """

    number: int
    cells: dict[str, str]

    def get(self, column: str, default: str = "") -> str:
        """Return the text of a cell, and what is to be taken where it is missing or empty."""
        return self.cells.get(column) or default


def read_list(path: Path, notes: list[str]) -> tuple[list[str], list[Line]]:
    """Return the names of a list's columns, in small letters, and its lines.

    Args:
        path: A CSV with commas, semicolons or tabs between its columns, in any encoding and with any ends of lines;
            also with a first line such as `sep=;`, by which Excel knows them.
        notes: Told of a guessed encoding, and of cells beyond the last column.

    Raises:
        InputError: It cannot be read, is no CSV, names a column twice, or holds a number that can be read in two ways.
    """
    text = re.sub("\r\n?", "\n", read_text(path, notes))
    excel = re.match(r"sep=(.)\n", text, re.IGNORECASE)
    rest = text[excel.end() :] if excel else text
    separator = excel[1] if excel else max(";\t,", key=rest.partition("\n")[0].count)
    reader = csv.reader(io.StringIO(rest), delimiter=separator)
    try:
        head, *lines = [
            (reader.line_num + bool(excel), [" ".join(read_cell(cell).split()) for cell in row])
            for row in reader
            if any(cell.strip() for cell in row)
        ] or [(0, [])]
    except csv.Error as error:
        raise InputError(f"cannot read '{path}', line {reader.line_num}: {error}; a CSV was expected") from error
    names = [name.lower() for name in head[1]]
    if twice := next((name for name in names if name and names.count(name) > 1), None):
        raise InputError(f"cannot read '{path}': it has more than one column '{twice[:80]}'; each is expected once")
    beyond = [at for at, row in lines if any(cell and not name for name, cell in zip_longest(names, row))]
    if beyond:
        notes.append(
            f"'{path.name}' has more cells than columns in {counted(len(beyond), 'line', 'lines')}, first in line "
            f"{beyond[0]:,}; those were left out. A text with a comma in it belongs between quotation marks."
        )
    for at, row in lines if separator == "," else ():
        for name, cell in zip(names, row):  # noqa: B905 - lines may be shorter or longer
            if name != "label" and THOUSANDS.fullmatch(cell):
                raise InputError(
                    f"cannot read '{path}', line {at}: '{cell}' may mean {cell.replace(',', '')} or "
                    f"{cell.replace(',', '.', 1)}; write it without a comma"
                )
    return names, [Line(at, dict(zip(names, row))) for at, row in lines]  # noqa: B905 - lines may be shorter or longer


def tile(line: Line, expected: str) -> tuple[float, float, float, float]:
    """Return the part of the frame that the cells x, y, width and height name, each from 0 to 1 of the frame.

    Args:
        line: A line of a list.
        expected: What the error says.

    Raises:
        ValueError: They name none.
    """
    x, y, width, height = (number(line.get(name, "-1")) for name in ("x", "y", "width", "height"))
    if not (0 <= x < 1 and 0 <= y < 1 and 0 < width <= 1 and 0 < height <= 1):
        raise ValueError(expected)
    return x, y, width, height


def number(text: str) -> float:
    """Return the number that a cell holds, with a decimal point or a decimal comma.

    >>> number("2,5"), number("1.234,5"), number("1,234.5")
    (2.5, 1234.5, 1234.5)

    Raises:
        ValueError: It holds no number, or none that is finite.
    """
    try:
        value = float(_with_point(text))
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(f"'{text[:80]}' is no number: expected one such as 2.5 or 2,5")
    return value


def seconds(text: str) -> float:
    """Return the seconds that a cell's time means: seconds, mm:ss or hh:mm:ss, also with a decimal comma.

    Raises:
        UsageError: It holds no such time.
    """
    return parse_seconds(_with_point(text))


def _with_point(text: str) -> str:
    """Return a number with a decimal point and nothing between its thousands."""
    plain = re.sub(r"(?<=\d)[\s'’](?=\d{3}(?!\d))", "", text.strip())
    mark = max(".,", key=plain.rfind)
    if "." in plain and "," in plain:
        plain = plain.replace("," if mark == "." else ".", "")
    return plain.replace(",", ".") if plain.count(",") == 1 else plain
