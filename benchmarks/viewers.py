"""How quickly a running dashboard answers and shows.

    python benchmarks/viewers.py [--store FILE] [--viewers 50] [--seconds 20] [--rounds 60]

`mien dashboard` runs in a process of its own, over a copy of the store that --store names (benchmarks/dashboard.py
--keep makes one of any size, and measures all of this too) or over a year of minutes by four sources. Measured are:

- a change of period of History, step by step, as the server does it, in this process, with its CPU time: none is asked
  twice; the same over HTTP from the request to the last byte, and in Chromium from the click to the drawn chart;
- History from the address to the drawn chart, for a browser that comes for the first time, and what Live, History and
  System send to such a browser, and again to it, in bytes as they pass through the connection;
- so many streams of events while a camera's observation a second is stored, from its time to its arrival at each
  viewer. The store is polled here: with a broker it is sooner.

Whether a page that is left open grows is for benchmarks/left_open.py.
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
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import closing, contextmanager, suppress
from datetime import datetime, timedelta, timezone
from pathlib import Path
from zoneinfo import ZoneInfo

import httpx
from playwright.sync_api import Browser, sync_playwright

from mien.config import Settings
from mien.dashboard.data.listener import Listener
from mien.dashboard.data.periods import Choice
from mien.dashboard.data.queries import Queries
from mien.dashboard.jobs.demo import DemoPlayer
from mien.dashboard.pages.history import History
from mien.dashboard.pages.refresh import ViewKey
from mien.observation import EMOTIONS, Face, Observation, Probabilities, new_id
from mien.stores.base import Bucket, Store, Sums, open_store

SOURCES = ("lobby", "stage", "door", "hall")
SESSION = new_id()
SHARES = (0.0005, 0.003, 0.02, 0.05, 0.1, 0.5, 1)
"""Of all the time in the store, a period is one of these."""

Times = dict[str, tuple[list[float], list[float], float | None]]
"""By step: wall times and CPU times, in milliseconds, and the budget of the former at p95."""


def main() -> None:
    options = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    options.add_argument("--store", type=Path)
    add_options(options)
    asked = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="mien-store-") as folder:
        file = asked.store
        if not file:
            file = Path(folder) / "mien.db"
            fill(file)
        print(HEAD)
        measure(file, asked)


def add_options(options: argparse.ArgumentParser) -> None:
    options.add_argument("--viewers", type=int, default=50)
    options.add_argument("--seconds", type=float, default=20.0)
    options.add_argument("--rounds", type=int, default=60)


def measure(file: Path, asked: argparse.Namespace) -> None:
    """Measure everything over a copy of a SQLite file, and print it."""
    with tempfile.TemporaryDirectory(prefix="mien-viewers-") as folder:
        home = Path(folder)
        shutil.copy(file, home / "mien.db")
        show(asyncio.run(steps(home, asked.rounds)))
        with dashboard(home) as (address, _):
            show({"change of period over HTTP": (periods(address, home, asked.rounds), [], 100.0)})
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox", "--disable-gpu"])
                show(shown(browser, address, home, asked.rounds))
                for path, ready in PAGES.items():
                    first, again = sent(browser, address, path, ready)
                    print(f"{path:<12}{first / 1000:>9,.0f} kB to a new browser{again / 1000:>9,.0f} kB to it again")
                browser.close()
            seen = asyncio.run(viewers(f"{address}/api/v1", home, asked.viewers, asked.seconds))
            show({f"an observation to {asked.viewers} viewers": (seen, [], 1000.0)})


def show(told: Times) -> None:
    for name, (wall, cpu, budget) in told.items():
        figures = [at(values, share) for values in (wall, cpu) for share in (0.5, 0.95)]
        line = f"{name:<40}{len(wall):>6}" + "".join(
            "        –" if figure is None else f"{figure:>9.1f}" for figure in figures
        )
        late = at(wall, 0.95)
        word = "" if budget is None or late is None else f"  {budget:g} ms: {'kept' if late <= budget else 'missed'}"
        print(line + word, flush=True)


def at(values: list[float], share: float) -> float | None:
    return sorted(values)[min(int(len(values) * share), len(values) - 1)] if values else None


HEAD = f"{'step':<40}{'n':>6}{'p50 ms':>9}{'p95 ms':>9}{'p50 CPU':>9}{'p95 CPU':>9}"


def choices(store: Store, rounds: int) -> Iterator[Choice]:
    """Yield random periods and sources."""
    known = store.sources()
    first, last = min(one.first for one in known), max(one.last for one in known)
    chance = random.Random(5)
    for _ in range(rounds):
        length = (last - first) * chance.choice(SHARES)
        start = (first + (last - first - length) * chance.random()).replace(microsecond=0)
        names = chance.sample([one.source for one in known], chance.randint(1, len(known)))
        yield Choice(tuple(sorted(names)), "custom", start, start + length)


async def steps(home: Path, rounds: int) -> Times:
    """Return what the server does at a change of period."""
    url = f"sqlite:///{home / 'mien.db'}"
    settings = Settings(home=home)
    queries = Queries(url, Listener(settings))
    history = History(queries, DemoPlayer(settings))
    told: Times = {
        name: ([], [], 100.0 if "whole" in name else None)
        for name in ("change of period: the store's answers", "… drawing", "… as JSON", "… on the server as a whole")
    }
    now, zone = datetime.now(timezone.utc), ZoneInfo("Europe/Berlin")
    with closing(open_store(url, read_only=True)) as store:
        wanted = list(choices(store, rounds))
    for choice in wanted:
        look = ViewKey(choice, zone)
        marks = [(time.perf_counter(), time.process_time())]
        await history.ask(look, now)
        marks.append((time.perf_counter(), time.process_time()))
        parts = await history.parts(look, now)  # what was asked is known by now
        marks.append((time.perf_counter(), time.process_time()))
        for part in parts.values():
            json.dumps(part)
        marks.append((time.perf_counter(), time.process_time()))
        for (wall, cpu, _), i, j in zip(told.values(), (0, 1, 2, 0), (1, 2, 3, 3), strict=True):
            wall.append(1000 * (marks[j][0] - marks[i][0]))
            cpu.append(1000 * (marks[j][1] - marks[i][1]))
    queries.close()
    return told


def chromium() -> str:
    names = ("chromium", "chromium-browser", "google-chrome")
    return next((path for path in map(shutil.which, names) if path), names[0])


def shown(browser: Browser, address: str, home: Path, rounds: int) -> Times:
    """Return how long History takes in a browser to open, and to show another period."""
    known: list[float] = []
    opened: list[float] = []
    again: list[float] = []
    with closing(open_store(f"sqlite:///{home / 'mien.db'}", read_only=True)) as store:
        wanted = list(choices(store, rounds))
    for choice in wanted[:10]:
        context = browser.new_context()
        page = context.new_page()
        page.add_init_script(KNOWN)
        began = time.perf_counter()
        page.goto(f"{address}/history?{query(choice)}", wait_until="commit")
        page.locator("#plot .scatterlayer .trace, #none p").first.wait_for(state="visible")
        opened.append(1000 * (time.perf_counter() - began))
        known.append(page.evaluate("window.known"))
        began = time.perf_counter()
        page.goto(f"{address}/history?{query(choice)}", wait_until="commit")
        page.locator("#plot .scatterlayer .trace, #none p").first.wait_for(state="visible")
        again.append(1000 * (time.perf_counter() - began))
        context.close()
    page = browser.new_page()
    page.goto(f"{address}/history?{query(wanted[0])}")
    page.locator("#plot .scatterlayer .trace").first.wait_for(state="visible")
    came, drawn = zip(*(page.evaluate(CHANGE, query(choice)) for choice in wanted[1:]), strict=True)
    page.close()
    return {
        "History in a new browser: figures and bands": (known, [], 1500.0),
        "History in a new browser: to be zoomed": (opened, [], None),
        "History again in the same browser: to be zoomed": (again, [], 1500.0),
        "click until the answer has come": (list(came), [], None),
        "click until the chart is drawn": (list(drawn), [], None),
    }


PAGES = {
    "/": "#headline .figure",
    "/history?period=1y": "#plot .scatterlayer .trace",
    "/system": "#parts li",
}
"""Pages, and what they show once they are there."""


def sent(browser: Browser, address: str, path: str, ready: str) -> tuple[int, int]:
    """Return how many bytes the server sends until a page is there, to a new browser and again to the same."""
    with counting(address) as (through, count):
        context = browser.new_context()
        counted = [0]
        for _ in range(2):
            page = context.new_page()
            page.goto(through + path)
            page.locator(ready).first.wait_for(state="visible")
            page.wait_for_timeout(300)  # what is asked for late
            page.close()
            counted.append(count())
        context.close()
    return counted[1], counted[2] - counted[1]


@contextmanager
def counting(address: str) -> Iterator[tuple[str, Callable[[], int]]]:
    """Stand between browsers and a server; yield an address to ask at, and what tells how many bytes have come back."""
    _, _, place = address.partition("://")
    host, port = place.split(":")
    total = 0

    async def carry(source: asyncio.StreamReader, goal: asyncio.StreamWriter, *, back: bool) -> None:
        nonlocal total
        with suppress(OSError):
            while piece := await source.read(1 << 16):
                total += len(piece) if back else 0
                goal.write(piece)
                await goal.drain()
        goal.close()

    async def join(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, here = await asyncio.open_connection(host, int(port))
        with suppress(asyncio.CancelledError):  # at the end
            await asyncio.gather(carry(reader, here, back=False), carry(there, writer, back=True))

    begun: Future[tuple[int, asyncio.AbstractEventLoop, asyncio.Event]] = Future()

    async def serve() -> None:
        ended = asyncio.Event()
        async with await asyncio.start_server(join, "127.0.0.1", 0) as server:
            begun.set_result((server.sockets[0].getsockname()[1], asyncio.get_running_loop(), ended))
            await ended.wait()
            server.close()
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task.cancel()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))  # Playwright has this thread's loop
    thread.start()
    ours, loop, ended = begun.result(10)
    try:
        yield f"http://127.0.0.1:{ours}", lambda: total
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join()


KNOWN = """new MutationObserver((_, observer) => {
    if (!document.querySelector("#plot-sketch path, #none p")) return;
    observer.disconnect();
    requestAnimationFrame(() => (window.known = performance.now()));
}).observe(document, { childList: true, subtree: true })"""
"""Notes when the first picture with figures and bands is drawn, in ms from the navigation's beginning."""

CHANGE = """(text) => new Promise((done) => {
    const { take } = mien, began = performance.now();
    let came = null;
    mien.take = (parts) => {
        if (!("call:plot" in parts)) return take(parts);
        came = performance.now() - began;
        mien.take = take;
        document.getElementById("plot").once("plotly_afterplot", () => done([came, performance.now() - began]));
        take(parts);
    };
    mien.go((next) => { [...next.keys()].forEach((key) => next.delete(key));
                        new URLSearchParams(text).forEach((value, key) => next.append(key, value)); });
})"""


def query(choice: Choice) -> str:
    return str(httpx.QueryParams(tuple(choice.pairs())))


def fill(path: Path, days: int = 365) -> None:
    """Make a store that holds the sums of each third minute of some days."""
    start = datetime.now(timezone.utc).replace(second=0, microsecond=0) - timedelta(days=days)
    counts = dict(zip(EMOTIONS, (20, 0, 5, 500, 10, 5, 300), strict=True))
    shares = dict(zip(EMOTIONS, (30.0, 5.0, 10.0, 500.0, 20.0, 15.0, 320.0), strict=True))
    sums = Sums(900, 900, 60, counts, shares)
    line = [Bucket(start + timedelta(minutes=3 * n), sums) for n in range(days * 480)]
    with closing(open_store(f"sqlite:///{path}")) as store:
        for source in SOURCES:
            for at in range(0, len(line), 5000):
                store.add_minutes(source, line[at : at + 5000])


@contextmanager
def dashboard(home: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "mien", "dashboard", "--port", str(port)],
        env={**os.environ, "MIEN_HOME": str(home), "MIEN_DASHBOARD__REQUESTS_PER_S": "100000"},
    )
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            try:
                httpx.get(f"{address}/api/v1/health", timeout=5)
                break
            except httpx.HTTPError:
                time.sleep(0.2)
        yield address, process
    finally:
        process.terminate()
        process.wait(30)


def periods(address: str, home: Path, rounds: int) -> list[float]:
    """Return how long each change of period took, in milliseconds."""
    times = []
    with closing(open_store(f"sqlite:///{home / 'mien.db'}", read_only=True)) as store:
        wanted = list(choices(store, rounds))
    with httpx.Client(base_url=f"{address}/api/v1", timeout=60) as client:
        for choice in wanted:
            assert choice.start is not None
            assert choice.end is not None
            asked = {"from": choice.start.isoformat(), "to": choice.end.isoformat(), "source": choice.sources}
            began = time.perf_counter()
            client.get("timeline", params=asked).raise_for_status()
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


def feed(home: Path, stop: threading.Event, every_s: float = 1.0) -> None:
    """Store what a camera sees, as often as is said, until told to stop."""
    seq = 0
    with closing(open_store(f"sqlite:///{home / 'mien.db'}")) as store:
        while not stop.wait(every_s - time.time() % every_s):
            store.add([observe(datetime.now(timezone.utc), seq)])
            seq += 1


def observe(now: datetime, seq: int) -> Observation:
    """Return what a camera sees: one to five faces that move."""
    boxes = [(10 + (7 * seq + 90 * n) % 500, 10, 90, 90) for n in range(1 + seq % 5)]
    faces = [
        Face(n, box, 0.9, "happy", Probabilities(0.1, 0.0, 0.0, 0.6, 0.0, 0.1, 0.2)) for n, box in enumerate(boxes)
    ]
    return Observation(new_id(), "camera", SESSION, seq, now, None, seq, 640, 360, "m@00000000", 5.0, faces)


if __name__ == "__main__":
    main()
