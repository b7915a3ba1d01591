"""Whether another OpenCV gives the same figures: photos and videos go in, a file of figures, or how far two are apart.

    python benchmarks/opencv_versions.py write four.json one-face.mp4 group-1.jpg demo
    (another OpenCV is installed)
    python benchmarks/opencv_versions.py compare four.json one-face.mp4 group-1.jpg demo

Boxes, confidences, emotions, probabilities, angles and openness are compared, face by face, to the last digit.
"""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import msgspec

import mien
from mien.observation import Face

Kept = tuple[str, dict[str, list[Face]]]
"""The version of OpenCV, and the faces of each file."""


def read(specs: list[str]) -> dict[str, list[Face]]:
    return {Path(spec).name: [face for seen in mien.analyze_video(spec) for face in seen.faces] for spec in specs}


def main() -> None:
    what, file, *specs = sys.argv[1:]
    faces = read(specs)
    if what == "write":
        Path(file).write_bytes(msgspec.json.encode((cv2.__version__, faces)))
        return
    before, known = msgspec.json.decode(Path(file).read_bytes(), type=Kept)
    print(f"OpenCV {before} and {cv2.__version__}")
    for name, now in faces.items():
        pairs = list(zip(known[name], now, strict=True))
        differing = [(old, new) for old, new in pairs if old != new]
        furthest = max(
            (abs(old.probabilities[e] - new.probabilities[e]) for old, new in differing for e in mien.EMOTIONS),
            default=0,
        )
        named = sum(old.emotion != new.emotion for old, new in differing)
        print(f"{name}: {len(pairs)} faces, {len(differing)} differ, by {furthest:.4f} at most, {named} in the emotion")


if __name__ == "__main__":
    main()
