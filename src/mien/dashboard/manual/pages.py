"""The pages of the documentation by their addresses, drawn when first asked for; and what is searched for in them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from mien.dashboard.manual.chapters import chapters, docs_folder
from mien.dashboard.manual.filling import HelpText, filled
from mien.dashboard.manual.markdown import Rendered, plain, rendered

__all__ = ["Hit", "Manual"]

FILES = frozenset({".webp", ".jpg", ".png", ".svg", ".toml", ".json"})
"""What pages show or link to besides pages."""

MAX_HITS = 20
AROUND = 160
"""So many letters of a section are shown around the first word that was searched for."""


class Hit(NamedTuple):
    """A section in which all the words stand: its page's address, its anchor, both titles, and a piece of its text."""

    address: str
    anchor: str
    page: str
    title: str
    text: str


class Manual:
    """The documentation.

    Args:
        help_text: Returns the help of a command.
    """

    def __init__(self, help_text: HelpText) -> None:
        self._help_text = help_text
        self._files = {address_of(chapter.file): chapter.file for chapter in chapters() if chapter.file}
        self._titles = {address_of(chapter.file): chapter.title for chapter in chapters() if chapter.file}
        self._texts: dict[str, str] = {}
        self._pages: dict[str, Rendered] = {}

    @property
    def addresses(self) -> tuple[str, ...]:
        """All pages, in their order: `""`, `tutorial`, `guide/reports/`, …"""
        return tuple(self._files)

    def title(self, address: str) -> str:
        """Return what the navigation calls a page."""
        return self._titles[address]

    def page(self, address: str) -> Rendered | None:
        """Return a page; None: there is none at this address."""
        if address not in self._files:
            return None
        if address not in self._pages:
            self._pages[address] = rendered(self._text(address), self._has_picture)
        return self._pages[address]

    def file(self, path: str) -> Path | None:
        """Return a picture or another file that pages link to; None: there is none, or it is no such file."""
        folder = docs_folder()
        if folder is None or "\0" in path:
            return None
        file = (folder / path).resolve()
        inside = file.is_relative_to(folder.resolve()) and file.suffix in FILES
        return file if inside and file.is_file() else None

    def search(self, words: str) -> list[Hit]:
        """Return the sections in which all words stand, the best first.

        Args:
            words: Separated by spaces; each may be the beginning of a word.
        """
        wanted = [re.compile(rf"\b{re.escape(word)}", re.IGNORECASE) for word in words.split()[:10]]
        if not wanted:
            return []
        ranked: list[tuple[float, Hit]] = []
        for address in self._files:
            page = self.page(address)
            headings = page.headings if page else ()
            pieces = re.split(r"(?m)^#{1,6} .*$", re.sub(r"(?ms)^ *```.*?^ *```$", _without_marks, self._text(address)))
            for heading, piece in zip(headings, pieces[1:], strict=False):
                text = plain(piece)
                both = f"{heading.text} {text}"
                if all(word.search(both) for word in wanted):
                    score = sum(5 * bool(word.search(heading.text)) + len(word.findall(text)) / (len(text) + 400) * 100
                                for word in wanted)  # fmt: skip
                    hit = Hit(address, heading.anchor, self._titles[address], heading.text, _around(text, wanted[0]))
                    ranked.append((score + (heading.level == 1), hit))
        return [hit for _, hit in sorted(ranked, key=lambda pair: -pair[0])[:MAX_HITS]]

    def _text(self, address: str) -> str:
        folder = docs_folder()
        if address not in self._texts and folder is not None:
            text = (folder / self._files[address]).read_text(encoding="utf-8")
            self._texts[address] = filled(text, self._help_text)
        return self._texts[address]

    def _has_picture(self, name: str) -> bool:
        return self.file(f"img/{name}") is not None


def address_of(file: str) -> str:
    """Return the address of a page below /docs/: its file's, without `.md` or `index.md`."""
    return re.sub(r"(^|/)index$", r"\1", file.removesuffix(".md"))


def _without_marks(block: re.Match[str]) -> str:
    """Return a block of code whose comments are no headings."""
    return re.sub(r"(?m)^#", " ", block[0])


def _around(text: str, word: re.Pattern[str]) -> str:
    place = word.search(text)
    middle = place.start() if place else 0
    first, last = max(0, middle - AROUND // 2), middle + AROUND
    start = text.rfind(" ", 0, first) + 1 if first else 0
    return ("… " if start else "") + text[start:last].rsplit(" ", 1)[0] + (" …" if last < len(text) else "")
