"""One page of the documentation as HTML: Markdown goes in; HTML without any style or script of its own comes out.

Pages have addresses of the shape of their files, without `.md`, so links between them need no more than that cut off.
HTML in the Markdown is shown as text, and addresses that could run something are none: so nothing in a page can do more
than its Markdown.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, MutableMapping, Sequence
from html import escape
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.rules_core import StateCore
from markdown_it.token import Token
from mdit_py_plugins.admon import admon_plugin
from mdit_py_plugins.deflist import deflist_plugin

__all__ = ["Heading", "Rendered", "plain", "rendered"]

Rule = Callable[[Sequence[Token], int], str]


class Heading(NamedTuple):
    """A heading: its level, 1 to 6, what it is linked to by, and its text."""

    level: int
    anchor: str
    text: str


class Rendered(NamedTuple):
    """A page as HTML, and its headings."""

    html: str
    headings: tuple[Heading, ...]


def rendered(markdown: str, has_dark: Callable[[str], bool] = lambda name: False) -> Rendered:
    """Return a page.

    Args:
        markdown: The page, filled.
        has_dark: Whether there is a picture of this name for dark pages: `live-dark.webp` for `live.webp`.
    """
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    parser.use(deflist_plugin).use(admon_plugin)
    parser.core.ruler.push("addresses", _addresses)
    rules: dict[str, Rule] = {
        "fence": lambda tokens, index: _code(tokens[index]),
        "image": lambda tokens, index: _picture(tokens[index], has_dark),
        "table_open": lambda tokens, index: '<div class="wide" tabindex="0" role="group" aria-label="Table"><table>\n',
        "table_close": lambda tokens, index: "</table></div>\n",
    }
    if isinstance(parser.renderer, RendererHTML):
        for name, rule in rules.items():
            parser.renderer.rules[name] = lambda tokens, index, options, env, rule=rule: rule(tokens, index)
    env: MutableMapping[str, Any] = {}
    html = parser.render(re.sub(r"<!--.*?-->", "", markdown, flags=re.DOTALL), env)
    return Rendered(html, tuple(env.get("headings", ())))


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


def _code(token: Token) -> str:
    """Return a block of code, with a button that copies what one would type."""
    text, language = token.content, token.info.strip().split(" ")[0]
    button = ""
    if language in ("bash", "python", "toml", "sql", "yaml", "ini"):
        button = f'<button type="button" data-copy="{escape(text)}">Copy</button>'
    return f'<div class="code"><pre tabindex="0"><code>{escape(text)}</code></pre>{button}</div>\n'


def _picture(token: Token, has_dark: Callable[[str], bool]) -> str:
    source, words = str(token.attrs.get("src", "")), escape(token.content)
    dark = re.sub(r"\.(\w+)$", r"-dark.\1", source)
    kinds = [(source, "by-day"), (dark, "by-night")] if has_dark(dark.rpartition("/")[2]) else [(source, "")]
    return "".join(f'<img src="{escape(place)}" class="{kind}" alt="{words}" loading="lazy">' for place, kind in kinds)
