"""Whether a cluster loses anything when a machine dies: cameras -> three NATS servers -> forwarders -> PostgreSQL.

    python benchmarks/cluster.py [--cameras 12] [--seconds 20] [--fps 15] [--logs FOLDER]

Everything is real and on this machine: three nats-server processes with streams replicated three times, a PostgreSQL
server (Debian's programs), two forwarders that divide the cameras, cameras with outboxes, spread over the three
servers. In the middle of the time one server is killed (kill -9); after a third of the time it is started again.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

from mien.config import Settings, load
from mien.edge.outbox import Outbox
from mien.edge.publisher import Publisher
from mien.forward.forwarder import run_forwarder
from mien.mqtt.messages import Stats
from mien.mqtt.nats import server_program
from mien.observation import new_id
from throughput import observation

NODES = 3
CONFIG = """
server_name: node-{n}
listen: "127.0.0.1:{client}"
cluster {{ name: mien, listen: "127.0.0.1:{route}", routes: [{routes}] }}
jetstream {{ store_dir: "{folder}" }}
mqtt {{ listen: "127.0.0.1:{mqtt}", ack_wait: "30s", max_ack_pending: 5000, stream_replicas: {nodes} }}
"""


def free_ports(count: int) -> list[int]:
    probes = [socket.socket() for _ in range(count)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [int(probe.getsockname()[1]) for probe in probes]
    for probe in probes:
        probe.close()
    return ports


def start_node(folder: Path, n: int) -> subprocess.Popen[bytes]:
    with (folder / f"node-{n}.log").open("ab") as log:
        return subprocess.Popen([server_program(), "-c", folder / f"node-{n}.conf"], stdout=log, stderr=log)


def settings(home: Path, port: int, **sections: Any) -> Settings:
    return load({"home": home, "broker": {"host": "127.0.0.1", "port": port}, **sections})


def forward(home: Path, port: int, url: str, sources: str, stop: Any) -> None:
    run_forwarder(settings(home, port, store={"url": url}, forward={"sources": sources}), stop)


def film(home: Path, port: int, names: list[str], seconds: float, fps: float, done: Any) -> None:
    """Let cameras run in this process, each with its outbox and publisher, until all of it is confirmed."""
    config = settings(home, port, outbox={"resend_after_s": 5})
    outboxes = {name: Outbox(home / "outbox", name) for name in names}
    publishers = [Publisher(outbox, name, config, Stats) for name, outbox in outboxes.items()]
    sessions = {name: new_id() for name in names}
    began = time.monotonic()
    for seq in range(int(seconds * fps)):
        for name, outbox in outboxes.items():
            outbox.append(observation(name, sessions[name], seq))
        time.sleep(max(0.0, began + (seq + 1) / fps - time.monotonic()))
    end = time.monotonic() + 300
    for publisher in publishers:
        while not publisher.drain(1) and time.monotonic() < end:
            pass
        publisher.close()
    for outbox in outboxes.values():
        outbox.close()
    done.put(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def counted(home: Path, names: list[str]) -> Counter[str]:
    """Return what the outboxes say: taken, confirmed, dropped, left."""
    found: Counter[str] = Counter()
    for name in names:
        with closing(sqlite3.connect(home / "outbox" / f"{name}.db")) as raw:
            query = "SELECT taken, confirmed, dropped, (SELECT count(*) FROM rows) FROM counts"
            found.update(
                dict(zip(("taken", "confirmed", "dropped", "left"), raw.execute(query).fetchone(), strict=True))
            )
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cameras", type=int, default=12)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--fps", type=float, default=15)
    parser.add_argument("--logs", type=Path, help="keep the servers' logs in this folder")
    chosen = parser.parse_args()
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
    from postgres import Server
    from programs import program

    folder = Path(tempfile.mkdtemp(prefix="mien-cluster-"))
    ports = free_ports(3 * NODES)
    mqtt, routes = ports[:NODES], ports[NODES : 2 * NODES]
    for n in range(NODES):
        text = CONFIG.format(
            n=n,
            client=ports[2 * NODES + n],
            route=routes[n],
            mqtt=mqtt[n],
            nodes=NODES,
            folder=folder / f"node-{n}",
            routes=", ".join(f'"nats://127.0.0.1:{port}"' for port in routes),
        )
        (folder / f"node-{n}.conf").write_text(text)
    nodes = [start_node(folder, n) for n in range(NODES)]
    server = Server(Path(program("initdb")).parent)
    database = server.new_database()
    url = server.url(database)

    context = multiprocessing.get_context("spawn")
    stop, done = context.Event(), context.Queue()
    names = [f"camera-{n}" for n in range(chosen.cameras)]
    halves = [",".join(names[::2]), ",".join(names[1::2])]
    time.sleep(3)  # until the servers have found one another
    forwarders = [
        context.Process(target=forward, args=(folder / f"forward-{n}", mqtt[n], url, half, stop))
        for n, half in enumerate(halves)
    ]
    for process in forwarders:
        process.start()
    time.sleep(5)
    began = time.monotonic()
    arguments = (chosen.seconds, chosen.fps, done)
    filming = [
        context.Process(target=film, args=(folder / "edge", mqtt[n], names[n::NODES], *arguments)) for n in range(NODES)
    ]
    for process in filming:
        process.start()

    def kill() -> None:
        nodes[1].kill()
        nodes[1].wait()
        print(f"{time.monotonic() - began:5.1f} s: server 1 of 0, 1, 2 is killed")
        time.sleep(chosen.seconds / 3)
        nodes[1] = start_node(folder, 1)
        print(f"{time.monotonic() - began:5.1f} s: server 1 is started again")

    killing = threading.Timer(chosen.seconds / 2, kill)
    killing.start()
    for process in filming:
        process.join()
    took = time.monotonic() - began
    killing.join()
    stop.set()
    for process in forwarders:
        process.join()
    said = counted(folder / "edge", names)
    ((stored, doubled),) = server.query(
        database, "SELECT count(*), count(*) - count(DISTINCT (session, seq)) FROM frames"
    )
    ((summed,),) = server.query(database, "SELECT coalesce(sum(frames), 0) FROM rollups WHERE seconds = 86400")
    for node in nodes:
        node.kill()
        node.wait()
    server.close()
    print(
        f"{chosen.cameras} cameras at {chosen.fps:g}/s for {chosen.seconds:g} s over {NODES} servers, "
        f"2 forwarders, PostgreSQL: {said['taken']:,} taken, {stored:,} stored, {said['dropped']:,} counted as dropped, "  # noqa: E501
        f"{said['left']:,} left, {doubled:,} doubled, sums of {summed:,}; "
        f"{'not ' if said['left'] else ''}all confirmed after {took:.1f} s"
    )
    lost = said["taken"] - said["dropped"] - stored
    if chosen.logs:
        chosen.logs.mkdir(parents=True, exist_ok=True)
        for log in folder.glob("*.log"):
            shutil.copy(log, chosen.logs)
    shutil.rmtree(folder)
    if lost or doubled or said["left"] or summed != stored:
        sys.exit(f"lost: {lost}, doubled: {doubled}, left: {said['left']}")


if __name__ == "__main__":
    main()
