"""Keeping faces apart over time: boxes go in, numbers come out; and smoothing and holding what each face shows.

Tracking goes by place and motion alone. Nothing is kept of how a face looks, so nobody can be recognised: who leaves
and comes back is someone new.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

__all__ = ["LabelHold", "Smoother", "Tracker"]


@dataclass
class _Track:
    """A face that was seen: where its centre is and how it moves, in pixels and seconds."""

    number: int
    box: NDArray[np.float64]  # centre x, centre y, width, height
    seen_s: float
    velocity: NDArray[np.float64] = field(default_factory=lambda: np.zeros(2))

    def at(self, time_s: float) -> NDArray[np.float64]:
        """Return the box where it is expected; motion fades within half a second of not being seen."""
        gone = max(0.0, time_s - self.seen_s)
        moved = self.velocity * 0.5 * (1 - math.exp(-gone / 0.5))
        return np.concatenate([self.box[:2] + moved, self.box[2:]])


class Tracker:
    """Gives each face a number that it keeps as long as it stays in view.

    Args:
        patience_s: A face that is lost for so long is forgotten, in seconds.
        reach: How far a face may lie from where it was expected, in its own sizes; twice as far after a second unseen.
    """

    def __init__(self, *, patience_s: float = 1.0, reach: float = 0.8) -> None:
        self.patience_s = patience_s
        self.reach = reach
        self._tracks: list[_Track] = []
        self._next = 1

    @property
    def alive(self) -> frozenset[int]:
        """The numbers that may still be given again."""
        return frozenset(track.number for track in self._tracks)

    def restart(self) -> None:
        """Forget all tracks, as another shot begins; their numbers are not given again."""
        self._tracks = []

    def update(self, boxes: NDArray[np.float32], time_s: float, looked: NDArray[np.bool_] | None = None) -> list[int]:
        """Return the track of each face.

        Args:
            boxes: x, y, width, height in pixels, shape (n, 4).
            time_s: The frame's time in seconds; never less than that of the frame before.
            looked: Of each face whether it was looked for in this frame, shape (n,): where not, its box is that of an
                earlier frame, and its track moves on as before; None: all were.

        Returns:
            n numbers, each once, from 1 up.
        """
        self._tracks = [track for track in self._tracks if time_s - track.seen_s <= self.patience_s]
        centred = np.asarray(boxes, np.float64).reshape(-1, 4).copy()
        centred[:, :2] += centred[:, 2:] / 2
        numbers = [0] * len(centred)
        for face, track in self._match(centred, time_s):
            if looked is None or looked[face]:
                self._follow(track, centred[face], time_s)
            numbers[face] = track.number
        for face, number in enumerate(numbers):
            if not number:
                numbers[face] = self._next
                self._tracks.append(_Track(self._next, centred[face], time_s))
                self._next += 1
        return numbers

    def expected(self, number: int, time_s: float) -> NDArray[np.float32]:
        """Return where the face of a track that is alive is expected: x, y, width, height in pixels, shape (4,)."""
        (track,) = (track for track in self._tracks if track.number == number)
        box = track.at(time_s)
        return np.concatenate([box[:2] - box[2:] / 2, box[2:]]).astype(np.float32)

    def _match(self, boxes: NDArray[np.float64], time_s: float) -> list[tuple[int, _Track]]:
        """Return pairs of face and track, the nearest first, each face and track at most once."""
        if not len(boxes) or not self._tracks:
            return []
        expected = np.array([track.at(time_s) for track in self._tracks])  # (tracks, 4)
        apart = np.linalg.norm(boxes[:, None, :2] - expected[None, :, :2], axis=2)  # (faces, tracks)
        sizes = boxes[:, None, 2:].max(2), expected[None, :, 2:].max(2)
        distance = apart / np.sqrt(sizes[0] * sizes[1])
        growth = np.abs(np.log(sizes[0] / sizes[1]))
        cost = distance + 0.5 * growth
        reach = self.reach * np.array([1 + time_s - track.seen_s for track in self._tracks])
        cost[(distance > reach) | (growth > math.log(2.5))] = np.inf
        pairs: list[tuple[int, _Track]] = []
        for flat in np.argsort(cost, axis=None, kind="stable"):
            face, number = divmod(int(flat), len(self._tracks))
            if not math.isfinite(cost[face, number]):
                continue
            pairs.append((face, self._tracks[number]))
            cost[face, :] = cost[:, number] = np.inf
        return pairs

    def _follow(self, track: _Track, box: NDArray[np.float64], time_s: float) -> None:
        passed = time_s - track.seen_s
        if passed > 0:
            weight = 1 - math.exp(-passed / 0.15)
            track.velocity += weight * ((box[:2] - track.box[:2]) / passed - track.velocity)
        track.box, track.seen_s = box, time_s


LEAP_FROM, LEAP = 0.5, 0.7
"""From this difference between two readings on, half the sum of all, 0 to 1, what is new is taken to have begun ever
sooner after the one before, from LEAP on at once; below it, what lies between is on the line between the two."""


class Smoother:
    """Smooths the probabilities of each track over time, exponentially.

    A step is passed on by half after 0.7 time constants, whatever the frame rate, and however often a face is read.

    Args:
        constant_s: The time constant in seconds; 0 leaves everything as it is.
    """

    def __init__(self, constant_s: float = 0.25) -> None:
        self.constant_s = constant_s
        self._state: dict[int, tuple[NDArray[np.float32], NDArray[np.float32], float]] = {}

    def smooth(self, tracks: list[int], raw: NDArray[np.float32], time_s: float) -> NDArray[np.float32]:
        """Return the smoothed probabilities, shape (n, 7), float32; the first of a track are passed on as they are.

        Args:
            tracks: n numbers, each once.
            raw: What the model says, shape (n, 7), float32.
            time_s: The time in seconds.
        """
        smoothed = np.array(raw, np.float32)
        for row, track in enumerate(tracks):
            if track in self._state and self.constant_s > 0:
                before, last, seen_s = self._state[track]
                constants = max(0.0, time_s - seen_s) / self.constant_s
                keep = math.exp(-constants)
                difference = float(np.abs(raw[row] - last).sum()) / 2
                on_line = min(1.0, max(0.0, (LEAP - difference) / (LEAP - LEAP_FROM)))
                of_last = on_line * ((1 - keep) / constants - keep) if constants else 0.0
                smoothed[row] = keep * before + of_last * last + (1 - keep - of_last) * raw[row]
            self._state[track] = smoothed[row], raw[row].copy(), time_s
        return smoothed

    def forget(self, alive: frozenset[int]) -> None:
        """Drop the tracks that are not among these."""
        self._state = {track: state for track, state in self._state.items() if track in alive}


@dataclass
class _Label:
    """What is said of a track, and of what.

    Attributes:
        index: The emotion's, in EMOTIONS order.
        lead: By how much another led in the frame before, -1 to 1.
        seen_s: That frame's time.
        led: The lead summed over the time since another has led, in seconds.
    """

    index: int
    lead: float
    seen_s: float
    led: float = 0.0


class LabelHold:
    """Keeps the emotion of each track until another leads clearly, or has led for a while, so that it doesn't flicker.

    What comes between two frames is taken to lie on the line between them, so that the same is said at every frame
    rate.

    Args:
        margin: A lead of so much, 0 to 1, is clear.
        enough_s: A smaller one is enough once it sums up to this over time: by 0.1 for half a second, say, or by 0.25
            for 0.2 s.
    """

    def __init__(self, margin: float = 0.3, enough_s: float = 0.05) -> None:
        self.margin, self.enough_s = margin, enough_s
        self._labels: dict[int, _Label] = {}

    def hold(self, tracks: list[int], shares: NDArray[np.float32], time_s: float) -> NDArray[np.intp]:
        """Return the emotion of each face, in EMOTIONS order, shape (n,).

        Args:
            tracks: n numbers, each once.
            shares: The smoothed probabilities, shape (n, 7), float32.
            time_s: The frame's time in seconds.
        """
        best: NDArray[np.intp] = np.argmax(shares, 1)
        for row, track in enumerate(tracks):
            label = self._labels.get(track)
            if label is None:
                self._labels[track] = _Label(int(best[row]), 0.0, time_s)
                continue
            others = np.delete(shares[row], label.index)
            lead, passed = float(others.max() - shares[row, label.index]), max(0.0, time_s - label.seen_s)
            if lead <= 0:
                label.led = 0.0
            elif label.lead < 0:
                label.led = passed * lead / (lead - label.lead) * lead / 2
            else:
                label.led += passed * (lead + label.lead) / 2
            if lead >= self.margin or label.led >= self.enough_s:
                label.index, label.led = int(best[row]), 0.0
                lead = 0.0
            label.lead, label.seen_s = lead, time_s
            best[row] = label.index
        return best

    def forget(self, alive: frozenset[int]) -> None:
        """Drop the tracks that are not among these."""
        self._labels = {track: label for track, label in self._labels.items() if track in alive}
