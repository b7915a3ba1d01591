"""The Lab Streaming Layer: what `mien watch --lsl` sends is received by another process, and by this machine alone."""

from __future__ import annotations

import math
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pylsl
import pytest
from parts import observation, settings, start, stop_all, wait_for

from mien.config import Settings
from mien.edge.lsl import CHANNELS, FIRST_PORT, LOOPBACK, PORTS, STREAM_TYPE, LslOutlet, dominant, peers
from mien.edge.lsl_markers import run_markers
from mien.errors import MienError, MissingExtraError
from mien.forward.forwarder import run_forwarder
from mien.observation import EMOTIONS, Face
from mien.stores.base import Marker, open_store

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="LSL is kept to this machine on Linux alone")

LABELS = [label for label, _ in CHANNELS]


@pytest.fixture(scope="module", autouse=True)
def _this_machine_alone() -> None:
    pylsl.set_config_content(LOOPBACK)


def face(track: int | None, side: int, emotion: str = "happy") -> Face:
    whole = observation("x", "s", 0).faces[0]
    return Face(track, (0, 0, side, side), 0.97, emotion, whole.probabilities)  # type: ignore[arg-type]


def streams(*names: str) -> list[pylsl.StreamInfo]:
    """Return these streams once they are there."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        seen = {info.name(): info for info in pylsl.resolve_byprop("type", STREAM_TYPE, len(names), timeout=2)}
        if set(names) <= set(seen):
            return [seen[name] for name in names]
    raise AssertionError(f"no streams {names}")


@pytest.fixture(scope="module")
def watching(tmp_path_factory: pytest.TempPathFactory, samples: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Two sources, watched by a process of their own."""
    folder = tmp_path_factory.mktemp("lsl")
    video = samples / "one-face.mp4"
    (folder / "mien.toml").write_text(
        f'[[source]]\nurl = "{video}"\nname = "hall"\nloop = true\n\n[[source]]\nurl = "demo"\nname = "door"\n'
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "mien", "watch", "--lsl", "--fps", "10"],
        cwd=folder,
        env={**os.environ, "MIEN_HOME": str(folder / "home")},
        stderr=subprocess.PIPE,
    )
    yield process
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 0, said.decode()


@pytest.mark.data
def test_another_process_receives_each_source(watching: subprocess.Popen[bytes]) -> None:
    for info in streams("mien-hall", "mien-door"):
        inlet = pylsl.StreamInlet(info, recover=False)
        described = inlet.info(timeout=10)
        assert (described.type(), described.channel_count(), described.nominal_srate()) == (STREAM_TYPE, 9, 0)
        assert described.get_channel_labels() == LABELS
        assert described.get_channel_units() == [unit for _, unit in CHANNELS]
        acquisition = described.desc().child("acquisition")
        assert acquisition.child_value("manufacturer") == "Mien"
        assert "@" in acquisition.child_value("model")
        assert info.name().endswith(described.desc().child_value("source"))
        received: list[tuple[dict[str, float], float, float]] = []
        until = time.monotonic() + 30
        while len(received) < 8 and time.monotonic() < until:
            sample, at = inlet.pull_sample(timeout=5)
            if sample is not None:
                received.append((dict(zip(LABELS, sample, strict=True)), at, pylsl.local_clock()))
        assert len(received) == 8
        for sample, at, now in received:
            assert 0 <= now - at < 5
            if not math.isnan(sample["track"]):
                assert sum(sample[emotion] for emotion in EMOTIONS) == pytest.approx(1, abs=0.03)
                assert 0.5 < sample["confidence"] <= 1
        assert any(not math.isnan(sample["track"]) for sample, _, _ in received)
        times = [at for _, at, _ in received]
        assert times == sorted(times)
        inlet.close_stream()


@pytest.mark.data
def test_no_other_machine_gets_in(watching: subprocess.Popen[bytes]) -> None:
    streams("mien-hall", "mien-door")
    serving = listening(watching.pid)
    assert len([kind for kind, _ in serving if kind == "tcp"]) >= 2
    ours = own_address()
    for kind, port in serving:
        if kind == "tcp" and FIRST_PORT <= port < FIRST_PORT + PORTS:
            socket.create_connection(("127.0.0.1", port), 5).close()
            if ours:  # what comes for an address that others reach is refused
                with pytest.raises(ConnectionRefusedError):
                    socket.create_connection((ours, port), 5)


def listening(pid: int) -> list[tuple[str, int]]:
    """Return kind and port of the sockets that a process serves on."""
    inodes = {str(entry.readlink()) for entry in Path(f"/proc/{pid}/fd").iterdir()}
    served = []
    for kind, state in (("tcp", "0A"), ("udp", "07")):
        for line in Path(f"/proc/{pid}/net/{kind}").read_text().splitlines()[1:]:
            words = line.split()
            if f"socket:[{words[9]}]" in inodes and words[3] == state:
                served.append((kind, int(words[1].rpartition(":")[2], 16)))
    return served


def own_address() -> str | None:
    """Return an address of this machine that is not loopback."""
    addresses = subprocess.run(["hostname", "-I"], capture_output=True, text=True, check=False).stdout.split()
    return next((address for address in addresses if ":" not in address and not address.startswith("127.")), None)


def test_every_socket_of_an_outlet_is_bound_to_loopback(tmp_path: Path) -> None:
    outlet = LslOutlet(settings(tmp_path), "cellar", "tiny@00000000")
    devices = [device for _, device in served_here()]
    assert len(devices) >= 4  # data, time, and discovery by two addresses
    assert set(devices) == {b"lo"}
    outlet.close()


def served_here() -> Iterator[tuple[int, bytes]]:
    from mien.edge import lsl

    for served in lsl._sockets():
        with served:
            if lsl._is_lsl(served):
                yield (
                    served.getsockname()[1],
                    served.getsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, 16).rstrip(b"\0"),
                )


def test_a_frame_without_a_face_is_a_sample_too(tmp_path: Path) -> None:
    outlet = LslOutlet(settings(tmp_path), "yard", observation("yard", "s", 0).model)
    inlet = pylsl.StreamInlet(streams("mien-yard")[0], recover=False)
    inlet.open_stream(timeout=10)
    outlet.push(observation("yard", "s", 0, faces=0))
    outlet.push(observation("yard", "s", 1, faces=2))
    samples = [inlet.pull_sample(timeout=10)[0] for _ in range(2)]
    assert all(math.isnan(value) for value in samples[0])
    assert samples[1][LABELS.index("happy")] == pytest.approx(0.88)
    assert samples[1][LABELS.index("track")] == 0
    inlet.close_stream()
    outlet.close()


def test_the_dominant_face_stays_so_while_it_is_there_and_large() -> None:
    small, large, huge = face(1, 60), face(2, 80), face(3, 200)
    assert dominant([], 1) is None
    assert dominant([small, large], None) is large
    assert dominant([small, large], 1) is small
    assert dominant([small, huge], 1) is huge
    assert dominant([large], 1) is large


def test_without_the_extra_one_line_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pylsl", None)
    with pytest.raises(MissingExtraError, match=r"mien\[lsl\]"):
        LslOutlet(settings(tmp_path), "x", "tiny@00000000")


def test_where_it_cannot_be_kept_to_this_machine_nothing_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise PermissionError(1, "Operation not permitted")

    class Refusing(socket.socket):
        setsockopt = refuse

    before = len(list(served_here()))
    with monkeypatch.context() as patched:
        patched.setattr("mien.edge.lsl.socket.socket", Refusing)
        with pytest.raises(MienError, match="lsl_network"):
            LslOutlet(settings(tmp_path), "x", "tiny@00000000")
    until = time.monotonic() + 10
    while len(list(served_here())) > before and time.monotonic() < until:
        time.sleep(0.05)
    assert len(list(served_here())) == before
    monkeypatch.delattr(socket, "SO_BINDTODEVICE")
    with pytest.raises(MienError, match="on Linux alone"):
        LslOutlet(settings(tmp_path), "x", "tiny@00000000")


def test_a_players_events_become_markers_in_the_store(tmp_path: Path, free_port: int) -> None:
    """Over a real broker and forwarder, at the times of the stream."""
    home = settings(tmp_path, forward={"markers": True})
    start("broker", tmp_path, free_port)
    wait_for((tmp_path / "broker.json").exists)
    player, other = (
        pylsl.StreamOutlet(pylsl.StreamInfo(name, "Markers", 1, pylsl.IRREGULAR_RATE, pylsl.cf_string, name))
        for name in ("Stimuli", "Other")
    )
    stop, began = threading.Event(), datetime.now(timezone.utc)
    taking = threading.Thread(target=run_markers, args=(home, "hall", stop), kwargs={"stream": "Stimuli"})
    forwarding = threading.Thread(target=run_forwarder, args=(home, stop))
    try:
        taking.start()
        forwarding.start()
        assert player.wait_for_consumers(30)
        wait_for(lambda: sent(player, "ready") and markers_in(home), what="a marker")  # the forwarder listens now
        at = pylsl.local_clock()
        player.push_sample(["the curtain\nrises"], at - 5)
        player.push_sample(["  "])
        other.push_sample(["not this one"])
        player.push_sample(["x" * 500])
        wait_for(lambda: "x" * 200 in {marker.label for marker in markers_in(home)}, what="the last marker")
    finally:
        stop.set()
        taking.join(30)
        forwarding.join(30)
        stop_all()
    kept = {marker.label: marker for marker in markers_in(home)}
    assert set(kept) == {"ready", "the curtain rises", "x" * 200}
    assert {marker.source for marker in kept.values()} == {"hall"}
    passed = kept["x" * 200].time - kept["the curtain rises"].time
    assert 5 <= passed.total_seconds() < 6
    assert kept["the curtain rises"].time > began - timedelta(seconds=6)


def sent(player: pylsl.StreamOutlet, label: str) -> bool:
    time.sleep(0.3)
    player.push_sample([label])
    return True


def markers_in(home: Settings) -> list[Marker]:
    if not (home.home / "mien.db").exists():
        return []
    with closing(open_store(home.store_url, read_only=True)) as store:
        return store.markers(datetime.now(timezone.utc) - timedelta(days=1), datetime.now(timezone.utc), None, 10)


def test_looking_through_the_sockets_leaves_no_file_open() -> None:
    with tempfile.TemporaryFile(), socket.socket():
        before = len(list(Path("/proc/self/fd").iterdir()))
        for _ in range(20):
            peers()
        assert len(list(Path("/proc/self/fd").iterdir())) <= before
