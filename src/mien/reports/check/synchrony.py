"""What moved an audience together: synchrony, headline, stretches in which groups differ, and pairs of seats.

Everything is computed from the viewers' courses by other means than the report's own: sums over lists,
and nothing of the other reports' code.
"""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from mien.observation import EMOTIONS
from mien.reports.check.figure import Figure, Row

__all__ = [
    "MAX_POINTS",
    "PER_SECOND",
    "Viewer",
    "checked_clusters",
    "checked_headlines",
    "checked_moments",
    "checked_pairs",
]

PER_SECOND = 4
SEEN, CONSTANT, HIGHEST = 0.75, 1e-3, 0.999
SHOWS, LAUGH_POINTS, LEAST_POINTS, LEAST_PAIR = 0.5, 4, 40, 120
UNPLEASANT = ("angry", "disgust", "fear", "sad")

MAX_POINTS = 20_000_000
"""So many points of viewers' courses are looked at, at most."""


@dataclass
class Viewer:
    """What a viewer showed.

    Attributes:
        name: The viewer's.
        group: Which group; empty: none.
        places: The points at which the viewer was seen, in order.
        shares: The seven probabilities at each of them.
    """

    name: str
    group: str
    places: list[int]
    shares: list[tuple[float, ...]]
    bridged: dict[str, list[float]] = field(default_factory=dict)

    def values(self, signal: str) -> list[float]:
        """Return a signal at the points at which the viewer was seen."""
        if signal in EMOTIONS:
            return [row[EMOTIONS.index(signal)] for row in self.shares]
        if signal != "valence":
            raise ValueError(f"'{signal[:40]}' is no signal")
        minus = [EMOTIONS.index(emotion) for emotion in UNPLEASANT]
        return [row[EMOTIONS.index("happy")] - sum(row[place] for place in minus) for row in self.shares]

    def curve(self, signal: str, points: int) -> list[float]:
        """Return a signal at all points: straight lines where the viewer was not seen, the ends held."""
        if signal not in self.bridged:
            pairs = zip(self.places, self.values(signal), strict=True)
            known = [(place, value) for place, value in pairs if place < points]
            self.bridged[signal] = _bridged(known, points) if known else [0.0] * points
        return self.bridged[signal]


def _members(viewers: Sequence[Viewer], group: str) -> list[Viewer]:
    return [viewer for viewer in viewers if not group or viewer.group == group]


def checked_moments(rows: list[Row], viewers: Sequence[Viewer], points: int) -> Iterator[Figure]:
    """Yield synchrony, viewers, moment and movement of each moment."""
    totals: dict[tuple[str, str], list[float]] = {}
    points -= points % PER_SECOND
    for row in rows:
        group, signal = row["group"] or "", row["emotion"]
        members = _members(viewers, group)
        if (group, signal) not in totals:
            totals[group, signal] = _total(members, signal, points)
        first, end = round(PER_SECOND * row["start"]), round(PER_SECOND * row["end"])
        if not 0 <= first < end <= points:
            raise ValueError("a moment lies outside what was watched")
        each = []
        for viewer in members:
            own = viewer.curve(signal, points)[first:end]
            seen = sum(first <= place < end for place in viewer.places)
            z = _correlation(own, totals[group, signal][first:end], seen)
            if z is not None:
                each.append((z, viewer))
        name = f"moment of {signal} at {row['at']:.2f} s{f' of {group}' if group else ''}"
        yield Figure(f"{name}: viewers", row["viewers"], len(each), 0)
        mean = math.tanh(sum(z for z, _ in each) / len(each)) if each else None
        yield Figure(f"{name}: synchrony", row["synchrony"], mean, 1e-5)
        at, moved = _movement([viewer for _, viewer in each], signal, first, end)
        yield Figure(f"{name}: when it moves fastest", row["at"], at, 1e-6)
        yield Figure(f"{name}: how far", row["change"], moved, 1e-5)


def _total(members: Iterable[Viewer], signal: str, points: int) -> list[float]:
    total = [0.0] * points
    for viewer in members:
        for place, value in enumerate(viewer.curve(signal, points)):
            total[place] += value
    return total


def _correlation(own: list[float], total: list[float], seen: int) -> float | None:
    """Return Fisher's z of a viewer's correlation with the others, or None where it does not count."""
    others = [everybody - mine for everybody, mine in zip(total, own, strict=True)]
    count = len(own)
    mean, other = sum(own) / count, sum(others) / count
    variance = sum((value - mean) ** 2 for value in own)
    spread = sum((value - other) ** 2 for value in others)
    least = count * CONSTANT**2
    if seen < SEEN * count or variance <= least or spread <= least:
        return None
    common = sum((a - mean) * (b - other) for a, b in zip(own, others, strict=True))
    return math.atanh(max(-HIGHEST, min(HIGHEST, common / math.sqrt(variance * spread))))


def _movement(members: list[Viewer], signal: str, first: int, end: int) -> tuple[float | None, float | None]:
    """Return when the mean of those who were seen changes fastest, and how far it moves."""
    sums, counts = [0.0] * (end - first), [0] * (end - first)
    for viewer in members:
        for place, value in zip(viewer.places, viewer.values(signal), strict=True):
            if first <= place < end:
                sums[place - first] += value
                counts[place - first] += 1
    known = [(place, total / count) for place, (total, count) in enumerate(zip(sums, counts, strict=True)) if count]
    if not known:
        return None, None
    mean = _bridged(known, end - first)
    steps = [after - before for before, after in zip(mean, mean[PER_SECOND:], strict=False)]
    fastest = max(range(len(steps)), key=lambda place: abs(steps[place]))
    moved = max(mean) - min(mean)
    return first / PER_SECOND + fastest / PER_SECOND + 0.5, moved if steps[fastest] >= 0 else -moved


def _bridged(known: list[tuple[int, float]], points: int) -> list[float]:
    curve = [known[0][1]] * points
    for (first, value), (then, following) in itertools.pairwise(known):
        for place in range(first, then):
            curve[place] = value + (following - value) * (place - first) / (then - first)
    curve[known[-1][0] :] = [known[-1][1]] * (points - known[-1][0])
    return curve


def checked_headlines(
    rows: list[Row], viewers: Sequence[Viewer], points: int, window: int
) -> Iterator[tuple[Row, str, list[tuple[float, float]], list[tuple[float, float]], list[Figure]]]:
    """Yield each treatment's row, its name, each viewer's synchrony and laughs as units, and the other figures."""
    for row in rows:
        members = _members(viewers, row["group"] or "")
        name = row["group"] or "all viewers"
        synchrony = [] if row["synchrony"] is None else _mean_synchrony(members, points, window)
        rates = [rate for viewer in members if (rate := _laughs(viewer.values("happy"))) is not None]
        share, at, count = _peak(members)
        others: list[Figure] = [
            Figure(f"viewers of {name}", row["viewers"], len(members), 0),
            Figure(f"most of {name} showed happy at once", row["peak"], share, 1e-9),
            Figure(f"most of {name} showed happy, when", row["peak_at"], at, 0),
            Figure(f"most of {name} showed happy, of how many", row["peak_viewers"], count, 0),
        ]
        yield row, name, [(value, 1.0) for value in synchrony], [(rate, 1.0) for rate in rates], others


def _mean_synchrony(members: list[Viewer], points: int, window: int) -> list[float]:
    """Return the mean of each viewer's windows, by running sums."""
    points -= points % PER_SECOND
    total, length = _total(members, "valence", points), window * PER_SECOND
    starts = range(0, points - length + 1, PER_SECOND)
    each: list[dict[int, float]] = []
    for viewer in members:
        own = viewer.curve("valence", points)
        middle = sum(own) / len(own)
        own = [value - middle for value in own]
        others = [everybody - mine for everybody, mine in zip(total, own, strict=True)]
        far = sum(others) / len(others)
        others = [value - far for value in others]
        running = [
            list(itertools.accumulate(values, initial=0.0))
            for values in (
                *(own, (value * value for value in own), others, (value * value for value in others)),
                (a * b for a, b in zip(own, others, strict=True)),
            )
        ]
        there = [0] * points
        for place in viewer.places:
            if place < points:
                there[place] = 1
        seen = list(itertools.accumulate(there, initial=0))
        kept = {}
        for start in starts:
            a, aa, b, bb, ab = (sums[start + length] - sums[start] for sums in running)
            variance, spread = aa - a * a / length, bb - b * b / length
            enough = seen[start + length] - seen[start] >= SEEN * length
            if enough and min(variance, spread) > length * CONSTANT**2:
                r = (ab - a * b / length) / math.sqrt(variance * spread)
                kept[start] = math.atanh(max(-HIGHEST, min(HIGHEST, r)))
        each.append(kept)
    counts: dict[int, int] = defaultdict(int)
    for kept in each:
        for start in kept:
            counts[start] += 1
    least = max(2, max(counts.values(), default=0) / 2)
    means = []
    for kept in each:
        counted = [z for start, z in kept.items() if counts[start] >= least]
        if counted:
            means.append(math.tanh(sum(counted) / len(counted)))
    return means


def _laughs(happy: list[float]) -> float | None:
    """Return laughs a minute: stretches of a second or more, those with less than a second between joined."""
    if len(happy) < LEAST_POINTS:
        return None
    stretches: list[list[int]] = []
    for place, value in enumerate(happy):
        if value < SHOWS:
            continue
        if stretches and place - stretches[-1][1] <= LAUGH_POINTS:
            stretches[-1][1] = place
        else:
            stretches.append([place, place])
    long = sum(last - first + 1 >= LAUGH_POINTS for first, last in stretches)
    return long / (len(happy) / PER_SECOND / 60)


def _seconds(viewer: Viewer, signal: str) -> dict[int, float]:
    """Return the mean of a signal in each second in which the viewer was seen."""
    sums: dict[int, list[float]] = defaultdict(list)
    for place, value in zip(viewer.places, viewer.values(signal), strict=True):
        sums[place // PER_SECOND].append(value)
    return {second: math.fsum(values) / len(values) for second, values in sums.items()}


def _peak(members: list[Viewer]) -> tuple[float | None, float | None, int]:
    shown: dict[int, list[bool]] = defaultdict(list)
    for viewer in members:
        for second, mean in _seconds(viewer, "happy").items():
            shown[second].append(mean >= SHOWS)
    most = max((len(kinds) for kinds in shown.values()), default=0)
    shares = {second: sum(kinds) / len(kinds) for second, kinds in sorted(shown.items()) if 2 * len(kinds) >= most}
    if not shares:
        return None, None, 0
    at = max(shares, key=shares.__getitem__)
    return shares[at], float(at), len(shown[at])


def checked_clusters(rows: list[Row], viewers: Sequence[Viewer]) -> Iterator[Figure]:
    """Yield difference and mass of each stretch in which two groups differ: Student's t, second by second."""
    known: dict[tuple[str, str], list[dict[int, float]]] = {}
    for row in rows:
        first, second, signal = row["first_group"], row["second_group"], row["emotion"]
        for group in (first, second):
            if (group, signal) not in known:
                known[group, signal] = [_seconds(viewer, signal) for viewer in _members(viewers, group)]
        mass, differences = 0.0, []
        for at in range(round(row["start"]), round(row["end"])):
            a, b = ([each[at] for each in known[group, signal] if at in each] for group in (first, second))
            means = [math.fsum(values) / len(values) for values in (a, b)]
            within = sum((value - means[0]) ** 2 for value in a) + sum((value - means[1]) ** 2 for value in b)
            error = math.sqrt(within / (len(a) + len(b) - 2) * (1 / len(a) + 1 / len(b)))
            mass += (means[0] - means[1]) / error
            differences.append(means[0] - means[1])
        name = f"{first} less {second} in {signal} from {row['start']:g} s"
        yield Figure(f"{name}: difference", row["difference"], sum(differences) / len(differences), 1e-6)
        yield Figure(f"{name}: mass", row["mass"], mass, 1e-3 * (1 + abs(mass)))


def checked_pairs(rows: list[Row], viewers: Sequence[Viewer]) -> Iterator[Figure]:
    """Yield how far each two seats' valence correlates where both were seen."""
    by_name = {viewer.name: dict(zip(viewer.places, viewer.values("valence"), strict=True)) for viewer in viewers}
    for row in rows:
        first, second = by_name.get(row["first"], {}), by_name.get(row["second"], {})
        common = sorted(first.keys() & second.keys())
        name = f"{row['first']} with {row['second']}"
        if len(common) < LEAST_PAIR:
            yield Figure(name, row["synchrony"], None, 0)
            continue
        a, b = [first[place] for place in common], [second[place] for place in common]
        means = sum(a) / len(a), sum(b) / len(b)
        spread = sum((x - means[0]) ** 2 for x in a) * sum((y - means[1]) ** 2 for y in b)
        shared = sum((x - means[0]) * (y - means[1]) for x, y in zip(a, b, strict=True))
        yield Figure(name, row["synchrony"], shared / math.sqrt(spread) if spread > 0 else None, 1e-5)
