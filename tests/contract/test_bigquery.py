# ruff: noqa: S608
"""What holds for the store in BigQuery alone; the contract that it shares stands in test_store.py."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta

import pytest
from test_store import NOON, empty_dataset, observation

from mien.errors import StoreError
from mien.stores import bigquery_tables
from mien.stores.base import open_store
from mien.stores.bigquery_client import Dataset
from mien.stores.rows import to_microseconds

pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def dataset(bigquery: None) -> Iterator[Dataset]:
    open_store("bigquery://test-project/contract").close()
    dataset = Dataset("test-project", "contract", None)
    yield dataset
    dataset.close()
    empty_dataset("test-project", "contract")


def test_tables_are_partitioned_by_day_and_clustered_by_source(dataset: Dataset) -> None:
    for name, column in bigquery_tables.DAILY.items():
        table = dataset.client.get_table(f"{dataset.name}.{name}")
        assert table.time_partitioning.field == column
        assert table.clustering_fields == ["source"]


def test_a_row_that_comes_twice_counts_once_wherever_it_is_read(dataset: Dataset) -> None:
    given = [observation(NOON + timedelta(minutes=n), n, faces=2) for n in range(3)]
    for late in range(3):
        rows = [(to_microseconds(one.time), one) for one in given if one.time]
        dataset.append("observations", [bigquery_tables.to_row(at, one, at + late) for at, one in rows])
    assert next(dataset.read(f"SELECT COUNT(*) FROM {dataset.table('observations')}"))[0] == 9
    for view, expected in {"frames": 3, "faces": 6, "rollups_minute": 3, "rollups_hour": 1, "rollups_day": 1}.items():
        assert next(dataset.read(f"SELECT COUNT(*) FROM {dataset.table(view)}"))[0] == expected, view
    (hour,) = dataset.read(f"SELECT * FROM {dataset.table('rollups_hour')}")
    assert (hour.start, hour.source, hour.frames, hour.faces, hour.unclear, hour.count_happy) == (
        *(NOON, "lobby", 3, 6, 3, 3),
    )
    with closing(open_store("bigquery://test-project/contract")) as store:
        assert store.add(given) == 0
        assert store.sources()[0].frames == 3
        assert store.prune(NOON + timedelta(minutes=1)) == 1
        assert store.summary(NOON, NOON + timedelta(hours=1)).frames == 3


def test_what_a_writer_brings_late_into_an_erased_time_stays_unseen_and_goes(dataset: Dataset) -> None:
    with closing(open_store("bigquery://test-project/contract")) as store:
        late = observation()
        store.erase("lobby", NOON, NOON + timedelta(minutes=1))
        dataset.append("observations", [bigquery_tables.to_row(to_microseconds(NOON), late, to_microseconds(NOON))])
        assert store.recent(NOON) == store.sources() == []
        store.prune(NOON - timedelta(days=1))
    assert next(dataset.read(f"SELECT COUNT(*) FROM {dataset.table('observations')}"))[0] == 0


def test_a_reader_needs_a_store(bigquery: None) -> None:
    with pytest.raises(StoreError, match=r"'test-project\.nothing'.*`mien forward`"):
        open_store("bigquery://test-project/nothing", read_only=True)


@pytest.mark.parametrize(
    "url", ["bigquery://", "bigquery://project", "bigquery://Pro`ject/x", "bigquery://project/a-b"]
)
def test_no_url(url: str) -> None:
    with pytest.raises(StoreError, match="expected bigquery://project/dataset"):
        open_store(url)


def test_where_nobody_answers_there_is_one_line(monkeypatch: pytest.MonkeyPatch, free_port: int) -> None:
    from mien.stores import bigquery_client

    monkeypatch.setattr(bigquery_client, "RETRY", bigquery_client.RETRY.with_timeout(0.5))
    monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", f"http://127.0.0.1:{free_port}")
    monkeypatch.setenv("BIGQUERY_STORAGE_EMULATOR_HOST", f"127.0.0.1:{free_port}")
    with pytest.raises(StoreError, match=r"cannot read the store 'project.data': .*; check the network") as told:
        open_store("bigquery://project/data")
    assert "\n" not in str(told.value)
    monkeypatch.delenv("BIGQUERY_STORAGE_EMULATOR_HOST")
    with pytest.raises(StoreError, match="set both, or none"):
        open_store("bigquery://project/data")


def test_without_the_clients_the_extra_is_named() -> None:
    code = (
        "import sys; sys.modules['google.cloud.bigquery'] = None\n"
        "from mien.stores.base import open_store\n"
        "open_store('bigquery://project/data')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert "MissingExtraError: a store at 'bigquery:' needs the extra 'bigquery'" in done.stderr
