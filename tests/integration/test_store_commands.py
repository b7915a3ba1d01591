"""`mien store`: the commands that look after what is stored, on real stores."""

from __future__ import annotations

import csv
import re
import sqlite3
import stat
import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from parts import observation
from typer.testing import CliRunner, Result

from mien.cli.app import app
from mien.errors import InputError, MienError, StoreError, UsageError
from mien.observation import Observation, decode, encode, new_id
from mien.stores.base import Marker, Store, open_store
from mien.stores.maintenance import copy
from postgres import Server

NOON = datetime(2026, 11, 22, 12, 0, 0, tzinfo=timezone.utc)
NEXT = NOON + timedelta(days=1)

Run = Callable[..., str]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs `mien store …` in a state folder and returns what it says; raises what it ends with."""
    monkeypatch.setenv("MIEN_HOME", str(tmp_path))

    def run(*arguments: object) -> str:
        done: Result = CliRunner().invoke(app, ["store", *map(str, arguments)])
        if done.exception is not None:
            raise done.exception
        return done.stdout

    return run


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = open_store(f"sqlite:///{tmp_path / 'mien.db'}")
    yield store
    store.close()


def some(count: int, source: str = "cam", every_s: float = 10) -> list[Observation]:
    session = new_id()
    return [observation(source, session, n, n % 3, NOON + timedelta(seconds=every_s * n)) for n in range(count)]


def test_prune(run: Run, store: Store) -> None:
    now = datetime.now(timezone.utc)
    session = new_id()
    for n in range(10):
        came = now - timedelta(days=n, hours=1)
        store.add([observation("cam", session, n, 1, came)], arrived=came)
    assert run("prune", "--older-than", "3d").startswith("7 raw observations from before ")
    assert len(store.recent(now - timedelta(days=99))) == 3
    assert store.sources()[0].frames == 10
    for wrong in ("3", "d", "3 d", "-3d", "3y", "99999d"):
        with pytest.raises(UsageError, match="is no age: expected"):
            run("prune", "--older-than", wrong)


def test_erase(run: Run, store: Store) -> None:
    given = some(60)
    store.add(given + some(5, "other"))
    with pytest.raises(UsageError, match="add --yes"):
        run("erase", "--source", "cam", "--from", "2026-11-22T12:00Z", "--to", "2026-11-22T12:05:00Z")
    assert len(store.recent(NOON)) == 65
    said = run(
        "erase", "--source", "cam", "--from", "2026-11-22T12:00:30Z", "--to", "2026-11-22T13:05:00+01:00", "--yes"
    )
    assert re.fullmatch(r"27 observations of 'cam' from 2026-11-22 .* to 2026-11-22 .* erased, .*\n", said)
    assert store.summary(NOON, NEXT, ["cam"]).frames == 33
    assert store.summary(NOON, NEXT, ["other"]).frames == 5
    assert store.add(given) == 0


def test_a_time_without_an_offset_is_of_the_zone_that_is_named_and_told(run: Run, store: Store) -> None:
    store.add(some(60))  # from noon on, UTC
    period = ("--from", "2026-11-22T21:00", "--to", "2026-11-22T21:05")
    said = run("erase", "--source", "cam", *period, "--zone", "Asia/Tokyo", "--yes")
    told = "from 2026-11-22 21:00:00+09:00 (Asia/Tokyo) to 2026-11-22 21:05:00+09:00 (Asia/Tokyo)"
    assert said == f"30 observations of 'cam' {told} erased, with their share of all sums\n"
    assert store.summary(NOON, NOON + timedelta(minutes=5)).frames == 0
    with pytest.raises(UsageError, match=r"--zone 'Mars'.*Europe/Berlin"):
        run("erase", "--source", "cam", *period, "--zone", "Mars", "--yes")


def test_what_is_seen_after_erasing_today_is_stored(run: Run, store: Store) -> None:
    def at(moved: timedelta) -> datetime:
        return datetime.now(timezone.utc) + moved

    session = new_id()
    store.add([observation("cam", session, 0, 1, at(-timedelta(seconds=5)))])
    start, end = (at(moved).isoformat() for moved in (-timedelta(hours=1), timedelta(hours=1)))
    assert run("erase", "--source", "cam", "--from", start, "--to", end, "--yes").startswith("1 observation of")
    assert store.add([observation("cam", session, 1, 1, at(timedelta()))]) == 1


@pytest.mark.parametrize(
    ("source", "start", "end", "told"),
    [
        ("none", "2026-11-22", "2026-11-23", "has no source 'none': expected one of cam"),
        ("cam", "yesterday", "2026-11-23", "--from 'yesterday' is no time"),
        ("cam", "2026-11-22", "2026-13-01", "--to '2026-13-01' is no time"),
        ("cam", "0001-01-01T00:00+14:00", "2026-13-01", "is no time"),
        ("cam", "2026-11-23", "2026-11-22", "is not later than"),
        ("cam", "2026-11-22", "2026-11-22", "is not later than"),
    ],
)
def test_a_wrong_period_erases_nothing(run: Run, store: Store, source: str, start: str, end: str, told: str) -> None:
    store.add(some(5))
    with pytest.raises(UsageError, match=told):
        run("erase", "--source", source, "--from", start, "--to", end, "--yes")
    assert len(store.recent(NOON)) == 5


def test_dead_letters_are_listed_and_replayed(run: Run, store: Store) -> None:
    assert run("dead-letters") == "there are no dead letters\n"
    good = some(130)
    letters = [("mien/cam/observations", "an earlier version did not know it", encode(one)) for one in good]
    letters.insert(50, ("a/b/cam/observations", "expected\nsomething \x1b[31m", b"\xff\x1b[2J{"))
    letters.insert(90, ("mien/other/observations", "came on the topic of 'other'", encode(good[0])))
    letters.append(("odd", "no topic of ours", encode(good[0])))
    store.add_dead_letters(letters)
    said = run("dead-letters", "--limit", 1000)
    assert len(said.splitlines()) == 133
    assert "expected\\nsomething \\x1b[31m" in said
    assert "\x1b" not in said
    assert run("replay") == "130 dead letters are stored now; 3 are still not valid\n"
    assert store.summary(NOON, NEXT).frames == 130
    assert run("replay") == "0 dead letters are stored now; 3 are still not valid\n"
    assert len(run("dead-letters").splitlines()) == 3
    store.add_dead_letters([("odd", "no topic of ours", b"?")] * 10_000)
    assert run("dead-letters", "--limit", 1).splitlines()[1:] == ["3 older ones made room for newer ones and are gone"]


def test_export(run: Run, store: Store, tmp_path: Path) -> None:
    pl = pytest.importorskip("polars")
    assert run("export", tmp_path / "none.csv") == "the store has no raw observations\n"
    given = some(2500, every_s=0.5)
    store.add(given)
    for name in ("out.csv", "out.parquet", "out.jsonl"):
        assert run("export", tmp_path / name).startswith("2,500 observations are in ")
    rows = sum(max(1, len(one.faces)) for one in given)
    with (tmp_path / "out.csv").open(newline="") as file:
        assert sum(1 for _ in csv.DictReader(file)) == rows
    table = pl.read_parquet(tmp_path / "out.parquet")
    assert table.height == rows
    assert table["id"].n_unique() == 2500
    assert table["time"].is_sorted()
    lines = (tmp_path / "out.jsonl").read_bytes().splitlines()
    assert [decode(line) for line in lines] == given
    with pytest.raises(InputError, match="must end in"):
        run("export", tmp_path / "out.xlsx")


def test_copy_brings_all_and_goes_on_where_it_was(run: Run, store: Store, tmp_path: Path) -> None:
    given = some(2600, every_s=2)
    for at in range(0, len(given), 30):
        store.add(given[at : at + 30], arrived=given[at].time)
    store.prune(NOON + timedelta(minutes=20))
    begins = Marker("01970000-0000-7000-8000-000000000001", NOON, "the show begins", None, "ada")
    store.add_markers([begins])
    target = f"sqlite:///{tmp_path / 'other.db'}"
    other = open_store(target)

    def break_off(count: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        copy(store, other, break_off)
    assert len(other.recent(NOON, limit=9999)) == 1000
    assert other.summary(NOON, NEXT).frames == 1600, "what is pruned there comes ahead of the rows"
    other.close()
    origin = f"sqlite:///{tmp_path / 'mien.db'}"
    told = "1,000 observations copied, 1,000 were there already or are refused there; sums of 0 pruned minutes "
    told += "and 0 dead letters copied\n"
    assert run("copy", origin, target) == told
    assert run("copy", origin, target).startswith("0 observations copied, 2,000 were there")
    other = open_store(target)
    assert other.recent(NOON, limit=9999) == store.recent(NOON, limit=9999) == given[600:]
    assert other.markers(NOON, NEXT) == [begins]
    for bucket in ("minute", "hour", "day"):
        start = NOON - timedelta(days=1)
        for one, two in zip(store.timeline(start, NEXT, bucket), other.timeline(start, NEXT, bucket), strict=True):
            assert one.start == two.start
            assert one.sums.row() == pytest.approx(two.sums.row())
    assert other.sources()[0].frames == store.sources()[0].frames == 2600
    other.close()


def test_copy_of_a_copy_has_all_sums_and_brings_back_nothing_erased(store: Store, tmp_path: Path) -> None:
    given = some(60)
    for at in range(0, len(given), 6):
        store.add(given[at : at + 6], arrived=given[at].time)
    store.prune(NOON + timedelta(minutes=4))
    second, third = (open_store(f"sqlite:///{tmp_path / name}.db") for name in ("second", "third"))
    assert copy(store, second)[:3] == (36, 0, 4)
    third.erase("cam", NOON + timedelta(seconds=90), NOON + timedelta(minutes=5, seconds=30))
    assert copy(second, third)[:3] == (27, 9, 1)
    line = third.timeline(NOON, NEXT, "minute")
    assert [(one.start.minute, one.sums.frames) for one in line] == [(0, 6), (5, 3), (6, 6), (7, 6), (8, 6), (9, 6)]
    assert copy(second, third)[:3] == (0, 36, 0)
    assert third.summary(NOON, NEXT).frames == 33
    second.close()
    third.close()


def test_copy_brings_dead_letters_once(run: Run, store: Store, tmp_path: Path) -> None:
    store.add(some(3))
    for n in range(3):
        store.add_dead_letters([(f"mien/{n}/observations", "no JSON", b"%d-%d" % (n, k)) for k in range(77)])
    origin, target = f"sqlite:///{tmp_path / 'mien.db'}", f"sqlite:///{tmp_path / 'other.db'}"
    assert run("copy", origin, target).endswith("and 231 dead letters copied\n")
    assert run("copy", origin, target).endswith("and 0 dead letters copied\n")
    other = open_store(target)
    assert [letter[1:] for letter in other.dead_letters(999)] == [letter[1:] for letter in store.dead_letters(999)]
    other.close()


def test_vacuum_gives_the_room_back(run: Run, store: Store, tmp_path: Path) -> None:
    store.add(some(5000))
    store.erase("cam", NOON, NEXT)
    before = (tmp_path / "mien.db").stat().st_size
    assert run("vacuum") == "the room of deleted rows is free again\n"
    assert (tmp_path / "mien.db").stat().st_size < before / 4


@pytest.mark.timeout(600)
def test_copy_to_bigquery_and_back(run: Run, store: Store, tmp_path: Path, bigquery: None) -> None:
    given = some(30)
    for at in range(0, len(given), 6):
        store.add(given[at : at + 6], arrived=given[at].time)
    store.prune(NOON + timedelta(minutes=1))
    store.add_dead_letters([("mien/cam/observations", "no JSON", b"{")])
    origin, cloud, back = f"sqlite:///{tmp_path / 'mien.db'}", "bigquery://test-project/copied", tmp_path / "back.db"
    told = "24 observations copied, 0 were there already or are refused there; sums of 1 pruned minutes "
    assert run("copy", origin, cloud) == f"{told}and 1 dead letters copied\n"
    assert run("copy", origin, cloud).startswith("0 observations copied, 24 were there")
    assert run("copy", cloud, f"sqlite:///{back}").startswith("24 observations copied")
    other = open_store(f"sqlite:///{back}")
    assert other.recent(NOON) == given[6:]
    assert other.summary(NOON, NEXT).frames == 30
    other.close()


def test_copy_to_postgresql_and_back(run: Run, store: Store, tmp_path: Path, postgresql: Server) -> None:
    given = some(1200)
    store.add(given)
    database = postgresql.new_database()
    back = f"sqlite:///{tmp_path / 'back.db'}"
    assert run("copy", f"sqlite:///{tmp_path / 'mien.db'}", postgresql.url(database)).startswith("1,200 observations")
    assert run("copy", postgresql.url(database), back).startswith("1,200 observations")
    other = open_store(back)
    assert other.recent(NOON, limit=9999) == given
    other.close()
    with pytest.raises(UsageError, match="pg_dump"):
        run("backup", tmp_path / "b.db", "--store", postgresql.url(database))
    postgresql.drop(database)


def test_backup_of_a_store_that_is_written(run: Run, store: Store, tmp_path: Path) -> None:
    stop = threading.Event()
    given = some(200_000, every_s=0.1)

    def write() -> None:
        for at in range(0, len(given), 50):
            if stop.is_set():
                return
            store.add(given[at : at + 50])

    thread = threading.Thread(target=write)
    thread.start()
    try:
        while len(store.sources()) == 0:
            pass
        path = tmp_path / "copy.db"
        assert "checked" in run("backup", path)
    finally:
        stop.set()
        thread.join()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not list(tmp_path.glob(".copy.db*"))
    with sqlite3.connect(path) as raw:
        (frames,) = raw.execute("SELECT count(*) FROM frames").fetchone()
        assert frames > 0
        assert frames % 50 == 0
        assert raw.execute("SELECT sum(frames) FROM rollups WHERE seconds = 60").fetchone() == (frames,)
    raw.close()
    whole = open_store(f"sqlite:///{path}")
    assert whole.sources()[0].frames == frames
    whole.close()
    with pytest.raises(UsageError, match="is there already"):
        run("backup", path)
    with pytest.raises(StoreError, match="cannot write"):
        run("backup", tmp_path / "none" / "copy.db")
    with pytest.raises(StoreError, match="cannot write"):
        run("backup", tmp_path / ("a" * 300))


@pytest.mark.parametrize(
    "arguments",
    [
        ["prune", "--older-than", "3d"],
        ["erase", "--source", "a", "--from", "2026-11-22", "--to", "2026-11-23", "--yes"],
        ["dead-letters"],
        ["replay"],
        ["export", "out.csv"],
        ["backup", "b.db"],
    ],
)
def test_no_store_is_made_where_there_is_none(run: Run, tmp_path: Path, arguments: list[str]) -> None:
    with pytest.raises(MienError, match="there is no store"):
        run(*arguments)
    assert list(tmp_path.iterdir()) == []
