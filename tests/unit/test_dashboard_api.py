"""The REST API over a real store, and the guard in front of it."""

from __future__ import annotations

import stat
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from asking import Client, serving
from mien.config import Settings
from mien.dashboard.data.periods import Window
from mien.dashboard.data.timelines import FRESH_S, Hours, hours_of, read_timeline
from mien.dashboard.security.guard import Guard
from mien.forward.alert_rules import read_rules, rules_file
from mien.observation import Face, Observation, Probabilities, decode, encode, new_id
from mien.stores.base import open_store

MIXED = Probabilities(0.1, 0.0, 0.0, 0.6, 0.0, 0.1, 0.2)
WINDOW = {"from": "2026-11-22T07:00:00Z", "to": "2026-11-22T08:00:00"}
START = datetime(2026, 11, 22, 7, 0, tzinfo=timezone.utc)


def observe(source: str, time: datetime, faces: int) -> Observation:
    face = Face(1, (10, 10, 90, 90), 0.9, "happy", MIXED)
    return Observation(new_id(), source, new_id(), 0, time, None, 0, 640, 360, "mien-1@00000000", 5.0, [face] * faces)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture
def client(home: Path) -> Iterator[Client]:
    with serving(home) as client:
        yield client


@pytest.fixture
def filled(home: Path, client: Client) -> Client:
    store = open_store(f"sqlite:///{home / 'mien.db'}")
    lobby = [observe("lobby", START + timedelta(minutes=minute), 2) for minute in range(10)]
    store.add([*lobby, observe("door", START, 0), observe("door", datetime.now(timezone.utc), 1)])
    store.close()
    return client


def test_a_summary_says_which_borders_it_covers(filled: Client, home: Path) -> None:
    asked = {"from": "2026-11-22T07:00:30Z", "to": "2026-11-22T07:01:15Z"}
    total = filled.get("/v1/summary", params=asked).json()
    assert (total["frames"], total["start"], total["end"]) == (1, asked["from"], asked["to"])
    with closing(open_store(f"sqlite:///{home / 'mien.db'}")) as store:
        store.prune(datetime(2200, 1, 1, tzinfo=timezone.utc))
    asked["to"] = "2026-11-22T07:02:10Z"
    total = filled.get("/v1/summary", params=asked).json()
    assert (total["frames"], total["start"], total["end"]) == (4, "2026-11-22T07:00:00Z", "2026-11-22T07:03:00Z")


def test_summary_timeline_and_observations_agree_with_what_was_stored(filled: Client) -> None:
    total = filled.get("/v1/summary", params=WINDOW).json()
    assert (total["frames"], total["faces"], total["counts"]["happy"]) == (11, 20, 20)
    assert total["happiness"] == pytest.approx(60)
    assert sum(total["shares"].values()) == pytest.approx(100)
    line = filled.get("/v1/timeline", params={**WINDOW, "source": "lobby"}).json()
    assert line["width_s"] == 60
    assert [point["faces"] for point in line["points"]] == [2] * 10
    door = filled.get("/v1/summary", params=[*WINDOW.items(), ("source", "door")]).json()
    assert (door["frames"], door["faces"], door["happiness"], door["shares"]) == (1, 0, None, None)
    two = filled.get("/v1/summary", params=[*WINDOW.items(), ("source", "door"), ("source", "lobby")]).json()
    assert two["frames"] == 11


def test_a_short_period_of_the_past_is_told_by_the_second_and_a_crowded_one_by_the_minute(
    filled: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = {"from": "2026-11-22T07:00:30Z", "to": "2026-11-22T07:03:30Z", "source": "lobby"}
    line = filled.get("/v1/timeline", params=asked).json()
    assert (line["width_s"], [point["start"][11:19] for point in line["points"]]) == (
        1, ["07:01:00", "07:02:00", "07:03:00"],
    )  # fmt: skip
    monkeypatch.setattr("mien.dashboard.data.timelines.MAX_COUNTED", 2)
    line = filled.get("/v1/timeline", params=asked | {"to": "2026-11-22T07:03:31Z"}).json()
    assert (line["width_s"], sum(point["faces"] for point in line["points"])) == (60, 8)


def test_hours_read_for_the_chart_serve_the_busiest_hours_too(filled: Client, home: Path) -> None:
    with closing(open_store(f"sqlite:///{home / 'mien.db'}")) as store:
        store.add([observe("lobby", START + timedelta(hours=hour), 1) for hour in range(1, 5)])
        last: list[Hours] = []
        end = START + timedelta(days=40)
        whole = read_timeline(store, Window(START, end, 10_800), ("lobby",), last)
        assert whole.total.frames == 14
        kept = last[0]
        part = hours_of(store, START + timedelta(hours=2), end, ("lobby",), last)
        assert last[0] is kept
        assert part == store.timeline(START + timedelta(hours=2), end, "hour", ["lobby"])
        assert hours_of(store, START, end, (), last) == store.timeline(START, end, "hour")
        assert last[0] is not kept
        last[:] = [old := kept._replace(read=kept.read - FRESH_S)]
        assert hours_of(store, START + timedelta(hours=2), end, ("lobby",), last) == part
        assert last[0] is not old, "what was read some seconds ago is read anew"


def test_observations_come_in_pages(filled: Client) -> None:
    asked: dict[str, Any] = {**WINDOW, "limit": 4, "source": "lobby"}
    times, cursor = [], None
    for size in (4, 4, 2):
        page = filled.get("/v1/observations", params={**asked, **({"cursor": cursor} if cursor else {})}).json()
        assert len(page["observations"]) == size
        times += [one["time"] for one in page["observations"]]
        cursor = page["next"]
    assert cursor is None
    assert times == [f"2026-11-22T07:0{minute}:00Z" for minute in range(10)]


def test_observations_have_the_form_of_the_record(filled: Client) -> None:
    answer = filled.get("/v1/observations", params={"from": WINDOW["from"], "limit": 1})
    inner = answer.content.partition(b"[")[2].rpartition(b"]")[0]
    assert encode(decode(inner)) == inner  # type: ignore[arg-type]


def test_sources_come_by_the_numbers_in_their_names(home: Path, client: Client) -> None:
    names = ["cam1", "cam2", "cam10"]
    with closing(open_store(f"sqlite:///{home / 'mien.db'}")) as store:
        store.add([observe(name, START, 1) for name in names])
    assert [source["source"] for source in client.get("/v1/sources").json()] == names


def test_without_a_broker_a_source_seen_lately_is_online(filled: Client) -> None:
    sources = {source["source"]: source for source in filled.get("/v1/sources").json()}
    assert sources["door"]["online"] is True
    assert sources["door"]["faces"] == 1
    assert sources["lobby"]["online"] is False
    assert sources["lobby"]["since"] == "2026-11-22T07:09:00Z"
    assert sources["lobby"]["frames"] == 10


def test_a_store_that_is_not_there_yet_is_said_and_picked_up(client: Client, home: Path) -> None:
    health = client.get("/v1/health").json()
    assert (health["status"], health["store"], health["broker"]) == ("degraded", False, False)
    answer = client.get("/v1/summary")
    assert answer.status_code == 503
    assert answer.json()["error"]["code"] == "store_unavailable"
    assert client.get("/v1/sources").json() == []
    store = open_store(f"sqlite:///{home / 'mien.db'}")
    store.add([observe("lobby", START, 1)])
    store.close()
    until = time.monotonic() + 60
    while not client.get("/v1/health").json()["store"]:
        assert time.monotonic() < until
        time.sleep(0.1)
    assert client.get("/v1/summary", params=WINDOW).json()["faces"] == 1


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/v1/nothing", 404, "not_found"),
        ("/v2/health", 404, "not_found"),
        ("/v1/observations?limit=0", 422, "invalid"),
        ("/v1/observations?limit=5001", 422, "invalid"),
        ("/v1/summary?source=Lobby", 422, "invalid"),
        ("/v1/summary?source=" + "x" * 65, 422, "invalid"),
        ("/v1/summary?from=yesterday", 422, "invalid"),
        ("/v1/summary?from=2026-11-22&to=2026-11-21", 422, "invalid"),
        ("/v1/timeline?from=0001-01-01T00:00:00%2B14:00", 422, "invalid"),
        ("/v1/timeline?to=9999-12-31T23:59:59-14:00", 422, "invalid"),
    ],
)
def test_every_error_has_one_shape(filled: Client, path: str, status: int, code: str) -> None:
    answer = filled.get(path)
    assert answer.status_code == status, answer.text
    assert set(answer.json()) == {"error"}
    assert set(answer.json()["error"]) == {"code", "message"}
    assert answer.json()["error"]["code"] == code


@pytest.mark.parametrize(
    ("path", "told"),
    [
        (
            "summary?sorce=demo",
            "no parameter 'sorce' is known: did you mean 'source'? /api/v1/summary takes from, source, to",
        ),
        ("timeline?Source=demo", "did you mean 'source'?"),
        ("timeline?with=60", "did you mean 'width'?"),
        ("observations?source=lobby&start=2026-11-22", "takes cursor, from, limit, source, to"),
        ("export?format=csv&tabel=faces", "did you mean 'table'?"),
        ("markers?limits=5", "did you mean 'limit'?"),
        ("live?sources=lobby", "did you mean 'source'?"),
        ("sources?source=lobby", "/sources takes none"),
        ("health?x=1", "takes none"),
    ],
)
def test_a_parameter_that_is_not_known_is_refused_with_the_nearest_name(filled: Client, path: str, told: str) -> None:
    answer = filled.get(f"/v1/{path}")
    assert answer.status_code == 422, answer.text
    assert told.replace("/api", "") in answer.json()["error"]["message"].replace("/api", "")


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_it_is_read_only(client: Client, method: str) -> None:
    answer = client.request(method, "/v1/summary")
    assert answer.status_code == 405
    assert answer.json()["error"]["code"] == "method_not_allowed"


def test_a_method_that_a_path_does_not_know_is_told_all_that_it_knows(client: Client) -> None:
    paths = client.get("/v1/openapi.json").json()["paths"]
    for path, operations in paths.items():
        known = {method.upper() for method in operations}
        for method in {"GET", "POST", "PUT", "PATCH", "DELETE"} - known:
            answer = client.request(
                method, path.replace("{key}", "0" * 32).replace("{source}", "lobby").replace("{kind}", "csv")
            )
            assert answer.status_code == 405, (method, path)
            assert set(answer.headers["allow"].split(", ")) == known, (method, path)


def test_openapi_describes_every_path_and_the_error(client: Client) -> None:
    document = client.get("/v1/openapi.json").json()
    assert set(document["paths"]) == {
        "/v1/health", "/v1/me", "/v1/sources", "/v1/summary", "/v1/timeline", "/v1/observations", "/v1/markers",
        "/v1/markers/{key}", "/v1/analyze", "/v1/export", "/v1/live", "/v1/metrics", "/v1/uploads", "/v1/reports",
        "/v1/reports/{key}", "/v1/demo", "/v1/sources/{source}/preview",
        "/v1/videos", "/v1/videos/{key}", "/v1/videos/{key}/{kind}", "/v1/examples/{kind}",
        "/v1/reports/{key}/names", "/v1/alerts", "/v1/alert-test", "/v1/alerts/{name}",
    }  # fmt: skip
    assert "#/components/schemas/ErrorBody" in str(document["paths"]["/v1/summary"]["get"]["responses"]["422"])


@pytest.mark.parametrize(
    ("bound", "host", "status"),
    [
        ("127.0.0.1", "localhost:8080", 200),
        ("127.0.0.1", "127.0.0.1", 200),
        ("127.0.0.1", "[::1]:8080", 200),
        ("127.0.0.1", "MIEN.example", 200),
        ("127.0.0.1", "evil.example", 403),
        ("127.0.0.1", "localhost.evil.example:8080", 403),
        ("127.0.0.1", "192.168.1.5", 403),
        ("127.0.0.1", "", 403),
        ("192.168.1.5", "192.168.1.5:8080", 200),
        ("0.0.0.0", "192.168.1.5:8080", 200),  # noqa: S104
        ("0.0.0.0", "evil.example", 403),  # noqa: S104
    ],
)
def test_only_known_hosts_are_answered(client: Client, bound: str, host: str, status: int) -> None:
    guarded = client.behind(Guard(client.inner, bound, ["mien.example"]))
    assert guarded.get("/v1/health", headers={"host": host}).status_code == status


def test_answers_carry_the_headers_of_security(client: Client) -> None:
    answer = client.behind(Guard(client.inner, "127.0.0.1")).get("/v1/health")
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "same-origin"


def test_who_goes_away_amid_a_picture_is_no_failure(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    coming = iter([{"type": "http.request", "body": b"half a pic", "more_body": True}])
    sent: list[Any] = []

    async def receive() -> Any:
        return next(coming, {"type": "http.disconnect"})

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "scheme": "http",
        "path": "/api/v1/analyze", "raw_path": b"/api/v1/analyze", "query_string": b"", "root_path": "",
        "headers": [(b"host", b"127.0.0.1:8080")], "client": ("127.0.0.1", 5000), "server": ("127.0.0.1", 8080),
    }  # fmt: skip
    client.loop.run_until_complete(client.app(scope, receive, send))
    assert sent[0]["status"] == 400
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


def test_a_preview_that_no_source_can_be_asked_for_is_a_conflict_and_no_failure(client: Client) -> None:
    answer = client.post("/v1/sources/lobby/preview", json={"preview": "blurred"})
    assert answer.status_code == 409
    assert answer.json()["error"]["code"] == "unreachable"
    assert "mien broker" in answer.json()["error"]["message"]


def test_alert_rules_are_made_tried_and_deleted_and_their_addresses_told_to_nobody(filled: Client, home: Path) -> None:
    share = {"name": "sad-hall", "on": "share", "emotion": "happy", "above": 0.1, "min_faces": 1, "window_s": 60}
    tried = filled.post("/v1/alert-test", json=share).json()
    told = {reading["source"]: reading["raised"] for reading in tried["readings"]}
    assert told == {"door": True, "lobby": False}, "one has a happy face just now, the other none"
    secret = {**share, "webhook": "http://127.0.0.1:9/hook?key=\u7f8e\U0001f600\x7fsecret"}
    assert filled.post("/v1/alerts", json=secret).json()["webhook"] is True
    assert filled.post("/v1/alerts", json=share).status_code == 422, "the name is taken"
    assert filled.post("/v1/alerts", json={"name": "x", "on": "share"}).status_code == 422
    listed = filled.get("/v1/alerts")
    assert [rule["name"] for rule in listed.json()] == ["sad-hall"]
    assert "secret" not in listed.text
    settings = Settings(home=home)
    (rule,) = read_rules(settings)
    assert rule.webhook is not None
    assert rule.webhook.get_secret_value() == secret["webhook"]
    assert (rule.emotion, rule.above, rule.min_faces, rule.cooldown_s) == ("happy", 0.1, 1, 300)
    assert stat.S_IMODE(rules_file(settings).stat().st_mode) == 0o600
    assert "it does not answer" in filled.post("/v1/alert-test", json=secret).json()["webhook"]
    assert filled.request("DELETE", "/v1/alerts/sad-hall").status_code == 204
    assert filled.request("DELETE", "/v1/alerts/sad-hall").status_code == 404
    assert read_rules(settings) == ()
