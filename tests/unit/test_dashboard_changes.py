"""Markers, pictures and exports over the API."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import polars as pl
import pytest

from asking import Client, serving
from mien.dashboard.api.analyze import MAX_PICTURE
from mien.media.demo import Demo
from mien.observation import EMOTIONS, Face, Observation, Probabilities, new_id
from mien.stores.base import open_store
from mien.table import COLUMNS

START = datetime(2026, 11, 22, 7, 0, tzinfo=timezone.utc)
WINDOW = {"from": "2026-11-22T07:00:00Z", "to": "2026-11-22T08:00:00"}


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    with serving(tmp_path) as client:
        yield client


@pytest.fixture(params=["sqlite", "postgresql"])
def filled(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Client]:
    """A lobby's ten minutes with two faces each, in each kind of store."""
    url = f"sqlite:///{tmp_path / 'mien.db'}"
    if request.param == "postgresql":
        server = request.getfixturevalue("postgresql")
        database = server.new_database()
        url = server.url(database)
    face = Face(1, (10, 10, 90, 90), 0.9, "happy", Probabilities(0.1, 0.0, 0.0, 0.6, 0.0, 0.1, 0.2))
    store = open_store(url)
    store.add(
        [
            Observation(
                new_id(),
                "lobby",
                new_id(),
                n,
                START + timedelta(minutes=n),
                None,
                n,
                640,
                360,
                "mien-1@00000000",
                5.0,
                [face] * 2,
            )
            for n in range(10)
        ]
    )
    store.close()
    with serving(tmp_path, url) as client:
        yield client
    if request.param == "postgresql":
        server.drop(database)


def test_a_marker_stays_until_deleted(filled: Client) -> None:
    made = filled.post("/v1/markers", json={"label": " The show begins ", "time": "2026-11-22T07:05:00+00:00"})
    assert made.status_code == 201
    marker = made.json()
    assert marker["label"] == "The show begins"
    assert (marker["time"], marker["source"], marker["created_by"]) == ("2026-11-22T07:05:00Z", None, "local")
    other = filled.post("/v1/markers", json={"label": "Ω 🙂", "time": "2026-11-22T07:06:00Z", "source": "stage"}).json()
    assert filled.get("/v1/markers", params=WINDOW).json() == [marker, other]
    assert filled.get("/v1/markers", params={**WINDOW, "source": "lobby"}).json() == [marker]
    assert filled.get("/v1/markers", params={**WINDOW, "limit": 1}).json() == [other]
    assert filled.request("DELETE", f"/v1/markers/{marker['id']}").status_code == 204
    gone = filled.request("DELETE", f"/v1/markers/{marker['id']}")
    assert (gone.status_code, gone.json()["error"]["code"]) == (404, "not_found")
    assert filled.get("/v1/markers", params=WINDOW).json() == [other]


def test_a_marker_without_a_time_is_of_now(client: Client) -> None:
    time = datetime.fromisoformat(client.post("/v1/markers", json={"label": "x"}).json()["time"].replace("Z", "+00:00"))
    assert abs((datetime.now(timezone.utc) - time).total_seconds()) < 30


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no JSON",
        b"[]",
        b"{}",
        b'{"label": ""}',
        b'{"label": "  "}',
        b'{"label": "a\\u0000b"}',
        b'{"label": "a\\ud800b"}',
        b'{"label": "a\\nb"}',
        b'{"label": 5}',
        b'{"label": "' + b"x" * 201 + b'"}',
        b'{"label": "x", "time": "noon"}',
        b'{"label": "x", "time": "1492-10-12T00:00:00Z"}',
        b'{"label": "x", "time": "2026-11-22T00:00:00", "source": "Lobby"}',
        b'{"label": "x", "colour": "red"}',
        b'{"label": "x", "\\ud800": 1}',
        b'{"label": ' + b"[" * 60_000,
        b"\xff\xfe",
    ],
)
def test_a_marker_that_cannot_be_is_refused(client: Client, body: bytes) -> None:
    answer = client.post("/v1/markers", content=body, headers={"content-type": "application/json"})
    assert answer.status_code in (400, 422), answer.text
    assert set(answer.json()["error"]) == {"code", "message"}
    assert len(answer.json()["error"]["message"]) < 400


def jpeg(picture: np.ndarray) -> bytes:
    return bytes(cv2.imencode(".jpg", picture)[1])


def test_a_picture_without_faces(client: Client) -> None:
    answer = client.post("/v1/analyze", content=jpeg(np.full((120, 160, 3), 90, np.uint8)))
    assert answer.status_code == 200
    told = answer.json()
    assert (told["width"], told["height"], told["faces"]) == (160, 120, [])
    assert "@" in told["model"]


def test_a_picture_tells_plausible_emotions_where_sets_are_asked_for(client: Client) -> None:
    content = jpeg(Demo().image(1.0))
    (face,) = client.post("/v1/analyze?sets=0.9", content=content).json()["faces"]
    assert set(face["plausible"]) <= set(EMOTIONS)
    assert face["plausible"]
    assert "plausible" not in client.post("/v1/analyze", content=content).json()["faces"][0]
    for wrong in ("0.7", "2", "often"):
        answer = client.post(f"/v1/analyze?sets={wrong}", content=content)
        assert answer.status_code == 422, answer.text
        assert set(answer.json()["error"]) == {"code", "message"}


@pytest.mark.data
def test_the_faces_of_a_photo_are_those_of_mien_analyze(client: Client, samples: Path) -> None:
    import mien

    photo = samples / "five-faces.jpg"
    answer = client.post("/v1/analyze", content=photo.read_bytes(), headers={"content-type": "text/plain"})
    faces = answer.json()["faces"]
    expected = mien.analyze(photo)
    assert [tuple(face["box"]) for face in faces] == [face.box for face in expected]
    assert [face["emotion"] for face in faces] == [face.emotion for face in expected]
    assert len(faces) == 5


def bomb() -> bytes:
    """A PNG of 20,000 x 20,000 pixels in a few kilobytes of header and nothing."""
    import struct
    import zlib

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 20_000, 20_000, 8, 2, 0, 0, 0)
    pixels = zlib.compress(b"\0" * 50_000_000, 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("content", "status", "told"),
    [
        (b"", 422, "empty"),
        (b"hello", 422, "no picture of a kind known here"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", 422, "no picture"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 100, 422, "cannot read the picture"),
        (b"\xff\xd8\xff" + b"\0" * 1000, 422, "cannot read the picture"),
        (jpeg(np.zeros((64, 64, 3), np.uint8))[:300], 422, "cannot read the picture"),
        (bomb(), 422, "pixels"),
        (b"\xff\xd8\xff" + b"\0" * MAX_PICTURE, 413, "16 MiB"),
    ],
    ids=["nothing", "text", "svg", "no-png", "no-jpeg", "cut", "bomb", "large"],
)
def test_what_is_no_picture_is_refused(client: Client, content: bytes, status: int, told: str) -> None:
    answer = client.post("/v1/analyze", content=content, headers={"content-type": "image/jpeg"})
    assert (answer.status_code, told in answer.json()["error"]["message"]) == (status, True), answer.text


def test_a_model_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    with serving(tmp_path, vision={"model": tmp_path / "none.onnx"}) as client:
        answer = client.post("/v1/analyze", content=jpeg(np.zeros((64, 64, 3), np.uint8)))
    assert (answer.status_code, "none.onnx" in answer.json()["error"]["message"]) == (500, True)


def test_a_body_without_a_length_is_bounded_too(client: Client) -> None:
    sent = 0

    async def endless() -> Any:
        nonlocal sent
        while sent < 4 * MAX_PICTURE:
            sent += 1 << 20
            yield b"\0" * (1 << 20)

    answer = client.post("/v1/analyze", content=endless())
    assert answer.status_code == 413
    assert sent <= MAX_PICTURE + (2 << 20)


def test_export_of_what_the_chart_shows(filled: Client) -> None:
    answer = filled.get("/v1/export", params=WINDOW)
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] == 'attachment; filename="mien-20261122T070000-timeline.csv"'
    lines = list(csv.DictReader(io.StringIO(answer.text)))
    assert [line["start"] for line in lines] == [f"2026-11-22T07:0{n}:00Z" for n in range(10)]
    assert (lines[0]["faces"], lines[0]["count_happy"], lines[0]["width_s"]) == ("2", "2", "60")
    assert float(lines[0]["happiness"]) == pytest.approx(60)
    table = pl.read_parquet(filled.get("/v1/export", params={**WINDOW, "format": "parquet"}).content)
    assert table.columns == list(lines[0])
    assert table["start"][0] == START
    assert table["share_happy"].to_list() == pytest.approx([60.0] * 10)


def test_export_of_every_face(filled: Client) -> None:
    asked = {**WINDOW, "table": "faces", "to": "2026-11-22T07:05:00Z"}
    lines = list(csv.DictReader(io.StringIO(filled.get("/v1/export", params=asked).text)))
    assert list(lines[0]) == list(COLUMNS)
    assert len(lines) == 10
    table = pl.read_parquet(filled.get("/v1/export", params={**asked, "format": "parquet"}).content)
    assert table.columns == list(COLUMNS)
    assert table["id"].to_list() == [line["id"] for line in lines]
    assert table.select(EMOTIONS).row(0) == pytest.approx((0.1, 0.0, 0.0, 0.6, 0.0, 0.1, 0.2))


@pytest.mark.parametrize("table", ["timeline", "faces"])
def test_export_of_nothing_has_its_columns(filled: Client, table: str) -> None:
    asked = {"from": "2025-01-01", "to": "2025-01-02", "table": table}
    text = filled.get("/v1/export", params=asked).text
    empty = pl.read_parquet(filled.get("/v1/export", params={**asked, "format": "parquet"}).content)
    assert text.strip().split(",") == empty.columns
    assert empty.height == 0


def test_exports_give_their_places_back(filled: Client) -> None:
    for _ in range(5):
        assert filled.get("/v1/export", params={**WINDOW, "table": "faces"}).status_code == 200


def test_export_without_a_store_says_so(client: Client) -> None:
    for _ in range(4):
        assert client.get("/v1/export", params={**WINDOW, "table": "faces"}).status_code == 503
