"""How often a calibration error's interval holds the true one, by how many faces there are and how far they are off.

    python benchmarks/calibration.py [--runs 400] [--seed 1]

Faces are simulated whose probabilities are known to be true, too sure or too modest, as a model's are over a test set:
the highest of the seven, and that of a rare emotion. The true error of each kind is that of two million faces. It
fails where an interval holds the truth too seldom.
"""

from __future__ import annotations

import argparse
import sys
from datetime import datetime
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mien.training import figures

FACES = (300, 1000, 3589)
KINDS = {"true": 1.0, "a little too sure": 0.9, "too sure": 0.6, "too modest": 1.3}
LEAST = 0.9
"""In so many of the cases an interval of 95 % has to hold the truth, at least."""

RARE = 1.5
MANY = 2_000_000

Array = NDArray[np.float64]


class Coverage(NamedTuple):
    """How the intervals of one kind did.

    Attributes:
        truth: The true error.
        held: In what share of the cases the interval held it.
        width: The mean width of an interval.
    """

    truth: float
    held: float
    width: float


def probabilities(faces: int, rng: np.random.Generator, *, rare: bool) -> Array:
    """Return the highest of seven probabilities of each face, or that of a rare emotion, shape (faces,)."""
    logits = 1.6 * rng.normal(size=(faces, 7))
    logits[:, 1] -= RARE if rare else 0.0
    shares = np.exp(logits - logits.max(1, keepdims=True))
    shares /= shares.sum(1, keepdims=True)
    return np.asarray(shares[:, 1] if rare else shares.max(1))


def truth(said: Array, steep: float) -> Array:
    """Return how often what is said happens: less clear-cut than said where it is too sure (`steep` under 1)."""
    return np.asarray(1 / (1 + ((1 - said) / said) ** steep))


def coverage(faces: int, steep: float, runs: int, seed: int = 1, *, rare: bool = False, of: int = MANY) -> Coverage:
    """Return how often the interval holds the true error, that of very many faces, over so many sets of faces."""
    many = probabilities(of, np.random.default_rng(seed + 1), rare=rare)
    true = figures._error(many - truth(many, steep), figures._bins(many))  # noqa: SLF001
    rng, ends = np.random.default_rng(seed), []
    for _ in range(runs):
        said = probabilities(faces, rng, rare=rare)
        happened = rng.random(faces) < truth(said, steep)
        where = figures._bins(said)  # noqa: SLF001
        error = figures._error(said - happened, where)  # noqa: SLF001
        ends.append(figures._interval(error, said, happened, where))  # noqa: SLF001
    low, high = np.array(ends).T
    return Coverage(true, float(((low <= true + 1e-5) & (true <= high)).mean()), float((high - low).mean()))


def main() -> None:
    """Print a table, and as its last line what goes onto the page of proofs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=400, help="sets of faces of each kind")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    print(f"{datetime.now().astimezone():%Y-%m-%d}, {asked.runs} sets of each kind, seed {asked.seed}")
    print("true error, how many of the intervals hold it, and how wide they are")
    parts, least = [], 1.0
    for rare in (False, True):
        print("probability of a rare emotion" if rare else "the highest probability")
        print(f"{'faces':>8}", *(f"{kind:>24}" for kind in KINDS))
        for faces in FACES:
            row = [coverage(faces, steep, asked.runs, asked.seed, rare=rare) for steep in KINDS.values()]
            print(f"{faces:>8,}", *(f"{of.truth:>10.4f} {of.held:>6.3f} {of.width:.4f}" for of in row), flush=True)
            least = min(least, *(of.held for of in row))
            if not rare:
                parts.append(f"{faces:,} faces " + " ".join(f"{of.held:.3f}" for of in row))
    print(
        f"{asked.runs} sets of each kind, seed {asked.seed}: an interval of 95 % holds the true error of probabilities "
        f"that are {', '.join(KINDS)}, of {'; '.join(parts)}; least of all kinds, a rare emotion's too, {least:.3f}"
    )
    if least < LEAST:
        sys.exit(f"an interval of 95 % holds the truth in only {least:.3f}, expected {LEAST}")


if __name__ == "__main__":
    main()
