"""Where in a tile its tag can stand: tiles and lines of text go in, parts to be read and a tile's own line come out."""

from __future__ import annotations

from collections.abc import Sequence

from mien.reports.meeting.names.clock import clock_in
from mien.reports.meeting.names.tags import Box, TextLine
from mien.reports.meeting.names.tiles import overlap

__all__ = ["READ", "apart", "at_edge", "corners", "near_edge", "strips", "tag_of"]

READ = 0.8
"""A line that its reader is less sure of is not read, 0 to 1."""


def strips(tile: Box, picture_high: int) -> list[Box]:
    """Return where a tile's tag can be: along its lower and its upper edge."""
    x, y, wide, high = tile
    strip = round(min(max(0.17 * high, 26 * picture_high / 720, 20), 0.5 * high, 70 * picture_high / 720))
    return [(x, y + high - strip, wide, strip), (x, y, wide, strip)]


def corners(size: tuple[int, int]) -> list[Box]:
    """Return the four corners of the picture, where a clock can be."""
    wide, high = round(0.35 * size[0]), round(0.1 * size[1])
    return [(x, y, wide, high) for y in (0, size[1] - high) for x in (0, size[0] - wide)]


def near_edge(box: Box, size: tuple[int, int]) -> bool:
    """Return whether a line stands at the upper or lower edge of the picture."""
    return box[1] + box[3] / 2 > 0.88 * size[1] or box[1] + box[3] / 2 < 0.1 * size[1]


def apart(boxes: Sequence[Box]) -> list[Box]:
    """Return boxes without those that were seen twice, where strips overlap."""
    kept: list[Box] = []
    for box in boxes:
        if not any(overlap(box, other) > 0.4 for other in kept):
            kept.append(box)
    return kept


def at_edge(lines: Sequence[TextLine], tile: Box) -> list[TextLine]:
    """Return the lines where a tag of the tile can stand, the likeliest first."""
    x, y, wide, high = tile
    ranked = []
    for line in lines:
        left, top, line_wide, line_high = line.box
        below = (y + high - (top + line_high)) / high
        above = (top - y) / high
        if line_high > max(0.3 * high, 14) or line_wide > 0.98 * wide:
            continue
        near = max(0.12, 12 / high)
        to_left = (left - x) / wide < 0.2
        middle = abs(left + line_wide / 2 - x - wide / 2) / wide < 0.08
        if below < near and to_left:
            ranked.append((0, line))
        elif above < near and to_left:
            ranked.append((1, line))
        elif below < near and middle:
            ranked.append((2, line))
    return [line for _, line in sorted(ranked, key=lambda pair: pair[0])]


def tag_of(lines: Sequence[TextLine], tile: Box, picture_high: int) -> TextLine | None:
    """Return the line that is a tile's tag; None where there is none that was read."""
    whole = tile[3] >= 0.9 * picture_high
    for line in at_edge(lines, tile):
        x, _, wide, _ = line.box
        middle = abs(x + wide / 2 - tile[0] - tile[2] / 2) / tile[2] < 0.08 and (x - tile[0]) / tile[2] >= 0.2
        if whole and middle:  # where a film has its subtitles
            continue
        if line.score >= READ and line.text and clock_in(line.text) is None:
            return line
    return None
