"""What happens to whom, and when: a seed goes in, a schedule comes out, the same one each time."""

from __future__ import annotations

import random
from typing import NamedTuple

KINDS = {
    "kill": ("watch", "forward", "broker", "server", "database"),
    "stop": ("watch", "forward", "broker"),
    "freeze": ("watch", "forward", "broker", "server", "database"),
    "cut": ("edge", "hub", "database"),
    "cut in packet": ("edge", "hub", "database"),
    "swallow": ("edge", "hub", "database"),
    "delay": ("edge", "hub", "database"),
    "refuse": ("edge", "hub", "database"),
    "fill": ("edge", "hub", "broker"),
    "lock": ("store",),
    "replace": ("store",),
    "step ahead": ("watch", "forward"),
    "step back": ("watch", "forward"),
    "send again": ("store",),
}
"""What may happen, and to whom. `broker` is the supervisor of the built-in broker, `server` the broker itself.

A clock is set 90 days ahead, or 60 days back. A store in SQLite is replaced by a copy of itself, another file,
under the forwarders; what is stored is sent again, as a broker may that forgot it had been.
"""


class Event(NamedTuple):
    """One thing that happens.

    Attributes:
        at: Seconds from the start.
        kind: Of `KINDS`.
        target: Which part, link or disk.
        lasts: Seconds until it is undone; a part that was killed is started again then.
    """

    at: float
    kind: str
    target: str
    lasts: float


class Schedule(NamedTuple):
    """A run of all parts, and what befalls them."""

    seed: int
    broker: str
    store: str
    watch: str
    sources: int
    rate: int
    max_rows: int
    forwarders: int
    keeps: bool
    lasts: float
    events: tuple[Event, ...]

    def __str__(self) -> str:
        told = ", ".join(f"{event.at:.1f} {event.kind} {event.target} {event.lasts:.1f}" for event in self.events)
        return (
            f"seed {self.seed}: {self.broker}, {self.store}, {self.watch}, {self.sources} sources, {self.rate}/s, "
            f"outbox {self.max_rows}, {self.forwarders} forwarders, queue kept {self.keeps}, {self.lasts:.0f} s: {told}"
        )


def from_seed(seed: int, longest_s: float = 10.0, sink: bool = False) -> Schedule:
    """Return the schedule of a seed; a seed's broker, store and watch go through all combinations in turn.

    Args:
        seed: Whatever is drawn is drawn from it.
        longest_s: Seconds of disturbances at most.
        sink: The documentation's sink stands in the forwarder's place.
    """
    chance = random.Random(seed)
    broker = ("built-in", "mosquitto")[seed % 2]
    store = "sink" if sink else ("sqlite", "postgresql")[seed // 2 % 2]
    watch = "mien watch" if seed % 7 == 0 else "cameras"
    lasts = chance.uniform(longest_s / 2, longest_s)
    events = []
    for _ in range(chance.randint(5, 12)):
        kind = chance.choice(list(KINDS))
        target = chance.choice(KINDS[kind])
        events.append(Event(chance.uniform(0.3, lasts), kind, target, chance.choice((0.1, 0.5, 1, 2, 3.5))))
    return Schedule(
        seed=seed,
        broker=broker,
        store=store,
        watch=watch,
        sources=1 if watch == "mien watch" else chance.randint(1, 3),
        rate=chance.choice((20, 50, 150)),
        max_rows=chance.choice((100, 400, 1_000_000, 1_000_000)),
        forwarders=1 if sink else chance.choice((1, 1, 2)),
        keeps=chance.random() < 0.5,
        lasts=lasts,
        events=tuple(sorted(events)),
    )
