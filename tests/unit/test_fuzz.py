"""Files as nobody means them: each ends in a result or in one clear line, soon and within bounded memory.

`COUNTS` add up to 2,000 inputs. Others come with another seed, more with a factor:

    FUZZ=10 pytest tests/unit/test_fuzz.py --hypothesis-seed=7
"""

from __future__ import annotations

import contextlib
import csv
import io
import os
import resource
import struct
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from making import grey_levels, write_video
from PIL import Image as Pillow

from mien.config import load
from mien.errors import MienError
from mien.media import video
from mien.media.demo import Demo
from mien.media.open import open_source
from mien.media.selection import selected
from mien.observation import EMOTIONS, Face, Observation, Probabilities, decode, encode, new_id, now
from mien.training import data
from mien.vision.detector import Detector, crop

TIMES = int(os.environ.get("FUZZ", "1"))
"""So many times as many inputs."""

pytestmark = pytest.mark.timeout(300 * TIMES)

COUNTS = {"photos": 1000, "videos": 300, "data sets": 250, "records": 250, "settings": 100, "shapes": 100}
MAX_S = 15.0
"""One input may take so long on a busy machine; on an idle one none takes a second."""
MAX_MB = 700
"""So much memory all inputs of a kind may add: 40 million pixels decoded, turned and converted."""

ENDINGS = ["", ".jpg", ".png", ".gif", ".webp", ".tif", ".mp4", ".mkv", ".txt", ".csv"]
NUMBERS = [0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF]


class Damage(NamedTuple):
    """What happens to one place of a file; the place as a share of its length."""

    kind: str
    at: float
    length: int
    value: int

    def to(self, content: bytearray) -> None:
        at = int(self.at * len(content))
        if self.kind == "cut":
            del content[at:]
        elif self.kind == "zeros":
            content[at : at + self.length] = bytes(self.length)
        elif self.kind == "lose":
            del content[at : at + self.length]
        elif self.kind == "repeat":
            content[at:at] = content[at : at + self.length]
        elif self.kind == "number":  # sizes, counts and offsets stand as such in headers
            content[at : at + 4] = struct.pack(">I" if self.length % 2 else "<I", NUMBERS[self.value % len(NUMBERS)])
        elif content:
            content[min(at, len(content) - 1)] ^= 1 << self.value % 8


kinds = st.sampled_from(["flip", "flip", "flip", "number", "number", "zeros", "lose", "repeat", "cut"])
places = st.floats(0, 1) | st.floats(0, 0.05)  # headers are where it hurts
damages = st.lists(st.builds(Damage, kinds, places, st.integers(1, 64), st.integers(0, 255)), max_size=12)


class Seeds(list[bytes]):
    """Files that are whole; their contents stay out of reports."""

    def __repr__(self) -> str:
        return f"<{len(self)} files>"


def fuzzed(count: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    return settings(
        max_examples=TIMES * COUNTS[count],
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
    )


def damaged(seeds: Sequence[bytes], pick: int, what: list[Damage]) -> bytes:
    content = bytearray(seeds[pick % len(seeds)])
    for one in what:
        one.to(content)
    return bytes(content)


def ends_well(read: Callable[[], object]) -> None:
    """Check that it ends in a result or in one clear line, and in time."""
    began, line = time.process_time(), "fine"
    try:
        read()
    except MienError as error:
        line = str(error)
    assert line.strip()
    assert "\n" not in line
    assert len(line) < 1000
    assert time.process_time() - began < MAX_S


@pytest.fixture(autouse=True)
def bounded_memory() -> Iterator[None]:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024 < MAX_MB


@pytest.fixture(scope="module")
def photos() -> Seeds:
    """A photo of every kind, with EXIF data, a palette, transparency, 16 bits and several pictures where it can be."""
    image = Pillow.fromarray(Demo().image(0.0)[100:196, 200:328, ::-1])
    exif = Pillow.Exif()
    exif[0x0112], exif[0x0132] = 6, "2026:11:22 07:01:54"
    variants = [(image, kind, {}) for kind in ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "PPM")]
    variants += [(image, kind, {"exif": exif}) for kind in ("JPEG", "PNG", "WEBP", "TIFF")]
    variants += [(image.convert("CMYK"), "JPEG", {"progressive": True}), (image.convert("RGBA"), "WEBP", {})]
    variants += [(image.convert("P"), "PNG", {"transparency": 3}), (image.convert("I;16"), "PNG", {})]
    variants += [(image, "TIFF", {"compression": "tiff_lzw"}), (image, "TIFF", {"compression": "jpeg"})]
    variants += [(image, "GIF", {"save_all": True, "append_images": [image.rotate(90)]})]
    variants.append((image, "TIFF", {"save_all": True, "append_images": [image.rotate(90), image.convert("1")]}))
    with contextlib.suppress(ImportError):
        import pillow_heif

        pillow_heif.register_heif_opener()
        variants += [(image, "HEIF", {"exif": exif}), (image.convert("L"), "HEIF", {})]
    if "AVIF" in Pillow.registered_extensions().values():
        variants.append((image, "AVIF", {}))
    contents = Seeds()
    for picture, kind, options in variants:
        file = io.BytesIO()
        picture.save(file, kind, **options)
        contents.append(file.getvalue())
    return contents


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Seeds:
    folder = tmp_path_factory.mktemp("seeds")
    images, times = grey_levels(6, 64, 48), range(0, 240, 40)
    made = (
        ("a.mp4", "libx264"),
        ("b.mkv", "libx264"),
        ("c.avi", "mpeg4"),
        ("d.webm", "libvpx"),
        ("e.ts", "libx264"),
        ("f.avi", "mjpeg"),
        ("g.webm", "libvpx-vp9"),
    )
    return Seeds(write_video(folder / name, images, times, codec).read_bytes() for name, codec in made)


def look_at(path: Path, start: float = 0.0) -> None:
    with open_source(str(path)) as source:
        for count, frame in enumerate(selected(source, start=start)):
            assert frame.image.dtype == np.uint8
            assert frame.image.ndim == 3
            assert frame.image.shape[2] == 3
            assert frame.image.size > 0
            assert count < 200


@fuzzed("photos")
@given(pick=st.integers(0, 99), what=damages, ending=st.sampled_from(ENDINGS))
def test_photos(photos: Seeds, tmp_path: Path, pick: int, what: list[Damage], ending: str) -> None:
    path = tmp_path / f"file{ending}"
    path.write_bytes(damaged(photos, pick, what))
    ends_well(lambda: look_at(path))


@fuzzed("videos")
@given(pick=st.integers(0, 99), what=damages, ending=st.sampled_from(ENDINGS), start=st.sampled_from([0, 0.12, 3]))
def test_videos(videos: Seeds, tmp_path: Path, pick: int, what: list[Damage], ending: str, start: float) -> None:
    path = tmp_path / f"file{ending}"
    path.write_bytes(damaged(videos, pick, what))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(video, "WORTH_SEEKING_S", 0.05)
        ends_well(lambda: look_at(path, start))


@pytest.fixture(scope="module")
def data_sets() -> Seeds:
    """FER-2013 as Kaggle's table, and as Parquet."""
    pa, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    rows = [(n % 7, " ".join([str(n * 9)] * 48 * 48), data.USAGES[n % 3]) for n in range(6)]
    text = io.StringIO()
    csv.writer(text).writerows([("emotion", "pixels", "Usage"), *rows])
    pictures = [io.BytesIO() for _ in rows]
    for picture, (_, pixels, _) in zip(pictures, rows, strict=True):
        Pillow.new("L", (48, 48), int(pixels.split()[0])).save(picture, "PNG")
    table = {
        "image": [{"bytes": picture.getvalue(), "path": None} for picture in pictures],
        "label": [label for label, _, _ in rows],
        "usage": [usage for _, _, usage in rows],
    }
    file = io.BytesIO()
    parquet.write_table(pa.table(table), file)
    return Seeds([text.getvalue().encode(), file.getvalue()])


@fuzzed("data sets")
@given(pick=st.integers(0, 99), what=damages)
def test_data_sets(data_sets: Seeds, tmp_path: Path, pick: int, what: list[Damage]) -> None:
    path = tmp_path / ("fer2013.parquet" if pick % 2 else "fer2013.csv")
    path.write_bytes(damaged(data_sets, pick, what))
    ends_well(lambda: data.load(path))


@fuzzed("records")
@given(what=damages)
def test_records(what: list[Damage]) -> None:
    face = Face(3, (412, 190, 96, 96), 0.97, "happy", Probabilities(0, 0, 0, 1, 0, 0, 0))
    whole = encode(Observation(new_id(), "hall", new_id(), 3, now(), 1.5, 3, 640, 360, "m@00000000", 7.9, [face]))
    payload = damaged([whole], 0, what)
    try:
        record = decode(payload)
    except ValueError as error:
        assert str(error)  # noqa: PT017 - either outcome is right
    else:
        assert decode(encode(record)) == record
        assert all(face.emotion in (*EMOTIONS, None) for face in record.faces)


@fuzzed("settings")
@given(what=damages)
def test_settings(tmp_path: Path, what: list[Damage]) -> None:
    whole = (
        b"[watch]\nfps = 10\n[[source]]\nurl = 'demo'\nname = 'hall'\nmask = [[0, 0, 0.5, 1], [[0, 0], [1, 0], [1, 1]]]"
    )
    path = tmp_path / "mien.toml"
    path.write_bytes(damaged([whole], 0, what))
    ends_well(lambda: load(file=path))


sides = st.sampled_from([1, 2, 3, 31, 32, 33, 640]) | st.integers(1, 700)


@fuzzed("shapes")
@given(width=sides, height=sides, seed=st.integers(0, 9))
def test_pictures_of_any_shape(detector: Detector, width: int, height: int, seed: int) -> None:
    image = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    found = detector.detect(image)
    assert np.isfinite(found.boxes).all()
    far = [[1e9, -1e9, 10, 10], [-1e30, 1e30, 1e20, 1e20], [width, height, 1, 1], [-3, -3, 3, 3]]
    boxes = np.array([[-5, -5, width + 10, height + 10], [width - 1, height - 1, 1, 1], *far], np.float32)
    assert crop(image, np.concatenate([found.boxes, boxes])).shape == (len(found) + 6, 48, 48)
