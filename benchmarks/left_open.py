"""Whether a page that is left open grows, and the server with it: an hour's updates, one after the other.

    python benchmarks/left_open.py [--updates 7200]

`mien dashboard` runs in a process of its own over ten days of minutes by four sources, and a camera that has been seen
four times a second for two hours, and still is. Live and History, which are brought up to date twice a second, are each
asked for as many updates as an hour has, as quickly as they come: in turn with another choice of sources or another
period, so that more changes than in any hour. DOM nodes, listeners and the JavaScript heap are counted without garbage:
at the beginning, by when all that is made once has been made, and at quarters. It fails where one has grown.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import threading
import time
from contextlib import closing
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import NamedTuple

from playwright.sync_api import Page, sync_playwright

import viewers
from mien.stores.base import open_store

WAYS = {"/": ("", "?source=camera"), "/history": ("?period=5m", "?period=1h")}
PER_S = 4
QUARTERS = 4
ALLOWED = 1.05
"""What the last count may be of the first; the heap besides may have a megabyte more."""

UPDATE = """async ([count, ways]) => {
    const { take } = mien;
    let come = () => {};
    mien.take = (parts) => { take(parts); come(); };
    for (let number = 0; number < count; number += 1) {
        const came = new Promise((done) => { come = done; setTimeout(done, 2000); });
        history.replaceState(null, "", location.pathname + ways[number % ways.length]);
        mien.listen();
        await came;
        await new Promise(requestAnimationFrame);
    }
    mien.take = take;
}"""


class Held(NamedTuple):
    """What a page and the server hold: numbers, and megabytes."""

    nodes: int
    listeners: int
    heap: float
    server: float

    def __str__(self) -> str:
        return f"{self.nodes:>10,}{self.listeners:>11,}{self.heap:>12.1f}{self.server:>11.1f}"


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--updates", type=int, default=7200)
    asked = options.parse_args()
    grown = []
    with tempfile.TemporaryDirectory(prefix="mien-left-open-") as folder:
        home = Path(folder)
        viewers.fill(home / "mien.db", days=10)
        with closing(open_store(f"sqlite:///{home / 'mien.db'}")) as store:
            now = datetime.now(timezone.utc)
            seen = [viewers.observe(now - timedelta(seconds=n / PER_S), n) for n in range(7200 * PER_S)]
            for at in range(0, len(seen), 2000):
                store.add(seen[at : at + 2000])
        stop = threading.Event()
        feeder = threading.Thread(target=viewers.feed, args=(home, stop, 1 / PER_S))
        feeder.start()
        try:
            with viewers.dashboard(home) as (address, process), sync_playwright() as playwright:
                program = playwright.chromium.launch(
                    executable_path=viewers.chromium(), args=["--no-sandbox", "--disable-gpu"]
                )
                print(f"{'page':<10}{'updates':>8}{'seconds':>9} DOM nodes  listeners  JS heap MB  server MB")
                for path, ways in WAYS.items():
                    page = program.new_page()
                    page.goto(address + path + ways[0])
                    page.locator("#headline .figure, #plot .trace").first.wait_for(state="visible")
                    counted = hour(page, path, ways, process.pid, asked.updates)
                    grown += grew(path, counted[0], counted[-1])
                    page.close()
                program.close()
        finally:
            stop.set()
            feeder.join()
    print("\n".join(grown) or "nothing has grown")
    sys.exit(1 if grown else 0)


def hour(page: Page, path: str, ways: tuple[str, ...], pid: int, updates: int) -> list[Held]:
    """Update a page, print and return what it holds at the beginning and at each quarter."""
    counted = []
    done, began = 0, time.monotonic()
    for quarter in range(QUARTERS + 1):
        count = updates // QUARTERS if quarter else max(updates // 20, 20)
        for at in range(0, count, 100):
            page.evaluate(UPDATE, [min(100, count - at), ways])
        done += count if quarter else 0
        counted.append(held(page, pid))
        print(f"{path:<10}{done:>8,}{time.monotonic() - began:>9.0f}{counted[-1]}", flush=True)
    return counted


def held(page: Page, pid: int) -> Held:
    """Return what is held after the garbage is gone."""
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable")
    session.send("HeapProfiler.enable")
    for _ in range(2):  # what the first frees may have held more
        session.send("HeapProfiler.collectGarbage")
    told = {one["name"]: one["value"] for one in session.send("Performance.getMetrics")["metrics"]}
    session.detach()
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    server = pages * os.sysconf("SC_PAGE_SIZE") / 1e6
    return Held(told["Nodes"], told["JSEventListeners"], told["JSHeapUsedSize"] / 1e6, server)


def grew(path: str, first: Held, last: Held) -> list[str]:
    """Return a line for each thing of which a page holds more at the end."""
    rooms = {"nodes": 20, "listeners": 5, "heap": 1.0}
    return [
        f"{path}: {name} grew from {getattr(first, name):,.1f} to {getattr(last, name):,.1f}"
        for name, room in rooms.items()
        if getattr(last, name) > ALLOWED * getattr(first, name) + room
    ]


if __name__ == "__main__":
    main()
