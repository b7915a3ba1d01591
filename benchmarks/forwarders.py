"""What a second forwarder brings where the database is some milliseconds away: broker -> forwarders -> PostgreSQL.

    python benchmarks/forwarders.py [--observations 20000] [--delay 5] [--rounds 3] [--share sources]

Everything is real and on this machine: mosquitto and a PostgreSQL server (Debian's programs), a proxy on the way to the
database that delivers each packet so many milliseconds later, and forwarders as processes of their own, each with a
state folder of its own. As many observations as asked for wait at the broker; then one forwarder stores them, and, with
an empty database, two that divide them: by `forward.sources`, or as a `forward.group` that shares all sources. One and
two take turns, and the ratio is that of the medians. At the end the rows and sums in the database are counted.
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from datetime import date
from pathlib import Path
from typing import Any

from cluster import free_ports
from delaying import Distance
from mien.config import Settings, load
from mien.forward.forwarder import run_forwarder
from mien.mqtt.broker import find_broker
from mien.mqtt.connection import Connection
from mien.mqtt.messages import topic
from mien.observation import encode, new_id
from mien.run.bench import machine
from throughput import observation

CAMERAS = 8
START = multiprocessing.get_context("spawn")
LONGEST_S = 120.0


def settings(home: Path, broker: int, **sections: Any) -> Settings:
    return load({"home": home, "broker": {"host": "127.0.0.1", "port": broker}, **sections})


def forward(home: Path, broker: int, url: str, share: dict[str, str], stop: Any) -> None:
    run_forwarder(settings(home, broker, store={"url": url}, forward=share), stop)


def fill(home: Path, broker: int, names: list[str], count: int) -> None:
    """Publish observations of all cameras in turn, as fast as the broker takes them."""
    free = threading.Semaphore(1000)
    connection = Connection(
        find_broker(settings(home, broker)), "fill", in_flight=1000, on_acknowledged=lambda _: free.release()
    )
    sessions = {name: new_id() for name in names}
    for n in range(count):
        free.acquire()
        name = names[n % len(names)]
        seen = observation(name, sessions[name], n // len(names))
        connection.publish(topic("mien", name, "observations"), encode(seen))
    for _ in range(1000):
        free.acquire()
    connection.close()


def stored(server: Any, database: str) -> int:
    """Return how many observations the sources' totals count."""
    if server.query(database, "SELECT to_regclass('sources') IS NULL")[0][0]:
        return 0
    return int(server.query(database, "SELECT coalesce(sum(frames), 0) FROM sources")[0][0])


def rate(folder: Path, server: Any, port: int, broker: int, shares: list[dict[str, str]], count: int) -> float:
    """Return how many observations a second these forwarders store, from the first tenth to the last."""
    names = [f"camera-{n}" for n in range(CAMERAS)]
    database = server.new_database()
    url = server.url(database).replace(f":{server.port}/", f":{port}/")
    homes = [folder / f"{database}-{n}" for n in range(len(shares))]

    def start(stop: Any) -> list[Any]:
        running = [
            START.Process(target=forward, args=(home, broker, url, share, stop))
            for home, share in zip(homes, shares, strict=True)
        ]
        for process in running:
            process.start()
        return running

    stop = START.Event()
    running = start(stop)
    before = 0
    while before < CAMERAS:  # until they have subscribed, and the tables are there
        fill(folder, broker, names, CAMERAS)
        time.sleep(1)
        before = len(server.query(database, "SELECT 1 FROM sources")) if stored(server, database) else 0
    time.sleep(1)
    before = stored(server, database)
    filling = START.Process(target=fill, args=(folder, broker, names, count))
    if "group" not in shares[0]:  # their queues stay while they are away; a group's do not
        stop.set()
        for process in running:
            process.join()
        filling.start()
        filling.join()
        stop = START.Event()
        running = start(stop)
    else:
        filling.start()
    noted: list[tuple[float, int]] = []
    end = time.monotonic() + LONGEST_S
    while not noted or noted[-1][1] < before + count:
        if time.monotonic() > end:
            sys.exit(f"{noted[-1][1]} of {count} observations were stored within {LONGEST_S:.0f} s")
        noted.append((time.monotonic(), stored(server, database)))
        time.sleep(0.05)
    stop.set()
    for process in (*running, filling):
        process.join()
    totals = server.query(database, "SELECT count(*), count(DISTINCT id) FROM frames")[0]
    sums = server.query(database, "SELECT sum(frames) FROM rollups GROUP BY seconds")
    if totals != (before + count,) * 2 or {int(total) for (total,) in sums} != {before + count}:
        sys.exit(f"{before} and {count} observations came, but rows are {totals} and sums {sums}")
    server.drop(database)
    begun, first = next(row for row in noted if row[1] >= before + count / 10)
    return (before + count - first) / (noted[-1][0] - begun)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--observations", type=int, default=20_000)
    parser.add_argument("--delay", type=float, default=5.0, help="Milliseconds to the database, one way.")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--share", choices=("sources", "group"), default="sources")
    chosen = parser.parse_args()
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
    from postgres import Server
    from programs import program

    folder = Path(tempfile.mkdtemp(prefix="mien-forwarders-"))
    (broker,) = free_ports(1)
    limits = "max_queued_messages 0\nmax_queued_bytes 0\nmax_inflight_messages 5000\nallow_anonymous true\n"
    (folder / "mosquitto.conf").write_text(f"listener {broker} 127.0.0.1\n{limits}")
    with (folder / "mosquitto.log").open("ab") as log:
        mosquitto = subprocess.Popen([program("mosquitto"), "-c", str(folder / "mosquitto.conf")], stderr=log)
    server = Server(Path(program("initdb")).parent)
    distance = Distance(server.port, chosen.delay / 1000)
    if chosen.share == "group":
        shares = [{"group": "hub"}] * 2
    else:
        halves = (range(0, CAMERAS, 2), range(1, CAMERAS, 2))
        shares = [{"sources": ",".join(f"camera-{n}" for n in half)} for half in halves]
    whole = shares[:1] if chosen.share == "group" else [{"sources": ",".join(share["sources"] for share in shares)}]
    print(f"{date.today()}, {machine()}; {chosen.delay:g} ms to the database, shared by {chosen.share}")  # noqa: DTZ011
    try:
        rates: dict[int, list[float]] = {1: [], 2: []}
        for turn in range(1, chosen.rounds + 1):
            for number, divided in ((1, whole), (2, shares)):
                rates[number].append(rate(folder, server, distance.port, broker, divided, chosen.observations))
                print(f"round {turn}: {number} forwarder(s) store {rates[number][-1]:,.0f}/s", flush=True)
        one, two = (statistics.median(rates[number]) for number in (1, 2))
        print(
            f"{chosen.observations:,} observations, {chosen.rounds} rounds: one forwarder stores {one:,.0f}/s, "
            f"two {two:,.0f}/s, {two / one:.2f} times as many; none lost, none doubled"
        )
    finally:
        distance.close()
        server.close()
        mosquitto.terminate()
        mosquitto.wait()


if __name__ == "__main__":
    main()
