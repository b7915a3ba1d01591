"""What a forwarder makes of messages on the topic `marker`."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone

import pytest

from mien.forward.markers import BURST, MAX_SOURCES, PER_S, MarkerReader
from mien.observation import new_id

NOON = datetime(2026, 11, 29, 12, tzinfo=timezone.utc)


@pytest.fixture
def seconds() -> list[float]:
    return [1000.0]


@pytest.fixture
def reader(seconds: list[float]) -> MarkerReader:
    return MarkerReader(lambda: NOON, lambda: seconds[0])


def read(reader: MarkerReader, source: str = "hall", *, retained: bool = False, **fields: object) -> object:
    return reader.read(source, json.dumps({"label": "the joke"} | fields).encode(), retained=retained)


def test_a_marker_has_its_own_time_or_that_of_its_arrival(reader: MarkerReader) -> None:
    key = new_id()
    assert read(reader, time="2026-11-29T12:30:00+01:00", id=key) == (
        *(key, NOON - timedelta(minutes=30), "the joke", "hall", "mqtt"),
    )
    arrived = reader.read("hall", b'{"label": "now"}', retained=False)
    assert arrived
    assert (arrived.time, arrived.source) == (NOON, "hall")
    everywhere = reader.read("hall", b'{"label": "now", "everywhere": true}', retained=False)
    assert everywhere
    assert everywhere.source is None
    assert (reader.taken, reader.refused) == (3, 0)


def test_what_comes_twice_has_one_id(reader: MarkerReader) -> None:
    at = NOON.isoformat()
    first, twin, other = (
        reader.read("hall", json.dumps(body).encode(), retained=False)
        for body in (
            {"label": "a", "time": at},
            {"label": "a", "time": at},
            {"label": "b", "time": at},
        )
    )
    assert first
    assert twin
    assert other
    assert first.id == twin.id != other.id


@pytest.mark.parametrize(
    ("source", "retained", "fields"),
    [
        ("../x", False, {}),
        ("hall", True, {}),
        ("hall", False, {"time": "1969-12-31T23:59:59Z"}),
        ("hall", False, {"time": "2026-12-01T12:00:00Z"}),
        ("hall", False, {"label": "x" * 5000}),
        ("hall", False, {"until": 5}),
    ],
)
def test_what_is_no_marker_is_counted_and_told(
    reader: MarkerReader, caplog: pytest.LogCaptureFixture, source: str, retained: bool, fields: dict[str, object]
) -> None:
    assert read(reader, source, retained=retained, **fields) is None
    assert (reader.taken, reader.refused) == (0, 1)
    (line,) = caplog.messages
    assert line.isprintable()


def test_each_source_has_a_bounded_rate(
    reader: MarkerReader, seconds: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    kept = [read(reader) is not None for _ in range(300)]
    assert sum(kept) == BURST
    assert all(kept[: int(BURST)])
    assert read(reader, "other") is not None, "each source has its own"
    assert len(caplog.messages) == 1, "a flood is told once a minute"
    seconds[0] += 2
    assert sum(read(reader) is not None for _ in range(300)) == 2 * PER_S


def test_many_sources_share_what_is_left(reader: MarkerReader) -> None:
    kept = sum(read(reader, f"s-{n}") is not None for n in range(MAX_SOURCES + 300))
    assert kept == MAX_SOURCES + BURST
