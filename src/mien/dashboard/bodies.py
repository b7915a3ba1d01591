"""What the API takes and gives, as the OpenAPI document tells it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

__all__ = [
    "Analysed",
    "ErrorBody",
    "Figures",
    "Health",
    "Identity",
    "MarkerBody",
    "NewMarker",
    "ObservationsBody",
    "Point",
    "SourceBody",
    "SummaryBody",
    "TimelineBody",
]

SOURCE = "^[a-z0-9_-]{1,64}$"

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
    """A source; `since` is null where nobody saw it come or go, `faces` is null while it is offline."""

    source: str
    online: bool
    since: datetime | None
    first: datetime | None
    last: datetime | None
    frames: int
    faces: int | None
    fps: float | None


class Figures(BaseModel):
    """Sums over a stretch of time.

    `counts` are the faces named per emotion, `shares` the mean probability of each in percent, `happiness` is 100 x the
    mean probability of happy; the last two are null without faces.
    """

    frames: int
    faces: int
    abstained: int
    counts: dict[str, int]
    shares: dict[str, float] | None
    happiness: float | None


class SummaryBody(Figures):
    """The sums over the minutes that begin in [start, end)."""

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


class Analysed(BaseModel):
    """What a picture showed."""

    width: int
    height: int
    model: str
    elapsed_ms: float
    faces: list[FaceBody]
