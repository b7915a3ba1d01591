"""BORIS: a tidy time line goes in, a CSV comes out, laid out as BORIS's own export of aggregated events.

So whatever reads those (R, Python, BORIS's plugins in pandas) reads these: a row per state event with its start and
stop, or per point event.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import datetime

from mien.exports.timeline import Timeline
from mien.table import cells
from mien.version import __version__

__all__ = ["COLUMNS", "as_boris"]

COLUMNS = (
    *("Observation id", "Observation date", "Description", "Observation duration", "Observation type", "Source"),
    *("Time offset (s)", "Coding duration", "Media duration (s)", "FPS (frame/s)", "Subject"),
    *("Observation duration by subject by observation", "Behavior", "Behavioral category", "Behavior type"),
    *("Start (s)", "Stop (s)", "Duration (s)", "Media file name"),
    *("Image index start", "Image index stop", "Image file path start", "Image file path stop"),
    *("Comment start", "Comment stop"),
)


def as_boris(timeline: Timeline, made: datetime) -> str:
    """Return a tidy time line as the text of a CSV of aggregated events, in order of time."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(cells(row) for _, row in sorted(_rows(timeline, made), key=lambda timed: timed[0]))
    return text.getvalue()


def _rows(timeline: Timeline, made: datetime) -> Iterator[tuple[tuple[float, str], list[str]]]:
    length, media = f"{timeline.seconds / 1000:.3f}", ";".join(timeline.media)
    observation = [
        *(timeline.title or "observation", made.strftime("%Y-%m-%d %H:%M:%S"), f"Mien {__version__}", length),
        *("Media file(s)", media, "0", length, length, ""),
    ]
    for tier in timeline.tiers:
        for mark in tier.marks:
            words = tier.kind in ("utterance", "event")
            behavior = tier.kind if words else mark.label
            moment = mark.end == mark.start
            start, stop = f"{mark.start / 1000:.3f}", f"{mark.end / 1000:.3f}"
            comment = mark.label if words else "" if mark.probability is None else f"p={mark.probability:.4f}"
            yield (
                (mark.start, tier.name),
                [
                    *(*observation, tier.subject or "No focal subject", length, behavior, tier.kind),
                    *("POINT" if moment else "STATE", start, stop),
                    *("" if moment else f"{(mark.end - mark.start) / 1000:.3f}", media),
                    *("", "", "", "", comment, comment),
                ],
            )
