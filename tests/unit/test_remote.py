"""What can be set of a source from afar: what is taken, refused, echoed and kept."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.config import Settings, load
from mien.edge.remote import Remote, encode_request
from mien.errors import UsageError
from mien.mqtt.messages import MAX_MESSAGE, RemoteState, SetRequest, decode_message
from mien.observation import now


def made(home: Path, **watch: Any) -> Settings:
    return load({"home": home, "watch": {"remote": True, **watch}, "vision": {"abstain_below": 0.4}})


@pytest.fixture
def remote(tmp_path: Path) -> Remote:
    return Remote(made(tmp_path, fps=12), "lobby")


def told(remote: Remote, request: object, *, retained: bool = False) -> RemoteState:
    payload = request if isinstance(request, bytes) else json.dumps(request).encode()
    state = remote.answer(payload, retained=retained)
    assert state is not None
    return decode_message(state, RemoteState)


def test_what_is_asked_for_holds_and_is_echoed(remote: Remote) -> None:
    assert decode_message(remote.state(), RemoteState) == RemoteState(True, 0.4, 12, False)
    assert told(remote, {"threshold": 0.6, "id": "a-1"}) == RemoteState(True, 0.6, 12, False, "a-1")
    assert told(remote, {"fps": 5, "pause": True}) == RemoteState(True, 0.6, 5, True)
    assert (remote.threshold, remote.fps, remote.paused) == (0.6, 5, True)
    assert told(remote, {"fps": None, "threshold": None, "pause": False}) == RemoteState(True, 0.4, 12, False)
    assert told(remote, {}) == RemoteState(True, 0.4, 12, False), "to ask for nothing is to ask how it is set"


def test_pictures_are_sent_on_request_also_where_nothing_else_may_be_set(tmp_path: Path) -> None:
    lobby = Remote(load({"home": tmp_path, "watch": {"remote_preview": "blurred"}}), "lobby")
    assert (lobby.allowed, lobby.listens) == (False, True)
    state = told(lobby, {"preview": "blurred", "id": "a"})
    assert (state.preview, state.remote_preview, state.error) == ("blurred", "blurred", None)
    assert state.preview_until
    assert 3590 < (state.preview_until - now()).total_seconds() <= 3600
    for refused in ({"preview": "plain"}, {"pause": True}, {"preview": "off", "pause": True}):
        state = told(lobby, refused)
        assert (state.preview, state.pause) == ("blurred", False), "nothing of it holds"
        assert "the request is refused" in (state.error or "")
    assert told(lobby, {"preview": "off"}).preview == "off"
    assert not (tmp_path / "remote").exists(), "after a restart nobody has asked"
    assert not Remote(load({"home": tmp_path}), "lobby").listens


BAD: list[object] = [
    *(b"", b"\xff", b"null", b"[]", b"5", b'"pause"', b"{", b'{"fps": NaN}', b'{"fps": 1e999}', b"[" * 3000),
    *({"speed": 5}, {"fps": 0}, {"fps": -1}, {"fps": 241}, {"fps": "5"}, {"fps": True}, {"fps": [5]}),
    *({"threshold": 1.1}, {"threshold": -0.1}, {"threshold": "high"}, {"pause": None}, {"pause": 1}, {"pause": "on"}),
    *({"preview": "sharp"}, {"preview": True}, {"preview": "plain"}, {"preview": "blurred", "fps": 5}),
    *({"id": 5}, {"id": ""}, {"id": "x" * 65}, {"id": "a b"}, {"fps": 5, "pause": 3}, {"\x1b[31m\n" + "k" * 900: 1}),
    b" " * MAX_MESSAGE[SetRequest] + b"{}",
]


@pytest.mark.parametrize("bad", BAD, ids=repr)
def test_what_is_not_right_in_every_part_changes_nothing(remote: Remote, bad: object) -> None:
    told(remote, {"fps": 7})
    state = told(remote, bad)
    assert (state.threshold, state.fps, state.pause) == (0.4, 7, False)
    assert state.error is not None
    assert state.error.startswith("the request is refused")
    assert state.error.isprintable()
    assert len(state.error) < 600
    assert told(remote, {}).error is None, "the next one is another matter"


@given(st.binary(max_size=200) | st.text(max_size=100).map(str.encode))
def test_nothing_that_comes_stops_it(payload: bytes) -> None:
    state = Remote(load({"home": Path("/nonexistent"), "watch": {"remote": True}}), "lobby").answer(payload)
    assert state is not None
    decode_message(state, RemoteState)


def test_a_request_that_came_twice_is_answered_once(remote: Remote) -> None:
    told(remote, {"fps": 5, "id": "one"})
    told(remote, {"fps": 9, "id": "two"})
    assert remote.answer(b'{"fps": 9, "id": "two"}') is None
    assert remote.answer(b'{"fps": 9, "id": "two"}', retained=True) is None
    assert remote.fps == 9


def test_what_the_broker_had_retained_is_refused(remote: Remote) -> None:
    state = told(remote, {"pause": True}, retained=True)
    assert not state.pause
    assert "publish it without retain" in (state.error or "")


def test_it_is_kept_for_the_next_time_as_its_owners_alone(tmp_path: Path, remote: Remote) -> None:
    told(remote, {"pause": True, "threshold": 0.7})
    kept = tmp_path / "remote" / "lobby.json"
    assert kept.stat().st_mode & 0o777 == 0o600
    again = Remote(made(tmp_path, fps=3), "lobby")
    assert (again.threshold, again.fps, again.paused) == (0.7, 3, True), "what was not set is as the settings say now"
    assert not Remote(made(tmp_path), "door").paused
    off = Remote(load({"home": tmp_path}), "lobby")
    assert (off.allowed, off.paused, off.threshold) == (False, False, None)
    for damaged in (b"", b'{"fps": "fast"}', b'{"pause": true, "speed": 1}', b"\xff" * 100):
        kept.write_bytes(damaged)
        assert not Remote(made(tmp_path), "lobby").paused


def test_where_it_cannot_be_kept_it_holds_and_the_echo_says_so(tmp_path: Path, remote: Remote) -> None:
    (tmp_path / "remote").write_text("a file where the folder should be")
    state = told(remote, {"pause": True})
    assert state.pause
    assert (state.error or "").startswith("it holds until mien watch ends, and no longer: ")


def test_what_is_sent_is_checked_before(tmp_path: Path) -> None:
    assert json.loads(encode_request({"fps": None, "pause": True}, "k")) == {"fps": None, "pause": True, "id": "k"}
    for wrong in ({"speed": 1}, {"fps": float("inf")}, {"threshold": float("nan")}, {"pause": "maybe"}):
        with pytest.raises(UsageError, match="the request is refused"):
            encode_request(wrong, "k")
