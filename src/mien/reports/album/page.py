"""The wording and layout of the album report: photos and the chosen among them go in, a `Report` comes out."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mien.reports.album.contact_sheet import contact_sheet
from mien.reports.album.selection import (
    ALIKE,
    ASIDE,
    BURST_BITS,
    BURST_S,
    CLEAR,
    FAINT,
    LEVELS,
    OPEN,
    SAME_BITS,
    SHARP,
    SOUND,
    UPRIGHT,
    WEIGHTS,
    Filter,
    Photo,
    best_of_groups,
    passes,
)
from mien.reports.album.tables import COLUMNS, faces_table, photos_table, weights_table
from mien.reports.album.taste import FEWEST, FOLDS, Taste
from mien.reports.base.parts import Data, Fact, Part, Picture, Pictures, Section, Table
from mien.reports.base.report import Report
from mien.words import counted

__all__ = ["COLUMNS", "album_report", "bursts_of"]

PHRASES: dict[Filter, str] = {
    "everyone_smiles": "everyone smiles",
    "all_eyes_open": "all eyes are open",
    "everyone_looks": "everyone looks here",
}

BURSTS, IN_BURST = 12, 8
"""So many bursts are shown, the largest, and so many pictures of each."""


def album_report(
    photos: Sequence[Photo],
    chosen: Sequence[Photo],
    shown: dict[Path, bytes],
    notes: list[str],
    asked: dict[str, Any],
    bursts: Sequence[Sequence[Photo]] = (),
    taste: Taste | None = None,
) -> Report:
    """Return the report on an album.

    Args:
        photos: All photos.
        chosen: The best, the best first.
        shown: Their pictures, and those of bursts.
        notes: What was wrong with the input.
        asked: The request.
        bursts: Those to be shown, each by time.
        taste: What was learned of photos chosen before; None: nothing was asked.
    """
    only: list[Filter] = asked["only"]
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
    if only:
        words = " and ".join(PHRASES[name] for name in only)
        passing = sum(passes(photo, only) for photo in photos)
        unsure = sum(_may_pass(photo, only) for photo in photos)
        lead += f" Only those on which {words}."
        notes = [*notes, _filtered(words, passing, unsure)]
    if not chosen:
        why = "no photo shows a face" if least == 1 else f"every photo shows {few}"
        lead = f"None can be chosen: {why} large enough to be read."
        if only and unrated < len(photos):
            lead = f"None can be chosen: of no photo it is known that {words}."
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
    if taste:
        sections.append(_taste(taste))
    if repeated:
        sections += _repeats(photos, chosen, sizes, only, bursts, shown)
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
        definitions=_definitions(str(asked["emotion"]), taste),
        data=[
            Data("photos", photos_table(photos, chosen, only), COLUMNS["photos"]),
            Data("weights", weights_table(taste), COLUMNS["weights"]),
            *([] if asked["anonymous"] else [Data("faces", faces_table(photos), COLUMNS["faces"])]),
        ],
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


def _may_pass(photo: Photo, only: Sequence[Filter]) -> bool:
    """Return whether a photo fails only for what is not known of it."""
    answers = [photo.flags.get(name) for name in only]
    return photo.score is not None and None in answers and False not in answers


def _filtered(words: str, passing: int, unsure: int) -> str:
    line = f"{counted(passing, 'rated photo passes', 'rated photos pass')} \u201c{words}\u201d"
    if unsure:
        line += f"; of {unsure:,} more it cannot be told, as a face does not show it"
    return line + "."


def bursts_of(photos: Sequence[Photo]) -> list[list[Photo]]:
    """Return the largest groups of near-duplicates, each by time, and they too; those without a time last, by name."""
    groups: dict[int, list[Photo]] = {}
    for photo in photos:
        groups.setdefault(photo.group, []).append(photo)
    largest = sorted((group for group in groups.values() if len(group) > 1), key=len, reverse=True)[:BURSTS]
    return sorted((_by_time(group) for group in largest), key=lambda group: _when(group[0]))


def _by_time(photos: Sequence[Photo]) -> list[Photo]:
    return sorted(photos, key=_when)


def _when(photo: Photo) -> tuple[bool, float, str]:
    time = photo.measured.time
    return time is None, 0.0 if time is None else time.timestamp(), str(photo.file)


def _taste(taste: Taste) -> Section:
    rated_photos = (
        f"{counted(taste.chosen, 'photo', 'photos')} chosen before and {taste.others:,} others that are rated"
    )
    if taste.own is None or taste.standing is None:
        line = (
            f"Nothing was learned: of {rated_photos}, at least {FEWEST} of both are needed. The standing weights are "
            "used."
        )
        return Section("Your taste", [line])
    line = (
        f"Of {rated_photos}: of all pairs of both, the standing weights put the chosen first in "
        f"{100 * taste.standing:.0f} %, weights of your own in {100 * taste.own:.0f} % of the pairs that they were not "
        "fitted on. "
    )
    if not taste.used:
        return Section("Your taste", [line + "That is no better, or may be chance: the standing weights are used."])
    rows = [(name, f"{before:g}", f"{taste.weights[name]:.3f}") for name, before in WEIGHTS.items()]
    return Section("Your taste", [line + "They are used:", Table(("part", "#standing weight", "#your weight"), rows)])


def _repeats(
    photos: Sequence[Photo],
    chosen: Sequence[Photo],
    sizes: Counter[int],
    only: Sequence[Filter],
    bursts: Sequence[Sequence[Photo]],
    shown: dict[Path, bytes],
) -> list[Section]:
    taken = {photo.file for photo in chosen}
    best = best_of_groups(photos, only)
    members: dict[int, list[Photo]] = {}
    for photo in photos:
        members.setdefault(photo.group, []).append(photo)
    rows = []
    for group, size in sizes.most_common(40):
        if size < 2:
            break
        first = best.get(group)
        others = [photo for photo in _by_time(members[group]) if photo is not first]
        if first is None:
            first, others = others[0], others[1:]
        names = ", ".join(photo.file.name for photo in others[:7])
        more = f" and {size - 8} more" if size > 8 else ""
        rows.append((first.file.name, "yes" if first.file in taken else "", f"{size}", names + more))
    sections = []
    for number, burst in enumerate(bursts, 1):
        there = [photo for photo in burst if photo.file in shown]
        pictures = [
            Picture(shown[photo.file], photo.file.name, _place(photo, best.get(photo.group)))
            for photo in there[:IN_BURST]
        ]
        if pictures:
            more = f", the first {IN_BURST} shown" if len(there) > IN_BURST else ""
            caption = f"Burst {number} of {len(bursts)}: {counted(len(burst), 'photo', 'photos')} by time{more}."
            sections.append(Pictures(pictures, caption))
    table = Table(("best of the group", "chosen", "#photos", "the others, by time"), rows)
    return [*([Section("Bursts", sections)] if sections else []), Section("Near-duplicates", [table])]


def _place(photo: Photo, best: Photo | None) -> str:
    """Return when a photo of a burst was taken, its score, and whether it is the best."""
    time = photo.measured.time
    texts = [
        "no time" if time is None else f"{time:%H:%M:%S}",
        "not rated" if photo.score is None else f"{photo.score:.0f}",
    ]
    return " · ".join([*texts, *(["the best"] if photo is best else [])])


def _definitions(emotion: str, taste: Taste | None) -> list[tuple[str, str]]:
    weights = ", ".join(f"`{name}` {weight:g}" for name, weight in (taste.weights if taste else WEIGHTS).items())
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
            (
                f"s / (s + {SHARP:g}), s: the median over the faces of the Laplacian's variance over the face's own; "
                "times what noise and the blocks of strong compression leave of the photo."
            ),
        ),
        ("Pose", "Mean over the faces; 1: nose in the middle between level eyes."),
        ("Exposure", "Mean over the faces; 1: middling brightness, enough contrast, nothing burnt out or black."),
        (
            "Eyes",
            "The geometric mean over the faces whose eyes the model sees; 1: open. Sunglasses are not told from eyes.",
        ),
        (
            "Looks",
            (
                "The geometric mean over the faces whose direction the model sees; 1: towards the camera. The head's "
                "direction, not the eyes'."
            ),
        ),
        (
            "Filters",
            (
                f"Everyone smiles: each readable face is happy with at least {CLEAR:g}. All eyes open: at least "
                f"{OPEN:g} open, where closed is near 0.1 and usual 0.6. Everyone looks: yaw, and pitch from "
                f"{UPRIGHT:g}°, at most {ASIDE:g}°. A face that does not tell fails."
            ),
        ),
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
                f"The best of each group, of those whose sharpness x exposure x levels to the power of {LEVELS} is at "
                f"least {100 * SOUND:.0f} % of the group's highest: none that is clearly darker, more burnt or blurred "
                f"than another. A photo like one chosen before loses up to {100 * ALIKE:.0f} % of its score."
            ),
        ),
        (
            "Your taste",
            (
                "A logistic regression of photos chosen before against the others, on the logarithms of the parts; no "
                f"weight below 0, a ridge around the standing weights; judged by {FOLDS} folds."
            ),
        ),
    ]
