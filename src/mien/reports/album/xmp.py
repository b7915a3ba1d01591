"""XMP sidecars: what a sidecar holds and how a photo is judged go in, what it is to hold comes out.

Only what changes is changed, at its place in the text: whatever else a sidecar holds stays as it is, to the byte. What
Mien wrote is recorded in the sidecar, so that a rating or a keyword of somebody's own is told from Mien's and left
alone. A document type declaration is refused, so there are no entities to expand.

The properties are those that programs read: `xmp:Rating` with -1 for a rejected photo (XMP specification, part 1),
`xmpDM:pick` and `good` (Lightroom Classic), `digiKam:PickLabel`, and the keywords in `dc:subject`,
`lr:hierarchicalSubject` and `digiKam:TagsList`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any
from xml.parsers import expat
from xml.sax.saxutils import escape, quoteattr

from mien.errors import InputError

__all__ = ["Rating", "renewed"]

MAX_BYTES, MAX_ELEMENTS, MAX_DEPTH = 16 << 20, 400_000, 200

RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
MIEN = "urn:mien:xmp:1.0/"
SPACES = {
    "xmp": "http://ns.adobe.com/xap/1.0/",
    "xmpDM": "http://ns.adobe.com/xmp/1.0/DynamicMedia/",
    "digiKam": "http://www.digikam.org/ns/1.0/",
    "dc": "http://purl.org/dc/elements/1.1/",
    "lr": "http://ns.adobe.com/lightroom/1.0/",
    "mien": MIEN,
}

Name = tuple[str, str]
"""A namespace and a name in it."""

VERDICTS = ("xmp:Rating", "xmpDM:pick", "xmpDM:good", "digiKam:PickLabel")
"""What tells how good a photo is."""

RECORDED = ("mien:Rating", "mien:pick", "mien:good", "mien:PickLabel")
"""What Mien wrote as each of VERDICTS."""

KEYWORDS = "mien:Keywords"
"""The keywords that Mien wrote, with commas between."""

LISTS = {"dc:subject": ("Bag", ""), "lr:hierarchicalSubject": ("Bag", "|"), "digiKam:TagsList": ("Seq", "/")}
"""Where keywords stand: the kind of list, and what parts the levels of a keyword in it."""

EMPTY = (
    '<?xml version="1.0" encoding="UTF-8"?>\n<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="Mien">\n'
    f' <rdf:RDF xmlns:rdf="{RDF}">\n </rdf:RDF>\n</x:xmpmeta>\n'
).encode()

ATTRIBUTE = rb"\s+([^\s=>]+)\s*=\s*(?:\"[^\"]*\"|'[^']*')"
TAG = re.compile(rb"<[^\s/>]+((?:" + ATTRIBUTE + rb")*)\s*(/?)>")
"""A start tag of well-formed XML."""


@dataclass(frozen=True)
class Rating:
    """How a photo is judged.

    Attributes:
        stars: 1 to 5; None: it was not rated.
        rejected: Whether another of its burst is better; the stars then stay unsaid.
        keywords: What is to be found by.
    """

    stars: int | None = None
    rejected: bool = False
    keywords: tuple[str, ...] = ()

    @property
    def verdicts(self) -> tuple[str, ...]:
        """What stands for it as each of VERDICTS; empty: nothing."""
        if self.rejected:
            return "-1", "-1", "False", "1"
        return "" if self.stars is None else str(self.stars), "", "", ""


def renewed(content: bytes | None, judgement: Rating, *, replace: bool = False) -> tuple[bytes, bool]:
    """Return what a sidecar is to hold, and whether a rating or flag in it that Mien didn't write was left as it is.

    Args:
        content: What it holds; None: there is none.
        judgement: What it is to say of its photo.
        replace: Whether ratings and flags that somebody else gave are replaced too.

    Raises:
        InputError: It is no XMP, or holds what cannot be changed safely; the message says what.
    """
    old = EMPTY if content is None else content
    packet = _Packet(old)
    before = [packet.value(name) for name in VERDICTS]
    ours = [packet.value(name) for name in RECORDED]
    foreign = any(value not in ("", "0", own) for value, own in zip(before, ours, strict=True))
    kept = foreign and not replace
    wanted = {} if kept else dict(zip(VERDICTS, judgement.verdicts, strict=True))
    wanted |= dict(zip(RECORDED, ("",) * len(RECORDED) if kept else judgement.verdicts, strict=True))
    recorded = set(packet.value(KEYWORDS).split(", "))
    lists = {name: packet.items(name) for name in LISTS}
    # A keyword that stood there before Mien came is not Mien's, and stays when Mien has no use for it.
    theirs = {item for items in lists.values() for item in items} - recorded
    wanted[KEYWORDS] = ", ".join(word for word in judgement.keywords if word not in theirs)
    for name, (_, parted) in LISTS.items():
        items = lists[name] or (_translated(lists, name) if judgement.keywords else [])
        items = [item for item in items if item not in recorded or item in judgement.keywords]
        leaves = {item.split(parted)[-1] if parted else item for item in items}
        packet.set_items(name, [*items, *(word for word in judgement.keywords if word not in leaves)])
    for name, value in wanted.items():
        packet.set_value(name, value)
    return packet.written(), kept


def _translated(lists: dict[str, list[str]], name: str) -> list[str]:
    """Return what a list that is missing has to hold: a program that prefers it should miss nothing of the others."""
    others = [other for other in ("digiKam:TagsList", "lr:hierarchicalSubject", "dc:subject") if lists[other]]
    if not others:
        return []
    parted, joined = LISTS[others[0]][1], LISTS[name][1]
    levels = [item.split(parted) if parted else [item] for item in lists[others[0]]]
    return list(dict.fromkeys(joined.join(level) if joined else level[-1] for level in levels))


@dataclass
class _Element:
    """An element, and where it stands in the bytes."""

    name: Name
    prefix: str
    start: int
    inner: int
    empty: bool
    attributes: dict[Name, tuple[str, str]] = field(default_factory=dict)
    children: list[_Element] = field(default_factory=list)
    text: str = ""
    close: int = 0
    end: int = 0

    def qualified(self, local: str) -> str:
        """Return a name in this element's namespace, as it is written here."""
        return f"{self.prefix}:{local}" if self.prefix else local


class _Packet:
    """An XMP packet that is changed at single places."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        root = _parsed(content)
        rdf = root if root.name == (RDF, "RDF") else None
        rdf = rdf or next((child for child in root.children if child.name == (RDF, "RDF")), None)
        if rdf is None or rdf.empty:
            raise InputError("it is no XMP: it holds no rdf:RDF, or an empty one")
        self._rdf = rdf
        self._nodes = [child for child in rdf.children if child.name == (RDF, "Description")]
        if len(self._nodes) != len(rdf.children):
            raise InputError("it holds what is no rdf:Description")
        self._edits: list[tuple[int, int, bytes]] = []
        self._attributes: list[tuple[str, str]] = []
        self._elements: list[tuple[str, list[str]]] = []

    def value(self, name: str) -> str:
        """Return the text of a simple property; empty where there is none.

        Raises:
            InputError: It is none that is simple.
        """
        values = [value for _, value in self._values(name)]
        return values[0] if values else ""

    def items(self, name: str) -> list[str]:
        """Return the items of a list; none where it does not exist.

        Raises:
            InputError: It is no list.
        """
        return [item.text.strip() for _, bag in self._lists(name) for item in bag.children]

    def set_value(self, name: str, value: str) -> None:
        """Set a simple property, or remove it where the text is empty."""
        places = self._values(name)
        for element, _ in places:
            if isinstance(element, _Element):
                if not value:
                    self._remove(element.start, element.end)
                elif element.text.strip() != value:
                    self._edits.append((element.inner, element.close, escape(value).encode()))
            else:
                start, end, old = self._attribute(*element)
                if not value:
                    self._edits.append((start, end, b""))
                elif old != value:
                    place = self._content[start:end]
                    named = place[: place.index(b"=") + 1]
                    self._edits.append((start, end, named + _quoted(value).encode()))
        if value and not places:
            self._attributes.append((name, value))

    def set_items(self, name: str, items: list[str]) -> None:
        """Set the items of a list: those that are gone are removed, new ones added at its end."""
        there = self.items(name)
        if items == there:
            return
        lists = self._lists(name)
        if not lists:
            self._elements.append((name, items))
            return
        if not items:
            for holder, _ in lists:
                self._remove(holder.start, holder.end)
            return
        for _, bag in lists:
            for item in bag.children:
                if item.text.strip() not in items:
                    self._remove(item.start, item.end)
        bag = lists[0][1]
        tag = bag.qualified("li")
        added = "".join(f"<{tag}>{escape(item)}</{tag}>" for item in items if item not in there).encode()
        if added:
            at = bag.children[-1].end if bag.children else bag.inner
            self._edits.append((at, at, added))

    def written(self) -> bytes:
        """Return the packet with all that was set."""
        content = bytearray(self._content)
        if self._attributes or self._elements:
            at = self._rdf.close
            while content[at - 1 : at].isspace():
                at -= 1
            self._edits.append((at, at, self._added().encode()))
        for start, end, text in sorted(self._edits, key=lambda edit: edit[:2], reverse=True):
            content[start:end] = text
        return bytes(content)

    def _added(self) -> str:
        """Return a description that holds what was not there yet."""
        about = next(
            (node.attributes[RDF, "about"][1] for node in self._nodes if (RDF, "about") in node.attributes), ""
        )
        used = {name.partition(":")[0] for name, _ in (*self._attributes, *self._elements)}
        spaces = [f'xmlns:rdf="{RDF}"'] if self._rdf.prefix != "rdf" else []
        spaces += [f'xmlns:{prefix}="{uri}"' for prefix, uri in SPACES.items() if prefix in used]
        texts = [
            f"rdf:about={_quoted(about)}",
            *spaces,
            *(f"{name}={_quoted(text)}" for name, text in self._attributes),
        ]
        head = "\n  <rdf:Description " + "\n    ".join(texts)
        if not self._elements:
            return head + "/>"
        body = ""
        for name, items in self._elements:
            kind = LISTS[name][0]
            lines = "".join(f"\n     <rdf:li>{escape(item)}</rdf:li>" for item in items)
            body += f"\n   <{name}>\n    <rdf:{kind}>{lines}\n    </rdf:{kind}>\n   </{name}>"
        return f"{head}>{body}\n  </rdf:Description>"

    def _values(self, name: str) -> list[tuple[_Element | tuple[_Element, Name], str]]:
        """Return where a simple property stands, as an element or as an attribute, with its text."""
        key = _key(name)
        places: list[tuple[_Element | tuple[_Element, Name], str]] = []
        for node in self._nodes:
            if key in node.attributes:
                places.append(((node, key), node.attributes[key][1]))
            for child in node.children:
                if child.name == key:
                    if child.children or child.attributes or child.empty:
                        raise InputError(f"its {name} is no plain text")
                    places.append((child, child.text.strip()))
        return places

    def _lists(self, name: str) -> list[tuple[_Element, _Element]]:
        """Return where a list stands: the property and the list in it."""
        key = _key(name)
        places = []
        for node in self._nodes:
            if key in node.attributes:
                raise InputError(f"its {name} is no list")
            for child in node.children:
                if child.name != key:
                    continue
                bags = child.children
                whole = len(bags) == 1 and bags[0].name[0] == RDF and bags[0].name[1] in ("Bag", "Seq", "Alt")
                if not whole or bags[0].empty or any(item.name != (RDF, "li") for item in bags[0].children):
                    raise InputError(f"its {name} is no list")
                places.append((child, bags[0]))
        return places

    def _attribute(self, node: _Element, key: Name) -> tuple[int, int, str]:
        """Return where an attribute stands, with the space before it, and its value."""
        raw, value = node.attributes[key]
        tag = TAG.match(self._content, node.start)
        for place in re.finditer(ATTRIBUTE, tag[1]) if tag else ():
            if tag and place[1] == raw.encode():
                return tag.start(1) + place.start(), tag.start(1) + place.end(), value
        raise InputError(f"its {raw} cannot be found again")

    def _remove(self, start: int, end: int) -> None:
        """Take out an element with the space before it."""
        while self._content[start - 1 : start].isspace():
            start -= 1
        self._edits.append((start, end, b""))


def _key(name: str) -> Name:
    prefix, _, local = name.partition(":")
    return SPACES[prefix], local


def _quoted(text: str) -> str:
    """Return a text as an attribute's value; what is no space but blank is written so that it stays."""
    return quoteattr(text, {"\n": "&#10;", "\r": "&#13;", "\t": "&#9;", '"': "&quot;"})


def _parsed(content: bytes) -> _Element:
    """Return the root of a sidecar.

    Raises:
        InputError: It is too large or too deep, no UTF-8, not well-formed, or declares a document type.
    """
    if len(content) > MAX_BYTES:
        raise InputError(f"it is larger than {MAX_BYTES >> 20} MiB")
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        raise InputError("it is not UTF-8") from None
    reader = _Reader(content)
    try:
        reader.parser.Parse(content, True)
    except expat.ExpatError as error:
        raise InputError(f"it is no well-formed XML ({error})") from None
    if reader.root is None:
        raise InputError("it is no well-formed XML (no element)")
    return reader.root


class _Reader:
    """Hears what a parser reads, and keeps it as elements."""

    def __init__(self, content: bytes) -> None:
        self.root: _Element | None = None
        self._content, self._open, self._count = content, list[_Element](), 0
        self.parser = expat.ParserCreate(namespace_separator=" ")
        self.parser.namespace_prefixes = True
        self.parser.ordered_attributes = True
        self.parser.buffer_text = True
        self.parser.XmlDeclHandler = self._declared
        self.parser.StartDoctypeDeclHandler = self._refuse
        self.parser.EntityDeclHandler = self._refuse
        self.parser.StartElementHandler = self._started
        self.parser.EndElementHandler = self._ended
        self.parser.CharacterDataHandler = self._text

    def _declared(self, _version: str, encoding: str | None, _alone: int) -> None:
        if encoding and encoding.lower() not in ("utf-8", "utf8"):
            raise InputError(f"it is declared as {encoding[:40]}, not UTF-8")

    def _refuse(self, *_: Any) -> None:
        raise InputError("it declares a document type, which no XMP does")

    def _started(self, raw: str, attributes: list[str]) -> None:
        self._count += 1
        if self._count > MAX_ELEMENTS or len(self._open) >= MAX_DEPTH:
            raise InputError("it has too many elements, or they are nested too deeply")
        start = self.parser.CurrentByteIndex
        tag = TAG.match(self._content, start)
        if tag is None:
            raise InputError("a tag of it cannot be read")
        name, prefix = _split(raw)
        element = _Element(name, prefix, start, tag.end(), tag[3] == b"/")
        for key, value in zip(attributes[::2], attributes[1::2], strict=True):
            attribute, before = _split(key)
            element.attributes[attribute] = (f"{before}:{attribute[1]}" if before else attribute[1]), value
        if self._open:
            self._open[-1].children.append(element)
        else:
            self.root = element
        self._open.append(element)

    def _ended(self, _raw: str) -> None:
        element = self._open.pop()
        if element.empty:
            element.close = element.end = element.inner
        else:
            element.close = self.parser.CurrentByteIndex
            element.end = self._content.index(b">", element.close) + 1

    def _text(self, text: str) -> None:
        if self._open:
            self._open[-1].text += text


def _split(raw: str) -> tuple[Name, str]:
    """Return what the parser says of a name: its namespace and name, and the prefix that is written before it."""
    parts = raw.split(" ")
    if len(parts) == 1:
        return ("", parts[0]), ""
    return (parts[0], parts[1]), parts[2] if len(parts) > 2 else ""
