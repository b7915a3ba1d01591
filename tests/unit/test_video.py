"""Videos of many containers and codecs: every frame at its time, from the beginning or from the middle."""

from __future__ import annotations

import gc
import json
import math
import subprocess
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from making import add_beep, beep_in, grey_levels

from mien.errors import InputError
from mien.media import seeking, video
from mien.media.base import Frame
from mien.media.encode import VideoWriter
from mien.media.open import open_source
from mien.media.selection import Sampling, selected
from mien.media.sparing import SparingDecoder, UnsureError
from programs import program

EVEN = [40 * n for n in range(75)]
UNEVEN = [n * 40 + (n % 4) * 9 + (n // 30) * 500 for n in range(75)]
MADE = {
    "b-frames.mp4": ("libx264", "yuv420p", EVEN, {"bf": "2", "g": "12"}),
    "uneven.mp4": ("libx264", "yuv420p", UNEVEN, {"bf": "2", "g": "12"}),
    "uneven.mkv": ("libx264", "yuv420p", UNEVEN, {"bf": "2", "g": "12"}),
    "late.mkv": ("libx264", "yuv420p", [at + 900 for at in UNEVEN], {"bf": "0", "g": "12"}),
    "one-key-frame.mp4": ("libx264", "yuv420p", EVEN, {"bf": "2", "g": "999"}),
    "vp8.webm": ("libvpx", "yuv420p", UNEVEN, {"g": "12", "deadline": "realtime"}),
    "vp9.webm": ("libvpx-vp9", "yuv420p", UNEVEN, {"g": "12", "deadline": "realtime", "cpu-used": "8"}),
    "hevc.mp4": ("libx265", "yuv420p10le", EVEN, {"x265-params": "log-level=none:keyint=12", "preset": "ultrafast"}),
    "mjpeg.avi": ("mjpeg", "yuvj420p", EVEN, {}),
    "mpeg4.avi": ("mpeg4", "yuv420p", EVEN, {"g": "12"}),
    "prores.mov": ("prores_ks", "yuv422p10le", UNEVEN, {}),
    "h264.ts": ("libx264", "yuv420p", EVEN, {"bf": "2", "g": "12"}),
    "mpeg2.mpg": ("mpeg2video", "yuv420p", EVEN, {"bf": "2", "g": "12"}),
    "png.mov": ("png", "rgba", UNEVEN, {}),
    "ffv1.mkv": ("ffv1", "gray", UNEVEN, {"g": "12"}),
}
LAYERS = ("libx265", "yuv420p", EVEN, {"x265-params": "log-level=none:keyint=12:temporal-layers=3:bframes=3"})
SAMPLINGS = (
    Sampling(fps=5),
    Sampling(fps=0.7),
    Sampling(every=7),
    Sampling(every=40),
    Sampling(every=2, fps=8, start=0.9, end=2.5),
)


def make(path: Path, codec: str, pixels: str, times_ms: Sequence[int], options: dict[str, str]) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, 25, options)
        stream.width, stream.height, stream.pix_fmt = 64, 48, pixels
        # AVI and MPEG know nothing but a constant rate.
        unit = Fraction(1, 25) if times_ms is EVEN else Fraction(1, 1000)
        stream.codec_context.time_base = unit
        stream.codec_context.thread_count = 1
        for image, time in zip(grey_levels(len(times_ms)), times_ms, strict=True):
            frame = av.VideoFrame.from_ndarray(image, format="bgr24")
            frame.pts, frame.time_base = round(time / 1000 / unit), unit
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("films")
    return {name: make(folder / name, *how) for name, how in MADE.items()}


def frames_of(path: Path, start: float = 0.0) -> list[Frame]:
    with open_source(str(path)) as source:
        frames = list(selected(source, start=start))
        assert source.problem is None
        return frames


def shown_by_ffprobe(path: Path) -> list[float]:
    """Return the times of a file's frames as FFmpeg's own program tells them; nan where it has none."""
    asked = [
        "-v",
        "quiet",
        "-select_streams",
        "V:0",
        "-show_entries",
        "frame=best_effort_timestamp_time",
        "-of",
        "json",
    ]
    answer = subprocess.run([program("ffprobe"), *asked, str(path)], capture_output=True, check=True).stdout
    return [float(frame.get("best_effort_timestamp_time", "nan")) for frame in json.loads(answer)["frames"]]


@pytest.mark.parametrize("name", MADE)
def test_every_frame_is_there_at_its_time(films: dict[str, Path], name: str) -> None:
    frames, times = frames_of(films[name]), MADE[name][2]
    assert [frame.index for frame in frames] == list(range(75))
    assert [frame.offset_s for frame in frames] == pytest.approx([(at - times[0]) / 1000 for at in times], abs=2e-3)
    levels = [frame.image[30:].mean() for frame in frames]
    assert levels == pytest.approx([20 + 3 * n for n in range(75)], abs=6)


@pytest.mark.parametrize("name", MADE)
def test_frames_are_given_back_without_waiting_for_the_garbage_collection(films: dict[str, Path], name: str) -> None:
    """Each that waited would keep its picture: hundreds of them, several megabytes each, before one comes by."""
    gc.collect()
    before = _decoded_alive()
    gc.disable()
    try:
        frames_of(films[name])
        assert _decoded_alive() - before <= 2
    finally:
        gc.enable()


def _decoded_alive() -> int:
    return sum(type(kept) is av.VideoFrame for kept in gc.get_objects())  # isinstance wakes up what poses as a class


@pytest.mark.parametrize("name", MADE)
def test_times_are_those_of_ffprobe(films: dict[str, Path], name: str) -> None:
    ours, theirs = frames_of(films[name]), shown_by_ffprobe(films[name])
    assert len(ours) == len(theirs)
    told = [(a.offset_s, b - theirs[0]) for a, b in zip(ours, theirs, strict=True) if not math.isnan(b)]
    assert len(told) > 45
    assert [a for a, _ in told] == pytest.approx([b for _, b in told], abs=1e-4)


@pytest.mark.parametrize("name", MADE)
def test_beginning_in_the_middle_gives_the_very_same_frames(
    films: dict[str, Path], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = frames_of(films[name])
    monkeypatch.setattr(video, "WORTH_SEEKING_S", 0.1)
    for start in (0.3, 1.0, 1.96, whole[-1].offset_s or 0.0):
        expected = [frame for frame in whole if (frame.offset_s or 0.0) >= start - 1e-6]
        part = frames_of(films[name], start)
        assert [(one.index, one.offset_s) for one in part] == [(one.index, one.offset_s) for one in expected]
        assert all((a.image == b.image).all() for a, b in zip(part, expected, strict=True))


@pytest.mark.parametrize("name", ["b-frames.mp4", "uneven.mp4", "h264.ts", "mpeg4.avi", "mjpeg.avi", "prores.mov"])
def test_what_lies_before_the_beginning_is_not_decoded(films: dict[str, Path], name: str) -> None:
    with open_source(str(films[name])) as source:
        source.skip_to(2.4)
        decoded = [frame.index for frame in source]
    assert decoded[-1] == 74
    assert decoded[0] >= 12, f"{75 - decoded[0]} of 75 frames were decoded"


def test_a_file_that_finds_a_place_too_late_is_read_from_its_beginning(
    films: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    film = films["b-frames.mp4"]
    right = seeking.find

    def too_late(*of: object, **how: object) -> seeking.SeekPoint | None:
        place = right(*of, **how)  # type: ignore[arg-type]
        return place and place._replace(key=int(place.times[-1]) * 2)

    monkeypatch.setattr(video, "find", too_late)
    assert [frame.index for frame in frames_of(film, 2.0)] == list(range(50, 75))


def test_a_beginning_after_the_end_says_when_the_end_is(films: dict[str, Path]) -> None:
    with pytest.raises(InputError, match=r"2\.96 s.*7 s"):
        frames_of(films["b-frames.mp4"], 7)


def test_frames_that_an_edit_list_hides_are_not_shown(films: dict[str, Path], tmp_path: Path) -> None:
    cut = tmp_path / "cut.mp4"
    with av.open(str(films["b-frames.mp4"])) as given, av.open(str(cut), "w") as container:
        stream = container.add_stream_from_template(given.streams.video[0])
        for packet in given.demux(video=0):
            if packet.size:  # ten frames come before the time 0, as where a film is cut without encoding it again
                packet.pts -= round(0.4 / packet.time_base)
                packet.dts -= round(0.4 / packet.time_base)
                packet.stream = stream
                container.mux(packet)
    frames = frames_of(cut)
    assert [frame.offset_s for frame in frames] == pytest.approx([0.04 * n for n in range(65)], abs=1e-3)
    assert frames[0].image[30:].mean() == pytest.approx(50, abs=3)
    assert [frame.index for frame in frames_of(cut, 2.0)] == list(range(50, 65))


def late_picture(path: Path, film: Path, lead_s: float) -> Path:
    """Write a copy of a film with a beep at 1 s whose picture begins so much after its sound."""
    loud = add_beep(path.with_name("loud.mp4"), film, 1.0, 1.2)
    with av.open(str(loud)) as given, av.open(str(path), "w") as container:
        streams = {stream.type: container.add_stream_from_template(stream) for stream in given.streams}
        for packet in given.demux():
            if packet.size:
                shift = round(lead_s / packet.time_base) if packet.stream.type == "video" else 0
                packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
                packet.stream = streams[packet.stream.type]
                container.mux(packet)
    return path


@pytest.mark.parametrize(("lead_s", "first"), [(0.8, 0.8), (0.05, 0.0)])
def test_a_picture_well_after_its_sound_keeps_its_place(
    films: dict[str, Path], tmp_path: Path, lead_s: float, first: float
) -> None:
    late = late_picture(tmp_path / "late.mp4", films["b-frames.mp4"], lead_s)
    frames = frames_of(late)
    assert [frame.offset_s for frame in frames] == pytest.approx([first + 0.04 * n for n in range(75)], abs=1e-3)
    assert [frame.index for frame in frames_of(late, first + 2)] == list(range(50, 75))
    drawn = tmp_path / "drawn.mp4"
    with VideoWriter(drawn, sound=late) as writer:
        for frame in frames:
            writer.write(frame.image, frame.offset_s or 0.0)
    with av.open(str(late)) as container:
        shown = next(container.decode(video=0)).time
    heard, before = beep_in(drawn), beep_in(late)
    assert heard is not None
    assert before is not None
    assert heard == pytest.approx([at - shown for at in before], abs=0.03), "sound and picture go together as before"


def test_closing_ends_the_search_for_a_place(films: dict[str, Path]) -> None:
    with open_source(str(films["uneven.mkv"])) as source:
        source.skip_to(3.0)
        source.close()
        assert list(source) == []


def interlaced(path: Path) -> Path:
    return make(path, "libx264", "yuv420p", EVEN, {"flags": "+ilme+ildct", "g": "12", "bf": "2"})


def test_interlaced_video_has_its_whole_frames(tmp_path: Path) -> None:
    frames = frames_of(interlaced(tmp_path / "interlaced.ts"))
    assert [frame.offset_s for frame in frames] == pytest.approx([0.04 * n for n in range(75)], abs=1e-3)


@pytest.mark.parametrize(("width", "height"), [(1, 1), (3, 2), (317, 233)])
def test_odd_sizes(tmp_path: Path, width: int, height: int) -> None:
    path = tmp_path / "odd.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", 25)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv444p"
        for level in (10, 200):
            frame = av.VideoFrame.from_ndarray(np.full((height, width, 3), level, np.uint8), format="bgr24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    frames = frames_of(path)
    assert [frame.image.shape for frame in frames] == [(height, width, 3)] * 2
    assert [frame.image.mean() for frame in frames] == pytest.approx([10, 200], abs=3)


@pytest.mark.parametrize(("stands", "noted"), [(10, True), (2, False)])
def test_frames_whose_clock_stands_still_are_noted(tmp_path: Path, stands: int, *, noted: bool) -> None:
    times = [*range(0, 400, 40), *[360] * stands, *range(400, 800, 40)]
    with open_source(str(make(tmp_path / "film.mkv", "ffv1", "gray", times, {}))) as source:
        offsets = [frame.offset_s for frame in source]
        assert offsets == pytest.approx([time / 1000 for time in times])
        assert any(f"{stands} of the {len(times)} frames" in note for note in source.notes) is noted


def test_a_file_of_sound_alone_says_so(films: dict[str, Path], tmp_path: Path) -> None:
    loud = add_beep(tmp_path / "loud.mp4", films["b-frames.mp4"], 0.5, 0.6)
    with av.open(str(loud)) as given, av.open(str(tmp_path / "song.m4a"), "w", format="mp4") as container:
        stream = container.add_stream_from_template(given.streams.audio[0])
        for packet in given.demux(audio=0):
            if packet.size:
                packet.stream = stream
                container.mux(packet)
    with pytest.raises(InputError, match=r"song\.m4a': it holds no picture, only audio"):
        open_source(str(tmp_path / "song.m4a"))


def test_pictures_with_exif_in_a_video_are_upright(tmp_path: Path) -> None:
    from PIL import Image

    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter
    Image.fromarray(np.full((48, 64, 3), 128, np.uint8)).save(tmp_path / "shot.jpg", exif=exif)
    with av.open(str(tmp_path / "shot.jpg")) as photo, av.open(str(tmp_path / "shot.mkv"), "w") as video:
        stream = video.add_stream_from_template(photo.streams.video[0])
        for packet in photo.demux():
            if packet.size:
                packet.stream = stream
                video.mux(packet)
    with open_source(str(tmp_path / "shot.mkv")) as source:
        (frame,) = source.frames()
    assert frame.image.shape == (64, 48, 3)


def same(path: Path, sampling: Sampling) -> None:
    """Check that the frames that are wanted of a film are those of decoding all of it, and its problem too."""
    with video.Video(str(path), "film") as film:
        wants, every = sampling.wants(), list(film)
        whole = [frame for frame in every if wants(frame.index, frame.offset_s or 0.0)]
    with video.Video(str(path), "film") as part:
        chosen = list(selected(part, **vars(sampling)))
        assert part.problem == film.problem
    assert [(frame.index, frame.offset_s) for frame in chosen] == [(frame.index, frame.offset_s) for frame in whole]
    assert all((a.image == b.image).all() for a, b in zip(chosen, whole, strict=True))
    assert chosen


@pytest.mark.parametrize("name", MADE)
def test_frames_are_the_same_though_others_are_not_decoded(films: dict[str, Path], name: str) -> None:
    for sampling in SAMPLINGS:
        same(films[name], sampling)


def test_frames_are_the_same_where_layers_refer_to_others(tmp_path: Path) -> None:
    film = make(tmp_path / "layers.mp4", *LAYERS)
    for sampling in SAMPLINGS:
        same(film, sampling)


def decoded(path: Path, sampling: Sampling) -> int:
    """Return how many of a film's 75 frames are decoded."""
    with video.Video(str(path), "film") as film:
        decoder = SparingDecoder(film._stream, film._clock_from, sampling.needs())
        for packet in film._container.demux(film._stream):
            decoder.take(packet)
        return decoder.decoded


def test_little_else_is_decoded_than_what_is_shown(films: dict[str, Path]) -> None:
    few = {name: decoded(films[name], Sampling(fps=0.4)) for name in MADE if name not in ("vp8.webm", "mpeg4.avi")}
    assert few["one-key-frame.mp4"] < 60, "frames that no other refers to are not"
    assert max(few[name] for name in ("b-frames.mp4", "uneven.mkv", "h264.ts", "hevc.mp4", "vp9.webm")) < 40, "groups"
    assert max(few[name] for name in ("mjpeg.avi", "prores.mov", "png.mov")) < 16, "they stand alone"
    assert decoded(films["b-frames.mp4"], Sampling(fps=5)) < 70


def test_a_film_that_tells_too_little_is_decoded_as_a_whole(films: dict[str, Path], tmp_path: Path) -> None:
    content = films["h264.ts"].read_bytes()
    joined, cut, damaged = (tmp_path / f"{name}.ts" for name in ("joined", "cut", "damaged"))
    joined.write_bytes(content + content)
    cut.write_bytes(content[: len(content) * 2 // 3])
    spoilt = bytearray(content)
    spoilt[len(content) // 2 :: 700] = bytes(len(spoilt[len(content) // 2 :: 700]))
    damaged.write_bytes(spoilt)
    with pytest.raises(UnsureError):
        decoded(joined, Sampling(fps=5))
    for path in (joined, cut, damaged):
        same(path, Sampling(fps=5))
    short = tmp_path / "short.mp4"
    short.write_bytes(films["hevc.mp4"].read_bytes()[:-300])
    with pytest.raises(InputError):
        same(short, Sampling(fps=5))
