"""The messages on the wire: each name in them is fixed, what newer versions add is ignored, what is hostile refused."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from mien.edge.home_assistant import discovery
from mien.mqtt.messages import (
    MAX_MESSAGE,
    Accepts,
    NewMarker,
    RemoteState,
    SetRequest,
    Stats,
    Stored,
    decode_available,
    decode_message,
    encode_message,
    split_topic,
    topic,
)

DOCS = Path(__file__).parents[2] / "docs" / "reference" / "topics.md"
WRITTEN: dict[type, str] = {
    Stored: '{"session":"01971a3c-4a10-7d05-8f6e-2b9d10c3a7e4","ranges":[[0,511]]}',
    Stats: (
        '{"fps":24.9,"state":"ok","dropped":0,"delay_ms":{"p50":21.0,"p99":48.3},"faces":2,"emotion":"happy",'
        '"happiness":81.5,"outbox":{"depth":14,"dropped":0,"damaged":0},"preview":"off","uptime_s":3605.2,'
        '"model":"mien-9-int8@7e2dda4a","version":"0.1.0","temperature_c":52.4,"time":"2026-11-22T07:01:54Z",'
        '"clock":"ok","read_every_s":null,"demo":null}'
    ),
    Accepts: '{"record":2}',
    SetRequest: '{"threshold":0.6,"fps":5.0,"pause":false,"id":"night-1"}',
    RemoteState: '{"remote":true,"threshold":0.6,"fps":5.0,"pause":false,"id":"night-1","error":null,'
    '"preview":"off","remote_preview":"blurred","preview_until":null}',
    NewMarker: '{"label":"the curtain rises","time":"2026-11-29T19:30:00Z","everywhere":true,'
    '"id":"01971a3c-4a10-7d05-8f6e-2b9d10c3a7e4"}',
}
"""What the first release writes: names that stay, for other versions read and write them too."""


@pytest.mark.parametrize("kind", WRITTEN, ids=lambda kind: kind.__name__)
def test_every_name_on_the_wire_is_fixed(kind: Any) -> None:
    written = WRITTEN[kind]
    assert encode_message(decode_message(written.encode(), kind)).decode() == written


def test_the_reference_shows_these_messages() -> None:
    text = DOCS.read_text("utf-8")
    shown = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", text, re.DOTALL)]
    assert shown == [json.loads(written) for kind, written in WRITTEN.items() if kind is not Accepts]
    accepts = re.search(r"accepts` \|[^`]*`(\{.*?\})`", text)
    assert accepts
    assert json.loads(accepts[1]) == json.loads(WRITTEN[Accepts])


def test_statistics_without_figures_name_every_field() -> None:
    assert list(json.loads(encode_message(Stats()))) == list(json.loads(WRITTEN[Stats]))


def test_home_assistant_reads_fields_that_are_there() -> None:
    keys = {
        key
        for _, payload in discovery("homeassistant", "mien", "lobby")
        for key in re.findall(rb"value_json\.(\w+)", payload)
    }
    assert {key.decode() for key in keys} == {"emotion", "faces", "happiness"} <= set(Stats.__struct_fields__)


@pytest.mark.parametrize("kind", [Stored, Stats, Accepts, RemoteState])
def test_what_a_newer_version_adds_is_ignored(kind: Any) -> None:
    newer = json.loads(WRITTEN[kind]) | {"added": [1, {"deep": None}]}
    assert decode_message(json.dumps(newer).encode(), kind) == decode_message(WRITTEN[kind].encode(), kind)


def test_a_request_that_is_not_understood_whole_is_refused() -> None:
    with pytest.raises(ValueError, match="speed"):
        decode_message(b'{"speed": 9, "pause": false}', SetRequest)


HOSTILE: dict[type, list[dict[str, Any]]] = {
    Stored: [{"session": "x"}, {"ranges": [[-1, 2]]}, {"ranges": [[0, 2**53]]}, {"ranges": [[0, 1]] * 10_001}],
    Stats: [
        *({"version": "\x1b[31m"}, {"model": 5}, {"uptime_s": -1}, {"temperature_c": 1e300}, {"fps": "many"}),
        *({"state": "<b>"}, {"preview": "x" * 21}, {"outbox": {"dropped": -1}}, {"outbox": []}, {"time": "today"}),
        *({"emotion": "=1+1"}, {"happiness": 101}, {"delay_ms": {"p99": 1e300}}, {"faces": 0.5}),
    ],
    Accepts: [{"record": -1}, {"record": "2"}, {"record": 0.5}],
    RemoteState: [{"threshold": 2}, {"fps": -1}, {"pause": 1}, {"id": "a b"}, {"error": "x" * 601}, {"remote": None}],
    SetRequest: [{"threshold": 1.1}, {"fps": 241}, {"pause": None}, {"id": ""}, {"\x1b[31m\n" + "k" * 900: 1}],
    NewMarker: [
        *({"label": ""}, {"label": "x" * 201}, {"label": "two\nlines"}, {"label": "\x1b[31m"}, {"label": None}),
        *({"time": "today"}, {"time": "2026-11-29T19:30:00"}, {"everywhere": 1}, {"id": "show-1"}, {"source": "lobby"}),
    ],
}


@pytest.mark.parametrize("kind", HOSTILE, ids=lambda kind: kind.__name__)
def test_hostile_messages_are_refused_in_one_line(kind: Any) -> None:
    payloads = [json.dumps(json.loads(WRITTEN[kind]) | change).encode() for change in HOSTILE[kind]]
    nothing = (b"", b"\xff", b"null", b"[]", b"5", b"{", b"[" * 5000, b'{"a":' * 5000, b" " * MAX_MESSAGE[kind] + b"{}")
    for payload in (*payloads, *nothing):
        with pytest.raises(ValueError) as refused:  # noqa: PT011 - whatever the words are, they are one short line
            decode_message(payload, kind)
        assert str(refused.value).isprintable(), payload[:80]
        assert len(str(refused.value)) <= 301, payload[:80]


def test_a_source_is_online_or_offline() -> None:
    assert decode_available(b"online")
    assert not decode_available(b"offline")
    for payload in (b"", b"ONLINE", b"online\n", b"\xff"):
        with pytest.raises(ValueError):  # noqa: PT011
            decode_available(payload)


def test_topics() -> None:
    assert topic("mien", "lobby", "stats") == "mien/lobby/stats"
    assert split_topic("site/mien", topic("site/mien", "lobby", "stats")) == ("lobby", "stats")
    assert split_topic("mien", "mien/a/b/stats") == ("a/b", "stats"), "no source is called so"


def test_every_message_is_frozen() -> None:
    assert all(msgspec.structs.asdict(decode_message(WRITTEN[kind].encode(), kind)) for kind in MAX_MESSAGE)
    assert all(kind.__struct_config__.frozen for kind in MAX_MESSAGE)
