"""`mien watch` as a whole: real clips through real outboxes to a real broker, forwarder and store."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from itertools import islice, pairwise
from pathlib import Path

import cv2
import pytest
from parts import outbox_counts, settings, start, stop_all, stored_seqs, wait_for

from mien.config import Settings, checked
from mien.edge import live_model, watch
from mien.edge import waiting as away
from mien.edge.live_model import LiveModel
from mien.edge.watch import _mood, run_watch
from mien.errors import MienError, UsageError
from mien.media import open as sources
from mien.media.base import Frame
from mien.media.demo import Demo
from mien.media.encode import VideoWriter
from mien.models import classifier as emotions
from mien.models import store as model_store
from mien.observation import Observation, Probabilities
from mien.vision.detector import FaceDetector, open_detector

FRAMES = 15
FERPLUS = Path(emotions.__file__).parent / "weights" / "ferplus.onnx"


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine all is confirmed later than anybody would wait for at a camera."""
    monkeypatch.setattr(watch, "DRAIN_S", 60.0)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first frames of the demo, each with one face."""
    path = tmp_path_factory.mktemp("clips") / "face.mp4"
    with Demo() as demo, VideoWriter(path) as video:
        for frame in islice(demo, FRAMES):
            video.write(frame.image, frame.offset_s or 0.0)
    return path


@pytest.fixture
def home(tmp_path: Path, free_port: int) -> Iterator[Settings]:
    """The settings of a state folder whose broker and forwarder run."""
    start("broker", tmp_path, free_port)
    start("forward", tmp_path)
    wait_for((tmp_path / "broker.json").exists)
    yield settings(tmp_path)
    stop_all()


def faces(home: Path) -> int:
    store = sqlite3.connect(home / "mien.db", timeout=10)
    try:
        return int(store.execute("SELECT count(*) FROM faces").fetchone()[0])
    finally:
        store.close()


def assert_delivered(home: Path, source: str, *, sessions: int = 1) -> None:
    """Check that so many sessions over the clip were taken, confirmed and stored, whole."""
    taken = sessions * FRAMES
    assert outbox_counts(home, source) == (taken, taken, 0, 0)
    stored = stored_seqs(home, source)
    assert len(stored) == sessions
    assert all(seqs == list(range(FRAMES)) for seqs in stored.values())


def test_several_clips_end_by_themselves_and_drain(home: Settings, clip: Path, tmp_path: Path) -> None:
    other = Path(shutil.copy(clip, tmp_path / "other.mp4"))
    run_watch(home, [str(clip), str(other), str(clip)], threading.Event())
    for source in ("face", "other", "face-2"):
        assert_delivered(home.home, source)
    assert faces(home.home) == 3 * FRAMES


def test_sources_come_from_the_settings_each_as_it_is_listed(home: Settings, clip: Path) -> None:
    listed = [
        {"url": str(clip), "name": "hall", "mask": [[0, 0, 1, 1]]},
        {"url": str(clip), "fps": 5, "loop": False},
        {"url": "demo", "name": "stage"},
    ]
    several = checked(home.model_dump() | {"source": listed}, "a test")
    seen: dict[str, list[Observation]] = {}
    stop = threading.Event()

    def note(frame: Frame, observation: Observation) -> None:
        seen.setdefault(observation.source, []).append(observation)
        assert (observation.source == "hall") == (not frame.image.any())
        if len(seen) == 3 and len(seen["hall"]) == FRAMES:
            stop.set()

    run_watch(several, [], stop, frame_callback=note)
    assert {len(one.faces) for one in seen["hall"]} == {0}
    assert {len(one.faces) for one in (*seen["face"], *seen["stage"])} == {1}
    assert len(seen["face"]) < FRAMES / 2
    seen.clear()
    run_watch(several, ["hall"], threading.Event(), frame_callback=lambda _, one: seen.setdefault(one.source, []))
    assert list(seen) == ["hall"]


def test_a_huge_slow_source_does_not_starve_a_small_one(
    home: Settings, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[FaceDetector] = []

    def opened(name: str, confidence: float, max_side: int) -> FaceDetector:
        made.append(open_detector(name, confidence, max_side))
        return made[-1]

    monkeypatch.setattr(watch, "open_detector", opened)
    huge, stop = tmp_path / "huge.mp4", threading.Event()
    with Demo() as demo, VideoWriter(huge) as video:
        for frame in islice(demo, 6):
            video.write(cv2.resize(frame.image, (3840, 2160)), frame.offset_s or 0.0)
    seen = {"face": 0, "huge": 0}

    def note(_: object, observation: Observation) -> None:
        seen[observation.source] += 1
        if seen["huge"] >= 3 and seen["face"] >= 40:
            stop.set()

    run_watch(home, [str(huge), str(clip)], stop, loop=True, frame_callback=note)
    assert seen["face"] > 2 * seen["huge"] >= 6, seen
    assert len(made) == 1, "both sources share the detector"


def test_without_any_source_one_line_says_so(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nothing to watch: name a camera.*\[\[source\]\] in mien\.toml"):
        run_watch(Settings(home=tmp_path), [], threading.Event())


def test_a_loop_is_a_new_session_each_time(home: Settings, clip: Path) -> None:
    stop = threading.Event()
    seen: list[Observation] = []

    def note(_: object, observation: Observation) -> None:
        seen.append(observation)
        # a slow machine drops frames, so rounds are told by their session, not by their length
        rounds = [one.session for one in seen]
        if len(set(rounds)) == 3 and rounds.count(observation.session) == 3:
            stop.set()

    run_watch(home, [str(clip)], stop, loop=True, frame_callback=note)
    sessions = list(dict.fromkeys(one.session for one in seen))
    assert len(sessions) >= 3
    stored = stored_seqs(home.home, "face")
    assert sorted(stored) == sorted(uuid.UUID(session).hex.upper() for session in sessions)
    for session in sessions:
        numbers = [one.seq for one in seen if one.session == session]
        assert stored[uuid.UUID(session).hex.upper()] == numbers == list(range(len(numbers)))
    assert [one.seq for one in seen].count(0) == len(sessions)
    assert all(later.time > earlier.time for earlier, later in pairwise(seen))  # type: ignore[operator]
    assert outbox_counts(home.home, "face") == (len(seen), len(seen), 0, 0)


def watch_command(home: Path, *arguments: str) -> str:
    """Run `mien watch` to its end and return what it said."""
    done = subprocess.run(
        [sys.executable, "-m", "mien", "watch", *arguments],
        env={**os.environ, "MIEN_HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    return done.stderr


def test_without_a_broker_all_waits_and_a_later_run_delivers_it(clip: Path, tmp_path: Path, free_port: int) -> None:
    home = tmp_path / "home"
    said = watch_command(home, str(clip), "--name", "early")
    assert "no broker runs here" in said
    assert f"{FRAMES} observations of 'early' wait in the outbox" in said
    assert outbox_counts(home, "early") == (FRAMES, 0, 0, FRAMES)
    try:
        start("broker", home, free_port)
        start("forward", home)
        wait_for((home / "broker.json").exists)
        said = watch_command(home, str(clip), "--name", "late")
        assert f"'early' left {FRAMES} observations in its outbox" in said
        wait_for(lambda: (home / "mien.db").exists())
        assert_delivered(home, "early")
        assert_delivered(home, "late")
    finally:
        stop_all()


def test_the_mood_is_that_of_all_faces_since_the_message_before() -> None:
    happy, sad = (Probabilities(0, 0, 0, share, 1 - share, 0, 0) for share in (0.9, 0.3))
    assert _mood([(happy, 0.1), (sad, 0.1)]) == ("happy", 60.0)
    assert _mood([(happy, 0.1), *[(sad, 0.1)] * 3]) == ("sad", 45.0)
    assert _mood([(happy, 0.6), *[(sad, 0.2)] * 3]) == ("happy", 60.0), (
        "a face weighs the time that its frame stands for"
    )
    assert _mood([]) == (None, None)


def test_a_name_that_was_given_is_not_taken_by_another(clip: Path, tmp_path: Path) -> None:
    seen: set[tuple[str, str]] = set()
    listed = [{"url": str(clip)}, {"url": str(clip), "name": "face", "mask": [[0, 0, 1, 1]]}]

    def note(frame: Frame, observation: Observation) -> None:
        seen.add((observation.source, "black" if not frame.image.any() else "clear"))

    run_watch(settings(tmp_path, source=listed), [], threading.Event(), frame_callback=note)
    assert seen == {("face", "black"), ("face-2", "clear")}


def test_a_camera_that_is_away_at_the_start_is_waited_for_and_the_others_watched(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(away, "AGAIN_S", 0.2)
    late = tmp_path / "late"
    opened = sources.open_source

    def reached(spec: str, name: str | None = None) -> sources.Source:
        if spec == "rtsp://127.0.0.1:9/late" and late.exists():
            return opened(str(clip), name)  # the camera is switched on
        return opened(spec, name)

    monkeypatch.setattr(away, "open_source", reached)
    listed = [{"url": "rtsp://127.0.0.1:9/late", "name": "late"}, {"url": str(clip), "name": "there"}]
    seen: list[str] = []

    def note(_: Frame, observation: Observation) -> None:
        seen.append(observation.source)
        if seen.count("there") == FRAMES:
            late.touch()

    run_watch(settings(tmp_path, source=listed), [], threading.Event(), frame_callback=note)
    assert seen == ["there"] * FRAMES + ["late"] * FRAMES
    assert "cannot reach stream" in caplog.text
    assert "'late' is tried again every 0.2 s" in caplog.text
    unnamed, missing = {"url": "rtsp://127.0.0.1:9/late"}, {"url": "no.mp4", "name": "x"}
    for bad in (unnamed, missing):
        with pytest.raises(MienError, match="cannot"):
            run_watch(settings(tmp_path, source=[bad, listed[1]]), [], threading.Event())
    stop = threading.Event()
    late.unlink()
    threading.Timer(0.5, stop.set).start()
    run_watch(settings(tmp_path, source=listed[:1]), [], stop)  # a single one is waited for, too
    assert stop.is_set()


def test_a_name_is_for_one_source(tmp_path: Path, clip: Path) -> None:
    with pytest.raises(UsageError, match="names one source, but 2 were given"):
        run_watch(settings(tmp_path), [str(clip), "demo"], threading.Event(), name="both")


@pytest.mark.data
def test_a_real_video_arrives_whole(home: Settings, samples: Path) -> None:
    run_watch(home, [str(samples / "one-face.mp4")], threading.Event())
    assert outbox_counts(home.home, "one-face") == (72, 72, 0, 0)
    (seqs,) = stored_seqs(home.home, "one-face").values()
    assert seqs == list(range(72))
    assert faces(home.home) == 72


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A training run's folder, with the model for FER+ as its best."""
    folder = tmp_path / "run"
    folder.mkdir()
    shutil.copy(FERPLUS, folder / "best.onnx")
    digest = hashlib.sha256(FERPLUS.read_bytes()).hexdigest()
    epoch = {"epoch": 3, "accuracy": 0.7, "model": "best.onnx", "sha256": digest}
    (folder / "latest.json").write_text(json.dumps({"format": 1, "latest": epoch, "best": epoch}))
    return folder


def test_a_pulled_model_is_taken_up_without_a_gap(
    tmp_path: Path, run: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(live_model, "CHECK_S", 0.1)
    caplog.set_level("INFO")
    home, stop = settings(tmp_path), threading.Event()
    seen: list[Observation] = []

    def note(_: object, observation: Observation) -> None:
        seen.append(observation)
        if len(seen) == 5:
            model_store.pull(str(run), home.home)
        if observation.model != seen[0].model and len(seen) - models().index(observation.model) > 5:
            stop.set()

    def models() -> list[str]:
        return [one.model for one in seen]

    run_watch(home, ["demo"], stop, frame_callback=note)
    before, after = dict.fromkeys(models())
    installed = model_store.current(home.home)
    assert installed is not None
    assert after == installed[1].model_id != before
    assert "the model is now" in caplog.text
    assert len({one.session for one in seen}) == 1, "the session goes on"
    assert [one.seq for one in seen] == list(range(len(seen)))
    assert {len(one.faces) for one in seen} == {1}
    assert len({face.track for one in seen for face in one.faces}) == 1, "so do its tracks"


def test_a_damaged_model_is_told_and_the_one_before_kept(
    tmp_path: Path, run: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(live_model, "CHECK_S", 0.0)
    model = LiveModel(settings(tmp_path))
    shipped = model.classifier.model_id
    installed = model_store.pull(str(run), tmp_path)
    (tmp_path / "models" / f"{installed.sha256}.onnx").write_bytes(b"no model")
    for _ in range(3):
        model.refresh()
    assert model.classifier.model_id == shipped
    assert (
        caplog.text.count(
            f"is damaged: pull it again, or go back with `mien model rollback`; watching goes on with {shipped}"
        )
        == 1
    )


def test_a_model_that_the_settings_name_stays(tmp_path: Path, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_model, "CHECK_S", 0.0)
    model = LiveModel(settings(tmp_path, vision={"model": FERPLUS.with_name("fer2013.onnx")}))
    named = model.classifier.model_id
    model_store.pull(str(run), tmp_path)
    model.refresh()
    assert model.classifier.model_id == named
