"""Advanced SubStation Alpha (.ass, .ssa): lines go in, the pieces of its dialogue come out."""

from __future__ import annotations

import re
from collections.abc import Sequence

from mien.reports.base.transcripts.times import cue_time
from mien.reports.base.transcripts.utterances import Piece, estimated_s
from mien.words import counted

__all__ = ["ass_pieces", "is_ass"]

FIELDS = ("layer", "start", "end", "style", "name", "marginl", "marginr", "marginv", "effect", "text")


def is_ass(lines: Sequence[str]) -> bool:
    """Return whether lines are such a file."""
    return any(re.match(r"\ufeff?\[Script Info\]|Dialogue:.*,\d+:\d\d:\d\d", line) for line in lines)


def ass_pieces(lines: Sequence[str], notes: list[str]) -> list[Piece]:
    """Return a piece for each line of dialogue; comments and drawings are none."""
    fields: Sequence[str] = FIELDS
    pieces: list[Piece] = []
    unread = 0
    for line in lines:
        kind, _, content = line.partition(":")
        if kind.strip() == "Format" and "text" in content.lower():
            fields = [name.strip().lower() for name in content.split(",")]
        if kind.strip() != "Dialogue":
            continue
        values = dict(zip(fields, content.strip().split(",", len(fields) - 1), strict=False))
        marked = values.get("text", "")
        text = "" if re.search(r"\{[^}]*\\p[1-9]", marked) else re.sub(r"\{[^{}]*\}", "", marked)
        words = tuple(filter(None, (re.sub(r"\s+", " ", part).strip() for part in re.split(r"\\[Nn]|\\h", text))))
        if not words:
            continue
        start, end = (cue_time(values.get(name, "").strip()) for name in ("start", "end"))
        unread += start is None or end is None
        begin = max(0.0, start[0] if start else (pieces[-1].end or 0.0) if pieces else 0.0)
        until = end[0] if end and end[0] > begin else begin + estimated_s(" ".join(words))
        pieces.append(Piece(begin, until, values.get("name", "").strip() or None, words))
    if unread:
        notes.append(
            f"The times of {counted(unread, 'line', 'lines')} could not be read; the words were kept and laid behind "
            "the line before."
        )
    return pieces
