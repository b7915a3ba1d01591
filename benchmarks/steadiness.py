"""How often a model changes its mind over changes of a face that a person would not notice.

    python benchmarks/steadiness.py [fer2013 | MODEL.onnx …] --data fer2013.parquet [--faces 600] [--pipeline]

Faces of PublicTest are shifted by 1 to 3 pixels, turned by 5 degrees, made a fifth darker or brighter, saved as JPEG at
quality 60, shrunk to half their size or enlarged to twice, and mirrored. What counts is the share of faces whose
likeliest emotion is then another. With --pipeline the change is done to a frame that holds the face, enlarged to
160 pixels, and detector and crop take part; a face that is no longer found is left out and counted by itself.

The last rows show what darkness does: the mean probability of each emotion as the light goes. PrivateTest
is never read.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from datetime import datetime, timezone

import cv2
import numpy as np

from framing import ENLARGED, as_built, framed
from mien.observation import EMOTIONS
from mien.run.bench import machine
from mien.training import data
from mien.training.evaluate import Model, load_model
from mien.vision.detector import Detector

Change = Callable[[np.ndarray], np.ndarray]
LIGHTS = (1.0, 0.5, 0.25, 0.1, 0.05)
UNIT = 48
"""The side in which shifts are given, in pixels: that of FER-2013's faces."""


def shifted(across: int, down: int, unit: float) -> Change:
    """Return what shifts a picture; the edge is repeated. `unit` is the picture's pixels to one of FER-2013's."""
    return warped(np.array([[1, 0, across * unit], [0, 1, down * unit]], np.float64))


def warped(matrix: np.ndarray) -> Change:
    def change(picture: np.ndarray) -> np.ndarray:
        size = picture.shape[1::-1]
        return np.asarray(
            cv2.warpAffine(picture, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        )

    return change


def turned(angle: float) -> Change:
    def change(picture: np.ndarray) -> np.ndarray:
        height, width = picture.shape[:2]
        return warped(cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), angle, 1))(picture)

    return change


def lit(factor: float) -> Change:
    return lambda picture: np.round(np.clip(picture.astype(np.float32) * factor, 0, 255)).astype(np.uint8)


def saved(quality: int) -> Change:
    def change(picture: np.ndarray) -> np.ndarray:
        _, content = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
        way = cv2.IMREAD_GRAYSCALE if picture.ndim == 2 else cv2.IMREAD_COLOR
        return np.asarray(cv2.imdecode(content, way))

    return change


def scaled(factor: float) -> Change:
    way = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    return lambda picture: np.asarray(cv2.resize(picture, None, fx=factor, fy=factor, interpolation=way))


def changes(unit: float) -> dict[str, list[Change]]:
    """Return the changes by name; each name's share is the mean over its changes."""
    ways = [(1, 0), (-1, 0), (0, 1), (0, -1)]
    table = {
        f"shifted by {pixels} px": [shifted(pixels * x, pixels * y, unit) for x, y in ways] for pixels in (1, 2, 3)
    }
    table |= {
        "turned by 5°": [turned(5), turned(-5)],
        "a fifth darker or brighter": [lit(0.8), lit(1.2)],
        "JPEG at 60": [saved(60)],
        "half the size": [scaled(0.5)],
        "twice the size": [scaled(2)],
        "mirrored": [lambda picture: np.ascontiguousarray(picture[:, ::-1])],
    }
    return table


class Crops:
    """A model as it reads crops by themselves."""

    unit = 1.0

    def __init__(self, model: Model) -> None:
        self.model = model

    def pictures(self, faces: np.ndarray) -> list[np.ndarray]:
        """Return what the changes are done to."""
        return list(faces)

    def read(self, pictures: list[np.ndarray]) -> np.ndarray:
        """Return the probabilities, shape (n, 7); NaN where no face was found."""
        return np.asarray(self.model.classify(np.stack(pictures)))


class Frames:
    """A model as it reads frames that hold a face, through detector and crop."""

    unit = ENLARGED / UNIT

    def __init__(self, model: Model) -> None:
        self.model, self.detector = model, Detector()

    def pictures(self, faces: np.ndarray) -> list[np.ndarray]:
        """Return a frame for each face."""
        return [framed(face, 0) for face in faces]

    def read(self, pictures: list[np.ndarray]) -> np.ndarray:
        """Return the probabilities, shape (n, 7); NaN where no face was found."""
        found = [self.detector.detect(picture) for picture in pictures]
        given = np.full((len(pictures), len(EMOTIONS)), np.nan, np.float32)
        seen = [index for index, faces in enumerate(found) if len(faces)]
        if seen:
            given[seen] = self.model.classify(np.stack([as_built(pictures[index], found[index]) for index in seen]))
        return given


def measure(reader: Crops | Frames, faces: np.ndarray) -> tuple[dict[str, float], int, dict[float, np.ndarray]]:
    """Return the share of changed answers by change, how many changed pictures lost their face, and what light does."""
    pictures = reader.pictures(faces)
    before = reader.read(pictures)
    lost = 0
    shares = {}
    for name, ways in changes(reader.unit).items():
        rates = []
        for way in ways:
            after = reader.read([way(picture) for picture in pictures])
            both = ~np.isnan(before[:, 0]) & ~np.isnan(after[:, 0])
            lost += int((~np.isnan(before[:, 0])).sum() - both.sum())
            rates.append((before[both].argmax(1) != after[both].argmax(1)).mean())
        shares[name] = float(np.mean(rates))
    lights = {light: np.nanmean(reader.read([lit(light)(picture) for picture in pictures]), 0) for light in LIGHTS}
    return shares, lost, lights


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("models", nargs="*", default=["fer2013"], metavar="MODEL")
    parser.add_argument("--data", required=True)
    parser.add_argument("--faces", type=int, default=600)
    parser.add_argument("--pipeline", action="store_true", help="through detector and crop")
    given = parser.parse_args()
    public = data.load(given.data, ("PublicTest",))
    faces = public.pixels[np.random.default_rng(0).permutation(len(public))[: given.faces]]
    today, what = datetime.now(timezone.utc).date(), "frames" if given.pipeline else "crops"
    print(f"{today}, {machine()}; {len(faces)} faces of PublicTest, {what}\n")
    columns = {}
    for name in given.models:
        model = load_model(name)
        columns[model.model_id] = measure((Frames if given.pipeline else Crops)(model), faces)
    print(f"| % of answers that change | {' | '.join(columns)} |\n|---|{'---|' * len(columns)}")
    for change in changes(1):
        print(f"| {change} | {' | '.join(f'{100 * shares[change]:.1f}' for shares, _, _ in columns.values())} |")
    means = [100 * np.mean(list(shares.values())) for shares, _, _ in columns.values()]
    print(f"| mean of all | {' | '.join(f'{mean:.1f}' for mean in means)} |")
    if given.pipeline:
        print(f"| changed pictures without a face | {' | '.join(str(lost) for _, lost, _ in columns.values())} |")
    for name, (_, _, lights) in columns.items():
        print(f"\n{name}, mean probability by light\n\n| light | {' | '.join(EMOTIONS)} |\n|---|{'---|' * 7}")
        for light, shares in lights.items():
            print(f"| {light:g} | {' | '.join(f'{share:.2f}' for share in shares)} |")


if __name__ == "__main__":
    main()
