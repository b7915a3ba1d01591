"""An audience's reactions to events: height, latency, window, and who reacted, from each viewer's course."""

from __future__ import annotations

import bisect
import math
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from mien.observation import EMOTIONS
from mien.reports.check.figure import Figure, Row
from mien.reports.check.files import ReportFiles

__all__ = ["event_figures"]

STEP_S = 0.25
TAKES_S = 5.0
MAX_STEPS = 500_000_000
"""So many points of viewers' courses are looked at, at most; an audience of 200 at 100 events takes a tenth of that."""


def event_figures(report: ReportFiles) -> Iterator[Figure]:
    """Height, latency, share and window of each reaction, from each viewer's course; what landed, from its p."""
    import polars as pl

    number = pl.Float64
    events = report.table("events", {"at": number, "length": number}).sort("at").to_dicts()
    reactions = report.table(
        "reactions",
        {"event": pl.String, "emotion": pl.String, "cut": pl.Boolean, "viewers": number}
        | dict.fromkeys(("at", "length", "height", "p", "latency", "reacted", "reacted_share", "window"), number),
    ).to_dicts()
    landed = sum(row["p"] is not None and row["p"] < 0.05 and row["height"] > 0 for row in reactions)
    landed_fact = report.figures.fact("Events with a reaction").value
    if landed_fact is not None:
        yield Figure("events with a reaction", landed_fact, landed)
    if not report.has("courses"):
        return
    watched = report.figures.fact("Watched").value or 0.0
    baseline, window = (float(report.figures.asked[name]) for name in ("baseline_s", "window_s"))
    if not (1 <= baseline <= 300 and 1 <= window <= 300 and 0 <= watched <= 10_000_000):
        raise ValueError("its baseline, window or length is none that can be asked for")
    if not set(row["emotion"] for row in reactions) <= set(EMOTIONS):  # noqa: C401
        raise ValueError("its emotions are not the seven")
    courses = _Courses(report, {row["emotion"] for row in reactions})
    yield Figure("viewers", report.figures.fact("Viewers").value, len(courses.points), apart=courses.unseen(report))
    looks = {look.at: look for look in _looks(events, baseline, window)}
    quiet = _quiet(events, baseline, window, watched)
    usual: dict[tuple[str, float], list[float | None] | None] = {}
    for row in reactions:
        look, name = looks[row["at"]], f"{row['event']} ({row['emotion']})"
        yield Figure(f"{name}: window", row["window"], look.length, 1e-6)
        yield Figure(f"{name}: cut by the next event", float(bool(row["cut"])), float(look.cut))
        yield from _reaction(name, row, courses.rises(row["emotion"], look))
        key = (row["emotion"], look.length)
        if key not in usual:
            usual[key] = _usual(courses, row["emotion"], quiet, baseline, look.length)
        yield from _reacted(name, row, courses.rises(row["emotion"], look), usual[key])


@dataclass(frozen=True)
class _Look:
    """Where a reaction is looked for, in seconds."""

    at: float
    baseline: float
    length: float
    cut: bool = False


def _looks(events: list[Row], baseline: float, window: float) -> Iterator[_Look]:
    """Yield where each event's reaction is looked for: until the next, from what is quiet after the one before."""
    for number, event in enumerate(events):
        whole = event["length"] + window
        until = events[number + 1]["at"] - event["at"] if number + 1 < len(events) else math.inf
        over = events[number - 1]["at"] + events[number - 1]["length"] + TAKES_S if number else 0.0
        before = min(baseline, max(1.0, event["at"] - over))
        yield _Look(event["at"], before, min(whole, until), whole > until)


def _quiet(events: list[Row], baseline: float, window: float, watched: float) -> list[tuple[float, float]]:
    """Return from when until when there is neither an event nor a reaction to one."""
    free, since = [], 0.0
    for event in [*events, {"at": watched, "length": 0.0}]:
        if event["at"] - since > baseline:
            free.append((since, event["at"]))
        since = max(since, event["at"] + event["length"] + window)
    return free


class _Courses:
    """What each viewer showed, by points of a quarter of a second."""

    def __init__(self, report: ReportFiles, emotions: set[str]) -> None:
        import polars as pl

        kinds = {"viewer": pl.String, "at": pl.Float64} | dict.fromkeys(sorted(emotions), pl.Float64)
        table = report.table("courses", kinds).drop_nulls().with_columns((pl.col("at") / STEP_S).round())
        viewers = table.partition_by("viewer", maintain_order=True)
        self.points = [[int(at) for at in part["at"]] for part in viewers]
        self._values = {name: [part[name].to_list() for part in viewers] for name in emotions}
        self._steps = 0

    def unseen(self, report: ReportFiles) -> float:
        """Return how many viewers have no row as no face of theirs was readable, of those that the report counts."""
        return max(0.0, (report.figures.fact("Viewers").value or 0.0) - len(self.points))

    def rises(self, emotion: str, look: _Look) -> list[dict[int, float] | None]:
        """Return of each viewer what lies above the mean before a moment, by the points after it.

        None where less than half of what is before or after is to be seen.
        """
        at, points = round(look.at / STEP_S), round((look.at + look.length) / STEP_S) - round(look.at / STEP_S)
        points = max(1, points)
        end = at - 2  # a point holds half a second before and after it
        first = min(at - round(look.baseline / STEP_S) + 2, end - 1)
        self._steps += len(self.points) * (points + end - first)
        if self._steps > MAX_STEPS:
            raise ValueError("it has more events and viewers than can be looked at")
        rises: list[dict[int, float] | None] = []
        for places, values in zip(self.points, self._values[emotion], strict=True):
            before = [value for _, value in _between(places, values, max(0, first), max(0, end))]
            after = {place - at: value for place, value in _between(places, values, max(0, at), at + points)}
            if not before or 2 * len(before) < max(1, end - first) or 2 * len(after) < points:
                rises.append(None)
            else:
                base = sum(before) / len(before)
                rises.append({place: value - base for place, value in after.items()})
        return rises


def _between(places: list[int], values: list[float], first: int, end: int) -> Iterator[tuple[int, float]]:
    low, high = bisect.bisect_left(places, first), bisect.bisect_left(places, end)
    return zip(places[low:high], values[low:high], strict=True)


def _reaction(name: str, row: Row, rises: list[dict[int, float] | None]) -> Iterator[Figure]:
    """Yield what the highest point of the viewers' mean tells, where at most a fifth is away and five are there."""
    judged = [rise for rise in rises if rise is not None]
    yield Figure(f"{name}: viewers", row["viewers"], len(judged))
    sums: dict[int, float] = defaultdict(float)
    counts: dict[int, int] = defaultdict(int)
    for rise in judged:
        for place, value in rise.items():
            sums[place] += value
            counts[place] += 1
    most = max(counts.values(), default=0)
    least = max(0.8 * most, min(5, most))
    means = {place: sums[place] / count for place, count in sorted(counts.items()) if count >= least}
    if not means:
        yield Figure(f"{name}: height", row["height"], None)
        return
    peak = max(means, key=means.__getitem__)
    yield Figure(f"{name}: height", row["height"], means[peak], 1e-5)
    # Where the mean is nearly as high at another moment, rounding decides which is the peak.
    level = any(means[place] > means[peak] - 1e-6 and place != peak for place in means)
    yield Figure(f"{name}: latency", row["latency"], peak * STEP_S, math.inf if level else STEP_S / 2)


def _reacted(
    name: str, row: Row, rises: list[dict[int, float] | None], usual: list[float | None] | None
) -> Iterator[Figure]:
    """Yield how many viewers rose further than they do in 95 % of the stretches without an event."""
    judged = sum(rise is not None for rise in rises)
    known = [
        (max(rise.values()), limit)
        for rise, limit in zip(rises, usual or [None] * len(rises), strict=True)
        if rise is not None and limit is not None
    ]
    if 2 * len(known) <= judged:
        yield Figure(f"{name}: reacted", row["reacted"], None)
        return
    hits = sum(highest >= limit for highest, limit in known)
    close = sum(abs(highest - limit) < 1e-6 for highest, limit in known)
    yield Figure(f"{name}: reacted", row["reacted"], hits, close)
    yield Figure(f"{name}: share", row["reacted_share"], hits / len(known), 1e-9 + close / len(known))


def _usual(
    courses: _Courses, emotion: str, quiet: list[tuple[float, float]], baseline: float, length: float
) -> list[float | None] | None:
    """Return the rise that each viewer seldom reaches without an event; None: too little is known.

    Of each stretch the highest rise is taken, in units of the viewer's own spread (the root of the mean square of the
    rises in the viewer's other stretches). The highest but 5 % of all of these, times a viewer's spread in all
    stretches, is what the viewer has to reach, and 0.1 at least.
    """
    moments = []
    for start, end in quiet:
        fits = max(0, math.ceil((end - length - start - baseline + 1e-9) / length))
        moments += [start + baseline + number * length for number in range(fits)]
    if len(moments) < 3:
        return None
    moments = moments[:: max(1, len(moments) // 200)]
    stretches = [courses.rises(emotion, _Look(at, baseline, length)) for at in moments]
    ratios: list[float] = []
    spreads: list[float | None] = []
    for rises in zip(*stretches, strict=True):
        own = [list(rise.values()) for rise in rises if rise is not None]
        if len(own) < 3:
            spreads.append(None)
            continue
        squares, counts = [sum(value * value for value in values) for values in own], [len(values) for values in own]
        total, count = sum(squares), sum(counts)
        spreads.append(math.sqrt(total / count))
        for values, square, number in zip(own, squares, counts, strict=True):
            if total - square > 0:
                ratios.append(max(values) / math.sqrt((total - square) / (count - number)))
    if len(ratios) < 20:
        return None
    high = sorted(ratios)[min(len(ratios), math.ceil(0.95 * (len(ratios) + 1))) - 1]
    return [None if spread is None else max(0.1, high * spread) for spread in spreads]
