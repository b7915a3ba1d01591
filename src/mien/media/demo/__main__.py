"""Write the demo clip to a video file: `python -m mien.media.demo clip.mp4`."""

from __future__ import annotations

import sys
from pathlib import Path

from mien.media.demo import Demo
from mien.media.encode import VideoWriter

__all__: list[str] = []

if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m mien.media.demo clip.mp4")
    with Demo() as demo, VideoWriter(Path(sys.argv[1])) as clip:
        for frame in demo:
            clip.write(frame.image, frame.offset_s or 0.0)
