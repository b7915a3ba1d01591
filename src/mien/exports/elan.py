"""ELAN: a tidy time line goes in, an .eaf file comes out, in the form EAF 3.0 of the Max Planck Institute's ELAN.

ELAN knows intervals alone, so a moment lasts a millisecond there; intervals of one tier must not overlap. The medium is
named without a folder: ELAN looks for it beside the .eaf file.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from xml.sax.saxutils import escape, quoteattr

from mien.exports.timeline import Timeline, apart
from mien.version import __version__

__all__ = ["as_eaf"]

SCHEMA = "http://www.mpi.nl/tools/elan/EAFv3.0.xsd"
TYPES = {
    ".mp4": "video/mp4",
    ".m4v": "video/mp4",
    ".mpg": "video/mpeg",
    ".mpeg": "video/mpeg",
    ".mov": "video/quicktime",
}


def as_eaf(timeline: Timeline, made: datetime) -> str:
    """Return a tidy time line as the text of an .eaf file."""
    return "\n".join(_lines(timeline, made)) + "\n"


def _lines(timeline: Timeline, made: datetime) -> Iterator[str]:
    tiers = [
        (tier, [(int(mark.start), max(int(mark.end), int(mark.start) + 1), mark.label) for mark in tier.marks])
        for tier in apart(timeline.tiers)
    ]
    times = sorted({time for _, marks in tiers for start, end, _ in marks for time in (start, end)})
    slots = {time: f"ts{number}" for number, time in enumerate(times, 1)}
    yield '<?xml version="1.0" encoding="UTF-8"?>'
    yield (
        f'<ANNOTATION_DOCUMENT AUTHOR="Mien {__version__}" DATE="{made.isoformat(timespec="seconds")}" FORMAT="3.0" '
        f'VERSION="3.0" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:noNamespaceSchemaLocation="{SCHEMA}">'
    )
    yield '<HEADER MEDIA_FILE="" TIME_UNITS="milliseconds">'
    for name in timeline.media:
        kind = TYPES.get(name[name.rfind(".") :].lower(), "unknown")
        where = quoteattr(f"./{name}")
        yield f'<MEDIA_DESCRIPTOR MEDIA_URL={where} MIME_TYPE="{kind}" RELATIVE_MEDIA_URL={where}/>'
    annotations = sum(len(marks) for _, marks in tiers)
    yield f'<PROPERTY NAME="lastUsedAnnotationId">{annotations}</PROPERTY>'
    yield "</HEADER>"
    yield "<TIME_ORDER>"
    for time, slot in slots.items():
        yield f'<TIME_SLOT TIME_SLOT_ID="{slot}" TIME_VALUE="{time}"/>'
    yield "</TIME_ORDER>"
    number = 0
    for tier, marks in tiers:
        participant = f" PARTICIPANT={quoteattr(tier.subject)}" if tier.subject else ""
        yield f'<TIER LINGUISTIC_TYPE_REF="{tier.kind}"{participant} TIER_ID={quoteattr(tier.name)}>'
        for start, end, label in marks:
            number += 1
            yield (
                f'<ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a{number}" TIME_SLOT_REF1="{slots[start]}" '
                f'TIME_SLOT_REF2="{slots[end]}"><ANNOTATION_VALUE>{escape(label)}</ANNOTATION_VALUE>'
                "</ALIGNABLE_ANNOTATION></ANNOTATION>"
            )
        yield "</TIER>"
    for kind in dict.fromkeys(tier.kind for tier, _ in tiers):
        yield f'<LINGUISTIC_TYPE GRAPHIC_REFERENCES="false" LINGUISTIC_TYPE_ID="{kind}" TIME_ALIGNABLE="true"/>'
    yield "</ANNOTATION_DOCUMENT>"
