"""Reports over the dashboard: what is taken in, how it is made, stopped, served and deleted, and who may."""

from __future__ import annotations

import asyncio
import json
import re
import stat
import subprocess
import sys
import time
import zipfile
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import datetime, timedelta, timezone
from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np
import polars as pl
import pytest
from fastapi import FastAPI
from making import write_video

from asking import Client
from meetings import SIZES, Meeting, Person
from mien.config import Settings
from mien.dashboard.api.app import Api
from mien.dashboard.api.reports import finished
from mien.dashboard.data.listener import Listener
from mien.dashboard.data.queries import Queries
from mien.dashboard.errors import ApiError, answer_errors
from mien.dashboard.jobs import reports as making_module
from mien.dashboard.jobs.media_folder import find_media, list_media
from mien.dashboard.jobs.reports import ReportQueue
from mien.dashboard.jobs.uploads import PLACES, Uploads, clean_name, kind_of
from mien.dashboard.security.accounts import Access, make_token
from mien.dashboard.security.guard import Guard
from mien.dashboard.security.roles import ROLES
from mien.media.demo import PORTRAIT
from mien.observation import EMOTIONS, Face, Observation, Probabilities, new_id
from mien.reports.base.job import Job
from mien.reports.base.recordings import Inputs, read_recordings
from mien.reports.examples import sample_picture
from mien.stores.base import Marker, open_store


class House:
    """A dashboard's reports behind its guard, with a token for each role."""

    def __init__(self, home: Path, client: Client, making: ReportQueue, tokens: dict[str, dict[str, str]]) -> None:
        self.home, self.client, self.making, self.tokens = home, client, making, tokens

    def ask(self, method: str, path: str, role: str = "editor", **options: Any) -> httpx.Response:
        return self.client.request(method, path, headers=self.tokens[role], **options)

    def upload(self, name: str, content: bytes) -> str:
        answer = self.ask("POST", "/api/v1/uploads", params={"name": name}, content=content)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def make(self, **body: Any) -> str:
        answer = self.ask("POST", "/api/v1/reports", json=body)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    def wait(self, key: str, until: Callable[[dict[str, Any]], bool] | None = None) -> dict[str, Any]:
        """Return a report once it has ended, or is as wanted."""
        wanted = until or (lambda told: told["state"] not in ("waiting", "working"))
        end = time.monotonic() + 100
        while time.monotonic() < end:
            told: dict[str, Any] = self.ask("GET", f"/api/v1/reports/{key}", "viewer").json()
            if wanted(told):
                return told
            time.sleep(0.05)
        pytest.fail(f"the report stays {told}")


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    home = tmp_path_factory.mktemp("reports") / "home"
    (home.parent / "media" / "holiday").mkdir(parents=True)
    settings = Settings(home=home, dashboard={"upload_mb": 4, "media": home.parent / "media"})  # type: ignore[arg-type]
    settings.ensure_home()
    queries = Queries(settings.store_url, Listener(settings))
    api = Api(queries, settings)
    app = FastAPI(openapi_url=None)
    answer_errors(app)
    app.include_router(finished(api.making))
    app.mount("/api", api.app)
    guard = Guard(app, "127.0.0.1", access=Access(home), always=True, per_s=1e6)
    tokens = {role: {"authorization": f"Bearer {make_token(home, f'the-{role}', role)}"} for role in ROLES}
    tokens |= {"nobody": {}, "other": {"authorization": f"Bearer {make_token(home, 'the-other', 'editor')}"}}
    loop = asyncio.new_event_loop()
    yield House(home, Client(guard, loop), api.making, tokens)
    api.close()
    queries.close()
    loop.close()


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Two seconds of the demo's portrait."""
    portrait = cv2.resize(cv2.imread(str(PORTRAIT)), (320, 288))
    return write_video(tmp_path_factory.mktemp("clip") / "clip.mp4", [portrait] * 20, range(0, 2000, 100)).read_bytes()


@pytest.fixture(scope="module")
def minute(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Minutes of the demo's portrait: a film that is not done before a test stops it."""
    portrait = cv2.resize(cv2.imread(str(PORTRAIT)), (320, 288))
    path = tmp_path_factory.mktemp("minute") / "minute.mp4"
    return write_video(path, [portrait] * 3000, range(0, 750_000, 250), "mpeg4").read_bytes()


@pytest.fixture(scope="module")
def film(house: House, clip: bytes) -> dict[str, Any]:
    """A finished report on a film."""
    return house.wait(house.make(kind="film", files=[house.upload("../my film.mp4", clip)], fps=2, moments=1))


def test_a_film_is_made_of_an_upload_that_is_gone_afterwards(house: House, film: dict[str, Any]) -> None:
    assert film["state"] == "done", film["message"]
    assert film["title"] == "How happy is my film?"
    assert film["by"] == "the-editor"
    assert list((house.home / "reports" / "uploads").glob("*")) == []
    page = house.ask("GET", film["files"][0], "viewer")
    assert page.text.startswith("<!doctype html>")
    assert str(house.home) not in page.text
    policy = page.headers["content-security-policy"]
    assert policy.startswith("sandbox; default-src 'none'")
    assert "script" not in policy
    assert page.headers["cache-control"] == "no-store"
    packed = house.ask("GET", film["files"][-1], "viewer")
    assert packed.headers["content-disposition"].startswith("attachment")
    with zipfile.ZipFile(BytesIO(packed.content)) as archive:
        assert {"film.html", "film.json", "film.faces.parquet"} <= set(archive.namelist())
        assert json.loads(archive.read("film.json"))["asked"]["of"] == ["my film.mp4"]


def test_a_film_has_its_course_for_the_page_beside_it(house: House, film: dict[str, Any]) -> None:
    assert film["of"] == "my film.mp4"
    (course,) = house.ask("GET", f"{film['files'][0].rpartition('/')[0]}/course.json", "viewer").json()["films"]
    assert set(course["bands"]) == set(EMOTIONS)
    assert course["seconds"] == pytest.approx(2, abs=0.6)


def test_the_example_of_an_album_is_made_once_with_the_best_to_download(house: House) -> None:
    answer = house.ask("POST", "/api/v1/examples/album")
    assert answer.status_code == 202
    told = house.wait(answer.json()["id"])
    assert (told["state"], told["example"]) == ("done", True), told["message"]
    with zipfile.ZipFile(BytesIO(house.ask("GET", told["files"][-2], "viewer").content)) as archive:
        names = archive.namelist()
        assert names[0] == "001 smiling.jpg"
        assert archive.read(names[0]) == sample_picture("smiling")
    assert not [name for name in names if name.endswith("-2.jpg")], "no copy made worse is among the best"
    assert re.fullmatch(r"Best score: \d+ of 100", told["score"])
    thumb = house.ask("GET", f"{told['files'][0].rpartition('/')[0]}/thumb.jpg", "viewer")
    assert cv2.imdecode(np.frombuffer(thumb.content, np.uint8), cv2.IMREAD_COLOR).shape == (180, 320, 3)
    assert house.ask("POST", "/api/v1/examples/album").json()["state"] == "done"
    assert house.ask("POST", "/api/v1/examples/album", "viewer").status_code == 403
    assert list((house.home / "reports" / "uploads").glob("of-*")) == []


def test_a_report_asked_for_by_form_names_fields_not_options(house: House, clip: bytes) -> None:
    words = house.upload("words.vtt", b"WEBVTT\n\n00:00.000 --> 00:01.000\n<v Ada>Say --offset aloud\n")
    key = house.make(kind="meeting", files=[house.upload("talk.mp4", clip)], transcript=words)
    page = house.ask("GET", house.wait(key)["files"][0], "viewer").text
    assert "(“Seconds to add to the transcript”)" in page
    assert "“Consent: who agreed, and when”" in page
    assert re.findall(r"--(?:offset|consent|speakers|seats|anonymous)(?! aloud)\b", page.partition("</style>")[2]) == []
    assert "Say --offset aloud" in page


def test_a_form_takes_a_cast_and_a_lexicon(house: House, clip: bytes) -> None:
    cast = house.upload("cast.csv", b"actor,x,y,width,height\nAda,0,0,1,1\n")
    key = house.make(kind="film", files=[house.upload("talk.mp4", clip)], cast=cast)
    page = house.ask("GET", house.wait(key)["files"][0], "viewer").text
    assert "Nobody is recognised" in page
    lexicon = house.upload("german.csv", b"word,weight,language\ngut,0.5,de\n")
    words = house.upload("words.vtt", "WEBVTT\n\n00:00.000 --> 00:01.000\n<v Ada>Das ist gut für uns\n".encode())
    key = house.make(kind="meeting", files=[house.upload("talk.mp4", clip)], transcript=words, lexicon=lexicon)
    assert "german.csv" in house.ask("GET", house.wait(key)["files"][0], "viewer").text
    german = "Die Zahlen sind gut, aber die Kosten waren hoch, und wer die Arbeit macht, ist noch nicht klar. " * 2
    words = house.upload("words.vtt", f"WEBVTT\n\n00:00.000 --> 00:01.000\n<v Ada>{german}\n".encode())
    key = house.make(kind="meeting", files=[house.upload("talk.mp4", clip)], transcript=words)
    page = house.ask("GET", house.wait(key)["files"][0], "viewer").text
    assert "“Words and how pleasant they are (CSV)”" in page
    assert "--lexicon" not in page.partition("</style>")[2]


def test_names_that_were_read_off_a_meeting_are_corrected_before_the_report_is_final(
    house: House, tmp_path: Path
) -> None:
    meeting = Meeting(
        [Person("Ann Lee"), Person("Bob Marsh")], SIZES["360p"], seconds=4, fps=5,
        turns=[(0.2, 1.6, 0), (1.8, 3.4, 1)],
    )  # fmt: skip
    call = house.upload("call.mp4", meeting.write(tmp_path / "call.mp4").read_bytes())
    words = house.upload("call.vtt", meeting.transcript(tmp_path / "call.vtt").read_bytes())
    key = house.make(kind="meeting", files=[call], transcript=words)
    assert house.wait(key)["state"] == "done"
    place = f"/api/v1/reports/{key}/names"
    found = house.ask("GET", place).json()
    assert {row["speaker"] for row in found["rows"]} == {"Ann Lee", "Bob Marsh"} == set(found["speakers"])
    assert house.ask("GET", place, "other").status_code == 403
    assert house.ask("POST", place, json={"names": ["Ann Lee"] * 50}).status_code == 422
    swapped = {"Ann Lee": "Bob Marsh", "Bob Marsh": "Ann Lee"}
    names = [swapped[row["speaker"]] for row in found["rows"]]
    answer = house.ask("POST", place, json={"names": names})
    assert answer.status_code == 202, answer.text
    told = house.wait(key)
    assert told["state"] == "done", told["message"]
    (file,) = (file for file in told["files"] if file.endswith(".names.csv"))
    table = pl.read_csv(BytesIO(house.ask("GET", file).content))
    assert table["speaker"].to_list() == names
    assert set(table["found_by"]) == {"hand"}
    assert house.ask("DELETE", f"/api/v1/reports/{key}").status_code == 204
    assert list((house.home / "reports" / "uploads").glob("of-*")) == [], "the recording goes with its report"
    assert house.ask("GET", place).status_code == 404


def test_a_part_of_recordings_is_taken_by_the_clock_in_their_pictures(house: House, tmp_path: Path) -> None:
    people = [Person("Ann Lee"), Person("Bob Marsh")]
    begin = datetime(2026, 4, 8, 14, 36, 20)  # noqa: DTZ001 - a clock in a picture tells no zone
    drawn = {"seconds": 8, "fps": 4, "turns": [(0.4, 3.6, 0), (4.2, 7.8, 1)], "clock": begin}
    meeting = Meeting(people, SIZES["360p"], **drawn)  # type: ignore[arg-type]
    call = meeting.write(tmp_path / "call.mp4").read_bytes()
    words = meeting.transcript(tmp_path / "call.vtt").read_bytes()

    def ask(*times: str, **body: Any) -> httpx.Response:
        period = dict(zip(("from", "to"), times, strict=False))
        order = {"kind": "meeting", "files": [sent[0]], "transcript": sent[1], "offset": 0, **period, **body}
        return house.ask("POST", "/api/v1/reports", json=order)

    def send() -> list[str]:
        return [house.upload("call.mp4", call), house.upload("call.vtt", words)]

    sent = send()
    assert "'from' must be before 'to'" in ask("2026-04-08T15:00", "2026-04-08T14:00").text
    assert "'zone' 'Berlin' is no time zone" in ask("2026-04-08T15:00", zone="Berlin").text
    told = house.wait(ask("2026-04-08T12:36:24Z", "2026-04-08T20:00", zone="Europe/Berlin").json()["id"])
    assert told["state"] == "done", told["message"]
    figures = house.ask("GET", next(file for file in told["files"] if file.endswith(".json"))).json()
    assert figures["asked"]["since"] == "2026-04-08T14:36:24+02:00"
    assert figures["tables"]["utterances"]["rows"] == 1
    assert "begins on 08 April 2026 at 14:36:24" in house.ask("GET", told["files"][0]).text
    assert house.ask("DELETE", f"/api/v1/reports/{told['id']}").is_success, (
        "its files wait for names that are corrected"
    )
    sent = send()
    told = house.wait(ask("2026-04-08T15:00").json()["id"])
    assert told["state"] == "failed"
    assert "by the clock in the picture it lasts from 2026-04-08T14:36:" in told["message"]
    assert house.ask("DELETE", f"/api/v1/reports/{told['id']}").is_success
    assert house.making.uploads.held == 0


def test_what_is_kept_is_its_owners_alone_and_known_to_the_next_run(house: House, film: dict[str, Any]) -> None:
    folder = house.making.folder / film["id"]
    assert stat.S_IMODE(house.home.stat().st_mode) == 0o700
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    (again,) = [one for one in ReportQueue(house.making.settings).all() if one.key == film["id"]]
    assert (again.state, again.title) == ("done", "How happy is my film?")


def test_who_may_what(house: House, film: dict[str, Any]) -> None:
    page = film["files"][0]
    routes = {
        ("GET", "/api/v1/reports"): (401, 200, 200),
        ("GET", page): (303, 200, 200),
        ("POST", "/api/v1/reports"): (401, 403, 422),
        ("POST", "/api/v1/uploads?name=a.exe"): (401, 403, 415),
        ("DELETE", f"/api/v1/reports/{film['id']}"): (401, 403, None),
    }
    for (method, path), expected in routes.items():
        for role, status in zip(("nobody", "viewer", "editor"), expected, strict=True):
            if status is not None:
                assert house.ask(method, path, role, content=b"MZ").status_code == status, (method, path, role)
    answer = house.ask("DELETE", f"/api/v1/reports/{film['id']}", "other")
    assert answer.status_code == 403
    assert "the-editor" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    "name",
    [
        "record.json", "../record.json", "%2e%2e%2frecord.json", "..%2f..%2f..%2fmien.db", "film.html%00",
        "%2fetc%2fpasswd", ".", "..", "film.html/..",
    ],
)  # fmt: skip
def test_nothing_but_a_reports_own_files_is_served(house: House, film: dict[str, Any], name: str) -> None:
    for place in (film["id"], "0" * 32, "..", "%2e%2e"):
        answer = house.ask("GET", f"/reports/{place}/{name}", "admin")
        assert answer.status_code == 404, (place, name)
        assert "root:" not in answer.text


def test_a_damaged_film_gives_one_line(house: House, clip: bytes) -> None:
    told = house.wait(house.make(kind="film", files=[house.upload("cut.mp4", clip[:300] + b"\xff" * 9000)]))
    assert told["state"] == "failed"
    assert "cut.mp4" in told["message"]
    assert "\n" not in told["message"]
    assert str(house.home) not in told["message"]
    assert not (house.making.folder / told["id"]).exists()


@pytest.mark.parametrize(
    ("name", "content", "status", "words"),
    [
        ("film.mp4", b"#EXTM3U\nfile:///etc/passwd\n", 415, "'film.mp4' is damaged or of another kind"),
        ("film.exe", b"MZ", 415, "of no kind"),
        ("film.mp4", b"", 422, "empty"),
        ("words.vtt", b"WEBVTT\0\0", 415, "damaged"),
        ("film.mkv", b"\x1aE\xdf\xa3" + b"\0" * (5 << 20), 413, "4 MiB together"),
    ],
)
def test_what_is_no_input_is_refused_at_once(house: House, name: str, content: bytes, status: int, words: str) -> None:
    answer = house.ask("POST", "/api/v1/uploads", params={"name": name}, content=content)
    assert answer.status_code == status
    assert words in answer.json()["error"]["message"]
    assert house.making.uploads.held == 0
    assert [path for path in house.making.uploads.folder.glob("*") if path.is_file()] == []


def test_all_that_waits_counts_and_a_stall_leaves_nothing(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    uploads = house.making.uploads
    first = house.upload("a.mkv", b"\x1aE\xdf\xa3" + b"\0" * (3 << 20))
    answer = house.ask("POST", "/api/v1/uploads?name=b.mkv", content=b"\x1aE\xdf\xa3" + b"\0" * (2 << 20))
    assert answer.status_code == 413
    monkeypatch.setattr("mien.dashboard.jobs.uploads.PATIENCE_S", 0.05)

    async def stalling() -> AsyncIterator[bytes]:
        yield b"WEBVTT"
        await asyncio.sleep(60)

    with pytest.raises(ApiError, match=r"nothing more of 'a\.vtt' came"):
        house.client.loop.run_until_complete(uploads.take("a.vtt", stalling(), "the-editor"))
    uploads.drop(first)
    assert uploads.held == 0
    assert [path for path in uploads.folder.glob("*") if path.is_file()] == []


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"kind": "film"}, "either files or sources"),
        ({"kind": "film", "files": ["0" * 32]}, "no uploaded file"),
        ({"kind": "film", "media": ["../home/mien.db"]}, "no '../home/mien.db'"),
        ({"kind": "film", "media": ["clip.mp4"], "source": ["lobby"]}, "either files or sources"),
        ({"kind": "album", "source": ["lobby"]}, "either files or sources"),
        ({"kind": "film", "media": ["clip.mp4"], "from": "2026-11-20T08:00:00Z"}, "either files or sources"),
        ({"kind": "meeting", "media": ["clip.mp4"]}, "'transcript' is missing"),
        ({"kind": "audience", "media": ["clip.mp4"], "markers": True}, "those of a store"),
        ({"kind": "film", "media": ["clip.mp4"], "fps": 1000}, "'fps'"),
        ({"kind": "film", "copy_to": "/etc"}, "'copy_to'"),
        ({"kind": "film", "media": ["clip.mp4"], "calibrate": "1"}, "'calibrate': cannot calibrate on 1 s"),
        ({"kind": "album", "media": ["clip.mp4"], "calibrate": "30"}, "photos have none"),
    ],
)
def test_what_cannot_be_made_is_refused(house: House, clip: bytes, body: dict[str, Any], words: str) -> None:
    (house.home.parent / "media" / "clip.mp4").write_bytes(clip)
    answer = house.ask("POST", "/api/v1/reports", json=body)
    assert answer.status_code == 422
    assert words in answer.json()["error"]["message"]


def test_others_uploads_cannot_be_used(house: House) -> None:
    key = house.upload("words.vtt", b"WEBVTT\n")
    answer = house.ask("POST", "/api/v1/reports", "other", json={"kind": "film", "files": [key]})
    assert "no uploaded file" in answer.json()["error"]["message"]
    answer = house.ask("POST", "/api/v1/reports", json={"kind": "film", "files": [key]})
    assert "cannot be used there" in answer.json()["error"]["message"]
    house.making.uploads.drop(key)


def test_a_report_is_stopped_and_those_that_wait_are_bounded(
    house: House, clip: bytes, minute: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(making_module, "MAX_WAITING", 1)
    medium = house.home.parent / "media" / "minute.mp4"
    medium.write_bytes(minute)
    long = house.make(kind="film", media=["minute.mp4"], fps=7)
    house.wait(long, lambda told: told["step"] not in ("", "starting"))
    waits = house.make(kind="film", files=[house.upload("second.mp4", clip)])
    answer = house.ask("POST", "/api/v1/reports", json={"kind": "film", "media": ["minute.mp4"]})
    assert answer.status_code == 429
    for key in (waits, long):
        assert house.ask("DELETE", f"/api/v1/reports/{key}").status_code == 204
        told = house.wait(key)
        assert told["state"] == "stopped"
        assert ("run again it goes on from there" in told["message"]) is (key == long)
        assert not (house.making.folder / key).exists()
    assert house.making._running is None
    assert list(house.making.uploads.folder.glob("of-*")) == []
    assert medium.read_bytes() == minute


@pytest.mark.parametrize("moment", ["its process starts", "it is done"])
def test_a_report_is_stopped_at_any_moment(
    house: House, clip: bytes, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """Also before its process runs, and after that said it is done."""
    (house.home.parent / "media" / "clip.mp4").write_bytes(clip)
    stopped: list[str] = []

    def stop() -> None:
        (key,) = [made.key for made in house.making.all() if made.state == "working"]
        house.making.drop(key)
        stopped.append(key)

    class Process(subprocess.Popen[bytes]):
        def __init__(self, *given: Any, **options: Any) -> None:
            if moment == "its process starts":
                stop()
            super().__init__(*given, **options)

        def __exit__(self, *given: object) -> None:
            super().__exit__(*given)
            if moment == "it is done":
                stop()

    monkeypatch.setattr("mien.dashboard.jobs.reports.subprocess.Popen", Process)
    key = house.make(kind="film", media=["clip.mp4"], fps=2)
    told = house.wait(key)
    assert (told["state"], told["files"], stopped) == ("stopped", [], [key])
    assert not (house.making.folder / key).exists()
    assert house.ask("DELETE", f"/api/v1/reports/{key}").status_code == 204
    assert house.ask("GET", f"/api/v1/reports/{key}").status_code == 404


def test_a_table_cannot_name_pictures_elsewhere(house: House, clip: bytes, tmp_path: Path) -> None:
    """A table names the video it was made of; of one that is sent, no other file of this machine may be opened."""
    from mien.api import analyze_video
    from mien.table import to_polars

    secret = tmp_path / "secret.mp4"
    secret.write_bytes(clip)
    table = to_polars([(one, str(secret)) for one in analyze_video(str(secret))])
    sent = tmp_path / "sent" / "t.parquet"
    sent.parent.mkdir()
    table.write_parquet(sent)
    for folder, medium in ((None, secret), (sent.parent, None)):
        (read,) = read_recordings(Inputs((str(sent),), folder=folder), house.making.settings, Job())
        assert read.medium == medium
    told = house.wait(house.make(kind="film", files=[house.upload("t.parquet", sent.read_bytes())]))
    assert told["state"] == "done", told["message"]
    assert "data:image/jpeg" not in house.ask("GET", told["files"][0]).text


def test_the_other_reports_are_made(house: House, clip: bytes) -> None:
    photo = cv2.imencode(".jpg", cv2.imread(str(PORTRAIT)))[1].tobytes()
    (house.home.parent / "media" / "holiday" / "one.jpg").write_bytes(photo)
    (house.home.parent / "media" / "clip.mp4").write_bytes(clip)
    vtt = b"WEBVTT\n\n00:00.000 --> 00:01.500\nAda: Good morning\n"
    video = house.upload("call.mp4", clip)
    orders = [
        {"kind": "meeting", "files": [video], "transcript": house.upload("call.vtt", vtt), "consent": "all", "fps": 2},
        {"kind": "audience", "media": ["clip.mp4"], "events": house.upload("e.csv", b"time,label\n1,Joke\n"), "fps": 2},
        {"kind": "audience", "media": ["clip.mp4"], "treatment": house.upload("film.mp4", clip), "fps": 2}
        | {"calibrate": " median "},
        {
            "kind": "album",
            "media": ["holiday/"],
            "best": 1,
            "blur": True,
            "all_eyes_open": True,
            "everyone_smiles": True,
        }
        | {"everyone_looks": True, "like": [house.upload("liked.jpg", photo)]},
    ]
    made = [house.make(**order) for order in orders]
    for key, order in zip(made, orders, strict=True):
        told = house.wait(key)
        assert told["state"] == "done", told["message"]
        assert told["files"][0].endswith(f"/{order['kind']}.html")
        if "calibrate" in order:
            assert any(".own_level." in file for file in told["files"])
        if order["kind"] == "album":
            asked = house.ask("GET", next(file for file in told["files"] if file.endswith(".json"))).json()["asked"]
            assert asked["only"] == ["everyone_smiles", "all_eyes_open", "everyone_looks"]
            assert asked["like"] == ["liked.jpg"]
        assert house.ask("DELETE", f"/api/v1/reports/{key}").status_code == 204
        assert house.ask("GET", told["files"][0]).status_code == 404
        assert not (house.making.folder / key).exists()


def test_a_part_of_the_store_is_reported_on(house: House) -> None:
    start = datetime(2026, 11, 20, 8, tzinfo=timezone.utc)
    store = open_store(house.making.settings.store_url)
    happy = Probabilities(0.0, 0.0, 0.0, 0.9, 0.0, 0.0, 0.1)
    face = Face(1, (100, 80, 60, 60), 0.9, "happy", happy)
    session = new_id()
    store.add(
        Observation(
            new_id(), "lobby", session, n, start + timedelta(seconds=n), float(n), n, 640, 360, "m@0", 1.0, [face]
        )
        for n in range(60)
    )
    store.add_markers([Marker(new_id(), start + timedelta(seconds=12), "The joke", None, "Ann")])
    store.close()
    period = {"from": start.isoformat(), "to": (start + timedelta(seconds=30)).isoformat()}
    told = house.wait(house.make(kind="film", source=["lobby"], **period))
    assert told["state"] == "done", told["message"]
    figures = house.ask("GET", next(file for file in told["files"] if file.endswith(".json"))).json()
    assert figures["tables"]["faces"]["rows"] == 30
    assert figures["asked"]["store"] == "the dashboard's"
    told = house.wait(house.make(kind="audience", source=["lobby"], markers=True, **period))
    assert told["state"] == "done", told["message"]
    assert "The joke" in house.ask("GET", told["files"][0]).text
    told = house.wait(house.make(kind="audience", source=["lobby"], **period))  # nothing is known of what was watched
    assert told["title"] == "What moved them together?"
    answer = house.ask("POST", "/api/v1/reports", json={"kind": "film", "source": ["nobody"]})
    assert "no source 'nobody'" in house.wait(answer.json()["id"])["message"]


def test_a_killed_process_fails_its_report_and_the_next_is_made(house: House, clip: bytes, minute: bytes) -> None:
    video = [house.upload("one.mp4", minute), house.upload("two.mp4", clip)]
    killed, after = (house.make(kind="film", files=[key], fps=3) for key in video)
    house.wait(killed, lambda told: told["step"] not in ("", "starting"))
    running = house.making._running
    assert running is not None
    assert running.key == killed
    assert running.process is not None
    running.process.kill()
    told = house.wait(killed)
    assert (told["state"], told["files"]) == ("failed", [])
    assert "ended too early" in told["message"]
    assert house.wait(after)["state"] == "done"
    assert list(house.making.uploads.folder.glob("*")) == []


def test_the_media_folder_is_listed_and_never_left(tmp_path: Path) -> None:
    folder = tmp_path / "media"
    (folder / "shows").mkdir(parents=True)
    (folder / ".trash" / "deep").mkdir(parents=True)
    for name in (
        "a.mp4",
        "shows/b.mkv",
        "shows/c.jpg",
        "notes.exe",
        ".hidden.mp4",
        ".trash/d.mp4",
        ".trash/deep/e.mp4",
    ):
        (folder / name).write_bytes(b"x")
    (tmp_path / "outside.mp4").write_bytes(b"x")
    (folder / "way-out.mp4").symlink_to(tmp_path / "outside.mp4")
    listed = list_media(folder)
    assert listed["photo"] == ["shows/", "shows/c.jpg"]
    assert {"a.mp4", "shows/", "shows/b.mkv"} <= set(listed["recording"])
    assert not any(name.startswith(".") for name in listed["recording"])
    assert find_media(folder, "shows/b.mkv", PLACES["recording"]) == folder / "shows" / "b.mkv"
    for name in (
        "../outside.mp4",
        "way-out.mp4",
        str(tmp_path / "outside.mp4"),
        "",
        ".",
        "gone.mp4",
        "a\0.mp4",
        "notes.exe",
    ):
        with pytest.raises(ApiError):
            find_media(folder, name, PLACES["recording"])
    assert list_media(None) == {"recording": [], "photo": []}


def test_names_hold_no_path_and_contents_tell_the_kind() -> None:
    names = {
        "../../etc/passwd.mp4": "passwd.mp4", "C:\\films\\a.mp4": "a.mp4", "rtsp://host/x.mp4": "x.mp4",
        "*.mp4": "_.mp4", "-o.mp4": "o.mp4", ".mp4": "mp4", "": "file", "Käse 1.mp4": "Käse 1.mp4",
    }  # fmt: skip
    for given, expected in names.items():
        assert clean_name(given) == expected
    assert kind_of("a.mp4", b"\0\0\0\x20ftypisom") == "video"
    assert kind_of("a.mp4", b"\0\0\0\x20ftypavif") is None
    assert kind_of("a.avif", b"\0\0\0\x20ftypavif") == "photo"
    assert kind_of("a.ts", b"G" + b"\1" * 187 + b"G") == "video"
    assert kind_of("a.jpg", b"\x89PNG\r\n") == "photo"
    assert kind_of("a.vtt", "\ufeffWEBVTT".encode("utf-16")) == "text"
    assert kind_of("a.docx", b"PK\x03\x04") == "document"


def test_a_table_is_read_back(house: House, film: dict[str, Any]) -> None:
    (place,) = [file for file in film["files"] if file.endswith("film.faces.parquet")]
    faces = pl.read_parquet(BytesIO(house.ask("GET", place, "viewer").content))
    assert faces["film"].unique().to_list() == ["my film"]


def test_the_room_of_an_upload_is_free_again_where_the_state_folder_has_two_names(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "home").symlink_to(tmp_path / "disk")
    uploads = Uploads(tmp_path / "home", 10)

    async def parts() -> AsyncIterator[bytes]:
        yield b"time\n1\n"

    async def reported_on() -> None:
        kept = await uploads.take("events.csv", parts(), "ada")
        uploads.hand_over([kept], uploads.folder / "of-1")
        assert uploads.held == 7
        uploads.forget((uploads.folder / "of-1").resolve())  # as the order of a report names it
        assert uploads.held == 0
        uploads.drop((await uploads.take("events.csv", parts(), "ada")).key)

    asyncio.run(reported_on())


def _bomb(path: Path, rows: int) -> bytes:
    """Return a small file with so many rows of a table of `mien analyze`."""
    numbers = {name: pl.repeat(0.1, rows, eager=True) for name in ("offset_s", *EMOTIONS)}
    whole = {name: pl.repeat(5, rows, eager=True) for name in ("track", "x", "y", "width", "height")}
    pl.DataFrame({**numbers, **whole, "emotion": pl.repeat("happy", rows, eager=True)}).write_parquet(path)
    assert path.stat().st_size < 1 << 20
    return path.read_bytes()


def test_a_table_that_holds_too_much_is_refused_before_it_is_read(house: House, tmp_path: Path) -> None:
    pl.DataFrame({"offset_s": pl.repeat(0.1, 5_000_001, eager=True)}).write_parquet(tmp_path / "bomb.parquet")
    key = house.make(kind="film", files=[house.upload("bomb.parquet", (tmp_path / "bomb.parquet").read_bytes())])
    told = house.wait(key)
    assert told["state"] == "failed"
    assert "it has 5,000,001 rows, at most 5,000,000 were expected" in told["message"]


@pytest.mark.skipif(sys.platform != "linux", reason="memory is bounded on Linux alone")
def test_a_report_that_takes_too_much_memory_ends_with_one_line(house: House, tmp_path: Path) -> None:
    before = house.making.settings
    dashboard = before.dashboard.model_copy(update={"report_mb": 512})
    house.making.settings = before.model_copy(update={"dashboard": dashboard})
    try:
        content = _bomb(tmp_path / "large.parquet", 3_000_000)
        told = house.wait(house.make(kind="film", files=[house.upload("large.parquet", content)]))
    finally:
        house.making.settings = before
    assert told["state"] == "failed"
    assert told["message"] == (
        "the report takes more than the 512 MiB of memory that it may have: report on less at once, or set "
        "dashboard.report_mb"
    )
