"""The record: what is valid goes through unchanged, nothing else goes through."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import datetime, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.observation import (
    EMOTIONS,
    MAX_PAYLOAD,
    MODEL_NAME,
    Face,
    Observation,
    Probabilities,
    decode,
    encode,
    new_id,
    slug,
)

SHARES = {"angry": 0.01, "disgust": 0, "fear": 0.01, "happy": 0.93, "sad": 0.01, "surprise": 0.02, "neutral": 0.02}
FACE = {"track": 3, "box": [412, 190, 96, 96], "confidence": 0.97, "emotion": "happy", "probabilities": SHARES}
RECORD: dict[str, Any] = {
    "id": new_id(),
    "source": "lobby",
    "session": new_id(),
    "seq": 374,
    "time": "2026-11-22T07:01:54.123456Z",
    "offset_s": 12.48,
    "frame": 374,
    "width": 1280,
    "height": 720,
    "model": "mien-1@3f9c2a1b",
    "elapsed_ms": 7.9,
    "faces": [FACE],
}


def record(**changes: Any) -> bytes:
    return json.dumps(RECORD | changes).encode()


def face(**changes: Any) -> bytes:
    return record(faces=[FACE | changes])


def test_reads_the_example_of_the_design() -> None:
    one = decode(record())
    assert isinstance(one, Observation)
    assert one.time == datetime(2026, 11, 22, 7, 1, 54, 123456, tzinfo=timezone.utc)
    assert one.faces[0].probabilities.happy == 0.93
    assert json.loads(encode(one)) == RECORD


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\xff\xfe",
        b"null",
        b"[]",
        b"{}",
        b"[" * 100_000,
        b'{"id":' * 50_000,
        record() + b"x",
        record(id="1"),
        record(id=RECORD["id"] + "\n"),
        record(source="Lobby"),
        record(source="a/b"),
        record(source=""),
        record(source="a" * 65),
        record(source="lobby\n"),
        record(seq=-1),
        record(seq=2**53),
        record(seq=1.5),
        record(seq=True),
        record(time="2026-11-22T07:01:54"),
        record(time="yesterday"),
        record(time=5),
        record(width=0),
        record(offset_s=-1),
        record(offset_s=1e300),
        record(elapsed_ms=None),
        record(model=""),
        record(model="m" * 81 + "@3f9c2a1b"),
        record(model="mien-1"),
        record(model='=HYPERLINK("http://x")@3f9c2a1b'),
        record(model="mien-1@3f9c2a1b\n"),
        record(faces=None),
        record(more="?"),
        record(faces=[FACE] * 5001),
        face(box=[1, 2, 3]),
        face(box=[1, 2, 3, 0]),
        face(box=[1.5, 2, 3, 4]),
        face(confidence=1.1),
        face(emotion="joy"),
        face(probabilities=SHARES | {"happy": 0.5}),
        face(probabilities=SHARES | {"joy": 0}),
        record().replace(b"0.93", b"NaN"),
        record().replace(b"0.93", b"1e999"),
    ],
)
def test_refuses_what_is_no_observation(payload: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        decode(payload)


def test_refuses_what_is_too_large() -> None:
    with pytest.raises(ValueError, match="more than the 1,048,576 allowed"):
        decode(b" " * (MAX_PAYLOAD + 1))


def test_the_reason_says_where() -> None:
    with pytest.raises(ValueError, match=r"\$\.faces\[0\]\.confidence"):
        decode(face(confidence=7))


@given(st.binary(max_size=300))
def test_noise_is_refused(payload: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - any of them
        decode(payload)


@given(st.data())
def test_a_damaged_record_is_refused_or_valid(data: st.DataObject) -> None:
    payload = bytearray(record())
    for _ in range(data.draw(st.integers(1, 4))):
        payload[data.draw(st.integers(0, len(payload) - 1))] = data.draw(st.integers(0, 255))
    try:
        one = decode(bytes(payload))
    except ValueError:
        return
    assert decode(encode(one)) == one


shares = st.lists(st.floats(0.01, 1), min_size=7, max_size=7).map(lambda values: [v / sum(values) for v in values])
faces = st.builds(
    Face,
    track=st.none() | st.integers(0, 2**53 - 1),
    box=st.tuples(*[st.integers(-(2**20) + 1, 2**20 - 1)] * 2, *[st.integers(1, 2**20 - 1)] * 2),
    confidence=st.floats(0, 1),
    emotion=st.none() | st.sampled_from(EMOTIONS),
    probabilities=shares.map(lambda values: Probabilities(*values)),
)
observations = st.builds(
    Observation,
    id=st.builds(new_id),
    source=st.from_regex("[a-z0-9_-]{1,64}", fullmatch=True),
    session=st.builds(new_id),
    seq=st.integers(0, 2**53 - 1),
    time=st.none() | st.datetimes(timezones=st.just(timezone.utc)),
    offset_s=st.none() | st.floats(0, 1e9),
    frame=st.integers(0, 2**53 - 1),
    width=st.integers(1, 2**20 - 1),
    height=st.integers(1, 2**20 - 1),
    model=st.from_regex(rf"\A{MODEL_NAME}@[0-9a-f]{{8}}\Z"),
    elapsed_ms=st.floats(0, 1e9),
    faces=st.lists(faces, max_size=3),
)


@given(observations)
def test_what_is_valid_comes_back_unchanged(one: Observation) -> None:
    assert decode(encode(one)) == one


def test_ids_are_unique_uuids_that_sort_by_time() -> None:
    ids = [new_id() for _ in range(2000)]
    assert len(set(ids)) == 2000
    assert [one[:13] for one in ids] == sorted(one[:13] for one in ids)
    assert {one[14] for one in ids} == {"7"}
    assert {one[19] for one in ids} <= set("89ab")


@pytest.mark.parametrize(
    ("name", "expected"),
    [("Foyer Süd 2", "foyer-sud-2"), ("lobby", "lobby"), ("日本", "source"), ("a" * 99, "a" * 64), ("../x", "x")],
)
def test_slugs_are_valid_sources(name: str, expected: str) -> None:
    assert slug(name) == expected
    decode(record(source=slug(name)))


def test_importing_mien_is_light() -> None:
    script = "import sys, mien; print(sorted({'numpy', 'cv2', 'msgspec', 'sqlalchemy', 'paho'} & set(sys.modules)))"
    assert subprocess.check_output([sys.executable, "-c", script], text=True).strip() == "[]"
