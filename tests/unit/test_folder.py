"""Folders of photos and videos, cameras' raw photos, and photos whose end is missing."""

from __future__ import annotations

import csv
import io
import logging
import struct
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import pytest
from making import grey_levels, write_video
from PIL import Image as Pillow
from PIL import features

from mien.config import Settings
from mien.errors import InputError, PartialError
from mien.media import decoding
from mien.media.folder import contents_of
from mien.media.open import open_source
from mien.reports.album.report import AlbumRequest, report_album
from mien.run.batch import analyze_paths


def picture(width: int = 64, height: int = 48) -> Pillow.Image:
    """Return a picture whose left half is blue, the right red, with some noise, so that it takes bytes."""
    noise = np.random.default_rng(1).integers(0, 60, (height, width, 3)).astype(np.uint8)
    noise[:, : width // 2, 2] += 190
    noise[:, width // 2 :, 0] += 190
    return Pillow.fromarray(noise)


def encoded(kind: str, **how: object) -> bytes:
    out = io.BytesIO()
    picture(320, 240).save(out, kind, **how)
    return out.getvalue()


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    folder = tmp_path / "holiday"
    (folder / "inner" / "@eaDir" / "a.jpg").mkdir(parents=True)
    (folder / ".hidden").mkdir()
    for name in (
        "a.jpg",
        "b.jfif",
        "c.jpe",
        "inner/d.PNG",
        "inner/@eaDir/a.jpg/SYNOPHOTO_THUMB_M.jpg",
        ".hidden/x.jpg",
    ):
        picture().save(folder / name, "PNG" if name.endswith("PNG") else "JPEG")
    (folder / "._a.jpg").write_bytes(b"what a Mac leaves")
    (folder / "Thumbs.db").write_bytes(b"what Windows leaves")
    (folder / "notes.txt").write_text("no photo")
    write_video(folder / "film.mp4", grey_levels(5), range(0, 200, 40))
    write_video(folder / "inner" / "other.mkv", grey_levels(3), range(0, 120, 40))
    stills = [picture(), picture().transpose(Pillow.Transpose.ROTATE_180)]
    stills[0].save(folder / "moves.gif", save_all=True, append_images=stills[1:], duration=100)
    return folder


def test_a_folders_photos_and_videos_are_analysed_and_what_was_left_out_is_said(
    mixed: Path, tmp_path: Path, tiny_model: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = Settings(vision={"model": tiny_model}, home=tmp_path / "home")  # type: ignore[arg-type]
    with caplog.at_level(logging.INFO):
        analyze_paths(settings, [mixed], output=tmp_path / "o.csv")
    with (tmp_path / "o.csv").open() as file:
        rows = [Path(row["file"]).name for row in csv.DictReader(file)]
    counts = {name: rows.count(name) for name in rows}
    expected = dict.fromkeys(("a.jpg", "b.jfif", "c.jpe", "d.PNG"), 1) | {"film.mp4": 5, "moves.gif": 2, "other.mkv": 3}
    assert counts == expected
    (line,) = [record.message for record in caplog.records if "left out" in record.message]
    assert "1 file that is neither photo nor video (notes.txt)" in line
    assert "@eaDir" in line
    assert "film" not in line


def test_a_folder_of_videos_alone_is_one_too(tmp_path: Path, tiny_model: Path) -> None:
    (tmp_path / "in").mkdir()
    write_video(tmp_path / "in" / "film.mp4", grey_levels(5), range(0, 200, 40))
    settings = Settings(vision={"model": tiny_model}, home=tmp_path / "home")  # type: ignore[arg-type]
    analyze_paths(settings, [tmp_path / "in"], output=tmp_path / "o.csv")
    assert len((tmp_path / "o.csv").read_text().splitlines()) == 6
    (tmp_path / "none").mkdir()
    with pytest.raises(InputError, match="hold no photo"):
        analyze_paths(settings, [tmp_path / "none"], output=tmp_path / "o.csv")


def test_as_a_source_a_folder_is_its_photos_and_its_notes_name_the_videos(mixed: Path) -> None:
    with open_source(str(mixed)) as source:
        assert len(list(source)) == 4
        assert "3 videos" in source.notes[0]


def test_links_that_lead_nowhere_are_named(tmp_path: Path) -> None:
    for name, target in (("gone.jpg", "nowhere.jpg"), ("self.jpg", "self.jpg"), ("dir", ".")):
        (tmp_path / name).symlink_to(target)
    line = contents_of(tmp_path).left_out(tmp_path, videos=True)
    assert line is not None
    assert line.endswith("2 links to files that are not there (gone.jpg, self.jpg)")


def test_an_album_says_what_it_left_out(mixed: Path, tmp_path: Path, tiny_model: Path) -> None:
    (mixed / "cut.jpg").write_bytes(encoded("JPEG")[:-2])
    settings = Settings(vision={"model": tiny_model}, home=tmp_path / "home")  # type: ignore[arg-type]
    page = report_album(AlbumRequest((mixed,)), settings).html()
    assert "3 videos" in page
    assert "The end of 1 photo is missing; read as far as it goes: cut.jpg." in page
    assert "SYNOPHOTO" not in page


def test_a_folder_that_cannot_be_read_says_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot open folder"):
        contents_of(tmp_path / "missing")


def test_jpeg_2000_is_read() -> None:
    if not features.check("jpg_2000"):
        pytest.skip("this Pillow reads no JPEG 2000")
    image, _ = decoding.decode_photo(encoded("JPEG2000"))
    assert image[120, 20].argmax() == 0
    assert image[120, 300].argmax() == 2


CUT = [("JPEG", {}), ("JPEG", {"progressive": True}), ("PNG", {}), ("WEBP", {}), ("WEBP", {"lossless": True})]


@pytest.mark.parametrize(("kind", "how"), [*CUT, ("BMP", {}), ("GIF", {}), ("PPM", {}), ("TIFF", {})])
def test_a_photo_without_its_end_is_read_as_far_as_it_goes(kind: str, how: dict[str, object], tmp_path: Path) -> None:
    whole = encoded(kind, **how)
    right, _ = decoding.decode_photo(whole)
    for share in (0.999, 0.6):
        notes: list[str] = []
        image, _ = decoding.decode_photo(whole[: int(len(whole) * share)], notes.append)
        assert image.shape == right.shape
        near = np.abs(image.astype(int) - right).mean(axis=(1, 2)) < 8
        assert near.mean() > share - 0.3 or how.get("progressive")
        assert len(notes) <= 1
    assert "is cut: its end is missing" in notes[0]
    path = tmp_path / "cut"
    path.write_bytes(whole[: int(len(whole) * 0.6)])
    with open_source(str(path)) as source:
        assert len(list(source)) == 1
        assert source.problem is not None
        assert "is cut" in source.problem


@pytest.mark.parametrize(("kind", "how"), CUT)
def test_a_photo_of_which_only_the_beginning_is_there_is_refused(kind: str, how: dict[str, object]) -> None:
    with pytest.raises(InputError, match="cannot read the picture"):
        decoding.decode_photo(encoded(kind, **how)[:60])


def test_the_command_ends_as_for_a_cut_video(tmp_path: Path, tiny_model: Path) -> None:
    (tmp_path / "cut.jpg").write_bytes(encoded("JPEG")[:-2])
    settings = Settings(vision={"model": tiny_model}, home=tmp_path / "home")  # type: ignore[arg-type]
    with pytest.raises(PartialError, match=r"cut\.jpg'.* 1 frame "):
        analyze_paths(settings, [tmp_path / "cut.jpg"], output=tmp_path / "o.csv")


Entry = tuple[int, int, tuple[object, ...] | bytes]
"""Tag, type and values of a field of a TIFF."""

FORMS = {1: "B", 3: "H", 4: "I", 5: "2I", 10: "2i"}


def directory(entries: list[Entry], at: int) -> bytes:
    out, more = struct.pack("<H", len(entries)), b""
    after = at + 2 + 12 * len(entries) + 4
    for tag, kind, values in sorted(entries, key=lambda entry: entry[0]):
        if isinstance(values, bytes):
            content = values
        else:
            parts = [value if isinstance(value, tuple) else (value,) for value in values]
            content = b"".join(struct.pack(f"<{FORMS[kind]}", *part) for part in parts)
        head = struct.pack("<HHI", tag, kind, len(values))
        if len(content) <= 4:
            out += head + content.ljust(4, b"\0")
        else:
            out += head + struct.pack("<I", after + len(more))
            more += content + b"\0" * (len(content) % 2)
    return out + struct.pack("<I", 0) + more


def raw_photo(preview: bytes, width: int, height: int, orientation: int) -> bytes:
    """Return a DNG: a JPEG for the display, and under it what a sensor of 64x48 pixels took."""
    sensor = np.full((48, 64), 2000, "<u2").tobytes()

    def directories(below: int, at_preview: int, at_sensor: int) -> tuple[bytes, bytes]:
        one, nought = (1, 1), (0, 1)
        shown: list[Entry] = [
            *((254, 4, (1,)), (256, 4, (width,)), (257, 4, (height,)), (258, 3, (8, 8, 8)), (259, 3, (7,))),
            *((262, 3, (6,)), (271, 2, b"Mien\0"), (272, 2, b"Test\0"), (273, 4, (at_preview,))),
            *((274, 3, (orientation,)), (277, 3, (3,)), (278, 4, (height,)), (279, 4, (len(preview),))),
            *((306, 2, b"2024:05:06 07:08:09\0"), (330, 4, (below,)), (50706, 1, (1, 4, 0, 0))),
            *((50707, 1, (1, 1, 0, 0)), (50708, 2, b"Mien Test\0"), (50728, 5, (one,) * 3), (50778, 3, (21,))),
            (50721, 10, (one, nought, nought, nought, one, nought, nought, nought, one)),
        ]
        taken: list[Entry] = [
            *((254, 4, (0,)), (256, 4, (64,)), (257, 4, (48,)), (258, 3, (16,)), (259, 3, (1,)), (262, 3, (32803,))),
            *((273, 4, (at_sensor,)), (277, 3, (1,)), (278, 4, (48,)), (279, 4, (len(sensor),))),
            *((33421, 3, (2, 2)), (33422, 1, (0, 1, 1, 2)), (50717, 4, (4095,))),
        ]
        first = directory(shown, 8)
        return first, directory(taken, 8 + len(first))

    first, second = directories(0, 0, 0)
    at_preview = (8 + len(first) + len(second) + 1) // 2 * 2
    at_sensor = at_preview + len(preview) + len(preview) % 2
    first, second = directories(8 + len(first), at_preview, at_sensor)
    head = struct.pack("<2sHI", b"II", 42, 8) + first + second
    return (head.ljust(at_preview, b"\0") + preview).ljust(at_sensor, b"\0") + sensor


@pytest.mark.parametrize(
    ("orientation", "way"),
    [
        (1, None),
        (3, Pillow.Transpose.ROTATE_180),
        (6, Pillow.Transpose.ROTATE_270),
        (8, Pillow.Transpose.ROTATE_90),
    ],
)
def test_of_a_cameras_raw_photo_the_preview_is_read_upright(
    tmp_path: Path, orientation: int, way: Pillow.Transpose | None
) -> None:
    pytest.importorskip("rawpy")
    path = tmp_path / "photo.dng"
    path.write_bytes(raw_photo(encoded("JPEG", quality=95), 320, 240, orientation))
    right = picture(320, 240) if way is None else picture(320, 240).transpose(way)
    image, time = decoding.read_photo(path)
    assert image.shape == np.asarray(right).shape
    assert np.abs(image[..., ::-1].astype(int) - np.asarray(right)).mean() < 12
    assert time is not None
    local = datetime(2024, 5, 6, 7, 8, 9).astimezone(timezone.utc)
    assert time == local
    assert decoding.decode_photo(path.read_bytes())[0].shape == image.shape  # in memory it has no name
    assert path in contents_of(tmp_path).photos


def test_what_only_claims_to_be_a_raw_photo_says_so_in_one_line(tmp_path: Path) -> None:
    pytest.importorskip("rawpy")
    for name, content in (("a.cr2", b"II*\0\x10\0\0\0CR\2\0"), ("b.nef", b"nothing"), ("c.raf", b"FUJIFILMCCD-RAW ")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match=f"'.*{name}'.*preview") as caught:
            decoding.read_photo(tmp_path / name)
        assert "\n" not in str(caught.value)
