"""How quick the dashboard is on a full store: every query that its pages ask, then pages and viewers.

    python benchmarks/dashboard.py [--faces 10000000] [--days 90] [--rounds 60] [--postgresql] [--keep FILE]

A store is filled by the database itself, with the sums as Mien keeps them. With --postgresql it is in a server of its
own (Debian's programs), thrown away afterwards, whose CPU time is not counted; SQLite's file is thrown away too, unless
--keep names one, which is then used again. Over SQLite's the dashboard itself follows: see benchmarks/viewers.py, whose
options are taken here too.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import viewers
from mien.observation import EMOTIONS
from mien.stores.base import SUM_COLUMNS, Store, open_store

START = datetime(2026, 1, 1, tzinfo=timezone.utc)
SOURCES = 10
FACES = 4
"""In each frame."""
PIECE = 250_000
BUDGET_MS = 100
KEYS = {
    "sqlite": "CAST(printf('%016d', {0}) AS BLOB)",
    "postgresql": "convert_to(lpad(({0})::text, 16, '0'), 'UTF8')",
}
NUMBERS = {
    "sqlite": "(WITH RECURSIVE s(n) AS (SELECT {0} UNION ALL SELECT n + 1 FROM s WHERE n < {1} - 1) SELECT n FROM s)",
    "postgresql": "(SELECT n FROM generate_series({0}::bigint, {1}::bigint - 1) AS n)",
}


def run(store: Any, *statements: str) -> None:
    engine = store._engine  # noqa: SLF001 - a store takes observations, and ten million of them would take long
    with engine.connect().execution_options(mien_write=True) as connection, connection.begin():
        for statement in statements:
            connection.exec_driver_sql(statement)


def fill(store: Any, name: str, faces: int, days: int) -> None:
    """Fill the raw tables, a piece at a time."""
    total = faces // FACES
    first, step = int(START.timestamp()) * 1_000_000, days * 86_400_000_000 // total
    key, session = KEYS[name].format("n"), KEYS[name].format(f"n % {SOURCES}")
    shares = dict.fromkeys(EMOTIONS, "(1 - u) * 0.06") | {"happy": "u", "neutral": "(1 - u) * 0.7"}
    for at in range(0, total, PIECE):
        numbers = NUMBERS[name].format(at, min(at + PIECE, total))
        run(
            store,
            "INSERT INTO frames (id, time, source, session, seq, offset_s, frame, width, height, model, elapsed_ms) "
            f"SELECT {key}, {first} + n * {step}, 'camera-' || (n % {SOURCES}), {session}, n / {SOURCES}, n * 0.1, "
            f"n / {SOURCES}, 1280, 720, 'mien-1@3f9c2a1b', 7.9 FROM {numbers} AS t",
            f"INSERT INTO faces (frame, n, track, x, y, width, height, confidence, emotion, {', '.join(EMOTIONS)}) "
            f"SELECT {key}, k, k, 100 + k, 200, 96, 96, 0.95, "
            "CASE WHEN u > 0.5 THEN 'happy' WHEN u < 0.1 THEN NULL ELSE 'neutral' END, "
            f"{', '.join(shares[emotion] for emotion in EMOTIONS)} "
            f"FROM (SELECT n, k, ((n * 7919 + k * 104729) % 1000) / 1000.0 AS u FROM {numbers} AS t "
            "CROSS JOIN (SELECT 0 AS k UNION SELECT 1 UNION SELECT 2 UNION SELECT 3) AS j) AS v",
        )
        print(f"\r{min(at + PIECE, total) * FACES:,} faces", end="", file=sys.stderr, flush=True)


def sum_up(store: Any) -> None:
    """Make the sums of the raw rows."""
    counts = [f"count(CASE WHEN f.emotion = '{emotion}' THEN 1 END)" for emotion in EMOTIONS]
    sums = [f"sum(f.{emotion})" for emotion in EMOTIONS]
    minute, figures = 60_000_000, ", ".join(SUM_COLUMNS)
    longer = ", ".join(f"sum({figure})" for figure in SUM_COLUMNS)
    run(
        store,
        f"INSERT INTO rollups (seconds, start, source, {figures}) SELECT 60, o.time - o.time % {minute}, o.source, "
        f"count(DISTINCT o.id), count(*), count(CASE WHEN f.emotion IS NULL THEN 1 END), {', '.join(counts + sums)} "
        f"FROM frames AS o JOIN faces AS f ON f.frame = o.id GROUP BY o.time - o.time % {minute}, o.source",
        *(
            f"INSERT INTO rollups (seconds, start, source, {figures}) "
            f"SELECT {seconds}, start - start % {seconds}000000, source, {longer} FROM rollups "
            f"WHERE seconds = 60 GROUP BY start - start % {seconds}000000, source"
            for seconds in (3600, 86400)
        ),
        'INSERT INTO sources (source, first, last, frames) SELECT source, min("time"), max("time"), count(*) '
        "FROM frames GROUP BY source",
    )
    run(store, "ANALYZE")


def queries(store: Store, days: int, chance: random.Random) -> dict[str, Callable[[], object]]:
    """Return what pages ask, each over a random period and one, some or all of the sources."""
    names = [f"camera-{n}" for n in range(SOURCES)]
    some = chance.choice([None, [chance.choice(names)], chance.sample(names, 3)])
    end = START + timedelta(days=days)

    def period(longest: timedelta) -> tuple[datetime, datetime]:
        length = longest * chance.uniform(0.05, 1)
        start = START + (end - START - length) * chance.random()
        return start, start + length

    def observations() -> object:
        start, stop = period(timedelta(hours=1))
        return next(store.observations(200, start=start, end=stop, sources=some), None)

    whole = end - START
    return {
        "sources": store.sources,
        "summary of any period": lambda: store.summary(*period(whole), some),
        "minutes by second": lambda: store.timeline(*period(timedelta(seconds=600)), "second", some),
        "a day by minute": lambda: store.timeline(*period(timedelta(days=1)), "minute", some),
        "a month by hour": lambda: store.timeline(*period(min(whole, timedelta(days=31))), "hour", some),
        "all of it by day": lambda: store.timeline(*period(whole), "day", some),
        "the newest 100": lambda: store.recent(end - timedelta(minutes=10), some, 100),
        "a page of observations": observations,
        "markers": lambda: store.markers(*period(whole), some),
        "dead letters": store.dead_letters,
    }


@contextmanager
def place(postgresql: bool, keep: Path | None) -> Iterator[tuple[str, Path | None]]:
    """Give the URL of a store, and the file to look at for its size."""
    folder = Path(tempfile.mkdtemp(prefix="mien-dashboard-"))
    try:
        if not postgresql:
            file = keep or folder / "mien.db"
            yield f"sqlite:///{file.absolute()}", file
            return
        sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
        from postgres import Server
        from programs import program

        server = Server(Path(program("initdb")).parent)
        try:
            yield server.url(server.new_database()), None
        finally:
            server.close()
    finally:
        shutil.rmtree(folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faces", type=int, default=10_000_000)
    parser.add_argument("--days", type=int, default=90)
    parser.add_argument("--postgresql", action="store_true")
    parser.add_argument("--keep", type=Path)
    viewers.add_options(parser)
    chosen = parser.parse_args()
    with place(chosen.postgresql, chosen.keep) as (url, file), closing(open_store(url)) as store:
        began = time.monotonic()
        if not store.sources():
            fill(store, url.partition(":")[0], chosen.faces, chosen.days)
            sum_up(store)
        size = f", {file.stat().st_size / 1e9:.1f} GB" if file else ""
        faces = FACES * sum(source.frames for source in store.sources())
        print(f"\n{faces:,} faces over {chosen.days} days{size}, filled in {time.monotonic() - began:.0f} s")
        took: viewers.Times = {}
        chance = random.Random(7)
        for _ in range(chosen.rounds):
            for name, ask in queries(store, chosen.days, chance).items():
                began, cpu = time.perf_counter(), time.process_time()
                ask()
                wall, spent, _ = took.setdefault(f"query: {name}", ([], [], BUDGET_MS))
                wall.append(1000 * (time.perf_counter() - began))
                spent.append(1000 * (time.process_time() - cpu))
        print(viewers.HEAD)
        viewers.show(took)
        if file:
            viewers.measure(file, chosen)


if __name__ == "__main__":
    main()
