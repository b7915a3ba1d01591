"""Who faces the screen, from where each viewer's head was turned in each second."""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Generator, Iterator
from typing import Any

from mien.reports.check.figure import Figure, Row, furthest
from mien.reports.check.files import ReportFiles
from mien.reports.check.intervals import estimated

__all__ = ["attention_figures"]

ASIDE, LEAST_S = 20.0, 20
Z = statistics.NormalDist().inv_cdf(0.975)


def attention_figures(report: ReportFiles) -> Iterator[Figure]:
    """Each viewer's usual direction and share, how many face the screen in each second, and the figure on top."""
    import polars as pl

    number = pl.Float64
    kinds: dict[str, Any] = {"group": pl.String} | dict.fromkeys(
        ("second", "viewers", "unknown", "facing", "low", "high"), number
    )
    rows = report.table("attention", kinds).with_columns(pl.col("group").fill_null("")).to_dicts()
    ends = [_wilson(row["facing"], row["viewers"]) for row in rows]
    for place, end in enumerate(("low", "high")):
        name = f"share that faces the screen, {'upper' if place else 'lower'} end"
        yield furthest(name, [row[end] for row in rows], [pair[place] for pair in ends], 1e-9)
    if not report.has("heads"):
        return
    columns: dict[str, Any] = {"viewer": pl.String, "group": pl.String}
    columns |= dict.fromkeys(("known_s", "usual_yaw", "usual_pitch", "facing"), number)
    heads = report.table("heads", columns).with_columns(pl.col("group").fill_null("")).to_dicts()
    turned: dict[str, dict[int, tuple[float, float]]] = defaultdict(dict)
    kinds = {"viewer": pl.String, "second": number, "yaw": number, "pitch": number}
    for viewer, second, yaw, pitch in report.table("turned", kinds).drop_nulls().rows():
        turned[viewer][round(second)] = (yaw, pitch)
    counts: dict[tuple[str, int], list[int]] = defaultdict(lambda: [0, 0])
    sizes: dict[str, int] = defaultdict(int)
    shares = []
    for row in heads:
        groups = {"", row["group"]}
        for group in groups:
            sizes[group] += 1
        facing = yield from _viewer(row, turned[row["viewer"]])
        for second, faces in facing.items():
            for group in groups:
                counts[group, second][0] += 1
                counts[group, second][1] += faces
        if facing:
            shares.append((sum(facing.values()) / len(facing), 1.0))
    yield Figure("seconds in which it is known who faces the screen", len(rows), len(counts))
    of = [counts[row["group"], round(row["second"])] for row in rows]
    yield furthest("viewers whose heads are known, in a second", [row["viewers"] for row in rows], [c[0] for c in of])
    unknown = [sizes[row["group"]] - count for row, (count, _) in zip(rows, of, strict=True)]
    yield furthest("viewers whose heads are not known, in a second", [row["unknown"] for row in rows], unknown)
    computed = [hits / count if count else None for count, hits in of]
    yield furthest("share that faces the screen, in a second", [row["facing"] for row in rows], computed, 1e-9)
    fact = report.figures.fact("Faced the screen")
    if shares:
        yield from estimated("faced the screen, of the facts", shares, fact.value, fact.low, fact.high)
    else:
        yield Figure("faced the screen, of the facts", fact.value, None)


def _viewer(row: Row, turned: dict[int, tuple[float, float]]) -> Generator[Figure, None, dict[int, bool]]:
    """Yield where a viewer's head is usually turned; return in which of the seconds it faces the screen."""
    name = row["viewer"]
    yield Figure(f"seconds in which the head of {name} is known", row["known_s"], len(turned))
    if len(turned) < LEAST_S:
        yield Figure(f"share in which {name} faces the screen", row["facing"], None)
        return {}
    yaw, pitch = (statistics.median(angles[place] for angles in turned.values()) for place in (0, 1))
    yield Figure(f"where the head of {name} is usually turned, aside", row["usual_yaw"], yaw, 1e-6)
    yield Figure(f"where the head of {name} is usually turned, down", row["usual_pitch"], pitch, 1e-6)
    facing = {
        second: abs(angles[0] - yaw) <= ASIDE and abs(angles[1] - pitch) <= ASIDE for second, angles in turned.items()
    }
    yield Figure(f"share in which {name} faces the screen", row["facing"], sum(facing.values()) / len(facing), 1e-9)
    return facing


def _wilson(share: float | None, count: float | None) -> tuple[float | None, float | None]:
    """Return the ends of a share: where the score test of it has p = 0.05."""
    if share is None or not count:
        return None, None
    a, b, c = 1 + Z * Z / count, -(2 * share + Z * Z / count), share * share
    root = math.sqrt(max(0.0, b * b - 4 * a * c))
    return (-b - root) / (2 * a), (-b + root) / (2 * a)
