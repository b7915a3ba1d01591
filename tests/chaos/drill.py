"""The drill: a store is backed up, lost and restored, or an outbox damaged, while a camera goes on; the books balance.

    python tests/chaos/drill.py [--rounds 10] [--seed 1] [--rate 50]

Each round plays it on SQLite (`mien store backup` and `restore` while the forwarder runs), on PostgreSQL (`pg_dump` and
`pg_restore`, with the forwarder stopped), and with an outbox that is damaged in three ways. Its last line holds the
figures.
"""

from __future__ import annotations

import argparse
import os
import random
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing, suppress
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "integration"), str(HERE.parent)]

import parts  # noqa: E402 - after the path is set

from mien.forward.replay import replay  # noqa: E402
from mien.observation import encode, new_id  # noqa: E402
from mien.stores.base import open_store  # noqa: E402
from mien.stores.maintenance import backup, restore  # noqa: E402
from ports import unused_port  # noqa: E402
from postgres import PASSWORD, Server  # noqa: E402
from programs import program  # noqa: E402

HARMS = ("bytes", "header", "cut short")
"""What may happen to an outbox's file."""

EVER = datetime(1970, 1, 1, tzinfo=timezone.utc), timedelta(days=40_000)


class Drilled(NamedTuple):
    """The figures of one drill: taken = stored + lost with the store + counted as dropped."""

    taken: int
    stored: int
    lost: int
    dropped: int


def restored(home: Path, chance: random.Random, rate: float, server: Server | None = None) -> Drilled:
    """Back a store up, lose it, restore it, replay its dead letters; check that all is there that can be.

    What came between the backup and the loss was confirmed, so no outbox has it any more. All else must be there.

    Args:
        home: An empty folder.
        chance: Says when what happens.
        rate: Observations a second.
        server: The store is a database there; None: it is a SQLite file.
    """
    database = server.new_database() if server else ""
    url = server.url(database) if server else f"sqlite:///{home / 'mien.db'}"
    saved = home / "backup"
    parts.start("broker", home, unused_port())
    parts.wait_for((home / "broker.json").exists)
    open_store(url).close()
    forwarder = parts.start("forward", home, MIEN_STORE__URL=url)
    camera = parts.start("camera", home, "cam", 1_000_000, rate)
    parts.wait_for(lambda: parts.outbox_counts(home, "cam")[1] > rate / 2, what="delivery")
    with closing(open_store(url)) as store:
        letter = encode(parts.observation("door", new_id(), 0))
        store.add_dead_letters([("mien/door/observations", "of a later version", letter)])
    kept = _numbers(url)  # not always the first: what nobody confirmed in time is sent again, after later ones
    _dump(server, database, saved) if server else backup(url, saved)
    parts.wait_for(lambda: len(_numbers(url)) > len(kept) + rate * chance.uniform(0.3, 1.0), what="more of it")
    if server:
        parts.stop(forwarder)
        server.query("postgres", f"DROP DATABASE {database} WITH (FORCE)")
        server.query("postgres", f"CREATE DATABASE {database}")
        _bring_back(server, database, saved)
        parts.start("forward", home, MIEN_STORE__URL=url)
    else:
        restore(url, saved)
    taken_before = parts.outbox_counts(home, "cam")[0]
    parts.wait_for(lambda: parts.outbox_counts(home, "cam")[1] > taken_before + rate / 2, what="delivery afterwards")
    _deliver_the_rest(home, camera)
    with closing(open_store(url)) as store:
        assert (replay(store), replay(store)) == ((1, 0), (0, 0)), "what was set aside is stored once"
    taken, stored, dropped = _balance(home, url, more=1)
    numbers = _numbers(url)
    session = min(numbers)[0]
    missing = [seq for seq in range(taken - 1) if (session, seq) not in numbers]
    assert kept <= numbers, "what was in the backup is there"
    assert all(seq < taken_before for seq in missing), f"{missing}, not all before {taken_before}"
    assert taken == stored + len(missing) + dropped
    return Drilled(taken, stored, len(missing), dropped)


def damaged(home: Path, chance: random.Random, rate: float, harm: str) -> Drilled:
    """Damage the outbox of a camera that was killed while the broker was away; check that it goes on and counts.

    What was sent and not confirmed yet may be stored although its row is lost, so at least what is missing is counted.

    Args:
        home: An empty folder.
        chance: Says where.
        rate: Observations a second.
        harm: Of HARMS.
    """
    url = f"sqlite:///{home / 'mien.db'}"
    port = unused_port()
    broker = parts.start("broker", home, port)
    parts.wait_for((home / "broker.json").exists)
    parts.start("forward", home)
    camera = parts.start("camera", home, "cam", 1_000_000, rate)
    parts.wait_for(lambda: parts.outbox_counts(home, "cam")[1] > rate / 2, what="delivery")
    parts.stop(broker)
    before = parts.outbox_counts(home, "cam")[0]
    parts.wait_for(lambda: parts.outbox_counts(home, "cam")[0] > before + 2 * rate, what="more of it")
    parts.kill(camera)
    path = home / "outbox" / "cam.db"
    taken_before = parts.outbox_counts(home, "cam")[0]  # which also brings the log into the file
    _harm(path, chance, harm)
    parts.start("broker", home, port)
    camera = parts.start("camera", home, "cam", 1_000_000, rate)

    def goes_on() -> bool:
        with suppress(sqlite3.DatabaseError):  # it may be looked at before the camera has looked at it
            return parts.outbox_counts(home, "cam")[0] > taken_before + rate
        return False

    if harm != "bytes":  # which may be noticed later
        parts.wait_for(lambda: list(path.parent.glob("cam.db.damaged-*")), what="the damaged file set aside")
    parts.wait_for(goes_on, what="taking afterwards")
    _deliver_the_rest(home, camera)
    taken, stored, dropped = _balance(home, url)
    assert taken >= taken_before + rate
    assert 0 <= taken - stored <= dropped, f"{taken} taken, {stored} stored, {dropped} dropped"
    return Drilled(taken, stored, 0, taken - stored)


def _deliver_the_rest(home: Path, camera: parts.Part) -> None:
    """Stop the camera, and let another one, which takes one more, deliver what is left."""
    parts.stop(camera)
    last = parts.start("camera", home, "cam", 1, 1)
    assert last.end(120) == 0, "what is left is delivered"


def _balance(home: Path, url: str, more: int = 0) -> tuple[int, int, int]:
    """Return what was taken, stored, and counted as dropped of the camera; check that the store's sums are its rows.

    Args:
        home: Where the outbox is.
        url: The store's.
        more: So many rows of other sources it holds.
    """
    taken, confirmed, dropped, left = parts.outbox_counts(home, "cam")
    assert (left, taken) == (0, confirmed + dropped)
    with closing(open_store(url)) as store:
        rows = [row.id for batch in store.observations() for row in batch]
        sums = {bucket: store.timeline(EVER[0], sum(EVER[1:], EVER[0]), bucket) for bucket in ("minute", "hour", "day")}
        frames = sum(info.frames for info in store.sources())
    assert len(rows) == len(set(rows)) == frames
    for bucket, line in sums.items():
        assert sum(one.sums.frames for one in line) == len(rows), bucket
    return taken, len(rows) - more, dropped


def _numbers(url: str) -> set[tuple[str, int]]:
    """Return session and number of what is stored of the camera."""
    with closing(open_store(url, read_only=True)) as store:
        return {(row.session, row.seq) for batch in store.observations(sources=["cam"]) for row in batch}


def _dump(server: Server, database: str, path: Path) -> None:
    _postgres("pg_dump", server, database, "--format=custom", f"--file={path}")


def _bring_back(server: Server, database: str, path: Path) -> None:
    _postgres("pg_restore", server, database, "--exit-on-error", str(path))


def _postgres(name: str, server: Server, database: str, *options: str) -> None:
    place = ["--host=127.0.0.1", f"--port={server.port}", "--username=mien", f"--dbname={database}"]
    environment = os.environ | {"PGPASSWORD": PASSWORD}
    done = subprocess.run(
        [program(name), *place, *options], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def _harm(path: Path, chance: random.Random, harm: str) -> None:
    content = bytearray(path.read_bytes())
    if harm == "header":
        content[:100] = bytes(100)
    elif harm == "cut short":
        del content[len(content) // 2 // 4096 * 4096 + 1000 :]
    else:
        for _ in range(max(3, len(content) // 20_000)):
            at = chance.randrange(4096, len(content) - 512)
            content[at : at + 512] = chance.randbytes(512)
    path.write_bytes(content)
    for ending in ("-wal", "-shm"):
        path.with_name(path.name + ending).unlink(missing_ok=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=10, metavar="N")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rate", type=float, default=50.0, help="Observations a second.")
    chosen = parser.parse_args()
    began, totals, drills = time.monotonic(), Drilled(0, 0, 0, 0), 0
    server = Server(Path(program("initdb")).parent)
    try:
        for seed in range(chosen.seed, chosen.seed + chosen.rounds):
            chance = random.Random(seed)
            for name in ("sqlite", "postgresql", *HARMS):
                with tempfile.TemporaryDirectory(prefix="mien-drill-") as folder:
                    try:
                        if name in HARMS:
                            figures = damaged(Path(folder), chance, chosen.rate, name)
                        else:
                            figures = restored(Path(folder), chance, chosen.rate, server if name[0] == "p" else None)
                    finally:
                        parts.stop_all()
                print(f"seed {seed}, {name}: {figures}", flush=True)
                totals, drills = Drilled(*map(sum, zip(totals, figures, strict=True))), drills + 1
    finally:
        server.close()
    print(
        f"{drills} drills: {totals.taken:,} observations taken = {totals.stored:,} stored once + {totals.lost:,} lost "
        f"with the store after its backup + {totals.dropped:,} counted as dropped with a damaged outbox; "
        f"{time.monotonic() - began:.0f} s"
    )


if __name__ == "__main__":
    main()
