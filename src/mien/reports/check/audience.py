"""The figures of a report on an audience: reactions to events, and what moved the viewers together."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mien.observation import EMOTIONS
from mien.reports.check.attention import attention_figures
from mien.reports.check.events import event_figures
from mien.reports.check.figure import Figure, Row
from mien.reports.check.files import ReportFiles
from mien.reports.check.intervals import estimated
from mien.reports.check.own_level import above_of_viewers
from mien.reports.check.synchrony import (
    MAX_POINTS,
    PER_SECOND,
    Viewer,
    checked_clusters,
    checked_headlines,
    checked_moments,
    checked_pairs,
)

__all__ = ["audience_figures"]


def audience_figures(report: ReportFiles) -> Iterator[Figure]:
    """What the report says of reactions to events, of moving together, of usual faces and of facing the screen."""
    if report.has("reactions"):
        yield from event_figures(report)
    yield from _together(report)
    if report.has("above_usual"):
        yield from above_of_viewers(report)
    if report.has("attention"):
        yield from attention_figures(report)


def _together(report: ReportFiles) -> Iterator[Figure]:
    """Synchrony, headline and stretches, from each viewer's course; what is beyond chance, from its p."""
    import polars as pl

    text, number = pl.String, pl.Float64
    moments = report.table(
        "moments",
        {"group": text, "emotion": text}
        | dict.fromkeys(("at", "synchrony", "low", "high", "p", "start", "end", "change", "viewers"), number),
    ).to_dicts()
    names = [f"{figure}{end}" for figure in ("synchrony", "peak", "laughs") for end in ("", "_low", "_high")]
    names += ["viewers", "peak_at", "peak_viewers"]
    headlines = report.table("headline", {"group": text} | dict.fromkeys(names, number)).to_dicts()
    fact = report.figures.fact
    printed = fact("Moments that moved people together").value
    if printed is not None:
        yield Figure("moments beyond chance", printed, sum(row["p"] < 0.05 for row in moments))
    for row in headlines:
        own = fact(f"{row['group']}: mean synchrony" if len(headlines) > 1 else "Mean synchrony")
        yield Figure(f"{own.name}, of the facts", own.value, row["synchrony"], 1e-9)
        if len(headlines) == 1:
            yield Figure("peak, of the facts", fact("Most showed happy at once").value, row["peak"], 1e-9)
            yield Figure("laughs, of the facts", fact("Laughs a minute").value, row["laughs"], 1e-9)
    if report.has("contrasts"):
        yield from _contrasts(report, headlines)
    if report.has("courses"):
        yield from _together_by_courses(report, moments, headlines)


def _contrasts(report: ReportFiles, headlines: list[Row]) -> Iterator[Figure]:
    import polars as pl

    by_group = {row["group"]: row for row in headlines}
    kinds = {"what": pl.String, "first_group": pl.String, "second_group": pl.String, "difference": pl.Float64}
    for row in report.table("contrasts", kinds).iter_rows(named=True):
        ends = [by_group[row[place]][row["what"]] for place in ("first_group", "second_group")]
        computed = None if None in ends else ends[0] - ends[1]
        yield Figure(
            f"{row['what']}, {row['first_group']} less {row['second_group']}", row["difference"], computed, 1e-6
        )


def _together_by_courses(report: ReportFiles, moments: list[Row], headlines: list[Row]) -> Iterator[Figure]:
    import polars as pl

    text, number = pl.String, pl.Float64
    watched, window = report.figures.fact("Watched").value or 0.0, float(report.figures.asked["window_s"])
    if not (1 <= window <= 300 and 0 <= watched <= 10_000_000):
        raise ValueError("its window or length is none that can be asked for")
    points = round(watched * PER_SECOND)
    table = report.table("courses", {"viewer": text, "group": text, "at": number} | dict.fromkeys(EMOTIONS, number))
    viewers = [
        Viewer(
            str(part["viewer"][0]),
            str(part["group"][0] or ""),
            [round(at * PER_SECOND) for at in part["at"]],
            part.select(EMOTIONS).rows(),
        )
        for part in table.drop_nulls(["viewer", "at", *EMOTIONS]).partition_by("viewer", maintain_order=True)
    ]
    if len(viewers) * points > MAX_POINTS:
        raise ValueError("it has more viewers and seconds than can be looked at")
    yield from checked_moments(moments, viewers, points)
    for row, name, synchrony, laughs, others in checked_headlines(headlines, viewers, points, round(window)):
        yield from others
        for kind, units in (("synchrony", synchrony), ("laughs", laughs)):
            if units:
                ends = (row[kind], row[f"{kind}_low"], row[f"{kind}_high"])
                yield from estimated(f"{kind} of {name}", units, *ends)
            else:
                yield Figure(f"{kind} of {name}", row[kind], None)
    if report.has("clusters"):
        kinds: dict[str, Any] = {"first_group": text, "second_group": text, "emotion": text}
        kinds |= dict.fromkeys(("start", "end", "difference", "mass"), number)
        yield from checked_clusters(report.table("clusters", kinds).to_dicts(), viewers)
    if report.has("pairs"):
        rows = report.table("pairs", {"first": text, "second": text, "synchrony": number}).to_dicts()
        yield from checked_pairs(rows, viewers)
