"""Sources: real files made on the spot, a real HTTP stream that goes away and comes back, and what is no source."""

from __future__ import annotations

import http.server
import io
import itertools
import resource
import socketserver
import struct
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest
from making import grey_levels, truncated_video, write_video
from PIL import Image as Pillow

from mien.errors import InputError, MienError, MissingExtraError, PartialError
from mien.media import decoding, live
from mien.media.base import Frame, Source, Wrapper, paced, performed, raise_problem
from mien.media.open import open_source
from mien.media.selection import limited, masked
from mien.media.video import Video


def frames_of(spec: Path | str) -> list[Frame]:
    with open_source(str(spec)) as source:
        frames = list(source)
        assert source.problem is None
        return frames


def test_a_video_gives_every_frame_at_its_time(video: Path) -> None:
    before = datetime.now(timezone.utc)
    frames = frames_of(video)
    assert [frame.index for frame in frames] == list(range(40))
    assert [frame.offset_s for frame in frames] == pytest.approx([0.04 * n for n in range(40)], abs=1e-3)
    assert all(frame.image.shape == (48, 64, 3) and frame.image.dtype == np.uint8 for frame in frames)
    levels = [frame.image[30:].mean() for frame in frames]
    assert levels == pytest.approx([20 + 3 * n for n in range(40)], abs=3)
    first = frames[0].time
    assert first is not None
    assert before <= first <= datetime.now(timezone.utc)
    assert frames[9].time == first + timedelta(seconds=frames[9].offset_s or 0)


def test_irregular_times_are_kept_and_offsets_start_at_0(tmp_path: Path) -> None:
    times = [700, 740, 1000, 1033, 2500]
    frames = frames_of(write_video(tmp_path / "irregular.mkv", grey_levels(5), times))
    assert [frame.offset_s for frame in frames] == pytest.approx([0, 0.04, 0.3, 0.333, 1.8], abs=2e-3)


def test_a_name_is_made_from_the_spec_or_given(video: Path) -> None:
    with open_source(str(video)) as source, open_source(str(video), "Front Door") as named:
        assert (source.name, named.name, source.live, source.dropped) == ("forty", "front-door", False, 0)
        assert source.expected == 40


@pytest.mark.parametrize(
    ("matrix", "white"), [((0, 1, -1, 0), "right"), ((-1, 0, 0, -1), "bottom"), ((0, -1, 1, 0), "left")]
)
def test_rotation_metadata_turn_the_picture(video: Path, matrix: tuple[int, ...], white: str) -> None:
    content = bytearray(video.read_bytes())
    at = content.index(b"tkhd") + 4 + 40
    a, b, c, d = (value << 16 for value in matrix)
    content[at : at + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    video.write_bytes(content)
    image = frames_of(video)[0].image
    assert image.shape == ((48, 64, 3) if white == "bottom" else (64, 48, 3))
    edges = {"top": image[:6], "bottom": image[-6:], "left": image[:, :6], "right": image[:, -6:]}
    assert max(edges, key=lambda edge: edges[edge].mean()) == white


@pytest.mark.parametrize("ending", [".mp4", ".mkv"])
def test_a_truncated_video_is_read_as_far_as_it_goes(tmp_path: Path, ending: str) -> None:
    path = truncated_video(tmp_path / f"half{ending}")
    with open_source(str(path)) as source:
        frames = list(source)
        assert 10 < len(frames) < 74
        assert source.problem is not None
        assert str(path) in source.problem
        with pytest.raises(PartialError, match="and the rest is kept") as caught:
            raise_problem(source, "and the rest is kept")
        assert caught.value.exit_code == 1
        assert "\n" not in str(caught.value)


def test_a_damaged_video_ends_in_frames_or_one_line(video: Path, capfd: pytest.CaptureFixture[str]) -> None:
    content = video.read_bytes()
    random = np.random.default_rng(7)
    for _ in range(40):
        damaged = bytearray(content)
        for at in random.integers(0, len(damaged), random.integers(1, 60)):
            damaged[at] = random.integers(0, 256)
        if random.random() < 0.3:
            del damaged[random.integers(0, len(damaged)) :]
        video.write_bytes(damaged)
        try:
            with open_source(str(video)) as source:
                for frame in source:
                    assert frame.image.ndim == 3
        except MienError as error:
            assert "\n" not in str(error)  # noqa: PT017 - either outcome is right
    assert capfd.readouterr().err == ""


def test_what_is_no_video_says_so_in_one_line(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    text, empty, folder = tmp_path / "text.mp4", tmp_path / "empty.mp4", tmp_path / "folder"
    text.write_text("hello\n" * 100)
    empty.touch()
    (folder / "inner").mkdir(parents=True)
    subtitles = tmp_path / "cues.vtt"
    subtitles.write_text("WEBVTT\n\n00:00.000 --> 00:02.000\nHi\n")
    for spec, said in (
        (tmp_path / "missing.mp4", "no such file"),
        (text, "no video"),
        (empty, "no video"),
        (folder, "no photo"),
        (subtitles, "holds no picture"),
        ("nonsense://x", "nothing here reads 'nonsense'"),
        ("", "there is no such file"),
        ("rtsp://[bad", "it is no URL"),
        (f"{'a' * 300}.mp4", "there is no such file"),
    ):
        with pytest.raises(InputError, match=said) as caught:
            open_source(str(spec))
        assert str(spec) in str(caught.value)
        assert "\n" not in str(caught.value)
    assert capfd.readouterr().err == ""


def test_what_is_no_camera_and_a_link_to_nothing_say_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="/dev/null is no camera"):
        open_source("/dev/null")
    (tmp_path / "film.mp4").symlink_to("gone.mp4")
    with pytest.raises(InputError, match=r"link to 'gone\.mp4'") as refused:
        open_source(str(tmp_path / "film.mp4"))
    assert "did you mean" not in str(refused.value)


def test_a_camera_that_is_not_there_says_so(capfd: pytest.CaptureFixture[str]) -> None:
    for spec in ("97", "/dev/video97"):
        with pytest.raises(InputError, match="there is no /dev/video97"):
            open_source(spec)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("scheme", ["rtsp", "http"])
def test_a_stream_that_cannot_be_reached_says_so_and_keeps_the_password(scheme: str, free_port: int) -> None:
    with pytest.raises(MienError, match=r"cannot reach stream \w+://\*\*\*@127") as caught:
        open_source(f"{scheme}://user:secret@127.0.0.1:{free_port}/live")
    assert caught.value.exit_code == 1
    assert "secret" not in str(caught.value)


class Cameras(socketserver.ThreadingMixIn, http.server.HTTPServer):
    """An HTTP camera: its pictures grow brighter with time, and it can be taken away."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, port: int) -> None:
        self.gone = threading.Event()
        self.sent = 0
        super().__init__(("127.0.0.1", port), Camera)
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def take_away(self) -> None:
        self.gone.set()
        self.shutdown()
        self.server_close()

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that leaves is no error."""


class Camera(http.server.BaseHTTPRequestHandler):
    server: Cameras

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=next")
        self.end_headers()
        while not self.server.gone.wait(0.02):
            self.server.sent += 1
            picture = io.BytesIO()
            Pillow.new("L", (64, 48), min(255, self.server.sent)).save(picture, "JPEG")
            content = picture.getvalue()
            self.wfile.write(b"--next\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(content))
            self.wfile.write(content + b"\r\n")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        pass


def until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


class Clock:
    """The clock of a source that waits: it goes on as it is waited, or by hand."""

    def __init__(self, source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        monkeypatch.setattr("mien.media.base.clock", self)
        monkeypatch.setattr(source, "_closed", self)

    def monotonic(self) -> float:
        return self.now

    def wait(self, seconds: float) -> bool:
        self.now += seconds
        return False

    def set(self) -> None:
        """Whoever closes the source sets this."""


def test_a_stream_gives_the_newest_frame_and_comes_back(free_port: int) -> None:
    cameras, opened = Cameras(free_port), datetime.now(timezone.utc)
    with open_source(f"http://127.0.0.1:{free_port}/video", "door") as source:
        assert source.live
        frames = iter(source)
        first = next(frames)
        assert first.offset_s == 0.0
        assert first.time is not None
        until(lambda: cameras.sent > 40)
        sent = cameras.sent
        next(frames)
        newest = next(frames)
        assert newest.index > source.dropped > 5
        assert newest.image.mean() > min(255, sent) - 30
        assert newest.time is not None
        assert opened <= first.time < newest.time <= datetime.now(timezone.utc)
        cameras.take_away()
        cameras = Cameras(free_port)
        last = newest.offset_s or 0
        began = time.monotonic()
        while (frame := next(frames)).offset_s is not None and cameras.sent < 5:
            assert time.monotonic() - began < 60, "the stream did not come back"
        assert (frame.offset_s or 0) > last
        source.close()
        assert list(frames) == []
    cameras.take_away()


def test_closing_from_another_thread_ends_a_wait(free_port: int) -> None:
    def silent() -> Iterator[object]:
        yield lambda: np.zeros((4, 4, 3), np.uint8)
        time.sleep(0.5)

    source = live.Live("silent", silent)  # type: ignore[arg-type]
    frames = iter(source)
    next(frames)
    threading.Timer(0.1, source.close).start()
    assert next(frames, None) is None


def test_a_file_is_played_at_its_own_pace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_video(tmp_path / "short.mp4", grey_levels(9), range(0, 720, 80))
    with paced(open_source(str(path))) as source:
        clock = Clock(source, monkeypatch)
        assert [clock.now for _ in source] == pytest.approx([0.08 * n for n in range(9)], abs=1e-3)


def test_fewer_frames_a_second_are_spread_evenly(video: Path) -> None:
    with limited(open_source(str(video)), lambda: 5) as source:
        offsets = [frame.offset_s for frame in source]
    assert offsets == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1.0, 1.2, 1.4], abs=1e-3)


class _Counted(Wrapper):
    count = 0

    def __iter__(self) -> Iterator[Frame]:
        for frame in self.frames():
            self.count += 1
            yield frame


@pytest.mark.parametrize(("before", "after"), [(5, None), (None, 5), (2, 10)])
def test_a_file_gives_no_more_frames_than_are_wanted_at_the_time(
    tmp_path: Path, before: float | None, after: float | None
) -> None:
    levels = [level for _ in range(4) for level in grey_levels(30)]
    path = write_video(tmp_path / "long.mp4", levels, range(0, 120 * 40, 40))
    offsets = [0.0]
    with _Counted(open_source(str(path))) as counted:
        for frame in limited(counted, lambda: before if offsets[-1] < 2.4 else after):
            offsets.append(frame.offset_s or 0.0)
    for fps, begin, end in ((before, 0.0, 2.4), (after, 2.8, 4.8)):
        got = sum(begin <= offset < end for offset in offsets[1:])
        assert got == pytest.approx((fps or 25) * (end - begin), abs=2)
    assert counted.count < (121 if before is None else 90), "others are not even decoded"


def test_masked_parts_are_black_and_the_rest_is_as_it_was(video: Path) -> None:
    half, corner = ((0.5, 0), (1, 0), (1, 1), (0.5, 1)), ((0, 0), (0.25, 0), (0, 0.25))
    with open_source(str(video)) as plain, masked(open_source(str(video)), [half, corner]) as hidden:
        pairs = [(a, b) for (a, b), _ in zip(zip(plain, hidden, strict=True), range(3), strict=False)]
    assert [(a.index, a.offset_s) for a, _ in pairs] == [(b.index, b.offset_s) for _, b in pairs]
    for before, after in ((a.image, b.image) for a, b in pairs):
        assert (after[:, 32:] == 0).all()
        assert (after[:4, :4] == 0).all()
        assert (after[13:, :32] == before[13:, :32]).all()
        assert (before[:, 32:] > 0).all()


def test_a_video_closed_in_the_middle_just_ends(video: Path) -> None:
    source = Video(str(video), "video")
    frames = iter(source)
    next(frames)
    source.close()
    assert list(frames) == []
    assert source.problem is None


def half_red(mode: str) -> Pillow.Image:
    picture = Pillow.new("RGB", (40, 20), (255, 0, 0))
    picture.paste((0, 0, 255), (0, 0, 20, 20))
    return picture.convert(mode)


@pytest.mark.parametrize(
    ("mode", "ending"), [("RGB", "png"), ("CMYK", "jpg"), ("P", "gif"), ("RGBA", "webp"), ("RGB", "tif")]
)
def test_photos_of_every_kind_become_bgr(tmp_path: Path, mode: str, ending: str) -> None:
    path = tmp_path / f"photo.{ending}"
    half_red(mode).save(path)
    (frame,) = frames_of(path)
    assert frame.image.shape == (20, 40, 3)
    assert (frame.offset_s, frame.time, frame.path) == (None, None, path)
    assert frame.image[10, 5].astype(int) == pytest.approx([255, 0, 0], abs=12)
    assert frame.image[10, 35].astype(int) == pytest.approx([0, 0, 255], abs=12)


def test_grey_16_bit_and_transparent_photos(tmp_path: Path) -> None:
    levels = np.array([[0, 32768], [65535, 257]], np.uint16)
    Pillow.fromarray(levels).save(tmp_path / "deep.png")
    assert frames_of(tmp_path / "deep.png")[0].image[..., 0] == pytest.approx(np.array([[0, 127], [255, 1]]), abs=1)
    Pillow.new("LA", (8, 8), (0, 0)).save(tmp_path / "glass.png")
    assert frames_of(tmp_path / "glass.png")[0].image.min() == 255


def test_exif_turns_a_photo_and_tells_its_time(tmp_path: Path) -> None:
    exif = Pillow.Exif()
    exif[0x0112] = 6
    details = exif.get_ifd(0x8769)
    details[0x9003], details[0x9011] = "2024:05:06 07:08:09", "+02:00"
    exif[0x0132] = "2025:01:01 00:00:00"  # when it was edited
    half_red("RGB").save(tmp_path / "turned.jpg", exif=exif, quality=95)
    (frame,) = frames_of(tmp_path / "turned.jpg")
    assert frame.image.shape == (40, 20, 3)
    assert frame.image[5, 10].astype(int) == pytest.approx([255, 0, 0], abs=20)
    assert frame.time == datetime(2024, 5, 6, 5, 8, 9, tzinfo=timezone.utc)


def test_a_folder_is_read_in_order_and_passes_over_what_is_broken(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    for name in ("b.png", "a.PNG", "inner/c.jpg"):
        half_red("RGB").save(tmp_path / name)
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 no photo")
    (tmp_path / "notes.txt").write_text("no photo")
    with open_source(str(tmp_path), "album") as source:
        frames = list(source)
        assert [frame.path.name for frame in frames if frame.path] == ["a.PNG", "b.png", "c.jpg"]
        assert source.expected == 4
        assert source.problem is not None
        assert "broken.jpg" in source.problem


def test_bombs_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = io.BytesIO()
    Pillow.new("1", (64, 64)).save(whole, "PNG")
    bomb = bytearray(whole.getvalue())
    bomb[16:24] = struct.pack(">2I", 30_000, 30_000)
    bomb[29:33] = struct.pack(">I", zlib.crc32(bomb[12:29]))
    (tmp_path / "bomb.png").write_bytes(bomb)
    began = time.process_time()
    with pytest.raises(InputError, match="pixels"):
        frames_of(tmp_path / "bomb.png")
    assert time.process_time() - began < 2
    monkeypatch.setattr(decoding, "MAX_PIXELS", 400)
    half_red("RGB").save(tmp_path / "large.png")
    with pytest.raises(InputError, match="make it smaller"):
        frames_of(tmp_path / "large.png")
    half_red("RGB").save(tmp_path / "large.jpg")
    assert frames_of(tmp_path / "large.jpg")[0].image.shape == (10, 20, 3)


def test_photos_are_told_by_their_content(tmp_path: Path) -> None:
    half_red("RGB").save(tmp_path / "film.mp4", "PNG")
    assert len(frames_of(tmp_path / "film.mp4")) == 1


def test_libtiff_writes_no_lines_of_its_own(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path, whole = tmp_path / "photo.tif", io.BytesIO()
    picture = Pillow.fromarray(np.random.default_rng(1).integers(0, 256, (60, 60, 3), np.uint8))
    picture.save(whole, "TIFF", compression="tiff_lzw")
    damaged = bytearray(whole.getvalue())
    damaged[400:2400] = bytes(range(250)) * 8
    path.write_bytes(damaged)
    with pytest.raises(InputError, match="cannot read"):
        decoding.read_photo(path)
    assert capfd.readouterr().err == ""


def test_damaged_photos_end_in_a_picture_or_one_line(tmp_path: Path) -> None:
    random = np.random.default_rng(3)
    path = tmp_path / "photo"
    for kind, _ in itertools.product(("JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP"), range(25)):
        whole = io.BytesIO()
        half_red("RGB").save(whole, kind)
        damaged = bytearray(whole.getvalue())
        for at in random.integers(0, len(damaged), random.integers(1, 30)):
            damaged[at] = random.integers(0, 256)
        path.write_bytes(damaged[: random.integers(1, len(damaged) + 1)])
        try:
            image, _ = decoding.read_photo(path)
            assert image.ndim == 3
        except InputError as error:
            assert "\n" not in str(error)  # noqa: PT017 - either outcome is right


def test_heic_photos_need_the_extra_and_are_upright_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    heif = pytest.importorskip("pillow_heif")
    exif = Pillow.Exif()
    exif[0x0112] = 6
    heif.from_pillow(half_red("RGB").resize((80, 40))).save(tmp_path / "photo.heic", exif=exif.tobytes(), quality=95)
    (frame,) = frames_of(tmp_path / "photo.heic")
    assert frame.image.shape == (80, 40, 3)
    assert frame.image[10, 20].astype(int) == pytest.approx([255, 0, 0], abs=30)
    half_red("RGB").save(tmp_path / "other.png")
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'mien\[heic\]'"):
        frames_of(tmp_path / "photo.heic")
    with open_source(str(tmp_path)) as source:
        assert [frame.path.name for frame in source if frame.path] == ["other.png"]
        assert "photo.heic" in str(source.problem)


@pytest.mark.skipif("AVIF" not in Pillow.registered_extensions().values(), reason="this Pillow reads no AVIF")
def test_avif_photos(tmp_path: Path) -> None:
    half_red("RGB").save(tmp_path / "photo.avif", quality=95)
    assert frames_of(tmp_path / "photo.avif")[0].image[10, 5].astype(int) == pytest.approx([255, 0, 0], abs=30)


def test_every_page_of_a_tiff_is_a_frame(tmp_path: Path) -> None:
    pages = [Pillow.new("L", (30, 20), 60 * n) for n in range(4)]
    pages[0].save(tmp_path / "scan.tif", save_all=True, append_images=pages[1:])
    half_red("RGB").save(tmp_path / "z.png")
    frames = frames_of(tmp_path)
    assert [frame.index for frame in frames] == [0, 1, 2, 3, 4]
    assert [frame.path.name for frame in frames if frame.path] == ["scan.tif"] * 4 + ["z.png"]
    assert [frame.image.mean() for frame in frames[:4]] == [0, 60, 120, 180]


def test_a_gif_that_moves_is_a_video_and_one_that_doesnt_a_photo(tmp_path: Path) -> None:
    pictures = [Pillow.new("L", (32, 32), 40 * n) for n in range(5)]
    pictures[0].save(
        tmp_path / "moves.gif", save_all=True, append_images=pictures[1:], duration=[100, 200, 300, 100, 50]
    )
    frames = frames_of(tmp_path / "moves.gif")
    assert [frame.offset_s for frame in frames] == pytest.approx([0, 0.1, 0.3, 0.6, 0.7], abs=0.011)
    assert [frame.image.mean() for frame in frames] == pytest.approx([0, 40, 80, 120, 160], abs=3)
    pictures[1].save(tmp_path / "stands.gif")
    assert [frame.offset_s for frame in frames_of(tmp_path / "stands.gif")] == [None]


def test_a_pattern_names_photos(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    for name in ("b.png", "a.png", "c.gif", "inner/d.png"):
        half_red("RGB").save(tmp_path / name)
    (tmp_path / "notes.png.txt").write_text("no photo")

    def named(pattern: str) -> list[str]:
        return [frame.path.name for frame in frames_of(tmp_path / pattern) if frame.path]

    assert named("*.png") == ["a.png", "b.png"]
    assert named("**/*.png") == ["a.png", "b.png", "d.png"]
    assert named("[bc].*") == ["b.png", "c.gif"]
    with pytest.raises(InputError, match="no such file"):
        named("*.webp")
    half_red("RGB").save(tmp_path / "[1].png")
    assert named("[1].png") == ["[1].png"]


def test_a_photo_of_100_megapixels_is_read_at_a_part_of_its_size(tmp_path: Path) -> None:
    Pillow.new("RGB", (10_000, 10_000), (0, 0, 255)).save(tmp_path / "large.jpg", quality=30)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert frames_of(tmp_path / "large.jpg")[0].image.shape == (5000, 5000, 3)
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024 < 300


@pytest.mark.data
def test_the_samples_have_the_frames_they_have(samples: Path) -> None:
    for name, count, end in (("one-face", 72, 71 / 30), ("no-face", 95, 3.9167)):
        frames = frames_of(samples / f"{name}.mp4")
        assert len(frames) == count
        assert frames[-1].offset_s == pytest.approx(end, abs=0.01)


def test_a_clip_that_stands_in_for_a_camera_never_falls_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    with performed(open_source("demo")) as source:
        clock = Clock(source, monkeypatch)
        for frame in source:
            seen.append(frame)
            assert 0 <= clock.now - (frame.offset_s or 0) < 0.2, "a frame came late"
            if clock.now > 1.5:
                break
            clock.wait(0.12)  # a machine too slow for the clip's 20 frames a second
        assert source.dropped > 5
    assert [frame.index for frame in seen] == sorted({frame.index for frame in seen})


def test_a_clip_that_cannot_even_be_decoded_in_time_is_still_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    class Slow(Wrapper):
        def __iter__(self) -> Iterator[Frame]:
            for frame in self.frames():
                clock.wait(0.1)  # twice as long as a frame lasts
                yield frame

    shown = []
    with performed(Slow(open_source("demo"))) as source:
        clock = Clock(source, monkeypatch)
        for _ in source:
            shown.append(clock.now)
            if clock.now > 3:
                break
        assert source.dropped > 5
    assert max(later - earlier for earlier, later in itertools.pairwise(shown)) < 0.5


def test_a_picture_that_stands_still_is_noticed_and_one_that_moves_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(live, "FROZEN_S", 0.3)
    caplog.set_level("INFO", "mien.media.live")
    moves = threading.Event()
    pictures = np.random.default_rng(1).integers(0, 255, (50, 32, 32, 3), np.uint8)

    def connect() -> Iterator[object]:
        for number in itertools.count():
            yield lambda number=number: pictures[number % 50 if moves.is_set() else 0]
            time.sleep(0.02)

    with live.Live("hall", connect) as source:  # type: ignore[arg-type]
        frames, end = iter(source), time.monotonic() + 20
        while source.state != "frozen":
            assert time.monotonic() < end, "nobody noticed"
            next(frames)
        assert ["the very same picture" in line for line in caplog.messages] == [True]
        assert limited(source, lambda: 5).state == "frozen", "wrappers say it too"
        moves.set()
        while source.state != "ok":
            assert time.monotonic() < end, "nobody noticed that it moves again"
            next(frames)
    assert "moves again" in caplog.messages[-1]


@pytest.mark.parametrize("spec", ["v4l2:/dev/video97", "v4l2:97", "v4l2:///dev/video97", "/dev/v4l/by-id/none"])
def test_a_camera_may_be_named_as_elsewhere(spec: str) -> None:
    with pytest.raises(InputError, match="there is no /dev/"):
        open_source(spec)


def test_a_camera_on_a_jetson_needs_gstreamer() -> None:
    with pytest.raises(InputError, match=r"csi://0.*GStreamer"):
        open_source("csi://0")
    for spec in ("csi://front", "csi:0", "v4l2:front"):
        with pytest.raises(InputError, match="expected"):
            open_source(spec)
