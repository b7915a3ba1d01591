"""How well faces are found between two looks at the whole frame, told apart over time, and smoothed.

    python benchmarks/tracking.py SAMPLES [--data fer2013.parquet]

SAMPLES is a folder with one-face.mp4 and photos of groups (group-1.jpg, group-5.jpg, five-faces.jpg, one-face.jpg).
Three tables come out: looks (speed and quality for each interval, against a look at every whole frame), tracks (changes
of identity on clips whose truth is known) and smoothing (how late a change is told, how much labels flicker). Times are
those of the processor, so that a busy machine changes them little.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

import clips
from mien.media.base import Frame
from mien.models.classifier import Classifier
from mien.observation import EMOTIONS
from mien.training import data
from mien.vision import schedule as looks
from mien.vision.detector import Detector, Faces, crop
from mien.vision.schedule import DetectionSchedule, Look, detect_after
from mien.vision.tracker import Smoother, Tracker

Clip = list[tuple[Frame, clips.Truth]]

INTERVALS = (0.0, 0.1, 0.25, 0.5, 1.0)


def overlaps(some: NDArray[np.floating], others: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the intersection over union of each of n boxes with each of m, shape (n, m)."""
    low = np.maximum(some[:, None, :2], others[None, :, :2])
    high = np.minimum((some[:, :2] + some[:, 2:])[:, None], (others[:, :2] + others[:, 2:])[None])
    shared = np.clip(high - low, 0, None).prod(2)
    return np.asarray(shared / (some[:, 2:].prod(1)[:, None] + others[:, 2:].prod(1)[None] - shared))


def pairs(boxes: NDArray[np.floating], truth: NDArray[np.floating], least: float) -> list[tuple[int, int, float]]:
    """Return which box is which of the truth, the best first, each at most once, and how much they overlap."""
    table = overlaps(boxes, truth)
    found = []
    for flat in np.argsort(-table, axis=None, kind="stable"):
        box, one = divmod(int(flat), table.shape[1])
        if table[box, one] >= least:
            found.append((box, one, float(table[box, one])))
            table[box, :] = table[:, one] = -1
    return found


def search(clip: Clip, interval_s: float) -> tuple[list[Faces], float]:
    """Return the faces of each frame and the milliseconds a frame took."""
    looks.KEYFRAME_EVERY_S, before = interval_s, None
    detector, schedule, found = Detector(), DetectionSchedule(), []
    always = Look(begins=True, is_keyframe=True, tiles=1)
    began = time.thread_time()
    for frame, _ in clip:
        look = schedule.look(frame.offset_s) if interval_s else always
        found.append(detect_after(detector, frame.image, before, look))
        before = found[-1]
    return found, (time.thread_time() - began) * 1000 / len(clip)


def compare_looks(clip: Clip) -> Iterable[tuple[float, float, float, float, float]]:
    """Yield of each interval: ms a frame, how often faster, recall, mean and lowest 5 % of overlap."""
    kept = looks.KEYFRAME_EVERY_S
    always, slowest = search(clip, 0.0)
    for interval in INTERVALS:
        found, ms = search(clip, interval) if interval else (always, slowest)
        matched, count = 0, 0
        shares: list[float] = []
        for every, some in zip(always, found, strict=True):
            count += len(every)
            if len(every) and len(some):
                overlap = [share for *_, share in pairs(some.boxes, every.boxes, 0.3)]
                matched, shares = matched + len(overlap), shares + overlap
        yield ms, slowest / ms, matched / max(1, count), float(np.mean(shares)), float(np.quantile(shares, 0.05))
    looks.KEYFRAME_EVERY_S = kept


class Identities:
    """What became of the people of a clip.

    Attributes:
        seen: In how many of the frames in which they are in view, of all people, they were found.
        switches: How often someone's number became another's, or a new one while they were in view.
        gaps: How often someone in view was lost for some frames.
        numbers: How many numbers were given.
    """

    def __init__(self, clip: Clip, found: list[Faces]) -> None:
        self.seen = self.people = self.switches = self.gaps = 0
        tracker, numbers = Tracker(), set[int]()
        last: dict[int, int] = {}
        viewed: dict[int, float] = {}
        lost: set[int] = set()
        for (frame, truth), faces in zip(clip, found, strict=True):
            at = frame.offset_s or 0.0
            given = tracker.update(faces.boxes, at)
            numbers |= set(given)
            who = list(truth)
            boxes = np.array([truth[one] for one in who]).reshape(-1, 4)
            matched = {who[one]: given[box] for box, one, _ in pairs(faces.boxes.astype(float), boxes, 0.3)}
            for one in who:
                if at - viewed.get(one, -9) > tracker.patience_s:
                    last.pop(one, None)  # came back after so long that a new number is right
                viewed[one] = at
                if one not in matched:
                    lost.add(one)
                    continue
                self.gaps += one in lost and one in last
                lost.discard(one)
                self.switches += last.get(one, matched[one]) != matched[one]
                last[one] = matched[one]
            self.people, self.seen = self.people + len(who), self.seen + len(matched)
        self.numbers = len(numbers)


def camera(face: NDArray[np.uint8], count: int, random: np.random.Generator) -> NDArray[np.uint8]:
    """Return so many crops of a still face, shape (48, 48), as a camera's pictures give them.

    It is enlarged to 160 pixels; each picture has noise of its own and is coded anew, and its box is a little off.
    """
    large = cv2.resize(face, (160, 160), interpolation=cv2.INTER_CUBIC)
    wide = cv2.copyMakeBorder(large, 80, 80, 80, 80, cv2.BORDER_REPLICATE)
    crops = []
    for _ in range(count):
        noisy = np.clip(wide + random.normal(0, 6, wide.shape), 0, 255).astype(np.uint8)
        coded = cv2.imencode(".jpg", noisy, [cv2.IMWRITE_JPEG_QUALITY, 60])[1]
        box = np.array([[80, 77, 160, 160]]) + random.normal(0, 3, 4)
        crops.append(crop(np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR)), box.astype(np.float32))[0])
    return np.stack(crops)


def smoothed(raw: NDArray[np.float32], fps: int = clips.FPS) -> NDArray[np.float32]:
    """Return one face's probabilities over time, shape (frames, 7), smoothed."""
    smoother = Smoother()
    return np.concatenate([smoother.smooth([1], one[None], number / fps) for number, one in enumerate(raw)])


def flicker(faces: NDArray[np.uint8], classifier: Classifier, seconds: float = 10) -> NDArray[np.float64]:
    """Return how often the label of each still face changes in a minute, as read and smoothed, shape (n, 2)."""
    random, rows = np.random.default_rng(11), []
    for face in faces:
        raw = classifier.classify(camera(face, round(seconds * clips.FPS), random))
        changes = [np.count_nonzero(np.diff(shares.argmax(1))) for shares in (raw, smoothed(raw))]
        rows.append([60 / seconds * count for count in changes])
    return np.array(rows)


def borderline(pixels: NDArray[np.uint8], classifier: Classifier, count: int) -> NDArray[np.uint8]:
    """Return the faces whose two likeliest emotions are closest to each other."""
    highest = np.sort(classifier.classify(pixels), 1)
    return np.asarray(pixels[np.argsort(highest[:, -1] - highest[:, -2])[:count]])


def real_delays(before: NDArray[np.uint8], after: NDArray[np.uint8], classifier: Classifier) -> Iterable[float]:
    """Yield of each pair of a neutral and a happy face how late the change is told, in seconds."""
    random, fps = np.random.default_rng(12), clips.FPS
    for one, other in zip(before, after, strict=True):
        crops = np.concatenate([camera(one, fps, random), camera(other, fps, random)])
        told = np.flatnonzero(smoothed(classifier.classify(crops))[fps:].argmax(1) == EMOTIONS.index("happy"))
        yield told[0] / fps if len(told) else float("inf")


def step_delay(fps: int, before: float, after: float) -> float:
    """Return how late a step from neutral to happy, at these probabilities, is told, in seconds."""
    smoother = Smoother()
    for number in range(10 * fps):
        named, top = ("neutral", before) if number < 5 * fps else ("happy", after)
        shares = np.full((1, len(EMOTIONS)), (1 - top) / 6, np.float32)
        shares[0, EMOTIONS.index(named)] = top
        told = EMOTIONS[int(smoother.smooth([1], shares, number / fps)[0].argmax())]
        if number >= 5 * fps and told == "happy":
            return number / fps - 5
    return float("inf")


def table(title: str, columns: Iterable[str], rows: Iterable[Iterable[str]]) -> None:
    shown = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for number, column in enumerate(columns):
        shown.add_column(column, justify="right" if number else "left")
    for row in rows:
        shown.add_row(*row)
    Console(soft_wrap=True, highlight=False).print(shown, "")


def built(samples: Path) -> dict[str, Callable[[], Iterable[tuple[Frame, clips.Truth]]]]:
    """Return the clips by name."""
    cast = clips.people([samples / f"{name}.jpg" for name in ("five-faces", "group-5", "group-1")])
    return {
        "single": lambda: clips.single(samples),
        "passing": lambda: clips.passing(cast),
        "crossing": lambda: clips.crossing(cast),
        "leaving": lambda: clips.leaving(cast),
        "gallery": lambda: clips.gallery(cast),
        "crowd": lambda: clips.crowd(cast),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("samples", type=Path)
    parser.add_argument("--data", type=Path, help="FER-2013, for smoothing on real faces (its PublicTest)")
    chosen = parser.parse_args()
    samples = chosen.samples
    looked, tracked = [], []
    for name, build in built(samples).items():
        clip = list(build())
        for interval, row in zip(INTERVALS, compare_looks(clip), strict=True):
            every = f"{interval:g} s" if interval else "each frame"
            looked.append((name, every, f"{row[0]:.1f}", f"{row[1]:.1f}x", *(f"{share:.3f}" for share in row[2:])))
        of = Identities(clip, search(clip, looks.KEYFRAME_EVERY_S)[0])
        people = len({who for _, truth in clip for who in truth})
        tracked.append((name, *map(str, (people, of.numbers, of.switches, of.gaps)), f"{of.seen / of.people:.3f}"))
    table("Looks", ("clip", "whole frame", "ms", "faster", "recall", "overlap", "lowest 5 %"), looked)
    table("Tracks", ("clip", "people", "numbers", "switches", "gaps", "recall"), tracked)
    delays = [(f"{a:g} to {b:g}", *(f"{step_delay(fps, a, b):.2f}" for fps in (5, 10, 25, 60))) for a, b in STEPS]
    table(
        "A step from neutral to happy is told after, s", ("probability", *(f"{n}/s" for n in (5, 10, 25, 60))), delays
    )
    if chosen.data:
        smoothing_on_faces(chosen.data)


def smoothing_on_faces(path: Path) -> None:
    """Print how much the labels of real faces flicker, and how late a change is told."""
    public, classifier = data.load(path, ("PublicTest",)), Classifier.load()
    drawn = np.random.default_rng(3).permutation(len(public))[:800]
    pixels, labels = public.pixels[drawn], public.labels[drawn]
    changes = flicker(borderline(pixels, classifier, 24), classifier)
    rows = [(name, *(f"{value:.0f}" for value in column)) for name, column in _summed(changes)]
    table("Changes of label a minute, 24 still faces on the border of two emotions", ("", "as read", "smoothed"), rows)
    shares = classifier.classify(pixels)
    right = (shares.argmax(1) == labels) & (shares.max(1) >= classifier.threshold)
    neutral, happy = (np.flatnonzero(right & (labels == EMOTIONS.index(name))) for name in ("neutral", "happy"))
    delays = np.array(list(real_delays(pixels[neutral[:40]], pixels[happy[:40]], classifier)))
    told = f"{np.median(delays):.2f}", f"{np.quantile(delays, 0.9):.2f}", f"{np.mean(delays <= 0.3):.0%}"
    table("From a neutral to a happy face, 40 pairs", ("median, s", "90 %, s", "within 0.3 s"), [told])


def _summed(changes: NDArray[np.float64]) -> Iterable[tuple[str, NDArray[np.float64]]]:
    yield "mean", changes.mean(0)
    yield "worst smoothed", changes[changes[:, 1].argmax()]


STEPS = ((0.9, 0.9), (0.9, 0.6), (0.6, 0.6), (0.6, 0.9))

if __name__ == "__main__":
    main()
