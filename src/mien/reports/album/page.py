"""The wording and layout of the album report: photos and the chosen among them go in, a `Report` comes out."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mien.masking import as_text
from mien.reports.album.contact_sheet import contact_sheet
from mien.reports.album.selection import (
    ALIKE,
    BURST_BITS,
    BURST_S,
    FAINT,
    SAME_BITS,
    SHARP,
    SOUND,
    WEIGHTS,
    Photo,
    best_of_groups,
)
from mien.reports.base.parts import Data, Fact, Part, Picture, Pictures, Section, Table
from mien.reports.base.recordings import READABLE
from mien.reports.base.report import Report
from mien.words import counted

__all__ = ["COLUMNS", "album_report"]

COLUMNS: dict[str, str] = {
    "file": "the photo",
    "rank": "1 for the best of the chosen; empty where it was not chosen",
    "score": "0 to 100; empty with too few readable faces",
    "group": "the number of its group of near-duplicates",
    "faces": "faces found",
    "readable": f"faces whose longer side has at least {READABLE} pixels",
    **{name: f"the part of the score, 0 to 1; weight {weight:g}; empty: unknown" for name, weight in WEIGHTS.items()},
    "width": "of the upright photo, in pixels",
    "height": "of the upright photo, in pixels",
    "time": "when it was taken, UTC, as its EXIF data tell",
    "fingerprint": "64 bits, in hex, that photos of the same scene share for the most part; empty: unknown",
}


def album_report(
    photos: Sequence[Photo], chosen: Sequence[Photo], shown: dict[Path, bytes], notes: list[str], asked: dict[str, Any]
) -> Report:
    """Return the report on an album.

    Args:
        photos: All photos.
        chosen: The best, the best first.
        shown: Their pictures.
        notes: What was wrong with the input.
        asked: The request.
    """
    least: int = asked["anonymous"] or 1
    unrated = sum(photo.score is None for photo in photos)
    sizes = Counter(photo.group for photo in photos)
    repeated = sum(size - 1 for size in sizes.values())
    few = "no face that is" if least == 1 else f"fewer than {least} faces that are"
    if unrated:
        notes = [*notes, f"{counted(unrated, 'photo shows', 'photos show')} {few} large enough; not rated."]
    notes = [*notes, *_shapes(photos)]
    lead = (
        f"The best {len(chosen)} of {counted(len(photos), 'photo', 'photos')}, for faces that look {asked['emotion']}."
    )
    if not chosen:
        why = "no photo shows a face" if least == 1 else f"every photo shows {few}"
        lead = f"None can be chosen: {why} large enough to be read."
    pictures = [
        Picture(shown[photo.file], f"{rank}. {photo.file.name}", _why(photo, sizes[photo.group]))
        for rank, photo in enumerate(chosen, 1)
        if photo.file in shown
    ]
    unseen = [(rank, photo) for rank, photo in enumerate(chosen, 1) if photo.file not in shown]
    best_parts: list[Part] = [Pictures(pictures)] if pictures else []
    if unseen:
        rows = [(str(rank), photo.file.name, _why(photo, sizes[photo.group])) for rank, photo in unseen]
        best_parts.append(Table(("#", "photo", "score"), rows))
    sections = [Section("The best", best_parts)] if chosen else []
    if repeated:
        sections.append(_repeats(photos, chosen, sizes))
    best = chosen[0].score if chosen else None
    return Report(
        kind="album",
        title="The best photos",
        lead=lead,
        facts=[
            Fact("Chosen", f"{len(chosen)} of {len(photos):,}", "", len(chosen)),
            Fact("Best score", "–" if best is None else f"{best:.0f} of 100", "", best),
            Fact("Near-duplicates", f"{repeated:,}", "beyond the first of each group", repeated),
            Fact("Not rated", f"{unrated:,}", "too few readable faces", unrated),
        ],
        sections=sections,
        notes=notes,
        definitions=_definitions(str(asked["emotion"])),
        data=[Data("photos", _table(photos, chosen), COLUMNS)],
        files={".sheet.jpg": contact_sheet(pictures)} if pictures else {},
        asked=asked,
    )


def _shapes(photos: Sequence[Photo]) -> list[str]:
    """Return what is to be said where photos have different sizes."""
    shapes = {(photo.measured.width, photo.measured.height) for photo in photos}
    if len(shapes) < 2:
        return []
    least, most = min(shapes, key=math.prod), max(shapes, key=math.prod)
    return [
        (
            f"The photos have {len(shapes):,} different sizes, {least[0]:,} x {least[1]:,} to {most[0]:,} x "
            f"{most[1]:,} pixels; each face is scaled to one size before sharpness and exposure are measured."
        )
    ]


def _why(photo: Photo, size: int) -> str:
    rated_parts = (name for name in ("expression", "sharpness", "pose") if name in photo.parts)
    parts = ", ".join(f"{name} {100 * photo.parts[name]:.0f}" for name in rated_parts)
    of = f"; best of {size} alike" if size > 1 else ""
    return f"{photo.score or 0:.0f} · {parts}; {counted(photo.readable, 'face', 'faces')}{of}"


def _repeats(photos: Sequence[Photo], chosen: Sequence[Photo], sizes: Counter[int]) -> Section:
    taken = {photo.file for photo in chosen}
    best = best_of_groups(photos)
    rows = []
    for group, size in sizes.most_common(40):
        if size < 2:
            break
        members = sorted(
            (p for p in photos if p.group == group), key=lambda p: (p is not best.get(group), -(p.score or -1))
        )
        names = ", ".join(photo.file.name for photo in members[1:8])
        more = f" and {size - 8} more" if size > 8 else ""
        rows.append((members[0].file.name, "yes" if members[0].file in taken else "", f"{size}", names + more))
    return Section("Near-duplicates", [Table(("best of the group", "chosen", "#photos", "the others"), rows)])


def _definitions(emotion: str) -> list[tuple[str, str]]:
    weights = ", ".join(f"`{name}` {weight:g}" for name, weight in WEIGHTS.items())
    return [
        (
            "Score",
            (
                f"100 x the geometric mean of the parts, each at least 0.01, with the weights {weights}. Parts that "
                "are not known are left out."
            ),
        ),
        (
            "Expression",
            (
                f"The geometric mean of the probability of {emotion}, at least {FAINT:g}, over the readable faces: all "
                "have to show it."
            ),
        ),
        (
            "Sharpness",
            f"s / (s + {SHARP:g}), s: the median over the faces of the Laplacian's variance over the face's own.",
        ),
        ("Pose", "Mean over the faces; 1: nose in the middle between level eyes."),
        ("Exposure", "Mean over the faces; 1: middling brightness, enough contrast, nothing burnt out or black."),
        ("Size", "The median of the faces' longer sides over a quarter of the photo's shorter side, at most 1."),
        (
            "Near-duplicates",
            (
                f"Fingerprints that differ in at most {SAME_BITS} of 64 bits, or in {BURST_BITS} if taken within "
                f"{BURST_S:g} s."
            ),
        ),
        (
            "Chosen",
            (
                f"The best of each group, of those whose sharpness x exposure is at least {100 * SOUND:.0f} % of the "
                "group's highest: none that is clearly darker, more burnt or blurred than another. A photo like one "
                f"chosen before loses up to {100 * ALIKE:.0f} % of its score."
            ),
        ),
    ]


def _table(photos: Sequence[Photo], chosen: Sequence[Photo]) -> Any:
    import polars as pl

    ranks = {photo.file: rank for rank, photo in enumerate(chosen, 1)}
    rows = [
        (
            *(
                as_text(photo.file),
                ranks.get(photo.file),
                photo.score,
                photo.group,
                len(photo.measured.looks),
                photo.readable,
            ),
            *(photo.parts.get(name) for name in WEIGHTS),
            *(photo.measured.width, photo.measured.height, photo.measured.time, photo.measured.fingerprint),
        )
        for photo in photos
    ]
    kinds: dict[str, Any] = dict.fromkeys(COLUMNS, pl.Float64)
    kinds |= dict.fromkeys(("rank", "group", "faces", "readable", "width", "height"), pl.Int64)
    kinds |= {"file": pl.String, "fingerprint": pl.String, "time": pl.Datetime("us", "UTC")}
    return pl.DataFrame(rows, schema=kinds, orient="row")
