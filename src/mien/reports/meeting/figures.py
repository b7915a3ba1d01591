"""The figures of a meeting: a recording and its transcript go in; what faces showed during each utterance comes out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mien.observation import EMOTIONS, Emotion
from mien.reports.base.bootstrap import Estimates, estimate
from mien.reports.base.places import Place, named_faces
from mien.reports.base.recordings import Recording
from mien.reports.base.transcripts import Utterance
from mien.reports.base.usual_face import ABOVE
from mien.reports.meeting.words import judge

if TYPE_CHECKING:
    import polars as pl

__all__ = [
    "CLEAR_FACES",
    "CLEAR_WORDS",
    "ENOUGH_FACES",
    "MeanExpression",
    "Mood",
    "UtteranceFigures",
    "heard",
    "moods",
    "utterance_table",
]

HAPPY = EMOTIONS.index("happy")

MeanShares: TypeAlias = "tuple[tuple[float, ...] | None, float]"
"""What was shown, in EMOTIONS order, and for how long, in seconds."""

ENOUGH_FACES = 3
"""Of fewer readable faces during an utterance (or of the speaker) nothing is said."""

AT_LEAST_S = 0.5
"""A shorter utterance is widened to this, in seconds."""

CLEAR_WORDS = 0.5
"""Words are clearly pleasant or unpleasant from this score on, of -1 to 1."""

CLEAR_FACES = 0.2
"""Faces from this valence on, of -1 to 1, if that is more than is usual in the meeting."""

Array = NDArray[np.float64]


@dataclass(frozen=True)
class MeanExpression:
    """What faces showed over some time.

    Attributes:
        faces: How many readable ones were read.
        people: How many different tracks.
        shares: The mean probability of each emotion over faces and time, in EMOTIONS order; None: too few faces.
        seconds: The time that the faces' frames stand for, added up.
        above: The mean over faces and time of what lies above the usual face, in EMOTIONS order; None: not known.
        above_s: The time of those whose usual face is known.
    """

    faces: int
    people: int
    shares: tuple[float, ...] | None
    seconds: float = 0.0
    above: tuple[float, ...] | None = None
    above_s: float = 0.0

    @property
    def emotion(self) -> Emotion | None:
        """The emotion with the highest mean."""
        return EMOTIONS[int(np.argmax(self.shares))] if self.shares else None

    @property
    def valence(self) -> float | None:
        """The mean probability of happy less those of angry, disgust, fear and sad; -1 to 1."""
        if self.shares is None:
            return None
        by_name = dict(zip(EMOTIONS, self.shares, strict=True))
        return by_name["happy"] - sum(by_name[bad] for bad in ("angry", "disgust", "fear", "sad"))


@dataclass(frozen=True)
class UtteranceFigures:
    """An utterance and the faces during it.

    Attributes:
        utterance: What was said, its times those of the recording.
        room: What all faces showed.
        speaker: What the speaker's face showed; None where it is not known which that is.
        words: How pleasant the words are, -1 to 1; None where they cannot be judged.
        disagrees: Whether words and faces are clearly of opposite kinds.
    """

    utterance: Utterance
    room: MeanExpression
    speaker: MeanExpression | None
    words: float | None
    disagrees: bool


@dataclass(frozen=True)
class Mood:
    """How faces looked while someone spoke.

    Attributes:
        speaker: Who; None: all that was said.
        utterances: How often.
        seconds: How long.
        room: 100 x the mean probability of happy over all faces meanwhile, with its interval; None: too few.
        own: 100 x the mean probability of happy of the speaker's own face; None: not known.
        room_above: As `room`, of what lies above the usual faces; None: not known, or not asked for.
        own_above: As `own`, of what lies above the speaker's usual face.
    """

    speaker: str | None
    utterances: int
    seconds: float
    room: Estimates | None
    own: float | None
    room_above: Estimates | None = None
    own_above: float | None = None


def heard(
    recording: Recording,
    utterances: Sequence[Utterance],
    offset: float,
    places: Sequence[Place],
    anonymous: int | None = None,
    scores: Sequence[float | None] | None = None,
) -> list[UtteranceFigures]:
    """Return each utterance with what the faces showed during it.

    Args:
        recording: The meeting's.
        utterances: What was said, in order of time.
        offset: What is to be added to their times, in seconds.
        places: Where speakers are to be seen.
        anonymous: Say nothing of fewer than so many people.
        scores: How pleasant the words of each are; None: as `judge` has it without a lexicon.
    """
    import polars as pl

    readable = recording.faces.filter(pl.col("readable"))
    room = _ReadableFaces(readable, recording.seconds)
    seen = named_faces(readable, () if anonymous else places)
    own = {
        name: _ReadableFaces(seen.filter(pl.col("speaker") == name), recording.seconds)
        for name in _named(places, anonymous)
    }
    moved = [
        Utterance(spoken.start + offset, spoken.end + offset, spoken.speaker, spoken.text) for spoken in utterances
    ]
    if scores is None:
        scores = judge([utterance.text for utterance in utterances]).scores
    looks = [room.during(utterance, anonymous or 1) for utterance in moved]
    speakers = [
        own[utterance.speaker].during(utterance, 1) if utterance.speaker in own else None for utterance in moved
    ]
    usual = [look.valence for look in looks if look.valence is not None]
    middle = float(np.median(usual)) if usual else 0.0
    return [
        UtteranceFigures(utterance, look, speaker, score, _disagree(look, speaker, score, middle))
        for utterance, look, speaker, score in zip(moved, looks, speakers, scores, strict=True)
    ]


def _named(places: Sequence[Place], anonymous: int | None) -> list[str]:
    return [] if anonymous else sorted({place.speaker for place in places if place.speaker})


def _disagree(room: MeanExpression, speaker: MeanExpression | None, words: float | None, usual: float) -> bool:
    """Return whether words and faces (the speaker's, where it is known) are of opposite kinds."""
    look = speaker if speaker and speaker.valence is not None else room
    if words is None or look.valence is None or abs(words) < CLEAR_WORDS:
        return False
    opposite = look.valence * words < 0 and abs(look.valence) >= CLEAR_FACES
    return opposite and (look.valence - usual) * look.valence > 0  # more so than is usual for these faces


class _ReadableFaces:
    """The readable faces of a recording, to be asked for a stretch of time."""

    def __init__(self, faces: pl.DataFrame, seconds: float) -> None:
        self.seconds = seconds
        self.at = faces["at"].to_numpy()
        self.shares = faces.select(EMOTIONS).to_numpy()
        self.spans = faces["span"].to_numpy()
        self.read = faces["read"].to_numpy()
        self.above = faces.select(*ABOVE).to_numpy() if "above_happy" in faces.columns else None
        sessions = faces["session"].rank("dense").cast(int).fill_null(0).to_numpy() if len(faces) else np.empty(0)
        self.tracks = sessions * 1_000_003 + faces["track"].fill_null(-1).to_numpy()

    def during(self, spoken: Utterance, people: int) -> MeanExpression:
        if spoken.end <= 0 or spoken.start >= self.seconds:  # nothing of it was recorded
            return MeanExpression(0, 0, None)
        wider = max(0.0, AT_LEAST_S - (spoken.end - spoken.start)) / 2
        first, last = np.searchsorted(self.at, (spoken.start - wider, spoken.end + wider), side="left")
        count, tracks = int(self.read[first:last].sum()), len(np.unique(self.tracks[first:last]))
        enough = count >= ENOUGH_FACES and tracks >= people
        spans = self.spans[first:last]
        means = np.average(self.shares[first:last], axis=0, weights=spans).tolist() if enough else None
        if means is None:
            return MeanExpression(count, tracks, None, float(spans.sum()))
        return MeanExpression(count, tracks, tuple(means), float(spans.sum()), *self._above(first, last))

    def _above(self, first: int, last: int) -> tuple[tuple[float, ...] | None, float]:
        """Return the mean of what lies above the usual face, and the time of those whose usual face is known."""
        if self.above is None:
            return None, 0.0
        above, spans = self.above[first:last], self.spans[first:last]
        known = np.isfinite(above[:, 0])
        if not known.any():
            return None, 0.0
        return tuple(np.average(above[known], axis=0, weights=spans[known]).tolist()), float(spans[known].sum())


def moods(utterances: Sequence[UtteranceFigures]) -> list[Mood]:
    """Return the mood for all that was said, then per speaker, who spoke longest first."""
    by_name: dict[str, list[UtteranceFigures]] = defaultdict(list)
    for figures in utterances:
        if figures.utterance.speaker:
            by_name[figures.utterance.speaker].append(figures)
    longest = sorted(by_name.items(), key=lambda item: -_seconds(item[1]))
    return [_mood(None, utterances), *(_mood(name, own) for name, own in longest)]


def _seconds(utterances: Sequence[UtteranceFigures]) -> float:
    return sum(figures.utterance.end - figures.utterance.start for figures in utterances)


def _mood(speaker: str | None, utterances: Sequence[UtteranceFigures]) -> Mood:
    rooms = [figures.room for figures in utterances]
    speakers = [figures.speaker for figures in utterances if figures.speaker and speaker]
    return Mood(
        speaker,
        len(utterances),
        _seconds(utterances),
        _in_room([(look.shares, look.seconds) for look in rooms]),
        _of_speaker([(look.shares, look.seconds) for look in speakers]),
        _in_room([(look.above, look.above_s) for look in rooms]),
        _of_speaker([(look.above, look.above_s) for look in speakers]),
    )


def _in_room(looks: Sequence[MeanShares]) -> Estimates | None:
    """Return the mean of *happy* over utterances, with its interval; None where nothing is known."""
    known = [(shares[HAPPY] * seconds, seconds) for shares, seconds in looks if shares]
    if not known:
        return None
    sums, counts = np.array(known).T
    return estimate(100 * sums[:, None], counts[:, None])


def _of_speaker(looks: Sequence[MeanShares]) -> float | None:
    """Return the mean of *happy* over a speaker's utterances; None where nothing is known."""
    known = [(shares[HAPPY], seconds) for shares, seconds in looks if shares]
    total = sum(seconds for _, seconds in known)
    return 100 * sum(share * seconds for share, seconds in known) / total if total else None


def utterance_table(
    utterances: Sequence[UtteranceFigures],
    names: dict[str, str],
    *,
    words: bool,
    above: bool = False,
    began: datetime | None = None,
) -> pl.DataFrame:
    """Return a row per utterance.

    Args:
        utterances: The utterances.
        names: What each speaker is called in the table.
        words: Whether the words are told.
        above: Whether what lies above the usual face is.
        began: The wall-clock time of second 0; None: not known.
    """
    import polars as pl

    rows = []
    nothing = (None,) * len(EMOTIONS)
    for number, figures in enumerate(utterances, 1):
        of, look, own = figures.utterance, figures.room, figures.speaker
        row: dict[str, Any] = {
            "utterance": number,
            "start": round(of.start, 3),
            "end": round(of.end, 3),
            "speaker": names.get(of.speaker or "", of.speaker),
            "text": of.text if words else None,
            "faces": look.faces,
            "people": look.people,
            "face_seconds": look.seconds,
        }
        row |= dict(zip(EMOTIONS, look.shares or (None,) * len(EMOTIONS), strict=True))
        row["speaker_faces"] = own.faces if own else None
        row["speaker_face_seconds"] = own.seconds if own else None
        own_shares = own.shares if own and own.shares else (None,) * len(EMOTIONS)
        row |= {f"speaker_{name}": share for name, share in zip(EMOTIONS, own_shares, strict=True)}
        row |= {"words": figures.words, "disagrees": figures.disagrees}
        row["clock"] = (
            None if began is None else (began + timedelta(seconds=of.start)).isoformat(timespec="milliseconds")
        )
        if above:
            row |= dict(zip(ABOVE, look.above or nothing, strict=True))
            own_above = (own.above if own else None) or nothing
            row |= {f"speaker_{name}": value for name, value in zip(ABOVE, own_above, strict=True)}
            row["above_seconds"] = look.above_s
            row["speaker_above_seconds"] = own.above_s if own else None
        rows.append(row)
    text = {"speaker": pl.String, "text": pl.String, "disagrees": pl.Boolean, "clock": pl.String}
    whole = ("utterance", "faces", "people", "speaker_faces")
    names_of = list(rows[0]) if rows else []
    kinds = {name: text.get(name, pl.Int64 if name in whole else pl.Float64) for name in names_of}
    return pl.DataFrame(rows, schema=kinds)
