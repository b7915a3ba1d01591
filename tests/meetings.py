"""Recordings of meetings of which the truth is known, and their transcripts.

The demo's portrait is many people, drawn as Zoom, Teams, Meet and Webex draw them: with name tags, a frame around the
speaker and a clock.
"""

from __future__ import annotations

import functools
import math
import shutil
import subprocess
import wave
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont

from mien.media import demo as demo_clip
from mien.media.demo import Demo

Rect = tuple[int, int, int, int]

SIZES = {"360p": (640, 360), "720p": (1280, 720), "1080p": (1920, 1080)}
KBITS = {360: 250, 720: 700, 1080: 1500}
"""What meetings are recorded at, in thousand bits a second."""

NAMES = (
    "Ann Lee",
    "Bob Marsh",
    "Carla Díaz",
    "Dmitri Orlov",
    "Eve Nakamura",
    "Farid Haddad",
    "Grace O'Neill",
    "Hugo Brandt",
    "Ines Costa",
    "Jun Watanabe",
    "Kemal Aydın",
    "Lucía Fernández",
    "Marek Nowak",
    "Nora Lindqvist",
    "Olu Adebayo",
    "Priya Raman",
    "Quentin Roche",
    "Rosa Bianchi",
    "Sven Åkesson",
    "Tara Singh",
    "Umar Farooq",
    "Vera Kuznets",
    "Will Thornton",
    "Xenia Pappas",
    "Yusuf Demir",
)


@dataclass(frozen=True)
class Look:
    """How a program draws a meeting.

    Attributes:
        background: BGR.
        gap: Between tiles, as a share of the picture's height.
        highlight: The frame around the speaker, BGR.
        tag: `box`, a dark box at the lower left; `bare`, text without one; `top`, at the upper left; `middle`, below.
        round: Whether tiles have round corners.
    """

    background: tuple[int, int, int]
    gap: float
    highlight: tuple[int, int, int]
    tag: str
    round: bool = False


LOOKS = {
    "zoom": Look((26, 26, 26), 0.008, (72, 230, 205), "box"),
    "teams": Look((31, 31, 31), 0.012, (245, 133, 127), "box", round=True),
    "meet": Look((36, 33, 32), 0.02, (248, 180, 138), "bare", round=True),
    "webex": Look((0, 0, 0), 0.012, (235, 170, 30), "middle"),
    "zoom top": Look((0, 0, 0), 0.008, (72, 230, 205), "top"),
}


@dataclass
class Person:
    """Somebody in a meeting.

    Attributes:
        name: In the transcript.
        tag: In the picture; None: the name.
        comes: From when on, in seconds.
        goes: Until when.
        off: From when until when the camera is off.
        photo: Whether a photograph stands in place of the camera.
    """

    name: str
    tag: str | None = None
    comes: float = 0.0
    goes: float = math.inf
    off: tuple[float, float] = (0.0, 0.0)
    photo: bool = False

    def here(self, at: float) -> bool:
        return self.comes <= at < self.goes

    def seen(self, at: float) -> bool:
        return self.here(at) and not self.off[0] <= at < self.off[1]


@dataclass
class Meeting:
    """A meeting to be drawn.

    Attributes:
        people: Who takes part.
        size: Of the picture, in pixels.
        look: Of LOOKS.
        layout: `gallery`, `speaker`, `share`, `alone` or `overlay`.
        seconds: How long it lasts.
        swap: When the order of tiles is turned about, in seconds.
        highlight: Whether the speaker is framed,
        late: and so many seconds after beginning to speak; as late it ends.
        clock: When it begins, where the picture shows a clock.
        tags: Whether there are any.
        seed: Of the turns.
        fps: Frames a second.
        slide: Lines on the shared screen.
        turns: Who (a number) speaks from when until when; made where it is empty.
        talk: Whether mouths open and shut while people speak, and seldom else, heads sway and eyes blink.
    """

    people: list[Person]
    size: tuple[int, int] = (1280, 720)
    look: str = "zoom"
    layout: str = "gallery"
    seconds: float = 20.0
    swap: float = math.inf
    highlight: bool = True
    late: float = 0.0
    clock: datetime | None = None
    tags: bool = True
    seed: int = 1
    fps: int = 10
    slide: tuple[str, ...] = ("Plan for the quarter", "Costs fell by 4 %", "Three new hires", "Questions?")
    turns: list[tuple[float, float, int]] = field(default_factory=list)
    talk: bool = False

    def __post_init__(self) -> None:
        if self.turns:
            return
        rng, at = np.random.default_rng(self.seed), 0.4
        last = -1
        while at < self.seconds - 1:
            end = min(self.seconds - 0.2, at + float(rng.uniform(1.5, 4.5)))
            able = [n for n, one in enumerate(self.people) if one.here(at) and one.here(end) and n != last]
            if able:
                last = int(rng.choice(able))
                self.turns.append((round(at, 2), round(end, 2), last))
            at = end + 0.3

    def speaker(self, at: float) -> int | None:
        """Return who speaks at a time."""
        return next((who for start, end, who in self.turns if start <= at < end), None)

    def spotlight(self, at: float) -> int:
        """Return who is in the large tile: who spoke last."""
        spoke = [who for start, _, who in self.turns if start <= at and self.people[who].here(at)]
        return spoke[-1] if spoke else next(n for n, one in enumerate(self.people) if one.here(at))

    def tiles(self, at: float) -> list[tuple[int, Rect]]:
        """Return who is where at a time, those in front last."""
        here = [n for n, one in enumerate(self.people) if one.here(at)]
        if at >= self.swap:
            here.reverse()
        wide, high = self.size
        gap = max(1, round(LOOKS[self.look].gap * high))
        if self.layout == "alone":
            return [(self.spotlight(at), (0, 0, wide, high))]
        if self.layout == "gallery":
            return list(zip(here, gallery(len(here), (0, 0, wide, high), gap), strict=True))
        if self.layout == "overlay":
            small = wide // 4, wide // 4 * 9 // 16
            return [(self.spotlight(at), (wide - small[0], 0, *small))]
        if self.layout == "speaker":
            small = high // 5
            shown = here[: max(1, (wide - gap) // (small * 16 // 9 + gap))]
            across = small * 16 // 9
            left = (wide - len(shown) * (across + gap)) // 2
            strip = [(n, (left + k * (across + gap), gap, across, small)) for k, n in enumerate(shown)]
            large_high = high - small - 3 * gap
            large_wide = min(wide - 2 * gap, large_high * 16 // 9)
            large = ((wide - large_wide) // 2, small + 2 * gap, large_wide, large_high)
            return [*strip, (self.spotlight(at), large)]
        across = wide // 5
        small = across * 9 // 16
        shown = here[: max(1, (high - gap) // (small + gap))]
        return [(n, (wide - across - gap, gap + k * (small + gap), across, small)) for k, n in enumerate(shown)]

    def screen(self) -> Rect | None:
        """Return where the shared screen is."""
        wide, high = self.size
        gap = max(1, round(LOOKS[self.look].gap * high))
        if self.layout == "overlay":
            return (0, 0, wide, high)
        return (gap, gap, wide - wide // 5 - 3 * gap, high - 2 * gap) if self.layout == "share" else None

    def transcript(self, path: Path) -> Path:
        """Write the transcript as WebVTT."""
        cues = [
            f"{number}\n{_stamp(start)} --> {_stamp(end)}\n{self.people[who].name}: We will see what comes of it.\n"
            for number, (start, end, who) in enumerate(self.turns, 1)
        ]
        path.write_text("WEBVTT\n\n" + "\n".join(cues), encoding="utf-8")
        return path

    def write(self, path: Path, since: float = 0.0, until: float = math.inf) -> Path:
        """Write the picture, or a part of it."""
        wide, high = self.size
        step = round(1000 / self.fps)
        with av.open(str(path), "w") as container:
            stream: Any = container.add_stream("libx264", rate=self.fps)
            stream.width, stream.height, stream.pix_fmt = wide, high, "yuv420p"
            stream.bit_rate = KBITS.get(high, 700) * 1000
            stream.codec_context.time_base = stream.time_base = Fraction(1, 1000)
            stream.options = {"preset": "ultrafast", "g": str(10 * self.fps)}
            for number in range(round((min(until, self.seconds) - since) * self.fps)):
                picture = self.picture(since + number / self.fps)
                frame = av.VideoFrame.from_ndarray(picture, format="bgr24")
                frame.pts, frame.time_base = number * step, stream.codec_context.time_base
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        return path

    def picture(self, at: float) -> np.ndarray:
        """Return the frame at a time, BGR, shape (h, w, 3), uint8."""
        look = LOOKS[self.look]
        canvas = np.empty((self.size[1], self.size[0], 3), np.uint8)
        canvas[:] = look.background
        if (screen := self.screen()) is not None:
            x, y, wide, high = screen
            canvas[y : y + high, x : x + wide] = _slide(self.slide, wide, high)
        speaks = self.speaker(at - self.late)
        tiles = self.tiles(at)
        for who, (x, y, wide, high) in tiles:
            canvas[y : y + high, x : x + wide] = self._tile(who, wide, high, at)
            if self.highlight and who == speaks and len(tiles) > 1:
                thick = max(2, self.size[1] // 240)
                cv2.rectangle(canvas, (x, y), (x + wide - 1, y + high - 1), look.highlight, thick)
        if self.tags:
            for who, (x, y, wide, high) in tiles:
                person = self.people[who]
                stamp, mask, left, top = _tag(
                    person.tag or person.name, look.tag, wide, high, self.size[1], who % 3 == 0
                )
                part = canvas[y + top : y + top + stamp.shape[0], x + left : x + left + stamp.shape[1]]
                share = mask[: part.shape[0], : part.shape[1], None]
                part[:] = (part * (1 - share) + stamp[: part.shape[0], : part.shape[1]] * share).astype(np.uint8)
        if self.clock is not None:
            text = f"{self.clock + timedelta(seconds=at):%Y-%m-%d %H:%M:%S}"
            stamp, mask, *_ = _tag(text, "bare", 4000, 100, self.size[1], muted=False)
            part = canvas[4 : 4 + stamp.shape[0], self.size[0] - stamp.shape[1] - 8 : self.size[0] - 8]
            part[:] = (part * (1 - mask[..., None]) + stamp * mask[..., None]).astype(np.uint8)
        return canvas

    def _tile(self, who: int, wide: int, high: int, at: float) -> np.ndarray:
        person = self.people[who]
        if not person.seen(at):
            return np.full((high, wide, 3), (52, 48, 46), np.uint8)
        if self.talk:
            return self._talking(who, wide, high, 0.0 if person.photo else at)
        frames = portraits()
        number = 0 if person.photo else round(at * 10)
        frame = frames[(number + 37 * who) % len(frames)]
        if who % 2:
            frame = frame[:, ::-1]
        scale = max(wide / frame.shape[1], high / frame.shape[0])
        view = cv2.resize(
            frame, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        )
        left, top = (view.shape[1] - wide) // 2, (view.shape[0] - high) // 2
        tile = view[top : top + high, left : left + wide].astype(np.float32)
        rng = np.random.default_rng(who)
        tile *= rng.uniform(0.75, 1.1, 3).astype(np.float32)
        return np.clip(tile, 0, 255).astype(np.uint8)

    def _talking(self, who: int, wide: int, high: int, at: float) -> np.ndarray:
        """Return the tile of somebody who moves: the mouth while it speaks, and now and then while it does not."""
        speaks = any(start <= at < end for start, end, speaker in self.turns if speaker == who)
        rng = np.random.default_rng((self.seed, who))
        rates, phases = rng.uniform(0.07, 0.6, 4), rng.uniform(0, 2 * math.pi, 8)
        sway = [math.sin(2 * math.pi * rate * at + phase) for rate, phase in zip(rates, phases, strict=False)]
        said = np.random.default_rng((self.seed, who, round(at * 4)))  # a syllable, about
        moment = np.random.default_rng((self.seed, who, round(at * 0.7), 1))  # some 1.4 s
        moves = moment.random() > 0.06 if speaks else moment.random() < 0.08
        opened = abs(math.sin(math.pi * 4.3 * at + phases[5])) * said.uniform(0.2, 1.0) if moves else 0.0
        blinks = (at + phases[6]) % rng.uniform(2.5, 5) < 0.15
        smiles = int(np.random.default_rng((self.seed, round(at / 6), who)).random() < 0.3)
        scene = _talker(round(6 * opened), blinks, smiles, mirrored=bool(who % 2))
        zoom = rng.uniform(0.95, 1.25) * max(wide / 640, high / 360) * (1 + 0.02 * sway[3])
        middle = (scene.shape[1] - 444 if who % 2 else 444, 244)
        view = cv2.getRotationMatrix2D(middle, 2 * sway[2], zoom)
        view[:, 2] += np.array((wide, high)) / 2 - middle + np.array((0.02 * sway[0], 0.02 * sway[1])) * high
        tile = cv2.warpAffine(
            scene,
            view,
            (wide, high),
            flags=cv2.INTER_AREA,
            borderMode=cv2.BORDER_REFLECT_101,
        )
        return cv2.multiply(tile, (*np.random.default_rng(who).uniform(0.75, 1.1, 3).tolist(), 1.0))


def irregular(seed: int, count: int, seconds: float) -> list[tuple[float, float, int]]:
    """Return turns as people take them: short and long, some people more often than others."""
    rng = np.random.default_rng(seed)
    shares = rng.dirichlet(np.full(count, 2.0))
    turns: list[tuple[float, float, int]] = []
    at = float(rng.uniform(0.2, 2))
    while at < seconds - 1:
        end = min(seconds - 0.2, at + float(np.clip(rng.exponential(4), 0.8, 15)))
        others = shares * [not turns or number != turns[-1][2] for number in range(count)]
        turns.append((round(at, 2), round(end, 2), int(rng.choice(count, p=others / others.sum()))))
        at = end + float(rng.exponential(0.4))
    return turns


def gallery(count: int, area: Rect, gap: int) -> list[Rect]:
    """Return the tiles of a gallery, the last row centred."""
    x, y, wide, high = area
    columns = math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns)
    across = min((wide - (columns + 1) * gap) // columns, ((high - (rows + 1) * gap) // rows) * 16 // 9)
    down = across * 9 // 16
    top = y + (high - rows * down - (rows - 1) * gap) // 2
    tiles = []
    for row in range(rows):
        here = min(columns, count - row * columns)
        left = x + (wide - here * across - (here - 1) * gap) // 2
        tiles += [(left + k * (across + gap), top + row * (down + gap), across, down) for k in range(here)]
    return tiles


@functools.cache
def portraits() -> list[np.ndarray]:
    """Return the demo's frames, ten a second."""
    demo = Demo()
    return [demo.image(at / 10) for at in range(200)]


@functools.cache
def _talker(opened: int, blinks: bool, smiles: int, *, mirrored: bool) -> np.ndarray:
    """Return the demo's portrait with the mouth so far open, 0 to 6."""
    demo, total, (calm, mouth, lids) = _demo(), demo_clip._Warp(()), _warps()
    total.add(calm, (1 - 0.8 * opened / 6) * (0.4 if smiles else 1.0))
    total.add(mouth, opened / 6)
    if blinks:
        total.add(lids, 1)
    scene = demo._portrait.copy()
    x, y, wide, high = (demo_clip.ENLARGED * value for value in demo_clip.FACE)
    face = cv2.remap(scene[y : y + high, x : x + wide], total.x, total.y, cv2.INTER_LINEAR)
    scene[y : y + high, x : x + wide] = cv2.blendLinear(face, demo._mouth, total.own, 1 - total.own)
    return np.ascontiguousarray(scene[:, ::-1]) if mirrored else scene


@functools.cache
def _demo() -> Demo:
    return Demo()


@functools.cache
def _warps() -> tuple[Any, Any, Any]:
    """Return how a calm face, an open mouth and shut eyes move the portrait."""
    spread, pull = demo_clip._Spread(222, 147, 4.5, 12, 8), demo_clip._Pull(222, 172, 0, 5, 26, 12)
    parts = (
        demo_clip.EXPRESSIONS["calm"],
        (spread, pull, demo_clip._Tint(222.5, 147.3, 1, 11.5, 6.2)),
        (demo_clip._Spread(201, 101, -7, 11, 5), demo_clip._Spread(247, 102, -7, 11, 5)),
    )
    return tuple(demo_clip._Warp(part) for part in parts)


@functools.cache
def font(size: int, ascii_only: bool) -> Any:
    if not ascii_only:
        for name in ("DejaVuSans.ttf", "NotoSans-Regular.ttf"):
            try:
                return ImageFont.truetype(name, size)
            except OSError:
                continue
    return ImageFont.load_default(size)


@functools.cache
def _tag(
    text: str, kind: str, wide: int, high: int, picture_high: int, muted: bool
) -> tuple[np.ndarray, np.ndarray, int, int]:
    """Return a tag's picture, how much it covers, and where in its tile it stands."""
    size = max(10, round(picture_high * 0.021))
    face = font(size, text.isascii())
    room = wide - 14 - (size if muted else 0)
    shown = text
    while face.getlength(shown) > room and len(shown) > 2:
        shown = shown.rstrip("…")[:-1].rstrip() + "…"
    pad = max(2, size // 4)
    icon = size if muted else 0
    box_wide = round(face.getlength(shown)) + 2 * pad + icon
    box_high = round(size * 1.3) + 2 * (pad // 2)
    stamp = Pillow.new("RGB", (box_wide, box_high), (24, 24, 24))
    mask = Pillow.new("L", (box_wide, box_high), 90 if kind == "bare" else 165)  # Meet darkens what is below a name
    for picture, colour in ((stamp, (255, 255, 255)), (mask, 255)):
        draw = ImageDraw.Draw(picture)
        if icon:
            draw.ellipse(
                (pad, box_high // 4, pad + icon // 2, box_high * 3 // 4),
                fill=(230, 60, 60) if picture is stamp else 255,
            )
        draw.text((pad + icon, pad // 2), shown, font=face, fill=colour)
    left, top = 3, high - box_high - 3
    if kind == "top":
        top = 3
    if kind == "middle":
        left = (wide - box_wide) // 2
    return np.asarray(stamp)[:, :, ::-1].astype(np.float32), np.asarray(mask, np.float32) / 255, left, max(0, top)


@functools.cache
def _slide(lines: tuple[str, ...], wide: int, high: int) -> np.ndarray:
    page = Pillow.new("RGB", (wide, high), (250, 250, 252))
    draw = ImageDraw.Draw(page)
    for number, line in enumerate(lines):
        draw.text(
            (wide // 12, high // 9 + number * high // 8),
            line,
            font=font(high // 18, ascii_only=True),
            fill=(20, 30, 60),
        )
    return np.asarray(page)[:, :, ::-1]


def _stamp(at: float) -> str:
    return f"{int(at // 3600):02d}:{int(at // 60 % 60):02d}:{at % 60:06.3f}"


def with_voices(meeting: Meeting, silent: Path, path: Path) -> Path:
    """Write a copy of a recording in which espeak-ng speaks each turn; needs espeak-ng and ffmpeg."""
    rate = 16_000
    sound = np.zeros(round(meeting.seconds * rate), np.int16)
    words = path.with_suffix(".words.wav")
    for start, end, who in meeting.turns:
        voice = f"en+{'mf'[who % 2]}{1 + who % 5}"
        spoken = "we will see what comes of it and then we shall talk about all the rest of it again " * 2
        command = ["espeak-ng", "-v", voice, "-w", str(words), spoken]
        subprocess.run(command, check=True, capture_output=True)
        with wave.open(str(words)) as file:
            given, samples = file.getframerate(), np.frombuffer(file.readframes(file.getnframes()), np.int16)
        first, count = round(start * rate), round((end - start) * rate)
        moments = np.minimum(np.arange(count) * given // rate, len(samples) - 1)
        sound[first : first + count] = samples[moments][: len(sound) - first]
    with wave.open(str(words), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(sound.tobytes())
    program = shutil.which("ffmpeg") or "ffmpeg"
    copy = ["-c:v", "copy", "-c:a", "aac", "-b:a", "48k", "-shortest", str(path)]
    subprocess.run([program, "-v", "error", "-y", "-i", str(silent), "-i", str(words), *copy], check=True)
    words.unlink()
    return path


def attributed(
    meeting: Meeting, places: Sequence[Any], step: float = 0.2, name_of: Callable[[int], str] | None = None
) -> dict[str, float]:
    """Return for how many seconds of speaking, the own face in view, that face, another's or none is named."""
    seconds = {"right": 0.0, "wrong": 0.0, "open": 0.0}
    wide, high = meeting.size
    for start, end, who in meeting.turns:
        name = name_of(who) if name_of else meeting.people[who].name
        for at in np.arange(start + step / 2, end, step):
            shown = [(n, rect) for n, rect in meeting.tiles(float(at)) if meeting.people[n].seen(float(at))]
            if who not in [n for n, _ in shown]:
                continue
            here = [place for place in places if place.speaker == name and place.start <= at <= place.end]
            faces = set()
            for number, (n, (x, y, tile_wide, tile_high)) in enumerate(shown):
                across, down = x + tile_wide / 2, y + 0.45 * tile_high
                if any(_within(across, down, rect) for _, rect in shown[number + 1 :]):
                    continue
                for place in here:
                    left, top = place.x * wide, place.y * high
                    if _within(across, down, (left, top, place.width * wide, place.height * high)):
                        faces.add(n)
            kind = "open" if not faces else "right" if faces == {who} else "wrong"
            seconds[kind] += step
    return seconds


def _within(across: float, down: float, rect: Any) -> bool:
    x, y, wide, high = rect
    return bool(x <= across <= x + wide and y <= down <= y + high)
