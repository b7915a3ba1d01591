"""The four questions people come with: how happy is this film, how was the meeting, what did the audience react to,
which are the best photos. Each report is a request in, a `Report` out, which is written as one page and its data.

In Python each is called by its name: `mien.reports.film("film.mp4").write("film.html")`. They are packages, too, whose
modules are imported as any others; each package says how it is called.

    >>> import mien
    >>> report = mien.reports.film("demo")
    >>> report.kind, report["Length"].shown
    ('film', '0:20')
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mien.reports.album import Album
    from mien.reports.audience import Audience
    from mien.reports.film import Film
    from mien.reports.meeting import Meeting

    album: Album
    audience: Audience
    film: Film
    meeting: Meeting

__all__ = ["album", "audience", "film", "meeting"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'mien.reports' has no attribute '{name}'")
    return import_module(f"mien.reports.{name}")


def __dir__() -> list[str]:
    return sorted(__all__)
