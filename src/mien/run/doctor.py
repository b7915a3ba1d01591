"""`mien doctor`: what works on this machine, and what to do about what doesn't."""

from __future__ import annotations

import http.client
import importlib.util
import json
import os
import platform
import shutil
import socket
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Literal, NamedTuple

from mien import silence
from mien.config import NOWHERE, Settings
from mien.edge.fleet import DEMO, previews
from mien.errors import MienError
from mien.masking import without_password
from mien.observation import new_id
from mien.words import counted, listed

__all__ = ["Finding", "diagnose"]

EXTRAS = {
    "analyze": ("jinja2", "polars"),
    "dashboard": ("fastapi", "jinja2", "plotly", "uvicorn"),
    "train": ("torch", "lightning", "onnx"),
}
FREE_MB = 500

LISTEN_S = 1.5
"""So long the doctor listens to the sources, in seconds: they send a picture each second if any."""

NAMED = 10
"""So many sources that send pictures are named at most."""


class Finding(NamedTuple):
    """One thing that was looked at.

    Attributes:
        name: What it is.
        state: `ok`; `note`: works, but something is missing or could be better; `fail`: the main job cannot run.
        text: What was found, and what to do about it.
    """

    name: str
    state: Literal["ok", "note", "fail"]
    text: str


def diagnose(settings: Settings) -> Iterator[Finding]:
    """Look at everything that the main job needs and yield a finding each."""
    yield Finding("Python", "ok", f"{platform.python_version()} on {platform.system()} {platform.machine()}")
    for name, look in LOOKS.items():
        try:
            state, text = look(settings)
        except MienError as error:
            state, text = "fail", str(error)
        yield Finding(name, state, text)
    for extra, modules in EXTRAS.items():
        missing = [module for module in modules if importlib.util.find_spec(module) is None]
        if missing:
            needed: Literal["ok", "note"] = "ok" if extra == "train" else "note"  # only who trains needs it
            yield Finding(f"[{extra}]", needed, f"not installed: pip install 'mien[{extra}]' if you need it")
        else:
            yield Finding(f"[{extra}]", "ok", "installed")


Result = tuple[Literal["ok", "note", "fail"], str]


def _home(settings: Settings) -> Result:
    if settings.home == NOWHERE:
        return "note", (
            "none, as this user has no home folder: analyze and report work without, for the others name one with "
            "MIEN_HOME"
        )
    home = settings.ensure_home()
    if os.name == "posix" and stat.S_IMODE(home.stat().st_mode) & 0o077:
        return "note", f"{home} can be read by others: chmod 700 '{home}'"
    free = shutil.disk_usage(home).free // 2**20
    if free < FREE_MB:
        return "note", f"{home} has only {free:,} MB free: an outbox may need more"
    return "ok", f"{home}, {free:,} MB free"


def _detector(settings: Settings) -> Result:
    import numpy as np

    from mien.vision.detector import open_detector

    name = settings.vision.detector
    detector = open_detector(name, settings.vision.confidence, settings.vision.max_side)
    detector.detect(np.zeros((360, 640, 3), np.uint8))
    checked = "; its weights are the expected ones" if name == "yunet" else ""
    return "ok", f"{name} loads and runs{checked}"


def _model(settings: Settings) -> Result:
    import numpy as np
    import onnxruntime

    from mien.models import store as model_store
    from mien.models.classifier import Classifier

    classifier = Classifier.load(model_store.in_use(settings).model, device=settings.vision.device)
    classifier.classify(np.zeros((1, 48, 48), np.uint8))
    return "ok", f"{classifier.model_id} {classifier.runs_on}, onnxruntime {onnxruntime.__version__}"


def _without_broker(settings: Settings) -> bool:
    """Say whether the built-in broker is meant, and does not run."""
    return settings.broker.host is None and not (settings.home / "broker.json").exists()


def _broker(settings: Settings) -> Result:
    from mien.mqtt.broker import find_broker
    from mien.mqtt.connection import Connection
    from mien.mqtt.nats import server_program

    if _without_broker(settings):
        return "ok", f"built in: {server_program().name} is there"
    address = find_broker(settings)
    Connection(address, f"mien-doctor-{new_id()}").close()
    return "ok", f"{address} answers{' with TLS' if address.tls else ''} and lets this user in"


def _ports(settings: Settings) -> Result:
    taken: list[str] = []
    ours: list[str] = []
    free: list[str] = []
    for name, port in (("MQTT", settings.broker.port or 1883), ("dashboard", settings.dashboard.port or 8080)):
        with socket.socket() as probe:
            if os.name == "posix":  # Windows would let a port in use be bound again
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                own = _is_ours(settings, name, port)
                (ours if own else taken).append(f"{port} ({name})")
            else:
                free.append(f"{port} ({name})")
    if taken:
        return "note", f"taken by another program: {', '.join(taken)}; the next free one is used"
    return "ok", "; ".join([*(f"Mien is at {port}" for port in ours), *(f"{port} is free" for port in free)])


def _is_ours(settings: Settings, name: str, port: int) -> bool:
    """Say whether what listens at a port of this machine is a broker or dashboard of Mien."""
    if name == "MQTT":
        from mien.mqtt.broker import find_broker

        try:
            broker = find_broker(settings)
        except MienError:
            return False
        return broker.port == port and broker.host in ("127.0.0.1", "localhost", "0.0.0.0", "::1")  # noqa: S104
    try:
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=2)) as connection:
            connection.request("GET", "/api/v1/health")
            body = json.loads(connection.getresponse().read(10_000))
    except (OSError, ValueError, http.client.HTTPException):
        return False
    return isinstance(body, dict) and {"broker", "store", "version"} <= set(body)


def _store(settings: Settings) -> Result:
    from mien.stores.base import open_store

    if settings.home == NOWHERE and not settings.store.url:
        return "note", "none: it lies in the state folder, which MIEN_HOME would name"
    store = open_store(settings.store_url)
    count = len(store.sources())
    store.close()
    return "ok", f"{without_password(settings.store_url)}, {counted(count, 'source', 'sources')}"


def _camera(_: Settings) -> Result:
    from mien.run.up import default_source

    if default_source() == "demo":
        return "ok", "none found: `mien up` plays the demo clip; plug one in, or name a video or stream"
    return "ok", "camera 0 opens"


def _preview(settings: Settings) -> Result:
    wanted = {"what is not listed": settings.watch.preview} | {
        source.name or without_password(source.url): settings.overridden(source).watch.preview
        for source in settings.source
    }
    here = ", ".join(f"{name}: {kind}" for name, kind in wanted.items() if kind != "off") or "off"
    state: Literal["ok", "note"] = "ok" if here == "off" else "note"
    here = f"watch.preview here says {here}"
    if _without_broker(settings):
        return state, f"no source is watched here; {here}"
    try:
        kinds = previews(settings, LISTEN_S)
    except MienError as error:
        return "note", f"the sources cannot be asked whether they send pictures: {error}; {here}"
    sent = [f"{name}: {kind}" for name, kind in kinds.items() if kind not in ("off", DEMO)]
    clips = [name for name, kind in kinds.items() if kind == DEMO]
    facts = [f"small pictures are sent to the broker by {listed(sent, NAMED)}"] if sent else []
    if clips:
        facts.append(f"the demo clip is shown as it is, as it should be ({listed(clips, NAMED)})")
    if others := len(kinds) - len(sent) - len(clips):
        facts.append(f"off at the {counted(others, 'source that is', 'sources that are')} online")
    if not kinds:
        facts = ["no source is online"]
    return "note" if sent else state, "; ".join([*facts, here])


def _telemetry(_: Settings) -> Result:
    if changed := silence.loud():
        return "note", f"{', '.join(changed)} was changed after Mien was imported: packages may report to their makers"
    if left := silence.traces():
        words = "holds an id of this machine that onnxruntime made earlier or for another program: delete that folder"
        return "note", f"off, but '{left[0]}' {words}"
    return "ok", "off in every package that has any, before it is imported"


def _window(_: Settings) -> Result:
    if importlib.util.find_spec("tkinter") is None:
        return "note", "tkinter is missing, so `--window` cannot open: on Debian, apt install python3-tk"
    if sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return "ok", "no screen, so `--window` cannot open; everything else works"
    return "ok", "can open"


LOOKS: dict[str, Callable[[Settings], Result]] = {
    "state folder": _home,
    "face detector": _detector,
    "emotion model": _model,
    "broker": _broker,
    "ports": _ports,
    "store": _store,
    "camera": _camera,
    "preview": _preview,
    "telemetry": _telemetry,
    "window": _window,
}
