"""How many viewers a study takes: the effect that is to be found goes in, the number of viewers comes out.

A formula, not a simulation; `benchmarks/plan.py` holds it against simulated audiences and the report's own test. A
viewer's rise at the peak has the mean `effect` and varies by the viewer's own fluctuation and by how strongly each
reacts. The report's test looks at the highest of all events, emotions and moments, so the mean has to exceed what the
largest of so many fluctuations reaches in 5 % of the cases (Bonferroni over independent moments); with few viewers that
is taken from Student's t, by Cornish and Fisher's expansion.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

from mien.errors import UsageError
from mien.observation import EMOTIONS

__all__ = ["FEWEST", "Plan", "plan_audience"]

ALPHA = 0.05
FEWEST = 6
"""With fewer viewers no p is under 0.05 for long: of all ways to exchange the signs of 5, one is 3 %."""

MOST = 10_000
"""A plan that takes more viewers is none."""

APART_S = 2.0
"""Moments of a curve so far apart, in seconds, vary independently: it is a mean over a second of slow noise."""

RISE = 1.25
"""A rise is measured from the mean of five seconds, which fluctuates, too: the standard deviation of the difference is
so many times that of the curve, for noise that forgets itself in 1.5 seconds."""

STANDARD = NormalDist()


@dataclass(frozen=True)
class Plan:
    """How many viewers are to be had.

    Attributes:
        effect: The mean height of the reaction that is to be found, in probability.
        power: The chance to find it.
        viewers: So many viewers have to be seen.
        invited: So many are to be invited, as some of them will be lost.
        smallest: The smallest effect that so many find with the same power.
    """

    effect: float
    power: float
    viewers: int
    invited: int
    smallest: float


def plan_audience(
    effect: float,
    *,
    power: float = 0.8,
    events: int = 8,
    window_s: float = 10.0,
    noise: float = 0.055,
    spread: float = 0.5,
    cold: float = 0.2,
    lost: float = 0.1,
) -> Plan:
    """Return how many viewers find a reaction of a certain height.

        >>> plan_audience(0.1).viewers < plan_audience(0.05).viewers
        True

    Args:
        effect: The mean height over all viewers, in probability, 0.01 to 0.9.
        power: The chance that its corrected p is under 0.05.
        events: How many events there are in all; each is one more chance for noise.
        window_s: Seconds after an event in which a reaction is looked for.
        noise: How much a viewer's curve fluctuates by itself where nothing happens: the standard deviation in the table
            `courses` of a pilot, in probability.
        spread: How differently those react who do: the standard deviation of their strength, in its mean.
        cold: The share of viewers who do not react at all.
        lost: The share of recordings that will not be of use.

    Raises:
        UsageError: A number is out of range, or more than 10,000 viewers would be needed.
    """
    _check(effect, power, events, window_s, noise, spread, cold, lost)
    asked: tuple[int, float, float, float, float] = (events, window_s, noise, spread, cold)
    viewers = next((n for n in range(FEWEST, 201) if _power(effect, n, *asked) >= power), None)
    if viewers is None:
        low, high = 200, MOST
        if _power(effect, high, *asked) < power:
            raise UsageError(f"an effect of {effect:g} takes more than {MOST:,} viewers: plan for a larger one")
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if _power(effect, middle, *asked) >= power else (middle, high)
        viewers = high
    small, large = 0.0, effect
    for _ in range(40):
        half = (small + large) / 2
        small, large = (small, half) if _power(half, viewers, *asked) >= power else (half, large)
    return Plan(effect, power, viewers, math.ceil(viewers / (1 - lost) - 1e-9), large)


def _power(effect: float, n: int, events: int, window_s: float, noise: float, spread: float, cold: float) -> float:
    """Return the chance to find an effect with n viewers."""
    chances = ALPHA / (events * len(EMOTIONS) * max(1.0, window_s / APART_S))
    rises = RISE * noise
    square = (1 + spread**2) / (1 - cold)  # the mean of the squared strengths, in the effect's square
    between = math.sqrt(rises**2 + effect**2 * (square - 1))
    bar = _student(1 - chances, n - 1) * rises
    own = _student(1 - ALPHA, n - 1) * math.sqrt(rises**2 + effect**2 * square)  # its own signs are exchanged, too
    return STANDARD.cdf((effect * math.sqrt(n) - max(bar, own)) / between)


def _student(share: float, freedom: int) -> float:
    """Return a quantile of Student's t, by the expansion of Cornish and Fisher (1937)."""
    z = STANDARD.inv_cdf(share)
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    return z + first / freedom + second / freedom**2


def _check(
    effect: float, power: float, events: int, window_s: float, noise: float, spread: float, cold: float, lost: float
) -> None:
    for value, low, high, what in (
        (effect, 0.01, 0.9, "an effect"),
        (power, 0.5, 0.99, "a power"),
        (events, 1, 2000, "a number of events"),
        (window_s, 1, 300, "a window in seconds"),
        (noise, 0.001, 0.5, "a noise"),
        (spread, 0, 3, "a spread"),
        (cold, 0, 0.9, "a share that does not react"),
        (lost, 0, 0.9, "a share that is lost"),
    ):
        if not low <= value <= high:
            raise UsageError(f"{value:g} is out of range for {what}: expected {low:g} to {high:g}")
