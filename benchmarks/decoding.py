"""What it costs to decode a film of which only some frames are looked at, by codec: everything decoded, and by need.

    python benchmarks/decoding.py [--fps 5] [--seconds 8] [--films film.mp4 ...]

The films show the demo with a camera's noise at 640x360 and 25 frames a second, encoded with each codec's usual
settings; --films takes others too. Milliseconds are those of the processor a frame of the film, the median of three
rounds in turn; both ways must give the very same frames. Telling shots apart is left out, as it is the same in both.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterator
from datetime import datetime
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
import numpy as np

from mien.media import video
from mien.media.base import Image
from mien.media.demo import Demo
from mien.media.selection import selected
from mien.media.sparing import is_spared

CODECS = {
    "H.264 (x264)": ("libx264", {}, "mp4"),
    "H.264 without B-frames": ("libx264", {"bf": "0"}, "mp4"),
    "HEVC (x265)": ("libx265", {"preset": "fast", "x265-params": "log-level=none"}, "mp4"),
    "VP9 (libvpx)": ("libvpx-vp9", {"deadline": "realtime", "cpu-used": "7"}, "webm"),
    "MPEG-4": ("mpeg4", {"bf": "2"}, "mp4"),
    "MPEG-2": ("mpeg2video", {"bf": "2"}, "ts"),
    "MJPEG": ("mjpeg", {}, "mkv"),
}
ROUNDS = 3


def pictures(seconds: float) -> Iterator[Image]:
    """Yield the demo's frames with noise."""
    dice = np.random.default_rng(1)
    for frame in islice(Demo(), round(25 * seconds)):
        noise = dice.normal(0, 3, frame.image.shape)
        yield np.asarray(np.clip(frame.image + noise, 0, 255), np.uint8)


def write(path: Path, codec: str, options: dict[str, str], images: list[Image]) -> Path:
    """Write a film and return its path."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, 25, options)
        stream.width, stream.height = 640, 360
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        for number, image in enumerate(images):
            frame = av.VideoFrame.from_ndarray(image, format="bgr24")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def decoded(path: Path, fps: float, *, by_need: bool) -> tuple[list[tuple[int, float | None, int]], float]:
    """Return number, time and content of each frame that is looked at, and the milliseconds a frame of the film."""
    video.__dict__["is_spared"] = is_spared if by_need else lambda _: False
    began = time.process_time()
    with video.Video(str(path), "film") as film:
        frames = [(frame.index, frame.offset_s, hash(frame.image.tobytes())) for frame in selected(film, fps=fps)]
    return frames, 1000 * (time.process_time() - began) / max(1, film.count)


def main() -> None:
    """Print a table."""
    options = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    options.add_argument("--fps", type=float, default=5)
    options.add_argument("--seconds", type=float, default=8)
    options.add_argument("--films", type=Path, nargs="*", default=[])
    asked = options.parse_args()
    print(f"{datetime.now().astimezone():%Y-%m-%d}, {asked.fps:g} frames/s of 25")
    with tempfile.TemporaryDirectory() as folder:
        images = list(pictures(asked.seconds))
        films = {path.name: path for path in asked.films}
        for name, (codec, given, ending) in CODECS.items():
            films[name] = write(Path(folder) / f"{codec}-{len(films)}.{ending}", codec, given, images)
        for name, path in films.items():
            rounds = [[decoded(path, asked.fps, by_need=need) for need in (False, True)] for _ in range(ROUNDS)]
            assert all(whole[0] == sparing[0] for whole, sparing in rounds), f"{name}: other frames"
            whole, sparing = (statistics.median(each[way][1] for each in rounds) for way in (0, 1))
            print(
                f"{name:<24} {whole:5.2f} ms, by need {sparing:5.2f}: {whole / sparing:.2f} times as fast", flush=True
            )


if __name__ == "__main__":
    main()
