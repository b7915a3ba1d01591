"""How much one machine delivers: simulated cameras -> built-in broker -> forwarder -> SQLite store.

    python benchmarks/throughput.py [--cameras 20] [--seconds 10] [--backlog 30000]

Two measurements, each on parts that are processes of their own:

- backlog: so many observations wait at the broker; how many a second does the forwarder commit?
- live: cameras with outboxes take 15 frames a second each; from the frame to the confirmation, how long does it take?
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
import shutil
import tempfile
import threading
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from mien.config import Settings, load
from mien.edge.broker import find_broker, run_broker
from mien.edge.connection import Connection
from mien.edge.outbox import Outbox
from mien.edge.publisher import Publisher
from mien.forward.forwarder import Forwarded, run_forwarder
from mien.observation import EMOTIONS, Face, Observation, Probabilities, Stored, decode, encode, new_id, topic
from mien.stores.base import open_store

FPS = 15


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
    cpu = time.process_time()
    forwarded: Forwarded = run_forwarder(settings(home), stop, once=once)
    done.put((forwarded.stored, time.monotonic() - began - 2 * once, time.process_time() - cpu))


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


def cameras(home: Path, count: int, seconds: float) -> None:
    """Let so many cameras run in this process, each with its outbox and publisher."""
    config = settings(home)
    names = [f"camera-{n}" for n in range(count)]
    outboxes = {name: Outbox(home / "outbox", name) for name in names}
    publishers = [Publisher(outbox, name, config, dict) for name, outbox in outboxes.items()]
    sessions = {name: new_id() for name in names}
    began = time.monotonic()
    for seq in range(int(seconds * FPS)):
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
        stored = decode(message.payload, Stored)
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cameras", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--backlog", type=int, default=30_000)
    chosen = parser.parse_args()
    start = multiprocessing.get_context("spawn")
    home = Path(tempfile.mkdtemp(prefix="mien-throughput-"))
    stop_broker, stop_forwarder, done = start.Event(), start.Event(), start.Queue()
    serving = start.Process(target=broker, args=(home, stop_broker))
    serving.start()
    while not (home / "broker.json").exists():
        time.sleep(0.05)

    run_forwarder(settings(home), threading.Event(), once=True)  # so that the broker keeps a queue for it
    fill(home, chosen.backlog)
    draining = start.Process(target=forwarder, args=(home, stop_forwarder, done, True))
    draining.start()
    stored, seconds, cpu = done.get()
    draining.join()
    print(
        f"backlog: {stored:,} observations in {seconds:.1f} s ({cpu:.1f} s CPU): {stored / seconds:,.0f} observations/s"
    )

    following = start.Process(target=forwarder, args=(home, stop_forwarder, done, False))
    following.start()
    arrived: dict[tuple[str, int], float] = {}
    listening = listen(home, arrived)
    time.sleep(2)
    filming = start.Process(target=cameras, args=(home, chosen.cameras, chosen.seconds))
    filming.start()
    filming.join()
    stop_forwarder.set()
    _, _, cpu = done.get()
    following.join()
    listening.close()
    store = open_store(f"sqlite:///{home / 'mien.db'}", read_only=True)
    live = [
        one for one in store.recent(datetime(2000, 1, 1, tzinfo=timezone.utc), limit=10**6) if one.source != "backlog"
    ]
    store.close()
    delays = sorted(
        arrived[one.session, one.seq] - one.time.timestamp()
        for one in live
        if one.time and (one.session, one.seq) in arrived
    )
    print(
        f"live: {chosen.cameras} cameras at {FPS}/s: {len(live):,} observations stored, "
        f"delay {1000 * delays[len(delays) // 2]:.0f} ms at p50, "
        f"{1000 * delays[int(len(delays) * 0.99)]:.0f} ms at p99, "
        f"forwarder {100 * cpu / (chosen.seconds + 2):.0f} % of a core"
    )
    stop_broker.set()
    serving.join()
    shutil.rmtree(home)


if __name__ == "__main__":
    main()
