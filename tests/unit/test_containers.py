"""What a video's container says of its picture: pixels, orientation, streams, clock, rate; and what its name may be."""

from __future__ import annotations

import io
import os
import shutil
import struct
import subprocess
from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from making import add_beep, beep_in, grey_levels, write_video
from PIL import Image as Pillow

from mien.config import Settings
from mien.errors import InputError, UsageError
from mien.media.base import Frame
from mien.media.encode import VideoWriter
from mien.media.open import open_source
from mien.reports.base.job import Job
from mien.reports.base.pictures import moments
from mien.reports.base.recordings import Inputs, read_recordings
from programs import program

RATIOS = [(2, 1), (16, 11), (64, 45), (12, 11), (8, 9), (10, 11), (1, 2), (4, 3), (6, 11)]


def frames_of(path: Path | str, **how: float | None) -> tuple[list[Frame], tuple[str, ...]]:
    with open_source(str(path), **how) as source:  # type: ignore[arg-type]
        frames = list(source)
        assert source.problem is None
        return frames, source.notes


def circle(width: int, height: int, aspect: Fraction) -> np.ndarray:
    """Return what a sensor with such pixels makes of a circle as wide as half the picture is high."""
    image = np.full((height, width, 3), 30, np.uint8)
    axes = round(height / 4 / float(aspect)), round(height / 4)
    return np.asarray(cv2.ellipse(image, (width // 2, height // 2), axes, 0, 0, 360, (220, 220, 220), -1), np.uint8)


def write_shape(path: Path, image: np.ndarray, aspect: Fraction | None, codec: str = "libx264") -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, 25)
        stream.height, stream.width, stream.pix_fmt = *image.shape[:2], "yuv420p"
        stream.codec_context.thread_count = 1
        if aspect:
            stream.codec_context.sample_aspect_ratio = aspect
        for _ in range(5):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="bgr24")))
        container.mux(stream.encode(None))
    return path


def shape_shown(path: Path) -> tuple[float, tuple[int, ...]]:
    """Return how many times as wide as high the circle is, and the frame's shape."""
    image = frames_of(path)[0][0].image
    bright = image[..., 1] > 120
    return float(bright.any(0).sum() / bright.any(1).sum()), image.shape


def asked_of_ffprobe(path: Path, entries: str) -> list[str]:
    asked = ["-v", "error", "-select_streams", "v:0", "-show_entries", entries, "-of", "csv=p=0", str(path)]
    return (
        subprocess.run([program("ffprobe"), *asked], capture_output=True, check=True, text=True)
        .stdout.split()[0]
        .split(",")
    )


@pytest.mark.parametrize("ratio", RATIOS)
@pytest.mark.parametrize("ending", ["mp4", "mkv", "ts"])
def test_a_circle_stays_one_whatever_the_shape_of_the_pixels(
    tmp_path: Path, ratio: tuple[int, int], ending: str
) -> None:
    aspect = Fraction(*ratio)
    path = write_shape(tmp_path / f"circle.{ending}", circle(240, 200, aspect), aspect)
    shown, shape = shape_shown(path)
    assert shown == pytest.approx(1, abs=0.04)
    width, height = map(int, asked_of_ffprobe(path, "stream=width,height")[:2])
    told = Fraction(asked_of_ffprobe(path, "stream=display_aspect_ratio")[0].replace(":", "/"))
    assert shape[1] / shape[0] == pytest.approx(float(told), rel=0.01)
    assert shape[0] >= height
    assert shape[1] >= width


def test_the_containers_word_holds_over_the_streams(tmp_path: Path) -> None:
    aspect = Fraction(16, 11)
    path = write_shape(tmp_path / "circle.mp4", circle(240, 200, aspect), Fraction(2))
    content = path.read_bytes()
    at = content.index(b"pasp") + 4
    path.write_bytes(content[:at] + struct.pack(">2I", 16, 11) + content[at + 8 :])
    assert shape_shown(path)[0] == pytest.approx(1, abs=0.04)


def test_pixels_of_an_absurd_shape_are_taken_for_square(tmp_path: Path) -> None:
    path = write_shape(tmp_path / "circle.mkv", circle(240, 200, Fraction(1)), Fraction(1, 200))
    assert shape_shown(path) == (pytest.approx(1, abs=0.04), (200, 240, 3))


def test_what_is_drawn_is_in_displayed_pixels(tmp_path: Path) -> None:
    path = write_shape(tmp_path / "circle.mp4", circle(240, 200, Fraction(2)), Fraction(2))
    with VideoWriter(tmp_path / "out.mp4") as writer:
        for frame in frames_of(path)[0]:
            writer.write(frame.image, frame.offset_s or 0.0)
    assert shape_shown(tmp_path / "out.mp4") == (pytest.approx(1, abs=0.04), (200, 480, 3))


MATRICES = {
    (1, 0, 0, 1): None,
    (-1, 0, 0, 1): Pillow.Transpose.FLIP_LEFT_RIGHT,
    (-1, 0, 0, -1): Pillow.Transpose.ROTATE_180,
    (1, 0, 0, -1): Pillow.Transpose.FLIP_TOP_BOTTOM,
    (0, 1, 1, 0): Pillow.Transpose.TRANSPOSE,
    (0, 1, -1, 0): Pillow.Transpose.ROTATE_270,
    (0, -1, -1, 0): Pillow.Transpose.TRANSVERSE,
    (0, -1, 1, 0): Pillow.Transpose.ROTATE_90,
}


@pytest.mark.parametrize("matrix", MATRICES)
def test_all_eight_display_matrices(tmp_path: Path, matrix: tuple[int, ...]) -> None:
    image = np.zeros((48, 64, 3), np.uint8)
    image[:24, :32], image[:24, 32:], image[24:, :32], image[24:, 32:] = 20, 90, 160, 230
    path = write_video(tmp_path / "quarters.mp4", [image] * 3, [0, 40, 80])
    content = bytearray(path.read_bytes())
    at = content.index(b"tkhd") + 4 + 40
    a, b, c, d = (value << 16 for value in matrix)
    content[at : at + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(content)
    way = MATRICES[matrix]
    expected = Pillow.fromarray(image) if way is None else Pillow.fromarray(image).transpose(way)
    shown = frames_of(path)[0][0].image
    assert shown.shape == np.asarray(expected).shape
    assert shown.astype(int) == pytest.approx(np.asarray(expected).astype(int), abs=16)


Track = tuple[str, Sequence[np.ndarray], int, int]
"""Codec, pictures, milliseconds between two, disposition."""


def write_tracks(path: Path, tracks: Iterable[Track]) -> Path:
    with av.open(str(path), "w") as container:
        streams = []
        for codec, images, step, disposition in tracks:
            stream = container.add_stream(codec, 25)
            stream.height, stream.width = images[0].shape[:2]
            stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
            stream.codec_context.time_base = Fraction(1, 1000)
            stream.disposition = disposition
            streams.append((stream, images, step))
        for stream, images, step in streams:
            for number, image in enumerate(images):
                frame = av.VideoFrame.from_ndarray(image, format="bgr24")
                frame.pts, frame.time_base = number * step, Fraction(1, 1000)
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
    return path


FILM, LONG, SMALL = grey_levels(50), grey_levels(75), grey_levels(50, 32, 24)
COVER = [np.full((96, 128, 3), 200, np.uint8)]


@pytest.mark.parametrize(
    ("tracks", "taken"),
    [
        ([("mjpeg", COVER, 40, 0), ("libx264", FILM, 40, 1)], 1),
        ([("mjpeg", COVER, 40, 1), ("libx264", FILM, 40, 0)], 1),
        ([("libx264", FILM, 40, 1), ("mjpeg", COVER, 40, 0)], 0),
        ([("libx264", FILM, 40, 0), ("libx264", LONG, 40, 0)], 1),
        ([("libx264", FILM, 40, 1), ("libx264", LONG, 40, 0)], 0),
        ([("libx264", SMALL, 40, 0), ("libx264", FILM, 40, 0)], 1),
    ],
    ids=["picture", "picture-by-default", "picture-last", "longer", "default", "larger"],
)
def test_of_several_streams_the_film_is_taken_and_a_line_says_so(
    tmp_path: Path, tracks: list[Track], taken: int
) -> None:
    path = write_tracks(tmp_path / "several.mkv", tracks)
    frames, notes = frames_of(path)
    images = tracks[taken][1]
    assert len(frames) == len(images)
    assert frames[0].image.shape == images[0].shape
    assert len(notes) == 1
    assert f"stream {taken} (" in notes[0].partition("was taken")[0]
    assert f"stream {1 - taken} (" in notes[0].partition("there is also")[2]
    other, notes = frames_of(path, stream=1 - taken)
    assert len(other) == len(tracks[1 - taken][1])
    assert notes == ()


def test_a_cover_that_says_it_is_one_is_no_film(tmp_path: Path) -> None:
    tracks = [("mjpeg", COVER, 40, 0x0400), ("libx264", FILM, 40, 0)]
    frames, _ = frames_of(write_tracks(tmp_path / "cover.mp4", tracks))
    assert len(frames) == 50


def test_a_stream_that_is_not_there_is_named_with_those_that_are(tmp_path: Path) -> None:
    path = write_tracks(tmp_path / "several.mkv", [("libx264", FILM, 40, 0)])
    with pytest.raises(InputError, match=r"3.*stream 0 \(h264, 64x48, 2.0 s\)"):
        open_source(str(path), stream=3)
    for wrong in ({"stream": -1}, {"fps_in": 0.0}, {"fps_in": 1e9}):
        with pytest.raises(UsageError):
            open_source(str(path), **wrong)  # type: ignore[arg-type]


def write_part(path: Path, begins_s: float, count: int = 50, format_name: str = "mpegts") -> bytes:
    """Write a part of a broadcast whose clock begins at this time, and return it."""
    options = {"mpegts_copyts": "1"} if format_name == "mpegts" else {}
    with av.open(str(path), "w", format=format_name, options=options) as container:
        codec = "libx264" if format_name == "mpegts" else "mpeg2video"
        stream = container.add_stream(codec, 25, {"g": "10", "bf": "0", "preset": "ultrafast"} if options else {})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.thread_count = 1
        for number, image in enumerate(grey_levels(count)):
            frame = av.VideoFrame.from_ndarray(image, format="bgr24")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            for packet in stream.encode(frame):
                _mux(container, packet, begins_s)
        for packet in stream.encode(None):
            _mux(container, packet, begins_s)
    return path.read_bytes()


def _mux(container: av.container.OutputContainer, packet: av.Packet, begins_s: float) -> None:
    shift = round(begins_s / packet.time_base)
    packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
    container.mux(packet)


WRAP_S = 2**33 / 90_000


@pytest.mark.parametrize(
    ("begins", "restarts"),
    [
        ((1.4, 1.4, 1.4), 2),
        ((1000.0, 1.4), 1),  # which FFmpeg takes for a clock that ran over, and moves far ahead
        ((1.4, 100.0), 1),
        ((1.4, 4000.0, 3.0), 2),
        ((WRAP_S - 1,), 0),
    ],
    ids=["same", "back", "ahead", "ahead-and-back", "wrap"],
)
def test_a_clock_that_begins_anew_goes_on(tmp_path: Path, begins: tuple[float, ...], restarts: int) -> None:
    path = tmp_path / "joined.ts"
    path.write_bytes(b"".join(write_part(tmp_path / "part.ts", at) for at in begins))
    frames, notes = frames_of(path)
    count = 50 * len(begins)
    assert [frame.index for frame in frames] == list(range(count))
    assert [frame.offset_s for frame in frames] == pytest.approx([0.04 * n for n in range(count)], abs=2e-3)
    times = {1: "once", 2: "2 times"}
    assert [times[restarts] in note for note in notes] == ([True] if restarts else [])


def test_a_place_in_joined_parts_is_the_right_one(tmp_path: Path) -> None:
    path = tmp_path / "joined.ts"
    path.write_bytes(b"".join(write_part(tmp_path / "part.ts", 1.4, 75) for _ in range(3)))
    for start in (2.2, 4.0, 7.0):
        with open_source(str(path)) as source:
            source.skip_to(start)
            part = [frame for frame in source if (frame.offset_s or 0.0) >= start - 1e-6]
        first = round(start * 25)
        assert [frame.index for frame in part] == list(range(first, 225))
        levels = [frame.image[30:].mean() for frame in part]
        assert levels == pytest.approx([20 + 3 * (n % 75) for n in range(first, 225)], abs=6)


def test_chapters_of_a_dvd_follow_each_other(tmp_path: Path) -> None:
    path = tmp_path / "chapters.vob"
    path.write_bytes(b"".join(write_part(tmp_path / "part.vob", 1.0, 50, "vob") for _ in range(2)))
    frames, notes = frames_of(path)
    assert len(frames) == 100
    assert frames[-1].offset_s == pytest.approx(3.96, abs=0.05)
    assert len(notes) == 1


def test_reports_see_joined_parts_whole(tmp_path: Path) -> None:
    path = tmp_path / "joined.ts"
    path.write_bytes(b"".join(write_part(tmp_path / "part.ts", 1.4) for _ in range(3)))
    settings = Settings(home=tmp_path / "home")
    for _ in range(2):  # the second time from what was kept
        (recording,) = read_recordings(Inputs((str(path),)), settings, Job())
        assert recording.seconds == pytest.approx(6, abs=0.25)
        assert any("begins anew 2 times" in note for note in recording.notes)
    pictures = moments(recording, [0.4, 2.4, 4.4], settings, Job(), blur=False)
    greys = [np.asarray(Pillow.open(io.BytesIO(jpeg)).convert("L")) for jpeg in pictures.values()]
    levels = [grey[30:].mean() for grey in greys]
    assert levels == pytest.approx([50, 50, 50], abs=6)


def test_a_report_looks_at_the_stream_that_was_asked_for(tmp_path: Path) -> None:
    dark, bright = [np.full((48, 64, 3), level, np.uint8) for level in (20, 200)]
    tracks: list[Track] = [("libx264", [dark] * 50, 40, 1), ("libx264", [bright] * 50, 40, 0)]
    path, settings = write_tracks(tmp_path / "two.mkv", tracks), Settings(home=tmp_path / "home")
    for stream, level in ((None, 20), (1, 200), (0, 20)):
        (recording,) = read_recordings(Inputs((str(path),), stream=stream), settings, Job())
        assert any("2 video streams" in note for note in recording.notes) == (stream is None)
        (jpeg,) = moments(recording, [1.0], settings, Job(), blur=False).values()
        assert np.asarray(Pillow.open(io.BytesIO(jpeg)).convert("L")).mean() == pytest.approx(level, abs=6)


def test_a_report_takes_the_rate_that_was_asked_for(tmp_path: Path) -> None:
    path, settings = raw_video(tmp_path / "raw.h264", 30), Settings(home=tmp_path / "home")
    for rate, seconds in ((None, 2.0), (10.0, 6.0)):
        (recording,) = read_recordings(Inputs((str(path),), fps_in=rate), settings, Job())
        assert recording.seconds == pytest.approx(seconds, abs=0.25)
        assert len(moments(recording, [1.0], settings, Job(), blur=False)) == 1


def test_the_sound_of_joined_parts_stays_with_their_picture(tmp_path: Path) -> None:
    silent = write_video(tmp_path / "silent.mp4", grey_levels(75), range(0, 3000, 40))
    loud = add_beep(tmp_path / "loud.ts", silent, 1.0, 1.2, "aac")
    path = tmp_path / "joined.ts"
    path.write_bytes(loud.read_bytes() * 2)
    with open_source(str(path)) as source, VideoWriter(tmp_path / "out.mp4", sound=path) as writer:
        for frame in source:
            writer.write(frame.image, frame.offset_s or 0.0)
    heard = beep_in(tmp_path / "out.mp4")
    assert heard is not None
    assert heard == pytest.approx((1.0, 4.2), abs=0.1)


NAMES = [
    *("10:30-call.mp4", "concat:a|b.mp4", "http:film.mp4", "file:film.mp4", "a|b.mp4", "im%03d.mp4", "what?.mp4"),
    *("line\nbreak.mp4", "-dash.mp4", "subfile,,start,0,:x.mp4", "star*[1].mp4", os.fsdecode(b"caf\xe9.mp4")),
]


@pytest.mark.parametrize("name", NAMES)
def test_a_file_is_opened_as_a_file_whatever_its_name(
    video: Path, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    film = add_beep(tmp_path / "loud.mp4", video, 0.4, 0.6)
    try:
        shutil.copy(film, name)
    except (OSError, UnicodeError) as error:
        pytest.skip(f"no file can have this name here: {error}")
    for spec in (name, str(tmp_path / name)):
        assert len(frames_of(spec)[0]) == 40
    with VideoWriter(Path(f"{name}.out.mp4"), sound=name) as writer:
        for frame in frames_of(name)[0]:
            writer.write(frame.image, frame.offset_s or 0.0)
    out = shutil.copy(f"{name}.out.mp4", "out.mp4")
    assert beep_in(Path(out)) is not None
    (recording,) = read_recordings(Inputs((name,)), Settings(home=tmp_path / "home"), Job())
    assert len(moments(recording, [0.2], Settings(home=tmp_path / "home"), Job(), blur=False)) == 1
    recording.name.encode()


def raw_video(path: Path, rate: int) -> Path:
    with av.open(str(path), "w", format="h264") as container:
        stream = container.add_stream("libx264", rate)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for image in grey_levels(60):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="bgr24")))
        container.mux(stream.encode(None))
    return path


def test_a_file_without_times_says_which_rate_was_taken(tmp_path: Path) -> None:
    path = raw_video(tmp_path / "raw.h264", 30)
    frames, notes = frames_of(path)
    assert [frame.offset_s for frame in frames] == pytest.approx([n / 30 for n in range(60)])
    assert "30 a second were taken, as its pictures say" in notes[0]
    assert "--fps-in" in notes[0]
    frames, notes = frames_of(path, fps_in=12.5)
    assert [frame.offset_s for frame in frames] == pytest.approx([n / 12.5 for n in range(60)])
    assert "12.5 a second were taken, as was asked for" in notes[0]


def test_a_chain_of_jpegs_is_a_video_of_25_frames_a_second(tmp_path: Path) -> None:
    path = tmp_path / "chain.mjpeg"
    jpegs = [cv2.imencode(".jpg", image)[1].tobytes() for image in grey_levels(10)]
    path.write_bytes(b"".join(jpegs))
    frames, notes = frames_of(path)
    assert [frame.offset_s for frame in frames] == pytest.approx([n / 25 for n in range(10)])
    assert "25 a second were taken, for want of a better" in notes[0]
    assert [frame.offset_s for frame in frames_of(path, fps_in=5)[0]] == pytest.approx([n / 5 for n in range(10)])


def test_a_rate_is_not_used_where_the_file_has_times(video: Path) -> None:
    frames, notes = frames_of(video, fps_in=5)
    assert frames[-1].offset_s == pytest.approx(1.56, abs=1e-3)
    assert "are not used" in notes[0]
