"""The wording and layout of the film report: what films showed goes in, a `Report` comes out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from mien.charts.palette import COLOURS
from mien.charts.svg import SHOWN, Mark, clock, intervals, legend, stacked
from mien.observation import EMOTIONS
from mien.reports.base.bootstrap import MIN_UNITS, Estimates
from mien.reports.base.curve import bin_length
from mien.reports.base.parts import Chart, Data, Fact, Part, Picture, Pictures, Section, Shares, Table
from mien.reports.base.recordings import READABLE
from mien.reports.base.report import Report
from mien.reports.base.usual_face import ABOVE, OWN_LEVEL, USUAL_SECONDS, missing, own_level, used_seconds
from mien.reports.base.usual_face import definition as usual_definition
from mien.reports.film.cast import Actor
from mien.reports.film.figures import CLEAR, ENOUGH_FACES, KINDS, FilmFigures, Highlight
from mien.reports.film.own_level import own_parts
from mien.words import counted, listed, signed

__all__ = ["COLUMNS", "film_report"]

SHOWN_PEOPLE = 12
FACTS_OF = 6
"""So many actors have a figure on top of the page."""

SIGNS = {"happy": "H", "sad": "S", "surprise": "!"}

SHARES: dict[str, str] = {emotion: f"probability of {emotion}, 0 to 1" for emotion in EMOTIONS}
COLUMNS: dict[str, dict[str, str]] = {
    "faces": {
        "film": "the film",
        "frame": "the number of the frame that was looked at, from 0",
        "at": "when it is shown, in seconds",
        "scene": "the scene, from 1; all of it is 1 where no cuts are known",
        "person": "the person, from 1 within the scene; empty where the frame shows no face",
        "track": "the track, as a cast list may name it",
        "actor": "who of the cast it is; empty where the cast list does not say, or there is none",
        "x": "left edge of the face's box, in pixels of the frame",
        "y": "top edge",
        "width": "width of the box",
        "height": "height of the box",
        "frame_width": "width of the frame",
        "frame_height": "height of the frame",
        "readable": f"whether the box's longer side has at least {READABLE} pixels; only such faces count",
        "span": "the seconds that the frame stands for: since the one looked at before, at most 2",
        "read": "whether the emotion was read in this frame; else it was carried on: it weighs its time, and is no new "
        "evidence for moments or whether there is enough to tell",
        "emotion": "the emotion named; empty where the model should not say",
        **SHARES,
    },
    "curve": {
        "film": "the film",
        "start": "where the bin begins, in seconds; it ends where the next begins",
        "frames": "frames looked at in it",
        "faces": "faces in these",
        "readable": "faces of these that are large enough to be read",
        "face_seconds": "the time that the frames of these stand for, added up over the faces",
        **{emotion: f"mean probability of {emotion} over the readable faces and time" for emotion in EMOTIONS},
    },
    "people": {
        "film": "the film",
        "scene": "the scene, from 1",
        "person": "the person, from 1 within the scene",
        "first": "when first seen, in seconds",
        "last": "when last seen",
        "seconds": "time on screen: the time that the frames with this readable face stand for",
        "faces": "readable faces",
        "tracks": "the tracks that these are, as a cast list may name them",
        **{emotion: f"mean probability of {emotion} over these and time" for emotion in EMOTIONS},
    },
    "actors": {
        "film": "the film",
        "actor": "who, as the cast list has it",
        "seconds": "time on screen: the time that the frames with this face stand for",
        "share": "the share of the film that this is, 0 to 1",
        "faces": f"readable faces (longer side at least {READABLE} pixels) among these",
        "happiness": f"100 x the mean probability of happy over these and time; empty under {ENOUGH_FACES} of them",
        "low": "the lower end of its 95 % interval",
        "high": "the upper end",
        "stretch_s": "how long the stretches are that the interval is made of",
        "widened": "by how much their distances from the score are widened",
        **{emotion: f"mean probability of {emotion} over the readable faces and time" for emotion in EMOTIONS},
    },
    "actor_curves": {
        "film": "the film",
        "actor": "who",
        "start": "where the bin begins, in seconds; it ends where the next begins",
        "face_seconds": "the time that the frames with this face, readable, stand for",
        **{emotion: f"mean probability of {emotion} over these and time" for emotion in EMOTIONS},
    },
    "moments": {
        "film": "the film",
        "emotion": "by which emotion the moment stands out",
        "rank": "1 for the strongest",
        "at": "the frame of that second with the highest mean, in seconds",
        "value": "mean probability of the emotion over the readable faces that were read in that second",
    },
    "own_level": {"film": "the film", **OWN_LEVEL},
    "usual_seconds": {"film": "the film", **USUAL_SECONDS},
    "own_curves": {
        "film": "the film",
        "person": "who; empty: the only person",
        "start": "where the bin begins, in seconds; it ends where the next begins",
        **ABOVE,
    },
    "stretches": {
        "film": "the film",
        "happy": "sum of probability of happy x span in a stretch with readable faces, in order of time",
        "face_seconds": "sum of the spans of its readable faces",
        "seconds": "how long the stretches are",
        "widened": "by how much their distances from the score are widened, as neighbouring stretches correlate",
    },
}


def film_report(
    films: Sequence[FilmFigures],
    shots: Sequence[dict[float, bytes]],
    pairs: Sequence[tuple[FilmFigures, FilmFigures, Estimates]],
    asked: dict[str, Any],
    anonymous: int | None,
) -> Report:
    """Return the report on films.

    Args:
        films: What they showed.
        shots: Of each, the pictures of its key moments by their times.
        pairs: Two films, and by how much the score of the first exceeds that of the second.
        asked: The request.
        anonymous: Nothing is shown that fewer than so many people stand behind.
    """
    several = len(films) > 1
    sections = [_comparison(films, pairs)] if several else []
    for film, shot in zip(films, shots, strict=True):
        sections += _sections(film, shot, anonymous, f"{film.recording.name}: " if several else "")
    title = "How happy are these films?" if several else f"How happy is {films[0].recording.name}?"
    return Report(
        kind="film",
        title=title,
        lead=_lead(films, pairs),
        facts=[fact for film in films for fact in _facts(film, several=several)],
        sections=sections,
        notes=[note for film in films for note in _notes(film)],
        definitions=_definitions(films),
        data=_data(films, anonymous),
        asked=asked | {"anonymous": anonymous},
    )


def _lead(films: Sequence[FilmFigures], pairs: Sequence[tuple[FilmFigures, FilmFigures, Estimates]]) -> str:
    if len(films) == 1:
        film = films[0]
        if film.score is None:
            return f"Nobody can say how happy {film.recording.name} is: {_why_not(film)}."
        return (
            f"The faces in {film.recording.name} looked happy at {_number(film)} out of 100 on average. "
            f"Faces are on screen in {100 * film.on_screen:.0f} % of its {clock(film.recording.seconds)}."
        )
    ranked = sorted((film for film in films if film.score), key=lambda film: -_value(film))
    if not ranked:
        reasons = "; ".join(f"{film.recording.name}: {_why_not(film)}" for film in films)
        return f"Nobody can say of any of them: {reasons}."
    first = f"The happiest faces are in {ranked[0].recording.name}: {_number(ranked[0])} out of 100."
    close = [
        (leader if follower is ranked[0] else follower).recording.name
        for leader, follower, difference in pairs
        if ranked[0] in (leader, follower) and not difference.low[0] * difference.high[0] > 0
    ]
    return f"{first} But chance alone may explain its lead over {' and '.join(close)}." if close else first


def _why_not(film: FilmFigures) -> str:
    """Return why a film has no score."""
    if film.read >= ENOUGH_FACES:
        return "fewer people are surely different ones than --anonymous asks for"
    return f"{counted(film.read, 'face is', 'faces are')} large enough to be read, at least {ENOUGH_FACES} are needed"


def _facts(film: FilmFigures, *, several: bool) -> list[Fact]:
    name = f"{film.recording.name}: happiness" if several else "Happiness"
    if film.score is None:
        return [Fact(name, "cannot be told", _why_not(film))]
    low, high = float(film.score.low[0]), float(film.score.high[0])
    sure = math.isfinite(low)
    detail = f"95 %: {max(0, low):.0f} to {min(100, high):.0f}" if sure else "too short to say how sure"
    score = Fact(name, f"{_number(film)} of 100", detail, _value(film), low if sure else None, high if sure else None)
    if several:
        return [score]
    parts = [*_own_facts(film), *(_actor_fact(actor) for actor in film.cast[:FACTS_OF])]
    scenes = "unknown" if film.cuts is None else f"{len(film.cuts) + 1:,}"
    return [
        score,
        *parts,
        Fact(
            "Frames with a face",
            f"{100 * film.on_screen:.0f} %",
            f"of {film.recording.frames:,} looked at",
            film.on_screen,
        ),
        Fact("Faces read", f"{film.read:,}", f"{film.small:,} too small", film.read),
        Fact("Length", clock(film.recording.seconds), f"scenes: {scenes}", film.recording.seconds),
    ]


def _own_facts(film: FilmFigures) -> list[Fact]:
    """Return how far happy lies above the usual face, of the only person of a film, or of its actors."""
    if film.own is None:
        return []
    from_when = f"usual: {film.own.calibration.words}"
    facts = []
    for person in film.own.people[:FACTS_OF]:
        name = f"{person.name}: happy above the usual face" if person.name else "Happy above the usual face"
        if person.above is None:
            facts.append(Fact(name, "cannot be told", from_when))
            continue
        value = person.above[EMOTIONS.index("happy")]
        facts.append(Fact(name, f"{signed(100 * value)} points", from_when, value))
    return facts or [Fact("Happy above the usual face", "cannot be told", "several people, and no cast list")]


def _comparison(films: Sequence[FilmFigures], pairs: Sequence[tuple[FilmFigures, FilmFigures, Estimates]]) -> Section:
    rows = [
        (film.recording.name, _value(film), float(film.score.low[0]), float(film.score.high[0]), COLOURS["happy"])
        for film in sorted((film for film in films if film.score), key=lambda film: -_value(film))
        if film.score
    ]
    parts: list[Part] = [Chart(intervals(rows, ""), "Happiness of each film, 0 to 100, with its 95 % interval.")]
    differences = [
        (
            f"{leader.recording.name} and {follower.recording.name}",
            signed(difference.value[0]),
            _range(float(difference.low[0]), float(difference.high[0])),
        )
        for leader, follower, difference in pairs
    ]
    if differences:
        parts.append(
            Table(
                ("films", "#difference", "#95 % interval"),
                differences,
                "By how much the first film's score exceeds the second's. Each interval stands for itself: of many, "
                "some leave out 0 by chance.",
            )
        )
    without = "; ".join(f"{film.recording.name}: {_why_not(film)}" for film in films if film.score is None)
    if without:
        parts.append(f"Without a score: {without}.")
    return Section("The films compared", parts)


def _sections(film: FilmFigures, shots: dict[float, bytes], anonymous: int | None, before: str) -> list[Section]:
    curve, width = film.curve, bin_length(film.recording.seconds)
    shares = curve.select(EMOTIONS).to_numpy().astype(np.float64)
    marks = [
        Mark(
            moment.at,
            _sign(moment),
            f"{film.recording.when(moment.at)}: {KINDS[moment.emotion]}, {100 * moment.value:.0f} %",
        )
        for moment in film.moments
    ]
    drawn = stacked(
        curve["start"].to_numpy() + width / 2,
        shares / shares.sum(1, keepdims=True),
        film.recording.seconds,
        cuts=[] if film.cuts is None else film.cuts.tolist(),
        marks=[] if anonymous else marks,
    )
    about = (
        f"Mean probability of each emotion over the readable faces, in bins of {width:g} s; blank where there is none."
    )
    ticks = " The ticks at the foot are scene cuts." if film.cuts is not None and len(film.cuts) else ""
    sections = [Section(f"{before}The curve", [Chart(drawn, about + ticks, legend())])]
    if anonymous:
        return sections
    if film.own and film.own.people:
        parts = own_parts(film.own, film.recording.seconds)
        sections.append(Section(f"{before}Above the usual face", parts))
    if film.cast:
        sections.append(Section(f"{before}The cast", _cast(film)))
    if film.moments:
        sections.append(Section(f"{before}Key moments", [_moments(film, shots)]))
    if len(film.people):
        sections.append(Section(f"{before}Who is on screen", [_people(film)]))
    return sections


def _actor_fact(actor: Actor) -> Fact:
    name, shown = f"{actor.name}: happiness", f"on screen {clock(actor.seconds)}, {100 * actor.share:.0f} %"
    if actor.score is None:
        return Fact(name, "cannot be told", f"{shown}; {counted(actor.readable, 'face was', 'faces were')} readable")
    value, low, high = _ends(actor)
    sure = f"; 95 %: {max(0, low):.0f} to {min(100, high):.0f}" if low is not None and high is not None else ""
    return Fact(name, f"{value:.0f} of 100", shown + sure, value, low, high)


def _ends(actor: Actor) -> tuple[float | None, float | None, float | None]:
    """Return an actor's score and its interval; None where there is none."""
    if actor.score is None:
        return None, None, None
    value, low, high = (float(end[0]) for end in (actor.score.value, actor.score.low, actor.score.high))
    return value, low if math.isfinite(low) else None, high if math.isfinite(high) else None


def _cast(film: FilmFigures) -> list[Part]:
    ranked = sorted(film.cast, key=lambda actor: -actor.seconds)
    rows: list[tuple[str | Shares, ...]] = []
    for actor in ranked:
        value, low, high = _ends(actor)
        rows.append(
            (
                actor.name,
                clock(actor.seconds),
                f"{100 * actor.share:.0f} %",
                "–"
                if actor.means is None
                else Shares(tuple((name, COLOURS[name], actor.means[EMOTIONS.index(name)]) for name in SHOWN)),
                "–" if value is None else f"{value:.0f}",
                "–" if low is None or high is None else f"{max(0, low):.0f} to {min(100, high):.0f}",
            )
        )
    head = ("who", "#on screen", "#of the film", "emotions", "#happiness", "#95 % interval")
    parts: list[Part] = [
        Table(head, rows, "Whose face is whose, the cast list says. Nobody is recognised."),
    ]
    width = bin_length(film.recording.seconds)
    for actor in ranked[:SHOWN_PEOPLE]:
        shares = actor.curve.select(EMOTIONS).to_numpy().astype(np.float64)
        times = actor.curve["start"].to_numpy() + width / 2
        drawn = stacked(times, shares / shares.sum(1, keepdims=True), film.recording.seconds, height=130)
        parts.append(Chart(drawn, f"{actor.name}: mean probability of each emotion, blank where the face is not seen."))
    return parts


def _sign(moment: Highlight) -> str:
    return f"{SIGNS[moment.emotion]}{moment.rank}"


def _moments(film: FilmFigures, shots: dict[float, bytes]) -> Part:
    caption = f"Seconds whose mean probability is highest, at least {100 * CLEAR:.0f} %, five seconds or more apart."
    if not shots:
        rows = [
            (
                f"{SIGNS[moment.emotion]}{moment.rank}",
                KINDS[moment.emotion],
                film.recording.when(moment.at, fine=True),
                f"{100 * moment.value:.0f} %",
            )
            for moment in film.moments
        ]
        return Table(("", "moment", "#time", "#probability"), rows, caption)
    pictures = [
        Picture(
            shots[moment.at],
            f"{_sign(moment)} · {film.recording.when(moment.at)} · {KINDS[moment.emotion]}",
            f"{moment.emotion} {100 * moment.value:.0f} %",
        )
        for moment in film.moments
        if moment.at in shots
    ]
    return Pictures(pictures, caption)


def _people(film: FilmFigures) -> Table:
    rows: list[tuple[str | Shares, ...]] = []
    for row in film.people.head(SHOWN_PEOPLE).iter_rows(named=True):
        parts = tuple((emotion, COLOURS[emotion], row[emotion]) for emotion in SHOWN)
        rows.append(
            (
                f"scene {row['scene']}, person {row['person']}",
                row["tracks"].replace(" ", ", ") if len(row["tracks"]) < 30 else "several",
                film.recording.when(row["first"]),
                f"{row['seconds']:.1f} s",
                Shares(parts),
                f"{100 * row['happy']:.0f}",
            )
        )
    hidden = len(film.people) - len(rows)
    more = f" {hidden:,} more are in the table beside this page." if hidden > 0 else ""
    return Table(
        ("who", "track", "#from", "#on screen", "emotions", "#happiness"),
        rows,
        "A person is known within one scene only: who comes back after a cut is someone new. A cast list ties names "
        "to tracks." + more,
    )


def _notes(film: FilmFigures) -> list[str]:
    name = film.recording.name
    notes = list(film.recording.notes)
    if film.cuts is None:
        notes.append(f"{name}: a table or a store holds no scene cuts, so all of it counts as one scene.")
    if film.recording.medium is None:
        notes.append(f"{name}: there is no video here, so its key moments have no pictures.")
    if film.own and not film.own.people:
        notes.append(
            f"{name}: it shows several people, and nothing says who is who from scene to scene: a cast list (--cast) "
            "gives each an own level."
        )
    if film.own and not film.cast and film.own.people and film.cuts is not None and len(film.cuts):
        notes.append(
            f"{name}: no scene shows two people, so all its faces are taken for one person's; if they are "
            "several, name them in a cast list (--cast)."
        )
    if film.own:
        notes += missing(film.own.people, film.own.calibration)
    if missed := [actor.name for actor in film.cast if not actor.seconds]:
        notes.append(f"{name}: no face was seen where the cast list has {listed(missed)}.")
    if film.small > film.readable:
        notes.append(
            f"{name}: {film.small:,} of {film.small + film.readable:,} faces had less than {READABLE} pixels; the "
            "score is that of the others alone."
        )
    if film.score is not None and not np.isfinite(film.score.low[0]):
        few = len(film.stretches) < MIN_UNITS
        notes.append(
            f"{name}: readable faces in only {counted(len(film.stretches), 'stretch', 'stretches')} of "
            f"{film.stretch_s:.0f} s; an interval needs {MIN_UNITS}."
            if few
            else f"{name}: what its faces show varies so slowly that {clock(film.recording.seconds)} are too short to "
            "say how sure the score is."
        )
    return notes


def _definitions(films: Sequence[FilmFigures]) -> list[tuple[str, str]]:
    lengths = sorted({round(film.stretch_s, 1) for film in films})
    seconds = " or ".join(f"{length:g}" for length in lengths)
    return [
        (
            "Happiness",
            (
                "100 x the mean of `happy` over all rows of the table `faces` whose `readable` is true, each weighed "
                "by its `span`, so that what was looked at more often counts no more. 0: no face looked happy; 100: "
                "all did, beyond doubt."
            ),
        ),
        (
            "95 % interval",
            (
                "Of the score, if the film had other stretches like its own: the film is cut into stretches of "
                f"{seconds} s, which are drawn with replacement 4,000 times (studentized bootstrap of the ratio of "
                "sums). The length follows from how slowly the course varies, and what neighbouring stretches still "
                "have in common widens the interval. It says nothing of the model's own errors."
            ),
        ),
        *(
            [
                (
                    "Happiness of an actor",
                    (
                        "The same over the rows of `faces` whose `actor` is this one; its interval is made in the "
                        "same way, of stretches of its own length. Of several faces in an actor's place the largest "
                        "counts."
                    ),
                )
            ]
            if any(film.cast for film in films)
            else []
        ),
        ("Frames with a face", "Share of the frames looked at that show at least one face, readable or not."),
        ("Readable", f"A face whose box's longer side has at least {READABLE} pixels."),
        *([usual_definition(own.calibration)] if (own := films[0].own) else []),
        ("Scene cut", "Where another shot begins: at a cut, after a fade or at the end of a dissolve."),
    ]


def _data(films: Sequence[FilmFigures], anonymous: int | None) -> list[Data]:
    import polars as pl

    def together(name: str, parts: list[Any]) -> Data:
        named = [
            part.with_columns(pl.lit(film.recording.name).alias("film")).select(*COLUMNS[name])
            for film, part in zip(films, parts, strict=True)
        ]
        return Data(name, pl.concat(named), COLUMNS[name])

    curve = together("curve", [film.curve for film in films])
    if anonymous:
        return [curve]
    kinds = {"emotion": pl.String, "rank": pl.Int64, "at": pl.Float64, "value": pl.Float64}
    moments = [pl.DataFrame([vars(moment) for moment in film.moments], schema=kinds) for film in films]
    stretches = [
        pl.DataFrame({"happy": film.stretches[:, 0], "face_seconds": film.stretches[:, 1]}).with_columns(
            pl.lit(film.stretch_s).alias("seconds"),
            pl.lit(film.widened if math.isfinite(film.widened) else None, pl.Float64).alias("widened"),
        )
        for film in films
    ]
    acting = [film for film in films if film.cast]
    own = [film for film in films if film.own and film.own.people]
    return [
        *([_actors(acting), _actor_curves(acting)] if acting else []),
        *(_own_level(own) if own else []),
        together("faces", [film.faces for film in films]),
        curve,
        together("people", [film.people for film in films]),
        together("moments", moments),
        together("stretches", stretches),
    ]


def _own_level(films: Sequence[FilmFigures]) -> list[Data]:
    import polars as pl

    tables = {
        "own_level": [own_level(film.own.people).table for film in films if film.own],
        "usual_seconds": [
            used_seconds(film.own.used, [person.name for person in film.own.people]).table for film in films if film.own
        ],
        "own_curves": [film.own.curves for film in films if film.own],
    }
    return [
        Data(
            name,
            pl.concat(
                part.with_columns(pl.lit(film.recording.name).alias("film")).select(*COLUMNS[name])
                for film, part in zip(films, parts, strict=True)
            ),
            COLUMNS[name],
        )
        for name, parts in tables.items()
    ]


def _actors(films: Sequence[FilmFigures]) -> Data:
    import polars as pl

    def plain(value: float | None) -> float | None:
        return value if value is not None and math.isfinite(value) else None

    rows = [
        (
            *(film.recording.name, actor.name, actor.seconds, actor.share, actor.readable, *_ends(actor)),
            *(actor.stretch_s, plain(actor.widened), *(actor.means or (None,) * len(EMOTIONS))),
        )
        for film in films
        for actor in film.cast
    ]
    kinds = [pl.String, pl.String, pl.Float64, pl.Float64, pl.Int64, *[pl.Float64] * (5 + len(EMOTIONS))]
    columns = COLUMNS["actors"]
    return Data("actors", pl.DataFrame(rows, dict(zip(columns, kinds, strict=True)), orient="row"), columns)


def _actor_curves(films: Sequence[FilmFigures]) -> Data:
    import polars as pl

    curves = [
        actor.curve.with_columns(pl.lit(film.recording.name).alias("film"), pl.lit(actor.name).alias("actor"))
        for film in films
        for actor in film.cast
    ]
    return Data("actor_curves", pl.concat(curves).select(*COLUMNS["actor_curves"]), COLUMNS["actor_curves"])


def _value(film: FilmFigures) -> float:
    return float(film.score.value[0]) if film.score is not None else -1.0


def _number(film: FilmFigures) -> str:
    return f"{_value(film):.0f}"


def _range(low: float, high: float) -> str:
    return f"{signed(low)} to {signed(high)}" if math.isfinite(low) else "too short"
