"""How often an emotion is named of faces that do not show theirs: covered by a mask, a hand or sunglasses, or drawn.

    python benchmarks/rejects.py [MODEL …] --data fer2013.parquet [--faces 300] [--mesh fer2013_mesh.parquet]

Faces of PublicTest, enlarged to 160 pixels and set into a frame, are covered by code where the detector sees eyes, nose
and mouth, and go through detector, crop and model. "As they are" is for comparison: there an emotion should be named.
For models with a third head the share is given that also has its pose, and its openness. With --mesh, faces that look
aside by more than 35 degrees are a row of their own. PrivateTest is never read.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from datetime import datetime, timezone

import cv2
import numpy as np

from framing import as_built, framed, nearest
from mien.models.classifier import Classifier
from mien.observation import EMOTIONS
from mien.run.bench import machine
from mien.training import data
from mien.vision.detector import Detector, Faces

Cover = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""A BGR frame and the five landmarks of its face in, the frame with the face covered out."""
ASIDE = 35
FACING, CONFIDENT = 40, 0.82
"""Rules that might keep an emotion from being named: the largest yaw, the least confidence of the detector."""


def nothing(frame: np.ndarray, _landmarks: np.ndarray) -> np.ndarray:
    return frame


def masked(frame: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """Put on a surgical mask, from the bridge of the nose to under the chin."""
    right, left, nose, corner, other = landmarks
    across, mouth = left - right, (corner + other) / 2
    down = mouth - (right + left) / 2
    top = nose - 0.25 * down
    outline = [
        top,
        left + 0.35 * across + 0.45 * down,
        left + 0.3 * across + 1.1 * down,
        mouth + 0.3 * across + 0.75 * down,
        mouth - 0.3 * across + 0.75 * down,
        right - 0.3 * across + 1.1 * down,
        right - 0.35 * across + 0.45 * down,
    ]
    covered = frame.copy()
    cv2.fillConvexPoly(covered, cv2.convexHull(np.round(outline).astype(np.int32)), (225, 215, 200), cv2.LINE_AA)
    for share in (0.3, 0.6, 0.9):  # its folds
        ends = [np.round(right + side * across + (0.45 + 0.6 * share) * down).astype(int) for side in (-0.2, 1.2)]
        cv2.line(covered, tuple(map(int, ends[0])), tuple(map(int, ends[1])), (190, 180, 165), 2, cv2.LINE_AA)
    return np.asarray(covered)


def shaded(frame: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """Put on sunglasses."""
    right, left = landmarks[:2]
    apart = float(np.linalg.norm(left - right))
    angle = float(np.degrees(np.arctan2(*(left - right)[::-1])))
    covered = frame.copy()
    for eye in (right, left):
        centre = (round(float(eye[0])), round(float(eye[1] + 0.05 * apart)))
        cv2.ellipse(covered, centre, (round(0.38 * apart), round(0.28 * apart)), angle, 0, 360, (25, 25, 25), -1)
    ends = [tuple(int(value) for value in np.round(eye)) for eye in (right, left)]
    cv2.line(covered, ends[0], ends[1], (25, 25, 25), max(2, round(0.08 * apart)), cv2.LINE_AA)
    return np.asarray(covered)


def handed(frame: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """Lay a hand over the mouth: four fingers, as bright as the face."""
    right, left, nose, corner, other = landmarks
    across, mouth = left - right, (corner + other) / 2
    down = mouth - (right + left) / 2
    inside = np.clip(np.round(nose).astype(int), 5, min(frame.shape[:2]) - 6)
    skin = frame[inside[1] - 5 : inside[1] + 5, inside[0] - 5 : inside[0] + 5].mean((0, 1))
    covered = frame.copy()
    thick = max(3, round(0.28 * float(np.linalg.norm(down))))
    for number in range(4):
        height = (number - 1.2) * 0.27 * down
        start, end = mouth - 0.75 * across + height, mouth + (0.55 - 0.08 * number) * across + height
        points = [tuple(int(value) for value in np.round(point)) for point in (start, end)]
        cv2.line(covered, points[0], points[1], (skin * 0.7).tolist(), thick + 2, cv2.LINE_AA)
        cv2.line(covered, points[0], points[1], (skin * 1.05).clip(0, 255).tolist(), thick - 1, cv2.LINE_AA)
    return np.asarray(covered)


def drawn(frame: np.ndarray, _landmarks: np.ndarray) -> np.ndarray:
    """Make a drawing of it: few shades, and lines where it changes."""
    flat = frame
    for _ in range(4):
        flat = np.asarray(cv2.bilateralFilter(flat, 9, 40, 9))
    flat = (flat // 64) * 64 + 32
    grey = cv2.medianBlur(cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY), 7)
    lines = cv2.adaptiveThreshold(grey, 255, cv2.ADAPTIVE_THRESH_MEAN_C, cv2.THRESH_BINARY, 11, 3)
    return np.asarray(np.where(lines[..., None] > 0, flat, 0), np.uint8)


COVERS: dict[str, Cover] = {
    "as they are": nothing,
    "a surgical mask": masked,
    "sunglasses": shaded,
    "a hand before the mouth": handed,
    "a drawing": drawn,
}


def crops_of(
    frames: list[np.ndarray], faces: list[Faces], cover: Cover, detector: Detector
) -> tuple[np.ndarray, np.ndarray]:
    """Return the crops of the covered faces that are still found, shape (n, 48, 48), and the detector's confidences."""
    crops, confidences = [], []
    for frame, found in zip(frames, faces, strict=True):
        covered = cover(frame, found.landmarks[nearest(found)])
        seen = detector.detect(covered)
        if len(seen):
            crops.append(as_built(covered, seen))
            confidences.append(float(seen.confidences[nearest(seen)]))
    return np.stack(crops), np.array(confidences)


def row(name: str, crops: np.ndarray, confidences: np.ndarray, asked: int, model: Classifier) -> str:
    probabilities, geometry = model.read(crops)
    named = probabilities.max(1) >= model.threshold
    counts = np.bincount(probabilities[named].argmax(1), minlength=len(EMOTIONS))
    often = f"{EMOTIONS[int(counts.argmax())]}, {100 * counts.max() / named.sum():.0f}" if named.any() else ""
    sure = (
        ["", ""]
        if geometry is None
        else [f"{100 * np.isfinite(part[:, 0]).mean():.0f}" for part in (geometry.pose, geometry.openness)]
    )
    facing = np.ones(len(crops), bool) if geometry is None else ~(np.abs(geometry.pose[:, 0]) > FACING)
    rules = [f"{100 * (named & rule).mean():.0f}" for rule in (facing, confidences >= CONFIDENT)]
    return (
        f"| {name} | {len(crops)} of {asked} | {100 * named.mean():.0f} | {often} "
        f"| {probabilities.max(1).mean():.2f} | {sure[0]} | {sure[1]} | {rules[0]} | {rules[1]} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("models", nargs="*", default=["fer2013"], metavar="MODEL")
    parser.add_argument("--data", required=True)
    parser.add_argument("--faces", type=int, default=300)
    parser.add_argument("--mesh", help="the mesh labels, for faces that look aside")
    given = parser.parse_args()
    everyone = data.load(given.data, data.USAGES if given.mesh else ("PublicTest",))
    public = np.flatnonzero(everyone.usage == "PublicTest")
    chosen = public[np.random.default_rng(0).permutation(len(public))[: given.faces]]
    detector = Detector()
    frames = [framed(face, 0) for face in everyone.pixels[chosen]]
    faces = [detector.detect(frame) for frame in frames]
    seen = [index for index, found in enumerate(faces) if len(found)]
    frames, faces = [frames[index] for index in seen], [faces[index] for index in seen]
    covered = {name: crops_of(frames, faces, cover, detector) for name, cover in COVERS.items()}
    asked = dict.fromkeys(covered, len(frames))
    if given.mesh:
        from mien.training.pose import labels

        known = labels.load(given.mesh, len(everyone))
        aside = public[(np.abs(known.values[public, 0]) > ASIDE) & (known.scores[public] > 0.9)]
        name = f"looks aside by more than {ASIDE}°"
        wide = [framed(face, 0) for face in everyone.pixels[aside]]
        wide_faces = [detector.detect(frame) for frame in wide]
        seen = [index for index, those in enumerate(wide_faces) if len(those)]
        wide, wide_faces = [wide[index] for index in seen], [wide_faces[index] for index in seen]
        covered[name] = crops_of(wide, wide_faces, nothing, detector)
        asked[name] = len(aside)
    print(f"{datetime.now(timezone.utc).date()}, {machine()}; {len(frames)} faces of PublicTest that were found\n")
    for path in given.models:
        model = Classifier.load(path)
        head = ["faces", "found", "named %", "most often, % of these", "mean of the highest", "pose %", "openness %"]
        head += [f"named % up to {FACING}° of yaw", f"named % from a confidence of {CONFIDENT}"]
        print(f"{model.model_id}\n\n| {' | '.join(head)} |\n|{'---|' * len(head)}")
        for name, (crops, confidences) in covered.items():
            print(row(name, crops, confidences, asked[name], model))
        print()


if __name__ == "__main__":
    main()
