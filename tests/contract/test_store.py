"""What every store must do, whichever database it is."""

from __future__ import annotations

import os
import random
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import msgspec
import pytest

from mien.errors import StoreError
from mien.observation import EMOTIONS, AboveUsual, Face, Observation, Openness, Pose, Probabilities, new_id
from mien.stores.base import Marker, Store, Sums, open_store
from mien.stores.maintenance import backup, restore
from mien.stores.tables import SCHEMA

NOON = datetime(2026, 11, 22, 12, 0, 0, tzinfo=timezone.utc)
SESSION = new_id()


def face(emotion: str | None = "happy", happy: float = 0.9) -> Face:
    rest = round((1 - happy) / 6, 6)
    values = dict.fromkeys(EMOTIONS, rest) | {"happy": happy}
    return Face(3, (-4, 190, 96, 97), 0.97, emotion, Probabilities(**values))  # type: ignore[arg-type]


def observation(at: datetime | None = NOON, seq: int = 0, source: str = "lobby", faces: int = 1) -> Observation:
    found = [face() if n % 2 == 0 else face(None, 0.2) for n in range(faces)]
    return Observation(new_id(), source, SESSION, seq, at, 12.48, 374, 1280, 720, "mien-1@3f9c2a1b", 7.9, found)


def fill(store: Store, given: list[Observation]) -> None:
    """Add observations as they would have come: each minute of them when it was over."""
    minutes = {one.time.replace(second=0, microsecond=0) for one in given if one.time}
    for minute in sorted(minutes):
        end = minute + timedelta(minutes=1)
        some = [one for one in given if one.time and minute <= one.time < end]
        store.add(some, arrived=max(one.time for one in some if one.time))


def marker(n: int = 0, source: str | None = None, label: str = "the show begins") -> Marker:
    return Marker(f"01970000-0000-7000-8000-{n:012x}", NOON + timedelta(minutes=n), label, source, "ada")


pytestmark = pytest.mark.timeout(600)  # the first test may have to install the BigQuery emulator


@pytest.fixture(params=["sqlite", "postgresql", "bigquery"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'mien.db'}"
        return
    if request.param == "bigquery":
        request.getfixturevalue("bigquery")
        yield "bigquery://test-project/contract"
        empty_dataset("test-project", "contract")
        return
    server = request.getfixturevalue("postgresql")
    database = server.new_database()
    yield server.url(database)
    server.drop(database)


def empty_dataset(project: str, name: str) -> None:
    """Delete all rows, for to make the views anew takes the emulator long."""
    from mien.stores.bigquery_client import Dataset
    from mien.stores.bigquery_tables import COLUMNS

    dataset = Dataset(project, name, None)
    for table in COLUMNS:
        which = "name != 'schema'" if table == "state" else "TRUE"
        dataset.write(f"DELETE FROM {dataset.table(table)} WHERE {which}")  # noqa: S608
    dataset.close()


def is_sql(url: str) -> bool:
    """Say whether the store has keys and is quick; the BigQuery emulator takes a tenth of a second for a query."""
    return not url.startswith("bigquery:")


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    store = open_store(url)
    yield store
    store.close()


def test_returns_what_was_added_unchanged(store: Store) -> None:
    given = [observation(NOON + timedelta(microseconds=n), n, faces=n % 3) for n in range(20)]
    assert store.add(given) == 20
    assert store.recent(NOON) == given
    assert store.recent(NOON, limit=5) == given[-5:]
    assert store.recent(NOON + timedelta(microseconds=15)) == given[15:]
    assert store.recent(NOON, ["elsewhere"]) == []


def test_ignores_what_it_has(store: Store) -> None:
    given = [observation(seq=n) for n in range(10)]
    assert store.add(given[:6]) == 6
    assert store.add(given + given) == 4
    assert store.add(given) == 0
    assert len(store.recent(NOON)) == 10
    assert store.summary(NOON, NOON + timedelta(minutes=1)).frames == 10
    assert store.sources() == [("lobby", NOON, NOON, 10)]


def test_a_source_reaches_from_its_first_to_its_last_observation(store: Store) -> None:
    for n, minutes in enumerate((0, 5, -5, 2)):
        store.add([observation(NOON + timedelta(minutes=minutes), n)])
    assert store.sources() == [("lobby", NOON - timedelta(minutes=5), NOON + timedelta(minutes=5), 4)]


def test_two_writers_add_each_observation_once(store: Store, url: str) -> None:
    given = [observation(seq=n) for n in range(300 if is_sql(url) else 60)]
    others = [open_store(url) for _ in range(3 if is_sql(url) else 1)]
    added: list[int] = []

    def write(one: Store, seed: int) -> None:
        order = random.Random(seed).sample(given, len(given))
        added.extend(one.add(order[at : at + 20]) for at in range(0, len(order), 20))

    threads = [threading.Thread(target=write, args=(one, n)) for n, one in enumerate([store, *others])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for other in others:
        other.close()
    assert sum(added) == len(given) if is_sql(url) else sum(added) >= len(given)
    assert store.summary(NOON, NOON + timedelta(minutes=1)).frames == len(given)


def test_sums_are_those_of_the_raw_rows(store: Store, url: str) -> None:
    chance = random.Random(4)
    given = [
        observation(NOON + timedelta(seconds=chance.uniform(0, 3e6)), n, chance.choice("ab"), chance.randint(0, 3))
        for n in range(600 if is_sql(url) else 200)
    ]
    store.add(given)
    minute = timedelta(minutes=1)
    for _ in range(60 if is_sql(url) else 2):
        start = (NOON + timedelta(minutes=chance.randint(-60, 40 * 1440))).replace(second=0)
        end = start + minute * chance.choice([0, 1, 7, 60, 61, 1440, 3000, 50_000])
        sources = chance.choice([None, ["a"], ["a", "b"], []])
        inside = [
            one for one in given if one.time and start <= one.time < end and (sources is None or one.source in sources)
        ]
        summary = store.summary(start, end, sources)
        assert summary.frames == len(inside)
        assert summary.faces == sum(len(one.faces) for one in inside)
        assert summary.unclear == sum(face.emotion is None for one in inside for face in one.faces)
        assert summary.counts["happy"] == summary.faces - summary.unclear
        total = sum(face.probabilities.happy for one in inside for face in one.faces)
        assert summary.probabilities["happy"] == pytest.approx(total)
        for bucket in ("minute", "hour", "day"):
            line = store.timeline(NOON - timedelta(days=1), NOON + timedelta(days=60), bucket, sources)
            assert [one.start for one in line] == sorted({one.start for one in line})
            assert sum(one.sums.frames for one in line) == sum(
                sources is None or one.source in sources for one in given
            )


def by_hand(store: Store, start: datetime, end: datetime, sources: list[str]) -> tuple[int, int, float, float]:
    """Return frames, faces, face-seconds and happy seconds of [start, end), by SQL that shares nothing with ours."""
    from mien.stores.sql import SqlStore

    assert isinstance(store, SqlStore)
    epoch = datetime(1970, 1, 1, tzinfo=timezone.utc)
    first, last = ((at - epoch) // timedelta(microseconds=1) for at in (start, end))
    named = ", ".join(f"'{source}'" for source in sources)
    where = f"time >= {first} AND time < {last} AND source IN ({named})"
    frames = f"SELECT count(*) FROM frames WHERE {where}"  # noqa: S608
    faces = (
        "SELECT count(*), sum(coalesce(span_s, 0.1)), sum(happy * coalesce(span_s, 0.1)) "  # noqa: S608
        f"FROM faces JOIN frames ON frames.id = faces.frame WHERE {where}"
    )
    with store._engine.connect() as connection:
        total = connection.exec_driver_sql(frames).scalar_one()
        many, seconds, happy = connection.exec_driver_sql(faces).one()
    return total, many, seconds or 0.0, happy or 0.0


def test_a_summary_is_exact_at_any_border_while_there_are_rows(store: Store, url: str) -> None:
    if not is_sql(url):
        pytest.skip("asked by hand in SQL; the next test is for all")
    chance = random.Random(9)
    given = [
        observation(NOON + timedelta(seconds=chance.uniform(0, 9000)), n, chance.choice("ab"), chance.randint(0, 3))
        for n in range(3000)
    ]
    spans = [None, 0.05, 0.2, 0.8]
    store.add([msgspec.structs.replace(one, span_s=chance.choice(spans)) for one in given])
    for _ in range(120):
        start = NOON + timedelta(seconds=chance.uniform(-90, 9000))
        end = start + timedelta(seconds=chance.choice([0.5, 20, 45, 59.9, 61, 600, 4000]) * chance.uniform(0.2, 1))
        sources = chance.choice([["a"], ["b"], ["a", "b"]])
        total = store.summary(start, end, None if len(sources) == 2 else sources)
        assert (total.start, total.end) == (start, end)
        frames, faces, seconds, happy = by_hand(store, start, end, sources)
        assert (total.frames, total.faces) == (frames, faces), (start, end)
        assert (total.face_seconds, total.seconds["happy"]) == pytest.approx((seconds, happy))
        assert sum(total.counts.values()) + total.unclear == faces


def test_a_summary_of_minutes_without_rows_is_widened_and_says_so(store: Store) -> None:
    fill(store, [observation(NOON + timedelta(seconds=10 * n), n, "ab"[n % 2]) for n in range(30)])  # five minutes
    at = [NOON + timedelta(minutes=n) for n in range(6)]
    store.prune(at[2])
    some = timedelta(seconds=25)
    cases = [
        (at[0] + some, at[1] + some, at[0], at[2], 12),
        (at[0] + some, at[0] + 2 * some, at[0], at[1], 6),
        (at[1] + some, at[3] + some, at[1], at[3] + some, 15),
        (at[2] + some, at[3] + some, at[2] + some, at[3] + some, 6),
        (at[0] - some, at[0], at[0] - some, at[0], 0),
        (at[3], at[3], at[3], at[3], 0),
    ]
    for start, end, since, until, frames in cases:
        total = store.summary(start, end)
        assert (total.start, total.end, total.frames) == (since, until, frames)
    store.add([observation(at[1] + some, 99, "c")], arrived=at[5])  # late: of what c has, there are all rows
    assert store.summary(at[1] + some, at[1] + 2 * some, ["c"]).start == at[1] + some
    assert store.summary(at[1] + some, at[1] + 2 * some, ["a", "c"]).start == at[1]


def test_happiness_of_nothing_is_none(store: Store) -> None:
    empty = store.summary(NOON, NOON + timedelta(days=400))
    assert empty.row() == Sums().row()
    assert empty.happiness is None
    assert store.sources() == store.recent(NOON) == store.timeline(NOON, NOON, "day") == []


def test_a_bucket_begins_on_its_boundary(store: Store) -> None:
    store.add([observation(NOON.replace(hour=23, minute=59, second=59, microsecond=999_999)), observation(NOON)])
    end = NOON + timedelta(days=1)
    assert [one.start.minute for one in store.timeline(NOON, end, "minute")] == [0, 59]
    assert [one.start.hour for one in store.timeline(NOON, end, "hour")] == [12, 23]
    assert [one.start for one in store.timeline(NOON - timedelta(days=1), end, "day")] == [NOON.replace(hour=0)]
    with pytest.raises(ValueError, match="no bucket 'week'"):
        store.timeline(NOON, end, "week")


def test_pruned_rows_stay_away_and_stay_counted(store: Store) -> None:
    given = [observation(NOON + timedelta(hours=n), n, faces=2) for n in range(10)]
    fill(store, given)
    assert store.prune(NOON + timedelta(hours=4)) == 4
    assert store.prune(NOON + timedelta(hours=1)) == 0
    assert store.add(given) == 0
    assert store.recent(NOON) == given[4:]
    assert store.summary(NOON, NOON + timedelta(days=1)).faces == 20
    assert store.arrivals() == []


def test_what_comes_late_is_stored_once_and_stays_for_its_time(store: Store) -> None:
    """An edge that was offline for long, or whose clock is behind: what it sends is new, however old its time is."""
    given = [observation(NOON + timedelta(seconds=10 * n), n, faces=2) for n in range(6)]
    fill(store, given[:4])
    assert store.prune(NOON + timedelta(days=20)) == 4
    came = NOON + timedelta(days=60)
    assert store.add(given, arrived=came) == 2, "those that were pruned are known"
    assert store.add(given, arrived=came) == 0
    ahead = observation(NOON + timedelta(days=30_000), 9, faces=1)
    assert store.add([ahead], arrived=came) == 1, "a clock that is ahead by decades"
    assert store.sources()[0].last == came, "nobody was seen in the future"
    assert store.summary(NOON, NOON + timedelta(minutes=1)).faces == 12
    assert store.prune(came) == 0, "they are kept as long as what came in time"
    assert store.recent(NOON) == [*given[4:], ahead]
    assert store.prune(came + timedelta(days=1)) == 3
    assert store.add([*given, ahead], arrived=came + timedelta(days=1)) == 0
    assert store.summary(NOON, NOON + timedelta(minutes=1)).faces == 12
    assert store.sources()[0].frames == 7
    assert store.arrivals() == [("lobby", 2, 0)]


def test_what_is_refused_is_counted_once(store: Store) -> None:
    given = [observation(NOON + timedelta(seconds=n), n) for n in range(4)]
    assert store.add(given[:1]) == 1
    assert store.erase("lobby", NOON, NOON + timedelta(minutes=1)) == 1
    for _ in range(2):
        assert store.add(given) == 0
    assert store.arrivals() == [("lobby", 0, 3)], "the first was stored, and is known"


def test_rollups_of_old_days_are_forgotten(store: Store) -> None:
    given = [observation(NOON + timedelta(hours=12 * n), n) for n in range(6)]
    fill(store, given)
    assert store.prune_rollups(NOON + timedelta(days=9)) == 0, "they have raw rows"
    store.prune(NOON + timedelta(days=2))
    assert store.prune_rollups(NOON + timedelta(days=9)) == 3
    start, end = NOON - timedelta(days=9), NOON + timedelta(days=9)
    for bucket in ("minute", "hour", "day"):
        assert sum(one.sums.frames for one in store.timeline(start, end, bucket)) == 3
    assert store.add(given) == 0, "but not that they were here"


def test_a_face_counts_for_the_time_that_it_was_seen(store: Store) -> None:
    fast = [
        msgspec.structs.replace(observation(NOON + timedelta(seconds=n / 10), n, "a"), span_s=0.1) for n in range(20)
    ]
    slow = [
        msgspec.structs.replace(observation(NOON + timedelta(seconds=n), n, "b"), span_s=1.0, faces=[face(None, 0.2)])
        for n in range(2)
    ]
    store.add([*fast, *slow])
    total = store.summary(NOON, NOON + timedelta(minutes=1))
    assert (total.faces, total.untimed, total.face_seconds) == (22, 0, pytest.approx(4.0))
    assert total.happiness == pytest.approx(100 * (2 * 0.9 + 2 * 0.2) / 4)
    seconds = store.timeline(NOON, NOON + timedelta(minutes=1), "second")
    assert sum(second.sums.seconds["happy"] for second in seconds) == pytest.approx(total.seconds["happy"])
    store.add([observation(NOON + timedelta(seconds=30), 30, "a")])
    assert store.summary(NOON, NOON + timedelta(minutes=1)).untimed == 1


def test_what_else_is_known_of_a_face_comes_back(store: Store) -> None:
    looks = [
        msgspec.structs.replace(face(), read=False, pose=Pose(-30.5, None, 4.0), openness=Openness(0.9, None)),
        msgspec.structs.replace(face(), openness=Openness(None, 0.0)),
        msgspec.structs.replace(face(), above_usual=AboveUsual(-0.1, 0.0, 0.0, 0.5, 0.0, -0.4, 0.0)),
        face(),
    ]
    given = msgspec.structs.replace(observation(), faces=looks, span_s=0.25)
    store.add([given])
    assert store.recent(NOON) == [given]


def figures(store: Store) -> list[Any]:
    """All that a store says of itself in figures."""
    start, end = NOON - timedelta(days=1), NOON + timedelta(days=60)
    lines = [store.timeline(start, end, bucket, [source]) for bucket in ("minute", "hour", "day") for source in "ab"]
    rows = [[(bucket.start, bucket.sums.row()) for bucket in line] for line in lines]
    return [[(start, dict(row)) for start, row in line] for line in rows]


def near(lines: list[Any]) -> list[object]:
    """The same, but for the last digit, which rests on the order in which a sum's parts were added."""
    return [[(start, pytest.approx(row, abs=1e-6)) for start, row in line] for line in lines]


@pytest.mark.parametrize("seed", range(4))
def test_erasing_leaves_what_would_be_there_without(store: Store, url: str, tmp_path: Path, seed: int) -> None:
    if seed and not is_sql(url):
        pytest.skip("one is enough where it takes long")
    chance = random.Random(seed)
    given = [
        observation(NOON + timedelta(seconds=chance.uniform(0, 200_000)), n, chance.choice("ab"), chance.randint(0, 3))
        for n in range(300 if is_sql(url) else 90)
    ]
    store.add(given)
    start = NOON + timedelta(seconds=chance.choice([-5, 0, 7, 3600, 86_390.5]))
    end = start + timedelta(seconds=chance.choice([0.5, 59, 60, 4000, 100_000, 300_000]))
    kept = [one for one in given if not (one.source == "a" and one.time and start <= one.time < end)]
    assert store.erase("a", start, end) == len(given) - len(kept)
    other = open_store(f"sqlite:///{tmp_path / 'other.db'}")
    other.add(kept)
    left = figures(store)
    assert left == near(figures(other))
    assert store.sources() == other.sources()
    pages = store.observations(7 if is_sql(url) else 30)
    assert [row for page in pages for row in page] == sorted(kept, key=lambda row: (row.time, row.id))
    other.close()
    assert store.add(given) == 0, "what was erased is known"
    unseen = observation(start, 9999, "a")
    assert store.add([unseen]) == 0, "what is of that time is refused"
    assert store.erase("a", start, end) == 0
    assert figures(store) == near(left)


def test_seconds_are_counted_from_raw_rows(store: Store) -> None:
    times = [NOON + timedelta(seconds=at) for at in (0.0, 0.4, 0.999999, 1.0, 7.5, 65.0)]
    fill(store, [observation(at, n, "ab"[n % 2], faces=n % 3) for n, at in enumerate(times)])
    line = store.timeline(NOON, NOON + timedelta(seconds=60), "second")
    assert [(one.start.second, one.sums.frames, one.sums.faces, one.sums.unclear) for one in line] == [
        (0, 3, 3, 1), (1, 1, 0, 0), (7, 1, 1, 0),
    ]  # fmt: skip
    assert line[0].sums.counts["happy"] == 2
    assert line[0].sums.probabilities["happy"] == pytest.approx(0.9 + 0.9 + 0.2)
    assert line[1].sums == Sums(frames=1)
    late = store.timeline(NOON + timedelta(seconds=0.2), NOON + timedelta(seconds=65.1), "second", ["b"])
    assert [(one.start - NOON).total_seconds() for one in late] == [1.0, 65.0]
    store.prune(NOON + timedelta(minutes=1))
    assert [one.start.minute for one in store.timeline(NOON, NOON + timedelta(hours=1), "second")] == [1]


def test_erasing_what_was_pruned_takes_whole_minutes(store: Store) -> None:
    given = [observation(NOON + timedelta(seconds=30 * n), n, faces=2) for n in range(20)]
    fill(store, given)
    store.prune(NOON + timedelta(minutes=5, seconds=10))
    assert store.pruned_before() == NOON + timedelta(minutes=5)
    assert store.erase("lobby", NOON + timedelta(seconds=90), NOON + timedelta(minutes=7, seconds=30)) == 5
    line = store.timeline(NOON, NOON + timedelta(hours=1), "minute")
    assert [(one.start.minute, one.sums.frames, one.sums.faces) for one in line] == [
        (0, 2, 4),
        (7, 1, 2),
        (8, 2, 4),
        (9, 2, 4),
    ]
    (hour,) = store.timeline(NOON, NOON + timedelta(hours=1), "hour")
    (day,) = store.timeline(NOON - timedelta(hours=12), NOON + timedelta(hours=1), "day")
    assert hour.sums.row() == pytest.approx(day.sums.row()), "the order in which a store adds is its own"
    assert (hour.sums.frames, hour.sums.faces) == (7, 14)
    assert store.sources() == [("lobby", NOON, NOON + timedelta(seconds=570), 7)]


def test_erasing_everything_leaves_no_source(store: Store) -> None:
    store.add([observation(NOON, n) for n in range(3)])
    store.add_dead_letters([("mien/lobby/observations", "no JSON", b"?"), ("mien/l_bby/observations", "no JSON", b"?")])
    later = datetime.now(timezone.utc) + timedelta(minutes=1)
    assert store.erase("lobby", NOON - timedelta(days=9999), later) == 3 * (later > NOON)
    assert [letter.topic for letter in store.dead_letters()] == ["mien/l_bby/observations"]
    assert store.erase("l_bby", NOON - timedelta(days=9999), NOON) == 0
    store.erase("lobby", NOON, NOON + timedelta(days=1))
    assert store.sources() == []
    assert store.timeline(NOON - timedelta(days=1), NOON + timedelta(days=1), "day") == []


def test_observations_of_a_period_come_in_pages(store: Store) -> None:
    given = [observation(NOON + timedelta(seconds=n // 2), n, "ab"[n % 2], faces=n % 3) for n in range(20)]
    store.add(given)
    inside = sorted((one for one in given[4:14] if one.source == "a"), key=lambda one: (one.time, one.id))
    period = {"start": NOON + timedelta(seconds=2), "end": NOON + timedelta(seconds=7), "sources": ["a"]}
    assert list(store.observations(2, **period)) == [inside[:2], inside[2:4], inside[4:]]  # type: ignore[arg-type]
    last = inside[1]
    assert last.time is not None
    assert next(store.observations(9, after=(last.time, last.id), **period)) == inside[2:]  # type: ignore[arg-type]
    assert list(store.observations(sources=["c"])) == []
    assert list(store.observations(start=NOON, end=NOON)) == []


def test_markers_stay_until_dropped(store: Store) -> None:
    given = [marker(0), marker(1, "a"), marker(2, "b", "Ω \0" + "x" * 190), marker(3)]
    assert store.add_markers([]) == 0
    assert store.add_markers(given[:3]) == 3
    assert store.add_markers([*given, given[3]]) == 1, "those that it has are ignored"
    end = NOON + timedelta(hours=1)
    kept = [given[0], given[1], given[2]._replace(label="Ω \ufffd" + "x" * 190), given[3]]
    assert store.markers(NOON, end) == kept
    assert store.markers(NOON, end, ["a"]) == [given[0], given[1], given[3]]
    assert store.markers(NOON, end, []) == [given[0], given[3]]
    assert store.markers(NOON, end, limit=2) == kept[2:]
    assert store.markers(NOON + timedelta(minutes=1), NOON + timedelta(minutes=3)) == kept[1:3]
    assert store.marker(given[2].id) == kept[2]
    assert store.drop_marker(given[0].id) is True
    assert store.marker(given[0].id) is None
    assert store.drop_marker(given[0].id) is False
    assert store.drop_marker("nonsense") is False
    assert store.markers(NOON, end) == kept[1:]


def test_erasing_takes_the_markers_of_the_source_along(store: Store) -> None:
    given = [marker(0, "a"), marker(1, "a"), marker(0, "b")._replace(id=marker(9).id), marker(2)]
    store.add([observation(source="a")])
    store.add_markers(given)
    store.erase("a", NOON, NOON + timedelta(minutes=1))
    assert store.markers(NOON, NOON + timedelta(hours=1)) == [given[2], given[1], given[3]]


def test_takes_the_sums_of_minutes_that_it_lacks(store: Store, tmp_path: Path) -> None:
    other = open_store(f"sqlite:///{tmp_path / 'other.db'}")
    given = [observation(NOON + timedelta(minutes=7 * n), n, "a") for n in range(50)]
    other.add(given)
    store.add(given[:10])
    minutes = other.timeline(NOON, NOON + timedelta(days=1), "minute", ["a"])
    assert store.add_minutes("a", minutes) == 40
    assert store.add_minutes("a", minutes) == 0
    assert figures(store) == near(figures(other))
    other.close()


def test_dead_letters_go_by_number_and_come_in_pages(store: Store) -> None:
    store.add_dead_letters([(f"t{n}", "r", b"") for n in range(5)])
    newest = store.dead_letters(2)
    rest = store.dead_letters(10, before=newest[-1].id)
    assert [letter.topic for letter in newest + rest] == ["t4", "t3", "t2", "t1", "t0"]
    store.drop_dead_letters([newest[0].id, rest[0].id])
    assert [letter.topic for letter in store.dead_letters()] == ["t3", "t1", "t0"]


def test_takes_over_dead_letters_once(store: Store, tmp_path: Path) -> None:
    other = open_store(f"sqlite:///{tmp_path / 'other.db'}")
    store.add_dead_letters([("mien/a/observations", "ours", b"\xff")])
    other.add_dead_letters([(f"mien/{n}/observations", "no JSON", bytes([n])) for n in range(5)])
    letters = other.dead_letters()[::-1]
    assert store.take_dead_letters([]) == 0
    assert store.take_dead_letters(letters[:3]) == 3
    assert store.take_dead_letters(letters) == 2
    assert store.take_dead_letters(letters) == 0
    assert [letter[1:] for letter in store.dead_letters()[::-1][1:]] == [letter[1:] for letter in letters]
    other.close()


def test_its_size_grows_with_what_it_holds(store: Store, url: str) -> None:
    before = store.size()
    store.add([observation(NOON + timedelta(seconds=n), n, faces=3) for n in range(1000)])
    counted = 0 if url.startswith("bigquery:") else 100_000  # BigQuery's emulator tells of tables without bytes
    assert store.size() >= before + counted


def test_vacuuming_changes_nothing_else(store: Store) -> None:
    given = [observation(NOON + timedelta(hours=n), n) for n in range(10)]
    fill(store, given)
    store.prune(NOON + timedelta(hours=4))
    store.vacuum()
    assert store.recent(NOON) == given[4:]


@pytest.mark.parametrize(
    "at", [None, datetime(1969, 1, 1, tzinfo=timezone.utc), datetime.max.replace(tzinfo=timezone.utc)]
)
def test_refuses_what_belongs_to_no_minute(store: Store, at: datetime | None) -> None:
    with pytest.raises(ValueError, match=r"its? .*time"):
        store.add([observation(), observation(at)])
    assert store.sources() == []


def test_keeps_the_newest_dead_letters(store: Store) -> None:
    store.add_dead_letters([("mien/a/observations", "no JSON", b"\xff\x00" * 40_000)])
    for _ in range(3):
        store.add_dead_letters([(f"mien/{n}/observations", "odd\0reason", b"x") for n in range(4000)])
    letters = store.dead_letters(20_000)
    assert len(letters) == 10_000
    assert letters[0].topic == "mien/3999/observations"
    assert letters[0].id > letters[1].id
    assert "\0" not in letters[0].reason
    assert abs(letters[0].time - datetime.now(timezone.utc)) < timedelta(minutes=1)
    assert len(store.dead_letters()) == 100
    assert store.dropped_dead_letters() == 2001
    store.prune(NOON)
    assert store.dropped_dead_letters() == 2001


def test_only_dead_letters_that_are_there_take_room(store: Store, url: str) -> None:
    count = 5000 if is_sql(url) else 50
    assert store.dropped_dead_letters() == 0
    for _ in range(2):
        store.add_dead_letters([("mien/a/observations", "no JSON", b"x")] * count)
    store.drop_dead_letters([letter.id for letter in store.dead_letters(count)])
    store.add_dead_letters([("mien/a/observations", "no JSON", b"x")] * count)
    assert (len(store.dead_letters(20_000)), store.dropped_dead_letters()) == (2 * count, 0)


def test_a_dead_letter_keeps_its_bytes_up_to_64_kib(store: Store) -> None:
    store.add_dead_letters([("t", "r", bytes(range(256)) * 1000)])
    (kept,) = store.dead_letters()
    assert kept.payload == (bytes(range(256)) * 1000)[: 64 << 10]
    assert kept.reason == "r (kept: the first 65,536 of 256,000 bytes)"


def test_any_period_is_summed_to_the_frame(store: Store, url: str) -> None:
    if not is_sql(url):
        pytest.skip("adding so many takes the emulator too long")
    given = [observation(NOON + timedelta(minutes=7 * n), n) for n in range(20_000)]
    for at in range(0, len(given), 5000):
        store.add(given[at : at + 5000])
    start = NOON + timedelta(minutes=3)
    end = start + timedelta(days=80, hours=7, minutes=11)
    summary = store.summary(start, end)
    assert summary.frames == sum(one.time is not None and start <= one.time < end for one in given)


def test_a_reader_sees_but_never_writes(store: Store, url: str) -> None:
    reader = open_store(url, read_only=True)
    store.add([observation()])
    assert len(reader.recent(NOON)) == 1
    with pytest.raises(StoreError, match="cannot write the store"):
        reader.add([observation()])
    reader.close()


FORWARDER = """
import sys
from contextlib import closing
from datetime import timedelta
from mien.observation import Observation, new_id, now
from mien.stores.base import open_store
session, begin, size = new_id(), now(), (640, 360)
times = [begin + timedelta(seconds=n) for n in range(1000)]
seen = [
    Observation(new_id(), sys.argv[2], session, n, time, None, n, *size, "m@00000000", 5.0, [])
    for n, time in enumerate(times)
]
with closing(open_store(sys.argv[1])) as store:
    store.add(seen)
"""


class TestSqlite:
    @pytest.fixture
    def url(self, tmp_path: Path) -> str:
        return f"sqlite:///{tmp_path / 'mien.db'}"

    def test_the_file_is_its_owners_alone(self, store: Store, tmp_path: Path) -> None:
        store.add([observation()])
        for file in tmp_path.glob("mien.db*"):
            assert stat.S_IMODE(file.stat().st_mode) == 0o600

    def test_syncs_every_commit(self, tmp_path: Path) -> None:
        store = open_store(f"sqlite:///{tmp_path / 'mien.db'}")
        with store._engine.connect() as connection:  # type: ignore[attr-defined]
            assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
            assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        store.close()

    def test_a_path_with_odd_characters_works(self, tmp_path: Path) -> None:
        folder = tmp_path / "50% of all #1 ü"
        folder.mkdir()
        store = open_store(f"sqlite:///{folder}/m.db")
        store.add([observation()])
        store.close()
        assert (folder / "m.db").is_file()

    def test_not_a_database(self, tmp_path: Path) -> None:
        (tmp_path / "mien.db").write_text("this is a letter to a friend, and no database at all\n" * 40)
        with pytest.raises(StoreError, match="not a database; it is a file of another kind"):
            open_store(f"sqlite:///{tmp_path / 'mien.db'}")

    def test_a_missing_folder(self, tmp_path: Path) -> None:
        with pytest.raises(StoreError, match="there is no folder"):
            open_store(f"sqlite:///{tmp_path / 'none' / 'mien.db'}")
        with pytest.raises(StoreError, match=r"store '.*file name too long"):
            open_store(f"sqlite:///{tmp_path / ('a' * 300)}")

    def test_a_folder(self, tmp_path: Path) -> None:
        with pytest.raises(StoreError, match="it is a folder"):
            open_store(f"sqlite:///{tmp_path}")

    @pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:"])
    def test_no_file(self, url: str) -> None:
        with pytest.raises(StoreError, match="names no file"):
            open_store(url)

    def test_an_unknown_scheme(self) -> None:
        with pytest.raises(StoreError, match="no store for 'oracle:'"):
            open_store("oracle://x")

    def test_a_reader_needs_a_store(self, tmp_path: Path) -> None:
        url = f"sqlite:///{tmp_path / 'mien.db'}"
        with pytest.raises(StoreError, match="there is no store"):
            open_store(url, read_only=True)
        sqlite3.connect(tmp_path / "mien.db").close()
        (tmp_path / "mien.db").touch()
        with pytest.raises(StoreError, match="is empty"):
            open_store(url, read_only=True)

    def test_a_file_that_may_not_be_written(self, tmp_path: Path) -> None:
        if os.geteuid() == 0:
            path = Path("/proc/version")
        else:
            path = tmp_path / "mien.db"
            path.touch(mode=0o400)
        with pytest.raises(StoreError, match="cannot write the store"):
            open_store(f"sqlite:///{path}")

    def test_a_reader_outlives_writers_that_come_and_go(self, tmp_path: Path) -> None:
        """A dashboard keeps a reader, opens the file a second time to add a marker, and forwarders start and end."""
        url = f"sqlite:///{tmp_path / 'mien.db'}"
        open_store(url).close()
        with closing(open_store(url, read_only=True)) as reader:
            assert reader.sources() == []
            open_store(url).close()
            for turn in range(1, 4):
                subprocess.run([sys.executable, "-c", FORWARDER, url, f"camera-{turn}"], check=True, timeout=200)
                assert [source.frames for source in reader.sources()] == [1000] * turn
                assert sum(len(batch) for batch in reader.observations()) == 1000 * turn

    def test_a_later_schema_is_left_alone(self, tmp_path: Path) -> None:
        url = f"sqlite:///{tmp_path / 'mien.db'}"
        open_store(url).close()
        with sqlite3.connect(tmp_path / "mien.db") as raw:
            raw.execute("UPDATE state SET value = 99 WHERE name = 'schema'")
        raw.close()
        with pytest.raises(StoreError, match=r"version 99 of the tables.*upgrade Mien"):
            open_store(url)

    def test_an_earlier_schema_is_brought_up_to_date(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        from mien.stores import migrations, sql

        url = f"sqlite:///{tmp_path / 'mien.db'}"
        first = open_store(url)
        first.add([observation()])
        first.close()
        monkeypatch.setattr(sql, "SCHEMA", SCHEMA + 2)
        for n, statement in enumerate(("ALTER TABLE sources ADD note TEXT", "UPDATE sources SET note=1"), SCHEMA + 1):
            monkeypatch.setitem(migrations.STEPS, n, (statement,))
        store = open_store(url)
        assert len(store.recent(NOON)) == 1
        store.close()
        with sqlite3.connect(tmp_path / "mien.db") as raw:
            assert raw.execute("SELECT note FROM sources").fetchall() == [("1",)]
        raw.close()
        open_store(url).close()

    def test_nothing_of_what_was_erased_is_left_in_the_file(self, store: Store, tmp_path: Path) -> None:
        told = "the-model-that-saw-it@00000000"
        store.add([msgspec.structs.replace(observation(seq=n), model=told) for n in range(50)])
        assert store.erase("lobby", NOON, NOON + timedelta(seconds=1)) == 50
        for file in tmp_path.glob("mien.db*"):
            assert told.encode() not in file.read_bytes()

    @pytest.mark.parametrize("how", ["deleted", "replaced", "moved away"])
    def test_nothing_is_written_to_a_file_that_is_there_no_more(self, store: Store, tmp_path: Path, how: str) -> None:
        given = [observation(seq=n) for n in range(20)]
        reader = open_store(f"sqlite:///{tmp_path / 'mien.db'}", read_only=True)
        store.add(given[:10])
        if how == "replaced":
            other = open_store(f"sqlite:///{tmp_path / 'other.db'}")
            other.add(given[5:8])
            other.close()
            (tmp_path / "other.db").replace(tmp_path / "mien.db")
        elif how == "deleted":
            (tmp_path / "mien.db").unlink()
        else:
            (tmp_path / "mien.db").rename(tmp_path / "away.db")
        assert store.add(given[10:]) == 10, "it goes to the file that is there now"
        here = {one.id for one in open_store(f"sqlite:///{tmp_path / 'mien.db'}", read_only=True).recent(NOON)}
        assert here == {one.id for one in given[10:] + (given[5:8] if how == "replaced" else [])}
        assert len(reader.recent(NOON)) == len(here), "who reads follows"
        reader.close()

    def test_a_commit_to_a_file_that_goes_meanwhile_is_none(
        self, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from mien.stores import sql

        path, grow = tmp_path / "mien.db", sql.sums.grow

        def replaced(*arguments: object) -> None:
            grow(*arguments)  # type: ignore[arg-type]
            path.rename(tmp_path / "away.db")

        monkeypatch.setattr(sql.sums, "grow", replaced)
        with pytest.raises(StoreError, match="was deleted, or replaced"):
            store.add([observation()])
        monkeypatch.undo()
        assert store.add([observation()]) == 1
        assert len(open_store(f"sqlite:///{path}", read_only=True).recent(NOON)) == 1

    def test_a_backup_is_restored_while_others_read_and_write(self, store: Store, tmp_path: Path) -> None:
        url, saved = f"sqlite:///{tmp_path / 'mien.db'}", tmp_path / "saved.db"
        given = [observation(seq=n, faces=2) for n in range(300)]
        store.add(given[:200])
        backup(url, saved)
        store.add(given[200:])
        reader = open_store(url, read_only=True)
        assert len(reader.recent(NOON)) == 300
        restore(url, saved)
        assert len(reader.recent(NOON)) == len(store.recent(NOON)) == 200
        assert store.add(given) == 100, "what an outbox still has comes again"
        assert reader.summary(NOON, NOON + timedelta(minutes=1)).faces == 600
        reader.close()
        (tmp_path / "nonsense.db").write_bytes(b"x" * 5000)
        for bad in (tmp_path / "nonsense.db", tmp_path / "nothing.db"):
            with pytest.raises(StoreError, match=bad.name):
                restore(url, bad)
        with closing(sqlite3.connect(tmp_path / "empty.db")) as raw:
            raw.execute("CREATE TABLE other (n INTEGER)")
        with pytest.raises(StoreError, match="holds no store"):
            restore(url, tmp_path / "empty.db")
        assert len(store.recent(NOON)) == 300

    def test_a_full_disk_is_told_and_survived(self, store: Store) -> None:
        with store._engine.connect() as connection:  # type: ignore[attr-defined]
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
            connection.exec_driver_sql(f"PRAGMA max_page_count = {pages + 5}")
        given = [observation(seq=n, faces=20) for n in range(500)]
        with pytest.raises(StoreError, match="disk is full; make room"):
            store.add(given)
        assert store.sources() == store.recent(NOON) == []
        with store._engine.connect() as connection:  # type: ignore[attr-defined]
            connection.exec_driver_sql("PRAGMA max_page_count = 1000000")
        assert store.add(given) == 500
