"""What lies above usual faces, in every report: the median of the seconds they were taken from, and means less that."""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Generator, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mien.observation import EMOTIONS
from mien.reports.check.figure import Figure, Row, furthest
from mien.reports.check.files import ReportFiles
from mien.reports.check.intervals import estimated

if TYPE_CHECKING:
    import polars as pl

__all__ = ["above_of_films", "above_of_meeting", "above_of_viewers"]

LEAST_S = 3
Usual = tuple[float, ...]


def above_of_films(report: ReportFiles) -> Iterator[Figure]:
    """Of each actor or only person the usual face, what lies above it, and its curve, from the rows of faces."""
    import polars as pl

    number = pl.Float64
    columns = {"film": pl.String, "frame": pl.Int64, "at": number, "track": pl.Int64, "actor": pl.String}
    columns |= {"readable": pl.Boolean, "read": pl.Boolean, "span": number} | dict.fromkeys(EMOTIONS, number)
    faces = report.table("faces", columns).filter(pl.col("readable") & pl.col("span").is_not_null())
    levels, seconds = _own_levels(report, "film"), _seconds(report, "film")
    curves = report.table(
        "own_curves",
        {"film": pl.String, "person": pl.String, "start": number}
        | dict.fromkeys((f"above_{emotion}" for emotion in EMOTIONS), number),
    ).partition_by("film", "person", as_dict=True)
    for (film, person), row in levels.items():
        name = person or film
        own = faces.filter(pl.col("film") == film)
        own = own.filter(pl.col("actor") == person if person else pl.col("track").is_not_null())
        used = seconds.get((film, person), {})
        by_second = _by_seconds(own.filter(pl.col("read")))
        yield from _chosen(report, name, sorted(used), sorted(by_second))
        usual = yield from _usual_face(name, row, {second: by_second.get(second) for second in used})
        yield from _above(name, row, usual, [(each[-1], each[:-1]) for each in own.select(*EMOTIONS, "span").rows()])
        label = f"{person}: happy above the usual face" if person else "Happy above the usual face"
        fact = report.figures.fact(label)
        if fact.shown and len({film for film, _ in levels}) == 1:
            yield Figure(f"{label}, of the facts", fact.value, row["above_happy"], 1e-9)
        if (film, person) in curves and usual is not None:
            yield from _curve(name, curves[film, person], own, usual)


def above_of_meeting(report: ReportFiles) -> Iterator[Figure]:
    """The room and speakers above usual faces, from what lies above them in each utterance, and the speakers' own."""
    import polars as pl

    names = ("above_happy", "above_seconds", "speaker_above_happy", "speaker_above_seconds")
    spoken = report.table("utterances", {"speaker": pl.String} | dict.fromkeys(names, pl.Float64)).to_dicts()
    columns = ("room_above", "room_above_low", "room_above_high", "own_above")
    rows = report.table("speakers", {"speaker": pl.String} | dict.fromkeys(columns, pl.Float64)).to_dicts()
    for mood in rows:
        name = mood["speaker"] or "everybody"
        own = [row for row in spoken if mood["speaker"] in (None, row["speaker"])]
        units = [
            (100 * row["above_happy"] * row["above_seconds"], row["above_seconds"])
            for row in own
            if row["above_happy"] is not None
        ]
        ends = (mood["room_above"], mood["room_above_low"], mood["room_above_high"])
        if units:
            yield from estimated(f"the room above usual with {name}", units, *ends)
        else:
            yield Figure(f"the room above usual with {name}", mood["room_above"], None)
        if mood["speaker"] is not None:
            mine = [row for row in own if row["speaker_above_happy"] is not None]
            total = sum(row["speaker_above_seconds"] for row in mine)
            happy = sum(row["speaker_above_happy"] * row["speaker_above_seconds"] for row in mine)
            yield Figure(f"{name} above usual", mood["own_above"], 100 * happy / total if total else None, 1e-6)
    everybody = next(mood for mood in rows if mood["speaker"] is None)
    fact = report.figures.fact("Happy above the usual face")
    yield Figure("happy above the usual face, of the facts", fact.value, everybody["room_above"], 1e-9)
    if not report.has("own_level"):
        return
    seconds = _seconds(report)
    bins: dict[str, list[tuple[float, Usual]]] = defaultdict(list)
    if report.has("courses"):
        kinds = {"speaker": pl.String} | dict.fromkeys((*EMOTIONS, "seconds"), pl.Float64)
        for speaker, *shares, span in report.table("courses", kinds).drop_nulls().rows():
            bins[speaker].append((span, tuple(shares)))
    for (_, person), row in _own_levels(report).items():
        used = seconds.get(("", person), {})
        yield from _chosen(report, person, sorted(used), None)
        usual = yield from _usual_face(person, row, used)
        if person in bins:
            yield from _above(person, row, usual, bins[person])


def above_of_viewers(report: ReportFiles) -> Iterator[Figure]:
    """Viewers and groups above usual faces, over all and second by second, from the viewers' courses."""
    import polars as pl

    number, above = pl.Float64, [f"above_{emotion}" for emotion in EMOTIONS]
    printed = report.table(
        "above_usual",
        {"group": pl.String, "emotion": pl.String} | dict.fromkeys(("viewers", "above", "low", "high"), number),
    ).to_dicts()
    first = next((row for row in printed if row["emotion"] == "happy"), None)
    fact = report.figures.fact("Happy above the usual face")
    yield Figure(
        "happy above the usual face, of the facts", fact.value, None if first is None else first["above"], 1e-9
    )
    if not report.has("own_level"):
        return
    kinds = {"viewer": pl.String, "group": pl.String, "at": number} | dict.fromkeys((*EMOTIONS, *above), number)
    courses = report.table("courses", kinds).drop_nulls(["viewer", "at", *EMOTIONS])
    by_viewer = {str(key[0]): part for key, part in courses.partition_by("viewer", as_dict=True).items()}
    seconds = _seconds(report)
    means: dict[str, list[tuple[str, Usual]]] = defaultdict(list)
    by_second: dict[str, dict[int, list[Usual]]] = defaultdict(lambda: defaultdict(list))
    for (_, person), row in _own_levels(report).items():
        used = seconds.get(("", person), {})
        yield from _chosen(report, person, sorted(used), None)
        usual = yield from _usual_face(person, row, used)
        part = by_viewer.get(person)
        if part is None or usual is None:
            continue
        shares = part.select(EMOTIONS).rows()
        yield from _above(person, row, usual, [(1.0, each) for each in shares], apart=1e-5)
        for place, emotion in enumerate(EMOTIONS):
            less = [each[place] - usual[place] for each in shares]
            yield furthest(f"{person}: {emotion} above usual, in the course", part[f"above_{emotion}"], less, 1e-5)
        group = str(part["group"][0] or "")
        whole = tuple(math.fsum(each[place] for each in shares) / len(shares) - usual[place] for place in range(7))
        split: dict[int, list[Usual]] = defaultdict(list)
        for at, each in zip(part["at"], shares, strict=True):
            split[math.floor(at + 1e-6)].append(each)
        for name in {"", group}:
            means[name].append((person, whole))
            for second, rows in split.items():
                by_second[name][second].append(
                    tuple(math.fsum(each[place] for each in rows) / len(rows) - usual[place] for place in range(7))
                )
    for row in printed:
        of = means[row["group"] or ""]
        place = EMOTIONS.index(row["emotion"])
        name = f"{row['emotion']} of {row['group'] or 'all viewers'} above usual"
        yield Figure(f"{name}: viewers", row["viewers"], len(of))
        if of:
            units = [(whole[place], 1.0) for _, whole in of]
            yield from estimated(name, units, row["above"], row["low"], row["high"], 1e-5)
    yield from _viewers_curve(report, by_second)


def _viewers_curve(report: ReportFiles, by_second: dict[str, dict[int, list[Usual]]]) -> Iterator[Figure]:
    """Yield of each group and emotion the second of the curve that differs most."""
    import polars as pl

    above = [f"above_{emotion}" for emotion in EMOTIONS]
    kinds = {"second": pl.Int64, "group": pl.String} | dict.fromkeys(above, pl.Float64)
    for group, part in report.table("curve", kinds).with_columns(pl.col("group").fill_null("")).group_by("group"):
        name, of = str(group[0]), by_second[str(group[0])]
        for place, emotion in enumerate(EMOTIONS):
            computed = [
                math.fsum(each[place] for each in of[second]) / len(of[second]) if second in of else None
                for second in part["second"]
            ]
            label = f"curve of {emotion} of {name or 'all viewers'} above usual"
            yield furthest(label, part[f"above_{emotion}"], computed, 1e-5)


def _own_levels(report: ReportFiles, film: str | None = None) -> dict[tuple[str, str], Row]:
    """Return the rows of own levels, by film, empty in other reports, and person."""
    import polars as pl

    names = [f"{kind}_{emotion}" for kind in ("usual", "above") for emotion in EMOTIONS]
    text = {"person": pl.String} | ({film: pl.String} if film else {})
    table = report.table("own_level", text | dict.fromkeys(("seconds", *names), pl.Float64))
    return {(row[film] if film else "", row["person"] or ""): row for row in table.iter_rows(named=True)}


def _seconds(report: ReportFiles, film: str | None = None) -> dict[tuple[str, str], dict[int, Usual | None]]:
    """Return what was shown in each second that a usual face is taken from."""
    import polars as pl

    text: dict[str, Any] = {"person": pl.String, "second": pl.Int64} | ({film: pl.String} if film else {})
    table = report.table("usual_seconds", text | dict.fromkeys(EMOTIONS, pl.Float64))
    seconds: dict[tuple[str, str], dict[int, Usual | None]] = defaultdict(dict)
    for row in table.drop_nulls(["second", *EMOTIONS]).iter_rows(named=True):
        key = (row[film] if film else "", row["person"] or "")
        seconds[key][row["second"]] = tuple(row[emotion] for emotion in EMOTIONS)
    return seconds


def _by_seconds(rows: pl.DataFrame) -> dict[int, Usual]:
    """Return the mean of each emotion in each second, each row weighing its time."""
    sums: dict[int, list[float]] = defaultdict(lambda: [0.0] * 8)
    for at, span, *shares in rows.select("at", "span", *EMOTIONS).drop_nulls().rows():
        of = sums[math.floor(at)]
        for place, value in enumerate((*shares, 1.0)):
            of[place] += value * span
    return {second: tuple(value / of[7] for value in of[:7]) for second, of in sums.items() if of[7] > 0}


def _chosen(report: ReportFiles, name: str, used: list[int], seen: list[int] | None) -> Iterator[Figure]:
    """Yield from which seconds a usual face was taken, where the request says it without a clock or a marker."""
    text = str(report.figures.asked.get("calibrate") or "").strip().lower()
    try:
        first = round(float(text))
    except ValueError:
        first = 0
    if first > 0:
        least = max(LEAST_S, first // 2)
        if used:
            yield Figure(f"usual face of {name}: enough seconds", "yes", "yes" if least <= len(used) <= first else "no")
        seen = seen and seen[:first]
    elif text == "median":
        least = LEAST_S
    else:
        return
    if seen is not None:
        expected = seen if len(seen) >= least else []
        for place, which in ((0, "first"), (-1, "last")):
            ends = [float(each[place]) if each else None for each in (used, expected)]
            yield Figure(f"usual face of {name}: {which} second", ends[0], ends[1])


def _usual_face(name: str, row: Row, seconds: Mapping[int, Usual | None]) -> Generator[Figure, None, Usual | None]:
    """Yield a usual face, the median of the means in its seconds; return it, None where it cannot be told."""
    known = [shares for shares in seconds.values() if shares is not None]
    yield Figure(f"usual face of {name}: seconds", row["seconds"], len(known))
    usual = tuple(statistics.median(shares[place] for shares in known) for place in range(7)) if known else None
    for place, emotion in enumerate(EMOTIONS):
        yield Figure(
            f"usual {emotion} of {name}", row[f"usual_{emotion}"], None if usual is None else usual[place], 1e-6
        )
    return usual


def _above(
    name: str, row: Row, usual: Usual | None, shown: Sequence[tuple[float, Usual]], apart: float = 1e-6
) -> Iterator[Figure]:
    """Yield how far the mean of what was shown, each weighing its time, lies above the usual face."""
    total = math.fsum(span for span, _ in shown)
    for place, emotion in enumerate(EMOTIONS):
        computed = None
        if usual is not None and total > 0:
            computed = math.fsum(span * shares[place] for span, shares in shown) / total - usual[place]
        yield Figure(f"{emotion} of {name} above usual", row[f"above_{emotion}"], computed, apart)


def _curve(name: str, curve: pl.DataFrame, own: pl.DataFrame, usual: Usual) -> Iterator[Figure]:
    """Yield of each emotion the bin of a person's curve that differs most."""
    starts = curve["start"].to_list()
    width = starts[1] - starts[0] if len(starts) > 1 else math.inf
    if not width > 0:
        raise ValueError(f"the curve of {name} does not go on")
    sums: dict[int, list[float]] = defaultdict(lambda: [0.0] * 8)
    for at, span, *shares in own.select("at", "span", *EMOTIONS).rows():
        of = sums[math.floor(at / width + 1e-9)]
        for place, value in enumerate((*shares, 1.0)):
            of[place] += value * span
    for place, emotion in enumerate(EMOTIONS):
        means = {number: of[place] / of[7] - usual[place] for number, of in sums.items() if of[7] > 0}
        computed = [means.get(number) for number in range(len(starts))]
        yield furthest(f"curve of {emotion} of {name} above usual", curve[f"above_{emotion}"], computed, 1e-6)
