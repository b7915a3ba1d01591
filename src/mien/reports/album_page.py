"""The wording and layout of the album report: photos and the chosen among them go in, a `Report` comes out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mien.reports.choice import ALIKE, BURST_BITS, BURST_S, SAME_BITS, SHARP, WEIGHTS, Photo
from mien.reports.recordings import READABLE
from mien.reports.report import Data, Fact, Picture, Pictures, Report, Section, Table, counted

__all__ = ["COLUMNS", "album_report"]

COLUMNS: dict[str, str] = {
    "file": "the photo",
    "rank": "1 for the best of the chosen; empty where it was not chosen",
    "score": "0 to 100; empty without a readable face",
    "group": "the number of its group of near-duplicates",
    "faces": "faces found",
    "readable": f"faces whose longer side has at least {READABLE} pixels",
    **{f"{name}": f"the part of the score, 0 to 1; weight {weight:g}" for name, weight in WEIGHTS.items()},
    "width": "of the upright photo, in pixels",
    "height": "of the upright photo, in pixels",
    "time": "when it was taken, UTC, as its EXIF data tell",
    "fingerprint": "64 bits, in hex, that photos of the same scene share for the most part",
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
    faceless = sum(photo.score is None for photo in photos)
    sizes = Counter(photo.group for photo in photos)
    repeated = sum(size - 1 for size in sizes.values())
    if faceless:
        notes = [*notes, f"{counted(faceless, 'photo shows', 'photos show')} no face that is large enough; not rated."]
    lead = (
        f"The best {len(chosen)} of {counted(len(photos), 'photo', 'photos')}, for faces that look {asked['emotion']}."
    )
    if not chosen:
        lead = "None can be chosen: no photo shows a face that is large enough to be read."
    pictures = [
        Picture(shown[photo.file], f"{rank}. {photo.file.name}", _why(photo, sizes[photo.group]))
        for rank, photo in enumerate(chosen, 1)
    ]
    sections = [Section("The best", [Pictures(pictures)])] if pictures else []
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
            Fact("Without a readable face", f"{faceless:,}", "not rated", faceless),
        ],
        sections=sections,
        notes=notes,
        definitions=_definitions(str(asked["emotion"])),
        data=[Data("photos", _table(photos, chosen), COLUMNS)],
        asked=asked,
    )


def _why(photo: Photo, size: int) -> str:
    parts = ", ".join(f"{name} {100 * photo.parts[name]:.0f}" for name in ("expression", "sharpness", "pose"))
    of = f"; best of {size} alike" if size > 1 else ""
    return f"{photo.score or 0:.0f} · {parts}; {counted(photo.readable, 'face', 'faces')}{of}"


def _repeats(photos: Sequence[Photo], chosen: Sequence[Photo], sizes: Counter[int]) -> Section:
    taken = {photo.file for photo in chosen}
    rows = []
    for group, size in sizes.most_common(40):
        if size < 2:
            break
        members = sorted((p for p in photos if p.group == group), key=lambda p: -(p.score or -1))
        names = ", ".join(photo.file.name for photo in members[1:8])
        more = f" and {size - 8} more" if size > 8 else ""
        rows.append((members[0].file.name, "yes" if members[0].file in taken else "", f"{size}", names + more))
    return Section("Near-duplicates", [Table(("best of the group", "chosen", "#photos", "the others"), rows)])


def _definitions(emotion: str) -> list[tuple[str, str]]:
    weights = ", ".join(f"`{name}` {weight:g}" for name, weight in WEIGHTS.items())
    return [
        ("Score", f"100 x the geometric mean of the parts, each at least 0.01, with the weights {weights}."),
        (
            "Expression",
            f"The geometric mean of the probability of {emotion} over the readable faces: all have to show it.",
        ),
        (
            "Sharpness",
            f"s / (s + {SHARP:g}), s: the median over the faces of the Laplacian's variance over the face's own.",
        ),
        ("Pose", "Mean over the faces; 1: nose in the middle between level eyes."),
        ("Exposure", "Mean over the faces; 1: middling brightness, nothing burnt out or black."),
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
            f"The best of each group; a photo like one chosen before loses up to {100 * ALIKE:.0f} % of its score.",
        ),
    ]


def _table(photos: Sequence[Photo], chosen: Sequence[Photo]) -> Any:
    import polars as pl

    ranks = {photo.file: rank for rank, photo in enumerate(chosen, 1)}
    rows = [
        (
            *(
                str(photo.file),
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
