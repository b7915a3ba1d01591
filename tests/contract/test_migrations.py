"""Stores that earlier versions made, with something in them, are brought up to date and lose nothing.

`schemas/` holds what each version of the tables was, written by that version itself: two observations of minute 0 were
pruned there, four were left, and a dead letter.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from test_store import NOON, marker, observation

from mien.errors import StoreError
from mien.stores.base import open_store
from mien.stores.tables import SCHEMA

SCHEMAS = Path(__file__).parent / "schemas"


@pytest.fixture(params=sorted(path.stem for path in SCHEMAS.glob("*.sql")))
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    written = (SCHEMAS / f"{request.param}.sql").read_text(encoding="utf-8")
    if request.param.startswith("sqlite"):
        with closing(sqlite3.connect(tmp_path / "mien.db")) as raw:
            raw.executescript(written)
        yield f"sqlite:///{tmp_path / 'mien.db'}"
        return
    server = request.getfixturevalue("postgresql")
    database = server.new_database()
    server.query(database, written)
    yield server.url(database)
    server.drop(database)


def test_every_version_but_the_present_one_is_there() -> None:
    versions = {f"{database}-{n}" for database in ("sqlite", "postgresql") for n in range(1, SCHEMA)}
    assert {path.stem for path in SCHEMAS.glob("*.sql")} == versions


def test_an_old_store_is_brought_up_to_date(url: str) -> None:
    with pytest.raises(StoreError, match="start `mien forward`, which upgrades it"):
        open_store(url, read_only=True)
    with closing(open_store(url)) as store:
        end = NOON + timedelta(hours=1)
        assert [one.seq for one in store.recent(NOON)] == [2, 3, 4, 5]
        assert [len(one.faces) for one in store.recent(NOON)] == [2, 0, 1, 2]
        assert (store.summary(NOON, end).frames, store.summary(NOON, end).faces) == (6, 6)
        assert store.pruned_before() == NOON + timedelta(minutes=1)
        assert store.sources() == [("lobby", NOON, NOON + timedelta(seconds=200), 6)]
        assert [(letter.reason, letter.payload) for letter in store.dead_letters()] == [("no JSON", b"\xff?")]
        assert store.add(store.recent(NOON)) == 0
        assert store.add([observation(NOON + timedelta(minutes=9))]) == 1
        assert store.add_markers([marker()]) == 1
        assert store.erase("lobby", NOON, end) == 5
        assert store.sources() == []
    open_store(url, read_only=True).close()
