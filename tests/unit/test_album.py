"""The album report: who is best, what is the same photo, and that originals stay as they are."""

from __future__ import annotations

import hashlib
import json
import sys
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import msgspec
import numpy as np
import polars as pl
import pytest
from making import write_model
from PIL import Image, ImageFilter

from mien.config import Settings, checked
from mien.errors import InputError, UsageError
from mien.media.demo import PORTRAIT
from mien.models import store as model_store
from mien.observation import EMOTIONS
from mien.reports.album.measure import Measured, PhotoFace
from mien.reports.album.report import AlbumRequest, report_album
from mien.reports.album.selection import FILTERS, WEIGHTS, Photo, choose, grouped, keywords, losers, rated
from mien.reports.album.taste import learned
from mien.reports.base.job import Job
from mien.reports.base.parts import Pictures

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
import album as worsened

DAY = datetime(2026, 11, 22, 12, tzinfo=timezone.utc)


def face(
    happy: float = 0.9, eyes: float | None = 0.6, yaw: float | None = 0.0, pitch: float | None = 9.0, sharp: float = 0.3
) -> PhotoFace:
    shares = [happy if emotion == "happy" else (1 - happy) / 6 for emotion in EMOTIONS]
    return PhotoFace((100, 100, 200, 200), shares, sharp, 0.9, 0.9, eyes, yaw, pitch)


def photo(name: str, happy: float = 0.9, fingerprint: int = 0, second: float | None = None, faces: int = 1) -> Photo:
    time = None if second is None else DAY + timedelta(seconds=second)
    return rated(Path(name), Measured(name, 800, 600, time, f"{fingerprint:016x}", [face(happy)] * faces, 1.0, 0.7))


def group_photo(name: str, *looks: PhotoFace, fingerprint: int = 0, clean: float = 1.0) -> Photo:
    return rated(Path(name), Measured(name, 800, 600, None, f"{fingerprint:016x}", list(looks), clean, 0.7))


def regrouped(photos: list[Photo]) -> list[Photo]:
    return [replace(one, group=group) for one, group in zip(photos, grouped(photos), strict=True)]


def test_the_score_is_the_weighted_geometric_mean_of_its_parts() -> None:
    one = photo("a", happy=0.5)
    product = np.prod([one.parts[name] ** weight for name, weight in WEIGHTS.items()])
    assert sum(WEIGHTS.values()) == pytest.approx(1)
    assert one.score == pytest.approx(100 * product)
    assert one.parts["expression"] == pytest.approx(0.5)
    assert photo("b", faces=0).score is None


def test_near_duplicates_and_bursts_are_grouped() -> None:
    photos = [
        photo("a", fingerprint=0),
        photo("same", fingerprint=0b111),
        photo("other", fingerprint=(1 << 30) - 1, second=0),
        photo("burst", fingerprint=(1 << 40) - 1, second=2),
        photo("later", fingerprint=(1 << 50) - 1, second=60),
    ]
    assert grouped(photos) == [1, 1, 2, 2, 3]


def test_many_equal_photos_are_grouped_at_once() -> None:
    rng = np.random.default_rng(0)
    photos = [photo(str(n), fingerprint=7) for n in range(3000)]
    photos += [photo(f"o{n}", fingerprint=int(rng.integers(0, 1 << 63))) for n in range(300)]
    assert max(grouped(photos)) > 250


def test_the_best_of_each_group_is_chosen_and_rather_unlike_the_others() -> None:
    half = int("01" * 32, 2)
    photos = regrouped(
        [
            photo("a", 0.90, 0),
            photo("a2", 0.95, 1),  # the same as a, and better
            photo("like", 0.92, 0xFFF),  # 12 bits from a
            photo("unlike", 0.80, half),
            photo("sad", 0.02, (1 << 64) - 1),
            photo("nobody", 0.9, 0xFF << 20, faces=0),
        ]
    )
    assert [one.file.name for one in choose(photos, 2)] == ["a2", "unlike"]
    assert [one.file.name for one in choose(photos, 9)] == ["a2", "unlike", "like", "sad"]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return checked({"home": tmp_path / "home"}, "the test")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The portrait; turned on its side by its EXIF data; blurred; a lawn; and a file that is no photo."""
    folder = tmp_path / "album"
    (folder / "deep").mkdir(parents=True)
    portrait = Image.open(PORTRAIT)
    exif = Image.Exif()
    exif[0x0112], exif[0x0132] = 6, "2026:11:22 12:00:00"
    portrait.rotate(90, expand=True).save(folder / "deep" / "turned.jpg", exif=exif, quality=95)
    portrait.filter(ImageFilter.GaussianBlur(6)).save(folder / "blurred.jpg")
    Image.new("RGB", (300, 200), "green").save(folder / "lawn.png")
    (folder / "bad.jpg").write_text("no photo")
    return folder


def test_a_folder_becomes_a_page_and_copies(tmp_path: Path, folder: Path, settings: Settings) -> None:
    before = {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    request = AlbumRequest((folder,), best=5, copy_to=tmp_path / "best")
    made = report_album(request, settings)
    made.write(tmp_path / "album.html")
    rows = pl.read_parquet(tmp_path / "album.photos.parquet")
    assert list(rows.columns) == list(made.data[0].columns)
    best = rows.filter(pl.col("rank") == 1).to_dicts()[0]
    assert best["file"].endswith("turned.jpg")  # upright by its EXIF data, and sharper than the blurred one
    assert best["group"] == rows.filter(pl.col("file").str.ends_with("blurred.jpg"))["group"][0]
    assert best["score"] == pytest.approx(100 * np.prod([best[name] ** weight for name, weight in WEIGHTS.items()]))
    assert best["stars"] == min(5, 1 + best["score"] // 20)
    assert rows.filter(pl.col("rejected"))["file"].str.ends_with("blurred.jpg").to_list() == [True]
    assert any("bad.jpg" in note for note in made.notes)
    assert any("no face" in note for note in made.notes)
    assert (tmp_path / "best" / "turned.jpg").read_bytes() == (folder / "deep" / "turned.jpg").read_bytes()
    report_album(request, settings)
    assert (tmp_path / "best" / "turned-2.jpg").exists()  # nothing is written over
    assert {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()} == before


def test_a_photo_is_measured_once_whatever_it_is_called(folder: Path, settings: Settings) -> None:
    report_album(AlbumRequest((folder,), best=1), settings)
    (kept,) = (settings.home / "reports").glob("photos-*.jsonl")
    whole = kept.read_bytes()
    (folder / "lawn.png").rename(folder / "meadow.png")
    kept.write_bytes(whole + b'{"cut off')
    steps: list[str] = []
    report_album(AlbumRequest((folder,), best=1), settings, Job(lambda step, *_: steps.append(step)))
    assert kept.read_bytes() == whole
    assert "looking at photos" in steps


def test_what_cannot_be_done_is_refused(tmp_path: Path, folder: Path, settings: Settings) -> None:
    with pytest.raises(UsageError, match="among the originals"):
        report_album(AlbumRequest((folder,), copy_to=folder / "best"), settings)
    with pytest.raises(UsageError, match="expected 1 to 500"):
        report_album(AlbumRequest((folder,), best=0), settings)
    (tmp_path / "empty").mkdir()
    for path, said in ((tmp_path / "empty", "no photo was found"), (tmp_path / "none", "no such file")):
        with pytest.raises(InputError, match=said):
            report_album(AlbumRequest((path,)), settings)
    with pytest.raises(InputError, match=r"bad\.jpg"):
        report_album(AlbumRequest((folder / "bad.jpg",)), settings)


def test_photos_are_read_by_the_model_that_was_pulled_to_this_machine(
    tmp_path: Path, folder: Path, settings: Settings
) -> None:
    (tmp_path / "run").mkdir()
    always_sad = 20 * np.eye(7)[EMOTIONS.index("sad")]
    model = write_model(tmp_path / "run" / "000.onnx", np.zeros((48 * 48, 7)), always_sad)
    digest = hashlib.sha256(model.read_bytes()).hexdigest()
    epoch = {"epoch": 0, "accuracy": 0.1, "model": model.name, "sha256": digest}
    (tmp_path / "run" / "latest.json").write_text(json.dumps({"format": 1, "best": epoch, "latest": epoch}))
    model_store.pull(str(tmp_path / "run"), settings.home)
    photos = report_album(AlbumRequest((folder,), emotion="sad"), settings).data[0].table
    assert photos["expression"].drop_nulls().to_list() == pytest.approx([1, 1], abs=0.01)


def test_no_copy_that_was_made_worse_beats_the_photo(tmp_path: Path) -> None:
    ways = {name: way for name, way in worsened.WORSE.items() if name not in LIKE_OTHERS}
    assert worsened.beaten(worsened.photos_of([PORTRAIT]), tmp_path, ways) == []


LIKE_OTHERS = ("dark, x 0.5", "dark, gamma 3.5", "blurred, 4", "shaken, 12", "noisy, 60", "JPEG 5", "blurred, 8")
"""Ways that are measured by the benchmark alone."""


def test_eyes_and_direction_are_parts_of_the_score_where_the_model_says() -> None:
    good, shut, away = group_photo("a", face()), group_photo("b", face(eyes=0.1)), group_photo("c", face(yaw=40.0))
    assert good.parts["eyes"] == good.parts["looks"] == 1
    assert shut.parts["eyes"] == pytest.approx(0.05)
    assert away.parts["looks"] < 0.2
    assert good.score is not None
    assert good.score > max(shut.score or 0, away.score or 0)
    unsaid = group_photo("d", face(eyes=None, yaw=None, pitch=None))
    assert not {"eyes", "looks"} & set(unsaid.parts)
    several = group_photo("e", face(), face(eyes=0.1), face(eyes=None))
    assert several.parts["eyes"] == pytest.approx(0.05**0.5)  # what one lacks, the others do not make good
    noisy = group_photo("f", face(), clean=0.5)
    assert noisy.parts["sharpness"] == pytest.approx(good.parts["sharpness"] / 2)


def test_filters_choose_only_what_is_known_of_everybody() -> None:
    far = [int("01" * 32, 2), (1 << 64) - 1, 0xFFFF << 24]
    photos = regrouped(
        [
            group_photo("all", face(), face()),
            group_photo("shut", face(), face(eyes=0.15), fingerprint=far[0]),
            group_photo("unsaid", face(), face(eyes=None), fingerprint=far[1]),
            group_photo("serious", face(), face(happy=0.2), fingerprint=far[2]),
            group_photo("away", face(), face(pitch=40.0), fingerprint=far[2] >> 24),
        ]
    )
    assert {photo.file.name for photo in choose(photos, 9, ["all_eyes_open"])} == {"all", "serious", "away"}
    assert {photo.file.name for photo in choose(photos, 9, ["everyone_looks"])} == {"all", "shut", "unsaid", "serious"}
    assert {photo.file.name for photo in choose(photos, 9, ["everyone_smiles"])} == {"all", "shut", "unsaid", "away"}
    assert [photo.file.name for photo in choose(photos, 9, FILTERS)] == ["all"]
    assert photos[2].flags["all_eyes_open"] is None
    assert keywords(photos[0]) == ("happy", "everyone smiles", "all eyes open", "everyone looks")
    assert keywords(photos[3]) == ("happy", "all eyes open", "everyone looks")  # half of them
    blinked = regrouped([group_photo("shut", face(0.95, eyes=0.15, sharp=0.5)), group_photo("open", face(0.8))])
    assert [photo.file.name for photo in choose(blinked, 9, ["all_eyes_open"])] == ["open"]
    assert losers(blinked, ["all_eyes_open"]) == {Path("shut")}


def test_the_model_sees_open_eyes_and_who_looks_here(settings: Settings) -> None:
    row = report_album(AlbumRequest((PORTRAIT,)), settings).data[0].table.row(0, named=True)
    assert row["all_eyes_open"]
    assert row["everyone_looks"]
    assert row["eyes"] > 0.8
    assert row["clean"] > 0.9


def tastes(count: int, rng: np.random.Generator, **parts: float) -> list[Photo]:
    return [
        replace(photo(f"{n}"), parts={name: parts.get(name, float(rng.uniform(0.2, 1))) for name in WEIGHTS})
        for n in range(count)
    ]


def test_a_taste_is_learned_from_photos_that_were_chosen_before() -> None:
    rng = np.random.default_rng(1)
    open_eyes = learned(tastes(40, rng, eyes=0.95), tastes(60, rng, eyes=0.3))
    assert open_eyes.used
    assert sum(open_eyes.weights.values()) == pytest.approx(1, abs=0.01)
    assert open_eyes.weights["eyes"] > 0.4
    assert min(open_eyes.weights.values()) >= 0
    assert (open_eyes.own or 0) > 0.95 > (open_eyes.standing or 0)
    blurred = learned(tastes(40, rng, sharpness=0.2), tastes(60, rng, sharpness=0.9))  # no part counts against a photo
    assert blurred.weights["sharpness"] <= WEIGHTS["sharpness"]
    few = learned(tastes(9, rng, eyes=0.95), tastes(60, rng, eyes=0.3))
    assert (few.used, few.own, few.weights) == (False, None, WEIGHTS)


def test_a_taste_that_tells_nothing_is_not_used() -> None:
    used = 0
    for seed in range(12):
        rng = np.random.default_rng(seed)
        used += learned(tastes(15, rng), tastes(40, rng)).used
    assert used <= 1


def test_a_report_says_what_a_taste_did(tmp_path: Path, folder: Path, settings: Settings) -> None:
    report = report_album(AlbumRequest((folder,), like=(folder / "deep",)), settings)
    (section,) = (section for section in report.sections if section.title == "Your taste")
    assert "Nothing was learned" in str(section.parts[0])
    with pytest.raises(InputError, match="no such file"):
        report_album(AlbumRequest((folder,), like=(tmp_path / "none",)), settings)


def test_bursts_are_shown_by_time(tmp_path: Path, settings: Settings) -> None:
    portrait = Image.open(PORTRAIT)
    for second, name in ((2, "a"), (0, "b"), (1, "c")):
        exif = Image.Exif()
        exif[0x0132] = f"2026:11:22 12:00:0{second}"
        portrait.resize((400 + second, 400)).save(tmp_path / f"{name}.jpg", exif=exif)
    report = report_album(AlbumRequest((tmp_path,)), settings)
    (section,) = (section for section in report.sections if section.title == "Bursts")
    (pictures,) = section.parts
    assert isinstance(pictures, Pictures)
    assert [picture.title for picture in pictures.pictures] == ["b.jpg", "c.jpg", "a.jpg"]
    assert sum("the best" in picture.detail for picture in pictures.pictures) == 1
    anonymous = report_album(AlbumRequest((tmp_path,), anonymous=2), settings)
    assert not [section for section in anonymous.sections if section.title == "Bursts"]
    assert "faces" not in [data.name for data in anonymous.data]


def test_of_near_duplicates_the_happier_one_wins_unless_it_is_damaged() -> None:
    sound, happier, dark = photo("sound", 0.4), photo("happier", 0.9), photo("dark", 0.95)
    dark = replace(dark, parts=dark.parts | {"exposure": 0.3})
    assert choose([sound, happier, dark], 5) == [happier]
    assert choose([sound, dark], 5) == [sound]
    pale = replace(happier, measured=msgspec.structs.replace(happier.measured, levels=0.6))  # of 0.7
    assert choose([sound, pale], 5) == [sound]
