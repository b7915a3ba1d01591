"""Hostile messages all the way: through broker and forwarder to the store, of which each gets what it should."""

from __future__ import annotations

import random
import sys
import threading
from pathlib import Path

from parts import observation, settings, start, stop_all, wait_for

from mien.errors import StoreError
from mien.forward.forwarder import run_forwarder
from mien.forward.replay import read
from mien.mqtt.broker import find_broker
from mien.mqtt.connection import Connection
from mien.observation import encode, new_id
from mien.stores import rows
from mien.stores.base import open_store

sys.path.append(str(Path(__file__).parents[1] / "unit"))

from wire import hostile

COUNT = 1500


def _has_tables(url: str) -> bool:
    """Return whether the forwarder has made the store: its file is there a little earlier than what is in it."""
    try:
        open_store(url, read_only=True).close()
    except StoreError:
        return False
    return True


def test_what_is_valid_is_stored_and_what_is_not_is_set_aside(tmp_path: Path, free_port: int) -> None:
    start("broker", tmp_path, free_port)
    wait_for((tmp_path / "broker.json").exists)
    home = settings(tmp_path, store={"keep_raw_days": 36_500})
    stopping = threading.Event()
    thread = threading.Thread(target=run_forwarder, args=(home, stopping))
    thread.start()
    wait_for(lambda: _has_tables(home.store_url))
    chance = random.Random(4)
    valid: set[str] = set()
    refused: set[bytes] = set()
    acknowledged = threading.Semaphore(0)
    edge = Connection(find_broker(home), "enemy", on_acknowledged=lambda _: acknowledged.release())
    store = open_store(home.store_url, read_only=True)
    first = observation("cam", new_id(), 0)

    def listens() -> bool:
        edge.publish("mien/cam/observations", encode(first))  # the broker keeps nothing that nobody subscribes to
        return bool(store.sources())

    wait_for(listens)
    for n in range(COUNT):
        payload, _ = hostile(chance)
        kept = payload
        try:
            one = read(payload, "cam")
            kept = encode(one)  # what the store alone refuses, for its time, is set aside as it was read
            rows.frame_row(one)
        except ValueError:
            refused.add(kept[: 64 << 10])
        else:
            valid.add(one.id)
        edge.publish("mien/cam/observations", payload)
        if n > 50:
            assert acknowledged.acquire(timeout=60)
    last = observation("cam", new_id(), 0)
    edge.publish("mien/cam/observations", encode(last))
    try:
        wait_for(lambda: last.id in {one.id for one in store.recent(rows.to_time(0), limit=10_000)}, 90)
        wait_for(lambda: len({letter.payload for letter in store.dead_letters(10_000)}) >= len(refused), 90)
        assert {letter.payload for letter in store.dead_letters(10_000)} == refused
        assert {one.id for one in store.recent(rows.to_time(0), limit=10_000)} == valid | {first.id, last.id}
        assert sum(source.frames for source in store.sources()) == len(valid) + 2
    finally:
        store.close()
        edge.close()
        stopping.set()
        thread.join()
        stop_all()
