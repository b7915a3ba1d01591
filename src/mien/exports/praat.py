"""Praat: a tidy time line goes in, a TextGrid in Praat's long text form comes out.

A tier of moments alone becomes a point tier, every other an interval tier, which is filled from beginning to end.
"""

from __future__ import annotations

from collections.abc import Iterator

from mien.exports.timeline import Annotation, Tier, Timeline, apart

__all__ = ["as_textgrid"]


def as_textgrid(timeline: Timeline) -> str:
    """Return a tidy time line as the text of a TextGrid."""
    return "\n".join(_lines(timeline)) + "\n"


def _lines(timeline: Timeline) -> Iterator[str]:
    tiers = apart(timeline.tiers) or [Tier("nothing", "expression", "", [])]  # Praat opens none without a tier
    end = _seconds(timeline.seconds)
    yield 'File type = "ooTextFile"'
    yield 'Object class = "TextGrid"'
    yield ""
    yield "xmin = 0"
    yield f"xmax = {end}"
    yield "tiers? <exists>"
    yield f"size = {len(tiers)}"
    yield "item []:"
    for number, tier in enumerate(tiers, 1):
        points = bool(tier.marks) and all(mark.end == mark.start for mark in tier.marks)
        yield f"    item [{number}]:"
        yield f'        class = "{"TextTier" if points else "IntervalTier"}"'
        yield f"        name = {_quoted(tier.name)}"
        yield "        xmin = 0"
        yield f"        xmax = {end}"
        if points:
            yield f"        points: size = {len(tier.marks)}"
            for count, mark in enumerate(tier.marks, 1):
                yield f"        points [{count}]:"
                yield f"            number = {_seconds(mark.start)}"
                yield f"            mark = {_quoted(mark.label)}"
            continue
        filled = list(_filled(tier, timeline.seconds))
        yield f"        intervals: size = {len(filled)}"
        for count, mark in enumerate(filled, 1):
            yield f"        intervals [{count}]:"
            yield f"            xmin = {_seconds(mark.start)}"
            yield f"            xmax = {_seconds(mark.end)}"
            yield f"            text = {_quoted(mark.label)}"


def _filled(tier: Tier, length: float) -> Iterator[Annotation]:
    """Yield the intervals of a tier with empty ones between them."""
    at = 0.0
    for mark in tier.marks:
        if mark.start > at:
            yield Annotation(at, mark.start, "")
        yield mark
        at = mark.end
    if at < length:
        yield Annotation(at, length, "")


def _seconds(ms: float) -> str:
    return f"{ms / 1000:.3f}".rstrip("0").rstrip(".")


def _quoted(text: str) -> str:
    doubled = text.replace('"', '""')
    return f'"{doubled}"'
