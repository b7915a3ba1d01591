"""Where name tags can be in a picture: what was read off it goes in, the parts to be hidden come out."""

from __future__ import annotations

from mien.reports.meeting.names.places import NamedPlace, ScreenReading, Tile

__all__ = ["tag_strips"]

STRIP, LEAST = 0.16, 0.05
"""A tag lies in so much of a tile's height at its upper or lower edge, and in no less of the picture's height."""

NEAR_S = 2.0
"""Tiles that come or go so near in time, in seconds, count as well."""

Part = tuple[float, float, float, float]
"""x, y, width and height as shares of the picture."""


def tag_strips(reading: ScreenReading, at: float) -> list[Part]:
    """Return the parts of the picture at a time, in seconds, that may hold names; all of it where no tile is known."""
    every = [(*_edges(tile), tile.start, tile.end) for tile in reading.tiles]
    every += [(*_edges(place), place.start, place.end) for place in reading.places]
    near = [edges for *edges, start, end in every if start - NEAR_S <= at <= end + NEAR_S]
    strips: list[Part] = []
    for x, y, width, height in sorted(map(tuple, near)):
        high = min(height, max(STRIP * height, LEAST))
        strips += [(x, y, width, high), (x, y + height - high, width, high)]
    return strips or [(0.0, 0.0, 1.0, 1.0)]


def _edges(tile: Tile | NamedPlace) -> Part:
    return tile.x, tile.y, tile.width, tile.height
