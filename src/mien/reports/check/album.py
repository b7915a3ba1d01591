"""The figures of a report on an album: the score of each photo, the groups, and which photos are chosen."""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mien.observation import EMOTIONS
from mien.reports.check.figure import Figure, Row
from mien.reports.check.files import ReportFiles

__all__ = ["album_figures"]

PARTS = ("expression", "sharpness", "pose", "exposure", "size", "eyes", "looks")
FILTERS = ("everyone_smiles", "all_eyes_open", "everyone_looks")
MAX_PHOTOS = 30_000


def album_figures(report: ReportFiles) -> Iterator[Figure]:
    """The score of each photo from its parts, the groups of near-duplicates, and which photos are chosen."""
    import polars as pl

    text, number = pl.String, pl.Float64
    photos = report.table(
        "photos",
        {"file": text, "fingerprint": text, "time": pl.Datetime("us", "UTC"), "rank": number, "group": number}
        | dict.fromkeys(("score", "levels", "clean", "width", "height", "stars", *PARTS), number)
        | dict.fromkeys((*FILTERS, "rejected"), pl.Boolean),
    ).to_dicts()
    weights, standing = _weights(report)
    for photo in photos:
        parts = {name: photo[name] for name in PARTS if photo[name] is not None}
        score = None
        if parts:
            of = weights if sum(weights[name] for name in parts) > 0 else standing
            logs = sum(of[name] * math.log(max(share, 0.01)) for name, share in parts.items())
            score = 100 * math.exp(logs / sum(of[name] for name in parts))
        if score is not None or photo["score"] is not None:
            name = Path(photo["file"]).name
            yield Figure(f"score of {name}", photo["score"], score, 1e-6)
            number_of_stars = None if score is None else min(5, 1 + math.floor(score / 20))
            close = score is not None and abs(score / 20 - round(score / 20)) < 1e-6
            yield Figure(f"stars of {name}", photo["stars"], number_of_stars, 1 if close else 0)
    if report.has("faces"):
        yield from _faces(report, photos)
    groups = _groups(photos)
    yield Figure("groups", len({photo["group"] for photo in photos}), len(set(groups)))
    only = [str(name) for name in report.figures.asked["only"]]
    if not set(only) <= set(FILTERS):
        raise ValueError("its filters are none that can be asked for")
    first = _best_of_groups(photos, groups, only)
    lost = [
        photo["score"] is not None and group in first and first[group] is not photo
        for photo, group in zip(photos, groups, strict=True)
    ]
    yield Figure("rejected", sum(bool(photo["rejected"]) for photo in photos), sum(lost))
    chosen = _chosen(list(first.values()), int(report.figures.asked["best"]))
    for rank, photo in enumerate(chosen, 1):
        yield Figure(f"rank of {Path(photo['file']).name}", photo["rank"], rank)
    fact = report.figures.fact
    yield Figure("chosen", sum(photo["rank"] is not None for photo in photos), len(chosen))
    yield Figure("chosen, of the facts", fact("Chosen").value, len(chosen))
    yield Figure("best score", fact("Best score").value, chosen[0]["score"] if chosen else None, 1e-6)
    yield Figure("near-duplicates", fact("Near-duplicates").value, len(photos) - len(set(groups)))
    yield Figure("not rated", fact("Not rated").value, sum(photo["score"] is None for photo in photos))


def _weights(report: ReportFiles) -> tuple[dict[str, float], dict[str, float]]:
    """Return how much each part weighs in this report, and where nobody's taste was asked for."""
    import polars as pl

    columns: dict[str, Any] = {"part": pl.String, "used": pl.Float64, "standing": pl.Float64}
    rows = {row["part"]: row for row in report.table("weights", columns).iter_rows(named=True)}
    if set(rows) != set(PARTS) or any((row[name] or 0.0) < 0 for row in rows.values() for name in ("used", "standing")):
        raise ValueError("its weights are not those of the parts")
    return {name: rows[name]["used"] for name in PARTS}, {name: rows[name]["standing"] for name in PARTS}


def _faces(report: ReportFiles, photos: list[Row]) -> Iterator[Figure]:
    """The parts of each score and what holds of everybody, from the faces that are readable."""
    import polars as pl

    kinds = {"file": pl.String} | dict.fromkeys(
        ("width", "height", "sharpness", "exposure", "pose", "eyes", "yaw", "pitch", *EMOTIONS), pl.Float64
    )
    faces: dict[str, list[Row]] = defaultdict(list)
    for row in report.table("faces", kinds).iter_rows(named=True):
        if max(row["width"], row["height"]) >= 20:
            faces[row["file"]].append(row)
    asked = str(report.figures.asked["emotion"])
    if asked not in EMOTIONS:
        raise ValueError("its emotion is none of the seven")
    for photo in photos:
        if photo["score"] is None:
            continue
        own, name = faces[photo["file"]], Path(photo["file"]).name
        side = statistics.median([max(face["width"], face["height"]) for face in own])
        yield Figure(f"expression of {name}", photo["expression"], _all_have([face[asked] for face in own]), 1e-6)
        yield Figure(f"size of {name}", photo["size"], min(1, 4 * side / min(photo["width"], photo["height"])), 1e-6)
        if sharp := [face["sharpness"] for face in own if face["sharpness"] is not None]:
            middle = statistics.median(sharp)
            clean = 1.0 if photo["clean"] is None else photo["clean"]
            yield Figure(f"sharpness of {name}", photo["sharpness"], clean * middle / (middle + 0.1), 1e-6)
            for part in ("pose", "exposure"):
                values = [face[part] for face in own if face[part] is not None]
                yield Figure(f"{part} of {name}", photo[part], sum(values) / len(values), 1e-6)
        eyes = [min(1.0, (face["eyes"] - 0.1) / 0.3) for face in own if face["eyes"] is not None]
        yield Figure(f"eyes of {name}", photo["eyes"], _all_have(eyes) if eyes else None, 1e-6)
        aside = [math.hypot(face["yaw"], face["pitch"] - 9) for face in own if face["yaw"] is not None]
        looks = [math.exp(-((angle / 30) ** 2)) for angle in aside]
        yield Figure(f"looks of {name}", photo["looks"], _all_have(looks) if looks else None, 1e-6)
        answers = (
            [face["happy"] >= 0.5 for face in own],
            [None if face["eyes"] is None else face["eyes"] >= 0.3 for face in own],
            [None if face["yaw"] is None else max(abs(face["yaw"]), abs(face["pitch"] - 9)) <= 20 for face in own],
        )
        for flag, each in zip(FILTERS, answers, strict=True):
            yield Figure(f"{flag} of {name}", _word(photo[flag]), _word(_holds(each)))


def _all_have(shares: list[float]) -> float:
    return math.exp(sum(math.log(max(share, 0.05)) for share in shares) / len(shares))


def _holds(answers: list[bool | None]) -> bool | None:
    return False if False in answers else None if None in answers else True


def _word(answer: bool | None) -> str:
    return "unknown" if answer is None else "yes" if answer else "no"


def _best_of_groups(photos: list[Row], groups: list[int], only: list[str]) -> dict[int, Row]:
    """Return the best of each group, of those that pass and whose soundness is near the group's highest."""
    fit = [
        (photo, group, (photo["sharpness"] or 0.0) * (photo["exposure"] or 0.0) * _or_one(photo["levels"]) ** 3)
        for photo, group in zip(photos, groups, strict=True)
        if photo["score"] is not None and all(photo[name] for name in only)
    ]
    soundest: dict[int, float] = defaultdict(float)
    for _, group, value in fit:
        soundest[group] = max(soundest[group], value)
    first: dict[int, Row] = {}
    for photo, group, value in fit:
        if value >= 0.9 * soundest[group] and (group not in first or photo["score"] > first[group]["score"]):
            first[group] = photo
    return first


def _or_one(value: float | None) -> float:
    return 1.0 if value is None else value


def _chosen(first: list[Row], best: int) -> list[Row]:
    """Return the best of the groups' best, one unlike the other."""
    waiting = sorted(first, key=lambda photo: (-photo["score"], photo["file"]))
    alike = [0.0] * len(waiting)
    taken: list[Row] = []
    while waiting and len(taken) < min(best, 500):
        place = max(range(len(waiting)), key=lambda n: waiting[n]["score"] * (1 - 0.3 * alike[n]))
        now = waiting.pop(place)
        del alike[place]
        taken.append(now)
        alike = [max(before, 1 - _apart(now, photo) / 32) for before, photo in zip(alike, waiting, strict=True)]
    return taken


def _apart(photo: Row, other: Row) -> int:
    """Return in how many bits two fingerprints differ; half of them where one is unknown."""
    if not photo["fingerprint"] or not other["fingerprint"]:
        return 32
    return (int(photo["fingerprint"], 16) ^ int(other["fingerprint"], 16)).bit_count()


def _groups(photos: list[Row]) -> list[int]:
    """Return the group of each photo: near-duplicates, and near-duplicates of those."""
    prints = {int(photo["fingerprint"], 16): number for number, photo in enumerate(photos) if photo["fingerprint"]}
    if len(prints) > MAX_PHOTOS:
        raise ValueError(f"it has {len(prints):,} different photos, at most {MAX_PHOTOS:,} can be compared")
    links: list[list[int]] = [[] for _ in photos]
    for number, photo in enumerate(photos):
        if photo["fingerprint"]:
            links[number].append(prints[int(photo["fingerprint"], 16)])
    for code, number in prints.items():
        links[number] += [other for print_, other in prints.items() if (print_ ^ code).bit_count() <= 9]
    timed = sorted(
        (photo["time"].timestamp(), number)
        for number, photo in enumerate(photos)
        if photo["time"] and photo["fingerprint"]
    )
    for place, (at, number) in enumerate(timed):
        for later, other in timed[place + 1 : place + 31]:
            if later - at <= 3 and _apart(photos[number], photos[other]) <= 14:
                links[number].append(other)
    back: list[list[int]] = [[] for _ in photos]
    for number, others in enumerate(links):
        for other in others:
            back[other].append(number)
    group = [-1] * len(photos)
    for start in range(len(photos)):
        waiting = [start] if group[start] < 0 else []
        while waiting:
            number = waiting.pop()
            if group[number] < 0:
                group[number] = start
                waiting += links[number] + back[number]
    return group
