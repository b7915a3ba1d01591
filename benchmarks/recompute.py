"""Compute the figures of a report anew from the tables beside its page, by other means than the report's own.

    python benchmarks/recompute.py film.html [meeting.html …]

Nothing of Mien is imported: what is computed is what the page defines. Where a figure differs from the page's, the exit
code is 1. Intervals come from other draws, so their ends may differ by a tenth of their width.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import random
import statistics
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl

EMOTIONS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
STEP_S = 0.25
WEIGHTS = {"expression": 0.45, "sharpness": 0.2, "pose": 0.15, "exposure": 0.1, "size": 0.1}

Row = dict[str, Any]
Check = tuple[str, float | None, float | None, float]
"""What it is, the page's figure, the one computed here, and how far apart they may be."""


def main() -> None:
    """Print each figure twice."""
    options = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    options.add_argument("pages", type=Path, nargs="+")
    wrong = 0
    for page in options.parse_args().pages:
        for name, told, found, apart in checks(page):
            agree = told == found if told is None or found is None else abs(told - found) <= apart
            wrong += not agree
            print(f"{'ok ' if agree else 'NO '} {page.stem}: {name}: page {_shown(told)}, here {_shown(found)}")
    sys.exit(1 if wrong else 0)


def checks(page: Path) -> Iterator[Check]:
    """Yield each figure of a report, as it is told and as it is computed here."""
    figures = json.loads(page.with_suffix(".json").read_text(encoding="utf-8"))
    yield from {"film": film, "meeting": meeting, "audience": audience, "album": album}[figures["report"]](
        page, figures
    )


def table(page: Path, name: str) -> list[Row]:
    """Return the rows of a table beside a page."""
    path = page.with_name(f"{page.stem}.{name}.parquet")
    read = pl.read_parquet(path) if path.exists() else pl.read_csv(path.with_suffix(".csv"), infer_schema_length=None)
    return read.to_dicts()


def film(page: Path, figures: Row) -> Iterator[Check]:
    """The score of each film: the mean over readable faces, its interval from stretches of the running time."""
    facts = {fact["name"].removesuffix(": happiness").removesuffix("Happiness"): fact for fact in figures["facts"]}
    films = defaultdict(list)
    for row in table(page, "faces"):
        films[row["film"]].append(row)
    cut = defaultdict(list)
    for row in table(page, "stretches"):
        cut[row["film"]].append(row)
    for name, rows in films.items():
        fact = facts.get(name) or facts[""]
        times = sorted({row["at"] for row in rows})
        step = statistics.median(two - one for one, two in itertools.pairwise(times))
        length = cut[name][0]["seconds"] if cut[name] else 5.0
        last = max(0, int((times[-1] + step) / length + 1e-9) - 1)
        stretches: dict[int, tuple[float, float]] = {}
        for row in rows:
            if row["readable"]:
                at = min(last, int(row["at"] // length))
                total, count = stretches.get(at, (0.0, 0))
                stretches[at] = total + 100 * row["happy"], count + 1
        units = [stretches[at] for at in sorted(stretches)]
        total, count = sum(happy for happy, _ in units), sum(faces for _, faces in units)
        if count >= 20:
            for number, (unit, row) in enumerate(zip(units, cut[name], strict=True)):
                yield f"stretch {number} of {name}", 100 * row["happy"], unit[0], 1e-6
            widened = cut[name][0]["widened"]
            even = [(happy - faces * total / count, faces) for happy, faces in units]
            units = [(faces * total / count + (widened or 1) * away, faces) for away, faces in even]
            if widened is None or widened > 2:
                units = [(total, float(count))]
            yield from _estimated(f"happiness of {name}", units, fact["value"], fact["low"], fact["high"])
        else:
            yield f"happiness of {name}", fact["value"], None, 0


def meeting(page: Path, figures: Row) -> Iterator[Check]:
    """The room's happiness while anybody, and while each, spoke: utterances weighed by their faces."""
    said, fact = table(page, "utterances"), _fact(figures, "Happiness of the room")
    everybody = next(row for row in table(page, "speakers") if row["speaker"] is None)
    yield "happiness of the room", fact["value"], everybody["room_happiness"], 1e-9
    for mood in table(page, "speakers"):
        own = [row for row in said if mood["speaker"] in (None, row["speaker"])]
        units = [(100 * row["happy"] * row["faces"], row["faces"]) for row in own if row["happy"] is not None]
        name = mood["speaker"] or "everybody"
        yield f"utterances of {name}", mood["utterances"], len(own), 0
        yield f"seconds of {name}", mood["seconds"], sum(row["end"] - row["start"] for row in own), 0.01
        if units:
            yield from _estimated(f"the room with {name}", units, mood["room_happiness"], mood["low"], mood["high"])
        mine = [(row["speaker_happy"], row["speaker_faces"]) for row in own if row["speaker_happy"] is not None]
        if mine and mood["speaker"]:
            happy = 100 * sum(share * faces for share, faces in mine) / sum(faces for _, faces in mine)
            yield f"own happiness of {name}", mood["own_happiness"], happy, 1e-6
    yield "disagreements", _fact(figures, "Words and faces disagree")["value"], sum(row["disagrees"] for row in said), 0


def audience(page: Path, figures: Row) -> Iterator[Check]:
    """The height, latency, duration and share of each reaction, from each viewer's course."""
    viewers: dict[str, dict[int, Row]] = defaultdict(dict)
    for row in table(page, "courses"):
        viewers[row["viewer"]][round(row["at"] / STEP_S)] = row
    baseline, window = figures["asked"]["baseline_s"], figures["asked"]["window_s"]
    last = round(_fact(figures, "Watched")["value"] / STEP_S)
    told = table(page, "reactions")
    busy = [(one["at"] - window, one["at"] + one["length"] + window + baseline) for one in told]
    for one in told:
        points = round((one["length"] + window) / STEP_S)
        rises = [
            rise
            for course in viewers.values()
            if (rise := _rise(course, one["emotion"], one["at"], baseline, points)) is not None
        ]
        counts = [sum(at in rise for rise in rises) for at in range(points)]
        means = [
            sum(rise.get(at, 0.0) for rise in rises) / count if count and count >= 0.8 * max(counts) else -1.0
            for at, count in enumerate(counts)
        ]
        peak = max(range(points), key=means.__getitem__)
        name = f"{one['event']} ({one['emotion']})"
        yield f"{name}: viewers", one["viewers"], len(rises), 0
        yield f"{name}: height", one["height"], means[peak], 1e-5
        yield f"{name}: latency", one["latency"], peak * STEP_S, STEP_S / 2
        reacted = 0
        for course in viewers.values():
            rise = _rise(course, one["emotion"], one["at"], baseline, points)
            if rise is not None:
                usual = _usual(course, one["emotion"], busy, baseline, window, last)
                reacted += max(rise.values()) >= usual
        yield f"{name}: reacted", one["reacted"], reacted, 0
        yield f"{name}: share", one["reacted_share"], reacted / len(rises), 1e-9


def _rise(course: dict[int, Row], emotion: str, at: float, baseline: float, points: int) -> dict[int, float] | None:
    """Return what lies above the mean before an event at each point after it; None: too little is to be seen."""
    start = round(at / STEP_S)
    first, end = start - round(baseline / STEP_S) + 2, start - 2  # a point holds half a second before and after it
    before = [course[point][emotion] for point in range(max(0, first), max(0, end)) if point in course]
    after = {n: course[start + n][emotion] for n in range(points) if start + n in course}
    if 2 * len(before) < max(1, end - first) or 2 * len(after) < points or not before:
        return None
    base = sum(before) / len(before)
    return {n: share - base for n, share in after.items()}


def _usual(
    course: dict[int, Row], emotion: str, busy: list[tuple[float, float]], baseline: float, window: float, last: int
) -> float:
    """Return the rise that 95 % of a viewer's highest rises at times without an event stay below, at least 0.1."""
    free = []
    at = baseline
    while at < last * STEP_S - window:
        if not any(start <= at <= end for start, end in busy):
            free.append(at)
        at += 1
    quiet = free[:: max(1, len(free) // 200)]
    found = [_rise(course, emotion, at, baseline, round(window / STEP_S)) for at in quiet]
    highest = sorted(max(rise.values()) for rise in found if rise)
    if len(quiet) < 20 or len(highest) < 20:
        return 0.1
    place = 0.95 * (len(highest) - 1)
    below, above = highest[math.floor(place)], highest[math.ceil(place)]
    return max(0.1, below + (place - math.floor(place)) * (above - below) - 1e-6)


def album(page: Path, figures: Row) -> Iterator[Check]:
    """The score of each photo from its parts, the groups of near-duplicates, and which photos are chosen."""
    photos = table(page, "photos")
    for photo in photos:
        parts = {name: photo[name] for name in WEIGHTS if photo[name] is not None}
        if parts:
            mean = math.prod(max(share, 0.01) ** WEIGHTS[name] for name, share in parts.items())
            score = 100 * mean ** (1 / sum(WEIGHTS[name] for name in parts))
            yield f"score of {Path(photo['file']).name}", photo["score"], score, 1e-6
    groups = _groups(photos)
    yield "groups", len({photo["group"] for photo in photos}), len(set(groups)), 0
    best: dict[int, Row] = {}
    for photo, group in zip(photos, groups, strict=True):
        if photo["score"] is not None and (group not in best or photo["score"] > best[group]["score"]):
            best[group] = photo
    waiting = sorted(best.values(), key=lambda one: (-one["score"], one["file"]))
    taken: list[Row] = []
    while waiting and len(taken) < figures["asked"]["best"]:
        worth = [one["score"] * (1 - 0.3 * max((_alike(one, two) for two in taken), default=0.0)) for one in waiting]
        taken.append(waiting.pop(worth.index(max(worth))))
    for rank, photo in enumerate(taken, 1):
        yield f"rank of {Path(photo['file']).name}", photo["rank"], rank, 0
    yield "chosen", sum(photo["rank"] is not None for photo in photos), len(taken), 0


def _apart(one: Row, two: Row) -> int:
    """Return in how many bits two fingerprints differ; half of them where one is unknown."""
    if not one["fingerprint"] or not two["fingerprint"]:
        return 32
    return (int(one["fingerprint"], 16) ^ int(two["fingerprint"], 16)).bit_count()


def _alike(one: Row, two: Row) -> float:
    return max(0.0, 1 - _apart(one, two) / 32)


def _groups(photos: list[Row]) -> list[int]:
    """Return the group of each photo: near-duplicates, and near-duplicates of those."""
    group = list(range(len(photos)))
    for one, photo in enumerate(photos):
        for two in range(one):
            other = photos[two]
            burst = photo["time"] and other["time"] and abs((photo["time"] - other["time"]).total_seconds()) <= 3
            if _apart(photo, other) <= (14 if burst else 6) and group[one] != group[two]:
                group = [group[two] if of == group[one] else of for of in group]
    return group


def _fact(figures: Row, name: str) -> Row:
    found: Row = next(fact for fact in figures["facts"] if fact["name"] == name)
    return found


def _estimated(
    name: str, units: list[tuple[float, float]], value: float | None, low: float | None, high: float | None
) -> Iterator[Check]:
    """Yield a ratio of sums and its interval: a symmetric studentized bootstrap over the units."""
    ratio, error = _ratio(units)
    yield name, value, ratio, 1e-6
    if len(units) < 5 or not error:
        yield f"{name}, has no interval", float(low is not None), 0.0, 0
        return
    rng, far = random.Random(7), []
    for _ in range(4000):
        drawn, spread = _ratio(rng.choices(units, k=len(units)))
        far.append(abs(drawn - ratio) / spread if spread else math.inf)
    reach = sorted(far)[math.ceil(0.95 * 4000) - 1] * error
    if not math.isfinite(reach):
        yield f"{name}, has no interval", float(low is not None), 0.0, 0
        return
    yield f"{name}, lower end", low, ratio - reach, 0.2 * reach
    yield f"{name}, upper end", high, ratio + reach, 0.2 * reach


def _ratio(units: list[tuple[float, float]]) -> tuple[float, float]:
    """Return the ratio of the sums, and its standard error by the delta method."""
    n, total, count = len(units), sum(one for one, _ in units), sum(two for _, two in units)
    ratio = total / count
    squares = sum((one - ratio * two) ** 2 for one, two in units)
    return ratio, math.sqrt(squares * n / (n - 1)) / count if n > 1 and squares > 1e-12 else 0.0


def _shown(value: float | None) -> str:
    return "nothing" if value is None else f"{value:.4g}"


if __name__ == "__main__":
    main()
