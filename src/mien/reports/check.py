"""Checking a report: its JSON file and the tables beside it go in, each figure twice comes out.

What a page defines is computed here from its tables by other means than the report's own: nothing of the other reports'
code is imported, and nothing but polars reads the tables. Intervals come from other draws, so that their ends may
differ by a tenth of the interval's width. The files may be anybody's: what does not hold together is
refused. The module is long since all that it needs stands in it.
"""

from __future__ import annotations

import bisect
import html
import math
import random
import statistics
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from mien.errors import InputError, MissingExtraError
from mien.observation import EMOTIONS
from mien.reports.check_together import (
    MAX_POINTS,
    Viewer,
    checked_clusters,
    checked_headlines,
    checked_moments,
    checked_pairs,
)
from mien.system.parquet_size import rows_and_bytes
from mien.table import unguarded

if TYPE_CHECKING:
    import polars as pl

__all__ = ["Figure", "check_report"]

STEP_S = 0.25
TAKES_S = 5.0
PARTS = ("expression", "sharpness", "pose", "exposure", "size", "eyes", "looks")
FILTERS = ("everyone_smiles", "all_eyes_open", "everyone_looks")
DRAWS, MOST_DRAWN = 4000, 2000
MAX_JSON, MAX_PAGE, MAX_TABLE, MAX_ROWS = 64 << 20, 1 << 30, 4 << 30, 5_000_000
MAX_STEPS = 500_000_000
"""So many points of viewers' courses are looked at, at most; an audience of 200 at 100 events takes a tenth of that."""

MAX_PHOTOS = 30_000

BIN_S, AFTER_S = 0.5, 5.0
MAX_SHIFTED = 8_000_000
"""So many bins of shifted turns are looked at in a meeting, at most; of more shifts only some are taken."""

Row = dict[str, Any]
Value = float | str | None


@dataclass(frozen=True)
class Figure:
    """A figure of a report, twice.

    Attributes:
        name: What it is.
        printed: As the report has it; None where it has none.
        computed: As it follows from the tables; None where nothing follows.
        apart: How far apart the two may be.
    """

    name: str
    printed: Value
    computed: Value
    apart: float = 0.0

    @property
    def agrees(self) -> bool:
        """Whether the two are the same, as far as they can be."""
        if isinstance(self.printed, int | float) and isinstance(self.computed, int | float):
            return abs(self.printed - self.computed) <= self.apart
        return self.printed == self.computed


class _Fact(msgspec.Struct):
    name: str
    shown: str = ""
    value: float | None = None
    low: float | None = None
    high: float | None = None


class _Table(msgspec.Struct):
    rows: int


class _Figures(msgspec.Struct):
    report: Literal["film", "meeting", "audience", "album"]
    facts: list[_Fact]
    asked: dict[str, Any]
    tables: dict[str, _Table]

    def fact(self, name: str) -> _Fact:
        return next((fact for fact in self.facts if fact.name == name), _Fact(name))


def check_report(path: Path) -> list[Figure]:
    """Return each figure of a report, as it is printed and as it follows from the tables beside it.

    Args:
        path: The report's .json, or its page, the .html beside which that stands.

    Raises:
        InputError: It is no report, a table is missing, or what they hold does not belong together.
        MissingExtraError: It needs the extra `analyze`.
    """
    if find_spec("polars") is None:
        raise MissingExtraError("checking a report", "analyze")
    import polars as pl

    if path.suffix.lower() not in (".json", ".html", ".htm"):
        raise InputError(f"cannot check '{path}': the .json or .html of a report was expected")
    file = path.with_suffix(".json")
    figures = _read_figures(path, file)
    report = _Report(file, figures)
    kinds = {"film": _film, "meeting": _meeting, "audience": _audience, "album": _album}
    try:
        checked = list(kinds[figures.report](report))
        around = [*report.rows(), *_page(file, figures)]
    except (ArithmeticError, LookupError, OSError, TypeError, ValueError, pl.exceptions.PolarsError) as error:
        reason = (str(error).splitlines() or [""])[0][:200] or type(error).__name__
        raise InputError(f"cannot check '{file}': it and its tables do not belong together ({reason})") from error
    if not any(figure.computed is not None for figure in checked) and not report.has("faces"):
        raise InputError(f"cannot check '{file}': none of its tables holds what its figures are made of")
    return checked + around


def _read_figures(path: Path, file: Path) -> _Figures:
    try:
        if file.stat().st_size > MAX_JSON:
            raise InputError(
                f"cannot check '{file}': it is larger than {MAX_JSON >> 20} MiB, which no report's JSON is"
            )
        content = file.read_bytes()
    except OSError as error:
        beside = "" if path == file else f", which should stand beside '{path.name}'"
        raise InputError(f"cannot check '{file}'{beside}: {(error.strerror or str(error)).lower()}") from error
    try:
        return msgspec.json.decode(content, type=_Figures)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"cannot check '{file}': it is not the JSON file of a report ({error})") from error


class _Report:
    """A report's JSON file and the tables beside it."""

    def __init__(self, file: Path, figures: _Figures) -> None:
        self.file, self.figures = file, figures
        self._counts: list[Figure] = []

    def has(self, name: str) -> bool:
        """Return whether the report was written with this table."""
        return name in self.figures.tables

    def rows(self) -> list[Figure]:
        """Return how many rows each table that was read has."""
        return self._counts

    def table(self, name: str, columns: dict[str, Any]) -> pl.DataFrame:
        """Return columns of a table beside the page, as these kinds; what is no finite number is null."""
        import polars as pl

        if not self.has(name):
            raise InputError(f"cannot check '{self.file}': it names no table '{name}', which a whole report has")
        forms = [self.file.with_name(f"{self.file.stem}.{name}{ending}") for ending in (".parquet", ".csv")]
        there = [form for form in forms if form.is_file()]
        if not there:
            raise InputError(f"cannot check '{self.file}': beside it stands neither '{forms[0].name}' nor a .csv of it")
        path = max(there, key=lambda form: form.stat().st_mtime)
        try:
            read = _read_csv(path, columns) if path.suffix == ".csv" else _read_parquet(path, columns)
        except (OSError, ValueError, pl.exceptions.PolarsError) as error:
            reason = (str(error).splitlines() or ["it is damaged"])[0][:200]
            raise InputError(f"cannot read table '{path}': {reason}") from error
        self._counts.append(Figure(f"rows of the table {name}", self.figures.tables[name].rows, len(read)))
        number = pl.col(pl.Float64)
        return read.with_columns(pl.when(number.is_finite()).then(number).name.keep())


def _read_parquet(path: Path, columns: dict[str, Any]) -> pl.DataFrame:
    import polars as pl

    rows, held = rows_and_bytes(path)
    if rows > MAX_ROWS or held > MAX_TABLE:
        raise ValueError(f"it has {rows:,} rows and {held >> 20:,} MiB, more than a report's table has")
    schema = pl.read_parquet_schema(path)
    _check_names(schema, columns)
    if nested := [name for name in columns if schema[name].is_nested() or isinstance(schema[name], pl.Object)]:
        raise ValueError(f"its column {nested[0]} holds lists; single values were expected")
    chosen = [pl.col(name).cast(kind) for name, kind in columns.items()]
    return pl.scan_parquet(path).select(chosen).head(MAX_ROWS).collect()


def _read_csv(path: Path, columns: dict[str, Any]) -> pl.DataFrame:
    import polars as pl

    if (size := path.stat().st_size) > MAX_TABLE // 4:
        raise ValueError(f"it has {size >> 20:,} MiB, more than a report's table has")
    with path.open("rb") as file:
        if len(file.readline(1 << 20)) == 1 << 20:
            raise ValueError("its first line does not end")
    _check_names(pl.read_csv(path, n_rows=0).columns, columns)
    times = [name for name, kind in columns.items() if isinstance(kind, pl.Datetime)]
    kinds = {name: pl.String if name in times else kind for name, kind in columns.items()}
    read = pl.read_csv(path, columns=list(columns), schema_overrides=kinds, n_rows=MAX_ROWS).select(list(columns))
    read = read.with_columns(pl.col(times).str.slice(0, 26).str.to_datetime(time_unit="us", time_zone="UTC"))
    return unguarded(read)


def _check_names(there: Iterable[str], columns: Iterable[str]) -> None:
    if missing := set(columns) - set(there):
        raise ValueError(f"it lacks the column {min(missing)}; is it of another report?")


def _page(file: Path, figures: _Figures) -> Iterator[Figure]:
    """Yield what the page beside the figures shows of them."""
    page = next((form for ending in (".html", ".htm") if (form := file.with_suffix(ending)).is_file()), None)
    if page is None:
        return
    if page.stat().st_size > MAX_PAGE:
        raise InputError(f"cannot check '{page}': it is larger than {MAX_PAGE >> 20:,} MiB, which no report is")
    content = page.read_bytes()
    for fact in figures.facts:
        shown = f'<dt>{_escaped(fact.name)}</dt><dd class="shown">{_escaped(fact.shown)}</dd>'
        yield Figure(f"{fact.name}, on the page", fact.shown, fact.shown if shown.encode() in content else "another")


def _escaped(text: str) -> str:
    """Return a text as the page's template has it."""
    return html.escape(text).replace("&#x27;", "&#39;").replace("&quot;", "&#34;")


def _film(report: _Report) -> Iterator[Figure]:
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


def _score(name: str, fact: _Fact, rows: pl.DataFrame, cut: pl.DataFrame) -> Iterator[Figure]:
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
    yield from _estimated(f"happiness of {name}", _widened(units, widened), fact.value, fact.low, fact.high)


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


def _cast(report: _Report) -> Iterator[Figure]:
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
            yield from _estimated(f"happiness of {name}", units, actor["happiness"], actor["low"], actor["high"])


def _film_by_its_curve(report: _Report) -> Iterator[Figure]:
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


def _meeting(report: _Report) -> Iterator[Figure]:
    """The room's happiness while anybody, and while each, spoke: utterances weighed by their face-seconds."""
    import polars as pl

    number = pl.Float64
    utterances = report.table(
        "utterances",
        {"speaker": pl.String, "disagrees": pl.Boolean}
        | dict.fromkeys(
            ("start", "end", "face_seconds", "happy", "speaker_face_seconds", "speaker_happy", "words"), number
        ),
    ).to_dicts()
    speakers = report.table(
        "speakers",
        {"speaker": pl.String}
        | dict.fromkeys(("utterances", "seconds", "room_happiness", "low", "high", "own_happiness"), number)
        | dict.fromkeys(("in_view", "screen_seconds", "screen_share"), number),
    ).to_dicts()
    by_speaker: dict[str | None, list[Row]] = defaultdict(list)
    for row in utterances:
        if row["speaker"] is not None:
            by_speaker[row["speaker"]].append(row)
    by_speaker[None] = utterances
    for mood in speakers:
        own, name = by_speaker[mood["speaker"]], mood["speaker"] or "everybody"
        units = [
            (100 * row["happy"] * row["face_seconds"], row["face_seconds"]) for row in own if row["happy"] is not None
        ]
        yield Figure(f"utterances of {name}", mood["utterances"], len(own))
        yield Figure(f"seconds of {name}", mood["seconds"], sum(row["end"] - row["start"] for row in own), 0.01)
        if units:
            yield from _estimated(f"the room with {name}", units, mood["room_happiness"], mood["low"], mood["high"])
        else:
            yield Figure(f"the room with {name}", mood["room_happiness"], None)
        mine = [(row["speaker_happy"], row["speaker_face_seconds"]) for row in own if row["speaker_happy"] is not None]
        if mine and mood["speaker"]:
            happy = 100 * sum(share * faces for share, faces in mine) / sum(faces for _, faces in mine)
            yield Figure(f"own happiness of {name}", mood["own_happiness"], happy, 1e-6)
    everybody = next(mood for mood in speakers if mood["speaker"] is None)
    fact = report.figures.fact("Happiness of the room")
    yield Figure("happiness of the room", fact.value, everybody["room_happiness"], 1e-9)
    if fact.value is not None and everybody["room_happiness"] is not None:
        yield Figure("happiness of the room, in words", fact.shown, f"{everybody['room_happiness']:.0f} of 100")
    yield Figure("utterances", report.figures.fact("Utterances").value, len(utterances))
    judged = not utterances or any(row["words"] is not None for row in utterances)
    odd = sum(bool(row["disagrees"]) for row in utterances) if judged else None
    yield Figure("words and faces disagree", report.figures.fact("Words and faces disagree").value, odd)
    if report.has("courses"):
        yield from _speakers(report, speakers, utterances)


def _speakers(report: _Report, speakers: list[Row], utterances: list[Row]) -> Iterator[Figure]:
    """What single speakers showed: states and screen time from bins of half a second, reactions from shifted turns."""
    import polars as pl

    number, flag = pl.Float64, pl.Boolean
    kinds = {
        "speaker": pl.String,
        "start": number,
        "looked": number,
        "seconds": number,
        "speaks": flag,
        "listens": flag,
    }
    bins: dict[str, list[Row]] = defaultdict(list)
    for row in report.table("courses", kinds | dict.fromkeys(EMOTIONS, number)).iter_rows(named=True):
        bins[row["speaker"]].append(row)
    states = report.table(
        "states",
        {"speaker": pl.String, "state": pl.String} | dict.fromkeys(("looked", "seconds", "in_view", *EMOTIONS), number),
    )
    for row in states.iter_rows(named=True):
        flagged = "speaks" if row["state"] == "speaking" else "listens"
        own = [part for part in bins[row["speaker"]] if part[flagged]]
        looked, seen = sum(part["looked"] for part in own), sum(part["seconds"] for part in own)
        name = f"{row['speaker']}, {row['state']}"
        yield Figure(f"{name}: own face in view", row["in_view"], seen / looked if looked > 0 else None, 1e-9)
        for emotion in EMOTIONS:
            mean = sum((part[emotion] or 0.0) * part["seconds"] for part in own) / seen if seen >= 2 else None
            yield Figure(f"{name}: {emotion}", row[emotion], mean, 1e-6)
    for row in speakers:
        if there := bins.get(row["speaker"] or ""):
            looked, seen = sum(part["looked"] for part in there), sum(part["seconds"] for part in there)
            yield Figure(f"screen time of {row['speaker']}", row["screen_seconds"], seen, 1e-6 * (1 + seen))
            yield Figure(f"share of screen time of {row['speaker']}", row["screen_share"], seen / looked, 1e-9)
    yield from _reactions(report, bins, utterances)


def _reactions(report: _Report, bins: dict[str, list[Row]], utterances: list[Row]) -> Iterator[Figure]:
    """Each listener's mean after each speaker's turns, and where 95 % of it lie when the turns are shifted along."""
    import polars as pl

    rows = report.table(
        "reactions",
        {"listener": pl.String, "speaker": pl.String} | dict.fromkeys(("turns", "reaction", "low", "high"), pl.Float64),
    ).to_dicts()
    length = report.figures.fact("Length").value or 0.0
    if not 0 <= length <= 10_000_000:
        raise ValueError("its length is none that a recording has")
    count = max(1, math.ceil(length / BIN_S - 1e-9))
    ends = _turns(utterances)
    lags = range(round(AFTER_S / BIN_S), count - round(AFTER_S / BIN_S) + 1)
    total = sum(len(_after(ends[row["speaker"]], count)) for row in rows)
    step = max(1, len(lags) * total // MAX_SHIFTED)
    for row in rows:
        silent = [part for part in bins[row["listener"]] if not part["speaks"] and part["seconds"] > 0]
        weights = {round(part["start"] / BIN_S): part["seconds"] for part in silent}
        sums = {round(part["start"] / BIN_S): part["happy"] * part["seconds"] for part in silent}
        if not weights:
            raise ValueError(f"{row['listener']} is never silent and in view")
        usual = sum(sums.values()) / sum(weights.values())
        after = _after(ends[row["speaker"]], count)
        seen = sum(weights.get(place, 0.0) for place in after)
        if seen <= 0:
            raise ValueError(f"{row['listener']} is not in view after any turn of {row['speaker']}")
        name = f"{row['listener']} after {row['speaker']}"
        value = 100 * (sum(sums.get(place, 0.0) for place in after) / seen - usual)
        yield Figure(f"{name}: reaction", row["reaction"], value, 1e-6)
        if row["low"] is None:
            continue
        shifted = []
        for lag in lags[::step]:
            moved = [(place + lag) % count for place in after]
            kept = sum(weights.get(place, 0.0) for place in moved)
            if kept >= seen / 2:
                shifted.append(100 * (sum(sums.get(place, 0.0) for place in moved) / kept - usual))
        if len(shifted) < 2:
            raise ValueError(f"too little is known of {name}")
        cuts = statistics.quantiles(shifted, n=40, method="inclusive")
        apart = (0.02 if step == 1 else 0.25) * (row["high"] - row["low"]) + 1e-6
        yield Figure(f"{name}: by chance, lower end", row["low"], cuts[0], apart)
        yield Figure(f"{name}: by chance, upper end", row["high"], cuts[-1], apart)


def _turns(utterances: list[Row]) -> dict[str, list[float]]:
    """Return when each speaker's turns end: what one says with at most 5 s and nobody else between is one."""
    turns: list[tuple[str | None, float]] = []
    for row in utterances:
        if turns and turns[-1][0] == row["speaker"] and row["start"] - turns[-1][1] <= 5.0:
            turns[-1] = row["speaker"], max(turns[-1][1], row["end"])
        else:
            turns.append((row["speaker"], row["end"]))
    ends: dict[str, list[float]] = defaultdict(list)
    for speaker, end in turns:
        if speaker is not None:
            ends[speaker].append(end)
    return ends


def _after(ends: list[float], count: int) -> list[int]:
    """Return the bins whose middle lies in the seconds after a turn, each once."""
    inside: set[int] = set()
    for end in ends:
        first = max(0, math.ceil(end / BIN_S - 0.5))
        last = min(count, math.ceil((end + AFTER_S) / BIN_S - 0.5))
        inside.update(range(first, last))
    return sorted(inside)


def _audience(report: _Report) -> Iterator[Figure]:
    """What the report says of reactions to events, where there were some, and of moving together."""
    if report.has("reactions"):
        yield from _events(report)
    yield from _together(report)


def _together(report: _Report) -> Iterator[Figure]:
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


def _contrasts(report: _Report, headlines: list[Row]) -> Iterator[Figure]:
    import polars as pl

    told = {row["group"]: row for row in headlines}
    kinds = {"what": pl.String, "first_group": pl.String, "second_group": pl.String, "difference": pl.Float64}
    for row in report.table("contrasts", kinds).iter_rows(named=True):
        ends = [told[row[place]][row["what"]] for place in ("first_group", "second_group")]
        computed = None if None in ends else ends[0] - ends[1]
        yield Figure(
            f"{row['what']}, {row['first_group']} less {row['second_group']}", row["difference"], computed, 1e-6
        )


def _together_by_courses(report: _Report, moments: list[Row], headlines: list[Row]) -> Iterator[Figure]:
    import polars as pl

    text, number = pl.String, pl.Float64
    watched, window = report.figures.fact("Watched").value or 0.0, float(report.figures.asked["window_s"])
    if not (1 <= window <= 300 and 0 <= watched <= 10_000_000):
        raise ValueError("its window or length is none that can be asked for")
    points = round(watched / STEP_S)
    table = report.table("courses", {"viewer": text, "group": text, "at": number} | dict.fromkeys(EMOTIONS, number))
    viewers = [
        Viewer(
            str(part["viewer"][0]),
            str(part["group"][0] or ""),
            [round(at / STEP_S) for at in part["at"]],
            part.select(EMOTIONS).rows(),
        )
        for part in table.drop_nulls(["viewer", "at", *EMOTIONS]).partition_by("viewer", maintain_order=True)
    ]
    if len(viewers) * points > MAX_POINTS:
        raise ValueError("it has more viewers and seconds than can be looked at")
    for figure in checked_moments(moments, viewers, points):
        yield Figure(*figure)
    for row, name, synchrony, laughs, others in checked_headlines(headlines, viewers, points, round(window)):
        for figure in others:
            yield Figure(*figure)
        for kind, units in (("synchrony", synchrony), ("laughs", laughs)):
            if units:
                ends = (row[kind], row[f"{kind}_low"], row[f"{kind}_high"])
                yield from _estimated(f"{kind} of {name}", units, *ends)
            else:
                yield Figure(f"{kind} of {name}", row[kind], None)
    if report.has("clusters"):
        kinds: dict[str, Any] = {"first_group": text, "second_group": text, "emotion": text}
        kinds |= dict.fromkeys(("start", "end", "difference", "mass"), number)
        for figure in checked_clusters(report.table("clusters", kinds).to_dicts(), viewers):
            yield Figure(*figure)
    if report.has("pairs"):
        rows = report.table("pairs", {"first": text, "second": text, "synchrony": number}).to_dicts()
        for figure in checked_pairs(rows, viewers):
            yield Figure(*figure)


def _events(report: _Report) -> Iterator[Figure]:
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

    def __init__(self, report: _Report, emotions: set[str]) -> None:
        import polars as pl

        kinds = {"viewer": pl.String, "at": pl.Float64} | dict.fromkeys(sorted(emotions), pl.Float64)
        table = report.table("courses", kinds).drop_nulls().with_columns((pl.col("at") / STEP_S).round())
        viewers = table.partition_by("viewer", maintain_order=True)
        self.points = [[int(at) for at in part["at"]] for part in viewers]
        self._values = {name: [part[name].to_list() for part in viewers] for name in emotions}
        self._steps = 0

    def unseen(self, report: _Report) -> float:
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


def _album(report: _Report) -> Iterator[Figure]:
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


def _weights(report: _Report) -> tuple[dict[str, float], dict[str, float]]:
    """Return how much each part weighs in this report, and where nobody's taste was asked for."""
    import polars as pl

    columns: dict[str, Any] = {"part": pl.String, "used": pl.Float64, "standing": pl.Float64}
    rows = {row["part"]: row for row in report.table("weights", columns).iter_rows(named=True)}
    if set(rows) != set(PARTS) or any((row[name] or 0.0) < 0 for row in rows.values() for name in ("used", "standing")):
        raise ValueError("its weights are not those of the parts")
    return {name: rows[name]["used"] for name in PARTS}, {name: rows[name]["standing"] for name in PARTS}


def _faces(report: _Report, photos: list[Row]) -> Iterator[Figure]:
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


def _estimated(
    name: str, units: list[tuple[float, float]], value: float | None, low: float | None, high: float | None
) -> Iterator[Figure]:
    """Yield a ratio of sums and its interval: a symmetric studentized bootstrap over the units."""
    ratio, error = _ratio(units)
    yield Figure(name, value, ratio, 1e-6)
    reach = _reach(units, ratio, error) if len(units) >= 5 and error else math.inf
    if math.isfinite(reach):
        yield Figure(f"{name}, lower end", low, ratio - reach, 0.2 * reach)
        yield Figure(f"{name}, upper end", high, ratio + reach, 0.2 * reach)
    else:
        yield Figure(f"{name}, lower end", low, None)
        yield Figure(f"{name}, upper end", high, None)


def _reach(units: list[tuple[float, float]], ratio: float, error: float) -> float:
    """Return how far the interval reaches to both sides."""
    if len(units) > MOST_DRAWN:  # of so many the draws are as the normal distribution
        return statistics.NormalDist().inv_cdf(0.975) * error
    rng, far = random.Random(7), []  # noqa: S311 - nothing secret
    draws = max(500, min(DRAWS, 1_000_000 // len(units)))
    for _ in range(draws):
        drawn, spread = _ratio(rng.choices(units, k=len(units)))
        far.append(abs(drawn - ratio) / spread if spread else math.inf)
    return sorted(far)[math.ceil(0.95 * draws) - 1] * error


def _ratio(units: list[tuple[float, float]]) -> tuple[float, float]:
    """Return the ratio of the sums, and its standard error by the delta method."""
    n, total, count = len(units), sum(happy for happy, _ in units), sum(faces for _, faces in units)
    ratio = total / count
    squares = sum((happy - ratio * faces) ** 2 for happy, faces in units)
    return ratio, math.sqrt(squares * n / (n - 1)) / count if n > 1 and squares > 1e-12 else 0.0
