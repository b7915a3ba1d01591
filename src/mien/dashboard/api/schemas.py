"""What the API takes and gives, as the OpenAPI document tells it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from mien.config import Preview
from mien.observation import SOURCE_NAME

__all__ = [
    "AlertBody",
    "AlertReadingBody",
    "AlertTrial",
    "Analysed",
    "CorrectedNames",
    "DemoBody",
    "ErrorBody",
    "Figures",
    "Health",
    "Identity",
    "MarkerBody",
    "NamedTile",
    "NamesBody",
    "NewMarker",
    "NewPreview",
    "NewReport",
    "NewVideo",
    "ObservationsBody",
    "Point",
    "PreviewBody",
    "ReportBody",
    "SourceBody",
    "SummaryBody",
    "TimelineBody",
    "UploadBody",
    "VideoBody",
    "VideoId",
    "refusals",
]

SOURCE = f"^{SOURCE_NAME}$"

Label = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")
]


class Problem(BaseModel):
    """What went wrong."""

    code: str
    message: str


class ErrorBody(BaseModel):
    """The shape of every error."""

    error: Problem


def refusals(*codes: int) -> dict[int | str, dict[str, Any]]:
    """Return what the OpenAPI document says of the errors that a route answers with."""
    return {code: {"model": ErrorBody} for code in codes}


class Health(BaseModel):
    """Whether the parts that the dashboard reads are there; strangers are told no more than that."""

    status: str
    store: bool
    broker: bool
    message: str
    version: str


class Identity(BaseModel):
    """Who asks: `login` is false where the dashboard is open to everybody on its machine."""

    name: str
    role: str
    login: bool


class SourceBody(BaseModel):
    """A source; `since` is null where nobody saw it come or go, `faces` is null while it is offline.

    `preview` is what it says of the pictures that it sends, null where it says nothing.
    """

    source: str
    online: bool
    since: datetime | None
    first: datetime | None
    last: datetime | None
    frames: int
    faces: int | None
    fps: float | None
    preview: Preview | None


class NewPreview(BaseModel):
    """What pictures a source is asked to send for an hour; `off` ends what was asked for."""

    model_config = ConfigDict(extra="forbid")

    preview: Preview


class PreviewBody(BaseModel):
    """What pictures a source says that it sends now, and until when, null where nobody asked for them."""

    preview: str
    until: datetime | None


class Figures(BaseModel):
    """Sums over a stretch of time.

    `counts` are the faces named per emotion, `shares` the mean probability of each in percent, `happiness` is 100 x the
    mean probability of happy; the last two are null without faces.
    """

    frames: int
    faces: int
    unclear: int
    counts: dict[str, int]
    shares: dict[str, float] | None
    happiness: float | None


class SummaryBody(Figures):
    """The sums over [start, end): the period asked for, or the whole minutes around it where raw rows are gone."""

    start: datetime
    end: datetime


class Point(Figures):
    """The sums over `width_s` seconds from `start` on."""

    start: datetime


class TimelineBody(BaseModel):
    """The points of a period that hold a frame, oldest first."""

    start: datetime
    end: datetime
    width_s: int
    points: list[Point]


class ObservationsBody(BaseModel):
    """A page of raw observations, oldest first; `next` is the cursor of the page behind it, null on the last one."""

    observations: list[dict[str, Any]]
    next: str | None


class NewMarker(BaseModel):
    """A moment to name: its time (default: now), its label, and the source that it is about (default: all)."""

    model_config = ConfigDict(extra="forbid")

    label: Label
    time: datetime | None = None
    source: Annotated[str, Field(pattern=SOURCE)] | None = None


class MarkerBody(BaseModel):
    """A moment that somebody named; `source` is null where it is about all of them."""

    id: str
    time: datetime
    label: str
    source: str | None
    created_by: str


class FaceBody(BaseModel):
    """A face: its box (x, y, width, height in pixels), and its emotion, null where the model should not say."""

    track: int | None
    box: tuple[int, int, int, int]
    confidence: float
    emotion: str | None
    probabilities: dict[str, float]
    read: bool = True
    pose: dict[str, float] | None = None
    openness: dict[str, float] | None = None
    plausible: list[str] | None = Field(None, description="Where `sets` asked for them.")


class Analysed(BaseModel):
    """What a picture showed."""

    width: int
    height: int
    model: str
    elapsed_ms: float
    faces: list[FaceBody]


class VideoId(BaseModel):
    """A video that is read."""

    id: str


class SampleBody(BaseModel):
    """What a frame showed: when it is shown, in seconds, and its faces."""

    at: float
    faces: list[FaceBody]


class VideoBody(BaseModel):
    """How far a video is read, and a piece of what its frames showed."""

    name: str
    frames: int = Field(description="So many were read.")
    expected: int | None = Field(description="About so many there are.")
    seconds: float = Field(description="So long lasts what was read.")
    width: int
    height: int
    ended: bool
    failed: str = Field(description="Why nothing was read, or, where there are frames, why no more.")
    notes: list[str]
    faces: int = Field(description="In all frames, at the end.")
    happiest_s: int | None = Field(description="The second in which the faces looked happiest, at the end.")
    happy: float = Field(description="The mean probability of happy in it.")
    model: str
    next: int = Field(description="Ask for the samples behind these with `start`.")
    samples: list[SampleBody]


Source = Annotated[str, StringConstraints(pattern=SOURCE)]
Key = Annotated[str, StringConstraints(pattern="^[0-9a-f]{32}$")]


class NewVideo(BaseModel):
    """A video to read: the id of an uploaded file."""

    model_config = ConfigDict(extra="forbid")

    file: Key


class NewReport(BaseModel):
    """A report to make: of uploaded files, of files in `dashboard.media`, or of a part of the store."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    kind: Literal["film", "meeting", "audience", "album"]
    files: list[Key] = Field([], max_length=5000, description="Uploaded files: what the report is made of.")
    media: list[Annotated[str, StringConstraints(max_length=1000)]] = Field(
        [], max_length=1000, description="Files and folders in the folder that `dashboard.media` names."
    )
    source: list[Source] = Field([], max_length=100, description="Sources of the store.")
    start: datetime | None = Field(
        None, alias="from", description="From when on: of the store, or by the clock in a meeting's picture."
    )
    end: datetime | None = Field(None, alias="to", description="Until when, by the same clock.")
    zone: str = Field("UTC", max_length=100, description="Of times without one, and of the clock in a picture.")
    fps: float | None = Field(None, ge=0.2, le=60, description="Look at a video so many times a second.")
    blur: bool = Field(False, description="Hide the faces in pictures.")
    anonymous: int | None = Field(None, ge=2, le=10_000, description="Only aggregates over at least so many people.")
    moments: int = Field(3, ge=0, le=20, description="film: so many key moments of each kind.")
    cast: Key | None = Field(
        None, description="film: the uploaded CSV that says which track or place is which actor's."
    )
    transcript: Key | None = Field(None, description="meeting: the uploaded transcript.")
    speakers: Key | None = Field(None, description="meeting: the uploaded CSV that says which face is whose.")
    lexicon: Key | None = Field(None, description="meeting: the uploaded CSV of words and how pleasant they are.")
    offset: float | None = Field(None, ge=-86_400, le=86_400, description="meeting: seconds to add to its times.")
    consent: str | None = Field(None, max_length=500, description="meeting: who agreed, and when.")
    events: Key | None = Field(None, description="audience: the uploaded events of what was watched.")
    markers: bool = Field(False, description="audience: the events are the store's markers.")
    treatment: Key | None = Field(None, description="audience: the uploaded video that was watched, for its pictures.")
    null: Literal["shift", "phase"] = Field("shift", description="audience: what chance is for the synchrony.")
    seats: Key | None = Field(None, description="audience: the uploaded CSV of seats.")
    baseline_s: float = Field(5.0, ge=1, le=300, description="audience: seconds before an event.")
    window_s: float = Field(10.0, ge=1, le=300, description="audience: seconds after it, or of a window.")
    calibrate: str | None = Field(
        None,
        max_length=200,
        description="Not album: also tell what lies above each one's usual face, that of so many first seconds, of all "
        "(`median`), of a stretch such as 0:10-0:40, or of a marker's text.",
    )
    best: int = Field(20, ge=1, le=500, description="album: choose so many.")
    emotion: Literal["angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"] = "happy"
    exports: list[Literal["elan", "praat", "bids", "boris"]] = Field(
        [], max_length=4, description="Not album: also write its time line for these tools."
    )
    everyone_smiles: bool = Field(False, description="album: only photos on which each readable face smiles.")
    all_eyes_open: bool = Field(False, description="album: only photos on which all eyes are known to be open.")
    everyone_looks: bool = Field(False, description="album: only photos on which each face is known to look here.")
    like: list[Key] = Field([], max_length=1000, description="album: uploaded photos that were chosen before.")


class ReportBody(BaseModel):
    """A report that was asked for."""

    id: str
    kind: str
    by: str
    asked: datetime
    title: str
    state: Literal["waiting", "working", "done", "stopped", "failed"]
    message: str = Field(description="What it found, or one line on why there is none.")
    step: str = Field(description="What is under way.")
    share: float | None = Field(description="How much of the step is done, 0 to 1.")
    left_s: float | None = Field(description="How long the step will take, in seconds.")
    files: list[str] = Field(description="Addresses of what was written: the page first, the archive of all last.")
    of: str = Field(description="What it is made of: names of files, or sources.")
    example: bool = Field(description="Whether it is made of the demo.")
    score: str = Field(description="The first of its figures with its name; empty: there is none.")


class AlertBody(BaseModel):
    """An alert rule; its address is told to nobody, only whether it has one."""

    name: str
    on: Literal["share", "offline", "drops", "store"]
    source: str | None
    emotion: str | None
    above: float | None
    below: float | None
    window_s: int
    min_faces: int
    after_s: float
    cooldown_s: float
    webhook: bool
    origin: str = Field(description="`settings`: it stands in mien.toml; `page`: it was made here.")


class AlertReadingBody(BaseModel):
    """How a rule stands for a source, null: for the store."""

    source: str | None
    raised: bool
    value: float
    text: str


class AlertTrial(BaseModel):
    """How a rule stands right now, and how its web address answers; empty: it has none."""

    readings: list[AlertReadingBody]
    webhook: str


class NamedTile(BaseModel):
    """A tile and whose it is: its rectangle in shares of the picture, and when, in seconds; `end` null: to the end."""

    speaker: str
    x: float
    y: float
    width: float
    height: float
    start: float
    end: float | None
    found_by: str
    certainty: float


class NamesBody(BaseModel):
    """Whose the tiles of a meeting are, as far as was found, and the speakers that there are."""

    rows: list[NamedTile]
    speakers: list[str]


Speaker = Annotated[str, StringConstraints(strip_whitespace=True, max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]


class CorrectedNames(BaseModel):
    """A name for each row, in their order; an empty one leaves the row out."""

    model_config = ConfigDict(extra="forbid")

    names: list[Speaker] = Field(min_length=1, max_length=5000)


class DemoBody(BaseModel):
    """Whether the demo clip plays."""

    state: Literal["off", "starting", "playing", "ending"]
    since: datetime | None = Field(description="When it was last started.")
    message: str = Field(description="Why it ended by itself; empty: it did not.")


class UploadBody(BaseModel):
    """A file that waits for its report, for an hour at most."""

    id: str
    name: str
    bytes: int
