"""How the crop around a face's box decides what the emotion model reads: margin, height, roll, size and sharpness.

    python benchmarks/framing.py --data fer2013.parquet [--faces 1200] [--photos FOLDER]

- framing: faces of FER-2013's PublicTest, enlarged, turned by a known angle and set into a larger frame, go through
  detector, crop and model as a photo's do. The crop's side (in sides of the present one), its centre and whether it is
  turned upright by the eyes are varied; what counts is the accuracy over the faces that were found.
- photos: where eyes and mouth lie in the crops of real photos and videos, beside where they lie in FER-2013's own.
- size, blur: PublicTest's faces made smaller, or blurred, and brought back to 48 pixels: accuracy, the share of them
  that the model's threshold keeps, the accuracy of those, and the measured sharpness.

PrivateTest is never read.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from datetime import date
from pathlib import Path

import cv2
import numpy as np

from mien.media.open import open_source
from mien.models.classifier import Classifier
from mien.run.bench import machine
from mien.training import data, figures
from mien.vision.detector import CENTRE_BELOW, CROP_SIZE, Detector, Faces, crop, sharpness

ENLARGED = 160
FRAME = 320
FRAMES_OF_A_VIDEO = 20


def framed(face: np.ndarray, angle: float) -> np.ndarray:
    """Return a BGR frame that holds a face, shape (48, 48), enlarged and turned; its edge goes on, blurred."""
    border = (FRAME - ENLARGED) // 2
    large = cv2.resize(face, (ENLARGED, ENLARGED), interpolation=cv2.INTER_CUBIC)
    wide = cv2.copyMakeBorder(large, border, border, border, border, cv2.BORDER_REPLICATE)
    soft = cv2.GaussianBlur(wide, (0, 0), 8)
    soft[border:-border, border:-border] = large
    turn = cv2.getRotationMatrix2D((FRAME / 2, FRAME / 2), angle, 1)
    turned = cv2.warpAffine(soft, turn, (FRAME, FRAME), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(cv2.cvtColor(turned, cv2.COLOR_GRAY2BGR))


def cut(frame: np.ndarray, faces: Faces, n: int, side: float, below: float, upright: float) -> np.ndarray:
    """Return one crop: its side in sides of the present crop, its centre, and the share of the roll that is undone."""
    x, y, width, height = faces.boxes[n]
    length = max(width, height)
    centre = np.array([x + width / 2, y + height / 2 + below * length])
    (right_x, right_y), (left_x, left_y) = faces.landmarks[n, :2]
    roll = upright * np.degrees(np.arctan2(left_y - right_y, left_x - right_x))
    if abs(roll) > 0:
        turn = cv2.getRotationMatrix2D((float(centre[0]), float(centre[1])), float(roll), 1)
        frame = cv2.warpAffine(frame, turn, frame.shape[1::-1], flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    scaled = side * length
    # `crop` moves the centre by itself; that is taken back here.
    corner = centre - scaled / 2 - (0, CENTRE_BELOW * scaled)
    return np.asarray(crop(frame, np.array([[*corner, scaled, scaled]], np.float32))[0])


def as_built(frame: np.ndarray, faces: Faces) -> np.ndarray:
    """Return the crop that Mien reads of the face in the middle."""
    one = slice(nearest(faces), nearest(faces) + 1)
    return np.asarray(crop(frame, faces.boxes[one], faces.landmarks[one])[0])


def nearest(faces: Faces) -> int:
    """Return which face lies nearest to the frame's middle."""
    middle = faces.boxes[:, :2] + faces.boxes[:, 2:] / 2
    return int(np.abs(middle - FRAME / 2).sum(1).argmin())


def measure_framing(pixels: np.ndarray, labels: np.ndarray, model: Classifier, detector: Detector) -> None:
    right = model.classify(pixels).argmax(1) == labels
    print(f"\n## Framing: {len(pixels):,} faces, {100 * right.mean():.1f} % right as they stand in FER-2013\n")
    settings = {
        f"side {side:g}, centre {below:+.2f}, as it is": (side, below, 0.0)
        for side, below in (
            *((side, CENTRE_BELOW) for side in (0.85, 0.9, 0.95, 1.0, 1.05, 1.1, 1.2)),
            *((1.0, below) for below in (-0.04, -0.01, 0.05, 0.08)),
        )
    }
    settings |= {
        f"side 1, centre {CENTRE_BELOW:+.2f}, {share:.0%} upright": (1.0, CENTRE_BELOW, share) for share in (0.5, 1.0)
    }
    built = "as Mien cuts it, upright where the face leans"
    present = f"side 1, centre {CENTRE_BELOW:+.2f}, as it is"
    for angle in (0, 10, 20, 30):
        frames = [framed(face, angle if index % 2 else -angle) for index, face in enumerate(pixels)]
        found = [detector.detect(frame) for frame in frames]
        seen = [index for index, faces in enumerate(found) if len(faces)]
        asked = labels[seen]
        print(
            f"turned by ±{angle}°: {len(seen):,} found, {100 * right[seen].mean():.1f} % of these right in FER-2013\n"
        )
        print("| crop | right % | against the present |\n|---|---|---|")
        tried = settings if angle == 0 else {name: how for name, how in settings.items() if name == present or how[2]}
        hits = {
            name: model.classify(np.stack([cut(frames[i], found[i], nearest(found[i]), *how) for i in seen])).argmax(1)
            == asked
            for name, how in tried.items()
        }
        hits[built] = model.classify(np.stack([as_built(frames[i], found[i]) for i in seen])).argmax(1) == asked
        for name, hit in hits.items():
            against = figures.compare(hit, hits[present])
            text = "" if name == present else f"{100 * against['difference']:+.1f} points, p = {against['p']:.2g}"
            print(f"| {name} | {100 * hit.mean():.1f} | {text} |")
        print()


def landmarks_in_crops(detector: Detector, frames: Iterable[np.ndarray]) -> np.ndarray:
    """Return where the five landmarks lie in the present crop, in sides of it, shape (n, 5, 2)."""
    places = []
    for frame in frames:
        faces = detector.detect(frame)
        for (x, y, width, height), marks in zip(faces.boxes, faces.landmarks, strict=True):
            side = max(width, height)
            corner = np.array([x + width / 2 - side / 2, y + height / 2 + CENTRE_BELOW * side - side / 2])
            places.append((marks - corner) / side)
    return np.array(places)


def pictures(folder: Path) -> Iterable[np.ndarray]:
    """Yield the photos of a folder, and some frames of each of its videos."""
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in (".jpg", ".png", ".mp4"):
            with open_source(str(path)) as source:
                yield from (frame.image for frame, _ in zip(source, range(FRAMES_OF_A_VIDEO), strict=False))


def measure_photos(pixels: np.ndarray, folder: Path, detector: Detector) -> None:
    enlarged = (framed(face, 0) for face in pixels)
    fer, border = [], (FRAME - ENLARGED) / 2
    for frame in enlarged:
        faces = detector.detect(frame)
        if len(faces):
            fer.append((faces.landmarks[nearest(faces)] - border) / ENLARGED)
    photos = landmarks_in_crops(detector, pictures(folder))
    print(f"\n## Landmarks, median x, y in sides of the crop ({len(fer):,} and {len(photos):,} faces)\n")
    print("| | right eye | left eye | nose | right corner of the mouth | left corner |\n|---|---|---|---|---|---|")
    for name, places in (("FER-2013's own framing", np.array(fer)), ("Mien's crops of the photos", photos)):
        cells = " | ".join(f"{x:.2f}, {y:.2f}" for x, y in np.median(places, 0))
        print(f"| {name} | {cells} |")


def measure_worse(title: str, name: str, kinds: dict[str, np.ndarray], labels: np.ndarray, model: Classifier) -> None:
    print(f"\n## {title}: {len(labels):,} faces\n")
    print(f"| {name} | right % | named % | right where named % | sharpness p1, p50, p99 |\n|---|---|---|---|---|")
    for kind, crops in kinds.items():
        answers = model.classify(crops)
        hit, kept = answers.argmax(1) == labels, answers.max(1) >= model.threshold
        low, middle, high = np.percentile(sharpness(crops), (1, 50, 99))
        named = f"{100 * hit[kept].mean():.1f}" if kept.any() else "–"
        print(
            f"| {kind} | {100 * hit.mean():.1f} | {100 * kept.mean():.1f} | {named} "
            f"| {low:.3f}, {middle:.3f}, {high:.3f} |"
        )


def shrunk(pixels: np.ndarray, side: int) -> np.ndarray:
    small = [cv2.resize(face, (side, side), interpolation=cv2.INTER_AREA) for face in pixels]
    return np.stack([cv2.resize(face, (CROP_SIZE, CROP_SIZE), interpolation=cv2.INTER_CUBIC) for face in small])


def blurred(pixels: np.ndarray, sigma: float) -> np.ndarray:
    return np.stack([cv2.GaussianBlur(face, (0, 0), sigma) for face in pixels]) if sigma else pixels


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--faces", type=int, default=1200, help="of PublicTest, drawn by chance")
    parser.add_argument("--photos", type=Path, help="a folder of photos and videos")
    parser.add_argument("--model", default="fer2013")
    chosen = parser.parse_args()
    public = data.load(chosen.data, ("PublicTest",))
    drawn = np.random.default_rng(0).permutation(len(public))[: chosen.faces]
    pixels, labels = public.pixels[drawn], public.labels[drawn]
    model, detector = Classifier.load(chosen.model), Detector()
    print(f"{model.model_id}; {date.today()}, {machine()}")  # noqa: DTZ011
    measure_framing(pixels, labels, model, detector)
    if chosen.photos:
        measure_photos(pixels[:400], chosen.photos, detector)
    sides = {f"{side} px": shrunk(pixels, side) for side in (48, 40, 32, 28, 24, 20, 16, 12, 8)}
    measure_worse("Size", "side", sides, labels, model)
    blurs = {f"{sigma:g} px": blurred(pixels, sigma) for sigma in (0, 0.5, 0.75, 1, 1.5, 2, 2.5, 3, 4)}
    measure_worse("Blur", "standard deviation", blurs, labels, model)


if __name__ == "__main__":
    main()
