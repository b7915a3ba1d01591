"""What holds for the store in PostgreSQL alone; the contract that it shares stands in test_store.py."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
import sqlalchemy as sa
from test_store import NOON, observation

from mien.errors import StoreError
from mien.observation import Observation, new_id, now
from mien.stores import engine
from mien.stores.base import Store, open_store
from mien.stores.tables import SCHEMA
from postgres import PASSWORD, QUOTED, Server

sys.path.append(str(Path(__file__).parents[1] / "chaos"))

from link import Link


@pytest.fixture
def database(postgresql: Server) -> Iterator[str]:
    name = postgresql.new_database()
    yield name
    postgresql.drop(name)


def test_writers_of_one_source_take_turns_and_hold_up_no_others(postgresql: Server, database: str) -> None:
    url = postgresql.url(database)
    first, second, third = open_store(url), open_store(url), open_store(url)
    mine, others = ([observation(seq=n, source=name) for n in range(10)] for name in ("lobby", "yard"))
    first.add([observation(seq=99, source="door")])  # which makes the week's partition
    added: list[int] = []
    thread = threading.Thread(target=lambda: added.append(second.add(mine)))
    with first._write("lobby"):  # type: ignore[attr-defined]
        thread.start()
        waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        end = time.monotonic() + engine.IDLE_S / 2
        while postgresql.query(database, waiting) != [(1,)]:
            assert time.monotonic() < end, "the second does not wait"
            time.sleep(0.05)
        assert added == []
        assert third.add(others) == 10, "another source's need not wait"
    thread.join()
    assert added == [10]
    assert first.add([*mine, *others]) == 0
    for store in (first, second, third):
        store.close()


def test_who_prunes_waits_for_all_that_write(postgresql: Server, database: str) -> None:
    with closing(open_store(postgresql.url(database))) as store:
        store.add([observation(seq=n) for n in range(3)], arrived=NOON)
        pruned: list[int] = []
        thread = threading.Thread(target=lambda: pruned.append(store.prune(NOON + timedelta(days=1))))
        with store._write("yard"):  # type: ignore[attr-defined]
            thread.start()
            thread.join(0.3)
            assert thread.is_alive()
        thread.join()
        assert pruned == [3]


def test_many_writers_with_the_same_observations_add_each_once(postgresql: Server, database: str) -> None:
    names = [f"cam-{n}" for n in range(6)]
    given = [
        msgspec.structs.replace(observation(NOON + timedelta(seconds=n), n, name), session=session)
        for name, session in ((name, new_id()) for name in names)
        for n in range(40)
    ]
    gone = NOON + timedelta(seconds=10)
    added: list[int] = []
    erased = threading.Event()

    def write(seed: int) -> None:
        mixed = given[:]
        random.Random(seed).shuffle(mixed)
        with closing(open_store(postgresql.url(database))) as store:
            for at in range(0, len(mixed), 48):
                added.append(store.add(mixed[at : at + 48], arrived=NOON if seed % 2 else None))
            if seed == 0:
                assert erased.wait(60)  # of a minute that is erased in part, what was pruned goes too
                store.prune(NOON + timedelta(hours=1))
            elif seed == 1:
                store.erase("cam-0", NOON, gone)
                erased.set()

    threads = [threading.Thread(target=write, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with closing(open_store(postgresql.url(database))) as store:
        assert sum(added) in range(len(given) - 10, len(given) + 1), "of what was erased some may have come before"
        assert store.add(given) == 0
        assert {info.source: info.frames for info in store.sources()} == dict.fromkeys(names, 40) | {"cam-0": 30}
        for bucket in ("minute", "hour", "day"):
            line = store.timeline(NOON - timedelta(days=1), NOON + timedelta(days=1), bucket)
            assert [(sum(each.sums.frames for each in line), sum(each.sums.faces for each in line))] == [(230, 230)]


def test_two_writers_of_different_sources_share_the_way_to_a_database_far_away(
    postgresql: Server, database: str
) -> None:
    """The same with forwarders and figures: `benchmarks/forwarders.py`."""
    link = Link(postgresql.port)
    link.delay_s = 0.015
    link.set("delay")
    url = postgresql.url(database).replace(f":{postgresql.port}/", f":{link.port}/")

    def write(store: Store, name: str) -> None:
        for n in range(2):
            assert store.add([observation(seq=n, source=name)]) == 1

    def lasts(stores: list[Store], label: str) -> float:
        threads = [threading.Thread(target=write, args=(store, f"{label}-{n}")) for n, store in enumerate(stores)]
        began = time.monotonic()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return time.monotonic() - began

    stores = [open_store(url) for _ in range(2)]
    try:
        for n, store in enumerate(stores):
            write(store, f"first-{n}")
        took = []  # pairs of durations: a busy machine may hold up one of them
        while len(took) < 8 and not any(2 * alone / together >= 1.5 for alone, together in took):
            took.append((lasts(stores[:1], f"alone-{len(took)}"), lasts(stores, f"together-{len(took)}")))
        assert any(2 * alone / together >= 1.5 for alone, together in took), f"one alone, two for twice as much: {took}"
    finally:
        for store in stores:
            store.close()


def test_a_writer_that_hangs_holds_up_nobody_for_long(
    postgresql: Server, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = open_store(postgresql.url(database))
    monkeypatch.setattr(engine, "IDLE_S", 3)
    hanging = open_store(postgresql.url(database))
    given = [observation(seq=n) for n in range(10)]
    with pytest.raises(StoreError), hanging._write() as connection:  # type: ignore[attr-defined]  # noqa: PT012
        assert other.add(given) == 10
        connection.execute(sa.text("SELECT 1"))
    assert hanging.add(given) == 0, "it goes on with a new connection"
    hanging.close()
    other.close()


def test_a_statement_that_takes_too_long_is_given_up(
    postgresql: Server, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = open_store(postgresql.url(database))  # makes the tables, which takes as long as it takes
    monkeypatch.setattr(engine, "STATEMENT_S", 5)
    second = open_store(postgresql.url(database))
    with first._write(), pytest.raises(StoreError, match="statement timeout; the server is too busy"):  # type: ignore[attr-defined]
        second.add([observation()])
    assert second.add([observation()]) == 1
    first.close()
    second.close()


def test_two_that_start_at_once_make_the_tables_once(postgresql: Server, database: str) -> None:
    failed: list[BaseException] = []

    def open_one() -> None:
        try:
            open_store(postgresql.url(database)).close()
        except StoreError as error:
            failed.append(error)

    threads = [threading.Thread(target=open_one) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert postgresql.query(database, "SELECT name, value FROM state") == [("schema", SCHEMA)]


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT])
def test_a_server_that_was_away_is_found_again(postgresql: Server, database: str, how: signal.Signals) -> None:
    store = open_store(postgresql.url(database))
    store.add([observation(seq=0)])
    postgresql.stop(how)
    try:
        with pytest.raises(StoreError, match=r"cannot write the store .*; start the server") as told:
            store.add([observation(seq=1)])
    finally:
        postgresql.start()
    assert PASSWORD not in str(told.value)
    assert QUOTED not in str(told.value)
    assert store.add([observation(seq=1)]) == 1
    assert [one.seq for one in store.recent(NOON)] == [0, 1]
    store.close()


def test_what_cannot_be_opened_is_told_without_the_password(postgresql: Server, database: str) -> None:
    url = postgresql.url(database)
    for wrong, told in (
        (url.replace(QUOTED, "guess"), "password authentication failed.*check user and password"),
        (url.replace(database, "none"), '"none" does not exist; make it'),
        (url.replace("127.0.0.1", "no-such-host.invalid"), "check the host"),
        (url.replace(str(postgresql.port), "port"), r"'postgresql://\*\*\*@127.0.0.1:port/\w+' is no database URL"),
    ):
        with pytest.raises(StoreError, match=told) as found:
            open_store(wrong)
        assert QUOTED not in str(found.value)
        assert "\n" not in str(found.value)
    with pytest.raises(StoreError, match="is empty: start `mien forward`"):
        open_store(url, read_only=True)


def test_without_the_driver_the_extra_is_named(postgresql: Server) -> None:
    code = (
        "import sys; sys.modules['psycopg'] = None\n"
        "from mien.stores.base import open_store\n"
        "open_store('postgresql://me@localhost/mien')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert "MissingExtraError: a store at 'postgresql:' needs the extra 'postgres'" in done.stderr


def test_pruning_drops_whole_weeks_and_deletes_rows_of_others(postgresql: Server, database: str) -> None:
    def tables() -> set[str]:
        query = "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'frames'::regclass"
        return {name for (name,) in postgresql.query(database, query)}

    def seen(weeks_ago: int, seq: int) -> Observation:
        """Return an observation as a camera made it then, its id and all."""
        taken = now() - timedelta(weeks=weeks_ago)
        made = f"{int(taken.timestamp() * 1000):012x}"
        one = observation(taken, seq, faces=2)
        return msgspec.structs.replace(one, id=f"{made[:8]}-{made[8:]}{one.id[13:]}")

    given = [seen(weeks, 10 * weeks + n) for weeks in (0, 2, 4, 6) for n in range(3)]
    with closing(open_store(postgresql.url(database))) as store:
        for one in given:
            assert store.add([one], arrived=one.time) == 1
        late = seen(6, 99)
        assert store.add([late], arrived=now()) == 1, (
            "an edge that was offline: it is of an old week, and came just now"
        )
        assert len(tables()) == 5, "one for each week, and the rest"
        numbers = {name: oid for oid, name in postgresql.query(database, "SELECT oid, relname FROM pg_class")}
        before = tables()
        assert store.prune(now() - timedelta(weeks=3)) == 6
        gone = before - tables()
        assert len(gone) == 1, "the week of which nothing is left; the older one holds what came late"
        left = postgresql.query(database, "SELECT oid FROM pg_class WHERE relname LIKE 'f%_w%'")
        assert {numbers[name.replace("frames", kind)] for name in gone for kind in ("frames", "faces")}.isdisjoint(
            oid for (oid,) in left
        )
        rows = [row for batch in store.observations() for row in batch]
        assert {row.id for row in rows} == {one.id for one in [*given[:6], late]}
        assert all(len(row.faces) == 2 for row in rows)
        assert store.add([*given, late]) == 0, "what was dropped is known"
        assert store.summary(now() - timedelta(weeks=8), now() + timedelta(minutes=1)).faces == 26
