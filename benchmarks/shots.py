"""How well cuts, fades and dissolves are found: clips whose truth is known, and PySceneDetect beside Mien.

    python benchmarks/shots.py [--seed 1] [--apart 0] [--keep folder]

The clips show the demo and its portrait in other places, sizes and colours, landscapes drawn at random, and ffmpeg's
own pictures (fractals, test cards, cells, gradients), all with noise: shots of 2 to 5 seconds, joined by cuts, fades
through black or white, and dissolves, with flashes, hard changes of light, flicker, shaking, zooms and fast pans within
them, none of which is a cut. A boundary counts as found within half a second of its span. With --apart 0.2 Mien sees
only frames that are so many seconds apart, as where few are looked at (`mien.media.shots.SEEN_S`).
"""

from __future__ import annotations

import argparse
import random
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from mien.media.demo import PORTRAIT, Demo
from mien.media.open import open_source
from mien.media.shots import ShotDetector, boundaries

WIDTH, HEIGHT, FPS = 320, 180, 25
NEAR_S = 0.5

KINDS = ("cut", "dissolve", "black", "white")
"""How shots are joined, black and white by a fade through it; half as many are of each other kind as are cuts."""


class Join(NamedTuple):
    """Where one shot goes over into the next: from when until when, in seconds."""

    kind: str
    start: float
    end: float


ABSTRACT = (
    "mandelbrot=size={w}x{h}:rate={f}:start_scale={a}",
    "testsrc2=size={w}x{h}:rate={f}",
    "life=size={w}x{h}:rate={f}:mold=10:ratio=0.15:death_color=#803020:life_color=#c8e0ff:seed={n},boxblur=3",
    "smptehdbars=size={w}x{h}:rate={f}",
    "rgbtestsrc=size={w}x{h}:rate={f}",
    "cellauto=size={w}x{h}:rate={f}:rule=110:seed={n},boxblur=2",
    "gradients=size={w}x{h}:rate={f}:speed=0.02:seed={n}:nb_colors=6",
)
"""ffmpeg's own pictures: three that stand still or nearly so, four that never do."""

MOVES = ("still", "hand", "zoom", "pan", "fast pan")


def kind_of(rng: random.Random) -> str:
    """Return what a shot shows: people and landscapes more often than ffmpeg's pictures."""
    return rng.choice(("portrait", "portrait", "talk", "landscape", "landscape", rng.choice(ABSTRACT)))


def frames_of(kind: str, number: int, count: int, rng: random.Random) -> np.ndarray:
    """Return the frames of one shot, shape (count, h, w, 3), uint8, BGR."""
    if kind == "portrait":
        return filmed(graded(np.asarray(cv2.imread(str(PORTRAIT)), np.uint8), rng), count, rng)
    if kind == "landscape":
        return filmed(landscape(rng), count, rng)
    if kind == "talk":
        return talking(count, rng)
    text = kind.format(w=WIDTH, h=HEIGHT, f=FPS, a=rng.choice((0.5, 1, 3)), n=number + 1)
    command = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", text, "-frames:v", str(count), "-f", "rawvideo"]
    raw = subprocess.run([*command, "-pix_fmt", "bgr24", "-"], check=True, capture_output=True).stdout
    return np.frombuffer(raw, np.uint8).reshape(count, HEIGHT, WIDTH, 3)


def graded(picture: np.ndarray, rng: random.Random) -> np.ndarray:
    """Return a picture mirrored or not, in other colours and light."""
    picture = picture[:, ::-1] if rng.random() < 0.5 else picture
    gains = np.array([rng.uniform(0.6, 1.2) for _ in range(3)])
    return np.asarray(np.clip(255 * (picture / 255.0) ** rng.uniform(0.7, 1.5) * gains, 0, 255), np.uint8)


def landscape(rng: random.Random) -> np.ndarray:
    """Return a picture with a sky, hills, houses and trees, each of its own texture, shape (540, 960, 3), uint8."""
    high, wide = 540, 960
    dice = np.random.default_rng(rng.randrange(1 << 30))

    def texture(coarse: int, strength: float) -> np.ndarray:
        total = np.zeros((high, wide), np.float32)
        for octave in range(5):
            size = (max(2, wide * 2**octave // coarse), max(2, high * 2**octave // coarse))
            grain = dice.normal(0, 1, size[::-1]).astype(np.float32)
            total += cv2.resize(grain, (wide, high), interpolation=cv2.INTER_CUBIC) / 2**octave
        return np.asarray(strength * total[..., None], np.float32)

    def colour(low: float, top: float) -> np.ndarray:
        return np.asarray(dice.uniform(low, top, 3), np.float32)

    down = np.linspace(0, 1, high, dtype=np.float32)[:, None, None]
    picture = colour(120, 250) * (1 - down) + colour(60, 220) * down + texture(rng.choice((200, 400)), 12)
    across = np.arange(wide)
    for layer in range(rng.randint(1, 4)):
        waves = sum(
            dice.uniform(10, 60) * np.sin(across * dice.uniform(0.002, 0.03) + dice.uniform(0, 7)) for _ in "ab"
        )
        line = high * (0.4 + 0.15 * layer) + waves
        below = np.arange(high)[:, None] > line[None]
        picture = np.where(below[..., None], colour(20, 200) + texture(rng.choice((60, 120)), 22), picture)
    picture = np.ascontiguousarray(picture)
    for _ in range(rng.randint(2, 12)):
        x, y, side = rng.randrange(wide), rng.randrange(high // 3, high), rng.randint(20, 140)
        shade = tuple(float(value) for value in colour(0, 255))
        if rng.random() < 0.5:
            cv2.rectangle(picture, (x, y), (x + side, y + int(side * rng.uniform(0.5, 1.5))), shade, -1)
        else:
            cv2.ellipse(picture, (x, y), (side, int(side * rng.uniform(0.4, 1))), rng.uniform(0, 90), 0, 360, shade, -1)
    return np.asarray(np.clip(cv2.GaussianBlur(picture, (0, 0), 1), 0, 255), np.uint8)


def filmed(picture: np.ndarray, count: int, rng: random.Random) -> np.ndarray:
    """Return a shot of a picture by a camera that stands, shakes, zooms or pans."""
    picture = cv2.resize(picture, (WIDTH * 3, WIDTH * 3 * picture.shape[0] // picture.shape[1]))
    move = rng.choice(MOVES)
    scale, x, y = rng.uniform(0.3, 0.9), rng.random(), rng.random()
    if "pan" in move:
        scale = min(scale, 0.55)
    speed = {"pan": 0.2, "fast pan": 1.5}.get(move, 0.0)
    shown = []
    for number in range(count):
        at = number / FPS
        side = scale * (1 - 0.08 * at * (move == "zoom"))
        width = min(picture.shape[1], int(side * picture.shape[1]))
        height = min(picture.shape[0], width * HEIGHT // WIDTH)
        sway = 0.01 * np.sin(at * np.array([5.1, 3.7])) * (move == "hand")
        left = int(np.clip(abs((x + speed * at) % 2 - 1) + sway[0], 0, 1) * (picture.shape[1] - width))
        top = int(np.clip(y + sway[1], 0, 1) * (picture.shape[0] - height))
        shown.append(cv2.resize(picture[top : top + height, left : left + width], (WIDTH, HEIGHT)))
    return np.stack(shown)


def talking(count: int, rng: random.Random) -> np.ndarray:
    """Return a shot of the demo, in which a face changes its expression, in other colours."""
    demo, start = Demo(), rng.uniform(0, 14)
    wide, grade = rng.choice((320, 480, 640)), rng.randrange(1 << 30)
    left, top = (640 - wide) // 2, (360 - wide * 9 // 16) // 3
    pictures = (demo.image(start + n / FPS)[top : top + wide * 9 // 16, left : left + wide] for n in range(count))
    return np.stack([cv2.resize(graded(picture, random.Random(grade)), (WIDTH, HEIGHT)) for picture in pictures])


def happening(frames: np.ndarray, rng: random.Random) -> np.ndarray:
    """Return the frames with a flash, a change of light, or nothing in them, and noise."""
    what = rng.choice(("nothing", "nothing", "flash", "light", "flicker"))
    lit = frames.astype(np.float32)
    middle = len(frames) // 2
    if what == "flash":
        lit[middle : middle + 2] = lit[middle : middle + 2] * 1.5 + 170
    elif what == "light":
        lit[middle:] = lit[middle:] * 0.35 + 5
    elif what == "flicker":
        lit *= 1 + 0.15 * np.sin(np.arange(len(lit)) * 1.3)[:, None, None, None]
    noise = np.random.default_rng(rng.randrange(1 << 30)).normal(0, 3, lit.shape).astype(np.float32)
    return np.asarray(np.clip(lit + noise, 0, 255), np.uint8)


def clip(seed: int, shots: int = 9) -> tuple[np.ndarray, list[Join]]:
    """Return a clip's frames, shape (n, h, w, 3), uint8, BGR, and where its shots are joined."""
    rng = random.Random(seed)
    kinds = [kind_of(rng)]
    while len(kinds) < shots:
        if (kind := kind_of(rng)) != kinds[-1] or kind in ("portrait", "landscape"):
            kinds.append(kind)
    parts = [happening(frames_of(kind, n, rng.randint(50, 125), rng), rng) for n, kind in enumerate(kinds)]
    made, joins = parts[0], []
    for part in parts[1:]:
        kind = rng.choice(KINDS[:1] + KINDS)
        length = 0 if kind == "cut" else rng.randint(12, 30)
        if kind == "dissolve":
            share = np.linspace(0, 1, length, dtype=np.float32)[:, None, None, None]
            mixed = made[-length:] * (1 - share) + part[:length] * share
            joins.append(Join(kind, (len(made) - length) / FPS, len(made) / FPS))
            made = np.concatenate([made[:-length], mixed.astype(np.uint8), part[length:]])
            continue
        if length:
            share = np.linspace(1, 0, length, dtype=np.float32)[:, None, None, None]
            ground = 255.0 if kind == "white" else 0.0
            out = made[-length:] * share + ground * (1 - share)
            back = part[:length] * share[::-1] + ground * (1 - share[::-1])
            joins.append(Join(kind, (len(made) - length) / FPS, (len(made) + length) / FPS))
            made = np.concatenate([made[:-length], out.astype(np.uint8), back.astype(np.uint8), part[length:]])
            continue
        joins.append(Join(kind, len(made) / FPS, len(made) / FPS))
        made = np.concatenate([made, part])
    return made, joins


def write(path: Path, frames: np.ndarray) -> None:
    """Write frames as H.264."""
    command = ["ffmpeg", "-v", "error", "-y", "-f", "rawvideo", "-pix_fmt", "bgr24", "-s", f"{WIDTH}x{HEIGHT}"]
    command += ["-r", str(FPS), "-i", "-", "-c:v", "libx264", "-crf", "24", "-pix_fmt", "yuv420p", str(path)]
    subprocess.run(command, input=frames.tobytes(), check=True)


def ours(path: Path, apart_s: float) -> list[float]:
    """Return where shots begin, in seconds."""
    detector, starts, latest_s = ShotDetector(), [], -apart_s
    with open_source(str(path)) as source:
        for frame in source:
            at_s = frame.offset_s or 0.0
            if at_s >= latest_s + apart_s - 1e-6:
                latest_s = at_s
                if detector.begins(frame.image, at_s):
                    starts.append(at_s)
    return boundaries(starts)


def theirs(path: Path) -> Iterator[tuple[str, list[float]]]:
    """Yield where PySceneDetect's detectors, as they come, say that scenes begin."""
    from scenedetect import AdaptiveDetector, ContentDetector, detect

    for kind in (ContentDetector, AdaptiveDetector):
        scenes = detect(str(path), kind())
        yield f"PySceneDetect {kind.__name__}", [start.seconds for start, _ in scenes[1:]]


def judged(starts: Sequence[float], joins: Sequence[Join]) -> tuple[list[Join], int]:
    """Return which joins were missed, and how many starts are none."""
    left, missed = list(starts), []
    for join in joins:
        inside = [at for at in left if join.start - NEAR_S <= at <= join.end + NEAR_S]
        if inside:
            left.remove(inside[0])
        else:
            missed.append(join)
    return missed, len(left)


def main() -> None:
    """Print a table."""
    options = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--clips", type=int, default=12)
    options.add_argument("--apart", type=float, default=0)
    options.add_argument("--keep", type=Path, help="a folder for the clips")
    asked = options.parse_args()
    missed: dict[str, list[str]] = {}
    wrong: Counter[str] = Counter()
    made: list[str] = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = asked.keep or Path(temporary)
        for seed in range(asked.seed, asked.seed + asked.clips):
            frames, joins = clip(seed)
            write(folder / f"clip-{seed}.mp4", frames)
            path = folder / f"clip-{seed}.mp4"
            made += [join.kind for join in joins]
            for name, starts in (("Mien", ours(path, asked.apart)), *theirs(path)):
                lost, none = judged(starts, joins)
                missed.setdefault(name, []).extend(join.kind for join in lost)
                wrong[name] += none
                if asked.keep and name == "Mien":
                    print(seed, [(j.kind, round(j.start, 2), round(j.end, 2)) for j in joins], np.round(starts, 2))
    print(f"{datetime.now().astimezone():%Y-%m-%d}, {asked.clips} clips, seed {asked.seed}")
    for name, kinds in missed.items():
        hits = len(made) - len(kinds)
        f1 = 2 * hits / (2 * hits + len(kinds) + wrong[name])
        print(f"{name:<34} found {hits}, missed {len(kinds)}, wrong {wrong[name]}, F1 {f1:.3f}")
        print(
            " " * 34,
            ", ".join(f"{kind} {made.count(kind) - kinds.count(kind)} of {made.count(kind)}" for kind in KINDS),
        )


if __name__ == "__main__":
    main()
