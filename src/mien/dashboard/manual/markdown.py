"""One page of the documentation as HTML: Markdown goes in; HTML without any style or script of its own comes out.

Pages have addresses of the shape of their files, without `.md`, so links between them need no more than that cut off.
HTML in the Markdown is shown as text, and addresses that could run something are none: so nothing in a page can do more
than its Markdown.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from html import escape
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.rules_core import StateCore
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict
from mdit_py_plugins.admon import admon_plugin
from mdit_py_plugins.deflist import deflist_plugin

__all__ = ["Heading", "Rendered", "plain", "rendered"]

TYPED = frozenset({"bash", "python", "toml", "sql", "yaml", "ini"})
"""Blocks of these are made to be typed somewhere."""


class Heading(NamedTuple):
    """A heading: its level, 1 to 6, what it is linked to by, and its text."""

    level: int
    anchor: str
    text: str


class Rendered(NamedTuple):
    """A page as HTML, and its headings."""

    html: str
    headings: tuple[Heading, ...]


class _Drawing(RendererHTML):
    """Draws what a page has besides running text: code, pictures, tables."""

    def fence(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:  # noqa: ARG002
        """Return a block of code, with a button that copies what one would type."""
        text, language = tokens[idx].content, tokens[idx].info.strip().split(" ")[0]
        button = f'<button type="button" data-copy="{escape(text)}">Copy</button>' if language in TYPED else ""
        return f'<div class="code"><pre tabindex="0"><code>{escape(text)}</code></pre>{button}</div>\n'

    def image(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:  # noqa: ARG002
        """Return a picture; two where there is another for dark pages."""
        source, words = str(tokens[idx].attrs.get("src", "")), escape(tokens[idx].content)
        dark = re.sub(r"\.(\w+)$", r"-dark.\1", source)
        has_dark = env["has_dark"](dark.rpartition("/")[2])
        kinds = [(source, "by-day"), (dark, "by-night")] if has_dark else [(source, "")]
        return "".join(
            f'<img src="{escape(place)}" class="{kind}" alt="{words}" loading="lazy">' for place, kind in kinds
        )

    def table_open(self, *_: Any) -> str:
        """Return a table's beginning; it scrolls by itself."""
        return '<div class="wide" tabindex="0" role="group" aria-label="Table"><table>\n'

    def table_close(self, *_: Any) -> str:
        """Return a table's end."""
        return "</table></div>\n"


PARSER = MarkdownIt("commonmark", {"html": False}, renderer_cls=_Drawing).enable("table")
PARSER.use(deflist_plugin).use(admon_plugin)


def rendered(markdown: str, has_dark: Callable[[str], bool]) -> Rendered:
    """Return a page.

    Args:
        markdown: The page, filled.
        has_dark: Whether there is a picture of this name, such as `live-dark.webp`, the one of `live.webp` by night.
    """
    env: dict[str, Any] = {"has_dark": has_dark}
    html = PARSER.render(re.sub(r"<!--.*?-->", "", markdown, flags=re.DOTALL), env)
    return Rendered(html, tuple(env["headings"]))


def plain(markdown: str) -> str:
    """Return Markdown as running text: links by their words, no signs of form, no tables' lines."""
    text = re.sub(r"!\[[^\]]*\]\([^)]*\)|<!--.*?-->|^\s*(```.*|\|[-|: ]+\||!!!.*)$", " ", markdown, flags=re.MULTILINE)
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text)
    return re.sub(r"\s+", " ", re.sub(r"[*`|#]|^:  ", " ", text, flags=re.MULTILINE)).strip()


def _addresses(state: StateCore) -> None:
    """Give headings their anchors, links their pages, and cells a class in place of a style."""
    headings: list[Heading] = []
    taken: set[str] = set()
    for index, token in enumerate(state.tokens):
        if token.type == "heading_open":
            text = _words(state.tokens[index + 1])
            anchor = _unused(_slug(text), taken)
            token.attrSet("id", anchor)
            headings.append(Heading(int(token.tag[1]), anchor, text))
        elif token.type in ("th_open", "td_open") and (style := token.attrs.pop("style", "")):
            token.attrSet("class", str(style).removeprefix("text-align:"))
        for child in token.children or ():
            if child.type == "link_open":
                child.attrSet("href", _target(str(child.attrs.get("href", ""))))
                if urlsplit(str(child.attrs["href"])).scheme:
                    child.attrSet("rel", "noopener noreferrer")
    state.env["headings"] = headings


def _words(inline: Token) -> str:
    return "".join(child.content for child in inline.children or () if child.type in ("text", "code_inline"))


def _slug(text: str) -> str:
    """Return a heading's anchor as MkDocs makes it."""
    letters = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", letters).strip().lower())


def _unused(slug: str, taken: set[str]) -> str:
    name, number = slug, 0
    while name in taken or not name:
        number += 1
        name = f"{slug}_{number}"
    taken.add(name)
    return name


def _target(href: str) -> str:
    """Return a link between files as a link between pages."""
    if urlsplit(href).scheme or href.startswith(("#", "/")):
        return href
    file, sign, anchor = href.partition("#")
    page = re.sub(r"(^|/)index\.md$", r"\1", file)
    return (page.removesuffix(".md") or "./") + sign + anchor


PARSER.core.ruler.push("addresses", _addresses)
