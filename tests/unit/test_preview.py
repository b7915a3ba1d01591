"""The preview: small, rare, of the newest frame alone, and without the faces where they are to be hidden."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from mien.config import Settings, SourceSettings
from mien.edge import preview as preview_module
from mien.edge.preview import ASKED_S, BlurredPreview, Preview, PreviewSwitch
from mien.errors import UsageError
from mien.media.base import Frame, Image
from mien.mqtt.messages import MAX_PREVIEW, PREVIEW_SIZE, captioned, checked_preview, observation_shown
from mien.observation import Face, Observation, Probabilities, new_id
from mien.vision.detector import Detector

NEUTRAL = Probabilities(0, 0, 0, 0, 0, 0, 1)
NOISE = np.random.default_rng(1).integers(0, 255, (720, 1280, 3), np.uint8)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Move the preview's clock on by so many seconds."""
    now = [1000.0]
    monkeypatch.setattr(preview_module.clock, "monotonic", lambda: now[0])

    def pass_by(seconds: float) -> None:
        now[0] += seconds

    return pass_by


def noted(
    preview: Preview | PreviewSwitch, image: Image, *boxes: tuple[int, int, int, int], session: str = "", at: float = 0
) -> None:
    faces = [Face(number, box, 0.9, None, NEUTRAL) for number, box in enumerate(boxes)]
    height, width = image.shape[:2]
    preview.note(
        Frame(image, 0, at, None),
        Observation(new_id(), "lobby", session, 0, None, at, 0, width, height, "mien-1@00000000", 5.0, faces),
    )


def decoded(picture: bytes | None) -> Image:
    assert picture
    return np.asarray(cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR), np.uint8)


def test_there_is_none_unless_it_is_asked_for() -> None:
    lobby = SourceSettings(url="0", preview="plain")
    settings = Settings()
    assert settings.watch.preview == "off"
    assert PreviewSwitch(settings).kind == "off"
    assert PreviewSwitch(settings.overridden(lobby)).kind == "plain"
    blurred = Settings(watch={"preview": "blurred"})  # type: ignore[arg-type]
    assert PreviewSwitch(blurred.overridden(SourceSettings(url="0"))).kind == "blurred"
    off = blurred.overridden(SourceSettings(url="0", preview="off"))
    assert PreviewSwitch(off).kind == "off"
    assert PreviewSwitch(settings, demo=True).kind == "plain", "the clip that comes with Mien shows nobody who minds"
    assert PreviewSwitch(off, demo=True).kind == "off", "unless somebody said so"


def switch(**watch: str) -> PreviewSwitch:
    return PreviewSwitch(Settings(watch=watch))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("most", "granted"), [("off", ["off"]), ("blurred", ["off", "blurred"]), ("plain", ["off", "blurred", "plain"])]
)
def test_no_more_can_be_asked_for_than_the_source_allows(most: str, granted: list[str]) -> None:
    for kind in ("off", "blurred", "plain"):
        asked = switch(remote_preview=most)
        if kind in granted:
            asked.ask(kind)  # type: ignore[arg-type]
            assert asked.kind == kind
        else:
            with pytest.raises(UsageError, match=f"watch.remote_preview is {most}"):
                asked.ask(kind)  # type: ignore[arg-type]
            assert (asked.kind, asked.until) == ("off", None)


def test_what_was_asked_for_ends_by_itself_after_an_hour_and_by_a_word(clock: Callable[[float], None]) -> None:
    asked = switch(remote_preview="plain", preview="blurred")
    asked.ask("plain")
    assert asked.kind == "plain"
    noted(asked, NOISE)
    assert asked.picture()
    clock(ASKED_S - 1)
    assert not asked.ends()
    asked.ask("plain")
    clock(ASKED_S - 1)
    assert not asked.ends(), "an hour from the last time"
    noted(asked, NOISE)
    clock(1)
    assert asked.ends()
    assert not asked.ends(), "once"
    assert (asked.kind, asked.until) == ("blurred", None), "what the settings say goes on"
    assert asked.picture() is None, "and the frame of before is forgotten"
    asked.ask("plain")
    asked.ask("off")
    assert (asked.kind, asked.until) == ("blurred", None)
    asked.ask("blurred")
    assert asked.until is None, "it is sent anyway"


def test_a_picture_names_the_observation_of_its_frame() -> None:
    preview = Preview()
    noted(preview, NOISE)
    picture = preview.picture()
    assert picture
    named = observation_shown(picture)
    assert named
    assert picture == captioned(b"\xff\xd8" + picture[47:], named)
    assert checked_preview(picture) == picture
    assert observation_shown(picture[:30]) is None
    assert observation_shown(jpeg()) is None


@pytest.mark.parametrize(
    ("size", "small"),
    [((1280, 720), (320, 180)), ((720, 1280), (270, 480)), ((160, 120), (160, 120)), ((4000, 9), (320, 1))],
)
def test_it_is_small_and_keeps_its_shape(size: tuple[int, int], small: tuple[int, int]) -> None:
    preview = Preview()
    noted(preview, np.resize(NOISE, (size[1], size[0], 3)))
    picture = preview.picture()
    assert decoded(picture).shape[1::-1] == small
    assert checked_preview(picture or b"") == picture


def test_however_much_is_seen_it_has_few_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    preview = Preview()
    noted(preview, NOISE[:480, :320])
    sharp = preview.picture()
    assert sharp
    monkeypatch.setattr(preview_module, "MAX_PREVIEW", len(sharp) - 1)
    for most, some in ((len(sharp) - 1, True), (100, False)):
        monkeypatch.setattr(preview_module, "MAX_PREVIEW", most)
        preview = Preview()
        noted(preview, NOISE[:480, :320])
        picture = preview.picture()
        assert (picture is not None) == some
        assert len(picture or b"") <= most


def test_one_comes_a_second_of_a_frame_that_is_new(clock: Callable[[float], None]) -> None:
    preview = Preview()
    assert preview.picture() is None
    noted(preview, NOISE)
    assert preview.picture()
    noted(preview, NOISE)
    clock(0.9)
    assert preview.picture() is None, "not so soon"
    clock(0.2)
    assert preview.picture()
    clock(1.1)
    assert preview.picture() is None, "the same frame once more"
    noted(preview, NOISE)
    clock(2.1)
    assert preview.picture() is None, "taken too long ago, as while the broker was away"
    noted(preview, NOISE)
    preview.forget()
    assert preview.picture() is None, "paused"


def test_a_face_that_was_lost_a_moment_ago_stays_hidden(clock: Callable[[float], None]) -> None:
    preview, face = BlurredPreview(), (400, 200, 240, 280)

    def hidden() -> bool:
        clock(1.1)
        small = decoded(preview.picture())
        return bool(small[60:110, 110:150].std() < 0.5 * small[:40, :80].std())

    noted(preview, NOISE, face, session="a", at=5.0)
    assert hidden()
    noted(preview, NOISE, session="a", at=5.5)
    assert hidden()
    noted(preview, NOISE, session="a", at=6.5)
    assert not hidden()
    noted(preview, NOISE, face, session="a", at=7.0)
    noted(preview, NOISE, session="b", at=0.0)
    assert not hidden(), "a video that begins anew begins without it"


def detail(picture: Image, places: Image) -> Image:
    """Return how much there is to see in the middle of each face, as it is lit: eyes, nose, mouth."""
    grey, found = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), []
    for x, y, width, height in places.round().astype(int):
        face = cv2.resize(grey[max(0, y) : y + height, max(0, x) : x + width], (48, 48))
        found.append(cv2.Laplacian(face[8:40, 8:40], cv2.CV_32F).var())
    return np.array(found)


@pytest.mark.data
@pytest.mark.parametrize(("photo", "found"), [("one-face.jpg", 1), ("five-faces.jpg", 5), ("group-5.jpg", 7)])
def test_nobody_can_be_recognised_also_where_the_pipeline_found_nobody(samples: Path, photo: str, found: int) -> None:
    image = np.asarray(cv2.imread(str(samples / photo)), np.uint8)
    boxes = Detector().detect_closely(image).boxes
    pictures = []
    for preview in (Preview(), BlurredPreview()):
        noted(preview, image)
        pictures.append(decoded(preview.picture()))
    plain, blurred = pictures
    places = boxes * (plain.shape[1] / image.shape[1])
    assert len(places) == found
    sharp, soft = (detail(picture, places) for picture in (plain, blurred))
    assert (soft < sharp / 4).all(), (sharp, soft)
    seen = np.abs(plain.astype(int) - blurred).max(2) > 40
    for x, y, width, height in places.round().astype(int):
        assert seen[max(0, y) : y + height, max(0, x) : x + width].any()
    assert seen.mean() < 0.35, "the rest of the picture is as it was"


def jpeg(width: int = 32, height: int = 24, *options: int) -> bytes:
    return cv2.imencode(".jpg", np.resize(NOISE, (height, width, 3)), options)[1].tobytes()


def test_only_a_small_baseline_jpeg_is_taken_for_one() -> None:
    assert checked_preview(jpeg(*PREVIEW_SIZE, cv2.IMWRITE_JPEG_QUALITY, 30))
    hostile = {
        "wide": jpeg(PREVIEW_SIZE[0] + 1),
        "high": jpeg(32, PREVIEW_SIZE[1] + 1),
        "long": jpeg() + bytes(MAX_PREVIEW),
        "progressive": jpeg(32, 24, cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
        "png": cv2.imencode(".png", NOISE[:24, :32])[1].tobytes(),
        "svg": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        "page": b"\xff\xd8\xff<script>alert(1)</script>",
        "empty": b"",
        "cut": jpeg()[:100],
        "endless": b"\xff\xd8" + b"\xff\xe0\x00\x00" * 5000,
    }
    for name, payload in hostile.items():
        with pytest.raises(ValueError, match="a preview"):
            pytest.fail(f"{name} is taken") if checked_preview(payload) else None


def test_damaged_ones_are_refused_or_bounded() -> None:
    chance, good = random.Random(3), jpeg()
    taken = 0
    for _ in range(5000):
        payload = bytearray(good)
        for _ in range(chance.randrange(1, 4)):
            payload[chance.randrange(200)] = chance.randrange(256)
        cut = bytes(payload[: chance.randrange(300, len(payload))])
        try:
            checked_preview(cut)
        except ValueError:
            continue
        taken += 1
        shown = cv2.imdecode(np.frombuffer(cut, np.uint8), cv2.IMREAD_COLOR)
        assert shown is None or (shown.shape[1] <= PREVIEW_SIZE[0] and shown.shape[0] <= PREVIEW_SIZE[1])
    assert 500 < taken < 4500
