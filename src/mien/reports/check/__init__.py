"""Checking a report: its JSON file and the tables beside it go in, each figure twice comes out.

What a page defines is computed here from its tables by other means than the report's own: nothing of the other reports'
code is imported, and nothing but polars reads the tables. Intervals come from other draws, so that their ends may
differ by a tenth of the interval's width. The files may be anybody's: what does not hold together is refused.
"""

from __future__ import annotations

import html
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from mien.errors import InputError, MissingExtraError
from mien.reports.check.album import album_figures
from mien.reports.check.audience import audience_figures
from mien.reports.check.figure import Figure
from mien.reports.check.files import Figures, ReportFiles, read_figures
from mien.reports.check.film import film_figures
from mien.reports.check.meeting import meeting_figures

__all__ = ["Figure", "check_report"]

MAX_PAGE = 1 << 30


def check_report(path: Path) -> list[Figure]:
    """Return each figure of a report, as it is printed and as it follows from the tables beside it.

    Args:
        path: The report's .json, or its page, the .html beside which that stands.

    Raises:
        InputError: It is no report, a table is missing, or what they hold does not belong together.
        MissingExtraError: It needs the extra `analyze`.
    """
    if find_spec("polars") is None:
        raise MissingExtraError("checking a report", "analyze")
    import polars as pl

    if path.suffix.lower() not in (".json", ".html", ".htm"):
        raise InputError(f"cannot check '{path}': the .json or .html of a report was expected")
    file = path.with_suffix(".json")
    figures = read_figures(path, file)
    report = ReportFiles(file, figures)
    kinds = {"film": film_figures, "meeting": meeting_figures, "audience": audience_figures, "album": album_figures}
    try:
        checked = list(kinds[figures.report](report))
        around = [*report.rows(), *_page(file, figures)]
    except (ArithmeticError, LookupError, OSError, TypeError, ValueError, pl.exceptions.PolarsError) as error:
        reason = (str(error).splitlines() or [""])[0][:200] or type(error).__name__
        raise InputError(f"cannot check '{file}': it and its tables do not belong together ({reason})") from error
    if not any(figure.computed is not None for figure in checked) and not report.has("faces"):
        raise InputError(f"cannot check '{file}': none of its tables holds what its figures are made of")
    return checked + around


def _page(file: Path, figures: Figures) -> Iterator[Figure]:
    """Yield what the page beside the figures shows of them."""
    page = next((form for ending in (".html", ".htm") if (form := file.with_suffix(ending)).is_file()), None)
    if page is None:
        return
    if page.stat().st_size > MAX_PAGE:
        raise InputError(f"cannot check '{page}': it is larger than {MAX_PAGE >> 20:,} MiB, which no report is")
    content = page.read_bytes()
    for fact in figures.facts:
        shown = f'<dt>{_escaped(fact.name)}</dt><dd class="shown">{_escaped(fact.shown)}</dd>'
        yield Figure(f"{fact.name}, on the page", fact.shown, fact.shown if shown.encode() in content else "another")


def _escaped(text: str) -> str:
    """Return a text as the page's template has it."""
    return html.escape(text).replace("&#x27;", "&#39;").replace("&quot;", "&#34;")
