"""Whether figures are what SQL by hand and plain Python make of the raw rows: at random borders, over uneven sources.

    python benchmarks/figures.py [--seed 1] [--periods 300]

Four sources see faces for twelve minutes at 17, 3, 3 and 1.3 frames a second. Of random periods, of 20 and 45 seconds,
within and over minutes, of all sources and of some, `GET /api/v1/summary` is held against the rows as they were made,
and against SQL over the store's file; then the timeline, the sums of the page Live, and reports. Last, the raw rows of
five minutes are pruned: before that mark an answer has to be of whole minutes, and to say so.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sqlite3
import tempfile
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import numpy as np
from fastapi import FastAPI

from mien.config import checked
from mien.dashboard.api.app import Api
from mien.dashboard.data.listener import Listener
from mien.dashboard.data.queries import Queries
from mien.dashboard.data.second_sums import Ring, summed
from mien.dashboard.security.guard import Guard
from mien.observation import Face, Observation, Probabilities, new_id
from mien.reports.base.recordings import Inputs
from mien.reports.film.report import FilmRequest, report_film
from mien.stores.base import open_store

BEGIN = datetime(2026, 11, 22, 20, 0, 7, 300_000, tzinfo=timezone.utc)
MINUTES, PRUNED = 12, 5
RATES = {"stage": (17.0, 0.2835), "hall-a": (3.0, 0.0388), "hall-b": (3.0, 0.0388), "door": (1.3, 0.0388)}
"""Frames a second, and how happy the faces look; so that rows give 21.0, and face-seconds 10.0."""

MINUTE = timedelta(minutes=1)


class Row(NamedTuple):
    """A face as it was made."""

    time: datetime
    source: str
    span_s: float
    happy: float


def made(rng: random.Random) -> list[Observation]:
    """Return the observations of all sources, in order of time; one face in each frame."""
    seen = []
    for source, (rate, happy) in RATES.items():
        session, at, before = new_id(), rng.uniform(0, 0.5), None
        n = 0
        while at < 60 * MINUTES:
            share = round(happy + rng.uniform(-0.03, 0.03), 4)
            face = Face(1, (9, 9, 90, 90), 0.9, "happy", Probabilities(0, 0, 0, share, 0, 0, round(1 - share, 4)))
            span = 0.1 if before is None else round(min(at - before, 2.0), 4)
            time = BEGIN + timedelta(microseconds=round(at * 1e6))
            seen.append(
                Observation(new_id(), source, session, n, time, at, n, 640, 360, "m@00000000", 1.0, [face], span)
            )
            before, n = at, n + 1
            at += rng.uniform(0.8, 1.2) / rate
    return sorted(seen, key=lambda observation: observation.time or BEGIN)


def by_hand(rows: Sequence[Row], start: datetime, end: datetime, sources: Sequence[str]) -> tuple[int, float | None]:
    """Return how many faces a period has, and 100 x the mean of happy over faces and time."""
    inside = [row for row in rows if start <= row.time < end and (not sources or row.source in sources)]
    seconds = sum(row.span_s for row in inside)
    return len(inside), 100 * sum(row.happy * row.span_s for row in inside) / seconds if seconds else None


def by_sql(path: Path, start: datetime, end: datetime, sources: Sequence[str]) -> tuple[int, float | None]:
    """Return the same from the store's file."""
    epoch = datetime(1970, 1, 1, tzinfo=timezone.utc)
    ends = [(time - epoch) // timedelta(microseconds=1) for time in (start, end)]
    only = f"AND source IN ({', '.join('?' * len(sources))})" if sources else ""
    with closing(sqlite3.connect(path)) as raw:
        query = (
            "SELECT COUNT(*), 100 * SUM(happy * span_s) / SUM(span_s) FROM faces JOIN frames ON id = faces.frame "
            f"WHERE time >= ? AND time < ? {only}"
        )
        count, value = raw.execute(query, (*ends, *sources)).fetchone()
    return int(count), value


def periods(rng: random.Random, count: int) -> list[tuple[datetime, datetime, list[str]]]:
    """Return random periods, of 20 and 45 seconds, shorter and longer, and their sources; none: all."""
    drawn = []
    for _ in range(count):
        length = rng.choice((20.0, 45.0, rng.uniform(0.5, 5), rng.uniform(30, 300)))
        start = BEGIN + timedelta(microseconds=round(1e6 * rng.uniform(-10, 60 * MINUTES - length / 2)))
        sources = rng.choice(([], rng.sample(sorted(RATES), rng.randint(1, 3))))
        drawn.append((start, start + timedelta(seconds=length), sources))
    return drawn


def asking(app: Any) -> Callable[..., Any]:
    """Return what asks an application, in this process."""

    async def ask(path: str, parameters: list[tuple[str, str]]) -> Any:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            answer = await client.get(f"/api/v1/{path}", params=httpx.QueryParams(tuple(parameters)))
            return answer.raise_for_status().json()

    return ask


class Tally:
    """Counts what agrees, and prints what does not."""

    def __init__(self, name: str) -> None:
        self.name, self.right, self.all = name, 0, 0

    def note(self, what: str, given: Any, expected: Any) -> None:
        """Count a figure, and print it where it is another than expected."""
        close = given == expected
        if isinstance(given, float) and isinstance(expected, float):
            close = abs(given - expected) <= 1e-6
        self.all, self.right = self.all + 1, self.right + close
        if not close:
            print(f"{self.name}: {what} is {given}, by hand {expected}")

    def told(self) -> str:
        """Return the line of the table."""
        return f"{self.name:<44} {self.right:>5,} of {self.all:,} agree"


async def compared(asked: argparse.Namespace, home: Path) -> list[Tally]:
    """Return how often figures agree."""
    rng = random.Random(asked.seed)
    observations = made(rng)
    rows = [
        Row(one.time or BEGIN, one.source, one.span_s or 0.0, face.probabilities.happy)
        for one in observations
        for face in one.faces
    ]
    url, path = f"sqlite:///{home / 'mien.db'}", home / "mien.db"
    with closing(open_store(url)) as store:
        for first in range(0, len(observations), 500):
            part = observations[first : first + 500]
            store.add(part, arrived=part[-1].time)
    settings = checked({"home": home}, "the benchmark")
    queries = Queries(url, Listener(settings))
    api, app = Api(queries, settings), FastAPI(openapi_url=None)
    app.mount("/api", api.app)
    ask = asking(Guard(app, "127.0.0.1"))
    try:
        tallies = [
            await summaries(ask, rows, path, periods(rng, asked.periods)),
            await timeline(ask, rows),
            live(observations, rows),
            reports(url, rows),
        ]
        with closing(open_store(url)) as store:
            store.prune(BEGIN + PRUNED * MINUTE)
        await asyncio.sleep(1.1)  # answers are shared for a second
        tallies.append(await widened(ask, rows, periods(rng, asked.periods)))
    finally:
        api.close()
        queries.close()
    every = 100 * sum(row.happy for row in rows) / len(rows)
    print(
        f"all sources: {by_hand(rows, BEGIN, BEGIN + MINUTES * MINUTE, [])[1]:.1f} by face-seconds, {every:.1f} by rows"
    )
    return tallies


def query(start: datetime, end: datetime, sources: Sequence[str]) -> list[tuple[str, str]]:
    return [("from", start.isoformat()), ("to", end.isoformat()), *(("source", source) for source in sources)]


async def summaries(ask: Any, rows: list[Row], path: Path, drawn: list[Any]) -> Tally:
    tally = Tally("summary, random borders, while rows are there")
    for start, end, sources in drawn:
        told = await ask("summary", query(start, end, sources))
        what = f"{start:%H:%M:%S.%f} to {end:%H:%M:%S.%f}, {sources or 'all'}"
        for expected in (by_hand(rows, start, end, sources), by_sql(path, start, end, sources)):
            tally.note(f"faces of {what}", told["faces"], expected[0])
            tally.note(f"happiness of {what}", told["happiness"], expected[1])
        ends = [datetime.fromisoformat(told[name].replace("Z", "+00:00")) for name in ("start", "end")]
        tally.note(f"borders of {what}", ends, [start, end])
    return tally


async def timeline(ask: Any, rows: list[Row]) -> Tally:
    tally, first = Tally("timeline, by the minute and hour"), BEGIN.replace(second=0, microsecond=0)
    for length, width in ((MINUTES * MINUTE, 60), (3 * MINUTE, 3600)):
        asked = [*query(first, first + length, []), ("width", str(width))]
        told = await ask("timeline", asked)
        for point in told["points"]:
            start = datetime.fromisoformat(point["start"].replace("Z", "+00:00"))
            count, value = by_hand(rows, start, start + timedelta(seconds=told["width_s"]), [])
            tally.note(f"faces of {start}", point["faces"], count)
            tally.note(f"happiness of {start}", point["happiness"], value)
    return tally


def live(observations: Sequence[Observation], rows: list[Row]) -> Tally:
    tally, rings = Tally("Live, the sums of seconds"), {source: Ring() for source in RATES}
    for observation in observations:
        rings[observation.source].add(observation)
    end = int((BEGIN + MINUTES * MINUTE).timestamp())
    for seconds in (60, 300, 600):
        total = summed(np.concatenate([ring.rows(end - seconds, seconds) for ring in rings.values()]))
        first, last = (datetime.fromtimestamp(at, timezone.utc) for at in (end - seconds, end))
        expected = by_hand(rows, first, last, [])
        tally.note(f"the last {seconds} s", total.happiness, expected[1])
    return tally


def reports(url: str, rows: list[Row]) -> Tally:
    tally = Tally("film reports of the store, to 0.1 points")
    for source in RATES:
        report = report_film(FilmRequest(Inputs(store=url, sources=(source,))))
        value = by_hand(rows, BEGIN, BEGIN + 2 * MINUTES * MINUTE, [source])[1]
        tally.note(source, f"{report['Happiness'].value:.1f}", f"{value:.1f}")
    return tally


async def widened(ask: Any, rows: list[Row], drawn: list[Any]) -> Tally:
    """Hold answers against whole minutes where raw rows are gone, by the borders that the answer names."""
    tally = Tally("summary, random borders, rows pruned")
    mark = (BEGIN + PRUNED * MINUTE).replace(second=0, microsecond=0)
    for start, end, sources in drawn:
        told = await ask("summary", query(start, end, sources))
        ends = [datetime.fromisoformat(told[name].replace("Z", "+00:00")) for name in ("start", "end")]
        what = f"{start:%H:%M:%S.%f} to {end:%H:%M:%S.%f}, {sources or 'all'}"
        count, value = by_hand(rows, ends[0], ends[1], sources)
        tally.note(f"faces of {what}", told["faces"], count)
        tally.note(f"happiness of {what}", told["happiness"], value)
        for border, given, up in ((start, ends[0], False), (end, ends[1], True)):
            whole = border.replace(second=0, microsecond=0)
            wide = whole + MINUTE if up and border != whole else whole
            empty = not by_hand(rows, whole, whole + MINUTE, sources)[0]  # nothing was lost of it
            tally.note(
                f"border {border} of {what}", given in ((border, wide) if border >= mark or empty else (wide,)), True
            )
    return tally


def main() -> None:
    """Print what agrees."""
    options = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--periods", type=int, default=300)
    asked = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        tallies = asyncio.run(compared(asked, Path(folder)))
    print(f"{datetime.now().astimezone():%Y-%m-%d}, seed {asked.seed}, {asked.periods} periods of each kind")
    for tally in tallies:
        print(tally.told())


if __name__ == "__main__":
    main()
