"""The album report: who is best, what is the same photo, and that originals stay as they are."""

from __future__ import annotations

import hashlib
import json
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path

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
from mien.reports.album.selection import WEIGHTS, Photo, choose, grouped, rated
from mien.reports.base.job import Job

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
import album as worsened

DAY = datetime(2026, 11, 22, 12, tzinfo=timezone.utc)


def photo(name: str, happy: float = 0.9, fingerprint: int = 0, second: float | None = None, faces: int = 1) -> Photo:
    shares = [happy if emotion == "happy" else (1 - happy) / 6 for emotion in EMOTIONS]
    look = PhotoFace((100, 100, 200, 200), shares, 0.3, 0.9, 0.9)
    time = None if second is None else DAY + timedelta(seconds=second)
    return rated(Path(name), Measured(name, 800, 600, time, f"{fingerprint:016x}", [look] * faces))


def regrouped(photos: list[Photo]) -> list[Photo]:
    from dataclasses import replace

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
    assert worsened.beaten(worsened.photos_of([PORTRAIT]), tmp_path) == []


def test_of_near_duplicates_the_happier_one_wins_unless_it_is_damaged() -> None:
    from dataclasses import replace

    sound, happier, dark = photo("sound", 0.4), photo("happier", 0.9), photo("dark", 0.95)
    dark = replace(dark, parts=dark.parts | {"exposure": 0.3})
    assert choose([sound, happier, dark], 5) == [happier]
    assert choose([sound, dark], 5) == [sound]
