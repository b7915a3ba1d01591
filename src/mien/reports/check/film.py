"""The figures of a report on films: the score and its stretches, the cast, the moments."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mien.reports.check.figure import Figure
from mien.reports.check.files import Fact, ReportFiles
from mien.reports.check.intervals import estimated
from mien.reports.check.own_level import above_of_films

if TYPE_CHECKING:
    import polars as pl

__all__ = ["film_figures"]


def film_figures(report: ReportFiles) -> Iterator[Figure]:
    """The score of each film: the mean over readable faces and time, its interval from stretches of it."""
    import polars as pl

    if not report.has("faces"):
        yield from _film_by_its_curve(report)
        return
    number, kinds = pl.Float64, ("happy", "sad", "surprise")
    faces = report.table(
        "faces",
        {"film": pl.String, "frame": pl.Int64, "at": number, "x": number, "readable": pl.Boolean, "read": pl.Boolean}
        | dict.fromkeys(kinds, number),
    )
    stretches = report.table(
        "stretches", {"film": pl.String, "happy": number, "face_seconds": number, "seconds": number, "widened": number}
    )
    films = faces.partition_by("film", maintain_order=True)
    for rows in films:
        name = rows["film"][0]
        fact = report.figures.fact(f"{name}: happiness" if len(films) > 1 else "Happiness")
        yield from _score(name, fact, rows, stretches.filter(pl.col("film") == name))
    if len(films) == 1 and any(fact.name == "Faces read" for fact in report.figures.facts):
        shown = faces.filter(pl.col("x").is_not_null())["frame"].n_unique() / max(1, faces["frame"].n_unique())
        yield Figure("frames with a face", report.figures.fact("Frames with a face").value, shown, 1e-9)
        read = len(faces.filter(pl.col("readable") & pl.col("read")))
        yield Figure("faces read", report.figures.fact("Faces read").value, read)
    if report.has("actors"):
        yield from _cast(report)
    if report.has("own_level"):
        yield from above_of_films(report)
    moments = report.table("moments", {"film": pl.String, "emotion": pl.String, "at": number, "value": number})
    means = (
        faces.filter(pl.col("readable") & pl.col("read"))
        .group_by("film", pl.col("at").floor().alias("second"))
        .agg(pl.col(kind).mean() for kind in kinds)
    )
    expected = moments.with_columns(pl.col("at").floor().alias("second")).join(means, on=["film", "second"], how="left")
    for row in expected.iter_rows(named=True):
        name = f"moment of {row['emotion']} at {row['at']:.1f} s of {row['film']}"
        yield Figure(name, row["value"], row[row["emotion"]], 1e-6)


def _score(name: str, fact: Fact, rows: pl.DataFrame, cut: pl.DataFrame) -> Iterator[Figure]:
    import polars as pl

    weighed, end = _weighed(rows)
    read = weighed.filter(pl.col("readable"))
    if read["read"].sum() < 20:
        yield Figure(f"happiness of {name}", fact.value, None)
        return
    if not (len(cut) and cut["seconds"][0] > 0):
        raise ValueError(f"{name} has no stretches")
    widened = cut["widened"][0]
    units = _stretches(read, cut["seconds"][0], end)
    yield Figure(f"stretches of {name}", len(cut), len(units))
    for number, (unit, row) in enumerate(zip(units, cut.iter_rows(named=True), strict=False), 1):
        yield Figure(f"stretch {number} of {name}, sum of happy", 100 * row["happy"], unit[0], 1e-6 * (1 + unit[1]))
        yield Figure(f"stretch {number} of {name}, face-seconds", row["face_seconds"], unit[1], 1e-6 * (1 + unit[1]))
    total, count = sum(happy for happy, _ in units), sum(faces for _, faces in units)
    yield Figure(f"happiness of {name}, in words", fact.shown, f"{total / count:.0f} of 100")
    yield from estimated(f"happiness of {name}", _widened(units, widened), fact.value, fact.low, fact.high)


def _weighed(rows: pl.DataFrame) -> tuple[pl.DataFrame, float]:
    """Return the rows of a film with the column `weight`, the seconds that a frame stands for, and the film's end."""
    looks = rows.select("frame", "at").unique("frame").sort("at", "frame")
    since = looks["at"].diff()
    usual = since.median()
    weight = since.fill_null(usual if isinstance(usual, float) else 0.2).clip(0.001, 2.0).alias("weight")
    times = rows["at"].unique().sort()
    step = times.diff().median() if len(times) > 1 else 0.2
    if not isinstance(step, float):
        raise ValueError("a film has no times")  # noqa: TRY004 - of a table
    return rows.join(looks.select("frame", weight), on="frame", maintain_order="left"), float(times[-1]) + step


def _stretches(read: pl.DataFrame, length: float, end: float) -> list[tuple[float, float]]:
    """Return 100 x happy x seconds, and the seconds, of each stretch of this length with a face."""
    import polars as pl

    last = max(0, int(end / length + 1e-9) - 1)
    sums = (
        read.group_by((pl.col("at") / length).floor().clip(0, last).alias("stretch"))
        .agg((100 * pl.col("happy") * pl.col("weight")).sum().alias("happy"), pl.col("weight").sum())
        .sort("stretch")
    )
    return list(zip(sums["happy"].to_list(), sums["weight"].to_list(), strict=True))


def _widened(units: list[tuple[float, float]], widened: float | None) -> list[tuple[float, float]]:
    """Return stretches whose distances from their common mean are widened; one alone where nothing can be said."""
    total, count = sum(happy for happy, _ in units), sum(faces for _, faces in units)
    if widened is None or widened > 2:
        return [(total, count)]
    return [(faces * total / count + widened * (happy - faces * total / count), faces) for happy, faces in units]


def _cast(report: ReportFiles) -> Iterator[Figure]:
    """Of each actor the score and the time on screen, over the rows that bear the name."""
    import polars as pl

    number = pl.Float64
    columns = {"film": pl.String, "frame": pl.Int64, "at": number, "x": number, "actor": pl.String}
    faces = report.table("faces", columns | {"readable": pl.Boolean, "read": pl.Boolean, "happy": number})
    rows, end = _weighed(faces)
    measured = ("seconds", "share", "faces", "happiness", "low", "high", "stretch_s", "widened")
    for actor in report.table("actors", {"actor": pl.String} | dict.fromkeys(measured, number)).to_dicts():
        name = actor["actor"]
        own = rows.filter(pl.col("actor") == name)
        read = own.filter(pl.col("readable"))
        shown = float(own["weight"].sum())
        yield Figure(f"time on screen of {name}", actor["seconds"], shown, 1e-6 * (1 + shown))
        yield Figure(f"share of the film of {name}", actor["share"], shown / end, 1e-6)
        yield Figure(f"faces of {name}", actor["faces"], len(read))
        fact = report.figures.fact(f"{name}: happiness")
        if fact.shown:
            yield Figure(f"happiness of {name}, on top", fact.value, actor["happiness"], 1e-9)
        if read["read"].sum() < 20:
            yield Figure(f"happiness of {name}", actor["happiness"], None)
        elif actor["stretch_s"] is None or actor["stretch_s"] <= 0:
            raise ValueError(f"{name} has no stretches")
        else:
            units = _widened(_stretches(read, actor["stretch_s"], end), actor["widened"])
            yield from estimated(f"happiness of {name}", units, actor["happiness"], actor["low"], actor["high"])


def _film_by_its_curve(report: ReportFiles) -> Iterator[Figure]:
    """A film whose single faces are not told (--anonymous): its score from the bins, if none of them is blanked."""
    import polars as pl

    curve = report.table("curve", {"film": pl.String, "face_seconds": pl.Float64, "happy": pl.Float64})
    films = curve.partition_by("film", maintain_order=True)
    for rows in films:
        name = rows["film"][0]
        fact = report.figures.fact(f"{name}: happiness" if len(films) > 1 else "Happiness")
        read = rows.filter(pl.col("face_seconds") > 0)
        if fact.value is not None and len(read) and not read["happy"].null_count():
            mean = 100 * float((read["happy"] * read["face_seconds"]).sum()) / float(read["face_seconds"].sum())
            yield Figure(f"happiness of {name}", fact.value, mean, 1e-6)
