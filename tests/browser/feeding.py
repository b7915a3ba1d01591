"""Observations as cameras make them, for the dashboard's tests, and a broker that carries them.

The cameras see a few people whose faces change slowly.
"""

from __future__ import annotations

import json
import math
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from mien.observation import EMOTIONS, Face, Observation, Probabilities, encode, new_id
from mien.stores.base import Store


class Camera:
    """Makes the observations of one session of one source."""

    def __init__(self, source: str, people: int = 2, size: tuple[int, int] = (1280, 720)) -> None:
        self.source, self.people, self.size = source, people, size
        self.session = new_id()
        self.seq = 0

    def observe(self, time: datetime, *, faces: bool = True) -> Observation:
        """Return what the camera sees at a time; every face moves a little."""
        moment = time.timestamp()
        seen = [self._face(number, moment) for number in range(self.people)] if faces else []
        width, height = self.size
        self.seq += 1
        return Observation(
            id=new_id(), source=self.source, session=self.session, seq=self.seq - 1, time=time, offset_s=None,
            frame=self.seq - 1, width=width, height=height, model="mien-1@3f9c2a1b", elapsed_ms=7.9, faces=seen,
        )  # fmt: skip

    def span(self, start: datetime, end: datetime, step_s: float) -> list[Observation]:
        """Return one observation every `step_s` seconds from start to end."""
        count = int((end - start).total_seconds() / step_s)
        return [self.observe(start + timedelta(seconds=step_s * number)) for number in range(count)]

    def _face(self, number: int, moment: float) -> Face:
        probabilities = probabilities_at(moment / (1 + number / 3) + 97 * number + 13 * len(self.source))
        top = max(EMOTIONS, key=lambda emotion: getattr(probabilities, emotion))
        width, height = self.size
        side = int(height * (0.24 + 0.03 * math.sin(moment / 5 + number)))
        x = int(width * (number + 0.5) / self.people - side / 2 + width * 0.03 * math.sin(moment / 3 + 2 * number))
        y = int(height * 0.42 - side / 2 + height * 0.06 * math.sin(moment / 4 + number))
        sure = getattr(probabilities, top) >= 0.4
        return Face(number + 1, (x, y, side, side), 0.97, top if sure else None, probabilities)


def probabilities_at(moment: float) -> Probabilities:
    """Return probabilities that wander smoothly with time, over seconds and over hours."""
    logits = [
        0.9 * math.sin(moment / (7 + 5 * index) + index) + 0.9 * math.sin(moment / (1100 + 700 * index) + 2 * index)
        for index in range(7)
    ]
    logits[EMOTIONS.index("happy")] += math.sin(moment / 40) + 1.1
    logits[EMOTIONS.index("neutral")] += 1.2
    logits[EMOTIONS.index("disgust")] -= 1.2
    logits[EMOTIONS.index("fear")] -= 0.6
    weights = [math.exp(logit) for logit in logits]
    return Probabilities(*(round(weight / sum(weights), 4) for weight in weights))


@contextmanager
def broker(program: str, port: int) -> Iterator[None]:
    process = subprocess.Popen([program, "-p", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        process.wait(10)


@contextmanager
def publishing(port: int, cameras: Sequence[Camera], store: Store | None = None) -> Iterator[None]:
    """Cameras that are online and publish five frames a second, and say offline at the end; a store keeps some."""
    client = mqtt.Client(CallbackAPIVersion.VERSION2)
    until(lambda: connects(client, port))
    client.loop_start()
    stop = threading.Event()
    stats = {
        "fps": 5.0, "dropped": 0, "delay_ms": {"p50": 31.4, "p99": 80.0}, "outbox": {"depth": 2, "dropped": 0},
        "uptime_s": 3.0, "preview": "off", "model": "mien-1@3f9c2a1b", "version": "0.1.0",
    }  # fmt: skip

    def work() -> None:
        for camera in cameras:
            client.publish(f"mien/{camera.source}/available", "online", 1, retain=True)
        turn = 0
        while not stop.wait(0.2):
            turn += 1
            seen = [camera.observe(datetime.now(timezone.utc)) for camera in cameras]
            for one in seen:
                client.publish(f"mien/{one.source}/stats", json.dumps(stats), 1, retain=True)
                client.publish(f"mien/{one.source}/observations", encode(one), 1)
            if store and turn % 5 == 0:
                store.add(seen)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        for camera in cameras:
            client.publish(f"mien/{camera.source}/available", "offline", 1, retain=True).wait_for_publish(60)
        client.disconnect()
        client.loop_stop()


def connects(client: mqtt.Client, port: int) -> bool:
    try:
        return client.connect("127.0.0.1", port) == 0
    except OSError:
        return False


def until(question: Callable[[], bool], seconds: float = 90) -> None:
    """Wait until the answer is yes."""
    end = time.monotonic() + seconds
    while not question():
        assert time.monotonic() < end, "it did not come true in time"
        time.sleep(0.1)
