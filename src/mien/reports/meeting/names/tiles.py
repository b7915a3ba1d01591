"""Tiles: a frame of a meeting goes in, the rectangles of its cameras come out.

Programs draw tiles on a background of one colour. A frame is cut along lines of that colour, first the whole, then
each part, until no line goes through (the recursive X-Y cut: Nagy, Seth and Viswanathan 1992, Computer 25(7)). Where
there are no such lines between them, tiles are told from the lattice in which their tags stand.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.media.base import Image
from mien.reports.meeting.names.highlight import frame_coloured
from mien.reports.meeting.names.tags import Box

__all__ = ["ASPECT", "centre_in", "cut", "from_lattice", "overlap"]

NEAR = 14
"""Colours that differ by no more, 0 to 255 in each channel, are the background's;"""

SMEARED = 32
"""those that do not differ by more may be, where coding has smeared what lies beside."""

WHOLE_LINE = 0.97
"""A line belongs to the background if that much of it may be, or is a frame around a speaker,"""

OF_BACKGROUND = 0.5
"""and so much is the background's or the frame's."""

LEAST = 0.05
"""No tile is narrower or lower than this share of the picture's width and height."""

ASPECT = (0.4, 2.6)
"""Width over height of cameras' tiles."""

CANDIDATES = 3
"""So many colours are tried as the background's."""

SAMPLED = 96
"""So many points of a line say whether it has one colour."""

DEEPEST = 6
MOST = 64

Mask = NDArray[np.bool_]


def cut(image: Image) -> list[Box]:
    """Return the tiles of a frame, in pixels; one that fills the frame where it has no background.

    Args:
        image: BGR, shape (h, w, 3), uint8.
    """
    high, wide = image.shape[:2]
    framed = cv2.dilate(frame_coloured(image).astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    best: list[Box] = [(0, 0, wide, high)]
    for colour in _backgrounds(image):
        own, smeared = (cv2.inRange(image, colour - near, colour + near) > 0 for near in (NEAR, SMEARED))
        parts: list[Box] = []
        _cut(own | framed, smeared | framed, (0, 0, wide, high), DEEPEST, parts)
        kept = [part for part in parts if part[2] >= LEAST * wide and part[3] >= LEAST * high]
        if kept and _alike(kept) >= _alike(best):
            best = kept
    return sorted(best, key=lambda box: (box[1], box[0]))[:MOST]


def _backgrounds(image: Image) -> list[NDArray[np.float64]]:
    """Return the colours of lines that go through the whole frame in one colour, at most three, the commonest last."""
    colours = []
    for lines in (image, image.transpose(1, 0, 2)):
        every = max(1, lines.shape[0] // 400)
        points = np.sort(lines[::every, :: max(1, lines.shape[1] // SAMPLED)], axis=1).astype(np.int16)
        low, middle, top = (points[:, round(share * (points.shape[1] - 1))] for share in (0.06, 0.5, 0.94))
        colours.append(middle[((top - low) <= NEAR).all(1)])
    left = np.concatenate(colours)
    backgrounds: list[NDArray[np.float64]] = []
    while len(left) and len(backgrounds) < CANDIDATES:
        near = (np.abs(left[:, None] - left[None]) <= NEAR).all(2)
        best = int(near.sum(1).argmax())
        backgrounds.insert(0, left[best].astype(np.float64))
        left = left[~near[best]]
    return backgrounds


def _alike(tiles: Sequence[Box]) -> int:
    """Return how many tiles of a camera's shape have one size."""
    cameras = [tile for tile in tiles if ASPECT[0] <= tile[2] / tile[3] <= ASPECT[1]]
    return max(
        (sum(abs(a[2] - b[2]) < 0.06 * a[2] and abs(a[3] - b[3]) < 0.06 * a[3] for b in cameras) for a in cameras),
        default=0,
    )


def _cut(own: Mask, line: Mask, part: Box, depth: int, parts: list[Box]) -> None:
    """Add the tiles within a part of the frame."""
    x, y, wide, high = part
    pieces = [part]
    for axis in (1, 0):  # rows first: the last row of a gallery stands centred
        of_line, of_own = (_shares(mask[y : y + high, x : x + wide], axis) for mask in (line, own))
        through = (of_line >= WHOLE_LINE) & (of_own >= OF_BACKGROUND)
        spans = _spans(~through)
        if axis:
            pieces = [(x, y + start, wide, end - start) for start, end in spans]
        else:
            pieces = [(x + start, y, end - start, high) for start, end in spans]
        if pieces != [part]:
            break
    else:
        parts.append(part)
        return
    for piece in pieces:
        if piece[2] < 16 or piece[3] < 12 or len(parts) >= MOST:
            continue
        if depth:
            _cut(own, line, piece, depth - 1, parts)
        else:
            parts.append(piece)


def _shares(mask: Mask, axis: int) -> NDArray[np.float32]:
    """Return what share of each line across an axis is set."""
    means = cv2.reduce(mask.view(np.uint8), axis, cv2.REDUCE_AVG, dtype=cv2.CV_32F)
    return np.asarray(means, np.float32).ravel()


def _spans(inside: Mask) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate(([0], inside.view(np.int8), [0]))))
    return [(int(start), int(end)) for start, end in zip(edges[::2], edges[1::2], strict=True)]


def from_lattice(tags: Sequence[Box], part: Box) -> list[Box]:
    """Return the tiles within a part of a frame whose tags stand in rows and columns, one for each tag; or none.

    Args:
        tags: Boxes of text within the part, each at its tile's lower left.
        part: The part of the frame that has no lines of background.
    """
    x, y, wide, high = part
    if len(tags) < 2:
        return []
    text_high = float(np.median([tag[3] for tag in tags]))
    rows = _groups([tag[1] + tag[3] for tag in tags], text_high)
    columns = _groups([tag[0] for tag in tags], text_high)
    pitches = [_pitch(columns), _pitch(rows)]
    if pitches[0] is None and pitches[1] is None:
        return []
    across = pitches[0] or min(wide, (pitches[1] or 0) * 16 / 9)
    down = pitches[1] or min(high, across * 9 / 16)
    if not ASPECT[0] <= across / down <= ASPECT[1]:
        return []
    tiles = []
    for tag in tags:
        left = max(x, round(tag[0] - 0.4 * text_high))
        bottom = min(y + high, round(tag[1] + tag[3] + 0.4 * text_high))
        top, right = max(y, round(bottom - down)), min(x + wide, round(left + across))
        if bottom - top < 0.8 * down or right - left < 0.8 * across:
            return []
        tiles.append((left, top, right - left, bottom - top))
    return tiles


def _groups(values: Sequence[float], near: float) -> list[float]:
    """Return the middles of values that lie near each other, in order."""
    groups: list[list[float]] = []
    for value in sorted(values):
        if groups and value - groups[-1][-1] <= near:
            groups[-1].append(value)
        else:
            groups.append([value])
    return [float(np.mean(group)) for group in groups]


def _pitch(middles: Sequence[float]) -> float | None:
    """Return the distance of which all others are multiples; None where there is none."""
    if len(middles) < 2:
        return None
    steps = [after - before for before, after in pairwise(middles)]
    least = min(steps)
    return least if all(abs(step / least - round(step / least)) < 0.12 for step in steps) else None


def overlap(some: Box, other: Box) -> float:
    """Return the intersection over union of two boxes."""
    wide = min(some[0] + some[2], other[0] + other[2]) - max(some[0], other[0])
    high = min(some[1] + some[3], other[1] + other[3]) - max(some[1], other[1])
    shared = max(0, wide) * max(0, high)
    return shared / max(1, some[2] * some[3] + other[2] * other[3] - shared)


def centre_in(box: Box, part: Box) -> bool:
    """Return whether the middle of a box lies in a part of the frame."""
    across, down = box[0] + box[2] / 2, box[1] + box[3] / 2
    return part[0] <= across < part[0] + part[2] and part[1] <= down < part[1] + part[3]
