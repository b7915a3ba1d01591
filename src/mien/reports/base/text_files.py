"""Text that people hand in: a file in any encoding, or a Word file, goes in, its text comes out."""

from __future__ import annotations

import zipfile
from pathlib import Path
from xml.etree import ElementTree as ET

from mien.errors import InputError
from mien.words import counted

__all__ = ["read_text"]

MAX_BYTES = 50_000_000
RARE = 0.2
"""Text in UTF-16 that is valid UTF-8, too, has a larger share of zero bytes."""


def read_text(path: Path, notes: list[str]) -> str:
    """Return a file's text, whatever its encoding; a guess is noted.

    Raises:
        InputError: It cannot be read, or is too large.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise InputError(f"cannot read '{path}': it has more than the {MAX_BYTES // 10**6} MB allowed")
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read '{path}': {(error.strerror or str(error)).lower()}") from error
    if content.startswith(b"PK"):
        return _of_docx(path)
    for encoding, mark in (("utf-8-sig", b"\xef\xbb\xbf"), ("utf-16", b"\xff\xfe"), ("utf-16", b"\xfe\xff")):
        if content.startswith(mark):
            return content.decode(encoding, "replace")
    if 0 < (zeros := content.count(0)) < RARE * len(content) and _is_utf8(content):
        notes.append(f"'{path.name}' holds {counted(zeros, 'zero byte', 'zero bytes')}, which no text does; left out.")
        return content.replace(b"\0", b"").decode("utf-8")
    if b"\0" in content[:4000]:
        order = "utf-16-le" if content[1:4000:2].count(0) >= content[0:4000:2].count(0) else "utf-16-be"
        notes.append(f"'{path.name}' does not tell its encoding; it was read as {order.upper()}.")
        return content.decode(order, "replace")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        notes.append(f"'{path.name}' is not UTF-8; it was read as Windows-1252, so letters with accents may be wrong.")
        return content.decode("cp1252", "replace")


def _is_utf8(content: bytes) -> bool:
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _of_docx(path: Path) -> str:
    """Return the paragraphs of a Word file, a line each."""
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.getinfo("word/document.xml").file_size > MAX_BYTES:
                raise InputError(f"cannot read '{path}': it unpacks to more than the {MAX_BYTES // 10**6} MB allowed")
            content = archive.read("word/document.xml")
        if b"<!DOCTYPE" in content[:2000]:
            raise InputError(f"cannot read '{path}': a Word file has no document type declaration")
        root = ET.fromstring(content)  # noqa: S314 - without declarations there is nothing to expand
    except (OSError, KeyError, zipfile.BadZipFile, ET.ParseError, RuntimeError, NotImplementedError) as error:
        raise InputError(f"cannot read '{path}': it is no Word file that can be read here") from error
    space = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
    written = {f"{space}br": "\n", f"{space}tab": "\t"}
    lines = [
        "".join(node.text or "" if node.tag == f"{space}t" else written.get(node.tag, "") for node in paragraph.iter())
        for paragraph in root.iter(f"{space}p")
    ]
    return "\n".join(lines)
