"""How quickly a running dashboard answers over HTTP: a change of period, and how late many viewers see what happens.

    python benchmarks/viewers.py [--store FILE] [--viewers 50] [--seconds 20] [--rounds 100]

`mien dashboard` runs in a process of its own, over the store that --store names (benchmarks/dashboard.py --keep makes
one of any size) or over a year of minutes by four sources. Two measurements:

- period: the timeline and the sums of random periods and sources, none asked twice; from the request to the last byte.
- viewers: so many streams of events are open while a camera's observation a second is stored; from its time to its
  arrival at each viewer. The store is polled here: with a broker it is sooner.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path

import httpx

from mien.observation import Face, Observation, Probabilities, new_id
from mien.stores.base import Bucket, open_store

SOURCES = ("lobby", "stage", "door", "hall")
BUDGETS_MS = {"period": 100.0, "viewers": 1000.0}


def main() -> None:
    options = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    options.add_argument("--store", type=Path)
    options.add_argument("--viewers", type=int, default=50)
    options.add_argument("--seconds", type=float, default=20.0)
    options.add_argument("--rounds", type=int, default=100)
    asked = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="mien-viewers-") as folder:
        home = Path(folder)
        if asked.store:
            shutil.copy(asked.store, home / "mien.db")
        else:
            fill(home / "mien.db")
        with dashboard(home) as address:
            told = {
                "period": periods(address, home, asked.rounds),
                "viewers": asyncio.run(viewers(address, home, asked.viewers, asked.seconds)),
            }
    print(f"{'':10}{'n':>7}{'p50 ms':>9}{'p95 ms':>9}{'p99 ms':>9}  budget")
    for name, values in told.items():
        values.sort()
        p50, p95, p99 = (values[min(int(len(values) * share), len(values) - 1)] for share in (0.5, 0.95, 0.99))
        within = "kept" if p95 <= BUDGETS_MS[name] else "missed"
        print(f"{name:10}{len(values):7}{p50:9.1f}{p95:9.1f}{p99:9.1f}  {BUDGETS_MS[name]:g} ms at p95: {within}")


def fill(path: Path) -> None:
    """Make a store that holds the sums of each third minute of a year."""
    start = datetime.now(timezone.utc).replace(second=0, microsecond=0) - timedelta(days=365)
    sums = (30.0, 5.0, 10.0, 500.0, 20.0, 15.0, 320.0)
    line = [
        Bucket(start + timedelta(minutes=3 * n), 900, 900, 60, (20, 0, 5, 500, 10, 5, 300), sums)
        for n in range(365 * 480)
    ]
    with closing(open_store(f"sqlite:///{path}")) as store:
        for source in SOURCES:
            for at in range(0, len(line), 5000):
                store.add_minutes(source, line[at : at + 5000])


@contextmanager
def dashboard(home: Path) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "mien", "dashboard", "--port", str(port)],
        env={**os.environ, "MIEN_HOME": str(home), "MIEN_DASHBOARD__REQUESTS_PER_S": "100000"},
    )
    address = f"http://127.0.0.1:{port}/api/v1"
    try:
        for _ in range(600):
            try:
                httpx.get(f"{address}/health", timeout=5)
                break
            except httpx.HTTPError:
                time.sleep(0.2)
        yield address
    finally:
        process.terminate()
        process.wait(30)


def periods(address: str, home: Path, rounds: int) -> list[float]:
    """Return how long each change of period took, in milliseconds."""
    with closing(open_store(f"sqlite:///{home / 'mien.db'}", read_only=True)) as store:
        known = store.sources()
    first, last = min(one.first for one in known), max(one.last for one in known)
    chance, times = random.Random(5), []
    with httpx.Client(base_url=address, timeout=60) as client:
        for _ in range(rounds):
            length = (last - first) * chance.choice([0.0005, 0.003, 0.02, 0.1, 0.5, 1])
            start = first + (last - first - length) * chance.random()
            sources = chance.sample([one.source for one in known], chance.randint(1, len(known)))
            asked = {"from": start.isoformat(), "to": (start + length).isoformat(), "source": sources}
            began = time.perf_counter()
            for path in ("timeline", "summary"):
                client.get(path, params=asked).raise_for_status()
            times.append((time.perf_counter() - began) * 1000)
    return times


async def viewers(address: str, home: Path, count: int, seconds: float) -> list[float]:
    """Return how late each viewer saw each observation, in milliseconds."""
    delays: list[float] = []

    async def view(client: httpx.AsyncClient) -> None:
        async with client.stream("GET", "live", params={"source": "camera"}) as stream:
            kind = ""
            async for line in stream.aiter_lines():
                if line.startswith("event: "):
                    kind = line[7:]
                elif line.startswith("data: ") and kind == "observation":
                    taken = datetime.fromisoformat(json.loads(line[6:])["time"].replace("Z", "+00:00"))
                    delays.append((datetime.now(timezone.utc) - taken).total_seconds() * 1000)

    stop = threading.Event()
    feeder = threading.Thread(target=feed, args=(home, stop))
    limits = httpx.Limits(max_connections=count)
    async with httpx.AsyncClient(base_url=address, timeout=60, limits=limits) as client:
        tasks = [asyncio.create_task(view(client)) for _ in range(count)]
        await asyncio.sleep(3)
        feeder.start()
        await asyncio.sleep(seconds)
        stop.set()
        feeder.join()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return delays


def feed(home: Path, stop: threading.Event) -> None:
    face = Face(1, (10, 10, 90, 90), 0.9, "happy", Probabilities(0.1, 0.0, 0.0, 0.6, 0.0, 0.1, 0.2))
    session, seq = new_id(), 0
    with closing(open_store(f"sqlite:///{home / 'mien.db'}")) as store:
        while not stop.wait(1 - time.time() % 1):
            now = datetime.now(timezone.utc)
            store.add(
                [Observation(new_id(), "camera", session, seq, now, None, seq, 640, 360, "m@00000000", 5.0, [face])]
            )
            seq += 1


if __name__ == "__main__":
    main()
