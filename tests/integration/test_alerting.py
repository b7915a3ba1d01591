"""Alerts, from what a source publishes to a subscriber and a web server, through a real broker."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from parts import observation, settings, wait_for

from mien.config import AlertSettings, Settings
from mien.forward import alerts, webhook
from mien.forward.alert_rules import rules_file, write_rules
from mien.forward.forwarder import run_forwarder
from mien.forward.webhook import WAITING, Webhook
from mien.mqtt.broker import find_broker, run_broker
from mien.mqtt.connection import Connection
from mien.observation import encode, new_id


class Hook:
    """A web server that notes what it gets, and answers what it is told to."""

    def __init__(self) -> None:
        self.got: list[dict[str, Any]] = []
        self.answers: list[int] = []
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                code = hook.answers.pop(0) if hook.answers else 204
                if code < 300:
                    hook.got.append(json.loads(body))
                self.send_response(code)
                self.send_header("Content-Length", "0")
                if code == 302:
                    self.send_header("Location", f"{hook.url}/elsewhere")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/alert?key=secret"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hook]:
    monkeypatch.setattr(webhook, "APART_S", 0.0)
    monkeypatch.setattr(alerts, "LOOK_S", 0.2)
    monkeypatch.setattr(webhook, "TRIES", (0.0, 0.1, 0.1))
    hook = Hook()
    yield hook
    hook.close()


@pytest.fixture
def running(tmp_path: Path, free_port: int, hook: Hook) -> Iterator[Settings]:
    """A broker and a forwarder with alerts."""
    alerts = [
        {"name": "sad", "on": "share", "emotion": "happy", "above": 0.5, "min_faces": 5, "webhook": hook.url},
        {"name": "gone", "on": "offline", "after_s": 0, "webhook": hook.url},
        {"name": "full", "on": "drops", "window_s": 1},
    ]
    config = settings(tmp_path, broker={"port": free_port}, alert=alerts)
    stop, ready = threading.Event(), threading.Event()
    threads = [
        threading.Thread(target=run_broker, args=(config, stop), kwargs={"ready": lambda _: ready.set()}),
        threading.Thread(target=run_forwarder, args=(config, stop)),
    ]
    threads[0].start()
    assert ready.wait(60)
    threads[1].start()
    yield config
    stop.set()
    for thread in reversed(threads):
        thread.join(60)


def test_alerts_reach_subscribers_and_web_addresses(
    running: Settings, hook: Hook, caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[tuple[str, dict[str, Any]]] = []
    connections: list[Connection] = []

    def note(message: Any) -> None:
        heard.append((message.topic, json.loads(message.payload)))
        connections[0].acknowledge(message.mid)

    connections.append(Connection(find_broker(running), "listener", on_message=note))
    listener = connections[0]
    listener.subscribe("mien/alerts/#")
    session, sent = new_id(), 0

    def keep_sending() -> bool:
        nonlocal sent
        one = observation("hall", session, sent, faces=2)
        listener.publish("mien/hall/observations", encode(one))
        listener.publish("mien/hall/stats", json.dumps({"fps": 1, "outbox": {"depth": 0, "dropped": sent}}).encode())
        sent += 1
        return {"mien/alerts/sad/hall", "mien/alerts/full/hall"} <= {topic for topic, _ in heard}

    listener.publish("mien/hall/available", b"online", retain=True)
    listener.publish("mien/hall/observations", b"no observation at all")
    listener.publish("mien/hall/stats", b"[]")
    wait_for(keep_sending, what="alerts on their topics")
    raised = next(message for topic, message in heard if topic == "mien/alerts/sad/hall")
    assert raised["state"] == "raised"
    assert (raised["alert"], raised["on"], raised["source"], raised["value"]) == ("sad", "share", "hall", 1.0)
    assert raised["text"] == "sad: happy is 100% of the faces of 'hall' in 60 s (above 50%)"
    wait_for(lambda: raised in hook.got, what="the web address's message")

    listener.publish("mien/hall/available", b"offline", retain=True)
    wait_for(lambda: any(got["alert"] == "gone" for got in hook.got), what="word of the source that is gone")
    listener.publish("mien/hall/available", b"online", retain=True)
    wait_for(lambda: [got["state"] for got in hook.got if got["alert"] == "gone"] == ["raised", "resolved"])
    wait_for(lambda: ("mien/alerts/full/hall", "resolved") in [(topic, got["state"]) for topic, got in heard])
    assert {got["alert"] for got in hook.got} == {"sad", "gone"}, "drops had no web address"

    write_rules(running, [AlertSettings(name="made-here", on="offline", source="stage", after_s=0)])
    wait_for(lambda: ("mien/alerts/made-here/stage", "raised") in [(topic, got["state"]) for topic, got in heard])
    rules_file(running).write_text("no rules")
    wait_for(lambda: "are not heeded" in caplog.text, what="word of a file that says something else")
    listener.close()


def test_a_web_address_that_fails_is_asked_again(hook: Hook) -> None:
    hook.answers = [500, 503]
    sender = Webhook(hook.url)
    sender.send(b'{"n": 1}')
    wait_for(lambda: hook.got == [{"n": 1}])
    sender.close()


def test_a_refusal_or_a_redirect_is_final_and_tells_no_secret(hook: Hook, caplog: pytest.LogCaptureFixture) -> None:
    hook.answers = [404, 302]
    sender = Webhook(hook.url)
    for n in range(3):
        sender.send(b'{"n": %d}' % n)
    wait_for(lambda: hook.got == [{"n": 2}])
    sender.close()
    assert "it answers 404" in caplog.text
    assert "it answers 302" in caplog.text
    assert "secret" not in caplog.text


def test_an_address_where_nobody_is_costs_little(free_port: int, caplog: pytest.LogCaptureFixture) -> None:
    sender = Webhook(f"http://127.0.0.1:{free_port}/")
    for n in range(WAITING + 50):
        sender.send(b"%d" % n)
    sender.close()
    assert sender._waiting.qsize() <= WAITING
    assert "too slow" in caplog.text
