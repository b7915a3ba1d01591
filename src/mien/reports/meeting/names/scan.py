"""Reading a recording's picture: a meeting's frames go in, one after the other; who is where and when comes out.

Text is read seldom, because that is costly: at the beginning, when the layout changes and once a minute. In between,
each tag's pixels are compared with what they were when it was read, which tells in which frame it went away.
"""

from __future__ import annotations

import hashlib
import logging
import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import cv2
import msgspec
import numpy as np

from mien.config import Settings, checked
from mien.errors import InputError, MienError
from mien.media.base import Image
from mien.media.open import open_source
from mien.media.selection import selected
from mien.reports.base.job import Job
from mien.reports.base.video_cache import content_key, kept_folder
from mien.reports.meeting.names.clock import clock_in
from mien.reports.meeting.names.edges import READ, apart, at_edge, corners, near_edge, strips, tag_of
from mien.reports.meeting.names.highlight import highlighted
from mien.reports.meeting.names.letters import Grey, Tag
from mien.reports.meeting.names.matching import CLEAR, SMALL, alike, same_name
from mien.reports.meeting.names.mouths import MouthWatch
from mien.reports.meeting.names.naming import Camera, Seen, named
from mien.reports.meeting.names.places import ScreenReading
from mien.reports.meeting.names.tags import Box, TextLine, TextReader
from mien.reports.meeting.names.tiles import centre_in, cut, from_lattice, overlap

__all__ = ["Faces", "ScreenWatch", "read_screen", "screen_watch"]

STEP_S = 0.4
"""Frames that follow sooner are passed over, in seconds."""

AGAIN_S = 60.0
"""After so long the whole picture is read again."""

LOOKS, REGAINED_S, TAG_LOOK = 10, 20.0, 0.2
"""The layout may be looked at so often at once; then a look is regained after so many seconds. One tile costs less."""

FEW = 2
"""Where no more tags go away at once, others are looked for in their places at once; else once the layout is still."""

SAME_LETTERS, OTHER_LETTERS = 0.7, 0.5
"""A tag whose letters are correlated so much with what they were is still there, -1 to 1; one below is surely not."""

UNCHANGED = 0.998
"""A tag whose letters are correlated so much with what they were is the same, also where its tile jumped."""

KNOWN_LETTERS = 0.75
"""A tag whose letters are correlated so much with one that was read before is looked at as that one."""

JUMPED, JUMPED_TIMES = 6.0, 3.0
"""A tile shows another picture where it changes by so much on average, 0 to 255, and so many times more than usual."""

MANY_TILES = 12
"""The letters of a gallery of so many tiles are small."""

SAME_TILE = 0.7
"""Tiles that overlap so much, over their union, are one."""

CUT_SHARE = 0.3
"""Where so much of it changes, another picture has come."""

STILL_S, SETTLED_S = 0.8, 1.2
"""So long after a change a look is taken, in seconds; later while the picture goes on to change."""

BARE_S, ALONE_S = 10.0, 3.0
"""Tiles without a tag are looked at again after so long, in seconds, if something changed; one that fills the frame."""

DOUBT_S = 3.0
"""A tag that looks otherwise is read again so often, in seconds."""

CUT_EVERY_S, CUT_SELDOM_S, OUTSIDE = 1.6, 8.0, 0.004
"""Where the picture keeps changing, its tiles are looked for so often, in seconds; the second, where no more than this
share of it changes outside of the tiles that are known, all of which have a tag."""

MOST_LINES = 60
"""So many lines of text are read at once; a gallery of 49 has fewer."""

JUMP, JUMP_SHARE = 24, 0.02
"""The layout may have changed where the picture changes by so much, 0 to 255, in so much of its area at once."""

CLOCKS, CLOCK_EVERY_S = 6, 5.0
"""So many readings of a clock are enough, so long apart in seconds."""

CORNER_LOOKS = 3
"""So often the corners of the picture that no tile fills are searched for a clock."""

VERSION = 3

log = logging.getLogger(__name__)

THUMB = (160, 90)

Faces = Mapping[float, Sequence[Box]]
"""The boxes of a recording's faces by time, in seconds, to the thousandth."""


@dataclass
class _Camera:
    """A tile from when it came until it went or its tag changed.

    Attributes:
        box: Its rectangle in pixels.
        start: When it came, in seconds.
        end: When it was last seen.
        sure: When its tag was last seen for sure.
        tag: Its tag; None: none was read.
        readings: All texts that were read in its tag, with the best score of each.
        unreadable: Whether there was text that could not be read.
        doubted: When its tag was last read because it looked otherwise than it did.
        motion: The sum of its changes from look to look, and how many.
        jumped: Whether it shows another picture than at the last look.
    """

    box: Box
    start: float
    end: float
    tag: Tag | None = None
    readings: dict[str, float] = field(default_factory=dict)
    unreadable: bool = False
    doubted: float = -math.inf
    motion: list[float] = field(default_factory=lambda: [0.0, 0.0])
    jumped: bool = False
    sure: float = -math.inf

    def lasts(self, at: float) -> None:
        """Take note that it is there at a time, with its tag."""
        self.end = self.sure = at


class ScreenWatch:
    """Reads the picture of a meeting, whose frames it is shown in order of time.

    Args:
        reader: Reads text.
    """

    def __init__(self, reader: TextReader) -> None:
        self._reader = reader
        self._last = -math.inf
        self._begin: float | None = None
        self._read_at = -math.inf
        self._looks = float(LOOKS)
        self._thumb: Grey | None = None
        self._cut_at = self._cut_again = -math.inf
        self._outside = 1.0  # so much of the picture changed at once outside of the tiles
        self._changed: float | None = None  # since when the layout is not known
        self._now: list[_Camera] = []
        self._gone: list[_Camera] = []
        self._before: deque[tuple[float, Image]] = deque(maxlen=5)
        self._greys: deque[tuple[float, Grey]] = deque(maxlen=15)
        self._known: list[Tag] = []
        self._clocks: list[tuple[float, datetime]] = []
        self._clock_box: Box | None = None
        self._clock_at = -math.inf
        self._corner_looks = CORNER_LOOKS
        self._lit: list[tuple[float, Box]] = []
        self._size = (1, 1)
        self._lattice_wait = 0
        self._mouths = MouthWatch()

    @property
    def span(self) -> tuple[float, float]:
        """From when until when frames were seen, in seconds."""
        return (self._begin or 0.0, self._last)

    def see(self, image: Image, at: float, faces: Sequence[Box] = ()) -> None:
        """Take the next frame.

        Args:
            image: BGR, shape (h, w, 3), uint8.
            at: Its position in the recording in seconds.
            faces: The boxes of its faces in pixels.
        """
        self._read(image, at)
        tagged = [camera.box for camera in self._now if camera.tag is not None]
        self._mouths.see(image, at, [box for box in faces if not any(centre_in(box, tile) for tile in tagged)])

    def _read(self, image: Image, at: float) -> None:
        if at < self._last + STEP_S - 1e-3:
            if self._greys and at >= self._greys[-1][0] + STEP_S / 2 - 1e-3:  # tells more closely when a tag went
                self._greys.append((at, np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), np.uint8)))
            return
        size = (image.shape[1], image.shape[0])
        if size != self._size:
            self._end_all()
            self._size, self._thumb, self._known = size, None, []
            self._before.clear()
            self._greys.clear()
            self._changed = at
        self._begin = at if self._begin is None else self._begin
        grey = np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), np.uint8)
        jumped = self._compare(grey, at)
        self._looks = min(LOOKS, self._looks + max(0.0, at - max(self._last, 0.0)) / REGAINED_S)
        self._greys.append((at, grey))
        self._before.append((at, image))
        lost = self._check(image, grey, at)
        if self._changed is None and (lost or at - self._read_at >= AGAIN_S or (jumped and self._is_new(image, at))):
            self._changed = at
        if self._changed is not None and self._looks >= 1 and at - self._changed >= (SETTLED_S if jumped else STILL_S):
            self._look(image, grey, at, self._changed)
        if self._clock_box and len(self._clocks) < CLOCKS and at - self._clock_at >= CLOCK_EVERY_S:
            self._clock_at = at
            self._stamp(self._reader.read(image, [self._clock_box])[0], at)
        boxes = [camera.box for camera in self._now]
        if len(boxes) > 1 and (lit := highlighted(image, boxes)) is not None:
            self._lit.append((at, boxes[lit]))
        self._last = at

    def _is_new(self, image: Image, at: float) -> bool:
        """Return whether tiles are others than they were, or some have no tag and were not looked at for a while."""
        bare = any(camera.tag is None for camera in self._now)
        if bare and (self._cut_at == at or at - self._read_at >= (BARE_S if len(self._now) > 1 else ALONE_S)):
            return True
        wait = CUT_EVERY_S if bare or self._outside > OUTSIDE else CUT_SELDOM_S
        if (len(self._now) == 1 and not bare) or (at - self._cut_again < wait and self._cut_at != at):
            return False
        self._cut_again = at
        tiles = cut(image)
        known = [camera.box for camera in self._now]
        return len(tiles) != len(known) or any(all(overlap(tile, box) < SAME_TILE for box in known) for tile in tiles)

    def _compare(self, grey: Grey, at: float) -> bool:
        """Return whether a large part of the picture changed at once; take note of which tiles move."""
        thumb = np.asarray(cv2.resize(grey, THUMB, interpolation=cv2.INTER_AREA), np.uint8)
        before, self._thumb = self._thumb, thumb
        if before is None:
            return True
        change = cv2.absdiff(before, thumb)
        jumps = change >= JUMP
        share = np.count_nonzero(jumps) / jumps.size
        by_x, by_y = THUMB[0] / self._size[0], THUMB[1] / self._size[1]
        for camera in self._now:
            x, y, wide, high = camera.box
            across, down = round(x * by_x), round(y * by_y)
            jumps[
                max(0, down - 1) : round((y + high) * by_y) + 1, max(0, across - 1) : round((x + wide) * by_x) + 1
            ] = 0
            rows = slice(round((y + 0.2 * high) * by_y), round((y + 0.8 * high) * by_y))  # not its frame and its tag
            part = change[rows, round((x + 0.2 * wide) * by_x) : round((x + 0.8 * wide) * by_x)]
            if part.size:
                moved, (total, looks) = cv2.mean(part)[0], camera.motion
                usual = total / looks if looks > 1 else JUMPED
                camera.jumped = moved > max(JUMPED, JUMPED_TIMES * usual)
                camera.motion = [total + moved, looks + 1]
        self._outside = np.count_nonzero(jumps) / jumps.size
        if share >= CUT_SHARE or any(camera.jumped for camera in self._now):
            self._cut_at = at
        return bool(share >= JUMP_SHARE)

    def _check(self, image: Image, grey: Grey, at: float) -> bool:
        """Return whether the layout is to be looked at, for a tag went away; let the others last until now."""
        lost: list[_Camera] = []
        for camera in self._now:
            if camera.tag is None:
                camera.end = at
                continue
            likeness = camera.tag.likeness(grey)
            if likeness >= (UNCHANGED if camera.jumped else SAME_LETTERS):
                camera.lasts(at)
                continue
            sudden = camera.jumped or (likeness < OTHER_LETTERS and camera.sure >= self._last)
            if not sudden and at - camera.doubted < DOUBT_S:
                camera.end = at if likeness >= OTHER_LETTERS else camera.end
                continue
            camera.doubted = at
            line = self._reader.read(image, [camera.tag.line.box])[0]
            score = line.score if not camera.jumped else 1.0
            if any(same_name(line.text, known) or alike(line.text, score, known) for known in camera.readings):
                camera.lasts(at)
                camera.tag.renew(grey)
            else:
                camera.end = self._until(camera.tag, camera.sure, at)
                lost.append(camera)
        if not lost:
            return False
        self._gone += lost
        self._now = [camera for camera in self._now if camera not in lost]
        others = [self._known_again(camera, image, grey, at) for camera in lost]
        if len(lost) <= FEW:
            others = [
                other or self._looked_at(camera, image, grey, at) for camera, other in zip(lost, others, strict=True)
            ]
        self._now += [camera for camera in others if camera is not None]
        return None in others or any(_sureness_of(camera) < CLEAR for camera in others if camera is not None)

    def _known_again(self, camera: _Camera, image: Image, grey: Grey, at: float) -> _Camera | None:
        """Return a tile with a tag that was read before in it and stands there again."""
        near = [tag for tag in self._known if centre_in(tag.line.box, camera.box)]
        rated = sorted(((tag.likeness(grey), number) for number, tag in enumerate(near)), reverse=True)
        if not rated or rated[0][0] < KNOWN_LETTERS:
            return None
        tag = near[rated[0][1]]
        line = self._reader.read(image, [tag.line.box])[0]
        if not same_name(line.text, tag.line.text):
            return None
        tag.renew(grey)
        return _Camera(camera.box, camera.end, at, tag, {tag.line.text: _sureness(tag.line)}, sure=at)

    def _looked_at(self, camera: _Camera, image: Image, grey: Grey, at: float) -> _Camera | None:
        """Return a tile with the tag that stands in place of the one that went away; None where there is none."""
        if self._looks < TAG_LOOK:
            return None
        self._looks -= TAG_LOOK
        lines = self._tags(image, [camera.box, (0, 0, *self._size)], [camera.box], at)
        other = self._camera(camera.box, lines, grey, at, camera.end)
        return other if other.tag is not None else None

    def _until(self, tag: Tag, seen: float, at: float) -> float:
        """Return until when a tag stood there that was last seen at one time and no more at another, in seconds."""
        if at - seen > 2 * STEP_S:
            return seen + STEP_S / 4
        for between, grey in self._greys:
            if seen < between < at:
                if tag.likeness(grey) < SAME_LETTERS:
                    return (seen + between) / 2
                seen = between
        return (seen + at) / 2

    def _look(self, image: Image, grey: Grey, at: float, since: float) -> None:
        """Find tiles and read their tags anew; what comes to light began with the change."""
        self._looks -= 1
        self._read_at, self._changed = at, None
        tiles = cut(image)
        kept = {tile: camera for tile in tiles if (camera := self._kept(tile, grey)) is not None}
        steady = [picture for when, picture in self._before if when >= max(since, self._cut_at)] or [image]
        lines = self._tags(_mean(steady), tiles, [tile for tile in tiles if tile not in kept], at)
        cameras = []
        for box in self._split(tiles, lines):
            if box in kept:
                kept[box].lasts(at)
                cameras.append(kept[box])
            else:
                cameras.append(self._camera(box, [line for line in lines if centre_in(line.box, box)], grey, at, since))
        self._gone += [camera for camera in self._now if camera not in cameras]
        self._now = cameras

    def _kept(self, tile: Box, grey: Grey) -> _Camera | None:
        """Return what was known of a tile, if its tag was read clearly and still stands there."""
        for camera in self._now:
            if overlap(camera.box, tile) >= SAME_TILE and camera.tag is not None:
                clear = _sureness_of(camera) >= CLEAR
                return camera if clear and camera.tag.likeness(grey) >= SAME_LETTERS else None
        return None

    def _camera(self, box: Box, lines: Sequence[TextLine], grey: Grey, at: float, since: float) -> _Camera:
        line = tag_of(lines, box, self._size[1])
        unreadable = line is None and any(line.score < READ or not line.text for line in at_edge(lines, box))
        for camera in self._now:
            if overlap(camera.box, box) < SAME_TILE or (camera.tag is None) != (line is None):
                continue
            if camera.tag is None or camera.tag.likeness(grey) >= SAME_LETTERS:
                if line is not None:
                    camera.readings[line.text] = max(_sureness(line), camera.readings.get(line.text, 0.0))
                camera.lasts(at)
                camera.unreadable |= unreadable
                return camera
        if line is None:
            return _Camera(box, since, at, unreadable=unreadable)
        tag = Tag.at(line, grey)
        self._known = [known for known in self._known if known.line.text != line.text or known.line.box != line.box]
        self._known = [*self._known, tag][-80:]
        began = at
        for earlier, picture in reversed(self._greys):
            if tag.likeness(picture) < OTHER_LETTERS:
                began = (earlier + began) / 2
                break
            began = earlier
        return _Camera(box, max(began, since - STEP_S), at, tag, {line.text: _sureness(line)}, sure=at)

    def _tags(self, image: Image, every: Sequence[Box], tiles: Sequence[Box], at: float) -> list[TextLine]:
        """Return the lines that stand where tags of some of the frame's tiles can be; read the clock on the way."""
        high, wide = image.shape[:2]
        whole = (0, 0, wide, high)
        count = len(every)
        alone = count == 1
        parts = [strip for tile in tiles for strip in strips(tile, high)]
        if alone and self._lattice_wait > 0:
            self._lattice_wait -= 1
        elif alone and tiles:
            parts = [whole]
        if parts != [whole] and self._corner_looks and self._clock_box is None:
            free = [corner for corner in corners((wide, high)) if not any(centre_in(corner, tile) for tile in every)]
            self._corner_looks -= bool(free)
            parts += free
        coarse = count < MANY_TILES or high <= 540
        lines = self._lines(image, parts, (540 if coarse else 720) / high, alone=alone)
        if coarse and not alone and high > 540:  # a closer look at tiles of which no tag was read
            inside = {tile: [line for line in lines if centre_in(line.box, tile)] for tile in tiles}
            bare = [tile for tile in tiles if tag_of(inside[tile], tile, high) is None]
            parts = [strip for tile in bare for strip in strips(tile, high)]
            lines = [line for line in lines if not any(centre_in(line.box, tile) for tile in bare)]
            lines += self._lines(image, parts, 720 / high, alone=False)
        for line in lines:
            self._stamp(line, at)
        return lines

    def _lines(self, image: Image, parts: Sequence[Box], enlarge: float, *, alone: bool) -> list[TextLine]:
        """Return the lines in parts of a frame that are no higher than tags; of a document those at its edges."""
        high, wide = image.shape[:2]
        boxes = apart(self._reader.find(image, parts, enlarge=enlarge))
        boxes = [box for box in boxes if box[3] <= 0.09 * high and box[2] >= 0.8 * box[3]]
        if alone and len(boxes) > MOST_LINES:
            boxes = [box for box in boxes if near_edge(box, (wide, high))]
        return self._reader.read(image, boxes[:MOST_LINES])

    def _stamp(self, line: TextLine, at: float) -> None:
        """Take note of the time that a line shows, if it is a clock."""
        if (shown := clock_in(line.text)) is not None:
            self._clocks.append((at, shown))
            self._clock_box, self._clock_at = line.box, at

    def _split(self, tiles: list[Box], lines: Sequence[TextLine]) -> list[Box]:
        """Return the tiles, one that fills the frame divided by the tags that stand in rows and columns."""
        if len(tiles) != 1:
            return tiles
        inside = [line.box for line in lines if line.score >= READ and line.text and clock_in(line.text) is None]
        boxes = from_lattice(inside, tiles[0]) if 2 <= len(inside) <= MOST_LINES else []
        if not boxes:
            self._lattice_wait = min(8, 2 * self._lattice_wait + 3)
        return boxes or tiles

    def seen(self) -> Seen:
        """Return all that was seen so far."""
        cameras = [
            Camera(one.box, one.start, one.end, one.readings, one.unreadable, *one.motion)
            for one in (*self._gone, *self._now)
        ]
        return Seen(self._size, cameras, self._lit, self._clocks, *self.span, self._mouths.runs)

    def _end_all(self) -> None:
        self._gone += self._now
        self._now = []


def _mean(pictures: Sequence[Image]) -> Image:
    """Return the mean of pictures: letters stay, all else moves."""
    if len(pictures) == 1:
        return pictures[0]
    total = np.zeros(pictures[0].shape, np.uint16)
    for picture in pictures:
        cv2.add(total, picture, total, dtype=cv2.CV_16U)
    return np.asarray(total // np.uint16(len(pictures)), np.uint8)


def _sureness_of(camera: _Camera) -> float:
    return max(camera.readings.values())


def _sureness(line: TextLine) -> float:
    """Return how sure the reader of a tag can be, 0 to 1: of small text never quite."""
    return min(line.score, CLEAR - 0.01) if line.box[3] <= SMALL else line.score


def read_screen(
    path: str,
    speakers: Sequence[str],
    settings: Settings | None = None,
    job: Job | None = None,
    *,
    model: Path | None = None,
    how: dict[str, Any] | None = None,
    watch: ScreenWatch | None = None,
    faces: Faces | None = None,
) -> ScreenReading:
    """Return what a recording's picture shows of its speakers.

    What was read is kept with the recording's figures, so that a recording is read once for any transcript.

    Args:
        path: The video.
        speakers: The names of the transcript; none: the tags' own names are taken.
        settings: The effective settings; None: the defaults.
        job: Hears how far it is, and can end it.
        model: Another PP-OCR recogniser (ONNX), for other scripts.
        how: Which stream is looked at and at which rate, as `mien.media.open.open_source` takes them.
        watch: One that has seen the recording's frames while they were analysed; None: they are decoded here.
        faces: The boxes of the faces at each time that was analysed, for frames that are decoded here.

    Raises:
        InputError: The video cannot be read.
        MissingExtraError: The extra `names` is not installed.
        ModelError: The model is no PP-OCR recogniser.
        PartialError: The job was stopped.
    """
    settings, job = settings or checked({}, "the arguments"), job or Job()
    kept = _kept(path, settings, model, how or {})
    seen = _from(kept)
    if seen is None:
        if watch is None or watch.span[1] <= watch.span[0]:
            watch = _watched(path, job, model, how or {}, faces or {})
        seen = watch.seen()
        _keep(kept, seen)
    return named(seen, speakers)


def screen_watch(
    path: str, settings: Settings, *, model: Path | None = None, how: dict[str, Any] | None = None
) -> ScreenWatch | None:
    """Return one to be shown a recording's frames while they are analysed; None where it was read before."""
    kept = _kept(path, settings, model, how or {})
    return ScreenWatch(TextReader(model)) if _from(kept) is None else None


def _watched(path: str, job: Job, model: Path | None, how: dict[str, Any], faces: Faces) -> ScreenWatch:
    watch = ScreenWatch(TextReader(model))
    step = f"reading names in {Path(path).name}"
    with open_source(path, **how) as source:
        if source.live:
            raise InputError(f"cannot read names in '{path}': it is live and has no end")
        for frame in selected(source, fps=2 / STEP_S):
            job.tell(step, frame.index, source.expected)
            at = frame.offset_s or 0.0
            watch.see(frame.image, at, faces.get(round(at, 3), ()))
    return watch


def _kept(path: str, settings: Settings, model: Path | None, how: dict[str, Any]) -> Path | None:
    """Return the file in which what was read of a recording is kept; None where nothing is kept."""
    folder = kept_folder(settings)
    if folder is None:
        return None
    reader = content_key(str(model)) if model else "own"
    key = hashlib.sha256(f"names {VERSION} {content_key(path)} {reader} {sorted(how.items())}".encode()).hexdigest()
    return folder / f"{key[:32]}.names.jsonl"


def _from(kept: Path | None) -> Seen | None:
    try:
        return msgspec.json.decode(kept.read_bytes(), type=Seen) if kept else None
    except (OSError, msgspec.MsgspecError, ValueError):
        return None


def _keep(kept: Path | None, seen: Seen) -> None:
    if kept is None:
        return
    try:
        kept.touch(0o600)
        kept.write_bytes(msgspec.json.encode(seen))
    except OSError as error:
        raise MienError(f"cannot keep what was read in '{kept}': {error.strerror}") from error
