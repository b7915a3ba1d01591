"""Where shots begin: a video's frames go in, one after the other; the number of the shot of each comes out.

A frame is reduced to small blocks of brightness. Two frames are alike as far as the blocks that show something are
correlated, which a change of light hardly touches, or as far as the middle of one is found again in the other, which a
moving camera hardly touches. A frame that shows nothing, as in a flash or a fade through black, is passed over, and the
next that shows something is held against the last one.

A shot begins
- with a cut: a frame is unlike the one before, and more so than frames have been lately;
- after a dissolve: for a while the picture turned into another. Frames are taken as vectors, and the angle between two
  that lie LAG_S apart, the camera's movement taken out, is how far the picture has turned. In a mixture of two pictures
  the angles add up to the one between them, and there is less contrast in between than in either, as the contrasts of
  two pictures that have nothing in common add up as squares do (A. M. Alattar, "Detecting and compressing dissolve
  regions in video sequences with a DVI multimedia image compression algorithm", 1993). What only moves turns as much
  before and after;
- after a long dissolve between still pictures, which turn too slowly for that: frames were mixtures of two that are
  unlike, ever more of the second.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.media.base import MARK_S, Frame, Image, Source, Wrapper, mark_before

__all__ = ["LEAD_S", "SEEN_S", "ShotDetector", "ShotNumbers", "boundaries", "numbered"]

COLUMNS, ROWS, SIDE = 8, 6, 8
"""A frame is divided into so many blocks, each of SIDE by SIDE points."""

FLAT = 4.0
"""A block whose brightness varies less shows nothing, 0 to 255."""

EMPTY, BURNT = 0.12, 0.6
"""A frame shows nothing where fewer of its blocks do, or more of its points are white, as shares."""

FLASH, FLASH_S = 80.0, 0.15
"""A frame that is suddenly brighter by so much, 0 to 255, is passed over for so long, in seconds."""

UNLIKE = 0.5
"""Frames that are less alike, -1 to 1, may be of two shots,"""

STANDS_OUT = 0.3
"""where they are so much less alike than frames have been lately."""

FAR_S, RISES = 0.1, 0.3
"""Of frames that are further apart, in seconds, each may be unlike the one before; what is usual then is soon alike."""

SAME = 0.97
"""Of frames that are more alike, whether anything has moved is not looked at."""

MOVED = 0.9
"""The middle of a frame that is found in the next so surely, -1 to 1, has only moved."""

SHORTEST_S = 0.2
"""No shot is shorter, in seconds."""

ONE_S = 0.6
"""Shots that begin within so many seconds of each other begin with one boundary: a fade, or a dissolve of pictures that
move, may be seen to begin and to end. So short is PySceneDetect's shortest scene, too."""

DISSOLVES_S = (0.5, 0.8, 1.2, 1.7)
"""How long dissolves take that are looked for, in seconds; of one that takes longer, the middle is."""

SLOW_S = (1.6, 2.4)
"""How long those between still pictures take that turn too slowly, in seconds."""

CALM_S = 0.2
"""So long after one the picture turns no more than usual, in seconds."""

LAG_S = 0.2
"""How far apart frames are between which the picture turns, in seconds: from one to the next, it turns in a dissolve by
less than a camera's noise does."""

OVERLAP = 0.3
"""Of two such frames at least this share shows the same place, after how the camera has moved."""

USUAL = 0.4
"""Where the picture turns more than this before or after, in radians, it always changes, and nothing can be told."""

TURNED, FASTEST, EVEN = 0.75, 0.3, 0.45
"""In a dissolve the picture turns by so much in all, in radians, beyond what is usual, and as much lies between its
ends; within LAG_S somewhere by FASTEST, or by EVEN over the dissolve's length in seconds where that is less."""

MORE = 1.2
"""By so much what is usual, squared, is exceeded."""

FADED, FADES = 0.65, 1.02
"""The least contrast between, squared, as a share of the mean of both ends and of the end that has less."""

CALM, ENDS_ALIKE, ENDS_MOVED = 0.64, 0.35, 0.75
"""The still pictures at the ends of one turn no more, in radians, and are less alike, and less surely found in each
other."""

INNER = 6
"""So many frames within it are looked at."""

MIXED, MIXED_UNLIKE = 0.93, 0.85
"""Each is explained by the ends to this share of its variance, less where the ends have nothing in common."""

STEADY, STEEP = 0.1, 0.7
"""From one to the next the share of what comes falls by less than this, and grows by less than that."""

SEEN_S = 0.2
"""Where not all frames are looked at, those so far apart are enough, in seconds: benchmarks/shots.py measures it."""

LEAD_S = 4.0
"""At a mark (see `mien.media.base.MARK_S`) so much of what was seen before is known, in seconds: more than a dissolve
takes."""

Array = NDArray[np.float32]


@dataclass(frozen=True)
class _Sight:
    """What is kept of a frame.

    Attributes:
        at_s: Its position in the medium in seconds.
        small: Its brightness, shape (ROWS x SIDE, COLUMNS x SIDE), uint8.
        blocks: The same, shape (ROWS x COLUMNS, SIDE x SIDE), of each block its mean taken out and of length 1, but for
            those that show nothing, which are shorter.
        shows: Which blocks show something, shape (ROWS x COLUMNS,).
        points: The same as `small`, the mean taken out, shape (n,).
        mean: The mean brightness.
        power: How much the points vary, summed.
    """

    at_s: float
    small: NDArray[np.uint8]
    blocks: Array
    shows: NDArray[np.bool_]
    points: Array
    mean: float
    power: float

    @property
    def empty(self) -> bool:
        """Whether it shows nothing."""
        if self.power < (2 * FLAT) ** 2 * self.points.size and np.count_nonzero(self.shows) < EMPTY * self.shows.size:
            return True
        return bool(self.mean > 150 and (self.small >= 250).mean() > BURNT)


def _sight(small: NDArray[np.uint8], at_s: float) -> _Sight:
    points = small.astype(np.float32)
    mean = float(points.sum()) / points.size
    blocks = points.reshape(ROWS, SIDE, COLUMNS, SIDE).transpose(0, 2, 1, 3).reshape(ROWS * COLUMNS, SIDE * SIDE)
    blocks -= (np.einsum("ij->i", blocks) / SIDE**2)[:, None]
    lengths = np.sqrt(np.einsum("ij,ij->i", blocks, blocks))
    # A block that shows nothing in one of two frames is unlike one that does.
    blocks /= np.maximum(lengths, SIDE * FLAT / 2)[:, None]
    points = (points - mean).reshape(-1)
    return _Sight(at_s, small, blocks, lengths >= SIDE * FLAT, points, mean, float(points @ points))


def _thumbnail(image: Image) -> NDArray[np.uint8]:
    width, height = COLUMNS * SIDE, ROWS * SIDE
    few = cv2.resize(image, (3 * width, 3 * height), interpolation=cv2.INTER_NEAREST)
    grey = cv2.cvtColor(few, cv2.COLOR_BGR2GRAY)
    return np.asarray(cv2.resize(grey, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def _alike(first: _Sight, second: _Sight) -> float:
    """Return how alike two frames are, -1 to 1: the mean correlation of the blocks that show something in either."""
    shows = first.shows | second.shows
    count = np.count_nonzero(shows)
    return float(np.einsum("ij,ij->i", first.blocks, second.blocks)[shows].sum()) / count if count else 1.0


def _varies(small: NDArray[np.uint8]) -> bool:
    return bool(cv2.meanStdDev(small)[1][0, 0] >= FLAT)


def _moved(first: _Sight, second: _Sight) -> tuple[float, int, int]:
    """Return how surely the middle of a frame is found again in another, and by how much it is further left and up.

    The first is -1 to 1, NaN where the middle shows nothing; the others are in points.
    """
    high, wide = first.small.shape
    for edge in (4, 8):
        middle = first.small[high // edge : -high // edge, wide // edge : -wide // edge]
        if _varies(middle):
            _, best, _, (x, y) = cv2.minMaxLoc(cv2.matchTemplate(second.small, middle, cv2.TM_CCOEFF_NORMED))
            return best, wide // edge - x, high // edge - y
    return math.nan, 0, 0


def _overlapping(first: _Sight, second: _Sight, right: int, down: int) -> float:
    """Return how surely what both frames show is the same, -1 to 1, after the camera moved by so many points.

    NaN where both show too little of one place to say.
    """
    high, wide = first.small.shape
    if max(0, wide - abs(right)) * max(0, high - abs(down)) < OVERLAP * wide * high:
        return math.nan
    before = first.small[max(0, down) : high + min(0, down), max(0, right) : wide + min(0, right)]
    after = second.small[max(0, -down) : high + min(0, -down), max(0, -right) : wide + min(0, -right)]
    middle = before[3:-3, 3:-3]
    if min(middle.shape) < 12 or not _varies(middle):
        return math.nan
    return float(cv2.matchTemplate(after, middle, cv2.TM_CCOEFF_NORMED).max())


def _mixture(first: _Sight, middle: _Sight, last: _Sight) -> float:
    """Return how much of the last frame is in one between, 0 to 1; NaN where that is no mixture of the two."""
    common = float(first.points @ last.points)
    of_first, of_last = float(first.points @ middle.points), float(last.points @ middle.points)
    over = first.power * last.power - common**2
    if over < 0.1 * first.power * last.power or not middle.power:
        return math.nan
    first_share, other = (
        (of_first * last.power - of_last * common) / over,
        (of_last * first.power - of_first * common) / over,
    )
    least = MIXED_UNLIKE if common < 0.15 * math.sqrt(first.power * last.power) else MIXED
    if first_share * of_first + other * of_last < least * middle.power or first_share < -0.15 or other < -0.15:
        return math.nan
    return other / max(1e-6, first_share + other)


def _angle(alike: float) -> float:
    return math.acos(min(1.0, max(-1.0, alike)))


class ShotDetector:
    """Says of each frame of a video whether a shot begins with it."""

    def __init__(self) -> None:
        self._seen: list[_Sight] = []
        self._times: list[float] = []
        self._turns: list[float] = []  # how far the picture turned within LAG_S before, in radians; NaN: not known
        self._places: list[tuple[int, int]] = []  # how far right and down the camera has moved, in points
        self._began_s = -math.inf
        self._usual = 1.0

    def begins(self, image: Image, at_s: float) -> bool:
        """Return whether a shot begins with the next frame.

        Args:
            image: BGR, shape (h, w, 3), uint8; all of one size.
            at_s: Its position in the medium in seconds.
        """
        return self.takes(_sight(_thumbnail(image), at_s))

    def takes(self, now: _Sight) -> bool:
        """Return whether a shot begins with the next frame, of which only this is kept."""
        if now.empty:
            return False
        if not self._seen:
            self._keep(now, 0, 0)
            return False
        before = self._seen[-1]
        passed = now.at_s - before.at_s
        if passed < FLASH_S and now.mean > 190 and now.mean > before.mean + FLASH:
            return False
        alike = _alike(before, now)
        right, down, followed = 0, 0, alike
        if alike < SAME:
            moved, *steps = _moved(before, now)
            if moved > alike:
                followed, (right, down) = moved, steps
        if followed >= MOVED:
            alike = followed
        self._keep(now, right, down)
        cut = alike < UNLIKE and alike < self._usual - STANDS_OUT and now.at_s - self._began_s >= SHORTEST_S
        if not cut:
            share = RISES if passed >= FAR_S and alike > self._usual else 0.2
            self._usual += share * (alike - self._usual)
            if not (self._turned(now) or self._mixed(now)):
                return False
        self._forget(len(self._seen))
        self._keep(now, 0, 0)
        # Where frames are far apart, what moves fast is cut after cut, but for the first.
        self._began_s, self._usual = now.at_s, alike if cut and passed >= FAR_S else 1.0
        return True

    def _keep(self, now: _Sight, right: int, down: int) -> None:
        """Keep a frame for which the camera moved by so many points."""
        if self._places:
            right, down = self._places[-1][0] + right, self._places[-1][1] + down
        self._turns.append(self._turn(now, right, down))
        self._seen.append(now)
        self._times.append(now.at_s)
        self._places.append((right, down))
        self._forget(bisect.bisect_left(self._times, now.at_s - SLOW_S[-1] - 3 * CALM_S))

    def _forget(self, count: int) -> None:
        for kept in (self._seen, self._times, self._turns, self._places):
            del kept[:count]

    def _turn(self, now: _Sight, right: int, down: int) -> float:
        """Return how far the picture has turned within LAG_S, in radians; NaN where that cannot be told."""
        if not self._seen:
            return math.nan
        index = self._next_to(now.at_s - LAG_S)
        then = self._seen[index]
        if not 0.6 * LAG_S < now.at_s - then.at_s < 2 * LAG_S:
            return math.nan
        alike = _alike(then, now)
        if alike < SAME:
            right, down = right - self._places[index][0], down - self._places[index][1]
            overlapping = _overlapping(then, now, right, down)
            if math.isnan(overlapping) and max(abs(right), abs(down)) > 3:
                return math.nan
            alike = float(np.fmax(alike, overlapping))
        return _angle(alike)

    def _turned(self, now: _Sight) -> bool:
        """Return whether a dissolve has ended: the picture turned into another, as it did not before and since."""
        after = self._turns[-1]
        if not after <= USUAL:
            return False
        end = bisect.bisect_right(self._times, now.at_s - CALM_S)
        for length in DISSOLVES_S:
            start_s = now.at_s - CALM_S - length
            start = bisect.bisect_left(self._times, start_s - 0.02)
            if start_s < self._times[0] - 0.02:
                return False
            before = _mean(self._turns[bisect.bisect_right(self._times, start_s - LAG_S / 2) : start + 1])
            turns = [turn for turn in self._turns[start + 1 :] if turn == turn]
            if not before <= USUAL or len(turns) < 2 or max(turns) < min(FASTEST, EVEN / length):
                continue
            usual = MORE * max(after, before) ** 2
            beyond = sum(math.sqrt(max(0.0, turn**2 - usual)) for turn in turns) / len(turns)
            if beyond * (now.at_s - start_s) / LAG_S < TURNED:
                continue
            first = self._seen[start]
            least = min((sight.power for sight in self._seen[start + 1 : end]), default=math.inf)
            if least > FADED * (first.power + now.power) / 2 or least > FADES * min(first.power, now.power):
                continue
            if _angle(float(np.fmax(_alike(first, now), _moved(first, now)[0]))) >= TURNED:
                return True
        return False

    def _mixed(self, now: _Sight) -> bool:
        """Return whether a long dissolve of still pictures has ended: all between is a mixture, ever more of `now`."""
        if not self._turns[-1] <= CALM:
            return False
        for length in SLOW_S:
            if now.at_s - self._times[0] < length + CALM_S:
                return False
            index = self._next_to(now.at_s - length)
            first = self._seen[index]
            if not self._turns[index] <= CALM or _alike(first, now) >= ENDS_ALIKE:
                continue
            within = (now.at_s - length * (1 - n / (INNER + 1)) for n in range(1, INNER + 1))
            shares = (_mixture(first, self._seen[self._next_to(at_s)], now) for at_s in within)
            rises = np.diff([0.0, *shares, 1.0])
            if (rises > -STEADY).all() and (rises < STEEP).all() and _moved(first, now)[0] < ENDS_MOVED:
                return True
        return False

    def _next_to(self, at_s: float) -> int:
        """Return which of those that are kept was seen next to a time."""
        index = bisect.bisect_left(self._times, at_s)
        if index and (index == len(self._times) or at_s - self._times[index - 1] < self._times[index] - at_s):
            index -= 1
        return index


def _mean(values: list[float]) -> float:
    known = [value for value in values if value == value]
    return sum(known) / len(known) if known else math.nan


class ShotNumbers:
    """Numbers a video's shots.

    At each mark a detector takes over that has seen no more than LEAD_S of what came before, so that a machine that
    begins there says the same.
    """

    def __init__(self) -> None:
        self._detector = ShotDetector()
        self._next: ShotDetector | None = None
        self._mark: int | None = None
        self._number = 0

    def next(self, image: Image, at_s: float) -> int:
        """Return the number of the next frame's shot.

        Args:
            image: BGR, shape (h, w, 3), uint8; all of one size.
            at_s: Its position in the medium in seconds.
        """
        mark = mark_before(at_s)
        if self._mark is not None and mark != self._mark:
            follows = self._next if mark == self._mark + 1 else None
            self._detector, self._next = follows or ShotDetector(), None
        self._mark = mark
        sight = _sight(_thumbnail(image), at_s)
        if at_s >= (mark + 1) * MARK_S - LEAD_S - 1e-6:
            self._next = self._next or ShotDetector()
            self._next.takes(sight)
        self._number += self._detector.takes(sight)
        return self._number


class _Shots(Wrapper):
    """Hands on the frames of a video, each with the number of its shot."""

    def __iter__(self) -> Iterator[Frame]:
        numbers, number = ShotNumbers(), 0
        for frame in self.frames():
            if frame.offset_s is not None:
                number = numbers.next(frame.image, frame.offset_s)
            yield replace(frame, shot=number)


def boundaries(starts: Iterable[float]) -> list[float]:
    """Return where shots are told to begin: of starts that belong to one boundary the last, which shows what comes.

    >>> boundaries([1.0, 4.0, 4.4, 9.0])
    [1.0, 4.4, 9.0]

    Args:
        starts: Where shots begin, in seconds, in order.
    """
    told: list[float] = []
    for at in starts:
        if told and at - told[-1] < ONE_S:
            told[-1] = at
        else:
            told.append(at)
    return told


def numbered(source: Source) -> Source:
    """Return a source whose frames bear the number of their shot; before more are left out than SEEN_S allows."""
    return _Shots(source)
