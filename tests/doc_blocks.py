"""The code that README and documentation show: fenced blocks, the commands in them, commands in the running text."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


@dataclass(frozen=True)
class Block:
    """A fenced block: where it begins, the language after its fence, what is in it."""

    page: Path
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    def commands(self) -> list[str]:
        """Return the commands of a shell block: a line each, continued lines joined, without comments."""
        joined = self.text.replace("\\\n", " ")
        return [shown for line in joined.split("\n") if (shown := re.sub(r"(^|\s)#\s.*", "", line).strip())]


def blocks(page: Path) -> list[Block]:
    """Return the fenced blocks of a page; those in a list or a note are moved to the margin."""
    found: list[Block] = []
    inside: list[str] | None = None
    start, indent, language = 0, "", ""
    for number, line in enumerate(page.read_text(encoding="utf-8").split("\n"), 1):
        fence = re.match(r"( *)```(.*)$", line)
        if fence and inside is None:
            inside, start, indent, language = [], number, fence[1], fence[2].strip()
        elif fence and inside is not None:
            found.append(Block(page, start, language, "\n".join(inside) + "\n"))
            inside = None
        elif inside is not None:
            inside.append(line.removeprefix(indent))
    assert inside is None, f"{page}:{start}: a block that does not end"
    return found


def prose(page: Path) -> str:
    """Return a page without its fenced blocks."""
    return re.sub(r"(?ms)^ *```.*?^ *```$", "", page.read_text(encoding="utf-8"))


def mentioned(page: Path) -> Iterator[str]:
    """Yield the commands of mien that the running text shows, as in `mien watch --fps 5`."""
    for span in re.findall(r"(?<!`)`([^`\n]+(?:\n[^`\n]+)?)`(?!`)", prose(page)):
        if re.match(r"mien( |$)", text := " ".join(span.split())):
            yield text


def words(command: str) -> list[str]:
    """Return the words of a shell command, without assignments before it and what it is piped into."""
    lexer = shlex.shlex(command, posix=True, punctuation_chars="|;&<>")
    lexer.whitespace_split = True
    lexer.commenters = ""
    taken: list[str] = []
    for word in lexer:
        if set(word) <= set("|;&<>"):
            break
        if taken or not re.match(r"[A-Za-z_]\w*=", word):
            taken.append(word)
    return taken


def arguments(command: str) -> list[str] | None:
    """Return what follows `mien` in a command, or None if it starts something else."""
    found = words(command)
    if found[:1] in (["sudo"], ["nice"]):
        found = found[1:]
    if found[:3] in (["python", "-m", "mien"], ["python3", "-m", "mien"]):
        return found[3:]
    if found and (found[0] == "mien" or found[0].endswith("/bin/mien")):
        return found[1:]
    return None
