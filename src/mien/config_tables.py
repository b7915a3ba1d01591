"""The tables of settings that may stand several times in mien.toml: [[source]] and [[alert]]."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, field_validator, model_validator

from mien.observation import Emotion

__all__ = ["AlertSettings", "Preview", "Section", "Shape", "SourceSettings"]

Preview = Literal["off", "blurred", "plain"]
"""Whether a source sends small pictures of what it sees, and whether with the faces hidden."""


class Section(BaseModel):
    """A table in mien.toml."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _shape(value: Any) -> tuple[tuple[float, float], ...]:
    """Return the corners of a rectangle or polygon, 0 to 1."""
    what = "a rectangle [x, y, width, height] or a polygon of at least three [x, y], all from 0 to 1"
    numbers: Any = value
    if isinstance(value, list | tuple) and len(value) == 4 and not any(isinstance(one, list | tuple) for one in value):
        x, y, width, height = value
        if all(isinstance(one, int | float) for one in value) and width > 0 and height > 0:
            numbers = ((x, y), (x + width, y), (x + width, y + height), (x, y + height))
    try:
        corners = tuple((float(x), float(y)) for x, y in numbers)
    except (TypeError, ValueError):
        raise ValueError(f"expected {what}") from None
    if len(corners) < 3 or not all(0 <= at <= 1 + 1e-9 for corner in corners for at in corner):
        raise ValueError(f"expected {what}")
    return corners


Shape = Annotated[tuple[tuple[float, float], ...], BeforeValidator(_shape)]
"""The corners of a part of the frame: x, y, from 0 to 1 of its width and height."""


class SourceSettings(Section):
    """One of several sources that `mien watch` watches when it is given none: a table [[source]] in mien.toml."""

    url: str = Field(min_length=1, description="A camera's number or device, a stream's URL, a video, or demo.")
    name: str | None = Field(
        None, pattern=r"^[a-z0-9_-]{1,64}$", description="What it is called; default: made from the url."
    )
    loop: bool = Field(False, description="Play a video again and again.")
    mask: tuple[Shape, ...] = Field(
        (),
        description="Parts to blank before anything looks at them: rectangles [x, y, width, height] and polygons "
        "[[x, y], [x, y], [x, y], ...], all from 0 to 1 of the frame's width and height.",
    )
    fps: float | None = Field(None, gt=0, le=240, description="In place of watch.fps.")
    preview: Preview | None = Field(None, description="In place of watch.preview.")
    confidence: float | None = Field(None, gt=0, lt=1, description="In place of vision.confidence.")
    max_side: int | None = Field(None, ge=160, le=4096, description="In place of vision.max_side.")
    abstain_below: float | None = Field(None, ge=0, le=1, description="In place of vision.abstain_below.")
    smoothing_s: float | None = Field(None, ge=0, le=10, description="In place of vision.smoothing_s.")


class AlertSettings(Section):
    """Something to be told about: a table [[alert]] in mien.toml, which `mien forward` heeds."""

    name: str = Field(pattern=r"^[a-z0-9_-]{1,64}$", description="What it is called, in its topic and messages.")
    on: Literal["share", "offline", "drops", "store"] = Field(
        description="An emotion's 'share' of the faces, a source 'offline', a full outbox that 'drops', or no 'store'."
    )
    source: str | None = Field(
        None, pattern=r"^[a-z0-9_-]{1,64}$", description="The source that it is about; default: each one."
    )
    emotion: Emotion | None = Field(None, description="With share: the emotion.")
    above: float | None = Field(None, ge=0, lt=1, description="With share: told when it is larger.")
    below: float | None = Field(None, gt=0, le=1, description="With share: told when it is smaller.")
    window_s: int = Field(60, ge=1, le=3600, description="With share: over so many seconds. With drops: told so long.")
    min_faces: int = Field(10, ge=1, le=1_000_000, description="With share: only where so many faces were seen.")
    after_s: float = Field(60, ge=0, le=86400, description="With offline and store: told when it has lasted so long.")
    cooldown_s: float = Field(300, ge=1, le=86400, description="Not told again within so many seconds.")
    webhook: SecretStr | None = Field(None, description="An http:// or https:// URL that gets a POST with the message.")

    @field_validator("webhook")
    @classmethod
    def _is_an_address(cls, url: SecretStr | None) -> SecretStr | None:
        parts = urlsplit(url.get_secret_value()) if url else None
        if parts and (parts.scheme not in ("http", "https") or not parts.hostname):
            raise ValueError("expected an URL that begins with http:// or https://")
        return url

    @model_validator(mode="after")
    def _is_whole(self) -> AlertSettings:
        limits = [self.above, self.below].count(None)
        if self.on == "share" and (self.emotion is None or limits != 1):
            raise ValueError("on = 'share' needs emotion, and either above or below")
        if self.on != "share" and (self.emotion is not None or limits != 2):
            raise ValueError("emotion, above and below go with on = 'share' alone")
        if self.on == "store" and self.source is not None:
            raise ValueError("on = 'store' is about no source")
        return self
