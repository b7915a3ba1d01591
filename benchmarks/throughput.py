"""How much one machine delivers: simulated cameras -> built-in broker -> forwarder -> SQLite store.

    python benchmarks/throughput.py [--cameras 5,10,20,40,80] [--seconds 10] [--backlog 30000] [--csv FILE]

Two measurements, each on parts that are processes of their own:

- backlog: so many observations wait at the broker; how many a second does the forwarder commit?
- live: so many cameras with outboxes take 15 frames a second each; how many are stored, how long does it take from the
  frame to the confirmation, and how much memory and CPU do the parts need? One line for each number of cameras, until
  it breaks: until less is stored in time than was to be taken, or the slowest hundredth takes more than a second.

The cameras run on the same machine, two to four processes of them, and take their share of it.
"""

from __future__ import annotations

import argparse
import csv
import multiprocessing
import random
import resource
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from mien.config import Settings, load
from mien.edge.outbox import Outbox
from mien.edge.publisher import Publisher
from mien.forward.forwarder import Forwarded, run_forwarder
from mien.mqtt.broker import find_broker, run_broker
from mien.mqtt.connection import Connection
from mien.mqtt.messages import Stats, Stored, decode_message, topic
from mien.observation import EMOTIONS, Face, Observation, Probabilities, encode, new_id
from mien.stores.base import open_store

FPS = 15
START = multiprocessing.get_context("spawn")


def observation(source: str, session: str, seq: int) -> Observation:
    shares = [random.random() for _ in EMOTIONS]
    probabilities = Probabilities(*(round(share / sum(shares), 4) for share in shares))
    face = Face(1, (412, 190, 96, 96), 0.97, "happy", probabilities)
    now = datetime.now(timezone.utc)
    return Observation(new_id(), source, session, seq, now, seq / FPS, seq, 640, 360, "mien-1@3f9c2a1b", 7.9, [face])


def settings(home: Path) -> Settings:
    return load({"home": home, "broker": {"port": 18999}})


def broker(home: Path, stop: Any) -> None:
    run_broker(settings(home), stop)


def forwarder(home: Path, stop: Any, done: Any, once: bool) -> None:
    began = time.monotonic()
    forwarded: Forwarded = run_forwarder(settings(home), stop, once=once)
    used = resource.getrusage(resource.RUSAGE_SELF)
    done.put(
        (forwarded.stored, time.monotonic() - began - 2 * once, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)
    )


def fill(home: Path, count: int) -> None:
    """Publish observations as fast as the broker takes them."""
    free = threading.Semaphore(1000)
    connection = Connection(
        find_broker(settings(home)), "fill", in_flight=1000, on_acknowledged=lambda _: free.release()
    )
    session = new_id()
    for seq in range(count):
        free.acquire()
        connection.publish(topic("mien", "backlog", "observations"), encode(observation("backlog", session, seq)))
    for _ in range(1000):
        free.acquire()
    connection.close()


def cameras(home: Path, names: list[str], seconds: float) -> None:
    """Let cameras run in this process, each with its outbox and publisher."""
    config = settings(home)
    outboxes = {name: Outbox(home / "outbox", name) for name in names}
    publishers = [Publisher(outbox, name, config, Stats) for name, outbox in outboxes.items()]
    sessions = {name: new_id() for name in names}
    began = time.monotonic()
    for seq in range(int(seconds * FPS)):
        if time.monotonic() - began > 2 * seconds:
            break  # this machine cannot even simulate so many
        for name, outbox in outboxes.items():
            outbox.append(observation(name, sessions[name], seq))
        time.sleep(max(0.0, began + (seq + 1) / FPS - time.monotonic()))
    for publisher in publishers:
        publisher.drain(10)
        publisher.close()
    for outbox in outboxes.values():
        outbox.close()


def listen(home: Path, arrived: dict[tuple[str, int], float]) -> Connection:
    """Note when each observation is confirmed."""

    def note(message: Any) -> None:
        stored = decode_message(message.payload, Stored)
        assert isinstance(stored, Stored)
        now = time.time()
        for first, last in stored.ranges:
            for seq in range(first, last + 1):
                arrived.setdefault((stored.session, seq), now)
        connections[0].acknowledge(message.mid)

    connections: list[Connection] = []
    connections.append(Connection(find_broker(settings(home)), "listen", on_message=note))
    connections[0].subscribe(topic("mien", "+", "stored"))
    return connections[0]


def backlog(home: Path, count: int) -> None:
    """Measure how fast the forwarder commits what waits at the broker."""
    stop, done = START.Event(), START.Queue()
    run_forwarder(settings(home), threading.Event(), once=True)  # so that the broker keeps a queue for it
    fill(home, count)
    draining = START.Process(target=forwarder, args=(home, stop, done, True))
    draining.start()
    stored, seconds, cpu, megabytes = done.get()
    draining.join()
    print(
        f"backlog: {stored:,} observations in {seconds:.1f} s ({cpu:.1f} s CPU, {megabytes:.0f} MiB): "
        f"{stored / seconds:,.0f} observations/s, {stored / cpu:,.0f} a second of CPU"
    )


def live(home: Path, count: int, seconds: float) -> dict[str, float]:
    """Measure what arrives of so many cameras."""
    stop, done = START.Event(), START.Queue()
    following = START.Process(target=forwarder, args=(home, stop, done, False))
    following.start()
    arrived: dict[tuple[str, int], float] = {}
    listening = listen(home, arrived)
    time.sleep(2)
    names = [f"camera-{n}" for n in range(count)]
    some = 2 if count <= 20 else 4
    filming = [START.Process(target=cameras, args=(home, names[n::some], seconds)) for n in range(some)]
    began = time.monotonic()
    for process in filming:
        process.start()
    for process in filming:
        process.join()
    took = time.monotonic() - began
    broker_megabytes = broker_memory()
    stop.set()
    _, _, cpu, megabytes = done.get()
    following.join()
    listening.close()
    with closing(open_store(f"sqlite:///{home / 'mien.db'}", read_only=True)) as store:
        found = [one for one in store.recent(datetime(2000, 1, 1, tzinfo=timezone.utc), names, limit=10**7) if one.time]
    delays = sorted(
        arrived[one.session, one.seq] - one.time.timestamp()
        for one in found
        if one.time and (one.session, one.seq) in arrived
    )
    return {
        "cameras": count,
        "wanted": int(count * seconds * FPS),
        "stored": len(found),
        "per_s": round(len(found) / took),
        "p50_ms": round(1000 * delays[len(delays) // 2]) if delays else float("inf"),
        "p99_ms": round(1000 * delays[int(len(delays) * 0.99)]) if delays else float("inf"),
        "forwarder_cpu_ms_per_1000": round(1e6 * cpu / max(1, len(found))),
        "forwarder_mib": round(megabytes),
        "broker_mib": round(broker_megabytes),
    }


def broker_memory() -> float:
    """Return how much memory our broker uses, in MiB."""
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            values = dict(line.split(":\t", 1) for line in status.read_text().splitlines() if ":\t" in line)
            ours = b"mien-throughput-" in (status.parent / "cmdline").read_bytes()
        except OSError:
            continue
        if ours and values.get("Name", "").startswith("nats-server"):
            return int(values["VmRSS"].split()[0]) / 1024
    return float("nan")


@contextmanager
def serving() -> Iterator[Path]:
    """Run a broker, and give its state folder, which is gone afterwards."""
    home = Path(tempfile.mkdtemp(prefix="mien-throughput-"))
    stop = START.Event()
    process = START.Process(target=broker, args=(home, stop))
    process.start()
    while not (home / "broker.json").exists():
        time.sleep(0.05)
    try:
        yield home
    finally:
        stop.set()
        process.join()
        shutil.rmtree(home)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cameras", default="5,10,20,40,80")
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--backlog", type=int, default=30_000)
    parser.add_argument("--csv", type=Path)
    chosen = parser.parse_args()
    if chosen.backlog:
        with serving() as home:
            backlog(home, chosen.backlog)
    lines: list[dict[str, float]] = []
    for count in map(int, chosen.cameras.split(",")):
        with serving() as home:
            line = live(home, count, chosen.seconds)
        if not lines:
            print("  ".join(f"{name:>9}" for name in line))
        print("  ".join(f"{value:>{max(9, len(name))},}" for name, value in line.items()), flush=True)
        lines.append(line)
        if line["stored"] < line["wanted"] or line["p99_ms"] > 1000:
            print(
                f"breaks at {count} cameras: less was stored than wanted, or the slowest hundredth took over a second"
            )
            break
    if chosen.csv:
        with chosen.csv.open("w", newline="") as file:
            writer = csv.DictWriter(file, lines[0])
            writer.writeheader()
            writer.writerows(lines)


if __name__ == "__main__":
    main()
