"""The file of names beside a report: places go in, a CSV that `--speakers` reads as it is comes out."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence

from mien.reports.base.places import Place
from mien.reports.meeting.names.places import NamedPlace, ScreenReading
from mien.table import cells

__all__ = ["COLUMNS", "as_csv", "as_places", "by_hand"]

COLUMNS = ("speaker", "x", "y", "width", "height", "from", "to", "found_by", "certainty")


def as_csv(places: Sequence[NamedPlace]) -> str:
    """Return places as a CSV, in order of time, a row each; `to` is empty where a place holds to the end."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(COLUMNS)
    for place in sorted(places, key=lambda place: (place.start, place.y, place.x, place.speaker)):
        edges = (f"{edge:.4f}" for edge in (place.x, place.y, place.width, place.height))
        end = f"{place.end:.2f}" if math.isfinite(place.end) else ""
        when = (f"{place.start:.2f}", end)
        rows.writerow(cells((place.speaker, *edges, *when, place.found_by, f"{place.certainty:.2f}")))
    return text.getvalue()


def by_hand(places: Sequence[Place]) -> list[NamedPlace]:
    """Return the tiles of a mapping file that somebody wrote, as places; its tracks are none."""
    return [
        NamedPlace(place.speaker, *place.tile, place.since, place.until, "hand", 1.0)
        for place in places
        if place.track is None
    ]


def as_places(reading: ScreenReading) -> list[Place]:
    """Return where speakers are to be seen, and, without a speaker, the tiles whose faces are nobody's of them."""
    named = [
        Place(place.speaker, None, (place.x, place.y, place.width, place.height), place.start, place.end)
        for place in reading.places
    ]
    tiles = [Place("", None, (tile.x, tile.y, tile.width, tile.height), tile.start, tile.end) for tile in reading.tiles]
    return [*tiles, *named]
